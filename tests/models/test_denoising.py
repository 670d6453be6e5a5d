"""The denoising autoencoder: its noise, its gradient, what it puts back, and its chain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.autograd import gradcheck
from tinydl.data import load
from tinydl.errors import ConfigError
from tinydl.func import functional_call
from tinydl.models.denoising import f1, silenced
from tinydl.random import Generator
from tinydl.training import Trainer, collate, evaluate

TINY = {"pitches": 4, "units": 6, "window": 3}


def build(seed=0, scale=1.0, **options):
    tinydl.manual_seed(seed)
    model = registry.build("denoising", **{**TINY, **options}).eval()
    with tinydl.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter * scale)
    return model


def rolls(*lengths, pitches=4, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((length, pitches)) < 0.5 for length in lengths]


def test_the_noise_silences_whole_notes_and_their_share():
    (x,) = rolls(20_000)
    x = x.reshape(1000, 20, 4)
    left = silenced(x, 0.3, Generator(0))
    assert not (left & ~x).any()
    begins = x.copy()
    begins[:, 1:] &= ~x[:, :-1]
    notes = int(begins.sum())
    goes_on = x[:, 1:] & x[:, :-1]
    assert (left[:, 1:] == left[:, :-1])[goes_on].all()  # a note stays or goes as a whole
    assert 1 - (left & begins).sum() / notes == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / notes))


def test_f1_in_closed_form():
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert f1(a, b) == 0.5 and f1(a, a) == 1 and f1(a & False, a) == 0 and f1(a & False, a & False) == 1


def test_the_equations():
    model = build(scale=2.0)
    (x,) = rolls(3)
    W, b, V, c = (p.detach().numpy() for p in (model.encoder.weight, model.encoder.bias, model.decoder.weight, model.b))
    z = (V @ np.tanh(W @ x.reshape(-1) + b)).reshape(3, 4) + c
    np.testing.assert_allclose(model.logits(x[None]).detach().numpy()[0], z, rtol=1e-5)
    p, (target,) = 1 / (1 + np.exp(-z)), rolls(3, seed=1)
    cost, found = np.zeros(3), model.probabilities(x[None])[0]
    for t, k in np.ndindex(3, 4):
        beside = any(x[s, k] for s in (t - 1, t + 1) if 0 <= s < 3)
        if x[t, k] or beside:
            assert found[t, k] == x[t, k]
        else:
            assert found[t, k] == pytest.approx(p[t, k], rel=1e-5)
            cost[t] -= np.log(p[t, k] if target[t, k] else 1 - p[t, k])
    np.testing.assert_allclose(model.missed(target[None], x[None]).detach().numpy()[0], cost, rtol=1e-5)


def test_gradients_in_float64():
    model = build(scale=2.0).to(tinydl.float64)
    (x, noisy) = (roll.reshape(2, 3, 4) for roll in rolls(6, 6))
    noisy &= x
    names = [name for name, _ in model.named_parameters()]

    class Cost(tinydl.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self):
            return self.model.missed(x, noisy).sum()

    def cost(*values):
        return functional_call(Cost(), {f"model.{name}": value for name, value in zip(names, values)}, ())

    values = [p.detach().clone().requires_grad_() for p in model.parameters()]
    assert gradcheck(cost, values, rtol=1e-6, atol=1e-9)


def test_padding_and_context_do_not_count():
    model = build(scale=2.0, masked=1e-9)  # no noise: the loss is that of the windows themselves
    pieces = rolls(7, 3, 5)
    batch = collate(pieces, skip=[2, 0, 1])
    each = [model.score(collate([piece])).log_prob[0][skip:] for piece, skip in zip(pieces, (2, 0, 1))]
    assert model.loss(batch).item() == pytest.approx(-np.concatenate(each).mean(), rel=1e-5)
    score = model.score(collate(pieces))
    for piece, log_prob, given, mask in zip(pieces, score.log_prob, score.given, score.mask):
        np.testing.assert_allclose(log_prob[mask], model.log_prob(piece), rtol=1e-5)
        np.testing.assert_array_equal(given[mask], model.judged(piece))


def learned(steps=500):
    chorales = load("demo-chorales", {"name": "roll", "step": 1})
    tinydl.manual_seed(0)
    model = registry.build("denoising", units=150, step="1", lr=0.003, average=0.98, window=4, batch=16)
    model.prepare(chorales.train)
    test = chorales.test[:12]
    before = evaluate(model, test)
    trainer = Trainer(model, chorales.train, [], seed=0, steps=steps)
    for _ in range(steps):
        trainer.advance()
    trainer.assign(trainer.average)
    return model.eval(), test, before


def test_notes_come_back_from_those_around_them():
    """The acceptance check: F1 beyond the noise's own; an untrained model, and one that is shown the notes around other
    notes, fail it."""
    model, test, before = learned()
    found = evaluate(model, test)
    identity = found["unrecovered"]
    assert 0.75 < identity < 0.9 and before["unrecovered"] == identity  # 30 % gone: 2 * 0.7 / 1.7 = 0.82
    assert found["recovered"] > identity + 0.015
    assert before["recovered"] < identity + 0.002
    noisy = [model.judged(piece) for piece in test]
    others = [np.resize(model.recover(noisy[i - 1]), piece.shape) | piece for i, piece in enumerate(noisy)]
    assert f1(np.concatenate(others), np.concatenate(test)) < identity
    assert found["kind"] == "none" and found["accuracy"] > before["accuracy"]


def windows_of(W, P):
    """All windows of W frames of P pitches, bool [2^(WP), W, P]."""
    many = 2 ** (W * P)
    return (np.arange(many)[:, None] >> np.arange(W * P) & 1).astype(bool).reshape(many, W, P)


def noise(x, share):
    """q(x~ | x) of the windows that the noise may leave of x, [W, P]: {index: probability}, counted note by note."""
    W, P = x.shape
    notes = []
    for k in range(P):
        for t in range(W):
            if x[t, k] and (t == 0 or not x[t - 1, k]):
                notes.append([])
            if x[t, k]:
                notes[-1].append(t * P + k)
    left = {}
    for kept in itertools.product([False, True], repeat=len(notes)):
        index = sum(1 << cell for note, stays in zip(notes, kept) if stays for cell in note)
        left[index] = np.prod([1 - share if stays else share for stays in kept])
    return left


def chi_square(drawn, p):
    """Of windows, bool [N, W, P], against their probabilities [2^(WP)]; and below what it should lie."""
    seen = np.bincount(drawn.reshape(len(drawn), -1) @ 2 ** np.arange(drawn[0].size), minlength=len(p))
    assert (len(drawn) * p >= 5).all()
    return ((seen - len(drawn) * p) ** 2 / (len(drawn) * p)).sum(), len(p) + 4 * np.sqrt(2 * len(p))


def test_the_chain_rests_in_the_distribution_whose_posterior_the_net_is():
    """Theorem 1 where all is known. Of one pitch in two frames, let the posterior of silence be two coins of q: then
    silence has the prior (1 - q)^2, and what else the coins may show, which comes there by the noise alone, 1 / nu
    times its share, all scaled. Every other x~ leaves no doubt."""
    q, share, count = 0.4, 0.3, 6000
    prior = np.array([(1 - q) ** 2, q * (1 - q) / share, q * (1 - q) / share, q**2 / share])
    prior /= prior.sum()
    model = build(pitches=1, window=2, masked=share, rounds=40)
    with tinydl.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.b.fill_(np.log(q / (1 - q)))
    states = windows_of(2, 1)
    for noisy in states:  # the score is the posterior: exact, and one in sum over all x that the noise may have left so
        index = int(noisy.reshape(-1) @ [1, 2])
        weights = [p * noise(x, share).get(index, 0.0) for x, p in zip(states, prior)]
        for x, weight in zip(states, weights):
            if weight:
                found = np.exp(-model.missed(x[None], noisy[None]).sum().item())
                assert found == pytest.approx(weight / sum(weights), rel=1e-5)
    (drawn,) = model.sample(1, 2 * count, rng=Generator(1))
    found, most = chi_square(drawn.reshape(count, 2, 1), prior)
    assert found < most


def chain(on, share, W, P):
    """The matrix of the chain over all windows x: silenced to x~, then drawn cell by cell, on with ``on`` of x~,
    [2^(WP), W, P], where that leaves a doubt."""
    states, step = windows_of(W, P), np.zeros((2 ** (W * P),) * 2)
    for i, x in enumerate(states):
        for left, probability in noise(x, share).items():
            kept = states[left]
            known = [[any(kept[s, k] for s in (t - 1, t, t + 1) if 0 <= s < W) for k in range(P)] for t in range(W)]
            p = np.where(known, kept, on[left])
            step[i] += probability * np.where(states, p, 1 - p).prod((1, 2))
    np.testing.assert_allclose(step.sum(1), 1)
    return step


def test_the_chain_is_that_of_its_noise_and_its_net():
    """Of any net: windows come as often as the powers of the chain's matrix say, counted over all x~."""
    share, rounds, count = 0.4, 12, 6000
    model = build(pitches=2, window=2, masked=share, rounds=rounds, scale=2.0)
    z = model.logits(windows_of(2, 2)).detach().numpy().astype(np.float64)
    p = np.linalg.matrix_power(chain(1 / (1 + np.exp(-z)), share, 2, 2), rounds)[0]  # from silence on
    (drawn,) = model.sample(1, 2 * count, rng=Generator(3))
    found, most = chi_square(drawn.reshape(count, 2, 2), p)
    assert found < most


