"""The op table: every primitive once, with the inputs it must survive.

From one entry follow the gradient check, the second-order check, the equality of the array route and the recorded
route, the
float32 dtype check and the input-mutation check (``test_table.py``). A primitive without an entry fails the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinydl.ops import conv, losses, nade, norm, rbm, rnn  # noqa: F401 - fused operations, registered when something first needs them

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sample:
    """Arguments of one call. Floating arrays in ``args`` are differentiated, except at the positions in
    ``constant``."""

    args: tuple[Any, ...]
    static: dict[str, Any] = field(default_factory=dict)
    constant: tuple[int, ...] = ()
    alias: tuple[int, int] | None = None  # the same tensor in two slots
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """The samples of one primitive."""

    make: Callable[[np.random.Generator], Iterator[Sample]]
    second: bool = True  # second derivative exists at the samples
    domains: tuple[dict[str, Any], ...] = ()  # of an elementwise function: what `draw` takes for each argument


TABLE: dict[str, Entry] = {}


def entry(
    *names: str, second: bool = True, domains: tuple[dict[str, Any], ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the samples that the decorated generator yields under ``names``."""

    def add(make: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            if name in TABLE:
                raise ValueError(f"{name} is entered twice")
            TABLE[name] = Entry(make, second, domains)
        return make

    return add


def draw(
    rng: np.random.Generator, *shape: int, low: float = -2.0, high: float = 2.0, away: tuple[float, ...] = ()
) -> Array:
    """Uniform float64 values, at least 0.05 from each point in ``away`` (kinks, poles)."""
    x = rng.uniform(low, high, shape)
    for point in away:
        x = np.where(np.abs(x - point) < 0.05, point + 0.05 + np.abs(x - point), x)
    return np.asarray(x)


def layouts(rng: np.random.Generator, **domain: Any) -> Iterator[tuple[str, Array]]:
    """One array in every shape and memory layout an operation must take."""
    yield "0-d", draw(rng, **domain)
    yield "size 0", draw(rng, 0, 3, **domain)
    yield "vector", draw(rng, 3, **domain)
    yield "matrix", draw(rng, 2, 3, **domain)
    yield "transposed", draw(rng, 3, 2, **domain).T
    yield "negative strides", draw(rng, 2, 3, **domain)[::-1, ::-1]
    yield "every other", draw(rng, 2, 6, **domain)[:, ::2]
    yield "broadcast", np.broadcast_to(draw(rng, 3, **domain), (2, 3))


def unary(*names: str, second: bool = True, **domain: Any) -> None:
    """Enter elementwise functions of one argument."""

    @entry(*names, second=second, domains=(domain,))
    def make(rng: np.random.Generator) -> Iterator[Sample]:
        for note, x in layouts(rng, **domain):
            yield Sample((x,), note=note)


def binary(
    *names: str,
    second: bool = True,
    first: dict[str, Any] | None = None,
    other: dict[str, Any] | None = None,
    apart: bool = False,
    alias: bool = True,
) -> None:
    """Enter elementwise functions of two arguments; ``apart`` keeps the two at least 0.1 from each other."""
    d1, d2 = first or {}, other or {}

    def spread(a: Array, b: Array) -> tuple[Array, Array]:
        return (np.where(np.abs(a - b) < 0.1, a + 0.5, a), b) if apart else (a, b)

    @entry(*names, second=second, domains=() if apart else (d1, d2))
    def make(rng: np.random.Generator) -> Iterator[Sample]:
        for (note, a), (_, b) in zip(layouts(rng, **d1), layouts(rng, **d2)):
            yield Sample(spread(a, b), note=note)
        yield Sample((draw(rng, 2, 3, **d1), 1.5), note="a Python number")
        yield Sample((1.25, draw(rng, 2, 3, **d2)), note="a Python number first")
        for s, t in (((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((3, 1, 2), (2, 1)), ((0, 3), (1, 3))):
            a, b = np.asarray(draw(rng, *s, **d1)), np.asarray(draw(rng, *t, **d2))
            if apart:
                a, b = a + 4.5, b
            yield Sample((a, b), note=f"broadcast {s} {t}")
        if alias:
            yield Sample((x := draw(rng, 2, 2, **d1), x), alias=(0, 1), note="one tensor twice")


# ------------------------------------------------------------------------------------------------- elementwise

unary(
    "neg",
    "square",
    "exp",
    "expm1",
    "sin",
    "cos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "sigmoid",
    "softplus",
    "logsigmoid",
    "clone",
    "contiguous",
    "identity",
)
unary("sqrt", "rsqrt", "log", "log2", "log10", low=0.3)
unary("log1p", low=-0.5)
unary("reciprocal", low=0.4)
unary("tan", low=-1.0, high=1.0)
unary("abs", "sign", "relu", away=(0.0,))
unary("floor", "ceil", away=(-2.0, -1.0, 0.0, 1.0, 2.0))
unary("round", away=(-1.5, -0.5, 0.5, 1.5))
unary("isnan", "isfinite", "isinf", "nothing", "logical_not")
binary("add", "sub", "mul")
binary("div", other={"low": 0.5})
binary("pow", first={"low": 0.4}, other={"low": -1.5, "high": 2.5})
binary("remainder", first={"low": 0.1, "high": 0.4}, other={"low": 0.6, "high": 0.9}, alias=False)
binary("floor_divide", first={"low": 0.1, "high": 0.4}, other={"low": 0.6, "high": 0.9}, alias=False)
binary("maximum", "minimum", apart=True, alias=False)
binary("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", alias=False)


@entry("bitwise_and", "bitwise_or")
def _bits(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.random((2, 3)) < 0.5, rng.random(3) < 0.5))
    yield Sample((rng.integers(0, 9, (2, 3)), rng.integers(0, 9, (2, 3))))


@entry("bitwise_not")
def _flip_bits(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.random((2, 3)) < 0.5,))


@entry("mask")
def _mask(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.random((2, 3)) < 0.5, draw(rng, 2, 3)), constant=(1,))


