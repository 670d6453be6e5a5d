"""Which tests reach which line: every test file is run once, traced, and what it found is kept.

A mutant is shown only to tests that run its line. What runs when a module is imported is reached by every test of it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import running
from tests.mutation.mutants import Mutant
from tests.mutation.targets import ROOT, files, holders

MOST = 150  # tests of a file that a mutant is shown to, evenly chosen ...
SECONDS = 8.0  # ... and what they may take together, traced (at least one is run); --thorough shows it to all
KEPT = 1500  # tests remembered for a line
TRACED_LIMIT = 1800.0  # seconds for a test file
TRACED = 8  # tests that are traced of those with one first parameter: a table has dozens for each of its operations


@dataclass(frozen=True)
class Reach:
    """What one test file reaches: its passing tests with their seconds, and for each line the tests that ran it."""

    file: str
    start: float  # seconds to import and collect it
    tests: list[tuple[str, float]]
    lines: dict[str, dict[int, list[int]]]
    imported: dict[str, set[int]]

    def of(self, mutant: Mutant, most: int = MOST, seconds: float = SECONDS) -> list[int]:
        """The tests to show a mutant to: at most ``most``, and the quick ones when all take more than ``seconds``."""
        found = self.lines.get(mutant.file, {})
        for line in (mutant.line, mutant.first_line):
            if line in found:
                return self.affordable(thinned(found[line], most), seconds)
        if {mutant.line, mutant.first_line} & self.imported.get(mutant.file, set()):
            return self.affordable(thinned(sorted({i for tests in found.values() for i in tests}), most), seconds)
        return []

    def affordable(self, tests: list[int], seconds: float) -> list[int]:
        """The quickest of some tests that take ``seconds`` together, in their own order."""
        chosen: list[int] = []
        spent = 0.0
        for i in sorted(tests, key=lambda i: self.tests[i][1]):
            spent += self.tests[i][1]
            if spent <= seconds or not chosen:
                chosen.append(i)
        return sorted(chosen)


def operation_of(test: str) -> str:
    """What a test is about: its first parameter, or itself when it has none."""
    _, _, parameters = test.partition("[")
    return parameters.rstrip("]").partition("-")[0] or test


def thinned(items: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of them, evenly chosen."""
    if len(items) <= most:
        return list(items)
    return [items[k * len(items) // most] for k in range(most)]


def selection(
    mutant: Mutant, reaches: dict[str, Reach], most: int = MOST, seconds: float = SECONDS
) -> tuple[list[tuple[str, list[str]]], float]:
    """Test files with the tests that a mutant is shown to, quickest file first; and how long they take unharmed."""
    chosen = []
    for name in holders(mutant.file):
        reach = reaches[name]
        if tests := reach.of(mutant, most, seconds):
            cost = reach.start + sum(reach.tests[i][1] for i in tests)
            chosen.append((cost, name, [reach.tests[i][0] for i in tests]))
    chosen.sort()
    return [(name, tests) for _, name, tests in chosen], sum(cost for cost, _, _ in chosen)


# ----------------------------------------------------------------------------------------------------- finding it out


def digest(paths: Iterator[Path] | Sequence[Path]) -> str:
    """Hash of some files' content."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def digest_of(test_file: str) -> str:
    """Hash of a test file, of what stands beside it and is no test, and of everything that is mutated."""
    path = ROOT / test_file
    helpers = [p for p in path.parent.glob("*.py") if not p.name.startswith("test_")]
    return digest([path, *helpers, *(ROOT / file for file in files())])


def reach_of(test_file: str, folder: Path) -> Reach:
    """What a test file reaches: as remembered in ``folder``, or found out now."""
    kept = folder / (test_file.replace("/", ".") + ".json")
    wanted = digest_of(test_file)
    if not kept.exists() or json.loads(kept.read_text())["digest"] != wanted:
        status = running.fork(lambda: _trace(test_file, kept, wanted), TRACED_LIMIT).wait()
        if status:
            raise SystemExit(f"{test_file} could not be traced (status {status}): does it run, and in half an hour?")
    found = json.loads(kept.read_text())
    return Reach(
        test_file,
        found["start"],
        [(name, seconds) for name, seconds in found["tests"]],
        {file: {int(k): v for k, v in lines.items()} for file, lines in found["lines"].items()},
        {file: set(lines) for file, lines in found["imported"].items()},
    )


def _trace(test_file: str, kept: Path, wanted: str) -> int:
    recorder = Recorder()
    begun = time.perf_counter()
    sys.settrace(recorder.trace)
    status = pytest.main([*(o for o in running.OPTIONS if o != "-x"), test_file], plugins=[recorder])
    sys.settrace(None)
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        return 1
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(recorder.found(wanted, begun)))
    return 0


class Recorder:
    """A plugin that notes which lines of the mutated files run: while importing, and in every test."""

    def __init__(self) -> None:
        self.names = {str(ROOT / file): file for file in files()}
        self.names.update({str(ROOT / "tinydl" / file): file for file in files() if file.startswith("kernels/")})
        self.now: set[tuple[str, int]] = set()
        self.imported = self.now
        self.tests: list[tuple[str, float]] = []
        self.passed: set[str] = set()
        self.lines: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.first = 0.0

    def trace(self, frame: Any, event: str, arg: Any) -> Any:
        """The function of ``sys.settrace``: follow only frames of files that are mutated."""
        file = self.names.get(frame.f_code.co_filename)
        if file is None:
            return None
        add = self.now.add

        def line(frame: Any, event: str, arg: Any) -> Any:
            add((file, frame.f_lineno))
            return line

        return line

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Of a table's tests some for each operation, which their first parameter names."""
        groups: defaultdict[str, list[Any]] = defaultdict(list)
        for item in items:
            groups[operation_of(item.nodeid)].append(item)
        chosen = {id(item) for group in groups.values() for item in thinned(group, TRACED)}
        items[:] = [item for item in items if id(item) in chosen]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Note the lines of one test."""
        self.first = self.first or time.perf_counter()
        self.now, begun = set(), time.perf_counter()
        sys.settrace(self.trace)
        result = yield
        if item.nodeid in self.passed:
            for file, number in self.now:
                self.lines[file][number].append(len(self.tests))
            self.tests.append((item.nodeid, time.perf_counter() - begun))
        return result

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A test that does not pass unharmed cannot hold anything."""
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def found(self, wanted: str, begun: float) -> dict[str, Any]:
        """What is kept, as JSON."""
        imported: dict[str, list[int]] = defaultdict(list)
        for file, number in sorted(self.imported):
            imported[file].append(number)
        lines = {file: {k: thinned(v, KEPT) for k, v in found.items()} for file, found in self.lines.items()}
        return {
            "digest": wanted, "start": (self.first or time.perf_counter()) - begun, "tests": self.tests, "lines": lines,
            "imported": imported,
        }  # fmt: skip
