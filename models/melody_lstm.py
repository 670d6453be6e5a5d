"""A language model of tunes: the next token, given all before it, by an LSTM.

Papers
    Mikolov, Karafiát, Burget, Černocký, Khudanpur, "Recurrent neural network based language model", Interspeech 2010.
    Zaremba, Sutskever, Vinyals, "Recurrent neural network regularization", 2014, arXiv:1409.2329: the LSTM in place of
    the simple net, dropout on everything but the recurrent connections.
    Sturm, Santos, Ben-Tal, Korshunova, "Music transcription modelling and composition using deep learning", 2016,
    arXiv:1604.08723: folk tunes as such a language.

The model.  A tune is a sequence of tokens w_1 ... w_L, w_1 = BOS, w_L = EOS, in the ``melody`` representation: a pitch
or a rest, then its length, bar by bar. With the embedding e_t = E w_t and (h_t, c_t) = LSTM(e_t, h_(t-1), c_(t-1)),
h_0 = c_0 = 0,

    p(w_(t+1) | w_1 ... w_t) = softmax(W h_t + b)

and the likelihood of a tune is their product over t = 1 ... L - 1: BOS is given, EOS is predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.data.representations import Melody
from tinydl.generation.sampling import draw, token_probabilities
from tinydl.models.symbols import log_frequency, log_likelihood
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Recipe, Score, collate

IGNORED = -100  # a target that cross_entropy leaves out
State = tuple[Tensor, Tensor]  # (h, c), each [layers, B, H]


@register_model("melody-lstm")
class MelodyLstm(nn.Module):
    """Next-token LSTM over tunes, int64 [L]."""

    @dataclass(frozen=True)
    class Config(Recipe):
        """Options; those of training are explained at :class:`tinydl.training.Recipe`.

        Attributes:
            embedding: D, entries of e_t.
            hidden: H, units per layer.
            layers: LSTM layers, one upon another.
            dropout: of e_t, of what goes from layer to layer, and of the h_t that W reads.
            step: length of a grid step in beats (quarter notes).
        """

        embedding: int = 64
        hidden: int = 256
        layers: int = 1
        dropout: float = 0.3
        step: str = "1/24"
        batch: int = 16
        chunk: int = 256
        lr: float = 3e-3
        average: float = 0.998
        steps: int = 10_000

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("embedding", "hidden", "layers", "context"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("dropout", 0 <= self.dropout < 1, "in [0, 1)")

    model_name = "melody-lstm"
    density = "exact"
    paper = "Sturm et al. 2016, arXiv:1604.08723"
    data = "tunes"
    conditions = ("primer", "temperature", "top-k", "top-p")

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.representation = {"name": "melody", "step": config.step}
        self.encoding = Melody(step=config.step)
        tokens = self.encoding.vocabulary_size
        self.embedding = nn.Embedding(tokens, config.embedding)
        between = config.dropout if config.layers > 1 else 0.0
        self.rnn = nn.LSTM(config.embedding, config.hidden, config.layers, dropout=between)
        self.output = nn.Linear(config.hidden, tokens)
        self.dropout = nn.Dropout(config.dropout)

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start b at the log-frequency of each token in the training tunes, BOS left out."""
        tokens = np.concatenate([piece[1:] for piece in pieces])
        with tinydl.no_grad():
            self.output.get_parameter("bias").copy_(log_frequency(tokens, self.encoding.vocabulary_size))

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.output.get_parameter("weight").device

    def read(self, tokens: NDArray[np.int64], state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens w, int64 [T, B], in ``state``: W h_t + b, [T, B, V], and the state after."""
        h, state = self.rnn(self.dropout(self.embedding(tinydl.as_tensor(tokens, device=self.device))), state)
        return self.output(self.dropout(h)), state

    def loss(self, batch: Batch) -> Tensor:
        """-mean over predicted tokens of ln p(w_t | w_<t), in nats; a scalar."""
        tokens = np.ascontiguousarray(batch.data.T)
        logits, _ = self.read(tokens[:-1])
        targets = np.where(batch.mask.T[1:], tokens[1:], IGNORED)
        return F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), tinydl.as_tensor(targets.reshape(-1), device=self.device),
            ignore_index=IGNORED,
        )

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """ln p(w_t | w_<t) of every token but the first, and the most probable token in its place."""
        tokens = np.ascontiguousarray(batch.data.T)
        z = self.read(tokens[:-1])[0].cpu().numpy()
        mask = batch.mask.copy()
        mask[:, 0] = False
        log_prob, prediction = np.zeros(mask.shape), np.zeros(mask.shape, np.int64)
        log_prob[:, 1:] = log_likelihood(z, tokens[1:]).T
        prediction[:, 1:] = z.argmax(-1).T
        return Score(log_prob, prediction, mask)

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """ln p(w_t | w_<t), float64 [L - 1], of one whole tune, int64 [L]; with the dropout of the mode."""
        score = self.score(collate([piece]))
        return score.log_prob[score.mask]

    def element_log_prob(self, piece: NDArray[Any]) -> NDArray[np.float64]:
        """ln p(w_t | w_<t), float64 [L]: of each token in its own place; of BOS, which is given, 0."""
        log_prob: NDArray[np.float64] = self.score(collate([piece])).log_prob[0]
        return log_prob

    @tinydl.no_grad()
    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` tunes, int64 [at most ``length``], each drawn from a random stream of its own, until EOS.

        ``condition`` may hold ``top_k`` and ``top_p`` (:func:`tinydl.generation.token_probabilities`); ``primer``,
        tokens from BOS on that the tune continues and that are not repeated in the result (its EOS is dropped); and
        ``bars``: the tune then ends with that many bars (counted by BAR tokens, the primer's left out), not sooner.
        Without a primer the result begins with BOS.
        """
        condition = condition or {}
        encoding, bars = self.encoding, condition.get("bars")
        primer = np.asarray(condition.get("primer", [encoding.BOS]), np.int64)
        if primer.ndim != 1 or not len(primer):
            raise ValueError(f"the primer must be tokens [L], at least BOS, but has the shape {tuple(primer.shape)}")
        if primer[-1] == encoding.EOS and len(primer) > 1:
            primer = primer[:-1]
        rng = tinydl.default_generator if rng is None else rng
        streams = [rng.fork(f"sample {i}") for i in range(n)]
        tunes: list[list[int]] = [[] if "primer" in condition else [encoding.BOS] for _ in range(n)]
        complete = [False] * n
        read, state = np.repeat(primer[:, None], n, axis=1), None
        while not all(complete) and len(max(tunes, key=len)) < length:
            logits, state = self.read(read, state)
            z = logits.cpu().numpy()[-1].astype(np.float64)
            z[:, [encoding.PAD, encoding.BOS]] = -np.inf  # they mean nothing inside a tune
            if bars is not None:
                z[:, encoding.EOS] = -np.inf
            read = np.full((1, n), encoding.EOS, np.int64)
            for i, stream in enumerate(streams):
                if complete[i]:
                    continue
                p = token_probabilities(z[i], temperature, condition.get("top_k"), condition.get("top_p"))
                token = draw(p, float(stream.random((), np.float64)))
                if bars is not None and token == encoding.BAR and tunes[i].count(encoding.BAR) == bars:
                    token = encoding.EOS  # the bar line after the last bar
                tunes[i].append(token)
                read[0, i] = token
                complete[i] = token == encoding.EOS
        return [np.array(tune, np.int64) for tune in tunes]
