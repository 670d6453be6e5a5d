"""State dicts exchanged with PyTorch through the format's own library, both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.errors import CheckpointError

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
safetensors = pytest.importorskip("safetensors.torch", reason="needs safetensors")


def test_state_dicts_are_exchanged_through_safetensors(tmp_path: Path) -> None:
    ours = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.LSTM(4, 2))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.LSTM(4, 2))
    tinydl.save(ours.state_dict(), tmp_path / "ours.safetensors")
    theirs.load_state_dict(safetensors.load_file(tmp_path / "ours.safetensors"))
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters()):
        np.testing.assert_array_equal(a.array, b.detach().numpy(), err_msg=name)
    torch.manual_seed(0)
    for p in theirs.parameters():
        torch.nn.init.normal_(p)
    safetensors.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors", {"note": "from PyTorch"})
    ours.load_state_dict(tinydl.load(tmp_path / "theirs.safetensors"))
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters()):
        np.testing.assert_array_equal(a.array, b.detach().numpy(), err_msg=name)
    every = {
        str(d): torch.ones(2, dtype=d)
        for d in (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16)
    }
    safetensors.save_file(every, tmp_path / "every.safetensors")
    for name, t in tinydl.load(tmp_path / "every.safetensors").items():
        assert name == f"torch.{t.dtype.name}" and t.tolist() == [1, 1]
    safetensors.save_file({"w": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="tensor 'w' has the dtype 'BF16', which is not known"):
        tinydl.load(tmp_path / "b.safetensors")
    safetensors.save_file({"w": torch.ones(2, dtype=torch.uint16)}, tmp_path / "u.safetensors")
    with pytest.raises(CheckpointError, match="tensor 'w' has dtype uint16, which tinydl has not"):
        tinydl.load(tmp_path / "u.safetensors")
    torch.save(theirs.state_dict(), tmp_path / "pickle.pt")
    with pytest.raises(CheckpointError, match="zip archive, such as torch.save writes.*never loaded"):
        tinydl.load(tmp_path / "pickle.pt")
