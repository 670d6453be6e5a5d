"""Every promised name is there, and is compared with PyTorch's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tinydl
from tests.differential import names, tables  # noqa: F401 - enters the rows
from tests.differential.rows import ROWS, resolve

TESTS = Path(__file__).resolve().parent.parent
# Names of objects that a library does not have as such: a Logistic is made of parts there, and so on.
OURS_ALONE = {"distributions.Logistic", "Tensor.array"}


def test_no_name_is_written_twice() -> None:
    assert len(set(names.NAMES)) == len(names.NAMES), sorted({n for n in names.NAMES if names.NAMES.count(n) > 1})


@pytest.mark.parametrize("name", names.NAMES)
def test_the_name_is_there(name: str) -> None:
    resolve(tinydl, name)


@pytest.mark.parametrize("name", names.NAMES)
def test_the_name_is_compared_with_pytorch(name: str) -> None:
    entered = {row.name for row in ROWS}
    if name in entered:
        assert name not in names.ELSEWHERE, "a row compares it: strike it from ELSEWHERE"
        return
    assert name in names.ELSEWHERE, f"no row of the differential table calls {name}"
    text = (TESTS / names.ELSEWHERE[name]).read_text()
    assert re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", text), f"{names.ELSEWHERE[name]} does not mention it"


def test_rows_are_promised_names() -> None:
    known = {n for group in vars(names).values() if isinstance(group, list) for n in group}
    assert not {row.name for row in ROWS} - known, "a row whose name is not in names.py"


def test_the_names_are_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    missing = []
    for name in names.NAMES:
        try:
            resolve(torch, name)
        except AttributeError:
            missing.append(name)
    assert set(missing) <= OURS_ALONE, missing
