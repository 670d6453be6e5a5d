"""How the CUDA kernels of normalisation are launched.

Along rows, layer_norm and rms_norm:

    rows_forward_1_block.cu   a block for each row, any length
    rows_forward_2_warp.cu    a warp for each row of at most 1024, in registers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")
Calls = tuple[list[Call], tuple[Any, ...]]
Plan = Callable[..., Calls]

#: Threads of a block; rows of a block of warps.
THREADS, WARPS = 256, 8
#: The numbers of a row that each thread of a warp holds, of short rows and of long ones.
SHORT, LONG = 4, 32


def unaligned(x: Array) -> Array:
    """The same numbers, not at a multiple of 16 bytes."""
    data = np.empty(x.size + 1, x.dtype)
    data[1:] = x.reshape(-1)
    return data[1:].reshape(x.shape)


def _or_null(array: Any) -> Any:
    """An array, or the null pointer."""
    return 0 if array is None else array


# -- along rows --------------------------------------------------------------------------------------------------------


def _forward(rung: str, centred: bool) -> Plan:
    def plan(empty: Empty, x: Any, weight: Any, *bias_and_eps: Any) -> Calls:
        rows, columns = x.shape
        eps = x.dtype.type(bias_and_eps[-1])
        y, statistics = empty(x.shape, x.dtype), [empty((rows,), x.dtype) for _ in range(1 + centred)]
        affine = [_or_null(a) for a in (weight, *bias_and_eps[:-1])]
        kind = "layer" if centred else "rms"
        if rung == "block":
            call = Call(f"{kind}_block_{x.dtype.name}", (rows,), (THREADS,), (x, *affine, y, *statistics, columns, eps))
        else:
            each = SHORT if columns <= 32 * SHORT else LONG
            call = Call(
                f"{kind}_warp_{x.dtype.name}_{each}", (-(-rows // WARPS),), (THREADS,),
                (x, *affine, y, *statistics, rows, columns, eps),
            )  # fmt: skip
        return [call] if rows else [], (y, *statistics)

    return plan


def _in_warps(x: Any, *_: Any) -> bool:
    return bool(x.shape[1] <= 32 * LONG)


def _rows_samples(centred: bool, *shapes: tuple[int, int]) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    """Forward arguments over some shapes: a mean far from 0, without weight and bias, not at multiples of 16 bytes."""

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        rng = np.random.default_rng(0)
        for number, shape in enumerate(shapes):
            x = rng.standard_normal(shape).astype(dtype)
            weight, bias = rng.standard_normal((2, shape[1])).astype(dtype)
            yield x, weight, *([bias] if centred else []), 1e-5
            if number == len(shapes) - 1:
                yield x + dtype(100), None, *([None] if centred else []), 1e-3
                yield unaligned(x), weight, *([bias] if centred else []), 1e-5
                yield x, unaligned(weight), *([None] if centred else []), 1e-5
                if centred:
                    yield x, None, unaligned(bias), 1e-5

    return samples


for _op, _centred in (("layer_norm", True), ("rms_norm", False)):
    _made = "rows_forward_1_block.cu", "rows_forward_2_warp.cu"
    _long = _rows_samples(_centred, (0, 4), (1, 1), (3, 0), (2, 1500), (3, 300))
    _short = _rows_samples(_centred, (0, 4), (1, 1), (3, 0), (2, 1024), (9, 128), (5, 127), (24, 132))
    declare(CudaKernel(f"{_op}_forward", "cuda.block", FOLDER / _made[0], DTYPES, _forward("block", _centred), _long))
    if _centred:
        declare(
            CudaKernel(
                f"{_op}_forward", "cuda.warp", FOLDER / _made[1], DTYPES, _forward("warp", _centred), _short, _in_warps
            )
        )
