"""Special functions, elementwise, and their references: series written out in NumPy.

``erf(x)``, ``erfc(x)``, ``erfinv(x)``
    The error function 2/sqrt(pi) int_0^x exp(-t^2) dt, its complement 1 - erf x, and its inverse.
``lgamma(x)``, ``digamma(x)``, ``polygamma(x, order)``
    log |gamma(x)|, its derivative, and the ``order``-th derivative of that, order >= 1.
``sinc(x, order)``, ``bessel_i(x, order)``
    The ``order``-th derivative of sin(pi x) / (pi x), and the modified Bessel function of the first kind I_order.

``x`` is of a floating dtype and any shape, ``order`` a whole number. The references compute in float64 and round. In
float64 the relative error is below 1e-13 wherever the function is not near a zero, and the absolute error below 1e-14
there (measured against the C library and SciPy: ``tests/core/test_special.py``). Each formula names its source; DLMF
is the NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]


def _in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of a flat float64 array, for arrays of any floating dtype and shape. It may meet NaN anywhere."""

    @functools.wraps(function)
    def wide(x: Array, *order: int) -> Array:
        flat = np.asarray(x, np.float64).reshape(-1)
        with np.errstate(all="ignore"):  # poles and overflow give infinities, as they should
            result: Array = function(flat, *order).reshape(x.shape).astype(x.dtype)
        return result

    return wide


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """c0 + c1 x + c2 x^2 + ..., by Horner's rule."""
    out = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        out *= x
        out += c
    return out


# -------------------------------------------------------------------------------------------------- error function

# erf x = 2/sqrt(pi) sum (-1)^k x^(2k+1) / (k! (2k+1)), DLMF 7.6.1: 19 terms suffice up to |x| = 1.
_ERF_SERIES = tuple(2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(19))


def _erfc_tail(x: Any) -> Any:
    """erfc x for x >= 1: the trapezoidal rule with step 1/2 for exp(-x^2)/pi int x exp(-t^2)/(x^2 + t^2) dt.

    Its error is exp(-pi^2/h^2) = 7e-18 once the pole at t = ix is taken out, for x < pi/h: M. Chiarella and A.
    Reichel, On the evaluation of integrals related to the error function, Mathematics of Computation 22 (1968).
    """
    x = np.minimum(x, 30.0)  # where erfc has long been 0
    h, s = 0.5, x * x
    total = 1 / s
    for n in range(1, 13):
        total += 2 * math.exp(-((n * h) ** 2)) / (s + (n * h) ** 2)
    # exp(-x^2) with x^2 in two parts: rounded once, it would cost x^2 units in the last place.
    head = np.round(x * 64) / 64
    tail = np.exp(-head * head) * np.exp((head - x) * (head + x)) * (h / math.pi) * x * total
    return np.where(x < math.pi / h, tail + 2 / (1 - np.exp(2 * math.pi / h * x)), tail)


@register(op="erf", name="numpy")
@_in_float64
def erf(x: Any) -> Any:
    """The power series up to |x| = 1, 1 - erfc beyond."""
    out = x * _polynomial(np.square(np.clip(x, -1, 1)), _ERF_SERIES)
    far = np.absolute(x) > 1
    out[far] = np.copysign(1 - _erfc_tail(np.absolute(x[far])), x[far])
    return out


@register(op="erfc", name="numpy")
@_in_float64
def erfc(x: Any) -> Any:
    """1 - erf up to |x| = 1, an integral beyond."""
    out = 1 - x * _polynomial(np.square(np.clip(x, -1, 1)), _ERF_SERIES)
    far = np.absolute(x) > 1
    tail = _erfc_tail(np.absolute(x[far]))
    out[far] = np.where(x[far] > 0, tail, 2 - tail)
    return out


