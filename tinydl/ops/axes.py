"""Dimensions as PyTorch counts and names them: checked, non-negative, ``axis=`` beside ``dim=``; shapes when reduced.

What depends on shapes and dims alone is computed once and remembered (``lru_cache``): a script calls an operation again
and again on the same shapes, and a look into a cache costs 0.1 us where checking costs one or two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

#: Whether an array says if it may be written; those of a GPU always may.
LOCKS = hasattr(np.ndarray, "setflags")


def lock(array: Any) -> None:
    """Let nobody write to an array that many will read, where arrays can be locked."""
    if LOCKS:
        array.flags.writeable = False


remembered = functools.lru_cache(maxsize=4096, typed=True)


@remembered
def one_axis(dim: int, ndim: int) -> int:
    """One dimension, checked and non-negative."""
    if not isinstance(dim, (int, np.integer)):
        raise TypeError(f"dim must be an integer or a tuple of integers, got {type(dim).__name__}")
    limit = ndim or 1
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    return int(dim) % limit


def axis_of(dim: Any, ndim: int) -> Any:
    """``dim`` as NumPy's axis: checked, non-negative; None and () mean all."""
    if dim is None:
        return None
    if type(dim) is int and -ndim <= dim < ndim:
        return (dim if dim >= 0 else dim + ndim,)  # the usual case
    return _axes(tuple(dim) if isinstance(dim, (tuple, list)) else (dim,), ndim)


@remembered
def _axes(dims: tuple[Any, ...], ndim: int) -> Any:
    if not dims:
        return None
    found = [one_axis(d, ndim) for d in dims]
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim {found[0]} appears multiple times in the list of dims")
    if not ndim:
        return ()
    return tuple(found)


def sizes_of(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes (or dims) given one by one or as one sequence, as a tuple of integers."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    for s in shape:
        if type(s) is not int:
            return tuple(int(s) for s in shape)
    return shape  # the usual case


def by_axis(function: F) -> F:
    """``function(..., dim=, keepdim=)`` that takes NumPy's ``axis=`` and ``keepdims=`` too, as those of PyTorch do."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **(by_numpys_names(kwargs) if kwargs else kwargs))

    call.within, call.rename = function, by_numpys_names  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def by_numpys_names(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keywords with NumPy's ``axis`` and ``keepdims`` under PyTorch's names."""
    for name, other in (("axis", "dim"), ("keepdims", "keepdim")):
        if name in kwargs:
            kwargs[other] = kwargs.pop(name)
    return kwargs


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


@remembered
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


@remembered
def reduced(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    """``shape`` without the reduced axes, or with 1 there."""
    if keepdims or not shape:
        return kept(shape, axis)
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(s for i, s in enumerate(shape) if i not in axes)


def one_line(x: Any, axis: Any) -> tuple[Any, int]:
    """An array in which the reduced dimensions are one, and which that is: kernels reduce along one dimension."""
    if not axis:  # of all, or of a number
        return x.reshape(-1), 0
    if len(axis) == 1:
        return x, axis[0]
    order, shape, at = _line(x.shape, axis)
    return (x if order is None else x.transpose(order)).reshape(shape), at


@remembered
def _line(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[Any, tuple[int, ...], int]:
    """An order of dimensions (None: as they are) and a shape in which the reduced ones are one, and which it is."""
    n, first, end = count(shape, axis), min(axis), max(axis) + 1
    if end - first == len(axis):
        return None, (*shape[:first], n, *shape[end:]), first
    rest = [d for d in range(len(shape)) if d not in axis]
    return (*rest, *axis), (*(shape[d] for d in rest), n), len(rest)
