"""Activations, each in one pass. Elementwise but for the last two; ``x`` and the result of one floating dtype.

====================================  ================================================================================
``sigmoid(x)``                        1 / (1 + e^-x)
``softplus(x, beta, threshold)``      log(1 + e^(beta x)) / beta, and x itself where beta x > threshold
``logsigmoid(x)``                     log(1 / (1 + e^-x))
``elu(x, low, rate, high)``           high x where x >= 0, else low (e^(rate x) - 1): ELU, SELU, CELU
``silu(x)``                           x sigmoid(x)
``mish(x)``                           x tanh(log(1 + e^x))
``gelu(x)``                           x / 2 (1 + erf(x / sqrt 2))
``gelu_tanh(x)``                      x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
``hardsigmoid(x)``                    min(max(x + 3, 0), 6) / 6
``hardswish(x)``                      x hardsigmoid(x)
``softshrink(x, lambd)``              x moved by lambd towards 0, and 0 where |x| <= lambd
``hardshrink(x, lambd)``              x, and 0 where |x| <= lambd
``hardshrink_backward(x, y, lambd)``  x, and 0 where |y| <= lambd
``relu(x)``                           0 where x <= 0, else x
``relu_backward(x, y)``               0 where y <= 0, else x
``leaky_relu(x, slope)``              x where x > 0, else slope x; the slope broadcasts
``leaky_relu_backward(x, y, slope)``  x where y > 0, else slope x; the slope broadcasts
``clamp(x, low, high)``               min(max(x, low), high)
``hardtanh_backward(x, y, low, high)``  0 where y <= low or y >= high, else x
``masked_fill(x, mask, value)``       value where the mask holds, else x
``softmax(x, axis)``                  e^x / sum e^x along a dimension, 0 <= axis < x.ndim
``log_softmax(x, axis)``              x - log sum e^x along a dimension
====================================  ================================================================================

The forms below neither overflow nor lose small results, and a NaN goes through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]

# Against the float64 reference, relative to the largest value.
TOLERANCE = {"float32": 5e-7, "float64": 1e-14}

_ROOT, _CUBIC = math.sqrt(2 / math.pi), 0.044715


@register(op="sigmoid", name="numpy")
def sigmoid(x: Array) -> Array:
    """From e^-|x|, so that nothing overflows and small values keep their digits."""
    decay = np.exp(-np.absolute(x))
    larger: Array = 1 / (1 + decay)
    return np.asarray(np.where(x >= 0, larger, decay * larger))


@register(op="softplus", name="numpy")
def softplus(x: Array, beta: float, threshold: float) -> Array:
    """max(z, 0) + log(1 + e^-|z|), z = beta x."""
    z = x * beta
    return np.where(z > threshold, x, (np.maximum(z, 0) + np.log1p(np.exp(-np.absolute(z)))) / beta)


@register(op="logsigmoid", name="numpy")
def logsigmoid(x: Array) -> Array:
    """min(x, 0) - log(1 + e^-|x|)."""
    y: Array = np.minimum(x, 0) - np.log1p(np.exp(-np.absolute(x)))
    return y


@register(op="elu", name="numpy")
def elu(x: Array, low: float, rate: float, high: float) -> Array:
    """Both sides; see the head of the file."""
    return np.where(x < 0, np.expm1(np.minimum(x, 0) * rate) * low, x * high)


@register(op="silu", name="numpy")
def silu(x: Array) -> Array:
    """x sigmoid(x)."""
    y: Array = x * sigmoid(x)
    return y


@register(op="mish", name="numpy")
def mish(x: Array) -> Array:
    """With tanh(log(1 + e^x)) = (e^2x + 2 e^x) / (e^2x + 2 e^x + 2), in powers of e^-|x|."""
    decay = np.exp(-np.absolute(x))
    above = (1 + 2 * decay) / (1 + 2 * decay + 2 * decay * decay)
    below = decay * (decay + 2)
    y: Array = x * np.where(x >= 0, above, below / (below + 2))
    return y


@register(op="gelu", name="numpy")
def gelu(x: Array) -> Array:
    """By the error function, element by element: NumPy has none."""
    y: Array = np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v * math.sqrt(0.5))), otypes=[x.dtype])(x)
    return y


@register(op="gelu_tanh", name="numpy")
def gelu_tanh(x: Array) -> Array:
    """By tanh."""
    y: Array = x * 0.5 * (1 + np.tanh(x * (x * x * (_ROOT * _CUBIC) + _ROOT)))
    return y


@register(op="hardsigmoid", name="numpy")
def hardsigmoid(x: Array) -> Array:
    """Three pieces of lines."""
    y: Array = np.minimum(np.maximum(x + 3, 0), 6) / 6
    return y


@register(op="hardswish", name="numpy")
def hardswish(x: Array) -> Array:
    """x hardsigmoid(x)."""
    y: Array = x * np.minimum(np.maximum(x + 3, 0), 6) / 6
    return y


@register(op="softshrink", name="numpy")
def softshrink(x: Array, lambd: float) -> Array:
    """x - min(max(x, -lambd), lambd)."""
    y: Array = x - np.minimum(np.maximum(x, -lambd), lambd)
    return y


@register(op="hardshrink", name="numpy")
def hardshrink(x: Array, lambd: float) -> Array:
    """A NaN is no |x| <= lambd, and stays."""
    return np.where(np.absolute(x) <= lambd, x.dtype.type(0), x)


@register(op="relu", name="numpy")
def relu(x: Array) -> Array:
    """The larger of x and 0; a NaN stays."""
    y: Array = np.maximum(x, x.dtype.type(0))
    return y


@register(op="relu_backward", name="numpy")
def relu_backward(x: Array, y: Array) -> Array:
    """Chosen, not multiplied: of an infinite x there is 0 too where y <= 0."""
    return np.where(y <= 0, x.dtype.type(0), x)


@register(op="leaky_relu", name="numpy")
def leaky_relu(x: Array, slope: Any) -> Array:
    """Two rays."""
    return np.where(x > 0, x, x * slope)


@register(op="leaky_relu_backward", name="numpy")
def leaky_relu_backward(x: Array, y: Array, slope: Any) -> Array:
    """Two slopes."""
    return np.where(y > 0, x, x * slope)


@register(op="hardshrink_backward", name="numpy")
def hardshrink_backward(x: Array, y: Array, lambd: Any) -> Array:
    """Chosen, as everywhere here."""
    return np.where(np.absolute(y) <= lambd, x.dtype.type(0), x)


@register(op="clamp", name="numpy")
def clamp(x: Array, low: Any, high: Any) -> Array:
    """Where low > high, high."""
    y: Array = np.minimum(np.maximum(x, low), high)
    return y


@register(op="hardtanh_backward", name="numpy")
def hardtanh_backward(x: Array, y: Array, low: Any, high: Any) -> Array:
    """A NaN lies between any bounds."""
    return np.where((y <= low) | (y >= high), x.dtype.type(0), x)


@register(op="masked_fill", name="numpy")
def masked_fill(x: Array, mask: Array, value: Any) -> Array:
    """The value, or x."""
    return np.where(mask, x.dtype.type(value), x)


@register(op="softmax", name="numpy")
def softmax(x: Array, axis: int) -> Array:
    """The largest along the axis is taken out first."""
    e = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf))
    y: Array = e / np.add.reduce(e, axis=axis, keepdims=True)
    return y


@register(op="log_softmax", name="numpy")
def log_softmax(x: Array, axis: int) -> Array:
    """The largest along the axis is taken out first."""
    if not x.size:
        return np.empty_like(x)
    z = x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    y: Array = z - np.log(np.add.reduce(np.exp(z), axis=axis, keepdims=True))
    return y


# -- cards ------------------------------------------------------------------------------------------------------------

#: Parameters, where there are any.
SETTINGS: dict[str, tuple[tuple[float, ...], ...]] = {
    "softplus": ((1.0, 20.0), (0.5, 2.0)),
    "elu": ((1.0, 1.0, 1.0), (1.7580993408473766, 1.0, 1.0507009873554805), (0.3, 2.0, 1.0)),
    "softshrink": ((0.5,),),
    "hardshrink": ((0.5,),),
    "hardshrink_backward": ((0.5,),),
    "leaky_relu": ((0.01,), (-1.5,)),
    "leaky_relu_backward": ((0.01,), (-1.5,)),
    "clamp": ((-1.0, 0.5), (1.0, -1.0)),
    "hardtanh_backward": ((-1.0, 0.5),),
    "masked_fill": ((-2.5,),),
    "softmax": ((1,), (0,)),
    "log_softmax": ((1,), (0,)),
}
#: Operations an element, an exponential or a logarithm counted as 12.
FLOPS = {
    "sigmoid": 16, "softplus": 29, "logsigmoid": 27, "elu": 17, "silu": 17, "mish": 22, "gelu": 20, "gelu_tanh": 22,
    "hardsigmoid": 4, "hardswish": 5, "softshrink": 3, "hardshrink": 2, "hardshrink_backward": 2, "relu": 1,
    "relu_backward": 1, "leaky_relu": 2, "leaky_relu_backward": 2, "clamp": 2, "hardtanh_backward": 3, "masked_fill": 1,
    "softmax": 16, "log_softmax": 17,
}  # fmt: skip


def _typed(op: str, settings: tuple[float, ...], dtype: Any) -> tuple[Any, ...]:
    return tuple(int(s) if "softmax" in op else dtype(s) for s in settings)  # an axis, or numbers like x


def _beside(op: str, x: Array) -> tuple[Array, ...]:
    """The second array of an operation of two."""
    return (np.roll(x, 1),) if op.endswith("_backward") else (np.roll(x, 1) > 0,) if op == "masked_fill" else ()


def _samples(op: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    """Sizes off every vector width, all sizes of numbers, infinities, NaN; views of every kind."""

    def arrays(dtype: Any) -> Iterator[Array]:
        rng = np.random.default_rng(11)
        for shape in ((0, 4), (1, 1), (3, 5), (7, 16), (4, 67), (33, 31), (2, 1000)):
            x = (rng.standard_normal(shape) * 4).astype(dtype)
            yield x
            yield x[::-1, ::-1]
            yield np.asfortranarray(x)
            yield np.repeat(x, 2, axis=1)[:, ::2]
        edges = [0.0, -0.0, 1e-30, -1e-30, 1e-5, -1e-5, 0.5, -0.5, 3, -3, 20, -20, 87, -87, 104, -104, 1e4, -1e4]
        yield np.array([edges, edges[::-1]], dtype)
        if "softmax" not in op:  # of a row with infinities
            yield np.array([[np.inf, -np.inf, np.nan, 1.0]], dtype)

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        for settings in SETTINGS.get(op, ((),)):
            for x in arrays(dtype):
                yield (x, *_beside(op, x), *_typed(op, settings, dtype))

    return samples


def _drawn(op: str, rows: int, columns: int) -> Callable[[Any], tuple[Any, ...]]:
    def drawn(dtype: Any) -> tuple[Any, ...]:
        x = (np.random.default_rng(0).standard_normal((rows, columns)) * 2).astype(dtype)
        return (x, *_beside(op, x), *_typed(op, SETTINGS.get(op, ((),))[0], dtype))

    return drawn


#: PyTorch's names that are not ``nn.functional.<op>`` of the same arguments.
_RIVALS = {
    "elu": rivals.function("ops.aten.elu", lambda x, low, rate, high: (x, low / high, high, rate)),
    "gelu_tanh": rivals.function("nn.functional.gelu", approximate="tanh"),
    "relu_backward": rivals.function("ops.aten.threshold_backward", lambda x, y: (x, y, 0)),
    "leaky_relu_backward": rivals.function("ops.aten.leaky_relu_backward", lambda x, y, slope: (x, y, slope, False)),
    "hardshrink_backward": rivals.function("ops.aten.hardshrink_backward"),
    "hardtanh_backward": rivals.function("ops.aten.hardtanh_backward"),
    "clamp": rivals.function("clamp"),
    "masked_fill": rivals.function("masked_fill"),
}


_LINES = (__doc__ or "").splitlines()
for _op, _flops in FLOPS.items():
    describe(
        Card(
            op=_op,
            says=next(line for line in _LINES if line.startswith(f"``{_op}(")).split("``")[2].strip(),
            samples=_samples(_op),
            tolerance={name: value * (4 if "softmax" in _op else 1) for name, value in TOLERANCE.items()},
            flops=lambda x, *_, each=_flops: each * x.size,
            bytes=lambda x, *rest: 2 * x.nbytes + sum(y.nbytes for y in rest if getattr(y, "ndim", 0)),
            cases={f"{m}x{n}": _drawn(_op, m, n) for m, n in ((10, 100), (100, 1000), (1000, 1000))},
            rivals={"torch": _RIVALS.get(_op) or rivals.function(f"nn.functional.{_op}")},
        )
    )
