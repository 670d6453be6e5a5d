"""Reductions and scans line by line, and down several columns at once; sums in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.builtin import Builtin
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
def _sum(x: Array) -> Any:
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _squares(x: Array, mean: float) -> Any:
    total = 0.0
    for i in range(x.size):
        total += (x[i] - mean) * (x[i] - mean)
    return total


@njit(error_model="numpy")
def _moments(x: Array, n: int, step: int, correction: float, variance: Array, mean: Array) -> int:
    if mean.size == 0:
        return 0
    x, variance, mean = x.reshape(x.size), variance.reshape(mean.size), mean.reshape(mean.size)
    divisor = max(n - correction, 0.0)
    if step == 1:
        for i in range(mean.size):
            line = x[i * n : (i + 1) * n]
            middle = _sum(line) / n
            mean[i] = middle
            variance[i] = _squares(line, middle) / divisor
        return 0
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
    return 0


_MOMENTS = Builtin(_moments, "TiixTT")


@register(op="moments", name="cpu.lines", dtypes=("float32",), default=True)
def moments(x: Array, axis: int, correction: float) -> tuple[Array, Array]:
    """Two passes over what then stands in the cache."""
    x, n, step, shape = _lines(x, axis)
    variance, mean = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
    _MOMENTS[x.dtype](x, n, step, correction, variance, mean)
    return variance, mean


# --------------------------------------------------------------------------------------------------------------- norms


@njit(error_model="numpy", forceinline=True)
def _term(v: Any, ord: float) -> Any:
    v = abs(np.float64(v))
    if ord == 2.0:
        return v * v
    if ord == 1.0:
        return v
    if ord == 3.0:
        return v * v * v
    if ord == 0.5:
        return math.sqrt(v)
    if ord == 0.0:
        return 1.0 if v != 0.0 else 0.0
    return v**ord


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _terms(x: Array, ord: float) -> Any:
    """The sum of the terms of a line: a loop for each usual order, which makes vectors where one loop with branches
    would not."""
    if ord == 2.0:
        return _squares(x, 0.0)
    total = 0.0
    if ord == 1.0:
        for i in range(x.size):
            total += _term(x[i], 1.0)
    elif ord == 3.0:
        for i in range(x.size):
            total += _term(x[i], 3.0)
    elif ord == 0.5:
        for i in range(x.size):
            total += _term(x[i], 0.5)
    else:
        for i in range(x.size):
            total += _term(x[i], ord)
    return total


@njit(error_model="numpy", forceinline=True)
def _root(total: float, ord: float) -> Any:
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
def _few_columns(x: Array, n: int, step: int, ord: float, y: Array) -> None:
    """Column after column: of few numbers there is nothing to gain from vectors."""
    for i in range(y.size):
        total = 0.0
        for c in range(n):
            total += _term(x[i // step * step * n + i % step + c * step], ord)
        y[i] = _root(total, ord)


@njit(error_model="numpy")
def _vector_norm(x: Array, n: int, step: int, ord: float, y: Array) -> int:
    x, y = x.reshape(x.size), y.reshape(y.size)
    if y.size == 0:
        return 0
    if math.isinf(ord):
        for i in range(y.size):
            y[i] = _extreme(x, i // step * step * n + i % step, n, step, ord > 0)
        return 0
    if step == 1:
        for i in range(y.size):
            y[i] = _root(_terms(x[i * n : (i + 1) * n], ord), ord)
        return 0
    if x.size <= _COLUMNS:
        _few_columns(x, n, step, ord, y)
        return 0
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
    return 0


_VECTOR_NORM = Builtin(_vector_norm, "TiixT")

_FEW = 1 << 12
_PRODUCTS = 0.5, 1, 2, 3  # orders without a power


@register(op="vector_norm", name="cpu.lines", dtypes=("float32",), default=True)
def vector_norm(x: Array, axis: int | None, ord: float) -> Array:
    """In one pass; of many numbers NumPy takes the others, which are vectors there and not here."""
    if x.size > _FEW and ord not in _PRODUCTS:
        if ord == 0 or math.isinf(ord):
            return spec.vector_norm(x, axis, ord)
        with np.errstate(divide="ignore"):
            return np.asarray(vector_norm(np.absolute(x) ** x.dtype.type(ord), axis, 1.0) ** x.dtype.type(1 / ord))
    shape = x.shape
    if axis is None:
        x, n, step, shape = x if x.flags.carray else plain(x), x.size, 1, ()
    elif axis == len(shape) - 1 and x.flags.carray:  # the usual case of lines
        n, step, shape = shape[axis], 1, shape[:axis]
    else:
        x, n, step, shape = _lines(x, axis)
    y = np.empty(shape, x.dtype)
    _VECTOR_NORM[x.dtype](x, n, step, ord, y)
    return y


# --------------------------------------------------------------------------------------------------------------- scans


def _running_extreme(x: Array, n: int, step: int, lowest: bool, y: Array, index: Array) -> int:
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
    return 0


_RUNNING_EXTREME = Builtin(_running_extreme, "TiiiTl")
_INT64 = np.dtype(np.int64)


@register(op="running_extreme", name="cpu.lines", dtypes=("float32", "float64", "int64"), default=True)
def running_extreme(x: Array, axis: int, lowest: bool) -> tuple[Array, NDArray[np.int64]]:
    """One place after another of all lines of a block."""
    x, n, step, _ = _lines(x, axis)
    y, index = np.empty(x.shape, x.dtype), np.empty(x.shape, _INT64)
    _RUNNING_EXTREME[x.dtype](x, n, step, lowest, y, index)
    return y, index
