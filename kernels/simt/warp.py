"""Instructions that the threads of a warp execute together: shuffles, votes, matches, reductions (9.7.9, 9.7.13).

When a step of these runs, the scheduler has already brought all threads of each mask to it. Values are exchanged
through a table with a row per warp and a column per lane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels.simt import matrix
from tinydl.kernels.simt.alu import unknown
from tinydl.kernels.simt.errors import WarpMask
from tinydl.kernels.simt.ptx import Instruction, Pair
from tinydl.kernels.simt.wave import Array, Lanes, Step, Wave

_ALL = np.uint32(0xFFFFFFFF)


def together(wave: Wave, lanes: Array) -> Array:
    """For each warp of the wave, the bits of these lanes."""
    if len(lanes) == wave.count:
        return wave.alive_bits
    bits = np.bincount(wave.warp[lanes], weights=wave.bit[lanes], minlength=len(wave.alive_bits))  # exact: below 2^53
    return bits.astype(np.uint32)


def spread(wave: Wave, lanes: Array, values: Array) -> Array:
    """The values as a table (warps, 32); zero where no lane is."""
    table = np.zeros((len(wave.alive_bits), 32), values.dtype)
    table[wave.warp[lanes], wave.lane[lanes]] = values
    return table


# -- shuffles ----------------------------------------------------------------------------------------------------------


def _lower_shfl(wave: Wave, i: Instruction, number: int) -> Step:
    """``shfl.sync.mode.b32 d|p, a, b, c, mask`` (the pseudo-code of 9.7.9.6)."""
    mode = next(part for part in i.parts if part in ("up", "down", "bfly", "idx"))
    target = i.operands[0]
    write = wave.writer(target.first if isinstance(target, Pair) else target, "b32")
    write_ok: Callable[[Lanes, Any], None] = (
        wave.writer(target.second, "pred") if isinstance(target, Pair) else lambda lanes, value: None
    )
    a, b, c = (wave.reader(operand, "b32") for operand in i.operands[1:4])
    mask = wave.reader(i.operands[4], "b32") if i.has("sync") else (lambda lanes: _ALL)

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        lane = wave.lane[who]
        shift = np.broadcast_to(b(lanes), who.shape).astype(np.int64) & 31
        control = np.broadcast_to(c(lanes), who.shape).astype(np.int64)
        clamp, segment = control & 31, (control >> 8) & 31
        highest = (lane & segment) | (clamp & ~segment)
        lowest = lane & segment
        if mode == "up":
            source = lane - shift
            ok = source >= highest
        elif mode == "down":
            source = lane + shift
            ok = source <= highest
        elif mode == "bfly":
            source = lane ^ shift
            ok = source <= highest
        else:
            source = lowest | (shift & ~segment)
            ok = source <= highest
        source = np.where(ok, source, lane)
        here = together(wave, who)[wave.warp[who]] & np.broadcast_to(mask(lanes), who.shape)
        absent = ((here >> source.astype(np.uint32)) & np.uint32(1)) == 0
        values = spread(wave, who, np.broadcast_to(a(lanes), who.shape))[wave.warp[who], source]
        if absent.any():
            values = np.where(absent, _ALL, values)  # undefined: poison, which shows if it is used
        write(lanes, values)
        write_ok(lanes, ok)

    return step


# -- votes, matches, reductions ----------------------------------------------------------------------------------------


def _mask(wave: Wave, i: Instruction) -> Callable[[Lanes], Any]:
    return wave.reader(i.operands[-1], "b32") if i.has("sync") else (lambda lanes: _ALL)


def _lower_vote(wave: Wave, i: Instruction, number: int) -> Step:
    """``vote.sync.all.pred``, ``any``, ``uni``, and ``ballot.b32``."""
    mode = next(part for part in i.parts if part in ("all", "any", "uni", "ballot"))
    read, mask = wave.reader(i.operands[1], "pred"), _mask(wave, i)
    write = wave.writer(i.operands[0], "b32" if mode == "ballot" else "pred")

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        true = np.broadcast_to(read(lanes), who.shape)
        here = together(wave, who)[wave.warp[who]] & mask(lanes)
        bits = together(wave, who[true])[wave.warp[who]] & here if not true.all() else here
        answers = {"ballot": bits, "any": bits != 0, "all": bits == here, "uni": (bits == here) | (bits == 0)}
        write(lanes, answers[mode])

    return step


def _lower_activemask(wave: Wave, i: Instruction, number: int) -> Step:
    write = wave.writer(i.operands[0], "b32")

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        write(lanes, together(wave, who)[wave.warp[who]])

    return step


def _lower_match(wave: Wave, i: Instruction, number: int) -> Step:
    """``match.any.sync``: who has my value; ``match.all.sync``: the mask if all have it, else 0."""
    kind, every = i.type if i.type in ("b32", "b64") else "", i.has("all")
    if not kind:
        raise unknown(i, "type")
    target = i.operands[0]
    write = wave.writer(target.first if isinstance(target, Pair) else target, "b32")
    write_same: Callable[[Lanes, Any], None] = (
        wave.writer(target.second, "pred") if isinstance(target, Pair) else lambda lanes, value: None
    )
    read, mask = wave.reader(i.operands[1], kind), _mask(wave, i)

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        values = np.broadcast_to(read(lanes), who.shape)
        here = together(wave, who)[wave.warp[who]] & mask(lanes)
        table = spread(wave, who, values)[wave.warp[who]]
        equal = (table == values[:, None]) & (((here[:, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)) == 1)
        bits = (equal.astype(np.uint32) << np.arange(32, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
        if every:
            same = bits == here
            write(lanes, np.where(same, here, np.uint32(0)))
            write_same(lanes, same)
        else:
            write(lanes, bits)

    return step


def _lower_redux(wave: Wave, i: Instruction, number: int) -> Step:
    """``redux.sync``: a reduction of 32-bit integers over the mask, given to all."""
    functions: dict[str, tuple[Any, int]] = {
        "add": (np.add, 0), "min": (np.minimum, 0), "max": (np.maximum, 0), "and": (np.bitwise_and, 0),
        "or": (np.bitwise_or, 0), "xor": (np.bitwise_xor, 0),
    }  # fmt: skip
    operation = next((part for part in i.parts if part in functions), None)
    if operation is None or i.type not in ("u32", "s32", "b32"):
        raise unknown(i, "operation")
    function = functions[operation][0]
    read, write, mask = wave.reader(i.operands[1], i.type), wave.writer(i.operands[0], i.type), _mask(wave, i)

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        values = np.broadcast_to(read(lanes), who.shape)
        masks = np.broadcast_to(mask(lanes), who.shape)
        group = wave.warp[who].astype(np.int64) << 32 | masks.astype(np.int64)
        _, place = np.unique(group, return_inverse=True)
        order = np.argsort(place, kind="stable")
        starts = np.flatnonzero(np.append(True, np.diff(place[order]) != 0))
        write(lanes, function.reduceat(values[order], starts)[place])

    return step


def _lower_elect(wave: Wave, i: Instruction, number: int) -> Step:
    """``elect.sync d|p, mask``: the lowest lane of the mask."""
    target = i.operands[0]
    if not isinstance(target, Pair):
        raise unknown(i)
    write, write_chosen = wave.writer(target.first, "b32"), wave.writer(target.second, "pred")
    mask = _mask(wave, i)

    def step(lanes: Lanes) -> None:
        who = wave.numbers(lanes)
        here = together(wave, who)[wave.warp[who]] & mask(lanes)
        lowest = here & (~here + np.uint32(1))
        write(lanes, np.bitwise_count(lowest - np.uint32(1)).astype(np.uint32))
        write_chosen(lanes, wave.bit[who] == lowest)

    return step


def check_masks(wave: Wave, i: Instruction, lanes: Array, masks: Array) -> None:
    """A thread may only execute what its own mask names."""
    outside = (masks & wave.bit[lanes]) == 0
    if outside.any():
        lane = int(lanes[np.flatnonzero(outside)[0]])
        raise WarpMask(
            f"kernel {wave.program.name}: {i.place} is executed by {wave.who(lane)}, lane {int(wave.lane[lane])}, "
            f"which its mask {int(masks[np.flatnonzero(outside)[0]]):#010x} leaves out",
            kernel=wave.program.name, instruction=i.text, source=i.source, thread=wave.who(lane),
        )  # fmt: skip


TABLE: dict[str, Callable[[Wave, Instruction, int], Step]] = {
    "shfl": _lower_shfl, "vote": _lower_vote, "activemask": _lower_activemask, "match": _lower_match,
    "redux": _lower_redux, "elect": _lower_elect, "mma": matrix.lower_mma, "ldmatrix": matrix.lower_ldmatrix,
}  # fmt: skip
