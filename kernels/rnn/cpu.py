"""Recurrent nets over a sequence: the fused kernels, forward and backward (``cpu.fused``).

The batch is divided over the threads and each thread walks all T steps of its own sequences, so that no step waits for
another thread. What one step does, forward:

    z = [h, x_t]                      one row per sequence, in a buffer that stays in the first-level cache
    for each panel of hidden units:   (16 units in single precision with AVX-512)
        gates = z @ W                 one matrix tile product; the panel's gates lie side by side, 4 x 16 columns
        c, h = cell(gates + b)        at once, while the tile is still in the cache

and backward, in reverse order: gate gradients from dh and dc, then dh = dgates @ W_hh (and dx = dgates @ W_ih). The
weight gradients are one product over all steps at the end, [x, 1]^T @ dgates and [h, 1]^T @ dgates, where the ones give
the gradient of the bias.

Gates are kept in *panels*, ``[P, T, B, 4, lanes]``: a panel is a contiguous matrix of T*B rows, just what the weight
product reads. What the four blocks are depends on the cell: LSTM i, f, g, o; GRU n (input part), r, z, n (hidden part);
plain net four groups of hidden units. Columns that stand for no hidden unit have zero weights, bias and gradient.

Sequences of different lengths are sorted, longest first, so that in each thread's share those still running at step s
are the first n rows, and all products are over n rows only. ``reverse`` is only another time index, length - 1 - s.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.rnn import spec
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import Lanes, Vector, add, copy, emitted, move, multiply
from tinydl.kernels.workspace import empty, scratch

Array = NDArray[Any]

#: Steps of the sum in a weight gradient that are done at once: 128 rows of a panel of dgates are 32 KiB, the
#: first-level cache.
DEPTH = 128


class Shape(NamedTuple):
    """Sizes of one call. Its subclass says which cell it is: the *type* chooses the code, the values are data."""

    T: int
    B: int
    I: int
    H: int
    P: int  # panels
    units: int  # hidden units per panel
    lanes: int
    relu: int  # of the plain net: 1 for relu, 0 for tanh


class Cell(Shape):
    """A kind of cell: how many gates it has, and how a panel of packed weights lays them out."""
    __slots__ = ()
    gates: ClassVar[int]  # G, as the weights count them
    width: ClassVar[int]  # vectors in a row of the packed weights
    vectors: ClassVar[int]  # vectors of hidden units in a panel
    x_blocks: ClassVar[tuple[int, tuple[int, ...]]]  # the first block a product with x goes to, and all their gates
    h_blocks: ClassVar[tuple[int, tuple[int, ...]]]  # the same for products with h
    state: ClassVar[int]  # the output a step of the backward needs: -1 the previous one, 1 its own, 0 none


class LSTM(Cell):
    """Gates i, f, g, o, all of them fed by x and by h."""
    __slots__ = ()
    gates, width, vectors, state = 4, 4, 1, 0
    x_blocks = h_blocks = (0, (0, 1, 2, 3))


class GRU(Cell):
    """Gates r, z, n; the share of h in n stands apart, because r multiplies it."""
    __slots__ = ()
    gates, width, vectors, state = 3, 3, 1, -1
    x_blocks = (0, (2, 0, 1))  # n, r, z
    h_blocks = (1, (0, 1, 2))  # r, z, n


class RNN(Cell):
    """Both plain nets; which one, tanh or relu, is a value,
    for they would share all of the compiled code but one line."""

    __slots__ = ()
    gates, width, vectors, state = 1, 4, 4, 1
    x_blocks = h_blocks = (0, (0, 0, 0, 0))


# -- one panel of one cell ------------------------------------------------------------------------------------------


class Operands(NamedTuple):
    """Where the vectors of one sequence and one panel stand; a cell reads and writes those it has."""

    gates: ir.Value
    bias: ir.Value
    c_previous: ir.Value
    c: ir.Value
    h_previous: ir.Value
    h: ir.Value
    dh: ir.Value
    dc: ir.Value
    dgates: ir.Value
    row_h: ir.Value  # the gate gradients once more, as the row that multiplies W_hh^T
    row_x: ir.Value  # and W_ih^T
    relu: ir.Value


def _lstm_forward(v: Lanes, o: Operands) -> None:
    i, f, g, out = (v.load(o.gates, k) + v.load(o.bias, k) for k in range(4))
    i, f, g, out = v.sigmoid(i), v.sigmoid(f), v.tanh(g), v.sigmoid(out)
    c = f * v.load(o.c_previous) + i * g
    for k, gate in enumerate((i, f, g, out)):
        v.store(o.gates, gate, k)
    v.store(o.c, c)
    v.store(o.h, out * v.tanh(c))


def _lstm_backward(v: Lanes, o: Operands) -> None:
    # h = out tanh(c), c = f c' + i g; sigma' = sigma (1 - sigma), tanh' = 1 - tanh^2
    i, f, g, out = (v.load(o.gates, k) for k in range(4))
    tanh_c, dh = v.tanh(v.load(o.c)), v.load(o.dh)
    dc = v.load(o.dc) + dh * out * (1.0 - tanh_c * tanh_c)
    _store_row(v, (o.dgates, o.row_h), (
        dc * g * i * (1.0 - i),
        dc * v.load(o.c_previous) * f * (1.0 - f),
        dc * i * (1.0 - g * g),
        dh * tanh_c * out * (1.0 - out),
    ))  # fmt: skip
    v.store(o.dc, dc * f)


def _gru_forward(v: Lanes, o: Operands) -> None:
    n, r, z, hidden = (v.load(o.gates, k) + v.load(o.bias, k) for k in range(4))
    r, z = v.sigmoid(r), v.sigmoid(z)
    n = v.tanh(n + r * hidden)
    for k, value in enumerate((n, r, z, hidden)):
        v.store(o.gates, value, k)
    v.store(o.h, n + z * (v.load(o.h_previous) - n))


def _gru_backward(v: Lanes, o: Operands) -> None:
    # h = n + z (h' - n), n = tanh(a + r m) with m = W_hn h' + b_hn
    n, r, z, hidden = (v.load(o.gates, k) for k in range(4))
    dh = v.load(o.dh)
    dn = dh * (1.0 - z) * (1.0 - n * n)
    dr = dn * hidden * r * (1.0 - r)
    dz = dh * (v.load(o.h_previous) - n) * z * (1.0 - z)
    _store_row(v, (o.dgates,), (dn, dr, dz, dn * r))
    _store_row(v, (o.row_x,), (dn, dr, dz))
    _store_row(v, (o.row_h,), (dr, dz, dn * r))
    v.store(o.dh, dh * z)  # the product with W_hh^T is added


def _rnn_forward(v: Lanes, o: Operands) -> None:
    with v.builder.if_else(v.builder.trunc(o.relu, ir.IntType(1))) as (relu, tanh):
        for branch, activation in ((relu, v.relu), (tanh, v.tanh)):
            with branch:
                for k in range(4):
                    v.store(o.h, activation(v.load(o.gates, k) + v.load(o.bias, k)), k)


def _rnn_backward(v: Lanes, o: Operands) -> None:
    # both slopes follow from the output: 1 - h^2 for tanh, 1 where h > 0 for relu
    pairs = [(v.load(o.h, k), v.load(o.dh, k)) for k in range(4)]
    with v.builder.if_else(v.builder.trunc(o.relu, ir.IntType(1))) as (relu, tanh):
        with relu:
            _store_row(v, (o.dgates, o.row_h), tuple(v.where(">", h, 0.0, dh, 0.0) for h, dh in pairs))
        with tanh:
            _store_row(v, (o.dgates, o.row_h), tuple(dh * (1.0 - h * h) for h, dh in pairs))


def _store_row(v: Lanes, targets: tuple[ir.Value, ...], values: tuple[Vector, ...]) -> None:
    for target in targets:
        for k, value in enumerate(values):
            v.store(target, value, k)


CELLS: dict[type, tuple[Callable[[Lanes, Operands], None], Callable[[Lanes, Operands], None]]] = {
    LSTM: (_lstm_forward, _lstm_backward),
    GRU: (_gru_forward, _gru_backward),
    RNN: (_rnn_forward, _rnn_backward),
}


@emitted
def cell_forward(typing: Any, shape: Any, gates: Any, g: Any, bias: Any, b: Any, cells: Any, c_previous: Any, c: Any,
                 z: Any, h_previous: Any, h: Any) -> Any:  # fmt: skip
    """One sequence, one panel: gates (in place), c and h from the sums in ``gates[g:]``."""
    if not vector.flat(gates, bias, cells, z):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        shape, gates, g, bias, b, cells, c_previous, c, z, h_previous, h = values
        kinds = signature.args
        v = Lanes(builder, vector.scalar_of(kinds[1]))

        def at(k: int, array: Any, offset: Any) -> ir.Value:
            return vector.element(context, builder, kinds[k], array, offset)

        nothing = at(1, gates, g)
        operands = Operands(
            at(1, gates, g), at(3, bias, b), at(5, cells, c_previous), at(5, cells, c), at(8, z, h_previous), at(8, z,
                                                                                                                 h),
            nothing, nothing, nothing, nothing, nothing, builder.extract_value(shape, len(Shape._fields) - 1),
        )  # fmt: skip
        CELLS[kinds[0].instance_class][0](v, operands)
        return context.get_dummy_value()

    i = types.int64
    return types.void(shape, gates, i, bias, i, cells, i, i, z, i, i), emit


@emitted
def cell_backward(typing: Any, shape: Any, gates: Any, g: Any, cells: Any, c_previous: Any, c: Any, state: Any, h: Any,
                  dh: Any, d: Any, dc: Any, dgates: Any, rows_h: Any, row_h: Any, rows_x: Any,
                  row_x: Any) -> Any:  # fmt: skip
    """One sequence, one panel: gate gradients from dh and dc (both at ``d``), which are updated for the step before."""
    if not vector.flat(gates, cells, state, dh, dc, dgates, rows_h, rows_x):
        return None

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        shape, gates, g, cells, c_previous, c, state, h, dh, d, dc, dgates, rows_h, row_h, rows_x, row_x = values
        kinds = signature.args
        v = Lanes(builder, vector.scalar_of(kinds[1]))

        def at(k: int, array: Any, offset: Any) -> ir.Value:
            return vector.element(context, builder, kinds[k], array, offset)

        operands = Operands(
            at(1, gates, g), at(1, gates, g), at(3, cells, c_previous), at(3, cells, c), at(6, state, h), at(6, state,
                                                                                                             h),
            at(8, dh, d), at(10, dc, d), at(11, dgates, g), at(12, rows_h, row_h), at(14, rows_x, row_x),
            builder.extract_value(shape, len(Shape._fields) - 1),
        )  # fmt: skip
        CELLS[kinds[0].instance_class][1](v, operands)
        return context.get_dummy_value()

    i = types.int64
    return types.void(shape, gates, i, cells, i, i, state, i, dh, i, dc, dgates, rows_h, i, rows_x, i), emit


@emitted
def blocks(typing: Any, shape: Any) -> Any:
    """(first block of the products with x, first block of those with h, whether both share their blocks)."""
    result = types.UniTuple(types.int64, 3)
    cell = shape.instance_class

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        numbers = (cell.x_blocks[0], cell.h_blocks[0], int(cell.x_blocks == cell.h_blocks))
        return context.make_tuple(builder, result, [ir.Constant(vector.I64, k) for k in numbers])

    return result(shape), emit


@emitted
def row_length(typing: Any, shape: Any) -> Any:
    """Vectors in a row of the packed weights."""
    width = shape.instance_class.width
    return types.int64(shape), lambda context, builder, signature, values: ir.Constant(vector.I64, width)


# -- packing --------------------------------------------------------------------------------------------------------


@njit
def _gather(weight: Array, columns: Any, rows: Array, first: int, count: int, packed: Array, at: int) -> None:
    """packed[at + k * count + j] = weight[rows[first + j], k], or 0 where the row is -1; 16 k at a time,
    for the cache."""
    for k0 in range(0, columns, 16):
        k1 = min(columns, k0 + 16)
        for j in range(count):
            row = rows[first + j]
            if row < 0:
                for k in range(k0, k1):
                    packed[at + k * count + j] = 0
            else:
                for k in range(k0, k1):
                    packed[at + k * count + j] = weight[row * columns + k]


@shared
def _pack(thread: int, threads: int, P: int, I: int, H: int, count: int, w_ih: Array, rows_x: Array, w_hh: Array,
          rows_h: Array, packed: Array) -> None:  # fmt: skip
    """Forward weights: packed[p] is the matrix [H + I, count] of panel p, first W_hh's columns, then W_ih's."""
    for p in range(P * thread // threads, P * (thread + 1) // threads):
        at = p * (H + I) * count
        _gather(w_hh, H, rows_h, p * count, count, packed, at)
        _gather(w_ih, I, rows_x, p * count, count, packed, at + H * count)


@shared
def _pack_transposed(thread: int, threads: int, columns: int, lanes: int, weight: Array, rows: Array,
                     packed: Array) -> None:  # fmt: skip
    """Backward weights: the columns of ``weight`` in panels of 4 vectors, those left over in single vectors.

    The panel that starts at column j is the matrix [K, its columns] at packed[j * K], whose row k is row rows[k] of
    ``weight``.
    """
    K = rows.size
    whole = columns // (4 * lanes)
    panels = whole + (columns - whole * 4 * lanes + lanes - 1) // lanes
    for panel in range(panels * thread // threads, panels * (thread + 1) // threads):
        start = panel * 4 * lanes if panel < whole else whole * 4 * lanes + (panel - whole) * lanes
        count = 4 * lanes if panel < whole else lanes
        used = min(count, columns - start)
        for k in range(K):
            at = start * K + k * count
            if rows[k] < 0:
                packed[at : at + count] = 0
            else:
                copy(packed, at, weight, rows[k] * columns + start, used)
                for j in range(used, count):
                    packed[at + j] = 0


@njit
def _time(step: int, length: int, reverse: int) -> int:
    return length - 1 - step if reverse else step


# -- forward --------------------------------------------------------------------------------------------------------


@shared
def _forward(thread: int, threads: int, bounds: Array, shape: Any, panel: int, reverse: int, keep: int, x: Array,
             h0: Array, c0: Array, bias: Array, packed: Array, order: Array, lengths: Array, z: Array, stride: int,
             gates: Array, cells: Array, output: Array, h_n: Array, c_n: Array) -> None:  # fmt: skip
    """All steps of a thread's sequences (in sorted order)."""
    r0, r1 = bounds[thread], bounds[thread + 1]
    T, B, I, H, P, units, lanes, _ = shape
    x_block, h_block, together = blocks(shape)
    count = row_length(shape) * lanes
    row = 4 * lanes
    for r in range(r0, r1):
        b = order[r]
        copy(z, r * stride, h0, b * H, H)
        if lengths[r] > 0:
            copy(z, r * stride + H, x, (_time(0, lengths[r], reverse) * B + b) * I, I)
        if c0.size > 0:
            for p in range(P):
                at = (p * (T + 1) * B + r) * units
                used = min(units, H - p * units)
                copy(cells, at, c0, b * H + p * units, used)
                for j in range(used, units):
                    cells[at + j] = 0
    n = r1 - r0
    for s in range(T):
        while n > 0 and lengths[r0 + n - 1] <= s:
            n -= 1
        if n == 0:
            break
        now = ((s % 2) * B + r0) * stride
        after = (((s + 1) % 2) * B + r0) * stride
        for p in range(P):
            g = ((p * T + s) * B + r0) * row if keep else r0 * row
            w = p * (H + I) * count
            if together:
                multiply(panel, n, z, now, stride, 1, packed, w, count, gates, g, row, H + I, 0)
            else:
                for r in range(n):
                    for j in range(h_block * lanes):
                        gates[g + r * row + j] = 0
                multiply(panel, n, z, now, stride, 1, packed, w, count, gates, g + h_block * lanes, row, H, 0)
                multiply(panel, n, z, now + H, stride, 1, packed, w + H * count, count, gates, g + x_block * lanes,
                         row, I, 1)
            c = ((p * (T + 1) + s) * B + r0) * units
            for r in range(n):
                cell_forward(shape, gates, g + r * row, bias, p * row, cells, c + r * units, c + (B + r) * units,
                             z, now + r * stride + p * units, after + r * stride + p * units)  # fmt: skip
        for r in range(n):
            b = order[r0 + r]
            length = lengths[r0 + r]
            copy(output, (_time(s, length, reverse) * B + b) * H, z, after + r * stride, H)
            if s + 1 < length:
                copy(z, after + r * stride + H, x, (_time(s + 1, length, reverse) * B + b) * I, I)
    for r in range(r0, r1):
        b = order[r]
        length = lengths[r]
        copy(h_n, b * H, z, ((length % 2) * B + r) * stride, H)
        if c0.size > 0:
            for p in range(P):
                copy(c_n, b * H + p * units, cells, ((p * (T + 1) + length) * B + r) * units, min(units, H - p * units))
        for t in range(length, T):
            output[(t * B + b) * H : (t * B + b + 1) * H] = 0


