"""What language models of four voices have in common: one symbol after another, and nothing about how the next is told.

Papers
    Huang, Vaswani, Uszkoreit, Shazeer, Simon, Hawthorne, Dai, Hoffman, Dinculescu, Eck, "Music Transformer", ICLR 2019,
    arXiv:1809.04281, section 3.1: Bach's chorales as a row of symbols, voice by voice within a sixteenth.

A piece of T steps, int64 [T, 4] in the ``chorale`` representation, is the row w_1 ... w_4T of its entries, soprano,
alto, tenor and bass of the first step, then those of the second, each one of V symbols: a rest, HOLD, a pitch. What
stands before the first symbol is one that is none, w_0. The input of place i is

    x_i = E w_(i-1) + A (i mod 4) + M (step of i mod R)

the symbol before, whose turn it is, and the place in a bar of four beats, which has R steps (16 of a sixteenth), and a
model gives p(w_i | w_<i). The likelihood of a piece is their product: exact.

Given notes.  Where an entry is given, it stands there, and the model goes on from it: what comes later depends on it,
what comes before does not. It is not p(free | given) that is sampled so, which would look ahead.
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
from tinydl.models.four_voices import VoicesConfig, require_four_voices, transposed, without_padding
from tinydl.models.symbols import log_frequency, log_likelihood
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.training import Batch, Score, collate

VOICES = 4


class VoiceByVoice(nn.Module):
    """A language model of chorales, int64 [T, 4]; a subclass has ``output``, and says how x_1 ... x_i is read."""

    @dataclass(frozen=True)
    class Config(VoicesConfig):
        """As :class:`tinydl.models.four_voices.VoicesConfig`, and

        Attributes:
            width: D, entries of x_i.
            window: in training, steps of a piece that are read at once, from a random step on.
            dropout: of x_i, and what the model says more.
        """

        width: int = 128
        window: int = 64
        dropout: float = 0.1
        transpose: int = 5
        batch: int = 16
        average: float = 0.998
        steps: int = 20_000
        eval_every: int = 200

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("width", "window"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("dropout", 0 <= self.dropout < 1, "in [0, 1)")

    model_name: str
    density = "exact"
    data = "four voices"
    conditions = ("chords", "key", "notes", "primer", "temperature")
    output: nn.Linear

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoding = Chorale(step=config.step, low=config.low, high=config.high)
        self.representation = self.encoding.config()
        self.begin = self.encoding.symbols  # w_0
        self.symbol = nn.Embedding(self.begin + 1, config.width)
        self.turn = nn.Embedding(VOICES, config.width)
        self.bar = 4 * self.encoding.beat_steps  # R
        self.place = nn.Embedding(self.bar, config.width)
        self.dropout = nn.Dropout(config.dropout)
        with tinydl.no_grad():  # small beside the rest, which they are added to
            for embedding in (self.symbol, self.turn, self.place):
                embedding.get_parameter("weight").mul_(0.1)

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.symbol.get_parameter("weight").device

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start the bias of the output at the log-frequency of every symbol.

        Raises DataError for music that is not in four voices.
        """
        require_four_voices(self.model_name, self.encoding, pieces)
        codes = np.concatenate([self.encoding.codes(piece).reshape(-1) for piece in pieces])
        with tinydl.no_grad():
            self.output.get_parameter("bias").copy_(log_frequency(codes, self.encoding.symbols))

    # -- what a subclass says

    def hidden(self, x: Tensor) -> Tensor:
        """What is known at every place, [B, L, H], of inputs [B, L, D] whose first is of a piece's beginning, or of a
        window's."""
        raise NotImplementedError

    def begun(self, n: int, length: int) -> Any:
        """The state of ``n`` pieces of at most ``length`` symbols before their first."""
        raise NotImplementedError

    def advance(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One place further: of x_i, [n, D], what is known there, [n, H], and the state after it."""
        raise NotImplementedError

    # -- likelihood

    def inputs(self, before: NDArray[np.int64], first: NDArray[np.int64] | int = 0) -> Tensor:
        """x, [B, L, D], of the symbols before each place, int64 [B, L], the first of which is place ``first`` (of a
        step's soprano) of its piece, of each piece its own [B]."""
        at = np.reshape(first, (-1, 1)) + np.arange(before.shape[1])
        turn, place = np.broadcast_to(at % VOICES, before.shape), np.broadcast_to(at // VOICES % self.bar, before.shape)
        symbol, turned, placed = (
            embedding(tinydl.as_tensor(np.ascontiguousarray(index), device=self.device))
            for embedding, index in ((self.symbol, before), (self.turn, turn), (self.place, place))
        )
        x: Tensor = self.dropout(symbol + turned + placed)
        return x

    def places(self) -> Tensor:
        """A (i mod 4) + M (step of i mod R) of all places of a bar, [4R, D]."""
        i = tinydl.as_tensor(np.arange(VOICES * self.bar), device=self.device)
        table: Tensor = self.turn(i % VOICES) + self.place(i // VOICES)
        return table

    def row(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Symbols [B, T, 4] as the row of each piece, [B, 4T], and what stands before each place of it."""
        row = codes.reshape(len(codes), -1)
        return row, np.concatenate([np.full((len(row), 1), self.begin), row[:, :-1]], 1)

    def loss(self, batch: Batch) -> Tensor:
        """-mean over predicted steps of ln p(soprano, alto, tenor, bass | before), in nats; a scalar.

        In training each piece is transposed at random, and a window of it is read. Of one that does not begin its
        piece, the first quarter is context.
        """
        data, mask = without_padding(batch)[0], batch.mask
        first, T = np.zeros(len(data), np.int64), data.shape[1]
        if self.training:
            rng, T = tinydl.default_generator, min(self.config.window, data.shape[1])
            data = transposed(data, self.encoding, self.config.transpose, rng)
            furthest = np.maximum(batch.lengths - T, 0)
            # between -T / 4 and the last window, cut off at 0: beginnings are learned as often as a step inside
            first = np.floor(rng.random((len(data),), np.float64) * (furthest + T // 4 + 1)).astype(np.int64)
            first = np.clip(first - T // 4, 0, furthest)
        row, before = self.row(self.encoding.codes(data))
        asked = np.repeat(mask, VOICES, 1)
        if self.training:
            at = VOICES * first[:, None] + np.arange(VOICES * T)
            row, before = np.take_along_axis(row, at, 1), np.take_along_axis(before, at, 1)
            asked = np.take_along_axis(asked, at, 1)
            asked[first > 0, : T // 4 * VOICES] = False
        h = self.hidden(self.inputs(before, VOICES * first))
        where = tinydl.as_tensor(np.flatnonzero(asked), device=self.device)
        logits = self.output(h.reshape(-1, h.shape[-1])[where])
        loss: Tensor = VOICES * F.cross_entropy(logits, tinydl.as_tensor(row[asked], device=self.device))
        return loss

    @tinydl.no_grad()
    def _elements(self, data: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """ln p of every entry given those before it, [B, T, 4], and the most probable symbol in its place."""
        row, before = self.row(self.encoding.codes(data))
        z = self.output(self.hidden(self.inputs(before))).cpu().numpy()
        found = log_likelihood(z, row)
        return found.reshape(data.shape), self.encoding.of_codes(z.argmax(-1)).reshape(data.shape)

    def score(self, batch: Batch) -> Score:
        """ln p of every step given those before it, and at each entry the symbol that was the most probable there."""
        found, likely = self._elements(without_padding(batch)[0])
        return Score(found.sum(-1), likely, batch.mask)

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """ln p of every step given those before it, float64 [T], of one whole piece, int64 [T, 4]."""
        log_prob: NDArray[Any] = self.score(collate([piece])).log_prob[0]
        return log_prob

    def element_log_prob(self, piece: NDArray[Any]) -> NDArray[np.float64]:
        """ln p of every entry given those before it, float64 [T, 4]."""
        found: NDArray[np.float64] = self._elements(np.asarray(piece)[None])[0][0]
        return found

    # -- sampling

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

        ``condition`` may hold ``fixed``, a :class:`tinydl.generation.Fixed` of some entries, or ``primer``, int64
        [P, 4], which the piece goes on from and which is not repeated in the result; and ``allowed``, bool
        [length, 12], the pitch classes that may sound in each step, in which given entries are free.
        """
        check(temperature)
        fixed, allowed = asked(self, condition, length, (VOICES,))
        T, limited = len(fixed.mask), not allowed.all()
        given, known = self.encoding.codes(fixed.values).reshape(-1), fixed.mask.reshape(-1)
        rng = tinydl.default_generator if rng is None else rng
        u = np.stack([rng.fork(f"sample {i}").random((VOICES * T,), np.float64) for i in range(n)], 1)
        made, before, state = np.zeros((n, VOICES * T), np.int64), np.full(n, self.begin), self.begun(n, VOICES * T)
        symbols, places = self.symbol.get_parameter("weight"), self.places()
        sounding = np.full((n, VOICES), self.encoding.REST)
        for i, (symbol, is_given) in enumerate(zip(given, known)):
            h, state = self.advance(symbols[before] + places[i % len(places)], state)
            if is_given:
                made[:, i] = symbol
            else:
                z = self.output(h).cpu().numpy()
                if limited:
                    z = np.where(self.encoding.within(allowed[i // VOICES], sounding[:, i % VOICES]), z, -np.inf)
                made[:, i] = draw_each(z, u[i], temperature)
            before = made[:, i]
            if limited:
                now = self.encoding.of_codes(before)
                sounding[:, i % VOICES] = np.where(now == self.encoding.HOLD, sounding[:, i % VOICES], now)
        return list(self.encoding.of_codes(made[:, VOICES * (T - length) :]).reshape(n, length, VOICES))
