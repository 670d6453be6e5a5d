"""The piano-roll: which pitches sound in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.base import Encoded, Representation, check_pitches
from tinydl.data.score import Score

__all__ = ["PianoRoll", "runs"]


@dataclass(frozen=True)
class PianoRoll(Representation):
    """bool [T, P]: ``data[t, p]`` is true while pitch ``low + p`` sounds in step t; P = high - low + 1, 88 by default.

    The form of Boulanger-Lewandowski, Bengio, Vincent (ICML 2012). T ends with the last note.

    *Keeps* for each pitch the steps in which it sounds, exactly, for notes on the grid.
    *Loses* where a note is struck again at once: notes of one pitch that touch or overlap come back as one
    (``merged``). Also velocities, who plays a note, tempos, meters, keys, pedal.
    """

    name: ClassVar[str] = "roll"

    low: int = 21
    high: int = 108

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pitches(self.low, self.high)

    def encode(self, score: Score) -> Encoded:
        rows, loss = self._rows(score, self.low, self.high)
        roll = np.zeros((int(rows[:, 1].max(initial=0)), self.high - self.low + 1), dtype=np.bool_)
        for start, end, pitch in rows[:, :3].tolist():
            roll[start:end, pitch - self.low] = True
        loss["kept"] = int(np.count_nonzero(roll[:1]) + np.count_nonzero(roll[1:] > roll[:-1]))  # where runs begin
        loss["merged"] = len(rows) - loss["kept"]
        return Encoded(roll, loss)

    def decode(
        self, data: npt.NDArray[Any], *, like: Score | None = None, velocity: int = 80, program: int = 0
    ) -> Score:
        """One note per run of true values in a column; any [T, P] array of numbers, true where it is not 0.

        Raises ``ValueError`` for another shape.
        """
        roll = np.asarray(data) != 0
        pitches = self.high - self.low + 1
        if roll.ndim != 2 or roll.shape[1] != pitches:
            raise ValueError(f"expected a roll of shape [T, {pitches}], got {list(roll.shape)}")
        columns, starts, ends = runs(roll)
        score = self._blank(like)
        score.programs[0, 0] = program
        notes = [(s, e, self.low + p, 0) for s, e, p in zip(starts.tolist(), ends.tolist(), columns.tolist())]
        return self._add_notes(score, notes, velocity)


def runs(roll: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Columns, first steps and ends (exclusive) of the runs of true values: each intp [R]."""
    edges = np.diff(roll.T.astype(np.int8), axis=1, prepend=0, append=0)  # [P, T + 1]: 1 at a start, -1 after an end
    columns, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)  # in the same order: row by row, and runs of one row alternate
    return columns, starts, ends
