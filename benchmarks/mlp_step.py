"""A training step so small that only the overhead of the engine is left: an MLP 32-64-10, batch 32, with Adam."""

from __future__ import annotations

from tinydl.benchmarks.harness import Benchmark
from tinydl.benchmarks.programs import library, mlp

BENCHMARK = Benchmark(
    name="mlp_step",
    title="MLP 32-64-10, batch 32, cross-entropy, Adam: one eager training step (bar: 2.5 times torch's fused Adam)",
    sides={
        "tinydl": lambda case: mlp(library("tinydl")),
        "torch eager, fused Adam, 1 thread": lambda case: mlp(library("torch", threads=1), fused=True),
        "torch eager, fused Adam, all cores": lambda case: mlp(library("torch"), fused=True),
        "torch eager, default Adam, 1 thread": lambda case: mlp(library("torch", threads=1)),
    },
    unit="us",
)
