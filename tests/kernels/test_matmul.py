"""The blocked matrix product: bits, ownership, NaN, refusals. (Its results: tests/lab, by its card.)"""

from __future__ import annotations

import numpy as np
import pytest

from tinydl.kernels import KernelError, lookup, threads, use
from tinydl.kernels.matmul import cpu


@pytest.fixture(autouse=True)
def never_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SERIAL", 0)  # the sizes are small, and several threads are to be tested


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(157, 301)).astype(np.float32), rng.normal(size=(301, 143)).astype(np.float32)
    results = []
    for count in range(1, threads.max_threads() + 1):
        with threads.num_threads(count):
            results += [cpu.matmul(a, b), cpu.matmul(a, b)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_results_are_the_callers_own() -> None:
    a = np.ones((100, 100), np.float32)
    first = cpu.matmul(a, a)
    kept = first.copy()
    cpu.matmul(2 * a, a)
    np.testing.assert_array_equal(first, kept)


def test_nan_and_infinity_pass_through() -> None:
    a, b = np.ones((70, 80), np.float32), np.ones((80, 90), np.float32)
    a[3, 4], b[5, 6] = np.nan, np.inf
    c = cpu.matmul(a, b)
    assert np.isnan(c[3]).all() and np.isinf(np.delete(c[:, 6], 3)).all()
    assert np.isfinite(np.delete(np.delete(c, 3, 0), 6, 1)).all()


@pytest.mark.parametrize("variant", ["numpy", "cpu.blocked"])
def test_errors_name_the_argument_and_both_shapes(variant: str) -> None:
    a = np.ones((100, 100), np.float32)
    with use(matmul=variant):
        matmul = lookup("matmul")
    with pytest.raises(KernelError, match=r"\(100, 100\) and \(101, 100\)") as caught:
        matmul(a, np.ones((101, 100), np.float32))
    assert (caught.value.op, caught.value.variant, caught.value.argument) == ("matmul", variant, "b")
    with pytest.raises(KernelError, match="float32 and b float64"):
        matmul(a, a.astype(np.float64))
