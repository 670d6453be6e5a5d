"""Instructions that access memory: loads and stores of every width, atomics, asynchronous copies (9.7.9, 9.7.13).

An asynchronous copy (``cp.async``) is done when its thread waits for it: a kernel that forgets to wait finds poison.
For races it writes from the moment that it is issued. Reads of a wave's threads come before its writes within one
instruction, as on hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels.simt import floats
from tinydl.kernels.simt.alu import DTYPES, unknown
from tinydl.kernels.simt.errors import Misaligned, OutOfBounds
from tinydl.kernels.simt.memory import LOCAL, PARAM, SHARED, WINDOW
from tinydl.kernels.simt.program import is_strong
from tinydl.kernels.simt.ptx import WIDTHS, Address, Immediate, Instruction, Operand, Register, Symbol, Vector
from tinydl.kernels.simt.spaces import Space
from tinydl.kernels.simt.wave import Array, Lanes, Step, Wave

_SPACES = ("global", "shared", "local", "const", "param")
_SHIFT = WINDOW.bit_length() - 1


def space_of(i: Instruction) -> str:
    """The state space in an opcode; empty for a generic address."""
    for part in i.parts[1:]:
        if part.split("::")[0] in _SPACES:
            if part == "shared::cluster":
                raise unknown(i, "state space shared::cluster")
            return part.split("::")[0]
    return ""


def addresses(wave: Wave, operand: Operand) -> Callable[[Array], Array]:
    """A function from lanes (an array) to the 64-bit address of each."""
    if not isinstance(operand, Address):
        raise ValueError("no address")
    offset = np.uint64(operand.offset & ((1 << 64) - 1))
    base = operand.base
    if isinstance(base, Register):
        array = wave.register(base.name)
        if array.dtype.itemsize < 4:
            raise ValueError("an address in a register of 16 bits")
        if operand.offset == 0 and array.dtype == np.uint64:
            return lambda lanes: array[lanes]
        return lambda lanes: array[lanes].astype(np.uint64) + offset
    value = wave.launch.address_of(base) if isinstance(base, Symbol) else base.value
    constant = np.uint64((value + operand.offset) & ((1 << 64) - 1))
    return lambda lanes: np.full(len(lanes), constant)


def each_space(wave: Wave, named: str, address: Array) -> list[tuple[Space, Array, Any]]:
    """(space, addresses in it, which of the lanes): one entry, unless generic addresses differ in space."""
    if named:
        return [(wave.launch.space(wave, named), address, slice(None))]
    window = address >> np.uint64(_SHIFT)
    first = int(window[0])
    windows = [first] if (window == window[0]).all() else [int(w) for w in np.unique(window)]
    found = []
    for w in windows:
        chosen: Any = slice(None) if len(windows) == 1 else np.flatnonzero(window == np.uint64(w))
        base, name = {
            PARAM >> _SHIFT: (PARAM, "param"), LOCAL >> _SHIFT: (LOCAL, "local"), SHARED >> _SHIFT: (SHARED, "shared"),
        }.get(w, (0, "global"))  # fmt: skip
        found.append((wave.launch.space(wave, name), address[chosen] - np.uint64(base), chosen))
    return found


class Access:
    """One load, store or atomic: its type, its vector of ``lanes`` elements, its width in bytes."""

    def __init__(self, wave: Wave, i: Instruction, number: int) -> None:
        self.wave, self.i, self.number = wave, i, number
        self.kind = i.type
        if self.kind not in DTYPES or self.kind == "pred":
            raise unknown(i, "type")
        self.vector = next((int(part[1:]) for part in i.parts if part in ("v2", "v4", "v8")), 1)
        self.element = np.dtype(DTYPES[self.kind])
        self.bits = np.dtype(f"u{self.element.itemsize}")
        self.width = self.element.itemsize * self.vector
        self.strong, self.space = is_strong(i), space_of(i)

    def load(self, address: Array, lanes: Array) -> Array:
        """The bits that stand at the addresses: (threads,) or (threads, vector)."""
        parts = each_space(self.wave, self.space, address)
        if len(parts) == 1:
            space, local, _ = parts[0]
            return self._load(space, local, lanes)
        result = np.empty((len(lanes),) if self.vector == 1 else (len(lanes), self.vector), self.bits)
        for space, local, chosen in parts:
            result[chosen] = self._load(space, local, lanes[chosen])
        return result

    def _load(self, space: Space, address: Array, lanes: Array) -> Array:
        index = space.locate(address, self.width, lanes, self.i, False)
        values: Array = space.view(self.bits.type, self.vector)[index // self.width]
        if self.wave.launch.checks:
            space.note_read(index, self.width, lanes, self.i, self.number)
            space.count(address, self.width, lanes, self.i, self.number)
        between = self.wave.order.between
        if between is not None and self.strong:
            between.observe(space.window, index, lanes, self.i.has("acquire"))
        return values

    def store(self, address: Array, lanes: Array, values: Array) -> None:
        """Store bits."""
        for space, local, chosen in each_space(self.wave, self.space, address):
            self._store(space, local, lanes[chosen], values[chosen])

    def _store(self, space: Space, address: Array, lanes: Array, values: Array) -> None:
        wave = self.wave
        index = space.locate(address, self.width, lanes, self.i, True)
        view, at = space.view(self.bits.type, self.vector), index // self.width
        if wave.launch.checks:
            differs = view[at] != values
            changed = differs if self.vector == 1 else differs.any(axis=1)
            space.note_write(index, self.width, lanes, self.i, self.number, changed)
            view[at] = values
            same = view[at] == values
            survived = same if self.vector == 1 else same.all(axis=1)
            space.note_written(index, self.width, lanes, self.i, self.number, survived)
            space.count(address, self.width, lanes, self.i, self.number)
        else:
            view[at] = values
        if wave.launch.may_wait:
            wave.progress += 1
        between = wave.order.between
        if between is not None and self.strong:
            between.publish(space.window, index, lanes, self.i.has("release"), False)


# -- loads and stores --------------------------------------------------------------------------------------------------


def _lower_ld(wave: Wave, i: Instruction, number: int) -> Step:
    if _is_call_parameter(wave, i.operands[1]) or (space_of(i) == "param" and isinstance(_base(i.operands[1]), Symbol)):
        return _lower_ld_param(wave, i)
    access, where = Access(wave, i, number), addresses(wave, i.operands[1])
    writes = [wave.writer(part, i.type) for part in _parts(i.operands[0])]
    if len(writes) != access.vector:
        raise unknown(i, "vector")
    kind = access.element
    if access.vector == 1:
        (write,) = writes

        def load(lanes: Lanes) -> None:
            who = wave.numbers(lanes)
            write(lanes, access.load(where(who), who).view(kind))

        return load

    def load_vector(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        values = access.load(where(who), who).view(kind)
        for place, write in enumerate(writes):
            write(lanes, values[:, place])

    return load_vector


def _lower_st(wave: Wave, i: Instruction, number: int) -> Step:
    if _is_call_parameter(wave, i.operands[0]):
        return _lower_st_param(wave, i)
    access, where = Access(wave, i, number), addresses(wave, i.operands[0])
    reads = [wave.reader(part, i.type) for part in _parts(i.operands[1])]
    if len(reads) != access.vector:
        raise unknown(i, "vector")

    def store(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        if access.vector == 1:
            values = np.broadcast_to(reads[0](lanes), who.shape).astype(access.element).view(access.bits)
        else:
            values = np.empty((len(who), access.vector), access.element)
            for place, read in enumerate(reads):
                values[:, place] = read(lanes)
            values = values.view(access.bits)
        access.store(where(who), who, values)

    return store


def _parts(operand: Operand) -> tuple[Operand, ...]:
    return operand.parts if isinstance(operand, Vector) else (operand,)


def _base(operand: Operand) -> Any:
    return operand.base if isinstance(operand, Address) else None


# -- parameters --------------------------------------------------------------------------------------------------------


def _is_call_parameter(wave: Wave, operand: Operand) -> bool:
    base = _base(operand)
    if not isinstance(base, Symbol):
        return False
    variable = wave.program.variables.get(base.name)
    return variable is not None and variable.space == "param" and base.name not in wave.launch.parameter_offsets


def _call_parameter(wave: Wave, operand: Operand, kind: str) -> list[Array]:
    """The registers-like storage of a call's argument or result: one array per element."""
    assert isinstance(operand, Address) and isinstance(operand.base, Symbol)
    name, element = operand.base.name, np.dtype(DTYPES[kind])
    if name not in wave.params:
        size = (wave.program.variables[name].size + 15) // 16 * 16
        wave.params[name] = np.zeros((wave.count, size), np.uint8)
    table = wave.params[name].view(element)
    at = (operand.offset + operand.base.offset) // element.itemsize
    return [table[:, column] for column in range(at, table.shape[1])]


