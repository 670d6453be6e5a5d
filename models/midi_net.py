"""MidiNet: bars of a tune by a convolutional game, each given its chord and the bar before.

Paper
    Yang, Chou, Yang, "MidiNet: a convolutional generative adversarial network for symbolic-domain music generation",
    ISMIR 2017, arXiv:1703.10847; the nets are those of the authors' program. They are a DCGAN's: Radford, Metz,
    Chintala 2016, arXiv:1511.06434. Feature matching and label smoothing: Salimans et al. 2016, arXiv:1606.03498.

Data.  A bar is x in {0, 1}^(w x h), w = 16 steps, h pitches, one in each step: a rest is filled by the note before it
(the first by the note after it), and notes of one pitch in a row are one. Its conditions are the chord y in {0, 1}^13,
twelve roots and "minor", and the bar before it, x' (silence before the first). With z ~ N(0, I),

    x_1 = G(z_1, y_1, 0),   x_2 = G(z_2, y_2, x_1),   x_3 = G(z_3, y_3, x_2) ...

Conditioner CNN.  x' goes through as many convolutions as G has transposed ones: the first reads all pitches of a step,
the others halve the time; so each layer of G is joined by the layer of the same length in the conditioner (a condition
of two dimensions), and by y at every step (of one dimension).

    z, y -> 1024 -> 2 x 128,y,c_3 -> 4 x 128,y,c_2 -> 8 x 128,y,c_1 -> 16 x 128,y,c_0 -> 16 x h, sigmoid
    x' -> c_0: 16 x 16 -> c_1: 8 x 16 -> c_2: 4 x 16 -> c_3: 2 x 16

D judges x beside y: two convolutions and two layers. In a step it moves once, with the labels 0.9 and 0, and G twice,
on (equation 4), with f the first layer of D,

    L_G = -E[ln D(G)] + lambda_1 ||E x - E G||^2 + lambda_2 ||E f(x) - E f(G)||^2

The kernels of paper and program are as high as the bar, so that one sees all pitches: convolutions along time here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.data.representations.lead import TRIADS, Lead
from tinydl.errors import ConfigError, DataError
from tinydl.generation.sampling import check
from tinydl.generation.steering import refuse_others
from tinydl.models.adversarial import Implicit, NoDensity, discrimination, non_saturating
from tinydl.models.bars import NONE, Bars, bars_of, together
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Player

SEED = 2017  # of the bars that are made for its figures
DOUBLINGS = 3  # of the time in G, where the bar can be halved as often


class Conditional(nn.Module):
    """G(z, y, x')."""

    def __init__(self, config: MidiNet.Config, width: int, pitches: int) -> None:
        super().__init__()
        doublings = next(k for k in range(DOUBLINGS, -1, -1) if width % 2**k == 0)
        C, P, U = config.channels, config.conditioner, config.units
        self.first = width >> doublings  # steps of the first layer
        self.dense = nn.Sequential(nn.Linear(config.latent + 13, U), nn.BatchNorm1d(U), nn.ReLU())
        self.spread = nn.Sequential(
            nn.Linear(U + 13, C * self.first), nn.BatchNorm1d(C * self.first), nn.ReLU(), nn.Unflatten(1, (C, -1))
        )
        deep = C + 13 + P
        self.widen = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose1d(deep, C, 2, stride=2), nn.BatchNorm1d(C), nn.ReLU())
            for _ in range(doublings)
        )
        self.output = nn.ConvTranspose1d(deep, pitches, 1)
        shapes = [(pitches, 1), *[(P, 2)] * doublings]
        self.narrow = nn.ModuleList(
            nn.Sequential(nn.Conv1d(n, P, width, stride=width), nn.BatchNorm1d(P), nn.LeakyReLU(0.2))
            for n, width in shapes
        )

    def forward(self, z: Tensor, y: Tensor, before: Tensor) -> Tensor:
        conditions = [before]
        for layer in self.narrow:
            conditions.append(layer(conditions[-1]))
        h = self.spread(joined(self.dense(joined(z, y)), y))
        for layer in self.widen:
            h = layer(joined(h, y, conditions.pop()))
        made: Tensor = tinydl.sigmoid(self.output(joined(h, y, conditions.pop())))
        return made


