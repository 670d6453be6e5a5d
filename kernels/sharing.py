"""The loop of a ufunc over a long line, cut among the threads of the pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange, types
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.vector import emitted

Array = NDArray[Any]

#: Parts begin at multiples of so many elements: the vectors of a part are then those of the whole line, and the bits do
#: not depend on the number of threads.
GRAIN = 256


@emitted
def _call(typing: Any, loop: Any, pointers: Any, count: Any, steps: Any) -> Any:
    """The loop of a ufunc, NumPy's ``PyUFuncGenericFunction``, at address ``loop``; the arrays are of int64."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte] * 4)
        arrays = [
            builder.bitcast(context.make_array(a)(context, builder, v).data, byte)
            for a, v in zip(signature.args[1:], values[1:])
        ]
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [*arrays, ir.Constant(byte, None)])
        return context.get_dummy_value()

    return types.void(types.int64, pointers, count, steps), emit


@njit(parallel=True)
def share(threads: int, loop: int, size: int, pointers: Array, steps: Array) -> None:
    """Run ``loop`` over ``size`` elements of the arrays at ``pointers``, ``steps`` bytes apart."""
    for part in prange(threads):
        thread = np.int64(part)
        first = size * thread // threads // GRAIN * GRAIN
        end = size if thread == threads - 1 else size * (thread + 1) // threads // GRAIN * GRAIN
        starts, count = np.empty_like(pointers), np.empty(1, np.int64)
        for i in range(len(pointers)):
            starts[i] = pointers[i] + first * steps[i]
        count[0] = end - first
        _call(loop, starts, count, steps)
