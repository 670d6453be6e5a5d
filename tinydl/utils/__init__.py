"""Utilities around training: :mod:`tinydl.utils.data`, :mod:`tinydl.utils.checkpoint`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinydl.utils import checkpoint, data

_ROOMS = {"checkpoint", "data"}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"tinydl.utils.{name}")
    raise AttributeError(f"module 'tinydl.utils' has no attribute {name!r}")


__all__ = ["checkpoint", "data"]
