"""``unrolled``: four steps of k for each visit of C.

    C[m, :] += A[m, k] B[k, :] + A[m, k+1] B[k+1, :] + A[m, k+2] B[k+2, :] + A[m, k+3] B[k+3, :]

A vector of C is loaded and stored once for four multiply-adds instead of once for each. That is a tenth to a quarter
faster while B is near, and nothing when B is larger than the second-level cache: each multiply-add still reads a number
of B that was not used before, and now the caches cannot bring them fast enough.
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
def add_rows(c: Any, a: Any, b: Any, k0: Any, n: Any) -> None:
    """c[:] += sum over k of a[k] B[k0 + k, n : n + c.size]."""
    K, end = a.size, n + c.size
    whole = K - K % 4
    for k in range(0, whole, 4):
        at = k0 + k
        x0, x1, x2, x3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        b0, b1, b2, b3 = b[at, n:end], b[at + 1, n:end], b[at + 2, n:end], b[at + 3, n:end]
        for j in range(c.size):
            c[j] += x0 * b0[j] + x1 * b1[j] + x2 * b2[j] + x3 * b3[j]
    for k in range(whole, K):
        x, row = a[k], b[k0 + k, n:end]
        for j in range(c.size):
            c[j] += x * row[j]


@njit
def _product(a: Array, b: Array, c: Array) -> None:
    for m in range(a.shape[0]):
        add_rows(c[m], a[m], b, 0, 0)


@register(op="matmul", name="unrolled", dtypes=spec.FLOATS)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; see the card."""
    a, b, c = spec.prepared("unrolled", a, b)
    _product(a, b, c)
    return c
