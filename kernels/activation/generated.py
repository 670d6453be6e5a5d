"""The activations in CUDA C++, each written by the generator of elementwise loops (``kernels/pointwise.py``).

The formulas are those of ``spec.py``, with the parameters passed by value: neither overflows, small results keep their
digits, a NaN goes through.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.activation import spec
from tinydl.kernels.gpu import Call, CudaKernel, Empty, GeneratedKernel, declare
from tinydl.kernels.pointwise import MOST, Leaf, Line, Pointwise, Store

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")

#: op -> values, each a name and its formula; the last is stored. T is the dtype.
FORMULAS: dict[str, dict[str, str]] = {
    "sigmoid": {"y": "sigmoid(x)"},
    "softplus": {"z": "x * beta", "soft": "((z > T(0) ? z : T(0)) + log1p(exp(-fabs(z)))) / beta",
                 "y": "z > threshold ? x : soft"},
    "logsigmoid": {"y": "(x < T(0) ? x : T(0)) - log1p(exp(-fabs(x)))"},
    "elu": {"y": "x < T(0) ? expm1(x * rate) * low : x * high"},
    "silu": {"y": "x * sigmoid(x)"},
    "mish": {"e": "exp(-fabs(x))", "above": "(T(1) + T(2) * e) / (T(1) + T(2) * e + T(2) * e * e)",
             "below": "e * (e + T(2))", "y": "x * (x >= T(0) ? above : below / (below + T(2)))"},
    "gelu": {"y": f"x * T(0.5) * (T(1) + erf(x * T({math.sqrt(0.5)!r})))"},
    "gelu_tanh": {"u": f"x * (x * x * T({spec._ROOT * spec._CUBIC!r}) + T({spec._ROOT!r}))",
                  "y": "x * sigmoid(T(2) * u)"},
    "hardsigmoid": {"z": "x + T(3)", "above": "z < T(0) ? T(0) : z", "y": "(above > T(6) ? T(6) : above) / T(6)"},
    "hardswish": {"z": "x + T(3)", "above": "z < T(0) ? T(0) : z", "y": "x * (above > T(6) ? T(6) : above) / T(6)"},
    "softshrink": {"above": "x < -lambd ? -lambd : x", "y": "x - (above > lambd ? lambd : above)"},
    "hardshrink": {"y": "fabs(x) <= lambd ? T(0) : x"},
    "hardshrink_backward": {"z": "fabs(y)", "found": "z <= lambd ? T(0) : x"},
    "relu": {"y": "x <= T(0) ? T(0) : x"},
    "relu_backward": {"found": "y <= T(0) ? T(0) : x"},
    "leaky_relu": {"y": "x > T(0) ? x : x * slope"},
    "leaky_relu_backward": {"found": "y > T(0) ? x : x * slope"},
    "clamp": {"above": "x < low ? low : x", "y": "above > high ? high : above"},
    "hardtanh_backward": {"found": "y <= low || y >= high ? T(0) : x"},
    "masked_fill": {"y": "mask ? value : x"},
}  # fmt: skip

#: Comparisons moved by one that make no difference, since both sides are the same number where they meet: op -> the
#: value, and its formula with the slip.
MEETING: dict[str, dict[str, str]] = {
    "softplus": {"soft": "((z >= T(0) ? z : T(0)) + log1p(exp(-fabs(z)))) / beta"},
    "logsigmoid": {"y": "(x <= T(0) ? x : T(0)) - log1p(exp(-fabs(x)))"},
    "elu": {"y": "x <= T(0) ? expm1(x * rate) * low : x * high"},
    "mish": {"y": "x * (x > T(0) ? above : below / (below + T(2)))"},
    "hardsigmoid": {"above": "z <= T(0) ? T(0) : z", "y": "(above >= T(6) ? T(6) : above) / T(6)"},
    "hardswish": {"above": "z <= T(0) ? T(0) : z", "y": "x * (above >= T(6) ? T(6) : above) / T(6)"},
    "softshrink": {"y": "x - (above >= lambd ? lambd : above)"},
    "relu": {"y": "x < T(0) ? T(0) : x"},
    "leaky_relu": {"y": "x >= T(0) ? x : x * slope"},
    "clamp": {"above": "x <= low ? low : x", "y": "above >= high ? high : above"},
}

#: Slips of the loop that may live: the line that each makes -> why.
LIVES = {
    "for (Index group = thread; group < whole; group += (threads - 1)) {": "some are computed twice, with one result",
    "for (int w = 0; w <= WIDE; w += 1)": "there is no number WIDE, so that the compiler leaves the iteration out",
    "for (int w = -1; w < WIDE; w += 1)": "there is no number -1, so that the compiler leaves the iteration out",
}


def _parameters(op: str) -> list[str]:
    code = getattr(spec, op).__code__
    return list(code.co_varnames[: code.co_argcount])


def loop(op: str, dtype: str) -> Pointwise:
    """The loop of an activation, in one dimension."""
    floating = np.dtype(dtype)
    kind = {"float32": "float", "float64": "double"}[dtype]
    leaves = tuple(
        Leaf(n, np.dtype(bool) if n == "mask" else floating, (True,) if n in ("x", "y", "mask") else None)
        for n in _parameters(op)
    )
    *values, (last, formula) = [(n, f.replace("T(", f"{kind}(")) for n, f in FORMULAS[op].items()]
    result = Store("out", floating, last, (True,))
    lines = (*(Line(n, floating, f) for n, f in values), Line(last, floating, formula))
    return Pointwise(f"{op}_{dtype}", 1, leaves, lines, (result,), (f"{op}: {_says(op)}",))


def _says(op: str) -> str:
    lines = (spec.__doc__ or "").splitlines()
    return next(line for line in lines if line.startswith(f"``{op}(")).split("``")[2].strip()


@functools.lru_cache
def source(op: str) -> str:
    """The kernels of an activation, in both dtypes."""
    first, second = (loop(op, dtype) for dtype in DTYPES)
    head, *rest = first.source().split('\n#include', 1)
    meeting = {f"float {name} = {f.replace('T(', 'float(')};" for name, f in MEETING.get(op, {}).items()}
    lives = {**LIVES, **dict.fromkeys(sorted(meeting), "both sides are the same number where they meet")}
    answers = "".join(f"// lives: {line}\n//   {why}\n" for line, why in lives.items())
    return f"{head}\n{answers}#include{rest[0]}{second.source(header=False)}"


def _declared(op: str) -> CudaKernel:
    loops = {dtype: loop(op, dtype) for dtype in DTYPES}

    def plan(empty: Empty, *arguments: Any, most: int = MOST) -> tuple[list[Call], tuple[Any, ...]]:
        x = arguments[0]
        given = [a if not _array(a) or a.flags.c_contiguous else a.copy(order="C") for a in arguments]
        given = [a.reshape(-1) if _array(a) else x.dtype.type(a) for a in given]
        calls, (y,) = loops[x.dtype.name].plan(empty, (x.size,), given, [x.shape], most)
        return calls, (y,)

    return declare(
        GeneratedKernel(
            op, "cuda.generated", FOLDER / f"{op}.cu", DTYPES, plan, _samples(op), accepts,
            trial=functools.partial(plan, most=1), written=functools.partial(source, op),
        )
    )  # fmt: skip


def _array(value: Any) -> bool:
    return bool(getattr(value, "shape", ()))


def accepts(x: Any, *rest: Any) -> bool:
    """Arrays of one shape, and numbers; a slope for each channel is another kernel's."""
    return bool(x.shape) and all(not _array(a) or a.shape == x.shape for a in rest)


def _samples(op: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    """The edges of the card and other layouts; whole accesses and not, arrays that do not begin at multiples of 16
    bytes, several rounds of a block."""

    def samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
        rng = np.random.default_rng(1)
        edges = [0.0, 3, -0.0, -3, 1e-30, -1e-30, 0.5, -0.5, 1, -1, 4, -4, 20, -20, 104, -104, np.inf, -np.inf, np.nan]
        numbers = [spec._typed(op, settings, dtype) for settings in spec.SETTINGS.get(op, ((),))]

        def drawn(*shape: int) -> Any:
            return (rng.standard_normal(shape) * 3).astype(dtype)

        for found in numbers:
            x = np.array(edges, dtype)
            yield (x, *spec._beside(op, x), *found)
        for x in (drawn(0, 3), drawn(1), drawn(5, 3).T, drawn(2, 6)[:, ::2], drawn(33), drawn(257)[1:], drawn(64)):
            yield (x, *spec._beside(op, x), *numbers[0])
        x = drawn(5003)
        yield (x, *spec._beside(op, x), *numbers[-1])

    return samples


KERNELS = [_declared(op) for op in FORMULAS]
