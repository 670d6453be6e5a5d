"""``tinydl bench`` and what it stands on: sides, rows, roofs, change against noise; and one run from end to end."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.meta.tree import ROOT
from tinydl.benchmarks import harness, kernels, load, roofs
from tinydl.benchmarks.kernels import KernelRow, change
from tinydl.benchmarks.roofs import Roofs
from tinydl.cli import main
from tinydl.cli.bench import _figure, sides_of
from tinydl.cli.parser import Parser
from tinydl.errors import TinydlError
from tinydl.kernels import card, register, unregister, variants
from tinydl.kernels.card import _cards

LIMITS = Roofs({"float32": 2e11, "float64": 1e11}, {"L2": 4e11, "L3": 2e11, "memory": 4e10},
               {"L2": 1 << 21, "L3": 1 << 25}, 2)  # fmt: skip
TORCH = importlib.util.find_spec("torch") is not None


def row(us: float = 100.0, spread: float = 2.0, **changed: Any) -> KernelRow:
    found = KernelRow(
        "matmul", "64^3", "float32", "numpy", 2, us, us - spread / 2, us + spread / 2, None, None, False, 10, 10, 1.0,
        clean="9/9", date="2026-01-02T03:04Z", commit="abc", machine="a box",
    )  # fmt: skip
    return dataclasses.replace(found, **changed)


def stored(tmp_path: Path, *rows: KernelRow) -> list[dict[str, str]]:
    path = tmp_path / "kernels.csv"
    for r in rows:
        harness.write([r], path)
    return harness.read(path)


# ------------------------------------------------------------------------------------------------- change against noise


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        ([row(100)], row(102.9), ""),  # below three per cent
        ([row(100)], row(104), "slower"),
        ([row(100)], row(96), "faster"),
        ([row(100, spread=20)], row(115), ""),  # its samples differed by as much
        ([row(100)], row(115, spread=20), ""),
        ([row(100, spread=20)], row(125), "slower"),
        ([row(80), row(100)], row(118), ""),  # and so did runs
        ([row(80), row(100)], row(122), "slower"),
        ([row(100), row(80)], row(102), "slower"),  # the last run is what it is compared with
        ([row(10), *[row(100)] * 5], row(110), "slower"),  # only the last five runs count
        ([row(100, machine="another")], row(200), ""),
        ([row(100, threads=1)], row(200), ""),
        ([row(100, variant="ir")], row(200), ""),
        ([row(100, case="128^3")], row(200), ""),
        ([row(100, dtype="float64")], row(200), ""),
        ([], row(200), ""),
    ],
)
def test_a_change_is_told_from_noise(before: list[KernelRow], now: KernelRow, word: str, tmp_path: Path) -> None:
    said = change(now, stored(tmp_path, *before))
    assert (word in said) if word else said == ""


def test_a_change_is_a_sentence_with_all_figures(tmp_path: Path) -> None:
    assert change(row(200), stored(tmp_path, row(100), row(110))) == (
        "matmul:numpy 64^3 is slower than on 2026-01-02 (abc): 200 us, was 110 us; 2 stored runs and their samples "
        "differ by 10 us"
    )


def test_rows_are_written_as_they_are_read(tmp_path: Path) -> None:
    first, second = stored(tmp_path, row(1.5), row(123456.0, cold_us=3.0, compiled=True))
    assert (first["us"], first["cold_us"], first["compiled"]) == ("1.5", "", "False")
    assert (second["us"], second["cold_us"], second["compiled"]) == ("1.235e+05", "3", "True")
    assert kernels.key_of(first) == row().key
    assert len((tmp_path / "kernels.csv").read_text().splitlines()) == 3


def test_where_rows_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert kernels.results(None, own=False) == ROOT / "benchmarks" / "results" / "kernels.csv"
    assert kernels.results(None, own=True) is None
    assert kernels.results("x.csv", own=True) == kernels.results("x.csv", own=False) == Path("x.csv")
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "tinydl" / "benchmarks" / "results")  # an installed package
    assert kernels.results(None, own=False) is None


# ------------------------------------------------------------------------------------------------------- rows and roofs


def samples(*us: float, **facts: Any) -> harness.Samples:
    known = {"flops": 2_000_000, "bytes": 1_000_000, "compiled": False, "threads": 2, **facts}
    return harness.Samples([{"": 1e-6 * t} for t in us], first=0.5, facts=known)


def test_a_row_holds_quartiles_rates_shares_and_ratios() -> None:
    ours = samples(10.0, 20.0, 30.0, 40.0, 50.0, compiled=True)
    ours.cold = samples(90.0, 100.0, 110.0)
    taken = {"numpy": ours, "torch": samples(60.0), "torch channels_last": samples(45.0)}
    first, slow, fast = kernels.rows(card("matmul"), "float32", "64^3", taken, LIMITS, {"torch"})
    assert (first.us_q1, first.us, first.us_q3) == pytest.approx((20.0, 30.0, 40.0))
    assert first.cold_us == pytest.approx(100.0) and fast.cold_us is None
    assert first.first_ms == pytest.approx(500.0) and slow.first_ms is None  # it was called before
    assert first.gflops == pytest.approx(2e6 / 30e-6 / 1e9) and first.gbps == pytest.approx(1e6 / 30e-6 / 1e9)
    assert first.roof == pytest.approx(first.gflops * 1e9 / 2e11)
    assert first.torch == pytest.approx(1.5) and slow.torch == pytest.approx(0.75) and fast.torch == pytest.approx(1.0)
    (alone,) = kernels.rows(card("matmul"), "float32", "64^3", {"numpy": ours}, LIMITS, set())
    assert alone.torch is None and alone.clean == "5/5" and not alone.noisy and fast.noisy


@pytest.mark.parametrize(
    ("flops", "moved", "dtype", "level", "attainable"),
    [
        (1000, 1000, "float32", "L2", 2e11),  # 4e11 by memory
        (100, 1000, "float32", "L2", 4e10),
        (100 << 20, 4 << 20, "float32", "L3", 2e11),
        (1 << 20, 4 << 20, "float32", "L3", 5e10),
        (1 << 25, 1 << 26, "float32", "memory", 2e10),
        (1000, 10, "float64", "L2", 1e11),
        (1000, 10, "uint32", "L2", 2e11),  # the roof of float32 stands for other kinds
    ],
)
def test_what_the_roofs_allow(flops: int, moved: int, dtype: str, level: str, attainable: float) -> None:
    assert LIMITS.level(moved) == level
    assert LIMITS.attainable(flops, moved, dtype) == pytest.approx(attainable)


def test_the_stream_goes_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(harness, "cache_sizes", lambda: {"L2": 1 << 16, "L3": 1 << 18})
    sizes = {level: roofs._case("ir", level) for level in ("L2", "L3")}
    count = roofs.threads()
    assert roofs.capacities(count) == {"L2": count << 16, "L3": max(1 << 18, count << 17)}
    for job in sizes.values():
        job.step()
        assert 1 << 28 <= job.facts["work"] <= 1 << 30 and job.facts["threads"] == count
    with pytest.raises(harness.Absent):
        roofs._case("blas", "L2")


def test_evicting_takes_more_than_the_largest_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    harness._elsewhere.cache_clear()
    monkeypatch.setattr(harness, "cache_sizes", lambda: {"L2": 1 << 20, "L3": 1 << 26})
    assert harness._elsewhere().nbytes == 1 << 27
    before = harness._elsewhere()[0]
    harness.evict()
    assert harness._elsewhere()[0] == before + 1
    harness._elsewhere.cache_clear()


# ------------------------------------------------------------------------------------------------------------ the sides


LADDER = ["blas", "blocked", "loop", "numpy", "order", "packed", "tiled", "unrolled"]


@pytest.fixture
def mine() -> Iterator[None]:
    register(op="matmul", name="mine", dtypes=("float32",), accepts=lambda a, b: len(a) > 64)(lambda a, b: a @ b)
    yield
    unregister("matmul", "mine")


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("names", "vs", "names_expected"),
    [
        (["matmul"], None, ["ir", *LADDER[:3], "mine", *LADDER[3:], "torch"]),
        (["mine"], None, ["mine", "ir", *LADDER, "torch"]),
        (["matmul:mine"], ["torch"], ["mine", "torch"]),
        (["matmul:mine"], ["numpy"], ["mine", "numpy"]),
        (["matmul"], ["torch", "numpy"], ["ir", "numpy", "torch"]),
        (["matmul"], ["mine"], ["ir", "mine"]),
    ],
)
def test_which_sides_are_meant(names: list[str], vs: list[str] | None, names_expected: list[str]) -> None:
    (sides,) = sides_of(names, None, vs).values()
    assert sides.names == [name for name in names_expected if TORCH or name != "torch"]
    assert {v.name for v in sides.variants} == set(names_expected) - {"torch"}
    assert sides.dtype == "float32"


def test_every_variant_of_a_rival_is_meant_by_its_first_word() -> None:
    (sides,) = sides_of(["conv_forward"], None, ["torch"]).values()
    assert sides.names == ["cpu.winograd", *(["torch", "torch channels_last"] if TORCH else [])]
    (sides,) = sides_of(["conv_forward"], None, ["torch channels_last"]).values()
    assert sides.names == ["cpu.winograd", *(["torch channels_last"] if TORCH else [])]


def test_all_operations_can_be_meant() -> None:
    plan = sides_of([], None, None)
    assert set(plan) == {v.op for v in variants()}
    assert plan["random_bits"].dtype == "uint32" and plan["random_uniform_float64"].dtype == "float64"
    assert all(sides.variants for sides in plan.values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench"], "name an operation"),
        (["bench", "matmull"], "there is no kernel 'matmull'; did you mean 'matmul'?"),
        (["bench", "matmul", "--vs", "nunpy"], "no.* a variant 'nunpy'; did you mean 'numpy'"),
        (["bench", "erf:cpu.library"], "erf: cpu.library does not compute in float32"),
        (["bench", "matmul", "--html", "x.txt"], "must end in .html"),
        (["bench", "matmul", "--html", "there.html"], "there.html"),
        (["bench", "--file", "nothing.py"], "there is no file 'nothing.py'"),
    ],
)
def test_a_command_that_cannot_be_carried_out(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").touch()
    monkeypatch.setattr(kernels, "wrong", lambda *_: pytest.fail("it went on to verify"))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error


def test_a_wrong_kernel_is_refused_before_it_is_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import tinydl\n@tinydl.kernels.register(op='matmul', name='wrong')\ndef f(a, b): return a @ b * 1.01\n"
    )
    monkeypatch.setattr(harness, "Worker", lambda *_: pytest.fail("something was timed"))
    try:
        assert main(["bench", "--file", str(tmp_path / "mine.py"), "--results", str(tmp_path / "r.csv")]) == 2
    finally:
        unregister("matmul", "wrong")
    assert "matmul:wrong is wrong, so nothing was timed: sample" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.usefixtures("mine")
def test_a_side_that_refuses_a_case_says_so() -> None:
    job = load(kernels.benchmark("matmul", "float32", ["mine"]).name).sides["mine"]
    with pytest.raises(harness.Absent, match=r"does not accept 64\^3"):
        job("64^3")
    made = job("128^3")
    assert made.facts["flops"] == 2 * 128**3 and made.facts["bytes"] == 3 * 4 * 128**2
    assert made.first is not None and made.first > 0
    a, b = card("matmul").cases["128^3"](np.float32)
    np.testing.assert_allclose(made.step(), a @ b, rtol=1e-3, atol=1e-3)


def test_figures_have_three_digits() -> None:
    assert [_figure(x) for x in (None, 0.060621, 1.0, 99.96, 100.4, 18467.3)] == [
        "", "0.0606", "1", "100", "100", "18,467",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- from end to end

DOUBLING = '''
import numpy as np
from tinydl.kernels import Card, describe, register


@register(op="doubling", name="numpy")
def doubling(x):
    return x + x


@register(op="doubling", name="by a product", dtypes=("float32",))
def product(x):
    return x * np.float32(2)


describe(
    Card(
        op="doubling", says="y = 2 x", samples=lambda dtype: [(np.ones((3, 5), dtype),)], tolerance={"float32": 1e-7},
        flops=lambda x: x.size, bytes=lambda x: 2 * x.nbytes,
        cases={"10^3": lambda dtype: (np.ones(1000, dtype),), "10^5": lambda dtype: (np.ones(100_000, dtype),)},
        rivals={"torch": lambda torch, x: lambda x=torch.from_numpy(x): x + x},
    )
)
'''


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few samples, and roofs as if they had been measured."""
    real = kernels.benchmark

    def short(*arguments: Any) -> harness.Benchmark:
        return dataclasses.replace(real(*arguments), repeats=2, patience=1.0, cold=1, pause=0.0)

    monkeypatch.setattr(kernels, "benchmark", short)
    monkeypatch.setattr(roofs, "measure", lambda say: LIMITS)
    from tinydl.benchmarks import control

    monkeypatch.setattr(control, "now", lambda say: ("python 1 ms", []))


