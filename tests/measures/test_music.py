"""Each measure on pieces that can be counted by hand, and what it must not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measures.pieces import chorale, score, scores, stretched, tune
from tinydl.data.score import DRUM_CHANNEL, Note, Score
from tinydl.measures import MEASURES, features, music, texture

# C4 E4 G4 above a held C3: one bar
LITTLE = score((0, 4, 48), (0, 1, 60), (1, 2, 64), (2, 4, 67))
BY_NAME = {measure.name: measure for measure in MEASURES}


def expect(vector, **shares):
    """All entries named by index are these, all others 0."""
    expected = np.zeros(len(vector))
    for key, value in shares.items():
        expected[int(key[1:])] = value
    np.testing.assert_allclose(vector, expected, atol=1e-12)


def test_every_measure_of_a_piece_counted_by_hand():
    piece = texture(LITTLE)
    expect(music.pitch_class(piece), _0=5 / 8, _4=1 / 8, _7=2 / 8)
    expect(music.scale(piece), _0=1)
    expect(music.polyphony(piece), _2=1)
    expect(music.density(piece), _0=1)  # four notes in four beats
    expect(music.onset(piece), _0=1 / 2, _12=1 / 4, _24=1 / 4)
    expect(music.rhythm(piece), _12=1)  # two times a beat
    expect(music.interval(piece), _16=1 / 2, _17=1 / 2)  # three and four semitones up
    expect(music.bass(piece), _27=1)  # a single note makes no step
    expect(music.harmony(piece), _0=1 / 4, _4=1 / 4, _7=1 / 2)
    expect(music.groove(piece), _0=0)  # there is no next bar
    expect(music.repetition(piece))


def test_a_scale_counts_notes_in_the_best_one():
    # D major, with one F natural among eight notes
    assert music.scale(texture(tune([62, 64, 66, 67, 69, 71, 73, 65]))) == pytest.approx(7 / 8)
    assert music.scale(texture(tune(range(60, 72)))) == pytest.approx(7 / 12)
    assert music.scale(texture(tune([57, 59, 60, 62, 64, 65, 67, 69]))) == 1  # natural minor


def test_polyphony_counts_rests_by_their_length():
    piece = texture(score((0, 1, 60), (0, 1, 64), (0, 1, 67), (3, 4, 60)))
    expect(music.polyphony(piece), _0=2 / 4, _1=1 / 4, _3=1 / 4)
    assert music.mean_polyphony([piece]) == pytest.approx(4 / 2)
    assert music.mean_polyphony([]) == 0


def test_wide_steps_many_notes_and_long_waits_go_to_the_outermost_bins():
    expect(music.interval(texture(tune([40, 80, 40]))), _0=1 / 2, _26=1 / 2)
    expect(music.polyphony(texture(chorale([range(40, 60)]))), _12=1)
    expect(music.rhythm(texture(score((0, 1, 60), (9, 10, 60), (9 + 1 / 24, 11, 64)))), _0=1 / 2, _48=1 / 2)


def test_onsets_are_counted_from_the_bar_line_of_the_metre():
    waltz = score(*((beat, beat + 1, 60) for beat in range(6)), meter=(3, 4))
    expect(music.onset(texture(waltz)), _0=1 / 3, _12=1 / 3, _24=1 / 3)
    assert music.onset(texture(tune([60] * 6)))[36] == pytest.approx(1 / 6)  # without a metre: the fourth beat


def test_groove_is_the_share_of_places_in_common():
    bar = [(0, 1, 60), (1, 2, 62), (2, 3, 64), (3, 4, 65)]
    other = [(4, 6, 72), (6, 8, 71)]
    assert music.groove(texture(score(*bar, *other))) == pytest.approx(2 * 2 / (4 + 2))
    again = [(start + 8, end + 8, pitch + 5) for start, end, pitch in bar]
    assert music.groove(texture(score(*bar, *other, *again))) == pytest.approx(2 / 3)
    assert music.groove(texture(score(*bar, *((s - 4, e - 4, p) for s, e, p in again)))) == 1
    assert music.groove(texture(score(*bar, *again))) == 0  # a silent bar between them: nothing is next to anything


def test_repetition_finds_the_lag_of_a_form():
    a, b = [60, 62, 64, 65], [67, 65, 60, 59]
    form = texture(tune([*a, *b, *a, *b, *a]))
    expect(music.repetition(form), _1=1, _3=1)  # bars 2 and 4 apart; a and b share no place and pitch
    third = texture(tune([*a, *a[:3], 71, *b]))
    expect(music.repetition(third), _0=(3 / 4 + 0) / 2)


def test_a_chord_held_over_the_bar_line_is_like_one_struck_there():
    held = texture(score((0, 8, 60), (4, 5, 64)))
    struck = texture(score((0, 4, 60), (4, 8, 60), (4, 5, 64)))
    assert music.repetition(held)[0] == music.repetition(struck)[0] == pytest.approx(2 / 3)


def test_the_line_is_the_highest_note_where_it_is_struck():
    #  C5 held over E4, then uncovered G4: no note of the line
    piece = texture(score((0, 2, 72), (0, 4, 67), (1, 4, 64), (3, 4, 76)))
    line = piece.line()
    assert line.pitches.tolist() == [72, 76] and line.starts.tolist() == [0, 3 * 24]
    assert piece.line(upper=False).pitches.tolist() == [67, 64]


def test_a_piece_without_music_is_nothing_and_far_from_all():
    for empty in (Score(480), Score(480, [Note(0, 480, 40, channel=DRUM_CHANNEL)])):
        piece = texture(empty)
        for measure in MEASURES:
            vector = measure.vector(piece)
            assert len(vector) == len(measure.labels)
            if measure.distance == "l1":
                expect(vector)
            else:
                assert vector[-1] == 1 and vector[:-1].sum() == 0 and measure.labels[-1] == "none"


def test_a_texture_can_begin_later_and_end_sooner():
    piece = texture(LITTLE, begin=1, beats=3)
    assert piece.notes.tolist() == [[24, 48, 64], [48, 72, 67]]
    assert piece.bars.tolist() == [0, 96]


def test_overlapping_notes_of_one_pitch_sound_once():
    piece = texture(score((0, 2, 60), (1, 3, 60)))
    expect(music.pitch_class(piece), _0=1)
    assert piece.sounding.sum(axis=1).tolist() == [1, 1, 1] and piece.struck.any(axis=1).tolist() == [True, True, False]


@given(scores)
def test_every_vector_is_what_its_distance_needs(piece):
    for measure in MEASURES:
        vector = measure.vector(texture(piece))
        assert vector.shape == (len(measure.labels),) and np.isfinite(vector).all() and (vector >= 0).all()
        if measure.distance != "l1":
            assert vector.sum() == pytest.approx(1)
        elif measure.name != "density":
            assert (vector <= 1).all()


@given(scores, st.integers(-24, 24))
def test_transposition_moves_pitch_classes_and_nothing_else(piece, semitones):
    moved = piece.transpose(semitones)
    for measure in MEASURES:
        before, after = measure.vector(texture(piece)), measure.vector(texture(moved))
        if measure.name == "pitch_class":
            before[:12] = np.roll(before[:12], semitones)
        np.testing.assert_allclose(after, before, atol=1e-12)


@given(scores, st.integers(2, 4))
def test_speed_changes_density_and_rhythm_and_not_what_is_played(piece, factor):
    slow = texture(stretched(piece, factor))
    for name in ("pitch_class", "scale", "interval", "bass", "harmony", "polyphony"):
        measure = BY_NAME[name]
        np.testing.assert_allclose(measure.vector(slow), measure.vector(texture(piece)), atol=1e-12)
    assert music.density(slow) * factor == pytest.approx(music.density(texture(piece)))


@given(scores, st.sampled_from([96, 960, 24]))
def test_the_time_base_does_not_matter(piece, ticks):
    for measure in MEASURES:
        other = measure.vector(texture(piece.rescale(ticks)))
        np.testing.assert_allclose(other, measure.vector(texture(piece)), atol=1e-12)


def test_features_stack_and_an_empty_set_has_none():
    assert features(BY_NAME["scale"], [texture(LITTLE)] * 3).shape == (3, 1)
    assert features(BY_NAME["scale"], []).shape == (0, 1)
