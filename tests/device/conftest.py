"""The device of these tests: the stand-in for CuPy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinydl.lab import standin


@pytest.fixture(scope="module")
def device() -> Iterator[str]:
    """``"cuda"``, with tensors of the stand-in."""
    with standin.connected():
        yield "cuda"
