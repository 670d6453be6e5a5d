"""The denoising autoencoder: notes that were silenced are put back from those around them.

Papers
    Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising autoencoders",
    ICML 2008: the model.
    Bengio, Yao, Alain, Vincent, "Generalized denoising auto-encoders as generative models", NIPS 2013,
    arXiv:1305.6663: how to draw from it.

The model.  x in {0,1}^(W P) is a window of W frames of a piano-roll. Masking noise q(x~ | x) silences each note with
probability nu: not single cells, since a hole in a held note is no riddle, but all the frames that a note sounds. So x~
leaves no doubt of some cells. The noise adds no notes: what sounds in x~ sounds in x. And a note stays or goes as a
whole: what is silent in x~ beside a frame in which its pitch sounds was silent in x. Of all other cells a net with one
hidden layer gives the probability (sections 2.1 and 2.2; V may be W^T there),

    y = tanh(W x~ + b)        p = sigmoid(V y + c)        where x~ leaves a doubt, else p = x~

and training minimises the cross-entropy of x under p, for a noise drawn anew each time,

    -sum_k (x_k ln p_k + (1 - x_k) ln(1 - p_k))

to which the cells that are certain add nothing. (The paper's noise leaves none certain, and its sum is over all.)

Recovering.  A cell is on where p > 1/2.

Drawing.  The chain that silences notes of x and draws x anew from p has a distribution in which it comes to rest, the
model's own (theorem 1 of the second paper, under its conditions). Its density cannot be computed; nor is that of the
cells, independent given x~, one of x. So ``density`` is none, and ``score`` says ln p of the frames given their noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import Tensor, nn
from tinydl.generation.sampling import COLD, check
from tinydl.generation.steering import refuse_others
from tinydl.models.frames import Frames
from tinydl.nn import functional as F
from tinydl.random import Generator
from tinydl.registry import register_model
from tinydl.training import Batch, Score
from tinydl.training.evaluation import mean_nll

SEED = 2008  # of the noise that is judged: the same weights are judged by the same one every time


def silenced(x: NDArray[np.bool_], share: float, rng: Generator) -> NDArray[np.bool_]:
    """x~ of rolls x, bool [N, W, P]: every note, a run of frames in which its pitch sounds, is silenced with
    probability ``share``."""
    begins = x.copy()
    begins[:, 1:] &= ~x[:, :-1]
    drawn = rng.random(x.shape, np.float64) < share
    first = np.where(begins, np.arange(x.shape[1])[:, None], 0)
    first = np.maximum.accumulate(first, axis=1)  # of the note that sounds in a cell, where it begins
    kept: NDArray[np.bool_] = x & ~np.take_along_axis(drawn, first, 1)
    return kept


def certain(noisy: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of which cells x~, bool [N, W, P], leaves no doubt: those that sound, and those beside them in time."""
    known = noisy.copy()
    known[:, 1:] |= noisy[:, :-1]
    known[:, :-1] |= noisy[:, 1:]
    return known


