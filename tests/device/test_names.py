"""Every public name on another device, called as the differential table calls it: values and gradients are the CPU's.

Most of these functions are written in others, on tensors; what a new one does on the host alone shows here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tinydl
from tests.differential import tables  # noqa: F401 - enters the rows
from tests.differential.rows import ROWS, Row
from tests.each import each, grouped
from tinydl.autograd import grad
from tinydl.devices import on_host

#: What a row makes without a tensor to be beside, it makes here on the device.
MADE = (
    "tensor", "as_tensor", "asarray", "zeros", "ones", "full", "empty", "arange", "linspace", "logspace", "eye", "rand",
    "randn", "randint", "tril_indices", "triu_indices",
)  # fmt: skip

#: Rows that do something else there, and why. The list can only shrink: a row that works is an error here.
NOT_THERE = {
    "Tensor.numpy": "refused, as in PyTorch: cpu() first",
    "from_dlpack-own_tensor": "the stand-in has no __dlpack__; CuPy's arrays have",
    "autograd.Function-one_constant": "a function of the row's own that makes a NumPy array",
    "distributions.Beta-log_prob_numbers": "parameters that are numbers are on the CPU, and the value is not",
}


class OnDevice:
    """tinydl as a row sees it, which makes tensors on a device."""

    def __init__(self, device: str) -> None:
        self._place = device

    def __getattr__(self, name: str) -> Any:
        found = getattr(tinydl, name)
        if name == "from_numpy":
            return lambda array: found(array).to(self._place)
        if name in ("FloatTensor", "LongTensor"):
            return lambda *args: found(*args).to(self._place)
        return (lambda *args, **options: found(*args, **{"device": self._place, **options})) if name in MADE else found


def flat(result: Any) -> list[Any]:
    if isinstance(result, dict):
        return flat(list(result.values()))
    return [x for part in result for x in flat(part)] if isinstance(result, (tuple, list)) else [result]


def outcome(row: Row, device: str) -> list[Any]:
    """The tensors and other values of a result, and the gradients of all arguments that have one."""
    arrays = row.arrays("float64")
    at = row.differentiable(arrays)
    given = [
        tinydl.tensor(x, device=device).requires_grad_(i in at) if isinstance(x, np.ndarray) else x
        for i, x in enumerate(arrays)
    ]
    tinydl.manual_seed(0)
    if row.module:
        layer = row.keywords["build"](tinydl).double().to(device)
        found = flat(row.keywords["run"](layer, *given))
    else:
        found = flat(row.evaluate(tinydl if device == "cpu" else OnDevice(device), given))
    live = [y for y in found if isinstance(y, tinydl.Tensor) and y.requires_grad]
    leaves = [x for x in given if isinstance(x, tinydl.Tensor) and x.requires_grad]
    if live and leaves:
        found += grad(sum((y * y).sum() for y in live), leaves, allow_unused=True)
    return found


def check(row: Row, device: str) -> None:
    here, there = outcome(row, "cpu"), outcome(row, device)
    assert len(here) == len(there)
    for a, b in zip(there, here):
        assert isinstance(a, tinydl.Tensor) == isinstance(b, tinydl.Tensor)
        if isinstance(b, tinydl.Tensor):
            x, y = on_host(a.array), b.array
            assert x.shape == y.shape and x.dtype == y.dtype
            if y.dtype.kind == "f":
                np.testing.assert_allclose(x, y, rtol=1e-8 if y.dtype == np.float64 else 2e-6, atol=1e-9)
            else:
                np.testing.assert_array_equal(x, y)


def works_here(row: Row) -> bool:
    try:
        outcome(row, "cpu")
    except Exception:  # PyTorch's objects, and errors that a row is about
        return False
    return True


@grouped(ROWS, lambda row: row.name.rpartition(".")[0] or row.name[0])
def test_a_public_name_gives_what_the_cpu_gives(cases: list[Row], device: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [row for row in cases if works_here(row)]
        if others := [(row.label, row) for row in rows if row.label not in NOT_THERE]:
            each(others, lambda row: check(row, device))
        for row in rows:
            if row.label in NOT_THERE:
                with pytest.raises(Exception):  # noqa: B017 - whatever it is that is missing there
                    check(row, device)


def test_what_does_not_work_there_is_a_row() -> None:
    assert set(NOT_THERE) <= {row.label for row in ROWS} and len(NOT_THERE) <= 4
