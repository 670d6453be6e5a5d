"""Activations as modules."""

from __future__ import annotations

from tinydl.nn.module import Module
from tinydl.ops import elementwise, reducing
from tinydl.tensor import Tensor


class ReLU(Module):
    """max(x, 0); the gradient at 0 is 0. ``inplace`` is taken for PyTorch's sake and changes nothing."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return elementwise.relu(input)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Tanh(Module):
    """(e^x - e^-x) / (e^x + e^-x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return elementwise.tanh(input)  # type: ignore[no-any-return]


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return elementwise.sigmoid(input)  # type: ignore[no-any-return]


class LogSigmoid(Module):
    """log(1 / (1 + e^-x)), without underflow."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return elementwise.logsigmoid(input)  # type: ignore[no-any-return]


class Softplus(Module):
    """log(1 + e^x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return elementwise.softplus(input)  # type: ignore[no-any-return]


class Softmax(Module):
    """e^x / sum e^x along ``dim``."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Positive, and one when summed along ``dim``."""
        return reducing.softmax(input, self.dim)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """log of :class:`Softmax`, without overflow."""

    def forward(self, input: Tensor) -> Tensor:
        """Log-probabilities along ``dim``."""
        return reducing.log_softmax(input, self.dim)  # type: ignore[no-any-return]
