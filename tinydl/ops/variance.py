"""Variances and standard deviations, alone and beside the mean.

Each is PyTorch's function and the primitive in one, as in :mod:`tinydl.ops.reducing`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import axis_of, count, kept, one_line
from tinydl.ops.comparing import eq
from tinydl.ops.elementwise import gate, mask
from tinydl.ops.reducing import in_line, mean
from tinydl.ops.shaping import expand_to

_MOMENTS = by_dtype("moments")


def _settled(dim: Any, unbiased: Any, correction: Any, axis: Any) -> tuple[Any, float]:
    """(dim, correction) from PyTorch's overloads: ``var(x, False)`` says unbiased, ``var(x, 1, False)`` both."""
    if axis is not None:
        dim = axis
    if type(dim) in (bool, np.bool_):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return dim, correction


def _moments(x: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any, axis: Any) -> tuple[Any, Any]:
    """(variance, mean) of an array."""
    if x.dtype.kind != "f":
        raise RuntimeError(f"std and var only support floating point and complex dtypes, got {x.dtype}")
    dim, correction = _settled(dim, unbiased, correction, axis)
    over = None if dim is None else axis_of(dim, x.ndim)
    line, at = one_line(x, over)
    found: tuple[Any, Any] = _MOMENTS[x.dtype](line, at, correction)
    if keepdim:
        shape = kept(x.shape, over)
        return found[0].reshape(shape), found[1].reshape(shape)
    return found


def _from_var(g: Any, x: Any, dim: Any, unbiased: Any, correction: Any, axis: Any) -> Any:
    dim, correction = _settled(dim, unbiased, correction, axis)
    n = count(x.shape, axis_of(dim, len(x.shape)))
    factor = 2 / (n - correction) if n > correction else float("inf")
    return (x - mean(x, dim, True)) * (in_line(g, x.shape, dim, None) * factor)


def _from_std(g: Any, x: Any, out: Any, dim: Any, unbiased: Any, correction: Any, axis: Any) -> Any:
    """Where the deviation is 0, so is its gradient."""
    slope = gate(g, out) / (out * 2 + mask(eq(out, 0), g))
    return _from_var(slope, x, dim, unbiased, correction, axis)


def _from_mean(g: Any, x: Any, dim: Any, unbiased: Any, correction: Any, axis: Any) -> Any:
    dim, _ = _settled(dim, unbiased, correction, axis)
    return in_line(g, x.shape, dim, None) / count(x.shape, axis_of(dim, len(x.shape)))


def _from_var_mean(needs: Any, g: Any, input: Any, dim: Any, unbiased: Any, correction: Any, axis: Any) -> tuple[Any]:
    overloads = dim, unbiased, correction, axis
    of_var = None if g[0] is None else _from_var(g[0], input, *overloads)
    return (_both(of_var, g[1], input, overloads),)


def _from_std_mean(
    needs: Any, g: Any, input: Any, std: Any, dim: Any, unbiased: Any, correction: Any, axis: Any
) -> tuple[Any]:
    overloads = dim, unbiased, correction, axis
    of_std = None if g[0] is None else _from_std(g[0], input, std, *overloads)
    return (_both(of_std, g[1], input, overloads),)


def _both(first: Any, g: Any, x: Any, overloads: tuple[Any, ...]) -> Any:
    """The gradient through the first result, and that through the mean, spread out."""
    if g is None:
        return first
    of_mean = _from_mean(g, x, *overloads)
    return first + of_mean if first is not None else expand_to(of_mean, shape=x.shape)


@primitive(
    settings="dim unbiased keepdim",
    input=lambda g, input, dim, unbiased, correction, axis: _from_var(g, input, dim, unbiased, correction, axis),
)
def var(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """sum (x - mean)^2 / (n - correction) over ``dim``; ``correction`` is Bessel's 1 unless given (``unbiased=False``
    is 0). NaN or infinite where n <= correction."""
    return _moments(input, dim, unbiased, keepdim or keepdims, correction, axis)[0]


@primitive(
    settings="dim unbiased keepdim",
    input=lambda g, input, out, dim, unbiased, correction, axis: _from_std(
        g, input, out, dim, unbiased, correction, axis
    ),
)
def std(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """Standard deviation: the square root of :func:`var`; where it is 0, so is its gradient."""
    variance, _ = _moments(input, dim, unbiased, keepdim or keepdims, correction, axis)
    return np.sqrt(variance, variance)


@primitive(settings="dim unbiased keepdim", outputs=("var", "mean"), joint=_from_var_mean)
def var_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> tuple[Any, Any]:
    """(:func:`var`, :func:`mean`)."""
    return _moments(input, dim, unbiased, keepdim or keepdims, correction, axis)


@primitive(settings="dim unbiased keepdim", outputs=("std", "mean"), joint=_from_std_mean)
def std_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> tuple[Any, Any]:
    """(:func:`std`, :func:`mean`)."""
    variance, mean = _moments(input, dim, unbiased, keepdim or keepdims, correction, axis)
    return np.sqrt(variance, variance), mean
