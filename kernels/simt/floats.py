"""Floating-point arithmetic as the hardware rounds it, on NumPy arrays.

NumPy gives +, -, *, / and the square root rounded to nearest in float32 and float64. What it lacks is here: fused
multiply-add, the directed rounding modes (``rz`` towards zero, ``rm`` down, ``rp`` up), bfloat16, TF32, conversions to
integers. Everything is bit-exact, denormal numbers included.

A fused multiply-add of float32 goes through float64: the product of two 24-bit numbers fits its 53 bits, and the sum is
rounded *to odd*, that is, its last bit is set when anything was cut off. Rounding that once more, to at least two bits
fewer, gives what one rounding would have given (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
IEEE Transactions on Computers 57(4), 2008; theorem 1). For float64 the product is cut in two numbers by Dekker's
algorithm, and the three parts are added the same way (ibid., figure 2). Operands near the ends of the range, where
Dekker's pieces would overflow or lose bits, are computed with whole numbers, one by one.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_SPLIT = np.float64(2**27 + 1)
_SMALL, _LARGE = np.float64(2.0**-960), np.float64(2.0**990)


# -- sums and products without loss ------------------------------------------------------------------------------------


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """(s, e) with s = a + b rounded and s + e = a + b exactly (Knuth, The Art of Computer Programming 2, 4.2.2)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """(p, e) with p = a * b rounded and p + e = a * b exactly, away from overflow and underflow (Dekker 1971)."""
    p = a * b
    t = _SPLIT * a
    ah = t - (t - a)
    al = a - ah
    t = _SPLIT * b
    bh = t - (t - b)
    bl = b - bh
    return p, al * bl - (((p - ah * bh) - al * bh) - ah * bl)


def to_odd(s: Array, e: Array) -> Array:
    """s + e rounded to odd, where s is the rounded sum and e what was lost: the last bit tells that bits are lost."""
    bits = s.view(np.int64)
    lost = (e != 0) & ((bits & 1) == 0) & np.isfinite(s) & np.isfinite(e)
    outwards = np.where((e > 0) == (s > 0), np.int64(1), np.int64(-1))
    return np.where(lost, bits + outwards, bits).view(np.float64)


# -- one rounding ------------------------------------------------------------------------------------------------------


def narrow(x: Array, mode: str = "rn") -> Array:
    """float64 (exact, or rounded to odd) to float32 in a rounding mode: ``rn``, ``rz``, ``rm``, ``rp``."""
    y = x.astype(np.float32)
    if mode in ("rn", "rna"):
        return y
    return _directed(y, x, mode)


def _directed(y: Array, x: Array, mode: str) -> Array:
    """y is x rounded to nearest; move it by one place where the mode wants the neighbour."""
    wide = y.astype(np.float64)
    zero, one = y.dtype.type(0), y.dtype.type(np.inf)
    if mode == "rz":
        wrong, to = np.abs(wide) > np.abs(x), np.full_like(y, zero)
    elif mode == "rm":
        wrong, to = wide > x, np.full_like(y, -one)
    elif mode == "rp":
        wrong, to = wide < x, np.full_like(y, one)
    else:
        raise ValueError(f"there is no rounding mode {mode!r}")
    return np.where(wrong & ~np.isnan(x) & np.isfinite(x), np.nextafter(y, to), y)


def _directed_by_error(s: Array, e: Array, mode: str) -> Array:
    """s + e exactly, s being rounded to nearest in float64: the neighbour in a direction where e points there."""
    if mode == "rn":
        return s
    if mode == "rz":
        wrong, to = (e != 0) & ((e > 0) != (s > 0)) & (s != 0), np.zeros_like(s)
    elif mode == "rm":
        wrong, to = e < 0, np.full_like(s, -np.inf)
    else:
        wrong, to = e > 0, np.full_like(s, np.inf)
    return np.where(wrong & np.isfinite(s), np.nextafter(s, to), s)


