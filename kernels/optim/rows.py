"""The rows of an optimizer's table inside compiled code: which of them a step can work on, and how they are cut."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.kernels.cache import njit
from tinydl.kernels.heads import ALIGNED, C_CONTIGUOUS, WRITEABLE, regular, same_shape
from tinydl.kernels.optim.table import CHUNK, DTYPE, GRAD, NUMEL, PARAM


@njit
def first_irregular(table: Any) -> Any:
    """The first row with a gradient whose two arrays a step cannot work on in place, or -1."""
    for row in range(table.shape[0]):
        param, grad, numel, number = table[row, PARAM], table[row, GRAD], table[row, NUMEL], table[row, DTYPE]
        if grad != 0 and not (
            regular(param, numel, number, C_CONTIGUOUS | ALIGNED | WRITEABLE)
            and regular(grad, numel, number, C_CONTIGUOUS | ALIGNED)
            and same_shape(param, grad)
        ):
            return row
    return -1


@njit
def first_irregular_gradient(table: Any, flags: Any) -> Any:
    """The first row whose gradient lacks one of the ``flags``, or is not of the table's dtype and size, or -1."""
    for row in range(table.shape[0]):
        if table[row, GRAD] != 0 and not regular(table[row, GRAD], table[row, NUMEL], table[row, DTYPE], flags):
            return row
    return -1


@njit
def chunks(table: Any) -> Any:
    """(row, first element) of every chunk of every row with a gradient: int64 [C, 2]."""
    count = 0
    for row in range(table.shape[0]):
        if table[row, GRAD] != 0:
            count += -(-table[row, NUMEL] // CHUNK)
    chunks = np.empty((count, 2), np.int64)
    count = 0
    for row in range(table.shape[0]):
        if table[row, GRAD] != 0:
            for start in range(0, table[row, NUMEL], CHUNK):
                chunks[count, 0], chunks[count, 1] = row, start
                count += 1
    return chunks
