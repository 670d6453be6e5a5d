"""Sorting and what rests on it: order statistics, the mode, quantiles.

The order is stable, and NaN is greater than every number; gradients go back to where the elements came from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.devices import on_host
from tinydl.ops.axes import one_axis, pick_dim
from tinydl.ops.extrema import ValuesIndices, data_of, places, put_at, shared, take_at, to_places
from tinydl.ops.formulas import interpolate
from tinydl.ops.shaping import permute_axes, reshape_to

_FEW = 4096


def _sorted(x: Any, axis: int, descending: bool = False, k: int | None = None) -> tuple[Any, Any]:
    """(values, indices) of an array, the first ``k`` of each line; one without dimensions is sorted as it is.

    Equal elements keep their order either way: descending is backwards what sorts the lines read backwards.
    """
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    lead, n = (slice(None),) * axis, x.shape[axis]
    lines = x[(*lead, slice(None, None, -1))] if descending else x
    order = lines.argsort(axis, "stable")
    values = None
    if x.size <= _FEW:  # few numbers are sorted again sooner than they are gathered
        values = lines.copy()
        values.sort(axis, "stable")
    if descending:
        first = (*lead, slice(None, None if k is None or k == n else n - 1 - k, -1))
        order = n - 1 - order[first]
        values = None if values is None else values[first].copy()
    elif k is not None:
        first = (*lead, slice(0, k))
        order = order[first].copy()
        values = None if values is None else values[first].copy()
    return take_at(x, order, axis=axis) if values is None else values, order


def _from_sorted(g: Any, indices: Any, shape: tuple[int, ...], dim: Any) -> Any:
    if not shape:
        return reshape_to(g, shape=())
    return put_at(g, indices, axis=one_axis(dim, len(shape)), shape=shape)


@primitive(
    settings="dim descending stable",
    outputs=("values", "indices"),
    plain="indices",
    result=ValuesIndices,
    input=lambda g, indices, input_shape, dim, axis: _from_sorted(g, indices, input_shape, pick_dim(dim, axis)),
)
def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False, *, axis: Any = None) -> Any:
    """Sorted along ``dim``, and where each element stood. Always stable; NaN counts as the greatest."""
    return _sorted(input, one_axis(dim if axis is None else axis, input.ndim), descending)


@primitive(settings="dim descending stable", differentiable=False)
def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False, *, axis: Any = None) -> Any:
    """The indices of :func:`sort`."""
    at = one_axis(dim if axis is None else axis, input.ndim)
    if descending or not input.ndim:
        return _sorted(input, at, descending)[1]
    return input.argsort(at, "stable")


def msort(input: Any) -> Any:
    """Sorted along the first dimension."""
    return sort(input, 0).values


@primitive(
    settings="k dim largest sorted",
    outputs=("values", "indices"),
    plain="indices",
    result=ValuesIndices,
    input=lambda g, indices, input_shape, dim, axis: _from_sorted(g, indices, input_shape, pick_dim(dim, axis)),
)
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, axis: Any = None) -> Any:
    """The ``k`` largest (or smallest) along ``dim`` in order, and where they stand."""
    at = one_axis(dim if axis is None else axis, input.ndim)
    size = input.shape[at] if input.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"selected index k out of range: k is {k}, and dim {at} of {tuple(input.shape)} has {size}")
    return _sorted(input, at, largest, k)


# ---------------------------------------------------------------------------------------------------- order statistics


def _at_rank(name: str, input: Any, at: int, keepdim: bool, rank: Any) -> tuple[Any, Any]:
    """(values, indices) at ``rank`` of each sorted line: a number, or a function that finds it in the sorted lines."""
    if not input.ndim:
        return _sorted(input, at)
    if not input.shape[at]:
        raise IndexError(
            f"{name}(): Expected reduction dim {at} to have non-zero size; the input has shape {tuple(input.shape)}"
        )
    if isinstance(rank, int):
        pick = (slice(None),) * at + (slice(rank, rank + 1),)
        if input.size > _FEW:
            order = input.argsort(at, "stable")[pick].copy()
            values = take_at(input, order, axis=at)
        else:
            values, order = _sorted(input, at)
            values, order = values[pick].copy(), order[pick].copy()
    else:
        values, order = _sorted(input, at)
        found = places(rank(values, at), at, input.shape[at])
        values, order = (x.swapaxes(at, -1).reshape(-1)[found].swapaxes(at, -1) for x in (values, order))
    if keepdim:
        return values, order
    shape = input.shape[:at] + input.shape[at + 1 :]
    return values.reshape(shape), order.reshape(shape)


@primitive(
    settings="k dim keepdim",
    outputs=("values", "indices"),
    plain="indices",
    result=ValuesIndices,
    input=lambda g, indices, input_shape, dim, axis: to_places(g, indices, input_shape, pick_dim(dim, axis)),
)
def kthvalue(
    input: Any, k: int, dim: int = -1, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
) -> Any:
    """The ``k``-th smallest along ``dim`` (k counts from 1), and where it stands."""
    at = one_axis(dim if axis is None else axis, input.ndim)
    size = input.shape[at] if input.ndim else 1
    if not size:
        raise IndexError(f"kthvalue(): Expected reduction dim {at} to have non-zero size; got {tuple(input.shape)}")
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {at}: k is {k}, of {size}")
    return _at_rank("kthvalue", input, at, keepdim or keepdims, int(k) - 1)


def _middle(values: Any, axis: int) -> Any:
    """The rank of the lower median of sorted lines, or of the first NaN."""
    n = values.shape[axis]
    missing = np.add.reduce(values != values, axis, np.int64, keepdims=True)
    return np.where(missing > 0, n - missing, (n - 1) // 2)


def _middle_of_numbers(values: Any, axis: int) -> Any:
    """The rank of the lower median of what is not NaN."""
    return np.maximum(np.add.reduce(values == values, axis, np.int64, keepdims=True) - 1, 0) // 2


def _refuse_booleans(input: Any, skip_nan: bool) -> None:
    if input.dtype.kind == "b":
        name = "nanmedian" if skip_nan else "median"
        raise RuntimeError(f"{name} is not implemented for booleans; convert with .long() first")


@primitive(
    outputs=("values", "indices"),
    plain="indices",
    result=ValuesIndices,
    input=lambda g, indices, input_shape, dim: to_places(g, indices, input_shape, dim),
)
def median_along(input: Any, *, dim: int, keepdim: bool, skip_nan: bool) -> Any:
    """The lower median of each line, and where it stands."""
    _refuse_booleans(input, skip_nan)
    at = one_axis(dim, input.ndim)
    rank: Any = (input.shape[at] - 1) // 2 if input.ndim else 0
    if input.dtype.kind == "f" and np.count_nonzero(np.isnan(input)):
        rank = _middle_of_numbers if skip_nan else _middle
    return _at_rank("nanmedian" if skip_nan else "median", input, at, keepdim, rank)


@primitive(input=lambda g, input, out: shared(g, input, out, None))
def whole_median(input: Any, *, skip_nan: bool) -> Any:
    """The lower median of all elements; ties share the gradient evenly."""
    _refuse_booleans(input, skip_nan)
    if not input.size:
        return np.asarray(np.nan if input.dtype.kind == "f" else np.iinfo(input.dtype).min, input.dtype)
    flat = input.flatten()
    flat.sort()
    rank = (flat.size - 1) // 2
    if flat[-1] != flat[-1]:  # the NaN stand last
        rank = max(int(np.count_nonzero(flat == flat)) - 1, 0) // 2 if skip_nan else -1
    return np.asarray(flat[rank])


def median(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The median (of an even number the lower one); NaN where one is. With ``dim``, (values, indices)."""
    if axis is not None:
        dim = axis
    if dim is None:
        return whole_median(input, skip_nan=False)
    return median_along(input, dim=dim, keepdim=keepdim or keepdims, skip_nan=False)


