"""Losses on logits, each with its gradient: the value is wanted with its gradient in every training step, the
exponentials are the cost, and so one pass over the logits gives both.

``bce_with_logits(x, y, weight, pos_weight, reduction) -> (loss, gradient)``
    Binary cross-entropy of logits ``x`` against targets ``y`` in [0, 1] (arrays of one shape, of N numbers; ``weight``
    and ``pos_weight`` have it too, or are None)::

        l = w * (p * y * softplus(-x) + (1 - y) * softplus(x))          softplus(x) = max(x, 0) + log1p(exp(-|x|))
        dl/dx = w * ((1 - y) * sigmoid(x) - p * y * sigmoid(-x))

    This is PyTorch's ``max(x, 0) - x y + log1p(exp(-|x|))`` as a sum of non-negative terms: nothing cancels, and a term
    whose factor is zero counts zero even where the logit is infinite. ``gradient`` is d(sum of ``loss``)/dx.

``softmax_cross_entropy(x, target, weight, ignore_index, label_smoothing, reduction) -> (loss, gradient)``
    Cross-entropy of logits ``x`` [N, C] against class indices ``target`` int64 [N], with class weights ``w`` [C] (None:
    ones) and smoothing ``e`` (Szegedy et al., CVPR 2016, section 7)::

        log_p = x - logsumexp(x)
        l_n   = -(1 - e) * w_t * log_p[n, t] - e / C * sum_c w_c * log_p[n, c]                    t = target[n]
        dl_n/dx_c = ((1 - e) * w_t + e / C * sum w) * p_c - (1 - e) * w_t * [c = t] - e / C * w_c

    Rows whose target is ``ignore_index`` have loss and gradient zero. Any other target outside [0, C) raises
    IndexError.

``nll(x, target, weight, ignore_index, reduction) -> (loss, gradient)``
    Of log-probabilities ``x`` [N, C]: l_n = -w_t x[n, t], as the second with e = 0 but for the softmax.

``multi_margin(x, target, weight, p, margin, reduction) -> (loss, gradient)``
    Of scores ``x`` [N, C] (Crammer and Singer, JMLR 2, 2001), p 1 or 2; the mean divides by N::

        l_n = sum_(c != t) w_t max(0, margin - x[n, t] + x[n, c])^p / C

``pair_loss(x, y, kind, setting, reduction) -> loss``
    Of numbers ``x`` and targets ``y`` of one shape and dtype, element by element and without a gradient, which costs
    less than a look at the loss. ``kind``, where d = abs(x - y) and s is ``setting``::

        huber           d^2 / 2 where d <= s, else s (d - s / 2)            (Huber, Ann. Math. Stat. 35, 1964)
        smooth          the same divided by s
        binary          -(y log x + (1 - y) log(1 - x)), logarithms not below -100; RuntimeError outside [0, 1]
        divergence      y log y - y x, the first term 0 at 0
        log_divergence  e^y (y - x)
        soft_margin     log(1 + e^(-y x))

``reduction`` is ``"none"`` (loss [N]), ``"sum"`` or ``"mean"`` (loss 0-d). The mean divides by N, for softmax by the
sum of ``w_t`` over the rows that count (as PyTorch does with smoothing too); of nothing it is NaN.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]

# Against the float64 reference, relative to the largest value: float32 sums run over up to a few thousand terms.
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def log_bernoulli(x: Array, z: Array) -> Array:
    """ln y^x (1 - y)^(1 - x) of outcomes x (bool) for y = sigmoid(z): -softplus(-z) where x, else -softplus(z)."""
    log_p: Array = -np.logaddexp(z.dtype.type(0), np.where(x, -z, z))
    return log_p


@register(op="bce_with_logits", name="numpy")
def bce_with_logits(
    x: Array, y: Array, weight: Array | None, pos_weight: Array | None, reduction: str
) -> tuple[Array, Array]:
    """Binary cross-entropy with logits; see the head of the file."""
    positive = y if pos_weight is None else y * pos_weight
    negative = 1 - y
    decay = np.exp(-np.abs(x))  # in (0, 1]: never overflows
    log_term = np.log1p(decay)
    with np.errstate(invalid="ignore"):  # 0 * inf, which the next line takes out
        loss = positive * (np.maximum(-x, 0) + log_term)
        loss = np.where(positive == 0, 0, loss) + np.where(negative == 0, 0, negative * (np.maximum(x, 0) + log_term))
    larger = 1 / (1 + decay)  # sigmoid(|x|)
    smaller = decay * larger  # sigmoid(-|x|), exact where 1 - sigmoid(|x|) has no digits left
    above = x >= 0
    gradient = negative * np.where(above, larger, smaller) - positive * np.where(above, smaller, larger)
    gradient = np.where(np.isnan(x), x, gradient)
    if weight is not None:
        loss, gradient = loss * weight, gradient * weight
    return _reduce(loss, gradient, reduction, x.dtype.type(x.size))


def out_of_bounds(target: int, classes: int) -> IndexError:
    """The error of a class index that names no class."""
    return IndexError(f"Target {target} is out of bounds: there are {classes} classes, 0 to {classes - 1}")


@register(op="softmax_cross_entropy", name="numpy")
def softmax_cross_entropy(
    x: Array, target: NDArray[np.int64], weight: Array | None, ignore_index: int, label_smoothing: float, reduction: str
) -> tuple[Array, Array]:
    """Cross-entropy of softmax against class indices; see the head of the file."""
    rows, classes = x.shape
    one = x.dtype.type
    counts = target != ignore_index
    wrong = counts & ((target < 0) | (target >= classes))
    if wrong.any():
        raise out_of_bounds(int(target[wrong.argmax()]), classes)
    if classes == 0:  # every row is ignored
        return _reduce(np.zeros(rows, x.dtype), np.zeros_like(x), reduction, one(0))
    every, index = np.arange(rows), np.where(counts, target, 0)
    weights = np.ones(classes, x.dtype) if weight is None else weight
    hit = np.where(counts, weights[index], one(0))

    with np.errstate(over="ignore", invalid="ignore"):  # -inf is what logits this far apart should give
        centred = x - x.max(axis=1, keepdims=True)
    exponentials = np.exp(centred)
    total = exponentials.sum(axis=1, keepdims=True)
    p, log_p = exponentials / total, centred - np.log(total)

    loss = hit * one(label_smoothing - 1) * log_p[every, index]
    gradient = hit[:, None] * one(1 - label_smoothing) * p
    gradient[every, index] -= hit * one(1 - label_smoothing)
    if label_smoothing:
        share = one(label_smoothing / classes) * weights
        loss -= log_p @ share
        gradient += p * share.sum() - share
    loss[~counts] = 0
    gradient[~counts] = 0
    return _reduce(loss, gradient, reduction, hit.sum())


@register(op="nll", name="numpy")
def nll(
    x: Array, target: NDArray[np.int64], weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Array]:
    """Negative log-likelihood; see the head of the file."""
    rows, classes = x.shape
    counts = target != ignore_index
    wrong = counts & ((target < 0) | (target >= classes))
    if wrong.any():
        raise out_of_bounds(int(target[wrong.argmax()]), classes)
    loss, gradient, norm = np.zeros(rows, x.dtype), np.zeros_like(x), x.dtype.type(0)
    if counts.any():
        at, t = np.flatnonzero(counts), target[counts]
        hit = np.ones(len(t), x.dtype) if weight is None else weight[t]
        loss[at], gradient[at, t], norm = -hit * x[at, t], -hit, hit.sum()
    return _reduce(loss, gradient, reduction, norm)


@register(op="multi_margin", name="numpy")
def multi_margin(
    x: Array, target: NDArray[np.int64], weight: Array | None, p: int, margin: float, reduction: str
) -> tuple[Array, Array]:
    """Hinge of every other class; see the head of the file."""
    rows, classes = x.shape
    wrong = (target < 0) | (target >= classes)
    if wrong.any():
        raise out_of_bounds(int(target[wrong.argmax()]), classes)
    every = np.arange(rows)
    slack = np.maximum(x.dtype.type(margin) - x[every, target][:, None] + x, 0)
    slack[every, target] = 0
    factor = (np.ones(rows, x.dtype) if weight is None else weight[target])[:, None] / x.dtype.type(max(classes, 1))
    loss = ((slack if p == 1 else slack * slack) * factor).sum(axis=1)
    gradient = ((slack > 0) if p == 1 else 2 * slack) * factor
    gradient[every, target] = -gradient.sum(axis=1)
    return _reduce(loss, gradient, reduction, x.dtype.type(rows))


#: The least value of a logarithm in the cross-entropy of probabilities: PyTorch's.
LEAST_LOG = -100.0


def outside(what: str) -> RuntimeError:
    """The error of a probability outside [0, 1]."""
    return RuntimeError(f"all elements of {what} should be between 0 and 1; apply a sigmoid, or use logits")


def _pairs(x: Array, y: Array, kind: str, setting: float) -> Array:
    """Element by element."""
    if kind == "soft_margin":
        z = -y * x
        soft: Array = np.maximum(z, 0) + np.log1p(np.exp(-np.absolute(z)))
        return soft
    if kind == "divergence":
        proper: Array = y * np.log(np.where(y == 0, y.dtype.type(1), y)) - y * x
        return proper
    if kind == "log_divergence":
        logarithmic: Array = np.exp(y) * (y - x)
        return logarithmic
    if kind == "binary":
        for what, given in (("input", x), ("target", y)):
            if given.size and not (np.minimum.reduce(given, None) >= 0 and np.maximum.reduce(given, None) <= 1):
                raise outside(what)  # NaN too
        least = x.dtype.type(LEAST_LOG)
        with np.errstate(divide="ignore"):
            cross: Array = (y - 1) * np.maximum(np.log1p(-x), least) - y * np.maximum(np.log(x), least)
        return cross
    distance = np.absolute(x - y)
    loss: Array = np.where(distance <= setting, distance * distance * 0.5, (distance - 0.5 * setting) * setting)
    return loss / setting if kind == "smooth" else loss


@register(op="pair_loss", name="numpy")
def pair_loss(x: Array, y: Array, kind: str, setting: float, reduction: str) -> Array:
    """A loss of pairs of numbers; see the head of the file."""
    loss = np.asarray(_pairs(x, y, kind, setting))
    if reduction == "none":
        return loss
    total = np.asarray(np.add.reduce(loss, None))
    if reduction == "sum":
        return total
    return np.asarray(total / loss.dtype.type(loss.size) if loss.size else np.nan, loss.dtype)


def _reduce(loss: Array, gradient: Array, reduction: str, norm: Any) -> tuple[Array, Array]:
    if reduction == "none":
        return loss, gradient
    if reduction == "sum":
        return np.asarray(loss.sum(), loss.dtype), gradient
    if norm == 0:  # the mean of nothing is NaN, as in PyTorch, and depends on nothing
        return np.asarray(np.nan, loss.dtype), np.zeros_like(gradient)
    return np.asarray(loss.sum() / norm, loss.dtype), gradient / norm


def flops(x: Array, *_: Any) -> int:
    """About: an exponential and a logarithm at 12 each, and 12 more an element."""
    return 36 * x.size


def bytes(x: Array, *others: Any) -> int:
    """Logits and the other arrays read once, the gradient written once."""
    return 2 * x.nbytes + sum(other.nbytes for other in others if isinstance(other, np.ndarray))


def bce_samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``bce_with_logits``: sizes off every vector width, saturated and infinite logits, each option."""
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 16, 67, 1024, 40_003):
        x = (rng.standard_normal(size) * 8).astype(dtype)
        y = (rng.random(size) < 0.3).astype(dtype)
        weight, pos_weight = rng.random(size).astype(dtype), (1 + rng.random(size)).astype(dtype)
        yield x, y, None, None, "mean"
        yield x, rng.random(size).astype(dtype), None, pos_weight, "sum"
        yield x, y, weight, None, "none"
        yield x[::-1], y, weight, pos_weight, "mean"  # a negative stride
    extreme = np.array([np.inf, -np.inf, 3e38, -3e38, 1e4, -1e4, 90, -90, 1e-30, 0], dtype)
    yield extreme, (extreme > 0).astype(dtype), None, None, "none"


