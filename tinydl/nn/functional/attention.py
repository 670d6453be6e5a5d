"""Attention: of one query set to one key set, and with many heads and all their projections."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from tinydl.nn.functional.dropout import dropout
from tinydl.ops import attention as _attention
from tinydl.ops.elementwise import where
from tinydl.ops.products import linear, matmul, swap_last
from tinydl.ops.reducing import mean, softmax
from tinydl.ops.shaping import cat, chunk, expand_to, reshape_to, transpose, unsqueeze
from tinydl.random import default_generator
from tinydl.tensor import Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q k^T scale + mask) v: query [..., L, E], key [..., S, E], value [..., S, V] -> [..., L, V].

    - ``attn_mask`` broadcasts to [..., L, S]: bool, True where a query may see a key, or floating, added to the scores;
    - ``is_causal``: query l sees the keys up to l (and no ``attn_mask`` is given);
    - ``dropout_p``: each probability is dropped with this one, *whether or not anything is training*;
    - ``scale``: 1 / sqrt(E) by default;
    - ``enable_gqa``: query [..., G H, L, E] has G times as many heads as key and value (Ainslie et al.,
      arXiv:2305.13245): its heads g, ..., g + G - 1 see head g / G.

    A query that may see no key gives zero, with zero gradients. Memory grows with L and S, not with L S, but for the
    bits of a dropout and the gradient of a mask. Vaswani et al., arXiv:1706.03762. Raises RuntimeError for dtypes or
    shapes that do not fit.

    >>> import tinydl
    >>> value = tinydl.tensor([[1.0], [2.0], [3.0]])
    >>> scaled_dot_product_attention(tinydl.zeros(3, 2), tinydl.zeros(3, 2), value, is_causal=True).tolist()
    [[1.0], [1.5], [2.0]]
    """
    _check_attention(query, key, value, attn_mask, dropout_p, is_causal)
    mask = attn_mask
    if mask is not None and mask.dtype != np.bool_:
        mask = mask.to(query.dtype)
    if mask is not None and mask.ndim < 2:
        mask = reshape_to(mask, shape=(1,) * (2 - mask.ndim) + mask.shape)
    shape = query.shape
    if enable_gqa:
        query, key, value, mask = _grouped(query, key, value, mask)
    kept = None
    if dropout_p:
        batch = np.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value, mask) if x is not None))
        sizes = (*batch, query.shape[-2], key.shape[-2])
        drawn = default_generator.random(sizes, np.float32, like=query.array)
        kept = drawn >= dropout_p
    factor = (1 / math.sqrt(shape[-1]) if shape[-1] else 1.0) if scale is None else float(scale)
    output: Tensor = _attention.attention(
        query, key, value, mask, kept, scale=factor, causal=is_causal, dropout=float(dropout_p)
    )
    return reshape_to(output, shape=(*shape[:-1], value.shape[-1])) if enable_gqa else output


def _check_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool
) -> None:
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if not query.dtype == key.dtype == value.dtype or query.dtype.kind != "f":
        raise RuntimeError(
            "Expected query, key, and value to have the same floating dtype, but got query.dtype: "
            f"{query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
        )
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if query.shape[-1] != key.shape[-1]:
        raise RuntimeError(f"scaled_dot_product_attention: query and key should have one last size, but got {shapes}")
    if key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"scaled_dot_product_attention: key and value should have one number of positions, but got {shapes}"
        )
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if mask is None:
        return
    if is_causal:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if mask.dtype not in (np.bool_, np.float32, query.dtype):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{mask.dtype} and  query.dtype: {query.dtype} instead."
        )
    for d, (n, wanted) in enumerate(zip(mask.shape[-2:][::-1], (key.shape[-2], query.shape[-2])), 1):
        if n not in (1, wanted):
            raise RuntimeError(
                f"The size of tensor a ({wanted}) must match the size of tensor b ({n}) at dimension -{d}: attn_mask "
                f"has shape {tuple(mask.shape)}, which does not broadcast to the scores of {shapes}"
            )


