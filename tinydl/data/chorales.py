"""Four-part chorales by rule: a grammar of phrases and chords, and the best voice leading that obeys the textbook.

Grammar (one arrow per random choice; every choice comes from one seeded stream)::

    chorale  → key mode metre tempo form
    key      → nine tonics from four flats to four sharps
    mode     → major | minor | dorian | mixolydian
    metre    → 4/4 (phrases of 2 bars) | 3/4 (phrases of 4 bars)
    form     → bar form  A B A B C D [E]      (the first two phrases, the Stollen, repeated note for note)
             | through-composed  A B C D [E]
    phrase   → rhythm, cadence                the last chord is long (the fermata)
    rhythm   → one of a metre's patterns of chord lengths, in beats
    cadence  → half | authentic | deceptive | plagal | modal; the last phrase: authentic or modal, in minor and
               dorian often with the major third (tierce de Picardie)
    chords   → a Markov chain over the mode's chords (tables ``_MODES``), conditioned on the cadence that must be
               reached: sampled with backward messages, so that no walk is ever thrown away

Voices. Every chord has a few hundred voicings S, A, T, B. A cost (stepwise motion, contrary motion of the outer voices,
a soprano arch drawn per phrase, doubled roots, a little noise) is minimised over the whole chorale by dynamic
programming, subject to rules that are never broken:

* ranges: S C4–G5, A G3–D5, T C3–G4, B E2–C4; S–A and A–T at most an octave apart, T–B at most a twelfth and a half;
* no crossing, and no overlap (no voice passes where its neighbour has just been);
* no parallel and no antiparallel fifths, octaves or unisons between any two voices, after decoration too;
* no fifth or octave between the outer voices reached in similar motion by a leap of the soprano;
* the leading tone is not doubled and rises to the tonic where the tonic follows; a chordal seventh falls by step;
* melodic intervals are no tritones, no sevenths, no augmented seconds;
* triads are complete, save that a tonic or dominant in root position may leave out its fifth.

Decoration: passing notes in thirds, neighbours on repeated notes and suspensions (4–3, 7–6, 9–8) are tried at random
places and kept where all of the rules above still hold on the grid of eighth notes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tinydl.data.dice import Dice
from tinydl.data.representations.chorale import VOICES

if TYPE_CHECKING:
    from tinydl.data.score import Score

__all__ = ["RANGES", "VOICES", "Chorale", "Chord", "compose", "faults"]

RANGES = ((60, 79), (55, 74), (48, 67), (40, 60))  # MIDI pitches, lowest and highest, S A T B
_GAPS = (12, 12, 19)  # widest distances S–A, A–T, T–B, in semitones
_LEAPS = (7, 7, 7, 12)  # widest melodic intervals
_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))

Pitches = tuple[int, int, int, int]


@dataclass(frozen=True)
class Chord:
    """A chord of a key, in semitones above the tonic: ``root, third, fifth[, seventh]``, and which of them is the bass.

    ``leading`` is the tone that must rise by a semitone, ``seventh`` the one that must fall; -1 where there is none.
    ``thin`` allows the fifth to be left out.
    """

    name: str
    tones: tuple[int, ...]
    bass: int
    leading: int = -1
    seventh: int = -1
    thin: bool = False

    @property
    def diminished(self) -> bool:
        """Whether the fifth is diminished."""
        return (self.tones[2] - self.tones[0]) % 12 == 6


def _chord(name: str, *tones: int, bass: int = 0, leading: int = -1) -> Chord:
    seventh = tones[3] if len(tones) == 4 else -1
    return Chord(name, tones, tones[bass], leading, seventh, thin=bass == 0 and name.rstrip("7") in ("I", "i", "V"))


def _table(*chords: Chord) -> dict[str, Chord]:
    return {chord.name: chord for chord in chords}


@dataclass(frozen=True)
class _Mode:
    """A mode: its scale, its chords, the chords that may follow each (with weights), and its cadences."""

    scale: tuple[int, ...]
    chords: dict[str, Chord]
    follow: dict[str, dict[str, float]]
    openings: dict[str, float]
    half: tuple[tuple[str, ...], ...]
    inner: tuple[tuple[str, ...], ...]
    final: tuple[tuple[str, ...], ...]
    tonic: str
    picardy: str = ""


def _weights(text: str) -> dict[str, float]:
    """``"IV 3, V 2"`` → {"IV": 3.0, "V": 2.0}."""
    return {name: float(weight) for name, weight in (item.split() for item in text.split(","))}


_MODES = {
    "major": _Mode(
        scale=(0, 2, 4, 5, 7, 9, 11),
        chords=_table(
            _chord("I", 0, 4, 7),
            _chord("I6", 0, 4, 7, bass=1),
            _chord("I64", 0, 4, 7, bass=2),
            _chord("ii", 2, 5, 9),
            _chord("ii6", 2, 5, 9, bass=1),
            _chord("ii65", 2, 5, 9, 0, bass=1),
            _chord("iii", 4, 7, 11),
            _chord("IV", 5, 9, 0),
            _chord("IV6", 5, 9, 0, bass=1),
            _chord("V", 7, 11, 2, leading=11),
            _chord("V7", 7, 11, 2, 5, leading=11),
            _chord("V6", 7, 11, 2, bass=1, leading=11),
            _chord("V65", 7, 11, 2, 5, bass=1, leading=11),
            _chord("vi", 9, 0, 4),
            _chord("vii6", 11, 2, 5, bass=1, leading=11),
            _chord("V/V", 2, 6, 9, leading=6),
            _chord("V6/V", 2, 6, 9, bass=1, leading=6),
            _chord("V/vi", 4, 8, 11, leading=8),
            _chord("V6/vi", 4, 8, 11, bass=1, leading=8),
        ),
        follow={
            "I": _weights("IV 3, V 2, vi 3, ii6 2, I6 3, V6 3, vii6 1, iii 0.6, ii 1, V65 1, IV6 1, V6/V 0.3"),
            "I6": _weights("IV 4, ii6 2, V 2, I 1, vii6 1, V65 0.5"),
            "ii": _weights("V 3, V6 1, vii6 1, V7 1, I6 0.5"),
            "ii6": _weights("V 4, V7 1, I64 0.5"),
            "ii65": _weights("V 4"),
            "iii": _weights("vi 3, IV 3"),
            "IV": _weights("I 1.2, V 3, ii6 2, I6 2, vii6 1, ii 1, ii65 0.7, V6 1, V6/V 0.5"),
            "IV6": _weights("V 1, I6 2, ii6 1, V6 2"),
            "V": _weights("I 3, vi 2.5, I6 2, V6 0.5, V6/vi 0.7"),
            "V7": _weights("I 4, vi 1"),
            "V6": _weights("I 1"),
            "V65": _weights("I 1"),
            "I64": _weights("V 3, V7 2"),
            "vi": _weights("ii6 3, IV 3, V 1.5, ii 2, iii 0.7, I6 1, V6/V 0.7, V/V 0.5"),
            "vii6": _weights("I 3, I6 2"),
            "V/V": _weights("V 1"),
            "V6/V": _weights("V 1"),
            "V/vi": _weights("vi 1"),
            "V6/vi": _weights("vi 1"),
        },
        openings=_weights("I 6, vi 1, I6 1, V 1"),
        half=(("I", "V"), ("ii6", "V"), ("IV", "V"), ("vi", "V/V", "V"), ("IV", "V6/V", "V"), ("I6", "V")),
        inner=(
            ("ii6", "V", "I"),
            ("V", "vi"),
            ("IV", "I"),
            ("ii65", "V", "I"),
            ("V/vi", "vi"),
            ("V7", "I"),
            ("V6", "I"),
        ),
        final=(("ii6", "V", "I"), ("ii65", "V7", "I"), ("IV", "V7", "I"), ("I64", "V7", "I"), ("ii6", "I64", "V", "I")),
        tonic="I",
    ),
    "minor": _Mode(
        scale=(0, 2, 3, 5, 7, 8, 10),
        chords=_table(
            _chord("i", 0, 3, 7),
            _chord("i6", 0, 3, 7, bass=1),
            _chord("I", 0, 4, 7),
            _chord("i64", 0, 3, 7, bass=2),
            _chord("iio6", 2, 5, 8, bass=1),
            _chord("iio65", 2, 5, 8, 0, bass=1),
            _chord("III", 3, 7, 10),
            _chord("iv", 5, 8, 0),
            _chord("iv6", 5, 8, 0, bass=1),
            _chord("v6", 7, 10, 2, bass=1),
            _chord("V", 7, 11, 2, leading=11),
            _chord("V7", 7, 11, 2, 5, leading=11),
            _chord("V6", 7, 11, 2, bass=1, leading=11),
            _chord("V65", 7, 11, 2, 5, bass=1, leading=11),
            _chord("VI", 8, 0, 3),
            _chord("VII", 10, 2, 5),
            _chord("VII6", 10, 2, 5, bass=1),
            _chord("viio6", 11, 2, 5, bass=1, leading=11),
        ),
        follow={
            "i": _weights("iv 3, V 2, VI 2, iio6 2, i6 2.5, V6 3, III 1, VII 1, viio6 1, V65 1, v6 0.5, iv6 0.7"),
            "i6": _weights("iv 3, iio6 2, V 2, viio6 1, i 1, V65 0.5"),
            "iio6": _weights("V 4, V7 1, i64 0.5"),
            "iio65": _weights("V 4"),
            "III": _weights("VI 3, iv 2, VII6 1, i6 0.5, iv6 0.5"),
            "iv": _weights("V 3, i 1.2, i6 1, VII 2, iio6 1, iio65 0.7, V6 0.5"),
            "iv6": _weights("V 3"),
            "v6": _weights("iv6 2, VI 1"),
            "V": _weights("i 3, VI 2.5, i6 2, V6 0.3"),
            "V7": _weights("i 4, VI 1"),
            "V6": _weights("i 1"),
            "V65": _weights("i 1"),
            "i64": _weights("V 3, V7 2"),
            "VI": _weights("iio6 2, iv 3, III 1, V 1, VII 1, iv6 0.5"),
            "VII": _weights("III 4, i 0.7"),
            "VII6": _weights("III 3, i 0.5"),
            "viio6": _weights("i 3, i6 2"),
        },
        openings=_weights("i 6, V 1, i6 1, III 0.7"),
        half=(("i", "V"), ("iv", "V"), ("iv6", "V"), ("iio6", "V"), ("i6", "V")),
        inner=(("iio6", "V", "i"), ("V", "VI"), ("iv", "i"), ("iv", "VII", "III"), ("VI", "VII", "III"), ("V7", "i")),
        final=(("iio6", "V", "i"), ("iio65", "V7", "i"), ("iv", "V7", "i"), ("i64", "V7", "i"), ("iv", "V", "i")),
        tonic="i",
        picardy="I",
    ),
    "dorian": _Mode(
        scale=(0, 2, 3, 5, 7, 9, 10),
        chords=_table(
            _chord("i", 0, 3, 7),
            _chord("i6", 0, 3, 7, bass=1),
            _chord("I", 0, 4, 7),
            _chord("ii", 2, 5, 9),
            _chord("ii6", 2, 5, 9, bass=1),
            _chord("III", 3, 7, 10),
            _chord("IV", 5, 9, 0),
            _chord("IV6", 5, 9, 0, bass=1),
            _chord("v", 7, 10, 2),
            _chord("v6", 7, 10, 2, bass=1),
            _chord("V", 7, 11, 2, leading=11),
            _chord("VII", 10, 2, 5),
            _chord("VII6", 10, 2, 5, bass=1),
        ),
        follow={
            "i": _weights("IV 3, VII 3, III 2, v6 2, i6 2, ii6 1, v 1, IV6 1, VII6 1"),
            "i6": _weights("IV 3, ii6 1, VII 1, v 1, i 1"),
            "ii": _weights("v 2, V 1, i6 1"),
            "ii6": _weights("v 2, V 2, VII 0.5"),
            "III": _weights("IV 2, VII 2, i 1, i6 1, v 0.5"),
            "IV": _weights("i 3, VII 2, v 1.5, V 1, ii6 1, v6 1"),
            "IV6": _weights("VII 1, i6 1, v6 1, i 1"),
            "v": _weights("i 3, VII 1, IV 1, III 0.7"),
            "v6": _weights("i 2, IV6 1, IV 1"),
            "V": _weights("i 1"),
            "VII": _weights("i 2, III 2, IV 2, v6 0.5"),
            "VII6": _weights("i 2, III 1, IV 1"),
        },
        openings=_weights("i 6, III 1, IV 1, v 0.5"),
        half=(("i", "IV"), ("IV", "v"), ("i", "v"), ("III", "IV"), ("VII", "v6", "IV")),
        inner=(("IV", "i"), ("VII", "III"), ("v", "i"), ("IV", "VII"), ("VII", "i")),
        final=(("IV", "V", "i"), ("ii6", "V", "i"), ("VII", "IV", "i"), ("IV", "v", "i"), ("III", "VII", "i")),
        tonic="i",
        picardy="I",
    ),
    "mixolydian": _Mode(
        scale=(0, 2, 4, 5, 7, 9, 10),
        chords=_table(
            _chord("I", 0, 4, 7),
            _chord("I6", 0, 4, 7, bass=1),
            _chord("ii", 2, 5, 9),
            _chord("ii6", 2, 5, 9, bass=1),
            _chord("IV", 5, 9, 0),
            _chord("IV6", 5, 9, 0, bass=1),
            _chord("v", 7, 10, 2),
            _chord("v6", 7, 10, 2, bass=1),
            _chord("vi", 9, 0, 4),
            _chord("VII", 10, 2, 5),
            _chord("VII6", 10, 2, 5, bass=1),
        ),
        follow={
            "I": _weights("VII 3, IV 3, v 2, vi 2, I6 2, ii6 1, v6 2, VII6 1"),
            "I6": _weights("IV 3, ii6 1, VII 1, I 1"),
            "ii": _weights("v 2, VII 1, IV 0.5, I6 1"),
            "ii6": _weights("v 2, VII 1, I 0.5"),
            "IV": _weights("I 3, VII 2, v 1.5, ii6 1, I6 1, VII6 1"),
            "IV6": _weights("VII 1, I6 1, v6 1, I 1"),
            "v": _weights("I 3, IV 1, VII 1, vi 1"),
            "v6": _weights("I 3, IV 1, IV6 1"),
            "vi": _weights("ii6 1, IV 2, v 1.5, VII 1, I6 1"),
            "VII": _weights("I 2, IV 3, v6 0.5, IV6 1"),
            "VII6": _weights("I 2, IV 1"),
        },
        openings=_weights("I 6, IV 1, v 0.7, vi 0.7"),
        half=(("I", "IV"), ("IV", "v"), ("I", "v"), ("vi", "v"), ("IV", "VII")),
        inner=(("v", "vi"), ("IV", "I"), ("v", "I"), ("VII", "I"), ("I", "VII", "IV")),
        final=(("VII", "IV", "I"), ("IV", "VII", "I"), ("ii6", "v", "I"), ("VII6", "IV", "I"), ("IV", "v", "I")),
        tonic="I",
    ),
}

_TO_MAJOR = {"major": 0, "minor": 3, "dorian": 10, "mixolydian": 5}  # semitones up to the major key of its signature
_MAJOR_KEYS = {0: "C", 7: "G", 2: "D", 9: "A", 4: "E", 5: "F", 10: "Bb", 3: "Eb", 8: "Ab"}
_MINOR_KEYS = {0: "Am", 7: "Em", 2: "Bm", 9: "F#m", 4: "C#m", 5: "Dm", 10: "Gm", 3: "Cm", 8: "Fm"}
_TONICS_OF = {
    "major": (0, 7, 2, 9, 5, 10, 3),
    "minor": (9, 4, 11, 2, 7, 0),
    "dorian": (2, 9, 7, 4),
    "mixolydian": (7, 2, 0, 9),
}
_RHYTHMS = {
    4: ((1, 1, 1, 1, 1, 1, 2), (2, 1, 1, 1, 1, 2), (1, 1, 2, 1, 1, 2), (1, 1, 1, 1, 2, 2)),
    3: ((2, 1, 2, 1, 1, 1, 1, 3), (1, 1, 1, 2, 1, 2, 1, 3), (2, 1, 1, 1, 1, 2, 1, 3), (2, 1, 2, 1, 2, 1, 3)),
}
_TICKS = 480
_ORGAN = 19
_VELOCITY = (84, 72, 72, 78)


@dataclass
class Chorale:
    """A finished chorale.

    ``chords``, ``starts`` and ``lengths`` (beats) run over the chords, ``cadences`` are the indices of the phrases'
    last chords; ``skeleton`` is int [chords, 4] (one pitch per chord and voice) and ``grid`` int [4, eighths] the
    decorated voices. ``notes`` is per voice a list of (start, end, pitch) in eighths.
    """

    tonic: int
    mode: str
    beats: int
    bpm: int
    form: str
    chords: list[Chord]
    starts: list[int]
    lengths: list[int]
    cadences: list[int]
    skeleton: np.ndarray
    notes: list[list[tuple[int, int, int]]] = field(default_factory=list)

    @property
    def grid(self) -> np.ndarray:
        """int [4, eighths]: the pitch of each voice in each eighth note."""
        grid = np.zeros((4, 2 * (self.starts[-1] + self.lengths[-1])), dtype=np.int64)
        for voice, notes in enumerate(self.notes):
            for start, end, pitch in notes:
                grid[voice, start:end] = pitch
        return grid

    @property
    def key(self) -> str:
        """The key of the signature: modes with a minor third take the minor key of theirs, the others the major."""
        major = (self.tonic + _TO_MAJOR[self.mode]) % 12
        return _MINOR_KEYS[major] if _MODES[self.mode].tonic == "i" else _MAJOR_KEYS[major]

    def score(self) -> Score:
        """Four tracks, one voice each; a church organ; phrases swell a little toward their middle."""
        from tinydl.data.score import Key, Meter, Note, Score, Tempo

        half = _TICKS // 2
        ends = [2 * (self.starts[i] + self.lengths[i]) for i in self.cadences]
        notes = []
        for voice, line in enumerate(self.notes):
            for start, end, pitch in line:
                phrase_end = next(e for e in ends if start < e)
                phrase_start = max((e for e in ends if e <= start), default=0)
                x = 2 * (start - phrase_start) / (phrase_end - phrase_start) - 1
                velocity = _VELOCITY[voice] + round(8 * (1 - x * x))
                notes.append(Note(start * half, end * half, pitch, velocity, channel=voice, track=voice))
        notes.sort(key=lambda note: (note.start, note.pitch, note.track))
        return Score(
            ticks_per_beat=_TICKS,
            notes=notes,
            tempos=[Tempo(0, round(60_000_000 / self.bpm))],
            meters=[Meter(0, self.beats, 4)],
            keys=[Key(0, self.key)],
            programs={(voice, voice): _ORGAN for voice in range(4)},
            track_names=dict(enumerate(VOICES)),
        )


def compose(dice: Dice) -> Chorale:
    """Compose one chorale from the grammar of this module's docstring."""
    name = dice.choice(tuple(_MODES), (4.0, 4.0, 1.5, 1.5))
    tonic = dice.choice(_TONICS_OF[name])
    beats = dice.choice((4, 3), (3.0, 1.0))
    bpm = 4 * dice.choice(range(17, 23)) if beats == 4 else 4 * dice.choice(range(20, 27))
    while True:  # a harmonic plan without any correct voicing is possible, and rare: plan anew
        plan = _plan(dice, _MODES[name], beats)
        skeleton = _voice(dice, plan, tonic, name)
        if skeleton is not None:
            break
    starts = np.cumsum([0, *plan.lengths])[:-1].tolist()
    chorale = Chorale(tonic, name, beats, bpm, plan.form, plan.chords, starts, plan.lengths, plan.cadences, skeleton)
    _decorate(dice, chorale, _MODES[name].scale, plan.repeat)
    return chorale


