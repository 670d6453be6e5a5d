"""A virtual GPU: PTX is executed on the CPU, one NumPy lane per thread, and watched while it runs.

:func:`launch` runs a kernel and returns its :class:`Counters`. See ``docs/simt.md`` for what is checked and what is not
modelled. From the text to the counts::

    ptx.py         text to instructions            program.py    calls in line, labels resolved, cut into segments
    flow.py        in which order segments run     lowering.py   an instruction to a function on arrays
    alu.py         what instructions compute       floats.py     rounding, fused multiply-add, narrow formats
    wave.py        registers of some blocks        scheduler.py  branches, barriers, exits, deadlock
    memory.py      where arrays lie                spaces.py     checks of each access
    access.py      loads, stores, atomics, copies  warp.py       shuffles, votes; matrix.py: tensor cores
    races.py       what is ordered, what races     counters.py   sectors, conflicts; occupancy.py
    launching.py   a launch, from first to last    mutants.py    slips of a source; trace.py: a recording
"""

from __future__ import annotations

from tinydl.kernels.simt.counters import Counters
from tinydl.kernels.simt.errors import (
    BarrierDivergence,
    Deadlock,
    LaunchProblem,
    Misaligned,
    OutOfBounds,
    Race,
    SimtError,
    SyntaxProblem,
    TooLong,
    Uninitialised,
    UnknownInstruction,
    WarpMask,
)
from tinydl.kernels.simt.launching import LIMIT, launch
from tinydl.kernels.simt.memory import Fresh, Table
from tinydl.kernels.simt.occupancy import Occupancy, occupancy
from tinydl.kernels.simt.ptx import parse

__all__ = [
    "LIMIT",
    "BarrierDivergence", "Counters", "Deadlock", "Fresh", "LaunchProblem", "Misaligned", "Occupancy", "OutOfBounds",
    "Race", "SimtError", "SyntaxProblem", "Table", "TooLong", "Uninitialised", "UnknownInstruction", "WarpMask",
    "launch", "occupancy", "parse",
]  # fmt: skip
