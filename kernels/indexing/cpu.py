"""Places of an index and what is combined there, on the CPU: one element after another, or one slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.builtin import Builtin
from tinydl.kernels.indexing import ADD, GREATER, MULTIPLY
from tinydl.kernels.registry import register
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

DTYPES = ("float32", "float64", "int64")

_INT64 = np.dtype(np.int64)


def _places(index: Array, lead: int, size: int, step: int, places: Array) -> int:
    """1 where an index is out of bounds; so below."""
    if places.size == 0:
        return 0
    length = places.size // (lead * step)
    k = 0
    for i in range(lead):
        for _ in range(length):
            for s in range(step):
                if index[k] < 0 or index[k] >= size:
                    return 1
                places[k] = (i * size + index[k]) * step + s
                k += 1
    return 0


_PLACES = Builtin(_places, "liiil")


@register(op="flat_places", name="cpu.loop", default=True)
def flat_places(index: Array, lead: int, size: int, step: int) -> NDArray[np.int64]:
    """One entry after another; see the card."""
    if index.dtype is not _INT64 or not index.flags.carray:
        index = plain(np.asarray(index, np.int64))
    places = np.empty(index.size, _INT64)
    if _PLACES[_INT64](index, lead, size, step, places):
        raise IndexError("an index is out of bounds")
    return places


def _combine(y: Array, places: Array, values: Array, how: int) -> int:
    for k in range(places.size):
        at = places[k]
        if at < 0:
            at += y.size
        if at < 0 or at >= y.size:
            return 1
        value = values[k]
        if how == ADD:
            y[at] += value
        elif how == MULTIPLY:
            y[at] *= value
        elif value != value or (value > y[at] if how == GREATER else value < y[at]):
            y[at] = value
    return 0


_COMBINE = Builtin(_combine, "TlTi")


@register(op="combine_at_", name="cpu.loop", dtypes=DTYPES, default=True)
def combine_at_(y: Array, places: Array, values: Array, how: int) -> Array:
    """One element after another; see the card."""
    if places.dtype is not _INT64 or not places.flags.carray:
        places = plain(np.asarray(places, np.int64))
    if _COMBINE[y.dtype](y, places, values if values.flags.carray else plain(values), how):
        raise IndexError("a place is out of bounds")
    return y


def _slices(y: Array, at: Array, values: Array, lead: int, size: int, step: int, alpha: float) -> int:
    by = y.dtype.type(alpha)
    for i in range(lead):
        for k in range(at.size):
            place = at[k]
            if place < 0:
                place += size
            if place < 0 or place >= size:
                return 1
            to = y[(i * size + place) * step :]
            added = values[(i * at.size + k) * step :]
            if by == 1:
                for s in range(step):
                    to[s] += added[s]
            else:
                for s in range(step):
                    to[s] += by * added[s]
    return 0


_SLICES = Builtin(_slices, "TlTiiix")


@register(op="add_slices_", name="cpu.loop", dtypes=DTYPES, default=True)
def add_slices_(y: Array, at: Array, values: Array, lead: int, size: int, step: int, alpha: float) -> Array:
    """One slice after another; see the card."""
    if at.dtype is not _INT64 or not at.flags.carray:
        at = plain(np.asarray(at, np.int64))
    if _SLICES[y.dtype](y, at, values if values.flags.carray else plain(values), lead, size, step, alpha):
        raise IndexError("a place is out of bounds")
    return y
