"""Special functions: the error function, gamma and its kin, sinc, modified Bessel functions.

What computes them stands in ``kernels/special``; the derivatives stay in the family, to any order: erf gives exp,
lgamma gives digamma gives polygamma, the others carry their order as a static argument.
"""

from __future__ import annotations

import math
from typing import Any

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import exp, square

_ERF, _ERFC, _ERFINV = by_dtype("erf"), by_dtype("erfc"), by_dtype("erfinv")
_LGAMMA, _DIGAMMA, _POLYGAMMA = by_dtype("lgamma"), by_dtype("digamma"), by_dtype("polygamma")
_SINC, _BESSEL_I = by_dtype("sinc"), by_dtype("bessel_i")


def _bell(x: Any) -> Any:
    return exp(-square(x)) * (2 / math.sqrt(math.pi))


@primitive(promote="float", input=lambda g, input: g * _bell(input))
def erf(input: Any) -> Any:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    return _ERF[input.dtype](input)


@primitive(promote="float", input=lambda g, input: -(g * _bell(input)))
def erfc(input: Any) -> Any:
    """1 - erf(x)."""
    return _ERFC[input.dtype](input)


@primitive(promote="float", input=lambda g, out: g * (exp(square(out)) * (math.sqrt(math.pi) / 2)))
def erfinv(input: Any) -> Any:
    """The inverse of erf."""
    return _ERFINV[input.dtype](input)


@primitive(promote="float", input=lambda g, input: g * digamma(input))
def lgamma(input: Any) -> Any:
    """log |gamma(x)|."""
    return _LGAMMA[input.dtype](input)


@primitive(promote="float", input=lambda g, input: g * polygamma_of(input, order=1))
def digamma(input: Any) -> Any:
    """The derivative of :func:`lgamma`."""
    return _DIGAMMA[input.dtype](input)


@primitive(promote="float", input=lambda g, input, order: g * polygamma_of(input, order=order + 1))
def polygamma_of(input: Any, *, order: int) -> Any:
    """The ``order``-th derivative of :func:`digamma`, order >= 1."""
    return _POLYGAMMA[input.dtype](input, order)


def polygamma(n: int, input: Any) -> Any:
    """The n-th derivative of :func:`digamma`, elementwise."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return polygamma_of(input, order=n) if n else digamma(input)


@primitive(promote="float", input=lambda g, input, order: g * sinc_of(input, order=order + 1))
def sinc_of(input: Any, *, order: int) -> Any:
    """The ``order``-th derivative of :func:`sinc`."""
    return _SINC[input.dtype](input, order)


def sinc(input: Any) -> Any:
    """sin(pi x) / (pi x), and 1 at 0."""
    return sinc_of(input, order=0)


@primitive(promote="float", input=lambda g, input, order: g * _bessel_slope(input, order))
def bessel_i(input: Any, *, order: int) -> Any:
    """The modified Bessel function of the first kind I_n."""
    return _BESSEL_I[input.dtype](input, order)


def _bessel_slope(x: Any, n: int) -> Any:
    """I_n' = (I_(n-1) + I_(n+1)) / 2, DLMF 10.29.1, where I_(-1) = I_1."""
    return bessel_i(x, order=1) if n == 0 else (bessel_i(x, order=n - 1) + bessel_i(x, order=n + 1)) * 0.5


def i0(input: Any) -> Any:
    """The modified Bessel function of the first kind and order 0."""
    return bessel_i(input, order=0)
