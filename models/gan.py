"""Generative adversarial networks: a generator learns from nothing but a critic that tells its samples from data.

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
from tinydl.errors import ConfigError
from tinydl.generation.sampling import check
from tinydl.measures.compare import Reference
from tinydl.models.frames import log_odds
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Player, Recipe, Score, collate

SEED = 2014  # of the samples that weights are compared by
STRETCHES = 128  # of them


def discrimination(real: Tensor, fake: Tensor) -> Tensor:
    """-E[ln D(x)] - E[ln(1 - D(G(z)))] of logits f(x) and f(G(z)): what D lowers."""
    loss: Tensor = F.softplus(-real).mean() + F.softplus(fake).mean()
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


@register_model("gan")
class Gan(Adversarial):
    """A GAN of stretches of music; piano-rolls, bool [T, P].

    G and the critic see a stretch of ``frames`` frames as one array: G ends in a sigmoid for every cell, and a cell
    sounds where that is above 1/2. A longer piece is a row of stretches.
    """

    @dataclass(frozen=True)
    class Config(Adversarial.Config):
        """As :class:`Adversarial.Config`, and

        Attributes:
            units: of the two hidden layers of either net.
            frames: of a stretch; a shorter piece ends in silence.
            bar: frames from one place at which a stretch may begin to the next.
            walk: how much of z is kept from one stretch of a piece to the next: z' = walk z + sqrt(1 - walk^2) e,
                e ~ N(0, I), so that every stretch is a fair sample, and neighbours are alike.
            step: length of a frame in beats (quarter notes); a named dataset has its own.
            pitches: P; 88 is the piano, from A0 (MIDI 21).
        """

        units: int = 256
        frames: int = 32
        bar: int = 4
        walk: float = 0.95
        step: str = "1"
        pitches: int = 88
        batch: int = 32
        chunk: int = 100_000  # pieces stay whole: where a stretch begins is drawn
        updates: int = 1
        lr: float = 1e-3
        critic_lr: float = 1e-3
        average: float = 0.99
        steps: int = 3000
        eval_every: int = 250

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("units", "frames", "bar", "pitches"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("walk", 0 <= self.walk <= 1, "in [0, 1]")

    paper = "Goodfellow et al. 2014, arXiv:1406.2661; Gulrajani et al. 2017, arXiv:1704.00028"
    data = "polyphony"
    conditions = ("temperature",)
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.representation = {"name": "roll", "step": config.step}
        U, cells = config.units, config.frames * config.pitches
        self.generator = nn.Sequential(
            nn.Linear(config.latent, U), nn.ReLU(), nn.Linear(U, U), nn.ReLU(), nn.Linear(U, cells)
        )
        self.critic = nn.Sequential(
            nn.Linear(cells, U), nn.LeakyReLU(0.2), nn.Linear(U, U), nn.LeakyReLU(0.2), nn.Linear(U, 1)
        )

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start the last bias of G at the log-odds of each pitch: it begins with their marginals."""
        with tinydl.no_grad():
            *_, bias = self.generator.parameters()
            bias.copy_(log_odds(pieces, self.config.pitches).repeat(self.config.frames))

    def stretches(self, pieces: Sequence[NDArray[np.bool_]], starts: Sequence[int]) -> NDArray[np.float32]:
        """From each piece the stretch that begins at a frame: float32 [N, frames * P]."""
        found = np.zeros((len(pieces), self.config.frames, self.config.pitches), np.float32)
        for row, piece, start in zip(found, pieces, starts):
            cut = piece[start : start + self.config.frames]
            row[: len(cut)] = cut
        return found.reshape(len(pieces), -1)

    def places(self, length: int) -> int:
        """At how many frames a stretch of a piece may begin: 0, bar, 2 bar ..., as long as it lies in the piece."""
        return 1 + max(0, length - self.config.frames) // self.config.bar

    def real(self, batch: Batch) -> Tensor:
        """One stretch of every piece, from a place drawn anew: float32 [N, frames * P]."""
        pieces = [data[:length] for data, length in zip(batch.data, batch.lengths)]
        drawn = tinydl.rand(len(pieces)).numpy()
        starts = [int(u * self.places(len(piece))) * self.config.bar for u, piece in zip(drawn, pieces)]
        return tinydl.as_tensor(self.stretches(pieces, starts), device=self.device)

    def make(self, z: Tensor) -> Tensor:
        """G(z), in (0, 1): [N, frames * P]."""
        made: Tensor = tinydl.sigmoid(self.generator(z))
        return made

    @tinydl.no_grad()
    def criterion(self, pieces: Sequence[NDArray[Any]]) -> float:
        """The energy distance (:mod:`tinydl.measures.compare`) of new stretches from those of pieces, in [0, 1]; cells
        that differ are counted."""
        starts = [(piece, k * self.config.bar) for piece in pieces for k in range(self.places(len(piece)))]
        real = self.stretches(*zip(*starts))
        z = Generator(SEED).normal((STRETCHES, self.config.latent))
        made = self.make(tinydl.as_tensor(z, device=self.device)).cpu().numpy() > 0.5
        return Reference("l1", real.astype(np.float64)).distance(made.astype(np.float64), resamples=0).value

    def score(self, batch: Batch) -> Score:
        """There is none."""
        raise ConfigError(
            "the model 'gan' has no likelihood; tinydl evaluate RUN --measures says how far its music lies from the "
            "corpus"
        )

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """There is none."""
        likelihood: NDArray[Any] = self.score(collate([piece])).log_prob
        return likelihood

    @tinydl.no_grad()
    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` rolls, bool [length, P], each drawn from a random stream of its own; the temperature widens z.

        What follows a ``primer`` does not depend on it.
        """
        check(temperature)
        rng = tinydl.default_generator if rng is None else rng
        config = self.config
        count, keep = -(-length // config.frames), config.walk
        pieces = []
        for i in range(n):
            z = rng.fork(f"sample {i}").normal((count, config.latent))
            for k in range(1, count):
                z[k] = keep * z[k - 1] + math.sqrt(1 - keep**2) * z[k]
            made = self.make(tinydl.as_tensor(z * np.float32(temperature), device=self.device)).cpu().numpy() > 0.5
            pieces.append(made.reshape(-1, config.pitches)[:length])
        return pieces
