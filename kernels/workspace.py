"""Scratch memory that kernels use again from call to call, and aligned arrays for what they give away.

A fresh array of megabytes costs a page fault per 4 KiB, which a recurrent net would pay at every step.
"""

from __future__ import annotations

import itertools
import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A cache line, and the widest vector: a row of a packed matrix then never straddles two lines.
ALIGNMENT = 64

#: Bytes from which on :func:`recycled` is worth its four microseconds, and how much it keeps for later at most.
LARGE, KEPT = 1 << 20, 1 << 28

_local = threading.local()
_blocks = itertools.count()
_free: dict[int, list[NDArray[Any]]] = {}  # by bytes, what was given back


def empty(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An uninitialised array that starts on a cache line; the caller owns it."""
    dtype = np.dtype(dtype)
    size = shape if isinstance(shape, int) else math.prod(shape)
    memory = np.empty(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    array: NDArray[Any] = memory[start : start + size * dtype.itemsize].view(dtype)
    return array.reshape(shape)


def scratch(name: str, size: int, dtype: Any) -> NDArray[Any]:
    """``size`` uninitialised numbers under ``name``, the same memory at each call in this thread.

    The result must not leave the kernel that asked: the next call overwrites it.
    """
    key = (name, np.dtype(dtype))
    pool: dict[Any, NDArray[Any]] = _local.__dict__  # one for each thread
    memory = pool.get(key)
    if memory is None or memory.size < size:
        memory = pool[key] = empty(max(size, 1), dtype)
    return memory[:size]


class Block:
    """Memory of one array, which goes back to :func:`recycled` when that array and all its views are gone."""

    __slots__ = ("__array_interface__", "memory")

    def __init__(self, memory: NDArray[Any], shape: tuple[int, ...], dtype: Any) -> None:
        self.memory = memory
        where = memory.__array_interface__["data"]
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": where}

    def __del__(self) -> None:
        size = self.memory.size
        if size + sum(n * len(kept) for n, kept in list(_free.items())) > KEPT:
            _free.clear()
        _free.setdefault(size, []).append(self.memory)


#: Types of the ``base`` of an array that is no view of another one.
OWNERS = (type(None), Block)


def recycled(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An uninitialised array that the caller owns, on memory that another such array had; for large ones.

    The C library gives large arrays back to the system, which then hands out every page anew and cleared: of ten
    megabytes that takes longer than most kernels compute on them.
    """
    size = math.prod(shape) * dtype.itemsize
    try:
        memory = _free[size].pop()
    except (KeyError, IndexError):
        # Not all at the same place of a page, where the system puts them: ten arrays that a loop walks side by side
        # would then compete for the same few lines of the first cache.
        skipped = next(_blocks) % 12 * 5 * ALIGNMENT
        memory = empty(size + skipped, np.uint8)[skipped:]
    return np.asarray(Block(memory, shape, dtype))


def poison() -> None:
    """Fill this thread's scratch memory with what nobody should read (NaN; whole numbers are -1)."""
    for memory in [*_local.__dict__.values(), *(m for kept in list(_free.values()) for m in kept)]:
        memory.view(np.uint8).fill(255)


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, or a contiguous and writable copy: the one memory layout that kernels are compiled for."""
    flags = array.flags
    return array if flags.c_contiguous and flags.writeable and flags.aligned else np.array(array, order="C")
