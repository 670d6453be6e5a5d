"""Convolution and transposed convolution over one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.nn.functional.checks import one_dtype, whole_numbers
from tinydl.ops import conv as _conv
from tinydl.ops import shaping
from tinydl.tensor import Tensor

Ints = tuple[int, ...]


def spread(name: str, what: str, value: Any, dimensions: int) -> Ints:
    """An option as a tuple with one integer a dimension. Raises RuntimeError for another number of them."""
    found = whole_numbers(name, what, value)
    if len(found) == 1:
        found = found * dimensions
    if len(found) != dimensions:
        raise RuntimeError(
            f"{name}: expected {what} to be a single integer value or a list of {dimensions} values to match the "
            f"convolution dimensions, but got {what}={list(found)}"
        )
    return found


def _options(name: str, dimensions: int, stride: Any, dilation: Any, **others: Any) -> tuple[Ints, Ints]:
    strides, dilations = spread(name, "stride", stride, dimensions), spread(name, "dilation", dilation, dimensions)
    if min(strides) <= 0:
        raise RuntimeError(f"{name}: non-positive stride is not supported, got stride={list(strides)}")
    if min(dilations) <= 0:
        raise RuntimeError(f"{name}: dilation should be greater than zero, got dilation={list(dilations)}")
    return strides, dilations


def _batched(name: str, input: Tensor, weight: Tensor, dimensions: int) -> Tensor:
    """The input with a batch dimension, after a look at the ranks."""
    if weight.ndim != dimensions + 2:
        raise RuntimeError(
            f"{name}: expected weight to be {dimensions + 2}-dimensional, but got shape {list(weight.shape)}"
        )
    if 0 in weight.shape[2:]:
        raise RuntimeError(f"{name}: kernel size should be greater than zero, but got {list(weight.shape[2:])}")
    if input.ndim not in (dimensions + 1, dimensions + 2):
        raise RuntimeError(
            f"Expected {dimensions + 1}D (unbatched) or {dimensions + 2}D (batched) input to {name}, but got input of "
            f"size: {list(input.shape)}"
        )
    return input if input.ndim == dimensions + 2 else shaping.unsqueeze(input, 0)


def _bias(name: str, bias: Tensor | None, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        raise RuntimeError(
            f"{name}: expected bias to be 1-dimensional with {channels} elements, but got bias of size "
            f"{list(bias.shape)} instead"
        )


def _convolve(
    name: str, dimensions: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
    dilation: Any, groups: int,
) -> Tensor:  # fmt: skip
    x = _batched(name, input, weight, dimensions)
    one_dtype(name, input=input, weight=weight, bias=bias)
    strides, dilations = _options(name, dimensions, stride, dilation)
    channels, out = weight.shape[1] * groups, weight.shape[0]
    if groups <= 0 or out % groups or x.shape[1] != channels:
        if groups > 0 and out % groups == 0:
            raise RuntimeError(
                f"{name}: given groups={groups}, weight of size {list(weight.shape)}, expected "
                f"input{list(input.shape)} to have {channels} channels, but got {x.shape[1]} channels instead"
            )
        raise RuntimeError(
            f"{name}: given groups={groups}, expected weight to be divisible by groups at dimension 0, but got weight "
            f"of size {list(weight.shape)} instead"
        )
    _bias(name, bias, out)
    kernel = weight.shape[2:]
    if isinstance(padding, str):
        x, paddings = _same_or_valid(name, x, padding, strides, dilations, kernel)
    else:
        paddings = spread(name, "padding", padding, dimensions)
        if min(paddings) < 0:
            raise RuntimeError(f"{name}: negative padding is not supported, got padding={list(paddings)}")
    for n, k, p, d in zip(x.shape[2:], kernel, paddings, dilations):
        if n + 2 * p < d * (k - 1) + 1:
            padded = " x ".join(str(n + 2 * p) for n, p in zip(x.shape[2:], paddings))
            reach = " x ".join(str(d * (k - 1) + 1) for k, d in zip(kernel, dilations))
            raise RuntimeError(
                f"{name}: calculated padded input size per channel: ({padded}). Kernel size: ({reach}). Kernel size "
                "can't be greater than actual input size"
            )
    y = _conv.conv(x, weight, bias, stride=strides, padding=paddings, dilation=dilations, groups=groups)
    return y if input.ndim == dimensions + 2 else shaping.reshape_result(y, y.shape[1:])  # type: ignore[no-any-return]


def _same_or_valid(
    name: str, x: Tensor, padding: str, stride: Ints, dilation: Ints, kernel: Ints
) -> tuple[Tensor, Ints]:
    """``"valid"`` pads nothing; ``"same"`` gives as many outputs as inputs, an odd zero going to the end."""
    none = (0,) * len(kernel)
    if padding == "valid":
        return x, none
    if padding != "same":
        raise RuntimeError(f"{name}: Invalid padding string: {padding!r}; use 'same', 'valid' or integers")
    if max(stride) > 1:
        raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    if not any(t % 2 for t in total):
        return x, tuple(t // 2 for t in total)
    for axis, t in enumerate(total, 2):
        if t % 2:
            zeros = np.zeros(x.shape[:axis] + (1,) + x.shape[axis + 1 :], x.dtype)
            x = shaping.cat([x, Tensor._wrap(zeros)], axis)
    return x, tuple(t // 2 for t in total)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """y[b, o, i] = bias[o] + sum over c, k of weight[o, c, k] input[b, c, i stride - padding + k dilation].

    ``input`` [B, C, L] or [C, L], ``weight`` [O, C / groups, K], ``bias`` [O] -> [B, O, P] with
    P = (L + 2 padding - dilation (K - 1) - 1) // stride + 1; zero outside the input. ``padding`` may be ``"valid"`` or
    ``"same"`` (for a stride of 1). Raises RuntimeError, naming the shapes, when they do not fit.
    """
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """As :func:`conv1d` over two dimensions: input [B, C, H, W] or [C, H, W], weight [O, C / groups, KH, KW]."""
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """As :func:`conv1d` over three dimensions: input [B, C, D, H, W], weight [O, C / groups, KD, KH, KW]."""
    return _convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def transposed_size(
    size: Ints, kernel: Ints, stride: Ints, padding: Ints, output_padding: Ints, dilation: Ints
) -> Ints:
    """(n - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1 in each dimension."""
    return tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, k, s, p, extra, d in zip(size, kernel, stride, padding, output_padding, dilation)
    )


def _transposed(
    name: str, dimensions: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> Tensor:  # fmt: skip
    x = _batched(name, input, weight, dimensions)
    one_dtype(name, input=input, weight=weight, bias=bias)
    strides, dilations = _options(name, dimensions, stride, dilation)
    paddings = spread(name, "padding", padding, dimensions)
    extras = spread(name, "output_padding", output_padding, dimensions)
    if min(paddings) < 0 or min(extras) < 0:
        raise RuntimeError(f"{name}: negative padding is not supported, got {list(paddings)} and {list(extras)}")
    for extra, s, d in zip(extras, strides, dilations):
        if extra >= max(s, d):
            raise RuntimeError(
                f"{name}: output padding must be smaller than either stride or dilation, but got output_padding "
                f"{list(extras)}, stride {list(strides)}, dilation {list(dilations)}"
            )
    if groups <= 0 or weight.shape[0] % groups or x.shape[1] != weight.shape[0]:
        raise RuntimeError(
            f"{name}: given transposed=1, weight of size {list(weight.shape)} and groups={groups}, expected "
            f"input{list(input.shape)} to have {weight.shape[0]} channels, but got {x.shape[1]} channels instead"
        )
    out = weight.shape[1] * groups
    _bias(name, bias, out)
    size = transposed_size(x.shape[2:], weight.shape[2:], strides, paddings, extras, dilations)
    if min(size) <= 0:
        raise RuntimeError(
            f"{name}: given input size per channel: {list(x.shape[2:])}. Calculated output size per channel: "
            f"{list(size)}. Output size is too small"
        )
    y = _conv.conv_data(x, weight, stride=strides, padding=paddings, dilation=dilations, groups=groups, size=size)
    if bias is not None:
        y = y + shaping.reshape(bias, (out, *(1,) * dimensions))
    return y if input.ndim == dimensions + 2 else shaping.reshape_result(y, y.shape[1:])  # type: ignore[no-any-return]


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of :func:`conv1d` as a linear map of its input: what it read, this writes.

    y[b, o, i stride - padding + k dilation] gets weight[c, o, k] input[b, c, i], summed. ``input`` [B, C, L] or [C, L],
    ``weight`` [C, O / groups, K] -> [B, O, (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1].
    Dumoulin and Visin, arXiv:1603.07285.
    """
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """As :func:`conv_transpose1d` over two dimensions: input [B, C, H, W], weight [C, O / groups, KH, KW]."""
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """As :func:`conv_transpose1d` over three dimensions: input [B, C, D, H, W], weight [C, O / groups, KD, KH, KW]."""
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def convolution(dimensions: int, transposed: bool = False) -> Callable[..., Tensor]:
    """The function of so many dimensions."""
    return (
        (conv_transpose1d, conv_transpose2d, conv_transpose3d) if transposed else (conv1d, conv2d, conv3d)
    )[dimensions - 1]  # fmt: skip
