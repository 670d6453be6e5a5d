"""Padding of rows on the CPU: rows shared out to the threads, each copied by vectors.

NumPy copies a row by the C library's ``memcpy``, which can take eight times as long where both addresses have nearly
the same place in a page; see :func:`tinydl.kernels.vector.copy`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import copy
from tinydl.kernels.workspace import plain

Array = NDArray[Any]


@shared
def _rows(thread: int, threads: int, rows: int, n: int, before: int, after: int, value: float, x: Array,
          y: Array) -> None:  # fmt: skip
    width = before + n + after
    begin, start = min(n, max(0, -before)), min(width, max(0, before))
    count = max(0, n - max(0, -after) - begin)
    for row in range(rows * thread // threads, rows * (thread + 1) // threads):
        at = row * width
        for k in range(at, at + start):
            y[k] = value
        if count > 0:
            copy(y, at + start, x, row * n + begin, count)
        for k in range(at + start + count, at + width):
            y[k] = value


@register(op="pad_rows", name="cpu.rows", dtypes=("float32", "float64"), default=True)
def pad_rows(x: Array, before: int, after: int, value: float) -> Array:
    """Rows shared out to the threads; see the card."""
    n = x.shape[-1]
    y = np.empty((*x.shape[:-1], before + n + after), x.dtype)
    if not y.size:
        return y
    rows, threads = y.size // y.shape[-1], worthwhile(8 * y.size)
    with num_threads(threads):
        _rows(threads, rows, n, before, after, float(value), plain(x).reshape(-1), y.reshape(-1))
    return y
