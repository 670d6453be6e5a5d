"""Bars of tunes with their chords and the bars before them, as convolutional models of bars read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.data.representations.lead import Lead

NONE = -1  # in a step of the bar before the first


@dataclass(frozen=True)
class Bars:
    """Bars of tunes, and what stands beside each.

    Attributes:
        now: the pitch in each step, counted from ``low``: int64 [N, w].
        before: those of the bar before; NONE is silence.
        chord: int64 [N], as :data:`tinydl.data.representations.lead.CHORDS` counts them.
    """

    now: NDArray[np.int64]
    before: NDArray[np.int64]
    chord: NDArray[np.int64]

    def __getitem__(self, which: Any) -> Bars:
        return Bars(self.now[which], self.before[which], self.chord[which])

    def moved(self, shift: NDArray[np.int64], pitches: int) -> Bars:
        """Each in another key, by semitones [N]; or an octave from there, where the pitches leave their range."""
        both = np.concatenate([self.before, self.now], 1)
        low, high = np.where(both < 0, pitches, both).min(1), both.max(1)
        shift = np.where(low + shift < 0, shift + 12, np.where(high + shift >= pitches, shift - 12, shift))
        shift = np.where((low + shift < 0) | (high + shift >= pitches), 0, shift)
        root, minor = (self.chord - 1) % 12, self.chord > 12
        chord = np.where(self.chord > 0, 1 + (root + shift) % 12 + 12 * minor, 0)
        before = np.where(self.before < 0, NONE, self.before + shift[:, None])
        return Bars(self.now + shift[:, None], before, chord)


def bars_of(piece: NDArray[np.int64], width: int) -> Bars:
    """All whole bars, of ``width`` steps, of a piece, int64 [T, 2] (:class:`Lead`)."""
    piece = piece[: len(piece) // width * width]
    now = lines(piece[:, 0]).reshape(-1, width)
    before = np.concatenate([np.full((1, width), NONE), now])[:-1]
    return Bars(now, before, piece[::width, 1])


def lines(events: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pitch in each step, counted from ``low``, of events [T] with at least one note among them: a rest is filled
    by the note before it, and what comes before the first note by that."""
    struck = np.flatnonzero(events > Lead.REST)
    last = np.searchsorted(struck, np.arange(len(events)), "right") - 1
    return events[struck[np.maximum(last, 0)]] - 2


def together(several: Sequence[Bars]) -> Bars:
    """All bars in one."""
    return Bars(*(np.concatenate([getattr(bars, name) for bars in several]) for name in ("now", "before", "chord")))
