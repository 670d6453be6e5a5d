"""DeepBach: each note from all others and not from itself, the pseudo-likelihood, gradients, resampling, steering."""

from __future__ import annotations

import numpy as np
import pytest

import tinydl
from tests.models.gradients import assert_gradients
from tests.models.voices import lessons
from tinydl import optim, registry
from tinydl.data.representations import Chorale
from tinydl.errors import ConfigError, DataError
from tinydl.generation import Fixed
from tinydl.measures.voices import voice_report
from tinydl.random import Generator
from tinydl.training import collate, evaluate
from tinydl.training.evaluation import validation_loss

SMALL = {"hidden": 4, "units": 5, "embedding": 3, "window": 8, "low": 60, "high": 62, "dropout": 0, "rounds": 4}


def build(seed=1, **options):
    tinydl.manual_seed(seed)
    model = registry.build("deep-bach", **{**SMALL, **options})
    for parameter in model.parameters():
        parameter.array[:] *= 3  # so that what is near and what is far has an effect that can be seen
    return model


def piece(length=6, seed=0):
    values = np.random.default_rng(seed).integers(58, 63, (length, 4))
    return np.where(values < 60, values - 60, values).astype(np.int64)  # HOLD, REST, three pitches


def conditional(model, x, t, voice):
    """p(v_it = k | all others) for every symbol k, one by one, from the pseudo-likelihood of the voice."""
    found = []
    for symbol in range(model.encoding.symbols):
        other = x.copy()
        other[t, voice] = model.encoding.of_codes(np.array(symbol))
        framed = model._framed(model.encoding.codes(other)[None])
        with tinydl.no_grad():
            z = model.logits(framed, voice).numpy()[4 + t, 0].astype(np.float64)
        found.append((z, np.exp(z[symbol]) / np.exp(z).sum()))
    return found


@pytest.mark.parametrize(("t", "voice"), [(0, 0), (3, 1), (5, 2), (2, 3)])
def test_a_note_is_predicted_from_all_others_and_not_from_itself(t, voice):
    model, x = build().eval(), piece()
    found = conditional(model, x, t, voice)
    for z, _ in found[1:]:
        np.testing.assert_array_equal(z, found[0][0])
    assert sum(p for _, p in found) == pytest.approx(1)
    for step in range(6):
        for other in range(4):
            if (step, other) == (t, voice):
                continue
            changed = x.copy()
            changed[step, other] = 60 if x[step, other] != 60 else 61
            assert not np.array_equal(conditional(model, changed, t, voice)[0][0], found[0][0]), (step, other)


def test_the_score_is_the_pseudo_likelihood_of_those_distributions():
    model, x = build().eval(), piece()
    total = np.zeros(6)
    for t in range(6):
        for voice in range(4):
            total[t] += np.log(conditional(model, x, t, voice)[model.encoding.codes(x)[t, voice]][1])
    np.testing.assert_allclose(model.log_prob(x), total, rtol=1e-5)
    assert model.density == "none"


def test_a_batch_scores_as_its_pieces_do():
    model = build().eval()
    several = [piece(5 + i, i) for i in range(3)]
    score = model.score(collate(several))
    for row, mask, likely, x in zip(score.log_prob, score.mask, score.prediction, several):
        np.testing.assert_allclose(row[mask], model.log_prob(x), rtol=1e-5)
        np.testing.assert_array_equal(likely[mask], model.score(collate([x])).prediction[0])
    mean = -np.concatenate([model.log_prob(x) for x in several]).mean()
    assert model.criterion(several) == validation_loss(model, several) == pytest.approx(mean, rel=1e-6)
    assert evaluate(model, several)["pseudo_nll_per_frame"] == pytest.approx(mean, rel=1e-6)


def test_the_place_in_the_beat_matters_and_only_that():
    model, x = build().eval(), piece(8)
    framed = model._framed(model.encoding.codes(x)[None])
    with tinydl.no_grad():
        z = [model.logits(framed, 1, first).numpy() for first in (0, 1, 4)]
    assert not np.allclose(z[0], z[1])
    np.testing.assert_array_equal(z[0], z[2])


def test_a_beat_has_as_many_steps_as_the_step_says():
    model, x = build(step="1/6", window=12).eval(), piece(8)
    framed = model._framed(model.encoding.codes(x)[None])
    assert len(framed) == 6 + 8 + 6
    with tinydl.no_grad():
        z = [model.logits(framed, 1, first).numpy() for first in (0, 4, 6)]
    assert not np.allclose(z[0], z[1])
    np.testing.assert_array_equal(z[0], z[2])
    model.loss(collate([x, piece(9, seed=1)])).backward()
    with pytest.raises(ConfigError, match="option 'window' must be a multiple of 6, the steps in a beat, but is 8"):
        build(step="1/6", window=8)


def test_the_loss_reads_windows_and_no_padding():
    model = build(window=8).eval()
    x = piece(8)
    loss = model.loss(collate([x])).item()
    codes = 1 + model.encoding.codes(x)[:, None]
    total = 0.0
    for voice in range(4):
        z = model.logits(codes, voice).detach().numpy()[:, 0].astype(np.float64)
        z -= np.log(np.exp(z).sum(-1, keepdims=True))
        total -= np.take_along_axis(z, codes[:, :, voice] - 1, -1).sum()
    assert loss == pytest.approx(total / 8, rel=1e-5)
    longer = model.loss(collate([x, piece(5)]))
    five = model.loss(collate([piece(5)]))
    assert longer.item() == pytest.approx((8 * loss + 5 * five.item()) / 13, rel=1e-5)


