"""``CosineSimilarity`` and ``PairwiseDistance``; equations stand in :mod:`tinydl.nn.functional`."""

from __future__ import annotations

from tinydl.nn import functional as F
from tinydl.nn.module import Module
from tinydl.tensor import Tensor


class CosineSimilarity(Module):
    """x1 . x2 / (|x1| |x2|) along ``dim``, norms not below ``eps``."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Two tensors that broadcast; the result lacks ``dim``."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)  # type: ignore[no-any-return]


class PairwiseDistance(Module):
    """The norm of order ``p`` of x1 - x2 + eps along the last dimension."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """[N, D] or [D], both."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)  # type: ignore[no-any-return]
