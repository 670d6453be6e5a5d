"""Rows of attention and of the Transformer."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from tests.differential.rows import bools, draw, home, module, row


def plain(library: Any) -> Any:
    """A context in which PyTorch computes attention step by step: its fused kernel has no second derivative."""
    if library.__name__ != "torch":
        return contextlib.nullcontext()
    return library.nn.attention.sdpa_kernel(library.nn.attention.SDPBackend.MATH)


def attend(t: Any, *arguments: Any, **keywords: Any) -> Any:
    """scaled_dot_product_attention."""
    with plain(t):
        return t.nn.functional.scaled_dot_product_attention(*arguments, **keywords)


def attention(*arguments: Any, note: str = "", **keywords: Any) -> None:
    """Enter a call of it."""
    row("nn.functional.scaled_dot_product_attention", *arguments, call=attend, note=note, **keywords)


def hide(share: float) -> Any:
    """Makes -inf of the small ones."""
    return lambda x: np.where(x < 4 * share - 2, -np.inf, x)


def blind(x: Any) -> Any:
    """A query that sees nothing."""
    x[1] = False if x.dtype == np.bool_ else -np.inf
    return x


Q, K, V = draw(2, 3, 4, 5), draw(2, 3, 6, 5), draw(2, 3, 6, 2)
row(
    "nn.functional.scaled_dot_product_attention",
    draw(2, 4, 5),
    draw(2, 6, 5),
    draw(2, 6, 5),
    smooth=False,
    note="fused",
)
attention(Q, K, V)
attention(draw(4, 3), draw(5, 3), draw(5, 3), note="matrices")
attention(Q, K, V, bools(4, 6), note="bool mask")
attention(Q, K, V, bools(2, 1, 4, 6), note="bool mask of each sequence")
attention(Q, K, V, bools(6), note="bool mask of keys")
attention(Q, K, V, draw(4, 6), note="float mask")
attention(Q, K, V, draw(2, 3, 1, 6), note="float mask of each head")
attention(Q, K, V, draw(4, 6, make=hide(0.4)), constant=(3,), note="hiding mask")
attention(Q, K, V, draw(4, 6, make=blind), constant=(3,), note="blind query")
attention(Q, K, V, blind(np.ones((4, 6), np.bool_)), note="blind query, bool")
attention(Q, K, V, is_causal=True, note="causal")
attention(K, Q, draw(2, 3, 4, 2), is_causal=True, note="causal, more queries than keys")
attention(Q, K, V, scale=0.3, note="scale")
attention(Q, K, V, scale=-0.7, is_causal=True, note="negative scale")
attention(draw(2, 6, 4, 5), draw(2, 2, 3, 5), draw(2, 2, 3, 2), enable_gqa=True, note="grouped")
attention(draw(2, 6, 4, 5), draw(2, 2, 3, 5), draw(2, 2, 3, 2), draw(2, 6, 4, 3), enable_gqa=True, note="grouped, mask")
attention(
    draw(2, 6, 4, 5), draw(2, 2, 3, 5), draw(2, 2, 3, 2), bools(2, 1, 4, 3), enable_gqa=True, note="grouped, bool"
)
attention(draw(2, 3, 4, 5), draw(1, 3, 6, 5), draw(3, 6, 2), note="broadcast")
attention(draw(2, 0, 3), draw(2, 4, 3), draw(2, 4, 3), note="no queries")
attention(draw(2, 3, 3), draw(2, 0, 3), draw(2, 0, 3), note="no keys")

# ------------------------------------------------------------------------------------------------- many heads


def heads(t: Any, *arguments: Any, **keywords: Any) -> Any:
    """multi_head_attention_forward with two heads, embeddings of 4."""
    q, k, v, weight, bias, bias_k, bias_v, out, out_bias, *rest = arguments
    names = ("key_padding_mask", "attn_mask")
    with plain(t):
        return t.nn.functional.multi_head_attention_forward(
            q, k, v, 4, 2, weight, bias, bias_k, bias_v, keywords.pop("zero", False), 0.0, out, out_bias,
            **dict(zip(names, rest)), **keywords,
        )  # fmt: skip


WEIGHTS = (draw(12, 4), draw(12), None, None, draw(4, 4), draw(4))
FORWARD = "nn.functional.multi_head_attention_forward"
row(FORWARD, draw(3, 2, 4), draw(5, 2, 4), draw(5, 2, 4), *WEIGHTS, call=heads)
row(
    FORWARD, draw(3, 2, 4), draw(5, 2, 4), draw(5, 2, 4), draw(12, 4), draw(12), draw(1, 1, 4), draw(1, 1, 4),
    draw(4, 4), draw(4), draw(2, 5), draw(4, 3, 5), call=heads, zero=True, need_weights=False,
    note="one more key, one of zeros, both masks",
)  # fmt: skip


def separate(t: Any, *arguments: Any, **keywords: Any) -> Any:
    """Three projections, or keys and values that are there already."""
    q, k, v, w_q, w_k, w_v, out, *given = arguments
    with plain(t):
        return t.nn.functional.multi_head_attention_forward(
            q, k, v, 4, 2, None, None, None, None, False, 0.0, out, None, use_separate_proj_weight=True,
            q_proj_weight=w_q, k_proj_weight=w_k, v_proj_weight=w_v, **dict(zip(("static_k", "static_v"), given)),
            **keywords,
        )  # fmt: skip


SEPARATE = (draw(3, 2, 4), draw(5, 2, 3), draw(5, 2, 6), draw(4, 4), draw(4, 3), draw(4, 6), draw(4, 4))
row(FORWARD, *SEPARATE, call=separate, note="separate")
row(FORWARD, *SEPARATE, draw(4, 7, 2), draw(4, 7, 2), call=separate, average_attn_weights=False, note="static")


def self_attention(layer: Any, x: Any, *masks: Any, **keywords: Any) -> Any:
    """The layer with one tensor three times, and (key_padding_mask, attn_mask)."""
    with plain(home(layer)):
        return layer(x, x, x, **dict(zip(("key_padding_mask", "attn_mask"), masks)), **keywords)


def cross_attention(layer: Any, q: Any, k: Any, v: Any, *masks: Any, **keywords: Any) -> Any:
    """The layer with three."""
    with plain(home(layer)):
        return layer(q, k, v, **dict(zip(("key_padding_mask", "attn_mask"), masks)), **keywords)


def padding(batch: int, keys: int) -> Any:
    """True beyond sequences of keys, keys - 1, ... steps."""
    return np.arange(keys) >= keys - np.arange(batch)[:, None]


MHA = "MultiheadAttention"
module(MHA, 4, 2, inputs=[draw(3, 2, 4)], call=self_attention)
module(MHA, 4, 2, inputs=[draw(3, 2, 4), draw(5, 2, 4), draw(5, 2, 4)], note="three inputs")
module(
    MHA, 4, 2, bias=False, batch_first=True, inputs=[draw(2, 3, 4)], call=self_attention, note="no bias, batch first"
)
module(MHA, 4, 1, inputs=[draw(3, 4), draw(5, 4), draw(5, 4)], note="unbatched")
module(MHA, 4, 2, kdim=3, vdim=6, inputs=[draw(3, 2, 4), draw(5, 2, 3), draw(5, 2, 6)], note="kdim and vdim")
module(
    MHA, 4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True,
    inputs=[draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 4), padding(2, 5), np.tri(3, 5) == 0], call=cross_attention,
    note="one more key, one of zeros, both masks",
)  # fmt: skip
module(
    MHA, 4, 2, inputs=[draw(3, 2, 4), padding(2, 3)],
    call=lambda layer, x, m: self_attention(layer, x, m, need_weights=False), note="padding, no weights",
)  # fmt: skip
module(
    MHA, 4, 2, batch_first=True, inputs=[draw(2, 3, 4)],
    call=lambda layer, x: self_attention(layer, x, need_weights=False), note="no weights",
)  # fmt: skip
module(
    MHA, 4, 2, inputs=[draw(3, 2, 4), draw(2, 3), draw(4, 3, 3)],
    call=lambda layer, x, p, m: self_attention(layer, x, p, m, average_attn_weights=False),
    note="float masks, weights of each head",
)  # fmt: skip
module(
    MHA, 4, 2, inputs=[draw(3, 2, 4), np.tri(3) == 0],
    call=lambda layer, x, m: self_attention(layer, x, None, m, need_weights=False, is_causal=True), note="causal",
)  # fmt: skip
module(
    MHA, 4, 2, inputs=[draw(3, 2, 4), np.tri(3) == 0],
    call=lambda layer, x, m: self_attention(layer, x, None, m, is_causal=True), note="causal, weights",
)  # fmt: skip
module(
    MHA, 4, 2, dropout=0.5, inputs=[draw(3, 2, 4)], call=self_attention, modes=("eval",), note="dropout",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------- Transformer


def run(layer: Any, *tensors: Any, **keywords: Any) -> Any:
    """The layer, twice differentiable."""
    with plain(home(layer)):
        return layer(*tensors, **keywords)


def future(steps: int) -> Any:
    """-inf above the diagonal."""
    return np.triu(np.full((steps, steps), -np.inf), 1)


SMALL: dict[str, Any] = {"dim_feedforward": 6, "dropout": 0.0}
ENCODER, DECODER = "TransformerEncoderLayer", "TransformerDecoderLayer"
module(ENCODER, 4, 2, **SMALL, inputs=[draw(3, 2, 4)], call=run)
module(
    ENCODER, 4, 2, **SMALL, norm_first=True, bias=False, batch_first=True, layer_norm_eps=0.1, activation="relu",
    inputs=[draw(2, 3, 4), future(3), padding(2, 3)], constant=(1,),
    call=lambda layer, x, m, p: run(layer, x, m.isinf(), p), note="norm first, no bias, masks",
)  # fmt: skip
module(
    ENCODER, 4, 2, **SMALL, inputs=[draw(3, 4), future(3)], constant=(1,),
    call=lambda layer, x, m: run(layer, x, m, is_causal=True), note="unbatched, causal",
)  # fmt: skip
module(ENCODER, 4, 2, dim_feedforward=6, inputs=[draw(3, 2, 4)], call=run, modes=("eval",), note="dropout")
module(DECODER, 4, 2, **SMALL, inputs=[draw(3, 2, 4), draw(5, 2, 4)], call=run)
module(
    DECODER, 4, 2, **SMALL, norm_first=True, bias=False, batch_first=True,
    inputs=[draw(2, 3, 4), draw(2, 5, 4), np.tri(3) == 0, np.tri(3, 5) == 0, padding(2, 3), padding(2, 5)], call=run,
    note="norm first, no bias, masks",
)  # fmt: skip
module(
    DECODER, 4, 2, **SMALL, inputs=[draw(3, 4), draw(5, 4), future(3)], constant=(2,),
    call=lambda layer, x, y, m: run(layer, x, y, m, tgt_is_causal=True), note="unbatched, causal",
)  # fmt: skip


def encoder(norm: bool) -> Any:
    """Two layers, with or without a norm behind them."""

    def make(t: Any) -> Any:
        layer = t.nn.TransformerEncoderLayer(4, 2, **SMALL)
        return t.nn.TransformerEncoder(layer, 2, t.nn.LayerNorm(4) if norm else None, enable_nested_tensor=False)

    return make


def decoder(norm: bool) -> Any:
    """Two layers, with or without a norm behind them."""

    def make(t: Any) -> Any:
        return t.nn.TransformerDecoder(
            t.nn.TransformerDecoderLayer(4, 2, **SMALL), 2, t.nn.LayerNorm(4) if norm else None
        )

    return make


module("TransformerEncoder", make=encoder(False), inputs=[draw(3, 2, 4)], call=run)
module(
    "TransformerEncoder", make=encoder(True), inputs=[draw(3, 2, 4), future(3)], constant=(1,), call=run,
    note="norm, causal mask found",
)  # fmt: skip
module(
    "TransformerEncoder", make=encoder(True), inputs=[draw(3, 2, 4), np.tri(3) == 0, padding(2, 3)], call=run,
    note="norm, masks",
)  # fmt: skip
module("TransformerDecoder", make=decoder(False), inputs=[draw(3, 2, 4), draw(5, 2, 4)], call=run)
module(
    "TransformerDecoder", make=decoder(True), inputs=[draw(3, 2, 4), draw(5, 2, 4), np.tri(3) == 0], call=run,
    note="norm, causal mask found",
)  # fmt: skip
WHOLE: dict[str, Any] = {"num_encoder_layers": 1, "num_decoder_layers": 1, "batch_first": True, **SMALL}
module("Transformer", 4, 2, **WHOLE, inputs=[draw(2, 3, 4), draw(2, 5, 4)], call=run)
module(
    "Transformer", 4, 2, **WHOLE, inputs=[draw(2, 3, 4), draw(2, 5, 4), padding(2, 3), np.tri(5) == 0],
    call=lambda layer, x, y, p, m: run(
        layer, x, y, tgt_mask=m, src_key_padding_mask=p, memory_key_padding_mask=p, src_is_causal=False
    ),
    note="masks",
)  # fmt: skip
module(
    "Transformer", 4, 2, **WHOLE, inputs=[draw(3, 4), draw(5, 4)],
    call=lambda layer, x, y: run(
        layer, x, y,
        tgt_mask=home(layer).nn.Transformer.generate_square_subsequent_mask(5, dtype=x.dtype)
    ),
    note="unbatched, causal",
)  # fmt: skip
