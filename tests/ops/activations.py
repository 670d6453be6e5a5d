"""Samples of activations, elementwise losses and the sequence loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.ops.table import Sample, draw, entry, layouts, unary
from tinydl.ops import activations, ctc  # noqa: F401 - registered when something first needs them

unary("silu", "mish", "gelu", "gelu_tanh")
unary("softsign", away=(0.0,))
unary("hardsigmoid", "hardswish", "hardswish_slope", low=-4.0, high=4.0, away=(-3.0, 3.0))


def _keyed(name: str, *statics: dict[str, Any], **domain: Any) -> None:
    """An elementwise function of one argument with keywords."""

    @entry(name)
    def make(rng: np.random.Generator) -> Iterator[Sample]:
        for static in statics:
            for note, x in layouts(rng, **domain):
                yield Sample((x,), static, note=note)


_keyed("hardtanh", {"min_val": -1.0, "max_val": 0.5}, away=(-1.0, 0.5))
_keyed("softshrink", {"lambd": 0.5}, away=(-0.5, 0.5))
_keyed("hardshrink", {"lambd": 0.5}, away=(-0.5, 0.5))
_keyed("threshold", {"threshold": 0.25, "value": -3.0}, away=(0.25,))
_keyed("elu", {"alpha": 1.5, "scale": 1.25, "rate": 0.75}, away=(0.0,))
_keyed("bend", {"factor": 1.5, "rate": 0.75, "above": 1.25}, away=(0.0,))
_keyed("softplus_beta", {"beta": 1.0, "threshold": 20.0}, {"beta": 2.0, "threshold": 1.0}, away=(0.5,))
_keyed("softplus_slope", {"beta": 1.0, "threshold": 20.0}, {"beta": 2.0, "threshold": 1.0}, away=(0.5,))


@entry("inside")
def _inside(rng: np.random.Generator) -> Iterator[Sample]:
    for (note, a), (_, b) in zip(layouts(rng), layouts(rng, away=(-0.5, 0.75))):
        yield Sample((a, b), {"low": -0.5, "high": 0.75}, note=note)


@entry("outside")
def _outside(rng: np.random.Generator) -> Iterator[Sample]:
    for (note, a), (_, b) in zip(layouts(rng), layouts(rng, away=(-0.5, 0.5))):
        yield Sample((a, b), {"lambd": 0.5}, note=note)


@entry("prelu")
def _prelu(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng, away=(0.0,)):
        yield Sample((x, np.asarray(draw(rng))), note=note)
    yield Sample((draw(rng, 2, 3, 2, away=(0.0,)), draw(rng, 3, 1)), note="one slope a channel")
    yield Sample((draw(rng, 2, 3, away=(0.0,)), 0.1), note="a number")
    yield Sample((x := draw(rng, 2, 3, away=(0.0,)), x), alias=(0, 1), note="one tensor twice")


@entry("leak")
def _leak(rng: np.random.Generator) -> Iterator[Sample]:
    for (note, a), (_, b) in zip(layouts(rng), layouts(rng, away=(0.0,))):
        yield Sample((a, b, np.asarray(draw(rng))), note=note)
    yield Sample((draw(rng, 2, 3, 2), draw(rng, 2, 3, 2, away=(0.0,)), draw(rng, 3, 1)), note="one slope a channel")


def _pairs(name: str, *, first: Any, second: Any, apart: float = 0.0, **static: Any) -> None:
    """A loss of two arrays of one shape; ``apart``: how far their difference is from that."""

    @entry(name)
    def make(rng: np.random.Generator) -> Iterator[Sample]:
        for (note, x), (_, y) in zip(layouts(rng, **first), layouts(rng, **second)):
            near = np.abs(np.abs(x - y) - apart) < 0.05
            x = np.where(near, x + 0.11, x) if apart and near.any() else x
            for reduction in ("mean", "sum", "none"):
                yield Sample((x, y), {**static, "reduction": reduction}, note=f"{note}, {reduction}")
        x, y = draw(rng, 300, **first), draw(rng, 300, **second)
        keep = np.abs(np.abs(x - y) - apart) > 0.05
        yield Sample((x[keep], y[keep]), {**static, "reduction": "mean"}, note="many")


_pairs("huber_loss", first={}, second={}, apart=0.75, delta=0.75)
_pairs("smooth_l1", first={}, second={}, apart=0.75, beta=0.75)
_pairs("soft_margin", first={}, second={})
_pairs("divergence", first={"low": 0.2}, second={"low": 0.2})
_pairs("log_divergence", first={}, second={})
_pairs("binary_cross_entropy", first={"low": 0.1, "high": 0.9}, second={"low": 0.0, "high": 1.0})
unary("clamped_logit", low=0.1, high=0.9)
unary("xlogx", low=0.2)


@entry("ctc")
def _ctc(rng: np.random.Generator) -> Iterator[Sample]:
    def sample(T: int, S: int, C: int, labels: Any, steps: Any, sizes: Any, note: str, **options: Any) -> Sample:
        labels = np.asarray(labels, np.int64).reshape(len(steps), S)
        static = {
            "input_lengths": np.asarray(steps), "target_lengths": np.asarray(sizes), "blank": 0, "zero_infinity": True,
            "reduction": "none",
        }  # fmt: skip
        return Sample((draw(rng, T, len(steps), C), labels), static | options, note=note)

    yield sample(4, 2, 3, [[1, 2], [1, 1]], [4, 4], [2, 2], "a repeated label", reduction="mean")
    yield sample(4, 2, 3, [[1, 2], [2, 0]], [3, 2], [2, 1], "lengths", reduction="sum")
    yield sample(3, 2, 3, [[2, 0], [0, 0]], [3, 0], [0, 0], "empty targets")
    yield sample(2, 2, 3, [[1, 1], [2, 1]], [2, 2], [2, 2], "one that is impossible")
    yield sample(3, 1, 3, [[0]], [3], [1], "another blank", blank=2)
    yield sample(1, 1, 2, [[1]], [1], [1], "one step")
    yield Sample(
        (np.asfortranarray(draw(rng, 3, 2, 4))[::-1], np.array([[1, 3], [3, 2]])),
        {"input_lengths": np.array([3, 3]), "target_lengths": np.array([2, 2]), "blank": 0, "zero_infinity": False,
         "reduction": "mean"},
        note="non-contiguous",
    )


@entry("nll")
def _nll(rng: np.random.Generator) -> Iterator[Sample]:
    for reduction in ("mean", "sum", "none"):
        static = {"ignore_index": 1, "reduction": reduction}
        yield Sample((draw(rng, 5, 4), np.array([0, 3, 1, 2, 3]), None), static, note=reduction)
        places = draw(rng, 2, 4, 3), rng.integers(0, 4, (2, 3)), draw(rng, 4)
        yield Sample(places, static, (2,), note=f"{reduction}, places")
    yield Sample((draw(rng, 4), np.asarray(2), None), static, note="no batch")


@entry("multi_margin")
def _multi_margin(rng: np.random.Generator) -> Iterator[Sample]:
    for reduction, p in (("mean", 1), ("sum", 2), ("none", 2)):
        static = {"p": p, "margin": 1.3, "reduction": reduction}
        yield Sample((draw(rng, 5, 4), rng.integers(0, 4, 5), None), static, note=reduction)
        yield Sample((draw(rng, 5, 4), rng.integers(0, 4, 5), draw(rng, 4)), static, (2,), note=f"{reduction}, weights")
    yield Sample((draw(rng, 4), np.asarray(2), None), static, note="no batch")
