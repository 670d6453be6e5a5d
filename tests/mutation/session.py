"""Every test, collected once; a mutant is then a forked process in which the changed functions get their new code.

That costs what its tests cost, and no import. A mutant of what runs while importing (decorators, constants) cannot be
shown so: :func:`swaps` says None, and ``running.run_tests`` imports everything anew for it.
"""

from __future__ import annotations

import ast
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.mutation import running
from tests.mutation.mutants import Mutant, parse
from tests.mutation.reaching import Reach, Recorder, cases, trace_all
from tests.mutation.targets import ROOT, all_tests

SLOW = 20  # a test that takes so many times as long as unharmed, and 10 seconds more, is ended


class Collected:
    """A plugin: collects, and in the place of running the tests does ``work(self)``."""

    def __init__(self, work: Callable[[Collected], None]) -> None:
        self.work = work
        self.outcomes: set[str] = set()

    def pytest_runtestloop(self, session: Any) -> bool:
        """Everything is imported now, and nothing has run."""
        sys.settrace(None)
        self.items = {item.nodeid: item for item in session.items}
        gc.collect()
        gc.freeze()
        self.work(self)
        return True

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note how a part of a test ends."""
        self.outcomes.add(report.outcome)

    def run(self, item: Any, following: Any) -> str:
        """How one test ends: a mutant that only has it skipped is not noticed."""
        self.outcomes.clear()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return next(outcome for outcome in ("failed", "skipped", "passed") if outcome in self.outcomes)

    def trace(self, reach: Reach, note: Callable[[str], None]) -> None:
        """Trace what is not known, in a forked process."""
        groups = cases(list(self.items.values()))
        unknown = [self.items[test] for test in groups if not reach.knows(test)]
        if unknown:
            note(f"tracing {len(unknown)} of {len(groups)} cases")
            loud = os.dup(2)

            def work() -> int:
                trace_all(unknown, reach, self.run, lambda text: os.write(loud, f"{text}\n".encode()))
                return 0

            if status := running.fork(work, float("inf")).wait():
                raise SystemExit(f"tests could not be traced (status {status})")
            reach.load()  # as it was written: files may have changed meanwhile
        reach.siblings = {test: [item.nodeid for item in group[1:]] for test, group in groups.items()}
        reach.ready()

    def show(self, tests: list[tuple[str, float]], change: Callable[[], None]) -> tuple[running.Child, int]:
        """Run tests in a forked process, after a change, until one fails; its name is written to what is returned."""
        reading, writing = os.pipe()

        def work() -> int:
            change()
            for at, (test, seconds) in enumerate(tests):
                signal.setitimer(signal.ITIMER_PROF, 10 + SLOW * seconds)
                following = self.items[tests[at + 1][0]] if at + 1 < len(tests) else None
                if self.run(self.items[test], following) == "failed":
                    os.write(writing, test.encode())
                    return running.KILLED
            return 0

        child = running.fork(work, 600 + SLOW * sum(seconds for _, seconds in tests))
        os.close(writing)
        return child, reading

    def holds(self, test: str) -> bool:
        """Whether a test passes without a mutant, now."""
        child, reading = self.show([(test, 1.0)], lambda: None)
        os.close(reading)
        return child.wait() == 0


def collect(work: Callable[[Collected], None], imported: set[Any]) -> int:
    """Collect all tests and do ``work``; code that runs until then is noted in ``imported``."""
    recorder = Recorder()
    recorder.codes = imported
    sys.settrace(recorder.calls)
    options = [*(o for o in running.OPTIONS if o != "-x"), "-s", "--continue-on-collection-errors"]
    return int(pytest.main([*options, *all_tests()], plugins=[Collected(work)]))


# ------------------------------------------------------------------------------------------------------ changed code


Swap = tuple[FunctionType, str, Any]  # a function, what of it is changed, and to what


def swaps(mutant: Mutant, imported: set[Any]) -> list[Swap] | None:
    """What the mutant changes of functions of this process; None when it changes what has run already."""
    new = mutant.code()
    old = compile(parse(mutant.file), str(ROOT / mutant.file), "exec")
    changed = list(differing(old, new, ()))
    ran = {identity(code) for code in imported}
    if not changed or any(identity(chain[-1][0]) in ran or len(chain) == 1 for chain in changed):
        return defaulted(mutant)
    pairs = {identity(a): (a, b) for chain in changed for a, b in chain[1:]}
    found = [
        (f, "__code__", pairs[identity(f.__code__)][1])
        for f in gc_functions(mutant.file)
        if identity(f.__code__) in pairs
    ]  # fmt: skip
    alive = {identity(f.__code__) for f, _, _ in found}
    if not all(any(identity(a) in alive for a, _ in chain) for chain in changed):
        return None
    return found


def defaulted(mutant: Mutant) -> list[Swap] | None:
    """The same where the mutant is a default of a function that nothing has read yet."""
    functions = [
        [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for tree in (parse(mutant.file), mutant.tree())
    ]  # fmt: skip
    changed = [(a, b) for a, b in zip(*functions) if ast.dump(a.args) != ast.dump(b.args)]
    if len(changed) != 1:
        return None
    before, after = changed[0]
    if {ast.unparse(d) for d in before.decorator_list} - {"by_axis"} or ast.dump(before) == ast.dump(after):
        return None
    first = min([before.lineno, *(d.lineno for d in before.decorator_list)])
    alive = [
        f for f in gc_functions(mutant.file)
        if (f.__code__.co_name, f.__code__.co_firstlineno) == (before.name, first)
    ]  # fmt: skip

    twins = {f.__wrapped__ for found in _FUNCTIONS.values() for f in found if hasattr(f, "__wrapped__")}
    if not twins.isdisjoint(alive):  # what passes all arguments on has the default from when it was made
        return None

    def values(f: FunctionType, nodes: list[Any]) -> list[Any]:
        return [eval(compile(ast.Expression(node), mutant.file, "eval"), f.__globals__) for node in nodes]

    found: list[Swap] = []
    for f in alive:
        named = [(a.arg, d) for a, d in zip(after.args.kwonlyargs, after.args.kw_defaults) if d is not None]
        found.append((f, "__defaults__", tuple(values(f, after.args.defaults)) or None))
        found.append((f, "__kwdefaults__", dict(zip([k for k, _ in named], values(f, [d for _, d in named]))) or None))
    return found or None


def setting(swapped: list[Swap]) -> Callable[[], None]:
    """What makes the changes."""

    def change() -> None:
        for f, what, value in swapped:
            setattr(f, what, value)

    return change


_FUNCTIONS: dict[str, list[FunctionType]] = {}


def gc_functions(file: str) -> list[FunctionType]:
    """The functions of a file that exist."""
    if not _FUNCTIONS:
        gc.unfreeze()
        for f in gc.get_objects():
            if type(f) is FunctionType:
                _FUNCTIONS.setdefault(os.path.realpath(f.__code__.co_filename), []).append(f)
        gc.freeze()
    return _FUNCTIONS.get(str(ROOT / file), [])


def identity(code: CodeType) -> tuple[Any, ...]:
    """What tells a code object from every other of its file."""
    return code.co_name, code.co_firstlineno, tuple(code.co_positions())[:40], code.co_varnames


def differing(old: CodeType, new: CodeType, chain: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Chains of (old, new) from the module to each code whose own instructions or constants differ."""
    chain = (*chain, (old, new))
    olds = [c for c in old.co_consts if isinstance(c, CodeType)]
    news = [c for c in new.co_consts if isinstance(c, CodeType)]
    if len(olds) != len(news) or own(old) != own(new):
        yield chain
    for a, b in zip(olds, news):
        yield from differing(a, b, chain)


def own(code: CodeType) -> Any:
    """All of a code object but the code in it."""
    constants = [c if not isinstance(c, CodeType) else None for c in code.co_consts]
    return code.co_code, repr(constants), code.co_names, code.co_exceptiontable if sys.version_info >= (3, 11) else None
