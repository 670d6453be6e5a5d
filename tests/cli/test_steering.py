"""`tinydl harmonise`, `tinydl infill` and `tinydl evaluate --voices`: what they write, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, quietly
from tinydl.data import midi
from tinydl.data.corpus import demo_scores
from tinydl.data.score import Note, Score


@pytest.fixture(scope="module")
def chorales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chorales")
    for i, score in enumerate(demo_scores("chorales", 8, seed=5)):
        midi.write(score, folder / f"chorale{i}.mid")
    return folder


@pytest.fixture(scope="module")
def bach(chorales: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "bach"
    options = ("-o", "hidden=8", "window=16", "batch=4", "eval_every=4")
    code, said, err = quietly("train", "mini-bach", chorales, "--out", out, "--steps", "8", *options)
    assert code == 0, err
    assert said.index(f"tinydl harmonise {out} melody.mid") < said.index(f"tinydl generate {out}")
    return out


@pytest.fixture(scope="module")
def deep(chorales: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "deep"
    options = ("-o", "hidden=6", "units=8", "embedding=4", "window=32", "rounds=6", "batch=4", "eval_every=4")
    code, _, err = quietly("train", "deep-bach", chorales, "--out", out, "--steps", "4", *options)
    assert code == 0, err
    return out


@pytest.fixture
def melody(tmp_path: Path) -> Path:
    path = tmp_path / "melody.mid"
    notes = [Note(480 * i, 480 * i + 460, 67 + i % 5, 40 + i) for i in range(16)]
    midi.write(Score(480, notes), path)
    return path


def test_harmonise_keeps_the_melody_and_writes_four_tracks(run: Run, bach: Path, melody: Path, tmp_path: Path) -> None:
    out = tmp_path / "four.mid"
    outcome = run("harmonise", bach, melody, "--out", out, "--seed", "3", "--wav", "--json")
    assert outcome.code == 0, outcome.err
    given, made = midi.read(melody)[0], midi.read(out)[0]
    assert [note for note in made.notes if note.channel == 0] == given.notes
    assert len({note.track for note in made.notes}) == len({note.channel for note in made.notes}) == 4
    assert outcome.json == {"file": str(out), "given": 16, "new": len(made.notes) - 16, "seconds": made.seconds}
    assert out.with_suffix(".wav").stat().st_size > 1000
    again = tmp_path / "again.mid"
    said = run("harmonise", bach, melody, "--out", again, "--seed", "3")
    assert said.out.startswith(f"{again}: 16 notes as given, ") and "seed 3" in said.out
    score = midi.read(melody)[0]
    bass = [Note(480 * i, 480 * i + 480, 40, track=1, channel=1) for i in range(3)]
    midi.write(Score(480, [*score.notes, *bass]), tmp_path / "two.mid")
    said = run("harmonise", bach, tmp_path / "two.mid", "--out", tmp_path / "of_two.mid")
    assert f"3 notes of {tmp_path / 'two.mid'} are left out: they stand beside its tune" in said.out
    assert again.read_bytes() == out.read_bytes()
    assert run("harmonise", bach, melody, "--out", out, "--seed", "4").error().endswith("or add --force")


def test_infill_keeps_all_outside_the_bars(run: Run, deep: Path, chorales: Path, tmp_path: Path) -> None:
    piece, out = chorales / "chorale2.mid", tmp_path / "new.mid"
    outcome = run("infill", deep, piece, "--bars", "2-3", "--out", out, "--seed", "1", "--json")
    assert outcome.code == 0, outcome.err
    given, made = midi.read(piece)[0], midi.read(out)[0]
    lines = [tick for tick, _ in given.bars()]
    start, end = lines[1], lines[3]
    kept = [note for note in given.notes if note.start < start or note.end > end]
    assert {note for note in made.notes if note.start < start or note.end > end} == set(kept)
    assert (made.tempos, made.meters, made.keys, made.track_names) == (
        given.tempos, given.meters, given.keys, given.track_names)  # fmt: skip
    inside = [note for note in made.notes if note.start >= start and note.end <= end]
    assert inside and set(inside) != {note for note in given.notes if note.start >= start and note.end <= end}
    again = tmp_path / "again.mid"
    said = run("infill", deep, piece, "--bars", "2-3", "--out", again, "--seed", "1")
    gone = len(set(given.notes) - set(made.notes))
    assert said.code == 0 and f"{gone} notes of {piece} gave way to the new ones in bars 2 to 3" in said.out
    assert again.read_bytes() == out.read_bytes()
    said = run("infill", deep, piece, "--bars", "2-900", "--out", tmp_path / "no.mid").error()
    assert said.startswith(f"{piece} has {len(lines)} bars, so bars 2-900 cannot be filled")


def test_deep_bach_harmonises_goes_on_and_is_compared(run: Run, deep: Path, melody: Path, tmp_path: Path) -> None:
    out = tmp_path / "four.mid"
    assert run("harmonise", deep, melody, "--out", out).code == 0
    assert [note for note in midi.read(out)[0].notes if note.channel == 0] == midi.read(melody)[0].notes
    new = run("generate", deep, "--out", tmp_path / "n.mid", "--bars", "2", "--primer", out, "--no-copying", "--json")
    assert new.code == 0 and new.json[0]["nll_per_frame"] is None
    found = run("evaluate", deep, "--voices", "--split", "valid", "--json").json
    predictors = list(dict.fromkeys(row["predictor"] for row in found["voices"]))
    assert predictors == ["deep-bach", "shuffled", "majority", "markov"]
    assert run("evaluate", deep, "--json").json["kind"] == "none"
    assert "no likelihood of single notes" in run("surprise", deep, melody).error()



def test_a_model_of_tunes_that_knows_notes_ahead(run: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "tunes", tmp_path / "run"
    folder.mkdir()
    for i in range(12):
        notes = [Note(240 * k, 240 * k + 240, 60 + (k * (i + 1)) % 13) for k in range(32)]
        midi.write(Score(480, notes), folder / f"{i}.mid")
    options = ("-o", "hidden=8", "ahead=5", "embedding=4", "batch=4", "eval_every=4")
    assert quietly("train", "anticipation-rnn", folder, "--out", out, "--steps", "4", *options)[0] == 0
    rows = run("evaluate", out, "--given", "--json").json["given"]
    assert [row["share"] for row in rows] == [0.1, 0.2, 0.4]
    assert all(0 < row[key] < 10 for row in rows for key in ("told", "untold", "misled"))
    assert run("evaluate", out, "--given").out.splitlines()[0].split()[-3:] == ["told", "untold", "misled"]
    new = tmp_path / "new.mid"
    assert run("infill", out, folder / "3.mid", "--bars", "2-2", "--out", new).code == 0
    given, made = midi.read(folder / "3.mid")[0].notes, midi.read(new)[0].notes
    assert [n for n in made if not 1920 <= n.start < 3840] == [n for n in given if not 1920 <= n.start < 3840]
    said = run("harmonise", out, folder / "3.mid", "--out", tmp_path / "no.mid").error()
    assert said.startswith("the model 'anticipation-rnn' cannot harmonise a melody")


def test_what_cannot_be_done_is_one_line(run: Run, bach: Path, trained: Path, melody: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.mid"
    said = run("harmonise", trained, melody, "--out", out).error()
    assert said.startswith("the model 'lstm' cannot harmonise a melody: train one that can, such as ")
    said = run("infill", bach, melody, "--bars", "1-2", "--out", out).error()
    assert said.startswith("the model 'mini-bach' cannot fill a gap")
    said = run("infill", bach, melody, "--bars", "3-1", "--out", out).error()
    assert "--bars: must be FIRST-LAST, counted from 1, such as 5-8, not '3-1'" in said
    said = run("evaluate", trained, "--voices").error()
    assert said == "--voices is for models of four voices, and lstm reads roll: leave it out"
    said = run("evaluate", trained, "--given").error()
    assert said == "--given is for models that take notes of a tune, and lstm takes none: leave it out"
    assert not out.exists()


def test_a_model_of_four_voices_refuses_tunes(run: Run, melody: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    folder.mkdir()
    for i in range(4):
        midi.write(midi.read(melody)[0].transpose(i), folder / f"{i}.mid")
    said = run("train", "mini-bach", folder, "--out", tmp_path / "run", "--steps", "2")
    assert said.code == 2
    (line,) = [line for line in said.err.splitlines() if line.startswith("tinydl: error: ")]
    assert "the model 'mini-bach' needs four voices that sing together" in line and "1 is usual" in line
    assert line.endswith("melody-lstm learns from single voices")


def test_generate_makes_its_own_melody(run: Run, bach: Path, tmp_path: Path) -> None:
    outcome = run("generate", bach, "--out", tmp_path / "new.mid", "--bars", "2", "--no-copying", "--json")
    assert outcome.code == 0 and outcome.json[0]["notes"] > 4
    said = run("generate", bach, "--out", tmp_path / "n.mid", "--primer", tmp_path / "new.mid").error()
    assert said.startswith("the model 'mini-bach' cannot go on from a primer: train one that can, such as ")


def test_voices_beside_simpler_predictors(run: Run, bach: Path) -> None:
    found = run("evaluate", bach, "--voices", "--split", "valid", "--json").json
    assert (found["model"], found["split"]) == ("mini-bach", "valid")
    predictors = list(dict.fromkeys(row["predictor"] for row in found["voices"]))
    assert predictors == ["mini-bach", "shuffled", "majority", "nearest 1", "nearest 10"]
    assert {row["voice"] for row in found["voices"]} == {"alto", "tenor", "bass"}
    assert all(0 <= row[key] <= 1 for row in found["voices"] for key in ("accuracy", "onsets"))
    text = run("evaluate", bach, "--voices", "--split", "valid").out
    assert text.splitlines()[0].split() == ["predictor", "voice", "accuracy", "onsets"] and len(text.splitlines()) == 19