# The plan: form, rhythm, chords


@dataclass
class _Plan:
    form: str
    chords: list[Chord]
    lengths: list[int]
    cadences: list[int]
    repeat: int  # the number of chords at the start that come again at once, note for note; 0 for none


def _plan(dice: Dice, mode: _Mode, beats: int) -> _Plan:
    count = dice.choice((4, 5), (3.0, 1.0))
    bar_form = dice.chance(0.5)
    main = dice.choice(_RHYTHMS[beats], (4.0, 2.0, 1.0, 1.0))
    phrases: list[tuple[list[str], tuple[int, ...]]] = []
    for k in range(count):
        rhythm = main if dice.chance(0.75) else dice.choice(_RHYTHMS[beats])
        before = phrases[-1][0][-1] if phrases else None
        walk: list[str] = []
        while not walk:  # a few openings cannot reach a few cadences in so few chords: draw another cadence
            if k == count - 1:
                cadence = list(dice.choice(mode.final))
            else:
                cadence = list(dice.choice(mode.half if dice.chance(0.25 if k % 2 else 0.55) else mode.inner))
            walk = _walk(dice, mode, before, cadence, len(rhythm))
        if k == count - 1 and mode.picardy and dice.chance(0.5):
            walk[-1] = mode.picardy
        phrases.append((walk, rhythm))
    repeat = 0
    if bar_form:  # the Stollen comes again at once: its last chord must lead back to its first
        repeat = len(phrases[0][0]) + len(phrases[1][0])
        phrases = phrases[:2] + phrases
    chords = [mode.chords[name] for names, _ in phrases for name in names]
    lengths = [length for _, rhythm in phrases for length in rhythm]
    cadences = (np.cumsum([len(names) for names, _ in phrases]) - 1).tolist()
    return _Plan("bar" if bar_form else "through", chords, lengths, cadences, repeat)


