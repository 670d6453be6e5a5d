"""`import tinydl` in a fresh interpreter, against importing NumPy alone and PyTorch. The bar is 0.35 s."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from tinydl.benchmarks.harness import Benchmark, Job

PROGRAM = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def importing(package: str) -> Job:
    """A fresh interpreter per step, which reports the time of the import alone (not Python's own start)."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"{package} is not installed")

    def step() -> dict[str, float]:
        command = [sys.executable, "-c", PROGRAM.format(package)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {"": float(done.stdout)}

    return Job(step)


BENCHMARK = Benchmark(
    name="import_time",
    title="import tinydl in a fresh interpreter (bar: 0.35 s)",
    sides={
        "tinydl": lambda case: importing("tinydl"),
        "numpy alone": lambda case: importing("numpy"),
        "torch": lambda case: importing("torch"),
    },
    unit="s",
    repeats=9,
    max_delay=float("inf"),  # the worker only waits; the delay of its child is not its own
)
