"""What each elementwise operation is in the text of a kernel: an *atom* has a formula of Python, the others a
definition in operations, which a kernel shares with what else it computes. Derivatives stand in neither: the rules of
the operations have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.kernels.fused import CALL
from tinydl.ops import comparing, elementwise, rounding
from tinydl.ops.elementwise import (
    abs,
    clamp_between,
    exp,
    expm1,
    filled_where,
    log,
    log1p,
    maximum,
    minimum,
    select,
    sigmoid,
    softplus,
    tanh,
)
from tinydl.ops.special import erf

#: Operations whose result is their first operand: a loop has no views and no layouts.
SAME = {"identity", "clone", "positive"}

Formula = Callable[..., str]


def number(value: Any, dtype: Any) -> str:
    """A number as text of its dtype: Python's alone would make float64 of everything it meets."""
    if dtype.kind == "b":
        return repr(bool(value))
    return f"{dtype.name}({int(value) if dtype.kind in 'iu' else float(value)!r})"


@dataclass(frozen=True)
class Atom:
    """``formula`` takes the operands as text, the numbers' dtype, and the settings; ``result`` is the operand whose
    dtype the result has, or a dtype."""

    formula: Formula
    result: Any = 0
    kinds: str = "f"
    cost: int = 1

    def dtype_of(self, operands: Any, static: dict[str, Any]) -> Any:
        """The dtype of the result."""
        if self.result == "dtype":
            return np.dtype(static["dtype"])
        return operands[self.result].dtype if isinstance(self.result, int) else self.result


def _text(template: str, cost: int = 1, **options: Any) -> Atom:
    """``{0}`` and so on are the operands, ``{t}`` the bits of their dtype, as in the names of functions."""

    def formula(*x: str, dtype: Any) -> str:
        infinite = number(math.inf, dtype) if dtype.kind == "f" else ""
        return template.format(*x, t=8 * dtype.itemsize, zero=number(0, dtype), one=number(1, dtype), inf=infinite)

    return Atom(formula, cost=cost, **options)


def _call(template: str) -> Atom:
    return _text(template, cost=CALL)


def _setting(formula: Formula, **options: Any) -> Atom:
    return Atom(formula, **{"cost": 2, **options})


def _comparison(sign: str) -> Atom:
    return _text(f"{{0}} {sign} {{1}}", result=dtypes.bool, kinds="fbiu")


def _logical(template: str) -> Atom:
    return _text(template, result=dtypes.bool, kinds="b")


def _power(x: str, e: str, *, dtype: Any) -> str:
    """The common powers by multiplying."""
    common = {2: f"{x} * {x}", 3: f"{x} * {x} * {x}", 0.5: f"sqrt({x})", 1: x, 4: f"({x} * {x}) * ({x} * {x})",
              -1: f"{number(1, dtype)} / {x}"}  # fmt: skip
    name, _, value = e.partition("(")
    if name == dtype.name:
        known = common.get(float(value[:-1]))
        if known is not None:
            return known
    return f"pow{8 * dtype.itemsize}({x}, {e})"


def _cast(x: str, *, dtype: Any, **_: Any) -> str:
    """Of the result; a bool is made by comparing."""
    return f"{x} != 0" if dtype.kind == "b" else f"{dtype.name}({x})"


def _clamp(x: str, *, dtype: Any, min: Any, max: Any) -> str:
    low, high = (None if bound is None else number(bound, dtype) for bound in (min, max))
    if low is not None:
        at_least = f"({low} if {x} < {low} else {x})"
        if high is None:
            return at_least
        # Where min > max the result is max.
        return f"({high} if {at_least} > {high} else {at_least})"
    return f"({high} if {x} > {high} else {x})"


def _inside(x: str, y: str, *, dtype: Any, low: float, high: float) -> str:
    a, b = number(low, dtype), number(high, dtype)
    return f"({number(0, dtype)} if ({y} <= {a}) | ({y} >= {b}) else {x})"


def _outside(x: str, y: str, *, dtype: Any, lambd: float) -> str:
    a, b = number(-lambd, dtype), number(lambd, dtype)
    return f"({number(0, dtype)} if ({y} >= {a}) & ({y} <= {b}) else {x})"


