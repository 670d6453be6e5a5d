"""The Markov model draws as its formula says, and noise has the corpus's marginals and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tinydl.measures.baselines import Markov, independent_voices, noise
from tinydl.random import Generator


def rolls(*rows):
    return np.array(rows, np.bool_)


def test_successors_come_as_often_as_witten_and_bell_say():
    # After 1: 2 three times, 3 once, so N = 4 and T = 2: two thirds of the draws stay in order 1.
    piece = np.array([1, 2, 1, 2, 1, 2, 1, 3, 9])
    model = Markov([piece], order=1)
    rng = Generator(0)
    follows = {2: 0, 3: 0, 1: 0, 9: 0}
    for i in range(300):
        made = model.sample(60, rng.fork(str(i)))
        for a, b in zip(made, made[1:]):
            if a == 1:
                follows[int(b)] += 1
    total = sum(follows.values())
    # order 1 with 4/6, else any of the nine symbols: 1 four times, 2 three times, 3 and 9 once
    expected = {2: 4 / 6 * 3 / 4 + 2 / 6 * 3 / 9, 3: 4 / 6 / 4 + 2 / 6 / 9, 1: 2 / 6 * 4 / 9, 9: 2 / 6 / 9}
    for symbol, share in expected.items():
        assert follows[symbol] / total == pytest.approx(share, abs=4 * np.sqrt(share / total)), symbol


def test_order_3_remembers_three_frames_and_order_2_does_not():
    # x a b c, y a b d: what follows "a b" needs the frame before
    one, two = np.array([5, 1, 2, 3] * 60), np.array([6, 1, 2, 4] * 60)
    for order, least in ((3, 0.95), (2, 0.4)):
        made = Markov([one, two], order).sample(4000, Generator(1))
        right = [int(made[i + 3]) == made[i] - 2 for i in range(3997) if made[i] in (5, 6) and made[i + 1] == 1]
        share = sum(right) / len(right)
        assert share > least and (order == 3 or share < 0.6)


def test_a_markov_piece_of_rolls_is_made_of_the_corpus_frames():
    generator = Generator(2)
    corpus = [generator.random((20, 88)) < 0.1 for _ in range(3)]
    made = Markov(corpus).sample(50, Generator(3))
    assert made.shape == (50, 88) and made.dtype == np.bool_
    known = {row.tobytes() for piece in corpus for row in piece}
    assert all(row.tobytes() in known for row in made)
    assert (Markov(corpus).sample(50, Generator(3)) == made).all()
    assert (Markov(corpus).sample(50, Generator(4)) != made).any()


def test_first_frames_are_first_frames():
    model = Markov([np.array([7, 1, 1, 1]), np.array([7, 2, 2, 2])], order=3)
    firsts = [int(model.sample(1, Generator(seed))[0]) for seed in range(200)]
    # N = 2, T = 1 at each of the orders 3, 2, 1; only the fall through all three can give another
    assert firsts.count(7) / 200 > 1 - 1 / 27 - 0.05


def test_a_token_ends_the_piece():
    made = Markov([np.array([1, 3, 3, 2])] * 20, order=1, end=2).sample(500, Generator(0))
    assert made[-1] == 2 and (made[:-1] != 2).all() and len(made) < 500
    drawn = noise([np.array([1, 3, 3, 2])], 500, Generator(0), end=2)
    assert drawn[-1] == 2 and (drawn[:-1] != 2).all()


def test_noise_has_the_marginals_and_no_memory():
    # note 0 in half the frames, in blocks; note 1 together with it; note 2 always
    piece = np.zeros((40, 4), np.bool_)
    piece[:20, :2] = True
    piece[:, 2] = True
    made = noise([piece], 4000, Generator(0))
    np.testing.assert_allclose(made.mean(axis=0), [0.5, 0.5, 1, 0], atol=0.03)
    assert np.corrcoef(made[:, 0], made[:, 1])[0, 1] == pytest.approx(0, abs=0.06)
    assert np.corrcoef(made[1:, 0], made[:-1, 0])[0, 1] == pytest.approx(0, abs=0.06)


def test_nothing_to_learn_from():
    for learn in (
        lambda: Markov([np.zeros((0, 4), np.bool_)]),
        lambda: noise([np.zeros(0, np.int64)], 3, Generator(0)),
    ):
        with pytest.raises(ValueError, match="at least one frame"):
            learn()
    with pytest.raises(ValueError, match="order must be 0 or more"):
        Markov([np.array([1])], order=-1)


def test_independent_voices_are_voices_of_other_pieces():
    pieces = [np.zeros((6, 12), bool) for _ in range(5)]
    for k, piece in enumerate(pieces):  # the notes 11 and k, and between them 5 where k is even
        piece[:5, [k, 11]] = True
        piece[:5, 5] = k % 2 == 0
    seen = set()
    for seed in range(300):
        roll = independent_voices(pieces, 4, Generator(seed), voices=3)
        assert roll.shape == (4, 12) and roll.dtype == np.bool_
        assert (roll == roll[0]).all() and roll[0, 11]  # the highest of every piece
        seen.add(tuple(np.flatnonzero(roll[0])))
    assert (0, 5, 11) in seen and (1, 11) in seen
    assert (2, 3, 11) in seen  # the second voice of piece 3 and the third of piece 2
    assert all(len(notes) <= 3 for notes in seen)


def test_independent_voices_keep_each_voice_and_draw_among_long_pieces():
    rng = np.random.default_rng(0)
    pieces = [rng.random((length, 20)) < 0.3 for length in (9, 3, 12)]
    roll = independent_voices(pieces, 8, Generator(1), voices=1)
    tops = [np.array([np.flatnonzero(frame).max(initial=-1) for frame in piece[:8]]) for piece in pieces]
    found = np.array([np.flatnonzero(frame).max(initial=-1) for frame in roll])
    assert any(np.array_equal(found, top) for top in (tops[0], tops[2]))
    with pytest.raises(ValueError, match="no piece has the 13 frames that are asked for"):
        independent_voices(pieces, 13, Generator(1))
