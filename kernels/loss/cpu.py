"""Losses on the CPU. Those on logits in float32: one loop over the logits gives loss and gradient.

What makes the loops vectors: exp and log1p are polynomials without a branch (a library call would keep the loop
scalar), and divisions follow NumPy's model (Python's raises on zero, which is a branch). 0.4 ns an element on one
thread where NumPy's passes take 7.

Sums are taken per block of fixed size (binary) or per row (softmax) and added up in float64, so that the bits do not
depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.builtin import Builtin
from tinydl.kernels.cache import njit
from tinydl.kernels.loss import spec
from tinydl.kernels.loss.spec import LEAST_LOG, out_of_bounds, outside
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER, ONE, SUMS, ZERO, exp, log1p, sum_
from tinydl.kernels.sharing import Shared
from tinydl.kernels.threads import get_num_threads
from tinydl.kernels.workspace import plain

Array = NDArray[Any]
_f = np.float32

# Of this many logits on, threads win over their start (1.6 us and the wake-up).
PARALLEL_FROM = 32_768
_SHORT = 64  # classes
_BLOCK = 4096  # elements a partial sum runs over in float32 (16 vector lanes: 256 terms each)

# ------------------------------------------------------------------------------------------------ binary cross-entropy


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _bce_one(x: Any, positive: Any, negative: Any) -> Any:
    """Loss and gradient at one logit, where the positive and the negative class weigh this much."""
    e = exp(-abs(x))
    log_term = log1p(e)
    larger = ONE / (ONE + e)  # sigmoid(|x|)
    smaller = e * larger  # sigmoid(-|x|)
    up = x if x > 0 else ZERO
    down = ZERO if x > 0 else -x
    loss = (ZERO if positive == 0 else positive * (down + log_term)) + (
        ZERO if negative == 0 else negative * (up + log_term)
    )
    gradient = negative * (larger if x >= 0 else smaller) - positive * (smaller if x >= 0 else larger)
    return loss, gradient


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _bce_block(x: Any, y: Any, scale: Any, loss: Any, gradient: Any) -> Any:
    """Losses and, times ``scale``, gradients."""
    for i in range(x.size):
        loss[i], slope = _bce_one(x[i], y[i], ONE - y[i])
        gradient[i] = slope * scale


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _bce_block_weighted(x: Any, y: Any, weight: Any, pos_weight: Any, scale: Any, loss: Any, gradient: Any) -> Any:
    """:func:`_bce_block` with a weight and a weight of the positive class for every element."""
    for i in range(x.size):
        one, slope = _bce_one(x[i], y[i] * pos_weight[i], ONE - y[i])
        loss[i] = one * weight[i]
        gradient[i] = slope * weight[i] * scale


def _bce_blocks(
    thread: int, threads: int, x: Any, y: Any, weight: Any, pos_weight: Any, weighted: Any, scale: Any, loss: Any,
    gradient: Any, totals: Any,
) -> None:  # fmt: skip
    """Fills ``totals`` with the sum of each block, and ``loss``, if it is there, with all of them."""
    blocks = totals.size
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        part = slice(block * _BLOCK, min((block + 1) * _BLOCK, x.size))
        losses = loss[part] if loss.size else np.empty(part.stop - part.start, np.float32)
        if weighted:
            _bce_block_weighted(x[part], y[part], weight[part], pos_weight[part], scale, losses, gradient[part])
        else:
            _bce_block(x[part], y[part], scale, losses, gradient[part])
        totals[block] = sum_(losses)


@njit(error_model="numpy")
def _in_order(numbers: Any) -> Any:
    """Their sum in float64, one after another."""
    total = 0.0
    for i in range(numbers.size):
        total += numbers[i]
    return total


def _bce_here(
    x: Any, y: Any, weight: Any, pos_weight: Any, weighted: Any, mean: Any, each: Any, loss: Any, gradient: Any
) -> Any:
    """On one thread; ``loss`` is the reduced one, or with ``each`` all of them."""
    scale = _f(1 / x.size) if mean and x.size else ONE
    totals = np.empty((x.size + _BLOCK - 1) // _BLOCK, np.float64)
    _bce_some(0, 1, x, y, weight, pos_weight, weighted, scale, loss[: x.size if each else 0], gradient, totals)
    total = _in_order(totals)
    if not each:
        loss[0] = total if not mean else total / x.size if x.size else np.nan
    return 0


_bce_some, _bce = njit(_bce_blocks, error_model="numpy"), Shared(_bce_blocks, error_model="numpy")
_BCE_HERE = Builtin(_bce_here, "TTTTiiiTT")
_NOTHING = np.empty(0, np.float32)


@register(op="bce_with_logits", name="cpu.fused", dtypes=("float32",), default=True)
def bce_with_logits(
    x: Array, y: Array, weight: Array | None, pos_weight: Array | None, reduction: str
) -> tuple[Array, Array]:
    """Binary cross-entropy with logits and its gradient; see the card."""
    x, y = x if x.flags.carray else plain(x), y if y.flags.carray else plain(y)
    size = x.size
    weighted, mean, each = weight is not None or pos_weight is not None, reduction == "mean", reduction == "none"
    w = v = _NOTHING
    if weighted:
        w = np.ones_like(x) if weight is None else plain(weight)
        v = np.ones_like(x) if pos_weight is None else plain(pos_weight)
    gradient = np.empty(x.shape, x.dtype)
    loss = np.empty(x.shape if each else (), x.dtype)
    if size < PARALLEL_FROM:
        _BCE_HERE[x.dtype](x, y, w, v, weighted, mean, each, loss, gradient)
        return loss, gradient
    x, y, w, v, flat = (a.reshape(-1) for a in (x, y, w, v, gradient))
    scale = _f(1 / size) if mean else ONE
    totals = np.empty(-(-size // _BLOCK), np.float64)
    losses = loss.reshape(-1) if each else _NOTHING
    _bce(get_num_threads(), x, y, w, v, weighted, scale, losses, flat, totals)
    if not each:
        total = _in_order(totals)
        loss[...] = total / size if mean else total
    return loss, gradient


# ----------------------------------------------------------------------------------------------- softmax cross-entropy


@njit(fastmath=SUMS | {"nnan"}, error_model="numpy", forceinline=True)
def _largest(row: Any) -> Any:
    """The largest entry. Which one where some are NaN is open: the exponentials are then NaN whatever is subtracted."""
    top = row[0]
    for c in range(1, row.size):
        top = max(top, row[c])
    return top


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _surprise(x: Any, top: Any, log_total: Any) -> Any:
    """-log p = log_total - (x - top), in this order: log_total + top would round at the size of the logits."""
    return log_total - (x - top)


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _exponentials(row: Any, top: Any, out: Any) -> Any:
    """out = e^(row - top), and their sum."""
    total = ZERO
    for c in range(row.size):
        e = exp(row[c] - top)
        out[c] = e
        total += e
    return total


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _softmax_block(
    x: Any, target: Any, weight: Any, ignore_index: Any, smoothing: Any, scale: Any, loss: Any, gradient: Any
) -> Any:
    """Some rows, few enough to stay in the first-level cache: losses, and gradients times ``scale``.

    The exponentials of short rows run over all of them in one flat loop: rows of ten classes would never fill a vector.
    """
    rows, classes = x.shape
    short = classes < _SHORT
    if short:
        for n in range(rows):
            top = _largest(x[n])
            for c in range(classes):
                gradient[n, c] = x[n, c] - top
        flat = gradient.reshape(-1)
        for i in range(flat.size):
            flat[i] = exp(flat[i])
    share = smoothing / np.float32(classes)
    for n in range(rows):
        slope, t = gradient[n], target[n]
        if t == ignore_index:
            loss[n] = ZERO
            slope[:] = ZERO
            continue
        top = _largest(x[n])
        total = sum_(slope) if short else _exponentials(x[n], top, slope)
        log_total = np.float32(np.log(total))
        hit = (weight[t] if weight.size else ONE) * (ONE - smoothing)
        one = hit * _surprise(x[n, t], top, log_total)
        factor = hit
        if smoothing > 0:
            for c in range(classes):
                w = share * (weight[c] if weight.size else ONE)
                one += w * _surprise(x[n, c], top, log_total)
                factor += w
        factor *= scale / total
        for c in range(classes):
            slope[c] *= factor
        if smoothing > 0:
            for c in range(classes):
                slope[c] -= share * scale * (weight[c] if weight.size else ONE)
        slope[t] -= hit * scale
        loss[n] = one


def _softmax(
    flat: Any, target: Any, weight: Any, classes: Any, ignore_index: Any, label_smoothing: Any, mean: Any, each: Any,
    loss: Any, gradient: Any,
) -> Any:  # fmt: skip
    """Fills ``gradient``, and ``loss`` with one for each row or their sum or mean; the first row with a wrong target,
    or -1."""
    rows = target.size
    wrong, norm = _norm(target, weight, classes, ignore_index)
    if wrong >= 0:
        return wrong
    losses = loss if each else np.empty(rows, np.float32)
    scale = np.float32(1 / norm) if mean else ONE
    _softmax_some(0, 1, flat, target, weight, classes, ignore_index, label_smoothing, scale, losses, gradient)
    if not each:
        total = _in_order(losses)
        loss[0] = (total / norm if norm != 0 else np.nan) if mean else total
    return -1


@njit(error_model="numpy")
def _norm(target: Any, weight: Any, classes: Any, ignore_index: Any) -> Any:
    """The first row with a wrong target, or -1, and the sum of weights of the targets."""
    norm = 0.0
    for n in range(target.size):
        t = target[n]
        if t != ignore_index:
            if t < 0 or t >= classes:
                return n, norm
            norm += weight[t] if weight.size else 1.0
    return -1, norm


def _softmax_blocks(
    thread: int, threads: int, flat: Any, target: Any, weight: Any, classes: Any, ignore_index: Any,
    label_smoothing: Any, scale: Any, losses: Any, gradient: Any,
) -> None:  # fmt: skip
    rows = target.size
    x, slopes = flat.reshape((rows, classes)), gradient.reshape((rows, classes))
    smoothing = np.float32(label_smoothing)
    step = max(1, _BLOCK // max(classes, 1))
    blocks = (rows + step - 1) // step
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        part = slice(block * step, min((block + 1) * step, rows))
        _softmax_block(x[part], target[part], weight, ignore_index, smoothing, scale, losses[part], slopes[part])


_softmax_some = njit(_softmax_blocks, error_model="numpy")
_softmax_shared = Shared(_softmax_blocks, error_model="numpy")
_softmax_serial = Builtin(_softmax, "TlTiixiiTT")


def _softmax_on_threads(
    x: Any, target: Any, weight: Any, classes: Any, ignore_index: Any, label_smoothing: Any, mean: Any, each: Any,
    loss: Any, gradient: Any,
) -> Any:  # fmt: skip
    """As :func:`_softmax`."""
    wrong, norm = _norm(target, weight, classes, ignore_index)
    if wrong >= 0:
        return wrong
    losses = loss.reshape(-1) if each else np.empty(target.size, np.float32)
    scale = (_f(1 / norm) if norm else _f(np.inf)) if mean else ONE
    _softmax_shared(
        get_num_threads(), x.reshape(-1), target, weight, classes, ignore_index, label_smoothing, scale, losses,
        gradient.reshape(-1),
    )  # fmt: skip
    if not each:
        total = _in_order(losses)
        loss[...] = (total / norm if norm else np.nan) if mean else total
    return -1


@register(op="softmax_cross_entropy", name="cpu.fused", dtypes=("float32",), default=True)
def softmax_cross_entropy(
    x: Array, target: NDArray[np.int64], weight: Array | None, ignore_index: int, label_smoothing: float, reduction: str
) -> tuple[Array, Array]:
    """Cross-entropy of softmax against class indices and its gradient; see the card."""
    kernel = _softmax_on_threads if x.size >= PARALLEL_FROM else _softmax_serial[x.dtype]
    return _of_classes(kernel, x, target, weight, reduction, ignore_index, label_smoothing)


# -------------------------------------------------------------------------------------- losses that look at one class


def _nll(
    x: Any, target: Any, weight: Any, classes: Any, ignore_index: Any, mean: Any, each: Any, loss: Any, gradient: Any
) -> Any:
    """As :func:`_softmax`."""
    rows = target.size
    total, norm = 0.0, 0.0
    for n in range(rows):
        t = target[n]
        if t != ignore_index and (t < 0 or t >= classes):
            return n
        if t != ignore_index:
            norm += weight[t] if weight.size else 1.0
    scale = np.float32(1 / norm) if mean else ONE
    gradient[:] = ZERO
    for n in range(rows):
        t, one = target[n], 0.0
        if t != ignore_index:
            hit = weight[t] if weight.size else ONE
            one = float(-hit * x[n * classes + t])
            gradient[n * classes + t] = -hit * scale
        if each:
            loss[n] = one
        total += one
    if not each:
        loss[0] = (total / norm if norm != 0 else np.nan) if mean else total
    return -1


def _multi_margin(
    x: Any, target: Any, weight: Any, classes: Any, p: Any, margin: Any, mean: Any, each: Any, loss: Any, gradient: Any
) -> Any:
    """As :func:`_softmax`."""
    rows = target.size
    total, bound = 0.0, np.float32(margin)
    scale = np.float32(1 / rows) if mean else ONE
    for n in range(rows):
        t, at = target[n], n * classes
        if t < 0 or t >= classes:
            return n
        factor = (weight[t] if weight.size else ONE) / np.float32(classes)
        one, pull = 0.0, 0.0
        for c in range(classes):
            slack = bound - x[at + t] + x[at + c]
            if c == t or slack <= ZERO:
                gradient[at + c] = ZERO
                continue
            one += float(slack if p == 1 else slack * slack)
            slope = factor if p == 1 else np.float32(2) * slack * factor
            pull += float(slope)
            gradient[at + c] = slope * scale
        gradient[at + t] = np.float32(-pull) * scale
        one = one * float(factor)
        if each:
            loss[n] = one
        total += one
    if not each:
        loss[0] = (total / rows if rows else np.nan) if mean else total
    return -1


_NLL, _MULTI_MARGIN = Builtin(_nll, "TlTiiiiTT"), Builtin(_multi_margin, "TlTiixiiTT")


@register(op="nll", name="cpu.fused", dtypes=("float32",), default=True)
def nll(
    x: Array, target: NDArray[np.int64], weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Array]:
    """Negative log-likelihood and its gradient; see the card."""
    return _of_classes(_NLL[x.dtype], x, target, weight, reduction, ignore_index)


@register(op="multi_margin", name="cpu.fused", dtypes=("float32",), default=True)
def multi_margin(
    x: Array, target: NDArray[np.int64], weight: Array | None, p: int, margin: float, reduction: str
) -> tuple[Array, Array]:
    """Hinge of every other class and its gradient; see the card."""
    return _of_classes(_MULTI_MARGIN[x.dtype], x, target, weight, reduction, p, margin)


def _of_classes(
    kernel: Any, x: Array, target: NDArray[np.int64], weight: Array | None, reduction: str, *settings: Any
) -> tuple[Array, Array]:
    each = reduction == "none"
    gradient = np.empty(x.shape, x.dtype)
    loss = np.empty(len(x) if each else (), x.dtype)
    wrong = kernel(
        x if x.flags.carray else plain(x), target if target.flags.carray else plain(target),
        _NOTHING if weight is None else plain(weight), x.shape[1], *settings, reduction == "mean", each, loss, gradient,
    )  # fmt: skip
    if wrong >= 0:
        raise out_of_bounds(int(target[wrong]), x.shape[1])
    return loss, gradient


# --------------------------------------------------------------------------------------------------- pairs of numbers

_HUBER, _SMOOTH, _BINARY, _DIVERGENCE, _LOG_DIVERGENCE, _SOFT_MARGIN = range(6)
_KINDS = {
    "huber": _HUBER, "smooth": _SMOOTH, "binary": _BINARY, "divergence": _DIVERGENCE,
    "log_divergence": _LOG_DIVERGENCE, "soft_margin": _SOFT_MARGIN,
}  # fmt: skip
_REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}

# Up to this many pairs one loop over numbers beats NumPy's calls; of more, its logarithms are vectors.
_FEW = 256


@njit(error_model="numpy", forceinline=True)
def _of_pair(x: Any, y: Any, kind: Any, setting: Any) -> Any:
    if kind == _BINARY:
        return (y - 1.0) * max(np.log1p(-x), LEAST_LOG) - y * max(np.log(x), LEAST_LOG)
    if kind == _DIVERGENCE:
        return (0.0 if y == 0 else y * np.log(y)) - y * x
    if kind == _LOG_DIVERGENCE:
        return np.exp(y) * (y - x)
    if kind == _SOFT_MARGIN:
        z = -y * x
        return (z if z > 0 else 0.0) + np.log1p(np.exp(-abs(z)))
    distance = abs(x - y)
    loss = distance * distance * 0.5 if distance <= setting else (distance - 0.5 * setting) * setting
    return loss / setting if kind == _SMOOTH else loss


def _pair_losses(x: Any, y: Any, kind: Any, setting: Any, reduction: Any, loss: Any) -> Any:
    """1 where an x, 2 where a y is no probability and should be one; else 0."""
    total, wrong = 0.0, 0
    for i in range(x.size):
        if kind == _BINARY:
            if not (x[i] >= 0 and x[i] <= 1):
                return 1
            if not (y[i] >= 0 and y[i] <= 1):
                wrong = 2
        one = _of_pair(np.float64(x[i]), np.float64(y[i]), kind, setting)
        if reduction == 0:
            loss[i] = one
        total += one
    if reduction == 1:
        loss[0] = total
    if reduction == 2:
        loss[0] = total / x.size
    return wrong


_PAIR_LOSSES = Builtin(_pair_losses, "TTixiT")


@register(op="pair_loss", name="cpu.loop", dtypes=("float32", "float64"), default=True)
def pair_loss(x: Array, y: Array, kind: str, setting: float, reduction: str) -> Array:
    """A loss of few pairs; see the card."""
    if not 0 < x.size <= _FEW:
        return spec.pair_loss(x, y, kind, setting, reduction)
    loss = np.empty(x.shape if reduction == "none" else (), x.dtype)
    wrong = _PAIR_LOSSES[x.dtype](
        x if x.flags.carray else plain(x), y if y.flags.carray else plain(y), _KINDS[kind], setting,
        _REDUCTIONS[reduction], loss,
    )  # fmt: skip
    if wrong:
        raise outside("input" if wrong == 1 else "target")
    return loss
