"""Scratch memory that kernels use again from call to call, and aligned arrays for what they give away.

A fresh array of megabytes costs a page fault per 4 KiB, which a recurrent net would pay at every step.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A cache line, and the widest vector: a row of a packed matrix then never straddles two lines.
ALIGNMENT = 64

#: Bytes of freed memory that are kept for later at most.
KEPT = 1 << 28


def keep_memory() -> bool:
    """Have the C library keep up to ``KEPT`` bytes of freed memory, arrays of up to 32 MiB among it; whether it does.

    Otherwise it gives every array of megabytes back to the system, which hands out each page anew and cleared: a layer
    norm of 4096 x 256 takes 1.2 ms instead of 0.25. Only glibc is told, and where neither its own variables
    (``MALLOC_TRIM_THRESHOLD_`` and its kin) nor ``TINYDL_KEEP_MEMORY=0`` say otherwise.
    """
    said = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if said or os.environ.get("TINYDL_KEEP_MEMORY") == "0" or not sys.platform.startswith("linux"):
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    return mallopt is not None and bool(mallopt(mmap_threshold, 1 << 25) and mallopt(trim_threshold, KEPT))


_local = threading.local()


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


def held() -> int:
    """Bytes of this thread's scratch memory."""
    return sum(memory.nbytes for memory in _local.__dict__.values())


def poison() -> None:
    """Fill this thread's scratch memory with what nobody should read (NaN; whole numbers are -1)."""
    for memory in _local.__dict__.values():
        memory.view(np.uint8).fill(255)


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, or a contiguous and writable copy: the one memory layout that kernels are compiled for."""
    return array if array.flags.carray else np.array(array, order="C")
