"""What the training loop and a model agree on: the recipe, the batch, and the model's interface."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import ConfigError

if TYPE_CHECKING:
    from tinydl.nn import Parameter
    from tinydl.random import Generator
    from tinydl.tensor import Tensor

SCHEDULES = ("constant", "cosine", "plateau")


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, in numbers; a model's ``Config`` adds its own to these.

    Attributes:
        batch: sequences in a batch.
        chunk: longest training sequence, in frames or tokens; a longer piece is cut.
        context: of a chunk that does not begin its piece: how many frames before it are read, but not learned from.
        lr: learning rate of AdamW.
        weight_decay: decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), of matrices only.
        clip: a longer gradient is scaled down to this norm (Pascanu et al. 2013, arXiv:1211.5063); 0 is never.
        schedule: ``constant``; ``cosine`` down to 0 at the last step; ``plateau`` halves ``lr`` when validation stalls.
        average: decay of the running average of the weights that is validated and kept (Polyak and Juditsky 1992); with
            it a constant learning rate ends as well as a decaying one, wherever training stops. 0 is no average.
        steps: training ends here at the latest.
        eval_every: steps between validations.
        patience: validations without improvement before training stops.
    """

    batch: int = 16
    chunk: int = 512
    context: int = 8
    lr: float = 1e-3
    weight_decay: float = 0.0
    clip: float = 1.0
    schedule: str = "constant"
    average: float = 0.0
    steps: int = 10_000
    eval_every: int = 100
    patience: int = 20

    def __post_init__(self) -> None:
        for name, least in {"batch": 1, "chunk": 2, "context": 0, "steps": 1, "eval_every": 1, "patience": 1}.items():
            self._require(name, getattr(self, name) >= least, f"at least {least}")
        self._require("context", self.context < self.chunk, f"below chunk, {self.chunk}")
        self._require("lr", 0 < self.lr < math.inf, "above 0")
        self._require("weight_decay", self.weight_decay >= 0, "0 or more")
        self._require("clip", self.clip >= 0, "0 or more")
        self._require("average", 0 <= self.average < 1, "in [0, 1)")
        self._require("schedule", self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}")

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise ConfigError(f"option {name!r} must be {wanted}, but is {getattr(self, name)!r}")


