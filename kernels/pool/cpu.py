"""Pooling and resampling on the CPU: one plane after another, planes shared among threads.

A window sum goes by rows: the rows that a row of windows sees are added up first (vectors), then the windows along the
row. That reads each row once where windows of a row overlap, and is a sum of sums, which keeps its digits over large
windows. A plane is one thread's from beginning to end: bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tinydl.kernels.builtin import Builtin
from tinydl.kernels.cache import njit
from tinydl.kernels.pool.spec import Ints, Windows
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import SUMS
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
Window = tuple[Any, Any, Any]
DTYPES = ("float32", "float64")

# ------------------------------------------------------------------------------------------------------------ windows


@dataclass(frozen=True, eq=False)
class Packed:
    """Windows in one array, since a compiled function takes 0.2 us for every array that it is given.

    table: per dimension how many, how long the longest is (or their step), and the firsts and lasts of all; then, of
    sums, the bits of the weights, one dimension after another
    out: sizes of the result; seen: elements in all windows of a plane, about
    """

    windows: Windows
    table: Array
    out: Ints
    seen: int


_known: dict[int, Packed] = {}  # by identity: windows are made once per setting and nothing writes to them


def packed(windows: Windows) -> Packed:
    """The windows in one array, remembered."""
    found = _known.get(id(windows))
    if found is None or found.windows is not windows:
        table: list[int] = []
        weights = [np.zeros(0)]
        for first, last, third in windows:
            plain_step = isinstance(third, (int, np.integer))
            table += [len(first), int(third) if plain_step else third.shape[1], *first.tolist(), *last.tolist()]
            if not plain_step:
                weights.append(np.asarray(third, np.float64).reshape(-1))
        out = tuple(len(first) for first, _, _ in windows)
        seen = math.prod(len(first) * int(last[0] - first[0]) if len(first) else 0 for first, last, _ in windows)
        whole = np.concatenate([np.array(table, np.int64), np.concatenate(weights).view(np.int64)])
        found = Packed(windows, whole, out, seen)
        if len(_known) >= 1024:
            _known.clear()
        _known[id(windows)] = found
    return found


@njit(forceinline=True)
def _edges(table: Array, at: int) -> Any:
    """The firsts and lasts of a dimension, its second number, and where the next dimension begins."""
    n = table[at]
    return table[at + 2 : at + 2 + n], table[at + 2 + n : at + 2 + 2 * n], table[at + 1], at + 2 + 2 * n


@njit(forceinline=True)
def _steps(table: Array) -> Any:
    d0, d1, ds, at = _edges(table, 0)
    h0, h1, hs, at = _edges(table, at)
    w0, w1, ws, at = _edges(table, at)
    return (d0, d1, ds), (h0, h1, hs), (w0, w1, ws)


@njit(forceinline=True)
def _weighted(table: Array) -> Any:
    d0, d1, deep, at = _edges(table, 0)
    h0, h1, high, at = _edges(table, at)
    w0, w1, wide, at = _edges(table, at)
    weights = table[at:].view(np.float64)
    begin = d0.size * deep
    end = begin + h0.size * high
    dw, hw = weights[:begin].reshape((d0.size, deep)), weights[begin:end].reshape((h0.size, high))
    return (d0, d1, dw), (h0, h1, hw), (w0, w1, weights[end:].reshape((w0.size, wide)))


# ------------------------------------------------------------------------------------------------------------ maximum


@njit
def _max_plane(x: Array, H: int, W: int, deep: Window, high: Window, wide: Window, y: Array, index: Array) -> None:
    """Of a plane as one line. A ``range`` with a step divides to know its length, which costs more than a window."""
    (d0, d1, ds), (h0, h1, hs), (w0, w1, ws) = deep, high, wide
    out = 0
    for i in range(d0.size):
        for j in range(h0.size):
            for k in range(w0.size):
                best, at = x.dtype.type(-np.inf), -1
                p = d0[i]
                while p < d1[i]:
                    q = h0[j]
                    while q < h1[j]:
                        here = (p * H + q) * W + w0[k]
                        end = here - w0[k] + w1[k]
                        while here < end:
                            value = x[np.uint64(here)]
                            if value > best or value != value or at < 0:
                                best, at = value, here
                            here += ws
                        q += hs
                    p += ds
                y[out], index[out] = best, at
                out += 1


@njit
def _max_pool_some(start: int, stop: int, x: Array, table: Array, y: Array, index: Array) -> None:
    deep, high, wide = _steps(table)
    N, _, H, W = x.shape
    lines, out, places = x.reshape((N, x.size // N)), y.reshape((N, y.size // N)), index.reshape((N, y.size // N))
    for n in range(start, stop):
        _max_plane(lines[n], H, W, deep, high, wide, out[n], places[n])


@njit(parallel=True)
def _max_pool(threads: int, x: Array, table: Array, y: Array, index: Array) -> None:
    N = len(x)
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _max_pool_some(N * thread // threads, N * (thread + 1) // threads, x, table, y, index)


def _max_pool_here(
    x: Array, table: Array, y: Array, index: Array, N: int, D: int, H: int, W: int, d: int, h: int, w: int
) -> int:
    out = N, d, h, w
    _max_pool_some(0, N, x.reshape((N, D, H, W)), table, y.reshape(out), index.reshape(out))
    return 0


_MAX_HERE = Builtin(_max_pool_here, "TlTliiiiiii")  # on one thread


@register(op="max_pool", name="cpu.planes", dtypes=DTYPES, default=True)
def max_pool(x: Array, windows: Windows) -> tuple[Array, NDArray[np.int64]]:
    """One window after another; see the card."""
    pack, planes = packed(windows), len(x)
    y = np.empty((planes, *pack.out), x.dtype)
    index = np.empty(y.shape, np.int64)
    if not (x.size and y.size):
        y.fill(-np.inf)
        index.fill(-1)
    elif (threads := worthwhile(4 * planes * pack.seen)) == 1:
        _MAX_HERE[x.dtype](plain(x), pack.table, y, index, *x.shape, *pack.out)
    else:
        with num_threads(threads):
            _max_pool(threads, plain(x), pack.table, y, index)
    return y, index


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
def _window_sum_some(start: int, stop: int, x: Array, table: Array, y: Array) -> None:
    deep, high, wide = _weighted(table)
    row = np.empty(x.shape[3], x.dtype)
    for n in range(start, stop):
        _sum_plane(x[n], deep, high, wide, row, y[n])


@njit(parallel=True)
def _window_sum(threads: int, x: Array, table: Array, y: Array) -> None:
    N = len(x)
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _window_sum_some(N * thread // threads, N * (thread + 1) // threads, x, table, y)


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
def _window_spread_some(start: int, stop: int, g: Array, table: Array, x: Array) -> None:
    deep, high, wide = _weighted(table)
    row = np.empty(x.shape[3], x.dtype)
    for n in range(start, stop):
        _spread_plane(g[n], deep, high, wide, row, x[n])


@njit(parallel=True)
def _window_spread(threads: int, g: Array, table: Array, x: Array) -> None:
    N = len(x)
    for part in prange(threads):
        thread: Any = np.int64(part)  # prange counts in uint64, which times int64 would be a float
        _window_spread_some(N * thread // threads, N * (thread + 1) // threads, g, table, x)


def _window_sum_here(
    x: Array, table: Array, y: Array, N: int, D: int, H: int, W: int, d: int, h: int, w: int
) -> int:
    _window_sum_some(0, N, x.reshape((N, D, H, W)), table, y.reshape((N, d, h, w)))
    return 0


def _window_spread_here(
    g: Array, table: Array, x: Array, N: int, D: int, H: int, W: int, d: int, h: int, w: int
) -> int:
    _window_spread_some(0, N, g.reshape((N, d, h, w)), table, x.reshape((N, D, H, W)))
    return 0


_SUM_HERE = Builtin(_window_sum_here, "TlTiiiiiii")  # on one thread
_SPREAD_HERE = Builtin(_window_spread_here, "TlTiiiiiii")


@register(op="window_sum", name="cpu.rows", dtypes=DTYPES, default=True)
def window_sum(x: Array, windows: Windows) -> Array:
    """By rows; see the head of the file."""
    pack, planes = packed(windows), len(x)
    y = np.empty((planes, *pack.out), x.dtype)
    if not (x.size and y.size):
        y.fill(0)
    elif (threads := worthwhile(4 * planes * pack.seen)) == 1:
        _SUM_HERE[x.dtype](plain(x), pack.table, y, *x.shape, *pack.out)
    else:
        with num_threads(threads):
            _window_sum(threads, plain(x), pack.table, y)
    return y


@register(op="window_spread", name="cpu.rows", dtypes=DTYPES, default=True)
def window_spread(g: Array, windows: Windows, size: Ints) -> Array:
    """By rows; see the head of the file."""
    pack, planes = packed(windows), len(g)
    x = np.zeros((planes, *size), g.dtype)
    if not (g.size and x.size):
        return x
    threads = worthwhile(4 * planes * pack.seen)
    if threads == 1:
        _SPREAD_HERE[g.dtype](plain(g), pack.table, x, *x.shape, *pack.out)
    else:
        with num_threads(threads):
            _window_spread(threads, plain(g), pack.table, x)
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