# -- backward -------------------------------------------------------------------------------------------------------


@njit
def _multiply_transposed(panel_4: int, panel_1: int, n: int, a: Array, a0: int, K: int, packed: Array, columns: int,
                         lanes: int, c: Array, c0: int,
                         stride: int, accumulate: int) -> None:  # fmt: skip
    """c (+)= a @ packed for n rows, where ``packed`` is what :func:`_pack_transposed` makes."""
    j = 0
    while j + 4 * lanes <= columns:
        multiply(panel_4, n, a, a0, K, 1, packed, j * K, 4 * lanes, c, c0 + j, stride, K, accumulate)
        j += 4 * lanes
    while j < columns:
        multiply(panel_1, n, a, a0, K, 1, packed, j * K, lanes, c, c0 + j, stride, K, accumulate)
        j += lanes


@shared
def _backward(thread: int, threads: int, bounds: Array, shape: Any, panel_4: int, panel_1: int, stack: int,
              reverse: int, which: int, needs_x: int, needs_w: int, x: Array, h0: Array, output: Array, g_output: Array,
              packed_h: Array, packed_x: Array, order: Array, lengths: Array, gates: Array, cells: Array, dh: Array,
              dc: Array, stride: int, state: Array, dgates: Array, rows_h: Array, rows_x: Array, K: int, dx: Array,
              dx_stride: int, g_x: Array, staged: Array, tiles_x: int, tiles_h: int,
              columns: Array) -> None:  # fmt: skip
    """The recurrence backward for a thread's sequences, and their rows of [x, 1] and [h, 1] for the weights."""
    r0, r1 = bounds[thread], bounds[thread + 1]
    T, B, I, H, P, units, lanes, _ = shape
    together = blocks(shape)[2]
    row = 4 * lanes
    part = row_length(shape) * lanes
    length_staged = (tiles_x + tiles_h) * stack
    for s in range(T - 1, -1, -1):
        n = 0
        while n < r1 - r0 and lengths[r0 + n] > s:
            n += 1
        for r in range(r0, r0 + n):
            b = order[r]
            t = _time(s, lengths[r], reverse)
            if g_output.size > 0:
                add(dh, r * stride, g_output, (t * B + b) * H, H)
            if which == 1:
                copy(state, r * stride, output, (t * B + b) * H, H)
            elif which == -1:
                if s == 0:
                    copy(state, r * stride, h0, b * H, H)
                else:
                    copy(state, r * stride, output, (_time(s - 1, lengths[r], reverse) * B + b) * H, H)
        for p in range(P):
            g = ((p * T + s) * B + r0) * row
            c = ((p * (T + 1) + s) * B + r0) * units
            for r in range(n):
                d = (r0 + r) * stride + p * units
                at = (r0 + r) * K + p * part
                cell_backward(shape, gates, g + r * row, cells, c + r * units, c + (B + r) * units, state, d,
                              dh, d, dc, dgates, rows_h, at, rows_x, at)  # fmt: skip
            for j in range(g + n * row, g + (r1 - r0) * row):
                dgates[j] = 0
        if n > 0:
            _multiply_transposed(panel_4, panel_1, n, rows_h, r0 * K, K, packed_h, H, lanes, dh, r0 * stride, stride,
                                 0 if together else 1)
            if needs_x:
                _multiply_transposed(panel_4, panel_1, n, rows_h if together else rows_x, r0 * K, K, packed_x, I,
                                     lanes, dx, r0 * dx_stride,
                                     dx_stride, 0)  # fmt: skip
                for r in range(r0, r0 + n):
                    copy(g_x, (_time(s, lengths[r], reverse) * B + order[r]) * I, dx, r * dx_stride, I)
        if needs_w:
            for r in range(r0, r1):
                at = r * length_staged
                if r - r0 < n:
                    b = order[r]
                    copy(staged, at, x, (_time(s, lengths[r], reverse) * B + b) * I, I)
                    at += tiles_x * stack
                    if s == 0:
                        copy(staged, at, h0, b * H, H)
                    else:
                        copy(staged, at, output, (_time(s - 1, lengths[r], reverse) * B + b) * H, H)
                else:  # its dgates are zero, but 0 * what is left in the buffer could be NaN
                    for j in range(I):
                        staged[at + j] = 0
                    for j in range(H):
                        staged[at + tiles_x * stack + j] = 0
            for tile in range(tiles_x + tiles_h):
                for r in range(r0, r1):
                    move(columns, ((tile * T + s) * B + r) * stack, staged, r * length_staged + tile * stack, stack)
    if needs_x:
        for r in range(r0, r1):
            for t in range(lengths[r], T):
                g_x[(t * B + order[r]) * I : (t * B + order[r] + 1) * I] = 0


