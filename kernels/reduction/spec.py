"""Reductions and scans along one dimension, 0 <= axis < x.ndim; a reduced dimension is gone in the result.

``moments(x, axis, correction) -> (variance, mean)``
    mean = sum x / n and variance = sum (x - mean)^2 / (n - correction) of the n entries of each line, in two passes;
    infinite or NaN where n is not above the correction, as 0 and other numbers divided by 0 are.

``vector_norm(x, axis, ord)``
    (sum |x|^ord)^(1/ord) of each line, or of all elements where axis is None; the greatest and the least |x| for
    infinity and -infinity, the number of entries that are not 0 for 0.

``running_extreme(x, axis, lowest) -> (values, indices)``
    The greatest (or, if ``lowest``, the least) entry so far, and where in its line it stands, int64: at a tie the later
    one; from a NaN on, the last NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]

# Against the float64 reference, relative to the largest value.
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def _sum(x: Array, axis: int | None) -> Array:
    """In float64 at least: down a column NumPy adds one by one, and long columns would lose digits."""
    found = np.add.reduce(x, axis=axis, dtype=np.result_type(x.dtype, np.float64))
    return np.asarray(found)


@register(op="moments", name="numpy")
def moments(x: Array, axis: int, correction: float) -> tuple[Array, Array]:
    """About the mean, which sum x^2 - mean^2 would lose."""
    n = x.shape[axis]
    with np.errstate(divide="ignore", invalid="ignore"):  # of too few numbers there is no variance, of none no mean
        mean = np.asarray(_sum(x, axis) / n).astype(x.dtype)
        squares = np.square(x - np.expand_dims(mean, axis))
        variance = np.asarray(_sum(squares, axis) / max(n - correction, 0))
    return variance.astype(x.dtype), mean


@register(op="vector_norm", name="numpy")
def vector_norm(x: Array, axis: int | None, ord: float) -> Array:
    """By the order; see the head of the file."""
    if ord == 2:
        found = np.sqrt(_sum(np.square(x), axis))
    elif ord == 0:
        found = np.add.reduce(x != 0, axis=axis, dtype=np.int64)
    elif math.isinf(ord):
        found = (np.maximum if ord > 0 else np.minimum).reduce(np.absolute(x), axis=axis)
    elif ord == 1:
        found = _sum(np.absolute(x), axis)
    else:
        with np.errstate(divide="ignore"):  # 0 to a negative power is infinite, and the norm of that 0
            found = _sum(np.absolute(x) ** x.dtype.type(ord), axis) ** (1 / ord)
    return np.asarray(found, x.dtype)


@register(op="running_extreme", name="numpy")
def running_extreme(x: Array, axis: int, lowest: bool) -> tuple[Array, NDArray[np.int64]]:
    """By NumPy's accumulations; see the head of the file."""
    best = (np.minimum if lowest else np.maximum).accumulate(x, axis=axis)
    place = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    here = (x == best) | (x != x)
    return best, np.maximum.accumulate(np.where(here, place, 0), axis=axis)


def _layouts(dtype: Any) -> Iterator[tuple[Array, int]]:
    rng = np.random.default_rng(12)
    for shape in ((3, 4), (1, 1), (7, 1, 5), (4, 67, 3), (33, 129), (5,), (0, 3), (2, 600, 33), (3, 5, 200)):
        x = rng.standard_normal(shape).astype(dtype)
        for axis in range(len(shape)):
            yield x, axis
            yield x[::-1] + dtype(10), axis
            yield x.T, axis


def _moments_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for x, axis in _layouts(dtype):
        for correction in (0, 1, 1.5):
            yield x, axis, correction


def _norm_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for x, axis in _layouts(dtype):
        for ord in (2.0, 1.0, 0.0, 3.0, 0.5, 1.5, -1.0, math.inf, -math.inf):
            if x.shape[axis] or not math.isinf(ord):
                yield x, axis, ord
            if x.size and not axis:
                yield x, None, ord
    yield np.zeros((2, 3), dtype), 1, 3.0
    yield np.array([0, 2, -1], dtype), 0, -1.0


def _running_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for x, axis in _layouts(dtype):
        for lowest in (False, True):
            yield x, axis, lowest
            yield np.round(x), axis, lowest  # many ties


def _case(axis: int, option: Any, size: int) -> Callable[[Any], tuple[Any, ...]]:
    return lambda dtype: (np.random.default_rng(0).standard_normal((size, size)).astype(dtype), axis, option)


_RIVALS = {
    "moments": rivals.moments,
    "vector_norm": rivals.function("linalg.vector_norm", lambda x, axis, ord: (x, ord, axis)),
    "running_extreme": rivals.function("cummax", lambda x, axis, lowest: (x, axis)),
}
for _op, _says, _samples, _option, _flops in (
    ("moments", "the variance and the mean along a dimension", _moments_samples, 1, 4),
    ("vector_norm", "(sum |x|^ord)^(1/ord) along a dimension", _norm_samples, 2.0, 2),
    ("running_extreme", "the greatest or least so far along a dimension, and its place", _running_samples, False, 1),
):
    describe(
        Card(
            op=_op,
            says=_says,
            samples=_samples,
            tolerance=TOLERANCE,
            flops=lambda x, axis, option, _each=_flops: _each * x.size,
            bytes=lambda x, axis, option, _op=_op: (
                x.nbytes * 4 if _op == "running_extreme" else x.nbytes + x.nbytes // max(x.shape[axis], 1)
            ),
            cases={
                f"{n}x{n}, {name}": _case(axis, _option, n)
                for n in (30, 300, 1000) for name, axis in (("rows", 1), ("columns", 0))
            },
            rivals={"torch": _RIVALS[_op]},
        )
    )
