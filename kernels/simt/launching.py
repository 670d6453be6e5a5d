"""A launch: arguments are laid out, waves of blocks run one after the other, results are copied back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt.access import Copies, element_width, space_of
from tinydl.kernels.simt.alu import DTYPES
from tinydl.kernels.simt.counters import Counters
from tinydl.kernels.simt.errors import LaunchProblem
from tinydl.kernels.simt.memory import Fresh, GlobalMemory, Layout, Table
from tinydl.kernels.simt.program import Program, is_barrier, is_strong, is_warp_barrier, link
from tinydl.kernels.simt.ptx import WIDTHS, Address, Immediate, Instruction, Module, Symbol, Variable, parse
from tinydl.kernels.simt.races import BLOCKS, INSTRUCTIONS, Shadow
from tinydl.kernels.simt.scheduler import Scheduler, Watcher
from tinydl.kernels.simt.spaces import GlobalSpace, LocalSpace, ParamSpace, SharedSpace, Space
from tinydl.kernels.simt.wave import Wave

Array = NDArray[Any]
Sizes = int | Sequence[int]

#: Threads that run together, unless blocks wait for each other. More would save steps and lose the caches.
WAVE = 8192

#: Steps (one instruction for one gang) after which a launch is taken to be endless.
LIMIT = 20_000_000


def launch(
    ptx: str | Module,
    name: str,
    grid: Sizes,
    block: Sizes,
    args: Sequence[Any],
    checks: bool = True,
    *,
    shared: int = 0,
    limit: int = LIMIT,
    wave: int | None = None,
    watch: Callable[[Wave], Watcher] | None = None,
) -> Counters:
    """Run a kernel of a PTX text on the CPU, and count what it did.

    ptx, name: the text (or what :func:`parse` made of it) and the kernel in it. grid, block: up to three sizes, as
    CUDA's. args: per parameter a NumPy array (its memory is the kernel's; one that is not writeable may only be read),
    :class:`Fresh` around one whose contents count as never written, a :class:`Table` of addresses, or a number.
    shared: bytes of dynamic shared memory. checks: find uninitialised reads, races, diverging barriers and masks that
    do not fit, and count accesses; bounds and alignment are checked always. limit: steps before the launch counts as
    endless. wave: threads that run together (whole blocks; all of the grid where blocks wait for each other). watch:
    made for each wave, is told of every instruction.

    Raises a :class:`SimtError` at the first finding; the arrays then hold what they held before.
    """
    module = parse(ptx) if isinstance(ptx, str) else ptx
    made = Launch(link(module, name), _three(grid, "grid"), _three(block, "block"), args, checks, shared, limit)
    with np.errstate(all="ignore"):
        made.run(wave, watch)
    return made.counters


#: The most blocks, and threads of a block, in x, y and z (CUDA C++ Programming Guide, compute capabilities 7.5 to 9.0),
#: and the most bytes of shared memory that a block may have on any of them.
MOST = {"grid": ((1 << 31) - 1, 65_535, 65_535), "block": (1024, 1024, 64)}
SHARED = 227 * 1024


def _three(sizes: Any, what: str) -> tuple[int, int, int]:
    least = int(what == "block")
    given = tuple(sizes) if isinstance(sizes, (tuple, list, np.ndarray)) else (sizes,)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= least for n in given)
    if not whole or not 1 <= len(given) <= 3:
        raise LaunchProblem(f"the {what} {sizes!r} must be one to three whole numbers of at least {least}")
    x, y, z = (int(n) for n in (*given, 1, 1)[:3])
    if any(n > most for n, most in zip((x, y, z), MOST[what])):
        raise LaunchProblem(f"the {what} {(x, y, z)} is larger than a GPU's, which is at most {MOST[what]}")
    return x, y, z


class Launch:
    """One launch of a kernel; see :func:`launch`."""

    def __init__(
        self, program: Program, grid: tuple[int, int, int], block: tuple[int, int, int], args: Sequence[Any],
        checks: bool, dynamic: int, limit: int,
    ) -> None:  # fmt: skip
        self.program, self.grid, self.block = program, grid, block
        self.checks, self.limit, self.dynamic = checks, limit, dynamic
        self.threads = block[0] * block[1] * block[2]
        self.blocks = grid[0] * grid[1] * grid[2]
        if self.threads > 1024:
            raise LaunchProblem(f"kernel {program.name}: a block of {self.threads} threads; at most 1024 are possible")
        if not 0 <= dynamic <= SHARED:
            raise LaunchProblem(f"kernel {program.name}: {dynamic} bytes of shared memory; there are at most {SHARED}")
        if checks and (len(program.instructions) >= INSTRUCTIONS or self.blocks >= BLOCKS):
            raise LaunchProblem(
                f"kernel {program.name}: the race detector has room for {INSTRUCTIONS} instructions and {BLOCKS} "
                "blocks; run a smaller launch, or without checks"
            )
        self._check_bounds()
        self.steps = 0
        self.executed: dict[int, int] = {}
        self.counters = Counters(program.name, grid, block)
        self._lay_out_memory()
        self._lay_out_parameters(args)
        self._look_at_program()
        self._shadow_memory()
        self._spaces: dict[tuple[int, str], Space] = {}
        self._copies: tuple[Wave, Copies] | None = None

    # ---- preparation

    def _check_bounds(self) -> None:
        for directive, sizes in self.program.entry.bounds.items():
            required = directive == "reqntid"
            if directive in ("maxntid", "reqntid"):
                allowed = int(np.prod(sizes))
                if self.threads > allowed or (required and self.threads != allowed):
                    raise LaunchProblem(
                        f"kernel {self.program.name} is compiled for blocks of {'' if required else 'at most '}"
                        f"{allowed} threads, not {self.threads} (__launch_bounds__)"
                    )

    def _lay_out_memory(self) -> None:
        program = self.program
        variables = [*program.module.variables.values(), *program.variables.values()]
        used = self._symbols()
        shared = [v for v in variables if v.space == "shared" and v.name in used]
        local = [(name, v) for name, v in program.variables.items() if v.space == "local"]
        self.shared_layout = Layout(shared, self.dynamic)
        self.local_layout = Layout([Variable(name, "local", v.type, v.align, v.size) for name, v in local])
        self.shared_stride = max(16, (self.shared_layout.size + 15) // 16 * 16)
        self.local_stride = max(16, (self.local_layout.size + 15) // 16 * 16)
        self.counters.shared = self.shared_layout.size
        self.shared_owner = self._owners() if self.checks and len(self.shared_layout.variables) > 1 else None
        self.memory = GlobalMemory()
        for variable in program.module.variables.values():
            if variable.space in ("global", "const") and variable.size:
                self.memory.add_variable(variable)

    def _symbols(self) -> set[str]:
        """Every variable that the kernel's instructions name."""
        found: set[str] = set()
        for i in self.program.instructions:
            for operand in i.operands:
                if isinstance(operand, Symbol):
                    found.add(operand.name)
                elif isinstance(operand, Address) and isinstance(operand.base, Symbol):
                    found.add(operand.base.name)
        return found

    def _owners(self) -> Array:
        """For each byte of shared memory, the variable that it belongs to (-1: none)."""
        owners = np.full(self.shared_layout.size + 16, -1)
        for number, (offset, size, _) in enumerate(self.shared_layout.variables):
            owners[offset : offset + size] = number
        return owners

    def _lay_out_parameters(self, args: Sequence[Any]) -> None:
        program = self.program
        parameters = program.entry.parameters
        if len(args) != len(parameters):
            raise LaunchProblem(f"kernel {program.name} takes {len(parameters)} arguments, {len(args)} were given")
        self.parameter_offsets: dict[str, int] = {}
        data = bytearray()
        for place, (parameter, argument) in enumerate(zip(parameters, args)):
            data.extend(bytes(-len(data) % parameter.align))
            self.parameter_offsets[parameter.name] = len(data)
            data.extend(self._encode(parameter, argument, place))
        self.parameters = np.frombuffer(bytes(data) + bytes(16), np.uint8)
        self.parameters_size = len(data)
        addresses = [
            (v.name, offset, self.address_of(symbol))
            for v in program.module.variables.values()
            if v.name in self.memory.symbols
            for offset, symbol in v.addresses.items()
        ]
        self.memory.fill(addresses)

    def _encode(self, parameter: Variable, argument: Any, place: int) -> bytes:
        """The bytes of one argument."""
        where = f"argument {place} of {self.program.name}"
        if isinstance(argument, (Fresh, Table)) or (isinstance(argument, np.ndarray) and argument.ndim):
            if parameter.size != 8:
                raise LaunchProblem(f"{where} is an array, and the parameter a {parameter.type}, which is no pointer")
            if isinstance(argument, Table):
                return self.memory.add_table(argument, f"argument {place}").to_bytes(8, "little")
            return self.memory.add_array(argument, f"argument {place}").to_bytes(8, "little")
        if isinstance(argument, bytes):
            if len(argument) != parameter.size:
                raise LaunchProblem(f"{where} has {len(argument)} bytes, and the parameter {parameter.size}")
            return argument
        if parameter.type not in DTYPES or parameter.size != WIDTHS[parameter.type]:
            raise LaunchProblem(f"{where} is a structure of {parameter.size} bytes: pass bytes")
        if not isinstance(argument, (int, float, np.number, np.ndarray)) or np.iscomplexobj(argument):
            raise LaunchProblem(f"{where} is a {type(argument).__name__}: pass an array, a number, or bytes")
        kind = {"b32": "f4", "b64": "f8"}.get(parameter.type) if isinstance(argument, (float, np.floating)) else None
        if kind is not None:
            return np.array(argument, kind).tobytes()
        if parameter.type[0] != "f":
            bits = 8 * parameter.size
            if int(argument) != argument or not -(1 << bits - 1) <= argument < 1 << bits:
                raise LaunchProblem(f"{where} is {argument}, which no {parameter.type} of {bits} bits can be")
            return (int(argument) & ((1 << bits) - 1)).to_bytes(parameter.size, "little")
        return np.array(argument).astype(DTYPES[parameter.type]).tobytes()

    def _look_at_program(self) -> None:
        """What the kernel's instructions ask of the model of order."""
        instructions = self.program.instructions
        barriers = [i for i in instructions if is_barrier(i)]
        partial = any(i.has("arrive") or self._count_of(i) not in (None, self.threads) for i in barriers)
        self.partial_barriers = self.checks and partial
        self.warp_barriers = self.checks and any(is_warp_barrier(i) for i in instructions)
        self.may_wait = any(segment.polls for segment in self.program.segments)
        self.between_blocks = self.checks and self.may_wait

    @staticmethod
    def _count_of(i: Instruction) -> int | None:
        operands = i.operands[1:-1] if i.has("red") else i.operands
        second = operands[1] if len(operands) > 1 else None
        return second.value if isinstance(second, Immediate) else None

    def _shadow_memory(self) -> None:
        """Shadows of the finest access that the kernel has in each space."""
        widths: dict[str, set[int]] = {"global": set(), "shared": set(), "local": set()}
        for i in self.program.instructions:
            width = element_width(i)
            if width:
                named = space_of(i) if i.name != "cp" else ""
                for space in [named] if named in widths else [] if named else list(widths):
                    widths[space].add(width)
        self.granules = {space: min(found, default=4) for space, found in widths.items()}
        self.strong = np.array([is_strong(i) for i in self.program.instructions] or [False])
        self.global_written: Array | None = None
        self.global_shadow: Shadow | None = None
        if self.checks:
            places = self.memory.data.size // self.granules["global"] + 1
            if any(made.fresh for made in self.memory.allocations):
                self.global_written = np.ones(places, bool)
                for made in self.memory.allocations:
                    if made.fresh:
                        first = (made.start - self.memory_base) // self.granules["global"]
                        self.global_written[first : first + -(-made.size // self.granules["global"])] = False
            if self._writes_global():
                self.global_shadow = Shadow(places, self.strong, private=False)

    @property
    def memory_base(self) -> int:
        """The first address of global memory."""
        return GlobalSpace.window

    def _writes_global(self) -> bool:
        """Without a write there is no race."""
        return any(
            i.name in ("st", "atom", "red") and space_of(i) in ("global", "") for i in self.program.instructions
        )

    # ---- running

    def run(self, wave: int | None, watch: Callable[[Wave], Watcher] | None) -> None:
        """All waves, then the results."""
        per_wave = max(1, (wave or WAVE) // self.threads)
        if self.may_wait:
            per_wave = max(per_wave, self.blocks)  # blocks that wait for each other must all be there
        for first in range(0, self.blocks, per_wave):
            blocks = min(per_wave, self.blocks - first)
            self._spaces.clear()
            self._copies = None
            state = Wave(self, first, blocks)
            scheduler = Scheduler(state)
            scheduler.watch = watch(state) if watch is not None else None
            scheduler.run()
            self.counters.waves += 1
        self.memory.copy_back()
        self.counters.mix, self.counters.steps = self._mix(), self.steps

    def _mix(self) -> Counter[str]:
        mix: Counter[str] = Counter()
        for segment in self.program.segments:
            times = self.executed.get(segment.start, 0)
            if times:
                for i in self.program.instructions[segment.start : segment.stop]:
                    mix[i.name] += times
        return mix

    def space(self, wave: Wave, name: str) -> Space:
        """A state space of a wave."""
        key = (wave.first, name)
        if key not in self._spaces:
            self._spaces[key] = self._make_space(wave, name)
        return self._spaces[key]

    def _make_space(self, wave: Wave, name: str) -> Space:
        counts = self.counters.accesses if self.checks else None
        made: Space
        if name in ("global", "const"):
            made = GlobalSpace(wave, self.memory.data, self.granules["global"], self.global_written, self.global_shadow)
        elif name == "param":
            made = ParamSpace(wave, self.parameters[: self.parameters_size], 1, None, None)
        else:
            data = wave.shared if name == "shared" else wave.local
            granule = self.granules[name]
            places = data.size // granule + 1
            written = np.zeros(places, bool) if self.checks else None
            if name == "shared":
                shadow = Shadow(places, self.strong, private=True) if self.checks else None
                made = SharedSpace(wave, data, granule, written, shadow)
            else:
                made = LocalSpace(wave, data, granule, written, None)
        made.counts = counts
        return made

    def copies(self, wave: Wave) -> Copies:
        """The asynchronous copies of a wave."""
        if self._copies is None or self._copies[0] is not wave:
            self._copies = (wave, Copies(wave))
        return self._copies[1]

    # ---- names

    def address_of(self, symbol: Symbol) -> int:
        """The address of a variable, in its state space."""
        name = symbol.name
        if name in self.memory.symbols:
            return self.memory.symbols[name] + symbol.offset
        for offsets in (self.shared_layout.offsets, self.local_layout.offsets, self.parameter_offsets):
            if name in offsets:
                return offsets[name] + symbol.offset
        raise LaunchProblem(f"kernel {self.program.name} names {name!r}, which the PTX does not define")

    def who(self, thread: int) -> str:
        """A thread by its number in the grid: ``thread (1, 0, 0) of block (0, 0, 0)``."""
        number, inside = divmod(thread, self.threads)
        x, y, _ = self.block
        gx, gy, _ = self.grid
        return (
            f"thread ({inside % x}, {inside // x % y}, {inside // (x * y)}) of block "
            f"({number % gx}, {number // gx % gy}, {number // (gx * gy)})"
        )
