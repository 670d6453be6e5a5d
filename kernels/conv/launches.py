"""How the CUDA kernels of convolution are launched; ``spec.py`` says what the operations compute.

    1_direct.cu     one thread per number of the result
    2_tiled.cu      parts of the images and the filters in shared memory
    3_implicit.cu   a product of matrices whose numbers are found on the fly

Sizes go to a kernel as one structure, ``Shape`` of ``cuda/shape.cuh``: :func:`packed`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.conv.spec import positions
from tinydl.kernels.gpu import Arguments, Call, CudaKernel, Empty, declare

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")

Ints = tuple[int, ...]

# -- what is asked -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Sizes of one convolution, whichever of the three operations asks: ``channels`` and ``filters`` of a group,
    the others of depth, height, width."""

    batch: int
    groups: int
    channels: int
    filters: int
    size: Ints
    out: Ints
    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints

    @property
    def images(self) -> Ints:
        """The shape of x and its gradient."""
        return self.batch, self.groups * self.channels, *self.size

    @property
    def weights(self) -> Ints:
        """The shape of w and its gradient."""
        return self.groups * self.filters, self.channels, *self.kernel

    @property
    def outputs(self) -> Ints:
        """The shape of y and its gradient."""
        return self.batch, self.groups * self.filters, *self.out

    def packed(self) -> bytes:
        """``Shape`` of ``cuda/shape.cuh``."""
        axes = zip(self.size, self.out, self.kernel, self.stride, self.padding, self.dilation)
        numbers = [self.batch, self.groups, self.channels, self.filters, *(n for axis in axes for n in axis)]
        return struct.pack("22i", *numbers)

    def index(self) -> bytes:
        """``Index`` of ``cuda/index.cuh``."""
        return b"".join(divisor(n) for n in (*self.size, *self.out, *self.kernel))

    @property
    def short(self) -> bool:
        """Whether 32 bits count the columns of the products, a filter's numbers and an image's of all groups."""
        P, K, N = (math.prod(n) for n in (self.out, self.kernel, self.size))
        columns = self.batch * max(P, N), max(self.channels, self.filters) * K
        images = N * self.groups * self.channels, P * self.groups * self.filters
        return max(*columns, *images) < 1 << 30 and self.groups < 1 << 16


