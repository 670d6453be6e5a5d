"""Reading images and volumes at the points of a grid (Jaderberg et al., arXiv:1506.02025).

``grid_sample_forward(x [B, C, *space], grid [B, *out, R], mode, padding, align) -> y [B, C, *out]``
    ``space`` has R = 2 or 3 dimensions of at least one element; the last entry of ``grid``, x, belongs to the last of
    them. A coordinate u in [-1, 1] of a dimension of n elements is the place ``a``::

        a = (u + 1) (n - 1) / 2   where align (-1 and 1 are the centres of the end elements), else
        a = ((u + 1) n - 1) / 2   (-1 and 1 are their outer corners)

    and a place is a weighted mean of its neighbours, the weights of one dimension times those of the others: the one
    at round(a) (``mode`` "nearest"), the two at floor(a) and after it ("bilinear", of volumes too), or the four around
    it by Keys' cubic convolution with the slope -3/4 ("bicubic", of images). ``padding`` says what lies outside:
    "zeros"; "border", the nearest element inside; "reflection", the element mirrored at the centre of the end element
    (align) or at its outer corner.

``grid_sample_backward(g [B, C, *out], x, grid, mode, padding, align) -> (dx, dgrid)``
    Its gradients. A point that was moved to the border does not move the result.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]
Neighbour = tuple[Array, Array, Array]  # index (-1: outside), weight, and the slope of the weight in the coordinate

CUBIC = -0.75  # the free slope of the cubic kernel


def inside(at: Array, n: int, padding: str, align: bool) -> tuple[Array, Array]:
    """Places moved inside as ``padding`` says, and the slope of that: 1, -1 where mirrored, 0 where at the border."""
    slope = np.ones_like(at)
    if padding == "zeros":
        return at, slope
    if padding == "reflection":
        low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
        if not span:
            return np.zeros_like(at), np.zeros_like(at)
        distance = np.abs(at - low)
        flips = np.floor(distance / span)
        beyond, odd = distance - flips * span, flips % 2 == 1
        slope = np.where(odd, -1, 1) * np.where(at < low, -1, 1)
        at = np.where(odd, span - beyond, beyond) + low
    moves = (at > 0) & (at < n - 1)
    # NaN becomes 0, as in PyTorch.
    return np.fmin(np.fmax(at, 0), n - 1), np.where(moves, slope, 0).astype(at.dtype, copy=False)


def _index(place: Array, n: int) -> NDArray[np.int64]:
    return np.where((place >= 0) & (place < n), place, -1).astype(np.int64)


def neighbours(u: Array, n: int, mode: str, padding: str, align: bool) -> list[Neighbour]:
    """Of the coordinates in one dimension, the neighbours."""
    scale = u.dtype.type((n - 1) / 2 if align else n / 2)
    at = (u + 1) * scale - (0 if align else u.dtype.type(0.5))
    if mode == "bicubic":  # the neighbours are moved inside, and not the place
        low, a = np.floor(at), CUBIC
        found = []
        for k in (-1, 0, 1, 2):
            x, sign = np.abs(at - low - k), np.sign(at - low - k)
            near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
            near_slope, far_slope = (3 * (a + 2) * x - 2 * (a + 3)) * x, (3 * a * x - 10 * a) * x + 8 * a
            weight, slope = (near, near_slope) if k in (0, 1) else (far, far_slope)
            found.append((_index(np.rint(inside(low + k, n, padding, align)[0]), n), weight, slope * sign * scale))
        return found
    at, moves = inside(at, n, padding, align)
    if mode == "nearest":
        return [(_index(np.rint(at), n), np.ones_like(at), np.zeros_like(at))]
    low = np.floor(at)
    share, slope = at - low, moves * scale
    return [(_index(low, n), 1 - share, -slope), (_index(low + 1, n), share, slope)]


def _each(x: Array, points: Array, mode: str, padding: str, align: bool) -> Iterator[tuple[Any, ...]]:
    """For every choice of neighbours: their place in the plane [B, M] (-1: outside), and of the dimensions the weights
    and slopes."""
    space = x.shape[2:]
    rank = len(space)
    found = [neighbours(points[..., rank - 1 - d], n, mode, padding, align) for d, n in enumerate(space)]
    for chosen in itertools.product(*found):
        place, there = np.zeros(points.shape[:2], np.int64), np.ones(points.shape[:2], np.bool_)
        for n, (index, _, _) in zip(space, chosen):
            place, there = place * n + index, there & (index >= 0)
        yield np.where(there, place, -1), [w for _, w, _ in chosen], [s for _, _, s in chosen]


def _product(factors: list[Array]) -> Array:
    return functools.reduce(np.multiply, factors)


@register(op="grid_sample_forward", name="numpy")
def grid_sample_forward(x: Array, grid: Array, mode: str, padding: str, align: bool) -> Array:
    """One weighted reading of all points per choice of neighbours; see the head of the file."""
    (B, C), R = x.shape[:2], grid.shape[-1]
    points = grid.reshape(B, math.prod(grid.shape[1:-1]), R)
    planes = x.reshape(B, C, math.prod(x.shape[2:]))
    y = np.zeros((B, C, points.shape[1]), x.dtype)
    for place, weights, _ in _each(x, points, mode, padding, align):
        seen = np.take_along_axis(planes, np.maximum(place, 0)[:, None], 2)
        y += np.where(place[:, None] < 0, 0, seen) * _product(weights)[:, None].astype(x.dtype, copy=False)
    return y.reshape(B, C, *grid.shape[1:-1])


@register(op="grid_sample_backward", name="numpy")
def grid_sample_backward(
    g: Array, x: Array, grid: Array, mode: str, padding: str, align: bool
) -> tuple[Array, Array]:
    """The transpose of each reading, and the slopes of its weights; see the head of the file."""
    (B, C), R = x.shape[:2], grid.shape[-1]
    points = grid.reshape(B, math.prod(grid.shape[1:-1]), R)
    planes, g = x.reshape(B, C, math.prod(x.shape[2:])), g.reshape(B, C, points.shape[1])
    dx, dpoints = np.zeros_like(planes), np.zeros_like(points)
    every = np.arange(B)[:, None, None], np.arange(C)[:, None]
    for place, weights, slopes in _each(x, points, mode, padding, align):
        there, at = place[:, None] >= 0, np.maximum(place, 0)[:, None]
        np.add.at(dx, (*every, at), np.where(there, g * _product(weights)[:, None], 0))
        pull = np.sum(np.where(there, g * np.take_along_axis(planes, at, 2), 0), axis=1)
        for d in range(R):
            dpoints[..., R - 1 - d] += pull * _product([*weights[:d], slopes[d], *weights[d + 1 :]])
    return dx.reshape(x.shape), dpoints.reshape(grid.shape)


# -- cards ------------------------------------------------------------------------------------------------------------


def samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``grid_sample_forward``: every option; points inside, outside and far outside, none of them where a
    rounding of float32 decides; one element, one point, none; views."""
    rng = np.random.default_rng(4)
    for mode, padding, align in itertools.product(TAPS, PADDINGS, (False, True)):
        for B, C, space, out in (
            (2, 3, (4, 5), (3, 7)),
            (1, 1, (1, 1), (2, 2)),
            (2, 2, (6, 1), (1, 9)),
            (0, 2, (3, 3), (2, 2)),
            (3, 2, (7, 9), (0, 4)),
            (2, 2, (3, 4, 5), (2, 3, 4)),
            (1, 3, (2, 1, 6), (1, 1, 5)),
        ):
            if mode == "bicubic" and len(space) == 3:
                continue
            x = rng.standard_normal((B, C, *space)).astype(dtype)
            grid = (rng.integers(-700, 700, (B, *out, len(space))) / 401 + 0.0007).astype(dtype)
            yield x, grid, mode, padding, align
            if B == 2 and C == 3:
                yield x[::-1, :, ::-1], grid[::-1, ::-1], mode, padding, align
                yield np.asfortranarray(x), np.asfortranarray(grid), mode, padding, align


