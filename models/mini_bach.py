"""mini-bach: alto, tenor and bass for four bars of a soprano, all at once, by a net without memory.

Papers
    Briot, Hadjeres, Pachet, "Deep learning techniques for music generation: a survey", 2017, arXiv:1709.01620, where it
    is the first example of a system (section on the single-step feedforward strategy), and Briot, Pachet, "Deep
    learning for music generation: challenges and directions", 2018, arXiv:1712.04371.

The model.  A window of W sixteenth notes. The soprano's pitches in it, s_1 ... s_W, of mean m (rounded), are written as
W one-hot vectors of the intervals s_t - m in a row: x in {0,1}^(WD). From it, for every voice v of alto, tenor and
bass, every step t of the window and every pitch k,

    h = relu(A x + a)      p(y_tv = k | s) = softmax_k((B h)_(t, v, k - m) + b_vk)

Given the soprano all notes are independent:

    p(alto, tenor, bass | soprano) = prod_t prod_v p(y_tv | s)

This is an exact likelihood, of the three voices and not of the soprano. Notes are the pitches that sound: there is no
HOLD, and equal neighbours are one note. A longer piece is covered four times by windows, each time a quarter of a
window later, and p(y_tv | s) is the mean of what the four windows around step t say. In training it is cut into windows
at one of these four places.

Two things are not the survey's. Its net has a sigmoid at every output; here the outputs of a voice and step are a
softmax, since a voice sings one note at a time. Its net reads and writes pitches as they are, and must learn each key
by itself; here they are counted from m, and only b knows them: a piece and its transposition are the same to A and B.
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
from tinydl.generation.sampling import check, draw, draw_each
from tinydl.generation.steering import Fixed, refuse_others
from tinydl.models.four_voices import VoicesConfig, require_four_voices, transposed, windows, without_padding
from tinydl.models.symbols import log_frequency
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Score, collate

REACH = 15  # the net tells apart intervals so far about the centre of a voice; what lies farther is the last of them
CENTRES = np.array([0, -7, -13, -20])  # of the voices, in semitones from m
D = 1 + 2 * REACH + 1  # a rest, and the intervals


@register_model("mini-bach")
class MiniBach(nn.Module):
    """Soprano to alto, tenor and bass; chorales without strikes, int64 [T, 4]."""

    @dataclass(frozen=True)
    class Config(VoicesConfig):
        """As :class:`tinydl.models.four_voices.VoicesConfig`, and

        Attributes:
            window: W, steps; 64 sixteenths are four bars.
            hidden: entries of h.
            dropout: of h, and of whole one-hot vectors of x.
        """

        transpose: int = 0
        window: int = 64
        hidden: int = 256
        dropout: float = 0.3
        batch: int = 16
        lr: float = 3e-3
        average: float = 0.998
        steps: int = 1_500

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("window", "hidden"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("dropout", 0 <= self.dropout < 1, "in [0, 1)")

    model_name = "mini-bach"
    density = "exact"
    paper = "Briot, Hadjeres and Pachet 2017, arXiv:1709.01620"
    data = "four voices"
    conditions = ("melody", "temperature")
    follows: Tensor

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.encoding = Chorale(step=config.step, low=config.low, high=config.high, strikes=False)
        self.representation = self.encoding.config()
        W, V = config.window, self.encoding.symbols
        self.input = nn.Linear(W * D, config.hidden)
        self.output = nn.Linear(config.hidden, W * 3 * D, bias=False)
        self.b = nn.Parameter(tinydl.zeros(3, V))
        self.dropout = nn.Dropout(config.dropout)
        # Of training sopranos: how often a symbol follows another, by the place in the beat. See :meth:`melody`.
        self.register_buffer("follows", tinydl.zeros(self.encoding.beat_steps, V, V))

    @property
    def firsts(self) -> list[int]:
        """How many steps of rest come before a piece, each of the times that it is cut into windows."""
        return sorted({self.config.window * quarter // 4 for quarter in range(4)})

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.b.device

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start b at the log-frequency of every symbol in its voice, and count which follows which in the sopranos.

        Raises DataError for music that is not in four voices.
        """
        require_four_voices(self.model_name, self.encoding, pieces)
        V = self.encoding.symbols
        codes = [self.encoding.codes(piece) for piece in pieces]
        below = np.concatenate(codes)[:, 1:]
        beat = self.encoding.beat_steps
        follows = np.zeros((beat, V, V), np.float32)
        for piece in codes:
            soprano = np.concatenate([[0], piece[:, 0]])  # before a piece there is a rest
            np.add.at(follows, (np.arange(len(piece)) % beat, soprano[:-1], soprano[1:]), 1)
        with tinydl.no_grad():
            self.b.copy_(tinydl.stack([log_frequency(voice, V) for voice in below.T]))
            self.follows.copy_(tinydl.from_numpy(follows))

    def logits(self, soprano: NDArray[np.int64]) -> Tensor:
        """(B h)_(t, v, k - m) + b_vk, [N, W, 3, V], of windows of soprano symbols, int64 [N, W]."""
        N, W, V = len(soprano), self.config.window, self.encoding.symbols
        mean = soprano.sum(1) / np.maximum((soprano > 0).sum(1), 1)  # a rest is symbol 0
        m = np.floor(mean + 0.5).astype(np.int64)  # not rint, which takes the even one of two: that is not transposable

        def interval(symbol: NDArray[np.int64], voice: int) -> NDArray[np.int64]:
            near = np.clip(symbol - m[:, None] - CENTRES[voice], -REACH, REACH)
            return np.where(symbol > 0, 1 + near + REACH, 0)

        x = np.eye(D, dtype=np.float32)[interval(soprano, 0)]
        if self.training and self.config.dropout:
            x *= tinydl.default_generator.bernoulli(1 - self.config.dropout, soprano.shape)[..., None]
        h = tinydl.as_tensor(x.reshape(N, W * D), device=self.device).to(self.b.dtype)
        h = self.dropout(F.relu(self.input(h)))
        of_symbol = np.stack([interval(np.arange(V), v) for v in (1, 2, 3)], 1)  # [N, 3, V]
        index = tinydl.as_tensor(of_symbol, device=self.device)[:, None].expand(N, W, 3, V)
        logits: Tensor = self.output(h).reshape(N, W, 3, D).gather(3, index) + self.b
        return logits

    def loss(self, batch: Batch) -> Tensor:
        """-mean over steps of ln p(alto, tenor, bass | soprano), in nats; a scalar."""
        data, _ = without_padding(batch)
        W, mask, first, rng = self.config.window, batch.mask, 0, tinydl.default_generator
        if self.training:
            data = transposed(data, self.encoding, self.config.transpose, rng)
            first = self.firsts[int(rng.integers(0, len(self.firsts)))]
        codes, mask = (windows(array, W, first) for array in (self.encoding.codes(data), mask))  # a rest is symbol 0
        some = mask.any(1)
        codes, mask = codes[some], mask[some]
        logits = self.logits(codes[..., 0])
        where = tinydl.as_tensor(np.flatnonzero(mask), device=self.device)
        V = self.encoding.symbols
        predicted = logits.reshape(-1, 3 * V)[where].reshape(-1, V)
        targets = tinydl.as_tensor(codes[mask][:, 1:].reshape(-1), device=self.device)
        loss: Tensor = 3 * F.cross_entropy(predicted, targets)
        return loss

    @tinydl.no_grad()
    def log_probabilities(self, soprano: NDArray[np.int64]) -> NDArray[np.float64]:
        """ln p(y_tv | s) of every symbol, float64 [B, T, 3, V], of sopranos in symbols, int64 [B, T]."""
        B, T = soprano.shape
        p = np.zeros((B, T, 3, self.encoding.symbols))
        for first in self.firsts:
            z = self.logits(windows(soprano, self.config.window, first)).cpu().numpy().astype(np.float64)
            z = np.exp(z - z.max(-1, keepdims=True))
            z /= z.sum(-1, keepdims=True)
            p += z.reshape(B, -1, *z.shape[2:])[:, first : first + T] / len(self.firsts)
        log_p: NDArray[np.float64] = np.log(p)
        return log_p

    def _elements(self, data: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """ln p of every entry, [B, T, 4], 0 of the soprano's; and the most probable array, whose soprano is given."""
        codes = self.encoding.codes(data)
        log_p = self.log_probabilities(codes[..., 0])
        found = np.zeros(data.shape)
        found[..., 1:] = np.take_along_axis(log_p, codes[..., 1:, None], -1)[..., 0]
        likely = data.copy()
        likely[..., 1:] = self.encoding.of_codes(log_p.argmax(-1))
        return found, likely

    def score(self, batch: Batch) -> Score:
        """ln p(alto, tenor, bass | soprano) of every step, and the most probable notes of the three."""
        log_prob, likely = self._elements(without_padding(batch)[0])
        given = np.zeros(likely.shape, np.bool_)
        given[..., 0] = True
        return Score(log_prob.sum(-1), likely, batch.mask, given)

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """ln p(alto, tenor, bass | soprano) of every step, float64 [T], of one whole piece, int64 [T, 4]."""
        log_prob: NDArray[Any] = self.score(collate([piece])).log_prob[0]
        return log_prob

    def element_log_prob(self, piece: NDArray[Any]) -> NDArray[np.float64]:
        """ln p of every entry given the soprano, float64 [T, 4]; 0 of the soprano, which is given."""
        found, _ = self._elements(np.asarray(piece)[None])
        element: NDArray[np.float64] = found[0]
        return element

    def melody(self, length: int, rng: Generator) -> NDArray[np.int64]:
        """A soprano in symbols, int64 [length], where none is given, since mini-bach itself has none: a Markov chain of
        the training sopranos, whose next symbol depends on the one before and on the place in the beat."""
        counts = self.follows.cpu().numpy().astype(np.float64)
        symbols, u = [0], rng.random((length,), np.float64)
        for t in range(length):
            weights = counts[t % len(counts), symbols[-1]]
            if not weights.any():
                weights = counts.sum((0, 1)) + 1e-9  # a symbol that ended a piece, or a model that learned from none
            symbols.append(draw(weights, float(u[t])))
        return np.array(symbols[1:], np.int64)

    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` pieces, int64 [length, 4], each drawn from a random stream of its own.

        ``condition`` may hold ``fixed``, a :class:`tinydl.generation.Fixed` of the whole soprano. Given that, every
        note is drawn by itself, as the product above says: from one sixteenth to the next a voice moves by chance where
        the net is in doubt. At temperature 0 the notes are the most probable ones, as in the survey.
        """
        check(temperature)
        fixed: Fixed | None = refuse_others(self, condition).get("fixed")
        rng = tinydl.default_generator if rng is None else rng
        streams = [rng.fork(f"sample {i}") for i in range(n)]
        if fixed is None:
            soprano = np.stack([self.melody(length, stream.fork("melody")) for stream in streams])
        else:
            soprano = np.repeat(self.encoding.codes(fixed.voice(0, length))[None], n, 0)
        u = np.stack([stream.random((length, 3), np.float64) for stream in streams])
        below = draw_each(self.log_probabilities(soprano), u, temperature)
        return list(self.encoding.of_codes(np.concatenate([soprano[..., None], below], -1)))
