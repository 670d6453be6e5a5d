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
_RMS_NORM_BACKWARD = by_dtype("rms_norm_backward")
_RMS_NORM_FORWARD = by_dtype("rms_norm_forward")
_BATCH_NORM_BACKWARD = by_dtype("batch_norm_backward")
_BATCH_NORM_FORWARD = by_dtype("batch_norm_forward")
_FIXED_NORM_BACKWARD = by_dtype("fixed_norm_backward")
_FIXED_NORM_FORWARD = by_dtype("fixed_norm_forward")
_GROUP_NORM_BACKWARD = by_dtype("group_norm_backward")
_GROUP_NORM_FORWARD = by_dtype("group_norm_forward")


def _rows(array: Any, dims: int) -> Any:
    """[..., *normalized] as [N, D]: the last ``dims`` dimensions are one."""
    shape = array.shape
    if len(shape) == 2 and dims == 1:
        return array
    return array.reshape(math.prod(shape[: len(shape) - dims]), math.prod(shape[len(shape) - dims :]))


def _line(parameter: Any) -> Any:
    return parameter if parameter is None or len(parameter.shape) == 1 else parameter.reshape(-1)


def _like(array: Any, other: Any) -> Any:
    return array if array.shape == other.shape else array.reshape(other.shape)


def _shaped(gradient: Any, parameter: Any) -> Any:
    return None if parameter is None else _like(gradient, parameter)


def layer_norm_definition(input: Any, weight: Any, bias: Any, *, eps: float, dims: int = 1) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions (Ba, Kiros and Hinton,
    arXiv:1607.06450)."""
    axes = tuple(range(-dims, 0))
    d = max(math.prod(input.shape[-dims:]), 1)
    centred = input - reduce_sum(input, axis=axes, keepdims=True) / d
    variance = reduce_sum(square(centred), axis=axes, keepdims=True) / d
    y = centred * rsqrt(variance + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def _layer_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, weight: Any, bias: Any, mean: Any, rstd: Any, dims: int
) -> tuple[Any, ...]:
    kernel = _LAYER_NORM_BACKWARD[input.dtype]
    dx, dweight, dbias = kernel(_rows(g, dims), _rows(input, dims), _line(weight), mean, rstd)
    return _like(dx, input), _shaped(dweight, weight), _shaped(dbias, bias)


@primitive(
    outputs=("output", "mean", "rstd"), aux=("mean", "rstd"), composite=layer_norm_definition, joint=_layer_gradients
)
def layer_norm(input: Any, weight: Any, bias: Any, *, eps: float, dims: int = 1) -> Any:
    """``input`` [..., *normalized] normalised over its last ``dims`` dimensions; ``weight`` and ``bias`` of their
    shape and of its dtype, or None."""
    y, mean, rstd = _LAYER_NORM_FORWARD[input.dtype](_rows(input, dims), _line(weight), _line(bias), eps)
    return _like(y, input), mean, rstd


def rms_norm_definition(input: Any, weight: Any, *, eps: float, dims: int = 1) -> Any:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang and Sennrich, arXiv:1910.07467)."""
    power = reduce_sum(square(input), axis=tuple(range(-dims, 0)), keepdims=True)
    y = input * rsqrt(power / max(math.prod(input.shape[-dims:]), 1) + eps)
    return y if weight is None else y * weight


def _rms_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, weight: Any, scale: Any, dims: int
) -> tuple[Any, ...]:
    kernel = _RMS_NORM_BACKWARD[input.dtype]
    dx, dweight = kernel(_rows(g, dims), _rows(input, dims), _line(weight), scale)
    return _like(dx, input), _shaped(dweight, weight)


@primitive(outputs=("output", "scale"), aux=("scale",), composite=rms_norm_definition, joint=_rms_gradients)
def rms_norm(input: Any, weight: Any, *, eps: float, dims: int = 1) -> Any:
    """``input`` [..., *normalized] over the root mean square of its last ``dims`` dimensions, times ``weight`` of their
    shape, or None."""
    y, scale = _RMS_NORM_FORWARD[input.dtype](_rows(input, dims), _line(weight), eps)
    return _like(y, input), scale


# ------------------------------------------------------------------------------------------------ channels and groups


def _places(array: Any) -> Any:
    """[B, C, ...] as [B, C, L]."""
    shape = array.shape
    return array if len(shape) == 3 else array.reshape(shape[0], shape[1], math.prod(shape[2:]))