def f1(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """2 TP / (2 TP + FP + FN) of cells; 1 where nothing sounds and nothing was found."""
    right, wrong = int((found & truth).sum()), int((found ^ truth).sum())
    return 2 * right / (2 * right + wrong) if right + wrong else 1.0


@register_model("denoising")
class Denoising(Frames):
    """A denoising autoencoder of windows of a piano-roll, bool [T, P]."""

    @dataclass(frozen=True)
    class Config(Frames.Config):
        """As :class:`tinydl.models.frames.Frames.Config`, and

        Attributes:
            window: W.
            masked: nu.
            rounds: of the chain, for a window that is drawn.
        """

        units: int = 400
        window: int = 4
        masked: float = 0.3
        rounds: int = 100
        batch: int = 16
        chunk: int = 64
        lr: float = 2e-3

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("window", "rounds"):
                self._require(name, getattr(self, name) >= 1, "at least 1")
            self._require("masked", 0 < self.masked < 1, "in (0, 1)")

    density = "none"
    score_name = "cross_entropy"  # of a piece given what the noise left of it
    paper = "Vincent et al. 2008; Bengio et al. 2013, arXiv:1305.6663"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        cells, H = self.config.window * self.config.pitches, self.config.units
        self.encoder = nn.Linear(cells, H)
        self.decoder = nn.Linear(H, cells, bias=False)  # its c is the b of Frames, the same in every frame

    def logits(self, x: NDArray[np.bool_]) -> Tensor:
        """V y + c, [N, W, P], of windows x~, bool [N, W, P]."""
        flat = tinydl.as_tensor(x.reshape(len(x), -1).astype(np.float32), device=self.device).to(self.b.dtype)
        made: Tensor = self.decoder(tinydl.tanh(self.encoder(flat))).reshape(*x.shape) + self.b
        return made

    def windows(self, batch: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The rolls of a batch cut into windows, bool [N, W, P], silent behind the end; and which frames are predicted,
        [N, W]."""
        B, T, P = batch.data.shape
        W = self.config.window
        behind = -T % W
        x = np.pad(batch.data, ((0, 0), (0, behind), (0, 0)))
        inside = np.pad(batch.mask, ((0, 0), (0, behind)))
        return x.reshape(-1, W, P), inside.reshape(-1, W)

    def missed(self, x: NDArray[np.bool_], noisy: NDArray[np.bool_]) -> Tensor:
        """The cross-entropy of windows x given x~, [N, W]: of each frame, in nats."""
        target = tinydl.as_tensor(x.astype(np.float32), device=self.device).to(self.b.dtype)
        doubt = tinydl.as_tensor(~certain(noisy), device=self.device).to(self.b.dtype)
        each: Tensor = F.binary_cross_entropy_with_logits(self.logits(noisy), target, reduction="none")
        missed: Tensor = (each * doubt).sum(-1)
        return missed

    @tinydl.no_grad()
    def probabilities(self, noisy: NDArray[np.bool_], temperature: float = 1.0) -> NDArray[np.float64]:
        """p, float64 [N, W, P], of windows x~, with V y + c divided by the temperature."""
        z = self.logits(noisy).cpu().numpy().astype(np.float64)
        p: NDArray[np.float64] = np.exp(-np.logaddexp(0, -z / max(temperature, COLD)))
        return np.where(certain(noisy), noisy, p)

    def loss(self, batch: Batch) -> Tensor:
        """The mean cross-entropy of the predicted frames, with noise drawn anew; a scalar."""
        x, inside = self.windows(batch)
        cost = self.missed(x, silenced(x, self.config.masked, tinydl.default_generator))
        weight = tinydl.as_tensor(inside / inside.sum(), device=self.device).to(self.b.dtype)
        mean: Tensor = (cost * weight).sum()
        return mean

    def judged(self, piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A piece, bool [T, P], with the noise by which the model is judged: the same for the same piece."""
        rng = Generator(SEED).fork(np.packbits(piece).tobytes().hex())
        noisy: NDArray[np.bool_] = silenced(piece[None], self.config.masked, rng)[0]
        return noisy

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        """ln p of every frame given the window that the judge's noise left of it, and what is recovered; the notes that
        were left are ``given``."""
        noisy = np.zeros_like(batch.data)
        for row, piece, length in zip(noisy, batch.data, batch.lengths.tolist()):
            row[:length] = self.judged(piece[:length])
        x, _ = self.windows(batch)
        left, _ = self.windows(Batch(noisy, batch.lengths, batch.skip))
        B, T, P = batch.data.shape
        log_prob = -self.missed(x, left).cpu().numpy().astype(np.float64).reshape(B, -1)[:, :T]
        found = (self.probabilities(left) > 0.5).reshape(B, -1, P)[:, :T]
        return Score(np.where(batch.mask, log_prob, 0.0), found, batch.mask, noisy)

    def criterion(self, pieces: Sequence[NDArray[Any]]) -> float:
        """The mean cross-entropy of the frames, in nats, with the judge's noise."""
        model: Any = self  # whose name the decorator sets
        return mean_nll(model, pieces)

    def recover(self, piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A piece, bool [T, P], of which notes were silenced, with those that the model puts back."""
        x, _ = self.windows(Batch(piece[None], np.array([len(piece)]), np.zeros(1, np.int64)))
        found: NDArray[np.bool_] = (self.probabilities(x) > 0.5).reshape(-1, piece.shape[1])[: len(piece)]
        return found

    def figures(self, pieces: Sequence[NDArray[Any]]) -> dict[str, float]:
        """``recovered``, the F1 of the cells of all pieces when notes that were silenced are put back, and
        ``unrecovered``, that of the pieces as the noise left them."""
        noisy = [self.judged(piece) for piece in pieces]
        truth = np.concatenate(pieces)
        found = np.concatenate([self.recover(piece) for piece in noisy])
        return {"recovered": f1(found, truth), "unrecovered": f1(np.concatenate(noisy), truth)}

    @tinydl.no_grad()
    def sample(
        self,
        n: int,
        length: int,
        temperature: float = 1.0,
        condition: Mapping[str, Any] | None = None,
        rng: Generator | None = None,
    ) -> list[NDArray[Any]]:
        """``n`` rolls, bool [length, P], each from a chain of its own that begins in silence: windows one after
        another, nothing between them."""
        check(temperature)
        refuse_others(self, condition)
        rng = tinydl.default_generator if rng is None else rng
        W, P = self.config.window, self.config.pitches
        many, drawn = -(-length // W), []
        for i in range(n):
            stream = rng.fork(f"sample {i}")
            x = np.zeros((many, W, P), np.bool_)
            for _ in range(self.config.rounds):
                p = self.probabilities(silenced(x, self.config.masked, stream), temperature)
                x = stream.random(x.shape, np.float64) < p
            drawn.append(x.reshape(-1, P)[:length])
        return drawn
