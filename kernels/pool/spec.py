"""Pooling and resampling: what a window of the input gives to a position of the output.

Arrays are [..., D, H, W], planes of one, two or three dimensions; ``windows`` holds one entry for each, and window i of
a dimension lies in ``first[i] <= position < last[i]``.

``max_pool(x, windows) -> (y [..., d, h, w], index)``, with ``windows`` of (first, last, step)
    The greatest element that each window sees at first, first + step, ..., and its place in the plane, int64. The
    first of equal ones; a NaN is greater than all, and the last NaN is it, as in PyTorch. A window that sees nothing
    (``last <= first``) has -inf, and -1 for a place.

``window_sum(x, windows) -> y [..., d, h, w]``, with ``windows`` of (first, last, weight [n, T] float64)
    y[i, j, k] = sum over windows of weight_d[i, p - first_d[i]] weight_h[...] weight_w[...] x[p, q, r]. With weights of
    one it is the sum of a pool, with those of two neighbours linear interpolation, of four cubic interpolation.

``window_spread(g, windows, size) -> x [..., *size]``
    Its transpose: each element of g added to the window that it came from.

``take_positions(x [N, C, L], index [N, c, M]) -> [N, C, M]``, c = C or 1
    x[n, c, index[n, c, m]], and 0 where the index is -1 (outside).

``put_positions(g [N, C, M], index [N, c, M], size) -> [N, C, size]``
    Its transpose: elements of g added up at their index.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]
Ints = tuple[int, ...]
Windows = tuple[tuple[Any, Any, Any], ...]

# Against the float64 reference, relative to the largest value.
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


_POINT = np.zeros(1, np.int64), np.ones(1, np.int64)  # the one window of a dimension that is not there
_ONE = np.ones((1, 1))


def in_three(shape: Ints, windows: Windows) -> tuple[Ints, Windows, Ints]:
    """The shape of all planes [N, D, H, W] with sizes of 1 in front, windows of three dimensions, and the shape of the
    result as it is."""
    rank = len(windows)
    lead, space = shape[: len(shape) - rank], shape[len(shape) - rank :]
    point = (*_POINT, 1 if isinstance(windows[0][2], (int, np.integer)) else _ONE)
    planes = (math.prod(lead), *(1,) * (3 - rank), *space)
    return planes, (point,) * (3 - rank) + windows, lead + tuple(len(first) for first, _, _ in windows)


@register(op="max_pool", name="numpy")
def max_pool(x: Array, windows: Windows) -> tuple[Array, NDArray[np.int64]]:
    """One comparison of all positions per place in the window; see the head of the file."""
    planes, windows, shape = in_three(x.shape, windows)
    x, out = x.reshape(planes), tuple(len(first) for first, _, _ in windows)
    (D, H, W) = x.shape[1:]
    best, index = np.full((len(x), *out), -np.inf, x.dtype), np.full((len(x), *out), -1)
    lengths = [int(np.max((last - first + step - 1) // step, initial=0)) for first, last, step in windows]
    for number, taps in enumerate(itertools.product(*map(range, lengths))):
        at = [first + tap * step for tap, (first, _, step) in zip(taps, windows)]
        inside = [a < last for a, (_, last, _) in zip(at, windows)]
        d, h, w = (np.where(i, a, 0) for i, a in zip(inside, at))
        seen = x[:, d[:, None, None], h[:, None], w]
        wins = (seen > best) | (seen != seen) | (number == 0)  # only NaN differs from itself
        wins &= inside[0][:, None, None] & inside[1][:, None] & inside[2]
        best = np.where(wins, seen, best)
        index = np.where(wins, ((d[:, None, None] * H) + h[:, None]) * W + w, index)
    return best.reshape(shape), index.reshape(shape)


def matrix(first: Array, last: Array, weight: Array, size: int, dtype: Any) -> Array:
    """The windows of one dimension as a matrix [n, size]."""
    place = np.arange(size)
    inside = (place >= first[:, None]) & (place < last[:, None])
    if not weight.shape[1]:
        return np.zeros((len(first), size), dtype)
    tap = np.clip(place - first[:, None], 0, weight.shape[1] - 1)
    return np.where(inside, np.take_along_axis(weight, tap, axis=1), 0).astype(dtype)


@register(op="window_sum", name="numpy")
def window_sum(x: Array, windows: Windows) -> Array:
    """A product of matrices per dimension; see the head of the file."""
    planes, windows, out = in_three(x.shape, windows)
    d, h, w = (matrix(*window, n, x.dtype) for window, n in zip(windows, planes[1:]))
    y: Array = np.einsum("ip,jq,kr,npqr->nijk", d, h, w, x.reshape(planes), optimize=True)
    return np.ascontiguousarray(y).reshape(out)


@register(op="window_spread", name="numpy")
def window_spread(g: Array, windows: Windows, size: Ints) -> Array:
    """A product of matrices per dimension; see the head of the file."""
    shape = g.shape[: g.ndim - len(windows)] + tuple(size)
    planes, windows, _ = in_three(shape, windows)
    d, h, w = (matrix(*window, n, g.dtype) for window, n in zip(windows, planes[1:]))
    g = g.reshape(-1 if g.size else planes[0], len(d), len(h), len(w))
    x: Array = np.einsum("ip,jq,kr,nijk->npqr", d, h, w, g, optimize=True)
    return np.ascontiguousarray(x).reshape(shape)


def _everywhere(index: Array, channels: int) -> tuple[Array, Array, Array]:
    """Planes, channels and positions, each [N, C, M]."""
    N, _, M = index.shape
    shape = (N, channels, M)
    n, c = np.arange(N).reshape(-1, 1, 1), np.arange(channels).reshape(1, -1, 1)
    return np.broadcast_to(n, shape), np.broadcast_to(c, shape), np.broadcast_to(index, shape)


@register(op="take_positions", name="numpy")
def take_positions(x: Array, index: Array) -> Array:
    """By index arrays; see the head of the file."""
    n, c, at = _everywhere(index, x.shape[1])
    if not x.shape[2]:
        return np.zeros(at.shape, x.dtype)
    return np.where(at < 0, x.dtype.type(0), x[n, c, at])


@register(op="put_positions", name="numpy")
def put_positions(g: Array, index: Array, size: int) -> Array:
    """By an indexed add; see the head of the file."""
    n, c, at = _everywhere(index, g.shape[1])
    out = np.zeros((g.shape[0], g.shape[1], size), g.dtype)
    there = at >= 0
    np.add.at(out, (n[there], c[there], at[there]), g[there])
    return out


def flops(x: Array, windows: Windows) -> int:
    """Additions of ``window_sum`` (comparisons of ``max_pool``) when every window is read alone."""
    seen = 1
    for first, last, _ in windows:
        seen *= int(np.sum(last - first))
    return len(x) * seen


def bytes(x: Array, windows: Windows) -> int:
    """Input and output once."""
    out = 1
    for first, _, _ in windows:
        out *= len(first)
    return x.nbytes + len(x) * out * x.itemsize


def samples(dtype: Any = np.float64) -> Iterator[tuple[Array, Windows]]:
    """Arguments of ``window_sum``: overlapping and disjoint windows, gaps, one window over all, none, no planes."""
    rng = np.random.default_rng(3)
    for N, size, out, reach in (
        (2, (1, 7, 9), (1, 3, 4), (1, 3, 2)),
        (3, (4, 5, 6), (2, 2, 3), (2, 3, 4)),
        (1, (1, 1, 40), (1, 1, 40), (1, 1, 5)),
        (2, (1, 6, 6), (1, 1, 1), (1, 6, 6)),
        (0, (1, 4, 4), (1, 2, 2), (1, 2, 2)),
        (2, (2, 3, 3), (0, 2, 2), (1, 2, 2)),
        (40, (1, 33, 35), (1, 17, 18), (1, 3, 3)),
    ):
        windows = []
        for n, m, k in zip(size, out, reach):
            first = np.sort(rng.integers(0, n - k + 1, m))
            last = first + (rng.integers(1, k + 1, m) if k < n else k)  # as long as the dimension: all of it
            windows.append((first, last, rng.standard_normal((m, k))))
        yield rng.standard_normal((N, *size)).astype(dtype), tuple(windows)


# -- cards ------------------------------------------------------------------------------------------------------------


def _stepped(x: Array, windows: Windows) -> tuple[Array, Windows]:
    """The arguments of ``max_pool``: no window is empty, and each reads every element or every second."""
    return x, tuple((first, last, 1 + at % 2) for at, (first, last, _) in enumerate(windows))


def _whole(x: Array, windows: Windows) -> tuple[Array, Windows]:
    """The arguments of ``max_pool`` with every element of each window."""
    return x, tuple((first, last, 1) for first, last, _ in windows)


def _max_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for x, windows in samples(dtype):
        yield _stepped(x, windows)
        yield _stepped(np.round(x), windows)  # ties
        y = x.copy()
        y[..., ::3] = np.nan
        yield _stepped(y, windows)
    x = np.arange(2 * 2 * 3 * 4, dtype=dtype).reshape(2, 2, 3, 4)
    for at, n in enumerate(x.shape[1:]):  # the second window is empty, and the third begins behind the end
        point, three = (np.array([0]), np.array([1]), 1), (np.array([0, 1, n]), np.array([1, 1, n]), 1)
        yield x, (point,) * at + (three,) + (point,) * (2 - at)


def _spread_arguments(x: Array, windows: Windows) -> tuple[Any, ...]:
    shape = (len(x), *(len(first) for first, _, _ in windows))
    return np.random.default_rng(6).standard_normal(shape).astype(x.dtype), windows, x.shape[1:]


def _position_samples(dtype: Any) -> Iterator[tuple[Array, Array]]:
    rng = np.random.default_rng(8)
    for N, C, c, L, M in ((2, 3, 3, 7, 5), (2, 3, 1, 7, 9), (0, 2, 1, 3, 4), (1, 1, 1, 1, 1), (3, 2, 2, 40, 100)):
        yield rng.standard_normal((N, C, L)).astype(dtype), rng.integers(-1, L, (N, c, M))


def _put_arguments(x: Array, index: Array) -> tuple[Any, ...]:
    shape = (*x.shape[:2], index.shape[2])
    return np.random.default_rng(9).standard_normal(shape).astype(x.dtype), index, x.shape[2]


def _halved(planes: int, side: int) -> Callable[[Any], tuple[Array, Windows]]:
    """2 x 2 windows, side by side, of square planes."""

    def case(dtype: Any) -> tuple[Array, Windows]:
        at = np.arange(0, side, 2)
        one = (np.zeros(1, np.int64), np.ones(1, np.int64), np.ones((1, 1)))
        half = (at, at + 2, np.ones((side // 2, 2)))
        return np.random.default_rng(0).standard_normal((planes, 1, side, side)).astype(dtype), (one, half, half)

    return case


_HALVED = {
    f"{b}x{c}x{side}x{side}, 2x2": _halved(b * c, side) for b, c, side in ((1, 8, 16), (8, 32, 32), (32, 64, 64))
}


def _cost(x: Array, index: Array, *_: Any) -> int:
    return int(index.size * x.shape[1] // index.shape[1])


def _images(count: int, size: int) -> Callable[[Any], tuple[Array, Array]]:
    def case(dtype: Any) -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        return rng.standard_normal((count, 16, size)).astype(dtype), rng.integers(0, size, (count, 16, size // 4))

    return case


_IMAGES = {f"{count}x16x{n}, {n // 4}": _images(count, n) for count, n in ((1, 256), (8, 1024), (32, 4096))}


def _turn(turn: Callable[..., Any], make: Callable[[Any], Any], dtype: Any) -> tuple[Any, ...]:
    return turn(*make(dtype))  # type: ignore[no-any-return]


def _turned(
    turn: Callable[..., Any], cases: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Callable[[Any], tuple[Any, ...]]]:
    return {name: functools.partial(_turn, turn, make) for name, make in cases.items()}


_TOLERANCE = {name: 2 * value for name, value in TOLERANCE.items()}
for _card in (
    Card(
        op="max_pool", says="the greatest element of each window, and its place", samples=_max_samples,
        tolerance=_TOLERANCE, flops=flops, bytes=bytes,
        cases=_turned(_whole, _HALVED), rivals={"torch": rivals.max_pool},
    ),
    Card(
        op="window_sum", says="the weighted sum of each window", samples=samples, tolerance=_TOLERANCE, flops=flops,
        bytes=bytes, cases=_HALVED, rivals={"torch": rivals.sum_pool},
    ),
    Card(
        op="window_spread", says="the transpose of window_sum",
        samples=lambda dtype: (_spread_arguments(*a) for a in samples(dtype)), tolerance=_TOLERANCE,
        flops=lambda g, windows, size: flops(g, windows),
        bytes=lambda g, windows, size: g.nbytes + len(g) * int(np.prod(size)) * g.itemsize,
        cases=_turned(_spread_arguments, _HALVED), rivals={"torch": rivals.sum_pool_backward},
    ),
    Card(
        op="take_positions", says="x[n, c, index[n, c, m]]", samples=_position_samples, tolerance=_TOLERANCE,
        flops=_cost, bytes=lambda x, index: index.nbytes + 2 * _cost(x, index) * x.itemsize,
        cases=_IMAGES, rivals={"torch": rivals.function("gather", lambda x, index: (x, 2, index))},
    ),
    Card(
        op="put_positions", says="the transpose of take_positions",
        samples=lambda dtype: (_put_arguments(*a) for a in _position_samples(dtype)), tolerance=_TOLERANCE,
        flops=_cost, bytes=lambda g, index, size: g.nbytes + index.nbytes + g.shape[0] * g.shape[1] * size * g.itemsize,
        cases=_turned(_put_arguments, _IMAGES), rivals={"torch": rivals.scatter_add},
    ),
):  # fmt: skip
    describe(_card)