def exact_sum_sign(result: Array, a: Array, b: Array, mode: str) -> Array:
    """An exact sum of zero is -0 when rounding down, unless both terms are +0."""
    if mode != "rm":
        return result
    both = (a == 0) & (b == 0) & ~np.signbit(a) & ~np.signbit(b)
    return np.where((result == 0) & ~both, result.dtype.type(-0.0), result)


def add(a: Array, b: Array, mode: str = "rn") -> Array:
    """a + b, rounded once."""
    if mode == "rn":
        return np.add(a, b)
    if a.dtype == F32:
        wide = two_sum(a.astype(np.float64), b.astype(np.float64))
        return exact_sum_sign(narrow(to_odd(*wide), mode), a, b, mode)
    s, e = two_sum(a, b)
    plain = np.isfinite(s)
    return exact_sum_sign(np.where(plain, _directed_by_error(s, np.where(plain, e, 0), mode), _overflow(s, a, b, mode)),
                          a, b, mode)  # fmt: skip


def _overflow(s: Array, a: Array, b: Array, mode: str) -> Array:
    """An overflow of finite operands stops at the largest number where the mode rounds towards zero."""
    finite = np.isfinite(a) & np.isfinite(b)
    largest = np.finfo(s.dtype).max
    back = finite & np.isinf(s) & ((mode == "rz") | ((mode == "rm") & (s > 0)) | ((mode == "rp") & (s < 0)))
    return np.where(back, np.copysign(largest, s), s)


def multiply(a: Array, b: Array, mode: str = "rn") -> Array:
    """a * b, rounded once."""
    if mode == "rn":
        return np.multiply(a, b)
    if a.dtype == F32:
        return narrow(a.astype(np.float64) * b.astype(np.float64), mode)
    return fma(a, b, np.where(np.signbit(a) != np.signbit(b), np.float64(-0.0), np.float64(0.0)), mode)


def divide(a: Array, b: Array, mode: str = "rn") -> Array:
    """a / b, rounded once."""
    if mode == "rn":
        return np.divide(a, b)
    return _by_comparison(np.divide(a, b), mode, lambda q: _compare_quotient(a, b, q), a, b)


def square_root(a: Array, mode: str = "rn") -> Array:
    """The square root, rounded once."""
    if mode == "rn":
        return np.sqrt(a)
    return _by_comparison(np.sqrt(a), mode, lambda q: _compare_root(a, q), a)


def _by_comparison(q: Array, mode: str, compare: Any, *operands: Array) -> Array:
    """q is rounded to nearest; ``compare(q)`` is the sign of (exact - q)."""
    usable = np.isfinite(q)
    for operand in operands:
        usable = usable & np.isfinite(operand)
    sign = np.zeros(q.shape, np.int64)
    if usable.any():
        sign[usable] = compare(usable)
    q64 = q.astype(np.float64)
    error = sign.astype(np.float64)
    if mode == "rz":
        wrong, to = (error != 0) & ((error > 0) != (q64 > 0)) & (q64 != 0), np.zeros_like(q)
    elif mode == "rm":
        wrong, to = error < 0, np.full_like(q, -np.inf)
    else:
        wrong, to = error > 0, np.full_like(q, np.inf)
    moved = np.where(wrong, np.nextafter(q, to), q)
    overflown = np.isinf(q)
    for operand in operands:
        overflown = overflown & np.isfinite(operand)
    if len(operands) == 2:
        overflown = overflown & (operands[1] != 0)
    back = overflown & ((mode == "rz") | ((mode == "rm") & (q > 0)) | ((mode == "rp") & (q < 0)))
    return np.where(back, np.copysign(np.finfo(q.dtype).max, q), moved)


def _compare_quotient(a: Array, b: Array, q: Array) -> list[int]:
    """The sign of a / b - rounded(a / b) at the usable places, by whole numbers."""
    a, b = np.broadcast_arrays(a, b)
    signs = []
    for x, y in zip(a[q].tolist(), b[q].tolist()):
        exact = Fraction(x) / Fraction(y)
        rounded = Fraction(float(a.dtype.type(x) / b.dtype.type(y)))
        signs.append((exact > rounded) - (exact < rounded))
    return signs


