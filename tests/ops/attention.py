"""Samples of attention, and of packing and padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.ops.table import Sample, draw, entry
from tinydl.ops import attention, packing  # noqa: F401 - registered when something first needs them


@entry("attention")
def _attention(rng: np.random.Generator) -> Iterator[Sample]:
    def qkv(*batch: int, L: int = 2, S: int = 3, E: int = 2, V: int = 1) -> tuple[np.ndarray, ...]:
        return draw(rng, *batch, L, E), draw(rng, *batch, S, E), draw(rng, *batch, S, V)

    static = {"scale": 0.7, "causal": False, "dropout": 0.0}
    yield Sample((*qkv(), None, None), static, note="matrices")
    yield Sample((*qkv(2, 2), None, None), static | {"causal": True}, note="causal")
    yield Sample((*qkv(L=3, S=2), None, None), static | {"causal": True}, note="causal, more queries than keys")
    yield Sample((*qkv(2), draw(rng, 2, 3), None), static, note="float mask")
    yield Sample((*qkv(2), draw(rng, 2, 1, 3), None), static, note="float mask of keys")
    yield Sample((*qkv(2), draw(rng, 2, 2, 1), None), static, note="float mask of queries")
    mask = rng.random((2, 3)) < 0.6
    mask[1] = False
    yield Sample((*qkv(2), mask, None), static, note="bool mask, blind query")
    yield Sample((*qkv(2), None, rng.random((2, 2, 3)) < 0.7), static | {"dropout": 0.3}, note="dropout")
    yield Sample((*qkv(2), None, rng.random((2, 2, 3)) < 0.7), static | {"dropout": 1.0}, note="dropout of all")
    one, several, shared = draw(rng, 2, 2), draw(rng, 2, 1, 3, 2), draw(rng, 3, 3, 1)
    yield Sample((one, several, shared, None, None), static, note="broadcast")
    yield Sample((*qkv(2, L=0), None, None), static, note="no queries")
    yield Sample((*qkv(2, S=0), None, None), static, note="no keys")
    yield Sample((*qkv(0), None, None), static, note="no sequences")
    yield Sample((*(x[..., ::-1, ::-1] for x in qkv(2)), None, None), static, note="negative strides")
    x = draw(rng, 2, 2)
    yield Sample((x, x, draw(rng, 2, 1), None, None), static, alias=(0, 1), note="one tensor twice")
    yield Sample((draw(rng, 2, 2), x, x, None, None), static, alias=(1, 2), note="keys are values")


@entry("relative_attention")
def _relative_attention(rng: np.random.Generator) -> Iterator[Sample]:
    def qkve(*batch: int, L: int = 3, S: int = 3, D: int = 2, E: int = 2, V: int = 1) -> tuple[np.ndarray, ...]:
        shapes = ((*batch, L, E), (*batch, S, E), (*batch, S, V), (batch[-1], D, E))
        return tuple(draw(rng, *shape) for shape in shapes)

    static = {"scale": 0.7}
    yield Sample(qkve(1), static, note="one head")
    yield Sample(qkve(2, 2, L=2), static, note="more keys than queries")
    yield Sample(qkve(2, D=4), static, note="distances that there are not")
    yield Sample(qkve(2, L=1, S=3, D=3), static, note="one query")
    yield Sample(qkve(2, L=0), static, note="no queries")
    yield Sample(qkve(0, 2), static, note="no sequences")
    yield Sample(tuple(x[..., ::-1, ::-1] for x in qkve(2)), static, note="negative strides")
    q, k, v, e = qkve(2)
    yield Sample((q, q, v, e), static, alias=(0, 1), note="one tensor twice")


AT = (np.array([0, 0, 1, 2]), np.array([1, 0, 1, 1]))


@entry("pack_steps")
def _pack_steps(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 2),), {"at": AT})
    yield Sample((draw(rng, 3, 2, 2, 1),), {"at": AT}, note="more dimensions")
    yield Sample((draw(rng, 2, 3).T,), {"at": AT}, note="transposed")
    yield Sample((draw(rng, 3, 2, 0),), {"at": AT}, note="size 0")
    yield Sample((draw(rng, 3, 2),), {"at": (AT[0][:0], AT[1][:0])}, note="nothing")


@entry("pad_steps")
def _pad_steps(rng: np.random.Generator) -> Iterator[Sample]:
    static = {"at": AT, "sizes": (3, 2), "value": 0.5}
    yield Sample((draw(rng, 4),), static)
    yield Sample((draw(rng, 4, 2),), static | {"sizes": (4, 3)}, note="more room")
    yield Sample((draw(rng, 2, 4).T[::-1],), static, note="negative strides")
    yield Sample((draw(rng, 4, 0),), static, note="size 0")
    yield Sample((draw(rng, 0, 2),), static | {"at": (AT[0][:0], AT[1][:0])}, note="nothing")
