"""Numba-CUDA, behind one door: kernels in Python, compiled to PTX without a GPU.

A family's ``numba_cuda.py`` writes kernels as functions of ``cuda`` and ``real`` that return the kernel's function, so
that nothing is imported before one is needed, and declares them as :class:`NumbaKernel`: the twin of
:class:`tinydl.kernels.gpu.CudaKernel`, with the same plans.

Three packages have had this compiler: ``numba.cuda`` as it comes with Numba (deprecated), ``numba-cuda``, which takes
that name over where it is installed and is in maintenance, and its successor ``numba_cuda_mlir``. :func:`cuda` is the
one place that knows. The first two make PTX with NVVM alone,

    pip install nvidia-nvvm==13.0.88

and without a driver; the third, as of 0.6.0, asks for one even to compile.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Arguments, Call, accepts_all

PIP = "pip install nvidia-nvvm==13.0.88"

#: What is asked for the compiler, in this order.
MODULES = ("numba.cuda", "numba_cuda_mlir.cuda")


class NumbaCudaMissing(RuntimeError):
    """There is no Numba-CUDA, or it finds no compiler."""


# -- the door ----------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def cuda() -> Any:
    """The module with ``jit``, ``shared``, ``threadIdx``; NumbaCudaMissing without one."""
    with _wheel():
        for name in MODULES:
            try:
                return importlib.import_module(name)
            except ImportError:
                continue
    raise NumbaCudaMissing("no Numba with CUDA is installed: pip install numba-cuda[cu13]")


@functools.lru_cache(maxsize=1)
def available() -> bool:
    """Whether kernels can be compiled to PTX here."""
    try:
        compile_ptx(_nothing, (np.zeros(1, np.float32),))
    except Exception:  # a compiler that is missing says so in many ways: OSError, NvvmSupportError, NumbaCudaMissing...
        return False
    return True


def _nothing(x: Any) -> None:
    return


@contextmanager
def _wheel() -> Iterator[None]:
    """While the compiler looks for NVVM, that of the wheel stands where it looks."""
    folder = None if "CUDA_HOME" in os.environ else _toolkit()
    if folder is None:
        yield
        return
    os.environ["CUDA_HOME"] = folder
    try:
        yield
    finally:
        del os.environ["CUDA_HOME"]


@functools.lru_cache(maxsize=1)
def _toolkit() -> str | None:
    """The wheel laid out as a CUDA toolkit, until the process ends: the compiler that comes with Numba knows no other
    way."""
    found = importlib.util.find_spec("nvidia")
    places = [Path(p) / "cu13" for p in ([] if found is None else found.submodule_search_locations or [])]
    root = next((p for p in places if list(p.glob("lib/libnvvm.so*"))), None)
    if root is None:
        return None
    folder = tempfile.mkdtemp(prefix="tinydl-nvvm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    toolkit = Path(folder) / "nvvm"
    toolkit.mkdir()
    (toolkit / "lib64").symlink_to(root / "lib")
    (toolkit / "libdevice").symlink_to(root / "nvvm" / "libdevice")
    return folder


# -- compiling ---------------------------------------------------------------------------------------------------------


def signature(arguments: Iterable[Any]) -> tuple[Any, ...]:
    """Numba's types of some arguments: row-major arrays, whole numbers of 32 bits, tuples of them, real numbers."""
    return tuple(_type(a) for a in arguments)


def _type(value: Any) -> Any:
    types = importlib.import_module("numba").types
    if isinstance(value, tuple):
        return types.UniTuple(types.int32, len(value))
    if isinstance(value, (bool, int, np.integer)):
        return types.int32
    return types.Array(importlib.import_module("numba").from_dtype(value.dtype), value.ndim, "C")


def compile_ptx(function: Callable[..., None], arguments: Iterable[Any], architecture: str = "90") -> tuple[str, str]:
    """The PTX of a kernel for arguments of these types, and its name there."""
    major, minor = int(architecture[:-1]), int(architecture[-1])
    module = cuda()
    with _wheel():
        ptx, _ = module.compile(
            function, signature(arguments), cc=(major, minor), output="ptx", abi="numba", device=False, lineinfo=True
        )
    text: str = ptx.decode() if isinstance(ptx, bytes) else ptx
    name = text.split(".visible .entry ")[1].split("(")[0].strip()
    return text, name


def marshalled(arguments: Iterable[Any]) -> list[Any]:
    """Arguments as Numba passes them: of an array two pointers of its own, numbers, bytes of one, the data, shape,
    strides; of a tuple its numbers."""
    found: list[Any] = []
    for value in arguments:
        if isinstance(value, tuple):
            found += value
        elif isinstance(value, (bool, int, np.integer)):
            found.append(value)
        else:
            array = getattr(value, "array", value)  # of simt.Fresh
            found += [0, 0, array.size, array.itemsize, value, *array.shape, *array.strides]
    return found


# -- kernels -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NumbaKernel:
    """A kernel of an operation in Numba-CUDA.

    op, name, dtypes, plan, samples, accepts: as of a :class:`~tinydl.kernels.gpu.CudaKernel`; a call's ``entry`` names
    one of the functions. functions: by name, ``function(cuda, real)``, which returns the kernel's function, written
    with that module and that type of numbers.
    """

    op: str
    name: str
    dtypes: tuple[str, ...]
    functions: Mapping[str, Callable[[Any, Any], Callable[..., None]]]
    plan: Callable[..., tuple[list[Call], tuple[Any, ...]]]
    samples: Callable[[Any], Iterable[Arguments]]
    accepts: Callable[..., bool] = accepts_all
    tolerance: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    trial: None = None
    expected: None = None

    @property
    def key(self) -> str:
        """``matmul:numba.tiled``."""
        return f"{self.op}:{self.name}"

    def function(self, entry: str, dtype: Any) -> Callable[..., None]:
        """The Python function of an entry, for numbers of this dtype."""
        numba = importlib.import_module("numba")
        return self.functions[entry](cuda(), numba.from_dtype(np.dtype(dtype)))


_kernels: dict[str, NumbaKernel] = {}

#: Families with a ``numba_cuda.py``.
FAMILIES = ("matmul", "conv", "rnn")


def declare(kernel: NumbaKernel) -> NumbaKernel:
    """Make a kernel known, and return it."""
    _kernels[kernel.key] = kernel
    return kernel


def numba_kernels() -> list[NumbaKernel]:
    """All kernels in Numba-CUDA, family by family in the order of their ladders."""
    for family in FAMILIES:
        importlib.import_module(f"{__package__}.{family}.numba_cuda")
    return list(_kernels.values())
