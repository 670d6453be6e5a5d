"""The roofs of this machine: the most arithmetic and the most memory traffic that a kernel can hope for.

- **Arithmetic**: a matrix product of 1024^3, ours and BLAS's; the better one. A kernel that is no product may well stay
  below: its operations are rarely all multiplications with additions.
- **Memory**: y = a x over arrays that together fill half of the second-level caches, half of the third, and four times
  the third, by all threads at once. A byte counts when the loop reads or writes it; that a written line is fetched
  first is not counted, as in the cards' ``bytes``.

The time of each is the least of its samples: what a machine can do is what it once did.
(Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", 2009.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinydl.benchmarks import harness
from tinydl.benchmarks.harness import Benchmark, BenchmarkError, Job

SIZE = 1024  # M, N and K of the product
DTYPES = ("float32", "float64")
LEVELS = ("L2", "L3", "memory")


def threads() -> int:
    """How many threads kernels use here."""
    from tinydl.kernels.threads import get_num_threads

    return get_num_threads()


def capacities(count: int) -> dict[str, int]:
    """Bytes that ``count`` threads have in caches of each level; 1 MiB and 32 MiB where the system does not tell."""
    sizes = harness.cache_sizes()
    second = sizes.get("L2", 1 << 20) * count
    return {"L2": second, "L3": max(sizes.get("L3", 1 << 25), 2 * second)}


def _stream(level: str) -> Job:
    """There and back between two arrays, each thread its own stretch, so often that starting threads costs nothing."""
    from numba import prange

    from tinydl.kernels.cache import njit

    @njit(parallel=True)
    def stream(count: Any, rounds: Any, factor: Any, x: Any, y: Any) -> None:
        for index in prange(count):
            start, stop = len(x) * index // count, len(x) * (index + 1) // count
            here, there = x[start:stop], y[start:stop]
            for _ in range(rounds):
                for i in range(here.size):
                    there[i] = factor * here[i]
                for i in range(here.size):
                    here[i] = factor * there[i]

    count, have = threads(), capacities(threads())
    total = 4 * have["L3"] if level == "memory" else have[level] // 2
    x, y = np.ones(total // 8, np.float32), np.ones(total // 8, np.float32)
    rounds = max(1, (1 << 28) // total)
    work = 2 * rounds * (x.nbytes + y.nbytes)
    return Job(lambda: stream(count, rounds, np.float32(1), x, y), facts={"work": work, "threads": count})


def _product(variant: str, dtype: str) -> Job:
    from tinydl.kernels import use
    from tinydl.kernels.registry import lookup

    a, b = (np.full((SIZE, SIZE), 0.5, dtype) for _ in range(2))
    with use(matmul=variant):
        function = lookup("matmul", "cpu", dtype)
    return Job(partial(function, a, b), facts={"work": 2 * SIZE**3, "threads": threads()})


def _case(variant: str, case: str) -> Job:
    if case in DTYPES:
        return _product(variant, case)
    if variant == "blas":
        raise harness.Absent("memory is measured by our own loop")
    return _stream(case)


@dataclass(frozen=True)
class Roofs:
    """What was measured."""

    flops: Mapping[str, float]  # operations a second, by dtype
    bandwidth: Mapping[str, float]  # bytes a second, by level
    capacity: Mapping[str, int]  # bytes that a level holds
    threads: int

    def level(self, moved: int) -> str:
        """The nearest level that holds so many bytes."""
        return next((level for level, size in self.capacity.items() if moved <= size), LEVELS[-1])

    def attainable(self, flops: int, moved: int, dtype: str) -> float:
        """The most operations a second of a kernel with these costs whose data lie in the nearest level."""
        peak = self.flops.get(dtype, self.flops[DTYPES[0]])
        return min(peak, self.bandwidth[self.level(moved)] * flops / max(moved, 1))


def measure(say: Callable[[str], None]) -> Roofs:
    """Measure the roofs, once a run."""
    rates: dict[str, float] = {}
    count = 1
    with harness.at_work(BENCHMARK) as workers:
        for case in BENCHMARK.cases:
            taken = harness.take(BENCHMARK, case, workers, lambda line: None)
            if not taken:
                raise BenchmarkError(f"the roof of {case} cannot be measured")
            clean = [len(samples.clean) for samples in taken.values()]
            if not max(clean):
                say(f"warning: no sample of the roof of {case} was undisturbed; it may be higher")
            rates[case] = max(
                samples.facts["work"] / min(sample[harness.WHOLE] for sample in samples.clean + samples.noisy)
                for samples in taken.values()
            )
            count = next(iter(taken.values())).facts["threads"]
    return Roofs(
        {dtype: rates[dtype] for dtype in DTYPES}, {level: rates[level] for level in LEVELS}, capacities(count), count
    )


BENCHMARK = Benchmark(
    name="roofs",
    title="the most arithmetic and memory traffic of this machine: a product of 1024^3, a scaled copy",
    sides={"ir": partial(_case, "ir"), "blas": partial(_case, "blas")},
    cases=(*DTYPES, *LEVELS),
    repeats=7,
    patience=2.0,
    seconds=4.0,
    sample_seconds=0.03,
    pause=0.05,
)
