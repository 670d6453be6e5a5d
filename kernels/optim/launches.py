"""How the CUDA kernels of optimizers are launched: all parameters at once, through tables of addresses.

The operations get the table of ``table.py``, which names array objects; from these are made what a GPU needs: the rows
that have a gradient, and *pieces*, rows ``param, grad, offset, count, row`` of at most :data:`PIECE` elements of one
parameter, the first two addresses. A piece is a block's work. Whoever launches keeps what was brought to the device as
long as the addresses stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.gpu import Call, CudaKernel, Empty, Table, declare
from tinydl.kernels.optim import spec
from tinydl.kernels.optim.table import DTYPE, GRAD, NUMEL, OFFSET, PARAM, array_at

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")
THREADS = 256

#: Elements of a block's piece: two accesses of 16 bytes of float32 a thread for each array, so that a model of a
#: million parameters makes 500 blocks.
PIECE = 2048

_COLUMNS = 5


def first_irregular(table: NDArray[np.int64], with_params: bool = True, writeable: bool = True) -> int:
    """The first row that a kernel cannot work on in place, or -1, of arrays of any device."""
    for row, (param, grad, _, numel, number) in enumerate(table[:, [PARAM, GRAD, OFFSET, NUMEL, DTYPE]].tolist()):
        if not grad:
            continue
        pair = [array_at(grad), array_at(param if with_params else grad)]
        if (
            any(a.dtype.num != number or a.size != numel or not a.flags.c_contiguous for a in pair)
            or pair[0].shape != pair[1].shape
            or (writeable and not getattr(pair[1].flags, "writeable", True))  # a GPU's arrays always are
        ):
            return row
    return -1


def pieces(table: NDArray[np.int64], itemsize: int, with_params: bool = True) -> tuple[Table, list[Any], list[Any]]:
    """The pieces of all rows that have a gradient, as the kernels' table; the parameters and the gradients among them.

    A row without elements has none.
    """
    rows = np.flatnonzero((table[:, GRAD] != 0) & (table[:, NUMEL] > 0))
    counts = -(-table[rows, NUMEL] // PIECE)
    row = np.repeat(rows, counts)
    start = (np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)) * PIECE
    numbers = np.empty((len(row), _COLUMNS), np.int64)
    numbers[:, 0] = numbers[:, 1] = start * itemsize
    numbers[:, 2] = table[row, OFFSET] + start
    numbers[:, 3] = np.minimum(table[row, NUMEL] - start, PIECE)
    numbers[:, 4] = row
    places = np.split(np.arange(len(row)) * _COLUMNS, np.cumsum(counts)[:-1])
    params = [array_at(r) for r in table[rows, PARAM].tolist()] if with_params else []
    grads = [array_at(r) for r in table[rows, GRAD].tolist()]
    addresses = [*zip(places, params), *((at + 1, grad) for at, grad in zip(places, grads))]
    return Table(numbers, tuple(addresses)), params, grads


def _step(op: str, shared: int) -> CudaKernel:
    """``shared``: numbers that all elements of a parameter share."""
    name = op.rstrip("_")

    def plan(empty: Empty, table: Any, moments: Any, numbers: Any, scalars: Any) -> tuple[list[Call], tuple[Any, ...]]:
        irregular = first_irregular(table)
        rows = np.flatnonzero(table[:, GRAD])
        if irregular >= 0 or not len(rows):
            return [], (irregular,)
        dtype = moments.dtype
        given = empty((len(table), shared), dtype)
        args = (Table(rows), len(rows), numbers, numbers.shape[1], scalars, given)
        blocks = -(-len(rows) // THREADS)
        calls = [Call(f"{name}_prepare_{dtype.name}", (blocks,), (THREADS,), args, writes=(numbers,))]
        work, params, _ = pieces(table, dtype.itemsize)
        if len(work.numbers):
            elements, changed = moments.shape[1], (moments, *params)
            calls += [
                Call(f"{name}_step_{dtype.name}", (len(work.numbers),), (THREADS,), (work, moments, elements, given),
                     writes=changed)
            ]  # fmt: skip
        return calls, (irregular,)

    return declare(CudaKernel(op, "cuda.fused", FOLDER / f"{name}.cu", DTYPES, plan, _samples(op)))


#: Shapes of parameters: nothing, 0-d, many small ones, more than a piece; stretches of the moments that begin at
#: multiples of 16 bytes and not; those that show most last.
SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((0,), (3, 0)), ((),), ((16,), (8, 32)), ((1,), (7, 3), (0, 2), (5, 1, 11)), ((THREADS * 8 + 64,), (8,)),
    ((PIECE,), (3,), (3, PIECE // 3 + 1)),
)  # fmt: skip


def _samples(op: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        for scalars in spec.SCALARS[op]:
            yield scalars, *spec._arrays(SHAPES[3], dtype)
            yield scalars, *spec._arrays(SHAPES[2], dtype)
        for shapes in SHAPES:
            yield spec.SCALARS[op][-1], *spec._arrays(shapes, dtype)

    return samples


SGD = _step("sgd_", 7)
ADAM = _step("adam_", 10)
RMSPROP = _step("rmsprop_", 8)
ADAGRAD = _step("adagrad_", 4)


def _squared_norm(empty: Empty, table: Any, like: Any) -> tuple[list[Call], tuple[Any, ...]]:
    irregular = first_irregular(table, with_params=False, writeable=False)
    total = empty((1,), np.dtype(np.float64))
    if irregular >= 0:
        return [], (irregular, total.reshape(()))
    work, _, _ = pieces(table, like.dtype.itemsize, with_params=False)
    count = len(work.numbers)
    sums = empty((count,), np.dtype(np.float64))
    calls = [Call(f"squares_{like.dtype.name}", (count,), (THREADS,), (work, sums))] if count else []
    calls += [Call("add_squares", (1,), (THREADS,), (sums, count, total))]
    return calls, (irregular, total.reshape(()))


def _scale_gradients(
    empty: Empty, table: Any, like: Any, coefficient: Any
) -> tuple[list[Call], tuple[Any, ...]]:
    """``coefficient``: a number, or an array of one float64 on the device."""
    irregular = first_irregular(table, with_params=False)
    work, _, grads = pieces(table, like.dtype.itemsize, with_params=False)
    if irregular >= 0 or not len(work.numbers):
        return [], (irregular,)
    factor = (coefficient, 0) if isinstance(coefficient, float) else (0.0, coefficient)
    call = Call(
        f"scale_{like.dtype.name}", (len(work.numbers),), (THREADS,), (work, *factor), writes=tuple(grads)
    )  # fmt: skip
    return [call], (irregular,)


def _gradients(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for shapes in SHAPES:
        yield spec._arrays(shapes, dtype, 1)
    yield spec._arrays([(2,)] * (THREADS + 4), dtype, 1)  # more pieces than the second launch has threads
    *rest, last = spec._arrays(SHAPES[-1], dtype, 1)
    yield *rest, np.concatenate([last.reshape(-1)] * 2)[1 : 2 * PIECE + 8]  # not at a multiple of 16 bytes


NORM = declare(CudaKernel("squared_norm", "cuda.pieces", FOLDER / "gradients.cu", DTYPES, _squared_norm, _gradients))
SCALE = declare(
    CudaKernel("scale_gradients_", "cuda.pieces", FOLDER / "gradients.cu", DTYPES, _scale_gradients, _gradients)
)