def _lower_st_param(wave: Wave, i: Instruction) -> Step:
    columns = _call_parameter(wave, i.operands[0], i.type)
    reads = [wave.reader(part, i.type) for part in _parts(i.operands[1])]

    def store(lanes: Lanes) -> None:
        for column, read in zip(columns, reads):
            column[slice(None) if lanes is None else lanes] = read(lanes)

    return store


def _lower_ld_param(wave: Wave, i: Instruction) -> Step:
    writes = [wave.writer(part, i.type) for part in _parts(i.operands[0])]
    operand = i.operands[1]
    if _is_call_parameter(wave, operand):
        columns = _call_parameter(wave, operand, i.type)

        def load(lanes: Lanes) -> None:
            for column, write in zip(columns, writes):
                write(lanes, column if lanes is None else column[lanes])

        return load
    assert isinstance(operand, Address) and isinstance(operand.base, Symbol)
    element = np.dtype(DTYPES[i.type])
    name, inside, size = operand.base.name, operand.offset + operand.base.offset, element.itemsize * len(writes)
    parameter = next((p for p in wave.launch.program.entry.parameters if p.name == name), None)
    known = f"kernel {wave.launch.program.name}: {i.text!r} (line {i.line} of the PTX)"
    if parameter is None or not 0 <= inside <= parameter.size - size:
        what = "does not exist" if parameter is None else f"has {parameter.size} bytes"
        raise OutOfBounds(f"{known} reads {size} bytes {inside} into the parameter {name}, which {what}")
    if inside % size:
        raise Misaligned(f"{known} reads {size} bytes {inside} into the parameter {name}: no multiple of {size}")
    at = wave.launch.parameter_offsets[name] + inside
    values = wave.launch.parameters[at : at + element.itemsize * len(writes)].view(element)

    def load_constant(lanes: Lanes) -> None:
        for value, write in zip(values, writes):
            write(lanes, value)

    return load_constant


