"""Every test of fusion runs twice: with what function calls gave computed again in the backward loop, and kept."""

from __future__ import annotations

from typing import Any

import pytest

from tinydl.fusion import calling


@pytest.fixture(params=["computed again", "kept"], autouse=True)
def kept(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(calling, "KEPT", range(1, 10**9) if request.param == "kept" else range(0))
    return request.param
