"""Functions of one float32 inside a loop: polynomials without a branch, which LLVM turns into vectors.

A library call would keep the loop scalar. Each is always inlined (see ``cache.njit``); float64 loops have NumPy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.kernels.cache import njit

_f = np.float32

# Fast mathematics, in two grades; infinities and NaN keep their meaning in both.
# SUMS: sums may be reordered, which vectors need.
# IN_ORDER: not so (the range reduction of exp must be computed as written), but a product and a sum may become one
# rounding, and a quotient a product with the reciprocal.
SUMS = {"contract", "nsz", "arcp", "reassoc"}
IN_ORDER = {"contract", "nsz", "arcp"}

_LOG2E = _f(1.4426950408889634)
_LN2_HIGH = _f(0.693359375)  # 355/512: n * _LN2_HIGH is exact for |n| < 2**15
_LN2_LOW = _f(-2.1219444005469057e-4)  # ln 2 - 355/512
_LOWEST = _f(-87.0)  # exp of less counts as 0, instead of a subnormal number
# (e^r - 1 - r) / r^2 on |r| <= ln(2)/2, minimax of degree 4: absolute error of e^r 7.5e-9
_E0, _E1, _E2, _E3, _E4 = (
    _f(c) for c in (0.50000000269, 0.16666576970, 0.041666375182, 0.0083631812348, 0.0013941120031)
)
# atanh(s) / s in z = s^2 on [0, 1/9], minimax of degree 4: error 4.0e-9
_L0, _L1, _L2, _L3, _L4 = (_f(c) for c in (1.0000000040, 0.33333155074, 0.20012557089, 0.13978833936, 0.14095768952))
# erf(x) / x in x^2 on [0, 16]: a fit of our own (weighted least squares, the weights raised where the relative error
# was large, until it was even) with the error 2.5e-8.
_P0, _P1, _P2, _P3, _P4, _P5 = (
    _f(c) for c in (1.12837914, 1.93546455e-01, 5.31017542e-02, 3.88333970e-03, 2.84555429e-04, 1.98664819e-06)
)
_Q1, _Q2, _Q3, _Q4, _Q5 = (
    _f(c) for c in (5.04858637e-01, 1.15350412e-01, 1.52072713e-02, 1.18554940e-03, 3.74182072e-05)
)
_FAR = _f(4)
ZERO, _HALF, ONE, _TWO = _f(0), _f(0.5), _f(1), _f(2)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def exp(x: Any) -> Any:
    """e^x for x <= 0: x = n ln 2 + r, a polynomial in r, and n put into the exponent bits. NaN stays NaN."""
    v = _LOWEST if x < _LOWEST else x
    n = np.floor(v * _LOG2E + _HALF)
    r = (v - n * _LN2_HIGH) - n * _LN2_LOW
    p = ((((_E4 * r + _E3) * r + _E2) * r + _E1) * r + _E0) * (r * r) + r + ONE
    y = p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return ZERO if x < _LOWEST else y


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def expm1(x: Any) -> Any:
    """e^x - 1 for x <= 0, as 2^n (e^r - 1) + (2^n - 1): near 0, where n = 0, nothing cancels. NaN stays NaN."""
    v = _LOWEST if x < _LOWEST else x
    n = np.floor(v * _LOG2E + _HALF)
    r = (v - n * _LN2_HIGH) - n * _LN2_LOW
    p = ((((_E4 * r + _E3) * r + _E2) * r + _E1) * r + _E0) * (r * r) + r
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power * p + (power - ONE)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def log1p(e: Any) -> Any:
    """log(1 + e) for 0 <= e <= 1, as 2 atanh(e / (2 + e)): small e keep all their digits."""
    s = e / (e + _TWO)
    z = s * s
    return _TWO * s * ((((_L4 * z + _L3) * z + _L2) * z + _L1) * z + _L0)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def erf(x: Any) -> Any:
    """x P(x^2) / Q(x^2) up to |x| = 4, from where on it is 1 in float32. The absolute error is below 4.5e-7."""
    v = _FAR if x > _FAR else x
    v = -_FAR if v < -_FAR else v
    t = v * v
    p = ((((_P5 * t + _P4) * t + _P3) * t + _P2) * t + _P1) * t + _P0
    q = ((((_Q5 * t + _Q4) * t + _Q3) * t + _Q2) * t + _Q1) * t + ONE
    y = v * p / q
    y = ONE if y > ONE else y
    return -ONE if y < -ONE else y


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), without overflow."""
    e = exp(-abs(x))
    larger = ONE / (ONE + e)
    return larger if x >= 0 else e * larger


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def sum_(values: Any) -> Any:
    """The sum, in a loop that stores nothing: a loop that also stored would be run as vectors or one by one, depending
    on where the arrays lie in memory, and the last bits of its sum with it."""
    total = ZERO
    for i in range(values.size):
        total += values[i]
    return total
