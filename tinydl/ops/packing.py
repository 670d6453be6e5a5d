"""Sequences of different lengths, with and without padding: two operations, each the other's transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive


@primitive(input=lambda g, at, input_shape: pad_steps(g, at=at, sizes=input_shape[:2], value=0))
def pack_steps(input: Any, *, at: Any) -> Any:
    """input[D0, D1, ...] -> [N, ...]: the steps at ``at`` = (int64 [N], int64 [N]), which are N different places."""
    return input[at]


@primitive(input=lambda g, at: pack_steps(g, at=at))
def pad_steps(input: Any, *, at: Any, sizes: Any, value: Any) -> Any:
    """input[N, ...] -> [*sizes, ...]: ``value`` everywhere but at ``at``, where the steps go."""
    out = np.full((*sizes, *input.shape[1:]), value, input.dtype)
    out[at] = input  # the places differ, so nothing has to be added up
    return out
