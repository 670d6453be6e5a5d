"""The variational autoencoder: frames from a few continuous numbers, trained by a bound of the likelihood.

Papers
    Kingma, Welling, "Auto-encoding variational Bayes", ICLR 2014, arXiv:1312.6114; Rezende, Mohamed, Wierstra,
    "Stochastic backpropagation and approximate inference in deep generative models", ICML 2014, arXiv:1401.4082.
    Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, arXiv:1509.00519: a closer bound.

The model.  z ~ N(0, I) of L numbers; from it the probabilities of all notes of a frame x in {0,1}^P,

    p(x | z) = prod_k y_k^x_k (1 - y_k)^(1 - x_k)      y = sigmoid(V tanh(U z + a) + b)

and an encoder that guesses which z were behind x, with the same kind of net:

    q(z | x) = N(mu, diag(sigma^2))      mu, ln sigma^2 from tanh(W x + c)

Training.  ln p(x) is at least the ELBO (equation 3 of the first paper),

    ln p(x) >= E_q[ln p(x | z)] - KL(q(z | x) || p(z))      KL = 1/2 sum_l (mu_l^2 + sigma_l^2 - 1 - ln sigma_l^2)

whose expectation is taken at one z = mu + sigma eps, eps ~ N(0, I): the gradient goes through z to the encoder.

Likelihood.  With K draws of z the bound is closer, and more so the more there are:

    ln p(x) >= E[ln 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x)]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.generation.sampling import COLD
from tinydl.models.frames import Frames
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training.evaluation import mean_nll

SEED = 2014  # of the draws of z for a likelihood: the same weights have the same one every time
MOST_CELLS = 50_000 * 88  # that are decoded at once


@register_model("vae")
class Vae(Frames):
    """A VAE of single frames; piano-rolls, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(Frames.Config):
        """As :class:`tinydl.models.frames.Frames.Config`, where ``units`` are those of each net, and

        Attributes:
            layers: hidden layers of each net; from the second on they have as many units as the first.
            latent: L.
            samples: K, draws of z for a likelihood.
            valid_samples: as many for the validation by which weights are compared.
        """

        units: int = 200
        layers: int = 1
        latent: int = 16
        samples: int = 50
        valid_samples: int = 50
        batch: int = 16
        lr: float = 1e-3

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("layers", "latent", "samples", "valid_samples"):
                self._require(name, getattr(self, name) >= 1, "at least 1")

    density = "bound"
    images = {"units": 400, "layers": 2, "latent": 50, "samples": 500, "batch": 100, "clip": 0.0, "lr": 2e-3,
              "average": 0.9995, "steps": 200_000, "eval_every": 5000}  # fmt: skip
    paper = "Kingma and Welling 2014, arXiv:1312.6114"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.draws = self.config.samples
        P, H, L = self.config.pitches, self.config.units, self.config.latent
        self.encoder = nn.Sequential(nn.Linear(P, H), nn.Tanh(), *self.deeper(), nn.Linear(H, 2 * L))
        self.decoder = nn.Sequential(nn.Linear(L, H), nn.Tanh(), *self.deeper(), nn.Linear(H, P, bias=False))

    def deeper(self) -> list[nn.Module]:
        """The hidden layers after the first."""
        H = self.config.units
        return [module for _ in range(1, self.config.layers) for module in (nn.Linear(H, H), nn.Tanh())]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and ln sigma^2 of q(z | x), [N, L] each, of frames x, float [N, P]."""
        mu, log_variance = self.encoder(x).chunk(2, -1)
        return mu, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """The logits of y, [..., P], of z [..., L]."""
        logits: Tensor = self.decoder(z) + self.b
        return logits

    def cost(self, x: NDArray[np.bool_]) -> Tensor:
        """-ELBO, [N], at one draw of z."""
        target = tinydl.as_tensor(x.astype(np.float32), device=self.device)
        mu, log_variance = self.encode(target)
        z = mu + tinydl.exp(log_variance / 2) * tinydl.randn_like(mu)
        missed = F.binary_cross_entropy_with_logits(self.decode(z), target, reduction="none").sum(-1)
        cost: Tensor = missed + divergence(mu, log_variance)
        return cost

    def bound(self, x: NDArray[np.bool_], samples: int) -> NDArray[np.float64]:
        """The importance-weighted bound of ln p(x) with so many draws, float64 [N]; with one, the ELBO at one draw."""
        rng = Generator(SEED)
        found = np.empty(len(x))
        many = max(1, MOST_CELLS // (samples * self.config.pitches))
        for first in range(0, len(x), many):
            target = tinydl.as_tensor(x[first : first + many].astype(np.float32), device=self.device)
            with tinydl.no_grad():
                mu, log_variance = self.encode(target)
                eps = tinydl.as_tensor(rng.normal((samples, *mu.shape)), device=self.device)
                z = mu + tinydl.exp(log_variance / 2) * eps
                log_w = log_ratio(eps, z, log_variance)
                every = target.expand(samples, *target.shape)
                log_w = log_w - F.binary_cross_entropy_with_logits(self.decode(z), every, reduction="none").sum(-1)
            log_mean = np.logaddexp.reduce(log_w.cpu().numpy().astype(np.float64), axis=0) - math.log(samples)
            found[first : first + many] = log_mean
        return found

    def frame_log_prob(self, x: NDArray[np.bool_]) -> NDArray[np.float64]:
        """No more than ln p(x), but for chance: float64 [N]."""
        return self.bound(x, self.draws)

    def criterion(self, pieces: Sequence[NDArray[Any]]) -> float:
        """The bound with fewer draws, or more, than a likelihood takes."""
        model: Any = self
        self.draws = self.config.valid_samples
        try:
            return mean_nll(model, pieces)
        finally:
            self.draws = self.config.samples

    def likely(self) -> NDArray[np.bool_]:
        """The notes that z = 0 makes likely."""
        with tinydl.no_grad():
            likely: NDArray[np.bool_] = self.decode(self.b.new_zeros(self.config.latent)).cpu().numpy() > 0
        return likely

    def draw(self, n: int, temperature: float, rng: Generator) -> NDArray[np.bool_]:
        """z from N(0, I), narrower by the temperature, then the notes, with logits divided by it."""
        heat = max(temperature, COLD)
        z = tinydl.as_tensor(rng.normal((n, self.config.latent)) * np.float32(temperature), device=self.device)
        with tinydl.no_grad():
            logits = self.decode(z).cpu().numpy().astype(np.float64) / heat
        drawn: NDArray[np.bool_] = rng.random(logits.shape, np.float64) < np.exp(-np.logaddexp(0, -logits))
        return drawn


def divergence(mu: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, diag(sigma^2)) || N(0, I)), summed over the last dimension."""
    kl: Tensor = (mu**2 + tinydl.exp(log_variance) - 1 - log_variance).sum(-1) / 2
    return kl


def log_ratio(eps: Tensor, z: Tensor, log_variance: Tensor) -> Tensor:
    """ln p(z) - ln q(z | x) of z = mu + sigma eps: the constants of both normal distributions are the same."""
    ratio: Tensor = ((eps**2 - z**2).sum(-1) + log_variance.sum(-1)) / 2
    return ratio
