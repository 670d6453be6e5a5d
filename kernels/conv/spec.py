"""Convolution, its data gradient and its weight gradient: three operations that are each other's gradients.

With x [B, C, D, H, W], w [O, C/G, KD, KH, KW], g [B, O, PD, PH, PW] (one and two dimensions have leading sizes of 1),
``stride`` s, ``padding`` p, ``dilation`` d (three integers each) and ``groups`` G, in one dimension and one group::

    conv_forward(x, w, ...)            y[b, o, i] = sum over c, k of  w[o, c, k] x[b, c, i s - p + k d]
    conv_input(g, w, ..., size)       dx[b, c, j] = sum over o, k, i: i s - p + k d = j  of  w[o, c, k] g[b, o, i]
    conv_weight(g, x, ..., kernel)    dw[o, c, k] = sum over b, i of  g[b, o, i] x[b, c, i s - p + k d]

where x is zero outside its size. With several groups, output channels of group q see the input channels of group q.
``conv_forward`` is a cross-correlation, as everywhere in deep learning; ``conv_input`` is the transposed convolution
(Dumoulin and Visin, arXiv:1603.07285); ``size`` is the size (D, H, W) of its result, ``kernel`` that of dw.

P = (size + 2 p - d (K - 1) - 1) // s + 1 positions are computed in each dimension.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import KernelError, register

Array = NDArray[Any]
Ints = tuple[int, ...]  # one a dimension: depth, height, width

# Against the float64 reference, relative to the largest value a sum of this many terms of the same size could have.
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


def positions(size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Ints:
    """Sizes of the output."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)
    )


PARTS, PARTS_BYTES = 8, 4 << 20


def parts(most: int, size: int) -> int:
    """In how many parts a weight's gradient of ``size`` bytes is summed: up to 8, of 4 MiB together, at any number of
    threads, so that its bits are the same. What is the larger has fewer parts, and of each of them the columns are
    shared out: that costs no memory, but each thread transforms what all columns need."""
    found = max(1, min(PARTS, most))
    room = PARTS_BYTES // max(1, size)
    return found if room >= found else 1 << max(1, room).bit_length() - 1  # so that 2, 4, 8 threads have equal shares


