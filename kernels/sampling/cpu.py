"""Reading at the points of a grid on the CPU: one point after another, its neighbours found once for all channels.

Points are shared among threads forward, images backward, where points of one image write to the same elements: the
bits do not depend on the number of threads. Places are computed in the dtype of the grid, as PyTorch's are, so that
the same element is the nearest.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.builtin import Builtin
from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.sampling.spec import CUBIC, PADDINGS, TAPS
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
DTYPES = ("float32", "float64")
_ZEROS, _BORDER, _REFLECTION = range(len(PADDINGS))


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


# In the loops arrays are flat: x [B, C, D, H, W], an image as a volume of depth 1; grid [B, M, rank]; y, g [B, C, M].


@njit(error_model="numpy")
def _forward_some(
    start: int, stop: int, x: Array, grid: Array, y: Array, C: int, D: int, H: int, W: int, M: int, rank: int,
    taps: int, padding: int, align: int,
) -> int:  # fmt: skip
    points, L = grid.reshape((grid.size // rank, rank)), D * H * W
    index = np.empty((3, 4), np.int64)
    weight, slope = np.empty((3, 4), x.dtype), np.empty((3, 4), x.dtype)
    places, shares = np.empty(64, np.int64), np.empty(64, x.dtype)
    deep = taps if rank == 3 else 1
    for point in range(start, stop):
        b, m = point // M, point % M
        _around(points, point, (D, H, W), taps, padding, align != 0, index, weight, slope)
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
        for c in range(b * C, (b + 1) * C):
            total = nothing
            for t in range(found):
                total += x[c * L + places[t]] * shares[t]
            y[c * M + m] = total
    return 0


@shared(error_model="numpy")
def _forward(
    thread: int, threads: int, x: Array, grid: Array, y: Array, C: int, D: int, H: int, W: int, M: int, rank: int,
    taps: int, padding: int, align: int,
) -> None:  # fmt: skip
    total = y.size // C
    start, stop = total * thread // threads, total * (thread + 1) // threads
    _forward_some(start, stop, x, grid, y, C, D, H, W, M, rank, taps, padding, align)


@njit(error_model="numpy")
def _backward_some(
    start: int, stop: int, g: Array, x: Array, grid: Array, dx: Array, dgrid: Array, C: int, D: int, H: int, W: int,
    M: int, rank: int, taps: int, padding: int, align: int,
) -> int:  # fmt: skip
    points, L = grid.reshape((grid.size // rank, rank)), D * H * W
    index = np.empty((3, 4), np.int64)
    weight, slope = np.empty((3, 4), x.dtype), np.empty((3, 4), x.dtype)
    deep = taps if rank == 3 else 1
    for b in range(start, stop):
        dx[b * C * L : (b + 1) * C * L] = 0
        for m in range(M):
            _around(points, b * M + m, (D, H, W), taps, padding, align != 0, index, weight, slope)
            across, down, deeper = x.dtype.type(0), x.dtype.type(0), x.dtype.type(0)
            for i in range(deep):
                for j in range(taps):
                    for k in range(taps):
                        p, q, r = index[0, i], index[1, j], index[2, k]
                        if p < 0 or q < 0 or r < 0:
                            continue
                        place = (p * H + q) * W + r
                        w = weight[0, i] * weight[1, j] * weight[2, k]
                        pull = x.dtype.type(0)
                        for c in range(b * C, (b + 1) * C):
                            one = g[c * M + m]
                            dx[c * L + place] += one * w
                            pull += one * x[c * L + place]
                        across += pull * weight[0, i] * weight[1, j] * slope[2, k]
                        down += pull * weight[0, i] * slope[1, j] * weight[2, k]
                        deeper += pull * slope[0, i] * weight[1, j] * weight[2, k]
            at = (b * M + m) * rank
            dgrid[at], dgrid[at + 1] = across, down
            if rank == 3:
                dgrid[at + 2] = deeper
    return 0


@shared(error_model="numpy")
def _backward(
    thread: int, threads: int, g: Array, x: Array, grid: Array, dx: Array, dgrid: Array, C: int, D: int, H: int, W: int,
    M: int, rank: int, taps: int, padding: int, align: int,
) -> None:  # fmt: skip
    B = x.size // (C * D * H * W)
    start, stop = B * thread // threads, B * (thread + 1) // threads
    _backward_some(start, stop, g, x, grid, dx, dgrid, C, D, H, W, M, rank, taps, padding, align)


_FORWARD = Builtin(_forward_some, "iiTTTiiiiiiiii")
_BACKWARD = Builtin(_backward_some, "iiTTTTTiiiiiiiii")


@functools.lru_cache(maxsize=1024)
def _plan(shape: tuple[int, ...], grid: tuple[int, ...], mode: str, padding: str, align: bool) -> Any:
    """The shape of the result, the number of points, of operations, and the sizes and settings of the loops."""
    out, rank, taps = shape[:2] + grid[1:-1], grid[-1], TAPS[mode]
    M = math.prod(grid[1:-1])
    depth = shape[2] if rank == 3 else 1
    sizes = shape[1], depth, shape[-2], shape[-1], M, rank, taps, PADDINGS.index(padding), int(align)
    return out, shape[0] * M, 4 * math.prod(out) * taps**rank, sizes


@register(op="grid_sample_forward", name="cpu.points", dtypes=DTYPES, default=True)
def grid_sample_forward(x: Array, grid: Array, mode: str, padding: str, align: bool) -> Array:
    """One point after another; see the card."""
    out, points, work, sizes = _plan(x.shape, grid.shape, mode, padding, align)
    y = np.empty(out, x.dtype)
    threads = worthwhile(work)
    if threads == 1:
        _FORWARD[x.dtype](0, points if work else 0, plain(x), plain(grid), y, *sizes)
    else:
        with num_threads(threads):
            _forward(threads, plain(x).reshape(-1), plain(grid).reshape(-1), y.reshape(-1), *sizes)
    return y


@register(op="grid_sample_backward", name="cpu.points", dtypes=DTYPES, default=True)
def grid_sample_backward(
    g: Array, x: Array, grid: Array, mode: str, padding: str, align: bool
) -> tuple[Array, Array]:
    """One point after another; see the card."""
    _, _, work, sizes = _plan(x.shape, grid.shape, mode, padding, align)
    if not work:
        return np.zeros(x.shape, x.dtype), np.zeros(grid.shape, grid.dtype)
    dx, dgrid, B = np.empty(x.shape, x.dtype), np.empty(grid.shape, grid.dtype), len(x)
    threads = min(worthwhile(2 * work), B)
    arrays = plain(g), plain(x), plain(grid), dx, dgrid
    if threads == 1:
        _BACKWARD[x.dtype](0, B, *arrays, *sizes)
    else:
        with num_threads(threads):
            flat: Any = [array.reshape(-1) for array in arrays]
            _backward(threads, *flat, *sizes)
    return dx, dgrid
