"""Pool kernels: every variant against the float64 reference, transposes against each other."""

import numpy as np
import pytest

from tinydl.kernels import variants
from tinydl.kernels.pool import spec


def every(op):
    return [
        pytest.param(variant.function, variant.accepts, np.dtype(dtype), id=f"{variant.name}-{dtype}")
        for variant in variants(op)
        for dtype in (variant.dtypes or ("float32", "float64"))
    ]


def close(got, wanted, dtype):
    assert got.dtype == dtype and got.shape == wanted.shape
    scale = np.abs(wanted).max(initial=1.0)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=spec.TOLERANCE[dtype.name] * scale)


@pytest.mark.parametrize(("kernel", "accepts", "dtype"), every("window_sum"))
def test_window_sums_equal_the_float64_reference(kernel, accepts, dtype):
    for x, windows in spec.samples(dtype.type):
        if accepts is None or accepts(x, windows):
            before = x.copy()
            close(kernel(x[:, ::-1], windows), spec.window_sum(x[:, ::-1].astype(np.float64), windows), dtype)
            assert np.array_equal(x, before)


@pytest.mark.parametrize(("kernel", "accepts", "dtype"), every("window_spread"))
def test_window_spreads_equal_the_float64_reference(kernel, accepts, dtype):
    rng = np.random.default_rng(6)
    for x, windows in spec.samples(dtype.type):
        g = rng.standard_normal((len(x), *(len(first) for first, _, _ in windows))).astype(dtype)
        if accepts is None or accepts(g, windows, x.shape[1:]):
            close(
                kernel(g, windows, x.shape[1:]), spec.window_spread(g.astype(np.float64), windows, x.shape[1:]), dtype
            )


def test_the_reference_sums_what_a_loop_sums():
    rng = np.random.default_rng(7)
    x, g = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 2, 2, 2))
    windows = tuple((np.array([0, n - 2]), np.array([2, n]), rng.standard_normal((2, 3))) for n in (3, 4, 5))
    wanted, spread = np.zeros_like(g), np.zeros_like(x)
    for i, j, k in np.ndindex(2, 2, 2):
        for p, q, r in np.ndindex(2, 2, 2):
            starts = [first[at] for at, (first, _, _) in zip((i, j, k), windows)]
            factor = np.prod([w[at, t] for at, t, (_, _, w) in zip((i, j, k), (p, q, r), windows)])
            place = (slice(None), starts[0] + p, starts[1] + q, starts[2] + r)
            wanted[:, i, j, k] += factor * x[place]
            spread[place] += factor * g[:, i, j, k]
    np.testing.assert_allclose(spec.window_sum(x, windows), wanted)
    np.testing.assert_allclose(spec.window_spread(g, windows, (3, 4, 5)), spread)


@pytest.mark.parametrize("op", ["max_pool", "window_sum", "window_spread"])
def test_planes_of_one_and_two_dimensions_are_flat_ones_of_three(op):
    rng = np.random.default_rng(12)
    first, last, weight = np.array([0, 2, 3]), np.array([2, 5, 5]), rng.standard_normal((3, 3))
    for variant in variants(op):
        for rank, lead in ((1, ()), (1, (2, 3)), (2, (3,)), (2, (0, 3)), (3, ()), (3, (2, 1))):
            third = 1 if op == "max_pool" else weight
            point = (np.array([0]), np.array([1]), 1 if op == "max_pool" else np.ones((1, 1)))
            windows = ((first, last, third),) * rank
            x = rng.standard_normal((*lead, *(3 if op == "window_spread" else 5,) * rank)).astype(np.float32)
            size = ((5,) * rank,) if op == "window_spread" else ()
            whole = ((1,) * (3 - rank) + size[0],) if size else ()
            planes = x.reshape(int(np.prod(lead)), *(1,) * (3 - rank), *x.shape[len(lead) :])
            got = variant.function(x, windows, *size)
            wanted = variant.function(planes, (point,) * (3 - rank) + windows, *whole)
            for one, other in zip(got, wanted) if op == "max_pool" else ((got, wanted),):
                assert one.shape == (*lead, *(5 if op == "window_spread" else 3,) * rank)
                assert np.array_equal(one, other.reshape(one.shape))


@pytest.mark.parametrize(("kernel", "accepts", "dtype"), every("max_pool"))
def test_maxima_are_those_of_a_loop(kernel, accepts, dtype):
    rng = np.random.default_rng(8)
    for number, (x, sums) in enumerate(spec.samples(dtype.type)):
        x = np.round(x)  # many ties
        if x.size and number % 2:
            x[0, 0, 0, 0] = np.nan
        step = 1 + number % 2
        windows = tuple((first, last, step) for first, last, _ in sums)
        if not (accepts is None or accepts(x, windows)):
            continue
        y, index = kernel(x, windows)
        assert y.dtype == dtype and index.dtype == np.int64
        some = list(np.ndindex(*y.shape))
        for n, i, j, k in [some[at] for at in rng.permutation(len(some))[:200]]:
            places = [range(first[at], last[at], step) for at, (first, last, _) in zip((i, j, k), windows)]
            best = None
            for p in places[0]:
                for q in places[1]:
                    for r in places[2]:
                        if best is None or x[n, p, q, r] > x[(n, *best)] or np.isnan(x[n, p, q, r]):
                            best = p, q, r
            assert index[n, i, j, k] == np.ravel_multi_index(best, x.shape[1:])
            np.testing.assert_equal(y[n, i, j, k], x[(n, *best)])


@pytest.mark.parametrize("op", ["take_positions", "put_positions"])
def test_positions_equal_the_float64_reference(op):
    rng = np.random.default_rng(9)
    for variant in variants(op):
        for dtype in map(np.dtype, variant.dtypes or ("float32", "float64")):
            for N, C, L, M, c in (
                (2, 3, 5, 7, 3),
                (4, 2, 3, 50, 1),
                (0, 2, 3, 4, 1),
                (1, 1, 1, 0, 1),
                (3, 1, 700, 9, 1),
            ):
                index = rng.integers(-1, L, (N, c, M))
                a = rng.standard_normal((N, C, L if op == "take_positions" else M)).astype(dtype)
                more = () if op == "take_positions" else (L,)
                close(variant.function(a, index, *more), getattr(spec, op)(a.astype(np.float64), index, *more), dtype)


def test_positions_and_windows_are_transposes():
    rng = np.random.default_rng(10)
    x, g, index = rng.standard_normal((2, 3, 6)), rng.standard_normal((2, 3, 4)), rng.integers(-1, 6, (2, 1, 4))
    there, back = (spec.take_positions(x, index) * g).sum(), (spec.put_positions(g, index, 6) * x).sum()
    assert there == pytest.approx(back)


def test_threads_do_not_change_the_bits():
    from tinydl.kernels.pool import cpu
    from tinydl.kernels.threads import max_threads, num_threads

    rng = np.random.default_rng(11)
    x = rng.standard_normal((64, 1, 128, 128)).astype(np.float32)
    windows = tuple((np.arange(n - 2), np.arange(n - 2) + 3, np.ones((n - 2, 3))) for n in (128, 128))
    windows = ((np.zeros(1, np.int64), np.ones(1, np.int64), np.ones((1, 1))), *windows)
    results = []
    for count in {1, max_threads()}:
        with num_threads(count):
            y = cpu.window_sum(x, windows)
            results.append((y, cpu.window_spread(y, windows, x.shape[1:])))
    for first, last in zip(results[0], results[-1], strict=True):
        assert np.array_equal(first, last)
