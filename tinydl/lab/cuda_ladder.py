"""The table of the CUDA matmul ladder in ``docs/matmul.md``: what the virtual GPU counts of one product on every rung.

    python -m tinydl.lab.cuda_ladder [--write]

prints the table, or puts it between its marks in the page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tinydl.kernels import nvrtc
from tinydl.kernels.simt import Counters
from tinydl.lab import cuda

BEGIN, END = "<!-- cuda ladder: begin -->", "<!-- cuda ladder: end -->"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "matmul.md"

#: M = N = K of the product, and for the skinny rung N = 1 beside a square matrix.
SIDE = 128

#: What each rung does that the one before does not.
IDEAS = {
    "naive": "a thread per entry of C, neighbours down a column",
    "coalesced": "neighbours along a row",
    "tiled": "tiles of 16 × 16 in shared memory",
    "column": "8 entries of a column per thread, in registers",
    "square": "8 × 8 entries per thread",
    "vectors": "accesses of 16 bytes",
    "warps": "tiles for warps within the block's",
    "staged": "the next step of K on its way, in registers",
    "async": "three steps on their way, by `cp.async`; tiles shuffled instead of turned; strides, batches",
    "tf32": "tensor cores, numbers cut to 10 bits; opt-in",
    "tf32x3": "tensor cores, three products, as exact as float32",
    "bf16": "tensor cores, numbers cut to 7 bits; opt-in",
}


def counted(name: str) -> tuple[Counters, nvrtc.Resources]:
    """The counts of a rung's product of ``SIDE``, and what it takes on the architecture that was executed."""
    (kernel,) = cuda.chosen([f"matmul:cuda.{name}"])
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((SIDE, SIDE)).astype(np.float32) for _ in range(2))
    found = nvrtc.compile_cuda(
        kernel.text(), kernel.source.name, architecture=cuda.EXECUTED, include=cuda.folders(kernel.source)
    )
    problem, (counters,) = cuda.run(kernel, found.ptx, (a, b))
    if problem:
        raise AssertionError(f"{kernel.key}: {problem}")
    return counters, found.resources[counters.kernel]


def row(name: str) -> str:
    """One line of the table."""
    counters, taken = counted(name)
    there = counters.occupancy(taken.registers, cuda.EXECUTED)
    shared = sum(a.taken for a in counters.accesses.values() if a.space == "shared")
    numbers = (counters.sectors, shared, counters.bank_conflicts, counters.warps, counters.barriers, taken.registers)
    return f"| `{name}` | {IDEAS[name]} | " + " | ".join(f"{n:,}" for n in numbers) + f" | {there.share:.0%} |"


def table() -> str:
    """All of it."""
    head = "| rung | idea | sectors | turns of shared memory | of them conflicts | instructions | barriers | registers | "
    return "\n".join([head + "warps |", "|---|---|" + "---:|" * 7, *map(row, IDEAS)])


def written(page: str, made: str) -> str:
    """A page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), table()), encoding="utf-8")
    else:
        sys.stdout.write(table() + "\n")
