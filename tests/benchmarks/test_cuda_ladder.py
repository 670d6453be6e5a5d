"""docs/cuda.md: its tables are what the virtual GPU counts, its rungs those that there are."""

from __future__ import annotations

import pytest

from tinydl.benchmarks import cuda_ladder, gpu, report
from tinydl.kernels import nvrtc
from tinydl.kernels.gpu import cuda_kernels

PAGE = cuda_ladder.PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")
@pytest.mark.parametrize("name", cuda_ladder.LADDERS)
def test_a_table_is_what_is_counted(name: str) -> None:
    shown = report.between(PAGE, name)[1]
    assert shown == cuda_ladder.table(name), "python -m tinydl.benchmarks.cuda_ladder makes it again"


@pytest.mark.parametrize("op", sorted({ladder.op for ladder in cuda_ladder.LADDERS.values()}))
def test_every_rung_is_on_the_page(op: str) -> None:
    rungs = {kernel.name.removeprefix("cuda.") for kernel in cuda_kernels() if kernel.op == op}
    shown = {rung for ladder in cuda_ladder.LADDERS.values() if ladder.op == op for rung in ladder.ideas}
    assert shown == rungs


def test_what_no_gpu_has_verified_says_so() -> None:
    """By the digest of the source: a row of another source is none."""
    for name, ladder in cuda_ladder.LADDERS.items():
        rows = [line for line in report.between(PAGE, name)[1].split("\n") if line.startswith("| `")]
        assert len(rows) == len(ladder.ideas)
        for row, rung in zip(rows, ladder.ideas):
            (kernel,) = (k for k in cuda_kernels() if k.key == f"{ladder.op}:cuda.{rung}")
            assert row.endswith(f"| {gpu.standing(kernel)} |")
