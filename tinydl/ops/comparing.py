"""Comparisons, logic, bits, and questions about numbers. Their results never require a gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import misfit, primitive


def _plain(ufunc: Any, args: str, name: str, promote: str | None = "same") -> Any:
    return primitive(ufunc, args=args, name=name, promote=promote, differentiable=False)


def _bits(ufunc: Any, args: str, name: str) -> Any:
    """Of integers and booleans; NumPy's own words for the rest do not say what to do."""

    def forward(*inputs: Any) -> Any:
        try:
            return ufunc(*inputs)
        except TypeError:
            raise NotImplementedError(
                f'"{name}" not implemented for {inputs[0].dtype}; compare first, as in (x > 0) & (y > 0), or convert '
                "with .long()"
            ) from None

    forward.__doc__ = ufunc.__doc__
    return _plain(forward, args, name)


eq = _plain(np.equal, "input other", "eq")
ne = _plain(np.not_equal, "input other", "ne")
lt = _plain(np.less, "input other", "lt")
le = _plain(np.less_equal, "input other", "le")
gt = _plain(np.greater, "input other", "gt")
ge = _plain(np.greater_equal, "input other", "ge")
logical_and = _plain(np.logical_and, "input other", "logical_and")
logical_or = _plain(np.logical_or, "input other", "logical_or")
logical_xor = _plain(np.logical_xor, "input other", "logical_xor")
logical_not = _plain(np.logical_not, "input", "logical_not")
bitwise_and = _bits(np.bitwise_and, "input other", "bitwise_and")
bitwise_or = _bits(np.bitwise_or, "input other", "bitwise_or")
bitwise_xor = _bits(np.bitwise_xor, "input other", "bitwise_xor")
bitwise_not = _bits(np.invert, "input", "bitwise_not")
bitwise_left_shift = _bits(np.left_shift, "input other", "bitwise_left_shift")
bitwise_right_shift = _bits(np.right_shift, "input other", "bitwise_right_shift")
isnan = _plain(np.isnan, "input", "isnan", None)
isfinite = _plain(np.isfinite, "input", "isfinite", None)
isinf = _plain(np.isinf, "input", "isinf", None)


@primitive(differentiable=False)
def isposinf(input: Any) -> Any:
    """Whether input is +infinity."""
    return np.equal(input, np.inf)


@primitive(differentiable=False)
def isneginf(input: Any) -> Any:
    """Whether input is -infinity."""
    return np.equal(input, -np.inf)


@primitive(differentiable=False)
def isreal(input: Any) -> Any:
    """True everywhere: there are no complex dtypes."""
    return np.ones(input.shape, np.bool_)


@primitive(differentiable=False)
def signbit(input: Any) -> Any:
    """Whether the sign bit is set: true for -0.0 too."""
    return np.signbit(input) if input.dtype.kind == "f" else np.less(input, 0)


def _check_same_dtype(name: str, input: Any, other: Any) -> None:
    if input.dtype != other.dtype:
        raise RuntimeError(
            f"{name}: {input.dtype} did not match {other.dtype}; bring both to one dtype, as in other.to(input.dtype)"
        )


@primitive(differentiable=False)
def close(input: Any, other: Any, *, rtol: float, atol: float, equal_nan: bool) -> Any:
    """|input - other| <= atol + rtol |other|, or both equal (infinities too), or, if asked, both NaN."""
    if input.dtype.kind == "b":
        return np.equal(input, other)
    if input.dtype.kind != "f":  # unsigned differences wrap around
        input, other = input.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.absolute(np.subtract(input, other))
        near = np.equal(input, other) | (np.isfinite(apart) & (apart <= atol + rtol * np.absolute(other)))
    return near | (np.isnan(input) & np.isnan(other)) if equal_nan else near


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Elementwise: whether |input - other| <= atol + rtol |other|; equal infinities are close, NaN by choice."""
    _check_same_dtype("isclose", input, other)
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance}")
    try:
        return close(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)
    except ValueError as error:
        misfit("isclose", error, (input, other))


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether :func:`isclose` holds everywhere; a bool of Python."""
    return bool(np.all(isclose(input, other, rtol, atol, equal_nan).array))


def equal(input: Any, other: Any) -> bool:
    """Whether the two have one shape and equal elements; a bool of Python."""
    return bool(tuple(input.shape) == tuple(other.shape) and np.all(eq(input, other).array))


def is_nonzero(input: Any) -> bool:
    """Whether the only element is not zero. Raises RuntimeError for any other number of elements."""
    return bool(input)


def is_floating_point(input: Any) -> bool:
    """Whether the dtype is floating."""
    return bool(input.dtype.kind == "f")


def numel(input: Any) -> int:
    """Number of elements."""
    return math.prod(input.shape)
