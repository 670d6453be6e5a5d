"""Normalisation layers; the equations stand in :mod:`tinydl.nn.functional.normalization`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.nn import functional as F
from tinydl.nn import init
from tinydl.nn.module import Module, new_parameter
from tinydl.nn.parameter import Parameter
from tinydl.tensor import Tensor


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance over the last dimensions ``normalized_shape``.

    ``weight`` (ones) and ``bias`` (zeros) have that shape; both are None with ``elementwise_affine=False``, the bias
    alone with ``bias=False``. Ba, Kiros and Hinton, arXiv:1607.06450.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(name, new_parameter(shape, device, dtype) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Back to ones and zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """[..., *normalized_shape] -> the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight, the mean over the last dimensions ``normalized_shape``.

    ``weight`` (ones) has that shape, or is None with ``elementwise_affine=False``; ``eps`` of None is the machine
    precision of the input's dtype. Zhang and Sennrich, arXiv:1910.07467.
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter("weight", new_parameter(shape, device, dtype) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Back to ones."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """[..., *normalized_shape] -> the same shape."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Mean 0 and variance 1 for each of ``num_groups`` groups of channels of each image, times weight plus bias.

    ``weight`` (ones) and ``bias`` (zeros) are [num_channels], None with ``affine=False``, the bias alone with
    ``bias=False``. Wu and He, arXiv:1803.08494.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, new_parameter((num_channels,), device, dtype) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Back to ones and zeros."""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """[B, num_channels, ...] -> the same shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """x / (k + alpha mean(x^2))^beta, the mean over ``size`` neighbouring channels; see
    :func:`tinydl.nn.functional.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


# ------------------------------------------------------------------------------------------- with running averages


def _reset_affine(layer: Any) -> None:
    if layer.weight is not None:
        init.ones_(layer.weight)
    if layer.bias is not None:
        init.zeros_(layer.bias)


class _RunningNorm(Module):
    """A weight and a bias for each channel, and running averages of mean and variance as buffers."""

    ranks: tuple[int, ...] = ()  # how many dimensions an input may have
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool,
        device: str | None, dtype: Any, bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, new_parameter((num_features,), device, dtype) if wanted else None)
        for name in ("running_mean", "running_var"):
            average = new_parameter((num_features,), device, dtype).detach() if track_running_stats else None
            self.register_buffer(name, average)
        count = Tensor._wrap(np.zeros((), np.int64)) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Running averages back to a mean of 0 and a variance of 1, over no batches."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Parameters back to ones and zeros, and the running averages to where they start."""
        self.reset_running_stats()
        _reset_affine(self)

    def _check_input_dim(self, input: Tensor) -> None:
        """What a layer of a user's own that derives from this one overrides, or names its ``ranks``."""
        if not self.ranks:
            raise NotImplementedError(f"{type(self).__name__} should say by _check_input_dim which inputs it takes")
        if input.ndim not in self.ranks:
            expected = " or ".join(f"{rank}D" for rank in self.ranks)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_RunningNorm):
    """Batch normalisation: in training by the batch, in evaluation by the running averages."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """[B, num_features, ...] -> the same shape; in training the running averages move."""
        self._check_input_dim(input)
        follow = self.training and self.track_running_stats
        use = not self.training or self.track_running_stats
        momentum = self.momentum
        if momentum is None:  # the mean over all batches so far, this one included
            seen = 0 if self.num_batches_tracked is None else int(self.num_batches_tracked.item())
            momentum = 1 / (seen + 1) if follow else 0.0
        y = F.batch_norm(
            input,
            self.running_mean if use else None,
            self.running_var if use else None,
            self.weight,
            self.bias,
            self.training or (self.running_mean is None and self.running_var is None),
            momentum,
            self.eps,
        )
        if follow and self.num_batches_tracked is not None:  # counted when nothing was refused
            self.num_batches_tracked.array[...] += 1
            self.num_batches_tracked.bump()
        return y


class BatchNorm1d(_BatchNorm):
    """Each channel of [B, C] or [B, C, L] with mean 0 and variance 1 over the batch, times weight plus bias.

    In training mean and variance are the batch's, and running averages follow them:
    r = (1 - momentum) r + momentum * value (with a momentum of None the mean over all batches; the variance followed
    is the unbiased one). In evaluation the running averages are used, or the batch's without ``track_running_stats``.
    ``weight`` (ones) and ``bias`` (zeros) are [num_features]. Ioffe and Szegedy, arXiv:1502.03167. See
    :func:`tinydl.nn.functional.batch_norm`.
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """:class:`BatchNorm1d` for images [B, C, H, W]."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """:class:`BatchNorm1d` for volumes [B, C, D, H, W]."""

    ranks = (5,)


class SyncBatchNorm(_BatchNorm):
    """:class:`BatchNorm2d` of [B, C, ...] with any number of dimensions: PyTorch takes the batch of all processes, of
    which there is one.

    Args:
        num_features, eps, momentum, affine, track_running_stats: as for :class:`BatchNorm1d`.
        process_group: taken, and without effect.
    """

    ranks = (2, 3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """``module`` with such a layer, of the same parameters and averages, in the place of each batch norm in it."""
        if isinstance(module, _BatchNorm):
            old = module
            module = cls(
                old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats, bias=old.bias is not None
            )
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(module, name, getattr(old, name))
            return module.train(old.training)
        for name, child in list(module.named_children()):
            setattr(module, name, cls.convert_sync_batchnorm(child, process_group))
        return module


class _InstanceNorm(_RunningNorm):
    """Instance normalisation: by each image, or in evaluation by running averages where they are tracked."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """[B, num_features, ...], or without B, -> the same shape; in training running averages move."""
        self._check_input_dim(input)
        single = input.ndim == self.ranks[0]
        channels = input.shape[0 if single else 1]
        if channels != self.num_features:
            message = f"input's size at dim={0 if single else 1} to match num_features ({self.num_features})"
            if self.affine:
                raise ValueError(f"expected {message}, but got: {channels}.")
            warnings.warn(
                f"expected {message}, but got {channels}; without an affine part num_features is not used",
                stacklevel=2,
            )
        y = F.instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sequence [B, C, L] or [C, L] with mean 0 and variance 1.

    With ``affine`` times ``weight`` plus ``bias``, both [num_features]; with ``track_running_stats`` running averages
    are kept, and used in evaluation. Ulyanov et al., arXiv:1607.08022. See
    :func:`tinydl.nn.functional.instance_norm`.
    """

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """:class:`InstanceNorm1d` for images [B, C, H, W] or [C, H, W]."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """:class:`InstanceNorm1d` for volumes [B, C, D, H, W] or [C, D, H, W]."""

    ranks = (4, 5)
