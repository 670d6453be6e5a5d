"""The wheel holds what the tree holds, and runs from another folder."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.meta.tree import FLOORS, ROOT, Source, files, sources

pytest.importorskip("setuptools", minversion="77", reason="building the wheel offline needs setuptools>=77")
pytest.importorskip("pip", reason="building the wheel needs pip")

NOT_SHIPPED = ("benchmarks/results/",)  # records of this repository's machines, not part of the package


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy, so that no build folder appears in the checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for floor in FLOORS:
        shutil.copytree(ROOT / floor, copy / floor, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "src").mkdir()
    (copy / "src" / "tinydl").symlink_to("../tinydl")
    out = tmp_path_factory.mktemp("wheel")
    command = [
        "pip",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-build-isolation",
        "--no-deps",
        "--wheel-dir",
        str(out),
        ".",
    ]
    done = subprocess.run([sys.executable, "-m", *command], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content, as site-packages would."""
    target = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run_installed(code: str, installed: Path) -> str:
    """Standard output of a fresh interpreter in the root folder that sees the wheel and not the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_package_list_is_the_tree() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    assert listed == sorted(set(listed)), "keep the list of packages in setup.cfg sorted, each once"
    found = {source.module for source in sources() if source.path.name == "__init__.py"}
    assert set(listed) == found, f"setup.cfg: add {sorted(found - set(listed))}, remove {sorted(set(listed) - found)}"
    bare = {s.relative for s in sources() if s.path.name != "__init__.py" and s.module.rpartition(".")[0] not in found}
    assert not bare, f"these stand in folders without __init__.py: {sorted(bare)}"


def test_links_point_at_the_floors() -> None:
    for floor in FLOORS:
        if floor != "tinydl":
            assert os.readlink(ROOT / "tinydl" / floor) == f"../{floor}"
    assert os.readlink(ROOT / "src" / "tinydl") == "../tinydl"


def test_an_editable_install_wins_over_a_clone_in_the_current_folder(tmp_path: Path) -> None:
    clone = tmp_path / "tinydl"  # a folder without __init__.py, which Python takes for a package of that name
    (clone / "src").mkdir(parents=True)
    for link in ("tinydl", "models"):
        (clone / link).symlink_to(ROOT / link)
    (clone / "src" / "tinydl").symlink_to("../tinydl")
    # What pip adds to the path is src: the packages lie below one folder, so setuptools needs no import hook.
    code = (
        "import importlib.util, tinydl, tinydl.models\n"
        "print(tinydl.__file__, tinydl.models.__file__, importlib.util.find_spec('models'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(clone / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    home = clone / "src" / "tinydl"
    assert done.stdout.split() == [str(home / "__init__.py"), str(home / "models" / "__init__.py"), "None"]


def test_wheel_holds_what_the_tree_holds(wheel: Path) -> None:
    expected = set()
    for floor in FLOORS:
        for path in files(floor):
            source = Source(path)
            if path.name.startswith(".") or source.relative.startswith(NOT_SHIPPED):
                continue
            expected.add(source.relative if floor == "tinydl" else f"tinydl/{source.relative}")
    assert {"tinydl/py.typed", "tinydl/kernels/py.typed"} <= expected
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected, f"missing: {sorted(expected - held)}; too much: {sorted(held - expected)}"


def test_every_module_imports_from_another_folder(installed: Path) -> None:
    names = [source.module for source in sources() if source.path.name != "__main__.py"]
    out = run_installed(
        "import importlib, sys\n"
        f"for name in {names!r}: print(importlib.import_module(name).__file__)\n"
        "assert not {'kernels', 'models', 'benchmarks'} & set(sys.modules)\n",
        installed,
    )
    lines = out.split()
    assert len(lines) == len(names)
    assert all(line.startswith(str(installed)) for line in lines)


def test_wheel_trains_and_speaks_from_another_folder(installed: Path) -> None:
    run_installed(
        "import tinydl\n"
        "tinydl.manual_seed(0)\n"
        "net = tinydl.nn.Sequential(tinydl.nn.Linear(2, 8), tinydl.nn.Tanh(), tinydl.nn.Linear(8, 1))\n"
        "x = tinydl.tensor([[0., 0.], [0., 1.], [1., 0.], [1., 1.]]); y = tinydl.tensor([[0.], [1.], [1.], [0.]])\n"
        "adam = tinydl.optim.Adam(net.parameters(), lr=0.05); losses = []\n"
        "for _ in range(50):\n"
        "    loss = tinydl.nn.functional.mse_loss(net(x), y)\n"
        "    adam.zero_grad(); loss.backward(); adam.step(); losses.append(loss.item())\n"
        "assert losses[-1] < 0.5 * losses[0], losses\n",
        installed,
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "tinydl", "--version"]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version = run_installed("import tinydl; print(tinydl.__version__)", installed).strip()
    assert version in done.stdout


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        text = archive.read(metadata).decode()
        entries = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
        assert any(name.endswith("LICENSE") for name in archive.namelist())
    assert "tinydl = tinydl.cli:main" in entries
    assert "Requires-Python: >=3.10" in text
    assert "Requires-Dist: numpy>=2" in text
    extras = {line.split(": ")[1] for line in text.splitlines() if line.startswith("Provides-Extra: ")}
    assert extras == {"datasets", "docs", "plots", "test", "dev", "cuda12", "cuda13", "mpi", "nvrtc", "nvvm", "onnx"}


def test_console_entry_is_a_callable() -> None:
    from tinydl.cli import main

    assert callable(main)
