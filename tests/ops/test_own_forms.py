"""Forms of calls that PyTorch has not, or warns of: defaults, lists for arguments; and the order of products."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.autograd import gradcheck


def leaf(*shape: int) -> Any:
    return tinydl.tensor(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), requires_grad=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_is_over_the_last_dimension_by_default(name: str) -> None:
    x = leaf(2, 3, 4)
    function = getattr(tinydl, name)
    np.testing.assert_array_equal(function(x).array, function(x, 2).array)
    np.testing.assert_allclose(function(x, dtype=tinydl.float32).array, function(x, 2).array, rtol=1e-6)


def test_chain_matmul_takes_a_list_too() -> None:
    a, b, c = leaf(2, 3), leaf(3, 4), leaf(4, 1)
    for given in ([a, b, c], (a, b, c)):
        np.testing.assert_array_equal(tinydl.chain_matmul(given).array, tinydl.chain_matmul(a, b, c).array)
    assert tinydl.chain_matmul([a]) is a and tinydl.chain_matmul(a) is a
    with pytest.raises(RuntimeError, match="expected at least 2 tensors but got 0"):
        tinydl.chain_matmul()


@pytest.mark.parametrize(("sizes", "left"), [((1, 5, 6, 1), False), ((1, 5, 6, 5), True), ((6, 1, 6, 1), False)])
def test_products_are_bracketed_where_they_cost_least(sizes: tuple[int, ...], left: bool) -> None:
    """(a b) c takes p0 p1 p2 + p0 p2 p3 multiplications, a (b c) takes p1 p2 p3 + p0 p1 p3."""
    a, b, c = (leaf(m, n) for m, n in zip(sizes, sizes[1:]))
    y = tinydl.linalg.multi_dot([a, b, c])
    (first, _), (last, _) = y.grad_fn.next_functions
    assert (last is c) == left and (first is a) != left
    np.testing.assert_allclose(y.array, a.array @ b.array @ c.array, rtol=1e-13)


def test_close_by_default() -> None:
    """|a - b| <= 1e-8 + 1e-5 |b|."""
    one, zero = tinydl.tensor([1.0], dtype=tinydl.float64), tinydl.zeros(1, dtype=tinydl.float64)
    for function in (tinydl.isclose, tinydl.allclose):
        assert [bool(function(one + by, one)) for by in (0.9e-5, 1.1e-5, -0.9e-5, -1.1e-5)] == [True, False] * 2
        assert [bool(function(zero + by, zero)) for by in (0.9e-8, 1.1e-8)] == [True, False]
        assert not bool(function(zero * float("nan"), zero * float("nan")))
        assert [bool(function(one, zero, rtol=0.0, atol=a)) for a in (1.0, 0.99)] == [True, False]


def test_a_value_to_fill_with_has_a_gradient_of_its_own_dtype() -> None:
    x = tinydl.zeros(3, dtype=tinydl.float64)
    value = tinydl.tensor(2.0, requires_grad=True)
    y = x.index_fill(0, tinydl.tensor([0, 2, 2]), value)
    assert y.dtype == tinydl.float64 and y.tolist() == [2, 0, 2]
    y.sum().backward()
    assert value.grad.dtype == tinydl.float32 and value.grad.item() == 2


def test_paths_of_no_steps_in_the_definition_of_ctc() -> None:
    """Of an input of no steps: no loss for a target of none, and an infinite one for any other."""
    from tinydl.ops.ctc import ctc_definition

    log_probs = tinydl.tensor(np.log(np.full((2, 4, 3), 1 / 3)))
    for zero, infinite in ((False, float("inf")), (True, 0.0)):
        loss = ctc_definition(
            log_probs, np.array([[1, 2], [1, 2], [1, 2], [1, 1]]), input_lengths=np.array([0, 0, 2, 2]),
            target_lengths=np.array([0, 1, 0, 2]), blank=0, zero_infinity=zero, reduction="none",
        )  # fmt: skip
        np.testing.assert_allclose(loss.tolist(), [0, infinite, 2 * np.log(3), infinite], rtol=1e-12)


def test_a_pseudo_inverse_and_its_singular_values_add_their_gradients() -> None:
    from tinydl.ops.factors import pinv_of

    def both(a: tinydl.Tensor) -> tinydl.Tensor:
        P, S = pinv_of(a, atol=1e-6, rtol=None)
        return (P * P).sum() + (S**3).sum()

    a = tinydl.tensor([[1.0, 0.5], [-0.25, 2.0], [0.5, -1.0]], dtype=tinydl.float64, requires_grad=True)
    assert gradcheck(both, (a,))


@pytest.mark.parametrize("wanted", list(itertools.product((False, True), repeat=3)), ids=str)
@pytest.mark.parametrize("lead", [(), (2,), (3000,), (2, 5)], ids=str)
def test_a_linear_layer_gives_the_gradients_that_are_asked_for(
    wanted: tuple[bool, bool, bool], lead: tuple[int, ...]
) -> None:
    rows = int(np.prod(lead))
    x, w, b = (tinydl.ones(*shape, requires_grad=r) for shape, r in zip(((*lead, 3), (200, 3), (200,)), wanted))
    y = tinydl.nn.functional.linear(x, w, b)
    assert y.requires_grad == any(wanted)
    if any(wanted):
        y.sum().backward()
    for leaf, r, value in zip((x, w, b), wanted, (200.0, float(rows), float(rows))):
        assert (leaf.grad is not None) == r and (not r or bool((leaf.grad == value).all()))
