"""What a control is told is never what it should be told."""

from __future__ import annotations

import numpy as np

from tinydl.measures.controls import others


def test_others_are_the_neighbours_at_their_length():
    a, b = np.arange(3), np.arange(10, 15)
    first, second = others([a, b])
    np.testing.assert_array_equal(first, [10, 11, 12])
    np.testing.assert_array_equal(second, [0, 1, 2, 0, 1])


def test_one_piece_is_turned_so_that_the_most_differs():
    tune = np.array([1, 2, 3, 4, 1, 2, 3, 5])  # half a turn would leave nearly all as it is
    (other,) = others([tune])
    assert sorted(other) == sorted(tune) and (other != tune).all()
    chorale = np.array([[60, 50], [60, 50], [62, 50], [62, 50]])
    (other,) = others([chorale])
    np.testing.assert_array_equal(other, np.roll(chorale, 2, axis=0))


def test_doubles_are_turned_and_a_piece_of_one_note_has_no_other():
    a = np.array([1, 2, 1, 2])
    first, second, third = others([a, a.copy(), np.zeros(4, np.int64)])
    np.testing.assert_array_equal(first, [0, 0, 0, 0])
    np.testing.assert_array_equal(second, [2, 1, 2, 1])
    np.testing.assert_array_equal(third, a)
    assert others([np.zeros(4, np.int64)]) == [None]
