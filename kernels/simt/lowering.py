"""From instructions to steps: functions that execute one instruction for some threads of a wave.

Here are those that work on registers alone; :mod:`~tinydl.kernels.simt.access` has memory,
:mod:`~tinydl.kernels.simt.warp` what a warp does together. Branches and barriers are the scheduler's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels.simt import access, alu, warp
from tinydl.kernels.simt.alu import DTYPES, unknown
from tinydl.kernels.simt.errors import SimtError, UnknownInstruction
from tinydl.kernels.simt.memory import GLOBAL, LOCAL, PARAM, SHARED, WINDOW
from tinydl.kernels.simt.ptx import WIDTHS, Instruction, Pair, Symbol, Vector
from tinydl.kernels.simt.wave import Array, Lanes, Step, Wave, guarded

Lower = Callable[[Wave, Instruction, int], Step]


def lower(wave: Wave, i: Instruction, number: int) -> Step:
    """The step of an instruction, which is the ``number``-th of its program; UnknownInstruction names it otherwise."""
    try:
        if _carries(i):
            return guarded(wave, i, _lower_carry(wave, i))
        special = TABLE.get(i.name)
        step = special(wave, i, number) if special else _lower_plan(wave, i)
    except UnknownInstruction as error:
        if "line" in error.facts:
            raise
        where = f"line {i.line} of the PTX, {i.text!r}"
        raise UnknownInstruction(f"{where}: {error}", line=i.line, instruction=i.text) from None
    except (KeyError, ValueError, IndexError, StopIteration) as error:
        raise unknown(i, "form") from error
    return guarded(wave, i, step)


# -- registers ---------------------------------------------------------------------------------------------------------


def _lower_plan(wave: Wave, i: Instruction) -> Step:
    plan = alu.plan(i)
    operands = i.operands[1:]
    if len(operands) != len(plan.operands):
        raise unknown(i, "number of operands")
    reads = [wave.reader(operand, kind) for operand, kind in zip(operands, plan.operands)]
    target = i.operands[0]
    if isinstance(target, Pair):
        return _lower_two_predicates(wave, i, target, reads)
    write, function = wave.writer(target, plan.result), plan.function
    if len(reads) == 1:
        (first,) = reads
        return lambda lanes: write(lanes, function(first(lanes)))
    if len(reads) == 2:
        first, second = reads
        return lambda lanes: write(lanes, function(first(lanes), second(lanes)))
    if len(reads) == 3:
        first, second, third = reads
        return lambda lanes: write(lanes, function(first(lanes), second(lanes), third(lanes)))
    return lambda lanes: write(lanes, function(*(read(lanes) for read in reads)))


def _lower_two_predicates(wave: Wave, i: Instruction, target: Pair, reads: list[Any]) -> Step:
    """``setp p|q``: q has the comparison's opposite."""
    if i.name != "setp":
        raise unknown(i, "second result")
    compare = alu.comparison(i, i.type)
    combine: Callable[..., Array] = {
        "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor,
    }.get(i.parts[2], lambda t: t)  # fmt: skip
    first, second = wave.writer(target.first, "pred"), wave.writer(target.second, "pred")

    def step(lanes: Lanes) -> None:
        a, b, *c = [read(lanes) for read in reads]
        answer = compare(a, b)
        first(lanes, combine(answer, *c))
        second(lanes, combine(~answer, *c))

    return step


def _carries(i: Instruction) -> bool:
    return i.name in ("addc", "subc", "madc") or (i.name in ("add", "sub", "mad") and i.has("cc"))


def _lower_carry(wave: Wave, i: Instruction) -> Step:
    """Extended precision (9.7.2): the carry flag goes in (``addc``) and out (``.cc``)."""
    kind = f"u{8 * WIDTHS[i.type]}"
    reads = [wave.reader(operand, i.type if i.name.startswith("mad") else kind) for operand in i.operands[1:]]
    write, carry = wave.writer(i.operands[0], kind), wave.carry
    takes, gives = i.name.endswith("c"), i.has("cc")
    dtype = DTYPES[kind]

    def step(lanes: Lanes) -> None:
        where = slice(None) if lanes is None else lanes
        values = [np.asarray(read(lanes)) for read in reads]
        into = carry[where] if takes else np.False_
        if i.name.startswith("mad"):
            product = alu.product_high(values[0], values[1]) if i.has("hi") else values[0] * values[1]
            a, b = np.asarray(product).view(dtype), values[2].view(dtype)
        else:
            a, b = values
        if i.name.startswith("sub"):
            result = a - b - into.astype(dtype)
            out = (a < b) | (into & (a == b))
        else:
            result = a + b + into.astype(dtype)
            out = (result < a) | (into & (result == a))
        write(lanes, result)
        if gives:
            carry[where] = out

    return step


