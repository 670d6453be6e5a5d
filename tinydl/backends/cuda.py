"""Switches of CUDA that change nothing here: they hold what they are given, and begin as in PyTorch."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

from tinydl.errors import say_absent

say_absent(__name__)

matmul = SimpleNamespace(allow_tf32=False)


def is_built() -> bool:
    """Whether CuPy, through which a GPU is reached, is installed."""
    return importlib.util.find_spec("cupy") is not None
