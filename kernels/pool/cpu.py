"""Pooling and resampling on the CPU: one plane after another, planes shared among threads.

A window sum goes by rows: the rows that a row of windows sees are added up first (vectors), then the windows along the
row. That reads each row once where windows of a row overlap, and is a sum of sums, which keeps its digits over large
windows. A plane is one thread's from beginning to end: bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.pool.spec import Ints, Windows
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import SUMS
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
Window = tuple[Any, Any, Any]
DTYPES = ("float32", "float64")

# ------------------------------------------------------------------------------------------------------------ maximum


@njit
def _max_plane(x: Array, deep: Window, high: Window, wide: Window, y: Array, index: Array) -> None:
    (d0, d1, ds), (h0, h1, hs), (w0, w1, ws) = deep, high, wide
    H, W = x.shape[1], x.shape[2]
    for i in range(d0.size):
        for j in range(h0.size):
            for k in range(w0.size):
                best, at = x[d0[i], h0[j], w0[k]], (d0[i] * H + h0[j]) * W + w0[k]
                for p in range(d0[i], d1[i], ds):
                    for q in range(h0[j], h1[j], hs):
                        for r in range(w0[k], w1[k], ws):
                            value = x[p, q, r]
                            if value > best or value != value:
                                best, at = value, (p * H + q) * W + r
                y[i, j, k] = best
                index[i, j, k] = at


@njit
def _max_pool_some(
    start: int, stop: int, x: Array, deep: Window, high: Window, wide: Window, y: Array, index: Array
) -> None:
    for n in range(start, stop):
        _max_plane(x[n], deep, high, wide, y[n], index[n])


@njit(parallel=True)
def _max_pool(threads: int, x: Array, deep: Window, high: Window, wide: Window, y: Array, index: Array) -> None:
    N = len(x)
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _max_pool_some(N * thread // threads, N * (thread + 1) // threads, x, deep, high, wide, y, index)


def _sees(*arguments: Any) -> bool:
    """Something is read and written: empty arrays are the reference's."""
    x, windows = arguments[:2]
    return bool(x.size) and all(len(first) for first, _, _ in windows)


@register(op="max_pool", name="cpu.planes", dtypes=DTYPES, default=True, accepts=_sees)
def max_pool(x: Array, windows: Windows) -> tuple[Array, NDArray[np.int64]]:
    """One window after another; see the card."""
    out = (len(x), *(len(first) for first, _, _ in windows))
    x, (deep, high, wide) = plain(x), windows
    y, index = np.empty(out, x.dtype), np.empty(out, np.int64)
    threads = worthwhile(4 * _seen(len(x), windows))
    if threads == 1:
        _max_pool_some(0, len(x), x, deep, high, wide, y, index)
    else:
        with num_threads(threads):
            _max_pool(threads, x, deep, high, wide, y, index)
    return y, index


def _seen(planes: int, windows: Windows) -> int:
    """Elements in all windows, about."""
    return planes * math.prod(len(first) * int(last[0] - first[0]) for first, last, _ in windows)


# ---------------------------------------------------------------------------------------------------- weighted windows


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _inner(row: Array, weight: Array, first: int, last: int) -> Any:
    total = 0.0
    for t in range(first, last):
        total += row[t] * weight[t - first]
    return total


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _add_row(total: Array, row: Array, factor: Any) -> None:
    for t in range(total.size):
        total[t] += row[t] * factor


@njit
def _sum_plane(x: Array, deep: Window, high: Window, wide: Window, row: Array, y: Array) -> None:
    (d0, d1, dw), (h0, h1, hw), (w0, w1, ww) = deep, high, wide
    for i in range(d0.size):
        for j in range(h0.size):
            row[:] = 0
            for p in range(d0[i], d1[i]):
                for q in range(h0[j], h1[j]):
                    _add_row(row, x[p, q], x.dtype.type(dw[i, p - d0[i]] * hw[j, q - h0[j]]))
            for k in range(w0.size):
                y[i, j, k] = _inner(row, ww[k], w0[k], w1[k])


@njit
def _window_sum_some(
    start: int, stop: int, x: Array, deep: Window, high: Window, wide: Window, row: Array, y: Array
) -> None:
    for n in range(start, stop):
        _sum_plane(x[n], deep, high, wide, row, y[n])


