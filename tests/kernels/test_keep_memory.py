"""Freed memory is kept, so that large arrays do not cost a page fault per 4 KiB again and again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.meta.tree import ROOT

CODE = """
import resource
import numpy as np
import tinydl
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for turn in range(12):
    if turn == 2:
        before = faults()
    held = [np.ones(1 << 21, np.float32) for _ in range(6)]
    del held
print(faults() - before)
"""


def faults(**environment: str) -> int:
    """Page faults of ten times six arrays of 8 MiB in a new process."""
    known = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    # Without NumPy's wish for pages of 2 MiB, which only some systems fulfil.
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**known, "NUMPY_MADVISE_HUGEPAGE": "0", **environment},
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is told")
def test_large_arrays_come_from_memory_that_was_freed() -> None:
    given_back = faults(TINYDL_KEEP_MEMORY="0")
    assert given_back > 20_000
    assert faults() < given_back / 10
    assert faults(MALLOC_TRIM_THRESHOLD_="1000000") > 20_000  # who has said so is not overruled
