"""Chords and keys by their names, and the pitch classes that they leave to every step of a new piece.

A pitch class is a pitch modulo 12: 0 is C, 1 is C sharp or D flat, 11 is B.
"""

from __future__ import annotations

import difflib
import re
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import ConfigError

__all__ = ["allowed", "chord", "scale"]

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ROOT = re.compile(r"([A-G])([#b♯♭]*)")
_BETWEEN = re.compile(r"[-–—,;|>]+")

#: Semitones above the root, by what is written behind it; the other spellings of one chord stand in ``_SPELLINGS``.
CHORDS = {
    "": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
    "5": (0, 7), "6": (0, 4, 7, 9), "m6": (0, 3, 7, 9), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10),
    "mmaj7": (0, 3, 7, 11), "dim7": (0, 3, 6, 9), "m7b5": (0, 3, 6, 10), "7sus4": (0, 5, 7, 10), "add9": (0, 2, 4, 7),
    "9": (0, 2, 4, 7, 10), "maj9": (0, 2, 4, 7, 11), "m9": (0, 2, 3, 7, 10),
}  # fmt: skip
_SPELLINGS = {"maj": "", "M": "", "min": "m", "-": "m", "°": "dim", "o": "dim", "+": "aug", "sus": "sus4", "M7": "maj7",
              "Δ": "maj7", "min7": "m7", "-7": "m7", "°7": "dim7", "ø": "m7b5", "M9": "maj9"}  # fmt: skip

#: The minor scale is the natural one with the sixth and the seventh of the melodic one beside its own.
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 9, 10, 11)}
_MODES = {"": "major", "major": "major", "maj": "major", "M": "major", "minor": "minor", "min": "minor", "m": "minor"}


def _root(name: str, what: str) -> tuple[int, str]:
    """The pitch class that a name begins with, and what follows."""
    found = _ROOT.match(name)
    if found is None:
        large = name[:1].upper() + name[1:]
        if _ROOT.match(large):
            minor = f" for major, {large + 'm'!r} for minor" if _ROOT.fullmatch(large) else ""
            raise ConfigError(f"{what} {name!r} begins with a small letter: write {large!r}{minor}")
        raise ConfigError(f"{what} {name!r} begins with no note: write A to G, then # or b where needed")
    sharps = sum(1 if sign in "#♯" else -1 for sign in found[2])
    return (_LETTERS[found[1]] + sharps) % 12, name[found.end() :]


def chord(name: str) -> frozenset[int]:
    """The pitch classes of a chord.

    >>> sorted(chord("F#m7")), sorted(chord("Bb"))
    ([1, 4, 6, 9], [2, 5, 10])

    Raises ConfigError, in one sentence, for a name that means none.
    """
    root, kind = _root(name, "the chord")
    if "/" in kind:
        raise ConfigError(f"the chord {name!r} names its bass: write the chord without it, {name.split('/')[0]!r}")
    kind = _SPELLINGS.get(kind, kind)
    if kind not in CHORDS:
        near = difflib.get_close_matches(kind, [*CHORDS][1:], n=1, cutoff=0)
        raise ConfigError(
            f"no chord is named {name!r}; did you mean {name[: len(name) - len(kind)] + near[0]!r}? A note alone is "
            f"major, and behind it may stand {', '.join([*CHORDS][1:])}"
        )
    return frozenset((root + semitones) % 12 for semitones in CHORDS[kind])


def _require_spaces(names: list[str]) -> None:
    """Raise ConfigError when a word is no chord, and is several with something else than a space between."""
    for name in names:
        parts = [part for part in _BETWEEN.split(name) if part]
        if not parts:
            raise ConfigError(f"chords stand apart by spaces alone: leave out {name!r}")
        if (len(parts) > 1 or parts[0] != name) and not _is_chord(name) and all(map(_is_chord, parts)):
            raise ConfigError(f"chords stand apart by spaces: write {' '.join(parts)!r}, not {name!r}")


def _is_chord(name: str) -> bool:
    try:
        return bool(chord(name))
    except ConfigError:
        return False


def scale(name: str) -> frozenset[int]:
    """The pitch classes of a key: ``C``, ``Eb major``, ``F#m``, ``A minor``.

    >>> sorted(scale("G"))
    [0, 2, 4, 6, 7, 9, 11]

    Raises ConfigError for a name that means none.
    """
    root, mode = _root(name, "the key")
    mode = mode.strip()
    if mode not in _MODES:
        raise ConfigError(f"no key is named {name!r}: a key is a note and major or minor, such as 'G' or 'E minor'")
    return frozenset((root + semitones) % 12 for semitones in SCALES[_MODES[mode]])


def allowed(
    chords: str | None, key: str | None, length: int, bar: int, step: Any, first: int = 0
) -> NDArray[np.bool_]:
    """Which pitch classes may sound in each of ``length`` steps of ``step`` beats: bool [length, 12].

    Chords, with spaces between them, last a bar of ``bar`` steps each, and begin again after the last. A key alone
    allows its scale; chords alone, their own notes; with both, notes of the chord stand on the beats, and between them
    all of the scale and of the chord. ``first`` is how many steps of a bar are over when the first of them comes, as
    behind a primer: the rest of that bar has the first chord.

    Raises ConfigError for a name that means none, or no name at all.
    """
    found = np.ones((length, 12), np.bool_)
    if key is not None:
        found[:] = np.isin(np.arange(12), list(scale(key)))
    if chords is not None:
        names = chords.split()
        if not names:
            raise ConfigError("no chord is named: write them with spaces between, such as 'C G Am F'")
        _require_spaces(names)
        table = np.stack([np.isin(np.arange(12), list(chord(name))) for name in names])
        steps = first % bar + np.arange(length)
        tones = table[steps // bar % len(names)]
        between = np.array([Fraction(int(t) % bar) * Fraction(step) % 1 != 0 for t in steps], np.bool_)
        found = np.where(between[:, None] & (key is not None), found | tones, tones)
    return found
