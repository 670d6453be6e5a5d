"""How the CUDA rungs of the matmul ladder are launched.

    1_naive.cu      one thread per entry of C; neighbours walk down a column
    2_coalesced.cu  neighbours walk along a row
    3_tiled.cu      tiles in shared memory
    4_column.cu     a column of 8 entries per thread, in registers
    5_square.cu     a square of entries per thread
    6_vectors.cu    the same in accesses of 16 bytes

Each is a grid of one dimension with a block for every tile of C. K = 0 is launched too, and writes zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")

#: M, K, N: whole tiles of the largest rungs, two each way; one, nothing, less than a tile; rows of 16 bytes and not;
#: odd sizes over several tiles, which show most of what can be wrong.
SIZES = (
    (256, 3, 256), (1, 1, 1), (5, 3, 7), (3, 0, 4), (0, 3, 4), (3, 4, 0), (64, 16, 64), (33, 9, 66), (17, 33, 15),
    (130, 12, 36), (99, 10, 131),
)  # fmt: skip


def samples(dtype: Any) -> Iterator[tuple[Array, Array]]:
    """Arguments over ``SIZES``; of one size also matrices that do not begin at a multiple of 16 bytes."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int, skip: int = 0) -> Array:
        data = rng.standard_normal(skip + rows * columns).astype(dtype)
        return data[skip:].reshape(rows, columns)

    yield matrix(20, 8, 1), matrix(8, 12)
    yield matrix(20, 8), matrix(8, 12, 1)
    for M, K, N in SIZES:
        yield matrix(M, K), matrix(K, N)


def _rung(number: int, name: str, tile: Callable[[Any], tuple[int, int]], block: tuple[int, ...]) -> CudaKernel:
    """``tile(dtype)``: rows and columns of C that a block computes."""

    def plan(empty: Empty, a: Any, b: Any) -> tuple[list[Call], tuple[Any, ...]]:
        (M, K), N = a.shape, b.shape[1]
        rows, columns = tile(a.dtype)
        c = empty((M, N), a.dtype)
        blocks = -(-M // rows) * -(-N // columns)
        calls = [Call(f"{name}_{a.dtype.name}", (blocks,), block, (a, b, c, M, N, K))] if blocks else []
        return calls, (c,)

    return declare(CudaKernel("matmul", f"cuda.{name}", FOLDER / f"{number}_{name}.cu", DTYPES, plan, samples))


def _large(dtype: Any) -> tuple[int, int]:
    """The square rungs' tile: float64 sums take two registers, so a thread has 4 x 4 of them instead of 8 x 8."""
    side = 128 if dtype == np.float32 else 64
    return side, side


NAIVE = _rung(1, "naive", lambda dtype: (32, 8), (32, 8))
COALESCED = _rung(2, "coalesced", lambda dtype: (8, 32), (32, 8))
TILED = _rung(3, "tiled", lambda dtype: (16, 16), (16, 16))
COLUMN = _rung(4, "column", lambda dtype: (64, 64), (512,))
SQUARE = _rung(5, "square", _large, (256,))
VECTORS = _rung(6, "vectors", _large, (256,))
