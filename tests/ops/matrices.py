"""Samples of inverses, determinants and factorisations: well conditioned, singular values and eigenvalues apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.ops.table import Array, Sample, draw, entry


def regular(rng: np.random.Generator, *shape: int) -> Array:
    """Square matrices far from singular ones."""
    return draw(rng, *shape) + 3 * np.eye(shape[-1])


def spread(rng: np.random.Generator, *shape: int) -> Array:
    """Matrices whose singular values are 1, 2, 3, ... and so apart from each other."""
    U, _, Vh = np.linalg.svd(draw(rng, *shape), full_matrices=False)
    return (U * np.arange(1.0, min(shape[-2:]) + 1)[::-1]) @ Vh


def definite(rng: np.random.Generator, *shape: int) -> Array:
    """Symmetric positive definite matrices."""
    x = draw(rng, *shape)
    return x @ x.swapaxes(-1, -2) + np.eye(shape[-1])


@entry("inverse_of", "determinant", "cofactor", "sign_log_determinant")
def _square(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1, 1), (3, 3), (2, 2, 2), (0, 2, 2)):
        yield Sample((regular(rng, *shape),), note=str(shape))
    yield Sample((regular(rng, 3, 3).T[::-1],), note="non-contiguous")


@entry("solved")
def _solved(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((regular(rng, 3, 3), draw(rng, 3, 2)))
    yield Sample((regular(rng, 2, 1, 2, 2), draw(rng, 3, 2, 1)), note="broadcast batches")
    yield Sample((regular(rng, 2, 2).T, draw(rng, 3, 2).T), note="transposed")
    yield Sample((regular(rng, 2, 2), draw(rng, 2, 0)), note="size 0")
    yield Sample((x := regular(rng, 2, 2), x), alias=(0, 1), note="one tensor twice")


@entry("solved_triangle")
def _solved_triangle(rng: np.random.Generator) -> Iterator[Sample]:
    for upper in (False, True):
        for unit in (False, True):
            static = {"upper": upper, "unit": unit}
            yield Sample((regular(rng, 3, 3), draw(rng, 3, 2)), static, note=f"upper {upper}, unit {unit}")
            yield Sample((regular(rng, 3, 3), draw(rng, 2, 3)), {**static, "left": False}, note=f"{static}, right")
    static = {"upper": False, "unit": False}
    yield Sample((regular(rng, 2, 1, 2, 2), draw(rng, 3, 2, 1)), static, note="broadcast batches")
    yield Sample((regular(rng, 2, 2), draw(rng, 2, 0)), static, note="size 0")


@entry("cholesky_of")
def _cholesky(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1, 1), (3, 3), (2, 2, 2), (0, 2, 2)):
        yield Sample((definite(rng, *shape),), {"symmetric": False}, note=str(shape))


@entry("eigh_of")
def _eigh(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1, 1), (3, 3), (2, 2, 2)):
        Q, _ = np.linalg.qr(draw(rng, *shape))
        A = (Q * np.arange(1.0, shape[-1] + 1)) @ Q.swapaxes(-1, -2)
        yield Sample((A,), {"symmetric": False}, note=str(shape))


@entry("gaps")
def _gaps(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((np.array([1.0, 2.5, 4.0]),))
    yield Sample((np.array([[1.0, 2.0], [0.5, -1.0]]),), note="a batch")
    yield Sample((draw(rng, 1),), note="one")


@entry("qr_of")
def _qr(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1, 1), (3, 3), (4, 2), (2, 3, 2)):
        yield Sample((spread(rng, *shape),), note=str(shape))


@entry("svd_of")
def _svd(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1, 1), (3, 3), (4, 2), (2, 3), (2, 3, 2)):
        yield Sample((spread(rng, *shape),), note=str(shape))


@entry("pinv_of")
def _pinv(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1, 1), (3, 3), (4, 2), (2, 3), (2, 3, 2)):
        yield Sample((spread(rng, *shape),), {"atol": 1e-6, "rtol": None}, note=str(shape))


@entry("matrix_vector")
def _matrix_vector(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3), draw(rng, 3)))
    yield Sample((draw(rng, 3, 2).T, draw(rng, 6)[::2]), note="with gaps")
    yield Sample((draw(rng, 1, 1), draw(rng, 1)))
    yield Sample((draw(rng, 3, 3)[::-1], draw(rng, 3)[::-1]), note="backwards")
    yield Sample((draw(rng, 2, 0), draw(rng, 0)), note="no terms")
    yield Sample((draw(rng, 0, 2), draw(rng, 2)), note="no rows")
    yield Sample((draw(rng, 2, 3, 4), draw(rng, 4)), note="a batch")


@entry("outer")
def _outer(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3), draw(rng, 2)))
    yield Sample((draw(rng, 6)[::2], draw(rng, 3)[::-1]), note="with gaps, backwards")
    yield Sample((x := draw(rng, 3), x), alias=(0, 1), note="one vector twice")
    yield Sample((draw(rng, 0), draw(rng, 2)), note="size 0")


@entry("differences")
def _differences(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 2), draw(rng, 4, 2)))
    yield Sample((draw(rng, 2, 1, 3, 2), draw(rng, 3, 1, 2)[::-1]), note="broadcast batches")
    yield Sample((draw(rng, 0, 2), draw(rng, 4, 2)), note="size 0")


@entry("extreme_sums")
def _extreme_sums(rng: np.random.Generator) -> Iterator[Sample]:
    for over, then, largest, keepdim in ((0, 1, True, False), (1, 0, False, False), (1, 0, True, True)):
        static = {"over": over, "then": then, "largest": largest, "keepdim": keepdim}
        yield Sample((draw(rng, 3, 4, away=(0.0,)),), static, note=str(static))
    static = {"over": 2, "then": 0, "largest": True, "keepdim": False}
    yield Sample((draw(rng, 4, 3, 2, away=(0.0,)).T,), static, note="a batch, non-contiguous")


@entry("inner_product")
def _inner_product(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3), draw(rng, 3)))
    yield Sample((draw(rng, 6)[::2], draw(rng, 3)[::-1]), note="with gaps, backwards")
    yield Sample((x := draw(rng, 3), x), alias=(0, 1), note="one vector twice")
    yield Sample((draw(rng, 0), draw(rng, 0)), note="no terms")
