"""Generators: what each draw eats, what it gives, and that its distribution is the one promised."""

from __future__ import annotations

import copy
import json
import math
import pickle
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest

import tinydl
from tinydl.kernels import use
from tinydl.random import Generator

DRAWS = {
    "random float32": (lambda g, n: g.random(n), 4),
    "random float64": (lambda g, n: g.random(n, np.float64), 2),
    "normal float32": (lambda g, n: g.normal(n), 4),
    "normal float64": (lambda g, n: g.normal(n, np.float64), 2),
    "integers": (lambda g, n: g.integers(-5, 100, n), 2),
    "integers, half of them retried": (lambda g, n: g.integers(0, 2**63 + 1 - 2**62, n), 2),
    "permutation": (lambda g, n: g.permutation(n), 2),
    "bernoulli float32": (lambda g, n: g.bernoulli(0.3, n), 4),
    "bernoulli float64": (lambda g, n: g.bernoulli(np.full(n, 0.3)), 2),
    "categorical": (lambda g, n: g.categorical(np.ones((n, 3))), 2),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 41])
def test_counters_eaten(name: str, n: int) -> None:
    draw, per_block = DRAWS[name]
    generator = Generator(5)
    assert len(draw(generator, n)) == n
    assert generator.state() == {"key": 5, "counter": -(-n // per_block)}


@pytest.mark.parametrize("name", DRAWS)
def test_state_brings_back_the_same_numbers_and_variants_agree(name: str) -> None:
    draw, _ = DRAWS[name]
    generator = Generator(2**64 - 1)
    generator.set_state({"key": 2**64 - 1, "counter": 2**64 - 7})  # the counter wraps within the draw
    state = json.loads(json.dumps(generator.state()))
    first = draw(generator, 101)
    generator.set_state(state)
    np.testing.assert_array_equal(draw(generator, 101), first)
    generator.set_state(state)
    with use(random_bits="numpy", random_uniform_float32="numpy", random_uniform_float64="numpy"):
        np.testing.assert_array_equal(draw(generator, 101), first)
    assert not np.array_equal(draw(generator, 101), first)


@pytest.mark.parametrize("name", [name for name in DRAWS if name != "permutation"])
def test_a_longer_draw_begins_with_the_shorter_one(name: str) -> None:
    draw, _ = DRAWS[name]
    np.testing.assert_array_equal(draw(Generator(1), 200_003)[:97], draw(Generator(1), 97))


def test_pinned_numbers() -> None:
    """These must never change: the same seed gives the same music in every version."""
    assert Generator(0).integers(0, 2**63, 2).tolist() == [0xE169C58D6627E8D5 % 2**63, 0x9B00DBD8BC57AC4C % 2**63]
    words = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert Generator(0).random(4).tolist() == [(word >> 8) / 2**24 for word in words]
    u, v = (0x6627E8D5 + 1) / 2**32, 0xE169C58D / 2**32
    radius, angle = math.sqrt(-2 * math.log(u)), 2 * math.pi * v
    np.testing.assert_allclose(Generator(0).normal(2), [radius * math.cos(angle), radius * math.sin(angle)], rtol=1e-6)
    draws = [0xE169C58D6627E8D5, 0x9B00DBD8BC57AC4C]
    assert Generator(0).permutation(2).tolist() == np.argsort(draws).tolist()
    assert Generator(7).fork("dropout").state()["key"] == int.from_bytes(
        __import__("hashlib").blake2b((7).to_bytes(8, "little") + b"dropout", digest_size=8).digest(), "little"
    )


def test_forks_are_streams_of_their_own() -> None:
    generator = Generator(7)
    names = [f"stream {i}" for i in range(1000)]
    keys = {generator.fork(name).state()["key"] for name in names} | {Generator(8).fork("stream 0").state()["key"], 7}
    assert len(keys) == 1002
    before = generator.fork("a").random(10)
    generator.random(1000)
    np.testing.assert_array_equal(generator.fork("a").random(10), before)
    assert abs(np.corrcoef(generator.fork("a").random(50_000), generator.fork("b").random(50_000))[0, 1]) < 0.02


def test_forks_and_draws_are_the_same_in_another_process() -> None:
    program = "from tinydl.random import Generator; print(Generator(3).fork('ä').integers(0, 10**12, 4).tolist())"
    outputs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert outputs == {str(Generator(3).fork("ä").integers(0, 10**12, 4).tolist())}


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, 24), (np.float64, 53)])
def test_uniforms(dtype: type, bits: int) -> None:
    draws = Generator(1).random((400, 500), dtype)
    assert draws.dtype == dtype
    assert draws.min() >= 0
    assert draws.max() < 1
    scaled = draws.astype(np.float64) * 2.0**bits
    np.testing.assert_array_equal(scaled, np.floor(scaled))
    assert (scaled % 2 == 1).mean() == pytest.approx(0.5, abs=0.01)  # the last bit is in use
    counts, _ = np.histogram(draws, 100, (0, 1))
    chi_squared = ((counts - 2000) ** 2 / 2000).sum()
    assert 50 < chi_squared < 160  # 99 degrees of freedom: both tails below 1e-4
    flat = draws.reshape(-1)
    assert abs(np.corrcoef(flat[:-1], flat[1:])[0, 1]) < 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normals(dtype: type) -> None:
    draws = Generator(2).normal((200_001,), dtype)
    assert draws.dtype == dtype
    draws = draws.astype(np.float64)
    n = len(draws)
    assert abs(draws.mean()) < 5 / math.sqrt(n)
    assert draws.var() == pytest.approx(1, abs=5 * math.sqrt(2 / n))
    assert (draws**3).mean() == pytest.approx(0, abs=5 * math.sqrt(15 / n))
    assert (draws**4).mean() == pytest.approx(3, abs=5 * math.sqrt(96 / n))
    cdf = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in np.sort(draws)])
    assert np.abs(cdf - (np.arange(n) + 0.5) / n).max() < 2.2 / math.sqrt(n)  # Kolmogorov-Smirnov, p below 1e-4
    assert abs(np.corrcoef(draws[0:-1:2], draws[1::2])[0, 1]) < 0.02


