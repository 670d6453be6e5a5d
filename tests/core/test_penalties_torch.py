"""Losses that contain gradients: against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tests.core.test_penalties import PARAMETERS, PENALTIES, tensors

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")


@pytest.mark.parametrize("penalty", PENALTIES)
def test_against_pytorch(penalty: Any) -> None:
    ours, theirs = tensors(tinydl), tensors(torch)
    a, b = penalty(tinydl, ours), penalty(torch, theirs)
    a.backward()
    b.backward()
    np.testing.assert_allclose(a.item(), b.item(), rtol=1e-12)
    for name in PARAMETERS:
        np.testing.assert_allclose(ours[name].grad.array, theirs[name].grad.numpy(), rtol=1e-10, atol=1e-12)
