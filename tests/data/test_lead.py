"""A tune with the chord of every bar: found in real accompaniments, exact there and back, chords as a bar has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_grid import tunes
from tests.data.test_representations import sounds
from tinydl.data import Meter, Note, Score, representation
from tinydl.data.corpus import demo_pieces
from tinydl.data.representations import Grid, Lead
from tinydl.data.representations.lead import CHORDS, TRIADS
from tinydl.data.tunes import _MODES
from tinydl.generation.harmony import chord

C, G, AM = 1, 8, 22


def bar(number: int, *pitches: int, start: int = 0, length: int = 16) -> list[Note]:
    """Notes that sound together in a bar, from and for so many sixteenths, in the accompaniment."""
    tick = (16 * number + start) * 120
    return [Note(tick, tick + 120 * length, pitch, 80, 1, 1) for pitch in pitches]


def chords_of(*accompaniment: list[Note]) -> list[int]:
    melody = [Note(1920 * k, 1920 * k + 960, 72 + k) for k in range(len(accompaniment))]
    data = Lead().encode(Score(480, [*melody, *(note for notes in accompaniment for note in notes)])).data
    assert data.dtype == np.int64 and data.shape == (16 * len(accompaniment), 2)
    assert (data[:, 1].reshape(-1, 16) == data[::16, 1:]).all()
    return data[::16, 1].tolist()


def test_names_and_notes_of_chords() -> None:
    assert CHORDS[C] == "C" and CHORDS[G] == "G" and CHORDS[AM] == "Am" and CHORDS[0] == ""
    for name, classes in zip(CHORDS[1:], TRIADS[1:]):
        assert chord(name) == {*np.flatnonzero(classes)}
    assert not TRIADS[0].any() and len({row.tobytes() for row in TRIADS}) == 25


def test_the_chord_of_a_bar() -> None:
    triads = bar(0, 48, 52, 55), bar(1, 55, 59, 62), bar(2, 57, 60, 64)
    assert chords_of(*triads) == [C, G, AM]
    assert chords_of(bar(0, 55, 59, 62, 65), []) == [G, 0]  # a seventh chord; and nothing
    assert chords_of(bar(0, 48, 52, 55, 57), bar(1, 57, 60, 64, 67)) == [C, AM]  # C6 and Am7: the bass decides
    two = bar(0, 57, 61, 64, length=8) + bar(0, 52, 56, 59, start=8, length=8)
    assert CHORDS[chords_of(two)[0]] == "A"  # as long as each other: the one that the bar begins with
    assert CHORDS[chords_of(bar(0, 57, 61, 64, length=4) + bar(0, 52, 56, 59, start=4, length=12))[0]] == "E"
    assert chords_of(bar(0, 48, 52, 55, length=32), []) == [C, C]  # held over the bar line


def test_the_chords_of_composed_tunes_are_found() -> None:
    """Of the built-in reels, whose chords are known: bass and afterbeats, not block chords."""
    right = bars = 0
    for tune in demo_pieces("tunes", 60, seed=3):
        if tune.dance.name != "reel":
            continue
        chords = [tune.plans[part] for part in (0, 0, 1, 1)]
        names = [name for plan in chords for name in plan]
        triads = [{(tune.tonic + tone) % 12 for tone in _MODES[tune.mode].chords[name]} for name in names]
        found = Lead().encode(tune.score()).data[::16, 1].tolist()
        right += sum({*np.flatnonzero(TRIADS[k])} == triad for k, triad in zip(found, triads))
        bars += len(triads)
    assert bars > 300 and right == bars


@settings(max_examples=60)
@given(tunes(), st.data())
def test_a_tune_and_its_chords_come_back_exactly(score: Score, data: st.DataObject) -> None:
    events = Grid().encode(score).data
    bars = len(events) // 16
    chords = np.array(data.draw(st.lists(st.integers(0, 24), min_size=bars, max_size=bars)), np.int64)
    lead = np.stack([events, np.repeat(chords, 16)], 1)
    decoded = Lead().decode(lead)
    melody = Score(decoded.ticks_per_beat, [note for note in decoded.notes if note.track == 0])
    assert sounds(melody) == sounds(score)
    chord_notes = [note for note in decoded.notes if note.track == 1]
    assert len(chord_notes) == 3 * np.count_nonzero(chords) and {n.end - n.start for n in chord_notes} <= {1920}
    high = [note for note in score.notes if note.pitch < 72]
    if not high:  # the tune lies above its chords: it is found again
        assert np.array_equal(Lead().encode(decoded).data, lead)


def test_a_chord_that_changes_within_a_bar_is_struck_there() -> None:
    lead = np.array([[Grid.REST, C]] * 8 + [[Grid.HOLD, AM]] * 8 + [[Grid.HOLD, 0]] * 16)
    notes = Lead().decode(lead, velocity=90).notes
    assert [(n.start, n.end, n.pitch) for n in notes] == [
        *((0, 960, pitch) for pitch in (48, 52, 55)), *((960, 1920, pitch) for pitch in (57, 60, 64)),
    ]  # fmt: skip
    assert {note.velocity for note in notes} == {70}


def test_what_is_no_lead_sheet() -> None:
    with pytest.raises(ValueError, match=r"expected events and chords \[T, 2\], got the shape \[3\]"):
        Lead().decode(np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="chords are 0 to 24, got 0 to 25"):
        Lead().decode(np.array([[0, 0], [0, 25]]))
    assert len(Lead().decode(np.zeros((0, 2), np.int64)).notes) == 0


def test_configuration() -> None:
    lead = Lead(meter="6/8", low=48)
    assert representation(lead.config()) == lead != Grid(meter="6/8", low=48) and lead.config()["name"] == "lead"
    score = Score(480, [Note(0, 480, 72), *bar(0, 48, 52, 55, length=12)], meters=[Meter(0, 6, 8)])
    assert lead.encode(score).data.shape == (12, 2)
