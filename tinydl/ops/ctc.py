"""Connectionist temporal classification: a fused operation on the kernels, and its definition in other operations.

The equations and the paper stand on the card, :mod:`tinydl.kernels.ctc.spec`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import where
from tinydl.ops.indexing import gather_along, take_slice
from tinydl.ops.losses import plain, reduced
from tinydl.ops.reducing import reduce_logsumexp
from tinydl.ops.shaping import cat, stack

Array = np.ndarray[Any, Any]
_FORWARD, _BACKWARD = by_dtype("ctc_forward"), by_dtype("ctc_backward")

# The logarithm of an impossible path where infinities would make the gradient NaN; from half of it on, infinite.
_FAR = -1e30


def ctc_definition(
    log_probs: Any, targets: Any, *, input_lengths: Array, target_lengths: Array, blank: int, zero_infinity: bool,
    reduction: str,
) -> Any:  # fmt: skip
    """-log p(l) by the forward variables alone."""
    from tinydl.kernels.ctc.spec import extended

    steps, count, _ = log_probs.shape
    labels, skips = extended(plain(targets), target_lengths, blank)
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
    loss = where(infinite, np.asarray(0.0 if zero_infinity else np.inf, log_probs.dtype), loss)
    return reduced(loss / np.maximum(target_lengths, 1).astype(loss.dtype) if reduction == "mean" else loss, reduction)


def _gradients(
    needs: tuple[bool, ...], g: Any, log_probs: Any, targets: Any, alpha: Any, input_lengths: Array,
    target_lengths: Array, blank: int, zero_infinity: bool, reduction: str,
) -> tuple[Any, ...]:  # fmt: skip
    kernel = _BACKWARD[log_probs.dtype]
    arrays = g, log_probs, targets, input_lengths, target_lengths, alpha
    return kernel(*arrays, blank, zero_infinity, reduction), None


@primitive(
    outputs=("loss", "alpha"), aux=("alpha",), composite=ctc_definition, joint=_gradients, constants="targets",
)  # fmt: skip
def ctc(
    log_probs: Any, targets: Any, *, input_lengths: Array, target_lengths: Array, blank: int, zero_infinity: bool,
    reduction: str,
) -> Any:  # fmt: skip
    """-log p(l) of log-probabilities [T, N, C] and labels ``targets`` int64 [N, S], with lengths int64 [N], reduced.

    Computed in float64. Infinite where no path is long enough, or 0 with ``zero_infinity``; then its slope is 0 too.
    """
    kernel = _FORWARD[log_probs.dtype]
    return kernel(log_probs, targets, input_lengths, target_lengths, blank, zero_infinity, reduction)
