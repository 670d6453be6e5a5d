"""Losses that ask for a distance and no more: hinges, margins, rankings, embeddings.

``reduction`` is "mean" over all elements (or samples, where there is one loss each), "sum" or "none".
``size_average`` and ``reduce`` are PyTorch's older names for it. A hinge max(z, 0) has slope 0 at 0 in
:func:`multi_margin_loss` and :func:`hinge_loss`, and 1 elsewhere, as PyTorch's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.nn.functional.checks import checked_reduction
from tinydl.ops import elementwise, reducing
from tinydl.ops import losses as _losses
from tinydl.tensor import Tensor

_INT64 = np.dtype(np.int64)


def _above_zero(x: Tensor) -> Tensor:
    """max(x, 0), slope 1 at 0."""
    return elementwise.clamp_between(x, min=0, max=None)  # type: ignore[no-any-return]


def _zero(like: Tensor) -> Any:
    return np.zeros((), like.dtype)


def hinge_loss(input: Tensor, target: Tensor, squared: bool = False, reduction: str = "mean") -> Tensor:
    """max(0, 1 - y x) for scores x and targets y in {-1, 1}, the support vector machine's; ``squared`` its square.

    Shapes broadcast. Cortes and Vapnik, Machine Learning 20 (1995). PyTorch has no such function.
    """
    slack = elementwise.relu(1 - target * input)
    return _losses.reduced(elementwise.square(slack) if squared else slack, checked_reduction(reduction))  # type: ignore[no-any-return]


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """For distances x: x where y = 1, max(0, margin - x) where y = -1. Shapes broadcast."""
    reduction = checked_reduction(reduction, size_average, reduce)
    apart = elementwise.where(target != 1, _above_zero(margin - input), _zero(input))
    close = elementwise.where(target != -1, input, _zero(input))
    return _losses.reduced(apart + close, reduction)  # type: ignore[no-any-return]


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -y (x1 - x2) + margin): y = 1 asks for x1 above x2, y = -1 for the contrary.

    Raises RuntimeError, naming the shapes, unless all have one number of dimensions.
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{tuple(input1.shape)}, input2: {tuple(input2.shape)}, target: {tuple(target.shape)}"
        )
    return _losses.reduced(_above_zero(-target * (input1 - input2) + float(margin)), reduction)  # type: ignore[no-any-return]


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + e^(-y x)) for targets y in {-1, 1}."""
    reduction = checked_reduction(reduction, size_average, reduce)
    if input.array.shape == target.array.shape:
        return _losses.soft_margin(input, target, reduction=reduction)  # type: ignore[no-any-return]
    return _losses.reduced(elementwise.softplus(-target * input), reduction)  # type: ignore[no-any-return]


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum_(c != t) w_t max(0, margin - x_t + x_c)^p / C for scores [N, C] (or [C]) and classes t int64 [N] (or []).

    ``weight`` [C]. Crammer and Singer, JMLR 2 (2001). Raises ValueError for ``p`` other than 1 and 2, RuntimeError
    naming both shapes when they do not fit, IndexError naming a class outside [0, C).
    """
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, but got p = {p}")
    reduction = checked_reduction(reduction, size_average, reduce)
    x, classes = input.array, target.array
    shape = x.shape
    if x.ndim not in (1, 2) or classes.shape != shape[:-1]:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch "
            f"size). Expected target size {list(input.shape[:-1])}, but got {list(target.shape)}. Input has shape "
            f"{list(input.shape)}."
        )
    if weight is not None and weight.array.shape != shape[-1:]:
        raise ValueError(
            f"weight must be one-dimensional with {shape[-1]} entries, but has shape {tuple(weight.shape)}"
        )
    if classes.dtype != _INT64:
        raise RuntimeError(
            f"multi_margin_loss: expected a target of dtype int64, but got {target.dtype}; convert it with .long()"
        )
    return _losses.multi_margin(input, target, weight, p=p, margin=margin, reduction=reduction)  # type: ignore[no-any-return]



def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1.

    ``input1``, ``input2`` [N, D] and ``target`` [N], or [D] and []. Raises RuntimeError naming the shapes.
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    if input1.ndim not in (1, 2) or input1.ndim != input2.ndim or target.ndim != input1.ndim - 1:
        raise RuntimeError(
            "cosine_embedding_loss: a batch expects two 2D inputs and a 1D target, one pair two 1D inputs and a 0D "
            f"target, but got sizes: input1: {tuple(input1.shape)}, input2: {tuple(input2.shape)}, target: "
            f"{tuple(target.shape)}"
        )
    last = (input1.ndim - 1,)

    def dot(a: Tensor, b: Tensor) -> Any:
        return reducing.reduce_sum(a * b, axis=last, keepdims=False)

    tiny = 1e-12  # PyTorch's, so that a vector of zeros has cosine 0
    cosine = dot(input1, input2) / elementwise.sqrt((dot(input1, input1) + tiny) * (dot(input2, input2) + tiny))
    alike = elementwise.where(target == 1, 1 - cosine, _zero(cosine))
    apart = elementwise.where(target == -1, _above_zero(cosine - margin), _zero(cosine))
    return _losses.reduced(alike + apart, reduction)  # type: ignore[no-any-return]


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin) for tensors [N, D] or [D]; d is the distance of norm ``p``.

    ``swap=True`` takes min(d(a, n), d(p, n)) for d(a, n) (Balntas et al., BMVC 2016). Raises RuntimeError naming the
    shapes, and ValueError unless ``margin`` is positive. Schroff et al., arXiv:1503.03832.
    """
    from tinydl.nn import functional as F

    reduction = checked_reduction(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    near = F.pairwise_distance(anchor, positive, p, eps)
    far = F.pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = elementwise.minimum(far, F.pairwise_distance(positive, negative, p, eps))
    return _losses.reduced(_above_zero(near - far + margin), reduction)  # type: ignore[no-any-return]
