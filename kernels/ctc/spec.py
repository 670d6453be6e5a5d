"""Connectionist temporal classification (Graves et al., ICML 2006): the likelihood of a labelling that is shorter than
its input, summed over every way of spreading it.

With l' the labels and a blank between, before and after them (equation numbers are the paper's), ``y`` the
probabilities and all sums over paths in the log domain and in float64::

    alpha_t(s) = y_t(l'_s) * (alpha_{t-1}(s) + alpha_{t-1}(s-1) + [l'_s != blank and l'_s != l'_{s-2}] alpha_{t-1}(s-2))
    beta_t(s)  = the same from the end, without the factor y_t(l'_s)                                      (6) to (11)
    p(l)       = alpha_T(last) + alpha_T(last - 1)                                                                (8)
    d -log p(l) / d log y_t(k) = -sum_{s: l'_s = k} alpha_t(s) beta_t(s) / p(l)                                  (15)

``ctc_forward(x [T, N, C], targets int64 [N, S], steps int64 [N], sizes int64 [N], blank, zero_infinity, reduction) ->
(loss, alpha)``
    ``x`` are the logarithms of y; of sequence n the first ``steps[n]`` <= T count, and of its labels, which lie in
    [0, C), the first ``sizes[n]`` <= S. Where no path is long enough the loss is infinite, or 0 with ``zero_infinity``.
    ``reduction`` is "none" (loss [N]), "sum" or "mean" (of the losses over max(sizes, 1)). alpha is for the backward.

``ctc_backward(g, x, targets, steps, sizes, alpha, blank, zero_infinity, reduction) -> dx``
    ``g`` of the shape of the loss. The gradient is that of the log-probabilities as independent numbers (PyTorch's adds
    y_t(k), which vanishes behind log_softmax and nowhere else): NaN of an infinite loss, 0 with ``zero_infinity``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]
Ints = NDArray[np.int64]


def extended(targets: Ints, sizes: Ints, blank: int) -> tuple[Ints, NDArray[np.bool_]]:
    """l' [N, 2 S + 1], and where a path may come from two places before. Beyond a sequence's end stand blanks."""
    count, size = targets.shape
    labels = np.full((count, 2 * size + 1), blank, np.int64)
    labels[:, 1::2] = np.where(np.arange(size) < sizes[:, None], targets, blank)
    skips = np.zeros(labels.shape, np.bool_)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    return labels, skips


def shares(sizes: Ints, reduction: str) -> Any:
    """What each loss counts in the result."""
    return 1.0 / (np.maximum(sizes, 1) * len(sizes)) if reduction == "mean" else np.ones(len(sizes))


def _emitted(x: Array, labels: Ints) -> Array:
    found: Any = np.take_along_axis(x, np.broadcast_to(labels, (len(x), *labels.shape)), 2)
    emitted: Array = found.astype(np.float64)
    return emitted


def _log_p(alpha: Array, sizes: Ints) -> Array:
    rows, last = np.arange(len(sizes)), 2 * sizes
    before = np.where(last > 0, alpha[-1, rows, last - 1], -np.inf)
    log_p: Array = np.logaddexp(alpha[-1, rows, last], before)
    return log_p


@register(op="ctc_forward", name="numpy")
def ctc_forward(
    x: Array, targets: Ints, steps: Ints, sizes: Ints, blank: int, zero_infinity: bool, reduction: str
) -> tuple[Array, Array]:
    """All sequences at once, step by step; those that have ended keep their alpha."""
    labels, skips = extended(targets, sizes, blank)
    emitted = _emitted(x, labels)
    alpha = np.full(emitted.shape, -np.inf)
    alpha[0, :, 0] = emitted[0, :, 0]
    begins = sizes > 0
    alpha[0, begins, 1:2] = emitted[0, begins, 1:2]
    for t in range(1, len(x)):
        old, new = alpha[t - 1], alpha[t]
        new[:] = old
        new[:, 1:] = np.logaddexp(new[:, 1:], old[:, :-1])
        new[:, 2:] = np.where(skips[:, 2:], np.logaddexp(new[:, 2:], old[:, :-2]), new[:, 2:])
        new += emitted[t]
        np.copyto(new, old, where=t >= steps[:, None])
    loss: Any = np.where(steps == 0, np.where(sizes == 0, 0.0, np.inf), -_log_p(alpha, sizes))
    if zero_infinity:
        loss = np.where(np.isfinite(loss), loss, 0.0)
    if reduction != "none":
        loss = np.sum(loss * shares(sizes, reduction)) if len(loss) or reduction == "sum" else np.float64(np.nan)
    return np.asarray(loss, x.dtype), alpha


@register(op="ctc_backward", name="numpy")
def ctc_backward(
    g: Array, x: Array, targets: Ints, steps: Ints, sizes: Ints, alpha: Array, blank: int, zero_infinity: bool,
    reduction: str,
) -> Array:  # fmt: skip
    """beta of all sequences, and with it the share of each place in all paths, from the end."""
    labels, skips = extended(targets, sizes, blank)
    emitted, rows = _emitted(x, labels), np.arange(len(sizes))
    log_p = np.where(steps == 0, np.where(sizes == 0, 0.0, -np.inf), _log_p(alpha, sizes))
    possible, begins, last = np.isfinite(log_p), sizes > 0, 2 * sizes
    slope = np.zeros(x.shape)
    at_end = np.full(labels.shape, -np.inf)
    at_end[rows, last] = 0.0
    at_end[rows[begins], last[begins] - 1] = 0.0
    beta = at_end
    for t in range(len(x) - 1, -1, -1):
        if t < len(x) - 1:
            later = beta + emitted[t + 1]
            new = later.copy()
            new[:, :-1] = np.logaddexp(new[:, :-1], later[:, 1:])
            new[:, :-2] = np.where(skips[:, 2:], np.logaddexp(new[:, :-2], later[:, 2:]), new[:, :-2])
            beta = np.where((t < steps - 1)[:, None], new, at_end)
        counts = possible & (t < steps)
        share = np.zeros(labels.shape)
        share[counts] = np.exp(alpha[t, counts] + beta[counts] - log_p[counts, None])
        for s in range(labels.shape[1]):
            slope[t, rows, labels[:, s]] -= share[:, s]
    slope *= (g * shares(sizes, reduction))[:, None]
    if not zero_infinity:
        slope[:, ~possible] = np.nan
    return slope.astype(x.dtype)


# -- cards ------------------------------------------------------------------------------------------------------------


def _log_softmax(x: Array) -> Array:
    return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)


def samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``ctc_forward``: repeated labels, no labels, no steps, too few steps, every option."""
    rng = np.random.default_rng(6)
    for number, (T, N, C, S) in enumerate(((1, 1, 2, 1), (7, 2, 4, 3), (5, 3, 2, 2), (12, 4, 6, 5), (4, 0, 3, 2),
                                           (3, 2, 3, 0), (40, 3, 9, 11))):  # fmt: skip
        x = _log_softmax(2 * rng.standard_normal((T, N, C))).astype(dtype)
        for blank, zero_infinity, reduction in itertools.product((0, C - 1), (False, True), ("none", "mean", "sum")):
            targets = (rng.integers(1, C, (N, S)) + blank) % C
            sizes, steps = rng.integers(0, S + 1, N), rng.integers(max(T - 3, 0), T + 1, N)
            if number % 2:
                sizes[:], steps[:1] = S, T
            yield x, targets, steps, sizes, blank, zero_infinity, reduction
        yield np.asfortranarray(x)[::-1], targets[:, ::-1], steps, sizes, blank, True, "none"


