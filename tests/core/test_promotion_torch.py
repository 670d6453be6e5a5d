"""Dtypes of results equal PyTorch's for every pair of dtypes, ranks (tensor, 0-d tensor, Python scalar) and
operation."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
SCALARS = [True, 3, 2.5]


def operands(library: Any, name: str) -> list[Any]:
    dtype = getattr(torch, name) if library is torch else name
    return [library.ones(3, dtype=dtype), library.ones((), dtype=dtype)]


PAIRS = [(a, b) for a, b in itertools.product(NAMES, NAMES)]


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_pairs_of_tensors(a: str, b: str) -> None:
    ours_a, ours_b = operands(tinydl, a), operands(tinydl, b)
    theirs_a, theirs_b = operands(torch, a), operands(torch, b)
    for op in ("add", "mul", "div", "maximum", "eq"):
        for i, j in itertools.product(range(2), range(2)):
            want = getattr(torch, op)(theirs_a[i], theirs_b[j])
            got = getattr(tinydl, op)(ours_a[i], ours_b[j])
            assert str(want.dtype) == f"torch.{got.dtype.name}", (op, i, j)
            assert tuple(want.shape) == got.shape


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scalar", SCALARS)
def test_tensor_and_number(name: str, scalar: Any) -> None:
    for ours, theirs in zip(operands(tinydl, name), operands(torch, name)):
        for op in ("add", "mul", "div"):
            for left in (True, False):
                if left:
                    got, want = getattr(tinydl, op)(ours, scalar), getattr(torch, op)(theirs, scalar)
                else:
                    dunder = {"add": lambda s, x: s + x, "mul": lambda s, x: s * x, "div": lambda s, x: s / x}[op]
                    got, want = dunder(scalar, ours), dunder(scalar, theirs)
                assert str(want.dtype) == f"torch.{got.dtype.name}", (op, left)


@pytest.mark.parametrize("name", NAMES)
def test_functions_of_one_argument(name: str) -> None:
    x = operands(tinydl, name)[0]
    t = operands(torch, name)[0]
    for op in ("exp", "tanh", "sigmoid", "sqrt", "log1p", "sin", "square", "sum"):
        assert f"torch.{getattr(tinydl, op)(x).dtype.name}" == str(getattr(torch, op)(t).dtype), op


def test_numpy_scalars_count_as_python_numbers() -> None:
    x, t = tinydl.ones(3), torch.ones(3)
    for value in (np.float64(2), np.int64(2), np.float32(2)):
        assert (x * value).dtype == np.float32
        assert str((t * value.item()).dtype) == "torch.float32"


def test_where_and_cat_promote() -> None:
    for a, b in PAIRS:
        got = tinydl.where(tinydl.ones(3, dtype="bool"), operands(tinydl, a)[0], operands(tinydl, b)[1])
        want = torch.where(torch.ones(3, dtype=torch.bool), operands(torch, a)[0], operands(torch, b)[1])
        assert str(want.dtype) == f"torch.{got.dtype.name}", (a, b)
        got = tinydl.cat([operands(tinydl, a)[0], operands(tinydl, b)[0]])
        want = torch.cat([operands(torch, a)[0], operands(torch, b)[0]])
        assert str(want.dtype) == f"torch.{got.dtype.name}", (a, b)


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32"])
@pytest.mark.parametrize("number", [300, -1, -40000, 70000, 2**40, 5])
def test_a_number_that_an_integer_dtype_has_not(name: str, number: int) -> None:
    """Arithmetic wraps around, as PyTorch's does; comparisons compare the numbers."""
    x, t = tinydl.tensor([0, 1, 100], dtype=name), torch.tensor([0, 1, 100], dtype=getattr(torch, name))
    for op in ("add", "mul", "sub", "bitwise_and"):
        got, want = getattr(tinydl, op)(x, number), getattr(torch, op)(t, number)
        assert got.tolist() == want.tolist() and str(want.dtype) == f"torch.{got.dtype.name}", op
    assert (number - x).tolist() == (number - t).tolist()
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        assert getattr(tinydl, op)(x, number).tolist() == getattr(torch, op)(t.long(), number).tolist(), op
    assert (number < x).tolist() == (number < t.long()).tolist()
    x += number
    t += number
    assert x.tolist() == t.tolist()


def unpickled(x: Any) -> Any:
    """The same numbers with a dtype that is equal to NumPy's and another object, as it comes out of another process."""
    out = pickle.loads(pickle.dumps(x))
    assert out.dtype == x.dtype and out.dtype is not x.dtype
    return out


PRODUCTS: dict[str, Any] = {
    "matmul": lambda t, a, b: a @ b, "vector": lambda t, a, b: a @ b[0], "mm": lambda t, a, b: t.mm(a, b),
    "bmm": lambda t, a, b: t.bmm(a[None], b[None]), "addmm": lambda t, a, b: t.addmm(a, b, a),
    "linear": lambda t, a, b: t.nn.functional.linear(a, b, b[0]), "einsum": lambda t, a, b: t.einsum("ij,jk", a, b),
    "tensordot": lambda t, a, b: t.tensordot(a, b, 1), "add": lambda t, a, b: a + b, "where": lambda t, a, b:
    t.where(a > 0, a, b), "cat": lambda t, a, b: t.cat([a, b]), "stack": lambda t, a, b: t.stack([a, b]),
    "solve": lambda t, a, b: t.linalg.solve(a, b), "lerp": lambda t, a, b: t.lerp(a, b, 0.3),
    "cross": lambda t, a, b: t.linalg.cross(a, b), "cdist": lambda t, a, b: t.cdist(a, b),
    "mse": lambda t, a, b: t.nn.functional.mse_loss(a, b), "conv": lambda t, a, b:
    t.nn.functional.conv1d(a[None], b[:, :, None]), "scatter": lambda t, a, b:
    t.scatter(a, 0, t.tensor([[0, 1, 1]]), b), "index_add": lambda t, a, b: t.index_add(a, 0, t.tensor([0, 0, 2]), b),
    "masked_scatter": lambda t, a, b: a.masked_scatter(a > 0, b), "vecdot": lambda t, a, b: t.linalg.vecdot(a, b),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_dtype_out_of_another_process_is_the_same_dtype(name: str) -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 3, 3))
    a, b = tinydl.tensor(x), tinydl.from_numpy(unpickled(y))
    wanted = PRODUCTS[name](torch, torch.tensor(x), torch.tensor(y))
    for found in (PRODUCTS[name](tinydl, a, b), PRODUCTS[name](tinydl, tinydl.from_numpy(unpickled(x)), b)):
        assert found.dtype == tinydl.float64
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-9)
