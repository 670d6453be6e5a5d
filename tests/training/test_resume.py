"""A run that was stopped anywhere, in any way, and resumed ends with the bytes of one that was not."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training import toys
from tinydl.errors import CheckpointError, DataError
from tinydl.training import Silent, checkpoint, fit, load_model, log, read_config
from tinydl.training.checkpoint import Checkpoint, load, save
from tinydl.utils import tensorfile

FILES = ("best.safetensors", "last.safetensors", "log.jsonl")


def contents(run):
    """The bytes of a run's files, without the one that tells the time."""
    assert sorted(os.listdir(run)) == sorted([*FILES, "config.json"])
    config = {key: value for key, value in read_config(run).items() if key != "train_seconds"}
    return {**{name: (run / name).read_bytes() for name in FILES}, "config.json": json.dumps(config)}


def train(out, *, options=None, splits=None, seed=3, **more):
    return fit(toys.build(**(options or {})), splits or toys.splits(), out, seed=seed, progress=Silent(), **more)


OPTIONS = {
    "constant": {},
    "cosine": {"schedule": "cosine"},
    "plateau": {"schedule": "plateau", "patience": 4, "eval_every": 1},
    "no average, no decay": {"average": 0.0, "weight_decay": 0.0, "clip": 0.0},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_resume_at_every_step(tmp_path, options):
    train(tmp_path / "whole", options=options, log_every=5, checkpoint_every=100)
    expected = contents(tmp_path / "whole")
    for step in range(1, 12):
        # Stopped by the clock, as --minutes would, after ``step`` steps.
        cut = tmp_path / f"cut-{step}"

        class Clock(Silent):
            def tick(self, at, *rest):
                if at == step:  # noqa: B023
                    os.kill(os.getpid(), 2)

        with pytest.raises(Exception, match=f"interrupted at step {step} "):
            fit(toys.build(**options), toys.splits(), cut, seed=3, log_every=5, checkpoint_every=100, progress=Clock())
        train(cut, options=options, log_every=5, checkpoint_every=100, resume=True)
        assert contents(cut) == expected, step


def test_two_runs_write_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(tmp_path / name, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a")["best.safetensors"] != contents(tmp_path / "c")["best.safetensors"]


def test_checkpoints_do_not_change_the_run(tmp_path):
    train(tmp_path / "often", checkpoint_every=1)
    train(tmp_path / "once", checkpoint_every=100)
    assert contents(tmp_path / "often") == contents(tmp_path / "once")


@pytest.fixture
def snapshots(tmp_path, monkeypatch):
    """Train once, copying the folder before and after every file operation: all that a kill at any moment can leave.

    (A kill loses nothing that was handed to the system; what a power failure loses, the order of flushing decides:
    test_tensorfile.py.)
    """
    run, shots = tmp_path / "run", []

    def shoot():
        if run.exists():
            shots.append(shutil.copytree(run, tmp_path / f"shot-{len(shots)}"))

    def watched(function):
        def call(*args, **kwargs):
            with monkeypatch.context() as off:
                for name, real in originals.items():
                    off.setattr(os, name, real)
                shoot()
            result = function(*args, **kwargs)
            with monkeypatch.context() as off:
                for name, real in originals.items():
                    off.setattr(os, name, real)
                shoot()
            return result

        return call

    originals = {name: getattr(os, name) for name in ("fsync", "replace")}
    with monkeypatch.context() as patch:
        for name, real in originals.items():
            patch.setattr(os, name, watched(real))
        train(run, log_every=2)
    return run, shots


def test_a_kill_at_any_file_operation(snapshots):
    run, shots = snapshots
    expected = contents(run)
    distinct = {tuple(sorted((f.name, f.read_bytes()) for f in shot.iterdir())): shot for shot in shots}
    assert len(distinct) > 20
    leftovers = newer_best = 0
    for shot in distinct.values():
        leftovers += any(path.name.endswith(".tmp") for path in shot.iterdir())
        if (shot / "best.safetensors").exists() and (shot / "last.safetensors").exists():
            newer_best += (
                checkpoint.card(shot / "best.safetensors").step > checkpoint.card(shot / "last.safetensors").step
            )
        train(shot, log_every=2, resume=True)
        assert contents(shot) == expected
    assert leftovers > 3  # or the test would not have seen what it is about
    assert newer_best > 0


def test_best_follows_last_when_a_resumed_run_ends_early(snapshots):
    """Killed between the two writes, then resumed and stopped at once: best.safetensors is not from the future."""
    _, shots = snapshots
    for shot in shots:
        best, last = shot / "best.safetensors", shot / "last.safetensors"
        if best.exists() and last.exists() and checkpoint.card(best).step > checkpoint.card(last).step:
            train(shot, resume=True, minutes=1e-9)
            assert checkpoint.card(best).step == load(last).state["best"]["step"] <= checkpoint.card(last).step
            break
    else:
        pytest.fail("no snapshot lies between the two writes")


def test_kill_9(tmp_path):
    """Processes killed one after the other, each resuming where the one before was killed, at operations of all
    kinds."""
    train(tmp_path / "whole", checkpoint_every=2)
    run = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = 0
    for fatal in (7, 18, 21, 26, 15, 32, 10**9):
        resume = ["resume"] if run.exists() else []
        done = subprocess.run(
            [sys.executable, "-m", "tests.training.kill_me", str(run), str(fatal), *resume],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, -9), done.stderr
        killed += done.returncode == -9
        if not done.returncode:
            break
    assert done.returncode == 0
    assert killed >= 5
    assert contents(run) == contents(tmp_path / "whole")


def test_a_resume_without_a_checkpoint_starts_afresh_and_says_so(tmp_path):
    said = []

    class Listen(Silent):
        def message(self, text):
            said.append(text)

    train(tmp_path / "whole")
    run = tmp_path / "run"
    run.mkdir()
    (run / "log.jsonl").write_text('{"step": 1, "lo')
    (run / "best.safetensors").write_bytes((tmp_path / "whole" / "best.safetensors").read_bytes())
    (run / ".last.safetensors.tmp").write_bytes(b"half")
    fit(toys.build(), toys.splits(), run, seed=3, resume=True, progress=Listen())
    assert said[:1] == [f"{run} holds no checkpoint yet: training starts afresh"]
    assert contents(run) == contents(tmp_path / "whole")


def test_a_finished_run_resumes_to_itself_and_further(tmp_path):
    train(tmp_path / "run", steps=6)
    before = contents(tmp_path / "run")
    assert train(tmp_path / "run", steps=6, resume=True).step == 6
    assert contents(tmp_path / "run") == before
    assert train(tmp_path / "run", steps=9, resume=True).step == 9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"options": {"hidden": 5}}, "was trained with hidden=4, not 5"),
        ({"options": {"lr": 0.1}}, "was trained with lr=0.05, not 0.1"),
        ({"seed": 9}, "was trained with seed 3, not 9"),
        ({"splits": toys.splits(seed=2)}, "the data of 'toy' are not those"),
    ],
)
def test_another_run_is_not_resumed(tmp_path, change, says):
    train(tmp_path / "run", steps=3)
    before = contents(tmp_path / "run")
    with pytest.raises((CheckpointError, DataError), match=says) as caught:
        train(tmp_path / "run", steps=6, resume=True, **change)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("name", ["last.safetensors", "best.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "pickle", "empty", "foreign"])
def test_damaged_checkpoints(tmp_path, name, damage):
    run = tmp_path / "run"
    train(run, steps=6)
    expected = contents(run)
    path = run / name
    whole = path.read_bytes()
    if damage == "foreign":
        tensorfile.write(path, {"w": np.ones(3, np.float32)}, {"format": "pt"})
    else:
        flipped = whole[:-5] + bytes([whole[-5] ^ 16]) + whole[-4:]
        path.write_bytes({"truncated": whole[:-1], "flipped": flipped, "pickle": b"\x80\x04N.", "empty": b""}[damage])
    with pytest.raises(CheckpointError, match="is not a checkpoint of tinydl"):
        load(path)
    if name == "last.safetensors":
        with pytest.raises(CheckpointError, match=r"last\.safetensors is not a checkpoint of tinydl"):
            train(run, steps=6, resume=True)
    else:
        with pytest.raises(CheckpointError, match=r"best\.safetensors is not a checkpoint of tinydl"):
            load_model(run)
        train(run, steps=6, resume=True)  # last.safetensors holds the best weights too
        assert contents(run) == expected


def test_a_checkpoint_that_does_not_fit(tmp_path):
    run = tmp_path / "run"
    train(run, steps=3)
    path = run / "best.safetensors"
    good = load(path)

    def refused(says, weights=None, **card):
        import dataclasses

        save(path, Checkpoint(dataclasses.replace(good.card, **card), weights or good.weights))
        with pytest.raises(CheckpointError, match=says) as caught:
            load_model(run)
        assert "\n" not in str(caught.value)

    bias = good.weights["output.bias"]
    refused(
        r"'output.bias' is float32\[6\] and the model's is float32\[5\]",
        {**good.weights, "output.bias": np.zeros(6, np.float32)},
    )
    refused(r"'output.bias' is float64\[5\] and", {**good.weights, "output.bias": bias.astype(np.float64)})
    refused("lacks the tensor 'output.bias'", {k: v for k, v in good.weights.items() if k != "output.bias"})
    refused("no tensor 'extra'", {**good.weights, "extra": bias})
    refused("not finite", {**good.weights, "output.bias": bias * np.nan})
    refused("no model is named 'toi'; did you mean 'toy'", model="toi")
    refused("no option 'hiden'; did you mean 'hidden'", config={**good.card.config, "hiden": 3})
    refused("'hidden' .*must be a whole number", config={**good.card.config, "hidden": "x"})
    refused("is not a checkpoint of tinydl", model=3)


def test_no_run_at_all(tmp_path):
    with pytest.raises(CheckpointError, match="there is no run"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no best\.safetensors"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match=r"cannot read config\.json"):
        read_config(tmp_path)


def test_a_newer_format_says_upgrade(tmp_path):
    tensorfile.write(tmp_path / "x", {}, {"tinydl": '{"format": 99, "card": {}, "state": {}}'})
    with pytest.raises(CheckpointError, match="upgrade tinydl"):
        load(tmp_path / "x")


def test_a_full_disk_keeps_the_checkpoint_and_says_so(tmp_path, monkeypatch):
    train(tmp_path / "whole")
    run = tmp_path / "run"
    real, writes = os.fsync, []

    def full(fd):
        if os.readlink(f"/proc/self/fd/{fd}").endswith(".last.safetensors.tmp") and len(writes) == 2:
            raise OSError(28, "No space left on device")
        writes.append(1) if os.readlink(f"/proc/self/fd/{fd}").endswith(".last.safetensors.tmp") else None
        real(fd)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            CheckpointError, match=r"cannot write .*last\.safetensors: No space left on device; the file that was there"
        ):
            train(run)
    assert checkpoint.card(run / "last.safetensors").step == 6
    assert sorted(os.listdir(run)) == sorted([*FILES, "config.json"])
    train(run, resume=True)
    assert contents(run) == contents(tmp_path / "whole")


def test_nothing_is_ever_unpickled(tmp_path, monkeypatch):
    import pickle

    train(tmp_path / "run", steps=3)

    def forbidden(*args, **kwargs):
        raise AssertionError("a checkpoint ran code")

    for owner, name in (
        (pickle, "loads"),
        (pickle, "load"),
        (pickle, "Unpickler"),
        (builtins, "eval"),
        (builtins, "exec"),
    ):
        monkeypatch.setattr(owner, name, forbidden)
    load(tmp_path / "run" / "last.safetensors")
    assert log.read(tmp_path / "run" / "log.jsonl")
