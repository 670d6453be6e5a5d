"""The ring: what counts as found, that a seed repeats its figures, and what the command prints and records."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinydl.benchmarks import __main__ as command
from tinydl.benchmarks import harness, ring
from tinydl.random import Generator


def test_data_lie_on_all_eight_and_within_three_deviations():
    found = ring.measure(np.concatenate(ring.data(Generator(1))))
    assert found["modes"] == 8
    assert found["good"] == pytest.approx(1 - np.exp(-9 / 2), abs=2e-3)  # of a normal distribution of the plane


def test_modes_and_good_are_counted():
    three = np.repeat(ring.CENTRES[:3], [500, 500, 31], axis=0)  # 31 of 2500 is just below a tenth of an eighth
    assert ring.measure(np.concatenate([three, np.zeros((1469, 2))])) == {"modes": 2, "good": 1031 / 2500}
    assert ring.measure(np.concatenate([three, ring.CENTRES[2:3], np.zeros((1468, 2))]))["modes"] == 3
    assert ring.measure(ring.CENTRES + [3.1 * ring.SPREAD, 0]) == {"modes": 0, "good": 0.0}


def test_an_untrained_generator_finds_nothing():
    for name in ring.MODELS:
        assert ring.play(name, 1, steps=1)["modes"] == 0


def test_a_seed_repeats_its_figures_and_leaves_the_default_generator_alone():
    import tinydl

    before = tinydl.default_generator.state()
    runs = [ring.play("imle", seed, steps=60, lr=1e-2) for seed in (1, 1, 2)]
    assert tinydl.default_generator.state() == before
    assert runs[0] == runs[1]
    assert runs[0]["good"] != runs[2]["good"]
    assert list(runs[0]) == ["model", "modes", "good", "seed"]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(ring, "play", lambda name, seed: {"model": name, "modes": 8, "good": 0.5, "seed": seed})
    return tmp_path / "ring.json"


def test_json_and_the_record(quick, capsys):
    assert command.main(["ring", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["seed"]) for row in rows] == [(m, s) for m in ring.MODELS for s in (1, 2, 3)]
    recorded = json.loads(quick.read_text())
    assert recorded["rows"] == rows
    assert {"date", "commit", "machine", "versions"} < set(recorded)


@pytest.mark.parametrize("words", [["--no-record"], ["--only", "imle"], ["--seeds", "2"]])
def test_a_part_is_not_recorded(quick, words, capsys):
    assert command.main(["ring", *words]) == 0
    assert not quick.exists()
    assert "8/8" in capsys.readouterr().out


def test_an_unknown_model_is_named(capsys):
    assert command.main(["ring", "--only", "wgan-pg"]) == 2
    assert "did you mean 'wgan-gp'" in capsys.readouterr().err


def test_what_is_recorded_is_what_the_page_claims():
    """Three seeds each: the plain games collapse, WGAN-GP and IMLE find all eight."""
    rows = json.loads((harness.RESULTS / "ring.json").read_text())["rows"]
    played = sorted((row["model"], row["seed"]) for row in rows)
    assert played == sorted((model, seed) for model in ring.MODELS for seed in ring.SEEDS)
    for row in rows:
        assert row["modes"] == 8 if row["model"] in ("wgan-gp", "imle") else row["modes"] <= 1, row
        assert row["good"] > 0.4 if row["modes"] == 8 else row["good"] < 0.2, row