def test_an_operation_of_ones_own_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    file, results, page = tmp_path / "doubling.py", tmp_path / "r.csv", tmp_path / "page.html"
    file.write_text(DOUBLING)
    command = ["bench", "--file", str(file), "--results", str(results)]

    def forget() -> None:
        for name in ("numpy", "by a product"):
            unregister("doubling", name)
        _cards.pop("doubling")

    try:
        assert main([*command, "--json", "--html", str(page)]) == 0
        forget()
        said = capsys.readouterr()
        found = json.loads(said.out)
        assert set(found) == {"control", "date", "commit", "machine", "versions", "roofs", "rows", "changes", "notes"}
        sides = ["by a product", "numpy", *(["torch"] if TORCH else [])]
        assert [(r["case"], r["variant"]) for r in found["rows"]] == [(c, s) for c in ("10^3", "10^5") for s in sides]
        first = found["rows"][0]
        assert first["flops"] == 1000 and first["bytes"] == 8000 and first["level"] == "L2"
        assert 0 < first["us_q1"] <= first["us"] <= first["us_q3"] and first["cold_us"] > 0 and first["first_ms"] > 0
        assert found["rows"][-1]["first_ms"] is None and first["threads"] >= 1
        assert found["roofs"]["bandwidth"]["memory"] == 4e10
        rows = harness.read(results)
        assert len(rows) == len(found["rows"]) and rows[0]["machine"] == harness.machine()
        assert "doubling" in page.read_text() and page.read_text().count("<figure>") == 2

        # As if the last run had been a thousand times as fast.
        results.unlink()
        for r in rows:
            typed = {**r, **dict.fromkeys(("us", "us_q1", "us_q3"), 0.001)}
            harness.write([KernelRow(**typed)], results)
        assert main(command) == 0
        out = capsys.readouterr().out
        assert "this machine allows 200 GFLOP/s in float32, 100 GFLOP/s in float64, 400 GB/s from L2, " in out
        assert "doubling: y = 2 x [float32]" in out and out.count(" is slower than on ") == len(rows)
        assert ("torch" in out) == TORCH or "PyTorch is not installed" in out
    finally:
        forget()


