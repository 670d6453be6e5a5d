"""The variational recurrent autoencoder: a net reads a phrase into z, another writes it from z.

Paper
    Fabius, van Amersfoort, "Variational recurrent auto-encoders", 2014, arXiv:1412.6581.

The model.  As in ``phrases.py``, where the ELBO stands. The encoder's last state says what z may be (section 2.1 of the
paper; here an LSTM in place of the tanh net, and a tune's events in place of the notes of a roll),

    h_t = LSTM(E x_t, h_(t-1))        mu = W_mu h_T + b_mu        ln sigma^2 = W_sigma h_T + b_sigma

and z decides the state from which the decoder begins; everything after it is read from the events,

    h_0 = tanh(W_z z + b_z)        h_t = LSTM(E x_(t-1), h_(t-1))        p(x_t | z, x_<t) = softmax(W h_t + b)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.models.phrases import Phrases, State
from tinydl.registry import register_model


@register_model("vrae")
class Vrae(Phrases):
    """LSTM in, z, LSTM out; phrases of a tune, int64 [T]."""

    paper = "Fabius and van Amersfoort 2014, arXiv:1412.6581"

    def __init__(self, config: Phrases.Config | None = None) -> None:
        super().__init__(config)
        D, H, L = self.config.embedding, self.config.hidden, self.config.latent
        self.encoder = nn.LSTM(D, H)
        self.to_z = nn.Linear(H, 2 * L)
        self.from_z = nn.Linear(L, 2 * H)
        self.decoder = nn.LSTM(D, H)

    def infer(self, x: Tensor, lengths: NDArray[np.int64] | None) -> tuple[Tensor, Tensor]:
        _, (h, _) = self.encoder(x, lengths=lengths)
        mu, log_variance = self.to_z(h[0]).chunk(2, -1)
        return mu, log_variance

    def plan(self, z: Tensor) -> Tensor:
        whole: Tensor = z.unsqueeze(0)
        return whole

    def begin(self, c: Tensor) -> State:
        h, cell = tinydl.tanh(self.from_z(c)).unsqueeze(0).chunk(2, -1)
        return h, cell

    def read(self, x: Tensor, c: Tensor, state: State) -> tuple[Tensor, State]:
        h, state = self.decoder(x, state)
        return h, state
