"""Elementwise functions of several operands or with options, made of the operations in ``elementwise``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import misfit, primitive
from tinydl.ops import elementwise
from tinydl.ops.casting import cast
from tinydl.ops.comparing import isfinite
from tinydl.ops.elementwise import clamp_between, div, mul, pow, where_holds


def _factor(name: str, value: Any, *operands: Any) -> Any:
    """``value`` (``alpha`` or ``value`` of the functions below), which must be whole where all operands are."""
    if isinstance(value, float) and all(x.dtype.kind != "f" for x in operands if hasattr(x, "dtype")):
        if not any(isinstance(x, float) for x in operands):
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    return value


def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """input + alpha other."""
    return elementwise.add(input, other if alpha == 1 else mul(other, _factor("alpha", alpha, input, other)))


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """input - alpha other. Raises for booleans, whose difference is :func:`logical_xor`."""
    return elementwise.sub(input, other if alpha == 1 else mul(other, _factor("alpha", alpha, input, other)))


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """input + value tensor1 tensor2."""
    product = mul(tensor1, tensor2)
    if value != 1:
        product = mul(product, _factor("value", value, input, tensor1, tensor2))
    return elementwise.add(input, product)


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """input + value tensor1 / tensor2; raises RuntimeError where both tensors hold whole numbers."""
    if tensor1.dtype.kind != "f" and tensor2.dtype.kind != "f":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported; convert tensor1 or tensor2 with .float(), or write "
            "input + value * div(tensor1, tensor2, rounding_mode='trunc')"
        )
    quotient = div(tensor1, tensor2)
    return elementwise.add(input, quotient if value == 1 else mul(quotient, value))


@primitive(
    input=lambda g, weight: g * (1 - weight),
    end=lambda g, weight: g * weight,
    weight=lambda g, input, end: g * (end - input),
)
def interpolate(input: Any, end: Any, weight: Any) -> Any:
    """input + weight (end - input), from the nearer end, so that weight 1 gives ``end`` itself."""
    step = end - input
    if not hasattr(weight, "dtype"):
        return input + step * weight if abs(weight) < 0.5 else end - step * (1 - weight)
    return np.where(np.absolute(weight) < 0.5, input + step * weight, end - step * (1 - weight))


def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight (end - input), elementwise; ``weight`` is a number or a tensor. One floating dtype for all."""
    if input.dtype.kind != "f":
        raise RuntimeError(f"lerp is not implemented for {input.dtype}; convert with .float() first")
    for name, x in (("end", end), ("weight", weight)):
        if getattr(x, "dtype", input.dtype) != input.dtype:
            raise RuntimeError(f"expected dtype {input.dtype} for `{name}` but got dtype {x.dtype}")
    try:
        return interpolate(input, end, weight)
    except ValueError as error:
        misfit("lerp", error, (input, end, weight))


def float_power(input: Any, exponent: Any) -> Any:
    """input ** exponent, computed in float64."""
    want = dtypes.float64
    return pow(*[cast(x, dtype=want) if hasattr(x, "dtype") else np.asarray(x, want) for x in (input, exponent)])


def logit(input: Any, eps: float | None = None) -> Any:
    """log(x / (1 - x)), the inverse of :func:`sigmoid`; with ``eps``, x is first limited to [eps, 1 - eps]."""
    if eps is None:
        return elementwise.logit(input)
    if input.dtype.kind != "f":
        input = cast(input, dtype=dtypes.get_default_dtype())
    return elementwise.logit(clamp_between(input, min=eps, max=1 - eps))


@primitive(input=lambda g, input: where_holds(g, isfinite(input)))
def replace_nan(input: Any, *, nan: float, posinf: float | None, neginf: float | None) -> Any:
    """The replacement behind :func:`nan_to_num`; the gradient passes where the input is finite."""
    if input.dtype.kind != "f":
        return np.array(input)
    return np.nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf)


def nan_to_num(input: Any, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """NaN replaced by ``nan``, infinities by ``posinf`` and ``neginf`` (the largest finite numbers by default)."""
    return replace_nan(input, nan=nan or 0.0, posinf=posinf, neginf=neginf)


@primitive(differentiable=False)
def step(input: Any, values: Any) -> Any:
    """0 where input < 0, 1 where input > 0, ``values`` where it is 0; NaN gives 0."""
    return np.where(np.equal(input, 0), values, np.greater(input, 0).astype(input.dtype))


def heaviside(input: Any, values: Any) -> Any:
    """0 where input < 0, 1 where input > 0, ``values`` where it is 0. One dtype for both; no derivative."""
    if input.dtype != values.dtype:
        raise RuntimeError(
            f"heaviside is not yet implemented for tensors with different dtypes: {input.dtype} and {values.dtype}"
        )
    return step(input, values)
