"""Tensors on another device: made, moved, mixed, changed in place; random numbers; what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.devices import ELSEWHERE


def numbers(x: Any) -> Any:
    return x.detach().cpu().numpy()


def test_a_tensor_goes_there_and_back(device: str) -> None:
    x = tinydl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.to(device)
    assert y.device == "cuda:0" and y.is_cuda and y.get_device() == 0 and not x.is_cuda
    (y * y).sum().backward()
    assert x.grad.device == "cpu"
    np.testing.assert_array_equal(x.grad.numpy(), 2 * numbers(x))
    assert y.to(device) is y and y.cuda() is y and y.to("cuda:0") is y
    np.testing.assert_array_equal(y.cpu().detach().numpy(), numbers(x))
    assert repr(y.detach()) == "tensor([[1., 2.],\n        [3., 4.]], device='cuda:0')"


@pytest.mark.parametrize(
    "made",
    [
        lambda d: tinydl.zeros(2, 3, device=d), lambda d: tinydl.ones((2,), device=d),
        lambda d: tinydl.full((2,), 7, device=d), lambda d: tinydl.arange(5, device=d),
        lambda d: tinydl.linspace(0, 1, 5, device=d), lambda d: tinydl.eye(3, device=d),
        lambda d: tinydl.tensor([1, 2], device=d), lambda d: tinydl.as_tensor(np.ones(2), device=d),
        lambda d: tinydl.zeros_like(tinydl.ones(2, device=d)), lambda d: tinydl.ones(2, device=d).new_zeros(3),
        lambda d: tinydl.tril_indices(3, 3, device=d),
    ],
)  # fmt: skip
def test_tensors_are_made_there(made: Any, device: str) -> None:
    x = made(device)
    assert x.is_cuda
    np.testing.assert_array_equal(numbers(x), made("cpu").numpy())


@pytest.mark.parametrize(
    "drawn",
    [
        lambda d: tinydl.rand(7, device=d), lambda d: tinydl.randn(7, device=d),
        lambda d: tinydl.randint(0, 9, (7,), device=d), lambda d: tinydl.randperm(7, device=d),
        lambda d: tinydl.zeros(7, device=d).uniform_(), lambda d: tinydl.zeros(7, device=d).normal_(),
        lambda d: tinydl.full((7,), 0.5, device=d).bernoulli(), lambda d: tinydl.ones(4, device=d).multinomial(3),
        lambda d: tinydl.rand_like(tinydl.ones(7, device=d)),
    ],
)  # fmt: skip
def test_random_numbers_have_the_same_bits(drawn: Any, device: str) -> None:
    tinydl.manual_seed(5)
    here = drawn("cpu").numpy()
    tinydl.manual_seed(5)
    x = drawn(device)
    assert x.is_cuda
    np.testing.assert_array_equal(numbers(x), here)


def test_two_devices_in_one_operation_are_refused(device: str) -> None:
    x, y = tinydl.ones(3, device=device), tinydl.ones(3)
    linear = tinydl.nn.functional.linear
    for call in (lambda: x + y, lambda: y * x, lambda: linear(x, tinydl.ones(2, 3)), lambda: x @ y):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device, but found at least two"):
            call()
    assert numbers(x + tinydl.tensor(2.0)).tolist() == [3.0] * 3  # one without dimensions comes along


def test_nothing_leaves_the_device_unasked(device: str) -> None:
    x = tinydl.ones(3, device=device)
    for call in (x.numpy, lambda: np.asarray(x)):
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            call()
    assert x.tolist() == [1.0, 1.0, 1.0] and float(x[0]) == 1.0 and x.numpy(force=True).tolist() == [1.0] * 3


def test_indexing_and_assignment(device: str) -> None:
    a = np.arange(12.0).reshape(3, 4)
    for index in (1, (slice(None), 2), [0, 2], np.array([True, False, True]), (Ellipsis, None), ([0, 1], [1, 3])):
        x, y = tinydl.tensor(a, device=device), tinydl.tensor(a)
        np.testing.assert_array_equal(numbers(x[index]), y[index].numpy())
        x[index] = 5.0
        y[index] = 5.0
        np.testing.assert_array_equal(numbers(x), y.numpy())
        at = tinydl.tensor(index, device=device) if isinstance(index, (list, np.ndarray)) else index
        np.testing.assert_array_equal(numbers(x[at]), y[index].numpy())


def test_in_place_changes_are_noticed(device: str) -> None:
    x = tinydl.ones(3, device=device, requires_grad=True)
    h = x * 2
    y = (h * h).sum()
    with tinydl.no_grad():
        h.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    z = tinydl.zeros(2, 3, device=device)
    z[0].add_(2.0)
    z.mul_(3.0)
    assert numbers(z).tolist() == [[6.0] * 3, [0.0] * 3]


def test_gradients_add_up_in_place(device: str) -> None:
    x = tinydl.ones(3, device=device, requires_grad=True)
    (x * x).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad is first and numbers(first).tolist() == [4.0] * 3


def test_what_is_not_there_is_said_in_a_sentence(device: str) -> None:
    for wanted in ("cuda:1", "mps", "xpu"):
        with pytest.raises(RuntimeError, match=r"(there is no device 'cuda:1')|(backend is available)"):
            tinydl.zeros(2, device=wanted)


def test_programs_on_the_cpu_are_not_asked_where_they_are() -> None:
    if not ELSEWHERE:
        from tinydl.ops import activations, elementwise

        for op in (elementwise.mul, elementwise.add, activations.gelu):
            namespace = op.__globals__
            assert namespace["forward"] is op.op.function
