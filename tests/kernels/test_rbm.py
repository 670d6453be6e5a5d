"""Gibbs sampling: the bits are what its card says, and a chain draws from the model's distribution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinydl
from tinydl.kernels import KernelError, lookup, threads, use, variants
from tinydl.kernels.rbm import spec
from tinydl.ops.rbm import gibbs
from tinydl.random import Generator

VARIANTS = [v.name for v in variants("gibbs")]


def model(D, H, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    arrays = 1.5 * rng.standard_normal((H, D)), rng.standard_normal(D), rng.standard_normal(H)
    return [a.astype(dtype) for a in arrays]


def for_all(chains, b, c):
    return np.broadcast_to(b, (chains, b.size)), np.broadcast_to(c, (chains, c.size))


@pytest.mark.parametrize("name", VARIANTS)
def test_chains_draw_from_the_distribution(name):
    """Of 4 visible and 3 hidden units, by enumeration: 20,000 chains after 30 steps."""
    weight, b, c = model(4, 3)
    states = np.array(list(itertools.product((0.0, 1.0), repeat=4)))
    free = states @ b + np.logaddexp(0, c + states @ weight.T).sum(1)  # -F(v) = log of p(v) Z
    exact = np.exp(free - np.logaddexp.reduce(free))
    with use(gibbs=name):
        v, mean, h = lookup("gibbs", dtype=np.float64)(np.zeros((20_000, 4)), weight, *for_all(20_000, b, c), 5, 0, 30)
    found = np.bincount((v @ [8, 4, 2, 1]).astype(int), minlength=16) / len(v)
    spread = np.sqrt(exact * (1 - exact) / len(v))
    assert (np.abs(found - exact) < 4.5 * spread).all()  # of 16, one beyond 4.5 deviations in 10,000 seeds
    assert exact.max() > 3 * exact.min() and (np.abs(found - 1 / 16) > 4.5 * spread).any()  # no uniform passes
    np.testing.assert_allclose(mean, 1 / (1 + np.exp(-(b + h @ weight))), rtol=1e-12)
    assert set(np.unique(v)) == set(np.unique(h)) == {0, 1}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_random_numbers_are_the_generators(name):
    """Layers of whole blocks: one step is two draws of the generator, compared with the probabilities."""
    weight, b, c = model(8, 12, 1, np.float32)
    v0 = np.ones((5, 8), np.float32)
    generator = Generator(42)
    u_h, u_v = generator.random((5, 12)), generator.random((5, 8))
    h = (u_h < spec.sigmoid(c + v0 @ weight.T)).astype(np.float32)
    v = (u_v < spec.sigmoid(b + h @ weight)).astype(np.float32)
    with use(gibbs=name):
        found = lookup("gibbs", dtype=np.float32)(v0, weight, *for_all(5, b, c), 42, 0, 1)
    np.testing.assert_array_equal(found[0], v)
    np.testing.assert_array_equal(found[2], h)
    assert generator.state()["counter"] == spec.blocks(5, 8, 12, 1)


@pytest.mark.parametrize("name", VARIANTS)
def test_steps_go_on_where_others_ended(name):
    weight, b, c = model(9, 7, 2)
    biases = for_all(3, b, c)
    run = next(v.function for v in variants("gibbs") if v.name == name)
    whole = run(np.zeros((3, 9)), weight, *biases, 7, 100, 5)
    half = run(np.zeros((3, 9)), weight, *biases, 7, 100, 2)
    rest = run(half[0], weight, *biases, 7, 100 + spec.blocks(3, 9, 7, 2), 3)
    for a, b_ in zip(whole, rest):
        np.testing.assert_array_equal(a, b_)


@pytest.mark.skipif(threads.max_threads() < 2, reason="one core")
def test_bits_do_not_depend_on_threads(monkeypatch):
    weight, b, c = model(50, 40, 3, np.float32)
    results = []
    for count in (1, 2):
        monkeypatch.setattr("tinydl.kernels.rbm.cpu.worthwhile", lambda work, count=count: count)
        with use(gibbs="cpu.active"):
            run = lookup("gibbs", dtype=np.float32)
            results.append(run(np.zeros((31, 50), np.float32), weight, *for_all(31, b, c), 1, 2, 4))
    for a, b_ in zip(*results):
        np.testing.assert_array_equal(a, b_)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": np.zeros((3, 5))}, r"weight must have shape \(3, 4\) beside v \(2, 4\), got \(3, 5\)"),
        ({"b": np.zeros((1, 4))}, r"b must have shape \(2, 4\)"),
        ({"c": np.zeros((2, 3), np.float32)}, "c must be float64 as v is, got float32"),
        ({"steps": 0}, "steps must be 1 or more, got 0"),
    ],
    ids=["weight", "bias", "dtype", "steps"],
)
def test_misuse(name, change, words):
    given = {"v": np.zeros((2, 4)), "weight": np.zeros((3, 4)), "b": np.zeros((2, 4)), "c": np.zeros((2, 3)), "key": 0,
             "counter": 0, "steps": 1, **change}  # fmt: skip
    run = next(v.function for v in variants("gibbs") if v.name == name)
    with pytest.raises(KernelError, match=words):
        run(**given)


def test_on_tensors():
    weight, b, c = (tinydl.tensor(a) for a in model(6, 5, 4))
    start = tinydl.zeros(2, 6, dtype=tinydl.float64)
    v, mean, h = gibbs(start, weight, b.expand(2, 6), c.expand(2, 5), key=1, counter=0, steps=2)
    assert (v.shape, mean.shape, h.shape) == ((2, 6), (2, 6), (2, 5)) and not v.requires_grad
