"""PyTorch's functions that the cards name do the same work as ours, and a card that names another is found out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tinydl import kernels
from tinydl.benchmarks.kernels import RIVAL, disagreement, dtype_of, numpy_forward
from tinydl.kernels import Card, card
from tinydl.lab.verify import copied

torch = pytest.importorskip("torch")
NAMED = [(c.op, name) for c in kernels.cards() for name in c.rivals]


def call(about: Card, name: str) -> tuple[Any, tuple[Any, ...]]:
    with numpy_forward(about):
        arguments = next(iter(about.cases.values()))(np.dtype(dtype_of(about)).type)
    return about.rivals[name](torch, *copied(arguments)), arguments


def test_most_operations_have_a_rival() -> None:
    without = {c.op for c in kernels.cards() if not c.rivals}
    assert {op for op in without if not op.startswith("random_")} == {  # PyTorch has none of these
        "nade_forward", "nade_backward", "nade_sample", "gibbs", "omd_", "optimistic_adam_",
        "ctc_backward",  # its own is another off log_softmax
        "flat_places", "moving_average",  # parts of its operations
    }  # fmt: skip
    assert all(name == RIVAL or name.startswith(f"{RIVAL} ") for _, name in NAMED)


@pytest.mark.parametrize(("op", "name"), NAMED, ids=[f"{op}-{name}" for op, name in NAMED])
def test_a_rival_computes_the_same(op: str, name: str) -> None:
    about = card(op)
    made, arguments = call(about, name)
    assert disagreement(about, made, arguments) == ""
    made()  # a backward can be called again


def test_a_rival_that_computes_something_else_is_found_out() -> None:
    _, arguments = call(card("sigmoid"), "torch")
    about = dataclasses.replace(card("sigmoid"), rivals={"torch": card("silu").rivals["torch"]})
    assert "result 0 is off by" in disagreement(about, call(about, "torch")[0], arguments)
    shorter = torch.zeros(3)
    assert "result 0 has shape (3,)" in disagreement(about, lambda: shorter, arguments)
    nans = torch.full(arguments[0].shape, float("nan"))
    assert "result 0 is off by nan" in disagreement(about, lambda: nans, arguments)
