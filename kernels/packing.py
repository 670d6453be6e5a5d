"""Copying a matrix into panels, the order in which the tile of :mod:`tinydl.kernels.vector` reads it.

A panel is [k][columns of a tile]. Rows of B that are contiguous in memory are moved; where its columns are, squares of
as many numbers each way as a vector has lanes are transposed in registers. Number by number, packing would take a tenth
of the time of a product of 256 x 256.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from tinydl.kernels.cache import cfunc, njit
from tinydl.kernels.vector import (
    DOUBLE,
    FLOAT,
    I64,
    Lanes,
    add,
    copy,
    define,
    each,
    element,
    emitted,
    flat,
    host_bytes,
    lanes_of,
    multiply,
    named,
    transpose,
)

# -- what is emitted ------------------------------------------------------------------------------------------------


def transpose_function(module: ir.Module, scalar: ir.Type, size: int) -> ir.Function:
    """The LLVM function of target[k, j] = source[j, k] for k < count and as many j as a vector of ``size`` bytes has
    lanes; its arguments are (target, target_stride, source, source_stride, count)."""

    def write(builder: ir.IRBuilder, v: Lanes, target: Any, target_stride: Any, source: Any, source_stride: Any,
              count: Any) -> None:  # fmt: skip
        rows = [source]
        for _ in range(v.width - 1):
            rows.append(v.pointer(rows[-1], source_stride))

        def square(at: ir.Value) -> None:
            place = v.pointer(target, builder.mul(at, target_stride))
            for column in v.transpose([v.load(v.pointer(row, at)) for row in rows]):
                v.store(place, column)
                place = v.pointer(place, target_stride)

        def one(at: ir.Value) -> None:
            place = v.pointer(target, builder.mul(at, target_stride))
            for j, row in enumerate(rows):
                builder.store(builder.load(v.pointer(row, at)), v.pointer(place, j))

        each(builder, each(builder, ir.Constant(I64, 0), count, v.width, square), count, 1, one)

    return _mover_function(module, scalar, size, "transpose", write)


def move_function(module: ir.Module, scalar: ir.Type, width: int, size: int) -> ir.Function:
    """The LLVM function of target[k, j] = source[k, j] for k < count and j < ``width`` vectors; arguments as above."""

    def write(builder: ir.IRBuilder, v: Lanes, target: Any, target_stride: Any, source: Any, source_stride: Any,
              count: Any) -> None:  # fmt: skip
        def one(at: ir.Value) -> None:
            place = v.pointer(target, builder.mul(at, target_stride))
            row = v.pointer(source, builder.mul(at, source_stride))
            for j in range(width):
                v.store(place, v.load(row, j), j)

        each(builder, ir.Constant(I64, 0), count, 1, one)

    return _mover_function(module, scalar, size, f"move_{width}", write)


def _mover_function(
    module: ir.Module, scalar: ir.Type, size: int, name: str, write: Callable[..., None]
) -> ir.Function:
    def body(builder: ir.IRBuilder, arguments: Any) -> None:
        write(builder, lanes_of(builder, scalar, size), *arguments)
        builder.ret_void()

    pointer = scalar.as_pointer()
    return define(module, f"tinydl_{name}_{named(scalar, size)}", [pointer, I64, pointer, I64, I64], body)


# -- what compiled kernels call -------------------------------------------------------------------------------------


@emitted
def _run(typing: Any, width: Any, bits: Any, size: Any, target: Any, target_stride: Any, source: Any,
         source_stride: Any, count: Any) -> Any:  # fmt: skip
    """:func:`move_function`, or :func:`transpose_function` for width 0, on addresses."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        scalar = FLOAT if bits.literal_value == 32 else DOUBLE
        if width.literal_value:
            function = move_function(builder.module, scalar, width.literal_value, size.literal_value)
        else:
            function = transpose_function(builder.module, scalar, size.literal_value)
        operands = list(values[3:])
        for k in (0, 2):
            operands[k] = builder.inttoptr(operands[k], scalar.as_pointer())
        builder.call(function, operands)
        return context.get_dummy_value()

    i = types.int64
    return types.void(width, bits, size, i, i, i, i, i), emit


@functools.cache
def _address(width: int, bits: int, size: int) -> int:
    def run(target: int, target_stride: int, source: int, source_stride: int, count: int) -> None:
        _run(width, bits, size, target, target_stride, source, source_stride, count)

    name = f"{__name__}.{'move' if width else 'transpose'}"
    _kept.append(cfunc(types.void(*(types.int64,) * 5), run, name, f"float{bits}"))
    return int(_kept[-1].address)


_kept: list[Any] = []  # an address is good for as long as the function lives


def mover(dtype: Any, width: int, size: int | None = None) -> int:
    """Address of the compiled :func:`move_function`, to give to ``pack``."""
    return _address(width, 8 * np.dtype(dtype).itemsize, size or host_bytes())


