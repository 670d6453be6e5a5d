"""``python -m tests.mutation.kernels [FILE ...]``: are a card's samples sharp enough to see a slip in a kernel?

Every bound, index, stride and accumulation of the kernels' Python source is changed by one (:func:`slips`), and each
change is verified by the cards of the operations that it reaches. A change that the cards do not see *survives*: a
sample is missing, or the change cannot be seen, and then ``kernel_answers.py`` says why. Exit code 1 for a survivor
without an answer.

Compiled kernels run as the plain Python that they are written in (``NUMBA_DISABLE_JIT``), so that a mutant costs no
compilation and an index beyond an array raises; divisions are NumPy's, as in the compiled ones. Kernels that are more
than Python (vector instructions, ufuncs made of text) cannot be run so, and those of nade take minutes.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import functools
import importlib
import importlib.util
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from tests.mutation.kernel_answers import answer_to
from tests.mutation.mutants import Change, Mutant, mutants, parse, replaced
from tests.mutation.running import Changed, Child, fork
from tests.mutation.targets import ROOT, module_of

#: Compiled kernels that run as plain Python, and the NumPy twins, in the order in which they are asked.
COMPILED = ("pool", "reduction", "activation", "loss", "norm", "indexing", "triangle", "bag")
TWINS = (*COMPILED, "linear", "matmul", "conv", "attention", "rnn", "nade", "optim", "padding", "random", "rbm",
         "special")
FILES = (*(f"kernels/{family}/cpu.py" for family in COMPILED), *(f"kernels/{family}/spec.py" for family in TWINS))
COARSE = 4  # tolerances are so many times as wide: without vectors a sum has one long chain, and rounds more often
PATIENCE = 4  # a mutant that takes so many times the processor's time of unchanged kernels (a loop without end) is seen


# ---------------------------------------------------------------------------------------------------------- the changes


def slips(
    node: ast.AST, parent: ast.AST, field: str, index: int | None
) -> Iterator[tuple[Callable[[], str], Change]]:
    """``range(n)`` to n - 1 and n + 1, its start and step to one more; ``x[i]`` to ``x[i + 1]``; ``+=`` to ``=``;
    a stride ``i * n`` to ``i * (n + 1)``."""

    def shown() -> str:
        value = getattr(parent, field)
        return ast.unparse(value if index is None else value[index])

    def whole() -> str:
        return ast.unparse(node)

    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        stop = 0 if len(node.args) == 1 else 1
        for at, argument in enumerate(node.args):
            for by in (-1, 1) if at == stop else (1,):
                yield whole, replaced(node, "args", at, plus(argument, by))
    elif isinstance(node, ast.AugAssign):
        assigned = ast.Assign([node.target], node.value, lineno=node.lineno)
        yield shown, replaced(parent, field, index, ast.copy_location(assigned, node))
    elif isinstance(node, ast.Subscript) and _of_an_array(node):
        if isinstance(node.slice, ast.Tuple):
            for at, part in enumerate(node.slice.elts):
                yield from ((whole, change) for change in _moved(part, node.slice, "elts", at))
        else:
            yield from ((whole, change) for change in _moved(node.slice, node, "slice", None))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(parent, ast.BinOp):
        yield whole, replaced(node, "right", None, plus(node.right, 1))


def _moved(part: ast.expr, parent: ast.AST, field: str, index: int | None) -> Iterator[Change]:
    """An index one further; a slice that begins or ends one further."""
    if isinstance(part, ast.Slice):
        for name in ("lower", "upper"):
            bound = getattr(part, name)
            if bound is not None:
                yield replaced(part, name, None, plus(bound, 1))
    else:
        yield replaced(parent, field, index, plus(part, 1))


def plus(value: ast.expr, by: int) -> ast.expr:
    """``value + by``."""
    operator: ast.operator = ast.Add() if by > 0 else ast.Sub()
    return ast.copy_location(ast.BinOp(value, operator, ast.Constant(abs(by))), value)


def _of_an_array(node: ast.Subscript) -> bool:
    """Not of a type (``dict[str, int]``), not of ``None``, and not of ``shape``, which is no index of a kernel."""
    of, parts = node.value, node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if isinstance(of, ast.Attribute) and of.attr == "shape":
        return False
    if isinstance(of, ast.Name) and (of.id in ("Callable", "Any", "tuple", "dict", "list") or of.id.isupper()):
        return False
    return all(isinstance(p, (ast.Name, ast.BinOp, ast.Subscript, ast.Slice, ast.Constant)) for p in parts)


def kernel_mutants(file: str) -> list[Mutant]:
    """All slips of a file's kernels and of what they use; not of cards, nor of ufuncs' formulas (of numbers)."""
    return [m for m in mutants(file, slips) if kernels_of(m)]


def kernels_of(mutant: Mutant) -> set[str]:
    """The kernels that a change reaches."""
    return registered(mutant.file) & reached(mutant.file).get(mutant.where.partition(".")[0], set())


@functools.cache
def registered(file: str) -> set[str]:
    """The names of the functions that are kernels."""
    return {
        node.name
        for node in parse(file).body
        if isinstance(node, ast.FunctionDef) and any("register(" in ast.unparse(d) for d in node.decorator_list)
    }


# ----------------------------------------------------------------------------------------------------- what they reach


@functools.cache
def reached(file: str) -> dict[str, set[str]]:
    """For each top-level name, the names of the functions that use it, at first or second hand, itself included."""
    uses: dict[str, set[str]] = {}
    for node in parse(file).body:
        names = [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        for name in names:
            uses[name] = uses.get(name, set()) | _used(node)
    found = {}
    for name in uses:
        seen, waiting = set(), [name]
        while waiting:
            now = waiting.pop()
            if now not in seen:
                seen.add(now)
                waiting += [user for user, used in uses.items() if now in used]
        found[name] = seen
    return found


def _used(node: ast.AST) -> set[str]:
    """The names that a definition takes from its module."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    own = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    own |= {n.id for n in names if isinstance(n.ctx, ast.Store)} if isinstance(node, ast.FunctionDef) else set()
    return {n.id for n in names} - own


