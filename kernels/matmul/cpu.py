"""The blocked matrix product on the kernels' own thread pool (``cpu.blocked``).

Both operands are packed, so that the inner tile (:func:`tinydl.kernels.vector.multiply`) reads memory in order:

    B into panels of 4 vectors of columns, [panel][K][4 lanes]     once, by all threads
    for each block of rows (a thread's own):
        for each DEPTH of k:
            A into tiles, [tile][DEPTH][tile rows]                 stays in the second-level cache
            for each panel:  DEPTH rows of it                      stay in the first-level cache
                for each tile:  C += tile of A @ panel of B        stays in registers

(Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008.) Every entry of C is summed by one
thread in one order: the result does not depend on the number of threads.

Small products are left to BLAS, which then runs on one thread; larger ones would wake BLAS's pool of threads, and two
pools that spin on the same cores slow each other down severalfold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.matmul import spec
from tinydl.kernels.registry import register
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import copy, multiply, transpose
from tinydl.kernels.workspace import scratch

Array = NDArray[Any]

#: OpenBLAS goes parallel above M * N * K = 4 * 65536 (GEMM_MULTITHREAD_THRESHOLD).
SMALL = 4 * 65536

DEPTH = 128  # rows of a panel at once: 128 * 64 floats are 32 KiB
ROWS = 240  # rows of A at once: 240 * 128 floats are 120 KiB


@njit(parallel=True)
def _pack_b(threads: int, lanes: int, b: Array, K: int, N: int, row_stride: int, column_stride: int, wide: int,
            packed: Array) -> None:
    """packed[panel][k][j] = b[k, panel * wide + j], zero beyond the last column."""
    panels = (N + wide - 1) // wide
    for index in prange(threads):
        thread: Any = np.int64(index)  # prange counts in uint64, which times int64 would be a float
        for panel in range(panels * thread // threads, panels * (thread + 1) // threads):
            first = panel * wide
            used = min(wide, N - first)
            at = panel * K * wide
            if column_stride == 1:
                for k in range(K):
                    copy(packed, at + k * wide, b, k * row_stride + first, used)
            else:
                transpose(lanes, packed, at, wide, b, first * column_stride, column_stride, used, K)
            if used < wide:
                for k in range(K):
                    for j in range(used, wide):
                        packed[at + k * wide + j] = 0


@njit
def _block(inner: int, m0: int, m1: int, p0: int, p1: int, a: Array, row_stride: int, column_stride: int, K: int,
           depth: int, packed: Array,
           wide: int, stack: int, tiles: Array, t0: int, edge: Array, e0: int, c: Array, N: int) -> None:  # fmt: skip
    """Rows m0 to m1 - 1 and panels p0 to p1 - 1 of C."""
    for k in range(0, K, depth):
        now = min(depth, K - k)
        for first in range(m0, m1, stack):
            at = t0 + (first - m0) * depth
            for i in range(min(stack, m1 - first)):
                source = (first + i) * row_stride + k * column_stride
                for j in range(now):
                    tiles[at + j * stack + i] = a[source + j * column_stride]
        for panel in range(p0, p1):
            whole = (panel + 1) * wide <= N
            for first in range(m0, m1, stack):
                at = t0 + (first - m0) * depth
                rows = min(stack, m1 - first)
                if whole:
                    multiply(inner, rows, tiles, at, 1, stack, packed, (panel * K + k) * wide, wide, c,
                             first * N + panel * wide,
                             N, now, k)  # fmt: skip
                else:
                    multiply(inner, rows, tiles, at, 1, stack, packed, (panel * K + k) * wide, wide, edge,
                             e0 + (first - m0) * wide, wide, now, k)  # fmt: skip
    if p1 * wide > N:
        start = (p1 - 1) * wide
        for m in range(m0, m1):
            copy(c, m * N + start, edge, e0 + (m - m0) * wide, N - start)


@njit(parallel=True)
def _matmul(inner: int, threads: int, blocks: int, height: int, cuts: int, M: int, a: Array, row_stride: int,
            column_stride: int, K: int,
            depth: int, packed: Array, wide: int, stack: int, tiles: Array, edge: Array, c: Array,
            N: int) -> None:  # fmt: skip
    panels = (N + wide - 1) // wide
    for index in prange(threads):
        thread: Any = np.int64(index)  # prange counts in uint64, which times int64 would be a float
        for item in range(blocks * cuts * thread // threads, blocks * cuts * (thread + 1) // threads):
            block, cut = item // cuts, item % cuts
            _block(inner, block * height, min(M, (block + 1) * height), panels * cut // cuts,
                   panels * (cut + 1) // cuts, a, row_stride,
                   column_stride, K, depth, packed, wide, stack, tiles, thread * height * depth, edge,
                   thread * height * wide, c, N)  # fmt: skip


def _strides(matrix: Array) -> tuple[Array, int, int]:
    """The entries in one contiguous row of memory, and how far rows and columns are apart in it."""
    if matrix.T.flags.c_contiguous and not matrix.flags.c_contiguous:
        return matrix.T.reshape(-1), 1, matrix.shape[0]
    return np.ascontiguousarray(matrix).reshape(-1), matrix.shape[1], 1


def _worthwhile(a: Array, b: Array) -> bool:
    """Two matrices large enough to share among threads; stacks of matrices and small ones go to BLAS."""
    return a.ndim == 2 and b.ndim == 2 and a.shape[0] * a.shape[1] * b.shape[1] > SMALL


@register(op="matmul", name="cpu.blocked", dtypes=("float32", "float64"), default=True, accepts=_worthwhile)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``: a [M, K], b [K, N], any strides -> [M, N], contiguous."""
    spec.check("cpu.blocked", a, b)
    (M, K), N, dtype = a.shape, b.shape[1], a.dtype
    threads = worthwhile(spec.flops(a, b))
    width = max(1, min(4, -(-N // vector.lanes(dtype))))  # vectors in a panel: four, unless there are fewer columns
    stack, wide = vector.tile_rows(width), width * vector.lanes(dtype)
    panels = -(-N // wide)
    # Each thread gets whole tiles of rows; when there are too few, the panels are cut as well.
    height = min(ROWS // stack, -(-M // (stack * threads))) * stack
    blocks = -(-M // height)
    cuts = 1 if blocks >= threads else min(threads, panels)
    packed = scratch("matmul_b", panels * K * wide, dtype)
    tiles = scratch("matmul_a", threads * height * DEPTH, dtype)
    edge = scratch("matmul_edge", threads * height * wide, dtype)
    c = np.empty((M, N), dtype)
    with num_threads(threads):
        flat_b, row_stride, column_stride = _strides(b)
        _pack_b(threads, vector.lanes(dtype), flat_b, K, N, row_stride, column_stride, wide, packed)
        flat_a, row_stride, column_stride = _strides(a)
        _matmul(vector.panel(dtype, width), threads, blocks, height, cuts, M, flat_a, row_stride, column_stride, K,
                DEPTH, packed, wide, stack, tiles, edge, c.reshape(-1), N)  # fmt: skip
    return c

