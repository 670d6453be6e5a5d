"""Shapes, layouts and values that nobody chose: hypothesis draws them, a random projection of the gradient is checked.

For a function f, cotangent v and direction u: <v, J u> from backward against the central difference of <v, f(x + h u)>.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinydl
from tests.ops.table import draw
from tests.ops.tables import TABLE
from tinydl import autograd
from tinydl.autograd import registry

shapes = st.lists(st.integers(0, 4), min_size=0, max_size=4).map(tuple)
seeds = st.integers(0, 2**32 - 1)


def layout(
    rng: np.random.Generator, shape: tuple[int, ...], low: float = -2, high: float = 2, away: tuple[float, ...] = ()
) -> np.ndarray[Any, Any]:
    """An array of ``shape`` in a random memory layout: permuted, reversed or with gaps; values as of the op table."""
    kind = rng.integers(4)
    if kind == 1 and len(shape) > 1:
        order = rng.permutation(len(shape))
        return draw(rng, *[shape[i] for i in order], low=low, high=high, away=away).transpose(np.argsort(order))
    if kind == 2 and shape:
        return draw(rng, *shape, low=low, high=high, away=away)[tuple(slice(None, None, -1) for _ in shape)]
    if kind == 3 and shape:
        return draw(rng, *shape[:-1], shape[-1] * 2, low=low, high=high, away=away)[..., ::2]
    return draw(rng, *shape, low=low, high=high, away=away)


def check(f: Callable[..., Any], *arrays: np.ndarray[Any, Any], seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    xs = [tinydl.tensor(a, requires_grad=True) for a in arrays]
    y = f(*xs)
    v = rng.uniform(-1, 1, y.shape)
    us = [rng.uniform(-1, 1, a.shape) for a in arrays]
    gs = autograd.grad(y, xs, tinydl.tensor(np.asarray(v)), allow_unused=True)
    analytic = sum(float((g.array * u).sum()) for g, u in zip(gs, us) if g is not None)
    for g, a in zip(gs, arrays):
        assert g is None or (g.shape == a.shape and g.dtype == a.dtype)

    def along(h: float) -> float:
        out = f(*[tinydl.tensor(np.asarray(a + h * u)) for a, u in zip(arrays, us)])
        return float((out.array * v).sum())

    h = 1e-4
    fine, coarse = (along(h / 2) - along(-h / 2)) / h, (along(h) - along(-h)) / (2 * h)
    numeric = (4 * fine - coarse) / 3
    assert analytic == pytest.approx(numeric, rel=1e-6, abs=1e-8 * max(1, y.numel()))


def elementwise(arguments: int) -> list[str]:
    """The differentiable functions of so many arguments that the op table has."""
    ops = registry()
    return [n for n, e in sorted(TABLE.items()) if len(e.domains) == arguments and n in ops and ops[n].differentiable]


@pytest.mark.parametrize("name", elementwise(1))
@settings(max_examples=100)
@given(shape=shapes, seed=seeds)
def test_unary(name: str, shape: tuple[int, ...], seed: int) -> None:
    (domain,) = TABLE[name].domains
    check(registry()[name].call, layout(np.random.default_rng(seed), shape, **domain), seed=seed)


@st.composite
def broadcastable(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast together."""
    whole = draw(shapes)
    ones = [draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))) for _ in range(2)]
    cut = draw(st.integers(0, len(whole)))
    first = tuple(1 if o else s for s, o in zip(whole, ones[0]))
    second = tuple(1 if o else s for s, o in zip(whole, ones[1]))[cut:]
    return (first, second) if draw(st.booleans()) else (second, first)


@pytest.mark.parametrize("name", elementwise(2))
@settings(max_examples=100)
@given(pair=broadcastable(), seed=seeds)
def test_binary(name: str, pair: tuple[tuple[int, ...], tuple[int, ...]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (layout(rng, shape, **domain) for shape, domain in zip(pair, TABLE[name].domains))
    check(registry()[name].call, first, second, seed=seed)


@settings(max_examples=100)
@given(shape=shapes, seed=seeds, data=st.data())
def test_reductions(shape: tuple[int, ...], seed: int, data: Any) -> None:
    x = layout(np.random.default_rng(seed), shape, -2, 2)
    dims = data.draw(
        st.one_of(st.none(), st.sets(st.integers(0, max(len(shape) - 1, 0)), max_size=len(shape)).map(tuple))
    )
    keep = data.draw(st.booleans())
    dims = None if not shape else dims
    check(lambda t: t.sum(dims, keep), x, seed=seed)
    if x.size:
        check(lambda t: t.mean(dims, keep), x, seed=seed)
        check(lambda t: t.logsumexp(dims if dims is not None else (), keep), x, seed=seed)
    if shape:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        check(lambda t: t.softmax(axis), x, seed=seed)
        check(lambda t: t.log_softmax(axis), x, seed=seed)
        check(lambda t: t.cumsum(axis), x, seed=seed)


@settings(max_examples=100)
@given(shape=shapes, seed=seeds)
def test_shapes(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = layout(rng, shape, -2, 2)
    order = tuple(int(i) for i in rng.permutation(len(shape)))
    check(lambda t: t.permute(*order).reshape(-1) * 2 if order else t * 2, x, seed=seed)
    check(lambda t: t.unsqueeze(0).expand(3, *shape), x, seed=seed)
    if shape:
        check(lambda t: tinydl.cat([t, t * 2], -1), x, seed=seed)
        check(lambda t: tinydl.stack([t, t * 2], 0), x, seed=seed)
        axis = int(rng.integers(len(shape)))
        if shape[axis]:
            at = rng.integers(-shape[axis], shape[axis], int(rng.integers(0, 5)))
            index = (slice(None),) * axis + (tinydl.tensor(at, dtype=tinydl.int64),)
            check(lambda t: t[index], x, seed=seed)
            check(lambda t: t[(slice(None),) * axis + (slice(0, None, 2),)], x, seed=seed)


@settings(max_examples=100)
@given(m=st.integers(0, 4), k=st.integers(0, 4), n=st.integers(0, 4), lead=broadcastable(), seed=seeds)
def test_matmul(m: int, k: int, n: int, lead: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = layout(rng, (*lead[0][:2], m, k), -2, 2), layout(rng, (*lead[1][:2], k, n), -2, 2)
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        return
    check(lambda s, t: s @ t, a, b, seed=seed)
