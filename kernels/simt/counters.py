"""What a launch did, counted: what a teacher shows of a kernel.

All counts are of the instructions of the PTX, before the last compiler (ptxas) has merged and scheduled them; none is a
time. A *request* is one instruction of one warp. Global memory is moved in sectors of 32 bytes: a request's sectors,
against those that its bytes would fill at best, are its coalescing efficiency. Shared memory has 32 banks of 4 bytes: a
request takes as many turns as the fullest bank has different words to give (8 and 16 bytes per thread are asked for by
half and by quarter warps).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt.occupancy import Occupancy, occupancy
from tinydl.kernels.simt.ptx import Instruction

Array = NDArray[Any]

SECTOR, BANKS = 32, 32


@dataclass
class Accesses:
    """One memory instruction: its requests, the sectors (global) or turns (shared) they took, and the fewest."""

    instruction: Instruction
    space: str
    requests: int = 0
    threads: int = 0
    taken: int = 0
    best: int = 0

    @property
    def efficiency(self) -> float:
        """best / taken: 1 is perfect coalescing, or no bank conflict."""
        return self.best / self.taken if self.taken else 1.0

    @property
    def conflicts(self) -> int:
        """Turns of shared memory beyond the first."""
        return self.taken - self.best if self.space == "shared" else 0


@dataclass
class Branches:
    """One branch: how often a warp came to it, and how often its threads went both ways."""

    instruction: Instruction
    warps: int = 0
    diverged: int = 0


@dataclass
class Counters:
    """The counts of one launch.

    threads: instructions, one count per thread that executed them; warps: the same per warp; mix: by the first part of
    the opcode, per warp; barriers: block barriers passed, one per block; waves: groups of blocks that ran together;
    steps: instructions that were executed, each for all threads that were at it.
    Accesses and branches are counted by the instruction's number, when the launch checks; otherwise they are empty. Of
    ``cp.async`` the write of shared memory stands at its number n, the read of global memory at ~n.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int = 0
    threads: int = 0
    warps: int = 0
    barriers: int = 0
    waves: int = 0
    steps: int = 0
    mix: Counter[str] = field(default_factory=Counter)
    accesses: dict[int, Accesses] = field(default_factory=dict)
    branches: dict[int, Branches] = field(default_factory=dict)

    def _sum(self, space: str, what: str) -> int:
        return sum(getattr(a, what) for a in self.accesses.values() if a.space == space)

    @property
    def sectors(self) -> int:
        """Sectors of 32 bytes of global memory, moved for all requests."""
        return self._sum("global", "taken")

    @property
    def coalescing(self) -> float:
        """Sectors that the bytes asked for would fill at best, over those moved."""
        return self._sum("global", "best") / self.sectors if self.sectors else 1.0

    @property
    def bank_conflicts(self) -> int:
        """Turns of shared memory beyond the first of each request."""
        return self._sum("shared", "taken") - self._sum("shared", "best")

    @property
    def divergence(self) -> float:
        """The share of branches, per warp, at which threads went both ways."""
        passed = sum(b.warps for b in self.branches.values())
        return sum(b.diverged for b in self.branches.values()) / passed if passed else 0.0

    @property
    def active(self) -> float:
        """The share of a warp's 32 threads that took part in an instruction, on average."""
        return self.threads / (32 * self.warps) if self.warps else 1.0

    def occupancy(self, registers: int, architecture: str = "90") -> Occupancy:
        """How many of its blocks fit on a multiprocessor, given the registers that the compiler reports."""
        return occupancy(self.block[0] * self.block[1] * self.block[2], registers, self.shared, architecture)

    def facts(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "kernel": self.kernel, "grid": list(self.grid), "block": list(self.block), "shared": self.shared,
            "thread_instructions": self.threads, "warp_instructions": self.warps, "active": round(self.active, 4),
            "barriers": self.barriers, "waves": self.waves, "mix": dict(self.mix.most_common()),
            "sectors": self.sectors, "coalescing": round(self.coalescing, 4), "bank_conflicts": self.bank_conflicts,
            "divergence": round(self.divergence, 4),
            "accesses": [
                {
                    "instruction": a.instruction.text, "source": a.instruction.source, "space": a.space,
                    "requests": a.requests, "taken": a.taken, "best": a.best, "efficiency": round(a.efficiency, 4),
                }
                for _, a in sorted(self.accesses.items(), key=lambda item: max(item[0], ~item[0]))
            ],
            "branches": [
                {
                    "instruction": b.instruction.text, "source": b.instruction.source, "warps": b.warps,
                    "diverged": b.diverged,
                }
                for _, b in sorted(self.branches.items())
            ],
        }  # fmt: skip


def sectors(warp: Array, address: Array, width: int) -> tuple[int, int, int]:
    """(requests, sectors moved, sectors at best) of accesses of ``width`` bytes; warps stand in ascending order."""
    first = address // SECTOR
    last = (address + (width - 1)) // SECTOR
    if (first != last).any():  # cannot be, while every access is aligned and at most 32 bytes wide
        raise ValueError("an access spans two sectors")
    key = warp * (1 << 44) + first.astype(np.int64) % (1 << 44)
    moved = _distinct(key)
    starts = _starts(warp)
    unique = warp * (1 << 44) + address.astype(np.int64) % (1 << 44)
    if starts.size == 1 or _distinct(unique) == unique.size:
        counts = np.diff(np.append(starts, warp.size))
    else:
        counts = np.unique(np.unique(unique) >> 44, return_counts=True)[1]
    best = int((-(-counts * width // SECTOR)).sum())
    return int(starts.size), moved, min(best, moved)


def turns(warp: Array, lane: Array, offset: Array, width: int) -> tuple[int, int, int]:
    """(requests, turns taken, turns at best) of accesses to shared memory."""
    if width <= 4 and warp.size % 32 == 0 and (lane.reshape(-1, 32) == np.arange(32)).all():
        return _turns_of_whole_warps((offset >> 2).astype(np.int32).reshape(-1, 32))
    parts = max(1, width // 4)
    group = warp * parts + lane // (32 // parts)  # threads that are served together
    place = np.cumsum(np.append(False, group[1:] != group[:-1]))
    words = (offset[:, None] // 4 + np.arange(parts)).ravel()
    key = np.sort((np.repeat(place, parts) << 32) | words)
    distinct = key[np.append(True, key[1:] != key[:-1])]
    bank = (distinct >> 32) * BANKS + (distinct & 0xFFFFFFFF) % BANKS
    groups = int(place[-1]) + 1
    load = np.bincount(bank, minlength=groups * BANKS).reshape(-1, BANKS).max(axis=1)
    return int(_starts(warp).size), int(load.sum()), groups


def _turns_of_whole_warps(words: Array) -> tuple[int, int, int]:
    """Of one word per thread (warps, 32)."""
    words = np.sort(words, axis=1)
    distinct = np.ones(words.shape, bool)
    np.not_equal(words[:, 1:], words[:, :-1], out=distinct[:, 1:])
    bank = (words & (BANKS - 1)) + np.arange(len(words))[:, None] * BANKS
    load = np.bincount(bank[distinct], minlength=len(words) * BANKS).reshape(-1, BANKS).max(axis=1)
    return len(words), int(load.sum()), len(words)


def _starts(warp: Array) -> Array:
    """Where each warp's threads begin."""
    return np.flatnonzero(np.append(True, warp[1:] != warp[:-1]))


def _distinct(key: Array) -> int:
    ordered = np.sort(key)
    return int(1 + np.count_nonzero(ordered[1:] != ordered[:-1])) if key.size else 0