# -- atomics -----------------------------------------------------------------------------------------------------------


def _operation(i: Instruction) -> str:
    names = ("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
    return next((part for part in i.parts[1:] if part in names), "")


def combine(operation: str, kind: str, old: Array, b: Array, c: Array) -> Array:
    """What an atomic leaves behind, of what stood there and its operands."""
    if kind in ("f16x2", "bf16x2", "f16", "bf16"):
        return _combine_halves(operation, kind, old, b)
    simple: dict[str, Callable[[Array, Array], Array]] = {
        "add": np.add, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
        "min": np.fmin if kind[0] == "f" else np.minimum, "max": np.fmax if kind[0] == "f" else np.maximum,
    }  # fmt: skip
    if operation in simple:
        return simple[operation](old, b)
    if operation == "exch":
        return np.broadcast_to(b, old.shape)
    if operation == "cas":
        return np.where(old == b, c, old)
    if operation == "inc":
        counted: Array = np.where(old >= b, old.dtype.type(0), old + old.dtype.type(1))
        return counted
    return np.where((old == 0) | (old > b), b, old - old.dtype.type(1))  # dec


def _combine_halves(operation: str, kind: str, old: Array, b: Array) -> Array:
    if operation != "add":
        raise ValueError(f"atomic {operation} of {kind}")

    def add(x: Array, y: Array) -> Array:
        if kind.startswith("bf"):
            return floats.to_bfloat16(floats.from_bfloat16(x) + floats.from_bfloat16(y))
        wide = x.view(np.float16).astype(np.float32) + y.view(np.float16).astype(np.float32)
        return floats.to_float16(wide).view(np.uint16)

    x = np.ascontiguousarray(old).view(np.uint16).reshape(len(old), -1)
    y = np.ascontiguousarray(np.broadcast_to(b, old.shape)).view(np.uint16).reshape(len(old), -1)
    return np.ascontiguousarray(add(x.ravel(), y.ravel()).reshape(x.shape)).view(old.dtype).reshape(old.shape)


def _lower_atom(wave: Wave, i: Instruction, number: int) -> Step:
    """``atom`` gives what stood there before, ``red`` nothing. Threads that meet at one place go in ascending order."""
    operation = _operation(i)
    returns = i.name == "atom"
    operands = list(i.operands[1:] if returns else i.operands)
    if not operation or isinstance(operands[1], Vector):
        raise unknown(i, "operation")
    access, where = Access(wave, i, number), addresses(wave, operands[0])
    b = wave.reader(operands[1], i.type)
    has_third = operation == "cas" and len(operands) > 2
    c = wave.reader(operands[2], i.type) if has_third else b
    write = wave.writer(i.operands[0], i.type) if returns else (lambda lanes, value: None)

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        address = where(who)
        first = np.broadcast_to(b(lanes), who.shape).astype(access.element)
        second = np.broadcast_to(c(lanes), who.shape).astype(access.element)
        old = np.empty(len(who), access.element)
        for space, local, chosen in each_space(wave, access.space, address):
            old[chosen] = _apply(wave, access, space, local, who[chosen], operation, first[chosen], second[chosen])
        write(lanes, old)

    return step


def _apply(
    wave: Wave, access: Access, space: Space, address: Array, lanes: Array, operation: str, b: Array, c: Array
) -> Array:
    """Do the atomics of one space; what stood there before each."""
    i, number, width = access.i, access.number, access.width
    index = space.locate(address, width, lanes, i, True)
    if wave.launch.checks:
        space.note_read(index, width, lanes, i, number)
        space.note_write(index, width, lanes, i, number, np.ones(len(lanes), bool))
        space.count(address, width, lanes, i, number)
    between = wave.order.between
    if between is not None:
        for at_place, lane in zip(index[:, None], lanes[:, None]):  # one after the other, as they are done
            between.observe(space.window, at_place, lane, i.has("acquire") or i.has("acq_rel"))
            between.publish(space.window, at_place, lane, i.has("release") or i.has("acq_rel"), True)
    view, at = space.view(access.element.type), index // width
    old = np.empty(len(lanes), access.element)
    rank = _rank(at)
    before = view[at].copy()
    for turn in range(int(rank.max()) + 1):
        chosen = np.flatnonzero(rank == turn) if turn or rank.any() else slice(None)
        place = at[chosen]
        old[chosen] = view[place]
        view[place] = combine(operation, access.kind, view[place], b[chosen], c[chosen])
    if wave.launch.may_wait and (view[at].view(access.bits) != before.view(access.bits)).any():
        wave.progress += 1
    return old


def _rank(at: Array) -> Array:
    """For each entry, how many equal ones stand before it."""
    order = np.argsort(at, kind="stable")
    ordered = at[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    rank = np.empty(len(at), np.int64)
    rank[order] = np.arange(len(at)) - np.repeat(starts, np.diff(np.append(starts, len(at))))
    return rank


# -- fences ------------------------------------------------------------------------------------------------------------


def _lower_fence(wave: Wave, i: Instruction, number: int) -> Step:
    """``membar``, ``fence``: what stands before it is seen before what stands behind it."""

    def step(lanes: Lanes) -> None:
        if wave.order.between is not None:
            wave.order.between.fence(wave.numbers(lanes))

    return step


# -- asynchronous copies -----------------------------------------------------------------------------------------------


class Copies:
    """The asynchronous copies that a wave's threads have not waited for."""

    def __init__(self, wave: Wave) -> None:
        self.wave = wave
        self.groups = np.zeros(wave.count, np.int64)  # commits of each thread
        self.pending: list[tuple[Instruction, int, Array, Array, Array, Array]] = []

    def wait(self, lanes: Array, allowed: int | None) -> None:
        """Finish the copies of all but the latest ``allowed`` groups (None: those not committed, too)."""
        waiting = np.zeros(self.wave.count, bool)
        waiting[lanes] = True
        left = []
        for i, number, who, group, target, data in self.pending:
            done = waiting[who] & ((group < self.groups[who] - (allowed or 0)) if allowed is not None else True)
            if done.any():
                self._finish(i, number, who[done], target[done], data[done])
            if not done.all():
                left.append((i, number, who[~done], group[~done], target[~done], data[~done]))
        self.pending = left

    def _finish(self, i: Instruction, number: int, lanes: Array, target: Array, data: Array) -> None:
        wave, width = self.wave, data.shape[1]
        space = wave.launch.space(wave, "shared")
        index = space.locate(target, width, lanes, i, True)
        view = space.view(np.uint8, width)
        if wave.launch.checks:
            changed = (view[index // width] != data).any(axis=1)
            space.note_write(index, width, lanes, i, number, changed)
            space.count(target, width, lanes, i, number)
        view[index // width] = data


def _lower_cp(wave: Wave, i: Instruction, number: int) -> Step:
    """``cp.async`` from global to shared memory, its groups and its waits."""
    if i.parts[1] != "async" or i.has("bulk") or i.has("mbarrier"):
        raise unknown(i)
    copies = wave.launch.copies(wave)
    if i.has("commit_group"):

        def commit(lanes: Lanes) -> None:
            copies.groups[slice(None) if lanes is None else lanes] += 1

        return commit
    if i.has("wait_group") or i.has("wait_all"):
        allowed = None
        if i.has("wait_group"):
            count = i.operands[0]
            assert isinstance(count, Immediate)
            allowed = count.value
        return lambda lanes: copies.wait(wave.numbers(lanes), allowed)
    return _lower_copy(wave, i, number, copies)


def _lower_copy(wave: Wave, i: Instruction, number: int, copies: Copies) -> Step:
    target, source = addresses(wave, i.operands[0]), addresses(wave, i.operands[1])
    size = i.operands[2]
    if not isinstance(size, Immediate) or size.value not in (4, 8, 16):
        raise unknown(i, "size")
    width = size.value
    limit = wave.reader(i.operands[3], "u32") if len(i.operands) > 3 and not i.has("L2::cache_hint") else None

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        data = np.zeros((len(who), width), np.uint8)
        bytes_ = np.broadcast_to(width if limit is None else limit(lanes), who.shape).astype(np.int64)
        memory = wave.launch.space(wave, "global")
        here = source(who)
        # fewer bytes may be read than are written: the rest is zero (a guard at an edge)
        for length in np.unique(bytes_):
            chosen = np.flatnonzero(bytes_ == length)
            if length > 0:
                span = min(int(length), width)
                memory.aligned(here[chosen], width, who[chosen], i)
                for start in range(0, span, 4):
                    part = min(4, span - start)
                    address = here[chosen] + np.uint64(start)
                    index = memory.locate(address, part, who[chosen], i, False)
                    if wave.launch.checks:
                        memory.note_read(index, part, who[chosen], i, number)
                    data[chosen, start : start + part] = memory.view(np.uint8)[index[:, None] + np.arange(part)]
        there = target(who)
        reading = bytes_ > 0
        if wave.launch.checks and reading.any():  # beside the count of what it writes
            memory.count(here[reading], width, who[reading], i, ~number)
        if wave.launch.checks:  # from now on it may be written
            space = wave.launch.space(wave, "shared")
            place = space.locate(there, width, who, i, True)
            space.note_write(place, width, who, i, number, np.ones(len(who), bool), done=False)
        copies.pending.append((i, number, who.copy(), copies.groups[who].copy(), there, data))

    return step


TABLE: dict[str, Callable[[Wave, Instruction, int], Step]] = {
    "ld": _lower_ld, "ldu": _lower_ld, "st": _lower_st, "atom": _lower_atom, "red": _lower_atom,
    "membar": _lower_fence, "fence": _lower_fence, "cp": _lower_cp,
}  # fmt: skip


def element_width(i: Instruction) -> int:
    """Bytes of one element that a memory instruction moves; 0 for other instructions."""
    if i.name in ("ld", "ldu", "st", "atom", "red"):
        return WIDTHS.get(i.type, 0)
    if i.name == "cp" and not i.has("commit_group") and not i.has("wait_group") and not i.has("wait_all"):
        return 4
    return 2 if i.name in ("ldmatrix", "stmatrix") else 0
