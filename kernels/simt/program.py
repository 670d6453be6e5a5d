"""A kernel made ready to run: calls are put in line, labels become places, the body is cut into segments.

A *segment* is a run of instructions without a branch into or out of it. Instructions that a whole warp executes
together begin a segment, so that threads can wait in front of it for the others; barriers end one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tinydl.kernels.simt import flow
from tinydl.kernels.simt.errors import LaunchProblem, UnknownInstruction
from tinydl.kernels.simt.ptx import (
    Address,
    Function,
    Group,
    Instruction,
    Label,
    Module,
    Negated,
    Operand,
    Pair,
    Register,
    Symbol,
    Variable,
    Vector,
)

#: Instructions that the threads of a mask execute together (``.sync``), whose place all of them must reach.
TOGETHER = ("shfl", "vote", "match", "redux", "mma", "wmma", "ldmatrix", "stmatrix", "movmatrix", "elect", "activemask")

_ENDS = ("bra", "brx", "ret", "exit", "trap")


@dataclass
class Segment:
    """Instructions ``start`` to ``stop`` - 1; ``together``: the first waits for its warp; ``polls``: it closes a loop
    that reads what other threads write."""

    start: int
    stop: int
    together: bool = False
    successors: list[int] = field(default_factory=list)
    place: int = 0
    loops_to: set[int] = field(default_factory=set)
    polls: bool = False


@dataclass
class Program:
    """A kernel, flat.

    instructions: all of them; a branch's operand is a :class:`Symbol` whose name ``targets`` knows; types: of each
    register; variables: by the names that the instructions use; segments, and ``segment_at`` the segment that begins at
    an instruction; known: each of its instructions is one that is modelled, as a launch has found.
    """

    name: str
    module: Module
    entry: Function
    instructions: list[Instruction] = field(default_factory=list)
    targets: dict[str, int] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    segment_at: dict[int, int] = field(default_factory=dict)
    known: bool = False

    def uses(self, *names: str) -> bool:
        """Whether an instruction of one of these names occurs."""
        return any(instruction.name in names for instruction in self.instructions)


def is_barrier(i: Instruction) -> bool:
    """Whether threads of a block wait here for each other (``bar.warp.sync`` is of a warp)."""
    return i.name in ("bar", "barrier") and not i.has("warp") and not i.has("cluster")


def is_warp_barrier(i: Instruction) -> bool:
    """``bar.warp.sync``."""
    return i.name in ("bar", "barrier") and i.has("warp")


def is_strong(i: Instruction) -> bool:
    """Whether other threads may access the same place at the same time by right: atomics, volatile and relaxed ones."""
    words = ("volatile", "relaxed", "acquire", "release", "mmio")
    return i.name in ("atom", "red") or any(i.has(word) for word in words)


def link(module: Module, name: str) -> Program:
    """The program of a kernel; LaunchProblem when the module has none of that name."""
    return _link(_Identity(module), name)


class _Identity:
    """A module as a key: by what it is, not by what it holds."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def __hash__(self) -> int:
        return id(self.module)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.module is self.module


@functools.lru_cache(maxsize=16)
def _link(key: _Identity, name: str) -> Program:
    module = key.module
    entry = module.functions.get(name)
    if entry is None or not entry.entry or not entry.defined:
        known = ", ".join(module.entries) or "none"
        raise LaunchProblem(f"the PTX has no kernel {name!r}; it has {known}", kernel=name)
    program = Program(name, module, entry)
    for variable in entry.parameters:
        program.variables[variable.name] = variable
    _Inliner(program).put(entry, "", {}, ())
    _cut(program)
    return program


# -- calls -------------------------------------------------------------------------------------------------------------


