"""Products of tensors of all dtypes, alike and mixed, and of factors that are 0, 1, whole or not: both libraries give
the same dtype and numbers, or both refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

from tests.differential import test_rows_torch as rows  # noqa: E402 - it needs PyTorch
from tests.differential.grids import Grids, at, said, x  # noqa: E402 - it needs PyTorch

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


# What the table's rows give where floating arguments are whole numbers, or one is of another precision: where both
# libraries give something the dtype and the numbers are the same, but for these.
TO_THE_FIRST = "the others are brought to the dtype of the first, or of the signal"
WHOLE = "PyTorch computes with whole numbers throughout, or with the first one's kind"
BOUNDARY = "the quantile of 0 is minus infinity; PyTorch takes that of the least number above 0"
CHOICES = {
    "cov": TO_THE_FIRST, "distributions.Bernoulli": TO_THE_FIRST, "istft": TO_THE_FIRST, "stft": TO_THE_FIRST,
    "nn.functional.binary_cross_entropy_with_logits": TO_THE_FIRST,
    "einsum": "dtypes are promoted, which PyTorch refuses but where nothing is summed",
    "nn.functional.huber_loss": WHOLE, "nn.functional.soft_margin_loss": WHOLE, "nn.functional.lp_pool2d": WHOLE,
    "nn.functional.gaussian_nll_loss": WHOLE, "nn.functional.hinge_embedding_loss": WHOLE,
    "nn.functional.local_response_norm": WHOLE, "kthvalue": "which of several equal ones", "topk": "as kthvalue",
    **{f"distributions.{name}-icdf{kind}": BOUNDARY for name in ("Gumbel", "Logistic") for kind in ("", "_broadcast")},
}  # fmt: skip
ROWS: dict[str, list[Any]] = {}
for _row in rows.FUNCTIONS:
    if not {_row.name, _row.label} & set(CHOICES) and any(
        a.dtype.kind == "f" and np.isfinite(a).all() for a in _row.arrays("float64") if isinstance(a, np.ndarray)
    ):
        ROWS.setdefault(_row.name, []).append(_row)


def outcome(library: Any, row: Any, arrays: list[Any]) -> Any:
    """What a row gives for these arrays, or the error."""
    try:
        with np.errstate(all="ignore"):
            return row.evaluate(library, [library.tensor(a) if isinstance(a, np.ndarray) else a for a in arrays])
    except Exception as error:  # either library's own
        return error


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ROWS)
def test_rows_of_other_dtypes(name: str) -> None:
    for row in ROWS[name]:
        arrays = row.arrays("float64")
        floating = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        for dtype, places in [
            ("int64", floating), *((d, [i]) for d in ("float32", "int64") for i in floating if len(floating) > 1)
        ]:  # fmt: skip
            given = [a.astype(dtype) if i in places else a for i, a in enumerate(arrays)]
            got, wanted = outcome(tinydl, row, given), outcome(torch, row, given)
            if isinstance(got, Exception):
                assert said(got), f"{row.label}, {places} in {dtype}: an accident instead of a refusal: {got!r:.120}"
            elif not isinstance(wanted, Exception):
                rows.same(got, wanted, "float32", 4 * row.loose, f"{row.label}, {places} in {dtype}")


def test_whole_numbers_are_not_multiplied_with_fractions() -> None:
    a = tinydl.ones(2, 2, dtype="int64")
    for factors in ({"beta": 0.5}, {"alpha": 1.0}):
        with pytest.raises(RuntimeError, match="must not be a floating point number"):
            tinydl.addmm(a, a, a, **factors)
