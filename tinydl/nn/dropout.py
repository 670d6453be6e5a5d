"""Dropout as modules: noise in training, the identity in evaluation; equations and papers stand in
:mod:`tinydl.nn.functional`.

The bits come from tinydl's default generator: ``tinydl.manual_seed`` repeats them.
"""

from __future__ import annotations

import math
from typing import Any

from tinydl.devices import beside
from tinydl.nn import functional as F
from tinydl.nn.functional.dropout import keep_mask
from tinydl.nn.linear import Linear
from tinydl.nn.module import Module
from tinydl.ops import products, shaping
from tinydl.tensor import Tensor


class _Dropout(Module):
    """A probability ``p`` in [0, 1]; raises ValueError for another."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element is zero with probability ``p`` and else divided by ``1 - p``."""

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """:class:`Dropout` of whole channels: [N, C, L] or [C, L]."""

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """:class:`Dropout` of whole channels: [N, C, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """:class:`Dropout` of whole channels: [N, C, D, H, W] or [C, D, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for SELU networks."""

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """:class:`AlphaDropout` of whole channels: [N, C, ...]."""

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)


class VariationalDropout(Module):
    """:class:`Dropout` with one mask for a whole sequence.

    ``dim`` is the time dimension of the input ([T, B, ...]: 0, [B, T, ...]: 1). With ``dim=None`` inputs are single
    steps: a mask is drawn at the first one, serves all that follow, and is drawn anew after :meth:`reset` or for
    another shape or dtype; call ``reset()`` where a sequence begins. Gal and Ghahramani, arXiv:1512.05287.
    """

    def __init__(self, p: float = 0.5, dim: int | None = 0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.dim = dim
        self._mask: Any = None

    def reset(self) -> None:
        """A new sequence begins: forget the mask."""
        self._mask = None

    def forward(self, input: Tensor) -> Tensor:
        """The same shape and dtype."""
        if self.dim is not None:
            return F.variational_dropout(input, self.p, self.training, self.dim)
        if not self.training or self.p == 0:
            return input
        if self._mask is None or self._mask.shape != input.shape or self._mask.dtype != input.dtype:
            self._mask = keep_mask(input.shape, self.p, input.dtype)
        return input * beside(self._mask, input.array)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"p={self.p}, dim={self.dim}"


class Zoneout(Module):
    """``zoneout(old, new)``: each element of a recurrent state keeps its old value with probability ``p``.

    In evaluation the expectation of both. Krueger et al., arXiv:1606.01305.

    >>> import tinydl
    >>> keep = tinydl.nn.Zoneout(0.25).eval()
    >>> keep(tinydl.tensor([4.0]), tinydl.tensor([8.0]))
    tensor([7.])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"zoneout probability has to be between 0 and 1, but got {p}")
        self.p = p

    def forward(self, old: Tensor, new: Tensor) -> Tensor:
        """Two states of one shape; the state to go on with."""
        return F.zoneout(old, new, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class DropConnect(Linear):
    """A :class:`Linear` layer whose weights, not its outputs, are dropped: y = x (M * W)^T + b.

    In training M is drawn for each example, 0 with probability ``p`` and else 1 / (1 - p), so [..., out, in] numbers
    are drawn; in evaluation the layer is Linear (the mean of M; the paper samples a normal approximation there). Wan
    et al., ICML 2013.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float = 0.5,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        """[..., in_features] -> [..., out_features]."""
        if not self.training or self.p == 0:
            return super().forward(input)
        if not input.ndim or input.shape[-1] != self.in_features:
            raise RuntimeError(
                f"DropConnect: the input has shape {tuple(input.shape)}, but its last size must be in_features = "
                f"{self.in_features}"
            )
        mask = keep_mask((math.prod(input.shape[:-1]), self.out_features, self.in_features), self.p, input.dtype)
        mask = beside(mask, input.array)
        rows = shaping.reshape_to(input, shape=(mask.shape[0], self.in_features, 1))
        out = shaping.reshape_to(products.mm(self.weight * mask, rows), shape=(*input.shape[:-1], self.out_features))
        return out if self.bias is None else out + self.bias  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p={self.p}"
