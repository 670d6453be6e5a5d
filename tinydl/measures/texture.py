"""A score as what sounds when: the one view of a piece that all measures share.

Time is counted in *slots*, :data:`GRID` of them in a beat (quarter note), so that sixteenths, thirty-seconds and
triplets of both fall on whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinydl.data.score import DRUM_CHANNEL, Score

__all__ = ["GRID", "Line", "Texture", "texture"]

GRID = 24  # slots in a beat
PITCHES = 128

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Line:
    """One voice: its notes' pitches and the slots at which they begin, each int64 [K]."""

    pitches: Ints
    starts: Ints

    @property
    def intervals(self) -> Ints:
        """Semitones from each note to the next, int64 [K - 1]."""
        return np.diff(self.pitches)


@dataclass(frozen=True, slots=True)
class Texture:
    """What sounds when.

    Attributes:
        notes: int64 [N, 3]: start and end in slots, pitch; sorted by start, then pitch.
        times: int64 [S + 1]: the slots at which any note begins or ends; segment s lasts from times[s] to times[s + 1],
            and nothing changes inside it. Empty for a piece without notes.
        sounding: bool [S, 128]: the pitches that sound in each segment.
        struck: bool [S, 128]: those of them that begin with it.
        bars: int64 [M + 1]: the bar lines in slots, from 0, the end of the last bar included.
    """

    notes: Ints
    times: Ints
    sounding: npt.NDArray[np.bool_]
    struck: npt.NDArray[np.bool_]
    bars: Ints

    @property
    def lengths(self) -> Ints:
        """The length of every segment in slots, int64 [S]."""
        return np.diff(self.times)

    @property
    def events(self) -> npt.NDArray[np.intp]:
        """The segments in which a note begins: the piece without its mere releases, intp [E]."""
        return np.flatnonzero(self.struck.any(axis=1))

    def line(self, upper: bool = True) -> Line:
        """The outer voice: at every event, the highest (or lowest) sounding note, where it is struck there.

        A held note below (above) that is uncovered by a release is no new note of the line.
        """
        events = self.events
        sounding = self.sounding[events]
        outer = PITCHES - 1 - sounding[:, ::-1].argmax(axis=1) if upper else sounding.argmax(axis=1)
        new = self.struck[events, outer]
        return Line(outer[new].astype(np.int64), self.times[events[new]])


def texture(score: Score, *, begin: float = 0.0, beats: float = math.inf) -> Texture:
    """The texture of a score without its drums (channel 9), rounded to slots (half up; no note shorter than one).

    Args:
        score: the piece.
        begin: notes that begin before this beat are left out; bar lines stay where they are.
        beats: only the first so many beats; notes that go on are cut there.
    """
    rows = score.array()
    rows = rows[rows[:, 4] != DRUM_CHANNEL]
    notes = (2 * rows[:, :3] * GRID + score.ticks_per_beat) // (2 * score.ticks_per_beat)
    notes[:, 2] = rows[:, 2]
    notes[:, 1] = np.maximum(notes[:, 1], notes[:, 0] + 1)
    stop = math.ceil(beats * GRID) if beats < math.inf else np.iinfo(np.int64).max
    notes = notes[(notes[:, 0] >= round(begin * GRID)) & (notes[:, 0] < stop)]
    notes[:, 1] = np.minimum(notes[:, 1], stop)
    times = np.unique(notes[:, :2])
    segments = max(0, len(times) - 1)
    first, last = np.searchsorted(times, notes[:, 0]), np.searchsorted(times, notes[:, 1])
    change = np.zeros((segments + 1, PITCHES), np.int32)
    np.add.at(change, (first, notes[:, 2]), 1)
    np.add.at(change, (last, notes[:, 2]), -1)
    struck = np.zeros((segments, PITCHES), np.bool_)
    struck[first, notes[:, 2]] = True
    return Texture(notes, times, change.cumsum(axis=0)[:-1] > 0, struck, _bar_lines(score, notes))


def _bar_lines(score: Score, notes: Ints) -> Ints:
    end = int(notes[:, 1].max(initial=0))
    lines = score.bars(-(-end * score.ticks_per_beat // GRID))
    if not lines:
        return np.zeros(1, np.int64)
    slots = [(2 * tick * GRID + score.ticks_per_beat) // (2 * score.ticks_per_beat) for tick, _ in lines]
    slots.append(max(slots[-1] + 1, slots[-1] + round(lines[-1][1].beats * GRID)))
    return np.unique(np.array(slots, np.int64))
