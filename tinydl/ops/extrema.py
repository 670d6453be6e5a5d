"""Extrema: maxima, minima, and where they stand; the elements that an index chooses along a dimension."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import axis_of, kept, one_axis, pick_dim
from tinydl.ops.elementwise import maximum, minimum
from tinydl.ops.reducing import refuse_out
from tinydl.ops.shaping import reshape_to


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
    return reshape_to(g, shape=shape) * tie_shares(x, reshape_to(out, shape=shape), axis=axis)


@primitive(differentiable=False)
def tie_shares(input: Any, value: Any, *, axis: Any) -> Any:
    """1/k where ``input`` is one of the k elements equal to ``value`` over ``axis`` (NaN equals NaN here), else 0."""
    hit = np.equal(input, value)
    if np.any(np.not_equal(value, value)):
        hit |= np.isnan(input) & np.isnan(value)
    share = hit.astype(input.dtype)
    return share / np.add.reduce(share, axis=axis, keepdims=True)


argmax_over = primitive(
    lambda input, *, axis, keepdims: input.argmax(axis, keepdims=keepdims), name="argmax", differentiable=False
)
argmin_over = primitive(
    lambda input, *, axis, keepdims: input.argmin(axis, keepdims=keepdims), name="argmin", differentiable=False
)

# ------------------------------------------------------------------------------------------------ PyTorch's functions


def nonempty(input: Any, axis: Any, name: str) -> None:
    """Raise where nothing would be reduced to one number that has no neutral element to stand for it."""
    if axis is None and 0 in input.shape:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
            f"the 'dim' argument; the input has shape {tuple(input.shape)}"
        )
    for a in () if axis is None else axis:
        if input.shape[a] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {a} to have non-zero size; the input has shape {tuple(input.shape)}"
            )


def amax(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None) -> Any:
    """Maximum over ``dim``; ties share the gradient evenly."""
    ax = axis_of(pick_dim(dim, axis), input.ndim)
    nonempty(input, ax, "amax")
    return reduce_max(input, axis=ax, keepdims=keepdim)


def amin(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None) -> Any:
    """Minimum over ``dim``; ties share the gradient evenly."""
    ax = axis_of(pick_dim(dim, axis), input.ndim)
    nonempty(input, ax, "amin")
    return reduce_min(input, axis=ax, keepdims=keepdim)


def aminmax(input: Any, *, dim: Any = None, keepdim: bool = False, axis: Any = None) -> MinMax:
    """(:func:`amin`, :func:`amax`), also as ``.min`` and ``.max``."""
    d = pick_dim(dim, axis)
    ax = None if d is None else axis_of(one_axis(d, input.ndim), input.ndim)
    nonempty(input, ax, "aminmax")
    return MinMax(reduce_min(input, axis=ax, keepdims=keepdim), reduce_max(input, axis=ax, keepdims=keepdim))


class MinMax(NamedTuple):
    """The smallest and the greatest."""

    min: Any
    max: Any


class ValuesIndices(NamedTuple):
    """Values, and where along the dimension they stand."""

    values: Any
    indices: Any


def _places(index: Any, axis: int, size: int) -> Any:
    """Where the elements at ``index`` stand in an array of lines of ``size`` elements, in whose place ``axis`` is
    last. (``take_along_axis`` takes five times as long.)"""
    at = index.swapaxes(axis, -1)
    lead = at.shape[:-1]
    return at + (np.arange(math.prod(lead)) * size).reshape(*lead, 1)


@primitive(input=lambda g, index, axis, input_shape: put_at(g, index, axis=axis, shape=input_shape))
def take_at(input: Any, index: Any, *, axis: int) -> Any:
    """out[i, j] = input[i, index[i, j]] for axis 1, and so on; the other sizes of ``index`` are those of ``input``."""
    lines = input.swapaxes(axis, -1)
    found = lines.reshape(-1)[_places(index, axis, lines.shape[-1])]
    return np.ascontiguousarray(found.swapaxes(axis, -1))


@primitive(input=lambda g, index, axis: take_at(g, index, axis=axis))
def put_at(input: Any, index: Any, *, axis: int, shape: Any) -> Any:
    """Zeros of ``shape`` to which ``input`` is added at ``index``: the transpose of :func:`take_at`."""
    shape = list(shape)
    shape[axis], shape[-1] = shape[-1], shape[axis]
    lines = np.zeros(shape, input.dtype)
    np.add.at(lines.reshape(-1), _places(index, axis, shape[-1]).reshape(-1), input.swapaxes(axis, -1).reshape(-1))
    return lines.swapaxes(axis, -1)


def _to_places(g: Any, indices: Any, shape: Any, axis: int) -> Any:
    """The gradient of the elements that an index chose."""
    line = kept(shape, axis)
    return put_at(reshape_to(g, shape=line), reshape_to(indices, shape=line), axis=axis, shape=shape)


@primitive(
    outputs=("values", "indices"),
    plain="indices",
    result=ValuesIndices,
    smooth=False,
    input=lambda g, indices, input_shape, axis: _to_places(g, indices, input_shape, axis),
)
def max_along(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """The greatest of each line, and where it stands (the first of equal ones); NaN is greater than all."""
    return np.maximum.reduce(input, axis=axis, keepdims=keepdims), input.argmax(axis, keepdims=keepdims)


@primitive(
    outputs=("values", "indices"),
    plain="indices",
    result=ValuesIndices,
    smooth=False,
    input=lambda g, indices, input_shape, axis: _to_places(g, indices, input_shape, axis),
)
def min_along(input: Any, *, axis: Any, keepdims: Any) -> Any:
    """The smallest of each line, and where it stands (the first of equal ones); NaN is smaller than all."""
    return np.minimum.reduce(input, axis=axis, keepdims=keepdims), input.argmin(axis, keepdims=keepdims)


def chosen(input: Any, index: Any, axis: int, keepdim: bool) -> ValuesIndices:
    """The elements at ``index`` (an array with size 1 along ``axis``), to which gradients go, and the index."""
    at = constant(index)
    values = take_at(input, at, axis=axis)
    if keepdim:
        return ValuesIndices(values, at)
    shape = input.shape[:axis] + input.shape[axis + 1 :]
    return ValuesIndices(reshape_to(values, shape=shape), reshape_to(at, shape=shape))


def data_of(x: Any) -> Any:
    """The array of a tensor; an array itself."""
    return x.data if hasattr(x, "node") else x


def constant(array: Any) -> Any:
    """``array`` as a tensor without history."""
    from tinydl.autograd import primitives

    return primitives.Tensor._from_array(array)  # type: ignore[attr-defined]


def _extreme(input: Any, dim: Any, keepdim: bool, whole: Any, name: str, other: Any) -> Any:
    if dim is None:
        nonempty(input, None, name)
        return whole(input, axis=None, keepdims=False)
    if hasattr(dim, "dtype"):
        return other(input, dim)
    if not input.ndim:
        one_axis(dim, 0)
        return ValuesIndices(reshape_to(input, shape=()), constant(np.zeros((), np.int64)))
    axis = one_axis(dim, input.ndim)
    if not input.shape[axis]:
        nonempty(input, (axis,), name)
    return (max_along if name == "max" else min_along)(input, axis=axis, keepdims=keepdim)


def max(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, out: None = None) -> Any:
    """Maximum of all; with ``dim`` (values, indices), the gradient going to the index; with a tensor,
    :func:`maximum`."""
    refuse_out("max", out)
    return _extreme(input, pick_dim(dim, axis), keepdim, reduce_max, "max", maximum)


def min(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, out: None = None) -> Any:
    """Minimum of all; with ``dim`` (values, indices), the gradient going to the index; with a tensor,
    :func:`minimum`."""
    refuse_out("min", out)
    return _extreme(input, pick_dim(dim, axis), keepdim, reduce_min, "min", minimum)


def _position(input: Any, dim: Any, keepdim: bool, over: Any, name: str) -> Any:
    if dim is None:
        if 0 in input.shape:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        return over(input, axis=None, keepdims=keepdim)
    axis = one_axis(dim, input.ndim)
    nonempty(input, (axis,) if input.ndim else (), name)
    return over(input, axis=axis if input.ndim else None, keepdims=keepdim)


def argmax(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Index of the maximum (the first one), over all elements or along ``dim``; int64."""
    return _position(input, pick_dim(dim, axis), keepdim, argmax_over, "argmax")


def argmin(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """Index of the minimum (the first one), over all elements or along ``dim``; int64."""
    return _position(input, pick_dim(dim, axis), keepdim, argmin_over, "argmin")
