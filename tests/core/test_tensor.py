"""Tensors as objects: making them, NumPy's protocols, printing, copying, errors' words."""

from __future__ import annotations

import copy
import pickle  # to send tensors between processes, never to read files
from typing import Any

import numpy as np
import pytest

import tinydl


def test_python_numbers_become_the_default_dtype() -> None:
    assert tinydl.tensor(1.5).dtype == np.float32
    assert tinydl.tensor([[1, 2], [3, 4]]).dtype == np.int64
    assert tinydl.tensor([True]).dtype == np.bool_
    assert tinydl.tensor(np.ones(2)).dtype == np.float64
    assert tinydl.tensor(np.float64(1)).dtype == np.float64
    assert tinydl.tensor([]).dtype == np.float32
    assert tinydl.tensor([1, 2], dtype=tinydl.float64).dtype == np.float64
    assert tinydl.full((2,), 3).dtype == np.int64 and tinydl.full((2,), 3.0).dtype == np.float32
    assert tinydl.arange(3).dtype == np.int64 and tinydl.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert tinydl.tensor([tinydl.tensor(1.0), tinydl.tensor(2.0)]).tolist() == [1, 2]


def test_tensor_copies_and_from_numpy_shares() -> None:
    a = np.ones(3, np.float32)
    assert not np.shares_memory(tinydl.tensor(a).data, a)
    assert np.shares_memory(tinydl.from_numpy(a).data, a)
    with pytest.raises(TypeError, match=r"expected np.ndarray \(got list\)"):
        tinydl.from_numpy([1, 2])  # type: ignore[arg-type]


def test_default_dtype_can_change() -> None:
    tinydl.set_default_dtype(tinydl.float64)
    try:
        assert tinydl.tensor(1.5).dtype == np.float64 and (tinydl.tensor([1, 2]) / 2).dtype == np.float64
    finally:
        tinydl.set_default_dtype(tinydl.float32)
    with pytest.raises(TypeError, match="only floating-point types"):
        tinydl.set_default_dtype(tinydl.int64)


def test_numpy_on_the_left_makes_tensors() -> None:
    x = tinydl.tensor([1.0, 2.0], requires_grad=True)
    for y, want in (
        (np.ones(2, np.float32) * x, [1, 2]),
        (np.float32(2) + x, [3, 4]),
        (np.float64(2) / x, [2, 1]),
        (np.array([[1.0, 1.0]], np.float32) @ x, [3]),
        (np.exp(x * 0), [1, 1]),
        (np.maximum(x, 1.5), [1.5, 2]),
    ):
        assert isinstance(y, tinydl.Tensor) and y.requires_grad and y.dtype == np.float32
        np.testing.assert_allclose(y.detach().numpy(), want)
    assert (np.array([1.0, 5.0]) < x).tolist() == [False, False]
    with pytest.raises(
        TypeError,
        match=r"numpy.spacing is not defined on tinydl tensors; use a tinydl operation, or tensor.detach\(\).numpy\(\)",
    ):
        np.spacing(x)
    with pytest.raises(TypeError, match="with keyword arguments"):
        np.add(x, x, out=np.zeros(2, np.float32))


def test_array_protocol() -> None:
    x = tinydl.tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(x), x.data) and not np.shares_memory(np.array(x), x.data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        np.asarray(tinydl.ones(2, requires_grad=True))
    assert np.shares_memory(np.from_dlpack(x), x.data)
    assert np.shares_memory(tinydl.from_dlpack(x.data).data, x.data)


def test_copies_and_pickles() -> None:
    x = tinydl.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad and y.grad.tolist() == [2, 4] and not np.shares_memory(x.data, y.data)
    z = pickle.loads(pickle.dumps(x))
    assert z.tolist() == [1, 2] and z.requires_grad
    for f in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match=r"detach\(\) it first"):
            f(x * 2)


