"""The first rungs of convolution's CUDA ladder in Numba-CUDA, in one dimension and two.

    conv1d_direct, conv2d_direct    one thread per number of the result
    conv1d_tiled, conv2d_tiled      what a tile of the result reads in shared memory, 8 filters a thread

``spec.py`` says what is computed. A number of x or w is read from global memory by each thread that needs it in the
direct ones, and once for a tile and 8 filters in the tiled ones. (Unverified on hardware.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinydl.kernels.conv.launches import ALL, DTYPES, NONE, ONE, Asked, Sizes, asked_forward, drawn
from tinydl.kernels.gpu import Arguments, Call, Empty
from tinydl.kernels.numba_cuda import NumbaKernel, declare

FILTERS = 8  # that a thread sums at once
LINE, STRETCH, ENTRIES = 128, 512, 32  # positions of a tile, numbers they may read, entries of a filter
ROWS, COLUMNS, PATCH, SQUARE = 8, 32, 2048, 49  # the same in two dimensions

# What a kernel gets: arrays without their depth, (stride, padding, dilation) of each dimension, channels of a group.


def conv1d_direct(cuda: Any, real: Any) -> Callable[..., None]:
    """A warp's threads are neighbours in time: what they read lies side by side."""

    def kernel(x, w, y, along):  # type: ignore[no-untyped-def]
        t = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        o, b = cuda.blockIdx.y, cuda.blockIdx.z
        stride, padding, dilation = along
        channels = w.shape[1]
        if t < y.shape[2]:
            first = o // (w.shape[0] // (x.shape[1] // channels)) * channels
            total = real(0)
            for c in range(channels):
                for k in range(w.shape[2]):
                    at = t * stride - padding + k * dilation
                    if at >= 0 and at < x.shape[2]:
                        total += w[o, c, k] * x[b, first + c, at]
            y[b, o, t] = total

    return kernel


def conv2d_direct(cuda: Any, real: Any) -> Callable[..., None]:
    """The same in two dimensions; a block is 32 x 8 positions of one filter and image."""

    def kernel(x, w, y, down, across, blocks):  # type: ignore[no-untyped-def]
        i = cuda.blockIdx.x // blocks * cuda.blockDim.y + cuda.threadIdx.y
        j = cuda.blockIdx.x % blocks * cuda.blockDim.x + cuda.threadIdx.x
        o, b = cuda.blockIdx.y, cuda.blockIdx.z
        channels = w.shape[1]
        if i < y.shape[2] and j < y.shape[3]:
            first = o // (w.shape[0] // (x.shape[1] // channels)) * channels
            total = real(0)
            for c in range(channels):
                for kh in range(w.shape[2]):
                    row = i * down[0] - down[1] + kh * down[2]
                    if row >= 0 and row < x.shape[2]:
                        for kw in range(w.shape[3]):
                            column = j * across[0] - across[1] + kw * across[2]
                            if column >= 0 and column < x.shape[3]:
                                total += w[o, c, kh, kw] * x[b, first + c, row, column]
            y[b, o, i, j] = total

    return kernel


def conv1d_tiled(cuda: Any, real: Any) -> Callable[..., None]:
    """A block of 128 times and 8 filters: for each channel the stretch that they read, padding and all, is loaded
    once, so that the inner loop needs no test."""

    def kernel(x, w, y, along, groups):  # type: ignore[no-untyped-def]
        line = cuda.shared.array(STRETCH, real)
        entries = cuda.shared.array((ENTRIES, FILTERS), real)
        sums = cuda.local.array(FILTERS, real)
        stride, padding, dilation = along
        channels, taps = w.shape[1], w.shape[2]
        filters = w.shape[0] // groups
        each = (filters + FILTERS - 1) // FILTERS
        group, first = cuda.blockIdx.y // each, cuda.blockIdx.y % each * FILTERS
        b, left, thread = cuda.blockIdx.z, cuda.blockIdx.x * LINE, cuda.threadIdx.x
        stretch = (LINE - 1) * stride + (taps - 1) * dilation + 1
        for f in range(FILTERS):
            sums[f] = real(0)
        for c in range(channels):
            for at in range(thread, stretch, LINE):
                place = left * stride - padding + at
                inside = place >= 0 and place < x.shape[2]
                line[at] = x[b, group * channels + c, place] if inside else real(0)
            for at in range(thread, taps * FILTERS, LINE):
                k, f = at // FILTERS, first + at % FILTERS
                entries[k, at % FILTERS] = w[group * filters + f, c, k] if f < filters else real(0)
            cuda.syncthreads()
            for k in range(taps):
                number = line[thread * stride + k * dilation]
                for f in range(FILTERS):
                    sums[f] += entries[k, f] * number
            cuda.syncthreads()
        if left + thread < y.shape[2]:
            for f in range(FILTERS):
                if first + f < filters:
                    y[b, group * filters + first + f, left + thread] = sums[f]

    return kernel


