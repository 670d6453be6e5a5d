"""Convolution by Winograd's F(4 x 4, 3 x 3), float32 and float64 (``cpu.winograd``): 3 x 3, and 4 x 4 with stride 2.

A tile of 4 x 4 outputs takes 36 multiplications instead of 144; what stands on both sides of them, and their error, is
in :mod:`tinydl.kernels.conv.transforms`::

    forward   Y = A^T [ sum over c of  (G w G^T) (B^T x B) ] A        per tile: x 6 x 6, Y 4 x 4
    input     the same of the output's gradient, with the kernel turned round
    weight   dw = G^T [ sum over tiles of  (A g A^T) (B^T x B) ] G

The sums over channels, and over tiles, are 36 products of matrices. A kernel of 4 x 4 with a stride of 2 is one of
3 x 3, a few of its entries zero, on the four phases of the image (every second row and column), and its transpose one
whose outputs are four phases: 36 multiplications a phase instead of 64; 5 x 5 and 6 x 6 gain more.

An image is laid out with its channels last. Every entry of a result is summed by one thread in one order, the weight's
gradient in a fixed number of parts: bits do not depend on the number of threads. An infinity in the input makes NaN of
the tiles that see it, not only of the outputs (``use(conv_forward="cpu.shift")`` where that matters).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.conv import spec
from tinydl.kernels.conv.layout import SHARES, lay_out_channels_last, panel, set_apart, share
from tinydl.kernels.conv.spec import Ints
from tinydl.kernels.conv.transforms import DEPTH, FILTER, GRADIENT, IMAGE, RESULT, WEIGHT, tile
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import add, multiply, transpose
from tinydl.kernels.workspace import plain, scratch

Array = NDArray[Any]

TOGETHER = 16  # vectors of sums that are added up before they are transformed

# -------------------------------------------------------------------------------------------------------- the kernels
#
# Channels are whole vectors. Tiles of several small images are taken together, T at once: tile t of a block stands at
# [point][t][phase][channel]. ``wide`` is the columns of a product's tile, ``C`` and ``O`` the channels of what is read
# and of what is written, ``read`` and ``written`` how many phases of them there are each way.


@njit
def _filters(lanes: int, w: Array, u: Array) -> None:
    """u[point][...] of w[tap][...]."""
    count = w.size // 9
    for n in range(0, count, lanes):
        tile(FILTER, 4, w, n, 3 * count, count, u, n, 6 * count, count)


@shared
def _weights(thread: int, threads: int, lanes: int, parts: int, s: Array, w: Array) -> None:
    """w[tap][...] of the sums s[part][point][...], which are added up in their order: one thread's share."""
    count = s.size // (36 * parts)
    vectors = count // lanes
    for begin in range(vectors * thread // threads, vectors * (thread + 1) // threads, TOGETHER):
        end = min(begin + TOGETHER, vectors * (thread + 1) // threads)
        for point in range(36):
            for part in range(1, parts):
                source = (part * 36 + point) * count + begin * lanes
                add(s, point * count + begin * lanes, s, source, (end - begin) * lanes)
        for n in range(begin * lanes, end * lanes, lanes):
            tile(WEIGHT, 4, s, n, 6 * count, count, w, n, 3 * count, count)


@shared
def _products(thread: int, threads: int, inner: int, wide: int, lanes: int, images: int, together: int, cuts: int,
              C: int, O: int, read: int, written: int, size: Any, low: Any, out: Any, tiles: Any, T: int, apart: Any,
              phases: Array, x: Array, u: Array, room: Array, room_size: int, y: Array) -> None:  # fmt: skip
    """y[image, O, *out] from x[image, C, *size] and u[point][read][read][C][written][written][O]: a thread's share."""
    H, W = tiles
    K, N = read * read * C, written * written * O
    wx, wy = 4 * W + 2, 4 * W * written
    plane = (4 * H + 2) * wx * C
    at = thread * room_size
    v_at = at + together * read * read * plane
    v_point, m_point = apart
    m_at = v_at + 36 * v_point
    y_at = m_at + 36 * m_point
    groups = (images + together - 1) // together
    for item in range(groups * cuts * thread // threads, groups * cuts * (thread + 1) // threads):
        first, cut = item // cuts * together, item % cuts
        count = min(together, images - first)
        for image in range(count):
            lay_out_channels_last(
                lanes, x, (first + image) * C * size[0] * size[1], C, (1, size[0], size[1]), (1, read, read),
                (0, low[0], low[1]), (1, 4 * H + 2, wx), phases, room, at + image * read * read * plane,
            )  # fmt: skip
        row0, row1 = H * cut // cuts, H * (cut + 1) // cuts
        begin, end = row0 * W, row1 * W + (count - 1) * H * W  # with several images there is one cut
        for start in range(begin, end, T):
            now = min(T, end - start)
            for t in range(now):
                i, j = (start + t) // W, (start + t) % W
                for phase in range(read * read):
                    source = at + (i // H * read * read + phase) * plane + (i % H * 4 * wx + 4 * j) * C
                    target = v_at + t * K + phase * C
                    for c in range(0, C, lanes):
                        tile(IMAGE, 4, room, source + c, wx * C, C, room, target + c, 6 * v_point, v_point)
            for point in range(36):
                for k in range(0, K, DEPTH):
                    for n in range(0, N, wide):
                        multiply(inner, now, room, v_at + point * v_point + k, K, 1, u, (point * K + k) * N + n, N,
                                 room, m_at + point * m_point + n, N, min(DEPTH, K - k), k)  # fmt: skip
            for t in range(now):
                i, j = (start + t) // W, (start + t) % W
                for phase in range(written * written):
                    row, column = 4 * i * written + phase // written, 4 * j * written + phase % written
                    source, target = m_at + t * N + phase * O, y_at + (row * wy + column) * O
                    for o in range(0, O, lanes):
                        tile(RESULT, 4, room, source + o, 6 * m_point, m_point, room, target + o, written * wy * O,
                                   written * O)  # fmt: skip
        for image in range(count):
            for row in range(4 * row0 * written, min(4 * row1 * written, out[0])):
                source = y_at + (image * 4 * H * written + row) * wy * O
                target = (first + image) * O * out[0] * out[1] + row * out[1]
                transpose(lanes, y, target, out[0] * out[1], room, source, O, out[1], O)


@shared
def _sums(thread: int, threads: int, inner: int, wide: int, lanes: int, images: int, together: int, parts: int, C: int,
          O: int, read: int, size: Any, low: Any, out: Any, tiles: Any, T: int, apart: Any, phases: Array, x: Array,
          g: Array, room: Array, room_size: int, sums: Array) -> None:  # fmt: skip
    """sums[part][point][O][read][read][C], each over the images of a part: one thread's share, or some of the
    columns of a part."""
    H, W = tiles
    K = read * read * C
    wx, wy = 4 * W + 2, 4 * W
    plane = (4 * H + 2) * wx * C
    at = thread * room_size
    g_at = at + together * read * read * plane
    v_at = g_at + together * 4 * H * wy * O
    v_point, m_point = apart
    m_at = v_at + 36 * v_point
    begin, end = parts * SHARES * thread // threads, parts * SHARES * (thread + 1) // threads
    for part in range(begin // SHARES, (end + SHARES - 1) // SHARES):
        k0, k1 = share(part, begin, end, K, wide)
        if k0 == k1:
            continue
        phase0, phase1 = k0 // C, (k1 + C - 1) // C
        begun, last = 0, images * (part + 1) // parts
        for first in range(images * part // parts, last, together):
            count = min(together, last - first)
            for image in range(count):
                lay_out_channels_last(
                    lanes, x, (first + image) * C * size[0] * size[1], C, (1, size[0], size[1]), (1, read, read),
                    (0, low[0], low[1]), (1, 4 * H + 2, wx), phases[phase0:phase1], room,
                    at + (image * read * read + phase0) * plane,
                )  # fmt: skip
                lay_out_channels_last(
                    lanes, g, (first + image) * O * out[0] * out[1], O, (1, out[0], out[1]), (1, 1, 1), (0, 0, 0),
                    (1, 4 * H, wy), phases[:1], room, g_at + image * 4 * H * wy * O,
                )  # fmt: skip
            for start in range(0, count * H * W, T):
                now = min(T, count * H * W - start)
                for t in range(now):
                    i, j = (start + t) // W, (start + t) % W
                    for phase in range(phase0, phase1):
                        source = at + (i // H * read * read + phase) * plane + (i % H * 4 * wx + 4 * j) * C
                        target = v_at + t * K + phase * C
                        for c in range(max(0, k0 - phase * C), min(C, k1 - phase * C), lanes):
                            tile(IMAGE, 4, room, source + c, wx * C, C, room, target + c, 6 * v_point, v_point)
                    source = g_at + (i * 4 * wy + 4 * j) * O
                    for o in range(0, O, lanes):
                        tile(GRADIENT, 4, room, source + o, wy * O, O, room, m_at + t * O + o, 6 * m_point, m_point)
                for point in range(36):
                    for k in range(k0, k1, wide):
                        multiply(inner, O, room, m_at + point * m_point, 1, O, room, v_at + point * v_point + k, K,
                                 sums, (part * 36 + point) * O * K + k, K, now, begun)  # fmt: skip
                begun = 1


# ------------------------------------------------------------------------------------------------------- the variants

Pair = tuple[int, int]


@functools.lru_cache(maxsize=1024)
def _taps(kernel: int, stride: int, padding: int) -> tuple[int, list[Pair]] | None:
    """Where the three taps of a phase begin, seen from an output, and each tap's phase and number; None if they are
    not three or fewer."""
    low = -padding // stride
    taps = [((k - padding) % stride, (k - padding) // stride - low) for k in range(kernel)]
    return (low, taps) if taps[-1][1] <= 2 else None


def _both(w: Array, stride: Ints, padding: Ints) -> tuple[Pair, list[tuple[Pair, tuple[int, int, int, int]]]]:
    """Where the taps begin in both dimensions, and for each entry of the kernel (row, column) its taps and phases."""
    down, across = (_taps(k, s, p) for k, s, p in zip(w.shape[3:], stride[1:], padding[1:]))
    assert down is not None and across is not None, "accepts() let it through"
    return (down[0], across[0]), [
        ((i, j), (a, b, r, s)) for i, (r, a) in enumerate(down[1]) for j, (s, b) in enumerate(across[1])
    ]


def _phases(count: int) -> Array:
    return np.array([(0, i, j) for i in range(count) for j in range(count)], np.int64)


_PHASES = {count: _phases(count) for count in (1, 2)}


def _block(K: int, N: int, size: int) -> int:
    """Tiles at once: their numbers at all points fill half of a second-level cache of a megabyte, unless there are so
    many channels that the filters, which are read anew for every block, would be most of what is read."""
    return max(8, min(128, max((1 << 19) // (36 * (K + N) * size), K * N // (K + N))))


def _convolved(x: Array, w: Array, low: Pair, read: int, written: int, out: Ints) -> Array:
    """x [B, C, 1, H, W], w [3, 3, read, read, C, written, written, O] -> [B, O, 1, *out]."""
    B, C, O, dtype = len(x), w.shape[4], w.shape[7], x.dtype
    K, N = read * read * C, written * written * O
    y = np.empty((B, O, 1, *out), dtype)
    lanes, (inner, wide) = vector.lanes(dtype), panel(dtype, N)
    u = scratch("winograd_filters", 36 * K * N, dtype)
    _filters(lanes, w.reshape(-1), u)
    tiles = -(-out[0] // (4 * written)), -(-out[1] // (4 * written))
    number = tiles[0] * tiles[1]
    threads = worthwhile(2 * 36 * B * number * K * N)
    together = max(1, min(-(-B // threads), -(-32 // number)))
    cuts = 1 if together > 1 or B >= threads else min(threads, tiles[0])
    T = min(_block(K, N, x.itemsize), together * number)
    apart = set_apart(T * K, x.itemsize), set_apart(T * N, x.itemsize)
    room = together * ((4 * tiles[0] + 2) * (4 * tiles[1] + 2) * K + 16 * number * N) + 36 * sum(apart)
    arguments = (
        B, together, cuts, C, O, read, written, x.shape[3:], low, out, tiles, T, apart, _PHASES[read],
        plain(x).reshape(-1), u, scratch("winograd", threads * room, dtype), room, y.reshape(-1),
    )  # fmt: skip
    with num_threads(threads):
        _products(threads, inner, wide, lanes, *arguments)
    return y


def _fits(kernel: Ints, channels: int, others: int, dtype: Any, stride: Ints, padding: Ints, dilation: Ints,
          groups: int) -> bool:  # fmt: skip
    """3 x 3, or with a stride of 2 what has up to three taps a phase and more than 3 x 3 in all, whose transforms are
    fewer multiplications too; whole vectors of channels."""
    step, lanes = stride[2], vector.lanes(dtype)
    return (
        groups == 1
        and tuple(dilation) == (1, 1, 1)
        and kernel[0] == stride[0] == 1
        and padding[0] == 0
        and kernel[1] == kernel[2]
        and stride[1] == step
        and (kernel[2] == 3 if step == 1 else step == 2 and kernel[2] >= 4)
        and channels % lanes == 0
        and others % lanes == 0
        and all(_taps(kernel[2], step, p) is not None for p in padding[1:])
        and max(padding) <= 2
    )


def _enough(images: int, out: Ints, least: int = 256) -> bool:
    """Whether there are so many outputs that transforming the filters, and a rest of a tile, do not matter."""
    return min(out) >= 4 and images * out[0] * out[1] >= least


def _accepts(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> bool:
    kernel = w.shape[2:]
    return (
        _fits(kernel, w.shape[0], w.shape[1], x.dtype, stride, padding, dilation, groups)
        and x.shape[2] == 1
        and _enough(len(x), spec.positions(x.shape[3:], kernel[1:], stride[1:], padding[1:], (1, 1)))
    )


def _accepts_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> bool:
    return (
        _fits(w.shape[2:], w.shape[0], w.shape[1], g.dtype, stride, padding, dilation, groups)
        and size[0] == 1
        and _enough(len(g), g.shape[3:])
    )


def _accepts_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> bool:
    return (
        _fits(kernel, g.shape[1], x.shape[1], x.dtype, stride, padding, dilation, groups)
        and x.shape[2] == 1
        and _enough(len(g), g.shape[3:], 512)
    )


@register(op="conv_forward", name="cpu.winograd", dtypes=("float32", "float64"), accepts=_accepts, default=True)
def conv_forward(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
    """See the head of the file."""
    spec.check("conv_forward", "cpu.winograd", groups, x=x, w=w)
    step, O, C = stride[2], w.shape[0], w.shape[1]
    out = spec.positions(x.shape[3:], w.shape[3:], stride[1:], padding[1:], (1, 1))
    low, entries = _both(w, stride, padding)
    small = np.zeros((3, 3, step, step, C, 1, 1, O), w.dtype)
    for (i, j), (a, b, r, s) in entries:
        small[a, b, r, s, :, 0, 0] = w[:, :, 0, i, j].T
    return _convolved(x, small, low, step, 1, out)


@register(op="conv_input", name="cpu.winograd", dtypes=("float32", "float64"), accepts=_accepts_input, default=True)
def conv_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_input", "cpu.winograd", groups, g=g, w=w)
    step, O, C = stride[2], w.shape[0], w.shape[1]
    low, entries = _both(w, stride, padding)
    small = np.zeros((3, 3, 1, 1, O, step, step, C), w.dtype)
    for (i, j), (a, b, r, s) in entries:  # what was seen a taps on sees from 2 - a taps on
        small[2 - a, 2 - b, 0, 0, :, r, s] = w[:, :, 0, i, j]
    return _convolved(g, small, (-2 - low[0], -2 - low[1]), 1, step, tuple(size[1:]))


@register(op="conv_weight", name="cpu.winograd", dtypes=("float32", "float64"), accepts=_accepts_weight, default=True)
def conv_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_weight", "cpu.winograd", groups, g=g, x=x)
    B, O, C, dtype, out, step = len(g), g.shape[1], x.shape[1], x.dtype, g.shape[3:], stride[2]
    K = step * step * C
    dw = np.empty((O, C, *kernel), dtype)
    low, entries = _both(dw, stride, padding)
    lanes, (inner, wide) = vector.lanes(dtype), panel(dtype, K)
    tiles = -(-out[0] // 4), -(-out[1] // 4)
    number = tiles[0] * tiles[1]
    T = max(64, _block(K, O, x.itemsize))  # as many as make it worth while to read the sums and write them back
    parts = spec.parts(min(B, B * number // 64), 36 * O * K * x.itemsize)
    # The images of a part are cut evenly: a short block costs reading and writing the sums as much as a long one.
    images = -(-B // parts)
    together = -(-images // -(-images * number // T))
    T = -(-together * number // -(-together * number // T))
    apart = set_apart(T * K, x.itemsize), set_apart(T * O, x.itemsize)
    threads = min(worthwhile(2 * 36 * B * number * K * O), parts * SHARES)
    room = together * ((4 * tiles[0] + 2) * (4 * tiles[1] + 2) * K + 16 * number * O) + 36 * sum(apart)
    sums = scratch("winograd_filters", parts * 36 * O * K, dtype)  # one part is as large as the filters
    arguments = (
        B, together, parts, C, O, step, x.shape[3:], low, out, tiles, T, apart, _PHASES[step], plain(x).reshape(-1),
        plain(g).reshape(-1), scratch("winograd", threads * room, dtype), room, sums,
    )  # fmt: skip
    small = np.empty((3, 3, O, step, step, C), dtype)
    with num_threads(threads):
        _sums(threads, inner, wide, lanes, *arguments)
        _weights(threads, lanes, parts, sums, small.reshape(-1))
    for (i, j), (a, b, r, s) in entries:
        dw[:, :, 0, i, j] = small[a, b, :, r, s]
    return dw
