"""NADE kernels: every variant against the float64 reference, the reference against enumeration and differences."""

import itertools

import numpy as np
import pytest

from tinydl.kernels import KernelError, lookup, variants
from tinydl.kernels.nade import spec

ALL = (True, True, True, True)
FORWARD = [
    pytest.param(v, np.dtype(d), id=f"{v.name}-{d}")
    for v in variants("nade_forward")
    for d in (v.dtypes or ("float32", "float64"))
]


def widened(arguments):
    """The same arguments in float64."""
    return [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arguments]


def close(got, wanted, tolerance):
    for g, w in zip(got, wanted, strict=True):
        assert g.shape == w.shape
        scale = np.abs(w).max(initial=1e-3)
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance * scale)


def every_frame(pitches):
    return np.array(list(itertools.product((False, True), repeat=pitches)))


def one_model(pitches=5, units=4, frames=1, seed=2, dtype=np.float64):
    """Biases of one frame for each of ``frames`` rows, and weights large enough that notes depend on each other."""
    rng = np.random.default_rng(seed)
    b, c = rng.normal(size=(1, pitches)).repeat(frames, 0), rng.normal(size=(1, units)).repeat(frames, 0)
    w, v = 2 * rng.normal(size=(2, pitches, units))
    return [a.astype(dtype) for a in (b, c, w, v)]


@pytest.mark.parametrize(("variant", "dtype"), FORWARD)
def test_variant_equals_the_float64_reference_and_leaves_its_inputs(variant, dtype):
    (backward,) = [v.function for v in variants("nade_backward") if v.name == variant.name]
    tolerance = spec.TOLERANCE[dtype.name]
    for arguments in spec.samples(dtype.type):
        before = [a.copy() for a in arguments]
        got = variant.function(*arguments)
        wanted = spec.nade_forward(*widened(arguments))
        assert all(g.dtype == dtype for g in got)
        close(got, wanted, tolerance)
        g = np.random.default_rng(1).normal(size=len(arguments[0])).astype(dtype)
        g[::3] = 0  # frames of padding
        gradients = backward(g, *arguments, got[1], ALL)
        assert all(a.dtype == dtype for a in gradients)
        close(gradients, spec.nade_backward(g.astype(np.float64), *widened(arguments), wanted[1], ALL), tolerance)
        for a, old in zip(arguments, before, strict=True):
            np.testing.assert_array_equal(a, old)


@pytest.mark.parametrize(("variant", "dtype"), FORWARD)
def test_gradients_that_nobody_needs_are_none(variant, dtype):
    (backward,) = [v.function for v in variants("nade_backward") if v.name == variant.name]
    arguments = list(spec.samples(dtype.type))[6]
    _, slope = variant.function(*arguments)
    g = np.ones(len(slope), dtype)
    full = backward(g, *arguments, slope, ALL)
    for k in range(4):
        needs = tuple(i == k for i in range(4))
        some = backward(g, *arguments, slope, needs)
        assert [a is not None for a in some] == list(needs)
        np.testing.assert_array_equal(some[k], full[k])


@pytest.mark.parametrize(("variant", "dtype"), FORWARD)
@pytest.mark.parametrize(("pitches", "units"), [(1, 3), (6, 4), (9, 1)])
def test_probabilities_of_all_frames_sum_to_one(variant, dtype, pitches, units):
    x = every_frame(pitches)
    log_prob, _ = variant.function(x, *one_model(pitches, units, len(x), dtype=dtype))
    assert np.exp(log_prob.astype(np.float64)).sum() == pytest.approx(1, abs=1e-12 if dtype == np.float64 else 2e-6)


def test_reference_gradients_are_the_slopes_of_the_likelihood():
    rng = np.random.default_rng(0)
    x = rng.random((3, 5)) < 0.5
    arguments = [rng.normal(size=s) for s in ((3, 5), (3, 4), (5, 4), (5, 4))]
    g = rng.normal(size=3)
    gradients = spec.nade_backward(g, x, *arguments, spec.nade_forward(x, *arguments)[1], ALL)
    for k, at in enumerate(arguments):
        for index in np.ndindex(at.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = [a.copy() for a in arguments]
                moved[k][index] += step
                values.append(g @ spec.nade_forward(x, *moved)[0])
            assert gradients[k][index] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-7, abs=1e-9)


def test_the_number_of_states_is_one_and_one_for_each_note_below_the_top():
    x = np.array([[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]], bool)
    assert spec.states(x) == 1 + 3 + 1 + 4


