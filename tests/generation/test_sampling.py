"""Drawing tokens and frames: the distributions are the ones that were asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tinydl.errors import ConfigError
from tinydl.generation.sampling import bernoulli_frame, draw, draw_each, token_probabilities


def test_softmax_at_temperature():
    z = np.array([0.0, 1.0, 3.0])
    for temperature in (0.5, 1.0, 4.0):
        weights = np.exp(z / temperature)
        np.testing.assert_allclose(token_probabilities(z, temperature), weights / weights.sum(), rtol=1e-12)


def test_cold_is_the_argmax_and_hot_is_uniform():
    z = np.array([0.3, 2.0, -1.0, 1.9])
    np.testing.assert_array_equal(token_probabilities(z, 0.0), [0, 1, 0, 0])
    np.testing.assert_allclose(token_probabilities(z, 1e-3), [0, 1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(token_probabilities(z, 1e9), [0.25] * 4, rtol=1e-6)


def test_top_k_keeps_k_and_rescales():
    p = np.array([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(token_probabilities(np.log(p), top_k=2), [0, 4 / 7, 0, 3 / 7], rtol=1e-12)
    np.testing.assert_allclose(token_probabilities(np.log(p), top_k=99), p, rtol=1e-12)
    equal = token_probabilities(np.zeros(5), top_k=2)
    np.testing.assert_allclose(equal, [0.5, 0.5, 0, 0, 0])


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(1e-9, [1]), (0.39, [1]), (0.41, [1, 3]), (0.69, [1, 3]), (0.71, [1, 2, 3]), (1.0, [0, 1, 2, 3])],
)
def test_top_p_keeps_the_fewest_that_reach_p(top_p, kept):
    p = np.array([0.1, 0.4, 0.2, 0.3])
    expected = np.zeros(4)
    expected[kept] = p[kept] / p[kept].sum()
    np.testing.assert_allclose(token_probabilities(np.log(p), top_p=top_p), expected, rtol=1e-12)


def test_top_p_applies_to_what_temperature_and_top_k_left():
    p = np.array([0.5, 0.3, 0.2])
    got = token_probabilities(np.log(p), top_k=2, top_p=0.6)  # 5/8, 3/8: the first alone reaches 0.6
    np.testing.assert_allclose(got, [1, 0, 0])


def test_extreme_logits_give_numbers():
    p = token_probabilities([1e30, -1e30, -np.inf, 1e30])
    np.testing.assert_allclose(p, [0.5, 0, 0, 0.5])


def test_draw_partitions_the_unit_interval():
    p = np.array([0.0, 0.25, 0.0, 0.5, 0.25, 0.0])
    u = (np.arange(1000) + 0.5) / 1000
    counts = np.bincount([draw(p, x) for x in u], minlength=6)
    np.testing.assert_array_equal(counts, [0, 250, 0, 500, 250, 0])
    assert draw(p, 0.0) == 1
    assert draw(p, np.nextafter(1.0, 0.0)) == 4


@pytest.mark.parametrize(
    "setting", [{"temperature": -1.0}, {"temperature": np.nan}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_meaningless_settings_are_named(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        token_probabilities(np.zeros(3), **setting)


def _frequencies(logits, count, **options):
    rng = np.random.default_rng(7)
    seen: dict[tuple[bool, ...], int] = {}
    for _ in range(count):
        x = tuple(bernoulli_frame(logits, rng.random(len(logits)), **options).tolist())
        seen[x] = seen.get(x, 0) + 1
    return seen


@pytest.mark.parametrize("sounding", [False, True])
def test_frames_have_the_joint_distribution(sounding):
    z, temperature, count = np.array([-1.0, 0.5, -2.0]), 2.0, 40_000
    p = 1 / (1 + np.exp(-z / temperature))
    joint = {x: float(np.prod(np.where(x, p, 1 - p))) for x in itertools.product((False, True), repeat=3)}
    if sounding:
        silent = joint.pop((False,) * 3)
        joint = {x: q / (1 - silent) for x, q in joint.items()}
    seen = _frequencies(z, count, temperature=temperature, sounding=sounding)
    assert set(seen) == set(joint)
    chi_squared = sum((seen[x] - count * q) ** 2 / (count * q) for x, q in joint.items())
    assert chi_squared < 30  # 7 or 6 degrees of freedom: chance of more is below 1e-4, and the draw is seeded


@pytest.mark.parametrize("z", [np.full(4, -40.0), np.full(4, -800.0), np.array([-800.0, -900.0, -700.0])])
def test_a_sounding_frame_sounds_however_improbable(z):
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert bernoulli_frame(z, rng.random(len(z)), sounding=True).sum() == 1


def test_cold_frames():
    z = np.array([0.1, -0.1, 5.0])
    np.testing.assert_array_equal(bernoulli_frame(z, np.zeros(3), 0.0), [True, False, True])
    np.testing.assert_array_equal(bernoulli_frame(z - 10, np.zeros(3), 0.0, sounding=True), [False, False, True])
    assert not bernoulli_frame(z - 10, np.full(3, 0.5), 0.0).any()


def test_many_rows_are_drawn_as_each_alone():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((3, 50, 7)) * 3
    z[..., 2] = -np.inf
    u = rng.random((3, 50))
    u[0, :2] = 0.0, np.nextafter(1.0, 0)
    for temperature in (0.0, 0.5, 1.0, 3.0):
        rows = zip(z.reshape(-1, 7), u.reshape(-1))
        each = [draw(token_probabilities(row, temperature), float(v)) for row, v in rows]
        np.testing.assert_array_equal(draw_each(z, u, temperature), np.reshape(each, (3, 50)))
