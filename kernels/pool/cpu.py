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
from numpy.typing import NDArray

from tinydl.kernels import threads
from tinydl.kernels.builtin import Builtin
from tinydl.kernels.cache import njit
from tinydl.kernels.pool.spec import Ints, Windows, in_three
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import SUMS
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
Window = tuple[Any, Any, Any]
DTYPES = ("float32", "float64")

# ------------------------------------------------------------------------------------------------------------ windows


@dataclass(frozen=True, eq=False)
class Plan:
    """Windows of arrays of one shape, in one array: a compiled function is not handed six.

    table: planes and three sizes of the input, three of the result; per dimension how many windows, how long the
    longest is (or their step), and the firsts and lasts of all; then, of sums, the bits of the weights, one dimension
    after another
    planes, after: shapes of the input and of the result as planes [N, D, H, W]; out: that of the result as it is
    work: operations, about; 0 where nothing is looked at
    """

    windows: Windows
    table: Array
    planes: Ints
    after: Ints
    out: Ints
    work: int


_plans: dict[tuple[int, Ints], Plan] = {}  # by identity: windows are made once per setting and nothing writes to them


def planned(windows: Windows, shape: Ints) -> Plan:
    """The windows of an array of ``shape``, remembered."""
    found = _plans.get((id(windows), shape))
    if found is None or found.windows is not windows:
        if len(_plans) >= 4096:
            _plans.clear()
        found = _plans[id(windows), shape] = _plan(windows, shape)
    return found


def _plan(windows: Windows, shape: Ints) -> Plan:
    planes, whole, out = in_three(shape, windows)
    N, size = planes[0], tuple(len(first) for first, _, _ in whole)
    table: list[int] = [*planes, *size]
    weights = [np.zeros(0)]
    for first, last, third in whole:
        plain_step = isinstance(third, (int, np.integer))
        table += [len(first), int(third) if plain_step else third.shape[1], *first.tolist(), *last.tolist()]
        if not plain_step:
            weights.append(np.asarray(third, np.float64).reshape(-1))
    seen = math.prod(len(first) * int(last[0] - first[0]) if len(first) else 0 for first, last, _ in whole)
    work = max(4 * N * seen, 1) if math.prod(planes) and math.prod(size) else 0
    joined = np.concatenate([np.array(table, np.int64), np.concatenate(weights).view(np.int64)])
    return Plan(windows, joined, planes, (N, *size), out, work)


@njit(forceinline=True)
def _sizes(table: Array) -> Any:
    """Shapes of the planes before and after."""
    N, D, H, W, d, h, w = table[0], table[1], table[2], table[3], table[4], table[5], table[6]
    return (N, D, H, W), (N, d, h, w)


@njit(forceinline=True)
def _edges(table: Array, at: int) -> Any:
    """The firsts and lasts of a dimension, its second number, and where the next dimension begins."""
    n = table[at]
    return table[at + 2 : at + 2 + n], table[at + 2 + n : at + 2 + 2 * n], table[at + 1], at + 2 + 2 * n


@njit(forceinline=True)
def _steps(table: Array) -> Any:
    d0, d1, ds, at = _edges(table, 7)
    h0, h1, hs, at = _edges(table, at)
    w0, w1, ws, at = _edges(table, at)
    return (d0, d1, ds), (h0, h1, hs), (w0, w1, ws)


@njit(forceinline=True)
def _weighted(table: Array) -> Any:
    d0, d1, deep, at = _edges(table, 7)
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


