"""Triangular systems, by substitution.

``substitute_(A, X, upper, unit) -> X``
    X[..., n, k], without gaps in memory, becomes A^-1 X for triangular matrices A[..., n, n], row by row:
    x_i = (x_i - sum_j a_ij x_j) / a_ii over the rows j that are known. The other triangle is not read, nor with
    ``unit`` the diagonal, which counts as 1. A zero on the diagonal divides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]

# Against the float64 reference, relative to the largest value; the diagonals of the samples are at least 1.
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}


@register(op="substitute_", name="numpy")
def substitute_(A: Array, X: Array, upper: bool, unit: bool) -> Array:
    """A product of a row and a matrix for each row; see the head of the file."""
    n = A.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(n - 1, -1, -1) if upper else range(n):
            known = slice(i + 1, n) if upper else slice(0, i)
            row = X[..., i : i + 1, :]
            row -= np.matmul(A[..., i : i + 1, known], X[..., known, :])
            if not unit:
                row /= A[..., i : i + 1, i : i + 1]
    return X


def _arguments(dtype: Any, count: int, n: int, k: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(14)
    A = rng.standard_normal((count, n, n)) / max(n, 1)
    A[:, range(n), range(n)] = 1 + rng.random((count, n))
    return A.astype(dtype), rng.standard_normal((count, n, k)).astype(dtype)


def _samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for count, n, k in ((1, 3, 2), (2, 5, 1), (3, 1, 4), (0, 2, 2), (2, 4, 0), (1, 0, 3), (1, 17, 5)):
        A, X = _arguments(dtype, count, n, k)
        for upper in (False, True):
            for unit in (False, True):
                yield A, X, upper, unit
        yield A.swapaxes(1, 2), X, True, False
    A, X = _arguments(dtype, 6, 3, 2)
    yield A[0], X[0], False, False
    yield A.reshape(2, 3, 3, 3), X.reshape(2, 3, 3, 2), True, False


def _case(n: int, k: int) -> Any:
    return lambda dtype: (*_arguments(dtype, 1, n, k), False, False)


describe(
    Card(
        op="substitute_", says="A^-1 X for triangular A", samples=_samples, tolerance=TOLERANCE,
        flops=lambda A, X, upper, unit: X.size * A.shape[-1],
        bytes=lambda A, X, upper, unit: A.nbytes // 2 + 2 * X.nbytes,
        cases={f"{n}x{n}, {k}": _case(n, k) for n, k in ((4, 4), (32, 32), (200, 200))},
        rivals={"torch": rivals.function("linalg.solve_triangular", lambda A, X, upper, unit: (A, X), upper=False)},
    )
)  # fmt: skip
