"""Anticipation-RNN: an exact likelihood, constraints that are heard ahead and kept, gradients, and what it learns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinydl
from tests.models.gradients import assert_gradients
from tinydl import optim, registry
from tinydl.errors import ConfigError
from tinydl.generation import Fixed
from tinydl.measures.given import given_report
from tinydl.random import Generator
from tinydl.training import collate, evaluate

V = 4  # HOLD, REST, two pitches


def build(seed=1, **options):
    tinydl.manual_seed(seed)
    small = {"hidden": 5, "ahead": 4, "embedding": 3, "low": 60, "high": 61, "dropout": 0}
    model = registry.build("anticipation-rnn", **{**small, **options})
    for parameter in model.parameters():
        parameter.array[:] *= 2
    return model


def tune(length=7, seed=0):
    return np.random.default_rng(seed).integers(0, V, length)


def mask(*steps, length=7):
    return np.isin(np.arange(length), steps)[None]


@pytest.mark.parametrize("anticipate", [True, False])
def test_the_probabilities_of_all_tunes_sum_to_one(anticipate):
    model = build(anticipate=anticipate).eval()
    every = [np.array(tokens) for tokens in itertools.product(range(V), repeat=4)]
    assert sum(np.exp(model.log_prob(x).sum()) for x in every) == pytest.approx(1, abs=1e-5)


def test_given_constraints_they_sum_to_one_at_every_step():
    model, x = build().eval(), tune()
    for t in range(7):
        total = 0.0
        for token in range(V):
            other = x.copy()
            other[t] = token  # with constraints elsewhere
            total += np.exp(model.constrained(collate([other]), mask(1, 5) & ~mask(t)).log_prob[0, t])
        assert total == pytest.approx(1, abs=1e-6)


def test_what_is_to_come_is_heard_and_nothing_else_of_the_future():
    model, x = build().eval(), tune()
    told = model.constrained(collate([x]), mask(5)).log_prob[0]
    other = x.copy()
    other[5] = (x[5] + 1) % V
    changed = model.constrained(collate([other]), mask(5)).log_prob[0]
    assert (told[:5] != changed[:5]).all()  # all steps before it prepare for it
    other = x.copy()
    other[6] = (x[6] + 1) % V
    np.testing.assert_array_equal(model.constrained(collate([other]), mask(5)).log_prob[0, :6], told[:6])
    plain = build(anticipate=False).eval()
    np.testing.assert_array_equal(plain.constrained(collate([x]), mask(5)).log_prob[0], plain.log_prob(x))


def test_a_batch_scores_as_its_tunes_do():
    model = build().eval()
    several = [tune(5 + 2 * i, i) for i in range(3)]
    given = np.zeros((3, 9), np.bool_)
    given[:, [1, 4]] = True
    together = model.constrained(collate(several), given)
    for row, inside, x in zip(together.log_prob, together.mask, several):
        alone = model.constrained(collate([x]), given[:1, : len(x)]).log_prob[0]
        np.testing.assert_allclose(row[inside], alone, rtol=1e-5)
    mean = -np.concatenate([model.log_prob(x) for x in several]).mean()
    assert model.loss(collate(several)).item() == pytest.approx(mean, rel=1e-5)
    assert evaluate(model, several)["nll_per_frame"] == pytest.approx(mean, rel=1e-6)
    np.testing.assert_array_equal(model.element_log_prob(several[0]), model.log_prob(several[0]))


def test_gradients_match_finite_differences():
    model = build(hidden=3, ahead=2, embedding=2).double().eval()
    batch, given = collate([tune(6), tune(4, 1)]), np.zeros((2, 6), np.bool_)
    given[:, [1, 3]] = True

    def loss():
        logits = model.told(batch, given)
        where = tinydl.as_tensor(np.flatnonzero(batch.mask.T))
        targets = tinydl.as_tensor(batch.data.T[batch.mask.T])
        return tinydl.nn.functional.cross_entropy(logits.reshape(-1, V)[where], targets)

    assert_gradients(model, loss, 3)


@pytest.mark.parametrize("temperature", [0, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_given_steps_are_kept_always(temperature, seed):
    model, x = build(seed).eval(), tune(12, seed)
    given = np.random.default_rng(seed).random(12) < 0.5
    for made in model.sample(5, 12, temperature, {"fixed": Fixed(x, given)}, Generator(seed)):
        np.testing.assert_array_equal(made[given], x[given])


def test_free_steps_are_drawn_from_their_distribution():
    model, x = build().eval(), tune(3)
    fixed = Fixed(x, np.array([True, False, True]))
    made = np.stack(model.sample(3000, 3, 1.0, {"fixed": fixed}, Generator(4)))
    with tinydl.no_grad():
        z = model.told(collate([x]), fixed.mask[None]).numpy()[1, 0].astype(np.float64)
    p = np.exp(z) / np.exp(z).sum()
    share = np.bincount(made[:, 1], minlength=V) / 3000
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / 3000)).all()


def test_a_primer_is_continued_and_the_seed_decides():
    model, x = build().eval(), tune(4)
    (made,) = model.sample(1, 6, 1.0, {"primer": x}, Generator(1))
    (cold,) = model.sample(1, 6, 0.0, {"primer": x}, Generator(1))
    whole = np.concatenate([x, cold])  # it goes on as its likelihood says, which knows of no constraints
    np.testing.assert_array_equal(model.score(collate([whole])).prediction[0][len(x) :], cold)
    (told,) = model.sample(1, 10, 1.0, {"fixed": Fixed.primer(x, 6)}, Generator(1))
    assert (told[:4] == x).all() and len(made) == 6
    one, two = model.sample(1, 30, rng=Generator(3)), model.sample(2, 30, rng=Generator(3))
    np.testing.assert_array_equal(one[0], two[0])
    assert not np.array_equal(two[0], two[1])
    with pytest.raises(ConfigError, match="'anticipation-rnn' cannot be told its bars; it takes chords, key, notes"):
        model.sample(1, 4, condition={"bars": 2})


def lessons(count, seed=0):
    """Tunes of steps drawn at random, each of which stands a second time, one step later."""
    rng = np.random.default_rng(seed)
    return [np.repeat(rng.integers(0, V, 10), 2) for _ in range(count)]


def test_it_learns_to_prepare_and_an_untrained_or_plain_or_misled_model_does_not_pass():
    """The check of `tinydl evaluate --given`. Every other step is a surprise, but for those who know the next one."""
    train, test = lessons(24), lessons(8, 1)

    def gains(model):
        return [row["untold"] - row["told"] for row in given_report(model, test, shares=(0.4,))]

    def trained(**options):
        model = build(hidden=16, ahead=12, embedding=8, **options)
        assert all(abs(gain) < 0.05 for gain in gains(model))  # untrained
        model.prepare(train)
        optimizer = optim.Adam(model.parameters(), lr=0.02)
        model.train()
        for _ in range(250):
            optimizer.zero_grad()
            model.loss(collate(train)).backward()
            optimizer.step()
        return model

    model = trained()
    assert all(gain > 0.1 for gain in gains(model))
    assert all(row["misled"] > row["untold"] + 0.1 for row in given_report(model, test, shares=(0.4,)))
    plain = trained(anticipate=False)
    assert gains(plain) == [0.0]
    for row, other in zip(given_report(model, test), given_report(plain, test)):
        assert row["free"] == other["free"] and row["told"] < other["told"] + 0.01
