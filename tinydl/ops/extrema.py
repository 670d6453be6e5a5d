"""Extrema: maxima, minima, and where they stand; the elements that an index chooses along a dimension."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinydl.autograd import primitives
from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import axis_of, kept, one_axis, pick_dim
from tinydl.ops.comparing import eq
from tinydl.ops.elementwise import filled_where, maximum, minimum
from tinydl.ops.reducing import in_line, refuse_out
from tinydl.ops.shaping import reshape_to


class MinMax(NamedTuple):
    """The smallest and the greatest."""

    min: Any
    max: Any


class ValuesIndices(NamedTuple):
    """Values, and where along the dimension they stand."""

    values: Any
    indices: Any


def data_of(x: Any) -> Any:
    """The array of a tensor; an array itself."""
    return x.array if hasattr(x, "node") else x


def constant(array: Any) -> Any:
    """``array`` as a tensor without history."""
    return primitives.Tensor._from_array(array)  # type: ignore[attr-defined]


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


# ----------------------------------------------------------------------------------------- what an index chooses


def places(index: Any, axis: int, size: int) -> Any:
    """Where the elements at ``index`` stand in an array of lines of ``size`` elements, in whose place ``axis`` is
    last. (``take_along_axis`` takes five times as long.)"""
    at = index.swapaxes(axis, -1)
    lead = at.shape[:-1]
    lines = math.prod(lead)
    return at if lines == 1 or not at.size else at + np.arange(0, lines * size, size).reshape(*lead, 1)


@primitive(input=lambda g, index, axis, input_shape: put_at(g, index, axis=axis, shape=input_shape))
def take_at(input: Any, index: Any, *, axis: int) -> Any:
    """out[i, j] = input[i, index[i, j]] for axis 1, and so on; the other sizes of ``index`` are those of ``input``."""
    lines = input.swapaxes(axis, -1)
    found = lines.reshape(-1)[places(index, axis, lines.shape[-1])]
    return np.ascontiguousarray(found.swapaxes(axis, -1))


@primitive(input=lambda g, index, axis: take_at(g, index, axis=axis))
def put_at(input: Any, index: Any, *, axis: int, shape: Any) -> Any:
    """Zeros of ``shape`` to which ``input`` is added at ``index``: the transpose of :func:`take_at`."""
    shape = list(shape)
    shape[axis], shape[-1] = shape[-1], shape[axis]
    lines = np.zeros(shape, input.dtype)
    np.add.at(lines.reshape(-1), places(index, axis, shape[-1]).reshape(-1), input.swapaxes(axis, -1).reshape(-1))
    return lines.swapaxes(axis, -1)


def to_places(g: Any, indices: Any, shape: tuple[int, ...], dim: Any) -> Any:
    """The gradient of elements, one of each line along ``dim``, that an index chose."""
    if not shape:
        return reshape_to(g, shape=shape)
    axis = one_axis(dim, len(shape))
    line = kept(shape, axis)
    return put_at(reshape_to(g, shape=line), reshape_to(indices, shape=line), axis=axis, shape=shape)


# ---------------------------------------------------------------------------------------- extrema of several dimensions


def _to_extrema(g: Any, x: Any, out: Any, dim: Any, axis: Any) -> Any:
    shape = x.shape
    value, over = in_line(out, shape, dim, axis), axis_of(pick_dim(dim, axis), len(shape))
    return shared(in_line(g, shape, dim, axis), x, value, over)


def shared(g: Any, x: Any, value: Any, axis: Any) -> Any:
    """The gradient of ``value``, in equal parts to the elements of ``x`` that are it, and 0 to the others."""
    shares = tie_shares(x, value, axis=axis)
    return filled_where(g * shares, eq(shares, 0), value=0)


@primitive(differentiable=False)
def tie_shares(input: Any, value: Any, *, axis: Any) -> Any:
    """1/k where ``input`` is one of the k elements equal to ``value`` over ``axis`` (NaN equals NaN here), else 0."""
    hit = np.equal(input, value)
    if np.any(np.not_equal(value, value)):
        hit |= np.isnan(input) & np.isnan(value)
    share = hit.astype(input.dtype)
    return share / np.add.reduce(share, axis=axis, keepdims=True)


_FEW = 4096
_maximum: Any = np.maximum.reduce
_minimum: Any = np.minimum.reduce


def _extreme(input: Any, name: str, dim: Any, keepdims: bool) -> Any:
    reduce = _maximum if name == "amax" else _minimum
    if type(dim) is int and input.size and -input.ndim <= dim < input.ndim:  # the usual case
        found = reduce(input, dim, keepdims=True) if keepdims else reduce(input, dim)
        return found if found.ndim else np.asarray(found)
    over = None if dim == () else axis_of(dim, input.ndim)
    if not input.size:
        nonempty(input, over, name)
    if over is None and not keepdims and input.size < _FEW:  # of a few numbers the place is found sooner
        flat = input.reshape(-1)
        return np.asarray(flat[flat.argmax() if name == "amax" else flat.argmin()])
    return np.asarray(reduce(input, over, keepdims=keepdims))


@primitive(
    settings="dim keepdim",
    input=lambda g, input, out, dim, axis: _to_extrema(g, input, out, dim, axis),
)
def amax(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Maximum over ``dim``; ties share the gradient evenly."""
    return _extreme(input, "amax", dim if axis is None else axis, keepdim or keepdims)


