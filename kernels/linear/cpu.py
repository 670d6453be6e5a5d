"""Linear layers of few numbers on the CPU: a layer, or all of its gradients, in one call of machine code.

A layer of 64 x 64 computes for 5 us, and three calls of a library, each with its own checks and a result to be added
to, take half as long again. Here the arguments' heads are read in machine code, the products are tiles without a
library's packing and blocking (:mod:`tinydl.kernels.matmul.ir` has the same tile), and the bias is what their sums
are added to. Sums down a column are one by one, so there are no more than ``MOST`` rows.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import heads, vector
from tinydl.kernels.builtin import Builtin
from tinydl.kernels.cache import njit
from tinydl.kernels.linear import spec
from tinydl.kernels.matmul.ir import pieces
from tinydl.kernels.packing import multiply_block, pack_panel
from tinydl.kernels.registry import register
from tinydl.kernels.vector import add, copy
from tinydl.kernels.workspace import scratch

Array = NDArray[Any]
FLOATS = ("float32", "float64")

FEW = 1 << 19  # multiplications, above which a product is worth a library's preparations, or several threads
MOST = 1024  # rows, inputs, outputs

_KIND, _FLAGS, _BIAS, _R, _I, _O, _LANES, _WIDE, _EDGE, _TRANSPOSE, _FORWARD = range(11)
_TILE, _LAST_TILE, _MOVE, _MOVE_LAST = range(4)  # from _FORWARD or _BACKWARD on
_BACKWARD = _FORWARD + 4
_NUMBERS = _BACKWARD + 4


class _Plan(NamedTuple):
    """What shapes decide: the result's shape, the numbers that the machine code reads, and memory for panels."""

    shape: tuple[int, ...]
    numbers: Array
    memory: Array


