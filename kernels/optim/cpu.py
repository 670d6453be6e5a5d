"""Optimizer steps on the CPU: one fused Numba loop per parameter, and a parallel twin over chunks of all of them.

No fast-math: every operation rounds as written, so that the serial twin, the parallel twin and NumPy agree bit for bit,
on any number of threads. The loops still become vectors, since no sum runs across elements; ``if``s on
loop-invariant options are unswitched by LLVM.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.heads import ALIGNED, AVAILABLE, C_CONTIGUOUS, WRITEABLE, elements
from tinydl.kernels.optim.rows import chunks, first_irregular, first_irregular_gradient
from tinydl.kernels.optim.table import CHUNK, GRAD, NUMEL, OFFSET, PARAM
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import get_num_threads

# Elements from which two threads beat one: Adam takes 30 us for so many on one core of Zen 3 and 25 on two. Beside a
# busy neighbour it may wait for its core, as ``threads.SERIAL`` says.
PARALLEL_FROM = 1 << 16

# --- the loops: elements start to stop of one row -------------------------------------------------------------------
# The equations are those of ``spec.py``, name by name.


@njit(inline="always")
def _stretch(table: Any, row: Any, start: Any, stop: Any, moments: Any) -> Any:
    """Elements start to stop of the row's parameter and gradient, and where they lie in each row of the moments."""
    numel, offset = table[row, NUMEL], table[row, OFFSET]
    p = elements(table[row, PARAM], numel, moments)[start:stop]
    g = elements(table[row, GRAD], numel, moments)[start:stop]
    return p, g, slice(offset + start, offset + stop)


@njit(error_model="numpy")
def _sgd_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T = moments.dtype.type
    lr, mu, damped, l2 = T(scalars[0]), T(scalars[1]), T(1 - scalars[2]), T(scalars[3])
    nesterov, sign = scalars[4] != 0, T(scalars[5])
    p, g, at = _stretch(table, row, start, stop, moments)
    b = moments[0, at]
    if mu == 0:
        for i in range(p.size):
            d = sign * g[i]
            if l2 != 0:
                d += l2 * p[i]
            p[i] -= lr * d
        return
    first = numbers[0, row] == 1
    for i in range(p.size):
        d = sign * g[i]
        if l2 != 0:
            d += l2 * p[i]
        momentum = d if first else mu * b[i] + damped * d
        b[i] = momentum
        p[i] -= lr * (d + mu * momentum if nesterov else momentum)


@njit(error_model="numpy")
def _adam_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T, t = moments.dtype.type, np.float64(numbers[0, row])
    lr, beta1, beta2, eps, l2 = scalars[0], scalars[1], scalars[2], T(scalars[3]), T(scalars[4])
    kept, sign, amsgrad = T(1 - lr * scalars[5]), T(scalars[6]), scalars[7] != 0
    rate, scale = T(lr / (1 - beta1**t)), T(1 / np.sqrt(1 - beta2**t))
    new1, old2, new2 = T(1 - beta1), T(beta2), T(1 - beta2)
    p, g, at = _stretch(table, row, start, stop, moments)
    m, v = moments[0, at], moments[1, at]
    w = moments[2, at] if amsgrad else v
    for i in range(p.size):
        x = p[i] * kept
        d = sign * g[i]
        if l2 != 0:
            d += l2 * x
        first = m[i] + new1 * (d - m[i])
        second = old2 * v[i] + new2 * d * d
        m[i] = first
        v[i] = second
        if amsgrad:
            second = w[i] if w[i] > second else second  # a NaN in v passes, as in np.maximum ...
            second = w[i] if w[i] != w[i] else second  # ... and so does one in w
            w[i] = second
        p[i] = x - rate * (first / (np.sqrt(second) * scale + eps))


