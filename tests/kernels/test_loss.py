"""Loss kernels: every variant against the float64 reference, gradients against differences, bits and bounds."""

import numpy as np
import pytest

from tinydl.kernels import variants
from tinydl.kernels.loss import spec

SAMPLES = {"bce_with_logits": spec.bce_samples, "softmax_cross_entropy": spec.softmax_samples}
REFERENCE = {"bce_with_logits": spec.bce_with_logits, "softmax_cross_entropy": spec.softmax_cross_entropy}
EVERY_VARIANT = [
    pytest.param(variant, np.dtype(dtype), id=f"{variant.op}-{variant.name}-{dtype}")
    for op in SAMPLES
    for variant in variants(op)
    for dtype in (variant.dtypes or ("float32", "float64"))
]


def widened(arguments):
    """The same arguments in float64."""
    return [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arguments]


@pytest.mark.parametrize(("variant", "dtype"), EVERY_VARIANT)
def test_variant_equals_the_float64_reference_and_leaves_its_inputs(variant, dtype):
    tolerance = spec.TOLERANCE[dtype.name]
    for arguments in SAMPLES[variant.op](dtype.type):
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        got = variant.function(*arguments)
        for a, b in zip(arguments, before, strict=True):
            assert a is b or np.array_equal(a, b)
        wanted = REFERENCE[variant.op](*widened(arguments))
        for g, w in zip(got, wanted, strict=True):
            assert g.shape == w.shape
            assert g.dtype == dtype
            assert np.isfinite(w).all() == np.isfinite(g).all()
            finite = np.isfinite(w)
            # Differences of probabilities round at 1 / rows, the size of a gradient before they cancel.
            scale = np.abs(w[finite]).max(initial=1 / max(len(arguments[0]), 1))
            np.testing.assert_allclose(g[finite], w[finite], rtol=20 * tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_reference_gradients_are_the_slopes_of_the_loss(reduction):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal(9), rng.random(9)
    weight, pos_weight = rng.random(9), 1 + rng.random(9)
    logits, target, class_weight = rng.standard_normal((4, 5)), np.array([0, 4, -1, 2]), 0.5 + rng.random(5)
    cases = [
        (x, lambda v: spec.bce_with_logits(v, y, weight, pos_weight, reduction)),
        (logits, lambda v: spec.softmax_cross_entropy(v, target, class_weight, -1, 0.2, reduction)),
    ]
    for at, loss in cases:
        slope = loss(at)[1]
        for index in np.ndindex(at.shape):
            step = np.zeros_like(at)
            step[index] = 1e-5
            difference = (loss(at + step)[0] - loss(at - step)[0]) / 2e-5
            assert slope[index] == pytest.approx(difference, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("variant", variants("bce_with_logits"), ids=lambda v: v.name)
def test_bce_of_infinite_and_nan_logits(variant):
    infinite = np.array([np.inf, -np.inf, np.inf, -np.inf], np.float32)
    loss, slope = variant.function(infinite, np.array([1, 0, 0, 1], np.float32), None, None, "none")
    assert loss.tolist() == [0, 0, np.inf, np.inf]  # certain and right costs nothing, certain and wrong everything
    assert slope.tolist() == [0, 0, 1, -1]
    loss, slope = variant.function(np.array([np.nan], np.float32), np.ones(1, np.float32), None, None, "mean")
    assert np.isnan(loss)
    assert np.isnan(slope).all()


@pytest.mark.parametrize("variant", variants("softmax_cross_entropy"), ids=lambda v: v.name)
def test_softmax_of_masked_and_nan_logits(variant):
    masked = np.array([[1.0, -np.inf, 2.0]], np.float32)
    loss, slope = variant.function(masked, np.array([0]), None, -100, 0.0, "sum")
    assert loss == pytest.approx(np.log1p(np.e))
    assert slope[0, 1] == 0  # exactly: a masked class must get no gradient
    loss, slope = variant.function(np.array([[0.0, np.nan]], np.float32), np.array([0]), None, -100, 0.0, "sum")
    assert np.isnan(loss)
    assert np.isnan(slope).all()


@pytest.mark.parametrize("variant", variants("softmax_cross_entropy"), ids=lambda v: v.name)
@pytest.mark.parametrize("wrong", [-1, 3])
def test_target_outside_the_classes_is_an_index_error(variant, wrong):
    with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds: there are 3 classes, 0 to 2"):
        variant.function(np.zeros((2, 3), np.float32), np.array([0, wrong]), None, -100, 0.0, "mean")


@pytest.mark.parametrize("variant", variants("softmax_cross_entropy"), ids=lambda v: v.name)
def test_mean_over_ignored_rows_alone_is_nan_without_gradient(variant):
    loss, slope = variant.function(np.ones((2, 3), np.float32), np.array([7, 7]), None, 7, 0.1, "mean")
    assert np.isnan(loss)
    assert not slope.any()


def test_threads_do_not_change_the_bits():
    from tinydl.kernels.loss import cpu
    from tinydl.kernels.threads import max_threads, num_threads

    rng = np.random.default_rng(4)
    x, y = rng.standard_normal(70_001).astype(np.float32), rng.random(70_001).astype(np.float32)
    logits, target = rng.standard_normal((700, 64)).astype(np.float32), rng.integers(0, 64, 700)
    results = []
    for count in {1, max_threads()}:
        with num_threads(count):
            results.append(
                cpu.bce_with_logits(x, y, None, None, "mean")
                + cpu.softmax_cross_entropy(logits, target, None, -100, 0.1, "mean")
            )
    for first, last in zip(results[0], results[-1], strict=True):
        assert np.array_equal(first, last)


def test_float32_exponential_and_logarithm_to_two_ulp():
    from tinydl.kernels import scalar

    x = -np.concatenate([np.linspace(0, 86.9, 20_001), np.logspace(-30, 1, 2_000)]).astype(np.float32)
    exponential = np.array([scalar.exp(v) for v in x], np.float64)
    wanted = np.exp(x.astype(np.float64))
    assert (np.abs(exponential - wanted) / np.spacing(wanted.astype(np.float32))).max() < 2
    e = np.concatenate([np.linspace(0, 1, 20_001), np.logspace(-37, 0, 2_000)]).astype(np.float32)
    logarithm = np.array([scalar.log1p(v) for v in e], np.float64)
    wanted = np.log1p(e.astype(np.float64))
    assert (np.abs(logarithm - wanted) / np.spacing(wanted.astype(np.float32))).max() < 3
