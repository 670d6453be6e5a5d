"""docs/matmul.md: its lines are those of the rungs, its figures those measured. (Its program: tests/meta.)"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tests.meta.tree import ROOT
from tinydl.benchmarks import harness, ladder, report
from tinydl.kernels.matmul import cpu

PAGE = ROOT / "docs" / "matmul.md"
SHOWN = re.findall(r"^```py\n# (\S+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
RUNGS = [rung.__name__.rpartition(".")[2] for rung in cpu.RUNGS]


@pytest.mark.parametrize(("name", "lines"), SHOWN, ids=[name for name, _ in SHOWN])
def test_lines_shown_are_in_the_source(name: str, lines: str) -> None:
    assert lines in (ROOT / name).read_text(encoding="utf-8")


def test_every_rung_has_its_section() -> None:
    headings = re.findall(r"^## `(\w+)`:", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(headings) == tuple(RUNGS) == ladder.RUNGS and len(SHOWN) == len(RUNGS)


def test_the_table_is_what_was_measured() -> None:
    shown = report.between(PAGE.read_text(encoding="utf-8"), "ladder")[1]
    assert shown == ladder.table(), "python -m tinydl.benchmarks ladder rewrites the table"


def test_rows_are_made_of_times(tmp_path: Path) -> None:
    """At size 1000 a millisecond is 2000 GFLOP/s."""
    measured = [
        harness.Row("ladder", "", "ms", 20.0, 16.0, 25.0, rival, ms, ms, ms, clean="9/9 8/9")
        for rival, ms in (("tiled", 40.0), ("blas", 10.0))
    ]
    tiled, ir = ladder.summary(1000, 1, ("tiled", "ir"), measured)
    assert (ir.ours, ir.ours_p20, ir.ours_p80, ir.rival, ir.ratio) == (100.0, 80.0, 125.0, 200.0, 0.5)
    assert (tiled.ours, tiled.note, ir.note) == (50.0, "", "2.00 times tiled")
    assert (tiled.case, ir.clean) == ("1000^3, 1 thread: tiled", "9/9 8/9")
    path = harness.append(ir, tmp_path)
    with open(path, newline="") as file:
        assert next(csv.DictReader(file))["ours"] == "100"
