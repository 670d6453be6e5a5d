"""One tune on a grid of steps, in whole bars of one meter: what models of bars read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.base import (
    Encoded,
    Representation,
    as_step,
    bars_to_steps,
    check_pitches,
    check_tokens,
)
from tinydl.data.representations.voices import tune
from tinydl.data.score import Meter, Score
from tinydl.errors import ConfigError, DataError

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid(Representation):
    """int64 [T]: what the tune does in each step, the events of MusicVAE (Roberts et al. 2018, arXiv:1803.05428).

    ==========  ======================================================
    token       meaning
    ==========  ======================================================
    0 HOLD      nothing happens: the note, or the silence, goes on
    1 REST      silence begins (a note ends, and none begins)
    2 + i       the pitch ``low + i`` is struck
    ==========  ======================================================

    T is a whole number of bars of ``meter``; the last one is filled up with silence. A piece that has bars of another
    length anywhere under its notes is refused with :class:`tinydl.errors.DataError`, since bars are what the models of
    this representation learn (2/2 is as long as 4/4, and 6/8 as 3/4). The tune is found as for ``melody``.

    *Keeps* start, end and pitch of every note of the tune, exactly on the grid.
    *Loses* all notes beside the tune (``other_voices``); velocities, tempos, keys, pedal; of the meter its name.
    """

    name: ClassVar[str] = "grid"
    HOLD: ClassVar[int] = 0
    REST: ClassVar[int] = 1

    low: int = 36
    high: int = 96
    meter: str = "4/4"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pitches(self.low, self.high)
        if bars_to_steps(1, self._meter, self.step) * as_step(self.step) != self._bar.beats:
            raise ConfigError(f"a bar of {self.meter} is no whole number of steps of {as_step(self.step)} beats")

    @property
    def _meter(self) -> tuple[int, int]:
        over, slash, under = self.meter.partition("/")
        if not (slash and over.isdecimal() and under.isdecimal() and int(over) and int(under) in (1, 2, 4, 8, 16)):
            raise ConfigError(f"meter {self.meter!r} is none such as '4/4' or '6/8'")
        return int(over), int(under)

    @property
    def _bar(self) -> Meter:
        return Meter(0, *self._meter)

    @property
    def bar_steps(self) -> int:
        """Steps in a bar."""
        return bars_to_steps(1, self._meter, self.step)

    @property
    def vocabulary_size(self) -> int:
        return 2 + self.high - self.low + 1

    def vocabulary(self) -> list[str]:
        """The name of every token, in order."""
        return ["HOLD", "REST", *(f"PITCH {pitch}" for pitch in range(self.low, self.high + 1))]

    def steps(self, bars: int, meter: Meter | tuple[int, int] | None = None) -> int:
        """How many steps hold ``bars`` bars of ``meter`` (default: its own)."""
        return bars_to_steps(bars, meter or self._meter, self.step)

    def encode(self, score: Score) -> Encoded:
        rows, loss = self._rows(score, self.low, self.high)
        line, shortened, left_out = tune(rows)
        loss["shortened"] += shortened
        loss["other_voices"] = left_out
        loss["kept"] = len(line)
        end = max((note[1] for note in line), default=0)
        self._check_bars(score, end)
        bar = self.bar_steps
        data = np.full(-(-end // bar) * bar, self.HOLD, np.int64)
        free = 0  # where the note before ended
        for start, stop, pitch in line:
            if start > free:
                data[free] = self.REST
            data[start] = 2 + pitch - self.low
            free = stop
        if 0 < free < len(data):
            data[free] = self.REST
        if "meters" in loss["not_kept"]:
            loss["not_kept"].remove("meters")
        return Encoded(data, loss)

    def _check_bars(self, score: Score, end: int) -> None:
        for i, (tick, meter) in enumerate(score.bars(self.to_tick(end, score.ticks_per_beat))):
            if meter.beats != self._bar.beats:
                what = f"bar {i + 1} is in {meter.numerator}/{meter.denominator}"
            elif self.to_step(tick, score.ticks_per_beat) != i * self.bar_steps:
                what = f"bar {i} is cut short by a change of meter"
            else:
                continue
            raise DataError(f"{what}, and all bars must be as long as one of {self.meter}")

    def within(self, allowed: npt.NDArray[np.bool_], sounding: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which tokens may stand where the pitch classes ``allowed`` [12] may sound, behind the events ``sounding``
        [...] (a pitch, or REST): bool [..., vocabulary_size]. Among them are always a rest, and HOLD after one."""
        found = np.ones((*sounding.shape, self.vocabulary_size), np.bool_)
        found[..., 2:] = allowed[np.arange(self.low, self.high + 1) % 12]
        found[..., self.HOLD] = (sounding == self.REST) | allowed[(sounding - 2 + self.low) % 12]
        return found

    def decode(
        self, data: npt.NDArray[Any], *, like: Score | None = None, velocity: int = 80, program: int = 0
    ) -> Score:
        """Any sequence of tokens is a tune: HOLD before the first note is silence. The meter is ``meter`` unless
        ``like`` gives others.

        Raises ``ValueError`` for a token outside the vocabulary.
        """
        notes: list[tuple[int, int, int, int]] = []
        pitch, start = -1, 0
        for step, token in enumerate([*check_tokens(data, self.vocabulary_size), self.REST]):
            if token == self.HOLD:
                continue
            if pitch >= 0:
                notes.append((start, step, pitch, 0))
            pitch, start = (-1 if token == self.REST else token - 2 + self.low), step
        score = self._blank(like)
        if like is None:
            score.meters = [self._bar]
        score.programs[0, 0] = program
        return self._add_notes(score, notes, velocity)