def test_repr() -> None:
    assert repr(tinydl.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(tinydl.tensor([1, 2])) == "tensor([1, 2])"
    assert repr(tinydl.tensor([1.0], dtype=tinydl.float64)) == "tensor([1.], dtype=tinydl.float64)"
    assert repr(tinydl.tensor(1.0, requires_grad=True)) == "tensor(1., requires_grad=True)"
    assert repr(tinydl.tensor(1.0, requires_grad=True) * 2) == "tensor(2., grad_fn=<mulBackward>)"
    assert repr(tinydl.zeros(0, 3)) == "tensor([], size=(0, 3))"


def test_scalars_lengths_and_truth() -> None:
    assert float(tinydl.tensor([2.5])) == 2.5 and int(tinydl.tensor(3)) == 3 and [1, 2, 3][tinydl.tensor(1)] == 2
    assert bool(tinydl.tensor(0.0)) is False and len(tinydl.zeros(3, 2)) == 3
    assert [float(r.sum()) for r in tinydl.ones(2, 3)] == [3, 3]
    assert 2.0 in tinydl.tensor([1.0, 2.0]) and (tinydl.tensor(1.0) == None) is False  # noqa: E711
    for f, message in (
        (lambda: bool(tinydl.ones(2)), "Boolean value of Tensor with more than one value is ambiguous"),
        (lambda: len(tinydl.tensor(1)), "len\\(\\) of a 0-d tensor"),
        (lambda: tinydl.ones(2).item(), "a Tensor with 2 elements cannot be converted to Scalar"),
        (lambda: [1, 2][tinydl.tensor(1.0)], "only integer tensors of a single element"),
    ):
        with pytest.raises((RuntimeError, TypeError), match=message):
            f()


MISUSE: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: tinydl.ones(2, 3) @ tinydl.ones(4, 5),
        RuntimeError,
        r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)",
    ),
    (
        lambda: tinydl.ones(2, 3) @ tinydl.ones(3, 2, dtype=tinydl.float64),
        RuntimeError,
        "to have the same dtype, but got: float32 != float64",
    ),
    (lambda: tinydl.ones(2, 3).reshape(4), RuntimeError, r"shape '\[4\]' is invalid for input of size 6"),
    (lambda: tinydl.ones(2, 3).T.view(6), RuntimeError, r"Use .reshape\(...\) instead"),
    (
        lambda: tinydl.ones(2, 3).sum(2),
        IndexError,
        r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)",
    ),
    (lambda: tinydl.ones(2, 3).sum((0, 0)), RuntimeError, "dim 0 appears multiple times"),
    (lambda: tinydl.ones(3)[5], IndexError, "index 5 is out of bounds for dimension 0 with size 3"),
    (lambda: tinydl.ones(3)[tinydl.tensor([7])], IndexError, "index 7 is out of bounds for dimension 0 with size 3"),
    (lambda: tinydl.ones(3)[0, 0], IndexError, r"too many indices for tensor of dimension 1; the shape is \(3,\)"),
    (lambda: tinydl.ones(3)[1.5], IndexError, r"only integers, slices .* are valid indices \(got float\)"),
    (lambda: tinydl.ones(3)[::-1], ValueError, "step must be greater than zero"),
    (
        lambda: tinydl.ones(3)[tinydl.tensor([True, False])],
        IndexError,
        r"The shape of the mask \[2\] at index 0 does not match",
    ),
    (
        lambda: tinydl.cat([tinydl.ones(2, 3), tinydl.ones(3, 2)]),
        RuntimeError,
        r"Expected shape \[2, 3\] but got \[3, 2\]",
    ),
    (
        lambda: tinydl.stack([tinydl.ones(2), tinydl.ones(3)]),
        RuntimeError,
        r"got \[2\] at entry 0 and \[3\] at entry 1",
    ),
    (
        lambda: tinydl.ones(2, 3).expand(2, 4),
        RuntimeError,
        r"The expanded size of the tensor \(4\) must match the existing size \(3\)",
    ),
    (lambda: tinydl.tensor([1, 2]).mean(), RuntimeError, "could not infer output dtype"),
    (
        lambda: tinydl.tensor([1, 2], requires_grad=True),
        RuntimeError,
        "only Tensors of floating point dtype can require gradients",
    ),
    (lambda: tinydl.ones(2, 0).amax(1), IndexError, "Expected reduction dim 1 to have non-zero size"),
    (lambda: tinydl.tensor("abc"), TypeError, "can't convert an array of dtype"),
    (lambda: tinydl.tensor([[1, 2], [3]]), ValueError, "ragged"),
    (lambda: tinydl.zeros(-1), RuntimeError, "negative dimension"),
    (lambda: tinydl.ones(2) + "x", TypeError, "unsupported operand of type 'str'"),
    (
        lambda: tinydl.ones(2, 3) + tinydl.ones(4),
        RuntimeError,
        r"The size of tensor a \(3\) must match the size of tensor b \(4\) at non-singleton dimension 1; the shapes "
        r"are \(2, 3\) and",
    ),
    (
        lambda: tinydl.ones(3).gather(0, tinydl.tensor([4])),
        RuntimeError,
        "index 4 is out of bounds for dimension 0 with size 3",
    ),
    (lambda: tinydl.ones(2).to("cuda"), RuntimeError, "no CUDA backend"),
    (lambda: tinydl.where(tinydl.ones(2), 1.0, 2.0), RuntimeError, "condition to be a boolean tensor"),
    (lambda: (tinydl.ones(2, requires_grad=True) * 2).requires_grad_(False), RuntimeError, "leaf variables"),
    (lambda: tinydl.ones(4).split([1, 2]), RuntimeError, "sum exactly to 4"),
    (lambda: tinydl.tensor([2]) ** tinydl.tensor([-1]), RuntimeError, "Integers to negative integer powers"),
]


@pytest.mark.parametrize(("f", "kind", "message"), MISUSE, ids=[m[2][:30] for m in MISUSE])
def test_misuse_is_one_clear_sentence(f: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        f()
    assert "\n" not in str(caught.value)


def test_memory_layout_is_kept_by_elementwise_operations() -> None:
    """Channels-last is a property of strides: shapes stay PyTorch's."""
    last = tinydl.Tensor(
        np.random.default_rng(0).standard_normal((2, 5, 4, 3)).transpose(0, 3, 1, 2), requires_grad=True
    )
    for y in (last * 2, last + last, last.exp(), last.relu(), last.clone(), tinydl.nn.functional.softmax(last, 1)):
        assert y.shape == (2, 3, 5, 4) and y.stride() == last.stride()
    assert last.contiguous().is_contiguous() and not last.is_contiguous()
    (g,) = tinydl.autograd.grad(last.relu().sum(), last)
    assert g.is_contiguous()  # results of grad() are contiguous, whatever the input's layout
