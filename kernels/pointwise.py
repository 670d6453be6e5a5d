"""CUDA C++ of elementwise loops, generated: text from a list of formulas, and how it is launched.

What is computed is a :class:`Pointwise`: leaves that are read, a line for every value, and what is stored. Its index
space has few dimensions, each operand being known by those that it *has* (``tinydl/fusion/text.py`` makes them so). A
store that has not all of them is a sum over the others: that is the gradient of an operand that was broadcast.

Three forms of loop:

- *line*: one dimension. Each thread takes accesses of 16 bytes, a grid apart.
- *grid*: more dimensions, nothing summed. The same; a place is taken apart into indices once for each access.
- *tile*: more dimensions and sums. Columns (the last dimension) lie along x of a block and rows along y; a block walks
  down some rows, so that a thread keeps the sums of its columns in registers, and a row's sum is formed by shuffles.

Sums are deterministic. Each block leaves its part in a place of its own, and a second kernel adds the places of a sum,
in float64 and in a fixed order. How the work is cut depends on sizes alone. A sum that goes over some of the leading
dimensions only is rare: its terms are all stored, and the second kernel adds them.

Every text has two entries of each loop, one with accesses of 16 bytes and one, ``..._narrow``, for arrays that do not
begin at multiples of that, or rows that do not; the host chooses, so that no thread asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Call, Empty

Has = tuple[bool, ...]

THREADS = 256
#: Blocks of a launch, at most: 30 for each of 132 multiprocessors, four times what they hold.
MOST = 4096
#: Blocks that leave sums behind, at most.
PARTS = 1024

#: C++ of the dtypes that a loop may have.
TYPES = {
    "float32": "float", "float64": "double", "bool": "bool", "int8": "signed char", "int16": "short", "int32": "int",
    "int64": "long long", "uint8": "unsigned char",
}  # fmt: skip

#: What an operand may not be called: C++'s words, and what the text and its functions are called.
RESERVED = frozenset(
    """alignas alignof and asm auto bool break case catch char class const constexpr continue decltype default delete do
    double else enum explicit export extern false final float for friend goto if inline int long mutable namespace new
    noexcept not nullptr operator or private protected public register return short signed sizeof static struct switch
    template this throw true try typedef typeid typename union unsigned using virtual void volatile while xor
    abs acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh erf erfc erfinv exp exp2 expm1 fabs floor fmod
    fmax fmin hypot isfinite isinf isnan lgamma log log10 log1p log2 logaddexp max min pow remainder rint round rsqrt
    sigmoid sin sinh sqrt tan tanh trunc modulo floor_quotient infinity not_a_number
    Index T Few Word W WIDE get put rows row column group groups tile strip top height thread threads step across away
    parts sum place whole lane line other over_threads i w k""".split()
)


def number(value: Any, dtype: Any) -> str:
    """A constant as C++ text of its dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        return f"{int(value)}{'LL' if dtype.itemsize == 8 else ''}"
    kind = TYPES[dtype.name]
    value = dtype.type(value)
    if not np.isfinite(value):
        text = f"not_a_number<{kind}>()" if np.isnan(value) else f"infinity<{kind}>()"
        return f"-{text}" if value < 0 else text
    text = np.format_float_positional(value, trim="0") if 1e-4 <= abs(value) < 1e6 or value == 0 else f"{value!s}"
    text = text if any(c in text for c in ".e") else f"{text}.0"
    return f"({text}f)" if text[0] == "-" and kind == "float" else f"({text})" if text[0] == "-" else (
        f"{text}f" if kind == "float" else text
    )  # fmt: skip


@dataclass(frozen=True)
class Leaf:
    """What is read: ``has`` says which dimensions, None of a number that is passed by value."""

    name: str
    dtype: Any
    has: Has | None


@dataclass(frozen=True)
class Line:
    """A value: its name, its dtype, its formula in C++ over names of leaves and of values before it."""

    name: str
    dtype: Any
    formula: str


@dataclass(frozen=True)
class Store:
    """A result: its name, its dtype, what is stored (a name or a formula), and which dimensions it has."""

    name: str
    dtype: Any
    value: str
    has: Has


