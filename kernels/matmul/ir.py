"""``ir``: the tile is written as vectors, and the cores share the work.

What the compiler made of ``tiled`` were sums along k: sixteen vectors of partial sums, to be added up lane by lane when
k ends. Here the lanes of a vector are *columns of C*:

    for each k:   b0 .. b3 = four vectors of a row of B                 4 loads
                  for each of 6 rows:   x = A[row, k] in every lane     1 load, a broadcast
                                        c0 .. c3 += x * b0 .. b3        4 multiply-adds

24 of AVX-512's 32 registers hold C, and the 24 multiply-adds of a k need 10 loads: the arithmetic units are the limit.
No compiler finds this loop; :func:`tinydl.kernels.vector.tile_function` emits it as LLVM vectors, for each width that
registers have. While it runs, the lines of C that it will write are on their way into the cache.

Around the tile:

    for each span of k:
        B into panels, [panel][k][columns of a tile]      third-level cache; packed by all threads
        for each block of rows (a thread's own):
            for each depth of k:                          A's block stays in the second-level cache
                for each panel:                           its rows of that depth in the first and second
                    C += block of A @ panel               registers, a tile at a time

(Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008.) They pack A too. Our tile, which
loads single numbers of A, takes any strides, and not to pack A was faster at every size and layout tried on 32
registers; nor is B packed where that costs more than it gains (``DIRECT``).

On AVX2's 16 registers of eight floats the tile is 6 x 2 vectors, and two things differ. Four steps of k are written one
after the other where A's rows are contiguous (``vector.py``), and where they are not, its block is packed so that they
are: a product of the transpose of a 512 x 512 matrix takes 0.83 of the time. And B is packed for all but few rows of A.

The panels of one depth follow one another in memory, in the order in which they are read. Threads take panels and
blocks as they come, so that one whose core is busy with something else does less.

The last panel has as few vectors as its columns need. Where they do not fill the last vector, the tiles go to memory
beside C, from which the columns are copied. Every entry of C is summed by one thread, in an order that depends on K
alone: threads share rows and columns, never k. Neither their number nor the other rows change a bit of it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.matmul import spec
from tinydl.kernels.packing import memory_of, mover, multiply_block, pack_panel, pack_rows, transposer
from tinydl.kernels.registry import register
from tinydl.kernels.threads import worthwhile
from tinydl.kernels.vector import take
from tinydl.kernels.workspace import scratch

Array = NDArray[Any]

DEPTH = 384  # rows of a panel at once: 384 * 64 floats are 96 KiB
ROWS = 120  # rows of A at once: 120 * 384 floats are 180 KiB
SPAN = 1 << 21  # numbers of B that are packed at once
DIRECT = 1 << 20  # bytes of B, rows contiguous, that are read where they are; any B is when all of A is one block
# Where a tile is two vectors wide, a row of a panel is one cache line, and lines that are a row of B apart push each
# other out of the cache:
FEW = 64  # rows of A up to which B is read where it is
MANY = 33  # columns of B from which on A's block is packed, unless numbers of a row lie side by side


def _product(
    threads: int, down: int, across: int, tile: int, last_tile: int, move: int, move_last: int, transpose: int,
    lanes: int, wide: int, stack: int, M: int, K: int, N: int, a: Array, a0: int, a_row: int, a_column: int, b: Array,
    b0: int, b_row: int, b_column: int, direct: bool, depth: int, span: int, chunk: int, packed: Array, turned: bool,
    square: int, block_a: Array, edge: Array, taken: Array, c: Array,
) -> None:  # fmt: skip
    """C in ``down`` blocks of rows times ``across`` of columns; chunks are of panels, spans of rows of B."""
    panels, tiles = (N + wide - 1) // wide, (M + stack - 1) // stack
    for first in range(0, panels, chunk):
        many = min(chunk, panels - first)
        for k0 in range(0, K, span):
            k1 = min(K, k0 + span)
            taken[:] = 0
            if not direct or (first + many) * wide > N:
                for _ in prange(threads):
                    panel = first + take(taken, 0)
                    while panel < first + many:
                        used = min(wide, N - panel * wide)
                        if not direct or used % lanes:
                            for k in range(k0, k1, depth):
                                count = min(depth, k1 - k)
                                pack_panel(b, b0 + k * b_row + panel * wide * b_column, b_row, b_column, count, used,
                                           lanes, wide, move if used == wide else move_last, transpose,
                                           packed, ((k - k0) * many + (panel - first) * count) * wide)  # fmt: skip
                        panel = first + take(taken, 0)
            for index in prange(threads):
                e0: Any = np.int64(index) * ROWS * wide  # prange counts in uint64, which times int64 would be a float
                block = take(taken, 1)
                while block < down * across:
                    x, y = block // across, block % across
                    top = tiles * x // down * stack
                    rows = min(M, tiles * (x + 1) // down * stack) - top
                    for k in range(k0, k1, depth):
                        count = min(depth, k1 - k)
                        source_a, a_at, a_down, a_along = a, a0 + top * a_row + k * a_column, a_row, a_column
                        if turned:
                            lines: Any = np.int64(index) * ROWS * depth
                            pack_rows(square, block_a, lines, count, a, a_at, a_row, a_column, rows)
                            source_a, a_at, a_down, a_along = block_a, lines, count, 1
                        for panel in range(first + many * y // across, first + many * (y + 1) // across):
                            used = min(wide, N - panel * wide)
                            whole = used % lanes == 0
                            source, row = packed, wide
                            at = ((k - k0) * many + (panel - first) * count) * wide
                            if direct and whole:
                                source, at, row = b, b0 + k * b_row + panel * wide, b_row
                            multiply_block(tile if used == wide else last_tile, whole, rows,
                                           source_a, a_at, a_down, a_along, source, at, row,
                                           used, wide, edge, e0, c, top * N + panel * wide, N, count, k)  # fmt: skip
                    block = take(taken, 1)


_serial, _parallel = njit(_product), njit(parallel=True)(_product)


@dataclass(frozen=True)
class Pieces:
    """The compiled pieces for one dtype, one size of registers and one width of the last panel; addresses where not
    said otherwise."""

    tile: int
    last_tile: int
    move: int
    move_last: int
    transpose: int
    lanes: int  # numbers in a vector
    wide: int  # columns of a tile
    stack: int  # rows of a tile
    square: int  # numbers in a vector of the host


@functools.cache
def pieces(dtype: Any, N: int, size: int) -> Pieces:
    """For N columns and registers of ``size`` bytes."""
    lanes, width = vector.lanes(dtype, size), vector.tile_width(size)
    last = -(-N // lanes) % width or width
    return Pieces(
        vector.panel(dtype, width, size), vector.panel(dtype, last, size), mover(dtype, width, size),
        mover(dtype, last, size), transposer(dtype, size), lanes, width * lanes, vector.tile_rows(width, size),
        vector.lanes(dtype),
    )  # fmt: skip


@functools.lru_cache(maxsize=1024)
def _cuts(
    M: int, K: int, N: int, threads: int, stack: int, wide: int, most_depth: int, most_span: int
) -> tuple[int, int, int, int, int]:
    """(down, across, depth, span, chunk) of :func:`_product`."""
    panels, tiles = -(-N // wide), -(-M // stack)
    depth = -(-K // -(-K // most_depth))
    chunk = min(panels, most_span // (most_depth * wide))
    span = most_span // (chunk * wide * depth) * depth
    # Of the ways to share, the one whose largest share is the smallest; then rows in blocks.
    down = min((d for d in range(threads, 0, -1) if threads % d == 0),
               key=lambda d: -(-tiles // d) * -(-panels // (threads // d)))  # fmt: skip
    return down * -(-M // (down * ROWS)), threads // down, depth, span, chunk


def product(a: Array, b: Array, threads: int, size: int) -> Array:
    """``a @ b`` of matrices that fit, by so many threads, with vectors of ``size`` bytes."""
    (M, K), N, dtype = a.shape, b.shape[1], a.dtype
    if M * N * K == 0:
        return np.zeros((M, N), dtype)
    p = pieces(dtype, N, size)
    down, across, depth, span, chunk = _cuts(M, K, N, threads, p.stack, p.wide, DEPTH, SPAN)
    memory_a, place_a, row_a, column_a = memory_of(a)
    memory_b, place_b, row_b, column_b = memory_of(b)
    narrow = p.wide == 2 * p.lanes
    direct = column_b == 1 and (M <= FEW if narrow else M <= ROWS or K * row_b * dtype.itemsize <= DIRECT)
    turned = narrow and column_a != 1 and N >= MANY
    packed = scratch("matmul_b", chunk * min(K, span) * p.wide, dtype)
    block_a = scratch("matmul_a", threads * ROWS * depth if turned else 1, dtype)
    edge = scratch("matmul_edge", threads * ROWS * p.wide, dtype)
    c = np.empty((M, N), dtype)
    run = _serial if threads == 1 else _parallel
    run(threads, down, across, p.tile, p.last_tile, p.move, p.move_last, p.transpose, p.lanes, p.wide, p.stack, M, K, N,
        memory_a, place_a, row_a, column_a, memory_b, place_b, row_b, column_b, direct, depth, span, chunk, packed,
        turned, p.square, block_a, edge, scratch("matmul_taken", 2, np.int64), c.reshape(-1))  # fmt: skip
    return c


def _matrices(a: Array, b: Array) -> bool:
    """Stacks of matrices are left to BLAS."""
    return a.ndim == 2 and b.ndim == 2


@register(op="matmul", name="ir", dtypes=spec.FLOATS, default=True, accepts=_matrices)
def matmul(a: Array, b: Array) -> Array:
    """``a @ b``: a [M, K], b [K, N], any strides -> [M, N], contiguous."""
    spec.check("ir", a, b)
    return product(a, b, worthwhile(spec.flops(a, b)), vector.host_bytes())
