"""A whole small run through the command line: train, evaluate, generate, render; resume, kill, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Run, content, quietly
from tinydl.data import midi
from tinydl.training import log

ROOT = Path(__file__).parents[2]
EVALUATE_KEYS = ["model", "data", "split", "kind", "nll_per_frame", "nll_skip_first", "nll_per_sequence", "accuracy"]
EVALUATE_KEYS += ["frames", "params", "train_seconds", "seed"]


# -- train -------------------------------------------------------------------------------------------------------------


def test_training_writes_a_run_and_says_what_it_did(run: Run, music: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    outcome = run("train", "lstm", music, "--out", out, "--steps", "8", "--log-every", "2", *SMALL)
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in out.iterdir()) == [
        "best.safetensors",
        "config.json",
        "last.safetensors",
        "log.jsonl",
    ]
    # progress on stderr, in plain lines, since this is no terminal
    assert re.search(r"^picture\.mid +rejected .*JPEG", outcome.err, re.M)
    assert re.search(r"^cut\.mid +(salvaged|duplicate) ", outcome.err, re.M)
    assert "12 files: " in outcome.err
    assert re.findall(r"^step (\d+) loss \d+\.\d+", outcome.err, re.M) == ["1", "2", "4", "6", "8"]
    assert re.findall(r"^step (\d+) valid \d+\.\d+", outcome.err, re.M) == ["4", "8"]
    assert "\x1b" not in outcome.err + outcome.out
    # results on stdout
    assert outcome.out.startswith(f"{out}: 8 steps in ")
    assert re.search(r"^best validation loss \d+\.\d{4} nats/frame, at step (4|8)$", outcome.out, re.M)
    assert f"tinydl generate {out} --out" in outcome.out
    config = json.loads((out / "config.json").read_text())
    assert config["model"] == "lstm" and config["seed"] == 0 and config["source"] == str(music)
    assert config["config"]["hidden"] == 12 and config["train_seconds"] > 0 and len(config["fingerprint"]) == 64


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(music: Path, trained: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    assert quietly("train", "lstm", music, "--out", again, "--steps", "8", "--seed", "3", *SMALL)[0] == 0
    assert quietly("train", "lstm", music, "--out", other, "--steps", "8", "--seed", "4", *SMALL)[0] == 0
    for name in ("log.jsonl", "last.safetensors", "best.safetensors"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()
        assert (other / name).read_bytes() != (trained / name).read_bytes()


@pytest.mark.parametrize("limit", [("--epochs", "1"), ("--minutes", "0.0001")])
def test_training_stops_where_it_is_told_to(run: Run, music: Path, tmp_path: Path, limit: tuple[str, str]) -> None:
    outcome = run("train", "lstm", music, "--out", tmp_path / "run", *limit, *SMALL)
    assert outcome.code == 0
    steps = int(re.search(r": (\d+) steps in", outcome.out)[1])  # type: ignore[index]
    assert 1 <= steps < 100
    assert ("(time is up)" in outcome.out) == (limit[0] == "--minutes")
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_compilation_is_said_when_it_is_and_once() -> None:
    event = pytest.importorskip("numba.core.event")
    from tinydl.cli._progress import compilation_said

    said: list[str] = []
    with compilation_said(said.append):
        assert said == []
        for _ in range(2):
            with event.trigger_event("numba:compile"):
                assert said == ["compiling kernels, once on this machine: this step takes a while"]
    with event.trigger_event("numba:compile"):
        assert len(said) == 1


def test_a_dry_run_shows_everything_and_writes_nothing(run: Run, music: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    before = content(music)
    outcome = run("train", "lstm", music, "--out", out, "--dry-run", *SMALL)
    assert outcome.code == 0
    assert not out.exists() and content(music) == before and list(tmp_path.iterdir()) == []
    for part in (
        r"^picture\.mid +rejected .*JPEG",
        r"^tune1\.mid +kept +(train|valid|test) ",
        r"^train +\d+ +\d+ +\d+",
        r"^  hidden +12$",
        r"^parameters +\d",
        r"^steps per epoch +\d",
        r"^a step +\d+\.\d ms$",
    ):
        assert re.search(part, outcome.out, re.M), part


# -- resume ------------------------------------------------------------------------------------------------------------


def test_resume_takes_options_and_seed_from_the_run(run: Run, music: Path, own: Path) -> None:
    outcome = run("train", "lstm", music, "--out", own, "--resume", "--steps", "10")
    assert outcome.code == 0, outcome.err
    assert "resuming at step 8" in outcome.err and outcome.out.startswith(f"{own}: 10 steps in ")
    config = json.loads((own / "config.json").read_text())
    assert config["seed"] == 3 and config["config"]["hidden"] == 12


def test_resume_before_the_first_checkpoint_starts_afresh_and_says_so(
    run: Run, music: Path, own: Path, trained: Path
) -> None:
    (own / "last.safetensors").unlink()
    outcome = run("train", "lstm", music, "--out", own, "--resume", "--steps", "8", "--seed", "3", *SMALL)
    assert outcome.code == 0 and "starts afresh" in outcome.err
    for name in ("log.jsonl", "last.safetensors", "best.safetensors"):
        assert (own / name).read_bytes() == (trained / name).read_bytes()


def test_resume_of_a_folder_that_is_not_there_starts_afresh(run: Run, music: Path, tmp_path: Path) -> None:
    outcome = run("train", "lstm", music, "--out", tmp_path / "new", "--resume", "--steps", "1", *SMALL)
    assert outcome.code == 0 and "starts afresh" in outcome.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            ["lstm", "{music}", "--out", "{own}"],
            "holds a run already: --resume goes on with it, or choose another folder",
        ),
        (["lstm", "{music}", "--out", "{music}"], "is not empty: give a new or empty folder for the run"),
        (
            ["lstm", "{music}", "--out", "{music}", "--resume"],
            "holds other files and no run: there is nothing to resume",
        ),
        (["lstm", "{music}", "--out", "{music}/notes.txt"], "is a file: give a new or empty folder for the run"),
        (["melody-lstm", "{music}", "--out", "{own}", "--resume"], "is of the model 'lstm', not 'melody-lstm'"),
        (["lstm", "{music}", "--out", "{own}", "--resume", "-o", "hidden=13"], "was trained with hidden=12, not 13"),
        (["lstm", "{music}", "--out", "{own}", "--resume", "--seed", "4"], "was trained with seed 3, not 4"),
        (["lstm", "demo-tunes", "--out", "{own}", "--resume"], "the data of 'demo-tunes' are not those that"),
    ],
)
def test_a_run_is_never_written_over(run: Run, music: Path, own: Path, words: list[str], part: str) -> None:
    before, musical = content(own), content(music)
    error = run("train", *(word.format(music=music, own=own) for word in words)).error()
    assert part in error
    assert content(own) == before and content(music) == musical


def test_resume_notices_that_the_data_have_changed(run: Run, music: Path, tmp_path: Path, own: Path) -> None:
    changed = Path(shutil.copytree(music, tmp_path / "changed"))
    (changed / "tune9.mid").unlink()
    before = content(own)
    error = run("train", "lstm", changed, "--out", own, "--resume", "--steps", "9").error()
    assert f"the data of {str(changed)!r} are not those that {own}" in error
    assert content(own) == before


def start(*argv: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tinydl", *map(str, argv)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def wait_for(child: subprocess.Popen[str], pattern: str) -> str:
    """Read the child's stderr up to a line that matches."""
    assert child.stderr
    seen = []
    for line in child.stderr:
        seen.append(line)
        if re.search(pattern, line):
            return "".join(seen)
    raise AssertionError(f"{pattern!r} never came:\n{''.join(seen)}")


