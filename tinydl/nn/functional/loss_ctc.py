"""The loss of connectionist temporal classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.devices import beside, on_host
from tinydl.nn.functional.checks import checked_reduction
from tinydl.ops import shaping
from tinydl.ops.ctc import ctc
from tinydl.tensor import Tensor


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log p(labels | input), summed over all alignments. Graves et al., ICML 2006; equations in :mod:`tinydl.ops.ctc`.

    ``log_probs`` [T, N, C] (or [T, C]): logarithms of softmax outputs. ``targets`` integers [N, S], or one after the
    other [sum of target_lengths]. ``input_lengths``, ``target_lengths`` integers [N] (or one): how much counts.
    "mean" divides each loss by its target length and averages over the batch. A target that is longer than its input
    has an infinite loss and NaN gradients; with ``zero_infinity`` both are 0.

    Raises RuntimeError, naming the numbers, for a blank or label that is no class and for lengths that do not fit.
    """
    reduction = checked_reduction(reduction)
    x = log_probs.array
    if x.ndim not in (2, 3) or not x.shape[0]:
        raise RuntimeError(f"ctc_loss: log_probs must be [T, N, C] or [T, C] with T > 0, but has shape {x.shape}")
    batched = x.ndim == 3
    given = log_probs if batched else shaping.unsqueeze(log_probs, 1)
    steps, count, classes = given.array.shape
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be in label range, 0 to {classes - 1}, but is {blank}")
    inputs = _lengths("input_lengths", input_lengths, count)
    sizes = _lengths("target_lengths", target_lengths, count)
    listed, each = inputs.tolist(), sizes.tolist()
    if listed and not 0 <= min(listed) <= max(listed) <= steps:
        raise RuntimeError(f"Expected input_lengths to have value at most {steps} and at least 0, but got {listed}")
    labels = _labels(targets, each, count, batched)
    for row, size in zip(labels.tolist(), each):
        if size and not 0 <= min(row[:size]) <= max(row[:size]) < classes:
            raise RuntimeError(f"ctc_loss: a target is no class: they must lie in 0 to {classes - 1}")
    loss = ctc(
        given, beside(labels, given.array), input_lengths=inputs, target_lengths=sizes, blank=int(blank),
        zero_infinity=zero_infinity, reduction=reduction,
    )  # fmt: skip
    unbatched = reduction == "none" and not batched
    return shaping.reshape_to(loss, shape=()) if unbatched else loss  # type: ignore[no-any-return]


def _lengths(name: str, lengths: Any, count: int) -> np.ndarray[Any, Any]:
    """int64 [N], of our own."""
    array = np.array(on_host(lengths.array) if isinstance(lengths, Tensor) else lengths).reshape(-1)
    if array.size and array.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral, but has dtype {array.dtype}")
    if array.shape != (count,):
        raise RuntimeError(f"{name} must be of size batch_size = {count}, but has {array.size} entries")
    return array.astype(np.int64, copy=False)


def _labels(targets: Tensor, sizes: list[int], count: int, batched: bool) -> np.ndarray[Any, Any]:
    """int64 [N, S], padded with zeros."""
    array = on_host(targets.array)
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"ctc_loss: targets must be integers, but have dtype {targets.dtype}; convert with .long()")
    array = array.astype(np.int64)  # a copy: the user may change theirs before the backward
    longest, least = max(sizes, default=0), min(sizes, default=0)
    if array.ndim == 2 and batched:
        if array.shape[0] != count or array.shape[1] < longest or least < 0:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1 and size {count} at dimension 0, but "
                f"got targets of shape {array.shape}"
            )
        return array  # type: ignore[no-any-return]
    if array.ndim != 1 or array.size != sum(sizes) or least < 0:
        raise RuntimeError(
            f"ctc_loss: targets must be [N, S] or 1-D with the {sum(sizes)} entries that target_lengths sum to, "
            f"but have shape {array.shape}"
        )
    out, at = np.zeros((count, longest), np.int64), 0
    for row, size in zip(out, sizes):
        row[:size] = array[at : at + size]
        at += size
    return out
