"""``tiled``: 4 x 4 sums stay in registers.

Every rung so far reads a number of B for each multiply-add, and the reading sets the pace. A tile of C turns that
round. Four rows of A and four columns of B make 16 entries of C: for each vector of k, 8 loads
serve 16 multiply-adds, and C is not touched before k ends.

The sums run along k, so that the columns of B must lie along memory: packing transposes them. (``SUMS`` lets the
compiler keep 16 partial sums, one a lane, in each of 16 registers.) At the end of k the lanes of each must be added up,
which is what this form of the tile loses; and a compiler finds it only because all 16 sums are written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.matmul import spec
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import SUMS

Array = NDArray[Any]

DEPTH, WIDTH = 512, 64  # of a block of B: 128 KiB


@njit(fastmath=SUMS, forceinline=True)
def _tile(a0: Any, a1: Any, a2: Any, a3: Any, b: Any, n: Any, c0: Any, c1: Any, c2: Any, c3: Any) -> None:
    """Four rows and four columns."""
    b0, b1, b2, b3 = b[n], b[n + 1], b[n + 2], b[n + 3]
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = b.dtype.type(0)
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = b.dtype.type(0)
    for k in range(a0.size):
        s00 += a0[k] * b0[k]
        s01 += a0[k] * b1[k]
        s02 += a0[k] * b2[k]
        s03 += a0[k] * b3[k]
        s10 += a1[k] * b0[k]
        s11 += a1[k] * b1[k]
        s12 += a1[k] * b2[k]
        s13 += a1[k] * b3[k]
        s20 += a2[k] * b0[k]
        s21 += a2[k] * b1[k]
        s22 += a2[k] * b2[k]
        s23 += a2[k] * b3[k]
        s30 += a3[k] * b0[k]
        s31 += a3[k] * b1[k]
        s32 += a3[k] * b2[k]
        s33 += a3[k] * b3[k]
    c0[n] += s00
    c0[n + 1] += s01
    c0[n + 2] += s02
    c0[n + 3] += s03
    c1[n] += s10
    c1[n + 1] += s11
    c1[n + 2] += s12
    c1[n + 3] += s13
    c2[n] += s20
    c2[n + 1] += s21
    c2[n + 2] += s22
    c2[n + 3] += s23
    c3[n] += s30
    c3[n + 1] += s31
    c3[n + 2] += s32
    c3[n + 3] += s33


@njit(fastmath=SUMS, forceinline=True)
def _entries(a: Any, b: Any, c: Any, first: Any) -> None:
    """One row, one column at a time: what the tiles leave over."""
    for n in range(first, c.size):
        column = b[n]
        total = c.dtype.type(0)
        for k in range(a.size):
            total += a[k] * column[k]
        c[n] += total


@njit
def _product(a: Array, b: Array, c: Array) -> None:
    (M, K), N = a.shape, b.shape[1]
    memory = np.empty(WIDTH * DEPTH, b.dtype)
    for k in range(0, K, DEPTH):
        last = min(K, k + DEPTH)
        for n in range(0, N, WIDTH):
            end = min(N, n + WIDTH)
            whole = (end - n) // 4 * 4
            columns = memory[: (end - n) * (last - k)].reshape(end - n, last - k)
            columns[:] = b[k:last, n:end].T
            for m in range(0, M - M % 4, 4):
                for j in range(0, whole, 4):
                    _tile(a[m, k:last], a[m + 1, k:last], a[m + 2, k:last], a[m + 3, k:last], columns, j,
                          c[m, n:end], c[m + 1, n:end], c[m + 2, n:end], c[m + 3, n:end])  # fmt: skip
                for i in range(m, m + 4):
                    _entries(a[i, k:last], columns, c[i, n:end], whole)
            for i in range(M - M % 4, M):
                _entries(a[i, k:last], columns, c[i, n:end], 0)


@register(op="matmul", name="tiled", dtypes=spec.FLOATS)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; see the card."""
    a, b, c = spec.prepared("tiled", a, b)
    _product(a, b, c)
    return c
