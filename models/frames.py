"""What models of single frames have in common: the notes of a frame depend on each other, and on no other frame.

They are the lower row of Boulanger-Lewandowski, Bengio, Vincent (ICML 2012, arXiv:1206.6392, table 1), beside which
stands what a memory adds, and the blocks of which models with a memory are made: an RBM with biases from a recurrent
net is ``rnn_rbm.py``, a NADE with such biases ``lstm_nade.py``. A piece x_1 ... x_T, x_t in {0,1}^P, has

    p(x) = prod_t p(x_t)

Where the papers of these models compare them on images of pixels that are on or off, the binarised digits of MNIST, a
frame is an image: P pixels, row by row, instead of pitches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.data.representations.image import Image
from tinydl.errors import ConfigError
from tinydl.generation.sampling import check
from tinydl.generation.steering import refuse_others
from tinydl.random import Generator
from tinydl.training import Batch, Recipe, Score, collate

PIANO = 88  # keys


def log_odds(pieces: Sequence[NDArray[Any]], pitches: int) -> Tensor:
    """ln(p / (1 - p)), float32 [P], of each pitch's share p = (count + 1) / (frames + 2) of the frames of pieces.

    Raises ConfigError when the pieces have another number of pitches.
    """
    width = pieces[0].shape[1]
    if width != pitches:
        raise ConfigError(f"the data have {width} pitches, but the option 'pitches' is {pitches}")
    on = sum(piece.sum(0, dtype=np.float64) for piece in pieces)
    p = (on + 1) / (sum(map(len, pieces)) + 2)
    return tinydl.from_numpy(np.log(p / (1 - p)).astype(np.float32))


class Frames(nn.Module):
    """A distribution over frames, bool [P]; a subclass has the bias ``b`` [P], and says what follows."""

    @dataclass(frozen=True)
    class Config(Recipe):
        """Options; those of training are explained at :class:`tinydl.training.Recipe`.

        Attributes:
            units: D, hidden units.
            step: length of a frame in beats (quarter notes); a named dataset has its own.
            pitches: P; 88 is the piano, from A0 (MIDI 21); of images the number of their pixels.
            image: height and width of images, such as ``28x28``, that take the place of rolls; None is music.
        """

        units: int = 150
        step: str = "1/4"
        pitches: int = PIANO
        image: str | None = None
        batch: int = 12
        chunk: int = 8
        context: int = 0
        lr: float = 3e-3
        average: float = 0.999
        steps: int = 20_000
        patience: int = 25

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("units", "pitches"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            if self.image is not None:
                pixels = Image.of_size(self.image).pixels
                self._require("pitches", self.pitches in (PIANO, pixels), f"{pixels} for images of {self.image}")
                object.__setattr__(self, "pitches", pixels)

    model_name: ClassVar[str]
    data = "polyphony"
    conditions = ("temperature",)
    images: ClassVar[Mapping[str, Any] | None] = None  # options that images want; None: the model is for music alone
    b: nn.Parameter

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if config.image is None:
            self.representation: dict[str, Any] = {"name": "roll", "step": config.step}
        elif self.images is None:
            raise ConfigError(f"option 'image' must be none: the model {self.model_name!r} is for music alone")
        else:
            self.representation = Image.of_size(config.image).config()
        self.b = nn.Parameter(tinydl.zeros(config.pitches))

    @property
    def device(self) -> Any:
        """Where it is, and computes."""
        return self.b.device

    def prepare(self, pieces: Sequence[NDArray[Any]]) -> None:
        """Start b at the log-odds of each pitch: without hidden units the frames have their marginals then."""
        with tinydl.no_grad():
            self.b.copy_(log_odds(pieces, self.config.pitches))

    def cost(self, x: NDArray[np.bool_]) -> Tensor:
        """What training lowers, [N], for frames x, bool [N, P]."""
        raise NotImplementedError

    def frame_log_prob(self, x: NDArray[np.bool_]) -> NDArray[np.float64]:
        """ln p of frames x, bool [N, P]: float64 [N]."""
        raise NotImplementedError

    def likely(self) -> NDArray[np.bool_]:
        """The frame, bool [P], that is predicted: always the same, since there is no past."""
        raise NotImplementedError

    def draw(self, n: int, temperature: float, rng: Generator) -> NDArray[np.bool_]:
        """``n`` frames, bool [n, P]."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        """The mean of :meth:`cost` over the predicted frames; a scalar."""
        loss: Tensor = self.cost(batch.data[batch.mask]).mean()
        return loss

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """ln p(x_t) of every frame."""
        log_prob = np.zeros(batch.mask.shape)
        log_prob[batch.mask] = self.frame_log_prob(batch.data[batch.mask])
        return Score(log_prob, np.broadcast_to(self.likely(), batch.data.shape), batch.mask)

    def log_prob(self, piece: NDArray[Any]) -> NDArray[Any]:
        """ln p(x_t), float64 [T], of one whole piece, bool [T, P]."""
        log_prob: NDArray[Any] = self.score(collate([piece])).log_prob[0]
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
        """``n`` rolls, bool [length, P], each drawn from a random stream of its own.

        They are chords with nothing between them: a model without a memory cannot do better.
        """
        check(temperature)
        refuse_others(self, condition)
        rng = tinydl.default_generator if rng is None else rng
        return [self.draw(length, temperature, rng.fork(f"sample {i}")) for i in range(n)]
