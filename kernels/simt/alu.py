"""What each arithmetic instruction computes: from its opcode to a function on arrays.

A *plan* says of which type the result is, of which types the operands are read, and the NumPy function between them,
one entry per thread. Sections of the PTX ISA (version 9.0) are named by number. Results that hardware leaves to an
approximation (``ex2.approx`` and its kin, ``div.full``) are computed correctly rounded from float64 here: hardware may
differ from them by the number of units that the ISA allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl.kernels.simt import floats
from tinydl.kernels.simt.errors import UnknownInstruction
from tinydl.kernels.simt.ptx import WIDTHS, Instruction

#: One value per thread, or one for all: NumPy's functions take both.
Array = Any

#: How a register is read as each type. bfloat16 and packed pairs are read as their bits.
DTYPES: dict[str, Any] = {
    "b8": np.uint8, "u8": np.uint8, "s8": np.int8, "b16": np.uint16, "u16": np.uint16, "s16": np.int16,
    "b32": np.uint32, "u32": np.uint32, "s32": np.int32, "b64": np.uint64, "u64": np.uint64, "s64": np.int64,
    "f16": np.float16, "bf16": np.uint16, "f32": np.float32, "f64": np.float64, "pred": np.bool_,
    "f16x2": np.uint32, "bf16x2": np.uint32, "tf32": np.float32,
}  # fmt: skip

FLOATS = ("f16", "bf16", "f16x2", "bf16x2", "f32", "f64")
ROUNDINGS = ("rn", "rz", "rm", "rp")


@dataclass(frozen=True)
class Plan:
    """The result's type, the operands' types, and the function between them."""

    result: str
    operands: tuple[str, ...]
    function: Callable[..., Any]


Builder = Callable[[Instruction], Plan]
PLANS: dict[str, Builder] = {}


def plan(instruction: Instruction) -> Plan:
    """The plan of an instruction; UnknownInstruction when there is none."""
    builder = PLANS.get(instruction.name)
    if builder is None:
        raise unknown(instruction)
    for part in instruction.parts[1:]:
        if part not in MODIFIERS or _changes_what_is_computed(instruction, part):
            raise unknown(instruction, f"modifier .{part}")
    return builder(instruction)


def _changes_what_is_computed(i: Instruction, part: str) -> bool:
    """Whether a modifier that is known elsewhere asks here for what is not modelled."""
    halves = [p for p in i.parts[1:] if p in ("f16", "bf16", "f16x2", "bf16x2")]
    if part == "ftz":
        return bool(halves) and i.name != "cvt"
    if part == "relu":
        return "tf32" in i.parts if i.name == "cvt" else i.name != "fma" or not halves
    if part == "sat":
        return i.name in ("mad", "mad24") and i.has("hi")
    if i.name in ("set", "setp"):
        return part.endswith("x2") or (i.name == "set" and part == i.parts[-2] and bool(halves))
    return part in ("rp", "rm") and i.name == "cvt" and i.parts[-2] == "bf16"


def unknown(instruction: Instruction, what: str = "instruction") -> UnknownInstruction:
    """The error that names an instruction, or a part of it."""
    return UnknownInstruction(
        f"line {instruction.line} of the PTX: the {what} of {instruction.text!r} is not modelled"
        if what != "instruction"
        else f"line {instruction.line} of the PTX: the instruction {instruction.text!r} is not modelled",
        line=instruction.line,
        instruction=instruction.text,
    )


def _plan(*names: str) -> Callable[[Builder], Builder]:
    def enter(builder: Builder) -> Builder:
        for name in names:
            PLANS[name] = builder
        return builder

    return enter


def rounding(i: Instruction) -> str:
    """The rounding mode of floating-point arithmetic (to nearest even when none is given)."""
    return next((part for part in i.parts if part in ROUNDINGS), "rn")


def modes(i: Instruction, kind: str, function: Callable[..., Array]) -> Callable[..., Array]:
    """``function`` between ``.ftz`` of its operands and of its result, and ``.sat`` behind it."""
    flushed, saturated = i.has("ftz") and kind == "f32", i.has("sat")
    if not flushed and not saturated:
        return function

    def wrapped(*operands: Array) -> Array:
        result = function(*(floats.flush(o) for o in operands)) if flushed else function(*operands)
        result = floats.flush(result) if flushed else result
        if saturated:
            result = np.where(np.isnan(result), result.dtype.type(0), np.clip(result, 0, 1))
        return result

    return wrapped


# -- halves: computed in float32, where one more rounding to half does no harm (24 >= 2 * 11 + 2) ----------------------


def _packed(kind: str, function: Callable[..., Array], fused: bool = False) -> Callable[..., Array]:
    """A function of float32 (``fused``: of float64, rounded to odd) as one of f16, bf16 or packed pairs."""

    def one(*operands: Array) -> Array:
        wide = np.float64 if fused else np.float32
        if kind.startswith("bf16"):
            result = function(*(floats.from_bfloat16(o).astype(wide) for o in operands))
            if fused:
                result = floats.narrow_to_odd(result)
            return floats.to_bfloat16(result)
        return floats.to_float16(function(*(o.view(np.float16).astype(wide) for o in operands))).view(np.uint16)

    def single(*operands: Array) -> Array:
        return one(*(np.asarray(o).view(np.uint16) for o in operands)).view(DTYPES[kind])

    def pair(*operands: Array) -> Array:
        low = one(*(o.astype(np.uint16) for o in operands))
        high = one(*((o >> np.uint32(16)).astype(np.uint16) for o in operands))
        return low.astype(np.uint32) | (high.astype(np.uint32) << np.uint32(16))

    return pair if kind.endswith("x2") else single


def _fma_wide(a: Array, b: Array, c: Array) -> Array:
    """For halves: the product is exact in float64, the sum rounded to odd."""
    return floats.to_odd(*floats.two_sum(a * b, c))


# -- sums, products, quotients (9.7.1, 9.7.3, 9.7.4) -------------------------------------------------------------------


@_plan("add", "sub", "mul", "div", "min", "max")
def _two(i: Instruction) -> Plan:
    kind = i.type
    if kind not in DTYPES:
        raise unknown(i, "type")
    if kind in FLOATS:
        return Plan(kind, (kind,) * (len(i.operands) - 1), _float_two(i, kind))
    if i.name == "mul":
        return _integer_product(i)
    if i.has("sat") and i.name in ("add", "sub"):
        return Plan(kind, (kind, kind), _saturated(i.name))
    functions: dict[str, Callable[..., Array]] = {
        "add": np.add, "sub": np.subtract, "min": np.minimum, "max": np.maximum, "div": quotient,
    }  # fmt: skip
    if kind in ("u16x2", "s16x2"):
        raise unknown(i, "type")
    return Plan(kind, (kind, kind), functions[i.name])


def _float_two(i: Instruction, kind: str) -> Callable[..., Array]:
    mode = rounding(i)
    if i.name in ("min", "max"):
        function = _extreme(i)
    elif mode == "rn" or i.has("approx") or i.has("full"):
        function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[i.name]
    else:
        function = {
            "add": lambda a, b: floats.add(a, b, mode), "sub": lambda a, b: floats.add(a, -b, mode),
            "mul": lambda a, b: floats.multiply(a, b, mode), "div": lambda a, b: floats.divide(a, b, mode),
        }[i.name]  # fmt: skip
    if kind not in ("f32", "f64"):
        return _packed(kind, modes(i, "f32", function))
    return modes(i, kind, function)


def _extreme(i: Instruction) -> Callable[..., Array]:
    """min and max: a NaN loses, unless ``.NaN`` says that it wins; -0 is less than +0."""
    smaller = i.name == "min"
    base = (np.minimum if smaller else np.maximum) if i.has("NaN") else (np.fmin if smaller else np.fmax)

    def function(*operands: Array) -> Array:
        a, b = operands[0], operands[1]
        if i.has("xorsign"):
            return np.copysign(base(np.abs(a), np.abs(b)), np.where(np.signbit(a) != np.signbit(b), -1.0, 1.0)).astype(
                a.dtype
            )
        result = base(a, b)
        zeros = (a == 0) & (b == 0)
        if np.any(zeros):
            negative = (np.signbit(a) | np.signbit(b)) if smaller else (np.signbit(a) & np.signbit(b))
            result = np.where(zeros, np.where(negative, a.dtype.type(-0.0), a.dtype.type(0)), result)
        return function(result, *operands[2:]) if len(operands) > 2 else result

    return function


def quotient(a: Array, b: Array) -> Array:
    """Towards zero; all ones where the divisor is 0, which the ISA leaves open."""
    zero = b == 0
    safe = np.where(zero, b.dtype.type(1), b)
    q = np.floor_divide(a, safe)
    if np.issubdtype(q.dtype, np.signedinteger):
        q = q + ((q < 0) & (q * safe != a)).astype(q.dtype)
    return np.where(zero, ~b.dtype.type(0), q)


@_plan("rem")
def _remainder(i: Instruction) -> Plan:
    return Plan(i.type, (i.type, i.type), lambda a, b: np.where(b == 0, a, a - quotient(a, b) * b).astype(a.dtype))


def _saturated(name: str) -> Callable[..., Array]:
    def function(a: Array, b: Array) -> Array:
        wide = a.astype(np.int64) + (b.astype(np.int64) if name == "add" else -b.astype(np.int64))
        info = np.iinfo(a.dtype)
        return np.clip(wide, info.min, info.max).astype(a.dtype)

    return function


# -- products of integers ----------------------------------------------------------------------------------------------


def product_high(a: Array, b: Array) -> Array:
    """The upper half of the product of two integers, signed or not."""
    width = a.dtype.itemsize
    if width < 8:
        wide = np.int64 if np.issubdtype(a.dtype, np.signedinteger) else np.uint64
        return ((a.astype(wide) * b.astype(wide)) >> wide(8 * width)).astype(a.dtype)
    x, y, half, mask = a.view(np.uint64), b.view(np.uint64), np.uint64(32), np.uint64(0xFFFFFFFF)
    xl, xh, yl, yh = x & mask, x >> half, y & mask, y >> half
    low = xl * yl
    middle = xh * yl + (low >> half)
    other = xl * yh + (middle & mask)
    high = xh * yh + (middle >> half) + (other >> half)
    if np.issubdtype(a.dtype, np.signedinteger):
        high = high - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
    return high.view(a.dtype)


def wider(kind: str) -> str:
    """The type of twice the width."""
    return f"{kind[0]}{int(kind[1:]) * 2}"


def _widened(kind: str) -> Callable[[Array], Array]:
    dtype = DTYPES[wider(kind)]
    return lambda a: a.astype(dtype)


def _integer_product(i: Instruction) -> Plan:
    kind = i.type
    if i.has("wide"):
        widen = _widened(kind)
        return Plan(wider(kind), (kind, kind), lambda a, b: widen(a) * widen(b))
    if i.has("hi"):
        return Plan(kind, (kind, kind), product_high)
    return Plan(kind, (kind, kind), np.multiply)


@_plan("mul24", "mad24")
def _product24(i: Instruction) -> Plan:
    kind, high = i.type, i.has("hi")

    def function(a: Array, b: Array, *c: Array) -> Array:
        wide = np.int64 if kind[0] == "s" else np.uint64
        x, y = ((v.astype(wide) << wide(40)) >> wide(40) for v in (a, b))
        product = x * y
        part = (product >> wide(16) if high else product).astype(DTYPES[kind])
        return part + c[0] if c else part

    return Plan(kind, (kind,) * (len(i.operands) - 1), function)


@_plan("mad", "fma")
def _multiply_add(i: Instruction) -> Plan:
    kind, mode = i.type, rounding(i)
    if kind in ("f32", "f64"):
        return Plan(kind, (kind,) * 3, modes(i, kind, lambda a, b, c: floats.fma(a, b, c, mode)))
    if kind in FLOATS:
        fused = _fma_wide
        if i.has("relu"):
            fused = lambda a, b, c: np.maximum(_fma_wide(a, b, c), 0.0)  # a NaN stays one
        return Plan(kind, (kind,) * 3, _packed(kind, modes(i, "f64", fused), fused=True))
    if i.has("wide"):
        widen = _widened(kind)
        return Plan(wider(kind), (kind, kind, wider(kind)), lambda a, b, c: widen(a) * widen(b) + c)
    if i.has("hi"):
        return Plan(kind, (kind,) * 3, lambda a, b, c: product_high(a, b) + c)
    return Plan(kind, (kind,) * 3, lambda a, b, c: a * b + c)


@_plan("sad")
def _absolute_difference(i: Instruction) -> Plan:
    return Plan(i.type, (i.type,) * 3, lambda a, b, c: c + np.where(a < b, b - a, a - b))


@_plan("dp4a")
def _dot4(i: Instruction) -> Plan:
    left, right = i.parts[-2], i.parts[-1]
    result = "u32" if left == right == "u32" else "s32"

    def pieces(x: Array, kind: str) -> Array:
        eight = np.ascontiguousarray(np.atleast_1d(x)).view(np.int8 if kind == "s32" else np.uint8)
        return eight.reshape(-1, 4).astype(np.int64)

    def function(a: Array, b: Array, c: Array) -> Array:
        dot = (pieces(a, left) * pieces(b, right)).sum(axis=1)
        return (c.astype(np.int64) + dot).astype(DTYPES[result])

    return Plan(result, (left, right, result), function)


# -- one operand -------------------------------------------------------------------------------------------------------


@_plan("abs", "neg")
def _one(i: Instruction) -> Plan:
    kind = i.type
    if kind in ("f16", "bf16", "f16x2", "bf16x2"):
        bits = "b16" if WIDTHS[kind] == 2 else "b32"
        sign = DTYPES[bits](0x8000 if bits == "b16" else 0x80008000)
        return Plan(bits, (bits,), (lambda a: a & ~sign) if i.name == "abs" else (lambda a: a ^ sign))
    return Plan(kind, (kind,), modes(i, kind, np.abs if i.name == "abs" else np.negative))


def _special(function: Callable[[Array], Array]) -> Builder:
    """A function computed in float64 and rounded once (of f16 and bf16 too)."""

    def build(i: Instruction) -> Plan:
        kind = i.type
        if kind in ("f16", "bf16", "f16x2", "bf16x2"):
            return Plan(kind, (kind,), _packed(kind, lambda a: floats.narrow_to_odd(function(a.astype(np.float64)))))
        dtype = DTYPES[kind]
        return Plan(kind, (kind,), modes(i, kind, lambda a: function(a.astype(np.float64)).astype(dtype)))

    return build


_SPECIAL: dict[str, Callable[[Array], Array]] = {
    "ex2": np.exp2,
    "lg2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "rsqrt": lambda a: 1.0 / np.sqrt(a),
}
for _name, _function in _SPECIAL.items():
    PLANS[_name] = _special(_function)


@_plan("rcp", "sqrt")
def _reciprocal_or_root(i: Instruction) -> Plan:
    kind, mode = i.type, rounding(i)
    if i.name == "sqrt":
        return Plan(kind, (kind,), modes(i, kind, lambda a: floats.square_root(a, mode)))
    one = DTYPES[kind](1)
    return Plan(kind, (kind,), modes(i, kind, lambda a: floats.divide(np.broadcast_to(one, np.shape(a)), a, mode)))


@_plan("copysign")
def _copysign(i: Instruction) -> Plan:
    return Plan(i.type, (i.type, i.type), lambda a, b: np.copysign(b, a))  # the sign of a on the value of b


@_plan("testp")
def _test(i: Instruction) -> Plan:
    tiny = np.finfo(DTYPES[i.type]).tiny
    tests: dict[str, Callable[[Array], Array]] = {
        "finite": np.isfinite, "infinite": np.isinf, "number": lambda a: ~np.isnan(a), "notanumber": np.isnan,
        "normal": lambda a: np.isfinite(a) & (np.abs(a) >= tiny),
        "subnormal": lambda a: (np.abs(a) < tiny) & (a != 0),
    }  # fmt: skip
    return Plan("pred", (i.type,), tests[i.parts[1]])


# -- bits (9.7.1, 9.7.8) -----------------------------------------------------------------------------------------------


@_plan("and", "or", "xor")
def _bitwise(i: Instruction) -> Plan:
    functions = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}
    return Plan(i.type, (i.type, i.type), functions[i.name])


@_plan("not", "cnot")
def _not(i: Instruction) -> Plan:
    if i.name == "not":
        return Plan(i.type, (i.type,), np.invert)
    return Plan(i.type, (i.type,), lambda a: (a == 0).astype(a.dtype))


@_plan("shl", "shr")
def _shift(i: Instruction) -> Plan:
    kind = i.type
    bits, dtype = 8 * WIDTHS[kind], DTYPES[kind]
    signed = kind[0] == "s"

    def function(a: Array, b: Array) -> Array:
        within = np.minimum(b, np.uint32(bits - 1)).astype(dtype)
        shifted = np.left_shift(a, within) if i.name == "shl" else np.right_shift(a, within)
        if signed and i.name == "shr":
            return shifted  # the sign fills all places
        return np.where(b >= bits, dtype(0), shifted)

    return Plan(kind, (kind, "u32"), function)


@_plan("shf")
def _funnel(i: Instruction) -> Plan:
    left, clamp = i.has("l"), i.has("clamp")

    def function(a: Array, b: Array, c: Array) -> Array:
        n = (np.minimum(c, np.uint32(32)) if clamp else c & np.uint32(31)).astype(np.uint64)
        both = (b.astype(np.uint64) << np.uint64(32)) | a.astype(np.uint64)
        return ((both << n) >> np.uint64(32) if left else both >> n).astype(np.uint32)

    return Plan("b32", ("b32", "b32", "u32"), function)


@_plan("bfe")
def _field(i: Instruction) -> Plan:
    kind = i.type
    bits, dtype = 8 * WIDTHS[kind], DTYPES[kind]

    def function(a: Array, b: Array, c: Array) -> Array:
        position, length = (b & np.uint32(255)).astype(np.int64), (c & np.uint32(255)).astype(np.int64)
        unsigned = a.view(f"u{bits // 8}")
        one = unsigned.dtype.type(1)
        in_word = np.minimum(position, bits - 1).astype(unsigned.dtype)
        field = np.where(position >= bits, one * 0, unsigned >> in_word)
        kept = np.minimum(length, bits)
        mask = np.where(kept >= bits, ~(one * 0), (one << np.minimum(kept, bits - 1).astype(unsigned.dtype)) - one)
        field = field & mask
        if kind[0] == "s":
            top = np.minimum(position + length - 1, bits - 1)
            negative = ((unsigned >> np.maximum(top, 0).astype(unsigned.dtype)) & one).astype(bool) & (length > 0)
            inside = np.where(position + length > bits, _below(bits - position, bits, one), mask)
            field = np.where(negative, field | ~inside, field)
        return field.astype(unsigned.dtype).view(dtype)

    return Plan(kind, (kind, "u32", "u32"), function)


def _below(count: Array, bits: int, one: Any) -> Array:
    """A mask of the lowest ``count`` bits (none below zero)."""
    kept = np.clip(count, 0, bits)
    return np.where(kept >= bits, ~(one * 0), (one << np.minimum(kept, bits - 1).astype(one.dtype)) - one)


@_plan("bfi")
def _insert(i: Instruction) -> Plan:
    kind = i.type
    bits, one = 8 * WIDTHS[kind], DTYPES[kind](1)

    def function(a: Array, b: Array, c: Array, d: Array) -> Array:
        position, length = (c & np.uint32(255)).astype(np.int64), (d & np.uint32(255)).astype(np.int64)
        shift = np.minimum(position, bits - 1).astype(one.dtype)
        mask = np.where(position >= bits, one * 0, _below(length, bits, one) << shift)
        return (b & ~mask) | ((a << shift) & mask)

    return Plan(kind, (kind, kind, "u32", "u32"), function)


@_plan("popc")
def _popc(i: Instruction) -> Plan:
    return Plan("u32", (i.type,), lambda a: np.bitwise_count(a).astype(np.uint32))


def highest_bit(a: Array) -> Array:
    """The place of the highest set bit of unsigned numbers; -1 for zero."""
    filled, step = a, 1
    while step < 8 * a.dtype.itemsize:
        filled = filled | (filled >> a.dtype.type(step))
        step *= 2
    return np.bitwise_count(filled).astype(np.int64) - 1


@_plan("clz")
def _leading_zeros(i: Instruction) -> Plan:
    bits = 8 * WIDTHS[i.type]
    return Plan("u32", (i.type,), lambda a: (bits - 1 - highest_bit(a)).astype(np.uint32))


@_plan("bfind")
def _find(i: Instruction) -> Plan:
    kind = i.type
    bits = 8 * WIDTHS[kind]

    def function(a: Array) -> Array:
        magnitude = np.where(a < 0, ~a, a).view(f"u{bits // 8}") if kind[0] == "s" else a
        place = highest_bit(magnitude)
        if i.has("shiftamt"):
            place = np.where(place < 0, -1, bits - 1 - place)
        return place.astype(np.int32).view(np.uint32)

    return Plan("u32", (kind,), function)


@_plan("brev")
def _reverse(i: Instruction) -> Plan:
    bits = 8 * WIDTHS[i.type]

    def function(a: Array) -> Array:
        result = np.zeros_like(a)
        for place in range(bits):
            result = result | (((a >> a.dtype.type(place)) & a.dtype.type(1)) << a.dtype.type(bits - 1 - place))
        return result

    return Plan(i.type, (i.type,), function)


@_plan("prmt")
def _permute(i: Instruction) -> Plan:
    mode = i.type if i.type not in ("b32", "prmt") else ""

    def selectors(c: Array) -> list[Array]:
        nibble = [(c >> np.uint32(4 * n)) & np.uint32(15) for n in range(4)]
        low = c & np.uint32(3)
        if mode == "":
            return nibble
        tables = {
            "f4e": [(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 6)],
            "b4e": [(0, 7, 6, 5), (1, 0, 7, 6), (2, 1, 0, 7), (3, 2, 1, 0)],
            "rc8": [(0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3)],
            "ecl": [(0, 1, 2, 3), (1, 1, 2, 3), (2, 2, 2, 3), (3, 3, 3, 3)],
            "ecr": [(0, 0, 0, 0), (0, 1, 1, 1), (0, 1, 2, 2), (0, 1, 2, 3)],
            "rc16": [(0, 1, 0, 1), (2, 3, 2, 3), (0, 1, 0, 1), (2, 3, 2, 3)],
        }
        table = np.array(tables[mode], np.uint32)
        return [table[low, n] for n in range(4)]

    def function(a: Array, b: Array, c: Array) -> Array:
        both = (b.astype(np.uint64) << np.uint64(32)) | a.astype(np.uint64)
        result: Array = np.uint32(0)
        for place, selector in enumerate(selectors(c)):
            shift = (np.uint32(8) * (selector & np.uint32(7))).astype(np.uint64)
            byte = ((both >> shift) & np.uint64(255)).astype(np.uint32)
            spread = np.where(byte & np.uint32(128), np.uint32(255), np.uint32(0))
            result = result | (np.where(selector & np.uint32(8), spread, byte) << np.uint32(8 * place))
        return np.asarray(result)

    return Plan("b32", ("b32", "b32", "b32"), function)


# -- comparison and selection (9.7.5 - 9.7.7) --------------------------------------------------------------------------

_COMPARISONS: dict[str, Callable[..., Array]] = {
    "eq": np.equal, "ne": lambda a, b: (a != b) & (a == a) & (b == b), "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal, "hi": np.greater,
    "hs": np.greater_equal, "num": lambda a, b: (a == a) & (b == b), "nan": lambda a, b: (a != a) | (b != b),
    "equ": lambda a, b: ~((a < b) | (a > b)), "neu": np.not_equal, "ltu": lambda a, b: ~(a >= b),
    "leu": lambda a, b: ~(a > b), "gtu": lambda a, b: ~(a <= b), "geu": lambda a, b: ~(a < b),
}  # fmt: skip


#: Every part of an opcode that is known here. One that is not would otherwise be passed over.
MODIFIERS = frozenset((
    *DTYPES, *ROUNDINGS, *_COMPARISONS, "rna", "rni", "rzi", "rmi", "rpi", "approx", "full", "ftz", "sat", "relu",
    "NaN", "xorsign", "abs", "lo", "hi", "wide", "l", "r", "clamp", "wrap", "shiftamt", "and", "or", "xor", "finite",
    "infinite", "number", "notanumber", "normal", "subnormal", "f4e", "b4e", "rc8", "ecl", "ecr", "rc16",
))  # fmt: skip


def comparison(i: Instruction, kind: str) -> Callable[..., Array]:
    """The comparison named by the second part of the opcode; ordered ones are false beside a NaN."""
    name = i.parts[1]
    if name not in _COMPARISONS:
        raise unknown(i, "comparison")
    compare = _COMPARISONS[name]
    if name == "ne" and kind not in FLOATS:
        compare = np.not_equal
    if kind in ("f16", "bf16"):
        half: Callable[[Array], Array] = floats.from_bfloat16 if kind == "bf16" else (lambda a: a.astype(np.float32))
        return lambda a, b: compare(half(a), half(b))
    if i.has("ftz"):
        return lambda a, b: compare(floats.flush(a), floats.flush(b))
    return compare


@_plan("setp")
def _set_predicate(i: Instruction) -> Plan:
    """With a third operand the result is combined with it; the second result (``p|q``) is made by the caller."""
    kind = i.type
    compare = comparison(i, kind)
    if len(i.operands) == 3:
        return Plan("pred", (kind, kind), compare)
    combine = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[i.parts[2]]
    return Plan("pred", (kind, kind, "pred"), lambda a, b, c: combine(compare(a, b), c))


@_plan("set")
def _set(i: Instruction) -> Plan:
    result, kind = i.parts[-2], i.parts[-1]
    compare = comparison(i, kind)
    true = DTYPES[result](1.0) if result == "f32" else ~DTYPES[result](0) if result[0] != "s" else DTYPES[result](-1)

    def function(a: Array, b: Array, *c: Array) -> Array:
        answer = compare(a, b)
        if c:
            answer = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[i.parts[2]](answer, c[0])
        return np.where(answer, true, DTYPES[result](0))

    return Plan(result, (kind, kind, "pred")[: len(i.operands) - 1], function)


@_plan("selp")
def _select(i: Instruction) -> Plan:
    return Plan(i.type, (i.type, i.type, "pred"), lambda a, b, c: np.where(c, a, b))


@_plan("slct")
def _select_by_sign(i: Instruction) -> Plan:
    kind, by = i.parts[-2], i.parts[-1]
    return Plan(kind, (kind, kind, by), lambda a, b, c: np.where(c >= 0, a, b))


@_plan("lop3")
def _lookup(i: Instruction) -> Plan:
    def function(a: Array, b: Array, c: Array, table: Array) -> Array:
        number = int(np.ravel(table)[0])
        result: Array = np.uint32(0)
        for row in range(8):
            if number >> row & 1:
                result = result | ((a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c))
        return np.broadcast_to(np.asarray(result), np.broadcast(a, b, c).shape)

    return Plan("b32", ("b32", "b32", "b32", "b32"), function)


# -- conversion (9.7.9) ------------------------------------------------------------------------------------------------


@_plan("cvt")
def _convert(i: Instruction) -> Plan:
    to, of = i.parts[-2], i.parts[-1]
    if to in ("f16x2", "bf16x2") and of == "f32":
        half = _from_float32(i, "f16" if to == "f16x2" else "bf16")
        wide: Callable[[Array], Array] = lambda a: half(a).astype(np.uint32)
        return Plan(to, ("f32", "f32"), lambda a, b: (wide(a) << np.uint32(16)) | wide(b))
    if to == "tf32":
        mode = "rna" if i.has("rna") else rounding(i)
        return Plan("b32", ("f32",), lambda a: floats.to_tf32(a, mode).view(np.uint32))
    if to not in DTYPES or of not in DTYPES or to.endswith("x2") or of.endswith("x2"):
        raise unknown(i, "conversion")
    integral = next((part for part in i.parts if part in ("rni", "rzi", "rmi", "rpi")), "")
    if of not in FLOATS and to not in FLOATS:
        return Plan(to, (of,), _between_integers(i, to))
    if of not in FLOATS:
        return Plan(to, (of,), _from_integer(i, to))
    if to not in FLOATS:
        flushed = i.has("ftz")
        dtype = DTYPES[to]
        if not integral:
            raise unknown(i, "rounding")
        ready: Callable[[Array], Array] = lambda a: floats.flush(_wide(a, of)) if flushed else _wide(a, of)
        return Plan(to, (of,), lambda a: floats.to_integer(ready(a), dtype, integral))
    return Plan(to, (of,), _between_floats(i, to, of, integral))


def _wide(a: Array, kind: str) -> Array:
    """bfloat16 as float32; the others are what they are."""
    return floats.from_bfloat16(a) if kind == "bf16" else a


def _from_float32(i: Instruction, kind: str) -> Callable[[Array], Array]:
    """float32 to the bits of a half."""
    mode = rounding(i)

    def function(a: Array) -> Array:
        if i.has("relu"):
            a = np.where(a < 0, np.float32(0), a)
        return floats.to_bfloat16(a, mode) if kind == "bf16" else floats.to_float16(a, mode).view(np.uint16)

    return function


def _between_integers(i: Instruction, to: str) -> Callable[[Array], Array]:
    dtype = DTYPES[to]
    if not i.has("sat"):
        return lambda a: a.astype(dtype)
    info = np.iinfo(dtype)

    def saturated(a: Array) -> Array:
        source = np.iinfo(a.dtype)
        return np.clip(a, max(info.min, source.min), min(info.max, source.max)).astype(dtype)

    return saturated


def _from_integer(i: Instruction, to: str) -> Callable[[Array], Array]:
    mode = rounding(i)

    def exact(a: Array) -> Array:
        """float64 rounded to odd: integers of 64 bits do not fit."""
        if a.dtype.itemsize < 8:
            return a.astype(np.float64)
        high = (a >> a.dtype.type(32)).astype(np.float64) * 4294967296.0
        return floats.to_odd(*floats.two_sum(high, (a & a.dtype.type(0xFFFFFFFF)).astype(np.float64)))

    def function(a: Array) -> Array:
        if to == "f64":
            if a.dtype.itemsize < 8:
                return a.astype(np.float64)
            high = (a >> a.dtype.type(32)).astype(np.float64) * 4294967296.0
            return floats.add(high, (a & a.dtype.type(0xFFFFFFFF)).astype(np.float64), mode)
        wide = exact(a)
        if to == "f32":
            return floats.narrow(wide, mode)
        return floats.to_float16(wide, mode) if to == "f16" else floats.to_bfloat16(floats.narrow_to_odd(wide), mode)

    return function


def _between_floats(i: Instruction, to: str, of: str, integral: str) -> Callable[[Array], Array]:
    mode = rounding(i)

    def function(a: Array) -> Array:
        a = _wide(a, of)
        if i.has("ftz"):
            a = floats.flush(a)
        if integral:
            a = floats.round_to_integral(a, integral)
        if i.has("relu"):
            a = np.where(a < 0, a.dtype.type(0), a)
        if i.has("sat"):
            a = np.where(np.isnan(a), a.dtype.type(0), np.clip(a, 0, 1))
        if to == "f64" or (to == "f32" and a.dtype.itemsize <= 4):
            return a.astype(DTYPES[to])
        if to == "f32":
            narrowed = floats.narrow(a, mode)
            return floats.flush(narrowed) if i.has("ftz") else narrowed
        if to == "f16":
            return floats.to_float16(a, mode)
        single = floats.narrow_to_odd(a) if a.dtype.itemsize == 8 else a.astype(np.float32)
        return floats.to_bfloat16(single, mode)

    return function
