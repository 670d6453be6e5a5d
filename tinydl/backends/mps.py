"""Apple's GPUs: none is used."""

from __future__ import annotations

from tinydl.errors import say_absent

say_absent(__name__)


def is_available() -> bool:
    """False: tensors live on the CPU."""
    return False


def is_built() -> bool:
    """False."""
    return False
