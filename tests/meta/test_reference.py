"""The API reference: what stands in it has words, and the layout of docstrings is understood."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import pytest

import tinydl
from tests.differential import names
from tests.differential.rows import resolve
from tests.meta.tree import ROOT


def promised() -> list[str]:
    """Every name of the lists that is there (``test_names.py`` asks that those of finished groups are)."""
    groups = [group for group in vars(names).values() if isinstance(group, list)]
    return sorted({name for group in groups for name in group if present(name)})


def present(name: str) -> bool:
    try:
        resolve(tinydl, name)
    except AttributeError:
        return False
    return True


def test_public_names_have_a_docstring() -> None:
    bare, seen = [], 0
    for name in promised():
        found = resolve(tinydl, name)
        if not callable(found) and not isinstance(found, property):
            continue
        seen += 1
        # A layer or optimizer explains itself; a method may be explained by the one that it overrides.
        text = found.__doc__ if inspect.isclass(found) else inspect.getdoc(found)
        if not (text or "").strip():
            bare.append(name)
    assert not bare, f"no docstring on {bare}"
    assert seen > 200


def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Equation::\n\n    y = x", "Equation:\n\n    y = x"),
        ("size\n    How many.\n    Or all.\nseed\n    Which.", "- **size**: How many.\n  Or all.\n- **seed**: Which."),
        ("a, b\n    First.\n\n    And more.\n\nEnd.", "- **a, b**: First.\n\n  And more.\n\nEnd."),
        ("Args:\n    x: a number.", "Args:\n    x: a number."),
        ("===  ===\na    b\n===  ===", "```\n===  ===\na    b\n===  ===\n```"),
        ("Text.\n\n>>> 1 + 1\n2", "Text.\n\n```python\n>>> 1 + 1\n2\n```"),
        ("See :mod:`~tinydl.nn`.", "See :mod:`tinydl.nn`."),
    ],
)  # fmt: skip
def test_docstrings_become_markdown(text: str, expected: str) -> None:
    assert reference().markdown(text) == expected