@njit(parallel=True)
def _window_sum(threads: int, x: Array, deep: Window, high: Window, wide: Window, rows: Array, y: Array) -> None:
    N = len(x)
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _window_sum_some(N * thread // threads, N * (thread + 1) // threads, x, deep, high, wide, rows[thread], y)


@njit
def _spread_plane(g: Array, deep: Window, high: Window, wide: Window, row: Array, x: Array) -> None:
    (d0, d1, dw), (h0, h1, hw), (w0, w1, ww) = deep, high, wide
    for i in range(d0.size):
        for j in range(h0.size):
            row[:] = 0
            for k in range(w0.size):
                for t in range(w0[k], w1[k]):
                    row[t] += g[i, j, k] * ww[k, t - w0[k]]
            for p in range(d0[i], d1[i]):
                for q in range(h0[j], h1[j]):
                    _add_row(x[p, q], row, x.dtype.type(dw[i, p - d0[i]] * hw[j, q - h0[j]]))


@njit
def _window_spread_some(
    start: int, stop: int, g: Array, deep: Window, high: Window, wide: Window, row: Array, x: Array
) -> None:
    for n in range(start, stop):
        _spread_plane(g[n], deep, high, wide, row, x[n])


@njit(parallel=True)
def _window_spread(threads: int, g: Array, deep: Window, high: Window, wide: Window, rows: Array, x: Array) -> None:
    N = len(x)
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _window_spread_some(N * thread // threads, N * (thread + 1) // threads, g, deep, high, wide, rows[thread], x)


@register(op="window_sum", name="cpu.rows", dtypes=DTYPES, default=True, accepts=_sees)
def window_sum(x: Array, windows: Windows) -> Array:
    """By rows; see the head of the file."""
    y = np.empty((len(x), *(len(first) for first, _, _ in windows)), x.dtype)
    threads = worthwhile(4 * _seen(len(x), windows))
    rows = np.empty((threads, x.shape[3]), x.dtype)
    x, (deep, high, wide) = plain(x), windows
    if threads == 1:
        _window_sum_some(0, len(x), x, deep, high, wide, rows[0], y)
    else:
        with num_threads(threads):
            _window_sum(threads, x, deep, high, wide, rows, y)
    return y


@register(op="window_spread", name="cpu.rows", dtypes=DTYPES, default=True, accepts=_sees)
def window_spread(g: Array, windows: Windows, size: Ints) -> Array:
    """By rows; see the head of the file."""
    x = np.zeros((len(g), *size), g.dtype)
    threads = worthwhile(4 * _seen(len(g), windows))
    rows = np.empty((threads, size[2]), g.dtype)
    g, (deep, high, wide) = plain(g), windows
    if threads == 1:
        _window_spread_some(0, len(g), g, deep, high, wide, rows[0], x)
    else:
        with num_threads(threads):
            _window_spread(threads, g, deep, high, wide, rows, x)
    return x


# ----------------------------------------------------------------------------------------------------------- positions


@njit
def _take_some(start: int, stop: int, x: Array, index: Array, y: Array) -> None:
    _, C, M = y.shape
    for row in range(start, stop):
        n, c = row // C, row % C
        at = index[n, c if index.shape[1] > 1 else 0]
        for m in range(M):
            y[n, c, m] = x[n, c, at[m]] if at[m] >= 0 else 0


@njit(parallel=True)
def _take(threads: int, x: Array, index: Array, y: Array) -> None:
    rows = y.shape[0] * y.shape[1]
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _take_some(rows * thread // threads, rows * (thread + 1) // threads, x, index, y)


@njit
def _put_some(start: int, stop: int, g: Array, index: Array, x: Array) -> None:
    _, C, M = g.shape
    for row in range(start, stop):
        n, c = row // C, row % C
        at = index[n, c if index.shape[1] > 1 else 0]
        for m in range(M):
            if at[m] >= 0:
                x[n, c, at[m]] += g[n, c, m]


@njit(parallel=True)
def _put(threads: int, g: Array, index: Array, x: Array) -> None:
    rows = g.shape[0] * g.shape[1]
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _put_some(rows * thread // threads, rows * (thread + 1) // threads, g, index, x)


@register(op="take_positions", name="cpu.rows", dtypes=DTYPES, default=True)
def take_positions(x: Array, index: Array) -> Array:
    """One row after another; see the card."""
    x, index = plain(x), plain(index)
    y = np.empty((x.shape[0], x.shape[1], index.shape[2]), x.dtype)
    threads = worthwhile(8 * y.size)
    if threads == 1:
        _take_some(0, y.shape[0] * y.shape[1], x, index, y)
    else:
        with num_threads(threads):
            _take(threads, x, index, y)
    return y


@register(op="put_positions", name="cpu.rows", dtypes=DTYPES, default=True)
def put_positions(g: Array, index: Array, size: int) -> Array:
    """One row after another; see the card."""
    g, index = plain(g), plain(index)
    x = np.zeros((g.shape[0], g.shape[1], size), g.dtype)
    threads = worthwhile(8 * g.size)
    if threads == 1:
        _put_some(0, g.shape[0] * g.shape[1], g, index, x)
    else:
        with num_threads(threads):
            _put(threads, g, index, x)
    return x
