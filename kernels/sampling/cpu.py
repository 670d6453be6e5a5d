"""Reading at the points of a grid on the CPU: one point after another, its neighbours found once for all channels.

Points are shared among threads forward, images backward, where points of one image write to the same elements: the
bits do not depend on the number of threads. Places are computed in the dtype of the grid, as PyTorch's are, so that
the same element is the nearest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.sampling.spec import CUBIC, PADDINGS, TAPS
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
DTYPES = ("float32", "float64")
_CODES = {padding: code for code, padding in enumerate(PADDINGS)}
_ZEROS, _BORDER, _REFLECTION = range(3)


@njit(error_model="numpy")
def _inside(at: Any, n: int, padding: int, align: bool, number: Any) -> Any:
    """A place moved inside, and the slope of that; ``number`` makes numbers of the dtype."""
    zero, one, slope, last = number(0), number(1), number(1), number(n - 1)
    if padding == _ZEROS:
        return at, slope
    if padding == _REFLECTION:
        low, span = (zero, last) if align else (number(-0.5), number(n))
        if span == zero:
            return zero, zero
        distance = abs(at - low)
        flips = np.floor(distance / span)
        beyond = distance - flips * span
        slope = -one if at < low else one
        if flips - number(2) * np.floor(flips / number(2)) == one:
            beyond, slope = span - beyond, -slope
        at = beyond + low
    if at > zero and at < last:
        return at, slope
    return (last if at >= last and at > zero else zero), zero


@njit(error_model="numpy")
def _index(place: Any, n: int) -> Any:
    """The place as an index, -1 outside (of infinities and NaN nothing else could be made)."""
    return np.int64(place) if place >= 0 and place < n else np.int64(-1)


@njit(error_model="numpy")
def _neighbours(
    u: Any, n: int, taps: int, padding: int, align: bool, row: int, index: Array, weight: Array, slope: Array
) -> None:
    """Of a coordinate: the indices of its neighbours, their weights, and the slopes of those in the coordinate."""
    number = weight.dtype.type
    one, half = number(1), number(0.5)
    scale = number(n - 1) * half if align else number(n) * half
    at = (u + one) * scale
    if not align:
        at -= half
    if taps == 4:
        low = np.floor(at)
        t, a = at - low, number(CUBIC)
        two, three, five, eight, ten = number(2), number(3), number(5), number(8), number(10)
        for k in range(4):
            place, _ = _inside(low + number(k - 1), n, padding, align, number)
            index[row, k] = _index(np.rint(place), n)
            x = t + one - number(k)  # the distance, to the right of the neighbour
            sign = scale if x > 0 else -scale
            x = abs(x)
            if k == 1 or k == 2:
                weight[row, k] = ((a + two) * x - (a + three)) * x * x + one
                slope[row, k] = (three * (a + two) * x - two * (a + three)) * x * sign
            else:
                weight[row, k] = ((a * x - five * a) * x + eight * a) * x - number(4) * a
                slope[row, k] = ((three * a * x - ten * a) * x + eight * a) * sign
        return
    at, moves = _inside(at, n, padding, align, number)
    if taps == 1:
        index[row, 0], weight[row, 0], slope[row, 0] = _index(np.rint(at), n), one, number(0)
        return
    low = np.floor(at)
    weight[row, 0], weight[row, 1] = one - (at - low), at - low
    slope[row, 0], slope[row, 1] = -(moves * scale), moves * scale
    index[row, 0], index[row, 1] = _index(low, n), _index(low + one, n)


@njit(error_model="numpy")
def _around(
    points: Array, at: int, size: Any, taps: int, padding: int, align: bool, index: Array, weight: Array, slope: Array
) -> None:
    """The neighbours of a point in three dimensions; an image is a volume of one."""
    if points.shape[1] == 2:
        index[0, 0], weight[0, 0], slope[0, 0] = 0, 1, 0
    else:
        _neighbours(points[at, 2], size[0], taps, padding, align, 0, index, weight, slope)
    _neighbours(points[at, 1], size[1], taps, padding, align, 1, index, weight, slope)
    _neighbours(points[at, 0], size[2], taps, padding, align, 2, index, weight, slope)


@njit(error_model="numpy", inline="always")
def _size(x: Array) -> Any:
    """Depth, height and width of images or volumes [B, C, ...]."""
    H, W = x.shape[-2], x.shape[-1]
    return x.size // (x.shape[0] * x.shape[1] * H * W), H, W


@njit(error_model="numpy")
def _forward_some(
    start: int, stop: int, x: Array, grid: Array, taps: int, padding: int, align: bool, y: Array
) -> None:
    B, C, rank = x.shape[0], x.shape[1], grid.shape[-1]
    size = _size(x)
    D, H, W = size
    M = y.size // (B * C)
    planes, points, out = x.reshape((B, C, D * H * W)), grid.reshape((B * M, rank)), y.reshape((B, C, M))
    index = np.empty((3, 4), np.int64)
    weight, slope = np.empty((3, 4), x.dtype), np.empty((3, 4), x.dtype)
    places, shares = np.empty(64, np.int64), np.empty(64, x.dtype)
    deep = taps if rank == 3 else 1
    for point in range(start, stop):
        b, m = point // M, point % M
        _around(points, point, size, taps, padding, align, index, weight, slope)
        found, nothing = 0, x.dtype.type(0)
        for i in range(deep):
            for j in range(taps):
                for k in range(taps):
                    p, q, r = index[0, i], index[1, j], index[2, k]
                    w = weight[0, i] * weight[1, j] * weight[2, k]
                    if p >= 0 and q >= 0 and r >= 0:
                        places[found], shares[found] = (p * H + q) * W + r, w
                        found += 1
                    else:
                        nothing += w * x.dtype.type(0)  # NaN where the weight is
        for c in range(C):
            total = nothing
            for t in range(found):
                total += planes[b, c, places[t]] * shares[t]
            out[b, c, m] = total


@njit(parallel=True, error_model="numpy")
def _forward(
    threads: int, x: Array, grid: Array, taps: int, padding: int, align: bool, y: Array
) -> None:
    total = y.size // x.shape[1]
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _forward_some(
            total * thread // threads, total * (thread + 1) // threads, x, grid, taps, padding, align, y
        )


@njit(error_model="numpy")
def _backward_some(
    start: int, stop: int, g: Array, x: Array, grid: Array, taps: int, padding: int, align: bool, dx: Array,
    dgrid: Array,
) -> None:  # fmt: skip
    B, C, rank = x.shape[0], x.shape[1], grid.shape[-1]
    size = _size(x)
    D, H, W = size
    M = g.size // (B * C)
    planes, points, given = x.reshape((B, C, D * H * W)), grid.reshape((B * M, rank)), g.reshape((B, C, M))
    dplanes, dpoints = dx.reshape((B, C, D * H * W)), dgrid.reshape((B, M, rank))
    index = np.empty((3, 4), np.int64)
    weight, slope = np.empty((3, 4), x.dtype), np.empty((3, 4), x.dtype)
    deep = taps if rank == 3 else 1
    for b in range(start, stop):
        dplanes[b] = 0
        dpoints[b] = 0
        for m in range(M):
            _around(points, b * M + m, size, taps, padding, align, index, weight, slope)
            for i in range(deep):
                for j in range(taps):
                    for k in range(taps):
                        p, q, r = index[0, i], index[1, j], index[2, k]
                        if p < 0 or q < 0 or r < 0:
                            continue
                        place = (p * H + q) * W + r
                        w = weight[0, i] * weight[1, j] * weight[2, k]
                        pull = x.dtype.type(0)
                        for c in range(C):
                            one = given[b, c, m]
                            dplanes[b, c, place] += one * w
                            pull += one * planes[b, c, place]
                        dpoints[b, m, 0] += pull * weight[0, i] * weight[1, j] * slope[2, k]
                        dpoints[b, m, 1] += pull * weight[0, i] * slope[1, j] * weight[2, k]
                        if rank == 3:
                            dpoints[b, m, 2] += pull * slope[0, i] * weight[1, j] * weight[2, k]


@njit(parallel=True, error_model="numpy")
def _backward(
    threads: int, g: Array, x: Array, grid: Array, taps: int, padding: int, align: bool, dx: Array, dgrid: Array
) -> None:
    B = len(x)
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _backward_some(
            B * thread // threads, B * (thread + 1) // threads, g, x, grid, taps, padding, align, dx, dgrid
        )


@register(op="grid_sample_forward", name="cpu.points", dtypes=DTYPES, default=True)
def grid_sample_forward(x: Array, grid: Array, mode: str, padding: str, align: bool) -> Array:
    """One point after another; see the card."""
    y = np.empty(x.shape[:2] + grid.shape[1:-1], x.dtype)
    if not y.size:
        return y
    taps = TAPS[mode]
    threads = worthwhile(4 * y.size * taps ** grid.shape[-1])
    if threads == 1:
        points = y.size // x.shape[1]
        _forward_some(0, points, plain(x), plain(grid), taps, _CODES[padding], align, y)
    else:
        with num_threads(threads):
            _forward(threads, plain(x), plain(grid), taps, _CODES[padding], align, y)
    return y


@register(op="grid_sample_backward", name="cpu.points", dtypes=DTYPES, default=True)
def grid_sample_backward(
    g: Array, x: Array, grid: Array, mode: str, padding: str, align: bool
) -> tuple[Array, Array]:
    """One point after another; see the card."""
    if not g.size:
        return np.zeros(x.shape, x.dtype), np.zeros(grid.shape, grid.dtype)
    dx, dgrid = np.empty(x.shape, x.dtype), np.empty(grid.shape, grid.dtype)
    taps = TAPS[mode]
    threads = min(worthwhile(8 * g.size * taps ** grid.shape[-1]), len(x))
    if threads == 1:
        _backward_some(0, len(x), plain(g), plain(x), plain(grid), taps, _CODES[padding], align, dx, dgrid)
    else:
        with num_threads(threads):
            _backward(threads, plain(g), plain(x), plain(grid), taps, _CODES[padding], align, dx, dgrid)
    return dx, dgrid
