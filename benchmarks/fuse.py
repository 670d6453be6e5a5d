"""A chain of elementwise operations, tanh(a x + b) sigmoid(c), forward and backward: fused, and rivals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.benchmarks.harness import Benchmark, Job
from tinydl.benchmarks.programs import library

SIZES = {"10^6": 1_000_000, "10^5": 100_000, "10^3": 1_000}


def chain(torch: Any, fuse: Callable[[Any], Any], size: int) -> Job:
    """The four gradients from one of the result; all five operands have ``size`` elements of float32."""
    rng = np.random.default_rng(1)
    g, *inputs = (torch.from_numpy(rng.standard_normal(size, dtype=np.float32)) for _ in range(5))
    for x in inputs:
        x.requires_grad_()

    def function(a: Any, x: Any, b: Any, c: Any) -> Any:
        return torch.tanh(a * x + b) * torch.sigmoid(c)

    run = fuse(function)

    def step() -> None:
        for x in inputs:
            x.grad = None
        run(*inputs).backward(g)

    step()
    return Job(step, [float((run(*inputs) * g).sum().item()), *(float((x.grad * x.grad).sum().item()) for x in inputs)])


def fused(case: str) -> Job:
    """Ours."""
    tinydl = library("tinydl")
    return chain(tinydl, tinydl.fuse, SIZES[case])


def eager(case: str) -> Job:
    """Operation by operation."""
    return chain(library("torch"), lambda function: function, SIZES[case])


def compiled(case: str) -> Job:
    """torch.compile, which needs a C++ compiler: without one this side is left out."""
    torch = library("torch")
    try:
        return chain(torch, torch.compile, SIZES[case])
    except Exception as error:
        raise ImportError(f"torch.compile does not work here: {type(error).__name__}") from error


BENCHMARK = Benchmark(
    name="fuse",
    title="tanh(a x + b) sigmoid(c), forward and backward, as one loop each (bar: 4, 3, 3 times torch's eager)",
    sides={"tinydl, fused": fused, "torch eager": eager, "torch.compile": compiled},
    cases=tuple(SIZES),
    unit="us",
)
