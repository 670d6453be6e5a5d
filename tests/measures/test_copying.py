"""The plagiarism meter: planted copies are found where they are, and only they."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measures.pieces import chorale, score, stretched, tune
from tinydl.data.corpus import demo_scores
from tinydl.data.score import Note, Score
from tinydl.errors import DataError
from tinydl.measures import CopyIndex, texture
from tinydl.measures.copying import LEAST_NOTES, LEAST_POSITIONS, NEAR_COPY

# Chords whose shapes and motions never repeat, and others unlike them
THEIRS = [(48, 52, 55, 60), (47, 55, 62, 65), (45, 52, 60, 69), (43, 50, 59, 71), (41, 57, 60, 68), (40, 55, 64, 70)]
OURS = [(50, 53, 58), (51, 60, 64), (44, 54, 59), (46, 49, 63), (42, 47, 61)]


def test_a_planted_passage_is_found_with_its_length_and_place():
    source = chorale([*OURS[:2], *THEIRS, *OURS[2:4]])
    index = CopyIndex([chorale(OURS[::-1]), source], ["one", "two"])
    up = [[p + 3 for p in chord] for chord in THEIRS[1:5]]
    found = index.meter(chorale([(60,), (55, 61), *up, (40, 70)]))
    assert found.longest_copy == 4
    assert found.passage is not None
    assert (found.passage.events, found.passage.at) == (4, 2)
    assert (found.passage.source, found.passage.source_at) == ("two", 3)
    assert found.events == 7


def test_a_whole_piece_in_another_key_is_all_copied():
    piece = demo_scores("chorales", 1, seed=4)[0]
    found = CopyIndex([piece]).meter(piece.transpose(5))
    assert found.longest_copy == found.events == len(texture(piece).events) > 20
    assert found.longest_melody == len(texture(piece).line().pitches)
    assert found.near_copy_share < 0.2  # bars are compared as they are ...
    again = CopyIndex([piece]).meter(piece.transpose(5), transpose=True)
    assert again.near_copy_share == 1 and again.nearest is not None and again.nearest.similarity == 1


def test_a_passage_at_another_speed_counts_on_request():
    source = tune([60, 62, 63, 67, 60, 71, 59], [1, 0.5, 0.5, 2, 1, 0.25, 1])
    index = CopyIndex([source])
    for other in (stretched(source, 3), stretched(source.transpose(-4), 2)):
        assert index.meter(other).longest_copy == 0
        assert index.meter(other, time_scale=True).longest_copy == 7
    assert index.meter(source, time_scale=True).longest_copy == 7
    bent = tune([60, 62, 63, 67, 60, 71, 59], [2, 1, 1, 2, 2, 0.5, 2])  # the fourth note is short: two halves
    assert index.meter(bent, time_scale=True).longest_copy == 4


def test_chords_that_are_held_or_struck_again_do_not_lengthen_a_copy():
    index = CopyIndex([score((0, 64, 60), (0, 64, 64), (64, 65, 62))])
    held = score((0, 64, 60), (0, 64, 64), (64, 65, 67))
    assert index.meter(held).longest_copy == 0  # one chord of 64 beats is one event
    assert index.meter(score((0, 64, 65), (0, 64, 69), (64, 65, 67))).longest_copy == 2


def test_the_upper_line_is_measured_alone_too():
    melody = [60, 62, 64, 65, 67, 69, 71]
    source = chorale([(p, p - 12) for p in melody])
    other = chorale([(p, p - 7, p - 16 - i) for i, p in enumerate(melody)])
    found = CopyIndex([source], ["hymn"]).meter(other)
    assert found.longest_copy == 0 and found.longest_melody == 7
    assert found.melody_passage is not None and found.melody_passage.source == "hymn"


def test_a_planted_near_copy_is_found_and_a_farther_one_is_not():
    bar = [(0.5 * i, 0.5 * i + 0.5, 60 + 2 * i) for i in range(8)] + [(i, i + 1, 48 - i) for i in range(4)]
    other = [(0.5 * i + 8, 0.5 * i + 8.5, 80 - 5 * i) for i in range(8)]
    # the bar stands in the training piece on the third beat, not on a bar line
    index = CopyIndex([score((0, 2, 40), *((s + 2, e + 2, p) for s, e, p in bar))], ["source"])
    for changed, share in ((0, 0.5), (1, 0.5), (2, 0.0)):
        ours = [(s, e, p + 1) if i < changed else (s, e, p) for i, (s, e, p) in enumerate(bar)]
        found = index.meter(score(*ours, *((s - 4, e - 4, p) for s, e, p in other)))
        assert found.near_copy_share == share and found.bars == 2
        assert found.nearest is not None
        assert found.nearest.similarity == pytest.approx((12 - changed) / 12)
        assert (found.nearest.bar, found.nearest.source, found.nearest.source_at) == (1, "source", 2)
    assert 10 / 12 < NEAR_COPY < 11 / 12


def test_bars_with_too_little_in_them_are_no_copies():
    index = CopyIndex([score((0, 4, 48), (0, 4, 52), (0, 4, 55), (0, 4, 60))])
    found = index.meter(score((0, 4, 48), (0, 4, 52), (0, 4, 55), (0, 4, 60)))
    assert found.bars == 0 and found.near_copy_share is None and found.nearest is None
    assert (LEAST_POSITIONS, LEAST_NOTES) == (3, 4)


def test_bars_of_another_metre_are_compared_with_stretches_of_their_length():
    beats = [(i, i + 1, 60 + i) for i in range(9)] + [(i + 0.5, i + 1, 70 - i) for i in range(9)]
    index = CopyIndex([score(*beats)])  # in 4/4
    found = index.meter(score(*beats, meter=(3, 4)))
    assert found.bars == 3 and found.near_copy_share == 1


def test_a_primer_is_not_held_against_the_piece():
    source = tune([60, 64, 62, 67, 65, 71, 60, 59])
    fresh = [(8 + i, 9 + i, p) for i, p in enumerate((90, 50, 89, 51))]
    piece = score(*((n.start / 480, n.end / 480, n.pitch) for n in source.notes), *fresh)
    index = CopyIndex([source])
    assert index.meter(piece).longest_copy == 8
    after = index.meter(piece, begin=8)
    assert after.longest_copy == 0 and after.events == 4 and after.near_copy_share == 0


def test_nothing_shared_nothing_written_nothing_known():
    index = CopyIndex([tune([60, 61, 62])])
    assert index.meter(tune([60, 70, 50], 0.5)).longest_copy == 0
    empty = index.meter(Score(480))
    assert (empty.longest_copy, empty.longest_melody, empty.near_copy_share, empty.events) == (0, 0, None, 0)
    assert index.meter(tune([60])).longest_copy == 0
    assert CopyIndex([Score(480)]).meter(tune([60, 61, 62])).longest_copy == 0
    with pytest.raises(DataError, match="the training split is empty, and the plagiarism meter needs at least 1 piece"):
        CopyIndex([])
    with pytest.raises(ValueError, match="1 scores and 2 names"):
        CopyIndex([Score(480)], ["a", "b"])


# -- against the definition, written out ---------------------------------------------------------------------------


def events_of(piece):
    """(time in slots, pitches) of every time at which a note begins, by brute force."""
    notes = [(round(n.start / 20), round(n.end / 20), n.pitch) for n in piece.notes]
    return [(t, sorted({p for s, e, p in notes if s <= t < e})) for t in sorted({s for s, _, _ in notes})]


def agree(a, b, time_scale):
    """Whether two runs of events are the same but for the key, and the speed."""
    lows = [[chord[0] for _, chord in run] for run in (a, b)]
    shapes = [
        [[p - low for p in chord] for (_, chord), low in zip(run, low_line)] for run, low_line in zip((a, b), lows)
    ]
    steps = [[x - low_line[0] for x in low_line] for low_line in lows]
    if shapes[0] != shapes[1] or steps[0] != steps[1]:
        return False
    gaps = [np.diff([t for t, _ in run]) for run in (a, b)]
    if time_scale:
        return all(gaps[0][0] * y == gaps[1][0] * x for x, y in zip(*gaps))
    return list(gaps[0]) == list(gaps[1])


def longest_by_hand(piece, sources, time_scale):
    ours = events_of(piece)
    for n in range(len(ours), 1, -1):
        for i in range(len(ours) - n + 1):
            for source in sources:
                theirs = events_of(source)
                for j in range(len(theirs) - n + 1):
                    if agree(ours[i : i + n], theirs[j : j + n], time_scale):
                        return n
    return 0


# few pitches and lengths, so that much is shared
small_notes = st.lists(
    st.tuples(st.integers(1, 2), st.lists(st.sampled_from([60, 62, 67]), min_size=1, max_size=2)), max_size=12
)


def as_score(found):
    at, notes = 0, []
    for length, pitches in found:
        notes += [Note(at, at + 240 * length, pitch) for pitch in set(pitches)]
        at += 240 * length
    return Score(480, notes)


@given(small_notes.map(as_score), st.lists(small_notes.map(as_score), min_size=1, max_size=3), st.booleans())
def test_the_longest_copy_is_the_longest(piece, sources, time_scale):
    index = CopyIndex(sources)
    found = index.meter(piece, time_scale=time_scale)
    assert found.longest_copy == longest_by_hand(piece, sources, time_scale)
    if found.passage:  # and it stands where it is said to
        start = [t / 24 for t, _ in events_of(piece)].index(found.passage.at)
        source = events_of(sources[int(found.passage.source)])
        there = [t / 24 for t, _ in source].index(found.passage.source_at)
        n = found.passage.events
        assert agree(events_of(piece)[start : start + n], source[there : there + n], time_scale)


@given(small_notes.map(as_score), st.lists(small_notes.map(as_score), min_size=1, max_size=3), st.integers(-20, 20))
def test_keys_do_not_matter(piece, sources, semitones):
    found, moved = (CopyIndex(sources).meter(p) for p in (piece, piece.transpose(semitones)))
    assert found.longest_copy == moved.longest_copy and found.longest_melody == moved.longest_melody


def test_many_different_lengths_are_asked_for_and_forgotten():
    long = tune([60 + (i * i) % 17 for i in range(300)])
    index = CopyIndex([long])
    for n in range(2, 120):
        piece = Score(480, long.notes[50 : 50 + n])
        assert index.meter(piece).longest_copy == n
