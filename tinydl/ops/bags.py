"""Bags of rows of a table, as one fused operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.devices import beside, on_host
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import where
from tinydl.ops.extrema import data_of
from tinydl.ops.indexing import add_rows, gather_along, take_rows
from tinydl.ops.shaping import reshape_to

_EMBEDDING_BAG = by_dtype("embedding_bag")
_EMBEDDING_BAG_BACKWARD = by_dtype("embedding_bag_backward")
Array = np.ndarray[Any, Any]


def _appearances(index: Array, rows: int) -> Array:
    """How often each row stands in an index, and 1 for those that do not."""
    return np.maximum(np.bincount(index.reshape(-1), minlength=rows), 1)


def by_frequency(taken: Any, index: Array) -> Any:
    """``taken`` itself, rows of a table, whose gradient is divided by the number of times its index stands in
    ``index``."""
    at = on_host(index)
    share = beside((1 / np.bincount(at.reshape(-1))[at])[..., None].astype(taken.dtype), data_of(taken))
    with_gradient = taken * share
    return with_gradient + data_of(taken - with_gradient)


def _largest(taken: Any, bag: Array, bags: int) -> Any:
    """The maximum of each bag and column, the first where several tie; 0 for an empty bag."""
    x = data_of(taken)
    full, begins = np.unique(bag, return_index=True)
    places = np.zeros((bags, x.shape[1]), np.int64)
    if full.size:
        top = np.zeros((bags, x.shape[1]), x.dtype)
        top[full] = np.maximum.reduceat(x, begins, axis=0)
        hits = np.where(x == top[bag], np.arange(len(x))[:, None], len(x))
        places[full] = np.minimum(np.minimum.reduceat(hits, begins, axis=0), len(x) - 1)
        found = gather_along(taken, places, axis=0)
    else:
        found = add_rows(taken, bag, rows=bags)
    empty = np.ones((bags, 1), np.bool_)
    empty[full] = False
    return where(empty, np.zeros((), x.dtype), found)


def embedding_bag_definition(
    weight: Any, factors: Any, index: Any, offsets: Any, *, reduce: str, padding: int, frequency: bool = False
) -> Any:
    """Rows are taken, multiplied by their factors, and added up, or the largest is found."""
    index, offsets = data_of(index).reshape(-1), data_of(offsets)
    bag, bags = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), len(offsets) - 1
    counts = np.flatnonzero(index[: bag.size] != padding)
    index, bag = index[counts], bag[counts]
    taken = take_rows(weight, index)
    if reduce == "max":
        return _largest(taken, bag, bags)
    if frequency:
        taken = by_frequency(taken, index)
    if factors is not None:
        flat = reshape_to(factors, shape=(data_of(factors).size, 1))
        taken = taken * take_rows(flat, counts)
    total = add_rows(taken, bag, rows=bags)
    if reduce == "sum":
        return total
    return total / np.maximum(np.bincount(bag, minlength=bags), 1).astype(total.dtype)[:, None]


def _gradients(
    needs: tuple[bool, ...], g: Any, weight: Any, factors: Any, index: Any, offsets: Any, counts: Any, places: Any,
    reduce: str, padding: int, frequency: bool,
) -> tuple[Any, ...]:  # fmt: skip
    kernel = _EMBEDDING_BAG_BACKWARD[weight.dtype]
    dweight, dfactors = kernel(g, weight, index, offsets, factors, counts, places, reduce, padding)
    if frequency:
        counted = index.reshape(-1)[: int(offsets[-1])]
        counted = counted[counted != padding]
        dweight = (dweight / _appearances(counted, len(weight))[:, None]).astype(dweight.dtype)
    return dweight, dfactors, None, None


@primitive(
    outputs=("out", "counts", "places"), aux=("counts", "places"), composite=embedding_bag_definition,
    joint=_gradients, constants="index offsets",
)  # fmt: skip
def embedding_bag(
    weight: Any, factors: Any, index: Any, offsets: Any, *, reduce: str, padding: int, frequency: bool = False
) -> Any:
    """``weight`` [V, D], ``index`` int64, bag b of which lies from ``offsets`` [b] to [b + 1] -> [bags, D].

    ``reduce`` is sum (each row times its factor, if there are ``factors`` of the index's shape), mean or max; the index
    ``padding`` does not count (-1: all do). ``frequency``: a row's gradient is divided by how often it was looked up.
    """
    return _EMBEDDING_BAG[weight.dtype](weight, index, offsets, factors, reduce, padding)
