"""Training pieces in other keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.random import Generator

__all__ = ["transpose_each"]


def transpose_each(data: NDArray[Any], low: int, high: int, most: int, rng: Generator) -> NDArray[Any]:
    """Pieces [B, ...], each moved by its own random number of semitones: any of those up to ``most`` either way that
    leave all its pitches within ``low`` and ``high``, all equally often.

    Entries from ``low`` on are pitches, one a semitone; those below (rests, holds, padding) stay as they are.
    """
    if not most:
        return data
    along = tuple(range(1, data.ndim))
    pitched = data >= low
    lowest = np.where(pitched, data, high).min(along)
    highest = np.where(pitched, data, low).max(along)
    least = np.maximum(-most, np.minimum(low - lowest, 0))
    furthest = np.minimum(most, np.maximum(high - highest, 0))
    shift = least + np.floor(rng.random((len(data),), np.float64) * (furthest - least + 1)).astype(np.int64)
    return np.where(pitched, data + shift.reshape(-1, *(1,) * len(along)), data)
