"""Four-part music: what soprano, alto, tenor and bass do in each step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.base import Encoded, Representation, as_step
from tinydl.data.representations.voices import Line, four_voices, one_at_a_time
from tinydl.data.score import Score
from tinydl.errors import ConfigError

__all__ = ["VOICES", "Chorale"]

VOICES = ("Soprano", "Alto", "Tenor", "Bass")


@dataclass(frozen=True)
class Chorale(Representation):
    """int64 [T, 4]: columns soprano, alto, tenor, bass; in each step a pitch 0..127 that is struck there, ``HOLD`` (-2)
    while it goes on, or ``REST`` (-1). A step is a sixteenth by default; T ends with the last note.

    Read from four parts (tracks or channels) of one voice each, or else by assigning up to four simultaneous notes to
    the voices (see :func:`tinydl.data.representations.voices.four_voices`). Decoding gives four tracks, on channels 0
    to 3, named after the voices.

    Fields: ``low`` and ``high``, the lowest and highest pitch that is kept; ``strikes``: with False there is no
    ``HOLD``: every step has the pitch that sounds, and equal neighbours are one note.

    *Keeps* start, end and pitch of every note of four-part music, exactly on the grid, and who sings it.
    *Loses* a fifth simultaneous note (``other_voices``); pitches beyond ``low`` and ``high``; without ``strikes``,
    where a note is struck again at once (``merged``); velocities, tempos, meters, keys, pedal.
    """

    name: ClassVar[str] = "chorale"

    low: int = 0
    high: int = 127
    strikes: bool = True
    REST: ClassVar[int] = -1
    HOLD: ClassVar[int] = -2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.low <= self.high <= 127:
            raise ConfigError(f"need 0 <= low <= high <= 127, got low={self.low}, high={self.high}")

    @property
    def beat_steps(self) -> int:
        """q of a step of p/q beats: after so many steps, which are p beats, the place in the beat is the same again."""
        return as_step(self.step).denominator

    def encode(self, score: Score) -> Encoded:
        rows, loss = self._rows(score, self.low, self.high)
        lines, shortened, left_out = four_voices(rows)
        loss["shortened"] += shortened
        loss["other_voices"] = left_out
        loss["kept"] = sum(map(len, lines))
        length = max((line[-1][1] for line in lines if line), default=0)
        data = np.full((length, 4), self.REST, dtype=np.int64)
        for voice, line in enumerate(lines):
            self._enter(line, data[:, voice])
            if not self.strikes:
                again = sum(a[1] == b[0] and a[2] == b[2] for a, b in pairwise(line))
                loss["merged"] += again
                loss["kept"] -= again
        return Encoded(data, loss)

    def voice(self, score: Score) -> npt.NDArray[np.int64]:
        """The notes of a score as one voice, int64 [T]: a new note ends the one before it, the highest of several."""
        line, _, _ = one_at_a_time(sorted(self._rows(score, self.low, self.high)[0].tolist()))
        column = np.full(line[-1][1] if line else 0, self.REST, dtype=np.int64)
        self._enter(line, column)
        return column

    def _enter(self, line: Line, column: npt.NDArray[np.int64]) -> None:
        """Write the notes of one voice into its column of a piece."""
        for start, end, pitch in line:
            column[start] = pitch
            column[start + 1 : end] = self.HOLD if self.strikes else pitch

    @property
    def symbols(self) -> int:
        """How many values an entry can take: a rest, HOLD (with ``strikes``), and the pitches from low to high."""
        return 1 + self.strikes + self.high - self.low + 1

    def codes(self, data: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The entries of an array as 0 ... symbols - 1: REST is 0, HOLD 1 (with ``strikes``), then come the pitches."""
        first = 1 + self.strikes - self.low
        return np.where(data >= 0, data + first, np.where(data == self.REST, 0, 1)).astype(np.int64)

    def of_codes(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The inverse of :meth:`codes`."""
        special = 1 + self.strikes
        values = codes - special + self.low
        return np.where(codes >= special, values, np.where(codes == 0, self.REST, self.HOLD)).astype(np.int64)

    def within(self, allowed: npt.NDArray[np.bool_], sounding: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which symbols may stand where the pitch classes ``allowed`` [12] may sound, and a voice sounded ``sounding``
        [...] before (REST: nothing): bool [..., symbols]. Among them are always a rest, and HOLD after one."""
        pitches = np.arange(self.low, self.high + 1) % 12
        found = np.ones((*sounding.shape, self.symbols), np.bool_)
        found[..., 1 + self.strikes :] = allowed[pitches]
        if self.strikes:
            found[..., 1] = (sounding < 0) | allowed[sounding % 12]
        return found

    def onsets(self, data: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """bool [T, V]: where notes begin in an array [T, V] of this representation."""
        grid = np.asarray(data)
        begins: npt.NDArray[np.bool_] = grid >= 0
        if not self.strikes:
            begins[1:] &= grid[1:] != grid[:-1]
        return begins

    def of_sounding(self, pitches: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The array of a piece whose voices sound ``pitches``, int64 [T, 4] with -1 for rests; equal neighbours are one
        note."""
        data = np.array(pitches, dtype=np.int64)
        if self.strikes:
            data[1:][(pitches[1:] == pitches[:-1]) & (pitches[1:] >= 0)] = self.HOLD
        return data

    def sounding(self, data: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The pitch that each voice sounds in each step, int64 [T, V] with -1 for rests, of an array [T, V] of this
        representation."""
        grid = np.asarray(data, dtype=np.int64)
        struck = np.where(grid != self.HOLD, np.arange(len(grid))[:, None], -1)
        last = np.maximum.accumulate(struck, axis=0)
        return np.where(last < 0, self.REST, np.take_along_axis(grid, np.maximum(last, 0), axis=0))

    def decode(
        self, data: npt.NDArray[Any], *, like: Score | None = None, velocity: int = 80, program: int = 0
    ) -> Score:
        """Any array of values -2..127 is a piece: HOLD without a note to hold is a rest.

        Raises ``ValueError`` for another shape or value.
        """
        grid = np.asarray(data)
        if grid.ndim != 2 or grid.shape[1] != 4:
            raise ValueError(f"expected a chorale of shape [T, 4], got {list(grid.shape)}")
        if grid.size and (grid.dtype.kind not in "iu" or grid.min() < self.HOLD or grid.max() > 127):
            raise ValueError(f"expected whole numbers -2 (hold), -1 (rest) and 0..127, got {grid.dtype} "
                             f"from {grid.min()} to {grid.max()}")  # fmt: skip
        notes: list[tuple[int, int, int, int]] = []
        for voice, column in enumerate(grid.T.tolist()):
            pitch, start = -1, 0
            for step, value in enumerate([*column, self.REST]):
                if value == self.HOLD:
                    continue
                if value == pitch and not self.strikes:
                    continue
                if pitch >= 0:
                    notes.append((start, step, pitch, voice))
                pitch, start = value, step
        score = self._blank(like)
        for voice, name in enumerate(VOICES):
            score.programs[voice, voice] = program
            score.track_names[voice] = name
        return self._add_notes(score, notes, velocity)
