"""The distance of sets: its values, that numbers of pieces do not matter, and that its interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from tinydl.errors import DataError
from tinydl.measures import Reference
from tinydl.measures.compare import needs, pairwise
from tinydl.random import Generator


def draw(seed, n, mean=0.0):
    return Generator(seed).normal((n, 1), np.float64) + mean


def test_distances_of_two_pieces_by_hand():
    p, q = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.5, 0.5]])
    half = np.array([[0.5, 0.5, 0.0]])
    assert pairwise("js", p, q)[0, 0] == pytest.approx(1)  # nothing in common: 1 bit
    # S(3/4, 1/4) - S(1/2, 1/2) / 2 = 0.8113 - 0.5 bits
    assert pairwise("js", p, half)[0, 0] == pytest.approx(np.sqrt(0.311278), rel=1e-5)
    assert pairwise("w1", p, q)[0, 0] == pytest.approx(1.5)
    assert pairwise("w1", p, half)[0, 0] == pytest.approx(0.5)
    assert pairwise("l1", p, q)[0, 0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("kind", ["js", "w1", "l1"])
def test_a_piece_is_no_distance_from_itself_and_the_order_does_not_matter(kind):
    p = Generator(0).random((20, 7), np.float64)
    p /= p.sum(axis=1, keepdims=True)
    d = pairwise(kind, p, p)
    np.testing.assert_allclose(np.diagonal(d), 0, atol=1e-7)
    np.testing.assert_allclose(d, d.T)
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-9).all()  # the triangle: it is a metric


def test_large_sets_are_computed_in_parts(monkeypatch):
    p = Generator(0).random((20, 7), np.float64)
    p /= p.sum(axis=1, keepdims=True)
    whole = {kind: pairwise(kind, p, p[:9]) for kind in ("js", "w1", "l1")}
    monkeypatch.setattr("tinydl.measures.compare._AT_ONCE", 200)
    for kind, expected in whole.items():
        np.testing.assert_array_equal(pairwise(kind, p, p[:9]), expected)


def test_h_by_hand():
    # corpus 0 and 2, set 5 and 6: between 4.5, within 1 and 2
    found = Reference("l1", np.array([[0.0], [2.0]])).distance(np.array([[5.0], [6.0]]))
    assert found.value == pytest.approx((2 * 4.5 - 1 - 2) / (2 * 4.5))


def test_equal_sets_have_distance_0_and_points_apart_1():
    p = Generator(1).random((30, 5), np.float64)
    p /= p.sum(axis=1, keepdims=True)
    assert Reference("js", p).distance(p).value == 0
    same = np.tile([[1.0, 0.0]], (6, 1))
    assert Reference("js", same).distance(same[:, ::-1]).value == pytest.approx(1)
    found = Reference("js", same).distance(same)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_the_number_of_pieces_favours_no_set():
    reference = Reference("l1", draw(0, 400))
    large = reference.distance(draw(1, 4000, 1.0), resamples=0).value
    for n in (6, 60):
        mean = np.mean([reference.distance(draw(100 + i, n, 1.0), resamples=0).value for i in range(150)])
        assert mean == pytest.approx(large, abs=0.03), n
    # With the pairs of a piece with itself the six would be off by E d(X, X') / 6 of 2 E d(X, Y): by 0.07.
    assert 0.15 < large < 0.5


@pytest.mark.parametrize("mean", [0.3, 1.0])
def test_the_interval_holds_the_truth(mean):
    reference = Reference("l1", draw(0, 400))
    truth = reference.distance(draw(1, 4000, mean), resamples=0).value
    held = 0
    for i in range(200):
        found = reference.distance(draw(1000 + i, 60, mean), Generator(i), 300)
        held += found.low <= truth <= found.high
        assert found.low <= found.value <= found.high
    assert 0.88 * 200 <= held <= 0.995 * 200, held


def test_the_interval_of_the_corpus_own_kind_reaches_0():
    reference = Reference("l1", draw(0, 400))
    lows = [reference.distance(draw(1000 + i, 60), Generator(i), 300).low for i in range(100)]
    assert sum(low == 0 for low in lows) >= 90


def test_the_same_seed_gives_the_same_interval():
    reference, vectors = Reference("l1", draw(0, 30)), draw(1, 12, 0.5)
    one, again, other = (reference.distance(vectors, Generator(seed), 100) for seed in (3, 3, 4))
    assert one == again and one != other and one.value == other.value


def test_too_few_pieces_are_counted_in_the_sentence():
    with pytest.raises(
        DataError, match=r"^the corpus holds 1 piece, and the measures need at least 2: add more music$"
    ):
        Reference("l1", draw(0, 1))
    with pytest.raises(DataError, match="the set holds 1 piece, and the measures need at least 2"):
        Reference("l1", draw(0, 5)).distance(draw(1, 1))
    with pytest.raises(DataError, match="the test split holds 4 pieces, and the measures need at least 5"):
        needs("the test split", 4, 5)
