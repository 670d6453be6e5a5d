"""Edges: kinks, ties, zeros, infinities, NaN, nothing at all, against PyTorch: value and gradient, bit for bit almost.

What differs on purpose stands in ``CHOICES`` with its reason, and is tested too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

INF, NAN = float("inf"), float("nan")
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}


def case(label: str, f: Callable[..., Any], *inputs: Any) -> None:
    """Enter ``f(library, *tensors)``."""
    assert label not in CASES
    CASES[label] = (f, inputs)


def function(name: str, *inputs: Any, note: str = "", **keywords: Any) -> None:
    """Enter a function of the library by its name."""
    case(f"{name}{' ' + note if note else ''}", lambda t, *xs: getattr(t, name)(*xs, **keywords), *inputs)


# kinks of functions of one number, and the ends of their domains
ENDS: dict[str, list[float]] = {
    "abs": [0.0, -0.0, INF, -INF, NAN], "sign": [0.0, -0.0, INF, NAN], "sgn": [0.0, -3.0],
    "relu": [0.0, -0.0, INF, -INF, NAN], "floor": [1.0, -0.5, INF], "ceil": [1.0, -0.5, INF],
    "round": [0.5, 1.5, 2.5, -0.5, INF], "trunc": [1.0, -1.5, -INF], "frac": [1.5, -1.5, 2.0],
    "sqrt": [0.0, -1.0, INF], "rsqrt": [0.0, INF], "reciprocal": [0.0, -0.0, INF, NAN], "square": [0.0, INF],
    "exp": [-INF, INF, NAN], "exp2": [-INF, INF], "expm1": [-INF, 0.0, INF], "log": [0.0, -1.0, INF],
    "log2": [0.0, INF], "log10": [0.0, INF], "log1p": [-1.0, 0.0, INF], "sin": [0.0, INF], "tan": [0.0, INF],
    "asin": [-1.0, 1.0, 2.0], "acos": [-1.0, 1.0, 2.0], "atan": [-INF, INF], "sinh": [-INF, INF], "cosh": [INF, 0.0],
    "tanh": [-INF, INF, 0.0, NAN], "asinh": [0.0, INF], "acosh": [1.0, INF, 0.5], "atanh": [-1.0, 1.0, 2.0],
    "sigmoid": [-INF, INF, -800.0, 800.0, NAN], "sinc": [0.0, 0.5], "erf": [-INF, INF, 0.0, NAN],
    "erfc": [-INF, INF, 0.0, 30.0, NAN], "erfinv": [-1.0, 1.0, 0.0, 2.0, NAN], "lgamma": [1.0, 2.0, -0.5, NAN],
    "digamma": [-0.5, NAN], "logit": [0.0, 1.0, 0.5], "nan_to_num": [NAN, INF, -INF, 1.0],
}  # fmt: skip
for name, numbers in ENDS.items():
    function(name, numbers, note="at its ends")
function("lgamma", [INF], note="at infinity")
function("logit", [0.0, 0.1, 0.9, 1.0, 2.0, -1.0], note="with eps", eps=0.1)
case("digamma at its poles", lambda t, x: t.digamma(x.detach()), [0.0, -0.0, -1.0, -2.0, INF])
case("lgamma at its poles", lambda t, x: t.lgamma(x.detach()), [0.0, -0.0, -1.0, -2.0, -INF])
case("polygamma at its poles", lambda t, x: t.polygamma(1, x.detach()), [0.0, -1.0])
case("i0 at its ends", lambda t, x: t.special.i0(x), [0.0, -3.0, 600.0])

# ties, zeros and infinities of two numbers
TIED = ([1.0, 1.0, 2.0, INF, -INF], [1.0, 2.0, 1.0, INF, -INF])
for name in ("maximum", "minimum", "fmax", "fmin"):
    function(name, *TIED, note="ties")
    function(name, [1.0, NAN, NAN], [NAN, 1.0, NAN], note="NaN")
function("hypot", [3.0, INF, INF], [4.0, 1.0, NAN])
function("hypot", [0.0], [0.0], note="at 0")
function("atan2", [0.0, 0.0, -0.0, 0.0, 1.0], [0.0, -0.0, -0.0, -1.0, 0.0])
function("copysign", [0.0, -0.0, 1.0, -2.0, 3.0], [-0.0, 1.0, -3.0, 0.0, -0.0])
function("logaddexp", [-INF, INF, 0.0, 1000.0], [0.0, -INF, -INF, 1000.0])
function("logaddexp2", [-INF, INF, 0.0, 5000.0], [0.0, -INF, -INF, 5000.0])
function("logaddexp", [INF, -INF], [INF, -INF], note="of equal infinities")
function("xlogy", [0.0, 0.0, 1.0, 0.0], [2.0, INF, 0.5, NAN])
case("xlogy of nothing", lambda t, x, y: t.xlogy(x, y.detach()), [0.0, 0.0, 0.0], [0.0, -1.0, INF])
function("pow", [0.0, 0.0, 0.0, 2.0, -2.0], [0.0, 1.0, 2.0, 0.0, 3.0])
function("float_power", [0.0, 2.0], [0.0, 0.0])
for exponent in (0, 1, 2, 3, 0.5, -1):
    case(f"pow {exponent} at 0 and infinity", lambda t, x, e=exponent: x**e, [0.0, INF, NAN])
function("div", [1.0, 0.0, -1.0, INF], [0.0, 0.0, 0.0, INF])
function("div", [5.0, -5.0, 5.0, -5.0], [2.0, 2.0, -2.0, 0.0], note="trunc", rounding_mode="trunc")
function("div", [5.0, -5.0, 5.0, -5.0], [2.0, 2.0, -2.0, 0.0], note="floor", rounding_mode="floor")
function("remainder", [5.0, -5.0, 5.0, -5.0, 0.0], [3.0, 3.0, INF, INF, 2.0])
function("fmod", [5.0, -5.0, 5.0, -5.0, 0.0], [3.0, 3.0, INF, INF, 2.0])
case("floor_divide by zero", lambda t, x: t.floor_divide(x.detach(), 0.0), [5.0, -5.0, 0.0])
case("floor_divide by infinity", lambda t, x: t.floor_divide(x.detach(), INF), [5.0, -5.0, 0.0])
function("where", [1.0, 2.0], [NAN, INF], note="infinities not taken")
CASES["where infinities not taken"] = (lambda t, x, y: t.where(x > 0, x, y * t.log(x)), ([1.0, 2.0], [0.0, 3.0]))
case("where hides a root", lambda t, x: t.where(x > 0, t.sqrt(t.where(x > 0, x, t.ones_like(x))), x), [0.0, 4.0, -1.0])
case("where lets a NaN out", lambda t, x: t.where(x > 0, t.log(x), x), [0.0, 2.0])
case("clamp at its bounds", lambda t, x: x.clamp(0, 1), [0.0, 1.0, NAN, 2.0, -1.0, INF])
case("clamp that crosses", lambda t, x: x.clamp(1, 0), [0.0, 0.5, 1.0, 2.0])
function("clamp", [0.0, 1.0, NAN, 2.0, 0.5], [0.0, 1.0, 0.0, 3.0, 1.0], [1.0, 1.0, 1.0, 1.0, 0.0], note="tensors")
function("clamp_min", [0.0, 1.0, NAN, 2.0], [0.0, 2.0, 0.0, NAN])
function("lerp", [1.0, INF, 1.0], [3.0, 1.0, -1.0], [1.0, 0.5, 0.0])
function("addcdiv", [1.0, 2.0], [1.0, 0.0], [0.0, 4.0])
case("heaviside", lambda t, x: t.heaviside(x.detach(), x.detach() * 0 + 0.5), [0.0, -0.0, 1.0, -1.0, NAN])
case("isclose", lambda t, x, y: t.isclose(x.detach(), y), [NAN, INF, -INF, INF, 0.0], [NAN, INF, INF, 1.0, -0.0])
case("signbit", lambda t, x: t.signbit(x), [0.0, -0.0, -INF, 1.0])

# reductions
case("prod of a zero", lambda t, x: x.prod(), [0.0, 2.0, 3.0])
case("prod of two zeros", lambda t, x: x.prod(), [0.0, 2.0, 0.0])
case("prod with infinity", lambda t, x: x.prod(), [INF, 2.0, 3.0])
case("prod of nothing", lambda t, x: x.prod(), [])
case("cumprod with zeros", lambda t, x: x.cumprod(0), [2.0, 0.0, 3.0, 0.0, 5.0])
case("cumsum past a NaN", lambda t, x: x.cumsum(0), [1.0, NAN, 2.0])
for p in (1, 2, 3, 1.5, 0.5, INF, -INF):
    case(f"norm {p} at 0", lambda t, x, p=p: x.norm(p), [0.0, 0.0])
    case(f"norm {p} beside 0", lambda t, x, p=p: x.norm(p), [0.0, -2.0, 2.0])
case("norm of nothing", lambda t, x: x.norm(), [])
case("dist of equals", lambda t, x: t.dist(x, x * 1), [0.0, 1.0])
case("std of equals", lambda t, x: x.std(), [2.0, 2.0, 2.0])
case("var of equals", lambda t, x: x.var(), [2.0, 2.0, 2.0])
for name, n in (("std", [2.0]), ("var", [2.0]), ("var", [])):
    function(name, n, note=f"of {len(n)}")
case("var with too much correction", lambda t, x: x.var(correction=3), [2.0, 3.0])
case("mean of nothing", lambda t, x: x.mean(), [])
case("sum of nothing", lambda t, x: x.sum(), [])
case("sum of infinities", lambda t, x: x.sum(), [INF, -INF])
for name in ("max", "min"):
    function(name, [2.0, 2.0, 1.0, 1.0], note="ties")
    function(name, [2.0, NAN, 1.0], note="NaN")
    case(f"{name} of a dimension, ties", lambda t, x, name=name: getattr(t, name)(x, 0), [2.0, 2.0, 1.0, 1.0])
    case(f"{name} of a dimension, NaN", lambda t, x, name=name: getattr(t, name)(x, 0), [2.0, NAN, NAN])
    case(f"a{name} with ties", lambda t, x, name=name: getattr(t, "a" + name)(x), [2.0, 2.0, 1.0, 1.0])
    case(f"cum{name} with ties", lambda t, x, name=name: getattr(t, "cum" + name)(x, 0), [1.0, 1.0, 0.0, 0.0, 1.0])
    case(f"cum{name} past a NaN", lambda t, x, name=name: getattr(t, "cum" + name)(x, 0), [1.0, NAN, 2.0])
    case(f"arg{name} with NaN", lambda t, x, name=name: getattr(t, "arg" + name)(x), [2.0, NAN, 1.0, NAN])
case("amax with NaN", lambda t, x: x.amax(0), [2.0, NAN, 1.0])
case("aminmax of equals", lambda t, x: t.aminmax(x), [1.0, 1.0])
case("median with ties", lambda t, x: x.median(), [2.0, 2.0, 1.0])
case("median with NaN", lambda t, x: x.median(), [2.0, NAN, 1.0])
case("median of a dimension with NaN", lambda t, x: x.median(0), [2.0, NAN, 1.0])
case("median of nothing", lambda t, x: x.median(), [])
case("nanmedian", lambda t, x: x.nanmedian(), [2.0, NAN, 1.0])
case("nanmedian of NaN", lambda t, x: x.nanmedian(), [NAN, NAN])
case("nansum", lambda t, x: x.nansum(), [1.0, NAN, INF])
case("nanmean", lambda t, x: x.nanmean(), [1.0, NAN, 3.0])
case("nanmean of NaN", lambda t, x: x.nanmean(), [NAN, NAN])
case("quantile with NaN", lambda t, x: x.quantile(0.3), [1.0, NAN, 2.0])
case("quantile at its ends", lambda t, x: x.quantile(t.tensor([0.0, 1.0]).to(x.dtype)), [1.0, 3.0, 2.0])
case("mode of a tie", lambda t, x: x.mode(0), [2.0, 1.0, 2.0, 1.0])
case("logsumexp with -inf", lambda t, x: x.logsumexp(0), [-INF, 0.0, 1.0])
case("logsumexp of -inf", lambda t, x: x.logsumexp(0), [-INF, -INF])
case("logsumexp with inf", lambda t, x: x.logsumexp(0), [INF, 0.0])
case("logsumexp with inf beside numbers", lambda t, x: x.logsumexp(1), [[INF, 0.0], [1.0, 2.0]])
case("logsumexp of nothing", lambda t, x: x.logsumexp(0), [])
case("softmax with -inf", lambda t, x: x.softmax(0), [-INF, 0.0, 1.0])
case("log_softmax with -inf", lambda t, x: x.log_softmax(0)[1:], [-INF, 0.0, 1.0])
case("softmax of -inf", lambda t, x: x.softmax(0), [-INF, -INF])
case("logcumsumexp from -inf", lambda t, x: x.logcumsumexp(0), [-INF, -INF, 0.0, -INF, 1.0])
case("sort with NaN", lambda t, x: x.sort(), [3.0, NAN, 1.0])
case("sort downwards with NaN", lambda t, x: x.sort(descending=True), [3.0, NAN, 1.0])
case("topk with NaN", lambda t, x: x.topk(2), [1.0, 3.0, NAN, 2.0])
case("kthvalue with NaN", lambda t, x: x.kthvalue(2), [3.0, NAN, 1.0])
case("any and all of nothing", lambda t, x: (t.any(x), t.all(x)), [])
case("count_nonzero", lambda t, x: t.count_nonzero(x), [0.0, -0.0, NAN, INF])
case("diff of one", lambda t, x: x.diff(), [1.0])
case("index_fill of nothing", lambda t, x: x[0].index_fill(0, t.tensor([], dtype=t.int64), 5.0), [3.0])

# label: (why ours differs, our values or None where they are PyTorch's, our gradients)
CHOICES: dict[str, tuple[str, Any, list[Any]]] = {
    "abs at its ends": ("NaN has no sign: the gradient is NaN, not 0", None, [[0.0, 0.0, 1.0, -1.0, NAN]]),
    "sign at its ends": ("sign of NaN is NaN, not 0", [0.0, 0.0, 1.0, NAN], [[0.0, 0.0, 0.0, 0.0]]),
    "hypot at 0": ("the subgradient is 0, as a norm's, and not NaN", None, [[0.0], [0.0]]),
    "polygamma at its poles": ("at -1 infinite, not 6.6e32", [INF, INF], [None]),
    "prod with infinity": ("6 is the product of the others; infinity / infinity is NaN", None, [[6.0, INF, INF]]),
    "var with too much correction": ("(x - mean) times infinity has the sign of x - mean", None, [[-INF, INF]]),
    "amax with NaN": ("the NaN alone gets the gradient, as with max", None, [[0.0, 1.0, 0.0]]),
    "nanmean of NaN": ("nothing was added up: no NaN in the gradient", None, [[0.0, 0.0]]),
    "logcumsumexp from -inf": (
        "e^-inf has the slope 0; PyTorch gives NaN",
        None,
        [[0.0, 0.0, 2.268941421369995, 0.0, 0.7310585786300049]],
    ),
}


def evaluate(library: Any, label: str) -> tuple[list[Any], list[Any]]:
    """The results, and the gradients of the sum of the floating ones."""
    f, inputs = CASES[label]
    if library is tinydl:
        xs = [tinydl.tensor(x, dtype="float64", requires_grad=True) for x in inputs]
    else:
        xs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    out = f(library, *xs)
    outs = list(out) if isinstance(out, tuple) else [out]
    recorded = [y for y in outs if y.requires_grad]
    gradients: list[Any] = [None] * len(xs)
    if recorded:
        total = recorded[0].sum()
        for y in recorded[1:]:
            total = total + y.sum()
        gradients = list(library.autograd.grad(total, xs, allow_unused=True))
    return [numbers(y) for y in outs], [None if g is None else numbers(g) for g in gradients]


def numbers(x: Any) -> Any:
    return x.numpy(force=True) if isinstance(x, torch.Tensor) else x.detach().numpy()


def agree(one: tuple[list[Any], list[Any]], other: tuple[list[Any], list[Any]]) -> bool:
    """Whether values and gradients are close, NaN being close to NaN."""
    pairs = [(a, b) for x, y in zip(one, other) for a, b in zip(x, y) if a is not None and b is not None]
    return all(np.allclose(a, b, equal_nan=True) for a, b in pairs)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("label", CASES)
def test_edge(label: str) -> None:
    with np.errstate(all="ignore"):  # NumPy warns of what these cases are about
        values, gradients = evaluate(tinydl, label)
    wanted, slopes = evaluate(torch, label)
    if label in CHOICES:
        _, ours, expected = CHOICES[label]
        assert not agree((wanted, slopes), (wanted if ours is None else [ours], expected)), "PyTorch agrees: strike it"
        wanted, slopes = wanted if ours is None else [np.asarray(ours)], expected
    for y, z in zip(values, wanted, strict=True):
        assert y.shape == z.shape
        np.testing.assert_allclose(y, z, rtol=1e-12, atol=1e-14)
        if label.startswith(("copysign", "abs", "sign", "atan2")):
            np.testing.assert_array_equal(np.signbit(y), np.signbit(z))
    for a, b in zip(gradients, slopes, strict=True):
        if a is None or b is None:
            assert a is None or not np.any(a), "a gradient where PyTorch has none"
            assert b is None or not np.any(b), "no gradient where PyTorch has one"
        else:
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
    assert set(CHOICES) <= set(CASES)


@pytest.mark.parametrize(
    ("f", "error"),
    [
        (lambda t: t.ones(3, dtype=t.int64) // 0, RuntimeError),
        (lambda t: t.ones(3, dtype=t.int64) % 0, RuntimeError),
        (lambda t: t.fmod(t.ones(3, dtype=t.int64), 0), RuntimeError),
        (lambda t: t.div(t.ones(3, dtype=t.int64), 0, rounding_mode="floor"), RuntimeError),
        (lambda t: t.div(t.ones(3), 2, rounding_mode="up"), RuntimeError),
        (lambda t: t.ones(3, dtype=t.int64) ** -1, RuntimeError),
        (lambda t: t.add(t.ones(3, dtype=t.int64), 1, alpha=0.5), RuntimeError),
        (lambda t: t.clamp(t.ones(3)), RuntimeError),
        (lambda t: t.lerp(t.ones(3), t.ones(3, dtype=t.float64), 0.5), RuntimeError),
        (lambda t: t.isclose(t.ones(3), t.ones(3), rtol=-1.0), RuntimeError),
        (lambda t: t.heaviside(t.ones(3), t.ones(3, dtype=t.float64)), RuntimeError),
        (lambda t: t.polygamma(-1, t.ones(3)), RuntimeError),
        (lambda t: t.zeros(0).max(), RuntimeError),
        (lambda t: t.zeros(0).amax(), RuntimeError),
        (lambda t: t.zeros(0, 3).max(0), IndexError),
        (lambda t: t.zeros(0).argmax(), IndexError),
        (lambda t: t.zeros(0).norm(INF), RuntimeError),
        (lambda t: t.zeros(0).quantile(0.5), RuntimeError),
        (lambda t: t.ones(3).quantile(1.5), RuntimeError),
        (lambda t: t.ones(3).quantile(0.5, interpolation="cubic"), RuntimeError),
        (lambda t: t.ones(3).topk(4), RuntimeError),
        (lambda t: t.ones(3).kthvalue(0), RuntimeError),
        (lambda t: t.ones(3).kthvalue(4), RuntimeError),
        (lambda t: t.zeros(2, 0).kthvalue(1), IndexError),
        (lambda t: t.take_along_dim(t.ones(()), t.zeros((), dtype=t.int64), 0), IndexError),
        (lambda t: t.take_along_dim(t.ones(()), t.zeros((), dtype=t.int64), 1), IndexError),
        (lambda t: t.take_along_dim(t.ones(()), t.zeros((), dtype=t.int64), -2), IndexError),
        (lambda t: t.linalg.matrix_norm(t.zeros(0, 3), -INF), IndexError),
        (lambda t: t.linalg.matrix_norm(t.zeros(3, 0), -2), IndexError),
        (lambda t: t.ones(2, 3).quantile(0.5, dim=2), IndexError),
        (lambda t: t.ones(1, 2, 3).cov(), RuntimeError),
        (lambda t: t.ones(3, dtype=t.int64).mean(), RuntimeError),
        (lambda t: t.ones(3, dtype=t.int64).std(), RuntimeError),
        (lambda t: t.ones(3).sum(1), IndexError),
        (lambda t: t.ones(3).sum((0, 0)), RuntimeError),
        (lambda t: t.ones(3).cumsum(), TypeError),
        (lambda t: t.bincount(t.tensor([-1])), RuntimeError),
        (lambda t: t.histc(t.tensor([NAN])), RuntimeError),
        (lambda t: t.searchsorted(t.ones(2, 3), t.ones(3, 2)), RuntimeError),
        (lambda t: t.trapezoid(t.ones(3, 4), t.ones(3)), RuntimeError),
        (lambda t: t.ones(2).is_nonzero(), RuntimeError),
        (lambda t: -t.ones(2, dtype=t.bool), (RuntimeError, TypeError)),
        (lambda t: t.ones(2) & 1, (NotImplementedError, TypeError)),
        (lambda t: t.ones(2, 3, 4).fill_diagonal_(1), RuntimeError),
        (lambda t: t.einsum(t.ones(2), [52]), (ValueError, RuntimeError)),
        (lambda t: t.ones(4).as_strided((3,), (2,)), RuntimeError),
        (lambda t: t.ones(4).as_strided((2,), (1,), 3), RuntimeError),
        (lambda t: t.ones(4).as_strided((2,), (1,), -1), RuntimeError),
        (lambda t: t.einsum(t.ones(2), [-1]), (ValueError, RuntimeError)),
        (lambda t: t.renorm(t.ones(2, 3), 2, 0, -1.0), RuntimeError),
        (lambda t: t.ones(3).fill_diagonal_(1), RuntimeError),
        (lambda t: t.nn.functional.pad(t.ones(1, 2, 3), (4, 0), mode="circular"), RuntimeError),
        (lambda t: t.nn.functional.pad(t.ones(1, 2, 3), (0, 3), mode="reflect"), RuntimeError),
    ],
)  # fmt: skip
def test_misuse_raises_as_in_pytorch(f: Callable[[Any], Any], error: Any) -> None:
    for library in (torch, tinydl):
        with pytest.raises(error):
            f(library)
