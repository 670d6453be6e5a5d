"""The CUDA C++ of a fused function: from what ``text.py`` writes for the CPU, by ``kernels/pointwise.py``.

Each atom of ``formulas.py`` has a formula here too. Definitions need none: they are made of atoms. Nothing that the
forward loop computed is kept for the backward loop: a GPU computes it again while it waits for memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tinydl.fusion.text import ordered, space
from tinydl.fusion.tracing import Expression
from tinydl.kernels.pointwise import RESERVED, TYPES, Leaf, Line, Pointwise, Store, number

Shape = tuple[int, ...]
Formula = Callable[..., str]

#: Elements from which on places are numbers of 64 bits.
LARGE = 1 << 31


def _text(template: str) -> Formula:
    """``{0}`` and so on are the operands, ``{T}`` their dtype's name in C++."""

    def formula(*x: str, dtype: Any) -> str:
        infinite = number(math.inf, dtype) if dtype.kind == "f" else ""
        zero, one = number(0, dtype), number(1, dtype)
        return template.format(*x, T=TYPES[dtype.name], zero=zero, one=one, inf=infinite)

    return formula


def _power(x: str, e: str, *, dtype: Any) -> str:
    """The common powers by multiplying, as on the CPU."""
    common = {2.0: f"{x} * {x}", 3.0: f"{x} * {x} * {x}", 0.5: f"sqrt({x})", 1.0: x, 4.0: f"({x} * {x}) * ({x} * {x})",
              -1.0: f"{number(1, dtype)} / {x}"}  # fmt: skip
    known = {number(value, dtype): formula for value, formula in common.items()}
    return known.get(e, f"pow({x}, {e})")


def _cast(x: str, *, dtype: Any) -> str:
    return f"{x} != 0" if dtype.kind == "b" else f"({TYPES[dtype.name]}){x}"


def _clamp(x: str, *, dtype: Any, min: Any, max: Any) -> str:
    low, high = (None if bound is None else number(bound, dtype) for bound in (min, max))
    at_least = x if low is None else f"({x} < {low} ? {low} : {x})"
    return at_least if high is None else f"{at_least} > {high} ? {high} : {at_least}"  # where min > max, max


def _inside(x: str, y: str, *, dtype: Any, low: float, high: float) -> str:
    return f"{y} <= {number(low, dtype)} || {y} >= {number(high, dtype)} ? {number(0, dtype)} : {x}"


def _outside(x: str, y: str, *, dtype: Any, lambd: float) -> str:
    return f"{y} >= {number(-lambd, dtype)} && {y} <= {number(lambd, dtype)} ? {number(0, dtype)} : {x}"


_LARGER = "{0} > {1} || {0} != {0} ? {0} : {1}"  # a NaN is larger, and smaller, than everything
_SMALLER = "{0} < {1} || {0} != {0} ? {0} : {1}"

