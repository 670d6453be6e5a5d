"""Adversarial games: a generator learns from nothing but a critic that tells its samples from data.

Here are the game and its objectives, whatever is played for; ``gan.py`` plays it for stretches of music.

Papers
    Goodfellow et al., "Generative adversarial nets", NIPS 2014, arXiv:1406.2661.
    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NIPS 2017,
    arXiv:1704.00028, after Arjovsky, Chintala, Bottou, "Wasserstein GAN", ICML 2017, arXiv:1701.07875.

The game.  G makes samples G(z) of noise z ~ N(0, I); D says how much a sample is like data. With D(x) = sigmoid(f(x))
the probability that x is real (equation 1 of the first paper),

    min_G max_D  E[ln D(x)] + E[ln(1 - D(G(z)))]

whose best D for a given G is p(x) / (p(x) + g(x)), so 1/2 where G has found the data; with it, G lowers the
Jensen-Shannon divergence. In a step D moves k times, then G once (algorithm 1).

What G lowers.  ``minimax`` is the game itself, E[ln(1 - D(G(z)))]. Where D is sure of its judgement, D(G(z)) -> 0, its
gradient in f is -D(G(z)) and vanishes: *non-saturating* is -E[ln D(G(z))] instead, with the gradient -(1 - D(G(z))) and
the same fixed point (section 3 there).

``wgan-gp``.  f is a critic, of any real value. Were it 1-Lipschitz, E[f(x)] - E[f(G(z))] at its greatest would be the
Wasserstein distance, which falls smoothly where the divergence above is flat. It is held there by a penalty on the norm
of its gradient between data and samples (equation 3 of the second paper):

    L = E[f(G(z))] - E[f(x)] + lambda E[(||grad_u f(u)|| - 1)^2]      u = e x + (1 - e) G(z),  e ~ U[0, 1]

The penalty is a function of a gradient: its own gradient in the weights goes through backward a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.errors import ConfigError, DataError
from tinydl.measures.compare import Reference
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.training import Batch, Player, Recipe, Score, collate

SEED = 2014  # of the samples that weights are compared by, and of the data
SAMPLES = 128
DATA = 512  # at most: the cost is that of all pairs


def discrimination(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """-E[ln D(x)] - E[ln(1 - D(G(z)))] of logits f(x) and f(G(z)): what D lowers.

    With one-sided label smoothing s (Salimans et al. 2016, arXiv:1606.03498, section 3.4) real data are to be called
    real with the probability 1 - s: the first term is -E[(1 - s) ln D(x) + s ln(1 - D(x))], since ln(D / (1 - D)) = f.
    """
    loss: Tensor = F.softplus(-real).mean() + F.softplus(fake).mean() + smoothing * real.mean()
    return loss


def minimax(fake: Tensor) -> Tensor:
    """E[ln(1 - D(G(z)))] of logits f(G(z))."""
    loss: Tensor = -F.softplus(fake).mean()
    return loss


def non_saturating(fake: Tensor) -> Tensor:
    """-E[ln D(G(z))] of logits f(G(z))."""
    loss: Tensor = F.softplus(-fake).mean()
    return loss


def wasserstein(fake: Tensor) -> Tensor:
    """-E[f(G(z))]."""
    loss: Tensor = -fake.mean()
    return loss


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, e: Tensor) -> Tensor:
    """E[(||grad_u f(u)|| - 1)^2] at u = e x + (1 - e) G(z): a scalar, to be differentiated again.

    Args:
        critic: f, of which each value depends on its own row alone (so no batch norm).
        real, fake: x and G(z), [N, ...].
        e: in [0, 1], [N].
    """
    e = e.reshape(-1, *[1] * (real.ndim - 1))
    u = (e * real + (1 - e) * fake).detach().requires_grad_()
    (gradient,) = tinydl.autograd.grad(critic(u).sum(), [u], create_graph=True)
    # at a gradient of 0, such as a critic of dead units has, the norm has no derivative: 0 is taken there
    norm = gradient.flatten(1).norm(dim=1)
    penalty: Tensor = ((norm - 1) ** 2).mean()
    return penalty


OBJECTIVES = {"minimax": minimax, "non-saturating": non_saturating, "wgan-gp": wasserstein}  # what G lowers


class Implicit(nn.Module):
    """A distribution that can be sampled, and has no density: x = G(z), z ~ N(0, I).

    A subclass has the net ``generator``, and says what data are.
    """

    @dataclass(frozen=True)
    class Config(Recipe):
        """Options; those of training are explained at :class:`tinydl.training.Recipe`.

        Attributes:
            latent: L, numbers in z.
        """

        latent: int = 64
        clip: float = 0.0
        context: int = 0

        def __post_init__(self) -> None:
            super().__post_init__()
            self._require("latent", self.latent >= 1, "at least 1")

    density = "none"
    config: Any
    generator: nn.Module

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return next(iter(self.generator.parameters())).device

    def real(self, batch: Batch) -> Tensor:
        """x, [N, ...], of a batch."""
        raise NotImplementedError

    def make(self, z: Tensor) -> Tensor:
        """G(z), shaped as data, of z [N, L]."""
        made: Tensor = self.generator(z)
        return made

    def noise(self, n: int) -> Tensor:
        """z, [n, L], for training."""
        return tinydl.randn(n, self.config.latent, device=self.device)


class Adversarial(Implicit):
    """The game, whatever is played for; a subclass has the nets ``generator`` and ``critic``, and says what is real."""

    @dataclass(frozen=True)
    class Config(Implicit.Config):
        """As :class:`Implicit.Config`, and

        Attributes:
            objective: ``minimax``, ``non-saturating`` or ``wgan-gp``.
            updates: k, updates of the critic for each of the generator's.
            penalty: lambda of ``wgan-gp``.
            critic_lr: learning rate of the critic; ``lr`` is the generator's.
        """

        objective: str = "wgan-gp"
        updates: int = 5
        penalty: float = 10.0
        critic_lr: float = 1e-3

        def __post_init__(self) -> None:
            super().__post_init__()
            self._require("objective", self.objective in OBJECTIVES, f"one of {', '.join(OBJECTIVES)}")
            self._require("updates", self.updates >= 1, "at least 1")
            self._require("penalty", self.penalty >= 0, "0 or more")
            self._require("critic_lr", 0 < self.critic_lr < math.inf, "above 0")

    critic: nn.Module

    def players(self) -> Mapping[str, Player]:
        """The critic, k times; then the generator. Adam with the moments of the second paper: beta_1 below its usual
        0.9, since each one's gradient turns with the other's moves."""
        config, betas = self.config, (0.5, 0.9)
        return {
            "critic": Player(list(self.critic.parameters()), config.critic_lr, betas, config.updates),
            "generator": Player(list(self.generator.parameters()), config.lr, betas),
        }

    def judge(self, x: Tensor) -> Tensor:
        """f(x), [N]."""
        judged: Tensor = self.critic(x).reshape(-1)
        return judged

    def loss(self, batch: Batch, player: str) -> Tensor:
        """What the player lowers, a scalar, at as many samples as there are data in the batch."""
        config, x = self.config, self.real(batch)
        if player == "generator":
            return OBJECTIVES[config.objective](self.judge(self.make(self.noise(len(x)))))
        with tinydl.no_grad():
            fake = self.make(self.noise(len(x)))
        if config.objective != "wgan-gp":
            return discrimination(self.judge(x), self.judge(fake))
        e = tinydl.rand(len(x), device=self.device)
        distance = self.judge(x).mean() - self.judge(fake).mean()
        loss: Tensor = config.penalty * gradient_penalty(self.judge, x, fake, e) - distance
        return loss


class NoDensity(nn.Module):
    """A model of music that says of no piece how likely it is; its weights are compared by their samples.

    The criterion is the energy distance (:mod:`tinydl.measures.compare`), in [0, 1], of :data:`SAMPLES` samples from
    validation data, entry by entry. It sees noise and collapse, and makes no claim about music, which ``tinydl evaluate
    --measures`` is for. A subclass says what the data of pieces are, and draws samples like them.
    """

    density = "none"
    model_name: str
    _compared: tuple[Sequence[NDArray[Any]], Reference] | None = None

    def examples(self, pieces: Sequence[NDArray[Any]], most: int, rng: Generator) -> NDArray[Any]:
        """Data of pieces, as vectors [N, D]: all, or so many of them, drawn."""
        raise NotImplementedError

    def made(self, n: int, rng: Generator) -> NDArray[Any]:
        """``n`` samples, as vectors [n, D]."""
        raise NotImplementedError

    def demand(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Raise :class:`DataError` where the pieces of a validation split are too few to be compared with.

        What is needed of them at every validation, and does not change, is computed here, once.
        """
        if self._compared is None or self._compared[0] is not pieces:
            found = self.examples(pieces, DATA, Generator(SEED).fork("data")).astype(np.float64)
            if len(found) < 2:
                raise DataError(
                    f"the validation split holds {len(found)} example{'s' * (len(found) != 1)} for the model "
                    f"{self.model_name!r}, which compares its samples with at least 2: add music"
                )
            self._compared = pieces, Reference("l1", found)

    @tinydl.no_grad()
    def criterion(self, pieces: Sequence[NDArray[Any]]) -> float:
        """How far new samples lie from the data of pieces, in [0, 1]."""
        self.demand(pieces)
        assert self._compared is not None
        made = self.made(SAMPLES, Generator(SEED)).astype(np.float64)
        return self._compared[1].distance(made, resamples=0).value

    def score(self, batch: Batch) -> Score:
        """There is none."""
        raise ConfigError(
            f"the model {self.model_name!r} has no likelihood; tinydl evaluate RUN --measures says how far its music "
            "lies from the corpus"
        )

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """There is none."""
        likelihood: NDArray[Any] = self.score(collate([piece])).log_prob
        return likelihood