@njit(error_model="numpy")
def _rmsprop_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T = moments.dtype.type
    lr, old, new, eps = T(scalars[0]), T(scalars[1]), T(1 - scalars[1]), T(scalars[2])
    mu, l2, centered, sign = T(scalars[3]), T(scalars[4]), scalars[5] != 0, T(scalars[6])
    p, g, at = _stretch(table, row, start, stop, moments)
    v, a, b = moments[0, at], moments[1, at], moments[2, at]
    # Four loops, for conditional stores do not become vectors; p[i] is read unconditionally for the same reason.
    if centered and mu != 0:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            mean = a[i] + new * (d - a[i])
            momentum = mu * b[i] + d / (np.sqrt(second - mean * mean) + eps)
            v[i], a[i], b[i] = second, mean, momentum
            p[i] = x - lr * momentum
    elif centered:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            mean = a[i] + new * (d - a[i])
            v[i], a[i] = second, mean
            p[i] = x - lr * (d / (np.sqrt(second - mean * mean) + eps))
    elif mu != 0:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            momentum = mu * b[i] + d / (np.sqrt(second) + eps)
            v[i], b[i] = second, momentum
            p[i] = x - lr * momentum
    else:
        for i in range(p.size):
            x, d = p[i], sign * g[i]
            if l2 != 0:
                d += l2 * x
            second = old * v[i] + new * d * d
            v[i] = second
            p[i] = x - lr * (d / (np.sqrt(second) + eps))


@njit(error_model="numpy")
def _adagrad_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T, t = moments.dtype.type, np.float64(numbers[0, row])
    rate = T(scalars[0] / (1 + (t - 1) * scalars[1]))
    eps, l2, sign = T(scalars[2]), T(scalars[3]), T(scalars[4])
    p, g, at = _stretch(table, row, start, stop, moments)
    v = moments[0, at]
    for i in range(p.size):
        x, d = p[i], sign * g[i]
        if l2 != 0:
            d += l2 * x
        second = v[i] + d * d
        v[i] = second
        p[i] = x - rate * d / (np.sqrt(second) + eps)


@njit(error_model="numpy")
def _adadelta_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T = moments.dtype.type
    lr, old, new = T(scalars[0]), T(scalars[1]), T(1 - scalars[1])
    eps, l2, sign = T(scalars[2]), T(scalars[3]), T(scalars[4])
    p, g, at = _stretch(table, row, start, stop, moments)
    v, u = moments[0, at], moments[1, at]
    for i in range(p.size):
        x, d = p[i], sign * g[i]
        if l2 != 0:
            d += l2 * x
        second = old * v[i] + new * d * d
        delta = np.sqrt(u[i] + eps) / np.sqrt(second + eps) * d
        v[i], u[i] = second, old * u[i] + new * delta * delta
        p[i] = x - lr * delta


@njit(error_model="numpy")
def _adamax_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T, t = moments.dtype.type, np.float64(numbers[0, row])
    rate, new1, old2 = T(scalars[0] / (1 - scalars[1] ** t)), T(1 - scalars[1]), T(scalars[2])
    eps, l2, sign = T(scalars[3]), T(scalars[4]), T(scalars[5])
    p, g, at = _stretch(table, row, start, stop, moments)
    m, u = moments[0, at], moments[1, at]
    for i in range(p.size):
        x, d = p[i], sign * g[i]
        if l2 != 0:
            d += l2 * x
        first = m[i] + new1 * (d - m[i])
        decayed, size = old2 * u[i], np.abs(d) + eps
        largest = decayed if decayed > size else size  # a NaN in size passes, as in np.maximum ...
        largest = decayed if decayed != decayed else largest  # ... and so does one in decayed
        m[i], u[i] = first, largest
        p[i] = x - rate * first / largest


@njit(error_model="numpy")
def _nadam_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T, t = moments.dtype.type, np.float64(numbers[0, row])
    lr, beta1, beta2, eps, l2 = scalars[0], scalars[1], scalars[2], T(scalars[3]), T(scalars[4])
    kept, sign = T(1 - lr * scalars[5]), T(scalars[7])
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * scalars[6]))
    following = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * scalars[6]))
    product = np.float64(numbers[1, row] * np.float32(mu))
    now, ahead = T(lr * (1 - mu) / (1 - product)), T(lr * following / (1 - product * following))
    new1, old2, new2, correction = T(1 - beta1), T(beta2), T(1 - beta2), T(1 - beta2**t)
    p, g, at = _stretch(table, row, start, stop, moments)
    m, v = moments[0, at], moments[1, at]
    for i in range(p.size):
        x = p[i] * kept
        d = sign * g[i]
        if l2 != 0:
            d += l2 * x
        first = m[i] + new1 * (d - m[i])
        second = old2 * v[i] + new2 * d * d
        m[i], v[i] = first, second
        q = np.sqrt(second / correction) + eps
        p[i] = x - now * d / q - ahead * first / q


