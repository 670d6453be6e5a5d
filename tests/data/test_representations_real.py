"""Bach's chorales (the separated voices of the JSB set, sixteenths) from ``$TINYDL_DATA`` as four-part music."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tinydl.data import Note, Score
from tinydl.data.representations import Chorale, Events

FILE = Path(os.environ.get("TINYDL_DATA", "")) / "polymusic" / "czhuang_JSB" / "Jsb16thSeparated.json"
pytestmark = pytest.mark.skipif(
    not (os.environ.get("TINYDL_DATA") and FILE.is_file()), reason="TINYDL_DATA holds no Jsb16thSeparated.json"
)


@pytest.fixture(scope="module")
def chorales() -> list[np.ndarray]:
    """int64 [T, 4] per chorale of the test split: the set repeats a pitch in every step; here it is held."""
    grids = []
    for piece in json.loads(FILE.read_text())["test"]:
        grid = np.maximum(np.array(piece, dtype=np.int64), Chorale.REST)
        held = np.zeros_like(grid, dtype=bool)
        held[1:] = (grid[1:] == grid[:-1]) & (grid[1:] >= 0)
        grids.append(np.where(held, Chorale.HOLD, grid))
    return grids


def test_four_voices_come_back_exactly(chorales: list[np.ndarray]) -> None:
    rep = Chorale()
    for grid in chorales:
        score = rep.decode(grid)
        encoded = rep.encode(score)
        assert encoded.exact
        assert np.array_equal(encoded.data, grid[: len(encoded.data)])
        assert (grid[len(encoded.data) :] == rep.REST).all()  # what follows the last note is not music


def test_voices_are_found_again_in_one_part(chorales: list[np.ndarray]) -> None:
    """All notes on one channel of one track: nothing is lost, and nearly every note finds its voice."""
    rep = Chorale()
    right = total = 0
    for grid in chorales:
        score = rep.decode(grid)
        together = Score(score.ticks_per_beat, [Note(n.start, n.end, n.pitch) for n in score.notes])
        encoded = rep.encode(together)
        assert encoded.exact
        struck = grid[: len(encoded.data)] >= 0
        right += int((encoded.data[struck] == grid[: len(encoded.data)][struck]).sum())
        total += int(struck.sum())
    assert right / total > 0.95


def test_unisons_are_all_that_events_lose(chorales: list[np.ndarray]) -> None:
    """Where two voices sing one pitch at once, event tokens cannot tell; all else comes back."""
    for grid in chorales[:20]:
        score = Chorale().decode(grid)
        loss = Events().encode(score).loss
        assert loss["quantised"] == loss["out_of_range"] == 0
        unisons = sum(
            a.pitch == b.pitch and a.start < b.end and b.start < a.end
            for i, a in enumerate(score.notes)
            for b in score.notes[i + 1 : i + 40]
        )
        assert loss["merged"] + loss["shortened"] <= unisons
        assert unisons == 0 or loss["merged"] + loss["shortened"] > 0
