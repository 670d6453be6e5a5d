"""DeepBach: four voices, each note predicted from everything around it; music by resampling note after note.

Paper
    Hadjeres, Pachet, Nielsen, "DeepBach: a steerable model for Bach chorales generation", ICML 2017, arXiv:1612.01010.

The model.  v_it is what voice i does at step t: a pitch, a rest, or HOLD while its note goes on; V symbols. Every voice
has a net of its own for the distribution of v_it given all other entries of the piece (equation 1 of the paper):

    x_t     = [E_1 v_1t, ..., E_4 v_4t, M m_t]        what sounds at t, and m_t = t mod 4, the place in the beat
    past    = LSTM(x_1, ..., x_(t-1))
    future  = LSTM(x_T, ..., x_(t+1))
    present = relu(C [E_j v_jt for j != i, M m_t] + c)
    p_i(v_it | all others) = softmax(B relu(A [past, present, future] + a) + b)

The paper's other metadata, the fermatas, are not in the data at hand and have no place here. It reads 16 steps to
either side; here the LSTMs read the whole piece. A symbol of its own stands before the first and after the last step.

Training.  All these distributions at once: the loss is minus the pseudo-likelihood (equation 2),

    L = - sum_i sum_t ln p_i(v_it | all others)

A likelihood of the piece it is not, nor a bound of one: the nets of two entries need not agree on a distribution of
both. So ``density`` is none, and ``log_prob`` gives the sum over i, to choose weights by, and to compare models of this
kind.

Generation (algorithm 1).  From random notes on, again and again: choose entries, and draw each from its distribution
given all others. Many are drawn at once, as in the paper's parallel version: of one voice a random share of the steps,
large at first, when everything is to be changed, and smaller and smaller, as neighbours that are drawn at once do not
know of each other. What is given stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.data.representations import Chorale
from tinydl.generation.sampling import check, draw_each
from tinydl.generation.steering import asked
from tinydl.models.four_voices import VoicesConfig, require_four_voices, transposed, windows, without_padding
from tinydl.models.symbols import log_frequency, log_likelihood
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Score, collate
from tinydl.training.evaluation import mean_nll

OUTSIDE = 0  # the symbol before and after a piece; those of the encoding follow
NEAR = 64  # steps around a gap that are read to fill it
SHARES = (0.5, 0.05)  # of a voice's free steps that are drawn at once, in the first and the last round


@register_model("deep-bach")
class DeepBach(nn.Module):
    """Each note from all others; chorales, int64 [T, 4]."""

    @dataclass(frozen=True)
    class Config(VoicesConfig):
        """As :class:`tinydl.models.four_voices.VoicesConfig`, and

        Attributes:
            embedding: entries of E_i v_it, and of M m_t.
            hidden: entries of past and of future.
            units: entries of present, and of the layer above.
            dropout: of past, present, future, and of the layer above.
            window: in training a piece is cut into so many steps, from a random beat on.
            rounds: of generation: how often a share of each voice is drawn; 32 take 4 s for 64 bars.
        """

        embedding: int = 20
        hidden: int = 128
        units: int = 128
        dropout: float = 0.3
        window: int = 128
        rounds: int = 32
        batch: int = 8
        lr: float = 3e-3
        average: float = 0.998
        steps: int = 3_000

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("embedding", "hidden", "units", "window", "rounds"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("dropout", 0 <= self.dropout < 1, "in [0, 1)")
            beat = Chorale(step=self.step).beat_steps
            self._require("window", self.window % beat == 0, f"a multiple of {beat}, the steps in a beat")

    model_name = "deep-bach"
    density = "none"
    score_name = "pseudo_nll"
    paper = "Hadjeres, Pachet and Nielsen 2017, arXiv:1612.01010"
    data = "four voices"
    conditions = ("chords", "key", "melody", "notes", "primer", "temperature")
    usual: Tensor

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.encoding = Chorale(step=config.step, low=config.low, high=config.high)
        self.representation = self.encoding.config()
        self.beat = self.encoding.beat_steps
        self.inner = slice(self.beat, -self.beat)  # of what has a beat OUTSIDE at both ends
        self.nets = nn.ModuleList([VoiceNet(voice, self.encoding, config) for voice in range(4)])
        self.register_buffer("usual", tinydl.ones(4, self.encoding.symbols))  # how often each voice has each symbol

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.usual.device

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start every b at the log-frequency of the symbols in its voice; DataError for music not in four voices."""
        require_four_voices(self.model_name, self.encoding, pieces)
        codes = np.concatenate([self.encoding.codes(piece) for piece in pieces])
        counts = np.stack([np.bincount(voice, minlength=self.encoding.symbols) for voice in codes.T]) + 1.0
        with tinydl.no_grad():
            self.usual.copy_(tinydl.from_numpy(counts.astype(np.float32)))
            for net, voice in zip(self.nets, codes.T):
                net.get_parameter("output.bias").copy_(log_frequency(voice, self.encoding.symbols))

    def logits(
        self, codes: NDArray[np.int64], voice: int, first: int = 0, lengths: NDArray[np.int64] | None = None
    ) -> Tensor:
        """What p_voice is the softmax of, [T, B, V], of codes [T, B, 4]: OUTSIDE, or 1 + the encoding's.

        ``first`` is the place of the first step in its beat; beyond ``lengths`` [B] nothing is read.
        """
        beat = tinydl.as_tensor((first + np.arange(len(codes))) % self.beat, device=self.device)
        logits: Tensor = self.nets[voice](tinydl.as_tensor(codes, device=self.device), beat, lengths)
        return logits

    def loss(self, batch: Batch) -> Tensor:
        """-mean over steps of sum_i ln p_i(v_it | all others), in nats; a scalar."""
        data, inside = without_padding(batch)
        first, rng, W = 0, tinydl.default_generator, self.config.window
        if self.training:
            data = transposed(data, self.encoding, self.config.transpose, rng)
            first = self.beat * int(rng.integers(0, W // self.beat))
        codes = np.where(inside[..., None], 1 + self.encoding.codes(data), OUTSIDE)
        codes, mask = windows(codes, W, first), windows(batch.mask, W, first)
        some = mask.any(1)
        codes, mask = np.ascontiguousarray(codes[some].swapaxes(0, 1)), mask[some].T
        where = tinydl.as_tensor(np.flatnonzero(mask), device=self.device)
        total = None
        for voice in range(4):
            predicted = self.logits(codes, voice).reshape(-1, self.encoding.symbols)[where]
            targets = tinydl.as_tensor(codes[mask][:, voice] - 1, device=self.device)
            cost = F.cross_entropy(predicted, targets)
            total = cost if total is None else total + cost
        assert total is not None
        return total

    def _framed(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The encoding's codes [B, T, 4] as the nets read them: [T, B, 4], with a beat OUTSIDE at both ends."""
        framed = np.full((codes.shape[1] + 2 * self.beat, len(codes), 4), OUTSIDE, np.int64)
        framed[self.inner] = 1 + codes.swapaxes(0, 1)
        return framed

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """sum_i ln p_i(v_it | all others) of every step, and the most probable symbol for every entry."""
        data, inside = without_padding(batch)
        codes = self.encoding.codes(data)
        framed = self._framed(codes)
        framed[self.inner][~inside.T] = OUTSIDE
        log_prob, likely = np.zeros(batch.mask.shape), np.zeros(data.shape, np.int64)
        for voice in range(4):
            z = self.logits(framed, voice, lengths=batch.lengths + 2 * self.beat)[self.inner]
            z = z.cpu().numpy().swapaxes(0, 1)
            log_prob += log_likelihood(z, codes[..., voice])
            likely[..., voice] = z.argmax(-1)
        return Score(log_prob, self.encoding.of_codes(likely), batch.mask)

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """sum_i ln p_i(v_it | all others), float64 [T], of one whole piece: no likelihood, see the top of the file."""
        log_prob: NDArray[Any] = self.score(collate([piece])).log_prob[0]
        return log_prob

    def criterion(self, pieces: Sequence[NDArray[Any]]) -> float:
        """The mean over steps of -sum_i ln p_i(v_it | all others), in nats: what weights are compared by."""
        model: Any = self
        return mean_nll(model, pieces)

    @tinydl.no_grad()
    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` pieces, int64 [length, 4], each drawn from a random stream of its own.

        ``condition`` may hold ``fixed``, a :class:`tinydl.generation.Fixed` of any entries, or a ``primer``, int64
        [P, 4], that the pieces continue and that is not repeated in the result; and ``allowed``, bool [length, 12], the
        pitch classes that may sound in each step, in which given entries are free. Below temperature 1 the rounds begin
        at 1 and end at the temperature.
        """
        check(temperature)
        fixed, allowed = asked(self, condition, length, (4,))
        T = len(fixed.mask)
        # A pitch that may not sound is never drawn. HOLD may be, of any: what it held at last is seen to below.
        never = np.where([self.encoding.within(now, np.full((), self.encoding.REST)) for now in allowed], 0.0, -np.inf)
        rng = tinydl.default_generator if rng is None else rng
        streams = [rng.fork(f"sample {i}") for i in range(n)]
        free = ~fixed.mask
        usual = np.log(self.usual.cpu().numpy().astype(np.float64))
        start = np.stack([draw_each(usual + never[:, None], s.random((T, 4), np.float64)) for s in streams])
        codes = self._framed(np.where(free, start, self.encoding.codes(fixed.values)))
        # Of a long piece with a short gap only what is near the gap is read.
        steps = np.flatnonzero(free.any(1))
        first = max(0, (int(steps.min(initial=T)) - NEAR) // self.beat * self.beat)
        last = min(T, int(steps.max(initial=0)) + 1 + NEAR)
        near = codes[first : last + 2 * self.beat]
        inner, free, never = near[self.inner], free[first:last], never[first:last, None]
        for part in np.linspace(0, 1, self.config.rounds):
            share = SHARES[0] * (SHARES[1] / SHARES[0]) ** part
            heat = temperature if temperature >= 1 else 1 + part * (temperature - 1)
            for voice in np.flatnonzero(free.any(0)).tolist():
                z = self.logits(near, voice)[self.inner].cpu().numpy().astype(np.float64) + never  # [T, n, V]
                u = np.stack([stream.random((len(free), 2), np.float64) for stream in streams], 1)
                chosen = free[:, voice, None] & (u[..., 0] < share)
                inner[..., voice] = np.where(chosen, 1 + draw_each(z, u[..., 1], heat), inner[..., voice])
        made = self.encoding.of_codes(codes[self.inner].swapaxes(0, 1) - 1)
        return [self._let_go(fixed.within(piece), ~fixed.mask, allowed)[T - length :] for piece in made]

    def _let_go(
        self, piece: NDArray[np.int64], free: NDArray[np.bool_], allowed: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """The piece, in which a free HOLD of a pitch that may not sound any more moves to the nearest that may."""
        if allowed.all():
            return piece
        pitches = np.arange(self.encoding.low, self.encoding.high + 1)
        for t, voice in np.argwhere(free & (piece == self.encoding.HOLD)):
            held = int(self.encoding.sounding(piece[: t + 1, voice : voice + 1])[-1, 0])
            if held >= 0 and not allowed[t, held % 12]:
                may = pitches[allowed[t, pitches % 12]]
                piece[t, voice] = may[np.abs(may - held).argmin()] if len(may) else self.encoding.REST
        return piece


class VoiceNet(nn.Module):
    """The net of one voice: logits [T, B, V] of codes [T, B, 4] and places in the beat, int64 [T]."""

    def __init__(self, voice: int, encoding: Chorale, config: DeepBach.Config) -> None:
        super().__init__()
        e, self.symbols = config.embedding, 1 + encoding.symbols
        self.others = [other for other in range(4) if other != voice]
        self.notes = nn.Embedding(4 * self.symbols, e)  # E_1 ... E_4, one below the other
        self.beat = nn.Embedding(encoding.beat_steps, e)
        self.around = nn.LSTM(5 * e, config.hidden, bidirectional=True)
        self.present = nn.Linear(4 * e, config.units)
        self.join = nn.Linear(2 * config.hidden + config.units, config.units)
        self.output = nn.Linear(config.units, encoding.symbols)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, codes: Tensor, beat: Tensor, lengths: NDArray[np.int64] | None = None) -> Tensor:
        """B relu(A [past, present, future] + a) + b."""
        T, B = codes.shape[:2]
        sounding = self.notes(codes + tinydl.arange(4, device=codes.device) * self.symbols)  # [T, B, 4, e]
        place = self.beat(beat)[:, None].expand(T, B, -1)
        h = self.around(tinydl.cat([sounding.reshape(T, B, -1), place], -1), lengths=lengths)[0]
        forward, backward = h.chunk(2, -1)
        nothing = h.new_zeros(1, B, forward.shape[-1])
        past = tinydl.cat([nothing, forward[:-1]])  # the state after step t has seen v_it itself
        future = tinydl.cat([backward[1:], nothing])
        others = sounding[:, :, self.others].reshape(T, B, -1)
        present = F.relu(self.present(tinydl.cat([others, place], -1)))
        joined = F.relu(self.join(self.dropout(tinydl.cat([past, present, future], -1))))
        logits: Tensor = self.output(self.dropout(joined))
        return logits
