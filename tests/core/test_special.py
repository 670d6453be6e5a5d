"""Special functions against the C library and SciPy: the accuracy that ``kernels/special`` states."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.kernels import lookup, use
from tinydl.ops import special

scipy_special = pytest.importorskip("scipy.special", reason="SciPy is the oracle of this test")

INF, NAN = float("inf"), float("nan")
RNG = np.random.default_rng(7)
TINY = 10.0 ** RNG.uniform(-300, -1, 300)
WIDE = np.concatenate([RNG.uniform(-6, 6, 3000), RNG.uniform(0, 26, 2000), TINY, -TINY])


def each(f: Callable[[float], float]) -> Callable[[Any], Any]:
    return lambda xs: np.array([f(float(x)) for x in xs])


def reflected_gamma(x: float) -> float:
    return math.log(math.pi / abs(math.sin(math.pi * (x - round(x))))) - math.lgamma(1 - x)


BELOW_0 = RNG.uniform(-15, 0, 2000)
POSITIVE = np.concatenate([RNG.uniform(0, 30, 3000), TINY, 10.0 ** RNG.uniform(1, 200, 300)])
NEAR_1 = np.concatenate([RNG.uniform(-1, 1, 2000), TINY, 1 - TINY[TINY > 1e-16]])
OFF_POLES = BELOW_0[np.abs(BELOW_0 - BELOW_0.round()) > 0.01]


OPS = ("erf", "erfc", "erfinv", "lgamma", "digamma", "polygamma", "sinc", "bessel_i")


def of(op: str, *order: int) -> Callable[[Any], Any]:
    return lambda x: lookup(op, "cpu", x.dtype)(x, *order)


def scipys(name: str, order: int) -> Callable[[Any], Any]:
    return lambda x: getattr(scipy_special, name)(order, x)


@pytest.fixture(params=["compiled", "numpy"])
def variant(request: pytest.FixtureRequest) -> Iterator[None]:
    with use(**(dict.fromkeys(OPS, "numpy") if request.param == "numpy" else {})):
        yield


@pytest.mark.parametrize(
    ("f", "oracle", "x", "relative", "absolute"),
    [
        pytest.param(of("erf"), each(math.erf), WIDE, 1e-15, 0.0, id="erf"),
        pytest.param(of("erfc"), each(math.erfc), WIDE, 3e-15, 0.0, id="erfc"),
        pytest.param(of("erfinv"), scipy_special.erfinv, NEAR_1, 5e-15, 0.0, id="erfinv"),
        pytest.param(of("lgamma"), scipy_special.gammaln, POSITIVE, 3e-15, 1e-15, id="lgamma"),
        pytest.param(of("lgamma"), each(reflected_gamma), BELOW_0, 1e-13, 2e-14, id="lgamma below 0"),
        pytest.param(of("digamma"), scipy_special.digamma, POSITIVE, 1e-13, 1e-14, id="digamma"),
        pytest.param(of("digamma"), scipy_special.digamma, OFF_POLES, 1e-13, 1e-13, id="digamma below 0"),
        pytest.param(of("polygamma", 1), scipys("polygamma", 1), POSITIVE[:3000], 3e-15, 0.0, id="trigamma"),
        pytest.param(of("polygamma", 3), scipys("polygamma", 3), POSITIVE[:3000], 3e-15, 0.0, id="order 3"),
        pytest.param(of("bessel_i", 0), scipy_special.i0, RNG.uniform(-700, 700, 2000), 3e-15, 0.0, id="i0"),
        pytest.param(of("bessel_i", 1), scipy_special.i1, RNG.uniform(-700, 700, 2000), 3e-15, 0.0, id="i1"),
        pytest.param(of("bessel_i", 1), scipy_special.i1, TINY[TINY > 1e-290], 1e-15, 0.0, id="i1 near 0"),
        pytest.param(of("bessel_i", 2), scipys("iv", 2), RNG.uniform(-60, 60, 2000), 1e-13, 0.0, id="i2"),
        pytest.param(of("sinc", 0), np.sinc, RNG.uniform(-500, 500, 2000), 0.0, 1e-15, id="sinc"),
    ],
)
@pytest.mark.usefixtures("variant")
def test_float64(f: Any, oracle: Any, x: Any, relative: float, absolute: float) -> None:
    """Relative error where the value is not near a zero, absolute error there."""
    np.testing.assert_allclose(f(x), oracle(x), rtol=relative, atol=absolute)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.usefixtures("variant")
def test_derivatives_of_sinc_are_those_of_the_integral(order: int) -> None:
    """d^n/dx^n sinc x = pi^n int_0^1 t^n cos(pi x t + n pi/2) dt, by Gauss's rule."""
    t, w = np.polynomial.legendre.leggauss(60)
    t, w = (t + 1) / 2, w / 2
    x = np.concatenate([RNG.uniform(-6, 6, 400), [0.0, 1e-8, 1.0, -2.0]])
    want = math.pi**order * (w * t**order * np.cos(math.pi * np.outer(x, t) + order * math.pi / 2)).sum(axis=1)
    np.testing.assert_allclose(of("sinc", order)(x), want, rtol=0, atol=1e-14 * math.pi**order * 10)


