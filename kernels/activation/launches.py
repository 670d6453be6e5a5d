"""The CUDA kernels of the family: what a program writes stands in ``generated.py``, softmax in ``rows.py``."""

from __future__ import annotations

from tinydl.kernels.activation import generated, rows

__all__ = ["generated", "rows"]
