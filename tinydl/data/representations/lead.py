"""A tune with its chords, as on a lead sheet: what a model reads that writes the one above the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.base import Encoded
from tinydl.data.representations.grid import Grid
from tinydl.data.representations.voices import tune
from tinydl.data.score import Score

__all__ = ["CHORDS", "TRIADS", "Lead"]

_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

#: The name of every chord: none, the major triads by their roots, the minor ones.
CHORDS = ("", *_NAMES, *(f"{name}m" for name in _NAMES))

#: Which pitch classes are of each chord: bool [25, 12].
TRIADS = np.zeros((25, 12), np.bool_)
for _root in range(12):
    TRIADS[1 + _root, [_root, (_root + 4) % 12, (_root + 7) % 12]] = True
    TRIADS[13 + _root, [_root, (_root + 3) % 12, (_root + 7) % 12]] = True

SOFTER = 20  # the chords are played, in velocity
_LOWEST = 48  # the roots of chords that are played: C3 to B3
_BASS = 0.5  # by how much a root counts more than the other notes where it is the bass on which the bar begins


@dataclass(frozen=True)
class Lead(Grid):
    """int64 [T, 2]: in each step the event of the tune, as in :class:`Grid`, and the chord of the bar.

    =========  =========================================
    chord      meaning
    =========  =========================================
    0          none: nothing sounds beside the tune
    1 + r      the major triad on pitch class r (0 is C)
    13 + r     the minor triad
    =========  =========================================

    A bar has one chord: the triad whose notes sound longest in it beside the tune; where two sound as long, the one on
    whose root the bar begins. The seventh chord on G is the triad on G, then, and of two chords in a bar the longer one
    is kept.

    *Keeps* start, end and pitch of every note of the tune, exactly on the grid, and the harmony bar by bar.
    *Loses* what ``grid`` loses; of the chords their notes, rhythm and kind beyond major and minor. Decoding plays
    each as a triad that lasts the bar, on a track of its own.
    """

    name: ClassVar[str] = "lead"

    def encode(self, score: Score) -> Encoded:
        encoded = super().encode(score)
        events = encoded.data
        data = np.stack([events, np.repeat(self._chords(score, len(events) // self.bar_steps), self.bar_steps)], 1)
        return Encoded(data, encoded.loss)

    def _chords(self, score: Score, bars: int) -> npt.NDArray[np.int64]:
        """The chord of each bar, int64 [bars]."""
        rows, _ = self._rows(score, 0, 127)
        inside, _ = self._rows(score, self.low, self.high)  # the same tune as that of the grid
        of_tune = {(start, pitch) for start, _, pitch in tune(inside)[0]}
        beside = [row for row in rows[:, :3].tolist() if (row[0], row[2]) not in of_tune]
        length = np.zeros((bars, 12))
        first: dict[int, tuple[int, int]] = {}  # of each bar, the lowest of the notes that sound earliest
        for start, end, pitch in beside:
            for bar in range(start // self.bar_steps, min(bars, -(-end // self.bar_steps))):
                begin = max(start, bar * self.bar_steps)
                length[bar, pitch % 12] += min(end, (bar + 1) * self.bar_steps) - begin
                first[bar] = min(first.get(bar, (begin, pitch)), (begin, pitch))
        for bar, (_, pitch) in first.items():
            length[bar, pitch % 12] *= 1 + _BASS
        fits = length @ TRIADS.T
        return np.where(length.any(1), fits.argmax(1), 0)

    def decode(
        self, data: npt.NDArray[Any], *, like: Score | None = None, velocity: int = 80, program: int = 0
    ) -> Score:
        """Any sequence of events is a tune, as in :meth:`Grid.decode`; a chord is struck where a bar begins, and where
        it changes.

        Raises ``ValueError`` for arrays of another shape, an event outside the vocabulary, or no such chord.
        """
        data = np.asarray(data)
        if data.ndim != 2 or data.shape[1] != 2:
            raise ValueError(f"expected events and chords [T, 2], got the shape {list(data.shape)}")
        chords = data[:, 1]
        if len(chords) and not (0 <= chords.min() and chords.max() < len(TRIADS)):
            raise ValueError(f"chords are 0 to {len(TRIADS) - 1}, got {chords.min()} to {chords.max()}")
        score = super().decode(data[:, 0], like=like, velocity=velocity, program=program)
        new = np.ones(len(chords), np.bool_)
        new[1:] = chords[1:] != chords[:-1]
        new[:: self.bar_steps] = True
        starts = np.flatnonzero(new).tolist()
        notes = []
        for start, end in zip(starts, [*starts[1:], len(chords)]):
            if chords[start]:
                root = int(chords[start] - 1) % 12
                classes = np.flatnonzero(TRIADS[chords[start]])
                notes += [(start, end, _LOWEST + root + (int(pitch) - root) % 12, 1) for pitch in classes]
        score.programs[1, 1] = program
        score.track_names = {**score.track_names, 0: "Melody", 1: "Chords"}
        accompaniment = self._add_notes(score, notes, max(1, velocity - SOFTER))
        return replace(score, notes=[*score.notes, *accompaniment.notes])
