"""Norms of vectors: ``linalg.vector_norm``, which is also the primitive, and ``norm`` and ``dist`` on top of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import axis_of, count, kept, one_line, pick_dim
from tinydl.ops.casting import cast
from tinydl.ops.comparing import eq
from tinydl.ops.elementwise import abs as magnitude
from tinydl.ops.elementwise import mask, pow, sign
from tinydl.ops.extrema import tie_shares
from tinydl.ops.reducing import as_dtype_of, in_line
from tinydl.ops.shaping import reshape_to

_VECTOR_NORM = by_dtype("vector_norm")


def _from_norm(g: Any, x: Any, out: Any, dtype: Any, ord: float, dim: Any, axis: Any) -> Any:
    """d|x|/dx = sign(x) (|x| / norm)^(ord - 1); 0 where the norm is 0, and for the count of what is not zero."""
    shape = x.shape
    x, g = as_dtype_of(x, g), in_line(g, shape, dim, axis)
    size = in_line(out, shape, dim, axis)
    nothing = mask(eq(size, 0), g)
    if ord == 2:
        found = x * (g * (1 - nothing) / (size + nothing))
    elif ord == 1:
        found = sign(x) * g
    elif ord == 0:
        found = sign(x) * (g * 0)
    elif math.isinf(ord):
        found = sign(x) * g * tie_shares(magnitude(x), size, axis=axis_of(pick_dim(dim, axis), len(shape)))
    else:  # |x|^(ord - 1) may be infinite at 0, where its sign makes it 0
        each = magnitude(x) + mask(eq(x, 0), x)
        found = sign(x) * pow(each, ord - 1) * (g * (1 - nothing) / pow(size + nothing, ord - 1))
    return found if found.dtype == dtype else cast(found, dtype=dtype)


@primitive(
    settings="ord dim keepdim",
    x=lambda g, x, out, x_dtype, ord, dim, axis: _from_norm(g, x, out, x_dtype, ord, dim, axis),
)
def vector_norm(
    x: Any,
    ord: float = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """(sum |x|^ord)^(1/ord) over ``dim`` (all elements without it); ``ord`` may be inf, -inf, 0 or any number.

    Where the norm is 0, so is its gradient.
    """
    if dtype is not None:
        x = x.astype(dtypes.as_dtype(dtype), copy=False)
    if x.dtype.kind != "f":
        raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {x.dtype}")
    if axis is None:
        axis = dim
    if axis is None and x.size and not (keepdim or keepdims):  # the usual cases first
        return _VECTOR_NORM[x.dtype](x, None, ord)
    if type(axis) is int and x.size and -x.ndim <= axis < x.ndim:
        out = _VECTOR_NORM[x.dtype](x, axis % x.ndim, ord)
        return out.reshape(kept(x.shape, axis)) if keepdim or keepdims else out
    over = None if axis is None else axis_of(axis, x.ndim)
    if not x.size and (ord < 0 or math.isinf(ord)) and not count(x.shape, over):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty dimension, and the shape is {tuple(x.shape)}"
        )
    line, at = one_line(x, over)
    out = _VECTOR_NORM[x.dtype](line, at, ord)
    return out.reshape(kept(x.shape, over)) if keepdim or keepdims else out


def _from_sums(g: Any, A: Any, out: Any, over: int, then: int, keepdim: bool) -> Any:
    """Where the sums are extreme, equally for all that are, the signs."""
    line = kept(A.shape, (over, then))
    if not keepdim:
        g, out = reshape_to(g, shape=line), reshape_to(out, shape=line)
    sums = vector_norm(A, 1, over, True)
    return sign(A) * (g * tie_shares(sums, out, axis=(then,)))


@primitive(
    A=lambda g, A, out, over, then, keepdim: _from_sums(g, A, out, over, then, keepdim),
)
def extreme_sums(A: Any, *, over: int, then: int, largest: bool, keepdim: bool) -> Any:
    """The largest (or least) along ``then`` of the sums of magnitudes along ``over``, another dimension."""
    sums = _VECTOR_NORM[A.dtype](A, over, 1)
    if sums.ndim == 1:  # of few numbers the place is found sooner
        out = np.asarray(sums[sums.argmax() if largest else sums.argmin()])
    else:
        out = (np.maximum if largest else np.minimum).reduce(sums, then if then < over else then - 1)
    return out.reshape(kept(A.shape, (over, then))) if keepdim else out


def norm(
    input: Any,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """(sum |x|^p)^(1/p) over ``dim`` (all, by default); p = "fro" is 2, inf and -inf the extrema of |x|, 0 the count
    of nonzeros. The subgradient at 0 is 0.

    Raises RuntimeError for whole numbers and for p = "nuc" (a matrix norm: the sum of the singular values).
    """
    if dtype is None and input.dtype.kind != "f":
        raise RuntimeError(
            f"norm: Expected a floating point or complex tensor as input. Got {input.dtype}; convert with .float()"
        )
    if p is None or p == "fro":
        p = 2
    elif isinstance(p, str):
        raise RuntimeError(f"norm: p is a number, inf, -inf or 'fro', got {p!r}")
    elif math.isinf(p) and 0 in input.shape:
        _refuse_nothing(input, p, pick_dim(dim, axis))
    return vector_norm(input, p, dim, keepdim or keepdims, dtype=dtype, axis=axis)


def _refuse_nothing(input: Any, p: float, dim: Any) -> None:
    if not count(input.shape, axis_of(dim, input.ndim)):
        raise RuntimeError(
            f"norm cannot compute the {p} norm on an empty tensor because the operation does not have an identity"
        )


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The :func:`norm` of input - other."""
    return norm(input - other, p)
