"""The works compute the same in both libraries, and say which variants they lack."""

from __future__ import annotations

import pytest

from tinydl.benchmarks import harness, works
from tinydl.benchmarks.programs import library

QUICK = ("chain 10^3", "cross-entropy 2048x96", "layer norm 4096x256", "Adam 20x64x64", "step: GAN")


@pytest.mark.parametrize("case", QUICK)
def test_both_libraries_compute_the_same(case: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is the rival of this benchmark")
    checks = {}
    for name, variant in (("tinydl", ""), ("torch", works.EAGER)):
        job = works.WORKS[case](library(name), variant)
        job.step()
        checks[name] = job.check
    assert len(checks["tinydl"]) >= 2
    harness.agree(checks, works.BENCHMARK.tolerance)


def test_a_variant_that_a_case_lacks_is_absent() -> None:
    for case in ("LSTM H128", "attention", "step: GAN"):
        with pytest.raises(ImportError, match="no variant torch channels_last"):
            works.WORKS[case](library("tinydl"), works.CHANNELS_LAST)
