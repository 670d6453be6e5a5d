"""Hooks on gradients: of leaves, of results, after accumulation; their order, and how they are taken away."""

from __future__ import annotations

from typing import Any

import pytest

import tinydl
from tinydl import autograd


def leaf() -> tinydl.Tensor:
    return tinydl.tensor([1.0, 2.0], requires_grad=True)


def test_a_hook_of_a_leaf_sees_its_whole_gradient_once_and_may_replace_it() -> None:
    x, seen = leaf(), []
    x.register_hook(lambda g: seen.append(g.tolist()))  # type: ignore[func-returns-value]
    handle = x.register_hook(lambda g: g * 10)
    (x * 2 + x * 3).sum().backward()
    assert seen == [[5.0, 5.0]] and x.grad.tolist() == [50, 50]
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    assert seen[1:] == [[2.0, 2.0]] and x.grad.tolist() == [52, 52]


def test_hooks_run_in_order_then_what_is_kept_then_after_accumulation() -> None:
    x, order = leaf(), []
    h = x * 2
    h.retain_grad()
    h.register_hook(lambda g: order.append("first") or g * 3)  # type: ignore[func-returns-value]
    h.register_hook(lambda g: order.append(f"second of {g.tolist()}"))  # type: ignore[func-returns-value]
    x.register_hook(lambda g: order.append("leaf"))  # type: ignore[func-returns-value]
    x.register_post_accumulate_grad_hook(lambda p: order.append(f"after {p.grad.tolist()}"))
    h.sum().backward()
    assert order == ["first", "second of [3.0, 3.0]", "leaf", "after [6.0, 6.0]"]
    assert h.grad.tolist() == [3, 3]


def test_an_optimizer_step_in_a_hook_after_accumulation() -> None:
    x = leaf()

    def step(p: Any) -> None:
        with tinydl.no_grad():
            p -= 0.5 * p.grad
        p.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * 2).sum().backward()
    assert x.tolist() == [0, 1] and x.grad is None


def test_hooks_and_grad() -> None:
    """``grad`` calls the hooks of what it is asked for, accumulates nothing, and calls no hook after accumulation."""
    x, called = leaf(), []
    h = x * 1
    x.register_hook(lambda g: g * 2)
    h.register_hook(lambda g: g * 5)
    x.register_post_accumulate_grad_hook(lambda p: called.append(1))
    gx, gh, again = autograd.grad((h * 3).sum(), [x, h, x])
    assert gx.tolist() == again.tolist() == [30, 30] and gh.tolist() == [15, 15] and not called and x.grad is None
    (x * 3).sum().backward(inputs=[x])
    assert called == [1] and x.grad.tolist() == [6, 6]


def test_hooks_under_create_graph_are_recorded() -> None:
    x = leaf()
    handle = x.register_hook(lambda g: g * g)
    (g,) = autograd.grad((x**3).sum(), x, create_graph=True)
    assert g.tolist() == [9, 144]
    handle.remove()  # it would see the second derivative too
    assert autograd.grad(g.sum(), x)[0].tolist() == [36, 288]  # d/dx 9 x^4


def test_a_kept_gradient_does_not_share_memory_with_the_graph() -> None:
    x, kept = leaf(), []
    x.register_hook(lambda g: kept.append(g))  # type: ignore[func-returns-value]
    (x * 2).sum().backward()
    x.grad.zero_()
    assert kept[0].tolist() == [2, 2]


def test_hooks_survive_in_place_changes_and_no_grad_steps() -> None:
    x, seen = leaf(), []
    x.register_hook(lambda g: seen.append(g.tolist()))  # type: ignore[func-returns-value]
    with tinydl.no_grad():
        x *= 2.0
    (x * x).sum().backward()
    assert seen == [[4.0, 8.0]]
    h = leaf() * 2
    h.register_hook(lambda g: seen.append(g.tolist()))  # type: ignore[func-returns-value]
    h *= 3.0  # the hook belongs to the value before
    h.sum().backward()
    assert seen[1:] == [[3.0, 3.0]]


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda x: tinydl.ones(2).register_hook(print), RuntimeError, "doesn't require gradient; call requires_grad_"),
        (
            lambda x: tinydl.ones(2).register_post_accumulate_grad_hook(print),
            RuntimeError,
            "doesn't require gradient; call requires_grad_",
        ),
        (lambda x: (x * 2).register_post_accumulate_grad_hook(print), RuntimeError, "non-leaf tensors; use register"),
        (lambda x: x.register_hook(3), TypeError, "a hook is a function of the gradient, got a int"),
        (lambda x: tinydl.ones(2).retain_grad(), RuntimeError, "can't retain_grad on Tensor that has requires_grad=F"),
    ],
)
def test_hooks_that_make_no_sense(use: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        use(leaf())


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (
            tinydl.ones(3),
            RuntimeError,
            r"a hook returned a gradient of shape \(3,\) and dtype float32, expected \(2,\)",
        ),
        (tinydl.ones(2, dtype=tinydl.float64), RuntimeError, "dtype float64, expected .* float32"),
        (3.0, TypeError, "a hook returned a float; return the new gradient, a Tensor, or None"),
    ],
)
def test_a_hook_that_returns_something_else(result: Any, error: type[Exception], message: str) -> None:
    for x in (leaf(), leaf() * 2):
        x.register_hook(lambda g: result)
        with pytest.raises(error, match=message):
            x.sum().backward()
