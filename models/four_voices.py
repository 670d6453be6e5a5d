"""What models of four voices have in common: their alphabet, their windows on it, and the music that they refuse.

A piece is a chorale: T steps of soprano, alto, tenor and bass, int64 [T, 4], in the ``chorale`` representation. Each
entry is one of V symbols: a rest, a pitch from ``low`` to ``high``, and where notes are struck HOLD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.data.representations import Chorale
from tinydl.data.transposing import transpose_each
from tinydl.errors import DataError
from tinydl.random import Generator
from tinydl.training import Batch, Recipe

USUAL = 0.5  # the share of sounding steps in which all four voices must sing


@dataclass(frozen=True)
class VoicesConfig(Recipe):
    """Options that all models of four voices have; those of training are explained at :class:`tinydl.training.Recipe`.

    Attributes:
        step: length of a step in beats (quarter notes).
        low, high: the lowest and the highest pitch, as MIDI numbers.
        transpose: in training a piece is moved by up to so many semitones either way, as far as low and high allow.
    """

    step: str = "1/4"
    low: int = 36
    high: int = 84
    transpose: int = 6
    context: int = 0
    chunk: int = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("low", 0 <= self.low <= 127, "a MIDI pitch, 0 to 127")
        self._require("high", self.low <= self.high <= 127, f"a MIDI pitch from low, {self.low}, to 127")
        self._require("transpose", self.transpose >= 0, "0 or more")


def require_four_voices(model: str, encoding: Chorale, pieces: Sequence[NDArray[Any]]) -> None:
    """Raise DataError, in one sentence, when most of the music is not in four voices."""
    counts = np.concatenate([(encoding.sounding(piece) >= 0).sum(1) for piece in pieces])
    counts = counts[counts > 0]
    if (counts == 4).mean() >= USUAL:
        return
    usual = int(np.bincount(counts).argmax())
    fits = "melody-lstm learns from single voices" if usual == 1 else "lstm-nade learns from any number of notes"
    raise DataError(
        f"the model {model!r} needs four voices that sing together, but {usual} {'is' if usual == 1 else 'are'} usual "
        f"in these data, and all four sing in {(counts == 4).mean():.0%} of the steps: {fits}"
    )


def without_padding(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The data of a batch with rests in place of the padding, int64 [B, T, 4], and which steps are inside, [B, T]."""
    inside = np.arange(batch.data.shape[1]) < batch.lengths[:, None]
    return np.where(inside[..., None], batch.data, Chorale.REST), inside


def transposed(data: NDArray[np.int64], encoding: Chorale, most: int, rng: Generator) -> NDArray[np.int64]:
    """Pieces [B, T, 4], each moved by its own random number of semitones: at most ``most``, and within the range."""
    return transpose_each(data, encoding.low, encoding.high, most, rng)


def windows(data: NDArray[Any], width: int, first: int = 0) -> NDArray[Any]:
    """Arrays [B, T, ...], with ``first`` zeros before them and some behind, cut into [B K, width, ...]."""
    B, T = data.shape[:2]
    K = -(-(first + T) // width)
    cut = np.zeros((B, K * width, *data.shape[2:]), data.dtype)
    cut[:, first : first + T] = data
    return cut.reshape(B * K, width, *data.shape[2:])
