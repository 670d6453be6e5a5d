"""``blocked``: a part of B is used up while it is in the cache.

``unrolled`` reads all of B for each row of C: for 2048 x 2048 that is 16 MiB, which only the third-level cache holds,
2048 times. Here B is cut into blocks of 64 x 1024 numbers (256 KiB, a part of the second-level cache), and a block
serves every row of A before the next one is touched. Each number of B comes from afar once; the price is that C is
walked through once for every 64 steps of k. Little is gained while B fits into that cache anyway.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.matmul import spec
from tinydl.kernels.matmul.unrolled import add_rows
from tinydl.kernels.registry import register

Array = NDArray[Any]

DEPTH, WIDTH = 64, 1024  # of a block of B


@njit
def _product(a: Array, b: Array, c: Array) -> None:
    (M, K), N = a.shape, b.shape[1]
    for n in range(0, N, WIDTH):
        for k in range(0, K, DEPTH):
            for m in range(M):
                add_rows(c[m, n : n + WIDTH], a[m, k : k + DEPTH], b, k, n)


@register(op="matmul", name="blocked", dtypes=spec.FLOATS)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; see the card."""
    a, b, c = spec.prepared("blocked", a, b)
    _product(a, b, c)
    return c
