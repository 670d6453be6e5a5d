"""What is given ahead, counted with a model that believes all that it is told."""

from __future__ import annotations

import numpy as np
import pytest

from tinydl.measures.given import given_report
from tinydl.training import Score


class Believer:
    """Its loss of a free step is 1 where nothing was told; 0.5 where all that was told is true, 2 where some is not."""

    model_name, training = "believer", False

    def eval(self):
        pass

    def train(self, mode):
        pass

    def constrained(self, batch, given, values=None):
        told = np.where(given, batch.data if values is None else values, batch.data)
        nats = 1.0 if not given.any() else 2.0 if (told != batch.data).any() else 0.5
        return Score(np.full(batch.data.shape, -nats), None, batch.mask)


@pytest.mark.parametrize("count", [1, 3])
def test_told_untold_and_misled(count):
    tunes = [np.arange(i, i + 40) for i in range(count)]
    rows = given_report(Believer(), tunes)
    assert [(row["told"], row["untold"], row["misled"]) for row in rows] == [(0.5, 1.0, 2.0)] * 3
    assert [row["share"] for row in rows] == [0.1, 0.2, 0.4]
    assert [row["free"] for row in rows] == pytest.approx([40 * count * (1 - s) for s in (0.1, 0.2, 0.4)], rel=0.2)


def test_where_nothing_else_can_be_told_it_is_said():
    assert all(row["misled"] is None and row["told"] == 0.5 for row in given_report(Believer(), [np.full(40, 3)]))