def test_keys_in_json_are_documented() -> None:
    text = (ROOT / "docs" / "kernels.md").read_text()
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    table = {word for cell in first for word in cell.split("`")[1::2]}
    columns = {f.name for f in dataclasses.fields(KernelRow)}
    assert columns | {"gbps", "level", "noisy", "roofs", "rows", "changes", "notes"} <= table


def test_the_help_names_every_option() -> None:
    from tinydl.cli.bench import BENCH

    text = Parser("bench", BENCH).format_help()
    assert all(option in text for option in ("--all", "--vs", "--file", "--results", "--json", "--html", "--force"))
    assert "tinydl bench matmul" in text


def test_an_installed_torch_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else real(name, *a))
    from tinydl.cli.bench import _notes

    (sides,) = sides_of(["matmul"], None, ["torch"]).values()
    assert sides.names == ["ir"]
    assert _notes([row()]) == ["PyTorch is not installed, so nothing is compared with it (pip install torch)"]


def test_what_a_reader_must_know_is_noted() -> None:
    from tinydl.cli.bench import _notes

    said = " ".join(_notes([row(), row(clean="2/18"), row(roof=1.1), row(compiled=True)]))
    assert "1 of 4 figures had fewer than 3 samples" in said and "above the roofs" in said and "* compiled" in said
    assert all(words not in " ".join(_notes([row(roof=1.0)])) for words in ("figures", "roofs", "compiled"))


def test_a_process_of_the_harness_measures_a_kernel() -> None:
    worker = harness.Worker(kernels.benchmark("sigmoid", "float32", ["numpy"]).name, "numpy")
    try:
        answer = worker.ask(case="10x100")
        assert answer["facts"]["flops"] == 16_000 and answer["count"] >= 1
        warm, cold = worker.ask(count=3), worker.ask(cold=True)
        assert 0 < warm["parts"][""] < 1 and 0 < cold["parts"][""] < 10 and cold["delay"] >= 0
    finally:
        worker.close()


def test_the_command_is_listed() -> None:
    line = [sys.executable, "-m", "tinydl", "--help"]
    assert "  bench " in subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with pytest.raises(TinydlError):
        sides_of(["no such kernel"], None, None)
