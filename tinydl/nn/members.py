"""A module's parameters, buffers or children as PyTorch's dictionaries ``_parameters``, ``_buffers``, ``_modules``."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any


class Members(MutableMapping[str, Any]):
    """A live view: what is written into it is the module's, without the checks of an assignment.

    The values live in the module's ``__dict__``; ``names`` is its table of them, in order.
    """

    def __init__(self, fields: dict[str, Any], names: dict[str, Any]) -> None:
        self._fields, self._names = fields, names

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._fields[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._names.setdefault(name, True)  # a new buffer is part of the state_dict
        self._fields[name] = value

    def __delitem__(self, name: str) -> None:
        del self._names[name]
        del self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))
