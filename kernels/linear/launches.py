"""How the CUDA kernel of a linear layer is launched: the product of the matmul ladder's async rung with an epilogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare, forwards, memory

#: What may follow the bias; every name but ``""`` stands in an entry's.
ACTIVATIONS = ("", "relu", "sigmoid", "tanh")


def planned(activation: str = "") -> Callable[..., tuple[list[Call], tuple[Any, ...]]]:
    """The plan of a layer and the activation behind it."""
    name = f"linear_{activation}" if activation else "linear"

    def plan(empty: Empty, x: Any, w: Any, b: Any) -> tuple[list[Call], tuple[Any, ...]]:
        rows, (outputs, inputs) = x.reshape(x.size // max(x.shape[-1], 1) if x.size else 0, x.shape[-1]), w.shape
        y = empty((*x.shape[:-1], outputs), x.dtype)
        count, tile = y.size // max(outputs, 1), 128 if x.itemsize == 4 else 64
        steps = [s // x.itemsize for s in (*rows.strides, *w.strides, *(() if b is None else b.strides))]
        bias = (0, 0) if b is None else (memory(b), steps[4])
        args = (memory(rows), *steps[:2], memory(w), *steps[2:4], *bias, y, count, outputs, inputs)
        blocks = -(-count // tile) * -(-outputs // tile)
        return [Call(f"{name}_{x.dtype.name}", (blocks,), (256,), args)] if blocks else [], (y,)

    return plan


def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    """A layer without inputs, with one, without bias, of more dimensions, turned, with gaps; whole tiles, several."""
    rng = np.random.default_rng(3)

    def layer(rows: int, inputs: int, outputs: int) -> tuple[Array, Array, Array]:
        shapes = (rows, inputs), (outputs, inputs), (outputs,)
        x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        return x, w, b

    for sizes in ((0, 3, 4), (3, 0, 4), (1, 1, 1), (5, 7, 3), (33, 20, 64)):
        yield layer(*sizes)
    x, w, b = layer(12, 10, 8)
    yield x.reshape(2, 3, 2, 10), w, None
    yield x[0], w, b
    yield np.asfortranarray(x), w, b
    yield x[:, ::2], w[:, ::2], np.repeat(b, 2)[::2]
    yield layer(256, 3, 256)
    yield layer(130, 37, 131)


LINEAR = declare(
    CudaKernel(
        "linear", "cuda.async", Path(__file__).parent / "cuda" / "1_linear.cu", ("float32", "float64"), planned(),
        samples, lambda x, w, b: forwards(x, w, *(() if b is None else (b,))), "80", "cp.async",
    )
)  # fmt: skip
