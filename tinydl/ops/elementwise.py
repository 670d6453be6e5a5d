"""Elementwise operations: arithmetic, powers, exponentials, trigonometry, choice, comparison.

Names and arguments are PyTorch's. Each rule is the derivative on one line; ``g`` has the result's shape, and the
engine sums
it back to an input that was broadcast. At kinks and ties the subgradients are PyTorch's: ``abs'(0) = 0``,
``maximum`` and ``minimum`` give half to each side of a tie, ``clamp`` passes at its bounds.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import misfit, primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import LOCKS, lock
from tinydl.ops.casting import alike, cast, held
from tinydl.ops.comparing import eq, ge, gt, isnan, le, logical_and, logical_not, logical_or, lt

# Constants as arrays: 0.5 us for 4 x 4 elements and one of these, 1.1 for 4 x 4 and a number of Python.
_DTYPES = [np.dtype(t) for t in (np.bool_, *np.typecodes["AllInteger"], np.float16, np.float32, np.float64)]
_ZERO, _ONE = ({d: np.zeros((), d) for d in _DTYPES}, {d: np.ones((), d) for d in _DTYPES})



def number(value: float, dtype: Any) -> Any:
    """An array of one number, made once: NumPy looks at a Python number three times as long at every call."""
    return _number(value, dtype) if value else held(value, dtype)  # 0.0 and -0.0 are one key


@functools.lru_cache(maxsize=1024)
def _number(value: float, dtype: Any) -> Any:
    array = held(value, dtype)
    lock(array)
    return array


if not LOCKS:

    def number(value: float, dtype: Any) -> Any:
        """A number of NumPy's, which a GPU is passed by value."""
        try:
            return dtype.type(value)
        except OverflowError:
            raise RuntimeError(f"value cannot be converted to type {dtype} without overflow") from None


# ------------------------------------------------------------------------------------------- what rules multiply by


@primitive(differentiable=False)
def mask(condition: Any, like: Any) -> Any:
    """``condition`` (bool) as 0 and 1 in the dtype of ``like``: rules multiply by it."""
    return np.asarray(condition).astype(like.dtype)


@primitive(differentiable=False)
def nothing(like: Any) -> Any:
    """Zeros in the shape and dtype of ``like`` (not ``like * 0``, which would keep its infinities as NaN)."""
    return np.zeros_like(like)


# ----------------------------------------------------------------------------------------------------- arithmetic

add = primitive(
    np.add, args="input other", name="add", promote="same",
    input=lambda g: g,
    other=lambda g: g,
)  # fmt: skip
sub = primitive(
    np.subtract, args="input other", name="sub", promote="same",
    input=lambda g: g,
    other=lambda g: -g,
)  # fmt: skip
mul = primitive(
    np.multiply, args="input other", name="mul", promote="same",
    input=lambda g, other: g * other,
    other=lambda g, input: g * input,
)  # fmt: skip
div = primitive(
    np.true_divide, args="input other", name="div", promote="float",
    input=lambda g, other: g / other,
    other=lambda g, input, other: -(g * (input / other / other)),
)  # fmt: skip
neg = primitive(np.negative, args="input", name="neg", input=lambda g: -g)
positive = primitive(np.positive, args="input", name="positive", input=lambda g: g)


def by_whole_number(ufunc: Any, name: str) -> Any:
    """``ufunc``, but an error where whole numbers are divided by 0 (NumPy warns and gives 0)."""

    def function(input: Any, other: Any) -> Any:
        kind = (other if hasattr(other, "dtype") else input).dtype.kind
        if kind != "f" and (kind == "b" or not np.all(other)):
            raise RuntimeError(
                f"{name} is not implemented for booleans; convert with .long() first" if kind == "b" else
                f"ZeroDivisionError: {name} of whole numbers by zero; convert to floating point for an infinity"
            )  # fmt: skip
        return ufunc(input, other)

    return function


