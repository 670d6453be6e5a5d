"""Elementary functions of generated loops: their errors, and what they give for infinities and NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinydl.kernels import elementary
from tinydl.kernels.cache import njit

# By name: the range of random arguments; units of 2^-23 (2^-52) that the relative error stays below. PyTorch's errors
# in float32 are 0.5 to 0.7, sigmoid's 1.2.
FUNCTIONS = {"exp": (-110, 95, 1.0), "exp2_": (-155, 132, 1.0), "expm1_": (-20, 80, 1.5), "tanh": (-12, 12, 2.0),
             "sigmoid": (-85, 100, 2.0), "erf": (-5, 5, 3.0), "log": (0, 1e6, 1.0),
             "log1p": (-1, 100, 2.0)}  # fmt: skip


def over(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @njit(error_model="numpy")
    def run(x: Any, y: Any) -> None:
        for i in range(x.size):
            y[i] = function(x[i])

    def whole(x: Any) -> Any:
        y = np.empty_like(x)
        run(x, y)
        return y

    return whole


def reference(name: str, x: Any) -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch has all of these in float64")
    return getattr(torch, name.rstrip("_"))(torch.from_numpy(x.astype(np.float64))).numpy()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors(name: str, dtype: str) -> None:
    low, high, units = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    parts = [rng.uniform(low, high, 50_000), rng.standard_normal(50_000) * 1e-3, rng.standard_normal(50_000),
             1 + rng.standard_normal(20_000) * 1e-2]  # fmt: skip
    x = np.concatenate(parts).astype(dtype)
    got = over(elementary.FUNCTIONS[f"{name}{32 if dtype == 'float32' else 64}"])(x).astype(np.float64)
    with np.errstate(all="ignore"):
        want, info = reference(name, x), np.finfo(dtype)
        usual = np.isfinite(want) & (np.abs(want) > info.tiny) & (np.abs(want) < info.max)
        errors = np.abs(got - want)[usual] / np.abs(want[usual])
    assert errors.max() <= units * info.eps * (1 if dtype == "float32" else 1.5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_edges(name: str) -> None:
    x = np.array([0, -0.0, 1, np.inf, -np.inf, np.nan, 100, -200, 1e-42], np.float32)
    got = over(elementary.FUNCTIONS[f"{name}32"])(x)
    with np.errstate(all="ignore"):
        want = reference(name, x).astype(np.float32)
        close = np.abs(got - want) <= 1e-6 * np.abs(want) + 1e-44
    near = close | (got == want) | (np.isnan(got) & np.isnan(want))
    assert near.all(), (got, want)
