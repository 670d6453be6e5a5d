"""Switches of cuDNN, which is not there: they hold what they are given, and begin as in PyTorch."""

from __future__ import annotations

from tinydl.errors import say_absent

say_absent(__name__)

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """False."""
    return False


def version() -> None:
    """None: there is no cuDNN."""
