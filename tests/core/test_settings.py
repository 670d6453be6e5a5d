"""Primitives whose settings may be given by position: the public function is the operation itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import tinydl
from tinydl.autograd import gradcheck, gradgradcheck
from tinydl.autograd.primitives import Primitive


def operation(function: Any, settings: str, rule: Any, view: bool = False) -> Primitive:
    """A primitive of one input that the registry does not know of."""
    return Primitive(
        function, None, function.__name__, None, view, True, ("out",), (), None, None, (), tuple(settings.split()),
        {"input": rule},
    )  # fmt: skip


def exchange(input: Any, dim0: Any, dim1: Any = -1, *, note: Any = None) -> Any:
    return input.swapaxes(dim0, dim1)


def shaped(input: Any, *shape: Any, note: Any = None) -> Any:
    return input.reshape(*shape)


EXCHANGE = operation(exchange, "dim0 dim1", lambda g, dim0, dim1: EXCHANGE.call(g, dim0, dim1), view=True)
SHAPED = operation(shaped, "shape", lambda g, input_shape: SHAPED.call(g, input_shape), view=True)


def test_settings_by_position_by_name_and_left_out() -> None:
    x = tinydl.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    for y in (EXCHANGE.call(x, 0), EXCHANGE.call(x, 0, 1), EXCHANGE.call(x, dim1=1, dim0=0, note="")):
        assert y.shape == (3, 2) and y.requires_grad and np.shares_memory(y.array, x.array)
    for y in (SHAPED.call(x, 3, 2), SHAPED.call(x, (3, 2)), SHAPED.call(x, -1, 2, note="")):
        assert y.shape == (3, 2)
    with pytest.raises(TypeError, match="dim0"):
        EXCHANGE.call(x)


@pytest.mark.parametrize("f", [lambda x: EXCHANGE.call(x, 0, 1) ** 2, lambda x: SHAPED.call(x, 3, -1) ** 2])
def test_their_derivatives(f: Any) -> None:
    x = tinydl.tensor(np.random.default_rng(0).normal(size=(2, 3)), requires_grad=True)
    assert gradcheck(f, (x,)) and gradgradcheck(f, (x,))


def test_arrays_stay_arrays_and_the_public_call_makes_tensors() -> None:
    array = np.ones((2, 3))
    assert type(EXCHANGE.call(array, 0, 1)) is np.ndarray and type(SHAPED.call(array, 6)) is np.ndarray
    made, other = EXCHANGE.public_call(array, 0, 1), SHAPED.public_call([[1.0, 2.0]], 2, 1)
    assert isinstance(made, tinydl.Tensor) and made.shape == (3, 2)
    assert isinstance(other, tinydl.Tensor) and other.shape == (2, 1)


def top(input: Any, dim: Any = -1) -> Any:
    at = np.argmax(input, axis=dim, keepdims=True)
    return np.take_along_axis(input, at, dim), at


class Found(NamedTuple):
    """As PyTorch's return types."""

    values: Any
    indices: Any


def of_top(g: Any, indices: Any, dim: Any, input_shape: Any) -> Any:
    out = np.zeros(input_shape, g.dtype)
    np.put_along_axis(out, indices, g, dim)
    return out


TOP = Primitive(
    top, None, "top", None, False, True, ("values", "indices"), (), None, None, (), ("dim",), {"input": of_top},
    ("indices",), Found,
)  # fmt: skip


def test_results_without_derivative_stand_beside_those_with_one() -> None:
    x = tinydl.tensor([[1.0, 5.0, 2.0], [7.0, 0.0, 3.0]], requires_grad=True)
    found = TOP.call(x, 1)
    assert isinstance(found, Found) and found.values.requires_grad and not found.indices.requires_grad
    assert found.indices.tolist() == [[1], [0]] and found.indices.is_leaf
    (found.values * tinydl.tensor([[2.0], [3.0]])).sum().backward()
    assert x.grad.tolist() == [[0, 2, 0], [3, 0, 0]]
    with tinydl.no_grad():
        assert not TOP.call(x).values.requires_grad
    values, indices = TOP.call(x.array)
    assert type(values) is type(indices) is np.ndarray


def test_a_saved_result_without_derivative_may_not_change() -> None:
    x = tinydl.tensor([[1.0, 5.0], [7.0, 0.0]], requires_grad=True)
    found = TOP.call(x)
    found.indices[0] = 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        found.values.sum().backward()


@pytest.mark.parametrize("asked", ["other", "other_shape", "input_size", "other_dtype", "shape"])
def test_a_rule_may_ask_for_what_there_is_alone(asked: str) -> None:
    rule: Any = eval(f"lambda g, {asked}: g")
    with pytest.raises(TypeError, match=f"a rule asks for {asked!r}, which is no input, output, static keyword or <"):
        operation(lambda input: input * 1, "", rule)
    for there in ("input", "input_shape", "input_dtype", "out"):
        operation(lambda input: input * 1, "", eval(f"lambda g, {there}: g"))
