"""Tensors on a device beside the CPU: how an operation finds what computes it there.

While every tensor is on the CPU nothing of this runs, and no operation asks where its arrays are. When a device is
first used, its array type is made known here, and the array functions of all primitives (forward, rules, joint rules)
are exchanged for ones that look at their arguments. What they find for the device is the same function of the same
file, executed with the device's array module in NumPy's place (:mod:`tinydl.kernels.twins`): an operation is written
once.
"""

from __future__ import annotations

import functools
import sys
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinydl.autograd import primitives
from tinydl.devices import ELSEWHERE, device
from tinydl.errors import DeviceError
from tinydl.fusion import calling
from tinydl.kernels import devices as kernel_devices

_OPS = "tinydl.ops."
#: Arguments that say where: they come along from the host, as an index does in PyTorch.
_PLACES = frozenset(("index", "mask", "kept"))
_lock = threading.RLock()


class Elsewhere:
    """What tensors know of one device: its arrays, and what computes the operations on them."""

    def __init__(self, kernels: kernel_devices.Device) -> None:
        self.kernels, self.np, self.array = kernels, kernels.np, kernels.array
        self.device = device(kernels.name, 0)
        self.found: dict[str, dict[str, Any]] = {}  # operation -> which function of it -> that function here
        self.constants: dict[int, tuple[Any, Any]] = {}  # identity of a read-only host array -> it, and it here
        self.looked: set[str] = set()  # modules whose twins were executed
        kernels.again.append(lambda name: name.startswith(_OPS))
        kernels.instead[primitives.__name__] = SimpleNamespace(
            primitive=self._primitive, misfit=primitives.misfit, converting=lambda function, convert: function
        )

    def _primitive(self, function: Any = None, *, name: str | None = None, **options: Any) -> Any:
        """``primitive`` as twins have it: what they define is this device's form of an operation that is there."""
        if function is None:
            return functools.partial(self._primitive, name=name, **options)
        name = name or function.__name__
        op = primitives.registry()[name]
        joint, few = options.get("joint"), options.get("few")
        self.found[name] = {"forward": function, "joint": joint, "few": few}
        for arg in op.args:
            if arg in op.rules and arg in options:
                self.found[name][arg] = options[arg]
        return op.call

    def function(self, op: Any, which: str) -> Any:
        """The form of an operation's function on this device; None where it has none of its own."""
        known = primitives.registry().get(op.name)
        if known is None or known.function is not op.function:  # a fused function, of whatever name
            return None
        if op.name not in self.found:
            for module in [m for m in sys.modules if m.startswith(_OPS) and m not in self.looked]:
                self.looked.add(module)
                self.kernels.twins.module(module)
            self.found.setdefault(op.name, {})
        return self.found[op.name].get(which)

    def run(self, op: Any, which: str, here: Any, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """Call the form on this device of ``here``, a function of ``op``."""
        if which == "few":  # saves calls where numbers are few, by looking at them
            return None
        there = self.function(op, which) or here
        if which == "forward":
            args = self._together(op, args)
            if static:
                static = {key: self._settled(value) for key, value in static.items()}
        else:  # what was saved of the settings is as it was given
            args = tuple([self._settled(x) for x in args])
        try:
            return there(*args, **static)
        except MemoryError as lack:
            words = f"{op.name}: there is no memory left on {self.device} ({lack}); make it smaller"
            raise MemoryError(words) from None
        except Exception as error:
            said = self.kernels.explained(error)
            if said is None:
                raise
            raise DeviceError(f"{op.name}: {said}") from error

    def _together(self, op: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Arguments that are all here. Arrays without dimensions come along, as in PyTorch; and places in memory that
        are computed from shapes alone, which are read-only."""
        if not any(isinstance(x, np.ndarray) for x in args):
            return args
        moved = []
        for k, x in enumerate(args):
            if isinstance(x, np.ndarray):
                name = op.args[k] if k < len(op.args) else str(k)
                if x.ndim and (x.flags.writeable or x.dtype.kind == "f") and name not in _PLACES:
                    refuse_two(op.name, name, self.device)
                x = self._settled(x)
            moved.append(x)
        return tuple(moved)

    def _settled(self, value: Any) -> Any:
        """A setting, or what was saved: arrays of the host are brought here, those that never change once."""
        if isinstance(value, np.ndarray):
            if _may_change(value):
                return self.np.asarray(value)
            known = self.constants.get(id(value))
            if known is None or known[0] is not value:
                if len(self.constants) >= 1024:
                    self.constants.clear()
                known = self.constants[id(value)] = (value, self.np.asarray(value))
            return known[1]
        if type(value) is tuple:
            found = tuple([self._settled(v) for v in value])
            return value if all(a is b for a, b in zip(found, value)) else found
        return value


def _may_change(array: Any) -> bool:
    """Whether an array, or what it is a view of, may be written."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return True
        array = array.base
    return False


def refuse_two(name: str, argument: str, there: Any) -> None:
    """Raise in PyTorch's words for operands on two devices."""
    raise DeviceError(
        f"{name}: Expected all tensors to be on the same device, but found at least two devices, {there} and cpu! "
        f"(when checking argument {argument!r}); move one with .to()"
    )


def connect(kernels: kernel_devices.Device) -> Elsewhere:
    """Let tensors live on a device."""
    there = Elsewhere(kernels)
    with _lock:
        kernel_devices.connect(kernels)
        ELSEWHERE[kernels.array] = there
        primitives.divert(ELSEWHERE)
        calling.look_where(ELSEWHERE)
    return there


def disconnect(there: Elsewhere) -> None:
    """Forget a device; its tensors are of no use any more."""
    with _lock:
        ELSEWHERE.pop(there.array, None)
        kernel_devices.disconnect(there.kernels)
        if not ELSEWHERE:
            primitives.divert(None)
            calling.look_where(None)


def of(wanted: Any) -> Elsewhere | None:
    """What is connected as the device ``wanted``; None for the CPU.

    Raises RuntimeError, in one sentence that says what to do, for a device that is not there.
    """
    want = device(wanted)
    if want.type == "cpu":
        return None
    with _lock:
        return _found(want)


def _found(want: device) -> Elsewhere:
    for there in ELSEWHERE.values():
        if there.device.type == want.type:
            if want.index not in (None, there.device.index):
                raise DeviceError(f"there is no device '{want}': one GPU is used, '{there.device}'")
            return there  # type: ignore[no-any-return]
    if want.type == "cuda":
        from tinydl.kernels import launcher

        try:
            connect(launcher.device())
        except launcher.NoGpu as lack:
            raise DeviceError(f"no CUDA backend is available for device '{want}': {lack}; or stay on 'cpu'") from None
        return _found(want)
    raise DeviceError(f"no {want.type.upper()} backend is available for device '{want}'; stay on 'cpu'")


def moved(array: Any, wanted: Any) -> Any:
    """An array on another device, or itself."""
    there = of(wanted)
    now = ELSEWHERE.get(type(array))
    if now is there:
        return array
    host = array if now is None else array.get()
    return host if there is None else there.np.asarray(host)
