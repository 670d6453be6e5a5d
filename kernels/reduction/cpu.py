"""Reductions of float32, line by line: two passes over what then stands in the cache, sums in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import SUMS
from tinydl.kernels.workspace import plain

Array = NDArray[Any]


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _squares(x: Array, at: int, count: int, step: int) -> float:
    """The sum of the squares about the mean of ``count`` entries ``step`` apart."""
    total, squares = 0.0, 0.0
    for c in range(count):
        total += x[at + c * step]
    mean = total / max(count, 1)
    for c in range(count):
        d = x[at + c * step] - mean
        squares += d * d
    return squares


@njit(error_model="numpy")
def _variance(x: Array, count: int, step: int, correction: float, y: Array) -> None:
    if y.size == 0:
        return
    x, y = x.reshape(x.size), y.reshape(y.size)
    divisor = max(count - correction, 0.0)
    line = 0
    for outer in range(0, y.size, step):
        base = outer * count
        for at in range(base, base + step):
            y[line] = _squares(x, at, count, step) / divisor
            line += 1


@register(op="variance", name="cpu.lines", dtypes=("float32",), default=True)
def variance(x: Array, axis: int, correction: float) -> Array:
    """One line of x along ``axis`` after another."""
    x, shape = plain(x), x.shape
    y = np.empty(shape[:axis] + shape[axis + 1 :], x.dtype)
    step = 1
    for size in shape[axis + 1 :]:
        step *= size
    _variance(x, shape[axis], step, correction, y)
    return y
