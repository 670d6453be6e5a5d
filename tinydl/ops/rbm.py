"""Gibbs sampling of a restricted Boltzmann machine; the equations and the papers stand on the card,
:mod:`tinydl.kernels.rbm.spec`."""

from __future__ import annotations

from typing import Any

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype

_GIBBS = by_dtype("gibbs")


@primitive(differentiable=False, outputs=("v", "mean", "h"))
def gibbs(v: Any, weight: Any, b: Any, c: Any, *, key: int, counter: int, steps: int) -> Any:
    """Binary units after ``steps`` steps: v [N, D] and h [N, H], and the probabilities of v; weight [H, D], b [N, D],
    c [N, H]. ``key`` and ``counter``: of the random numbers, of which ``blocks(N, D, H, steps)`` are used up."""
    return _GIBBS[v.dtype](v, weight, b, c, key, counter, steps)
