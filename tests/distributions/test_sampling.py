"""Draws follow the distribution they come from, and gradients flow through them as the quantiles move."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import distributions as d
from tinydl.autograd import grad

# name -> distribution of parameters given as tensors, and parameters
REAL: dict[str, tuple[Callable[..., Any], list[list[float]]]] = {
    "Normal": (d.Normal, [[0.5, -2.0], [1.5, 0.3]]),
    "LogNormal": (d.LogNormal, [[0.5, -1.0], [0.7, 0.3]]),
    "Laplace": (d.Laplace, [[0.5, -2.0], [1.5, 0.3]]),
    "Gumbel": (d.Gumbel, [[0.5, -2.0], [1.5, 0.3]]),
    "Logistic": (d.Logistic, [[0.5, -2.0], [1.5, 0.3]]),
    "Uniform": (d.Uniform, [[0.5, -2.0], [1.5, 3.0]]),
    "Exponential": (d.Exponential, [[0.5, 3.0]]),
}
DRAWS = 20_000


def made(name: str, dtype: Any = np.float64, requires_grad: bool = False) -> tuple[Any, list[Any]]:
    family, values = REAL[name]
    parameters = [tinydl.tensor(v, dtype=dtype, requires_grad=requires_grad) for v in values]
    return family(*parameters), parameters


def bound(count: int) -> float:
    """What the largest gap between an empirical and the true distribution exceeds once in a million times (Massart)."""
    return math.sqrt(math.log(2 / 1e-6) / (2 * count))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REAL)
def test_draws_follow_the_distribution(name: str, dtype: Any) -> None:
    tinydl.manual_seed(1)
    distribution, _ = made(name, dtype)
    draws = distribution.sample((DRAWS,))
    assert draws.shape == (DRAWS, 2)
    assert draws.dtype == dtype
    assert not draws.requires_grad
    assert np.isfinite(draws.array).all()
    for column in range(2):
        levels = np.sort(distribution.cdf(draws).array[:, column].astype(np.float64))
        assert np.abs(levels - np.arange(1, DRAWS + 1) / DRAWS).max() < bound(DRAWS)


@pytest.mark.parametrize("name", REAL)
def test_moments_and_entropy_of_draws(name: str) -> None:
    tinydl.manual_seed(2)
    distribution, _ = made(name)
    x = distribution.sample((DRAWS,))
    spread = distribution.stddev.array
    np.testing.assert_allclose(x.array.mean(0), distribution.mean.array, atol=5 * spread.max() / math.sqrt(DRAWS))
    np.testing.assert_allclose(x.array.std(0), spread, rtol=0.1)
    np.testing.assert_allclose(-distribution.log_prob(x).array.mean(0), distribution.entropy().array, atol=0.05)


@pytest.mark.parametrize("name", REAL)
def test_gradients_through_draws_are_those_of_the_quantiles(name: str) -> None:
    """At a fixed level u = F(x; theta), dx/dtheta = -(dF/dtheta) / (dF/dx)."""
    tinydl.manual_seed(3)
    distribution, parameters = made(name, requires_grad=True)
    x = distribution.rsample((5,))
    assert x.requires_grad
    through = grad(x.sum(), parameters, retain_graph=True)
    level = x.detach().requires_grad_()
    slope, *moves = grad(distribution.cdf(level).sum(), [level, *parameters], retain_graph=True)
    for row in range(5):
        one = grad(x[row].sum(), parameters, retain_graph=True)
        moved = grad(distribution.cdf(level[row]).sum(), parameters, retain_graph=True)
        for a, b in zip(one, moved):
            np.testing.assert_allclose(a.array, -b.array / slope.array[row], rtol=1e-6, atol=1e-9)
    assert len(through) == len(moves) == len(parameters)


@pytest.mark.parametrize("name", REAL)
def test_quantiles_invert_the_distribution(name: str) -> None:
    distribution, _ = made(name)
    levels = tinydl.tensor([[0.01, 0.3], [0.5, 0.99]], dtype=np.float64)
    np.testing.assert_allclose(distribution.cdf(distribution.icdf(levels)).array, levels.array, rtol=1e-9)


@pytest.mark.parametrize("name", REAL)
def test_densities_integrate_to_the_distribution(name: str) -> None:
    distribution, _ = made(name)
    levels = tinydl.from_numpy(np.linspace(0.001, 0.999, 4001)[:, None] * np.ones(2))
    x = distribution.icdf(levels)
    density = distribution.log_prob(x).exp().array
    area = ((density[1:] + density[:-1]) / 2 * np.diff(x.array, axis=0)).sum(0)
    np.testing.assert_allclose(area, 0.998, rtol=2e-4)


def test_bernoulli_and_categorical_frequencies() -> None:
    tinydl.manual_seed(4)
    p = tinydl.tensor([0.0, 0.2, 0.9, 1.0])
    draws = d.Bernoulli(p).sample((DRAWS,)).array
    assert set(np.unique(draws)) == {0.0, 1.0}
    np.testing.assert_allclose(draws.mean(0), p.array, atol=0.02)
    weights = tinydl.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 4.0]])
    draws = d.Categorical(weights).sample((100, DRAWS // 100)).array
    assert draws.shape == (100, DRAWS // 100, 2)
    assert draws.dtype == np.int64
    for row, chances in enumerate(([0.25, 0.0, 0.75], [0.25, 0.25, 0.5])):
        np.testing.assert_allclose(np.bincount(draws[..., row].ravel(), minlength=3) / DRAWS, chances, atol=0.02)
    vectors = d.OneHotCategorical(logits=weights).sample((7,))
    assert vectors.shape == (7, 2, 3)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors.array.sum(-1), 1)


def test_mixtures_draw_from_their_components() -> None:
    tinydl.manual_seed(5)
    weights, loc = tinydl.tensor([0.3, 0.7]), tinydl.tensor([[-3.0, 4.0], [0.0, 1.0]])
    mixture = d.MixtureSameFamily(d.Categorical(weights), d.Normal(loc, tinydl.tensor(0.5)))
    draws = mixture.sample((DRAWS,))
    assert draws.shape == (DRAWS, 2)
    for column in range(2):
        levels = np.sort(mixture.cdf(draws).array[:, column].astype(np.float64))
        assert np.abs(levels - np.arange(1, DRAWS + 1) / DRAWS).max() < bound(DRAWS)
    assert not mixture.has_rsample
    parts = d.Independent(d.Normal(tinydl.tensor([[0.0, 100.0], [50.0, 7.0]]), tinydl.tensor(1e-3)), 1)
    vectors = d.MixtureSameFamily(d.Categorical(weights), parts).sample((50,)).array
    assert vectors.shape == (50, 2)  # a draw is all of one component
    assert {tuple(np.round(vector)) for vector in vectors} == {(0.0, 100.0), (50.0, 7.0)}


def test_the_default_generator_decides() -> None:
    for build in (
        lambda: d.Normal(0.0, 1.0), lambda: d.Gumbel(0.0, 1.0), lambda: d.Bernoulli(0.5),
        lambda: d.Categorical(tinydl.ones(5)),
    ):  # fmt: skip
        draws = []
        for seed in (1, 1, 2):
            tinydl.manual_seed(seed)
            draws.append(build().sample((50,)).array)
        np.testing.assert_array_equal(draws[0], draws[1])
        assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("sample_shape", [(), (3,), (2, 3), (0,)])
def test_shapes_of_draws(sample_shape: tuple[int, ...]) -> None:
    loc, scale = tinydl.zeros(4, 2), tinydl.ones(4, 2)
    cases = {
        (): d.Normal(0.0, 1.0),
        (4, 2): d.Laplace(loc, scale),
        (5, 4, 2): d.Independent(d.Normal(loc, scale), 1).expand((5, 4)),
        (4, 3): d.OneHotCategorical(tinydl.ones(4, 3)),
        (6, 4): d.Categorical(tinydl.ones(4, 3)).expand((6, 4)),
        (4,): d.MixtureSameFamily(d.Categorical(tinydl.ones(2)), d.Normal(loc, scale)),
    }
    for shape, distribution in cases.items():
        assert distribution.sample(sample_shape).shape == sample_shape + shape, distribution
        if distribution.has_rsample:
            assert distribution.rsample(sample_shape).shape == sample_shape + shape, distribution
