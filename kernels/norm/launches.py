"""How the CUDA kernels of normalisation are launched.

Along rows, layer_norm and rms_norm:

    rows_forward_1_block.cu   a block for each row, any length
    rows_forward_2_warp.cu    a warp for each row of at most 1024, in registers
    rows_backward_1_block.cu  dx by a block for each row, dweight and dbias by launches of their own
    rows_backward_2_fused.cu  all in one pass over x and g

Of channels and of groups of them:

    batch_1_forward.cu, batch_1_backward.cu  batch_norm and fixed_norm: sums over examples and places, then the results
    group_1_forward.cu, group_1_backward.cu  group_norm: a block for each group
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Array, Call, CudaKernel, Empty, declare
from tinydl.kernels.norm import spec

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")
Calls = tuple[list[Call], tuple[Any, ...]]
Plan = Callable[..., Calls]

#: Threads of a block; those of a block over columns; rows of a block of warps, forward and backward.
THREADS, STRIP_BLOCK, WARPS, FUSED_WARPS = 256, (32, 8), 8, 4
#: The numbers of a row that each thread of a warp holds, of short rows and of long ones.
SHORT, LONG = 4, 32
#: Blocks of a launch that goes on from row to row: as many as are at work at once on a large GPU.
RESIDENT = 264
#: Rows of a strip at least, and strips at most.
STRIP, STRIPS = 64, 64


def unaligned(x: Array) -> Array:
    """The same numbers, not at a multiple of 16 bytes."""
    data = np.empty(x.size + 1, x.dtype)
    data[1:] = x.reshape(-1)
    return data[1:].reshape(x.shape)


def strips(rows: int) -> tuple[int, int]:
    """How many strips the rows are cut into, and the rows of each."""
    count = min(max(-(-rows // STRIP), 1), STRIPS)
    strip = max(-(-rows // count), 1)
    return max(-(-rows // strip), 1), strip


def _or_null(array: Any) -> Any:
    """An array, or the null pointer."""
    return 0 if array is None else array


# -- along rows --------------------------------------------------------------------------------------------------------


def _forward(rung: str, centred: bool) -> Plan:
    def plan(empty: Empty, x: Any, weight: Any, *bias_and_eps: Any) -> Calls:
        rows, columns = x.shape
        eps = x.dtype.type(bias_and_eps[-1])
        y, statistics = empty(x.shape, x.dtype), [empty((rows,), x.dtype) for _ in range(1 + centred)]
        affine = [_or_null(a) for a in (weight, *bias_and_eps[:-1])]
        kind = "layer" if centred else "rms"
        if rung == "block":
            call = Call(f"{kind}_block_{x.dtype.name}", (rows,), (THREADS,), (x, *affine, y, *statistics, columns, eps))
        else:
            each = SHORT if columns <= 32 * SHORT else LONG
            call = Call(
                f"{kind}_warp_{x.dtype.name}_{each}", (-(-rows // WARPS),), (THREADS,),
                (x, *affine, y, *statistics, rows, columns, eps),
            )  # fmt: skip
        return [call] if rows else [], (y, *statistics)

    return plan


def _block_backward(centred: bool) -> Plan:
    def plan(empty: Empty, g: Any, x: Any, weight: Any, *statistics: Any) -> Calls:
        (rows, columns), kind, name = x.shape, "layer" if centred else "rms", x.dtype.name
        dx, sums = empty(x.shape, x.dtype), [empty((columns,), x.dtype) for _ in range(1 + centred)]
        if not columns:
            return [], (dx, *sums)
        count, strip = strips(rows)
        parts = [empty((count, columns), x.dtype) for _ in sums]
        tiles = -(-columns // 32)
        calls = [
            Call(f"{kind}_block_strips_{name}", (tiles, count), STRIP_BLOCK,
                 (g, x, *statistics, *parts, rows, columns, strip)),
            Call(f"{kind}_block_finish_{name}", (tiles,), STRIP_BLOCK, (*parts, *sums, count, columns)),
        ]  # fmt: skip
        if rows:
            given = (g, x, _or_null(weight), *statistics, dx, columns)
            calls.append(Call(f"{kind}_block_rows_{name}", (rows,), (THREADS,), given))
        return calls, (dx, *sums)

    return plan


def _fused_each(columns: int, dtype: Any) -> int:
    """Numbers of a row that a thread holds; float64 ones take two registers."""
    return SHORT if columns <= 32 * SHORT else LONG * 4 // np.dtype(dtype).itemsize


def _fused_backward(centred: bool) -> Plan:
    def plan(empty: Empty, g: Any, x: Any, weight: Any, *statistics: Any) -> Calls:
        (rows, columns), kind, name = x.shape, "layer" if centred else "rms", x.dtype.name
        dx, sums = empty(x.shape, x.dtype), [empty((columns,), x.dtype) for _ in range(1 + centred)]
        if not columns:
            return [], (dx, *sums)
        blocks = max(min(-(-rows // FUSED_WARPS), RESIDENT), 1)
        parts = [empty((blocks, columns), x.dtype) for _ in sums]
        given = (g, x, _or_null(weight), *statistics, dx, *parts, rows, columns)
        each = _fused_each(columns, x.dtype)
        calls = [
            Call(f"{kind}_fused_{name}_{each}", (blocks,), (32 * FUSED_WARPS,), given),
            Call(f"{kind}_fused_finish_{name}", (-(-columns // 32),), STRIP_BLOCK, (*parts, *sums, blocks, columns)),
        ]
        return calls, (dx, *sums)

    return plan


def _in_warps(x: Any, *_: Any) -> bool:
    return bool(x.shape[1] <= 32 * LONG)


def _in_fused_warps(g: Any, *_: Any) -> bool:
    return bool(g.shape[1] <= 32 * _fused_each(g.shape[1], g.dtype))


def _rows_samples(centred: bool, *shapes: tuple[int, int]) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    """Forward arguments over some shapes: a mean far from 0, without weight and bias, not at multiples of 16 bytes."""

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        rng = np.random.default_rng(0)
        for number, shape in enumerate(shapes):
            x = rng.standard_normal(shape).astype(dtype)
            weight, bias = rng.standard_normal((2, shape[1])).astype(dtype)
            yield x, weight, *([bias] if centred else []), 1e-5
            if number == len(shapes) - 1:
                yield x + dtype(100), None, *([None] if centred else []), 1e-3
                yield unaligned(x), weight, *([bias] if centred else []), 1e-5
                yield x, unaligned(weight), *([None] if centred else []), 1e-5
                if centred:
                    yield x, None, unaligned(bias), 1e-5

    return samples


def _turned(
    forward: Callable[[Any], Iterator[tuple[Any, ...]]], turn: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    """The arguments of a backward, from those of its forward."""

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        for number, arguments in enumerate(forward(dtype)):
            g, *rest = turn(arguments)
            yield (unaligned(g) if number % 3 == 2 else g, *rest)

    return samples


def _declare_rows(op: str, centred: bool, turn: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> None:
    def rung(direction: str, name: str, file: str, plan: Plan, samples: Any, accepts: Any = None) -> None:
        made = FOLDER / f"rows_{direction}_{file}.cu"
        options = {} if accepts is None else {"accepts": accepts}
        declare(CudaKernel(f"{op}_{direction}", f"cuda.{name}", made, DTYPES, plan, samples, **options))

    blocks = _rows_samples(centred, (0, 4), (1, 1), (3, 0), (2, 1500), (3, 300))
    warps = _rows_samples(centred, (0, 4), (1, 1), (3, 0), (2, 1024), (9, 128), (5, 127), (24, 132))
    long = _rows_samples(centred, (0, 4), (1, 1), (3, 700), (130, 36))
    fused = _rows_samples(centred, (0, 4), (1, 1), (11, 128), (5, 127), (3, 512), (1070, 4), (9, 140))
    rung("forward", "block", "1_block", _forward("block", centred), blocks)
    rung("forward", "warp", "2_warp", _forward("warp", centred), warps, _in_warps)
    rung("backward", "block", "1_block", _block_backward(centred), _turned(long, turn))
    rung("backward", "fused", "2_fused", _fused_backward(centred), _turned(fused, turn), _in_fused_warps)


_declare_rows("layer_norm", True, spec._layer_backward)
_declare_rows("rms_norm", False, spec._rms_backward)


# -- of channels -------------------------------------------------------------------------------------------------------

#: Places of a channel that a block sums up at least; fewer places of an example than this are summed down columns.
SPAN, PLACES = 1024, 32


def _whole_numbers_suffice(x: Any, *_: Any) -> bool:
    """Indices are ints of 32 bits; a grid has at most 65535 parts in its second dimension."""
    return bool(x.size < 2**30)


def _parts(B: int, C: int, L: int) -> tuple[str, tuple[int, int], tuple[int, ...], int, int]:
    """How a channel's numbers are summed up: the kind, its grid and block, what a part spans, places of a part."""
    if L >= PLACES:
        count = max(min(-(-B * L // SPAN), -(-2 * RESIDENT // C)), 1)
        span = max(-(-B * L // count), 1)
        return "places", (C, max(-(-B * L // span), 1)), (THREADS,), span, 1
    count, span = strips(B)
    return "columns", (-(-C * L // 32), count), STRIP_BLOCK, span, L


def _apply_grid(x: Any) -> tuple[int]:
    """A pack of 16 bytes a thread; where numbers go one by one, each thread takes several."""
    return (-(-x.size // (THREADS * (16 // x.itemsize))),)


def _batch_forward(empty: Empty, x: Any, weight: Any, bias: Any, eps: float) -> Calls:
    (B, C, L), dtype, name = x.shape, x.dtype, x.dtype.name
    y, mean, variance = empty(x.shape, dtype), empty((C,), dtype), empty((C,), dtype)
    if not C:
        return [], (y, mean, variance)
    kind, grid, block, span, places = _parts(B, C, L)
    parts = empty((3, grid[1] * C * max(places, 1)), dtype)
    sizes = (B, C, L, span) if kind == "places" else (B, C * L, span)
    calls = [Call(f"batch_{kind}_{name}", grid, block, (x, parts, *sizes))] if L else []
    calls.append(Call(f"batch_finish_{name}", (C,), (32,), (parts, mean, variance, grid[1], C, places)))
    if x.size:
        calls.append(_applied(x, mean, variance, weight, bias, y, eps))
    return calls, (y, mean, variance)


def _applied(x: Any, mean: Any, variance: Any, weight: Any, bias: Any, y: Any, eps: float) -> Call:
    affine = _or_null(weight), _or_null(bias)
    given = (x, mean, variance, *affine, y, x.size, *x.shape[1:], x.dtype.type(eps))
    return Call(f"batch_apply_{x.dtype.name}", _apply_grid(x), (THREADS,), given)


def _fixed_forward(empty: Empty, x: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float) -> Calls:
    y = empty(x.shape, x.dtype)
    return [_applied(x, mean, variance, weight, bias, y, eps)] if x.size else [], (y,)


def _channels_backward(depends: bool) -> Plan:
    """``depends``: mean and variance are those of x."""

    def plan(empty: Empty, g: Any, x: Any, *rest: Any) -> Calls:
        weight, mean, variance, eps = rest if depends else (rest[2], *rest[:2], rest[3])
        (B, C, L), dtype, name = x.shape, x.dtype, x.dtype.name
        dx, dweight, dbias = empty(x.shape, dtype), empty((C,), dtype), empty((C,), dtype)
        if not C:
            return [], (dx, dweight, dbias)
        kind, grid, block, span, places = _parts(B, C, L)
        parts = [empty((grid[1] * C * max(places, 1),), dtype) for _ in range(2)]
        eps = dtype.type(eps)
        given = (g, x, mean, variance, *parts, B, C, L, span, eps)
        calls = [Call(f"batch_backward_{kind}_{name}", grid, block, given)] if L else []
        calls.append(Call(f"batch_backward_finish_{name}", (C,), (32,), (*parts, dweight, dbias, grid[1], C, places)))
        if x.size:
            sums, what = ((dweight, dbias), "apply") if depends else ((), "scale")
            given = (g, x, mean, variance, _or_null(weight), *sums, dx, x.size, C, L, eps)
            calls.append(Call(f"batch_backward_{what}_{name}", _apply_grid(x), (THREADS,), given))
        return calls, (dx, dweight, dbias)

    return plan


def _group_forward(empty: Empty, x: Any, weight: Any, bias: Any, groups: int, eps: float) -> Calls:
    (B, C, L), dtype = x.shape, x.dtype
    y, mean, variance = empty(x.shape, dtype), empty((B, groups), dtype), empty((B, groups), dtype)
    affine = _or_null(weight), _or_null(bias)
    given = (x, *affine, y, mean, variance, groups, C // groups, L, dtype.type(eps))
    calls = [Call(f"group_block_{dtype.name}", (B * groups,), (THREADS,), given)] if B * groups else []
    return calls, (y, mean, variance)


def _group_backward(
    empty: Empty, g: Any, x: Any, weight: Any, mean: Any, variance: Any, groups: int, eps: float
) -> Calls:
    (B, C, L), dtype, name = x.shape, x.dtype, x.dtype.name
    dx, dweight, dbias = empty(x.shape, dtype), empty((C,), dtype), empty((C,), dtype)
    parts = [empty((B, C), dtype) for _ in range(2)]
    channels, eps, calls = C // groups, dtype.type(eps), []
    if B * C:
        given = (g, x, mean, variance, *parts, B * C, channels, L, eps)
        calls.append(Call(f"group_backward_planes_{name}", (-(-B * C // WARPS),), (THREADS,), given))
        given = (g, x, _or_null(weight), mean, variance, *parts, dx, groups, channels, L, eps)
        calls.append(Call(f"group_backward_groups_{name}", (B * groups,), (THREADS,), given))
    if C:
        calls.append(
            Call(f"group_backward_finish_{name}", (-(-C // 32),), STRIP_BLOCK, (*parts, dweight, dbias, B, C))
        )
    return calls, (dx, dweight, dbias)


def _channel_samples(turn: Callable[..., tuple[Any, ...]], *sizes: tuple[int, int, int, int]) -> Any:
    """(x, weight, bias, groups, eps) over sizes B, C, L, groups: a mean far from 0, no affine part, not aligned."""

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        rng = np.random.default_rng(2)
        for number, (B, C, L, groups) in enumerate(sizes):
            x = rng.standard_normal((B, C, L)).astype(dtype)
            weight, bias = rng.standard_normal((2, C)).astype(dtype)
            yield turn((x, weight, bias, groups, 1e-5))
            if number == len(sizes) - 1:
                yield turn((x + dtype(100), None, None, groups, 1e-3))
                yield turn((unaligned(x), weight, None, groups, 1e-5))
                g, *rest = turn((x, None, bias, groups, 1e-5))
                yield unaligned(g), *rest

    return samples


def _batch(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return *arguments[:3], arguments[4]


#: One place, few of them, many; no examples; strips and spans that the sizes do not fill.
CHANNELS = (0, 4, 3, 2), (70, 3, 1, 1), (130, 2, 20, 2), (5, 16, 4, 4), (3, 2, 501, 2), (2, 4, 524, 2)
#: More channels in a group than threads in a block.
MANY = 1, 600, 2, 2

for _op, _direction, _plan, _turn in (
    ("batch_norm", "forward", _batch_forward, _batch),
    ("batch_norm", "backward", _channels_backward(True), lambda a: spec._batch_backward(_batch(a))),
    ("fixed_norm", "forward", _fixed_forward, spec._fixed),
    ("fixed_norm", "backward", _channels_backward(False), lambda a: spec._fixed_backward(spec._fixed(a))),
    ("group_norm", "forward", _group_forward, lambda a: a),
    ("group_norm", "backward", _group_backward, spec._group_backward),
):
    _source = FOLDER / f"{'group' if _op == 'group_norm' else 'batch'}_1_{_direction}.cu"
    _name = "cuda.block" if _op == "group_norm" else "cuda.parts"
    _sizes = CHANNELS if _plan is not _group_backward else (MANY, *CHANNELS)
    declare(
        CudaKernel(
            f"{_op}_{_direction}", _name, _source, DTYPES, _plan, _channel_samples(_turn, *_sizes),
            _whole_numbers_suffice,
        )
    )  # fmt: skip
