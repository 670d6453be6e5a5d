"""The memories of the virtual GPU: where arrays lie, and which accesses are allowed.

Addresses are made up, the same in every process, and far apart for each space, so that an address of one space is an
error in another. A *generic* address (one without a state space in the instruction) says its space by its window:

    0x7c00_0000_0000  kernel parameters       0x7d00_0000_0000  local memory (each thread's own)
    0x7e00_0000_0000  shared memory           0x7f00_0000_0000  global memory, constants among it

Arrays of global memory lie in one array of bytes with gaps between them; what lies in a gap belongs to nobody.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt.errors import LaunchProblem
from tinydl.kernels.simt.ptx import Variable

Array = NDArray[Any]

PARAM, LOCAL, SHARED, GLOBAL = 0x7C00_0000_0000, 0x7D00_0000_0000, 0x7E00_0000_0000, 0x7F00_0000_0000
WINDOW = 0x0100_0000_0000  # the size of each
_GAP = 256  # bytes between arrays, and what each begins at a multiple of
_FAR = 1 << 16  # behind an array lies a gap as long as itself, up to so many bytes: some rows too far is outside of it
_VECTOR = 16  # but one that does not begin at a multiple of the widest access does not so here either

#: What memory holds that nobody has written: a NaN in each floating-point type, a large negative integer.
POISON = 0xFF


class Fresh:
    """An array whose contents count as never written: reading them before a thread writes them is a finding.

    The array is filled with poison (all bits set) at the launch.
    """

    def __init__(self, array: Array) -> None:
        self.array = array


class Table:
    """An array of whole numbers (int64), to some of which the addresses of other arrays are added at the launch: so a
    kernel reaches arrays that are no arguments of its own. The kernel may only read the table.

    addresses: pairs of flat places in ``numbers`` and the array whose address belongs there.
    """

    def __init__(self, numbers: Array, addresses: Sequence[tuple[Array, Array]] = ()) -> None:
        self.numbers, self.addresses = numbers, addresses


@dataclass
class Allocation:
    """An array of global memory: its name in messages, first address, size, and what may be done to it."""

    name: str
    start: int
    size: int
    read_only: bool
    fresh: bool
    array: Array | None


def typed(data: Array, dtype: Any, lanes: int = 1) -> Array:
    """The bytes as an array of another type (of rows of ``lanes``)."""
    seen: Array = data.view(dtype)
    return seen if lanes == 1 else seen.reshape(-1, lanes)


class GlobalMemory:
    """The arrays of a launch and the variables of its module."""

    def __init__(self) -> None:
        self.allocations: list[Allocation] = []
        self.next = GLOBAL + _GAP
        self.symbols: dict[str, int] = {}
        self._initial: list[tuple[Allocation, bytes]] = []
        self.data: Array = np.zeros(0, np.uint8)
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._views: dict[tuple[Any, int], Array] = {}

    def _allocate(self, name: str, size: int, read_only: bool, fresh: bool, array: Array | None) -> Allocation:
        made = Allocation(name, self.next, size, read_only, fresh, array)
        self.next += (size + min(size, _FAR) + 2 * _GAP - 1) // _GAP * _GAP
        self.allocations.append(made)
        return made

    def add_array(self, argument: Array | Fresh, name: str) -> int:
        """The address of an argument; an array that was added already keeps its own."""
        array = argument.array if isinstance(argument, Fresh) else argument
        if not array.flags.c_contiguous:
            raise LaunchProblem(f"{name} is not contiguous: a kernel gets a pointer; pass np.ascontiguousarray(...)")
        if array.dtype.hasobject or not array.dtype.isnative:
            raise LaunchProblem(f"{name} is of dtype {array.dtype}: a GPU's numbers are plain and little-endian")
        here = array.__array_interface__["data"][0]
        for known in self.allocations:
            if known.array is None or not array.nbytes or not known.size:
                continue
            there = known.array.__array_interface__["data"][0]
            if here == there and array.nbytes == known.size:
                known.read_only &= not array.flags.writeable
                return known.start
            if here < there + known.size and there < here + array.nbytes:
                raise LaunchProblem(f"{name} overlaps {known.name}: pass the same array twice, or two that are apart")
        fresh = isinstance(argument, Fresh)
        if fresh and not array.flags.writeable:
            raise LaunchProblem(f"{name} counts as never written, but cannot be written either")
        self.next += here % _VECTOR if array.nbytes else 0
        made = self._allocate(name, array.nbytes, not array.flags.writeable, fresh, array)
        self.next = -(-self.next // _GAP) * _GAP
        return made.start

    def add_table(self, table: Table, name: str) -> int:
        """The address of a table, whose arrays are added too."""
        numbers = np.ascontiguousarray(table.numbers, np.int64).copy()
        for number, (places, array) in enumerate(table.addresses):
            numbers.reshape(-1)[places] += self.add_array(array, f"array {number} of {name}")
        numbers.flags.writeable = False
        return self.add_array(numbers, name)

    def add_variable(self, variable: Variable) -> None:
        """A ``.global`` or ``.const`` variable of the module."""
        made = self._allocate(variable.name, variable.size, variable.space == "const", False, None)
        self.symbols[variable.name] = made.start
        self._initial.append((made, variable.initial or bytes(variable.size)))

    def fill(self, addresses: Sequence[tuple[str, int, int]] = ()) -> None:
        """Copy everything in. ``addresses``: (variable, offset in it, value) of pointers among the initial values."""
        self.data = np.full((self.next - GLOBAL + 15) // 16 * 16, POISON, np.uint8)
        for made in self.allocations:
            at = made.start - GLOBAL
            if made.array is not None and not made.fresh:
                self.data[at : at + made.size] = np.frombuffer(made.array.tobytes(), np.uint8)
        for made, initial in self._initial:
            at = made.start - GLOBAL
            self.data[at : at + made.size] = np.frombuffer(initial, np.uint8)
        for name, offset, value in addresses:
            at = self.symbols[name] - GLOBAL + offset
            self.data[at : at + 8] = np.frombuffer(value.to_bytes(8, "little"), np.uint8)
        self.starts = [made.start for made in self.allocations]
        self.ends = [made.start + made.size for made in self.allocations]
        self._start_array = np.array(self.starts, np.uint64)
        self._end_array = np.array(self.ends, np.uint64)

    def copy_back(self) -> None:
        """Into the caller's arrays."""
        for made in self.allocations:
            if made.array is not None and not made.read_only and made.size:
                at = made.start - GLOBAL
                flat = made.array.reshape(-1).view(np.uint8)
                flat[:] = self.data[at : at + made.size]

    def view(self, dtype: Any, lanes: int = 1) -> Array:
        """All of it, as another type."""
        key = (dtype, lanes)
        if key not in self._views:
            width = np.dtype(dtype).itemsize * lanes
            self._views[key] = typed(self.data[: self.data.size // width * width], dtype, lanes)
        return self._views[key]

    def whole(self, low: int, high: int) -> Allocation | None:
        """The array that holds all bytes from ``low`` to ``high``; None when there is none."""
        at = bisect.bisect_right(self.starts, low) - 1
        return self.allocations[at] if at >= 0 and high <= self.ends[at] else None

    def outside(self, address: Array, width: int) -> Array:
        """Which of the accesses of ``width`` bytes lie in no array."""
        if not self.starts:
            return np.ones(address.shape, bool)
        at = np.searchsorted(self._start_array, address, "right").astype(np.int64) - 1
        return (at < 0) | (address + np.uint64(width) > self._end_array[np.maximum(at, 0)])

    def of(self, address: Array) -> Array:
        """The numbers of the arrays that some valid addresses lie in."""
        return np.searchsorted(self._start_array, address, "right").astype(np.int64) - 1

    def nearest(self, address: int) -> str:
        """Where an address is, in words: in an array, or so many bytes from the nearest one."""
        best = None
        for made in self.allocations:
            distance = made.start - address if address < made.start else max(0, address - (made.start + made.size) + 1)
            if best is None or distance < best[0]:
                best = (distance, made)
        if best is None:
            return f"address {address:#x}, and the kernel was given no array"
        distance, made = best
        where = f"byte {address - made.start} of {made.name}" if address >= made.start else (
            f"{made.start - address} bytes before {made.name}"
        )  # fmt: skip
        if distance > 1 << 30:
            return f"address {address:#x}, far from every array"
        return f"{where}, which has {made.size} bytes"


class Layout:
    """Offsets of variables within a block's shared memory or a thread's local memory."""

    def __init__(self, variables: Sequence[Variable], dynamic: int = 0) -> None:
        self.offsets: dict[str, int] = {}
        self.variables: list[tuple[int, int, str]] = []  # offset, size, name
        at = 0
        for variable in variables:
            if variable.size:
                at = self._put(variable, at, variable.size)
        self.static = at
        unsized = [variable for variable in variables if not variable.size]
        if unsized:
            align = max([16, *(variable.align for variable in unsized)])
            at = (at + align - 1) // align * align
            for variable in unsized:  # all of them begin at the same place
                self.offsets[variable.name] = at
            self.variables.append((at, dynamic, unsized[0].name))
            at += dynamic
        elif dynamic:
            at += dynamic
        self.size = at

    def _put(self, variable: Variable, at: int, size: int) -> int:
        at = (at + variable.align - 1) // variable.align * variable.align
        self.offsets[variable.name] = at
        self.variables.append((at, size, variable.name))
        return at + size

    def name(self, offset: int) -> str:
        """Where an offset lies, in words."""
        for start, size, name in self.variables:
            if start <= offset < start + size:
                return f"byte {offset - start} of {name}"
        return f"byte {offset}"
