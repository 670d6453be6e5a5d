"""Joins by the row, by the column, in depth and along a diagonal, on :func:`tinydl.ops.shaping.cat`."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.shaping import atleast_3d, cat, promoted, ravel, reshape_to
from tinydl.ops.slicing import take_slice


def hstack(tensors: Any) -> Any:
    """Join along the columns (vectors and numbers: end to end)."""
    xs = [x if x.ndim else ravel(x) for x in tensors]
    return cat(xs, 0 if xs and xs[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Any:
    """Join along the rows; a vector is a row."""
    return cat([x if x.ndim > 1 else reshape_to(x, shape=(1, *x.shape) if x.ndim else (1, 1)) for x in tensors], 0)


row_stack = vstack


def dstack(tensors: Any) -> Any:
    """Join along the third dimension; a matrix is a layer."""
    return cat([x if x.ndim > 2 else atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Any) -> Any:
    """As :func:`hstack`, but a vector is a column."""
    return cat([x if x.ndim > 1 else reshape_to(x, shape=(math.prod(x.shape), 1)) for x in tensors], 1)


def _blocks(needs: tuple[bool, ...], g: Any, shapes: Any) -> tuple[Any, ...]:
    found: list[Any] = []
    row = column = 0
    for need, shape in zip(needs, shapes):
        m, n = (1,) * (2 - len(shape)) + shape
        cut = (slice(row, row + m), slice(column, column + n))
        found.append(reshape_to(take_slice(g, index=cut), shape=shape) if need else None)
        row, column = row + m, column + n
    return tuple(found)


@primitive(joint=_blocks)
def block_diagonal(*tensors: Any) -> Any:
    """Matrices (vectors as rows, numbers as [1, 1]) of one dtype on the diagonal of zeros."""
    shapes = [(1,) * (2 - x.ndim) + x.shape for x in tensors]
    out = np.zeros((sum([m for m, _ in shapes]), sum([n for _, n in shapes])), tensors[0].dtype)
    row = column = 0
    for x, (m, n) in zip(tensors, shapes):
        out[row : row + m, column : column + n] = x
        row, column = row + m, column + n
    return out


def block_diag(*tensors: Any) -> Any:
    """The matrices (vectors as rows, numbers as [1, 1]) one after the other on the diagonal of a matrix of zeros."""
    for i, x in enumerate(tensors):
        if x.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {x.ndim} dimensions"
            )
    return block_diagonal(*promoted(list(tensors)))


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
