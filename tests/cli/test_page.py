"""``tinydl report`` and ``tinydl generate --html``: what the page holds, and what is refused in one line."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, content, quietly
from tinydl.data import midi
from tinydl.training import checkpoint


def words(path: Path) -> str:
    """The page's words, without its drawings, style and program."""
    text = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", path.read_text("utf-8"), flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", " ", text))


def music_of(path: Path) -> list[dict[str, list[float]]]:
    return [
        json.loads(part) for part in re.findall(r'<script type="application/json">(.*?)</script>', path.read_text())
    ]


def commands(path: Path) -> list[list[str]]:
    block = re.search(r"<pre[^>]*><code>(.*?)</code>", path.read_text(), re.S)
    assert block is not None
    return [shlex.split(html.unescape(line)) for line in block[1].splitlines()]


def test_generate_writes_a_page_beside_the_files(run: Run, trained: Path, tmp_path: Path) -> None:
    line = [
        "generate",
        trained,
        "--out",
        tmp_path / "new.mid",
        "--num",
        "2",
        "--bars",
        "2",
        "--html",
        tmp_path / "p.html",
    ]
    outcome = run(*line, "--json")
    assert outcome.code == 0, outcome.err
    assert sorted(content(tmp_path)) == ["new-1.mid", "new-2.mid", "p.html"]
    page = words(tmp_path / "p.html")
    for piece, music in zip(outcome.json, music_of(tmp_path / "p.html")):
        assert f"{piece['nll_per_frame']:.3f} nats/frame" in page
        score = midi.read(piece["file"])[0]
        assert [note[2] for note in music["notes"]] == [note.pitch for note in score.notes]
    assert "new-1" in page and "seed of the music" in page
    # The same command again: the same page, so nothing is overwritten and nothing refused.
    before = content(tmp_path)
    assert run(*line).code == 0 and content(tmp_path) == before


def test_the_commands_on_the_page_make_the_weights_and_the_music_again(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    assert run("report", trained, "--html", first / "r.html", "--num", "1", "--bars", "2", "--seed", "5").code == 0
    second = tmp_path / "second"
    second.mkdir()
    monkeypatch.chdir(second)
    train, report = commands(first / "r.html")
    assert (train[:2], report[:2]) == (["tinydl", "train"], ["tinydl", "report"])
    assert run(*train[1:]).code == 0
    ours, theirs = (checkpoint.load(folder / "best.safetensors") for folder in (trained, second / "run"))
    assert ours.card == theirs.card
    assert all(np.array_equal(array, theirs.weights[name]) for name, array in ours.weights.items())
    assert run(*report[1:]).code == 0
    assert music_of(second / "r.html") == music_of(first / "r.html")


def test_a_cosine_run_is_trained_to_its_own_end(run: Run, music: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["-o", "schedule=cosine", "hidden=4", "chunk=32", "batch=4", "eval_every=2"]
    assert run("train", "lstm", music, "--out", out, "--steps", "5", *options).code == 0
    assert run("report", out, "--html", tmp_path / "r.html", "--num", "1", "--bars", "1").code == 0
    train, _ = commands(tmp_path / "r.html")
    assert train[train.index("--steps") + 1] == "5" and "schedule=cosine" in train


def test_a_report_holds_what_was_measured(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run("report", trained, "--html", tmp_path / "r.html", "--num", "2", "--bars", "2")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"wrote {tmp_path / 'r.html'} (")
    figures = run("evaluate", trained, "--json").json
    page = words(tmp_path / "r.html")
    for key, value in figures.items():
        assert key in page and (f"{value:.4f}" if isinstance(value, float) else str(value)) in page.replace(",", "")
    for part in ("Sample 1", "Sample 2", "A real piece", "Learning", "Settings"):
        assert part in page
    assert checkpoint.card(trained / "best.safetensors").fingerprint in page
    music = music_of(tmp_path / "r.html")
    assert len(music) == 3 and all(piece["frameNats"] for piece in music)
    assert content(tmp_path).keys() == {"r.html"}


def test_surprise_on_the_page_is_the_likelihood(run: Run, trained: Path, tmp_path: Path) -> None:
    assert run("generate", trained, "--out", tmp_path / "a.mid", "--bars", "4", "--html", tmp_path / "a.html").code == 0
    model, card = checkpoint.load_model(trained)
    from tinydl.data.representations import representation

    data = representation(card.representation).encode(midi.read(tmp_path / "a.mid")[0]).data
    (music,) = music_of(tmp_path / "a.html")
    assert music["frameNats"] == pytest.approx(-model.log_prob(data), abs=0.006)


def test_best_weights_alone_can_write_a_page(run: Run, trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "best.safetensors", tmp_path)
    outcome = run("generate", tmp_path / "best.safetensors", "--out", tmp_path / "a.mid", "--html", tmp_path / "a.html")
    assert outcome.code == 0, outcome.err


def test_a_model_of_tokens_has_a_page(run: Run, music: Path, tmp_path: Path) -> None:
    small = ["-o", "hidden=8", "embedding=4", "chunk=64", "batch=4"]
    code, _, err = quietly("train", "melody-lstm", music, "--out", tmp_path / "run", "--steps", "2", *small)
    assert code == 0, err
    outcome = run("report", tmp_path / "run", "--html", tmp_path / "r.html", "--num", "1", "--bars", "2")
    assert outcome.code == 0, outcome.err
    assert "nats/token" in words(tmp_path / "r.html") and "nats/frame" not in words(tmp_path / "r.html")


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("page.txt", "must end in .html"),
        ("file/page.html", "file exists; choose another path"),
        ("folder.html", "is a folder: give the name of a file to write"),
        ("there.html", "exists and is not overwritten"),
        ("n" * 300 + ".html", "choose a shorter name"),
    ],
)
@pytest.mark.parametrize("command", ["report", "generate"])
def test_a_path_that_cannot_be_written(
    run: Run, trained: Path, tmp_path: Path, command: str, target: str, part: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "there.html").write_text("precious")
    (tmp_path / "folder.html").mkdir()
    before = content(tmp_path)
    out = ["--out", tmp_path / "new.mid"] if command == "generate" else ["--num", "1"]
    outcome = run(command, trained, "--html", tmp_path / target, "--bars", "1", *out)
    *progress, error = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "") and error.startswith("tinydl: error: ")
    assert part in error and target.partition("/")[0] in error
    assert not progress or (target == "there.html" and command == "generate")  # which knows it when it is made
    assert content(tmp_path) == before


