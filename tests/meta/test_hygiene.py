"""What the source never contains (code from data, paths of one machine) and always contains (docstrings)."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

from tests.meta.tree import ROOT, Source, files, sources

# Text made into code: only the engine's, from identifiers of a primitive's own signature.
EXEC_ALLOWED = {  # text of their own, made of identifiers and numbers
    "tinydl/autograd/primitives.py", "tinydl/fusion/calling.py", "kernels/fused.py", "kernels/ufunc.py",
    "kernels/builtin.py", "kernels/sharing.py",
}  # fmt: skip
PICKLE_ERRORS = {"PickleError", "PicklingError"}
BAD_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle", "joblib"}


def dangers(source: Source) -> list[str]:
    """Ways by which a file of data could run code."""
    found = []
    for node in ast.walk(source.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # What a failed spawn or Numba's own cache raises can be caught; nothing else of pickle is of use to us.
            names = [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in PICKLE_ERRORS]
        line = getattr(node, "lineno", 0)
        found += [f"{source.relative}:{line} imports {n}" for n in names if n.split(".")[0] in BAD_MODULES]
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
                if not (node.func.id == "exec" and source.relative in EXEC_ALLOWED):
                    found.append(f"{source.relative}:{line} calls {node.func.id}")
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                if (keyword.arg, value) in {("allow_pickle", True), ("shell", True), ("weights_only", False)}:
                    found.append(f"{source.relative}:{line} passes {keyword.arg}={value}")
            # np.save of an object array pickles unless told not to
            if ast.unparse(node.func) in {"np.load", "numpy.load", "np.save", "numpy.save"}:
                if not any(k.arg == "allow_pickle" for k in node.keywords):
                    found.append(f"{source.relative}:{line} calls {ast.unparse(node.func)} without allow_pickle=False")
    return found


def test_no_data_can_run_code() -> None:
    found = [line for source in sources() for line in dangers(source)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "eval('1')",
        "exec('x = 1')",
        "np.load(f, allow_pickle=True)",
        "np.load(f)",
        "subprocess.run(c, shell=True)",
    ],
)
def test_the_check_sees_a_danger(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.meta.tree.parse", lambda path: ast.parse(line))
    assert dangers(Source(ROOT / "tinydl" / "x.py"))


def repository_files() -> list[Path]:
    """Every file that is, or would be, committed; without git (an unpacked archive), the product's folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:
        return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    folders = ("tinydl", "kernels", "models", "benchmarks", "tests", "docs", ".ci")
    return [path for folder in folders for path in files(folder)]


def test_no_path_of_one_machine() -> None:
    absolute = re.compile(r"(?<![\w.$}~/-])/(?:home|root|Users|work|mnt|tmp|var/tmp)/[\w.-]+")
    found = []
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if absolute.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[str]:
    """The decorators of a definition, as text."""
    return [ast.unparse(decorator) for decorator in node.decorator_list]


def public_definitions(source: Source) -> list[tuple[str, ast.AST]]:
    """Module, public functions and classes, and public methods of public classes that a reader meets first there.

    Variants of a kernel are documented once, on the family's card (``test_kernels.py`` asks for that). A method that
    overrides one of a base class (``forward``, ``step``) inherits its documentation; so a method needs
    words of its own only when its class names no base.
    """
    found: list[tuple[str, ast.AST]] = [(source.module, source.tree)]
    if any(part.startswith("_") for part in source.module.split(".")):
        return found
    for node in source.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            if any("overload" in d or d.startswith("register(") for d in decorators(node)):
                continue
            found.append((f"{source.module}.{node.name}", node))
            if isinstance(node, ast.ClassDef) and not node.bases:
                found += [
                    (f"{source.module}.{node.name}.{method.name}", method)
                    for method in node.body
                    if isinstance(method, ast.FunctionDef)
                    and not method.name.startswith("_")
                    and not any(
                        "setter" in ast.unparse(d) or "overload" in ast.unparse(d) for d in method.decorator_list
                    )
                ]
    return found


@pytest.mark.parametrize("floor", ["kernels", "tinydl", "models", "benchmarks"])
def test_public_names_have_docstrings(floor: str) -> None:
    bare = []
    for source in sources():
        if source.floor == floor and source.path.read_text().strip():
            bare += [
                f"{source.relative}:{getattr(node, 'lineno', 1)} {name}"
                for name, node in public_definitions(source)
                if not ast.get_docstring(node)  # type: ignore[arg-type]
            ]
    assert not bare, f"{len(bare)} public names without a docstring:\n" + "\n".join(bare)


@pytest.mark.parametrize("module", ["tinydl", "tinydl.nn", "tinydl.nn.functional", "tinydl.optim", "tinydl.autograd"])
def test_exported_names_exist_and_are_documented(module: str) -> None:
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", None) or [name for name in dir(loaded) if not name.startswith("_")]
    bare = [
        name for name in names if callable(getattr(loaded, name)) and not (getattr(loaded, name).__doc__ or "").strip()
    ]
    assert not bare, f"{module}: no docstring on {bare}"
