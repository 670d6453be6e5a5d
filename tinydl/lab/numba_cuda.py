"""Is a kernel in Numba-CUDA right? Compiled to PTX, executed on the virtual GPU and mutated, without a GPU.

As :mod:`tinydl.lab.cuda` does with CUDA C++. What is mutated here is the syntax tree of the kernel's function: every
barrier is dropped in turn; every comparison's bound, every start, end and step of a range, every factor and divisor
that is a name or a number is moved by one to either side; every zero that a sum begins with, or that stands for what
lies outside, becomes a NaN. Mutants that may live stand in the source with a reason, behind ``# lives:``.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import importlib.util
import inspect
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels import numba_cuda, simt
from tinydl.kernels.gpu import Call
from tinydl.kernels.numba_cuda import NumbaKernel
from tinydl.kernels.simt import Counters
from tinydl.lab.cuda import execute

#: How much longer than the kernel itself a mutant may run before it counts as endless, and so as caught.
PATIENCE = 20

#: What a zero becomes; a kernel knows it as a number.
NOTHING = "float('nan')"

Make = Callable[[Any, Any], Callable[..., None]]


@dataclass
class Row:
    """What was found out about one kernel."""

    kernel: NumbaKernel
    launches: int = 0
    wrong: list[str] = field(default_factory=list)
    local: bool = False  # whether what should stand in registers stands in memory
    counters: dict[str, Counters] = field(default_factory=dict)  # by dtype, of the last launch of the last sample
    mutants: int = 0
    caught: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Nothing is wrong, and everything was looked at."""
        return self.launches > 0 and not (self.wrong or self.local or self.survivors)


class Compiler:
    """Compiles a kernel's functions for the arguments that come, each once."""

    def __init__(self, kernel: NumbaKernel, limit: int = simt.LIMIT) -> None:
        self.kernel, self.limit = kernel, limit
        self.made: dict[Any, tuple[str, str]] = {}

    def __call__(self, call: Call, args: list[Any]) -> Counters:
        ptx, name = self.compiled(call)
        return simt.launch(ptx, name, call.grid, call.block, numba_cuda.marshalled(args), limit=self.limit)

    def compiled(self, call: Call) -> tuple[str, str]:
        """PTX, and the name in it."""
        key = call.entry, numba_cuda.signature(call.args)
        if key not in self.made:
            dtype = next(a.dtype for a in call.args if isinstance(a, np.ndarray) and a.dtype.kind == "f")
            self.made[key] = numba_cuda.compile_ptx(self.kernel.function(call.entry, dtype), call.args)
        return self.made[key]


def check(kernel: NumbaKernel, few: int | None = None) -> Row:
    """Execute over all samples in every dtype; then judge all mutants, or a few, spread over them (0: none).

    Raises NumbaCudaMissing without a compiler.
    """
    row, compiler = Row(kernel), Compiler(kernel)
    for dtype in kernel.dtypes:
        for number, arguments in enumerate(kernel.samples(np.dtype(dtype).type)):
            if not kernel.accepts(*arguments):
                continue
            problem, counters = _run(kernel, compiler, arguments)
            row.launches += len(counters)
            row.counters.update((dtype, c) for c in counters)
            if problem:
                row.wrong.append(f"{dtype}, sample {number}: {problem}")
                return row
    row.local = any(".local" in ptx for ptx, _ in compiler.made.values())
    if few != 0:
        _mutate(row, few)
    return row


def _run(kernel: NumbaKernel, launch: Compiler, arguments: tuple[Any, ...]) -> tuple[str, list[Counters]]:
    try:
        return execute(kernel, launch, arguments)
    except simt.SimtError as error:
        return f"{error.kind}: {error}", []


# -- mutating ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """A function's maker with one slip: which function, its line, the words before and after."""

    entry: str
    line: int
    before: str
    after: str
    make: Make

    @property
    def words(self) -> str:
        """``conv1d_direct:12: at >= 0 -> at >= 1``."""
        return f"{self.entry}:{self.line}: {self.before} -> {self.after}"


