"""Modules executed a second time, with another array module in NumPy's place.

Code written for NumPy runs on a GPU once ``np`` means CuPy in it, ``np.empty`` and constants at the head of the file
included. So for a device the modules that compute on arrays are not written again, nor do they ask at every call where
an array lives: their files are executed once more, with the device's module imported under NumPy's name. What they
import from each other are twins too; everything else they share with the rest of the program.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any


class Twins:
    """The twins for one device.

    again: whether a module of this name is executed again; instead: by name of a module, what is imported in its place.
    """

    def __init__(self, again: Callable[[str], bool], instead: Mapping[str, Any]) -> None:
        self.again, self.instead = again, instead
        self.modules: dict[str, ModuleType] = {}
        self._lock = threading.RLock()

    def module(self, name: str) -> ModuleType:
        """The twin of a module, executed when it is first asked for."""
        with self._lock:
            if name in self.modules:
                return self.modules[name]
            original = importlib.import_module(name)
            loader = original.__spec__.loader if original.__spec__ else None
            if loader is None or not original.__file__:
                raise ImportError(f"the source of {name} is not at hand, so it cannot run on another device")
            twin = ModuleType(name, original.__doc__)
            twin.__dict__.update(
                __file__=original.__file__, __package__=original.__package__,
                __builtins__={**builtins.__dict__, "__import__": self._import},
            )  # fmt: skip
            self.modules[name] = twin  # before it is executed: modules that import each other meet the same twin
            try:
                loader.exec_module(twin)
            except BaseException:
                del self.modules[name]
                raise
            return twin

    def _import(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:  # fmt: skip
        """``__import__`` as twins have it."""
        if level or not fromlist:
            if name in self.instead:
                return self.instead[name]
            return builtins.__import__(name, globals, locals, fromlist, level)
        module = builtins.__import__(name, globals, locals, fromlist, level)
        if name in self.instead:
            return self.instead[name]
        if self.again(name):
            return self.module(name)
        found = {part: self._part(name, module, part) for part in fromlist}
        changed = {part: value for part, value in found.items() if value is not None}
        return Overlaid(SimpleNamespace(**changed), module) if changed else module

    def _part(self, name: str, module: Any, part: str) -> Any:
        """What ``from name import part`` gives where that is a twin or stands in place of something."""
        full = f"{name}.{part}"
        if full in self.instead:
            return self.instead[full]
        if isinstance(sys.modules.get(full), ModuleType) and self.again(full):
            return self.module(full)
        return None


class Overlaid:
    """Names of one object, and of another what the first has not."""

    def __init__(self, first: Any, second: Any) -> None:
        self._first, self._second = first, second

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._first, name)
        except AttributeError:
            return getattr(self._second, name)
