"""Checks that several functions share."""

from __future__ import annotations

from tinydl.tensor import Tensor


def one_dtype(name: str, **tensors: Tensor | None) -> None:
    """Refuse inputs and parameters of several dtypes."""
    given = {what: tensor.dtype for what, tensor in tensors.items() if tensor is not None}
    if len(set(given.values())) > 1:
        listed = ", ".join(f"{what} is {dtype}" for what, dtype in given.items())
        raise RuntimeError(f"{name}: expected one dtype, but {listed}; convert with .to()")
