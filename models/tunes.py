"""What models of tunes on a grid have in common: their options.

A tune is one voice in whole bars of one meter, int64 [T], in the ``grid`` representation: in each step a pitch is
struck, a silence begins, or what was goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinydl.data.representations import Grid
from tinydl.training import Recipe


@dataclass(frozen=True)
class TunesConfig(Recipe):
    """Options that all models of tunes on a grid have; those of training are explained at
    :class:`tinydl.training.Recipe`.

    Attributes:
        step: length of a grid step in beats (quarter notes).
        low, high: the range of pitches, as MIDI numbers.
        meter: tunes in other meters are left out.
    """

    step: str = "1/4"
    low: int = 36
    high: int = 96
    meter: str = "4/4"

    def encoding(self) -> Grid:
        """The representation; ConfigError where it cannot be."""
        return Grid(step=self.step, low=self.low, high=self.high, meter=self.meter)