class _Inliner:
    """Copies bodies into the program; names of a copy get a prefix of their own."""

    def __init__(self, program: Program) -> None:
        self.program, self.copies = program, 0

    def put(self, function: Function, prefix: str, bound: dict[str, str], callers: tuple[str, ...]) -> None:
        """``bound``: the function's parameters and results -> the caller's variables."""
        program = self.program
        local = {v.name: f"{prefix}{v.name}" for v in function.variables if v.space != "shared"}
        labels = {item.name for item in function.body if isinstance(item, Label)}
        end = f"{prefix}<end>"

        def name(old: str) -> str:
            if old in bound:
                return bound[old]
            if old in local:
                return local[old]
            return f"{prefix}{old}" if old in labels or old in function.tables else old

        def register(old: str) -> str:
            kind = function.type_of(old)
            if kind is None:
                return old  # a special register
            program.types[f"{prefix}{old}"] = kind
            return f"{prefix}{old}"

        for variable in function.variables:
            program.variables[name(variable.name)] = variable
        for table, entries in function.tables.items():
            program.tables[f"{prefix}{table}"] = tuple(name(entry) for entry in entries)
        for item in function.body:
            if isinstance(item, Label):
                program.targets[name(item.name)] = len(program.instructions)
            elif item.name == "call":
                self.call(item, function, name, callers)
            else:
                guard = Register(register(item.guard.name)) if item.guard else None
                operands = tuple(_renamed(operand, register, name) for operand in item.operands)
                if item.name == "ret" and prefix:
                    program.instructions.append(
                        replace(item, parts=("bra",), operands=(Symbol(end),), guard=guard)
                    )
                else:
                    program.instructions.append(replace(item, operands=operands, guard=guard))
        program.targets[end] = len(program.instructions)

    def call(self, i: Instruction, caller: Function, name: Callable[[str], str], callers: tuple[str, ...]) -> None:
        names = [o.name for o in i.operands if isinstance(o, Symbol)]
        groups = [o for o in i.operands if isinstance(o, Group)]
        if not names:
            where = f"line {i.line} of the PTX"
            raise UnknownInstruction(f"{where}: the indirect call {i.text!r} is not modelled", line=i.line)
        function = caller_module_function(self.program.module, names[0])
        if function is None:
            raise UnknownInstruction(
                f"line {i.line} of the PTX: {i.text!r} calls {names[0]!r}, which the PTX does not define", line=i.line
            )
        if function.name in callers or i.guard is not None:
            what = "recursive" if i.guard is None else "predicated"
            where = f"line {i.line} of the PTX"
            raise UnknownInstruction(f"{where}: the {what} call {i.text!r} is not modelled", line=i.line)
        results = groups.pop(0) if function.results else Group(())
        arguments = groups.pop(0) if groups else Group(())
        bound = {}
        for variable, operand in zip([*function.results, *function.parameters], [*results.parts, *arguments.parts]):
            if not isinstance(operand, Symbol):
                raise UnknownInstruction(
                    f"line {i.line} of the PTX: arguments of {i.text!r} must be .param variables", line=i.line
                )
            bound[variable.name] = name(operand.name)
        self.copies += 1
        self.put(function, f"{function.name}@{self.copies}:", bound, (*callers, caller.name, function.name))


def caller_module_function(module: Module, name: str) -> Function | None:
    """A function that is defined in a module."""
    function = module.functions.get(name)
    return function if function is not None and function.defined else None


def _renamed(operand: Operand, register: Callable[[str], str], name: Callable[[str], str]) -> Operand:
    """An operand under the names of a copy."""
    if isinstance(operand, Register):
        return Register(register(operand.name))
    if isinstance(operand, Symbol):
        return Symbol(name(operand.name), operand.offset)
    if isinstance(operand, Negated):
        return Negated(Register(register(operand.register.name)))
    if isinstance(operand, Address):
        base = _renamed(operand.base, register, name)
        assert isinstance(base, (Register, Symbol)) or base is operand.base
        return Address(base, operand.offset)
    if isinstance(operand, Vector):
        return Vector(tuple(_renamed(part, register, name) for part in operand.parts))
    if isinstance(operand, Pair):
        return Pair(_renamed(operand.first, register, name), _renamed(operand.second, register, name))
    return operand


