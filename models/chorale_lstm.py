"""Chorales by an LSTM, one symbol after another: what the Music Transformer is measured against.

Papers
    Liang, Gotham, Johnson, Shotton, "Automatic stylistic composition of Bach chorales with deep LSTM" (BachBot),
    ISMIR 2017: four voices as one row of symbols, and an LSTM that reads them.

The model.  x_i as in :mod:`tinydl.models.voice_by_voice`, and

    (h_i, c_i) = LSTM(x_i, h_(i-1), c_(i-1))      h_0 = c_0 = 0
    p(w_i | w_<i) = softmax(W h_i + b)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinydl import Tensor, nn
from tinydl.models.voice_by_voice import VoiceByVoice
from tinydl.registry import register_model

State = tuple[Tensor, Tensor]  # (h, c), each [layers, n, H]


@register_model("chorale-lstm")
class ChoraleLstm(VoiceByVoice):
    """An LSTM over the symbols of four voices."""

    @dataclass(frozen=True)
    class Config(VoiceByVoice.Config):
        """As :class:`tinydl.models.voice_by_voice.VoiceByVoice.Config`, and

        Attributes:
            hidden: H, units of a layer.
            layers: LSTM layers, one upon another.
            dropout: of x_i, of what goes from layer to layer, and of the h_i that W reads.
        """

        hidden: int = 220
        layers: int = 2
        dropout: float = 0.2
        lr: float = 3e-3

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("hidden", "layers"):
                self._require(name, getattr(self, name) >= 1, "at least 1")

    paper = "Liang et al. 2017 (BachBot), ISMIR"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        between = config.dropout if config.layers > 1 else 0.0
        self.rnn = nn.LSTM(config.width, config.hidden, config.layers, dropout=between, batch_first=True)
        self.output = nn.Linear(config.hidden, self.encoding.symbols)

    def hidden(self, x: Tensor) -> Tensor:
        """h, [B, L, H], of inputs [B, L, D]."""
        h: Tensor = self.dropout(self.rnn(x)[0])
        return h

    def begun(self, n: int, length: int) -> State | None:
        """Zeros."""
        return None

    def advance(self, x: Tensor, state: Any) -> tuple[Tensor, State]:
        """One place further: h_i of x_i, [n, D]."""
        h, state = self.rnn(x.unsqueeze(1), state)
        return self.dropout(h[:, 0]), state
