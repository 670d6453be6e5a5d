"""Reductions along one dimension, 0 <= axis < x.ndim, which is gone in the result.

``variance(x, axis, correction)``
    sum (x - mean)^2 / (n - correction) of the n entries of each line, in two passes; infinite or NaN where n is not
    above the correction, as 0 and other numbers divided by 0 are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]

# Against the float64 reference, relative to the largest value.
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


@register(op="variance", name="numpy")
def variance(x: Array, axis: int, correction: float) -> Array:
    """About the mean, which sum x^2 - mean^2 would lose."""
    n = x.shape[axis]
    centred = x - np.add.reduce(x, axis=axis, keepdims=True) / x.dtype.type(max(n, 1))
    with np.errstate(divide="ignore", invalid="ignore"):  # of too few numbers there is no variance
        total = np.asarray(np.add.reduce(np.square(centred), axis=axis)) / x.dtype.type(max(n - correction, 0))
    return np.asarray(total)


def _samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(12)
    for shape in ((3, 4), (1, 1), (7, 1, 5), (4, 67, 3), (33, 129), (5,), (0, 3), (2, 600, 33)):
        x = rng.standard_normal(shape).astype(dtype)
        for axis in range(len(shape)):
            for correction in (0, 1, 1.5):
                yield x, axis, correction
            yield x[::-1] + dtype(10), axis, 1
            yield x.T, axis, 0


def _case(axis: int) -> Callable[[Any], tuple[Any, ...]]:
    return lambda dtype: (np.random.default_rng(0).standard_normal((1000, 1000)).astype(dtype), axis, 1)


describe(
    Card(
        op="variance",
        says="sum (x - mean)^2 / (n - correction) along a dimension",
        samples=_samples,
        tolerance=TOLERANCE,
        flops=lambda x, axis, correction: 4 * x.size,
        bytes=lambda x, axis, correction: x.nbytes + x.nbytes // max(x.shape[axis], 1),
        cases={"1000x1000, rows": _case(1), "1000x1000, columns": _case(0)},
    )
)
