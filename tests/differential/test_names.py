"""Every promised name is there, and is compared with PyTorch's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tinydl
from tests.differential import names, tables  # noqa: F401 - enters the rows
from tests.differential.rows import ROWS, resolve
from tests.each import each

TESTS = Path(__file__).resolve().parent.parent
# Names of objects that a library does not have as such: a Logistic is made of parts there, and so on.
OURS_ALONE = {"distributions.Logistic"}


def test_no_name_is_written_twice() -> None:
    assert len(set(names.NAMES)) == len(names.NAMES), sorted({n for n in names.NAMES if names.NAMES.count(n) > 1})


def test_every_name_is_there() -> None:
    each(((name, name) for name in names.NAMES), lambda name: resolve(tinydl, name))


def test_every_name_is_compared_with_pytorch() -> None:
    entered = {row.name for row in ROWS}
    texts = {file: (TESTS / file).read_text() for file in set(names.ELSEWHERE.values())}

    def compared(name: str) -> None:
        if name in entered:
            assert name not in names.ELSEWHERE, "a row compares it: strike it from ELSEWHERE"
            return
        assert name in names.ELSEWHERE, "no row of the differential table calls it"
        file = names.ELSEWHERE[name]
        assert re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", texts[file]), f"{file} does not mention it"

    each(((name, name) for name in names.NAMES), compared)


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
