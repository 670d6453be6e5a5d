"""Connectionist temporal classification (Graves et al., ICML 2006): the likelihood of a labelling that is shorter than
its input, summed over every way of spreading it.

With l' the labels and a blank between, before and after them (equation numbers are the paper's), ``y`` the
probabilities and all sums over paths in the log domain:

    alpha_t(s) = y_t(l'_s) * (alpha_{t-1}(s) + alpha_{t-1}(s-1) + [l'_s != blank and l'_s != l'_{s-2}] alpha_{t-1}(s-2))
    beta_t(s)  = the same from the end, without the factor y_t(l'_s)                                      (6) to (11)
    p(l)       = alpha_T(last) + alpha_T(last - 1)                                                                (8)
    d -log p(l) / d log y_t(k) = -sum_{s: l'_s = k} alpha_t(s) beta_t(s) / p(l)                                  (15)

The gradient is that of the log-probabilities as independent numbers. PyTorch's adds y_t(k), which vanishes behind
log_softmax and nowhere else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.elementwise import where
from tinydl.ops.indexing import gather_along, take_slice
from tinydl.ops.losses import plain
from tinydl.ops.reducing import reduce_logsumexp
from tinydl.ops.shaping import cat, reshape_to, stack

Array = np.ndarray[Any, Any]

# The logarithm of an impossible path where infinities would make the gradient NaN; from half of it on, infinite.
_FAR = -1e30


def _extended(targets: Array, lengths: Array, blank: int) -> tuple[Array, Array]:
    """l' [N, 2 S + 1], and where a path may come from two places before. Beyond a sequence's end stand blanks."""
    count, size = targets.shape
    labels = np.full((count, 2 * size + 1), blank, np.int64)
    labels[:, 1::2] = np.where(np.arange(size) < lengths[:, None], targets, blank)
    skips = np.zeros(labels.shape, np.bool_)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    return labels, skips


def ctc_definition(
    log_probs: Any, targets: Any, *, input_lengths: Array, target_lengths: Array, blank: int, zero_infinity: bool
) -> Any:
    """-log p(l) by the forward variables alone."""
    steps, count, _ = log_probs.shape
    labels, skips = _extended(plain(targets), target_lengths, blank)
    width = labels.shape[1]
    emitted = gather_along(log_probs, np.broadcast_to(labels, (steps, count, width)), axis=2)
    far = np.full((), _FAR, log_probs.dtype)
    places = np.arange(width)
    start = (places == 0) | ((places == 1) & (target_lengths[:, None] > 0))
    alpha = where(start, take_slice(emitted, index=(0,)), far)
    columns = np.full((count, 2), _FAR, log_probs.dtype)
    for t in range(1, steps):
        padded = cat([columns, alpha], 1)
        before = take_slice(padded, index=(slice(None), slice(1, width + 1)))
        two = where(skips, take_slice(padded, index=(slice(None), slice(0, width))), far)
        paths = reduce_logsumexp(stack([alpha, before, two]), axis=(0,), keepdims=False)
        alpha = where(t < input_lengths[:, None], paths + take_slice(emitted, index=(t,)), alpha)
    last = 2 * target_lengths[:, None]
    ends = gather_along(alpha, np.concatenate([last, np.maximum(last - 1, 0)], 1), axis=1)
    ends = where(np.concatenate([last >= 0, last > 0], 1), ends, far)
    loss = -reduce_logsumexp(ends, axis=(1,), keepdims=False)
    nothing = np.where(target_lengths == 0, 0, np.inf).astype(log_probs.dtype)
    loss = where(input_lengths == 0, nothing, loss)
    infinite = plain(loss) > -_FAR / 2
    return where(infinite, np.asarray(0.0 if zero_infinity else np.inf, log_probs.dtype), loss)


def _scaled_steps(needs: tuple[bool, ...], g: Any, slope: Any) -> tuple[Any, ...]:
    """A sequence's slope [T, C] times the gradient of its loss."""
    return (slope * reshape_to(g, shape=(1, slope.shape[1], 1)), None)


@primitive(
    outputs=("loss", "slope"), aux=("slope",), composite=ctc_definition, joint=_scaled_steps, constants="targets",
)  # fmt: skip
def ctc(
    log_probs: Any, targets: Any, *, input_lengths: Array, target_lengths: Array, blank: int, zero_infinity: bool
) -> Any:
    """-log p(l) [N] of log-probabilities [T, N, C] and labels ``targets`` int64 [N, S], with lengths int64 [N].

    Computed in float64. Infinite where no path is long enough, or 0 with ``zero_infinity``; then its slope is 0 too.
    """
    steps, count, classes = log_probs.shape
    labels, skips = _extended(targets, target_lengths, blank)
    width = labels.shape[1]
    rows = np.arange(count)
    emitted = np.take_along_axis(log_probs, np.broadcast_to(labels, (steps, count, width)), 2).astype(np.float64)
    alpha = np.full((steps, count, width), -np.inf)
    alpha[0, :, 0] = emitted[0, :, 0]
    begins = target_lengths > 0
    alpha[0, begins, 1:2] = emitted[0, begins, 1:2]
    for t in range(1, steps):
        old, new = alpha[t - 1], alpha[t]
        new[:] = old
        new[:, 1:] = np.logaddexp(new[:, 1:], old[:, :-1])
        new[:, 2:] = np.where(skips[:, 2:], np.logaddexp(new[:, 2:], old[:, :-2]), new[:, 2:])
        new += emitted[t]
        np.copyto(new, old, where=t >= input_lengths[:, None])
    last = 2 * target_lengths
    before = np.where(last > 0, alpha[-1, rows, last - 1], -np.inf)
    loss = -np.logaddexp(alpha[-1, rows, last], before)
    loss = np.where(input_lengths == 0, np.where(target_lengths == 0, 0.0, np.inf), loss)
    possible = np.isfinite(loss)

    # beta, and with it the share of each place in all paths, from the end.
    share = np.zeros((steps, count, width))
    at_end = np.full((count, width), -np.inf)
    at_end[rows, last] = 0.0
    at_end[rows[begins], last[begins] - 1] = 0.0
    beta = at_end
    for t in range(steps - 1, -1, -1):
        if t < steps - 1:
            later = beta + emitted[t + 1]
            new = later.copy()
            new[:, :-1] = np.logaddexp(new[:, :-1], later[:, 1:])
            new[:, :-2] = np.where(skips[:, 2:], np.logaddexp(new[:, :-2], later[:, 2:]), new[:, :-2])
            beta = np.where((t < input_lengths - 1)[:, None], new, at_end)
        counts = possible & (t < input_lengths)
        share[t, counts] = np.exp(alpha[t, counts] + beta[counts] + loss[counts, None])
    slope = np.zeros((steps, count, classes))
    for s in range(width):
        slope[:, rows, labels[:, s]] -= share[:, :, s]
    if zero_infinity:
        loss = np.where(possible, loss, 0.0)
    else:
        slope[:, ~possible] = np.nan
    return loss.astype(log_probs.dtype), slope.astype(log_probs.dtype)