def test_threads_do_not_change_the_bits():
    from tinydl.kernels.threads import max_threads, num_threads

    if max_threads() == 1:
        pytest.skip("this machine has one core: there is nothing to compare")
    rng = np.random.default_rng(4)
    x = rng.random((1500, 88)) < 0.05  # large enough for the pool
    arguments = [a.astype(np.float32) for a in (rng.normal(size=(1500, 88)), rng.normal(size=(1500, 96)))]
    arguments += list((rng.normal(size=(2, 88, 96)) / 10).astype(np.float32))
    g = rng.random(1500).astype(np.float32)
    results = []
    for count in {1, max_threads()}:
        with num_threads(count):
            log_prob, slope = lookup("nade_forward")(x, *arguments)
            results.append([log_prob, slope, *lookup("nade_backward")(g, x, *arguments, slope, ALL)])
    for first, last in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(first, last)


# -- drawing -------------------------------------------------------------------------------------------------------

SAMPLERS = [
    pytest.param(v, np.dtype(d), id=f"{v.name}-{d}")
    for v in variants("nade_sample")
    for d in (v.dtypes or ("float32", "float64"))
]


def chi_square(seen, p):
    expected = p * seen.sum()
    assert seen[p == 0].sum() == 0
    return ((seen - expected)[p > 0] ** 2 / expected[p > 0]).sum()


@pytest.mark.parametrize(("variant", "dtype"), SAMPLERS)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("sounding", [False, True])
def test_frames_are_drawn_with_their_probability(variant, dtype, temperature, sounding):
    pitches, count = 4, 20_000
    x = every_frame(pitches)
    b, c, w, v = one_model(pitches, 3, count)
    one = [b[: len(x)], c[: len(x)], w, v]
    # At a temperature, the likelihood of the product of conditionals with their logits divided.
    p = np.exp(spec.log_bernoulli(x, spec.logits(x, *one) / temperature).sum(1))
    if sounding:
        p[0] = 0
        p /= p.sum()
    u = np.random.default_rng(7).random((count, pitches))
    arguments = [a.astype(dtype) for a in (b, c, w, v)]
    drawn = variant.function(u, *arguments, temperature, np.full(count, sounding))
    seen = np.bincount(drawn @ (1 << np.arange(pitches))[::-1], minlength=len(x))
    assert chi_square(seen, p) < 45  # 15 degrees of freedom: by chance once in 10,000


@pytest.mark.parametrize(("variant", "dtype"), SAMPLERS)
def test_cold_frames_take_the_likelier_value_note_by_note(variant, dtype):
    for arguments in spec.samples(dtype.type):
        biases = arguments[1:]
        frames, pitches = biases[0].shape
        u = np.random.default_rng(0).random((frames, pitches))
        x = variant.function(u, *biases, 0.0, np.zeros(frames, bool))
        z = spec.logits(x, *biases)
        sure = np.abs(z) > 1e-4
        np.testing.assert_array_equal(x[sure], (z > 0)[sure])
        heard = variant.function(u, *biases, 0.0, np.ones(frames, bool))
        assert heard.any(1).all()
        np.testing.assert_array_equal(heard[x.any(1)], x[x.any(1)])


@pytest.mark.parametrize(("variant", "dtype"), SAMPLERS)
def test_a_frame_that_must_sound_does_so_however_unlikely(variant, dtype):
    b, c, w, v = one_model(6, 3, 500, dtype=dtype)
    b -= 40
    u = np.random.default_rng(3).random(b.shape)
    drawn = variant.function(u, b, c, w, v, 1.0, np.ones(len(b), bool))
    assert drawn.any(1).all()
    assert not variant.function(u, b, c, w, v, 1.0, np.zeros(len(b), bool)).any()
    assert len({row.tobytes() for row in drawn}) > 1  # not one and the same note


@pytest.mark.parametrize(("variant", "dtype"), SAMPLERS)
def test_at_a_low_temperature_the_forced_note_is_the_likeliest(variant, dtype):
    z = np.array([[-3, -2, -1, -2.5]], dtype)
    nothing = [np.zeros((1, 0), dtype), np.zeros((4, 0), dtype), np.zeros((4, 0), dtype)]
    for temperature in (0.0, 1e-3, 1e-2):  # at 1e-3 every probability is below the least number
        x = variant.function(np.full((1, 4), 0.5), z, *nothing, temperature, np.ones(1, bool))
        assert x.tolist() == [[False, False, True, False]], temperature