@njit
def _scatter(products: Array, at: int, stack: int, first: int, size: int, count: int, rows: Array, r0: int,
             weight: Array, bias: Array) -> None:  # fmt: skip
    """Put the tile whose rows are the inputs ``first`` on where it belongs: weight[row, input], and bias[row] last."""
    for j in range(count):
        row = rows[r0 + j]
        if row >= 0:
            for i in range(min(stack, size - first)):
                weight[row * size + first + i] = products[at + i * count + j]
            if first <= size < first + stack:
                bias[row] = products[at + (size - first) * count + j]


@shared
def _weights(thread: int, threads: int, shape: Any, panel: int, stack: int, depth: int, dgates: Array, columns: Array,
             tiles_x: int, tiles_h: int, products: Array, map_x: Array, map_h: Array, g_w_ih: Array, g_b_ih: Array,
             g_w_hh: Array, g_b_hh: Array) -> None:  # fmt: skip
    """A share of the (panel, tile) pairs of [x, 1, h, 1]^T @ dgates; every sum is formed by one thread,
    in one order."""
    T, B, I, H, P, _, lanes, _ = shape
    x_block, h_block, _ = blocks(shape)
    count = row_length(shape) * lanes
    row = 4 * lanes
    K = T * B
    tiles = tiles_x + tiles_h
    here = thread * tiles * stack * count
    item = P * tiles * thread // threads
    last = P * tiles * (thread + 1) // threads
    while item < last:
        p = item // tiles
        first = item % tiles
        end = min(tiles, first + last - item)
        for k in range(0, K, depth):
            now = min(depth, K - k)
            for tile in range(first, end):
                block = x_block if tile < tiles_x else h_block
                multiply(panel, stack, columns, (tile * K + k) * stack, 1, stack, dgates,
                         (p * K + k) * row + block * lanes,
                         row, products, here + tile * stack * count, count, now, k)  # fmt: skip
        for tile in range(first, end):
            at = here + tile * stack * count
            if tile < tiles_x:
                _scatter(products, at, stack, tile * stack, I, count, map_x, p * count, g_w_ih, g_b_ih)
            else:
                _scatter(products, at, stack, (tile - tiles_x) * stack, H, count, map_h, p * count, g_w_hh, g_b_hh)
        item += end - first


