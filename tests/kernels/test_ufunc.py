"""Functions of numbers as NumPy ufuncs: every way in which NumPy hands lines of elements to a loop."""

from __future__ import annotations

import gc
import math
from typing import Any

import numpy as np
import pytest

from tinydl.kernels import KernelError, lookup, register
from tinydl.kernels.registry import unregister
from tinydl.kernels.threads import max_threads, num_threads
from tinydl.kernels.ufunc import LONG, Ufunc

N = 21


def bent(x: Any, slope: Any) -> Any:
    """x, or slope x where x is negative."""
    return x if x > 0 else slope * x


def bell(x: Any) -> Any:
    """e^(-x^2)."""
    return math.exp(-x * x)


def weighted(x: Any, y: Any, z: Any) -> Any:
    """x y + z."""
    return x * y + z


BENT, BELL, WEIGHTED = Ufunc(bent, "fff", "ddd"), Ufunc(bell, "ff", "dd"), Ufunc(weighted, "dddd")


def data(*shape: int, dtype: str = "float64") -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


LAYOUTS = {
    "plain": lambda x: x,
    "transposed": lambda x: x.T.copy().T,
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "every second": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "a column": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "a row": lambda x: np.broadcast_to(x[:1], x.shape),
    "one number": lambda x: np.broadcast_to(x[0, 0], x.shape),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("second", LAYOUTS)
@pytest.mark.parametrize("first", LAYOUTS)
def test_any_strides(first: str, second: str, dtype: str) -> None:
    x, a = LAYOUTS[first](data(5, N, dtype=dtype)), LAYOUTS[second](data(5, N, dtype=dtype) + 2)
    y = BENT.ready()(x, a)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.where(x > 0, x, a * x))


def test_broadcasting_and_sizes() -> None:
    u = BENT.ready()
    for n in (0, 1, 2, 15, 16, 17, 1000, 100_003):
        x = data(n)
        np.testing.assert_array_equal(u(x, 0.5), np.where(x > 0, x, 0.5 * x))
    assert u(data(3, 1), data(1, 4)).shape == (3, 4)
    assert u(np.float32(-2), np.float32(0.5)) == -1 and u(np.float64(-2), 0.5).dtype == np.float64


def test_three_inputs_and_parameters_that_are_one_number() -> None:
    x, y, z = data(4, N), data(4, N) + 1, data(4, N) + 2
    u = WEIGHTED.ready().ufunc
    for a, b, c in ((x, y, z), (x, y, 2.0), (x, 3.0, 2.0), (x, 3.0, z), (3.0, y, z), (3.0, y, 2.0), (3.0, 4.0, z)):
        np.testing.assert_allclose(u(a, b, c), np.multiply(a, b) + c, rtol=1e-15)


def test_where_the_result_goes() -> None:
    x = data(4, N)
    expected = np.exp(-x * x)
    whole = np.full((4, 2 * N), 7.0)
    BELL.ready().ufunc(x, out=whole[:, ::2])
    np.testing.assert_allclose(whole[:, ::2], expected, rtol=1e-14)
    assert (whole[:, 1::2] == 7).all()
    same = x.copy()
    BELL.ready().ufunc(same, out=same)  # onto its own input
    np.testing.assert_allclose(same, expected, rtol=1e-14)
    shifted = np.concatenate([x[0], [0.0]])
    BELL.ready().ufunc(shifted[:-1], out=shifted[1:])  # NumPy copies what overlaps
    np.testing.assert_allclose(shifted[1:], expected[0], rtol=1e-14)


def test_a_ufunc_like_others() -> None:
    u = BELL.ready().ufunc
    assert isinstance(u, np.ufunc) and (u.nin, u.nout, u.types) == (1, 1, ["f->f", "d->d"])
    assert u.__name__ == "bell" and "e^(-x^2)" in u.__doc__
    assert u is BELL.ready().ufunc
    assert u(np.arange(3)).dtype == np.float64  # NumPy's casting
    with pytest.raises(TypeError):
        u(np.zeros(2, complex))
    with pytest.raises(ValueError):
        BENT.ready()(np.zeros(3), np.zeros(4))
    gc.collect()
    assert u(0.0) == 1


def test_is_compiled_when_it_is_looked_up() -> None:
    later = Ufunc(bell, "dd")
    register(op="a bell", name="cpu", dtypes=("float64",))(later)
    try:
        assert later._function is None
        found = lookup("a bell", "cpu", np.dtype("float64"))
        assert isinstance(found.ufunc, np.ufunc) and found(np.zeros(())) == 1
        assert lookup("a bell", "cpu", np.float64, (np.zeros(1),)) is found
        with pytest.raises(KernelError, match="float32"):
            lookup("a bell", "cpu", np.float32)
    finally:
        unregister("a bell", "cpu")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_lines_are_shared_among_threads_with_the_same_bits(dtype: str) -> None:
    x = data(3, 7 * 8, LONG // 100, dtype=dtype)
    x[0, 0, :3] = np.nan, np.inf, -np.inf
    slope = np.asarray(0.25, x.dtype)
    calls = {
        "a number": lambda x: BENT.ready()(x, slope),
        "a number of Python's": lambda x: BENT.ready()(x, 0.25),
        "two arrays": lambda x: BENT.ready()(x, x + 1),
        "one array": lambda x: BELL.ready()(x),
        "gaps": lambda x: BENT.ready()(x[:, :, ::2], slope),
        "a row": lambda x: BENT.ready()(x, x[0, 0]),
        "another dtype": lambda x: BENT.ready()(x, np.float64(0.25)),
    }
    assert x.size > LONG
    for what, call in calls.items():
        with num_threads(1):
            alone = call(x)
        with num_threads(max_threads()):
            together = call(x)
        assert together.dtype == alone.dtype and together.flags.c_contiguous == alone.flags.c_contiguous, what
        np.testing.assert_array_equal(together, alone, err_msg=what)
