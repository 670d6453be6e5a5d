"""A hidden Markov model whose states are mixtures of frames: exact likelihood, forward-backward, Viterbi, Baum-Welch.

Papers
    Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition", Proceedings of the
    IEEE 77, 1989: the algorithms, and their scaling.
    Boulanger-Lewandowski, Bengio, Vincent, ICML 2012, arXiv:1206.6392: GMM+HMM on piano-rolls (table 1).

The model.  A piece is x_1 ... x_T, x_t in {0,1}^P. Behind it goes a chain of states s_t in {1 ... S}, and in each state
one of M components m_t is chosen, which has a probability mu for every pitch:

    p(s_1) = pi        p(s_t | s_(t-1)) = A        p(m_t | s_t) = w        p(x_tk = 1 | s_t, m_t) = mu_(s_t m_t) k

The paper's mixtures are Gaussian, of frames that are zeros and ones; ours are of Bernoulli frames, which have a
probability where those have a density.

Forward (Rabiner's scaled alpha): what is known of s_t after x_1 ... x_t,

    predicted_t = alpha_(t-1) A      alpha_t = predicted_t e_t / c_t      c_t = sum_s predicted_t e_t = p(x_t | x_<t)

with e_t = p(x_t | s_t). Its logarithm is differentiable, so the model is trained by the gradient as all others are. It
begins where some rounds of Baum-Welch, the EM algorithm of this model, end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.generation.sampling import COLD, check, draw
from tinydl.models.frames import log_odds
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Recipe, Score, collate

Floats = NDArray[np.float64]
FRAMES = 20_000  # that Baum-Welch reads before the first step: some twenty seconds
LEAST = 1e-4  # a probability that EM makes is no nearer to 0 or 1


def _log_softmax(z: Tensor) -> Floats:
    log_p: Floats = F.log_softmax(z.detach(), dim=-1).cpu().numpy().astype(np.float64)
    return log_p


@register_model("hmm")
class Hmm(nn.Module):
    """A hidden Markov model of piano-rolls, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(Recipe):
        """Options; those of training are explained at :class:`tinydl.training.Recipe`.

        Attributes:
            states: S.
            components: M, of each state.
            rounds: of Baum-Welch, before the first step.
            smoothing: what Baum-Welch counts of each state, move and component before it has seen any, and of each note
                at its share of all frames (Dirichlet and beta priors).
            step: length of a frame in beats (quarter notes); a named dataset has its own.
            pitches: P; 88 is the piano, from A0 (MIDI 21).
        """

        states: int = 200
        components: int = 2
        rounds: int = 15
        smoothing: float = 0.3
        step: str = "1/4"
        pitches: int = 88
        batch: int = 16
        chunk: int = 64
        lr: float = 1e-3
        average: float = 0.99
        steps: int = 4000
        eval_every: int = 50

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("states", "components", "pitches"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            for name in ("rounds", "smoothing"):
                self._require(name, getattr(self, name) >= 0, "0 or more")

    density = "exact"
    paper = "Rabiner 1989, Proceedings of the IEEE 77"
    data = "polyphony"
    conditions = ("primer", "temperature")

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.representation = {"name": "roll", "step": config.step}
        S, M = config.states, config.components
        self.initial = nn.Parameter(tinydl.zeros(S))  # pi, A, w and mu before softmax and sigmoid
        self.transition = nn.Parameter(tinydl.randn(S, S))
        self.mixture = nn.Parameter(tinydl.zeros(S, M))
        self.b = nn.Parameter(tinydl.randn(S * M, config.pitches))

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Components at frames of the training pieces, half way to the marginals; then Baum-Welch on some of them."""
        marginals = log_odds(pieces, self.config.pitches).cpu().numpy()
        frames = np.concatenate(list(pieces))
        S, M = self.config.states, self.config.components
        chosen = frames[tinydl.default_generator.integers(0, len(frames), (S * M,))]
        with tinydl.no_grad():
            self.b.copy_(tinydl.from_numpy((marginals / 2 + np.where(chosen, 2.0, -1.0)).astype(np.float32)))
        order = tinydl.default_generator.permutation(len(pieces))
        lengths = np.cumsum([len(pieces[i]) for i in order])
        self.baum_welch([pieces[i] for i in order[: 1 + int((lengths < FRAMES).sum())]], self.config.rounds)

    # -- forward ---------------------------------------------------------------------------------------------------

    def parts(self, x: Tensor) -> Tensor:
        """ln w + ln p(x | s, m), [N, S, M], of frames x, float [N, P]."""
        S, M = self.config.states, self.config.components
        log_p = x @ self.b.T - F.softplus(self.b).sum(-1)
        parts: Tensor = log_p.reshape(-1, S, M) + F.log_softmax(self.mixture, dim=-1)
        return parts

    def filtered(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """ln c_t, [T, B], and predicted_(T+1), [B, S], of ln e, [T, B, S]."""
        A = F.softmax(self.transition, dim=-1)
        predicted = F.softmax(self.initial, dim=-1).expand(e.shape[1], -1)
        log_c = []
        top = e.detach().amax(-1, keepdim=True)
        scaled = tinydl.exp(e - top)
        for t in range(len(e)):
            joint = predicted * scaled[t]
            c = joint.sum(-1, keepdim=True)
            log_c.append(tinydl.log(c) + top[t])
            predicted = joint / c @ A
        known: Tensor = tinydl.stack(log_c)[..., 0] if log_c else e.sum(-1)
        return known, predicted

    def emissions(self, rolls: NDArray[Any]) -> Tensor:
        """ln e, [T, B, S], of rolls, bool [B, T, P]."""
        size, length, pitches = rolls.shape
        x = np.ascontiguousarray(rolls.swapaxes(0, 1), np.float32).reshape(-1, pitches)
        e: Tensor = tinydl.logsumexp(self.parts(tinydl.as_tensor(x, device=self.b.device)), dim=-1)
        e = e.reshape(length, size, self.config.states)
        return e

    def loss(self, batch: Batch) -> Tensor:
        """-mean over predicted frames of ln p(x_t | x_<t), in nats; a scalar."""
        log_c, _ = self.filtered(self.emissions(batch.data))
        weight = np.ascontiguousarray(batch.mask.T, np.float32)
        weight /= -weight.sum()
        loss: Tensor = (log_c * tinydl.as_tensor(weight, device=self.b.device)).sum()
        return loss

    def expected(self, rolls: NDArray[Any]) -> tuple[Floats, Floats]:
        """p(s_t, m_t | x_<t), float64 [B, T, S M], and ln p(x_t | x_<t), [B, T], of rolls, bool [B, T, P]."""
        with tinydl.no_grad():
            e = self.emissions(rolls).cpu().numpy().astype(np.float64)
        A, w = np.exp(_log_softmax(self.transition)), np.exp(_log_softmax(self.mixture))
        predicted, _, log_c = _filtered(e, np.exp(_log_softmax(self.initial)), A)
        before = predicted.swapaxes(0, 1)
        return (before[..., None] * w).reshape(*before.shape[:2], -1), log_c.T

    def score(self, batch: Batch) -> Score:
        """ln p(x_t | x_<t) of every frame, and the notes whose probability is above 1/2."""
        parts, log_c = self.expected(batch.data)
        mu = 1 / (1 + np.exp(-self.b.detach().cpu().numpy().astype(np.float64)))
        return Score(np.where(batch.mask, log_c, 0.0), parts @ mu > 0.5, batch.mask)

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """ln p(x_t | x_<t), float64 [T], of one whole piece, bool [T, P]."""
        log_prob: NDArray[Any] = self.score(collate([piece])).log_prob[0]
        return log_prob

    def element_log_prob(self, piece: NDArray[np.bool_]) -> Floats:
        """ln p(x_tk | x_t,<k, x_<t), float64 [T, P], from the lowest pitch up: each note tells of the component."""
        parts, _ = self.expected(piece[None])
        b = self.b.detach().cpu().numpy().astype(np.float64)
        found = np.empty(piece.shape)
        with np.errstate(divide="ignore"):  # a state that cannot come
            before = np.log(parts[0])
        for t, x in enumerate(piece):
            terms = np.where(x, -np.logaddexp(0, -b), -np.logaddexp(0, b))
            so_far = np.logaddexp.reduce(before[t][:, None] + np.cumsum(terms, axis=1), axis=0)
            found[t] = np.diff(so_far, prepend=0.0)
        return found

    # -- what the states were --------------------------------------------------------------------------------------

    def posterior(self, piece: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Forward-backward: p(s_t | x), float64 [T, S], and the sum over t of p(s_t, s_(t+1) | x), [S, S]."""
        with tinydl.no_grad():
            e = self.emissions(piece[None]).cpu().numpy()[:, 0].astype(np.float64)
        gamma, xi, _ = _smoothed(e, *(np.exp(_log_softmax(z)) for z in (self.initial, self.transition)))
        return gamma, xi

    def viterbi(self, piece: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The most probable states, int64 [T]."""
        with tinydl.no_grad():
            e = self.emissions(piece[None]).cpu().numpy()[:, 0].astype(np.float64)
        log_A = _log_softmax(self.transition)
        best, came = _log_softmax(self.initial) + e[0], []
        for e_t in e[1:]:
            ways = best[:, None] + log_A
            came.append(ways.argmax(0))
            best = ways.max(0) + e_t
        path = [int(best.argmax())]
        for back in reversed(came):
            path.append(int(back[path[-1]]))
        return np.array(path[::-1], np.int64)

    def baum_welch(self, pieces: Sequence[NDArray[Any]], rounds: int) -> list[float]:
        """EM on whole pieces; returns the mean of ln p(x_t | x_<t) before each round, which without smoothing never
        falls (but for the least probability that is kept)."""
        S, M, P = self.config.states, self.config.components, self.config.pitches
        found, more = [], self.config.smoothing + LEAST
        shares_of_notes = 1 / (1 + np.exp(-log_odds(pieces, P).cpu().numpy().astype(np.float64)))
        frames = np.concatenate(list(pieces)).astype(np.float32)
        ends = np.cumsum([len(piece) for piece in pieces])
        for _ in range(rounds):
            with tinydl.no_grad():
                parts = self.parts(tinydl.as_tensor(frames, device=self.b.device)).cpu().numpy().astype(np.float64)
            e = np.logaddexp.reduce(parts, axis=-1)
            pi, A = (np.exp(_log_softmax(z)) for z in (self.initial, self.transition))
            starts, moves, gammas, total = np.zeros(S), np.zeros((S, S)), [], 0.0
            for piece, end in zip(pieces, ends):
                gamma, xi, log_p = _smoothed(e[end - len(piece) : end], pi, A)
                starts += gamma[0]
                moves += xi
                gammas.append(gamma)
                total += log_p
            found.append(total / len(frames))
            shares = (np.concatenate(gammas)[..., None] * np.exp(parts - e[..., None])).reshape(len(frames), S * M)
            weight = shares.sum(0)
            mu = (shares.T @ frames + more * shares_of_notes) / (weight + more)[:, None]
            mu = np.clip(mu, LEAST, 1 - LEAST)
            with tinydl.no_grad():
                for parameter, value in (
                    (self.initial, np.log(starts + more)),
                    (self.transition, np.log(moves + more)),
                    (self.mixture, np.log(weight.reshape(S, M) + more)),
                    (self.b, np.log(mu / (1 - mu)).reshape(S * M, P)),
                ):
                    parameter.copy_(tinydl.from_numpy(value.astype(np.float32)))
        return found

    # -- sampling --------------------------------------------------------------------------------------------------

    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` rolls, bool [length, P], each drawn from a random stream of its own: state, component, notes.

        All logits are divided by ``temperature``. ``condition={"primer": roll}`` continues a roll, bool [T, P], which
        is not repeated in the result.
        """
        check(temperature)
        P = self.config.pitches
        primer = np.asarray((condition or {}).get("primer", np.zeros((0, P), bool)), bool)
        if primer.ndim != 2 or primer.shape[1] != P:
            raise ValueError(f"the primer must be a roll [T, {P}], but has the shape {tuple(primer.shape)}")
        with tinydl.no_grad():
            _, first = self.filtered(self.emissions(primer[None]))
        rng = tinydl.default_generator if rng is None else rng
        heat = max(temperature, COLD)
        with np.errstate(divide="ignore"):
            start = _tempered(np.log(first.cpu().numpy()[0].astype(np.float64)), heat)
        A = _tempered(_log_softmax(self.transition), heat)
        w = _tempered(_log_softmax(self.mixture), heat)
        z = self.b.detach().cpu().numpy().astype(np.float64) / heat
        mu = np.exp(-np.logaddexp(0, -z))
        rolls = []
        for i in range(n):
            u = rng.fork(f"sample {i}").random((length, P + 2), np.float64)
            roll, p = np.zeros((length, P), bool), start
            for t in range(length):
                state = draw(p, u[t, 0])
                component = draw(w[state], u[t, 1])
                roll[t] = u[t, 2:] < mu[state * self.config.components + component]
                p = A[state]
            rolls.append(roll)
        return rolls


def _tempered(log_p: Floats, temperature: float) -> Floats:
    z = log_p / temperature
    p = np.exp(z - z.max(-1, keepdims=True))
    tempered: Floats = p / p.sum(-1, keepdims=True)
    return tempered


def _filtered(e: Floats, pi: Floats, A: Floats) -> tuple[Floats, Floats, Floats]:
    """predicted and alpha, [T, ..., S], and ln c, [T, ...], of ln e [T, ..., S]: what :meth:`Hmm.filtered` records, in
    float64."""
    predicted, alpha, log_c = np.empty_like(e), np.empty_like(e), np.empty(e.shape[:-1])
    top = e.max(-1, keepdims=True)
    for t in range(len(e)):
        predicted[t] = alpha[t - 1] @ A if t else pi
        joint = predicted[t] * np.exp(e[t] - top[t])
        c = joint.sum(-1, keepdims=True)
        alpha[t] = joint / c
        log_c[t] = (np.log(c) + top[t])[..., 0]
    return predicted, alpha, log_c


def _smoothed(e: Floats, pi: Floats, A: Floats) -> tuple[Floats, Floats, float]:
    """gamma [T, S], the sum of xi [S, S], and ln p(x), of ln e [T, S]: Rabiner's scaled alpha and beta."""
    _, alpha, log_c = _filtered(e, pi, A)
    scaled = np.exp(e - log_c[:, None])
    beta, later = np.ones_like(e), np.zeros_like(e)
    for t in range(len(e) - 1, 0, -1):
        later[t] = scaled[t] * beta[t]
        beta[t - 1] = A @ later[t]
    xi = A * (alpha[:-1].T @ later[1:])
    return alpha * beta, xi, float(log_c.sum())