def conv2d_tiled(cuda: Any, real: Any) -> Callable[..., None]:
    """The same for a tile of 8 x 32 positions."""

    def kernel(x, w, y, down, across, groups, blocks):  # type: ignore[no-untyped-def]
        patch = cuda.shared.array(PATCH, real)
        entries = cuda.shared.array((SQUARE, FILTERS), real)
        sums = cuda.local.array(FILTERS, real)
        channels, taps = w.shape[1], w.shape[2] * w.shape[3]
        filters = w.shape[0] // groups
        each = (filters + FILTERS - 1) // FILTERS
        group, first = cuda.blockIdx.y // each, cuda.blockIdx.y % each * FILTERS
        top, left = cuda.blockIdx.x // blocks * ROWS, cuda.blockIdx.x % blocks * COLUMNS
        b, i, j = cuda.blockIdx.z, cuda.threadIdx.y, cuda.threadIdx.x
        high = (ROWS - 1) * down[0] + (w.shape[2] - 1) * down[2] + 1
        wide = (COLUMNS - 1) * across[0] + (w.shape[3] - 1) * across[2] + 1
        for f in range(FILTERS):
            sums[f] = real(0)
        for c in range(channels):
            for r in range(i, high, ROWS):
                row = top * down[0] - down[1] + r
                for s in range(j, wide, COLUMNS):
                    column = left * across[0] - across[1] + s
                    inside = row >= 0 and row < x.shape[2] and column >= 0 and column < x.shape[3]
                    patch[r * wide + s] = x[b, group * channels + c, row, column] if inside else real(0)
            for at in range(i * COLUMNS + j, taps * FILTERS, ROWS * COLUMNS):
                k, f = at // FILTERS, first + at % FILTERS
                there = f < filters
                kh, kw = k // w.shape[3], k % w.shape[3]
                entries[k, at % FILTERS] = w[group * filters + f, c, kh, kw] if there else real(0)
            cuda.syncthreads()
            for kh in range(w.shape[2]):
                for kw in range(w.shape[3]):
                    number = patch[(i * down[0] + kh * down[2]) * wide + j * across[0] + kw * across[2]]
                    for f in range(FILTERS):
                        sums[f] += entries[kh * w.shape[3] + kw, f] * number
            cuda.syncthreads()
        if top + i < y.shape[2] and left + j < y.shape[3]:
            for f in range(FILTERS):
                if first + f < filters:
                    y[b, group * filters + first + f, top + i, left + j] = sums[f]

    return kernel


# -- launches ----------------------------------------------------------------------------------------------------------


def _settings(asked: Asked, axis: int) -> tuple[int, int, int]:
    return asked.stride[axis], asked.padding[axis], asked.dilation[axis]


def _flat(asked: Asked, dimensions: int) -> bool:
    """Whether it has so many dimensions or fewer, and is not too large for a grid."""
    empty = range(3 - dimensions)
    thin = all(asked.size[a] == asked.kernel[a] == asked.out[a] == 1 and asked.padding[a] == 0 for a in empty)
    return thin and asked.short and max(asked.batch, asked.groups * asked.filters) < 1 << 16


