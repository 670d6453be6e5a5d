"""Recurrent nets with independent Bernoulli outputs: polyphonic music, one frame at a time. Three cells, one model.

Papers
    Boulanger-Lewandowski, Bengio, Vincent, "Modeling temporal dependencies in high-dimensional sequences", ICML 2012,
    arXiv:1206.6392: the task (88 pitches, log-likelihood per frame) and the four data sets.
    Chung, Gulcehre, Cho, Bengio, "Empirical evaluation of gated recurrent neural networks on sequence modeling", 2014,
    arXiv:1412.3555: the tanh, GRU and LSTM nets on them (sections 2 and 3).
    Merity, Keskar, Socher, "Regularizing and optimizing LSTM language models", ICLR 2018, arXiv:1708.02182: dropout on
    the recurrent *weights*, and averaged weights, which small data need.

The model.  A piece is x_1 ... x_T, x_t in {0,1}^P. By the chain rule p(x) = prod_t p(x_t | x_<t), with

    p(x_t | x_<t) = prod_k y_tk^x_tk (1 - y_tk)^(1 - x_tk),      y_t = sigmoid(V h_(t-1) + b)

where h_(t-1) has read x_<t; the first frame is predicted as well, from a frame x_0 = 0. The cells:

    tanh-rnn    h_t = tanh(W x_t + U h_(t-1) + b_h)

    gru         r_t = sigmoid(W_r x_t + U_r h_(t-1) + b_r)          z_t = sigmoid(W_z x_t + U_z h_(t-1) + b_z)
                n_t = tanh(W_n x_t + r_t (U_n h_(t-1) + b_n))       h_t = (1 - z_t) n_t + z_t h_(t-1)

    lstm        i_t = sigmoid(W_i x_t + U_i h_(t-1) + b_i)          f_t = sigmoid(W_f x_t + U_f h_(t-1) + b_f)
                g_t = tanh(W_g x_t + U_g h_(t-1) + b_g)             o_t = sigmoid(W_o x_t + U_o h_(t-1) + b_o)
                c_t = f_t c_(t-1) + i_t g_t                         h_t = o_t tanh(c_t)

Given the past, the notes of a frame are independent: this is what RNN-RBM and RNN-NADE (``lstm_nade.py``) improve on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.generation.sampling import bernoulli_frame, check
from tinydl.kernels.loss.spec import log_bernoulli
from tinydl.models.frames import log_odds
from tinydl.nn import functional as F
from tinydl.ops.rnn import gru, lstm, rnn_tanh
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Recipe, Score, collate

NEVER = -1e4  # the logit of a note that must not sound
LOWEST = 21  # the MIDI pitch of a roll's first column
State = list[tuple[Tensor, ...]]  # per layer (h,) or (h, c), each [B, H]


class Recurrent(nn.Module):
    """What the three have in common: piano-rolls, bool [T, P], read frame by frame."""

    @dataclass(frozen=True)
    class Config(Recipe):
        """Options; those of training are explained at :class:`tinydl.training.Recipe`.

        Attributes:
            hidden: H, units per layer.
            layers: recurrent layers, one upon another.
            input_dropout: notes of x_t that the net does not see.
            recurrent_dropout: entries of U that are 0, one mask per batch (Merity et al.).
            output_dropout: entries of h_t that the next layer, or the output, does not see.
            step: length of a frame in beats (quarter notes); a named dataset has its own.
            pitches: P; 88 is the piano, from A0 (MIDI 21).
            max_silence: when sampling, so many silent frames may follow each other; 0 forbids silence.
        """

        hidden: int = 320
        layers: int = 1
        input_dropout: float = 0.2
        recurrent_dropout: float = 0.7
        output_dropout: float = 0.3
        step: str = "1/4"
        pitches: int = 88
        max_silence: int = 16
        lr: float = 6e-3
        average: float = 0.999
        steps: int = 20_000
        patience: int = 25

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("hidden", "layers", "pitches"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            for name in ("input_dropout", "recurrent_dropout", "output_dropout"):
                self._require(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
            self._require("max_silence", self.max_silence >= 0, "0 or more")

    density = "exact"
    paper = "Boulanger-Lewandowski et al. 2012, arXiv:1206.6392"
    data = "polyphony"
    conditions = ("chords", "key", "primer", "temperature")
    layer: ClassVar[Callable[..., Any]]  # holds the weights
    cell: ClassVar[Callable[..., Any]]  # the operation: (x, state ..., W, U, b_W, b_U) -> (h of all steps, state ...)
    states: ClassVar[int]  # tensors of the state

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.representation = {"name": "roll", "step": config.step}
        self.rnn = type(self).layer(config.pitches, config.hidden, config.layers)
        self.output = nn.Linear(config.hidden, config.pitches)

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start b at the log-odds of each pitch's share of the training frames: only what V adds is to be learned."""
        with tinydl.no_grad():
            self.output.get_parameter("bias").copy_(log_odds(pieces, self.config.pitches))

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.output.get_parameter("weight").device

    def initial_state(self, batch: int) -> State:
        """h_0 = 0 (and c_0 = 0) for every layer."""
        zero = tinydl.zeros(batch, self.config.hidden, device=self.device)
        return [(zero,) * self.states] * self.config.layers

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """Read x, float [T, B, P], in ``state``: the last layer's h [T, B, H], and the state after."""
        config = self.config
        h = F.dropout(frames, config.input_dropout, self.training)
        after = []
        for layer, before in enumerate(state):
            w, u, b_w, b_u = (
                getattr(self.rnn, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            u = F.dropout(u, config.recurrent_dropout, self.training)
            h, *last = type(self).cell(h, *before, w, u, b_w, b_u, lengths=None, reverse=False)
            h = F.dropout(h, config.output_dropout, self.training)
            after.append(tuple(last))
        return h, after

    def past(self, rolls: NDArray[Any]) -> Tensor:
        """h_0 ... h_(T-1), float [T, B, H], of rolls x, bool [B, T, P]: what each frame is predicted from."""
        previous = np.zeros((rolls.shape[1], rolls.shape[0], rolls.shape[2]), np.float32)
        previous[1:] = rolls[:, :-1].swapaxes(0, 1)
        h, _ = self.read(tinydl.as_tensor(previous, device=self.device), self.initial_state(len(rolls)))
        return h

    def loss(self, batch: Batch) -> Tensor:
        """-mean over predicted frames of sum_k ln p(x_tk | x_<t), in nats; a scalar."""
        rolls = np.ascontiguousarray(batch.data.swapaxes(0, 1), np.float32)
        weight = np.ascontiguousarray(batch.mask.T[:, :, None], np.float32)
        weight /= weight.sum()
        return F.binary_cross_entropy_with_logits(
            self.output(self.past(batch.data)),
            tinydl.as_tensor(rolls, device=self.device),
            weight=tinydl.as_tensor(weight, device=self.device),
            reduction="sum",
        )

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """ln p(x_t | x_<t) of every frame, and the notes with y_tk > 1/2."""
        z = self.output(self.past(batch.data)).cpu().numpy().swapaxes(0, 1)
        return Score(log_bernoulli(batch.data, z).sum(-1, dtype=np.float64), z > 0, batch.mask)

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """ln p(x_t | x_<t), float64 [T], of one whole piece, bool [T, P]; with the dropout of the mode."""
        score = self.score(collate([piece]))
        return score.log_prob[score.mask]

    @tinydl.no_grad()
    def element_log_prob(self, piece: NDArray[Any]) -> NDArray[np.float64]:
        """ln p(x_tk | x_<t), float64 [T, P]: what every note, and every rest, adds to :meth:`log_prob`."""
        z = self.output(self.past(piece[None])).cpu().numpy()[:, 0]
        return log_bernoulli(piece, z.astype(np.float64))

    def draw(
        self, h: Tensor, u: NDArray[np.float64], temperature: float, sounding: NDArray[np.bool_],
        silent: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Frames x, bool [B, P], from what the past says, h [B, H], with uniform numbers u [B, P]; ``silent`` [P] are
        pitches that do not sound."""
        z = self.output(h).cpu().numpy()
        if silent is not None:
            z[:, silent] = NEVER
        drawn = [bernoulli_frame(z_i, u_i, temperature, sounding=bool(s)) for z_i, u_i, s in zip(z, u, sounding)]
        return np.stack(drawn)

    @tinydl.no_grad()
    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` rolls, bool [length, P], each drawn from a random stream of its own.

        The logits are divided by ``temperature``; near 0 a note sounds exactly where its probability is above 1/2.
        ``condition={"primer": roll}`` continues a roll, bool [T, P], which is not repeated in the result; of
        ``"allowed"``, bool [length, 12], the other pitch classes do not sound.

        A model that has drawn a long silence may find silence ever more likely, and end there. After ``max_silence``
        silent frames the next frame is therefore drawn from p(x_t | x_<t, x_t != 0).
        """
        check(temperature)
        primer = np.asarray((condition or {}).get("primer", np.zeros((0, self.config.pitches), bool)), bool)
        if primer.ndim != 2 or primer.shape[1] != self.config.pitches:
            raise ValueError(
                f"the primer must be a roll [T, {self.config.pitches}], but has the shape {tuple(primer.shape)}"
            )
        rng = tinydl.default_generator if rng is None else rng
        rolls = np.zeros((n, length, self.config.pitches), bool)
        u = np.zeros(rolls.shape)
        for i in range(n):
            u[i] = rng.fork(f"sample {i}").random(rolls.shape[1:], np.float64)
        # x_0 = 0, then the primer
        read = np.zeros((len(primer) + 1, n, self.config.pitches), np.float32)
        read[1:] = primer[:, None]
        allowed = (condition or {}).get("allowed")
        classes = (LOWEST + np.arange(self.config.pitches)) % 12
        silence = np.zeros(n, np.int64)
        state = self.initial_state(n)
        for t in range(length if n else 0):
            h, state = self.read(tinydl.as_tensor(read, device=self.device), state)
            silent = None if allowed is None else ~allowed[t, classes]
            rolls[:, t] = self.draw(h[-1], u[:, t], temperature, silence >= self.config.max_silence, silent)
            silence = np.where(rolls[:, t].any(-1), 0, silence + 1)
            read = rolls[None, :, t].astype(np.float32)
        return list(rolls)


@register_model("tanh-rnn")
class TanhRnn(Recurrent):
    """The simple recurrent net (Elman 1990), the baseline of both papers."""

    @dataclass(frozen=True)
    class Config(Recurrent.Config):
        """As :class:`Recurrent.Config`; without gates, a smaller learning rate and weaker dropout learn best."""

        recurrent_dropout: float = 0.5
        lr: float = 3e-3

    layer, cell, states = nn.RNN, rnn_tanh, 1


@register_model("gru")
class Gru(Recurrent):
    """Gated recurrent units (Cho et al. 2014)."""

    paper = "Chung et al. 2014, arXiv:1412.3555"

    layer, cell, states = nn.GRU, gru, 1


@register_model("lstm")
class Lstm(Recurrent):
    """Long short-term memory, without peepholes (Hochreiter and Schmidhuber 1997, Gers et al. 2000)."""

    paper = "Chung et al. 2014, arXiv:1412.3555"

    layer, cell, states = nn.LSTM, lstm, 2
