"""Variants of one kernel operation are interchangeable: the same parameters, and a plain NumPy twin of every one."""

from __future__ import annotations

import importlib
import inspect
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from tests.meta.tree import ROOT
from tinydl import kernels
from tinydl.kernels.registry import TOOLS


def by_operation() -> dict[str, list[kernels.Variant]]:
    found: dict[str, list[kernels.Variant]] = defaultdict(list)
    for variant in kernels.variants():
        found[variant.op].append(variant)
    return dict(found)


OPERATIONS = by_operation()


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Names and defaults in order; a compiled kernel is asked for the Python function it came from."""
    signature = inspect.signature(getattr(function, "py_func", function))
    return [(p.name, p.default) for p in signature.parameters.values()]


def test_there_are_operations() -> None:
    assert {"matmul", "lstm_forward", "lstm_backward", "gru_forward", "gru_backward"} <= set(OPERATIONS)


@pytest.mark.parametrize("op", OPERATIONS)
def test_variants_take_the_same_arguments(op: str) -> None:
    first, *others = OPERATIONS[op]
    for other in others:
        assert parameters(other.function) == parameters(first.function), f"{op}: {other.name} against {first.name}"


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_has_a_plain_numpy_twin(op: str) -> None:
    reference = [variant for variant in OPERATIONS[op] if variant.name == "numpy"]
    assert len(reference) == 1, f"{op} has {[variant.name for variant in OPERATIONS[op]]}"
    assert reference[0].accepts is None, f"{op}: the reference takes every argument"
    others = {dtype for variant in OPERATIONS[op] for dtype in variant.dtypes}
    assert not reference[0].dtypes or others <= set(reference[0].dtypes), f"{op}: the reference takes every dtype"


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_stands_on_its_familys_card(op: str) -> None:
    family = OPERATIONS[op][0].function.__module__.rpartition(".")[0]
    card = inspect.getdoc(importlib.import_module(f"{family}.spec")) or ""
    names = {op, *(op.replace(cell, "<cell>") for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu"))}
    assert any(name in card for name in names), f"the docstring of {family}.spec does not describe {op}"


def test_every_family_has_a_card() -> None:
    families = [path for path in (ROOT / "kernels").iterdir() if (path / "__init__.py").exists()]
    assert families
    bare = [p.name for p in families if p.name not in TOOLS and not (p / "spec.py").exists()]
    assert not bare, f"kernels/{{{','.join(bare)}}} lack spec.py"
