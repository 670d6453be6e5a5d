"""Convolution by shifted products, float32 and float64 (``cpu.shift``): the columns are never gathered.

Lay an image out in memory with its padding. The output positions, numbered row by row *in that layout*, then see, under
one entry of the kernel, the same image some elements further on: row ends and all. So for each entry of the kernel

    forward    y[o, q]  += w[o, c, tap] x[c, q + shift(tap)]       a product over channels: C deep, a panel of q wide
    input      the same of the output's gradient, with the kernel turned round
    weight     dw[o, c, tap] += g[o, q] x[c, q + shift(tap)]       a product over positions

and what a position beyond a row's end would have been is computed and dropped (the padding: a few per cent). Nothing is
copied but the image itself, once, into its padding. With a stride s the image is laid out as its s x s phases (every
s-th row and column), each of which is seen with stride 1; the transpose of a strided convolution is the reverse: s x s
phases of its result, each with the part of the kernel that reaches it (Shi et al., arXiv:1609.07009). Where the
innermost entries of the kernel lie side by side, the weight's gradient takes them as one row: an image stored with its
channels last has them in order.

Every entry of a result is summed by one thread in one order, the weight's gradient in a fixed number of parts: bits do
not depend on the number of threads.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.conv import spec
from tinydl.kernels.conv.layout import DEPTH, SHARES, fill, lay_out, lay_out_channels_last, share
from tinydl.kernels.conv.spec import Ints
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import copy, multiply
from tinydl.kernels.workspace import plain, scratch

Array = NDArray[Any]


# --------------------------------------------------------------------------------------------------------- the layout


@dataclass(frozen=True)
class Layout:
    """How an image lies in memory, and what is computed of it, for the compiled code. All lengths are in elements.

    lengths: of the image; how far neighbours of a phase are apart in it; where the layout begins, in rows and columns
      of a phase (negative: in the padding); of a phase, padding included; how far neighbours of a part are apart in the
      result; of the result; each of depth, rows, columns. Last, the elements of a channel of a phase, a little more,
      so that channels begin in different sets of the cache
    phases: per phase its first row, column, ...
    parts: the parts of the result: (first tap, last tap + 1, positions in three dimensions, first row, column, ...)
    taps: per tap of a part, its number in the kernel, its phase, and its shift in the layout
    products: multiplications for a channel in and a channel out
    """

    lengths: Array
    phases: Array
    parts: Array
    taps: Array
    volume: int  # of a phase
    space: int
    products: int


def _ints(*values: Ints) -> tuple[Ints, ...]:
    return tuple(tuple(int(n) for n in part) for part in values)


def _laid_out(
    size: Ints, kernel: Ints, stride: Ints, step: Ints, result: Ints,
    parts: list[tuple[list[list[tuple[int, int]]], Ints, Ints]],
) -> Layout:  # fmt: skip
    """``parts``: per dimension (tap, offset in the image) of each tap; positions; the first place in the result."""
    low = tuple(
        min((offset // s for taps, _, _ in parts for _, offset in taps[d]), default=0) for d, s in enumerate(stride)
    )
    high = (
        max((offset // s + count[d] for taps, count, _ in parts for _, offset in taps[d]), default=1)
        for d, s in enumerate(stride)
    )
    extent = tuple(max([h - lo, *(count[d] for _, count, _ in parts)]) for d, (h, lo) in enumerate(zip(high, low)))
    numbers: dict[Ints, int] = {}
    rows: list[Ints] = []
    entries: list[Ints] = []
    for taps, count, first in parts:
        begin = len(entries)
        for chosen in itertools.product(*taps):
            at = [offset for _, offset in chosen]
            phase = numbers.setdefault(tuple(o % s for o, s in zip(at, stride)), len(numbers))
            i, j, k = (o // s - lo for o, s, lo in zip(at, stride, low))
            a, b, c = (tap for tap, _ in chosen)
            number = (a * kernel[1] + b) * kernel[2] + c
            entries.append((number, phase, (i * extent[1] + j) * extent[2] + k))
        rows.append((begin, len(entries), *count, *first))
    volume = math.prod(extent)
    lines = -(-volume // 16)
    space = (lines + 1 - lines % 2) * 16
    return Layout(
        np.array([*size, *stride, *low, *extent, *step, *result, space], np.int64),
        np.array(list(numbers) or [(0, 0, 0)], np.int64),
        np.array(rows, np.int64).reshape(-1, 8),
        np.array(entries, np.int64).reshape(-1, 3),
        volume, space, len(entries) * math.prod(result) // max(1, len(rows)),
    )  # fmt: skip


@functools.lru_cache(maxsize=1024)
def _of_forward(
    size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints = ()
) -> tuple[Layout, Ints]:
    """And the size of the result, unless it was given."""
    size, kernel, stride, padding, dilation = _ints(size, kernel, stride, padding, dilation)
    out = out or spec.positions(size, kernel, stride, padding, dilation)
    taps = [[(t, t * d - p) for t in range(k)] for k, d, p in zip(kernel, dilation, padding)]
    return _laid_out(size, kernel, stride, (1, 1, 1), out, [(taps, out, (0, 0, 0))]), out


@functools.lru_cache(maxsize=1024)
def _of_input(size: Ints, kernel: Ints, out: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Layout:
    """Of the gradient of the output, [O, *out], the result has ``size``: its phases are the parts."""
    parts = []
    for first in itertools.product(*(range(min(s, n)) for s, n in zip(stride, size))):
        taps = [
            [(t, (r + p - t * d) // s) for t in range(k) if (r + p - t * d) % s == 0]
            for k, d, p, s, r in zip(kernel, dilation, padding, stride, first)
        ]
        count = tuple(-(-(n - r) // s) for n, s, r in zip(size, stride, first))
        parts.append((taps, count, first))
    return _laid_out(out, kernel, (1, 1, 1), stride, size, parts)


# ------------------------------------------------------------------------------------------------------- the kernels


@njit(forceinline=True)
def _threes(lengths: Array) -> Any:
    n = lengths
    return (
        (n[0], n[1], n[2]), (n[3], n[4], n[5]), (n[6], n[7], n[8]), (n[9], n[10], n[11]), (n[12], n[13], n[14]),
        (n[15], n[16], n[17]),
    )  # fmt: skip


@njit
def _drop(tile: Array, at: int, wide: int, O: int, q0: int, q1: int, part: Array, extent: Any, step: Any, size: Any,
          y: Array, y0: int) -> None:  # fmt: skip
    """The positions q0 to q1 - 1 of a part that are any, from tile[o][q - q0] into y[O, *size]."""
    q = q0
    while q < q1:
        k, row = q % extent[2], q // extent[2]
        i, j = row // extent[1], row % extent[1]
        run = min(extent[2] - k, q1 - q)
        used = min(part[4] - k, run)
        if used > 0 and j < part[3] and i < part[2]:
            place = ((part[5] + i * step[0]) * size[1] + part[6] + j * step[1]) * size[2] + part[7] + k * step[2]
            for o in range(O):
                target, source = y0 + o * size[0] * size[1] * size[2] + place, at + o * wide + q - q0
                if step[2] == 1:
                    copy(y, target, tile, source, used)
                else:
                    for n in range(used):
                        y[target + n * step[2]] = tile[source + n]
        q += run


@shared
def _products(thread: int, threads: int, inner: int, images: int, G: int, cuts: int, C: int, O: int, T: int,
              lengths: Array, phases: Array, parts: Array, taps: Array, wide: int, x: Array, weights: Array,
              room: Array, room_size: int, tile: Array, y: Array) -> None:  # fmt: skip
    """y[image, G, O, *result] from x[image, G, C, *size] and weights[G][tap][C][O]: one thread's share."""
    size, stride, low, extent, step, result = _threes(lengths)
    space, volume, positions = lengths[18], size[0] * size[1] * size[2], result[0] * result[1] * result[2]
    at, tile_at = thread * room_size, thread * O * wide
    for item in range(images * G * cuts * thread // threads, images * G * cuts * (thread + 1) // threads):
        image, cut = item // cuts, item % cuts
        lay_out(x, image * C * volume, C, size, stride, low, extent, space, phases, room, at)
        for number in range(len(parts)):
            part = parts[number]
            Q = ((part[2] - 1) * extent[1] + part[3] - 1) * extent[2] + part[4]
            panels = (Q + wide - 1) // wide if part[2] * part[3] * part[4] > 0 else 0
            for panel in range(panels * cut // cuts, panels * (cut + 1) // cuts):
                q0 = panel * wide
                if part[0] == part[1]:
                    fill(tile, tile_at, O * wide)
                begun = 0
                for c in range(0, C, DEPTH):
                    now = min(DEPTH, C - c)
                    for t in range(part[0], part[1]):
                        a = ((image % G * T + taps[t, 0]) * C + c) * O
                        b = at + (taps[t, 1] * C + c) * space + taps[t, 2] + q0
                        multiply(inner, O, weights, a, 1, O, room, b, space, tile, tile_at, wide, now, begun)
                        begun = 1
                _drop(tile, tile_at, wide, O, q0, min(Q, q0 + wide), part, extent, step, result, y,
                      image * O * positions)  # fmt: skip


@shared
def _weight(thread: int, threads: int, inner: int, lanes: int, B: int, G: int, cuts: int, C: int, O: int,
            lengths: Array, phases: Array, part: Array, runs: Array, width: int, wide: int, g: Array, x: Array,
            room: Array, room_size: int, gradients: Array, sums: Array) -> None:  # fmt: skip
    """sums[G][cut][run][O][width], each over the images of a cut: one thread's share, or some of the columns of a
    cut."""
    size, stride, low, extent, _, out = _threes(lengths)
    space, volume, positions = lengths[18], size[0] * size[1] * size[2], out[0] * out[1] * out[2]
    Q = ((part[2] - 1) * extent[1] + part[3] - 1) * extent[2] + part[4]
    at, g_at = thread * room_size, thread * O * space
    fill(gradients, g_at, O * space)  # between the rows it stays zero
    begin, end = G * cuts * SHARES * thread // threads, G * cuts * SHARES * (thread + 1) // threads
    for item in range(begin // SHARES, (end + SHARES - 1) // SHARES):
        n0, n1 = share(item, begin, end, len(runs) * width, wide)
        if n0 == n1:
            continue
        group, cut, begun = item // cuts, item % cuts, 0
        for image in range(B * cut // cuts, B * (cut + 1) // cuts):
            lay_out_channels_last(lanes, x, (image * G + group) * C * volume, C, size, stride, low, extent, phases,
                                   room, at)  # fmt: skip
            for o in range(O):
                source = ((image * G + group) * O + o) * positions
                for i in range(out[0]):
                    for j in range(out[1]):
                        target = g_at + o * space + (i * extent[1] + j) * extent[2]
                        copy(gradients, target, g, source + (i * out[1] + j) * out[2], out[2])
            for q in range(0, Q, DEPTH):
                now = min(DEPTH, Q - q)
                for n in range(n0, n1, wide):
                    run, first = n // width, n % width
                    b = at + ((runs[run, 0] * extent[0] * extent[1] * extent[2]) + runs[run, 1] + q) * C
                    multiply(inner, O, gradients, g_at + q, space, 1, room, b + first, C, sums,
                             ((item * len(runs) + run) * O) * width + first, width, now, begun)  # fmt: skip
                begun = 1


# ------------------------------------------------------------------------------------------------------- the variants


def _run(layout: Layout, result: Ints, x: Array, weights: Array, groups: int) -> Array:
    """The products of one layout: x [B, G C, *size], weights [G, taps, C, O] -> [B, G O, *result]."""
    B, C, O, T, dtype = len(x), weights.shape[2], weights.shape[3], weights.shape[1], x.dtype
    y = np.empty((B, groups * O, *result), dtype)
    threads = worthwhile(2 * B * groups * O * C * layout.products)
    cuts = 1 if B * groups >= threads else threads
    inner, wide = _panel(dtype, 4)
    room = -(-(len(layout.phases) * C * layout.space + wide) // 16) * 16
    arguments = (
        B, groups, cuts, C, O, T, layout.lengths, layout.phases, layout.parts, layout.taps, wide,
        plain(x).reshape(-1), weights.reshape(-1), scratch("shift_image", threads * room, dtype), room,
        scratch("shift_tile", threads * O * wide, dtype), y.reshape(-1),
    )  # fmt: skip
    with num_threads(threads):
        _products(threads, inner, *arguments)
    return y


@functools.lru_cache
def _panel(dtype: Any, vectors: int) -> tuple[int, int]:
    """The tile of so many vectors, and its columns."""
    return vector.panel(dtype, vectors), vectors * vector.lanes(dtype)


@register(op="conv_forward", name="cpu.shift", dtypes=("float32", "float64"))
def conv_forward(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
    """See the head of the file."""
    spec.check("conv_forward", "cpu.shift", groups, x=x, w=w)
    layout, out = _of_forward(x.shape[2:], w.shape[2:], stride, padding, dilation)
    O, C = w.shape[0] // groups, w.shape[1]
    weights = np.ascontiguousarray(w.reshape(groups, O, C, -1).transpose(0, 3, 2, 1))
    return _run(layout, out, x, weights, groups)


@register(op="conv_input", name="cpu.shift", dtypes=("float32", "float64"))
def conv_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_input", "cpu.shift", groups, g=g, w=w)
    layout = _of_input(size, w.shape[2:], g.shape[2:], stride, padding, dilation)
    O, C = w.shape[0] // groups, w.shape[1]
    weights = np.ascontiguousarray(w.reshape(groups, O, C, -1).transpose(0, 3, 1, 2))
    return _run(layout, size, g, weights, groups)


@register(op="conv_weight", name="cpu.shift", dtypes=("float32", "float64"))
def conv_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_weight", "cpu.shift", groups, g=g, x=x)
    layout, _ = _of_forward(x.shape[2:], kernel, stride, padding, dilation, g.shape[2:])
    B, O, C, dtype = len(g), g.shape[1] // groups, x.shape[1] // groups, x.dtype
    together = kernel[2] if stride[2] == dilation[2] == 1 else 1  # entries that are one row of channels
    runs = np.ascontiguousarray(layout.taps[::together, 1:])
    lanes = vector.lanes(dtype)
    vectors = max(1, min(4, -(-together * C // lanes)))
    inner, wide = _panel(dtype, vectors)
    width = -(-together * C // wide) * wide
    cuts = spec.parts(B, groups * len(runs) * O * width * x.itemsize)
    threads = min(worthwhile(2 * g.size * C * math.prod(kernel)), groups * cuts * SHARES)
    room = -(-(len(layout.phases) * layout.volume * C + width) // 16) * 16
    sums = (np.empty if B else np.zeros)((groups, cuts, len(runs), O, width), dtype)
    arguments = (
        B, groups, cuts, C, O, layout.lengths, layout.phases, layout.parts[0], runs, width, wide, plain(g).reshape(-1),
        plain(x).reshape(-1), scratch("shift_image", threads * room, dtype), room,
        scratch("shift_gradients", threads * O * layout.space, dtype), sums.reshape(-1),
    )  # fmt: skip
    with num_threads(threads):
        _weight(threads, inner, lanes, *arguments)
    dw = np.add.reduce(sums, axis=1)[..., : together * C].reshape(groups, len(runs), O, together, C)
    return np.ascontiguousarray(dw.transpose(0, 2, 4, 1, 3)).reshape(groups * O, C, *kernel)
