"""``Dropout``."""

from __future__ import annotations

from tinydl.nn import functional as F
from tinydl.nn.module import Module
from tinydl.tensor import Tensor


class Dropout(Module):
    """In training, each element is zero with probability ``p`` and else divided by ``1 - p``; in evaluation, the
    identity.

    The bits come from tinydl's default generator: ``tinydl.manual_seed`` repeats them. ``inplace`` is taken for
    PyTorch's sake and changes nothing. Hinton et al., arXiv:1207.0580.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