floor_divide: Any = primitive(
    by_whole_number(np.floor_divide, "floor_divide"), args="input other", name="floor_divide", promote="same",
    differentiable=False,
)  # fmt: skip
remainder: Any = primitive(
    by_whole_number(np.remainder, "remainder"), args="input other", name="remainder", promote="same",
    input=lambda g: g,
    other=lambda g, input, other: -(g * floor_divide(input, other)),
)  # fmt: skip


def _power(input: Any, exponent: Any) -> Any:
    if type(exponent) is int or type(exponent) is float:  # the common powers by multiplying
        if exponent == 2:
            return np.square(input)
        if exponent < 0 and input.dtype.kind != "f":
            _refuse_inverse()
        if exponent == 3:
            return input * input * input
        return np.sqrt(input) if exponent == 0.5 else np.power(input, exponent)
    if exponent.dtype.kind == "b":
        raise RuntimeError("pow is not implemented for booleans; convert with .long() first")
    if exponent.dtype.kind != "f" and np.any(exponent < 0):
        _refuse_inverse()
    return np.power(input, exponent)


def _refuse_inverse() -> None:
    raise RuntimeError("Integers to negative integer powers are not allowed; convert the base with .float() first")


pow = primitive(
    _power, args="input exponent", name="pow", promote="same",
    input=lambda g, input, exponent: _power_slope(g, input, exponent),
    exponent=lambda g, input, exponent, out: g * _power_log(input, exponent, out),
)  # fmt: skip


def _power_slope(g: Any, x: Any, e: Any) -> Any:
    """g e x^(e-1), and 0 where e = 0 (also at x = 0)."""
    if type(e) is int or type(e) is float:
        if e == 0:
            return nothing(g)
        return g * (x + x) if e == 2 else g * (pow(x, e - 1) * e)
    return filled_where(g * (e * pow(x, e - (1 - mask(eq(e, 0), x)))), eq(e, 0), value=0)


def _power_log(x: Any, e: Any, out: Any) -> Any:
    """x^e ln x, and 0 where x = 0 and e >= 0."""
    hole = mask(logical_and(eq(x, 0), ge(e, 0)), out)
    return out * log(x + hole)


def _square(input: Any) -> Any:
    return np.square(input) if input.dtype.kind != "b" else input.astype(np.int64)


def _sign(input: Any) -> Any:
    return np.sign(input) if input.dtype.kind != "b" else np.array(input)


square = primitive(_square, args="input", name="square", input=lambda g, input: g * (input + input))
sqrt = primitive(np.sqrt, args="input", name="sqrt", promote="float", input=lambda g, out: g / (out + out))
rsqrt = primitive(
    lambda input: 1 / np.sqrt(input), args="input", name="rsqrt", promote="float",
    input=lambda g, out: g * out * out * out * -0.5,
)  # fmt: skip
reciprocal = primitive(
    lambda input: 1 / input, args="input", name="reciprocal", promote="float",
    input=lambda g, out: -(g * out * out),
)  # fmt: skip
abs = primitive(np.absolute, args="input", name="abs", input=lambda g, input: g * sign(input))
sign = primitive(_sign, args="input", name="sign", input=lambda g: nothing(g))
copysign = primitive(
    np.copysign, args="input other", name="copysign", promote="float",
    input=lambda g, input, out: g * (sign(input) * sign(out)),  # 0 at input 0, as PyTorch's
    other=lambda g: nothing(g),
)  # fmt: skip
hypot = primitive(
    np.hypot, args="input other", name="hypot", promote="float",
    input=lambda g, input, out: g * (input / _not_zero(out)),
    other=lambda g, other, out: g * (other / _not_zero(out)),
)  # fmt: skip


def _not_zero(x: Any) -> Any:
    """x, and 1 where it is 0: a divisor that gives the subgradient 0 there."""
    return x + mask(eq(x, 0), x)


# ----------------------------------------------------------------------------------- exponentials, logarithms, circles

