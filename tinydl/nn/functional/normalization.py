"""Normalisation."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.kernels import by_dtype
from tinydl.nn.functional.checks import one_dtype
from tinydl.ops import elementwise as _elementwise
from tinydl.ops import norm as _norm
from tinydl.ops import pool as _pool
from tinydl.ops.shaping import reshape_result
from tinydl.tensor import Tensor

_MOVING_AVERAGE = by_dtype("moving_average")
_EPS = {np.dtype(dtype): float(np.finfo(dtype).eps) for dtype in (np.float16, np.float32, np.float64)}


def _last(
    name: str, input: Tensor, normalized_shape: int | Sequence[int], **parameters: Tensor | None
) -> tuple[int, ...]:
    """``normalized_shape`` as a tuple; refuses an input that does not end in it, and parameters of another shape."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if input.array.shape[-len(shape) :] == shape and all(
        p is None or (p.array.shape == shape and p.array.dtype is input.array.dtype) for p in parameters.values()
    ):
        return shape
    if not shape or input.array.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"{name}: given normalized_shape={list(shape)}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], but got input of size {list(input.shape)}"
        )
    for what, parameter in parameters.items():
        if parameter is not None and parameter.array.shape != shape:
            raise RuntimeError(
                f"{name}: expected {what} to be of same shape as normalized_shape {list(shape)}, but got "
                f"{list(parameter.shape)}"
            )
    one_dtype(name, input=input, **parameters)
    return shape


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
    shape = _last("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return _norm.layer_norm(input, weight, bias, eps=eps, dims=len(shape))  # type: ignore[no-any-return]


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, the mean over the last ``len(normalized_shape)`` dimensions.

    ``weight`` of ``normalized_shape``, or None; ``eps`` of None is the machine precision of the dtype. Zhang and
    Sennrich, arXiv:1910.07467. Raises RuntimeError, naming both shapes, when the last dimensions differ.
    """
    shape = _last("rms_norm", input, normalized_shape, weight=weight)
    if input.array.dtype.kind != "f":
        raise NotImplementedError(f"rms_norm: not implemented for {input.dtype}; convert the input with .float()")
    small = _EPS[input.array.dtype] if eps is None else eps
    return _norm.rms_norm(input, weight, eps=small, dims=len(shape))  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ channels and groups


def _checked(
    name: str, input: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None = None,
    var: Tensor | None = None,
) -> tuple[int, ...]:  # fmt: skip
    """The input's shape; refuses parameters and running averages that are not one number for each channel, parameters
    of another dtype, and one average without the other."""
    x = input.array
    shape: tuple[int, ...] = x.shape
    each, dtype = shape[1:2], x.dtype
    if (
        len(shape) > 1
        and (weight is None or (weight.array.shape == each and weight.array.dtype is dtype))
        and (bias is None or (bias.array.shape == each and bias.array.dtype is dtype))
        and (mean is None) is (var is None)
        and (mean is None or var is None or mean.array.shape == var.array.shape == each)
    ):
        return shape
    if input.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected at least 2 dimensions for input tensor but received {input.ndim}: {list(shape)}"
        )
    for what, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != each:
            raise RuntimeError(
                f"{name}: Expected {what} to be a vector of size equal to the number of channels in input, but got "
                f"{what} of shape {list(parameter.shape)} and input of shape {list(shape)}"
            )
    one_dtype(name, input=input, weight=weight, bias=bias)
    if (mean is None) != (var is None):
        raise RuntimeError(f"{name}: running_mean and running_var must be given together, or neither of them")
    for what, average in (("running_mean", mean), ("running_var", var)):
        if average is not None and average.shape != each:
            raise RuntimeError(f"{name}: {what} should contain {each[0]} elements not {average.numel()}")
    return shape


def _update(average: Tensor | None, value: Any, momentum: float, factor: float = 1.0) -> None:
    """average = (1 - momentum) average + momentum factor value, in place."""
    if average is not None:
        memory = average.array
        memory[...] = _MOVING_AVERAGE[memory.dtype](memory, value, momentum, factor)
        average.bump()


def _by_running(
    input: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias with given averages, as they are now: they may move before the
    backward."""
    dtype = input.array.dtype
    averages = mean.array.astype(dtype), var.array.astype(dtype)
    return _norm.fixed_norm(input, *averages, weight, bias, eps=eps)  # type: ignore[no-any-return]


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel: ``input`` [B, C, ...] -> the same shape.

    In ``training`` mean and biased variance are those of the channel over the batch, and the running averages move
    towards them, in place: r = (1 - momentum) r + momentum * value, the variance's value being the unbiased one. Else
    they are ``running_mean`` and ``running_var``. Ioffe and Szegedy, arXiv:1502.03167.

    Raises ValueError in training where a channel has one value only, RuntimeError when a parameter or an average has
    not one number for each channel.
    """
    shape = _checked("batch_norm", input, weight, bias, running_mean, running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: running_mean and running_var must be defined in evaluation mode")
        return _by_running(input, running_mean, running_var, weight, bias, eps)
    count = shape[0] * math.prod(shape[2:])
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    y, mean, variance = _norm.batch_norm(input, weight, bias, eps=eps)
    if count and running_mean is not None:
        _update(running_mean, mean.array, momentum)
        _update(running_var, variance.array, momentum, count / (count - 1))
    return y  # type: ignore[no-any-return]


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """:func:`batch_norm` with mean and variance of each channel of each image: ``input`` [B, C, ...].

    With ``use_input_stats`` the running averages move towards the means over the batch of both; else they are used.
    Ulyanov, Vedaldi and Lempitsky, arXiv:1607.08022. Raises ValueError where a channel has one place only.
    """
    shape = _checked("instance_norm", input, weight, bias, running_mean, running_var)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "instance_norm: Expected running_mean and running_var to be defined when use_input_stats=False"
            )
        return _by_running(input, running_mean, running_var, weight, bias, eps)
    places = math.prod(shape[2:])
    if places == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(shape)}")
    if not shape[1]:
        return input
    # Each channel of each image is a group of its own.
    y, mean, variance = _norm.group_norm(input, weight, bias, groups=shape[1], eps=eps)
    if running_mean is not None and places and shape[0]:
        _update(running_mean, mean.array.mean(axis=0), momentum)
        _update(running_var, variance.array.mean(axis=0), momentum, places / (places - 1))
    return y  # type: ignore[no-any-return]


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance over each of ``num_groups`` groups of
    channels of each image: ``input`` [B, C, ...] -> the same shape.

    Wu and He, arXiv:1803.08494. Raises RuntimeError when the channels do not divide into the groups.
    """
    shape = _checked("group_norm", input, weight, bias)
    B, C = shape[:2]
    if num_groups < 1 or C % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    if B * (C // num_groups) * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    return _norm.group_norm(input, weight, bias, groups=num_groups, eps=eps)[0]  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=256)
def _neighbours(channels: int, size: int, places: int) -> tuple[Any, ...]:
    """Windows of ``size`` channels around each; along the places every window is one place."""
    at = np.arange(places)
    return (_pool.sum_windows(channels, channels, size, 1, size // 2), (at, at + 1, np.ones((places, 1))))


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha mean(x^2))^beta, the mean over ``size`` neighbouring channels, zeros beyond the ends.

    ``input`` [B, C, ...] with at least three dimensions. Krizhevsky, Sutskever and Hinton, NIPS 2012 (whose sum is
    PyTorch's mean times the size). Raises ValueError for fewer dimensions.
    """
    if input.ndim < 3:
        raise ValueError(
            f"local_response_norm: Expected 3D or higher dimensionality input (got {input.ndim} dimensions)"
        )
    if size < 1:
        raise RuntimeError(f"local_response_norm: size should be greater than zero, but got {size}")
    if not input.numel():
        return input
    B, C = input.shape[:2]
    flat = input.reshape(B, C, math.prod(input.shape[2:]))
    windows = _neighbours(C, size, flat.shape[2])
    sums = _pool.window_sum(_elementwise.square(flat), windows=windows)
    y = flat / (sums * (alpha / size) + k) ** beta
    return reshape_result(y, input.shape)  # type: ignore[no-any-return]