def _compare_root(a: Array, q: Array) -> list[int]:
    signs = []
    for x in a[q].tolist():
        exact, rounded = Fraction(x), Fraction(float(np.sqrt(a.dtype.type(x)))) ** 2
        signs.append((exact > rounded) - (exact < rounded))
    return signs


# -- fused multiply-add ------------------------------------------------------------------------------------------------


def fma(a: Array, b: Array, c: Array, mode: str = "rn") -> Array:
    """a * b + c, rounded once, in the dtype of the operands (float32 or float64)."""
    if a.dtype == F32:
        product = a.astype(np.float64) * b.astype(np.float64)
        wide = c.astype(np.float64)
        if mode == "rn":
            total = product + wide
            if not _may_round_twice(total):
                return total.astype(np.float32)
        result = narrow(to_odd(*two_sum(product, wide)), mode)
        return exact_sum_sign(result, product, wide, mode)
    x, y, z = np.broadcast_arrays(a, b, c)
    return _fma64(x, y, z, mode)


def _may_round_twice(total: Array) -> bool:
    """Whether a rounded float64 lies where rounding it to float32 again could go wrong.

    That is halfway between two float32 numbers (bit 28 alone set, of the 29 that are cut off), or among the denormal
    float32 numbers, where more bits are cut off.
    """
    bits = total.view(np.int64)
    if np.any(bits & np.int64(0x1FFFFFFF) == np.int64(0x10000000)):
        return True
    magnitude = np.abs(total)
    return bool(np.any((magnitude < 2.0**-125) & (magnitude > 0)))


def _fma64(a: Array, b: Array, c: Array, mode: str) -> Array:
    product = a * b
    plain = ~(np.isfinite(product) & np.isfinite(c)) & ~(np.isfinite(a) & np.isfinite(b) & np.isfinite(c))
    plain |= (a == 0) | (b == 0)  # exact: one rounding already, and the sign of a zero is right
    low, high = np.abs(product), np.maximum(np.abs(a), np.abs(b))
    usual = (low > _SMALL) & (low < _LARGE) & (high < _LARGE) & (np.abs(c) < _LARGE) & ~plain
    if mode != "rn":
        usual = np.zeros_like(plain)
        plain &= ~(np.isfinite(a) & np.isfinite(b) & np.isfinite(c))
    result = np.where(plain, product + c, 0.0)
    if usual.all():
        return _fused(a, b, c)
    if usual.any():
        result[usual] = _fused(a[usual], b[usual], c[usual])
    rest = ~usual & ~plain
    if rest.any():
        result[rest] = [_fma_slow(x, y, z, mode) for x, y, z in zip(a[rest], b[rest], c[rest])]
    return result


def _fused(a: Array, b: Array, c: Array) -> Array:
    uh, ul = two_product(a, b)
    th, tl = two_sum(c, ul)
    vh, vl = two_sum(uh, th)
    return vh + to_odd(*two_sum(tl, vl))


def _fma_slow(a: np.float64, b: np.float64, c: np.float64, mode: str) -> float:
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:
        product_negative = bool(np.signbit(a) != np.signbit(b))
        if product_negative == bool(np.signbit(c)):
            return -0.0 if product_negative else 0.0
        return -0.0 if mode == "rm" else 0.0
    return round_fraction(exact, mode)


