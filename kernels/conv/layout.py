"""Images laid out with their padding, as phases: channel by channel, or with the channels last; and who sums what.

``size`` is that of the image, [C, *size] from ``x0`` on; ``stride`` parts it into phases (``phases``: the first row,
column, ... of each); ``low`` is where the layout of a phase begins in it, negative in the padding, and ``extent`` how
far it goes. What lies outside the image is zero. All are of depth, rows, columns.
"""

from __future__ import annotations

import functools
from typing import Any

from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.vector import copy, transpose, transpose_seconds
from tinydl.kernels.workspace import ALIGNMENT

Array = NDArray[Any]

SHARES = 8  # of the columns of a weight's gradient, or of each part of it
DEPTH = 128  # channels, or positions, that a product sums at once: a panel of them stays in the first-level cache


@njit
def fill(out: Array, at: int, count: int) -> None:
    """Zeros."""
    for i in range(count):
        out[at + i] = 0


@njit
def _together(size: Any, stride: Any, low: Any, extent: Any) -> tuple[int, int]:
    """The rows of the layout that are rows of the image, where neither stride nor padding parts them; else none."""
    if stride[1] != 1 or stride[2] != 1 or low[2] != 0 or extent[2] != size[2]:
        return 0, 0
    return max(0, -low[1]), min(extent[1], size[1] - low[1])


@njit
def lay_out(x: Array, x0: int, C: int, size: Any, stride: Any, low: Any, extent: Any, space: int, phases: Array,
             out: Array, at: int) -> None:  # fmt: skip
    """out[phase][c][position] of an image x[C, *size]."""
    D, H, W = size
    rows0, rows1 = _together(size, stride, low, extent)
    for phase in range(len(phases)):
        p0, p1, p2 = phases[phase]
        begin = min(extent[2], max(0, (-p2 + stride[2] - 1) // stride[2] - low[2]))
        end = min(extent[2], max(begin, (W - p2 + stride[2] - 1) // stride[2] - low[2]))
        for c in range(C):
            target = at + (phase * C + c) * space
            for i in range(extent[0]):
                depth = (i + low[0]) * stride[0] + p0
                if rows1 > rows0 and 0 <= depth < D:
                    fill(out, target, rows0 * W)
                    source = x0 + ((c * D + depth) * H + rows0 + low[1]) * W
                    copy(out, target + rows0 * W, x, source, (rows1 - rows0) * W)
                    fill(out, target + rows1 * W, (extent[1] - rows1) * W)
                    target += extent[1] * W
                    continue
                for j in range(extent[1]):
                    row = (j + low[1]) * stride[1] + p1
                    if depth < 0 or depth >= D or row < 0 or row >= H:
                        fill(out, target, extent[2])
                    else:
                        source = x0 + ((c * D + depth) * H + row) * W + (begin + low[2]) * stride[2] + p2
                        fill(out, target, begin)
                        if stride[2] == 1:
                            copy(out, target + begin, x, source, end - begin)
                        else:
                            for k in range(end - begin):
                                out[target + begin + k] = x[source + k * stride[2]]
                        fill(out, target + end, extent[2] - end)
                    target += extent[2]


@njit
def lay_out_channels_last(lanes: int, x: Array, x0: int, C: int, size: Any, stride: Any, low: Any, extent: Any,
                           phases: Array, out: Array, at: int) -> None:  # fmt: skip
    """out[phase][position][c] of an image x[C, *size]."""
    D, H, W = size
    rows0, rows1 = _together(size, stride, low, extent)
    for phase in range(len(phases)):
        p0, p1, p2 = phases[phase]
        begin = min(extent[2], max(0, (-p2 + stride[2] - 1) // stride[2] - low[2]))
        end = min(extent[2], max(begin, (W - p2 + stride[2] - 1) // stride[2] - low[2]))
        for i in range(extent[0]):
            depth = (i + low[0]) * stride[0] + p0
            if rows1 > rows0 and 0 <= depth < D:
                target = at + (phase * extent[0] + i) * extent[1] * W * C
                fill(out, target, rows0 * W * C)
                source = x0 + (depth * H + rows0 + low[1]) * W
                transpose(lanes, out, target + rows0 * W * C, C, x, source, D * H * W, C, (rows1 - rows0) * W)
                fill(out, target + rows1 * W * C, (extent[1] - rows1) * W * C)
                continue
            for j in range(extent[1]):
                row = (j + low[1]) * stride[1] + p1
                target = at + ((phase * extent[0] + i) * extent[1] + j) * extent[2] * C
                if depth < 0 or depth >= D or row < 0 or row >= H:
                    fill(out, target, extent[2] * C)
                    continue
                fill(out, target, begin * C)
                source = x0 + (depth * H + row) * W + (begin + low[2]) * stride[2] + p2
                if stride[2] == 1:
                    transpose(lanes, out, target + begin * C, C, x, source, D * H * W, C, end - begin)
                elif stride[2] == 2:
                    transpose_seconds(lanes, out, target + begin * C, C, x, source, D * H * W, C, end - begin)
                else:
                    for c in range(C):
                        for k in range(end - begin):
                            out[target + (begin + k) * C + c] = x[source + c * D * H * W + k * stride[2]]
                fill(out, target + end * C, (extent[2] - end) * C)


@functools.lru_cache
def panel(dtype: Any, columns: int) -> tuple[int, int]:
    """The tile of a product with so many columns, and its own columns: the widest that has no rest."""
    lanes = vector.lanes(dtype)
    vectors = max(n for n in range(1, 5) if columns % (n * lanes) == 0)
    return vector.panel(dtype, vectors), vectors * lanes


@njit
def share(part: int, begin: int, end: int, columns: int, wide: int) -> tuple[int, int]:
    """Which of the columns of a part are summed by the thread that has the shares from ``begin`` to ``end`` - 1 of all
    parts, in multiples of ``wide``."""
    count = (columns + wide - 1) // wide
    first, last = max(0, begin - part * SHARES), min(SHARES, end - part * SHARES)
    return count * first // SHARES * wide, count * last // SHARES * wide


def set_apart(numbers: int, size: int) -> int:
    """How far the matrices of two points stand from each other: an odd number of cache lines.

    A tile is written to as many places so far apart. Were that a power of two, all would fall into one set of the
    cache, which has room for 8.
    """
    line = ALIGNMENT // size
    return (-(-numbers // line) | 1) * line
