"""What the issue calls bad input, each through the command line: one line, exit 2, nothing written or overwritten."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Run, content
from tests.cli.test_midi_info import REFUSED, SOUND
from tinydl import registry
from tinydl.data import midi
from tinydl.data.score import Note, Score

ROOT = Path(__file__).parents[2]


def picture(folder: Path) -> None:
    (folder / "cat.jpg").write_bytes(REFUSED["jpeg"])


def broken(folder: Path) -> None:
    for name in ("a.mid", "b.mid"):
        (folder / name).write_bytes(REFUSED["jpeg"])


def one_note(folder: Path) -> None:
    (folder / "one.mid").write_bytes(SOUND)


CORPORA: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (lambda folder: None, "holds no files at all"),
    "no-midi": (picture, "holds no MIDI file among its 1 file"),
    "all-broken": (broken, "none of the 2 MIDI files in"),
    "too-small": (one_note, "too short to cut"),
}


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("command", ["train", "dry-run", "show"])
def test_a_folder_that_cannot_be_used(run: Run, tmp_path: Path, name: str, command: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    fill, part = CORPORA[name]
    fill(folder)
    before = content(tmp_path)
    words: list[str | Path] = ["data", "show", folder]
    if command != "show":
        words = ["train", "lstm", folder, "--out", tmp_path / "run", *(["--dry-run"] if command == "dry-run" else [])]
    error = run(*words).error()
    assert part in error and str(folder) in error
    assert content(tmp_path) == before and not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_music(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(REFUSED[name])
    for words in (
        ["train", "lstm", path, "--out", tmp_path / "run"],
        ["data", "show", path],
        ["render", path],
        ["render", path, "--wav", tmp_path / "song.wav"],
    ):
        assert str(path) in run(*words).error()
    assert list(content(tmp_path)) == ["song.mid"]


def test_a_corpus_smaller_than_the_batch_is_one_line_and_trains(run: Run, music: Path, tmp_path: Path) -> None:
    words = ["-o", "hidden=4", "batch=64", "chunk=32", "step=1/2"]
    outcome = run("train", "lstm", music, "--out", tmp_path / "run", "--steps", "1", *words)
    assert outcome.code == 0
    warnings = [line for line in outcome.err.splitlines() if line.startswith("tinydl: warning: ")]
    assert len(warnings) == 1 and "9 training pieces for a batch of 64" in warnings[0]


def test_a_rhythm_that_the_grid_bends_is_said(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "triplets"
    folder.mkdir()
    for k in range(4):
        notes = [Note(160 * i, 160 * i + 150, 60 + (i * (k + 2)) % 12) for i in range(48)]  # 480 ticks a beat
        midi.write(Score(480, notes), folder / f"{k}.mid")
    train = ["train", "lstm", folder, "--steps", "1", "--out"]
    said = run(*train, tmp_path / "a", "-o", "hidden=4", "step=1/4").err
    assert "in 4 of 4 files most notes lie beside the grid of 1/4 beat and were moved to it" in said
    assert "-o step=1/12 keeps triplets" in said
    assert "beside the grid" not in run(*train, tmp_path / "b", "-o", "hidden=4", "step=1/12").err
    assert "in 4 of 4 files" in run("data", "show", folder).err  # its rolls are in sixteenths


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="this user may write anywhere")
def test_a_folder_that_cannot_be_written_is_said_before_any_work(run: Run, trained: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        outcome = run("report", trained, "--html", tmp_path / "r.html")
        assert "cannot write" in outcome.err.splitlines()[0] and outcome.code == 2
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("ltsm demo", "no model is named 'ltsm'; did you mean 'lstm'?"),
        ("zzz demo", f"no model is named 'zzz'; the models are {', '.join(sorted(registry._SHIPPED))}"),
        ("lstm jbs", "'jbs' is neither a folder or file nor the name of a dataset; did you mean 'jsb'?"),
        ("lstm demo -o hiden=3", "model 'lstm' has no option 'hiden'; did you mean 'hidden'?"),
        ("lstm demo -o hidden=many", "option 'hidden' of model 'lstm' must be a whole number, but got 'many'"),
        ("lstm demo -o hidden=0", "option 'hidden' must be at least 1, but is 0"),
        ("lstm demo -o lr=nan", "option 'lr' of model 'lstm' must be a number, but got 'nan'"),
        ("lstm demo -o hidden=3 hidden=4", "-o: hidden is given twice ('3' and '4')"),
        ("lstm demo -o hidden", "-o: must be KEY=VALUE, not 'hidden'"),
        ("lstm demo -o hidden=", "-o: must be KEY=VALUE, not 'hidden='"),
        ("lstm demo --step 3", "tinydl train has no option '--step'; did you mean '--steps'?"),
    ],
)
def test_an_unknown_name_or_value_gets_the_nearest(run: Run, tmp_path: Path, words: str, sentence: str) -> None:
    assert run("train", *words.split(), "--out", tmp_path / "run").error() == sentence
    assert not list(tmp_path.iterdir())


# -- checkpoints -------------------------------------------------------------------------------------------------------


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5])


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1.0]}))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4] ^= 0xFF  # the length of the header: half a terabyte
    path.write_bytes(bytes(data))


def missing(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT = [truncated, header_only, pickled, empty, flipped, missing, folder]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_spoilt_checkpoint(run: Run, own: Path, music: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(own / "best.safetensors")
    before = content(tmp_path)
    for words in (["evaluate", own], ["evaluate", own, "--json"], ["generate", own, "--out", tmp_path / "a.mid"]):
        assert "best.safetensors" in run(*words).error()
    assert content(tmp_path) == before


@pytest.mark.parametrize("spoil", [spoil for spoil in SPOILT if spoil is not missing])
def test_resuming_from_a_spoilt_checkpoint(
    run: Run, own: Path, music: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(own / "last.safetensors")
    before = content(own)
    error = run("train", "lstm", music, "--out", own, "--resume", "--steps", "9", "--seed", "3", *SMALL).error()
    assert "last.safetensors" in error
    assert content(own) == before


def test_a_checkpoint_whose_weights_are_another_model_s(run: Run, own: Path, music: Path, tmp_path: Path) -> None:
    """Well-formed, and of another size than it says: refused with both shapes."""
    from tinydl.training import checkpoint

    path = own / "best.safetensors"
    found = checkpoint.load(path)
    name = "output.bias"
    found.weights[name] = found.weights[name][:-1].copy()
    checkpoint.save(path, found)
    error = run("generate", own, "--out", tmp_path / "a.mid").error()
    assert name in error and "[87]" in error and "[88]" in error


def test_a_safetensors_file_of_another_program(run: Run, own: Path, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3, np.float32)}, own / "best.safetensors")
    assert "is not a checkpoint of tinydl" in run("evaluate", own).error()


def test_a_run_that_is_not_there(run: Run, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert f"there is no run {gone}" in run("evaluate", gone).error()
    assert f"there is no run {gone}" in run("generate", gone, "--out", tmp_path / "a.mid").error()
    assert "holds no best.safetensors" in run("evaluate", tmp_path).error()
    assert not list(tmp_path.iterdir())


def test_a_run_whose_config_is_spoilt_still_generates(run: Run, own: Path, tmp_path: Path) -> None:
    (own / "config.json").write_text("{")
    assert "config.json is damaged" in run("evaluate", own).error()
    assert run("generate", own, "--out", tmp_path / "a.mid", "--bars", "1").code == 0


# -- places to write ---------------------------------------------------------------------------------------------------


def test_an_output_that_is_a_folder(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mid").mkdir()
    assert f"{tmp_path / 'a.mid'} is a folder" in run("generate", trained, "--out", tmp_path / "a.mid").error()


def test_an_output_below_a_file(run: Run, trained: Path, music: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in run("generate", trained, "--out", tmp_path / "file" / "a.mid").error()
    assert "file" in run("train", "lstm", music, "--out", tmp_path / "file" / "run").error()
    assert content(tmp_path) == {"file": b""}


def test_a_primer_that_cannot_be_used(run: Run, trained: Path, tmp_path: Path) -> None:
    for name, data in REFUSED.items():
        (tmp_path / f"{name}.mid").write_bytes(data)
        error = run("generate", trained, "--out", tmp_path / "out.mid", "--primer", tmp_path / f"{name}.mid").error()
        assert f"{name}.mid" in error
    assert "nowhere.mid" in run("generate", trained, "--out", tmp_path / "out.mid", "--primer", "nowhere.mid").error()
    assert not (tmp_path / "out.mid").exists()


FULL_DISK = """
import resource, sys
from tinydl.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def on_a_full_disk(limit: int, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """A command that cannot write a file beyond ``limit`` bytes."""
    command = [sys.executable, "-c", FULL_DISK, str(limit), *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)


def test_a_full_disk_keeps_the_last_checkpoint(own: Path, music: Path) -> None:
    before = content(own)
    done = on_a_full_disk(8_000, "train", "lstm", music, "--out", own, "--resume", "--steps", "12")
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tinydl: error: ") and "safetensors" in last and "Traceback" not in done.stderr
    assert content(own)["last.safetensors"] == before["last.safetensors"]
    assert sorted(content(own)) == sorted(before)


def test_a_full_disk_leaves_no_half_piece(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"mine")
    done = on_a_full_disk(3_000, "generate", trained, "--out", tmp_path / "a.mid", "--bars", "2", "--wav", "--force")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("tinydl: error: ")
    assert str(tmp_path / "a.wav") in done.stderr
    assert content(tmp_path) == {"a.mid": b"mine"}


def test_a_folder_that_may_not_be_written(run: Run, trained: Path, music: Path, tmp_path: Path) -> None:
    import os

    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write anywhere")
    assert str(locked) in run("generate", trained, "--out", locked / "a.mid").error()
    assert str(locked) in run("train", "lstm", music, "--out", locked / "run").error()
    shutil.rmtree(locked)
