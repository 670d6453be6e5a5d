"""What a script asks before it chooses a device, whatever its kind: the GPU, where there is one."""

from __future__ import annotations

from typing import Any

from tinydl import cuda, devices
from tinydl.errors import say_absent

say_absent(__name__)


def is_available() -> bool:
    """Whether there is a GPU."""
    return cuda.is_available()


def device_count() -> int:
    """1 where there is a GPU, since one is used; else 0."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> Any:
    """``device("cuda")`` where there is a GPU; else None."""
    return devices.CUDA if cuda.is_available() else None
