"""The strong Wolfe line search beside PyTorch's: every step size that it tries, in order, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinydl.optim.lbfgs import _between, _Point, _strong_wolfe

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
theirs = pytest.importorskip("torch.optim.lbfgs")

Curve = tuple[Callable[[float], float], Callable[[float], float]]  # a function of the step size, and its slope


def curve(seed: int) -> Curve:
    """A loss along a direction that goes downhill at first: a valley, a slope without end, waves, a wall, a step."""
    rng = np.random.default_rng(seed)
    a, b, c, w = (float(x) for x in rng.uniform(0.2, 3.0, 4))
    return [
        (lambda t: a * (t - b) ** 2, lambda t: 2 * a * (t - b)),
        (lambda t: a * math.exp(-b * t), lambda t: -a * b * math.exp(-b * t)),
        (lambda t: c * t * t - 9 * t + 5 * math.sin(w * t), lambda t: 2 * c * t - 9 + 5 * w * math.cos(w * t)),
        (lambda t: -t + a * max(t - b, 0.0) ** 3, lambda t: -1 + 3 * a * max(t - b, 0.0) ** 2),
        (lambda t: -math.tanh(w * (t - b)) + 1e-3 * t, lambda t: -w / math.cosh(w * (t - b)) ** 2 + 1e-3),
        (lambda t: abs(t - b) ** 1.5, lambda t: 1.5 * math.copysign(abs(t - b) ** 0.5, t - b)),
        (lambda t: -t if t < b else 7.0 + a * t, lambda t: -1.0 if t < b else a),
        (lambda t: -a * t, lambda t: -a),
        (lambda t: -a * math.sin(w * t) - 0.02 * t, lambda t: -a * w * math.cos(w * t) - 0.02),
    ][seed % 9]


@pytest.mark.parametrize("seed", range(270))
def test_the_line_search(seed: int) -> None:
    (f, slope), rng = curve(seed), np.random.default_rng(seed)
    first, most = float(10 ** rng.uniform(-2.5, 1.5)), int(rng.integers(0, 26))
    scale = float(10 ** rng.uniform(-8, 1)) if seed % 3 == 0 else 1.0  # how long the direction is
    with np.errstate(all="ignore"):
        check(f, slope, first, most, scale)


def check(f: Any, slope: Any, first: float, most: int, scale: float) -> None:
    d = np.array([scale, 0.0])
    ours: list[float] = []
    others: list[float] = []

    def evaluate(t: Any) -> _Point:
        ours.append(float(t))
        g = np.array([slope(float(t)) / scale, 1.0])
        return _Point(t, f(float(t)), g, g.dot(d))

    def objective(x: Any, t: Any, direction: Any) -> tuple[float, Any]:
        others.append(float(t))
        return f(float(t)), torch.tensor([slope(float(t)) / scale, 1.0], dtype=torch.float64)

    start = evaluate(0.0)
    ours.clear()
    found, calls = _strong_wolfe(evaluate, first, d, start.f, start.g, start.slope, most=most)
    at, g = torch.from_numpy(d), torch.from_numpy(start.g)
    loss, gradient, t, evaluations = theirs._strong_wolfe(
        objective, None, first, at, start.f, g, g.dot(at), max_ls=most
    )  # fmt: skip
    assert ours == pytest.approx(others, rel=1e-9, abs=1e-12)
    assert calls == evaluations
    assert (float(found.t), found.f) == pytest.approx((float(t), float(loss)), rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(found.g, gradient.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(400))
def test_ties(seed: int) -> None:
    """Losses that are equal, or exactly what is enough, and slopes that are 0 or exactly flat enough, in any order."""
    rng = np.random.default_rng(seed)
    first, most = float(rng.choice([1.0, 0.5, 4.0])), int(rng.integers(1, 9))
    change = float(rng.choice([1e-9, 0.5, 1.0]))
    losses = rng.integers(0, 8, 40)
    slopes = rng.choice([-4.0, -2.0, -1.8, -1.8, -0.5, 0.0, 0.0, 0.5, 1.8, 2.0], 40)
    d, start = np.array([1.0, 0.0]), np.array([-2.0, 1.0])
    ours: list[float] = []
    others: list[float] = []

    def next_of(seen: list[float], t: Any) -> tuple[float, Any]:
        k = len(seen)
        seen.append(float(t))
        loss = [1e-4 * float(t) * -2.0, -1e-4 * float(t), 0.0, -1.0, -1.0, -2.0, -0.5, 1.0][losses[k]]
        return loss, np.array([slopes[k], 1.0])

    def evaluate(t: Any) -> _Point:
        loss, g = next_of(ours, t)
        return _Point(t, loss, g, g.dot(d))

    def objective(x: Any, t: Any, direction: Any) -> tuple[float, Any]:
        loss, g = next_of(others, t)
        return loss, torch.from_numpy(g)

    with np.errstate(all="ignore"):
        found, calls = _strong_wolfe(evaluate, first, d, 0.0, start, start.dot(d), most=most, tolerance_change=change)
    at, g = torch.from_numpy(d), torch.from_numpy(start)
    loss, _, t, evaluations = theirs._strong_wolfe(
        objective, None, first, at, 0.0, g, g.dot(at), tolerance_change=change, max_ls=most
    )  # fmt: skip
    assert ours == pytest.approx(others, rel=1e-9, nan_ok=True)
    assert calls == evaluations
    assert (float(found.t), found.f) == pytest.approx((float(t), float(loss)), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("bounds", [None, (-1.0, 1.5)])
def test_the_cubic(bounds: Any) -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        x1, f1, g1, x2, f2, g2 = map(float, rng.normal(0, 2, 6))
        found = _between(_Point(x1, f1, np.zeros(1), g1), _Point(x2, f2, np.zeros(1), g2), bounds)
        as_tensor = torch.tensor(g1, dtype=torch.float64)
        wanted = theirs._cubic_interpolate(x1, f1, as_tensor, x2, f2, g2, bounds)
        assert float(found) == pytest.approx(float(wanted), rel=1e-12)