def test_a_chain_that_learned_rests_where_the_best_of_its_kind_does():
    """Data that depend on each other, one frame of three pitches, which cells that are drawn by themselves can only
    approach: the best net says of every cell its share given x~, and a net that learned has nearly its distribution."""
    rng, share = np.random.default_rng(0), 0.5
    likely = np.array([0.3, 0.02, 0.02, 0.2, 0.02, 0.2, 0.02, 0.22])
    states = windows_of(1, 3)
    tinydl.manual_seed(0)
    model = registry.build("denoising", pitches=3, units=24, window=1, masked=share, rounds=60, lr=0.01, batch=8)
    pieces = list(states[rng.choice(8, 8000, p=likely), 0].reshape(80, 100, 3))
    model.prepare(pieces)
    trainer = Trainer(model, pieces, [], seed=0, steps=600)
    for _ in range(600):
        trainer.advance()
    joint = np.array([[p * noise(x, share).get(left, 0.0) for left in range(8)] for x, p in zip(states, likely)])
    best = np.tensordot(joint, states, (0, 0)) / joint.sum(0)[:, None, None]
    expected = np.linalg.matrix_power(chain(best, share, 1, 3), 100)[0]
    (drawn,) = model.eval().sample(1, 6000, rng=Generator(1))
    seen = np.bincount(drawn @ np.array([1, 2, 4]), minlength=8) / 6000
    assert np.abs(seen - expected).sum() < 0.06


def test_samples_have_streams_of_their_own_and_wrong_options_are_named():
    model = build(scale=2.0)
    two, three = (model.sample(n, 7, rng=Generator(1)) for n in (2, 3))
    for a, b in zip(two, three):
        assert a.shape == (7, 4) and a.dtype == np.bool_
        np.testing.assert_array_equal(a, b)
    assert (two[0] != two[1]).any()
    for option in ({"window": 0}, {"rounds": 0}, {"masked": 0.0}, {"masked": 1.0}):
        with pytest.raises(ConfigError, match=f"option '{next(iter(option))}' must be"):
            registry.build("denoising", **option)
