"""Products of tensors of all dtypes, alike and mixed, and of factors that are 0, 1, whole or not: both libraries give
the same dtype and numbers, or both refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

from tests.differential.grids import Grids, at, x  # noqa: E402 - it needs PyTorch

TABLE = Grids()
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
FACTORS = (0, 1, 2, -1, 0.0, 1.0, 0.5)


def truths(*dtypes: str) -> bool:
    """NumPy has products of truths, and so has the engine; PyTorch has none."""
    return set(dtypes[:2]) == {"bool"}


def given(t: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """Small whole numbers, which all dtypes hold."""
    return t.tensor(np.arange(np.prod(shape)).reshape(shape) % 3 % 2).to(getattr(t, dtype))


for _name, _shapes in {
    "matmul": [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)),
               ((2, 2, 3), (2, 3, 1)), ((2, 3), (2, 3))],
    "mm": [((2, 3), (3, 2))], "bmm": [((2, 2, 3), (2, 3, 1))], "mv": [((2, 3), (3,))], "dot": [((3,), (3,))],
    "vdot": [((3,), (3,))], "inner": [((3,), (3,)), ((2, 3), (2, 3)), ((2, 1, 3), (2, 3)), ((2,), ())],
    "outer": [((2,), (3,))], "kron": [((2,), (2, 1))], "tensordot": [((2, 3, 1), (3, 1, 2))],
    "chain_matmul": [((2, 3), (3, 2))],
}.items():  # fmt: skip
    for _a, _b in _shapes:
        TABLE.grid(
            f"{_name} {_a} {_b}", lambda t, c, d, name=_name, a=_a, b=_b: at(t, name)(given(t, a, c), given(t, b, d)),
            DTYPES, DTYPES, but=truths,
        )  # fmt: skip
for _name, _shape, _a, _b in (
    ("addmm", (2, 2), (2, 3), (3, 2)), ("addmv", (2,), (2, 3), (3,)), ("addr", (2, 3), (2,), (3,)),
    ("baddbmm", (2, 1, 2), (2, 1, 3), (2, 3, 2)), ("addbmm", (1, 2), (2, 1, 3), (2, 3, 2)),
):  # fmt: skip

    def _added(
        t: Any, c: str, d: str, e: str, beta: Any = 1, alpha: Any = 1,
        name: str = _name, shapes: Any = (_shape, _a, _b),
    ) -> Any:  # fmt: skip
        x, y, z = (given(t, shape, dtype) for shape, dtype in zip(shapes, (c, d, e)))
        return at(t, name)(x, y, z, beta=beta, alpha=alpha)

    TABLE.grid(f"{_name} of three dtypes", _added, *[("bool", "int32", "float32", "float64")] * 3,
               but=lambda c, d, e: truths(d, e))  # fmt: skip
    for _dtype in DTYPES[1:]:
        # PyTorch leaves the fraction of a factor out where numbers are whole, but for addr, which refuses, as here.
        TABLE.grid(
            f"{_name} of {_dtype}", lambda t, beta, alpha, d=_dtype, f=_added: f(t, d, d, d, beta, alpha),
            FACTORS, FACTORS,
            but=lambda beta, alpha, name=_name, d=_dtype: (
                name != "addr" and "int" in d and (isinstance(beta, float) or isinstance(alpha, float))
            ),
        )  # fmt: skip
    TABLE.grid(
        f"{_name} to nothing and infinity",
        lambda t, beta, a, b, name=_name, s=_shape: at(t, name)(t.full(s, float("nan")).double(), a, b, beta=beta),
        (0, 0.0, 1), [x(*_a)], [x(*_b)],
    )  # fmt: skip
for _dtype in ("float64", "float32"):
    TABLE.grid(
        f"bilinear into {_dtype}",
        lambda t, c, d, e, f=_dtype: t.nn.functional.bilinear(
            given(t, (2, 3), c), given(t, (2, 4), d), given(t, (5, 3, 4), e), given(t, (5,), f)
        ),
        *[("float32", "float64")] * 3,
    )  # fmt: skip


# Negative numbers wrap round in PyTorch's unsigned dtypes where they are no tensors, but not everywhere; never here.
for _name, _fill in {
    "masked_fill": lambda t, x, v: t.masked_fill(x, t.ones(2) > 0, v),
    "index_fill": lambda t, x, v: x.index_fill(0, t.tensor([0]), v),
    "full": lambda t, x, v: t.full((2,), v, dtype=x.dtype),
    "fill_": lambda t, x, v: x.fill_(v),
    "pad": lambda t, x, v: t.nn.functional.pad(x, (1, 0), value=v),
}.items():
    TABLE.grid(
        f"{_name} with a number", lambda t, d, v, f=_fill: f(t, given(t, (2,), d), v), DTYPES[1:],
        [0, 1, 2.5, -1, 300, 1e30, True, float("inf"), float("-inf"), float("nan")],
        but=lambda d, v: (d == "uint8" and v == -1) or (d == "float16" and v == 1e30),
    )  # fmt: skip


@pytest.mark.parametrize("label", TABLE.entries)
def test_dtypes(label: str) -> None:
    TABLE.check(label)


def test_whole_numbers_are_not_multiplied_with_fractions() -> None:
    import tinydl

    a = tinydl.ones(2, 2, dtype="int64")
    for factors in ({"beta": 0.5}, {"alpha": 1.0}):
        with pytest.raises(RuntimeError, match="must not be a floating point number"):
            tinydl.addmm(a, a, a, **factors)
