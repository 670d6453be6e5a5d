"""Reductions and scans: sums, means, extrema, log-sum-exp, softmax, cumulative sums.

The primitives take NumPy's ``axis`` (a tuple, or None for all) and ``keepdims``; the functions below them take
PyTorch's
``dim`` and ``keepdim`` (``axis`` works too) and check them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.ops.casting import cast
from tinydl.ops.dims import axis_of as axis_of
from tinydl.ops.dims import one_axis as one_axis
from tinydl.ops.elementwise import eq, exp, gate, log, mask, square
from tinydl.ops.shaping import expand_to, reshape_to


def kept(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """``shape`` with 1 at every reduced axis."""
    if axis is None:
        return (1,) * len(shape)
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))} if shape else set()
    return tuple(1 if i in axes else s for i, s in enumerate(shape))


def _back(g: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Spread the gradient of a reduced tensor over the shape it came from."""
    return expand_to(reshape_to(g, shape=kept(shape, axis)), shape=shape)


@primitive(input=lambda g, input_shape, axis: _back(g, input_shape, axis))
def reduce_sum(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """Sum over ``axis``."""
    if axis is None and not keepdims:
        return np.add.reduce(input, None)
    if axis and input.size > _BLOCK and input.dtype == np.float32 and tuple(axis) == tuple(range(len(axis))):
        kept_shape = input.shape[len(axis) :]
        if kept_shape and input.flags.c_contiguous:
            out = sum_rows(input.reshape(-1, *kept_shape)) if input.size else np.zeros(kept_shape, input.dtype)
            return out.reshape((1,) * len(axis) + kept_shape) if keepdims else out
    return np.add.reduce(input, axis=axis, keepdims=keepdims)


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


@primitive(smooth=False, input=lambda g, input, out, axis: _to_extrema(g, input, out, axis))
def reduce_max(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """Maximum over ``axis``; the gradient is split evenly over ties, as PyTorch's ``amax``."""
    return np.maximum.reduce(input, axis=axis, keepdims=keepdims)


@primitive(smooth=False, input=lambda g, input, out, axis: _to_extrema(g, input, out, axis))
def reduce_min(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """Minimum over ``axis``; the gradient is split evenly over ties, as PyTorch's ``amin``."""
    return np.minimum.reduce(input, axis=axis, keepdims=keepdims)


def _to_extrema(g: Any, x: Any, out: Any, axis: Any) -> Any:
    shape = kept(x.shape, axis)
    hit = mask(eq(x, reshape_to(out, shape=shape)), g)
    share = reduce_sum(hit, axis=axis, keepdims=True)
    return hit * (reshape_to(g, shape=shape) / reshape_to(share, shape=shape))


@primitive(input=lambda g, input, out, axis: g_of_logsumexp(g, input, out, axis))
def reduce_logsumexp(input: Any, *, axis: Any, keepdims: bool) -> Any:
    """log sum exp over ``axis``, shifted by the maximum; -inf where every term is."""
    top = np.maximum.reduce(input, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    with np.errstate(divide="ignore"):
        out = np.log(np.add.reduce(np.exp(input - top), axis=axis, keepdims=True)) + top
    return out if keepdims else out.reshape(np.add.reduce(np.empty(input.shape, np.bool_), axis=axis).shape)


def g_of_logsumexp(g: Any, x: Any, out: Any, axis: Any) -> Any:
    """Softmax times the gradient."""
    shape = kept(x.shape, axis)
    return reshape_to(g, shape=shape) * exp(x - reshape_to(out, shape=shape))


@primitive(promote="float", input=lambda g, out, axis: out * (g - reduce_sum(g * out, axis=axis, keepdims=True)))
def softmax_over(input: Any, *, axis: int) -> Any:
    """e^x / sum e^x along ``axis``."""
    if not input.size:
        return np.empty_like(input)
    e = np.exp(input - np.maximum.reduce(input, axis=axis, keepdims=True))
    return e / np.add.reduce(e, axis=axis, keepdims=True)


@primitive(promote="float", input=lambda g, out, axis: g - exp(out) * reduce_sum(g, axis=axis, keepdims=True))
def log_softmax_over(input: Any, *, axis: int) -> Any:
    """x - log sum e^x along ``axis``."""
    if not input.size:
        return np.empty_like(input)
    z = input - np.maximum.reduce(input, axis=axis, keepdims=True)
    return z - np.log(np.add.reduce(np.exp(z), axis=axis, keepdims=True))


@primitive(input=lambda g, axis: reverse_cumsum(g, axis=axis))
def running_sum(input: Any, *, axis: int) -> Any:
    """Cumulative sum along ``axis``."""
    return np.cumsum(input, axis=axis)


@primitive(input=lambda g, axis: running_sum(g, axis=axis))
def reverse_cumsum(input: Any, *, axis: int) -> Any:
    """Cumulative sum from the end along ``axis``: the transpose of :func:`running_sum`."""
    return np.flip(np.cumsum(np.flip(input, axis), axis=axis), axis)


argmax_over = primitive(
    lambda input, *, axis, keepdims: np.argmax(input, axis=axis, keepdims=keepdims), name="argmax", differentiable=False
)
argmin_over = primitive(
    lambda input, *, axis, keepdims: np.argmin(input, axis=axis, keepdims=keepdims), name="argmin", differentiable=False
)
any_over = primitive(
    lambda input, *, axis, keepdims: np.any(input, axis=axis, keepdims=keepdims), name="any", differentiable=False
)
all_over = primitive(
    lambda input, *, axis, keepdims: np.all(input, axis=axis, keepdims=keepdims), name="all", differentiable=False
)

# ------------------------------------------------------------------------------------------------ PyTorch's functions


def _pick_dim(dim: Any, axis: Any) -> Any:
    return dim if axis is None else axis


def sum(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, out: None = None
) -> Any:
    """Sum of all elements, or over ``dim``; integers and booleans sum as int64."""
    if dim is None and axis is None and dtype is None and input.dtype.kind == "f":
        return reduce_sum(input, axis=None, keepdims=keepdim)
    if dtype is not None:
        input = cast(input, dtype=dtypes.as_dtype(dtype))
    elif input.dtype.kind != "f" and input.dtype != np.int64:
        input = cast(input, dtype=dtypes.int64)
    return reduce_sum(input, axis=axis_of(_pick_dim(dim, axis), input.ndim), keepdims=keepdim)


def mean(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, out: None = None
) -> Any:
    """Mean over ``dim`` (all, by default); floating dtypes only."""
    if dtype is not None:
        input = cast(input, dtype=dtypes.as_dtype(dtype))
    if input.dtype.kind != "f":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: "
            f"{input.dtype}"
        )
    ax = axis_of(_pick_dim(dim, axis), input.ndim)
    n = input.size if not callable(input.size) else input.numel()
    if ax is not None:
        n = int(np.prod([input.shape[a] for a in ax]))
    return (
        reduce_sum(input, axis=ax, keepdims=keepdim) / n
        if n
        else reduce_sum(input, axis=ax, keepdims=keepdim) * float("nan")
    )


def var(
    input: Any,
    dim: Any = None,
    *,
    correction: int = 1,
    keepdim: bool = False,
    unbiased: bool | None = None,
    axis: Any = None,
) -> Any:
    """Variance over ``dim`` with ``correction`` (Bessel's 1 by default)."""
    if unbiased is not None:
        correction = int(unbiased)
    ax = axis_of(_pick_dim(dim, axis), input.ndim)
    n = int(np.prod([input.shape[a] for a in (range(input.ndim) if ax is None else ax)]))
    centred = input - reduce_sum(input, axis=ax, keepdims=True) / n if n else input
    return reduce_sum(square(centred), axis=ax, keepdims=keepdim) * (
        1.0 / (n - correction) if n > correction else float("nan")
    )


def std(
    input: Any,
    dim: Any = None,
    *,
    correction: int = 1,
    keepdim: bool = False,
    unbiased: bool | None = None,
    axis: Any = None,
) -> Any:
    """Standard deviation: the square root of :func:`var`; where it is 0, so is its gradient."""
    return root(var(input, dim, correction=correction, keepdim=keepdim, unbiased=unbiased, axis=axis))


def _nonempty(input: Any, axis: Any, name: str) -> None:
    for a in range(input.ndim) if axis is None else axis:
        if input.shape[a] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {a} to have non-zero size; the input has shape {tuple(input.shape)}"
            )


def amax(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None) -> Any:
    """Maximum over ``dim``; ties share the gradient evenly."""
    ax = axis_of(_pick_dim(dim, axis), input.ndim)
    _nonempty(input, ax, "amax")
    return reduce_max(input, axis=ax, keepdims=keepdim)


def amin(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None) -> Any:
    """Minimum over ``dim``; ties share the gradient evenly."""
    ax = axis_of(_pick_dim(dim, axis), input.ndim)
    _nonempty(input, ax, "amin")
    return reduce_min(input, axis=ax, keepdims=keepdim)


def _extreme(input: Any, dim: Any, keepdim: bool, whole: Any, arg: Any, other: Any) -> Any:
    from tinydl.ops.indexing import gather

    if dim is None:
        return whole(input)
    if hasattr(dim, "dtype"):
        return other(input, dim)
    axis = one_axis(dim, input.ndim)
    _nonempty(input, (axis,) if input.ndim else (), arg.op.name[3:])
    at = arg(input, axis=axis if input.ndim else None, keepdims=True)
    values = gather(input, axis, at) if input.ndim else input
    if keepdim or not input.ndim:
        return Extreme(values, at)
    shape = tuple(s for i, s in enumerate(values.shape) if i != axis)
    return Extreme(reshape_to(values, shape=shape), reshape_to(at, shape=shape))


class Extreme(tuple):  # type: ignore[type-arg]
    """``(values, indices)``, also by name."""

    def __new__(cls, values: Any, indices: Any) -> Extreme:
        return super().__new__(cls, (values, indices))

    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])