def test_float32_erf() -> None:
    x = np.linspace(-6, 6, 200_001).astype(np.float32)
    y = special.erf(x)
    assert y.dtype == np.float32
    assert np.abs(y - scipy_special.erf(x.astype(np.float64))).max() < 4.5e-7
    assert np.abs(y).max() == 1
    small = (10.0 ** RNG.uniform(-30, -2, 500)).astype(np.float32)
    np.testing.assert_allclose(special.erf(small), scipy_special.erf(small.astype(np.float64)), rtol=3e-7)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_no_ordinary_number(dtype: str) -> None:
    cases: dict[str, tuple[list[float], list[float]]] = {
        "erf": ([INF, -INF, NAN, 0.0], [1, -1, NAN, 0]),
        "erfc": ([INF, -INF, NAN, 0.0], [0, 2, NAN, 1]),
        "erfinv": ([1, -1, 0, 2, NAN], [INF, -INF, 0, NAN, NAN]),
        "lgamma": ([0, -1, 1, 2, INF, NAN], [INF, INF, 0, 0, INF, NAN]),
        "digamma": ([0.0, -0.0, -1, INF, NAN], [-INF, INF, NAN, INF, NAN]),
        "sinc": ([0, 1, -3, NAN], [1, 0, 0, NAN]),
    }
    for name, (x, want) in cases.items():
        y = getattr(tinydl, name)(tinydl.tensor(x, dtype=dtype))
        assert y.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(y.array, np.asarray(want, dtype), err_msg=name)
    np.testing.assert_array_equal(tinydl.special.i0(tinydl.tensor([0.0, INF, NAN])).array, [1, INF, NAN])
    np.testing.assert_array_equal(tinydl.special.i1(tinydl.tensor([0.0, NAN])).array, [0, NAN])


def test_identities_through_the_derivatives() -> None:
    """erf' = 2/sqrt(pi) e^-x^2, (erf^-1)'(erf x) erf'(x) = 1, lgamma' = psi, and psi'' from three steps of autograd."""
    x = tinydl.tensor(RNG.uniform(0.2, 2.0, 50), requires_grad=True)
    (slope,) = tinydl.autograd.grad(tinydl.erf(x).sum(), x, create_graph=True)
    np.testing.assert_allclose(slope.detach().array, 2 / math.sqrt(math.pi) * np.exp(-(x.array**2)), rtol=1e-14)
    y = tinydl.tensor(of("erf")(x.array), requires_grad=True)
    (back,) = tinydl.autograd.grad(tinydl.erfinv(y).sum(), y)
    np.testing.assert_allclose(back.array * slope.detach().array, 1, rtol=1e-12)
    g = tinydl.lgamma(x)
    for _ in range(3):
        (g,) = tinydl.autograd.grad(g.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().array, scipy_special.polygamma(2, x.array), rtol=1e-13)