def _walk(dice: Dice, mode: _Mode, before: str | None, cadence: list[str], length: int) -> list[str]:
    """Chord names of one phrase: a Markov walk that opens well and runs into the cadence, by backward messages.

    Empty where the cadence cannot be reached.
    """
    names = list(mode.follow)
    free = length - len(cadence)
    reach = [{name: mode.follow[name].get(cadence[0], 0.0) for name in names}]  # reach[k]: k free chords still to come
    for _ in range(free - 1):
        later = reach[-1]
        reach.append({name: sum(w * later.get(to, 0.0) for to, w in mode.follow[name].items()) for name in names})
    opening = dict(mode.openings)
    if before in mode.follow:  # after a cadence, what may follow its chord is welcome too
        for name, weight in mode.follow[before].items():
            opening[name] = opening.get(name, 0.0) + 0.3 * weight
    walk: list[str] = []
    weights = opening
    for k in range(free - 1, -1, -1):
        options = [name for name in weights if reach[k].get(name, 0.0) > 0]
        if not options:
            return []
        walk.append(dice.choice(options, [weights[name] * reach[k][name] for name in options]))
        weights = mode.follow[walk[-1]]
    return walk + cadence


# Voicings, and the cost of going from one to the next


@lru_cache(maxsize=1024)
def _voicings(chord: Chord, tonic: int) -> tuple[np.ndarray, np.ndarray]:
    """All correct voicings int [n, 4] of a chord, and the cost [n] of each standing alone."""
    classes = [(tonic + tone) % 12 for tone in chord.tones]
    options = [
        np.array(
            [
                p
                for p in range(low, high + 1)
                if p % 12 in classes and (voice < 3 or p % 12 == (tonic + chord.bass) % 12)
            ]
        )
        for voice, (low, high) in enumerate(RANGES)
    ]
    grid = np.stack(np.meshgrid(*options, indexing="ij"), axis=-1).reshape(-1, 4)
    gaps = grid[:, :-1] - grid[:, 1:]
    counts = np.stack([((grid - c) % 12 == 0).sum(axis=1) for c in classes], axis=1)
    good = ((gaps >= 0) & (gaps <= _GAPS)).all(axis=1)
    complete = (counts >= 1).all(axis=1)
    if chord.thin:  # root tripled or doubled, third always there
        complete |= (np.delete(counts, 2, axis=1) >= 1).all(axis=1)
    good &= complete
    for tone in (chord.leading, chord.seventh):
        if tone >= 0:
            good &= ((grid - tonic - tone) % 12 == 0).sum(axis=1) <= 1
    doubled = np.maximum(counts - 1, 0)
    price = np.array([0.0, 3.0, 2.0, 9.0][: len(classes)])
    if chord.bass != chord.tones[0]:
        price = np.array([0.5, 2.0, 0.5, 9.0][: len(classes)])
    if chord.diminished:
        price = np.array([4.0, 0.0, 2.0, 9.0][: len(classes)])
    cost = doubled @ price + 4.0 * (counts[:, 2] == 0) + 1.5 * (gaps[:, :2] == 0).sum(axis=1)
    cost += 0.15 * np.abs(grid[:, 2] - 60) + 0.1 * np.abs(grid[:, 1] - 66)
    return grid[good], cost[good]


