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