def nanmedian(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The :func:`median` of what is not NaN."""
    if axis is not None:
        dim = axis
    if dim is None:
        return whole_median(input, skip_nan=True)
    return median_along(input, dim=dim, keepdim=keepdim or keepdims, skip_nan=True)


def _longest_run(values: Any, axis: int) -> Any:
    """The rank at which the first of the longest runs of equal values ends."""
    lines = values.swapaxes(axis, -1)
    place = np.arange(lines.shape[-1])
    begins = np.zeros(lines.shape, np.int64)  # where in its line a run begins
    np.multiply(lines[..., 1:] != lines[..., :-1], place[1:], begins[..., 1:])
    np.maximum.accumulate(begins, -1, None, begins)
    return np.subtract(place, begins, begins).argmax(-1, keepdims=True).swapaxes(axis, -1)


@primitive(
    settings="dim keepdim",
    outputs=("values", "indices"),
    plain="indices",
    result=ValuesIndices,
    input=lambda g, indices, input_shape, dim, axis: to_places(g, indices, input_shape, pick_dim(dim, axis)),
)
def mode(input: Any, dim: int = -1, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The most frequent value along ``dim`` (the smallest of several), and where it stands last."""
    at = one_axis(dim if axis is None else axis, input.ndim)
    return _at_rank("mode", input, at, keepdim or keepdims, _longest_run)


# ---------------------------------------------------------------------------------------------------------- quantiles

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    input: Any,
    q: Any,
    dim: Any = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """The q-quantiles along ``dim`` (of all elements, by default): rank q (n - 1) among the sorted, with what lies
    between two ranks by ``interpolation``: linear, lower, higher, midpoint or nearest. NaN where one is.

    ``q`` is a number or a 1-d tensor in [0, 1], which becomes the first dimension; it gets no gradient.
    """
    d = pick_dim(dim, axis)
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"quantile() interpolation must be one of {', '.join(_INTERPOLATIONS)}, but got {interpolation!r}"
        )
    if input.dtype.kind != "f":
        raise RuntimeError(f"quantile() input tensor must be either float or double dtype, got {input.dtype}")
    share = np.asarray(on_host(data_of(q)), input.dtype)
    if share.ndim > 1:
        raise RuntimeError(f"quantile() q must be a scalar or 1D tensor, got shape {tuple(share.shape)}")
    if hasattr(q, "dtype") and q.dtype != input.dtype:
        raise RuntimeError(f"quantile() q tensor must be same dtype as the input tensor: {q.dtype}, {input.dtype}")
    if np.count_nonzero((share >= 0) & (share <= 1)) < share.size:
        raise RuntimeError(f"quantile() q values must be in the range [0, 1], got {data_of(q)}")
    if 0 in input.shape:
        raise RuntimeError(f"quantile() input tensor must be non-empty; its shape is {tuple(input.shape)}")
    at = None if d is None else one_axis(d, input.ndim)
    if not input.ndim:
        at = None
    return quantiles(input, share=share, axis=at, keepdim=keepdim or keepdims, interpolation=interpolation)


