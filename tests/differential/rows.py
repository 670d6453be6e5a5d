"""The differential table: every public name, called alike in PyTorch and here.

One row is one call. From it follow the comparison of values, gradients and second derivatives with PyTorch in float32
and float64 and in several memory layouts, the method form, the in-place form, ``axis=`` beside ``dim=``, that inputs
stay as they were, and the float32 error beside PyTorch's (``test_rows_torch.py``). A public name without a row fails
the suite (``test_names.py``).

    row("exp", draw(3, 4))                                      tinydl.exp(x), torch.exp(x), x.exp(), x.exp_()
    row("sum", draw(3, 4), dim=1)                               keywords, and arguments that are no arrays, pass through
    row("cat", draw(2, 3), draw(4, 3), call=lambda t, a, b: t.cat([a, b]))         t is the library
    module("Conv2d", 3, 4, 3, padding=1, inputs=[draw(2, 3, 5, 5)])                nn.Conv2d with PyTorch's weights

The files of this folder that are named after a room hold its rows; this one imports no library that it tests.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Draw:
    """An input that a row draws anew from its own seed."""

    shape: tuple[int, ...]
    kind: str  # "float", "int" or "bool"
    low: float
    high: float
    away: tuple[float, ...] = ()
    make: Callable[[Array], Array] | None = None

    def array(self, rng: np.random.Generator) -> Array:
        """The numbers: float64, int64 or bool."""
        if self.kind == "int":
            x = rng.integers(int(self.low), int(self.high), self.shape)
        elif self.kind == "bool":
            x = rng.random(self.shape) < 0.5
        else:
            x = rng.uniform(self.low, self.high, self.shape)
            for point in self.away:
                x = np.where(np.abs(x - point) < 0.05, point + 0.05 + np.abs(x - point), x)
        return np.asarray(x if self.make is None else self.make(x))


def draw(
    *shape: int,
    low: float = -2.0,
    high: float = 2.0,
    away: tuple[float, ...] = (),
    make: Callable[[Array], Array] | None = None,
) -> Draw:
    """Uniform floats, at least 0.05 from each point in ``away`` (kinks, poles); ``make`` brings them into a form (a
    positive definite matrix, say). They are tested as float32 and as float64, and get gradients."""
    return Draw(shape, "float", low, high, away, make)


def ints(*shape: int, low: int = 0, high: int = 5) -> Draw:
    """int64 in [low, high)."""
    return Draw(shape, "int", low, high)


def bools(*shape: int) -> Draw:
    """True or False."""
    return Draw(shape, "bool", 0, 1)


@dataclass(frozen=True)
class Row:
    """One call of a public name. ``arguments`` are in order; Draws and arrays among them become tensors."""

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    call: Callable[..., Any] | None
    note: str
    smooth: bool  # compare second derivatives too
    constant: tuple[int, ...]  # floating arguments that get no gradient
    grad: bool
    method: bool
    in_place: bool
    loose: float  # factor on the tolerances, with a reason beside the row
    label: str
    module: bool = False
    modes: tuple[str, ...] = ("train", "eval")

    def arrays(self, dtype: Any) -> list[Any]:
        """The arguments with their numbers drawn: floating ones in ``dtype``."""
        rng = np.random.default_rng(zlib.crc32(self.label.encode()))
        out = []
        for a in self.arguments:
            x = a.array(rng) if isinstance(a, Draw) else a
            out.append(x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x)
        return out

    def differentiable(self, arrays: Sequence[Any]) -> list[int]:
        """Where the arguments stand that get a gradient."""
        return [
            i
            for i, x in enumerate(arrays)
            if self.grad and isinstance(x, np.ndarray) and x.dtype.kind == "f" and i not in self.constant
        ]

    def evaluate(self, library: Any, tensors: Sequence[Any]) -> Any:
        """The call itself, in one of the two libraries."""
        if self.call is not None:
            return self.call(library, *tensors, **self.keywords)
        return resolve(library, self.name)(*tensors, **self.keywords)


ROWS: list[Row] = []
_labels: dict[str, int] = {}


def _label(name: str, note: str) -> str:
    label = f"{name}{'-' + note.replace(' ', '_') if note else ''}"
    seen = _labels[label] = _labels.get(label, 0) + 1
    return label if seen == 1 else f"{label}-{seen}"


def row(
    name: str,
    *arguments: Any,
    call: Callable[..., Any] | None = None,
    note: str = "",
    smooth: bool = True,
    constant: tuple[int, ...] = (),
    grad: bool = True,
    method: bool = True,
    in_place: bool = True,
    loose: float = 1.0,
    **keywords: Any,
) -> None:
    """Enter a call of ``name`` (``"exp"``, ``"nn.functional.gelu"``, ``"linalg.solve"``, ``"Tensor.index_fill_"``).

    Without ``call`` the function of that name gets ``arguments`` and ``keywords``; ``call(library, *arguments)`` says
    something else. ``method`` and ``in_place`` False say that those forms are not what the row is about.
    """
    ROWS.append(
        Row(name, arguments, keywords, call, note, smooth, constant, grad, method, in_place, loose, _label(name, note))
    )


def module(
    name: str,
    *arguments: Any,
    inputs: Sequence[Any],
    note: str = "",
    smooth: bool = True,
    constant: tuple[int, ...] = (),
    loose: float = 1.0,
    modes: tuple[str, ...] = ("train", "eval"),
    call: Callable[..., Any] | None = None,
    make: Callable[[Any], Any] | None = None,
    **keywords: Any,
) -> None:
    """Enter a layer: ``nn.<name>(*arguments, **keywords)`` in both libraries, with PyTorch's parameters and buffers.

    Where the arguments are layers themselves, ``make(library)`` says it instead. The layer is called on ``inputs``, as
    ``call(layer, *inputs)`` where that is not all. ``modes`` leaves out ``"train"`` for layers that draw random numbers
    there.
    """

    def build(library: Any) -> Any:
        return resolve(library, f"nn.{name}")(*arguments, **keywords) if make is None else make(library)

    def run(layer: Any, *tensors: Any) -> Any:
        return layer(*tensors) if call is None else call(layer, *tensors)

    label = _label(f"nn.{name}", note)
    ROWS.append(
        Row(
            f"nn.{name}", tuple(inputs), {"build": build, "run": run}, None, note, smooth, constant, True, False, False,
            loose, label, True, modes,
        )
    )  # fmt: skip


def home(layer: Any) -> Any:
    """The library that a layer is of."""
    return sys.modules[type(layer).__module__.partition(".")[0]]


def resolve(library: Any, name: str) -> Any:
    """The object of a dotted public name. Raises AttributeError where there is none."""
    found = library
    for part in name.split("."):
        found = getattr(found, part)
    return found
