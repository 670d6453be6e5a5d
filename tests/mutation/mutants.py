"""The mutants of a file: one operator, number, boundary or condition changed in each.

    a + b    a - b          a < b    a <= b, a >= b      0    1            True    False      if c:    if not c:
    a * b    a / b          a == b   a != b              1    0, 2         -x      x          a and b  a or b
    a // b   a * b          a is b   a is not b          n    n + 1        not x   x
    a ** b   a * b          a in b   a not in b          0.5  1.5

No change to NumPy, which infers a size from any negative number: the -1 in ``reshape(-1)`` becomes 1 and 0 and no -2.

Not changed: annotations and what only a type checker reads, which never run; what stands inside ``raise``, which is the
wording of errors, where the kind and the first words are tested; and text.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.mutation.targets import ROOT, target_of

BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the ``number``-th of its file, in the definition ``where``, from ``before`` to ``after``."""

    file: str
    number: int
    line: int
    first_line: int  # of its statement
    where: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.where}: {self.before} -> {self.after}"

    @property
    def key(self) -> str:
        """Its name in the results: the same as long as its file is."""
        return f"{self.file}:{self.number}"

    def code(self) -> Any:
        """The file, with the change, compiled."""
        return compile(self.tree(), str(ROOT / self.file), "exec")

    def tree(self, changes: Changes | None = None) -> ast.Module:
        """The file, with the change; ``changes`` as for :func:`mutants`."""
        tree = parse(self.file)
        for number, site in enumerate(sites(tree, self.file, changes)):
            if number == self.number:
                site.change()
                return ast.fix_missing_locations(tree)
        raise LookupError(f"{self.file} has no mutant {self.number}")


def parse(file: str) -> ast.Module:
    """A syntax tree of the file, of one's own: parsing again takes a tenth of what copying a tree does."""
    return ast.parse(_text(file))


@functools.cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def mutants(file: str, changes: Changes | None = None) -> list[Mutant]:
    """All mutants of a file, in the order of its text; ``changes`` says what is changed (default: the table above)."""
    found = []
    for number, site in enumerate(sites(parse(file), file, changes)):
        before = site.show()
        undo = site.change()
        after = site.show()
        undo()
        found.append(Mutant(file, number, site.line, site.first_line, site.where, before, after))
    return found


Change = Callable[[], Callable[[], None]]
#: (node, parent, field, index) -> (how to show it, the change) for everything that can be changed of one node
Changes = Callable[[ast.AST, ast.AST, str, "int | None"], Iterator[tuple[Callable[[], str], Change]]]


@dataclass(frozen=True)
class Site:
    """A place in a tree, and a change; ``change()`` makes it and gives back its undoing."""

    line: int
    first_line: int
    where: str
    show: Callable[[], str]
    change: Change


def sites(tree: ast.Module, file: str, changes: Changes | None = None) -> Iterator[Site]:
    """Every change of a tree, in the order of its text."""
    only = () if changes else target_of(file).only
    for site in _walk(tree, 1, 1, "the module", changes or _changes):
        if not only or set(only) & set(site.where.split(".")):
            yield site


def _walk(node: ast.AST, line: int, first_line: int, where: str, changes: Changes) -> Iterator[Site]:
    for field, value in ast.iter_fields(node):
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _never_runs(field, child):
                continue
            here, first, place = getattr(child, "lineno", line), first_line, where
            if isinstance(child, ast.stmt):
                first = here
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                place = child.name if where == "the module" else f"{where}.{child.name}"
            for show, change in changes(child, node, field, index):
                yield Site(here, first, place, show, change)
            yield from _walk(child, here, first, place, changes)


def _never_runs(field: str, child: ast.AST) -> bool:
    if field in ("annotation", "returns") or isinstance(child, (ast.Raise, ast.Assert)):
        return True
    if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
        return True
    return isinstance(child, ast.FunctionDef) and any("overload" in ast.unparse(d) for d in child.decorator_list)


def _changes(
    node: ast.AST, parent: ast.AST, field: str, index: int | None
) -> Iterator[tuple[Callable[[], str], Change]]:
    """(how to show it, the change) for everything that can be changed of one node."""
    wide = parent if isinstance(parent, (ast.expr, ast.keyword)) else node

    def itself() -> str:
        return ast.unparse(node)

    def around() -> str:
        """The expression that it is a part of, or, where that is a statement, what stands in its place now."""
        if wide is parent:
            return ast.unparse(parent)
        value = getattr(parent, field)
        return ast.unparse(value if index is None else value[index])

    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in BINARY:
        yield itself, replaced(node, "op", None, BINARY[type(node.op)]())
    elif isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                yield itself, replaced(node, "ops", k, other())
    elif isinstance(node, ast.BoolOp):
        yield itself, replaced(node, "op", None, ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield around, replaced(parent, field, index, node.operand)
    elif isinstance(node, ast.Constant):
        for value in _other_values(node.value):
            if not (value == 2 and node in getattr(parent, "inferred", ())):
                yield around, replaced(node, "value", None, value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reshape":
        for part in ast.walk(node):
            if isinstance(part, ast.UnaryOp):
                part.inferred = (part.operand,)  # type: ignore[attr-defined]
    if isinstance(node, (ast.If, ast.While, ast.IfExp)) and _worth_negating(node.test):
        yield lambda: f"if {ast.unparse(node.test)}", _negate(node, "test", None)
    if isinstance(node, ast.comprehension):
        for k, condition in enumerate(node.ifs):
            if _worth_negating(condition):
                yield lambda k=k: f"if {ast.unparse(node.ifs[k])}", _negate(node, "ifs", k)  # type: ignore[misc]


def _other_values(value: Any) -> tuple[Any, ...]:
    if value is True or value is False:
        return (not value,)
    if isinstance(value, (int, float)):
        return tuple(v for v in ((value - 1, value + 1) if value == 1 else (value + 1,)) if v != value)
    return ()


def _worth_negating(test: ast.expr) -> bool:
    """A comparison is negated by another mutant already, and so is a ``not``."""
    compared = isinstance(test, ast.Compare) and len(test.ops) == 1
    return not (compared or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)))


def replaced(owner: Any, field: str, index: int | None, new: Any) -> Change:
    """The change that puts ``new`` in the place of a field, or of one of the nodes in it."""

    def change() -> Callable[[], None]:
        if index is None:
            old = getattr(owner, field)
            setattr(owner, field, new)
            return lambda: setattr(owner, field, old)
        items = getattr(owner, field)
        old = items[index]
        items[index] = new
        return lambda: items.__setitem__(index, old)

    return change


def _negate(owner: Any, field: str, index: int | None) -> Change:
    old = getattr(owner, field) if index is None else getattr(owner, field)[index]
    return replaced(owner, field, index, ast.copy_location(ast.UnaryOp(ast.Not(), old), old))
