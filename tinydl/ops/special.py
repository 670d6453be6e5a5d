"""Special functions, written out in NumPy: the error function, gamma and its kin, sinc, modified Bessel functions.

float32 and float16 are computed in float64 and rounded (but for :func:`erf` of float32, see there). In float64 the
relative error is below 1e-13 wherever the function is not near a zero, and the absolute error below 1e-14 there
(measured against the C library and SciPy: ``tests/core/test_special.py``). Each formula names its source; DLMF is
the NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.

The derivatives stay in the family, to any order: erf gives exp, lgamma gives digamma gives polygamma, the others carry
their order as a static argument.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.elementwise import exp, square


def _in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of a flat float64 array, for arrays of any floating dtype and shape. It may meet NaN anywhere."""

    @functools.wraps(function)
    def wide(input: Any, **static: Any) -> Any:
        flat = np.asarray(input, np.float64).reshape(-1)
        with np.errstate(all="ignore"):  # poles and overflow give infinities, as they should
            return function(flat, **static).reshape(input.shape).astype(input.dtype)

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


@_in_float64
def _erf(x: Any) -> Any:
    out = x * _polynomial(np.square(np.clip(x, -1, 1)), _ERF_SERIES)
    far = np.absolute(x) > 1
    out[far] = np.copysign(1 - _erfc_tail(np.absolute(x[far])), x[far])
    return out


@_in_float64
def _erfc(x: Any) -> Any:
    out = 1 - x * _polynomial(np.square(np.clip(x, -1, 1)), _ERF_SERIES)
    far = np.absolute(x) > 1
    tail = _erfc_tail(np.absolute(x[far]))
    out[far] = np.where(x[far] > 0, tail, 2 - tail)
    return out


# erf(x) / x = P(x^2) / Q(x^2) for |x| <= 4, from where on erf x is 1 in float32: a fit of our own (weighted
# least squares, the weights raised where the relative error was large, until it was even) with the error 2.5e-8.
_ERF_P = (1.12837914, 1.93546455e-01, 5.31017542e-02, 3.88333970e-03, 2.84555429e-04, 1.98664819e-06)
_ERF_Q = (1.0, 5.04858637e-01, 1.15350412e-01, 1.52072713e-02, 1.18554940e-03, 3.74182072e-05)
_P32, _Q32 = ([np.array(c, np.float32) for c in reversed(part)] for part in (_ERF_P, _ERF_Q))
_END32, _ONE32 = np.array(4.0, np.float32), np.array(1, np.float32)
_BLOCK = 8192  # elements whose intermediate results stay in the cache


def _erf_float32(input: Any) -> Any:
    """erf in float32 throughout; the absolute error is below 4.5e-7, four units in the last place of 1."""
    flat = input.reshape(-1)
    out = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        x = out[start : start + _BLOCK]
        np.minimum(flat[start : start + _BLOCK], _END32, out=x)
        np.maximum(x, -_END32, out=x)
        t = x * x
        p, q = t * _P32[0], t * _Q32[0]
        for total, (first, *coefficients) in ((p, _P32[1:]), (q, _Q32[1:])):
            total += first
            for c in coefficients:
                total *= t
                total += c
        x *= p
        x /= q
        np.minimum(x, _ONE32, out=x)
        np.maximum(x, -_ONE32, out=x)
    return out.reshape(input.shape)


erf = primitive(
    lambda input: _erf_float32(input) if input.dtype == np.float32 else _erf(input),
    args="input", name="erf", promote="float",
    input=lambda g, input: g * (exp(-square(input)) * (2 / math.sqrt(math.pi))),
)  # fmt: skip
erfc = primitive(
    _erfc, args="input", name="erfc", promote="float",
    input=lambda g, input: -(g * (exp(-square(input)) * (2 / math.sqrt(math.pi)))),
)  # fmt: skip