def _allowed(a: np.ndarray, b: np.ndarray, first: Chord, second: Chord, tonic: int) -> np.ndarray:
    """bool [n, m]: whether voicings ``b`` [m, 4] may follow ``a`` [n, 4] by the rules of the module's docstring."""
    old, new = a[:, None, :], b[None, :, :]
    move = new - old
    size = np.abs(move)
    ok = (size <= _LEAPS).all(axis=-1) & ~np.isin(size, (6, 10, 11)).any(axis=-1)
    pc_old, pc_new = (old - tonic) % 12, (new - tonic) % 12
    ok &= ~((size == 3) & (pc_old + pc_new == 19) & np.isin(pc_old, (8, 11))).any(axis=-1)  # augmented second 8–11
    for i, j in _PAIRS:
        before, after = (a[:, i] - a[:, j]) % 12, (b[:, i] - b[:, j]) % 12
        perfect = (before[:, None] == after[None, :]) & np.isin(before, (0, 7))[:, None]
        ok &= ~(perfect & (move[..., i] != 0) & (move[..., j] != 0))
    ok &= (new[..., 1:] <= old[..., :-1]).all(axis=-1) & (new[..., :-1] >= old[..., 1:]).all(axis=-1)  # overlap
    outer = np.isin((b[:, 0] - b[:, 3]) % 12, (0, 7))[None, :]
    ok &= ~(outer & (np.sign(move[..., 0]) * np.sign(move[..., 3]) > 0) & (size[..., 0] > 2))
    if first.leading >= 0:
        goal = (first.leading + 1) % 12
        holds = pc_old == first.leading
        if any(tone == goal for tone in second.tones):
            ok &= (~holds | (move == 1)).all(axis=-1)
        elif any(tone == first.leading for tone in second.tones):
            ok &= (~holds | (move == 0)).all(axis=-1)
    if first.seventh >= 0:
        holds = pc_old == first.seventh % 12
        stays = (move == 0) if first.seventh in second.tones else np.zeros_like(holds)
        ok &= (~holds | (move == -1) | (move == -2) | stays).all(axis=-1)
    result: np.ndarray = ok
    return result


