"""How the CUDA kernel of ``add_slices_`` is launched: a block for each strip of rows, and each leading index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Call, CudaKernel, Empty, declare

SOURCE = Path(__file__).parent / "cuda" / "add_slices_1_strips.cu"
THREADS = 256
#: Strips at most: as many blocks as are at work at once on a large GPU, each of which reads all places.
STRIPS = 264


def _plan(
    empty: Empty, y: Any, at: Any, values: Any, lead: int, size: int, step: int, alpha: float
) -> tuple[list[Call], tuple[Any, ...]]:
    if not values.size:
        return [], (y,)
    strip = -(-size // STRIPS)
    grid = (-(-size // strip), lead)
    given = (y, at, values, size, at.size, step, strip, y.dtype.type(alpha))
    return [Call(f"add_slices_strips_{y.dtype.name}", grid, (THREADS,), given, writes=(y,))], (y,)


def _accepts(y: Any, at: Any, values: Any, lead: int, size: int, step: int, alpha: float) -> bool:
    """A grid has at most 65535 blocks in its second dimension; sizes are ints of 32 bits."""
    return lead < 2**16 and max(size, at.size, step) < 2**30 and at.dtype == np.int64 and y.flags.c_contiguous


def _samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    """Nothing, one place, rounds of them, strips of two rows; more columns than threads; places from the end."""
    rng = np.random.default_rng(13)
    for lead, size, length, step in (
        (2, 3, 0, 2), (0, 2, 3, 2), (1, 1, 1, 1), (2, 300, 20, 3), (1, 2, 5, 260), (3, 5, 40, 2), (1, 7, 600, 3),
    ):  # fmt: skip
        y, values = (rng.standard_normal((lead, n, step)).astype(dtype) for n in (size, length))
        at = rng.integers(-size, size, length)
        at[:2] = (0, -1)[: at[:2].size]
        yield y, at, values, lead, size, step, 1
        if length == 40:
            yield y, at, values, lead, size, step, 3


declare(CudaKernel("add_slices_", "cuda.strips", SOURCE, ("float32", "float64"), _plan, _samples, _accepts))