@functools.lru_cache(maxsize=1024)
def _plan(leading: tuple[int, ...], inputs: int, outputs: int, dtype: Any, bias: bool) -> _Plan | None:
    """The plan of x[*leading, inputs] and w[outputs, inputs]; None if they are left to the library."""
    rows = math.prod(leading)
    if not heads.AVAILABLE or not 0 < rows * inputs * outputs <= FEW or max(rows, inputs, outputs) > MOST:
        return None
    size = vector.host_bytes()
    forward, backward = pieces(dtype, outputs, size), pieces(dtype, inputs, size)
    wide = forward.wide
    panels = max(-(-outputs // wide) * inputs, rows, outputs) * wide
    numbers = np.zeros(_NUMBERS, np.int64)
    numbers[:_FORWARD] = (
        np.dtype(dtype).num, heads.C_CONTIGUOUS | heads.ALIGNED, bias, rows, inputs, outputs, forward.lanes, wide,
        panels, forward.transpose,
    )  # fmt: skip
    for at, p in ((_FORWARD, forward), (_BACKWARD, backward)):
        numbers[at : at + 4] = p.tile, p.last_tile, p.move, p.move_last
    # Machine code that holds the interpreter's lock is alone with it, in whatever thread it is called.
    return _Plan((*leading, outputs), numbers, scratch("linear", panels + max(rows, outputs) * wide, dtype))


@njit
def _product(a: Any, rows: int, a_row: int, a_column: int, b: Any, b_row: int, b_column: int, c: Any, K: int, N: int,
             keep: int, plan: Any, pieces_at: int, memory: Any) -> None:  # fmt: skip
    """c[rows, N] = a[rows, K] @ b[K, N], or with ``keep`` what is added to c."""
    lanes, wide, edge = plan[_LANES], plan[_WIDE], plan[_EDGE]
    for left in range(0, N, wide):
        used = min(wide, N - left)
        whole = used % lanes == 0
        tile = plan[pieces_at + (_TILE if used == wide else _LAST_TILE)]
        source, at, row = b, left, b_row
        if b_column != 1 or not whole:
            move = plan[pieces_at + (_MOVE if used == wide else _MOVE_LAST)]
            pack_panel(b, left * b_column, b_row, b_column, K, used, lanes, wide, move, plan[_TRANSPOSE], memory, 0)
            source, at, row = memory, 0, wide
        multiply_block(tile, whole, rows, a, 0, a_row, a_column, source, at, row, used, wide, memory, edge, c, left, N,
                       K, keep)  # fmt: skip


def _forward(x: Any, w: Any, b: Any, y: Any, plan: Any, memory: Any) -> int:
    """Whether the arrays are without gaps, of one dtype and of the plan's sizes, so that y could be computed."""
    rows, inputs, outputs, kind, flags = plan[_R], plan[_I], plan[_O], plan[_KIND], plan[_FLAGS]
    if not (heads.regular(x, rows * inputs, kind, flags) and heads.regular(w, inputs * outputs, kind, flags)):
        return 0
    result = heads.elements(y, rows * outputs, memory)
    if plan[_BIAS]:
        if not heads.regular(b, outputs, kind, flags):
            return 0
        bias = heads.elements(b, outputs, memory)
        for r in range(rows):
            copy(result, r * outputs, bias, 0, outputs)
    _product(heads.elements(x, rows * inputs, memory), rows, inputs, 1,
             heads.elements(w, inputs * outputs, memory), 1, inputs,
             result, inputs, outputs, plan[_BIAS], plan, _FORWARD, memory)  # fmt: skip
    return 1


def _backward(g: Any, x: Any, w: Any, dx: Any, dw: Any, db: Any, needs: int, plan: Any, memory: Any) -> int:
    """As above; ``needs`` has a bit for each gradient."""
    rows, inputs, outputs, kind, flags = plan[_R], plan[_I], plan[_O], plan[_KIND], plan[_FLAGS]
    if (
        not heads.regular(g, rows * outputs, kind, flags)
        or (needs & 1 and not heads.regular(w, inputs * outputs, kind, flags))
        or (needs & 2 and not heads.regular(x, rows * inputs, kind, flags))
    ):
        return 0
    upstream = heads.elements(g, rows * outputs, memory)
    if needs & 1:
        _product(upstream, rows, outputs, 1, heads.elements(w, inputs * outputs, memory), inputs, 1,
                 heads.elements(dx, rows * inputs, memory), outputs, inputs, 0, plan, _BACKWARD, memory)  # fmt: skip
    if needs & 2:
        _product(upstream, outputs, 1, outputs, heads.elements(x, rows * inputs, memory), inputs, 1,
                 heads.elements(dw, inputs * outputs, memory), rows, inputs, 0, plan, _BACKWARD, memory)  # fmt: skip
    if needs & 4:
        sums = heads.elements(db, outputs, memory)
        copy(sums, 0, upstream, 0, outputs)
        for r in range(1, rows):
            add(sums, 0, upstream, r * outputs, outputs)
    return 1


_FORWARD_HERE = Builtin(_forward, "oooolT")
_BACKWARD_HERE = Builtin(_backward, "ooooooilT")


@register(op="linear", name="cpu.few", dtypes=FLOATS, default=True)
def linear(x: Array, w: Array, b: Array | None) -> Array:
    """Few numbers without gaps in one call, the rest by the library; see the card."""
    plan = _plan(x.shape[:-1], x.shape[-1], len(w), x.dtype, b is not None)
    if plan is not None:
        y = np.empty(plan.shape, x.dtype)
        if _FORWARD_HERE[x.dtype](x, w, b, y, plan.numbers, plan.memory):
            return y
    return spec.linear(x, w, b)


@register(op="linear_backward", name="cpu.few", dtypes=FLOATS, default=True)
def linear_backward(
    needs: tuple[bool, bool, bool], g: Array, x: Array | None, w: Array | None
) -> tuple[Array | None, Array | None, Array | None]:
    """Few numbers without gaps in one call, the rest by the library; see the card."""
    inputs = w.shape[1] if w is not None else 1 if x is None else x.shape[-1]
    plan = _plan(g.shape[:-1], inputs, g.shape[-1], g.dtype, True)
    if plan is not None:
        dtype = g.dtype
        dx = np.empty((*g.shape[:-1], inputs), dtype) if needs[0] else None
        dw = np.empty((g.shape[-1], inputs), dtype) if needs[1] else None
        db = np.empty(g.shape[-1], dtype) if needs[2] else None
        bits = needs[0] + 2 * needs[1] + 4 * needs[2]
        if _BACKWARD_HERE[dtype](g, x, w, dx, dw, db, bits, plan.numbers, plan.memory):
            return dx, dw, db
    return spec.linear_backward(needs, g, x, w)