@entry("clamp_between")
def _clamp(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng, away=(-0.5, 0.75)):
        yield Sample((x,), {"min": -0.5, "max": 0.75}, note=note)
    yield Sample((draw(rng, 4, away=(0.1,)),), {"min": None, "max": 0.1})
    yield Sample((draw(rng, 4, away=(0.1,)),), {"min": 0.1, "max": None})


@entry("select")
def _select(rng: np.random.Generator) -> Iterator[Sample]:
    for (note, a), (_, b) in zip(layouts(rng), layouts(rng)):
        yield Sample((np.asarray(rng.random(a.shape) < 0.5), a, b), note=note)
    yield Sample((rng.random((2, 1)) < 0.5, draw(rng, 3), draw(rng)), note="broadcast")
    yield Sample((rng.random((2, 2)) < 0.5, x := draw(rng, 2, 2), x), alias=(1, 2), note="one tensor twice")


@entry("move")
def _move(rng: np.random.Generator) -> Iterator[Sample]:
    here = {"device": "cpu", "home": "cpu"}  # elsewhere: tests/device
    yield Sample((draw(rng, 2, 3),), here)
    yield Sample((draw(rng),), here)
    yield Sample((draw(rng, 0, 2),), here)


@entry("cast")
def _cast(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"dtype": np.dtype(np.float64)}, note=note)


# --------------------------------------------------------------------------------------------------- reductions


def _reduction(rng: np.random.Generator, empty: bool = True, **domain: Any) -> Iterator[Sample]:
    for note, x in layouts(rng, **domain):
        if x.size or empty:
            yield Sample((x,), {"axis": None, "keepdims": False}, note=note)
        if x.ndim == 2 and (x.size or empty):
            for axis in ((0,), (1,), (0, 1)):
                yield Sample((x,), {"axis": axis, "keepdims": axis == (1,)}, note=f"{note}, axis {axis}")


@entry("sum", "any", "all")
def _sums(rng: np.random.Generator) -> Iterator[Sample]:
    yield from _reduction(rng)


