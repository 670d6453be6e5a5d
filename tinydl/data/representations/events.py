"""Event tokens: note-on, note-off and time-shift, in the manner of Performance RNN without its velocities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.base import (
    Encoded,
    Representation,
    Step,
    check_pitches,
    check_tokens,
    one_line_of_each_pitch,
)
from tinydl.data.score import Score
from tinydl.errors import ConfigError

__all__ = ["Events"]


@dataclass(frozen=True)
class Events(Representation):
    """int64 [L]: tokens of the grammar ``BOS (OFF* ON* SHIFT)* EOS`` (Oore et al., *This Time with Feeling*, 2018).

    =====================  ==================================================================
    token                  meaning
    =====================  ==================================================================
    0 PAD, 1 BOS, 2 EOS    filling, begin, end
    3 .. 3+P-1             ON pitch ``low + i``; P = high - low + 1
    3+P .. 3+2P-1          OFF pitch ``low + i``
    3+2P .. 3+2P+S-1       SHIFT by i + 1 steps; S = ``max_shift``
    =====================  ==================================================================

    Within a step, OFF comes before ON, both by rising pitch; a time longer than S steps is several SHIFTs, the longest
    first. The default step of 1/24 beat holds sixteenths, thirty-seconds and triplets of both exactly.

    *Keeps* start, end and pitch of every note, exactly on the grid, struck again or not.
    *Loses* one of two notes that play the same pitch at the same time (``merged``, ``shortened``); velocities, who
    plays a note, tempos, meters, keys, pedal.
    """

    name: ClassVar[str] = "events"
    PAD: ClassVar[int] = 0
    BOS: ClassVar[int] = 1
    EOS: ClassVar[int] = 2

    step: Step = "1/24"
    low: int = 21
    high: int = 108
    max_shift: int = 96

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pitches(self.low, self.high)
        if self.max_shift < 1:
            raise ConfigError(f"max_shift must be at least 1, got {self.max_shift}")

    @property
    def vocabulary_size(self) -> int:
        return 3 + 2 * (self.high - self.low + 1) + self.max_shift

    def vocabulary(self) -> list[str]:
        """The name of every token, in order."""
        pitches = range(self.low, self.high + 1)
        shifts = range(1, self.max_shift + 1)
        return ["PAD", "BOS", "EOS", *(f"ON {p}" for p in pitches), *(f"OFF {p}" for p in pitches),
                *(f"SHIFT {n}" for n in shifts)]  # fmt: skip

    def encode(self, score: Score) -> Encoded:
        rows, loss = self._rows(score, self.low, self.high)
        on = 3 - self.low
        off = on + self.high - self.low + 1
        shift = 3 + 2 * (self.high - self.low + 1) - 1
        events = []  # (step, token); within a step OFF (rank 0) before ON
        for start, end, pitch in one_line_of_each_pitch(rows, loss):
            events.append((start, 1, on + pitch))
            events.append((end, 0, off + pitch))
        events.sort()
        tokens, now = [self.BOS], 0
        for time, _, token in events:
            while now < time:
                length = min(time - now, self.max_shift)
                tokens.append(shift + length)
                now += length
            tokens.append(token)
        tokens.append(self.EOS)
        return Encoded(np.array(tokens, dtype=np.int64), loss)

    def decode(
        self, data: npt.NDArray[Any], *, like: Score | None = None, velocity: int = 80, program: int = 0
    ) -> Score:
        """Any sequence of tokens is a piece: ON of a sounding pitch strikes it again, OFF of a silent one does nothing,
        what sounds at the end ends there, a note without a step between ON and OFF is none; PAD and BOS are passed over
        and EOS ends the piece.

        Raises ``ValueError`` for a token outside the vocabulary.
        """
        pitches = self.high - self.low + 1
        sounding: dict[int, int] = {}
        notes: list[tuple[int, int, int, int]] = []
        now, last = 0, self._last_step()

        def close(pitch: int) -> None:
            start = sounding.pop(pitch, now)
            if start < now:
                notes.append((start, now, pitch, 0))

        for token in check_tokens(data, self.vocabulary_size):
            if token == self.EOS or now >= last:
                break
            if token < 3:
                continue
            if token < 3 + pitches:
                close(token - 3 + self.low)
                sounding[token - 3 + self.low] = now
            elif token < 3 + 2 * pitches:
                close(token - 3 - pitches + self.low)
            else:
                now += token - 2 - 2 * pitches
        for pitch in list(sounding):
            close(pitch)
        score = self._blank(like)
        score.programs[0, 0] = program
        return self._add_notes(score, notes, velocity)