def max(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, out: None = None) -> Any:
    """Maximum of all; with ``dim`` (values, indices), the gradient going to the index; with a tensor,
    :func:`maximum`."""
    from tinydl.ops.elementwise import maximum

    return _extreme(input, _pick_dim(dim, axis), keepdim, amax, argmax_over, maximum)


def min(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, out: None = None) -> Any:
    """Minimum of all; with ``dim`` (values, indices), the gradient going to the index; with a tensor,
    :func:`minimum`."""
    from tinydl.ops.elementwise import minimum

    return _extreme(input, _pick_dim(dim, axis), keepdim, amin, argmin_over, minimum)


def argmax(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Index of the maximum (the first one), over all elements or along ``dim``; int64."""
    d = _pick_dim(dim, axis)
    return argmax_over(input, axis=None if d is None else one_axis(d, input.ndim), keepdims=keepdim)


def argmin(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Index of the minimum (the first one), over all elements or along ``dim``; int64."""
    d = _pick_dim(dim, axis)
    return argmin_over(input, axis=None if d is None else one_axis(d, input.ndim), keepdims=keepdim)


def any(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Whether any element is true."""
    return any_over(input, axis=axis_of(_pick_dim(dim, axis), input.ndim), keepdims=keepdim)


def all(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Whether every element is true."""
    return all_over(input, axis=axis_of(_pick_dim(dim, axis), input.ndim), keepdims=keepdim)


def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    """log sum exp over ``dim``, computed without overflow."""
    if input.dtype.kind != "f":
        input = cast(input, dtype=dtypes.get_default_dtype())
    ax = axis_of(dim, input.ndim)
    if 0 in input.shape:
        return log(reduce_sum(exp(input), axis=ax, keepdims=keepdim))
    return reduce_logsumexp(input, axis=ax, keepdims=keepdim)


def softmax(input: Any, dim: int = -1) -> Any:
    """e^x / sum e^x along ``dim``."""
    if not input.ndim:
        return reshape_to(softmax_over(reshape_to(input, shape=(1,)), axis=0), shape=())
    return softmax_over(input, axis=one_axis(dim, input.ndim))


def log_softmax(input: Any, dim: int = -1) -> Any:
    """log of :func:`softmax`, computed without overflow."""
    if not input.ndim:
        return reshape_to(log_softmax_over(reshape_to(input, shape=(1,)), axis=0), shape=())
    return log_softmax_over(input, axis=one_axis(dim, input.ndim))


def cumsum(input: Any, dim: int) -> Any:
    """Cumulative sum along ``dim``; integers and booleans as int64."""
    if input.dtype.kind != "f" and input.dtype != np.int64:
        input = cast(input, dtype=dtypes.int64)
    if not input.ndim:
        return reshape_to(input, shape=())
    return running_sum(input, axis=one_axis(dim, input.ndim))
