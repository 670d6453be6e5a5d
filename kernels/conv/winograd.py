"""Convolution with kernels of 3 x 3 by Winograd's F(4 x 4, 3 x 3), float32 and float64 (``cpu.winograd``).

Four neighbouring outputs of a filter of three taps see six inputs. Filter and inputs, taken as polynomials, can be
multiplied by their values at six points: six multiplications instead of twelve; in two dimensions, a tile of 4 x 4
outputs takes 36 instead of 144 (Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray,
arXiv:1509.09308)::

    forward   Y = A^T [ sum over c of  (G w G^T) (B^T x B) ] A        per tile: x 6 x 6, Y 4 x 4
    input     the same of the output's gradient, with the kernel turned round
    weight   dw = G^T [ sum over tiles of  (A g A^T) (B^T x B) ] G

The sums over channels, and over tiles, are 36 products of matrices. The points are 0, 3/4, -3/4, 3/2, -3/2 and
infinity: all constants of A and B are exact, and the error is a third of that of the points 0, 1, -1, 2, -2 which the
paper takes: with 64 channels in single precision 1.1e-6 of the largest result against 3.9e-6, where the plain sum has
0.8e-6 (Barabasz et al., arXiv:1803.10986, on the choice).

An image is laid out with its channels last, so that a vector is one number of a tile for as many channels, and every
transform is additions of whole vectors. Every entry of a result is summed by one thread in one order, the weight's
gradient in a fixed number of parts: bits do not depend on the number of threads. An infinity in the input makes NaN of
the tiles that see it, not only of the outputs (``use(conv_forward="cpu.shift")`` where that matters).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange, types
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.conv import spec
from tinydl.kernels.conv.shift import DEPTH, lay_out_channels_last
from tinydl.kernels.conv.spec import Ints
from tinydl.kernels.registry import register
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import (
    I64,
    Vector,
    define,
    element,
    emitted,
    flat,
    multiply,
    named,
    scalar_of,
    transpose,
)
from tinydl.kernels.workspace import plain, scratch

Array = NDArray[Any]

PARTS = 8  # in which the weight's gradient is summed
A, B = 0.75, 1.5  # the points, and their negatives
A2, B2, A3, B3 = A**2, B**2, A**3, B**3
FA, FB = 2 * A2 * (A2 - B2), 2 * B2 * (B2 - A2)  # the products of their distances from the other finite points


# ----------------------------------------------------------------------------------------------------- the transforms


def _image(d: Sequence[Vector]) -> list[Vector]:
    """B^T d: d times the polynomial that vanishes at all finite points but one, for each, and at all of them."""
    even_a, odd_a = d[4] - d[2] * B2, d[3] * A - d[1] * (A * B2)
    even_b, odd_b = d[4] - d[2] * A2, d[3] * B - d[1] * (A2 * B)
    return [
        d[0] * (A2 * B2) - d[2] * (A2 + B2) + d[4],
        even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b,
        d[1] * (A2 * B2) - d[3] * (A2 + B2) + d[5],
    ]  # fmt: skip


def _result(m: Sequence[Vector]) -> list[Vector]:
    """A^T m: powers of the points."""
    even_a, odd_a, even_b, odd_b = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    return [
        m[0] + even_a + even_b, odd_a * A + odd_b * B, even_a * A2 + even_b * B2, odd_a * A3 + odd_b * B3 + m[5],
    ]  # fmt: skip


def _gradient(g: Sequence[Vector]) -> list[Vector]:
    """A g: the values of a cubic polynomial at the points."""
    even_a, odd_a = g[0] + g[2] * A2, g[1] * A + g[3] * A3
    even_b, odd_b = g[0] + g[2] * B2, g[1] * B + g[3] * B3
    return [g[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g[3]]


def _filter(w: Sequence[Vector]) -> list[Vector]:
    """G w: the values of a quadratic polynomial at the points, over the products of distances."""
    even_a, odd_a = w[0] * (1 / FA) + w[2] * (A2 / FA), w[1] * (A / FA)
    even_b, odd_b = w[0] * (1 / FB) + w[2] * (B2 / FB), w[1] * (B / FB)
    return [w[0] * (1 / (A2 * B2)), even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, w[2]]


def _weight(s: Sequence[Vector]) -> list[Vector]:
    """G^T s."""
    even_a, odd_a, even_b, odd_b = s[1] + s[2], s[1] - s[2], s[3] + s[4], s[3] - s[4]
    return [
        s[0] * (1 / (A2 * B2)) + even_a * (1 / FA) + even_b * (1 / FB),
        odd_a * (A / FA) + odd_b * (B / FB),
        even_a * (A2 / FA) + even_b * (B2 / FB) + s[5],
    ]  # fmt: skip


IMAGE, RESULT, GRADIENT, FILTER, WEIGHT = range(5)
TRANSFORMS: dict[int, tuple[int, Callable[[Sequence[Vector]], list[Vector]]]] = {
    IMAGE: (6, _image), RESULT: (6, _result), GRADIENT: (4, _gradient), FILTER: (3, _filter), WEIGHT: (6, _weight),
}  # fmt: skip


def transform_function(module: ir.Module, scalar: ir.Type, kind: int, size: int) -> ir.Function:
    """The LLVM function of a transform both ways; its arguments are (source, its row and column, target, its row and
    column), and a number of the tile is a vector of ``size`` bytes."""
    side, one_way = TRANSFORMS[kind]

    def body(builder: ir.IRBuilder, arguments: Any) -> None:
        source, row, column, target, target_row, target_column = arguments
        v = vector.lanes_of(builder, scalar, size)

        def at(base: ir.Value, stride: ir.Value, number: int) -> ir.Value:
            return v.pointer(base, builder.mul(stride, ir.Constant(I64, number)))

        columns = [
            one_way([v.load(at(at(source, column, j), row, i)) for i in range(side)]) for j in range(side)
        ]
        for i in range(len(columns[0])):
            place = at(target, target_row, i)
            for j, value in enumerate(one_way([done[i] for done in columns])):
                v.store(at(place, target_column, j), value)
        builder.ret_void()

    pointer = scalar.as_pointer()
    return define(
        module, f"tinydl_winograd_{kind}_{named(scalar, size)}", [pointer, I64, I64, pointer, I64, I64], body
    )


@emitted
def _transform(typing: Any, kind: Any, source: Any, s0: Any, row: Any, column: Any, target: Any, t0: Any,
               target_row: Any, target_column: Any) -> Any:  # fmt: skip
    """:func:`transform_function` of a literal kind, between places of flat arrays."""
    if not flat(source, target) or not isinstance(kind, types.IntegerLiteral):
        return None
    i = types.int64

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        _, source, s0, row, column, target, t0, target_row, target_column = values
        kinds = signature.args
        function = transform_function(
            builder.module, scalar_of(kinds[1]), kind.literal_value, vector.host_bytes()
        )
        builder.call(function, [
            element(context, builder, kinds[1], source, s0), row, column,
            element(context, builder, kinds[5], target, t0), target_row, target_column,
        ])  # fmt: skip
        return context.get_dummy_value()

    return types.void(kind, source, i, i, i, target, i, i, i), emit


# -------------------------------------------------------------------------------------------------------- the kernels
#
# Channels are whole vectors. Tiles of several small images are taken together, T at once: tile t of a block stands at
# [point][t][channel]. ``wide`` is the columns of a product's tile, ``C`` and ``O`` the channels of what is read and of
# what is written.


@njit
def _filters(lanes: int, w: Array, u: Array) -> None:
    """u[point][...] of w[tap][...]."""
    count = w.size // 9
    for n in range(0, count, lanes):
        _transform(FILTER, w, n, 3 * count, count, u, n, 6 * count, count)


@njit
def _weights(lanes: int, s: Array, w: Array) -> None:
    """w[tap][...] of the sums s[point][...]."""
    count = s.size // 36
    for n in range(0, count, lanes):
        _transform(WEIGHT, s, n, 6 * count, count, w, n, 3 * count, count)


@njit
def _some_products(inner: int, wide: int, lanes: int, thread: int, threads: int, images: int, together: int, cuts: int,
                   C: int, O: int, size: Any, padding: Any, out: Any, T: int, phases: Array, x: Array, u: Array,
                   room: Array, room_size: int, y: Array) -> None:  # fmt: skip
    """y[image, O, *out] from x[image, C, *size] and u[point][C][O]: one thread's share."""
    H, W = (out[0] + 3) // 4, (out[1] + 3) // 4  # tiles
    wx, wy = 4 * W + 2, 4 * W
    plane = (4 * H + 2) * wx * C
    at = thread * room_size
    v_at = at + together * plane
    m_at = v_at + 36 * T * C
    y_at = m_at + 36 * T * O
    groups = (images + together - 1) // together
    for item in range(groups * cuts * thread // threads, groups * cuts * (thread + 1) // threads):
        first, cut = item // cuts * together, item % cuts
        count = min(together, images - first)
        for image in range(count):
            lay_out_channels_last(
                lanes, x, (first + image) * C * size[0] * size[1], C, (1, size[0], size[1]), (1, 1, 1),
                (0, -padding[0], -padding[1]), (1, 4 * H + 2, wx), phases, room, at + image * plane,
            )  # fmt: skip
        row0, row1 = H * cut // cuts, H * (cut + 1) // cuts
        begin, end = row0 * W, row1 * W + (count - 1) * H * W  # with several images there is one cut
        for start in range(begin, end, T):
            now = min(T, end - start)
            for t in range(now):
                i, j = (start + t) // W, (start + t) % W
                source = at + i // H * plane + (i % H * 4 * wx + 4 * j) * C
                for c in range(0, C, lanes):
                    _transform(IMAGE, room, source + c, wx * C, C, room, v_at + t * C + c, 6 * T * C, T * C)
            for point in range(36):
                for c in range(0, C, DEPTH):
                    for o in range(0, O, wide):
                        multiply(inner, now, room, v_at + point * T * C + c, C, 1, u, (point * C + c) * O + o, O, room,
                                 m_at + point * T * O + o, O, min(DEPTH, C - c), c)  # fmt: skip
            for t in range(now):
                i, j = (start + t) // W, (start + t) % W
                target = y_at + (i * 4 * wy + 4 * j) * O
                for o in range(0, O, lanes):
                    _transform(RESULT, room, m_at + t * O + o, 6 * T * O, T * O, room, target + o, wy * O, O)
        for image in range(count):
            for row in range(4 * row0, min(4 * row1, out[0])):
                target = (first + image) * O * out[0] * out[1] + row * out[1]
                transpose(lanes, y, target, out[0] * out[1], room, y_at + (image * 4 * H + row) * wy * O, O, out[1], O)


@njit(parallel=True)
def _products(inner: int, wide: int, lanes: int, threads: int, images: int, together: int, cuts: int, C: int, O: int,
              size: Any, padding: Any, out: Any, T: int, phases: Array, x: Array, u: Array, room: Array, room_size: int,
              y: Array) -> None:  # fmt: skip
    for index in prange(threads):
        thread: Any = np.int64(index)  # prange counts in uint64, which times int64 would be a float
        _some_products(inner, wide, lanes, thread, threads, images, together, cuts, C, O, size, padding, out, T, phases,
                       x, u, room, room_size, y)  # fmt: skip


@njit
def _some_sums(inner: int, wide: int, lanes: int, thread: int, threads: int, images: int, parts: int, C: int, O: int,
               size: Any, padding: Any, out: Any, T: int, phases: Array, x: Array, g: Array, room: Array,
               room_size: int, sums: Array) -> None:  # fmt: skip
    """sums[part][point][O][C], each over the images of a part: one thread's share."""
    H, W = (out[0] + 3) // 4, (out[1] + 3) // 4
    wx, wy = 4 * W + 2, 4 * W
    at = thread * room_size
    g_at = at + (4 * H + 2) * wx * C
    v_at = g_at + 4 * H * wy * O
    m_at = v_at + 36 * T * C
    for part in range(parts * thread // threads, parts * (thread + 1) // threads):
        begun = 0
        for image in range(images * part // parts, images * (part + 1) // parts):
            lay_out_channels_last(
                lanes, x, image * C * size[0] * size[1], C, (1, size[0], size[1]), (1, 1, 1),
                (0, -padding[0], -padding[1]), (1, 4 * H + 2, wx), phases, room, at,
            )  # fmt: skip
            lay_out_channels_last(
                lanes, g, image * O * out[0] * out[1], O, (1, out[0], out[1]), (1, 1, 1), (0, 0, 0), (1, 4 * H, wy),
                phases, room, g_at,
            )  # fmt: skip
            for start in range(0, H * W, T):
                now = min(T, H * W - start)
                for t in range(now):
                    i, j = (start + t) // W, (start + t) % W
                    source = at + (i * 4 * wx + 4 * j) * C
                    for c in range(0, C, lanes):
                        _transform(IMAGE, room, source + c, wx * C, C, room, v_at + t * C + c, 6 * T * C, T * C)
                    source = g_at + (i * 4 * wy + 4 * j) * O
                    for o in range(0, O, lanes):
                        _transform(GRADIENT, room, source + o, wy * O, O, room, m_at + t * O + o, 6 * T * O, T * O)
                for point in range(36):
                    for c in range(0, C, wide):
                        multiply(inner, O, room, m_at + point * T * O, 1, O, room, v_at + point * T * C + c, C, sums,
                                 (part * 36 + point) * O * C + c, C, now, begun)  # fmt: skip
                begun = 1


@njit(parallel=True)
def _sums(inner: int, wide: int, lanes: int, threads: int, images: int, parts: int, C: int, O: int, size: Any,
          padding: Any, out: Any, T: int, phases: Array, x: Array, g: Array, room: Array, room_size: int,
          sums: Array) -> None:  # fmt: skip
    for index in prange(threads):
        thread: Any = np.int64(index)
        _some_sums(inner, wide, lanes, thread, threads, images, parts, C, O, size, padding, out, T, phases, x, g, room,
                   room_size, sums)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- the variants

_ONE = np.zeros((1, 3), np.int64)  # the one phase of an image that is read with stride 1


def _block(C: int, O: int, size: int) -> int:
    """Tiles at once: their numbers at all points fill half of a second-level cache of a megabyte, unless there are so
    many channels that the filters, which are read anew for every block, would be most of what is read."""
    return max(8, min(128, max((1 << 19) // (36 * (C + O) * size), C * O // (C + O))))


@functools.lru_cache
def _panel(dtype: Any, columns: int) -> tuple[int, int]:
    """The tile of a product with so many columns, and its own columns: the widest that has no rest."""
    lanes = vector.lanes(dtype)
    vectors = max(n for n in range(1, 5) if columns % (n * lanes) == 0)
    return vector.panel(dtype, vectors), vectors * lanes


def _convolved(x: Array, w: Array, padding: Ints, out: Ints) -> Array:
    """x [B, C, 1, H, W], w [3, 3, C, O] -> [B, O, 1, *out]."""
    B, C, O, dtype = len(x), w.shape[2], w.shape[3], x.dtype
    y = np.empty((B, O, 1, *out), dtype)
    lanes, (inner, wide) = vector.lanes(dtype), _panel(dtype, O)
    u = scratch("winograd_filters", 36 * C * O, dtype)
    _filters(lanes, w.reshape(-1), u)
    tiles = -(-out[0] // 4), -(-out[1] // 4)
    number = tiles[0] * tiles[1]
    threads = worthwhile(2 * 36 * B * number * C * O)
    together = max(1, min(-(-B // threads), -(-32 // number)))
    cuts = 1 if together > 1 or B >= threads else min(threads, tiles[0])
    T = min(_block(C, O, x.itemsize), together * number)
    room = together * ((4 * tiles[0] + 2) * (4 * tiles[1] + 2) * C + 16 * number * O) + 36 * T * (C + O)
    arguments = (
        B, together, cuts, C, O, x.shape[3:], padding, out, T, _ONE, plain(x).reshape(-1), u,
        scratch("winograd", threads * room, dtype), room, y.reshape(-1),
    )  # fmt: skip
    if threads == 1:
        _some_products(inner, wide, lanes, 0, 1, *arguments)
    else:
        with num_threads(threads):
            _products(inner, wide, lanes, threads, *arguments)
    return y


def _fits(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> bool:
    lanes = vector.lanes(x.dtype)
    return (
        groups == 1
        and w.shape[2:] == (1, 3, 3)
        and tuple(stride) == tuple(dilation) == (1, 1, 1)
        and padding[0] == 0
        and max(padding) <= 2
        and w.shape[0] % lanes == 0
        and w.shape[1] % lanes == 0
        and len(x) > 0
    )


def _accepts(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> bool:
    """3 x 3 and nothing special, whole vectors of channels, and at least a tile each way."""
    return _fits(x, w, stride, padding, dilation, groups) and x.shape[2] == 1 and min(x.shape[3:]) >= 6


def _accepts_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> bool:
    return _fits(g, w, stride, padding, dilation, groups) and size[0] == 1 and min(size[1:]) >= 6


def _accepts_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> bool:
    w = np.broadcast_to(g[:1, :1, :1, :1, :1], (g.shape[1], x.shape[1], *kernel)) if len(g) else g
    return len(g) > 0 and _accepts(x, w, stride, padding, dilation, groups)


@register(op="conv_forward", name="cpu.winograd", dtypes=("float32", "float64"), accepts=_accepts, default=True)
def conv_forward(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
    """See the head of the file."""
    spec.check("conv_forward", "cpu.winograd", groups, x=x, w=w)
    out = spec.positions(x.shape[3:], (3, 3), (1, 1), padding[1:], (1, 1))
    return _convolved(x, np.ascontiguousarray(w[:, :, 0].transpose(2, 3, 1, 0)), tuple(padding[1:]), out)


@register(op="conv_input", name="cpu.winograd", dtypes=("float32", "float64"), accepts=_accepts_input, default=True)
def conv_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_input", "cpu.winograd", groups, g=g, w=w)
    turned = np.ascontiguousarray(w[:, :, 0, ::-1, ::-1].transpose(2, 3, 0, 1))
    return _convolved(g, turned, (2 - padding[1], 2 - padding[2]), tuple(size[1:]))


@register(op="conv_weight", name="cpu.winograd", dtypes=("float32", "float64"), accepts=_accepts_weight, default=True)
def conv_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> Array:
    """See the head of the file."""
    spec.check("conv_weight", "cpu.winograd", groups, g=g, x=x)
    B, O, C, dtype, out = len(g), g.shape[1], x.shape[1], x.dtype, g.shape[3:]
    lanes, (inner, wide) = vector.lanes(dtype), _panel(dtype, C)
    tiles = -(-out[0] // 4), -(-out[1] // 4)
    parts = max(1, min(B, PARTS, 16_000_000 // (36 * O * C)))
    threads = min(worthwhile(2 * 36 * B * tiles[0] * tiles[1] * C * O), parts)
    T = min(_block(C, O, x.itemsize), tiles[0] * tiles[1])
    room = (4 * tiles[0] + 2) * (4 * tiles[1] + 2) * C + 16 * tiles[0] * tiles[1] * O + 36 * T * (C + O)
    sums = np.empty((parts, 36, O, C), dtype)
    arguments = (
        B, parts, C, O, x.shape[3:], tuple(padding[1:]), out, T, _ONE, plain(x).reshape(-1), plain(g).reshape(-1),
        scratch("winograd", threads * room, dtype), room, sums.reshape(-1),
    )  # fmt: skip
    if threads == 1:
        _some_sums(inner, wide, lanes, 0, 1, *arguments)
    else:
        with num_threads(threads):
            _sums(inner, wide, lanes, threads, *arguments)
    dw = np.empty((9, O, C), dtype)
    _weights(lanes, np.add.reduce(sums, axis=0).reshape(-1), dw.reshape(-1))
    return np.ascontiguousarray(dw.transpose(1, 2, 0)).reshape(O, C, 1, 3, 3)
