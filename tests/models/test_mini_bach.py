"""mini-bach: an exact likelihood given the soprano, gradients, sampling, and what it refuses; it uses the soprano."""

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
from tinydl.measures.voices import voice_report
from tinydl.models.four_voices import windows
from tinydl.random import Generator
from tinydl.training import collate, evaluate


def build(seed=1, **options):
    tinydl.manual_seed(seed)
    return registry.build("mini-bach", **{"hidden": 7, "window": 4, "low": 60, "high": 61, "dropout": 0, **options})


def piece(length=6, low=60, high=61, seed=0):
    return np.random.default_rng(seed).integers(low - 1, high + 1, (length, 4))


def pieces(count=3, length=6, low=60, high=61):
    """With rests (-1) in place of low - 1."""
    found = [piece(length + i, low, high, i) for i in range(count)]
    return [np.where(x < low, -1, x).astype(np.int64) for x in found]


def test_given_the_soprano_the_probabilities_of_all_the_rest_sum_to_one():
    model = build().eval()
    soprano = [60, -1]
    total = 0.0
    for notes in itertools.product([-1, 60, 61], repeat=6):  # of three voices in two steps
        whole = np.column_stack([soprano, np.reshape(notes, (2, 3))]).astype(np.int64)
        total += float(np.exp(model.log_prob(whole).sum()))
    assert total == pytest.approx(1, abs=1e-5)


def test_the_likelihood_is_that_of_the_formula():
    model = build(hidden=5).eval()
    x = pieces(1, 4)[0]
    D, centres = 32, (-7, -13, -20)
    A, a = (model.input.get_parameter(name).array for name in ("weight", "bias"))
    B = model.output.get_parameter("weight").array
    p = np.zeros((4, 3))
    for first in range(4):  # of the four times that the piece is covered by windows of four steps
        for begin in (-first, 4 - first):
            window = [x[t, 0] if 0 <= t < 4 else -1 for t in range(begin, begin + 4)]
            pitched = [s for s in window if s >= 0]
            m = int(np.floor(np.mean(pitched) + 0.5)) if pitched else 0
            one_hot = np.zeros((4, D))
            for t, s in enumerate(window):
                one_hot[t, 1 + s - m + 15 if s >= 0 else 0] = 1
            out = (B @ np.maximum(A @ one_hot.reshape(-1) + a, 0)).reshape(4, 3, D)
            for t in range(max(0, begin), min(4, begin + 4)):
                for v in range(3):
                    z = [out[t - begin, v, 0] + model.b[v, 0].item()]
                    places = [1 + min(k - m - centres[v], 15) + 15 for k in (60, 61)]
                    z += [out[t - begin, v, place] + model.b[v, 1 + i].item() for i, place in enumerate(places)]
                    y = x[t, 1 + v]
                    p[t, v] += np.exp(z[0 if y < 0 else 1 + y - 60]) / np.exp(z).sum() / 4
    expected = np.log(p).sum(1)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-5)
    np.testing.assert_allclose(model.element_log_prob(x).sum(1), model.log_prob(x), rtol=1e-12)
    assert (model.element_log_prob(x)[:, 0] == 0).all()


def test_a_batch_scores_as_its_pieces_do_and_padding_reaches_nothing():
    model = build().eval()
    several = pieces(3, 5)
    score = model.score(collate(several))
    for row, mask, x in zip(score.log_prob, score.mask, several):
        np.testing.assert_allclose(row[mask], model.log_prob(x), rtol=1e-6)
    mean = -np.concatenate([model.log_prob(x) for x in several]).mean()
    assert evaluate(model, several)["nll_per_frame"] == pytest.approx(mean, rel=1e-6)


def test_the_loss_is_the_mean_over_steps_of_one_cut_into_windows():
    model = build(window=4).eval()
    several = pieces(3, 5)
    total = 0.0
    for x in several:
        codes = model.encoding.codes(x)
        z = model.logits(windows(codes[None], 4)[..., 0]).detach().numpy().astype(np.float64)
        z = (z - np.log(np.exp(z).sum(-1, keepdims=True))).reshape(-1, 3, 3)[: len(x)]
        total -= np.take_along_axis(z, codes[:, 1:, None], -1).sum()
    assert model.loss(collate(several)).item() == pytest.approx(total / sum(map(len, several)), rel=1e-5)


def test_the_given_soprano_does_not_count_for_accuracy():
    model = build().eval()
    several = pieces(3, 5)
    score = model.score(collate(several))
    assert score.given[..., 0].all() and not score.given[..., 1:].any()
    truth = np.concatenate(several)[:, 1:]
    right = np.concatenate([model.score(collate([x])).prediction[0][:, 1:] for x in several]) == truth
    assert evaluate(model, several)["accuracy"] == pytest.approx(right.mean())


def test_gradients_match_finite_differences():
    model = build(hidden=3, transpose=0).double().eval()
    batch = collate(pieces(2, 4))
    assert_gradients(model, lambda: model.loss(batch), 4)


def test_transposed_music_is_the_same_to_the_net():
    model = build(low=40, high=90).eval()
    x = piece(8, 60, 70)
    with tinydl.no_grad():
        z, moved = (model.logits(windows(model.encoding.codes(y[None])[..., 0], 4)) for y in (x, x + 3))
    np.testing.assert_allclose(moved.array[..., 4:], z.array[..., 1:-3], rtol=1e-5, atol=1e-6)