@_in_float64
def _erfinv(x: Any) -> Any:
    """A first guess of relative error 2e-3 everywhere (S. Winitzki, A handy approximation for the error function and
    its inverse, 2008), then two of Halley's steps, each of which cubes the error; beyond 1/2 on erfc, where 1 - |x| is
    exact."""
    size = np.absolute(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log1p(-size * size)
        a = 2 / (math.pi * 0.147) + log / 2
        y = np.sqrt(np.sqrt(a * a - log / 0.147) - a)
    for _ in range(2):
        error = np.where(size < 0.5, _erf(y) - size, (1 - size) - _erfc(y))
        newton = error * (math.sqrt(math.pi) / 2) * np.exp(y * y)
        y = y - newton / (1 + y * newton)
    return np.copysign(np.where(size == 1, np.inf, y), x)


erfinv = primitive(
    _erfinv, args="input", name="erfinv", promote="float",
    input=lambda g, out: g * (exp(square(out)) * (math.sqrt(math.pi) / 2)),
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------- gamma function

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
_STIRLING = tuple(b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(_BERNOULLI))
_EULER = 0.5772156649015328606
_LARGE = 10.0  # from here on the ten terms of Stirling's series are exact to the last place


def _hurwitz(s: float, q: Any) -> Any:
    """zeta(s, q) = sum (q + n)^-s for s > 1, q > 0: nine terms, then Euler and Maclaurin's formula (DLMF 25.11.28)."""
    total = np.zeros_like(q)
    for n in range(9):
        total += (q + n) ** -s
    a = q + 9
    total += a ** (1 - s) / (s - 1) + 0.5 * a**-s
    factor = s * a ** (-s - 1)
    for k, b in enumerate(_BERNOULLI):
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
    y, product = np.where(x < _LARGE, x, 2.0), np.ones_like(x)
    below = y < 0.5
    product = np.where(below, 1 / y, product)  # gamma(y) = gamma(y + 1) / y
    y = np.where(below, y + 1, y)
    while np.any(above := y >= 2.5):
        y = np.where(above, y - 1, y)
        product = np.where(above, product * y, product)
    near_one = y < 1.5
    z = np.where(near_one, y - 1, y - 2)
    small = z * _polynomial(z, _near_two()) - np.where(near_one, np.log1p(z), 0.0) + np.log(product)
    w = np.maximum(x, _LARGE)
    large = (w - 0.5) * np.log(w) - w + 0.5 * math.log(2 * math.pi) + _polynomial(1 / (w * w), _STIRLING) / w
    return np.where(x < _LARGE, small, np.where(np.isinf(x), x, large))


def _sin_pi(x: Any) -> Any:
    """sin(pi x), exact in its zeros."""
    r = np.remainder(x, 2.0)
    return np.sin(math.pi * np.where(r > 1.5, r - 2, np.where(r > 0.5, 1 - r, r)))


@_in_float64
def _lgamma(x: Any) -> Any:
    out = _lgamma_positive(np.where(x > 0, x, 1 - x))
    # gamma(x) gamma(1 - x) = pi / sin(pi x), DLMF 5.5.3
    reflected = np.log(math.pi / np.absolute(_sin_pi(x))) - out
    out = np.where(x > 0, out, np.where(np.isinf(x), np.inf, reflected))
    return np.where(np.isnan(x), np.nan, out)


@_in_float64
def _digamma(x: Any) -> Any:
    """psi(x): steps of 1 up to 10, then the asymptotic series (DLMF 5.11.2); the reflection 5.5.4 below 0."""
    y = np.where(x > 0, x, 1 - x)
    out = np.zeros_like(y)
    while np.any(small := y < _LARGE):
        out = np.where(small, out - 1 / y, out)
        y = np.where(small, y + 1, y)
    s = 1 / (y * y)
    out += np.log(y) - 0.5 / y - s * _polynomial(s, tuple(b / (2 * k + 2) for k, b in enumerate(_BERNOULLI)))
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


@_in_float64
def _polygamma(x: Any, *, order: int) -> Any:
    """(-1)^(n+1) n! zeta(n + 1, x), DLMF 25.11.12; the reflection 5.15.6 below 0."""
    y = np.where(x > 0, x, 1 - x)
    out = (-1) ** (order + 1) * math.factorial(order) * _hurwitz(order + 1, y)
    r = x - np.round(x)
    mirrored = (-1) ** order * out - _polynomial(1 / np.tan(math.pi * r), _cotangent(order))
    out = np.where(x > 0, out, np.where(r == 0, np.inf if order % 2 else -np.inf, mirrored))
    return np.where(np.isposinf(x), 0.0, out)


lgamma = primitive(
    _lgamma, args="input", name="lgamma", promote="float", input=lambda g, input: g * digamma(input)
)  # fmt: skip
digamma: Any = primitive(
    _digamma, args="input", name="digamma", promote="float", input=lambda g, input: g * polygamma_of(input, order=1)
)


@primitive(promote="float", input=lambda g, input, order: g * polygamma_of(input, order=order + 1))
def polygamma_of(input: Any, *, order: int) -> Any:
    """The ``order``-th derivative of :func:`digamma`, order >= 1."""
    return _polygamma(input, order=order)


def polygamma(n: int, input: Any) -> Any:
    """The n-th derivative of :func:`digamma`, elementwise."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return polygamma_of(input, order=n) if n else digamma(input)


# ------------------------------------------------------------------------------------------------------- sinc, Bessel


@_in_float64
def _sinc(x: Any, *, order: int) -> Any:
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


@primitive(promote="float", input=lambda g, input, order: g * sinc_of(input, order=order + 1))
def sinc_of(input: Any, *, order: int) -> Any:
    """The ``order``-th derivative of :func:`sinc`."""
    return _sinc(input, order=order)


def sinc(input: Any) -> Any:
    """sin(pi x) / (pi x), and 1 at 0."""
    return sinc_of(input, order=0)


@_in_float64
def _bessel_i(x: Any, *, order: int) -> Any:
    """I_n(x): the power series (DLMF 10.25.2), whose terms are all of one sign; the asymptotic series 10.40.1 for
    large x."""
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


@primitive(promote="float", input=lambda g, input, order: g * _bessel_slope(input, order))
def bessel_i(input: Any, *, order: int) -> Any:
    """The modified Bessel function of the first kind I_n."""
    return _bessel_i(input, order=order)


def _bessel_slope(x: Any, n: int) -> Any:
    """I_n' = (I_(n-1) + I_(n+1)) / 2, DLMF 10.29.1, where I_(-1) = I_1."""
    return bessel_i(x, order=1) if n == 0 else (bessel_i(x, order=n - 1) + bessel_i(x, order=n + 1)) * 0.5


def i0(input: Any) -> Any:
    """The modified Bessel function of the first kind and order 0."""
    return bessel_i(input, order=0)
