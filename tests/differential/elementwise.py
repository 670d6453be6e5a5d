"""Rows of arithmetic, functions of one number, choice and comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.differential.rows import bools, draw, ints, row

INF, NAN = np.inf, np.nan


def unary(*names: str, smooth: bool = True, whole: bool = True, in_place: bool = True, **domain: Any) -> None:
    """Rows of functions of one number: a matrix, 0-d, empty, and (``whole``) integers, which become float32."""
    for name in names:
        row(name, draw(3, 4, **domain), smooth=smooth, in_place=in_place)
        row(name, draw(**domain), smooth=smooth, note="0-d", in_place=in_place)
        row(name, draw(0, 3, **domain), smooth=smooth, note="empty", in_place=in_place)
        if whole:
            row(name, ints(2, 3, low=1, high=4), note="integers")


unary(
    "exp", "exp2", "expm1", "sin", "cos", "tanh", "sinh", "cosh", "sigmoid", "atan", "arctan",
    "deg2rad", "rad2deg", "square", "neg", "negative", "erf", "erfc",
)  # fmt: skip
unary("sqrt", "rsqrt", "log", "log2", "log10", low=0.3)
unary("log1p", low=-0.5)
unary("reciprocal", low=0.4)
unary("tan", low=-1.0, high=1.0)
unary("asin", "arcsin", "acos", "arccos", "erfinv", whole=False, low=-0.9, high=0.9)
# Recorded in place, PyTorch has no derivative of these.
unary("asinh", "arcsinh", in_place=False)
unary("acosh", "arccosh", in_place=False, low=1.2)
unary("atanh", "arctanh", in_place=False, whole=False, low=-0.9, high=0.9)
unary("lgamma", "digamma", low=0.3, high=5.0)
unary("sinc", low=0.2)  # PyTorch's second derivative at 0 is 0 instead of -pi^2/3
unary("logit", whole=False, low=0.1, high=0.9)
unary("abs", "absolute", "relu", "sign", "sgn", away=(0.0,))
unary("floor", "ceil", "trunc", "fix", away=(-2.0, -1.0, 0.0, 1.0, 2.0))
unary("round", away=(-1.5, -0.5, 0.5, 1.5))
unary("frac", whole=False, away=(-2.0, -1.0, 0.0, 1.0, 2.0))
unary("positive")
unary("nan_to_num")
for name in ("exp", "sin", "sqrt", "erf", "lgamma", "sigmoid", "square", "sign", "sgn", "nan_to_num", "atan"):
    row(name, bools(3), note="booleans")
row("erf", draw(4, 5, low=-5.0, high=5.0), note="both pieces")
row("erfc", draw(4, 5, low=-4.0, high=6.0), note="both pieces")
row("erfinv", draw(4, low=-0.999999, high=0.999999), note="the tails", loose=20)  # float32 inputs: slope 1e5
row("lgamma", draw(4, 5, low=5.0, high=60.0), note="large")
row("lgamma", draw(4, 5, low=-3.9, high=-3.1), note="negative")
row("digamma", draw(4, 5, low=5.0, high=60.0), note="large")
row("digamma", draw(4, 5, low=-3.8, high=-3.2), note="negative")
row("round", draw(3, 4), decimals=2, note="decimals")
row("round", draw(3, 4, low=-300.0, high=300.0, away=(-250.0, -150.0, -50.0, 50.0, 150.0, 250.0)), decimals=-2)
row("logit", draw(3, 4, low=-0.5, high=1.5, away=(0.1, 0.9)), eps=0.1, note="eps")
row("nan_to_num", np.array([1.0, NAN, INF, -INF]), note="what is no number", grad=False)
row("nan_to_num", np.array([1.0, NAN, INF, -INF]), nan=2.0, posinf=3.0, neginf=-4.0, note="replacements")
row("polygamma", draw(3, 4, low=0.3, high=5.0), call=lambda t, x: t.polygamma(1, x))
row("polygamma", draw(4, low=0.5, high=5.0), call=lambda t, x: t.polygamma(2, x), note="order 2")
row("polygamma", draw(4, low=0.5, high=5.0), call=lambda t, x: t.polygamma(0, x), note="order 0")
row("polygamma", draw(4, low=0.5, high=5.0), call=lambda t, x: x.polygamma(3), note="method")

# -------------------------------------------------------------------------------------------------------- arithmetic


def binary(*names: str, first: Any = None, other: Any = None, smooth: bool = True, apart: bool = False) -> None:
    """Rows of functions of two numbers: one shape, broadcast both ways, 0-d, empty, the same tensor twice."""
    d1, d2 = first or {}, other or {}
    for name in names:
        if apart:  # no ties
            d1, d2 = (
                {"low": 0.0, "make": lambda x: np.round(x, 1)},
                {"low": 0.0, "make": lambda x: np.round(x, 1) + 0.05},
            )
        row(name, draw(3, 4, **d1), draw(3, 4, **d2), smooth=smooth)
        row(name, draw(3, 4, **d1), draw(4, **d2), smooth=smooth, note="broadcast")
        row(name, draw(3, 1, **d1), draw(2, 1, 4, **d2), smooth=smooth, note="broadcast both", in_place=False)
        row(name, draw(3, **d1), draw(**d2), smooth=smooth, note="0-d")
        row(name, draw(0, 3, **d1), draw(3, **d2), smooth=smooth, note="empty")


def whole(*names: str, floats: bool = True, booleans: bool = True, low: int = 1) -> None:
    """Rows of the dtypes that come out of integers, booleans and mixtures."""
    for name in names:
        row(name, ints(2, 3, low=low), ints(3, low=low, high=4), note="integers")
        if floats:
            row(name, ints(2, 3, low=low), draw(3, low=0.5), note="an integer and a float")
            row(name, draw(2, 3, low=0.5), ints(3, low=low), note="a float and an integer")
        if booleans:
            row(name, ints(2, 3, low=low), bools(3), note="an integer and a boolean")


binary("add", "sub", "subtract", "mul", "multiply")
binary("div", "divide", "true_divide", other={"low": 0.5})
binary("pow", "float_power", first={"low": 0.4}, other={"low": -1.5, "high": 2.5})
binary("remainder", "fmod", first={"low": 0.1, "high": 0.4}, other={"low": 0.6, "high": 0.9})
binary("hypot", "atan2", "arctan2", first={"low": 0.3}, other={"low": 0.3})
binary("logaddexp", "logaddexp2")
binary("xlogy", first={"low": 0.3}, other={"low": 0.4})
binary("copysign", first={"away": (0.0,)}, other={"away": (0.0,)})
binary("maximum", "minimum", "fmax", "fmin", apart=True)
whole("add", "mul", "multiply", "float_power", "xlogy", "copysign")
whole("sub", "subtract", "true_divide", "div", "divide", "pow", "remainder", "fmod", booleans=False)
whole("maximum", "minimum", "fmax", "fmin", "atan2", "arctan2")
for name in ("add", "mul", "maximum", "minimum", "fmax", "fmin"):
    row(name, bools(2, 3), bools(3), note="booleans")
for name in ("add", "sub", "mul", "div", "pow", "remainder", "fmod", "true_divide", "float_power", "copysign", "xlogy"):
    row(name, draw(3, 4, low=0.3), 2, note="a whole number")
    row(name, draw(3, 4, low=0.3), 1.75, note="a number")
    row(name, ints(3, 4, low=1), 1.75, note="an integer and a number")
row("add", draw(3, 4), draw(4), alpha=2.5, note="alpha")
row("add", ints(3), ints(3), alpha=3, note="whole alpha")
row("add", draw(3), 2.0, alpha=0.5, note="alpha and a number")
row("sub", draw(3, 4), draw(4), alpha=2.5, note="alpha")
row("subtract", draw(3, 4), draw(4), alpha=2.5, note="alpha")
for exponent in (0, 1, 2, 3, 0.5, -1, -2, -0.5, 2.5):
    row("pow", draw(3, 4, low=0.4), exponent, note=f"exponent {exponent}")
row("pow", draw(3, low=-2.0, away=(0.0,)), 3, note="negative base")
row("pow", 2.5, draw(3), note="a number to the power", method=False, in_place=False)
row("pow", 2, ints(3), note="a whole number to the power", method=False, in_place=False)
row("xlogy", 2.0, draw(3, low=0.4), note="a number first", method=False, in_place=False)
row("float_power", 2.0, draw(3), note="a number first", method=False, in_place=False)
row("xlogy", np.array([0.0, 0.0, 1.5]), draw(3, low=0.4), note="0 log y", constant=(0,))
for name, mode in ((n, m) for n in ("div", "divide") for m in ("trunc", "floor")):
    row(name, draw(3, 4, low=-3.0, away=(-2.0, -1.0, 0.0, 1.0)), draw(4, low=0.9, high=1.0), rounding_mode=mode)
    row(name, ints(3, 4, low=-9, high=9), ints(4, low=1, high=4), rounding_mode=mode, note=f"integers {mode}")
    row(name, ints(3, 4, low=-9, high=9), -2, rounding_mode=mode, note=f"integers and a number {mode}")
    row(name, ints(3, 4, low=-9, high=9), 1.5, rounding_mode=mode, note=f"integers and a float {mode}")
# PyTorch's floor_divide has no derivative, and raises only in backward.
row("floor_divide", draw(3, 4, low=-3.0), draw(4, low=0.5), grad=False)
row("floor_divide", ints(3, 4, low=-9, high=9), ints(4, low=1), note="integers")
row("floor_divide", ints(3, 4, low=-9, high=9), -2, note="a number")
row("floor_divide", ints(3, 4, low=-9, high=9), 1.5, note="a float")
row("remainder", draw(3, 4, low=-3.0, away=(-2.0, -1.0, 0.0, 1.0, 2.0)), -1.0, note="negative divisor")
row("fmod", draw(3, 4, low=-3.0, away=(-2.0, -1.0, 0.0, 1.0, 2.0)), -1.0, note="negative divisor")
row("remainder", ints(3, 4, low=-9, high=9), -4, note="negative integers")
row("fmod", ints(3, 4, low=-9, high=9), -4, note="negative integers")
row("remainder", 7.5, draw(3, low=0.6), note="a number first", method=False, in_place=False, grad=False)

row("lerp", draw(3, 4), draw(3, 4), 0.3)
row("lerp", draw(3, 4), draw(4), 0.8, note="near the end")
row("lerp", draw(3, 4), draw(3, 4), draw(3, 4, low=-0.5, high=1.5), note="weights")
row("lerp", draw(3, 1), draw(4), draw(2, 1, 1, low=0.0, high=1.0), note="broadcast", in_place=False)
row("lerp", draw(), draw(), draw(), note="0-d")
row("addcmul", draw(3, 4), draw(3, 4), draw(3, 4))
row("addcmul", draw(3, 4), draw(4), draw(3, 1), value=-0.5, note="value, broadcast")
row("addcmul", ints(3), ints(3), ints(3), value=2, note="integers")
row("addcmul", draw(3), ints(3), ints(3), value=2, note="a float and integers")
row("addcdiv", draw(3, 4), draw(3, 4), draw(3, 4, low=0.5))
row("addcdiv", draw(3, 4), draw(4), draw(3, 1, low=0.5), value=-0.5, note="value, broadcast")
row("addcdiv", draw(3), ints(3), draw(3, low=0.5), note="an integer")

# ------------------------------------------------------------------------------------------------- choice, comparison

for name in ("clamp", "clip"):
    row(name, draw(3, 4, away=(-0.5, 0.75)), -0.5, 0.75)
    row(name, draw(3, 4, away=(0.1,)), min=0.1, note="below")
    row(name, draw(3, 4, away=(0.1,)), max=0.1, note="above")
    row(name, draw(3, 4), draw(3, 4, low=-2.0, high=-0.2), draw(4, low=0.2), note="tensors")
    row(name, draw(3, 4), draw(3, 4), draw(3, 4), note="tensors that cross")
    row(name, draw(3, 4), draw(4), note="one tensor")
    row(name, ints(3, 4, low=-9, high=9), -2, 3, note="integers")
    row(name, ints(3, 4, low=-9, high=9), -2.5, 3, note="integers and a float")
    row(name, bools(3), 0, 1, note="booleans")
    row(name, draw(0, 3), -0.5, 0.5, note="empty")
    row(name, draw(), -0.5, 0.5, note="0-d")
for name in ("clamp_min", "clamp_max"):
    row(name, draw(3, 4, away=(0.1,)), 0.1)
    row(name, draw(3, 4), draw(4), note="a tensor")
    row(name, ints(3, 4, low=-9, high=9), 1, note="integers")
    row(name, ints(3, 4, low=-9, high=9), 1.5, note="integers and a float")
row("where", bools(3, 4), draw(3, 4), draw(4), method=False)
row("where", bools(3, 1), draw(4), 2.5, note="a number", method=False)
row("where", bools(3, 1), 1.5, draw(4), note="a number first", method=False)
row("where", bools(3), 1, 2.5, note="numbers", method=False)
row("where", bools(3), ints(3), draw(3), note="an integer and a float", method=False)
row("where", bools(3), ints(3), bools(3), note="an integer and a boolean", method=False)
row("where", bools(3, 4), note="indices", method=False)
row("where", draw(3, 4), bools(3, 4), draw(4), call=lambda t, x, c, y: x.where(c, y), note="method")
row("where", bools(0, 4), draw(0, 4), draw(4), note="empty", method=False)

# The result of heaviside requires a gradient in PyTorch, whose backward then raises.
row("heaviside", np.array([-1.5, 0.0, 2.0]), draw(3), grad=False)
row("heaviside", ints(5, low=-1, high=2), ints(5), note="integers")
COMPARISONS = (
    "eq ne lt le gt ge greater greater_equal less less_equal not_equal logical_and logical_or logical_xor"
).split()
for name in COMPARISONS:
    row(name, ints(3, 4, high=3), ints(4, high=3), note="integers")
    row(name, draw(3, 4, make=np.round), draw(3, 4, make=np.round), grad=False)
    row(name, draw(3, 4, make=np.round), ints(4, high=2), grad=False, note="mixed")
    row(name, bools(3, 4), bools(4), note="booleans")
    row(name, draw(0, 3), draw(3), grad=False, note="empty")
    row(name, draw(), draw(), grad=False, note="0-d")
    if not name.startswith("logical"):
        row(name, ints(3, 4, high=3), 1, note="a number")
        row(name, ints(3, 4, high=3), 1.5, note="a float")
for x in (draw(3, 4, make=np.round), ints(3, 4, high=2), bools(3, 4)):
    row("logical_not", x, grad=False, note=x.kind)
for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    row(name, ints(3, 4, low=-9, high=9), ints(4, low=-9, high=9))
    row(name, bools(3, 4), bools(4), note="booleans")
    row(name, ints(3, 4), bools(4), note="mixed")
    row(name, ints(3, 4), 5, note="a number")
row("bitwise_not", ints(3, 4, low=-9, high=9))
row("bitwise_not", bools(3), note="booleans")
for name in ("bitwise_left_shift", "bitwise_right_shift"):
    row(name, ints(3, 4, low=-99, high=99), ints(4))
    row(name, ints(3, 4, low=-99, high=99), 2, note="a number")
for name in ("isnan", "isfinite", "isinf", "isposinf", "isneginf", "isreal", "signbit"):
    row(name, np.array([1.0, NAN, INF, -INF, -0.0]), grad=False)
    row(name, ints(3, low=-2, high=2), note="integers")
    row(name, draw(0, 3), grad=False, note="empty")
    row(name, bools(3), note="booleans")

LEFT, RIGHT = np.array([1.0, 1.0, NAN, INF, INF, 0.0]), np.array([1.0 + 1e-7, 1.1, NAN, INF, -INF, 1e-9])
for name in ("isclose", "allclose"):
    row(name, LEFT, RIGHT, grad=False)
    row(name, LEFT, RIGHT, 0.2, grad=False, equal_nan=True, note="tolerances")
    row(name, ints(4), ints(4), atol=1, note="integers")
    row(name, draw(0), draw(0), grad=False, note="empty")
row("allclose", LEFT[:2], LEFT[:2] + 1e-9, grad=False, note="true")
row("equal", LEFT[:2], LEFT[:2], grad=False)
row("equal", LEFT, LEFT, grad=False, note="NaN")
row("equal", LEFT, LEFT[:2], grad=False, note="shapes")
row("equal", draw(0), draw(0), grad=False, note="empty")
for x in (2.0, 0.0):
    row("is_nonzero", np.array([x]), grad=False)
row("is_floating_point", draw(3))
row("is_floating_point", ints(3))
row("is_tensor", draw(3), method=False)
row("is_tensor", 3.0, method=False)
row("numel", draw(3, 4))
row("numel", draw(0, 4))

# ------------------------------------------------------------------------------------------------------------ special

row("special.expit", draw(3, 4))
row("special.xlogy", draw(3, 4), draw(4, low=0.4))
row("special.erf", draw(3, 4))
row("special.erfc", draw(3, 4))
row("special.gammaln", draw(3, 4, low=0.3, high=5.0))
row("special.digamma", draw(3, 4, low=0.3, high=5.0))
row("special.softmax", draw(3, 4), dim=1)
row("special.softmax", draw(3, 4), 0, dtype=None)
row("special.log_softmax", draw(3, 4), dim=1)
row("special.logsumexp", draw(3, 4), dim=1)
row("special.logsumexp", draw(3, 4), dim=(0, 1), keepdim=True)
row("special.i0", draw(3, 4))
row("special.i0", draw(4, 5, low=-40.0, high=40.0), note="both pieces", loose=5)  # values to e^40
