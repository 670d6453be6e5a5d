"""Hidden Markov models: everything that is summed over states in T steps is what enumerating all their paths gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.errors import ConfigError
from tinydl.random import Generator
from tinydl.training import ElementDensity, collate

S, M, P = 3, 2, 3


def build(seed=0, scale=1.5, **options):
    tinydl.manual_seed(seed)
    model = registry.build("hmm", **{"states": S, "components": M, "pitches": P, "smoothing": 0.0, **options}).eval()
    with tinydl.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * tinydl.randn(*parameter.shape))
    return model


def rolls(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((length, P)) < 0.5 for length in lengths]


def softmax(z):
    z = np.exp(z - z.max(-1, keepdims=True))
    return z / z.sum(-1, keepdims=True)


def enumerated(model, x):
    """All paths of states [S^T, T], and their joint probabilities with the piece x."""
    pi, A, w = (softmax(p.detach().numpy().astype(float)) for p in (model.initial, model.transition, model.mixture))
    mu = 1 / (1 + np.exp(-model.b.detach().numpy().astype(float).reshape(S, M, P)))
    e = np.array([[(w[s] * np.where(frame, mu[s], 1 - mu[s]).prod(-1)).sum() for s in range(S)] for frame in x])
    paths = np.array(list(itertools.product(range(S), repeat=len(x))))
    joint = pi[paths[:, 0]] * e[0, paths[:, 0]]
    for t in range(1, len(x)):
        joint = joint * A[paths[:, t - 1], paths[:, t]] * e[t, paths[:, t]]
    return paths, joint


def test_the_likelihood_is_the_sum_over_all_paths():
    model = build()
    (x,) = rolls(5)
    found = model.log_prob(x)
    for t in range(1, 6):
        assert found[:t].sum() == pytest.approx(np.log(enumerated(model, x[:t])[1].sum()), rel=1e-5)
    np.testing.assert_allclose(model.loss(collate([x])).item(), -found.mean(), rtol=1e-5)
    np.testing.assert_allclose(model.element_log_prob(x).sum(1), found, rtol=1e-5)
    assert isinstance(model, ElementDensity)


def test_probabilities_of_all_pieces_sum_to_one():
    model = build()
    frames = list(itertools.product((False, True), repeat=P))
    pieces = [np.array(piece) for piece in itertools.product(frames, repeat=2)]
    assert np.exp(model.score(collate(pieces)).log_prob.sum(1)).sum() == pytest.approx(1, abs=1e-6)


def test_elements_are_conditional_probabilities():
    """The probability of a note, given those below it, and of its rest add up to one."""
    model = build()
    (x,) = rolls(4)
    for k in range(P):
        other = x.copy()
        other[-1, k:] = ~other[-1, k:]
        both = np.exp(model.element_log_prob(x)[-1, k]) + np.exp(model.element_log_prob(other)[-1, k])
        assert both == pytest.approx(1, rel=1e-6)


def test_forward_backward_and_viterbi():
    model = build(1)
    (x,) = rolls(5, seed=2)
    paths, joint = enumerated(model, x)
    p = joint / joint.sum()
    gamma, xi = model.posterior(x)
    expected = np.array([[p[paths[:, t] == s].sum() for s in range(S)] for t in range(5)])
    np.testing.assert_allclose(gamma, expected, atol=1e-6)
    moves = np.zeros((S, S))
    for path, share in zip(paths, p):
        np.add.at(moves, (path[:-1], path[1:]), share)
    np.testing.assert_allclose(xi, moves, atol=1e-6)
    assert model.viterbi(x).tolist() == paths[joint.argmax()].tolist()
    assert len(set(model.viterbi(x))) > 1


def test_padding_context_and_neighbours_change_nothing():
    model = build()
    pieces = rolls(2, 9, 5)
    score = model.score(collate(pieces))
    for piece, log_prob, prediction in zip(pieces, score.log_prob, score.prediction):
        np.testing.assert_allclose(log_prob[: len(piece)], model.log_prob(piece), rtol=1e-9)
        np.testing.assert_array_equal(prediction[: len(piece)], model.score(collate([piece])).prediction[0])
    chosen = np.concatenate([model.log_prob(piece)[skip:] for piece, skip in zip(pieces, (0, 3, 1))])
    assert model.loss(collate(pieces, skip=[0, 3, 1])).item() == pytest.approx(-chosen.mean(), rel=1e-5)


def test_very_unlikely_frames_do_not_underflow():
    model = build(scale=40.0)
    (x,) = rolls(60)
    assert np.isfinite(model.log_prob(x)).all() and model.log_prob(x).min() < -60
    assert np.isfinite(model.loss(collate([x])).item())


def test_baum_welch_climbs_and_finds_a_planted_chain():
    truth = build(5, scale=3.0)
    pieces = truth.sample(60, 30, rng=Generator(1))
    model = build(6, scale=0.5)
    climbed = model.baum_welch(pieces, 40)
    assert all(b >= a - 1e-4 for a, b in zip(climbed, climbed[1:]))
    reached = np.mean(np.concatenate([model.log_prob(x) for x in pieces]))
    planted = np.mean(np.concatenate([truth.log_prob(x) for x in pieces]))
    assert climbed[0] < planted - 0.3 and reached > planted - 0.1
    assert reached > climbed[-1] - 1e-4


def test_the_gradient_climbs_too():
    """EM ends where the gradient is zero; half a turn before that it points up."""
    model = build(6, scale=0.5)
    pieces = build(5, scale=3.0).sample(40, 30, rng=Generator(1))
    batch = collate(pieces)
    before = model.loss(batch).item()
    optimizer = tinydl.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        model.loss(batch).backward()
        optimizer.step()
    assert model.loss(batch).item() < before - 0.2
    model.baum_welch(pieces, 200)
    model.zero_grad()
    model.loss(batch).backward()
    assert max(np.abs(p.grad.numpy()).max() for p in model.parameters()) < 2e-3


def test_it_starts_by_baum_welch():
    pieces = build(5, scale=3.0).sample(40, 30, rng=Generator(1))
    losses = []
    for rounds in (0, 10):
        model = build(3, rounds=rounds)
        model.prepare(pieces)
        losses.append(model.loss(collate(pieces)).item())
    assert losses[1] < losses[0] - 0.1
    with pytest.raises(ConfigError, match="the data have 5 pitches, but the option 'pitches' is 3"):
        model.prepare([np.zeros((4, 5), bool)])


def test_samples_follow_the_likelihood():
    model, count = build(2), 6000
    drawn = np.stack(model.sample(count, 2, rng=Generator(5))).reshape(count, -1)
    frames = list(itertools.product((False, True), repeat=P))
    pieces = [np.array(piece) for piece in itertools.product(frames, repeat=2)]
    expected = count * np.exp(model.score(collate(pieces)).log_prob.sum(1))
    observed = np.array([(drawn == piece.reshape(-1)).all(1).sum() for piece in pieces])
    assert observed.sum() == count
    assert ((observed - expected) ** 2 / np.maximum(expected, 1)).sum() < 120  # 63 degrees of freedom


def test_a_primer_is_continued():
    model = build(4, scale=4.0)
    (x,) = rolls(3)
    count = 4000
    drawn = np.concatenate(model.sample(count, 1, condition={"primer": x}, rng=Generator(3)))
    for frame in (np.zeros(P, bool), np.ones(P, bool), np.array([True, False, True])):
        p = np.exp(model.log_prob(np.concatenate([x, frame[None]]))[-1])
        assert (drawn == frame).all(1).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / count) + 1e-3)
    three = model.sample(3, 8, rng=Generator(1))
    assert all((a == b).all() for a, b in zip(three, model.sample(5, 8, rng=Generator(1))))
    cold = model.sample(2, 8, temperature=0.0)
    np.testing.assert_array_equal(*cold)
    with pytest.raises(ValueError, match=r"roll \[T, 3\], but has the shape \(3, 2\)"):
        model.sample(1, 5, condition={"primer": x[:, :2]})


@pytest.mark.parametrize(
    "option", [{"states": 0}, {"components": 0}, {"pitches": 0}, {"rounds": -1}, {"smoothing": -0.1}]
)
def test_options_that_mean_nothing(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        registry.build("hmm", **option)
