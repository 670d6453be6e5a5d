"""The memory of the GPU, as CuPy's pool counts it: freed memory stays in the pool until :func:`empty_cache`."""

from __future__ import annotations

from typing import Any

from tinydl.devices import ELSEWHERE
from tinydl.errors import say_absent

say_absent(__name__)


def _cupy() -> Any:
    """CuPy (or what stands in for it) when the GPU is in use; None before, when no memory of it is."""
    return next((there.kernels.xp for there in ELSEWHERE.values() if there.device.type == "cuda"), None)


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays take; 0 where no GPU is in use."""
    cupy = _cupy()
    return 0 if cupy is None else int(cupy.get_default_memory_pool().used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool holds, free ones among them."""
    cupy = _cupy()
    return 0 if cupy is None else int(cupy.get_default_memory_pool().total_bytes())


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Bytes of the GPU that are free, and all of them. Raises RuntimeError where there is none."""
    from tinydl.elsewhere import of

    free, total = of("cuda").kernels.xp.cuda.runtime.memGetInfo()  # type: ignore[union-attr]
    return free, total


def empty_cache() -> None:
    """Give the memory that the pool holds for later back to the driver."""
    cupy = _cupy()
    if cupy is not None:
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


class _Peak:
    """The most that was allocated and held. CuPy keeps no record of it, but tells hooks of each allocation."""

    def __init__(self, cupy: Any) -> None:
        self.cupy, self.used, self.most, self.reserved = cupy, 0, 0, 0
        peak = self

        class Hook(cupy.cuda.MemoryHook):  # type: ignore[misc]
            name = "tinydl: peak"

            def malloc_postprocess(self, **facts: Any) -> None:
                peak.used += facts["mem_size"]
                peak.most = max(peak.most, peak.used)

            def free_postprocess(self, **facts: Any) -> None:
                peak.used -= facts["mem_size"]

        self.hook = Hook()
        self.hook.__enter__()
        self.reset()

    def reset(self) -> None:
        """From here on."""
        self.used = self.most = memory_allocated()
        self.reserved = memory_reserved()


_peaks: list[_Peak] = []


def _peak() -> _Peak | None:
    cupy = _cupy()
    if cupy is None:
        return None
    if not _peaks or _peaks[0].cupy is not cupy:
        _peaks[:] = [_Peak(cupy)]
    return _peaks[0]


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let :func:`max_memory_allocated` count from here on."""
    peak = _peak()
    if peak is not None:
        peak.reset()


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that arrays took, in this thread, since :func:`reset_peak_memory_stats` (or since the first call
    of this: before, nobody counts)."""
    peak = _peak()
    return 0 if peak is None else max(peak.most, memory_allocated())


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that the pool held at a call of this or of :func:`reset_peak_memory_stats`: it gives memory back
    only by :func:`empty_cache`."""
    peak = _peak()
    if peak is None:
        return 0
    peak.reserved = max(peak.reserved, memory_reserved())
    return peak.reserved
