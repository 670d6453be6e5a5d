"""In-place draws and ``*_like``: the distributions they promise, the stream they eat, and the same bits everywhere."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.random import Generator
from tinydl.random.rejection import standard_gamma

N = 40_000
stats = pytest.importorskip("scipy.stats", reason="needs SciPy")

# method, arguments, and the distribution as SciPy has it
CONTINUOUS: list[tuple[str, tuple[Any, ...], Any]] = [
    ("uniform_", (), stats.uniform()),
    ("uniform_", (-3.0, 5.0), stats.uniform(-3, 8)),
    ("normal_", (), stats.norm()),
    ("normal_", (2.0, 0.5), stats.norm(2, 0.5)),
    ("exponential_", (), stats.expon()),
    ("exponential_", (2.5,), stats.expon(scale=1 / 2.5)),
    ("log_normal_", (), stats.lognorm(2.0, scale=math.e)),
    ("log_normal_", (0.5, 0.25), stats.lognorm(0.25, scale=math.exp(0.5))),
    ("cauchy_", (), stats.cauchy()),
    ("cauchy_", (1.0, 3.0), stats.cauchy(1, 3)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("method", "arguments", "law"), CONTINUOUS, ids=[f"{m}{a}" for m, a, _ in CONTINUOUS])
def test_continuous_draws(method: str, arguments: tuple[Any, ...], law: Any, dtype: str) -> None:
    """Kolmogorov and Smirnov, with a fixed seed."""
    x = getattr(tinydl.empty(N, dtype=dtype), method)(*arguments, generator=Generator(11))
    assert x.dtype.name == dtype and np.isfinite(x.numpy()).all()
    assert stats.kstest(x.numpy().astype(np.float64), law.cdf).pvalue > 1e-3
    first, second = x.numpy()[:-1], x.numpy()[1:]
    assert abs(stats.spearmanr(first, second).statistic) < 0.02  # neighbours are independent


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.9])
def test_geometric_draws(p: float) -> None:
    x = tinydl.empty(N).geometric_(p, generator=Generator(5)).numpy().astype(int)
    assert x.min() == 1
    top = int(stats.geom(p).ppf(1 - 20 / N))
    seen = np.bincount(np.minimum(x, top + 1), minlength=top + 2)[1:]
    wanted = np.append(stats.geom(p).pmf(np.arange(1, top + 1)), stats.geom(p).sf(top)) * N
    assert stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.3, 4.0, 9.9, 10.1, 47.5, 2000.0])
def test_poisson_draws(rate: float) -> None:
    x = tinydl.poisson(tinydl.full((N,), rate), Generator(5))
    assert x.dtype == tinydl.float32
    counts, law = x.numpy().astype(int), stats.poisson(rate)
    low, high = int(law.ppf(20 / N)), int(law.ppf(1 - 20 / N))
    seen = np.bincount(np.clip(counts, low, high + 1) - low, minlength=high - low + 2)
    wanted = np.array([law.cdf(low), *law.pmf(np.arange(low + 1, high + 1)), law.sf(high)]) * N
    assert stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-3


def test_poisson_of_each_rate() -> None:
    rates = tinydl.tensor([[0.0, 3.0], [1e6, 20.0]], dtype=tinydl.float64)
    x = tinydl.poisson(rates.expand(4000, 2, 2), Generator(1))
    assert (x[:, 0, 0] == 0).all() and x.shape == (4000, 2, 2)
    error = (x.mean(0) - rates).abs() / (rates / 4000).sqrt().clamp(min=1e-9)
    assert (error < 4).all()
    again = tinydl.poisson(rates.expand(4000, 2, 2), Generator(1))
    assert (x == again).all()
    with pytest.raises(RuntimeError, match="invalid Poisson rate, expected rate to be non-negative, got -1.0"):
        tinydl.poisson(tinydl.tensor([-1.0]))
    with pytest.raises(TypeError, match="floating"):
        tinydl.poisson(tinydl.tensor([1]))


@pytest.mark.parametrize("a", [0.05, 0.5, 1.0, 1.7, 30.0, 1e5])
def test_gamma_draws(a: float) -> None:
    x = standard_gamma(np.full(N, a), Generator(3))
    assert stats.kstest(x, stats.gamma(a).cdf).pvalue > 1e-3


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_bernoulli_draws(p: float) -> None:
    for x in (tinydl.empty(N), tinydl.zeros(N, dtype=tinydl.int64), tinydl.zeros(N, dtype=tinydl.bool)):
        x.bernoulli_(p, generator=Generator(2))
        assert float(x.double().mean()) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / N))
    chances = tinydl.tensor([[0.1], [0.9]])
    means = tinydl.empty(2, N).bernoulli_(chances, generator=Generator(3)).mean(1)
    np.testing.assert_allclose(means.numpy(), [0.1, 0.9], atol=0.01)


def test_integers() -> None:
    x = tinydl.zeros(N, dtype=tinydl.int64).random_(-3, 4, generator=Generator(1)).numpy()
    assert stats.chisquare(np.bincount(x + 3, minlength=7)).pvalue > 1e-3
    for dtype, top in (("uint8", 255), ("int8", 127), ("int16", 2**15 - 1), ("bool", 1), ("float16", 2**11)):
        y = tinydl.zeros(N, dtype=dtype).random_(generator=Generator(1)).numpy().astype(np.float64)
        assert y.min() >= 0 and y.max() <= top and y.max() > 0.99 * top
        assert y.mean() == pytest.approx(top / 2, rel=0.02)
    wide = tinydl.zeros(1000, dtype=tinydl.float64).random_(generator=Generator(1)).numpy()
    assert wide.max() > 2**52 and (wide == np.floor(wide)).all()
    r = tinydl.randint_like(tinydl.zeros(3, N), 5, generator=Generator(1))
    assert r.dtype == np.float32 and sorted(set(r.numpy().reshape(-1).tolist())) == [0, 1, 2, 3, 4]


def test_ends_of_the_range() -> None:
    """uniform_ never gives its upper end, however rounding falls, and exponential_ never 0."""
    x = tinydl.empty(300_000).uniform_(1.0, 1.0 + 2**-22, generator=Generator(1))
    assert float(x.max()) < 1.0 + 2**-22 and float(x.min()) >= 1.0
    half = tinydl.empty(300_000, dtype=tinydl.float16).uniform_(0, 1, generator=Generator(1))
    assert float(half.max()) < 1.0
    assert float(tinydl.empty(300_000).exponential_(generator=Generator(1)).min()) > 0


def test_draws_follow_the_stream_of_rand_and_randn() -> None:
    a, b = Generator(4), Generator(4)
    np.testing.assert_array_equal(tinydl.empty(7).uniform_(generator=a).numpy(), tinydl.rand(7, generator=b).numpy())
    np.testing.assert_array_equal(tinydl.empty(7).normal_(generator=a).numpy(), tinydl.randn(7, generator=b).numpy())
    like = tinydl.zeros(2, 3, dtype=tinydl.float64)
    for one, two in ((tinydl.rand_like, tinydl.rand), (tinydl.randn_like, tinydl.randn)):
        x = one(like, generator=a)
        np.testing.assert_array_equal(x.numpy(), two(2, 3, generator=b, dtype=tinydl.float64).numpy())
    assert a.state() == b.state()
    tinydl.manual_seed(3)
    first = tinydl.empty(5).cauchy_().tolist()
    tinydl.manual_seed(3)
    assert tinydl.empty(5).cauchy_().tolist() == first


def test_the_default_dtype_is_followed() -> None:
    tinydl.set_default_dtype(tinydl.float64)
    try:
        assert tinydl.rand(2).dtype == tinydl.randn(2).dtype == tinydl.normal(0.0, 1.0, (2,)).dtype == np.float64
    finally:
        tinydl.set_default_dtype(tinydl.float32)
    assert tinydl.rand(2, dtype=tinydl.float16).dtype == np.float16


def test_the_old_value_gets_a_gradient_of_zeros_and_leaves_refuse() -> None:
    w = tinydl.ones(3, requires_grad=True)
    h = w * 2
    h.normal_()
    (h * h + w).sum().backward()
    assert w.grad.tolist() == [1, 1, 1]
    with pytest.raises(
        RuntimeError, match=r"a leaf Variable .* in-place operation \(uniform_ on shape \(3,\)\); put it"
    ):
        w.uniform_()
    with tinydl.no_grad():
        w.uniform_(5, 6)
    assert float(w.detach().min()) >= 5
    y = (w * w).sum()
    with tinydl.no_grad():
        w.exponential_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


MISUSE: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda x: x.uniform_(2, 1), RuntimeError, r"\[from, to\) range, but found from=2 > to=1"),
    (lambda x: x.normal_(0, -1), RuntimeError, "normal_ expects std >= 0.0, but found std -1"),
    (lambda x: x.normal_(0, math.nan), RuntimeError, "normal_ expects std >= 0.0, but found std nan"),
    (lambda x: x.exponential_(0), RuntimeError, "exponential_ expects lambda > 0.0, but found lambda=0"),
    (lambda x: x.log_normal_(0, 0), RuntimeError, "log_normal_ expects std > 0.0, but found std=0"),
    (lambda x: x.cauchy_(0, 0), RuntimeError, "cauchy_ expects sigma > 0.0, but found sigma=0"),
    (lambda x: x.geometric_(0), RuntimeError, r"geometric_ expects p to be in \(0, 1\), but got p=0"),
    (lambda x: x.geometric_(1), RuntimeError, r"geometric_ expects p to be in \(0, 1\), but got p=1"),
    (lambda x: x.bernoulli_(1.5), RuntimeError, r"every probability p to be in \[0, 1\]"),
    (lambda x: x.random_(3, 3), RuntimeError, "random_ expects 'from' to be less than 'to', but got from=3 >= to=3"),
    (lambda x: x.long().normal_(), TypeError, "normal_: random numbers of a floating dtype were expected, got int64"),
    (lambda x: x.long().uniform_(), TypeError, "uniform_: random numbers of a floating dtype .*, got int64"),
    (lambda x: tinydl.rand(2, dtype="int64"), TypeError, "rand: .* got int64; use randint"),
    (lambda x: tinydl.rand(2, -1), RuntimeError, "negative dimension"),
    (lambda x: tinydl.randint(3), TypeError, "lacks the size"),
    (lambda x: tinydl.randint(5, 5, (2,)), RuntimeError, "from=5 >= to=5"),
    (lambda x: Generator(device="cuda"), RuntimeError, "no CUDA backend is available"),
]


@pytest.mark.parametrize(("use", "error", "message"), MISUSE, ids=[m[2][:40] for m in MISUSE])
def test_misuse_changes_nothing(use: Any, error: type[Exception], message: str) -> None:
    x = tinydl.arange(3.0)
    state = tinydl.default_generator.state()
    with pytest.raises(error, match=message) as caught:
        use(x)
    assert "\n" not in str(caught.value)
    assert x.tolist() == [0, 1, 2] and tinydl.default_generator.state() == state


PROGRAM = """
import hashlib, tinydl
tinydl.manual_seed(7)
n = 300_000
parts = [
    tinydl.rand(n), tinydl.randn(n), tinydl.randint(0, 10**6, (n,)), tinydl.randperm(n),
    tinydl.empty(n).exponential_(), tinydl.empty(n).cauchy_(), tinydl.empty(n).log_normal_(),
    tinydl.empty(n).geometric_(0.2), tinydl.empty(n).bernoulli_(0.3), tinydl.zeros(n).random_(),
    tinydl.nn.functional.dropout(tinydl.ones(n), 0.4),
]
print(hashlib.sha256(b"".join(p.numpy().tobytes() for p in parts)).hexdigest())
"""


def test_the_same_bits_on_any_number_of_threads() -> None:
    seen = set()
    for threads in (1, 2, 3):
        environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment, timeout=300
        )
        seen.add(done.stdout.strip())
    assert len(seen) == 1
