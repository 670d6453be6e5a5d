"""Samples of the convolution family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.ops.table import Sample, draw, entry

# input [B, C, *S], weight [O, C/G, *K], stride, padding, dilation, groups
CASES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], int]] = [
    ((2, 2, 5), (3, 2, 2), (1,), (0,), (1,), 1),
    ((1, 4, 7), (4, 1, 3), (2,), (2,), (2,), 4),
    ((2, 2, 4, 5), (2, 2, 3, 2), (1, 2), (1, 1), (1, 1), 1),
    ((1, 4, 5, 4), (2, 2, 2, 2), (2, 1), (0, 1), (2, 1), 2),
    ((1, 2, 3, 2, 3), (1, 2, 2, 1, 2), (1, 1, 2), (1, 0, 1), (1, 1, 1), 1),
    ((0, 2, 4), (3, 2, 2), (1,), (1,), (1,), 1),
]


def _cases(rng: np.random.Generator) -> Iterator[tuple[Any, Any, tuple[int, ...], dict[str, Any]]]:
    for size, kernel, stride, padding, dilation, groups in CASES:
        out = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size[2:], kernel[2:], stride, padding, dilation)
        )
        static = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        yield draw(rng, *size), draw(rng, *kernel), (size[0], kernel[0], *out), static


@entry("conv")
def _conv(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, out, static in _cases(rng):
        yield Sample((x, w, draw(rng, out[1])), static)
    yield Sample((x, w, None), static, note="no bias")
    x, w = draw(rng, 5, 2, 2).T, draw(rng, 2, 2, 6)[..., ::-2]
    yield Sample((x, w, None), {"stride": (1,), "padding": (1,), "dilation": (1,), "groups": 1}, note="strided")


@entry("conv_data")
def _data(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, out, static in _cases(rng):
        yield Sample((draw(rng, *out), w, draw(rng, x.shape[1])), {**static, "size": x.shape[2:]})
    yield Sample((draw(rng, *out), w, None), {**static, "size": x.shape[2:]}, note="no bias")


@entry("conv_kernel")
def _kernel(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, out, static in _cases(rng):
        yield Sample((draw(rng, *out), x), {**static, "kernel": w.shape[2:]})
