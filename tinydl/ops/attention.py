"""Scaled dot-product attention as a fused operation: kernels that never hold all L x S probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import where
from tinydl.ops.losses import plain
from tinydl.ops.products import mm, swap_last
from tinydl.ops.reducing import softmax_over

_ATTENTION_BACKWARD = by_dtype("attention_backward")
_ATTENTION_FORWARD = by_dtype("attention_forward")


def attention_definition(
    query: Any, key: Any, value: Any, mask: Any, kept: Any, *, scale: float, causal: bool, dropout: float
) -> Any:
    """softmax(q k^T scale + mask) v (Vaswani et al., arXiv:1706.03762); a query that may see no key gives zero."""
    nothing = np.array(-np.inf, query.dtype)
    scores = mm(query * scale, swap_last(key))
    if mask is not None:
        scores = where(mask, scores, nothing) if mask.dtype == np.bool_ else scores + mask
    if causal:
        scores = where(np.tri(*scores.shape[-2:], dtype=np.bool_), scores, nothing)
    blind = np.isneginf(plain(scores)).all(axis=-1, keepdims=True)
    zero = np.zeros((), query.dtype)
    weights = where(blind, zero, softmax_over(where(blind, zero, scores), axis=len(scores.shape) - 1))
    if kept is not None:
        weights = weights * (plain(kept) * query.dtype.type(1 / (1 - dropout) if dropout < 1 else 0))
    return mm(weights, value)


def _gradients(
    needs: tuple[bool, ...], g: Any, query: Any, key: Any, value: Any, mask: Any, kept: Any, output: Any, norm: Any,
    scale: Any, causal: Any, dropout: Any,
) -> tuple[Any, ...]:  # fmt: skip
    backward = _ATTENTION_BACKWARD[query.dtype]
    found = backward(g, query, key, value, mask, kept, output, norm, scale, causal, dropout, needs[:4])
    return (*found, None)


@primitive(
    outputs=("output", "norm"), aux=("norm",), composite=attention_definition, joint=_gradients, constants="kept"
)
def attention(
    query: Any, key: Any, value: Any, mask: Any, kept: Any, *, scale: float, causal: bool, dropout: float
) -> Any:
    """query [..., L, E], key [..., S, E], value [..., S, V] of one dtype -> [..., L, V]; leading dimensions broadcast.

    ``mask`` (bool, True where a query may see a key, or of their dtype, added to the scores) and ``kept`` (bool: the
    probabilities that dropout spares) broadcast to [..., L, S], or are None. ``causal``: query l sees keys up to l.
    """
    forward = _ATTENTION_FORWARD[query.dtype]
    return forward(query, key, value, mask, kept, scale, causal, dropout)
