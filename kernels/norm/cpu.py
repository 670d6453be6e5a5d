"""Normalisation on the CPU, float32: rows stay in the first-level cache from the mean to the result.

Layer normalisation. Forward: three passes over a row in cache (mean, variance, result) for one over memory. Backward:
the two means of a row, then dx; dweight and dbias are summed per block of rows of fixed size, so that the bits do not
depend on the number of threads, and long columns lose no digits to one running sum.

Channels of images. A channel of a batch, or a group of channels of one image, is several rows of places: each row is
summed in vectors, the rows in float64. A channel (a group) is one thread's from beginning to end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER
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
            dx[j] = rstd * (g[j] * weight[j] - mean_q - (x[j] - mean) * rstd * mean_qh)
    else:
        for j in range(x.size):
            mean_q += g[j]
            mean_qh += g[j] * ((x[j] - mean) * rstd)
        mean_q /= d
        mean_qh /= d
        for j in range(x.size):
            dx[j] = rstd * (g[j] - mean_q - (x[j] - mean) * rstd * mean_qh)
    # A loop of its own: with three arrays written LLVM will not check that none overlaps another, and makes no vectors.
    for j in range(x.size):
        dweight[j] += g[j] * ((x[j] - mean) * rstd)
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


# ------------------------------------------------------------------------------------------------ channels and groups


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _sum(x: Any) -> Any:
    total = _ZERO
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _squares(x: Any, mean: Any) -> Any:
    total = _ZERO
    for i in range(x.size):
        centred = x[i] - mean
        total += centred * centred
    return total


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _product(g: Any, x: Any, mean: Any) -> Any:
    total = _ZERO
    for i in range(x.size):
        total += g[i] * (x[i] - mean)
    return total


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _scaled(x: Any, mean: Any, scale: Any, shift: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = (x[i] - mean) * scale + shift


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _slope(g: Any, x: Any, mean: Any, scale: Any, offset: Any, tilt: Any, dx: Any) -> None:
    """dx = scale * g - offset - tilt * (x - mean)."""
    for i in range(x.size):
        dx[i] = scale * g[i] - offset - tilt * (x[i] - mean)


def _batch_forward(x: Any, weight: Any, bias: Any, eps: Any, y: Any, means: Any, variances: Any) -> Any:
    B, C, L = x.shape
    for c in prange(C):
        total = 0.0
        for b in range(B):
            total += _sum(x[b, c])
        mean = np.float32(total / (B * L))
        square = 0.0
        for b in range(B):
            square += _squares(x[b, c], mean)
        variance = np.float32(square / (B * L))
        means[c], variances[c] = mean, variance
        scale = weight[c] / np.sqrt(variance + eps)
        for b in range(B):
            _scaled(x[b, c], mean, scale, bias[c], y[b, c])


def _batch_backward(g: Any, x: Any, weight: Any, means: Any, variances: Any, eps: Any, dx: Any, dweight: Any,
                    dbias: Any) -> Any:  # fmt: skip
    B, C, L = x.shape
    for c in prange(C):
        mean, rstd = means[c], _ONE / np.sqrt(variances[c] + eps)
        total, product = 0.0, 0.0
        for b in range(B):
            total += _sum(g[b, c])
            product += _product(g[b, c], x[b, c], mean)
        dbias[c], dweight[c] = np.float32(total), np.float32(product * rstd)
        scale = weight[c] * rstd
        offset = np.float32(scale * (total / (B * L)))
        tilt = np.float32(scale * rstd * rstd * (product / (B * L)))
        for b in range(B):
            _slope(g[b, c], x[b, c], mean, scale, offset, tilt, dx[b, c])


def _group_forward(x: Any, weight: Any, bias: Any, eps: Any, y: Any, means: Any, rstds: Any) -> Any:
    B, C, L = x.shape
    G = means.shape[1]
    each = C // G
    for row in prange(B * G):
        b, group = row // G, row % G
        total = 0.0
        for c in range(group * each, (group + 1) * each):
            total += _sum(x[b, c])
        mean = np.float32(total / (each * L))
        square = 0.0
        for c in range(group * each, (group + 1) * each):
            square += _squares(x[b, c], mean)
        rstd = _ONE / np.sqrt(np.float32(square / (each * L)) + eps)
        means[b, group], rstds[b, group] = mean, rstd
        for c in range(group * each, (group + 1) * each):
            _scaled(x[b, c], mean, weight[c] * rstd, bias[c], y[b, c])


def _group_backward(g: Any, x: Any, weight: Any, means: Any, rstds: Any, dx: Any, dweights: Any, dbiases: Any) -> Any:
    B, C, L = x.shape
    G = means.shape[1]
    each = C // G
    for row in prange(B * G):
        b, group = row // G, row % G
        mean, rstd = means[b, group], rstds[b, group]
        total, product = 0.0, 0.0
        for c in range(group * each, (group + 1) * each):
            sum_g, sum_gx = _sum(g[b, c]), _product(g[b, c], x[b, c], mean)
            dbiases[b, c], dweights[b, c] = sum_g, sum_gx * rstd
            total += weight[c] * sum_g
            product += weight[c] * sum_gx
        offset = np.float32(rstd * (total / (each * L)))
        tilt = np.float32(rstd * rstd * rstd * (product / (each * L)))
        for c in range(group * each, (group + 1) * each):
            _slope(g[b, c], x[b, c], mean, weight[c] * rstd, offset, tilt, dx[b, c])


_batch_forward_serial = njit(_batch_forward, error_model="numpy")
_batch_forward_parallel = njit(_batch_forward, parallel=True, error_model="numpy")
_batch_backward_serial = njit(_batch_backward, error_model="numpy")
_batch_backward_parallel = njit(_batch_backward, parallel=True, error_model="numpy")
_group_forward_serial = njit(_group_forward, error_model="numpy")
_group_forward_parallel = njit(_group_forward, parallel=True, error_model="numpy")
_group_backward_serial = njit(_group_backward, error_model="numpy")
_group_backward_parallel = njit(_group_backward, parallel=True, error_model="numpy")


def _given(parameter: Array | None, channels: int, value: float) -> Array:
    return np.full(channels, value, np.float32) if parameter is None else plain(parameter)


def _has_rows(x: Array, *_: Any) -> bool:
    """Rows of places to run along: a batch of vectors [B, C, 1] is NumPy's, which runs along the channels."""
    return x.shape[2] > 1 and x.size > 0


