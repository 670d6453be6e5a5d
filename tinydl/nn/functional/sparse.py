"""Functions of indices: rows of a table, bags of rows, one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.ops import elementwise, indexing, shaping
from tinydl.tensor import Tensor


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight`` [V, D] at the indices ``input`` int [...] -> [..., D].

    The row ``padding_idx`` (negative counts from the end) gets no gradient. ``max_norm``: rows that are looked up and
    whose norm of order ``norm_type`` exceeds it are scaled down to it first, in place and unrecorded.
    ``scale_grad_by_freq``: a row's gradient is divided by how often it was looked up.

    Raises TypeError for an input that is not integer, IndexError, naming the index, for one outside [0, V), and
    NotImplementedError for ``sparse=True``: gradients are dense.
    """
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, one row an index, but has shape {tuple(weight.shape)} (embedding)")
    rows = _indices("embedding", input, weight)
    index = rows.array if isinstance(rows, Tensor) else rows
    _dense("embedding", sparse)
    padding = _padding_row("embedding", padding_idx, weight)
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type)
    taken: Tensor = indexing.take_rows(weight, rows, padding=padding)
    return _by_frequency(taken, index) if scale_grad_by_freq else taken


def _indices(name: str, input: Any, weight: Tensor) -> Any:
    """The indices as a Tensor or an array of their own, checked."""
    rows: Any = input if isinstance(input, Tensor) else np.array(input)  # not an array that the caller may change
    index = rows.array if isinstance(rows, Tensor) else rows
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: the indices must be integers, but got dtype {index.dtype}; convert them with .long()")
    size = weight.array.shape[0]
    if index.size and (np.minimum.reduce(index, None) < 0 or np.maximum.reduce(index, None) >= size):
        wrong = int(index.min() if index.min() < 0 else index.max())
        raise IndexError(f"{name}: index {wrong} is out of range for {size} rows (weight shape {tuple(weight.shape)})")
    return rows


def _dense(name: str, sparse: bool) -> None:
    if sparse:
        raise NotImplementedError(
            f"{name}: sparse=True asks for sparse gradients, and all are dense here; leave it out"
        )


def _padding_row(name: str, padding_idx: int | None, weight: Tensor) -> int | None:
    size: int = weight.array.shape[0]
    if padding_idx is None:
        return None
    if not -size <= padding_idx < size:
        raise ValueError(f"{name}: padding_idx {padding_idx} must be within the {size} rows of the weight")
    return padding_idx % size


def _renormalise(weight: Tensor, index: np.ndarray[Any, Any], max_norm: float, norm_type: float) -> None:
    """Scale the rows at ``index`` down to a norm of ``max_norm``, as PyTorch does: with 1e-7 in the denominator."""
    used = np.unique(index)
    norms = np.linalg.norm(weight.array[used], norm_type, axis=1)
    long = norms > max_norm
    if long.any():
        factor = (max_norm / (norms[long] + 1e-7)).astype(weight.dtype)
        weight.array[used[long]] *= factor[:, None]
        weight.bump()


