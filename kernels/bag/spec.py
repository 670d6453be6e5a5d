"""Bags: one vector for several rows of a table.

``embedding_bag(weight [V, D], index, offsets [B + 1], factors, mode, padding) -> (y [B, D], counts [B], places)``
    Bag b holds the rows weight[index[n]], offsets[b] <= n < offsets[b + 1], without those at the index ``padding`` (-1:
    all count). y_b is their sum ("sum", with ``factors`` each times its factor), their mean, or their maximum per
    column, the first of equal ones ("max"); 0 for an empty bag. ``index`` and ``factors`` have one shape, and are read
    in order. ``counts`` says how many rows count; ``places`` [B, D], of a maximum, which n it is (-1: none), and is of
    no elements else.

``embedding_bag_backward(g, weight, index, offsets, factors, counts, places, mode, padding) -> (dweight, dfactors)``
    The gradients; None for factors that are not given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]
MODES = ("sum", "mean", "max")
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


def _counted(index: Array, offsets: Array, padding: int) -> Iterator[tuple[int, Array]]:
    """Each bag and the places in ``index`` that count in it."""
    flat = index.reshape(-1)
    for b in range(len(offsets) - 1):
        at = np.arange(offsets[b], offsets[b + 1])
        yield b, at[flat[at] != padding]


@register(op="embedding_bag", name="numpy")
def embedding_bag(
    weight: Array, index: Array, offsets: Array, factors: Array | None, mode: str, padding: int
) -> tuple[Array, Array, Array]:
    """One bag after another; see the head of the file."""
    y = np.zeros((len(offsets) - 1, weight.shape[1]), weight.dtype)
    counts = np.zeros(len(y), np.int64)
    places = np.full(y.shape if mode == "max" else (0, 0), -1)
    for b, at in _counted(index, offsets, padding):
        counts[b] = len(at)
        rows = weight[index.reshape(-1)[at]]
        if not len(at):
            continue
        if mode == "max":
            y[b] = rows[0]
            places[b] = at[0]
            for row, n in zip(rows, at):
                better = row > y[b]
                y[b][better], places[b][better] = row[better], n
        elif mode == "mean":
            y[b] = rows.sum(axis=0) / weight.dtype.type(len(at))
        else:
            y[b] = (rows if factors is None else rows * factors.reshape(-1)[at, None]).sum(axis=0)
    return y, counts, places


@register(op="embedding_bag_backward", name="numpy")
def embedding_bag_backward(
    g: Array, weight: Array, index: Array, offsets: Array, factors: Array | None, counts: Array, places: Array,
    mode: str, padding: int,
) -> tuple[Array, Array | None]:  # fmt: skip
    """One bag after another; see the head of the file."""
    flat = index.reshape(-1)
    dweight = np.zeros(weight.shape, weight.dtype)
    dfactors = None if factors is None else np.zeros(factors.shape, factors.dtype)
    for b, at in _counted(index, offsets, padding):
        if mode == "max":
            for d in np.flatnonzero(places[b] >= 0):
                dweight[flat[places[b, d]], d] += g[b, d]
            continue
        for n in at:
            if dfactors is not None and factors is not None:
                dweight[flat[n]] += g[b] * factors.reshape(-1)[n]
                dfactors.reshape(-1)[n] = g[b] @ weight[flat[n]]
            else:
                dweight[flat[n]] += g[b] / weight.dtype.type(counts[b]) if mode == "mean" else g[b]
    return dweight, dfactors


# -- cards ------------------------------------------------------------------------------------------------------------


def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    """Every mode; empty bags, no bags, no columns, what stands behind the last bag, padding, ties, views."""
    rng = np.random.default_rng(4)
    for V, D, offsets, N in (
        (5, 3, (0, 2, 2, 7), 9), (4, 1, (0, 3), 3), (3, 17, (0, 0, 4, 9, 9), 9), (2, 0, (0, 1), 1), (3, 4, (0,), 2),
        (60, 33, tuple(range(0, 201, 8)), 200),
    ):  # fmt: skip
        weight = rng.standard_normal((V, D)).astype(dtype)
        index, ends = rng.integers(0, V, N), np.array(offsets)
        factors = rng.standard_normal(N).astype(dtype)
        for mode in MODES:
            yield weight, index, ends, None, mode, -1
            yield weight, index, ends, None, mode, 1
        yield weight[::-1], index[::-1], ends, factors[::-1], "sum", -1
        yield weight, index, ends, factors, "sum", 0
        yield np.round(weight), index, ends, None, "max", 0


def _backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    weight, index, offsets, factors, mode, padding = arguments
    y, counts, places = embedding_bag(*arguments)
    g = np.random.default_rng(5).standard_normal(y.shape).astype(y.dtype)
    return g, weight, index, offsets, factors, counts, places, mode, padding


def _bags(bags: int, each: int, width: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        weight = rng.standard_normal((1000, width)).astype(dtype)
        index = rng.integers(0, 1000, bags * each)
        return weight, index, np.arange(0, bags * each + 1, each), None, "sum", -1

    return case


def _turned(make: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda dtype: _backward(make(dtype))


def _rival(torch: Any, weight: Any, index: Any, offsets: Any, *_: Any) -> Callable[[], Any]:
    table, at, begins = rivals.tensors(torch, weight, index, offsets)
    bag = torch.nn.functional.embedding_bag
    return lambda: bag(at, table, begins, mode="sum", include_last_offset=True)


def _rival_backward(torch: Any, g: Any, weight: Any, index: Any, offsets: Any, *_: Any) -> Callable[[], Any]:
    (table,) = rivals.leaves(torch, weight)
    return rivals.backward(torch, _rival(torch, table, index, offsets)(), (table,), (g,))


_SIZES = (4, 4, 16), (100, 10, 64), (1000, 20, 64)
_CASES = {f"{bags} of {each}, {width}": _bags(bags, each, width) for bags, each, width in _SIZES}


def _gradients(mode: str, weighted: bool) -> Callable[[np.random.Generator], tuple[tuple[Any, ...], dict[str, Any]]]:
    def made(rng: np.random.Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
        factors = rng.standard_normal(6) if weighted else None
        given = rng.standard_normal((4, 3)), factors, np.array([0, 3, 1, 1, 2, 0]), np.array([0, 2, 2, 6])
        return given, {"reduce": mode, "padding": 2}

    return made


for _op in ("embedding_bag", "embedding_bag_backward"):
    _forward = _op == "embedding_bag"
    describe(
        Card(
            op=_op,
            says=("" if _forward else "gradients of ") + "sums, means or maxima of rows of a table, a bag at a time",
            samples=samples if _forward else lambda dtype: map(_backward, samples(dtype)),
            tolerance=TOLERANCE,
            flops=(lambda w, index, *_: index.size * w.shape[1])
            if _forward
            else (lambda g, w, index, *_: index.size * w.shape[1]),
            bytes=(lambda w, index, *_: index.nbytes + index.size * w.shape[1] * w.itemsize)
            if _forward
            else (lambda g, w, index, *_: index.nbytes + 2 * index.size * w.shape[1] * w.itemsize),
            cases=_CASES if _forward else {name: _turned(make) for name, make in _CASES.items()},
            rivals={"torch": _rival if _forward else _rival_backward},
            serves="tinydl.ops.bags.embedding_bag",
            gradient=tuple(_gradients(mode, False) for mode in MODES) + (_gradients("sum", True),),
        )
    )
