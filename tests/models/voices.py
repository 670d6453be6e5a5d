"""Four voices for the tests of models that learn from them."""

from __future__ import annotations

import numpy as np

BELOW = np.array([0, 4, 9, 24])  # of the soprano, by its pitch: a harmony that can be learned
OTHER = np.array([0, 5, 8, 19])


def lessons(count: int, length: int = 32, seed: int = 0) -> list[np.ndarray]:
    """Chorales without strikes, int64 [length, 4]: a soprano of notes two steps long that wanders, and the other voices
    at one distance below an even pitch and at another below an odd one."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        steps = rng.integers(-2, 3, length // 2).cumsum()
        soprano = np.repeat(70 + np.abs(steps) % 12, 2)[:length]
        below = np.where(soprano[:, None] % 2 == 0, BELOW, OTHER)
        made.append((soprano[:, None] - below).astype(np.int64))
    return made