ATOMS: dict[str, Atom] = {
    "add": _text("{0} + {1}"), "sub": _text("{0} - {1}"), "mul": _text("{0} * {1}"), "div": _text("{0} / {1}", 2),
    "neg": _text("-{0}"), "square": _text("{0} * {0}"), "reciprocal": _text("{one} / {0}", 2),
    "sqrt": _text("sqrt({0})", 4), "rsqrt": _text("{one} / sqrt({0})", 6),
    "abs": _text("abs({0})"), "floor": _text("floor({0})"), "ceil": _text("ceil({0})"), "trunc": _text("trunc({0})"),
    "round": _text("rint({0})"), "frac": _text("{0} - trunc({0})", 2),
    "sign": _text("({one} if {0} > {zero} else (-{one} if {0} < {zero} else {0}))", 2),
    "copysign": _text("copysign({0}, {1})", 2), "hypot": _call("hypot({0}, {1})"),
    "fmod": _call("fmod({0}, {1})"), "remainder": _call("{0} % {1}"), "floor_divide": _call("{0} // {1}"),
    "pow": Atom(_power, cost=CALL),
    "exp": _call("exp{t}({0})"), "exp2": _call("exp2_{t}({0})"), "expm1": _call("expm1_{t}({0})"),
    "log": _call("log{t}({0})"), "log1p": _call("log1p{t}({0})"), "logaddexp": _call("logaddexp{t}({0}, {1})"),
    "tanh": _call("tanh{t}({0})"), "sigmoid": _call("sigmoid{t}({0})"),
    "erf": _call("erf{t}({0})"), "erfc": _call("erfc({0})"), "atan2": _call("atan2({0}, {1})"),
    **{name: _call(f"{name}({{0}})") for name in (
        "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
    )},
    "eq": _comparison("=="), "ne": _comparison("!="), "lt": _comparison("<"), "le": _comparison("<="),
    "gt": _comparison(">"), "ge": _comparison(">="),
    "bitwise_and": _logical("{0} & {1}"), "bitwise_or": _logical("{0} | {1}"), "bitwise_xor": _logical("{0} ^ {1}"),
    "bitwise_not": _logical("not {0}"), "logical_and": _logical("{0} & {1}"), "logical_or": _logical("{0} | {1}"),
    "logical_xor": _logical("{0} ^ {1}"), "logical_not": _logical("not {0}"),
    "isnan": _text("{0} != {0}", result=dtypes.bool), "isinf": _text("abs({0}) == {inf}", 2, result=dtypes.bool),
    "isfinite": _text("abs({0}) < {inf}", 2, result=dtypes.bool),
    "isposinf": _text("{0} == {inf}", result=dtypes.bool), "isneginf": _text("{0} == -{inf}", result=dtypes.bool),
    "cast": Atom(_cast, result="dtype", kinds="fbiu"),
    "mask": Atom(lambda c, x, *, dtype: f"{dtype.name}({c})", result=1, kinds="bf"),
    "nothing": _text("{zero}", 0),
    "filled_where": _setting(lambda x, m, *, dtype, value: f"({number(value, dtype)} if {m} else {x})", kinds="fbi"),
    "select": _text("({1} if {0} else {2})", result=1, kinds="fbi"),
    "gate": _text("({zero} if {1} <= {zero} else {0})", 2), "relu": _text("({zero} if {0} < {zero} else {0})", 2),
    "maximum": _text(_LARGER := "({0} if ({0} > {1}) | ({0} != {0}) else {1})", 3), "at_least": _text(_LARGER, 3),
    "minimum": _text(_SMALLER := "({0} if ({0} < {1}) | ({0} != {0}) else {1})", 3), "at_most": _text(_SMALLER, 3),
    "fmax": _text("({0} if ({0} >= {1}) | ({1} != {1}) else {1})", 3),
    "fmin": _text("({0} if ({0} <= {1}) | ({1} != {1}) else {1})", 3),
    "clamp_between": _setting(_clamp), "inside": _setting(_inside), "outside": _setting(_outside),
    "prelu": _text("({0} if {0} > {zero} else {0} * {1})", 3),
    "leak": _text("({0} if {1} > {zero} else {0} * {2})", 3),
    "threshold": _setting(
        lambda x, *, dtype, threshold, value:
        f"({number(value, dtype)} if {x} <= {number(threshold, dtype)} else {x})"
    ),
}  # fmt: skip


