"""Pieces in other keys: intervals stay, rests and holds stay, nothing leaves the range, every key in reach comes."""

from __future__ import annotations

import numpy as np
import pytest

from tinydl.data.transposing import transpose_each
from tinydl.random import Generator


@pytest.mark.parametrize("shape", [(400, 30), (400, 30, 4)])
def test_each_piece_is_moved_as_a_whole_and_within_the_range(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(10, 15, shape)
    data[rng.random(shape) < 0.3] = 1
    moved = transpose_each(data, 8, 20, 6, Generator(0))
    pitched = data >= 8
    np.testing.assert_array_equal(moved[~pitched], data[~pitched])
    assert moved[pitched].min() >= 8 and moved.max() <= 20
    by = [set((m - d)[p].tolist()) for m, d, p in zip(moved, data, pitched)]
    assert all(len(found) == 1 for found in by)
    assert set().union(*by) == set(range(-2, 7))  # down to 8 from 10, and up by 6 at most
    assert min(np.bincount([min(found) + 2 for found in by])) > 400 / 9 / 2  # each about as often


def test_nothing_to_move() -> None:
    silent = np.zeros((2, 5), np.int64)
    np.testing.assert_array_equal(transpose_each(silent, 2, 9, 3, Generator(0)), silent)
    data = np.array([[2, 9, 0]])
    np.testing.assert_array_equal(transpose_each(data, 2, 9, 3, Generator(0)), data)
    assert transpose_each(data, 2, 9, 0, Generator(0)) is data
