"""CUDA kernels: where their source stands, how they are launched, what they may cost.

A family keeps its CUDA C++ in ``cuda/*.cu``, in the order of the ladder, and says in ``launches.py`` how each file is
launched: :class:`CudaKernel`. From that alone a kernel is compiled, executed on the virtual GPU
(:mod:`tinydl.kernels.simt`) over awkward sizes, and mutated (:mod:`tinydl.lab.cuda`). ``cuda/budget.json`` holds the
registers and the shared memory that each may take: more is an error, and so is a spill. ``cuda/mutants.json`` records
what became of its mutants, of which the tests judge a few again.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.nvrtc import ARCHITECTURES
from tinydl.kernels.registry import TOOLS

Array = NDArray[Any]
Arguments = tuple[Any, ...]
#: Headers that kernels of several families include.
SHARED = Path(__file__).parent / "cuda"
#: ``empty(shape, dtype)``: memory that nobody has written; the launcher decides on which device.
Empty = Callable[[tuple[int, ...], Any], Any]


@dataclass(frozen=True)
class Table:
    """An argument that the host makes and its launcher brings to the device: whole numbers (int64), to some of which
    the addresses of arrays are added there. So one launch reaches any number of arrays. A kernel only reads it.

    addresses: pairs of flat places in ``numbers`` and the array whose address belongs there; what stands in a place
    already are the bytes behind that address.
    """

    numbers: NDArray[np.int64]
    addresses: tuple[tuple[NDArray[np.int64], Any], ...] = ()


@dataclass(frozen=True)
class Call:
    """One launch: the kernel's name in its source, up to three sizes of grid and block, its arguments (arrays are
    passed as pointers, and so are tables; None as a null pointer; bytes as a structure), bytes of dynamic shared
    memory.

    writes: which arrays it changes in place, of those that ``empty`` did not make; only an operation whose name ends
    in ``_`` has any. source: the file that the entry stands in, where it is not the kernel's own but one of ``also``.
    resident: its blocks wait for each other, so that all must be on the GPU at once: it is launched cooperatively,
    which a device refuses where they do not fit.
    """

    entry: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: tuple[Any, ...]
    shared: int = 0
    writes: tuple[Any, ...] = ()
    source: Path | None = None
    resident: bool = False


def accepts_all(*arguments: Any) -> bool:
    """Of a kernel that computes everything its operation is asked for."""
    return True


@dataclass(frozen=True)
class CudaKernel:
    """A CUDA kernel of an operation.

    op, name: the operation, and the variant's name; source: its file; dtypes: that it computes in;
    plan: ``plan(empty, *arguments)``, with the arguments that a variant of the operation gets, gives the launches that
    compute it, in order, and the results: arrays that ``empty`` made, and what the host knows already (an optimizer's
    row); ``empty`` also makes what one launch leaves to the next. samples: ``samples(dtype)``, arguments of the card to
    execute it with, small and awkward.
    accepts: ``accepts(*arguments)``, whether it computes these; what it refuses goes to another kernel.
    minimum, needs: the least architecture that it is made for, and the instruction that the ones before have not.
    trial: what the samples are executed with, where ``plan`` needs arrays of millions to reach all of the code: the
    same of few blocks, so that a loop over the grid goes round.
    tolerance, because: per dtype, in place of the card's, and why; for a kernel that computes less exactly than its
    operation asks for, and so is never taken unasked.
    also: other files whose entries its plan launches too (they are mutated with the kernels whose source they are).
    expected: ``expected(*arguments)``, all that it should give where that is more than its operation's results (what a
    forward saves for its backward).
    """

    op: str
    name: str
    source: Path
    dtypes: tuple[str, ...]
    plan: Callable[..., tuple[list[Call], tuple[Any, ...]]]
    samples: Callable[[Any], Iterable[Arguments]]
    accepts: Callable[..., bool] = accepts_all
    minimum: str = ARCHITECTURES[0]
    needs: str = ""
    tolerance: Mapping[str, float] = field(default_factory=dict)
    because: str = ""
    also: tuple[Path, ...] = ()
    expected: Callable[..., tuple[Any, ...]] | None = None
    trial: Callable[..., tuple[list[Call], tuple[Any, ...]]] | None = None

    def __post_init__(self) -> None:
        if (self.minimum != ARCHITECTURES[0]) != bool(self.needs):
            raise ValueError(f"{self.key}: minimum={self.minimum!r} goes with needs=, what older architectures lack")
        if bool(self.tolerance) != bool(self.because):
            raise ValueError(f"{self.key}: a tolerance of its own goes with because=, the reason")

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those that it is compiled for."""
        return tuple(a for a in ARCHITECTURES if int(a) >= int(self.minimum))

    def small(self, dtype: Any) -> Arguments:
        """The smallest of its samples that has a few numbers in every array, and so shows what the kernel does."""
        several = [s for s in self.samples(dtype) if all(a.size > 4 for a in s if isinstance(a, np.ndarray))]
        return min(several, key=lambda s: sum(a.size for a in s if isinstance(a, np.ndarray)))

    @property
    def key(self) -> str:
        """``matmul:cuda.tiled``, as the command line names it."""
        return f"{self.op}:{self.name}"

    def text(self) -> str:
        """The source."""
        return self.source.read_text(encoding="utf-8")

    def whole(self) -> tuple[str, list[tuple[str, int]]]:
        """The source with its headers in place of their ``#include``, and each line's file and number."""
        lines = list(_expanded(self.source, set()))
        return "\n".join(line for line, _, _ in lines), [(file, number) for _, file, number in lines]

    def budget(self) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
        """entry -> architecture -> ``registers`` and ``shared`` that it may take."""
        path = self.source.parent / "budget.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        budget: Mapping[str, Mapping[str, Mapping[str, int]]] = found.get(self.source.name, {})
        return budget


