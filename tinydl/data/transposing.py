"""Training pieces in other keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.random import Generator

__all__ = ["transpose_each"]


def transpose_each(data: NDArray[Any], low: int, high: int, most: int, rng: Generator) -> NDArray[Any]:
    """Pieces [B, ...], each moved by its own random number of semitones: at most ``most`` either way, and only so far
    that all its pitches stay within ``low`` and ``high``.

    Entries from ``low`` on are pitches, one a semitone; those below (rests, holds, padding) stay as they are.
    """
    if not most:
        return data
    along = tuple(range(1, data.ndim))
    pitched = data >= low
    lowest = np.where(pitched, data, high).min(along)
    highest = np.where(pitched, data, low).max(along)
    shift = rng.integers(-most, most + 1, (len(data),))
    shift = np.clip(shift, np.minimum(low - lowest, 0), np.maximum(high - highest, 0))
    return np.where(pitched, data + shift.reshape(-1, *(1,) * len(along)), data)
