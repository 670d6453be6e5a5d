"""Elementary functions of one number, for the loops that are generated (``fused.py``): ``exp32``, ``exp64``, ...

Those of ``scalar.py`` serve kernels that know the range of their arguments; these take every number, infinities, NaN
and subnormal results included. The ones of float32 and the exponentials of float64 are polynomials without a branch,
which become vectors; the others of float64, and what is rarely in a hot loop (sines, powers), are the C library's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.kernels import scalar
from tinydl.kernels.cache import njit
from tinydl.kernels.scalar import (
    _E0,
    _E1,
    _E2,
    _E3,
    _E4,
    _HALF,
    _L0,
    _L1,
    _L2,
    _L3,
    _L4,
    _LN2_HIGH,
    _LN2_LOW,
    _LOG2E,
    _TWO,
    IN_ORDER,
    ONE,
    ZERO,
)

_f = np.float32

# Where e^x leaves the numbers of its dtype, and a little beyond: 2^n is formed in two halves, which covers that too.
_LOW, _HIGH = _f(-104.0), _f(89.0)
_LOW64, _HIGH64 = -746.0, 710.0
_CERTAIN, _FAR = _f(18.0), _f(87.0)  # 2x of the tanh, x of the sigmoid, from where on they are 1
_LN2 = _f(math.log(2))
_INFINITY, _NAN = _f(math.inf), _f(math.nan)
_SMALLEST = _f(2.0**-126)  # less is subnormal
_ROOT_HALF = np.int32(0x3F3504F3)  # the bits of sqrt(1/2)
_LN2_HIGH64, _LN2_LOW64 = float.fromhex("0x1.62e42fee00000p-1"), 1.90821492927058770002e-10
_LOG2E64 = 1 / math.log(2)
# 1/k!: the Taylor series of e^r - 1 of degree 13 on |r| <= ln(2)/2, whose remainder is 4e-18 (as in vector.py).
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = (1 / math.factorial(k) for k in range(2, 14))


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _rest32(r: Any) -> Any:
    """e^r - 1 for |r| <= ln(2)/2."""
    return ((((_E4 * r + _E3) * r + _E2) * r + _E1) * r + _E0) * (r * r) + r


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _scaled32(y: Any, n: Any) -> Any:
    """y 2^n for whole n, also where 2^n itself is no normal number."""
    whole = np.int32(n)
    half = np.int32(whole >> np.int32(1))
    first = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    second = np.int32((np.int32(whole - half) + np.int32(127)) << np.int32(23)).view(np.float32)
    return y * first * second


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def exp32(x: Any) -> Any:
    """e^x."""
    v = _LOW if x < _LOW else x
    v = _HIGH if v > _HIGH else v
    n = np.floor(v * _LOG2E + _HALF)
    r = (v - n * _LN2_HIGH) - n * _LN2_LOW
    return _scaled32(_rest32(r) + ONE, n)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def exp2_32(x: Any) -> Any:
    """2^x: here x - n is exact, and times ln 2 it is the r of :func:`exp32`."""
    v = _f(-151) if x < _f(-151) else x
    v = _f(129) if v > _f(129) else v
    n = np.floor(v + _HALF)
    return _scaled32(_rest32((v - n) * _LN2) + ONE, n)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def expm1_32(x: Any) -> Any:
    """e^x - 1: below 1/2 as in ``scalar.py``, where nothing cancels; from there on nothing can."""
    return scalar.expm1(x) if x < _HALF else exp32(x) - ONE


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _parts32(v: Any) -> Any:
    """(2^n, e^r - 1) with v = n ln 2 + r, for -87 <= v, where 2^n is a normal number, and v < 90, where it may be
    infinite."""
    n = np.floor(v * _LOG2E + _HALF)
    rest = _rest32((v - n * _LN2_HIGH) - n * _LN2_LOW)
    return np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32), rest


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def tanh32(x: Any) -> Any:
    """m / (m + 2) with m = e^2x - 1, as 2^n (e^r - 1) + (2^n - 1), so that small values keep all their digits; from
    |x| = 9 on it is 1."""
    v = x + x
    v = -_CERTAIN if v < -_CERTAIN else v
    power, rest = _parts32(_CERTAIN if v > _CERTAIN else v)
    m = power * rest + (power - ONE)
    return m / (m + _TWO)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def sigmoid32(x: Any) -> Any:
    """1 / (1 + e^-x). Where e^-x is near the largest number it counts as infinite (2^n does), and 0 comes out."""
    v = _HIGH if -x > _HIGH else -x
    power, rest = _parts32(-_FAR if v < -_FAR else v)
    return ONE / (power * (rest + ONE) + ONE)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def erf32(x: Any) -> Any:
    """The error function."""
    return scalar.erf(x)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def log32(x: Any) -> Any:
    """log x, with x = 2^n m and sqrt(1/2) <= m < sqrt(2), as n ln 2 + 2 atanh((m - 1) / (m + 1))."""
    small = x < _SMALLEST
    bits = np.float32(x * (_f(2.0**23) if small else ONE)).view(np.int32)
    n = np.int32(np.int32(bits - _ROOT_HALF) >> np.int32(23))
    m = np.int32(bits - np.int32(n << np.int32(23))).view(np.float32)
    power = _f(n) - (_f(23) if small else ZERO)
    f = m - ONE
    s = f / (f + _TWO)
    z = s * s
    series = (((_L4 * z + _L3) * z + _L2) * z + _L1) * z + (_L0 - ONE)
    # 2 s = f - s f: added last, f keeps its digits.
    y = power * _LN2_HIGH + (f - (s * (f - _TWO * series) - power * _LN2_LOW))
    y = x if x == _INFINITY else y
    y = -_INFINITY if x == ZERO else y
    return y if x >= ZERO else _NAN


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def log1p32(x: Any) -> Any:
    """log(1 + x): u = 1 + x is rounded, and x / (u - 1) puts that right (W. Kahan)."""
    u = ONE + x
    d = u - ONE
    y = log32(u) * (x / d)
    y = x if d == ZERO else y
    return x if u == _INFINITY else y


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def pow32(x: Any, y: Any) -> Any:
    """x^y, in float64."""
    return _f(math.pow(np.float64(x), np.float64(y)))


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def logaddexp32(x: Any, y: Any) -> Any:
    """log(e^x + e^y)."""
    return (x if x > y else y) + (scalar.log1p(exp32(-abs(x - y))) if x != y else _LN2)


# ------------------------------------------------------------------------------------------------------------- float64


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _rest64(r: Any) -> Any:
    """e^r - 1 for |r| <= ln(2)/2."""
    high = ((((_T13 * r + _T12) * r + _T11) * r + _T10) * r + _T9) * r + _T8
    return ((((((high * r + _T7) * r + _T6) * r + _T5) * r + _T4) * r + _T3) * r + _T2) * (r * r) + r


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def exp64(x: Any) -> Any:
    """e^x."""
    v = _LOW64 if x < _LOW64 else x
    v = _HIGH64 if v > _HIGH64 else v
    n = np.floor(v * _LOG2E64 + 0.5)
    r = (v - n * _LN2_HIGH64) - n * _LN2_LOW64
    whole = np.int64(n)
    half = whole >> 1
    first = np.int64((half + 1023) << 52).view(np.float64)
    return (_rest64(r) + 1.0) * first * np.int64((whole - half + 1023) << 52).view(np.float64)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def tanh64(x: Any) -> Any:
    """As :func:`tanh32`; from |x| = 20 on it is 1."""
    z = -2.0 * abs(x)
    v = -40.0 if z < -40.0 else z
    n = np.floor(v * _LOG2E64 + 0.5)
    r = (v - n * _LN2_HIGH64) - n * _LN2_LOW64
    power = np.int64((np.int64(n) + 1023) << 52).view(np.float64)
    t = power * _rest64(r) + (power - 1.0)
    y = t / (t + 2.0)
    return y if x < 0.0 else -y


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def sigmoid64(x: Any) -> Any:
    """1 / (1 + e^-x), without overflow."""
    e = exp64(-abs(x))
    larger = 1.0 / (1.0 + e)
    return larger if x >= 0.0 else e * larger


@njit(error_model="numpy", forceinline=True)
def logaddexp64(x: Any, y: Any) -> Any:
    """log(e^x + e^y)."""
    return (x if x > y else y) + (math.log1p(exp64(-abs(x - y))) if x != y else math.log(2))


@njit(fastmath={"reassoc"}, error_model="numpy", forceinline=True)
def plus(total: Any, value: Any) -> Any:
    """A sum whose terms may be added in another order, as vectors add them."""
    return total + value


#: What a generated kernel may call, by the name it calls it.
FUNCTIONS: dict[str, Any] = {
    "exp32": exp32, "exp2_32": exp2_32, "expm1_32": expm1_32, "tanh32": tanh32, "sigmoid32": sigmoid32,
    "erf32": erf32, "log32": log32, "log1p32": log1p32, "pow32": pow32, "logaddexp32": logaddexp32,
    "exp64": exp64, "exp2_64": np.exp2, "expm1_64": math.expm1, "tanh64": tanh64, "sigmoid64": sigmoid64,
    "erf64": math.erf, "log64": math.log, "log1p64": math.log1p, "pow64": math.pow, "logaddexp64": logaddexp64,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos, "atan": math.atan,
    "sinh": math.sinh, "cosh": math.cosh, "asinh": math.asinh, "acosh": math.acosh, "atanh": math.atanh,
    "atan2": math.atan2, "hypot": math.hypot, "copysign": math.copysign, "fmod": np.fmod, "erfc": math.erfc,
    "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint, "plus": plus,
}  # fmt: skip
