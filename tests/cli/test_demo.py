"""``tinydl demo``, shortened: the same path with fewer steps of a smaller model."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, content
from tinydl.cli import demo
from tinydl.data import midi


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "STEPS", 20)
    monkeypatch.setattr(demo, "BARS", 2)
    monkeypatch.setattr(demo, "OPTIONS", {"hidden": 32, "embedding": 16, "chunk": 64, "batch": 8, "lr": 0.01})


def test_two_demos_write_the_same_music_and_the_commands_that_they_name_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("demo", "--out", "my demo")
    assert outcome.code == 0, outcome.err
    files = content(tmp_path / "my demo")
    assert {"demo.mid", "demo.wav", "demo.png", "run/best.safetensors"} <= set(files)
    assert files["demo.wav"][:4] == b"RIFF" and files["demo.png"][:4] == b"\x89PNG"
    score, report = midi.read(tmp_path / "my demo" / "demo.mid")
    assert report.status == "ok" and score.notes
    assert re.search(r"^step 1 loss", outcome.err, re.M)
    assert "\x1b" not in outcome.out

    line = r"^loss (\d+\.\d+) -> (\d+\.\d+) nats/token; validation (\d+\.\d+) beats the unigram's (\d+\.\d+)$"
    found = re.search(line, outcome.out, re.M)
    assert found, outcome.out
    first, last, valid, unigram = map(float, found.groups())
    assert last < first and valid < unigram

    again = run("demo", "--out", "my demo")  # in the same place
    assert again.code == 0, again.err
    for name in ("demo.mid", "run/last.safetensors"):
        assert content(tmp_path / "my demo")[name] == files[name]

    # "tinydl", or its path where its environment is not active
    lines = [line.strip() for line in outcome.out.splitlines() if re.match(r"  \S*tinydl ", line)]
    assert [line.split()[1] for line in lines] == ["generate", "evaluate", "train"]
    for line in lines[:2]:  # the third is about music of the reader's own
        outcome = run(*shlex.split(line)[1:])
        assert outcome.code == 0, outcome.err
    assert (tmp_path / "more-4.wav").exists()


def test_the_demo_leaves_other_files_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    error = run("demo", "--out", tmp_path).error()
    assert error == f"{tmp_path / 'run' / 'thesis.txt'} is not the demo's: choose another folder with --out"
    assert content(tmp_path) == {"run/thesis.txt": b"mine"}


def test_the_demo_refuses_a_file_as_its_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    assert str(tmp_path / "demo") in run("demo", "--out", tmp_path / "demo").error()
    assert content(tmp_path) == {"demo": b"mine"}


def test_unigram_nll_against_the_definition() -> None:
    train = [np.array([9, 1, 1, 2]), np.array([9, 2, 1, 1, 0])]
    held_out = [np.array([9, 1, 2, 3])]
    count = {0: 1, 1: 4, 2: 2}  # the 9s at the start are given
    p = [(count.get(token, 0) + 1) / (7 + 10) for token in range(10)]
    expected = -np.mean([np.log(p[1]), np.log(p[2]), np.log(p[3])])
    assert demo.unigram_nll(train, held_out, 10) == pytest.approx(expected)


def test_an_interrupted_demo_starts_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the first step leaves a run that the next demo replaces."""
    import signal

    from tinydl.training import Trainer

    def stop(trainer: Trainer) -> tuple[float, float]:
        signal.raise_signal(signal.SIGINT)
        return advance(trainer)

    advance = Trainer.advance
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", stop)
        outcome = run("demo", "--out", tmp_path)
    assert outcome.code == 130 and outcome.out == ""
    assert outcome.err.splitlines()[-1] == "tinydl: interrupted; the same command starts the demo again"
    assert not (tmp_path / "demo.mid").exists() and (tmp_path / "run" / "last.safetensors").exists()
    assert run("demo", "--out", tmp_path).code == 0 and (tmp_path / "demo.mid").exists()


def test_the_demo_replaces_nothing_that_it_did_not_make(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "demo.mid").write_bytes(b"mine")
    (tmp_path / "run" / "config.json").write_bytes(b"mine too")
    error = run("demo", "--out", tmp_path).error()
    assert error == f"{tmp_path / 'demo.mid'} is not the demo's: choose another folder with --out"
    assert content(tmp_path) == {"demo.mid": b"mine", "run/config.json": b"mine too"}
