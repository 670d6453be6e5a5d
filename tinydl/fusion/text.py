"""The text of a kernel: a loop over the elements, in which every value has a line of its own.

Operands that are broadcast are not copied. Neighbouring dimensions along which all operands behave alike become one, so
that the common case is a single line of memory; an operand is then known by the dimensions it *has*. What depends on no
column is computed before the loop over columns, and what depends on nothing before all loops.
"""

from __future__ import annotations

import itertools
import keyword
import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl.fusion.formulas import ATOMS, number
from tinydl.fusion.tracing import Expression
from tinydl.kernels.elementary import FUNCTIONS

Has = tuple[bool, ...]


@dataclass(frozen=True)
class Space:
    """The index space of a kernel: sizes of its dimensions, and for each operand, which of them it has."""

    sizes: tuple[int, ...]
    has: tuple[Has, ...]


def space(shape: tuple[int, ...], operands: Sequence[tuple[int, ...]]) -> Space:
    """Operands of these shapes, contiguous, in the fewest dimensions."""
    wide = [(1,) * (len(shape) - len(s)) + tuple(s) for s in operands]
    columns = [(n, tuple(s[d] == n for s in wide)) for d, n in enumerate(shape) if n != 1]
    sizes, has = [], []
    for same, group in itertools.groupby(columns, key=lambda c: c[1]):
        sizes.append(math.prod(n for n, _ in group))
        has.append(same)
    if not sizes:  # one element
        sizes, has = [1], [tuple(s == shape for s in wide)]
    return Space(tuple(sizes), tuple(zip(*has)) if operands else ())


@dataclass(frozen=True)
class Store:
    """A result: ``name`` of what is stored, the value, and the dimensions of where it goes, over the others of which
    it is summed."""

    name: str
    value: Expression
    has: Has


_RESERVED = {
    "first", "last", "part", "top", "start", "stop", "across", "row", "rows", "i", "n", "size", "range", "min", "abs",
    "g", "float32", "float64", "int64", "inf", "nan", "out", "height", "width", *FUNCTIONS, *keyword.kwlist,
}  # fmt: skip


def identifiers(names: Iterable[str]) -> list[str]:
    """The names, with an underscore added where the text means something else by it."""
    taken: set[str] = set()
    found = []
    for name in names:
        while name in _RESERVED or name in taken or _is_ours(name):
            name += "_"
        taken.add(name)
        found.append(name)
    return found


def _is_ours(name: str) -> bool:
    head, tail = name.rstrip("0123456789"), name.lstrip("abcdefghijklmnopqrstuvwxyz_")
    own = head in ("t", "i", "n", "out", "g", "kept") and tail.isdigit()
    return own or name.endswith(("_all", "_row", "_sum", "_step"))


def ordered(values: Iterable[Expression], known: Container[int] = ()) -> list[Expression]:
    """All expressions that ``values`` are computed from and these themselves, operands first; each one once.

    What is at a position that is ``known`` is read from memory: what it was computed from is not needed.
    """
    seen: dict[int, Expression] = {}
    waiting = [v.plain() for v in values]
    while waiting:
        e = waiting.pop()
        if e.position not in seen:
            seen[e.position] = e
            if e.position in known:
                continue
            waiting += [x.plain() for x in e.inputs if e.op is None or e.op.name != "nothing"]
    return [seen[k] for k in sorted(seen)]


@dataclass(frozen=True)
class Text:
    """``source`` defines the function ``name``; ``work`` counts operations for each element, a number read or written
    as one."""

    name: str
    source: str
    work: int


class _Writer:
    """Lines for one kernel, in three places: before all loops, in the loop over rows, in the loop over columns."""

    def __init__(self, dimensions: int, leaves: dict[int, tuple[str, Has]]) -> None:
        self.dimensions, self.leaves = dimensions, leaves
        self.lines: list[list[str]] = [[], [], []]  # by depth
        self.names: dict[int, tuple[str, int]] = {}
        self.work = 0
        self.temporaries = itertools.count(1)

    def depth_of(self, has: Has) -> int:
        return 2 if has[-1] else 1 if any(has) else 0

    def offset(self, has: Has) -> str:
        """Where an operand's row begins, as text: its strides are the products of the sizes it has after them."""
        if not any(has[:-1]):
            return "0"
        if all(has[:-1]):
            return f"row * n{self.dimensions - 1}" if has[-1] else "row"
        terms = []
        for d in range(self.dimensions - 1):
            if has[d]:
                after = [f"n{e}" for e in range(d + 1, self.dimensions) if has[e]]
                terms.append(" * ".join([f"i{d}", *after]))
        return " + ".join(terms)

    def write(self, expressions: Iterable[Expression]) -> None:
        for e in expressions:
            if e.number is not None:
                self.names[e.position] = number(e.number, e.dtype), 0
                continue
            if e.position in self.leaves:
                name, has = self.leaves[e.position]
                depth = self.depth_of(has)
                self.work += depth == 2
                at = "i" if depth == 2 else self.offset(has)
                self.lines[depth].append(f"{name} = {name}_{'row' if depth == 2 else 'all'}[{at}]")
                self.names[e.position] = name, depth
                continue
            assert e.op is not None
            atom = ATOMS[e.op.name]
            operands = [] if e.op.name == "nothing" else [x.plain() for x in e.inputs]
            depth = max((self.names[x.position][1] for x in operands), default=0)
            dtype = e.dtype if e.dtype.kind == "f" or not operands else operands[0].dtype
            if e.op.name == "cast":
                dtype = e.dtype
            settings = {k: v for k, v in e.static.items() if k != "dtype"}
            texts = [self.names[x.position][0] for x in operands]
            value = atom.formula(*(texts or [""]), dtype=dtype, **settings)
            name = f"t{next(self.temporaries)}"
            self.lines[depth].append(f"{name} = {value}")
            self.names[e.position] = name, depth
            self.work += atom.cost if depth == 2 else 0

    def value(self, e: Expression) -> str:
        return self.names[e.plain().position][0]