@pytest.mark.parametrize(("variant", "dtype"), SAMPLERS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_frames_without_pitches_are_empty(variant, dtype, temperature):
    empty = [np.zeros((2, 0), dtype), np.zeros((2, 3), dtype), np.zeros((0, 3), dtype), np.zeros((0, 3), dtype)]
    assert variant.function(np.zeros((2, 0)), *empty, temperature, np.ones(2, bool)).shape == (2, 0)


# -- padding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "dtype"), FORWARD)
def test_a_frame_of_padding_adds_nothing_whatever_it_holds(variant, dtype):
    (backward,) = [v.function for v in variants("nade_backward") if v.name == variant.name]
    x, b, c, w, v = list(spec.samples(dtype.type))[8]
    g = np.ones(len(x), dtype)
    g[5] = 0
    _, slope = variant.function(x, b, c, w, v)
    clean = backward(g, x, b, c, w, v, slope, ALL)
    c = c.copy()
    c[5] = np.nan
    with np.errstate(invalid="ignore"):  # the reference's NumPy warns
        log_prob, slope = variant.function(x, b, c, w, v)
    assert np.isnan(log_prob).tolist() == [n == 5 for n in range(len(x))]  # where it counts, it is not hidden
    for got, wanted in zip(backward(g, x, b, c, w, v, slope, ALL), clean, strict=True):
        np.testing.assert_array_equal(got, wanted)


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "dtype"), FORWARD)
@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("x", lambda a: a[:, 1:], r"x must have shape \[N, P\] = \(33, 88\), got \(33, 87\)"),
        ("x", lambda a: a.astype(np.float32), "x must be bool, got float32"),
        ("c", lambda a: a[:-1], r"c must have shape \[N, D\] = \(33, 100\), got \(32, 100\)"),
        ("v", lambda a: a.T, r"v must have shape \[P, D\] = \(88, 100\), got \(100, 88\)"),
        ("w", lambda a: a.astype(np.float16), "w must be float(32|64) as b is, got float16"),
        ("g", lambda a: a[:3], r"g must have shape \[N\] = \(33,\), got \(3,\)"),
        ("slope", lambda a: a[:, :3], r"slope must have shape \[N, P\] = \(33, 88\), got \(33, 3\)"),
    ],
)
def test_wrong_arguments_are_named(variant, dtype, name, wrong, words):
    (backward,) = [v.function for v in variants("nade_backward") if v.name == variant.name]
    arguments = dict(zip("xbcwv", list(spec.samples(dtype.type))[6]))
    assert arguments["b"].shape == (33, 88)
    more = {"g": np.ones(33, dtype), "slope": np.zeros((33, 88), dtype)}
    of_backward = name in more
    (more if of_backward else arguments)[name] = wrong((more if of_backward else arguments)[name])
    op = "nade_backward" if of_backward else "nade_forward"
    with pytest.raises(KernelError, match=rf"{op} \({variant.name}\): {words}") as caught:
        if of_backward:
            backward(more["g"], *arguments.values(), more["slope"], ALL)
        else:
            variant.function(*arguments.values())
    assert caught.value.argument == name


@pytest.mark.parametrize(("variant", "dtype"), SAMPLERS)
@pytest.mark.parametrize(
    ("at", "wrong", "words"),
    [
        (0, lambda a: a[:3], r"u must have shape \[N, P\] = \(33, 88\), got \(3, 88\)"),
        (0, lambda a: a.astype(np.float32), "u must be float64, got float32"),
        (6, lambda a: a[:2], r"sounding must have shape \[N\] = \(33,\), got \(2,\)"),
    ],
)
def test_wrong_arguments_of_drawing_are_named(variant, dtype, at, wrong, words):
    biases = list(spec.samples(dtype.type))[6][1:]
    arguments = [np.zeros((33, 88)), *biases, 1.0, np.zeros(33, bool)]
    arguments[at] = wrong(arguments[at])
    with pytest.raises(KernelError, match=rf"nade_sample \({variant.name}\): {words}"):
        variant.function(*arguments)


def test_the_card_counts_operations_and_bytes():
    x, b, c, w, v = (a.astype("f") if a.dtype != bool else a for a in list(spec.samples())[8])
    silent = np.zeros_like(x)
    one_state = spec.flops(silent, b, c, w, v)
    assert spec.flops(x, b, c, w, v) - one_state == 20 * x[:, :-1].sum() * 128
    assert one_state == 130 * (2 * 88 * 128 + 20 * (128 + 88))
    assert spec.bytes(x, b, c, w, v) == 130 * 88 + 4 * (2 * 130 * 88 + 130 * 128 + 2 * 88 * 128 + 130)