@lru_cache(maxsize=4096)
def _transition(first: Chord, second: Chord, tonic: int) -> np.ndarray:
    """float64 [n, m]: the cost of motion between the voicings of two chords; infinite where a rule forbids it."""
    a, b = _voicings(first, tonic)[0], _voicings(second, tonic)[0]
    move = b[None] - a[:, None]
    size = np.abs(move)
    cost = size @ np.array([0.5, 0.9, 0.9, 0.25])
    cost -= 0.9 * ((size == 3) | (size == 4)).sum(axis=-1)  # thirds ask for a passing note
    cost += 1.2 * (size[..., 0] > 4) + 2.0 * (size[..., 0] == 0) + 0.8 * (size[..., 3] == 0)
    cost -= 1.2 * (np.sign(move[..., 0]) * np.sign(move[..., 3]) < 0)
    if first == second:  # the same chord again must move
        cost += 4.0 * (size[..., 0] == 0)
    cost[~_allowed(a, b, first, second, tonic)] = np.inf
    result: np.ndarray = cost
    return result


def _voice(dice: Dice, plan: _Plan, tonic: int, mode: str) -> np.ndarray | None:
    """int [chords, 4]: the cheapest path through the chords' voicings (Viterbi); None where the rules allow none."""
    chords = plan.chords
    prices = _prices(dice, plan, tonic, mode)
    if plan.repeat:  # the Stollen is voiced once; its end must lead back to its beginning and on to the Abgesang
        stollen = _path(chords[: plan.repeat], prices[: plan.repeat], tonic, None)
        if stollen is None:
            return None
        back = _allowed(stollen[-1:], stollen[:1], chords[plan.repeat - 1], chords[0], tonic)
        if not back[0, 0]:
            return None
        rest = _path(
            chords[2 * plan.repeat :], prices[2 * plan.repeat :], tonic, (chords[plan.repeat - 1], stollen[-1])
        )
        return None if rest is None else np.concatenate([stollen, stollen, rest])
    return _path(chords, prices, tonic, None)


