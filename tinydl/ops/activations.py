"""Activations that are worth an operation of their own: one pass forward, one rule, every order of derivative.

Each family closes: the slope of a piecewise activation is written with :func:`leak`, :func:`inside`, :func:`outside` or
:func:`bend`, whose own slopes are these again. Subgradients at the kinks are PyTorch's: the side on which a bound
itself lies is told by the equations. A NaN goes through, forward and backward.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.comparing import le
from tinydl.ops.elementwise import abs, exp, filled_where, gate, nothing, number, sigmoid, softplus, square, tanh
from tinydl.ops.special import erf

KINDS = {"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}
KINDS |= {"float64": "Double", "float32": "Float", "float16": "Half"}


_CLAMP = by_dtype("clamp")
_ELU = by_dtype("elu")
_GELU = by_dtype("gelu")
_GELU_TANH = by_dtype("gelu_tanh")
_HARDSHRINK_BACKWARD = by_dtype("hardshrink_backward")
_HARDTANH_BACKWARD = by_dtype("hardtanh_backward")
_LEAKY_RELU_BACKWARD = by_dtype("leaky_relu_backward")
_HARDSHRINK = by_dtype("hardshrink")
_HARDSIGMOID = by_dtype("hardsigmoid")
_HARDSWISH = by_dtype("hardswish")
_LEAKY_RELU = by_dtype("leaky_relu")
_MISH = by_dtype("mish")
_SILU = by_dtype("silu")
_SOFTPLUS = by_dtype("softplus")
_SOFTSHRINK = by_dtype("softshrink")


def _floating(table: Any, input: Any) -> Any:
    """What computes an operation; whole numbers are refused."""
    if input.dtype.kind != "f":
        refuse_whole_numbers(table.op, input)
    return table[input.dtype]


@functools.lru_cache(maxsize=1024)
def _numbers(dtype: Any, *values: float) -> tuple[Any, ...]:
    return tuple(number(value, dtype) for value in values)


def refuse_whole_numbers(name: str, input: Any) -> None:
    """Raise NotImplementedError in PyTorch's words."""
    raise NotImplementedError(
        f"\"{name}\" not implemented for '{KINDS[input.dtype.name]}': the input has shape {tuple(input.shape)}; "
        "convert it with .float()"
    )


# ------------------------------------------------------------------------------------------------ pieces of lines


@primitive(
    input=lambda g, input, weight: leak(g, input, weight),
    weight=lambda g, input: gate(g * input, -input),
)
def prelu(input: Any, weight: Any) -> Any:
    """x where x > 0, else w x; ``weight`` broadcasts, or is a number."""
    weight = number(weight, input.dtype) if type(weight) is float else weight
    return _floating(_LEAKY_RELU, input)(input, weight)


@primitive(
    input=lambda g, other, weight: leak(g, other, weight),
    other=lambda g: nothing(g),
    weight=lambda g, input, other: gate(g * input, -other),
)
def leak(input: Any, other: Any, weight: Any) -> Any:
    """``input`` where ``other`` > 0, else ``input`` times ``weight``: the gradient of :func:`prelu`."""
    weight = number(weight, input.dtype) if type(weight) is float else weight
    return _LEAKY_RELU_BACKWARD[input.dtype](input, other, weight)


@primitive(
    input=lambda g, other, low, high: inside(g, other, low=low, high=high),
    other=lambda g: nothing(g),
)
def inside(input: Any, other: Any, *, low: float, high: float) -> Any:
    """``input``, but 0 where ``other`` <= low or ``other`` >= high."""
    return _HARDTANH_BACKWARD[input.dtype](input, other, *_numbers(input.dtype, low, high))


@primitive(input=lambda g, other, lambd: outside(g, other, lambd=lambd), other=lambda g: nothing(g))
def outside(input: Any, other: Any, *, lambd: float) -> Any:
    """``input``, but 0 where |``other``| <= lambd."""
    return _HARDSHRINK_BACKWARD[input.dtype](input, other, number(lambd, input.dtype))


@primitive(input=lambda g, input, min_val, max_val: inside(g, input, low=min_val, high=max_val))
def hardtanh(input: Any, *, min_val: float, max_val: float) -> Any:
    """min(max(x, min_val), max_val); the gradient at both bounds is 0."""
    if input.dtype.kind != "f":
        return np.minimum(np.maximum(input, min_val), max_val)  # np.clip costs three times as much on few elements
    return _CLAMP[input.dtype](input, *_numbers(input.dtype, min_val, max_val))


@primitive(input=lambda g, input: inside(g, input, low=-3.0, high=3.0) / 6)
def hardsigmoid(input: Any) -> Any:
    """min(max(x + 3, 0), 6) / 6; the gradient at both bounds is 0."""
    return _floating(_HARDSIGMOID, input)(input)


