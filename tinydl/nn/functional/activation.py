"""Activations."""

from __future__ import annotations

from tinydl.ops import elementwise, reducing
from tinydl.tensor import Tensor

relu = elementwise.relu
tanh = elementwise.tanh
sigmoid = elementwise.sigmoid
logsigmoid = elementwise.logsigmoid
logsigmoid.__doc__ = "Elementwise: log(1 / (1 + e ** -input)), without overflow."


def softplus(input: Tensor) -> Tensor:
    """log(1 + e^x), exact at both ends (PyTorch's turns linear above 20, where they agree in float32)."""
    return elementwise.softplus(input)  # type: ignore[no-any-return]


def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """e^x / sum e^x along ``dim``."""
    return reducing.softmax(input, dim)  # type: ignore[no-any-return]


def log_softmax(input: Tensor, dim: int = -1) -> Tensor:
    """log of :func:`softmax`, without overflow."""
    return reducing.log_softmax(input, dim)  # type: ignore[no-any-return]
