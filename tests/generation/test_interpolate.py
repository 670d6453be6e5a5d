"""From one piece to another: the arc, its ends, the seed, and what cannot be done."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.data import load, representation
from tinydl.data.score import Meter, Note, Score
from tinydl.errors import ConfigError, DataError
from tinydl.generation import interpolate, slerp
from tinydl.training import Trainer


def test_the_arc_has_its_ends_and_even_angles():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 7, 16))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    path = np.array([slerp(a, b, t) for t in np.linspace(0, 1, 5)])
    np.testing.assert_allclose(path[0], a, atol=1e-12)
    np.testing.assert_allclose(path[-1], b, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 1, atol=1e-12)
    whole = np.arccos((a * b).sum(-1))
    for k in range(4):
        np.testing.assert_allclose(np.arccos((path[k] * path[k + 1]).sum(-1)), whole / 4, atol=1e-9)


def test_where_there_is_no_arc_there_is_the_line():
    a = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [1.0, 0.0]])
    b = np.array([[2.0, 4.0], [3.0, 1.0], [-1.0, -2.0], [1.0, 0.0]])
    np.testing.assert_allclose(slerp(a, b, 0.25), 0.75 * a + 0.25 * b, atol=1e-12)


@pytest.fixture(scope="module")
def learned():
    """A small model that has learned twelve bars by heart, and these."""
    tunes = [piece[:16] for piece in load("demo-tunes", "grid").train[:12]]
    tinydl.manual_seed(0)
    options = {"bars": 1, "hidden": 32, "embedding": 16, "latent": 16, "batch": 12, "lr": 0.02, "average": 0.9}
    model = registry.build("music-vae", **options, transpose=0, word_dropout=0.5, kl_weight="0:0.1:50")
    model.prepare(tunes)
    trainer = Trainer(model, tunes, [], seed=0, steps=150)
    for _ in range(150):
        trainer.advance()
    return model.eval(), tunes


@pytest.fixture
def run(learned, monkeypatch):
    card = SimpleNamespace(representation=learned[0].representation)
    monkeypatch.setattr("tinydl.generation.interpolation.load_model", lambda run, device: (learned[0], card))
    return "run"


def scores(learned, *which):
    encoding = representation(learned[0].representation)
    return [encoding.decode(np.concatenate([learned[1][i] for i in row])) for row in which]


def test_the_ends_are_the_reconstructions(learned, run):
    model, tunes = learned
    encoding = representation(model.representation)
    a, b = scores(learned, (0, 1, 2), (3, 4))  # three phrases and two
    made = interpolate(run, a, b, steps=4)
    assert len(made) == 4
    for (score, facts), phrases in ((made[0], tunes[0:2]), (made[-1], tunes[3:5])):
        expected = encoding.decode(model.decode(model.encode(phrases)).reshape(-1))
        assert score.notes == expected.notes and len(score.notes) == facts["notes"] > 0
        assert facts["seconds"] == score.seconds
    assert made[0][1]["from_first"] == made[-1][1]["from_last"] == 0
    assert made[0][1]["from_last"] == made[-1][1]["from_first"] > 0.2
    same = interpolate(run, a, a, steps=3)
    assert all(facts["from_first"] == facts["from_last"] == 0 for _, facts in same)


def test_how_much_of_the_given_pieces_came_back(learned, run):
    model, tunes = learned
    a, b = scores(learned, (0, 1), (3, 4))
    made = interpolate(run, a, b, steps=3)
    for facts, mark, phrases in ((made[0][1], "from_a", tunes[0:2]), (made[2][1], "from_b", tunes[3:5])):
        again = model.decode(model.encode(phrases))
        given = np.stack(phrases)
        assert facts[mark] == pytest.approx((again != given).mean()) and facts[mark] < 0.4
        notes = given > 1
        assert facts[mark.replace("from", "of")] == pytest.approx((again == given)[notes].mean())
    assert made[0][1]["from_b"] > made[0][1]["from_a"]


def test_pieces_differ_by_their_codes_and_not_by_the_dice(learned, run):
    (a,) = scores(learned, (0, 1))
    first, *others = [score.notes for score, _ in interpolate(run, a, a, steps=4, temperature=2.0, seed=1)]
    assert all(notes == first for notes in others)


def test_what_the_model_does_not_hear_is_said(learned, run):
    a, b = scores(learned, (0, 1), (3,))
    said = []
    interpolate(run, a, b, steps=2, remark=said.append, names=("a.mid", "b.mid"))
    assert said == ["a.mid is longer than the other piece: read are the first 1 of its 2 bars"]
    low, high = Note(a.notes[0].start, a.notes[0].end, 20), Note(b.notes[-1].start, b.notes[-1].end, 40, track=1)
    off = Note(b.notes[0].start + 7, b.notes[0].end, 60)
    a.notes, b.notes = [*a.notes, low], [off, *b.notes[1:], high]
    said.clear()
    interpolate(run, b, b, steps=2, remark=said.append, names=("a.mid", "b.mid"))
    many = len(b.notes)
    assert said[0].startswith(f"a.mid: 1 of {many} notes are left out, since the model does not read them: 1 ")
    assert said[1] == f"a.mid: 1 of {many} notes begin or end off the model's grid of 1/4 beat and were moved to it"
    assert len(said) == 4
    said.clear()
    interpolate(run, a, a, steps=2, remark=said.append)
    assert "the first piece: 1 of" in said[0] and said[0].endswith(": 1 out of its range") and len(said) == 2


def test_on_the_way_the_distance_grows(learned, run):
    """Monotone in Hamming distance, as a mean over pairs of tunes; and on the way are pieces like neither end."""
    away, left = [], []
    for i in range(12):
        a, b = scores(learned, (i,), ((i + 5) % 12,))
        facts = [facts for _, facts in interpolate(run, a, b, steps=6)]
        away.append([entry["from_first"] for entry in facts])
        left.append([entry["from_last"] for entry in facts])
    to, fro = np.mean(away, 0), np.mean(left, 0)
    slack = 2 / (12 * 16)  # two of all steps
    assert (np.diff(to) >= -slack).all() and (np.diff(fro) <= slack).all(), (to, fro)
    assert 0 < to[2] < to[3] < to[5] and fro[0] > fro[2] > fro[3] > 0


def test_the_seed_decides_what_is_drawn_and_only_that(learned, run):
    a, b = scores(learned, (0, 1), (2, 3))

    def notes(**options):
        return [score.notes for score, _ in interpolate(run, a, b, steps=3, **options)]

    assert notes() == notes(seed=5)
    assert notes(temperature=1.5, seed=1) == notes(temperature=1.5, seed=1) != notes(temperature=1.5, seed=2)


def test_what_cannot_be_done(learned, run, monkeypatch, tmp_path):
    (a,) = scores(learned, (0,))
    with pytest.raises(ConfigError, match="steps must be at least 2, the two ends, but is 1"):
        interpolate(run, a, a, steps=1)
    with pytest.raises(ConfigError, match="temperature must be 0"):
        interpolate(run, a, a, temperature=-1.0)
    waltz = Score(480, [Note(0, 480, 60)], meters=[Meter(0, 3, 4)])
    with pytest.raises(DataError, match="the second piece does not fit the model: bar 1 is in 3/4, and all bars"):
        interpolate(run, a, waltz)
    with pytest.raises(DataError, match="x.mid holds no notes"):
        interpolate(run, Score(480), a, names=("x.mid", "y.mid"))
    with pytest.raises(DataError, match="y.mid does not fit the model: nothing of it is left as grid"):
        interpolate(run, a, Score(480, [Note(0, 480, 20)]), names=("x.mid", "y.mid"))
    for name in set(registry._registered) - set(registry._SHIPPED):  # other tests' own
        monkeypatch.delitem(registry._registered, name)
    lstm = registry.build("lstm", hidden=4)
    monkeypatch.setattr(
        "tinydl.generation.interpolation.load_model",
        lambda run, device: (lstm, SimpleNamespace(representation=lstm.representation)),
    )
    with pytest.raises(ConfigError, match="'lstm' cannot go from one piece to another: train one .* music-vae, vrae"):
        interpolate(run, a, a)
