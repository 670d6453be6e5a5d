"""Who runs when: branches, reconvergence, barriers, exits, and the end of a wave.

Threads at the same segment are one *gang*, of any warps and blocks, and run together. Of all gangs that can run the one
whose segment comes first (:func:`tinydl.kernels.simt.flow.schedule`) does. Every thread makes progress: a loop that
polls memory which others write gives way to all other gangs each time round, so that locks and grid-wide barriers are
left as on hardware since Volta. Where blocks wait for each other the last of them comes late, once all others wait, so
that who does not wait for it is seen. When nothing can run, or all that runs polls what nothing changes, that is a
deadlock, and said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt import warp
from tinydl.kernels.simt.alu import unknown
from tinydl.kernels.simt.counters import Branches
from tinydl.kernels.simt.errors import BarrierDivergence, Deadlock, TooLong
from tinydl.kernels.simt.lowering import lower
from tinydl.kernels.simt.program import Segment, branch_targets, is_barrier, is_warp_barrier
from tinydl.kernels.simt.ptx import Immediate, Instruction
from tinydl.kernels.simt.wave import Lanes, Step, Wave

Array = NDArray[Any]

#: Rounds of polling during which nothing changes, before that counts as a deadlock.
PATIENCE = 3000


class Watcher(Protocol):
    """Told of every instruction: its number in the program, and the lanes that are at it."""

    def before(self, number: int, lanes: Array) -> None:
        """It is about to be executed."""

    def after(self, number: int, lanes: Array) -> None:
        """It was."""


@dataclass
class _Gang:
    """Threads at one segment; ``turns``: how often they gave way while polling."""

    turns: int
    lanes: list[Lanes]


@dataclass
class _Waiting:
    """Threads at a barrier: where they go on, by which instruction they came, whether they wait or only arrived, what
    the clocks of their blocks said then."""

    lanes: Array
    after: int
    number: int
    waits: bool
    times: Array
    values: Array | None = None  # of bar.red


class Scheduler:
    """Runs one wave to its end."""

    def __init__(self, wave: Wave) -> None:
        self.wave, self.launch, self.program = wave, wave.launch, wave.program
        self.ready: dict[int, _Gang] = {}
        self.at_barrier: dict[int, list[_Waiting]] = {}
        self.at_warp: dict[int, list[Array]] = {}
        self.bodies: dict[int, list[Step]] = {}  # of the segments that ran
        self.ends: dict[int, Callable[[Lanes, int], None]] = {}
        self.masks: dict[int, Callable[[Lanes], Any]] = {}
        self.idle, self.seen_progress = 0, -1
        self.late: Lanes = None  # the last block, as long as it has not begun
        self.watch: Watcher | None = None
        self._expected: dict[int, int | None] = {}  # by barrier instruction: the number of threads it names
        self._reductions: dict[int, tuple[str, Callable[[Lanes, Any], None]]] = {}
        if not self.program.known:  # the first time all of it, so that what is not modelled is said of any part
            for number in range(len(self.program.segments)):
                self._lower(number)
            self.program.known = True

    # ---- preparation

    def _lower(self, number: int) -> None:
        """Make a segment ready for this wave."""
        segment = self.program.segments[number]
        self.bodies[number] = [
            self._nothing if self._controls(i) else lower(self.wave, i, at)
            for at, i in enumerate(self.program.instructions[segment.start : segment.stop], segment.start)
        ]
        self.ends[number] = self._end_of(number, segment)
        mask = self._mask_of(segment)
        if mask is not None:
            self.masks[number] = mask

    @staticmethod
    def _controls(i: Instruction) -> bool:
        """Whether an instruction is the scheduler's own affair."""
        return i.name in ("bra", "brx", "ret", "exit") or is_barrier(i) or is_warp_barrier(i)

    @staticmethod
    def _nothing(lanes: Lanes) -> None:
        """The step of what the scheduler does itself."""

    def _end_of(self, number: int, segment: Segment) -> Callable[[Lanes, int], None]:
        """What happens when a gang has run a segment: called with its lanes and turns."""
        following = self.program.segment_at.get(segment.stop, len(self.program.segments) - 1)
        if segment.start == segment.stop:
            return lambda lanes, turns: self.leave(lanes)
        at = segment.stop - 1
        i = self.program.instructions[at]
        if i.name == "bra":
            return self._branch(number, segment, i, at, following)
        if i.name == "brx":
            return self._table_branch(i, at)
        if i.name in ("ret", "exit", "trap"):
            return self._exit(i, following)
        if is_barrier(i):
            return self._barrier(i, at, following)
        return lambda lanes, turns: self.put(following, lanes, turns)

    # ---- the loop

    def run(self) -> None:
        """From the kernel's entry to the exit of the last thread."""
        if self.launch.may_wait and self.wave.blocks > 1:
            self.put(0, self.wave.everyone[: -self.wave.threads], 0)
            self.late = self.wave.everyone[-self.wave.threads :]
        else:
            self.put(0, None if self.wave.count else self.wave.everyone, 0)
        while True:
            number = self._pick()
            if number is None:
                break
            gang = self.ready.pop(number)
            self._run(number, self._merged(gang.lanes), gang.turns)

    def _pick(self) -> int | None:
        if self.late is not None and all(gang.turns for gang in self.ready.values()):
            self.put(0, self.late, 0)
            self.late = None
        if not self.ready:
            self._stuck()
            return None
        if len(self.ready) == 1:
            return next(iter(self.ready))
        segments = self.program.segments
        return min(self.ready, key=lambda number: (self.ready[number].turns, segments[number].place))

    def _merged(self, parts: list[Lanes]) -> Lanes:
        if len(parts) == 1:
            return parts[0]
        lanes = np.sort(np.concatenate([self.wave.numbers(part) for part in parts]))
        return None if len(lanes) == self.wave.count else lanes

    def put(self, number: int, lanes: Lanes, turns: int) -> None:
        """Threads are ready to run a segment."""
        gang = self.ready.get(number)
        if gang is None:
            self.ready[number] = _Gang(turns, [lanes])
        else:
            gang.lanes.append(lanes)
            gang.turns = min(gang.turns, turns)

    def _run(self, number: int, lanes: Lanes, turns: int) -> None:
        segment = self.program.segments[number]
        if number not in self.bodies:
            self._lower(number)
        if segment.together:
            lanes = self._assemble(number, segment, lanes)
            if lanes is not None and not len(lanes):
                return
        launch = self.launch
        length = segment.stop - segment.start
        launch.steps += length
        if launch.steps > launch.limit:
            last = self.program.instructions[max(segment.start, segment.stop - 1)]
            raise TooLong(
                f"kernel {self.program.name} ran more than {launch.limit} steps, at last {last.text!r} "
                f"(line {last.line} of the PTX); raise limit= if it is meant to",
                kernel=self.program.name, line=last.line, instruction=last.text,
            )  # fmt: skip
        if launch.checks and length:
            self._count(segment, lanes)
        if self.watch is not None:
            self._watched(self.watch, number, lanes)
        else:
            for step in self.bodies[number]:
                step(lanes)
        self.ends[number](lanes, turns)

    def _watched(self, watch: Watcher, number: int, lanes: Lanes) -> None:
        who = self.wave.numbers(lanes)
        for at, step in enumerate(self.bodies[number], self.program.segments[number].start):
            watch.before(at, who)
            step(lanes)
            watch.after(at, who)

    def _count(self, segment: Segment, lanes: Lanes) -> None:
        wave, counters = self.wave, self.launch.counters
        if lanes is None:
            threads, warps = wave.count, len(wave.alive_bits)
        else:
            threads, warps = len(lanes), self._warps(lanes)
        length = segment.stop - segment.start
        counters.threads += threads * length
        counters.warps += warps * length
        self.launch.executed[segment.start] = self.launch.executed.get(segment.start, 0) + warps

    def _warps(self, lanes: Array) -> int:
        number = self.wave.warp[lanes]
        return int(1 + np.count_nonzero(number[1:] != number[:-1])) if len(number) else 0

    # ---- exits

    def _exit(self, i: Instruction, following: int) -> Callable[[Lanes, int], None]:
        if i.guard is None:
            return lambda lanes, turns: self.leave(lanes)
        guard, negated = self.wave.view(i.guard.name, "pred"), i.negated

        def end(lanes: Lanes, turns: int) -> None:
            who = self.wave.numbers(lanes)
            leaving = guard[who] ^ negated
            if not leaving.all():
                self.put(following, lanes if not leaving.any() else who[~leaving], turns)
            if leaving.any():
                self.leave(lanes if leaving.all() else who[leaving])

        return end

    def leave(self, lanes: Lanes) -> None:
        """Threads exit; others may have waited for that alone."""
        wave = self.wave
        who = wave.numbers(lanes)
        wave.alive[who] = False
        wave.alive_in_block -= np.bincount(wave.block[who], minlength=wave.blocks)
        np.bitwise_and.at(wave.alive_bits, wave.warp[who], ~wave.bit[who])
        wave.progress += 1
        for barrier in list(self.at_barrier):
            self._release(barrier)
        for number, parts in self.at_warp.items():
            for part in parts:
                self.put(number, part, 0)
        self.at_warp.clear()

    # ---- branches

    def _branch(
        self, number: int, segment: Segment, i: Instruction, at: int, following: int
    ) -> Callable[[Lanes, int], None]:
        target = self.program.segment_at[branch_targets(self.program, i)[0]]
        polls = segment.polls and target in segment.loops_to

        def taken(lanes: Lanes, turns: int) -> None:
            self.put(target, lanes, turns + 1 if polls else turns)
            if polls:
                self._watch_progress(i, lanes)

        if i.guard is None:
            return taken
        guard, negated = self.wave.view(i.guard.name, "pred"), i.negated
        fall_polls = segment.polls and following in segment.loops_to

        def end(lanes: Lanes, turns: int) -> None:
            true = guard if lanes is None else guard[lanes]
            if negated:
                true = ~true
            yes = int(np.count_nonzero(true))
            if yes == len(true):
                yes_lanes, no_lanes = lanes, None
            elif yes:
                who = self.wave.numbers(lanes)
                yes_lanes, no_lanes = who[true], who[~true]
            else:
                no_lanes = lanes
            if self.launch.checks:
                self._count_branch(at, i, lanes, yes_lanes if yes else None, no_lanes if 0 < yes < len(true) else None)
            if yes < len(true):
                self.put(following, no_lanes, turns + 1 if fall_polls else turns)
                if fall_polls:
                    self._watch_progress(i, no_lanes)
            if yes:
                taken(yes_lanes, turns)

        return end

    def _count_branch(self, at: int, i: Instruction, lanes: Lanes, yes: Lanes, no: Lanes) -> None:
        entry = self.launch.counters.branches.get(at)
        if entry is None:
            entry = self.launch.counters.branches[at] = Branches(i)
        warps = len(self.wave.alive_bits) if lanes is None else self._warps(lanes)
        entry.warps += warps
        if yes is not None and no is not None:
            entry.diverged += self._warps(yes) + self._warps(no) - warps

    def _table_branch(self, i: Instruction, at: int) -> Callable[[Lanes, int], None]:
        """``brx.idx``: the branch's number in a table comes from a register."""
        targets = [self.program.segment_at[target] for target in branch_targets(self.program, i)]
        if not targets or i.guard is not None:
            raise unknown(i, "table")
        read = self.wave.reader(i.operands[0], "u32")

        def end(lanes: Lanes, turns: int) -> None:
            who = self.wave.numbers(lanes)
            index = np.broadcast_to(read(lanes), who.shape)
            for which in np.unique(index):
                if which >= len(targets):
                    lane = int(who[np.flatnonzero(index == which)[0]])
                    raise unknown(i, f"index {which} of {self.wave.who(lane)}, beyond the table,")
                self.put(targets[int(which)], who[index == which], turns)

        return end

    def _watch_progress(self, i: Instruction, lanes: Lanes) -> None:
        """A poll was in vain: when nothing else happens for long, nothing ever will."""
        if self.wave.progress != self.seen_progress:
            self.seen_progress, self.idle = self.wave.progress, 0
            return
        self.idle += 1
        if self.idle > PATIENCE:
            lane = int(self.wave.numbers(lanes)[0])
            raise Deadlock(
                f"kernel {self.program.name}: {self.wave.who(lane)} polls at {i.place} for what no other thread will "
                f"write; {self._waiting_words()}",
                kernel=self.program.name, instruction=i.text, source=i.source, thread=self.wave.who(lane),
            )  # fmt: skip

    # ---- warps

    def _mask_of(self, segment: Segment) -> Callable[[Lanes], Any] | None:
        """The mask of the instruction that a segment waits for."""
        if not segment.together:
            return None
        i = self.program.instructions[segment.start]
        if i.name in ("shfl", "vote", "match", "redux", "elect"):
            return self.wave.reader(i.operands[-1], "b32")
        if is_warp_barrier(i):
            return self.wave.reader(i.operands[0], "b32")
        full = np.uint32(0xFFFFFFFF)
        return lambda lanes: full

    def _assemble(self, number: int, segment: Segment, lanes: Lanes) -> Lanes:
        """Those of the threads whose whole mask has come; the others wait here."""
        wave, i = self.wave, self.program.instructions[segment.start]
        mask = self.masks[number]
        earlier = self.at_warp.pop(number, [])
        if earlier:
            lanes = self._merged([lanes, *earlier])
        who = wave.numbers(lanes)
        taking = who
        if i.guard is not None:
            taking = who[wave.view(i.guard.name, "pred")[who] ^ i.negated]
        if not len(taking):
            return lanes
        masks = np.broadcast_to(mask(None if len(taking) == wave.count else taking), taking.shape)
        if self.launch.checks:
            warp.check_masks(wave, i, taking, masks)
        came = warp.together(wave, taking)
        missing = (masks & wave.alive_bits[wave.warp[taking]] & ~came[wave.warp[taking]]) != 0
        if missing.any():
            self.at_warp.setdefault(number, []).append(taking[missing])
            gone = np.zeros(wave.count, bool)
            gone[taking[missing]] = True
            who = who[~gone[who]]
            lanes, taking, masks = who, taking[~missing], masks[~missing]
            if not len(lanes):
                return lanes
        if is_warp_barrier(i) and len(taking):
            if self.launch.checks:
                wave.order.warp_barrier(taking, masks)
            wave.progress += 1
        return lanes

    # ---- barriers

    def _barrier(self, i: Instruction, at: int, following: int) -> Callable[[Lanes, int], None]:
        """``bar.sync a{, b}``, ``bar.arrive a, b``, ``bar.red.op d, a{, b}, p`` (9.7.13.1)."""
        arrives, reduces = i.has("arrive"), i.has("red")
        operands = list(i.operands[1:] if reduces else i.operands)
        predicate = operands.pop() if reduces else None
        if not all(isinstance(operand, Immediate) for operand in operands[:1]):
            raise unknown(i, "barrier in a register")
        name = operands[0].value if operands and isinstance(operands[0], Immediate) else 0
        count = None
        if len(operands) > 1:
            if not isinstance(operands[1], Immediate):
                raise unknown(i, "number of threads in a register")
            count = operands[1].value
        whole = count is None or count == self.wave.threads
        reads = self.wave.reader(predicate, "pred") if predicate is not None else None
        self._expected[at] = count
        if reduces:
            operation = next(part for part in i.parts if part in ("popc", "and", "or"))
            kind = "u32" if operation == "popc" else "pred"
            self._reductions[at] = (operation, self.wave.writer(i.operands[0], kind))

        def end(lanes: Lanes, turns: int) -> None:
            wave = self.wave
            if i.guard is not None:
                who = wave.numbers(lanes)
                true = wave.view(i.guard.name, "pred")[who] ^ i.negated
                if not true.all():
                    self.put(following, who[~true], turns)
                    lanes = who[true]
                    if not len(lanes):
                        return
            if lanes is None and whole and not arrives and reads is None:
                self._passed(np.arange(wave.blocks))
                self.put(following, None, turns)
                return
            who = wave.numbers(lanes)
            values = np.broadcast_to(reads(lanes), who.shape).copy() if reads is not None else None
            times = wave.order.arrive(who) if self.launch.partial_barriers else wave.order.clock
            self.at_barrier.setdefault(name, []).append(_Waiting(who, following, at, not arrives, times, values))
            if arrives:
                self.put(following, lanes, turns)
            self._release(name)

        return end

    def _passed(self, blocks: Array) -> None:
        """Whole blocks have passed a barrier."""
        self.launch.counters.barriers += len(blocks)
        self.wave.progress += 1
        if self.launch.checks:
            self.wave.order.block_barrier(blocks)

    def _release(self, name: int) -> None:
        """Let those blocks go on of which all that a barrier waits for have come."""
        wave, waiting = self.wave, self.at_barrier[name]
        came = np.zeros(wave.blocks, np.int64)
        expected = wave.alive_in_block.copy()
        for group in waiting:
            came += np.bincount(wave.block[group.lanes], minlength=wave.blocks)
            count = self._expected[group.number]
            if count is not None:
                expected[wave.block[group.lanes]] = count
        complete = (came >= expected) & (came > 0)
        if not complete.any():
            return
        blocks = np.flatnonzero(complete)
        if self.launch.checks:
            self._check_barrier(name, waiting, complete)
        whole = np.array([self._is_whole(waiting, int(block)) for block in blocks])
        if whole.any():
            self._passed(blocks[whole])
        for block in blocks[~whole]:
            wave.progress += 1
            self.launch.counters.barriers += 1
            if self.launch.checks:
                here = [(g.waits, g.lanes[wave.block[g.lanes] == block], g.times) for g in waiting]
                those = [(lanes, times) for _, lanes, times in here if len(lanes)]
                waited = np.concatenate([those[0][0][:0], *(lanes for waits, lanes, _ in here if waits)])
                wave.order.partial_barrier(int(block), those, waited)
        self._reduce(waiting, complete)
        left = []
        for group in waiting:
            go = complete[wave.block[group.lanes]]
            if go.any() and group.waits:
                lanes = group.lanes[go]
                self.put(group.after, None if len(lanes) == wave.count else lanes, 0)
            if not go.all():
                values = group.values[~go] if group.values is not None else None
                left.append(_Waiting(group.lanes[~go], group.after, group.number, group.waits, group.times, values))
        if left:
            self.at_barrier[name] = left
        else:
            del self.at_barrier[name]

    def _is_whole(self, waiting: list[_Waiting], block: int) -> bool:
        """Whether a barrier is of all threads of a block, all of which wait."""
        for group in waiting:
            if (self.wave.block[group.lanes] == block).any():
                if self._expected[group.number] not in (None, self.wave.threads) or not group.waits:
                    return False
        return True

    def _reduce(self, waiting: list[_Waiting], complete: Array) -> None:
        wave = self.wave
        groups = [group for group in waiting if group.values is not None]
        if not groups:
            return
        true = np.zeros(wave.blocks, np.int64)
        total = np.zeros(wave.blocks, np.int64)
        for group in groups:
            assert group.values is not None
            true += np.bincount(wave.block[group.lanes], weights=group.values, minlength=wave.blocks).astype(np.int64)
            total += np.bincount(wave.block[group.lanes], minlength=wave.blocks)
        for group in groups:
            operation, write = self._reductions[group.number]
            lanes = group.lanes[complete[wave.block[group.lanes]]]
            answer = {"popc": true, "and": true == total, "or": true > 0}[operation][wave.block[lanes]]
            write(lanes, answer.astype(np.uint32) if operation == "popc" else answer)

    def _check_barrier(self, name: int, waiting: list[_Waiting], complete: Array) -> None:
        """All threads of a block come to a whole barrier, all by the same instruction."""
        wave = self.wave
        first: dict[int, tuple[int, int]] = {}  # block -> (instruction, a thread of it)
        for group in waiting:
            blocks = wave.block[group.lanes]
            counted = self._expected[group.number] is not None
            keys = wave.warp[group.lanes] + wave.blocks if counted else blocks  # a counted one binds warps alone
            for key, place in zip(*np.unique(keys, return_index=True)):
                block = int(blocks[place])
                if not complete[block]:
                    continue
                lane = int(group.lanes[place])
                known = first.setdefault(int(key), (group.number, lane))
                if known[0] != group.number:
                    self._diverged(known[0], known[1], group.number, lane)
                if not counted and wave.alive_in_block[block] != wave.threads:
                    gone = int(np.flatnonzero((wave.block == block) & ~wave.alive)[0])
                    i = self.program.instructions[group.number]
                    raise BarrierDivergence(
                        f"kernel {self.program.name}: {i.place} is reached by {wave.who(lane)} but never by "
                        f"{wave.who(gone)}, which has left the kernel",
                        kernel=self.program.name, instruction=i.text, source=i.source, thread=wave.who(gone),
                    )  # fmt: skip

    def _diverged(self, number: int, lane: int, other: int, other_lane: int) -> None:
        i, j = self.program.instructions[number], self.program.instructions[other]
        raise BarrierDivergence(
            f"kernel {self.program.name}: {self.wave.who(lane)} waits at {i.place} and {self.wave.who(other_lane)} at "
            f"{j.place}: a barrier must be the same one for all",
            kernel=self.program.name, instruction=i.text, source=i.source, thread=self.wave.who(lane),
        )  # fmt: skip

    # ---- the end

    def _waiting_words(self) -> str:
        """Who waits where, for a message."""
        found = []
        for name, waiting in self.at_barrier.items():
            for group in waiting:
                if group.waits:
                    i = self.program.instructions[group.number]
                    found.append(f"{len(group.lanes)} threads wait at barrier {name}, {i.place}")
        for number, parts in self.at_warp.items():
            i = self.program.instructions[self.program.segments[number].start]
            found.append(f"{sum(len(part) for part in parts)} threads wait for their warp at {i.place}")
        return "; ".join(found) or "nobody waits"

    def _stuck(self) -> None:
        """Nothing is ready: the end, or a deadlock."""
        if not self.wave.alive.any():
            return
        waiting = [group for groups in self.at_barrier.values() for group in groups if group.waits]
        kind: type[Deadlock] | type[BarrierDivergence] = Deadlock
        facts: dict[str, Any] = {"kernel": self.program.name}
        if waiting:
            i = self.program.instructions[waiting[0].number]
            facts |= {"instruction": i.text, "source": i.source, "thread": self.wave.who(int(waiting[0].lanes[0]))}
            if self._expected[waiting[0].number] is None:
                kind = BarrierDivergence
        raise kind(f"kernel {self.program.name} cannot go on: {self._waiting_words()}", **facts)
