"""Normalisation as fused operations: of rows, of channels over a batch, of groups of channels."""

from __future__ import annotations

import math
from typing import Any

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import rsqrt, square
from tinydl.ops.reducing import reduce_sum
from tinydl.ops.shaping import reshape_to

_LAYER_NORM_BACKWARD = by_dtype("layer_norm_backward")
_LAYER_NORM_FORWARD = by_dtype("layer_norm_forward")
_BATCH_NORM_BACKWARD = by_dtype("batch_norm_backward")
_BATCH_NORM_FORWARD = by_dtype("batch_norm_forward")
_GROUP_NORM_BACKWARD = by_dtype("group_norm_backward")
_GROUP_NORM_FORWARD = by_dtype("group_norm_forward")


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
    kernel = _LAYER_NORM_BACKWARD[input.dtype]
    rows = len(mean)
    dx, dweight, dbias = kernel(g.reshape(rows, d), input.reshape(rows, d), weight, mean, rstd)
    return dx.reshape(input.shape), None if weight is None else dweight, None if bias is None else dbias


@primitive(outputs=("output", "mean", "rstd"), aux=("mean", "rstd"), composite=layer_norm_definition, joint=_gradients)
def layer_norm(input: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """``input`` [..., D] normalised over its last dimension; ``weight`` and ``bias`` [D] of its dtype, or None."""
    d = input.shape[-1]
    rows = input.size // d if d else int(input.size)
    kernel = _LAYER_NORM_FORWARD[input.dtype]
    y, mean, rstd = kernel(input.reshape(rows, d), weight, bias, eps)
    return y.reshape(input.shape), mean, rstd


# ------------------------------------------------------------------------------------------------ channels and groups


def _per_channel(parameter: Any) -> Any:
    """[C] as [C, 1], beside [B, C, L]."""
    return reshape_to(parameter, shape=(parameter.shape[0], 1))


def _standardised(input: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, shape: Any = None) -> Any:
    """(x - mean) / sqrt(var + eps) over ``axes``, then in ``shape``, times weight plus bias for each channel."""
    count = max(math.prod(input.shape[a] for a in axes), 1)
    centred = input - reduce_sum(input, axis=axes, keepdims=True) / count
    variance = reduce_sum(square(centred), axis=axes, keepdims=True) / count
    y = centred * rsqrt(variance + eps)
    if shape is not None:
        y = reshape_to(y, shape=shape)
    if weight is not None:
        y = y * _per_channel(weight)
    return y if bias is None else y + _per_channel(bias)


def batch_norm_definition(input: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance of each channel over batch and places
    (Ioffe and Szegedy, arXiv:1502.03167)."""
    return _standardised(input, weight, bias, (0, 2), eps)


def _batch_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, weight: Any, bias: Any, mean: Any, variance: Any, eps: float
) -> tuple[Any, ...]:
    arguments = g, input, weight, mean, variance, eps
    dx, dweight, dbias = _BATCH_NORM_BACKWARD[input.dtype](*arguments)
    return dx, None if weight is None else dweight, None if bias is None else dbias


@primitive(
    outputs=("output", "mean", "variance"),
    plain="mean variance",
    composite=batch_norm_definition,
    joint=_batch_gradients,
)
def batch_norm(input: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """``input`` [B, C, L] with each channel normalised; ``weight`` and ``bias`` [C] of its dtype, or None.

    The mean and the biased variance of each channel come too, without derivative: running averages are made of them.
    """
    return _BATCH_NORM_FORWARD[input.dtype](input, weight, bias, eps)


def group_norm_definition(input: Any, weight: Any, bias: Any, *, groups: int, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance of each group of channels of an image
    (Wu and He, arXiv:1803.08494)."""
    B, C, L = input.shape
    grouped = reshape_to(input, shape=(B, groups, C // groups * L))
    return _standardised(grouped, weight, bias, (2,), eps, (B, C, L))


def _group_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, weight: Any, bias: Any, mean: Any, rstd: Any, groups: int
) -> tuple[Any, ...]:
    arguments = g, input, weight, mean, rstd, groups
    dx, dweight, dbias = _GROUP_NORM_BACKWARD[input.dtype](*arguments)
    return dx, None if weight is None else dweight, None if bias is None else dbias


@primitive(
    outputs=("output", "mean", "rstd"), aux=("mean", "rstd"), composite=group_norm_definition, joint=_group_gradients
)
def group_norm(input: Any, weight: Any, bias: Any, *, groups: int, eps: float) -> Any:
    """``input`` [B, C, L] with each group of channels of each image normalised; ``weight`` and ``bias`` [C] or None."""
    return _GROUP_NORM_FORWARD[input.dtype](input, weight, bias, groups, eps)
