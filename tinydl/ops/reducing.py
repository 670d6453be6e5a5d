"""Reductions: sums, means, variances, norms, products, log-sum-exp, softmax. The extrema have a file of their own.

The primitives take NumPy's ``axis`` (a tuple, or None for all) and ``keepdims``; the functions below them take
PyTorch's ``dim`` and ``keepdim`` (``axis`` works too) and check them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import axis_of as axis_of
from tinydl.ops.axes import count, kept, needed_dim, pick_dim, reduced
from tinydl.ops.axes import one_axis as one_axis
from tinydl.ops.casting import cast
from tinydl.ops.comparing import eq, isnan, logical_not, ne
from tinydl.ops.elementwise import abs, exp, gate, mask, pow, sign, square, where
from tinydl.ops.shaping import expand_to, reshape_to


def _back(g: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Spread the gradient of a reduced tensor over the shape it came from."""
    return expand_to(reshape_to(g, shape=kept(shape, axis)), shape=shape)


def _sum(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """Sum over ``axis``."""
    if axis is None and not keepdims:
        return np.add.reduce(input, None)
    if input.size > _BLOCK and axis is not None and input.dtype == np.float32 and input.flags.c_contiguous:
        axes = axis if type(axis) is tuple else (axis,)
        if axes and len(axes) < input.ndim and axes == tuple(range(len(axes))):
            kept_shape = input.shape[len(axes) :]
            out = sum_rows(input.reshape(-1, *kept_shape))
            return out.reshape((1,) * len(axes) + kept_shape) if keepdims else out
    return np.add.reduce(input, axis=axis, keepdims=keepdims)


reduce_sum: Any = primitive(
    _sum, name="reduce_sum", input=lambda g, input_shape, axis: _back(g, input_shape, axis)
)  # fmt: skip


def _to_numbers(g: Any, x: Any, axis: Any) -> Any:
    """The gradient of a sum of what is not NaN; chosen, not multiplied: ``g`` may be NaN itself."""
    return gate(_back(g, x.shape, axis), mask(eq(x, x), g))


@primitive(input=lambda g, input, axis: _to_numbers(g, input, axis))
def sum_numbers(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """The sum over ``axis`` of what is not NaN."""
    return np.add.reduce(input, axis=axis, keepdims=keepdims, where=np.equal(input, input))


_BLOCK = 512


def sum_rows(x: Any) -> Any:
    """The sum over the first dimension, by blocks of blocks.

    NumPy adds pairwise along the last dimension only; down a column it adds one by one, and 2,000,000 times 0.1 in
    float32 comes out 1.5 % short.
    """
    while len(x) > 2 * _BLOCK:
        whole = len(x) // _BLOCK * _BLOCK
        blocks = np.add.reduce(x[:whole].reshape(-1, _BLOCK, *x.shape[1:]), axis=1)
        x = np.concatenate([blocks, np.add.reduce(x[whole:], axis=0)[None]])
    return np.add.reduce(x, axis=0)


@primitive(input=lambda g, out: gate(g, out) / (out * 2 + mask(eq(out, 0), g)))
def root(input: Any) -> Any:
    """The square root, with the subgradient 0 at 0."""
    return np.sqrt(input)


@primitive(input=lambda g, input_shape, axis: _back(g, input_shape, axis) / count(input_shape, axis))
def reduce_mean(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """Mean over ``axis``; of nothing, NaN."""
    n = count(input.shape, axis)
    total = _sum(input, axis=axis, keepdims=keepdims)
    return np.divide(total, np.asarray(n, input.dtype)) if n else np.full_like(total, np.nan)


@primitive(input=lambda g, input, axis, correction: _from_var(g, input, axis, correction))
def reduce_var(input: Any, *, axis: Any, keepdims: Any, correction: float) -> Any:
    """sum (x - mean)^2 / max(n - correction, 0) over ``axis``, in two passes."""
    if not keepdims and (axis is None or type(axis) is tuple and len(axis) == 1) and input.ndim:
        lines = input.reshape(-1) if axis is None and input.ndim > 1 else input
        return _VARIANCE[input.dtype](lines, 0 if axis is None else axis[0], correction)
    n = count(input.shape, axis)
    centred = input - _sum(input, axis=axis, keepdims=True) / n if n else np.array(input)
    total = _sum(np.square(centred, centred), axis=axis, keepdims=keepdims)
    if n > correction:
        return np.multiply(total, np.asarray(1 / (n - correction), input.dtype))
    with np.errstate(invalid="ignore"):  # too few numbers for a variance: 0 times infinity is NaN
        return total * np.asarray(np.inf, input.dtype)


def _from_var(g: Any, x: Any, axis: Any, correction: float) -> Any:
    n = count(x.shape, axis)
    factor = 2 / (n - correction) if n > correction else float("inf")
    return (x - reduce_mean(x, axis=axis, keepdims=True)) * (reshape_to(g, shape=kept(x.shape, axis)) * factor)


@primitive(input=lambda g, input, out, axis: _from_norm(g, input, out, axis))
def reduce_norm(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """The Euclidean norm over ``axis``, with the subgradient 0 at 0."""
    return np.sqrt(_sum(np.square(input), axis=axis, keepdims=keepdims))


def _from_norm(g: Any, x: Any, out: Any, axis: Any) -> Any:
    return x * reshape_to(g / (out + mask(eq(out, 0), g)), shape=kept(x.shape, axis))


def norm_over(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    """(sum |x|^p)^(1/p) over ``axis``; infinite p: the extrema, 0: the count of what is not zero. Where the norm is 0,
    so is its gradient."""
    p = float(ord)
    if p == 2:
        return reduce_norm(x, axis=axis, keepdims=keepdims)
    if p == 0:
        return reduce_sum(square(sign(x)), axis=axis, keepdims=keepdims)
    size = abs(x)
    if p == 1:
        return reduce_sum(size, axis=axis, keepdims=keepdims)
    if math.isinf(p):
        from tinydl.ops.extrema import reduce_max, reduce_min

        return (reduce_max if p > 0 else reduce_min)(size, axis=axis, keepdims=keepdims)
    if p < 2:  # |x|^p has an infinite slope at 0 for p < 1, and a second one for p < 2
        zero = mask(eq(size, 0), size)
        total = reduce_sum(pow(size + zero, p) * (1 - zero), axis=axis, keepdims=keepdims)
    else:
        total = reduce_sum(pow(size, p), axis=axis, keepdims=keepdims)
    nothing = mask(eq(total, 0), total)
    return gate(pow(total + nothing, 1 / p), total)


@primitive(input=lambda g, input, axis: reshape_to(g, shape=kept(input.shape, axis)) * _others(input, axis))
def reduce_prod(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """Product over one ``axis`` or, for None, over all."""
    return np.multiply.reduce(input, axis=axis, keepdims=keepdims)


def _others(x: Any, axis: Any) -> Any:
    """For each element the product of all others: of those before it times those after it, right beside zeros too."""
    from tinydl.ops.arranging import reverse
    from tinydl.ops.scanning import running_product, shifted

    if axis is None:
        flat = reshape_to(x, shape=(count(x.shape, None),))
        return reshape_to(_others(flat, 0), shape=x.shape)
    after = reverse(running_product(reverse(x, axes=(axis,)), axis=axis), axes=(axis,))
    return shifted(running_product(x, axis=axis), axis=axis, by=1, fill=1) * shifted(after, axis=axis, by=-1, fill=1)


@primitive(input=lambda g, input, out, axis: g_of_logsumexp(g, input, out, axis))
def reduce_logsumexp(input: Any, *, axis: Any, keepdims: bool) -> Any:
    """log sum exp over ``axis``, shifted by the maximum; -inf where every term is, and of nothing."""
    if not count(input.shape, axis):
        return np.full(reduced(input.shape, axis, keepdims), -np.inf, input.dtype)
    top = np.maximum.reduce(input, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    with np.errstate(divide="ignore"):
        out = np.log(np.add.reduce(np.exp(input - top), axis=axis, keepdims=True)) + top
    return out if keepdims else out.reshape(reduced(input.shape, axis, False))


def g_of_logsumexp(g: Any, x: Any, out: Any, axis: Any) -> Any:
    """Softmax times the gradient."""
    shape = kept(x.shape, axis)
    return reshape_to(g, shape=shape) * exp(x - reshape_to(out, shape=shape))


_VARIANCE = by_dtype("variance")
_SOFTMAX, _LOG_SOFTMAX = by_dtype("softmax"), by_dtype("log_softmax")


@primitive(promote="float", input=lambda g, out, axis: out * (g - reduce_sum(g * out, axis=axis, keepdims=True)))
def softmax_over(input: Any, *, axis: int) -> Any:
    """e^x / sum e^x along ``axis``."""
    return _SOFTMAX[input.dtype](input, axis)


@primitive(promote="float", input=lambda g, out, axis: g - exp(out) * reduce_sum(g, axis=axis, keepdims=True))
def log_softmax_over(input: Any, *, axis: int) -> Any:
    """x - log sum e^x along ``axis``."""
    return _LOG_SOFTMAX[input.dtype](input, axis)


def _logical(ufunc: Any, name: str) -> Any:
    def function(input: Any, *, axis: Any, keepdims: Any) -> Any:
        out = ufunc.reduce(input, axis=axis, keepdims=keepdims)
        return out if input.dtype != np.uint8 else np.asarray(out).astype(np.uint8)

    return primitive(function, name=name, differentiable=False)


any_over = _logical(np.logical_or, "any")
all_over = _logical(np.logical_and, "all")


# ------------------------------------------------------------------------------------------------ PyTorch's functions


def refuse_out(name: str, out: Any) -> None:
    """NumPy's functions pass ``out=None`` to methods; anything else raises: to write into memory is for ``copy_``."""
    if out is not None:
        raise TypeError(f"{name}() has no out=; write the result with target.copy_({name}(...))")


def widened(input: Any, dtype: Any) -> Any:
    """``input`` in ``dtype``, or, for None, whole numbers and booleans as int64."""
    if dtype is not None:
        return cast(input, dtype=dtypes.as_dtype(dtype))
    return input if input.dtype.kind == "f" or input.dtype == np.int64 else cast(input, dtype=dtypes.int64)


def _refuse_whole(name: str, input: Any) -> None:
    if input.dtype.kind != "f":
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype}; convert it with .float() first"
        )


def sum(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, out: None = None
) -> Any:
    """Sum of all elements, or over ``dim``; integers and booleans sum as int64."""
    refuse_out("sum", out)
    if dim is None and axis is None and dtype is None and input.dtype.kind == "f":
        return reduce_sum(input, axis=None, keepdims=keepdim)
    return reduce_sum(widened(input, dtype), axis=axis_of(pick_dim(dim, axis), input.ndim), keepdims=keepdim)


def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Any:
    """:func:`sum` in which NaN counts as 0."""
    if input.dtype.kind != "f" or dtype is not None:
        return sum(where(isnan(input), 0, input) if input.dtype.kind == "f" else input, dim, keepdim, dtype=dtype,
                   axis=axis)  # fmt: skip
    return sum_numbers(input, axis=axis_of(pick_dim(dim, axis), input.ndim), keepdims=keepdim)


def mean(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, out: None = None
) -> Any:
    """Mean over ``dim`` (all, by default); floating dtypes only."""
    refuse_out("mean", out)
    if dtype is not None:
        input = cast(input, dtype=dtypes.as_dtype(dtype))
    _refuse_whole("mean", input)
    d = pick_dim(dim, axis)
    return reduce_mean(input, axis=None if d is None else axis_of(d, input.ndim), keepdims=keepdim)


def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Any:
    """Mean of the numbers that are not NaN; NaN where there is none."""
    _refuse_whole("nanmean", input)
    d = pick_dim(dim, axis)
    there = sum(cast(logical_not(isnan(input)), dtype=input.dtype), d, keepdim, dtype=dtype)
    return nansum(input, d, keepdim, dtype=dtype) / where(eq(there, 0), float("nan"), there)


def _correction(dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    """PyTorch's overloads: ``var(x, False)`` says unbiased, ``var(x, 1, False)`` says dim and unbiased."""
    if isinstance(dim, (bool, np.bool_)):
        dim, unbiased = None, dim
    return dim, (1 if unbiased is None else int(unbiased)) if correction is None else correction


def var(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
) -> Any:
    """sum (x - mean)^2 / (n - correction) over ``dim``; ``correction`` is Bessel's 1 unless given (``unbiased=False``
    is 0). NaN or infinite where n <= correction."""
    if input.dtype.kind != "f":
        raise RuntimeError(f"std and var only support floating point and complex dtypes, got {input.dtype}")
    dim, correction = _correction(pick_dim(dim, axis), unbiased, correction)
    return reduce_var(input, axis=axis_of(dim, input.ndim), keepdims=keepdim, correction=correction)


def std(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
) -> Any:
    """Standard deviation: the square root of :func:`var`; where it is 0, so is its gradient."""
    return root(var(input, dim, unbiased, keepdim, correction=correction, axis=axis))


def var_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
) -> tuple[Any, Any]:
    """(:func:`var`, :func:`mean`)."""
    d, correction = _correction(pick_dim(dim, axis), unbiased, correction)
    return var(input, d, keepdim=keepdim, correction=correction), mean(input, d, keepdim)


def std_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
) -> tuple[Any, Any]:
    """(:func:`std`, :func:`mean`)."""
    d, correction = _correction(pick_dim(dim, axis), unbiased, correction)
    return std(input, d, keepdim=keepdim, correction=correction), mean(input, d, keepdim)


def prod(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, out: None = None
) -> Any:
    """Product of all elements, or along ``dim``; integers and booleans as int64. The derivatives are right beside
    zeros."""
    refuse_out("prod", out)
    d = pick_dim(dim, axis)
    input = widened(input, dtype)
    at = None if d is None else one_axis(d, input.ndim)
    return reduce_prod(input, axis=at if input.ndim else None, keepdims=keepdim)


def count_nonzero(input: Any, dim: Any = None, *, axis: Any = None) -> Any:
    """How many elements are not zero, over all or over ``dim``; int64."""
    return sum(ne(input, 0), pick_dim(dim, axis))


def norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None
) -> Any:
    """(sum |x|^p)^(1/p) over ``dim`` (all, by default); p = "fro" is 2, inf and -inf the extrema of |x|, 0 the count
    of nonzeros. The subgradient at 0 is 0.

    Raises RuntimeError for whole numbers and for p = "nuc" (a matrix norm: the sum of the singular values).
    """
    if dtype is not None:
        input = cast(input, dtype=dtypes.as_dtype(dtype))
    if input.dtype.kind != "f":
        raise RuntimeError(
            f"norm: Expected a floating point or complex tensor as input. Got {input.dtype}; convert with .float()"
        )
    if p == "nuc" or (isinstance(p, str) and p != "fro"):
        raise RuntimeError(f"norm: p is a number, inf, -inf or 'fro', got {p!r}")
    ax = axis_of(pick_dim(dim, axis), input.ndim)
    p = 2.0 if p == "fro" or p is None else float(p)
    if math.isinf(p) and not count(input.shape, ax):
        raise RuntimeError(
            f"norm cannot compute the {p} norm on an empty tensor because the operation does not have an identity"
        )
    return norm_over(input, p, ax, keepdim)


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The :func:`norm` of input - other."""
    return norm(input - other, p)


def any(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Whether any element is true (not zero), over all or over ``dim``; bool, but uint8 for uint8."""
    return any_over(input, axis=axis_of(pick_dim(dim, axis), input.ndim), keepdims=keepdim)


def all(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Whether every element is true (not zero), over all or over ``dim``; bool, but uint8 for uint8."""
    return all_over(input, axis=axis_of(pick_dim(dim, axis), input.ndim), keepdims=keepdim)


def logsumexp(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """log sum exp over ``dim``, computed without overflow; integers as the default floating dtype."""
    if input.dtype.kind != "f":
        input = cast(input, dtype=dtypes.get_default_dtype())
    ax = axis_of(needed_dim("logsumexp", dim, axis), input.ndim)
    return reduce_logsumexp(input, axis=ax, keepdims=keepdim)


def softmax(input: Any, dim: int = -1, *, dtype: Any = None, axis: Any = None) -> Any:
    """e^x / sum e^x along ``dim``."""
    if dtype is None and axis is None and input.ndim:
        return softmax_over(input, axis=one_axis(dim, input.ndim))
    return _normalised(softmax_over, input, pick_dim(dim, axis), dtype)


def log_softmax(input: Any, dim: int = -1, *, dtype: Any = None, axis: Any = None) -> Any:
    """log of :func:`softmax`, computed without overflow."""
    if dtype is None and axis is None and input.ndim:
        return log_softmax_over(input, axis=one_axis(dim, input.ndim))
    return _normalised(log_softmax_over, input, pick_dim(dim, axis), dtype)


def _normalised(over: Any, input: Any, dim: int, dtype: Any) -> Any:
    if dtype is not None:
        input = cast(input, dtype=dtypes.as_dtype(dtype))
    axis = one_axis(dim, input.ndim)
    if not input.ndim:
        return reshape_to(over(reshape_to(input, shape=(1,)), axis=0), shape=())
    return over(input, axis=axis)
