"""Losses. Those on logits are fused operations: the kernel gives value and slope in one pass, and backward only scales
the slope. Each names its definition in ordinary operations: what it means, what tests hold it against, and what runs
when a second derivative is asked for. The others are elementwise, with a rule.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import clamp_between, exp, log, maximum, relu, sigmoid, softplus, where
from tinydl.ops.indexing import gather_along
from tinydl.ops.reducing import log_softmax_over, reduce_sum
from tinydl.ops.shaping import reshape_to

_BCE_WITH_LOGITS = by_dtype("bce_with_logits")
_SOFTMAX_CROSS_ENTROPY = by_dtype("softmax_cross_entropy")
_NLL, _MULTI_MARGIN, _PAIR_LOSS = by_dtype("nll"), by_dtype("multi_margin"), by_dtype("pair_loss")


def reduced(loss: Any, reduction: str, norm: Any = None) -> Any:
    """``loss`` itself, its sum, or its sum divided by ``norm`` (the number of elements by default)."""
    if reduction == "none":
        return loss
    total = reduce_sum(loss, axis=None, keepdims=False)
    if reduction == "sum":
        return total
    count = math.prod(loss.shape) if norm is None else norm
    return total / count if count else total * float("nan")


def _share(g: Any, shape: Any, reduction: str) -> Any:
    """The gradient of each loss from that of their sum or mean."""
    return g / (math.prod(shape) or 1) if reduction == "mean" else g


def _huber_slope(g: Any, input: Any, target: Any, delta: float, reduction: str) -> Any:
    return _share(g, input.shape, reduction) * clamp_between(input - target, min=-delta, max=delta)


@primitive(
    promote="same", input=_huber_slope,
    target=lambda g, input, target, delta, reduction: -_huber_slope(g, input, target, delta, reduction),
)  # fmt: skip
def huber_loss(input: Any, target: Any, *, delta: float, reduction: str) -> Any:
    """d^2 / 2 where d = |x - y| <= delta, else delta (d - delta / 2): a parabola that goes on as its tangents."""
    return _PAIR_LOSS[input.dtype](input, target, "huber", delta, reduction)


def _smooth_slope(g: Any, input: Any, target: Any, beta: float, reduction: str) -> Any:
    return _share(g, input.shape, reduction) * (clamp_between(input - target, min=-beta, max=beta) / beta)


@primitive(
    promote="same", input=_smooth_slope,
    target=lambda g, input, target, beta, reduction: -_smooth_slope(g, input, target, beta, reduction),
)  # fmt: skip
def smooth_l1(input: Any, target: Any, *, beta: float, reduction: str) -> Any:
    """:func:`huber_loss` divided by its bound, which is positive."""
    return _PAIR_LOSS[input.dtype](input, target, "smooth", beta, reduction)


def _soft_margin_slope(g: Any, other: Any, input: Any, target: Any, reduction: str) -> Any:
    return -(_share(g, input.shape, reduction) * (other * sigmoid(-target * input)))


@primitive(
    promote="same",
    input=lambda g, input, target, reduction: _soft_margin_slope(g, target, input, target, reduction),
    target=lambda g, input, target, reduction: _soft_margin_slope(g, input, input, target, reduction),
)
def soft_margin(input: Any, target: Any, *, reduction: str) -> Any:
    """log(1 + e^(-y x)) of two arrays of one shape."""
    return _PAIR_LOSS[input.dtype](input, target, "soft_margin", 0.0, reduction)


@primitive(
    promote="same",
    input=lambda g, target, input_shape, reduction: -(_share(g, input_shape, reduction) * target),
    target=lambda g, input, target, reduction: _share(g, input.shape, reduction) * (log(target) + 1 - input),
)
def divergence(input: Any, target: Any, *, reduction: str) -> Any:
    """t (log t - x) of two arrays of one shape, 0 where t = 0."""
    return _PAIR_LOSS[input.dtype](input, target, "divergence", 0.0, reduction)


@primitive(
    promote="same",
    input=lambda g, target, input_shape, reduction: -(_share(g, input_shape, reduction) * exp(target)),
    target=lambda g, input, target, reduction: _share(g, input.shape, reduction) * exp(target) * (target - input + 1),
)
def log_divergence(input: Any, target: Any, *, reduction: str) -> Any:
    """e^t (t - x) of two arrays of one shape."""
    return _PAIR_LOSS[input.dtype](input, target, "log_divergence", 0.0, reduction)


# The least value of a logarithm in the cross-entropy of probabilities, and of x (1 - x) in its slope: PyTorch's.
_LEAST_LOG = -100.0
_LEAST_VARIANCE = 1e-12


def _log_above(x: Any) -> Any:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), x.dtype.type(_LEAST_LOG))


def _log1m_above(x: Any) -> Any:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log1p(-x), x.dtype.type(_LEAST_LOG))


@primitive(
    input=lambda g, input, target, reduction: (
        _share(g, input.shape, reduction) * ((input - target) / maximum((1 - input) * input, _LEAST_VARIANCE))
    ),
    target=lambda g, input, reduction: -(_share(g, input.shape, reduction) * clamped_logit(input)),
)
def binary_cross_entropy(input: Any, target: Any, *, reduction: str) -> Any:
    """-(t log p + (1 - t) log(1 - p)) with logarithms not below -100; RuntimeError for a number outside [0, 1]."""
    return _PAIR_LOSS[input.dtype](input, target, "binary", 0.0, reduction)


@primitive(input=lambda g, input: g / maximum((1 - input) * input, _LEAST_VARIANCE))
def clamped_logit(input: Any) -> Any:
    """log p - log(1 - p) with logarithms not below -100."""
    return _log_above(input) - _log1m_above(input)


@primitive(input=lambda g, input: g * (log(input) + 1))
def xlogx(input: Any) -> Any:
    """x log x, and 0 at 0."""
    return input * np.log(np.where(input == 0, input.dtype.type(1), input))


def _scaled(needs: tuple[bool, ...], g: Any, slope: Any) -> tuple[Any, ...]:
    """The gradient of the logits: the saved slope itself where ``loss.backward()`` started with one."""
    unit = not g.shape and g.item() == 1
    return (slope if unit else slope * g, *[None] * (len(needs) - 1))


def _scaled_rows(needs: tuple[bool, ...], g: Any, slope: Any) -> tuple[Any, ...]:
    """As :func:`_scaled`, where ``g`` may lack the class dimension of the logits."""
    return _scaled(needs, np.expand_dims(g, 1) if g.shape else g, slope)


def bce_definition(input: Any, target: Any, weight: Any, pos_weight: Any, *, reduction: str) -> Any:
    """-[p y log sigmoid(x) + (1 - y) log(1 - sigmoid(x))], written with softplus, which loses no digits."""
    positive = target if pos_weight is None else target * pos_weight
    loss = positive * softplus(-input) + (1 - target) * softplus(input)
    return reduced(loss if weight is None else loss * weight, reduction)


@primitive(
    outputs=("loss", "slope"), aux=("slope",), composite=bce_definition, joint=_scaled,
    constants="target weight pos_weight",
)  # fmt: skip
def bce_with_logits(input: Any, target: Any, weight: Any, pos_weight: Any, *, reduction: str) -> Any:
    """Binary cross-entropy of logits; all of one shape and dtype but the weights, which broadcast, or are None."""
    weights = [None if w is None else np.broadcast_to(w, input.shape) for w in (weight, pos_weight)]
    return _BCE_WITH_LOGITS[input.dtype](input, target, *weights, reduction)


def picked(log_p: Any, target: Any, weight: Any, ignore_index: int) -> tuple[Any, Any]:
    """-w_t log_p[n, t, ...] for each target, 0 where it is ``ignore_index``, and the weights w_t that count.

    ``log_p`` [N, C, ...] (or [C]), ``target`` int64 [N, ...] (or []): an array, as is ``weight`` [C] or None. That the
    targets are classes has been seen by the kernel.
    """
    axis = 1 if len(log_p.shape) > 1 else 0
    counts = target != ignore_index
    index = np.where(counts, target, 0)
    weights = np.ones(log_p.shape[axis], log_p.dtype) if weight is None else weight
    hit = np.where(counts, weights[index], 0).astype(log_p.dtype, copy=False)
    found = reshape_to(gather_along(log_p, np.expand_dims(index, axis), axis=axis), shape=target.shape)
    # Chosen, not multiplied: an ignored row may hold infinities.
    return where(counts, found, np.zeros((), log_p.dtype)) * -hit, hit


def cross_entropy_definition(
    input: Any, target: Any, weight: Any, *, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    """-log softmax(x)[t], weighted, mixed with the mean over all classes by ``label_smoothing``."""
    axis = 1 if len(input.shape) > 1 else 0
    target, weight = plain(target), plain(weight)
    log_p = log_softmax_over(input, axis=axis)
    loss, hit = picked(log_p, target, weight, ignore_index)
    if label_smoothing:
        classes = input.shape[axis]
        weights = np.ones(classes, input.dtype) if weight is None else weight
        along = weights.reshape((-1,) + (1,) * (len(input.shape) - axis - 1))
        every = reduce_sum(
            log_p * (along * (-label_smoothing / classes)).astype(input.dtype), axis=axis, keepdims=False
        )
        every = where(target != ignore_index, every, np.zeros((), input.dtype))
        loss = loss * (1 - label_smoothing) + every
    return reduced(loss, reduction, hit.sum())


@primitive(
    outputs=("loss", "slope"), aux=("slope",), composite=cross_entropy_definition, joint=_scaled_rows,
    constants="target weight",
)  # fmt: skip
def softmax_cross_entropy(
    input: Any, target: Any, weight: Any, *, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    """Cross-entropy of softmax over dimension 1 (of a vector: 0) against int64 classes.

    ``input`` [N, C, d1, ...] or [C], ``target`` [N, d1, ...] or [], ``weight`` [C] of the input's dtype or None.
    """
    kernel = _SOFTMAX_CROSS_ENTROPY[input.dtype]
    if input.ndim == 2:
        return kernel(input, target, weight, ignore_index, label_smoothing, reduction)
    return _by_rows(kernel, input, target, weight, reduction, ignore_index, label_smoothing)


def nll_definition(input: Any, target: Any, weight: Any, *, ignore_index: int, reduction: str) -> Any:
    """-w_t x[t]."""
    loss, hit = picked(input, plain(target), plain(weight), ignore_index)
    return reduced(loss, reduction, hit.sum())


@primitive(
    outputs=("loss", "slope"), aux=("slope",), composite=nll_definition, joint=_scaled_rows,
    constants="target weight",
)  # fmt: skip
def nll(input: Any, target: Any, weight: Any, *, ignore_index: int, reduction: str) -> Any:
    """Negative log-likelihood of int64 classes along dimension 1; shapes as :func:`softmax_cross_entropy`."""
    kernel = _NLL[input.dtype]
    if input.ndim == 2:
        return kernel(input, target, weight, ignore_index, reduction)
    return _by_rows(kernel, input, target, weight, reduction, ignore_index)


def multi_margin_definition(
    input: Any, target: Any, weight: Any, *, p: int, margin: float, reduction: str
) -> Any:
    """sum_(c != t) w_t max(0, margin - x_t + x_c)^p / C."""
    target, weight = plain(target), plain(weight)
    classes = input.shape[-1]
    chosen = target[..., None]
    slack = relu(input - gather_along(input, chosen, axis=len(input.shape) - 1) + margin)
    slack = where(np.arange(classes) == chosen, np.zeros((), input.dtype), slack)
    slack = slack * slack if p == 2 else slack
    if weight is not None:
        slack = slack * weight[chosen]
    return reduced(reduce_sum(slack, axis=(len(input.shape) - 1,), keepdims=False) / classes, reduction)


@primitive(
    outputs=("loss", "slope"), aux=("slope",), composite=multi_margin_definition, joint=_scaled_rows,
    constants="target weight",
)  # fmt: skip
def multi_margin(input: Any, target: Any, weight: Any, *, p: int, margin: float, reduction: str) -> Any:
    """The multi-class hinge of scores [N, C] (or [C]) against int64 classes [N] (or [])."""
    kernel = _MULTI_MARGIN[input.dtype]
    if input.ndim == 2:
        return kernel(input, target, weight, p, margin, reduction)
    return _by_rows(kernel, input, target, weight, reduction, p, margin)


def _by_rows(kernel: Any, input: Any, target: Any, weight: Any, reduction: str, *settings: Any) -> Any:
    """A loss of rows [N, C] on more dimensions [N, C, d1, ...] or on [C]: a row for every place, the classes last."""
    shape, classes = input.shape, input.shape[input.ndim > 1]
    if input.ndim == 1:
        loss, slope = kernel(input.reshape(1, classes), target.reshape(-1), weight, *settings, reduction)
    else:
        planes = input.reshape(shape[0], classes, math.prod(shape[2:]))
        rows = planes.transpose(0, 2, 1).reshape(target.size, classes)
        loss, slope = kernel(rows, target.reshape(-1), weight, *settings, reduction)
        slope = slope.reshape(planes.shape[0], planes.shape[2], classes).transpose(0, 2, 1)
    return loss.reshape(target.shape) if reduction == "none" else loss, slope.reshape(shape)


def plain(x: Any) -> Any:
    """The array of a Tensor, and anything else as it is."""
    return x.array if hasattr(x, "node") else x
