"""Predictors of four voices, against answers that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.voices import lessons
from tinydl.data.representations import Chorale
from tinydl.measures.voices import Nearest, VoiceMarkov, majority, voice_report
from tinydl.training import Score


def test_majority_is_the_most_frequent_value_of_each_voice():
    train = [np.array([[60, 50, 40, 30]] * 3 + [[61, 51, 41, -1]] * 2), np.array([[61, 50, 41, -1]] * 2)]
    (found,) = majority(train, [np.zeros((2, 4), np.int64)])
    assert found.tolist() == [[61, 50, 41, -1]] * 2


def test_the_chain_knows_what_follows_and_backs_off():
    line = np.array([60, 62, 64, 65] * 6)
    piece = np.repeat(line[:, None], 4, 1)
    chain = VoiceMarkov([piece], Chorale(strikes=False))
    np.testing.assert_array_equal(chain.predict(piece)[4:], piece[4:])
    other = piece.copy()
    other[8:11, 1] = 80  # never seen: the place in the beat is what is left
    found = chain.predict(other)
    np.testing.assert_array_equal(found[9:12, 1], line[9:12])
    np.testing.assert_array_equal(found[:, 0], chain.predict(piece)[:, 0])


def test_the_nearest_window_is_found_in_any_key_and_at_any_beat():
    train = lessons(5, length=48)
    nearest = Nearest(train, 4, window=16, transpose=3)
    asked = train[2][8:24] + 2
    (found,) = nearest.predict(asked, [1])
    np.testing.assert_array_equal(found, asked)
    with_rest = asked.copy()
    with_rest[3, 0] = -1
    (found,) = nearest.predict(with_rest, [1])
    np.testing.assert_array_equal(found[:, 1:], asked[:, 1:])


def test_neighbours_vote_and_the_nearest_breaks_ties():
    soprano = np.full(4, 60)
    windows = [np.column_stack([soprano, np.full(4, a), soprano - 9, soprano - 20]) for a in (50, 51, 51)]
    nearest = Nearest(windows, 4, window=4, transpose=0)
    asked = windows[0]
    one, two, three = nearest.predict(asked, [1, 2, 3])
    assert (one[:, 1] == 50).all() and (two[:, 1] == 50).all() and (three[:, 1] == 51).all()


class Oracle:
    """A model that is told the truth and gives it back; of the soprano, given."""

    model_name, training = "oracle", False

    def eval(self):
        pass

    def train(self, mode):
        pass

    def score(self, batch):
        given = np.zeros(batch.data.shape, np.bool_)
        given[..., 0] = True
        return Score(np.zeros(batch.data.shape[:2]), batch.data, batch.mask, given)


def test_the_report_counts_steps_and_onsets():
    train, test = lessons(6), lessons(3, seed=9)
    rows = voice_report(Oracle(), Chorale(strikes=False), train, test, neighbours=(1,))
    share = {(row["predictor"], row["voice"]): row for row in rows}
    assert {voice for _, voice in share} == {"alto", "tenor", "bass"}
    assert share["oracle", "alto"]["accuracy"] == share["oracle", "bass"]["onsets"] == 1
    assert share["shuffled", "alto"]["accuracy"] < 0.9
    usual = np.bincount(np.concatenate(train)[:, 1]).argmax()
    truth = np.concatenate(test)[:, 1]
    assert share["majority", "alto"]["accuracy"] == pytest.approx((truth == usual).mean())
    begins = np.concatenate([Chorale(strikes=False).onsets(piece)[:, 1] for piece in test])
    assert share["majority", "alto"]["onsets"] == pytest.approx((truth[begins] == usual).mean())


def test_a_single_piece_has_its_control_and_a_model_that_is_told_nothing_has_none():
    train, test = lessons(6), lessons(1, seed=9)

    def predictors(model, pieces):
        rows = voice_report(model, Chorale(strikes=False), train, pieces, neighbours=(1,))
        return {row["predictor"]: row["accuracy"] for row in rows if row["voice"] == "alto"}

    found = predictors(Oracle(), test)
    assert found["oracle"] == 1 and found["shuffled"] < 0.5
    assert "shuffled" not in predictors(Oracle(), [np.repeat(test[0][:1], 8, 0)])  # there is no other piece to tell of

    class OfItsPast(Oracle):
        conditions = ("notes", "temperature")

        def score(self, batch):
            return Score(np.zeros(batch.data.shape[:2]), batch.data, batch.mask)

    class OfAllOthers(OfItsPast):
        conditions = ("melody", "notes")

    assert "shuffled" not in predictors(OfItsPast(), lessons(3, seed=9))
    assert "shuffled" in predictors(OfAllOthers(), lessons(3, seed=9))
