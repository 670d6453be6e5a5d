"""Harmonising and filling gaps: what is given stays, bit for bit, whatever the model draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinydl import registry
from tinydl.data.corpus import demo_scores
from tinydl.data.representations import Chorale, Grid
from tinydl.data.score import Key, Meter, Note, Score, Tempo
from tinydl.errors import ConfigError, DataError
from tinydl.generation import Fixed, around, harmonise, infill


class Dice:
    """A model of four voices that throws dice for everything that is not given."""

    model_name, conditions = "dice", ("melody", "notes", "temperature")

    def __init__(self, encoding=None):
        self.encoding = encoding or Chorale()

    def sample(self, n, length, temperature, condition, rng):
        fixed = condition["fixed"]
        drawn = [rng.fork(f"sample {i}").integers(40, 60, (length, 4)) for i in range(n)]
        held = rng.random((length, 4)) < 0.6
        return [fixed.within(np.where(held & self.encoding.strikes, Chorale.HOLD, piece)) for piece in drawn]


@pytest.fixture(params=["struck", "plain"])
def dice(request, monkeypatch):
    model = Dice(Chorale(strikes=request.param == "struck"))
    monkeypatch.setattr(around, "load_model", lambda run, device: (model, type("Card", (), {"representation": (
        model.encoding.config())})))  # fmt: skip
    return model


MELODY = Score(
    480,
    [Note(7, 470, 72, 90), Note(480, 730, 72, 33), Note(960, 1920, 76, 64, 3, 2), Note(960, 1200, 40, 80, 9, 1)],
    [Tempo(0, 400_000)],
    [Meter(0, 3, 4)],
    [Key(0, "Dm")],
)


def test_the_melody_stays_note_for_note(dice):
    line = replace(MELODY, notes=[replace(note, track=2, channel=3) for note in MELODY.notes if note.channel != 9])
    made = harmonise("run", line)
    assert [note for note in made.notes if note.track == 2] == line.notes  # off the grid, velocities, struck again
    assert (made.tempos, made.meters, made.keys, made.ticks_per_beat) == (line.tempos, line.meters, line.keys, 480)
    others = {(note.track, note.channel) for note in made.notes} - {(2, 3)}
    assert len({track for track, _ in others}) == len({channel for _, channel in others}) == 3
    assert not {3, 9} & {channel for _, channel in others}
    assert [made.track_names[track] for track in sorted(made.track_names)] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert harmonise("run", line).notes == made.notes != harmonise("run", line, seed=1).notes


def test_of_several_parts_the_tune_is_harmonised(dice):
    chorale = demo_scores("chorales", 1)[0]
    made = harmonise("run", chorale)
    soprano = [note for note in chorale.notes if note.track == 0]
    assert [note for note in made.notes if note.track == 0] == soprano
    assert len({note.track for note in made.notes}) == 4


def test_music_without_a_melody_is_refused(dice):
    chords = Score(480, [Note(0, 480, 60), Note(0, 480, 64), Note(0, 960, 67)])
    with pytest.raises(DataError, match="the melody has no part that sings one note at a time"):
        harmonise("run", chords)
    with pytest.raises(DataError, match="x.mid holds no notes"):
        harmonise("run", Score(480, [Note(0, 480, 60, 80, 9)]), name="x.mid")
    dice.encoding = Chorale(low=60, high=72)
    high = Score(480, [Note(0, 480, 70), Note(480, 960, 90)])
    with pytest.raises(DataError, match="1 of 2 notes of the melody in x.mid lie outside the model's range, C4 to C5"):
        harmonise("run", high, name="x.mid")
    with pytest.raises(ConfigError, match="temperature must be 0"):
        harmonise("run", MELODY, temperature=-1)


@pytest.mark.parametrize("bars", [(1, 1), (2, 3), (3, 3)])
@pytest.mark.parametrize("number", range(3))
def test_all_outside_the_bars_stays(dice, bars, number):
    piece = demo_scores("chorales", number + 1, seed=7)[number]
    lines = [tick for tick, _ in piece.bars(piece.end_tick + 10_000)]
    start, end = lines[bars[0] - 1], lines[bars[1]]
    made = infill("run", piece, bars)
    inside = [note for note in piece.notes if note.start >= start and note.end <= end]
    kept = [note for note in piece.notes if note not in inside]
    assert inside
    assert [note for note in made.notes if note in set(kept)] == kept
    new = [note for note in made.notes if note not in set(kept)]
    assert new and all(start <= note.start < note.end <= end for note in new)
    assert {(note.track, note.channel) for note in new} <= {(note.track, note.channel) for note in piece.notes}
    for track in range(4):  # a voice still sings one note at a time
        voice = sorted((note for note in made.notes if note.track == track), key=lambda note: note.start)
        assert all(a.end <= b.start for a, b in zip(voice, voice[1:]))
    assert replace(made, notes=[]) == replace(piece, notes=[])
    assert infill("run", piece, bars) == made != infill("run", piece, bars, seed=1)


def test_what_reaches_into_the_gap_stays_whole(dice):
    long = [Note(0, 2400, 72, 80, 0, 0), Note(1920, 4800, 60, 80, 1, 1)]  # into the second bar; out of it
    others = [Note(480 * i, 480 * i + 480, pitch, 80, c, c) for c, pitch in ((2, 55), (3, 48)) for i in range(12)]
    piece = Score(480, long + others)
    made = infill("run", piece, (2, 2))
    assert set(long) <= set(made.notes)
    assert all(note in made.notes for note in others if not 1920 <= note.start < 3840)
    soprano = [note for note in made.notes if note.track == 0 and note not in long]
    assert all(note.start >= 2400 for note in soprano)  # sings on when the long note has ended
    assert not [note for note in made.notes if note.track == 1 and note not in long]


def test_of_two_voices_in_unison_each_keeps_its_own_note(dice):
    """The one that is held beyond the bars stays; the other is written anew. Nothing is lost without a new note."""
    if not dice.encoding.strikes:
        pytest.skip("without strikes nothing tells which of them goes on")
    soprano = [Note(0, 1440, 72), Note(1440, 3840, 65), Note(3840, 5760, 70)]
    alto = [Note(0, 1440, 60, 80, 1, 1), Note(1440, 1920, 65, 80, 1, 1), Note(1920, 5760, 62, 80, 1, 1)]
    rest = [Note(0, 5760, pitch, 80, c, c) for c, pitch in ((2, 55), (3, 48))]
    made = infill("run", Score(480, [*soprano, *alto, *rest]), (1, 1))
    assert soprano[1] in made.notes and alto[1] not in made.notes
    voice = [note for note in made.notes if note.track == 1 and note.start < 1920]
    assert voice and all(note.end <= 1920 for note in voice)
    drawn = around._sung_by(soprano[1], Score(480, [*soprano, *alto, *rest]), dice.encoding,
                              dice.encoding.encode(Score(480, [*soprano, *alto, *rest])).data,
                              [(0, 0), (1, 1), (2, 2), (3, 3)])  # fmt: skip
    assert drawn == [(0,)]


def test_in_a_tune_a_note_of_another_part_masks_nothing(dice, monkeypatch):
    monkeypatch.setattr(around, "load_model", lambda run, device: (Tunes(), type("Card", (), {"representation": (
        Grid().config())})))  # fmt: skip
    tune = [Note(480 * i, 480 * i + 480, 60 + i, 80, 0, 0) for i in range(12)]
    held = [Note(1920, 3840, 64, 60, 1, 1), Note(1920, 3840, 55, 60, 1, 1)]  # as the tune's first note of the bar
    made = infill("run", Score(480, [*tune, *held]), (2, 2))
    assert set(held) <= set(made.notes)
    assert [note for note in made.notes if note.track == 0 and 1920 <= note.start < 3840]


class Tunes(Dice):
    conditions = ("notes", "temperature")

    def __init__(self):
        self.encoding = Grid()

    def sample(self, n, length, temperature, condition, rng):
        tokens = rng.integers(10, 30, (length,))
        return [condition["fixed"].within(np.where(rng.random((length,)) < 0.6, Grid.HOLD, tokens))]


@pytest.mark.parametrize("bars", [(1, 1), (2, 3), (4, 4)])
def test_in_a_tune_all_but_the_notes_of_the_tune_in_the_bars_stays(dice, monkeypatch, bars):
    monkeypatch.setattr(around, "load_model", lambda run, device: (Tunes(), type("Card", (), {"representation": (
        Grid().config())})))  # fmt: skip
    tune = [Note(240 * i + 3, 240 * i + 200, 60 + i * 7 % 12, 30 + i, 0, 0) for i in range(29)]
    tune += [Note(1440, 2000, 50, 70, 1, 1), Note(6960, 7300, 80, 70, 0, 0)]
    chords = [Note(480 * i, 480 * i + 480, 48 + j, 60, 1, 1) for i in range(15) for j in (0, 4)]
    piece = Score(480, tune + chords)
    made = infill("run", piece, bars)
    start, end = 1920 * (bars[0] - 1), 1920 * bars[1]
    free = [n for n in piece.notes if n.track == 0 and n.start >= start and n.end <= end]
    kept = [n for n in piece.notes if n not in free]
    new = [n for n in made.notes if n not in set(kept)]
    assert free and new and [n for n in made.notes if n in set(kept)] == kept
    assert all(n.track == n.channel == 0 and start <= n.start < n.end <= end for n in new)
    assert replace(made, notes=[]) == replace(piece, notes=[])
    with pytest.raises(ConfigError, match="cannot harmonise a melody"):
        harmonise("run", piece)


def test_bars_and_voices_that_are_not_there(dice):
    piece = demo_scores("chorales", 1)[0]
    count = len(piece.bars())
    with pytest.raises(ConfigError, match=f"the piece has {count} bars, so bars 2-{count + 1} cannot be filled"):
        infill("run", piece, (2, count + 1))
    with pytest.raises(ConfigError, match="counted from 1, but are 3-2"):
        infill("run", piece, (3, 2))
    for tracks, words in (((0,), "1 voice"), ((0, 1), "2 voices")):
        fewer = replace(piece, notes=[note for note in piece.notes if note.track in tracks])
        with pytest.raises(DataError, match=f"y.mid has {words}, and the model fills"):
            infill("run", fewer, (1, 1), name="y.mid")
    three = replace(piece, notes=[note for note in piece.notes if note.track != 3])
    with pytest.raises(DataError, match=r"y.mid has 3 voices, and the model fills gaps in music of four"):
        infill("run", three, (1, 1), name="y.mid")


def test_a_model_that_cannot_says_so(dice, monkeypatch):
    monkeypatch.setattr(Dice, "conditions", ("melody",))
    with pytest.raises(ConfigError, match="the model 'dice' cannot fill a gap: train one that can"):
        infill("run", demo_scores("chorales", 1)[0], (1, 1))
    monkeypatch.setattr(Dice, "conditions", ("temperature",))
    with pytest.raises(ConfigError, match="'dice' cannot harmonise a melody: train one that can, such as .*mini-bach"):
        harmonise("run", MELODY)


def test_a_model_that_changes_what_is_given_is_caught(dice, monkeypatch):
    monkeypatch.setattr(Dice, "sample", lambda self, n, length, *rest: [np.full((length, 4), 50)])
    with pytest.raises(AssertionError, match="'dice' has changed notes that were given"):
        harmonise("run", replace(MELODY, notes=MELODY.notes[:2]))


def test_given_entries():
    with pytest.raises(ValueError, match="must have one shape"):
        Fixed(np.zeros((2, 4), np.int64), np.zeros((3, 4), np.bool_))
    fixed = Fixed(np.array([[1, 2], [3, 4]]), np.array([[True, False], [True, False]]))
    assert fixed.voice(0, 2).tolist() == [1, 3]
    assert fixed.within(np.full((2, 2), 9)).tolist() == [[1, 9], [3, 9]]
    for voice, length in ((1, 2), (0, 3)):
        with pytest.raises(ConfigError, match="must be given for all"):
            fixed.voice(voice, length)


def test_all_conditions_are_words_of_the_vocabulary():
    known = {"chords", "interpolate", "key", "melody", "notes", "primer", "temperature", "top-k", "top-p"}
    for name in registry._SHIPPED:
        assert set(registry.model_class(name).conditions) <= known
