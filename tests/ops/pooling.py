"""Samples of windows and positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.ops.table import Sample, draw, entry
from tinydl.ops import pool, resample


def distinct(rng: np.random.Generator, *shape: int) -> Any:
    """Numbers that are far apart, so that no maximum changes hands under a small step."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) * 0.1


@entry("max_pool")
def _max_pool(rng: np.random.Generator) -> Iterator[Sample]:
    overlapping = pool.max_windows(7, 4, 3, 2, 1, 1)
    spread = pool.max_windows(6, 3, 2, 1, 0, 3)
    pair = pool.max_windows(4, 2, 2, 2, 0, 1)
    yield Sample((distinct(rng, 7),), {"windows": (overlapping,)}, note="no planes' dimension")
    yield Sample((distinct(rng, 2, 7),), {"windows": (overlapping,)}, note="one dimension")
    yield Sample((distinct(rng, 2, 1, 7, 6),), {"windows": (overlapping, spread)}, note="two dimensions")
    yield Sample((distinct(rng, 2, 4, 4, 6),), {"windows": (pair, pair, spread)}, note="three dimensions")
    yield Sample((distinct(rng, 0, 7),), {"windows": (overlapping,)}, note="size 0")
    yield Sample((distinct(rng, 6, 7).T[::-1],), {"windows": (spread,)}, note="non-contiguous")


def _weighted(rng: np.random.Generator) -> Iterator[tuple[str, tuple[int, ...], tuple[Any, ...], tuple[int, ...]]]:
    """(note, lead, windows, size of the input)."""
    mean, cut = pool.sum_windows(6, 3, 2, 2, 0), pool.sum_windows(5, 4, 3, 2, 2)
    uneven, cubic = pool.adaptive_windows(5, 3), resample.cubic(4, 7, False, None)
    yield "one dimension", (2,), (mean,), (6,)
    yield "no planes' dimension", (), (cut,), (5,)
    yield "two dimensions", (1, 2), (cut, uneven), (5, 5)
    yield "three dimensions", (2,), (mean, uneven, cubic), (6, 5, 4)
    yield "size 0", (0, 2), (mean,), (6,)
    yield "no windows", (2,), (pool.adaptive_windows(5, 0), mean), (5, 6)


@entry("window_sum")
def _window_sum(rng: np.random.Generator) -> Iterator[Sample]:
    for note, lead, windows, size in _weighted(rng):
        yield Sample((draw(rng, *lead, *size),), {"windows": windows}, note=note)
    yield Sample((draw(rng, 5, 3).T[::-1],), {"windows": (pool.adaptive_windows(5, 3),)}, note="non-contiguous")


@entry("window_spread")
def _window_spread(rng: np.random.Generator) -> Iterator[Sample]:
    for note, lead, windows, size in _weighted(rng):
        out = tuple(len(first) for first, _, _ in windows)
        yield Sample((draw(rng, *lead, *out),), {"windows": windows, "size": size}, note=note)
    static = {"windows": (pool.adaptive_windows(5, 3),), "size": (5,)}
    yield Sample((draw(rng, 3, 2).T[::-1],), static, note="non-contiguous")


def _positions(rng: np.random.Generator) -> Iterator[tuple[str, int, Any]]:
    """(note, channels, index into five)."""
    yield "an index for each channel", 2, rng.integers(0, 5, (3, 2, 4))
    yield "one index for all", 2, rng.integers(0, 5, (3, 1, 4))
    yield "outside", 2, np.array([[[0, -1, 4, -1]]])
    yield "size 0", 2, np.zeros((0, 1, 4), np.int64)
    yield "nothing read", 1, np.zeros((2, 1, 0), np.int64)


@entry("take_positions")
def _take(rng: np.random.Generator) -> Iterator[Sample]:
    for note, channels, index in _positions(rng):
        yield Sample((draw(rng, len(index), channels, 5), index), note=note)
    yield Sample((draw(rng, 5, 2, 3).T[::-1], rng.integers(0, 5, (3, 1, 4))[:, :, ::-1]), note="non-contiguous")


@entry("put_positions")
def _put(rng: np.random.Generator) -> Iterator[Sample]:
    for note, channels, index in _positions(rng):
        yield Sample((draw(rng, len(index), channels, index.shape[2]), index), {"size": 5}, note=note)
    yield Sample((draw(rng, 4, 2, 3).T[::-1], rng.integers(0, 5, (3, 1, 4))), {"size": 5}, note="non-contiguous")


@entry("write_positions")
def _write(rng: np.random.Generator) -> Iterator[Sample]:
    index = np.stack([np.stack([rng.permutation(6)[:4] for _ in range(2)]) for _ in range(3)])
    yield Sample((draw(rng, 3, 2, 4), index), {"size": 6})
    yield Sample((draw(rng, 4, 2, 3).T[::-1], index), {"size": 6}, note="non-contiguous")
    yield Sample((draw(rng, 0, 2, 4), index[:0]), {"size": 6}, note="size 0")
