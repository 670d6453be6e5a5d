"""The vector language: elementary functions to stated errors, copies and additions of any length."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numba import types

from tinydl.kernels.cache import njit
from tinydl.kernels.vector import (
    Lanes,
    add,
    copy,
    element,
    emitted,
    flat,
    lanes,
    move,
    multiply,
    panel,
    scalar_of,
    tile_rows,
    transpose,
    transpose_seconds,
)
from tinydl.kernels.workspace import empty, scratch

FUNCTIONS = ("exp", "sigmoid", "tanh", "relu")


@emitted
def apply(typing: Any, which: Any, target: Any, source: Any, at: Any) -> Any:
    """One vector of function number ``which``."""
    if not flat(target, source):
        return None

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, target, source, at = values
        v = Lanes(builder, scalar_of(signature.args[1]))
        x = v.load(element(context, builder, signature.args[2], source, at))
        y = getattr(v, FUNCTIONS[which.literal_value])(x)
        v.store(element(context, builder, signature.args[1], target, at), y)
        return context.get_dummy_value()

    return types.void(which, target, source, types.int64), emit


@njit
def evaluate(target: Any, source: Any, width: int) -> None:
    n = source.size
    for at in range(0, n, width):
        apply(0, target[:n], source, at)
        apply(1, target[n : 2 * n], source, at)
        apply(2, target[2 * n : 3 * n], source, at)
        apply(3, target[3 * n :], source, at)


def values(x: np.ndarray) -> np.ndarray:
    width = lanes(x.dtype)
    padded = np.concatenate([x, np.zeros(-x.size % width, x.dtype)])
    result = np.empty(4 * padded.size, x.dtype)
    evaluate(result, padded, width)
    return result.reshape(4, -1)[:, : x.size]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementary_functions_to_their_stated_ulps(dtype: str) -> None:
    rng = np.random.default_rng(0)
    edge = 80.0 if dtype == "float32" else 700.0
    x = np.concatenate([
        rng.uniform(-edge, edge, 20000), rng.uniform(-10, 10, 20000), rng.uniform(-1, 1, 20000),
        10.0 ** rng.uniform(-30, 0, 2000),
        -(10.0 ** rng.uniform(-30, 0, 2000)), [0.0],
    ]).astype(dtype)  # fmt: skip
    wide = x.astype(np.longdouble)
    expected = (np.exp(wide), 1 / (1 + np.exp(-wide)), np.tanh(wide), np.maximum(wide, 0))
    for name, got, want, bound in zip(FUNCTIONS, values(x), expected, (2, 3, 4, 0)):
        spacing = np.spacing(np.abs(want).astype(dtype))
        error = np.max(np.abs(got - want) / spacing)
        assert error <= bound, f"{name} is off by {float(error):.2f} ulp"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementary_functions_at_the_ends(dtype: str) -> None:
    x = np.array([np.inf, -np.inf, 1e30, -1e30, np.nan, 0.0], dtype)
    exp, sigmoid, tanh, relu = values(x)
    assert np.isnan([f[4] for f in (exp, sigmoid, tanh, relu)]).all(), "NaN was hidden"
    assert exp[0] > 1e38 and 0 <= exp[1] < 1e-37 and exp[5] == 1
    np.testing.assert_allclose(sigmoid[[0, 1, 2, 3, 5]], [1, 0, 1, 0, 0.5], atol=1e-37)
    np.testing.assert_array_equal(tanh[[0, 1, 2, 3, 5]], [1, -1, 1, -1, 0])
    np.testing.assert_array_equal(relu[[0, 1, 2, 3, 5]], [np.inf, 0, x[2], 0, 0])


@njit
def shift(target: Any, source: Any, first: int, count: int) -> None:
    copy(target, first, source, first + 1, count)
    move(target, 100 + first, source, first + 1, count)
    add(target, 200 + first, source, first + 1, count)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [0, 1, 3, 7, 8, 16, 17, 45])
def test_copies_and_sums_write_their_own_elements_only(dtype: str, count: int) -> None:
    source = np.arange(1, 101).astype(dtype)
    target = np.full(300, -1, dtype)
    expected = target.copy()
    expected[3 : 3 + count] = expected[103 : 103 + count] = source[4 : 4 + count]
    expected[203 : 203 + count] += source[4 : 4 + count]
    shift(target, source, 3, count)
    np.testing.assert_array_equal(target, expected)


@njit
def product(function: int, rows: int, k: int, width: int, a: Any, b: Any, c: Any, accumulate: int) -> None:
    multiply(function, rows, a, 0, k, 1, b, 0, width, c, 0, width + 3, k, accumulate)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 3, 4])
def test_panels_of_any_number_of_rows(dtype: str, width: int) -> None:
    rng = np.random.default_rng(1)
    columns = width * lanes(dtype)
    for rows in range(2 * tile_rows(width) + 2):
        for k in (0, 1, 5):
            a, b = rng.normal(size=(rows, k)).astype(dtype), rng.normal(size=(k, columns)).astype(dtype)
            start = rng.normal(size=(rows + 1, columns + 3)).astype(dtype)  # a row and three columns that are not C's
            for accumulate in (0, 1):
                c = start.copy()
                product(panel(dtype, width), rows, k, columns, a.reshape(-1), b.reshape(-1), c.reshape(-1), accumulate)
                expected = start.copy()
                expected[:rows, :columns] = a @ b + (start[:rows, :columns] if accumulate else 0)
                np.testing.assert_allclose(c, expected, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-5)
                np.testing.assert_array_equal(c[:, columns:], start[:, columns:])
                np.testing.assert_array_equal(c[rows:], start[rows:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("rows", "columns"), [(0, 3), (1, 1), (16, 16), (17, 35), (40, 8), (7, 64), (33, 16), (16, 200), (200, 16)]
)
def test_transposes_write_their_own_elements_only(dtype: str, rows: int, columns: int) -> None:
    source = np.random.default_rng(0).standard_normal((rows, columns + 3)).astype(dtype)
    target = np.full((columns + 2, rows + 5), 7, dtype)
    expected = target.copy()
    expected[1 : columns + 1, 2 : rows + 2] = source[:, 1 : columns + 1].T
    to, come = target.reshape(-1), source.reshape(-1)
    transpose(lanes(dtype), to, rows + 5 + 2, rows + 5, come, 1, columns + 3, rows, columns)
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (1, 1), (16, 16), (17, 35), (40, 8), (7, 64)])
def test_transposes_every_second_element(dtype: str, rows: int, columns: int) -> None:
    source = np.random.default_rng(0).standard_normal((rows, 2 * columns + 2)).astype(dtype)
    target = np.full((columns + 2, rows + 5), 7, dtype)
    expected = target.copy()
    expected[1 : columns + 1, 2 : rows + 2] = source[:, 1 : 2 * columns + 1 : 2].T
    to, come = target.reshape(-1), source.reshape(-1)
    transpose_seconds(lanes(dtype), to, rows + 5 + 2, rows + 5, come, 1, 2 * columns + 2, rows, columns)
    np.testing.assert_array_equal(target, expected)


def test_transposing_every_second_element_ends_with_the_last() -> None:
    """A page that may not be read follows the last element: reading one more would end the process."""
    program = """
import ctypes, mmap
import numpy as np
from tinydl.kernels.vector import lanes, transpose_seconds
pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
n = lanes("float32")
readable = np.frombuffer(pages, np.float32, mmap.PAGESIZE // 4)
length = 2 * n - 1  # a row to its last element that is taken
target = np.zeros(n * n, np.float32)
transpose_seconds(n, target, 0, n, readable, readable.size - n * length, length, n, n)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)


def test_workspaces_are_aligned_and_reused() -> None:
    first = scratch("test_vector", 100, np.float32)
    assert first.ctypes.data % 64 == 0 and first.size == 100
    assert scratch("test_vector", 50, np.float32).ctypes.data == first.ctypes.data
    assert scratch("test_vector", 100, np.float64).ctypes.data != first.ctypes.data
    one, two = empty((3, 5), np.float64), empty((3, 5), np.float64)
    assert one.shape == (3, 5) and one.ctypes.data % 64 == 0 and not np.shares_memory(one, two)
