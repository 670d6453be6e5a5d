"""How the CUDA rungs of the recurrent nets are launched.

    1_pointwise.cu   the gates of a step in one launch, behind the product with W_hh
    2_step.cu        product and gates of a step in one launch
    3_persistent.cu  all steps in one launch, W_hh in registers and shared memory

The product of all steps' inputs with W_ih, and the gradients of x, of the weights and of the biases, are the same
launches for every rung; they stand in ``1_pointwise.cu``. The states are read from ``output``, where the steps before
have written them. Arrays that are not contiguous are copied.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Arguments, Call, CudaKernel, Empty, declare
from tinydl.kernels.registry import REFERENCE, variants
from tinydl.kernels.rnn.spec import GATES

FOLDER = Path(__file__).parent / "cuda"
FIRST = FOLDER / "1_pointwise.cu"
DTYPES = ("float32", "float64")
THREADS = 256


def _whole(array: Any) -> Any:
    """A contiguous array of the same numbers; what is none stays as it is."""
    return array if not hasattr(array, "flags") or array.flags.c_contiguous else array.copy(order="C")


@dataclass(frozen=True)
class _Sizes:
    """Of a call; ``saved``: gates that a step saves."""

    cell: str
    dtype: np.dtype[Any]
    T: int
    B: int
    I: int
    H: int

    @property
    def rows(self) -> int:
        return GATES[self.cell] * self.H

    @property
    def saved(self) -> int:
        return 4 if self.cell in ("lstm", "gru") else 0

    def call(self, entry: str, blocks: int, *args: Any, threads: int = THREADS, **more: Any) -> Call:
        return Call(f"{entry}_{self.dtype.name}", (blocks,), (threads,), args, **more)

    def product(self, entry: str, rows: int, columns: int, *args: Any, tile: int = 64) -> list[Call]:
        """One of 1_pointwise.cu's products; none without a result."""
        blocks = -(-rows // tile) * -(-columns // tile)
        return [self.call(entry, blocks, *args, source=FIRST)] if blocks else []

    def every(self) -> int:
        """Blocks with a thread for each unit of each sequence."""
        return -(-self.B * self.H // THREADS)

    def begin(self, empty: Empty, waits: bool, *arrays: Any) -> tuple[Call, Any]:
        """The launch before all steps, and the counter at which blocks wait for each other, where they do."""
        if not waits:
            return self.call("begin", self.every(), *arrays, self.B * self.H, source=FIRST), None
        waiting = empty((1,), np.uint32)
        return self.call("begin", self.every(), *arrays, waiting, self.B * self.H), waiting


#: ``steps(sizes, empty, waiting, sequences, w_hh, b_hh, arrays)``: the launches of all steps. ``sequences`` and
#: ``arrays`` are those that begin the parameters of their entries; ``waiting`` counts blocks that wait for each other.
Steps = Callable[[_Sizes, Empty, Any, tuple[Any, ...], Any, Any, tuple[Any, ...]], list[Call]]


def _forward(cell: str, steps: Steps, waits: bool) -> Callable[..., tuple[list[Call], tuple[Any, ...]]]:
    """Products of the inputs, then the steps."""

    def plan(empty: Empty, x: Any, h0: Any, *rest: Any) -> tuple[list[Call], tuple[Any, ...]]:
        x, h0, *rest = map(_whole, (x, h0, *rest))  # type: ignore[assignment]
        c0, (w_ih, w_hh, b_ih, b_hh, lengths, reverse) = (rest[0], rest[1:]) if cell == "lstm" else (None, rest)
        (T, B, I), H = x.shape, h0.shape[1]
        sizes = _Sizes(cell, x.dtype, T, B, I, H)
        output, hn = empty((T, B, H), x.dtype), empty((B, H), x.dtype)
        cn, cells = (None, None) if c0 is None else (empty((B, H), x.dtype), empty((T + 1, B, H), x.dtype))
        gates = empty((T, B, sizes.saved, H), x.dtype) if sizes.saved else None
        pre = empty((T, B, sizes.rows), x.dtype)
        calls: list[Call] = []
        if B * H:
            first, waiting = sizes.begin(empty, waits, h0, c0, hn, cn, cells)
            calls.append(first)
            calls += sizes.product("input_product", T * B, sizes.rows, x, w_ih, b_ih, pre, T * B, sizes.rows, I)
            sequences = (lengths, T, B, int(reverse))
            calls += steps(sizes, empty, waiting, sequences, w_hh, b_hh, (h0, pre, output, gates, cells, hn, cn, H))
        return calls, tuple(a for a in (output, hn, cn, gates, cells) if a is not None)

    return plan


def _backward(cell: str, steps: Steps, waits: bool) -> Callable[..., tuple[list[Call], tuple[Any, ...]]]:
    """The steps, then products of what they give with inputs, states and weights."""

    def plan(empty: Empty, g_output: Any, g_hn: Any, *rest: Any) -> tuple[list[Call], tuple[Any, ...]]:
        needs = list(rest[-1])
        g_output, g_hn, *given = map(_whole, (g_output, g_hn, *rest[:-1]))
        g_cn = given.pop(0) if cell == "lstm" else None
        x, h0, *rest_ = given
        if cell == "lstm":
            _, w_ih, w_hh, _, _, lengths, reverse, output, gates, cells = rest_
        else:
            w_ih, w_hh, _, _, lengths, reverse, output = rest_[:7]
            gates, cells = rest_[7] if cell == "gru" else None, None
        (T, B, I), H = x.shape, h0.shape[1]
        sizes = _Sizes(cell, x.dtype, T, B, I, H)
        need_c0 = needs.pop(2) if cell == "lstm" else False
        need_x, need_h0, *need_weights = needs
        dh, dc = empty((B, H), x.dtype), empty((B, H), x.dtype) if cell == "lstm" else None
        da = empty((T, B, sizes.rows), x.dtype)
        dm = empty((T, B, sizes.rows), x.dtype) if cell == "gru" else None
        turned = da if dm is None else dm
        shapes = (sizes.rows, I), (sizes.rows, H), (sizes.rows,), (sizes.rows,)
        dx = empty(x.shape, x.dtype) if need_x else None
        dw_ih, dw_hh, db_ih, db_hh = (empty(s, x.dtype) if n else None for s, n in zip(shapes, need_weights))
        sequences = (lengths, T, B, int(reverse))
        calls: list[Call] = []
        if B * H:
            first, waiting = sizes.begin(empty, waits, g_hn, g_cn, dh, dc, None)
            calls.append(first)
            arrays = g_output, h0, output, gates, cells, dh, dc, da, dm, H
            calls += steps(sizes, empty, waiting, sequences, w_hh, None, arrays)
        M, rows = T * B, sizes.rows
        if dx is not None:
            calls += sizes.product("input_gradient", M, I, da, w_ih, dx, M, I, rows)
        if dw_ih is not None:
            calls += sizes.product("input_weights", rows, I, *sequences, da, x, dw_ih, rows, I)
        if dw_hh is not None:
            calls += sizes.product("state_weights", rows, H, *sequences, turned, h0, output, dw_hh, rows, H)
        biases = [b for b in (db_ih, db_hh) if b is not None]
        if dm is None:  # the same sums
            sums = [(da, biases[0], biases[1] if len(biases) > 1 else None)] if biases else []
        else:
            sums = [(data, b, None) for data, b in ((da, db_ih), (dm, db_hh)) if b is not None]
        for data, result, second in sums if rows else []:
            calls.append(sizes.call("sum_rows", -(-rows // 32), data, result, second, M, rows, source=FIRST))
        results = [dx, dh if need_h0 else None, dc if need_c0 else None, dw_ih, dw_hh, db_ih, db_hh]
        return calls, tuple(results if cell == "lstm" else results[:2] + results[3:])

    return plan


# -- rungs -------------------------------------------------------------------------------------------------------------


def _pointwise_forward(
    sizes: _Sizes, empty: Empty, waiting: Any, sequences: tuple[Any, ...], w_hh: Any, b_hh: Any,
    arrays: tuple[Any, ...],
) -> list[Call]:  # fmt: skip
    B, H, rows, (h0, _, output, *_) = sizes.B, sizes.H, sizes.rows, arrays
    m = empty((B, rows), sizes.dtype)
    calls: list[Call] = []
    for s in range(sizes.T):
        args = (*sequences, h0, output, w_hh, b_hh, m, H, rows, s)
        calls += sizes.product("state_product", B, rows, *args, tile=32)
        calls.append(sizes.call(f"{sizes.cell}_forward", sizes.every(), *sequences, *arrays, m, s))
    return calls


def _pointwise_backward(
    sizes: _Sizes, empty: Empty, waiting: Any, sequences: tuple[Any, ...], w_hh: Any, b_hh: Any,
    arrays: tuple[Any, ...],
) -> list[Call]:  # fmt: skip
    B, H, rows, (*_, dh, _, da, dm, _) = sizes.B, sizes.H, sizes.rows, arrays
    calls: list[Call] = []
    for s in reversed(range(sizes.T)):
        calls.append(sizes.call(f"{sizes.cell}_backward", sizes.every(), *sequences, *arrays, s))
        args = (*sequences, da if dm is None else dm, w_hh, dh, H, rows, s)
        calls += sizes.product("state_gradient", B, H, *args, tile=32)
    return calls


def _step_forward(
    sizes: _Sizes, empty: Empty, waiting: Any, sequences: tuple[Any, ...], w_hh: Any, b_hh: Any,
    arrays: tuple[Any, ...],
) -> list[Call]:  # fmt: skip
    blocks, name = -(-sizes.B // 16) * -(-sizes.H // 16), f"{sizes.cell}_forward"
    return [sizes.call(name, blocks, *sequences, *arrays, w_hh, b_hh, s) for s in range(sizes.T)]


def _step_backward(
    sizes: _Sizes, empty: Empty, waiting: Any, sequences: tuple[Any, ...], w_hh: Any, b_hh: Any,
    arrays: tuple[Any, ...],
) -> list[Call]:  # fmt: skip
    blocks, name = -(-sizes.B // 16) * -(-sizes.H // 16), f"{sizes.cell}_backward"
    steps = reversed(range(-1, sizes.T)) if sizes.T else ()
    return [sizes.call(name, blocks, *sequences, *arrays, w_hh, s) for s in steps]


#: Blocks that a large GPU has room for at once, and the shared memory that the rest of a block's part of W_hh may take.
RESIDENT, REST = 128, 96 * 1024


def _units(cell: str) -> int:
    """That a block of the persistent rung owns."""
    return 8 if GATES[cell] > 1 else 32


def _kept(H: int) -> int:
    """Bytes of a row of W_hh that a lane keeps in registers."""
    return 8 if H <= 64 else 64


def _rest(cell: str, H: int, itemsize: int, kept: int) -> int:
    """Bytes of a block's part of W_hh that its registers do not hold: as many numbers of each row for each unit."""
    return max(H - 32 * kept // itemsize, 0) * _units(cell) * GATES[cell] * itemsize


def _persistent(direction: str, kept: Callable[[int], int] = _kept) -> Steps:
    def steps(
        sizes: _Sizes, empty: Empty, waiting: Any, sequences: tuple[Any, ...], w_hh: Any, b_hh: Any,
        arrays: tuple[Any, ...],
    ) -> list[Call]:  # fmt: skip
        cell, H, bytes_ = sizes.cell, sizes.H, kept(sizes.H)
        weights = (w_hh, b_hh) if direction == "forward" else (w_hh,)
        call = sizes.call(
            f"{cell}_{direction}_{bytes_}", -(-H // _units(cell)), *sequences, *arrays, *weights, waiting,
            shared=_rest(cell, H, sizes.dtype.itemsize, bytes_), resident=True,
            threads=192 if (cell, direction) == ("gru", "backward") else THREADS,
        )  # fmt: skip
        return [call] if sizes.T else []

    return steps


def _few(H: int) -> int:
    """In place of ``_kept`` where samples are executed: then rows of more than 64 numbers have a rest."""
    return 8


def _fits(cell: str, backward: bool, *arguments: Any) -> bool:
    """Whether all blocks of the persistent rung are resident, and each has room for its part of W_hh."""
    h0 = arguments[1 if not backward else 4 if cell == "lstm" else 3]
    H, room = h0.shape[1], _accepts(cell, backward, *arguments)
    return room and -(-H // _units(cell)) <= RESIDENT and _rest(cell, H, h0.dtype.itemsize, _kept(H)) <= REST


# -- samples -----------------------------------------------------------------------------------------------------------

#: T, B, I, H, lengths, whether backwards, biases.
Size = tuple[int, int, int, int, "tuple[int, ...] | None", bool, str]

#: Of every rung: nothing in turn, and one.
EDGES: tuple[Size, ...] = (
    (0, 2, 3, 4, None, False, "ih hh"), (2, 0, 3, 4, None, False, ""), (2, 3, 0, 4, None, True, "hh"),
    (1, 1, 1, 1, None, False, ""),
)  # fmt: skip
#: Odd sizes, sequences of every kind of length, either way: those that show most.
ODD: tuple[Size, ...] = (
    (3, 5, 7, 19, (3, 0, 2, 1, 3), False, "hh"), (3, 5, 7, 19, (3, 0, 2, 1, 3), True, "ih hh"),
)  # fmt: skip
#: Beside them whole tiles of sequences, of units and of inputs, several of each, and one unit more.
SIZES = (*EDGES, (2, 64, 128, 32, None, True, "ih"), (2, 2, 2, 65, (1, 2), False, "ih hh"), *ODD)
STEP_SIZES = (*EDGES, (2, 32, 2, 32, None, True, "ih"), (2, 2, 2, 35, (1, 2), False, "ih hh"), *ODD)
#: The persistent rung has more than 32 sequences in two chunks, and rows that fit its registers, just fit, and do not.
PERSISTENT_SIZES = (
    *EDGES, (2, 35, 2, 3, None, True, "ih"), (3, 3, 2, 64, (2, 0, 3), True, "hh"),
    (2, 4, 2, 97, (1, 2, 0, 2), False, "ih hh"), *ODD,
)  # fmt: skip


def sizes_of(cell: str, sizes: tuple[Size, ...], dtype: Any) -> tuple[Size, ...]:
    """Cells differ by the arithmetic of their gates alone, and dtypes by a template: the others have fewer sizes."""
    if cell == "lstm" and dtype == np.float32:
        return sizes
    return (EDGES[0], EDGES[3], *sizes[-5 if sizes is PERSISTENT_SIZES else -2 :])


def samples(cell: str, sizes: tuple[Size, ...], dtype: Any) -> Iterator[Arguments]:
    """Arguments of the forward; what stands behind the end of a sequence is not a number."""
    rng = np.random.default_rng(0)
    for T, B, I, H, lengths, reverse, biases in sizes:
        rows, states = GATES[cell] * H, 2 if cell == "lstm" else 1
        shapes = [(T, B, I), *[(B, H)] * states, (rows, I), (rows, H), (rows,), (rows,)]
        x, *before, w_ih, w_hh, b_ih, b_hh = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        if lengths is not None:
            x[np.arange(T)[:, None] >= np.array(lengths)] = np.nan
        scale = np.asarray(1 / np.sqrt(H), dtype)
        kept = (b if name in biases else None for b, name in ((b_ih, "ih"), (b_hh, "hh")))
        ends = None if lengths is None else np.array(lengths)
        recurrent = np.asfortranarray(w_hh * scale) if reverse else w_hh * scale
        yield (x, *before, w_ih * scale, recurrent, *kept, ends, reverse)


def backward_samples(cell: str, sizes: tuple[Size, ...], dtype: Any) -> Iterator[Arguments]:
    """Those of the backward, of what the reference's forward gives; some gradients are nothing, or not needed."""
    states = 2 if cell == "lstm" else 1
    rng = np.random.default_rng(1)
    for number, arguments in enumerate(samples(cell, sizes, dtype)):
        output, *others = _reference(f"{cell}_forward")(*arguments)
        results = output, *others[:states]
        given = [rng.standard_normal(r.shape).astype(dtype) for r in results]
        count = 6 if cell == "lstm" else 5
        gradients = [None if number == 3 + n else g for n, g in enumerate(given)]
        needs = tuple(number != 1 + n for n in range(count + 1))
        yield (*gradients, *arguments, output, *others[states:], needs)


def _tried(
    make: Callable[..., Iterator[Arguments]], cell: str, sizes: tuple[Size, ...], dtype: Any
) -> Iterator[Arguments]:
    return make(cell, sizes_of(cell, sizes, dtype), dtype)


def _reference(op: str) -> Callable[..., Any]:
    return next(v.function for v in variants(op) if v.name == REFERENCE)


def _saved(cell: str) -> Callable[..., tuple[Any, ...]]:
    """All that a forward gives. Behind a sequence's end the reference saves gates that nobody reads; here: zeros."""

    def expected(x: Any, *rest: Any) -> tuple[Any, ...]:
        results = list(_reference(f"{cell}_forward")(x, *rest))
        lengths = rest[-2]
        if cell in ("lstm", "gru") and lengths is not None:
            gates = 3 if cell == "lstm" else 2
            results[gates][np.arange(len(x))[:, None] >= lengths] = 0
        return tuple(results)

    return expected


def _accepts(cell: str, backward: bool, *arguments: Any) -> bool:
    """Not the panels that a forward on the CPU saves."""
    return all(a.ndim < 5 for a in arguments if hasattr(a, "ndim"))


def _rung(
    number: int, name: str, steps: tuple[Steps, Steps], sizes: tuple[Size, ...],
    accepts: Callable[..., bool] = _accepts, trial: tuple[Steps, Steps] | None = None,
) -> None:  # fmt: skip
    source = FOLDER / f"{number}_{name}.cu"
    also = () if source == FIRST else (FIRST,)
    for cell in GATES:
        for backward, (direction, plan, given) in enumerate((
            ("forward", _forward, samples), ("backward", _backward, backward_samples)
        )):  # fmt: skip
            declare(CudaKernel(
                f"{cell}_{direction}", f"cuda.{name}", source, DTYPES, plan(cell, steps[backward], trial is not None),
                functools.partial(_tried, given, cell, sizes), functools.partial(accepts, cell, bool(backward)),
                also=also, expected=None if backward else _saved(cell),
                trial=None if trial is None else plan(cell, trial[backward], True),
            ))  # fmt: skip


_rung(1, "pointwise", (_pointwise_forward, _pointwise_backward), SIZES)
_rung(2, "step", (_step_forward, _step_backward), STEP_SIZES)
_rung(
    3, "persistent", (_persistent("forward"), _persistent("backward")), PERSISTENT_SIZES, _fits,
    (_persistent("forward", _few), _persistent("backward", _few)),
)  # fmt: skip