@njit(error_model="numpy")
def _radam_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T, t = moments.dtype.type, np.float64(numbers[0, row])
    lr, beta1, beta2, eps, l2 = scalars[0], scalars[1], scalars[2], T(scalars[3]), T(scalars[4])
    kept, sign = T(1 - lr * scalars[5]), T(scalars[6])
    correction = 1 - beta2**t
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / correction
    adapt = length > 5
    rect, root = T(1), T(np.sqrt(correction))
    if adapt:
        rect = T(np.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)))
    rate, unbias = T(lr), T(1 - beta1**t)
    new1, old2, new2 = T(1 - beta1), T(beta2), T(1 - beta2)
    p, g, at = _stretch(table, row, start, stop, moments)
    m, v = moments[0, at], moments[1, at]
    for i in range(p.size):
        x = p[i] * kept
        d = sign * g[i]
        if l2 != 0:
            d += l2 * x
        first = m[i] + new1 * (d - m[i])
        second = old2 * v[i] + new2 * d * d
        m[i], v[i] = first, second
        step = first / unbias * rate
        if adapt:
            step = step * (root / (np.sqrt(second) + eps)) * rect
        p[i] = x - step


@njit(error_model="numpy")
def _asgd_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T = moments.dtype.type
    eta, weight, l2, sign = np.float64(numbers[1, row]), T(numbers[2, row]), T(scalars[4]), T(scalars[5])
    kept, rate = T(1 - scalars[1] * eta), T(eta)
    p, g, at = _stretch(table, row, start, stop, moments)
    a = moments[0, at]
    for i in range(p.size):
        x, d = p[i], sign * g[i]
        if l2 != 0:
            d += l2 * x
        moved = x * kept - rate * d
        p[i] = moved
        a[i] = moved if weight == 1 else a[i] + (moved - a[i]) * weight


@njit(error_model="numpy")
def _rprop_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T = moments.dtype.type
    shrink, grow, least, most, sign = T(scalars[0]), T(scalars[1]), T(scalars[2]), T(scalars[3]), T(scalars[4])
    p, g, at = _stretch(table, row, start, stop, moments)
    b, e = moments[0, at], moments[1, at]
    for i in range(p.size):
        d = sign * g[i]
        agreement = d * b[i]
        factor = grow if agreement > 0 else (shrink if agreement < 0 else T(1))
        size = factor * e[i]
        size = least if size < least else (most if size > most else size)
        d = T(0) if agreement < 0 else d
        b[i], e[i] = d, size
        p[i] = p[i] - (T(d > 0) - T(d < 0)) * size


@njit(error_model="numpy")
def _omd_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T = moments.dtype.type
    lr, sign = T(scalars[0]), T(scalars[1])
    p, g, at = _stretch(table, row, start, stop, moments)
    b = moments[0, at]
    for i in range(p.size):
        d = sign * g[i]
        p[i] -= lr * (T(2) * d - b[i])
        b[i] = d


@njit(error_model="numpy")
def _optimistic_adam_(table: Any, row: Any, start: Any, stop: Any, moments: Any, numbers: Any, scalars: Any) -> None:
    T, t = moments.dtype.type, np.float64(numbers[0, row])
    lr, beta1, beta2, eps = T(scalars[0]), scalars[1], scalars[2], T(scalars[3])
    l2, sign = T(scalars[4]), T(scalars[5])
    unbias1, unbias2 = T(1 - beta1**t), T(1 - beta2**t)
    new1, old2, new2 = T(1 - beta1), T(beta2), T(1 - beta2)
    p, g, at = _stretch(table, row, start, stop, moments)
    m, v, b = moments[0, at], moments[1, at], moments[2, at]
    for i in range(p.size):
        x, d = p[i], sign * g[i]
        if l2 != 0:
            d += l2 * x
        first = m[i] + new1 * (d - m[i])
        second = old2 * v[i] + new2 * d * d
        step = first / unbias1 / (np.sqrt(second / unbias2) + eps)
        p[i] = x - lr * (T(2) * step - b[i])
        m[i], v[i], b[i] = first, second, step


# --- what follows the loops of a row: the numbers of a parameter for its next step ---------------------------------


