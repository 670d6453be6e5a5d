"""Tests of fusion run twice: with what function calls gave computed again in the backward loop, and kept. Of the many
that compile kernels of their own, the random trees, each runs in one of the two ways."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from tinydl.fusion import calling

WAYS = {"computed again": range(0), "kept": range(1, 10**9)}


def pytest_generate_tests(metafunc: Any) -> None:
    if metafunc.module.__name__.endswith("test_fuse"):
        metafunc.parametrize("kept", WAYS, indirect=True)


@pytest.fixture(autouse=True)
def kept(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way in which this test runs."""
    way: str = getattr(request, "param", list(WAYS)[zlib.crc32(request.node.nodeid.encode()) % 2])
    monkeypatch.setattr(calling, "KEPT", WAYS[way])
    return way
