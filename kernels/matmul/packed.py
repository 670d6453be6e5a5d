"""``packed``: the block of B is copied, so that its rows follow one another.

The rows of a block in a large matrix lie far apart: each is on a page of memory of its own, and when the row length is
a power of two all of them compete for the same few places of the cache, which holds a line only where the low bits of
its address say. Copied once, the block is one stretch of memory, without competition and on a few pages; M rows of A
use it, so that the copy costs one part in M.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.matmul import spec
from tinydl.kernels.matmul.blocked import DEPTH, WIDTH
from tinydl.kernels.matmul.unrolled import add_rows
from tinydl.kernels.registry import register

Array = NDArray[Any]


@njit
def _product(a: Array, b: Array, c: Array) -> None:
    (M, K), N = a.shape, b.shape[1]
    memory = np.empty(DEPTH * WIDTH, b.dtype)
    for n in range(0, N, WIDTH):
        for k in range(0, K, DEPTH):
            deep, wide = min(DEPTH, K - k), min(WIDTH, N - n)
            block = memory[: deep * wide].reshape(deep, wide)
            block[:] = b[k : k + deep, n : n + wide]
            for m in range(M):
                add_rows(c[m, n : n + wide], a[m, k : k + deep], block, 0, 0)


@register(op="matmul", name="packed", dtypes=spec.FLOATS)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; see the card."""
    a, b, c = spec.prepared("packed", a, b)
    _product(a, b, c)
    return c
