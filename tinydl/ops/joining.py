"""Joins by the row, by the column, in depth and along a diagonal, on :func:`tinydl.ops.shaping.cat`."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tinydl.ops.padding import pad_constant
from tinydl.ops.shaping import atleast_1d, atleast_2d, atleast_3d, cat, promoted, reshape_to
from tinydl.ops.slicing import take_slice


def hstack(tensors: Any) -> Any:
    """Join along the columns (vectors and numbers: end to end)."""
    xs = [atleast_1d(x) for x in tensors]
    return cat(xs, 0 if xs and xs[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Any:
    """Join along the rows; a vector is a row."""
    return cat([atleast_2d(x) for x in tensors], 0)


row_stack = vstack


def dstack(tensors: Any) -> Any:
    """Join along the third dimension; a matrix is a layer."""
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Any) -> Any:
    """As :func:`hstack`, but a vector is a column."""
    return hstack([x if x.ndim > 1 else reshape_to(x, shape=(-1 if x.shape != (0,) else 0, 1)) for x in tensors])


def block_diag(*tensors: Any) -> Any:
    """The matrices (vectors as rows, numbers as [1, 1]) one after the other on the diagonal of a matrix of zeros."""
    for i, x in enumerate(tensors):
        if x.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {x.ndim} dimensions"
            )
    blocks = promoted([atleast_2d(x) for x in tensors])
    width, at, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        n = x.shape[1]
        rows.append(pad_constant(x, pads=((0, 0), (at, width - at - n)), value=0))
        at += n
    return cat(rows, 0)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All combinations of ``r`` elements of a vector, one a row, in the order of ``itertools``."""
    from tinydl.ops.indexing import take_along

    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return take_slice(input, index=(slice(0, 0),))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.shape[0]), r))
    return take_along(input, np.array(rows, np.int64).reshape(len(rows), r), axis=0)