@register(op="erfinv", name="numpy")
@_in_float64
def erfinv(x: Any) -> Any:
    """A first guess of relative error 2e-3 everywhere (S. Winitzki, A handy approximation for the error function and
    its inverse, 2008), then two of Halley's steps, each of which cubes the error; beyond 1/2 on erfc, where 1 - |x| is
    exact."""
    size = np.absolute(x)
    log = np.log1p(-size * size)
    a = 2 / (math.pi * 0.147) + log / 2
    y = np.sqrt(np.sqrt(a * a - log / 0.147) - a)
    for _ in range(2):
        error = np.where(size < 0.5, erf(y) - size, (1 - size) - erfc(y))
        newton = error * (math.sqrt(math.pi) / 2) * np.exp(y * y)
        y = y - newton / (1 + y * newton)
    return np.copysign(np.where(size == 1, np.inf, y), x)


# ----------------------------------------------------------------------------------------------------- gamma function

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
_STIRLING = tuple(b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(BERNOULLI))
_EULER = 0.5772156649015328606
LARGE = 10.0  # from here on the ten terms of Stirling's series are exact to the last place


def _hurwitz(s: float, q: Any) -> Any:
    """zeta(s, q) = sum (q + n)^-s for s > 1, q > 0: nine terms, then Euler and Maclaurin's formula (DLMF 25.11.28)."""
    total = np.zeros_like(q)
    for n in range(9):
        total += (q + n) ** -s
    a = q + 9
    total += a ** (1 - s) / (s - 1) + 0.5 * a**-s
    factor = s * a ** (-s - 1)
    for k, b in enumerate(BERNOULLI):
        total += b / math.factorial(2 * k + 2) * factor
        factor = factor * (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a)
    return total


@functools.cache
def _near_two() -> tuple[float, ...]:
    """Coefficients of log gamma(2 + z) / z: 1 - gamma and (-1)^k (zeta(k) - 1) / k, DLMF 5.7.3, for |z| <= 1/2."""
    tail = [(-1) ** k * float(_hurwitz(k, np.asarray([2.0]))[0]) / k for k in range(2, 28)]
    return (1 - _EULER, *tail)


def _lgamma_positive(x: Any) -> Any:
    """log gamma(x) for x > 0: the series at 2, reached by steps of 1; Stirling's series (DLMF 5.11.1) above 10.

    Near the zeros at 1 and 2 the series keeps the relative accuracy.
    """
    y, product = np.where(x < LARGE, x, 2.0), np.ones_like(x)
    below = y < 0.5
    product = np.where(below, 1 / y, product)  # gamma(y) = gamma(y + 1) / y
    y = np.where(below, y + 1, y)
    while np.any(above := y >= 2.5):
        y = np.where(above, y - 1, y)
        product = np.where(above, product * y, product)
    near_one = y < 1.5
    z = np.where(near_one, y - 1, y - 2)
    small = z * _polynomial(z, _near_two()) - np.where(near_one, np.log1p(z), 0.0) + np.log(product)
    w = np.maximum(x, LARGE)
    large = (w - 0.5) * np.log(w) - w + 0.5 * math.log(2 * math.pi) + _polynomial(1 / (w * w), _STIRLING) / w
    return np.where(x < LARGE, small, np.where(np.isinf(x), x, large))


def _sin_pi(x: Any) -> Any:
    """sin(pi x), exact in its zeros."""
    r = np.remainder(x, 2.0)
    return np.sin(math.pi * np.where(r > 1.5, r - 2, np.where(r > 0.5, 1 - r, r)))


@register(op="lgamma", name="numpy")
@_in_float64
def lgamma(x: Any) -> Any:
    """By series for x > 0; gamma(x) gamma(1 - x) = pi / sin(pi x), DLMF 5.5.3, below."""
    out = _lgamma_positive(np.where(x > 0, x, 1 - x))
    reflected = np.log(math.pi / np.absolute(_sin_pi(x))) - out
    out = np.where(x > 0, out, np.where(np.isinf(x), np.inf, reflected))
    return np.where(np.isnan(x), np.nan, out)