unary("root", low=0.3)


@entry("logsumexp")
def _logsumexp(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _reduction(rng, empty=False):
        axis = sample.static["axis"]
        yield Sample(sample.args, {**sample.static, "axis": () if axis is None else axis}, note=sample.note)


@entry("amax", "amin")
def _extrema(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _reduction(rng, empty=False):
        x = s.args[0]
        if s.note.startswith("broadcast"):
            continue  # every column repeats: no derivative there
        apart = rng.permutation(x.size).reshape(x.shape).astype(float)
        yield Sample((apart,), s.static, note=s.note)


@entry("argmax", "argmin")
def _arg(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3),), {"axis": None, "keepdim": False})
    yield Sample((draw(rng, 2, 3),), {"axis": 1, "keepdim": True})


@entry("softmax_over", "log_softmax_over", "cumsum", "reverse_cumsum")
def _along(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        for axis in range(x.ndim):
            yield Sample((x,), {"axis": axis}, note=f"{note}, axis {axis}")


# -------------------------------------------------------------------------------------------------------- shapes


@entry("reshape_to")
def _reshape(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        yield Sample((x,), {"shape": (x.size,)}, note=note)
    yield Sample((draw(rng, 2, 6),), {"shape": (3, 1, 4)})
    yield Sample((draw(rng, 1),), {"shape": ()})


@entry("permute_axes")
def _permute(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng),), {"axes": ()})
    yield Sample((draw(rng, 2, 3, 2),), {"axes": (2, 0, 1)})
    yield Sample((draw(rng, 0, 3),), {"axes": (1, 0)})


@entry("expand_to")
def _expand(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng),), {"shape": (2, 3)})
    yield Sample((draw(rng, 2, 1),), {"shape": (3, 2, 2)})
    yield Sample((draw(rng, 1, 3),), {"shape": (0, 3)})
    yield Sample((draw(rng, 0, 1),), {"shape": (2, 0, 4)}, note="size 0")


@entry("reverse")
def _reverse(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3),), {"axes": (0,)})
    yield Sample((draw(rng, 2, 3).T,), {"axes": (0, 1)})
    yield Sample((draw(rng, 0, 3),), {"axes": (1,)}, note="size 0")


@entry("concatenate")
def _concatenate(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3), draw(rng, 1, 3)), {"axis": 0})
    yield Sample((draw(rng, 2, 3), draw(rng, 2, 0), draw(rng, 2, 2)), {"axis": 1})
    yield Sample((draw(rng, 3),), {"axis": 0})
    yield Sample((x := draw(rng, 2, 2), x), {"axis": 1}, alias=(0, 1), note="one tensor twice")


@entry("swap_last")
def _swap(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3),))
    yield Sample((draw(rng, 2, 0, 3),))


# ------------------------------------------------------------------------------------------------------ indexing

_BASIC = [(1,), (slice(None), slice(0, 2)), (Ellipsis, 0), (None, slice(None, None, 2)), (slice(3, 3),), (-1, -1)]


@entry("take_slice")
def _take_slice(rng: np.random.Generator) -> Iterator[Sample]:
    for index in _BASIC:
        yield Sample((draw(rng, 3, 4),), {"index": index}, note=str(index))
    yield Sample((draw(rng, 4, 3).T,), {"index": (slice(1, None),)}, note="transposed")
    yield Sample((draw(rng, 0, 4),), {"index": (slice(None), 1)}, note="size 0")
    yield Sample((draw(rng),), {"index": (Ellipsis, None)}, note="0-d")


@entry("put_slice")
def _put_slice(rng: np.random.Generator) -> Iterator[Sample]:
    for index in _BASIC:
        yield Sample((draw(rng, *np.empty((3, 4))[index].shape),), {"index": index, "shape": (3, 4)}, note=str(index))


def _advanced(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (np.array([0, 2, 2, 0]),),
        (np.array([[0, 1], [2, 0]]), np.array([1, 3])),
        (slice(None), np.array([3, 3, 0])),
        (rng.random((3, 4)) < 0.5,),
        (np.array([], dtype=np.int64),),
        (np.array([-1, -1]), slice(1, 3)),
    ]


