"""Layer normalisation on the CPU, float32: rows stay in the first-level cache from the mean to the result.

Forward: three passes over a row in cache (mean, variance, result) for one over memory. Backward: the two means of a
row, then dx; dweight and dbias are summed per block of rows of fixed size, so that the bits do not depend on the number
of threads, and long columns lose no digits to one running sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
_f = np.float32
_ZERO, _ONE = _f(0), _f(1)
_SUMS = {"contract", "nsz", "arcp", "reassoc"}

# Of this many elements on, threads win over their start.
PARALLEL_FROM = 32_768
_ROWS = 64  # rows whose dweight and dbias are summed before they are added to the others'


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _forward_row(x: Any, weight: Any, bias: Any, eps: Any, y: Any) -> Any:
    d = np.float32(x.size)
    total = _ZERO
    for j in range(x.size):
        total += x[j]
    mean = total / d
    square = _ZERO
    for j in range(x.size):
        centred = x[j] - mean
        square += centred * centred
    rstd = _ONE / np.sqrt(square / d + eps)
    if weight.size and bias.size:
        for j in range(x.size):
            y[j] = (x[j] - mean) * rstd * weight[j] + bias[j]
    elif weight.size:
        for j in range(x.size):
            y[j] = (x[j] - mean) * rstd * weight[j]
    else:
        for j in range(x.size):
            y[j] = (x[j] - mean) * rstd
    return mean, rstd


def _forward(x: Any, weight: Any, bias: Any, eps: Any, y: Any, mean: Any, rstd: Any) -> Any:
    for n in prange(x.shape[0]):
        mean[n], rstd[n] = _forward_row(x[n], weight, bias, eps, y[n])


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _backward_row(g: Any, x: Any, weight: Any, mean: Any, rstd: Any, dx: Any, dweight: Any, dbias: Any) -> Any:
    d = np.float32(x.size)
    mean_q = _ZERO
    mean_qh = _ZERO
    if weight.size:
        for j in range(x.size):
            q = g[j] * weight[j]
            mean_q += q
            mean_qh += q * ((x[j] - mean) * rstd)
        mean_q /= d
        mean_qh /= d
        for j in range(x.size):
            h = (x[j] - mean) * rstd
            dx[j] = rstd * (g[j] * weight[j] - mean_q - h * mean_qh)
            dweight[j] += g[j] * h
            dbias[j] += g[j]
    else:
        for j in range(x.size):
            mean_q += g[j]
            mean_qh += g[j] * ((x[j] - mean) * rstd)
        mean_q /= d
        mean_qh /= d
        for j in range(x.size):
            h = (x[j] - mean) * rstd
            dx[j] = rstd * (g[j] - mean_q - h * mean_qh)
            dweight[j] += g[j] * h
            dbias[j] += g[j]


def _backward(g: Any, x: Any, weight: Any, mean: Any, rstd: Any, dx: Any, dweights: Any, dbiases: Any) -> Any:
    for block in prange(dweights.shape[0]):
        for n in range(block * _ROWS, min((block + 1) * _ROWS, x.shape[0])):
            _backward_row(g[n], x[n], weight, mean[n], rstd[n], dx[n], dweights[block], dbiases[block])


_forward_serial = njit(_forward, error_model="numpy")
_forward_parallel = njit(_forward, parallel=True, error_model="numpy")
_backward_serial = njit(_backward, error_model="numpy")
_backward_parallel = njit(_backward, parallel=True, error_model="numpy")
_NOTHING = np.empty(0, np.float32)


@register(op="layer_norm_forward", name="cpu.fused", dtypes=("float32",), default=True)
def layer_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Normalise rows; see the card."""
    x = plain(x)
    y = np.empty_like(x)
    mean, rstd = np.empty((2, len(x)), np.float32)
    w = _NOTHING if weight is None else plain(weight)
    b = _NOTHING if bias is None else plain(bias)
    if bias is not None and weight is None:
        w = np.ones_like(b)
    kernel = _forward_parallel if x.size >= PARALLEL_FROM else _forward_serial
    kernel(x, w, b, _f(eps), y, mean, rstd)
    return y, mean, rstd


@register(op="layer_norm_backward", name="cpu.fused", dtypes=("float32",), default=True)
def layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """Gradients of the input, the weight and the bias; see the card."""
    g, x = plain(g), plain(x)
    dx = np.empty_like(x)
    blocks = -(-len(x) // _ROWS)
    dweights, dbiases = np.zeros((2, blocks, x.shape[1]), np.float32)
    w = _NOTHING if weight is None else plain(weight)
    kernel = _backward_parallel if x.size >= PARALLEL_FROM else _backward_serial
    kernel(g, x, w, mean, rstd, dx, dweights, dbiases)
    if blocks == 1:
        return dx, dweights[0], dbiases[0]
    return dx, dweights.sum(axis=0), dbiases.sum(axis=0)
