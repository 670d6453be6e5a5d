"""A call, and arguments that are tried in all combinations: both libraries give the same numbers, or both refuse.

NumPy arrays among the arguments become tensors, floating ones leaves: where there is a gradient, it is compared too.
"""

from __future__ import annotations

import itertools
import linecache
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import tinydl
from tests.differential.test_rows_torch import flat, gradients, is_tensor, same, same_gradients

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these grids")

REFUSALS = (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError, AssertionError)


def nowhere(*_: Any) -> bool:
    """The two differ on purpose nowhere."""
    return False


class Grids:
    """The calls of a file, by their labels."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Callable[..., bool]]] = {}

    def grid(
        self, label: str, f: Callable[..., Any], *choices: Iterable[Any], but: Callable[..., bool] = nowhere
    ) -> None:
        """Enter ``f(library, *arguments)``; ``but(*arguments)`` says where the two differ on purpose."""
        k = 1
        while (name := label if k == 1 else f"{label} {k}") in self.entries:
            k += 1
        self.entries[name] = (f, tuple(tuple(c) for c in choices), but)

    def functions(
        self, names: str, *choices: Iterable[Any], but: Callable[..., bool] = nowhere, **keywords: Any
    ) -> None:
        """Enter functions of the library by their names."""
        for name in names.split():
            note = "".join(f" {k}={v}" for k, v in keywords.items())
            self.grid(name + note, lambda t, *a, name=name: at(t, name)(*a, **keywords), *choices, but=but)

    def check(self, label: str) -> None:
        """Try all of one call."""
        f, choices, but = self.entries[label]
        wrong = []
        for arguments in itertools.product(*choices):
            if but(*arguments):
                continue
            wanted, slopes = answer(torch, f, arguments)
            got, ours = answer(tinydl, f, arguments)
            try:
                if isinstance(wanted, Exception) or isinstance(got, Exception):
                    refused = isinstance(wanted, Exception) and isinstance(got, Exception)
                    assert refused, f"{str(got)[:90]!r}, PyTorch {str(wanted)[:90]!r}"
                    assert said(got), f"an accident instead of a refusal: {got!r:.120}"
                    continue
                same(got, wanted, "float64", 1.0, "value")
                assert (slopes is None) == (ours is None), "one has a gradient"
                if slopes is not None and slopes is not ...:
                    same_gradients(ours, slopes, "float64", 1.0, "gradient by leaf")
            except AssertionError as error:
                wrong.append(f"({', '.join(map(shown, arguments))}): {' '.join(str(error).split())[:200]}")
        assert not wrong, f"{len(wrong)} of\n" + "\n".join(wrong[:30])


def said(error: BaseException) -> bool:
    """Whether an error was raised on purpose, by a ``raise``, and is not what an expression stumbled over."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return line.strip().startswith("raise")


def answer(library: Any, f: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """What comes out, with gradients (... where PyTorch has none of some empty results); or the error."""
    given = [
        library.tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in arguments
    ]
    try:
        out = f(library, *given)
    except REFUSALS as error:
        return error, None
    leaves = [a for a in given if is_tensor(a) and a.requires_grad]
    if not any(is_tensor(y) and y.requires_grad for y in flat(out)):
        return out, None
    try:
        return out, gradients(library, out, leaves, 1)
    except REFUSALS:
        if library is tinydl:
            raise
        return out, ...


def at(library: Any, name: str) -> Any:
    """The function of a dotted name."""
    for part in name.split("."):
        library = getattr(library, part)
    return library


def shown(argument: Any) -> str:
    """An argument in few letters."""
    if isinstance(argument, np.ndarray) and argument.size > 2:
        return f"{argument.dtype}{list(argument.shape)}"
    return repr(argument)


def x(*shape: int) -> Any:
    """Different numbers of both signs."""
    n = np.arange(math.prod(shape))
    return ((n * 7 % 23 - 9) / 8 + 0.05 + n * n / 97).reshape(shape)


def xs(*shapes: tuple[int, ...]) -> list[Any]:
    """Such arrays of several shapes."""
    return [x(*s) for s in shapes]