def _gradient_has_rows(g: Array, *_: Any) -> bool:
    return _has_rows(g)


@register(op="batch_norm_forward", name="cpu.channels", dtypes=("float32",), default=True, accepts=_has_rows)
def batch_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Normalise channels; see the card."""
    x, C = plain(x), x.shape[1]
    y = np.empty_like(x)
    mean, variance = np.empty((2, C), np.float32)
    kernel = _batch_forward_parallel if x.size >= PARALLEL_FROM else _batch_forward_serial
    kernel(x, _given(weight, C, 1), _given(bias, C, 0), _f(eps), y, mean, variance)
    return y, mean, variance


@register(op="batch_norm_backward", name="cpu.channels", dtypes=("float32",), default=True, accepts=_gradient_has_rows)
def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients of the input, the weight and the bias; see the card."""
    g, x, C = plain(g), plain(x), x.shape[1]
    dx = np.empty_like(x)
    dweight, dbias = np.empty((2, C), np.float32)
    kernel = _batch_backward_parallel if x.size >= PARALLEL_FROM else _batch_backward_serial
    kernel(g, x, _given(weight, C, 1), plain(mean), plain(variance), _f(eps), dx, dweight, dbias)
    return dx, dweight, dbias


@register(op="group_norm_forward", name="cpu.groups", dtypes=("float32",), default=True, accepts=_has_rows)
def group_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Normalise groups of channels; see the card."""
    x, (B, C, _) = plain(x), x.shape
    y = np.empty_like(x)
    mean, rstd = np.empty((2, B, groups), np.float32)
    kernel = _group_forward_parallel if x.size >= PARALLEL_FROM else _group_forward_serial
    kernel(x, _given(weight, C, 1), _given(bias, C, 0), _f(eps), y, mean, rstd)
    return y, mean, rstd


@register(op="group_norm_backward", name="cpu.groups", dtypes=("float32",), default=True, accepts=_gradient_has_rows)
def group_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, groups: int
) -> tuple[Array, Array, Array]:
    """Gradients of the input, the weight and the bias; see the card."""
    g, x, (B, C, _) = plain(g), plain(x), x.shape
    dx = np.empty_like(x)
    dweights, dbiases = np.empty((2, B, C), np.float32)
    kernel = _group_backward_parallel if x.size >= PARALLEL_FROM else _group_backward_serial
    kernel(g, x, _given(weight, C, 1), plain(mean), plain(rstd), dx, dweights, dbiases)
    return dx, dweights.sum(axis=0), dbiases.sum(axis=0)
