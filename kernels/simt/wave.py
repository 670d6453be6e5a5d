"""The state of blocks that run together: registers of all their threads, and access to them.

A *wave* is some blocks of the grid. Each register is one array with an entry per thread of the wave; threads are
numbered block by block. Instructions are executed for a set of threads, *lanes*: an ascending array of their numbers,
or None for all of them, which needs no indexing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt.alu import DTYPES
from tinydl.kernels.simt.errors import UnknownInstruction
from tinydl.kernels.simt.memory import POISON
from tinydl.kernels.simt.ptx import WIDTHS, Immediate, Instruction, Negated, Operand, Register, Symbol
from tinydl.kernels.simt.races import Order

if TYPE_CHECKING:
    from tinydl.kernels.simt.launching import Launch

Array = NDArray[Any]
Lanes = Array | None
Reader = Callable[[Lanes], Any]
Writer = Callable[[Lanes, Any], None]
Step = Callable[[Lanes], None]


class Wave:
    """Blocks ``first`` to ``first + blocks`` - 1 of a launch."""

    def __init__(self, launch: Launch, first: int, blocks: int) -> None:
        self.launch, self.program, self.first, self.blocks = launch, launch.program, first, blocks
        self.threads = launch.threads
        self.count = blocks * self.threads
        self.warps_per_block = (self.threads + 31) // 32
        everyone = np.arange(self.count)
        self.everyone = everyone
        self.block, self.thread = everyone // self.threads, everyone % self.threads
        self.lane = self.thread % 32
        self.warp = self.block * self.warps_per_block + self.thread // 32
        self.bit = np.uint32(1) << self.lane.astype(np.uint32)
        self.registers: dict[str, Array] = {}
        self.carry = np.zeros(self.count, bool)
        self.params: dict[str, Array] = {}  # of calls: (threads, bytes)
        self._special: dict[str, Any] = {}
        self.alive = np.ones(self.count, bool)
        self.alive_in_block = np.full(blocks, self.threads)
        self.alive_bits = np.zeros(blocks * self.warps_per_block, np.uint32)
        np.add.at(self.alive_bits, self.warp, self.bit)
        self.shared = np.full(blocks * launch.shared_stride, POISON, np.uint8)
        self.local = np.full(self.count * launch.local_stride, POISON, np.uint8)
        self.order = Order(
            first, self.threads, blocks, launch.partial_barriers, launch.warp_barriers, launch.between_blocks
        )
        self.progress = 0  # changes of memory and of what waits: nothing of the kind for long is a deadlock

    def numbers(self, lanes: Lanes) -> Array:
        """The lanes as numbers."""
        return self.everyone if lanes is None else lanes

    # ---- names for messages

    def who(self, lane: int) -> str:
        """``thread (1, 0, 0) of block (0, 0, 0)``."""
        return self.launch.who(self.first * self.threads + int(lane))

    # ---- registers

    def register(self, name: str) -> Array:
        """The storage of a register: unsigned, as wide as declared; poison before it is written."""
        found = self.registers.get(name)
        if found is None:
            kind = self.program.types.get(name)
            if kind is None:
                raise UnknownInstruction(f"kernel {self.program.name}: the register {name} is not known", register=name)
            if kind == "b128":
                raise UnknownInstruction(f"kernel {self.program.name}: registers of 128 bits ({name}) are not modelled")
            if kind == "pred":
                found = np.zeros(self.count, bool)
            else:
                found = np.full(self.count * WIDTHS[kind], POISON, np.uint8).view(f"u{WIDTHS[kind]}")
            self.registers[name] = found
        return found

    def view(self, name: str, kind: str) -> Array:
        """A register as a type of its width, or the low part of it."""
        base, dtype = self.register(name), np.dtype(DTYPES[kind])
        if base.dtype == dtype:
            return base
        narrow = dtype.itemsize < base.itemsize and kind[0] not in "bus"  # a part of a register is an integer
        if (base.dtype == np.bool_) != (kind == "pred") or dtype.itemsize > base.itemsize or narrow:
            raise UnknownInstruction(
                f"kernel {self.program.name}: {name} is declared {self.program.types[name]} and used as {kind}",
                register=name,
            )
        seen: Array = base.view(dtype)
        return seen if dtype.itemsize == base.itemsize else seen[:: base.itemsize // dtype.itemsize]

    def constant(self, operand: Operand, kind: str) -> Any:
        """The value of a number or of a variable's address; None for a register."""
        dtype = np.dtype(DTYPES[kind])
        if isinstance(operand, Immediate):
            return immediate(operand, kind)
        if isinstance(operand, Symbol):
            address = self.launch.address_of(operand) & ((1 << 8 * dtype.itemsize) - 1)
            return np.array(address, f"u{dtype.itemsize}").view(dtype)[()]
        return None

    def reader(self, operand: Operand, kind: str) -> Reader:
        """A function from lanes to values: an array, or one value for all."""
        if isinstance(operand, Negated):
            inner = self.reader(operand.register, kind)
            return lambda lanes: ~inner(lanes)
        if isinstance(operand, Register):
            if operand.name not in self.program.types:
                return self._special_reader(operand.name, kind)
            array = self.view(operand.name, kind)
            return lambda lanes: array if lanes is None else array[lanes]
        value = self.constant(operand, kind)
        if value is None:
            raise UnknownInstruction(f"kernel {self.program.name}: the operand {operand} is not modelled here")
        return lambda lanes: value

    def writer(self, operand: Operand, kind: str) -> Writer:
        """A function that stores values; a register wider than the type is extended, by the sign of signed types."""
        if not isinstance(operand, Register):
            raise UnknownInstruction(f"kernel {self.program.name}: {operand} cannot be written")
        if operand.name == "_":
            return lambda lanes, value: None
        base = self.register(operand.name)
        width = np.dtype(DTYPES[kind]).itemsize
        if kind[0] in "bus" and base.dtype != np.bool_ and base.itemsize > width:
            array = base.view(f"{'i' if kind[0] == 's' else 'u'}{base.itemsize}")
        else:
            array = self.view(operand.name, kind)

        def write(lanes: Lanes, value: Any) -> None:
            array[slice(None) if lanes is None else lanes] = value

        return write

    # ---- special registers (PTX ISA, chapter 10)

    def _special_reader(self, name: str, kind: str) -> Reader:
        if name in ("%clock", "%clock64", "%globaltimer", "%clock_hi", "%globaltimer_lo"):
            dtype = DTYPES[kind]
            return lambda lanes: dtype(self.launch.steps)
        value = self.special(name)
        cast = value.astype(DTYPES[kind])
        if cast.ndim == 0:
            return lambda lanes: cast
        return lambda lanes: cast if lanes is None else cast[lanes]

    def special(self, name: str) -> Any:
        """A special register that does not change."""
        if name not in self._special:
            self._special[name] = self._make_special(name)
        return self._special[name]

    def _make_special(self, name: str) -> Any:
        head, _, axis = name.partition(".")
        launch, place = self.launch, "xyz".find(axis) if axis else 0
        if head in ("%tid", "%ctaid", "%ntid", "%nctaid") and axis and place >= 0:
            if head in ("%ntid", "%nctaid"):
                return np.uint32((launch.block if head == "%ntid" else launch.grid)[place])
            sizes, number = (launch.block, self.thread) if head == "%tid" else (launch.grid, self.block + self.first)
            below = int(np.prod(sizes[:place], dtype=np.int64))
            return (number // below % sizes[place]).astype(np.uint32)
        ones = np.uint32(0xFFFFFFFF)
        simple: dict[str, Callable[[], Any]] = {
            "%laneid": lambda: self.lane.astype(np.uint32),
            "%warpid": lambda: (self.thread // 32).astype(np.uint32),
            "%nwarpid": lambda: np.uint32(self.warps_per_block),
            "%lanemask_eq": lambda: self.bit,
            "%lanemask_lt": lambda: self.bit - np.uint32(1),
            "%lanemask_le": lambda: (self.bit - np.uint32(1)) | self.bit,
            "%lanemask_gt": lambda: ones ^ ((self.bit - np.uint32(1)) | self.bit),
            "%lanemask_ge": lambda: ones ^ (self.bit - np.uint32(1)),
            "%smid": lambda: (self.block + self.first).astype(np.uint32),
            "%nsmid": lambda: np.uint32(launch.blocks),
            "%gridid": lambda: np.uint64(1),
            "%dynamic_smem_size": lambda: np.uint32(launch.dynamic),
            "%total_smem_size": lambda: np.uint32(launch.shared_layout.size),
        }
        if name not in simple:
            raise UnknownInstruction(f"kernel {self.program.name}: the register {name} is not modelled", register=name)
        return simple[name]()


def immediate(operand: Immediate, kind: str) -> Any:
    """A number as a value of a type: an integer wraps; bits of a floating-point number are taken as they are."""
    dtype = np.dtype(DTYPES[kind])
    if operand.float_bits:
        bits = np.array(operand.value, f"u{operand.float_bits // 8}")
        if dtype.itemsize * 8 == operand.float_bits:
            return bits.view(dtype)[()]
        return bits.view(f"f{operand.float_bits // 8}").astype(dtype)[()]
    if dtype == np.bool_:
        return np.bool_(operand.value != 0)
    if kind in ("f32", "f64", "f16"):
        return dtype.type(operand.value)
    return np.array(operand.value & ((1 << 8 * dtype.itemsize) - 1), f"u{dtype.itemsize}").view(dtype)[()]


def guarded(wave: Wave, i: Instruction, step: Step) -> Step:
    """The step for those lanes whose guard is true."""
    if i.guard is None:
        return step
    guard, negated = wave.view(i.guard.name, "pred"), i.negated

    def run(lanes: Lanes) -> None:
        true = guard if lanes is None else guard[lanes]
        if negated:
            true = ~true
        if true.all():
            step(lanes)
        elif true.any():
            step(np.flatnonzero(true) if lanes is None else lanes[true])

    return run
