"""Modules that hold modules: ``Sequential`` (a chain), ``ModuleList`` and ``ModuleDict`` (no forward of their own)."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar, overload

from tinydl.nn.module import Module, _indent, _tree

ListT = TypeVar("ListT", bound="_Numbered")


class _Numbered(Module):
    """Children named ``"0"``, ``"1"``, …: what Sequential and ModuleList share."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def _children(self) -> list[Module]:
        fields = self.__dict__
        return [fields[name] for name in self._module_names]

    def _rebuild(self, modules: list[Module]) -> None:
        """Number the children anew after one was put in or taken out."""
        for name in list(self._module_names):
            delattr(self, name)
        for number, module in enumerate(modules):
            self.add_module(str(number), module)

    def _index(self, index: int) -> int:
        size = len(self._module_names)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for {type(self).__name__} of length {size}")
        return index % size

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._children())

    def __contains__(self, module: object) -> bool:
        return any(child is module for child in self._children())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self: ListT, index: slice) -> ListT: ...
    def __getitem__(self: ListT, index: int | slice) -> Module | ListT:
        if isinstance(index, slice):
            part = type(self).__new__(type(self))
            Module.__init__(part)
            for name in list(self._module_names)[index]:
                part.add_module(name if isinstance(self, Sequential) else str(len(part)), self.__dict__[name])
            return part
        return self._children()[self._index(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._module_names)[self._index(index)], module)

    def __delitem__(self, index: int | slice) -> None:
        modules = self._children()
        del modules[index if isinstance(index, slice) else self._index(index)]
        self._rebuild(modules)

    def append(self: ListT, module: Module) -> ListT:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: ListT, modules: Iterable[Module]) -> ListT:
        """Add modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module in before ``index``; those behind it move up."""
        modules = self._children()
        modules.insert(index, module)
        self._rebuild(modules)

    def pop(self, index: int = -1) -> Module:
        """Take a module out and return it."""
        modules = self._children()
        module = modules.pop(self._index(index))
        self._rebuild(modules)
        return module


class Sequential(_Numbered):
    """A chain: the output of each module is the input of the next.

    ``Sequential(first, second, …)`` numbers its children; ``Sequential({"name": module, …})`` names them.
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def forward(self, input: Any) -> Any:
        """``modules[-1](… modules[0](input))``."""
        fields = self.__dict__
        for name in self._module_names:
            input = fields[name](input)
        return input


class ModuleList(_Numbered):
    """A list of modules that the module holding it knows of; it has no forward.

    Equal neighbours are printed once: ``(0-3): 4 x Linear(...)``.
    """

    def __repr__(self) -> str:
        groups: list[tuple[int, int, str]] = []
        for number, child in enumerate(self._children()):
            text = repr(child)
            if groups and groups[-1][2] == text:
                groups[-1] = (groups[-1][0], number, text)
            else:
                groups.append((number, number, text))
        children = [
            f"({first}): {_indent(text)}"
            if first == last
            else f"({first}-{last}): {last - first + 1} x {_indent(text)}"
            for first, last, text in groups
        ]
        return _tree(type(self).__name__, [], children)


class ModuleDict(Module):
    """A dictionary of modules that the module holding it knows of, in order of insertion; it has no forward."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def _dict(self) -> dict[str, Module]:
        return {name: self.__dict__[name] for name in self._module_names}

    def __getitem__(self, key: str) -> Module:
        if key not in self._module_names:
            raise KeyError(key)
        module: Module = self.__dict__[key]
        return module

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._module_names:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._module_names)

    def __contains__(self, key: object) -> bool:
        return key in self._module_names

    def clear(self) -> None:
        """Take every module out."""
        for key in list(self._module_names):
            delattr(self, key)

    def pop(self, key: str) -> Module:
        """Take the module of this name out and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._dict().keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self._dict().values()

    def items(self) -> ItemsView[str, Module]:
        """Names and modules."""
        return self._dict().items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add the modules of another dictionary, or of (name, module) pairs."""
        for key, module in dict(modules).items():
            self[key] = module
