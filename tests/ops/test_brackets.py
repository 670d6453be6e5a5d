"""The order in which a chain of matrices is multiplied."""

from __future__ import annotations

import itertools

from tinydl.ops.products import _best_brackets


def test_the_example_of_the_textbook() -> None:
    """Cormen et al., "Introduction to Algorithms", 15.2: ((A1 (A2 A3)) ((A4 A5) A6))."""
    cut = _best_brackets([30, 35, 15, 5, 10, 20, 25])
    assert (cut[0, 5], cut[0, 2], cut[3, 5]) == (2, 0, 4)


def test_no_order_is_cheaper() -> None:
    for sizes in itertools.product((1, 2, 5, 9), repeat=5):

        def cost(i: int, j: int, k: int | None = None, sizes: tuple[int, ...] = sizes) -> int:
            if i == j:
                return 0
            cuts = range(i, j) if k is None else (k,)
            return min(cost(i, k) + cost(k + 1, j) + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in cuts)

        assert cost(0, 3, _best_brackets(list(sizes))[0, 3]) == cost(0, 3)
