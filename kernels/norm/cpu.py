"""Normalisation on the CPU, float32: rows stay in the first-level cache from the mean to the result.

Layer normalisation. Forward: three passes over a row in cache (mean, variance, result) for one over memory. Backward:
the two means of a row, then dx; dweight and dbias are summed per block of rows of fixed size, so that the bits do not
depend on the number of threads, and long columns lose no digits to one running sum.

Channels of images. A channel of a batch, or a group of channels of one image, is several rows of places: each row is
summed in vectors, the rows in float64. A channel (a group) is one thread's from beginning to end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.norm import spec
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER
from tinydl.kernels.sharing import Shared, shared
from tinydl.kernels.threads import get_num_threads
from tinydl.kernels.ufunc import Ufunc
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
    for j in range(x.size):
        y[j] = (x[j] - mean) * rstd * weight[j] + bias[j]
    return mean, rstd


@shared(error_model="numpy")
def _forward(thread: int, threads: int, x: Any, weight: Any, bias: Any, eps: Any, y: Any, moments: Any) -> None:
    for n in range(x.shape[0] * thread // threads, x.shape[0] * (thread + 1) // threads):
        moments[0, n], moments[1, n] = _forward_row(x[n], weight, bias, np.float32(eps), y[n])


# Functions of their own: in one, LLVM would have to check that none of three arrays that are written overlaps another,
# and makes no vectors.
@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _backward_means(g: Any, x: Any, weight: Any, mean: Any, rstd: Any) -> Any:
    mean_q = _ZERO
    mean_qh = _ZERO
    for j in range(x.size):
        q = g[j] * weight[j]
        mean_q += q
        mean_qh += q * ((x[j] - mean) * rstd)
    return mean_q / np.float32(x.size), mean_qh / np.float32(x.size)


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _backward_input(g: Any, x: Any, weight: Any, mean: Any, rstd: Any, mean_q: Any, mean_qh: Any, dx: Any) -> None:
    for j in range(x.size):
        dx[j] = rstd * (g[j] * weight[j] - mean_q - (x[j] - mean) * rstd * mean_qh)


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _backward_parameters(g: Any, x: Any, mean: Any, rstd: Any, dweight: Any, dbias: Any) -> None:
    for j in range(x.size):
        dweight[j] += g[j] * ((x[j] - mean) * rstd)
        dbias[j] += g[j]


@shared(error_model="numpy")
def _backward(
    thread: int, threads: int, g: Any, x: Any, weight: Any, mean: Any, rstd: Any, dx: Any, dweights: Any,
    dbiases: Any,
) -> None:  # fmt: skip
    for block in range(dweights.shape[0] * thread // threads, dweights.shape[0] * (thread + 1) // threads):
        for n in range(block * _ROWS, min((block + 1) * _ROWS, x.shape[0])):
            mean_q, mean_qh = _backward_means(g[n], x[n], weight, mean[n], rstd[n])
            _backward_input(g[n], x[n], weight, mean[n], rstd[n], mean_q, mean_qh, dx[n])
            _backward_parameters(g[n], x[n], mean[n], rstd[n], dweights[block], dbiases[block])


_NOTHING = np.empty(0, np.float32)
_FLOAT32 = np.dtype(np.float32)


def _on_threads(kernel: Shared, elements: int) -> Callable[..., None]:
    """The kernel for so many elements, without the number of threads."""
    return kernel.alone if elements < PARALLEL_FROM else functools.partial(kernel, get_num_threads())


@functools.lru_cache(maxsize=64)
def _constant(size: int, value: float) -> Array:
    return np.full(size, value, _FLOAT32)


def _of_row(parameter: Array | None, size: int, otherwise: float) -> Array:
    """The parameter, or as many constants: a second loop for rows without one makes those with one twice as slow."""
    return _constant(size, otherwise) if parameter is None else plain(parameter)


def _given(parameter: Array | None) -> Array:
    """The parameter, or no numbers where there is none."""
    return _NOTHING if parameter is None else plain(parameter)


@register(op="layer_norm_forward", name="cpu.fused", dtypes=("float32",), default=True)
def layer_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Normalise rows; see the card."""
    x = plain(x)
    y, moments = np.empty(x.shape, _FLOAT32), np.empty((2, len(x)), _FLOAT32)
    _on_threads(_forward, x.size)(x, _of_row(weight, x.shape[1], 1.0), _of_row(bias, x.shape[1], 0.0), eps, y, moments)
    return y, moments[0], moments[1]


