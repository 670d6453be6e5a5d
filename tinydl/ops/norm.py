"""Layer normalisation as a fused operation."""

from __future__ import annotations

from typing import Any

from tinydl.autograd.primitives import primitive
from tinydl.kernels import lookup
from tinydl.ops.elementwise import rsqrt, square
from tinydl.ops.reducing import reduce_sum


def layer_norm_definition(input: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimension (Ba, Kiros and Hinton, arXiv:1607.06450)."""
    d = max(input.shape[-1], 1)
    centred = input - reduce_sum(input, axis=(-1,), keepdims=True) / d
    variance = reduce_sum(square(centred), axis=(-1,), keepdims=True) / d
    y = centred * rsqrt(variance + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def _gradients(
    needs: tuple[bool, ...], g: Any, input: Any, weight: Any, bias: Any, mean: Any, rstd: Any
) -> tuple[Any, ...]:
    d = input.shape[-1]
    kernel = lookup("layer_norm_backward", "cpu", input.dtype)
    rows = len(mean)
    dx, dweight, dbias = kernel(g.reshape(rows, d), input.reshape(rows, d), weight, mean, rstd)
    return dx.reshape(input.shape), None if weight is None else dweight, None if bias is None else dbias


@primitive(outputs=("output", "mean", "rstd"), aux=("mean", "rstd"), composite=layer_norm_definition, joint=_gradients)
def layer_norm(input: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """``input`` [..., D] normalised over its last dimension; ``weight`` and ``bias`` [D] of its dtype, or None."""
    d = input.shape[-1]
    rows = input.size // d if d else int(input.size)
    kernel = lookup("layer_norm_forward", "cpu", input.dtype)
    y, mean, rstd = kernel(input.reshape(rows, d), weight, bias, eps)
    return y.reshape(input.shape), mean, rstd
