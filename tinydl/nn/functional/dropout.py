"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinydl.tensor import Tensor

if TYPE_CHECKING:
    from tinydl.random import Generator


def dropout(input: Tensor, p: float = 0.5, training: bool = True, *, generator: Generator | None = None) -> Tensor:
    """Each element is zero with probability ``p``, else divided by ``1 - p``; the identity unless ``training``.

    The bits come from ``generator`` (tinydl's default one when None), so ``tinydl.manual_seed`` repeats them.
    Hinton et al., arXiv:1207.0580. Raises ValueError unless 0 <= p <= 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    if generator is None:
        from tinydl.random import default_generator

        generator = default_generator
    kept = generator.random(input.shape, np.float32) >= p
    return input * (kept * input.dtype.type(1 / (1 - p) if p < 1 else 0))  # type: ignore[no-any-return]
