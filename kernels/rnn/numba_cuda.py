"""LSTM and GRU in Numba-CUDA: all that a step does behind its product, in one launch.

    product     C = A W' + b through tiles in shared memory: x W_ih' of all steps at once, h W_hh' of each step
    lstm_cell   the four gates, cell and state of a step: one thread per hidden unit of a sequence
    gru_cell    the same of a GRU

Gate by gate, with a launch for every sum, sigmoid and product, a step of an LSTM would read and write some twenty
arrays of [B, H]; fused it reads nine numbers a unit and writes six, and is one launch instead of a dozen, which is what
a step of small layers costs. All sequences go on for all T steps here. A sigmoid is written as (tanh(x / 2) + 1) / 2,
which never overflows; and in place, because a device function compiles only where there is a driver. (Unverified on
hardware.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Arguments, Call, Empty
from tinydl.kernels.numba_cuda import NumbaKernel, declare

DTYPES = ("float32", "float64")
TILE, BLOCK = 16, 128
APART = TILE + 1  # of rows of a tile that is read by columns: no two begin in one bank


def product(cuda: Any, real: Any) -> Callable[..., None]:
    """A [M, K] times W [N, K] turned, plus b [N] or nothing (b [0])."""

    def kernel(A, W, b, C):  # type: ignore[no-untyped-def]
        a = cuda.shared.array((TILE, TILE), real)
        w = cuda.shared.array((TILE, APART), real)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        left = cuda.blockIdx.x * TILE
        column, row = cuda.grid(2)
        total = real(0)
        for k in range(0, A.shape[1], TILE):
            a[y, x] = A[row, k + x] if row < A.shape[0] and k + x < A.shape[1] else real(0)
            w[y, x] = W[left + y, k + x] if left + y < W.shape[0] and k + x < W.shape[1] else real(0)
            cuda.syncthreads()
            for i in range(TILE):
                total += a[y, i] * w[x, i]
            cuda.syncthreads()
        if row < C.shape[0] and column < C.shape[1]:
            C[row, column] = total + b[column] if b.shape[0] > 0 else total

    return kernel


def lstm_cell(cuda: Any, real: Any) -> Callable[..., None]:
    """Step s at time t: a = xw[t] + hw, cut in four; c = f c + i g, h = o tanh(c)."""
    def kernel(xw, hw, c0, output, gates, cells, h_n, c_n, step):  # type: ignore[no-untyped-def]
        s, t, last = step
        half = real(0.5)
        at = cuda.grid(1)
        units = c0.shape[1]
        if at < c0.size:
            b, j = at // units, at % units
            i = half * math.tanh(half * (xw[t, b, j] + hw[b, j])) + half
            f = half * math.tanh(half * (xw[t, b, units + j] + hw[b, units + j])) + half
            g = math.tanh(xw[t, b, 2 * units + j] + hw[b, 2 * units + j])
            o = half * math.tanh(half * (xw[t, b, 3 * units + j] + hw[b, 3 * units + j])) + half
            before = c0[b, j] if s == 0 else cells[s, b, j]
            if s == 0:
                cells[0, b, j] = before
            c = f * before + i * g
            h = o * math.tanh(c)
            gates[s, b, 0, j], gates[s, b, 1, j], gates[s, b, 2, j], gates[s, b, 3, j] = i, f, g, o
            cells[s + 1, b, j] = c
            output[t, b, j] = h
            if last:
                h_n[b, j], c_n[b, j] = h, c

    return kernel


def gru_cell(cuda: Any, real: Any) -> Callable[..., None]:
    """Step s at time t, behind time ``before``: r and z from xw[t] + hw, n = tanh(xw[t] + r hw), h = n + z (h - n)."""
    def kernel(xw, hw, h0, output, gates, h_n, step):  # type: ignore[no-untyped-def]
        s, t, before, last = step
        half = real(0.5)
        at = cuda.grid(1)
        units = h0.shape[1]
        if at < h0.size:
            b, j = at // units, at % units
            r = half * math.tanh(half * (xw[t, b, j] + hw[b, j])) + half
            z = half * math.tanh(half * (xw[t, b, units + j] + hw[b, units + j])) + half
            m = hw[b, 2 * units + j]
            n = math.tanh(xw[t, b, 2 * units + j] + r * m)
            h = h0[b, j] if s == 0 else output[before, b, j]
            h = n + z * (h - n)
            gates[s, b, 0, j], gates[s, b, 1, j], gates[s, b, 2, j], gates[s, b, 3, j] = n, r, z, m
            output[t, b, j] = h
            if last:
                h_n[b, j] = h

    return kernel


# -- launches ----------------------------------------------------------------------------------------------------------


def _product(a: Any, w: Any, bias: Any, c: Any) -> list[Call]:
    grid = (-(-c.shape[1] // TILE), -(-c.shape[0] // TILE))
    return [Call("product", grid, (TILE, TILE), (a, w, bias, c))] if c.size else []


def _start(empty: Empty, x: Any, w_ih: Any, b_ih: Any, b_hh: Any) -> tuple[list[Call], Any, Any, Any]:
    """x W_ih' + b_ih of all steps; that, a place for h W_hh', and the other bias."""
    (T, B, size), rows = x.shape, len(w_ih)
    nothing = empty((0,), x.dtype)
    xw, hw = empty((T, B, rows), x.dtype), empty((B, rows), x.dtype)
    calls = _product(x.reshape(T * B, size), w_ih, nothing if b_ih is None else b_ih, xw.reshape(T * B, rows))
    return calls, xw, hw, nothing if b_hh is None else b_hh


def lstm_plan(
    empty: Empty, x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, lengths: Any, reverse: bool
) -> tuple[list[Call], tuple[Any, ...]]:
    """A product for all steps, then a product and a cell for each."""
    (T, B, _), H = x.shape, h0.shape[1]
    calls, xw, hw, bias = _start(empty, x, w_ih, b_ih, b_hh)
    output, gates, cells = empty((T, B, H), x.dtype), empty((T, B, 4, H), x.dtype), empty((T + 1, B, H), x.dtype)
    h_n, c_n = empty((B, H), x.dtype), empty((B, H), x.dtype)
    for s in range(T if h0.size else 0):
        t, before = (T - 1 - s, T - s) if reverse else (s, s - 1)
        calls += _product(output[before] if s else h0, w_hh, bias, hw)
        args = (xw, hw, c0, output, gates, cells, h_n, c_n, (s, t, int(s == T - 1)))
        calls.append(Call("lstm_cell", (-(-h0.size // BLOCK),), (BLOCK,), args))
    return calls, (output, h_n, c_n, gates, cells)


def gru_plan(
    empty: Empty, x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, lengths: Any, reverse: bool
) -> tuple[list[Call], tuple[Any, ...]]:
    """The same of a GRU."""
    (T, B, _), H = x.shape, h0.shape[1]
    calls, xw, hw, bias = _start(empty, x, w_ih, b_ih, b_hh)
    output, gates, h_n = empty((T, B, H), x.dtype), empty((T, B, 4, H), x.dtype), empty((B, H), x.dtype)
    for s in range(T if h0.size else 0):
        t, before = (T - 1 - s, T - s) if reverse else (s, max(s - 1, 0))
        calls += _product(output[before] if s else h0, w_hh, bias, hw)
        args = (xw, hw, h0, output, gates, h_n, (s, t, before, int(s == T - 1)))
        calls.append(Call("gru_cell", (-(-h0.size // BLOCK),), (BLOCK,), args))
    return calls, (output, h_n, gates)


def accepts(x: Any, h0: Any, *more: Any) -> bool:
    """Row-major arrays, a step at least, no lengths."""
    *arrays, lengths, _ = more
    contiguous = all(a.flags.c_contiguous for a in (x, h0, *arrays) if a is not None)
    return contiguous and lengths is None and len(x) > 0 and x.shape[0] * x.shape[1] < 1 << 20


def samples(states: int, gates: int, dtype: Any) -> Iterator[Arguments]:
    """T, B, I, H: one, odd ones over several tiles and blocks, whole ones; with and without biases, both ways."""
    rng = np.random.default_rng(0)
    sizes = (1, 1, 1, 1), (2, 3, 0, 5), (1, 16, 16, 16), (3, 5, 4, 7), (3, 7, 17, 37)
    for number, (T, B, size, H) in enumerate(sizes):
        rows = gates * H
        shapes = (T, B, size), *[(B, H)] * states, (rows, size), (rows, H), (rows,), (rows,)
        normal = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        biases = [bias if number % 3 != place else None for place, bias in enumerate(normal[-2:])]
        yield (*normal[:-2], *biases, None, bool(number % 2))


LSTM = declare(
    NumbaKernel(
        "lstm_forward", "numba.fused", DTYPES, {"product": product, "lstm_cell": lstm_cell}, lstm_plan,
        lambda dtype: samples(2, 4, dtype), accepts,
    )
)  # fmt: skip
GRU = declare(
    NumbaKernel(
        "gru_forward", "numba.fused", DTYPES, {"product": product, "gru_cell": gru_cell}, gru_plan,
        lambda dtype: samples(1, 3, dtype), accepts,
    )
)  # fmt: skip
