"""Memory shared with PyTorch through DLPack, both ways."""

from __future__ import annotations

import numpy as np
import pytest

import tinydl
from tests.core.test_interchange import DTYPES

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_with_pytorch(dtype: str) -> None:
    ours = tinydl.ones(2, 3, dtype=dtype)
    theirs = torch.from_dlpack(ours)
    assert str(theirs.dtype) == f"torch.{dtype}" and tuple(theirs.shape) == (2, 3)
    theirs.zero_()
    assert not ours.any().item()
    back = tinydl.from_dlpack(torch.ones(3, dtype=theirs.dtype))
    assert back.tolist() == [1, 1, 1] and back.dtype == dtype
    source = torch.zeros(2, 2, dtype=theirs.dtype)
    seen = tinydl.from_dlpack(source)
    seen[0, 1] = 1
    assert source[0, 1].item() == 1 and seen.data_ptr() == source.data_ptr()


def test_dlpack_keeps_strides_and_outlives_its_owner() -> None:
    x = tinydl.arange(12.0).reshape(3, 4)
    for view in (x.T, x[:, ::2], x[1:], x[0], x[0, 0], tinydl.zeros(0, 3)):
        theirs = torch.from_dlpack(view)
        assert tuple(theirs.shape) == view.shape and theirs.tolist() == view.tolist()
        assert view.numel() < 2 or theirs.stride() == view.stride()
        assert tinydl.from_dlpack(theirs).tolist() == view.tolist()
    kept = tinydl.from_dlpack(torch.arange(1000.0))  # the only owner is the tensor here
    assert kept.sum().item() == 499500
    assert torch.from_dlpack(tinydl.arange(1000.0)).sum().item() == 499500


def test_tensors_of_pytorch_are_taken_as_arrays() -> None:
    t = torch.arange(3.0)
    shared = tinydl.as_tensor(t)
    t[0] = 5
    assert shared.tolist() == [5, 1, 2] and tinydl.tensor(t).dtype == np.float32
    copied = tinydl.tensor(t)
    t[0] = 7
    assert copied.tolist() == [5, 1, 2] and torch.tensor(shared).tolist() == [7, 1, 2]
    for mixed in (lambda: tinydl.ones(3) + t, lambda: tinydl.ones(3) * t):
        with pytest.raises(TypeError, match="operand of type 'torch.Tensor'; convert it with tinydl.from_dlpack"):
            mixed()
