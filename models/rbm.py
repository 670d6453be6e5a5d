"""The restricted Boltzmann machine: an undirected model of frames, its gradient by Gibbs sampling, its likelihood by
annealing.

Papers
    Smolensky, "Information processing in dynamical systems", 1986: the model.
    Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation 14, 2002: CD-k.
    Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient", ICML 2008: PCD.
    Neal, "Annealed importance sampling", Statistics and Computing 11, 2001, and Salakhutdinov, Murray, "On the
    quantitative analysis of deep belief networks", ICML 2008: AIS, and what it looks like for an RBM.
    Burda, Grosse, Salakhutdinov, "Accurate and conservative estimates of MRF log-likelihood using reverse annealing",
    AISTATS 2015, arXiv:1412.8566: annealing backwards, from the other side.

The model.  Visible units v in {0,1}^P and hidden units h in {0,1}^D, with weights W [D, P] and biases b and c:

    E(v, h) = -b.v - c.h - h.W v        p(v, h) = e^-E(v, h) / Z

The hidden units can be summed over: p(v) = e^-F(v) / Z with the free energy

    F(v) = -b.v - sum_j softplus(c_j + W_j.v)

Training.  -d ln p(v) = dF(v) - E[dF(v~)], v~ drawn from the model. CD-k takes for v~ what k steps of Gibbs sampling
make of v; PCD goes on with chains of its own, which are kept from step to step.

Likelihood.  ln Z is out of reach for more than some 20 units of the smaller layer. AIS walks from a distribution of
which Z is known, independent notes with biases a, to the model in K small steps of beta from 0 to 1,

    ln f_beta(v) = ((1 - beta) a + beta b).v + sum_j softplus(beta (c_j + W_j.v))

and multiplies on the way the ratios f_beta_k(v) / f_beta_(k-1)(v): their product w has the mean Z / Z_0. The logarithm
of a mean of few w is too small rather than too large, and ln p(v) then too good; the same walk backwards, from samples
of the model, errs to the other side. (:meth:`Rbm.bracket` gives both.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.kernels.rbm.spec import blocks
from tinydl.models.frames import Frames
from tinydl.nn import functional as F
from tinydl.ops.rbm import gibbs
from tinydl.random import Generator
from tinydl.registry import register_model

SEED = 2001  # of the chains that estimate ln Z: the same weights have the same likelihood every time
MOST_ROWS = 20_000  # chains that are walked at once
SMALL = 20  # units of the smaller layer that are enumerated at most


def free_energy(v: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """F(v), [N]: v [N, P]; the biases b [P] and c [D], or one of each for every row."""
    energy: Tensor = -(v * b).sum(-1) - F.softplus(v @ W.T + c).sum(-1)
    return energy


def chain(v: Tensor, W: Tensor, b: Tensor, c: Tensor, steps: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """``steps`` times h given v and v given h, for every row of v [N, P]: v, and the probabilities it was drawn with.

    Nothing is recorded: what is drawn is a constant of the gradient.
    """
    N, P, D = len(v), v.shape[1], len(W)
    key, first = rng.reserve(blocks(N, P, D, steps))
    with tinydl.no_grad():
        found = gibbs(v, W, b.expand(N, P), c.expand(N, D), key=key, counter=first, steps=steps)
    return found[0], found[1]


def contrastive_divergence(v: Tensor, W: Tensor, b: Tensor, c: Tensor, steps: int, rng: Generator) -> Tensor:
    """F(v) - F(v~), [N], v~ what ``steps`` of Gibbs sampling make of v: its gradient is that of CD-k. No likelihood."""
    fantasy, _ = chain(v, W, b, c, steps, rng)
    difference: Tensor = free_energy(v, W, b, c) - free_energy(fantasy, W, b, c)
    return difference


# -- ln Z -----------------------------------------------------------------------------------------------------------


class Partition(NamedTuple):
    """An estimate of ln Z, float64 [M]; ``error`` is the standard error of w's mean as a share of it."""

    log: NDArray[np.float64]
    error: NDArray[np.float64]