@register(op="layer_norm_backward", name="cpu.fused", dtypes=("float32",), default=True)
def layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """Gradients of the input, the weight and the bias; see the card."""
    g, x = plain(g), plain(x)
    dx = np.empty_like(x)
    blocks = -(-len(x) // _ROWS)
    dweights, dbiases = np.zeros((2, blocks, x.shape[1]), np.float32)
    _on_threads(_backward, x.size)(g, x, _of_row(weight, x.shape[1], 1.0), mean, rstd, dx, dweights, dbiases)
    if blocks == 1:
        return dx, dweights[0], dbiases[0]
    return dx, dweights.sum(axis=0), dbiases.sum(axis=0)


# ------------------------------------------------------------------------------------------------ root mean square


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _rms_row(x: Any, weight: Any, eps: Any, y: Any) -> Any:
    square = _ZERO
    for j in range(x.size):
        square += x[j] * x[j]
    scale = _ONE / np.sqrt(square / np.float32(x.size) + eps)
    for j in range(x.size):
        y[j] = x[j] * scale * weight[j]
    return scale


@shared(error_model="numpy")
def _rms_forward(thread: int, threads: int, x: Any, weight: Any, eps: Any, y: Any, scales: Any) -> None:
    for n in range(x.shape[0] * thread // threads, x.shape[0] * (thread + 1) // threads):
        scales[n] = _rms_row(x[n], weight, np.float32(eps), y[n])


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _rms_backward_input(g: Any, x: Any, weight: Any, scale: Any, dx: Any) -> None:
    mean_qh = _ZERO
    for j in range(x.size):
        mean_qh += g[j] * weight[j] * (x[j] * scale)
    mean_qh /= np.float32(x.size)
    for j in range(x.size):
        dx[j] = scale * (g[j] * weight[j] - x[j] * scale * mean_qh)


@njit(fastmath=_SUMS, error_model="numpy", forceinline=True)
def _rms_backward_weight(g: Any, x: Any, scale: Any, dweight: Any) -> None:
    for j in range(x.size):
        dweight[j] += g[j] * (x[j] * scale)


@shared(error_model="numpy")
def _rms_backward(thread: int, threads: int, g: Any, x: Any, weight: Any, scales: Any, dx: Any, dweights: Any) -> None:
    for block in range(dweights.shape[0] * thread // threads, dweights.shape[0] * (thread + 1) // threads):
        for n in range(block * _ROWS, min((block + 1) * _ROWS, x.shape[0])):
            _rms_backward_input(g[n], x[n], weight, scales[n], dx[n])
            _rms_backward_weight(g[n], x[n], scales[n], dweights[block])


@register(op="rms_norm_forward", name="cpu.fused", dtypes=("float32",), default=True)
def rms_norm_forward(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """Scale rows; see the card."""
    x = plain(x)
    y, scales = np.empty(x.shape, _FLOAT32), np.empty(len(x), _FLOAT32)
    _on_threads(_rms_forward, x.size)(x, _of_row(weight, x.shape[1], 1.0), eps, y, scales)
    return y, scales


@register(op="rms_norm_backward", name="cpu.fused", dtypes=("float32",), default=True)
def rms_norm_backward(g: Array, x: Array, weight: Array | None, scale: Array) -> tuple[Array, Array]:
    """Gradients of the input and the weight; see the card."""
    g, x = plain(g), plain(x)
    dx = np.empty(x.shape, _FLOAT32)
    blocks = -(-len(x) // _ROWS)
    dweights = np.zeros((blocks, x.shape[1]), _FLOAT32)
    _on_threads(_rms_backward, x.size)(g, x, _of_row(weight, x.shape[1], 1.0), scale, dx, dweights)
    return dx, dweights[0] if blocks == 1 else dweights.sum(axis=0)


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


@njit(error_model="numpy", forceinline=True)
def _or_else(parameter: Any, c: int, otherwise: Any) -> Any:
    """A channel's entry of a parameter, which may have been left out."""
    return parameter[c] if parameter.size else otherwise


@shared(error_model="numpy")
def _batch_forward(thread: int, threads: int, x: Any, weight: Any, bias: Any, eps: Any, y: Any, moments: Any) -> None:
    B, C, L = x.shape
    for c in range(C * thread // threads, C * (thread + 1) // threads):
        total = 0.0
        for b in range(B):
            total += _sum(x[b, c])
        mean = np.float32(total / (B * L))
        square = 0.0
        for b in range(B):
            square += _squares(x[b, c], mean)
        variance = np.float32(square / (B * L))
        moments[0, c], moments[1, c] = mean, variance
        scale = _or_else(weight, c, _ONE) / np.sqrt(variance + np.float32(eps))
        for b in range(B):
            _scaled(x[b, c], mean, scale, _or_else(bias, c, _ZERO), y[b, c])


@shared(error_model="numpy")
def _batch_backward(
    thread: int, threads: int, g: Any, x: Any, weight: Any, means: Any, variances: Any, eps: Any, dx: Any,
    slopes: Any,
) -> None:  # fmt: skip
    B, C, L = x.shape
    for c in range(C * thread // threads, C * (thread + 1) // threads):
        mean, rstd = means[c], _ONE / np.sqrt(variances[c] + np.float32(eps))
        total, product = 0.0, 0.0
        for b in range(B):
            total += _sum(g[b, c])
            product += _product(g[b, c], x[b, c], mean)
        slopes[0, c], slopes[1, c] = np.float32(product * rstd), np.float32(total)
        scale = _or_else(weight, c, _ONE) * rstd
        offset = np.float32(scale * (total / (B * L)))
        tilt = np.float32(scale * rstd * rstd * (product / (B * L)))
        for b in range(B):
            _slope(g[b, c], x[b, c], mean, scale, offset, tilt, dx[b, c])


@shared(error_model="numpy")
def _fixed_forward(
    thread: int, threads: int, x: Any, means: Any, variances: Any, weight: Any, bias: Any, eps: Any, y: Any,
) -> None:  # fmt: skip
    B, C, _ = x.shape
    for row in range(B * C * thread // threads, B * C * (thread + 1) // threads):
        b, c = row // C, row % C
        scale = _or_else(weight, c, _ONE) / np.sqrt(variances[c] + np.float32(eps))
        _scaled(x[b, c], means[c], scale, _or_else(bias, c, _ZERO), y[b, c])


@shared(error_model="numpy")
def _fixed_backward(
    thread: int, threads: int, g: Any, x: Any, means: Any, variances: Any, weight: Any, eps: Any, dx: Any,
    slopes: Any,
) -> None:  # fmt: skip
    B, C, _ = x.shape
    for c in range(C * thread // threads, C * (thread + 1) // threads):
        rstd = _ONE / np.sqrt(variances[c] + np.float32(eps))
        total, product = 0.0, 0.0
        for b in range(B):
            total += _sum(g[b, c])
            product += _product(g[b, c], x[b, c], means[c])
            _scaled(g[b, c], _ZERO, _or_else(weight, c, _ONE) * rstd, _ZERO, dx[b, c])
        slopes[0, c], slopes[1, c] = np.float32(product * rstd), np.float32(total)


@shared(error_model="numpy")
def _group_forward(thread: int, threads: int, x: Any, weight: Any, bias: Any, eps: Any, y: Any, moments: Any) -> None:
    B, C, L = x.shape
    G = moments.shape[2]
    each = C // G
    for row in range(B * G * thread // threads, B * G * (thread + 1) // threads):
        b, group = row // G, row % G
        total = 0.0
        for c in range(group * each, (group + 1) * each):
            total += _sum(x[b, c])
        mean = np.float32(total / (each * L))
        square = 0.0
        for c in range(group * each, (group + 1) * each):
            square += _squares(x[b, c], mean)
        variance = np.float32(square / (each * L))
        moments[0, b, group], moments[1, b, group] = mean, variance
        rstd = _ONE / np.sqrt(variance + np.float32(eps))
        for c in range(group * each, (group + 1) * each):
            _scaled(x[b, c], mean, _or_else(weight, c, _ONE) * rstd, _or_else(bias, c, _ZERO), y[b, c])


@shared(error_model="numpy")
def _group_backward(
    thread: int, threads: int, g: Any, x: Any, weight: Any, means: Any, variances: Any, eps: Any, dx: Any,
    slopes: Any,
) -> None:  # fmt: skip
    B, C, L = x.shape
    G = means.shape[1]
    each = C // G
    for row in range(B * G * thread // threads, B * G * (thread + 1) // threads):
        b, group = row // G, row % G
        mean, rstd = means[b, group], _ONE / np.sqrt(variances[b, group] + np.float32(eps))
        total, product = 0.0, 0.0
        for c in range(group * each, (group + 1) * each):
            sum_g, sum_gx = _sum(g[b, c]), _product(g[b, c], x[b, c], mean)
            slopes[0, b, c], slopes[1, b, c] = sum_gx * rstd, sum_g
            total += _or_else(weight, c, _ONE) * sum_g
            product += _or_else(weight, c, _ONE) * sum_gx
        offset = np.float32(rstd * (total / (each * L)))
        tilt = np.float32(rstd * rstd * rstd * (product / (each * L)))
        for c in range(group * each, (group + 1) * each):
            _slope(g[b, c], x[b, c], mean, _or_else(weight, c, _ONE) * rstd, offset, tilt, dx[b, c])


def _by_rows(x: Array) -> bool:
    """Whether there are rows of places to run along. A large batch of vectors [B, C, 1] is NumPy's, which runs along
    the channels."""
    return x.shape[2] > 1 or 0 < x.size < PARALLEL_FROM


@register(op="batch_norm_forward", name="cpu.channels", dtypes=("float32",), default=True)
def batch_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Normalise channels; see the card."""
    if not (x.size and _by_rows(x)):
        return spec.batch_norm_forward(x, weight, bias, eps)
    x = plain(x)
    y, moments = np.empty(x.shape, _FLOAT32), np.empty((2, x.shape[1]), _FLOAT32)
    _on_threads(_batch_forward, x.size)(x, _given(weight), _given(bias), eps, y, moments)
    return y, moments[0], moments[1]


@register(op="batch_norm_backward", name="cpu.channels", dtypes=("float32",), default=True)
def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients of the input, the weight and the bias; see the card."""
    if not (x.size and _by_rows(x)):
        return spec.batch_norm_backward(g, x, weight, mean, variance, eps)
    g, x = plain(g), plain(x)
    dx, slopes = np.empty(x.shape, _FLOAT32), np.empty((2, x.shape[1]), _FLOAT32)
    _on_threads(_batch_backward, x.size)(g, x, _given(weight), plain(mean), plain(variance), eps, dx, slopes)
    return dx, slopes[0], slopes[1]


@register(op="fixed_norm_forward", name="cpu.channels", dtypes=("float32",), default=True)
def fixed_norm_forward(
    x: Array, mean: Array, variance: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """Scale and shift channels; see the card."""
    if not _by_rows(x):
        return spec.fixed_norm_forward(x, mean, variance, weight, bias, eps)
    x = plain(x)
    y = np.empty(x.shape, _FLOAT32)
    _on_threads(_fixed_forward, x.size)(x, plain(mean), plain(variance), _given(weight), _given(bias), eps, y)
    return y


@register(op="fixed_norm_backward", name="cpu.channels", dtypes=("float32",), default=True)
def fixed_norm_backward(
    g: Array, x: Array, mean: Array, variance: Array, weight: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients of the input, the weight and the bias; see the card."""
    if not _by_rows(x):
        return spec.fixed_norm_backward(g, x, mean, variance, weight, eps)
    g, x = plain(g), plain(x)
    dx, slopes = np.empty(x.shape, _FLOAT32), np.empty((2, x.shape[1]), _FLOAT32)
    _on_threads(_fixed_backward, x.size)(g, x, plain(mean), plain(variance), _given(weight), eps, dx, slopes)
    return dx, slopes[0], slopes[1]


@register(op="group_norm_forward", name="cpu.groups", dtypes=("float32",), default=True)
def group_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Normalise groups of channels; see the card."""
    B, C, L = x.shape
    if B and not (C and L and _by_rows(x)):
        return spec.group_norm_forward(x, weight, bias, groups, eps)
    x = plain(x)
    y, moments = np.empty(x.shape, _FLOAT32), np.empty((2, B, groups), _FLOAT32)
    _on_threads(_group_forward, x.size)(x, _given(weight), _given(bias), eps, y, moments)
    return y, moments[0], moments[1]


@register(op="group_norm_backward", name="cpu.groups", dtypes=("float32",), default=True)
def group_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, variance: Array, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients of the input, the weight and the bias; see the card."""
    B, C, L = x.shape
    if B and not (C and L and _by_rows(x)):
        return spec.group_norm_backward(g, x, weight, mean, variance, groups, eps)
    g, x = plain(g), plain(x)
    dx, slopes = np.empty(x.shape, _FLOAT32), np.empty((2, B, C), _FLOAT32)
    _on_threads(_group_backward, x.size)(g, x, _given(weight), plain(mean), plain(variance), eps, dx, slopes)
    dweight, dbias = slopes[:, 0] if B == 1 else slopes.sum(axis=1)
    return dx, dweight, dbias


def moving_average(average: Any, value: Any, momentum: Any, factor: Any) -> Any:
    """See the card."""
    return (1 - momentum) * average + momentum * (factor * value)


register(op="moving_average", name="cpu.ufunc", dtypes=("float32", "float64"), default=True)(
    Ufunc(moving_average, "fffff", "ddddd")
)