@register(op="digamma", name="numpy")
@_in_float64
def digamma(x: Any) -> Any:
    """Steps of 1 up to 10, then the asymptotic series (DLMF 5.11.2); the reflection 5.5.4 below 0."""
    y = np.where(x > 0, x, 1 - x)
    out = np.zeros_like(y)
    while np.any(small := y < LARGE):
        out = np.where(small, out - 1 / y, out)
        y = np.where(small, y + 1, y)
    s = 1 / (y * y)
    out += np.log(y) - 0.5 / y - s * _polynomial(s, tuple(b / (2 * k + 2) for k, b in enumerate(BERNOULLI)))
    r = x - np.round(x)
    out = np.where(x > 0, out, out - np.where(r == 0, np.nan, math.pi / np.tan(math.pi * r)))
    out = np.where(x == 0, np.copysign(np.inf, -x), out)
    return np.where(np.isposinf(x), np.inf, out)


@functools.cache
def _cotangent(order: int) -> tuple[float, ...]:
    """Coefficients of d^n/dx^n pi cot(pi x) as a polynomial in cot(pi x): c' = -pi (1 + c^2)."""
    found = np.polynomial.Polynomial([0.0, math.pi])
    for _ in range(order):
        found = found.deriv() * np.polynomial.Polynomial([-math.pi, 0.0, -math.pi])
    return tuple(float(c) for c in found.coef)


@register(op="polygamma", name="numpy")
@_in_float64
def polygamma(x: Any, order: int) -> Any:
    """(-1)^(n+1) n! zeta(n + 1, x), DLMF 25.11.12; the reflection 5.15.6 below 0."""
    y = np.where(x > 0, x, 1 - x)
    out = (-1) ** (order + 1) * math.factorial(order) * _hurwitz(order + 1, y)
    r = x - np.round(x)
    mirrored = (-1) ** order * out - _polynomial(1 / np.tan(math.pi * r), _cotangent(order))
    out = np.where(x > 0, out, np.where(r == 0, np.inf if order % 2 else -np.inf, mirrored))
    return np.where(np.isposinf(x), 0.0, out)


# ------------------------------------------------------------------------------------------------------- sinc, Bessel


@register(op="sinc", name="numpy")
@_in_float64
def sinc(x: Any, order: int) -> Any:
    """The n-th derivative of sin(z)/z at z = pi x, times pi^n: its power series up to |z| = n + 3, beyond that the
    recurrence z f_n + n f_(n-1) = sin(z + n pi/2), which follows from differentiating z f_0 = sin z."""
    z = math.pi * x
    bound = order + 3.0
    near = np.clip(z, -bound, bound)
    series = np.zeros_like(z)
    first = (order + 1) // 2
    term = near ** (2 * first - order) * ((-1) ** first / math.factorial(2 * first - order))
    for k in range(first, first + 20 + order):
        series += term / (2 * k + 1)
        term = term * (-near * near / ((2 * k + 2 - order) * (2 * k + 1 - order)))
    far = np.where(np.absolute(z) < bound, 1.0, z)
    reduced = math.pi * np.remainder(x, 2.0)
    f = _sin_pi(x) / far
    for n in range(1, order + 1):
        f = ((np.sin(reduced), np.cos(reduced))[n % 2] * (1, 1, -1, -1)[n % 4] - n * f) / far
    return math.pi**order * np.where(np.absolute(z) < bound, series, f)


@register(op="bessel_i", name="numpy")
@_in_float64
def bessel_i(x: Any, order: int) -> Any:
    """The power series (DLMF 10.25.2), whose terms are all of one sign; the asymptotic series 10.40.1 for large x."""
    size, bound = np.absolute(x), 25.0 + order * order
    near = np.minimum(size, bound)
    quarter = near * near / 4
    term = (near / 2) ** order / math.factorial(order)
    series, k = np.zeros_like(x), 0
    while np.any(term > 1e-18 * series):
        series = series + term
        k += 1
        term = term * (quarter / (k * (k + order)))
    far = np.clip(size, bound, 1e4)  # I_n has long been infinite there
    total, a = np.ones_like(x), np.ones_like(x)
    for j in range(1, 31):
        a = a * (-(4 * order * order - (2 * j - 1) ** 2) / (8 * j * far))
        total += a
    half = np.exp(far / 2)  # e^x overflows before I_n does
    large = half * (total / np.sqrt(2 * math.pi * far)) * half
    out = np.where(size <= bound, series, large)
    return np.where(np.isnan(x), x, out * np.sign(x) if order % 2 else out)


