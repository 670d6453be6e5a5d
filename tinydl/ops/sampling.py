"""Images and volumes read at the points of a grid: a fused operation, and its definition in others."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import where
from tinydl.ops.losses import plain
from tinydl.ops.pool import take_positions
from tinydl.ops.resample import cubic_weights
from tinydl.ops.shaping import reshape_to
from tinydl.ops.slicing import take_slice

_FORWARD = by_dtype("grid_sample_forward")
_BACKWARD = by_dtype("grid_sample_backward")


def _weights(u: Any, n: int, interpolation: str, padding: str, align: bool) -> tuple[Any, ...]:
    """The weights of a coordinate's neighbours."""
    from tinydl.kernels.sampling.spec import inside

    if interpolation == "nearest":  # one, and a gradient of zero
        return (where(np.zeros(u.shape, np.bool_), u, np.ones(u.shape, u.dtype)),)
    at = (u + 1) * ((n - 1) / 2) if align else ((u + 1) * n - 1) * 0.5
    place = plain(at)
    if interpolation == "bicubic":
        return cubic_weights(at - np.floor(place))
    moved, slope = inside(place, n, padding, align)
    share = at * slope + (moved - np.floor(moved) - place * slope)  # where it is moved to the border, a constant
    return 1 - share, share


def grid_sample_definition(input: Any, grid: Any, *, interpolation: str, padding: str, align: bool) -> Any:
    """The weighted mean of each point's neighbours; :mod:`tinydl.kernels.sampling.spec` has the equations."""
    from tinydl.kernels.sampling.spec import neighbours

    (B, C), space, out = input.shape[:2], tuple(input.shape[2:]), tuple(grid.shape[1:-1])
    rank, points = len(space), reshape_to(grid, shape=(grid.shape[0], math.prod(out), len(space)))
    axes = []
    for dim, n in enumerate(space):
        u = take_slice(points, index=(slice(None), slice(None), rank - 1 - dim))
        indices = [index for index, _, _ in neighbours(plain(u), n, interpolation, padding, align)]
        axes.append(list(zip(indices, _weights(u, n, interpolation, padding, align))))
    flat = reshape_to(input, shape=(B, C, math.prod(space)))
    result: Any = None
    for chosen in itertools.product(*axes):
        place: Any = 0
        there: Any = True
        share: Any = None
        for n, (index, weight) in zip(space, chosen):
            place, there = place * n + index, there & (index >= 0)
            share = weight if share is None else share * weight
        seen = take_positions(flat, np.where(there, place, -1)[:, None, :])
        seen = seen * reshape_to(share, shape=(B, 1, math.prod(out)))
        result = seen if result is None else result + seen
    return reshape_to(result, shape=(B, C, *out))


def _gradients(
    needs: tuple[bool, ...], g: Any, input: Any, grid: Any, interpolation: str, padding: str, align: bool
) -> tuple[Any, ...]:
    return _BACKWARD[input.dtype](g, input, grid, interpolation, padding, align)  # type: ignore[no-any-return]


@primitive(composite=grid_sample_definition, joint=_gradients)
def grid_sample(input: Any, grid: Any, *, interpolation: str, padding: str, align: bool) -> Any:
    """``input`` [B, C, *space] at the points ``grid`` [B, *out, R] of the same dtype -> [B, C, *out]."""
    return _FORWARD[input.dtype](input, grid, interpolation, padding, align)