def check(op: str, variant: str, groups: int, **arrays: Array) -> None:
    """Raise KernelError unless the arrays have five dimensions and one dtype."""
    first, second = arrays.values()
    if first.ndim == second.ndim == 5 and first.dtype == second.dtype and groups > 0:
        return
    kinds = {name: array.dtype.name for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.ndim != 5:
            raise KernelError(
                f"{op} ({variant}): {name} must have 5 dimensions, got shape {array.shape}",
                op=op, variant=variant, argument=name,
            )  # fmt: skip
    if len(set(kinds.values())) > 1:
        raise KernelError(f"{op} ({variant}): one dtype is needed, got {kinds}", op=op, variant=variant)
    if groups < 1:
        raise KernelError(f"{op} ({variant}): groups is {groups}", op=op, variant=variant, argument="groups")


def _taps(
    size: Ints, out: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Iterator[tuple[Ints, tuple[slice, ...], tuple[slice, ...]]]:
    """Per kernel entry, where it lies, the outputs that it reaches and the inputs that it reads there."""
    for tap in itertools.product(*map(range, kernel)):
        reached, read = [], []
        for n, m, k, s, p, d in zip(size, out, tap, stride, padding, dilation):
            offset = k * d - p
            first = max(0, -(offset // s)) if offset < 0 else 0
            last = min(m, (n - 1 - offset) // s + 1) if n - 1 - offset >= 0 else 0
            reached.append(slice(first, max(first, last)))
            start = first * s + offset
            read.append(slice(start, start + max(0, last - first - 1) * s + 1 if last > first else start, s))
        yield tap, tuple(reached), tuple(read)


def _grouped(array: Array, groups: int, axis: int) -> Any:
    """The channels of ``axis`` as [G, channels of a group]."""
    shape = array.shape
    return array.reshape(shape[:axis] + (groups, shape[axis] // groups) + shape[axis + 1 :])


@register(op="conv_forward", name="numpy")
def conv_forward(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
    """One product of matrices per kernel entry; see the head of the file."""
    check("conv_forward", "numpy", groups, x=x, w=w)
    out = positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    y = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    xs, ws, ys = _grouped(x, groups, 1), _grouped(w, groups, 0), _grouped(y, groups, 1)
    for tap, reached, read in _taps(x.shape[2:], out, w.shape[2:], stride, padding, dilation):
        ys[(..., *reached)] += np.einsum("bgcdhw,goc->bgodhw", xs[(..., *read)], ws[(..., *tap)], optimize=True)
    return y


@register(op="conv_input", name="numpy")
def conv_input(g: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, size: Ints) -> Array:
    """One product of matrices per kernel entry; see the head of the file."""
    check("conv_input", "numpy", groups, g=g, w=w)
    dx = np.zeros((g.shape[0], w.shape[1] * groups, *size), g.dtype)
    gs, ws, xs = _grouped(g, groups, 1), _grouped(w, groups, 0), _grouped(dx, groups, 1)
    for tap, reached, read in _taps(size, g.shape[2:], w.shape[2:], stride, padding, dilation):
        xs[(..., *read)] += np.einsum("bgodhw,goc->bgcdhw", gs[(..., *reached)], ws[(..., *tap)], optimize=True)
    return dx


@register(op="conv_weight", name="numpy")
def conv_weight(g: Array, x: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int, kernel: Ints) -> Array:
    """One product of matrices per kernel entry; see the head of the file."""
    check("conv_weight", "numpy", groups, g=g, x=x)
    dw = np.zeros((g.shape[1], x.shape[1] // groups, *kernel), g.dtype)
    gs, xs, ws = _grouped(g, groups, 1), _grouped(x, groups, 1), _grouped(dw, groups, 0)
    for tap, reached, read in _taps(x.shape[2:], g.shape[2:], kernel, stride, padding, dilation):
        ws[(..., *tap)] = np.einsum("bgodhw,bgcdhw->goc", gs[(..., *reached)], xs[(..., *read)], optimize=True)
    return dw


def flops(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> int:
    """Multiplications and additions of ``conv_forward``, and of each of its gradients."""
    out = positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return int(2 * x.shape[0] * math.prod(out) * math.prod(w.shape))


def bytes(x: Array, w: Array, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> int:
    """Input, weights and output once."""
    out = positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return int(x.nbytes + w.nbytes + x.shape[0] * w.shape[0] * math.prod(out) * x.itemsize)


def samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``conv_forward``: odd sizes, strides, gaps, groups, a kernel as large as the input, no input, whole
    vectors of channels."""
    rng = np.random.default_rng(4)
    one, none = (1, 1, 1), (0, 0, 0)
    for x, w, stride, padding, dilation, groups in (
        ((2, 3, 1, 5, 7), (4, 3, 1, 3, 3), one, (0, 1, 1), one, 1),
        ((1, 4, 1, 9, 8), (6, 2, 1, 3, 2), (1, 2, 3), (0, 2, 1), (1, 1, 2), 2),
        ((3, 5, 1, 1, 70), (5, 1, 1, 1, 3), one, (0, 0, 4), (1, 1, 4), 5),
        ((2, 2, 4, 5, 6), (3, 2, 2, 3, 2), (2, 1, 2), (1, 1, 0), (1, 2, 1), 1),
        ((1, 8, 1, 12, 130), (9, 8, 1, 1, 1), one, none, one, 1),
        ((2, 3, 1, 8, 8), (2, 3, 1, 4, 4), (1, 2, 2), (0, 1, 1), one, 1),
        ((1, 1, 1, 2, 2), (1, 1, 1, 2, 2), one, none, one, 1),
        ((0, 3, 1, 4, 4), (2, 3, 1, 3, 3), one, none, one, 1),
        ((2, 33, 1, 17, 19), (35, 33, 1, 3, 3), one, (0, 1, 1), one, 1),
        ((1, 2, 1, 3, 3), (2, 2, 1, 3, 3), (1, 5, 5), (0, 4, 4), one, 1),
        ((4, 16, 1, 9, 11), (48, 16, 1, 3, 3), one, (0, 1, 0), one, 1),
        ((3, 144, 1, 6, 13), (16, 144, 1, 3, 3), one, (0, 2, 2), one, 1),
        ((1, 32, 1, 26, 30), (32, 32, 1, 3, 3), one, none, one, 1),
        ((3, 16, 1, 26, 31), (16, 16, 1, 4, 4), (1, 2, 2), (0, 1, 1), one, 1),
        ((3, 32, 1, 20, 23), (16, 32, 1, 5, 5), (1, 2, 2), (0, 2, 0), one, 1),
        ((2, 32, 1, 1, 2100), (48, 32, 1, 1, 2), one, (0, 0, 3), (1, 1, 7), 1),
        ((2, 32, 1, 2, 1300), (48, 32, 1, 1, 2), one, (0, 0, 16), (1, 1, 16), 1),
        ((2, 64, 1, 1, 700), (32, 64, 1, 1, 3), one, (0, 0, 100), (1, 1, 160), 1),
        ((4, 160, 1, 3, 70), (32, 160, 1, 1, 3), one, (0, 0, 1), one, 1),
        ((2, 32, 1, 120, 5), (64, 32, 1, 4, 1), one, (0, 1, 0), (1, 2, 1), 1),
    ):
        arrays = rng.standard_normal(x).astype(dtype), rng.standard_normal(w).astype(dtype)
        yield (*arrays, stride, padding, dilation, groups)


# -- cards ------------------------------------------------------------------------------------------------------------


def _gradient_of(x: Array, w: Array, *options: Any) -> Array:
    """A gradient of the output of ``conv_forward`` with these arguments."""
    stride, padding, dilation, _ = options
    shape = (x.shape[0], w.shape[0], *positions(x.shape[2:], w.shape[2:], stride, padding, dilation))
    return np.random.default_rng(1).standard_normal(shape).astype(x.dtype)


def _to_input(x: Array, w: Array, *options: Any) -> tuple[Any, ...]:
    return (_gradient_of(x, w, *options), w, *options, x.shape[2:])


def _to_weight(x: Array, w: Array, *options: Any) -> tuple[Any, ...]:
    return (_gradient_of(x, w, *options), x, *options, w.shape[2:])


def _drawn(
    x: Ints, w: Ints, padding: Ints, stride: Ints = (1, 1, 1), dilation: Ints = (1, 1, 1), groups: int = 1
) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        arrays = rng.standard_normal(x).astype(dtype), rng.standard_normal(w).astype(dtype)
        return (*arrays, stride, padding, dilation, groups)

    return case


def _turned(turn: Callable[..., Any], make: Callable[[Any], Any], dtype: Any) -> tuple[Any, ...]:
    return turn(*make(dtype))  # type: ignore[no-any-return]


def _turned_samples(turn: Callable[..., Any], dtype: Any) -> Iterator[tuple[Any, ...]]:
    return (turn(*arguments) for arguments in samples(dtype))


_CASES = {
    "1x8x16x16, 3x3": _drawn((1, 8, 1, 16, 16), (8, 8, 1, 3, 3), (0, 1, 1)),
    "32x16x64x64, 3x3": _drawn((32, 16, 1, 64, 64), (16, 16, 1, 3, 3), (0, 1, 1)),
    "32x64x32x32, 3x3": _drawn((32, 64, 1, 32, 32), (64, 64, 1, 3, 3), (0, 1, 1)),
    "32x256x8x8, 3x3": _drawn((32, 256, 1, 8, 8), (256, 256, 1, 3, 3), (0, 1, 1)),
    "32x64x64x64, 4x4, stride 2": _drawn((32, 64, 1, 64, 64), (32, 64, 1, 4, 4), (0, 1, 1), (1, 2, 2)),
    "16x256x1x64, 1x5": _drawn((16, 256, 1, 1, 64), (256, 256, 1, 1, 5), (0, 0, 2)),
    "32x64x64x1, 5x1": _drawn((32, 64, 1, 64, 1), (64, 64, 1, 5, 1), (0, 2, 0)),
    **{
        f"4x64x8192, 2 taps, d={d}": _drawn((4, 64, 1, 1, 8192 + d), (64, 64, 1, 1, 2), (0, 0, 0), dilation=(1, 1, d))
        for d in (1, 16, 512)
    },
    "32x64x32x32, depthwise 3x3": _drawn((32, 64, 1, 32, 32), (64, 1, 1, 3, 3), (0, 1, 1), groups=64),
}
_ALONG = {"stride": (1, 1), "padding": (0, 3), "dilation": (1, 2), "groups": 1}
_APART = {"stride": (1, 1), "padding": (0, 16), "dilation": (1, 16), "groups": 1}
_PLAIN = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
_SETTINGS = {"stride": (1, 2), "padding": (1, 0), "dilation": (1, 1), "groups": 1}
for _op, _says, _turn in (
    ("conv_forward", "y[b, o, p] = sum over c, k of w[o, c, k] x[b, c, p s + k d - padding]", None),
    ("conv_input", "the transpose of the convolution in its input", _to_input),
    ("conv_weight", "the transpose of the convolution in its weight", _to_weight),
):

    def _sized(*arguments: Any, op: str = _op, count: Callable[..., int] = flops) -> int:
        """The costs are those of the forward with the same arrays."""
        if op == "conv_forward":
            return count(*arguments)
        first, second, stride, padding, dilation, groups, size = arguments
        if op == "conv_input":
            x, w = np.broadcast_to(first[:1, :1, :1, :1, :1], (len(first), second.shape[1] * groups, *size)), second
        else:
            x = second
            w = np.broadcast_to(first[:1, :1, :1, :1, :1], (first.shape[1], second.shape[1] // groups, *size))
        return count(x, w, stride, padding, dilation, groups)

    describe(
        Card(
            op=_op,
            says=_says,
            samples=samples if _turn is None else functools.partial(_turned_samples, _turn),
            tolerance={name: 4 * value for name, value in TOLERANCE.items()},
            flops=_sized,
            bytes=lambda *a, f=_sized: f(*a, count=bytes),
            cases={
                name: make if _turn is None else functools.partial(_turned, _turn, make)
                for name, make in _CASES.items()
            },
            rivals={"torch": rivals.conv(_op, False), "torch channels_last": rivals.conv(_op, True)},
            serves="tinydl.ops.conv.conv",
            gradient=(
                lambda rng: ((rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((4, 3, 3, 2))), _SETTINGS),
                lambda rng: ((rng.standard_normal((9, 32, 1, 64)), rng.standard_normal((32, 32, 1, 2))), _ALONG),
                lambda rng: ((rng.standard_normal((3, 32, 1, 220)), rng.standard_normal((32, 32, 1, 2))), _APART),
                lambda rng: ((rng.standard_normal((8, 16, 8, 9)), rng.standard_normal((32, 16, 3, 3))), _PLAIN),
            ),
        )
    )
