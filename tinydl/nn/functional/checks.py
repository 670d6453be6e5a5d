"""Checks that several functions share."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.tensor import Tensor


def one_dtype(name: str, **tensors: Tensor | None) -> None:
    """Refuse inputs and parameters of several dtypes."""
    given = {what: tensor.dtype for what, tensor in tensors.items() if tensor is not None}
    if len(set(given.values())) > 1:
        listed = ", ".join(f"{what} is {dtype}" for what, dtype in given.items())
        raise RuntimeError(f"{name}: expected one dtype, but {listed}; convert with .to()")


def per_dimension(name: str, what: str, value: Any, rank: int) -> tuple[int, ...]:
    """One integer for all dimensions, or one for each, as a tuple of ``rank``. Raises RuntimeError for another
    number."""
    if isinstance(value, (int, np.integer)):
        return (int(value),) * rank
    values = tuple(int(v) for v in value)
    if len(values) == 1:
        return values * rank
    if len(values) != rank:
        raise RuntimeError(
            f"{name}: {what} must either be a single int, or a tuple of {rank} ints, but got {list(values)}"
        )
    return values
