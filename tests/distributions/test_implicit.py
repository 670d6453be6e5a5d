"""Draws made of gamma draws: their distribution, and their gradients, which keep every draw's level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import distributions as d
from tinydl.autograd import grad
from tinydl.distributions.implicit import slope

special = pytest.importorskip("scipy.special", reason="needs SciPy")
stats = pytest.importorskip("scipy.stats", reason="needs SciPy")

# (a, x, dx/da), the last from the definition, -(dP/da) / (dP/dx), in arithmetic of 50 digits
EXACT = [
    (0.01, 5.66074e-101, 1.3034796607120609e-96),
    (0.01, 4.46554e-31, 3.095640144136917e-27),
    (0.01, 1.50908, 68.47752683306734),
    (0.3, 6.9727e-21, 1.0747973944161697e-18),
    (0.3, 0.000323725, 0.008490849263464923),
    (0.3, 0.0731311, 0.6420639508025324),
    (0.3, 4.61894, 4.602219400567089),
    (1, 1e-06, 1.4238302262212699e-05),
    (1, 0.105361, 0.2999611637200813),
    (1, 0.693147, 0.9680446936963877),
    (1, 6.90776, 2.6380159971852972),
    (2.5, 0.00644808, 0.015885485710700753),
    (2.5, 0.805154, 0.572753211967783),
    (2.5, 2.17573, 0.9959193543096195),
    (2.5, 10.2575, 1.9898164546662886),
    (50, 23.2507, 0.6677202179940013),
    (50, 41.1791, 0.9091131359559633),
    (50, 49.6671, 0.9999923396740125),
    (50, 74.7246, 1.218345324928625),
    (2000, 1794.57, 0.9468666929163527),
    (2000, 1942.91, 0.9856718593018458),
    (2000, 1999.67, 1.0000008260847937),
    (2000, 2141.05, 1.0345477833832588),
]


def test_the_slope_is_that_of_the_definition() -> None:
    a, x, wanted = np.array(EXACT).T
    np.testing.assert_allclose(slope(a, x), wanted, rtol=1e-13)
    fits = x > 1e-30
    single = slope(a[fits].astype(np.float32), x[fits].astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted[fits], rtol=1e-4)


@pytest.mark.parametrize("a", [0.3, 2.5, 400.0, 9_999.0, 10_001.0, 1e6])
def test_the_slope_is_that_of_the_quantile(a: float) -> None:
    levels = np.array([1e-3, 0.1, 0.5, 0.9, 0.999])
    x, h = special.gammaincinv(a, levels), 1e-3 * a
    wanted = (special.gammaincinv(a + h, levels) - special.gammaincinv(a - h, levels)) / (2 * h)
    np.testing.assert_allclose(slope(np.full(5, a), x), wanted, rtol=1e-4)


def test_the_slope_is_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    rng = np.random.default_rng(0)
    a = rng.uniform(0.1, 50, 2000)
    x = rng.gamma(a)
    theirs = torch._standard_gamma_grad(torch.tensor(a), torch.tensor(x)).numpy()
    np.testing.assert_allclose(slope(a, x), theirs, rtol=3e-3)  # PyTorch's is an approximation


N = 20_000
LAWS: dict[str, tuple[Any, Any]] = {
    "Gamma": (lambda t: d.Gamma(t(2.5), t(0.5)), stats.gamma(2.5, scale=2.0)),
    "Gamma below 1": (lambda t: d.Gamma(t(0.2), t(3.0)), stats.gamma(0.2, scale=1 / 3)),
    "Beta": (lambda t: d.Beta(t(2.0), t(0.7)), stats.beta(2.0, 0.7)),
    "Dirichlet": (lambda t: d.Dirichlet(t([0.5, 1.0, 2.5])), stats.beta(0.5, 3.5)),
    "StudentT": (lambda t: d.StudentT(t(3.0), t(1.0), t(2.0)), stats.t(3.0, 1.0, 2.0)),
    "MultivariateNormal": (
        lambda t: d.MultivariateNormal(t([1.0, 0.0]), t([[4.0, 1.0], [1.0, 1.0]])), stats.norm(1.0, 2.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_distribution(name: str, dtype: str) -> None:
    tinydl.manual_seed(4)
    make, law = LAWS[name]
    distribution = make(lambda v: tinydl.tensor(v, dtype=dtype))
    x = distribution.sample((N,))
    assert x.dtype.name == dtype and x.shape == (N, *distribution.event_shape) and not x.requires_grad
    first = x.numpy().astype(np.float64) if not distribution.event_shape else x.numpy()[:, 0].astype(np.float64)
    assert stats.kstest(first, law.cdf).pvalue > 1e-3
    assert np.isfinite(distribution.log_prob(x).numpy()).mean() > 0.999


def test_draws_of_vectors() -> None:
    tinydl.manual_seed(5)
    C = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, -0.3], [0.5, -0.3, 2.0]])
    for form, matrix in (("covariance_matrix", C), ("precision_matrix", np.linalg.inv(C))):
        x = d.MultivariateNormal(tinydl.zeros(3, dtype="float64"), **{form: tinydl.tensor(matrix)}).sample((N,)).numpy()
        np.testing.assert_allclose(np.cov(x.T), C, atol=0.15)
    y = d.Dirichlet(tinydl.tensor([0.01, 0.01])).sample((1000,))
    assert np.isfinite(y.numpy()).all() and (y.sum(-1) - 1).abs().max() < 1e-5
    counts = d.Poisson(tinydl.tensor([0.5, 40.0])).sample((N,)).numpy()
    np.testing.assert_allclose(counts.mean(0), [0.5, 40.0], rtol=0.03)
    np.testing.assert_allclose(counts.var(0), [0.5, 40.0], rtol=0.05)


def test_gradients_of_draws_are_those_of_expectations() -> None:
    tinydl.manual_seed(6)
    a, b = (tinydl.tensor(v, dtype="float64", requires_grad=True) for v in (1.7, 0.6))
    for distribution, parameters in (
        (d.Gamma(a, b), (a, b)), (d.Beta(a, b), (a, b)), (d.StudentT(a + 4, a, b), (a, b)),
    ):  # fmt: skip
        for power in (1, 2):
            found = grad((distribution.rsample((100_000,)) ** power).mean(), parameters)
            mean, variance = distribution.mean, distribution.variance
            exact = mean if power == 1 else variance + mean.square()
            for g, w in zip(found, grad(exact, parameters, allow_unused=True)):
                assert g.item() == pytest.approx(0.0 if w is None else w.item(), rel=0.05, abs=0.02)
    c = tinydl.tensor([0.5, 1.0, 2.5], dtype="float64", requires_grad=True)
    (g,) = grad(d.Dirichlet(c).rsample((100_000,))[:, 0].mean(), c)
    (w,) = grad(d.Dirichlet(c).mean[0], c)
    np.testing.assert_allclose(g.numpy(), w.numpy(), atol=2e-3)


def test_a_second_derivative_of_a_draw_is_refused() -> None:
    a = tinydl.tensor(1.7, requires_grad=True)
    (g,) = grad(d.Gamma(a, 1.0).rsample().square(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        g.backward()


def test_gradients_of_vectors() -> None:
    tinydl.manual_seed(7)
    loc = tinydl.zeros(2, requires_grad=True)
    L = tinydl.tensor([[2.0, 0.0], [0.5, 1.0]], requires_grad=True)
    x = d.MultivariateNormal(loc, scale_tril=L).rsample((3,))
    noise = (x.detach() - loc.detach()).numpy() @ np.linalg.inv(L.detach().numpy()).T
    got = grad(x.sum(), [loc, L])
    np.testing.assert_allclose(got[0].numpy(), [3.0, 3.0])
    np.testing.assert_allclose(got[1].numpy(), np.outer(np.ones(2), noise.sum(0)), rtol=1e-5)
