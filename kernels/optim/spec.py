"""Whole optimizer steps: one kernel updates every parameter of a group.

The table
    int64 [R, COLUMNS], C-contiguous, one row per parameter:

    ========  ==============================================================================================
    PARAM     identity (``id``) of the parameter's array object
    GRAD      identity of the gradient's array object, or 0: this parameter is skipped, its step count included
    OFFSET    where its stretch of each row of ``moments`` begins
    NUMEL     number of elements N_r
    DTYPE     type number of the kernel's dtype, ``np.dtype.num``
    ========  ==============================================================================================

    The caller keeps the arrays alive during the call. A kernel reads address, shape, dtype and flags out of the array
    object itself (its head is part of NumPy's binary interface), at nanoseconds a row, where asking NumPy for
    an address from Python costs most of a microsecond.

Ops, all ``op(table, moments, steps, scalars) -> int``
    ``moments`` T [K, sum N_r] rows of state; ``steps`` float32 [R] updates done so far, raised by one for each row
    that is updated; ``scalars`` float64, listed below. T is float32 or float64. The result is -1, or the first row
    that is no plain pair (C-contiguous, aligned, native DTYPE, NUMEL elements, equal shapes, parameter writeable), and
    then nothing at all was written.

Element by element, with ``s = -1`` to maximize, else 1, every operation rounded to T in the order written:

``sgd_`` (Sutskever et al., ICML 2013), scalars ``lr, mu, dampening, l2, nesterov, s``, moments ``b``::

    d = s*g + l2*p
    b = d at the first update, later mu*b + (1-dampening)*d        (only if mu != 0)
    p = p - lr * (d if mu == 0, d + mu*b if nesterov, else b)

``adam_`` (Kingma and Ba, ICLR 2015; AdamW: Loshchilov and Hutter, ICLR 2019; amsgrad: Reddi et al., ICLR 2018),
scalars ``lr, beta1, beta2, eps, l2, decay, s, amsgrad``, moments ``m, v`` and, if amsgrad, ``w``; t counts from 1::

    x = p * (1 - lr*decay)
    d = s*g + l2*x
    m = m + (1-beta1)*(d - m)
    v = beta2*v + (1-beta2)*d*d
    w = max(w, v) if amsgrad, else v
    p = x - lr/(1-beta1**t) * (m / (sqrt(w) * (1/sqrt(1-beta2**t)) + eps))

``rmsprop_`` (Tieleman and Hinton, lecture 6.5, 2012; centered: Graves, arXiv:1308.0850), scalars
``lr, alpha, eps, mu, l2, centered, s``, moments ``v``, ``a`` (if centered), ``b`` (if mu != 0)::

    d = s*g + l2*p
    v = alpha*v + (1-alpha)*d*d
    a = a + (1-alpha)*(d - a)
    q = sqrt(v - a*a if centered, else v) + eps
    b = mu*b + d/q
    p = p - lr * (b if mu != 0, else d/q)

``squared_norm(table, like) -> (row, float64)``
    Sum of the squares of all gradients, accumulated in float64 over stretches of CHUNK elements that are then added up
    in order, so that no thread count changes it. PARAM is not read; ``like`` T [0] tells the dtype; ``row`` is as above
    (read-only gradients will do). Sums of a stretch may be ordered differently by different variants.
``scale_gradients_(table, like, coefficient) -> row``
    ``g *= coefficient`` for every gradient.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.registry import register

PARAM, GRAD, OFFSET, NUMEL, DTYPE = range(5)
COLUMNS = 5

CHUNK = 1 << 14  # elements: the unit of work of the parallel twins, 64 KiB of float32

# The NumPy variant rounds as the formulas say and so do the others: they agree bit for bit.
TOLERANCE = {"float32": 0.0, "float64": 0.0}

def array_at(identity: int) -> NDArray[Any]:
    """The array object whose ``id`` this is (it must be alive)."""
    array: NDArray[Any] = ctypes.cast(identity, ctypes.py_object).value
    return array


def first_irregular(table: NDArray[np.int64], *, with_params: bool = True, writeable: bool = True) -> int:
    """The first row of ``table`` that a kernel cannot work on in place, or -1."""
    for row, (param, grad, _, numel, number) in enumerate(table.tolist()):
        if not grad:
            continue
        pair = [array_at(grad), array_at(param if with_params else grad)]
        if (
            any(a.dtype.num != number or not a.dtype.isnative or a.size != numel for a in pair)
            or not all(a.flags.c_contiguous and a.flags.aligned for a in pair)
            or pair[0].shape != pair[1].shape
            or (writeable and not pair[1].flags.writeable)
        ):
            return row
    return -1


def _rows(
    table: NDArray[np.int64], moments: NDArray[Any], steps: NDArray[np.float32]
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any], float]]:
    """Parameter, gradient (both flat), moments [K, N_r] and (raised) step count of every row with a gradient."""
    for row, (param, grad, offset, numel, _) in enumerate(table.tolist()):
        if grad:
            steps[row] += 1
            stretch = moments[:, offset : offset + numel]
            yield array_at(param).reshape(-1), array_at(grad).reshape(-1), stretch, float(steps[row])


@register(op="sgd_", name="numpy")
def sgd_(
    table: NDArray[np.int64], moments: NDArray[Any], steps: NDArray[np.float32], scalars: NDArray[np.float64]
) -> int:
    irregular = first_irregular(table)
    if irregular >= 0:
        return irregular
    lr, mu, dampening, l2, nesterov, sign = scalars.tolist()
    T = moments.dtype.type
    for p, g, (b, *_), t in _rows(table, moments, steps):
        d = T(sign) * g
        if l2 != 0:
            d += T(l2) * p
        if mu != 0:
            b[...] = d if t == 1 else T(mu) * b + T(1 - dampening) * d
            d = d + T(mu) * b if nesterov else b
        p -= T(lr) * d
    return -1


@register(op="adam_", name="numpy")
def adam_(
    table: NDArray[np.int64], moments: NDArray[Any], steps: NDArray[np.float32], scalars: NDArray[np.float64]
) -> int:
    irregular = first_irregular(table)
    if irregular >= 0:
        return irregular
    lr, beta1, beta2, eps, l2, decay, sign, amsgrad = scalars.tolist()
    T = moments.dtype.type
    for p, g, (m, v, *w), t in _rows(table, moments, steps):
        x = p * T(1 - lr * decay)
        d = T(sign) * g
        if l2 != 0:
            d += T(l2) * x
        m += T(1 - beta1) * (d - m)
        v[...] = T(beta2) * v + T(1 - beta2) * d * d
        second = np.maximum(w[0], v, out=w[0]) if amsgrad else v
        scale = T(1 / math.sqrt(1 - beta2**t))
        p[...] = x - T(lr / (1 - beta1**t)) * (m / (np.sqrt(second) * scale + T(eps)))
    return -1


@register(op="rmsprop_", name="numpy")
def rmsprop_(
    table: NDArray[np.int64], moments: NDArray[Any], steps: NDArray[np.float32], scalars: NDArray[np.float64]
) -> int:
    irregular = first_irregular(table)
    if irregular >= 0:
        return irregular
    lr, alpha, eps, mu, l2, centered, sign = scalars.tolist()
    T = moments.dtype.type
    for p, g, (v, a, b), _ in _rows(table, moments, steps):
        d = T(sign) * g
        if l2 != 0:
            d += T(l2) * p
        v[...] = T(alpha) * v + T(1 - alpha) * d * d
        if centered:
            a += T(1 - alpha) * (d - a)
        u = d / (np.sqrt(v - a * a if centered else v) + T(eps))
        if mu != 0:
            b[...] = T(mu) * b + u
            u = b
        p -= T(lr) * u
    return -1


@register(op="squared_norm", name="numpy")
def squared_norm(table: NDArray[np.int64], like: NDArray[Any]) -> tuple[int, float]:
    irregular = first_irregular(table, with_params=False, writeable=False)
    total = 0.0
    for _, grad, _, numel, _ in table.tolist() if irregular < 0 else ():
        if grad:
            flat = array_at(grad).reshape(-1).astype(np.float64)
            for start in range(0, numel, CHUNK):
                total += float(np.square(flat[start : start + CHUNK]).sum())
    return irregular, total


@register(op="scale_gradients_", name="numpy")
def scale_gradients_(table: NDArray[np.int64], like: NDArray[Any], coefficient: float) -> int:
    irregular = first_irregular(table, with_params=False)
    if irregular < 0:
        for grad in table[:, GRAD].tolist():
            if grad:
                array = array_at(grad)
                array *= array.dtype.type(coefficient)
    return irregular


def flops(op: str, elements: int) -> int:
    """Floating-point operations of a plain step (no weight decay), a square root or division counted as one."""
    return {"sgd_": 3, "adam_": 14, "rmsprop_": 9, "squared_norm": 2, "scale_gradients_": 1}[op] * elements


def bytes(op: str, elements: int, itemsize: int = 4) -> int:
    """Memory traffic of a plain step: parameter and moments read and written, gradient read."""
    passes = {"sgd_": 3, "adam_": 7, "rmsprop_": 5, "squared_norm": 1, "scale_gradients_": 2}[op]
    return passes * elements * itemsize


MOMENTS = {"sgd_": 1, "adam_": 3, "rmsprop_": 3}

#: Every branch of every step: op -> lists of scalars.
SCALARS: dict[str, list[list[float]]] = {
    "sgd_": [
        [0.1, 0, 0, 0, 0, 1],
        [0.1, 0.9, 0, 0, 0, 1],
        [0.1, 0.9, 0.5, 0.01, 0, -1],
        [0.1, 0.9, 0, 0.01, 1, 1],
    ],
    "adam_": [
        [1e-3, 0.9, 0.999, 1e-8, 0, 0, 1, 0],
        [1e-2, 0.8, 0.99, 1e-6, 0.1, 0, -1, 1],
        [1e-2, 0.0, 0.9, 1e-8, 0, 0.1, 1, 0],
    ],
    "rmsprop_": [
        [1e-2, 0.99, 1e-8, 0, 0, 0, 1],
        [1e-2, 0.9, 1e-6, 0.9, 0.1, 0, -1],
        [1e-2, 0.9, 1e-6, 0, 0, 1, 1],
        [1e-2, 0.9, 1e-6, 0.5, 0.1, 1, 1],
    ],
}

#: Shapes of parameters: nothing, 0-d, vector multiples and odd sizes, more than a chunk (the parallel twins split it).
SHAPES: list[list[tuple[int, ...]]] = [
    [],
    [()],
    [(0,), (3, 0)],
    [(16,), (64, 32)],
    [(1,), (7, 3), (0, 2), (5, 1, 11)],
    [(CHUNK,), (3,), (3, CHUNK // 2 + 1), (4 * CHUNK + 17,)],
]


def sample(
    shapes: list[tuple[int, ...]], moments: int, dtype: str, rng: np.random.Generator
) -> tuple[list[NDArray[Any]], list[NDArray[Any]], NDArray[np.int64], NDArray[Any], NDArray[np.float32]]:
    """Parameters, gradients, and the table, moments and steps that go with them."""
    params = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    grads = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    table = np.zeros((len(shapes), COLUMNS), np.int64)
    table[:, PARAM] = [id(p) for p in params]
    table[:, GRAD] = [id(g) for g in grads]
    table[:, NUMEL] = [p.size for p in params]
    table[:, OFFSET] = np.cumsum(table[:, NUMEL]) - table[:, NUMEL]
    table[:, DTYPE] = np.dtype(dtype).num
    state = np.zeros((moments, int(table[:, NUMEL].sum())), dtype)
    return params, grads, table, state, np.zeros(len(shapes), np.float32)
