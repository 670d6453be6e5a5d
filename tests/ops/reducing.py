"""Samples of the reductions and scans beyond the first ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.ops.table import Sample, draw, entry, layouts


@entry("mean")
def _mean(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"axis": None, "keepdims": False}, note=note)
        for axis in ((0,), (1,), (0, 1)) if x.ndim == 2 else ():
            if all(x.shape[a] for a in axis):
                yield Sample((x,), {"axis": axis, "keepdims": axis == (1,)}, note=f"{note}, axis {axis}")


@entry("vector_norm")
def _norm(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng, low=0.3):
        if x.size:
            yield Sample((x,), {}, note=note)
        for axis in ((0,), (1,), (0, 1)) if x.ndim == 2 and x.size else ():
            yield Sample((x,), {"axis": axis, "keepdim": axis == (1,)}, note=f"{note}, axis {axis}")
    for ord in (1, 3, 1.5, 0.5, -1, float("inf"), float("-inf")):
        x = draw(rng, 2, 3, away=(0.0,)) + np.arange(3) * np.float64(0.1)
        yield Sample((x,), {"ord": ord}, note=f"ord {ord}")
        yield Sample((x,), {"ord": ord, "dim": 1, "keepdim": True}, note=f"ord {ord}, dim")


@entry("var", "std", "var_mean", "std_mean")
def _var(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        if x.size > 1 and not note.startswith("broadcast"):
            yield Sample((x,), {}, note=note)
        for axis in ((0,), (1,), (0, 1)) if x.ndim == 2 and x.size and not note.startswith("broadcast") else ():
            static = {"axis": axis, "keepdim": axis == (1,), "correction": 0.5}
            yield Sample((x,), static, note=f"{note}, axis {axis}")
    yield Sample((draw(rng, 2, 3, 4),), {"dim": (0, 2), "unbiased": False}, note="apart")


@entry("prod")
def _prod(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"axis": None, "keepdims": False}, note=note)
        for axis in range(x.ndim):
            yield Sample((x,), {"axis": axis, "keepdims": axis == 1}, note=f"{note}, axis {axis}")
    for zeros in (1, 2, 3):
        x = draw(rng, 4, 2)
        x[:zeros, 0] = 0
        yield Sample((x,), {"axis": 0, "keepdims": False}, note=f"{zeros} zeros")


@entry("cumprod")
def _cumprod(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        for axis in range(x.ndim):
            yield Sample((x,), {"axis": axis}, note=f"{note}, axis {axis}")
    for zeros in ([1], [0, 2], [1, 2, 4]):
        x = draw(rng, 5)
        x[zeros] = 0
        yield Sample((x,), {"axis": 0}, note=f"zeros at {zeros}")


@entry("logcumsumexp")
def _logcumsumexp(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        for axis in range(x.ndim):
            yield Sample((x,), {"axis": axis}, note=f"{note}, axis {axis}")
    yield Sample((np.array([-30.0, 5.0, -20.0, 6.0]),), {"axis": 0}, note="far apart")


@entry("difference")
def _difference(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        for axis in range(x.ndim):
            yield Sample((x,), {"axis": axis}, note=f"{note}, axis {axis}")


@entry("shifted")
def _shifted(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        for axis in range(x.ndim):
            yield Sample((x,), {"axis": axis, "by": 1, "fill": 1.0}, note=f"{note}, axis {axis}")
            yield Sample((x,), {"axis": axis, "by": -1, "fill": 0}, note=f"{note}, axis {axis}, back")


@entry("recurrence")
def _recurrence(rng: np.random.Generator) -> Iterator[Sample]:
    for (note, a), (_, b) in zip(layouts(rng), layouts(rng)):
        for axis in range(a.ndim):
            yield Sample((a, b), {"axis": axis, "reverse": False}, note=f"{note}, axis {axis}")
            yield Sample((a, b), {"axis": axis, "reverse": True}, note=f"{note}, axis {axis}, reverse")
    yield Sample((x := draw(rng, 4), x), {"axis": 0, "reverse": False}, alias=(0, 1), note="one tensor twice")


@entry("tie_shares")
def _tie_shares(rng: np.random.Generator) -> Iterator[Sample]:
    x = rng.integers(0, 3, (3, 4)).astype(float)
    yield Sample((x, x.max(axis=1, keepdims=True)), {"axis": (1,)})
    yield Sample((x, np.asarray(x.max())), {"axis": None})


@entry("take_at")
def _take_at(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), rng.integers(0, 3, (1, 4))), {"axis": 0})
    yield Sample((draw(rng, 4, 3).T, rng.integers(0, 4, (3, 1))), {"axis": 1}, note="transposed")
    yield Sample((draw(rng, 3, 4), rng.integers(0, 4, (3, 6))), {"axis": 1}, note="several, repeated")
    yield Sample((draw(rng, 2, 3, 4), rng.integers(0, 3, (2, 2, 4))), {"axis": 1}, note="an inner axis")
    yield Sample((draw(rng, 0, 3), np.zeros((0, 1), np.int64)), {"axis": 1}, note="size 0")
    yield Sample((draw(rng, 2, 0), np.zeros((2, 0), np.int64)), {"axis": 1}, note="lines of nothing")


@entry("put_at")
def _put_at(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 1, 4), rng.integers(0, 3, (1, 4))), {"axis": 0, "shape": (3, 4)})
    yield Sample((draw(rng, 3, 1), rng.integers(0, 4, (3, 1))), {"axis": 1, "shape": (3, 4)})
    yield Sample((draw(rng, 3, 6), rng.integers(0, 4, (3, 6))), {"axis": 1, "shape": (3, 4)}, note="repeated")
    yield Sample((draw(rng, 2, 2, 4), rng.integers(0, 3, (2, 2, 4))), {"axis": 1, "shape": (2, 3, 4)}, note="inner")


@entry("max_along", "min_along")
def _along(rng: np.random.Generator) -> Iterator[Sample]:
    apart = rng.permutation(24).reshape(2, 3, 4).astype(float)
    for axis in range(3):
        for keepdims in (False, True):
            yield Sample((apart,), {"dim": axis, "keepdim": keepdims}, note=f"axis {axis}, keepdim {keepdims}")
    yield Sample((apart[::-1, ::2].T,), {"dim": 1, "keepdim": False}, note="transposed, with gaps")
    yield Sample((draw(rng, 0, 3),), {"dim": 1, "keepdim": False}, note="size 0")
    yield Sample((draw(rng),), {"dim": 0, "keepdim": False}, note="0-d")


@entry("nansum", "nanmean")
def _sum_numbers(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        for axis in (None, *((a,) for a in range(x.ndim))):
            yield Sample((x,), {"axis": axis, "keepdim": False}, note=f"{note}, axis {axis}")


@entry("whole_median", second=False)
def _whole_median(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        if x.size and not note.startswith("broadcast"):
            apart = rng.permutation(x.size).reshape(x.shape).astype(float)
            yield Sample((apart,), {"skip_nan": False}, note=note)
    yield Sample((draw(rng, 5),), {"skip_nan": True})


def _apart(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.permutation(int(np.prod(shape))).reshape(shape).astype(float)


@entry("sort", "mode", "cummax", "cummin")
def _ranked(rng: np.random.Generator) -> Iterator[Sample]:
    x = _apart(rng, 2, 3, 4)
    for dim in range(3):
        yield Sample((x,), {"dim": dim}, note=f"dim {dim}")
    yield Sample((x[::-1, ::2].T,), {"dim": 1}, note="transposed, with gaps")
    yield Sample((draw(rng),), {"dim": 0}, note="0-d")
    yield Sample((draw(rng, 0, 3),), {"dim": 1}, note="size 0")


@entry("argsort")
def _argsort(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((_apart(rng, 2, 3),), {"dim": 0, "descending": True})


@entry("topk", "kthvalue")
def _kth(rng: np.random.Generator) -> Iterator[Sample]:
    for dim in range(3):
        yield Sample((_apart(rng, 2, 3, 4),), {"k": 2, "dim": dim}, note=f"dim {dim}")
    yield Sample((draw(rng),), {"k": 1}, note="0-d")


@entry("median_along")
def _median_along(rng: np.random.Generator) -> Iterator[Sample]:
    for dim in range(3):
        static = {"dim": dim, "keepdim": dim == 1, "skip_nan": dim == 2}
        yield Sample((_apart(rng, 2, 3, 4),), static, note=f"dim {dim}")
    yield Sample((draw(rng),), {"dim": 0, "keepdim": False, "skip_nan": False}, note="0-d")


@entry("quantiles")
def _quantiles(rng: np.random.Generator) -> Iterator[Sample]:
    for axis in (None, 0, 1, 2):
        for interpolation in ("linear", "nearest"):
            static = {"share": np.array([0.3, 0.9]), "axis": axis, "keepdim": axis == 1, "interpolation": interpolation}
            yield Sample((_apart(rng, 2, 3, 4),), static, note=f"{interpolation}, axis {axis}")


@entry("count_nonzero")
def _count(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3),), {"dim": 1})
    yield Sample((draw(rng, 2, 3),), {})


@entry("bincount")
def _bincount(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.integers(0, 4, 6), None), {"minlength": 2})


@entry("histc")
def _histc(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3),), {"bins": 3, "min": -1.0, "max": 1.0})


@entry("searchsorted")
def _searchsorted(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((np.arange(4.0), draw(rng, 2, 3)), {})


@entry("bucketize")
def _bucketize(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3), np.arange(4.0)), {})