# ------------------------------------------------------------------------------------------------------ one at a time


class NumpyDivides(ast.NodeTransformer):
    """``a / b`` as ``np.true_divide(a, b)``: Numba's ``error_model="numpy"``, by which nothing raises."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """A division, and what stands inside it."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        divide = ast.Attribute(ast.Name("np", ast.Load()), "true_divide", ast.Load())
        return ast.copy_location(ast.Call(divide, [node.left, node.right], []), node)


def variants_of(file: str, tree: ast.Module) -> list[Any]:
    """What a module registers, executed from ``tree``, as ``mutant of ...``; the registry keeps the originals."""
    from tinydl.kernels import register, registry

    cards: Any = sys.modules["tinydl.kernels.card"]  # `tinydl.kernels.card` is the function
    found: list[Any] = []

    def collect(*, op: str, name: str, device: str = "cpu", dtypes: Sequence[str] = (), accepts: Any = None,
                default: bool = False) -> Callable[[Any], Any]:  # fmt: skip
        def decorate(function: Any) -> Any:
            found.append(registry.Variant(op, f"mutant of {name}", device, tuple(dtypes), function, accepts))
            return function

        return decorate

    name, path = module_of(file), str(ROOT / file)
    code = compile(ast.fix_missing_locations(NumpyDivides().visit(tree)), path, "exec")
    spec = importlib.util.spec_from_file_location(name, path, loader=Changed(name, path, code))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    registry.register, known = collect, sys.modules.get(name)  # in a process of this mutant's own
    cards.describe = lambda about: about  # the card stays as it is
    sys.modules[name] = module
    spec.loader.exec_module(module)
    registry.register = register
    if known is not None:
        sys.modules[name] = known
    return found


