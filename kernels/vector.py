"""A small vector language over LLVM IR, and the matrix tile every product in ``kernels/`` is made of.

Numba compiles scalar Python; inner loops here are emitted as LLVM vectors instead, because the automatic vectoriser
gives up on them (possible aliasing). An expression of :class:`Vector` objects writes one instruction per operator:

    v = Lanes(builder, ir.FloatType())
    v.store(y, v.sigmoid(v.load(x)) * 2.0)

:class:`Lanes` knows the width of the host (16 floats with AVX-512, 8 with AVX2, 4 otherwise; half of it for doubles).
Addresses are raw and unchecked: the only callers are kernels whose Python wrappers have checked every shape.

Importing this module imports Numba.
"""

from __future__ import annotations

import functools
import math
import platform
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinydl.kernels.cache import cfunc, njit

LINE = 64  # bytes in a cache line
SQUARE = 64  # elements of a row that are transposed before the next rows
I32, I64 = ir.IntType(32), ir.IntType(64)
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()

#: Fused multiply-add may be formed, the sign of zero is free; no reassociation, so that range reductions stay exact.
FLAGS = ("contract", "nsz")


@functools.lru_cache(maxsize=1)
def host_bytes() -> int:
    """Bytes in a vector register of this CPU."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512dq"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 16


def lanes(dtype: Any, size: int | None = None) -> int:
    """How many numbers of ``dtype`` a vector register of ``size`` bytes (default: the host's) holds."""
    return (size or host_bytes()) // int(np.dtype(dtype).itemsize)


def tile_rows(width: int, size: int | None = None) -> int:
    """Rows of the matrix tile whose rows are ``width`` vectors (1 to 4): as many as the registers hold.

    rows * width accumulators, ``width`` for a row of B, one for an element of A. Of 16 registers, four vectors are
    computed as two and two.
    """
    return ({1: 8, 2: 8, 3: 8, 4: 6} if _many_registers(size) else {1: 8, 2: 6, 3: 4, 4: 6})[width]


def tile_width(size: int | None = None) -> int:
    """Vectors in a row of the tile that computes most for each load: 6 x 4 of 32 registers, 6 x 2 of 16."""
    return 4 if _many_registers(size) else 2


def _many_registers(size: int | None) -> bool:
    """Whether there are 32 vector registers (AVX-512, NEON) and not 16 (AVX2, SSE)."""
    return (size or host_bytes()) == 64 or platform.machine().lower() in ("aarch64", "arm64")


class Vector:
    """A vector in a register; ``+ - * /`` emit the instruction, and a Python number stands for all lanes."""

    __slots__ = ("lanes", "value")

    def __init__(self, lanes: Lanes, value: ir.Value) -> None:
        self.lanes = lanes
        self.value = value

    def _with(self, instruction: str, left: Any, right: Any) -> Vector:
        v = self.lanes
        emit = getattr(v.builder, instruction)
        return Vector(v, emit(v.value(left), v.value(right), flags=FLAGS))

    def __add__(self, other: Vector | float) -> Vector:
        return self._with("fadd", self, other)

    def __radd__(self, other: float) -> Vector:
        return self._with("fadd", other, self)

    def __sub__(self, other: Vector | float) -> Vector:
        return self._with("fsub", self, other)

    def __rsub__(self, other: float) -> Vector:
        return self._with("fsub", other, self)

    def __mul__(self, other: Vector | float) -> Vector:
        return self._with("fmul", self, other)

    def __rmul__(self, other: float) -> Vector:
        return self._with("fmul", other, self)

    def __truediv__(self, other: Vector | float) -> Vector:
        return self._with("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Vector:
        return self._with("fdiv", other, self)


class Lanes:
    """Emits vector code for one scalar type at the builder's position."""

    def __init__(self, builder: ir.IRBuilder, scalar: ir.Type, width: int | None = None) -> None:
        self.builder = builder
        self.scalar = scalar
        self.size = 4 if scalar == FLOAT else 8
        self.width = width or host_bytes() // self.size
        self.type = ir.VectorType(scalar, self.width)
        self.name = f"v{self.width}f{8 * self.size}"  # as in the names of LLVM's intrinsics

    # -- memory -------------------------------------------------------------------------------------------------

    def pointer(self, base: ir.Value, offset: ir.Value | int) -> ir.Value:
        """``base + offset``, both counted in elements of the scalar type."""
        if isinstance(offset, int):
            offset = ir.Constant(I64, offset)
        return self.builder.gep(base, [offset])

    def load(self, base: ir.Value, vector: int = 0) -> Vector:
        """The ``vector``-th vector from ``base`` on (unaligned)."""
        where = self.builder.bitcast(self.pointer(base, vector * self.width), self.type.as_pointer())
        return Vector(self, self.builder.load(where, align=self.size))

    def store(self, base: ir.Value, value: Vector, vector: int = 0) -> None:
        """Write a vector to the ``vector``-th place from ``base`` on (unaligned)."""
        where = self.builder.bitcast(self.pointer(base, vector * self.width), self.type.as_pointer())
        self.builder.store(value.value, where, align=self.size)

    def prefetch(self, base: ir.Value, vectors: int) -> None:
        """Ask for the cache lines of so many vectors from ``base`` on, which will be written."""
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
        function = self.builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        write, keep, of_data = (ir.Constant(I32, n) for n in (1, 3, 1))
        for at in range(0, vectors * self.width, max(self.width, LINE // self.size)):
            where = self.builder.bitcast(self.pointer(base, at), byte)
            self.builder.call(function, [where, write, keep, of_data])

    # -- values -------------------------------------------------------------------------------------------------

    def constant(self, number: float) -> ir.Constant:
        """The number in every lane."""
        return ir.Constant(self.type, [number] * self.width)

    def value(self, operand: Vector | float) -> ir.Value:
        """The LLVM value of a vector, or of a number in every lane."""
        return operand.value if isinstance(operand, Vector) else self.constant(operand)

    def broadcast(self, scalar: ir.Value) -> Vector:
        """A scalar value in every lane."""
        undefined = ir.Constant(self.type, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
        mask = ir.Constant(ir.VectorType(I32, self.width), [0] * self.width)
        return Vector(self, self.builder.shuffle_vector(one, undefined, mask))

    def call(self, name: str, *operands: Vector) -> Vector:
        """An LLVM intrinsic by its short name, such as ``fma``, on vectors."""
        kind = ir.FunctionType(self.type, [self.type] * len(operands))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self.name}")
        return Vector(self, self.builder.call(function, [o.value for o in operands]))

    def multiply_add(self, a: Vector, b: Vector, c: Vector) -> Vector:
        """``a * b + c``, rounded once where the processor can (SSE alone cannot, and would call a function a lane)."""
        return self.call("fmuladd", a, b, c)

    def where(self, compare: str, a: Vector, b: Vector | float, yes: Vector | float, no: Vector | float) -> Vector:
        """Per lane, ``yes`` where ``a compare b`` holds, else ``no``; a comparison with NaN does not hold."""
        mask = self.builder.fcmp_ordered(compare, a.value, self.value(b))
        return Vector(self, self.builder.select(mask, self.value(yes), self.value(no)))

    def clamp(self, x: Vector, low: float, high: float) -> Vector:
        """``x`` limited to [low, high]; NaN stays NaN (the comparison with it is false)."""
        x = self.where(">", x, high, high, x)
        return self.where("<", x, low, low, x)

    def shuffle(self, a: Vector, b: Vector, places: Sequence[int]) -> Vector:
        """The lanes at ``places`` of ``a`` followed by ``b``."""
        mask = ir.Constant(ir.VectorType(I32, self.width), list(places))
        return Vector(self, self.builder.shuffle_vector(a.value, b.value, mask))

    def transpose(self, rows: Sequence[Vector]) -> list[Vector]:
        """The columns of a square of as many vectors as a vector has lanes.

        A round makes of rows i and i + n/2 their lanes in turn, one vector of the lower half and one of the upper.
        After a round for each bit of n every lane is where it belongs, since a round rotates the bits of its place.
        """
        half, w = len(rows) // 2, self.width
        low = [k // 2 + w * (k % 2) for k in range(w)]
        columns = list(rows)
        for _ in range(w.bit_length() - 1):
            columns = [
                self.shuffle(columns[i], columns[i + half], [k + start for k in low])
                for i in range(half) for start in (0, w // 2)
            ]  # fmt: skip
        return columns

    # -- elementary functions -----------------------------------------------------------------------------------
    #
    # exp(x) = 2^n exp(r) with n = rint(x / ln 2), r = x - n ln 2 in [-0.347, 0.347], where ln 2 stands as a short high
    # part, whose product with n is exact, and the rest (Cody and Waite, "Software Manual for the Elementary Functions",
    # 1980). exp(r) - 1 is its Taylor series, of degree 7 in single (remainder 0.347^8/8! = 5e-9) and 13 in double
    # (4e-18). Everything below is made from it, with the errors measured in tests/kernels/test_vector.py: at most 2 ulp
    # for exp, 3 ulp for sigmoid and 4 ulp for tanh.

    def _reduce(self, x: Vector) -> tuple[Vector, Vector]:
        """(2^n, exp(r) - 1) for an ``x`` that is neither too large nor too small for 2^n."""
        single = self.scalar == FLOAT
        high = 0.693359375 if single else float.fromhex("0x1.62e42fee00000p-1")
        n = self.call("rint", x * (1.0 / math.log(2.0)))
        r = x - n * high
        low = -2.12194440054690583e-4 if single else 1.90821492927058770002e-10
        r = r - n * low
        degree = 7 if single else 13
        series = r * (1.0 / math.factorial(degree)) + 1.0 / math.factorial(degree - 1)
        for k in range(degree - 2, 1, -1):
            series = series * r + 1.0 / math.factorial(k)
        return self._power_of_two(n), series * (r * r) + r

    def _power_of_two(self, n: Vector) -> Vector:
        """2^n for whole ``n``, by building the exponent's bits."""
        b, single = self.builder, self.scalar == FLOAT
        i32 = ir.VectorType(I32, self.width)
        bits = b.fptosi(n.value, i32)
        bias, shift, whole = (127, 23, i32) if single else (1023, 52, ir.VectorType(I64, self.width))
        if not single:
            bits = b.sext(bits, whole)
        bits = b.add(bits, ir.Constant(whole, [bias] * self.width))
        bits = b.shl(bits, ir.Constant(whole, [shift] * self.width))
        return Vector(self, b.bitcast(bits, self.type))

    def exp(self, x: Vector) -> Vector:
        """e^x; below -87 (double -708) and above 88 (709) the value at that bound."""
        x = self.clamp(x, -87.0, 88.0) if self.scalar == FLOAT else self.clamp(x, -708.0, 709.0)
        scale, rest = self._reduce(x)
        return scale * rest + scale

    def sigmoid(self, x: Vector) -> Vector:
        """1 / (1 + e^-x)."""
        return 1.0 / (self.exp(0.0 - x) + 1.0)

    def tanh(self, x: Vector) -> Vector:
        """(e^2x - 1) / (e^2x + 1), from e^2x - 1 so that small arguments keep all their digits; +-1 beyond 9 (20)."""
        bound = 18.0 if self.scalar == FLOAT else 40.0
        scale, rest = self._reduce(self.clamp(x + x, -bound, bound))
        minus_one = scale * rest + (scale - 1.0)
        return minus_one / (minus_one + 2.0)

    def relu(self, x: Vector) -> Vector:
        """max(x, 0); NaN stays NaN."""
        return self.where("<", x, 0.0, 0.0, x)


# -- matrix tiles ---------------------------------------------------------------------------------------------------
#
# C[i, j] (+)= sum over k of A[i, k] B[k, j], for rows 0 <= i < rows and columns 0 <= j < width * lanes. A has any
# strides, a row of B and of C is contiguous. All of C stays in registers over k: 6 x 4 vectors take 24 of AVX-512's 32,
# one row of B 4 more, and the 24 multiply-adds of a k need 10 loads, so the arithmetic units are the limit. The sum is
# formed from zero and added to C at the end, which keeps a long k, walked in blocks, more accurate than one running
# sum.
#
# Of 16 registers the tile has 6 x 2, and then what a loop does besides, steps of its counters and of seven addresses,
# takes a core as long as the 12 multiply-adds of a k, at the latest where another thread has half of that core. So
# where numbers of A lie side by side, UNROLLED steps of k are written one after the other: their addresses are
# constants. A product of 512 x 512 takes 0.9 of the time. In columns of A that are far apart it would take longer.

UNROLLED = 4
ARGUMENTS = ("a", "row_stride", "k_stride", "b", "b_stride", "c", "c_stride", "k", "accumulate")


def lanes_of(builder: ir.IRBuilder, scalar: ir.Type, size: int) -> Lanes:
    """Vectors of ``size`` bytes."""
    return Lanes(builder, scalar, size // (4 if scalar == FLOAT else 8))


def named(scalar: ir.Type, size: int) -> str:
    """The type of a vector, as a part of a function's name."""
    return f"{'f32' if scalar == FLOAT else 'f64'}x{8 * size}"


def define(module: ir.Module, name: str, arguments: Sequence[ir.Type],
            body: Callable[[ir.IRBuilder, Any], None]) -> Any:
    """The module's function ``name``, written by ``body(builder, arguments)`` the first time it is asked for."""
    known = module.globals.get(name)
    if known is not None:
        return known
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    body(builder, function.args)
    return function


def _tile_types(scalar: ir.Type) -> list[ir.Type]:
    pointer = scalar.as_pointer()
    return [pointer, I64, I64, pointer, I64, pointer, I64, I64, I64]


def tile_function(module: ir.Module, scalar: ir.Type, rows: int, width: int, size: int) -> ir.Function:
    """The LLVM function of a tile of ``rows`` x ``width`` vectors of ``size`` bytes; its arguments are ``ARGUMENTS``,
    strides in elements."""

    def body(builder: ir.IRBuilder, arguments: Any) -> None:
        a, row_stride, k_stride, b, b_stride, c, c_stride, k, accumulate = arguments
        v = lanes_of(builder, scalar, size)
        zero = ir.Constant(I64, 0)
        a_rows = [a]
        for _ in range(rows - 1):
            a_rows.append(v.pointer(a_rows[-1], row_stride))
        c_rows = [c]
        for _ in range(rows - 1):
            c_rows.append(v.pointer(c_rows[-1], c_stride))
        for c_row in c_rows:
            v.prefetch(c_row, width)
        one = ir.Constant(I64, 1)

        def walk(state: Sequence[ir.Value], steps: int, k_stride: ir.Value) -> list[ir.Value]:
            """``steps`` of k at a time, for as long as there are so many; ``state`` is what a loop carries: k, how far
            it is in a row of A, the row of B, and the sums."""
            before = builder.block
            test, inside, end = (builder.append_basic_block(name) for name in ("test", "steps", "end"))
            builder.branch(test)
            builder.position_at_end(test)
            carried = [builder.phi(value.type) for value in state]
            step, offset, b_row, *sums = carried
            following = builder.add(step, ir.Constant(I64, steps))
            builder.cbranch(builder.icmp_signed("<=", following, k), inside, end)
            builder.position_at_end(inside)
            for _ in range(steps):
                row = [v.load(b_row, j) for j in range(width)]
                for i in range(rows):
                    element = v.broadcast(builder.load(v.pointer(a_rows[i], offset), align=v.size))
                    for j in range(width):
                        at = i * width + j
                        sums[at] = v.multiply_add(element, row[j], Vector(v, sums[at])).value
                offset, b_row = builder.add(offset, k_stride), v.pointer(b_row, b_stride)
            for phi, first, later in zip(carried, state, (following, offset, b_row, *sums)):
                phi.add_incoming(first, before)
                phi.add_incoming(later, inside)
            builder.branch(test)
            builder.position_at_end(end)
            return carried

        state: list[ir.Value] = [zero, zero, b, *[v.constant(0.0)] * (rows * width)]
        if not _many_registers(size):
            entry = builder.block
            with builder.if_then(builder.icmp_signed("==", k_stride, one)):
                walked, inner = walk(state, UNROLLED, one), builder.block
            merged = [builder.phi(value.type) for value in state]
            for phi, untouched, value in zip(merged, state, walked):
                phi.add_incoming(untouched, entry)
                phi.add_incoming(value, inner)
            state = merged
        result = walk(state, 1, k_stride)[3:]
        add, write, done = (builder.append_basic_block(name) for name in ("add", "write", "done"))
        builder.cbranch(builder.icmp_signed("!=", accumulate, zero), add, write)
        for block, adds in ((add, True), (write, False)):
            builder.position_at_end(block)
            for i in range(rows):
                for j in range(width):
                    total = Vector(v, result[i * width + j])
                    v.store(c_rows[i], v.load(c_rows[i], j) + total if adds else total, j)
            builder.branch(done)
        builder.position_at_end(done)
        builder.ret_void()

    return define(module, f"tinydl_tile_{named(scalar, size)}_{rows}x{width}", _tile_types(scalar), body)


def panel_function(module: ir.Module, scalar: ir.Type, width: int, size: int) -> ir.Function:
    """The LLVM function of any number of rows: arguments (rows, *ARGUMENTS).

    The rows are cut as evenly as possible: 16 are 6 + 5 + 5 and not 6 + 6 + 4, for short tiles waste B's loads. Rows
    that are wider than the tile is at its best are computed as two halves, one after the other.
    """
    name = f"tinydl_panel_{named(scalar, size)}_{width}"
    half = tile_width(size)
    if width == 2 * half:
        part = panel_function(module, scalar, half, size)

        def halves(builder: ir.IRBuilder, arguments: Any) -> None:
            rows, a, row_stride, k_stride, b, b_stride, c, *rest = arguments
            for at in (0, half * lanes_of(builder, scalar, size).width):
                there = ir.Constant(I64, at)
                builder.call(part, [
                    rows, a, row_stride, k_stride, builder.gep(b, [there]), b_stride, builder.gep(c, [there]), *rest,
                ])  # fmt: skip
            builder.ret_void()

        return define(module, name, [I64, *_tile_types(scalar)], halves)
    limit = tile_rows(width, size)
    tiles = [tile_function(module, scalar, rows, width, size) for rows in range(1, limit + 1)]

    def body(builder: ir.IRBuilder, arguments: Any) -> None:
        rows, a, row_stride, k_stride, b, b_stride, c, c_stride, k, accumulate = arguments
        v = lanes_of(builder, scalar, size)
        number = builder.sdiv(builder.add(rows, ir.Constant(I64, limit - 1)), ir.Constant(I64, limit))
        entry = builder.block
        loop, following, end = (builder.append_basic_block(name) for name in ("loop", "next", "end"))
        builder.cbranch(builder.icmp_signed(">", rows, ir.Constant(I64, 0)), loop, end)
        builder.position_at_end(loop)
        index, first = builder.phi(I64), builder.phi(I64)
        next_index = builder.add(index, ir.Constant(I64, 1))
        last = builder.sdiv(builder.mul(next_index, rows), number)
        choice = builder.switch(builder.sub(last, first), following)
        for height, tile in enumerate(tiles, 1):
            block = builder.append_basic_block(f"rows{height}")
            choice.add_case(ir.Constant(I64, height), block)
            builder.position_at_end(block)
            builder.call(tile, [
                v.pointer(a, builder.mul(first, row_stride)), row_stride, k_stride, b, b_stride,
                v.pointer(c, builder.mul(first, c_stride)), c_stride, k, accumulate,
            ])  # fmt: skip
            builder.branch(following)
        builder.position_at_end(following)
        for phi, start, value in ((index, ir.Constant(I64, 0), next_index), (first, ir.Constant(I64, 0), last)):
            phi.add_incoming(start, entry)
            phi.add_incoming(value, following)
        builder.cbranch(builder.icmp_signed("<", next_index, number), loop, end)
        builder.position_at_end(end)
        builder.ret_void()

    return define(module, name, [I64, *_tile_types(scalar)], body)


# -- what compiled kernels call -------------------------------------------------------------------------------------
#
# Arrays are one-dimensional and contiguous, offsets and strides count elements, and nothing is checked.


def emitted(definition: Callable[..., Any]) -> Callable[..., Any]:
    """A function of compiled kernels whose LLVM code ``definition`` emits: Numba's intrinsic, literals kept as such."""
    function: Callable[..., Any] = intrinsic(prefer_literal=True)(definition)
    return function


def scalar_of(array: types.Array) -> ir.Type:
    """The LLVM type of the elements of a Numba array type."""
    return FLOAT if array.dtype == types.float32 else DOUBLE


def data(context: Any, builder: ir.IRBuilder, array: types.Array, value: ir.Value) -> ir.Value:
    """Pointer to the first element."""
    return context.make_array(array)(context, builder, value).data


def element(context: Any, builder: ir.IRBuilder, array: types.Array, value: ir.Value, offset: ir.Value) -> ir.Value:
    """Pointer to the element at ``offset``."""
    return builder.gep(data(context, builder, array, value), [offset])


def flat(*arrays: Any) -> bool:
    """Whether the Numba types are one-dimensional contiguous arrays of one floating type."""
    return all(
        isinstance(a, types.Array) and a.ndim == 1 and a.layout == "C" and a.dtype == arrays[0].dtype for a in arrays
    ) and arrays[0].dtype in (types.float32, types.float64)


@emitted
def _run_panel(typing: Any, bits: Any, width: Any, size: Any, rows: Any, a: Any, row_stride: Any, k_stride: Any,
               b: Any, b_stride: Any,
               c: Any, c_stride: Any, k: Any, accumulate: Any) -> Any:  # fmt: skip
    """:func:`panel_function` for literal ``bits``, ``width`` and ``size``, on addresses."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        scalar = FLOAT if bits.literal_value == 32 else DOUBLE
        function = panel_function(builder.module, scalar, width.literal_value, size.literal_value)
        operands = list(values[3:])
        for k in (1, 4, 6):
            operands[k] = builder.inttoptr(operands[k], scalar.as_pointer())
        builder.call(function, operands)
        return context.get_dummy_value()

    i = types.int64
    return types.void(bits, width, size, *(i,) * 10), emit


@functools.cache
def _panel(bits: int, width: int, size: int) -> Any:
    def panel(rows: int, a: int, row_stride: int, k_stride: int, b: int, b_stride: int, c: int, c_stride: int, k: int,
              accumulate: int) -> None:  # fmt: skip
        _run_panel(bits, width, size, rows, a, row_stride, k_stride, b, b_stride, c, c_stride, k, accumulate)

    return cfunc(types.void(*(types.int64,) * 10), panel, f"{__name__}.panel", f"{width} vectors, float{bits}")


def panel(dtype: Any, width: int, size: int | None = None) -> int:
    """Address of the compiled :func:`panel_function` for rows of ``width`` vectors of ``dtype``, to give to
    ``multiply``.

    Called through its address, it is compiled once and not again inside every kernel that multiplies.
    """
    return int(_panel(8 * np.dtype(dtype).itemsize, width, size or host_bytes()).address)


@emitted
def multiply(typing: Any, panel: Any, rows: Any, a: Any, a0: Any, row_stride: Any, k_stride: Any, b: Any, b0: Any,
             b_stride: Any, c: Any, c0: Any, c_stride: Any, k: Any, accumulate: Any) -> Any:  # fmt: skip
    """C[rows, width vectors] (+)= A[rows, k] B[k, width vectors] by the function at address ``panel``."""
    if not flat(a, b, c):
        return None
    i = types.int64

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        panel, rows, a, a0, row_stride, k_stride, b, b0, b_stride, c, c0, c_stride, k, accumulate = values
        kinds = signature.args
        a = builder.ptrtoint(element(context, builder, kinds[2], a, a0), I64)
        b = builder.ptrtoint(element(context, builder, kinds[6], b, b0), I64)
        c = builder.ptrtoint(element(context, builder, kinds[9], c, c0), I64)
        kind = ir.FunctionType(ir.VoidType(), [I64] * 10)
        builder.call(builder.inttoptr(panel, kind.as_pointer()), [
            rows, a, row_stride, k_stride, b, b_stride, c, c_stride, k, accumulate,
        ])  # fmt: skip
        return context.get_dummy_value()

    return types.void(i, i, a, i, i, i, b, i, i, c, i, i, i, i), emit


@emitted
def take(typing: Any, taken: Any, index: Any) -> Any:
    """taken[index], which another thread will find greater by one: how threads share out numbered work as they come."""
    if not isinstance(taken, types.Array) or taken.dtype != types.int64 or taken.ndim != 1:
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        place = element(context, builder, signature.args[0], *values)
        return builder.atomic_rmw("add", place, ir.Constant(I64, 1), "seq_cst")

    return types.int64(taken, types.int64), emit


@emitted
def move(typing: Any, target: Any, t0: Any, source: Any, s0: Any, count: Any) -> Any:
    """:func:`copy` for a handful of numbers (the rows of a tile),
    where a call of memcpy would cost more than it moves."""
    if not flat(target, source):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        target, t0, source, s0, count = values
        scalar = scalar_of(signature.args[0])
        x = element(context, builder, signature.args[0], target, t0)
        y = element(context, builder, signature.args[2], source, s0)
        at: Any = ir.Constant(I64, 0)
        for width in (4, 2, 1):
            v = Lanes(builder, scalar, width)
            at = each(builder, at, count, width, functools.partial(_move_some, v, x, y))
        return context.get_dummy_value()

    i = types.int64
    return types.void(target, i, source, i, i), emit


def _move_some(v: Lanes, x: ir.Value, y: ir.Value, at: ir.Value) -> None:
    v.store(v.pointer(x, at), v.load(v.pointer(y, at)))


@emitted
def copy(typing: Any, target: Any, t0: Any, source: Any, s0: Any, count: Any) -> Any:
    """target[t0 : t0 + count] = source[s0 : s0 + count]; they do not overlap.

    Not the C library's, which on an AMD EPYC took up to eight times as long where both addresses have nearly the same
    place in a page. (Long copies are one instruction there, ``rep movsb``, whose slowness on such processors is known.)
    """
    if not flat(target, source):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        target, t0, source, s0, count = values
        scalar = scalar_of(signature.args[0])
        x = element(context, builder, signature.args[0], target, t0)
        y = element(context, builder, signature.args[2], source, s0)
        width = Lanes(builder, scalar).width
        start: Any = ir.Constant(I64, 0)
        for lanes_, vectors in ((width, 4), (width, 1), (1, 1)):
            v = Lanes(builder, scalar, lanes_)
            start = each(builder, start, count, lanes_ * vectors, functools.partial(_copy_some, v, vectors, x, y))
        return context.get_dummy_value()

    i = types.int64
    return types.void(target, i, source, i, i), emit


def _copy_some(v: Lanes, vectors: int, x: ir.Value, y: ir.Value, at: ir.Value) -> None:
    x, y = v.pointer(x, at), v.pointer(y, at)
    found = [v.load(y, k) for k in range(vectors)]
    for k, value in enumerate(found):
        v.store(x, value, k)


@emitted
def add(typing: Any, target: Any, t0: Any, source: Any, s0: Any, count: Any) -> Any:
    """target[t0 : t0 + count] += source[s0 : s0 + count]; they do not overlap."""
    if not flat(target, source):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        target, t0, source, s0, count = values
        scalar = scalar_of(signature.args[0])
        x = element(context, builder, signature.args[0], target, t0)
        y = element(context, builder, signature.args[2], source, s0)
        start: Any = ir.Constant(I64, 0)
        for width in (Lanes(builder, scalar).width, 1):  # whole vectors, then the numbers left over
            v = Lanes(builder, scalar, width)
            start = each(builder, start, count, width, functools.partial(_add_one, v, x, y))
        return context.get_dummy_value()

    i = types.int64
    return types.void(target, i, source, i, i), emit


def _add_one(v: Lanes, x: ir.Value, y: ir.Value, at: ir.Value) -> None:
    x, y = v.pointer(x, at), v.pointer(y, at)
    v.store(x, v.load(x) + v.load(y))


@emitted
def turn(typing: Any, target: Any, t0: Any, t_stride: Any, source: Any, s0: Any, s_stride: Any) -> Any:
    """target[t0 + j t_stride + i] = source[s0 + i s_stride + j] for i, j below the number of lanes: a square
    transposed in registers."""
    return _turning(1, target, source)


@emitted
def turn_seconds(typing: Any, target: Any, t0: Any, t_stride: Any, source: Any, s0: Any, s_stride: Any) -> Any:
    """target[t0 + j t_stride + i] = source[s0 + i s_stride + 2 j] for i, j below the number of lanes; nothing beyond
    the last of these elements of a row is read."""
    return _turning(2, target, source)


def _turning(step: int, target: Any, source: Any) -> Any:
    """Code that transposes a square of every ``step``-th (1 or 2) element of the rows, and its signature."""
    if not flat(target, source):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        target, t0, t_stride, source, s0, s_stride = values
        v = Lanes(builder, scalar_of(signature.args[0]))
        x = element(context, builder, signature.args[0], target, t0)
        y = element(context, builder, signature.args[3], source, s0)

        def row(base: ir.Value, stride: ir.Value, number: int) -> ir.Value:
            return v.pointer(base, builder.mul(stride, ir.Constant(I64, number)))

        def taken(number: int) -> Vector:
            base = row(y, s_stride, number)
            if step == 1:
                return v.load(base)
            w = v.width  # the second vector ends with the last element that is taken
            places = [2 * k if 2 * k < w else 2 * k + 1 for k in range(w)]
            return v.shuffle(v.load(base), v.load(v.pointer(base, w - 1)), places)

        for i, turned in enumerate(v.transpose([taken(i) for i in range(v.width)])):
            v.store(row(x, t_stride, i), turned)
        return context.get_dummy_value()

    i = types.int64
    return types.void(target, i, i, source, i, i), emit


def each(
    builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int, body: Callable[[ir.Value], None]
) -> ir.Value:
    """Emit ``body(at)`` for at = start, start + step, ... while at + step <= stop; the first ``at`` not taken."""
    entry = builder.block
    test, inside, end = (builder.append_basic_block(name) for name in ("test", "each", "end"))
    builder.branch(test)
    builder.position_at_end(test)
    at = builder.phi(I64)
    following = builder.add(at, ir.Constant(I64, step))
    builder.cbranch(builder.icmp_signed("<=", following, stop), inside, end)
    builder.position_at_end(inside)
    body(at)
    at.add_incoming(start, entry)
    at.add_incoming(following, builder.block)
    builder.branch(test)
    builder.position_at_end(end)
    return at


@njit
def transpose(width: int, target: Any, t0: int, t_stride: int, source: Any, s0: int, s_stride: int, rows: int,
              columns: int) -> None:  # fmt: skip
    """target[t0 + j t_stride + i] = source[s0 + i s_stride + j] for i < rows, j < columns; ``width`` is the number of
    lanes.

    The side whose rows are further apart is gone through row by row, SQUARE elements at a time: each of its cache
    lines is taken once and whole, and what the other side has of these stays in the first-level cache.
    """
    whole, wide = rows // width * width, columns // width * width
    if s_stride > t_stride:
        for first in range(0, wide, SQUARE):
            for i in range(0, whole, width):
                for j in range(first, min(first + SQUARE, wide), width):
                    turn(target, t0 + j * t_stride + i, t_stride, source, s0 + i * s_stride + j, s_stride)
    else:
        for first in range(0, whole, SQUARE):
            for j in range(0, wide, width):
                for i in range(first, min(first + SQUARE, whole), width):
                    turn(target, t0 + j * t_stride + i, t_stride, source, s0 + i * s_stride + j, s_stride)
    for j in range(wide, columns):
        for i in range(whole):
            target[t0 + j * t_stride + i] = source[s0 + i * s_stride + j]
    for i in range(whole, rows):
        for j in range(columns):
            target[t0 + j * t_stride + i] = source[s0 + i * s_stride + j]


@njit
def transpose_seconds(width: int, target: Any, t0: int, t_stride: int, source: Any, s0: int, s_stride: int, rows: int,
                      columns: int) -> None:  # fmt: skip
    """target[t0 + j t_stride + i] = source[s0 + i s_stride + 2 j] for i < rows, j < columns; ``width`` is the number of
    lanes."""
    whole, wide = rows // width * width, columns // width * width
    for i in range(0, whole, width):
        for j in range(0, wide, width):
            turn_seconds(target, t0 + j * t_stride + i, t_stride, source, s0 + i * s_stride + 2 * j, s_stride)
    for j in range(wide, columns):
        for i in range(whole):
            target[t0 + j * t_stride + i] = source[s0 + i * s_stride + 2 * j]
    for i in range(whole, rows):
        for j in range(columns):
            target[t0 + j * t_stride + i] = source[s0 + i * s_stride + 2 * j]
