"""Chorales one symbol after another, by an LSTM and by attention: exact likelihoods, causality, memory, given notes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinydl
from tests.models.gradients import assert_gradients
from tests.models.voices import lessons
from tinydl import optim, registry
from tinydl.errors import ConfigError, DataError
from tinydl.generation import Fixed
from tinydl.models.music_transformer import Memory, RelativeAttention
from tinydl.random import Generator
from tinydl.training import collate, evaluate

MODELS = {"chorale-lstm": {"hidden": 6, "layers": 2}, "music-transformer": {"heads": 2, "layers": 2}}
NAMES = pytest.mark.parametrize("name", MODELS)


def build(name, seed=1, scale=3.0, **options):
    """A small one, whose weights are large enough for its probabilities to differ."""
    tinydl.manual_seed(seed)
    small = {"width": 8, "window": 4, "low": 60, "high": 62, "dropout": 0, "transpose": 0, **MODELS[name], **options}
    model = registry.build(name, **small).eval()
    with tinydl.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    return model


def pieces(count=3, length=5, low=60, high=62):
    """Rests (-1), HOLD (-2) and pitches."""
    rng = np.random.default_rng(0)
    return [rng.choice([-2, -1, *range(low, high + 1)], (length + i, 4)).astype(np.int64) for i in range(count)]


@NAMES
def test_the_probabilities_of_all_pieces_sum_to_one(name):
    model = build(name, low=60, high=60)
    total = 0.0
    for notes in itertools.product([-2, -1, 60], repeat=8):  # of four voices in two steps
        total += float(np.exp(model.log_prob(np.reshape(notes, (2, 4))).sum()))
    assert total == pytest.approx(1, abs=1e-4)


@NAMES
def test_no_entry_depends_on_a_later_one(name):
    model, (x, *_) = build(name), pieces(1, 9)
    before = model.element_log_prob(x).reshape(-1)
    for i in (5, 14, 22, 35):
        row = x.reshape(-1).copy()
        row[i] = 60 if row[i] != 60 else 61
        after = model.element_log_prob(row.reshape(x.shape)).reshape(-1)
        np.testing.assert_array_equal(after[:i], before[:i])
        assert after[i] != before[i]
        assert i == 35 or np.abs(after[i + 1 :] - before[i + 1 :]).max() > 1e-4


@NAMES
def test_a_batch_scores_as_its_pieces_do_and_padding_reaches_nothing(name):
    model, several = build(name), pieces(3, 5)
    score = model.score(collate(several))
    for row, mask, x in zip(score.log_prob, score.mask, several):
        np.testing.assert_allclose(row[mask], model.log_prob(x), rtol=1e-5)
        np.testing.assert_allclose(model.element_log_prob(x).sum(1), model.log_prob(x), rtol=1e-12)
    assert model.loss(collate(several)).item() == pytest.approx(evaluate(model, several)["nll_per_frame"], rel=1e-6)


@NAMES
def test_the_symbols_of_a_step_know_their_voice_and_their_place_in_the_bar(name):
    model = build(name)
    x = np.full((20, 4), 60, np.int64)
    by_voice = model.element_log_prob(x)
    assert np.ptp(by_voice[10]) > 1e-3
    with tinydl.no_grad():
        model.place.get_parameter("weight").zero_()
        model.turn.get_parameter("weight").zero_()
    assert np.abs(model.element_log_prob(x) - by_voice).max() > 1e-3


@NAMES
def test_gradients_match_finite_differences(name):
    model, batch = build(name, scale=1.5).double(), collate(pieces(2, 6))
    assert_gradients(model, lambda: model.loss(batch), 3)


@NAMES
def test_training_reads_windows_and_learns_from_the_beginning(name, monkeypatch):
    model, several = build(name, window=8).train(), pieces(4, 16)
    seen = []
    inputs = model.inputs
    monkeypatch.setattr(model, "inputs", lambda before, first=0: seen.append((before, first)) or inputs(before, first))
    for _ in range(60):
        model.loss(collate(several))
    firsts = np.concatenate([first for _, first in seen]) // 4
    assert all(before.shape == (4, 32) for before, _ in seen)
    assert set(firsts.tolist()) == set(range(12)) and (firsts == 0).mean() > 1.5 / 12  # 16 + 3 - 8 is the last window
    starts = np.concatenate([before[:, 0] for before, _ in seen])
    assert ((starts == model.begin) == (firsts == 0)).all()


@NAMES
def test_the_first_quarter_of_a_window_inside_a_piece_is_context(name, monkeypatch):
    model, several = build(name, window=8).train(), pieces(4, 16)
    seen = []
    cross_entropy = tinydl.nn.functional.cross_entropy
    monkeypatch.setattr(tinydl.nn.functional, "cross_entropy", lambda z, y: seen.append(y) or cross_entropy(z, y))
    inputs, firsts = model.inputs, []
    monkeypatch.setattr(model, "inputs", lambda before, first=0: firsts.append(first // 4) or inputs(before, first))
    for _ in range(10):
        model.loss(collate(several))
    for asked, first in zip(seen, firsts):
        codes = [model.encoding.codes(x)[f + (2 if f else 0) : f + 8].reshape(-1) for x, f in zip(several, first)]
        np.testing.assert_array_equal(asked.numpy(), np.concatenate(codes))
    assert len({bool(f) for first in firsts for f in first}) == 2


@NAMES
def test_sampling_follows_the_likelihood(name):
    """Twenty thousand draws of one step have the shares that the model says, and the temperature sharpens them."""
    model = build(name, low=60, high=60)
    drawn = np.stack(model.sample(20_000, 1, rng=Generator(3)))[:, 0]
    for notes in itertools.product([-2, -1, 60], repeat=2):
        steps = [np.array([[*notes, *rest]]) for rest in itertools.product([-2, -1, 60], repeat=2)]
        p = sum(np.exp(model.log_prob(step).sum()) for step in steps)
        share = (drawn[:, :2] == notes).all(1).mean()
        assert share == pytest.approx(p, abs=4.5 * np.sqrt(p / 20_000) + 1e-4)
    cold = np.stack(model.sample(3, 6, temperature=0, rng=Generator(1)))
    assert (cold == cold[0]).all()
    assert (model.score(collate([cold[0]])).prediction[0] == cold[0]).all()


@NAMES
def test_what_is_given_stands_and_what_was_before_does_not_move(name):
    model, rng = build(name), np.random.default_rng(0)
    values, mask = rng.integers(60, 63, (12, 4)), rng.random((12, 4)) < 0.3
    mask[:3] = False
    free = model.sample(2, 12, rng=Generator(5))
    told = model.sample(2, 12, condition={"fixed": Fixed(values, mask)}, rng=Generator(5))
    for a, b in zip(free, told):
        assert (b[mask] == values[mask]).all()
        np.testing.assert_array_equal(a[:3], b[:3])
    assert any((a[~mask] != b[~mask]).any() for a, b in zip(free, told))


@NAMES
def test_a_primer_is_gone_on_from(name):
    model, (x, *_) = build(name), pieces(1, 7)
    cold = model.sample(1, 9, temperature=0, rng=Generator(0))[0]
    rest = model.sample(1, 5, temperature=0, condition={"primer": cold[:4]}, rng=Generator(0))[0]
    np.testing.assert_array_equal(rest, cold[4:])
    a, b = (model.sample(1, 5, condition={"primer": p}, rng=Generator(0))[0] for p in (x, x[::-1].copy()))
    assert (a != b).any()
    with pytest.raises(ConfigError, match="cannot be told its top_k"):
        model.sample(1, 2, condition={"top_k": 3})


@NAMES
def test_a_piece_does_not_depend_on_how_many_there_are(name):
    model = build(name)
    one, (first, _) = model.sample(1, 8, rng=Generator(2))[0], model.sample(2, 8, rng=Generator(2))
    np.testing.assert_array_equal(one, first)


@NAMES
def test_it_learns_and_a_shuffled_one_does_not(name):
    """Voices that stand at fixed distances from the soprano: the trained model predicts them, and one whose voices are
    shuffled in time while it learns does not."""
    train, test = lessons(24), lessons(6, seed=1)
    options = {"low": 40, "high": 84, "width": 32, "window": 16, "transpose": 0, "dropout": 0.0, "hidden": 48}
    found = []
    for shuffled in (False, True):
        tinydl.manual_seed(0)
        kept = {k: v for k, v in options.items() if k in vars(registry.configure(name))}
        model = registry.build(name, **kept)
        rng = np.random.default_rng(0)
        data = [np.stack([rng.permutation(voice) for voice in x.T], 1) if shuffled else x for x in train]
        model.prepare(data)
        optimizer = optim.AdamW(model.parameters(), lr=4e-3)
        for step in range(150):
            optimizer.zero_grad()
            model.loss(collate(data[step % 3 * 8 : step % 3 * 8 + 8])).backward()
            optimizer.step()
        model.eval()
        below = np.concatenate([model.element_log_prob(x)[4:, 1:] for x in test])
        found.append(float(-below.mean()))
    assert found[0] < 0.5 < 0.9 < found[1], found


@NAMES
def test_music_of_another_kind_is_refused(name):
    model = build(name, low=36, high=84)
    tune = np.full((8, 4), -1, np.int64)
    tune[:, 0] = 70
    with pytest.raises(DataError, match=f"'{name}' needs four voices .* melody-lstm learns from single voices"):
        model.prepare([tune])


# -- attention ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("span", [3, 9, 40])
def test_attention_is_that_of_the_formula(span):
    tinydl.manual_seed(0)
    attention = RelativeAttention(8, 2, span).double()
    with tinydl.no_grad():
        attention.e.mul_(30)
    x = np.random.default_rng(0).standard_normal((2, 11, 8))
    weight, bias = (attention.qkv.get_parameter(name).array for name in ("weight", "bias"))
    q, k, v = (np.moveaxis(a.reshape(2, 11, 2, 4), 2, 1) for a in np.split(x @ weight.T + bias, 3, -1))
    e, out = attention.e.array, np.zeros((2, 2, 11, 4))
    for b, h, i in itertools.product(range(2), range(2), range(11)):
        seen = range(max(0, i - span + 1), i + 1)
        s = np.array([(q[b, h, i] @ k[b, h, j] + q[b, h, i] @ e[h, i - j]) / 2 for j in seen])  # 2 is the root of 4
        share = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
        out[b, h, i] = sum(p * v[b, h, j] for p, j in zip(share, seen))
    weight, bias = (attention.out.get_parameter(name).array for name in ("weight", "bias"))
    expected = np.moveaxis(out, 1, 2).reshape(2, 11, 8) @ weight.T + bias
    with tinydl.no_grad():
        np.testing.assert_allclose(attention(tinydl.tensor(x)).array, expected, rtol=1e-10, atol=1e-12)
        memory = Memory(attention, 2, 11)
        steps = [attention.step(tinydl.tensor(x[:, i]), memory).array for i in range(11)]
    np.testing.assert_allclose(np.stack(steps, 1), expected, rtol=1e-10, atol=1e-12)


@NAMES
@pytest.mark.parametrize(("step", "bar"), [("1/4", 16), ("1/6", 24), ("1/2", 8)])
def test_the_place_in_a_bar_returns_after_four_beats(name, step, bar):
    model = build(name, step=step)
    with tinydl.no_grad():
        places = [model.inputs(np.zeros((1, 1), np.int64), 4 * first).array for first in (1, 1 + bar, 1 + bar // 2)]
        assert len(model.places()) == 4 * bar
    np.testing.assert_array_equal(places[0], places[1])
    assert not np.allclose(places[0], places[2])


@NAMES
def test_step_by_step_is_as_all_at_once(name):
    """Far beyond the window: what is kept moves, and nothing that is seen is lost."""
    model, (x, *_) = build(name, window=2), pieces(1, 23)
    row, before = model.row(model.encoding.codes(x[None]))
    with tinydl.no_grad():
        whole = model.hidden(model.inputs(before)).array[0]
        state, places = model.begun(1, row.shape[1]), model.places()
        for i in range(row.shape[1]):
            at = model.symbol.get_parameter("weight")[before[:, i]] + places[i % 64]
            h, state = model.advance(at, state)
            np.testing.assert_allclose(h.array[0], whole[i], rtol=2e-4, atol=2e-5)


def test_heads_must_share_the_width():
    with pytest.raises(ConfigError, match="'heads' must be a divisor of width, 128, but is 3"):
        registry.build("music-transformer", heads=3)
