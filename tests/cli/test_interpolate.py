"""`tinydl interpolate` and what `tinydl evaluate` adds for models with a latent vector: files, figures, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, content, quietly
from tinydl.data import midi
from tinydl.data.corpus import demo_scores

SMALL = ["-o", "meter=3/4", "hidden=8", "embedding=5", "latent=3", "samples=2", "batch=2", "eval_every=4"]


@pytest.fixture(scope="module")
def vae(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "vae"
    code, _, err = quietly("train", "music-vae", music, "--out", out, "--steps", "8", *SMALL)
    assert code == 0, err
    return out


@pytest.fixture
def waltzes(tmp_path: Path) -> tuple[Path, Path]:
    found = [score for score in demo_scores("tunes", 20, seed=6) if score.meters[0].numerator == 3][:2]
    paths = tmp_path / "a.mid", tmp_path / "b.mid"
    for score, path in zip(found, paths):
        midi.write(score, path)
    return paths


def test_a_folder_of_steps(run: Run, vae: Path, waltzes: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "way"
    words = ("interpolate", vae, *waltzes, "--steps", "3", "--temperature", "1", "--out")
    outcome = run(*words, out, "--seed", "4", "--json")
    assert outcome.code == 0
    keys = ["file", "notes", "seconds", "of_a", "of_b", "from_a", "from_b", "from_first", "from_last"]
    assert [list(entry) for entry in outcome.json] == [keys] * 3
    assert [entry["file"] for entry in outcome.json] == [str(out / f"{k}.mid") for k in range(3)]
    assert sorted(content(out)) == ["0.mid", "1.mid", "2.mid"]
    for entry in outcome.json:
        score, report = midi.read(entry["file"])
        assert report.status == "ok" and len(score.notes) == entry["notes"]
        assert all((m.numerator, m.denominator) == (3, 4) for m in score.meters)
    again = run(*words, tmp_path / "again", "--seed", "4", "--wav")
    assert {k: v for k, v in content(tmp_path / "again").items() if k.endswith(".mid")} == content(out)
    assert "1.wav" in content(tmp_path / "again")
    lines = again.out.splitlines()
    assert lines[0].split()[3:] == ["of", "A", "from", "first", "from", "last", "of", "B"] and len(lines) == 8
    assert lines[1].split()[-3] == "0%" and lines[3].split()[-2] == "0%"
    back = [f"{share:.0%} of the notes" for share in (outcome.json[0]["of_a"], outcome.json[2]["of_b"])]
    assert lines[-1] == f"{back[0]} of {waltzes[0]} came back, and {back[1]} of {waltzes[1]}"
    assert run(*words, out, "--seed", "5").error().endswith("or add --force")
    assert run(*words, out, "--seed", "5", "--force").code == 0


def test_nothing_of_a_longer_way_stays(run: Run, vae: Path, waltzes: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "way"
    words = ("interpolate", vae, *waltzes, "--out", out, "--temperature", "1")
    assert run(*words, "--steps", "5", "--wav").code == 0
    (out / "7.mid").write_bytes(b"not of this row")
    before = content(out)
    said = run(*words, "--steps", "3").error()
    assert "3.mid is there from an earlier call" in said or "exists and is not overwritten" in said
    assert content(out) == before
    assert run(*words, "--steps", "3", "--force").code == 0
    assert sorted(content(out)) == ["0.mid", "1.mid", "2.mid", "7.mid"]


def test_the_folder_needs_a_name(run: Run, vae: Path, waltzes: tuple[Path, Path], tmp_path: Path) -> None:
    for words in (("interpolate", vae, *waltzes), ("train", "lstm", tmp_path), ("demo",)):
        assert "--out: must be the name of a folder, not ''" in run(*words, "--out", "").error()


def test_what_is_left_out_is_said(run: Run, vae: Path, waltzes: tuple[Path, Path], tmp_path: Path) -> None:
    from dataclasses import replace

    a, b = waltzes
    score = midi.read(b)[0]
    midi.write(replace(score, notes=[*score.notes, replace(score.notes[0], pitch=20)]), b)
    outcome = run("interpolate", vae, a, b, "--steps", "2", "--out", tmp_path / "way")
    (line,) = [line for line in outcome.err.splitlines() if line.startswith(f"{b}: ")]
    assert outcome.code == 0 and f" of {len(score.notes) + 1} notes are left out" in line
    assert "1 out of its range" in line and " beside the voices that it reads" in line  # the tune's chords


def test_what_cannot_be_done_is_one_line(
    run: Run, vae: Path, trained: Path, waltzes: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "way"
    a, b = waltzes
    said = run("interpolate", trained, a, b, "--out", out).error()
    assert said.startswith("the model 'lstm' cannot go from one piece to another: train one that can")
    assert "no such file" in run("interpolate", vae, a, tmp_path / "none.mid", "--out", out).error().lower()
    assert "from 2 to 1000" in run("interpolate", vae, a, b, "--out", out, "--steps", "1").error()
    reel = next(score for score in demo_scores("tunes", 20, seed=6) if score.meters[0].numerator == 4)
    midi.write(reel, tmp_path / "reel.mid")
    said = run("interpolate", vae, a, tmp_path / "reel.mid", "--out", out).error()
    assert said.startswith(f"{tmp_path / 'reel.mid'} does not fit the model: bar 1 is in 4/4, and all bars must be")
    assert not out.exists()


def test_evaluate_says_how_much_of_a_phrase_comes_back(run: Run, vae: Path) -> None:
    found = run("evaluate", vae, "--split", "train", "--json").json
    figures = ["reconstruction", "reconstruction_sampled", "reconstruction_forced"]
    assert list(found)[-3:] == figures and found["kind"] == "bound"
    assert found["accuracy"] is None and "nll_per_frame" not in found and found["nll_bound_per_frame"] > 0
    assert 0 < found["reconstruction_sampled"] < 1 and 0 < found["reconstruction"] < 1
    assert f"{found['reconstruction']:.4f}" in run("evaluate", vae, "--split", "train").out
