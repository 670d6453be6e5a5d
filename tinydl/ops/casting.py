"""Dtype and identity: ``cast``, ``identity``, ``clone``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive


@primitive(input=lambda g, input_dtype: cast(g, dtype=input_dtype))
def cast(input: Any, *, dtype: Any) -> Any:
    """``input`` in another dtype; the gradient returns in the input's own."""
    return input.astype(dtype)


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
