"""The harness itself: it refuses sides that disagree, drops what is missing in one line, and writes what it saw."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.meta.tree import ROOT
from tinydl.benchmarks import ALONE, NAMES, harness, load, report


def samples(*seconds: float) -> harness.Samples:
    return harness.Samples(clean=[{"": s} for s in seconds])


def test_ratio_is_rival_over_ours_in_the_unit_asked_for() -> None:
    benchmark = harness.Benchmark("x", "", {}, unit="us", per=1000)
    sides = {"tinydl": samples(0.001, 0.002, 0.003), "rival": samples(0.008, 0.004, 0.006)}
    (row,) = harness.rows(benchmark, "", sides, "")
    assert row.ours == pytest.approx(2.0)
    assert row.rival == pytest.approx(6.0)
    assert row.ratio == pytest.approx(3.0)
    assert row.ours_p20 < row.ours < row.ours_p80
    assert row.clean == "3/3 3/3"


def test_noisy_samples_are_left_out_while_enough_clean_ones_exist() -> None:
    mixed = harness.Samples(clean=[{"": 1.0}] * 3, noisy=[{"": 9.0}] * 10)
    assert mixed.quantiles("") == (1.0, 1.0, 1.0)
    assert mixed.tally() == "3/13"
    assert harness.Samples(clean=[{"": 1.0}], noisy=[{"": 9.0}] * 3).quantiles("")[1] == 9.0


def test_a_job_with_parts_reports_its_own_times() -> None:
    assert harness.timed(lambda: {"forward": 1.0, "backward": 3.0}, 4) == {"forward": 1.0, "backward": 3.0}
    assert harness.timed(lambda: time.sleep(0.01), 2)[harness.WHOLE] >= 0.01


@pytest.mark.parametrize("other", [[1.0, 2.1], [1.0], [1.0, float("nan")]])
def test_sides_that_disagree_are_not_timed(other: list[float]) -> None:
    harness.agree({"a": [1.0, 2.0], "b": [1.0, 2.0001]}, 1e-3)
    with pytest.raises(harness.BenchmarkError, match="nothing was timed"):
        harness.agree({"a": [1.0, 2.0], "b": other}, 1e-3)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the run-queue delay is Linux's")
def test_run_queue_delay_sees_a_neighbour() -> None:
    def spin() -> None:
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass

    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs to pin processes to a core")
    before_affinity = os.sched_getaffinity(0)
    core = min(before_affinity)
    try:
        os.sched_setaffinity(0, {core})
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # inherits the core
        try:
            time.sleep(0.2)
            before = harness.run_queue_delay()
            spin()
            assert harness.run_queue_delay() - before > harness.MAX_DELAY * 0.3
        finally:
            neighbour.kill()
            neighbour.wait()
    finally:
        os.sched_setaffinity(0, before_affinity)


def test_a_missing_rival_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, name: str, side: str) -> None:
            self.side = side

        def ask(self, **request: object) -> dict[str, object]:
            if "case" in request:
                return {"missing": "no module"} if self.side == "rival" else {"check": [], "first": 0.0, "count": 1}
            return {"parts": {"": 1.0}, "delay": 0.0}

        def close(self) -> None:
            pass

    monkeypatch.setattr(harness, "Worker", Fake)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def never(case: str) -> harness.Job:
        raise AssertionError("sides are set up in the workers")

    lines: list[str] = []
    benchmark = harness.Benchmark("x", "", {"tinydl": never, "rival": never})
    (row,) = harness.compare(benchmark, "", lines.append)
    assert lines == ["x: rival is left out (no module)"]
    assert row.ratio is None and row.rival is None and row.ours == pytest.approx(1000.0)


def test_rows_are_appended_with_their_circumstances(tmp_path: Path) -> None:
    for ours in (1.0, 2.0):
        harness.append(harness.Row("x", "case", "ms", ours, ours, ours), tmp_path)
    first, second = harness.history("x", tmp_path)
    assert (first["ours"], second["ours"]) == ("1", "2")
    assert first["rival"] == "" and first["machine"] == harness.machine() and "numpy" in first["versions"]
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 3


def test_the_table_shows_the_newest_row_of_each_figure(tmp_path: Path) -> None:
    assert "Nothing is measured" in report.table(tmp_path)
    for ours in (1.0, 2.0):
        harness.append(
            harness.Row("mlp_step", "", "us", ours, ours, ours, "torch", 6.0, 6.0, 6.0, 6.0 / ours), tmp_path
        )
    page = tmp_path / "README.md"
    begin, end = report.BEGIN.format("benchmarks"), report.END.format("benchmarks")
    page.write_text(f"above\n{begin}\nold\n{end}\nbelow\n")
    report.update(page, tmp_path)
    before, inside, after = report.between(page.read_text())
    assert before.startswith("above") and after.endswith("below\n")
    assert inside == report.table(tmp_path)
    assert "| `mlp_step` | 2 us | torch | 6 us | 3 |" in inside and "| 1 us |" not in inside


def test_rows_of_another_machine_are_marked(tmp_path: Path) -> None:
    fields = "benchmark,case,unit,ours,ours_p20,ours_p80,rival_name,rival,rival_p20,rival_p80,ratio,clean,note,control"
    for name, machine, date in (("mlp_step", "old box", "2001-01-01"), ("lstm_step", "new box", "2002-02-02")):
        row = f"{name},,us,1,1,1,torch,2,2,2,2,,,,{date},abc,{machine},python 3"
        (tmp_path / f"{name}.csv").write_text(f"{fields},date,commit,machine,versions\n{row}\n")
    table = report.table(tmp_path)
    assert "| `mlp_step` (1) |" in table and "| `lstm_step` |" in table
    assert table.endswith("Medians; new box; python 3; (1) old box; python 3.")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tinydl.benchmarks", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_list_names_every_benchmark() -> None:
    done = command()
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*NAMES, *ALONE]
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\nBENCHMARK = " in path.read_text()}
    assert modules == set(NAMES)
    assert all(load(name).name == name for name in NAMES)


def test_an_unknown_name_gets_the_nearest() -> None:
    done = command("lstm_stepp")
    assert done.returncode == 2
    assert (
        done.stderr.strip() == "tinydl.benchmarks: error: there is no benchmark 'lstm_stepp'; did you mean 'lstm_step'?"
    )


def test_a_worker_measures_in_its_own_process() -> None:
    worker = harness.Worker("control", "plain")
    try:
        setup = worker.ask(case="python")
        assert setup["count"] >= 1
        answer = worker.ask(count=2)
        assert 0 < answer["parts"][""] < 5 and answer["delay"] >= 0
        with pytest.raises(harness.BenchmarkError):
            worker.ask(count="two")
    finally:
        worker.close()
    assert worker.process.returncode == 0


def test_an_override_of_a_side_lasts_as_long_as_the_side() -> None:
    code = (
        "import gc; from tinydl.benchmarks import nade_step; from tinydl.kernels import lookup; "
        "nade_step.lstm_nade = lambda *given: None; "  # the side itself, which would be compiled for a minute
        "nade_step.ours('cpu.dense'); gc.collect(); "
        "print(lookup('nade_forward').__name__, lookup('nade_backward').__name__)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["nade_forward_dense", "nade_backward_dense"]


@pytest.mark.parametrize(
    ("flags", "word"), [("fpu avx avx2 avx512f", ", AVX-512"), ("fpu avx avx2", ", AVX2"), ("fpu avx", "")]
)
def test_a_machine_is_named_with_its_vectors(
    flags: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processors of one name and other vectors are two machines."""
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\nmodel name\t: A Processor\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    monkeypatch.setattr(harness, "CPUINFO", info)
    assert harness.machine().startswith(f"A Processor{word}, ")