def mutants(entry: str, make: Make) -> Iterator[Mutant]:
    """All mutants of a function, in the order of its lines."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(make)))
    for place, kind in enumerate(map(type, ast.walk(tree))):
        if kind not in (ast.Expr, ast.Compare, ast.BinOp, ast.Call):
            continue
        for slip in range(4):
            mutated = copy.deepcopy(tree)
            node = next(n for i, n in enumerate(ast.walk(mutated)) if i == place)
            before = ast.unparse(node) if isinstance(node, (ast.expr, ast.stmt)) else ""
            if not _change(mutated, node, slip):
                break
            after = ast.unparse(node).splitlines()[0] if not isinstance(node, ast.Pass) else "nothing"
            yield Mutant(entry, getattr(node, "lineno", 0), before, after, _built(make, mutated))


def _change(tree: ast.AST, node: Any, slip: int) -> bool:
    """Make a slip at a node of a tree; False when there is none of that number."""
    one = ast.Constant(1)
    if isinstance(node, ast.Expr) and ast.unparse(node).startswith("cuda.sync"):
        node.value = ast.Constant(None)
        return slip < 1
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) and slip < 2:
        sign = (ast.Add(), ast.Sub())[slip]
        node.comparators[0] = ast.BinOp(node.comparators[0], sign, one)
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.FloorDiv, ast.Mod)) and slip < 2:
        if not isinstance(node.right, (ast.Name, ast.Constant)):
            return False
        node.right = ast.BinOp(node.right, (ast.Add(), ast.Sub())[slip], one)
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        changes = [(i, sign) for i in range(len(node.args)) for sign in (ast.Add(), ast.Sub())]
        if slip >= len(changes):
            return False
        i, sign = changes[slip]
        if i == 2 and ast.unparse(node.args[i]) == "1":
            return False
        node.args[i] = ast.BinOp(node.args[i], sign, one)
        return True
    if isinstance(node, ast.Call) and ast.unparse(node) == "real(0)" and slip < 1:
        node.args = [ast.parse(NOTHING, mode="eval").body]
        return True
    return False


def _built(make: Make, tree: ast.AST) -> Make:
    """The maker of a mutated tree, in a module of its own that knows what the kernel's knows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.py"
        text = ast.unparse(ast.fix_missing_locations(tree))
        path.write_text(f"from __future__ import annotations\nNAN = float('nan')\n{text.replace(NOTHING, 'NAN')}\n")
        spec = importlib.util.spec_from_file_location("mutant", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        known = vars(sys.modules[make.__module__])
        vars(module).update({name: value for name, value in known.items() if not name.startswith("__")})
        spec.loader.exec_module(module)
    made: Make = getattr(module, make.__name__)
    return made


def answers(make: Make) -> dict[str, str]:
    """Slips that may live, and why, of the comments in a function's source: ``# lives: BEFORE -> AFTER``, then
    ``#   reason``."""
    found: dict[str, str] = {}
    words = ""
    for line in (text.strip() for text in inspect.getsource(make).splitlines()):
        if line.startswith("# lives: "):
            words = line.removeprefix("# lives: ")
            found[words] = ""
        elif words and line.startswith("#   "):
            found[words] = f"{found[words]} {line[2:].strip()}".strip()
        else:
            words = ""
    return found


def _mutate(row: Row, few: int | None) -> None:
    kernel = row.kernel
    limit = PATIENCE * max(c.steps for c in row.counters.values())
    samples = [s for s in kernel.samples(np.dtype(kernel.dtypes[0]).type) if kernel.accepts(*s)][::-1]
    compiler = Compiler(kernel)
    for sample in samples:
        _run(kernel, compiler, sample)
    codes = {_code(ptx, name) for ptx, name in compiler.made.values()}
    for entry, make in kernel.functions.items():
        made = list(mutants(entry, make))
        for mutant in made if few is None else made[:: max(len(made) // few, 1)]:
            verdict = judge(kernel, mutant, codes, samples, limit)
            if verdict is None:
                continue
            row.mutants += 1
            if verdict:
                row.caught += 1
            elif not answers(make).get(f"{mutant.before} -> {mutant.after}"):
                row.survivors.append(mutant.words)


def judge(
    kernel: NumbaKernel, mutant: Mutant, codes: set[str], samples: Iterable[tuple[Any, ...]], limit: int
) -> str | None:
    """What caught a mutant (nothing: empty); None when it is no program, or one of those there are already."""
    changed = dataclasses.replace(kernel, functions={**kernel.functions, mutant.entry: mutant.make})
    compiler = Compiler(changed, limit)
    for arguments in samples:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a mutant has no file, which is said for each
                problem, _ = _run(changed, compiler, arguments)
        except _no_program():
            return None
        if all(_code(ptx, name) in codes for ptx, name in compiler.made.values()):
            return None
        if problem:
            return problem
    return ""


@functools.lru_cache(maxsize=1)
def _no_program() -> tuple[type[BaseException], ...]:
    from numba.core.errors import NumbaError

    return (NumbaError,)


def _code(ptx: str, name: str) -> str:
    """PTX without what does not run: source lines, comments, and the name, which counts the functions compiled."""
    silent = (".loc", "//", ".file", ".global", ".common", ".visible .global")
    return "\n".join(line for line in ptx.replace(name, "").split("\n") if not line.lstrip().startswith(silent))
