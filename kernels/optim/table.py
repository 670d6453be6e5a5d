"""The table through which an optimizer's kernel reaches parameters and gradients.

int64 [R, COLUMNS], C-contiguous, one row per parameter:

========  ==============================================================================================
PARAM     identity (``id``) of the parameter's array object
GRAD      identity of the gradient's array object, or 0: this parameter is skipped, its step count included
OFFSET    where its stretch of each row of ``moments`` begins
NUMEL     number of elements N_r
DTYPE     type number of the kernel's dtype, ``np.dtype.num``
========  ==============================================================================================

The caller keeps the arrays alive during the call. A kernel reads address, shape, dtype and flags out of the array
object itself (its head is part of NumPy's binary interface), at nanoseconds a row, where asking NumPy for
an address from Python costs most of a microsecond.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARAM, GRAD, OFFSET, NUMEL, DTYPE = range(5)
COLUMNS = 5

CHUNK = 1 << 14  # elements: the unit of work of the parallel twins, 64 KiB of float32


def array_at(identity: int) -> NDArray[Any]:
    """The array object whose ``id`` this is (it must be alive)."""
    array: NDArray[Any] = ctypes.cast(identity, ctypes.py_object).value
    return array


def first_irregular(table: NDArray[np.int64], *, with_params: bool = True, writeable: bool = True) -> int:
    """The first row of ``table`` that a kernel cannot work on in place, or -1."""
    for row, (param, grad, _, numel, number) in enumerate(table.tolist()):
        if not grad:
            continue
        pair = [array_at(grad), array_at(param if with_params else grad)]
        if (
            any(a.dtype.num != number or not a.dtype.isnative or a.size != numel for a in pair)
            or not all(a.flags.c_contiguous and a.flags.aligned for a in pair)
            or pair[0].shape != pair[1].shape
            or (writeable and not pair[1].flags.writeable)
        ):
            return row
    return -1