exp = primitive(np.exp, args="input", name="exp", promote="float", input=lambda g, out: g * out)
exp2 = primitive(np.exp2, args="input", name="exp2", promote="float", input=lambda g, out: g * (out * math.log(2)))
expm1 = primitive(np.expm1, args="input", name="expm1", promote="float", input=lambda g, out: g * (out + 1))
log = primitive(np.log, args="input", name="log", promote="float", input=lambda g, input: g / input)
log2 = primitive(np.log2, args="input", name="log2", promote="float", input=lambda g, input: g / (input * math.log(2)))
log10 = primitive(
    np.log10, args="input", name="log10", promote="float", input=lambda g, input: g / (input * math.log(10))
)
log1p = primitive(np.log1p, args="input", name="log1p", promote="float", input=lambda g, input: g / (input + 1))
logaddexp = primitive(
    np.logaddexp, args="input other", name="logaddexp", promote="float",
    input=lambda g, input, other: g * sigmoid(input - other),
    other=lambda g, input, other: g * sigmoid(other - input),
)  # fmt: skip
logaddexp2 = primitive(
    np.logaddexp2, args="input other", name="logaddexp2", promote="float",
    input=lambda g, input, other: g * sigmoid((input - other) * math.log(2)),
    other=lambda g, input, other: g * sigmoid((other - input) * math.log(2)),
)  # fmt: skip


def _xlogy(input: Any, other: Any) -> Any:
    dtype = (other if hasattr(other, "dtype") else input).dtype
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 log 0
        out = np.multiply(input, np.log(np.asarray(other, dtype)))
    return np.where(np.equal(input, 0) & ~np.isnan(other), np.zeros_like(out), out)


xlogy = primitive(
    _xlogy, args="input other", name="xlogy", promote="float",
    input=lambda g, input, other: _log_unless_nothing(g, input, other),
    other=lambda g, input, other: g * (input / other),
)  # fmt: skip


def _log_unless_nothing(g: Any, x: Any, y: Any) -> Any:
    """g log y, and 0 where x log y is 0 by definition (x = 0, y <= 0)."""
    nothing_there = logical_and(eq(x, 0), le(y, 0))
    return filled_where(g * log(select(nothing_there, mask(nothing_there, g), y)), nothing_there, value=0)


logit = primitive(
    lambda input: np.log(input / (1 - input)), args="input", name="logit", promote="float",
    input=lambda g, input: g / (input * (1 - input)),
)  # fmt: skip
sin: Any = primitive(np.sin, args="input", name="sin", promote="float", input=lambda g, input: g * cos(input))
cos: Any = primitive(np.cos, args="input", name="cos", promote="float", input=lambda g, input: -(g * sin(input)))
tan = primitive(np.tan, args="input", name="tan", promote="float", input=lambda g, out: g * (1 + out * out))
asin = primitive(
    np.arcsin, args="input", name="asin", promote="float", input=lambda g, input: g * rsqrt(1 - input * input)
)
acos = primitive(
    np.arccos, args="input", name="acos", promote="float", input=lambda g, input: -(g * rsqrt(1 - input * input))
)
atan = primitive(np.arctan, args="input", name="atan", promote="float", input=lambda g, input: g / (1 + input * input))
atan2 = primitive(
    np.arctan2, args="input other", name="atan2", promote="float",
    input=lambda g, input, other: g * (other / _not_zero(input * input + other * other)),
    other=lambda g, input, other: -(g * (input / _not_zero(input * input + other * other))),
)  # fmt: skip
sinh: Any = primitive(np.sinh, args="input", name="sinh", promote="float", input=lambda g, input: g * cosh(input))
cosh: Any = primitive(np.cosh, args="input", name="cosh", promote="float", input=lambda g, input: g * sinh(input))
tanh = primitive(np.tanh, args="input", name="tanh", promote="float", input=lambda g, out: g * (1 - out * out))
asinh = primitive(
    np.arcsinh, args="input", name="asinh", promote="float", input=lambda g, input: g * rsqrt(input * input + 1)
)
acosh = primitive(
    np.arccosh, args="input", name="acosh", promote="float", input=lambda g, input: g * rsqrt(input * input - 1)
)
atanh = primitive(
    np.arctanh, args="input", name="atanh", promote="float", input=lambda g, input: g / (1 - input * input)
)
deg2rad = primitive(
    np.deg2rad, args="input", name="deg2rad", promote="float", input=lambda g: g * (math.pi / 180)
)  # fmt: skip
rad2deg = primitive(
    np.rad2deg, args="input", name="rad2deg", promote="float", input=lambda g: g * (180 / math.pi)
)  # fmt: skip


