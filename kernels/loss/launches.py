"""How the CUDA kernels of the losses are launched.

    cross_entropy_1_warp.cu   softmax cross-entropy, a warp for each row of at most 1024 classes
    cross_entropy_2_block.cu  the same, a block for each row
    nll_1_warp.cu             negative log-likelihood, a warp for each row
    bce_1_fused.cu            binary cross-entropy of logits, four numbers a thread

A sum or a mean is made in launches of its own, in an order that depends on the sizes alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")
Calls = tuple[list[Call], tuple[Any, ...]]

#: Threads of a block; rows of a block of warps; the longest row of a warp, and how much of it is a thread's.
THREADS, WARPS, LONGEST = 256, 4, 1024
SHORT, LONG = 4, 32
#: Numbers that a block adds up at least, and blocks at most: as many as are at work at once on a large GPU.
ADDED, RESIDENT = 1024, 264


def unaligned(x: Array) -> Array:
    """The same numbers, not at a multiple of 16 bytes."""
    data = np.empty(x.size + 1, x.dtype)
    data[1:] = x.reshape(-1)
    return data[1:].reshape(x.shape)


def _or_null(array: Any) -> Any:
    """An array, or the null pointer."""
    return 0 if array is None else array


def _blocks(count: int, added: int = ADDED, most: int = RESIDENT) -> int:
    return max(min(-(-count // added), most), 1)


def _classes(
    kernel: str, rows: Callable[[Any], tuple[str, int]], empty: Empty, x: Any, target: Any, weight: Any,
    ignore_index: int, smoothing: tuple[Any, ...], reduction: str, takes_rows: bool = True, added: int = ADDED,
) -> Calls:  # fmt: skip
    """Weights of the targets, rows, their sum. ``rows(x)``: the entry and the blocks of the launch over rows;
    ``added``: rows that a block adds up at least."""
    (count, classes), dtype = x.shape, x.dtype
    gradient, losses = empty(x.shape, dtype), empty((count,), dtype)
    calls: list[Call] = []
    blocks = _blocks(count, added)

    def summed(entry: str, given: tuple[Any, ...], rest: tuple[Any, ...], norm: Any) -> Any:
        """One number, in one launch or two."""
        total = empty((1,), dtype)
        if blocks == 1:
            calls.append(Call(entry, (1,), (THREADS,), (*given, *norm, total, *rest)))
            return total
        parts = empty((blocks,), dtype)
        without = (0,) * len(norm)
        calls.append(Call(entry, (blocks,), (THREADS,), (*given, *without, parts, *rest)))
        divided = norm or (0,)
        calls.append(Call(f"{kernel}_add_{dtype.name}", (1,), (THREADS,), (parts, *divided, total, blocks)))
        return total

    norm: Any = 0
    if reduction == "mean":
        given = target, _or_null(weight)
        norm = summed(f"{kernel}_weigh_{dtype.name}", given, (count, classes, ignore_index), ())
    if count:
        entry, grid = rows(x)
        sizes = (count, classes) if takes_rows else (classes,)
        arguments = (x, target, _or_null(weight), norm, losses, gradient, *sizes, ignore_index, *smoothing)
        calls.append(Call(entry, (grid,), (32 * WARPS if takes_rows else THREADS,), arguments))
    if reduction == "none":
        return calls, (losses, gradient)
    loss = summed(f"{kernel}_add_{dtype.name}", (losses,), (count,), (norm,))
    return calls, (loss.reshape(()), gradient)


def _warp_plan(
    empty: Empty, x: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float, reduction: str
) -> Calls:
    def rows(x: Any) -> tuple[str, int]:
        each = SHORT if x.shape[1] <= 32 * SHORT else LONG
        return f"entropy_warp_{x.dtype.name}_{each}", -(-len(x) // WARPS)

    smoothing = (x.dtype.type(label_smoothing),)
    return _classes("entropy_warp", rows, empty, x, target, weight, ignore_index, smoothing, reduction)


def _block_plan(
    empty: Empty, x: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float, reduction: str,
    added: int = ADDED,
) -> Calls:  # fmt: skip
    def rows(x: Any) -> tuple[str, int]:
        return f"entropy_block_{x.dtype.name}", len(x)

    smoothing = (x.dtype.type(label_smoothing),)
    return _classes("entropy_block", rows, empty, x, target, weight, ignore_index, smoothing, reduction, False, added)


def _nll_plan(empty: Empty, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Calls:
    def rows(x: Any) -> tuple[str, int]:
        return f"nll_warp_{x.dtype.name}", -(-len(x) // WARPS)

    return _classes("nll_warp", rows, empty, x, target, weight, ignore_index, (), reduction)


def _class_samples(shapes: tuple[tuple[int, int], ...], smooth: bool) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    """Every reduction; nothing, one class, all rows ignored, some; weights; logits far apart; not aligned."""

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        rng = np.random.default_rng(1)

        def options(e: float) -> tuple[float, ...]:
            return (e,) if smooth else ()

        if smooth:
            far = np.array([[3e38, -3e38, 0], [1e4, 1e4, -1e4]], dtype)
            yield far, np.array([0, 1]), None, -100, 0.0, "none"
        for number, (rows, classes) in enumerate(shapes):
            x = (rng.standard_normal((rows, classes)) * 4).astype(dtype)
            x[1:2, -1:] += 300  # so that e^x of it is infinite
            target = rng.integers(0, classes, rows)
            weight = (0.5 + rng.random(classes)).astype(dtype)
            some = np.where(rng.random(rows) < 0.3, -100, target)
            target[THREADS - 1 : THREADS + 1] = 0  # where one block ends, or one turn of it
            if rows > THREADS:
                yield x, target, weight, 1, *options(0.1), "mean"
                continue
            yield x, target, None, -100, *options(0.0), "mean"
            yield x, np.full(rows, 0), weight, 0, *options(0.1), "mean"
            yield unaligned(x), target, weight, 0, *options(0.0), "sum"
            yield x, some, weight, -100, *options(0.1), "mean"
            if number:
                yield x, some, None, -100, *options(0.2), "none"

    return samples


def _bce_plan(empty: Empty, x: Any, y: Any, weight: Any, pos_weight: Any, reduction: str) -> Calls:
    n, dtype = x.size, x.dtype
    one = dtype.type
    gradient, blocks = empty(x.shape, dtype), _blocks(n, most=THREADS)
    losses, sums = (empty(x.shape, dtype), 0) if reduction == "none" else (0, empty((blocks,), dtype))
    factor = one(1 / n) if reduction == "mean" and n else one(1)
    given = (x, y, _or_null(weight), _or_null(pos_weight), losses, gradient, sums, n, factor)
    calls = [Call(f"bce_fused_{dtype.name}", (blocks,), (THREADS,), given)]
    if reduction == "none":
        return calls if n else [], (losses, gradient)
    loss, norm = empty((1,), dtype), one(n if reduction == "mean" else 1)
    calls.append(Call(f"bce_fused_finish_{dtype.name}", (1,), (THREADS,), (sums, loss, blocks, norm)))
    return calls, (loss.reshape(()), gradient)


def _bce_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    """Saturated and infinite logits, each option, sizes off every width, several blocks and rounds of them."""
    rng = np.random.default_rng(0)
    extreme = np.array([np.inf, -np.inf, 3e38, -3e38, 1e4, -1e4, 90, -90, 1e-30, 0], dtype)
    yield extreme, (extreme > 0).astype(dtype), None, None, "none"
    for size in (0, 1, 15, 64, 2100, 2051):
        x = (rng.standard_normal(size) * 8).astype(dtype)
        y = (rng.random(size) < 0.3).astype(dtype)
        weight, pos_weight = rng.random(size).astype(dtype), (1 + rng.random(size)).astype(dtype)
        yield x, y, None, None, "mean"
        yield x, rng.random(size).astype(dtype), None, pos_weight, "sum"
        yield unaligned(x), y, weight, None, "none"
        if size == 64:
            yield x, unaligned(y), weight, None, "mean"
            yield x, y, unaligned(weight), None, "mean"
            yield x, y, None, unaligned(pos_weight), "mean"
        yield x, y, weight, pos_weight, "none"


def _in_warps(x: Any, *_: Any) -> bool:
    return bool(x.shape[1] <= LONGEST)


declare(
    CudaKernel(
        "softmax_cross_entropy", "cuda.warp", FOLDER / "cross_entropy_1_warp.cu", DTYPES, _warp_plan,
        _class_samples(((0, 3), (1, 1), (1030, 2), (2, 1024), (3, 132), (9, 128), (16, 37)), True), _in_warps,
    )
)  # fmt: skip
declare(
    CudaKernel(
        "softmax_cross_entropy", "cuda.block", FOLDER / "cross_entropy_2_block.cu", DTYPES, _block_plan,
        _class_samples(((0, 3), (1, 1), (280, 2), (300, 2), (2, 1300), (3, 525)), True),
        trial=functools.partial(_block_plan, added=290),
    )
)  # fmt: skip
declare(
    CudaKernel(
        "nll", "cuda.warp", FOLDER / "nll_1_warp.cu", DTYPES, _nll_plan,
        _class_samples(((0, 3), (1, 1), (1030, 2), (16, 37)), False),
    )
)  # fmt: skip
declare(CudaKernel("bce_with_logits", "cuda.fused", FOLDER / "bce_1_fused.cu", DTYPES, _bce_plan, _bce_samples))
