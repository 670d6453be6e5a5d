"""The averages of a hand-computed case; accuracy; batches by length change nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from tinydl.errors import DataError
from tinydl.training import evaluation
from tinydl.training.evaluation import evaluate, log_likelihoods, mean_nll, score_name
from tinydl.training.recipe import Score


class Table:
    """Its log-likelihood of a frame is minus the number of notes in it, minus one tenth of its position."""

    model_name, density, training = "table", "exact", True

    def __init__(self) -> None:
        self.modes = []
        self.sizes = []

    def train(self, mode):
        self.training = mode

    def eval(self):
        self.train(False)

    def parameters(self):
        return [SimpleNamespace(numel=lambda: 6), SimpleNamespace(numel=lambda: 2)]

    def score(self, batch):
        self.modes.append(self.training)
        self.sizes.append(batch.data.shape[:2])
        log_prob = -batch.data.sum(-1) - 0.1 * np.arange(batch.data.shape[1])
        prediction = np.zeros(batch.data.shape, bool)
        prediction[:, :, 0] = True
        return Score(log_prob, prediction, batch.mask)


ROLLS = [
    np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0]], bool),  # 2.0, 1.1, 1.2: sum 4.3, skipping the first 2.3
    np.array([[0, 0, 0]], bool),  # 0.0
    np.array([[1, 0, 0], [0, 1, 1]], bool),  # 1.0, 2.1: sum 3.1, skipping the first 2.1
]


def test_averages_by_hand():
    result = evaluate(Table(), ROLLS, "valid")
    assert result["frames"] == 6
    assert math.isclose(result["nll_per_frame"], 7.4 / 6)
    assert math.isclose(result["nll_skip_first"], 4.4 / 3)
    assert math.isclose(result["nll_per_sequence"], (4.3 / 3 + 0.0 + 3.1 / 2) / 3)
    # predicted: column 0 of 6 frames; on: 7 notes, 3 of them in column 0: TP 3, FP 3, FN 4
    assert math.isclose(result["accuracy"], 3 / 10)
    assert (result["model"], result["split"], result["kind"], result["params"]) == ("table", "valid", "exact", 8)
    assert math.isclose(mean_nll(Table(), ROLLS), 7.4 / 6)


@pytest.mark.parametrize(
    ("density", "name"), [("exact", "nll"), ("bound", "nll_bound"), ("estimate", "nll_estimate"), ("none", "own")]
)
def test_the_name_of_a_figure_says_what_it_is_of(density, name):
    model = Table()
    model.density, model.score_name = density, "own"
    found = evaluate(model, ROLLS)
    averages = {key for key in found if key.endswith(("_per_frame", "_skip_first", "_per_sequence"))}
    assert averages == {f"{name}_per_frame", f"{name}_skip_first", f"{name}_per_sequence"}
    assert math.isclose(found[f"{name}_per_frame"], 7.4 / 6) and found["kind"] == density
    assert score_name(model) == name
    del model.score_name
    assert score_name(model) == (None if density == "none" else name)


def test_without_a_prediction_there_is_no_accuracy():
    class Silent(Table):
        def score(self, batch):
            return Score(super().score(batch).log_prob, None, batch.mask)

    assert evaluate(Silent(), ROLLS)["accuracy"] is None


def test_accuracy_of_tokens_is_the_share_of_hits():
    class Tokens(Table):
        def score(self, batch):
            return Score(np.zeros(batch.data.shape), np.full(batch.data.shape, 4), batch.mask)

    assert evaluate(Tokens(), [np.array([4, 1]), np.array([4, 4, 2])])["accuracy"] == 3 / 5


def test_order_is_kept_whatever_the_batches(monkeypatch):
    rng = np.random.default_rng(0)
    rolls = [rng.random((int(n), 3)) < 0.5 for n in rng.integers(1, 30, 40)]
    whole = log_likelihoods(Table(), rolls)
    monkeypatch.setattr(evaluation, "FRAMES_AT_ONCE", 50)
    model = Table()
    parts = log_likelihoods(model, rolls)
    assert len(model.sizes) > 10
    assert all(rows * frames <= 50 for rows, frames in model.sizes)
    for one, other, roll in zip(whole, parts, rolls):
        np.testing.assert_array_equal(one, other)
        assert len(one) == len(roll)


def test_the_mode_is_evaluation_and_comes_back():
    model = Table()
    evaluate(model, ROLLS)
    assert model.modes == [False]
    assert model.training is True


def test_single_frames_have_no_second_one():
    assert evaluate(Table(), ROLLS[1:2])["nll_skip_first"] is None


def test_no_pieces():
    with pytest.raises(DataError, match="test split is empty"):
        evaluate(Table(), [])