def _lower_mov(wave: Wave, i: Instruction, number: int) -> Step:
    target, source = i.operands
    kind = i.type
    if isinstance(source, Vector):
        return _lower_pack(wave, i, target, source)
    if isinstance(target, Vector):
        return _lower_unpack(wave, i, target, source)
    if isinstance(source, Symbol) and source.name in wave.params:
        raise unknown(i, "address of a call's parameter")
    read, write = wave.reader(source, kind), wave.writer(target, kind)
    return lambda lanes: write(lanes, read(lanes))


def _lower_pack(wave: Wave, i: Instruction, target: Any, source: Vector) -> Step:
    """``mov.b64 d, {a, b}``: the first is the lowest."""
    whole, bits = DTYPES[i.type], 8 * WIDTHS[i.type] // len(source.parts)
    reads, write = [wave.reader(part, f"b{bits}") for part in source.parts], wave.writer(target, i.type)
    unsigned = np.dtype(f"u{np.dtype(whole).itemsize}").type

    def step(lanes: Lanes) -> None:
        value = unsigned(0)
        for place, read in enumerate(reads):
            value = value | (read(lanes).astype(unsigned) << unsigned(bits * place))
        write(lanes, np.asarray(value).view(whole))

    return step


def _lower_unpack(wave: Wave, i: Instruction, target: Vector, source: Any) -> Step:
    bits = 8 * WIDTHS[i.type] // len(target.parts)
    read = wave.reader(source, f"b{8 * WIDTHS[i.type]}")
    writes, part = [wave.writer(p, f"b{bits}") for p in target.parts], DTYPES[f"b{bits}"]

    def step(lanes: Lanes) -> None:
        value = np.array(read(lanes))  # a copy: the parts may be written over it
        for place, write in enumerate(writes):
            write(lanes, (value >> value.dtype.type(bits * place)).astype(part))

    return step


# -- addresses (9.7.9) -------------------------------------------------------------------------------------------------

_WINDOWS = {"shared": SHARED, "local": LOCAL, "param": PARAM}


def _lower_cvta(wave: Wave, i: Instruction, number: int) -> Step:
    """Between an address of a space and the generic one."""
    space = next(part for part in i.parts[1:] if part.split("::")[0] in ("global", "const", "shared", "local", "param"))
    window = np.uint64(_WINDOWS.get(space.split("::")[0], 0))
    if i.type != "u64":
        raise unknown(i, "width of addresses")
    read, write, to = wave.reader(i.operands[1], "u64"), wave.writer(i.operands[0], "u64"), i.has("to")
    return lambda lanes: write(lanes, read(lanes) - window if to else read(lanes) + window)


def _lower_isspacep(wave: Wave, i: Instruction, number: int) -> Step:
    space = i.parts[1].split("::")[0]
    low = np.uint64(_WINDOWS.get(space, GLOBAL))
    read, write = wave.reader(i.operands[1], "u64"), wave.writer(i.operands[0], "pred")
    return lambda lanes: write(lanes, (read(lanes) >= low) & (read(lanes) < low + np.uint64(WINDOW)))


def _lower_nothing(wave: Wave, i: Instruction, number: int) -> Step:
    """Hints: prefetches, sleep, profiler events."""
    return lambda lanes: None


def _lower_trap(wave: Wave, i: Instruction, number: int) -> Step:
    def step(lanes: Lanes) -> None:
        lane = int(wave.numbers(lanes)[0])
        name = wave.program.name
        raise SimtError(f"kernel {name}: {i.place} was reached by {wave.who(lane)}", kernel=name)

    return step


TABLE: dict[str, Lower] = {
    "mov": _lower_mov, "cvta": _lower_cvta, "isspacep": _lower_isspacep, "trap": _lower_trap, "brkpt": _lower_trap,
    **dict.fromkeys(("nanosleep", "prefetch", "prefetchu", "pmevent", "discard", "applypriority", "setmaxnreg"),
                    _lower_nothing),
    **access.TABLE, **warp.TABLE,
}  # fmt: skip
