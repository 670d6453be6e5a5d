"""A generative adversarial network of music: stretches of a piano-roll, made at once by a net of two hidden layers.

Papers
    Goodfellow et al., "Generative adversarial nets", NIPS 2014, arXiv:1406.2661.
    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NIPS 2017,
    arXiv:1704.00028.

The game and its objectives are those of ``adversarial.py``, where both papers are told. The data are x in {0, 1}^(T P),
T frames of P pitches; a sample is G(z) in (0, 1)^(T P), z ~ N(0, I). Data
are sharp and samples are not, which alone tells them apart; a critic whose slope between the two is bound still has
something to say to G then, so ``wgan-gp`` is the default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.generation.sampling import check
from tinydl.generation.steering import refuse_others
from tinydl.models.adversarial import Adversarial, NoDensity
from tinydl.models.frames import log_odds
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch


@register_model("gan")
class Gan(NoDensity, Adversarial):
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

    def examples(self, pieces: Sequence[NDArray[Any]], most: int, rng: Generator) -> NDArray[np.float32]:
        """The stretches of pieces, float32 [N, frames * P]."""
        places = [(piece, place * self.config.bar) for piece in pieces for place in range(self.places(len(piece)))]
        chosen = np.sort(rng.permutation(len(places))[:most])
        return self.stretches(*zip(*(places[i] for i in chosen)))

    def made(self, n: int, rng: Generator) -> NDArray[np.bool_]:
        """Stretches that stand alone, bool [n, frames * P]."""
        return self.drawn(rng.normal((n, self.config.latent)))

    @tinydl.no_grad()
    def drawn(self, z: NDArray[np.float32]) -> NDArray[np.bool_]:
        """The stretches of z [N, L], bool [N, frames * P]: the cells above 1/2."""
        found: NDArray[np.bool_] = self.make(tinydl.as_tensor(z, device=self.device)).cpu().numpy() > 0.5
        return found

    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` rolls, bool [length, P], each drawn from a random stream of its own; the temperature widens z."""
        check(temperature)
        refuse_others(self, condition)
        rng = tinydl.default_generator if rng is None else rng
        config = self.config
        count, keep = -(-length // config.frames), config.walk
        z = np.stack([rng.fork(f"sample {i}").normal((count, config.latent)) for i in range(n)])
        for k in range(1, count):
            z[:, k] = keep * z[:, k - 1] + math.sqrt(1 - keep**2) * z[:, k]
        made = self.drawn(z.reshape(n * count, -1) * np.float32(temperature))
        return list(made.reshape(n, -1, config.pitches)[:, :length])
