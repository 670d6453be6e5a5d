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

from tinydl.kernels import devices, nvrtc
from tinydl.kernels.gpu import Call, CudaKernel, Table, folders
from tinydl.kernels.nvrtc import ARCHITECTURES

#: What installs CuPy and the libraries that it loads, by the CUDA that they are of (the pins of setup.cfg); the least
#: driver for each.
WHEELS = {"13": 'pip install "cupy-cuda13x[ctk]>=14.2"', "12": 'pip install "cupy-cuda12x[ctk]>=14.2"'}
DRIVERS = {"13": 580, "12": 525}

PIP = " or ".join(f"{WHEELS[cuda]} (driver {DRIVERS[cuda]} or newer)" for cuda in WHEELS)

#: Bytes of shared memory that a block has without asking.
SHARED = 48 * 1024

#: PTX types of parameters, and what numbers are passed as.
_NUMBERS: dict[str, Any] = {
    "u8": np.uint8, "s8": np.int8, "b8": np.uint8, "u16": np.uint16, "s16": np.int16, "b16": np.uint16,
    "u32": np.uint32, "s32": np.int32, "b32": np.uint32, "f32": np.float32, "u64": np.uint64, "s64": np.int64,
    "b64": np.uint64, "f64": np.float64,
}  # fmt: skip


