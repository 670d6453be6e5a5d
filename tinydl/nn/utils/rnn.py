"""Batches of sequences of different lengths: padded to one length, or *packed* step by step without the padding.

A packed batch holds the first step of all sequences, longest first, then the second of those that have one, and so on:
``a b c`` and ``x`` are packed as ``a x b c`` with batch sizes 2, 1, 1. The recurrent layers take it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinydl.devices import on_host
from tinydl.errors import say_absent
from tinydl.ops.packing import pack_steps, pad_steps
from tinydl.ops.shaping import cat
from tinydl.tensor import Tensor

say_absent(__name__)

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

Array = np.ndarray[Any, Any]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences of different lengths without padding; :func:`pack_padded_sequence` and :func:`pack_sequence` make it.

    - ``data`` [N, ...]: the N steps of all sequences, the first steps first, within a step the longest sequence first;
    - ``batch_sizes`` int64 [T]: how many sequences have a step t (never growing);
    - ``sorted_indices`` int64 [B] or None: which sequence of the batch stands at each place of that order;
    - ``unsorted_indices``: its inverse.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2: (data, batch_sizes)")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        assert batch_sizes is not None
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the data converted, as :meth:`Tensor.to`; itself when nothing changes."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def float(self) -> PackedSequence:
        """The data as float32."""
        return self.to(np.float32)

    def double(self) -> PackedSequence:
        """The data as float64."""
        return self.to(np.float64)

    def long(self) -> PackedSequence:
        """The data as int64."""
        return self.to(np.int64)

    def int(self) -> PackedSequence:
        """The data as int32."""
        return self.to(np.int32)

    def cpu(self) -> PackedSequence:
        """Itself: the data is on the CPU."""
        return self.to("cpu")

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self.data.device != "cpu"


def places(packed: PackedSequence) -> tuple[Array, Array, Array]:
    """(time [N], sequence [N]) of every packed step, sequences counted as the caller's batch has them; lengths [B]."""
    sizes = on_host(packed.batch_sizes.array)
    count = np.arange(len(packed.data)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    order = np.arange(sizes[0]) if packed.sorted_indices is None else on_host(packed.sorted_indices.array)
    lengths = np.empty(sizes[0], np.int64)
    lengths[order] = (sizes[:, None] > np.arange(sizes[0])).sum(axis=0)
    return np.repeat(np.arange(len(sizes)), sizes), order[count], lengths


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation int64 [B] that undoes another; None for None."""
    return None if permutation is None else Tensor._wrap(np.argsort(on_host(permutation.array)))


def _lengths(lengths: Any) -> Array:
    array = np.asarray(on_host(lengths.array) if isinstance(lengths, Tensor) else lengths)
    if array.ndim != 1:
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {array.ndim}D {array.dtype}")
    return array.astype(np.int64)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Take the padding out of ``input`` [T, B, ...] (``batch_first``: [B, T, ...]).

    ``lengths`` int [B], 1 to T, in decreasing order, or in any with ``enforce_sorted=False``: the result then remembers
    the order. Raises RuntimeError for lengths that are not so.

    >>> import tinydl
    >>> x = tinydl.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> packed = pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes
    (tensor([4, 1, 3, 5, 2, 6]), tensor([3, 2, 1]))
    >>> pad_packed_sequence(packed, batch_first=True)[1]
    tensor([2, 1, 3])
    """
    if input.ndim < 2:
        raise IndexError(
            f"Dimension out of range: pack_padded_sequence expects an input of at least 2 dimensions, time and batch, "
            f"but got shape {tuple(input.shape)}"
        )
    steps, batch = input.shape[1::-1] if batch_first else input.shape[:2]
    found = _lengths(lengths)
    if 0 in input.shape:
        raise RuntimeError(f"Cannot pack empty tensors: the input has shape {tuple(input.shape)}")
    if len(found) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(found)} (batch_size={batch})"
        )
    if found.min() <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if found.max() > steps:
        raise RuntimeError(
            f"Length of all samples has to be at most the {steps} steps of the input, but found {found.max()} in "
            "'lengths'"
        )
    if enforce_sorted and (found[1:] > found[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    order = None if enforce_sorted else Tensor._wrap(np.argsort(-found, kind="stable"))
    in_order = found if order is None else found[order.array]
    time, place = np.nonzero(in_order > np.arange(found.max())[:, None])
    sequence = place if order is None else order.array[place]
    data = pack_steps(input, at=(sequence, time) if batch_first else (time, sequence))
    return PackedSequence(data, Tensor._wrap(np.bincount(time)), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Padded sequences [T, B, ...] (``batch_first``: [B, T, ...]) in the caller's order, and their lengths int64 [B].

    T is the longest length, or ``total_length``. Raises ValueError when that is too short.
    """
    time, place, lengths = places(sequence)
    steps = longest = len(sequence.batch_sizes)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        steps = total_length
    at, sizes = ((place, time), (len(lengths), steps)) if batch_first else ((time, place), (steps, len(lengths)))
    return pad_steps(sequence.data, at=at, sizes=sizes, value=padding_value), Tensor._wrap(lengths)


def pad_sequence(
    sequences: Tensor | Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences [L_b, ...] as one tensor [T, B, ...] (``batch_first``: [B, T, ...]), T the longest length.

    The dtype is that of the first; ``padding_side`` is "right" or "left".

    Raises RuntimeError for an empty list and for sequences whose other dimensions differ.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    found = list(sequences)
    if not found:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    for number, one in enumerate(found):
        if one.ndim == 0 or one.shape[1:] != found[0].shape[1:]:
            raise RuntimeError(
                f"pad_sequence: sequences should be equal in all dimensions but the first, but sequence 0 has shape "
                f"{tuple(found[0].shape)} and sequence {number} has {tuple(one.shape)}"
            )
    lengths = np.array([len(one) for one in found])
    steps = int(lengths.max())
    time = np.arange(steps)
    inside = time < lengths[:, None] if padding_side == "right" else time >= steps - lengths[:, None]
    b, t = np.nonzero(inside)
    at, sizes = ((b, t), (len(found), steps)) if batch_first else ((t, b), (steps, len(found)))
    steps_of_all = cat([one.to(found[0].dtype) for one in found])
    return pad_steps(steps_of_all, at=at, sizes=sizes, value=padding_value)  # type: ignore[no-any-return]


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences [L_b, ...] of a padded tensor [T, B, ...] (``batch_first``: [B, T, ...])."""
    found = _lengths(lengths)
    batch = padded_sequences.shape[0 if batch_first else 1]
    if len(found) != batch:
        raise ValueError(f"unpad_sequence: expected {batch} lengths, one for each sequence, but got {len(found)}")
    if batch_first:
        return [padded_sequences[b, :n] for b, n in enumerate(found)]
    return [padded_sequences[:n, b] for b, n in enumerate(found)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences [L_b, ...], longest first, or in any order with ``enforce_sorted=False``."""
    padded = pad_sequence(sequences)
    return pack_padded_sequence(padded, [len(one) for one in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences [L_b, ...] of a packed batch, in the caller's order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
