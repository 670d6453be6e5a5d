"""MusicVAE: a recurrent variational autoencoder whose conductor plans a phrase bar by bar before it is written.

Paper
    Roberts, Engel, Raffel, Hawthorne, Eck, "A hierarchical latent vector model for learning long-term structure in
    music", ICML 2018, arXiv:1803.05428.

The model.  As in ``phrases.py``, where the ELBO stands. The encoder reads the phrase in both directions; from its two
last states (section 3.1),

    h = [h_T forwards, h_1 backwards]        mu = W_mu h + b_mu        sigma = softplus(W_sigma h + b_sigma)

Flat decoder.  z decides its first state and is read again at every step,

    state_0 = tanh(W_z z + b_z)        h_t = LSTM([E x_(t-1), z], h_(t-1))        p(x_t | z, x_<t) = softmax(W h_t + b)

Hierarchical decoder (section 3.2).  Over many steps the flat one forgets z, and lives on what it wrote last. So an LSTM
that reads nothing, the conductor, makes from z one vector c_u for each bar u, and the decoder writes a bar from c_u as
it would a phrase from z, beginning anew at every bar: what a bar should know of the others it can only know through z.

    conductor_0 = tanh(W_z z + b_z)        c_u = LSTM(0, c_(u-1))        state_(u,0) = tanh(W_c c_u + b_c)

All bars are written at the same time, 16 steps in all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.models.phrases import Phrases, State
from tinydl.nn import functional as F
from tinydl.registry import register_model


@register_model("music-vae")
class MusicVae(Phrases):
    """Bidirectional LSTM in, z, LSTM out, flat or under a conductor; phrases of a tune, int64 [T]."""

    @dataclass(frozen=True)
    class Config(Phrases.Config):
        """As :class:`tinydl.models.phrases.Phrases.Config`, and

        Attributes:
            conductor: its units; 0 is the flat decoder.
        """

        conductor: int = 0

        def __post_init__(self) -> None:
            super().__post_init__()
            self._require("conductor", self.conductor >= 0, "0 or more")

    paper = "Roberts et al. 2018, arXiv:1803.05428"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        D, H, L, C = self.config.embedding, self.config.hidden, self.config.latent, self.config.conductor
        self.encoder = nn.LSTM(D, H, bidirectional=True)
        self.to_z = nn.Linear(2 * H, 2 * L)
        if C:
            self.to_conductor = nn.Linear(L, 2 * C)
            self.conductor = nn.LSTM(1, C)
        told = C or L
        self.to_state = nn.Linear(told, 2 * H)
        self.decoder = nn.LSTM(D + told, H)

    def infer(self, x: Tensor, lengths: NDArray[np.int64] | None) -> tuple[Tensor, Tensor]:
        _, (h, _) = self.encoder(x, lengths=lengths)
        mu, width = self.to_z(tinydl.cat([h[0], h[1]], -1)).chunk(2, -1)
        return mu, 2 * tinydl.log(F.softplus(width) + 1e-6)

    def plan(self, z: Tensor) -> Tensor:
        if not self.config.conductor:
            whole: Tensor = z.unsqueeze(0)
            return whole
        h, cell = tinydl.tanh(self.to_conductor(z)).unsqueeze(0).chunk(2, -1)
        c: Tensor = self.conductor(z.new_zeros(self.config.bars, z.shape[0], 1), (h, cell))[0]
        return c

    def begin(self, c: Tensor) -> State:
        h, cell = tinydl.tanh(self.to_state(c)).unsqueeze(0).chunk(2, -1)
        return h, cell

    def read(self, x: Tensor, c: Tensor, state: State) -> tuple[Tensor, State]:
        told = c.unsqueeze(0).expand(x.shape[0], *c.shape)
        h, state = self.decoder(tinydl.cat([x, told], -1), state)
        return h, state