def test_force_replaces(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("old")
    assert run("report", trained, "--html", tmp_path / "r.html", "--num", "1", "--bars", "1", "--force").code == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_a_report_needs_its_data(run: Run, own: Path, tmp_path: Path) -> None:
    error = run("report", own, "--html", tmp_path / "r.html", "--data", tmp_path / "nowhere").error()
    assert str(tmp_path / "nowhere") in error
    assert not (tmp_path / "r.html").exists()


def test_a_report_sets_new_music_beside_real_music(run: Run, tmp_path: Path) -> None:
    """A run on the built-in chorales has pieces enough for the measures; the figures are those of ``evaluate``."""
    train = ["train", "lstm-nade", "demo-chorales", "--out", tmp_path / "run", "--steps", "4", "-o", "hidden=8"]
    assert run(*train, "units=8", "chunk=64", "step=1/2", "eval_every=4").code == 0
    outcome = run("report", tmp_path / "run", "--html", tmp_path / "r.html", "--num", "1", "--bars", "2")
    assert outcome.code == 0, outcome.err
    page = words(tmp_path / "r.html")
    page = " ".join(page.split())
    measured = run("evaluate", tmp_path / "run", "--measures", "--json").json
    for m in measured["measures"]:
        row = rf"{re.escape(m['title'])} {m['samples']['distance']:.3f} .*? {m['verdict']}\b"
        assert re.search(row, page), m["title"]
    copied = run("evaluate", tmp_path / "run", "--copying", "--json").json
    melody = copied["samples"]["longest_melody"]
    assert f"upper line alone, notes {melody['median']:.2f} {melody['p95']:.2f} " in page
    assert f"The verdict: {copied['verdict']}." in page


def test_a_report_on_few_pieces_says_what_is_missing(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run("report", trained, "--html", tmp_path / "r.html", "--num", "1", "--bars", "2")
    assert outcome.code == 0
    wanted = "no measures on the page: the test split holds 1 piece, and the measures need at least 5"
    assert wanted in outcome.err
    assert "Like the corpus?" not in words(tmp_path / "r.html")


def test_figures_of_a_models_own_task_stand_in_the_table():
    from tinydl.cli.report import _likelihood

    table = _likelihood({"reconstruction": 0.5, "recovered": 0.75, "of_my_own": 1.0}, "nll", "nats")
    assert [row[:2] for row in table.rows] == [("reconstruction", 0.5), ("recovered", 0.75), ("of_my_own", 1.0)]
    assert table.rows[0][2] and table.rows[1][2] and not table.rows[2][2]
