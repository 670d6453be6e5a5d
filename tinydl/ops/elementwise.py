"""Elementwise operations: arithmetic, powers, exponentials, trigonometry, choice, comparison.

Names and arguments are PyTorch's. Each rule is the derivative on one line; ``g`` has the result's shape, and the
engine sums
it back to an input that was broadcast. At kinks and ties the subgradients are PyTorch's: ``abs'(0) = 0``,
``maximum`` and ``minimum`` give half to each side of a tie, ``clamp`` passes at its bounds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive

# ------------------------------------------------------------------------------------------------- no derivative
# Their result never requires a gradient: comparisons, logic, tests.


def _plain(ufunc: Any, args: str, name: str, promote: str | None = "same") -> Any:
    return primitive(ufunc, args=args, name=name, promote=promote, differentiable=False)


eq = _plain(np.equal, "input other", "eq")
ne = _plain(np.not_equal, "input other", "ne")
lt = _plain(np.less, "input other", "lt")
le = _plain(np.less_equal, "input other", "le")
gt = _plain(np.greater, "input other", "gt")
ge = _plain(np.greater_equal, "input other", "ge")
logical_and = _plain(np.logical_and, "input other", "logical_and")
logical_or = _plain(np.logical_or, "input other", "logical_or")
logical_not = _plain(np.logical_not, "input", "logical_not")
bitwise_and = _plain(np.bitwise_and, "input other", "bitwise_and")
bitwise_or = _plain(np.bitwise_or, "input other", "bitwise_or")
bitwise_not = _plain(np.invert, "input", "bitwise_not")
isnan = _plain(np.isnan, "input", "isnan", None)
isfinite = _plain(np.isfinite, "input", "isfinite", None)
isinf = _plain(np.isinf, "input", "isinf", None)


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
floor_divide = _plain(np.floor_divide, "input other", "floor_divide")
remainder = primitive(
    np.remainder, args="input other", name="remainder", promote="same", smooth=False,
    input=lambda g: g,
    other=lambda g, input, other: -(g * floor_divide(input, other)),
)  # fmt: skip


def _power(input: Any, exponent: Any) -> Any:
    """``input ** exponent``, elementwise; the slope in the exponent is 0 at input 0, as PyTorch's."""
    if getattr(exponent, "dtype", None) is not None and exponent.dtype.kind in "iu" and np.any(exponent < 0):
        raise RuntimeError("Integers to negative integer powers are not allowed; convert the base with .float() first")
    return np.power(input, exponent)


pow = primitive(
    _power, args="input exponent", name="pow", promote="same",
    input=lambda g, input, exponent: g * _power_slope(input, exponent),
    exponent=lambda g, input, exponent, out: g * _power_log(input, exponent, out),
)  # fmt: skip


def _power_slope(x: Any, e: Any) -> Any:
    """e x^(e-1), and 0 where e = 0 (also at x = 0)."""
    zero = mask(eq(e, 0), x)
    return e * pow(x, e - (1 - zero)) * (1 - zero)


def _power_log(x: Any, e: Any, out: Any) -> Any:
    """x^e ln x, and 0 where x = 0 and e >= 0."""
    hole = mask(logical_and(eq(x, 0), ge(e, 0)), out)
    return out * log(x + hole)


square = primitive(np.square, args="input", name="square", input=lambda g, input: g * (input * 2))
sqrt = primitive(np.sqrt, args="input", name="sqrt", promote="float", input=lambda g, out: g / (out * 2))
rsqrt = primitive(
    lambda input: 1 / np.sqrt(input), args="input", name="rsqrt", promote="float",
    input=lambda g, out: g * out * out * out * -0.5,
)  # fmt: skip
reciprocal = primitive(
    lambda input: 1 / input, args="input", name="reciprocal", promote="float",
    input=lambda g, out: -(g * out * out),
)  # fmt: skip
abs = primitive(np.absolute, args="input", name="abs", smooth=False, input=lambda g, input: g * sign(input))
sign = primitive(np.sign, args="input", name="sign", smooth=False, input=lambda g: nothing(g))
floor = primitive(np.floor, args="input", name="floor", smooth=False, input=lambda g: nothing(g))
ceil = primitive(np.ceil, args="input", name="ceil", smooth=False, input=lambda g: nothing(g))
round = primitive(np.rint, args="input", name="round", smooth=False, input=lambda g: nothing(g))

# ----------------------------------------------------------------------------------- exponentials, logarithms, circles