def test_a_killed_run_resumes_to_the_same_bytes(music: Path, tmp_path: Path) -> None:
    words = ["train", "lstm", music, "--steps", "60", "--log-every", "1", "--checkpoint-every", "3", *SMALL]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    child = start(*words, "--out", killed)
    wait_for(child, r"^step 1\d loss")
    child.kill()
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    steps = log.read(killed / "log.jsonl")[-1]["step"]
    assert 10 <= steps < 60
    code, _, err = quietly(*words, "--out", killed, "--resume")
    assert code == 0 and re.search(r"^resuming at step \d+$", err, re.M)
    assert quietly(*words, "--out", whole)[0] == 0
    for name in ("log.jsonl", "last.safetensors", "best.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert {path.name for path in killed.iterdir()} == {path.name for path in whole.iterdir()}


def test_ctrl_c_saves_says_how_to_go_on_and_exits_130(music: Path, tmp_path: Path) -> None:
    words = ["train", "lstm", music, "--steps", "100000", "--log-every", "1", "--out", tmp_path / "run", *SMALL]
    child = start(*words)
    wait_for(child, r"^step 3 loss")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and out == ""
    last = err.splitlines()[-1]
    assert re.fullmatch(r"tinydl: interrupted at step \d+ and saved; .* --resume .*", last), err
    assert "Traceback" not in err
    step = int(re.findall(r"step (\d+)", last)[0])
    code, _, err = quietly(*words[:3], "--steps", str(step + 2), "--out", tmp_path / "run", "--resume")
    assert code == 0 and f"resuming at step {step}" in err


# -- evaluate ----------------------------------------------------------------------------------------------------------


def test_evaluate_gives_the_figures_of_the_contract(run: Run, trained: Path, music: Path) -> None:
    before = content(trained)
    outcome = run("evaluate", trained, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    figures = outcome.json
    assert list(figures) == EVALUATE_KEYS
    assert figures["model"] == "lstm" and figures["data"] == str(music) and figures["split"] == "test"
    assert figures["kind"] == "exact" and figures["seed"] == 3 and figures["train_seconds"] > 0
    assert figures["params"] == 4 * 12 * (88 + 12 + 2) + 88 * 12 + 88
    assert 0 < figures["nll_per_frame"] < 61 and figures["frames"] > 0 and 0 <= figures["accuracy"] <= 1
    valid = run("evaluate", trained, "--split", "valid", "--json").json
    assert valid["split"] == "valid" and valid["nll_per_frame"] != figures["nll_per_frame"]
    best = min(row["valid"] for row in log.read(trained / "log.jsonl") if "valid" in row)
    assert valid["nll_per_frame"] == pytest.approx(best, rel=1e-6)
    plain = run("evaluate", trained).out
    assert (
        f"{figures['nll_per_frame']:.4f}" in plain and [line.split()[0] for line in plain.splitlines()] == EVALUATE_KEYS
    )
    assert content(trained) == before


def test_evaluate_finds_data_that_moved_and_refuses_other_data(
    run: Run, music: Path, own: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(music, tmp_path / "moved"))
    expected = run("evaluate", own, "--json").json
    assert run("evaluate", own, "--data", moved, "--json").json == {**expected, "data": str(moved)}
    (moved / "tune3.mid").unlink()
    assert "are not those that" in run("evaluate", own, "--data", moved).error()
    assert "tinydl: error" not in run("evaluate", own, "--data", "jbs").error()


# -- generate and render -----------------------------------------------------------------------------------------------


def test_generate_writes_numbered_pieces_that_read_back(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run(
        "generate",
        trained,
        "--out",
        tmp_path / "new.mid",
        "--num",
        "2",
        "--bars",
        "2",
        "--seed",
        "1",
        "--wav",
        "--json",
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(content(tmp_path)) == ["new-1.mid", "new-1.wav", "new-2.mid", "new-2.wav"]
    for i, entry in enumerate(outcome.json, 1):
        assert list(entry) == ["file", "notes", "seconds", "nll_per_frame", "longest_copy", "near_copy_share"]
        assert entry["file"] == str(tmp_path / f"new-{i}.mid") and entry["nll_per_frame"] > 0
        score, report = midi.read(entry["file"])
        assert (
            report.status == "ok"
            and len(score.notes) == entry["notes"]
            and score.seconds == pytest.approx(entry["seconds"])
        )
        assert (tmp_path / f"new-{i}.wav").read_bytes()[:4] == b"RIFF"
    assert (tmp_path / "new-1.mid").read_bytes() != (tmp_path / "new-2.mid").read_bytes()


def test_generate_repeats_itself_and_overwrites_nothing_else(run: Run, trained: Path, tmp_path: Path) -> None:
    words = ["generate", trained, "--bars", "2", "--out", tmp_path / "a.mid"]
    assert run(*words).code == 0
    first = content(tmp_path)
    assert run(*words).code == 0  # the same music: nothing to overwrite
    assert content(tmp_path) == first
    error = run(*words, "--seed", "1").error()
    assert error == f"{tmp_path / 'a.mid'} exists and is not overwritten: choose another name, or add --force"
    assert content(tmp_path) == first
    assert run(*words, "--seed", "1", "--force").code == 0
    assert content(tmp_path) != first and list(content(tmp_path)) == ["a.mid"]


def test_a_conflict_with_one_of_several_files_writes_none(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a-2.mid").write_bytes(b"mine")
    words = ["generate", trained, "--bars", "1", "--num", "3", "--out", tmp_path / "a.mid"]
    assert "a-2.mid exists" in run(*words).error()
    assert content(tmp_path) == {"a-2.mid": b"mine"}


def test_temperature_and_primer_change_the_music(run: Run, trained: Path, music: Path, tmp_path: Path) -> None:
    def make(name: str, *options: str | Path) -> bytes:
        assert run("generate", trained, "--bars", "2", "--out", tmp_path / name, *options).code == 0
        return (tmp_path / name).read_bytes()

    plain = make("a.mid")
    assert make("b.mid", "--temperature", "0.5") != plain
    primed = make("c.mid", "--primer", music / "tune1.mid")
    assert len(primed) > len(plain)


def test_generate_for_a_model_of_tokens(run: Run, music: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["-o", "hidden=12", "embedding=8", "chunk=64", "batch=4"]
    assert run("train", "melody-lstm", music, "--out", out, "--steps", "3", *words).code == 0
    outcome = run(
        "generate", out, "--out", tmp_path / "m.mid", "--bars", "2", "--top-k", "5", "--top-p", "0.9", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert outcome.json[0]["notes"] == len(midi.read(tmp_path / "m.mid")[0].notes)
    assert list(run("evaluate", out, "--json").json) == EVALUATE_KEYS


def test_top_k_for_a_model_without_tokens_is_refused(run: Run, trained: Path, tmp_path: Path) -> None:
    error = run("generate", trained, "--out", tmp_path / "a.mid", "--top-k", "3").error()
    assert "'lstm' draws notes, not tokens" in error and not list(tmp_path.iterdir())


def test_render_from_a_generated_piece(run: Run, trained: Path, tmp_path: Path) -> None:
    assert run("generate", trained, "--out", tmp_path / "a.mid", "--bars", "2").code == 0
    shown = run("render", tmp_path / "a.mid")
    assert shown.code == 0 and len(shown.out.splitlines()) > 3
    outcome = run("render", tmp_path / "a.mid", "--wav", tmp_path / "a.wav", "--png", tmp_path / "a.png")
    assert outcome.code == 0
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFF"
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert run("render", tmp_path / "a.mid", "--png", tmp_path / "b.svg").code == 0
    assert b"<svg" in (tmp_path / "b.svg").read_bytes()
    os.truncate(tmp_path / "a.wav", 10)
    assert (
        "a.wav exists and is not overwritten" in run("render", tmp_path / "a.mid", "--wav", tmp_path / "a.wav").error()
    )