@njit
def _nothing(row: Any, numbers: Any, scalars: Any) -> None:
    pass


@njit
def _nadam_after(row: Any, numbers: Any, scalars: Any) -> None:
    mu = scalars[1] * (1 - 0.5 * 0.96 ** (np.float64(numbers[0, row]) * scalars[6]))
    numbers[1, row] = numbers[1, row] * np.float32(mu)


@njit(error_model="numpy")
def _asgd_after(row: Any, numbers: Any, scalars: Any) -> None:
    lr, lambd, alpha, t0, t = scalars[0], scalars[1], scalars[2], scalars[3], np.float64(numbers[0, row])
    numbers[1, row] = np.float32(lr / (1 + lambd * lr * t) ** alpha)
    numbers[2, row] = np.float32(1 / max(1.0, t - t0))


# --- the twins ------------------------------------------------------------------------------------------------------


@njit
def _begin(table: Any, numbers: Any) -> Any:
    """Check the table; when all is well, count the step of every row that has a gradient."""
    irregular = first_irregular(table)
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                numbers[0, row] += np.float32(1)
    return irregular


@njit
def _begin_and_cut(table: Any, numbers: Any) -> Any:
    """As :func:`_begin`, and the chunks: one call from Python costs less than two."""
    return _begin(table, numbers), chunks(table)


_loop: Any = None  # in each twin's own globals, a function of the two sections above
_after: Any = None


def _serial(table: Any, moments: Any, numbers: Any, scalars: Any) -> Any:
    irregular = _begin(table, numbers)
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                _loop(table, row, 0, table[row, NUMEL], moments, numbers, scalars)
                _after(row, numbers, scalars)
    return irregular


