"""What a script asks before it chooses a device, whatever its kind: there is none but the CPU."""

from __future__ import annotations

from tinydl.errors import say_absent

say_absent(__name__)


def is_available() -> bool:
    """False: tensors live on the CPU."""
    return False


def device_count() -> int:
    """0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """None: there is no accelerator."""