@primitive(input=lambda g, input: filled_where(g * hardswish_slope(input), le(input, -3), value=0))
def hardswish(input: Any) -> Any:
    """x min(max(x + 3, 0), 6) / 6."""
    return _floating(_HARDSWISH, input)(input)


@primitive(input=lambda g, input: inside(g, input, low=-3.0, high=3.0) / 3)
def hardswish_slope(input: Any) -> Any:
    """0 up to -3, x / 3 + 1/2 between, 1 from 3 on: the derivative of :func:`hardswish`."""
    return np.where(input <= -3, input.dtype.type(0), np.where(input < 3, input / 3 + 0.5, input.dtype.type(1)))


@primitive(input=lambda g, input, lambd: outside(g, input, lambd=lambd))
def softshrink(input: Any, *, lambd: float) -> Any:
    """x moved by ``lambd`` towards 0, and 0 where |x| <= lambd."""
    return _floating(_SOFTSHRINK, input)(input, number(lambd, input.dtype))


@primitive(input=lambda g, input, lambd: outside(g, input, lambd=lambd))
def hardshrink(input: Any, *, lambd: float) -> Any:
    """x where |x| > lambd, else 0; NaN passes."""
    return _floating(_HARDSHRINK, input)(input, number(lambd, input.dtype))


@primitive(input=lambda g, input, threshold: gate(g, input - threshold))
def threshold(input: Any, *, threshold: float, value: float) -> Any:
    """x where x > threshold, else ``value``; NaN passes."""
    return np.where(input <= threshold, input.dtype.type(value), input)


# ------------------------------------------------------------------------------------------- exponentials on one side


@primitive(
    input=lambda g, input, alpha, scale, rate: g * bend(input, factor=alpha * scale * rate, rate=rate, above=scale),
)
def elu(input: Any, *, alpha: float, scale: float, rate: float) -> Any:
    """scale x where x > 0, else scale alpha (e^(rate x) - 1): ELU, SELU and CELU in one."""
    return _floating(_ELU, input)(input, *_numbers(input.dtype, alpha * scale, rate, scale))


@primitive(
    input=lambda g, input, factor, rate: g * bend(input, factor=factor * rate, rate=rate, above=0.0),
)
def bend(input: Any, *, factor: float, rate: float, above: float) -> Any:
    """factor e^(rate x) where x <= 0, else ``above``: the derivatives of :func:`elu`."""
    return np.where(input <= 0, np.exp(np.minimum(input, 0) * rate) * factor, input.dtype.type(above))


@primitive(
    input=lambda g, input, beta, threshold: g * softplus_slope(input, beta=beta, threshold=threshold)
)
def softplus_beta(input: Any, *, beta: float, threshold: float) -> Any:
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold."""
    return _floating(_SOFTPLUS, input)(input, *_numbers(input.dtype, beta, threshold))


@primitive(input=lambda g, out, beta: g * (out * (1 - out)) * beta)
def softplus_slope(input: Any, *, beta: float, threshold: float) -> Any:
    """sigmoid(beta x), and 1 where beta x > threshold: the derivative of :func:`softplus_beta`."""
    z = input * beta
    return np.where(z > threshold, input.dtype.type(1), sigmoid(z))


# ------------------------------------------------------------------------------------------------ smooth everywhere


def _silu_slope(x: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


@primitive(input=lambda g, input: g * _silu_slope(input))
def silu(input: Any) -> Any:
    """x sigmoid(x)."""
    return _floating(_SILU, input)(input)


def _mish_slope(x: Any) -> Any:
    t = tanh(softplus(x))
    return t + x * (sigmoid(x) * (1 - t * t))


@primitive(input=lambda g, input: g * _mish_slope(input))
def mish(input: Any) -> Any:
    """x tanh(softplus(x))."""
    return _floating(_MISH, input)(input)


@primitive(input=lambda g, input: g / square(abs(input) + 1))
def softsign(input: Any) -> Any:
    """x / (1 + |x|)."""
    return input / (np.absolute(input) + 1)


def _gelu_slope(x: Any) -> Any:
    return (erf(x * math.sqrt(0.5)) + 1) * 0.5 + x * (exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi)))


@primitive(input=lambda g, input: g * _gelu_slope(input))
def gelu(input: Any) -> Any:
    """x Phi(x), by the error function."""
    return _floating(_GELU, input)(input)


_ROOT = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _gelu_tanh_slope(x: Any) -> Any:
    xx = x * x
    t = tanh(x * (xx * (_ROOT * _CUBIC) + _ROOT))
    return (1 + t) * 0.5 + x * (1 - t * t) * (xx * (1.5 * _ROOT * _CUBIC) + 0.5 * _ROOT)


@primitive(input=lambda g, input: g * _gelu_tanh_slope(input))
def gelu_tanh(input: Any) -> Any:
    """x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    return _floating(_GELU_TANH, input)(input)