def _prices(dice: Dice, plan: _Plan, tonic: int, mode: str) -> list[np.ndarray]:
    """Per chord, the price [n] of each voicing: its own, its soprano's distance from the phrase's arch, and noise."""
    prices = []
    position = 0
    for end in plan.cadences:
        length = end + 1 - position
        base, height = 67 + dice.below(4), 2 + dice.below(5)
        peak = 0.3 + 0.4 * dice.uniform()
        for k in range(length):
            voicings, own = _voicings(plan.chords[position + k], tonic)
            x = k / (length - 1)
            arch = base + height * (1 - ((x - peak) / max(peak, 1 - peak)) ** 2)
            cost = own + 0.3 * np.abs(voicings[:, 0] - arch) + 4.0 * dice.uniforms(20)[voicings[:, 0] - RANGES[0][0]]
            final = position + k == len(plan.chords) - 1
            if final:  # the last soprano note is the tonic
                cost = np.where((voicings[:, 0] - tonic) % 12 == 0, cost, np.inf)
            elif k == length - 1:  # the others rest on tonic, third or fifth of their chord, as they come
                cost = cost + 1.5 * dice.uniform() * ((voicings[:, 0] - tonic) % 12 == 0)
            prices.append(cost)
        position = end + 1
    return prices


def _path(
    chords: list[Chord], prices: list[np.ndarray], tonic: int, before: tuple[Chord, np.ndarray] | None
) -> np.ndarray | None:
    total = prices[0]
    if before is not None:
        chord, voicing = before
        ok = _allowed(voicing[None], _voicings(chords[0], tonic)[0], chord, chords[0], tonic)[0]
        total = np.where(ok, total, np.inf)
    choices = []
    for k in range(1, len(chords)):
        reached = total[:, None] + _transition(chords[k - 1], chords[k], tonic)
        best = reached.argmin(axis=0)
        choices.append(best)
        total = reached[best, np.arange(reached.shape[1])] + prices[k]
    state = int(total.argmin())
    if not np.isfinite(total[state]):
        return None
    path = [state]
    for best in reversed(choices):
        path.append(int(best[path[-1]]))
    return np.array([_voicings(chord, tonic)[0][state] for chord, state in zip(chords, reversed(path))])


