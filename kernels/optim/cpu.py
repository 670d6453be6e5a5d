"""Optimizer steps on the CPU: one fused Numba loop per parameter, and a parallel twin over chunks of all of them.

No fast-math: every operation rounds as written, so that the serial twin, the parallel twin and NumPy agree bit for bit,
on any number of threads. The loops still become vectors, since no sum runs across elements; ``if``s on
loop-invariant options are unswitched by LLVM.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.optim.spec import CHUNK, DTYPE, GRAD, NUMEL, OFFSET, PARAM
from tinydl.kernels.registry import register

# The head of an array object, PyArrayObject_fields in NumPy's ndarraytypes.h: the macros PyArray_DATA, PyArray_DIMS ...
# compile these offsets into every extension module, so they are fixed for as long as NumPy's ABI is.
_HEAD = object.__basicsize__
DATA_AT, NDIM_AT, DIMS_AT, DESCR_AT, FLAGS_AT = _HEAD, _HEAD + 8, _HEAD + 16, _HEAD + 40, _HEAD + 48
# ... and that of a dtype, PyArray_Descr: four characters (kind, type, byte order, unused), then the type number.
BYTE_ORDER_AT, NUMBER_AT = _HEAD + 10, _HEAD + 12
NATIVE = ord("=")
C_CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400

# Elements from which two threads beat one: measured on 2 cores of Zen 4, where starting them costs 2 to 5 us.
PARALLEL_FROM = 1 << 17


def _heads_are_as_expected() -> bool:
    """Read a known array the way the kernels will (false on interpreters with other object layouts)."""
    probe = np.zeros((3, 5), np.float32)

    def word(at: int) -> int:
        return ctypes.c_int64.from_address(id(probe) + at).value

    return (
        ctypes.sizeof(ctypes.c_void_p) == 8
        and sys.byteorder == "little"
        and word(DATA_AT) == probe.ctypes.data
        and ctypes.c_int32.from_address(id(probe) + NDIM_AT).value == 2
        and [ctypes.c_int64.from_address(word(DIMS_AT) + 8 * i).value for i in range(2)] == [3, 5]
        and word(DESCR_AT) == id(probe.dtype)
        and ctypes.c_uint8.from_address(word(DESCR_AT) + BYTE_ORDER_AT).value == NATIVE
        and ctypes.c_int32.from_address(word(DESCR_AT) + NUMBER_AT).value == probe.dtype.num
        and ctypes.c_int32.from_address(id(probe) + FLAGS_AT).value & 0x501 == 0x501
    )


# Without compiled code or with unknown object layouts, NumPy's variants do the work.
AVAILABLE = not numba.config.DISABLE_JIT and _heads_are_as_expected()


@intrinsic  # type: ignore[untyped-decorator]
def _int64_at(typingctx: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()))

    return types.int64(types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _int32_at(typingctx: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(32).as_pointer()))

    return types.int32(types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typingctx: Any, address: Any, like: Any) -> Any:
    """``address`` as a pointer to elements of the dtype of the array ``like``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(like.dtype)(types.int64, like), codegen


@njit(inline="always")
def _elements(identity: Any, numel: Any, like: Any) -> Any:
    """The elements of an array object as a flat array."""
    return numba.carray(_pointer(_int64_at(identity + DATA_AT), like), numel)


@njit
def _regular(identity: Any, numel: Any, number: Any, flags: Any) -> Any:
    descr = _int64_at(identity + DESCR_AT)
    if _int32_at(descr + NUMBER_AT) != number or (_int32_at(descr + NUMBER_AT - 4) >> 16) & 0xFF != NATIVE:
        return False  # the byte order stands in the third byte of the word before the type number
    if (_int32_at(identity + FLAGS_AT) & flags) != flags:
        return False
    dims, size = _int64_at(identity + DIMS_AT), 1
    for axis in range(_int32_at(identity + NDIM_AT)):
        size *= _int64_at(dims + 8 * axis)
    return size == numel


@njit
def _same_shape(one: Any, other: Any) -> Any:
    ndim = _int32_at(one + NDIM_AT)
    if ndim != _int32_at(other + NDIM_AT):
        return False
    for axis in range(ndim):
        if _int64_at(_int64_at(one + DIMS_AT) + 8 * axis) != _int64_at(_int64_at(other + DIMS_AT) + 8 * axis):
            return False
    return True


