"""The state spaces as instructions see them: an address is checked, located, and noted.

Each space turns addresses into places in its bytes, or raises: outside of every array, misaligned, written where it may
only be read. With checks on, it also keeps which bytes were ever written, and the shadow that finds races.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt import counters
from tinydl.kernels.simt.errors import Misaligned, OutOfBounds, Race, SimtError, Uninitialised
from tinydl.kernels.simt.memory import GLOBAL, LOCAL, SHARED, typed
from tinydl.kernels.simt.ptx import Instruction
from tinydl.kernels.simt.races import Found, Shadow, instruction_of, place_of

if TYPE_CHECKING:
    from tinydl.kernels.simt.wave import Wave

Array = NDArray[Any]


class Space:
    """One state space of a wave; subclasses know where its addresses are."""

    name = ""
    window = 0

    def __init__(self, wave: Wave, data: Array, granule: int, written: Array | None, shadow: Shadow | None) -> None:
        self.wave, self.data, self.granule, self.written, self.shadow = wave, data, granule, written, shadow
        self.counts: dict[int, counters.Accesses] | None = None
        self._views: dict[tuple[Any, int], Array] = {}

    def view(self, dtype: Any, lanes: int = 1) -> Array:
        """All of its bytes as another type."""
        key = (dtype, lanes)
        if key not in self._views:
            width = np.dtype(dtype).itemsize * lanes
            self._views[key] = typed(self.data[: self.data.size // width * width], dtype, lanes)
        return self._views[key]

    def locate(self, address: Array, width: int, lanes: Array, i: Instruction, store: bool) -> Array:
        """The place of each access among the bytes; raises OutOfBounds and Misaligned."""
        raise NotImplementedError

    def describe(self, place: int) -> str:
        """Where a byte lies, in words."""
        raise NotImplementedError

    # ---- findings

    def fail(self, kind: type[SimtError], i: Instruction, lane: int, what: str, address: int) -> SimtError:
        """A finding of one access."""
        wave = self.wave
        return kind(
            f"kernel {wave.program.name}: {i.place}, {wave.who(lane)}: {what}",
            kernel=wave.program.name, instruction=i.text, source=i.source, thread=wave.who(lane), address=address,
        )  # fmt: skip

    def aligned(self, address: Array, width: int, lanes: Array, i: Instruction) -> None:
        """Raise Misaligned unless all addresses are multiples of the width."""
        if width > 1:
            wrong = address & np.uint64(width - 1)
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                raise self.fail(
                    Misaligned, i, int(lanes[at]),
                    f"address {int(address[at]):#x} of {self.name} memory is no multiple of {width}", int(address[at]),
                )  # fmt: skip

    # ---- checks

    def places(self, index: Array, width: int, lanes: Array) -> tuple[Array, Array]:
        """The granules of accesses, and the lane of each."""
        first, many = index // self.granule, width // self.granule
        if many <= 1:
            return first, lanes
        return (first[:, None] + np.arange(many)).ravel(), np.repeat(lanes, many)

    def note_read(self, index: Array, width: int, lanes: Array, i: Instruction, number: int) -> None:
        """A read: of written bytes only, and ordered behind the writes."""
        if self.written is None and self.shadow is None:
            return
        place, who = self.places(index, width, lanes)
        if self.written is not None:
            fresh = ~self.written[place]
            if fresh.any():
                at = int(np.flatnonzero(fresh)[0])
                byte = int(place[at]) * self.granule
                raise self.fail(
                    Uninitialised, i, int(who[at]),
                    f"reads {self.describe(byte)} of {self.name} memory, which nothing has written", byte,
                )  # fmt: skip
        if self.shadow is not None:
            try:
                self.shadow.reads(place, who, number, self.wave.order)
            except Found as found:
                raise self.race(found, i) from None

    def note_write(
        self, index: Array, width: int, lanes: Array, i: Instruction, number: int, changed: Array, done: bool = True
    ) -> None:
        """A write, before it is done; ``changed``: per access, whether another value stands there; ``done``: it is not
        only begun."""
        if self.written is None and self.shadow is None:
            return
        place, who = self.places(index, width, lanes)
        if self.written is not None and done:
            self.written[place] = True
        if self.shadow is not None:
            many = place.size // max(index.size, 1)
            try:
                self.shadow.writes(place, who, number, self.wave.order, np.repeat(changed, many))
            except Found as found:
                raise self.race(found, i) from None

    def note_written(
        self, index: Array, width: int, lanes: Array, i: Instruction, number: int, survived: Array
    ) -> None:
        """A write, after it: values of other threads in its place are a race within the instruction."""
        if self.shadow is not None and not survived.all():
            place, who = self.places(index, width, lanes)
            many = place.size // max(index.size, 1)
            try:
                self.shadow.clashes(place, who, number, np.repeat(survived, many))
            except Found as found:
                raise self.race(found, i) from None

    def race(self, found: Found, i: Instruction) -> Race:
        """The finding, with both instructions."""
        wave = self.wave
        earlier = wave.program.instructions[int(instruction_of(np.array(found.stamp)))]
        block, thread = divmod(int(place_of(np.array(found.stamp))), 1024)
        other = wave.launch.who(block * wave.threads + thread)
        byte = found.place * self.granule
        return Race(
            f"kernel {wave.program.name}: race ({found.kinds}) on {self.describe(byte)} of {self.name} memory between "
            f"{earlier.place} of {other} and {i.place} of {wave.who(found.lane)}, with no barrier between them",
            kernel=wave.program.name, instruction=i.text, source=i.source, other=earlier.text,
            other_source=earlier.source, thread=wave.who(found.lane), other_thread=other, place=self.describe(byte),
            race=found.kinds,
        )  # fmt: skip

    def count(self, address: Array, width: int, lanes: Array, i: Instruction, number: int) -> None:
        """Count the sectors or turns of an access."""
        if self.counts is None:
            return
        entry = self.counts.get(number)
        if entry is None:
            entry = self.counts[number] = counters.Accesses(i, self.name)
        requests, taken, best = self._cost(address, width, lanes)
        entry.requests += requests
        entry.threads += len(lanes)
        entry.taken += taken
        entry.best += best

    def _cost(self, address: Array, width: int, lanes: Array) -> tuple[int, int, int]:
        raise NotImplementedError


class GlobalSpace(Space):
    """Global memory and constants: places are bytes from its first address."""

    name = "global"
    window = GLOBAL

    def locate(self, address: Array, width: int, lanes: Array, i: Instruction, store: bool) -> Array:
        """See :class:`Space`."""
        memory = self.wave.launch.memory
        self.aligned(address, width, lanes, i)
        whole = memory.whole(int(address.min()), int(address.max()) + width)
        if whole is None:
            outside = memory.outside(address, width)
            if outside.any():
                at = int(np.flatnonzero(outside)[0])
                where = int(address[at])
                raise self.fail(
                    OutOfBounds, i, int(lanes[at]),
                    f"{'writes' if store else 'reads'} {width} bytes out of bounds, at {memory.nearest(where)}", where,
                )  # fmt: skip
        if store:
            self._writable(address, lanes, i, whole is None)
        return (address - np.uint64(GLOBAL)).astype(np.int64)

    def _writable(self, address: Array, lanes: Array, i: Instruction, several: bool) -> None:
        memory = self.wave.launch.memory
        for at in range(len(address)) if several else (0,):
            made = memory.whole(int(address[at]), int(address[at]) + 1)
            if made is not None and made.read_only:
                raise self.fail(
                    OutOfBounds, i, int(lanes[at]), f"writes to {made.name}, which may only be read", int(address[at])
                )

    def describe(self, place: int) -> str:
        """See :class:`Space`."""
        made = self.wave.launch.memory.whole(GLOBAL + place, GLOBAL + place + 1)
        return f"byte {GLOBAL + place - made.start} of {made.name}" if made else f"address {GLOBAL + place:#x}"

    def _cost(self, address: Array, width: int, lanes: Array) -> tuple[int, int, int]:
        return counters.sectors(self.wave.warp[lanes], address, width)


class SharedSpace(Space):
    """Shared memory: one piece per block."""

    name = "shared"
    window = SHARED

    def locate(self, address: Array, width: int, lanes: Array, i: Instruction, store: bool) -> Array:
        """See :class:`Space`."""
        launch = self.wave.launch
        if int(address.max()) + width > launch.shared_layout.size:
            at = int(np.argmax(address))
            where = int(address[at])
            shown = where if where < 1 << 63 else where - (1 << 64)
            raise self.fail(
                OutOfBounds, i, int(lanes[at]),
                f"{'writes' if store else 'reads'} {width} bytes at byte {shown} of shared memory, of which the block "
                f"has {launch.shared_layout.size}", where,
            )  # fmt: skip
        self.aligned(address, width, lanes, i)
        offset = address.astype(np.int64)
        self._within(offset, width, lanes, i, store)
        return self.wave.block[lanes] * launch.shared_stride + offset

    def _within(self, offset: Array, width: int, lanes: Array, i: Instruction, store: bool) -> None:
        """Between variables, too, there may be nothing to access."""
        limits = self.wave.launch.shared_owner
        if limits is not None:
            wrong = limits[offset] != limits[offset + (width - 1)]
            wrong |= limits[offset] < 0
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                raise self.fail(
                    OutOfBounds, i, int(lanes[at]),
                    f"{'writes' if store else 'reads'} {width} bytes at byte {int(offset[at])} of shared memory, "
                    "between its variables", int(offset[at]),
                )  # fmt: skip

    def describe(self, place: int) -> str:
        """See :class:`Space`."""
        launch = self.wave.launch
        block, offset = divmod(place, launch.shared_stride)
        return launch.shared_layout.name(offset)

    def _cost(self, address: Array, width: int, lanes: Array) -> tuple[int, int, int]:
        return counters.turns(self.wave.warp[lanes], self.wave.lane[lanes], address.astype(np.int64), width)


class LocalSpace(Space):
    """Local memory: one piece per thread."""

    name = "local"
    window = LOCAL

    def locate(self, address: Array, width: int, lanes: Array, i: Instruction, store: bool) -> Array:
        """See :class:`Space`."""
        launch = self.wave.launch
        if int(address.max()) + width > launch.local_layout.size:
            at = int(np.argmax(address))
            raise self.fail(
                OutOfBounds, i, int(lanes[at]),
                f"{'writes' if store else 'reads'} {width} bytes at byte {int(address[at])} of local memory, of which "
                f"a thread has {launch.local_layout.size}", int(address[at]),
            )  # fmt: skip
        self.aligned(address, width, lanes, i)
        return lanes * launch.local_stride + address.astype(np.int64)

    def describe(self, place: int) -> str:
        """See :class:`Space`."""
        return self.wave.launch.local_layout.name(place % self.wave.launch.local_stride)

    def _cost(self, address: Array, width: int, lanes: Array) -> tuple[int, int, int]:
        return 0, 0, 0

    def count(self, address: Array, width: int, lanes: Array, i: Instruction, number: int) -> None:
        """Local memory is not counted: where it lies is the last compiler's choice."""


class ParamSpace(Space):
    """The kernel's parameters, the same for all threads: one may be read by a computed address."""

    name = "parameter"

    def locate(self, address: Array, width: int, lanes: Array, i: Instruction, store: bool) -> Array:
        """See :class:`Space`."""
        size = len(self.data)
        if store or int(address.max()) + width > size:
            at = int(np.argmax(address))
            what = "writes to a parameter" if store else f"reads past the {size} bytes of parameters"
            raise self.fail(OutOfBounds, i, int(lanes[at]), what, int(address[at]))
        self.aligned(address, width, lanes, i)
        return address.astype(np.int64)

    def describe(self, place: int) -> str:
        """See :class:`Space`."""
        return f"byte {place}"

    def count(self, address: Array, width: int, lanes: Array, i: Instruction, number: int) -> None:
        """Parameters cost nothing that is modelled."""
