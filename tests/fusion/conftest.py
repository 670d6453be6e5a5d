"""Tests of fusion run twice: with what function calls gave computed again in the backward loop, and kept. Of the many
that compile kernels of their own, the random trees, each runs in one of the two ways."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from tinydl.fusion import calling

#: Of the same tests, those whose work is done in a process of its own, which knows nothing of the two ways.
ONCE = ("test_kernels_are_kept_on_the_disk", "test_importing_tinydl_loads_nothing_of_it")
WAYS = {"computed again": range(0), "kept": range(1, 10**9)}


def pytest_generate_tests(metafunc: Any) -> None:
    if metafunc.module.__name__.endswith("test_fuse") and metafunc.function.__name__ not in ONCE:
        metafunc.parametrize("kept", WAYS, indirect=True)


@pytest.fixture(autouse=True)
def kept(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way in which this test runs."""
    # By the operation, where there is one: its edges of the range then have the kernels of its usual numbers.
    case = getattr(request.node, "callspec", None)
    name = case.params.get("name", request.node.nodeid) if case else request.node.nodeid
    way: str = getattr(request, "param", list(WAYS)[zlib.crc32(name.encode()) % 2])
    monkeypatch.setattr(calling, "KEPT", WAYS[way])
    return way
