"""Connectionist temporal classification on the CPU: one sequence after another, in the log domain and in float64.

A sum of paths is the largest plus the logarithm of the others' share, and a place that no path has reached costs
nothing. Sequences are shared among threads; each writes its own part, and losses are added up in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.builtin import Builtin
from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
Ints = NDArray[np.int64]
DTYPES = ("float32", "float64")
_NONE, _SUM, _MEAN = range(3)
_REDUCTIONS = {"none": _NONE, "sum": _SUM, "mean": _MEAN}


@njit(error_model="numpy")
def _either(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    if b > a:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


@njit(error_model="numpy")
def _label(targets: Ints, row: int, s: int, blank: int) -> Any:
    """l'_s of the sequence whose targets begin at ``row``."""
    return targets[row + s // 2] if s % 2 else blank


@njit(error_model="numpy")
def _skips(targets: Ints, row: int, s: int, blank: int) -> bool:
    """Whether a path may come to s from two places before."""
    k = row + s // 2
    return s > 1 and s % 2 == 1 and targets[k] != blank and targets[k] != targets[k - 1]


@njit(error_model="numpy")
def _share(size: int, N: int, reduction: int) -> float:
    """What a loss counts in the result."""
    return 1.0 / (max(size, 1) * N) if reduction == _MEAN else 1.0


@njit(error_model="numpy")
def _log_p(alpha: Array, last: int, steps: int) -> float:
    """The logarithm of the sum of all paths, from the last alphas of the sequence."""
    if steps == 0:
        return 0.0 if last == 0 else -np.inf
    return _either(alpha[last], alpha[last - 1]) if last > 0 else alpha[0]


# In the loops arrays are flat: x [T, N, C], targets [N, S], alpha [T, N, W] with W = 2 S + 1.


@njit(error_model="numpy")
def _forward_some(
    start: int, stop: int, x: Array, targets: Ints, steps: Ints, sizes: Ints, alpha: Array, T: int, N: int, C: int,
    S: int, blank: int,
) -> int:  # fmt: skip
    W = 2 * S + 1
    for n in range(start, stop):
        width = 2 * sizes[n] + 1
        for t in range(T):
            new, old, emitted = (t * N + n) * W, ((t - 1) * N + n) * W, (t * N + n) * C
            for s in range(width, W):
                alpha[new + s] = -np.inf
            for s in range(width):
                if t == 0:
                    path = 0.0 if s < 2 else -np.inf
                elif t >= steps[n]:
                    alpha[new + s] = alpha[old + s]
                    continue
                else:
                    path = alpha[old + s]
                    if s > 0:
                        path = _either(path, alpha[old + s - 1])
                    if _skips(targets, n * S, s, blank):
                        path = _either(path, alpha[old + s - 2])
                alpha[new + s] = path + x[emitted + _label(targets, n * S, s, blank)]
    return 0


@njit(error_model="numpy")
def _losses(
    sizes: Ints, steps: Ints, alpha: Array, loss: Array, T: int, N: int, S: int, zero_infinity: int, reduction: int
) -> int:
    W, total = 2 * S + 1, 0.0
    for n in range(N):
        at = ((T - 1) * N + n) * W
        one = -_log_p(alpha[at : at + W], 2 * sizes[n], steps[n])
        if zero_infinity and not np.isfinite(one):
            one = 0.0
        if reduction == _NONE:
            loss[n] = one
        total += one * _share(sizes[n], N, reduction)
    if reduction != _NONE:
        loss[0] = np.nan if N == 0 and reduction == _MEAN else total
    return 0


@njit(error_model="numpy")
def _forward_all(
    x: Array, targets: Ints, steps: Ints, sizes: Ints, alpha: Array, loss: Array, T: int, N: int, C: int, S: int,
    blank: int, zero_infinity: int, reduction: int,
) -> int:  # fmt: skip
    _forward_some(0, N, x, targets, steps, sizes, alpha, T, N, C, S, blank)
    return _losses(sizes, steps, alpha, loss, T, N, S, zero_infinity, reduction)


@shared(error_model="numpy")
def _forward(
    thread: int, threads: int, x: Array, targets: Ints, steps: Ints, sizes: Ints, alpha: Array, T: int, N: int, C: int,
    S: int, blank: int,
) -> None:  # fmt: skip
    start, stop = N * thread // threads, N * (thread + 1) // threads
    _forward_some(start, stop, x, targets, steps, sizes, alpha, T, N, C, S, blank)


@njit(error_model="numpy")
def _backward_some(
    start: int, stop: int, g: Array, x: Array, targets: Ints, steps: Ints, sizes: Ints, alpha: Array, dx: Array,
    T: int, N: int, C: int, S: int, blank: int, zero_infinity: int, reduction: int,
) -> int:  # fmt: skip
    W = 2 * S + 1
    beta, slope = np.empty(W), np.empty(C)
    for n in range(start, stop):
        last, at = 2 * sizes[n], ((T - 1) * N + n) * W
        log_p = _log_p(alpha[at : at + W], last, steps[n])
        factor = g[n if reduction == _NONE else 0] * _share(sizes[n], N, reduction)
        possible = np.isfinite(log_p)
        for s in range(last + 1):
            beta[s] = 0.0 if s >= last - 1 else -np.inf
        for t in range(T - 1, -1, -1):
            out = (t * N + n) * C
            if not possible or t >= steps[n]:
                for c in range(C):
                    dx[out + c] = 0 if possible or zero_infinity else np.nan
                continue
            if t < steps[n] - 1:
                for s in range(last + 1):  # of this step's labels, and then over the ways to come on
                    beta[s] += x[out + N * C + _label(targets, n * S, s, blank)]
                for s in range(last + 1):
                    path = beta[s]
                    if s < last:
                        path = _either(path, beta[s + 1])
                    if s < last - 1 and _skips(targets, n * S, s + 2, blank):
                        path = _either(path, beta[s + 2])
                    beta[s] = path
            slope[:] = 0
            for s in range(last + 1):
                slope[_label(targets, n * S, s, blank)] -= np.exp(alpha[(t * N + n) * W + s] + beta[s] - log_p)
            for c in range(C):
                dx[out + c] = slope[c] * factor
    return 0


@shared(error_model="numpy")
def _backward(
    thread: int, threads: int, g: Array, x: Array, targets: Ints, steps: Ints, sizes: Ints, alpha: Array, dx: Array,
    T: int, N: int, C: int, S: int, blank: int, zero_infinity: int, reduction: int,
) -> None:  # fmt: skip
    start, stop = N * thread // threads, N * (thread + 1) // threads
    _backward_some(start, stop, g, x, targets, steps, sizes, alpha, dx, T, N, C, S, blank, zero_infinity, reduction)


_FORWARD = Builtin(_forward_all, "TllldTiiiiiii")
_BACKWARD = Builtin(_backward_some, "iiTTllldTiiiiiii")


def _threads(alpha: Array, N: int) -> int:
    return min(worthwhile(60 * alpha.size), max(N, 1))


@register(op="ctc_forward", name="cpu.sequences", dtypes=DTYPES, default=True)
def ctc_forward(
    x: Array, targets: Ints, steps: Ints, sizes: Ints, blank: int, zero_infinity: bool, reduction: str
) -> tuple[Array, Array]:
    """One sequence after another; see the card."""
    (T, N, C), S = x.shape, targets.shape[1]
    alpha = np.empty((T, N, 2 * S + 1))
    loss = np.empty((N,) if reduction == "none" else (), x.dtype)
    arrays = plain(x), plain(targets), plain(steps), plain(sizes), alpha, loss
    settings: Any = T, N, C, S, blank, zero_infinity, _REDUCTIONS[reduction]
    threads = _threads(alpha, N)
    if threads == 1:
        _FORWARD[x.dtype](*arrays, *settings)
    else:
        *flat, losses = (array.reshape(-1) for array in arrays)
        with num_threads(threads):
            _forward(threads, *flat, T, N, C, S, blank)
        _losses(flat[3], flat[2], flat[4], losses, T, N, S, int(zero_infinity), _REDUCTIONS[reduction])
    return loss, alpha


@register(op="ctc_backward", name="cpu.sequences", dtypes=DTYPES, default=True)
def ctc_backward(
    g: Array, x: Array, targets: Ints, steps: Ints, sizes: Ints, alpha: Array, blank: int, zero_infinity: bool,
    reduction: str,
) -> Array:  # fmt: skip
    """One sequence after another; see the card."""
    (T, N, C), S = x.shape, targets.shape[1]
    dx = np.empty(x.shape, x.dtype)
    arrays = plain(g), plain(x), plain(targets), plain(steps), plain(sizes), plain(alpha), dx
    settings: Any = T, N, C, S, blank, zero_infinity, _REDUCTIONS[reduction]
    threads = _threads(alpha, N)
    if threads == 1:
        _BACKWARD[x.dtype](0, N, *arrays, *settings)
    else:
        flat: Any = [array.reshape(-1) for array in arrays]
        with num_threads(threads):
            _backward(threads, *flat, *settings)
    return dx
