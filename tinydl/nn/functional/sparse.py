"""Functions of indices: rows of a table, bags of rows, one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.devices import beside, on_host
from tinydl.kernels import by_dtype
from tinydl.nn.functional.checks import one_dtype
from tinydl.ops import bags, indexing
from tinydl.tensor import Tensor

_UNSIGNED = {np.dtype(dtype).itemsize: np.dtype(dtype) for dtype in (np.uint8, np.uint16, np.uint32, np.uint64)}
_VECTOR_NORM = by_dtype("vector_norm")


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
    return bags.by_frequency(taken, index) if scale_grad_by_freq else taken


def largest(x: Any) -> Any:
    """The largest number of an array: NumPy's ufunc is sooner there than its method, CuPy has the method only."""
    return np.maximum.reduce(x, None) if type(x) is np.ndarray else x.max()


def _indices(name: str, input: Any, weight: Tensor) -> Any:
    """The indices as a Tensor or an array of their own, checked."""
    rows: Any = input if isinstance(input, Tensor) else np.array(input)  # not an array that the caller may change
    index = rows.array if isinstance(rows, Tensor) else rows
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: the indices must be integers, but got dtype {index.dtype}; convert them with .long()")
    size = weight.array.shape[0]
    # As unsigned numbers, where a negative one is a large one.
    if index.size and largest(index.view(_UNSIGNED[index.itemsize])) >= size:
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
    used = index.reshape(-1)
    rows = weight.array.take(used, 0)
    norms = _VECTOR_NORM[rows.dtype](rows, 1, float(norm_type))
    long = norms > max_norm
    if np.count_nonzero(long):
        factor = (max_norm / (norms[long] + 1e-7)).astype(rows.dtype)
        weight.array[used[long]] = rows[long] * factor[:, None]  # one that is looked up twice is the same both times
        weight.bump()


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
        one_dtype("embedding_bag", weight=weight, per_sample_weights=per_sample_weights)
    rows = _indices("embedding_bag", input, weight)
    ends = beside(_ends(rows, offsets, include_last_offset), weight.array)
    index = rows.array if isinstance(rows, Tensor) else rows
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type)
    padding = _padding_row("embedding_bag", padding_idx, weight)
    own = index.astype(np.int64)  # a copy: the caller's may change before the backward
    return bags.embedding_bag(  # type: ignore[no-any-return]
        weight, per_sample_weights, own, ends, reduce=mode, padding=-1 if padding is None else padding,
        frequency=scale_grad_by_freq,
    )  # fmt: skip


def _ends(rows: Any, offsets: Tensor | None, include_last: bool) -> np.ndarray[Any, Any]:
    """At which place each bag begins, and the last one ends."""
    if rows.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of shape {tuple(offsets.shape)}"
            )
        count, length = rows.shape
        every: np.ndarray[Any, Any] = np.arange(count + 1) * length
        return every
    if rows.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {rows.ndim}")
    if offsets is None or offsets.ndim != 1:
        raise ValueError(f"offsets has to be a 1D Tensor but got {'None' if offsets is None else f'{offsets.ndim}D'}")
    given, size = on_host(offsets.array), rows.shape[0]
    count = len(given)
    ends = np.empty(count + (not include_last), np.int64)
    ends[:count] = given
    if not include_last:
        ends[count] = size
    elif not count:
        raise ValueError("include_last_offset: number of offsets should be at least 1")
    if count and (ends[0] != 0 or ends[-1] > size or np.count_nonzero(ends[1:] < ends[:-1])):
        raise RuntimeError(
            f"offsets[0] has to be 0, and offsets have to rise and can not be greater than input's length {size}, but "
            f"are {given.tolist()}"
        )
    return ends


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
    return Tensor._wrap((index[..., None] == beside(np.arange(num_classes), index)).astype(np.int64))
