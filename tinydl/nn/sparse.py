"""``Embedding``: rows of a table."""

from __future__ import annotations

from typing import Any

from tinydl.nn import functional as F
from tinydl.nn import init
from tinydl.nn.module import Module, new_parameter
from tinydl.nn.parameter import Parameter
from tinydl.tensor import Tensor


class Embedding(Module):
    """A table of ``num_embeddings`` vectors: int [...] -> [..., embedding_dim].

    ``weight`` [num_embeddings, embedding_dim] is drawn from N(0, 1). The row ``padding_idx`` starts as zeros and gets
    no gradient. Raises IndexError, naming the index, for one outside the table.
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"Embedding: padding_idx {padding_idx} must be within num_embeddings {num_embeddings}")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.weight = new_parameter((num_embeddings, embedding_dim), device, dtype)
        self.reset_parameters()

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A table that holds ``embeddings`` [V, D] (shared memory); frozen unless ``freeze=False``."""
        if embeddings.ndim != 2:
            raise ValueError(f"Embeddings parameter is expected to be 2-dimensional, but has shape {embeddings.shape}")
        rows, width = embeddings.shape
        table = cls(rows, width, padding_idx, dtype=embeddings.dtype)
        table.weight = Parameter(embeddings.detach(), requires_grad=not freeze)
        return table

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0
            self.weight.bump()

    def forward(self, input: Tensor) -> Tensor:
        """int [...] -> [..., embedding_dim]."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
