"""Losses: each takes ``reduction`` "mean", "sum" or "none"."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.mode import mode
from tinydl.ops import elementwise, reducing
from tinydl.ops import losses as _losses
from tinydl.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def _reduction(reduction: str) -> str:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'")
    return reduction


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-w [p y log sigmoid(x) + (1 - y) log(1 - sigmoid(x))] for logits x and targets y in [0, 1] of one shape.

    ``weight`` w and ``pos_weight`` p broadcast to that shape. ``reduction``: ``"mean"`` over all elements, ``"sum"`` or
    ``"none"``. Stable for any logit, infinite ones included. Raises ValueError, naming both shapes, when they differ.
    """
    if target.shape != input.shape:
        raise ValueError(f"Target size {tuple(target.shape)} must be the same as input size {tuple(input.shape)}")
    _reduction(reduction)
    dtype = input.data.dtype
    for w in (weight, pos_weight):
        if w is not None:
            _check_broadcast(w.shape, input.shape)
    if _differentiable(target) or _differentiable(weight) or _differentiable(pos_weight):
        return _losses.bce_definition(input, target, weight, pos_weight, reduction=reduction)  # type: ignore[no-any-return]
    weights = [None if w is None else _constant(w, dtype) for w in (weight, pos_weight)]
    return _losses.bce_with_logits(input, _constant(target, dtype), *weights, reduction=reduction)  # type: ignore[no-any-return]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
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
    logits, classes = input.data, target.data
    index: Any = target
    # The usual case first: a matrix of logits and int64 classes.
    if not (
        logits.ndim == 2
        and classes.dtype == np.int64
        and classes.shape == logits.shape[:1]
        and reduction in REDUCTIONS
        and 0.0 <= label_smoothing <= 1.0
    ):
        _reduction(reduction)
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
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-log p[t] for log-probabilities ``input`` [N, C, d1, ...] (or [C]) and classes ``target`` int64 [N, d1, ...] (or
    []).

    ``weight``, ``ignore_index``, ``reduction`` and errors as in :func:`cross_entropy`.
    """
    _reduction(reduction)
    classes = _losses.plain(_classes("nll_loss", input.shape, target))
    weights = None if weight is None else _losses.plain(_class_weight("nll_loss", input, weight))
    loss, hit = _losses.picked(input, classes, weights, ignore_index)
    return _losses.reduced(loss, reduction, hit.sum())  # type: ignore[no-any-return]


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(x - y)^2 for two tensors of one shape.

    Raises ValueError, naming both shapes, when they differ (PyTorch broadcasts with a warning: mostly a mistake).
    """
    if input.shape != target.shape:
        raise ValueError(
            f"mse_loss: the input has shape {tuple(input.shape)} and the target {tuple(target.shape)}; expand one"
        )
    return _losses.reduced(elementwise.square(input - target), _reduction(reduction))  # type: ignore[no-any-return]


def _differentiable(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.needs_grad


def _constant(tensor: Tensor, dtype: Any) -> Any:
    """A tensor that gets no gradient: itself, so that a change before the backward pass is noticed, or as a new array
    of ``dtype``."""
    return tensor if tensor.data.dtype == dtype else tensor.data.astype(dtype)


def _check_broadcast(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    lead = len(wanted) - len(shape)
    if lead < 0 or any(size not in (1, want) for size, want in zip(shape, wanted[lead:])):
        raise RuntimeError(
            f"binary_cross_entropy_with_logits: a weight of shape {shape} does not broadcast to the input's {wanted}"
        )


def _classes(name: str, shape: tuple[int, ...], target: Tensor) -> Any:
    """The class indices as int64 (see :func:`_constant`), after a look at the shapes."""
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected a target of dtype int64, but got {target.dtype}; convert it with .long()")
    wanted = () if len(shape) == 1 else shape[:1] + shape[2:]
    if not shape or target.shape != wanted:
        raise ValueError(
            f"{name}: an input of shape {tuple(shape)} (batch, classes, ...) expects a target of shape {wanted}, "
            f"but got {target.shape}"
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
        return _constant(weight, input.data.dtype)
    if constant:
        raise NotImplementedError(
            f"{name}: the derivative with respect to 'weight' (shape {tuple(weight.shape)}) is not implemented for "
            "targets that are classes; detach() it"
        )
    return weight.to(input.data.dtype)