@dataclass(frozen=True)
class Batch:
    """Sequences of several lengths, padded with zeros at the end.

    Attributes:
        data: [B, T, ...] in the dtype of the pieces.
        lengths: int64 [B], frames before the padding.
        skip: int64 [B], frames at the start that are context only.
        step: in training, how many steps were taken before: what a :class:`tinydl.training.Ramp` depends on.
    """

    data: NDArray[Any]
    lengths: NDArray[np.int64]
    skip: NDArray[np.int64]
    step: int | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool [B, T]: the frames to be predicted, neither context nor padding."""
        t = np.arange(self.data.shape[1])
        return (t >= self.skip[:, None]) & (t < self.lengths[:, None])


def collate(pieces: Sequence[NDArray[Any]], skip: Sequence[int] | None = None) -> Batch:
    """Pad pieces [T_i, ...] of one dtype into a :class:`Batch`."""
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    data = np.zeros((len(pieces), int(lengths.max(initial=0)), *pieces[0].shape[1:]), dtype=pieces[0].dtype)
    for row, piece in zip(data, pieces):
        row[: len(piece)] = piece
    return Batch(data, lengths, np.zeros(len(pieces), np.int64) if skip is None else np.asarray(skip, np.int64))


@dataclass(frozen=True)
class Chunk:
    """Frames ``start`` to ``stop`` of a piece; the first ``skip`` of them are context."""

    piece: int
    start: int
    stop: int
    skip: int

    def __len__(self) -> int:
        return self.stop - self.start


def chunks(lengths: Sequence[int], chunk: int, context: int) -> list[Chunk]:
    """Cut pieces into the fewest chunks of at most ``chunk`` frames, context included, as equal as can be.

    Every frame of every piece is learned from in exactly one chunk.
    """
    cut = []
    for piece, length in enumerate(lengths):
        count = 1 if length <= chunk else math.ceil((length - context) / (chunk - context))
        borders = [context + round((length - context) * i / count) for i in range(1, count)] if count > 1 else []
        for start, stop in zip([0, *borders], [*borders, length]):
            skip = min(context, start)
            cut.append(Chunk(piece, start - skip, stop, skip))
    return cut


@dataclass(frozen=True)
class Score:
    """What a model says of a batch.

    Attributes:
        log_prob: [B, T], ln p(x_t | x_<t) in nats where ``mask`` is True.
        prediction: the frame or token that the model would choose, shaped as the batch's data. None where the model
            chooses none without having seen what it is to predict.
        mask: bool [B, T], the frames that were predicted.
        given: bool, shaped as ``prediction``: entries of predicted frames that were given all the same, as a melody to
            harmonise, and do not count for accuracy. None where there are none.
    """

    log_prob: NDArray[Any]
    prediction: NDArray[Any] | None
    mask: NDArray[np.bool_]
    given: NDArray[np.bool_] | None = None


@runtime_checkable
class GenerativeModel(Protocol):
    """The interface of every model (an ``nn.Module`` beside it).

    ``density`` says what ``log_prob`` is: ``exact``, ``bound``, ``estimate`` or ``none``; with ``none`` a class
    attribute ``score_name`` says what minus ``log_prob`` is all the same, such as ``pseudo_nll``, and one without has
    no ``log_prob``. ``representation`` is the configuration of the encoding that the model reads unless its data come
    in another one of the same name.
    ``paper``: who proposed it, and where; ``data``: what it learns from, in words; ``conditions``: what a piece that it
    makes can be told, in the words of ``tinydl generate``.
    """

    model_name: ClassVar[str]
    density: ClassVar[str]
    paper: ClassVar[str]
    data: ClassVar[str]
    conditions: ClassVar[Sequence[str]]
    config: Any
    representation: Mapping[str, Any]

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Called once, before the first step, with the training pieces."""

    def loss(self, batch: Batch) -> Tensor:
        """The training loss, a scalar: mean nats per predicted frame, with dropout as the mode says."""

    def score(self, batch: Batch) -> Score:
        """Likelihood and prediction of every frame, without recording."""

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """Per predicted frame of one whole piece: ln p(x_t | x_<t), in nats."""

    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` new pieces of at most ``length`` frames or tokens, in the model's representation."""


@dataclass(frozen=True)
class Player:
    """One side of a :class:`Game`: the parameters that it alone moves, and how.

    Attributes:
        parameters: of this player and no other.
        lr, betas: of its AdamW; the other numbers are the recipe's.
        updates: how many it makes in a step, each on a batch of its own: the k of Goodfellow et al. 2014, algorithm 1.
    """

    parameters: Sequence[Parameter]
    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    updates: int = 1


@runtime_checkable
class Game(Protocol):
    """What a model offers beside :class:`GenerativeModel` whose parts are trained against each other.

    The players move in turn, in their order, each on its own loss and with its own optimizer, while the parameters of
    the others stand still and get no gradient. What is logged as *the* loss is the last player's.
    """

    def players(self) -> Mapping[str, Player]:
        """The players by name, in the order in which they move."""

    def loss(self, batch: Batch, player: str) -> Tensor | None:
        """What this player lowers, a scalar; None when it sits this update out."""


@runtime_checkable
class ElementDensity(Protocol):
    """What a model offers beside :class:`GenerativeModel` whose likelihood is a product over single notes or tokens.

    Every model whose ``density`` is ``exact`` does; one that bounds or estimates the likelihood of whole frames cannot.
    """

    def element_log_prob(self, piece: NDArray[Any]) -> NDArray[np.float64]:
        """ln p of every element of one whole piece given those before it, in nats, float64 in the piece's own shape.

        Before it are the earlier frames or tokens, and of its own frame the elements that the model takes first. What
        is given and not predicted (the token BOS) has 0, so a frame's elements add up to what ``log_prob`` says of it.
        """


@runtime_checkable
class LatentModel(Protocol):
    """What a model offers beside :class:`GenerativeModel` that knows pieces by latent vectors z.

    ``phrase`` is how many steps of its representation one z stands for; a longer piece is a row of phrases.
    """

    phrase: int

    def encode(self, pieces: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """The mean of q(z | x), [N, L], of N pieces of at most ``phrase`` steps."""

    def decode(
        self, z: NDArray[Any], temperature: float = 0.0, rng: Generator | None = None
    ) -> NDArray[np.int64]:
        """The phrases of z [N, L], int64 [N, phrase]: at temperature 0 the most probable event at every step, given
        those before it; above, events drawn from ``rng``."""


@runtime_checkable
class Criterion(Protocol):
    """What a model offers beside :class:`GenerativeModel` whose training minimises something else than its likelihood:
    by that its weights are compared in validation, too. Where ``density`` is ``none`` and there is no criterion either,
    the newest (averaged) weights are the best."""

    def criterion(self, pieces: Sequence[NDArray[Any]]) -> float:
        """What is minimised, in nats per predicted frame of all pieces, at the end of its ramps; repeatable.

        Of a model without a density: how far its samples lie from the pieces.
        """


@runtime_checkable
class Demanding(Protocol):
    """What a model offers beside :class:`Criterion` whose criterion not every validation split serves."""

    def demand(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Called before the first step with the validation pieces, where there are some: raises
        :class:`tinydl.errors.DataError` for those that its criterion cannot use."""


@runtime_checkable
class Figures(Protocol):
    """What a model offers beside :class:`GenerativeModel` whose task has a figure of its own, such as how much of a
    piece comes back from its code; :func:`tinydl.training.evaluate` adds it to the others."""

    def figures(self, pieces: Sequence[NDArray[Any]]) -> Mapping[str, float]:
        """The figures by name, of whole pieces; repeatable."""