def divisor(value: int) -> bytes:
    """``Divisor`` of ``cuda/index.cuh``: n // value = (n * multiplier // 2^32 + n) >> shift for n below 2^31."""
    shift = max(value - 1, 0).bit_length()
    return struct.pack("3I", value, ((1 << 32) * ((1 << shift) - value) // max(value, 1) + 1) & 0xFFFFFFFF, shift)


def asked_forward(x: Any, w: Any, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Asked:
    """The sizes of ``conv_forward``."""
    out = positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return Asked(
        x.shape[0], groups, w.shape[1], w.shape[0] // groups, x.shape[2:], out, w.shape[2:], stride, padding, dilation
    )


def asked_input(g: Any, w: Any, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> Asked:
    """The sizes of ``conv_input``."""
    return Asked(
        g.shape[0], groups, w.shape[1], w.shape[0] // groups, size, g.shape[2:], w.shape[2:], stride, padding, dilation
    )


def asked_weight(g: Any, x: Any, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> Asked:
    """The sizes of ``conv_weight``."""
    channels, filters = x.shape[1] // groups, g.shape[1] // groups
    return Asked(x.shape[0], groups, channels, filters, x.shape[2:], g.shape[2:], kernel, stride, padding, dilation)


# -- samples -----------------------------------------------------------------------------------------------------------

ONE, NONE = (1, 1, 1), (0, 0, 0)

#: x, w, stride, padding, dilation, groups of a forward.
Sizes = tuple[Ints, Ints, Ints, Ints, Ints, int]


def drawn(op: str, sizes: Sizes, dtype: Any) -> Arguments:
    """Arguments of an operation, of the sizes of a forward."""
    x, w, stride, padding, dilation, groups = sizes
    rng = np.random.default_rng(0)
    y = (x[0], w[0], *positions(x[2:], w[2:], stride, padding, dilation))
    first, second = {"conv_forward": (x, w), "conv_input": (y, w), "conv_weight": (y, x)}[op]
    arrays = rng.standard_normal(first).astype(dtype), rng.standard_normal(second).astype(dtype)
    more = {"conv_forward": (), "conv_input": (x[2:],), "conv_weight": (w[2:],)}[op]
    return (*arrays, stride, padding, dilation, groups, *more)


#: One number; no image; no channel; three dimensions; all settings at once, three times.
ALL: tuple[Sizes, ...] = (
    ((1, 1, 1, 1, 1), (1, 1, 1, 1, 1), ONE, NONE, ONE, 1),
    ((0, 2, 1, 3, 3), (2, 2, 1, 2, 2), ONE, NONE, ONE, 1),
    ((1, 0, 1, 3, 3), (2, 0, 1, 2, 2), ONE, NONE, ONE, 1),
    ((2, 4, 1, 5, 9), (6, 2, 1, 2, 3), (1, 2, 3), (0, 2, 1), (1, 1, 2), 2),
    ((3, 6, 5, 4, 7), (4, 3, 2, 3, 2), (2, 1, 3), (1, 2, 0), (2, 1, 3), 2),
    ((2, 9, 4, 7, 5), (6, 3, 3, 2, 3), (1, 3, 2), (0, 0, 1), (1, 3, 2), 3),
)

#: More than a tile each way; one, filled; all settings, in two dimensions.
TILED: tuple[Sizes, ...] = (
    ((1, 1, 1, 1, 1), (1, 1, 1, 1, 1), ONE, NONE, ONE, 1),
    ((0, 2, 1, 3, 3), (2, 2, 1, 2, 2), ONE, NONE, ONE, 1),
    ((1, 0, 1, 3, 3), (2, 0, 1, 2, 2), ONE, NONE, ONE, 1),
    ((1, 2, 1, 1, 70), (3, 2, 1, 1, 3), ONE, NONE, (1, 1, 4), 1),
    ((2, 2, 1, 16, 64), (16, 2, 1, 3, 3), ONE, (0, 1, 1), ONE, 1),
    ((1, 2, 1, 7, 9), (9, 2, 1, 5, 7), ONE, NONE, ONE, 1),
    ((2, 4, 1, 20, 44), (22, 2, 1, 2, 3), (1, 2, 1), (0, 3, 1), (1, 3, 2), 2),
    ((2, 4, 1, 9, 71), (18, 2, 1, 3, 2), (1, 1, 2), (0, 1, 3), (1, 2, 5), 2),
)


def _pair(op: str, rows: int, terms: int, groups: int) -> tuple[int, int]:
    """x's channels and w's filters, of a product with so many rows a group."""
    channels, filters = (rows, terms) if op == "conv_input" else (terms, rows)
    return groups * channels, groups * filters


def tiles(op: str, high: int) -> tuple[Sizes, ...]:
    """For tiles of so many rows, and of 128 columns or 64: two of them each way, filled, and not quite; not one."""

    weight = op == "conv_weight"
    c, f = _pair(op, 2 * high, 256 if weight else 4, 1)
    c1, f1 = _pair(op, 2 * high - 3, 65 if weight else 5, 2)
    c2, f2 = _pair(op, high - 3, 11, 1)
    return (
        ((1, c, 1, 2, 5), (f, c, 1, 1, 1), ONE, NONE, ONE, 1)
        if weight
        else ((2, c, 1, 8, 16), (f, c, 1, 1, 3), ONE, (0, 0, 1), ONE, 1),
        ((2, c1, 1, 9, 11), (f1, c1 // 2, 1, 2, 1), (1, 1, 2), (0, 1, 2), (1, 2, 1), 2),
        ((2, c2, 1, 7, 9), (f2, c2, 1, 2, 2), ONE, NONE, ONE, 1),
    )


def _samples(op: str, sizes: tuple[Sizes, ...]) -> Any:
    def samples(dtype: Any) -> Iterator[Arguments]:
        return (drawn(op, each, dtype) for each in sizes)

    return samples


# -- the ladder --------------------------------------------------------------------------------------------------------

ASKED: dict[str, Callable[..., Asked]] = {
    "conv_forward": asked_forward, "conv_input": asked_input, "conv_weight": asked_weight
}  # fmt: skip
RESULT = {"conv_forward": "outputs", "conv_input": "images", "conv_weight": "weights"}


def _direct(op: str) -> CudaKernel:
    def plan(empty: Empty, first: Any, second: Any, *options: Any) -> tuple[list[Call], tuple[Any, ...]]:
        asked = ASKED[op](first, second, *options)
        result = empty(getattr(asked, RESULT[op]), first.dtype)
        blocks = -(-math.prod(result.shape) // 256)
        entry = f"direct_{op.removeprefix('conv_')}_{first.dtype.name}"
        calls = [Call(entry, (blocks,), (256,), (first, second, result, asked.packed()))] if blocks else []
        return calls, (result,)

    return declare(CudaKernel(op, "cuda.direct", FOLDER / "1_direct.cu", DTYPES, plan, _samples(op, ALL)))




def product(op: str, asked: Asked) -> tuple[int, int, int]:
    """M, N and K of the product that a group of an operation is."""
    places, plane, taps = math.prod(asked.out), math.prod(asked.size), math.prod(asked.kernel)
    return {
        "conv_forward": (asked.filters, asked.batch * places, asked.channels * taps),
        "conv_input": (asked.channels, asked.batch * plane, asked.filters * taps),
        "conv_weight": (asked.filters, asked.channels * taps, asked.batch * places),
    }[op]


def _implicit(op: str) -> CudaKernel:
    def plan(empty: Empty, first: Any, second: Any, *options: Any) -> tuple[list[Call], tuple[Any, ...]]:
        asked = ASKED[op](first, second, *options)
        result = empty(getattr(asked, RESULT[op]), first.dtype)
        M, N, _ = product(op, asked)
        blocks = -(-M // 64) * -(-N // (128 if first.dtype == np.float32 else 64))
        entry = f"implicit_{op.removeprefix('conv_')}_{first.dtype.name}"
        args = (first, second, result, asked.packed(), asked.index())
        calls = [Call(entry, (blocks, asked.groups), (256,), args)] if blocks else []
        return calls, (result,)

    return declare(
        CudaKernel(
            op, "cuda.implicit", FOLDER / "3_implicit.cu", DTYPES, plan, _samples(op, (*tiles(op, 64), *ALL)),
            lambda *arguments: ASKED[op](*arguments).short,
        )
    )  # fmt: skip


def _flat(asked: Asked) -> bool:
    """Whether it has no depth: images in two dimensions, or one."""
    return asked.size[0] == asked.kernel[0] == asked.out[0] == 1 and asked.padding[0] == 0 and asked.short


#: Bytes of shared memory that a block may have without being asked for more.
SHARED = 48 << 10


def _patch(asked: Asked) -> tuple[int, int]:
    """Rows and columns of an image that a tile of the tiled rung reads, 8 x 32 positions."""
    tile = zip((8, 32), asked.stride[1:], asked.kernel[1:], asked.dilation[1:])
    high, wide = ((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in tile)
    return high, wide


def _patch_bytes(asked: Asked, size: int) -> int:
    return (math.prod(_patch(asked)) + 8 * math.prod(asked.kernel)) * size


def _tiled() -> CudaKernel:
    def accepts(x: Any, w: Any, *options: Any) -> bool:
        asked = asked_forward(x, w, *options)
        return _flat(asked) and min(asked.kernel) > 0 and _patch_bytes(asked, x.itemsize) <= SHARED

    def plan(empty: Empty, x: Any, w: Any, *options: Any) -> tuple[list[Call], tuple[Any, ...]]:
        asked = asked_forward(x, w, *options)
        y = empty(asked.outputs, x.dtype)
        tiles = -(-asked.out[1] // 8) * -(-asked.out[2] // 32)
        blocks = asked.batch * asked.groups * -(-asked.filters // 8) * tiles
        args = (x, w, y, asked.packed(), *_patch(asked))
        shared = _patch_bytes(asked, x.itemsize)
        calls = [Call(f"tiled_forward_{x.dtype.name}", (blocks,), (32, 8), args, shared)] if blocks else []
        return calls, (y,)

    source = FOLDER / "2_tiled.cu"
    return declare(
        CudaKernel(
            "conv_forward", "cuda.tiled", source, DTYPES, plan, _samples("conv_forward", TILED), accepts
        )
    )  # fmt: skip


DIRECT = tuple(map(_direct, ASKED))
TILED_FORWARD = _tiled()
IMPLICIT = tuple(map(_implicit, ("conv_forward", "conv_input")))
