"""RNN-NADE with an LSTM: the notes of a frame depend on each other, and the likelihood stays exact.

Papers
    Boulanger-Lewandowski, Bengio, Vincent, "Modeling temporal dependencies in high-dimensional sequences", ICML 2012,
    arXiv:1206.6392: RNN-NADE, a NADE for every frame whose biases come from a recurrent net.
    Larochelle, Murray, "The neural autoregressive distribution estimator", AISTATS 2011: the NADE.

The model.  A piece is x_1 ... x_T, x_t in {0,1}^P. The LSTM of ``rnn.py`` reads x_<t into h_(t-1), from which come the
two biases of frame t (equations 6 and 7 of the 2012 paper, in our letters),

    b_t = B h_(t-1) + b        c_t = C h_(t-1) + c

and the notes of the frame follow one upon another, with hidden units s_tk of their own:

    p(x_t | x_<t) = prod_k p(x_tk | x_t,<k, x_<t),      p(x_tk = 1 | ...) = sigmoid(b_tk + V_k . s_tk)
    s_tk = sigmoid(c_t + sum over j < k of x_tj W_j)

where V and W have a row of D numbers for each pitch. Any order of the pitches k gives an exact likelihood; ours is from
the highest down, as a harmonisation is written: the tune first, then what goes with it. (Rows of b, V and W stand in
that order; the LSTM reads by pitch.) A chord is so judged as a
chord: that is what the independent outputs of ``rnn.py`` cannot do. The state s changes only after an active note,
which the kernel uses (:mod:`tinydl.kernels.nade.spec`): a frame of four voices needs 5 states and not 88.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.kernels.loss.spec import log_bernoulli
from tinydl.kernels.nade import spec
from tinydl.models.rnn import NEVER, Lstm
from tinydl.nn import functional as F
from tinydl.ops.nade import nade, nade_sample
from tinydl.registry import register_model
from tinydl.training import Batch, Score


@register_model("lstm-nade")
class LstmNade(Lstm):
    """LSTM with a NADE over the notes of a frame; piano-rolls, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(Lstm.Config):
        """As :class:`tinydl.models.rnn.Recurrent.Config`, and

        Attributes:
            units: D, hidden units of the NADE.
            nade_dropout: entries of W and V that are 0, one mask per batch.
            order: in which the pitches of a frame follow each other, ``down`` or ``up``. What comes first is drawn
                best: down gives the better tune, up the better bass.
        """

        units: int = 128
        nade_dropout: float = 0.0
        order: str = "down"

        def __post_init__(self) -> None:
            super().__post_init__()
            self._require("units", self.units >= 1, "at least 1")
            self._require("nade_dropout", 0 <= self.nade_dropout < 1, "in [0, 1)")
            self._require("order", self.order in ("up", "down"), "up or down")

    config: Config
    paper = "Boulanger-Lewandowski et al. 2012, arXiv:1206.6392"

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)  # its output is B h + b
        self.to_c = nn.Linear(config.hidden, config.units)  # C h + c
        bound = config.units**-0.5
        self.W = nn.Parameter(tinydl.empty(config.pitches, config.units))
        self.V = nn.Parameter(tinydl.empty(config.pitches, config.units))
        for weight in (self.W, self.V):
            nn.init.uniform_(weight, -bound, bound)

    def ordered(self, rolls: NDArray[Any]) -> NDArray[Any]:
        """Rolls [..., P] with the pitches in the order of the NADE, or back: the two are one."""
        return rolls[..., ::-1] if self.config.order == "down" else rolls

    def frames(self, batch: Batch) -> NDArray[np.bool_]:
        """The frames of a batch as the NADE reads them, bool [T * B, P], those of one time together."""
        rolls = self.ordered(batch.data.swapaxes(0, 1))
        return np.ascontiguousarray(rolls).reshape(-1, self.config.pitches)

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """As in ``rnn.py``, in the order of the NADE."""
        super().prepare([self.ordered(piece) for piece in pieces])

    def biases(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """b_t [..., P] and c_t [..., D] of h_(t-1) [..., H], as matrices: one row for each frame."""
        h = h.reshape(-1, h.shape[-1])
        return self.output(h), self.to_c(h)

    def loss(self, batch: Batch) -> Tensor:
        """-mean over predicted frames of ln p(x_t | x_<t), in nats; a scalar."""
        b, c = self.biases(self.past(batch.data))
        x = tinydl.as_tensor(self.frames(batch), device=self.device)
        weight = np.ascontiguousarray(batch.mask.T, np.float32).reshape(-1)
        weight /= -weight.sum()
        w, v = (F.dropout(m, self.config.nade_dropout, self.training) for m in (self.W, self.V))
        loss: Tensor = (nade(x, b, c, w, v) * tinydl.as_tensor(weight, device=self.device)).sum()
        return loss

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """ln p(x_t | x_<t) of every frame, and the frames in which each note in turn takes its likelier value."""
        size, length, pitches = batch.data.shape
        h = self.past(batch.data)
        b, c = self.biases(h)
        x = tinydl.as_tensor(self.frames(batch), device=self.device)
        log_prob = nade(x, b, c, self.W, self.V).cpu().numpy().astype(np.float64).reshape(length, size).T
        likely = self.draw(h, np.zeros(x.shape), 0.0, np.zeros(len(x), bool))
        return Score(log_prob, likely.reshape(length, size, pitches).swapaxes(0, 1), batch.mask)

    @tinydl.no_grad()
    def element_log_prob(self, piece: NDArray[np.bool_]) -> NDArray[np.float64]:
        """ln p(x_tk | x_t,<k, x_<t), float64 [T, P] by pitch: what every note, and every rest, adds to ``log_prob``."""
        b, c = self.biases(self.past(piece[None]))
        x = self.ordered(piece)
        z = spec.logits(x, *(a.cpu().array.astype(np.float64) for a in (b, c, self.W, self.V)))
        return self.ordered(log_bernoulli(x, z))

    def draw(
        self, h: Tensor, u: NDArray[np.float64], temperature: float, sounding: NDArray[np.bool_],
        silent: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Frames x, bool [B, P], from what the past says, h [B, H]: every logit is divided by the temperature."""
        b, c = self.biases(h)
        if silent is not None:
            b = b.masked_fill(tinydl.as_tensor(self.ordered(silent).copy(), device=self.device), NEVER)
        drawn = tinydl.as_tensor(u, device=self.device)
        x = nade_sample(drawn, b, c, self.W, self.V, temperature=temperature, sounding=sounding)
        return self.ordered(x.cpu().numpy())