@entry("take_index")
def _take_index(rng: np.random.Generator) -> Iterator[Sample]:
    for index in _advanced(rng):
        yield Sample((draw(rng, 3, 4),), {"index": index})


@entry("put_index")
def _put_index(rng: np.random.Generator) -> Iterator[Sample]:
    for index in _advanced(rng):
        yield Sample((draw(rng, *np.empty((3, 4))[index].shape),), {"index": index, "shape": (3, 4)})


@entry("overwrite")
def _overwrite(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), draw(rng, 4)), {"index": (1,)})
    yield Sample((draw(rng, 3, 4), draw(rng)), {"index": (slice(None), 2)}, note="a 0-d value")
    yield Sample((draw(rng, 3, 4), draw(rng, 2, 4)), {"index": (), "then": (np.array([0, 2]),)})
    yield Sample((draw(rng, 3, 4), 2.5), {"index": (slice(0, 2),)}, note="a number")
    both = {"index": (slice(None), slice(1, None)), "then": (np.array([0, 2]), np.array([1, 0]))}
    yield Sample((draw(rng, 3, 4), draw(rng, 2)), both, note="a slice, then index arrays")
    yield Sample((draw(rng, 0, 4), draw(rng, 4)), {"index": (slice(None),)}, note="size 0")


@entry("gather_along")
def _gather(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), rng.integers(0, 3, (2, 4))), {"axis": 0})
    yield Sample((draw(rng, 3, 4), rng.integers(0, 4, (2, 5))), {"axis": 1})
    yield Sample((draw(rng, 4, 3).T, np.zeros((3, 0), np.int64)), {"axis": 1})


@entry("scatter_zeros")
def _scatter(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 4), rng.integers(0, 3, (2, 4))), {"axis": 0, "shape": (3, 4)})
    yield Sample((draw(rng, 2, 5), rng.integers(0, 4, (2, 5))), {"axis": 1, "shape": (3, 4)})


@entry("take_rows")
def _take_rows(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 5, 3), rng.integers(0, 5, (2, 4))))
    yield Sample((draw(rng, 5, 3), np.zeros((0,), np.int64)))
    yield Sample((draw(rng, 5, 3), np.array(2)))


@entry("add_rows")
def _add_rows(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 4, 3), rng.integers(0, 5, (2, 4))), {"rows": 5})
    yield Sample((draw(rng, 0, 3), np.zeros((0,), np.int64)), {"rows": 5})


# ------------------------------------------------------------------------------------------------------ products


@entry("mm")
def _mm(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 3, 4), draw(rng, 4, 2)))
    yield Sample((draw(rng, 4, 3).T, draw(rng, 2, 4).T), note="transposed")
    yield Sample((draw(rng, 2, 3, 4), draw(rng, 4, 2)), note="broadcast batch")
    yield Sample((draw(rng, 2, 1, 2, 3), draw(rng, 3, 3, 1)), note="broadcast both")
    yield Sample((draw(rng, 0, 3), draw(rng, 3, 2)), note="size 0")
    yield Sample((draw(rng, 2, 0), draw(rng, 0, 2)), note="inner size 0")
    yield Sample((x := draw(rng, 3, 3), x), alias=(0, 1), note="one tensor twice")


@entry("linear_weight")
def _linear_weight(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 4), draw(rng, 2, 3)))
    yield Sample((draw(rng, 4), draw(rng, 3)), note="one vector")
    yield Sample((draw(rng, 2, 2, 4), draw(rng, 2, 2, 3)), note="3-d input")
    yield Sample((draw(rng, 0, 4), draw(rng, 0, 3)), note="size 0")
    yield Sample((x := draw(rng, 2, 3), x), alias=(0, 1), note="one tensor twice")


@entry("column_sums")
def _column_sums(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 3), (2, 2, 3), (0, 3)):
        yield Sample((draw(rng, *shape),), note=str(shape))


