"""Activations of float32 as compiled ufuncs, and softmax line by line; of float64 only what needs no exponential.

A formula of several NumPy calls costs one call here (0.5 us for a few numbers), and one pass over large arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import scalar
from tinydl.kernels.builtin import Builtin
from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER
from tinydl.kernels.ufunc import Ufunc
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

_f = np.float32
ZERO, HALF, ONE, TWO, THREE, SIX = (_f(n) for n in (0, 0.5, 1, 2, 3, 6))
_ROOT, _ROOT_CUBIC, _ROOT_HALF = _f(math.sqrt(2 / math.pi)), _f(math.sqrt(2 / math.pi) * 0.044715), _f(math.sqrt(0.5))


def pointwise(inputs: int = 1, *loops: str) -> Callable[[Callable[..., Any]], Ufunc]:
    """The decorated formula as the variant ``cpu.ufunc`` of the operation of its name; loops: the dtypes of each, where
    not all is float32."""

    def make(formula: Callable[..., Any]) -> Ufunc:
        kinds = loops or ("f" * (inputs + 1),)
        ufunc = Ufunc(formula, *kinds, fastmath=IN_ORDER)
        names = [np.dtype(kind[0]).name for kind in kinds]
        return register(op=formula.__name__, name="cpu.ufunc", dtypes=names, default=True)(ufunc)

    return make


@pointwise()
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return scalar.sigmoid(x)


@pointwise(3)
def softplus(x: Any, beta: Any, threshold: Any) -> Any:
    """log(1 + e^(beta x)) / beta, and x where beta x > threshold."""
    z = x * beta
    soft = ((z if z > ZERO else ZERO) + scalar.log1p(scalar.exp(-abs(z)))) / beta
    return x if z > threshold else soft if z == z else z


@pointwise()
def logsigmoid(x: Any) -> Any:
    """min(x, 0) - log(1 + e^-|x|)."""
    return (x if x < ZERO else ZERO) - scalar.log1p(scalar.exp(-abs(x)))


@pointwise(4)
def elu(x: Any, low: Any, rate: Any, high: Any) -> Any:
    """high x where x >= 0, else low (e^(rate x) - 1)."""
    z = x * rate
    below = scalar.expm1(z if z < ZERO else ZERO) * low
    return below if x < ZERO else x * high


@pointwise()
def silu(x: Any) -> Any:
    """x sigmoid(x)."""
    return x * scalar.sigmoid(x)


@pointwise()
def mish(x: Any) -> Any:
    """x tanh(log(1 + e^x)), in powers of e^-|x|."""
    decay = scalar.exp(-abs(x))
    above = (ONE + TWO * decay) / (ONE + TWO * decay + TWO * decay * decay)
    below = decay * (decay + TWO)
    return x * (above if x >= ZERO else below / (below + TWO))


@pointwise()
def gelu(x: Any) -> Any:
    """x / 2 (1 + erf(x / sqrt 2))."""
    return x * HALF * (ONE + scalar.erf(x * _ROOT_HALF))


@pointwise()
def gelu_tanh(x: Any) -> Any:
    """x / 2 (1 + tanh(u)) = x sigmoid(2 u)."""
    return x * scalar.sigmoid(TWO * x * (x * x * _ROOT_CUBIC + _ROOT))


@pointwise()
def hardsigmoid(x: Any) -> Any:
    """min(max(x + 3, 0), 6) / 6."""
    z = x + THREE
    z = ZERO if z < ZERO else z
    return (SIX if z > SIX else z) / SIX


@pointwise()
def hardswish(x: Any) -> Any:
    """x min(max(x + 3, 0), 6) / 6."""
    z = x + THREE
    z = ZERO if z < ZERO else z
    return x * (SIX if z > SIX else z) / SIX


@pointwise(2)
def softshrink(x: Any, lambd: Any) -> Any:
    """x moved by lambd towards 0."""
    near = -lambd if x < -lambd else x
    return x - (lambd if near > lambd else near)


@pointwise(2)
def hardshrink(x: Any, lambd: Any) -> Any:
    """x, and 0 where |x| <= lambd."""
    return ZERO if abs(x) <= lambd else x


@pointwise(1, "ff", "dd")
def relu(x: Any) -> Any:
    """0 where x <= 0, else x."""
    return ZERO if x <= ZERO else x


@pointwise(2, "fff", "ddd")
def relu_backward(x: Any, y: Any) -> Any:
    """0 where y <= 0, else x."""
    return ZERO if y <= ZERO else x


@pointwise(2)
def leaky_relu(x: Any, slope: Any) -> Any:
    """x where x > 0, else slope x."""
    return x if x > ZERO else x * slope


@pointwise(3, "ffff", "dddd")
def leaky_relu_backward(x: Any, y: Any, slope: Any) -> Any:
    """x where y > 0, else slope x."""
    return x if y > ZERO else x * slope


@pointwise(3, "ffff", "dddd")
def hardshrink_backward(x: Any, y: Any, lambd: Any) -> Any:
    """x, and 0 where |y| <= lambd."""
    return ZERO if abs(y) <= lambd else x


@pointwise(3, "ffff", "dddd")
def clamp(x: Any, low: Any, high: Any) -> Any:
    """min(max(x, low), high)."""
    y = low if x < low else x
    return high if y > high else y


@pointwise(4, "fffff", "ddddd")
def hardtanh_backward(x: Any, y: Any, low: Any, high: Any) -> Any:
    """0 where y <= low or y >= high, else x."""
    above = ZERO if y <= low else x
    return ZERO if y >= high else above


@pointwise(3, "f?ff", "d?dd")
def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """value where the mask holds, else x."""
    return value if mask else x


# ------------------------------------------------------------------------------------------------- along one dimension


@njit(error_model="numpy", fastmath=IN_ORDER, forceinline=True)
def _exponentials(x: Array, y: Array, at: int, count: int, step: int) -> Any:
    """y = e^(x - top) for ``count`` entries ``step`` apart; the top and the sum."""
    top = x[at]
    for c in range(count):
        value = x[at + c * step]
        if value > top or value != value:
            top = value
    if step == 1:
        for c in range(count):
            y[at + c] = scalar.exp(x[at + c] - top)
        return top, scalar.sum_(y[at : at + count])
    total = ZERO
    for c in range(count):
        e = scalar.exp(x[at + c * step] - top)
        y[at + c * step] = e
        total += e
    return top, total


@njit(error_model="numpy")
def _softmax(x: Array, count: int, step: int, y: Array) -> int:
    if x.size == 0:
        return 0
    for outer in range(0, x.size, count * step):
        for at in range(outer, outer + step):
            _, total = _exponentials(x, y, at, count, step)
            scale = ONE / total
            for c in range(count):
                y[at + c * step] *= scale
    return 0


@njit(error_model="numpy")
def _log_softmax(x: Array, count: int, step: int, y: Array) -> int:
    if x.size == 0:
        return 0
    for outer in range(0, x.size, count * step):
        for at in range(outer, outer + step):
            top, total = _exponentials(x, y, at, count, step)
            shift = _f(math.log(total))
            for c in range(count):
                y[at + c * step] = (x[at + c * step] - top) - shift
    return 0


_SOFTMAX = Builtin(_softmax, "TiiT")
_LOG_SOFTMAX = Builtin(_log_softmax, "TiiT")


@register(op="softmax", name="cpu.lines", dtypes=("float32",), default=True)
def softmax(x: Array, axis: int) -> Array:
    """One line of x along ``axis`` after another."""
    x = plain(x)
    y = np.empty(x.shape, x.dtype)
    _SOFTMAX[x.dtype](x, x.shape[axis], y.strides[axis] // y.itemsize, y)
    return y


@register(op="log_softmax", name="cpu.lines", dtypes=("float32",), default=True)
def log_softmax(x: Array, axis: int) -> Array:
    """One line of x along ``axis`` after another."""
    x = plain(x)
    y = np.empty(x.shape, x.dtype)
    _LOG_SOFTMAX[x.dtype](x, x.shape[axis], y.strides[axis] // y.itemsize, y)
    return y
