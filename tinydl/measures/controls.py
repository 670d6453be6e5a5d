"""What a model is told in a control, in place of what belongs to the piece that it is asked about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["others"]

Piece = npt.NDArray[np.int64]


def others(pieces: Sequence[Piece]) -> list[Piece | None]:
    """For every piece, int64 [T, ...], another one of the same length.

    It is the piece before it (before the first, the last), repeated or cut to its length. Where that is the piece
    itself, as it is of a single one, it is turned: begun at another step, and its beginning put behind its end, such
    that the most entries differ. None where every turn is the same piece.
    """
    found: list[Piece | None] = []
    for i, piece in enumerate(pieces):
        other = np.resize(pieces[i - 1], piece.shape)
        if np.array_equal(other, piece):
            differ = [int((np.roll(piece, k, axis=0) != piece).sum()) for k in range(len(piece))]
            turn = int(np.argmax(differ))
            other = np.roll(piece, turn, axis=0)
            found.append(other if differ[turn] else None)
        else:
            found.append(other)
    return found
