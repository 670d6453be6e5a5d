"""Operators, their in-place forms and NumPy's functions on tensors, against PyTorch and NumPy."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tests.each import each
from tinydl.ops.ufuncs import COUNTERPARTS

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

FLOATS, INTS, BOOLS = [0.5, 2.0, 3.5], [1, 2, 5], [True, False, True]
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
BITS = ("and_", "or_", "xor")
SHIFTS = ("lshift", "rshift")
CASES = (
    [(op, a, b) for op in ARITHMETIC for a, b in ((FLOATS, FLOATS), (INTS, INTS), (FLOATS, INTS), (INTS, FLOATS))]
    + [(op, a, b) for op in ARITHMETIC for a in (FLOATS, INTS) for b in (2, 1.5)]
    + [(op, a, b) for op in ARITHMETIC for a in (2, 1.5) for b in (FLOATS, INTS)]
    + [(op, a, b) for op in BITS for a, b in ((INTS, INTS), (BOOLS, BOOLS), (INTS, BOOLS), (BOOLS, True))]
    + [(op, a, b) for op in BITS for a, b in ((INTS, 3), (3, INTS))]
    + [(op, a, b) for op in SHIFTS for a, b in ((INTS, INTS), (INTS, 2), (2, INTS))]
)  # fmt: skip


def tensor(library: Any, x: Any) -> Any:
    return library.tensor(x) if isinstance(x, list) else x


@pytest.mark.parametrize(("name", "a", "b"), CASES)
def test_operator(name: str, a: Any, b: Any) -> None:
    f = getattr(operator, name)
    got, want = (f(tensor(library, a), tensor(library, b)) for library in (tinydl, torch))
    assert f"torch.{got.dtype.name}" == str(want.dtype)
    np.testing.assert_allclose(got.array, want.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("name", "a", "b"), [c for c in CASES if isinstance(c[1], list)])
def test_operator_in_place(name: str, a: Any, b: Any) -> None:
    f = getattr(operator, f"i{name.rstrip('_')}")
    try:
        z = tensor(torch, a)
        want = f(z, tensor(torch, b))
    except RuntimeError:
        with pytest.raises(RuntimeError):
            f(tensor(tinydl, a), tensor(tinydl, b))
        return
    x = tensor(tinydl, a)
    memory = x.array
    got = f(x, tensor(tinydl, b))
    assert want is z and got is x and x.array is memory
    assert f"torch.{got.dtype.name}" == str(want.dtype)
    np.testing.assert_allclose(got.array, want.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["neg", "pos", "abs", "invert"])
def test_operator_of_one(name: str) -> None:
    x = [-1, 2, -5]
    f = getattr(operator, name)
    np.testing.assert_array_equal(f(tinydl.tensor(x)).array, f(torch.tensor(x)).numpy())


def test_in_place_methods_are_pytorchs() -> None:
    from tinydl.in_place import InPlace

    names = [n for n in vars(InPlace) if not n.startswith("_")]
    assert len(names) > 90
    assert not [n for n in names if not hasattr(torch.Tensor, n)]
    for n in names:
        assert (inspect.getdoc(getattr(tinydl.Tensor, n)) or "").startswith("In place"), n
    assert list(inspect.signature(tinydl.Tensor.add_).parameters) == ["self", "other", "alpha"]


WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "a tensor": lambda x, y: x.add_(y),
    "a number": lambda x, y: x.mul_(2),
    "of one": lambda x, y: x.exp_(),
    "an option": lambda x, y: x.add_(y, alpha=2),
    "bounds": lambda x, y: x.clamp_(2, 3),
    "an operator": operator.isub,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writing_at_once_moves_the_version(write: Callable[[Any, Any], Any]) -> None:
    leaf = tinydl.ones(3, requires_grad=True)
    x, y = tinydl.ones(3), tinydl.ones(3)
    product = (leaf * x).sum()
    write(x, y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_in_place_through_a_view_and_of_a_wrong_shape() -> None:
    base = tinydl.ones(2, 3)
    base[0].add_(1.0)
    assert base.tolist() == [[2, 2, 2], [1, 1, 1]]
    with pytest.raises(RuntimeError, match=r"add_: output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"):
        tinydl.ones(3).add_(base)
    with pytest.raises(RuntimeError, match="can't be cast"):
        tinydl.tensor([1, 2]).add_(0.5)
    x = tinydl.ones(2, requires_grad=True)
    h = x * 1
    view = h.detach()
    h.mul_(x)
    with pytest.raises(RuntimeError, match="replaced since"):
        tinydl.ones(1).add_(view)
    with pytest.raises(RuntimeError, match="leaf"):
        x.add_(1.0)


@pytest.mark.parametrize("ufunc", [u for u in COUNTERPARTS if u is not np.matmul], ids=lambda u: u.__name__)
def test_numpys_functions(ufunc: Any) -> None:
    kind = next((k for k in "dl?" if any(t.startswith(k * ufunc.nin) for t in ufunc.types)), "d")
    values = {"d": [0.25, 0.5, 0.75], "l": [1, 2, 3], "?": [True, False, True]}[kind]
    if ufunc is np.arccosh:
        values = [1.5, 2.0, 3.0]
    arrays = [np.asarray(values), np.asarray(values[::-1])][: ufunc.nin]
    got = ufunc(*[tinydl.tensor(a) for a in arrays])
    assert isinstance(got, tinydl.Tensor)
    np.testing.assert_allclose(got.array, ufunc(*arrays), rtol=1e-12)


UNARY = """
square sqrt rsqrt reciprocal sign sgn signbit exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh
tanh asinh acosh atanh sinc deg2rad rad2deg erf erfc erfinv lgamma digamma sigmoid logit nan_to_num logical_not isnan
isfinite isinf isposinf isneginf isreal floor ceil round trunc frac relu abs neg positive bitwise_not
""".split()
BINARY = """
add sub mul div floor_divide remainder fmod pow float_power copysign logaddexp logaddexp2 xlogy atan2 hypot maximum
minimum fmax fmin heaviside eq logical_and logical_xor bitwise_and bitwise_xor bitwise_left_shift bitwise_right_shift
isclose
""".split()
REDUCTIONS = """
sum nansum mean nanmean median nanmedian var std prod amax argmax any all logsumexp cumsum cumprod count_nonzero
logcumsumexp
""".split()
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
# Where PyTorch refuses a dtype, tinydl refuses too, but for these, which have a plain meaning.
LENIENT = {
    ("abs", "bool"), ("relu", "bool"), *((n, d) for n in ("logaddexp", "logaddexp2", "hypot") for d in DTYPES),
    *((n, "bool") for n in ("bitwise_left_shift", "bitwise_right_shift", "argmax")),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY + BINARY + REDUCTIONS)
def test_dtype_of_the_result(name: str) -> None:
    each(((dtype, dtype) for dtype in DTYPES), lambda dtype: dtype_is_pytorchs(name, dtype))


def dtype_is_pytorchs(name: str, dtype: str) -> None:
    def call(library: Any) -> Any:
        x = library.ones(3, dtype=getattr(library, dtype))
        arguments = (x, x) if name in BINARY else (x, 0) if name in REDUCTIONS else (x,)
        out = getattr(library, name)(*arguments)
        return out[0] if isinstance(out, tuple) else out

    try:
        want = call(torch)
    except (RuntimeError, NotImplementedError):
        if (name, dtype) not in LENIENT:
            with pytest.raises((RuntimeError, TypeError)):
                call(tinydl)
        return
    with np.errstate(all="ignore"):  # atanh(1) and the like
        got = call(tinydl)
    assert f"torch.{got.dtype.name}" == str(want.dtype)
    assert got.shape == tuple(want.shape)


@pytest.mark.parametrize("other", ["a", None, [1.0, 2.0], (1.0,), object(), {}, b"x"], ids=lambda x: type(x).__name__)
def test_a_tensor_is_unequal_to_what_is_no_number(other: Any) -> None:
    for t in (tinydl, torch):
        x = t.ones(2)
        assert (x == other) is False and (x != other) is True
        assert (other == x) is False and (other != x) is True


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([-1, 255, -255], "uint8"), (-1, "uint8"), ([127, -128], "int8"), ([2.7, -2.7], "int64"),
        ([2**31 - 1, -(2**31)], "int32"), ([300, 0], "bool"), ([2**63 - 1, -(2**63)], "int64"),
    ],
)  # fmt: skip
def test_numbers_that_fit_are_converted_as_pytorch_does(data: Any, dtype: str) -> None:
    ours, theirs = tinydl.tensor(data, dtype=getattr(tinydl, dtype)), torch.tensor(data, dtype=getattr(torch, dtype))
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([256], "uint8"), (255.5, "uint8"), ([-256], "uint8"), (300.0, "uint8"), ([[0], [128]], "int8"),
        ([-129], "int8"), ([2**31], "int32"), ([float("nan")], "int64"), ([float("inf")], "int16"), ([1e30], "int64"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(data: Any, dtype: str) -> None:
    for t in (tinydl, torch):
        for make in (t.tensor, t.as_tensor):
            with pytest.raises(RuntimeError, match=f"cannot be converted to type {dtype} without overflow"):
                make(data, dtype=getattr(t, dtype))
    array = np.array([300])
    assert tinydl.tensor(array, dtype=tinydl.uint8).tolist() == torch.tensor(array, dtype=torch.uint8).tolist()
