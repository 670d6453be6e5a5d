"""Models on another device, through the command line: the same figures as on the CPU, and runs that go on elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import SMALL, quietly
from tinydl.data import midi
from tinydl.data.corpus import demo_scores
from tinydl.training import load_model
from tinydl.training.checkpoint import load

pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tunes")
    for i, score in enumerate(demo_scores("tunes", 8, seed=5)):
        midi.write(score, folder / f"tune{i}.mid")
    return folder


@pytest.fixture(scope="module")
def chorales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chorales")
    for i, score in enumerate(demo_scores("chorales", 8, seed=5)):
        midi.write(score, folder / f"chorale{i}.mid")
    return folder


def losses(run: Path) -> list[float]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


FRAMES = ["-o", "units=6", "batch=4", "eval_every=4"]
CHAINS = ["chains=4", "temperatures=6"]
PHRASES = ["-o", "meter=6/8", "hidden=8", "embedding=5", "latent=3", "samples=2", "batch=2", "eval_every=4"]
OPTIONS = {
    "denoising": [*FRAMES, "window=5", "rounds=3"],
    "gan": ["-o", "units=6", "latent=3", "frames=8", "updates=2", "batch=4", "eval_every=4"],
    "nade": FRAMES, "rbm": [*FRAMES, "gibbs=2", "persistent=4", "draws=5", *CHAINS],
    "vae": [*FRAMES, "latent=3", "samples=4"], "hmm": [*SMALL[:1], *SMALL[2:], "states=3", "components=2", "rounds=1"],
    "rnn-rbm": [*SMALL, "units=6", "gibbs=2", *CHAINS],
    "lstm": SMALL, "lstm-nade": [*SMALL, "units=8"], "gru": SMALL,
    "anticipation-rnn": ["-o", "meter=6/8", "hidden=8", "ahead=5", "embedding=4", "batch=2", "eval_every=4"],
    "chorale-lstm": ["-o", "hidden=9", "width=6", "window=8", "batch=4", "eval_every=4"],
    "music-transformer": ["-o", "width=6", "heads=2", "layers=2", "window=8", "batch=4", "eval_every=4"],
    "deep-bach": ["-o", "hidden=5", "units=6", "embedding=3", "window=16", "rounds=2", "batch=4", "eval_every=4"],
    "midinet": ["-o", "meter=6/8", "units=6", "channels=4", "conditioner=3", "latent=3", "batch=2", "eval_every=4"],
    "mini-bach": ["-o", "hidden=9", "window=8", "chunk=64", "batch=4", "eval_every=4"],
    "melody-lstm": ["-o", "hidden=12", "embedding=6", "chunk=64", "batch=4", "eval_every=4"],
    "vrae": PHRASES, "music-vae": [*PHRASES, "conductor=7", "teacher_forcing=0.5"],
}  # fmt: skip
WITHOUT_DENSITY = ("gan", "midinet")
OF_VOICES = ("chorale-lstm", "deep-bach", "mini-bach", "music-transformer")


@pytest.mark.parametrize("model", OPTIONS)
def test_a_run_on_the_device_is_that_of_the_cpu(model: str, tunes: Path, chorales: Path, tmp_path: Path) -> None:
    data = chorales if model in OF_VOICES else tunes
    words = ("train", model, data, "--steps", "5", "--log-every", "1", *OPTIONS[model])
    for name in ("cpu", "cuda"):
        code, _, err = quietly(*words, "--out", tmp_path / name, "--device", name)
        assert code == 0, err
    np.testing.assert_allclose(losses(tmp_path / "cuda"), losses(tmp_path / "cpu"), rtol=2e-5)
    figures = []
    for device in ("cpu", "cuda") if model not in WITHOUT_DENSITY else ():
        code, out, err = quietly("evaluate", tmp_path / "cuda", "--json", "--device", device)
        assert code == 0, err
        figures.append(json.loads(out))
    if figures:
        numbers = {key for key, value in figures[0].items() if isinstance(value, float) and key != "train_seconds"}
        assert any(key.endswith("_per_frame") for key in numbers)
        for key in numbers:
            assert figures[0][key] == pytest.approx(figures[1][key], rel=1e-4), key
    music = ("generate", tmp_path / "cuda", "--bars", "1", "--no-copying", "--out")
    for device in ("cpu", "cuda"):
        code, _, err = quietly(*music, tmp_path / f"{device}.mid", "--device", device)
        assert code == 0, err
    here, there = (midi.read(tmp_path / f"{device}.mid")[0].notes for device in ("cpu", "cuda"))
    assert here == there


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_goes_on_elsewhere(first: str, second: str, tunes: Path, tmp_path: Path) -> None:
    words = ["train", "lstm", tunes, *SMALL, "--log-every", "1", "--checkpoint-every", "3"]
    assert quietly(*words, "--out", tmp_path / "whole", "--steps", "6")[0] == 0
    assert quietly(*words, "--out", tmp_path / "run", "--steps", "3", "--device", first)[0] == 0
    code, _, err = quietly(*words, "--out", tmp_path / "run", "--steps", "6", "--resume", "--device", second)
    assert code == 0, err
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "whole"), rtol=2e-5)
    whole, run = (load(tmp_path / name / "last.safetensors").weights for name in ("whole", "run"))
    for key, array in whole.items():
        np.testing.assert_allclose(run[key], array, rtol=1e-4, atol=1e-6)


def test_a_model_is_loaded_where_it_is_asked_for(tunes: Path, tmp_path: Path) -> None:
    assert quietly("train", "lstm", tunes, *SMALL, "--out", tmp_path / "run", "--steps", "2")[0] == 0
    model, _ = load_model(tmp_path / "run", "cuda")
    assert model.device.type == "cuda" and all(p.is_cuda for p in model.parameters()) and not model.training
