"""Sets, counts and bins: unique values, histograms, places in a sorted sequence. None has a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.ops.axes import one_axis, pick_dim
from tinydl.ops.extrema import constant, data_of


def _packed(values: Any, inverse: Any, counts: Any, wanted: tuple[bool, bool]) -> Any:
    """The values alone, or a tuple with what was asked for."""
    found = [constant(np.ascontiguousarray(values))]
    if wanted[0]:
        found.append(constant(np.asarray(inverse, np.int64)))
    if wanted[1]:
        found.append(constant(np.asarray(counts, np.int64)))
    return found[0] if len(found) == 1 else tuple(found)


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
    at = None if d is None else one_axis(d, x.ndim)
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=at, equal_nan=False)
    inverse = inverse.reshape(x.shape if at is None else (x.shape[at],))  # versions of NumPy differ here
    return _packed(values, inverse, counts, (return_inverse, return_counts))


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
    at = None if d is None else one_axis(d, x.ndim)
    lines = x.reshape(-1) if at is None else np.moveaxis(x, at, 0)
    starts = np.ones(len(lines), np.bool_)
    starts[1:] = (lines[1:] != lines[:-1]).any(axis=tuple(range(1, lines.ndim)))
    first = np.flatnonzero(starts)
    values = lines[first] if at is None else np.moveaxis(lines[first], 0, at)
    inverse = (np.cumsum(starts) - 1).reshape(x.shape if at is None else (len(lines),))
    return _packed(values, inverse, np.diff(np.append(first, len(lines))), (return_inverse, return_counts))


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of 0, 1, ..., max occurs in a 1-d tensor of non-negative integers; or the sum of its weights."""
    x = data_of(input)
    if x.ndim != 1 or x.dtype.kind not in "iu" or np.any(x < 0):
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs, got {x.dtype} of shape {tuple(x.shape)}"
            + ("" if x.dtype.kind not in "iu" or not np.any(x < 0) else f" with the value {int(x.min())}")
        )
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    if weights is None:
        return constant(np.bincount(x, minlength=minlength).astype(np.int64))
    w = data_of(weights)
    if w.shape != x.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input; got {tuple(w.shape)} and {tuple(x.shape)}"
        )
    total = np.bincount(x, weights=w, minlength=minlength)
    return constant(total.astype(w.dtype if w.dtype == np.float32 else np.float64))


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements fall into each of ``bins`` equal parts of [min, max], in the dtype of ``input``.

    Elements outside are not counted; min = max means from the smallest to the greatest element.
    """
    x = data_of(input).reshape(-1)
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, but got {bins} for bins")
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"max must be larger than min, got {low} and {high}")
    inside = x[(x >= low) & (x <= high)]
    place = np.minimum(((inside - low) * bins / (high - low)).astype(np.int64), bins - 1)
    return constant(np.bincount(place, minlength=bins).astype(x.dtype))


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
    sequence, x = data_of(sorted_sequence), np.asarray(data_of(input))
    if sorter is not None:
        sequence = np.take_along_axis(sequence, data_of(sorter), -1)
    if sequence.ndim == 1:
        found = np.searchsorted(sequence, x, where)
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
    return constant(np.asarray(found, np.int32 if out_int32 else np.int64))


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """:func:`searchsorted` of ``input`` in 1-d ``boundaries``: which bucket each element falls into."""
    if data_of(boundaries).ndim != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({data_of(boundaries).ndim}), shape "
            f"{tuple(boundaries.shape)}"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
