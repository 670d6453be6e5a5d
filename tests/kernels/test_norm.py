"""Layer-norm kernels: every variant against the float64 reference, gradients against differences."""

import numpy as np
import pytest

from tinydl.kernels import variants
from tinydl.kernels.norm import spec

EVERY_PAIR = [
    pytest.param(forward.function, backward.function, np.dtype(dtype), id=f"{forward.name}-{dtype}")
    for forward in variants("layer_norm_forward")
    for backward in variants("layer_norm_backward")
    if forward.name == backward.name
    for dtype in (forward.dtypes or ("float32", "float64"))
]


def close(got, wanted, tolerance, terms=0.0):
    """Equal to rounding; ``terms`` is the size of what cancelled on the way."""
    assert got.shape == wanted.shape
    scale = np.abs(wanted).max(initial=terms)
    np.testing.assert_allclose(got, wanted, rtol=20 * tolerance, atol=tolerance * max(scale, 1e-30))


@pytest.mark.parametrize(("forward", "backward", "dtype"), EVERY_PAIR)
def test_variant_equals_the_float64_reference_and_leaves_its_inputs(forward, backward, dtype):
    rng = np.random.default_rng(5)
    tolerance = spec.TOLERANCE[dtype.name]
    for x, weight, bias, eps in spec.samples(dtype.type):
        g = rng.standard_normal(x.shape).astype(dtype)
        wide = [None if a is None else a.astype(np.float64) for a in (x, weight, bias, g)]
        before = [None if a is None else a.copy() for a in (x, weight, bias, g)]
        y, mean, rstd = forward(x, weight, bias, eps)
        gradients = backward(g, x, weight, mean, rstd)
        for a, b in zip((x, weight, bias, g), before, strict=True):
            assert a is b or np.array_equal(a, b)
        wanted_y, wanted_mean, wanted_rstd = spec.layer_norm_forward(wide[0], wide[1], wide[2], eps)
        # A mean of 100 and rounding in float32 leave the centred values 100 times less exact.
        loss_of_digits = max(1.0, float((np.abs(wanted_mean) * wanted_rstd).max(initial=0)))
        assert y.dtype == mean.dtype == rstd.dtype == dtype
        close(mean, wanted_mean, tolerance)
        close(rstd, wanted_rstd, tolerance * loss_of_digits)
        close(y, wanted_y, tolerance * loss_of_digits)
        wanted = spec.layer_norm_backward(wide[3], wide[0], wide[1], wanted_mean, wanted_rstd)
        q = np.abs(wide[3]).max(initial=0) * (1 if weight is None else np.abs(weight).max())
        for got, want, terms in zip(gradients, wanted, (q * wanted_rstd.max(initial=0), 0, 0), strict=True):
            assert got.dtype == dtype
            close(got, want, tolerance * loss_of_digits, terms)


def test_reference_gradients_are_the_slopes():
    rng = np.random.default_rng(6)
    x, g = rng.standard_normal((2, 3, 5))
    weight, bias = rng.standard_normal((2, 5))
    _, mean, rstd = spec.layer_norm_forward(x, weight, bias, 1e-3)
    slopes = spec.layer_norm_backward(g, x, weight, mean, rstd)
    inputs = [x, weight, bias]
    for position, slope in enumerate(slopes):
        for index in np.ndindex(slope.shape):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in inputs]
                moved[position][index] += sign * 1e-5
                ends.append((spec.layer_norm_forward(*moved, 1e-3)[0] * g).sum())
            assert slope[index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)


def test_a_large_mean_does_not_cancel():
    x = (1e4 + np.random.default_rng(7).standard_normal((4, 256))).astype(np.float32)
    wanted = spec.layer_norm_forward(x.astype(np.float64), None, None, 1e-5)[0]
    for variant in variants("layer_norm_forward"):
        y = variant.function(x, None, None, 1e-5)[0]
        assert np.abs(y - wanted).max() < 2e-3  # the mean itself is known to 5e-4 of the spread


def test_threads_do_not_change_the_bits():
    from tinydl.kernels.norm import cpu
    from tinydl.kernels.threads import max_threads, num_threads

    x, g = np.random.default_rng(8).standard_normal((2, 1000, 65)).astype(np.float32)
    weight = np.ones(65, np.float32)
    results = []
    for count in {1, max_threads()}:
        with num_threads(count):
            y, mean, rstd = cpu.layer_norm_forward(x, weight, weight, 1e-5)
            results.append((y, *cpu.layer_norm_backward(g, x, weight, mean, rstd)))
    for first, last in zip(results[0], results[-1], strict=True):
        assert np.array_equal(first, last)


