"""Special functions as compiled ufuncs: the formulas of ``spec.py`` for one number, in float64 (erf of float32 is a
polynomial); the error functions and log gamma are the C library's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels import scalar
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER
from tinydl.kernels.special.spec import BERNOULLI
from tinydl.kernels.ufunc import Ufunc

_ROOT_PI = math.sqrt(math.pi)
_TAIL = tuple(b / (2 * k + 2) for k, b in enumerate(BERNOULLI))


def pointwise(*loops: str) -> Callable[[Callable[..., Any]], Ufunc]:
    """The decorated formula as the variant ``cpu.ufunc`` of the operation of its name."""

    def make(formula: Callable[..., Any]) -> Ufunc:
        dtypes = tuple(np.dtype(letters[0]).name for letters in loops)
        return register(op=formula.__name__, name="cpu.ufunc", dtypes=dtypes, default=True)(Ufunc(formula, *loops))

    return make


def erf(x: Any) -> Any:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    return scalar.erf(x)


def erf_of_float64(x: Any) -> Any:
    """erf x, the C library's."""
    return math.erf(x)


register(op="erf", name="cpu.ufunc", dtypes=("float32",), default=True)(Ufunc(erf, "ff", fastmath=IN_ORDER))
register(op="erf", name="cpu.library", dtypes=("float64",), default=True)(Ufunc(erf_of_float64, "dd"))


@pointwise("ff", "dd")
def erfc(x: Any) -> Any:
    """1 - erf x, the C library's."""
    return math.erfc(x)


@pointwise("ff", "dd")
def lgamma(x: Any) -> Any:
    """log |gamma(x)|, the C library's."""
    return math.lgamma(np.float64(x))


@pointwise("ff", "dd")
def erfinv(x: Any) -> Any:
    """Winitzki's guess and two of Halley's steps (see the reference)."""
    size = abs(np.float64(x))
    if size == 1:
        return math.copysign(math.inf, x)
    log = math.log1p(-size * size) if size < 1 else math.nan
    a = 2 / (math.pi * 0.147) + log / 2
    y = math.sqrt(math.sqrt(a * a - log / 0.147) - a)
    for _ in range(2):
        error = math.erf(y) - size if size < 0.5 else (1 - size) - math.erfc(y)
        newton = error * (_ROOT_PI / 2) * math.exp(y * y)
        y = y - newton / (1 + y * newton)
    return math.copysign(y, x)


@pointwise("ff", "dd")
def digamma(x: Any) -> Any:
    """Steps of 1 up to 10, then the asymptotic series; the reflection below 0."""
    z = np.float64(x)
    if z == math.inf or z != z:
        return z
    if z == 0:
        return -math.copysign(math.inf, z)
    if z == -math.inf:
        return math.nan
    y = z if z > 0 else 1 - z
    out = 0.0
    while y < 10:
        out -= 1 / y
        y += 1
    s = 1 / (y * y)
    series = 0.0
    for k in range(9, -1, -1):
        series = series * s + _TAIL[k]
    out += math.log(y) - 0.5 / y - s * series
    if z < 0:
        r = z - np.round(z)
        out -= math.nan if r == 0 else math.pi / math.tan(math.pi * r)
    return out


@pointwise("fff", "ddd")
def polygamma(x: Any, order: Any) -> Any:
    """(-1)^(n+1) n! zeta(n + 1, x), by Euler and Maclaurin's formula after nine terms; the reflection below 0."""
    z, n = np.float64(x), int(order)
    if z != z:
        return z
    if z == math.inf:
        return 0.0
    q, s = z if z > 0 else 1 - z, n + 1.0
    total = 0.0
    for k in range(9):
        total += (q + k) ** -s
    a = q + 9
    total += a ** (1 - s) / (s - 1) + 0.5 * a**-s
    factor, factorial = s * a ** (-s - 1), 2.0
    for k in range(10):
        total += BERNOULLI[k] / factorial * factor
        factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a)
        factorial *= (2 * k + 3) * (2 * k + 4)
    out = total if n % 2 else -total
    for k in range(2, n + 1):
        out *= k
    if z > 0:
        return out
    r = z - np.round(z)
    if r == 0:
        return math.inf if n % 2 else -math.inf
    # The n-th derivative of pi cot(pi x) is a polynomial in the cotangent c, by c' = -pi (1 + c^2).
    c = np.zeros(n + 4)
    c[1] = math.pi
    for degree in range(1, n + 1):
        d = np.zeros(n + 4)
        for k in range(degree + 1):
            d[k] -= math.pi * (k + 1) * c[k + 1]
            d[k + 2] -= math.pi * (k + 1) * c[k + 1]
        c = d
    cotangent, mirrored = 1 / math.tan(math.pi * r), 0.0
    for k in range(n + 1, -1, -1):
        mirrored = mirrored * cotangent + c[k]
    return (-out if n % 2 else out) - mirrored


@pointwise("fff", "ddd")
def sinc(x: Any, order: Any) -> Any:
    """The n-th derivative of sin(z) / z at z = pi x, times pi^n: a power series near 0, a recurrence beyond."""
    z, n = math.pi * np.float64(x), int(order)
    if abs(z) < n + 3:
        first = (n + 1) // 2
        term = 1.0 if first % 2 == 0 else -1.0
        for k in range(1, 2 * first - n + 1):
            term *= z / k
        series = 0.0
        for k in range(first, first + 20 + n):
            series += term / (2 * k + 1)
            term *= -z * z / ((2 * k + 2 - n) * (2 * k + 1 - n))
        return math.pi**n * series
    half = np.float64(x) % 2.0
    reduced = math.pi * half
    # sin(pi x), exact in its zeros
    f = math.sin(math.pi * (half - 2 if half > 1.5 else 1 - half if half > 0.5 else half)) / z
    for k in range(1, n + 1):
        turned = math.cos(reduced) if k % 2 else math.sin(reduced)
        f = ((turned if k % 4 < 2 else -turned) - k * f) / z
    return math.pi**n * f


@pointwise("fff", "ddd")
def bessel_i(x: Any, order: Any) -> Any:
    """The power series, whose terms are all of one sign; the asymptotic series for large x."""
    z, n = np.float64(x), int(order)
    size, sign = abs(z), -1.0 if z < 0 and n % 2 else 1.0
    if z != z:
        return z
    if size <= 25 + n * n:
        term = 1.0
        for k in range(1, n + 1):
            term *= size / 2 / k
        series, k, quarter = 0.0, 0, size * size / 4
        while term > 1e-18 * series:
            series += term
            k += 1
            term *= quarter / (k * (k + n))
        return sign * series
    far = min(size, 1e4)  # I_n has long been infinite there
    total, a = 1.0, 1.0
    for k in range(1, 31):
        a *= -(4 * n * n - (2 * k - 1) ** 2) / (8 * k * far)
        total += a
    half = math.exp(far / 2)  # e^x overflows before I_n does
    return sign * half * (total / math.sqrt(2 * math.pi * far)) * half
