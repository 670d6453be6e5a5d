"""Hooks of results that come back into the graph, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", ["eigh", "qr", "svd"])
def test_a_hook_of_one_of_several_results_sees_what_their_rule_adds(name: str, which: int) -> None:
    """A rule may compute with results: in the second derivative they have a gradient from there, too."""
    found = []
    numbers = np.random.default_rng(3).normal(size=(3, 3))
    for library in (tinydl, torch):
        x = library.tensor(numbers @ numbers.T, requires_grad=True)
        parts = getattr(library.linalg, name)(x)
        seen: list[Any] = []
        parts[which].register_hook(lambda g, seen=seen: seen.append(g.detach().numpy().copy()))  # type: ignore[misc]
        (g,) = library.autograd.grad((parts[0] ** 3).sum() + (parts[1] ** 4).sum(), x, create_graph=True)
        (g * g).sum().backward()
        found.append([*seen, x.grad.numpy()])
    ours, theirs = found
    assert len(ours) == len(theirs) == 3
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