def _part(
    thread: int, threads: int, table: Any, pieces: Any, moments: Any, numbers: Any, scalars: Any
) -> None:  # fmt: skip
    count = pieces.shape[0]
    for c in range(count * thread // threads, count * (thread + 1) // threads):
        row, start = pieces[c, 0], pieces[c, 1]
        _loop(table, row, start, min(start + CHUNK, table[row, NUMEL]), moments, numbers, scalars)


def _end(table: Any, numbers: Any, scalars: Any) -> None:
    for row in range(table.shape[0]):
        if table[row, GRAD] != 0:
            _after(row, numbers, scalars)


def _twin(template: Any, name: str, loop: Any, after: Any) -> Any:
    """``template`` around ``loop``, under a name of its own: by that Numba's cache tells functions apart."""
    twin = types.FunctionType(template.__code__, {**globals(), "_loop": loop, "_after": after}, name)
    twin.__qualname__, twin.__annotations__ = name, template.__annotations__
    return twin


def _parallel(op: str, loop: Any, after: Any) -> Any:
    """The step of ``op`` whose chunks are shared among the threads."""
    chunk = shared(_twin(_part, f"{op}chunks", loop, after))
    end = None if after is _nothing else njit(_twin(_end, f"{op}end", loop, after))

    def step(table: NDArray[Any], moments: NDArray[Any], numbers: NDArray[Any], scalars: NDArray[Any]) -> Any:
        irregular, pieces = _begin_and_cut(table, numbers)
        if irregular < 0:
            chunk(get_num_threads(), table, pieces, moments, numbers, scalars)
            if end is not None:
                end(table, numbers, scalars)
        return irregular

    step.__name__ = step.__qualname__ = f"{op}parallel"
    return step


def _chosen(serial: Any, parallel: Any, op: str) -> Any:
    """The step of ``op``, serial or parallel by the number of elements."""

    def step(table: NDArray[Any], moments: NDArray[Any], numbers: NDArray[Any], scalars: NDArray[Any]) -> Any:
        return (parallel if moments.shape[1] >= PARALLEL_FROM else serial)(table, moments, numbers, scalars)

    step.__name__ = step.__qualname__ = op
    return step


# --- gradient norms -------------------------------------------------------------------------------------------------


# Without reassociation a sum is one chain of dependent additions.
@njit(fastmath={"reassoc", "contract"}, forceinline=True)
def _sum_of_squares(x: Any) -> Any:
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@njit
def _squared_norm_serial(table: Any, like: Any) -> Any:
    irregular, total = first_irregular_gradient(table, C_CONTIGUOUS | ALIGNED), 0.0
    if irregular < 0:
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                gradient = elements(table[row, GRAD], table[row, NUMEL], like)
                for start in range(0, gradient.size, CHUNK):
                    total += _sum_of_squares(gradient[start : start + CHUNK])
    return irregular, total


@shared
def _squares(thread: int, threads: int, table: Any, like: Any, pieces: Any, sums: Any) -> None:
    count = pieces.shape[0]
    for c in range(count * thread // threads, count * (thread + 1) // threads):
        row, start = pieces[c, 0], pieces[c, 1]
        gradient = elements(table[row, GRAD], table[row, NUMEL], like)
        sums[c] = _sum_of_squares(gradient[start : start + CHUNK])


@njit
def _regular_pieces(table: Any, like: Any) -> Any:
    """What :func:`squared_norm` answers for tables that are not regular, and the chunks of all gradients."""
    return first_irregular_gradient(table, C_CONTIGUOUS | ALIGNED), chunks(table)


def _squared_norm_parallel(table: NDArray[Any], like: NDArray[Any]) -> Any:
    irregular, pieces = _regular_pieces(table, like)
    if irregular >= 0:
        return irregular, 0.0
    sums = np.empty(len(pieces), np.float64)
    _squares(get_num_threads(), table, like, pieces, sums)
    return irregular, float(np.add.accumulate(sums)[-1]) if len(sums) else 0.0  # in order, whichever thread was first


@njit
def _scale_gradients(table: Any, like: Any, coefficient: Any) -> Any:
    irregular = first_irregular_gradient(table, C_CONTIGUOUS | ALIGNED | WRITEABLE)
    if irregular < 0:
        factor = like.dtype.type(coefficient)
        for row in range(table.shape[0]):
            if table[row, GRAD] != 0:
                gradient = elements(table[row, GRAD], table[row, NUMEL], like)
                for i in range(gradient.size):
                    gradient[i] *= factor
    return irregular


# --- the variants ---------------------------------------------------------------------------------------------------


def squared_norm(table: NDArray[Any], like: NDArray[Any]) -> Any:
    """Sum of squares of all gradients, serial or parallel by their size; the card is ``spec.py``."""
    total = int(table[:, NUMEL].sum())
    return (_squared_norm_parallel if total >= 2 * PARALLEL_FROM else _squared_norm_serial)(table, like)


def scale_gradients_(table: NDArray[Any], like: NDArray[Any], coefficient: float) -> Any:
    """All gradients times a factor, in place; the card is ``spec.py``."""
    return _scale_gradients(table, like, coefficient)


_STEPS: dict[str, tuple[Any, Any]] = {
    "sgd_": (_sgd_, _nothing),
    "adam_": (_adam_, _nothing),
    "rmsprop_": (_rmsprop_, _nothing),
    "adagrad_": (_adagrad_, _nothing),
    "adadelta_": (_adadelta_, _nothing),
    "adamax_": (_adamax_, _nothing),
    "nadam_": (_nadam_, _nadam_after),
    "radam_": (_radam_, _nothing),
    "asgd_": (_asgd_, _asgd_after),
    "rprop_": (_rprop_, _nothing),
    "omd_": (_omd_, _nothing),
    "optimistic_adam_": (_optimistic_adam_, _nothing),
}

if AVAILABLE:
    _FLOATS = ("float32", "float64")
    for _op, (_row, _last) in _STEPS.items():
        _one, _many = njit(_twin(_serial, f"{_op}serial", _row, _last)), _parallel(_op, _row, _last)
        register(op=_op, name="cpu.serial", dtypes=_FLOATS)(_one)
        register(op=_op, name="cpu.parallel", dtypes=_FLOATS)(_many)
        register(op=_op, name="cpu.fused", dtypes=_FLOATS, default=True)(_chosen(_one, _many, _op))
    register(op="squared_norm", name="cpu.serial", dtypes=_FLOATS)(_squared_norm_serial)
    register(op="squared_norm", name="cpu.parallel", dtypes=_FLOATS)(_squared_norm_parallel)
    register(op="squared_norm", name="cpu.fused", dtypes=_FLOATS, default=True)(squared_norm)
    register(op="scale_gradients_", name="cpu.fused", dtypes=_FLOATS, default=True)(scale_gradients_)