def test_windows_keep_every_step_once():
    data = np.arange(2 * 7 * 4).reshape(2, 7, 4) + 1
    cut = windows(data, 4, 3)
    assert cut.shape == (6, 4, 4)
    np.testing.assert_array_equal(cut.reshape(2, 12, 4)[:, 3:10], data)
    assert cut.sum() == data.sum()


def test_notes_come_as_often_as_their_probability():
    model = build(hidden=6).eval()
    model.output.get_parameter("weight").array[:] *= 8
    soprano = np.array([60, 61, 61])
    fixed = Fixed(np.repeat(soprano[:, None], 4, 1), np.repeat([[True, False, False, False]], 3, 0))
    made = np.stack(model.sample(2000, 3, 1.0, {"fixed": fixed}, Generator(5)))
    assert (made[:, :, 0] == soprano).all()
    p = np.exp(model.log_probabilities(model.encoding.codes(soprano)[None])[0])
    for symbol, value in enumerate((-1, 60, 61)):
        share = (made[:, :, 1:] == value).mean(0)
        deviation = np.sqrt(p[..., symbol] * (1 - p[..., symbol]) / 2000)
        assert (np.abs(share - p[..., symbol]) < 5 * deviation + 1e-9).all()
    cold = model.sample(2, 3, 0, {"fixed": fixed}, Generator(5))
    np.testing.assert_array_equal(cold[0], cold[1])
    np.testing.assert_array_equal(model.encoding.codes(cold[0][:, 1:]), p.argmax(-1))


def test_pieces_come_as_often_as_their_likelihood_says():
    """The joint distribution, not that of single notes: of two steps, a rest or a note in each of 6 places."""
    model = build(hidden=6, high=60).eval()
    model.output.get_parameter("weight").array[:] *= 8
    soprano = np.array([60, -1])
    fixed = Fixed(np.repeat(soprano[:, None], 4, 1), np.repeat([[True, False, False, False]], 2, 0))
    count = 4000
    made = np.stack(model.sample(count, 2, 1.0, {"fixed": fixed}, Generator(5)))
    seen = np.bincount((made[:, :, 1:].reshape(count, 6) == 60) @ 2 ** np.arange(6), minlength=64)
    expected = np.empty(64)
    for k in range(64):
        notes = np.where(k >> np.arange(6) & 1, 60, -1).reshape(2, 3)
        expected[k] = count * np.exp(model.log_prob(np.column_stack([soprano, notes])).sum())
    assert expected.sum() == pytest.approx(count)
    likely = expected >= 5
    chi_square = ((seen - expected) ** 2 / expected)[likely].sum()
    assert 30 < likely.sum() and chi_square < likely.sum() + 4 * np.sqrt(2 * likely.sum())


def test_the_same_seed_gives_the_same_music_however_many_pieces():
    model = build(low=36, high=84).eval()
    model.prepare(lessons(3))
    one, two = model.sample(1, 40, rng=Generator(3)), model.sample(2, 40, rng=Generator(3))
    np.testing.assert_array_equal(one[0], two[0])
    assert not np.array_equal(two[0], two[1])
    other = model.sample(1, 40, rng=Generator(4))
    assert not np.array_equal(one[0], other[0])


def test_what_it_cannot_honour_is_said():
    model = build()
    for key in ("primer", "bars", "top_k"):
        with pytest.raises(ConfigError, match=f"'mini-bach' cannot be told its {key}; it takes melody, temperature"):
            model.sample(1, 4, condition={key: 3})
    alto = Fixed(np.zeros((4, 4), np.int64), np.repeat([[False, True, False, False]], 4, 0))
    with pytest.raises(ConfigError, match="voice 0 must be given for all 4 steps, and no other voice"):
        model.sample(1, 4, condition={"fixed": alto})


def test_music_in_fewer_voices_is_refused():
    model = build(low=36, high=84)
    one = np.full((8, 4), -1)
    one[:, 0] = 60
    with pytest.raises(DataError, match="'mini-bach' needs four voices .* 1 is usual .* 0% .*melody-lstm learns"):
        model.prepare([one])
    three = np.tile([72, 67, 64, -1], (8, 1))
    with pytest.raises(DataError, match="but 3 are usual in these data.*lstm-nade learns from any number of notes"):
        model.prepare([three, np.tile([72, 67, 64, 48], (4, 1))])


def test_it_learns_to_harmonise_and_only_from_the_soprano():
    """The check of the command `tinydl evaluate --voices`, which an untrained and an ill-told model must fail."""
    train, test = lessons(24), lessons(6, seed=1)
    model = build(low=36, high=84, window=16, hidden=48, dropout=0.0)

    def beats_majority(predictor):
        rows = voice_report(model, model.encoding, train, test, neighbours=(1,))
        share = {(row["predictor"], row["voice"]): row["accuracy"] for row in rows}
        return [share[predictor, voice] > share["majority", voice] + 0.1 for voice in ("alto", "tenor", "bass")]

    assert not any(beats_majority("mini-bach"))  # untrained
    model.prepare(train)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(collate(train)).backward()
        optimizer.step()
    assert all(beats_majority("mini-bach"))
    assert not any(beats_majority("shuffled"))
