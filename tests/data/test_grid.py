"""A tune on a grid in whole bars: exact there and back, meters that do not fit refused, any tokens a tune."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_representations import check_account, sounds
from tinydl.data import Meter, Note, Score, Tempo, load, midi, representation
from tinydl.data.representations import Grid
from tinydl.errors import ConfigError, DataError

HOLD, REST, C4 = Grid.HOLD, Grid.REST, 2 + 60 - 36


def test_tokens_of_a_bar() -> None:
    score = Score(480, [Note(0, 240, 60), Note(240, 360, 62), Note(480, 720, 60), Note(720, 1080, 60)],
                  [Tempo(0, 400_000)], [Meter(0, 4, 4)])  # fmt: skip
    encoded = Grid().encode(score)
    bar = [C4, HOLD, C4 + 2, REST, C4, HOLD, C4, HOLD, HOLD, REST] + [HOLD] * 6
    assert encoded.data.tolist() == bar and encoded.data.dtype == np.int64
    assert encoded.exact and encoded.loss["not_kept"] == ["tempos"]
    decoded = Grid().decode(encoded.data)
    assert sounds(decoded) == sounds(score) and decoded.meters == [Meter(0, 4, 4)]
    assert Grid().vocabulary()[C4] == "PITCH 60" and len(Grid().vocabulary()) == Grid().vocabulary_size == 63


def test_silence_before_the_first_note_and_over_bar_lines() -> None:
    score = Score(480, [Note(960, 1200, 60), Note(4 * 480, 9 * 480, 64)])
    data = Grid().encode(score).data
    assert len(data) == 48 and np.flatnonzero(data).tolist() == [0, 8, 10, 16, 36]
    assert data[[0, 8, 10, 16, 36]].tolist() == [REST, C4, REST, C4 + 4, REST]
    assert sounds(Grid().decode(data)) == sounds(score)


@st.composite
def tunes(draw: st.DrawFn, beats: int = 4) -> Score:
    now, line = 0, []
    for _ in range(draw(st.integers(1, 20))):
        now += 120 * draw(st.sampled_from((0, 0, 1, 3, 20)))
        end = now + 120 * draw(st.sampled_from((1, 2, 3, 4, 17)))
        line.append(Note(now, end, draw(st.integers(36, 96))))
        now = end
    return Score(480, line, meters=[Meter(0, beats, 4)])


@settings(max_examples=100)
@given(tunes())
def test_a_tune_on_the_grid_comes_back_exactly(score: Score) -> None:
    encoded = Grid().encode(score)
    decoded = Grid().decode(encoded.data)
    assert encoded.exact and sounds(decoded) == sounds(score) and decoded.meters == score.meters
    assert len(encoded.data) % 16 == 0 and len(encoded.data) - 16 < score.beats * 4 <= len(encoded.data)
    assert np.array_equal(Grid().encode(decoded).data, encoded.data)
    check_account(encoded, score, decoded)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 62), max_size=80))
def test_any_tokens_are_a_tune(tokens: list[int]) -> None:
    score = Grid().decode(np.array(tokens, np.int64))
    assert len(score.notes) == sum(token >= 2 for token in tokens)
    assert all(a.end <= b.start for a, b in zip(score.notes, score.notes[1:]))
    with pytest.raises(ValueError, match="token 63 lies outside the vocabulary of 63 tokens"):
        Grid().decode(np.array([*tokens, 63]))


@pytest.mark.parametrize(
    ("meters", "why"),
    [
        ([Meter(0, 6, 8)], "bar 1 is in 6/8, and all bars must be as long as one of 4/4"),
        ([Meter(0, 4, 4), Meter(2 * 1920, 3, 4)], "bar 3 is in 3/4, and all"),
        ([Meter(0, 4, 4), Meter(2500, 2, 2)], "bar 2 is cut short by a change of meter, and all"),
    ],
)
def test_other_meters_are_refused(meters: list[Meter], why: str) -> None:
    score = Score(480, [Note(0, 6000, 60)], meters=meters)
    with pytest.raises(DataError, match=why):
        Grid().encode(score)
    late = [*meters[:1], *(Meter(8000, m.numerator, m.denominator) for m in meters[1:])]
    if len(meters) > 1:  # after the last note they matter to nobody
        assert len(Grid().encode(Score(480, score.notes, meters=late)).data) == 64


def test_meters_of_one_length_are_one() -> None:
    score = Score(480, [Note(0, 4000, 60)], meters=[Meter(0, 4, 4), Meter(1920, 2, 2)])
    assert len(Grid().encode(score).data) == 48
    waltz = Grid(meter="3/4")
    assert waltz.bar_steps == 12 == waltz.steps(1) and waltz.steps(2, (4, 4)) == 32
    assert len(waltz.encode(Score(480, [Note(0, 480, 60)], meters=[Meter(0, 6, 8)])).data) == 12


def test_configuration() -> None:
    grid = Grid(meter="6/8", low=48, high=84)
    assert representation(grid.config()) == grid and grid.config()["meter"] == "6/8"
    for meter in ("7", "x/4", "0/4", "4/3", "4/"):
        with pytest.raises(ConfigError, match=f"meter '{meter}' is none such as '4/4'"):
            Grid(meter=meter)
    with pytest.raises(ConfigError, match="a bar of 5/8 is no whole number of steps of 1/3 beats"):
        Grid(step="1/3", meter="5/8")
    with pytest.raises(ConfigError, match="no range"):
        Grid(low=50, high=40)


def test_tunes_that_do_not_fit_are_left_out_with_a_count(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for i, beats in enumerate((4, 3, 4, 2, 4)):
        midi.write(Score(480, [Note(0, 480 + i, 60 + i)], meters=[Meter(0, beats, 4)]), tmp_path / f"{i}.mid")
    splits = load(tmp_path, "grid")
    assert splits.report is not None and splits.report.summary() == "5 files: 3 kept, 2 rejected"
    assert splits.report.rows[1].reason == "bar 1 is in 3/4, and all bars must be as long as one of 4/4"


def test_pitches_out_of_range_and_other_voices_are_counted() -> None:
    notes = [Note(0, 480, 60), Note(0, 480, 20), Note(480, 960, 62), Note(480, 960, 50, 80, 1, 1)]
    loss = Grid().encode(Score(480, notes)).loss
    assert (loss["kept"], loss["out_of_range"], loss["other_voices"]) == (2, 1, 1)
