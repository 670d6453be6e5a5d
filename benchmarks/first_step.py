"""The first training step in a fresh interpreter, all kernels on the disk: import, read them, one step of an LSTM.

*kernels alone* is what reading their machine code takes of it (bar: 0.5 s). What compiling them once took is shown by
``tinydl info --kernels``.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from tinydl.benchmarks.harness import Benchmark, Job

PROGRAM = """
import time
start = time.perf_counter()
import {package} as torch
from {package} import nn
torch.manual_seed(0)
lstm, read = nn.LSTM(88, 128), nn.Linear(128, 88)
weights = [*lstm.parameters(), *read.parameters()]
optimizer = torch.optim.Adam(weights)
x = (torch.rand(100, 32, 88) < 0.05).float()
loss = nn.functional.binary_cross_entropy_with_logits(read(lstm(x)[0]), x)
loss.backward()
nn.utils.clip_grad_norm_(weights, 1.0)
optimizer.step()
{seconds}
"""
WHOLE = "print(time.perf_counter() - start)"
KERNELS = """
from tinydl.kernels import cache
print(sum(cost.seconds for cost in cache.loaded))
"""


def starting(package: str, seconds: str = WHOLE) -> Job:
    """A fresh interpreter per step, which reports the time itself (not Python's own start)."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"{package} is not installed")
    command = [sys.executable, "-c", PROGRAM.format(package=package, seconds=seconds)]

    def step() -> dict[str, float]:
        return {"": float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)}

    step()  # which compiles what is not on the disk
    return Job(step)


BENCHMARK = Benchmark(
    name="first_step",
    title="first training step in a fresh interpreter: LSTM H128, T100 B32, kernels on the disk (bar for them: 0.5 s)",
    sides={
        "tinydl": lambda case: starting("tinydl"),
        "kernels alone": lambda case: starting("tinydl", KERNELS),
        "torch": lambda case: starting("torch"),
    },
    unit="s",
    repeats=9,
    max_delay=float("inf"),  # the worker only waits; the delay of its child is not its own
)