def _with_gradient(x: Array, grid: Array, *options: Any) -> tuple[Any, ...]:
    shape = (*x.shape[:2], *grid.shape[1:-1])
    return np.random.default_rng(5).standard_normal(shape).astype(x.dtype), x, grid, *options


def _back_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for number, arguments in enumerate(samples(dtype)):
        g, *others = _with_gradient(*arguments)
        yield (g if number % 3 else np.asfortranarray(g), *others)


#: By mode, how many neighbours each dimension has; and the paddings.
TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
PADDINGS = ("zeros", "border", "reflection")


def _readings(x: Array, grid: Array, mode: str, *_: Any) -> int:
    return int(grid.size // grid.shape[-1] * x.shape[1] * TAPS[mode] ** grid.shape[-1])


def _images(B: int, C: int, n: int) -> Callable[[Any], tuple[Any, ...]]:
    """Images read at as many points as they have elements, near where those lie."""

    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        line = np.linspace(-1, 1, n)
        grid = np.stack(np.meshgrid(line, line), -1) + 0.1 * rng.standard_normal((B, n, n, 2))
        return rng.standard_normal((B, C, n, n)).astype(dtype), grid.astype(dtype), "bilinear", "zeros", False

    return case


def _case(make: Callable[[Any], tuple[Any, ...]], dtype: Any) -> tuple[Any, ...]:
    return _with_gradient(*make(dtype))


_CASES = {f"{b}x{c}x{n}x{n}": _images(b, c, n) for b, c, n in ((1, 3, 8), (8, 3, 64), (16, 16, 128))}
_TOLERANCE = {"float32": 2e-5, "float64": 1e-13}


def _point_gradient(mode: str) -> Callable[[np.random.Generator], Any]:
    """Arguments with points that no small step moves over a kink."""

    def arguments(rng: np.random.Generator) -> Any:
        grid = (rng.integers(-5, 6, (2, 3, 2, 2)) + rng.uniform(0.2, 0.8, (2, 3, 2, 2))) / 4
        settings = {"interpolation": mode, "padding": "zeros", "align": False}
        return (rng.standard_normal((2, 2, 4, 4)), grid), settings

    return arguments


for _card in (
    Card(
        op="grid_sample_forward", says="x read at the points of a grid", samples=samples, tolerance=_TOLERANCE,
        flops=lambda *a: 2 * _readings(*a),
        bytes=lambda x, grid, *_: x.nbytes + grid.nbytes + grid.nbytes // grid.shape[-1] * x.shape[1],
        cases=_CASES, rivals={"torch": rivals.grid_sample}, serves="tinydl.ops.sampling.grid_sample",
        gradient=[_point_gradient(mode) for mode in TAPS],
    ),
    Card(
        op="grid_sample_backward", says="its gradients", samples=_back_samples, tolerance=_TOLERANCE,
        flops=lambda g, *a: 4 * _readings(*a),
        bytes=lambda g, x, grid, *_: g.nbytes + 2 * x.nbytes + 2 * grid.nbytes,
        cases={name: functools.partial(_case, make) for name, make in _CASES.items()},
        rivals={"torch": rivals.grid_sample_backward}, serves="tinydl.ops.sampling.grid_sample",
        gradient=[_point_gradient(mode) for mode in TAPS],
    ),
):  # fmt: skip
    describe(_card)
