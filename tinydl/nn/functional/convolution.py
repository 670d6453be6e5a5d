"""Convolution and transposed convolution over one, two and three dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
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


def _options(name: str, dimensions: int, stride: Any, dilation: Any) -> tuple[Ints, Ints]:
    strides, dilations = spread(name, "stride", stride, dimensions), spread(name, "dilation", dilation, dimensions)
    if min(strides) <= 0:
        raise RuntimeError(f"{name}: non-positive stride is not supported, got stride={list(strides)}")
    if min(dilations) <= 0:
        raise RuntimeError(f"{name}: dilation should be greater than zero, got dilation={list(dilations)}")
    return strides, dilations


def _kept(value: Any) -> Any:
    """An option as what a cache can look up."""
    return value if isinstance(value, Hashable) else tuple(value)


def _ranks(name: str, size: Ints, weight: Ints, dimensions: int) -> None:
    if len(weight) != dimensions + 2:
        raise RuntimeError(f"{name}: expected weight to be {dimensions + 2}-dimensional, but got shape {list(weight)}")
    if 0 in weight[2:]:
        raise RuntimeError(f"{name}: kernel size should be greater than zero, but got {list(weight[2:])}")
    if len(size) not in (dimensions + 1, dimensions + 2):
        raise RuntimeError(
            f"Expected {dimensions + 1}D (unbatched) or {dimensions + 2}D (batched) input to {name}, but got input of "
            f"size: {list(size)}"
        )


def _bias(name: str, bias: Ints | None, channels: int) -> None:
    if bias is not None and bias != (channels,):
        raise RuntimeError(
            f"{name}: expected bias to be 1-dimensional with {channels} elements, but got bias of size "
            f"{list(bias)} instead"
        )


@functools.lru_cache(maxsize=1024, typed=True)
def _checked(
    name: str, dimensions: int, size: Ints, weight: Ints, bias: Ints | None, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> tuple[Ints, Ints, Ints, Ints]:  # fmt: skip
    """Strides, paddings, dilations, and the zeros to add at the end of each dimension, for arrays of these shapes."""
    _ranks(name, size, weight, dimensions)
    strides, dilations = _options(name, dimensions, stride, dilation)
    channels, out = weight[1] * groups, weight[0]
    if groups <= 0 or out % groups or size[-dimensions - 1] != channels:
        if groups > 0 and out % groups == 0:
            raise RuntimeError(
                f"{name}: given groups={groups}, weight of size {list(weight)}, expected "
                f"input{list(size)} to have {channels} channels, but got {size[-dimensions - 1]} channels instead"
            )
        raise RuntimeError(
            f"{name}: given groups={groups}, expected weight to be divisible by groups at dimension 0, but got weight "
            f"of size {list(weight)} instead"
        )
    _bias(name, bias, out)
    kernel = weight[2:]
    zeros: Ints = ()
    if isinstance(padding, str):
        paddings, zeros = _same_or_valid(name, padding, strides, dilations, kernel)
    else:
        paddings = spread(name, "padding", padding, dimensions)
        if min(paddings) < 0:
            raise RuntimeError(f"{name}: negative padding is not supported, got padding={list(paddings)}")
    padded = [n + 2 * p for n, p in zip(size[-dimensions:], paddings)]
    if zeros:
        padded = [n + z for n, z in zip(padded, zeros)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations)]
    if any(n < r for n, r in zip(padded, reach)):
        raise RuntimeError(
            f"{name}: calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, reach))}). Kernel size can't be greater than actual input size"
        )
    return strides, paddings, dilations, zeros


def _convolve(
    name: str, dimensions: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
    dilation: Any, groups: int,
) -> Tensor:  # fmt: skip
    x, w = input.array, weight.array
    strides, paddings, dilations, zeros = _checked(
        name, dimensions, x.shape, w.shape, None if bias is None else bias.array.shape, _kept(stride), _kept(padding),
        _kept(dilation), groups,
    )  # fmt: skip
    if x.dtype != w.dtype or (bias is not None and bias.array.dtype != x.dtype):
        one_dtype(name, input=input, weight=weight, bias=bias)
    batched = x.ndim == dimensions + 2
    image = input if batched else shaping.unsqueeze(input, 0)
    for axis, count in enumerate(zeros, 2):
        if count:
            shape = image.array.shape
            nothing = np.zeros_like(x, shape=(*shape[:axis], count, *shape[axis + 1 :]))
            image = shaping.cat([image, Tensor._wrap(nothing)], axis)
    y = _conv.conv(image, weight, bias, stride=strides, padding=paddings, dilation=dilations, groups=groups)
    return y if batched else shaping.reshape_result(y, y.shape[1:])  # type: ignore[no-any-return]


def _same_or_valid(name: str, padding: str, stride: Ints, dilation: Ints, kernel: Ints) -> tuple[Ints, Ints]:
    """Paddings, and zeros at the end: ``"valid"`` pads nothing; ``"same"`` gives as many outputs as inputs."""
    if padding == "valid":
        return (0,) * len(kernel), ()
    if padding != "same":
        raise RuntimeError(f"{name}: Invalid padding string: {padding!r}; use 'same', 'valid' or integers")
    if max(stride) > 1:
        raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return tuple(t // 2 for t in total), tuple(t % 2 for t in total)


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


@functools.lru_cache(maxsize=1024, typed=True)
def _checked_transposed(
    name: str, dimensions: int, given: Ints, weight: Ints, bias: Ints | None, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> tuple[Ints, Ints, Ints, Ints]:  # fmt: skip
    """Strides, paddings, dilations and the size of the result, for arrays of these shapes."""
    _ranks(name, given, weight, dimensions)
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
    channels = given[-dimensions - 1]
    if groups <= 0 or weight[0] % groups or channels != weight[0]:
        raise RuntimeError(
            f"{name}: given transposed=1, weight of size {list(weight)} and groups={groups}, expected "
            f"input{list(given)} to have {weight[0]} channels, but got {channels} channels instead"
        )
    _bias(name, bias, weight[1] * groups)
    size = transposed_size(given[-dimensions:], weight[2:], strides, paddings, extras, dilations)
    if min(size) <= 0:
        raise RuntimeError(
            f"{name}: given input size per channel: {list(given[-dimensions:])}. Calculated output size per channel: "
            f"{list(size)}. Output size is too small"
        )
    return strides, paddings, dilations, size


def _transposed(
    name: str, dimensions: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> Tensor:  # fmt: skip
    x, w = input.array, weight.array
    strides, paddings, dilations, size = _checked_transposed(
        name, dimensions, x.shape, w.shape, None if bias is None else bias.array.shape, _kept(stride), _kept(padding),
        _kept(output_padding), groups, _kept(dilation),
    )  # fmt: skip
    if x.dtype != w.dtype or (bias is not None and bias.array.dtype != x.dtype):
        one_dtype(name, input=input, weight=weight, bias=bias)
    batched = x.ndim == dimensions + 2
    image = input if batched else shaping.unsqueeze(input, 0)
    y = _conv.conv_data(
        image, weight, bias, stride=strides, padding=paddings, dilation=dilations, groups=groups, size=size
    )
    return y if batched else shaping.reshape_result(y, y.shape[1:])  # type: ignore[no-any-return]


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