# -- cards ------------------------------------------------------------------------------------------------------------

# Against the float64 reference, relative to the largest value; of erf in float32 see ``scalar.erf``.
TOLERANCE = {"float32": 5e-7, "float64": 1e-13}

_DOMAIN = {"erfinv": (-0.99999, 0.99999), "lgamma": (-9.9, 40.0), "digamma": (-9.9, 40.0), "polygamma": (0.1, 40.0)}
_EDGES = {
    "erf": (0.0, -0.0, 1e-30, 1.0, -1.0, 4.0, 30.0, math.inf, -math.inf, math.nan),
    "erfc": (0.0, 1e-30, 1.0, -1.0, 9.0, 26.0, 30.0, math.inf, -math.inf, math.nan),
    "erfinv": (0.0, 1e-30, 0.5, -0.5, 0.999999, math.nan),
    "lgamma": (1.0, 2.0, 0.5, 1e-30, 1e10, math.inf, -math.inf, 0.0, -1.0, math.nan),
    "digamma": (1.0, 2.0, 1e10, math.inf, 0.0, -1.0, math.nan),
    "polygamma": (1.0, 2.0, 1e5, -0.5, -1.25, -6.7, math.inf, math.nan),
    "sinc": (0.0, 1e-30, 1.0, -1.0, 0.5, 1e4, math.nan),
    "bessel_i": (0.0, 1e-30, 1.0, -1.0, 30.0, math.nan),
}
_ORDERS: dict[str, tuple[int, ...]] = {"polygamma": (1, 2), "sinc": (0, 1, 3), "bessel_i": (0, 1, 2)}
_SAYS = {
    "erf": "2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x",
    "erfc": "1 - erf x",
    "erfinv": "the inverse of erf",
    "lgamma": "log |gamma(x)|",
    "digamma": "the derivative of lgamma",
    "polygamma": "a derivative of digamma",
    "sinc": "a derivative of sin(pi x) / (pi x)",
    "bessel_i": "the modified Bessel function of the first kind",
}


def _samples(op: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    """Sizes off every vector width, views of every kind, poles, zeros and infinities."""

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        rng = np.random.default_rng(13)
        for order in _ORDERS.get(op, (-1,)):
            last = (order,) if order >= 0 else ()
            for shape in ((0, 4), (1, 1), (3, 5), (4, 67), (2, 1000)):
                x = rng.uniform(*_DOMAIN.get(op, (-5.0, 5.0)), shape).astype(dtype)
                yield (x, *last)
                yield (x[::-1, ::-1], *last)
                yield (np.asfortranarray(x), *last)
            yield (np.array([_EDGES[op]], dtype), *last)

    return samples


def _drawn(op: str, count: int) -> Callable[[Any], tuple[Any, ...]]:
    last = _ORDERS.get(op, ())[:1]
    return lambda dtype: (
        np.random.default_rng(0).uniform(*_DOMAIN.get(op, (-5.0, 5.0)), count).astype(dtype), *last
    )  # fmt: skip


#: PyTorch's names that are not ``special.<op>`` of the same arguments.
_RIVALS = {
    "lgamma": rivals.function("lgamma"),
    "polygamma": rivals.function("polygamma", lambda x, order: (order, x)),
    "sinc": rivals.function("sinc", lambda x, order: (x,)),  # the cases have order 0
    "bessel_i": rivals.function("special.i0", lambda x, order: (x,)),
}


for _op, _says in _SAYS.items():
    describe(
        Card(
            op=_op,
            says=_says,
            samples=_samples(_op),
            tolerance=TOLERANCE,
            flops=lambda x, *_: 30 * x.size,
            bytes=lambda x, *_: 2 * x.nbytes,
            cases={name: _drawn(_op, n) for name, n in (("10^3", 1000), ("10^5", 100_000), ("10^6", 1_000_000))},
            rivals={"torch": _RIVALS.get(_op) or rivals.function(f"special.{_op}")},
        )
    )
