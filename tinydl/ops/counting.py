"""Sets, counts and bins: unique values, histograms, places in a sorted sequence. None has a derivative."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.devices import ELSEWHERE, beside, by_the_host, on_host
from tinydl.ops.axes import one_axis, pick_dim
from tinydl.ops.extrema import constant, data_of


def _result(lines: Any, differs: Any, order: Any, shape: Any, inverse: bool, counts: bool) -> list[Any]:
    """The first of each run of equal ``lines`` and, if asked for, the run of each and how long the runs are.

    ``differs`` says of each but the first whether it is another than the one before; ``order`` whence each came (None:
    it stands where it stood).
    """
    starts = np.zeros(len(lines), np.bool_)
    starts[1:] = differs
    run = np.add.accumulate(starts, 0, np.int64) if inverse else None
    starts[:1] = True
    (first,) = starts.nonzero()
    found = [lines[first]]
    if run is not None:
        if order is not None:
            run[order] = run.copy()
        found.append(run.reshape(shape))
    if counts:
        ends = np.empty(len(first) + 1, np.int64)
        ends[:-1], ends[-1] = first, len(lines)
        found.append(ends[1:] - ends[:-1])
    return found


def _tensors(found: list[Any]) -> Any:
    return constant(found[0]) if len(found) == 1 else tuple([constant(x) for x in found])


def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
    *,
    axis: Any = None,
) -> Any:
    """The different values, in order; with ``dim`` the different slices. Every NaN is one of its own.

    Also, if asked for, the index of each element among them (in the shape of ``input``) and how often each occurs.
    """
    x, d = data_of(input), pick_dim(dim, axis)
    if type(x) in ELSEWHERE:
        return by_the_host(unique, input, sorted, return_inverse, return_counts, d)
    if d is not None:
        return _unique_slices(x, one_axis(d, x.ndim), return_inverse, return_counts)
    line, order = x.flatten(), None
    if return_inverse:
        order = line.argsort(kind="stable")
        line = line[order]
    else:
        line.sort()
    return _tensors(_result(line, line[1:] != line[:-1], order, x.shape, return_inverse, return_counts))


def _unique_slices(x: Any, axis: int, return_inverse: bool, return_counts: bool) -> Any:
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    found = [np.ascontiguousarray(values)]
    if return_inverse:
        found.append(np.asarray(inverse.reshape(x.shape[axis]), np.int64))  # versions of NumPy differ here
    if return_counts:
        found.append(np.asarray(counts, np.int64))
    return _tensors(found)


def unique_consecutive(
    input: Any,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
    *,
    axis: Any = None,
) -> Any:
    """The first of every run of equal elements (of all, in order; with ``dim`` of slices).

    Also, if asked for, the index of each element's run and the lengths of the runs.
    """
    x, d = data_of(input), pick_dim(dim, axis)
    if type(x) in ELSEWHERE:
        return by_the_host(unique_consecutive, input, return_inverse, return_counts, d)
    if d is None:
        line = x.reshape(-1)
        return _tensors(_result(line, line[1:] != line[:-1], None, x.shape, return_inverse, return_counts))
    at = one_axis(d, x.ndim)
    slices = x.swapaxes(0, at)
    differs = np.logical_or.reduce(slices[1:] != slices[:-1], tuple(range(1, x.ndim)))
    values, *rest = _result(slices, differs, None, slices.shape[:1], return_inverse, return_counts)
    return _tensors([np.ascontiguousarray(values.swapaxes(0, at)), *rest])


@primitive(settings="minlength", differentiable=False)
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of 0, 1, ..., max occurs in a 1-d tensor of non-negative integers; or the sum of its weights."""
    if input.ndim != 1 or input.dtype.kind not in "iu":
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs, got {input.dtype} of shape {tuple(input.shape)}"
        )
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input; got {tuple(weights.shape)} and "
            f"{tuple(input.shape)}"
        )
    try:
        found = np.bincount(input, weights, minlength)
    except ValueError:
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs, got {input.dtype} of shape "
            f"{tuple(input.shape)} with the value {int(input.min())}"
        ) from None
    return found.astype(np.float32, copy=False) if weights is not None and weights.dtype == np.float32 else found


@primitive(settings="bins min max", differentiable=False)
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements fall into each of ``bins`` equal parts of [min, max], in the dtype of ``input``.

    Elements outside are not counted; min = max means from the smallest to the greatest element.
    """
    x = input.reshape(-1)
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, but got {bins} for bins")
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(np.minimum.reduce(x)), float(np.maximum.reduce(x))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"max must be larger than min, got {low} and {high}")
    inside = x[(x >= low) & (x <= high)]
    if low == high:  # all of one value: it stands in the middle
        place = np.full(inside.size, bins // 2)
    else:
        place = ((inside - low) * bins / (high - low)).astype(np.int64)
    return np.bincount(np.minimum(place, bins - 1, out=place), None, bins).astype(x.dtype)


@primitive(differentiable=False)
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Where each element of ``input`` would stand in the sorted last dimension of ``sorted_sequence``.

    i with s[i-1] < x <= s[i] (left), or s[i-1] <= x < s[i] (right). The leading dimensions of the two are the same,
    unless the sequence has one dimension; ``sorter`` sorts it. Raises RuntimeError for shapes that do not fit.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError("side and right can't be set to opposites, got side of left while right was True")
    where: Any = "right" if right or side == "right" else "left"
    sequence, x = sorted_sequence, np.asarray(input)
    if sorter is not None:
        sequence = np.take_along_axis(sequence, data_of(sorter), -1)
    if sequence.ndim == 1:
        found = sequence.searchsorted(x, where)
    else:
        if x.ndim != sequence.ndim or x.shape[:-1] != sequence.shape[:-1]:
            raise RuntimeError(
                "boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input "
                f"value tensor must match, but we got boundaries tensor {list(sequence.shape)} and input value tensor "
                f"{list(x.shape)}"
            )
        found = np.empty(x.shape, np.int64)
        rows = found.reshape(-1, x.shape[-1])
        lines = sequence.reshape(-1, sequence.shape[-1])
        for i, values in enumerate(x.reshape(-1, x.shape[-1])):
            rows[i] = np.searchsorted(lines[i], values, where)
    return np.asarray(found, np.int32 if out_int32 else np.int64)


@primitive(differentiable=False)
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """:func:`searchsorted` of ``input`` in 1-d ``boundaries``: which bucket each element falls into."""
    if boundaries.ndim != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim}), shape {tuple(boundaries.shape)}"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Elementwise: whether it is one of ``test_elements`` (``invert``: whether it is none of them).

    Either may be a number. ``assume_unique`` promises that none occurs twice; nothing depends on it here.
    """
    x, among = data_of(elements), data_of(test_elements)
    found = np.asarray(np.isin(on_host(x), on_host(among), invert=invert))
    return constant(beside(found, x if type(x) in ELSEWHERE else among))
