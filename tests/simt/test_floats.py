"""Floating-point arithmetic: exact rationals decide every rounding; special values by hand."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.simt.kernels import evaluate
from tinydl.kernels.simt import floats

INF, NAN = math.inf, math.nan
MODES = ("rn", "rz", "rm", "rp")


# -- rounding, by exact rationals --------------------------------------------------------------------------------------


def rounded(exact: Fraction, dtype: Any, mode: str) -> float:
    """A rational to a format, by the definition: the nearest below and above, and a choice."""
    info = np.finfo(dtype)
    digits, least = info.nmant, int(info.minexp) - info.nmant
    if exact == 0:
        return 0.0
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent += 1 if Fraction(2) ** (exponent + 1) <= size else 0
    exponent -= 1 if Fraction(2) ** exponent > size else 0
    unit = Fraction(2) ** max(exponent - digits, least)
    whole, rest = divmod(size / unit, 1)
    up = {
        "rn": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1),
        "rz": False, "rm": exact < 0 and rest > 0, "rp": exact > 0 and rest > 0,
    }[mode]  # fmt: skip
    value = (whole + up) * unit
    largest = Fraction(float(info.max))
    if value > largest:
        stays = mode == "rz" or (mode == "rm" and exact > 0) or (mode == "rp" and exact < 0)
        return (float(largest) if stays else INF) * (-1 if exact < 0 else 1)
    return float(value) * (-1 if exact < 0 else 1)


def numbers(dtype: Any, count: int, seed: int) -> Any:
    """Random bit patterns, so that every exponent occurs, and patterns with few bits, so that ties occur; finite."""
    rng = np.random.default_rng(seed)
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
    free = rng.integers(0, 2 ** (8 * bits.itemsize), count, dtype=bits, endpoint=False).view(dtype)
    near = (rng.integers(-(2**12), 2**12, count) * 2.0 ** rng.integers(-14, 14, count)).astype(dtype)
    tiny = (rng.integers(-40, 40, count) * float(np.finfo(dtype).smallest_subnormal)).astype(dtype)
    chosen = np.choose(rng.integers(0, 4, count), [free, near, near, tiny])
    return np.where(np.isfinite(chosen), chosen, dtype(1.5))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_fma_is_rounded_once(kind: str, mode: str) -> None:
    dtype = np.float32 if kind == "f32" else np.float64
    a, b = numbers(dtype, 600, 1), numbers(dtype, 600, 2)
    with np.errstate(all="ignore"):
        near = -(a.astype(np.float64) * b).astype(dtype)  # what cancels most of the product
        c = np.where(np.arange(600) % 2 == 0, numbers(dtype, 600, 3), np.where(np.isfinite(near), near, dtype(0.1)))
    got = evaluate(f"fma.{mode}.{kind} %d, %a, %b, %c;", kind, (kind, a), (kind, b), (kind, c))
    for x, y, z, r in zip(a.tolist(), b.tolist(), c.tolist(), got.tolist()):
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        assert r == rounded(exact, dtype, mode), (x.hex(), y.hex(), z.hex(), r.hex())


#: Where rounding the float64 sum again gives another float32 than rounding once: found by search, shown by rationals.
def test_fma_where_two_roundings_differ() -> None:
    a = np.float32(1 + 2.0**-12)
    c = np.float32(2.0**-60)
    product = float(a) * float(a)  # 1 + 2^-11 + 2^-24: halfway between two float32 numbers
    assert np.float32(product + float(c)) == np.float32(1 + 2.0**-11)  # two roundings: the tie goes to even
    got = evaluate("fma.rn.f32 %d, %a, %b, %c;", "f32", ("f32", [a, a]), ("f32", [a, a]), ("f32", [c, -c]))
    assert got[0] == np.float32(1 + 2.0**-11 + 2.0**-23) and got[1] == np.float32(1 + 2.0**-11)


EXACT: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "rcp": operator.truediv,
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "rcp", "sqrt"])
def test_rounding_modes(name: str, kind: str, mode: str) -> None:
    dtype = np.float32 if kind == "f32" else np.float64
    a, b = numbers(dtype, 200, 5), numbers(dtype, 200, 6)
    b[b == 0] = 1
    if name in ("rcp", "sqrt"):
        a = np.abs(a)
        a[a == 0] = 1
        got = evaluate(f"{name}.{mode}.{kind} %d, %a;", kind, (kind, a))
    else:
        got = evaluate(f"{name}.{mode}.{kind} %d, %a, %b;", kind, (kind, a), (kind, b))
    for x, y, r in zip(a.tolist(), b.tolist(), got.tolist()):
        if name == "sqrt":
            if mode == "rn":
                assert r == float(np.sqrt(dtype(x)))
            below, above = float(np.nextafter(dtype(r), dtype(-1))), float(np.nextafter(dtype(r), dtype(INF)))
            at_most = Fraction(r) ** 2 <= Fraction(x)
            if mode in ("rz", "rm"):
                assert at_most and Fraction(above) ** 2 > Fraction(x)
            elif mode == "rp":
                assert Fraction(r) ** 2 >= Fraction(x) and Fraction(max(below, 0.0)) ** 2 < Fraction(x)
            continue
        left, right = (Fraction(1), Fraction(x)) if name == "rcp" else (Fraction(x), Fraction(y))
        exact = EXACT[name](left, right)
        assert r == rounded(exact, dtype, mode), (x.hex(), y.hex(), r.hex())


def test_zeros_keep_their_sign() -> None:
    for kind in ("f32", "f64"):
        zero = evaluate(f"fma.rn.{kind} %d, %a, %b, %c;", kind, (kind, [-1.0, 1.0, 2.0]), (kind, [0.0, 0.0, 3.0]),
                        (kind, [-0.0, -0.0, -6.0]))  # fmt: skip
        assert np.signbit(zero).tolist() == [True, False, False] and not zero.any()
        down = evaluate(f"add.rm.{kind} %d, %a, %b;", kind, (kind, [1.0, 0.0, 0.0]), (kind, [-1.0, 0.0, -0.0]))
        assert np.signbit(down).tolist() == [True, False, True]


# -- values by hand ----------------------------------------------------------------------------------------------------

CASES: list[tuple[str, str, list[tuple[str, list[Any]]], list[Any]]] = [
    ("add.f32 %d, %a, 0f3F800000;", "f32", [("f32", [2.0, INF])], [3.0, INF]),
    ("add.f32 %d, %a, 1.5;", "f32", [("f32", [2.0])], [3.5]),
    ("add.f64 %d, %a, 0dBFF0000000000000;", "f64", [("f64", [2.0])], [1.0]),
    ("add.ftz.f32 %d, %a, %b;", "f32", [("f32", [1e-40, 2.0**-126]), ("f32", [0.0, -(2.0**-127)])], [0.0, 2.0**-126]),
    ("add.sat.f32 %d, %a, %b;", "f32", [("f32", [0.75, -1.0, NAN]), ("f32", [0.75, 0.5, 0.0])], [1.0, 0.0, 0.0]),
    ("mul.f32 %d, %a, %b;", "f32", [("f32", [3.0, INF]), ("f32", [-2.0, 0.0])], [-6.0, NAN]),
    ("div.approx.f32 %d, %a, %b;", "f32", [("f32", [6.0, 1.0]), ("f32", [3.0, 0.0])], [2.0, INF]),
    ("div.full.f32 %d, %a, %b;", "f32", [("f32", [1.0]), ("f32", [4.0])], [0.25]),
    ("neg.f32 %d, %a;", "f32", [("f32", [0.0, -2.0])], [-0.0, 2.0]),
    ("abs.f64 %d, %a;", "f64", [("f64", [-0.0, -2.0])], [0.0, 2.0]),
    ("min.f32 %d, %a, %b;", "f32", [("f32", [NAN, 1.0, 0.0]), ("f32", [2.0, NAN, -0.0])], [2.0, 1.0, -0.0]),
    ("max.f32 %d, %a, %b;", "f32", [("f32", [NAN, 1.0, -0.0]), ("f32", [2.0, 3.0, 0.0])], [2.0, 3.0, 0.0]),
    ("min.NaN.f32 %d, %a, %b;", "f32", [("f32", [NAN, 1.0]), ("f32", [2.0, 3.0])], [NAN, 1.0]),
    ("max.xorsign.abs.f32 %d, %a, %b;", "f32", [("f32", [-3.0, 1.0]), ("f32", [2.0, 5.0])], [-3.0, 5.0]),
    ("max.f32 %d, %a, %b, %c;", "f32", [("f32", [1.0]), ("f32", [3.0]), ("f32", [2.0])], [3.0]),
    ("rcp.approx.f32 %d, %a;", "f32", [("f32", [4.0, 0.0, -0.0, INF])], [0.25, INF, -INF, 0.0]),
    ("sqrt.approx.f32 %d, %a;", "f32", [("f32", [9.0, -1.0])], [3.0, NAN]),
    ("rsqrt.approx.f32 %d, %a;", "f32", [("f32", [4.0, 0.0, INF])], [0.5, INF, 0.0]),
    ("rsqrt.approx.f64 %d, %a;", "f64", [("f64", [16.0])], [0.25]),
    ("ex2.approx.f32 %d, %a;", "f32", [("f32", [3.0, -1.0, -INF, 200.0])], [8.0, 0.5, 0.0, INF]),
    ("ex2.approx.ftz.f32 %d, %a;", "f32", [("f32", [-140.0])], [0.0]),
    ("lg2.approx.f32 %d, %a;", "f32", [("f32", [8.0, 0.0, -1.0])], [3.0, -INF, NAN]),
    ("sin.approx.f32 %d, %a;", "f32", [("f32", [0.0, 1.5707963705062866])], [0.0, 1.0]),
    ("cos.approx.f32 %d, %a;", "f32", [("f32", [0.0, 3.1415927410125732])], [1.0, -1.0]),
    ("tanh.approx.f32 %d, %a;", "f32", [("f32", [0.0, 40.0, -40.0])], [0.0, 1.0, -1.0]),
    ("copysign.f32 %d, %a, %b;", "f32", [("f32", [-1.0, 1.0]), ("f32", [5.0, -5.0])], [-5.0, 5.0]),
    ("testp.finite.f32 %d, %a;", "pred", [("f32", [1.0, INF, NAN])], [1, 0, 0]),
    ("testp.infinite.f32 %d, %a;", "pred", [("f32", [1.0, -INF, NAN])], [0, 1, 0]),
    ("testp.number.f64 %d, %a;", "pred", [("f64", [1.0, INF, NAN])], [1, 1, 0]),
    ("testp.notanumber.f32 %d, %a;", "pred", [("f32", [1.0, NAN])], [0, 1]),
    ("testp.normal.f32 %d, %a;", "pred", [("f32", [1.0, 1e-40, 0.0, INF])], [1, 0, 0, 0]),
    ("testp.subnormal.f32 %d, %a;", "pred", [("f32", [1.0, 1e-40, 0.0])], [0, 1, 0]),
    ("mad.rn.f32 %d, %a, %b, %c;", "f32", [("f32", [2.0]), ("f32", [3.0]), ("f32", [4.0])], [10.0]),
    ("fma.rn.sat.f32 %d, %a, %b, %c;", "f32", [("f32", [2.0, 0.5]), ("f32", [3.0, 0.5]), ("f32", [4.0, 0.0])],
     [1.0, 0.25]),
    ("setp.lt.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN, 2.0]), ("f32", [2.0, 1.0, 1.0])], [1, 0, 0]),
    ("setp.ltu.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN, 2.0]), ("f32", [2.0, 1.0, 1.0])], [1, 1, 0]),
    ("setp.leu.f32 %d, %a, %b;", "pred", [("f32", [2.0, NAN, 3.0]), ("f32", [2.0, 1.0, 1.0])], [1, 1, 0]),
    ("setp.gtu.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN, 2.0]), ("f32", [2.0, 1.0, 1.0])], [0, 1, 1]),
    ("setp.geu.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN, 1.0]), ("f32", [2.0, 1.0, 1.0])], [0, 1, 1]),
    ("setp.equ.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN, 1.0]), ("f32", [1.0, 1.0, 2.0])], [1, 1, 0]),
    ("setp.neu.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN, 1.0]), ("f32", [1.0, 1.0, 2.0])], [0, 1, 1]),
    ("setp.eq.f64 %d, %a, %b;", "pred", [("f64", [1.0, NAN, 0.0]), ("f64", [1.0, NAN, -0.0])], [1, 0, 1]),
    ("setp.ne.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN, 1.0]), ("f32", [1.0, 1.0, 2.0])], [0, 0, 1]),
    ("setp.num.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN]), ("f32", [1.0, 1.0])], [1, 0]),
    ("setp.nan.f32 %d, %a, %b;", "pred", [("f32", [1.0, NAN]), ("f32", [1.0, 1.0])], [0, 1]),
    ("setp.lt.ftz.f32 %d, %a, 0f00000000;", "pred", [("f32", [-1e-40, -1.0])], [0, 1]),
    ("set.gt.u32.f32 %d, %a, %b;", "u32", [("f32", [2.0, NAN]), ("f32", [1.0, 1.0])], [0xFFFFFFFF, 0]),
    ("selp.f32 %d, %a, %b, %c;", "f32", [("f32", [1.0, 1.0]), ("f32", [2.0, 2.0]), ("pred", [1, 0])], [1.0, 2.0]),
    # f16: 0x3C00 is 1, 0x3800 is 0.5, 0x4000 is 2, 0x7BFF is 65504
    ("add.f16 %d, %a, %b;", "b16", [("b16", [0x3C00, 0x7BFF]), ("b16", [0x3800, 0x7BFF])], [0x3E00, 0x7C00]),
    ("sub.f16 %d, %a, %b;", "b16", [("b16", [0x3C00]), ("b16", [0x4000])], [0xBC00]),
    ("mul.rn.f16 %d, %a, %b;", "b16", [("b16", [0x3800, 0x0001]), ("b16", [0x4000, 0x3800])], [0x3C00, 0x0000]),
    ("fma.rn.f16 %d, %a, %b, %c;", "b16", [("b16", [0x3C01]), ("b16", [0x3C01]), ("b16", [0xBC02])], [0x0010]),
    ("neg.f16 %d, %a;", "b16", [("b16", [0x3C00])], [0xBC00]),
    ("max.f16 %d, %a, %b;", "b16", [("b16", [0x3C00]), ("b16", [0x4000])], [0x4000]),
    ("setp.lt.f16 %d, %a, %b;", "pred", [("b16", [0xBC00, 0x4000]), ("b16", [0x3C00, 0x3C00])], [1, 0]),
    ("add.f16x2 %d, %a, %b;", "b32", [("b32", [0x3C004000]), ("b32", [0x3C003800])], [0x40004100]),
    ("fma.rn.f16x2 %d, %a, %b, %c;", "b32", [("b32", [0x40004000]), ("b32", [0x40003C00]), ("b32", [0x3C003C00])],
     [0x45004200]),
    ("abs.f16x2 %d, %a;", "b32", [("b32", [0xBC00C000])], [0x3C004000]),
    ("ex2.approx.f16 %d, %a;", "b16", [("b16", [0x4000])], [0x4400]),
    ("tanh.approx.f16 %d, %a;", "b16", [("b16", [0x0000])], [0x0000]),
    # bf16: 0x3F80 is 1, 0x4000 is 2; 1 + 2^-8 is a tie that goes to even
    ("add.bf16 %d, %a, %b;", "b16", [("b16", [0x3F80, 0x3F80]), ("b16", [0x3F80, 0x3B80])], [0x4000, 0x3F80]),
    ("mul.bf16 %d, %a, %b;", "b16", [("b16", [0x4000]), ("b16", [0x4000])], [0x4080]),
    ("fma.rn.bf16 %d, %a, %b, %c;", "b16", [("b16", [0x3F81]), ("b16", [0x3F81]), ("b16", [0xBF82])], [0x3880]),
    ("fma.rn.relu.bf16 %d, %a, %b, %c;", "b16", [("b16", [0x3F80]), ("b16", [0x3F80]), ("b16", [0xC000])], [0x0000]),
    ("fma.rn.relu.bf16 %d, %a, %b, %c;", "b16", [("b16", [0x7FFF]), ("b16", [0x3F80]), ("b16", [0xC000])], [0x7FFF]),
    ("fma.rn.bf16x2 %d, %a, %b, %c;", "b32", [("b32", [0x40004000]), ("b32", [0x40003F80]), ("b32", [0x3F803F80])],
     [0x40A04040]),
    ("max.bf16x2 %d, %a, %b;", "b32", [("b32", [0x3F80C000]), ("b32", [0x40003F80])], [0x40003F80]),
    ("neg.bf16x2 %d, %a;", "b32", [("b32", [0x3F803F80])], [0xBF80BF80]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "result", "operands", "expected"), CASES, ids=[f"{n}-{c[0].split()[0]}" for n, c in enumerate(CASES)]
)
def test_instruction(text: str, result: str, operands: list[tuple[str, list[Any]]], expected: list[Any]) -> None:
    got = evaluate(text, result, *operands)
    wanted = np.array(expected, got.dtype)
    np.testing.assert_array_equal(got, wanted)
    if got.dtype.kind == "f":
        numbers = ~np.isnan(wanted)
        assert np.signbit(got[numbers]).tolist() == np.signbit(wanted[numbers]).tolist()


# -- conversions -------------------------------------------------------------------------------------------------------

CONVERSIONS: list[tuple[str, str, list[tuple[str, list[Any]]], list[Any]]] = [
    ("cvt.u32.u16 %d, %a;", "u32", [("u16", [0xFFFF])], [0xFFFF]),
    ("cvt.s32.s16 %d, %a;", "s32", [("s16", [-2])], [-2]),
    ("cvt.s64.s32 %d, %a;", "s64", [("s32", [-2])], [-2]),
    ("cvt.u64.u32 %d, %a;", "u64", [("u32", [0xFFFFFFFF])], [0xFFFFFFFF]),
    ("cvt.u16.u32 %d, %a;", "u16", [("u32", [0x12345678])], [0x5678]),
    ("cvt.u32.u8 %d, %a;", "u32", [("u32", [0x1FE])], [0xFE]),
    ("cvt.s32.s8 %d, %a;", "s32", [("u32", [0x1FE])], [-2]),
    ("cvt.sat.u8.s32 %d, %a;", "u32", [("s32", [-5, 300, 7])], [0, 255, 7]),
    ("cvt.rn.f32.s32 %d, %a;", "f32", [("s32", [-3, 16777217, 16777219])], [-3.0, 16777216.0, 16777220.0]),
    ("cvt.rz.f32.u32 %d, %a;", "f32", [("u32", [16777219])], [16777218.0]),
    ("cvt.rp.f32.u32 %d, %a;", "f32", [("u32", [16777217])], [16777218.0]),
    ("cvt.rn.f64.s64 %d, %a;", "f64", [("s64", [(1 << 53) + 1, -(1 << 62)])], [float(1 << 53), -float(1 << 62)]),
    ("cvt.rn.f32.u64 %d, %a;", "f32", [("u64", [(1 << 40) + (1 << 16) + 1])], [float((1 << 40) + (1 << 17))]),
    ("cvt.rn.f16.s32 %d, %a;", "b16", [("s32", [2, 2049])], [0x4000, 0x6800]),
    ("cvt.rzi.s32.f32 %d, %a;", "s32", [("f32", [-1.7, 1e10, -1e10, NAN])], [-1, 2147483647, -2147483648, 0]),
    ("cvt.rni.s32.f32 %d, %a;", "s32", [("f32", [0.5, 1.5, -2.5])], [0, 2, -2]),
    ("cvt.rmi.s32.f32 %d, %a;", "s32", [("f32", [-1.5, 1.5])], [-2, 1]),
    ("cvt.rpi.u32.f32 %d, %a;", "u32", [("f32", [1.5, -0.5, -3.0])], [2, 0, 0]),
    ("cvt.rzi.u64.f64 %d, %a;", "u64", [("f64", [2.0**63, -1.0, 1e30, NAN])], [1 << 63, 0, (1 << 64) - 1, 1 << 63]),
    ("cvt.rzi.s64.f64 %d, %a;", "s64", [("f64", [NAN, 1e30])], [-(1 << 63), (1 << 63) - 1]),
    ("cvt.rni.f32.f32 %d, %a;", "f32", [("f32", [2.5, -0.4])], [2.0, -0.0]),
    ("cvt.rzi.f64.f64 %d, %a;", "f64", [("f64", [-2.5])], [-2.0]),
    ("cvt.sat.f32.f32 %d, %a;", "f32", [("f32", [2.5, -1.0, NAN, 0.5])], [1.0, 0.0, 0.0, 0.5]),
    ("cvt.f64.f32 %d, %a;", "f64", [("f32", [1.5])], [1.5]),
    ("cvt.rn.f32.f64 %d, %a;", "f32", [("f64", [1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-40])], [1.0, 1 + 2.0**-23]),
    ("cvt.rz.f32.f64 %d, %a;", "f32", [("f64", [1 + 2.0**-23 - 2.0**-40, -1e300])], [1.0, -float(np.finfo("f4").max)]),
    ("cvt.f32.f16 %d, %a;", "f32", [("b16", [0x3C00, 0x0001])], [1.0, 2.0**-24]),
    ("cvt.rn.f16.f32 %d, %a;", "b16", [("f32", [1 + 2.0**-11, 1 + 3 * 2.0**-11, 1e6])], [0x3C00, 0x3C02, 0x7C00]),
    ("cvt.rz.f16.f32 %d, %a;", "b16", [("f32", [1 + 3 * 2.0**-11])], [0x3C01]),
    ("cvt.rn.f16.f64 %d, %a;", "b16", [("f64", [1 + 2.0**-11 + 2.0**-40])], [0x3C01]),
    ("cvt.f32.bf16 %d, %a;", "f32", [("b16", [0x4049])], [3.140625]),
    ("cvt.rn.bf16.f32 %d, %a;", "b16", [("f32", [1 + 2.0**-8, 1 + 3 * 2.0**-8, NAN])], [0x3F80, 0x3F82, 0x7FFF]),
    ("cvt.rn.bf16x2.f32 %d, %a, %b;", "b32", [("f32", [1.0]), ("f32", [2.0])], [0x3F804000]),
    ("cvt.rn.f16x2.f32 %d, %a, %b;", "b32", [("f32", [1.0]), ("f32", [2.0])], [0x3C004000]),
    ("cvt.rn.relu.bf16x2.f32 %d, %a, %b;", "b32", [("f32", [-1.0]), ("f32", [2.0])], [0x00004000]),
    ("cvt.rna.tf32.f32 %d, %a;", "b32", [("f32", [1 + 2.0**-11, 1 + 2.0**-12])], [0x3F802000, 0x3F800000]),
    ("cvt.ftz.f64.f32 %d, %a;", "f64", [("f32", [1e-40])], [0.0]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "result", "operands", "expected"),
    CONVERSIONS,
    ids=[f"{n}-{c[0].split()[0]}" for n, c in enumerate(CONVERSIONS)],
)
def test_conversion(text: str, result: str, operands: list[tuple[str, list[Any]]], expected: list[Any]) -> None:
    test_instruction(text, result, operands, expected)


# -- halves against a definition ---------------------------------------------------------------------------------------


def test_half_fma_is_rounded_once() -> None:
    rng = np.random.default_rng(7)
    bits = [rng.integers(0, 1 << 16, 400).astype(np.uint16) for _ in range(3)]
    halves = [b.view(np.float16) for b in bits]
    keep = np.isfinite(halves[0]) & np.isfinite(halves[1]) & np.isfinite(halves[2])
    a, b, c = (b[keep] for b in bits)
    got = evaluate("fma.rn.f16 %d, %a, %b, %c;", "b16", ("b16", a), ("b16", b), ("b16", c)).view(np.float16)
    for x, y, z, r in zip(*(v.view(np.float16).tolist() for v in (a, b, c)), got.tolist()):
        assert r == rounded(Fraction(x) * Fraction(y) + Fraction(z), np.float16, "rn")


def bfloat16_rounded(exact: Fraction) -> float:
    """A rational to bfloat16, whose exponents are float32's: 8 bits of it."""
    if exact == 0:
        return 0.0
    size = abs(exact)
    exponent = math.floor(math.log2(size.numerator) - math.log2(size.denominator))
    exponent += Fraction(2) ** (exponent + 1) <= size
    exponent -= Fraction(2) ** exponent > size
    unit = Fraction(2) ** max(exponent - 7, -133)
    whole, rest = divmod(size / unit, 1)
    value = (whole + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1))) * unit
    return (float(value) if value < Fraction(2) ** 128 else INF) * (-1 if exact < 0 else 1)


def test_bfloat16_fma_is_rounded_once() -> None:
    rng = np.random.default_rng(8)
    a, b, c = (rng.integers(0, 1 << 16, 400).astype(np.uint16) for _ in range(3))
    values = [floats.from_bfloat16(v) for v in (a, b, c)]
    keep = np.isfinite(values[0]) & np.isfinite(values[1]) & np.isfinite(values[2])
    a, b, c = a[keep], b[keep], c[keep]
    got = floats.from_bfloat16(evaluate("fma.rn.bf16 %d, %a, %b, %c;", "b16", ("b16", a), ("b16", b), ("b16", c)))
    for x, y, z, r in zip(*(floats.from_bfloat16(v).tolist() for v in (a, b, c)), got.tolist()):
        assert r == bfloat16_rounded(Fraction(x) * Fraction(y) + Fraction(z)), (x, y, z)
