"""What a model of music must beat: an order-3 Markov model, and noise, which write arrays of any representation; and
voices that do not listen to each other, in rolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinydl.random import Generator

__all__ = ["Markov", "independent_voices", "noise"]

Piece = npt.NDArray[Any]

_START = -1  # stands before every piece


class Markov:
    """An order-k Markov model with back-off, over the frames of rolls [T, P] or over tokens [L].

    A symbol is a whole frame, or a token. After the context c of the last k symbols, which was followed N_c times by
    T_c different symbols in the corpus, the next one is drawn by the back-off of Witten and Bell (IEEE Trans.
    Information Theory 37, 1991: method C of prediction by partial matching; Conklin and Witten 1995 brought it to
    music):

        with probability N_c / (N_c + T_c)   one of the N_c successors, each alike
        with probability T_c / (N_c + T_c)   as after the last k - 1 symbols;     after none: any symbol of the corpus

    A context that was seen once therefore goes on as the corpus did every other time. This is what keeps the model
    from reciting: where nearly all contexts of order 3 are seen once, the model without back-off is a copying machine.
    """

    def __init__(self, pieces: Sequence[Piece], order: int = 3, end: int | None = None) -> None:
        """Learn from ``pieces``, of one dtype and width. ``end``: the token that ends a piece."""
        if order < 0:
            raise ValueError(f"the order must be 0 or more, got {order}")
        joined = np.concatenate(pieces)
        if not len(joined):
            raise ValueError("a Markov model needs at least one frame to learn from")
        self.order, self.end = order, end
        self._values, symbols = _distinct(joined)
        # Per order, the successors of every context in order of appearance, repetitions kept: counts, ready to draw.
        self._after: list[dict[tuple[int, ...], list[int]]] = [{} for _ in range(order + 1)]
        at = 0
        for piece in pieces:
            sequence = [_START] * order + symbols[at : at + len(piece)].tolist()
            at += len(piece)
            for t in range(order, len(sequence)):
                for k in range(order + 1):
                    self._after[k].setdefault(tuple(sequence[t - k : t]), []).append(sequence[t])
        self._kinds: dict[tuple[int, ...], int] = {}

    def sample(self, length: int, rng: Generator) -> Piece:
        """A piece of ``length`` symbols, or fewer where it ended itself; of the corpus's dtype and width."""
        dice = rng.random((length, self.order + 1, 2), np.float64).tolist()
        written = [_START] * self.order
        for rolled in dice:
            for k, (u, v) in zip(range(self.order, -1, -1), rolled):
                context = tuple(written[len(written) - k :])
                successors = self._after[k].get(context)
                if successors is None:
                    continue
                if k == 0 or u * (len(successors) + self._count_kinds(context, successors)) < len(successors):
                    written.append(successors[int(v * len(successors))])
                    break
            if self.end is not None and self._values[written[-1]] == self.end:
                break
        return self._values[np.array(written[self.order :], np.int64)]

    def _count_kinds(self, context: tuple[int, ...], successors: list[int]) -> int:
        kinds = self._kinds.get(context)
        if kinds is None:
            kinds = self._kinds[context] = len(set(successors))
        return kinds


def _distinct(frames: Piece) -> tuple[Piece, npt.NDArray[np.intp]]:
    """The different frames, and for every frame which it is; rows of bits are compared as bytes, eight at a time."""
    if frames.ndim == 1:
        values, index = np.unique(frames, return_inverse=True)
        return values, index
    packed = np.packbits(frames, axis=1) if frames.dtype == np.bool_ else np.ascontiguousarray(frames)
    rows = packed.view(np.dtype((np.void, packed.dtype.itemsize * packed.shape[1])))[:, 0]
    _, first, index = np.unique(rows, return_index=True, return_inverse=True)
    return frames[first], index


def noise(pieces: Sequence[Piece], length: int, rng: Generator, end: int | None = None) -> Piece:
    """Music without memory: every entry of every frame drawn alone, from its own distribution in the corpus.

    Of rolls [T, P] every note sounds with its own probability, independently; tokens [L] are drawn by their frequency.
    Ends after ``length`` frames, or at the token ``end``.
    """
    joined = np.concatenate(pieces)
    if not len(joined):
        raise ValueError("noise needs at least one frame to draw from")
    chosen = rng.integers(0, len(joined), (length, *joined.shape[1:]))
    drawn = joined[chosen] if joined.ndim == 1 else joined[chosen, np.arange(joined.shape[1])]
    if end is not None:
        drawn = drawn[: int(np.argmax(drawn == end)) + 1] if (drawn == end).any() else drawn
    return np.asarray(drawn)


def independent_voices(pieces: Sequence[Piece], length: int, rng: Generator, voices: int = 4) -> Piece:
    """Real voices that do not listen to each other: a roll, bool [length, P].

    Voice k is the k-th note from the top of every frame of one piece; for each voice a piece is drawn from those of at
    least ``length`` frames. Every voice is real, then, and what sounds together is chance. Raises ValueError where no
    piece is long enough.
    """
    long = [piece for piece in pieces if len(piece) >= length]
    if not long:
        raise ValueError(f"no piece has the {length} frames that are asked for")
    roll = np.zeros((length, long[0].shape[1]), np.bool_)
    for voice, chosen in enumerate(rng.integers(0, len(long), (voices,)).tolist()):
        piece = np.asarray(long[chosen][:length])
        from_top = piece[:, ::-1].cumsum(axis=1)[:, ::-1]  # 1 at the highest note of a frame and down to the second
        roll |= piece & (from_top == voice + 1)
    return roll
