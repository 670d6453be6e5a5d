"""Arrays in, arrays out: references, CPU kernels and the registry that chooses between them.

An *operation* (``lstm_forward``) has *variants* (``numpy``, the readable reference; ``cpu.fused``, the fast one).
:func:`lookup` answers with the function to call, :func:`use` overrides the choice, :func:`variants` lists what exists.
Nothing here imports Numba before the first kernel is looked up.
"""

from __future__ import annotations

from tinydl.kernels.card import Card, card, cards, describe
from tinydl.kernels.registry import KernelError, Variant, by_dtype, lookup, register, unregister, use, variants

__all__ = [
    "Card", "KernelError", "Variant", "by_dtype", "card", "cards", "describe", "lookup", "register", "unregister",
    "use", "variants",
]  # fmt: skip
