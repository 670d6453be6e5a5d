"""The files of docs/kernels.md, as a reader would save and run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.tree import ROOT
from tinydl.cli import main
from tinydl.kernels.card import _cards
from tinydl.kernels.registry import unregister

FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / "docs" / "kernels.md").read_text(), re.DOTALL))


@pytest.fixture
def forgotten() -> Iterator[list[tuple[str, str]]]:
    names: list[tuple[str, str]] = []
    yield names
    for op, name in names:
        unregister(op, name)
        _cards.pop("doubling", None)


def test_a_kernel_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forgotten: list[tuple[str, str]]
) -> None:
    file = tmp_path / "my_matmul.py"
    file.write_text(FILES["my_matmul.py"])
    forgotten.append(("matmul", "mine"))
    assert main(["kernels", "verify", "--file", str(file)]) == 0
    line = capsys.readouterr().out
    words = r"matmul:mine +right +\d+ calls, largest error 0\.\d\d of what is allowed, gradient right\n"
    assert re.fullmatch(words, line), line


def test_the_mistake_that_it_proposes_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forgotten: list[tuple[str, str]]
) -> None:
    file = tmp_path / "my_matmul.py"
    assert FILES["my_matmul.py"].count("range(a.shape[1])") == 1
    file.write_text(FILES["my_matmul.py"].replace("range(a.shape[1])", "range(a.shape[1] - 1)"))
    forgotten.append(("matmul", "mine"))
    assert main(["kernels", "verify", "--file", str(file)]) == 1
    assert "is off by" in capsys.readouterr().out


def test_an_operation_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forgotten: list[tuple[str, str]]
) -> None:
    file = tmp_path / "doubling.py"
    file.write_text(FILES["doubling.py"])
    forgotten += [("doubling", "numpy"), ("doubling", "in one line")]
    assert main(["kernels", "verify", "--file", str(file)]) == 0
    assert capsys.readouterr().out.count(" right ") == 2
