"""Functions of indices: rows of a table, one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.ops import elementwise, indexing
from tinydl.tensor import Tensor


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of ``weight`` [V, D] at the indices ``input`` int [...] -> [..., D].

    The row ``padding_idx`` (negative counts from the end) gets no gradient. Raises TypeError for an input that is not
    integer and IndexError, naming the index, for one outside [0, V).
    """
    rows: Any = input if isinstance(input, Tensor) else np.array(input)  # not an array that the caller may change
    index = rows.data if isinstance(rows, Tensor) else rows
    if index.dtype.kind not in "iu":
        raise TypeError(
            f"embedding: the indices must be integers, but got dtype {index.dtype}; convert them with .long()"
        )
    size = weight.shape[0]
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = int(index.min() if index.min() < 0 else index.max())
        raise IndexError(
            f"embedding: index {wrong} is out of range for {size} rows (weight shape {tuple(weight.shape)})"
        )
    if padding_idx is None:
        return indexing.take_rows(weight, rows)  # type: ignore[no-any-return]
    if not -size <= padding_idx < size:
        raise ValueError(f"embedding: padding_idx {padding_idx} must be within the {size} rows of the weight")
    padding = (index == padding_idx % size)[..., None]
    taken = indexing.take_rows(weight, rows)
    if not padding.any():
        return taken  # type: ignore[no-any-return]
    # The padding row is read from a detached copy of the weight: the value is there, the gradient is not.
    return elementwise.where(padding, indexing.take_rows(weight.detach(), index), taken)  # type: ignore[no-any-return]


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 [...] -> int64 [..., num_classes] with a 1 at the index; -1 classes means one more than the largest.

    Raises RuntimeError when an index is negative or too large.
    """
    index = input.data if isinstance(input, Tensor) else np.asarray(input)
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"one_hot is only applicable to index tensors of type LongTensor, but got {index.dtype}")
    if num_classes == -1:
        if not index.size:
            raise RuntimeError("one_hot: can not infer total number of classes from empty tensor; give num_classes")
        num_classes = int(index.max()) + 1
    if index.size and (index.min() < 0 or index.max() >= num_classes):
        raise RuntimeError(
            f"one_hot: class values must be between 0 and num_classes - 1 = {num_classes - 1}, but got "
            f"{int(index.min())} to {int(index.max())}"
        )
    return Tensor((index[..., None] == np.arange(num_classes)).astype(np.int64))
