"""From a run's folder to scores: the same seed gives the same music, primers are kept, lengths are as asked for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.data import load
from tinydl.data.score import Note, Score
from tinydl.errors import CheckpointError, ConfigError, DataError
from tinydl.generation import generate
from tinydl.training import Silent, fit, load_model

SETTINGS = {
    "lstm": ("demo-chorales", {"hidden": 24, "step": 1, "chunk": 64, "eval_every": 30}),
    "melody-lstm": ("demo-tunes", {"hidden": 24, "embedding": 12, "chunk": 64, "eval_every": 30}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    before = tinydl.default_generator.state()
    for name, (data, options) in SETTINGS.items():
        tinydl.manual_seed(0)
        model = registry.build(name, **options)
        splits = load(data, model.representation)
        splits.train, splits.valid = splits.train[:20], splits.valid[:3]
        fit(model, splits, folder / name, steps=60, progress=Silent())
    tinydl.default_generator.set_state(before)
    return folder


@pytest.mark.parametrize("name", SETTINGS)
def test_same_seed_same_music(runs, name):
    one = generate(runs / name, num=2, bars=4, seed=7)
    again = generate(runs / name / "best.safetensors", num=3, bars=4, seed=7)
    other = generate(runs / name, num=2, bars=4, seed=8)
    assert [score for score, _ in one] == [score for score, _ in again[:2]]
    assert one[0][0] != other[0][0]
    assert one[0][0] != one[1][0]


@pytest.mark.parametrize("name", SETTINGS)
def test_facts_are_those_of_the_score(runs, name):
    ((score, facts),) = generate(runs / name, bars=8, seed=1)
    assert set(facts) == {"notes", "seconds", "nll_per_frame"}
    assert facts["notes"] == len(score.notes) > 0
    assert facts["seconds"] == score.seconds > 0
    assert 0 < facts["nll_per_frame"] < 60


def test_a_roll_has_the_bars_that_were_asked_for(runs):
    ((score, facts),) = generate(runs / "lstm", bars=3, seed=1)
    assert 0 < score.end_tick <= 12 * score.ticks_per_beat
    model, _ = load_model(runs / "lstm")
    from tinydl.data.representations import representation

    roll = representation({"name": "roll", "step": 1}).encode(score).data
    padded = np.zeros((12, 88), bool)
    padded[: len(roll)] = roll
    assert facts["nll_per_frame"] == pytest.approx(-model.log_prob(padded).mean())


@pytest.mark.parametrize("name", SETTINGS)
def test_a_primer_begins_every_piece(runs, name, tmp_path):
    primer = Score(
        480, [Note(480 * i, 480 * (i + 1), pitch) for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]
    )
    from tinydl.data import midi

    midi.write(primer, tmp_path / "primer.mid")
    for source in (primer, str(tmp_path / "primer.mid")):
        for score, _ in generate(runs / name, num=2, bars=4, primer=source):
            begin = [
                (n.start * 480 // score.ticks_per_beat, n.pitch)
                for n in score.notes
                if n.start < 7 * score.ticks_per_beat
            ]
            assert begin == [(n.start, n.pitch) for n in primer.notes[:7]]
            assert score.end_tick > 8 * score.ticks_per_beat


@pytest.mark.parametrize("name", sorted(registry._SHIPPED))
def test_a_primer_is_followed_or_refused(name, monkeypatch, tmp_path):
    """No model takes a primer and writes what does not depend on it."""
    model = registry.model_class(name)
    if "primer" in model.conditions:
        return
    card = SimpleNamespace(model=name, representation={"name": "roll"})
    module = sys.modules["tinydl.generation.generate"]  # whose name the package gives to the function
    monkeypatch.setattr(module, "load_model", lambda run, device: (model, card))
    message = f"the model '{name}' cannot go on from a primer: train one that can, such as .*melody-lstm"
    with pytest.raises(ConfigError, match=message):
        generate("run", primer=Score(480, [Note(0, 480, 60)]))


@pytest.mark.parametrize("name", ["denoising", "gan", "music-vae", "nade", "rbm", "vae", "vrae"])
def test_a_model_itself_refuses_what_it_cannot_be_told(name):
    with pytest.raises(ConfigError, match=f"'{name}' cannot be told its primer; it takes .*temperature"):
        registry.build(name).sample(1, 4, condition={"primer": np.zeros((2, 88), bool)})


def test_primers_that_cannot_be_used(runs):
    with pytest.raises(DataError, match="the primer holds no notes"):
        generate(runs / "lstm", primer=Score(480))
    with pytest.raises(DataError, match="nothing of it is left as roll"):
        generate(runs / "lstm", primer=Score(480, [Note(0, 480, 5)]))


def test_tunes_end_where_they_are_asked_to_or_where_they_like(runs):
    from tinydl.data.representations import representation

    for score, _ in generate(runs / "melody-lstm", num=4, bars=2, seed=3, top_p=0.95):
        assert score.notes
    free = generate(runs / "melody-lstm", num=2, seed=3, top_k=20)
    assert all(score.notes for score, _ in free)
    assert representation("melody").encode(free[0][0]).data[-1] == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num": 0}, "num must be at least 1"),
        ({"bars": 0}, "bars must be at least 1"),
        ({"temperature": -1.0}, "temperature must be 0"),
        ({"temperature": float("nan")}, "temperature must be 0"),
        ({"top_k": 3}, "has no top-k and top-p"),
        ({"top_p": 2.0}, "top_p must be above 0"),
    ],
)
def test_options_that_mean_nothing(runs, options, says):
    with pytest.raises(ConfigError, match=says):
        generate(runs / "lstm", **options)


def test_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="there is no run"):
        generate(tmp_path / "nowhere")
