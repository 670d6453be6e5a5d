"""How the CUDA kernels of the reductions are launched.

    moments_1_parts.cu  variance and mean, in one pass
    norm_1_parts.cu     norms of every order

Lines that lie in rows are taken by a warp each, or a block; others by 32 side by side. Few long lines are cut in parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")
Calls = tuple[list[Call], tuple[Any, ...]]

#: The longest row that is left to a warp; numbers of a part of a row at least, of a column; blocks there should be.
SHORT, ROW_SPAN, COLUMN_SPAN, ENOUGH = 256, 2048, 64, 528
#: As norm_1_parts.cu numbers them.
KINDS = {0.0: 1, 1.0: 2, 2.0: 3, math.inf: 4, -math.inf: 5}


def unaligned(x: Array) -> Array:
    """The same numbers, not at a multiple of 16 bytes."""
    data = np.empty(x.size + 1, x.dtype)
    data[1:] = x.reshape(-1)
    return data[1:].reshape(x.shape)


def _reduced(
    kernel: str, empty: Empty, x: Any, axis: int | None, numbers: int, results: int, options: tuple[Any, ...]
) -> Calls:
    """``numbers`` of a part, ``results`` of a line; ``options`` behind the sizes."""
    shape = (x.size,) if axis is None else x.shape
    at = 0 if axis is None else axis
    n, outer, inner = shape[at], math.prod(shape[:at]), math.prod(shape[at + 1 :])
    lines, name = outer * inner, x.dtype.name
    made = [empty((lines,), x.dtype) for _ in range(results)]
    shaped = tuple(y.reshape((*shape[:at], *shape[at + 1 :])) for y in made)
    if not lines:
        return [], shaped
    rows, tiles = inner == 1, -(-inner // 32)
    blocks, least = (outer, ROW_SPAN) if rows else (outer * tiles, COLUMN_SPAN)
    splits = max(min(-(-n // least), -(-ENOUGH // blocks)), 1)
    span = max(-(-n // splits) + 3 & ~3, 4)  # parts of rows begin at whole packs
    splits = max(-(-n // span), 1)
    parts = empty((numbers, splits, lines), x.dtype) if splits > 1 else 0
    if rows:
        threads = 32 if n <= SHORT else 256
        given = (x, parts, *made, n, span, *options)
        call = Call(f"{kernel}_rows_{name}_{threads}", (outer, splits), (threads,), given)
    else:
        sizes = (n, inner, tiles, span)
        call = Call(f"{kernel}_columns_{name}", (blocks, splits), (32, 8), (x, parts, *made, *sizes, *options))
    calls = [call]
    if splits > 1:
        calls.append(Call(f"{kernel}_finish_{name}", (lines,), (32,), (parts, *made, n, splits, *options)))
    return calls, shaped


def _moments(empty: Empty, x: Any, axis: int, correction: float) -> Calls:
    return _reduced("moments", empty, x, axis, 3, 2, (x.dtype.type(correction),))


def _norm(empty: Empty, x: Any, axis: int | None, ord: float) -> Calls:
    return _reduced("norm", empty, x, axis, 1, 1, (KINDS.get(float(ord), 0), x.dtype.type(ord)))


def _layouts(dtype: Any, turned: Callable[[Array], Array]) -> Iterator[tuple[Array, int]]:
    """Nothing, one number, rows and columns of one part, of several, of more than a warp has threads; not aligned.

    turned: what the operation wants of the numbers.
    """
    rng = np.random.default_rng(12)
    for shape, axes in (
        ((0, 3), (0, 1)), ((1, 1), (0, 1)), ((5,), (0,)), ((3, 2, 48), (0, 1, 2)), ((2, 150, 33), (1,)),
        ((3, 300), (1,)), ((2140, 2), (0,)), ((2, 4100), (1,)),
    ):  # fmt: skip
        x = turned(rng.standard_normal(shape).astype(dtype))
        for axis in axes:
            yield x, axis
    yield unaligned(x), 1


def _moments_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for number, (x, axis) in enumerate(_layouts(dtype, lambda x: x + dtype(10))):
        yield x, axis, (0, 1, 1.5)[number % 3]
    yield np.ones((3, 1), dtype), 1, 1


def _norm_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    orders = (2.0, 1.0, 0.0, 3.0, 0.5, math.inf, -math.inf)

    def turned(x: Array) -> Array:
        return np.where(np.arange(x.size).reshape(x.shape) % 5 == 4, 0, x).astype(dtype)

    for number, (x, axis) in enumerate(_layouts(dtype, turned)):
        order = orders[number % 7]
        yield x, axis, order if x.shape[axis] else 3.0
        if x.size > 8:
            yield np.abs(x) + dtype(0.5), axis, orders[(number + 3) % 7]
    yield x, None, 2.0
    yield np.array([0, 2, -1, np.nan], dtype), 0, math.inf
    yield np.array([np.nan, 2, -1], dtype), 0, -math.inf
    yield np.array([0, 2, -1], dtype), 0, -1.0
    yield x + dtype(3), 1, -math.inf


declare(
    CudaKernel("moments", "cuda.parts", FOLDER / "moments_1_parts.cu", DTYPES, _moments, _moments_samples)
)
declare(CudaKernel("vector_norm", "cuda.parts", FOLDER / "norm_1_parts.cu", DTYPES, _norm, _norm_samples))