def _last(axis: int, ndim: int) -> tuple[int, ...]:
    """The order of dimensions in which ``axis`` is the last."""
    return (*range(axis), *range(axis + 1, ndim), axis)


def _from_quantiles(
    g: Any, low: Any, high: Any, weight: Any, shape: tuple[int, ...], axis: int | None, interpolation: str
) -> Any:
    """Each quantile's gradient goes to the one or two elements it lies at or between."""
    lines = (math.prod(shape),) if axis is None else tuple(shape[d] for d in _last(axis, len(shape)))
    g = reshape_to(g, shape=(low.shape[-1], *lines[:-1]))
    g = permute_axes(g, axes=(*range(1, len(lines)), 0))
    at = len(lines) - 1
    if interpolation in ("linear", "midpoint"):
        below, above = (
            put_at(part, i, axis=at, shape=lines) for part, i in ((g * (1 - weight), low), (g * weight, high))
        )
        found = below + above
    else:
        found = put_at(g, low, axis=at, shape=lines)
    if axis is None:
        return reshape_to(found, shape=shape)
    return permute_axes(found, axes=(*range(axis), at, *range(axis, at)))


@primitive(
    outputs=("out", "low", "high", "weight"),
    aux=("low", "high", "weight"),
    input=lambda g, low, high, weight, input_shape, axis, interpolation: _from_quantiles(
        g, low, high, weight, input_shape, axis, interpolation
    ),
)
def quantiles(input: Any, *, share: Any, axis: int | None, keepdim: bool, interpolation: str) -> Any:
    """The quantiles behind :func:`quantile`; besides, of each the two elements it lies between, and how it does."""
    lines = input.reshape(-1) if axis is None else input.transpose(_last(axis, input.ndim))
    at = lines.ndim - 1
    ranked, order = _sorted(lines, at)
    last = lines.shape[at] - 1
    rank = share.reshape(-1).astype(input.dtype, copy=False) * last
    missing = ranked[..., -1:] != ranked[..., -1:]
    if np.count_nonzero(missing):  # NaN stand last, and where one is the quantile is NaN
        rank = np.where(missing, last, rank)
    elif at:
        rank = np.broadcast_to(rank, (*lines.shape[:-1], rank.size))
    below = (
        np.ceil(rank) if interpolation == "higher" else np.rint(rank) if interpolation == "nearest" else np.floor(rank)
    )
    weight = rank - below if interpolation == "linear" else np.full_like(rank, 0.5)
    low = below.astype(np.int64)
    out = take_at(ranked, low, axis=at)
    if interpolation in ("linear", "midpoint"):
        high = np.ceil(rank).astype(np.int64)
        out = interpolate(out, take_at(ranked, high, axis=at), weight)
        high = take_at(order, high, axis=at)
    else:
        high = low
    low = take_at(order, low, axis=at)
    rest = lines.shape[:-1]
    if keepdim:
        rest = (1,) * input.ndim if axis is None else input.shape[:axis] + (1,) + input.shape[axis + 1 :]
    return out.transpose(at, *range(at)).reshape(share.shape + rest), low, high, weight
