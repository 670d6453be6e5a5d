"""A linear layer and its gradients.

``linear(x, w, b) -> y``
    y = x w^T + b: x[..., I], w[O, I], b[O] or None -> y[..., O].
``linear_backward(needs, g, x, w) -> dx, dw, db``
    From g[..., O]: dx = g w, dw = g^T x summed over all rows, db = the sum of all rows; None for what ``needs``, three
    truth values, does not ask for. Only dx reads w, which may be None without it, and only dw reads x, which may be
    None without both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]

#: Relative to the largest value: sums of up to some hundred products.
TOLERANCE = {"float32": 4e-6, "float64": 8e-15}


@register(op="linear", name="numpy")
def linear(x: Array, w: Array, b: Array | None) -> Array:
    """A product and a sum; see the head of the file."""
    y: Array = np.matmul(x, w.T)
    return y if b is None else y + b


@register(op="linear_backward", name="numpy")
def linear_backward(
    needs: tuple[bool, bool, bool], g: Array, x: Array | None, w: Array | None
) -> tuple[Array | None, Array | None, Array | None]:
    """A product, a product of all rows, a sum of all rows; see the head of the file."""
    rows = g.reshape(math.prod(g.shape[:-1]), g.shape[-1])
    return (
        np.matmul(g, w) if needs[0] and w is not None else None,
        np.matmul(rows.T, x.reshape(len(rows), x.shape[-1])) if needs[1] and x is not None else None,
        np.add.reduce(rows, axis=0) if needs[2] else None,
    )


#: Rows, inputs, outputs: the layers of a small network, whole tiles, odd sizes, one, none.
SIZES = ((64, 64, 64), (64, 2, 64), (64, 64, 1), (5, 7, 3), (1, 1, 1), (33, 17, 70), (8, 300, 9), (0, 3, 4), (3, 0, 4))


def _arguments(dtype: Any, rows: int, inputs: int, outputs: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(15)
    shapes = (rows, inputs), (outputs, inputs), (outputs,)
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, w, b


def _samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for sizes in SIZES:
        x, w, b = _arguments(dtype, *sizes)
        yield x, w, b
        yield x, w, None
    x, w, b = _arguments(dtype, 12, 10, 8)
    yield x.reshape(2, 3, 2, 10), w, b
    yield x[0], w, b
    yield np.asfortranarray(x), w, b
    yield x, w[:, ::-1], b[::-1]


def _gradient_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for rows, inputs, outputs in SIZES:
        x, w, _ = _arguments(dtype, rows, inputs, outputs)
        g = np.random.default_rng(16).standard_normal((rows, outputs)).astype(dtype)
        yield (True, True, True), g, x, w
    yield (False, True, True), g, x, None
    yield (True, False, True), g, x, w
    yield (False, False, True), g, None, None
    x, w, _ = _arguments(dtype, 12, 10, 8)
    g = np.random.default_rng(17).standard_normal((12, 8)).astype(dtype)
    yield (True, True, False), g.reshape(4, 3, 8), x.reshape(4, 3, 10), w
    yield (True, True, True), np.asfortranarray(g), x[::-1], w[:, ::-1]
    yield (True, True, True), np.broadcast_to(g[:1], g.shape), x, w


def _case(*sizes: int) -> Any:
    return lambda dtype: _arguments(dtype, *sizes)


def _gradient_case(rows: int, inputs: int, outputs: int) -> Any:
    def case(dtype: Any) -> tuple[Any, ...]:
        x, w, _ = _arguments(dtype, rows, inputs, outputs)
        return (True, True, True), np.ones((rows, outputs), dtype), x, w

    return case


CASES = {f"{r}x{i}, {o}": (r, i, o) for r, i, o in ((64, 2, 64), (32, 128, 32), (64, 64, 64), (512, 32, 32))}

describe(
    Card(
        op="linear", says="x w^T + b", samples=_samples, tolerance=TOLERANCE,
        flops=lambda x, w, b: 2 * x.size * len(w),
        bytes=lambda x, w, b: x.nbytes + w.nbytes + x.nbytes // max(w.shape[1], 1) * len(w),
        cases={name: _case(*sizes) for name, sizes in CASES.items()},
        rivals={"torch": rivals.function("nn.functional.linear")},
        serves="tinydl.nn.functional.linear",
        gradient=lambda rng: (
            (rng.standard_normal((6, 5)), rng.standard_normal((9, 5)), rng.standard_normal(9)), {}
        ),
    )
)  # fmt: skip
describe(
    Card(
        op="linear_backward", says="the gradients of x w^T + b", samples=_gradient_samples, tolerance=TOLERANCE,
        flops=lambda needs, g, x, w: 4 * g.size * w.shape[1],
        bytes=lambda needs, g, x, w: 2 * (x.nbytes + w.nbytes) + g.nbytes,
        cases={name: _gradient_case(*sizes) for name, sizes in CASES.items()},
        rivals={"torch": rivals.linear_backward},
    )
)  # fmt: skip
