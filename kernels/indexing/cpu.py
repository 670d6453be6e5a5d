"""Places of an index and what is combined there, on the CPU: one element after another, or one slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.indexing import ADD, GREATER, MULTIPLY
from tinydl.kernels.registry import register
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

DTYPES = ("float32", "float64", "int64")

# All arrays are given flat: a call costs by the argument, and machine code is made for each number of dimensions.


@njit
def _places(index: Array, lead: int, size: int, step: int, places: Array) -> None:
    if places.size == 0:
        return
    length = places.size // (lead * step)
    k = 0
    for i in range(lead):
        for _ in range(length):
            for s in range(step):
                if index[k] < 0 or index[k] >= size:
                    raise IndexError("an index is out of bounds")
                places[k] = (i * size + index[k]) * step + s
                k += 1


@register(op="flat_places", name="cpu.loop", default=True)
def flat_places(index: Array, lead: int, size: int, step: int) -> NDArray[np.int64]:
    """One entry after another; see the card."""
    if index.dtype is not _INT64 or not index.flags.carray:
        index = plain(np.asarray(index, np.int64))
    places = np.empty(index.size, np.int64)
    _places(index.ravel(), lead, size, step, places)
    return places


_INT64 = np.dtype(np.int64)


@njit
def _combine(y: Array, places: Array, values: Array, how: int) -> None:
    for k in range(places.size):
        at = places[k]
        if at < 0:
            at += y.size
        if at < 0 or at >= y.size:
            raise IndexError("a place is out of bounds")
        value = values[k]
        if how == ADD:
            y[at] += value
        elif how == MULTIPLY:
            y[at] *= value
        elif value != value or (value > y[at] if how == GREATER else value < y[at]):
            y[at] = value


@register(op="combine_at_", name="cpu.loop", dtypes=DTYPES, default=True)
def combine_at_(y: Array, places: Array, values: Array, how: int) -> Array:
    """One element after another; see the card."""
    if places.dtype is not _INT64 or not places.flags.carray:
        places = plain(np.asarray(places, np.int64))
    _combine(y.ravel(), places.ravel(), (values if values.flags.carray else plain(values)).ravel(), how)
    return y


@njit
def _slices(y: Array, at: Array, values: Array, lead: int, size: int, step: int, alpha: float) -> None:
    by = y.dtype.type(alpha)
    for i in range(lead):
        for k in range(at.size):
            place = at[k]
            if place < 0:
                place += size
            if place < 0 or place >= size:
                raise IndexError("a place is out of bounds")
            to = y[(i * size + place) * step :]
            added = values[(i * at.size + k) * step :]
            if by == 1:
                for s in range(step):
                    to[s] += added[s]
            else:
                for s in range(step):
                    to[s] += by * added[s]


@register(op="add_slices_", name="cpu.loop", dtypes=DTYPES, default=True)
def add_slices_(y: Array, at: Array, values: Array, lead: int, size: int, step: int, alpha: float) -> Array:
    """One slice after another; see the card."""
    if at.dtype is not _INT64 or not at.flags.carray:
        at = plain(np.asarray(at, np.int64))
    values = values if values.flags.carray else plain(values)
    _slices(y.ravel(), at.ravel(), values.ravel(), lead, size, step, alpha)
    return y
