"""Convolution kernels: every variant against the float64 reference, the reference against its definition."""

import itertools

import numpy as np
import pytest

from tinydl.kernels import threads, variants
from tinydl.kernels.conv import cpu, dilated, line, shift, spec, winograd
from tinydl.kernels.registry import KernelError

OPS = ("conv_forward", "conv_input", "conv_weight")


def arguments(op, sample, seed=0):
    """The sample turned into arguments of each operation, with the number of terms of a sum."""
    x, w, *options = sample
    stride, padding, dilation, _ = options
    out = spec.positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    g = np.random.default_rng(seed).standard_normal((len(x), len(w), *out)).astype(x.dtype)
    return {
        "conv_forward": (x, w, *options),
        "conv_input": (g, w, *options, x.shape[2:]),
        "conv_weight": (g, x, *options, w.shape[2:]),
    }[op]


@pytest.fixture(params=["serial", "parallel"])
def pool(request, monkeypatch):
    if request.param == "parallel":
        monkeypatch.setattr(threads, "SERIAL", 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", OPS)
def test_variant_equals_the_float64_reference_and_leaves_its_inputs(op, dtype, pool):
    for sample in spec.samples(np.dtype(dtype).type):
        args = arguments(op, sample)
        before = [a.copy() for a in args[:2]]
        wide = [a.astype(np.float64) for a in args[:2]]
        wanted = getattr(spec, op)(*wide, *args[2:])
        # The largest sum there could be of terms of these sizes bounds how far roundings add up.
        scale = getattr(spec, op)(*(np.abs(a) for a in wide), *args[2:]).max(initial=1e-30)
        for variant in variants(op):
            if variant.accepts is not None and not variant.accepts(*args):
                continue
            got = variant.function(*args)
            assert got.dtype == dtype and got.shape == wanted.shape and got.flags.c_contiguous
            assert np.abs(got - wanted).max(initial=0) <= spec.TOLERANCE[dtype] * scale
        for a, b in zip(args, before, strict=False):
            assert np.array_equal(a, b)


def test_the_reference_is_the_definition():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 4, 3, 4, 5)), rng.standard_normal((4, 2, 2, 1, 3))
    stride, padding, dilation, groups = (1, 2, 1), (1, 0, 2), (2, 1, 1), 2
    y = spec.conv_forward(x, w, stride, padding, dilation, groups)
    for b, o, *i in np.ndindex(y.shape):
        total = 0.0
        for c, *k in np.ndindex(w.shape[1:]):
            at = [i_ * s - p + k_ * d for i_, s, p, k_, d in zip(i, stride, padding, k, dilation, strict=True)]
            if all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True)):
                total += w[(o, c, *k)] * x[(b, o // 2 * 2 + c, *at)]
        assert y[(b, o, *i)] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("sample", list(spec.samples()), ids=lambda sample: str(sample[0].shape))
def test_the_gradients_are_the_transposes(sample):
    """<g, conv(x, w)> = <conv_input(g, w), x> = <conv_weight(g, x), w>."""
    x, w = sample[:2]
    g = arguments("conv_input", sample)[0]
    value = (g * spec.conv_forward(*sample)).sum()
    assert (spec.conv_input(*arguments("conv_input", sample)) * x).sum() == pytest.approx(value)
    assert (spec.conv_weight(*arguments("conv_weight", sample)) * w).sum() == pytest.approx(value)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(
    ("module", "channels", "stride"),
    [
        (cpu, (9, 11), (1, 1, 2)),
        (shift, (9, 11), (1, 1, 2)),
        (winograd, (64, 32), (1, 1, 1)),
        (line, (96, 48), (1, 1, 1)),
        (dilated, (96, 48), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("op", OPS)
def test_threads_do_not_change_the_bits(op, module, channels, stride, images, monkeypatch):
    monkeypatch.setattr(threads, "SERIAL", 0)
    rng = np.random.default_rng(3)
    size, kernel, padding, dilation = (1, 13, 21), (1, 3, 1 if module is line else 3), (0, 1, 0), (1, 1, 1)
    if module is dilated:
        size, kernel, padding, dilation = (1, 2, 200), (1, 1, 3), (0, 0, 16), (1, 1, 16)
    x, w = rng.standard_normal((images, channels[0], *size)), rng.standard_normal((*channels[::-1], *kernel))
    sample = (x.astype(np.float32), w.astype(np.float32), stride, padding, dilation, 1)
    results = []
    for count in range(1, threads.max_threads() + 1):
        with threads.num_threads(count):
            results += [getattr(module, op)(*arguments(op, sample)) for _ in range(2)]
    for other in results[1:]:
        assert np.array_equal(results[0], other)


@pytest.mark.parametrize("module", [cpu, shift])
def test_nan_stays_where_the_kernel_sees_it(module):
    x, w = np.ones((1, 1, 1, 5, 9), np.float32), np.ones((1, 1, 1, 3, 3), np.float32)
    x[0, 0, 0, 2, 4] = np.nan
    y = module.conv_forward(x, w, (1, 1, 1), (0, 1, 1), (1, 1, 1), 1)[0, 0, 0]
    seen = np.zeros_like(y, bool)
    seen[1:4, 3:6] = True
    assert np.array_equal(np.isnan(y), seen)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups", "channels", "size", "taken"),
    [
        (3, 1, 1, 1, 1, 16, 16, True),
        (4, 2, 1, 1, 1, 16, 32, True),
        (5, 2, 2, 1, 1, 16, 32, True),
        (6, 2, 2, 1, 1, 16, 33, True),
        (3, 2, 1, 1, 1, 16, 32, False),  # 3 x 3 are 9 multiplications an output, and the phases' transforms 9 too
        (6, 2, 1, 1, 1, 16, 32, False),  # four taps in a phase
        (5, 1, 2, 1, 1, 16, 16, False),
        (3, 1, 1, 2, 1, 16, 16, False),
        (3, 1, 1, 1, 2, 32, 16, False),
        (3, 1, 1, 1, 1, 17, 16, False),
        (3, 1, 1, 1, 1, 16, 4, False),  # four tiles in all
        (3, 1, 3, 1, 1, 16, 16, False),
    ],
)
def test_which_convolutions_are_transformed(kernel, stride, padding, dilation, groups, channels, size, taken):
    x = np.ones((4, channels, 1, size, size), np.float32)
    w = np.ones((channels, channels // groups, 1, kernel, kernel), np.float32)
    sample = (x, w, (1, stride, stride), (0, padding, padding), (1, dilation, dilation), groups)
    for op in OPS:
        (accepts,) = (v.accepts for v in variants(op) if v.name == "cpu.winograd")
        assert accepts(*arguments(op, sample)) == taken


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups", "channels", "size", "taken"),
    [
        ((1, 2), 1, (0, 0), 1, 1, 32, (1, 601), True),
        ((1, 2), 1, (0, 0), 16, 1, 32, (1, 2000), True),
        ((3, 1), 1, (1, 0), 1, 1, 32, (120, 5), True),
        ((1, 4), 1, (0, 2), 1, 1, 32, (3, 200), True),
        ((1, 5), 1, (0, 2), 1, 1, 32, (1, 600), False),
        ((1, 2), 2, (0, 0), 1, 1, 32, (1, 600), False),
        ((1, 2), 1, (1, 0), 1, 1, 32, (1, 600), False),
        ((1, 2), 1, (0, 0), 1, 2, 32, (1, 600), False),
        ((1, 2), 1, (0, 0), 1, 1, 16, (1, 600), False),  # so few channels are mostly transforms
        ((1, 2), 1, (0, 0), 512, 1, 32, (1, 8704), False),  # 8192 outputs are 3.2 blocks: a fifth would be dropped
        ((1, 2), 1, (0, 0), 1, 1, 32, (1, 90), False),
    ],
)
def test_which_convolutions_go_by_lines(kernel, stride, padding, dilation, groups, channels, size, taken):
    x = np.ones((2, channels, 1, *size), np.float32)
    w = np.ones((channels, channels // groups, 1, *kernel), np.float32)
    sample = (x, w, (1, stride, stride), (0, *padding), (1, dilation, dilation), groups)
    for op in OPS:
        (accepts,) = (v.accepts for v in variants(op) if v.name == "cpu.line")
        assert accepts(*arguments(op, sample)) == taken


@pytest.mark.parametrize(
    ("kernel", "padding", "dilation", "size", "taken"),
    [
        ((1, 2), 0, 16, (1, 600), True),
        ((1, 3), 8, 8, (2, 300), True),
        ((1, 2), 0, 512, (1, 8704), True),  # a fifth is dropped: still fewer products than twice
        ((1, 2), 0, 1000, (1, 6100), False),
        ((1, 2), 0, 4, (1, 600), False),
        ((2, 1), 0, 16, (600, 1), False),
        ((1, 5), 0, 16, (1, 600), False),
        ((1, 2), 0, 16, (1, 90), False),
    ],
)
def test_which_convolutions_go_by_vectors_of_tiles(kernel, padding, dilation, size, taken, monkeypatch):
    monkeypatch.setattr(dilated.vector, "lanes", lambda dtype: 8)
    x, w = np.ones((2, 32, 1, *size), np.float32), np.ones((32, 32, 1, *kernel), np.float32)
    sample = (x, w, (1, 1, 1), (0, 0, padding), (1, dilation, dilation), 1)
    for op in OPS:
        (accepts,) = (v.accepts for v in variants(op) if v.name == "cpu.dilated")
        assert accepts(*arguments(op, sample)) == taken, op


@pytest.mark.parametrize("variant", ["numpy", "cpu.implicit", "cpu.shift", "cpu.line", "cpu.dilated", "cpu.winograd"])
def test_misuse_names_the_argument(variant):
    functions = {v.op: v.function for op in OPS for v in variants(op) if v.name == variant}
    none = ((1, 1, 1), (0, 0, 0), (1, 1, 1))
    flat, whole = np.ones((2, 3, 4), np.float32), np.ones((1, 1, 1, 4, 4), np.float32)
    for op, function in functions.items():
        extra = () if op == "conv_forward" else ((1, 4, 4),)
        with pytest.raises(KernelError, match=r"5 dimensions, got shape \(2, 3, 4\)"):
            function(whole, flat, *none, 1, *extra)
        with pytest.raises(KernelError, match="one dtype"):
            function(whole, whole.astype(np.float64), *none, 1, *extra)
        with pytest.raises(KernelError, match="groups is 0"):
            function(whole, whole, *none, 0, *extra)


def test_every_tap_is_visited_once():
    """What the reference's slices reach and read, against a count."""
    size, kernel, stride, padding, dilation = (3, 4, 5), (2, 3, 2), (2, 1, 3), (1, 2, 0), (1, 2, 3)
    out = spec.positions(size, kernel, stride, padding, dilation)
    seen = {}
    for tap, reached, read in spec._taps(size, out, kernel, stride, padding, dilation):
        ranges = [range(*s.indices(n)) for s, n in zip(reached, out, strict=True)]
        places = [range(*s.indices(n)) for s, n in zip(read, size, strict=True)]
        for i, j in zip(itertools.product(*ranges), itertools.product(*places), strict=True):
            seen[(*i, *tap)] = j
    for key in itertools.product(*map(range, (*out, *kernel))):
        i, k = key[:3], key[3:]
        j = tuple(a * s - p + b * d for a, s, p, b, d in zip(i, stride, padding, k, dilation, strict=True))
        inside = all(0 <= a < n for a, n in zip(j, size, strict=True))
        assert seen.get(key) == (j if inside else None)
