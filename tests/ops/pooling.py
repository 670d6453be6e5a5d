"""Samples of windows and positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.ops.table import Sample, draw, entry
from tinydl.ops import bags, pool, resample, sampling  # noqa: F401 - enters a primitive


def distinct(rng: np.random.Generator, *shape: int) -> Any:
    """Numbers that are far apart, so that no maximum changes hands under a small step."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) * 0.1


@entry("max_pool", "max_pool_values")
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
    yield Sample((draw(rng, 3, 2, 4), index), {"size": (6,)})
    yield Sample((draw(rng, 4, 2, 3).T[::-1], index), {"size": (6,)}, note="non-contiguous")
    yield Sample((draw(rng, 0, 2, 4), index[:0]), {"size": (6,)}, note="size 0")
    yield Sample((draw(rng, 3, 2, 2), index[:, 0].reshape(3, 2, 2)), {"size": (3, 2)}, note="planes")
    yield Sample((draw(rng, 3, 0), np.zeros((3, 0), np.int64)), {"size": (0,)}, note="no places")


@entry("grid_sample")
def _grid_sample(rng: np.random.Generator) -> Iterator[Sample]:
    def settings(mode: str, padding: str = "zeros", align: bool = False) -> dict[str, Any]:
        return {"interpolation": mode, "padding": padding, "align": align}

    def points(B: int, *out: int, rank: int = 2) -> Any:
        """Away from all places at which a neighbour or a border changes."""
        steps = rng.integers(-13, 13, (B, *out, rank)) + rng.uniform(0.2, 0.8, (B, *out, rank))
        return steps / 12  # the sizes below are such that changes are at multiples of a twelfth

    for padding in ("zeros", "border", "reflection"):
        for align in (False, True):
            space = (4, 5) if align else (3, 2)
            for mode in ("nearest", "bilinear", "bicubic"):
                yield Sample(
                    (draw(rng, 2, 2, *space), points(2, 3, 2)), settings(mode, padding, align),
                    note=f"{mode}, {padding}, {align}",
                )  # fmt: skip
    yield Sample((draw(rng, 1, 2, 3, 2, 6), points(1, 2, 1, 2, rank=3)), settings("bilinear"), note="a volume")
    yield Sample((draw(rng, 0, 2, 3, 2), points(0, 2, 2)), settings("bilinear"), note="size 0")
    yield Sample((draw(rng, 2, 3, 1, 2).T, points(2, 2, 3)[:, ::-1]), settings("bilinear"), note="non-contiguous")


@entry("embedding_bag")
def _embedding_bag(rng: np.random.Generator) -> Iterator[Sample]:
    index, offsets = np.array([0, 3, 1, 1, 2, 0]), np.array([0, 2, 2, 5])
    for mode in ("sum", "mean", "max"):
        for padding in (-1, 1):
            static = {"reduce": mode, "padding": padding}
            yield Sample((draw(rng, 4, 3), None, index, offsets), static, note=f"{mode}, without {padding}")
    static = {"reduce": "sum", "padding": -1}
    yield Sample((draw(rng, 4, 3), draw(rng, 6), index, offsets), static, note="factors")
    yield Sample((draw(rng, 3, 4).T[::-1], draw(rng, 6)[::-1], index, offsets), static, note="non-contiguous")
    yield Sample((draw(rng, 4, 3), draw(rng, 2, 3), index.reshape(2, 3), np.array([0, 3, 6])), static, note="a matrix")
    yield Sample((draw(rng, 4, 3), None, index[:0], np.array([0])), static, note="size 0")
