"""Convolution over one, two or three dimensions: a family closed under differentiation.

The gradients of a convolution are :func:`conv_data` and :func:`conv_kernel`, theirs are the other two, and so on to
every order. What each computes stands in :mod:`tinydl.kernels.conv.spec`; ``stride``, ``padding`` and ``dilation``
are tuples with an integer a dimension.
"""

from __future__ import annotations

from typing import Any

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.reducing import reduce_sum
from tinydl.ops.slicing import take_slice

_CONV_FORWARD = by_dtype("conv_forward")
_CONV_INPUT = by_dtype("conv_input")
_CONV_WEIGHT = by_dtype("conv_weight")

Ints = tuple[int, ...]


def _five(array: Any) -> Any:
    """[B, C, L] or [B, C, H, W] with leading sizes of 1 in front of the space."""
    shape = array.shape
    return array if len(shape) == 5 else array.reshape(shape[:2] + (1,) * (5 - len(shape)) + shape[2:])


def _three(values: Ints, fill: int) -> Ints:
    return (fill,) * (3 - len(values)) + values


def _options(stride: Ints, padding: Ints, dilation: Ints) -> tuple[Ints, Ints, Ints]:
    return _three(stride, 1), _three(padding, 0), _three(dilation, 1)


@primitive(
    input=lambda g, weight, input_shape, stride, padding, dilation, groups: conv_data(
        g, weight, stride=stride, padding=padding, dilation=dilation, groups=groups, size=input_shape[2:]
    ),
    weight=lambda g, input, weight_shape, stride, padding, dilation, groups: conv_kernel(
        g, input, stride=stride, padding=padding, dilation=dilation, groups=groups, kernel=weight_shape[2:]
    ),
    bias=lambda g: reduce_sum(g, axis=(0, *range(2, len(g.shape))), keepdims=False),
)
def conv(input: Any, weight: Any, bias: Any = None, *, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Any:
    """input [B, C, *S], weight [O, C/G, *K], bias [O] or None -> [B, O, *P]: cross-correlation."""
    kernel = _CONV_FORWARD[input.dtype]
    y = kernel(_five(input), _five(weight), *_options(stride, padding, dilation), groups)
    y = y.reshape(y.shape[:2] + y.shape[7 - len(input.shape) :])
    if bias is not None:
        y += bias.reshape(-1, *(1,) * (len(y.shape) - 2))
    return y


def _first(x: Any, shape: Ints) -> Any:
    """The part of ``x`` that has this shape: ``output_padding`` may make room for kernels that were not there."""
    return x if x.shape == shape else take_slice(x, index=tuple(slice(0, n) for n in shape))


@primitive(
    input=lambda g, weight, input_shape, stride, padding, dilation, groups: _first(
        conv(g, weight, stride=stride, padding=padding, dilation=dilation, groups=groups), input_shape
    ),
    weight=lambda g, input, weight_shape, stride, padding, dilation, groups: conv_kernel(
        input, g, stride=stride, padding=padding, dilation=dilation, groups=groups, kernel=weight_shape[2:]
    ),
    bias=lambda g: reduce_sum(g, axis=(0, *range(2, len(g.shape))), keepdims=False),
)
def conv_data(
    input: Any, weight: Any, bias: Any = None, *, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints
) -> Any:
    """input [B, O, *P], weight [O, C/G, *K], bias [C] or None -> [B, C, *size]: the transpose of :func:`conv` in its
    input."""
    kernel = _CONV_INPUT[input.dtype]
    y = kernel(_five(input), _five(weight), *_options(stride, padding, dilation), groups, _three(tuple(size), 1))
    y = y.reshape(y.shape[:2] + tuple(size))
    if bias is not None:
        y += bias.reshape(-1, *(1,) * len(size))
    return y


@primitive(
    input=lambda g, other, input_shape, stride, padding, dilation, groups: _first(
        conv(other, g, stride=stride, padding=padding, dilation=dilation, groups=groups), input_shape
    ),
    other=lambda g, input, other_shape, stride, padding, dilation, groups: conv_data(
        input, g, stride=stride, padding=padding, dilation=dilation, groups=groups, size=other_shape[2:]
    ),
)
def conv_kernel(
    input: Any, other: Any, *, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints
) -> Any:
    """input [B, O, *P], other [B, C, *S] -> [O, C/G, *kernel]: the transpose of :func:`conv` in its weight."""
    function = _CONV_WEIGHT[input.dtype]
    w = function(_five(input), _five(other), *_options(stride, padding, dilation), groups, _three(tuple(kernel), 1))
    return w.reshape(w.shape[:2] + tuple(kernel))
