"""Which accesses are ordered, and shadow memory that finds those which are not.

An access is stamped with its thread and the time of its block, a clock that each barrier advances. A later access by
another thread is *ordered* behind it when a barrier stood between: of the block, of a part of it, of the warp, or,
between blocks, an atomic or volatile write that was read, each side with a fence (the happens-before relation of the
PTX memory consistency model, chapter 8, as vector clocks: Lamport 1978, FastTrack of Flanagan and Freund 2009).

For every place of memory the shadow keeps the last write and two reads by different threads, of different warps if
there are such. Two accesses that are not ordered, one a write and not both atomic or volatile, are a race, whether or
not this run's result was right. Two threads that write the same value with the same instruction, or a value that stands
there already, are let pass: the result does not depend on the order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt.errors import LaunchProblem

Array = NDArray[Any]

# A stamp: place of the thread + 1, time, instruction; 0 is none. The place of a thread is 1024 times its block's number
# plus its own in the block, so that warp and block are shifts away.
_TIME, _THREAD = 16, 34
_INSTRUCTION_MASK, _TIME_MASK = (1 << _TIME) - 1, (1 << (_THREAD - _TIME)) - 1
_TIME_BITS = _TIME_MASK << _TIME
INSTRUCTIONS, TIMES, BLOCKS = 1 << _TIME, _TIME_MASK, 1 << (63 - _THREAD - 10)  # what a stamp has room for


def place_of(stamp: Array) -> Array:
    """The place of each stamp's thread (1024 block + thread); -1 where there is none."""
    return (stamp >> _THREAD) - 1


def time_of(stamp: Array) -> Array:
    """The time of each stamp, on the clock of its thread's block."""
    return (stamp >> _TIME) & _TIME_MASK


def instruction_of(stamp: Array) -> Array:
    """The instruction of each stamp."""
    return stamp & _INSTRUCTION_MASK


def _warp_of(stamp: Array) -> Array:
    """A number for the warp of each stamp's thread."""
    return ((stamp >> _THREAD) - 1) >> 5


