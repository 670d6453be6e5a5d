"""Reductions and scans line by line, and down several columns at once; sums in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.reduction import spec
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import SUMS
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

# An array is [outer, n, step] here: lines of n entries that stand ``step`` apart. Where step is 1 the entries of a line
# make up vectors; elsewhere _COLUMNS lines that lie side by side do.
_COLUMNS = 64


def _lines(x: Array, axis: int) -> tuple[Array, int, int, tuple[int, ...]]:
    """The array with all its elements in order, n, step, and the shape without the dimension."""
    if not x.flags.carray:
        x = plain(x)
    shape = x.shape
    if axis == len(shape) - 1:
        return x, shape[axis], 1, shape[:axis]
    return x, shape[axis], math.prod(shape[axis + 1 :]), shape[:axis] + shape[axis + 1 :]


# ------------------------------------------------------------------------------------------------------------- moments


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _sum(x: Array) -> float:
    total = 0.0
    for v in x:
        total += v
    return total


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _squares(x: Array, mean: float) -> float:
    total = 0.0
    for v in x:
        total += (v - mean) * (v - mean)
    return total


@njit(error_model="numpy")
def _moments(x: Array, n: int, step: int, correction: float, variance: Array, mean: Array) -> None:
    if mean.size == 0:
        return
    x, variance, mean = x.reshape(x.size), variance.reshape(mean.size), mean.reshape(mean.size)
    divisor = max(n - correction, 0.0)
    if step == 1:
        for i in range(mean.size):
            line = x[i * n : (i + 1) * n]
            middle = _sum(line) / n
            mean[i] = middle
            variance[i] = _squares(line, middle) / divisor
        return
    middles, squares = np.empty(_COLUMNS), np.empty(_COLUMNS)
    for outer in range(0, mean.size, step):
        for first in range(0, step, _COLUMNS):
            width = min(_COLUMNS, step - first)
            middles[:] = 0
            squares[:] = 0
            for c in range(n):
                row = x[outer * n + c * step + first :]
                for k in range(width):
                    middles[k] += row[k]
            for k in range(width):
                middles[k] /= n
            for c in range(n):
                row = x[outer * n + c * step + first :]
                for k in range(width):
                    squares[k] += (row[k] - middles[k]) * (row[k] - middles[k])
            for k in range(width):
                mean[outer + first + k] = middles[k]
                variance[outer + first + k] = squares[k] / divisor


@register(op="moments", name="cpu.lines", dtypes=("float32",), default=True)
def moments(x: Array, axis: int, correction: float) -> tuple[Array, Array]:
    """Two passes over what then stands in the cache."""
    x, n, step, shape = _lines(x, axis)
    variance, mean = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
    _moments(x, n, step, correction, variance, mean)
    return variance, mean


# --------------------------------------------------------------------------------------------------------------- norms


@njit(error_model="numpy", forceinline=True)
def _term(v: Any, ord: float) -> float:
    v = abs(np.float64(v))
    if ord == 2.0:
        return v * v
    if ord == 1.0:
        return v
    if ord == 0.0:
        return 1.0 if v != 0.0 else 0.0
    return v**ord


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _terms(x: Array, ord: float) -> float:
    total = 0.0
    for v in x:
        total += _term(v, ord)
    return total


@njit(error_model="numpy", forceinline=True)
def _root(total: float, ord: float) -> float:
    if ord == 2.0:
        return math.sqrt(total)
    if ord == 1.0 or ord == 0.0:
        return total
    return total ** (1 / ord)


@njit(error_model="numpy", forceinline=True)
def _extreme(x: Array, at: int, n: int, step: int, largest: bool) -> Any:
    best = abs(x[at])
    for c in range(1, n):
        v = abs(x[at + c * step])
        if v != v or (v > best if largest else v < best):
            best = v
        if best != best:
            return best
    return best


@njit(error_model="numpy")
def _vector_norm(x: Array, n: int, step: int, ord: float, y: Array) -> None:
    x, y = x.reshape(x.size), y.reshape(y.size)
    if y.size == 0:
        return
    if math.isinf(ord):
        for i in range(y.size):
            y[i] = _extreme(x, i // step * step * n + i % step, n, step, ord > 0)
        return
    if step == 1:
        for i in range(y.size):
            y[i] = _root(_terms(x[i * n : (i + 1) * n], ord), ord)
        return
    totals = np.empty(_COLUMNS)
    for outer in range(0, y.size, step):
        for first in range(0, step, _COLUMNS):
            width = min(_COLUMNS, step - first)
            totals[:] = 0
            for c in range(n):
                row = x[outer * n + c * step + first :]
                for k in range(width):
                    totals[k] += _term(row[k], ord)
            for k in range(width):
                y[outer + first + k] = _root(totals[k], ord)


_FEW = 1 << 12  # NumPy's powers and extrema are vectors, ours are not: above this size they are faster


@register(op="vector_norm", name="cpu.lines", dtypes=("float32",), default=True)
def vector_norm(x: Array, axis: int, ord: float) -> Array:
    """Of order 1 and 2, and of any order for a few numbers."""
    if x.size > _FEW and ord != 2 and ord != 1:
        return spec.vector_norm(x, axis, ord)
    x, n, step, shape = _lines(x, axis)
    y = np.empty(shape, x.dtype)
    _vector_norm(x, n, step, ord, y)
    return y


# --------------------------------------------------------------------------------------------------------------- scans


@njit
def _running_extreme(x: Array, n: int, step: int, lowest: bool, y: Array, index: Array) -> None:
    x, y, index = x.reshape(x.size), y.reshape(x.size), index.reshape(x.size)
    for outer in range(0, x.size, max(n * step, 1)):
        for k in range(outer, outer + step):
            y[k] = x[k]
            index[k] = 0
        for c in range(1, n):
            for k in range(outer + c * step, outer + (c + 1) * step):
                value, best = x[k], y[k - step]
                if value != value or (value <= best if lowest else value >= best):
                    y[k] = value
                    index[k] = c
                else:
                    y[k] = best
                    index[k] = index[k - step]


@register(op="running_extreme", name="cpu.lines", dtypes=("float32", "float64", "int64"), default=True)
def running_extreme(x: Array, axis: int, lowest: bool) -> tuple[Array, NDArray[np.int64]]:
    """One place after another of all lines of a block."""
    x, n, step, _ = _lines(x, axis)
    y, index = np.empty(x.shape, x.dtype), np.empty(x.shape, np.int64)
    _running_extreme(x, n, step, lowest, y, index)
    return y, index
