"""Windows: maxima, weighted sums, and reading and writing at positions. Every linear one has its transpose beside it.

The last dimensions of an input are space, one for each entry of ``windows``; all before them are planes. What a window
is stands in :mod:`tinydl.kernels.pool.spec`; the functions below make windows from PyTorch's arguments.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.shaping import reshape_to

_MAX_POOL = by_dtype("max_pool")
_WINDOW_SUM = by_dtype("window_sum")
_WINDOW_SPREAD = by_dtype("window_spread")
_TAKE_POSITIONS = by_dtype("take_positions")
_PUT_POSITIONS = by_dtype("put_positions")

Ints = tuple[int, ...]
Windows = tuple[tuple[Any, Any, Any], ...]

def _rows(array: Any, rank: int) -> Any:
    """[..., *space] as [N, 1, L]."""
    lead, space = array.shape[: len(array.shape) - rank], array.shape[len(array.shape) - rank :]
    return reshape_to(array, shape=(math.prod(lead), 1, math.prod(space)))


def _at_maxima(g: Any, indices: Any, shape: Ints, rank: int) -> Any:
    size = math.prod(shape[len(shape) - rank :])
    return reshape_to(put_positions(_rows(g, rank), _rows(indices, rank), size=size), shape=shape)


def _max_gradient(g: Any, indices: Any, input_shape: Ints, windows: Windows) -> Any:
    return _at_maxima(g, indices, input_shape, len(windows))


def _maxima(input: Any, *, windows: Windows) -> Any:
    """The greatest element of each window (of equal ones the first; NaN is greater than all), and its place in the
    plane."""
    return _MAX_POOL[input.dtype](input, windows)


_BOTH = ("out", "indices")
max_pool: Any = primitive(
    name="max_pool", outputs=_BOTH, plain="indices", input=_max_gradient
)(_maxima)  # fmt: skip
# Without the places, which are a tensor to make.
max_pool_values: Any = primitive(
    name="max_pool_values", outputs=_BOTH, aux=("indices",), input=_max_gradient
)(_maxima)  # fmt: skip


@primitive(
    input=lambda g, input_shape, windows: window_spread(
        g, windows=windows, size=input_shape[len(input_shape) - len(windows) :]
    )
)
def window_sum(input: Any, *, windows: Windows) -> Any:
    """The weighted sum of each window."""
    return _WINDOW_SUM[input.dtype](input, windows)


@primitive(input=lambda g, windows: window_sum(g, windows=windows))
def window_spread(input: Any, *, windows: Windows, size: Ints) -> Any:
    """Each element added to its window, with the window's weights: the transpose of :func:`window_sum`."""
    return _WINDOW_SPREAD[input.dtype](input, windows, size)


@primitive(input=lambda g, index, input_shape: put_positions(g, index, size=input_shape[2]))
def take_positions(input: Any, index: Any) -> Any:
    """input [N, C, L] at int64 index [N, c, M], c = C or 1 -> [N, C, M]; 0 where the index is -1."""
    return _TAKE_POSITIONS[input.dtype](input, index)


@primitive(input=lambda g, index: take_positions(g, index))
def put_positions(input: Any, index: Any, *, size: int) -> Any:
    """input [N, C, M] added at index [N, c, M] into zeros [N, C, size]: the transpose of :func:`take_positions`."""
    return _PUT_POSITIONS[input.dtype](input, index, size)


def _at_written(g: Any, index: Any, size: Ints, input_shape: Ints) -> Any:
    rank = len(size)
    return reshape_to(take_positions(_rows(g, rank), _rows(index, rank)), shape=input_shape)


@primitive(input=_at_written)
def write_positions(input: Any, index: Any, *, size: Ints) -> Any:
    """input [..., *space] written at int64 index [..., *space] into zeros [..., *size]; an index counts through
    ``size``, and where several elements have one index the last is what remains.

    The gradient is PyTorch's: each of them gets that of the place.
    """
    lead, volume = input.shape[: input.ndim - len(size)], math.prod(size)
    out, rows = np.zeros(lead + size, input.dtype), math.prod(lead)
    at = index.reshape(rows, math.prod(index.shape[len(lead) :]))
    out.reshape(-1)[at + np.arange(rows)[:, None] * volume] = input.reshape(at.shape)
    return out


# ------------------------------------------------------------------------------------------------------------- windows
# Windows are made once per setting and remembered: nothing writes to them.


def pooled_size(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows there are; with ``ceil_mode`` a last one may reach over the end, but not start there."""
    span = n + 2 * padding - dilation * (kernel - 1) - 1
    out = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    return out - 1 if ceil_mode and (out - 1) * stride >= n + padding else out


@functools.lru_cache(maxsize=1024)
def max_windows(n: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[Any, Any, int]:
    """The windows of a maximum in one dimension; what lies in the padding is not looked at."""
    first = np.arange(out) * stride - padding
    last = np.minimum(first + (kernel - 1) * dilation + 1, n)
    skipped = -(np.minimum(first, 0) // dilation)  # of a window's places, those before the beginning
    return first + skipped * dilation, last, dilation


@functools.lru_cache(maxsize=1024)
def sum_windows(n: int, out: int, kernel: int, stride: int, padding: int) -> tuple[Any, Any, Any]:
    """The windows of a sum in one dimension, cut at the ends."""
    start = np.arange(out) * stride - padding
    first = np.clip(start, 0, n)
    return first, np.clip(start + kernel, first, n), np.ones((out, kernel))


@functools.lru_cache(maxsize=1024)
def mean_windows(
    n: int, out: int, kernel: int, stride: int, padding: int, count_include_pad: bool
) -> tuple[Any, Any, Any]:
    """The windows of :func:`sum_windows`, weighted to a mean; zeros of the padding may count."""
    first, last, ones = sum_windows(n, out, kernel, stride, padding)
    start = np.arange(out) * stride - padding
    count = np.minimum(start + kernel, n + padding) - start if count_include_pad else last - first
    return first, last, ones / np.maximum(count, 1)[:, None]


@functools.lru_cache(maxsize=1024)
def adaptive_windows(n: int, out: int) -> tuple[Any, Any, Any]:
    """``out`` windows over ``n`` elements, as equal as can be, weighted to a mean: floor(i n / out) to
    ceil((i + 1) n / out)."""
    first = np.arange(out) * n // max(out, 1)
    last = -(-np.arange(1, out + 1) * n // max(out, 1))
    ones = np.ones((out, int(np.max(last - first, initial=1))))
    return first, last, ones / np.maximum(last - first, 1)[:, None]
