"""Losses on numbers: distances, and likelihoods of counts and of normal variables.

``reduction`` is "mean" over all elements, "sum" or "none". ``size_average`` and ``reduce`` are PyTorch's older names
for it. Where one shape is asked for, a ValueError names both (PyTorch broadcasts with a warning: mostly a mistake).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.nn.functional.checks import checked_reduction, same_shape
from tinydl.ops import elementwise, reducing, shaping
from tinydl.ops import losses as _losses
from tinydl.tensor import Tensor


def _weighted(loss: Tensor, input: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Reduced after a multiplication by ``weight``; the mean divides by the sum of the weights."""
    if weight is None:
        return _losses.reduced(loss, reduction)  # type: ignore[no-any-return]
    if weight.shape != input.shape:
        raise ValueError(
            f"Weights and input must have the same size, but have {tuple(weight.shape)} and {tuple(input.shape)}"
        )
    total = _losses.reduced(loss * weight, "sum" if reduction == "mean" else reduction)
    return total / reducing.sum(weight) if reduction == "mean" else total  # type: ignore[no-any-return]


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(x - y)^2 for two tensors of one shape; ``weight``, of that shape too, multiplies it."""
    same_shape("mse_loss", input, target)
    return _weighted(
        elementwise.square(input - target), input, weight, checked_reduction(reduction, size_average, reduce)
    )


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|x - y| for two tensors of one shape, with slope 0 where they are equal; ``weight`` as in :func:`mse_loss`."""
    same_shape("l1_loss", input, target)
    return _weighted(elementwise.abs(input - target), input, weight, checked_reduction(reduction, size_average, reduce))


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where d = |x - y| < beta, else d - beta / 2; :func:`l1_loss` for ``beta`` 0.

    Girshick, arXiv:1504.08083. Raises RuntimeError for a negative ``beta``.
    """
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta: got {beta}")
    same_shape("smooth_l1_loss", input, target)
    reduction = checked_reduction(reduction, size_average, reduce)
    if beta == 0:
        return _losses.reduced(elementwise.abs(input - target), reduction)  # type: ignore[no-any-return]
    return _losses.smooth_l1(input, target, beta=beta, reduction=reduction)  # type: ignore[no-any-return]


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where d = |x - y| <= delta, else delta (d - delta / 2).

    ``weight``, of the same shape, multiplies it (the mean divides by the number of elements: PyTorch's). Huber, Ann.
    Math. Stat. 35 (1964). Raises RuntimeError unless ``delta`` is positive.
    """
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta: got {delta}")
    same_shape("huber_loss", input, target)
    reduction = checked_reduction(reduction)
    if weight is None:
        return _losses.huber_loss(input, target, delta=delta, reduction=reduction)  # type: ignore[no-any-return]
    loss = _losses.huber_loss(input, target, delta=delta, reduction="none")
    return _losses.reduced(_weighted(loss, input, weight, "none"), reduction)  # type: ignore[no-any-return]


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of counts y under a Poisson distribution, without log y!: e^x - y x.

    ``log_input=False``: the input is the rate itself, x - y log(x + eps). ``full=True`` adds Stirling's approximation
    of log y!, y log y - y + log(2 pi y) / 2, where y > 1.
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    rate = elementwise.exp(input) if log_input else input
    loss = rate - target * (input if log_input else elementwise.log(input + eps))
    if full:
        y = elementwise.where(target > 1, target, np.ones((), target.dtype))
        stirling = y * elementwise.log(y) - y + elementwise.log(y * (2 * math.pi)) * 0.5
        loss = loss + elementwise.where(target > 1, stirling, np.zeros((), stirling.dtype))
    return _losses.reduced(loss, reduction)  # type: ignore[no-any-return]


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log v + (x - y)^2 / v) / 2, the negative log-likelihood of y under a normal distribution of mean x, variance v.

    ``var`` is a number, has the input's shape, or lacks its last dimension or has size 1 in one (one variance for all
    of it). It counts as at least ``eps``; its gradient passes as if it were not limited. ``full=True`` adds
    log(2 pi) / 2. Raises ValueError for a negative variance or another shape. Nix and Weigend, ICNN 1994.
    """
    v: Any = Tensor._wrap(np.full_like(input.array, var)) if isinstance(var, float) else var
    if (v.array < 0).any():
        raise ValueError("var has negative entry/entries")
    if v.shape != input.shape:
        if input.shape[:-1] == v.shape:
            v = shaping.unsqueeze(v, -1)
        elif input.ndim != v.ndim or sum(b for a, b in zip(input.shape, v.shape) if a != b) != 1:
            raise ValueError(
                f"var is of incorrect size: its shape is {tuple(v.shape)} and the input's {tuple(input.shape)}"
            )
    reduction = checked_reduction(reduction)
    v = v + np.maximum(eps - v.array, 0).astype(v.dtype)
    loss = (elementwise.log(v) + elementwise.square(input - target) / v) * 0.5
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _losses.reduced(loss, reduction)  # type: ignore[no-any-return]
