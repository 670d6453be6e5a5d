"""Samples of what moves elements: slices, diagonals, joins, padding, windows, indices, scatter, spectra."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.ops.table import Array, Sample, draw, entry, layouts


def matrices(rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    for note, x in layouts(rng):
        if x.ndim == 2:
            yield note, x


@entry("diagonal_of")
def _diagonal(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in matrices(rng):
        for offset in (0, 1, -1):
            yield Sample((x,), {"offset": offset, "axis1": 0, "axis2": 1}, note=f"{note}, offset {offset}")
    yield Sample((draw(rng, 2, 3, 3),), {"offset": 0, "axis1": 2, "axis2": 0})
    yield Sample((draw(rng, 2, 3),), {"offset": 7, "axis1": 0, "axis2": 1}, note="beside the matrix")


@entry("diagonal_put")
def _diagonal_put(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2),), {"shape": (2, 3), "offset": 1, "axis1": 0, "axis2": 1})
    yield Sample((draw(rng, 4, 2).T,), {"shape": (4, 5, 2), "offset": -1, "axis1": 1, "axis2": 0}, note="a batch")
    yield Sample((draw(rng, 0),), {"shape": (0, 3), "offset": 0, "axis1": 0, "axis2": 1}, note="size 0")


@entry("strided")
def _strided(rng: np.random.Generator) -> Iterator[Sample]:
    x = draw(rng, 3, 4)
    yield Sample((x,), {"size": (4, 3), "steps": (1, 4), "start": 0}, note="transposed")
    yield Sample((x,), {"size": (2,), "steps": (-5,), "start": 11}, note="backwards")
    yield Sample((x,), {"size": (2, 3), "steps": (0, 1), "start": 4}, note="a row twice")
    yield Sample((draw(rng, 4, 3).T,), {"size": (2, 2), "steps": (4, 2), "start": 1}, note="of what is not contiguous")
    yield Sample((draw(rng),), {"size": (1, 1), "steps": (7, 7), "start": 0}, note="0-d")
    yield Sample((draw(rng, 0, 3),), {"size": (3, 0), "steps": (1, 3), "start": 0}, note="size 0")


@entry("strided_put")
def _strided_put(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 2),), {"shape": (2, 3), "steps": (1, 3), "start": 0}, note="transposed")
    yield Sample((draw(rng, 2, 3).T,), {"shape": (12,), "steps": (2, -1), "start": 6}, note="overlapping")
    yield Sample((draw(rng),), {"shape": (2, 2), "steps": (), "start": 3}, note="one element")
    yield Sample((draw(rng, 0),), {"shape": (0, 3), "steps": (1,), "start": 0}, note="size 0")


@entry("strided_overwrite")
def _strided_overwrite(rng: np.random.Generator) -> Iterator[Sample]:
    x, column = draw(rng, 3, 4), {"size": (3,), "steps": (4,), "start": 1}
    yield Sample((x, draw(rng, 3)), column, note="a column")
    yield Sample((draw(rng, 4, 3).T, draw(rng, 6)[::2]), column, note="of what is not contiguous")
    yield Sample((x, draw(rng, 4, 2).T), {"size": (2, 4), "steps": (-8, 1), "start": 8}, note="rows, backwards")
    yield Sample((draw(rng), draw(rng)), {"size": (), "steps": (), "start": 0}, note="0-d")
    yield Sample((draw(rng, 0, 3), draw(rng, 0)), {"size": (0,), "steps": (3,), "start": 0}, note="size 0")


@entry("stacked")
def _stacked(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng), draw(rng)), {"axis": 0}, note="0-d")
    for axis in (0, 1, 2):
        yield Sample((draw(rng, 2, 3), draw(rng, 3, 2).T, draw(rng, 2, 3)[::-1]), {"axis": axis}, note=f"axis {axis}")
    yield Sample((draw(rng, 0, 3), draw(rng, 0, 3)), {"axis": 1}, note="size 0")
    yield Sample((x := draw(rng, 2), x), {"axis": 0}, alias=(0, 1), note="one tensor twice")


@entry("pad_constant")
def _pad(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"pads": ((1, 2),) * x.ndim, "value": 0.5}, note=note)
    yield Sample((draw(rng, 4, 3),), {"pads": ((-1, 1), (0, -2)), "value": 0}, note="cut and filled")
    yield Sample((draw(rng, 2, 3),), {"pads": ((0, 0), (-2, -1)), "value": 1}, note="nothing left")


@entry("windows")
def _windows(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 7),), {"axis": 0, "size": 3, "step": 2})
    yield Sample((draw(rng, 4, 5),), {"axis": 1, "size": 2, "step": 1}, note="overlapping")
    yield Sample((draw(rng, 5, 4).T,), {"axis": 0, "size": 1, "step": 3}, note="apart")
    yield Sample((draw(rng, 0, 4),), {"axis": 1, "size": 4, "step": 1}, note="size 0")
    yield Sample((draw(rng, 3)[::-1],), {"axis": 0, "size": 0, "step": 1}, note="empty windows")


@entry("overlap_add")
def _overlap_add(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 3),), {"axis": 0, "step": 2, "shape": (7,)})
    yield Sample((draw(rng, 4, 4, 2),), {"axis": 1, "step": 1, "shape": (4, 5)})
    yield Sample((draw(rng, 2, 2, 2),), {"axis": 0, "step": 3, "shape": (6, 2)}, note="apart")
    yield Sample((draw(rng, 0, 2),), {"axis": 0, "step": 1, "shape": (1,)}, note="no windows")


@entry("rolled")
def _rolled(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in matrices(rng):
        yield Sample((x,), {"shifts": (1, -4), "axes": (0, 1)}, note=note)
    yield Sample((draw(rng, 3),), {"shifts": (0,), "axes": (0,)}, note="by nothing")


@entry("tiled")
def _tiled(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"repeats": (2, *(1, 3)[: x.ndim])}, note=note)
    yield Sample((draw(rng, 2, 3),), {"repeats": (2, 0)}, note="no times")


@entry("triangle")
def _triangle(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in matrices(rng):
        for diagonal in (0, 1, -1):
            yield Sample((x,), {"diagonal": diagonal, "lower": diagonal != 1}, note=f"{note}, diagonal {diagonal}")
    yield Sample((draw(rng, 2, 3, 3),), {"diagonal": 0, "lower": False}, note="a batch")


@entry("take_along")
def _take_along(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), np.array([0, 2, 2, -1])), {"axis": 0})
    yield Sample((draw(rng, 3, 4, 2), np.array([[3, 0], [1, 1]])), {"axis": 1}, note="a matrix of indices")
    yield Sample((draw(rng, 4, 3).T, np.array(1)), {"axis": 1}, note="one index")
    yield Sample((draw(rng, 3, 0), np.array([0, 0])), {"axis": 0}, note="size 0")
    yield Sample((draw(rng, 3, 2), np.zeros(0, np.int64)), {"axis": 1}, note="no indices")


@entry("add_along")
def _add_along(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 4, 3), np.array([0, 2, 2, -1])), {"axis": 0, "size": 5})
    yield Sample((draw(rng, 3, 2, 2, 2), np.array([[3, 0], [1, 1]])), {"axis": 1, "size": 4})
    yield Sample((draw(rng, 3), np.array(1)), {"axis": 1, "size": 2}, note="one index")
    yield Sample((draw(rng, 0, 3), np.zeros(0, np.int64)), {"axis": 0, "size": 2}, note="no indices")


@entry("scattered")
def _scattered(rng: np.random.Generator) -> Iterator[Sample]:
    each = rng.permuted(np.tile(np.arange(3)[:, None], 4), axis=0)  # no place twice
    yield Sample((draw(rng, 3, 4), draw(rng, 2, 4), each[:2]), {"axis": 0})
    yield Sample((draw(rng, 4, 3).T, draw(rng, 3, 4), each[:, :2]), {"axis": 0}, note="a part of the source")
    yield Sample((draw(rng, 3), draw(rng, 0), np.zeros(0, np.int64)), {"axis": 0}, note="no indices")


@entry("added_at")
def _added_at(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), draw(rng, 2, 4), rng.integers(0, 3, (2, 4))), {"axis": 0})
    yield Sample((draw(rng, 4, 3).T, draw(rng, 3, 5), np.ones((2, 5), np.int64)), {"axis": 1}, note="a part, one place")
    yield Sample((draw(rng), draw(rng), np.array(0)), {"axis": 0}, note="0-d")
    yield Sample((draw(rng, 2), draw(rng, 0), np.zeros(0, np.int64)), {"axis": 0}, note="no indices")


@entry("filled_where")
def _filled_where(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x, np.asarray(rng.random(x.shape) < 0.5)), {"value": 1.5}, note=note)
    yield Sample((draw(rng, 3, 1), rng.random((2, 1, 4)) < 0.5), {"value": 0}, note="both broadcast")


@entry("filled_at")
def _filled_at(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), rng.integers(0, 4, (3, 2))), {"axis": 1, "value": 2.5})
    yield Sample((draw(rng, 4, 3).T, np.zeros((0, 4), np.int64)), {"axis": 0, "value": 1}, note="no indices")


@entry("scatter_extreme")
def _scatter_extreme(rng: np.random.Generator) -> Iterator[Sample]:
    index = rng.integers(0, 3, (2, 4))
    for largest in (True, False):
        apart = rng.permutation(20).astype(float)
        yield Sample((apart[:12].reshape(3, 4), apart[12:].reshape(2, 4), index), {"axis": 0, "largest": largest})
    wide = rng.permutation(24).astype(float)
    yield Sample(
        (wide[:8].reshape(2, 4), wide[8:].reshape(4, 4), index[:1, :2]), {"axis": 1, "largest": True}, note="a part"
    )


@entry("scatter_product")
def _scatter_product(rng: np.random.Generator) -> Iterator[Sample]:
    index = rng.integers(0, 3, (2, 4))
    yield Sample((draw(rng, 3, 4), draw(rng, 2, 4, away=(0.0,)), index), {"axis": 0})
    yield Sample((draw(rng, 3, 4), draw(rng, 3, 4, away=(0.0,)), index), {"axis": 0}, note="a part of the source")
    yield Sample((draw(rng, 2), draw(rng, 3, away=(0.0,)), np.array([1, 1, 1])), {"axis": 0}, note="one place")


@entry("spectrum")
def _spectrum(rng: np.random.Generator) -> Iterator[Sample]:
    for n in (1, 2, 4, 5, 33, 34):  # from 33 on without a matrix
        yield Sample((draw(rng, n),), {"axis": 0, "length": n}, note=f"length {n}")
    yield Sample((draw(rng, 3, 4).T,), {"axis": 0, "length": 4}, note="transposed")
    yield Sample((draw(rng, 2, 3, 2),), {"axis": 1, "length": 3, "scale": 0.5}, note="a batch")
    for n in (3, 6, 33):
        yield Sample((draw(rng, 5, 2),), {"axis": 0, "length": n, "weighted": True}, note=f"5 as {n}")
    yield Sample((draw(rng, 0, 3),), {"axis": 1, "length": 3}, note="size 0")


@entry("signal")
def _signal(rng: np.random.Generator) -> Iterator[Sample]:
    for n in (1, 2, 4, 5, 33, 34):
        yield Sample((draw(rng, n // 2 + 1, 2),), {"axis": 0, "length": n}, note=f"length {n}")
    yield Sample((draw(rng, 2, 3, 2, 2),), {"axis": 1, "length": 4}, note="a batch")
    for n in (3, 4, 8, 33):
        yield Sample((draw(rng, 3, 2, 2),), {"axis": 0, "length": n, "scale": 0.5, "weighted": True}, note=f"3 as {n}")
    yield Sample((draw(rng, 2, 3, 3).T,), {"axis": 0, "length": 5}, note="transposed")


@entry("take_flat")
def _take_flat(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        if x.size:
            yield Sample((x, rng.integers(-x.size, x.size, (2, 3))), note=note)
    yield Sample((draw(rng, 3), np.zeros(0, np.int64)), note="no indices")


@entry("put_flat")
def _put_flat(rng: np.random.Generator) -> Iterator[Sample]:
    for accumulate in (False, True):
        yield Sample((draw(rng, 4, 3).T, draw(rng, 2, 2), np.array([[3, 0], [-2, 7]])), {"accumulate": accumulate})
        yield Sample((draw(rng, 3), draw(rng, 0), np.zeros(0, np.int64)), {"accumulate": accumulate}, note="no indices")
    yield Sample((draw(rng, 3), draw(rng, 3), np.array([1, 1, -2])), {"accumulate": True}, note="one place")


@entry("masked_write")
def _masked_write(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x, rng.random(x.shape) < 0.5, draw(rng, max(x.size, 1))), note=note)
    yield Sample((draw(rng, 3, 1), rng.random((2, 1, 4)) < 0.5, draw(rng, 30)), note="both broadcast")


@entry("added_slices")
def _added_slices(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), draw(rng, 4, 4), np.array([0, 2, 2, -1])), {"dim": 0, "alpha": 1})
    yield Sample((draw(rng, 4, 3).T, draw(rng, 3, 2), np.array([3, 3])), {"dim": -1, "alpha": -2})
    yield Sample((draw(rng, 2, 3), draw(rng, 1, 3), np.array(1)), {"dim": 0, "alpha": 1}, note="one index")
    yield Sample((draw(rng), draw(rng), np.array([0, 0])), {"dim": 0, "alpha": 3}, note="0-d")
    yield Sample((draw(rng, 2, 3), draw(rng, 2, 0), np.zeros(0, np.int64)), {"dim": 1, "alpha": 1}, note="no indices")


@entry("added_index")
def _added_index(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), draw(rng, 4)), {"index": (1,)})
    yield Sample((draw(rng, 4, 3).T, draw(rng, 4)), {"index": (), "then": (np.array([0, 2, 0]),)}, note="broadcast")
    both = {"index": (slice(None), slice(1, None)), "then": (np.array([0, 2, 0]), np.array([1, 0, 1]))}
    yield Sample((draw(rng, 3, 4), draw(rng, 3)), both, note="a slice, then index arrays")
    yield Sample((draw(rng, 3), draw(rng)), {"index": (), "then": (np.array([True, False, True]),)}, note="a mask")


def _settings(name: str, *settings: tuple[Any, ...], shape: tuple[int, ...] = (2, 1, 3)) -> None:
    """Entries of an operation whose settings are given by position."""

    @entry(name)
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for given in settings:
            yield Sample((draw(rng, *shape), *given))
            yield Sample((draw(rng, *shape[::-1]).T, *given), note="transposed")


_settings("reshape", (6,), ((3, -1),), (1, 1, 6))
_settings("ravel", ())
_settings("permute", (2, 0, 1), ((0, -1, 1),))
_settings("transpose", (0, 2), (-1, 1))
_settings("t", (), shape=(2, 3))
_settings("movedim", (0, -1), ((0, 1), (1, 2)))
_settings("expand", (2, 4, 3), (2, 2, -1, 3))
_settings("squeeze", (), (1,), ((0, 1),))
_settings("unsqueeze", (0,), (-1,))
_settings("selected", (0, 1), (-1, -2))
_settings("narrow", (0, 1, 1), (-1, -2, 2))
_settings("flip", (0,), ((0, -1),))
_settings("tril", (), (1,), (-1,), shape=(3, 4))
_settings("triu", (), (1,), (-1,), shape=(3, 4))
_settings("trace", (), shape=(3, 4))


@entry("block_diagonal")
def _block_diagonal(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3), draw(rng, 2), draw(rng), draw(rng, 4, 1).T))
    yield Sample((draw(rng, 2, 0), draw(rng, 1, 2)), note="size 0")


@entry("crossed")
def _crossed(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3), draw(rng, 2, 3)), {"axis": -1})
    yield Sample((draw(rng, 3, 2), draw(rng, 2, 3, 1)), {"axis": -2}, note="broadcast")


@entry("plus_product")
def _plus_product(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 4), draw(rng, 2, 3), draw(rng, 3, 4)), {"beta": 1, "alpha": 1})
    yield Sample((draw(rng, 4), draw(rng, 3, 2).T, draw(rng, 3, 4)), {"beta": 0.5, "alpha": -2}, note="broadcast")
    yield Sample((draw(rng, 2, 2, 1), draw(rng, 2, 2, 3), draw(rng, 2, 3, 4)), {"beta": 0, "alpha": 1}, note="a batch")
    yield Sample((draw(rng, 2), draw(rng, 2, 3), draw(rng, 3)), {"beta": 0.5, "alpha": -2}, note="a vector")
