"""PyTorch's module paths for what stands in other modules here: ``from tinydl.nn.modules.module import Module``."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from tinydl.errors import absent


def places(package: str, table: dict[str, str]) -> None:
    """For each ``name: homes`` make a module ``package.name`` that has every name of the modules ``homes`` (dotted
    paths below tinydl, separated by spaces; they are imported when a name is asked for)."""
    for name, homes in table.items():
        module = _Place(f"{package}.{name}", [f"tinydl.{home}" for home in homes.split()])
        sys.modules[module.__name__] = module
        setattr(sys.modules[package], name, module)


class _Place(ModuleType):
    """A module without a file, whose names are those of others."""

    def __init__(self, path: str, homes: list[str]) -> None:
        super().__init__(path, f"PyTorch's place of what stands in {', '.join(homes)}.")
        self._homes = homes

    def __getattr__(self, name: str) -> Any:
        for home in self._homes if not name.startswith("__") else ():
            try:
                return getattr(import_module(home), name)
            except AttributeError:
                pass
        raise absent(self.__name__, name)
