"""The card of the matrix product: C[m, n] = sum over k of A[m, k] B[k, n].

``matmul(a [M, K], b [K, N]) -> [M, N]``, both of one dtype, with any strides. The reference, ``numpy``, is the sum as
it is written; ``blas`` is NumPy's own product, beside which the ladder of :mod:`tinydl.kernels.matmul.cpu` stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import KernelError, register
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

FLOATS = ("float32", "float64")

#: Relative to the largest entry of the product: sums of up to some thousand products.
TOLERANCE = {"float32": 4e-6, "float64": 8e-15}

#: M, K, N: multiples of a tile, odd, prime, one, skinny, several blocks of each size, zero.
SIZES = (
    (48, 64, 128), (1, 1, 1), (7, 5, 3), (131, 67, 97), (6, 300, 65), (32, 1024, 256), (257, 259, 31), (500, 1, 70),
    (1, 700, 513),
    (0, 3, 4), (3, 0, 4), (3, 4, 0),
)  # fmt: skip


def flops(a: Array, b: Array) -> int:
    """Multiplications and additions of the product."""
    return int(2 * a.shape[0] * a.shape[1] * b.shape[1])


def bytes(a: Array, b: Array) -> int:
    """Each matrix once."""
    return int(a.nbytes + b.nbytes + a.shape[0] * b.shape[1] * a.itemsize)


def samples(dtype: Any, seed: int = 0) -> Iterator[tuple[Array, Array]]:
    """Arguments over ``SIZES``: contiguous, transposed, with gaps, running backwards."""
    rng = np.random.default_rng(seed)
    for number, (M, K, N) in enumerate(SIZES):
        a, b = rng.normal(size=(M, K)).astype(dtype), rng.normal(size=(K, N)).astype(dtype)
        if number % 4 == 1:
            a = np.asfortranarray(a)
        if number % 4 == 2:
            b = np.asfortranarray(b)
        if number % 4 == 3:
            a, b = np.repeat(a, 2, axis=1)[:, ::2], b[::-1]
        yield a, b


def check(variant: str, a: Array, b: Array) -> None:
    """Raise KernelError unless a [M, K] and b [K, N] are matrices that fit, of one dtype."""
    for name, array in (("a", a), ("b", b)):
        if array.ndim != 2:
            raise KernelError(
                f"matmul ({variant}): {name} must have 2 dimensions, got shape {array.shape}",
                op="matmul", variant=variant, argument=name,
            )  # fmt: skip
    if a.shape[1] != b.shape[0]:
        raise KernelError(
            f"matmul ({variant}): shapes {a.shape} and {b.shape} cannot be multiplied; a's columns must be b's rows",
            op="matmul", variant=variant, argument="b",
        )  # fmt: skip
    if a.dtype != b.dtype:
        raise KernelError(
            f"matmul ({variant}): a is {a.dtype.name} and b {b.dtype.name}; convert one of them",
            op="matmul", variant=variant, argument="b",
        )  # fmt: skip


def prepared(variant: str, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Checked arguments in the one memory layout that the simple rungs are compiled for, and C, which is zero."""
    check(variant, a, b)
    return plain(a), plain(b), np.zeros((a.shape[0], b.shape[1]), a.dtype)


@register(op="matmul", name="numpy")
def matmul(a: Array, b: Array) -> Array:
    """The sum over k of A[m, k] B[k, n] by NumPy, without BLAS: a [M, K], b [K, N] -> [M, N]."""
    check("numpy", a, b)
    product: Array = np.einsum("mk,kn->mn", a, b)
    return product


@register(op="matmul", name="blas")
def blas(a: Array, b: Array) -> Array:
    """``a @ b`` by NumPy's BLAS: a [M, K], b [K, N] -> [M, N]; stacks of matrices too, as np.matmul takes them."""
    product: Array = np.matmul(a, b)
    return product


def _case(M: int, K: int, N: int) -> Callable[[Any], tuple[Array, Array]]:
    def case(dtype: Any) -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        return rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((K, N)).astype(dtype)

    return case


describe(
    Card(
        op="matmul",
        says="C[m, n] = sum over k of A[m, k] B[k, n]",
        samples=samples,
        tolerance=TOLERANCE,
        flops=flops,
        bytes=bytes,
        cases={
            **{f"{n}^3": _case(n, n, n) for n in (64, 128, 256, 512, 1024, 2048)},
            "32x1024x256": _case(32, 1024, 256),
        },
        rivals={"torch": rivals.function("mm")},
        serves="tinydl.ops.products.mm",
        gradient=lambda rng: ((rng.standard_normal((70, 66)), rng.standard_normal((66, 70))), {}),
    )
)