def test_gradients_match_finite_differences():
    model = build(hidden=2, units=3, embedding=2).double().eval()
    batch = collate([piece(6), piece(4, 1)])
    assert_gradients(model, lambda: model.loss(batch), 2)


def test_one_free_note_is_drawn_from_its_distribution():
    model, x = build(rounds=25).eval(), piece(5)
    mask = np.ones((5, 4), np.bool_)
    mask[2, 1] = False
    made = np.stack(model.sample(1500, 5, 1.0, {"fixed": Fixed(x, mask)}, Generator(2)))
    assert (made[:, mask] == x[mask]).all()
    p = np.array([p for _, p in conditional(model, x, 2, 1)])
    share = np.bincount(model.encoding.codes(made[:, 2, 1]), minlength=5) / 1500
    missed = np.prod([1 - 0.5 * 0.1 ** (k / 24) for k in range(25)])  # never drawn: still from the start
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / 1500) + missed).all()
    cold = model.sample(3, 5, 0.0, {"fixed": Fixed(x, mask)}, Generator(2))
    likely = model.encoding.of_codes(np.array(p.argmax()))
    assert [int(found[2, 1]) for found in cold] == [likely] * 3


def test_a_gap_in_a_long_piece_is_filled_as_in_its_surroundings(monkeypatch):
    from tinydl.models import deep_bach

    model, x = build().eval(), piece(60)
    mask = np.ones((60, 4), np.bool_)
    mask[30:34] = False
    lengths = []
    logits = model.logits
    monkeypatch.setattr(model, "logits", lambda codes, *rest: lengths.append(len(codes)) or logits(codes, *rest))
    monkeypatch.setattr(deep_bach, "NEAR", 8)
    (made,) = model.sample(1, 60, 1.0, {"fixed": Fixed(x, mask)}, Generator(1))
    np.testing.assert_array_equal(made[mask], x[mask])
    assert set(lengths) == {42 - 20 + 8}
    monkeypatch.setattr(deep_bach, "NEAR", 100)
    (whole,) = model.sample(1, 60, 1.0, {"fixed": Fixed(x, mask)}, Generator(1))
    assert made.shape == whole.shape and len(set(lengths)) == 2


def test_nothing_free_is_nothing_drawn():
    model, x = build().eval(), piece(7)
    (made,) = model.sample(1, 7, 1.0, {"fixed": Fixed(x, np.ones((7, 4), np.bool_))}, Generator(1))
    np.testing.assert_array_equal(made, x)


def test_a_primer_is_continued_and_not_repeated():
    model, x = build().eval(), piece(4)
    (made,) = model.sample(1, 6, 1.0, {"primer": x}, Generator(1))
    assert made.shape == (6, 4)
    mask = np.zeros((10, 4), np.bool_)
    mask[:4] = True
    (same,) = model.sample(1, 10, 1.0, {"fixed": Fixed(np.vstack([x, piece(6)]), mask)}, Generator(1))
    np.testing.assert_array_equal(same[4:], made)


def test_the_same_seed_gives_the_same_music_however_many_pieces():
    model = build().eval()
    one, two = model.sample(1, 12, rng=Generator(3)), model.sample(2, 12, rng=Generator(3))
    np.testing.assert_array_equal(one[0], two[0])
    assert not np.array_equal(two[0], two[1])


def test_what_it_cannot_be_told_and_what_it_cannot_learn_from():
    model = build(low=36, high=84)
    with pytest.raises(ConfigError, match="'deep-bach' cannot be told its top_k; it takes chords, key, melody, notes"):
        model.sample(1, 4, condition={"top_k": 3})
    with pytest.raises(ConfigError, match="option 'window' must be a multiple of 4, the steps in a beat, but is 6"):
        build(window=6)
    one = np.full((8, 4), -1)
    one[:, 0] = [60, -2, 62, -2, 64, -2, 65, -2]
    with pytest.raises(DataError, match="'deep-bach' needs four voices.*melody-lstm learns from single voices"):
        model.prepare([one])


def test_it_learns_and_an_untrained_or_an_ill_told_model_does_not_pass():
    encoding = Chorale(low=36, high=84)
    train, test = ([encoding.of_sounding(x) for x in lessons(n, 24, seed)] for n, seed in ((16, 0), (4, 1)))
    model = build(low=36, high=84, hidden=12, units=24, embedding=8, window=24, transpose=0)
    for parameter in model.parameters():
        parameter.array[:] /= 3

    def beats(predictor):
        rows = voice_report(model, encoding, train, test)
        share = {(row["predictor"], row["voice"]): row["onsets"] for row in rows}
        voices = ("soprano", "alto", "tenor", "bass")
        return [share[predictor, v] > 0.1 + max(share["majority", v], share["markov", v]) for v in voices]

    assert not any(beats("deep-bach"))
    model.prepare(train)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(collate(train)).backward()
        optimizer.step()
    assert all(beats("deep-bach"))
    assert not any(beats("shuffled"))
