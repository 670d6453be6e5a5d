"""Normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinydl.nn.functional.checks import one_dtype
from tinydl.ops import norm as _norm
from tinydl.tensor import Tensor


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance over the last ``len(normalized_shape)``
    dimensions.

    ``input`` [..., *normalized_shape]; ``weight`` and ``bias`` of that shape, or None. The variance is the biased one.
    Ba, Kiros and Hinton, arXiv:1607.06450. Raises RuntimeError, naming both shapes, when the last dimensions differ.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"layer_norm: given normalized_shape={list(shape)}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], but got input of size {list(input.shape)}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise RuntimeError(
                f"layer_norm: expected {name} to be of same shape as normalized_shape {list(shape)}, but got "
                f"{list(parameter.shape)}"
            )
    one_dtype("layer_norm", input=input, weight=weight, bias=bias)
    if len(shape) == 1:
        return _norm.layer_norm(input, weight, bias, eps=eps)  # type: ignore[no-any-return]
    size = math.prod(shape)
    flat = input.reshape(*input.shape[: -len(shape)], size)
    weight = None if weight is None else weight.reshape(size)
    bias = None if bias is None else bias.reshape(size)
    normalized: Tensor = _norm.layer_norm(flat, weight, bias, eps=eps).reshape(input.shape)
    return normalized
