"""Anticipation-RNN: a language model of tunes that is told some of the notes to come, and prepares for them.

Paper
    Hadjeres, Nielsen, "Interactive music generation with positional constraints using Anticipation-RNNs", 2017,
    arXiv:1709.06404.

The model.  A tune is a sequence s_1 ... s_T in the ``grid`` representation: in each step a pitch that is struck, a
rest, or a hold. Constraints are a sequence c_1 ... c_T: c_t = s_t where the tune is given, and NC (no constraint)
elsewhere. One LSTM reads them from the end to the beginning, so that o_t sums up what is asked for from step t on; the
other writes the tune, and reads o_t beside the step before (section 3 of the paper):

    o_t = LSTM(F c_T, ..., F c_t)
    p(s_t | s_<t, c) = softmax(W h_t + b)      h_t = LSTM([E s_0, o_1], ..., [E s_(t-1), o_t])

with a start symbol s_0. Without constraints, c = NC everywhere, their product is the likelihood of the tune: exact.

Training.  The loss is - sum_t ln p(s_t | s_<t, c), with each step a constraint with a probability p that is drawn for
each tune, uniform in [0, 1/2]; one tune in four has none.

Generation.  Steps that are given are written as they are (hard constraints); the others are drawn from p. The paper
draws all steps and counts how often the given ones come out.

``anticipate=false`` leaves out o_t: the plain LSTM, which meets what is given only when it gets there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.generation.sampling import check, draw_each
from tinydl.generation.steering import asked
from tinydl.models.symbols import log_frequency, log_likelihood
from tinydl.models.tunes import TunesConfig
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Score, collate

MOST, NONE = 0.5, 0.25  # the largest share of constraints in training, and the share of tunes without any
State = tuple[Tensor, Tensor]


@register_model("anticipation-rnn")
class AnticipationRnn(nn.Module):
    """Next-step LSTM over tunes, int64 [T], that knows of constraints ahead."""

    @dataclass(frozen=True)
    class Config(TunesConfig):
        """As :class:`tinydl.models.tunes.TunesConfig`, and

        Attributes:
            embedding: entries of E s_t and of F c_t.
            hidden: units of the LSTM that writes.
            ahead: entries of o_t, units of the LSTM that reads constraints.
            dropout: of [E s_(t-1), o_t], and of the h_t that W reads.
            anticipate: false leaves out o_t.
        """

        embedding: int = 32
        hidden: int = 192
        ahead: int = 96
        dropout: float = 0.3
        anticipate: bool = True
        batch: int = 16
        chunk: int = 256
        lr: float = 3e-3
        average: float = 0.998
        steps: int = 6_000

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("embedding", "hidden", "ahead"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("dropout", 0 <= self.dropout < 1, "in [0, 1)")

    model_name = "anticipation-rnn"
    density = "exact"
    paper = "Hadjeres and Nielsen 2017, arXiv:1709.06404"
    data = "tunes"
    conditions = ("chords", "key", "notes", "primer", "temperature")

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.encoding = config.encoding()
        self.representation = self.encoding.config()
        self.tokens = self.encoding.vocabulary_size
        self.embedding = nn.Embedding(self.tokens + 1, config.embedding)  # E, the start symbol last
        self.rnn = nn.LSTM(config.embedding + config.ahead * config.anticipate, config.hidden)
        if config.anticipate:
            self.asked = nn.Embedding(self.tokens + 1, config.embedding)  # F, NC last
            self.ahead = nn.LSTM(config.embedding, config.ahead)
        self.output = nn.Linear(config.hidden, self.tokens)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.output.get_parameter("weight").device

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start b at the log-frequency of each event in the training tunes."""
        with tinydl.no_grad():
            self.output.get_parameter("bias").copy_(log_frequency(np.concatenate(pieces), self.tokens))

    def anticipation(self, constraints: NDArray[np.int64], lengths: NDArray[np.int64]) -> Tensor:
        """o_t, [T, B, ahead], of constraints int64 [B, T] of tunes of these lengths [B]; NC is the number of tokens."""
        B, T = constraints.shape
        t = np.arange(T)
        # Each tune from its own end; the same places bring the result back. Padding stays behind, and is not read.
        turned = np.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
        read = np.take_along_axis(constraints, turned, 1).T
        o, _ = self.ahead(self.asked(tinydl.as_tensor(np.ascontiguousarray(read), device=self.device)))
        back = tinydl.as_tensor((turned.T * B + np.arange(B)).reshape(-1), device=self.device)
        turned_back: Tensor = o.reshape(T * B, -1)[back].reshape(T, B, -1)
        return turned_back

    def read(
        self, before: NDArray[np.int64], o: Tensor | None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """W h_t + b, [T, B, V], of the events before each step, int64 [T, B], and o_t; and the state after."""
        x = self.embedding(tinydl.as_tensor(before, device=self.device))
        h, state = self.rnn(self.dropout(x if o is None else tinydl.cat([x, o], -1)), state)
        return self.output(self.dropout(h)), state

    def told(
        self, batch: Batch, given: NDArray[np.bool_], values: NDArray[np.int64] | None = None
    ) -> Tensor:
        """W h_t + b, [T, B, V], of whole tunes of which the steps in ``given`` [B, T] are constraints: to be as they
        are, or to be ``values`` [B, T]."""
        before = np.full(batch.data.T.shape, self.tokens, np.int64)
        before[1:] = batch.data.T[:-1]
        o = None
        if self.config.anticipate:
            o = self.anticipation(np.where(given, batch.data if values is None else values, self.tokens),
                                  batch.lengths)  # fmt: skip
        return self.read(before, o)[0]

    def loss(self, batch: Batch) -> Tensor:
        """-mean over steps of ln p(s_t | s_<t, c), in nats, with constraints drawn anew when training; a scalar."""
        given = np.zeros(batch.data.shape, np.bool_)
        if self.training:
            u = tinydl.default_generator.random((3, *batch.data.shape), np.float64)
            share = np.where(u[1, :, :1] < NONE, 0, MOST * u[2, :, :1])
            given = u[0] < share
        where = tinydl.as_tensor(np.flatnonzero(batch.mask.T), device=self.device)
        logits = self.told(batch, given).reshape(-1, self.tokens)[where]
        return F.cross_entropy(logits, tinydl.as_tensor(batch.data.T[batch.mask.T], device=self.device))

    @tinydl.no_grad()
    def constrained(
        self, batch: Batch, given: NDArray[np.bool_], values: NDArray[np.int64] | None = None
    ) -> Score:
        """ln p(s_t | s_<t, c) of every step, with the steps in ``given`` [B, T] as constraints, as in :meth:`told`."""
        z = self.told(batch, given, values).cpu().numpy().swapaxes(0, 1)
        return Score(np.where(batch.mask, log_likelihood(z, batch.data), 0.0), z.argmax(-1), batch.mask)

    def score(self, batch: Batch) -> Score:
        """ln p(s_t | s_<t) of every step, without constraints."""
        return self.constrained(batch, np.zeros(batch.data.shape, np.bool_))

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """ln p(s_t | s_<t), float64 [T], of one whole tune, int64 [T]."""
        log_prob: NDArray[Any] = self.score(collate([piece])).log_prob[0]
        return log_prob

    def element_log_prob(self, piece: NDArray[Any]) -> NDArray[np.float64]:
        """The same as :meth:`log_prob`: a step is one event."""
        return self.log_prob(piece)

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

        ``condition`` may hold ``fixed``, a :class:`tinydl.generation.Fixed` of any steps, which stand in every tune, or
        a ``primer``, int64 [P], that the tunes continue and that is not repeated in the result; and ``allowed``, bool
        [length, 12], the pitch classes that may sound in each step, in which given steps are free.
        """
        check(temperature)
        fixed, allowed = asked(self, condition, length)
        T, start = len(fixed.mask), len(fixed.mask) - length
        rng = tinydl.default_generator if rng is None else rng
        u = np.stack([rng.fork(f"sample {i}").random((T,), np.float64) for i in range(n)], 1)
        o = None
        if self.config.anticipate:
            c = np.where(fixed.mask, fixed.values, self.tokens)
            c[:start] = self.tokens  # a primer stands there anyway: nothing was to be prepared for
            o = self.anticipation(np.repeat(c[None], n, 0), np.full(n, T))
        tunes, before, state = np.zeros((T, n), np.int64), np.full((1, n), self.tokens), None
        sounding = np.full(n, self.encoding.REST)
        for t in range(T):
            logits, state = self.read(before, None if o is None else o[t : t + 1], state)
            may = self.encoding.within(allowed[t], sounding)
            drawn = draw_each(np.where(may, logits.cpu().numpy()[0], -np.inf), u[t], temperature)
            tunes[t] = fixed.values[t] if fixed.mask[t] else drawn
            sounding = np.where(tunes[t] == self.encoding.HOLD, sounding, tunes[t])
            before = tunes[t : t + 1]
        return [tune[start:].copy() for tune in tunes.T]