# -- the checked wrappers -------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _maps(cell: Any, P: int, H: int, lanes: int) -> tuple[Array, Array]:
    """For each packed column (panel, block, lane): the row of w_ih, and of w_hh, it stands for; -1 for none."""
    unit = np.arange(P)[:, None, None] * cell.vectors * lanes + np.arange(lanes)
    if cell.vectors > 1:
        unit = unit + np.arange(cell.vectors)[:, None] * lanes
    maps = []
    for _, gates in (cell.x_blocks, cell.h_blocks):
        gate = np.array(gates)[None, :, None]
        rows = np.where(unit < H, gate * H + unit, -1).reshape(-1)
        rows.setflags(write=False)
        maps.append(np.ascontiguousarray(rows))
    return maps[0], maps[1]


def _flat(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1)


class _Call:
    """Sizes, order of the sequences and shares of the threads of one call."""

    def __init__(self, cell: type[Cell], x: Array, w_hh: Array, lengths: Array | None, relu: bool) -> None:
        T, B, I = x.shape
        H = w_hh.shape[1]
        self.dtype = x.dtype
        self.lanes = vector.lanes(x.dtype)
        units = cell.vectors * self.lanes
        P = -(-H // units)
        self.cell = cell
        self.shape = cell(T, B, I, H, P, units, self.lanes, int(relu))
        self.pool = worthwhile(2 * T * B * len(w_hh) * (I + H))
        self.threads = max(1, min(self.pool, B))
        if lengths is None:
            self.order = np.arange(B)
            self.lengths = np.full(B, T)
        else:
            self.order = np.argsort(-lengths, kind="stable")
            self.lengths = lengths[self.order].astype(np.int64)
        # Neighbours in sorted order make a share, so that each is sorted; the shares have equal numbers of steps.
        steps = np.cumsum(self.lengths + 1)
        goals = steps[-1] * np.arange(1, self.threads) / self.threads
        self.bounds = np.concatenate([[0], np.searchsorted(steps, goals, side="right"), [B]]).astype(np.int64)
        self.map_x, self.map_h = _maps(cast(Hashable, cell), P, H, self.lanes)

    def scratch(self, name: str, size: int) -> Array:
        return scratch(name, size, self.dtype)

    def bias(self, b_ih: Array | None, b_hh: Array | None) -> Array:
        """The biases in panels, [P, 4, lanes], both in one where a gate adds both."""
        packed = np.zeros((self.shape.P, 4, self.lanes), self.dtype)
        for bias, (first, gates), rows in (
            (b_ih, self.cell.x_blocks, self.map_x),
            (b_hh, self.cell.h_blocks, self.map_h),
        ):
            if bias is not None:
                values = np.where(rows >= 0, np.ascontiguousarray(bias)[np.maximum(rows, 0)], 0)
                packed[:, first : first + len(gates)] += values.reshape(self.shape.P, len(gates), self.lanes)
        return packed.reshape(-1)


def _run_forward(cell: type[Cell], x: Array, h0: Array, c0: Array | None, w_ih: Array, w_hh: Array, b_ih: Array | None,
                 b_hh: Array | None, lengths: Array | None, reverse: bool,
                 relu: bool = False) -> tuple[Array, Array, Array | None, Array, Array]:  # fmt: skip
    call = _Call(cell, x, w_hh, lengths, relu)
    T, B, I, H, P, units, lanes, _ = shape = call.shape
    dtype = x.dtype
    count = cell.width * lanes
    packed = call.scratch("packed", P * (H + I) * count)
    stride = -(-max(H + I, P * units) // lanes) * lanes + lanes
    z = call.scratch("z", 2 * B * stride)
    keep = cell.vectors == 1  # the plain net's backward needs nothing but its output
    gates = empty((P, T, B, 4, lanes), dtype) if keep else call.scratch("gates", B * 4 * lanes)
    cells = empty((P, T + 1, B, units), dtype) if c0 is not None else np.empty(1, dtype)
    if lengths is not None and keep:  # the steps past an end are not computed, but another variant may read them
        gates[...] = 0
        cells[...] = 0
    output, h_n = np.empty((T, B, H), dtype), np.empty((B, H), dtype)
    c_n = np.empty((B, H), dtype) if c0 is not None else None
    none = np.empty(0, dtype)
    with num_threads(call.pool):
        _pack(call.pool, P, I, H, count, _flat(w_ih), call.map_x, _flat(w_hh), call.map_h, packed)
        _forward(call.threads, call.bounds, shape, vector.panel(dtype, cell.width), int(reverse), int(keep), _flat(x),
                 _flat(h0), none if c0 is None else _flat(c0), call.bias(b_ih, b_hh), packed, call.order, call.lengths,
                 z, stride, gates.reshape(-1), cells.reshape(-1), output.reshape(-1), h_n.reshape(-1),
                 none if c_n is None else c_n.reshape(-1))  # fmt: skip
    return output, h_n, c_n, gates, cells


def _run_backward(cell: type[Cell], g_output: Array | None, g_hn: Array | None, g_cn: Array | None, x: Array, h0: Array,
                  c0: Array | None, w_ih: Array, w_hh: Array, lengths: Array | None, reverse: bool, output: Array,
                  gates: Array, cells: Array, needs: tuple[bool, ...],
                  relu: bool = False) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients for (x, h0, c0, w_ih, w_hh, b_ih, b_hh)."""
    call = _Call(cell, x, w_hh, lengths, relu)
    T, B, I, H, P, units, lanes, _ = shape = call.shape
    dtype = x.dtype
    threads = call.threads
    K = P * cell.width * lanes
    needs_x, needs_w = needs[0], any(needs[3:])
    none = np.empty(0, dtype)

    wide = 4 * lanes
    packed_h = call.scratch("packed_h", -(-H // wide) * wide * K)
    packed_x = none
    if needs_x:
        packed_x = call.scratch("packed_x", -(-I // wide) * wide * K)

    stride = P * units + wide
    dh, dc, state = (call.scratch(name, B * stride).reshape(B, stride) for name in ("dh", "dc", "state"))
    for running, gradient in ((dh, g_hn), (dc, g_cn), (state, None)):
        running[...] = 0
        if gradient is not None:
            running[:, :H] = gradient[call.order]
    dx_stride = -(-I // lanes) * lanes + lanes
    g_x = np.empty((T, B, I), dtype) if needs_x else none
    stack = vector.tile_rows(cell.width)
    tiles_x, tiles_h = -(-(I + 1) // stack), -(-(H + 1) // stack)
    staged = call.scratch("staged", B * (tiles_x + tiles_h) * stack).reshape(B, -1)
    staged[:, I : tiles_x * stack] = 0
    staged[:, tiles_x * stack + H :] = 0
    staged[:, I] = staged[:, tiles_x * stack + H] = 1  # the input of a bias
    columns = call.scratch("columns", (tiles_x + tiles_h) * T * B * stack if needs_w else 0)
    dgates = call.scratch("dgates", P * T * B * wide)
    rows_h = call.scratch("rows_h", B * K)
    with num_threads(call.pool):
        _pack_transposed(call.pool, H, lanes, _flat(w_hh), call.map_h, packed_h)
        if needs_x:
            _pack_transposed(call.pool, I, lanes, _flat(w_ih), call.map_x, packed_x)
        _backward(threads, call.bounds, shape, vector.panel(dtype, 4), vector.panel(dtype, 1), stack, int(reverse),
                  cell.state, int(needs_x),
                  int(needs_w), _flat(x), _flat(h0), _flat(output), none if g_output is None else _flat(g_output),
                  packed_h, packed_x, call.order, call.lengths, gates.reshape(-1), cells.reshape(-1), dh.reshape(-1),
                  dc.reshape(-1), stride, state.reshape(-1), dgates, rows_h,
                  rows_h if cell.x_blocks == cell.h_blocks else call.scratch("rows_x", B * K), K,
                  call.scratch("dx", B * dx_stride), dx_stride, g_x.reshape(-1), staged.reshape(-1), tiles_x, tiles_h,
                  columns)  # fmt: skip

    g_h0 = g_c0 = None
    if needs[1]:
        g_h0 = np.empty((B, H), dtype)
        g_h0[call.order] = dh[:, :H]
    if needs[2]:
        g_c0 = np.empty((B, H), dtype)
        g_c0[call.order] = dc[:, :H]
    weights: tuple[Array | None, ...] = (None,) * 4
    if needs_w:
        rows = cell.gates * H
        g_w_ih, g_w_hh = np.empty((rows, I), dtype), np.empty((rows, H), dtype)
        g_b_ih, g_b_hh = np.empty(rows, dtype), np.empty(rows, dtype)
        products = call.scratch("products", call.pool * (tiles_x + tiles_h) * stack * cell.width * lanes)
        with num_threads(call.pool):
            _weights(call.pool, shape, vector.panel(dtype, cell.width), stack, DEPTH, dgates, columns, tiles_x, tiles_h,
                     products, call.map_x, call.map_h,
                     g_w_ih.reshape(-1), g_b_ih, g_w_hh.reshape(-1), g_b_hh)  # fmt: skip
        weights = tuple(g if need else None for g, need in zip((g_w_ih, g_w_hh, g_b_ih, g_b_hh), needs[3:]))
    return (g_x if needs_x else None, g_h0, g_c0, *weights)


# -- the operations -------------------------------------------------------------------------------------------------

_DTYPES = ("float32", "float64")


def _worthwhile(x: Array, h0: Array, *_: Any) -> bool:
    """The reference computes what has a size of 0, and one step of few sequences: packing the weights for one use would
    take longer than the step (sampling, and cells of small nets)."""
    return x.size > 0 and h0.size > 0 and (x.shape[0] > 1 or x.shape[1] > 16)


@register(op="lstm_forward", name="cpu.fused", dtypes=_DTYPES, default=True, accepts=_worthwhile)
def lstm_forward(x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                 b_hh: Array | None = None, lengths: Array | None = None, reverse: bool = False,
                 ) -> tuple[Array, ...]:  # fmt: skip
    """(output, h_n, c_n, gates, cells), as :func:`tinydl.kernels.rnn.spec.lstm_forward`.

    gates [P, T, B, 4, lanes] and cells [P, T + 1, B, lanes] are in panels, in the order of the sorted sequences.
    """
    spec.check("lstm_forward", "cpu.fused", 4, x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths)
    output, h_n, c_n, gates, cells = _run_forward(LSTM, x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    assert c_n is not None
    return output, h_n, c_n, gates, cells


@register(
    op="lstm_backward", name="cpu.fused", dtypes=_DTYPES, default=True,
    accepts=lambda g, gh, gc, x, h0, *rest: _worthwhile(x, h0) and rest[-3].ndim == 5,
)  # fmt: skip
def lstm_backward(g_output: Array | None, g_hn: Array | None, g_cn: Array | None, x: Array, h0: Array, c0: Array,
                  w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None, lengths: Array | None,
                  reverse: bool, output: Array, gates: Array, cells: Array,
                  needs: tuple[bool, ...]) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients for (x, h0, c0, w_ih, w_hh, b_ih, b_hh), None where ``needs`` is False."""
    spec.check("lstm_backward", "cpu.fused", 4, x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths)
    spec.check_backward("lstm_backward", "cpu.fused", x, h0, output, g_output=g_output, g_hn=g_hn, g_cn=g_cn)
    _check_panels("lstm_backward", LSTM, x, h0, gates, cells)
    return _run_backward(LSTM, g_output, g_hn, g_cn, x, h0, c0, w_ih, w_hh, lengths, reverse, output, gates, cells,
                         needs)


@register(op="gru_forward", name="cpu.fused", dtypes=_DTYPES, default=True, accepts=_worthwhile)
def gru_forward(x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None,
                lengths: Array | None = None, reverse: bool = False) -> tuple[Array, ...]:  # fmt: skip
    """(output, h_n, gates), as :func:`tinydl.kernels.rnn.spec.gru_forward`; gates [P, T, B, 4, lanes] in panels."""
    spec.check("gru_forward", "cpu.fused", 3, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
    output, h_n, _, gates, _ = _run_forward(GRU, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, gates


@register(
    op="gru_backward", name="cpu.fused", dtypes=_DTYPES, default=True,
    accepts=lambda g, gh, x, h0, *rest: _worthwhile(x, h0) and rest[-2].ndim == 5,
)  # fmt: skip
def gru_backward(g_output: Array | None, g_hn: Array | None, x: Array, h0: Array, w_ih: Array, w_hh: Array,
                 b_ih: Array | None, b_hh: Array | None, lengths: Array | None, reverse: bool, output: Array,
                 gates: Array, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients for (x, h0, w_ih, w_hh, b_ih, b_hh), None where ``needs`` is False."""
    spec.check("gru_backward", "cpu.fused", 3, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
    spec.check_backward("gru_backward", "cpu.fused", x, h0, output, g_output=g_output, g_hn=g_hn)
    _check_panels("gru_backward", GRU, x, h0, gates)
    return _without_cell(GRU, g_output, g_hn, x, h0, w_ih, w_hh, lengths, reverse, output, gates, needs)


def _without_cell(cell: type[Cell], g_output: Array | None, g_hn: Array | None, x: Array, h0: Array, w_ih: Array,
                  w_hh: Array, lengths: Array | None, reverse: bool, output: Array, gates: Array,
                  needs: tuple[bool, ...], relu: bool = False) -> tuple[Array | None, ...]:  # fmt: skip
    needs = (*needs[:2], False, *needs[2:])
    gradients = _run_backward(cell, g_output, g_hn, None, x, h0, None, w_ih, w_hh, lengths, reverse, output, gates,
                              gates,
                              needs, relu)  # fmt: skip
    return (*gradients[:2], *gradients[3:])


def _check_panels(op: str, cell: type[Cell], x: Array, h0: Array, gates: Array, cells: Array | None = None) -> None:
    lanes = vector.lanes(x.dtype)
    (T, B, _), H = x.shape, h0.shape[1]
    P = -(-H // (cell.vectors * lanes))
    spec.check_array(op, "cpu.fused", "gates", gates, (P, T, B, 4, lanes), x.dtype)
    if cells is not None:
        spec.check_array(op, "cpu.fused", "cells", cells, (P, T + 1, B, lanes), x.dtype)


def _register_plain(activation: str) -> None:
    """``rnn_tanh_*`` and ``rnn_relu_*``: nothing is saved, the output is enough."""

    @register(op=f"rnn_{activation}_forward", name="cpu.fused", dtypes=_DTYPES, default=True, accepts=_worthwhile)
    def rnn_forward(x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None,
                    lengths: Array | None = None, reverse: bool = False) -> tuple[Array, ...]:  # fmt: skip
        """(output, h_n), as :func:`tinydl.kernels.rnn.spec.rnn_forward`."""
        spec.check(f"rnn_{activation}_forward", "cpu.fused", 1, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
        output, h_n, *_ = _run_forward(RNN, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths, reverse, activation == "relu")
        return output, h_n

    @register(
        op=f"rnn_{activation}_backward", name="cpu.fused", dtypes=_DTYPES, default=True,
        accepts=lambda g, gh, x, h0, *rest: _worthwhile(x, h0),
    )  # fmt: skip
    def rnn_backward(g_output: Array | None, g_hn: Array | None, x: Array, h0: Array, w_ih: Array, w_hh: Array,
                     b_ih: Array | None, b_hh: Array | None, lengths: Array | None, reverse: bool, output: Array,
                     needs: tuple[bool, ...]) -> tuple[Array | None, ...]:  # fmt: skip
        """Gradients for (x, h0, w_ih, w_hh, b_ih, b_hh), None where ``needs`` is False."""
        op = f"rnn_{activation}_backward"
        spec.check(op, "cpu.fused", 1, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
        spec.check_backward(op, "cpu.fused", x, h0, output, g_output=g_output, g_hn=g_hn)
        unused = np.empty(1, x.dtype)
        return _without_cell(RNN, g_output, g_hn, x, h0, w_ih, w_hh, lengths, reverse, output, unused, needs,
                             activation == "relu")  # fmt: skip


_register_plain("tanh")
_register_plain("relu")
