"""Collation: from a list of items to one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import tinydl
from tinydl.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack a list of equal items into one: a new first dimension, the batch's.

    Tensors and arrays are stacked to a Tensor; Python floats become float64, ints and bools int64 and bool tensors;
    strings and bytes stay a list; mappings, named tuples, tuples and lists are collated element by element, and the
    last two become a list.

    Raises ValueError naming both shapes when two items differ, and TypeError for anything else.
    """
    first = batch[0]
    if isinstance(first, (Tensor, np.ndarray)):
        arrays = [item.array if isinstance(item, Tensor) else item for item in batch]
        for position, array in enumerate(arrays):
            if array.shape != arrays[0].shape:
                raise ValueError(
                    f"stack expects each item to be of equal size, but got {arrays[0].shape} at entry 0 and "
                    f"{array.shape} at entry {position}: pad them to one length, or give the DataLoader a "
                    "collate_fn that does"
                )
        return tinydl.as_tensor(np.stack(arrays))
    if isinstance(first, (bool, np.bool_)):
        return tinydl.from_numpy(np.array(batch, dtype=np.bool_))
    if isinstance(first, (int, np.integer)):
        return tinydl.from_numpy(np.array(batch, dtype=first.dtype if isinstance(first, np.generic) else np.int64))
    if isinstance(first, (float, np.floating)):
        return tinydl.from_numpy(np.array(batch, dtype=first.dtype if isinstance(first, np.generic) else np.float64))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, Sequence):
        for position, item in enumerate(batch):
            if len(item) != len(first):
                raise ValueError(
                    f"each item of a batch should have as many elements, but entry 0 has {len(first)} and entry "
                    f"{position} has {len(item)}"
                )
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if isinstance(first, tuple) and hasattr(first, "_fields") else columns
    raise TypeError(
        f"default_collate cannot batch items of type {type(first).__name__}: give Tensors, arrays, numbers, strings, "
        "or mappings and sequences of these, or pass a collate_fn"
    )
