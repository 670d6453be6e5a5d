"""Reading NumPy's array objects inside compiled code: an object's address becomes the elements of its memory."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinydl.kernels.cache import njit

# The head of an array object, PyArrayObject_fields in NumPy's ndarraytypes.h: the macros PyArray_DATA, PyArray_DIMS ...
# compile these offsets into every extension module, so they are fixed for as long as NumPy's ABI is.
_HEAD = object.__basicsize__
DATA_AT, NDIM_AT, DIMS_AT, DESCR_AT, FLAGS_AT = _HEAD, _HEAD + 8, _HEAD + 16, _HEAD + 40, _HEAD + 48
# ... and that of a dtype, PyArray_Descr: four characters (kind, type, byte order, unused), then the type number.
BYTE_ORDER_AT, NUMBER_AT = _HEAD + 10, _HEAD + 12
NATIVE = ord("=")
C_CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400


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
def elements(identity: Any, numel: Any, like: Any) -> Any:
    """The elements of an array object as a flat array."""
    return numba.carray(_pointer(_int64_at(identity + DATA_AT), like), numel)


@njit(inline="always")
def size_of(identity: Any) -> Any:
    """How many elements an array object has."""
    dims, size = _int64_at(identity + DIMS_AT), 1
    for axis in range(_int32_at(identity + NDIM_AT)):
        size *= _int64_at(dims + 8 * axis)
    return size


@njit
def regular(identity: Any, numel: Any, number: Any, flags: Any) -> Any:
    """Whether an array object has so many elements of the dtype of this type number, and all of the flags."""
    descr = _int64_at(identity + DESCR_AT)
    if _int32_at(descr + NUMBER_AT) != number or (_int32_at(descr + NUMBER_AT - 4) >> 16) & 0xFF != NATIVE:
        return False  # the byte order stands in the third byte of the word before the type number
    if (_int32_at(identity + FLAGS_AT) & flags) != flags:
        return False
    return size_of(identity) == numel


@njit
def same_shape(one: Any, other: Any) -> Any:
    """Whether two array objects have one shape."""
    ndim = _int32_at(one + NDIM_AT)
    if ndim != _int32_at(other + NDIM_AT):
        return False
    for axis in range(ndim):
        if _int64_at(_int64_at(one + DIMS_AT) + 8 * axis) != _int64_at(_int64_at(other + DIMS_AT) + 8 * axis):
            return False
    return True
