"""A virtual GPU: PTX is executed on the CPU, one NumPy lane per thread, and watched while it runs.

:func:`launch` runs a kernel and returns its :class:`Counters`. See ``docs/simt.md`` for what is checked and what is not
modelled.
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
from tinydl.kernels.simt.memory import Fresh
from tinydl.kernels.simt.occupancy import Occupancy, occupancy
from tinydl.kernels.simt.ptx import parse

__all__ = [
    "LIMIT",
    "BarrierDivergence", "Counters", "Deadlock", "Fresh", "LaunchProblem", "Misaligned", "Occupancy", "OutOfBounds",
    "Race", "SimtError", "SyntaxProblem", "TooLong", "Uninitialised", "UnknownInstruction", "WarpMask", "launch",
    "occupancy", "parse",
]  # fmt: skip