def exact_log_partition(W: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> float:
    """ln Z of one machine (biases [P] and [D]) by enumerating its smaller layer. Raises ValueError if that is large."""
    W, b, c = (np.asarray(x, np.float64) for x in (W, b, c))
    if len(b) < len(c):
        W, b, c = W.T, c, b
    if len(c) > SMALL:
        raise ValueError(f"ln Z is enumerated over at most {SMALL} units of a layer, but the smaller one has {len(c)}")
    h = (np.arange(2 ** len(c))[:, None] >> np.arange(len(c)) & 1).astype(np.float64)
    terms = h @ c + np.logaddexp(0, b + h @ W).sum(1)
    return float(np.logaddexp.reduce(terms))


@tinydl.no_grad()
def annealed(
    v: Tensor, W: Tensor, b: Tensor, c: Tensor, base: Tensor, betas: Sequence[float], rng: Generator
) -> NDArray[np.float64]:
    """ln w, [N]: of chains v [N, P] that are drawn at betas[0] the sum of ln f_beta_k - ln f_beta_(k-1) along the way.

    One machine for every row: b and base [N, P], c [N, D].
    """
    log_w = np.zeros(len(v))
    for before, beta in zip(betas, betas[1:]):
        inputs = v @ W.T + c
        ratio = F.softplus(inputs * beta).sum(-1) - F.softplus(inputs * before).sum(-1)
        log_w += (ratio + (v * (b - base)).sum(-1) * (beta - before)).cpu().numpy()
        v, _ = chain(v, W * beta, base * (1 - beta) + b * beta, c * beta, 1, rng)
    return log_w


def log_partition(
    W: Tensor, b: Tensor, c: Tensor, base: Tensor, chains: int, temperatures: int, samples: Tensor | None = None
) -> Partition:
    """ln Z of M machines that share W: b and base [M, P], c [M, D]; by ``chains`` chains each, over so many betas.

    With ``samples`` [M * chains, P] of the machines, those of one machine together, backwards from them.
    """
    rng = Generator(SEED)
    M, P = b.shape
    logs, errors = np.empty(M), np.empty(M)
    betas: list[float] = np.linspace(0, 1, temperatures + 1).tolist()
    for first in range(0, M, max(1, MOST_ROWS // chains)):
        some = slice(first, first + max(1, MOST_ROWS // chains))
        b_, c_, base_ = (x[some].detach().repeat_interleave(chains, 0) for x in (b, c, base))
        if samples is None:
            v, _ = chain(W.new_zeros(len(b_), P), W.detach() * 0, base_, c_, 1, rng)  # h says nothing
        else:
            v = samples[first * chains : first * chains + len(b_)]
        log_w = annealed(v, W.detach(), b_, c_, base_, betas if samples is None else betas[::-1], rng)
        log_w = log_w.reshape(-1, chains)
        top = log_w.max(1, keepdims=True)
        w = np.exp(log_w - top)
        mean = top[:, 0] + np.log(w.mean(1))
        logs[some] = mean if samples is None else -mean
        errors[some] = w.std(1, ddof=1) / w.mean(1) / np.sqrt(chains) if chains > 1 else np.nan
    known = F.softplus(base.detach()).sum(-1).cpu().numpy().astype(np.float64) + len(W) * np.log(2)
    return Partition(logs + known, errors)


# -- the model -----------------------------------------------------------------------------------------------------


def mean_field(W: Tensor, b: Tensor, c: Tensor, rounds: int = 10) -> Tensor:
    """Probabilities of v, [N, P], and of h that agree with each other; b and c have a row for each frame."""
    with tinydl.no_grad():
        v: Tensor = tinydl.sigmoid(b)
        for _ in range(rounds):
            v = tinydl.sigmoid(b + tinydl.sigmoid(c + v @ W.T) @ W)
    return v


@register_model("rbm")
class Rbm(Frames):
    """An RBM of binary notes; piano-rolls, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(Frames.Config):
        """As :class:`tinydl.models.frames.Frames.Config`, and

        Attributes:
            gibbs: k, steps of Gibbs sampling for a gradient.
            persistent: PCD: so many chains of its own, which go on from step to step; 0 is CD.
            draws: steps of Gibbs sampling before a frame is drawn.
            chains, temperatures: of AIS.
        """

        gibbs: int = 10
        persistent: int = 0
        lr: float = 1e-2
        eval_every: int = 1000
        draws: int = 1000
        chains: int = 100
        temperatures: int = 2000

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("gibbs", "draws", "temperatures"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("chains", self.chains >= 2, "at least 2")
            self._require("persistent", self.persistent >= 0, "0 or more")

    images = {"units": 500, "gibbs": 5, "persistent": 100, "batch": 100, "clip": 0.0, "lr": 1e-3, "average": 0.9995,
              "steps": 200_000, "eval_every": 5000}  # fmt: skip
    density = "estimate"
    paper = "Hinton 2002, Neural Computation 14"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.W = nn.Parameter(0.01 * tinydl.randn(self.config.units, self.config.pitches))
        self.c = nn.Parameter(tinydl.zeros(self.config.units))
        if self.config.persistent:
            self.register_buffer("particles", tinydl.zeros(self.config.persistent, self.config.pitches))

    def cost(self, x: NDArray[np.bool_]) -> Tensor:
        """F(x) - F(x~), whose gradient is CD's or PCD's: no likelihood, and no measure of progress."""
        v = tinydl.as_tensor(x.astype(np.float32), device=self.device)
        rng = tinydl.default_generator
        if not self.config.persistent:
            return contrastive_divergence(v, self.W, self.b, self.c, self.config.gibbs, rng)
        particles = self.get_buffer("particles")
        fantasy, _ = chain(particles, self.W, self.b, self.c, self.config.gibbs, rng)
        particles.copy_(fantasy)
        energy = free_energy(fantasy, self.W, self.b, self.c).mean()
        difference: Tensor = free_energy(v, self.W, self.b, self.c) - energy
        return difference

    def biases(self) -> tuple[Tensor, Tensor]:
        """b [1, P] and c [1, D], as constants."""
        return self.b.detach().unsqueeze(0), self.c.detach().unsqueeze(0)

    def log_partition(self, chains: int | None = None, temperatures: int | None = None) -> Partition:
        """ln Z by AIS, from independent notes with the biases b."""
        b, c = self.biases()
        config = self.config
        return log_partition(self.W, b, c, b, chains or config.chains, temperatures or config.temperatures)

    def bracket(
        self, x: NDArray[np.bool_], chains: int | None = None, temperatures: int | None = None
    ) -> tuple[Partition, Partition]:
        """ln Z from below, by AIS, and from above, backwards from what Gibbs sampling makes of frames x, bool [N, P].

        Both hold but for chance, and the second as far as the chains have reached the model.
        """
        chains, temperatures = chains or self.config.chains, temperatures or self.config.temperatures
        start = np.resize(x, (chains, self.config.pitches)).astype(np.float32)
        v = tinydl.as_tensor(start, device=self.device)
        samples, _ = chain(v, self.W, self.b, self.c, self.config.draws, Generator(SEED + 1))
        b, c = self.biases()
        above = log_partition(self.W, b, c, b, chains, temperatures, samples)
        return self.log_partition(chains, temperatures), above

    def frame_log_prob(self, x: NDArray[np.bool_]) -> NDArray[np.float64]:
        """-F(x) - ln Z, float64 [N]: an estimate."""
        with tinydl.no_grad():
            v = tinydl.as_tensor(x.astype(np.float32), device=self.device)
            energy = free_energy(v, self.W, self.b, self.c).cpu()
        log_prob: NDArray[np.float64] = -energy.numpy().astype(np.float64) - self.log_partition().log[0]
        return log_prob

    def likely(self) -> NDArray[np.bool_]:
        """Where the mean field is above 1/2."""
        likely: NDArray[np.bool_] = mean_field(self.W, *self.biases()).cpu().numpy()[0] > 0.5
        return likely

    def draw(self, n: int, temperature: float, rng: Generator) -> NDArray[np.bool_]:
        """The end of ``n`` chains; E is divided by the temperature, and at 0 v is the mean field's likeliest."""
        if temperature < 1e-6:
            return np.broadcast_to(self.likely(), (n, self.config.pitches)).copy()
        W, b, c = (x.detach() / temperature for x in (self.W, self.b, self.c))
        v, _ = chain(tinydl.sigmoid(b).expand(n, -1), W, b, c, self.config.draws, rng)
        drawn: NDArray[np.bool_] = v.cpu().numpy() > 0.5
        return drawn
