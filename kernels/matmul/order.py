"""``order``: the loops in another order, so that the inner one runs along memory.

Row m of C is the sum over k of A[m, k] times row k of B. The same multiply-adds; but the inner loop now reads a row of
B and a row of C, every byte of each line of the cache is used, the prefetcher knows what comes next, and no step waits
for another: the compiler makes vectors of it, 16 multiply-adds in an instruction with AVX-512. Tens of times faster.

What is left to gain: for each vector of multiply-adds C is loaded and stored, and not the arithmetic sets the pace.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.matmul import spec
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER

Array = NDArray[Any]


@njit(fastmath=IN_ORDER, forceinline=True)
def _product(a: Array, b: Array, c: Array) -> None:
    (M, K), N = a.shape, b.shape[1]
    for m in range(M):
        for k in range(K):
            for n in range(N):
                c[m, n] += a[m, k] * b[k, n]


@register(op="matmul", name="order", dtypes=spec.FLOATS)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; see the card."""
    a, b, c = spec.prepared("order", a, b)
    _product(a, b, c)
    return c