@shared
def _max_pool(thread: int, threads: int, x: Array, table: Array, y: Array, index: Array) -> None:
    N = len(x)
    _max_pool_some(N * thread // threads, N * (thread + 1) // threads, x, table, y, index)


def _max_pool_here(x: Array, table: Array, y: Array, index: Array) -> int:
    before, after = _sizes(table)
    _max_pool_some(0, before[0], x.reshape(before), table, y.reshape(after), index.reshape(after))
    return 0


_MAX_HERE = Builtin(_max_pool_here, "TlTl")  # on one thread
_INDEX = np.dtype(np.int64)


@register(op="max_pool", name="cpu.planes", dtypes=DTYPES, default=True)
def max_pool(x: Array, windows: Windows) -> tuple[Array, NDArray[np.int64]]:
    """One window after another; see the card."""
    plan = planned(windows, x.shape)
    y, index = np.empty(plan.out, x.dtype), np.empty(plan.out, _INDEX)
    if 0 < plan.work < threads.SERIAL or (count := worthwhile(plan.work) if plan.work else 0) == 1:
        _MAX_HERE[x.dtype](x if x.flags.carray else plain(x), plan.table, y, index)
    elif count:
        before, after = plan.planes, plan.after
        with num_threads(count):
            _max_pool(count, plain(x).reshape(before), plan.table, y.reshape(after), index.reshape(after))
    else:
        y.fill(-np.inf)
        index.fill(-1)
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


@shared
def _window_sum(thread: int, threads: int, x: Array, table: Array, y: Array) -> None:
    N = len(x)
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


@shared
def _window_spread(thread: int, threads: int, g: Array, table: Array, x: Array) -> None:
    N = len(x)
    _window_spread_some(N * thread // threads, N * (thread + 1) // threads, g, table, x)


def _window_sum_here(x: Array, table: Array, y: Array) -> int:
    before, after = _sizes(table)
    _window_sum_some(0, before[0], x.reshape(before), table, y.reshape(after))
    return 0


def _window_spread_here(g: Array, table: Array, x: Array) -> int:
    before, after = _sizes(table)
    _window_spread_some(0, before[0], g.reshape(after), table, x.reshape(before))
    return 0


_SUM_HERE = Builtin(_window_sum_here, "TlT")  # on one thread
_SPREAD_HERE = Builtin(_window_spread_here, "TlT")


@register(op="window_sum", name="cpu.rows", dtypes=DTYPES, default=True)
def window_sum(x: Array, windows: Windows) -> Array:
    """By rows; see the head of the file."""
    plan = planned(windows, x.shape)
    y = np.empty(plan.out, x.dtype)
    if 0 < plan.work < threads.SERIAL or (count := worthwhile(plan.work) if plan.work else 0) == 1:
        _SUM_HERE[x.dtype](x if x.flags.carray else plain(x), plan.table, y)
    elif count:
        before, after = plan.planes, plan.after
        with num_threads(count):
            _window_sum(count, plain(x).reshape(before), plan.table, y.reshape(after))
    else:
        y.fill(0)
    return y


@register(op="window_spread", name="cpu.rows", dtypes=DTYPES, default=True)
def window_spread(g: Array, windows: Windows, size: Ints) -> Array:
    """By rows; see the head of the file."""
    shape = g.shape[: g.ndim - len(windows)] + tuple(size)
    plan, x = planned(windows, shape), np.zeros(shape, g.dtype)
    if 0 < plan.work < threads.SERIAL or (count := worthwhile(plan.work) if plan.work else 0) == 1:
        _SPREAD_HERE[g.dtype](g if g.flags.carray else plain(g), plan.table, x)
    elif count:
        before, after = plan.planes, plan.after
        with num_threads(count):
            _window_spread(count, plain(g).reshape(after), plan.table, x.reshape(before))
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


@shared
def _take(thread: int, threads: int, x: Array, index: Array, y: Array) -> None:
    rows = y.shape[0] * y.shape[1]
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


@shared
def _put(thread: int, threads: int, g: Array, index: Array, x: Array) -> None:
    rows = g.shape[0] * g.shape[1]
    _put_some(rows * thread // threads, rows * (thread + 1) // threads, g, index, x)


@register(op="take_positions", name="cpu.rows", dtypes=DTYPES, default=True)
def take_positions(x: Array, index: Array) -> Array:
    """One row after another; see the card."""
    x, index = plain(x), plain(index)
    y = np.empty((x.shape[0], x.shape[1], index.shape[2]), x.dtype)
    count = worthwhile(8 * y.size)
    if count == 1:
        _take_some(0, y.shape[0] * y.shape[1], x, index, y)
    else:
        with num_threads(count):
            _take(count, x, index, y)
    return y


@register(op="put_positions", name="cpu.rows", dtypes=DTYPES, default=True)
def put_positions(g: Array, index: Array, size: int) -> Array:
    """One row after another; see the card."""
    g, index = plain(g), plain(index)
    x = np.zeros((g.shape[0], g.shape[1], size), g.dtype)
    count = worthwhile(8 * g.size)
    if count == 1:
        _put_some(0, g.shape[0] * g.shape[1], g, index, x)
    else:
        with num_threads(count):
            _put(count, g, index, x)
    return x
