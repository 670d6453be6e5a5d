"""Matrix products. The family is closed: the gradient of a product is a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.reducing import reduce_sum, sum_rows
from tinydl.ops.shaping import expand_to, reshape_to

# Multiply-adds from which OpenBLAS would wake its own threads beside the kernels' pool (tinydl.kernels.matmul says why
# that is slow). Below, BLAS runs on one thread and wins by its small overhead.
_LARGE = 4 * 65536


def product(a: Any, b: Any) -> Any:
    """``a @ b`` of arrays: large products with a matrix on the kernels' thread pool, all others on BLAS."""
    if a.size * b.size <= _LARGE:  # the usual case, told by one multiplication
        return np.matmul(a, b)
    if b.ndim == 2 and a.ndim > 1 and a.size * b.shape[1] > _LARGE and a.shape[-1] == b.shape[0] and a.dtype == b.dtype:
        if a.ndim > 2:
            return product(rows(a), b).reshape(*a.shape[:-1], b.shape[1])
        from tinydl.kernels import lookup

        if a.dtype.kind == "f" and type(a) is np.ndarray:
            return lookup("matmul", "cpu", a.dtype, (a, b))(a, b)
    return np.matmul(a, b)


@primitive(view=True, input=lambda g: swap_last(g))
def swap_last(input: Any) -> Any:
    """The last two dimensions exchanged: the transpose of each matrix."""
    return input.swapaxes(-1, -2)


@primitive(
    input=lambda g, other: mm(g, swap_last(other)),
    other=lambda g, input: mm(swap_last(input), g),
)
def mm(input: Any, other: Any) -> Any:
    """[..., M, K] @ [..., K, N] -> [..., M, N]; leading dimensions broadcast."""
    return product(input, other)


@primitive(
    input=lambda g, weight: mm(g, weight) if len(g.shape) > 1 else fold(mm(unfold(g), weight)),
    weight=lambda g, input: linear_weight(g, input),
    bias=lambda g: column_sums(g),
)
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """y = x W^T + b: input[..., I], weight[O, I], bias[O] or None -> [..., O]."""
    try:
        y = product(input, weight.T)
    except ValueError:
        _refuse("linear", input, weight.T)
        raise
    if y.dtype != input.dtype or weight.dtype != input.dtype:
        raise RuntimeError(
            f"linear: mat1 and mat2 must have the same dtype, but got {input.dtype} and {weight.dtype}; "
            "convert one with .to()"
        )
    if bias is not None:
        if bias.dtype != y.dtype or bias.shape != y.shape[-1:]:
            raise RuntimeError(
                f"linear: the bias has shape {tuple(bias.shape)} and dtype {bias.dtype}, expected "
                f"{tuple(y.shape[-1:])} and {y.dtype}"
            )
        y += bias
    return y


@primitive(
    input=lambda g, other: linear(other, g),
    other=lambda g, input: mm(input, g) if len(input.shape) > 1 else fold(mm(unfold(input), g)),
)
def linear_weight(input: Any, other: Any) -> Any:
    """The weight's gradient in :func:`linear`: input[..., O], other[..., I] -> [O, I], summed over all rows."""
    return product(rows(input).T, rows(other))


@primitive(input=lambda g, input_shape: expand_to(g, shape=input_shape))
def column_sums(input: Any) -> Any:
    """[..., N] -> [N], summed over all rows: the bias's gradient in :func:`linear`."""
    return input if len(input.shape) == 1 else sum_rows(rows(input))


def rows(x: Any) -> Any:
    """[..., N] as a matrix [R, N]."""
    shape = x.shape
    if len(shape) == 2:
        return x
    count = 1
    for s in shape[:-1]:
        count *= s
    return reshape_to(x, shape=(count, shape[-1]))


def unfold(x: Any) -> Any:
    """[N] as [1, N]."""
    return reshape_to(x, shape=(1, x.shape[0]))


def fold(x: Any) -> Any:
    """[1, N] as [N]."""
    return reshape_to(x, shape=(x.shape[1],))


def _refuse(name: str, a: Any, b: Any) -> None:
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"{name}: both arguments need to be at least 1D, but they are {a.ndim}D and {b.ndim}D")
    k = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != k:
        left = "x".join(str(s) for s in (int(np.prod(a.shape[:-1])), a.shape[-1]))
        right = "x".join(str(s) for s in b.shape)
        raise RuntimeError(
            f"{name}: mat1 and mat2 shapes cannot be multiplied ({left} and {right}); the inner sizes {a.shape[-1]} "
            f"and {k} must be equal"
        )
    raise RuntimeError(f"{name}: the batch dimensions of {tuple(a.shape)} and {tuple(b.shape)} do not broadcast")


def matmul(input: Any, other: Any) -> Any:
    """Product of vectors, matrices or batches of matrices, as PyTorch's ``matmul`` (one dtype)."""
    a, b = input.shape, other.shape
    if input.dtype != other.dtype:
        raise RuntimeError(
            f"matmul: expected m1 and m2 to have the same dtype, but got: {input.dtype} != {other.dtype}"
        )
    if not a or not b or a[-1] != (b[-2] if len(b) > 1 else b[0]):
        _refuse("matmul", input, other)
    if len(a) > 1 and len(b) > 1:
        try:
            return mm(input, other)
        except ValueError:
            _refuse("matmul", input, other)
    if len(a) == 1 and len(b) == 1:
        return reduce_sum(input * other, axis=None, keepdims=False)
    if len(a) == 1:
        out = mm(reshape_to(input, shape=(1,) + a), other)
        return reshape_to(out, shape=out.shape[:-2] + out.shape[-1:])
    out = mm(input, reshape_to(other, shape=b + (1,)))
    return reshape_to(out, shape=out.shape[:-1])


def bmm(input: Any, mat2: Any) -> Any:
    """[B, M, K] @ [B, K, N] -> [B, M, N], without broadcasting."""
    if input.ndim != 3 or mat2.ndim != 3 or input.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            f"bmm: expected two 3D tensors of one batch size, got {tuple(input.shape)} and {tuple(mat2.shape)}"
        )
    return matmul(input, mat2)


def outer(input: Any, vec2: Any) -> Any:
    """input[M], vec2[N] -> [M, N]."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(
            f"outer: Expected argument self and vec2 to be 1-D tensors, but got {input.ndim}-D and {vec2.ndim}-D"
        )
    return reshape_to(input, shape=input.shape + (1,)) * vec2


def dot(input: Any, tensor: Any) -> Any:
    """Inner product of two vectors of one length."""
    if input.ndim != 1 or tensor.ndim != 1 or input.shape != tensor.shape:
        raise RuntimeError(
            f"dot: expected two 1D tensors of one size, got {tuple(input.shape)} and {tuple(tensor.shape)}"
        )
    return matmul(input, tensor)