exp = primitive(np.exp, args="input", name="exp", promote="float", input=lambda g, out: g * out)
expm1 = primitive(np.expm1, args="input", name="expm1", promote="float", input=lambda g, out: g * (out + 1))
log = primitive(np.log, args="input", name="log", promote="float", input=lambda g, input: g / input)
log2 = primitive(np.log2, args="input", name="log2", promote="float", input=lambda g, input: g / (input * math.log(2)))
log10 = primitive(
    np.log10, args="input", name="log10", promote="float", input=lambda g, input: g / (input * math.log(10))
)
log1p = primitive(np.log1p, args="input", name="log1p", promote="float", input=lambda g, input: g / (input + 1))
sin: Any = primitive(np.sin, args="input", name="sin", promote="float", input=lambda g, input: g * cos(input))
cos: Any = primitive(np.cos, args="input", name="cos", promote="float", input=lambda g, input: -(g * sin(input)))
tan = primitive(np.tan, args="input", name="tan", promote="float", input=lambda g, out: g * (1 + out * out))
arctan = primitive(
    np.arctan, args="input", name="arctan", promote="float", input=lambda g, input: g / (1 + input * input)
)
sinh: Any = primitive(np.sinh, args="input", name="sinh", promote="float", input=lambda g, input: g * cosh(input))
cosh: Any = primitive(np.cosh, args="input", name="cosh", promote="float", input=lambda g, input: g * sinh(input))
tanh = primitive(np.tanh, args="input", name="tanh", promote="float", input=lambda g, out: g * (1 - out * out))


@primitive(promote="float", input=lambda g, out: g * (out * (1 - out)))
def sigmoid(input: Any) -> Any:
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows and small values keep their relative accuracy."""
    z = np.exp(-np.absolute(input))
    return np.where(input >= 0, np.ones_like(z), z) / (1 + z)


def _softplus_forward(input: Any) -> Any:
    return np.maximum(input, 0) + np.log1p(np.exp(-np.absolute(input)))


softplus = primitive(
    _softplus_forward, args="input", name="softplus", promote="float", input=lambda g, input: g * sigmoid(input)
)
logsigmoid = primitive(
    lambda input: -_softplus_forward(-input), args="input", name="logsigmoid", promote="float",
    input=lambda g, input: g * sigmoid(-input),
)  # fmt: skip


@primitive(smooth=False, input=lambda g, out: gate(g, out))
def relu(input: Any) -> Any:
    """max(x, 0); the gradient at 0 is 0, and NaN passes through."""
    return np.maximum(input, 0)


@primitive(input=lambda g, other: gate(g, other), other=lambda g: nothing(g))
def gate(input: Any, other: Any) -> Any:
    """0 where ``other`` <= 0, else ``input`` (also beside a NaN): the gradient of :func:`relu`."""
    out = np.array(input, copy=True, order="K")
    np.putmask(out, other <= 0, 0)  # 2.3 us for 2,048 elements, where() 5.7
    return out


# ------------------------------------------------------------------------------------------------------- choice

maximum = primitive(
    np.maximum, args="input other", name="maximum", promote="same", smooth=False,
    input=lambda g, input, other: g * _share(gt(input, other), eq(input, other), g),
    other=lambda g, input, other: g * _share(gt(other, input), eq(input, other), g),
)  # fmt: skip
minimum = primitive(
    np.minimum, args="input other", name="minimum", promote="same", smooth=False,
    input=lambda g, input, other: g * _share(lt(input, other), eq(input, other), g),
    other=lambda g, input, other: g * _share(lt(other, input), eq(input, other), g),
)  # fmt: skip


def _share(wins: Any, ties: Any, g: Any) -> Any:
    """1 where the operand wins, half where it ties."""
    return mask(wins, g) + mask(ties, g) * 0.5


@primitive(smooth=False, input=lambda g, input, min, max: g * mask(_within(input, min, max), g))
def clamp_between(input: Any, *, min: Any, max: Any) -> Any:
    """``input`` limited to [min, max] (numbers or None); gradients pass where it lies inside, bounds included."""
    return np.clip(input, min, max)


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
    from tinydl import dtypes
    from tinydl.ops.casting import cast
    from tinydl.ops.indexing import nonzero

    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if getattr(condition, "dtype", None) != np.bool_:
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{getattr(condition, 'dtype', type(condition).__name__)}; "
            "compare first, as in where(x > 0, ...)"
        )
    want = dtypes.result_type(input, other)
    both = [
        cast(x, dtype=want)
        if hasattr(x, "dtype") and x.dtype != want
        else (x if hasattr(x, "dtype") else np.asarray(x, want))
        for x in (input, other)
    ]
    return select(condition, *both)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """``input`` limited to [min, max]; bounds are numbers, tensors or None (not both None)."""
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    numbers = all(b is None or not hasattr(b, "shape") for b in (min, max))
    if numbers:
        integral = input.dtype.kind in "iu" and any(isinstance(b, float) for b in (min, max))
        if integral:
            from tinydl import dtypes

            input = input.to(dtypes.get_default_dtype()) if hasattr(input, "to") else input
        return clamp_between(input, min=min, max=max)
    low = input if min is None else where(lt(input, min), min, input)
    return low if max is None else where(gt(low, max), max, low)
