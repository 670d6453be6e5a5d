"""How the CUDA rungs of softmax and log_softmax are launched.

    softmax_1_naive.cu   a thread for each line, any dimension
    softmax_2_warp.cu    a warp for each row of at most 1024, in registers
    softmax_3_online.cu  a block for each row, in two passes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")

#: Threads of a block; rows of a block of warps; the longest row that a warp holds, and how much of it is a thread's.
THREADS, WARPS, LONGEST = 256, 8, 1024
SHORT, LONG = 4, 32


def lines(x: Array, axis: int) -> tuple[int, int, int]:
    """How many lines, how long each, how far apart its entries."""
    n = x.shape[axis]
    inner = int(np.prod(x.shape[axis + 1 :], dtype=np.int64))
    return x.size // max(n, 1), n, inner


def is_rows(x: Array, axis: int) -> bool:
    """Whether the entries of a line stand side by side."""
    return lines(x, axis)[2] == 1


def unaligned(x: Array) -> Array:
    """The same numbers, not at a multiple of 16 bytes."""
    data = np.empty(x.size + 1, x.dtype)
    data[1:] = x.reshape(-1)
    return data[1:].reshape(x.shape)


def _samples(
    shapes: tuple[tuple[int, ...], ...], axes: int, flat: tuple[int, ...] = ()
) -> Callable[[Any], Iterator[tuple[Array, int]]]:
    """Over shapes and their last ``axes`` dimensions: what stands far from 0 and what is masked, ties; not aligned.

    flat: a shape whose numbers lie near each other, so that each of them counts in a sum of thousands.
    """

    def samples(dtype: Any) -> Iterator[tuple[Array, int]]:
        rng = np.random.default_rng(0)
        edges = [0.0, 1e-5, -0.5, 20, -20, 87, -87, 104, -104, 1e4, -1e4, -np.inf]
        yield np.array([edges, edges[::-1], [3.0] * 12], dtype), 1
        for shape in shapes:
            x = (rng.standard_normal(shape) * 4).astype(dtype)
            x[1:2, ..., -1:] += 300  # so that e^x of it is infinite
            x[2:3, ..., :1] += 300
            for axis in range(x.ndim - axes, x.ndim):
                yield x, axis
        yield unaligned(x), x.ndim - 1
        if flat:
            yield (rng.standard_normal(flat) * 0.1).astype(dtype), len(flat) - 1

    return samples


def _naive(op: str) -> CudaKernel:
    def plan(empty: Empty, x: Any, axis: int) -> tuple[list[Call], tuple[Any, ...]]:
        y = empty(x.shape, x.dtype)
        count, n, inner = lines(x, axis)
        grid = (-(-count // THREADS),)
        calls = [Call(f"{op}_naive_{x.dtype.name}", grid, (THREADS,), (x, y, count, n, inner))] if x.size else []
        return calls, (y,)

    shapes = (0, 4), (1, 1), (3, 0), (3, 5, 7), (2, 3, 90), (300, 3)
    return declare(
        CudaKernel(op, "cuda.naive", FOLDER / "softmax_1_naive.cu", DTYPES, plan, _samples(shapes, 2))
    )


def _warp(op: str) -> CudaKernel:
    def plan(empty: Empty, x: Any, axis: int) -> tuple[list[Call], tuple[Any, ...]]:
        y = empty(x.shape, x.dtype)
        rows, columns, _ = lines(x, axis)
        each = SHORT if columns <= 32 * SHORT else LONG
        call = Call(f"{op}_warp_{x.dtype.name}_{each}", (-(-rows // WARPS),), (THREADS,), (x, y, rows, columns))
        return [call] if x.size else [], (y,)

    shapes = (0, 4), (3, 0), (1, 1), (1, 1024), (2, 1021), (9, 128), (2, 3, 132), (24, 37)
    return declare(
        CudaKernel(
            op, "cuda.warp", FOLDER / "softmax_2_warp.cu", DTYPES, plan, _samples(shapes, 1),
            lambda x, axis: is_rows(x, axis) and x.shape[axis] <= LONGEST,
        )
    )  # fmt: skip


def _online(op: str) -> CudaKernel:
    def plan(empty: Empty, x: Any, axis: int) -> tuple[list[Call], tuple[Any, ...]]:
        y = empty(x.shape, x.dtype)
        rows, columns, _ = lines(x, axis)
        calls = [Call(f"{op}_online_{x.dtype.name}", (rows,), (THREADS,), (x, y, columns))] if x.size else []
        return calls, (y,)

    shapes = (0, 4), (3, 0), (1, 1), (3, 37), (1, 2051), (2, 1026), (2, 2068)
    return declare(
        CudaKernel(
            op, "cuda.online", FOLDER / "softmax_3_online.cu", DTYPES, plan, _samples(shapes, 1, (1, 2068)), is_rows
        )
    )


for _op in ("softmax", "log_softmax"):
    for _rung in (_naive, _warp, _online):
        _rung(_op)
