"""Convolution along one dimension by Winograd's F(m, r), m + r - 1 = 6, float32 and float64 (``cpu.line``).

Kernels of two, three or four taps in a row, with any dilation (those of WaveNet among them): five, four or three
outputs take six multiplications instead of ten or twelve. What stands on both sides of them is in
:mod:`tinydl.kernels.conv.transforms`::

    forward   y = A^T [ sum over c of  (G w) (B^T x) ]        per tile: m outputs, ``dilation`` apart
    input     the same of the output's gradient, with the kernel turned round
    weight   dw = G^T [ sum over tiles of  (A g) (B^T x) ]

The sums over channels, and over tiles, are six products of matrices. The dimension is cut into pieces, each of which
is laid out with its channels last; further dimensions are more lines of the same kind. Every entry of a result is
summed by one thread in one order, the weight's gradient in a fixed number of parts: bits do not depend on the number of
threads. An infinity in the input makes NaN of the tiles that see it.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.conv import spec
from tinydl.kernels.conv.layout import SHARES, lay_out_channels_last, panel, share
from tinydl.kernels.conv.spec import Ints
from tinydl.kernels.conv.transforms import DEPTH, IMAGE, POINTS, filters, fits, gradients, line, results, weight_of
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import multiply, transpose
from tinydl.kernels.workspace import plain, scratch

Array = NDArray[Any]

PIECE = 1024  # positions of a piece, about: they stay in the second-level cache
ALIGNED = 16  # a piece begins at a multiple of so many positions, where a cache line begins


class Lines(NamedTuple):
    """How the outputs are cut. A tile is ``m`` outputs ``step`` apart, and ``step`` tiles side by side are a block.

    across: whether the dimension is the innermost one; then ``outer`` lines stand one after another, else ``inner`` lie
    side by side. ``size``: rows and columns of what is read; ``low``: of the first output, the place of the first tap.
    ``blocks`` in a piece, ``pieces`` in a line of ``length`` outputs.
    """

    m: int
    step: int
    across: bool
    outer: int
    inner: int
    rows: int
    columns: int
    low: int
    length: int
    blocks: int
    pieces: int


# -------------------------------------------------------------------------------------------------------- the kernels
#
# Pieces are numbered through all images and lines; ``together`` of them are taken at once, T of their tiles at a time:
# tile t stands at [point][t][channel].


@njit
def _piece(lines: Any, number: int) -> tuple[int, int, int]:
    """Image, line and first output of a piece."""
    each = lines.outer * lines.pieces
    return number // each, number % each // lines.pieces, number % lines.pieces * lines.blocks * lines.m * lines.step


@njit
def _lay_out(lines: Any, lanes: int, x: Array, C: int, rows: int, columns: int, image: int, number: int, first: int,
             length: int, phases: Array, room: Array, at: int) -> None:  # fmt: skip
    """room[position][line][c] of ``length`` positions of a line from ``first`` on."""
    low, extent = (0, number, first), (1, 1, length)
    if not lines.across:
        low, extent = (0, first, 0), (1, length, lines.inner)
    lay_out_channels_last(lanes, x, image * C * rows * columns, C, (1, rows, columns), (1, 1, 1), low, extent, phases,
                          room, at)  # fmt: skip


@njit
def _place(lines: Any, tile: int) -> int:
    """Of a tile of a piece its first position, times the lines that lie side by side, plus its own."""
    b = tile // lines.inner
    place: int = (b // lines.step * lines.m * lines.step + b % lines.step) * lines.inner + tile % lines.inner
    return place


@shared
def _products(thread: int, threads: int, inner: int, wide: int, lanes: int, images: int, together: int, C: int, O: int,
              lines: Any, T: int, phases: Array, x: Array, u: Array, room: Array, room_size: int,
              y: Array) -> None:  # fmt: skip
    """y[image, O, ...] from x[image, C, ...] and u[point][C][O]: one thread's share."""
    m, step, side = lines.m, lines.step, lines.inner
    tiles, outputs = lines.blocks * step * side, lines.blocks * m * step
    length = outputs + (POINTS - m) * step
    at = thread * room_size
    v_at = at + together * length * side * C
    m_at = v_at + POINTS * T * C
    y_at = m_at + POINTS * T * O
    plane = lines.outer * lines.length * side
    pieces = images * lines.outer * lines.pieces
    groups = (pieces + together - 1) // together
    for group in range(groups * thread // threads, groups * (thread + 1) // threads):
        count = min(together, pieces - group * together)
        for k in range(count):
            image, number, first = _piece(lines, group * together + k)
            _lay_out(lines, lanes, x, C, lines.rows, lines.columns, image, number, first + lines.low, length, phases,
                     room, at + k * length * side * C)  # fmt: skip
        for start in range(0, count * tiles, T):
            now = min(T, count * tiles - start)
            for t in range(now):
                k = (start + t) // tiles
                source = at + (k * length * side + _place(lines, start + t - k * tiles)) * C
                for c in range(0, C, lanes):
                    line(IMAGE, 4, room, source + c, step * side * C, room, v_at + t * C + c, T * C)
            for point in range(POINTS):
                for c in range(0, C, DEPTH):
                    for o in range(0, O, wide):
                        multiply(inner, now, room, v_at + point * T * C + c, C, 1, u, (point * C + c) * O + o, O, room,
                                 m_at + point * T * O + o, O, min(DEPTH, C - c), c)  # fmt: skip
            for t in range(now):
                k = (start + t) // tiles
                target = y_at + (k * outputs * side + _place(lines, start + t - k * tiles)) * O
                for o in range(0, O, lanes):
                    results(m, room, m_at + t * O + o, T * O, room, target + o, step * side * O)
        for k in range(count):
            image, number, first = _piece(lines, group * together + k)
            target = image * O * plane + (number * lines.length + first) * side
            transpose(lanes, y, target, plane, room, y_at + k * outputs * side * O, O,
                      min(outputs, lines.length - first) * side, O)  # fmt: skip


@shared
def _sums(thread: int, threads: int, inner: int, wide: int, lanes: int, images: int, together: int, parts: int, C: int,
          O: int, lines: Any, T: int, phases: Array, x: Array, g: Array, room: Array, room_size: int,
          sums: Array) -> None:  # fmt: skip
    """sums[part][point][O][C], each over the pieces of a part: one thread's share, or some of the columns of a part."""
    m, step, side = lines.m, lines.step, lines.inner
    tiles, outputs = lines.blocks * step * side, lines.blocks * m * step
    length = outputs + (POINTS - m) * step
    at = thread * room_size
    g_at = at + together * length * side * C
    v_at = g_at + together * outputs * side * O
    m_at = v_at + POINTS * T * C
    rows, columns = (lines.outer, lines.length) if lines.across else (lines.length, side)
    pieces = images * lines.outer * lines.pieces
    begin, end = parts * SHARES * thread // threads, parts * SHARES * (thread + 1) // threads
    for part in range(begin // SHARES, (end + SHARES - 1) // SHARES):
        c0, c1 = share(part, begin, end, C, wide)
        if c0 == c1:
            continue
        begun, last = 0, pieces * (part + 1) // parts
        for piece in range(pieces * part // parts, last, together):
            count = min(together, last - piece)
            for k in range(count):
                image, number, first = _piece(lines, piece + k)
                _lay_out(lines, lanes, x, C, lines.rows, lines.columns, image, number, first + lines.low, length,
                         phases, room, at + k * length * side * C)  # fmt: skip
                _lay_out(lines, lanes, g, O, rows, columns, image, number, first, outputs, phases, room,
                         g_at + k * outputs * side * O)  # fmt: skip
            for start in range(0, count * tiles, T):
                now = min(T, count * tiles - start)
                for t in range(now):
                    k = (start + t) // tiles
                    place = _place(lines, start + t - k * tiles)
                    source = at + (k * length * side + place) * C
                    for c in range(c0, c1, lanes):
                        line(IMAGE, 4, room, source + c, step * side * C, room, v_at + t * C + c, T * C)
                    source = g_at + (k * outputs * side + place) * O
                    for o in range(0, O, lanes):
                        gradients(m, room, source + o, step * side * O, room, m_at + t * O + o, T * O)
                for point in range(POINTS):
                    for c in range(c0, c1, wide):
                        multiply(inner, O, room, m_at + point * T * O, 1, O, room, v_at + point * T * C + c, C, sums,
                                 (part * POINTS + point) * O * C + c, C, now, begun)  # fmt: skip
                begun = 1


# ------------------------------------------------------------------------------------------------------- the variants

_ONE = np.zeros((1, 3), np.int64)  # the one phase of what is read with stride 1


@functools.lru_cache(maxsize=1024)
def _lines(size: Ints, kernel: Ints, out: Ints, padding: Ints, dilation: Ints, turned: bool) -> Lines:
    """Of a convolution from ``size`` to ``out``, or, ``turned``, of its transpose, from ``out`` to ``size``."""
    axis = 2 if kernel[2] > 1 else 1
    taps, step = kernel[axis], dilation[axis]
    low = -padding[axis]
    if turned:
        size, out, low = out, size, -low - (taps - 1) * step
    m = POINTS + 1 - taps
    inner, outer = (1, out[1]) if axis == 2 else (out[2], 1)
    blocks = -(-out[axis] // (m * step))
    pieces = -(-blocks // max(1, PIECE // (m * step * inner)))
    whole = ALIGNED // math.gcd(ALIGNED, step * inner) if pieces > 1 else 1
    each = -(-blocks // (pieces * whole)) * whole
    return Lines(m, step, axis == 2, outer, inner, size[1], size[2], low, out[axis], each, -(-blocks // each))


def _costs(lines: Lines, B: int, C: int, O: int, size: int) -> tuple[int, int, int, int]:
    """Tiles of a piece, pieces at once, tiles at once, and multiplications and additions in all."""
    tiles = lines.blocks * lines.step * lines.inner
    T = max(32, min(192, (1 << 17) // (POINTS * (C + O) * size)))
    pieces = B * lines.outer * lines.pieces
    together = max(1, min(pieces, T // tiles))
    return tiles, together, min(T, together * tiles), 2 * POINTS * pieces * tiles * C * O


def _convolved(x: Array, w: Array, lines: Lines, out: Ints) -> Array:
    """x [B, C, 1, ...], w [taps, C, O] -> [B, O, *out]."""
    B, C, O, dtype = len(x), w.shape[1], w.shape[2], x.dtype
    y = np.empty((B, O, *out), dtype)
    lanes, (inner, wide) = vector.lanes(dtype), panel(dtype, O)
    u = scratch("line_filters", POINTS * C * O, dtype)
    filters(lines.m, lanes, w.reshape(-1), u)
    tiles, together, T, operations = _costs(lines, B, C, O, x.itemsize)
    threads = worthwhile(operations)
    room = POINTS * T * (C + O) + together * tiles * (lines.m * O + POINTS * C)
    arguments = (
        B, together, C, O, lines, T, _ONE, plain(x).reshape(-1), u, scratch("line", threads * room, dtype), room,
        y.reshape(-1),
    )  # fmt: skip
    with num_threads(threads):
        _products(threads, inner, wide, lanes, *arguments)
    return y


def _enough(images: int, lines: Lines) -> bool:
    """Whether there are many outputs, and few of them in the rests of tiles."""
    outputs = lines.length * lines.outer * lines.inner
    computed = lines.pieces * lines.blocks * lines.m * lines.step
    return images * outputs >= 512 and computed * 20 <= lines.length * 23


def _accepts(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> bool:
    if x.shape[2] != 1 or not fits(w.shape[2:], w.shape[0], w.shape[1], x.dtype, stride, padding, groups):
        return False
    out = spec.positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return _enough(len(x), _lines(x.shape[2:], w.shape[2:], out, tuple(padding), tuple(dilation), False))


def _accepts_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> bool:
    if size[0] != 1 or not fits(w.shape[2:], w.shape[0], w.shape[1], g.dtype, stride, padding, groups):
        return False
    return _enough(len(g), _lines(tuple(size), w.shape[2:], g.shape[2:], tuple(padding), tuple(dilation), True))


def _accepts_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> bool:
    kernel = tuple(kernel)
    if x.shape[2] != 1 or not fits(kernel, g.shape[1], x.shape[1], x.dtype, stride, padding, groups):
        return False
    return _enough(len(g), _lines(x.shape[2:], kernel, g.shape[2:], tuple(padding), tuple(dilation), False))


@register(op="conv_forward", name="cpu.line", dtypes=("float32", "float64"), accepts=_accepts)
def conv_forward(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
    """See the head of the file."""
    spec.check("conv_forward", "cpu.line", groups, x=x, w=w)
    out = spec.positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    lines = _lines(x.shape[2:], w.shape[2:], out, tuple(padding), tuple(dilation), False)
    taps = np.ascontiguousarray(w.reshape(*w.shape[:2], -1).transpose(2, 1, 0))
    return _convolved(x, taps, lines, out)


@register(op="conv_input", name="cpu.line", dtypes=("float32", "float64"), accepts=_accepts_input)
def conv_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_input", "cpu.line", groups, g=g, w=w)
    lines = _lines(tuple(size), w.shape[2:], g.shape[2:], tuple(padding), tuple(dilation), True)
    taps = np.ascontiguousarray(w.reshape(*w.shape[:2], -1)[:, :, ::-1].transpose(2, 0, 1))
    return _convolved(g, taps, lines, size)


@register(op="conv_weight", name="cpu.line", dtypes=("float32", "float64"), accepts=_accepts_weight)
def conv_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_weight", "cpu.line", groups, g=g, x=x)
    B, O, C, dtype = len(g), g.shape[1], x.shape[1], x.dtype
    lines = _lines(x.shape[2:], tuple(kernel), g.shape[2:], tuple(padding), tuple(dilation), False)
    lanes, (inner, wide) = vector.lanes(dtype), panel(dtype, C)
    tiles, together, T, operations = _costs(lines, B, C, O, x.itemsize)
    parts = spec.parts(B * lines.outer * lines.pieces, POINTS * O * C * x.itemsize)
    threads = min(worthwhile(operations), parts * SHARES)
    room = POINTS * T * (C + O) + together * tiles * (lines.m * O + POINTS * C)
    sums = scratch("line_filters", parts * POINTS * O * C, dtype)  # one part is as large as the filters
    arguments = (
        B, together, parts, C, O, lines, T, _ONE, plain(x).reshape(-1), plain(g).reshape(-1),
        scratch("line", threads * room, dtype), room, sums,
    )  # fmt: skip
    with num_threads(threads):
        _sums(threads, inner, wide, lanes, *arguments)
    return weight_of(sums, parts, tuple(kernel), O, C)
