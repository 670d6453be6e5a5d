"""Reductions: sums, means, products, logical ones, log-sum-exp, softmax. Extrema, variances and norms have their own
files.

Most are PyTorch's function and the primitive in one: ``dim`` and ``keepdim`` may be given by position, and NumPy's
names ``axis`` and ``keepdims`` work too. In a rule ``dim`` and ``axis`` are as the caller gave them, one of them None.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import axis_of as axis_of
from tinydl.ops.axes import count, kept, needed_dim, pick_dim, reduced
from tinydl.ops.axes import one_axis as one_axis
from tinydl.ops.casting import cast
from tinydl.ops.comparing import eq
from tinydl.ops.elementwise import exp, gate, mask
from tinydl.ops.shaping import expand_to, reshape_to

_INT64 = dtypes.int64


def refuse_out(name: str, out: Any) -> None:
    """NumPy's functions pass ``out=None`` to methods; anything else raises: to write into memory is for ``copy_``."""
    if out is not None:
        raise TypeError(f"{name}() has no out=; write the result with target.copy_({name}(...))")


def floating(name: str, input: Any, dtype: Any = None) -> Any:
    """An array in ``dtype``; raises for whole numbers, which have no mean."""
    if dtype is not None:
        input = input.astype(dtypes.as_dtype(dtype), copy=False)
    if input.dtype.kind != "f":
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype}; convert it with .float() first"
        )
    return input


def in_line(x: Any, shape: tuple[int, ...], dim: Any, axis: Any) -> Any:
    """What was reduced from ``shape`` over ``dim`` (or ``axis``), with a size of 1 there."""
    return reshape_to(x, shape=kept(shape, axis_of(pick_dim(dim, axis), len(shape))))


def as_dtype_of(x: Any, g: Any) -> Any:
    """The input in the dtype in which it was reduced (``dtype=``), that of the gradient."""
    return x if x.dtype == g.dtype else cast(x, dtype=g.dtype)


# ------------------------------------------------------------------------------------------------------ sums and means

_BLOCK = 512
_add: Any = np.add.reduce  # NumPy's types know keepdims=True and keepdims=False, but no bool
_multiply: Any = np.multiply.reduce
_asarray = np.asarray


def total(input: Any, axis: Any, keepdims: bool, dtype: Any = None) -> Any:
    """The sum of an array over ``axis``, as an array always: NumPy makes numbers of what has no dimension left."""
    if dtype is None and input.size <= _BLOCK and input.dtype.kind == "f":
        return _asarray(_add(input, axis, keepdims=keepdims))  # the usual case of few numbers
    if dtype is not None:
        input = input.astype(dtypes.as_dtype(dtype), copy=False)
    elif input.dtype.kind != "f":
        dtype = _INT64
    if axis is not None and input.size > _BLOCK and input.dtype == np.float32 and input.flags.c_contiguous:
        axes = axis if type(axis) is tuple else (axis,)
        if axes and len(axes) < input.ndim and axes == tuple(range(len(axes))):
            out = sum_rows(input.reshape(-1, *input.shape[len(axes) :]))
            return out.reshape(kept(input.shape, axis)) if keepdims else out
    return _asarray(_add(input, axis, dtype, keepdims=keepdims))


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


def _spread(g: Any, shape: tuple[int, ...], dtype: Any, dim: Any, axis: Any) -> Any:
    """The gradient of a sum: each element it came from gets that of the sum."""
    line = in_line(g, shape, dim, axis)
    return expand_to(line if line.dtype == dtype else cast(line, dtype=dtype), shape=shape)


