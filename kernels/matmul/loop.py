"""``loop``: the textbook.

C[m, n] = sum over k of A[m, k] B[k, n], an entry of C after the other. One multiply-add waits for the one before, since
it adds to the same number (4 cycles on most processors), and each step of k reads B one row further down: of the 64
bytes that come from memory, 4 are used. Both keep vectors out. A hundredth of what the processor can do is usual.
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
        for n in range(N):
            total = c[m, n]
            for k in range(K):
                total += a[m, k] * b[k, n]
            c[m, n] = total


@register(op="matmul", name="loop", dtypes=spec.FLOATS)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; see the card."""
    a, b, c = spec.prepared("loop", a, b)
    _product(a, b, c)
    return c
