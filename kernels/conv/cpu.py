"""Convolution by implicit products of matrices, float32 and float64 (``cpu.implicit``).

A convolution is a product of matrices whose one factor, the columns, holds for each output position what the kernel
sees there: [C KD KH KW, positions], larger than the input by the size of the kernel. It is never made as a whole. A
panel of positions (four vectors wide) and DEPTH of its rows fit the first-level cache; they are gathered, multiplied
by the tile of :func:`tinydl.kernels.vector.multiply`, and forgotten:

    forward     y[o, panel]  += w[o, k] columns[k, panel]            a panel of positions, gathered
    input       columns[k, panel] = w[o, k]^T g[o, panel], added to dx where the kernel saw it
    weight      dw[o, panel] += g[o, p] columns[p, panel]^T          a panel of kernel entries, gathered

Every entry of a result is summed by one thread in one order: bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.conv import dilated as dilated  # registers its variants, as the next do, in order of preference
from tinydl.kernels.conv import line as line
from tinydl.kernels.conv import shift as shift
from tinydl.kernels.conv import spec
from tinydl.kernels.conv import winograd as winograd
from tinydl.kernels.conv.spec import Ints
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import add, copy, multiply
from tinydl.kernels.workspace import plain, scratch

Array = NDArray[Any]
Geometry = tuple[int, ...]  # D H W, KD KH KW, PD PH PW, strides, paddings, dilations

DEPTH = 128  # rows of a panel at once: 128 * 64 floats are 32 KiB


@njit(inline="always")
def _span(n: int, step: int, offset: int, first: int, last: int) -> tuple[int, int]:
    """The part of the positions first to last - 1 whose place ``position * step + offset`` lies in [0, n)."""
    low = first if offset >= 0 else max(first, (-offset + step - 1) // step)
    high = min(last, (n - 1 - offset) // step + 1) if offset < n else first
    return min(low, last), max(high, min(low, last))


@njit
def _gather(x: Array, x0: int, geometry: Geometry, k0: int, k1: int, p0: int, p1: int, out: Array, at: int,
            k_stride: int, p_stride: int) -> None:  # fmt: skip
    """out[k, p] = what kernel entries k0 to k1 - 1 see at positions p0 to p1 - 1; entries count channels too."""
    D, H, W, KD, KH, KW, _, PH, PW, sd, sh, sw, pd, ph, pw, dd, dh, dw = geometry
    for k in range(k0, k1):
        channel, tap = k // (KD * KH * KW), k % (KD * KH * KW)
        a, b, offset = tap // (KH * KW) * dd - pd, tap // KW % KH * dh - ph, tap % KW * dw - pw
        i, j, target = p0 // PW, p0 % PW, at + (k - k0) * k_stride
        left = p1 - p0
        while left > 0:
            run = min(PW - j, left)
            depth, row = i // PH * sd + a, i % PH * sh + b
            low, high = j, j
            if 0 <= depth < D and 0 <= row < H:
                low, high = _span(W, sw, offset, j, j + run)
            source = x0 + ((channel * D + depth) * H + row) * W + low * sw + offset
            if p_stride == 1:
                for q in range(low - j):
                    out[target + q] = 0
                if sw == 1:
                    if high > low:
                        copy(out, target + low - j, x, source, high - low)
                else:
                    for q in range(high - low):
                        out[target + low - j + q] = x[source + q * sw]
                for q in range(high - j, run):
                    out[target + q] = 0
            else:
                for q in range(low - j):
                    out[target + q * p_stride] = 0
                for q in range(high - low):
                    out[target + (low - j + q) * p_stride] = x[source + q * sw]
                for q in range(high - j, run):
                    out[target + q * p_stride] = 0
            target += run * p_stride
            left -= run
            i, j = i + 1, 0


@njit
def _scatter(dx: Array, x0: int, geometry: Geometry, k: int, p0: int, p1: int, columns: Array, at: int) -> None:
    """dx += one row of columns, where kernel entry k saw it from positions p0 to p1 - 1."""
    D, H, W, KD, KH, KW, _, PH, PW, sd, sh, sw, pd, ph, pw, dd, dh, dw = geometry
    channel, tap = k // (KD * KH * KW), k % (KD * KH * KW)
    a, b, offset = tap // (KH * KW) * dd - pd, tap // KW % KH * dh - ph, tap % KW * dw - pw
    i, j, source = p0 // PW, p0 % PW, at
    left = p1 - p0
    while left > 0:
        run = min(PW - j, left)
        depth, row = i // PH * sd + a, i % PH * sh + b
        if 0 <= depth < D and 0 <= row < H:
            low, high = _span(W, sw, offset, j, j + run)
            target = x0 + ((channel * D + depth) * H + row) * W + low * sw + offset
            if sw == 1:
                if high > low:
                    add(dx, target, columns, source + low - j, high - low)
            else:
                for q in range(high - low):
                    dx[target + q * sw] += columns[source + low - j + q]
        source += run
        left -= run
        i, j = i + 1, 0


@njit
def _tiles(w: Array, O: int, K: int, stack: int, tiles: Array, at: int) -> None:
    """tiles[tile][k][row] = w[tile * stack + row, k]: read in order by the product."""
    for first in range(0, O, stack):
        for row in range(min(stack, O - first)):
            for k in range(K):
                tiles[at + first * K + k * stack + row] = w[(first + row) * K + k]


@shared
def _forward(thread: int, threads: int, inner: int, B: int, G: int, O: int, K: int, P: int, size: int,
             geometry: Geometry, x: Array, tiles: Array, wide: int, stack: int, depth: int, columns: Array, edge: Array,
             y: Array) -> None:  # fmt: skip
    panels = (P + wide - 1) // wide
    padded = (O + stack - 1) // stack * stack
    room, corner = thread * depth * wide, thread * padded * wide
    for item in range(B * G * panels * thread // threads, B * G * panels * (thread + 1) // threads):
        image, p0 = item // panels, item % panels * wide
        p1 = min(P, p0 + wide)
        for k in range(0, K, depth):
            now = min(depth, K - k)
            _gather(x, image * size, geometry, k, k + now, p0, p1, columns, room, wide, 1)
            for first in range(0, O, stack):
                rows, a = min(stack, O - first), (image % G * padded + first) * K + k * stack
                if p1 - p0 == wide:
                    multiply(inner, rows, tiles, a, 1, stack, columns, room, wide, y,
                             (image * O + first) * P + p0, P, now, k)  # fmt: skip
                else:
                    multiply(inner, rows, tiles, a, 1, stack, columns, room, wide, edge,
                             corner + first * wide, wide, now, k)  # fmt: skip
        if p1 - p0 < wide:
            for o in range(O):
                copy(y, (image * O + o) * P + p0, edge, corner + o * wide, p1 - p0)


@shared
def _input(thread: int, threads: int, inner: int, B: int, G: int, O: int, C: int, taps: int, P: int, volume: int,
           geometry: Geometry, g: Array, w: Array, cuts: int, wide: int, stack: int, panel: Array, columns: Array,
           dx: Array) -> None:  # fmt: skip
    panels, K = (P + wide - 1) // wide, C * taps
    room, tile = thread * O * wide, thread * stack * wide
    for item in range(B * G * cuts * thread // threads, B * G * cuts * (thread + 1) // threads):
        image, cut = item // cuts, item % cuts
        r0, r1 = C * cut // cuts * taps, C * (cut + 1) // cuts * taps
        weights = image % G * O * K
        for p0 in range(0, panels * wide, wide):
            p1 = min(P, p0 + wide)
            if p1 - p0 < wide:
                for o in range(O):
                    copy(panel, room + o * wide, g, (image * O + o) * P + p0, p1 - p0)
            for first in range(r0, r1, stack):
                rows = min(stack, r1 - first)
                if p1 - p0 == wide:
                    multiply(inner, rows, w, weights + first, 1, K, g, image * O * P + p0, P, columns, tile, wide,
                             O, 0)  # fmt: skip
                else:
                    multiply(inner, rows, w, weights + first, 1, K, panel, room, wide, columns, tile, wide, O, 0)
                for row in range(rows):
                    _scatter(dx, image * C * volume, geometry, first + row, p0, p1, columns, tile + row * wide)


@shared
def _weight(thread: int, threads: int, inner: int, B: int, G: int, O: int, K: int, P: int, size: int,
            geometry: Geometry, g: Array, x: Array, cuts: int, wide: int, stack: int, depth: int, columns: Array,
            edge: Array, dw: Array) -> None:  # fmt: skip
    panels = (K + wide - 1) // wide
    tiles = (O + stack - 1) // stack
    room, corner = thread * depth * wide, thread * tiles * stack * wide
    for item in range(G * panels * cuts * thread // threads, G * panels * cuts * (thread + 1) // threads):
        group, k0, cut = item // cuts // panels, item // cuts % panels * wide, item % cuts
        k1, o0, o1 = min(K, k0 + wide), tiles * cut // cuts * stack, min(O, tiles * (cut + 1) // cuts * stack)
        begun = 0
        for image in range(group, B * G, G):
            for p in range(0, P, depth):
                now = min(depth, P - p)
                _gather(x, image * size, geometry, k0, k1, p, p + now, columns, room, 1, wide)
                for first in range(o0, o1, stack):
                    rows, a = min(stack, o1 - first), (image * O + first) * P + p
                    if k1 - k0 == wide:
                        multiply(inner, rows, g, a, P, 1, columns, room, wide, dw, (group * O + first) * K + k0, K,
                                 now, begun)  # fmt: skip
                    else:
                        multiply(inner, rows, g, a, P, 1, columns, room, wide, edge, corner + first * wide, wide,
                                 now, begun)  # fmt: skip
                begun = 1
        if k1 - k0 < wide:
            for o in range(o0, o1):
                copy(dw, (group * O + o) * K + k0, edge, corner + o * wide, k1 - k0)


def _geometry(size: Ints, kernel: Ints, out: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Geometry:
    return tuple(int(n) for part in (size, kernel, out, stride, padding, dilation) for n in part)


@register(op="conv_forward", name="cpu.implicit", dtypes=("float32", "float64"))
def conv_forward(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
    """See the head of the file."""
    spec.check("conv_forward", "cpu.implicit", groups, x=x, w=w)
    size, kernel, dtype = x.shape[2:], w.shape[2:], x.dtype
    out = spec.positions(size, kernel, stride, padding, dilation)
    B, O, K, P = len(x), w.shape[0] // groups, math.prod(w.shape[1:]), math.prod(out)
    y = np.empty((B, w.shape[0], *out), dtype)
    if not y.size or not K:
        y[...] = 0
        return y
    threads = worthwhile(2 * y.size * K)
    stack, wide = vector.tile_rows(4), 4 * vector.lanes(dtype)
    padded = -(-O // stack) * stack
    tiles = scratch("conv_tiles", groups * padded * K, dtype)
    weights = plain(w).reshape(-1)
    for group in range(groups):
        _tiles(weights[group * O * K :], O, K, stack, tiles, group * padded * K)
    with num_threads(threads):
        _forward(threads, vector.panel(dtype, 4), B, groups, O, K, P, w.shape[1] * math.prod(size),
                 _geometry(size, kernel, out, stride, padding, dilation),
                 plain(x).reshape(-1), tiles, wide, stack, DEPTH,
                 scratch("conv_columns", threads * DEPTH * wide, dtype),
                 scratch("conv_edge", threads * padded * wide, dtype), y.reshape(-1))  # fmt: skip
    return y


@register(op="conv_input", name="cpu.implicit", dtypes=("float32", "float64"))
def conv_input(
    g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints
) -> Array:
    """See the head of the file."""
    spec.check("conv_input", "cpu.implicit", groups, g=g, w=w)
    kernel, out, dtype = w.shape[2:], g.shape[2:], g.dtype
    B, O, C, taps, P = len(g), w.shape[0] // groups, w.shape[1], math.prod(kernel), math.prod(out)
    dx = np.zeros((B, C * groups, *size), dtype)
    if not dx.size or not g.size or not taps:
        return dx
    threads = worthwhile(2 * g.size * C * taps)
    stack, wide = vector.tile_rows(4), 4 * vector.lanes(dtype)
    cuts = 1 if B * groups >= threads else min(C, threads)
    with num_threads(threads):
        _input(threads, vector.panel(dtype, 4), B, groups, O, C, taps, P, math.prod(size),
               _geometry(size, kernel, out, stride, padding, dilation),
               plain(g).reshape(-1), plain(w).reshape(-1), cuts, wide, stack,
               scratch("conv_panel", threads * O * wide, dtype), scratch("conv_tile", threads * stack * wide, dtype),
               dx.reshape(-1))  # fmt: skip
    return dx


@register(op="conv_weight", name="cpu.implicit", dtypes=("float32", "float64"))
def conv_weight(
    g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints
) -> Array:
    """See the head of the file."""
    spec.check("conv_weight", "cpu.implicit", groups, g=g, x=x)
    size, out, dtype = x.shape[2:], g.shape[2:], g.dtype
    B, O, C, P = len(g), g.shape[1] // groups, x.shape[1] // groups, math.prod(out)
    K = C * math.prod(kernel)
    dw = np.empty((g.shape[1], C, *kernel), dtype)
    if not dw.size or not g.size:
        dw[...] = 0
        return dw
    threads = worthwhile(2 * g.size * K)
    stack, wide = vector.tile_rows(4), 4 * vector.lanes(dtype)
    tiles, panels = -(-O // stack), -(-K // wide)
    cuts = 1 if groups * panels >= threads else min(tiles, threads)
    with num_threads(threads):
        _weight(threads, vector.panel(dtype, 4), B, groups, O, K, P, C * math.prod(size),
                _geometry(size, kernel, out, stride, padding, dilation),
                plain(g).reshape(-1), plain(x).reshape(-1), cuts, wide, stack, DEPTH,
                scratch("conv_columns", threads * DEPTH * wide, dtype),
                scratch("conv_edge", threads * tiles * stack * wide, dtype), dw.reshape(-1))  # fmt: skip
    return dw
