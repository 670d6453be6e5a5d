"""Dtype and identity: ``cast``, ``alike``, ``identity``, ``clone``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive


@primitive(input=lambda g, input_dtype: cast(g, dtype=input_dtype))
def cast(input: Any, *, dtype: Any) -> Any:
    """``input`` in another dtype; the gradient returns in the input's own."""
    return input.astype(dtype)


@primitive(input=lambda g, device, home: move(g, device=home, home=device))
def move(input: Any, *, device: Any, home: Any) -> Any:
    """``input``, which is on the device ``home``, on another; the gradient comes back."""
    from tinydl.elsewhere import moved

    out = moved(input, device)
    return input.copy() if out is input else out


def held(value: Any, dtype: Any) -> Any:
    """A number as a 0-d array; RuntimeError, in PyTorch's words, for one that the dtype has not."""
    try:
        return np.array(value, dtype)
    except (OverflowError, ValueError):
        raise RuntimeError(f"value cannot be converted to type {np.dtype(dtype)} without overflow") from None


def alike(*operands: Any) -> list[Any]:
    """``operands`` in the one dtype that PyTorch's table gives them together; numbers become 0-d arrays."""
    want = dtypes.result_type(*operands)
    return [
        (x if x.dtype == want else cast(x, dtype=want))
        if hasattr(x, "dtype") and not isinstance(x, np.generic)
        else held(x, want)
        for x in operands
    ]


@primitive(input=lambda g: g, view=True)
def identity(input: Any) -> Any:
    """``input`` itself, as a node of its own."""
    return input


@primitive(input=lambda g: g)
def clone(input: Any) -> Any:
    """A copy of ``input`` in fresh memory of the same layout; gradients flow through."""
    return np.array(input, order="K", copy=True)


@primitive(input=lambda g: g)
def contiguous(input: Any) -> Any:
    """A copy of ``input`` in row-major order."""
    return np.array(input, order="C", copy=True)
