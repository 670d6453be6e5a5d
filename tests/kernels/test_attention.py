"""Attention kernels: every variant against the float64 reference, and the reference against the plain formula."""

import numpy as np
import pytest

from tinydl.kernels import variants
from tinydl.kernels.attention import spec

EVERY_PAIR = [
    pytest.param(forward, backward, np.dtype(dtype), id=f"{forward.name}-{dtype}")
    for forward in variants("attention_forward")
    for backward in variants("attention_backward")
    if forward.name == backward.name
    for dtype in (forward.dtypes or ("float32", "float64"))
]


def takes(variant, *arguments):
    """Whether the variant computes this at all."""
    return variant.accepts is None or variant.accepts(*arguments)


def plain(query, key, value, mask, kept, scale, causal, dropout):
    """The formula with all probabilities at once: (output, probabilities before dropout, their factors after)."""
    a = scale * (query @ np.swapaxes(key, -1, -2))
    if mask is not None:
        a = np.where(mask, a, -np.inf) if mask.dtype == np.bool_ else a + mask
    if causal:
        a = np.where(np.tri(*a.shape[-2:], dtype=bool), a, -np.inf)
    e = np.exp(a - np.maximum(a.max(axis=-1, keepdims=True, initial=-1e9), -1e9))
    total = e.sum(axis=-1, keepdims=True)
    p = np.divide(e, total, out=np.zeros_like(e), where=total > 0)
    d = np.ones_like(p) if kept is None else np.broadcast_to(kept / (1 - dropout), p.shape)
    return (p * d) @ value, p, d


def plain_gradients(g, query, key, value, mask, kept, scale, causal, dropout):
    """By the chain rule through the formula."""
    _, p, d = plain(query, key, value, mask, kept, scale, causal, dropout)
    dp = (g @ np.swapaxes(value, -1, -2)) * d
    da = p * (dp - (p * dp).sum(axis=-1, keepdims=True))
    return scale * (da @ key), scale * (np.swapaxes(da, -1, -2) @ query), np.swapaxes(p * d, -1, -2) @ g, da


@pytest.mark.parametrize(("forward", "backward", "dtype"), EVERY_PAIR)
def test_variant_equals_the_formula_and_leaves_its_inputs(forward, backward, dtype):
    rng = np.random.default_rng(5)
    tolerance = spec.TOLERANCE[dtype.name]
    for arguments in spec.samples(dtype.type):
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        before = [a.copy() for a in arrays]
        if not takes(forward, *arguments):
            continue
        output, norm = forward.function(*arguments)
        g = rng.standard_normal(output.shape).astype(dtype)
        needs = (True, True, True, takes(backward, g, *arguments[:5], output, norm, *arguments[5:], (True,) * 4))
        found = backward.function(g, *arguments[:5], output, norm, *arguments[5:], needs)
        assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
        wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == dtype else a for a in arguments]
        wanted = (plain(*wide)[0], *plain_gradients(g.astype(np.float64), *wide))
        for got, want in zip((output, *found), wanted, strict=True):
            if got is None and not needs[3]:
                continue
            assert got.dtype == dtype and got.shape == want.shape
            scale = np.abs(want).max(initial=1e-30)
            np.testing.assert_allclose(got, want, rtol=20 * tolerance, atol=20 * tolerance * scale)


def plain_relative(query, key, value, distance, scale):
    """The formula, a query and a key at a time: (output, probabilities)."""
    L, S, span = query.shape[-2], key.shape[-2], distance.shape[1]
    p = np.zeros((*query.shape[:-1], S))
    for *b, l, s in np.ndindex(p.shape):
        d = S - L + l - s
        if 0 <= d < span:
            p[(*b, l, s)] = np.exp(scale * query[(*b, l)] @ (key[(*b, s)] + distance[b[-1], d]))
    p /= p.sum(-1, keepdims=True)
    return p @ value, p


