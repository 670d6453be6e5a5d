"""A tensor prints as PyTorch's does, to the character."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

RNG = np.random.default_rng(3)
NORMAL = RNG.standard_normal((40, 30))
CASES: dict[str, Any] = {
    "0-d float": np.float32(1.5), "0-d whole": np.float32(2), "0-d int": np.int64(7), "0-d bool": np.bool_(True),
    "0-d nan": np.float32(np.nan), "0-d tiny": np.float32(1e-9), "0-d huge": np.float32(1e20),
    "ints": np.arange(-3, 12), "wide ints": np.array([1, -100000, 33]), "int32": np.arange(3, dtype=np.int32),
    "uint8": np.arange(3, dtype=np.uint8), "bools": np.array([True, False, True]),
    "whole floats": np.arange(5, dtype=np.float32), "floats": np.array([1.0, 2.5, -3.25], np.float32),
    "float64": np.array([1.0, 2.5]), "float16": np.array([1.0, 2.5, 65504], np.float16),
    "small": np.array([1e-5, 2e-5], np.float32), "mixed": np.array([1e-3, 1.0, 999.0], np.float32),
    "over 1000 apart": np.array([0.001, 1.001], np.float32), "large": np.array([1e9, 2e9], np.float32),
    "large whole": np.array([1.0, 1e8], np.float32), "100 million and one": np.array([100000001.0, 1.0]),
    "tiny beside huge": np.array([1e-30, 1e30]), "smallest beside largest": np.array([5e-324, 1e308]),
    "negative zero": np.array([-0.0, 0.0], np.float32), "negative zero and half": np.array([-0.0, 0.5], np.float32),
    "zeros": np.zeros((2, 3), np.float32), "nan": np.array([np.nan, 1.0], np.float32),
    "nan and fraction": np.array([np.nan, 1.5], np.float32), "inf": np.array([np.inf, -np.inf, 1.0], np.float32),
    "inf and fraction": np.array([np.inf, -np.inf, 0.001], np.float32), "all nan": np.full(3, np.nan, np.float32),
    "empty": np.zeros(0, np.float32), "empty int": np.zeros(0, np.int64), "empty matrix": np.zeros((0, 3), np.float32),
    "empty middle": np.zeros((2, 0, 3)), "matrix": NORMAL[:3, :4].astype(np.float32), "wide": NORMAL[:2, :30],
    "long": np.arange(60), "long floats": NORMAL[0].astype(np.float32), "cube": NORMAL[:2, :12].reshape(2, 3, 4),
    "four": NORMAL[:2, :24].reshape(2, 2, 3, 4), "summarised vector": np.arange(1001),
    "not yet summarised": np.arange(1000), "summarised": NORMAL, "summarised float32": NORMAL.astype(np.float32) * 1e4,
    "summarised cube": np.arange(4000.0, dtype=np.float32).reshape(10, 20, 20),
    "a long row": np.arange(2000).reshape(2, 1000), "a long column": np.arange(2000).reshape(1000, 2),
    "summarised bool": np.zeros((30, 40), bool), "short and long": np.zeros((3, 5, 100), np.float32),
    "the outlier is hidden": np.where(np.arange(2000) == 1000, 1e10, 1.5),
}  # fmt: skip


def words(text: str) -> str:
    """What both libraries say, in PyTorch's word; the names of operations are each library's own."""
    return re.sub(r"grad_fn=<\w+>", "grad_fn=<op>", text.replace("tinydl.", "torch."))


@pytest.mark.parametrize("name", CASES)
def test_repr(name: str) -> None:
    array = np.asarray(CASES[name])
    assert words(repr(tinydl.from_numpy(array))) == repr(torch.from_numpy(np.array(array)))
    assert words(str(tinydl.from_numpy(array))) == str(torch.from_numpy(np.array(array)))


HISTORIES: list[Callable[[Any], Any]] = [
    lambda t: t.ones(3, requires_grad=True),
    lambda t: t.ones(3, dtype=t.float64, requires_grad=True),
    lambda t: t.ones(2, 15, requires_grad=True),  # the note goes to the next line
    lambda t: t.ones(2, 15, dtype=t.float64, requires_grad=True),
    lambda t: t.ones(17, dtype=t.float16),
    lambda t: t.tensor(1.0, requires_grad=True),
    lambda t: t.zeros(0, 3, requires_grad=True),
    lambda t: t.nn.Parameter(t.ones(2, 2)),
]


@pytest.mark.parametrize("make", HISTORIES)
def test_what_stands_behind_the_numbers(make: Callable[[Any], Any]) -> None:
    assert words(repr(make(tinydl))) == repr(make(torch))


def test_the_operation_is_named() -> None:
    for shape in ((), (3,), (2, 3)):
        ours, theirs = tinydl.ones(shape, requires_grad=True) * 2, torch.ones(shape, requires_grad=True) * 2
        assert words(repr(ours)) == words(repr(theirs))
    assert repr(tinydl.tensor(1.0, requires_grad=True) * 2) == "tensor(2., grad_fn=<mulBackward>)"


OPTIONS: list[dict[str, Any]] = [
    {"precision": 2}, {"precision": 8}, {"threshold": 5}, {"threshold": 10, "edgeitems": 1}, {"linewidth": 30},
    {"edgeitems": 2, "threshold": 20, "linewidth": 40}, {"sci_mode": True}, {"sci_mode": False},
    {"profile": "short"}, {"profile": "full"}, {"profile": "full", "precision": 1},
]  # fmt: skip


@pytest.fixture
def printing() -> Iterator[None]:
    yield
    for library in (tinydl, torch):
        library.set_printoptions(profile="default")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_set_printoptions(options: dict[str, Any], printing: None) -> None:
    for library in (tinydl, torch):
        library.set_printoptions(**options)
    for array in (NORMAL, NORMAL[:3, :3] * 1e-6, np.arange(12.0), np.arange(24).reshape(2, 3, 4), np.float64(0.125)):
        array = np.asarray(array)
        assert words(repr(tinydl.from_numpy(array))) == repr(torch.from_numpy(np.array(array)))
    with pytest.raises(ValueError, match="set_printoptions has no profile 'loud'; use one of default, short, full"):
        tinydl.set_printoptions(profile="loud")


def test_a_number_is_formatted_as_one() -> None:
    for library in (tinydl, torch):
        assert f"{library.tensor(2.5):.2f} {library.tensor(3):03d} {library.tensor(1.5)}" == "2.50 003 1.5"
        with pytest.raises(TypeError, match="unsupported format string passed to Tensor.__format__"):
            f"{library.ones(2):.2f}"