# -- definitions: the formulas of kernels/activation, in operations ---------------------------------------------------


def _softplus(x: Any) -> Any:
    return maximum(x, 0.0) + log1p(exp(-abs(x)))


def _softplus_beta(x: Any, *, beta: float, threshold: float) -> Any:
    z = x * beta
    return select(z > threshold, x, softplus(z) / beta)


def _elu(x: Any, *, alpha: float, scale: float, rate: float) -> Any:
    return select(x < 0, expm1(minimum(x, 0.0) * rate) * (alpha * scale), x * scale)


def _bend(x: Any, *, factor: float, rate: float, above: float) -> Any:
    return filled_where(exp(minimum(x, 0.0) * rate) * factor, x > 0, value=above)


def _hardsigmoid(x: Any) -> Any:
    return clamp_between(x + 3, min=0.0, max=6.0) / 6


def _hardswish_slope(x: Any) -> Any:
    return filled_where(filled_where(x / 3 + 0.5, x >= 3, value=1.0), x <= -3, value=0.0)


def _gelu_tanh(x: Any) -> Any:
    return x * 0.5 * (1 + tanh(x * (x * x * (math.sqrt(2 / math.pi) * 0.044715) + math.sqrt(2 / math.pi))))


def _interpolate(x: Any, end: Any, weight: Any) -> Any:
    step = end - x
    if not hasattr(weight, "dtype"):
        return x + step * weight if math.fabs(weight) < 0.5 else end - step * (1 - weight)
    return select(abs(weight) < 0.5, x + step * weight, end - step * (1 - weight))


def _xlogy(x: Any, y: Any) -> Any:
    return filled_where(x * log(y), comparing.logical_and(comparing.eq(x, 0), comparing.eq(y, y)), value=0)


def _replace_nan(x: Any, *, nan: float, posinf: float | None, neginf: float | None) -> Any:
    largest = float(np.finfo(x.dtype).max)
    x = filled_where(x, comparing.isposinf(x), value=largest if posinf is None else posinf)
    x = filled_where(x, comparing.isneginf(x), value=-largest if neginf is None else neginf)
    return filled_where(x, comparing.isnan(x), value=nan)


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "log2": lambda x: log(x) * (1 / math.log(2)),
    "log10": lambda x: log(x) * (1 / math.log(10)),
    "logit": lambda x: log(x / (1 - x)),
    "deg2rad": lambda x: x * (math.pi / 180),
    "rad2deg": lambda x: x * (180 / math.pi),
    "softplus": _softplus,
    "logsigmoid": lambda x: minimum(x, 0.0) - log1p(exp(-abs(x))),
    "softplus_beta": _softplus_beta,
    "softplus_slope": lambda x, *, beta, threshold: filled_where(sigmoid(x * beta), x * beta > threshold, value=1.0),
    "hardtanh": lambda x, *, min_val, max_val: clamp_between(x, min=min_val, max=max_val),
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda x: x * (clamp_between(x + 3, min=0.0, max=6.0) / 6),
    "hardswish_slope": _hardswish_slope,
    "softshrink": lambda x, *, lambd: x - clamp_between(x, min=-lambd, max=lambd),
    "hardshrink": lambda x, *, lambd: filled_where(x, abs(x) <= lambd, value=0.0),
    "elu": _elu,
    "bend": _bend,
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * tanh(softplus(x)),
    "softsign": lambda x: x / (abs(x) + 1),
    "gelu": lambda x: x * 0.5 * (erf(x * math.sqrt(0.5)) + 1),
    "gelu_tanh": _gelu_tanh,
    "interpolate": _interpolate,
    "xlogy": _xlogy,
    "xlogx": lambda x: filled_where(x * log(x), comparing.eq(x, 0), value=0.0),
    "replace_nan": _replace_nan,
    "trunc_divide": lambda x, y: rounding.trunc(elementwise.div(x, y)),
    "floor_quotient": lambda x, y: elementwise.floor_divide(x, y),
    "step": lambda x, values: select(comparing.eq(x, 0), values, elementwise.mask(x > 0, x)),
}