def kernel_text(
    name: str, dimensions: int, leaves: Sequence[tuple[Expression, str, Has]], stores: Sequence[Store],
    notes: Sequence[str],
) -> Text:  # fmt: skip
    """The text of a kernel in ``dimensions``, with ``notes`` as comments above it.

    Its arguments: the first and the last part; what ``kernels.fused.cut`` says; the operands, flat; the results, flat;
    for each result that is summed, how far the places of two parts are apart.
    """
    writer = _Writer(dimensions, {e.position: (leaf, has) for e, leaf, has in leaves})
    writer.write(ordered((s.value for s in stores), writer.leaves))
    whole = (True,) * dimensions
    top, rows, columns = writer.lines
    slices, starts, ends = [], [], []

    def sliced(array: str, has: Has, place: str = "") -> str:
        at = " + ".join(t for t in (place, writer.offset(has) if dimensions > 1 else "0") if t and t != "0")
        at = f"{at} + " if at else ""
        return f"{array}_row = {array}_all[{at}start : {at}stop]"

    for _, leaf, has in leaves:
        if has[-1]:
            slices.append(sliced(leaf, has))
    for store in stores:
        value, summed = writer.value(store.value), store.has != whole
        place = f"part * {store.name}_step" if summed else ""
        writer.work += store.has[-1]
        if store.has[-1]:
            slices.append(sliced(store.name, store.has, place))
            columns.append(f"{store.name}_row[i] {'+=' if summed else '='} {value}")
        else:
            starts.append(f"{store.name}_sum = {number(0, store.value.dtype)}")
            columns.append(f"{store.name}_sum = plus({store.name}_sum, {value})")
            at = writer.offset(store.has)
            ends.append(f"{store.name}_all[{place}{'' if at == '0' else ' + ' + at}] += {store.name}_sum")
    sizes = [f"n{d}" for d in range(dimensions)]
    given = ["size", "n0"] if dimensions == 1 else ["height", "width", "rows", *sizes]
    arrays = [f"{leaf}_all" for _, leaf, _ in leaves] + [f"{s.name}_all" for s in stores]
    steps = [f"{s.name}_step" for s in stores if s.has != whole]
    text = [f"# {note}" for note in notes]
    text += [f"def {name}({', '.join(['first', 'last', *given, *arrays, *steps])}):"]
    text += _indented(1, top)
    if dimensions == 1:
        text += _indented(1, [
            "for part in range(first, last):",
            "    start, stop = part * size, min(part * size + size, n0)",
        ])  # fmt: skip
        depth = 2
    else:
        columns_ = sizes[-1]
        text += _indented(1, [
            f"across = ({columns_} + width - 1) // width",
            "for part in range(first, last):",
            f"    start, stop = part % across * width, min(part % across * width + width, {columns_})",
            "    top = part // across * height",
            "    for row in range(top, min(top + height, rows)):",
        ])  # fmt: skip
        depth = 3
        used = " ".join([*slices, *rows, *ends])
        for d in range(dimensions - 1):
            if f"i{d}" in used:
                below = " * ".join(sizes[d + 1 : -1])
                index = "row" if not below else f"row // ({below})" if "*" in below else f"row // {below}"
                text += _indented(depth, [f"i{d} = {index}" + (f" % {sizes[d]}" if d else "")])
    text += _indented(depth, [*slices, *rows, *starts, "for i in range(stop - start):"])
    text += _indented(depth + 1, columns)
    text += _indented(depth, ends)
    return Text(name, "\n".join(text) + "\n", max(writer.work, 1))


def _indented(depth: int, lines: Sequence[str]) -> list[str]:
    return ["    " * depth + line for line in lines]


def described(names: Sequence[str], arrays: Sequence[tuple[Any, Any]]) -> str:
    """The operands of a kernel in words: names, dtypes and shapes."""
    return ", ".join(f"{n} {np.dtype(d).name}{list(s)}" for n, (d, s) in zip(names, arrays))
