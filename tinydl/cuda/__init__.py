"""The GPU: whether it is there, its memory, its streams.

Tensors are on one GPU, ``"cuda:0"``, the first that the driver shows (``CUDA_VISIBLE_DEVICES`` chooses). It is looked
for when it is first asked for, through CuPy; where there is none, questions are answered with no, and what needs one
raises RuntimeError with what to install. Work is queued: :func:`synchronize` waits for it, and so do ``item()``,
``tolist()``, ``cpu()`` and printing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from tinydl.cuda import amp
from tinydl.cuda.memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    reset_peak_memory_stats,
)
from tinydl.cuda.streams import Event, Stream, current_stream, default_stream, stream, synchronize
from tinydl.devices import ELSEWHERE, gpu
from tinydl.errors import DeviceError, say_absent

say_absent(__name__)

__all__ = [
    "Event", "Stream", "amp", "current_device", "current_stream", "default_stream", "device", "device_count",
    "empty_cache", "get_device_capability", "get_device_name", "get_device_properties", "init", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all", "max_memory_allocated",
    "max_memory_reserved", "mem_get_info", "memory_allocated", "memory_reserved", "reset_peak_memory_stats",
    "set_device", "stream", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """Whether there is a GPU that tensors can be on; ``tinydl info`` says why not."""
    from tinydl.elsewhere import of

    try:
        return of("cuda") is not None
    except DeviceError:
        return False


def device_count() -> int:
    """1 where there is a GPU, since one is used; else 0."""
    return int(is_available())


def init() -> None:
    """Look for the GPU now. Raises RuntimeError, with what to install, where there is none."""
    from tinydl.elsewhere import of

    of("cuda")


def is_initialized() -> bool:
    """Whether the GPU is in use by now."""
    return any(there.device.type == "cuda" for there in ELSEWHERE.values())


def current_device() -> int:
    """0, the number of the GPU. Raises RuntimeError where there is none."""
    init()
    return 0


def set_device(device: Any) -> None:
    """Nothing for the GPU that is there; RuntimeError for another one."""
    from tinydl.elsewhere import of

    of(gpu(device))


@contextmanager
def device(device: Any) -> Iterator[None]:
    """:func:`set_device` inside a ``with`` block."""
    set_device(device)
    yield


def _properties() -> Any:
    from tinydl.elsewhere import of

    return of("cuda").kernels.xp.cuda.runtime.getDeviceProperties(0)  # type: ignore[union-attr]


def get_device_name(device: Any = None) -> str:
    """As its maker calls it."""
    set_device(device)
    name: bytes = _properties()["name"]
    return name.decode()


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Its compute capability: ``(9, 0)``."""
    set_device(device)
    found = _properties()
    return found["major"], found["minor"]


def get_device_properties(device: Any = None) -> SimpleNamespace:
    """``name``, ``major``, ``minor``, ``total_memory`` in bytes, ``multi_processor_count``."""
    set_device(device)
    found = _properties()
    return SimpleNamespace(
        name=found["name"].decode(), major=found["major"], minor=found["minor"],
        total_memory=found["totalGlobalMem"], multi_processor_count=found["multiProcessorCount"],
    )  # fmt: skip


def is_bf16_supported() -> bool:
    """False: tensors have no bfloat16."""
    return False


def manual_seed(seed: int) -> None:
    """:func:`tinydl.manual_seed`, where there is a GPU: one generator serves the CPU and the GPU, so that numbers do
    not depend on the device. Nothing elsewhere."""
    if is_available():
        from tinydl.random import manual_seed as restart

        restart(seed)


manual_seed_all = manual_seed
