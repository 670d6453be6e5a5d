"""Runs tests against a changed module, in a forked process.

The process that forks has imported what is slow and never changes (NumPy, pytest, Numba, PyTorch), and nothing of
tinydl: each child imports that anew, with the changed module compiled from a syntax tree in memory. No file is touched.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.mutation.targets import ROOT, module_of

PRELOADED = ("numpy", "hypothesis", "numba", "torch", "safetensors.numpy", "scipy.special", "numpy.testing")
MEMORY = 12 << 30  # bytes of addresses: a mutant that asks for more is dead
KILLED = 10  # exit status: 10 + the number of the test file that noticed
OPTIONS = (
    "-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:faulthandler",
    "-o", "addopts=--import-mode=importlib", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip


def preload() -> None:
    """Import what children share. Numba is off: the NumPy twins of compiled kernels do the work."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not [name for name in sys.modules if name.startswith("tinydl")], "tinydl must not be imported yet"


class Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from code that is given."""

    def __init__(self, name: str, path: str, code: Any) -> None:
        super().__init__(name, path)
        self.code = code

    def get_code(self, fullname: str) -> Any:
        """The changed code, whatever the file says."""
        return self.code


class Finder:
    """Finds one module, changed."""

    def __init__(self, file: str, code: Any) -> None:
        self.name, self.path, self.code = module_of(file), str(ROOT / file), code

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module's specification, for its name alone."""
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=Changed(name, self.path, self.code))


@dataclass
class Child:
    """A forked process at work, and until when it may be."""

    pid: int
    started: float
    limit: float

    def poll(self) -> int | None:
        """Its exit status; None while it runs; minus a signal when it was ended, for its time or by itself."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - self.started > self.limit:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return -signal.SIGALRM
        return None

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        while (status := self.poll()) is None:
            time.sleep(0.01)
        return status


def fork(work: Callable[[], int], limit: float, silent: bool = True) -> Child:
    """Do ``work`` in a forked process, silently; what it returns is the exit status."""
    pid = os.fork()
    if pid:
        return Child(pid, time.monotonic(), limit)
    status = 99
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        if silent:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
        os.chdir(ROOT)
        status = work()
    finally:
        os._exit(status)


class Only:
    """A plugin that makes only the tests that are asked for: a table has tens of thousands."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.wanted: dict[str, set[str]] = {}
        for test in tests:
            name, _, parameters = test.rpartition("::")[2].partition("[")
            self.wanted.setdefault(name, set()).add(parameters.removesuffix("]"))

    @pytest.hookimpl(wrapper=True)
    def pytest_generate_tests(self, metafunc: Any) -> Any:
        """Drop the others before they are made."""
        result = yield
        wanted = self.wanted.get(metafunc.function.__name__, set())
        metafunc._calls = [call for call in metafunc._calls if call.id in wanted]
        return result


def run_tests(selection: Sequence[tuple[str, Sequence[str]]], file: str | None = None, code: Any = None) -> int:
    """Run the chosen tests of each test file until one fails: 0 when none does, else ``KILLED`` + its file's number."""
    if file is not None:
        sys.meta_path.insert(0, Finder(file, code))  # type: ignore[arg-type]
    for number, (_, tests) in enumerate(selection):
        # A whole file, where no test is named.
        plugins = [Only(tests)] if all("::" in test for test in tests) else []
        if pytest.main([*OPTIONS, *tests], plugins=plugins) != pytest.ExitCode.OK:
            return KILLED + number
    return 0
