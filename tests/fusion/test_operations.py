"""Every operation that a fused function may have, alone: results and gradients as unfused, at the edges too."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
import tinydl.nn.functional as F
from tinydl.fusion.formulas import ATOMS, DEFINITIONS, SAME
from tinydl.ops import activations, losses

SPECIAL = [0.0, -0.0, 1e-30, -1e-30, 1e-3, -1e-3, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 20.0, -20.0, 90.0, -90.0,
           1e4, -1e4, math.inf, -math.inf, math.nan]  # fmt: skip

Case = tuple[Callable[..., Any], str]

# By name: the function, and what it takes: a letter for each operand (f: any number, p: positive, u: between 0 and 1,
# b: bool). The names of operations that a case is for are read off its trace.
CASES: dict[str, Case] = {
    **{name: (getattr(tinydl, name), "f") for name in (
        "neg", "positive", "square", "reciprocal", "abs", "floor", "ceil", "trunc", "round", "frac", "sign", "exp",
        "exp2", "expm1", "tanh", "sigmoid", "erf", "erfc", "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh", "relu",
        "isnan", "isinf", "isfinite", "isposinf", "isneginf", "deg2rad", "rad2deg", "nan_to_num",
    )},
    **{name: (getattr(tinydl, name), "p") for name in ("sqrt", "rsqrt", "log", "log1p", "log2", "log10")},
    **{name: (getattr(tinydl, name), "u") for name in ("asin", "acos", "atanh", "logit")},
    "acosh": (lambda x: tinydl.acosh(x + 1), "p"),
    **{name: (getattr(tinydl, name), "ff") for name in (
        "add", "sub", "mul", "div", "atan2", "hypot", "copysign", "maximum", "minimum", "fmax", "fmin", "logaddexp",
        "eq", "ne", "lt", "le", "gt", "ge",
    )},
    **{name: (getattr(tinydl, name), "fp") for name in ("fmod", "remainder", "floor_divide", "xlogy")},
    "trunc divide": (lambda x, y: tinydl.div(x, y, rounding_mode="trunc"), "fp"),
    "floor divide": (lambda x, y: tinydl.div(x, y, rounding_mode="floor"), "fp"),
    "pow": (tinydl.pow, "pf"),
    **{f"pow {e}": (lambda x, e=e: x**e, "p") for e in (2, 3, 0.5, 4, -1, 1, 0, 2.5, -2, 1.5)},
    "2 ** x": (lambda x: 2**x, "f"),
    **{name: (getattr(tinydl, name), "bb") for name in (
        "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor",
    )},
    "logical_not": (tinydl.logical_not, "b"), "bitwise_not": (tinydl.bitwise_not, "b"),
    "where": (tinydl.where, "bff"), "where number": (lambda c, x: tinydl.where(c, x, 0.5), "bf"),
    "where of bools": (tinydl.where, "bbb"),
    "masked_fill": (lambda x, m: x.masked_fill(m, -3.0), "fb"),
    "clamp": (lambda x: tinydl.clamp(x, -1.0, 2), "f"), "clamp min": (lambda x: x.clamp(min=0.5), "f"),
    "clamp max": (lambda x: x.clamp(max=0.5), "f"), "clamp empty": (lambda x: x.clamp(2.0, -1.0), "f"),
    "clamp tensors": (lambda x, a, b: tinydl.clamp(x, a, b), "fff"),
    "detach": (lambda x: x.detach() * x, "f"), "clone": (lambda x: x.clone() + x.contiguous(), "f"),
    "double": (lambda x: x.double() * 0.1, "f"), "float": (lambda x: x.float() * 0.1, "f"),
    "bool": (lambda x: x.bool(), "f"), "mask": (lambda x, m: x * m, "fb"),
    "whole": (lambda x: tinydl.where(x > 1, 1, 0) * x, "f"),
    "lerp": (lambda x, y: tinydl.lerp(x, y, 0.3), "ff"), "lerp far": (lambda x, y: tinydl.lerp(x, y, 0.7), "ff"),
    "lerp tensor": (tinydl.lerp, "ffu"), "addcmul": (lambda x, y, z: tinydl.addcmul(x, y, z, value=0.5), "fff"),
    "addcdiv": (lambda x, y, z: tinydl.addcdiv(x, y, z, value=2), "ffp"), "heaviside": (tinydl.heaviside, "ff"),
    "nan_to_num values": (lambda x: tinydl.nan_to_num(x, 1.0, 2.0, -3.0), "f"),
    "softplus": (F.softplus, "f"), "softplus beta": (lambda x: F.softplus(x, 0.5, 2.0), "f"),
    "logsigmoid": (F.logsigmoid, "f"), "silu": (F.silu, "f"), "mish": (F.mish, "f"), "gelu": (F.gelu, "f"),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), "f"), "elu": (F.elu, "f"), "selu": (F.selu, "f"),
    "celu": (lambda x: F.celu(x, 0.7), "f"), "relu6": (F.relu6, "f"), "hardtanh": (F.hardtanh, "f"),
    "hardsigmoid": (F.hardsigmoid, "f"), "hardswish": (F.hardswish, "f"), "softsign": (F.softsign, "f"),
    "softshrink": (F.softshrink, "f"), "hardshrink": (F.hardshrink, "f"), "tanhshrink": (F.tanhshrink, "f"),
    "leaky_relu": (F.leaky_relu, "f"), "threshold": (lambda x: F.threshold(x, 0.3, -2.0), "f"),
    "prelu": (lambda x, w: activations.prelu(x, w), "ff"),
    "xlogx": (losses.xlogx, "p"),
    "square root of a sum": (lambda x, y: (x * x + y * y).sqrt(), "ff"),
    "expit": (lambda x: 1 / (1 + (-x).exp()), "f"),
}  # fmt: skip

# Operations that only rules call, and what calls them.
IN_RULES = {"gate": "relu", "leak": "leaky_relu", "inside": "relu6", "outside": "softshrink", "bend": "elu",
            "softplus_slope": "softplus beta", "hardswish_slope": "hardswish", "nothing": "sign"}  # fmt: skip


def operand(letter: str, dtype: str, rng: np.random.Generator, special: bool) -> np.ndarray[Any, Any]:
    """65 numbers, more than every vector, and off its multiples; or those at the edges of the range."""
    if letter == "b":
        return rng.random(len(SPECIAL) if special else 65) < 0.5
    if special:
        x = np.array(SPECIAL)
        rng.shuffle(x)
        return (x if letter == "f" else np.abs(x)).astype(dtype)
    x = rng.standard_normal(65) * 2
    return {"f": x, "p": np.abs(x) + 0.05, "u": 0.5 + x / 20}[letter].astype(dtype)


def both(name: str, dtype: str, special: bool) -> tuple[Any, Any, list[Any], list[Any]]:
    """Results and gradients: fused, unfused."""
    function, letters = CASES[name]
    rng = np.random.default_rng(len(name))
    arrays = [operand(letter, dtype, rng, special) for letter in letters]
    given = [[tinydl.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays] for _ in range(2)]
    results, gradients = [], []
    for run, tensors in zip((tinydl.fuse(function), function), given):
        y = run(*tensors)
        if y.requires_grad:
            y.backward(tinydl.ones_like(y) * 0.7)
        results.append(y)
        gradients.append([x.grad for x in tensors])
    return results[0], results[1], gradients[0], gradients[1]


def near(got: Any, want: Any, dtype: str, special: bool) -> None:
    """Equal where not finite (a result near the largest number may be infinite in one and not in the other)."""
    assert got.dtype == want.dtype and got.shape == want.shape
    a, b = got.detach().numpy().astype(np.float64), want.detach().numpy().astype(np.float64)
    eps, largest = np.finfo(dtype).eps, 1e30 if dtype == "float32" else 1e300
    if special:
        usual = np.abs(np.nan_to_num(b, posinf=np.inf)) < largest
        assert np.array_equal(np.isnan(a), np.isnan(b)), (a, b)
        assert np.all(np.abs(a[~usual & ~np.isnan(b)]) > largest / 1e3), (a, b)
        a, b = a[usual & ~np.isnan(b)], b[usual & ~np.isnan(b)]
    bound = 12 * eps * (np.abs(b) + 1)
    assert np.all(np.abs(a - b) <= bound), (np.abs(a - b) / bound).max()


# Those of float64 that differ in more than the words "float32", which is most of the time to compile all of them.
DOUBLE = """exp exp2 expm1 tanh sigmoid erf erfc log log1p log2 logaddexp pow silu mish gelu softplus elu hypot fmod
double float mask where round sign maximum""".split()


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in CASES), *((name, "float64") for name in DOUBLE)]
)
def test_one_operation(name: str, dtype: str) -> None:
    got, want, got_gradients, want_gradients = both(name, dtype, special=False)
    assert got.requires_grad == want.requires_grad
    near(got, want, dtype, False)
    for a, b in zip(got_gradients, want_gradients):
        assert (a is None) == (b is None)
        if a is not None:
            near(a, b, dtype, False)


@pytest.mark.parametrize("name", CASES)
def test_edges_of_the_range(name: str) -> None:
    with np.errstate(all="ignore"):
        got, want, _, _ = both(name, "float32", special=True)
    if name not in ("floor_divide", "floor divide"):  # of infinities
        near(got, want, "float32", True)


def test_every_formula_has_a_case() -> None:
    met: set[str] = set()
    for function, letters in CASES.values():
        fused = tinydl.fuse(function)
        fused.source(*[operand(letter, "float32", np.random.default_rng(0), False) for letter in letters])
        for known in fused._known.values():
            met |= {e.op.name for e in known.trace.expressions if e.op is not None}
    assert {*ATOMS, *DEFINITIONS, *SAME} - met - {"log1m"} == set()
    assert set(IN_RULES) <= met


def test_arithmetic_is_the_same_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    x, y, z = (tinydl.tensor(rng.standard_normal(1000, dtype=np.float32)) for _ in range(3))

    def function(x: Any, y: Any, z: Any) -> Any:
        return (x * y + z) / (z * z + 0.3) - (x * x - y * y).abs().sqrt() * 1.7

    assert np.array_equal(tinydl.fuse(function)(x, y, z).array, function(x, y, z).array)