def _three(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return (*sizes, 1, 1)[:3]


def _dotted(capability: str) -> str:
    """7.5, of "75"."""
    return f"{capability[:-1]}.{capability[-1]}"


class NoGpu(RuntimeError):
    """There is no GPU that CuPy can use; the sentence says what to install or change."""


NoRoom = devices.NoRoom


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


def cupy_module() -> Any:
    """CuPy. Raises NoGpu with what to install where it is missing or does not load."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise NoGpu(f"CuPy does not load, as {error.name} is missing: {PIP}") from error
        raise NoGpu(f"CuPy, which launches CUDA kernels, is not installed: {PIP}") from error
    except ImportError as error:  # a wheel of another CUDA, or libraries of the toolkit that are not there
        raise NoGpu(
            f"CuPy is installed and does not load ({_cause(error)}): remove it (pip uninstall) and install one wheel "
            f"with its libraries, {PIP}"
        ) from error
    return cupy


def _cause(error: BaseException) -> str:
    """The line that matters of CuPy's page of advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =-")]
    after = [line for before, line in zip(lines, lines[1:]) if before.startswith("Original error")]
    return (after or lines or [type(error).__name__])[0]


def _version(number: int) -> str:
    """13000 is CUDA 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def explained(cupy: Any, error: BaseException) -> str | None:
    """In a sentence, what an error on the way to a GPU means and what to do; None for an error of another kind."""
    runtime, words = cupy.cuda.runtime, str(error)
    if isinstance(error, (NoGpu, nvrtc.NvrtcMissing)):
        return words
    if isinstance(error, nvrtc.CompileError):
        return f"a CUDA source does not compile: {words}; correct it, or choose another variant with tinydl.kernels.use"
    if words.startswith("CuPy failed to load"):  # a library of the toolkit that is not there
        return f"{words.splitlines()[0]}; install CuPy with its libraries: {PIP}"
    if isinstance(error, cupy.cuda.compiler.CompileException):
        line = next((line for line in words.splitlines() if "error" in line), words)
        return f"CuPy cannot compile a kernel of its own ({line.strip()}): its libraries do not fit, install {PIP}"
    if not isinstance(error, runtime.CUDARuntimeError):
        return None
    if "NoDevice" in words:
        return "there is no GPU: the driver finds none (nvidia-smi lists what it sees; CUDA_VISIBLE_DEVICES hides some)"
    if "InsufficientDriver" in words:
        driver, wanted = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        least = DRIVERS.get(str(wanted // 1000), max(DRIVERS.values()))
        if not driver:
            return f"there is no NVIDIA driver on this machine: install {least} or newer"
        fits = WHEELS.get(str(driver // 1000), WHEELS["12"])
        return (
            f"the NVIDIA driver is too old: it knows CUDA {_version(driver)}, and this CuPy needs {_version(wanted)}; "
            f"install driver {least} or newer, or a CuPy that fits: {fits}"
        )
    if "NoKernelImage" in words or "UnsupportedPtx" in words or "InvalidPtx" in words:
        return f"this CuPy holds no code for the GPU ({words}): install the newest of {PIP}"
    return f"the GPU cannot be used ({words})"


class Gpu:
    """CuPy's current device. Raises NoGpu when there is none, or one that is too old."""

    def __init__(self) -> None:
        cupy = cupy_module()
        runtime = cupy.cuda.runtime
        try:
            if not runtime.getDeviceCount():
                raise NoGpu("there is no GPU: CuPy counts 0 devices")
            self.cupy, self.device = cupy, cupy.cuda.Device()
            self.capability = str(self.device.compute_capability)
            if int(self.capability) < int(ARCHITECTURES[0]):
                raise NoGpu(
                    f"{self.name} has compute capability {_dotted(self.capability)}, and CUDA kernels need "
                    f"{_dotted(ARCHITECTURES[0])} (Turing) or newer"
                )
        except runtime.CUDARuntimeError as error:
            raise NoGpu(explained(cupy, error) or str(error)) from error
        self._modules: dict[str, tuple[str, Any]] = {}
        self._functions: dict[tuple[str, Path | None, str], tuple[Any, tuple[str, ...]]] = {}

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
                raise NoGpu(
                    f"{kernel.key} needs {kernel.needs} (compute capability {_dotted(kernel.minimum)}); "
                    f"{self.name} has {_dotted(self.capability)}"
                )
            text = kernel.text() if source == kernel.source else source.read_text(encoding="utf-8")
            made = nvrtc.compile_cuda(
                text, source.name, architecture=self.capability, include=folders(source), keep=True
            )
            module = self.cupy.cuda.function.Module()
            module.load(made.cubin)
            found = self._modules[key] = made.ptx, module
        return found

    def function(self, kernel: CudaKernel, call: Call) -> tuple[Any, tuple[str, ...]]:
        """What a call launches, and the PTX types of its parameters."""
        key = kernel.key, call.source, call.entry
        found = self._functions.get(key)
        if found is None:
            ptx, module = self.load(kernel, call.source)
            found = module.get_function(call.entry), parameters(ptx, call.entry)
            self._functions[key] = found
        if call.shared > SHARED or call.resident:
            self._find_room(kernel, found[0], call)
        return found

    def run(self, kernel: CudaKernel, calls: Iterable[Call]) -> None:
        """Launch, on the current stream; tables, and numbers that the host holds, are brought over first.

        What is brought over is let go of when all is launched: CuPy's pool hands that memory to later work of the same
        stream, which comes behind.
        """
        for call in calls:
            function, kinds = self.function(kernel, call)
            args = tuple([self._passed(a, kind) for a, kind in zip(call.args, kinds)])
            function(
                _three(call.grid), _three(call.block), args, shared_mem=call.shared,
                enable_cooperative_groups=call.resident,
            )  # fmt: skip

    def _passed(self, argument: Any, kind: str) -> Any:
        if isinstance(argument, self.cupy.ndarray):
            return argument
        if isinstance(argument, Table):
            numbers = argument.numbers.copy()
            for at, array in argument.addresses:
                numbers.reshape(-1)[at] += array.data.ptr
            return self.put(numbers)
        return self.put(argument) if isinstance(argument, np.ndarray) else number(argument, kind)

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
            function, kinds = self.function(kernel, call)
            args = tuple(passed(a, kind) for a, kind in zip(call.args, kinds))
            grid, block = _three(call.grid), _three(call.block)
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


def device() -> devices.Device:
    """The GPU as the registry knows devices. Raises NoGpu when there is none that can be used."""
    gpu = Gpu()
    import cupyx

    def launch(kernel: CudaKernel, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        calls, results = kernel.plan(gpu.cupy.empty, *arguments)
        gpu.run(kernel, calls)
        return results

    return devices.Device(
        "cuda", gpu.cupy, launch, raising=functools.partial(cupyx.errstate, linalg="raise"),
        capability=gpu.capability, explained=functools.partial(explained, gpu.cupy),
    )  # fmt: skip
