"""Scores: time through the tempo map, bar lines, transposition, the pedal."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinydl.data.score import DRUM_CHANNEL, KEY_NAMES, Key, Meter, Note, Pedal, Score, Tempo, smpte_time_base


def test_notes_are_sorted_by_start_then_pitch() -> None:
    notes = [Note(5, 9, 60), Note(0, 4, 70), Note(0, 4, 50), Note(0, 2, 50)]
    assert Score(notes=notes).notes == [Note(0, 2, 50), Note(0, 4, 50), Note(0, 4, 70), Note(5, 9, 60)]
    assert notes[0] == Note(5, 9, 60)  # the caller's list stays


def test_seconds_through_tempo_changes() -> None:
    """480 ticks at 0.5 s a beat, 960 at 1 s a beat, then 0.25 s a beat."""
    score = Score(480, tempos=[Tempo(1440, 250_000), Tempo(480, 1_000_000)])
    ticks = [0, 240, 480, 960, 1440, 1920]
    assert score.to_seconds(ticks).tolist() == [0, 0.25, 0.5, 1.5, 2.5, 2.75]
    assert [score.to_seconds(tick) for tick in ticks] == score.to_seconds(np.array(ticks)).tolist()
    assert score.to_ticks(score.to_seconds(ticks)).tolist() == ticks
    assert score.to_ticks(2.625) == 1680


def test_the_last_of_several_tempos_at_one_tick_holds() -> None:
    assert Score(100, tempos=[Tempo(0, 1), Tempo(0, 1_000_000)]).to_seconds(250) == 2.5


def test_length() -> None:
    score = Score(480, [Note(0, 960, 60), Note(100, 200, 64)])
    assert (score.end_tick, score.beats, score.seconds) == (960, 2.0, 1.0)
    assert (Score().end_tick, Score().beats, Score().seconds) == (0, 0.0, 0.0)
    assert Tempo(0, 500_000).bpm == 120


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(1_000, 5_000_000)), max_size=8),
    st.lists(st.integers(0, 20_000), min_size=1, max_size=20),
    st.integers(1, 1000),
)
def test_ticks_come_back_from_seconds(tempos: list[tuple[int, int]], ticks: list[int], resolution: int) -> None:
    score = Score(resolution, tempos=[Tempo(*tempo) for tempo in tempos])
    seconds = score.to_seconds(ticks)
    assert score.to_ticks(seconds).tolist() == ticks
    assert (np.diff(seconds[np.argsort(ticks)]) >= 0).all()


def test_bars_of_changing_meter() -> None:
    score = Score(480, meters=[Meter(0, 5, 8), Meter(2400, 7, 8), Meter(2400 + 1680, 3, 4)])
    assert [tick for tick, _ in score.bars(6000)] == [0, 1200, 2400, 4080, 5520]
    assert [(m.numerator, m.denominator) for _, m in score.bars(6000)] == [(5, 8), (5, 8), (7, 8), (3, 4), (3, 4)]
    assert [tick for tick, _ in Score(480, [Note(0, 1921, 60)]).bars()] == [0, 1920]
    assert Score().bars() == []
    assert score.meter_at(2399) == Meter(0, 5, 8) and score.meter_at(2400).numerator == 7
    assert Meter(0, 7, 8).beats == 3.5


def test_a_meter_change_within_a_bar_begins_a_bar() -> None:
    score = Score(480, meters=[Meter(1000, 3, 4)])
    assert [tick for tick, _ in score.bars(3000)] == [0, 1000, 2440]


def test_transpose() -> None:
    score = Score(notes=[Note(0, 1, 60), Note(0, 1, 36, channel=DRUM_CHANNEL)], keys=[Key(0, "C"), Key(9, "F#m")])
    up = score.transpose(3)
    assert [note.pitch for note in up.notes] == [36, 63] and [key.key for key in up.keys] == ["Eb", "Am"]
    assert up.transpose(-3).notes == score.notes and score.keys[0].key == "C"
    with pytest.raises(ValueError, match="pitch 60 at tick 0 to 128"):
        score.transpose(68)


def test_every_key_comes_back_after_an_octave_and_twelve_semitones() -> None:
    for key in KEY_NAMES:
        one = Score(keys=[Key(0, key)])
        assert one.transpose(12) == one
        stepwise = one
        for _ in range(12):
            stepwise = stepwise.transpose(1)
        assert stepwise.transpose(5).keys == one.transpose(5).keys


def test_rescale() -> None:
    score = Score(480, [Note(0, 161, 60), Note(480, 481, 62)], [Tempo(240, 9)], [Meter(1, 3, 4)], pedals=[Pedal(0, 3)])
    assert score.rescale(960).rescale(480) == score
    coarse = score.rescale(3)
    assert coarse.notes == [Note(0, 1, 60), Note(3, 4, 62)] and coarse.pedals == [Pedal(0, 1)]
    assert coarse.tempos == [Tempo(2, 9)]


def test_select() -> None:
    score = Score(notes=[Note(0, 1, 60), Note(0, 1, 61, track=1), Note(0, 1, 62, channel=9)])
    assert [n.pitch for n in score.select(tracks=[1]).notes] == [61]
    assert [n.pitch for n in score.select(drums=False).notes] == [60, 61]
    assert [n.pitch for n in score.select(channels={9}).notes] == [62]


def test_pedal_sustains_until_lifted_or_struck_again() -> None:
    notes = [Note(0, 10, 60), Note(50, 60, 60), Note(0, 10, 64, track=1), Note(0, 10, 67, channel=1), Note(90, 130, 72)]
    heard = Score(notes=notes, pedals=[Pedal(5, 100)]).apply_pedal()
    assert {(n.start, n.end, n.pitch) for n in heard.notes} == {
        (0, 50, 60), (50, 100, 60), (0, 100, 64), (0, 10, 67), (90, 130, 72)
    }  # fmt: skip
    assert heard.pedals == []


def test_pedal_lifted_as_the_note_ends_changes_nothing() -> None:
    score = Score(notes=[Note(0, 100, 60)], pedals=[Pedal(0, 100)])
    assert score.apply_pedal().notes == score.notes


def test_smpte_time_base() -> None:
    for frames in (24, 25, 29, 30):
        for per_frame in (1, 4, 40, 80, 255):
            beats, tempo = smpte_time_base(frames, per_frame)
            rate = 30_000 / 1001 if frames == 29 else frames
            assert Score(beats, tempos=[Tempo(0, tempo)]).to_seconds(1000) == pytest.approx(1000 / (rate * per_frame))
    with pytest.raises(ValueError, match="23 frames"):
        smpte_time_base(23, 4)


def test_array() -> None:
    assert Score(notes=[Note(1, 2, 3, 4, 5, 6)]).array().tolist() == [[1, 2, 3, 4, 5, 6]]
    assert Score().array().shape == (0, 6)


def test_scores_and_representations_load_without_mido() -> None:
    code = "import sys, tinydl.data; print([name for name in ('mido', 'scipy', 'numba') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_no_ticks_per_beat() -> None:
    with pytest.raises(ValueError, match="ticks_per_beat must be positive"):
        Score(0)