# Decoration


def faults(grid: np.ndarray) -> list[str]:
    """What is wrong with four voices on a grid, int [4, T]: crossings, overlaps, parallels, ranges."""
    found = []
    for voice, (low, high) in enumerate(RANGES):
        if grid[voice].min() < low or grid[voice].max() > high:
            found.append(f"{VOICES[voice]} leaves its range")
    if (grid[:-1] < grid[1:]).any():
        found.append("voices cross")
    old, new = grid[:, :-1], grid[:, 1:]
    if (new[1:] > old[:-1]).any() or (new[:-1] < old[1:]).any():
        found.append("voices overlap")
    for i, j in _PAIRS:
        before, after = (old[i] - old[j]) % 12, (new[i] - new[j]) % 12
        moved = (old[i] != new[i]) & (old[j] != new[j])
        for t in np.flatnonzero(moved & (before == after) & ((before == 0) | (before == 7))):
            found.append(
                f"parallel {'octaves' if before[t] == 0 else 'fifths'} {VOICES[i]}-{VOICES[j]} at eighth {t + 1}"
            )
    return found


def _decorate(dice: Dice, chorale: Chorale, scale: tuple[int, ...], repeat: int) -> None:
    """Write the voices' notes, with passing notes, neighbours and suspensions where they break no rule."""
    n = len(chorale.chords)
    body = chorale.skeleton
    starts, lengths = chorale.starts, chorale.lengths
    grid = np.repeat(body, 2 * np.array(lengths), axis=0).T.copy()
    cadences = set(chorale.cadences)
    # late[v][k]: eighths by which chord k's note comes late (suspension); extra[v][k]: (eighth, pitch) inside chord k
    late = [[0] * n for _ in range(4)]
    extra: list[dict[int, tuple[int, int]]] = [{} for _ in range(4)]
    shift = 2 * starts[repeat] if repeat else 0
    order = [(k, voice) for k in range(n - 1) for voice in range(4)]
    for k, voice in order:
        if repeat <= k < 2 * repeat:
            continue  # the repeat of the Stollen is copied with it
        if late[voice][k] or not dice.chance(0.75):
            continue
        p, q = int(body[k, voice]), int(body[k + 1, voice])
        step = abs(q - p)
        middle, after = 2 * starts[k] + lengths[k], 2 * starts[k + 1]
        slots: list[tuple[int, int, int]] = []
        if step in (3, 4) and k not in cadences:
            passing = _between(p, q, chorale, k, scale)
            slots = [(middle, after, passing)] if passing else []
        elif step == 0 and k not in cadences and voice < 3 and lengths[k] == 1 and dice.chance(0.3):
            turn = _neighbour(p, chorale, k, scale, up=dice.chance(0.4))
            slots = [(middle, after, turn)] if turn else []
        elif q - p in (-1, -2) and voice < 3 and dice.chance(0.7):
            over = (p - int(body[k + 1, 3])) % 12
            resolution_free = all((int(body[k + 1, v]) - q) % 12 for v in range(3) if v != voice)
            if over in (1, 2, 5, 10, 11) and resolution_free and k not in cadences:
                slots = [(after, after + lengths[k + 1], p)]
        for a, b, pitch in slots:
            copies = ((0, 0), (repeat, shift)) if k < repeat else ((0, 0),)
            trial = grid.copy()
            for _, by in copies:
                trial[voice, a + by : b + by] = pitch
            if any(faults(trial[:, max(0, a + by - 2) : b + by + 2]) for _, by in copies) or not _smooth(trial, a):
                continue
            grid = trial
            for offset, by in copies:
                if a == after:
                    late[voice][k + 1 + offset] = b - a
                else:
                    extra[voice][k + offset] = (a + by, pitch)
    for voice in range(4):
        line: list[tuple[int, int, int]] = []
        for k in range(n):
            start, end = 2 * starts[k], 2 * (starts[k] + lengths[k])
            if late[voice][k]:  # the suspended note is tied over from the chord before
                previous = line.pop()
                start += late[voice][k]
                line.append((previous[0], start, previous[2]))
            if k in extra[voice]:
                at, pitch = extra[voice][k]
                line += [(start, at, int(body[k, voice])), (at, end, pitch)]
            else:
                line.append((start, end, int(body[k, voice])))
        chorale.notes.append(line)


