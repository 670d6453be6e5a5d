"""Whole optimizer steps: one kernel updates every parameter of a group, reached through a table (``table.py``).

Ops, all ``op(table, moments, numbers, scalars) -> int``
    ``moments`` T [K, sum N_r] rows of state; ``numbers`` float32 [S, R], what a parameter has one of: the first row
    counts its updates, raised by one for each row of the table that is updated; ``scalars`` float64, listed below. T
    is float32 or float64. The result is -1, or the first row that is no plain pair (C-contiguous, aligned, native
    DTYPE, NUMEL elements, equal shapes, parameter writeable), and then nothing at all was written.

Element by element, with ``s = -1`` to maximize, else 1, every operation rounded to T in the order written (expressions
of scalars and numbers are computed in float64 and then rounded); t counts from 1; ``d = s*g + l2*p`` where ``l2`` is
among the scalars (``x`` for ``p`` where a line defines ``x`` before), else ``s*g``:

``sgd_`` (Sutskever et al., ICML 2013), scalars ``lr, mu, dampening, l2, nesterov, s``, moments ``b``::

    b = d at the first update, later mu*b + (1-dampening)*d        (only if mu != 0)
    p = p - lr * (d if mu == 0, d + mu*b if nesterov, else b)

``adam_`` (Kingma and Ba, ICLR 2015; AdamW: Loshchilov and Hutter, ICLR 2019; amsgrad: Reddi et al., ICLR 2018),
scalars ``lr, beta1, beta2, eps, l2, decay, s, amsgrad``, moments ``m, v`` and, if amsgrad, ``w``::

    x = p * (1 - lr*decay)
    m = m + (1-beta1)*(d - m)
    v = beta2*v + (1-beta2)*d*d
    w = max(w, v) if amsgrad, else v
    p = x - lr/(1-beta1**t) * (m / (sqrt(w) * (1/sqrt(1-beta2**t)) + eps))

``rmsprop_`` (Tieleman and Hinton, lecture 6.5, 2012; centered: Graves, arXiv:1308.0850), scalars
``lr, alpha, eps, mu, l2, centered, s``, moments ``v``, ``a`` (if centered), ``b`` (if mu != 0)::

    v = alpha*v + (1-alpha)*d*d
    a = a + (1-alpha)*(d - a)
    q = sqrt(v - a*a if centered, else v) + eps
    b = mu*b + d/q
    p = p - lr * (b if mu != 0, else d/q)

``adagrad_`` (Duchi, Hazan and Singer, JMLR 12, 2011), scalars ``lr, lr_decay, eps, l2, s``, moments ``v``::

    v = v + d*d
    p = p - lr/(1 + (t-1)*lr_decay) * d / (sqrt(v) + eps)

``adadelta_`` (Zeiler, arXiv:1212.5701), scalars ``lr, rho, eps, l2, s``, moments ``v, u``::

    v = rho*v + (1-rho)*d*d
    y = sqrt(u + eps) / sqrt(v + eps) * d
    u = rho*u + (1-rho)*y*y
    p = p - lr*y

``adamax_`` (Kingma and Ba, section 7.1), scalars ``lr, beta1, beta2, eps, l2, s``, moments ``m, u``::

    m = m + (1-beta1)*(d - m)
    u = max(beta2*u, |d| + eps)
    p = p - lr/(1-beta1**t) * m / u

``nadam_`` (Dozat, ICLR workshop 2016), scalars ``lr, beta1, beta2, eps, l2, decay, psi, s``, moments ``m, v``, numbers
``t, c`` (c from 1, in float32)::

    mu(t) = beta1 * (1 - 0.96**(t*psi) / 2)
    c = c * mu(t)
    x = p * (1 - lr*decay)
    m, v as for adam_
    q = sqrt(v / (1-beta2**t)) + eps
    p = x - lr*(1-mu(t))/(1-c) * d/q - lr*mu(t+1)/(1 - c*mu(t+1)) * m/q

``radam_`` (Liu et al., ICLR 2020), scalars ``lr, beta1, beta2, eps, l2, decay, s``, moments ``m, v``::

    L = 2/(1-beta2) - 1                                             the longest average
    l = L - 2*t*beta2**t / (1-beta2**t)                             its length now
    r = sqrt((l-4)*(l-2)*L / ((L-4)*(L-2)*l))
    x = p * (1 - lr*decay)
    m, v as for adam_
    y = m / (1-beta1**t) * lr
    y = y * (sqrt(1-beta2**t) / (sqrt(v) + eps)) * r                (only if l > 5)
    p = x - y

``asgd_`` (Polyak and Juditsky, SIAM J. Control Optim. 30, 1992), scalars ``lr, lambd, alpha, t0, l2, s``, moments
``a``, numbers ``t, eta, mu`` (eta from lr, mu from 1, in float32)::

    p = p * (1 - lambd*eta) - eta*d
    a = p if mu == 1, else a + (p - a)*mu
    eta, mu = lr / (1 + lambd*lr*t)**alpha, 1 / max(1, t - t0)      (after all elements)

``rprop_`` (Riedmiller and Braun, ICNN 1993), scalars ``shrink, grow, least, most, s``, moments ``b, e`` (e from lr)::

    f = grow if d*b > 0, shrink if d*b < 0, else 1
    e = f*e, limited to [least, most]
    b = 0 if d*b < 0, else d
    p = p - sign(b)*e                                               (the sign of NaN is 0)

``omd_`` (optimistic mirror descent; Daskalakis et al., ICLR 2018), scalars ``lr, s``, moments ``b``::

    p = p - lr * (2*d - b)
    b = d

``optimistic_adam_`` (the same paper, algorithm 1), scalars ``lr, beta1, beta2, eps, l2, s``, moments ``m, v, b``::

    m, v as for adam_
    y = m / (1-beta1**t) / (sqrt(v / (1-beta2**t)) + eps)
    p = p - lr * (2*y - b)
    b = y

``squared_norm(table, like) -> (row, float64)``
    Sum of the squares of all gradients, accumulated in float64 over stretches of CHUNK elements that are then added up
    in order, so that no thread count changes it. PARAM is not read; ``like`` T [0] tells the dtype; ``row`` is as above
    (read-only gradients will do). Sums of a stretch may be ordered differently by different variants.
``scale_gradients_(table, like, coefficient) -> row``
    ``g *= coefficient`` for every gradient.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.optim.table import CHUNK, COLUMNS, DTYPE, GRAD, NUMEL, OFFSET, PARAM, array_at, first_irregular
from tinydl.kernels.registry import register

Array = NDArray[Any]
Scalars = list[float]

# The NumPy variant rounds as the formulas say and so do the others: they agree bit for bit.
TOLERANCE = {"float32": 0.0, "float64": 0.0}


def _each_row(update: Callable[[Array, Array, Array, Array, Scalars, Any], None]) -> Callable[..., int]:
    """The variant of an op from ``update(p, g, moments, numbers, scalars, T)``, which moves one parameter."""

    def step(table: Array, moments: Array, numbers: Array, scalars: Array) -> int:
        irregular = first_irregular(table)
        if irregular < 0:
            for row, (param, grad, offset, numel, _) in enumerate(table.tolist()):
                if grad:
                    numbers[0, row] += 1
                    state = moments[:, offset : offset + numel]
                    p, g = array_at(param).reshape(-1), array_at(grad).reshape(-1)
                    update(p, g, state, numbers[:, row], scalars.tolist(), moments.dtype.type)
        return irregular

    step.__name__ = step.__qualname__ = update.__name__
    return step


def _descent(p: Array, g: Array, l2: float, sign: float, T: Any) -> Array:
    """d = s*g + l2*p."""
    d: Array = T(sign) * g
    if l2 != 0:
        d += T(l2) * p
    return d


def _averages(m: Array, v: Array, d: Array, beta1: float, beta2: float, T: Any) -> None:
    """m = m + (1-beta1)*(d - m), v = beta2*v + (1-beta2)*d*d."""
    m += T(1 - beta1) * (d - m)
    v[...] = T(beta2) * v + T(1 - beta2) * d * d


@register(op="sgd_", name="numpy")
@_each_row
def sgd_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, mu, dampening, l2, nesterov, sign = scalars
    b = moments[0]
    d = _descent(p, g, l2, sign, T)
    if mu != 0:
        b[...] = d if numbers[0] == 1 else T(mu) * b + T(1 - dampening) * d
        d = d + T(mu) * b if nesterov else b
    p -= T(lr) * d


@register(op="adam_", name="numpy")
@_each_row
def adam_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, beta1, beta2, eps, l2, decay, sign, amsgrad = scalars
    m, v, *w = moments
    t = float(numbers[0])
    x = p * T(1 - lr * decay)
    _averages(m, v, _descent(x, g, l2, sign, T), beta1, beta2, T)
    second = np.maximum(w[0], v, out=w[0]) if amsgrad else v
    scale = T(1 / math.sqrt(1 - beta2**t))
    p[...] = x - T(lr / (1 - beta1**t)) * (m / (np.sqrt(second) * scale + T(eps)))


@register(op="rmsprop_", name="numpy")
@_each_row
def rmsprop_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, alpha, eps, mu, l2, centered, sign = scalars
    v, a, b = moments
    d = _descent(p, g, l2, sign, T)
    v[...] = T(alpha) * v + T(1 - alpha) * d * d
    if centered:
        a += T(1 - alpha) * (d - a)
    u = d / (np.sqrt(v - a * a if centered else v) + T(eps))
    if mu != 0:
        b[...] = T(mu) * b + u
        u = b
    p -= T(lr) * u


@register(op="adagrad_", name="numpy")
@_each_row
def adagrad_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, lr_decay, eps, l2, sign = scalars
    (v,) = moments
    d = _descent(p, g, l2, sign, T)
    v += d * d
    p -= T(lr / (1 + (float(numbers[0]) - 1) * lr_decay)) * d / (np.sqrt(v) + T(eps))


@register(op="adadelta_", name="numpy")
@_each_row
def adadelta_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, rho, eps, l2, sign = scalars
    v, u = moments
    d = _descent(p, g, l2, sign, T)
    v[...] = T(rho) * v + T(1 - rho) * d * d
    y = np.sqrt(u + T(eps)) / np.sqrt(v + T(eps)) * d
    u[...] = T(rho) * u + T(1 - rho) * y * y
    p -= T(lr) * y


@register(op="adamax_", name="numpy")
@_each_row
def adamax_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, beta1, beta2, eps, l2, sign = scalars
    m, u = moments
    d = _descent(p, g, l2, sign, T)
    m += T(1 - beta1) * (d - m)
    np.maximum(T(beta2) * u, np.abs(d) + T(eps), out=u)
    p -= T(lr / (1 - beta1 ** float(numbers[0]))) * m / u


@register(op="nadam_", name="numpy")
@_each_row
def nadam_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, beta1, beta2, eps, l2, decay, psi, sign = scalars
    m, v = moments
    t = float(numbers[0])
    mu, following = (beta1 * (1 - 0.5 * 0.96 ** (n * psi)) for n in (t, t + 1))
    numbers[1] *= np.float32(mu)
    c = float(numbers[1])
    x = p * T(1 - lr * decay)
    d = _descent(x, g, l2, sign, T)
    _averages(m, v, d, beta1, beta2, T)
    q = np.sqrt(v / T(1 - beta2**t)) + T(eps)
    now, ahead = T(lr * (1 - mu) / (1 - c)), T(lr * following / (1 - c * following))
    p[...] = x - now * d / q - ahead * m / q


@register(op="radam_", name="numpy")
@_each_row
def radam_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, beta1, beta2, eps, l2, decay, sign = scalars
    m, v = moments
    t = float(numbers[0])
    correction = 1 - beta2**t
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / correction
    x = p * T(1 - lr * decay)
    _averages(m, v, _descent(x, g, l2, sign, T), beta1, beta2, T)
    y = m / T(1 - beta1**t) * T(lr)
    if length > 5:
        rect = math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
        y = y * (T(math.sqrt(correction)) / (np.sqrt(v) + T(eps))) * T(rect)
    p[...] = x - y


@register(op="asgd_", name="numpy")
@_each_row
def asgd_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, lambd, alpha, t0, l2, sign = scalars
    (a,) = moments
    t, eta, mu = (float(number) for number in numbers)
    d = _descent(p, g, l2, sign, T)
    p[...] = p * T(1 - lambd * eta) - T(eta) * d
    a[...] = p if mu == 1 else a + (p - a) * T(mu)
    numbers[1], numbers[2] = lr / (1 + lambd * lr * t) ** alpha, 1 / max(1, t - t0)


@register(op="rprop_", name="numpy")
@_each_row
def rprop_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    shrink, grow, least, most, sign = scalars
    b, e = moments
    d = T(sign) * g
    agreement = d * b
    factor = np.where(agreement > 0, T(grow), np.where(agreement < 0, T(shrink), T(1)))
    np.clip(factor * e, T(least), T(most), out=e)
    b[...] = np.where(agreement < 0, T(0), d)
    p -= ((b > 0).astype(T) - (b < 0).astype(T)) * e


@register(op="omd_", name="numpy")
@_each_row
def omd_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, sign = scalars
    (b,) = moments
    d = T(sign) * g
    p -= T(lr) * (T(2) * d - b)
    b[...] = d


@register(op="optimistic_adam_", name="numpy")
@_each_row
def optimistic_adam_(p: Array, g: Array, moments: Array, numbers: Array, scalars: Scalars, T: Any) -> None:
    lr, beta1, beta2, eps, l2, sign = scalars
    m, v, b = moments
    t = float(numbers[0])
    _averages(m, v, _descent(p, g, l2, sign, T), beta1, beta2, T)
    y = m / T(1 - beta1**t) / (np.sqrt(v / T(1 - beta2**t)) + T(eps))
    p -= T(lr) * (T(2) * y - b)
    b[...] = y


@register(op="squared_norm", name="numpy")
def squared_norm(table: NDArray[np.int64], like: Array) -> tuple[int, float]:
    irregular = first_irregular(table, with_params=False, writeable=False)
    total = 0.0
    for _, grad, _, numel, _ in table.tolist() if irregular < 0 else ():
        if grad:
            flat = array_at(grad).reshape(-1).astype(np.float64)
            for start in range(0, numel, CHUNK):
                total += float(np.square(flat[start : start + CHUNK]).sum())
    return irregular, total


@register(op="scale_gradients_", name="numpy")
def scale_gradients_(table: NDArray[np.int64], like: Array, coefficient: float) -> int:
    irregular = first_irregular(table, with_params=False)
    if irregular < 0:
        for grad in table[:, GRAD].tolist():
            if grad:
                array = array_at(grad)
                with np.errstate(invalid="ignore"):  # a norm of infinity scales by zero, and infinity times zero is NaN
                    array *= array.dtype.type(coefficient)
    return irregular


#: Rows of ``moments`` and of ``numbers`` (with their first values), floating-point operations an element in a plain
#: step (no weight decay; a square root or division counted as one), and every branch: op -> lists of scalars.
MOMENTS = {
    "sgd_": 1, "adam_": 3, "rmsprop_": 3, "adagrad_": 1, "adadelta_": 2, "adamax_": 2, "nadam_": 2, "radam_": 2,
    "asgd_": 1, "rprop_": 2, "omd_": 1, "optimistic_adam_": 3,
}  # fmt: skip
NUMBERS: dict[str, list[float]] = {**{op: [0.0] for op in MOMENTS}, "nadam_": [0, 1], "asgd_": [0, 0.1, 1]}
FLOPS = {
    "sgd_": 3, "adam_": 14, "rmsprop_": 9, "adagrad_": 7, "adadelta_": 16, "adamax_": 10, "nadam_": 17, "radam_": 15,
    "asgd_": 7, "rprop_": 6, "omd_": 4, "optimistic_adam_": 15, "squared_norm": 2, "scale_gradients_": 1,
}  # fmt: skip
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
    "adagrad_": [[1e-2, 0, 1e-10, 0, 1], [0.1, 0.3, 1e-6, 0.1, -1]],
    "adadelta_": [[1, 0.9, 1e-6, 0, 1], [0.5, 0.7, 1e-3, 0.1, -1]],
    "adamax_": [[2e-3, 0.9, 0.999, 1e-8, 0, 1], [0.1, 0.5, 0.8, 1e-3, 0.1, -1]],
    "nadam_": [[2e-3, 0.9, 0.999, 1e-8, 0, 0, 4e-3, 1], [0.1, 0.5, 0.8, 1e-3, 0.1, 0, 0.1, -1],
               [0.1, 0.9, 0.99, 1e-8, 0, 0.1, 0, 1]],
    "radam_": [[1e-3, 0.9, 0.999, 1e-8, 0, 0, 1], [0.1, 0.5, 0.8, 1e-3, 0.1, 0, -1],
               [0.1, 0.9, 0.9999, 1e-8, 0, 0.1, 1]],
    "asgd_": [[0.1, 1e-4, 0.75, 1e6, 0, 1], [0.1, 0.3, 0.5, 0, 0.1, -1]],
    "rprop_": [[0.5, 1.2, 1e-6, 50, 1], [0.3, 2, 0.05, 0.2, -1]],
    "omd_": [[0.1, 1], [0.1, -1]],
    "optimistic_adam_": [[1e-3, 0.9, 0.999, 1e-8, 0, 1], [0.1, 0.5, 0.8, 1e-3, 0.1, -1]],
}  # fmt: skip


#: How many steps are tested, where it is not three: RAdam rectifies its variance from the sixth to the eighth step on.
STEPS = {"radam_": 9}


def flops(op: str, elements: int) -> int:
    """Floating-point operations of a plain step."""
    return FLOPS[op] * elements


def bytes(op: str, elements: int, itemsize: int = 4) -> int:
    """Memory traffic of a plain step: parameter and moments read and written, gradient read."""
    optional = {"sgd_": 1, "adam_": 1, "rmsprop_": 2}  # moments that a plain step does not touch
    norms = {"squared_norm": 1, "scale_gradients_": 2}
    passes = norms[op] if op in norms else 3 + 2 * (MOMENTS[op] - optional.get(op, 0))
    return passes * elements * itemsize


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
    shapes: list[tuple[int, ...]], op: str, dtype: str, rng: np.random.Generator
) -> tuple[list[Array], list[Array], NDArray[np.int64], Array, NDArray[np.float32]]:
    """Parameters, gradients, and the table, moments and numbers of ``op`` that go with them."""
    params = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    grads = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    return params, grads, *state(params, grads, op, dtype)


def state(
    params: Sequence[Array], grads: Sequence[Array], op: str, dtype: Any
) -> tuple[NDArray[np.int64], Array, NDArray[np.float32]]:
    """The table, moments and numbers of ``op`` before its first step on some parameters."""
    table = np.zeros((len(params), COLUMNS), np.int64)
    table[:, PARAM] = [id(p) for p in params]
    table[:, GRAD] = [id(g) for g in grads]
    table[:, NUMEL] = [p.size for p in params]
    table[:, OFFSET] = np.cumsum(table[:, NUMEL]) - table[:, NUMEL]
    table[:, DTYPE] = np.dtype(dtype).num
    moments = np.zeros((MOMENTS.get(op, 1), int(table[:, NUMEL].sum())), dtype)
    numbers = np.array(NUMBERS.get(op, [0]), np.float32)[:, None].repeat(len(params), 1)
    return table, moments, numbers


# -- cards: the arguments are the scalars, then all parameters, then all gradients ---------------------------------


def _halves(arrays: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    return arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]


def _steps(op: str) -> Callable[..., tuple[Array, ...]]:
    """Some steps; what they leave of parameters and moments."""

    def apply(function: Callable[..., int], scalars: Scalars, *arrays: Array) -> tuple[Array, ...]:
        params, grads = _halves(arrays)
        table, moments, numbers = state(params, grads, op, arrays[0].dtype)
        for _ in range(STEPS.get(op, 3)):
            if (row := function(table, moments, numbers, np.array(scalars, np.float64))) != -1:
                raise ValueError(f"row {row} is called irregular")
        return (*params, moments)

    return apply


def _norm(function: Callable[..., tuple[int, float]], *grads: Array) -> Array:
    table, _, _ = state(grads, grads, "", grads[0].dtype)
    row, total = function(table, np.empty(0, grads[0].dtype))
    if row != -1:
        raise ValueError(f"row {row} is called irregular")
    return np.array(total, grads[0].dtype)


def _scaled(function: Callable[..., int], *grads: Array) -> tuple[Array, ...]:
    table, _, _ = state(grads, grads, "", grads[0].dtype)
    if (row := function(table, np.empty(0, grads[0].dtype), 0.3)) != -1:
        raise ValueError(f"row {row} is called irregular")
    return grads


# What is timed: the step alone, on a table that is there already.


def _prepared_step(op: str) -> Callable[..., Callable[[], tuple[Array, ...]]]:
    def prepare(function: Callable[..., int], scalars: Scalars, *arrays: Array) -> Callable[[], tuple[Array, ...]]:
        params, grads = _halves(arrays)
        table, moments, numbers = state(params, grads, op, arrays[0].dtype)
        given = np.array(scalars, np.float64)

        def step() -> tuple[Array, ...]:
            function(table, moments, numbers, given)
            return params

        step.kept = grads  # type: ignore[attr-defined]  # the table holds addresses
        return step

    return prepare


def _prepared_norm(function: Callable[..., tuple[int, float]], *grads: Array) -> Callable[[], float]:
    table, like = state(grads, grads, "", grads[0].dtype)[0], np.empty(0, grads[0].dtype)

    def norm(kept: tuple[Array, ...] = grads) -> float:
        return function(table, like)[1]

    return norm


def _prepared_scaled(function: Callable[..., int], *grads: Array) -> Callable[[], tuple[Array, ...]]:
    table, like = state(grads, grads, "", grads[0].dtype)[0], np.empty(0, grads[0].dtype)

    def scale() -> tuple[Array, ...]:
        function(table, like, -1.0)  # again and again: the numbers must stay of their size
        return grads

    return scale


def _arrays(shapes: Sequence[tuple[int, ...]], dtype: Any, count: int = 2) -> tuple[Array, ...]:
    rng = np.random.default_rng(7)
    return tuple(np.asarray(rng.standard_normal(shape), dtype) for _ in range(count) for shape in shapes)


def _step_case(op: str, shapes: Sequence[tuple[int, ...]], dtype: Any) -> tuple[Any, ...]:
    return SCALARS[op][0], *_arrays(shapes, dtype)


def _step_samples(op: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    return lambda dtype: (
        (scalars, *_arrays(shapes, dtype)) for scalars in SCALARS[op] for shapes in SHAPES if shapes
    )  # fmt: skip


_MANY: dict[str, list[tuple[int, ...]]] = {
    "4 of 16x16": [(16, 16)] * 4,
    "20 of 64x64": [(64, 64)] * 20,
    "813k in 8": [(1024, 256), (1024,), (256, 1024), (256,), (256, 1024), (1024,), (88, 256), (88,)],
}


def _step_card(op: str) -> Card:
    return Card(
        op=op,
        says=f"a step of {op.rstrip('_')} on every parameter ({STEPS.get(op, 3)}, when it is tested)",
        samples=_step_samples(op),
        tolerance=TOLERANCE,
        exact=True,
        flops=lambda scalars, *arrays: flops(op, sum(p.size for p in _halves(arrays)[0])),
        bytes=lambda scalars, *arrays: bytes(op, sum(p.size for p in _halves(arrays)[0]), arrays[0].itemsize),
        cases={name: functools.partial(_step_case, op, shapes) for name, shapes in _MANY.items()},
        rivals=rivals.optimizers(op),
        apply=_steps(op),
        prepare=_prepared_step(op),
    )


for _op in MOMENTS:
    describe(_step_card(_op))
for _op, _apply, _prepare, _rival, _says in (
    ("squared_norm", _norm, _prepared_norm, rivals.squared_norm, "sum of g^2 over all gradients"),
    ("scale_gradients_", _scaled, _prepared_scaled, rivals.scale_gradients, "g = coefficient g for every gradient"),
):
    describe(
        Card(
            op=_op,
            says=_says,
            samples=lambda dtype: (_arrays(shapes, dtype, 1) for shapes in SHAPES if shapes),
            tolerance={"float32": 1e-6, "float64": 1e-13},
            flops=lambda *grads, op=_op: flops(op, sum(g.size for g in grads)),
            bytes=lambda *grads, op=_op: bytes(op, sum(g.size for g in grads), grads[0].itemsize),
            cases={name: functools.partial(_arrays, shapes, count=1) for name, shapes in _MANY.items()},
            rivals={"torch": _rival},
            apply=_apply,
            prepare=_prepare,
        )
    )
