"""Which tests reach which line: every case is run once, traced, and what it found is kept in ``build/mutation``.

A mutant is shown only to tests that run its line: those first that run little else of its file, and of those that run
the same lines one before the second of any, of a function that has killed the most; a survivor then to the shortest
of the others. A trace is a hint of what to run,
no verdict: one that is old can miss a test that would kill, never invent one. So only tests are traced again that are
new or that ran a line that has changed since; what calls a file that is new is found out with ``--fresh``.
"""

from __future__ import annotations

import ast
import difflib
import functools
import gc
import hashlib
import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, parse
from tests.mutation.targets import ROOT, files

# Parameters that vary a case: of its tests one is traced, and speaks for the others.
VARIANTS = ("dtype", "layout", "store")
# Of these an operation's first is traced and its second, which speaks for the rest.
FEW = ("finite_differences", "two_slots", "float32_error", "method_form", "prints_as", "memory_layout", "arrays_out")
READERS = ("tests/differential/test_defaults_torch.py",)  # tests that read a definition and do not run it
OFTEN = 60.0  # seconds between savings


def digest(paths: Iterator[Path] | Sequence[Path]) -> str:
    """Hash of some files' content."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


class Reach:
    """What every traced test reaches, on disk: its time on the processor, whether it passes, the lines of each file."""

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        kept = json.loads(path.read_text()) if path.exists() and not fresh else {"sets": [], "tests": {}, "sources": {}}
        self.sets: list[list[Any]] = kept["sets"]  # [file, its digest, lines]: what tests have in common stands once
        self.tests: dict[str, list[Any]] = kept["tests"]  # name: [seconds, passes, numbers of sets]
        self.sources: dict[str, list[str]] = kept["sources"]  # by digest: lines of files as they were traced
        self.digests = {file: digest([ROOT / file]) for file in files()}
        self.texts = {file: (ROOT / file).read_text().splitlines() for file in files()}
        for at, (file, of, lines) in enumerate(self.sets):
            if file in self.digests and of != self.digests[file]:
                new = self._moves(file, of)
                if all(line in new for line in lines):
                    self.sets[at] = [file, self.digests[file], [new[line] for line in lines]]
        self.numbers = {(file, of, tuple(lines)): i for i, (file, of, lines) in enumerate(self.sets)}
        self.siblings: dict[str, list[str]] = {}  # the other tests of a traced one's case
        self.kills: Counter[str] = Counter()  # by test functions

    @functools.cache  # noqa: B019 - there is one
    def _moves(self, file: str, of: str) -> dict[int, int]:
        """Where lines of a file as it was are now, but for those that have changed, and after which some are new."""
        old, new = self.sources.get(of, []), self.texts[file]
        moves: dict[int, int] = {}
        for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
            moves.update({block.a + k + 1: block.b + k + 1 for k in range(block.size)})
            if block.a + block.size < len(old) or block.b + block.size < len(new):
                moves.pop(block.a + block.size, None)
        return moves

    def load(self) -> None:
        """Read what a forked process has added."""
        kept = json.loads(self.path.read_text())
        self.sets, self.tests, self.sources = kept["sets"], kept["tests"], kept["sources"]

    def knows(self, test: str) -> bool:
        """Whether a test was traced, with the files as they are."""
        return test in self.tests and all(self.current(number) for number in self.tests[test][2])

    def current(self, number: int) -> bool:
        """Whether a set's file is still the one that was traced."""
        file, of, _ = self.sets[number]
        return self.digests.get(file) == of

    def put(self, test: str, seconds: float, passes: bool, lines: Iterable[tuple[str, int]]) -> None:
        """Remember a test."""
        by_file: defaultdict[str, list[int]] = defaultdict(list)
        for file, line in sorted(lines):
            by_file[file].append(line)
        numbers = []
        for file, found in by_file.items():
            key = (file, self.digests[file], tuple(found))
            if key not in self.numbers:
                self.numbers[key] = len(self.sets)
                self.sets.append([file, self.digests[file], found])
            numbers.append(self.numbers[key])
        self.tests[test] = [round(seconds, 4), passes, numbers]

    def save(self) -> None:
        """Write it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        for file, of in self.digests.items():
            self.sources.setdefault(of, self.texts[file])
        new.write_text(json.dumps({"sets": self.sets, "tests": self.tests, "sources": self.sources}))
        new.replace(self.path)

    def ready(self) -> None:
        """Make the index from sets to the tests that can be run."""
        self.by_set: defaultdict[int, list[str]] = defaultdict(list)
        for test, (_, passes, numbers) in self.tests.items():
            if passes and test in self.siblings:
                for number in numbers:
                    self.by_set[number].append(test)
        self.by_file: defaultdict[str, list[tuple[int, set[int]]]] = defaultdict(list)
        for number in self.by_set:
            if self.current(number):
                file, _, lines = self.sets[number]
                self.by_file[file].append((number, set(lines)))

    def of(self, mutant: Mutant, wide: bool = False) -> list[tuple[str, float]]:
        """The tests that reach a mutant with their seconds, in the order in which it is shown to them.

        ``wide``: also those that run other lines it may show in: a line of options holds rules that run, too.
        """
        reaching: list[tuple[int, set[int]]] = []
        likely = list(lines_of(mutant))
        for lines in [set().union(*likely[:-1]), likely[-1]] if wide else likely:
            reaching = [(number, found) for number, found in self.by_file[mutant.file] if found & lines]
            if reaching:
                break
        order = []
        for _, number in sorted((len(found), number) for number, found in reaching):
            functions: defaultdict[str, list[str]] = defaultdict(list)
            for test in sorted(self.by_set[number], key=lambda test: self.tests[test][0]):
                functions[test.partition("[")[0]].append(test)
            turns = sorted(functions, key=lambda name: -self.kills[name])
            longest = max(map(len, functions.values()))
            order.append([functions[f][k] for k in range(longest) for f in turns if k < len(functions[f])])
        rounds = max(map(len, order), default=0)
        first = [tests[k] for k in range(rounds) for tests in order if k < len(tests)]
        first = [*self.named(mutant), *first]
        known = [(test, self.tests[test][0]) for test in first]
        return known + [(sibling, seconds) for test, seconds in known for sibling in self.siblings[test]]


    def named(self, mutant: Mutant) -> list[str]:
        """The tests that read a definition without running it: those of defaults, where a mutant may be one."""
        if mutant.where == "the module" or mutant.line not in _heads(mutant.file):
            return []
        names = {name for name in mutant.where.split(".") if name != "__init__"}
        return [
            test for test in self.siblings
            if test.startswith(READERS) and names & set(test.partition("[")[2].rstrip("]").split("."))
        ]  # fmt: skip


@functools.cache
def _heads(file: str) -> set[int]:
    """The lines of a file's functions before their bodies."""
    functions = (node for node in ast.walk(_tree(file)) if isinstance(node, ast.FunctionDef))
    return {line for f in functions for line in range(f.lineno, max(f.body[0].lineno, f.lineno + 1))}