_SIGMOID, _SOFTPLUS, _LOGSIGMOID = by_dtype("sigmoid"), by_dtype("softplus"), by_dtype("logsigmoid")
_RELU, _RELU_BACKWARD = by_dtype("relu"), by_dtype("relu_backward")
_CLAMP, _MASKED_FILL = by_dtype("clamp"), by_dtype("masked_fill")


@primitive(promote="float", input=lambda g, out: g * (out * (1 - out)))
def sigmoid(input: Any) -> Any:
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows and small values keep their relative accuracy."""
    return _SIGMOID[input.dtype](input)


@primitive(promote="float", input=lambda g, input: g * sigmoid(input))
def softplus(input: Any) -> Any:
    """log(1 + e^x)."""
    return _SOFTPLUS[input.dtype](input, 1.0, math.inf)


@primitive(promote="float", input=lambda g, input: g * sigmoid(-input))
def logsigmoid(input: Any) -> Any:
    """log(1 / (1 + e^-x))."""
    return _LOGSIGMOID[input.dtype](input)


@primitive(input=lambda g, out: gate(g, out))
def relu(input: Any) -> Any:
    """max(x, 0); the gradient at 0 is 0, and NaN passes through."""
    return _RELU[input.dtype](input)


@primitive(input=lambda g, other: gate(g, other), other=lambda g: nothing(g))
def gate(input: Any, other: Any) -> Any:
    """0 where ``other`` <= 0, else ``input`` (also beside a NaN): the gradient of :func:`relu`."""
    return _RELU_BACKWARD[input.dtype](input, other)


# ------------------------------------------------------------------------------------------------------- choice
#
# Rules choose with these instead of multiplying by 0 and 1: a gradient that is infinite or NaN stays where it belongs.


@primitive(input=lambda g, mask: filled_where(g, mask, value=0))
def filled_where(input: Any, mask: Any, *, value: Any) -> Any:
    """``input`` with the number ``value`` where ``mask`` holds; both broadcast."""
    return _MASKED_FILL[input.dtype](input, mask, number(value, input.dtype))


def where_holds(input: Any, mask: Any) -> Any:
    """``input`` where ``mask`` holds, else 0."""
    return filled_where(input, logical_not(mask), value=0)


maximum = primitive(
    np.maximum, args="input other", name="maximum", promote="same",
    input=lambda g, input, other: _share(g, lt(input, other), eq(input, other)),
    other=lambda g, input, other: _share(g, lt(other, input), eq(input, other)),
)  # fmt: skip
minimum = primitive(
    np.minimum, args="input other", name="minimum", promote="same",
    input=lambda g, input, other: _share(g, gt(input, other), eq(input, other)),
    other=lambda g, input, other: _share(g, gt(other, input), eq(input, other)),
)  # fmt: skip


def _share(g: Any, loses: Any, ties: Any) -> Any:
    """0 where the operand loses, half of g where it ties, g where it wins (or one of the two is NaN)."""
    return filled_where(g * (1 - mask(ties, g) * 0.5), loses, value=0)


fmax = primitive(
    np.fmax, args="input other", name="fmax", promote="same",
    input=lambda g, input, other: where_holds(g, logical_or(ge(input, other), isnan(other))),
    other=lambda g, input, other: filled_where(g, logical_or(ge(input, other), isnan(other)), value=0),
)  # fmt: skip
fmin = primitive(
    np.fmin, args="input other", name="fmin", promote="same",
    input=lambda g, input, other: where_holds(g, logical_or(le(input, other), isnan(other))),
    other=lambda g, input, other: filled_where(g, logical_or(le(input, other), isnan(other)), value=0),
)  # fmt: skip
at_least = primitive(
    np.maximum, args="input other", name="at_least", promote="same",
    input=lambda g, input, other: where_holds(g, ge(input, other)),  # a tie is the input's, unlike maximum's
    other=lambda g, input, other: where_holds(g, lt(input, other)),
)  # fmt: skip
at_most = primitive(
    np.minimum, args="input other", name="at_most", promote="same",
    input=lambda g, input, other: where_holds(g, le(input, other)),
    other=lambda g, input, other: where_holds(g, gt(input, other)),
)  # fmt: skip


@primitive(input=lambda g, input, min, max: where_holds(g, _within(input, min, max)))
def clamp_between(input: Any, *, min: Any, max: Any) -> Any:
    """``input`` limited to [min, max] (numbers or None); gradients pass where it lies inside, bounds included."""
    kind = input.dtype
    if kind.kind == "f":
        low, high = -math.inf if min is None else min, math.inf if max is None else max
        return _CLAMP[kind](input, number(low, kind), number(high, kind))
    if min is not None:
        input = np.maximum(input, np.asarray(min, kind))
    return input if max is None else np.minimum(input, np.asarray(max, kind))


def _within(x: Any, low: Any, high: Any) -> Any:
    if low is None:
        return le(x, high)
    return ge(x, low) if high is None else logical_and(ge(x, low), le(x, high))


@primitive(
    input=lambda g, condition: select(condition, g, nothing(g)),
    other=lambda g, condition: select(condition, nothing(g), g),
)
def select(condition: Any, input: Any, other: Any) -> Any:
    """``input`` where ``condition`` (bool) holds, ``other`` elsewhere; both of one dtype."""
    return np.where(condition, input, other)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other`` (broadcast, promoted by PyTorch's table).

    A gradient that is infinite or NaN on the branch not taken does not leak into the other.
    With the condition alone: the indices where it is true, as :func:`nonzero` with ``as_tuple=True``.
    """
    if input is None and other is None:
        from tinydl.ops.indexing import nonzero

        return nonzero(condition, as_tuple=True)
    if getattr(condition, "dtype", None) != np.bool_:
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{getattr(condition, 'dtype', type(condition).__name__)}; "
            "compare first, as in where(x > 0, ...)"
        )
    if getattr(input, "dtype", None) is not getattr(other, "dtype", 0):
        input, other = alike(input, other)
    try:
        return select(condition, input, other)
    except ValueError as error:
        misfit("where", error, (condition, input, other))


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """``input`` limited to [min, max]; bounds are numbers, tensors or None (not both None).

    Where min > max the result is max. Gradients pass where the input lies inside, bounds included; else a bound that
    is a tensor gets them.
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if not hasattr(min, "shape") and not hasattr(max, "shape"):
        if input.dtype.kind != "f":
            want = dtypes.result_type(input, *(b for b in (min, max) if b is not None))
            input = input if input.dtype == want else cast(input, dtype=want)
        return clamp_between(input, min=min, max=max)
    low = input if min is None else at_least(input, min)
    return low if max is None else at_most(low, max)


def clamp_min(input: Any, min: Any) -> Any:
    """``input``, but at least ``min`` (a number or a tensor)."""
    return clamp(input, min=min)


def clamp_max(input: Any, max: Any) -> Any:
    """``input``, but at most ``max`` (a number or a tensor)."""
    return clamp(input, max=max)