def _smooth(grid: np.ndarray, a: int) -> bool:
    """Whether the voices that move together at eighth ``a`` agree: a second or seventh between two would be noise."""
    moving = [v for v in range(4) if grid[v, a] != grid[v, a - 1]]
    for i in moving:
        for j in moving:
            if i < j and (grid[i, a] - grid[j, a]) % 12 in (1, 2, 5, 6, 10, 11):
                return False
    return all(abs(int(grid[i, a]) - int(grid[i + 1, a])) != 1 for i in range(3))


def _variant(chorale: Chorale, k: int, pitch: int) -> bool:
    """Whether a pitch agrees with chords ``k`` and ``k + 1``: no semitone clash with a tone that they alter or hold."""
    tones = {(chorale.tonic + tone) % 12 for tone in chorale.chords[k].tones}
    scale = {(chorale.tonic + tone) % 12 for tone in _MODES[chorale.mode].scale}
    altered = tones - scale
    return not any((pitch - tone) % 12 in (1, 11) for tone in altered)


def _between(p: int, q: int, chorale: Chorale, k: int, scale: tuple[int, ...]) -> int:
    """The passing note between two notes a third apart, or 0 where the mode has none."""
    degrees = set(scale)
    ends = {(p - chorale.tonic) % 12, (q - chorale.tonic) % 12}
    if 11 in ends and 11 not in degrees:  # toward or from the raised seventh degree, the sixth is raised too
        degrees |= {9}
    for pitch in range(min(p, q) + 1, max(p, q)):
        steps = (abs(pitch - p), abs(pitch - q))
        if (pitch - chorale.tonic) % 12 in degrees and max(steps) <= 2 and _variant(chorale, k, pitch):
            return pitch
    return 0


def _neighbour(p: int, chorale: Chorale, k: int, scale: tuple[int, ...], up: bool) -> int:
    """The neighbour note a step above or below, or 0 where the mode has none."""
    for size in (1, 2):
        pitch = p + size if up else p - size
        if (pitch - chorale.tonic) % 12 in scale and _variant(chorale, k, pitch):
            return pitch
    return 0
