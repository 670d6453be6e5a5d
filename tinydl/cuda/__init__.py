"""What a script asks before it chooses a device: there is no GPU here. (CUDA kernels are not part of this version.)"""

from __future__ import annotations

from typing import Any

from tinydl.cuda import amp
from tinydl.errors import say_absent

say_absent(__name__)

__all__ = [
    "amp", "device_count", "empty_cache", "is_available", "is_bf16_supported", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "memory_allocated",
]  # fmt: skip


def is_available() -> bool:
    """False: tensors live on the CPU."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no generator of a GPU."""


def empty_cache() -> None:
    """Nothing: there is no memory of a GPU."""


def manual_seed_all(seed: int) -> None:
    """Nothing: there is no generator of a GPU."""


def is_bf16_supported() -> bool:
    """False: there is no GPU."""
    return False


def memory_allocated(device: Any = None) -> int:
    """0, of a memory that is not there."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """0, of a memory that is not there."""
    return 0
