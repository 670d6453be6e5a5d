"""A model small enough to train in a moment, with everything that resume must restore: dropout, a buffer, two
layers."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import tinydl
from tinydl import nn
from tinydl.nn import functional as F
from tinydl.registry import register_model
from tinydl.training import Batch, Recipe, Score

PITCHES = 5


@register_model("toy")
class Toy(nn.Module):
    """p(x_t | x_(t-1)) by one hidden layer with dropout; frames of five notes."""

    @dataclass(frozen=True)
    class Config(Recipe):
        hidden: int = 4
        dropout: float = 0.25
        batch: int = 3
        chunk: int = 8
        context: int = 2
        lr: float = 0.05
        weight_decay: float = 0.01
        clip: float = 0.5
        average: float = 0.9
        eval_every: int = 3
        steps: int = 12

    model_name = "toy"
    density = "exact"
    representation = {"name": "roll", "step": 1.0}

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config = config or self.Config()
        self.hidden = nn.Linear(PITCHES, self.config.hidden)
        self.dropout = nn.Dropout(self.config.dropout)
        self.output = nn.Linear(self.config.hidden, PITCHES)
        self.register_buffer("batches_seen", tinydl.zeros(1))
        self.prepared = 0

    def prepare(self, pieces: Any) -> None:
        self.prepared += 1

    def logits(self, data: Any) -> Any:
        previous = np.zeros(data.shape, np.float32)
        previous[:, 1:] = data[:, :-1]
        return self.output(self.dropout(self.hidden(tinydl.from_numpy(previous)).tanh()))

    def loss(self, batch: Batch) -> Any:
        if self.training:
            with tinydl.no_grad():
                self.batches_seen.add_(1)
        weight = (batch.mask / batch.mask.sum()).astype(np.float32)[:, :, None]
        target = tinydl.from_numpy(batch.data.astype(np.float32))
        return F.binary_cross_entropy_with_logits(
            self.logits(batch.data), target, weight=tinydl.from_numpy(weight), reduction="sum"
        )

    @tinydl.no_grad()
    def score(self, batch: Batch) -> Score:
        z = self.logits(batch.data).numpy()
        log_prob = -np.logaddexp(0, np.where(batch.data, -z, z)).sum(-1)
        return Score(log_prob, z > 0, batch.mask)


def splits(seed: int = 1, train: int = 7, valid: int = 2) -> Any:
    """Random rolls of 3 to 20 frames, as ``tinydl.data.load`` would give them."""
    rng = np.random.default_rng(seed)

    def pieces(n: int) -> list[Any]:
        return [rng.random((int(rng.integers(3, 21)), PITCHES)) < 0.4 for _ in range(n)]

    representation = SimpleNamespace(name="roll", config=lambda: {"name": "roll", "step": 1.0})
    return SimpleNamespace(
        train=pieces(train), valid=pieces(valid), test=pieces(2), fingerprint=f"{seed}-{train}-{valid}", source="toy",
        representation=representation,
    )  # fmt: skip


def build(**options: Any) -> Toy:
    """A fresh model; always the same weights for the same options."""
    tinydl.manual_seed(5)
    return Toy(Toy.Config(**options))
