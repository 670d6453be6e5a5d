"""Padding of rows.

``pad_rows(x, before, after, value) -> y [..., before + n + after]``
    Each row of x[..., n] with so many elements of ``value`` at its ends; negative numbers cut off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]


@register(op="pad_rows", name="numpy")
def pad_rows(x: Array, before: int, after: int, value: float) -> Array:
    """A slice into a slice; see the head of the file."""
    n = x.shape[-1]
    y = np.full((*x.shape[:-1], before + n + after), value, x.dtype)
    taken = x[..., max(0, -before) : max(0, n - max(0, -after))]
    y[..., max(0, before) : max(0, before) + taken.shape[-1]] = taken
    return y


# -- cards ------------------------------------------------------------------------------------------------------------


def _samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    x = np.random.default_rng(15).standard_normal((3, 4, 37)).astype(dtype)
    for before, after in ((0, 0), (1, 0), (3, 5), (-2, 4), (5, -36), (-37, 3), (-40, 41)):
        yield x, before, after, -1.5
    yield x[:, :, 0], -1, 2, 1
    yield x[:0], 1, 2, 0
    yield x[:, :, :0], 1, 2, 4


def _written(x: Array, before: int, after: int) -> int:
    return int((x.shape[-1] + before + after) * math.prod(x.shape[:-1]))


def _case(rows: int, n: int) -> Any:
    return lambda dtype: (np.random.default_rng(0).standard_normal((rows, n)).astype(dtype), 1, 1, 0)


describe(
    Card(
        op="pad_rows", says="rows with elements added at their ends, or cut off", samples=_samples,
        tolerance=dict.fromkeys(("float32", "float64"), 0.0),
        flops=lambda x, before, after, value: _written(x, before, after),  # none, but so many numbers
        bytes=lambda x, before, after, value: x.nbytes + x.itemsize * _written(x, before, after),
        cases={f"{rows}x{n}": _case(rows, n) for rows, n in ((10, 10), (1000, 1000), (256, 8192))},
        rivals={
            "torch": rivals.function(
                "nn.functional.pad", lambda x, before, after, value: (x, (before, after), "constant", value)
            )
        },
        serves="tinydl.ops.padding.pad_constant",
    )
)  # fmt: skip
