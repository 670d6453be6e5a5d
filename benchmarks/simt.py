"""The tiled matrix product of CUDA on the virtual GPU: 64 x 64 by 64 x 64, 16 blocks of 256 threads.

PTX is parsed and compiled before; a step is one launch, watched for races and uninitialised memory (bar: 0.5 s) or for
bounds and alignment alone (*unwatched*, bar: 0.1 s).
"""

from __future__ import annotations

import numpy as np

from tinydl.benchmarks.harness import Benchmark, Job


def launching(checks: bool) -> Job:
    """A launch, checked by the sum of its result's squares."""
    from tinydl.kernels import nvrtc, simt
    from tinydl.lab import cuda

    if not nvrtc.available():
        raise ImportError(f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")
    kernel = cuda.chosen(["matmul:cuda.tiled"])[0]
    program = simt.parse(cuda.compiled(kernel.text(), kernel))
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((64, 64)).astype(np.float32) for _ in range(2))
    c = np.empty_like(a)

    def step() -> None:
        simt.launch(program, "tiled_float32", 16, (16, 16), [a, b, c, 64, 64, 64], checks)

    step()
    return Job(step, [float(np.sum(c.astype(np.float64) ** 2))])


BENCHMARK = Benchmark(
    name="simt",
    title="a tiled 64 x 64 x 64 product on the virtual GPU: watched (bar: 0.5 s), bounds alone (bar: 0.1 s)",
    sides={"tinydl": lambda case: launching(True), "unwatched": lambda case: launching(False)},
    unit="ms",
)
