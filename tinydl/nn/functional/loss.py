"""Losses on probabilities and their logarithms.

``reduction`` is "mean", "sum" or "none"; ``size_average`` and ``reduce`` are PyTorch's older names for it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tinydl.autograd.mode import mode
from tinydl.nn.functional.checks import REDUCTIONS, checked_reduction
from tinydl.ops import elementwise, reducing
from tinydl.ops import losses as _losses
from tinydl.tensor import Tensor


def _floating_target(name: str, input: Tensor, target: Tensor) -> None:
    """Refuse classes as probabilities: where they are meant as such, the script says so."""
    if target.array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: Found dtype {target.dtype} but expected {input.dtype} of the target; convert it with .float()"
        )


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-w [p y log sigmoid(x) + (1 - y) log(1 - sigmoid(x))] for logits x and targets y in [0, 1] of one shape.

    ``weight`` w and ``pos_weight`` p broadcast to that shape. ``reduction``: ``"mean"`` over all elements, ``"sum"`` or
    ``"none"``. Stable for any logit, infinite ones included. Raises ValueError, naming both shapes, when they differ.
    """
    if target.array.shape != input.array.shape:
        raise ValueError(f"Target size {tuple(target.shape)} must be the same as input size {tuple(input.shape)}")
    _floating_target("binary_cross_entropy_with_logits", input, target)
    reduction = checked_reduction(reduction, size_average, reduce)
    dtype = input.array.dtype
    for w in (weight, pos_weight):
        if w is not None:
            _check_broadcast("binary_cross_entropy_with_logits", w.shape, input.shape)
    if _differentiable(target) or _differentiable(weight) or _differentiable(pos_weight):
        return _losses.bce_definition(input, target, weight, pos_weight, reduction=reduction)  # type: ignore[no-any-return]
    weights = [None if w is None else _constant(w, dtype) for w in (weight, pos_weight)]
    return _losses.bce_with_logits(input, _constant(target, dtype), *weights, reduction=reduction)  # type: ignore[no-any-return]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[t]: logits against classes, or against a distribution over them.

    ``input`` [N, C, d1, ...] (or [C]); ``target`` int64 [N, d1, ...] (or []), or floating, of the input's shape;
    ``weight`` [C] per class. ``reduction="mean"`` divides by the sum of the targets' weights, leaving out those equal
    to ``ignore_index`` (for distributions: by N d1 ...). ``label_smoothing`` e mixes the target with the uniform
    distribution, (1 - e) target + e / C (Szegedy et al., arXiv:1512.00567).

    Raises RuntimeError or ValueError naming both shapes, IndexError naming a class outside [0, C), and
    NotImplementedError for a ``weight`` that requires a gradient (against a distribution it gets one).
    """
    if size_average is not None or reduce is not None:
        reduction = checked_reduction(reduction, size_average, reduce)
    logits, classes = input.array, target.array
    index: Any = target
    # The usual case first: a matrix of logits and int64 classes.
    if not (
        logits.ndim == 2
        and classes.dtype == np.int64
        and classes.shape == logits.shape[:1]
        and reduction in REDUCTIONS
        and 0.0 <= label_smoothing <= 1.0
    ):
        checked_reduction(reduction)
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
        if classes.dtype.kind == "f":
            return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
        index = _classes("cross_entropy", logits.shape, target)
    if weight is not None:
        weight = _class_weight("cross_entropy", input, weight)
    return _losses.softmax_cross_entropy(  # type: ignore[no-any-return]
        input, index, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    """-sum_c w_c target_c log p_c; differentiable in the target too."""
    if input.shape != target.shape or not input.ndim:
        raise RuntimeError(
            f"cross_entropy: a floating target holds class probabilities and must have the input's shape "
            f"{tuple(input.shape)}, but has {tuple(target.shape)}"
        )
    axis = 1 if input.ndim > 1 else 0
    classes = input.shape[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = reducing.log_softmax_over(input, axis=axis) * target
    if weight is not None:
        along = (-1,) + (1,) * (input.ndim - axis - 1)
        terms = terms * _class_weight("cross_entropy", input, weight, constant=False).reshape(along)
    loss = -reducing.reduce_sum(terms, axis=axis, keepdims=False)
    return _losses.reduced(loss, reduction)  # type: ignore[no-any-return]


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-log p[t] for log-probabilities ``input`` [N, C, d1, ...] (or [C]) and classes ``target`` int64 [N, d1, ...] (or
    []).

    ``weight``, ``ignore_index``, ``reduction`` and errors as in :func:`cross_entropy`.
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    classes: Any = target
    if not (input.array.ndim == 2 and target.array.dtype == np.int64 and target.array.shape == input.array.shape[:1]):
        classes = _classes("nll_loss", input.shape, target)
    if weight is not None:
        weight = _class_weight("nll_loss", input, weight)
    return _losses.nll(input, classes, weight, ignore_index=ignore_index, reduction=reduction)  # type: ignore[no-any-return]


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-w [y log p + (1 - y) log(1 - p)] for probabilities p and targets y, both in [0, 1] and of one shape.

    ``weight`` broadcasts to that shape. Logarithms count as -100 where they are less, as PyTorch's. Raises ValueError,
    naming both shapes, when they differ, and RuntimeError for a number outside [0, 1]. From logits,
    :func:`binary_cross_entropy_with_logits` is exact.
    """
    if target.array.shape != input.array.shape:
        raise ValueError(
            f"Using a target size ({tuple(target.shape)}) that is different to the input size ({tuple(input.shape)}) "
            "is deprecated. Please ensure they have the same size."
        )
    _floating_target("binary_cross_entropy", input, target)
    reduction = checked_reduction(reduction, size_average, reduce)
    if target.array.dtype != input.array.dtype:
        target = target.to(input.dtype)
    if weight is None:
        return _losses.binary_cross_entropy(input, target, reduction=reduction)  # type: ignore[no-any-return]
    loss = _losses.binary_cross_entropy(input, target, reduction="none")
    _check_broadcast("binary_cross_entropy", weight.shape, input.shape)
    return _losses.reduced(loss * weight, reduction)  # type: ignore[no-any-return]


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t - x) for log-probabilities x and probabilities t, 0 where t = 0; shapes broadcast.

    ``log_target=True``: the target holds log-probabilities, e^t (t - x). ``reduction="batchmean"`` divides the sum by
    the size of the first dimension, which makes it the divergence of Kullback and Leibler; "mean" divides by the
    number of elements, with PyTorch's warning. The slope in a target of 0 is -inf.
    """
    batchmean = reduction == "batchmean" and size_average is None and reduce is None
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    reduction = checked_reduction("sum" if batchmean else reduction, size_average, reduce)
    total: Tensor
    if input.array.shape == target.array.shape:
        total = (_losses.log_divergence if log_target else _losses.divergence)(input, target, reduction=reduction)
    elif log_target:
        total = _losses.reduced(elementwise.exp(target) * (target - input), reduction)
    else:
        total = _losses.reduced(_losses.xlogx(target) - target * input, reduction)
    return total / input.shape[0] if batchmean and input.ndim else total


def _differentiable(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.needs_grad


def _constant(tensor: Tensor, dtype: Any) -> Any:
    """A tensor that gets no gradient: itself, so that a change before the backward pass is noticed, or as a new array
    of ``dtype``."""
    return tensor if tensor.array.dtype == dtype else tensor.array.astype(dtype)


def _check_broadcast(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    lead = len(wanted) - len(shape)
    if lead < 0 or any(size not in (1, want) for size, want in zip(shape, wanted[lead:])):
        raise RuntimeError(
            f"{name}: a weight of shape {tuple(shape)} does not broadcast to the input's {tuple(wanted)}"
        )


_INDICES = np.dtype(np.int64), np.dtype(np.uint8)


def _classes(name: str, shape: tuple[int, ...], target: Tensor) -> Any:
    """The class indices as int64 (see :func:`_constant`), after a look at the shapes."""
    if target.array.dtype not in _INDICES:
        raise RuntimeError(
            f"{name}: expected a target of dtype int64 or uint8, but got {target.dtype}; convert it with .long()"
        )
    wanted = () if len(shape) == 1 else shape[:1] + shape[2:]
    if not shape or target.shape != wanted:
        raise ValueError(
            f"{name}: an input of shape {tuple(shape)} (batch, classes, ...) expects a target of shape {wanted}, "
            f"but got {tuple(target.shape)}"
        )
    return _constant(target, np.int64)


def _class_weight(name: str, input: Tensor, weight: Tensor, constant: bool = True) -> Any:
    classes = input.shape[1 if input.ndim > 1 else 0]
    if weight.shape != (classes,):
        raise RuntimeError(
            f"{name}: weight tensor should be defined either for all {classes} classes or no classes, but got weight "
            f"tensor of shape {list(weight.shape)}"
        )
    if not weight.needs_grad or not mode.on:
        return _constant(weight, input.array.dtype)
    if constant:
        raise NotImplementedError(
            f"{name}: the derivative with respect to 'weight' (shape {tuple(weight.shape)}) is not implemented for "
            "targets that are classes; detach() it"
        )
    return weight.to(input.array.dtype)
