"""CUDA kernels on a GPU: NVRTC compiles them for the device at hand, CuPy loads and launches them.

A plan's launches (:class:`~tinydl.kernels.gpu.Call`) name arrays of the host or of the device. :meth:`Gpu.prepare`
brings those of the host over once, each as far from a multiple of 16 bytes as it was, and gives an action that only
launches: what is measured.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels import nvrtc
from tinydl.kernels.gpu import Call, CudaKernel, Table, folders

PIP = "pip install cupy-cuda13x (driver 580 or newer) or cupy-cuda12x (driver 525 or newer)"

#: Bytes of shared memory that a block has without asking.
SHARED = 48 * 1024

#: PTX types of parameters, and what numbers are passed as.
_NUMBERS: dict[str, Any] = {
    "u8": np.uint8, "s8": np.int8, "b8": np.uint8, "u16": np.uint16, "s16": np.int16, "b16": np.uint16,
    "u32": np.uint32, "s32": np.int32, "b32": np.uint32, "f32": np.float32, "u64": np.uint64, "s64": np.int64,
    "b64": np.uint64, "f64": np.float64,
}  # fmt: skip


class NoGpu(RuntimeError):
    """There is no GPU that CuPy can use; the sentence says what to install or change."""


class NoRoom(RuntimeError):
    """A launch that does not fit on the device at hand: a block wants more shared memory than there is, or blocks that
    wait for each other are more than it holds at once."""


def parameters(ptx: str, entry: str) -> tuple[str, ...]:
    """The PTX types of a kernel's parameters, in order."""
    head = re.search(rf"\.entry {re.escape(entry)}\s*\((.*?)\)", ptx, re.DOTALL)
    if head is None:
        raise KeyError(entry)
    return tuple(
        re.sub(r"\.(?:ptr|global|const|align \d+)", "", match).split(".")[-1].strip()
        for match in re.findall(r"\.param\s+(.*?)\s+\S+(?:,|\s*$)", head[1])
    )


def number(value: Any, kind: str) -> Any:
    """A number of Python or NumPy as a parameter of that PTX type; its bits are kept, as C would. Bytes are a structure
    and become an array of NumPy, which CuPy passes by value; None is a null pointer."""
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    value = 0 if value is None else value
    to = _NUMBERS[kind]
    if np.dtype(to).kind == "f":
        return to(value)
    bits = 8 * np.dtype(to).itemsize
    if isinstance(value, (float, np.floating)):  # bits of a float pass through integer registers
        return np.array(value, f"f{bits // 8}").view(f"u{bits // 8}")[()].astype(to)
    return np.array(int(value) % 2**bits, f"u{bits // 8}").astype(to)[()]


def place(array: Any) -> int:
    """The address of an array of the host."""
    address: int = array.__array_interface__["data"][0]
    return address


