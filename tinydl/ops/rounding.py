"""Rounding, and division with a remainder. Derivatives are those of the pieces: 0 for what is piecewise constant."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops import elementwise
from tinydl.ops.elementwise import by_whole_number, mul, nothing


def _rounding(ufunc: Any) -> Any:
    """``ufunc`` on floating numbers; integers are whole already (some versions of NumPy would make them float64)."""

    def function(input: Any) -> Any:
        if input.dtype.kind == "f":
            return ufunc(input)
        if input.dtype.kind == "b":
            raise RuntimeError("rounding is not implemented for booleans; convert them with .float() or .long() first")
        return np.array(input)

    return function


def _whole(ufunc: Any, name: str) -> Any:
    return primitive(_rounding(ufunc), args="input", name=name, input=lambda g: nothing(g))


floor = _whole(np.floor, "floor")
ceil = _whole(np.ceil, "ceil")
trunc = _whole(np.trunc, "trunc")
rint = _whole(np.rint, "round")


def round(input: Any, *, decimals: int = 0) -> Any:
    """The nearest multiple of 10^-decimals, halves to the even one; its derivative is 0.

    Raises RuntimeError for integers with ``decimals``.
    """
    if not decimals:
        return rint(input)
    if input.dtype.kind != "f":
        raise RuntimeError(f"round with decimals is not implemented for {input.dtype}; convert with .float() first")
    scale = 10.0 ** abs(decimals)
    up, down = (mul, elementwise.div) if decimals > 0 else (elementwise.div, mul)
    return down(rint(up(input, scale)), scale)


@primitive(input=lambda g: g)
def frac(input: Any) -> Any:
    """input - trunc(input)."""
    if input.dtype.kind != "f":
        raise RuntimeError(f"frac is not implemented for {input.dtype}; it is 0 for whole numbers")
    return input - np.trunc(input)


def _trunc_quotient(input: Any, other: Any) -> Any:
    if (other if hasattr(other, "dtype") else input).dtype.kind == "f":
        return np.trunc(np.true_divide(input, other))
    quotient = np.floor_divide(input, other)
    return quotient + ((quotient < 0) & (np.multiply(quotient, other) != input)).astype(quotient.dtype)


trunc_divide: Any = primitive(
    by_whole_number(_trunc_quotient, "div"), args="input other", name="trunc_divide", promote="same",
    input=lambda g: nothing(g), other=lambda g: nothing(g),
)  # fmt: skip
floor_quotient: Any = primitive(
    by_whole_number(np.floor_divide, "div"), args="input other", name="floor_quotient", promote="same",
    input=lambda g: nothing(g), other=lambda g: nothing(g),
)  # fmt: skip
fmod = primitive(
    by_whole_number(np.fmod, "fmod"), args="input other", name="fmod", promote="same",
    input=lambda g: g,
    other=lambda g, input, other: -(g * trunc_divide(input, other)),
)  # fmt: skip


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """input / other, rounded as ``rounding_mode`` says: None (a true quotient), "trunc" (towards 0) or "floor".

    A rounded quotient keeps integer dtypes and has the derivative 0. Raises RuntimeError for any other mode.
    """
    if rounding_mode is None:
        return elementwise.div(input, other)
    if rounding_mode == "trunc":
        return trunc_divide(input, other)
    if rounding_mode == "floor":
        return floor_quotient(input, other)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
