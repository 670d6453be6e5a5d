"""The stand-in is as strict as CuPy, and has no names but CuPy's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinydl.kernels.arrays import ArrayModule
from tinydl.lab import standin
from tinydl.lab.standin import xp


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x, n: x + n, lambda x, n: n + x, lambda x, n: x @ n, lambda x, n: xp.add(x, n),
        lambda x, n: np.add(n, x),
        lambda x, n: xp.where(x > 0, x, n), lambda x, n: xp.concatenate([x, n]), lambda x, n: x.dot(n),
        lambda x, n: x.__setitem__(0, n[0:1]), lambda x, n: xp.add(x, x, out=n), lambda x, n: n.__iadd__(x),
        lambda x, n: np.asarray(x), lambda x, n: np.array(x), lambda x, n: x + [1.0, 2.0], lambda x, n: 1.0 in x,
    ],
)  # fmt: skip
def test_nothing_of_the_host_is_taken(mixed: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(TypeError):
        mixed(xp.ones(2), np.ones(2))


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda x: xp.busday_count, AttributeError), (lambda x: x.setfield, AttributeError),
        (lambda x: x.setflags, AttributeError), (lambda x: x.flags.writeable, AttributeError),
        (lambda x: xp.sum(x, where=x > 0), TypeError), (lambda x: xp.max(x, initial=0.0), TypeError),
        (lambda x: xp.add(x, x, where=x > 0), TypeError), (lambda x: x.sum(initial=1.0), TypeError),
        (lambda x: xp.maximum.reduce(x), NotImplementedError),
        (lambda x: xp.multiply.at(x, [0], 2.0), NotImplementedError),
        (lambda x: x.item(0), TypeError), (lambda x: hash(x), TypeError),
    ],
)  # fmt: skip
def test_what_cupy_lacks_is_lacking(use: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        use(xp.ones(2))


def test_its_habits_are_cupys() -> None:
    x = xp.array([3.0, 1.0, 2.0])
    assert all(type(y) is xp.ndarray and y.shape == () for y in (x.sum(), xp.max(x), x[0], xp.allclose(x, x)))
    assert x[xp.array([4])].get().tolist() == [1.0]  # beyond the end: it wraps around
    x[xp.array([0, 0])] = xp.array([5.0, 6.0])
    assert x.get().tolist()[0] == 5.0  # NumPy leaves the last
    assert np.isnan(xp.empty(3).get()).all() and (xp.empty(3, np.int64).get() == -1).all()
    wide = xp.broadcast_to(xp.zeros(1), (3,))
    wide[1] = 7.0
    assert wide.get().tolist() == [7.0] * 3
    assert np.isnan(xp.linalg.inv(xp.zeros((2, 2))).get()).all()
    with standin.raising(), pytest.raises(np.linalg.LinAlgError):
        xp.linalg.inv(xp.zeros((2, 2)))
    before = standin.count.waits
    assert float(x[1]) == 1.0 and bool(x[1] > 0) and x.tolist()
    assert standin.count.waits == before + 3


def test_what_numpy_has_and_cupy_lacks_is_written_in_what_it_has() -> None:
    module, rng = ArrayModule(xp), np.random.default_rng(2)
    a, at = rng.standard_normal((7, 5)), np.array([2, 0, 2, 6, 2])
    x = xp.array(a)
    for name in ("maximum", "minimum", "fmax", "fmin", "logaddexp", "logical_or", "logical_and"):
        ours, numpys = getattr(module, name), getattr(np, name)
        for axis in (0, 1):
            for found, wanted in (
                (ours.reduce(x, axis), numpys.reduce(a, axis)),
                (ours.reduce(x, axis, keepdims=True), numpys.reduce(a, axis, keepdims=True)),
                (ours.accumulate(x, axis), numpys.accumulate(a, axis)),
            ):
                np.testing.assert_allclose(found.get(), wanted, rtol=1e-14, atol=1e-14)
    for name in ("maximum", "minimum"):
        begins = np.array([0, 3, 4])
        found = getattr(module, name).reduceat(x, xp.array(begins))
        np.testing.assert_array_equal(found.get(), getattr(np, name).reduceat(a, begins))
        wanted = getattr(np, name).reduce(a, (0, 1), initial=0.5)
        assert float(getattr(module, name).reduce(x, (0, 1), initial=0.5)) == wanted
        assert getattr(module, name).reduce(xp.ones((0, 3)), 0, initial=2.0).get().tolist() == [2.0] * 3
    y, b = xp.array(a), a.copy()
    module.multiply.at(y, xp.array(at), xp.array(a[:5]))
    np.multiply.at(b, at, a[:5])
    np.testing.assert_allclose(y.get(), b, rtol=1e-14)
    with pytest.raises(AttributeError, match="no 'busday_count' for arrays on a GPU: CuPy has none"):
        module.busday_count  # noqa: B018
    with pytest.raises(AttributeError, match="no numpy.linalg.multi_dot for arrays on a GPU"):
        module.linalg.multi_dot  # noqa: B018
    with pytest.raises(NotImplementedError, match="number by number"):
        module.vectorize(abs)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="compares with CuPy, which is not installed")
def test_its_names_are_cupys() -> None:
    import cupy

    for name in vars(xp):
        if not name.startswith("_") and name not in ("lib", "cuda"):
            assert hasattr(cupy, name), name
    for name in vars(standin.ndarray):
        if not name.startswith("_"):
            assert hasattr(cupy.ndarray, name), name
    for owner in ("Stream", "Event"):
        for name in vars(getattr(xp.cuda, owner)):
            if not name.startswith("_") and name not in ("ptr", "at", "timed"):
                assert hasattr(getattr(cupy.cuda, owner), name), name
    assert all(hasattr(cupy.cuda, name) for name in vars(xp.cuda))
    assert all(hasattr(cupy.cuda.runtime, name) for name in vars(xp.cuda.runtime))
