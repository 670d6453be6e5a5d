"""Dimensions: PyTorch's ``dim`` checked and made NumPy's ``axis``, and what reducing does to a shape."""

from __future__ import annotations

from typing import Any

import numpy as np


def axis_of(dim: Any, ndim: int) -> Any:
    """``dim`` as NumPy's axis: checked, non-negative; None and () mean all."""
    if dim is None:
        return None
    if type(dim) is int and -ndim <= dim < ndim:
        return (dim if dim >= 0 else dim + ndim,)  # the usual case
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if not dims:
        return None
    found = []
    for d in dims:
        if not isinstance(d, (int, np.integer)):
            raise TypeError(f"dim must be an integer or a tuple of integers, got {type(d).__name__}")
        limit = ndim or 1
        if not -limit <= d < limit:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {d})"
            )
        if ndim:
            found.append(int(d) % ndim)
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim {found[0]} appears multiple times in the list of dims")
    return tuple(found)


def one_axis(dim: int, ndim: int) -> int:
    """One dimension, checked and non-negative."""
    axis = axis_of(dim, ndim)
    return int(axis[0]) if axis else 0


def pick_dim(dim: Any, axis: Any) -> Any:
    """``dim``, or ``axis``, its other name."""
    return dim if axis is None else axis


def needed_dim(name: str, dim: Any, axis: Any) -> Any:
    """``dim``, or ``axis``, its other name; one must be given."""
    if axis is not None:
        return axis
    if dim is None:
        raise TypeError(f"{name}() missing 1 required positional argument: 'dim'")
    return dim


def kept(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """``shape`` with 1 at every reduced axis."""
    if axis is None:
        return (1,) * len(shape)
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))} if shape else set()
    return tuple(1 if i in axes else s for i, s in enumerate(shape))


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements are reduced to one."""
    n = 1
    for a in range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,):
        n *= shape[a] if shape else 1
    return n


def reduced(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    """``shape`` without the reduced axes, or with 1 there."""
    if keepdims or not shape:
        return kept(shape, axis)
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(s for i, s in enumerate(shape) if i not in axes)
