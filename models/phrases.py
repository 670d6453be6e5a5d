"""What models have in common that know a phrase of a tune by one latent vector z: a VAE whose nets are recurrent.

A phrase x_1 ... x_T is n bars of the ``grid`` representation: in each step a pitch that is struck, a rest, or a hold.
With z ~ N(0, I) of L numbers, an encoder q(z | x) = N(mu, diag(sigma^2)), and a decoder that reads what it wrote,

    p(x | z) = prod_t p(x_t | z, x_<t)

    ln p(x) >= E_q[ln p(x | z)] - KL(q(z | x) || p(z))                                                      (ELBO)

Training minimises, over all phrases that begin at a bar line,

    -E_q[ln p(x | z)] + beta max(KL - tau, 0)

A decoder that can predict each event from those before it may learn to ignore z: then KL is 0, and z means nothing. So
beta < 1 makes information in z cheaper (Higgins et al. 2017, beta-VAE), and grows from 0 (Bowman et al. 2016,
arXiv:1511.06349); tau nats of it are free (Kingma et al. 2016, arXiv:1606.04934); in training the decoder is kept from
reading most of the x_(t-1) (word dropout, section 3.1 of Bowman et al.), and may read its own predictions in place of
others (scheduled sampling, Bengio et al. 2015, arXiv:1506.03099; in parallel for all steps, from a first pass that
reads the truth: Mihaylova and Martins 2019, arXiv:1906.07651).

The nets read x_t as a vector of its own, to which one of the place of t in its bar is added: where in the bar things
are need not be counted by a net that is to write a whole phrase from z.

Likelihood.  A tune of several phrases is as likely as these together. ``log_prob`` is the importance-weighted bound
with K draws of z (:mod:`tinydl.models.vae`), beta = 1 and tau = 0, whatever training minimised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.data.transposing import transpose_each
from tinydl.generation.sampling import check, draw_each
from tinydl.generation.steering import refuse_others
from tinydl.models.symbols import log_frequency, log_likelihood
from tinydl.models.tunes import TunesConfig
from tinydl.models.vae import divergence, log_ratio
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.training import Batch, Score, collate, ramp, reconstruction

IGNORED = -100  # a target that cross_entropy leaves out
FIRST_PITCH = 2  # the token of the lowest pitch; before it, hold and rest
SEED = 2018  # of the draws of z for a likelihood: the same weights have the same one every time
MOST_ROWS = 2048  # phrases that are decoded at once
TUNES_AT_ONCE = 16  # whose criterion is computed
State = tuple[Tensor, Tensor]  # (h, c), each [layers, M, H]


class Phrases(nn.Module):
    """A VAE of phrases, int64 [T]; a subclass has an encoder, :meth:`infer`, and a decoder, :meth:`plan`, :meth:`begin`
    and :meth:`read`."""

    @dataclass(frozen=True)
    class Config(TunesConfig):
        """As :class:`tinydl.models.tunes.TunesConfig`, and

        Attributes:
            bars: n, of a phrase.
            latent: L.
            embedding: D, entries of the vector that stands for an event.
            hidden: H, units of each net.
            kl_weight: beta, a :class:`tinydl.training.Ramp`.
            free_bits: tau, in bits per phrase.
            word_dropout: probability that, in training, the decoder reads nothing in place of an event.
            teacher_forcing: probability that the decoder reads the truth, a ramp.
            transpose: in training, tunes are moved by up to so many semitones, either way, drawn anew each time.
            samples: K.
        """

        bars: int = 2
        latent: int = 64
        embedding: int = 32
        hidden: int = 128
        kl_weight: str = "0:0.01:3000"
        free_bits: float = 0.0
        word_dropout: float = 0.7
        teacher_forcing: str = "1"
        transpose: int = 6
        samples: int = 20
        batch: int = 4
        chunk: int = 200_000  # tunes are never cut: phrases begin at their bar lines
        context: int = 0
        lr: float = 5e-3
        average: float = 0.998
        steps: int = 20_000
        eval_every: int = 500

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("bars", "latent", "embedding", "hidden", "samples"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("transpose", self.transpose >= 0, "0 or more")
            self._require("free_bits", self.free_bits >= 0, "0 or more")
            self._require("word_dropout", 0 <= self.word_dropout <= 1, "in [0, 1]")
            ramp(self.kl_weight, "kl_weight")
            ramp(self.teacher_forcing, "teacher_forcing", high=1.0)

    density = "bound"
    data = "tunes"
    conditions = ("temperature", "interpolate")
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        encoding = config.encoding()
        self.representation = encoding.config()
        self.bar, self.phrase = encoding.bar_steps, config.bars * encoding.bar_steps
        self.tokens = encoding.vocabulary_size
        self.embedding = nn.Embedding(self.tokens + 1, config.embedding)  # and of nothing, as before the first event
        self.place = nn.Embedding(self.bar, config.embedding)
        with tinydl.no_grad():  # small beside the event, which it is added to
            self.place.get_parameter("weight").mul_(0.1)
        self.output = nn.Linear(config.hidden, self.tokens)
        self.kl_weight, self.teacher_forcing = ramp(config.kl_weight), ramp(config.teacher_forcing)
        self.free = config.free_bits * math.log(2)

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.output.get_parameter("weight").device

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start the output's bias at the log-frequency of each event in the training tunes."""
        with tinydl.no_grad():
            self.output.get_parameter("bias").copy_(log_frequency(np.concatenate(pieces), self.tokens))

    # --- the nets -----------------------------------------------------------------------------------------------------

    def infer(self, x: Tensor, lengths: NDArray[np.int64] | None) -> tuple[Tensor, Tensor]:
        """mu and ln sigma^2 of q(z | x), [N, L] each, of embedded phrases x [T, N, D], of ``lengths`` [N] or all T."""
        raise NotImplementedError

    def plan(self, z: Tensor) -> Tensor:
        """What the decoder is told, [U, N, C], for each of the U parts of a phrase; z [N, L]. Each part is decoded
        without the others."""
        raise NotImplementedError

    def begin(self, c: Tensor) -> State:
        """The decoder's state before the first event of parts that were told c [M, C]."""
        raise NotImplementedError

    def read(self, x: Tensor, c: Tensor, state: State) -> tuple[Tensor, State]:
        """Read embedded events x [S, M, D], of parts that were told c [M, C]: h [S, M, H], and the state after."""
        raise NotImplementedError

    # --- phrases ------------------------------------------------------------------------------------------------------

    def windows(self, batch: Batch, skip: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Phrases of the tunes of a batch, each from bar ``skip[i]`` on: int64 [N, T], and (tune, step, length) of
        each, [N, 3]. The last one of a tune is short, and filled up with holds."""
        cut, places = [], []
        for i, (row, length, first) in enumerate(zip(batch.data, batch.lengths.tolist(), skip.tolist())):
            for start in range(first * self.bar, length, self.phrase):
                piece = row[start : min(start + self.phrase, length)]
                cut.append(np.pad(piece, (0, self.phrase - len(piece))))
                places.append((i, start, len(piece)))
        return np.array(cut, np.int64), np.array(places, np.int64)

    def parts(self, x: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
        """Phrases [N, T] as parts one after another in time, [S, U N]: part u of phrase n is column u N + n."""
        return np.ascontiguousarray(x.reshape(len(x), parts, -1).transpose(2, 1, 0)).reshape(-1, parts * len(x))

    def embed(self, x: NDArray[np.int64], first: int = 0) -> Tensor:
        """Events [T, N] as vectors [T, N, D], with the place in the bar of the steps ``first``, ``first`` + 1, ..."""
        place = (first + np.arange(len(x))) % self.bar
        event: Tensor = self.embedding(tinydl.as_tensor(x, device=self.device))
        placed: Tensor = event + self.place(tinydl.as_tensor(place, device=self.device)).unsqueeze(1)
        return placed

    def encoded(self, x: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """mu and ln sigma^2 of phrases [N, T]."""
        whole = bool((lengths == x.shape[1]).all())
        return self.infer(self.embed(np.ascontiguousarray(x.T)), None if whole else lengths)

    def logits(self, c: Tensor, x: NDArray[np.int64]) -> Tensor:
        """Of every event, [S, M, V], for parts [S, M] that were told c [M, C], where the decoder reads those before."""
        before = np.concatenate([np.full((1, x.shape[1]), self.tokens), x[:-1]])
        if self.training and self.config.word_dropout:
            hidden = tinydl.default_generator.random(before.shape, np.float64) < self.config.word_dropout
            before = np.where(hidden, self.tokens, before)
        logits: Tensor = self.output(self.read(self.embed(before), c, self.begin(c))[0])
        return logits

    def reconstructed(
        self, z: Tensor, x: NDArray[np.int64], lengths: NDArray[np.int64], forcing: float = 1.0
    ) -> tuple[Tensor, NDArray[np.int64], int]:
        """The logits [S, U N, V] of phrases [N, T] given z [N, L]; their targets [S, U N]; and U."""
        c = self.plan(z)
        many = c.shape[0]
        c = c.reshape(-1, c.shape[-1])
        target = self.parts(np.where(np.arange(x.shape[1]) < lengths[:, None], x, IGNORED), many)
        read = self.parts(x, many)
        if forcing < 1:
            with tinydl.no_grad():
                guess = self.logits(c, read).cpu().numpy()
            rng = tinydl.default_generator
            own = draw_each(guess, rng.random(read.shape, np.float64))
            read = np.where(rng.random(read.shape, np.float64) < forcing, read, own)
        return self.logits(c, read), target, many

    # --- the interface ------------------------------------------------------------------------------------------------

    def cost(self, batch: Batch, skip: NDArray[np.int64], eps: Any = None) -> tuple[Tensor, int]:
        """What is minimised, summed over the phrases from bar ``skip[i]`` of tune i on, and their steps; at
        z = mu + sigma eps, eps(phrases) or drawn."""
        x, places = self.windows(batch, skip)
        lengths = places[:, 2]
        mu, log_variance = self.encoded(x, lengths)
        noise = tinydl.randn_like(mu) if eps is None else tinydl.as_tensor(eps(x), device=self.device)
        z = mu + tinydl.exp(log_variance / 2) * noise
        forcing = self.teacher_forcing(batch.step) if self.training else 1.0
        logits, target, _ = self.reconstructed(z, x, lengths, forcing)
        missed = F.cross_entropy(
            logits.reshape(-1, self.tokens), tinydl.as_tensor(target.reshape(-1), device=self.device),
            ignore_index=IGNORED, reduction="sum",
        )  # fmt: skip
        kl = tinydl.relu(divergence(mu, log_variance) - self.free).sum()
        return missed + self.kl_weight(batch.step) * kl, int(lengths.sum())

    def loss(self, batch: Batch) -> Tensor:
        """What is minimised, in nats per step, for phrases that begin at a bar drawn anew for each tune."""
        bars = np.minimum(batch.lengths // self.bar, self.config.bars)
        skip = (tinydl.default_generator.random(len(bars), np.float64) * bars).astype(np.int64)
        whole = (batch.lengths - skip * self.bar) >= self.phrase
        most, rng = self.config.transpose, tinydl.default_generator
        batch = replace(batch, data=transpose_each(batch.data, FIRST_PITCH, self.tokens - 1, most, rng))
        cost, steps = self.cost(batch, np.where(whole, skip, 0))
        loss: Tensor = cost / steps
        return loss

    @tinydl.no_grad()
    def criterion(self, pieces: Sequence[NDArray[Any]]) -> float:
        """What is minimised, in nats per step, at the end of the ramps and with the draws of the likelihood."""
        total, steps = 0.0, 0
        for first in range(0, len(pieces), TUNES_AT_ONCE):
            batch = collate(pieces[first : first + TUNES_AT_ONCE])
            skip = np.zeros(len(batch.data), np.int64)
            cost, many = self.cost(batch, skip, lambda x: self.draws(x, 1)[0])
            total, steps = total + cost.item(), steps + many
        return total / steps

    def draws(self, x: NDArray[np.int64], samples: int) -> NDArray[np.float32]:
        """eps [K, N, L] of phrases [N, T]: a phrase has the same ones in whatever company it is scored, another phrase
        has others, so that chance evens out over a tune."""
        streams = [Generator(SEED).fork(phrase.tobytes().hex()) for phrase in x]
        return np.stack([stream.normal((samples, self.config.latent)) for stream in streams], axis=1)

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """The importance-weighted bound of every phrase, spread over its steps: to each its own mean of
        ln p(x_t | z, x_<t), and an equal share of the rest. Nothing is predicted: z has seen the whole phrase."""
        x, places = self.windows(batch, np.zeros(len(batch.data), np.int64))
        log_prob = np.zeros(batch.data.shape)
        many = max(1, MOST_ROWS // self.config.samples)
        for first in range(0, len(x), many):
            some = slice(first, first + many)
            for (tune, start, length), row in zip(places[some], self._bound(x[some], places[some])):
                log_prob[tune, start : start + length] = row[:length]
        return Score(log_prob, None, batch.mask)

    def _bound(self, x: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Per phrase and step, [N, T], its part of the bound."""
        K, lengths = self.config.samples, places[:, 2]
        mu, log_variance = self.encoded(x, lengths)
        eps = tinydl.as_tensor(self.draws(x, K), device=self.device)
        z = mu + tinydl.exp(log_variance / 2) * eps
        log_w = log_ratio(eps, z, log_variance).cpu().numpy().astype(np.float64)  # [K, N]
        logits, target, parts = self.reconstructed(
            z.reshape(-1, z.shape[-1]), np.tile(x, (K, 1)), np.tile(lengths, K)
        )
        found = _log_likely(logits.cpu().numpy().astype(np.float64), target)
        steps = found.reshape(-1, parts, K, len(x)).transpose(2, 3, 1, 0).reshape(K, len(x), -1)  # [K, N, T]
        log_w += steps.sum(-1)
        bound = np.logaddexp.reduce(log_w, axis=0) - math.log(K)
        own = steps.mean(0)
        inside = np.arange(x.shape[1]) < lengths[:, None]
        shared: NDArray[np.float64] = np.where(inside, own + ((bound - own.sum(-1)) / lengths)[:, None], 0.0)
        return shared

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """No more than ln p, but for chance, spread over the steps of one whole tune: float64 [T]."""
        log_prob: NDArray[Any] = self.score(collate([piece])).log_prob[0]
        return log_prob

    @tinydl.no_grad()
    def encode(self, pieces: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """mu of q(z | x), float32 [N, L], of phrases, int64 [at most T]."""
        lengths = np.array([len(piece) for piece in pieces])
        if not 1 <= lengths.min() <= lengths.max() <= self.phrase:
            raise ValueError(
                f"a phrase has 1 to {self.phrase} steps, but these have {lengths.min()} to {lengths.max()}"
            )
        x = np.stack([np.pad(piece, (0, self.phrase - len(piece))) for piece in pieces])
        mu: NDArray[np.float32] = self.encoded(x, lengths)[0].cpu().numpy()
        return mu

    @tinydl.no_grad()
    def decode(
        self, z: NDArray[Any], temperature: float = 0.0, rng: Generator | None = None
    ) -> NDArray[np.int64]:
        """The phrases of z [N, L], int64 [N, T], the decoder reading its own events; drawn from ``rng`` unless the
        temperature is 0."""
        check(temperature)
        rng = tinydl.default_generator if rng is None else rng
        return self._unroll(z, temperature, rng.random((len(z), self.phrase), np.float64))

    def _unroll(self, z: NDArray[Any], temperature: float, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """The phrases of z [N, L], drawn by uniform numbers u [N, T]."""
        c = self.plan(tinydl.as_tensor(np.asarray(z, np.float32), device=self.device))
        many, c = c.shape[0], c.reshape(-1, c.shape[-1])
        u = np.ascontiguousarray(u.reshape(len(z), many, -1).transpose(2, 1, 0)).reshape(-1, many * len(z))
        state, x = self.begin(c), np.full((1, u.shape[1]), self.tokens)
        events = np.empty(u.shape, np.int64)
        for step, uniform in enumerate(u):
            h, state = self.read(self.embed(x, step), c, state)
            events[step] = draw_each(self.output(h).cpu().numpy()[0], uniform, temperature)
            x = events[step][None]
        return events.reshape(-1, many, len(z)).transpose(2, 1, 0).reshape(len(z), -1)

    def figures(self, pieces: Sequence[NDArray[Any]]) -> dict[str, float]:
        """How much of every phrase comes back from z = mu: by the most probable events, by ones drawn at temperature 1,
        and by the most probable one of each step if all before it had been right (teacher forcing)."""
        return {
            "reconstruction": reconstruction(self, pieces),
            "reconstruction_sampled": reconstruction(self, pieces, temperature=1.0),
            "reconstruction_forced": self.forced(pieces),
        }

    @tinydl.no_grad()
    def forced(self, pieces: Sequence[NDArray[Any]]) -> float:
        """The share of steps whose event is the most probable one given z = mu and the true events before it."""
        batch = collate(pieces)
        x, places = self.windows(batch, np.zeros(len(batch.data), np.int64))
        right = 0
        for first in range(0, len(x), MOST_ROWS):
            some, lengths = x[first : first + MOST_ROWS], places[first : first + MOST_ROWS, 2]
            logits, target, _ = self.reconstructed(self.encoded(some, lengths)[0], some, lengths)
            right += int((logits.cpu().numpy().argmax(-1) == target).sum())
        return right / int(places[:, 2].sum())

    @tinydl.no_grad()
    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` tunes, int64 [length], each drawn from a random stream of its own.

        A tune longer than a phrase is a row of phrases, each from a z of its own: nothing holds them together. The
        temperature is of the events; z ~ N(0, I) at any.
        """
        check(temperature)
        refuse_others(self, condition)
        rng = tinydl.default_generator if rng is None else rng
        many = -(-length // self.phrase)
        streams = [rng.fork(f"sample {i}") for i in range(n)]
        z = np.concatenate([stream.normal((many, self.config.latent)) for stream in streams])
        u = np.concatenate([stream.random((many, self.phrase), np.float64) for stream in streams])
        phrases = [self._unroll(z[i : i + MOST_ROWS], temperature, u[i : i + MOST_ROWS])
                   for i in range(0, len(z), MOST_ROWS)]  # fmt: skip
        return [tune[:length] for tune in np.concatenate(phrases).reshape(n, -1)]


def _log_likely(logits: NDArray[np.float64], target: NDArray[np.int64]) -> NDArray[np.float64]:
    """ln p of the targets [...] by logits [..., V]; 0 of those that are left out."""
    found: NDArray[np.float64] = np.where(target == IGNORED, 0.0, log_likelihood(logits, np.maximum(target, 0)))
    return found
