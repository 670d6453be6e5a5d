"""The control: plain Python and plain NumPy, none of our code. When it slows down, the machine did."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np

from tinydl.benchmarks import harness
from tinydl.benchmarks.harness import Benchmark, Job


def plain(case: str) -> Job:
    """A Python loop of 100,000 additions; a 512 x 512 float32 matrix product on all cores; a copy of 64 MiB."""
    if case == "python":

        def loop() -> None:
            total = 0
            for i in range(100_000):
                total += i

        return Job(loop)
    if case == "matmul":
        a, b, c = (np.full((512, 512), 0.5, np.float32) for _ in range(3))

        def matmul() -> None:
            np.matmul(a, b, out=c)

        return Job(matmul)
    source, target = np.ones(1 << 24, np.float32), np.empty(1 << 24, np.float32)

    def copy() -> None:
        np.copyto(target, source)

    return Job(copy)


BENCHMARK = Benchmark(
    name="control",
    title="plain Python and NumPy, to tell a slow machine from a slow change",
    sides={"plain": plain},
    cases=("python", "matmul", "copy"),
    repeats=5,
    sample_seconds=0.05,
    seconds=3.0,
)


def now(say: Callable[[str], None]) -> tuple[str, list[harness.Row]]:
    """The control's figures in this run, in words and as rows; a warning when this machine was faster before."""
    measured = list(harness.measure(BENCHMARK, say))
    for row in measured:
        before = [
            float(old["ours"])
            for old in harness.history("control")
            if (old["machine"], old["case"]) == (harness.machine(), row.case)
        ]
        if before and row.ours > 1.25 * statistics.median(before):
            times = row.ours / statistics.median(before)
            say(f"warning: the control ({row.case}) takes {times:.2f} times its usual time: this machine is slow now")
    return ", ".join(f"{row.case} {harness.figure(row.ours)} {row.unit}" for row in measured), measured
