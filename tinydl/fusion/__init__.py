"""Fusion: a function of elementwise operations runs as one generated loop, forward and backward.

:mod:`~tinydl.fusion.tracing` follows the function, :mod:`~tinydl.fusion.formulas` knows the operations,
:mod:`~tinydl.fusion.text` writes the loop, :mod:`~tinydl.fusion.calling` chooses and runs it, and
``kernels/fused.py`` compiles it. ``docs/fusion.md`` shows it.
"""

from __future__ import annotations

from tinydl.fusion.calling import Fused, fuse
from tinydl.fusion.tracing import FusionError

__all__ = ["Fused", "FusionError", "fuse"]
