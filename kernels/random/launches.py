"""How the CUDA kernels that draw are launched: a thread for each Philox block, which is 16 bytes of numbers.

``counter`` is a number, or an array of one uint64 on the device that holds it: a launch that is captured then draws
other numbers each time it is replayed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Call, CudaKernel, Empty, declare
from tinydl.kernels.random import spec

FOLDER = Path(__file__).parent / "cuda"
THREADS = 256


def _where(counter: Any) -> tuple[int, Any]:
    """The counter's two parameters: a number, and where in memory one stands that is added (0: nowhere)."""
    return (int(counter), 0) if isinstance(counter, (int, np.integer)) else (0, counter)


def _draws(op: str, dtype: str) -> CudaKernel:
    each = 16 // np.dtype(dtype).itemsize

    def plan(empty: Empty, key: int, counter: Any, count: int) -> tuple[list[Call], tuple[Any, ...]]:
        out = empty((count,), np.dtype(dtype))
        threads = -(-count // each)
        args = (out, count, key, *_where(counter))
        return [Call(op, (-(-threads // THREADS),), (THREADS,), args)] if count else [], (out,)

    def samples(dtype_: Any) -> Iterator[tuple[Any, ...]]:
        for count in (0, 1, 2, 3, 4, 5, 127, 2 * each * THREADS):
            yield 0, 0, count
        yield 0xFFFF_FFFF_FFFF_FFFF, 2**64 - 3, 41
        yield 0x299F_31D0_A409_3822, 2**32 - 5, each * THREADS + 3

    return declare(CudaKernel(op, "cuda.philox", FOLDER / "draw.cu", (dtype,), plan, samples))


BITS = _draws("random_bits", "uint32")
UNIFORM32 = _draws("random_uniform_float32", "float32")
UNIFORM64 = _draws("random_uniform_float64", "float64")
NORMAL32 = _draws("random_normal_float32", "float32")
NORMAL64 = _draws("random_normal_float64", "float64")


def _dropout(empty: Empty, x: Any, key: int, counter: Any, p: float) -> tuple[list[Call], tuple[Any, ...]]:
    x = x if x.flags.c_contiguous else x.copy(order="C")
    y = empty(x.shape, x.dtype)
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0)
    args = (x, y, x.size, key, *_where(counter), np.float32(p), scale)
    return [Call(f"dropout_{x.dtype.name}", (-(-x.size // (4 * THREADS)),), (THREADS,), args)] if x.size else [], (y,)


def _dropout_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for arguments in spec._dropout_samples(dtype):
        if arguments[0].ndim:
            yield arguments
    x = np.random.default_rng(6).standard_normal(4 * THREADS + 7).astype(dtype)
    yield x[1:], 7, 2**64 - 3, 0.5  # does not begin at a multiple of 16 bytes
    yield x, 7, 2**64 - 3, 0.5


DROPOUT = declare(
    CudaKernel("dropout", "cuda.philox", FOLDER / "dropout.cu", ("float32", "float64"), _dropout, _dropout_samples)
)