def _turned(
    x: Array, targets: Ints, steps: Ints, sizes: Ints, blank: int, zero_infinity: bool, reduction: str
) -> tuple[Any, ...]:
    """The arguments of the backward, with the plain definition's alpha."""
    settings = blank, zero_infinity, reduction
    loss, alpha = ctc_forward(x, targets, steps, sizes, *settings)
    g = np.random.default_rng(7).standard_normal(loss.shape).astype(x.dtype)
    return g, x, targets, steps, sizes, alpha, *settings


def _speech(T: int, N: int, C: int, S: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        x = _log_softmax(rng.standard_normal((T, N, C))).astype(dtype)
        return x, rng.integers(1, C, (N, S)), np.full(N, T), np.full(N, S), 0, False, "mean"

    return case


def _case(make: Callable[[Any], tuple[Any, ...]], dtype: Any) -> tuple[Any, ...]:
    return _turned(*make(dtype))


def _cells(x: Array, targets: Ints, *_: Any) -> int:
    return int(len(x) * targets.shape[0] * (2 * targets.shape[1] + 1))


def _gradient(rng: np.random.Generator) -> Any:
    x = _log_softmax(rng.standard_normal((6, 2, 4)))
    settings = {"input_lengths": np.array([6, 5]), "target_lengths": np.array([3, 2]), "blank": 0,
                "zero_infinity": False, "reduction": "mean"}  # fmt: skip
    return (x, np.array([[1, 2, 2], [3, 1, 0]])), settings


_SIZES = (10, 2, 5, 3), (50, 16, 20, 10), (200, 32, 80, 40)
_CASES = {f"{t}x{n}x{c}, {s}": _speech(t, n, c, s) for t, n, c, s in _SIZES}
describe(
    Card(
        op="ctc_forward", says="-log of the sum over all alignments of their probability", samples=samples,
        tolerance={"float32": 2e-6, "float64": 1e-13}, results=1, flops=lambda *a: 60 * _cells(*a),
        bytes=lambda x, *_: x.nbytes, cases=_CASES, rivals={"torch": rivals.ctc}, serves="tinydl.ops.ctc.ctc",
        gradient=_gradient,
    )
)  # fmt: skip
describe(
    Card(
        op="ctc_backward", says="its gradient",
        samples=lambda dtype: (_turned(*a) for a in samples(dtype)),
        tolerance={"float32": 4e-6, "float64": 1e-12}, flops=lambda g, *a: 60 * _cells(*a),
        bytes=lambda g, x, *_: 2 * x.nbytes,
        cases={name: functools.partial(_case, make) for name, make in _CASES.items()}, serves="tinydl.ops.ctc.ctc",
        gradient=_gradient,
    )
)  # fmt: skip
