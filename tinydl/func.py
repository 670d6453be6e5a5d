"""PyTorch's ``torch.func``, of which one function is here: a module called with given parameters."""

from __future__ import annotations

from typing import Any

from tinydl.errors import absent
from tinydl.nn.utils.stateless import call_with as functional_call

__all__ = ["functional_call"]


def __getattr__(name: str) -> Any:
    raise absent(__name__, name)
