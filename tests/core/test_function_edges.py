"""``autograd.Function`` at its edges: optional gradients, outputs without one, keywords, modes, what is saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd


def leaf(*shape: int) -> tinydl.Tensor:
    return tinydl.tensor(np.random.default_rng(2).uniform(0.5, 1.5, shape), requires_grad=True)


def function(forward: Any, backward: Any) -> Any:
    """A Function of two functions."""
    return type("Made", (autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def test_an_input_that_needs_no_gradient_may_be_given_one_and_the_other_none() -> None:
    both = function(lambda ctx, a, b: a + b, lambda ctx, g: (g, g))
    none = function(lambda ctx, a, b: a + b, lambda ctx, g: (None, g))
    x, constant = leaf(3), tinydl.ones(3, dtype=tinydl.float64)
    both.apply(constant, x).sum().backward()
    both.apply(x, constant).sum().backward()
    assert (x.grad.array == 2).all() and constant.grad is None
    a, b = leaf(3), leaf(3)
    none.apply(a, b).sum().backward()
    assert a.grad is None and (b.grad.array == 1).all()


def test_further_gradients_may_be_none_and_nothing_else() -> None:
    padded = function(lambda ctx, a: a * 2, lambda ctx, g: (g * 2, None, None))
    x = leaf(2)
    padded.apply(x).sum().backward()
    assert (x.grad.array == 2).all()
    excess = function(lambda ctx, a: a * 2, lambda ctx, g: (g * 2, g))
    with pytest.raises(RuntimeError, match=r"incorrect number of gradients \(expected 1, got 2\)"):
        excess.apply(leaf(2)).sum().backward()
    with pytest.raises(RuntimeError, match=r"incorrect number of gradients \(expected 1, got 2\)"):
        function(lambda ctx, a: a * 2, lambda ctx, g: (None, g)).apply(leaf(2)).sum().backward()


def test_a_gradient_may_be_an_array_or_of_another_dtype_or_broadcast() -> None:
    x = leaf(2, 3)
    function(lambda ctx, a: a * 2, lambda ctx, g: g.array * 2).apply(x).sum().backward()
    assert type(x.grad) is tinydl.Tensor and (x.grad.array == 2).all()
    single = tinydl.ones(2, requires_grad=True)
    function(lambda ctx, a: a.double(), lambda ctx, g: g * 3).apply(single).sum().backward()
    assert single.grad.dtype == tinydl.float32 and (single.grad.array == 3).all()
    row = leaf(3)
    function(lambda ctx, a: a + tinydl.zeros(2, 3, dtype=tinydl.float64), lambda ctx, g: g).apply(row).sum().backward()
    assert row.grad.shape == (3,) and (row.grad.array == 2).all()


def test_keywords_reach_forward() -> None:
    scaled = function(lambda ctx, a, *, by, plus: a * by + plus, lambda ctx, g: g * 3)
    x = leaf(2)
    y = scaled.apply(x, by=3, plus=tinydl.ones(2, dtype=tinydl.float64))
    np.testing.assert_allclose(y.array, x.array * 3 + 1)
    with pytest.raises(TypeError, match="'plus' requires a gradient; pass it by position"):
        scaled.apply(x, by=3, plus=leaf(2))


def test_nothing_is_recorded_without_need() -> None:
    double = function(lambda ctx, a: a * 2, lambda ctx, g: g * 2)
    with tinydl.no_grad():
        y = double.apply(leaf(2))
    assert not y.requires_grad and y.grad_fn is None
    z = double.apply(tinydl.ones(2))
    assert not z.requires_grad and z.grad_fn is None
    assert tinydl.is_grad_enabled()


def test_the_mode_is_restored_when_forward_raises() -> None:
    def fails(ctx: Any, a: Any) -> Any:
        assert not tinydl.is_grad_enabled()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        function(fails, lambda ctx, g: g).apply(leaf(2))
    assert tinydl.is_grad_enabled()


def test_outputs_without_gradient() -> None:
    def forward(ctx: Any, a: Any) -> Any:
        marked, index = a * 1, a.argmax()
        ctx.mark_non_differentiable(marked)
        return a * 2, marked, index, 7

    def backward(ctx: Any, g: Any, g_marked: Any, g_index: Any) -> Any:
        assert g_marked.shape == (3,) and not g_marked.array.any()
        return g * 2

    x = leaf(3)
    y, marked, index, seven = function(forward, backward).apply(x)
    assert y.requires_grad and not marked.requires_grad and not index.requires_grad and seven == 7
    y.sum().backward()
    assert (x.grad.array == 2).all()


def test_gradients_that_nothing_contributed_to_are_zeros_or_none() -> None:
    seen: list[Any] = []

    def forward(ctx: Any, a: Any, materialize: bool) -> Any:
        ctx.set_materialize_grads(materialize)
        return a * 2, (a * 3).float()

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        seen.append((h, ctx.needs_input_grad))
        return g * 2, None

    pair = function(forward, backward)
    for materialize in (True, False):
        pair.apply(leaf(2, 3), materialize)[0].sum().backward()
    (zeros, needs), (nothing, _) = seen
    assert zeros.shape == (2, 3) and zeros.dtype == tinydl.float32 and not zeros.array.any()
    assert nothing is None and needs == (True, False)


@pytest.mark.parametrize("used", [0, 1])
def test_each_of_two_outputs_leads_back(used: int) -> None:
    pair = function(lambda ctx, a: (a * 2, a * 3), lambda ctx, g, h: g * 2 + h * 3)
    x = leaf(2)
    pair.apply(x)[used].sum().backward()
    assert (x.grad.array == used + 2).all()


def test_saved_inputs_outputs_and_constants_come_back_as_they_were() -> None:
    constant = tinydl.full((2,), 3.0, dtype=tinydl.float64)

    def forward(ctx: Any, a: Any) -> Any:
        y, z = a * a, a * constant
        ctx.save_for_backward(a, y, z, constant, None)
        return y, z

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        a, y, z, c, nothing = ctx.saved_tensors
        assert nothing is None and not c.requires_grad
        if tinydl.is_grad_enabled():
            assert a.requires_grad and y.requires_grad and z.requires_grad and y.grad_fn is not z.grad_fn
        return g * 2 * y / a + h * z / a

    x = leaf(2)
    f = function(forward, backward)
    assert autograd.gradcheck(lambda a: f.apply(a)[0] + f.apply(a)[1], (x,))
    assert autograd.gradgradcheck(lambda a: f.apply(a)[0] + f.apply(a)[1], (x,))


def test_saved_tensors_can_be_read_when_nothing_is_recorded() -> None:
    read: list[Any] = []

    def forward(ctx: Any, a: Any) -> Any:
        ctx.save_for_backward(a)
        return a * 2

    made = function(forward, lambda ctx, g: g)
    original = made.forward

    def keeping(ctx: Any, a: Any) -> Any:
        read.append(ctx)
        return original(ctx, a)

    made.forward = staticmethod(keeping)
    x = tinydl.ones(2)
    made.apply(x)
    assert read[0].saved_tensors[0] is x


def test_what_was_saved_is_freed_once() -> None:
    square = function(lambda ctx, a: (ctx.save_for_backward(a), a * a)[1], lambda ctx, g: g * 2 * ctx.saved_tensors[0])
    x = leaf(2)
    y = square.apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.array, 4 * x.array)
    with pytest.raises(RuntimeError, match="Made saved has already been freed"):
        y.backward()
    z = function(lambda ctx, a: a * 2, lambda ctx, g: g * 2).apply(x).sum()
    z.backward()
    z.backward()  # nothing was saved


def test_anomaly_knows_the_line_of_a_function() -> None:
    bad = function(lambda ctx, a: a * 1, lambda ctx, g: g * float("nan"))
    x = leaf(2)
    with autograd.detect_anomaly():
        y = bad.apply(x).sum()  # the line that is named
        with pytest.raises(RuntimeError, match=r"MadeBackward returned nan.*the line that is named"):
            y.backward()


def test_once_differentiable_of_several_gradients() -> None:
    def backward(ctx: Any, g: Any) -> Any:
        assert not tinydl.is_grad_enabled()
        a, b = ctx.saved_tensors
        return g * b, g * a, None

    product = function(
        lambda ctx, a, b, text: (ctx.save_for_backward(a, b), a * b)[1], autograd.once_differentiable(backward)
    )
    a, b = leaf(2), tinydl.ones(2, dtype=tinydl.float64, requires_grad=True)
    product.apply(a, b, "text").sum().backward()
    np.testing.assert_allclose(b.grad.array, a.array)
    g, h = autograd.grad(product.apply(a, b, "text").sum(), (a, b), create_graph=True)
    np.testing.assert_allclose(h.array, a.array)
    for d in (g, h):
        with pytest.raises(RuntimeError, match="differentiate twice"):
            autograd.grad(d.sum(), (a, b), retain_graph=True)


def test_once_differentiable_of_constants_stays_one() -> None:
    double = function(lambda ctx, a: a * 2, autograd.once_differentiable(lambda ctx, g: tinydl.full_like(g, 2.0)))
    x = leaf(2)
    g = tinydl.ones(2, dtype=tinydl.float64)
    (d,) = autograd.grad(double.apply(x), x, g, create_graph=True)
    assert not d.requires_grad and (d.array == 2).all()


def test_an_argument_without_gradient_that_is_returned_stays_as_it_is() -> None:
    """The result requires a gradient because of the other argument; the argument itself does not."""
    first = function(lambda ctx, a, b: a, lambda ctx, g: (None, g * 3))
    constant, x = tinydl.ones(2, dtype=tinydl.float64), leaf(2)
    out = first.apply(constant, x)
    assert out.requires_grad and not constant.requires_grad and out is not constant
    out.sum().backward()
    assert (x.grad.array == 3).all() and constant.grad is None
