"""Convolution layers; the equations stand in :mod:`tinydl.nn.functional.convolution`."""

from __future__ import annotations

import math
from typing import Any

from tinydl.nn import functional as F
from tinydl.nn import init
from tinydl.nn.functional.convolution import convolution, spread, transposed_size
from tinydl.nn.module import Module, new_parameter
from tinydl.nn.parameter import Parameter
from tinydl.tensor import Tensor

Ints = tuple[int, ...]
MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all six layers share: options, parameters, their initialisation, and how they print."""

    dimensions: int
    transposed = False
    padding: Any  # integers, or 'same' or 'valid'
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
        output_padding: Any, groups: int, bias: bool, padding_mode: str, device: str | None, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups, but got {channels} and groups={groups}")
        if padding_mode not in MODES:
            raise ValueError(f"padding_mode must be one of {list(MODES)}, but got padding_mode={padding_mode!r}")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of ['same', 'valid']")
        if self.transposed and padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')

        def ints(what: str, value: Any) -> Ints:
            return spread(type(self).__name__, what, value, self.dimensions)

        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = ints("kernel_size", kernel_size), ints("stride", stride)
        if min(self.kernel_size) == 0:
            raise RuntimeError(f"kernel size should be greater than zero, but got {list(self.kernel_size)}")
        self.padding = padding if isinstance(padding, str) else ints("padding", padding)
        self.dilation, self.output_padding = ints("dilation", dilation), ints("output_padding", output_padding)
        self.padding_mode = padding_mode
        if padding == "same" and max(self.stride) > 1:
            raise ValueError("padding='same' is not supported for strided convolutions")
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = new_parameter((first, second // groups, *self.kernel_size), device, dtype)
        self.register_parameter("bias", new_parameter((out_channels,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew: both from U(-k, k) with k = 1 / sqrt(fan_in).

        For the weight that is He's uniform draw with a slope of sqrt(5).
        """
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0,) * self.dimensions:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self.dimensions:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * self.dimensions:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Conv(_Convolution):
    """Cross-correlation over one, two or three dimensions."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype,
        )  # fmt: skip

    def _edges(self) -> list[int]:
        """What :func:`tinydl.nn.functional.pad` adds before and behind, the last dimension first."""
        if self.padding == "valid":
            return [0] * 2 * self.dimensions
        if self.padding == "same":
            total = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation)]
            return [edge for t in reversed(total) for edge in (t // 2, t - t // 2)]
        return [edge for p in reversed(self.padding) for edge in (p, p)]

    def forward(self, input: Tensor) -> Tensor:
        """[B, in_channels, *S] (or without B) -> [B, out_channels, *P]."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._edges(), mode=self.padding_mode)
            padding = 0
        function = convolution(self.dimensions)
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Cross-correlation over one dimension; see :func:`tinydl.nn.functional.conv1d`.

    Parameters: ``weight`` [out_channels, in_channels / groups, kernel_size] and ``bias`` [out_channels], drawn from
    U(-k, k) with k = 1 / sqrt(in_channels / groups * kernel_size). ``padding_mode``: zeros, reflect, replicate or
    circular. Raises ValueError for channels that ``groups`` does not divide.
    """

    dimensions = 1


class Conv2d(_Conv):
    """Cross-correlation over two dimensions; see :class:`Conv1d`."""

    dimensions = 2


class Conv3d(_Conv):
    """Cross-correlation over three dimensions; see :class:`Conv1d`."""

    dimensions = 3


class _ConvTranspose(_Convolution):
    """The transpose of a convolution over one, two or three dimensions."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """[B, in_channels, *S] (or without B) -> [B, out_channels, *T]; ``output_size`` names T (or all of the shape)
        among the sizes that a stride above 1 leaves open."""
        extra = self.output_padding if output_size is None else self._extra(input, tuple(output_size))
        function = convolution(self.dimensions, transposed=True)
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, wanted: Ints) -> Ints:
        wanted = wanted[-self.dimensions :] if len(wanted) in (input.ndim, self.dimensions) else wanted
        if len(wanted) != self.dimensions:
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have {self.dimensions} or "
                f"{input.ndim} elements (got {len(wanted)})"
            )
        none = (0,) * self.dimensions
        least = transposed_size(
            input.shape[-self.dimensions :], self.kernel_size, self.stride, self.padding, none, self.dilation
        )
        most = tuple(n + s - 1 for n, s in zip(least, self.stride))
        if any(not low <= n <= high for n, low, high in zip(wanted, least, most)):
            raise ValueError(
                f"requested an output size of {list(wanted)}, but valid sizes range from {list(least)} to {list(most)} "
                f"(for an input of {list(input.shape[2:])})"
            )
        return tuple(n - low for n, low in zip(wanted, least))


class ConvTranspose1d(_ConvTranspose):
    """The transpose of :class:`Conv1d`; see :func:`tinydl.nn.functional.conv_transpose1d`.

    Parameters: ``weight`` [in_channels, out_channels / groups, kernel_size] and ``bias`` [out_channels], drawn from
    U(-k, k) with k = 1 / sqrt(out_channels / groups * kernel_size).
    """

    dimensions = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of :class:`Conv2d`; see :class:`ConvTranspose1d`."""

    dimensions = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of :class:`Conv3d`; see :class:`ConvTranspose1d`."""

    dimensions = 3


_ConvNd = _Convolution  # PyTorch's name, which scripts put to isinstance()
