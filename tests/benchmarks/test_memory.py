"""The memory of a step: what it takes and gives back again counts, what lay there before does not."""

from __future__ import annotations

import numpy as np
import pytest

from tinydl.benchmarks import harness, memory
from tinydl.kernels import workspace

pytestmark = pytest.mark.skipif(not memory.PEAK_BEGINS_ANEW.exists(), reason="Linux tells a process its peak")

MEGABYTES = 40


def take() -> None:
    for _ in range(3):
        np.ones(MEGABYTES << 17)  # one after the other


def test_the_peak_of_a_step() -> None:
    before = np.ones(MEGABYTES << 17)
    assert memory.peak_of(lambda: None) < 2 << 20
    for _ in range(2):  # what the first one freed is given back
        assert 0.95 < memory.peak_of(take) / (MEGABYTES << 20) < 1.1
    assert before.size


def test_scratch_memory_counts() -> None:
    before = workspace.held()
    workspace.scratch("a test of memory", 1 << 20, np.float64)
    try:
        assert workspace.held() - before == 8 << 20
    finally:
        workspace._local.__dict__.clear()
    assert workspace.held() == 0


def test_a_row_is_in_megabytes() -> None:
    sides = {"tinydl": harness.Samples(clean=[{"": 2e6}]), "torch eager": harness.Samples(clean=[{"": 3e6}])}
    (row,) = harness.rows(memory.BENCHMARK, "LSTM H128", sides, "")
    assert (row.unit, row.ours, row.ratio) == ("MB", 2.0, 1.5) and "2 MB" in row.line()


def test_both_sides_of_a_work() -> None:
    pytest.importorskip("torch", reason="PyTorch is the rival of this benchmark")
    for side, make in memory.BENCHMARK.sides.items():
        job = make("layer norm 4096x256")
        job.step()
        (taken,) = job.step().values()
        assert 3e6 < taken < 60e6, side  # 4 MB an array