def _by_frequency(taken: Tensor, index: np.ndarray[Any, Any]) -> Tensor:
    """``taken`` itself, whose gradient is divided by the number of times its index stands in ``index``."""
    _, inverse, counts = np.unique(index, return_inverse=True, return_counts=True)
    share = (1 / counts)[inverse].reshape(index.shape)[..., None].astype(taken.dtype)
    with_gradient = taken * share
    return with_gradient + (taken - with_gradient).detach()  # type: ignore[no-any-return]


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of rows of ``weight`` [V, D], a bag of indices at a time -> [bags, D].

    ``input`` int [bags, length], or the bags one after the other in int [N], where ``offsets`` int [bags] says at
    which place each begins (with ``include_last_offset`` also where the last one ends). An empty bag gives zeros.
    ``per_sample_weights``, of the input's shape, multiplies the rows of a "sum". Indices ``padding_idx`` do not count.
    ``max_norm``, ``norm_type``, ``scale_grad_by_freq``, ``sparse`` and errors as in :func:`embedding`.

    Raises ValueError naming the shapes, RuntimeError for offsets that do not fit, ValueError or NotImplementedError for
    options that a mode does not have.
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode has to be one of sum, mean or max, but got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    _dense("embedding_bag", sparse)
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
                f"(got mode='{mode}')."
            )
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({tuple(per_sample_weights.shape)}) is not None, then it must "
                f"have the same shape as the input ({tuple(input.shape)})"
            )
    rows = _indices("embedding_bag", input, weight)
    index = (rows.array if isinstance(rows, Tensor) else rows).reshape(-1)
    bag, bags = _bags(rows, offsets, include_last_offset)
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type)
    padding = _padding_row("embedding_bag", padding_idx, weight)
    # What stands behind the last bag counts as little as padding does. The copy is what a rule saves.
    counts = np.flatnonzero(index[: bag.size] != (-1 if padding is None else padding))
    index, bag = index[counts], bag[counts]
    taken: Tensor = indexing.take_rows(weight, index)
    if mode == "max":
        return _largest(taken, bag, bags)
    if scale_grad_by_freq:
        taken = _by_frequency(taken, index)
    if per_sample_weights is not None:
        flat = shaping.reshape_to(per_sample_weights, shape=(per_sample_weights.array.size, 1))
        taken = taken * indexing.take_rows(flat, counts)
    total: Tensor = indexing.add_rows(taken, bag, rows=bags)
    if mode == "sum":
        return total
    sizes = np.maximum(np.bincount(bag, minlength=bags), 1).astype(total.dtype)
    return total / sizes[:, None]  # type: ignore[no-any-return]


def _bags(rows: Any, offsets: Tensor | None, include_last: bool) -> tuple[np.ndarray[Any, Any], int]:
    """For each index up to the end of the last bag its bag, and the number of bags."""
    if rows.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of shape {tuple(offsets.shape)}"
            )
        return np.repeat(np.arange(rows.shape[0]), rows.shape[1]), rows.shape[0]
    if rows.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {rows.ndim}")
    if offsets is None or offsets.ndim != 1:
        raise ValueError(f"offsets has to be a 1D Tensor but got {'None' if offsets is None else f'{offsets.ndim}D'}")
    begins = offsets.array.astype(np.int64)
    size = rows.shape[0]
    if begins.size and (begins[0] != 0 or begins[-1] > size or (np.diff(begins) < 0).any()):
        raise RuntimeError(
            f"offsets[0] has to be 0, and offsets have to rise and can not be greater than input's length {size}, but "
            f"are {begins.tolist()}"
        )
    if include_last:
        if not begins.size:
            raise ValueError("include_last_offset: number of offsets should be at least 1")
        begins, size = begins[:-1], int(begins[-1])
    lengths = np.diff(np.append(begins, size))
    return np.repeat(np.arange(begins.size), lengths), begins.size


def _largest(taken: Tensor, bag: np.ndarray[Any, Any], bags: int) -> Tensor:
    """The maximum of each bag and column, the first where several tie; 0 for an empty bag."""
    x = taken.array
    full, begins = np.unique(bag, return_index=True)
    places = np.zeros((bags, x.shape[1]), np.int64)
    if full.size:
        top = np.zeros((bags, x.shape[1]), x.dtype)
        top[full] = np.maximum.reduceat(x, begins, axis=0)
        hits = np.where(x == top[bag], np.arange(len(x))[:, None], len(x))
        places[full] = np.minimum(np.minimum.reduceat(hits, begins, axis=0), len(x) - 1)
        found = indexing.gather_along(taken, places, axis=0)
    else:
        found = indexing.add_rows(taken, bag, rows=bags)
    empty = np.ones((bags, 1), np.bool_)
    empty[full] = False
    return elementwise.where(empty, np.zeros((), x.dtype), found)  # type: ignore[no-any-return]


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 [...] -> int64 [..., num_classes] with a 1 at the index; -1 classes means one more than the largest.

    Raises RuntimeError when an index is negative or too large.
    """
    index = input.array if isinstance(input, Tensor) else np.asarray(input)
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
    return Tensor._wrap((index[..., None] == np.arange(num_classes)).astype(np.int64))
