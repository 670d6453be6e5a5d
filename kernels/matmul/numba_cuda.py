"""The first rungs of the CUDA ladder in Numba-CUDA: the same ideas in Python.

    naive       one thread per entry of C; neighbours walk down a column
    coalesced   neighbours walk along a row
    tiled       tiles in shared memory
    square      a square of 4 x 4 entries per thread, in registers

What Python costs here: an index is 64 bits wide, an array comes as nine arguments, and what stands in registers is
an array that the compiler must see through (``cuda.local.array`` with loops of constant length). (Unverified on
hardware.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinydl.kernels.gpu import Call, Empty
from tinydl.kernels.matmul.launches import DTYPES, samples
from tinydl.kernels.numba_cuda import NumbaKernel, declare

TILE = 16
SIDE, EACH, DEPTH = 16, 4, 8
WIDE = SIDE * EACH
APART = WIDE + 4  # of rows of a tile that is written by columns: 8 of them begin in different banks


def naive(cuda: Any, real: Any) -> Callable[..., None]:
    """A warp's threads stand one below the other: each load of A and store of C takes a sector of its own."""

    def kernel(A, B, C):  # type: ignore[no-untyped-def]
        row, column = cuda.grid(2)
        if row < C.shape[0] and column < C.shape[1]:
            total = real(0)
            for k in range(A.shape[1]):
                total += A[row, k] * B[k, column]
            C[row, column] = total

    return kernel


def coalesced(cuda: Any, real: Any) -> Callable[..., None]:
    """A warp's threads stand side by side: loads of B and stores of C lie side by side, and one of A is for all."""

    def kernel(A, B, C):  # type: ignore[no-untyped-def]
        column, row = cuda.grid(2)
        if row < C.shape[0] and column < C.shape[1]:
            total = real(0)
            for k in range(A.shape[1]):
                total += A[row, k] * B[k, column]
            C[row, column] = total

    return kernel


def tiled(cuda: Any, real: Any) -> Callable[..., None]:
    """Each number is loaded once for the 16 threads of a block that need it; zeros stand for what lies outside."""

    def kernel(A, B, C):  # type: ignore[no-untyped-def]
        a = cuda.shared.array((TILE, TILE), real)
        b = cuda.shared.array((TILE, TILE), real)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        column, row = cuda.grid(2)
        total = real(0)
        for k in range(0, A.shape[1], TILE):
            a[y, x] = A[row, k + x] if row < A.shape[0] and k + x < A.shape[1] else real(0)
            b[y, x] = B[k + y, column] if k + y < A.shape[1] and column < B.shape[1] else real(0)
            cuda.syncthreads()
            for i in range(TILE):
                total += a[y, i] * b[i, x]
            cuda.syncthreads()
        if row < C.shape[0] and column < C.shape[1]:
            C[row, column] = total

    return kernel


def square(cuda: Any, real: Any) -> Callable[..., None]:
    """16 sums a thread: a multiply-add costs half a load from shared memory instead of two."""

    def kernel(A, B, C):  # type: ignore[no-untyped-def]
        a = cuda.shared.array((DEPTH, APART), real)
        b = cuda.shared.array((DEPTH, WIDE), real)
        sums = cuda.local.array((EACH, EACH), real)
        one = cuda.local.array(EACH, real)
        thread = cuda.threadIdx.x
        x, y = thread % SIDE, thread // SIDE
        top, left = cuda.blockIdx.y * WIDE, cuda.blockIdx.x * WIDE
        for m in range(EACH):
            for n in range(EACH):
                sums[m, n] = real(0)
        for k in range(0, A.shape[1], DEPTH):
            for at in range(thread, WIDE * DEPTH, SIDE * SIDE):
                row, i = at // DEPTH, at % DEPTH
                a[i, row] = A[top + row, k + i] if top + row < A.shape[0] and k + i < A.shape[1] else real(0)
            for at in range(thread, WIDE * DEPTH, SIDE * SIDE):
                i, column = at // WIDE, at % WIDE
                b[i, column] = B[k + i, left + column] if k + i < B.shape[0] and left + column < B.shape[1] else real(0)
            cuda.syncthreads()
            for i in range(DEPTH):
                for m in range(EACH):
                    one[m] = a[i, y + m * SIDE]
                for n in range(EACH):
                    other = b[i, x + n * SIDE]
                    for m in range(EACH):
                        sums[m, n] += one[m] * other
            cuda.syncthreads()
        for m in range(EACH):
            for n in range(EACH):
                row, column = top + y + m * SIDE, left + x + n * SIDE
                if row < C.shape[0] and column < C.shape[1]:
                    C[row, column] = sums[m, n]

    return kernel


def _rung(make: Any, tile: tuple[int, int], block: tuple[int, ...], down: bool = False) -> NumbaKernel:
    """tile: rows and columns of C that a block computes; down: blocks go down the rows first."""
    name = make.__name__

    def plan(empty: Empty, a: Any, b: Any) -> tuple[list[Call], tuple[Any, ...]]:
        c = empty((a.shape[0], b.shape[1]), a.dtype)
        rows, columns = -(-c.shape[0] // tile[0]), -(-c.shape[1] // tile[1])
        grid = (rows, columns) if down else (columns, rows)
        return [Call(name, grid, block, (a, b, c))] if c.size else [], (c,)

    def accepts(a: Any, b: Any) -> bool:
        rows, columns = -(-a.shape[0] // tile[0]), -(-b.shape[1] // tile[1])
        return bool(a.flags.c_contiguous and b.flags.c_contiguous) and (columns if down else rows) < 1 << 16

    return declare(NumbaKernel("matmul", f"numba.{name}", DTYPES, {name: make}, plan, samples, accepts))


NAIVE = _rung(naive, (32, 8), (32, 8), down=True)
COALESCED = _rung(coalesced, (8, 32), (32, 8))
TILED = _rung(tiled, (TILE, TILE), (TILE, TILE))
SQUARE = _rung(square, (WIDE, WIDE), (SIDE * SIDE,))
