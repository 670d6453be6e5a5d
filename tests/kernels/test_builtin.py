"""Compiled functions as builtins: arguments of every kind, in both dtypes, and the way without object heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from tinydl.kernels import heads
from tinydl.kernels.builtin import Builtin


def scaled(x: Any, at: Any, weight: Any, y: Any, count: int, factor: float) -> float:
    """y = factor weight x[at], and the sum of it."""
    total = 0.0
    for i in range(count):
        y[i] = factor * weight[i] * x[at[i]]
        total += y[i]
    return total


def arguments(dtype: Any) -> tuple[Any, ...]:
    x, at, weight = np.arange(6, dtype=dtype).reshape(2, 3), np.array([5, 0, 2]), np.array([1.0, 2.0, 0.5])
    return x, at, weight, np.zeros((3, 1), dtype), 3, 2.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kind_of_argument(dtype: str) -> None:
    call = Builtin(scaled, "TldTix", "x")[np.dtype(dtype)]
    given = arguments(dtype)
    assert call(*given) == 15.0
    assert given[3].ravel().tolist() == [12.5, 0.0, 2.5]


def test_a_result_that_is_an_integer() -> None:
    def size(x: Any, y: Any) -> int:
        return x.size * 10 + y.size  # type: ignore[no-any-return]

    call = Builtin(size, "TT")[np.float32]
    assert call(np.zeros((), np.float32), np.zeros((2, 0, 3), np.float32)) == 10


def test_without_known_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "AVAILABLE", False)
    given = arguments("float32")
    assert Builtin(scaled, "TldTix", "x")[np.float32](*given) == 15.0
    assert given[3].ravel().tolist() == [12.5, 0.0, 2.5]