def _per_channel(parameter: Any, ndim: int) -> Any:
    """[C] as [C, 1, ...], beside [B, C, ...]."""
    return reshape_to(parameter, shape=(parameter.shape[0],) + (1,) * (ndim - 2))


def _affine(y: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        y = y * _per_channel(weight, y.ndim)
    return y if bias is None else y + _per_channel(bias, y.ndim)


def _standardised(input: Any, axes: tuple[int, ...], eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) over ``axes``."""
    count = max(math.prod(input.shape[a] for a in axes), 1)
    centred = input - reduce_sum(input, axis=axes, keepdims=True) / count
    return centred * rsqrt(reduce_sum(square(centred), axis=axes, keepdims=True) / count + eps)


def batch_norm_definition(input: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance of each channel over batch and places
    (Ioffe and Szegedy, arXiv:1502.03167)."""
    return _affine(_standardised(input, (0, *range(2, input.ndim)), eps), weight, bias)


def _batch_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, weight: Any, bias: Any, mean: Any, variance: Any, eps: float
) -> tuple[Any, ...]:
    kernel = _BATCH_NORM_BACKWARD[input.dtype]
    dx, dweight, dbias = kernel(_places(g), _places(input), weight, mean, variance, eps)
    return _like(dx, input), None if weight is None else dweight, None if bias is None else dbias


@primitive(
    outputs=("output", "mean", "variance"),
    plain="mean variance",
    composite=batch_norm_definition,
    joint=_batch_gradients,
)
def batch_norm(input: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """``input`` [B, C, ...] with each channel normalised; ``weight`` and ``bias`` [C] of its dtype, or None.

    The mean and the biased variance of each channel come too, without derivative: running averages are made of them.
    """
    y, mean, variance = _BATCH_NORM_FORWARD[input.dtype](_places(input), weight, bias, eps)
    return _like(y, input), mean, variance


def fixed_norm_definition(input: Any, mean: Any, variance: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias with the mean and the variance of each channel given."""
    y = (input - _per_channel(mean, input.ndim)) * _per_channel(rsqrt(variance + eps), input.ndim)
    return _affine(y, weight, bias)


def _fixed_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float
) -> tuple[Any, ...]:
    kernel = _FIXED_NORM_BACKWARD[input.dtype]
    dx, dweight, dbias = kernel(_places(g), _places(input), mean, variance, weight, eps)
    return _like(dx, input), None, None, None if weight is None else dweight, None if bias is None else dbias


@primitive(composite=fixed_norm_definition, joint=_fixed_gradients, constants="mean variance")
def fixed_norm(input: Any, mean: Any, variance: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    """``input`` [B, C, ...] with each channel normalised by the ``mean`` and the ``variance`` [C] that are given;
    ``weight`` and ``bias`` [C], or None; all of one dtype."""
    return _like(_FIXED_NORM_FORWARD[input.dtype](_places(input), mean, variance, weight, bias, eps), input)


def group_norm_definition(input: Any, weight: Any, bias: Any, *, groups: int, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance of each group of channels of an image
    (Wu and He, arXiv:1803.08494)."""
    B, C = input.shape[:2]
    grouped = reshape_to(input, shape=(B, groups, C // groups * math.prod(input.shape[2:])))
    return _affine(reshape_to(_standardised(grouped, (2,), eps), shape=input.shape), weight, bias)


def _group_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, weight: Any, bias: Any, mean: Any, variance: Any, groups: int,
    eps: float,
) -> tuple[Any, ...]:  # fmt: skip
    kernel = _GROUP_NORM_BACKWARD[input.dtype]
    dx, dweight, dbias = kernel(_places(g), _places(input), weight, mean, variance, groups, eps)
    return _like(dx, input), None if weight is None else dweight, None if bias is None else dbias


@primitive(
    outputs=("output", "mean", "variance"),
    plain="mean variance",
    composite=group_norm_definition,
    joint=_group_gradients,
)
def group_norm(input: Any, weight: Any, bias: Any, *, groups: int, eps: float) -> Any:
    """``input`` [B, C, ...] with each group of channels of each image normalised; ``weight`` and ``bias`` [C] or None.

    The mean and the biased variance of each group [B, groups] come too, without derivative.
    """
    y, mean, variance = _GROUP_NORM_FORWARD[input.dtype](_places(input), weight, bias, groups, eps)
    return _like(y, input), mean, variance
