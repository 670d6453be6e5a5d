"""Switches of CUDA, which is not there: they hold what they are given, and begin as in PyTorch."""

from __future__ import annotations

from types import SimpleNamespace

from tinydl.errors import say_absent

say_absent(__name__)

matmul = SimpleNamespace(allow_tf32=False)


def is_built() -> bool:
    """False."""
    return False