@njit
def _first_irregular(table: Any) -> Any:
    for row in range(table.shape[0]):
        param, grad, numel, number = table[row, PARAM], table[row, GRAD], table[row, NUMEL], table[row, DTYPE]
        if grad != 0 and not (
            _regular(param, numel, number, C_CONTIGUOUS | ALIGNED | WRITEABLE)
            and _regular(grad, numel, number, C_CONTIGUOUS | ALIGNED)
            and _same_shape(param, grad)
        ):
            return row
    return -1


@njit
def _first_irregular_gradient(table: Any, flags: Any) -> Any:
    for row in range(table.shape[0]):
        if table[row, GRAD] != 0 and not _regular(table[row, GRAD], table[row, NUMEL], table[row, DTYPE], flags):
            return row
    return -1


@njit
def _chunks(table: Any) -> Any:
    """(row, first element) of every chunk of every row with a gradient: int64 [C, 2]."""
    count = 0
    for row in range(table.shape[0]):
        if table[row, GRAD] != 0:
            count += -(-table[row, NUMEL] // CHUNK)
    chunks = np.empty((count, 2), np.int64)
    count = 0
    for row in range(table.shape[0]):
        if table[row, GRAD] != 0:
            for start in range(0, table[row, NUMEL], CHUNK):
                chunks[count, 0], chunks[count, 1] = row, start
                count += 1
    return chunks


# --- the loops: one row, elements start to stop ---------------------------------------------------------------------


@njit(error_model="numpy")
def _sgd_loop(table: Any, row: Any, start: Any, stop: Any, moments: Any, t: Any, scalars: Any) -> None:
    T = moments.dtype.type
    lr, mu, damped, l2 = T(scalars[0]), T(scalars[1]), T(1 - scalars[2]), T(scalars[3])
    nesterov, sign = scalars[4] != 0, T(scalars[5])
    numel, offset = table[row, NUMEL], table[row, OFFSET]
    p = _elements(table[row, PARAM], numel, moments)[start:stop]
    g = _elements(table[row, GRAD], numel, moments)[start:stop]
    b = moments[0, offset + start : offset + stop]
    if mu == 0:
        for i in range(p.size):
            d = sign * g[i]
            if l2 != 0:
                d += l2 * p[i]
            p[i] -= lr * d
        return
    first = t == 1
    for i in range(p.size):
        d = sign * g[i]
        if l2 != 0:
            d += l2 * p[i]
        momentum = d if first else mu * b[i] + damped * d
        b[i] = momentum
        p[i] -= lr * (d + mu * momentum if nesterov else momentum)


@njit(error_model="numpy")
def _adam_loop(table: Any, row: Any, start: Any, stop: Any, moments: Any, t: Any, scalars: Any) -> None:
    T = moments.dtype.type
    lr, beta1, beta2, eps, l2 = scalars[0], scalars[1], scalars[2], T(scalars[3]), T(scalars[4])
    kept, sign, amsgrad = T(1 - lr * scalars[5]), T(scalars[6]), scalars[7] != 0
    rate, scale = T(lr / (1 - beta1**t)), T(1 / np.sqrt(1 - beta2**t))
    new1, old2, new2 = T(1 - beta1), T(beta2), T(1 - beta2)
    numel, offset = table[row, NUMEL], table[row, OFFSET]
    p = _elements(table[row, PARAM], numel, moments)[start:stop]
    g = _elements(table[row, GRAD], numel, moments)[start:stop]
    m = moments[0, offset + start : offset + stop]
    v = moments[1, offset + start : offset + stop]
    w = moments[2, offset + start : offset + stop] if amsgrad else v
    for i in range(p.size):
        x = p[i] * kept
        d = sign * g[i]
        if l2 != 0:
            d += l2 * x
        first = m[i] + new1 * (d - m[i])
        second = old2 * v[i] + new2 * d * d
        m[i] = first
        v[i] = second
        if amsgrad:
            second = w[i] if w[i] > second else second  # a NaN in v passes, as in np.maximum ...
            second = w[i] if w[i] != w[i] else second  # ... and so does one in w
            w[i] = second
        p[i] = x - rate * (first / (np.sqrt(second) * scale + eps))


@njit(error_model="numpy")
def _rmsprop_loop(table: Any, row: Any, start: Any, stop: Any, moments: Any, t: Any, scalars: Any) -> None:
    T = moments.dtype.type
    lr, old, new, eps = T(scalars[0]), T(scalars[1]), T(1 - scalars[1]), T(scalars[2])
    mu, l2, centered, sign = T(scalars[3]), T(scalars[4]), scalars[5] != 0, T(scalars[6])
    numel, offset = table[row, NUMEL], table[row, OFFSET]
    p = _elements(table[row, PARAM], numel, moments)[start:stop]
    g = _elements(table[row, GRAD], numel, moments)[start:stop]
    v = moments[0, offset + start : offset + stop]
    a = moments[1, offset + start : offset + stop]
    b = moments[2, offset + start : offset + stop]
    # Four loops, for conditional stores do not become vectors; p[i] is read unconditionally for the same reason.
    if centered and mu != 0:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            mean = a[i] + new * (d - a[i])
            momentum = mu * b[i] + d / (np.sqrt(second - mean * mean) + eps)
            v[i], a[i], b[i] = second, mean, momentum
            p[i] = x - lr * momentum
    elif centered:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            mean = a[i] + new * (d - a[i])
            v[i], a[i] = second, mean
            p[i] = x - lr * (d / (np.sqrt(second - mean * mean) + eps))
    elif mu != 0:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            momentum = mu * b[i] + d / (np.sqrt(second) + eps)
            v[i], b[i] = second, momentum
            p[i] = x - lr * momentum
    else:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            v[i] = second
            p[i] = x - lr * (d / (np.sqrt(second) + eps))


# --- the twins ------------------------------------------------------------------------------------------------------
# A function each, for Numba's cache tells functions apart by name and line and would mix up two compilations of one.


@njit
def _begin(table: Any, steps: Any) -> Any:
    """Check the table; when all is well, count the step of every row that has a gradient."""
    irregular = _first_irregular(table)
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                steps[row] += np.float32(1)
    return irregular


@njit
def _sgd_serial(table: Any, moments: Any, steps: Any, scalars: Any) -> Any:
    irregular = _begin(table, steps)
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                _sgd_loop(table, row, 0, table[row, NUMEL], moments, np.float64(steps[row]), scalars)
    return irregular


@njit(parallel=True)
def _sgd_parallel(table: Any, moments: Any, steps: Any, scalars: Any) -> Any:
    irregular = _begin(table, steps)
    if irregular < 0:
        chunks = _chunks(table)
        for c in prange(chunks.shape[0]):
            row, start = chunks[c, 0], chunks[c, 1]
            stop = min(start + CHUNK, table[row, NUMEL])
            _sgd_loop(table, row, start, stop, moments, np.float64(steps[row]), scalars)
    return irregular


@njit
def _adam_serial(table: Any, moments: Any, steps: Any, scalars: Any) -> Any:
    irregular = _begin(table, steps)
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                _adam_loop(table, row, 0, table[row, NUMEL], moments, np.float64(steps[row]), scalars)
    return irregular


@njit(parallel=True)
def _adam_parallel(table: Any, moments: Any, steps: Any, scalars: Any) -> Any:
    irregular = _begin(table, steps)
    if irregular < 0:
        chunks = _chunks(table)
        for c in prange(chunks.shape[0]):
            row, start = chunks[c, 0], chunks[c, 1]
            stop = min(start + CHUNK, table[row, NUMEL])
            _adam_loop(table, row, start, stop, moments, np.float64(steps[row]), scalars)
    return irregular


@njit
def _rmsprop_serial(table: Any, moments: Any, steps: Any, scalars: Any) -> Any:
    irregular = _begin(table, steps)
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                _rmsprop_loop(table, row, 0, table[row, NUMEL], moments, np.float64(steps[row]), scalars)
    return irregular


@njit(parallel=True)
def _rmsprop_parallel(table: Any, moments: Any, steps: Any, scalars: Any) -> Any:
    irregular = _begin(table, steps)
    if irregular < 0:
        chunks = _chunks(table)
        for c in prange(chunks.shape[0]):
            row, start = chunks[c, 0], chunks[c, 1]
            stop = min(start + CHUNK, table[row, NUMEL])
            _rmsprop_loop(table, row, start, stop, moments, np.float64(steps[row]), scalars)
    return irregular


# --- gradient norms -------------------------------------------------------------------------------------------------


# Without reassociation a sum is one chain of dependent additions.
@njit(fastmath={"reassoc", "contract"}, forceinline=True)
def _sum_of_squares(x: Any) -> Any:
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@njit
def _squared_norm_serial(table: Any, like: Any) -> Any:
    irregular, total = _first_irregular_gradient(table, C_CONTIGUOUS | ALIGNED), 0.0
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                gradient = _elements(table[row, GRAD], table[row, NUMEL], like)
                for start in range(0, gradient.size, CHUNK):
                    total += _sum_of_squares(gradient[start : start + CHUNK])
    return irregular, total


@njit(parallel=True)
def _squared_norm_parallel(table: Any, like: Any) -> Any:
    irregular, total = _first_irregular_gradient(table, C_CONTIGUOUS | ALIGNED), 0.0
    if irregular < 0:
        chunks = _chunks(table)
        sums = np.empty(chunks.shape[0], np.float64)
        for c in prange(chunks.shape[0]):
            row, start = chunks[c, 0], chunks[c, 1]
            gradient = _elements(table[row, GRAD], table[row, NUMEL], like)
            sums[c] = _sum_of_squares(gradient[start : start + CHUNK])
        for c in range(chunks.shape[0]):  # in order, whichever thread was first
            total += sums[c]
    return irregular, total


@njit
def _scale_gradients(table: Any, like: Any, coefficient: Any) -> Any:
    irregular = _first_irregular_gradient(table, C_CONTIGUOUS | ALIGNED | WRITEABLE)
    if irregular < 0:
        factor = like.dtype.type(coefficient)
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                gradient = _elements(table[row, GRAD], table[row, NUMEL], like)
                for i in range(gradient.size):
                    gradient[i] *= factor
    return irregular


# --- the variants ---------------------------------------------------------------------------------------------------


def sgd_(table: NDArray[Any], moments: NDArray[Any], steps: NDArray[Any], scalars: NDArray[Any]) -> Any:
    """SGD, serial or parallel by the number of elements; the card is ``spec.py``."""
    step = _sgd_parallel if moments.shape[1] >= PARALLEL_FROM else _sgd_serial
    return step(table, moments, steps, scalars)


def adam_(table: NDArray[Any], moments: NDArray[Any], steps: NDArray[Any], scalars: NDArray[Any]) -> Any:
    """Adam and AdamW, serial or parallel by the number of elements; the card is ``spec.py``."""
    step = _adam_parallel if moments.shape[1] >= PARALLEL_FROM else _adam_serial
    return step(table, moments, steps, scalars)


def rmsprop_(table: NDArray[Any], moments: NDArray[Any], steps: NDArray[Any], scalars: NDArray[Any]) -> Any:
    """RMSprop, serial or parallel by the number of elements; the card is ``spec.py``."""
    step = _rmsprop_parallel if moments.shape[1] >= PARALLEL_FROM else _rmsprop_serial
    return step(table, moments, steps, scalars)


def squared_norm(table: NDArray[Any], like: NDArray[Any]) -> Any:
    """Sum of squares of all gradients, serial or parallel by their size; the card is ``spec.py``."""
    total = int(table[:, NUMEL].sum())
    return (_squared_norm_parallel if total >= PARALLEL_FROM else _squared_norm_serial)(table, like)


def scale_gradients_(table: NDArray[Any], like: NDArray[Any], coefficient: float) -> Any:
    """All gradients times a factor, in place; the card is ``spec.py``."""
    return _scale_gradients(table, like, coefficient)


if AVAILABLE:
    _FLOATS = ("float32", "float64")
    _twins: tuple[tuple[str, str, Any], ...] = (
        ("sgd_", "cpu.serial", _sgd_serial),
        ("sgd_", "cpu.parallel", _sgd_parallel),
        ("adam_", "cpu.serial", _adam_serial),
        ("adam_", "cpu.parallel", _adam_parallel),
        ("rmsprop_", "cpu.serial", _rmsprop_serial),
        ("rmsprop_", "cpu.parallel", _rmsprop_parallel),
        ("squared_norm", "cpu.serial", _squared_norm_serial),
        ("squared_norm", "cpu.parallel", _squared_norm_parallel),
    )
    for _op, _name, _function in _twins:
        register(op=_op, name=_name, dtypes=_FLOATS)(_function)
    _choosers: tuple[tuple[str, Any], ...] = (
        ("sgd_", sgd_),
        ("adam_", adam_),
        ("rmsprop_", rmsprop_),
        ("squared_norm", squared_norm),
        ("scale_gradients_", scale_gradients_),
    )
    for _op, _fused in _choosers:
        register(op=_op, name="cpu.fused", dtypes=_FLOATS, default=True)(_fused)
