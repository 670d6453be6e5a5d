"""Triangular systems on the CPU, by substitution: one row after another, all right-hand sides at once."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

_FEW = 1 << 15  # multiplications, above which BLAS is quicker


@njit(error_model="numpy")
def _substitute(A: Array, X: Array, upper: bool, unit: bool) -> None:
    count, n, k = X.shape
    for b in range(count):
        for row in range(n):
            i = n - 1 - row if upper else row
            for known in range(row):
                j = n - 1 - known if upper else known
                for c in range(k):
                    X[b, i, c] -= A[b, i, j] * X[b, j, c]
            if not unit:
                for c in range(k):
                    X[b, i, c] /= A[b, i, i]


def _accepts(A: Array, X: Array, upper: bool, unit: bool) -> bool:
    return bool(X.size * A.shape[-1] <= _FEW)


@register(op="substitute_", name="cpu.rows", dtypes=("float32", "float64"), accepts=_accepts, default=True)
def substitute_(A: Array, X: Array, upper: bool, unit: bool) -> Array:
    """One number after another; see the card."""
    _substitute(plain(A), X, upper, unit)
    return X
