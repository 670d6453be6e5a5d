"""Memory that a step of each of the ``works`` needs beyond what lies there between steps, beside PyTorch's.

Before a step all freed memory goes back to the system (glibc's ``malloc_trim``) and the record of the process's
greatest size is begun anew (``/proc/self/clear_refs``); afterwards that record less the size before is the figure. What
our kernels keep from step to step as scratch memory is added to ours; PyTorch has no such count. Parameters, inputs and
the state of optimizers, which both have alike, and both libraries' code do not count.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
from collections.abc import Callable
from pathlib import Path

from tinydl.benchmarks import works
from tinydl.benchmarks.harness import WHOLE, Absent, Benchmark, Job

STATUS, PEAK_BEGINS_ANEW = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(name: str) -> int:
    """Bytes of this process's memory: ``VmRSS``, now, or ``VmHWM``, the most there were."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def peak_of(step: Callable[[], object]) -> int:
    """Bytes that a step needs at most beyond what there was before; a page where it needs less than that."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    PEAK_BEGINS_ANEW.write_text("5")
    before = resident("VmRSS")
    step()
    return max(resident("VmHWM") - before, mmap.PAGESIZE)


def side(name: str, variant: str = "") -> Callable[[str], Job]:
    """One column: the jobs of ``works``, a step of which reports bytes instead of seconds."""

    def make(case: str) -> Job:
        if not (PEAK_BEGINS_ANEW.exists() and hasattr(ctypes.CDLL(None), "malloc_trim")):
            raise Absent("this system does not tell a process its peak")
        job = works.side(name, variant)(case)

        def step() -> dict[str, float]:
            from tinydl.kernels import workspace

            scratch = workspace.held() if name == "tinydl" else 0
            return {WHOLE: float(peak_of(job.step) + scratch)}

        return Job(step, job.check)

    return make


BENCHMARK = Benchmark(
    name="memory",
    title="peak memory of a step of each of the works, beside PyTorch's (bar: at most 1.1 times)",
    sides={"tinydl": side("tinydl"), works.EAGER: side("torch", works.EAGER)},
    cases=works.BENCHMARK.cases,
    unit="MB",
    repeats=5,
    tolerance=works.BENCHMARK.tolerance,
    max_delay=float("inf"),  # neighbours take no memory of ours
    sample_seconds=0.0,  # one step is a sample
    pause=0.0,
)