def round_fraction(exact: Fraction, mode: str = "rn") -> float:
    """A rational number that is not zero, to float64."""
    try:
        nearest = exact.numerator / exact.denominator  # correctly rounded, in Python, for whole numbers of any size
    except OverflowError:
        nearest = float("inf") if exact > 0 else float("-inf")
    if nearest == 0:
        nearest = -0.0 if exact < 0 else 0.0
    infinite = nearest in (float("inf"), float("-inf"))
    above = nearest > 0 if infinite else Fraction(nearest) > exact
    below = nearest < 0 if infinite else Fraction(nearest) < exact
    down, up = float("-inf"), float("inf")
    if (mode == "rm" and above) or (mode == "rz" and above and exact > 0):
        nearest = float(np.nextafter(nearest, down if exact < 0 or mode == "rm" else 0.0))
    elif (mode == "rp" and below) or (mode == "rz" and below and exact < 0):
        nearest = float(np.nextafter(nearest, up))
    return nearest


# -- narrow formats ----------------------------------------------------------------------------------------------------


def from_bfloat16(bits: Array) -> Array:
    """The float32 whose upper half these bits are."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_bfloat16(x: Array, mode: str = "rn") -> Array:
    """float32 to the bits of a bfloat16, rounded to nearest even or (``rz``) cut."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    if mode == "rz":
        cut = bits >> np.uint32(16)
    else:
        cut = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    return np.where(np.isnan(x), np.uint32(0x7FFF), cut).astype(np.uint16)


def to_tf32(x: Array, mode: str = "rna") -> Array:
    """float32 with its mantissa rounded to 10 bits: to nearest, ties away from zero (``rna``), to even, or cut."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    if mode == "rna":
        bits = bits + np.uint32(0x1000)
    elif mode == "rn":
        bits = bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))
    cut = (bits & np.uint32(0xFFFFE000)).view(np.float32)
    return np.where(np.isfinite(x), cut, x).astype(np.float32)


def cut_tf32(x: Array) -> Array:
    """What the tensor cores read of a float32: its lower 13 bits are ignored."""
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def narrow_to_odd(x: Array) -> Array:
    """float64 (exact, or rounded to odd) to float32, rounded to odd: one more rounding is then as good as one."""
    y = x.astype(np.float32)
    error = np.where(np.isfinite(y), x - y.astype(np.float64), 0.0)
    bits = y.view(np.int32)
    lost = (error != 0) & ((bits & 1) == 0)
    outwards = np.where((error > 0) == (x > 0), np.int32(1), np.int32(-1))
    return np.where(lost, bits + outwards, bits).astype(np.int32).view(np.float32)


def to_float16(x: Array, mode: str = "rn") -> Array:
    """float32 or float64 to float16, rounded once."""
    with np.errstate(over="ignore"):
        y = x.astype(np.float16)
    return y if mode == "rn" else _directed(y, x.astype(np.float64), mode)


def flush(x: Array) -> Array:
    """Denormal float32 numbers become zeros of their sign (``.ftz``)."""
    if x.dtype != F32:
        return x
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), x), x)


# -- whole numbers -----------------------------------------------------------------------------------------------------


def round_to_integral(x: Array, mode: str) -> Array:
    """x rounded to a whole number, still floating-point: ``rni`` nearest even, ``rzi``, ``rmi`` down, ``rpi`` up."""
    how = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
    if mode not in how:
        raise ValueError(f"there is no rounding mode {mode!r}")
    rounded: Array = how[mode](x)
    return rounded


def to_integer(x: Array, dtype: Any, mode: str = "rzi") -> Array:
    """Floating-point to integer: rounded, and held at the ends of the range (PTX ISA, ``cvt``).

    NaN becomes 0 between types of at most 32 bits, and the number whose top bit alone is set otherwise.
    """
    rounded = round_to_integral(x.astype(np.float64) if x.dtype.itemsize < 8 else x, mode)
    info = np.iinfo(dtype)
    inside = (rounded >= float(info.min)) & (rounded < float(info.max) + (info.bits < 64))
    held = np.where(rounded > 0, info.max, info.min).astype(dtype)
    top = np.array(1 << (info.bits - 1), f"u{info.bits // 8}").view(dtype)
    nan = dtype(0) if x.dtype.itemsize < 8 and info.bits < 64 else top
    return np.where(inside, np.where(inside, rounded, 0).astype(dtype), np.where(np.isnan(x), nan, held))
