"""How the CUDA rungs of the matmul ladder are launched.

    1_naive.cu      one thread per entry of C; neighbours walk down a column
    2_coalesced.cu  neighbours walk along a row
    3_tiled.cu      tiles in shared memory
    4_column.cu     a column of 8 entries per thread, in registers
    5_square.cu     a square of entries per thread
    6_vectors.cu    the same in accesses of 16 bytes
    7_warps.cu      tiles for warps within the block's
    8_staged.cu     the next step of K on its way, in registers
    9_async.cu      several steps of K on their way, past the registers; batches, operands of any stride
    10_tf32.cu      on tensor cores, less exactly
    11_tf32x3.cu    on tensor cores, as exactly as in float32
    12_bf16.cu      on tensor cores, still less exactly
    13_skinny.cu    few rows or columns, as fast as memory

Each but the last is a grid of one dimension with a block for every tile of C. K = 0 is launched too, and writes zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare, forwards, memory

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
WARPS = _rung(7, "warps", _large, (256,))
STAGED = _rung(8, "staged", _large, (256,))


# -- operands of any stride --------------------------------------------------------------------------------------------

#: M, K, N of whole tiles, two each way, and three in a batch; over several tiles and more steps of K than are on their
#: way at once, with what stands in no whole piece.
LONG = ((256, 3, 256), (384, 3, 20), (3, 0, 4), (1, 1, 1), (5, 3, 15), (64, 40, 64), (132, 20, 68), (130, 45, 131))

#: Which of the operands are stored as the transpose of what is multiplied.
TURNED = {"nn": (False, False), "nt": (False, True), "tn": (True, False), "tt": (True, True)}


def laid_out(data: Array, turned: bool, skip: int = 0) -> Array:
    """A matrix (or a stack of them) of the same numbers, whose columns lie side by side when ``turned``; ``skip``
    numbers off a multiple of 16 bytes."""
    stored = data.swapaxes(-1, -2) if turned else data
    memory = np.empty(skip + stored.size, data.dtype)
    made = memory[skip:].reshape(stored.shape)
    made[...] = stored
    return made.swapaxes(-1, -2) if turned else made


def strided_samples(dtype: Any) -> Iterator[tuple[Array, Array]]:
    """Arguments over ``LONG``, in every layout; off 16 bytes, with gaps."""
    rng = np.random.default_rng(1)

    def pair(M: int, K: int, N: int, layout: str, skip: int = 0) -> tuple[Array, Array]:
        a, b = rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((K, N)).astype(dtype)
        return laid_out(a, TURNED[layout][0], skip), laid_out(b, TURNED[layout][1], skip)

    for layout in ("nn", "tt"):
        yield pair(20, 8, 12, layout, skip=1)
    a, b = pair(10, 22, 24, "nn")
    yield a[:, ::2], b[::2]
    yield a[:, 2:14], b[2:14]
    for number, sizes in enumerate(LONG):
        yield pair(*sizes, ("nn", "tt")[number % 2])
    yield pair(*LONG[-1], "nn")


def strides(array: Any) -> tuple[int, int, int]:
    """In numbers: from one matrix of a stack to the next, along rows and columns."""
    batch, row, column = (array if array.ndim > 2 else array[None]).strides
    return batch // array.itemsize, row // array.itemsize, column // array.itemsize


def layout_of(a: Any, b: Any) -> str:
    """``"nt"``: A's rows lie side by side, and B's columns."""
    return ("n" if strides(a)[2] == 1 else "t") + ("n" if strides(b)[2] == 1 else "t")


Plan = Callable[..., tuple[list[Call], tuple[Any, ...]]]


def gemm_plan(name: str, side: Callable[[Any], int]) -> Plan:
    """The plan of entries ``<name>_<layout>_<dtype>``: blocks of 256 threads, tiles of C of ``side(dtype)`` each way.

    a [M, K] or [Z, M, K], b [K, N] or [Z, K, N].
    """

    def plan(empty: Empty, a: Any, b: Any) -> tuple[list[Call], tuple[Any, ...]]:
        (M, K), N, tile = a.shape[-2:], b.shape[-1], side(a.dtype)
        c = empty((*a.shape[:-2], M, N), a.dtype)
        blocks = -(-M // tile) * -(-N // tile) * (len(a) if a.ndim > 2 else 1)
        entry = f"{name}_{layout_of(a, b)}_{a.dtype.name}"
        args = (memory(a), *strides(a), memory(b), *strides(b), c, M, N, K)
        return [Call(entry, (blocks,), (256,), args)] if blocks else [], (c,)

    return plan


def batched(plan: Plan) -> Plan:
    """The same product as a batch of three: A and C a third of their rows each, B the same one, where that goes."""

    def trial(empty: Empty, a: Any, b: Any) -> tuple[list[Call], tuple[Any, ...]]:
        (M, K), (row, column) = a.shape, a.strides
        if M % 3:
            return plan(empty, a, b)
        thirds = np.lib.stride_tricks.as_strided(a, (3, M // 3, K), (M // 3 * row, row, column))
        calls, (c,) = plan(empty, thirds, np.broadcast_to(b, (3, *b.shape)))
        return calls, (c.reshape(M, b.shape[1]),)

    return trial


ASYNC = declare(
    CudaKernel(
        "matmul", "cuda.async", FOLDER / "9_async.cu", DTYPES, gemm_plan("async", lambda dtype: _large(dtype)[0]),
        strided_samples, forwards, "80", "cp.async", trial=batched(gemm_plan("async", lambda dtype: _large(dtype)[0])),
    )
)  # fmt: skip


# -- the tensor cores --------------------------------------------------------------------------------------------------


def _deep_samples(dtype: Any) -> Iterator[tuple[Array, Array]]:
    """As :func:`strided_samples`; and one with five steps of K, since these take twice as many numbers in a step."""
    yield from strided_samples(dtype)
    rng = np.random.default_rng(3)
    yield rng.standard_normal((34, 70)).astype(dtype), rng.standard_normal((70, 41)).astype(dtype)


def _tensor(number: int, name: str, tolerance: float = 0.0, because: str = "") -> CudaKernel:
    return declare(
        CudaKernel(
            "matmul", f"cuda.{name}", FOLDER / f"{number}_{name}.cu", ("float32",), gemm_plan(name, lambda dtype: 128),
            _deep_samples, forwards, "80", "cp.async, nor mma in this precision",
            {"float32": tolerance} if tolerance else {}, because, trial=batched(gemm_plan(name, lambda dtype: 128)),
        )
    )  # fmt: skip


TF32 = _tensor(10, "tf32", 1e-3, "operands are rounded to TF32, 10 bits behind the point; for who asks for it")
TF32X3 = _tensor(11, "tf32x3")
BF16 = _tensor(12, "bf16", 8e-3, "operands are rounded to bfloat16, 7 bits behind the point; for who asks for it")


# -- few rows, or few columns ------------------------------------------------------------------------------------------

#: How many rows (or columns) of C there are at most, of those that are few: an entry for each.
FEW = {"float32": (1, 16), "float64": (16,)}

#: Blocks that K is cut into parts for, two for each multiprocessor of a large GPU; the fewest k of a part.
BLOCKS, PART = 264, 256


def _skinny(empty: Empty, a: Any, b: Any) -> tuple[list[Call], tuple[Any, ...]]:
    (M, K), N = a.shape, b.shape[1]
    c = empty((M, N), a.dtype)
    if not c.size:
        return [], (c,)
    (_, *a_strides), (_, b_row, b_column) = strides(a), strides(b)
    one, other = (memory(a), *a_strides), (memory(b), b_column, b_row)
    large, small, L, S, places = (other, one, N, M, (1, N)) if M < N else (one, other, M, N, (N, 1))
    wide = 16 // a.itemsize
    way, each = ("along", 32) if large[2] == 1 or large[1] != 1 else ("across", 32 * wide)
    blocks = -(-L // each)
    parts = max(1, min(-(-BLOCKS // blocks), K // PART))
    span = -(-K // (parts * PART)) * PART if parts > 1 else K
    parts = -(-K // span) if K else 1
    most = next(few for few in FEW[a.dtype.name] if few >= S)
    to = c if parts == 1 else empty((parts, M, N), a.dtype)
    args = (*large, *small, to, *places, L, S, K, span)
    calls = [Call(f"skinny_{way}_{most}_{a.dtype.name}", (blocks, parts), (256,), args)]
    if parts > 1:
        calls.append(Call(f"skinny_sum_{a.dtype.name}", (-(-c.size // 256),), (256,), (to, c, c.size, parts)))
    return calls, (c,)


def skinny_samples(dtype: Any) -> Iterator[tuple[Array, Array]]:
    """One vector, four and sixteen, from the left and from the right, in both layouts; K in parts."""
    rng = np.random.default_rng(2)

    def pair(M: int, K: int, N: int, layout: str, skip: int = 0) -> tuple[Array, Array]:
        a, b = rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((K, N)).astype(dtype)
        return laid_out(a, TURNED[layout][0], skip), laid_out(b, TURNED[layout][1], skip)

    def within(a: Array) -> Array:
        """The matrix among no numbers, its rows at multiples of 16 bytes."""
        around = np.full((a.shape[0] + 1, -(-a.shape[1] // 4) * 4 + 4), np.nan, a.dtype)
        around[:-1, : a.shape[1]] = a
        return around[:-1, : a.shape[1]]

    yield pair(0, 3, 4, "nn")
    yield pair(3, 0, 4, "nn")
    yield pair(1, 1, 1, "nn")
    a, b = pair(1, 23, 39, "nn")
    yield a, within(b)
    yield within(b.T), a.T
    yield pair(9, 20, 2, "tn", skip=1)
    yield pair(40, 16, 1, "nn")
    yield pair(1, 40, 136, "nn")
    yield pair(1, 1030, 33, "nt")
    yield pair(131, 133, 3, "tt")
    yield pair(37, 530, 4, "nn")
    yield pair(16, 131, 67, "nt")
    yield pair(5, 600, 133, "nn")


def _is_skinny(a: Any, b: Any) -> bool:
    return forwards(a, b) and min(a.shape[0], b.shape[1]) <= 16


SKINNY = declare(
    CudaKernel("matmul", "cuda.skinny", FOLDER / "13_skinny.cu", DTYPES, _skinny, skinny_samples, _is_skinny)
)
