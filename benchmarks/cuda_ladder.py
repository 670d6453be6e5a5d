"""The tables of ``docs/cuda.md``: the rungs of the CUDA ladders, and what the virtual GPU counts of each.

    python -m tinydl.benchmarks.cuda_ladder

counts and puts them into the page. It needs NVRTC (``pip install tinydl[nvrtc]``), and no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.benchmarks import gpu, harness, report
from tinydl.kernels import simt
from tinydl.kernels.gpu import Call, CudaKernel
from tinydl.kernels.simt import Counters
from tinydl.lab import cuda

PAGE = harness.RESULTS.parents[1] / "docs" / "cuda.md"


@dataclass(frozen=True)
class Ladder:
    """The rungs of an operation, from the lowest: their names, and what each does that the one before does not."""

    op: str
    arguments: Callable[[], tuple[Any, ...]]
    ideas: Mapping[str, str]


def _numbers(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)


def _norm_backward() -> tuple[Any, ...]:
    x, g, weight = _numbers((64, 512), (64, 512), (512,))
    rstd = 1 / np.sqrt(x.var(1) + np.float32(1e-5))
    return g, x, weight, x.mean(1), rstd.astype(np.float32)


#: By the name of its table.
LADDERS = {
    "matmul": Ladder(
        "matmul", lambda: _numbers((128, 128), (128, 128)),
        {
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
        },
    ),
    "skinny": Ladder(
        "matmul", lambda: _numbers((1, 512), (512, 128)),
        {
            "vectors": "the sixth rung, for comparison",
            "async": "the ninth",
            "skinny": "one row: B read once, by as many blocks as there are parts",
        },
    ),
    "softmax": Ladder(
        "softmax", lambda: (*_numbers((32, 1000)), 1),
        {
            "naive": "a thread per row, three passes",
            "warp": "a warp per row, which stays in its registers",
            "online": "a block per row of any length, greatest number and sum in one pass",
        },
    ),
    "norm": Ladder(
        "layer_norm_forward", lambda: (*_numbers((64, 512), (512,), (512,)), 1e-5),
        {
            "block": "a block per row of any length, two passes",
            "warp": "a warp per row, which stays in its registers",
        },
    ),
    "norm backward": Ladder(
        "layer_norm_backward", _norm_backward,
        {
            "block": "launches for dx, for strips of dweight and dbias, and for their sums",
            "fused": "all from one reading of x and g, and a launch for the sums",
        },
    ),
    "convolution": Ladder(
        "conv_forward",
        lambda: (*_numbers((1, 8, 1, 16, 32), (16, 8, 1, 3, 3)), (1, 1, 1), (0, 1, 1), (1, 1, 1), 1),
        {
            "direct": "a thread per number of the result",
            "tiled": "what a tile reads, and the filters, in shared memory; 8 filters per thread",
            "implicit": "a product of matrices whose numbers are found on the fly; 4 × 8 sums per thread",
        },
    ),
}  # fmt: skip


@dataclass
class Counted:
    """What a rung's launches counted, together; registers and occupancy are those of the one that issues most."""

    kernel: CudaKernel
    launches: list[Counters]
    least: int  # sectors of the arguments read once and the results written once
    registers: int
    occupancy: float

    def cells(self) -> Iterable[str]:
        """Of a row of the table."""
        shared = sum(a.taken for c in self.launches for a in c.accesses.values() if a.space == "shared")
        sectors, conflicts, warps, barriers = (
            sum(getattr(c, what) for c in self.launches) for what in ("sectors", "bank_conflicts", "warps", "barriers")
        )
        yield f"{sectors:,}"
        yield f"{sectors / self.least:.1f}"
        yield from (f"{n:,}" for n in (shared, conflicts, warps, barriers, self.registers))
        yield f"{self.occupancy:.0%}"
        yield gpu.standing(self.kernel)


def counted(op: str, name: str, arguments: tuple[Any, ...]) -> Counted:
    """Compile and execute a rung."""
    (kernel,) = cuda.chosen([f"{op}:cuda.{name}"])
    calls, results = cuda.planned(kernel, arguments)
    made = {entry: cuda.compiled_alone(kernel, kernel.text(), entry, True) for entry in {c.entry for c in calls}}

    def launch(call: Call, args: list[Any]) -> Counters:
        return simt.launch(made[call.entry].ptx, call.entry, call.grid, call.block, args, shared=call.shared)

    problem, launches = cuda.execute(kernel, launch, arguments)
    if problem:
        raise AssertionError(f"{kernel.key}: {problem}")
    moved = sum(a.nbytes for a in (*arguments, *results) if isinstance(a, np.ndarray))
    most = max(launches, key=lambda c: c.warps)
    taken = made[most.kernel].resources[most.kernel].registers
    return Counted(kernel, launches, -(-moved // 32), taken, most.occupancy(taken, cuda.EXECUTED).share)


HEAD = (
    "sectors", "× least", "turns of shared memory", "of them conflicts", "instructions", "barriers", "registers",
    "warps", "on hardware",
)  # fmt: skip


def table(name: str) -> str:
    """A ladder's, in Markdown."""
    ladder = LADDERS[name]
    arguments = ladder.arguments()
    lines = [f"| rung | idea | {' | '.join(HEAD)} |", "|---|---|" + "---:|" * (len(HEAD) - 1) + "---|"]
    for rung, idea in ladder.ideas.items():
        lines.append(f"| `{rung}` | {idea} | {' | '.join(counted(ladder.op, rung, arguments).cells())} |")
    return "\n".join(lines)


def update(page: Path = PAGE) -> None:
    """Count, and put the tables into the page."""
    text = page.read_text(encoding="utf-8")
    for name in LADDERS:
        before, _, after = report.between(text, name)
        text = f"{before}\n\n{table(name)}\n\n{after}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    update()