class Discriminator(nn.Module):
    """f(x | y), and the activity of the first layer."""

    def __init__(self, config: MidiNet.Config, width: int, pitches: int) -> None:
        super().__init__()
        U, second = config.units, 77
        self.first = nn.Sequential(nn.Conv1d(pitches + 13, 14, 2, stride=2), nn.LeakyReLU(0.2))
        length = (width // 2 - 4) // 2 + 1
        self.second = nn.Sequential(
            nn.Conv1d(14 + 13, second, 4, stride=2), nn.BatchNorm1d(second), nn.LeakyReLU(0.2), nn.Flatten()
        )
        self.dense = nn.Sequential(nn.Linear(second * length + 13, U), nn.BatchNorm1d(U), nn.LeakyReLU(0.2))
        self.output = nn.Linear(U + 13, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        features = self.first(joined(x, y))
        h = self.dense(joined(self.second(joined(features, y)), y))
        return self.output(joined(h, y))[:, 0], features


def joined(h: Tensor, y: Tensor, *others: Tensor) -> Tensor:
    """h [N, C] or [N, C, w], with y [N, 13] beside it, at every step, and others [N, C', w]."""
    beside = y if h.ndim == 2 else y.unsqueeze(2).expand(*y.shape, h.shape[2])
    together: Tensor = tinydl.cat([h, beside, *others], 1)
    return together


@register_model("midinet")
class MidiNet(NoDensity, Implicit):
    """MidiNet; tunes with chords, int64 [T, 2], in whole bars."""

    @dataclass(frozen=True)
    class Config(Implicit.Config):
        """Options; those of training are explained at :class:`tinydl.training.Recipe`.

        Attributes:
            latent: numbers in z.
            units: of the dense layers.
            channels: of the layers of G.
            conditioner: channels of the layers that read the bar before.
            chords, previous: false leaves a condition out: zeros stand in its place.
            match_bars, match_features: lambda_1, lambda_2.
            smoothing: 1 - the label of real bars.
            updates: of G in a step.
            critic_lr: learning rate of D; ``lr`` is that of G.
            bars: how many are drawn of each piece in a batch.
            keys: whether a bar is learned in any of the twelve keys, its own or not.
            step: length of a step in beats (quarter notes).
            low, high: the range of pitches.
            meter: tunes in other meters are left out.
        """

        latent: int = 100
        units: int = 512
        channels: int = 128
        conditioner: int = 16
        chords: bool = True
        previous: bool = True
        match_bars: float = 0.005
        match_features: float = 0.05
        smoothing: float = 0.1
        updates: int = 2
        critic_lr: float = 5e-4
        bars: int = 4
        keys: bool = True
        step: str = "1/4"
        low: int = 48
        high: int = 96
        meter: str = "4/4"
        batch: int = 16
        chunk: int = 100_000  # pieces stay whole: which bars are learned is drawn
        lr: float = 5e-4
        steps: int = 2000
        eval_every: int = 100

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("units", "channels", "conditioner", "updates", "bars"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            for name in ("match_bars", "match_features"):
                self._require(name, getattr(self, name) >= 0, "0 or more")
            self._require("smoothing", 0 <= self.smoothing < 1, "in [0, 1)")
            self._require("critic_lr", self.critic_lr > 0, "above 0")

    paper = "Yang, Chou and Yang 2017, arXiv:1703.10847"
    data = "tunes"
    conditions = ("chords", "key", "primer", "temperature")
    config: Config
    _validation: Bars | None = None

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.encoding = Lead(step=config.step, low=config.low, high=config.high, meter=config.meter)
        self.representation = self.encoding.config()
        self.width, self.pitches = self.encoding.bar_steps, config.high - config.low + 1
        if self.width < 8 or self.width % 2:
            raise ConfigError(
                f"a bar of {config.meter} has {self.width} steps of {config.step}, and the convolutions need at least "
                "8, an even number: choose another step"
            )
        self.generator = Conditional(config, self.width, self.pitches)
        self.critic = Discriminator(config, self.width, self.pitches)
        for parameter in self.parameters():  # as a DCGAN begins
            if parameter.ndim > 1:
                nn.init.normal_(parameter, 0.0, 0.02)
        # How often a chord follows another, or begins a tune (the last row): what is played where none is asked for.
        self.register_buffer("followed", tinydl.ones(26, 25))

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Count how chords follow each other. DataError where there are none."""
        counts = np.zeros((26, 25), np.float32)
        for piece in pieces:
            chords = piece[:: self.width, 1]
            np.add.at(counts, (np.concatenate([[25], chords[:-1]]), chords), 1)
        if self.config.chords and not counts[:, 1:].any():
            raise DataError(
                "no bar of the training tunes has a chord, and 'midinet' learns tunes above their chords: take music "
                "with an accompaniment, or -o chords=false, or melody-lstm"
            )
        counts[:25][counts[:25].sum(1) == 0] = counts[25]  # nothing came after it: begin anew
        with tinydl.no_grad():
            self.get_buffer("followed").copy_(tinydl.from_numpy(counts))

    def players(self) -> Mapping[str, Player]:
        """D, then G twice; Adam with beta_1 = 0.5, as a DCGAN has it."""
        config, betas = self.config, (0.5, 0.999)
        return {
            "critic": Player(list(self.critic.parameters()), config.critic_lr, betas),
            "generator": Player(list(self.generator.parameters()), config.lr, betas, config.updates),
        }

    # -- bars and their conditions -------------------------------------------------------------------------------------

    def told(self, bars: Bars) -> tuple[Tensor, Tensor]:
        """y, float32 [N, 13], and x', float32 [N, h, w]."""
        y = np.zeros((len(bars.chord), 13), np.float32)
        if self.config.chords:
            some = np.flatnonzero(bars.chord > 0)
            y[some, (bars.chord[some] - 1) % 12] = 1
            y[:, 12] = bars.chord > 12
        before = bars.before if self.config.previous else np.full_like(bars.before, NONE)
        return tinydl.as_tensor(y, device=self.device), self.roll(before)

    def roll(self, lines: NDArray[np.int64]) -> Tensor:
        """float32 [N, h, w] of pitches int64 [N, w]."""
        cells = lines[:, None, :] == np.arange(self.pitches)[:, None]
        return tinydl.as_tensor(cells.astype(np.float32), device=self.device)

    def drawn(self, batch: Batch) -> Bars:
        """Some bars of every piece of a batch, in keys drawn anew."""
        u = tinydl.rand(2, len(batch.data), self.config.bars).numpy()
        found = []
        for piece, length, places in zip(batch.data, batch.lengths, u[0]):
            bars = bars_of(piece[:length], self.width)
            found.append(bars[(places * len(bars.chord)).astype(np.int64)])
        bars = together(found)
        shift = np.floor(12 * u[1].reshape(-1)).astype(np.int64) - 6
        return bars.moved(shift, self.pitches) if self.config.keys else bars

    # -- the game ------------------------------------------------------------------------------------------------------

    def loss(self, batch: Batch, player: str) -> Tensor:
        """What D lowers, or what G does (equation 4); a scalar."""
        config, bars = self.config, self.drawn(batch)
        y, before = self.told(bars)
        x, z = self.roll(bars.now), self.noise(len(y))
        if player == "critic":
            with tinydl.no_grad():
                fake = self.generator(z, y, before)
            return discrimination(self.critic(x, y)[0], self.critic(fake, y)[0], config.smoothing)
        fake = self.generator(z, y, before)
        judged, features = self.critic(fake, y)
        with tinydl.no_grad():
            _, real = self.critic(x, y)
        loss: Tensor = (
            non_saturating(judged)
            + config.match_bars * ((x.mean(0) - fake.mean(0)) ** 2).sum()
            + config.match_features * ((real.mean(0) - features.mean(0)) ** 2).sum()
        )
        return loss

    @tinydl.no_grad()
    def bars(
        self, z: NDArray[np.float32], told: Bars, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """The most active pitch of each step, int64 [N, w], of those that are allowed (bool [w, 12])."""
        y, before = self.told(told)
        made = self.generator(tinydl.as_tensor(z, device=self.device), y, before).cpu().numpy()
        if allowed is not None:
            made = np.where(allowed.T[(self.config.low + np.arange(self.pitches)) % 12], made, -1.0)
        found: NDArray[np.int64] = made.argmax(1)
        return found

    # -- how far, and how well -----------------------------------------------------------------------------------------

    def vectors(self, lines: NDArray[np.int64], bars: Bars) -> NDArray[np.float32]:
        """What is compared: the pitch classes in the steps of a bar, counted from the root of its chord, and itself."""
        above = (lines + self.config.low - (bars.chord - 1)[:, None]) % 12
        parts = above[:, :, None] == np.arange(12), lines[:, :, None] == np.arange(self.pitches)
        return np.concatenate(parts, 2).astype(np.float32).reshape(len(lines), -1)

    def examples(self, pieces: Sequence[NDArray[Any]], most: int, rng: Generator) -> NDArray[np.float32]:
        """Bars; what they are given is kept for the samples that are compared with them."""
        every = together([bars_of(piece, self.width) for piece in pieces])
        self._validation = every[np.sort(rng.permutation(len(every.chord))[:most])]
        return self.vectors(self._validation.now, self._validation)

    def made(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Bars that are given what some of the examples were."""
        assert self._validation is not None
        told = self._validation[rng.integers(0, len(self._validation.chord), (n,))]
        return self.vectors(self.bars(rng.normal((n, self.config.latent)), told), told)

    @tinydl.no_grad()
    def figures(self, pieces: Sequence[NDArray[Any]]) -> dict[str, float]:
        """``D_real`` and ``D_fake``, the mean of D over the bars of pieces, and over bars that are given what they are.
        ``chord_tones``: the share of steps with a note of the chord, in new bars with a chord; ``chord_tones_real``, in
        those of the pieces; ``chord_tones_shuffled``, where each bar was given the chord of another; none of the three
        where no bar has a chord."""
        bars = together([bars_of(piece, self.width) for piece in pieces])
        rng = Generator(SEED)
        z = rng.normal((len(bars.chord), self.config.latent))
        y, before = self.told(bars)
        fake = self.generator(tinydl.as_tensor(z, device=self.device), y, before)
        real, false = (tinydl.sigmoid(self.critic(x, y)[0]).mean().item() for x in (self.roll(bars.now), fake))
        found = {"D_real": real, "D_fake": false}
        if not bars.chord.any():
            return found
        other = Bars(bars.now, bars.before, bars.chord[rng.permutation(len(bars.chord))])
        return {
            **found,
            "chord_tones": self.chord_tones(self.bars(z, bars), bars.chord),
            "chord_tones_real": self.chord_tones(bars.now, bars.chord),
            "chord_tones_shuffled": self.chord_tones(self.bars(z, other), bars.chord),
        }

    def chord_tones(self, lines: NDArray[np.int64], chords: NDArray[np.int64]) -> float:
        """The share of steps of lines [N, w] whose note is of the chord [N], in bars that have one."""
        tones = TRIADS[chords[:, None], (lines + self.config.low) % 12]
        return float(tones[chords > 0].mean())

    # -- new tunes -----------------------------------------------------------------------------------------------------

    def harmony(
        self, allowed: NDArray[np.bool_] | None, last: int, u: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The chord that each bar is told, and the one that is played in it, for as many bars as there are numbers u:
        drawn behind each other as they follow in the training tunes, of those nearest to what is allowed. Where a note
        of it would not be, nothing is played."""
        followed = self.get_buffer("followed").cpu().numpy().astype(np.float64)
        told, played = np.zeros((2, len(u)), np.int64)
        for bar, dice in enumerate(u):
            outside = np.zeros(25, np.int64)
            if allowed is not None:
                outside = (TRIADS & ~allowed[bar * self.width : (bar + 1) * self.width].all(0)).sum(1)
                outside[0] = 4  # further than any: it is asked for a harmony
            may = outside == outside.min()
            weight = np.where(may, followed[last] + 1e-9, 0.0).cumsum()
            last = told[bar] = np.searchsorted(weight, dice * weight[-1], "right")
            played[bar] = 0 if outside[last] else last
        return told, played

    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` tunes with their chords, int64 [length, 2], each from a random stream of its own; the temperature
        widens z.

        ``condition`` may hold a ``primer``, int64 [P, 2], in whole bars, that the tunes continue and that is not
        repeated in the result; and ``allowed``, bool [length, 12], the pitch classes that may sound in each step, to
        which tune and chords keep (:meth:`harmony`).
        """
        check(temperature)
        asked = refuse_others(self, condition)
        rng = tinydl.default_generator if rng is None else rng
        w, count = self.width, -(-length // self.width)
        allowed = asked.get("allowed")
        if allowed is not None:
            allowed = np.pad(allowed, ((0, count * w - length), (0, 0)), constant_values=True)
        before, last = np.full((n, w), NONE), 25
        primer = asked.get("primer")
        if primer is not None and len(primer):
            if len(primer) % w:
                raise ConfigError(f"a primer of {len(primer)} steps is no whole number of bars of {w} steps")
            before, last = np.repeat(bars_of(primer, self.width).now[-1:], n, 0), int(primer[-1, 1])
        streams = [rng.fork(f"sample {i}") for i in range(n)]
        z = np.stack([stream.fork("bars").normal((count, self.config.latent)) for stream in streams])
        u = [stream.fork("chords").random((count,), np.float64) for stream in streams]
        asked_for, played = np.stack([self.harmony(allowed, last, dice) for dice in u], 1)
        tunes = np.zeros((n, count * w, 2), np.int64)
        for bar in range(count):
            here = slice(bar * w, (bar + 1) * w)
            told = Bars(before, before, asked_for[:, bar])
            before = self.bars(z[:, bar] * np.float32(temperature), told, None if allowed is None else allowed[here])
            struck = np.ones((n, w), np.bool_)
            struck[:, 1:] = before[:, 1:] != before[:, :-1]
            tunes[:, here, 0] = np.where(struck, before + 2, Lead.HOLD)
            tunes[:, here, 1] = played[:, bar, None]
        return list(tunes[:, :length])