@primitive(
    settings="dim keepdim",
    input=lambda g, input_shape, input_dtype, dim, axis: _spread(g, input_shape, input_dtype, dim, axis),
)
def sum(
    input: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    """Sum of all elements, or over ``dim``; integers and booleans sum as int64."""
    if out is not None:
        refuse_out("sum", out)
    if axis is None:
        axis = dim
    if input.size <= _BLOCK and input.dtype.kind == "f" and dtype is None:  # the usual cases of few numbers
        if axis is None or type(axis) is int and -input.ndim <= axis < input.ndim:
            return _asarray(_add(input, axis, keepdims=True) if keepdim or keepdims else _add(input, axis))
    return total(input, None if axis is None else axis_of(axis, input.ndim), keepdim or keepdims, dtype)


reduce_sum = sum  # its name where ``sum`` is Python's


def _no_nan(x: Any) -> bool:
    if x.ndim == 1:  # a sum of squares is NaN only where one of them is
        squares = x.dot(x)
        return bool(squares == squares)
    return bool(x == x) if not x.ndim else not np.count_nonzero(np.isnan(x))


@primitive(
    settings="dim keepdim",
    input=lambda g, input, input_dtype, dim, axis: gate(
        _spread(g, input.shape, input_dtype, dim, axis), mask(eq(input, input), input)
    ),
)
def nansum(
    input: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """:func:`sum` in which NaN counts as 0."""
    over, keepdim = axis_of(dim if axis is None else axis, input.ndim), keepdim or keepdims
    if dtype is None:
        out = total(input, over, keepdim)
        if out.dtype.kind != "f" or _no_nan(out):  # else a NaN, or infinities of both signs
            return out
    return total(np.where(input == input, input, input.dtype.type(0)), over, keepdim, dtype)


@primitive(
    settings="dim keepdim",
    input=lambda g, input_shape, input_dtype, dim, axis: (
        _spread(g, input_shape, input_dtype, dim, axis)
        / count(input_shape, axis_of(pick_dim(dim, axis), len(input_shape)))
    ),
)
def mean(
    input: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    """Mean over ``dim`` (all, by default); floating dtypes only. Of nothing, NaN."""
    if out is not None:
        refuse_out("mean", out)
    input = floating("mean", input, dtype)
    over = axis_of(dim if axis is None else axis, input.ndim)
    summed = total(input, over, keepdim or keepdims)
    n = input.size if over is None else count(input.shape, over)
    return np.divide(summed, np.asarray(n, summed.dtype), summed) if n else np.full_like(summed, np.nan)


@primitive(
    settings="dim keepdim",
    input=lambda g, input, input_dtype, dim, axis: _from_nanmean(g, input, input_dtype, dim, axis),
)
def nanmean(
    input: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """Mean of the numbers that are not NaN; NaN where there is none."""
    input = floating("nanmean", input, dtype)
    over, keepdim = axis_of(dim if axis is None else axis, input.ndim), keepdim or keepdims
    there = _asarray(_add(input == input, over, input.dtype, keepdims=keepdim))
    with np.errstate(invalid="ignore"):  # 0 / 0
        return np.asarray(np.divide(nansum(input, over, keepdim), there))


def _from_nanmean(g: Any, x: Any, dtype: Any, dim: Any, axis: Any) -> Any:
    there = mask(eq(x, x), x)
    number = sum(there, pick_dim(dim, axis), True)
    each = _spread(g, x.shape, dtype, dim, axis) / (number + mask(eq(number, 0), number))
    return gate(each, there)  # chosen, not multiplied: the gradient may be NaN itself


# ------------------------------------------------------------------------------------------------------------ products


@primitive(
    settings="dim keepdim",
    input=lambda g, input, input_dtype, dim, axis: _from_prod(g, input, input_dtype, pick_dim(dim, axis)),
)
def prod(
    input: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    """Product of all elements, or along ``dim``; integers and booleans as int64. The derivatives are right beside
    zeros."""
    if out is not None:
        refuse_out("prod", out)
    if dtype is not None:
        dtype = dtypes.as_dtype(dtype)
    elif input.dtype.kind != "f":
        dtype = _INT64
    if axis is None:
        axis = dim
    at = None if axis is None else one_axis(axis, input.ndim)
    return _asarray(_multiply(input, at, dtype, keepdims=keepdim or keepdims))


def _from_prod(g: Any, x: Any, dtype: Any, dim: Any) -> Any:
    found = in_line(g, x.shape, dim, None) * _others(as_dtype_of(x, g), dim if x.shape else None)
    return found if found.dtype == dtype else cast(found, dtype=dtype)


def _others(x: Any, dim: Any) -> Any:
    """For each element the product of all others: of those before it times those after it, right beside zeros too."""
    from tinydl.ops.arranging import reverse
    from tinydl.ops.scanning import cumprod, shifted

    if dim is None:
        flat = reshape_to(x, shape=(count(x.shape, None),))
        return reshape_to(_others(flat, 0), shape=x.shape)
    axis = one_axis(dim, len(x.shape))
    after = reverse(cumprod(reverse(x, axes=(axis,)), axis), axes=(axis,))
    return shifted(cumprod(x, axis), axis=axis, by=1, fill=1) * shifted(after, axis=axis, by=-1, fill=1)


# ----------------------------------------------------------------------------------------------- counts and conditions


@primitive(settings="dim", differentiable=False)
def count_nonzero(input: Any, dim: Any = None, *, axis: Any = None) -> Any:
    """How many elements are not zero, over all or over ``dim``; int64."""
    over = axis_of(dim if axis is None else axis, input.ndim)
    if over is None:
        return np.asarray(np.count_nonzero(input), _INT64)
    return np.asarray(np.add.reduce(input != 0, over, _INT64))


def _logical(name: str, says: str, ufunc: Any) -> Any:
    reduce = ufunc.reduce

    def function(
        input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> Any:
        if axis is None:
            axis = dim
        out = reduce(input, None if axis is None else axis_of(axis, input.ndim), keepdims=keepdim or keepdims)
        return _asarray(out) if input.dtype.char != "B" else _asarray(out, np.uint8)

    function.__doc__ = f"Whether {says} true (not zero), over all or over ``dim``; bool, but uint8 for uint8."
    return primitive(function, name=name, settings="dim keepdim", differentiable=False)


any = _logical("any", "any element is", np.logical_or)
all = _logical("all", "every element is", np.logical_and)


# -------------------------------------------------------------------------------------------------------- exponentials


@primitive(input=lambda g, out: gate(g, out) / (out * 2 + mask(eq(out, 0), g)))
def root(input: Any) -> Any:
    """The square root, with the subgradient 0 at 0."""
    return np.sqrt(input)


@primitive(
    promote="float",
    settings="dim keepdim",
    input=lambda g, input, out, dim, axis: (
        in_line(g, input.shape, dim, axis) * exp(input - in_line(out, input.shape, dim, axis))
    ),
)
def logsumexp(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """log sum exp over ``dim``, computed without overflow; -inf where every term is, and of nothing. Integers as the
    default floating dtype."""
    over = axis_of(needed_dim("logsumexp", dim, axis), input.ndim)
    shape = reduced(input.shape, over, keepdim or keepdims)
    if not input.size and not count(input.shape, over):
        return np.full(shape, -np.inf, input.dtype)
    top = np.maximum.reduce(input, over, keepdims=True)
    finite = np.isfinite(top)
    if np.count_nonzero(finite) == finite.size:
        out = np.log(np.add.reduce(np.exp(input - top), over, keepdims=True)) + top
    else:  # infinity minus infinity is no number
        top = np.where(finite, top, input.dtype.type(0))
        with np.errstate(divide="ignore"):
            out = np.log(np.add.reduce(np.exp(input - top), over, keepdims=True)) + top
    return np.asarray(out).reshape(shape)


reduce_logsumexp = logsumexp


_SOFTMAX, _LOG_SOFTMAX = by_dtype("softmax"), by_dtype("log_softmax")


@primitive(input=lambda g, out, axis: out * (g - reduce_sum(g * out, axis=axis, keepdims=True)))
def softmax_over(input: Any, *, axis: int) -> Any:
    """e^x / sum e^x along ``axis``."""
    if input.dtype.kind != "f":
        _refuse_whole_numbers("softmax", input)
    return _SOFTMAX[input.dtype](input, axis)


@primitive(input=lambda g, out, axis: g - exp(out) * reduce_sum(g, axis=axis, keepdims=True))
def log_softmax_over(input: Any, *, axis: int) -> Any:
    """x - log sum e^x along ``axis``."""
    if input.dtype.kind != "f":
        _refuse_whole_numbers("log_softmax", input)
    return _LOG_SOFTMAX[input.dtype](input, axis)


def _refuse_whole_numbers(name: str, input: Any) -> None:
    raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; give dtype=, or convert with .float()')


def softmax(input: Any, dim: int = -1, *, dtype: Any = None, axis: Any = None) -> Any:
    """e^x / sum e^x along ``dim``."""
    if dtype is None and axis is None and (rank := input.ndim):
        return softmax_over(input, axis=dim if type(dim) is int and 0 <= dim < rank else one_axis(dim, rank))
    return _normalised(softmax_over, input, pick_dim(dim, axis), dtype)


def log_softmax(input: Any, dim: int = -1, *, dtype: Any = None, axis: Any = None) -> Any:
    """log of :func:`softmax`, computed without overflow."""
    if dtype is None and axis is None and (rank := input.ndim):
        return log_softmax_over(input, axis=dim if type(dim) is int and 0 <= dim < rank else one_axis(dim, rank))
    return _normalised(log_softmax_over, input, pick_dim(dim, axis), dtype)


def _normalised(over: Any, input: Any, dim: int, dtype: Any) -> Any:
    if dtype is not None:
        input = cast(input, dtype=dtypes.as_dtype(dtype))
    axis = one_axis(dim, input.ndim)
    if not input.ndim:
        return reshape_to(over(reshape_to(input, shape=(1,)), axis=0), shape=())
    return over(input, axis=axis)
