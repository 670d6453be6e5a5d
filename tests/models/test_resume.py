"""Models: stopped at every step of a run of twelve, or at some, and resumed, the same bytes come out."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.data import load
from tinydl.random import Generator
from tinydl.training import Criterion, Interrupted, Silent, evaluate, fit, load_model, score_name, validation_loss

NAMES = ("best.safetensors", "last.safetensors", "log.jsonl")
PHRASES = {"hidden": 8, "embedding": 5, "latent": 3, "samples": 2, "chunk": 200_000}
OPTIONS = {
    "anticipation-rnn": {"hidden": 8, "ahead": 5, "embedding": 4, "chunk": 48},
    "chorale-lstm": {"hidden": 9, "width": 6, "window": 8, "transpose": 2},
    "gan": {"units": 8, "latent": 3, "frames": 12, "step": 1, "updates": 2, "critic_lr": 0.01},
    "deep-bach": {"hidden": 5, "units": 6, "embedding": 3, "window": 8, "chunk": 24, "transpose": 2},
    "hmm": {"states": 5, "rounds": 2, "chunk": 24, "step": 1},
    "lstm": {"hidden": 12, "layers": 2, "chunk": 24, "step": 1},
    "lstm-nade": {"hidden": 12, "units": 8, "nade_dropout": 0.1, "chunk": 24, "step": 1},
    "melody-lstm": {"hidden": 12, "layers": 2, "embedding": 6, "chunk": 48},
    "midinet": {"units": 9, "channels": 4, "conditioner": 3, "latent": 3, "critic_lr": 0.01},
    "mini-bach": {"hidden": 9, "window": 8, "chunk": 24, "transpose": 2},
    "music-transformer": {"width": 6, "heads": 2, "layers": 2, "window": 8, "transpose": 2},
    "music-vae": {**PHRASES, "bars": 4, "conductor": 7, "kl_weight": "0:0.5:8", "free_bits": 1.0},
    "vrae": {**PHRASES, "teacher_forcing": "1:0.2:8"},
    "rbm": {"units": 9, "persistent": 5, "chunk": 24, "step": 1, "gibbs": 2, "chains": 4, "temperatures": 5},
    "denoising": {"units": 8, "window": 5, "rounds": 2, "chunk": 24, "step": 1},
    "vae": {"units": 8, "latent": 3, "samples": 5, "chunk": 24, "step": 1},
    "rnn-rbm": {"hidden": 8, "units": 9, "chunk": 24, "step": 1, "gibbs": 2, "chains": 2, "temperatures": 3},
}
COMMON = {"steps": 12, "eval_every": 2, "batch": 3, "schedule": "plateau", "patience": 5, "lr": 0.02}
EVERY_STEP = ("lstm", "melody-lstm")  # of the others some, on either side of a validation
TUNES = ("anticipation-rnn", "melody-lstm", "midinet", "music-vae", "vrae")
DATA = {name: "demo-tunes" if name in TUNES else "demo-chorales" for name in OPTIONS}


class StopAt(Silent):
    def __init__(self, step):
        self.step = step

    def tick(self, step, *rest):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module", params=sorted(OPTIONS))
def setting(request):
    def build():
        tinydl.manual_seed(1)
        return registry.build(request.param, **COMMON, **OPTIONS[request.param])

    splits = load(DATA[request.param], build().representation)
    splits.train, splits.valid = [piece[:60] for piece in splits.train[:8]], splits.valid[:2]
    return build, splits, range(1, 12) if request.param in EVERY_STEP else (1, 6, 11)


def test_resume_at_every_step(setting, tmp_path):
    build, splits, stops = setting
    fit(build(), splits, tmp_path / "whole", seed=1, progress=Silent())
    expected = [(tmp_path / "whole" / name).read_bytes() for name in NAMES]
    run = tmp_path / "run"
    for step in stops:  # one run, stopped after every single step
        with pytest.raises(Interrupted, match=f"at step {step} "):
            fit(build(), splits, run, seed=1, resume=step > 1, progress=StopAt(step))
    fit(build(), splits, run, seed=1, resume=True, progress=Silent())
    assert [(run / name).read_bytes() for name in NAMES] == expected


def test_the_best_weights_come_back(setting, tmp_path):
    build, splits, _ = setting
    model = build()
    result = fit(model, splits, tmp_path / "run", seed=1, progress=Silent())
    loaded, _ = load_model(tmp_path / "run")
    assert validation_loss(loaded, splits.valid) == pytest.approx(result.valid, rel=1e-12)
    if not isinstance(loaded, Criterion):
        found = evaluate(loaded, splits.valid)
        assert found[f"{score_name(loaded)}_per_frame"] == pytest.approx(result.valid, rel=1e-12)
    if loaded.density == "none":
        (theirs,), (mine,) = (m.sample(1, 30, rng=Generator(1)) for m in (loaded, model))
        np.testing.assert_array_equal(theirs, mine)
        return
    for piece in splits.valid:
        np.testing.assert_array_equal(loaded.log_prob(piece), model.log_prob(piece))
