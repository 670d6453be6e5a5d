"""Devices beside the CPU: which arrays live there, and what computes an operation on them.

A :class:`Device` knows an array module (CuPy; in tests a stand-in). What computes an operation on it is, in this order:
a CUDA kernel of this project, the highest rung first, and the operation's reference, executed with that module in
NumPy's place (:mod:`~tinydl.kernels.twins`). Where the reference is a call of a vendor's library, it comes first.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinydl.kernels import registry
from tinydl.kernels.arrays import ArrayModule
from tinydl.kernels.gpu import CudaKernel, accepts_all, cuda_kernels
from tinydl.kernels.nvrtc import ARCHITECTURES
from tinydl.kernels.optim import table
from tinydl.kernels.registry import REFERENCE
from tinydl.kernels.twins import Overlaid, Twins

#: Operations whose reference is a call of a library that hand-written kernels have not been measured to beat.
LIBRARY = frozenset(("matmul", "linear", "linear_backward"))

#: Rungs that are asked before higher ones: each is for the smaller work that it accepts.
FIRST = {"softmax": "cuda.warp", "log_softmax": "cuda.warp", "softmax_cross_entropy": "cuda.warp"}

#: ``launch(kernel, arguments) -> results``: run a plan's launches on the device.
Launch = Callable[[CudaKernel, tuple[Any, ...]], tuple[Any, ...]]


class NoRoom(RuntimeError):
    """A launch that does not fit on the device at hand: a block wants more shared memory than there is, or blocks that
    wait for each other are more than it holds at once."""


class Device:
    """One kind of device.

    name: as tensors call it, ``"cuda"``; xp: its array module; launch: how it runs a CUDA kernel; kernels: which of
    those run unasked (None: all that give what their operation asks for); raising: a context in which linear algebra
    raises for what it cannot factor; capability: its architecture, ``"90"``: kernels made for later ones do not run;
    explained: what an error means that came from the way to the device, in a sentence; None for other
    errors; fuses: fused functions run as generated kernels, and not operation by operation.
    """

    def __init__(
        self, name: str, xp: Any, launch: Launch, kernels: Iterable[CudaKernel] | None = None,
        raising: Callable[[], Any] | None = None, capability: str = ARCHITECTURES[-1],
        explained: Callable[[BaseException], str | None] = lambda error: None, fuses: bool = True,
    ) -> None:  # fmt: skip
        self.name, self.xp, self.launch, self.capability, self.explained = name, xp, launch, capability, explained
        self.array, self.fuses = xp.ndarray, fuses
        self.np = ArrayModule(xp, raising)
        self.unasked = None if kernels is None else {kernel.key for kernel in kernels}
        self.references: dict[str, Any] = {}
        #: Whether a module of this name has a twin here; whoever writes for NumPy above this floor adds to it.
        self.again: list[Callable[[str], bool]] = [lambda name: name.startswith(f"{__package__}.") and
                                                   name.endswith(".spec")]  # fmt: skip
        package, card = sys.modules[__package__], sys.modules[f"{__package__}.card"]
        described = {"describe": lambda card: card}  # an operation has its card already, with samples of NumPy's
        by_dtype = functools.partial(registry.by_dtype, device=name)
        #: What twins import, by name of the module that they ask for.
        self.instead: dict[str, Any] = {
            "numpy": self.np, "numpy.linalg": self.np.linalg,
            package.__name__: Overlaid(SimpleNamespace(by_dtype=by_dtype, lookup=self._lookup, **described), package),
            registry.__name__: Overlaid(SimpleNamespace(register=self._register, lookup=self._lookup), registry),
            card.__name__: Overlaid(SimpleNamespace(**described), card),
            table.__name__: Overlaid(SimpleNamespace(first_irregular=_first_irregular), table),
        }  # fmt: skip
        self.twins = Twins(lambda name: any(found(name) for found in self.again), self.instead)

    def _lookup(self, op: str, device: str = "", dtype: Any = np.float32, args: Any = None) -> Any:
        return registry.lookup(op, self.name, dtype, args)

    def _register(self, *, op: str, name: str, **options: Any) -> Callable[[Any], Any]:
        """In twins of references, in place of the registry's."""

        def decorate(function: Any) -> Any:
            if name == REFERENCE:
                self.references[op] = self._gelu if op == "gelu" else function
            return function

        return decorate

    def _gelu(self, x: Any) -> Any:
        """x / 2 (1 + erf(x / sqrt 2)): the reference computes it number by number, as NumPy has no error function."""
        return x * 0.5 * (1 + self._lookup("erf", dtype=x.dtype)(x * math.sqrt(0.5)))

    def reference(self, op: str) -> Any:
        """The operation's reference on this device's arrays, or None where it has none."""
        if op not in self.references:
            module = registry.module_of_reference(op)
            if module is None:
                return None
            self.twins.module(module)
        return self.references.get(op)  # one that is defined inside a function is not met

    def variants(self, op: str) -> list[registry.Variant]:
        """What computes ``op`` here beside what is registered, in the order in which it is asked."""
        reference = self.reference(op)
        kernels = [k for k in cuda_kernels() if k.op == op and int(k.minimum) <= int(self.capability)]
        kernels.sort(key=lambda kernel: kernel.name == FIRST.get(op))
        found = [self._launched(kernel) for kernel in reversed(kernels)]
        if reference is not None:
            variant = registry.Variant(op, REFERENCE, self.name, (), reference)
            first = op in LIBRARY or not any(map(self.runs_unasked, kernels))
            found = [variant, *found] if first else [*found, variant]
        return found

    def _next(self, kernel: CudaKernel, args: tuple[Any, ...]) -> Any:
        """What computes an operation where this kernel does not fit."""
        found = self.variants(kernel.op)
        names = [v.name for v in found]
        behind = [v for v in found[names.index(kernel.name) + 1 :] if v.computes(np.dtype(kernel.dtypes[0]))]
        return next(v.function for v in behind if v.accepts is None or v.accepts(*args))

    def runs_unasked(self, kernel: CudaKernel) -> bool:
        """Whether a kernel is taken where nobody names it; never one that computes less exactly than is asked for."""
        return not kernel.tolerance and (self.unasked is None or kernel.key in self.unasked)

    def _launched(self, kernel: CudaKernel) -> registry.Variant:
        def run(*args: Any) -> Any:
            try:
                results = self.launch(kernel, args)
            except NoRoom:
                if registry.chosen(kernel.op) == kernel.name:
                    raise
                return self._next(kernel, args)(*args)
            return results if len(results) > 1 else results[0]

        run.__name__ = run.__qualname__ = kernel.name
        run.__doc__ = f"{kernel.source.name}: see its head."
        accepts = None if self.runs_unasked(kernel) and kernel.accepts is accepts_all else _Asked(self, kernel)
        return registry.Variant(kernel.op, kernel.name, self.name, kernel.dtypes, run, accepts)


def _first_irregular(*arguments: Any, **options: Any) -> int:
    """What the CPU's asks of arrays, as far as those of a GPU say it."""
    from tinydl.kernels.optim.launches import first_irregular

    return first_irregular(*arguments, **options)


class _Asked:
    """Whether a kernel computes some arguments, and may: one that never runs unasked runs under ``use`` alone."""

    def __init__(self, device: Device, kernel: CudaKernel) -> None:
        self.device, self.kernel = device, kernel

    def __call__(self, *args: Any) -> bool:
        asked = registry.chosen(self.kernel.op) == self.kernel.name
        return (asked or self.device.runs_unasked(self.kernel)) and self.kernel.accepts(*args)


def connect(device: Device) -> None:
    """Make a device known to the registry, in place of another of its name."""
    registry.elsewhere(device.name, device.array, device.variants)


def disconnect(device: Device) -> None:
    """Forget it."""
    registry.elsewhere(device.name, device.array, None)
