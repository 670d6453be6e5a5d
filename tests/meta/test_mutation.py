"""The tool of mutation testing: it changes what it says, sees what a test notices, and its answers are of today."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.meta.tree import ROOT
from tests.mutation import mutants as module
from tests.mutation.answers import ANSWERS
from tests.mutation.mutants import mutants
from tests.mutation.reaching import lines_of
from tests.mutation.targets import Target, all_tests, files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = a + b", ["a - b"]),
        ("x = a // b ** c", ["a * b ** c", "b * c"]),
        ("x += y", ["x -= y"]),
        ("x = a < b", ["a <= b", "a >= b"]),
        ("x = a == b != c", ["a != b != c", "a == b == c"]),
        ("x = a is None", ["a is not None"]),
        ("x = a and b or c", ["(a and b) and c", "a or b"]),
        ("x = not a", ["a"]),
        ("x = f(-a)", ["f(a)"]),
        ("x = f(0, 'text', None)", ["f(1, 'text', None)"]),
        ("x = 1", ["0", "2"]),
        ("x = f(7, b=True)", ["f(8, b=True)", "b=False"]),
        ("x = 0.5 * y", ["0.5 / y", "1.5 * y"]),
        ("if a:\n    pass", ["if not a"]),
        ("if a in b:\n    pass", ["a not in b"]),
        ("x = b if a.c else d", ["if not a.c"]),
        ("x = [a for a in b if a.c]", ["if not a.c"]),
        ("def f(x: int | None = 2) -> int | None:\n    raise E(x + 1)", ["3"]),
        ("if TYPE_CHECKING:\n    x = 1", []),
    ],
)
def test_every_change_is_made(text: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "target_of", lambda file: Target("any"))
    tree = ast.parse(text)
    whole, found = ast.unparse(tree), []
    for site in module.sites(tree, "any"):
        undo = site.change()
        found.append(site.show())
        assert ast.unparse(tree) != whole
        undo()
        assert ast.unparse(tree) == whole
    assert found == expected


def test_everything_named_is_there() -> None:
    assert len(files()) >= 15
    assert len(all_tests()) >= 30


def test_a_mutant_is_compiled_with_its_change_alone() -> None:
    file = "kernels/optim/spec.py"
    found = mutants(file)
    assert len({m.key for m in found}) == len(found) > 50
    chosen = next(m for m in found if m.where == "sgd_" and m.before == "mu != 0")
    assert chosen.after == "mu == 0"
    assert chosen.code().co_filename.endswith(file)


def test_answers_are_of_mutants_that_exist() -> None:
    known = [m for file in files() for m in mutants(file)]
    stale = [a for a in ANSWERS if not any(a.meets(m) for m in known)]
    assert not stale, "\n".join(f"{a.file} {a.where}: {a.change}" for a in stale)
    assert all(len(a.reason) > 10 for a in ANSWERS)


def test_what_runs_while_importing_shows_in_its_function() -> None:
    """A default is seen by tests that run the function's body, and a constant by those that read it."""
    default = next(m for m in mutants("tinydl/optim/sgd.py") if m.where.endswith("__init__") and "0" in m.before)
    statement, body = list(lines_of(default))[1:3]
    assert statement <= {default.first_line}
    assert min(body) > default.line and len(body) > 3


PROGRAM = """
import time
from tests.mutation import running, session
from tests.mutation.mutants import mutants
from tests.mutation.reaching import Reach
running.preload()
file, tests = "tinydl/ops/casting.py", [("a", ["tests/core/test_in_place.py"])]
found = mutants(file)
mutant = next(m for m in found if m.before == "copy=True")
print("harmed", running.fork(lambda: running.run_tests(tests, file, mutant.code()), 120).wait())
print("unharmed", running.fork(lambda: running.run_tests(tests), 120).wait())
print("endless", running.fork(lambda: time.sleep(60), 0.2).wait())

def work(collected):
    swaps = session.swaps(mutant, imported)
    chosen = [(name, 1.0) for name in collected.items]
    for change in (session.setting(swaps), lambda: None):
        child, reading = collected.show(chosen, change)
        print("collected", child.wait(), flush=True)
    print("imported", [session.swaps(m, imported) for m in mutants("tinydl/optim/sgd.py")][:1])

imported = set()
session.all_tests = lambda: ["tests/core/test_in_place.py"]
session.collect(work, imported)
"""


def test_a_change_is_noticed_and_no_change_is_not() -> None:
    """In a process of its own, which has not imported tinydl; 10 says that the first test file, or a test, failed."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.partition(" ")[0] in WORDS]
    assert lines == ["harmed 10", "unharmed 0", "endless -14", "collected 10", "collected 0", "imported [None]"]


WORDS = ("harmed", "unharmed", "endless", "collected", "imported")
