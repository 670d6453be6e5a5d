"""Samples of the elementwise operations beyond the first ones, special functions included."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.ops.table import Sample, binary, draw, entry, layouts, unary

unary("positive", "exp2", "asinh", "deg2rad", "rad2deg", "erf", "erfc")
unary("asin", "acos", "atanh", "erfinv", low=-0.9, high=0.9)
unary("acosh", low=1.2)
unary("logit", low=0.1, high=0.9)
unary("lgamma", "digamma", low=0.3, high=4.0)
unary("trunc", "frac", away=(-2.0, -1.0, 0.0, 1.0, 2.0))
unary("isposinf", "isneginf", "isreal", "signbit")
binary("logaddexp", "logaddexp2")
binary("hypot", first={"low": 0.3}, other={"low": 0.3})
binary("atan2", first={"low": 0.3}, other={"low": 0.3})
binary("xlogy", first={"low": 0.3}, other={"low": 0.4})
binary("copysign", first={"away": (0.0,)}, other={"away": (0.0,)})
binary("fmax", "fmin", "at_least", "at_most", apart=True, alias=False)
binary("fmod", first={"low": -0.4, "high": 0.4, "away": (0.0,)}, other={"low": 0.6, "high": 0.9}, alias=False)
binary("trunc_divide", "floor_quotient", first={"low": 0.1, "high": 0.4}, other={"low": 0.6, "high": 0.9}, alias=False)
binary("logical_xor", alias=False)


@entry("bitwise_xor")
def _xor(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.random((2, 3)) < 0.5, rng.random(3) < 0.5))
    yield Sample((rng.integers(0, 9, (2, 3)), rng.integers(0, 9, (2, 3))))


@entry("bitwise_left_shift", "bitwise_right_shift")
def _shifts(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.integers(0, 99, (2, 3)), rng.integers(0, 5, (2, 3))))
    yield Sample((rng.integers(-99, 99, (2, 3)), rng.integers(0, 5, 3)), note="broadcast")


@entry("close")
def _close(rng: np.random.Generator) -> Iterator[Sample]:
    static = {"rtol": 1e-5, "atol": 1e-8, "equal_nan": False}
    for note, x in layouts(rng):
        yield Sample((x, x + np.where(x > 0, 1e-9, 1.0)), static, note=note)
    yield Sample((rng.integers(0, 9, 3).astype(np.uint8), rng.integers(0, 9, 3).astype(np.uint8)), static, note="bytes")


@entry("step")
def _step(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3).round(), draw(rng, 3)))


@entry("replace_nan")
def _replace_nan(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"nan": 0.0, "posinf": None, "neginf": 1.0}, note=note)


@entry("interpolate")
def _interpolate(rng: np.random.Generator) -> Iterator[Sample]:
    for (note, a), (_, b), (_, w) in zip(layouts(rng), layouts(rng), layouts(rng)):
        yield Sample((a, b, w), note=note)
    yield Sample((draw(rng, 2, 3), draw(rng, 2, 3), 0.25), note="a number")
    yield Sample((draw(rng, 2, 3), draw(rng, 2, 3), 0.75), note="a number above 1/2")
    yield Sample((draw(rng, 2, 1), draw(rng, 3), draw(rng)), note="broadcast")
    yield Sample((x := draw(rng, 2, 2), x, draw(rng, 2, 2)), alias=(0, 1), note="one tensor twice")


@entry("sinc_of", "bessel_i")
def _of_order(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"order": 0}, note=note)
    for order in (1, 2, 3):
        yield Sample((draw(rng, 4),), {"order": order}, note=f"order {order}")
    yield Sample((np.array([0.0, 3.0, -4.5]),), {"order": 0}, note="0 and beyond the series")


@entry("polygamma_of")
def _polygamma(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng, low=0.8, high=4.0):
        yield Sample((x,), {"order": 1}, note=note)
    for order in (2, 3):
        yield Sample((draw(rng, 3, low=1.0, high=4.0),), {"order": order}, note=f"order {order}")
    yield Sample((np.array([-0.4, -1.6, -2.45]),), {"order": 1}, note="negative")
