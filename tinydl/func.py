"""PyTorch's ``torch.func``, of which one function is here: a module called with given parameters."""

from __future__ import annotations

from tinydl.errors import say_absent
from tinydl.nn.utils.stateless import call_with as functional_call

say_absent(__name__)

__all__ = ["functional_call"]
