"""MidiNet: its bars and their conditions, its losses, what it writes, and that chord and previous bar are heard."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

import tinydl
from tests.cli.conftest import quietly
from tests.models.gradients import assert_gradients
from tinydl import registry
from tinydl.data import load
from tinydl.data.representations import Lead
from tinydl.data.representations.lead import CHORDS, TRIADS
from tinydl.errors import ConfigError, DataError
from tinydl.generation.harmony import allowed
from tinydl.models.bars import NONE, Bars, bars_of, lines, together
from tinydl.random import Generator
from tinydl.training import Silent, Trainer, collate, evaluate, fit

HOLD, REST = Lead.HOLD, Lead.REST
SMALL = {"units": 7, "channels": 5, "conditioner": 3, "latent": 4, "batch": 3, "bars": 2}
LEARNS = {"units": 64, "channels": 32, "conditioner": 8, "latent": 16, "lr": 2e-3, "critic_lr": 2e-3, "batch": 8,
          "bars": 8, "steps": 240}  # fmt: skip


def small(**options):
    tinydl.manual_seed(0)
    return registry.build("midinet", **{**SMALL, **options})


def pieces(*bars, seed=0):
    """Tunes with a chord in every bar."""
    rng = np.random.default_rng(seed)
    made = []
    for count in bars:
        events = np.where(rng.random(16 * count) < 0.4, rng.integers(2, 51, 16 * count), HOLD)
        made.append(np.stack([events, np.repeat(rng.integers(1, 25, count), 16)], 1))
        made[-1][0, 0] = 20
    return made


# -- bars --------------------------------------------------------------------------------------------------------------


def test_rests_are_filled_and_bars_know_the_one_before():
    events = np.array([HOLD, REST, 12, HOLD, REST, HOLD, 9, 9])
    assert lines(events).tolist() == [10, 10, 10, 10, 10, 10, 7, 7]
    (piece,) = pieces(3)
    bars = bars_of(piece, 16)
    assert bars.now.shape == bars.before.shape == (3, 16) and bars.chord.tolist() == piece[::16, 1].tolist()
    assert (bars.before[0] == NONE).all() and (bars.before[1:] == bars.now[:-1]).all()
    both = together([bars, bars[1:]])
    assert both.now.shape == (5, 16) and (both.before[3:] == bars.before[1:]).all()


def test_another_key_moves_bars_and_chord_alike_and_stays_in_range():
    now, before = np.array([[5, 9], [0, 4], [47, 40], [3, 44]]), np.array([[NONE, NONE], [2, 2], [30, 31], [7, 9]])
    bars = Bars(now, before, np.array([1, 12, 13, 0]))
    moved = bars.moved(np.array([2, -3, 3, -5]), 49)
    assert moved.now.tolist() == [[7, 11], [9, 13], [38, 31], [3, 44]]  # up an octave; down an octave; no room at all
    assert moved.before.tolist() == [[NONE, NONE], [11, 11], [21, 22], [7, 9]]
    assert [CHORDS[k] for k in moved.chord] == ["D", "Ab", "Ebm", ""]
    for shift in range(-6, 6):
        moved = bars[:3].moved(np.full(3, shift), 49)
        for old, new, chord, other in zip(bars.now, moved.now, bars.chord, moved.chord):
            assert (TRIADS[chord, (old + 48) % 12] == TRIADS[other, (new + 48) % 12]).all()


@pytest.mark.parametrize(("meter", "lengths"), [("4/4", [2, 4, 8, 16]), ("6/8", [3, 6, 12]), ("5/4", [5, 10, 20])])
def test_every_layer_is_joined_by_one_of_its_length(meter, lengths):
    model = small(meter=meter)
    seen = [model.generator.first]
    for layer in model.generator.widen:
        layer.register_forward_hook(lambda module, given, made: seen.append(made.shape[2]))
    bars = bars_of(pieces(15)[0], model.width)
    made = model.bars(np.zeros((len(bars.chord), 4), np.float32), bars)
    assert seen == lengths and made.shape == (len(bars.chord), lengths[-1]) and 0 <= made.min() and made.max() < 49
    with pytest.raises(ConfigError, match="a bar of 3/8 has 6 steps of 1/4, and the convolutions need at least 8"):
        small(meter="3/8")


# -- losses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_gradients_of_every_loss(player):
    model = small(match_bars=0.3, match_features=0.7).to(tinydl.float64)
    bars = model.drawn(collate(pieces(4, 4, 4)))
    z = tinydl.randn(len(bars.chord), 4, dtype=tinydl.float64)
    model.drawn, model.noise = (lambda batch: bars), (lambda n: z)
    told, roll = model.told, model.roll
    model.told = lambda bars: tuple(x.to(tinydl.float64) for x in told(bars))
    model.roll = lambda lines: roll(lines).to(tinydl.float64)
    moving = {"critic": model.critic, "generator": model.generator}[player]
    with tinydl.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)  # from 0.02, where all is nearly linear
    assert_gradients(moving, lambda: model.loss(None, player), 2)


def test_what_g_lowers_is_equation_4():
    model = small(match_bars=0.3, match_features=0.7)
    bars, rng = model.drawn(collate(pieces(4, 4, 4))), Generator(0)
    z = tinydl.from_numpy(rng.normal((len(bars.chord), 4)))
    model.drawn, model.noise = (lambda batch: bars), (lambda n: z)
    y, before = model.told(bars)
    x, fake = model.roll(bars.now), model.generator(z, y, before)
    logits, of_fake = (t.detach().numpy().astype(np.float64) for t in model.critic(fake, y))
    real_logits, of_real = (t.detach().numpy().astype(np.float64) for t in model.critic(x, y))
    x, fake = x.numpy().astype(np.float64), fake.detach().numpy().astype(np.float64)
    expected = np.log1p(np.exp(-logits)).mean() + 0.3 * ((x.mean(0) - fake.mean(0)) ** 2).sum()
    expected += 0.7 * ((of_real.mean(0) - of_fake.mean(0)) ** 2).sum()
    assert model.loss(None, "generator").item() == pytest.approx(expected, rel=1e-5)
    D, DG = 1 / (1 + np.exp(-real_logits)), 1 / (1 + np.exp(-logits))
    expected = -(0.9 * np.log(D) + 0.1 * np.log(1 - D)).mean() - np.log(1 - DG).mean()
    assert model.loss(None, "critic").item() == pytest.approx(expected, rel=1e-5)
    assert [player.updates for player in model.players().values()] == [1, 2]


# -- tunes -------------------------------------------------------------------------------------------------------------


def loud(**options):
    """A net whose weights are large: what it is given shows."""
    model = small(**options).eval()
    with tinydl.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(40)
    return model


def test_samples_are_prefixes_of_longer_ones_and_their_number_changes_none():
    model = loud()
    model.prepare(pieces(8, 8))
    some, more = model.sample(2, 40, rng=Generator(3)), model.sample(4, 80, rng=Generator(3))
    for a, b in zip(some, more):
        assert a.dtype == np.int64 and a.shape == (40, 2)
        np.testing.assert_array_equal(a, b[:40])
    assert not np.array_equal(more[0][:, 0], more[1][:, 0])
    assert all((piece[:80, 1].reshape(-1, 16) == piece[:80:16, 1:]).all() for piece in more)


def test_a_tune_goes_on_from_its_primer_and_begins_nothing_in_the_middle_of_a_bar():
    model = loud()
    model.prepare(pieces(8))
    primers = pieces(2, seed=5)[0], pieces(2, seed=6)[0]
    primers[1][-1, 1] = primers[0][-1, 1]
    first, second = (model.sample(1, 16, condition={"primer": primer}, rng=Generator(1))[0] for primer in primers)
    assert not np.array_equal(first[:, 0], second[:, 0])
    with pytest.raises(ConfigError, match="a primer of 20 steps is no whole number of bars of 16 steps"):
        model.sample(1, 16, condition={"primer": primers[0][:20]})
    with pytest.raises(ConfigError, match="the model 'midinet' cannot be told its fixed"):
        model.sample(1, 16, condition={"fixed": 1})


def test_chords_that_are_asked_for_are_told_and_played():
    model = loud()
    model.prepare(pieces(8, 8))
    heard = []
    told = model.told
    model.told = lambda bars: heard.append(bars.chord.copy()) or told(bars)
    table = allowed("C Em Asus4 E7", None, 64, 16, "1/4")
    made = model.sample(3, 64, condition={"allowed": table}, rng=Generator(0))
    names = [[CHORDS[k] for k in chords] for chords in heard]
    assert names[0] == ["C"] * 3 and names[1] == ["Em"] * 3 and names[3] == ["E"] * 3
    assert {*names[2]} <= {"D", "Dm", "A", "Am"}  # two of its three notes
    assert all([CHORDS[k] for k in piece[::16, 1]] == ["C", "Em", "", "E"] for piece in made)  # no triad: none played
    heard.clear()
    model.sample(3, 64, condition={"allowed": allowed("C G", "C", 64, 16, "1/4")}, rng=Generator(0))
    assert [CHORDS[k] for k in np.array(heard)[:, 0]] == ["C", "G", "C", "G"]


def test_chords_follow_each_other_as_in_the_corpus():
    model = small()
    tune = pieces(12)[0]
    tune[:, 1] = np.repeat([1, 6, 8] * 4, 16)  # C F G
    model.prepare([tune])
    for piece in model.eval().sample(3, 160, rng=Generator(2)):
        assert piece[::16, 1].tolist() == ([1, 6, 8] * 4)[:10]


def test_tunes_without_chords_are_refused():
    tunes = pieces(4, 4)
    for tune in tunes:
        tune[:, 1] = 0
    with pytest.raises(DataError, match="no bar of the training tunes has a chord, and 'midinet' learns tunes above"):
        small().prepare(tunes)
    model = small(chords=False)
    model.prepare(tunes)
    assert list(model.eval().figures(tunes)) == ["D_real", "D_fake"]


# -- what is learned ---------------------------------------------------------------------------------------------------


@functools.cache
def trained(chords):
    tinydl.manual_seed(0)
    model = registry.build("midinet", **LEARNS, chords=chords)
    splits = load("demo-tunes", model.representation, seed=0)
    model.prepare(splits.train)
    before = evaluate(model, splits.valid)
    trainer = Trainer(model, splits.train, splits.valid, seed=0)
    for _ in range(trainer.limit):
        trainer.advance()
    return model.eval(), splits, before, evaluate(model, splits.valid)


def test_the_tune_is_of_its_chords_more_than_that_of_a_net_that_is_not_told():
    """Beside it: the same net with zeros for chords, the same net told the chords of other bars, and the untrained."""
    _, _, untrained, told = trained(True)
    _, _, _, alone = trained(False)
    rivals = {"untrained": untrained["chord_tones"], "not told": alone["chord_tones"],
              "shuffled": told["chord_tones_shuffled"]}  # fmt: skip
    assert all(told["chord_tones"] > other + 0.1 for other in rivals.values()), (told, rivals)
    assert untrained["chord_tones"] < untrained["chord_tones_shuffled"] + 0.1


def test_the_game_is_undecided_and_not_over():
    _, _, _, told = trained(True)
    assert 0.1 < told["D_fake"] < told["D_real"] < 0.9, told


def test_chord_and_bar_before_change_the_bar():
    model, splits, _, _ = trained(True)
    bars = together([bars_of(piece, 16) for piece in splits.valid])
    z = Generator(3).normal((len(bars.chord), 16))
    made, shift = model.bars(z, bars), np.roll(np.arange(len(z)), 1)
    others = Bars(bars.now, bars.before, bars.chord[shift]), Bars(bars.now, bars.before[shift], bars.chord)
    asked = bars.chord != others[0].chord
    assert (model.bars(z, others[0]) != made)[asked].mean() > 0.2
    assert (model.bars(z, others[1]) != made).mean() > 0.05
    alone, _, _, _ = trained(False)
    np.testing.assert_array_equal(alone.bars(z, others[0]), alone.bars(z, bars))


# -- commands ----------------------------------------------------------------------------------------------------------


def test_on_the_command_line(tmp_path):
    run = tmp_path / "run"
    options = ["-o", "units=7", "channels=5", "conditioner=3", "latent=4", "batch=4", "eval_every=2"]
    code, out, err = quietly("train", "midinet", "demo-tunes", "--out", run, "--steps", "4", *options)
    assert code == 0 and "best distance from validation 0." in out, err
    code, out, err = quietly("evaluate", run, "--json")
    found = json.loads(out)
    assert code == 0 and not any("nll" in key for key in found), err
    assert 0 < found["D_real"] < 1 and found["chord_tones_real"] > 0.5
    write = ("generate", run, "--no-copying", "--out")
    code, _, err = quietly(*write, tmp_path / "a.mid", "--bars", "4", "--chords", "C G Am F")
    assert code == 0, err
    code, _, err = quietly(*write, tmp_path / "b.mid", "--bars", "2", "--primer", tmp_path / "a.mid")
    assert code == 0, err


def test_validation_needs_two_bars(tmp_path):
    splits = load("demo-tunes", small().representation)
    splits.valid = [splits.valid[0][:16]]
    with pytest.raises(DataError, match="the validation split holds 1 example for the model 'midinet'"):
        fit(small(), splits, tmp_path / "run", progress=Silent())
