"""How many blocks of a kernel fit on a multiprocessor, from its registers, shared memory and threads.

The limits are those of the CUDA C++ Programming Guide 13.0, table "Technical specifications per compute capability";
registers are given out to warps in units of 256, shared memory in units of 128 bytes (256 before 8.0) with 1 KiB of the
system's own per block from 8.0 on (CUDA Occupancy Calculator).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one multiprocessor has: warps, blocks, bytes of shared memory, of that for one block at most, bytes that
    each block costs beside its own, and the unit in which they are given out."""

    warps: int
    blocks: int
    shared: int
    shared_per_block: int
    reserved: int = 1024
    unit: int = 128


LIMITS = {
    "75": Limits(32, 16, 64 << 10, 64 << 10, 0, 256),
    "80": Limits(64, 32, 164 << 10, 163 << 10),
    "86": Limits(48, 16, 100 << 10, 99 << 10),
    "89": Limits(48, 24, 100 << 10, 99 << 10),
    "90": Limits(64, 32, 228 << 10, 227 << 10),
}
REGISTERS = 65536  # of each multiprocessor, on all of them
_REGISTER_UNIT, _WARP_UNIT = 256, 4


@dataclass(frozen=True)
class Occupancy:
    """Blocks and warps that are resident at once, the share of the possible warps, and what limits them."""

    blocks: int
    warps: int
    share: float
    limit: str


def occupancy(threads: int, registers: int, shared: int, architecture: str = "90") -> Occupancy:
    """Resident blocks of ``threads`` threads with ``registers`` each and ``shared`` bytes per block.

    architecture: "75", "80", "86", "89", "90" (also "sm_90"); ValueError for another.

    >>> occupancy(256, 64, 0, "80")
    Occupancy(blocks=4, warps=32, share=0.5, limit='registers')
    """
    name = architecture.removeprefix("sm_").rstrip("a")
    if name not in LIMITS:
        raise ValueError(f"no limits are known for {architecture!r}; known: {', '.join(LIMITS)}")
    if threads < 1:
        raise ValueError(f"a block has at least one thread, not {threads}")
    limits = LIMITS[name]
    warps = -(-threads // 32)
    per_warp = -(-registers * 32 // _REGISTER_UNIT) * _REGISTER_UNIT
    by_registers = REGISTERS // per_warp // _WARP_UNIT * _WARP_UNIT // warps if registers else limits.blocks
    bytes_ = -(-(shared + limits.reserved) // limits.unit) * limits.unit
    by_shared = limits.blocks if not bytes_ else 0 if shared > limits.shared_per_block else limits.shared // bytes_
    possible = {
        "warps": limits.warps // warps, "blocks": limits.blocks, "registers": by_registers, "shared memory": by_shared,
    }  # fmt: skip
    limit = min(possible, key=lambda key: possible[key])
    blocks = possible[limit]
    return Occupancy(blocks, blocks * warps, blocks * warps / limits.warps, limit)