@dataclass(frozen=True)
class GeneratedKernel(CudaKernel):
    """A kernel whose source is written by a program: ``written()`` gives it; no file is at ``source``."""

    written: Callable[[], str] = str

    #: What any generated kernel may take: with 64 registers a multiprocessor still holds 1024 threads.
    LIMITS: ClassVar[Mapping[str, int]] = {"registers": 64, "shared": 8192}

    def text(self) -> str:
        """The source."""
        return self.written()

    def whole(self) -> tuple[str, list[tuple[str, int]]]:
        """The source with its headers in place of their ``#include``, and each line's file and number."""
        lines = list(_expanded(self.source, set(), self.text()))
        return "\n".join(line for line, _, _ in lines), [(file, number) for _, file, number in lines]

    def budget(self) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
        """entry -> architecture -> ``registers`` and ``shared`` that it may take."""
        entries = re.findall(r'^extern "C".*\n(\w+)\(', self.text(), re.MULTILINE)
        return {entry: dict.fromkeys(ARCHITECTURES, self.LIMITS) for entry in entries}


def expanded(source: Path) -> str:
    """A file with its headers in place of their ``#include``."""
    return "\n".join(line for line, _, _ in _expanded(source, set()))


_INCLUDE = re.compile(r'\s*#include "([^"]+)"')


def _expanded(path: Path, seen: set[Path], text: str | None = None) -> Iterator[tuple[str, str, int]]:
    """(line, file, number) of a source (what its file holds, or ``text``) and, once each, of its headers."""
    seen.add(path)
    text = path.read_text(encoding="utf-8") if text is None else text
    for number, line in enumerate(text.split("\n"), 1):
        found = _INCLUDE.match(line)
        header = None if found is None else next((d / found[1] for d in folders(path) if (d / found[1]).exists()), None)
        if header is None:
            yield line, path.name, number
        elif header.resolve() not in seen:
            yield from _expanded(header.resolve(), seen)


def folders(source: Path) -> tuple[Path, ...]:
    """Where a source's headers are looked for: beside it, then among those that families share."""
    return source.parent, SHARED


_kernels: dict[str, CudaKernel] = {}


def declare(kernel: CudaKernel) -> CudaKernel:
    """Make a CUDA kernel known, and return it; ValueError when another has its name."""
    known = _kernels.get(kernel.key)
    if known is not None and known.source != kernel.source:
        raise ValueError(f"there is a CUDA kernel {kernel.key!r} already, in {known.source.name}")
    _kernels[kernel.key] = kernel
    return kernel


@functools.lru_cache(maxsize=1)
def _load() -> None:
    import tinydl.kernels

    for module in pkgutil.iter_modules(tinydl.kernels.__path__):
        if module.ispkg and module.name not in TOOLS:
            name = f"{__package__}.{module.name}.launches"
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name)


def cuda_kernels() -> list[CudaKernel]:
    """All CUDA kernels, family by family in the order of their ladders."""
    _load()
    return list(_kernels.values())


def host_empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """An :data:`Empty` for the virtual GPU: NumPy memory, poisoned."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    made: Array = np.full(size, 0xFF, np.uint8).view(dtype).reshape(shape)
    return made


def memory(array: Any) -> Any:
    """All the memory that a view reaches, of which none of its strides goes backwards, as an array that a launch can be
    given: itself when it is contiguous. Views of it (a transposed one, one with gaps) begin where it begins."""
    if array.flags.c_contiguous or not array.size:
        return array
    reach = 1 + sum((n - 1) * stride // array.itemsize for n, stride in zip(array.shape, array.strides))
    library = sys.modules[type(array).__module__]  # NumPy, or CuPy
    return library.lib.stride_tricks.as_strided(array, (reach,), (array.itemsize,))


def forwards(*arrays: Any) -> bool:
    """Whether no array has a stride that goes backwards."""
    return all(stride >= 0 for array in arrays for stride in array.strides)
