"""Triangular systems on the CPU, by substitution: one row after another, all right-hand sides at once."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tinydl.kernels.builtin import Builtin
from tinydl.kernels.registry import register
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

_FEW = 1 << 15  # multiplications, above which BLAS is quicker


def _substitute(A: Array, X: Array, n: int, k: int, upper: int, unit: int) -> int:
    for b in range(X.size // (n * k)):
        a, x = b * n * n, b * n * k
        for row in range(n):
            i = n - 1 - row if upper else row
            for known in range(row):
                j = n - 1 - known if upper else known
                for c in range(k):
                    X[x + i * k + c] -= A[a + i * n + j] * X[x + j * k + c]
            if not unit:
                for c in range(k):
                    X[x + i * k + c] /= A[a + i * n + i]
    return 0


_SUBSTITUTE = Builtin(_substitute, "TTiiii")


def _accepts(A: Array, X: Array, upper: bool, unit: bool) -> bool:
    return bool(X.size * A.shape[-1] <= _FEW)


@register(op="substitute_", name="cpu.rows", dtypes=("float32", "float64"), accepts=_accepts, default=True)
def substitute_(A: Array, X: Array, upper: bool, unit: bool) -> Array:
    """One number after another; see the card."""
    if X.size:
        _SUBSTITUTE[X.dtype](A if A.flags.carray else plain(A), X, *X.shape[-2:], upper, unit)
    return X
