"""Gibbs sampling on the CPU: a unit that is 0 adds nothing, so only the rows of those that are not are added up.

A frame of four-part music has 4 notes of 88, a digit about 100 of 784 pixels, and a layer's products are sums of as
many rows of W, or of its transpose, where a product of matrices would take all. Rows are added four at a time, so that
the sum is loaded and stored once for four. A chain stays with one thread from beginning to end, its layers in the
first-level cache; the bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.random.compiled import block, unit24
from tinydl.kernels.rbm import spec
from tinydl.kernels.registry import register
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import I64, Lanes, copy, each, emitted
from tinydl.kernels.workspace import plain

Array = NDArray[Any]


@emitted
def _add_rows(typing: Any, sums: Any, rows: Any, places: Any, factors: Any, first: Any, count: Any) -> Any:
    """sums += sum over 4 k of factors[k] * rows[places[k] : places[k] + count], for k from ``first`` on."""
    if not vector.flat(sums, rows, factors):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        sums, rows, places, factors, first, count = values
        kinds = signature.args
        scalar = vector.scalar_of(kinds[0])
        to = vector.data(context, builder, kinds[0], sums)
        sources, shares = [], []
        for k in range(4):
            at = builder.add(first, ir.Constant(I64, k))
            place = builder.load(vector.element(context, builder, kinds[2], places, at))
            sources.append(vector.element(context, builder, kinds[1], rows, place))
            shares.append(builder.load(vector.element(context, builder, kinds[3], factors, at)))
        start: Any = ir.Constant(I64, 0)
        for width in (Lanes(builder, scalar).width, 1):  # whole vectors, then the numbers left over
            v = Lanes(builder, scalar, width)
            wide = [v.broadcast(s) for s in shares]

            def some(at: ir.Value, v: Lanes = v, wide: Any = wide) -> None:
                total = v.load(v.pointer(to, at))
                for source, factor in zip(sources, wide):
                    total = v.multiply_add(factor, v.load(v.pointer(source, at)), total)
                v.store(v.pointer(to, at), total)

            start = each(builder, start, count, width, some)
        return context.get_dummy_value()

    i = types.int64
    return types.void(sums, rows, places, factors, i, i), emit


@emitted
def _draw(typing: Any, mean: Any, units: Any, u: Any, count: Any) -> Any:
    """mean = sigmoid(mean), and units = 1 where u < mean, else 0."""
    if not vector.flat(mean, units, u):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        *arrays, count = values
        scalar = vector.scalar_of(signature.args[0])
        m, x, r = (vector.data(context, builder, kind, a) for kind, a in zip(signature.args, arrays))
        start: Any = ir.Constant(I64, 0)
        for width in (Lanes(builder, scalar).width, 1):
            v = Lanes(builder, scalar, width)

            def some(at: ir.Value, v: Lanes = v) -> None:
                probability = v.sigmoid(v.load(v.pointer(m, at)))
                v.store(v.pointer(m, at), probability)
                v.store(v.pointer(x, at), v.where("<", v.load(v.pointer(r, at)), probability, 1.0, 0.0))

            start = each(builder, start, count, width, some)
        return context.get_dummy_value()

    return types.void(mean, units, u, types.int64), emit


@njit
def _layer(units: Array, rows: Array, bias: Array, key: Any, first: Any, places: Array, factors: Array, mean: Array,
           u: Array, drawn: Array) -> None:  # fmt: skip
    """The other layer, ``drawn`` with probabilities ``mean``, given ``units``: unit k adds its multiple of rows[k]."""
    count, many = drawn.size, 0
    for k in range(units.size):
        if units[k] != 0:  # NaN is not
            places[many], factors[many] = k * count, units[k]
            many += 1
    while many % 4:
        places[many], factors[many] = 0, 0
        many += 1
    copy(mean, 0, bias, 0, count)
    for k in range(0, many, 4):
        _add_rows(mean, rows, places, factors, k, count)
    for b in range((count + 3) // 4):
        words = block(key, first + np.uint64(b))
        for i in range(min(4, count - 4 * b)):
            u[4 * b + i] = unit24(words[i])
    _draw(mean, drawn, u, count)


@shared
def _chains(thread: int, threads: int, N: int, D: int, H: int, v: Array, weight: Array, turned: Array, b: Array,
            c: Array, key: Any, counter: Any, steps: int, mean: Array, h: Array) -> None:  # fmt: skip
    """v, mean and h of a thread's chains; ``turned`` is the transpose of ``weight``."""
    most = max(D, H) + 4
    places, factors = np.empty(most, np.int64), np.empty(most, v.dtype)
    u, hidden_mean = np.empty(most, v.dtype), np.empty(H, v.dtype)
    of_v, of_h = np.uint64((D + 3) // 4), np.uint64((H + 3) // 4)
    for n in range(N * thread // threads, N * (thread + 1) // threads):
        visible, hidden, chances = v[n * D : (n + 1) * D], h[n * H : (n + 1) * H], mean[n * D : (n + 1) * D]
        first = counter
        for _ in range(steps):
            _layer(visible, turned, c[n * H : (n + 1) * H], key, first + np.uint64(n) * of_h, places, factors,
                   hidden_mean, u, hidden)  # fmt: skip
            first += np.uint64(N) * of_h
            _layer(hidden, weight, b[n * D : (n + 1) * D], key, first + np.uint64(n) * of_v, places, factors,
                   chances, u, visible)  # fmt: skip
            first += np.uint64(N) * of_v


@register(op="gibbs", name="cpu.active", dtypes=("float32", "float64"), default=True)
def gibbs(
    v: Array, weight: Array, b: Array, c: Array, key: int, counter: int, steps: int
) -> tuple[Array, Array, Array]:
    """The chains after some steps, by the rows of active units; see the card."""
    spec.check("cpu.active", v, weight, b, c, steps)
    (N, D), H = v.shape, len(weight)
    drawn, mean, h = np.array(v, order="C"), np.empty((N, D), v.dtype), np.empty((N, H), v.dtype)
    if N:
        weight = plain(weight)
        threads = min(N, worthwhile(spec.flops(v, weight, b, c, key, counter, steps)))
        with num_threads(threads):
            _chains(threads, N, D, H, drawn.reshape(-1), weight.reshape(-1), plain(weight.T).reshape(-1),
                    plain(b).reshape(-1), plain(c).reshape(-1), np.uint64(key), np.uint64(counter % 2**64), steps,
                    mean.reshape(-1), h.reshape(-1))  # fmt: skip
    return drawn, mean, h
