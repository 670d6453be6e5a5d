"""Sorting and what rests on it: order statistics, the mode, quantiles.

The order is found on the array (stable; NaN is greater than every number); the elements are then gathered, and
gradients go back to where they came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import one_axis, pick_dim
from tinydl.ops.extrema import ValuesIndices, chosen, constant, data_of, take_at, tie_shares
from tinydl.ops.formulas import lerp
from tinydl.ops.shaping import permute_axes, reshape_to


def _order(x: Any, axis: int, descending: bool) -> Any:
    """Indices that sort; equal elements keep their order either way."""
    if not descending:
        return x.argsort(axis, kind="stable")
    back = (slice(None),) * axis + (slice(None, None, -1),)
    return (x.shape[axis] - 1 - x[back].argsort(axis, kind="stable"))[back]


def _single(input: Any, dim: Any) -> ValuesIndices:
    """A 0-d tensor is sorted as it is."""
    one_axis(dim, 0)
    return ValuesIndices(reshape_to(input, shape=()), constant(np.zeros((), np.int64)))


def sort(
    input: Any, dim: int = -1, descending: bool = False, stable: bool = False, *, axis: Any = None
) -> ValuesIndices:
    """Sorted along ``dim``, and where each element stood. Always stable; NaN counts as the greatest."""
    d = pick_dim(dim, axis)
    if not input.ndim:
        return _single(input, d)
    at = one_axis(d, input.ndim)
    index = constant(np.ascontiguousarray(_order(data_of(input), at, descending)))
    return ValuesIndices(take_at(input, index, axis=at), index)


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False, *, axis: Any = None) -> Any:
    """The indices of :func:`sort`."""
    d = pick_dim(dim, axis)
    if not input.ndim:
        return _single(input, d).indices
    return constant(np.ascontiguousarray(_order(data_of(input), one_axis(d, input.ndim), descending)))


def msort(input: Any) -> Any:
    """Sorted along the first dimension."""
    return sort(input, 0).values


def topk(
    input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, axis: Any = None
) -> ValuesIndices:
    """The ``k`` largest (or smallest) along ``dim`` in order, and where they stand."""
    d = pick_dim(dim, axis)
    at = one_axis(d, input.ndim)
    size = input.shape[at] if input.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"selected index k out of range: k is {k}, and dim {at} of {tuple(input.shape)} has {size}")
    if not input.ndim:
        return _single(input, d)
    order = _order(data_of(input), at, largest)
    index = constant(np.ascontiguousarray(order[(slice(None),) * at + (slice(0, k),)]))
    return ValuesIndices(take_at(input, index, axis=at), index)


def _ranked(name: str, input: Any, d: Any, keepdim: bool, rank: Any) -> ValuesIndices:
    """The elements of a rank along ``dim``; ``rank`` gives it for sorted lines of an axis."""
    at = one_axis(d, input.ndim)
    if not input.ndim:
        return _single(input, d)
    if not input.shape[at]:
        raise IndexError(
            f"{name}(): Expected reduction dim {at} to have non-zero size; the input has shape {tuple(input.shape)}"
        )
    x = data_of(input)
    order = _order(x, at, False)
    return chosen(input, np.take_along_axis(order, rank(x, at), at), at, keepdim)


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False, *, axis: Any = None) -> ValuesIndices:
    """The ``k``-th smallest along ``dim`` (k counts from 1), and where it stands."""
    d = pick_dim(dim, axis)
    size = input.shape[one_axis(d, input.ndim)] if input.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {d}: k is {k}, of {size}")

    def rank(x: Any, axis: int) -> Any:
        return np.full(x.shape[:axis] + (1,) + x.shape[axis + 1 :], k - 1)

    return _ranked("kthvalue", input, d, keepdim, rank)


def _middle(x: Any, axis: int) -> Any:
    """The rank of the lower median, or of the first NaN."""
    missing = np.isnan(x).sum(axis=axis, keepdims=True)
    return np.where(missing > 0, x.shape[axis] - missing, (x.shape[axis] - 1) // 2)


def _middle_of_numbers(x: Any, axis: int) -> Any:
    """The rank of the lower median of what is not NaN."""
    return np.maximum((~np.isnan(x)).sum(axis=axis, keepdims=True) - 1, 0) // 2


@primitive(smooth=False, input=lambda g, input, out: g * tie_shares(input, out, axis=None))
def whole_median(input: Any, *, skip_nan: bool) -> Any:
    """The lower median of all elements; ties share the gradient evenly."""
    flat = input.reshape(-1)
    if not flat.size:
        return np.asarray(np.nan if input.dtype.kind == "f" else np.iinfo(input.dtype).min, input.dtype)
    rank = (_middle_of_numbers if skip_nan else _middle)(flat, 0)
    return np.sort(flat)[rank[0]]


def _median(name: str, input: Any, d: Any, keepdim: bool, rank: Any) -> Any:
    if input.dtype == np.bool_:
        raise RuntimeError(f"{name} is not implemented for booleans; convert with .long() first")
    if d is None:
        return whole_median(input, skip_nan=rank is _middle_of_numbers)
    return _ranked(name, input, d, keepdim, rank)


def median(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """The median (of an even number the lower one); NaN where one is. With ``dim``, (values, indices)."""
    return _median("median", input, pick_dim(dim, axis), keepdim, _middle)


def nanmedian(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """The :func:`median` of what is not NaN."""
    return _median("nanmedian", input, pick_dim(dim, axis), keepdim, _middle_of_numbers)


def mode(input: Any, dim: int = -1, keepdim: bool = False, *, axis: Any = None) -> ValuesIndices:
    """The most frequent value along ``dim`` (the smallest of several), and where it stands last."""

    def rank(x: Any, axis: int) -> Any:
        line = np.sort(x, axis=axis)
        place = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
        starts = np.ones(x.shape, np.bool_)
        lead = (slice(None),) * axis
        starts[(*lead, slice(1, None))] = line[(*lead, slice(1, None))] != line[(*lead, slice(None, -1))]
        length = place - np.maximum.accumulate(np.where(starts, place, 0), axis=axis)
        return np.argmax(length, axis=axis, keepdims=True)  # the end of the first run of the greatest length

    return _ranked("mode", input, pick_dim(dim, axis), keepdim, rank)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    input: Any, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear", axis: Any = None
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
    share = np.asarray(data_of(q), input.dtype)
    if share.ndim > 1:
        raise RuntimeError(f"quantile() q must be a scalar or 1D tensor, got shape {tuple(share.shape)}")
    if hasattr(q, "dtype") and q.dtype != input.dtype:
        raise RuntimeError(f"quantile() q tensor must be same dtype as the input tensor: {q.dtype}, {input.dtype}")
    if share.size and not (np.all(share >= 0) and np.all(share <= 1)):
        raise RuntimeError(f"quantile() q values must be in the range [0, 1], got {data_of(q)}")
    if 0 in input.shape:
        raise RuntimeError(f"quantile() input tensor must be non-empty; its shape is {tuple(input.shape)}")

    shape = tuple(input.shape)
    at = None if d is None or not input.ndim else one_axis(d, input.ndim)
    if at is None:
        lines = reshape_to(input, shape=(int(np.prod(shape)),))
    else:  # the dimension goes last
        lines = permute_axes(input, axes=tuple(i for i in range(len(shape)) if i != at) + (at,))
    ranked = sort(lines).values
    last = lines.shape[-1] - 1
    rank = np.broadcast_to(share.reshape(-1) * last, (*lines.shape[:-1], share.size))
    rank = np.where(np.isnan(data_of(lines)).any(axis=-1, keepdims=True), last, rank)  # there NaN was sorted to
    out = _between_ranks(ranked, rank, interpolation)

    kept = (1,) * len(shape) if at is None else shape[:at] + (1,) + shape[at + 1 :]
    rest = kept if keepdim else () if at is None else shape[:at] + shape[at + 1 :]
    out = permute_axes(out, axes=(out.ndim - 1, *range(out.ndim - 1)))
    return reshape_to(out, shape=share.shape + rest)


def _between_ranks(ranked: Any, rank: Any, interpolation: str) -> Any:
    axis = rank.ndim - 1

    def at(whole: Any) -> Any:
        return take_at(ranked, constant(whole.astype(np.int64)), axis=axis)

    if interpolation == "lower":
        return at(np.floor(rank))
    if interpolation == "higher":
        return at(np.ceil(rank))
    if interpolation == "nearest":
        return at(np.rint(rank))
    weight = rank - np.floor(rank) if interpolation == "linear" else np.full_like(rank, 0.5)
    return lerp(at(np.floor(rank)), at(np.ceil(rank)), constant(weight.astype(ranked.dtype)))
