"""Places that an index names, and what is brought together there, one element after another in the order of the index.

``flat_places(index, lead, size, step) -> places [index.size]``
    Of an array [lead, size, step], in its flat memory, the places (l, index[l, j, s], s) of an index
    [lead, length, step], of any shape with so many elements. IndexError for an entry outside 0 ... size - 1.

``combine_at_(y, places, values, how) -> y``
    One after another y[places[k]] = y[places[k]] + values[k], in flat memory; for ``how`` 1 their product instead, for
    2 the greater and for 3 the lesser one (a NaN is both). Negative places count from the end. IndexError for a place
    outside.

``add_slices_(y, at, values, lead, size, step, alpha) -> y``
    One after another y[:, at[k]] = y[:, at[k]] + alpha values[:, k], where y is [lead, size, step] in its flat memory
    and values are [lead, at.size, step]. Negative places count from the end. IndexError for a place outside.

The last two change y, which is contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.indexing import ADD, GREATER, LESSER, MULTIPLY
from tinydl.kernels.registry import register

Array = NDArray[Any]

# Both add in the same order; where a product and a sum become one rounding the last digit may differ.
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


@register(op="flat_places", name="numpy")
def flat_places(index: Array, lead: int, size: int, step: int) -> NDArray[np.int64]:
    """In three dimensions; see the head of the file."""
    if index.size and not (0 <= index.min() and index.max() < size):
        raise IndexError("an index is out of bounds")
    block = index.reshape(lead, -1, step) if index.size else np.zeros((lead, 0, step), np.int64)
    first = np.arange(lead).reshape(-1, 1, 1) * size
    places: NDArray[np.int64] = (first + block) * step + np.arange(step)
    return places.reshape(-1)


@register(op="combine_at_", name="numpy")
def combine_at_(y: Array, places: Array, values: Array, how: int) -> Array:
    """By NumPy's indexed ufuncs; see the head of the file."""
    ufunc = (np.add, np.multiply, np.maximum, np.minimum)[how]
    ufunc.at(y.reshape(-1), places.reshape(-1), values.reshape(-1))
    return y


@register(op="add_slices_", name="numpy")
def add_slices_(y: Array, at: Array, values: Array, lead: int, size: int, step: int, alpha: float) -> Array:
    """By NumPy's indexed addition; see the head of the file."""
    added = values.reshape(lead, at.size, step)
    places: Any = slice(None), at.reshape(-1)
    np.add.at(y.reshape(lead, size, step), places, added if alpha == 1 else added * alpha)
    return y


# -- cards ------------------------------------------------------------------------------------------------------------

# lead, size, length and step
_SIZES = ((2, 3, 4, 5), (1, 7, 9, 1), (3, 1, 6, 2), (0, 2, 3, 2), (2, 3, 0, 2), (4, 5, 40, 3))


def _place_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(11)
    for lead, size, length, step in _SIZES:
        yield rng.integers(0, size, (lead, length, step)), lead, size, step
        yield rng.integers(0, size, (lead * length, step)).T, lead, size, step


def _combine_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(12)
    for _, size, length, step in _SIZES:
        x, values = (rng.standard_normal((n, step)).astype(dtype) for n in (size, length))
        places = rng.integers(-x.size, x.size, values.shape)
        for how in (ADD, MULTIPLY, GREATER, LESSER):
            yield x, places, values, how
            yield x, places.T, values.T, how
    x = np.array([0.0, np.nan, 1.0, 2.0]).astype(dtype) if np.dtype(dtype).kind == "f" else np.arange(4)
    for how in (GREATER, LESSER):
        yield x, np.array([0, 1, 2, 2, 3, 3]), x[[1, 0, 3, 0, 1, 2]], how


def _slice_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(13)
    for lead, size, length, step in _SIZES:
        x, values = (
            np.round(4 * rng.standard_normal((lead, n, step))).astype(dtype) for n in (size, length)
        )
        at = rng.integers(-size, size, length)
        for alpha in (1, 3):
            yield x, at, values, lead, size, step, alpha
        yield x, at[::-1], values[:, ::-1], lead, size, step, 1


def _rows(count: int, width: int) -> tuple[Array, Array, Array]:
    """Half as many rows as are added to them, where each goes, and what is added."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((count // 2, width)), rng.integers(0, count // 2, (count, width)), rng.standard_normal(
        (count, width)
    )


def _place_case(count: int, width: int) -> Any:
    return lambda dtype: (_rows(count, width)[1], 1, count // 2, width)


def _combine_case(count: int, width: int) -> Any:
    def case(dtype: Any) -> tuple[Any, ...]:
        x, index, values = _rows(count, width)
        return x.astype(dtype), flat_places(index, 1, len(x), width), values.astype(dtype), ADD

    return case


def _slice_case(count: int, width: int) -> Any:
    def case(dtype: Any) -> tuple[Any, ...]:
        x, index, values = _rows(count, width)
        return x.astype(dtype), index[:, 0].copy(), values.astype(dtype), 1, len(x), width, 1

    return case


def _cases(make: Any) -> dict[str, Any]:
    return {f"{count}x{width}": make(count, width) for count, width in ((10, 10), (100, 100), (1000, 1000))}


for _card in (
    Card(
        op="flat_places", says="the places of an index along a dimension, in flat memory", samples=_place_samples,
        tolerance=dict.fromkeys(("float32", "float64"), 0.0), flops=lambda index, lead, size, step: 2 * index.size,
        bytes=lambda index, lead, size, step: 2 * index.nbytes, cases=_cases(_place_case),
    ),
    Card(
        op="combine_at_", says="y[places[k]] += values[k], or the product or an extreme of both",
        samples=_combine_samples, tolerance=TOLERANCE, flops=lambda y, places, values, how: values.size,
        bytes=lambda y, places, values, how: 2 * min(y.nbytes, values.nbytes) + places.nbytes + values.nbytes,
        cases=_cases(_combine_case),
        rivals={"torch": rivals.function("Tensor.put_", lambda y, places, values, how: (y, places, values, True))},
    ),
    Card(
        op="add_slices_", says="y[:, at[k]] += alpha values[:, k]", samples=_slice_samples, tolerance=TOLERANCE,
        flops=lambda y, at, values, *sizes: values.size,
        bytes=lambda y, at, values, *sizes: 2 * min(y.nbytes, values.nbytes) + at.nbytes + values.nbytes,
        cases=_cases(_slice_case),
        rivals={"torch": rivals.function("Tensor.index_add_", lambda y, at, values, *sizes: (y, 0, at, values))},
    ),
):  # fmt: skip
    describe(_card)
