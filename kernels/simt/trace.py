"""A recording of a launch: every instruction of some warps of its first block, as a teacher steps through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt import counters
from tinydl.kernels.simt.access import addresses, space_of
from tinydl.kernels.simt.errors import LaunchProblem
from tinydl.kernels.simt.program import Program
from tinydl.kernels.simt.ptx import WIDTHS, Address, Instruction, Operand, Pair, Register, Vector
from tinydl.kernels.simt.wave import Wave

Array = NDArray[Any]

#: A page of more would be slow to open and tedious to read.
MOST = 20_000


@dataclass
class Event:
    """One instruction of one warp.

    number: of the instruction in the program; warp; came: bits of the lanes that are at it; active: of those whose
    guard is true; name: of the register that it writes, or stores; values: of that register, per active lane, as text;
    places: the addresses, per active lane, of a memory instruction; cost: in words.
    """

    number: int
    warp: int
    came: int
    active: int
    name: str = ""
    values: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    cost: str = ""


class Recorder:
    """A :class:`~tinydl.kernels.simt.scheduler.Watcher` that keeps the events of the first warps of block 0."""

    def __init__(self, wave: Wave, warps: int, events: list[Event]) -> None:
        self.wave, self.program, self.events = wave, wave.program, events
        self.threads = min(wave.threads, 32 * warps) if wave.first == 0 else 0
        self._where = {}
        for number, i in enumerate(self.program.instructions):
            operand = _address(i)
            if operand is not None and not isinstance(operand.base, str) and self._in_memory(operand):
                self._where[number] = addresses(wave, operand)
        self._waiting: list[tuple[Event, Array]] = []

    def _in_memory(self, operand: Address) -> bool:
        """A parameter of a call or of the kernel is none."""
        name = getattr(operand.base, "name", "")
        variable = self.program.variables.get(name)
        return variable is None or variable.space != "param"

    def before(self, number: int, lanes: Array) -> None:
        """The lanes, and the addresses, which the instruction may overwrite."""
        here = lanes[lanes < self.threads]
        self._waiting = []
        if not len(here):
            return
        i = self.program.instructions[number]
        active = here
        if i.guard is not None:
            active = here[self.wave.view(i.guard.name, "pred")[here] ^ i.negated]
        for warp in np.unique(here // 32).tolist():
            mine = active[active // 32 == warp]
            event = Event(number, warp, _bits(here[here // 32 == warp]), _bits(mine))
            if number in self._where and len(mine):
                self._note_places(event, i, mine)
            if i.name in ("st", "red") and len(mine):
                self._note_values(event, i, i.operands[1], mine)
            self._waiting.append((event, mine))

    def after(self, number: int, lanes: Array) -> None:
        """The values that it left."""
        i = self.program.instructions[number]
        for event, mine in self._waiting:
            if len(mine) and i.operands and not event.name and _writes(i):
                self._note_values(event, i, i.operands[0], mine)
            self.events.append(event)
        if len(self.events) > MOST:
            raise LaunchProblem(
                f"kernel {self.program.name}: more than {MOST} steps to show; trace fewer warps, or smaller arrays"
            )

    def _note_places(self, event: Event, i: Instruction, lanes: Array) -> None:
        place = self._where[event.number](lanes)
        event.places = [int(p) for p in place]
        vector = next((int(part[1:]) for part in i.parts if part in ("v2", "v4")), 1)
        width, space = WIDTHS.get(i.type, 4) * vector, space_of(i)
        if space == "global" and not any(p % width for p in event.places):
            _, taken, best = counters.sectors(self.wave.warp[lanes], place, width)
            event.cost = f"{taken} sector{'s' * (taken != 1)} of 32 bytes, {best} at best"
        elif space == "shared":
            _, taken, best = counters.turns(self.wave.warp[lanes], self.wave.lane[lanes], place.astype(np.int64), width)
            event.cost = f"{taken} turn{'s' * (taken != 1)} of shared memory, {best} at best"

    def _note_values(self, event: Event, i: Instruction, operand: Operand, lanes: Array) -> None:
        operand = operand.first if isinstance(operand, Pair) else operand
        parts = operand.parts if isinstance(operand, Vector) else (operand,)
        names = [p.name for p in parts if isinstance(p, Register) and p.name in self.program.types]
        if names:
            event.name = ", ".join(names)
            columns = [[_text(v) for v in self._seen(i, name)[lanes]] for name in names]
            event.values = [" ".join(row) for row in zip(*columns)]

    def _seen(self, i: Instruction, name: str) -> Array:
        """A register as the type that the instruction gives it."""
        declared = self.program.types[name]
        array = self.wave.register(name)
        if declared == "pred":
            return array
        kind = i.parts[-2] if i.name in ("cvt", "set") and len(i.parts) > 2 else i.type
        letter = "f" if kind in ("f32", "f64", "f16") or declared in ("f32", "f64") else "i" if kind[0] == "s" else "u"
        return array.view(f"{letter}{array.itemsize}")


def _address(i: Instruction) -> Address | None:
    return next((operand for operand in i.operands if isinstance(operand, Address)), None)


def _writes(i: Instruction) -> bool:
    """Whether the first operand is a result."""
    return i.name not in ("st", "red", "bra", "brx", "bar", "barrier", "ret", "exit", "membar", "fence", "cp")


def _bits(lanes: Array) -> int:
    return int(sum(1 << int(lane) % 32 for lane in lanes))


def _text(value: Any) -> str:
    """A number, short."""
    if isinstance(value, np.bool_):
        return "true" if value else "false"
    return f"{float(value):.4g}" if isinstance(value, np.floating) else str(int(value))


@dataclass(frozen=True)
class Trace:
    """A recorded launch: its program, the events in the order of their execution, and what the whole launch counted."""

    program: Program
    events: list[Event]
    counted: counters.Counters
