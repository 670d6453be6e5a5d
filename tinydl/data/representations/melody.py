"""One tune as tokens: a pitch or a rest, then its length, bar by bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.base import Encoded, Representation, Step, check_pitches, check_tokens
from tinydl.data.representations.voices import tune
from tinydl.data.score import Meter, Score
from tinydl.errors import ConfigError

__all__ = ["METERS", "Melody"]

METERS = ((2, 2), (3, 2), (2, 4), (3, 4), (4, 4), (5, 4), (6, 4), (7, 4), (3, 8), (5, 8), (6, 8), (7, 8), (9, 8),
          (12, 8))  # fmt: skip


@dataclass(frozen=True)
class Melody(Representation):
    """int64 [L]: tokens of the grammar ``BOS ((METER? BAR)* (PITCH | REST) LENGTH+)* EOS``, made for folk tunes.

    ==========================  ================================================================================
    token                       meaning
    ==========================  ================================================================================
    0 PAD, 1 BOS, 2 EOS         filling, begin, end
    3 BAR                       a bar begins here (or began under the note before)
    4 REST                      silence, as long as the LENGTHs after it say
    5 .. 5+M                    METER: one of the M = 14 ``METERS`` (2/2 ... 12/8), or at the end any other;
                                stands before the first BAR and where the meter changes
    then P                      PITCH ``low + i``, as long as the LENGTHs after it say; P = high - low + 1
    then D                      LENGTH of i + 1 steps; D = ``max_length``; several in a row add up, longest first
    ==========================  ================================================================================

    Pitches and lengths alternate, so that a model learns p(pitch | past) and p(length | pitch, past) apart, and neither
    vocabulary multiplies the other. Rests end at bar lines (and go on after BAR), notes cross them. The default step of
    1/24 beat holds sixteenths, thirty-seconds and triplets of both exactly. With ``bars=False`` there is no BAR and no
    METER.

    The tune is one part of the file if there is one that is a single voice (the highest such), or else the highest
    notes (see :func:`tinydl.data.representations.voices.tune`).

    *Keeps* start, end and pitch of every note of the tune, exactly on the grid; the meter, where it is in the list (a
    change under a held note comes back at the end of that note).
    *Loses* all notes beside the tune (``other_voices``); velocities, tempos, keys, pedal.
    """

    name: ClassVar[str] = "melody"
    PAD: ClassVar[int] = 0
    BOS: ClassVar[int] = 1
    EOS: ClassVar[int] = 2
    BAR: ClassVar[int] = 3
    REST: ClassVar[int] = 4

    step: Step = "1/24"
    low: int = 36
    high: int = 96
    max_length: int = 96
    bars: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pitches(self.low, self.high)
        if self.max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {self.max_length}")

    @property
    def _first_pitch(self) -> int:
        return 5 + len(METERS) + 1

    @property
    def _first_length(self) -> int:
        return self._first_pitch + self.high - self.low + 1

    @property
    def vocabulary_size(self) -> int:
        return self._first_length + self.max_length

    def vocabulary(self) -> list[str]:
        """The name of every token, in order."""
        return [
            *("PAD", "BOS", "EOS", "BAR", "REST"),
            *(f"METER {n}/{d}" for n, d in METERS),
            "METER other",
            *(f"PITCH {pitch}" for pitch in range(self.low, self.high + 1)),
            *(f"LENGTH {n}" for n in range(1, self.max_length + 1)),
        ]

    def encode(self, score: Score) -> Encoded:
        rows, loss = self._rows(score, self.low, self.high)
        line, shortened, left_out = tune(rows)
        loss["shortened"] += shortened
        loss["other_voices"] = left_out
        loss["kept"] = len(line)
        tokens = [self.BOS]
        bar_lines = self._bar_lines(score, line[-1][1] if line else 0)
        bar_lines.reverse()  # the next one is popped from the end

        def pass_bar_lines(now: int) -> None:
            while bar_lines and bar_lines[-1][0] <= now:
                tokens.extend(bar_lines.pop()[1])

        now = 0
        for start, end, pitch in line:
            while now < start:
                pass_bar_lines(now)
                stop = min(start, bar_lines[-1][0]) if bar_lines else start
                tokens += (self.REST, *self._lengths(stop - now))
                now = stop
            pass_bar_lines(now)
            tokens += (self._first_pitch + pitch - self.low, *self._lengths(end - start))
            now = end
        tokens.append(self.EOS)
        if self.bars and "meters" in loss["not_kept"]:
            others = [f"{m.numerator}/{m.denominator}" for m in score.meters if _meter_of(m) == len(METERS)]
            loss["not_kept"].remove("meters")
            loss["not_kept"] += [f"meter {name}" for name in dict.fromkeys(others)]
        return Encoded(np.array(tokens, dtype=np.int64), loss)

    def _lengths(self, steps: int) -> list[int]:
        whole, rest = divmod(steps, self.max_length)
        tokens = [self._first_length + self.max_length - 1] * whole
        return [*tokens, self._first_length + rest - 1] if rest else tokens

    def _bar_lines(self, score: Score, end: int) -> list[tuple[int, list[int]]]:
        """(step, tokens) of the bar lines before step ``end``: BAR, after METER where that changes."""
        if not self.bars:
            return []
        lines: list[tuple[int, list[int]]] = []
        meter = -1
        for tick, entry in score.bars(self.to_tick(end, score.ticks_per_beat)):
            step = self.to_step(tick, score.ticks_per_beat)
            if step >= end or (lines and lines[-1][0] == step):  # bars shorter than a step cannot be told apart
                continue
            found = _meter_of(entry)
            lines.append((step, [self.BAR] if found == meter else [5 + found, self.BAR]))
            meter = found
        return lines

    def decode(
        self, data: npt.NDArray[Any], *, like: Score | None = None, velocity: int = 80, program: int = 0
    ) -> Score:
        """Any sequence of tokens is a tune: LENGTHs belong to the PITCH or REST last named (before any, to a rest), a
        PITCH without LENGTH is none, BAR and PAD take no time, EOS ends the tune. Meters are those of the METER tokens
        unless ``like`` gives them.

        Raises ``ValueError`` for a token outside the vocabulary.
        """
        notes: list[tuple[int, int, int, int]] = []
        meters: dict[int, tuple[int, int]] = {}
        pitch, start, now, last = -1, 0, 0, self._last_step()
        for token in [*check_tokens(data, self.vocabulary_size), self.EOS]:
            if token >= self._first_length:
                now += token - self._first_length + 1
                continue
            if token in (self.PAD, self.BOS, self.BAR):
                continue
            if 5 <= token < self._first_pitch:
                if token - 5 < len(METERS):
                    meters[now] = METERS[token - 5]
                continue
            if pitch >= 0 and now > start:
                notes.append((start, now, pitch, 0))
            if token == self.EOS or now >= last:
                break
            start = now
            pitch = -1 if token == self.REST else token - self._first_pitch + self.low
        score = self._blank(like)
        if like is None:
            score.meters = [
                Meter(self.to_tick(step, score.ticks_per_beat), *meter) for step, meter in meters.items() if step < last
            ]
        score.programs[0, 0] = program
        return self._add_notes(score, notes, velocity)

    def places(self, data: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], list[tuple[int, int, int, int]]]:
        """Where the tokens of an encoded tune stand: the step of each, int64 [L], and (start, pitch, first, stop) of
        every note, whose tokens are ``data[first:stop]``.

        The LENGTHs of a note or rest stand where it begins, BAR and METER where the note or rest after them does, EOS
        at the end.
        """
        tokens = check_tokens(data, self.vocabulary_size)
        steps = np.zeros(len(tokens), np.int64)
        notes: list[tuple[int, int, int, int]] = []
        start = now = 0  # of the note or rest whose LENGTHs are read, and after them
        for i, token in enumerate(tokens):
            if token >= self._first_length:
                now += token - self._first_length + 1
                if notes and notes[-1][3] == i:
                    notes[-1] = (*notes[-1][:3], i + 1)
            else:
                start = now
                if token >= self._first_pitch:
                    notes.append((now, token - self._first_pitch + self.low, i, i + 1))
            steps[i] = start
        return steps, notes


def _meter_of(meter: Meter) -> int:
    """The index of a meter in METERS, or the number of them for any other."""
    pair = (meter.numerator, meter.denominator)
    return METERS.index(pair) if pair in METERS else len(METERS)