@dataclass(frozen=True)
class Pointwise:
    """An elementwise loop; ``name`` is its entry's, ``notes`` say in comments what it computes. ``large``: there may be
    2^31 elements or more."""

    name: str
    dimensions: int
    leaves: tuple[Leaf, ...]
    lines: tuple[Line, ...]
    stores: tuple[Store, ...]
    notes: tuple[str, ...] = ()
    large: bool = False
    _texts: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    # ---- what it is made of

    @property
    def arrays(self) -> list[Leaf]:
        """Leaves that are arrays."""
        return [leaf for leaf in self.leaves if leaf.has is not None]

    @property
    def operands(self) -> list[Leaf | Store]:
        """What lies in memory."""
        return [*self.arrays, *self.stores]

    @property
    def whole(self) -> Has:
        """All dimensions."""
        return (True,) * self.dimensions

    @property
    def summed(self) -> list[Store]:
        """Stores that are sums."""
        return [s for s in self.stores if s.has != self.whole]

    @property
    def form(self) -> str:
        """``line``, ``grid`` or ``tile``."""
        return "line" if self.dimensions == 1 else "tile" if self.summed else "grid"

    @property
    def wide(self) -> int:
        """Elements of an access: 16 bytes of the widest dtype."""
        return 16 // max(int(np.dtype(x.dtype).itemsize) for x in self.operands)

    def kind(self, store: Store) -> str:
        """How a sum is formed: ``total``, ``columns`` (one for each), ``rows``, or ``terms`` (all are stored)."""
        *outer, last = store.has
        if not any(store.has):
            return "total"
        if last:
            return "terms" if any(outer) else "columns"
        return "rows"

    # ---- its text

    def source(self, header: bool = True) -> str:
        """The whole text; without the options and includes when it goes behind another."""
        text = HEADER if header else []
        text = [*text, "", *(f"// {note}" for note in self.notes)]
        text += _point(self)
        text += {"line": _line, "grid": _grid, "tile": _tile}[self.form](self)
        for store in self.summed:
            text += _finish(self, store)
        return "\n".join(text) + "\n"

    # ---- its launches

    def plan(
        self, empty: Empty, shape: Sequence[int], arguments: Sequence[Any], shapes: Sequence[Sequence[int]],
        most: int = MOST,
    ) -> tuple[list[Call], list[Any]]:  # fmt: skip
        """The launches for an index space of these sizes, and the results, of these shapes.

        arguments: of the leaves, in their order; arrays are contiguous. most: blocks, at most.
        """
        sizes = tuple(map(int, shape))
        elements = math.prod(sizes)
        # a launcher takes an array of no dimensions for a number
        arguments = [a.reshape(1) if getattr(a, "shape", None) == () and x.has is not None else a
                     for a, x in zip(arguments, self.leaves)]  # fmt: skip
        outs = [empty(tuple(s) or (1,), np.dtype(x.dtype)) for s, x in zip(shapes, self.stores)]
        wide = self.wide if self._in_words(sizes, arguments) else 1
        grid, block, cut, parts = self._cut(sizes, wide, most)
        places = {s.name: empty(self._place(s, sizes, parts, elements), np.dtype(s.dtype)) for s in self.summed}
        stored = [places.get(s.name, out) for s, out in zip(self.stores, outs)]
        calls = []
        if elements:
            entry = self.name if wide > 1 or self.wide == 1 else f"{self.name}_narrow"
            calls.append(Call(entry, grid, block, (*arguments, *stored, *cut, *sizes)))
        for store, out in zip(self.stores, outs):
            if store.name in places and out.size:
                calls.append(self._finished(store, places[store.name], out, sizes))
        return calls, [out.reshape(tuple(s)) for out, s in zip(outs, shapes)]

    def _in_words(self, sizes: tuple[int, ...], arguments: Sequence[Any]) -> bool:
        """Whether all accesses may be of 16 bytes."""
        if self.dimensions > 1 and sizes[-1] % self.wide:
            return False
        return all(
            address(a) % (np.dtype(leaf.dtype).itemsize * self.wide) == 0
            for leaf, a in zip(self.leaves, arguments) if leaf.has is not None and leaf.has[-1]
        )  # fmt: skip

    def _cut(
        self, sizes: tuple[int, ...], wide: int, most: int
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, int]]:
        """Grid, block, further arguments of the kernel, and how many parts lie across and down."""
        elements = math.prod(sizes)
        if self.form != "tile":
            most = min(most, PARTS) if self.summed else most
            blocks = max(1, min(-(-elements // (wide * THREADS)), most))
            return (blocks,), (THREADS,), (), (1, blocks)
        groups, rows = max(1, sizes[-1] // wide), math.prod(sizes[:-1])
        x = 1
        while x < min(groups, 32):
            x *= 2
        y, across = THREADS // x, -(-groups // x)
        strips = max(1, min(-(-rows // (4 * y)), min(most, PARTS) // across))
        height = math.ceil(rows / strips / y) * y
        strips = max(1, -(-rows // height)) if height else 1
        return (across * strips,), (x, y), (max(height, y),), (across, strips)

    def _place(self, store: Store, sizes: tuple[int, ...], parts: tuple[int, int], elements: int) -> tuple[int, ...]:
        """The shape of the memory in which a sum's parts are left."""
        across, strips = parts
        shapes = {
            "total": (across * strips,), "columns": (strips, sizes[-1]),
            "rows": (across, math.prod(sizes[:-1])), "terms": (elements,),
        }  # fmt: skip
        return shapes[self.kind(store)] if elements else (0,)

    def _finished(self, store: Store, place: Any, out: Any, sizes: tuple[int, ...]) -> Call:
        given = self._summed_sizes(store, sizes, place.size)
        x = 1
        while x < min(out.size, 32):
            x *= 2
        blocks = -(-out.size // x)
        return Call(f"{self.name}_{store.name}", (blocks,), (x, THREADS // x), (place, out, *given))

    def _summed_sizes(self, store: Store, sizes: tuple[int, ...], places: int) -> tuple[int, ...]:
        """Sizes of what the second kernel adds: the parts, and behind them the dimensions that they have."""
        kind, elements = self.kind(store), math.prod(sizes)
        if kind == "terms":
            return sizes
        kept = {"total": 1, "columns": sizes[-1], "rows": math.prod(sizes[:-1])}[kind]
        parts = places // kept if elements else 0
        return (parts, *{"total": (), "columns": sizes[-1:], "rows": sizes[:-1]}[kind])


def address(array: Any) -> int:
    """Where an array begins, on its device."""
    if isinstance(array, np.ndarray):
        return int(array.__array_interface__["data"][0])
    return int(array.data.ptr)


# -- text --------------------------------------------------------------------------------------------------------------

HEADER = [
    "// nvrtc: -std=c++17 -fmad=false",
    "//",
    "// Written by kernels/pointwise.py. All operations happen in registers, between one reading of each operand and",
    "// one writing of each result; every operation rounds by itself, as on the CPU.",
    "//",
    "// What to expect: the speed at which memory moves the operands and results. (Unverified on hardware.)",
    "",
    '#include "elementary.cuh"',
]


def _listed(head: str, items: Sequence[str], tail: str) -> list[str]:
    """``head(items)tail`` in one line, or where that is too long, the items in lines of their own."""
    line = f"{head}({', '.join(items)}){tail}"
    if len(line) <= 120:
        return [line]
    lines, rest = [f"{head}("], list(items)
    while rest:
        text = "    " + rest.pop(0)
        while rest and len(text) + len(rest[0]) < 115:
            text += f", {rest.pop(0)}"
        lines.append(text + ("," if rest else f"){tail}"))
    return lines


def _indented(depth: int, lines: Sequence[str]) -> list[str]:
    return ["    " * depth + line if line else "" for line in lines]


def _loop(head: str, body: Sequence[str]) -> list[str]:
    """What is done in a loop or under a condition, in braces where it has more than one line."""
    return [head, f"    {body[0]}"] if len(body) == 1 else [f"{head} {{", *_indented(1, body), "}"]


def _point(p: Pointwise) -> list[str]:
    """The function of one element."""
    given = [f"{TYPES[leaf.dtype.name]} {leaf.name}" for leaf in p.leaves]
    made = [f"{TYPES[s.dtype.name]} &{s.name}" for s in p.stores]
    lines = [f"{TYPES[line.dtype.name]} {line.name} = {line.formula};" for line in p.lines]
    lines += [f"{s.name} = {s.value};" for s in p.stores]
    head = f"__device__ __forceinline__ void {p.name}_at"
    return [*_listed(head, [*given, *made], ""), "{", *_indented(1, lines), "}", ""]


def _parameters(p: Pointwise) -> list[str]:
    """Operands, results and sizes of an entry."""
    found = []
    for leaf in p.leaves:
        kind = TYPES[leaf.dtype.name]
        found.append(f"{kind} {leaf.name}" if leaf.has is None else f"const {kind} *__restrict__ {leaf.name}_all")
    found += [f"{TYPES[s.dtype.name]} *__restrict__ {s.name}_all" for s in p.stores]
    found += ["Index height"] if p.form == "tile" else []
    return found + [f"Index n{d}" for d in range(p.dimensions)]


def _entries(p: Pointwise) -> list[str]:
    """The kernels around the loop."""
    given = _parameters(p)
    names = [words.split()[-1] for words in given]
    text = []
    for suffix, wide in (("", p.wide), ("_narrow", 1)) if p.wide > 1 else (("", 1),):
        text += [
            f'extern "C" __global__ void __launch_bounds__({THREADS})', *_listed(f"{p.name}{suffix}", given, ""), "{",
            *_indented(1, _listed(f"{p.name}_loop<{wide}>", names, ";")), "}", "",
        ]  # fmt: skip
    return text[:-1]


def _begin(p: Pointwise) -> list[str]:
    return ["template <int WIDE>", *_listed(f"__device__ void {p.name}_loop", _parameters(p), ""), "{"]


def _constants(p: Pointwise) -> list[str]:
    """Operands of one element, read once."""
    return [
        f"{TYPES[leaf.dtype.name]} {leaf.name} = {leaf.name}_all[0];" for leaf in p.arrays if not any(leaf.has or ())
    ]


def _sums(p: Pointwise, kind: str) -> list[Store]:
    return [s for s in p.summed if p.kind(s) == kind]


def _offset(p: Pointwise, has: Has, sizes: Sequence[str], indices: Sequence[str]) -> str:
    """The place of an operand that has some dimensions: its strides are the products of the sizes behind."""
    text = ""
    for size, index, there in zip(sizes, indices, has):
        if there:
            inner = f"({text})" if " + " in text else text
            text = f"{inner} * {size} + {index}" if text else index
    return text or "0"


def _access(p: Pointwise, places: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Reading, the loop over the numbers of an access, writing; ``places`` of operands, by name."""
    reads, point, writes = [], [], []
    inside = []
    for leaf in p.leaves:
        kind = TYPES[leaf.dtype.name]
        if leaf.has is None or not any(leaf.has):
            inside.append(leaf.name)
        elif leaf.has[-1]:
            reads.append(f"Few<{kind}, WIDE> {leaf.name} = get<WIDE>({leaf.name}_all + {places[leaf.name]});")
            inside.append(f"{leaf.name}.v[w]")
        else:
            reads.append(f"{kind} {leaf.name} = {leaf.name}_all[{places[leaf.name]}];")
            inside.append(leaf.name)
    for s in p.stores:
        kind = TYPES[s.dtype.name]
        if s.has == p.whole or p.kind(s) == "terms":
            reads.append(f"Few<{kind}, WIDE> {s.name};")
            inside.append(f"{s.name}.v[w]")
            writes.append(f"put({s.name}_all + {places[s.name]}, {s.name});")
        else:
            point.append(f"{kind} {s.name};")
            inside.append(s.name)
    point += _listed(f"{p.name}_at", inside, ";")
    for s in p.summed:
        if p.kind(s) in ("total", "rows"):
            point.append(f"{s.name}_sum += {s.name};")
        elif p.kind(s) == "columns":
            point.append(f"{s.name}_sum[w] += {s.name};")
    return reads, _loop("for (int w = 0; w < WIDE; w += 1)", point), writes


def _totals(p: Pointwise, thread: str) -> list[str]:
    """What a block's threads have of sums over everything, joined and left in the block's place."""
    lines = []
    for s in _sums(p, "total"):
        lines += [
            f"{s.name}_sum = over_threads<{THREADS}>({s.name}_sum, {thread});", f"if ({thread} == 0)",
            f"    {s.name}_all[blockIdx.x] = {s.name}_sum;",
        ]  # fmt: skip
    return lines


def _line(p: Pointwise) -> list[str]:
    """One dimension: accesses of WIDE numbers, a grid apart, then the numbers behind the last whole one."""
    every = {x.name: "i" for x in p.operands}
    reads, loop, writes = _access(p, every)
    text = _begin(p)
    body = [
        "Index thread = (Index)blockIdx.x * blockDim.x + threadIdx.x, threads = (Index)gridDim.x * blockDim.x;",
        *_constants(p),
        *(f"{TYPES[s.dtype.name]} {s.name}_sum = 0;" for s in _sums(p, "total")),
        "Index whole = n0 / WIDE;",
        "for (Index group = thread; group < whole; group += threads) {",
        "    Index i = group * WIDE;",
        *_indented(1, [*reads, *loop, *writes]),
        "}",
    ]
    # the numbers behind: as if each were an access of one
    given = [leaf.name if leaf.has is None or not any(leaf.has) else f"{leaf.name}_all[i]" for leaf in p.leaves]
    rest = [f"{TYPES[s.dtype.name]} {s.name};" for s in p.summed]
    given += [s.name if s.has != p.whole else f"{s.name}_all[i]" for s in p.stores]
    rest += _listed(f"{p.name}_at", given, ";")
    rest += [f"{s.name}_sum += {s.name};" for s in p.summed]
    body += ["Index i = whole * WIDE + thread; // fewer than WIDE are left", *_loop("if (i < n0)", rest)]
    body += _totals(p, "threadIdx.x")
    return [*_index(p), *text, *_indented(1, body), "}", "", *_entries(p)]


def _index(p: Pointwise) -> list[str]:
    return [f"typedef {'long long' if p.large or p.form == 'line' else 'unsigned'} Index;", ""]


def _indices(p: Pointwise, used: Sequence[Has]) -> list[str]:
    """Indices of the leading dimensions, of which some operand has some and not all."""
    count = p.dimensions - 1
    if all(all(has[:-1]) or not any(has[:-1]) for has in used):
        return []
    lines = []
    for d in range(count):
        below = " * ".join(f"n{e}" for e in range(d + 1, count))
        index = "row" if not below else f"row / ({below})" if "*" in below else f"row / {below}"
        lines.append(f"Index i{d} = {index}" + (f" % n{d};" if d else ";"))
    return lines


def _places(p: Pointwise) -> dict[str, str]:
    """Where operands lie, in terms of ``row``, ``column`` and the indices of the leading dimensions."""
    found = {}
    last = f"n{p.dimensions - 1}"
    sizes, indices = [f"n{d}" for d in range(p.dimensions)], [*(f"i{d}" for d in range(p.dimensions - 1)), "column"]
    for x in p.operands:
        has = p.whole if isinstance(x, Store) and p.kind(x) == "terms" else x.has
        assert has is not None
        if all(has[:-1]):
            found[x.name] = f"row * {last} + column" if has[-1] else "row"
        elif not any(has[:-1]):
            found[x.name] = "column" if has[-1] else "0"
        else:
            found[x.name] = _offset(p, has, sizes, indices)
    return found


def _used(p: Pointwise) -> list[Has]:
    return [leaf.has or () for leaf in p.arrays]


def _grid(p: Pointwise) -> list[str]:
    """Several dimensions, nothing summed."""
    reads, loop, writes = _access(p, _places(p))
    last = f"n{p.dimensions - 1}"
    rows = " * ".join(f"n{d}" for d in range(p.dimensions - 1))
    body = [
        "Index thread = (Index)blockIdx.x * blockDim.x + threadIdx.x, threads = (Index)gridDim.x * blockDim.x;",
        *_constants(p),
        f"Index across = {last} / WIDE, groups = {rows} * across;",
        "for (Index group = thread; group < groups; group += threads) {",
        "    Index row = group / across, column = group % across * WIDE;",
        *_indented(1, [*_indices(p, _used(p)), *reads, *loop, *writes]),
        "}",
    ]
    return [*_index(p), *_begin(p), *_indented(1, body), "}", "", *_entries(p)]


def _tile(p: Pointwise) -> list[str]:
    """Several dimensions, and sums: a block walks down some rows of some columns."""
    reads, loop, writes = _access(p, _places(p))
    last, rows = f"n{p.dimensions - 1}", " * ".join(f"n{d}" for d in range(p.dimensions - 1))
    totals, columns, by_row = (_sums(p, kind) for kind in ("total", "columns", "rows"))
    body = [
        "int lane = threadIdx.x, line = threadIdx.y;",
        f"Index rows = {rows}, groups = {last} / WIDE, across = (groups + blockDim.x - 1) / blockDim.x;",
        "Index tile = blockIdx.x % across, strip = blockIdx.x / across, group = tile * blockDim.x + lane;",
        "Index column = group * WIDE, top = strip * height;",
        *_constants(p),
        *(f"{TYPES[s.dtype.name]} {s.name}_sum = 0;" for s in totals),
        *(f"{TYPES[s.dtype.name]} {s.name}_sum[WIDE] = {{0}};" for s in columns),
    ]
    inner = [f"{TYPES[s.dtype.name]} {s.name}_sum = 0;" for s in by_row]
    inner += [
        "if (group < groups && row < rows) {", *_indented(1, [*_indices(p, _used(p)), *reads, *loop, *writes]), "}",
    ]  # fmt: skip
    for s in by_row:  # the threads of a row are neighbours in a warp
        inner += [
            "for (int away = blockDim.x / 2; away > 0; away /= 2)",
            f"    {s.name}_sum += __shfl_down_sync(0xffffffff, {s.name}_sum, away, blockDim.x);",
            "if (lane == 0 && row < rows)",
            f"    {s.name}_all[tile * rows + row] = {s.name}_sum;",
        ]  # fmt: skip
    body += [
        "for (Index step = 0; step < height; step += blockDim.y) { // all threads go round as often, for the shuffles"
        if by_row else "for (Index step = 0; step < height; step += blockDim.y) {",
        "    Index row = top + step + line;", *_indented(1, inner), "}",
    ]  # fmt: skip
    for s in columns:
        kind = TYPES[s.dtype.name]
        body += [
            f"__shared__ {kind} {s.name}_parts[{THREADS}];",
            "for (int w = 0; w < WIDE; w += 1) {",
            f"    {s.name}_parts[line * blockDim.x + lane] = {s.name}_sum[w];",
            "    __syncthreads();",
            "    if (line == 0 && group < groups) {",
            f"        {kind} sum = {s.name}_parts[lane];",
            "        for (int other = 1; other < blockDim.y; other += 1)",
            f"            sum += {s.name}_parts[other * blockDim.x + lane];",
            f"        {s.name}_all[strip * {last} + column + w] = sum;",
            "    }",
            "    __syncthreads();",
            "}",
        ]
    body += _totals(p, "line * blockDim.x + lane")
    return [*_index(p), *_begin(p), *_indented(1, body), "}", "", *_entries(p)]


def _finish(p: Pointwise, store: Store) -> list[str]:
    """The kernel that adds the places of a sum: some threads for each result, whose parts are added in order."""
    kind = TYPES[store.dtype.name]
    sums = p.kind(store)
    if sums == "terms":
        has = store.has
    else:
        has = (False, *{"total": (), "columns": (True,), "rows": store.has[:-1]}[sums])
    sizes = [f"m{d}" for d in range(len(has))]

    kept, over = [d for d, h in enumerate(has) if h], [d for d, h in enumerate(has) if not h]
    indices = ["" for _ in has]

    def taken_apart(value: str, dims: list[int]) -> list[str]:
        """Lines that make indices of some dimensions out of a place in them; of one, the place is its index."""
        if len(dims) == 1:
            indices[dims[0]] = value
            return []
        lines = []
        for d in dims:
            indices[d] = f"j{d}"
            below = " * ".join(sizes[e] for e in dims if e > d)
            index = value if not below else f"{value} / ({below})" if "*" in below else f"{value} / {below}"
            lines.append(f"long long j{d} = {index}" + (f" % {sizes[d]};" if d != dims[0] else ";"))
        return lines

    def product(dims: list[int]) -> str:
        return " * ".join(sizes[d] for d in dims) or "1"

    of_out, of_k = taken_apart("out", kept), taken_apart("k", over)
    term = f"sum += place[{_offset(p, (True,) * len(has), sizes, indices)}];"
    adding = _loop("for (long long k = line; k < summed; k += blockDim.y)", [*of_k, term])
    body = ["int lane = threadIdx.x, line = threadIdx.y;", f"long long summed = {product(over)};", "double sum = 0.0;"]
    if kept:
        body += [
            f"__shared__ double parts[{THREADS}];",
            f"long long out = (long long)blockIdx.x * blockDim.x + lane, kept = {product(kept)};",
            *_loop("if (out < kept)", [*of_out, *adding]),
            "parts[line * blockDim.x + lane] = sum;",
            "__syncthreads();",
            "if (line == 0 && out < kept) {",
            "    for (int other = 1; other < blockDim.y; other += 1)",
            "        sum += parts[other * blockDim.x + lane];",
            f"    {store.name}_all[out] = ({kind})sum;",
            "}",
        ]
    else:
        body[0] = "int line = threadIdx.y;"
        body += [
            *adding, f"sum = over_threads<{THREADS}>(sum, line);", "if (line == 0)",
            f"    {store.name}_all[0] = ({kind})sum;",
        ]  # fmt: skip
    given = [f"const {kind} *place", f"{kind} *{store.name}_all", *(f"long long {size}" for size in sizes)]
    return [
        "", f"// {store.name} is the sum of its places.",
        f'extern "C" __global__ void __launch_bounds__({THREADS})',
        *_listed(f"{p.name}_{store.name}", given, ""), "{", *_indented(1, body), "}",
    ]  # fmt: skip
