"""Where a function has a kink, or chooses, a gradient that is infinite or NaN stays with the element it belongs to.

PyTorch chooses too (``where(mask, grad, 0)``); multiplying by a mask would make ``inf * 0``, NaN, of what should be 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

X = np.array([-2.0, -0.5, 0.0, 0.5, 0.0, 2.0, 1.0, 3.0])
Y = np.array([1.0, -1.0, 0.0, 0.5, 2.0, -2.0, 1.0, -3.0])

CASES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "clamp": lambda L, F, x, y: x.clamp(-1, 1),
    "clamp by tensors": lambda L, F, x, y: L.clamp(x, y, y + 1),
    "maximum": lambda L, F, x, y: L.maximum(x, y),
    "minimum": lambda L, F, x, y: L.minimum(x, y),
    "fmax": lambda L, F, x, y: L.fmax(x, y),
    "fmin": lambda L, F, x, y: L.fmin(x, y),
    "relu": lambda L, F, x, y: x.relu(),
    "relu6": lambda L, F, x, y: F.relu6(x),
    "hardtanh": lambda L, F, x, y: F.hardtanh(x),
    "hardswish": lambda L, F, x, y: F.hardswish(x * 2),
    "hardsigmoid": lambda L, F, x, y: F.hardsigmoid(x * 2),
    "threshold": lambda L, F, x, y: F.threshold(x, 0.5, 2.0),
    "softshrink": lambda L, F, x, y: F.softshrink(x),
    "hardshrink": lambda L, F, x, y: F.hardshrink(x),
    "nan_to_num": lambda L, F, x, y: L.nan_to_num(L.log(x.abs()), 1.0, 2.0, 3.0),
    "max": lambda L, F, x, y: x.max(),
    "max along": lambda L, F, x, y: x.max(0)[0],
    "cummax": lambda L, F, x, y: L.cummax(x, 0)[0],
    "median": lambda L, F, x, y: x.median(),
    "median along": lambda L, F, x, y: x.median(0)[0],
    "a power of 0": lambda L, F, x, y: L.pow(x, y.detach() * 0),
    "xlogy": lambda L, F, x, y: L.xlogy(x, y.abs()),
    "logit within": lambda L, F, x, y: L.logit(x * 0.5, 0.3),
    "where": lambda L, F, x, y: L.where(y.detach() > 0, x, y),
    "masked_fill": lambda L, F, x, y: x.masked_fill(y.detach() > 0, 1.0),
    "hinge": lambda L, F, x, y: F.hinge_embedding_loss(x, L.sign(y.detach()), reduction="none"),
    "margin": lambda L, F, x, y: F.margin_ranking_loss(x, y, L.sign(y.detach()), reduction="none"),
    "huber": lambda L, F, x, y: F.huber_loss(x, y, reduction="none"),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("gradient", [math.inf, math.nan])
@pytest.mark.parametrize("case", CASES)
def test_a_gradient_that_is_no_number_stays_where_it_belongs(case: str, gradient: float) -> None:
    found: list[list[Any]] = []
    for library in (tinydl, torch):
        x, y = (library.tensor(a, requires_grad=True) for a in (X, Y))
        out = CASES[case](library, library.nn.functional, x, y)
        g = library.full(tuple(out.shape), gradient, dtype=library.float64)
        found.append(library.autograd.grad(out, [x, y], g, allow_unused=True))
    for ours, theirs in zip(*found):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
