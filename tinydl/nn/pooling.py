"""Pooling layers; the equations stand in :mod:`tinydl.nn.functional.pooling`."""

from __future__ import annotations

from typing import Any

from tinydl.nn import functional as F
from tinydl.nn.functional.checks import per_dimension
from tinydl.nn.module import Module
from tinydl.tensor import Tensor


class _MaxPool(Module):
    """The greatest element of each window; with ``return_indices`` (values, places)."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _settings(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The greatest element of each window: [B, C, L] or [C, L]; see :func:`tinydl.nn.functional.max_pool1d`."""

    def forward(self, input: Tensor) -> Any:
        """[..., L] -> [..., P], or that and the places."""
        return F.max_pool1d(input, *self._settings())


class MaxPool2d(_MaxPool):
    """The greatest element of each window: [B, C, H, W] or [C, H, W]; see :func:`tinydl.nn.functional.max_pool1d`."""

    def forward(self, input: Tensor) -> Any:
        """[..., H, W] -> [..., P, Q], or that and the places."""
        return F.max_pool2d(input, *self._settings())


class MaxPool3d(_MaxPool):
    """The greatest element of each window of [B, C, D, H, W] or [C, D, H, W]; see
    :func:`tinydl.nn.functional.max_pool1d`."""

    def forward(self, input: Tensor) -> Any:
        """[..., D, H, W] -> [..., O, P, Q], or that and the places."""
        return F.max_pool3d(input, *self._settings())


class _AvgPool(Module):
    """What the average pools share."""

    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window: [B, C, L] or [C, L]; see :func:`tinydl.nn.functional.avg_pool1d`."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = per_dimension("AvgPool1d", "kernel_size", kernel_size, 1)
        self.stride = per_dimension("AvgPool1d", "stride", kernel_size if stride is None else stride, 1)
        self.padding = per_dimension("AvgPool1d", "padding", padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """[..., L] -> [..., P]."""
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )  # fmt: skip


class _AvgPoolNd(_AvgPool):
    """The mean of each window, with a divisor of one's own on demand."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def _settings(self) -> tuple[Any, ...]:
        return (
            self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class AvgPool2d(_AvgPoolNd):
    """The mean of each window: [B, C, H, W] or [C, H, W]; see :func:`tinydl.nn.functional.avg_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., H, W] -> [..., P, Q]."""
        return F.avg_pool2d(input, *self._settings())


class AvgPool3d(_AvgPoolNd):
    """The mean of each window: [B, C, D, H, W] or [C, D, H, W]; see :func:`tinydl.nn.functional.avg_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., D, H, W] -> [..., O, P, Q]."""
        return F.avg_pool3d(input, *self._settings())


class _Adaptive(Module):
    """As many windows as asked for, as equal as can be."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """The means of ``output_size`` windows; see :func:`tinydl.nn.functional.adaptive_avg_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., L] -> [..., output_size]."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """The means of ``output_size`` windows; see :func:`tinydl.nn.functional.adaptive_avg_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., H, W] -> [..., *output_size]; None keeps a size."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_Adaptive):
    """The means of ``output_size`` windows; see :func:`tinydl.nn.functional.adaptive_avg_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., D, H, W] -> [..., *output_size]; None keeps a size."""
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMax(_Adaptive):
    """Greatest elements; with ``return_indices`` (values, places)."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMax):
    """The greatest elements of ``output_size`` windows; see :func:`tinydl.nn.functional.adaptive_max_pool1d`."""

    def forward(self, input: Tensor) -> Any:
        """[..., L] -> [..., output_size], or that and the places."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """The greatest elements of ``output_size`` windows; see :func:`tinydl.nn.functional.adaptive_max_pool1d`."""

    def forward(self, input: Tensor) -> Any:
        """[..., H, W] -> [..., *output_size], or that and the places."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMax):
    """The greatest elements of ``output_size`` windows; see :func:`tinydl.nn.functional.adaptive_max_pool1d`."""

    def forward(self, input: Tensor) -> Any:
        """[..., D, H, W] -> [..., *output_size], or that and the places."""
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _LPPool(Module):
    """(sum over the window of x^p)^(1/p)."""

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norm of each window, p = ``norm_type``: [B, C, L] or [C, L]; see :func:`tinydl.nn.functional.lp_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., L] -> [..., P]."""
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPool):
    """The p-norm of each window, p = ``norm_type``; see :func:`tinydl.nn.functional.lp_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., H, W] -> [..., P, Q]."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPool):
    """The p-norm of each window, p = ``norm_type``; see :func:`tinydl.nn.functional.lp_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., D, H, W] -> [..., O, P, Q]."""
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class _MaxUnpool(Module):
    """The elements that a maximum pool took put back where they were."""

    rank: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = per_dimension(name, "kernel_size", kernel_size, self.rank)
        self.stride = per_dimension(name, "stride", kernel_size if stride is None else stride, self.rank)
        self.padding = per_dimension(name, "padding", padding, self.rank)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """What :class:`MaxPool1d` took, at its places among zeros; see :func:`tinydl.nn.functional.max_unpool1d`."""

    rank = 1

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """[..., P] -> [..., L]."""
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """What :class:`MaxPool2d` took, at its places among zeros; see :func:`tinydl.nn.functional.max_unpool1d`."""

    rank = 2

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """[..., P, Q] -> [..., H, W]."""
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpool):
    """What :class:`MaxPool3d` took, at its places among zeros; see :func:`tinydl.nn.functional.max_unpool1d`."""

    rank = 3

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """[..., O, P, Q] -> [..., D, H, W]."""
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)
