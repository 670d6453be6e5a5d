"""Scaled dot-product attention, and relative attention, as fused operations: kernels that never hold all L x S
probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import where
from tinydl.ops.indexing import take_index
from tinydl.ops.losses import plain
from tinydl.ops.products import mm, swap_last
from tinydl.ops.reducing import softmax_over

_ATTENTION_BACKWARD = by_dtype("attention_backward")
_ATTENTION_FORWARD = by_dtype("attention_forward")
_RELATIVE_BACKWARD = by_dtype("relative_attention_backward")
_RELATIVE_FORWARD = by_dtype("relative_attention_forward")


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


def relative_attention_definition(query: Any, key: Any, value: Any, distance: Any, *, scale: float) -> Any:
    """softmax(scale q (k + e)^T) v with an e of each distance (Huang et al., arXiv:1809.04281), over what is seen."""
    L, S, span = query.shape[-2], key.shape[-2], distance.shape[1]
    apart = np.arange(S - L, S)[:, None] - np.arange(S)
    q = query * scale
    by_distance = mm(q, swap_last(distance))
    place = np.broadcast_to(np.clip(apart, 0, span - 1), (*query.shape[:-1], S))
    index: tuple[Any, ...] = np.indices(place.shape, sparse=True)[:-1]
    scores = mm(q, swap_last(key)) + take_index(by_distance, index=(*index, place))
    seen = (apart >= 0) & (apart < span)
    return mm(softmax_over(where(seen, scores, np.array(-np.inf, query.dtype)), axis=len(scores.shape) - 1), value)


def _relative_gradients(
    needs: tuple[bool, ...], g: Any, query: Any, key: Any, value: Any, distance: Any, output: Any, norm: Any,
    scale: Any,
) -> tuple[Any, ...]:  # fmt: skip
    backward = _RELATIVE_BACKWARD[query.dtype]
    found: tuple[Any, ...] = backward(g, query, key, value, distance, output, norm, scale, needs)
    return found


@primitive(
    outputs=("output", "norm"), aux=("norm",), composite=relative_attention_definition, joint=_relative_gradients
)
def relative_attention(query: Any, key: Any, value: Any, distance: Any, *, scale: float) -> Any:
    """query [..., H, L, E], key [..., H, S, E], value [..., H, S, V], distance [H, D, E] -> [..., H, L, V].

    Causal: the queries stand at the last L <= S places of the keys, and each sees the key at its own place and the
    D - 1 before it, by scale q . (k + e) with the e of their distance.
    """
    return _RELATIVE_FORWARD[query.dtype](query, key, value, distance, scale)
