"""Checks that several functions share."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinydl.random import Generator, default_generator
from tinydl.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def drawing_from(generator: Generator | None) -> Generator:
    """The generator that was given, or tinydl's default one."""
    return default_generator if generator is None else generator


def one_dtype(name: str, **tensors: Tensor | None) -> None:
    """Refuse inputs and parameters of several dtypes."""
    given = {what: tensor.dtype for what, tensor in tensors.items() if tensor is not None}
    if len(set(given.values())) > 1:
        listed = ", ".join(f"{what} is {dtype}" for what, dtype in given.items())
        raise RuntimeError(f"{name}: expected one dtype, but {listed}; convert with .to()")


def same_shape(name: str, input: Tensor, target: Tensor) -> None:
    """Refuse an input and a target of two shapes, which would broadcast: mostly a mistake."""
    if input.array.shape != target.array.shape:
        raise ValueError(
            f"{name}: the input has shape {tuple(input.shape)} and the target {tuple(target.shape)}; expand one"
        )


def checked_reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """``reduction`` if it is one; the two flags that it replaced are understood, with PyTorch's warning."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=3,
        )
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'")
    return reduction


def _of_each(count: int) -> Callable[[Any], tuple[Any, ...]]:
    """What makes a tuple of ``count`` equal values of one, and leaves a sequence as it is."""
    return lambda x: tuple(x) if isinstance(x, Iterable) else (x,) * count


# PyTorch's helpers in nn.modules.utils, which layers of users' own borrow.
_single, _pair, _triple, _quadruple = map(_of_each, (1, 2, 3, 4))


def whole_numbers(name: str, what: str, value: Any) -> tuple[int, ...]:
    """One integer or several as a tuple. Raises TypeError for anything else."""
    try:
        return tuple(map(operator.index, (value,) if isinstance(value, (int, np.integer)) else value))
    except TypeError:
        raise TypeError(f"{name}: argument {what!r} must be an int or a tuple of ints, not {value!r}") from None


def per_dimension(name: str, what: str, value: Any, rank: int) -> tuple[int, ...]:
    """One integer for all dimensions, or one for each, as a tuple of ``rank``. Raises RuntimeError for another
    number."""
    values = whole_numbers(name, what, value)
    if len(values) == 1:
        return values * rank
    if len(values) != rank:
        raise RuntimeError(
            f"{name}: {what} must either be a single int, or a tuple of {rank} ints, but got {list(values)}"
        )
    return values
