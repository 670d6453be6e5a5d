"""Deep graphs: a hundred thousand nodes to second order, a million to first, under the ordinary recursion limit."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest

import tinydl
from tinydl import autograd

# Microseconds of processor time a node, forward and backward together: PyTorch takes about 40, and the promise is 150.
# Measured on one core: 4.8 (first order) and 17.8 (second).
LIMIT = 150


@pytest.fixture(autouse=True)
def _the_recursion_limit_stays() -> Any:
    before = sys.getrecursionlimit()
    assert before <= 1000
    yield
    assert sys.getrecursionlimit() == before


def test_a_million_nodes_first_order() -> None:
    x = tinydl.tensor([1.0, 2.0], requires_grad=True, dtype=tinydl.float64)
    start = time.process_time()
    h = x
    for _ in range(1_000_000):
        h = h * 1.0
    h.sum().backward()
    spent = (time.process_time() - start) / 1_000_000 * 1e6
    assert x.grad.tolist() == [1, 1]
    del h  # a million nodes die one after the other: no recursion there either
    assert spent < LIMIT, f"{spent:.1f} us a node"


def test_a_hundred_thousand_nodes_second_order() -> None:
    x = tinydl.tensor(0.5, requires_grad=True, dtype=tinydl.float64)
    start = time.process_time()
    h = x
    for _ in range(50_000):
        h = h * 0.5 + x
    (g,) = autograd.grad(h * h, x, create_graph=True)
    (gg,) = autograd.grad(g, x)
    spent = (time.process_time() - start) / 100_000 * 1e6
    # h = 2 x in the limit, so (h^2)'' = 8.
    assert gg.item() == pytest.approx(8.0)
    assert spent < LIMIT, f"{spent:.1f} us a node"
    del h, g, gg


def test_wide_and_deep_at_once() -> None:
    """A value used a hundred thousand times, and a chain of modules of state: heap and stack, no recursion."""
    x = tinydl.tensor(1.0, requires_grad=True)
    total = x
    for k in range(100_000):
        total = total + x * float(k % 3)
    total.backward()
    assert x.grad.item() == 1 + sum(k % 3 for k in range(100_000))


def test_a_deep_graph_dies_in_a_thread_with_a_small_stack() -> None:
    """256 kB of stack: what recursed once per node would end the process."""
    found: list[Any] = []

    def work() -> None:
        y = tinydl.tensor(1.0, requires_grad=True)
        h = y
        for _ in range(100_000):
            h = h.sin()
        found.append(autograd.grad(h, y)[0].item())

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(found) == 1
