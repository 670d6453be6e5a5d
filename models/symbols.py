"""What models that choose one symbol of several have in common: the likelihood of those chosen, and how to begin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor


def log_likelihood(logits: NDArray[Any], symbols: NDArray[np.int64]) -> NDArray[np.float64]:
    """ln softmax(z)_w, float64 [...], of logits z [..., V] and symbols w, int64 [...]."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(-1, keepdims=True)
    found: NDArray[np.float64] = np.take_along_axis(z, symbols[..., None], -1)[..., 0] - np.log(np.exp(z).sum(-1))
    return found


def log_frequency(symbols: NDArray[np.int64], size: int) -> Tensor:
    """ln((n_k + 1) / sum_j (n_j + 1)), float32 [size], of how often each symbol stands in int64 [N]: a bias to begin
    with, which leaves to be learned only what the rest of the net adds."""
    counts = np.bincount(symbols, minlength=size) + 1.0
    return tinydl.from_numpy(np.log(counts / counts.sum()).astype(np.float32))