@entry("gate")
def _gate(rng: np.random.Generator) -> Iterator[Sample]:
    for (note, a), (_, b) in zip(layouts(rng), layouts(rng, away=(0.0,))):
        yield Sample((a, b), note=note)


@entry("linear")
def _linear(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((draw(rng, 2, 3), draw(rng, 4, 3), draw(rng, 4)))
    yield Sample((draw(rng, 2, 3), draw(rng, 4, 3), None), note="no bias")
    yield Sample((draw(rng, 3), draw(rng, 4, 3), draw(rng, 4)), note="one vector")
    yield Sample((draw(rng, 2, 2, 3), draw(rng, 4, 3), draw(rng, 4)), note="3-d input")
    yield Sample((draw(rng, 0, 3), draw(rng, 4, 3), draw(rng, 4)), note="size 0")
    yield Sample((draw(rng, 3, 2).T, draw(rng, 3, 4).T, draw(rng, 8)[::2]), note="non-contiguous")
    yield Sample((x := draw(rng, 3, 3), x, draw(rng, 3)), alias=(0, 1), note="one tensor twice")


# ------------------------------------------------------------------------------------------------- fused operations


@entry("bce_with_logits")
def _bce_with_logits(rng: np.random.Generator) -> Iterator[Sample]:
    for note, x in layouts(rng):
        y = rng.uniform(0, 1, x.shape)
        yield Sample((x, y, None, None), {"reduction": "mean"} if x.size else {"reduction": "sum"}, (1,), note=note)
    x, y = draw(rng, 2, 3), rng.uniform(0, 1, (2, 3))
    weight, pos_weight = rng.uniform(0, 1, 3), rng.uniform(1, 2, (2, 3))
    for reduction in ("mean", "sum", "none"):
        yield Sample((x, y, weight, pos_weight), {"reduction": reduction}, (1, 2, 3), note=f"weighted {reduction}")


@entry("softmax_cross_entropy")
def _softmax_cross_entropy(rng: np.random.Generator) -> Iterator[Sample]:
    shapes: list[tuple[tuple[int, ...], Any]] = [
        ((4, 3), np.array([0, 2, 1, 1])), ((3,), np.array(2)), ((2, 3, 2), np.array([[0, 2], [1, 0]])),
    ]  # fmt: skip
    for reduction in ("mean", "sum", "none"):
        for shape, target in shapes:
            for weight, smoothing in ((None, 0.0), (rng.uniform(0.5, 1, 3), 0.2)):
                static = {"ignore_index": 1, "label_smoothing": smoothing, "reduction": reduction}
                yield Sample((draw(rng, *shape), target, weight), static, (2,), note=f"{len(shape)}-d {reduction}")
    static = {"ignore_index": -100, "label_smoothing": 0.0, "reduction": "sum"}
    yield Sample((draw(rng, 0, 3), np.zeros(0, np.int64), None), static, note="size 0")
    yield Sample((draw(rng, 3, 4).T, np.array([0, 2, 1, 1]), None), static, note="transposed")


def _nade_arguments(rng: np.random.Generator, N: int, P: int, D: int) -> tuple[Array, ...]:
    return (draw(rng, N, P), draw(rng, N, D), draw(rng, P, D), draw(rng, P, D))


@entry("nade")
def _nade(rng: np.random.Generator) -> Iterator[Sample]:
    for N, P, D in ((3, 4, 2), (1, 2, 1), (0, 3, 2), (2, 5, 3)):
        yield Sample((rng.random((N, P)) < 0.5, *_nade_arguments(rng, N, P, D)), note=f"{N} frames of {P} pitches")
    for share in (0.0, 1.0):
        x = rng.random((2, 3)) < share
        yield Sample((x, *_nade_arguments(rng, 2, 3, 2)), note=f"{share:.0%} of the notes")
    x, (b, c, w, v) = rng.random((3, 4)) < 0.5, _nade_arguments(rng, 3, 4, 2)
    yield Sample((x[::-1], b[:, ::-1], np.asfortranarray(c), w[::-1], v.copy("F")), note="non-contiguous")
    yield Sample((x, b, c, w, w), alias=(3, 4), note="one tensor twice")  # tied weights
    square = draw(rng, 3, 3)
    matrices = (square, square, draw(rng, 3, 3), draw(rng, 3, 3))
    yield Sample((x[:, :3], *matrices), alias=(1, 2), note="one tensor as both biases")


@entry("nade_sample")
def _nade_sample(rng: np.random.Generator) -> Iterator[Sample]:
    for temperature, sounding in ((1.0, False), (0.5, True), (0.0, True)):
        static = {"temperature": temperature, "sounding": np.full(3, sounding)}
        yield Sample((rng.random((3, 4)), *_nade_arguments(rng, 3, 4, 2)), static, note=f"temperature {temperature}")


@entry("gibbs")
def _gibbs(rng: np.random.Generator) -> Iterator[Sample]:
    for N, D, H, steps in ((3, 5, 4, 1), (1, 1, 1, 2), (0, 3, 2, 1), (2, 9, 6, 3)):
        arrays = (rng.random((N, D)).round(), draw(rng, H, D), draw(rng, N, D), draw(rng, N, H))
        yield Sample(arrays, {"key": 3, "counter": 2**64 - 1, "steps": steps}, note=f"{N} chains of {D} and {H} units")
    arrays = (rng.random((3, 4))[::-1], draw(rng, 4, 2).T, draw(rng, 4, 3).T, draw(rng, 3, 4)[:, ::2])
    yield Sample(arrays, {"key": 2**64 - 1, "counter": 0, "steps": 1}, note="non-contiguous")


@entry("layer_norm")
def _layer_norm(rng: np.random.Generator) -> Iterator[Sample]:
    weight, bias = draw(rng, 4), draw(rng, 4)
    for shape in ((4,), (3, 4), (2, 2, 4), (0, 4)):
        yield Sample((draw(rng, *shape), weight, bias), {"eps": 0.1}, note=str(shape))
    yield Sample((draw(rng, 4, 3).T[:, ::-1], weight[::-1], None), {"eps": 0.1}, note="non-contiguous, no bias")
    yield Sample((draw(rng, 3, 4), None, None), {"eps": 0.1}, note="no affine part")
    yield Sample((draw(rng, 3, 4), weight, weight), {"eps": 0.1}, alias=(1, 2), note="one tensor twice")


def _recurrent(cell: str, gates: int, states: int, second: bool = True) -> None:
    @entry(cell, second=second)
    def make(rng: np.random.Generator) -> Iterator[Sample]:
        def arguments(T: int, B: int, I: int, H: int) -> tuple[Array, ...]:
            shapes = [(T, B, I), *[(B, H)] * states, (gates * H, I), (gates * H, H), (gates * H,), (gates * H,)]
            return tuple(draw(rng, *shape) for shape in shapes)

        for reverse in (False, True):
            for lengths in (None, np.array([2, 1])):
                static = {"lengths": lengths, "reverse": reverse}
                yield Sample(arguments(2, 2, 1, 2), static, note=f"reverse {reverse}, lengths {lengths}")
        static = {"lengths": None, "reverse": False}
        yield Sample((*arguments(2, 1, 2, 1)[:-2], None, None), static, note="no bias")
        yield Sample(arguments(2, 0, 1, 2), static, note="no sequences")
        yield Sample(arguments(2, 1, 2, 2), static, note="weights of one shape")  # so that one can stand for both
        x, *rest = arguments(2, 2, 1, 2)
        yield Sample((np.asfortranarray(x[:, ::-1]), *(a[::-1] for a in rest)), static, note="negative strides")
        slots = len(rest)
        yield Sample((x, *rest), static, alias=(slots - 1, slots), note="one bias twice")
        if states == 2:
            yield Sample((x, *rest), static, alias=(1, 2), note="one state twice")


_recurrent("rnn_tanh", 1, 1)
_recurrent("rnn_relu", 1, 1, second=False)
_recurrent("gru", 3, 1)
_recurrent("lstm", 4, 2)