@functools.cache
def _tree(file: str) -> ast.Module:
    return parse(file)


def lines_of(mutant: Mutant) -> Iterator[set[int]]:
    """Sets of lines one of which a test must run, the best set first.

    What runs when a module is imported shows later: a default or a decorator in its function, a constant where its name
    is read, and else anywhere in the file.
    """
    yield {mutant.line}
    yield {mutant.first_line}
    statement: Any = None
    for node in ast.walk(_tree(mutant.file)):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.ClassDef):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            if first <= mutant.line <= (node.end_lineno or first):
                statement = node  # the walk goes inwards
                break
    if isinstance(statement, ast.FunctionDef):
        yield set(range(statement.body[0].lineno, (statement.end_lineno or 0) + 1))
    elif statement is not None:
        names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        yield {n.lineno for n in ast.walk(_tree(mutant.file)) if isinstance(n, ast.Name) and n.id in names}
    yield set(range(10**6))


# ----------------------------------------------------------------------------------------------------- finding it out


class Recorder:
    """Follows the frames of files that are mutated."""

    def __init__(self) -> None:
        self.names = {str(ROOT / file): file for file in files()}
        self.names.update({str(ROOT / "tinydl" / file): file for file in files() if file.startswith("kernels/")})
        self.lines: set[tuple[str, int]] = set()
        self.codes: set[Any] = set()

    def calls(self, frame: Any, event: str, arg: Any) -> None:
        """A function of ``sys.settrace`` that notes which code runs."""
        if frame.f_code.co_filename in self.names:
            self.codes.add(frame.f_code)

    def trace(self, frame: Any, event: str, arg: Any) -> Any:
        """A function of ``sys.settrace`` that notes which lines run."""
        file = self.names.get(frame.f_code.co_filename)
        if file is None:
            return None
        add = self.lines.add

        def line(frame: Any, event: str, arg: Any) -> Any:
            add((file, frame.f_lineno))
            return line

        return line


def cases(items: Sequence[Any]) -> dict[str, list[Any]]:
    """The tests of each case, by the name of the one to trace: float64 where there is a choice, and its own layout."""
    found: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    done: Counter[Any] = Counter()
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        operation = item.nodeid.partition("-")[0].rstrip("]")
        if parameters and any(name in item.nodeid for name in FEW):
            done[operation] += 1
        key = (item.nodeid.partition("[")[0], *(id(v) for k, v in parameters.items() if k not in VARIANTS))
        key = (operation, 2) if done[operation] > 1 else key if parameters else (item.nodeid,)
        found[key].append(item)
    out = {}
    for group in found.values():
        group.sort(key=lambda item: "float64" not in item.nodeid)
        out[group[0].nodeid] = group
    return out


def forget() -> None:
    """What is done once in a process is done again: what is remembered is computed, the text of a call written."""
    from tinydl.autograd.primitives import _waiting, registry

    for cache in _caches():
        cache.cache_clear()
    for op in registry().values():
        if op.variadic:
            op._by_count.clear()
            continue
        for kind, code in _waiting.items():
            call: Any = getattr(op.built, kind)
            if call.__code__ is not code:
                call.__code__, call.__defaults__, call.__kwdefaults__ = code, None, None


@functools.cache
def _caches() -> list[Any]:
    """What remembers results of functions that are mutated."""
    names = {str(ROOT / file) for file in files()}
    return [
        x for x in gc.get_objects()
        if isinstance(x, functools._lru_cache_wrapper)
        and getattr(x.__wrapped__, "__code__", forget.__code__).co_filename in names
    ]  # fmt: skip


def trace_all(items: Sequence[Any], reach: Reach, run: Callable[[Any, Any], str], note: Callable[[str], Any]) -> None:
    """Run some tests, traced; ``run(item, next)`` says how one ends."""
    recorder, saved = Recorder(), time.monotonic()
    for at, item in enumerate(items):
        forget()
        recorder.lines, begun = set(), time.process_time()
        threading.settrace(recorder.trace)
        sys.settrace(recorder.trace)
        outcome = run(item, items[at + 1] if at + 1 < len(items) else None)
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        reach.put(item.nodeid, time.process_time() - begun, outcome == "passed", recorder.lines)
        if time.monotonic() - saved > OFTEN:
            reach.save()
            note(f"traced {at + 1} of {len(items)} tests")
            saved = time.monotonic()
    reach.save()
