"""`tinydl surprise`: the figures of the contract, the picture, and what is refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tinydl.data import midi
from tinydl.data.score import Note, Score
from tinydl.training import load_model

KEYS = ["file", "model", "kind", "unit", "nll_per_frame", "valid", "frames", "notes", "frame_nll", "frame_start"]


@pytest.fixture
def song(music: Path) -> Path:
    return music / "tune3.mid"


def test_json_gives_every_note_and_every_frame(run: Run, trained: Path, song: Path) -> None:
    outcome = run("surprise", trained, song, "--json")
    assert outcome.code == 0
    found = outcome.json
    assert list(found) == KEYS
    model, card = load_model(trained)
    from tinydl.data.representations import representation

    score = midi.read(song)[0]
    log_prob = model.log_prob(representation(card.representation).encode(score).data)
    assert found["frames"] == len(found["frame_nll"]) == len(found["frame_start"]) == len(log_prob)
    assert found["nll_per_frame"] == pytest.approx(-log_prob.mean(), rel=1e-5)
    assert (found["file"], found["model"], found["kind"], found["unit"]) == (str(song), "lstm", "exact", "frame")
    assert found["valid"] == card.valid
    assert [entry["pitch"] for entry in found["notes"]] == [note.pitch for note in score.notes]
    assert set(found["notes"][0]) == {"bar", "beat", "pitch", "start", "nll"}
    assert found["notes"][0]["bar"] == found["notes"][0]["beat"] == 1
    unheard = sum(entry["nll"] is None for entry in found["notes"])
    assert 0 < unheard < len(found["notes"])
    assert f"{unheard} of {len(found['notes'])} notes have no surprise of their own" in outcome.err


def test_the_table_and_the_roll(run: Run, trained: Path, song: Path, tmp_path: Path) -> None:
    picture = tmp_path / "song.svg"
    outcome = run("surprise", trained, song, "--top", "3", "--svg", picture)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("bar:beat"))
    rows = [line.split() for line in lines[head + 1 : head + 4]]
    nats = [float(row[-2 if "s" not in row else row.index("s") + 1]) for row in rows]
    assert nats == sorted(nats, reverse=True) and lines[head + 4] == ""
    found = run("surprise", trained, song, "--json").json
    assert nats[0] == pytest.approx(max(found["frame_nll"]), abs=0.006)
    valid = f"{found['valid']:.4f}"
    assert (
        f"{found['nll_per_frame']:.4f} nats/frame" in outcome.out and f"validated on: {valid} nats/frame" in outcome.out
    )
    assert any(line.startswith("nats │") for line in lines) and "\x1b" not in outcome.out
    ElementTree.parse(picture)
    assert run("surprise", trained, song, "--svg", picture).code == 0  # the same bytes again
    picture.write_text("mine")
    assert "exists and is not overwritten" in run("surprise", trained, song, "--svg", picture).error()
    assert picture.read_text() == "mine"
    assert run("surprise", trained, song, "--svg", picture, "--force").code == 0


def test_what_cannot_be_judged_is_one_line(
    run: Run, trained: Path, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    midi.write(Score(480, [Note(480 * i, 480 * i + 480, 10) for i in range(4)]), tmp_path / "low.mid")
    assert "hears none of the 4 notes" in run("surprise", trained, tmp_path / "low.mid").error()
    midi.write(Score(480, [Note(320 * i + 160, 320 * i + 320, 60) for i in range(9)]), tmp_path / "swing.mid")
    error = run("surprise", trained, tmp_path / "swing.mid", "--svg", tmp_path / "new" / "swing.svg").error()
    assert "swing.mid is not on the model's grid of 1/2 beat" in error and "-o step=" in error
    assert not (tmp_path / "new").exists()
    assert "there is no run" in run("surprise", tmp_path / "gone", song).error()
    assert "picture.mid" in run("surprise", trained, song.parent / "picture.mid").error()
    assert "must end in .svg" in run("surprise", trained, song, "--svg", "x.png").error()
    from tinydl.models.rnn import Lstm

    monkeypatch.setattr(Lstm, "density", "none")
    assert "the model 'lstm' has no likelihood of single notes" in run("surprise", trained, song).error()


def test_a_damaged_file_is_heard_as_far_as_it_goes(run: Run, trained: Path, music: Path) -> None:
    outcome = run("surprise", trained, music / "cut.mid", "--json")
    assert outcome.code == 0 and "cut.mid is damaged" in outcome.err
    assert json.loads(outcome.out)["frames"] > 0
