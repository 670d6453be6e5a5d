"""RNN-RBM and RTRBM: an RBM for every frame, whose biases come from a recurrent net that has read the frames before.

Papers
    Boulanger-Lewandowski, Bengio, Vincent, "Modeling temporal dependencies in high-dimensional sequences", ICML 2012,
    arXiv:1206.6392: the model, its training, and its figures.
    Sutskever, Hinton, Taylor, "The recurrent temporal restricted Boltzmann machine", NIPS 2008: the RTRBM.

The model.  With the tanh net of ``rnn.py``, h_t there and u_t in the paper (equations 8 to 11),

    u_t = tanh(W_uu u_(t-1) + W_vu v_t + b_u)
    b_t = b + W_uv u_(t-1)        c_t = c + W_uh u_(t-1)

and p(v_t | v_<t) is the RBM of ``rbm.py`` with the biases b_t and c_t and one W for all frames. The RTRBM came first:
its net has no units of its own, u_t is the mean of the RBM's hidden units, and W serves both (section 3 of that paper),

    u_t = sigmoid(W v_t + c_t)

Training.  The gradient of -ln p(v_t | v_<t) along W, b_t and c_t is CD-k's, from a chain that begins at v_t; from the
biases it goes on through the net and through time. Likelihood: of every frame another Z, each by AIS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.models.rbm import Partition, chain, contrastive_divergence, free_energy, log_partition, mean_field
from tinydl.models.rnn import NEVER, State, TanhRnn
from tinydl.nn import functional as F
from tinydl.ops.rnn import rnn_tanh
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Score

LONGEST = 50  # times that a chain is run on for a frame that is not silent


@register_model("rnn-rbm")
class RnnRbm(TanhRnn):
    """Tanh net with an RBM over the notes of a frame; piano-rolls, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(TanhRnn.Config):
        """As :class:`tinydl.models.rnn.Recurrent.Config`, and

        Attributes:
            units: D, hidden units of the RBM.
            gibbs: k, steps of Gibbs sampling for a gradient, and for a frame that is drawn.
            chains, temperatures: of AIS, for each frame.
        """

        units: int = 150
        gibbs: int = 25
        chains: int = 10
        temperatures: int = 100
        batch: int = 8
        chunk: int = 32
        lr: float = 1e-3
        eval_every: int = 500

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("units", "gibbs", "temperatures"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("chains", self.chains >= 2, "at least 2")

    density = "estimate"
    config: Config
    element_log_prob = None  # type: ignore[assignment]  # notes of a frame have no order in which they could follow

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)  # its output is b + W_uv u
        self.to_c = nn.Linear(config.hidden, config.units)  # c + W_uh u
        self.W = nn.Parameter(0.01 * tinydl.randn(config.units, config.pitches))

    def biases(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """b_t [..., P] and c_t [..., D] of u_(t-1) [..., H], as matrices: one row for each frame."""
        h = h.reshape(-1, h.shape[-1])
        return self.output(h), self.to_c(h)

    def frames(self, batch: Batch) -> Tensor:
        """The frames of a batch, float [T * B, P], those of one time together."""
        rolls = np.ascontiguousarray(batch.data.swapaxes(0, 1), np.float32)
        return tinydl.as_tensor(rolls.reshape(-1, self.config.pitches), device=self.device)

    def loss(self, batch: Batch) -> Tensor:
        """The mean over predicted frames of F(v_t) - F(v~_t), whose gradient is CD's: no likelihood."""
        b, c = self.biases(self.past(batch.data))
        rng = tinydl.default_generator
        weight = np.ascontiguousarray(batch.mask.T, np.float32).reshape(-1)
        weight /= weight.sum()
        each = contrastive_divergence(self.frames(batch), self.W, b, c, self.config.gibbs, rng)
        loss: Tensor = (each * tinydl.as_tensor(weight, device=self.device)).sum()
        return loss

    def log_partition(
        self, b: Tensor, c: Tensor, chains: int | None = None, temperatures: int | None = None
    ) -> Partition:
        """ln Z_t by AIS, of every row of b [N, P] and c [N, D]."""
        config = self.config
        return log_partition(self.W, b, c, b, chains or config.chains, temperatures or config.temperatures)

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """ln p(v_t | v_<t) of every frame, an estimate, and the notes whose mean field is above 1/2."""
        size, length, pitches = batch.data.shape
        b, c = self.biases(self.past(batch.data))
        there = batch.mask.T.reshape(-1)
        log_prob = np.zeros(length * size)
        b_there, c_there, v_there = (x[there] for x in (b, c, self.frames(batch)))
        energy = free_energy(v_there, self.W, b_there, c_there).cpu()
        log_prob[there] = -energy.numpy().astype(np.float64) - self.log_partition(b_there, c_there).log
        likely = mean_field(self.W, b, c).cpu().numpy() > 0.5
        return Score(
            log_prob.reshape(length, size).T, likely.reshape(length, size, pitches).swapaxes(0, 1), batch.mask
        )

    def draw(
        self, h: Tensor, u: NDArray[np.float64], temperature: float, sounding: NDArray[np.bool_],
        silent: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Frames v, bool [B, P], from what the past says, h [B, H]: E is divided by the temperature.

        A chain begins at the mean field; each has a random stream of its own, named by its uniform numbers.
        """
        b, c = self.biases(h)
        if silent is not None:
            b = b.masked_fill(tinydl.as_tensor(silent, device=self.device), NEVER)
        start = mean_field(self.W, b, c)
        if temperature < 1e-6:
            likely = start.cpu().numpy()
            x: NDArray[np.bool_] = likely > 0.5
            silent = sounding & ~x.any(1)
            x[silent, likely[silent].argmax(1)] = True
            return x
        W, b, c = self.W / temperature, b / temperature, c / temperature
        drawn = []
        for i in range(len(h)):
            rng = Generator(int(u[i, 0] * 2.0**53))
            v, mean = chain(start[i : i + 1], W, b[i : i + 1], c[i : i + 1], self.config.gibbs, rng)
            for _ in range(LONGEST if sounding[i] else 0):
                if v.any():
                    break
                v, mean = chain(v, W, b[i : i + 1], c[i : i + 1], self.config.gibbs, rng)
            frame = v.cpu().numpy()[0] > 0.5
            if sounding[i] and not frame.any():
                frame[mean.cpu().numpy()[0].argmax()] = True
            drawn.append(frame)
        return np.stack(drawn)


@register_model("rtrbm")
class Rtrbm(RnnRbm):
    """An RBM whose hidden units remember; piano-rolls, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(RnnRbm.Config):
        """As :class:`RnnRbm.Config`, where ``hidden`` and ``units`` are the same."""

        hidden: int = 150

        def __post_init__(self) -> None:
            super().__post_init__()
            self._require("hidden", self.hidden == self.units, f"{self.units}, as 'units' is: they are the same units")
            self._require("layers", self.layers == 1, "1")

    paper = "Sutskever et al. 2008, NIPS"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config or self.Config())
        del self.rnn  # W reads the frames, and W_uh what came before

    def initial_state(self, batch: int) -> State:
        """u_0 = 0, as the tanh net of :meth:`read` has it."""
        return [(tinydl.full((batch, self.config.hidden), -1.0),)]

    def read(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """Read v, float [T, B, P], in ``state``: u [T, B, D], and the state after.

        sigmoid(x) = (1 + tanh(x / 2)) / 2, so s_t = 2 u_t - 1 is the state of a tanh net:
        s_t = tanh((W v_t + c) / 2 + W_uh (s_(t-1) + 1) / 4).
        """
        config = self.config
        v = F.dropout(frames, config.input_dropout, self.training)
        c = self.to_c.get_parameter("bias")
        W_uh = F.dropout(self.to_c.get_parameter("weight"), config.recurrent_dropout, self.training)
        ((before,),) = state
        s, last = rnn_tanh(v, before, self.W / 2, W_uh / 4, c / 2, W_uh.sum(1) / 4, lengths=None, reverse=False)
        return F.dropout((1 + s) / 2, config.output_dropout, self.training), [(last,)]
