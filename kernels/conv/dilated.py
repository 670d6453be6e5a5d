"""Convolution along rows whose taps are whole vectors apart, float32 and float64 (``cpu.dilated``): WaveNet's.

The products are those of :mod:`tinydl.kernels.conv.line`, six for each tile of m outputs, ``dilation`` apart. Where the
dilation is a multiple of a vector's lanes, so many tiles stand side by side that a vector holds a number of as many
*tiles*, not of as many channels: rows are read and written as they lie in memory, and no channels are put last.

    forward   y = A^T [ (G w) (B^T x) ]          products [O, C] [C, tiles]
    input     the same of the output's gradient, with the kernel turned round
    weight   dw = G^T [ (A g) (B^T x)^T ]        products [O, tiles] [tiles, C]; this one factor is transposed

A chunk of T tiles is read, multiplied and written while it is in the second-level cache. Every entry of a result is
summed by one thread in one order, the weight's gradient in a fixed number of parts: bits do not depend on the number of
threads. An infinity in the input makes NaN of the tiles that see it.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.conv import spec
from tinydl.kernels.conv.layout import SHARES, fill, panel, set_apart, share
from tinydl.kernels.conv.spec import Ints
from tinydl.kernels.conv.transforms import DEPTH, IMAGE, POINTS, filters, fits, gradients, line, results, weight_of
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import copy, multiply, transpose
from tinydl.kernels.workspace import plain, scratch

Array = NDArray[Any]

TILES = 128  # of a chunk, at most
OUTPUTS = 512  # in all, from which on transforming the filters does not matter


class Rows(NamedTuple):
    """How the outputs are cut. A tile is ``m`` outputs ``step`` apart, and ``step`` tiles side by side are a block.

    A chunk is ``side`` tiles side by side in each of ``blocks`` blocks: a part of one, or several whole ones. There are
    ``across`` chunks side by side, and ``along`` of these in a row of ``length`` outputs. ``outer`` rows of ``size``
    inputs are an image; ``low``: the place of the first tap of the first output.
    """

    m: int
    step: int
    outer: int
    size: int
    low: int
    length: int
    side: int
    blocks: int
    across: int
    along: int


# -------------------------------------------------------------------------------------------------------- the kernels
#
# Chunks are numbered through all images and rows. Numbers of a chunk stand at [point][channel][tile].


@njit
def _chunk(rows: Any, number: int) -> tuple[int, int, int]:
    """Image, row and first output of a chunk."""
    each = rows.across * rows.along
    row, k = number // each, number % each
    first = k // rows.across * rows.blocks * rows.m * rows.step + k % rows.across * rows.side
    return row // rows.outer, row % rows.outer, first


@njit
def _whole(rows: Any, first: int, places: int, size: int) -> bool:
    """Whether ``places`` numbers of each tile of the chunk that begins at ``first`` lie in a row of ``size``."""
    last = first + ((rows.blocks - 1) * rows.m + places - 1) * rows.step + rows.side
    return bool(first >= 0 and last <= size)


@njit
def _lift(rows: Any, places: int, x: Array, x0: int, size: int, first: int, edge: Array, at: int) -> None:
    """edge[block][place][tile]: ``places`` numbers of each tile of a row x[size], zero outside it."""
    side = rows.side
    for block in range(rows.blocks):
        for place in range(places):
            start = first + (block * rows.m + place) * rows.step
            begin = min(side, max(0, -start))
            end = max(begin, min(side, size - start))
            target = at + (block * places + place) * side
            fill(edge, target, begin)
            if end > begin:
                copy(edge, target + begin, x, x0 + start + begin, end - begin)
            fill(edge, target + end, side - end)


@njit
def _images(rows: Any, lanes: int, x: Array, x0: int, plane: int, first: int, c0: int, c1: int, v_point: int, T: int,
            edge_at: int, room: Array, at: int) -> None:  # fmt: skip
    """room[point][c][tile] = B^T x of the channels c0 to c1 - 1 of a chunk."""
    whole = _whole(rows, first, POINTS, rows.size)
    for c in range(c0, c1):
        row = x0 + c * plane
        if not whole:
            _lift(rows, POINTS, x, row, rows.size, first, room, edge_at)
        for block in range(rows.blocks):
            target = at + c * T + block * rows.side
            for s in range(0, rows.side, lanes):
                if whole:
                    source = row + first + block * rows.m * rows.step + s
                    line(IMAGE, 4, x, source, rows.step, room, target + s, v_point)
                else:
                    source = edge_at + block * POINTS * rows.side + s
                    line(IMAGE, 4, room, source, rows.side, room, target + s, v_point)


@shared
def _products(thread: int, threads: int, inner: int, wide: int, lanes: int, images: int, C: int, O: int, rows: Any,
              apart: Any, x: Array, u: Array, room: Array, room_size: int, y: Array) -> None:  # fmt: skip
    """y[image, O, ...] from x[image, C, ...] and u[point][O][C]: one thread's share."""
    m, step, side, T = rows.m, rows.step, rows.side, rows.side * rows.blocks
    v_point, m_point = apart
    v_at = thread * room_size
    m_at = v_at + POINTS * v_point
    edge_at = m_at + POINTS * m_point
    plane = rows.outer * rows.length
    chunks = images * rows.outer * rows.along * rows.across
    for number in range(chunks * thread // threads, chunks * (thread + 1) // threads):
        image, row, first = _chunk(rows, number)
        x0 = (image * C * rows.outer + row) * rows.size
        _images(rows, lanes, x, x0, rows.outer * rows.size, first + rows.low, 0, C, v_point, T, edge_at, room, v_at)
        for point in range(POINTS):
            for c in range(0, C, DEPTH):
                for t in range(0, T, wide):
                    multiply(inner, O, u, point * O * C + c, C, 1, room, v_at + point * v_point + c * T + t, T, room,
                             m_at + point * m_point + t, T, min(DEPTH, C - c), c)  # fmt: skip
        whole = _whole(rows, first, m, rows.length)
        for o in range(O):
            y0 = image * O * plane + o * plane + row * rows.length
            for block in range(rows.blocks):
                start = first + block * m * step
                for s in range(0, side, lanes):
                    source = m_at + o * T + block * side + s
                    if whole:
                        results(m, room, source, m_point, y, y0 + start + s, step)
                    else:
                        results(m, room, source, m_point, room, edge_at + s, side)
                if not whole:
                    for place in range(m):
                        begin = start + place * step
                        if begin < rows.length:
                            copy(y, y0 + begin, room, edge_at + place * side, min(side, rows.length - begin))


@shared
def _sums(thread: int, threads: int, inner: int, wide: int, lanes: int, images: int, parts: int, C: int, O: int,
          rows: Any, apart: Any, x: Array, g: Array, room: Array, room_size: int, sums: Array) -> None:  # fmt: skip
    """sums[part][point][O][C], each over the chunks of a part: one thread's share, or some of the columns of a part."""
    m, step, side, T = rows.m, rows.step, rows.side, rows.side * rows.blocks
    v_point, g_point = apart
    v_at = thread * room_size
    turned_at = v_at + POINTS * v_point
    g_at = turned_at + T * C
    edge_at = g_at + POINTS * g_point
    plane = rows.outer * rows.length
    chunks = images * rows.outer * rows.along * rows.across
    begin, end = parts * SHARES * thread // threads, parts * SHARES * (thread + 1) // threads
    for part in range(begin // SHARES, (end + SHARES - 1) // SHARES):
        c0, c1 = share(part, begin, end, C, wide)
        if c0 == c1:
            continue
        begun = 0
        for number in range(chunks * part // parts, chunks * (part + 1) // parts):
            image, row, first = _chunk(rows, number)
            x0 = (image * C * rows.outer + row) * rows.size
            _images(rows, lanes, x, x0, rows.outer * rows.size, first + rows.low, c0, c1, v_point, T, edge_at, room,
                    v_at)  # fmt: skip
            whole = _whole(rows, first, m, rows.length)
            for o in range(O):
                g0 = image * O * plane + o * plane + row * rows.length
                if not whole:
                    _lift(rows, m, g, g0, rows.length, first, room, edge_at)
                for block in range(rows.blocks):
                    target = g_at + o * T + block * side
                    for s in range(0, side, lanes):
                        if whole:
                            gradients(m, g, g0 + first + block * m * step + s, step, room, target + s, g_point)
                        else:
                            gradients(m, room, edge_at + block * m * side + s, side, room, target + s, g_point)
            for point in range(POINTS):
                transpose(lanes, room, turned_at, C, room, v_at + point * v_point + c0 * T, T, c1 - c0, T)
                for c in range(c0, c1, wide):
                    multiply(inner, O, room, g_at + point * g_point, T, 1, room, turned_at + c - c0, C, sums,
                             (part * POINTS + point) * O * C + c, C, T, begun)  # fmt: skip
            begun = 1


# ------------------------------------------------------------------------------------------------------- the variants


@functools.lru_cache(maxsize=1024)
def _rows(size: Ints, kernel: Ints, out: Ints, padding: Ints, dilation: Ints, turned: bool, lanes: int) -> Rows:
    """Of a convolution from ``size`` to ``out``, or, ``turned``, of its transpose, from ``out`` to ``size``."""
    taps, step, low = kernel[2], dilation[2], -padding[2]
    if turned:
        size, out, low = out, size, -low - (taps - 1) * step
    m = POINTS + 1 - taps
    side = next(n for n in range(min(step, TILES) // lanes * lanes, 0, -lanes) if step % n == 0)
    all_blocks = -(-out[2] // (m * step))
    blocks = min(all_blocks, TILES // side) if side == step else 1
    return Rows(m, step, out[1], size[2], low, out[2], side, blocks, step // side, -(-all_blocks // blocks))


def _convolved(x: Array, w: Array, rows: Rows, out: Ints) -> Array:
    """x [B, C, 1, ...], w [taps, O, C] -> [B, O, *out]."""
    B, O, C, dtype = len(x), w.shape[1], w.shape[2], x.dtype
    y = np.empty((B, O, *out), dtype)
    T = rows.side * rows.blocks
    lanes, (inner, wide) = vector.lanes(dtype), panel(dtype, T)
    u = scratch("line_filters", POINTS * O * C, dtype)
    filters(rows.m, lanes, w.reshape(-1), u)
    threads = worthwhile(2 * POINTS * B * rows.outer * rows.along * rows.across * T * C * O)
    apart = set_apart(C * T, x.itemsize), set_apart(O * T, x.itemsize)
    room = POINTS * (sum(apart) + T)
    arguments = (
        B, C, O, rows, apart, plain(x).reshape(-1), u, scratch("line", threads * room, dtype), room, y.reshape(-1),
    )  # fmt: skip
    with num_threads(threads):
        _products(threads, inner, wide, lanes, *arguments)
    return y


def _takes(first: Array, channels: int, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int,
           outputs: Ints) -> bool:  # fmt: skip
    """Two to four taps in a row, whole vectors apart; many outputs, at most a fifth of them in the rests of blocks."""
    kernel, step, length = tuple(kernel), dilation[2], outputs[2]
    if not fits(kernel, first.shape[1], channels, first.dtype, stride, padding, groups) or kernel[2] == 1:
        return False
    block = (POINTS + 1 - kernel[2]) * step
    return (
        outputs[0] == 1
        and step % vector.lanes(first.dtype) == 0
        and len(first) * outputs[1] * length >= OUTPUTS
        and -(-length // block) * block * 4 <= length * 5
    )


def _accepts(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> bool:
    out = spec.positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return x.shape[2] == 1 and _takes(x, len(w), w.shape[2:], stride, padding, dilation, groups, out)


def _accepts_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> bool:
    return g.shape[2] == 1 and _takes(g, w.shape[1], w.shape[2:], stride, padding, dilation, groups, size)


def _accepts_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> bool:
    return x.shape[2] == 1 and _takes(g, x.shape[1], kernel, stride, padding, dilation, groups, g.shape[2:])


@register(op="conv_forward", name="cpu.dilated", dtypes=("float32", "float64"), accepts=_accepts)
def conv_forward(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
    """See the head of the file."""
    spec.check("conv_forward", "cpu.dilated", groups, x=x, w=w)
    out = spec.positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    rows = _rows(x.shape[2:], w.shape[2:], out, tuple(padding), tuple(dilation), False, vector.lanes(x.dtype))
    taps = np.ascontiguousarray(w.reshape(*w.shape[:2], -1).transpose(2, 0, 1))
    return _convolved(x, taps, rows, out)


@register(op="conv_input", name="cpu.dilated", dtypes=("float32", "float64"), accepts=_accepts_input)
def conv_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_input", "cpu.dilated", groups, g=g, w=w)
    rows = _rows(tuple(size), w.shape[2:], g.shape[2:], tuple(padding), tuple(dilation), True, vector.lanes(g.dtype))
    taps = np.ascontiguousarray(w.reshape(*w.shape[:2], -1)[:, :, ::-1].transpose(2, 1, 0))
    return _convolved(g, taps, rows, size)


@register(op="conv_weight", name="cpu.dilated", dtypes=("float32", "float64"), accepts=_accepts_weight)
def conv_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_weight", "cpu.dilated", groups, g=g, x=x)
    B, O, C, dtype = len(g), g.shape[1], x.shape[1], x.dtype
    lanes, (inner, wide) = vector.lanes(dtype), panel(dtype, C)
    rows = _rows(x.shape[2:], tuple(kernel), g.shape[2:], tuple(padding), tuple(dilation), False, lanes)
    chunks, T = B * rows.outer * rows.along * rows.across, rows.side * rows.blocks
    parts = spec.parts(chunks, POINTS * O * C * x.itemsize)
    threads = min(worthwhile(2 * POINTS * chunks * T * C * O), parts * SHARES)
    apart = set_apart(C * T, x.itemsize), set_apart(O * T, x.itemsize)
    room = POINTS * (sum(apart) + T) + T * C
    sums = scratch("line_filters", parts * POINTS * O * C, dtype)  # one part is as large as the filters
    arguments = (
        B, parts, C, O, rows, apart, plain(x).reshape(-1), plain(g).reshape(-1),
        scratch("line", threads * room, dtype), room, sums,
    )  # fmt: skip
    with num_threads(threads):
        _sums(threads, inner, wide, lanes, *arguments)
    return weight_of(sums, parts, tuple(kernel), O, C)