class Gpu:
    """CuPy's current device. Raises NoGpu when there is none."""

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError as error:
            raise NoGpu(f"CUDA kernels are launched through CuPy, which is not installed: {PIP}") from error
        try:
            if not cupy.cuda.runtime.getDeviceCount():
                raise NoGpu("there is no GPU: CuPy counts 0 devices")
            self.device = cupy.cuda.Device()
            self.capability = str(self.device.compute_capability)
        except cupy.cuda.runtime.CUDARuntimeError as error:
            words = str(error)
            if "InsufficientDriver" in words:
                raise NoGpu(f"the GPU's driver is missing or older than this CuPy: {PIP}") from error
            raise NoGpu(f"there is no GPU that CuPy can use ({words.split(':')[0]})") from error
        self.cupy = cupy
        self._modules: dict[str, tuple[str, Any]] = {}

    @property
    def name(self) -> str:
        """As its maker calls it."""
        named: bytes = self.cupy.cuda.runtime.getDeviceProperties(self.device.id)["name"]
        return named.decode()

    def facts(self) -> dict[str, str]:
        """Device, driver, libraries and clocks: what a measurement belongs to."""
        runtime, attributes = self.cupy.cuda.runtime, self.device.attributes
        return {
            "device": self.name, "capability": self.capability, "driver": str(runtime.driverGetVersion()),
            "nvrtc": nvrtc.version(), "cupy": str(self.cupy.__version__),
            "clock_mhz": str(attributes.get("ClockRate", 0) // 1000),
            "memory_clock_mhz": str(attributes.get("MemoryClockRate", 0) // 1000),
        }  # fmt: skip

    # -- memory --------------------------------------------------------------------------------------------------------

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Memory of the device, poisoned."""
        made = self.cupy.empty(shape, dtype)
        if made.nbytes:
            made.data.memset(0xFF, made.nbytes)
        return made

    def put(self, array: Any) -> Any:
        """A copy of an array of the host, as far from a multiple of 16 bytes."""
        array = np.ascontiguousarray(array)
        memory = self.cupy.empty(array.nbytes + 16, np.uint8)
        start = (place(array) - memory.data.ptr) % 16
        copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copy.set(array)
        return copy

    def get(self, array: Any) -> Any:
        """A copy on the host; what is there already comes back as it is."""
        return array.get() if isinstance(array, self.cupy.ndarray) else array

    # -- launching -----------------------------------------------------------------------------------------------------

    def load(self, kernel: CudaKernel, other: Path | None = None) -> tuple[str, Any]:
        """The kernel's PTX, and its machine code loaded; or those of an ``other`` file that it launches. Raises NoGpu
        where the device lacks what it needs."""
        source = kernel.source if other is None else other
        key = kernel.key if source == kernel.source else str(source)
        found = self._modules.get(key)
        if found is None:
            if int(self.capability) < int(kernel.minimum):
                raise NoGpu(f"{kernel.key} needs {kernel.needs} (compute capability {kernel.minimum}); {self.name} has "
                            f"{self.capability}")  # fmt: skip
            text = kernel.text() if source == kernel.source else source.read_text(encoding="utf-8")
            made = nvrtc.compile_cuda(text, source.name, architecture=self.capability, include=folders(source))
            module = self.cupy.cuda.function.Module()
            module.load(made.cubin)
            found = self._modules[key] = made.ptx, module
        return found

    def prepare(self, kernel: CudaKernel, calls: Iterable[Call]) -> tuple[Callable[[], None], Callable[[], None]]:
        """``launch``, which only launches, and ``fetch``, which brings back what was written in place on the host."""
        brought: dict[tuple[int, int], tuple[Any, Any]] = {}

        def passed(argument: Any, kind: str) -> Any:
            if isinstance(argument, Table):
                numbers = argument.numbers.copy()
                for at, array in argument.addresses:
                    numbers.reshape(-1)[at] += passed(array, "u64").data.ptr
                return self.put(numbers)
            if isinstance(argument, np.ndarray):
                return brought.setdefault((place(argument), argument.nbytes), (argument, self.put(argument)))[1]
            return argument if isinstance(argument, self.cupy.ndarray) else number(argument, kind)

        launches, written = [], []
        for call in calls:
            ptx, module = self.load(kernel, call.source)
            function = module.get_function(call.entry)
            self._find_room(kernel, function, call)
            kinds = parameters(ptx, call.entry)
            args = tuple(passed(a, kind) for a, kind in zip(call.args, kinds))
            grid, block = ((*sizes, 1, 1)[:3] for sizes in (call.grid, call.block))
            launches.append(functools.partial(
                function, grid, block, args, shared_mem=call.shared, enable_cooperative_groups=call.resident
            ))  # fmt: skip
            written += [(a, passed(a, "u64")) for a in call.writes if isinstance(a, np.ndarray)]

        def launch() -> None:
            for one in launches:
                one()

        def fetch() -> None:
            for host, device in written:
                host[...] = device.get()

        return launch, fetch

    def _find_room(self, kernel: CudaKernel, function: Any, call: Call) -> None:
        """Ask for the shared memory that a launch wants; NoRoom where it does not fit."""
        driver, most = self.cupy.cuda.driver, int(self.device.attributes["MaxSharedMemoryPerBlockOptin"])
        if call.shared > SHARED:
            static = driver.funcGetAttribute(driver.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function.ptr)
            if call.shared + static > most:
                raise NoRoom(f"{kernel.key} wants {call.shared + static} bytes of shared memory for a block; "
                             f"{self.name} has {most}")  # fmt: skip
            driver.funcSetAttribute(
                function.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, call.shared
            )
        if call.resident:
            threads, blocks = int(np.prod(call.block)), int(np.prod(call.grid))
            each = driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, threads, call.shared)
            room = each * int(self.device.attributes["MultiProcessorCount"])
            if blocks > room:
                raise NoRoom(f"{kernel.key} has {blocks} blocks that wait for each other; {self.name} holds {room} "
                             "at once")  # fmt: skip

    def seconds(self, action: Callable[[], None], repeats: int, cold: bool = False) -> list[float]:
        """How long it takes the device each time, by events; ``cold``: nothing of use is in its second-level cache."""
        events, flush = self.cupy.cuda.Event, None
        if cold:
            flush = self.cupy.empty(2 * self.device.attributes.get("L2CacheSize", 1 << 26), np.uint8)
        found = []
        for _ in range(repeats):
            if flush is not None:
                flush.data.memset_async(0, flush.nbytes)
            begin, end = events(), events()
            begin.record()
            action()
            end.record()
            end.synchronize()
            found.append(self.cupy.cuda.get_elapsed_time(begin, end) / 1e3)
        return found

    def copy_bandwidth(self) -> float:
        """Bytes read and written a second by the best of several copies of a gigabyte: the roof of memory."""
        source = self.cupy.zeros(1 << 28, np.float32)
        target = self.cupy.empty_like(source)
        best = min(self.seconds(lambda: target.data.copy_from_device_async(source.data, source.nbytes), 10))
        return float(2 * source.nbytes / best)
