"""What a script asks before it chooses a device: there is no GPU here. (CUDA kernels are not part of this version.)"""

from __future__ import annotations

from tinydl.errors import say_absent

say_absent(__name__)


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
