"""Utilities around training: :mod:`tinydl.utils.data`, :mod:`tinydl.utils.checkpoint`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinydl.errors import absent

if TYPE_CHECKING:
    from tinydl.utils import checkpoint, data

_ROOMS = {"checkpoint", "data"}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"tinydl.utils.{name}")
    raise absent(__name__, name)


__all__ = ["checkpoint", "data"]
