"""The card of the restricted Boltzmann machine: block Gibbs sampling of binary units.

Papers
    Smolensky, "Information processing in dynamical systems", 1986 (the harmonium).
    Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation 14 (2002).
    Boulanger-Lewandowski, Bengio, Vincent, ICML 2012, arXiv:1206.6392: biases of its own for every frame.

Of visible units v in {0,1}^D and hidden units h in {0,1}^H, with weights W [H, D] (laid out as ``nn.Linear``'s) and
biases b [D] and c [H]::

    E(v, h) = -b.v - c.h - h.W v        p(v, h) = e^-E(v, h) / Z

Given one layer, the units of the other are independent, so a step draws them all at once::

    p(h_j = 1 | v) = sigmoid(c_j + sum_i W_ji v_i)
    p(v_i = 1 | h) = sigmoid(b_i + sum_j W_ji h_j)

``gibbs(v, weight, b, c, key, counter, steps) -> (v, mean, h)``
    ``steps`` (1 at least) times h given v, then v given h, for N chains at once. ``v`` [N, D] may hold any numbers to
    begin with (CD-k starts from data, mean fields from probabilities); ``b`` [N, D] and ``c`` [N, H]. The result is the
    last v and h, of zeros and ones, and ``mean`` [N, D], the probabilities that the last v was drawn with.

**Random bits** are Philox4x32-10's (:mod:`tinydl.kernels.random.spec`). Unit j of chain n is drawn with word j % 4 of
block ``first + n ceil(U / 4) + j // 4``, where U is the number of units of its layer, as the number
u = (word >> 8) 2^-24 in either dtype, and is 1 if u is less than its probability. ``first`` is ``counter`` for the
first step's hidden layer, and moves past the blocks of a layer once it is drawn: :func:`blocks` in all.

A kernel that rounds a probability otherwise than the reference may find u on its other side, once in 10^7 units, and
from there on its chain is another. So samples of the card are small, and chains short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.card import Card, describe
from tinydl.kernels.nade.spec import sigmoid
from tinydl.kernels.random.spec import philox4x32
from tinydl.kernels.registry import KernelError, register

Array = NDArray[Any]

#: Of the probabilities; zeros and ones are exact.
TOLERANCE = {"float32": 4e-6, "float64": 1e-13}


def blocks(chains: int, visible: int, hidden: int, steps: int) -> int:
    """How many blocks of the random generator are used up."""
    return steps * chains * (-(-visible // 4) - (-hidden // 4))


def check(variant: str, v: Array, weight: Array, b: Array, c: Array, steps: int) -> None:
    """Raise KernelError unless shapes and dtypes are those of the card."""
    (N, D), H = v.shape, len(weight)
    for name, array, shape in (("weight", weight, (H, D)), ("b", b, (N, D)), ("c", c, (N, H))):
        if array.shape != shape:
            raise KernelError(
                f"gibbs ({variant}): {name} must have shape {shape} beside v {v.shape}, got {array.shape}",
                op="gibbs", variant=variant, argument=name,
            )  # fmt: skip
        if array.dtype != v.dtype:
            raise KernelError(
                f"gibbs ({variant}): {name} must be {v.dtype.name} as v is, got {array.dtype.name}",
                op="gibbs", variant=variant, argument=name,
            )  # fmt: skip
    if steps < 1:
        raise KernelError(f"gibbs ({variant}): steps must be 1 or more, got {steps}", op="gibbs", variant=variant,
                          argument="steps")  # fmt: skip


def uniforms(key: int, first: int, chains: int, units: int) -> NDArray[np.float64]:
    """The number that each unit of a layer is drawn with, [chains, units]; see the head of the file."""
    wide = -(-units // 4)
    numbers = np.uint64(first % 2**64) + np.arange(chains * wide, dtype=np.uint64)
    words = philox4x32(numbers, key).reshape(chains, 4 * wide)[:, :units]
    return (words >> np.uint32(8)).astype(np.float64) * 2.0**-24


@register(op="gibbs", name="numpy")
def gibbs(
    v: Array, weight: Array, b: Array, c: Array, key: int, counter: int, steps: int
) -> tuple[Array, Array, Array]:
    """The chains after ``steps`` steps; see the head of the file."""
    check("numpy", v, weight, b, c, steps)
    (N, D), H, dtype = v.shape, len(weight), v.dtype
    mean, h = v, c
    for _ in range(steps):
        h = (uniforms(key, counter, N, H) < sigmoid(c + v @ weight.T)).astype(dtype)
        counter += blocks(N, 0, H, 1)
        mean = sigmoid(b + h @ weight)
        v = (uniforms(key, counter, N, D) < mean).astype(dtype)
        counter += blocks(N, D, 0, 1)
    return v, mean, h


def flops(v: Array, weight: Array, b: Array, c: Array, key: int, counter: int, steps: int) -> int:
    """The products as if no unit were 0, and about 40 operations for each unit drawn, random bits included."""
    N, (H, D) = len(v), weight.shape
    return int(steps * (4 * N * H * D + 40 * N * (H + D)))


def bytes(v: Array, weight: Array, b: Array, c: Array, key: int, counter: int, steps: int) -> int:
    """Every argument read once, every result written once."""
    return int(3 * v.nbytes + weight.nbytes + b.nbytes + 2 * c.nbytes)


def _arguments(dtype: Any, N: int, D: int, H: int, density: float, seed: int = 0) -> tuple[Array, ...]:
    rng = np.random.default_rng(seed)
    v = (rng.random((N, D)) < density).astype(dtype)
    weight = (rng.standard_normal((H, D)) / np.sqrt(max(D, 1))).astype(dtype)
    b, c = (rng.standard_normal((N, units)).astype(dtype) - dtype(0.5) for units in (D, H))
    return v, weight, b, c


def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    """No chain, no unit, one; sizes off every vector and block; real numbers to begin with; saturated; views."""
    last = 2**64 - 3
    for N, D, H, density, key, counter, steps in (
        (0, 3, 4, 0.5, 1, 0, 1), (3, 0, 5, 0.5, 1, 0, 2), (3, 5, 0, 0.5, 1, 0, 1), (1, 1, 1, 0.5, 1, 0, 3),
        (2, 3, 5, 1.0, 2, last, 1), (5, 33, 18, 0.3, 2**64 - 1, 7, 2), (9, 88, 61, 0.05, 3, 2**32 - 5, 2),
        (4, 16, 64, 0.0, 4, 0, 1),
    ):  # fmt: skip
        yield *_arguments(dtype, N, D, H, density), key, counter, steps
    v, weight, b, c = _arguments(dtype, 6, 13, 7, 0.5)
    rng = np.random.default_rng(1)
    yield rng.random((6, 13)).astype(dtype), weight, b, c, 5, 0, 1
    yield v[::-1], np.asfortranarray(weight), 20 * b, np.repeat(c, 2, 1)[:, ::2], 6, 0, 2
    one = np.broadcast_to(b[:1], b.shape), np.broadcast_to(c[:1], c.shape)
    yield v, weight, *one, 7, 11, 1


def _case(N: int, D: int, H: int, density: float, steps: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        return (*_arguments(dtype, N, D, H, density), 1, 0, steps)

    return case


describe(
    Card(
        op="gibbs",
        says="h ~ sigmoid(c + W v), v ~ sigmoid(b + W^T h), in turns",
        samples=samples,
        tolerance=TOLERANCE,
        flops=flops,
        bytes=bytes,
        cases={
            "1 chain, 88-150, 25 steps": _case(1, 88, 150, 0.05, 25),
            "100 chains, 88-150, 1 step": _case(100, 88, 150, 0.05, 1),
            "100 chains, 784-500, 1 step": _case(100, 784, 500, 0.15, 1),
        },
    )
)