def plain_relative_gradients(g, query, key, value, distance, scale):
    """By the chain rule through the formula."""
    L, S, span = query.shape[-2], key.shape[-2], distance.shape[1]
    _, p = plain_relative(query, key, value, distance, scale)
    dp = g @ np.swapaxes(value, -1, -2)
    da = scale * p * (dp - (p * dp).sum(-1, keepdims=True))
    dq, dk, de = np.zeros(query.shape), np.swapaxes(da, -1, -2) @ query, np.zeros(distance.shape)
    for *b, l, s in np.ndindex(p.shape):
        d = S - L + l - s
        if 0 <= d < span:
            dq[(*b, l)] += da[(*b, l, s)] * (key[(*b, s)] + distance[b[-1], d])
            de[b[-1], d] += da[(*b, l, s)] * query[(*b, l)]
    return dq, dk, np.swapaxes(p, -1, -2) @ g, de


def test_the_reference_of_relative_attention_is_the_formula():
    """(Every variant is held to the reference by its card: tests/lab/test_verify.py.)"""
    seen = 0
    for arguments in spec.relative_samples():
        if arguments[0].size > 1000:
            continue
        seen += 1
        output, norm = spec.relative_attention_forward(*arguments)
        np.testing.assert_allclose(output, plain_relative(*arguments)[0], rtol=1e-12, atol=1e-12)
        g = np.random.default_rng(2).standard_normal(output.shape)
        found = spec.relative_attention_backward(g, *arguments[:4], output, norm, arguments[4], (True,) * 4)
        for got, want in zip(found, plain_relative_gradients(g, *arguments), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    assert seen >= 12


@pytest.mark.parametrize("variant", variants("relative_attention_backward"), ids=lambda variant: variant.name)
def test_only_what_is_needed_of_relative_attention(variant):
    dtype = np.dtype(variant.dtypes[0] if variant.dtypes else "float64").type
    arguments = next(iter(spec.relative_samples(dtype)))
    output, norm = spec.relative_attention_forward(*arguments)
    for k in range(4):
        needs = tuple(i == k for i in range(4))
        found = variant.function(output, *arguments[:4], output, norm, arguments[4], needs)
        assert tuple(d is not None for d in found) == needs


@pytest.mark.parametrize("variant", variants("relative_attention_forward"), ids=lambda variant: variant.name)
def test_relative_attention_holds_a_block_of_a_band(variant):
    import tracemalloc

    dtype = np.dtype(variant.dtypes[0] if variant.dtypes else "float64").type
    L, E, span = 4096, 8, 64
    q, e = np.ones((1, L, E), dtype), np.ones((1, span, E), dtype)
    variant.function(q[:, :8], q[:, :8], q[:, :8], e, 1.0)  # compiled
    tracemalloc.start()
    variant.function(q, q, q, e, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.1 * L * L * dtype().itemsize


@pytest.mark.parametrize(("forward", "backward", "dtype"), EVERY_PAIR)
def test_only_what_is_needed(forward, backward, dtype):
    arguments = next(iter(spec.samples(dtype.type)))
    output, norm = forward.function(*arguments)
    for k in range(4):
        needs = tuple(i == k for i in range(4))
        if not takes(backward, output, *arguments[:5], output, norm, *arguments[5:], needs):
            continue
        found = backward.function(output, *arguments[:5], output, norm, *arguments[5:], needs)
        assert tuple(d is not None for d in found) == needs


@pytest.mark.parametrize(("forward", "backward", "dtype"), EVERY_PAIR)
def test_scores_of_any_size_do_not_overflow(forward, backward, dtype):
    q = np.full((2, 3), 1e4, dtype)
    k = np.stack([q[0], -q[0]])
    v = np.arange(4, dtype=dtype).reshape(2, 2)
    output, norm = forward.function(q, k, v, None, None, 1.0, False, 0.0)
    np.testing.assert_array_equal(output, [v[0]] * 2)
    found = backward.function(output, q, k, v, None, None, output, norm, 1.0, False, 0.0, (True, True, True, False))
    assert all(np.isfinite(d).all() for d in found[:3])


def test_the_reference_holds_blocks_of_probabilities_only():
    import tracemalloc

    L, E = 2048, 16
    q = np.ones((L, E), np.float32)
    tracemalloc.start()
    output, norm = spec.attention_forward(q, q, q, None, None, 1.0, False, 0.0)
    spec.attention_backward(output, q, q, q, None, None, output, norm, 1.0, False, 0.0, (True, True, True, False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.4 * L * L * 4  # 16.8 MB would be all of them