def softmax_samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``softmax_cross_entropy``: one class, one row, none, many; each option; large logits."""
    rng = np.random.default_rng(1)
    for rows, classes in ((0, 3), (1, 1), (1, 5), (32, 10), (67, 131), (513, 96), (6, 4001)):
        x = (rng.standard_normal((rows, classes)) * 4).astype(dtype)
        target = rng.integers(0, classes, rows)
        weight = (0.5 + rng.random(classes)).astype(dtype)
        yield x, target, None, -100, 0.0, "mean"
        yield x, np.where(rng.random(rows) < 0.3, -100, target), weight, -100, 0.1, "mean"
        yield x, np.where(rng.random(rows) < 0.3, 0, target), weight, 0, 0.0, "sum"
        yield np.asfortranarray(x), target, None, -100, 0.2, "none"  # columns side by side in memory
    yield np.array([[3e38, -3e38, 0], [1e4, 1e4, -1e4]], dtype), np.array([0, 1]), None, -100, 0.0, "none"
    yield np.array([[0, 1e4, 0], [0, 0, 1e4]], dtype), np.array([1, 0]), None, -100, 0.0, "none"  # wherever it stands


# -- cards ------------------------------------------------------------------------------------------------------------


def _logits(rows: int, classes: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((rows, classes)).astype(dtype)
        return x, rng.integers(0, classes, rows), None, -100, 0.0, "mean"

    return case


def _frames(count: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        x = rng.standard_normal(count * 88).astype(dtype)
        return x, (rng.random(x.size) < 0.05).astype(dtype), None, None, "mean"

    return case


describe(
    Card(
        op="bce_with_logits",
        says="l = w (p y softplus(-x) + (1 - y) softplus(x)), and dl/dx",
        samples=bce_samples,
        tolerance={name: 20 * value for name, value in TOLERANCE.items()},
        flops=flops,
        bytes=bytes,
        cases={"32x88": _frames(32), "64x32x88": _frames(64 * 32), "512x32x88": _frames(512 * 32)},
        rivals={"torch": rivals.with_gradient("nn.functional.binary_cross_entropy_with_logits")},
        serves="tinydl.ops.losses.bce_with_logits",
        gradient=lambda rng: (
            (rng.standard_normal((3, 4)), (rng.random((3, 4)) < 0.5).astype(float), None, None), {"reduction": "mean"}
        ),  # fmt: skip
    )
)
describe(
    Card(
        op="softmax_cross_entropy",
        says="l = -w_t log softmax(x)[t], smoothed, and dl/dx",
        samples=softmax_samples,
        tolerance={name: 20 * value for name, value in TOLERANCE.items()},
        flops=flops,
        bytes=bytes,
        cases={"32x10": _logits(32, 10), "2048x96": _logits(2048, 96), "256x10000": _logits(256, 10000)},
        rivals={"torch": rivals.with_gradient("nn.functional.cross_entropy")},
        serves="tinydl.ops.losses.softmax_cross_entropy",
        gradient=lambda rng: (
            (rng.standard_normal((5, 4)), rng.integers(0, 4, 5), None),
            {"ignore_index": -100, "label_smoothing": 0.1, "reduction": "mean"},
        ),
    )
)


#: Per kind the least and the greatest x, and the least y; of the greatest y, 1.
PAIRS = {
    "huber": (-3, 3, -1), "smooth": (-3, 3, -1), "binary": (0, 1, 0), "divergence": (-3, 0, 0),
    "log_divergence": (-3, 0, -3), "soft_margin": (-3, 3, -1),
}  # fmt: skip


def _pair_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    """Every kind and reduction; no dimension, nothing, few numbers and many, and columns; probabilities of 0 and 1."""
    rng = np.random.default_rng(2)
    for kind, (low, high, least) in PAIRS.items():
        for shape in ((), (0, 3), (1,), (7,), (3, 5), (1000,)):
            x, y = np.array(rng.uniform(low, high, shape), dtype), np.array(rng.uniform(least, 1, shape), dtype)
            for reduction in ("none", "sum", "mean"):
                yield x, y, kind, 0.75, reduction
        x, y = rng.uniform(low, high, (5, 4)).astype(dtype).T, rng.uniform(least, 1, (8, 5)).astype(dtype)[::-2]
        yield x, y, kind, 1.5, "none"
    for certain in (0, 1):
        one, y = np.full(4, certain, dtype), np.array([0, 1, 0.25, 1], dtype)
        yield one, y, "binary", 0.0, "none"
        yield -one, one, "divergence", 0.0, "sum"


def _pair_case(size: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        return rng.standard_normal(size).astype(dtype), rng.standard_normal(size).astype(dtype), "huber", 1.0, "mean"

    return case


describe(
    Card(
        op="pair_loss",
        says="a loss of pairs of numbers: Huber's, cross-entropy and divergence of probabilities, soft margin",
        samples=_pair_samples,
        tolerance={name: 20 * value for name, value in TOLERANCE.items()},
        flops=lambda x, *_: 8 * x.size,
        bytes=lambda x, y, *_: x.nbytes + y.nbytes,
        cases={str(size): _pair_case(size) for size in (12, 512, 65536)},
        rivals={
            "torch": rivals.function(
                "nn.functional.huber_loss", lambda x, y, kind, setting, reduction: (x, y, reduction, setting)
            )
        },
        serves="tinydl.ops.losses.huber_loss",
        gradient=lambda rng: (
            (rng.standard_normal((5, 4)), rng.standard_normal((5, 4))), {"delta": 0.75, "reduction": "mean"}
        ),  # fmt: skip
    )
)


def _class_samples(op: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        for x, target, weight, ignore_index, _, reduction in softmax_samples(dtype):
            if op == "nll":
                yield x, target, weight, ignore_index, reduction
            elif (target >= 0).all():
                x = x[np.abs(x).max(axis=1) < 100] if len(x) else x  # large scores leave no digits of the margin
                target = target[: len(x)]
                for p in (1, 2):
                    yield x, target, weight, p, 0.7, reduction

    return samples


for _op, _says, _settings in (
    ("nll", "l = -w_t x[t], and dl/dx", {"ignore_index": -100}),
    ("multi_margin", "l = sum_(c != t) w_t max(0, margin - x_t + x_c)^p / C, and dl/dx", {"p": 2, "margin": 1.0}),
):

    def _gradient(
        rng: np.random.Generator, settings: Mapping[str, float] = _settings
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (rng.standard_normal((5, 4)), rng.integers(0, 4, 5), None), {"reduction": "mean", **settings}

    def _case(make: Callable[[Any], tuple[Any, ...]], dtype: Any, op: str = _op) -> tuple[Any, ...]:
        x, target, *_ = make(dtype)
        return (x, target, None, -100, "mean") if op == "nll" else (x, target, None, 1, 1.0, "mean")

    describe(
        Card(
            op=_op,
            says=_says,
            samples=_class_samples(_op),
            tolerance={name: 4 * value for name, value in TOLERANCE.items()},
            flops=lambda x, *_, op=_op: x.size * (1 if op == "nll" else 4),
            bytes=bytes,
            cases={
                f"{m}x{n}": functools.partial(_case, _logits(m, n)) for m, n in ((32, 10), (2048, 96), (256, 10000))
            },
            rivals={
                "torch": rivals.with_gradient(f"nn.functional.{'nll_loss' if _op == 'nll' else 'multi_margin_loss'}")
            },
            serves=f"tinydl.ops.losses.{_op}",
            gradient=_gradient,
        )
    )
