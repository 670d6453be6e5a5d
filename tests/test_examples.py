"""The examples run as they stand, learn something, and mean the same to PyTorch: one line of each names the library."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples"
SCRIPTS = ["mnist_cnn", "vae", "dcgan", "char_rnn", "encoder_decoder", "gpt"]
IMPORT = "import tinydl as torch  # or: import torch\n"


def losses(script: Path) -> list[float]:
    """What ``--tiny`` prints as losses, in order."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), "--tiny"], cwd=script.parent, env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = [float(number) for number in re.findall(r"^(?:epoch|step).*?loss (\S+)", done.stdout, re.MULTILINE)]
    assert len(found) >= 4, done.stdout
    return found


def assert_falls(found: list[float]) -> None:
    part = max(len(found) // 4, 1)
    first, last = sum(found[:part]) / part, sum(found[-part:]) / part
    assert last < 0.9 * first, found


def test_every_script_is_tested() -> None:
    runnable = {path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert runnable == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_one_line_names_the_library(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.count(IMPORT) == 1
    assert "tinydl" not in text.replace(IMPORT, "") and "import torch" not in text.replace(IMPORT, "")


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_learns(name: str) -> None:
    assert_falls(losses(FOLDER / f"{name}.py"))


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_learns_under_pytorch(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "examples"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    script = copy / f"{name}.py"
    script.write_text(script.read_text(encoding="utf-8").replace(IMPORT, "import torch\n"), encoding="utf-8")
    assert_falls(losses(script))
