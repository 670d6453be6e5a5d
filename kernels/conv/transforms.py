"""The transforms of fast convolution at six points (Winograd, "Arithmetic complexity of computations", 1980).

m neighbouring outputs of a filter of r taps see m + r - 1 = 6 inputs. Filter and inputs, taken as polynomials, can be
multiplied by their values at six points: six multiplications instead of m r. With the filter w, the inputs d, the
outputs y and their gradient g::

    y = A^T [ (G w) (B^T d) ]        dw = G^T [ (A g) (B^T d) ]

``IMAGE`` is B^T, ``RESULT`` A^T, ``GRADIENT`` A, ``FILTER`` G and ``WEIGHT`` G^T. Applied to columns and then to rows
they serve tiles of m x m outputs: 36 multiplications instead of m^2 r^2.

The points are 0, 3/4, -3/4, 3/2, -3/2 and infinity: all constants of A and B are exact, and the error is a third of
that of the points 0, 1, -1, 2, -2 which are usual (Lavin and Gray, arXiv:1509.09308). For tiles of 4 x 4, kernels of
3 x 3 and 64 channels in single precision it is 1.1e-6 of the largest result against 3.9e-6, where the plain sum has
0.8e-6 (on the choice: Barabasz et al., arXiv:1803.10986). Most of it is the rounding of the sums over channels.

A number of a tile is a vector of as many channels, so that every transform is additions of whole vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.conv.spec import Ints
from tinydl.kernels.vector import I64, Lanes, Vector, define, element, emitted, flat, named, scalar_of

Array = NDArray[Any]

POINTS = 6
#: Channels that are summed at once: a sum of such sums has half the error of one running sum, and takes little longer.
DEPTH = 32
A, B = 0.75, 1.5  # the points, and their negatives
A2, B2 = A**2, B**2
#: Of the points 0, A (and -A), B (and -B), the products of their distances from the other finite ones.
DISTANCES = A2 * B2, 2 * A2 * (A2 - B2), 2 * B2 * (B2 - A2)

IMAGE, RESULT, GRADIENT, FILTER, WEIGHT = range(5)


def _image(d: Sequence[Vector], count: int) -> list[Vector]:
    """B^T d: d times the polynomial that vanishes at all finite points but one, for each, and at all of them."""
    even_a, odd_a = d[4] - d[2] * B2, d[3] * A - d[1] * (A * B2)
    even_b, odd_b = d[4] - d[2] * A2, d[3] * B - d[1] * (A2 * B)
    return [
        d[0] * (A2 * B2) - d[2] * (A2 + B2) + d[4],
        even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b,
        d[1] * (A2 * B2) - d[3] * (A2 + B2) + d[5],
    ]  # fmt: skip


def _values(c: Sequence[Vector], over: Sequence[float] = (1.0, 1.0, 1.0)) -> list[Vector]:
    """The polynomial with coefficients c at each point, over these numbers."""
    found = [_times(c[0], 1 / over[0])]
    for point, by in zip((A, B), over[1:]):
        terms = [_times(x, point**i / by) for i, x in enumerate(c)]
        even, odd = _sum(terms[::2]), _sum(terms[1::2])
        found += [even + odd, even - odd]
    return [*found, c[-1]]


def _powers(m: Sequence[Vector], count: int, over: Sequence[float] = (1.0, 1.0, 1.0)) -> list[Vector]:
    """The transpose of :func:`_values` for ``count`` coefficients: sums of m over powers of the points."""
    halves = (m[1] + m[2], m[3] + m[4]), (m[1] - m[2], m[3] - m[4])
    found = []
    for i in range(count):
        terms = [_times(x, point**i / by) for x, point, by in zip(halves[i % 2], (A, B), over[1:])]
        terms += [_times(m[0], 1 / over[0])] * (i == 0) + [m[5]] * (i == count - 1)
        found.append(_sum(terms))
    return found


def _times(x: Vector, by: float) -> Vector:
    return x if by == 1 else x * by


def _sum(terms: Sequence[Vector]) -> Vector:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


# How many numbers go in and what comes out, for a tile of ``count`` outputs.
TRANSFORMS: dict[int, tuple[Callable[[int], int], Callable[[Sequence[Vector], int], list[Vector]]]] = {
    IMAGE: (lambda count: POINTS, _image),
    RESULT: (lambda count: POINTS, _powers),
    GRADIENT: (lambda count: count, lambda g, count: _values(g)),
    FILTER: (lambda count: POINTS + 1 - count, lambda w, count: _values(w, DISTANCES)),
    WEIGHT: (lambda count: POINTS, lambda s, count: _powers(s, POINTS + 1 - count, DISTANCES)),
}


def _at(v: Lanes, base: ir.Value, stride: ir.Value, number: int) -> ir.Value:
    return v.pointer(base, v.builder.mul(stride, ir.Constant(I64, number)))


def line_function(module: ir.Module, scalar: ir.Type, kind: int, count: int, size: int) -> ir.Function:
    """The LLVM function of a transform one way, for a tile of ``count`` outputs, a number being a vector of ``size``
    bytes; its arguments are (source, its step, target, its step)."""
    numbers, transform = TRANSFORMS[kind]

    def body(builder: ir.IRBuilder, arguments: Any) -> None:
        source, step, target, target_step = arguments
        v = vector.lanes_of(builder, scalar, size)
        for i, value in enumerate(transform([v.load(_at(v, source, step, i)) for i in range(numbers(count))], count)):
            v.store(_at(v, target, target_step, i), value)
        builder.ret_void()

    pointer = scalar.as_pointer()
    name = f"tinydl_line_{kind}_{count}_{named(scalar, size)}"
    return define(module, name, [pointer, I64, pointer, I64], body)


def tile_function(module: ir.Module, scalar: ir.Type, kind: int, count: int, size: int) -> ir.Function:
    """As :func:`line_function` both ways, for a tile of ``count`` x ``count``; its arguments are (source, its row
    and column, target, its row and column)."""
    numbers, transform = TRANSFORMS[kind]
    side = numbers(count)

    def body(builder: ir.IRBuilder, arguments: Any) -> None:
        source, row, column, target, target_row, target_column = arguments
        v = vector.lanes_of(builder, scalar, size)
        columns = [
            transform([v.load(_at(v, _at(v, source, column, j), row, i)) for i in range(side)], count)
            for j in range(side)
        ]
        for i in range(len(columns[0])):
            place = _at(v, target, target_row, i)
            for j, value in enumerate(transform([done[i] for done in columns], count)):
                v.store(_at(v, place, target_column, j), value)
        builder.ret_void()

    pointer = scalar.as_pointer()
    name = f"tinydl_tile_{kind}_{count}_{named(scalar, size)}"
    return define(module, name, [pointer, I64, I64, pointer, I64, I64], body)


def _transform(
    function: Callable[..., ir.Function], kind: Any, count: Any, source: Any, target: Any, steps: int
) -> Any:
    """The intrinsic of a function of a literal kind and count between places of flat arrays."""
    literals = isinstance(kind, types.IntegerLiteral) and isinstance(count, types.IntegerLiteral)
    if not literals or not flat(source, target):
        return None
    i = types.int64

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kinds, second = signature.args, 4 + steps
        called = function(
            builder.module, scalar_of(source), kind.literal_value, count.literal_value, vector.host_bytes()
        )
        builder.call(called, [
            element(context, builder, kinds[2], values[2], values[3]), *values[4:second],
            element(context, builder, kinds[second], values[second], values[second + 1]), *values[second + 2 :],
        ])  # fmt: skip
        return context.get_dummy_value()

    return types.void(kind, count, source, i, *(i,) * steps, target, i, *(i,) * steps), emit


@emitted
def line(typing: Any, kind: Any, count: Any, source: Any, s0: Any, step: Any, target: Any, t0: Any,
         target_step: Any) -> Any:  # fmt: skip
    """:func:`line_function` from source[s0] to target[t0]."""
    return _transform(line_function, kind, count, source, target, 1)


@emitted
def tile(typing: Any, kind: Any, count: Any, source: Any, s0: Any, row: Any, column: Any, target: Any, t0: Any,
         target_row: Any, target_column: Any) -> Any:  # fmt: skip
    """:func:`tile_function` from source[s0] to target[t0]."""
    return _transform(tile_function, kind, count, source, target, 2)


def fits(kernel: Ints, channels: int, others: int, dtype: Any, stride: Ints, padding: Ints, groups: int) -> bool:
    """Two to four taps in a row of columns, or of rows; whole vectors of channels, and so many that the products are
    most of the work."""
    lanes = vector.lanes(dtype)
    return (
        groups == 1
        and tuple(stride) == (1, 1, 1)
        and kernel[0] == 1
        and sorted(kernel)[:2] == [1, 1]
        and 2 <= max(kernel) <= 4
        and all(p == 0 for p, k in zip(padding, kernel) if k == 1)
        and channels % lanes == 0
        and others % lanes == 0
        and min(channels, others) >= 32
    )


@njit
def results(m: int, source: Array, s0: int, step: int, target: Array, t0: int, target_step: int) -> None:
    """``RESULT`` of a line, for any of the ``m`` that there are: a literal count makes other code."""
    if m == 5:
        line(RESULT, 5, source, s0, step, target, t0, target_step)
    elif m == 4:
        line(RESULT, 4, source, s0, step, target, t0, target_step)
    else:
        line(RESULT, 3, source, s0, step, target, t0, target_step)


@njit
def gradients(m: int, source: Array, s0: int, step: int, target: Array, t0: int, target_step: int) -> None:
    """``GRADIENT`` of a line."""
    if m == 5:
        line(GRADIENT, 5, source, s0, step, target, t0, target_step)
    elif m == 4:
        line(GRADIENT, 4, source, s0, step, target, t0, target_step)
    else:
        line(GRADIENT, 3, source, s0, step, target, t0, target_step)


@njit
def filters(m: int, lanes: int, w: Array, u: Array) -> None:
    """u[point][...] of w[tap][...]."""
    count = w.size // (POINTS + 1 - m)
    for n in range(0, count, lanes):
        if m == 5:
            line(FILTER, 5, w, n, count, u, n, count)
        elif m == 4:
            line(FILTER, 4, w, n, count, u, n, count)
        else:
            line(FILTER, 3, w, n, count, u, n, count)


@njit
def weights(m: int, lanes: int, s: Array, w: Array) -> None:
    """w[tap][...] of the sums s[point][...]."""
    count = s.size // POINTS
    for n in range(0, count, lanes):
        if m == 5:
            line(WEIGHT, 5, s, n, count, w, n, count)
        elif m == 4:
            line(WEIGHT, 4, s, n, count, w, n, count)
        else:
            line(WEIGHT, 3, s, n, count, w, n, count)


def weight_of(sums: Array, parts: int, kernel: Ints, O: int, C: int) -> Array:
    """The gradient [O, C, *kernel] of a weight from its sums [part][point][O][C], which are added up where they lie."""
    total, *others = sums.reshape(parts, -1)
    for other in others:
        total += other
    taps = np.empty((math.prod(kernel), O, C), sums.dtype)
    weights(POINTS + 1 - len(taps), vector.lanes(sums.dtype), total, taps.reshape(-1))
    return np.ascontiguousarray(taps.transpose(1, 2, 0)).reshape(O, C, *kernel)
