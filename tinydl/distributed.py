"""What a script asks before it uses several processes: there is one. (Data-parallel training is planned.)"""

from __future__ import annotations

from tinydl.errors import say_absent

say_absent(__name__)

__all__ = ["is_available", "is_initialized"]


def is_available() -> bool:
    """False: one process computes."""
    return False


def is_initialized() -> bool:
    """False."""
    return False
