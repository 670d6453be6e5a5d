"""The CUDA kernels of the family: those that are written by a program stand in ``generated.py``."""

from __future__ import annotations

from tinydl.kernels.activation import generated

__all__ = ["generated"]