def transposer(dtype: Any, size: int | None = None) -> int:
    """Address of the compiled :func:`transpose_function`, to give to ``pack``."""
    return _address(0, 8 * np.dtype(dtype).itemsize, size or host_bytes())


@emitted
def pack(typing: Any, function: Any, target: Any, t0: Any, t_stride: Any, source: Any, s0: Any, s_stride: Any,
         count: Any) -> Any:  # fmt: skip
    """What the function at that address does with ``count`` rows of the target."""
    if not flat(target, source):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        function, target, t0, t_stride, source, s0, s_stride, count = values
        x = builder.ptrtoint(element(context, builder, signature.args[1], target, t0), I64)
        y = builder.ptrtoint(element(context, builder, signature.args[4], source, s0), I64)
        kind = ir.FunctionType(ir.VoidType(), [I64] * 5)
        builder.call(builder.inttoptr(function, kind.as_pointer()), [x, t_stride, y, s_stride, count])
        return context.get_dummy_value()

    i = types.int64
    return types.void(i, target, i, i, source, i, i, i), emit


# -- where a matrix lies --------------------------------------------------------------------------------------------


class _Memory:
    """So many numbers from an address on, kept alive by their owner."""

    def __init__(self, owner: NDArray[Any], address: int, count: int) -> None:
        self.owner = owner
        # Said to be writable, since a kernel is compiled anew for memory that is not; none writes to it.
        self.__array_interface__ = {
            "version": 3, "shape": (count,), "typestr": owner.dtype.str, "data": (address, False),
        }  # fmt: skip


def memory_of(x: NDArray[Any]) -> tuple[NDArray[Any], int, int, int]:
    """(memory, place, row, column): ``x[i, j]`` is ``memory[place + i * row + j * column]``; for reading.

    Nothing is copied, whatever the strides are, unless one is not a whole number of elements. x is not empty.
    """
    flags = x.flags
    if flags.writeable and flags.aligned:
        if flags.c_contiguous:
            return x.reshape(-1), 0, x.shape[1], 1
        if flags.f_contiguous:
            return x.T.reshape(-1), 0, 1, x.shape[0]
    if not flags.aligned or any(stride % x.itemsize for stride in x.strides):
        return memory_of(np.array(x, order="C"))
    row, column = (stride // x.itemsize for stride in x.strides)
    reach = [step * (n - 1) for step, n in zip((row, column), x.shape)]
    place = -sum(step for step in reach if step < 0)
    start = x.__array_interface__["data"][0] - place * x.itemsize
    memory = np.asarray(_Memory(x, start, 1 + sum(abs(step) for step in reach)))
    return memory, place, row, column


# -- in compiled kernels -----------------------------------------------------------------------------------------------


@njit
def pack_panel(b: NDArray[Any], at: int, row: int, column: int, count: int, used: int, lanes: int, wide: int, move: int,
               transpose: int, packed: NDArray[Any], to: int) -> None:  # fmt: skip
    """packed[k * wide + j] = b[k, j] for k < count and j < used; zero up to a whole vector."""
    done = 0
    if column == 1:
        if used % lanes == 0:
            pack(move, packed, to, wide, b, at, row, count)
        else:
            for k in range(count):
                copy(packed, to + k * wide, b, at + k * row, used)
        done = used
    elif row == 1:
        while done + lanes <= used:
            pack(transpose, packed, to + done, wide, b, at + done * column, column, count)
            done += lanes
    if done < used or used % lanes:
        for k in range(count):
            for j in range(done, used):
                packed[to + k * wide + j] = b[at + k * row + j * column]
            for j in range(used, used + -used % lanes):
                packed[to + k * wide + j] = 0


@njit
def pack_rows(square: int, target: NDArray[Any], t0: int, count: int, a: NDArray[Any], at: int, row: int, column: int,
              rows: int) -> None:  # fmt: skip
    """target[t0 + i * count + k] = A[i, k] for i < rows, k < count; ``square`` is the number of the host's lanes."""
    if row == 1:
        transpose(square, target, t0, count, a, at, column, count, rows)
    else:
        for i in range(rows):
            for k in range(count):
                target[t0 + i * count + k] = a[at + i * row + k * column]


@njit
def multiply_block(tile: int, whole: bool, rows: int, a: NDArray[Any], at: int, a_row: int, a_column: int,
                   panel: NDArray[Any], p0: int, row: int, used: int, wide: int, edge: NDArray[Any], e0: int,
                   c: NDArray[Any], c0: int, N: int, count: int, k: int) -> None:  # fmt: skip
    """C[rows, used] (+)= A[rows, count] @ panel[count, used]; what C holds counts unless k is 0."""
    if whole:
        multiply(tile, rows, a, at, a_row, a_column, panel, p0, row, c, c0, N, count, k)
    else:
        multiply(tile, rows, a, at, a_row, a_column, panel, p0, row, edge, e0, wide, count, 0)
        for i in range(rows):
            if k == 0:
                copy(c, c0 + i * N, edge, e0 + i * wide, used)
            else:
                add(c, c0 + i * N, edge, e0 + i * wide, used)
