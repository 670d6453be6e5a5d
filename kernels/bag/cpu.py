"""Bags on the CPU: a row of the table is read once, and added to the bag's while that is in cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.bag.spec import MODES
from tinydl.kernels.builtin import Builtin
from tinydl.kernels.registry import register
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
DTYPES = ("float32", "float64")
_MEAN, _MAX = MODES.index("mean"), MODES.index("max")


def _bag_forward(
    weight: Array, index: Array, offsets: Array, factors: Array, y: Array, counts: Array, places: Array, D: int,
    mode: int, padding: int,
) -> int:  # fmt: skip
    for b in range(counts.size):
        out = y[b * D : (b + 1) * D]
        out[:] = 0
        count = 0
        for n in range(offsets[b], offsets[b + 1]):
            if index[n] == padding:
                continue
            row = weight[index[n] * D : (index[n] + 1) * D]
            if mode == _MAX:
                at = places[b * D : (b + 1) * D]
                for d in range(D):
                    if count == 0 or row[d] > out[d]:
                        out[d], at[d] = row[d], n
            elif factors.size:
                for d in range(D):
                    out[d] += row[d] * factors[n]
            else:
                for d in range(D):
                    out[d] += row[d]
            count += 1
        counts[b] = count
        if mode == _MEAN and count > 0:
            for d in range(D):
                out[d] /= weight.dtype.type(count)
        elif mode == _MAX and count == 0:
            places[b * D : (b + 1) * D] = -1
    return 0


def _bag_backward(
    g: Array, weight: Array, index: Array, offsets: Array, factors: Array, counts: Array, places: Array,
    dweight: Array, dfactors: Array, D: int, mode: int, padding: int,
) -> int:  # fmt: skip
    for b in range(counts.size):
        slope = g[b * D : (b + 1) * D]
        if mode == _MAX:
            for d in range(D):
                if places[b * D + d] >= 0:
                    dweight[index[places[b * D + d]] * D + d] += slope[d]
            continue
        for n in range(offsets[b], offsets[b + 1]):
            if index[n] == padding:
                continue
            into = dweight[index[n] * D : (index[n] + 1) * D]
            if factors.size:
                row = weight[index[n] * D : (index[n] + 1) * D]
                product = weight.dtype.type(0)
                for d in range(D):
                    into[d] += slope[d] * factors[n]
                    product += slope[d] * row[d]
                dfactors[n] = product
            elif mode == _MEAN:
                for d in range(D):
                    into[d] += slope[d] / weight.dtype.type(counts[b])
            else:
                for d in range(D):
                    into[d] += slope[d]
    return 0


_FORWARD = Builtin(_bag_forward, "TllTTlliii")
_BACKWARD = Builtin(_bag_backward, "TTllTllTTiii")
_NOTHING = {np.dtype(name): np.empty(0, name) for name in DTYPES}
_NO_PLACES = np.empty((0, 0), np.int64)


@register(op="embedding_bag", name="cpu.rows", dtypes=DTYPES, default=True)
def embedding_bag(
    weight: Array, index: Array, offsets: Array, factors: Array | None, mode: str, padding: int
) -> tuple[Array, Array, Array]:
    """One bag after another; see the card."""
    bags, D = len(offsets) - 1, weight.shape[1]
    dtype = weight.dtype
    y, counts = np.empty((bags, D), dtype), np.empty(bags, np.int64)
    places = np.empty(y.shape, np.int64) if mode == "max" else _NO_PLACES
    given = _NOTHING[dtype] if factors is None else plain(factors)
    _FORWARD[dtype](
        plain(weight), plain(index), plain(offsets), given, y, counts, places, D, MODES.index(mode), padding
    )
    return y, counts, places


@register(op="embedding_bag_backward", name="cpu.rows", dtypes=DTYPES, default=True)
def embedding_bag_backward(
    g: Array, weight: Array, index: Array, offsets: Array, factors: Array | None, counts: Array, places: Array,
    mode: str, padding: int,
) -> tuple[Array, Array | None]:  # fmt: skip
    """One bag after another; see the card."""
    dtype = weight.dtype
    dweight = np.zeros(weight.shape, dtype)
    dfactors = None if factors is None else np.zeros(factors.shape, dtype)
    _BACKWARD[dtype](
        plain(g), plain(weight), plain(index), plain(offsets), _NOTHING[dtype] if factors is None else plain(factors),
        counts, places, dweight, _NOTHING[dtype] if dfactors is None else dfactors, weight.shape[1],
        MODES.index(mode), padding,
    )  # fmt: skip
    return dweight, dfactors
