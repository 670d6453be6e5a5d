"""``MultiheadAttention``."""

from __future__ import annotations

from typing import Any

from tinydl.nn import functional as F
from tinydl.nn import init
from tinydl.nn.linear import Linear
from tinydl.nn.module import Module, new_parameter
from tinydl.nn.parameter import Parameter
from tinydl.ops.shaping import transpose
from tinydl.tensor import Tensor


class NonDynamicallyQuantizableLinear(Linear):
    """``Linear`` under the name by which PyTorch prints the output projection of an attention."""


class MultiheadAttention(Module):
    """Attention in ``num_heads`` parallel heads (Vaswani et al., arXiv:1706.03762)::

        head_i = softmax(Q_i K_i^T / sqrt(E / heads) + masks) V_i
        output = concat(head_1, ..., head_h) W_o^T + b_o

    with Q = query W_q^T + b_q cut into heads, and K and V in the same way. E ``embed_dim``, K ``kdim`` and V ``vdim``
    (E by default).

    Parameters: ``in_proj_weight`` [3 E, E], the three one below the other, or, when K or V is not E, ``q_proj_weight``
    [E, E], ``k_proj_weight`` [E, K], ``v_proj_weight`` [E, V], all drawn by Xavier's uniform rule; ``in_proj_bias``
    [3 E] and ``out_proj.bias`` [E], zeros; ``out_proj.weight`` [E, E] as of a ``Linear``; with ``add_bias_kv``
    ``bias_k`` and ``bias_v`` [1, 1, E], one more key and value. ``add_zero_attn`` adds one of zeros. ``dropout`` acts
    on the probabilities, in training.

    Raises ValueError or AssertionError, in PyTorch's words, for sizes that do not fit.
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(
                f"embed_dim must be divisible by num_heads, got embed_dim={embed_dim} and num_heads={num_heads}"
            )
        self._packed = self.kdim == self.vdim == embed_dim
        separate = {"q_proj_weight": embed_dim, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
        for name, columns in separate.items():
            weight = None if self._packed else new_parameter((embed_dim, columns), device, dtype)
            self.register_parameter(name, weight)
        weight = new_parameter((3 * embed_dim, embed_dim), device, dtype) if self._packed else None
        self.register_parameter("in_proj_weight", weight)
        self.register_parameter("in_proj_bias", new_parameter((3 * embed_dim,), device, dtype) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, new_parameter((1, 1, embed_dim), device, dtype) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projections of query, key and value anew, and back to zero biases."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """query [L, B, E], key [S, B, K], value [S, B, V] (``batch_first``: B first; unbatched: no B) -> (output, p).

        output as the query; p the probabilities [B, L, S], averaged over the heads, or [B, heads, L, S] with
        ``average_attn_weights=False``, or None with ``need_weights=False``, which is faster and needs less memory.
        True in ``key_padding_mask`` [B, S] and ``attn_mask`` ([L, S] or [B heads, L, S]) *hides* a key; floating masks
        are added to the scores. ``is_causal`` says that ``attn_mask`` is the causal mask.
        """
        turn = self.batch_first and query.ndim == 3
        if turn:
            query, key, value = (transpose(x, 0, 1) for x in (query, key, value))
        output, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, not self._packed, self.q_proj_weight, self.k_proj_weight,
            self.v_proj_weight, average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return (transpose(output, 0, 1) if turn else output), weights
