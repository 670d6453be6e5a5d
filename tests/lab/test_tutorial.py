"""The files of docs/kernels.md, as a reader would save and run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.test_kernels import quick
from tests.meta.tree import ROOT
from tinydl.benchmarks.kernels import results
from tinydl.cli import main
from tinydl.kernels import card
from tinydl.kernels.card import _cards
from tinydl.kernels.registry import FAMILIES, unregister
from tinydl.lab.table import table, update

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


def test_its_speed_is_measured_as_the_page_says(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    forgotten: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (ROOT / "docs" / "kernels.md").read_text()
    (line,) = re.findall(r"^tinydl (bench .*)$", page, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_matmul.py").write_text(FILES["my_matmul.py"])
    forgotten.append(("matmul", "mine"))
    quick(monkeypatch)
    rows = results(None, own=False)
    assert rows is not None
    before = rows.read_bytes() if rows.exists() else b""
    assert main([*line.split(), "--vs", "numpy"]) == 0
    out = capsys.readouterr().out
    assert "matmul: C[m, n]" in out and re.search(r"^64\^3 +mine +[\d.]+ ", out, re.MULTILINE), out
    header = next(line for line in out.splitlines() if line.startswith("case "))
    columns = re.split(r" {2,}", header)[2:]
    table = page.partition("| column | meaning |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))) == set(columns)
    assert (tmp_path / "my_matmul.html").read_text().count("<figure>") == len(card("matmul").cases)
    assert (rows.read_bytes() if rows.exists() else b"") == before  # a user's kernel is no result of the project's


def test_the_mistake_that_it_proposes_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forgotten: list[tuple[str, str]]
) -> None:
    file = tmp_path / "my_matmul.py"
    assert FILES["my_matmul.py"].count("range(a.shape[1])") == 1
    file.write_text(FILES["my_matmul.py"].replace("range(a.shape[1])", "range(a.shape[1] - 1)"))
    forgotten.append(("matmul", "mine"))
    assert main(["kernels", "verify", "--file", str(file)]) == 1
    assert "is off by" in capsys.readouterr().out
    unregister("matmul", "mine")
    assert main(["bench", "--file", str(file)]) == 2
    said = capsys.readouterr()
    assert "matmul:mine is wrong, so nothing was timed: " in said.err and not said.out


def test_the_table_of_kernels_is_that_of_the_cards() -> None:
    page = (ROOT / "docs" / "kernels.md").read_text()
    assert page == update(page), "python -m tinydl.lab.table docs/kernels.md"
    assert table().count("\n") == len(FAMILIES) + 1


def test_an_operation_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forgotten: list[tuple[str, str]]
) -> None:
    file = tmp_path / "doubling.py"
    file.write_text(FILES["doubling.py"])
    forgotten += [("doubling", "numpy"), ("doubling", "in one line")]
    assert main(["kernels", "verify", "--file", str(file)]) == 0
    assert capsys.readouterr().out.count(" right ") == 2
