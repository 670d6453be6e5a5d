"""Samples of normalisation over channels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.ops.table import Sample, draw, entry
from tinydl.ops import norm  # noqa: F401 - registered when something first needs it


@entry("batch_norm")
def _batch_norm(rng: np.random.Generator) -> Iterator[Sample]:
    weight, bias = draw(rng, 3), draw(rng, 3)
    for shape in ((4, 3, 1), (2, 3, 3), (1, 3, 4)):
        yield Sample((draw(rng, *shape), weight, bias), {"eps": 0.1}, note=str(shape))
    yield Sample((draw(rng, 3, 3, 2).T[:, ::-1], weight[::-1], None), {"eps": 0.1}, note="non-contiguous, no bias")
    yield Sample((draw(rng, 2, 3, 2), None, bias), {"eps": 0.1}, note="bias alone")
    yield Sample((draw(rng, 4, 3), weight, bias), {"eps": 0.1}, note="vectors")
    yield Sample((draw(rng, 2, 3, 2, 2), weight, bias), {"eps": 0.1}, note="planes")
    yield Sample((draw(rng, 2, 3, 2), None, None), {"eps": 0.1}, note="no affine part")
    yield Sample((draw(rng, 0, 3, 2), weight, bias), {"eps": 0.1}, note="size 0")
    yield Sample((draw(rng, 2, 3, 2), weight, weight), {"eps": 0.1}, alias=(1, 2), note="one tensor twice")


@entry("group_norm")
def _group_norm(rng: np.random.Generator) -> Iterator[Sample]:
    weight, bias = draw(rng, 4), draw(rng, 4)
    for groups in (1, 2, 4):
        yield Sample((draw(rng, 2, 4, 3), weight, bias), {"groups": groups, "eps": 0.1}, note=f"{groups} groups")
    static = {"groups": 2, "eps": 0.1}
    yield Sample((draw(rng, 2, 4, 1), weight, bias), static, note="one place")
    yield Sample((draw(rng, 3, 4, 2).T[:, ::-1], weight[::-1], None), static, note="non-contiguous, no bias")
    yield Sample((draw(rng, 2, 4, 2), None, None), static, note="no affine part")
    yield Sample((draw(rng, 0, 4, 2), weight, bias), static, note="size 0")
    yield Sample((draw(rng, 2, 4, 2), weight, weight), static, alias=(1, 2), note="one tensor twice")
    yield Sample((draw(rng, 2, 4, 2, 2), weight, bias), static, note="planes")


@entry("fixed_norm")
def _fixed_norm(rng: np.random.Generator) -> Iterator[Sample]:
    weight, bias = draw(rng, 3), draw(rng, 3)
    mean, variance = draw(rng, 3), np.abs(draw(rng, 3))
    for shape in ((4, 3), (2, 3, 3), (1, 3, 2, 2)):
        yield Sample((draw(rng, *shape), mean, variance, weight, bias), {"eps": 0.1}, constant=(1, 2), note=str(shape))
    x = draw(rng, 3, 3, 2).T[:, ::-1]
    given = mean[::-1], variance, weight[::-1], None
    yield Sample((x, *given), {"eps": 0.1}, constant=(1, 2), note="non-contiguous, no bias")
    yield Sample((draw(rng, 2, 3, 2), mean, variance, None, bias), {"eps": 0.1}, constant=(1, 2), note="bias alone")
    yield Sample((draw(rng, 0, 3, 2), mean, variance, weight, bias), {"eps": 0.1}, constant=(1, 2), note="size 0")


@entry("rms_norm")
def _rms_norm(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dims in (((3, 4), 1), ((2, 3, 4), 2), ((4,), 1), ((0, 4), 1)):
        weight = draw(rng, *shape[len(shape) - dims :])
        yield Sample((draw(rng, *shape), weight), {"eps": 0.1, "dims": dims}, note=f"{shape}, last {dims}")
    yield Sample((draw(rng, 4, 3).T[:, ::-1], draw(rng, 4)[::-1]), {"eps": 0.1}, note="non-contiguous")
    yield Sample((draw(rng, 3, 4), None), {"eps": 0.1}, note="no weight")
