"""A chain of 1,000,000 recorded additions: what a node costs, forward and backward, and that depth is no limit."""

from __future__ import annotations

import time

from tinydl.benchmarks.harness import Benchmark, Job
from tinydl.benchmarks.programs import library

NODES = 1_000_000


def chain(name: str) -> Job:
    """``h = h + 1`` a million times on a tensor of two elements, then ``h.sum().backward()``."""
    lib = library(name)

    def run(nodes: int) -> tuple[dict[str, float], float]:
        x = lib.zeros(2, requires_grad=True)
        start = time.perf_counter()
        h = x
        for _ in range(nodes):
            h = h + 1.0
        built = time.perf_counter()
        h.sum().backward()
        return {"forward": built - start, "backward": time.perf_counter() - built}, float(x.grad.sum().item())

    _, gradient = run(1000)
    return Job(lambda: run(NODES)[0], check=[gradient])


BENCHMARK = Benchmark(
    name="chain",
    title="a chain of 10^6 recorded additions, forward and backward, time per node (bar: 2 us each, or torch's own)",
    sides={"tinydl": lambda case: chain("tinydl"), "torch eager": lambda case: chain("torch")},
    unit="us",
    per=NODES,
    repeats=3,
    patience=1.4,
)
