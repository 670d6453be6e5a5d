"""Which kernel makes a product or pads rows: those of the pool for what is large, BLAS and NumPy for all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.ops import padding, products


def shapes_for_the_pool(monkeypatch: pytest.MonkeyPatch, a: Any, b: Any, large: int) -> list[Any]:
    """The shapes that the kernels' product is called with; the result is right in any case."""
    seen: list[Any] = []

    def kernel(x: Any, y: Any) -> Any:
        assert y is b
        seen.append((x.shape, y.shape))
        return np.matmul(x, y)

    assert (products._MATMUL.op, products._MATMUL.device) == ("matmul", "cpu")
    monkeypatch.setattr(products, "_LARGE", large)
    monkeypatch.setattr(products, "_MATMUL", {a.dtype: kernel})
    np.testing.assert_allclose(products.product(a, b), np.matmul(a, b), rtol=1e-12)
    return seen


def made(*shape: int, dtype: Any = np.float64) -> Any:
    return (np.arange(np.prod(shape)).reshape(shape) % 7).astype(dtype)


@pytest.mark.parametrize(
    ("a", "b", "large", "expected"),
    [
        (made(4, 5), made(5, 3), 59, [((4, 5), (5, 3))]),  # 60 multiply-adds
        (made(4, 5), made(5, 3), 60, []),
        (made(4, 5), made(5, 3), 300, []),
        (made(2, 2, 5), made(5, 3), 59, [((4, 5), (5, 3))]),  # a batch is one matrix of all its rows
        (made(2, 2, 5), made(5, 3), 60, []),
        (made(1, 5), made(5, 3), 0, []),  # a vector
        (made(4, 5), made(5, 1), 0, []),
        (made(5), made(5, 3), 0, []),
        (made(4, 5), made(5), 0, []),
        (made(2, 4, 5), made(2, 5, 3), 0, []),
        (made(4, 5, dtype=np.int64), made(5, 3, dtype=np.int64), 0, []),
        (made(4, 5, dtype=np.float32), made(5, 3), 0, []),
    ],
    ids=str,
)
def test_which_products_go_to_the_pool(
    monkeypatch: pytest.MonkeyPatch, a: Any, b: Any, large: int, expected: list[Any]
) -> None:
    assert shapes_for_the_pool(monkeypatch, a, b, large) == expected


def test_what_does_not_fit_is_refused_in_any_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for large in (0, 10**9):
        monkeypatch.setattr(products, "_LARGE", large)
        with pytest.raises(ValueError, match="mismatch|not aligned"):
            products.product(made(4, 5), made(4, 3))


@pytest.mark.parametrize("pads", [(3, 0), (0, 2), (-1, 4), (-2, -2), (0, 0), (7, -9)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_rows_are_padded_as_small_ones(pads: tuple[int, int], dtype: str, monkeypatch: Any) -> None:
    rng = np.random.default_rng(0)
    x = tinydl.tensor(rng.standard_normal((2, 3, 9)).astype(dtype).swapaxes(0, 1), requires_grad=True)
    g = tinydl.tensor(rng.standard_normal((3, 2, 9 + sum(pads))).astype(dtype))
    found = []
    for large in (1 << 30, 0):
        monkeypatch.setattr(padding, "_LARGE", large)
        y = tinydl.nn.functional.pad(x, pads, value=-1.5)
        found.append((y.detach().numpy(), tinydl.autograd.grad(y, x, g)[0].numpy()))
    for small, other in zip(*found):
        np.testing.assert_array_equal(small, other)