class Order:
    """What each thread of a wave of blocks knows to lie behind it.

    first: the number of the first block; threads: per block; partial: some barriers wait for a part of the block only;
    warps: there are warp barriers; between_blocks: threads wait for other blocks.
    """

    def __init__(self, first: int, threads: int, blocks: int, partial: bool, warps: bool, between_blocks: bool) -> None:
        self.first, self.threads, self.blocks = first, threads, blocks
        count = threads * blocks
        self.block = np.arange(count) // threads
        thread = np.arange(count) % threads
        self.warp, self.lane = thread // 32, thread % 32
        self.clock = np.ones(blocks, np.int64)
        self.full = np.zeros(blocks, np.int64)  # the time of the last barrier of the whole block
        warps_per_block = (threads + 31) // 32
        self.of_warp = np.zeros((count, warps_per_block), np.int64) if partial else None
        self.of_lane = np.zeros((count, 32), np.int64) if warps else None
        self.between: Between | None = Between(self) if between_blocks else None
        self._thread_bits = ((self.block + first) * 1024 + thread + 1) << _THREAD
        self._ticked = True

    def stamps(self, lanes: Array, instruction: int) -> Array:
        """The stamp of an access now."""
        self._refresh()
        return (self._now if len(lanes) == self.block.size else self._now[lanes]) | instruction

    def limits(self, lanes: Array) -> Array:
        """The time, as in a stamp, before which all of its own block lies behind each thread."""
        self._refresh()
        return self._limit if len(lanes) == self.block.size else self._limit[lanes]

    def _refresh(self) -> None:
        if self._ticked:
            self._now: Array = self._thread_bits | (self.clock << _TIME)[self.block]
            self._limit: Array = (self.full << _TIME)[self.block]
            self._ticked = False

    def tick(self, blocks: Array) -> None:
        """Advance the clocks."""
        self.clock[blocks] += 1
        self._ticked = True
        if self.clock[blocks].max() >= TIMES:
            raise LaunchProblem("too many barriers for the race detector: run a smaller launch, or without checks")

    def block_barrier(self, blocks: Array) -> None:
        """All threads of these blocks have waited for each other."""
        if self.between is not None:
            self.between.barrier(blocks)
        self.tick(blocks)
        self.full[blocks] = self.clock[blocks]

    def arrive(self, lanes: Array) -> Array:
        """Threads come to a barrier: the time of each block until then; what they do next has a later one."""
        blocks = np.unique(self.block[lanes])
        now = self.clock.copy()
        self.tick(blocks)
        return now

    def partial_barrier(self, block: int, came: list[tuple[Array, Array]], waited: Array) -> None:
        """Threads of a block came to a barrier, (lanes, what :meth:`arrive` gave); those that ``waited``, and did not
        only arrive, know what all did."""
        if self.of_warp is not None:
            row = np.max([self.of_warp[lanes].max(axis=0) for lanes, _ in came], axis=0)
            for lanes, times in came:
                warps = np.unique(self.warp[lanes])
                row[warps] = np.maximum(row[warps], times[block] + 1)
            self.of_warp[waited] = np.maximum(self.of_warp[waited], row)
        if self.between is not None:
            self.between.join(np.concatenate([lanes for lanes, _ in came]), waited)
        self.tick(np.array([block]))

    def warp_barrier(self, lanes: Array, mask: Array) -> None:
        """Threads of warps have waited for those in their mask."""
        blocks = np.unique(self.block[lanes])
        if self.of_lane is not None:
            now = self.clock[self.block[lanes]][:, None] + 1
            named = (mask[:, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
            self.of_lane[lanes] = np.where(named.astype(bool), now, self.of_lane[lanes])
        self.tick(blocks)

    def ordered(self, stamp: Array, lanes: Array) -> Array:
        """Whether the access of each stamp lies behind what each thread does now."""
        place, time = place_of(stamp), time_of(stamp)
        block = (place >> 10) - self.first
        here = (block >= 0) & (block < self.blocks)
        there = np.where(here, block * self.threads + (place & 1023), 0)
        mine = here & (there == lanes)
        same_block = here & (block == self.block[lanes])
        behind: Array = mine | (same_block & (time < self.full[self.block[lanes]]))
        if self.of_warp is not None:
            behind |= same_block & (time < self.of_warp[lanes, self.warp[there]])
        if self.of_lane is not None:
            same_warp = same_block & (self.warp[there] == self.warp[lanes])
            behind |= same_warp & (time < self.of_lane[lanes, self.lane[there]])
        if self.between is not None:
            behind |= here & self.between.ordered(there, time, lanes)
        return behind


class Between:
    """Order through memory: what a thread writes behind a fence, another reads before a fence (release and acquire).

    ``known[t, b]``: what block b did before that time lies behind thread t. A fence makes a thread's knowledge ready to
    be published (``ready``) and takes over what it has read (``read``); a strong write publishes it at an address.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        count = order.block.size
        self.known = np.zeros((count, order.blocks), np.int64)
        self.ready = np.zeros_like(self.known)
        self.read = np.zeros_like(self.known)
        self.alone = np.zeros((order.blocks, count), np.int64)  # what one thread did, known to a block
        self.ready_at = np.zeros(count, np.int64)
        self.read_alone: dict[int, dict[int, int]] = {}
        self.published: dict[tuple[int, int], tuple[Array, dict[int, int]]] = {}

    def barrier(self, blocks: Array) -> None:
        """A barrier of whole blocks joins what their threads know."""
        order, threads = self.order, self.order.threads
        rows = self.known.reshape(order.blocks, threads, order.blocks)
        joined = rows[blocks].max(axis=1)
        joined[np.arange(len(blocks)), blocks] = order.clock[blocks] + 1
        rows[blocks] = joined[:, None, :]

    def join(self, came: Array, waited: Array) -> None:
        """A barrier of some threads."""
        self.known[waited] = self.known[came].max(axis=0)

    def fence(self, lanes: Array) -> None:
        """``membar``, ``fence``: both an acquire and a release."""
        self.acquire(lanes)
        self.release(lanes)

    def acquire(self, lanes: Array) -> None:
        """What the threads have read of others' publications lies behind them now."""
        self.known[lanes] = np.maximum(self.known[lanes], self.read[lanes])
        for lane in lanes.tolist():
            block = self.order.block[lane]
            for other, time in self.read_alone.pop(lane, {}).items():
                self.alone[block, other] = max(self.alone[block, other], time)

    def release(self, lanes: Array) -> None:
        """What lies behind the threads now is published by their next strong writes."""
        order = self.order
        order.tick(np.unique(order.block[lanes]))
        self.ready[lanes] = self.known[lanes]
        self.ready_at[lanes] = order.clock[order.block[lanes]]

    def publish(self, space: int, address: Array, lanes: Array, release: bool, update: bool) -> None:
        """A strong write (``update``: one that also read, so that earlier ones remain published)."""
        if release:
            self.release(lanes)
        for lane, place in zip(lanes.tolist(), address.tolist()):
            if not self.ready_at[lane]:
                continue  # nothing stands behind a fence
            row, alone = self.ready[lane], {lane: int(self.ready_at[lane])}
            if update and (space, place) in self.published:
                before, others = self.published[space, place]
                row = np.maximum(row, before)
                alone = {**others, **alone}
            self.published[space, place] = (row.copy(), alone)

    def observe(self, space: int, address: Array, lanes: Array, acquire: bool) -> None:
        """A strong read."""
        for lane, place in zip(lanes.tolist(), address.tolist()):
            found = self.published.get((space, place))
            if found is not None:
                self.read[lane] = np.maximum(self.read[lane], found[0])
                self.read_alone.setdefault(lane, {}).update(found[1])
        if acquire:
            self.acquire(lanes)

    def ordered(self, thread: Array, time: Array, lanes: Array) -> Array:
        """Whether what a thread did at a time lies behind other threads."""
        order = self.order
        ordered: Array = (time < self.known[lanes, order.block[thread]]) | (
            time < self.alone[order.block[lanes], thread]
        )
        return ordered


class Found(Exception):
    """A race: the stamp of the earlier access, the place, the thread that came later, and the kinds of both."""

    def __init__(self, stamp: int, place: int, lane: int, kinds: str) -> None:
        super().__init__(kinds)
        self.stamp, self.place, self.lane, self.kinds = stamp, place, lane, kinds


class Shadow:
    """The last write and two reads of each place of a memory.

    strong: by instruction, whether it is atomic or volatile. private: each place belongs to one block (shared memory),
    so that what lies before that block's last barrier needs no closer look.
    """

    def __init__(self, places: int, strong: Array, private: bool) -> None:
        self.write = np.zeros(places, np.int64)
        self.read = np.zeros(places, np.int64)
        self.other = np.zeros(places, np.int64)  # a read by another thread, of another warp if there is one
        self.strong, self.private = strong, private

    def _check(self, before: Array, place: Array, lanes: Array, stamp: Array, order: Order, kinds: str) -> None:
        """Raise :class:`Found` if an access ``before`` is a race with the one of ``stamp``."""
        if self.private:
            recent = (before & _TIME_BITS) >= order.limits(lanes)
            if not recent.any():
                return
            suspect = np.flatnonzero(recent & ((before ^ stamp) >> _THREAD != 0) & (before != 0))
        else:
            suspect = np.flatnonzero((before != 0) & ((before ^ stamp) >> _THREAD != 0))
        if not suspect.size:
            return
        before, who = before[suspect], lanes[suspect]
        bad = ~order.ordered(before, who)
        if not bad.any():
            return
        bad &= ~(self.strong[instruction_of(before)] & self.strong[instruction_of(stamp[suspect])])
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise Found(int(before[at]), int(place[suspect[at]]), int(who[at]), kinds)

    def reads(self, place: Array, lanes: Array, instruction: int, order: Order) -> None:
        """Threads read places; raises :class:`Found`."""
        stamp = order.stamps(lanes, instruction)
        self._check(self.write[place], place, lanes, stamp, order, "read after write")
        first = self.read[place]
        if not (self.private and ((first & _TIME_BITS) < order.limits(lanes)).all()):
            second, mine = self.other[place], _warp_of(stamp)
            keep = (second != 0) & (_warp_of(second) != mine) & ((second ^ stamp) & _TIME_BITS == 0)
            another = (first != 0) & ((first ^ stamp) >> _THREAD != 0)
            replaced = another & ((_warp_of(first) != mine) | ~keep)
            self.other[place] = np.where(replaced, first, second)
        self.read[place] = stamp
        stands = self.read[place]
        lost = np.flatnonzero(stands != stamp)  # several threads read one place with this instruction
        if lost.size:
            losers = stamp[lost]
            far = (losers >> _THREAD) - 1 >> 5 != (stands[lost] >> _THREAD) - 1 >> 5
            if far.any():
                near = lost[~far]
                self.other[place[near]] = stamp[near]
                lost, losers = lost[far], losers[far]
            self.other[place[lost]] = losers

    def writes(self, place: Array, lanes: Array, instruction: int, order: Order, changed: Array) -> None:
        """Threads write places; ``changed``: another value than stands there. Raises :class:`Found`."""
        stamp = order.stamps(lanes, instruction)
        before = self.write[place]
        if not changed.all():
            before = np.where(changed, before, 0)
        self._check(before, place, lanes, stamp, order, "write after write")
        self._check(self.read[place], place, lanes, stamp, order, "write after read")
        self._check(self.other[place], place, lanes, stamp, order, "write after read")
        self.write[place] = stamp

    def clashes(self, place: Array, lanes: Array, instruction: int, survived: Array) -> None:
        """After a store: where another value than a thread's own stands, the same instruction overwrote it."""
        if not survived.all() and not self.strong[instruction]:
            at = int(np.flatnonzero(~survived)[0])
            raise Found(int(self.write[place[at]]), int(place[at]), int(lanes[at]), "write after write")