def test_integers_cover_their_range_evenly() -> None:
    draws = Generator(3).integers(-3, 4, 70_000)
    assert draws.dtype == np.int64
    counts = Counter(draws.tolist())
    assert sorted(counts) == list(range(-3, 4))
    assert sum((c - 10_000) ** 2 / 10_000 for c in counts.values()) < 30  # 6 degrees of freedom


def test_integers_of_a_span_that_needs_retries_are_unbiased() -> None:
    """Folding 64 bits on 3 * 2**62 without rejection would make the lowest third twice as likely."""
    span = 3 * 2**62
    draws = Generator(4).integers(-(2**63), -(2**63) + span, 30_000).astype(object) + 2**63
    assert all(0 <= d < span for d in draws)
    thirds = np.bincount([int(d // 2**62) for d in draws], minlength=3)
    assert ((thirds - 10_000) ** 2 / 10_000).sum() < 20


def test_integers_at_the_ends_of_int64() -> None:
    draws = Generator(5).integers(-(2**63), 2**63, 1000)
    assert draws.min() < -(2**62)
    assert draws.max() > 2**62
    assert Generator(5).integers(2**63 - 1, 2**63, 3).tolist() == [2**63 - 1] * 3
    assert Generator(5).integers(-(2**63), 1 - 2**63, ()).item() == -(2**63)


def test_permutations() -> None:
    assert sorted(Generator(6).permutation(1000).tolist()) == list(range(1000))
    generator = Generator(6)
    orders = Counter(tuple(generator.permutation(4).tolist()) for _ in range(4800))
    assert len(orders) == 24
    assert sum((c - 200) ** 2 / 200 for c in orders.values()) < 60  # 23 degrees of freedom


def test_bernoulli() -> None:
    p = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    mean = Generator(7).bernoulli(np.broadcast_to(p, (20_000, 5))).mean(0)
    assert mean[0] == 0
    assert mean[4] == 1
    np.testing.assert_allclose(mean, p, atol=0.018)
    assert Generator(7).bernoulli(0.25, (3, 2)).shape == (3, 2)
    assert Generator(7).bernoulli(np.float32([[0.5]]), (3, 2)).dtype == bool


def test_categorical() -> None:
    weights = np.array([0.0, 2.0, 0.0, 1.0, 5.0, 0.0])
    draws = Generator(8).categorical(np.broadcast_to(weights, (4, 10_000, 6)))
    assert draws.shape == (4, 10_000)
    frequencies = np.bincount(draws.reshape(-1), minlength=6) / 40_000
    assert frequencies[[0, 2, 5]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(frequencies, weights / 8, atol=0.013)
    tiny = Generator(8).categorical(np.broadcast_to(np.float32([1e-38, 3e-38]), (10_000, 2)))
    assert tiny.mean() == pytest.approx(0.75, abs=0.025)
    assert Generator(8).categorical([3.0]).shape == ()


MISUSE = [
    (lambda g: g.random((2, -1)), RuntimeError, r"\(2, -1\)"),
    (lambda g: g.random(3, np.int64), TypeError, "int64"),
    (lambda g: g.normal(3, np.float16), TypeError, "float16"),
    (lambda g: g.integers(3, 3), ValueError, "3 to 3"),
    (lambda g: g.integers(0, 2**63 + 1), ValueError, "2\\*\\*63"),
    (lambda g: g.bernoulli(1.5), RuntimeError, r"\[0, 1\]"),
    (lambda g: g.bernoulli(np.array([math.nan])), RuntimeError, r"\[0, 1\]"),
    (lambda g: g.categorical([1.0, -1.0, 3.0]), RuntimeError, "element < 0"),
    (lambda g: g.categorical([1.0, math.inf]), RuntimeError, "inf"),
    (lambda g: g.categorical([1.0, math.nan]), RuntimeError, "nan"),
    (lambda g: g.categorical([[1.0, 0.0], [0.0, 0.0]]), RuntimeError, "sum of probabilities"),
    (lambda g: g.categorical(np.zeros((3, 0))), RuntimeError, r"\(3, 0\)"),
    (lambda g: g.set_state({"key": 1}), ValueError, "key"),
    (lambda g: g.set_state({"key": 1, "counter": -1}), ValueError, "counter"),
    (lambda g: g.set_state({"key": 1, "counter": 2**64}), ValueError, "counter"),
    (lambda g: g.manual_seed(1.5), TypeError, "1.5"),
    (lambda g: g.manual_seed(2**70), ValueError, r"a seed lies in \[-2\*\*63, 2\*\*64\), got 1180591620717411303424"),
]


@pytest.mark.parametrize(("misuse", "error", "message"), MISUSE)
def test_misuse(misuse, error: type[Exception], message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        misuse(Generator(0))


def test_copies_and_pickles_go_on_from_the_same_place() -> None:
    generator = Generator(9)
    generator.random(10)
    twins = [copy.copy(generator), copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
    expected = generator.random(10)
    for twin in twins:
        np.testing.assert_array_equal(twin.random(10), expected)


def test_seeds_are_taken_modulo_two_to_the_sixty_four() -> None:
    assert Generator(-1).state() == Generator(2**64 - 1).state()
    assert Generator(5).manual_seed(6).initial_seed() == 6


def test_threads_share_a_generator_without_overlap() -> None:
    generator = Generator(10)
    drawn: list[list[int]] = []

    def draw() -> None:
        mine = [int(generator.integers(0, 2**63)) for _ in range(500)]
        drawn.append(mine)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = Generator(10)
    assert sorted(sum(drawn, [])) == sorted(int(alone.integers(0, 2**63)) for _ in range(2000))


# --- the functions that return tensors ------------------------------------------------------------------------------


def test_manual_seed_repeats_everything() -> None:
    def draw() -> list[np.ndarray]:
        weights = tinydl.tensor([[1.0, 2.0, 3.0]])
        tensors = [
            tinydl.rand(2, 3),
            tinydl.randn((4,), dtype=np.float64),
            tinydl.randint(10, (5,)),
            tinydl.randint(-3, 3, (2, 2)),
            tinydl.randperm(6),
            tinydl.bernoulli(tinydl.full((3, 2), 0.5)),
            tinydl.multinomial(weights, 2),
            tinydl.multinomial(weights, 9, replacement=True),
            tinydl.normal(1.0, 2.0, (3,)),
            tinydl.normal(tinydl.zeros(2), tinydl.ones(2)),
        ]
        return [t.numpy() for t in tensors]

    assert tinydl.manual_seed(12) is tinydl.default_generator
    state = tinydl.get_rng_state()
    first = draw()
    assert [(a.shape, a.dtype.name) for a in first] == [
        ((2, 3), "float32"), ((4,), "float64"), ((5,), "int64"), ((2, 2), "int64"), ((6,), "int64"),
        ((3, 2), "float32"), ((1, 2), "int64"), ((1, 9), "int64"), ((3,), "float32"), ((2,), "float32"),
    ]  # fmt: skip
    tinydl.set_rng_state(state)
    for a, b in zip(draw(), first):
        np.testing.assert_array_equal(a, b)
    mine = Generator(12)
    np.testing.assert_array_equal(tinydl.rand(2, 3, generator=mine).numpy(), first[0])


def test_tensor_functions_follow_the_generator() -> None:
    np.testing.assert_array_equal(tinydl.randn(5, generator=Generator(1)).numpy(), Generator(1).normal(5))
    shifted = tinydl.normal(tinydl.tensor([10.0, -10.0]), 0.5, generator=Generator(1)).numpy()
    np.testing.assert_allclose(shifted, [10, -10] + Generator(1).normal(2) * np.float32(0.5), rtol=1e-6)
    assert tinydl.rand(2, requires_grad=True).requires_grad
    chances = tinydl.tensor([0.0, 1.0], dtype=np.float64)
    drawn = tinydl.bernoulli(chances)
    assert drawn.dtype == np.float64
    assert drawn.tolist() == [0.0, 1.0]


def test_multinomial_without_replacement() -> None:
    weights = np.array([1.0, 0.0, 2.0, 5.0])
    drawn = tinydl.multinomial(tinydl.tensor(np.tile(weights, (20_000, 1))), 2, generator=Generator(2)).numpy()
    assert (drawn[:, 0] != drawn[:, 1]).all()
    assert not (drawn == 1).any()
    np.testing.assert_allclose(np.bincount(drawn[:, 0], minlength=4) / 20_000, weights / 8, atol=0.017)
    second_after_3 = drawn[drawn[:, 0] == 3, 1]  # what is left: weights 1 and 2
    assert (second_after_3 == 2).mean() == pytest.approx(2 / 3, abs=0.02)
    with pytest.raises(RuntimeError, match="replacement=True"):
        tinydl.multinomial(tinydl.tensor(weights), 4)
    with pytest.raises(RuntimeError, match="element < 0"):
        tinydl.multinomial(tinydl.tensor([1.0, -1.0, 2.0]), 1)


def test_normal_and_randint_refuse_what_makes_no_sense() -> None:
    with pytest.raises(RuntimeError, match="std >= 0"):
        tinydl.normal(0.0, -1.0, (3,))
    with pytest.raises(TypeError, match="size"):
        tinydl.normal(0, 1)
    with pytest.raises(TypeError, match="size"):
        tinydl.randint(0, 5)