@primitive(
    settings="dim keepdim",
    input=lambda g, input, out, dim, axis: _to_extrema(g, input, out, dim, axis),
)
def amin(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Minimum over ``dim``; ties share the gradient evenly."""
    return _extreme(input, "amin", dim if axis is None else axis, keepdim or keepdims)


def aminmax(input: Any, *, dim: Any = None, keepdim: bool = False, axis: Any = None, keepdims: bool = False) -> MinMax:
    """(:func:`amin`, :func:`amax`), also as ``.min`` and ``.max``."""
    d = pick_dim(dim, axis)
    over = () if d is None else one_axis(d, input.ndim)
    if 0 in input.shape:
        nonempty(input, axis_of(over, input.ndim), "aminmax")
    keep = keepdim or keepdims
    return MinMax(amin(input, over, keep), amax(input, over, keep))


# --------------------------------------------------------------------------------------- extrema and where they stand


def _along(name: str, says: str, largest: bool) -> Any:
    reduce = _maximum if largest else _minimum

    def function(input: Any, dim: int, *, keepdim: bool) -> Any:
        axis = dim if type(dim) is int and 0 <= dim < input.ndim else one_axis(dim, input.ndim)
        if not input.size:
            nonempty(input, (axis,), name)
        find = input.argmax if largest else input.argmin
        if keepdim:
            return reduce(input, axis, keepdims=True), find(axis, keepdims=True)
        return reduce(input, axis), find(axis)

    function.__doc__ = f"The {says} of each line, and where it stands (the first of equal ones); NaN beats all."
    return primitive(
        function,
        name=f"{name}_along",
        settings="dim",
        outputs=("values", "indices"),
        plain="indices",
        result=ValuesIndices,
        input=lambda g, indices, input_shape, dim: to_places(g, indices, input_shape, dim),
    )


max_along = _along("max", "greatest", True)
min_along = _along("min", "smallest", False)


def max(
    input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False, out: Any = None
) -> Any:
    """Maximum of all; with ``dim`` (values, indices), the gradient going to the index; with a tensor,
    :func:`maximum`."""
    if out is not None:
        refuse_out("max", out)
    if axis is not None:
        dim = axis
    if type(dim) is int:
        return max_along(input, dim, keepdim=keepdim or keepdims)
    return _extreme_of(input, dim, keepdim or keepdims, "max", amax, max_along, maximum)


def min(
    input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False, out: Any = None
) -> Any:
    """Minimum of all; with ``dim`` (values, indices), the gradient going to the index; with a tensor,
    :func:`minimum`."""
    if out is not None:
        refuse_out("min", out)
    if axis is not None:
        dim = axis
    if type(dim) is int:
        return min_along(input, dim, keepdim=keepdim or keepdims)
    return _extreme_of(input, dim, keepdim or keepdims, "min", amin, min_along, minimum)


def _extreme_of(input: Any, dim: Any, keepdim: bool, name: str, whole: Any, along: Any, elementwise: Any) -> Any:
    if dim is None:
        if 0 in input.shape:
            nonempty(input, None, name)
        return whole(input)
    tensor = hasattr(dim, "dtype") and not isinstance(dim, np.integer)  # a dimension may be a number of NumPy's
    return elementwise(input, dim) if tensor else along(input, dim, keepdim=keepdim)


def _position(name: str, says: str) -> Any:
    def function(
        input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> Any:
        at = dim if axis is None else axis
        if at is None:
            if not input.size:
                raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        else:
            at = one_axis(at, input.ndim)
            if not input.size:
                nonempty(input, (at,), name)
        return np.asarray(getattr(input, name)(at, keepdims=keepdim or keepdims))

    function.__doc__ = f"Index of the {says} (the first one), over all elements or along ``dim``; int64."
    return primitive(function, name=name, settings="dim keepdim", differentiable=False)


argmax = _position("argmax", "maximum")
argmin = _position("argmin", "minimum")
