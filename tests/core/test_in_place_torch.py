"""In-place forms that random programs found different from PyTorch's, one test each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

NUMBERS = [[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]]

WRITES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "zero_": lambda t, h, v: h.zero_(),
    "fill_ with a number": lambda t, h, v: h.fill_(2.0),
    "fill_ with a tensor": lambda t, h, v: h.fill_(v[0]),
    "copy_ of a constant": lambda t, h, v: h.copy_(t.ones(3, dtype=t.float64)),
    "copy_ of a recorded value": lambda t, h, v: h.copy_(v),
    "setitem with leading ones": lambda t, h, v: h.__setitem__((0, 1), (v[0] * 2).reshape(1, 1)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_recorded_writes(write: Callable[[Any, Any, Any], Any]) -> None:
    """The result hangs on what was overwritten, which gets the gradient 0, and on what was written."""
    found = []
    for t in (tinydl, torch):
        x = t.tensor(NUMBERS, dtype=t.float64, requires_grad=True)
        v = t.tensor([2.0, 3.0, 4.0], dtype=t.float64, requires_grad=True)
        h = x * 3
        write(t, h, v)
        assert h.requires_grad
        grads = t.autograd.grad((h * h).sum(), [x, v], allow_unused=True)
        found.append([h.detach().numpy(), *(np.zeros(3) if g is None else g.numpy() for g in grads)])
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("library", [tinydl, torch], ids=["tinydl", "torch"])
def test_an_unrecorded_assignment_drops_leading_ones(library: Any) -> None:
    x = library.zeros(3)
    x[1] = library.ones(1, 1)
    assert x.tolist() == [0, 1, 0]


@pytest.mark.parametrize("library", [tinydl, torch], ids=["tinydl", "torch"])
def test_expanded_memory_is_not_written(library: Any) -> None:
    x = library.zeros(3).expand(2, 3)
    with pytest.raises(
        RuntimeError, match="more than one element of the written-to tensor .*refers to a single memory"
    ):
        x.add_(1)
    with pytest.raises(RuntimeError, match="refers to a single memory location"):
        x[:] = 1
    empty = library.zeros(0).expand(2, 0)
    empty.add_(1)
    empty[:] = 1
    assert not x.sum().item()


def test_fill_takes_one_number() -> None:
    with pytest.raises(RuntimeError, match="fill_ only supports 0-dimension value tensor but got tensor with 1 dim"):
        tinydl.zeros(2).fill_(tinydl.ones(2))


@pytest.mark.parametrize("library", [tinydl, torch], ids=["tinydl", "torch"])
def test_what_a_rule_does_not_need_may_be_written(library: Any) -> None:
    """x ** 2 and a / b have no use for their result, so that it is free to change."""
    x = library.tensor([1.0, 2.0], requires_grad=True)
    for make in (lambda: x**2, lambda: x / x.detach(), lambda: 3.0 / (1 / x) if library is tinydl else 3.0 * x):
        y = make()
        loss = y.sum()
        y.detach().zero_()
        loss.backward()
    assert x.grad is not None


@pytest.mark.parametrize("library", [tinydl, torch], ids=["tinydl", "torch"])
def test_joining_an_empty_vector_records(library: Any) -> None:
    x = library.tensor([1.0, -2.0], requires_grad=True)
    joined = library.cat([x[x > 5], library.ones(2)])
    assert joined.requires_grad
    joined.sum().backward()
    assert x.grad.tolist() == [0, 0]


@pytest.mark.parametrize("library", [tinydl, torch], ids=["tinydl", "torch"])
def test_flattening_one_dimension_is_nothing(library: Any) -> None:
    x = library.ones(2, 3, requires_grad=True)
    assert x.flatten(1, 1) is x
