"""The papers' tables: what is trained, what is kept when a run is stopped, and what is written of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tinydl import registry
from tinydl.benchmarks import __main__ as command
from tinydl.benchmarks import harness, papers, published, report
from tinydl.benchmarks.papers import Entry

Say = Callable[..., tuple[int, str, str]]
SMALL = ("hidden=8", "chunk=64", "batch=4", "step=1", "eval_every=1")
TWO = (Entry("lstm", "jsb", 2), Entry("lstm-nade", "jsb", 10))


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Say:
    """``say("--quick")``: exit code, stdout and stderr of one command line, with folders of its own."""
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "repository" / "benchmarks" / "results")

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command.main(["papers", "--out", str(tmp_path / "work"), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


class Stub:
    """Stands for the training: it counts what is asked for, and can fail or be cut off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, plan: tuple[Entry, ...] = TWO) -> None:
        self.trained: list[tuple[str, int]] = []
        self.cut_after: int | None = None
        self.broken: dict[str, str] = {}
        self.lock = threading.Lock()
        monkeypatch.setattr(papers, "PLAN", plan)
        monkeypatch.setattr(papers, "warm_up", lambda *_: None)
        monkeypatch.setattr(papers, "measure", self.measure)
        monkeypatch.setattr("tinydl.data.datasets.get", lambda name: Path(name))

    def measure(self, run: papers.Run, children: papers.Children, where: Mapping[str, str]) -> dict[str, Any]:
        with self.lock:
            if self.cut_after is not None and len(self.trained) >= self.cut_after:
                self.cut_after = None
                time.sleep(0.3)  # what has ended is written by now
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.3)
                raise harness.BenchmarkError("ended")
            if run.entry.model in self.broken:
                raise harness.BenchmarkError(self.broken[run.entry.model])
            self.trained.append((run.entry.model, run.seed))
        found = result(run.entry, run.seed, **where)
        run.folder.mkdir(parents=True, exist_ok=True)
        run.result.write_text(json.dumps(found))
        return found


