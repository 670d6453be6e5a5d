"""``evaluate --measures`` and ``--copying``, and what ``generate`` says of copies."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Run, content, quietly
from tinydl.data import Splits, load, midi
from tinydl.data.corpus import demo_scores
from tinydl.measures import CopyIndex

MEASURES = ["pitch_class", "scale", "interval", "bass", "harmony", "polyphony", "density", "onset", "rhythm", "groove"]
MEASURES += ["repetition"]
ON_BEATS = [word.replace("step=0.5", "step=1") for word in SMALL]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty chorales: enough for every measure."""
    folder = tmp_path_factory.mktemp("chorales")
    for i, score in enumerate(demo_scores("chorales", 60, seed=5)):
        midi.write(score, folder / f"chorale{i}.mid")
    return folder


@pytest.fixture(scope="module")
def splits(folder: Path) -> Splits:
    return load(folder, {"name": "roll", "step": 1})


@pytest.fixture(scope="module")
def chorales(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps on them."""
    run = tmp_path_factory.mktemp("runs") / "run"
    code, _, err = quietly("train", "lstm", folder, "--out", run, "--steps", "8", *ON_BEATS)
    assert code == 0, err
    return run


def test_measures_in_json_and_in_a_table(run: Run, chorales: Path, folder: Path) -> None:
    before = content(chorales)
    outcome = run("evaluate", chorales, "--measures", "--samples", "6", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = outcome.json
    assert list(found) == ["model", "data", "split", "seed", "temperature", "pieces", "measures"]
    assert found["model"] == "lstm" and found["data"] == str(folder) and found["split"] == "test"
    assert found["pieces"] == {"corpus": 48, "samples": 6, "real": 6, "markov": 6, "noise": 6}
    assert [entry["name"] for entry in found["measures"]] == MEASURES
    for entry in found["measures"]:  # eight steps are not enough to make music
        assert entry["samples"]["distance"] > entry["real"]["distance"]
    plain = run("evaluate", chorales, "--measures", "--samples", "6")
    assert plain.code == 0
    lines = plain.out.splitlines()
    assert [line.split()[0] for line in lines[1:12]] == MEASURES
    for line, entry in zip(lines[1:], found["measures"]):
        assert f"{entry['samples']['distance']:.3f}" in line and entry["verdict"] in line.split()
    assert "48 training pieces" in plain.out and "6 real pieces (test)" in plain.out
    assert content(chorales) == before


def test_copying_in_json_and_in_a_table(run: Run, chorales: Path) -> None:
    outcome = run("evaluate", chorales, "--copying", "--samples", "6", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = outcome.json
    assert (
        {"longest_copy", "longest_melody", "near_copy_share", "detail"} == set(found["samples"]) == set(found["real"])
    )
    assert found["verdict"] == "original" and found["unit"] == "chords"
    assert set(found["samples"]["longest_copy"]) == {"pieces", "median", "p95", "max"}
    assert len(found["samples"]["longest_copy"]["pieces"]) == 6 and len(found["real"]["detail"]) == 6
    plain = run("evaluate", chorales, "--copying", "--samples", "6").out
    assert re.search(r"^longest_copy ", plain, re.M)
    assert re.search(r"^verdict  original( \(by \w+: \d+% of the samples go beyond what is usual\))?\n\Z", plain, re.M)
    assert re.search(r"^the longest copy of a test piece: \d+ chords, .* as chorale\d+\.mid from beat ", plain, re.M)
    other = run("evaluate", chorales, "--copying", "--samples", "6", "--split", "valid", "--time-scale", "--json").json
    assert other["split"] == "valid" and other["time_scale"] and not other["transpose"]
    for key in ("longest_copy", "longest_melody"):
        assert other["samples"][key]["median"] >= 0


def test_seed_and_temperature_are_those_of_the_samples(run: Run, chorales: Path) -> None:
    words = ["evaluate", chorales, "--copying", "--samples", "5", "--json"]
    one, again = run(*words, "--seed", "1").json, run(*words, "--seed", "1").json
    assert one == again and one["seed"] == 1
    assert run(*words, "--seed", "2").json["samples"] != one["samples"]
    assert run(*words, "--seed", "1", "--temperature", "0.5").json["samples"] != one["samples"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--samples 9", "--samples belongs to --measures or --copying: add that, or leave it out"),
        ("--seed 0", "--seed belongs to --measures or --copying: add that, or leave it out"),
        ("--temperature 2", "--temperature belongs to --measures or --copying: add that, or leave it out"),
        ("--time-scale", "--time-scale belongs to --copying: add that, or leave it out"),
        ("--measures --transpose", "--transpose belongs to --copying: add that, or leave it out"),
        ("--copying --samples 4", "--samples: must be a whole number from 5 to 1000, not '4'"),
        ("--copying --temperature 0", "--temperature: must be a number above 0, not '0'"),
        ("--copying --measures", "--measures: not allowed with argument --copying"),
        ("--copying --split train", "--split train leaves nothing to compare with"),
        ("--copyng", "has no option '--copyng'; did you mean '--copying'?"),
    ],
)
def test_options_that_mean_nothing(run: Run, chorales: Path, options: str, sentence: str) -> None:
    assert sentence in run("evaluate", chorales, *options.split()).error()


def test_a_corpus_too_small_says_how_many_pieces_it_needs(run: Run, trained: Path) -> None:
    for option, part in (
        ("--measures", "pieces, and the measures need at least 10: add more music"),
        ("--copying", "the test split holds 1 piece, and the measures need at least 5: add more music"),
    ):
        assert part in run("evaluate", trained, option).error()
        assert part in run("evaluate", trained, option, "--json").error()


def test_runs_and_data_that_are_not_there(run: Run, own: Path, music: Path, tmp_path: Path) -> None:
    for option in ("--measures", "--copying"):
        assert "there is no run" in run("evaluate", tmp_path / "gone", option).error()
        assert "neither a folder or file" in run("evaluate", own, option, "--data", tmp_path / "gone").error()
        assert "are not those that" in run("evaluate", own, option, "--data", "demo-tunes").error()
    (own / "best.safetensors").write_bytes(b"no")
    for option in ("--measures", "--copying"):
        assert "best.safetensors" in run("evaluate", own, option).error()


# -- generate --------------------------------------------------------------------------------------------------------


def test_generate_says_what_is_copied(run: Run, chorales: Path, splits: Splits, tmp_path: Path) -> None:
    words = ["generate", chorales, "--num", "2", "--bars", "4", "--out", tmp_path / "a.mid"]
    outcome = run(*words, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    index = CopyIndex([splits.representation.decode(piece) for piece in splits.train])
    for entry in outcome.json:
        found = index.meter(midi.read(entry["file"])[0])
        assert entry["longest_copy"] == found.longest_copy and entry["near_copy_share"] == found.near_copy_share
    table = run(*words).out.splitlines()
    assert re.search(r"longest copy$", table[0])
    assert [int(line.split()[-1]) for line in table[1:3]] == [entry["longest_copy"] for entry in outcome.json]


def test_a_primer_is_not_held_against_the_piece(run: Run, chorales: Path, splits: Splits, tmp_path: Path) -> None:
    midi.write(splits.representation.decode(splits.train[0][:16]), tmp_path / "theirs.mid")
    words = ["generate", chorales, "--bars", "4", "--primer", tmp_path / "theirs.mid", "--json"]
    (entry,) = run(*words, "--out", tmp_path / "a.mid").json
    assert entry["longest_copy"] <= 4 and entry["near_copy_share"] == 0


def test_generate_works_where_the_data_are_not_at_hand(
    run: Run, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Path(shutil.copytree(music, tmp_path / "theirs"))
    assert quietly("train", "lstm", theirs, "--out", tmp_path / "run", "--steps", "2", *SMALL)[0] == 0
    words = ["generate", tmp_path / "run", "--bars", "2", "--json", "--out", tmp_path / "a.mid"]
    known = run(*words).json[0]
    assert isinstance(known["longest_copy"], int)
    shutil.move(theirs, tmp_path / "moved")
    outcome = run(*words)
    assert outcome.code == 0
    assert outcome.json == [{**known, "longest_copy": None, "near_copy_share": None}]
    (line,) = outcome.err.splitlines()
    assert line.startswith("what is copied is not known: the data of ") and "--data names their new place" in line
    assert run(*words, "--data", tmp_path / "moved").json == [known]
    silent = run(*words, "--no-copying")
    assert silent.err == "" and silent.json == outcome.json
    assert re.search(r"  -$", run(*words[:-3], *words[-2:]).out.splitlines()[1])


def test_generate_downloads_nothing(run: Run, chorales: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinydl.data import datasets

    def never(*args: object) -> Path:
        raise AssertionError("a download")

    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TINYDL_DATA", raising=False)
    monkeypatch.setattr(datasets, "_download", never)
    outcome = run("generate", chorales, "--bars", "1", "--data", "jsb", "--out", tmp_path / "a.mid", "--json")
    assert outcome.code == 0 and outcome.json[0]["longest_copy"] is None
    assert "are not on this machine: tinydl data get jsb brings them" in outcome.err
