"""NumPy's protocols and DLPack: memory is shared both ways, and what cannot be shared is refused. (With PyTorch:
``test_interchange_torch.py``.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl


def test_asarray_shares_memory_and_copies_when_asked() -> None:
    x = tinydl.arange(6.0).reshape(2, 3)
    assert np.shares_memory(np.asarray(x), x.array)
    assert not np.shares_memory(np.array(x), x.array)
    assert np.asarray(x.T).strides == x.array.T.strides
    assert np.asarray(x, dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match="a tensor of dtype float32 cannot become float64 without a copy"):
        np.asarray(x, dtype="float64", copy=False)
    np.asarray(x)[0, 0] = 9
    assert x[0, 0].item() == 9
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\) instead"):
        np.asarray(tinydl.ones(2, requires_grad=True))
    assert np.shares_memory(np.asarray(tinydl.as_tensor(np.asarray(x))), x.array)


def test_ufuncs_and_reductions_are_ours() -> None:
    x = tinydl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    for y, want in (
        (np.add(x, 1), [[2, 3], [4, 5]]),
        (np.multiply(2.0, x), [[2, 4], [6, 8]]),
        (np.sqrt(x * x), [[1, 2], [3, 4]]),
        (np.add.reduce(x), [4, 6]),
        (np.add.reduce(x, axis=1), [3, 7]),
        (np.add.reduce(x, axis=1, keepdims=True), [[3], [7]]),
        (np.add.reduce(x, axis=None), 10),
        (np.sum(x), 10),
        (np.sum(x, axis=0), [4, 6]),
        (np.mean(x), 2.5),
        (np.matmul(x, x), [[7, 10], [15, 22]]),
    ):
        assert isinstance(y, tinydl.Tensor) and y.requires_grad, want
        np.testing.assert_allclose(y.detach().numpy(), want)
    (g,) = tinydl.autograd.grad(np.sum(np.exp(x)), x)
    np.testing.assert_allclose(g.numpy(), np.exp(x.detach().numpy()))
    for use, name in (
        (lambda: np.multiply.reduce(x), "multiply.reduce"),
        (lambda: np.add.accumulate(x), "add.accumulate"),
        (lambda: np.cbrt(x), "cbrt"),
    ):
        with pytest.raises(TypeError, match=f"numpy.{name} is not defined on tinydl tensors; use a tinydl operation"):
            use()
    with pytest.raises(TypeError, match="with keyword arguments"):
        np.add(x, x, out=np.zeros((2, 2), np.float32))


def test_numpys_other_functions_get_the_array() -> None:
    x = tinydl.tensor([1.0, 3.0])
    assert type(np.concatenate([x, x])) is np.ndarray and np.allclose(x, [1, 3]) and np.argsort(-x).tolist() == [1, 0]
    array = np.zeros(2)
    array[:] = x
    array += x.numpy()
    assert array.tolist() == [2, 6]


DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_with_numpy(dtype: str) -> None:
    x = tinydl.ones(2, 3, dtype=dtype)
    array = np.from_dlpack(x)
    assert array.dtype == dtype and np.shares_memory(array, x.array)
    back = tinydl.from_dlpack(array)
    back.zero_()
    assert not x.any().item()
    assert x.__dlpack_device__() == (1, 0)


def test_read_only_memory_stays_as_it_is() -> None:
    array = np.ones(3)
    array.flags.writeable = False
    for x in (tinydl.from_numpy(array), tinydl.from_dlpack(array), tinydl.ones(1).expand(3)):
        for name, write in (
            ("fill_", lambda x=x: x.fill_(2)), ("add_", lambda x=x: x.add_(1)),
            ("setitem", lambda x=x: x.__setitem__(0, 2)),
            ("uniform_", lambda x=x: x.uniform_()), ("copy_", lambda x=x: x.copy_(tinydl.zeros(3))),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match=rf"{name}: .* of shape \(3,\) .* its array is read-only"):
                write()
        assert x.tolist() == [1, 1, 1]
        x.clone().fill_(2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: np.from_dlpack(tinydl.ones(2, requires_grad=True)), BufferError, r"use tensor.detach\(\)"),
        (lambda: np.from_dlpack(tinydl.from_numpy(np.ones(2)[::-1])), BufferError, r"negative strides, use tensor"),
        (lambda: tinydl.from_dlpack([1]), TypeError, "from_dlpack expects an object with __dlpack__, got a list"),
        (lambda: tinydl.from_dlpack(np.ones(2, complex)), TypeError, "array of dtype complex128; the supported dtypes"),
        (lambda: tinydl.from_numpy(np.array(["a"])), TypeError, "can't convert an array of dtype <U1"),
        (lambda: tinydl.from_numpy(np.array([None])), TypeError, "can't convert an array of dtype object"),
        (lambda: tinydl.tensor(np.ones(2, np.uint32)), TypeError, "can't convert an array of dtype uint32"),
    ],
)
def test_what_cannot_be_exchanged(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
