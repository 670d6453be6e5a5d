"""Recipes refuse nonsense; pieces are cut, padded and masked so that every frame is learned from exactly once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinydl.errors import ConfigError
from tinydl.training.recipe import Batch, Recipe, chunks, collate


@pytest.mark.parametrize(
    "option",
    [
        {"batch": 0}, {"chunk": 1}, {"context": -1}, {"context": 512}, {"lr": 0.0}, {"lr": float("inf")},
        {"lr": float("nan")}, {"weight_decay": -1.0}, {"clip": -0.1}, {"average": 1.0}, {"schedule": "linear"},
        {"steps": 0}, {"eval_every": 0}, {"patience": 0},
    ],
)  # fmt: skip
def test_a_recipe_refuses_what_means_nothing(option):
    ((name, value),) = option.items()
    with pytest.raises(ConfigError, match=f"'{name}'.*{value!r}".replace("(", r"\(")):
        Recipe(**option)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=5), st.integers(2, 40), st.integers(0, 39))
def test_every_frame_is_learned_from_once_and_no_chunk_is_too_long(lengths, chunk, context):
    context = min(context, chunk - 1)
    learned = [np.zeros(length, int) for length in lengths]
    for part in chunks(lengths, chunk, context):
        assert 1 <= len(part) <= chunk
        assert part.skip == (min(context, part.start + part.skip) if part.start + part.skip else 0)
        learned[part.piece][part.start + part.skip : part.stop] += 1
    assert all((counts == 1).all() for counts in learned)


def test_collate_pads_and_masks():
    pieces = [np.array([[1, 2]]), np.array([[3, 4], [5, 6], [7, 8]])]
    batch = collate(pieces, skip=[0, 2])
    assert isinstance(batch, Batch)
    assert batch.data.tolist() == [[[1, 2], [0, 0], [0, 0]], [[3, 4], [5, 6], [7, 8]]]
    assert batch.data.dtype == pieces[0].dtype
    assert batch.lengths.tolist() == [1, 3]
    assert batch.mask.tolist() == [[True, False, False], [False, False, True]]
