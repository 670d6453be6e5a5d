"""Single draws for the rule-based corpus, from the project's one random stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tinydl.random import Generator

T = TypeVar("T")

_BLOCK = 1024


class Dice:
    """Draws one thing at a time; takes its uniforms from ``generator`` in blocks, for a draw has a fixed price."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._pool: list[float] = []

    def uniform(self) -> float:
        """A float64 in [0, 1)."""
        if not self._pool:
            self._pool = self._generator.random(_BLOCK, dtype=np.float64).tolist()[::-1]
        return self._pool.pop()

    def uniforms(self, n: int) -> np.ndarray:
        """float64 [n] in [0, 1)."""
        return np.array([self.uniform() for _ in range(n)])

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        return int(self.uniform() * n)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def choice(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of the options, with probabilities in proportion to the weights."""
        if weights is None:
            return options[self.below(len(options))]
        point = self.uniform() * sum(weights)
        for option, weight in zip(options, weights):
            point -= weight
            if point < 0:
                return option
        return options[max(i for i, weight in enumerate(weights) if weight > 0)]