# -- segments ----------------------------------------------------------------------------------------------------------


def _waits_together(i: Instruction) -> bool:
    return (i.name in TOGETHER and i.has("sync")) or is_warp_barrier(i)


def branch_targets(program: Program, i: Instruction) -> list[int]:
    """Where a branch can go, as places of instructions."""
    names: tuple[str, ...] = ()
    if i.name == "bra":
        names = tuple(o.name for o in i.operands if isinstance(o, Symbol))
    elif i.name == "brx":
        table = next(o.name for o in i.operands if isinstance(o, Symbol))
        names = program.tables.get(table, ())
    for name in names:
        if name not in program.targets:
            raise UnknownInstruction(f"line {i.line} of the PTX: {i.text!r} goes to an unknown label", line=i.line)
    return [program.targets[name] for name in names]


def _cut(program: Program) -> None:
    instructions = program.instructions
    end = len(instructions)
    leaders = {0, end}
    for at, i in enumerate(instructions):
        leaders.update(branch_targets(program, i))
        if i.name in _ENDS or is_barrier(i):
            leaders.add(at + 1)
        if _waits_together(i):
            leaders.add(at)
    places = sorted(leaders)
    program.segment_at = {place: number for number, place in enumerate(places)}
    for start, stop in zip(places, [*places[1:], end]):
        segment = Segment(start, stop)
        if start < end:
            segment.together = _waits_together(instructions[start])
            last = instructions[stop - 1]
            segment.successors = [program.segment_at[target] for target in branch_targets(program, last)]
            ends = last.name in ("ret", "exit", "trap") or last.name in ("bra", "brx")
            if not ends or last.guard is not None:
                segment.successors.append(program.segment_at[stop])
        program.segments.append(segment)
    _order(program)


def _order(program: Program) -> None:
    successors = [segment.successors for segment in program.segments]
    for segment, place in zip(program.segments, flow.schedule(successors)):
        segment.place = place
    for head, members in flow.loops(successors).items():
        polls = _polls(
            [
                i
                for member in sorted(members)
                for i in program.instructions[program.segments[member].start : program.segments[member].stop]
            ]
        )
        for member in members:
            if head in program.segments[member].successors:
                program.segments[member].loops_to.add(head)
                program.segments[member].polls |= polls


def _polls(loop: list[Instruction]) -> bool:
    """Whether a branch of a loop depends on what a strong access of the loop has read, as in waiting for a flag.

    A loop that counts with atomics does not: only those may have to wait for other threads.
    """
    tainted: set[str] = set()
    grows = True
    while grows:
        grows = False
        for i in loop:
            written, read = _registers(i)
            source = is_strong(i) and i.name in ("ld", "atom")
            if (source or read & tainted) and not written <= tainted:
                tainted |= written
                grows = True
    return any(i.name in ("bra", "brx", "exit", "ret") and _registers(i)[1] & tainted for i in loop)


def _registers(i: Instruction) -> tuple[set[str], set[str]]:
    """The registers that an instruction writes (its first operand), and those that it reads."""

    def named(operand: Operand) -> set[str]:
        if isinstance(operand, Register):
            return {operand.name}
        if isinstance(operand, Negated):
            return {operand.register.name}
        if isinstance(operand, Address):
            return named(operand.base)
        if isinstance(operand, (Vector, Group)):
            return set().union(*(named(part) for part in operand.parts))
        return named(operand.first) | named(operand.second) if isinstance(operand, Pair) else set()

    writes = i.name not in ("st", "red", "bra", "brx", "bar", "barrier", "exit", "ret", "membar", "fence", "cp")
    first = named(i.operands[0]) if i.operands and writes else set()
    rest = set().union(*(named(operand) for operand in (i.operands[1:] if writes else i.operands)))
    return first, rest | ({i.guard.name} if i.guard else set())