def result(entry: Entry, seed: int, **more: str) -> dict[str, Any]:
    """What a run finds: seed 2 is the median, 3 the best in the first average and the worst in the second."""
    nats = {1: 6.00, 2: 5.90, 3: 5.80}[seed]
    return {
        "model": entry.model, "data": entry.data, "split": "test", "kind": "exact", "nll_per_frame": nats,
        "nll_skip_first": 12 - nats, "nll_per_sequence": nats - 0.1, "accuracy": 0.3, "frames": 10, "params": 287_000,
        "core_share": 1 - 0.01 * seed, "train_seconds": 60.0 * seed, "seed": seed, "valid": 6.1, "step": 100,
        "date": f"2026-01-0{seed}T00:00Z",
        **(more or dict.fromkeys(("commit", "machine", "versions", "sources"), "x")),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- the command


def test_three_seeds_of_every_row_are_recorded_and_shown(
    say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = Stub(monkeypatch)
    page = tmp_path / "repository" / "README.md"
    page.parent.mkdir()
    begin, end = report.BEGIN.format("papers"), report.END.format("papers")
    page.write_text(f"above\n{begin}\n{end}\nbelow\n")
    code, out, err = say()
    assert code == 0, err
    assert sorted(stub.trained) == [(model, seed) for model in ("lstm", "lstm-nade") for seed in (1, 2, 3)]
    assert "6 runs (rows: 2, seeds of each: 3), 0 of them finished earlier" in err

    rows = {row["model"]: row for row in json.loads((harness.RESULTS / "papers.json").read_text())["rows"]}
    row = rows["lstm-nade"]
    wanted = "model data kind nll_per_frame nll_skip_first nll_per_sequence spread seeds seconds params"
    assert set(f"{wanted} paper paper_value paper_tag".split()) <= set(row)
    assert (row["nll_per_frame"], row["spread"], row["seeds"]) == (5.90, [5.80, 6.00], [1, 2, 3])
    assert (row["nll_skip_first"], row["nll_per_sequence"], row["seconds"]) == pytest.approx((6.10, 5.80, 120.0))
    assert row["paper"] == "RNN-NADE (HF), Boulanger-Lewandowski 2012"
    assert (row["paper_value"], row["paper_tag"]) == (5.56, "recalled, not verified")
    assert row["paper_note"] == "5.19 as quoted in Krishnan 2017 (read)"
    assert (rows["lstm"]["paper"], rows["lstm"]["paper_tag"]) == ("LSTM, Bai 2018", "read")
    assert rows["lstm"]["paper_average"] == "nll_skip_first"
    assert row["machine"] == harness.machine() and row["commit"] == harness.commit()
    assert len(row["sources"]) == 12 and "numpy" in row["versions"]

    # every figure published on the set is printed, with its tag, and ours among them by value
    lines = out.splitlines()
    for figure in published.on("jsb"):
        assert any(f" {figure.model} " in line and line.endswith(f"{figure.origin}: {figure.words}") for line in lines)
    models = [re.split(r"\s{2,}", line[2:].strip())[0] for line in lines[2:] if line.strip()]
    assert models.index("RNN-RBM") < models.index("lstm-nade") < models.index("RNN-NADE")
    assert report.between(page.read_text(), "papers")[1] == report.papers_table(harness.RESULTS)

    again, shown, _ = say("--show")
    assert again == 0 and shown == out


def test_a_stopped_call_goes_on_with_what_is_missing(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub = Stub(monkeypatch)
    stub.cut_after = 4
    code, out, err = say("--jobs", "1")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].startswith(f"tinydl: interrupted; 4 of 6 runs are kept in {tmp_path / 'work'}")
    assert len(stub.trained) == 4
    # the row of which all seeds are there is written already; it was the longest, which comes first
    (row,) = report.paper_rows(harness.RESULTS)
    assert row["model"] == "lstm-nade"

    code, out, err = say()
    assert code == 0 and "4 of them finished earlier; the others take at most" in err
    assert len(stub.trained) == 6 == len(set(stub.trained))
    assert [row["model"] for row in report.paper_rows(harness.RESULTS)] == ["lstm", "lstm-nade"]
    assert "> lstm-nade" in out and "> lstm " in out

    code, _, err = say()
    assert code == 0 and len(stub.trained) == 6 and "were trained earlier; --again" in err
    assert say("--again")[0] == 0 and len(stub.trained) == 12


def test_another_recipe_source_or_machine_is_another_run(tmp_path: Path) -> None:
    where = {"machine": "m", "versions": "v", "sources": "s", "commit": "c"}
    entry = Entry("lstm", "jsb", 2)

    def folders(entry: Entry = entry, **changed: str) -> set[str]:
        return {run.folder.name for run in papers.runs_of(entry, (1, 2), tmp_path, {**where, **changed})}

    assert len(folders()) == 2 and folders(commit="other") == folders()
    others = [folders(Entry("lstm", "jsb", 2, ("hidden=8",))), folders(Entry("lstm", "jsb", 3))]
    others += [folders(**{name: "other"}) for name in ("machine", "versions", "sources")]
    assert not any(folders() & other for other in others)


def test_the_sources_of_a_figure_are_hashed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cli = [f"cli/{name}" for name in papers.OF_CLI]
    for name in ("__init__.py", "ops/a.py", "kernels/k.py", "models/m.py", *cli, "cli/help.py", "page/p.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr("tinydl.__file__", str(tmp_path / "__init__.py"))
    seen = {papers.sources()}
    for name in ("cli/help.py", "page/p.py"):  # these change no figure
        (tmp_path / name).write_text("x = 2\n")
        assert papers.sources() in seen
    for name in ("__init__.py", "ops/a.py", "kernels/k.py", "models/m.py", *cli):
        (tmp_path / name).write_text("x = 2\n")
        assert papers.sources() not in seen
        seen.add(papers.sources())


def test_only_names_rows_of_the_plan_and_the_others_stay(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub(monkeypatch, (*TWO, Entry("lstm", "musedata", 5), Entry("lstm", "jsb", 20)))
    papers.write(papers.row_of(TWO[0], [result(TWO[0], 1)]), harness.RESULTS)
    gone = Entry("gru", "jsb", 99)  # a row that is no longer in the plan
    (harness.RESULTS / "papers.json").write_text(
        json.dumps({"rows": [*report.paper_rows(harness.RESULTS), papers.row_of(gone, [result(gone, 1)])]})
    )
    assert say("--only", "lstm-nade@jsb")[0] == 0
    assert {model for model, _ in stub.trained} == {"lstm-nade"}
    rows = report.paper_rows(harness.RESULTS)
    assert [(row["model"], row["seeds"]) for row in rows] == [("lstm", [1]), ("lstm-nade", [1, 2, 3])]

    def keys(*only: str) -> list[tuple[str, str, float]]:
        return [entry.key for entry in papers.chosen(papers.PLAN, only)]

    assert keys("lstm") == [("lstm", "jsb", 2), ("lstm", "musedata", 5), ("lstm", "jsb", 20)]
    assert keys("@musedata", "lstm-nade") == [("lstm-nade", "jsb", 10), ("lstm", "musedata", 5)]
    assert keys("lstm@jsb@20") == [("lstm", "jsb", 20)]


def test_a_row_that_fails_is_one_sentence_and_the_others_are_measured(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = Stub(monkeypatch)
    stub.broken["lstm-nade"] = "`tinydl train lstm-nade jsb` failed: no model is named 'lstm-nade'"
    code, out, err = say("--jobs", "1")
    assert code == 1
    said = [line for line in err.splitlines() if "was not measured" in line]
    assert said == [f"papers: lstm-nade on jsb, 10 min was not measured: {stub.broken['lstm-nade']}"]
    assert sorted(stub.trained) == [("lstm", 1), ("lstm", 2), ("lstm", 3)]
    assert [row["model"] for row in report.paper_rows(harness.RESULTS)] == ["lstm"] and "> lstm " in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quik"], "has no option '--quik'; did you mean '--quick'?"),
        (["--only", "lsmt@jsb"], "--only: no row of the plan is 'lsmt@jsb'; did you mean 'lstm@jsb'?"),
        (["--only", "lstm@jsb@2@3"], "--only: no row of the plan is 'lstm@jsb@2@3'"),
        (["--only", ""], "--only: no row of the plan is ''; its models are lstm-nade, lstm, gru, tanh-rnn"),
        (["--quick", "--only", "lstm@musedata"], "--only: no row of the plan is 'lstm@musedata'"),
        (["--jobs", "0"], "--jobs: must be a whole number from 1 to"),
        (["--jobs", "1000"], "--jobs: must be a whole number from 1 to"),
        (["mlp_step"], "takes no further argument 'mlp_step'"),
        (["--show"], "nothing of this is recorded yet"),
        (["--show", "--quick"], "give one of them"),
    ],
)
def test_bad_options_are_one_line(say: Say, words: list[str], message: str) -> None:
    code, out, err = say(*words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("tinydl: error: ") and message in err


def test_data_that_cannot_be_had_are_one_line(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path))
    monkeypatch.delenv("TINYDL_DATA", raising=False)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", refuse)
    code, out, err = say("--quick")
    assert (code, out, len(err.splitlines())) == (2, "", 1) and "jsb" in err


def test_two_calls_do_not_share_a_folder(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Stub(monkeypatch)
    with papers.alone(tmp_path / "work"):
        code, _, err = say()
    assert code == 2 and err.startswith(f"tinydl: error: another process is training in {tmp_path / 'work'}")


# ----------------------------------------------------------------------------------------------------- real processes


def test_quick_trains_and_prints_and_records_nothing(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One tiny training on the built-in corpus, and a model that there is not."""
    plan = (Entry("lstm", "demo", 20, SMALL), Entry("lstm", "jsb", 2), Entry("no-such-model", "demo", 2))
    monkeypatch.setattr(papers, "PLAN", plan)
    monkeypatch.setattr(papers, "QUICK_DATA", ("demo",))
    monkeypatch.setattr(papers, "QUICK_MINUTES", 0.05)
    code, out, err = say("--quick")
    assert code == 1
    assert out.startswith("quick: 0.05 minutes and 1 seed a row, nothing recorded\n")
    time_spent = r"\S+ s of 0\.05 min(?: \(its core was shared\))?"
    assert re.search(
        rf"^> lstm +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +exact +{time_spent} +[\d,]+ +ours, 1 seed$", out, re.M
    )
    said = [line for line in err.splitlines() if "was not measured" in line]
    assert len(said) == 1 and re.search(
        r"^papers: no-such-model on demo, 0\.05 min was not measured: "
        r"`tinydl train no-such-model demo` failed: no model is named 'no-such-model'; the models are ",
        said[0],
    )
    assert re.search(r"lstm on demo, 0\.05 min, seed 1: validation \S+, test \S+ nats per frame, trained ", err)
    assert not (harness.RESULTS / "papers.json").exists()

    (folder,) = (tmp_path / "work").glob("lstm-demo-*")
    found = json.loads((folder / "result.json").read_text())
    assert found["split"] == "test" and found["seed"] == 1 and found["valid"] > 0 and found["sources"]
    config = json.loads((folder / "run" / "config.json").read_text())
    assert config["config"]["hidden"] == 8 and config["limits"]["minutes"] == 0.05
    assert not (folder / "run" / "last.safetensors").exists()
    assert [path.name for path in (tmp_path / "work").iterdir() if path.name.startswith("tmp")] == []


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="pinning to a core is Linux's")
def test_a_run_has_one_core_and_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os; print(sorted(os.sched_getaffinity(0)), os.environ['NUMBA_NUM_THREADS'])"
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda line, **more: real([sys.executable, "-c", program], **more))
    children, before = papers.Children(), os.sched_getaffinity(0)
    with papers.pool(len(before), children) as executor:
        tasks = {i: ([], tmp_path / f"log{i}") for i in range(len(before))}
        said = [out.strip() for _, (out, _) in papers.each(executor, children.run, tasks)]
    assert all(re.fullmatch(r"\[\d+\] 1", line) for line in said), said
    assert {int(line[1:-3]) for line in said} <= before
    assert os.sched_getaffinity(0) == before


def test_the_children_end_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    program = "import time; print('up', flush=True); time.sleep(60)"
    monkeypatch.setattr(subprocess, "Popen", lambda line, **more: real([sys.executable, "-c", program], **more))
    children = papers.Children()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        with papers.pool(1, children) as executor:
            future = executor.submit(children.run, [], tmp_path / "log")
            while not children.processes:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
    assert time.monotonic() - started < 20 and not children.processes
    with pytest.raises(harness.BenchmarkError, match="ended with code -15"):
        future.result()
    with pytest.raises(harness.BenchmarkError, match="stopped"):
        children.run([], tmp_path / "log")


def test_a_child_without_a_sentence_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda line, **more: real([sys.executable, "-c", "1 / 0"], **more))
    with pytest.raises(harness.BenchmarkError, match=r"`tinydl train x y` failed: it ended with code 1; \S+log holds"):
        papers.Children().run(["train", "x", "y"], tmp_path / "log")
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


# ------------------------------------------------------------------------------------------------------------ the table


def test_the_table_of_the_readme(tmp_path: Path) -> None:
    assert "nothing is measured yet" in report.papers_table(tmp_path)
    entries = [Entry("lstm-nade", "jsb", 10), Entry("lstm", "jsb", 2), Entry("lstm", "musedata", 5)]
    rows = [papers.row_of(entry, [result(entry, seed) for seed in (1, 2, 3)]) for entry in entries]
    rows[1].update(nll_per_frame=8.44, nll_skip_first=8.46)  # beats Bai 2018's LSTM by the wrong average only
    rows[2].update(kind="bound", nll_skip_first=None)
    (tmp_path / "papers.json").write_text(json.dumps({"rows": rows}))
    lines = report.papers_table(tmp_path).splitlines()
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert lines[2] == (
        "| `jsb` | `lstm` | 2:00 of 2 min | 8.44 (5.80 to 6.00) | 8.46 | 5.80 | 287,000 "
        "| Bai 2018: LSTM 8.45‡, TCN 8.10‡; Chung 2014: **LSTM 8.67**†¶ |"
    )
    assert lines[3].endswith(
        "| B-L 2012: RNN-NADE (HF) 5.56†, 5.19 as quoted in Krishnan 2017, RNN-NADE 5.83†, "
        "**RNN-RBM 6.27**†§, **RTRBM 6.35**†§; Krishnan 2017: DMM-Aug-NADE 5.118§¶; "
        "Gu 2015: LV-RNN 3.99 as quoted in Krishnan 2017§¶ |"
    )
    assert "| 5.90 (bound) (5.80 to 6.00) | - | 5.80 |" in lines[4]
    legend = "\n".join(lines[5:])
    assert "† recalled, not verified" in legend and "‡ first frames left out" in legend and "§ an estimate" in legend
    assert "¶ how it is averaged is not known" in legend and "Chung 2014: about 20,000 parameters" in legend
    assert "median of 3 seeds" in legend and "cores: 1 per run" in legend and "exact likelihoods" not in legend


def test_a_row_whose_core_was_shared_says_so(tmp_path: Path) -> None:
    runs = [{**result(TWO[0], seed), "core_share": share} for seed, share in ((1, 0.99), (2, 0.5))]
    row = papers.row_of(TWO[0], runs)
    assert row["core_share"] == 0.5
    (tmp_path / "papers.json").write_text(json.dumps({"rows": [row]}))
    assert "| 1:30 of 2 min (its core was shared) |" in report.papers_table(tmp_path)


def test_the_share_of_a_core_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    program = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ntime.sleep(0.6)"
    monkeypatch.setattr(subprocess, "Popen", lambda line, **more: real([sys.executable, "-c", program], **more))
    _, share = papers.Children().run([], tmp_path / "log")
    assert 0.02 < share < 0.6


def test_a_run_during_which_the_sources_change_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("lstm", "demo", 0.02, SMALL)
    (run,) = papers.runs_of(entry, (1,), tmp_path, where := papers.circumstances())
    monkeypatch.setattr(papers, "sources", lambda: "others")
    with pytest.raises(harness.BenchmarkError, match="the sources were changed during the run"):
        papers.measure(run, papers.Children(), where)
    assert run.finished() is None


def test_rows_of_other_options_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old, new = Entry("lstm", "jsb", 2, ("hidden=8",)), Entry("lstm", "jsb", 2, ("hidden=9",))
    monkeypatch.setattr(papers, "PLAN", (new, TWO[1]))
    (tmp_path / "papers.json").write_text(json.dumps({"rows": [papers.row_of(old, [result(old, 1)])]}))
    papers.write(papers.row_of(TWO[1], [result(TWO[1], 1)]), tmp_path)
    assert [row["model"] for row in report.paper_rows(tmp_path)] == ["lstm-nade"]


def test_weights_that_were_not_chosen_are_not_recorded(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub(monkeypatch, TWO[:1])
    measure = stub.measure
    monkeypatch.setattr(papers, "measure", lambda *words: {**measure(*words), "valid": None})
    code, _, err = say()
    assert code == 0 and "too short for a validation" in err
    assert not (harness.RESULTS / "papers.json").exists()


def test_the_commit_does_not_count_what_measuring_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    for name in ("benchmarks/results/a.csv", "benchmarks/harness.py", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "x")
    monkeypatch.setattr(harness, "__file__", str(tmp_path / "benchmarks" / "harness.py"))
    (tmp_path / "benchmarks/results/b.csv").write_text("2\n")
    (tmp_path / "README.md").write_text("2\n")
    assert re.fullmatch(r"[0-9a-f]+", harness.commit())
    (tmp_path / "benchmarks" / "new.py").write_text("2\n")
    assert re.fullmatch(r"[0-9a-f]+\+", harness.commit())


def test_the_plan_is_made_of_models_and_bars() -> None:
    assert len({entry.key for entry in papers.PLAN}) == len(papers.PLAN)
    assert {entry.model for entry in papers.PLAN} >= {"lstm", "lstm-nade", "gru", "tanh-rnn"}
    limits = {"jsb": 2, "nottingham": 5, "musedata": 20, "piano-midi": 20}  # minutes that were promised
    minutes = {e.data: e.minutes for e in papers.PLAN if e.model == "lstm-nade"}
    assert set(minutes) == set(limits) and all(minutes[data] <= limits[data] for data in limits)
    assert {(e.data, e.minutes) for e in papers.quick_plan(papers.PLAN)} == {("jsb", 0.5), ("piano-midi", 0.5)}
    for entry in papers.PLAN:
        if entry.model in registry.models():
            registry.configure(entry.model, **dict(option.split("=") for option in entry.options))


def test_rows_of_another_machine_are_named_in_the_legend() -> None:
    def row(model: str, machine: str, commit: str) -> dict[str, str]:
        where = {"machine": machine, "versions": "v", "commit": commit, "date": "2002-02-02 1:00"}
        return {"model": model, "data": "jsb", **where}

    one = [row("gru", "old box", "a"), row("lstm", "old box", "b")]
    assert report.measured_on(one) == "old box; v; 2002-02-02, a, b"
    both = report.measured_on([row("lstm-nade", "new box", "c"), *one])
    assert both == "old box; v; 2002-02-02, a, b; but `lstm-nade` on `jsb`: new box; v; 2002-02-02, c"
