"""The denoising autoencoder: its noise, its gradient, what it puts back, and its chain."""

from __future__ import annotations

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
    cost = -np.where(target, np.log(p), np.log(1 - p)).sum(1)
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


def test_the_chain_rests_in_the_distribution_of_the_data():
    """Theorem 1, where it can be counted: one frame of three pitches, every conditional of which the net can be."""
    rng = np.random.default_rng(0)
    likely = np.array([0.3, 0.02, 0.02, 0.2, 0.02, 0.2, 0.02, 0.22])
    frames = ((rng.choice(8, 4000, p=likely)[:, None] >> np.arange(2, -1, -1)) & 1).astype(bool)
    tinydl.manual_seed(0)
    model = registry.build("denoising", pitches=3, units=24, window=1, masked=0.5, rounds=60, lr=0.02, batch=8)
    pieces = list(frames.reshape(40, 100, 3))
    model.prepare(pieces)
    trainer = Trainer(model, pieces, [], seed=0, steps=300)
    for _ in range(300):
        trainer.advance()
    (drawn,) = model.eval().sample(1, 6000, rng=Generator(1))
    seen = np.bincount(drawn @ np.array([4, 2, 1]), minlength=8) / 6000
    silent = np.bincount(rng.random((6000, 3)).round().astype(int) @ np.array([4, 2, 1]), minlength=8) / 6000
    assert np.abs(seen - likely).sum() < 0.5 * np.abs(silent - likely).sum()


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
