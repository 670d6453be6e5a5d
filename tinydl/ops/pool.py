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

_POINT = np.zeros(1, np.int64), np.ones(1, np.int64)  # the one window of a dimension that is not there


_plans: dict[Any, Any] = {}  # by identity: windows are made once per setting


def _plan(shape: Ints, windows: Windows, third: Any) -> tuple[Ints, Windows, Ints, Windows]:
    """For space of ``shape``: that of the planes [N, D, H, W], windows of all three dimensions (the same object each
    time), the shape of the result, and the windows as they were given."""
    found = _plans.get((id(windows), shape))
    if found is None or found[3] is not windows:
        rank = len(windows)
        lead, space = shape[: len(shape) - rank], shape[len(shape) - rank :]
        whole = windows
        if rank < 3:  # one object for all shapes
            known = _plans.get(id(windows))
            if known is None or known[1] is not windows:
                known = _plans[id(windows)] = ((*_POINT, third),) * (3 - rank) + windows, windows
            whole = known[0]
        if len(_plans) >= 4096:
            _plans.clear()
        planes = (math.prod(lead), *(1,) * (3 - rank), *space)
        out = lead + tuple(len(first) for first, _, _ in windows)
        found = _plans[id(windows), shape] = planes, whole, out, windows
    return found


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
    planes, whole, out, _ = _plan(input.shape, windows, 1)
    y, index = _MAX_POOL[input.dtype](input.reshape(planes), whole)
    return y.reshape(out), index.reshape(out)


_BOTH = ("out", "indices")
max_pool: Any = primitive(
    name="max_pool", outputs=_BOTH, plain="indices", smooth=False, input=_max_gradient
)(_maxima)  # fmt: skip
# Without the places, which are a tensor to make.
max_pool_values: Any = primitive(
    name="max_pool_values", outputs=_BOTH, aux=("indices",), smooth=False, input=_max_gradient
)(_maxima)  # fmt: skip


_ONE = np.ones((1, 1))


@primitive(
    input=lambda g, input_shape, windows: window_spread(
        g, windows=windows, size=input_shape[len(input_shape) - len(windows) :]
    )
)
def window_sum(input: Any, *, windows: Windows) -> Any:
    """The weighted sum of each window."""
    planes, whole, out, _ = _plan(input.shape, windows, _ONE)
    return _WINDOW_SUM[input.dtype](input.reshape(planes), whole).reshape(out)


@primitive(input=lambda g, windows: window_sum(g, windows=windows))
def window_spread(input: Any, *, windows: Windows, size: Ints) -> Any:
    """Each element added to its window, with the window's weights: the transpose of :func:`window_sum`."""
    rank = len(windows)
    planes, whole, *_ = _plan(input.shape, windows, _ONE)
    space = (1,) * (3 - rank) + tuple(size)
    x = _WINDOW_SPREAD[input.dtype](input.reshape(planes), whole, space)
    return x.reshape(input.shape[: input.ndim - rank] + tuple(size))


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