FORMULAS: dict[str, Formula] = {
    **{name: _text(template) for name, template in {
        "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "neg": "-{0}",
        "square": "{0} * {0}", "reciprocal": "{one} / {0}", "sqrt": "sqrt({0})", "rsqrt": "{one} / sqrt({0})",
        "abs": "fabs({0})", "floor": "floor({0})", "ceil": "ceil({0})", "trunc": "trunc({0})", "round": "rint({0})",
        "frac": "{0} - trunc({0})", "sign": "{0} > {zero} ? {one} : {0} < {zero} ? -{one} : {0}",
        "copysign": "copysign({0}, {1})", "hypot": "hypot({0}, {1})", "fmod": "fmod({0}, {1})",
        "remainder": "modulo({0}, {1})", "floor_divide": "floor_quotient({0}, {1})",
        "logaddexp": "logaddexp({0}, {1})", "atan2": "atan2({0}, {1})",
        **{f: f"{f}({{0}})" for f in (
            "exp", "exp2", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "erfc", "sin", "cos", "tan", "asin",
            "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
        )},
        "eq": "{0} == {1}", "ne": "{0} != {1}", "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}",
        "ge": "{0} >= {1}",
        "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}", "bitwise_not": "!{0}",
        "logical_and": "{0} & {1}", "logical_or": "{0} | {1}", "logical_xor": "{0} ^ {1}", "logical_not": "!{0}",
        "isnan": "{0} != {0}", "isinf": "fabs({0}) == {inf}", "isfinite": "fabs({0}) < {inf}",
        "isposinf": "{0} == {inf}", "isneginf": "{0} == -{inf}",
        "mask": "({T}){0}", "nothing": "{zero}", "select": "{0} ? {1} : {2}",
        "gate": "{1} <= {zero} ? {zero} : {0}", "relu": "{0} < {zero} ? {zero} : {0}",
        "maximum": _LARGER, "at_least": _LARGER, "minimum": _SMALLER, "at_most": _SMALLER,
        "fmax": "{0} >= {1} || {1} != {1} ? {0} : {1}", "fmin": "{0} <= {1} || {1} != {1} ? {0} : {1}",
        "prelu": "{0} > {zero} ? {0} : {0} * {1}", "leak": "{1} > {zero} ? {0} : {0} * {2}",
    }.items()},
    "pow": _power, "cast": _cast, "clamp_between": _clamp, "inside": _inside, "outside": _outside,
    "filled_where": lambda x, m, *, dtype, value: f"{m} ? {number(value, dtype)} : {x}",
    "threshold": lambda x, *, dtype, threshold, value:
        f"{x} <= {number(threshold, dtype)} ? {number(value, dtype)} : {x}",
}  # fmt: skip


def renamed(names: Sequence[str]) -> list[str]:
    """The names, with an underscore added where C++ or the text means something else by them."""
    found: list[str] = []
    for name in names:
        while name in RESERVED or name in found or not name.isascii():
            name = f"{name}_" if name.isascii() else f"x{len(found)}"
        found.append(name)
    return found


def pointwise(
    name: str, notes: Sequence[str], leaves: Sequence[tuple[Expression, str, Shape]],
    results: Sequence[tuple[str, Expression, Shape]], shape: Shape,
) -> tuple[Pointwise, Shape]:  # fmt: skip
    """The loop of a kernel, as ``text.kernel_text`` gets it, in CUDA C++; and the sizes of its index space."""
    common = space(shape, [s for _, _, s in leaves] + [s for _, _, s in results])
    labels = renamed([n for _, n, _ in leaves] + [n for n, _, _ in results])
    read = {e.position: label for (e, _, _), label in zip(leaves, labels)}
    lines = _lines(ordered((e for _, e, _ in results), read), read)
    made = Pointwise(
        name, len(common.sizes),
        tuple(Leaf(label, e.dtype, h) for (e, _, _), label, h in zip(leaves, labels, common.has)),
        tuple(lines.values()),
        tuple(
            Store(label, e.dtype, lines[e.plain().position].name if e.plain().position in lines else
                  read.get(e.plain().position) or number(e.plain().number, e.dtype), h)
            for (_, e, _), label, h in zip(results, labels[len(leaves) :], common.has[len(leaves) :])
        ),
        tuple(notes), math.prod(shape) >= LARGE,
    )  # fmt: skip
    return made, common.sizes


def _lines(expressions: Sequence[Expression], read: dict[int, str]) -> dict[int, Line]:
    """A line for each expression that is no leaf and no number, by position."""
    names, found = dict(read), dict[int, Line]()
    for e in expressions:
        if e.position in read:
            continue
        if e.number is not None:
            names[e.position] = number(e.number, e.dtype)
            continue
        assert e.op is not None
        operands = [] if e.op.name == "nothing" else [x.plain() for x in e.inputs]
        dtype = e.dtype if e.dtype.kind == "f" or not operands else operands[0].dtype
        dtype = e.dtype if e.op.name == "cast" else dtype
        settings = {k: v for k, v in e.static.items() if k != "dtype"}
        formula = FORMULAS[e.op.name](*([names[x.position] for x in operands]), dtype=dtype, **settings)
        names[e.position] = f"t{len(found) + 1}"
        found[e.position] = Line(names[e.position], e.dtype, formula)
    return found
