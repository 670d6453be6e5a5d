"""Imports point down: kernels <- tinydl <- models <- benchmarks; and `import tinydl` stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.meta.tree import FLOORS, ROOT, Source, sources, sources_of_tests

# The one door upward: these look models and benchmarks up by name, inside functions.
DOORS = ("tinydl/cli/", "tinydl/registry.py", "tinydl/__main__.py")
THIRD_PARTY = {  # what a floor may import at all; models and benchmarks stand on the user's side
    "kernels": {"numpy", "numba", "llvmlite", "cupy", "cupyx", "threadpoolctl"},
    "tinydl": {
        "numpy",
        "mido",
        "safetensors",
        "rich",
        "pooch",
        "scipy",
        "matplotlib",
        "threadpoolctl",
        "numba",
        "cupy",
    },
    "models": {"numpy"},
}
HEAVY = ("numba", "llvmlite", "mido", "rich", "scipy", "safetensors", "pooch", "matplotlib", "threadpoolctl", "cupy")


def imports(source: Source) -> Iterator[tuple[str, int, bool]]:
    """(absolute dotted name, line, at import time?) of all a file imports, by statement or by string."""

    def walk(node: ast.AST, top: bool) -> Iterator[tuple[str, int, bool]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, top
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = source.module.split(".")
                if source.path.name != "__init__.py":
                    package = package[:-1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, base]).rstrip(".")
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno, top
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
            for argument in ast.walk(node):
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    if all(part.isidentifier() for part in argument.value.split(".")):
                        yield argument.value, node.lineno, top
        inner = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inner)

    yield from walk(source.tree, True)


def floor_of(name: str) -> str | None:
    """The floor a dotted name stands on; None outside the project."""
    first, *rest = name.split(".")
    if first != "tinydl":
        return None
    return rest[0] if rest and rest[0] in FLOORS else "tinydl"


def violations(source: Source) -> list[str]:
    """What a file imports that it must not."""
    found = []
    for name, line, top in imports(source):
        where = f"{source.relative}:{line} imports {name}"
        floor = floor_of(name)
        if name.split(".")[0] in {"kernels", "models", "benchmarks"}:
            found.append(f"{where}: say tinydl.{name} (a second module object would be a second registry)")
        elif floor is not None and source.floor in FLOORS and FLOORS.index(floor) > FLOORS.index(source.floor):
            if top or source.floor != "tinydl" or not source.relative.startswith(DOORS):
                found.append(f"{where}, a floor above its own")
        elif floor is None and source.floor in THIRD_PARTY:
            package = name.split(".")[0]
            if package not in sys.stdlib_module_names and package not in THIRD_PARTY[source.floor]:
                found.append(f"{where}, which {source.floor}/ may not")
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_point_down(floor: str) -> None:
    mine = [source for source in sources() if source.floor == floor]
    assert mine, f"no sources found in {floor}/"
    found = [line for source in mine for line in violations(source)]
    assert not found, "\n".join(found)


def test_tests_never_import_a_floor_by_its_folder() -> None:
    found = [line for source in sources_of_tests() for line in violations(source)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("kernels/x.py", "import tinydl"),
        ("kernels/x.py", "import scipy.special"),
        ("kernels/x/y.py", "from ...ops import add"),
        ("tinydl/ops/x.py", "import kernels"),
        ("tinydl/ops/x.py", "def f():\n    from tinydl import models"),
        ("tinydl/training/x.py", "def f():\n    importlib.import_module('tinydl.models')"),
        ("tinydl/cli/x.py", "from tinydl.models import rnn"),
        ("models/x.py", "from tinydl.benchmarks import harness"),
        ("tests/x.py", "from models import rnn"),
    ],
)
def test_the_check_sees_a_wrong_import(where: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.meta.tree.parse", lambda path: ast.parse(line))
    assert violations(Source(ROOT / where))


def test_the_one_door_upward_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.meta.tree.parse", lambda path: ast.parse("def f():\n    from tinydl import models"))
    assert not violations(Source(ROOT / "tinydl/cli/x.py"))


def run(code: str) -> str:
    """Standard output of a fresh interpreter that sees the checkout."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_tinydl_is_light() -> None:
    loaded = json.loads(run("import json, sys, tinydl; print(json.dumps(sorted(sys.modules)))"))
    assert not [name for name in loaded if name.split(".")[0] in HEAVY]


def test_core_and_kernels_import_with_numpy_alone() -> None:
    run(
        "import sys\n"
        f"for name in {HEAVY!r}: sys.modules[name] = None\n"  # None makes an import raise
        "import numpy, tinydl, tinydl.kernels, tinydl.nn, tinydl.optim\n"
        "x = tinydl.tensor([[1.0, 2.0]], requires_grad=True)\n"
        "(x @ x.T).sum().backward()\n"
        "assert numpy.allclose(x.grad.numpy(), 2 * x.detach().numpy())\n"
    )


def test_every_name_in_all_is_there() -> None:
    import importlib
    import pkgutil

    import tinydl

    missing = []
    for found in pkgutil.walk_packages(tinydl.__path__, "tinydl."):
        if found.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(found.name)
        except ImportError:  # what needs a library that is not installed
            continue
        missing += [f"{found.name}.{name}" for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
    assert not missing