def _grouped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Any, ...]:
    """Heads [..., G H, L, E] and [..., H, S, E] as [..., H, G, L, E] and [..., H, 1, S, E]."""
    if min(query.ndim, key.ndim, value.ndim) < 3:
        raise RuntimeError("enable_gqa needs a dimension of heads: [..., heads, positions, size]")
    heads, shared = query.shape[-3], key.shape[-3]
    if value.shape[-3] != shared or not shared or heads % shared:
        raise RuntimeError(
            "Number of heads in key and value must be equal and divide the number of heads in query, but got "
            f"{shared}, {value.shape[-3]} and {heads}"
        )

    def apart(x: Tensor, groups: int) -> Any:
        return reshape_to(x, shape=(*x.shape[:-3], x.shape[-3] // groups, groups, *x.shape[-2:]))

    if mask is not None and mask.ndim > 2:
        mask = apart(mask, heads // shared if mask.shape[-3] != 1 else 1)
    return apart(query, heads // shared), apart(key, 1), apart(value, 1), mask


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What :class:`tinydl.nn.MultiheadAttention` computes, of explicit weights.

    query [L, B, E], key [S, B, K], value [S, B, V] (unbatched without B) -> output [L, B, E], and with ``need_weights``
    the probabilities [B, L, S], averaged over heads, or [B, heads, L, S]. The projections are the rows of
    ``in_proj_weight`` [3 E, E], or ``q_proj_weight`` [E, E], ``k_proj_weight`` [E, K], ``v_proj_weight`` [E, V]
    with ``use_separate_proj_weight``; ``in_proj_bias`` [3 E]. ``bias_k``, ``bias_v`` [1, 1, E] are one more key and
    value, ``add_zero_attn`` one more of zeros; ``static_k``, ``static_v`` [B heads, S, E / heads] stand instead of the
    projected ones. In ``attn_mask`` ([L, S] or [B heads, L, S]) and ``key_padding_mask`` [B, S] True *hides* a key;
    floating masks are added. A query that may see no key gives zero without, and NaN with ``need_weights``, as in
    PyTorch. Raises AssertionError or RuntimeError, in PyTorch's words, for shapes that do not fit.
    """
    batched = _check_heads(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = (unsqueeze(x, 1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else unsqueeze(key_padding_mask, 0)
    length, batch, size = query.shape
    key_padding_mask = canonical_mask(
        key_padding_mask, "key_padding_mask", query.dtype, None if attn_mask is None else attn_mask.dtype, "attn_mask"
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None
    else:
        attn_mask = canonical_mask(attn_mask, "attn_mask", query.dtype)
        is_causal = False  # the mask says it already
    if size != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {size}")
    head = size // num_heads
    if head * num_heads != size:
        raise AssertionError(f"embed_dim {size} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {tuple(key.shape[:2])} do not match value's {tuple(value.shape[:2])}"
            )
    else:
        weights = (None, None, None) if in_proj_weight is None else chunk(in_proj_weight, 3)
        if key.shape != value.shape:
            raise AssertionError(f"key shape {tuple(key.shape)} does not match value shape {tuple(value.shape)}")
    q, k, v = _projections((query, key, value), weights, in_proj_bias, use_separate_proj_weight)
    if attn_mask is not None:
        attn_mask = _attention_mask(attn_mask, (batch * num_heads, length, key.shape[0]))
    if (bias_k is None) != (bias_v is None):
        raise AssertionError("bias_k and bias_v go together: one is set but the other is None")
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value.")
        k = cat([k, expand_to(bias_k, shape=(1, batch, size))])
        v = cat([v, expand_to(bias_v, shape=(1, batch, size))])
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)

    def heads(x: Tensor) -> Any:
        """[S, B, E] as [B heads, S, E / heads]."""
        return transpose(reshape_to(x, shape=(x.shape[0], batch * num_heads, head)), 0, 1)

    q = heads(q)
    k = heads(k) if static_k is None else _static("static_k", static_k, batch * num_heads, head)
    v = heads(v) if static_v is None else _static("static_v", static_v, batch * num_heads, head)
    if add_zero_attn:
        zero = Tensor._wrap(np.zeros_like(q.array, shape=(batch * num_heads, 1, head)))
        k, v = cat([k, zero], 1), cat([v, zero], 1)
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)
    keys = k.shape[1]
    if key_padding_mask is not None:
        for d, wanted in enumerate((batch, keys)):
            if key_padding_mask.shape[d] != wanted:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[{d}] to be {wanted}, but got {key_padding_mask.shape[d]}"
                )
        padding = expand_to(reshape_to(key_padding_mask, shape=(batch, 1, 1, keys)), shape=(batch, num_heads, 1, keys))
        padding = reshape_to(padding, shape=(batch * num_heads, 1, keys))
        attn_mask = padding if attn_mask is None else attn_mask + padding
    dropout_p = dropout_p if training else 0.0
    shown = None
    if need_weights:
        scores = matmul(q * math.sqrt(1 / head), swap_last(k))
        probabilities = softmax(scores if attn_mask is None else scores + attn_mask, -1)
        if dropout_p > 0:
            probabilities = dropout(probabilities, dropout_p)
        output = matmul(probabilities, v)
        shown = reshape_to(probabilities, shape=(batch, num_heads, length, keys))
        shown = mean(shown, 1) if average_attn_weights else shown
    else:
        output = scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal)
    output = reshape_to(transpose(output, 0, 1), shape=(length, batch, size))
    output = linear(output, out_proj_weight, out_proj_bias)
    if not batched:
        output = reshape_to(output, shape=(length, output.shape[-1]))
        shown = None if shown is None else reshape_to(shown, shape=shown.shape[1:])
    return output, shown


def canonical_mask(
    mask: Tensor | None, name: str, dtype: Any, other: Any = None, other_name: str = ""
) -> Tensor | None:
    """A mask to be added: -inf where a bool one holds, else 0; a floating one as it is.

    Raises AssertionError for other dtypes, and warns where ``other``, the dtype of another mask, is not the same.
    """
    if mask is None:
        return None
    if mask.dtype.kind not in "bf":
        raise AssertionError(f"only bool and floating types of {name} are supported, but got {mask.dtype}")
    if other is not None and mask.dtype != other:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if mask.dtype.kind == "f":
        return mask
    return where(mask, np.array(-np.inf, dtype), np.zeros((), dtype))  # type: ignore[no-any-return]


def _check_heads(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, heads: int
) -> bool:
    """Whether the inputs are batched."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    n = query.ndim
    kind = f"For {'batched' if n == 3 else 'unbatched'} ({n}-D) `query`, expected"
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"{kind} `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.ndim != n - 1:
        raise AssertionError(
            f"{kind} `key_padding_mask` to be `None` or {n - 1}-D but found {key_padding_mask.ndim}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.ndim not in (2, 3):
            raise AssertionError(
                f"{kind} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.ndim}-D tensor instead"
            )
        expected = (heads, query.shape[0], key.shape[0])
        if n == 2 and attn_mask.ndim == 3 and attn_mask.shape != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {tuple(attn_mask.shape)}")
    return n == 3


def _projections(inputs: tuple[Tensor, ...], weights: Any, bias: Tensor | None, separate: bool) -> list[Any]:
    """x W^T + b of query, key and value."""
    size = inputs[0].shape[-1]
    biases = (None, None, None) if bias is None else chunk(bias, 3)
    found = []
    for name, x, w, b in zip(("query", "key", "value"), inputs, weights, biases):
        if w is None:
            missing = f"{name[0]}_proj_weight" if separate else "in_proj_weight"
            raise AssertionError(f"use_separate_proj_weight is {separate} but {missing} is None")
        for what, p, wanted in (("weights", w, (size, x.shape[-1])), ("bias", b, (size,))):
            if p is not None and p.shape != wanted:
                raise AssertionError(f"expecting {name} {what} shape of {wanted}, but got {tuple(p.shape)}")
        found.append(linear(x, w, b))
    return found


def _attention_mask(mask: Tensor, wanted: tuple[int, int, int]) -> Tensor:
    """[1 or B heads, L, S]."""
    expected = wanted[-mask.ndim :]
    if mask.shape != expected:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {tuple(mask.shape)}, but should be {expected}.")
    return mask if mask.ndim == 3 else unsqueeze(mask, 0)


def _static(name: str, given: Tensor, rows: int, head: int) -> Tensor:
    for d, wanted in ((0, rows), (2, head)):
        if given.shape[d] != wanted:
            raise AssertionError(f"expecting {name}.size({d}) of {wanted}, but got {given.shape[d]}")
    return given


def _one_more(mask: Tensor | None) -> Any:
    """A mask for one more key, which every query may see."""
    if mask is None:
        return None
    return cat([mask, Tensor._wrap(np.zeros_like(mask.array, shape=(*mask.shape[:-1], 1)))], -1)
