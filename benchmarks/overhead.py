"""What one small operation costs in the engine: forward without and with recording, and recorded forward + backward."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.benchmarks.harness import Benchmark, Job
from tinydl.benchmarks.programs import library

OPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda lib, a, b: a + b,
    "mul": lambda lib, a, b: a * b,
    "mm": lambda lib, a, b: a @ b,
    "exp": lambda lib, a, b: lib.exp(a),
    "sum": lambda lib, a, b: a.sum(),
    "reshape": lambda lib, a, b: a.reshape(8, 2),
    "getitem": lambda lib, a, b: a[1],
}
CALLS = 500


def one(name: str, case: str) -> Job:
    """500 calls on 4 x 4 float32 operands; ``recorded`` keeps each result until the next, as a training does."""
    lib = library(name)
    numbers = np.linspace(0.1, 1.6, 16, dtype=np.float32).reshape(4, 4)
    plain = lib.from_numpy(numbers.copy()), lib.from_numpy(numbers.copy())
    recorded = tuple(lib.from_numpy(numbers.copy()).requires_grad_() for _ in range(2))
    op = OPS[case]
    seed = lib.ones(tuple(op(lib, *plain).shape))

    def step() -> dict[str, float]:
        start = time.perf_counter()
        for _ in range(CALLS):
            op(lib, *plain)
        middle = time.perf_counter()
        for _ in range(CALLS):
            op(lib, *recorded)
        end = time.perf_counter()
        for _ in range(CALLS):
            op(lib, *recorded).backward(seed)
        last = time.perf_counter()
        for tensor in recorded:
            tensor.grad = None
        return {"plain": middle - start, "recorded": end - middle, "recorded+backward": last - end}

    value = op(lib, *recorded)
    value.backward(seed)
    check = [float(value.sum().item()), float(recorded[0].grad.sum().item())]
    recorded[0].grad = recorded[1].grad = None
    return Job(step, check)


BENCHMARK = Benchmark(
    name="overhead",
    title="one small operation (4 x 4): plain, recorded, and with its backward, against torch eager",
    sides={
        "tinydl": lambda case: one("tinydl", case),
        "torch eager": lambda case: one("torch", case),
    },
    cases=tuple(OPS),
    unit="us",
    per=CALLS,
    repeats=7,
    sample_seconds=0.03,
)