def _stretch(asked: Asked, axis: int, tile: int) -> int:
    return (tile - 1) * asked.stride[axis] + (asked.kernel[axis] - 1) * asked.dilation[axis] + 1


def _fits(asked: Asked, dimensions: int) -> bool:
    """Whether what a tile reads, and a filter, have room in shared memory."""
    if min(asked.kernel) == 0:
        return False
    if dimensions == 1:
        return _stretch(asked, 2, LINE) <= STRETCH and asked.kernel[2] <= ENTRIES
    return _stretch(asked, 1, ROWS) * _stretch(asked, 2, COLUMNS) <= PATCH and math.prod(asked.kernel) <= SQUARE


def _kernel(make: Callable[..., Any], dimensions: int, tiled: bool, sizes: tuple[Sizes, ...]) -> NumbaKernel:
    name = make.__name__

    def accepts(x: Any, w: Any, *options: Any) -> bool:
        asked = asked_forward(x, w, *options)
        whole = x.flags.c_contiguous and w.flags.c_contiguous and asked.channels > 0
        return whole and _flat(asked, dimensions) and (not tiled or _fits(asked, dimensions))

    def plan(empty: Empty, x: Any, w: Any, *options: Any) -> tuple[list[Call], tuple[Any, ...]]:
        asked = asked_forward(x, w, *options)
        y = empty(asked.outputs, x.dtype)
        arrays = [a.reshape(*a.shape[:2], *a.shape[5 - dimensions :]) for a in (x, w, y)]
        filters = asked.groups * (-(-asked.filters // FILTERS) if tiled else asked.filters)
        across, more = -(-asked.out[2] // (LINE if dimensions == 1 else COLUMNS)), (asked.groups,) if tiled else ()
        if dimensions == 1:
            args, tiles = (*arrays, _settings(asked, 2), *more), across
        else:
            args = (*arrays, _settings(asked, 1), _settings(asked, 2), *more, across)
            tiles = across * -(-asked.out[1] // ROWS)
        block = (LINE,) if dimensions == 1 else (COLUMNS, ROWS)
        return [Call(name, (tiles, filters, asked.batch), block, args)] if y.size else [], (y,)

    def samples(dtype: Any) -> list[Arguments]:
        return [drawn("conv_forward", each, dtype) for each in sizes]

    return declare(NumbaKernel("conv_forward", f"numba.{name}", DTYPES, {name: make}, plan, samples, accepts))


#: One number, no image; whole tiles; all settings, over more than a tile, with filters to spare.
LINES: tuple[Sizes, ...] = (
    ALL[0],
    ((0, 2, 1, 1, 3), (2, 2, 1, 1, 2), ONE, NONE, ONE, 1),
    ((2, 2, 1, 1, 256), (16, 2, 1, 1, 1), ONE, NONE, ONE, 1),
    ((1, 2, 1, 1, 40), (3, 2, 1, 1, 20), ONE, NONE, ONE, 1),
    ((2, 6, 1, 1, 300), (22, 3, 1, 1, 5), (1, 1, 2), (0, 0, 7), (1, 1, 3), 2),
)
IMAGES: tuple[Sizes, ...] = (
    *ALL[:2],
    ((2, 2, 1, 16, 64), (16, 2, 1, 1, 1), ONE, NONE, ONE, 1),
    ((1, 2, 1, 9, 13), (3, 2, 1, 7, 6), ONE, NONE, ONE, 1),
    ((2, 4, 1, 20, 44), (22, 2, 1, 2, 3), (1, 2, 1), (0, 3, 1), (1, 3, 2), 2),
    ((2, 4, 1, 11, 71), (22, 2, 1, 3, 2), (1, 1, 2), (0, 1, 3), (1, 2, 5), 2),
)

CONV1D_DIRECT = _kernel(conv1d_direct, 1, False, LINES)
CONV1D_TILED = _kernel(conv1d_tiled, 1, True, LINES)
CONV2D_DIRECT = _kernel(conv2d_direct, 2, False, IMAGES)
CONV2D_TILED = _kernel(conv2d_tiled, 2, True, IMAGES)
