"""The Music Transformer: chorales one symbol after another, by attention that knows how long ago a symbol was.

Papers
    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin, "Attention is all you need", NeurIPS 2017,
    arXiv:1706.03762.
    Shaw, Uszkoreit, Vaswani, "Self-attention with relative position representations", NAACL 2018, arXiv:1803.02155.
    Huang et al., "Music Transformer", ICLR 2019, arXiv:1809.04281: the same in memory that grows with the length alone,
    and Bach's chorales.

The model.  h^0 = x of :mod:`tinydl.models.voice_by_voice`; a layer is, with the norm before each part (Xiong et
al. 2020, arXiv:2002.04745; the paper has it behind),

    h'  = h + O Attention(LN(h))
    h'' = h' + W_2 relu(W_1 LN(h') + b_1) + b_2

and p(w_i | w_<i) = softmax(W LN(h) + b) of the last one. In each head place i asks with q_i, of dimension D_h, and
sees places j from i - S + 1 to i (equation 3 of Huang et al.),

    Attention_i = sum_j softmax_j((q_i k_j + q_i e_(i-j)) / sqrt(D_h)) v_j

where e_d is learned, of a head and a distance: the matrix of the second terms is Q E^T, each row moved to its place
("skewing", section 3.4.1), never a tensor of i, j and D_h; and only a block of it at a time
(:mod:`tinydl.kernels.attention.spec`). Positions are nowhere but in the distances.

Sampling.  k_j and v_j of the last S places are kept (``advance``), so that a symbol costs the same wherever it stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tinydl
from tinydl import Tensor, nn
from tinydl.models.voice_by_voice import VOICES, VoiceByVoice
from tinydl.nn import functional as F
from tinydl.ops.attention import relative_attention
from tinydl.registry import register_model


class RelativeAttention(nn.Module):
    """Causal attention over the last ``span`` places, in ``heads``, that learns a vector of every distance."""

    def __init__(self, width: int, heads: int, span: int) -> None:
        super().__init__()
        self.heads, self.span, self.size = heads, span, width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.e = nn.Parameter(tinydl.randn(heads, span, self.size) * 0.02)  # e[:, d] is of distance d

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v, [B, heads, L, D_h], of x [B, L, D]."""
        B, L, _ = x.shape
        q, k, v = self.qkv(x).reshape(B, L, 3, self.heads, self.size).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """O Attention, [B, L, D], of queries that stand at the last L places of the keys."""
        found = relative_attention(q, k, v, self.e, scale=1 / math.sqrt(self.size))
        out: Tensor = self.out(found.transpose(1, 2).reshape(q.shape[0], q.shape[2], -1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, D] to [B, L, D]."""
        return self.attend(*self.split(x))

    def step(self, x: Tensor, memory: Memory) -> Tensor:
        """The last row of :meth:`forward`, [n, D], of x_i, [n, D], and what was kept of the places before."""
        q, k, v = self.split(x.unsqueeze(1))
        last: Tensor = self.attend(q, *memory.add(k, v))[:, 0]
        return last


class Memory:
    """The keys and values of the last ``span`` places of ``n`` pieces, in one layer."""

    def __init__(self, attention: RelativeAttention, n: int, length: int) -> None:
        # Twice the span: what is kept moves to the front once in a span, not at every place.
        shape = (n, attention.heads, min(length, 2 * attention.span), attention.size)
        self.keys, self.values = attention.e.new_zeros(shape), attention.e.new_zeros(shape)
        self.span, self.end = attention.span, 0

    def add(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep k and v, [n, heads, 1, D_h], and give all that is seen from their place."""
        if self.end == self.keys.shape[2]:
            kept = self.span - 1
            for kind in (self.keys.array, self.values.array):
                kind[:, :, :kept] = kind[:, :, self.end - kept :].copy()
            self.end = kept
        # Written past the recording, which there is none of while sampling, at a fifth of what a place takes.
        self.keys.array[:, :, self.end : self.end + 1] = k.array
        self.values.array[:, :, self.end : self.end + 1] = v.array
        self.end += 1
        seen = slice(max(0, self.end - self.span), self.end)
        return self.keys[:, :, seen], self.values[:, :, seen]


class Layer(nn.Module):
    """Attention, then two linear maps, each added to what it reads."""

    def __init__(self, width: int, heads: int, span: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = RelativeAttention(width, heads, span)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """[B, L, D] to [B, L, D]."""
        return self.think(h + self.dropout(self.attention(self.norm1(h))))

    def step(self, h: Tensor, memory: Memory) -> Tensor:
        """The last row of :meth:`forward`, [n, D]."""
        return self.think(h + self.attention.step(self.norm1(h), memory))

    def think(self, h: Tensor) -> Tensor:
        """h'' of h'."""
        new: Tensor = h + self.dropout(self.linear2(F.relu(self.linear1(self.norm2(h)))))
        return new


@register_model("music-transformer")
class MusicTransformer(VoiceByVoice):
    """A Transformer over the symbols of four voices, with relative attention."""

    @dataclass(frozen=True)
    class Config(VoiceByVoice.Config):
        """As :class:`tinydl.models.voice_by_voice.VoiceByVoice.Config`; S is the symbols of a ``window``, and

        Attributes:
            heads: of attention; they share out D.
            layers: one upon another.
            dropout: of x_i, and of what is added to h.
        """

        heads: int = 4
        layers: int = 3
        lr: float = 1e-3

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("heads", "layers"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("heads", self.width % self.heads == 0, f"a divisor of width, {self.width}")

    paper = "Huang et al. 2019, arXiv:1809.04281"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        span = VOICES * config.window
        self.layers = nn.ModuleList(
            [Layer(config.width, config.heads, span, config.dropout) for _ in range(config.layers)]
        )
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, self.encoding.symbols)

    def hidden(self, x: Tensor) -> Tensor:
        """LN(h) of the last layer, [B, L, D], of inputs [B, L, D]."""
        for layer in self.layers:
            x = layer(x)
        h: Tensor = self.norm(x)
        return h

    def begun(self, n: int, length: int) -> list[Memory]:
        """Nothing seen."""
        attentions = [layer.attention for layer in self.layers if isinstance(layer, Layer)]
        return [Memory(attention, n, length) for attention in attentions]

    def advance(self, x: Tensor, state: Any) -> tuple[Tensor, list[Memory]]:
        """One place further: LN(h_i) of x_i, [n, D]."""
        layer: Any  # a Layer
        for layer, memory in zip(self.layers, state):
            x = layer.step(x, memory)
        return self.norm(x), state
