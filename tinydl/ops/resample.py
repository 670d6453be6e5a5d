"""Windows of interpolation: which neighbours, with which weights, make each new position of one dimension.

An interpolated image is a weighted window sum (:func:`tinydl.ops.pool.window_sum`), one dimension's weights times
another's; its gradient is the transposed sum. A position outside is the nearest one inside: its weight is added there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Window = tuple[Any, Any, Any]  # first, last, weights

_CUBIC = -0.75  # the free slope of the cubic kernel, as PyTorch's and OpenCV's; -0.5 is Keys'


def _ratio(n: int, out: int, align_corners: bool, factor: float | None) -> float:
    """How far apart new positions are, in old ones."""
    if align_corners:
        return (n - 1) / (out - 1) if out > 1 else 0.0
    return 1.0 / factor if factor else n / out


def _folded(first: Any, weights: Any, n: int) -> Window:
    """Windows first[i], first[i] + 1, ... cut to [0, n), what lies outside added to the end next to it."""
    width = weights.shape[1]
    start = np.clip(first, 0, max(n - width, 0))
    places = np.clip(first[:, None] + np.arange(width), 0, n - 1) - start[:, None]
    folded = np.zeros((len(first), min(width, n)))
    np.add.at(folded, (np.arange(len(first))[:, None], places), weights)
    return start, start + folded.shape[1], folded


@functools.lru_cache(maxsize=1024)
def nearest(n: int, out: int, exact: bool, factor: float | None) -> Window:
    """The element at floor(i ratio), or with ``exact`` at floor((i + 1/2) ratio): in float32, as PyTorch rounds it."""
    ratio = np.float32(_ratio(n, out, False, factor))
    at = np.floor((np.arange(out, dtype=np.float32) + np.float32(0.5 if exact else 0.0)) * ratio)
    first = np.minimum(at.astype(np.int64), n - 1)
    return first, first + 1, np.ones((out, 1))


@functools.lru_cache(maxsize=1024)
def linear(n: int, out: int, align_corners: bool, factor: float | None) -> Window:
    """The two neighbours of i ratio (of (i + 1/2) ratio - 1/2 where ends of pixels and not their centres align)."""
    ratio, i = _ratio(n, out, align_corners, factor), np.arange(out)
    source = i * ratio if align_corners else np.maximum((i + 0.5) * ratio - 0.5, 0.0)
    first = np.minimum(np.floor(source).astype(np.int64), n - 1)
    share = np.clip(source - first, 0.0, 1.0)
    return _folded(first, np.stack([1 - share, share], axis=1), n)


@functools.lru_cache(maxsize=1024)
def cubic(n: int, out: int, align_corners: bool, factor: float | None) -> Window:
    """Four neighbours, weighted by Keys' cubic convolution (IEEE Trans. ASSP 29, 1981) with the slope -3/4."""
    ratio, i = _ratio(n, out, align_corners, factor), np.arange(out)
    source = i * ratio if align_corners else (i + 0.5) * ratio - 0.5
    first = np.floor(source).astype(np.int64)
    return _folded(first - 1, np.stack(cubic_weights(source - first), axis=1), n)


def cubic_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """The weights of the four neighbours of a place at ``t`` in [0, 1) between the middle two; arrays or Tensors."""
    a = _CUBIC

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _triangle(x: Any) -> Any:
    return np.maximum(1 - np.abs(x), 0.0)


def _keys(x: Any) -> Any:
    """The cubic kernel with Keys' own slope, which PyTorch's filters have, for abs(x) <= 2."""
    x, a = np.abs(x), -0.5
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, far)


@functools.lru_cache(maxsize=1024)
def smoothed(n: int, out: int, mode: str, align_corners: bool, factor: float | None) -> Window:
    """The kernel of linear or cubic interpolation stretched over the old positions that a new one stands for: what
    is made smaller is smoothed first (as the library Pillow does)."""
    kernel: Callable[[Any], Any] = _triangle if mode == "bilinear" else _keys
    ratio = _ratio(n, out, align_corners, factor)
    stretch = max(ratio, 1.0)
    support = (1.0 if mode == "bilinear" else 2.0) * stretch
    centre = (np.arange(out) + 0.5) * ratio
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), n)
    places = np.arange(math.ceil(support) * 2 + 1)
    weights = kernel((places + first[:, None] - centre[:, None] + 0.5) / stretch)
    weights = np.where(places < (last - first)[:, None], weights, 0.0)
    return first, last, weights / weights.sum(axis=1, keepdims=True)
