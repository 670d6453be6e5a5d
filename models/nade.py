"""The neural autoregressive distribution estimator: notes of a frame one after another, with an exact likelihood.

Paper
    Larochelle, Murray, "The neural autoregressive distribution estimator", AISTATS 2011.

The model.  Of a frame x in {0,1}^P each note is predicted from those before it (equations 6 and 7 of the paper, in our
letters; W and V have a row of D numbers for each pitch):

    p(x) = prod_k p(x_k | x_<k),      p(x_k = 1 | x_<k) = sigmoid(b_k + V_k . s_k)
    s_k = sigmoid(c + sum over j < k of x_j W_j)

It came from the RBM (``rbm.py``): s_k and p(x_k) are one round of its mean field, with the notes before k given. But
nothing has to be sampled to train it, and no Z is left to estimate. The paper ties nothing: W and V are two matrices.
The pitches follow each other from the highest down, as in ``lstm_nade.py``; rows of b, V and W stand in that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.kernels.loss.spec import log_bernoulli
from tinydl.kernels.nade import spec
from tinydl.models.frames import Frames
from tinydl.ops.nade import nade, nade_sample
from tinydl.random import Generator
from tinydl.registry import register_model


@register_model("nade")
class Nade(Frames):
    """A NADE of single frames; piano-rolls, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(Frames.Config):
        """As :class:`tinydl.models.frames.Frames.Config`."""

        units: int = 200

    images = {"units": 500, "batch": 100, "clip": 0.0, "lr": 1e-3, "average": 0.9995, "steps": 200_000,
              "eval_every": 1000}  # fmt: skip
    density = "exact"
    paper = "Larochelle and Murray 2011, AISTATS"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        P, D = self.config.pitches, self.config.units
        self.c = nn.Parameter(tinydl.zeros(D))
        self.W = nn.Parameter(tinydl.empty(P, D))
        self.V = nn.Parameter(tinydl.empty(P, D))
        for weight in (self.W, self.V):
            nn.init.uniform_(weight, -(D**-0.5), D**-0.5)

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """As in ``frames.py``, in the order of the NADE."""
        super().prepare([piece[:, ::-1] for piece in pieces])

    def rows(self, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """b and c for ``n`` frames, W and V."""
        return self.b.expand(n, -1), self.c.expand(n, -1), self.W, self.V

    def cost(self, x: NDArray[np.bool_]) -> Tensor:
        """-ln p(x), [N]."""
        given = tinydl.as_tensor(np.ascontiguousarray(x[:, ::-1]), device=self.device)
        cost: Tensor = -nade(given, *self.rows(len(x)))
        return cost

    def frame_log_prob(self, x: NDArray[np.bool_]) -> NDArray[np.float64]:
        """ln p(x), float64 [N]."""
        with tinydl.no_grad():
            log_prob: NDArray[np.float64] = -self.cost(x).cpu().numpy().astype(np.float64)
        return log_prob

    def element_log_prob(self, piece: NDArray[np.bool_]) -> NDArray[np.float64]:
        """ln p(x_tk | x_t,<k), float64 [T, P] by pitch: what every note, and every rest, adds to ``log_prob``."""
        x = np.ascontiguousarray(piece[:, ::-1])
        b, c, w, v = (np.asarray(a.detach().cpu().numpy(), np.float64) for a in self.rows(len(x)))
        return log_bernoulli(x, spec.logits(x, b, c, w, v))[:, ::-1]

    def likely(self) -> NDArray[np.bool_]:
        """Each note in turn takes its likelier value."""
        likely: NDArray[np.bool_] = self.draw(1, 0.0, Generator(0))[0]
        return likely

    def draw(self, n: int, temperature: float, rng: Generator) -> NDArray[np.bool_]:
        """One note after another; every logit is divided by the temperature."""
        u = tinydl.as_tensor(rng.random((n, self.config.pitches), np.float64), device=self.device)
        with tinydl.no_grad():
            x = nade_sample(u, *self.rows(n), temperature=temperature, sounding=np.zeros(n, bool))
        drawn: NDArray[np.bool_] = x.cpu().numpy()[:, ::-1]
        return drawn
