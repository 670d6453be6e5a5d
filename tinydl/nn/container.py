"""Modules that hold modules or parameters: ``Sequential`` (a chain), and lists and dictionaries (no forward of their
own)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar, overload

from tinydl.nn.module import Module, _indent, _tree
from tinydl.nn.parameter import Parameter
from tinydl.tensor import Tensor

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

    def _join(self: ListT, *parts: Iterable[Module]) -> ListT:
        """A new one of this kind with the modules of several."""
        joined = type(self).__new__(type(self))
        Module.__init__(joined)
        for part in parts:
            joined.extend(part)
        return joined

    def __add__(self: ListT, other: Iterable[Module]) -> ListT:
        return self._join(self, other)

    def __iadd__(self: ListT, other: Iterable[Module]) -> ListT:
        return self.extend(other)

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

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: Sequential and {type(times).__name__}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for Sequential")
        return self._join(*[self] * times)

    __rmul__ = __mul__


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


class ParameterList(Module):
    """A list of parameters (and of anything else) that the module holding it knows of; it has no forward.

    Tensors that are no Parameters become Parameters; what is no tensor is kept as it is.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self._size = 0
        self.extend(values)

    def _key(self, index: int) -> str:
        if not -self._size <= index < self._size:
            raise IndexError(f"index {index} is out of range for ParameterList of length {self._size}")
        return str(index % self._size)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self.__dict__[str(i)] for i in range(self._size)])

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return self.__dict__[self._key(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._key(index), _as_parameter(value))

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end."""
        if isinstance(values, Tensor):
            raise TypeError("ParameterList.extend should be called with an iterable, but got a Tensor")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def extra_repr(self) -> str:
        return _listed((str(i), value) for i, value in enumerate(self))


class ParameterDict(Module):
    """A dictionary of parameters (and of anything else) that the module holding it knows of; it has no forward.

    Tensors that are no Parameters become Parameters; what is no tensor is kept as it is. In order of insertion, a plain
    dict's entries in order of their names (PyTorch's).
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._keys and hasattr(self, key):
            raise KeyError(f"attribute '{key}' already exists")
        self._keys[key] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._keys))

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._keys.keys()

    def values(self) -> list[Any]:
        """The parameters."""
        return [self.__dict__[key] for key in self._keys]

    def items(self) -> list[tuple[str, Any]]:
        """Names and parameters."""
        return [(key, self.__dict__[key]) for key in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of this name, or ``default``."""
        return self[key] if key in self else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The parameter of this name, which is ``default`` where there was none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Take the parameter of this name out and return it."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Take every parameter out."""
        for key in list(self._keys):
            del self[key]

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add the parameters of another dictionary, or of (name, parameter) pairs; a plain dict's by name."""
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict):
            parameters = sorted(parameters.items(), key=lambda pair: pair[0])
        pairs = parameters.items() if isinstance(parameters, (OrderedDict, ParameterDict)) else parameters
        for key, value in list(pairs):
            self[key] = value

    def extra_repr(self) -> str:
        return _listed(self.items())


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _listed(members: Iterable[tuple[str, Any]]) -> str:
    """One line for each member that is no module: dtype and sizes of a parameter, the type of anything else."""
    lines = []
    for name, value in members:
        if isinstance(value, Tensor):
            sizes = "x".join(map(str, value.shape))
            lines.append(f"  ({name}): Parameter containing: [tinydl.{value.dtype} of size {sizes}]")
        elif not isinstance(value, Module):
            lines.append(f"  ({name}): Object of type: {type(value).__name__}")
    return "\n".join(lines)