# ------------------------------------------------------------------------------------------------ channels and groups

CHANNELS = [
    pytest.param(kind, forward, backward, np.dtype(dtype), id=f"{kind}-{forward.name}-{dtype}")
    for kind in ("batch", "group")
    for forward in variants(f"{kind}_norm_forward")
    for backward in variants(f"{kind}_norm_backward")
    if forward.name == backward.name
    for dtype in (forward.dtypes or ("float32", "float64"))
]


def settings(kind, groups, eps):
    """What follows the arrays in a call of forward, and in one of backward."""
    return ((eps,), (eps,)) if kind == "batch" else ((groups, eps), (groups, eps))


@pytest.mark.parametrize(("kind", "forward", "backward", "dtype"), CHANNELS)
def test_channels_equal_the_float64_reference(kind, forward, backward, dtype):
    rng = np.random.default_rng(9)
    tolerance = spec.TOLERANCE[dtype.name]
    seen = 0
    for x, weight, bias, groups, eps in spec.channel_samples(dtype.type):
        there, back = settings(kind, groups, eps)
        if not (forward.accepts is None or forward.accepts(x, weight, bias, *there)):
            continue
        seen += 1
        g = rng.standard_normal(x.shape).astype(dtype)
        wide = [None if a is None else a.astype(np.float64) for a in (x, weight, bias, g)]
        before = [None if a is None else a.copy() for a in (x, weight, bias, g)]
        results = forward.function(x, weight, bias, *there)
        gradients = backward.function(g, x, weight, *results[1:], *back)
        for a, b in zip((x, weight, bias, g), before, strict=True):
            assert a is b or np.array_equal(a, b)
        wanted = getattr(spec, f"{kind}_norm_forward")(*wide[:3], *there)
        slopes = getattr(spec, f"{kind}_norm_backward")(wide[3], *wide[:2], *wanted[1:], *back)
        # A mean of 100 is known in float32 to 100 times less of the spread.
        lost = max(1.0, float(np.abs(wide[0]).max(initial=0.0)))
        for got, want in zip(results, wanted, strict=True):
            assert got.dtype == dtype
            close(got, want, tolerance * lost)
        scale = np.abs(wide[3]).max(initial=0) * (1 if weight is None else np.abs(weight).max())
        for got, want, terms in zip(gradients, slopes, (scale / np.sqrt(eps) * 0.1, 0, 0), strict=True):
            assert got.dtype == dtype
            close(got, want, tolerance * lost, terms)
    assert seen


@pytest.mark.parametrize("kind", ["batch", "group"])
def test_reference_gradients_of_channels_are_the_slopes(kind):
    rng = np.random.default_rng(10)
    x, g = rng.standard_normal((2, 2, 4, 3))
    weight, bias = rng.standard_normal((2, 4))
    there, back = settings(kind, 2, 1e-3)
    forward = getattr(spec, f"{kind}_norm_forward")
    slopes = getattr(spec, f"{kind}_norm_backward")(g, x, weight, *forward(x, weight, bias, *there)[1:], *back)
    inputs = [x, weight, bias]
    for position, slope in enumerate(slopes):
        for index in np.ndindex(slope.shape):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in inputs]
                moved[position][index] += sign * 1e-5
                ends.append((forward(*moved, *there)[0] * g).sum())
            assert slope[index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", ["batch", "group"])
def test_threads_do_not_change_the_bits_of_channels(kind):
    from tinydl.kernels.norm import cpu
    from tinydl.kernels.threads import max_threads, num_threads

    x, g = np.random.default_rng(11).standard_normal((2, 9, 6, 1001)).astype(np.float32)
    weight = np.linspace(1, 2, 6, dtype=np.float32)
    there, back = settings(kind, 3, 1e-5)
    results = []
    for count in {1, max_threads()}:
        with num_threads(count):
            forward = getattr(cpu, f"{kind}_norm_forward")(x, weight, weight, *there)
            results.append((*forward, *getattr(cpu, f"{kind}_norm_backward")(g, x, weight, *forward[1:], *back)))
    for first, last in zip(results[0], results[-1], strict=True):
        assert np.array_equal(first, last)