def first_problem(file: str, tree: ast.Module, kernels: Collection[str]) -> str:
    """What the cards find wrong with some of the kernels of a changed file."""
    from tinydl.kernels import card, register
    from tinydl.kernels.card import _cards
    from tinydl.kernels.ufunc import Ufunc
    from tinydl.lab.verify import verify

    try:
        found = [v for v in variants_of(file, tree) if not isinstance(v.function, Ufunc)]
    except Exception as error:  # a module that cannot even be imported
        return f"{type(error).__name__}: {error}"
    named = [v for v in found if v.function.__name__ in kernels] or found
    for v in found:  # a backward may take what its own forward saved
        register(op=v.op, name=v.name, dtypes=v.dtypes, accepts=v.accepts)(v.function)
    for op in {v.op for v in found}:
        wide = {dtype: COARSE * value for dtype, value in card(op).tolerance.items()}
        _cards[op] = dataclasses.replace(card(op), tolerance=wide)
    for variant in named:
        verdict = verify(variant, most=1)
        if not verdict.right:
            return f"{variant.op}: {verdict.problems[0]}"
    return ""


def prepare() -> None:
    """Before tinydl is imported: kernels as plain Python, one thread in BLAS."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    os.environ["NUMBA_NUM_THREADS"] = "2"
    for name in ("numba", "tinydl.lab.verify"):
        importlib.import_module(name)
    importlib.import_module("tinydl.kernels").cards()


def limits_of(some: Sequence[Mutant]) -> dict[str, float]:
    """For each kernel that mutants reach, the seconds of the processor that its mutants get. Raises LookupError for one
    whose card it does not pass unchanged: its mutants would all be killed."""
    limits = {}
    for file, kernel in sorted({(m.file, kernel) for m in some for kernel in kernels_of(m)}):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        if fork(lambda: int(bool(first_problem(file, parse(file), [kernel]))), 600).wait():  # noqa: B023 - waited for
            raise LookupError(f"{kernel} of {file} cannot be verified as plain Python, unchanged")
        limits[kernel] = 1 + PATIENCE * (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    return limits


def ask(waiting: Sequence[Mutant], limits: dict[str, float], jobs: int, say: Callable[[str], None]) -> list[Mutant]:
    """The survivors. ``limits``: as :func:`limits_of` gives them."""
    survivors, at_work = [], list[tuple[Mutant, Child]]()
    left, done = list(waiting)[::-1], 0
    while left or at_work:
        while left and len(at_work) < jobs:
            mutant = left.pop()
            seconds = sum(limits[kernel] for kernel in kernels_of(mutant))
            at_work.append((mutant, fork(lambda: killed(mutant, seconds), 60 + 10 * seconds)))  # noqa: B023 - forked now
        for entry in list(at_work):
            mutant, child = entry
            status = child.poll()
            if status is not None:
                at_work.remove(entry)
                done += 1
                say(f"[{done}/{len(waiting)}] {'killed' if status else 'SURVIVED'} {mutant}")
                if not status:
                    survivors.append(mutant)
        time.sleep(0.005)
    return survivors


def killed(mutant: Mutant, seconds: float) -> int:
    """1 when its cards see it; the process ends with a signal after so many seconds of the processor, however busy the
    machine is."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    return int(bool(first_problem(mutant.file, mutant.tree(slips), kernels_of(mutant))))


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m tests.mutation.kernels", description="Mutants of kernels, by cards.")
    p.add_argument("names", nargs="*", metavar="FILE", help="files whose path contains one of these (default: all)")
    p.add_argument("--sample", type=int, metavar="N", help="N mutants, chosen by --seed (default: all of them)")
    p.add_argument("--seed", type=int, default=0, help="which sample (default 0)")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (default: the cores)")
    return p


def main() -> int:
    """Ask, and report."""
    options = parser().parse_args()
    wanted = [file for file in FILES if not options.names or any(name in file for name in options.names)]
    prepare()
    found = [m for file in wanted for m in kernel_mutants(file)]
    if options.sample is not None:
        chosen = random.Random(options.seed).sample(range(len(found)), min(options.sample, len(found)))
        found = [found[i] for i in sorted(chosen)]
    try:
        limits = limits_of(found)
    except LookupError as error:
        print(error.args[0])
        return 2
    answered = [m for m in found if answer_to(m)]
    survivors = ask([m for m in found if m not in answered], limits, options.jobs, lambda t: print(t, file=sys.stderr))
    for mutant in survivors:
        print(mutant)
    print(f"{len(found)} mutants: {len(found) - len(answered) - len(survivors)} killed, {len(survivors)} survived, "
          f"{len(answered)} answered")  # fmt: skip
    return int(bool(survivors))


if __name__ == "__main__":
    sys.exit(main())
