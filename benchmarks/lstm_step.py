"""A training step that is nearly all arithmetic: an LSTM, T=64 B=32 I=88 H=256, with Adam, through the public API."""

from __future__ import annotations

from tinydl.benchmarks.harness import Benchmark
from tinydl.benchmarks.programs import library, lstm

BENCHMARK = Benchmark(
    name="lstm_step",
    title="LSTM T=64 B=32 I=88 H=256, output layer, BCE, Adam: one training step (bar: 1.0 times torch's fused Adam)",
    sides={
        "tinydl": lambda case: lstm(library("tinydl")),
        "torch eager, fused Adam": lambda case: lstm(library("torch"), fused=True),
    },
    repeats=13,
    sample_seconds=0.2,
)
