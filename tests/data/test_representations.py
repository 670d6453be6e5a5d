"""Representations: what they keep comes back exactly, and the account of what they lose adds up."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.data import Key, Meter, Note, Pedal, Score, Tempo, representation
from tinydl.data.representations import REPRESENTATIONS, Chorale, Encoded, Events, Melody, PianoRoll, bars_to_steps
from tinydl.data.score import DRUM_CHANNEL
from tinydl.errors import ConfigError

ALL = [PianoRoll(), PianoRoll(step="1/12", low=40, high=80), Events(), Events(step=0.25, max_shift=5), Melody(),
       Melody(step="1/12", bars=False, max_length=7), Chorale(), Chorale(step="1/3"), Chorale(low=48, high=70),
       Chorale(strikes=False)]  # fmt: skip
IDS = [f"{r.name}-{r.step}" for r in ALL]


def sounds(score: Score) -> list[tuple[Fraction, Fraction, int]]:
    """The notes as (start, end, pitch), in beats."""
    beat = score.ticks_per_beat
    return sorted((Fraction(n.start, beat), Fraction(n.end, beat), n.pitch) for n in score.notes)


def check_account(encoded: Encoded, score: Score, decoded: Score) -> None:
    """The counts add up, and agree with what decoding gave."""
    loss = encoded.loss
    lost = sum(loss.get(key, 0) for key in ("drums", "out_of_range", "beyond", "merged", "other_voices"))
    assert loss["notes"] == len(score.notes) == loss["kept"] + lost
    assert loss["kept"] == len(decoded.notes)
    assert loss["drums"] == sum(note.channel == DRUM_CHANNEL for note in score.notes)
    json.dumps(loss)
    if encoded.exact:
        assert sounds(decoded) == sounds(score)


@st.composite
def notes(draw: st.DrawFn) -> Note:
    start = draw(st.integers(0, 4000))
    length = draw(st.integers(1, 2000))
    pitch = draw(st.integers(0, 127) | st.sampled_from((60, 61, 72)))
    channel = draw(st.sampled_from((0, 0, 1, DRUM_CHANNEL)))
    return Note(start, start + length, pitch, 80, channel, draw(st.integers(0, 4)))


meters = st.tuples(st.integers(0, 4000), st.integers(1, 13), st.sampled_from((2, 4, 8, 16)))
scores = st.builds(
    lambda beat, notes, meters: Score(beat, notes, meters=[Meter(*meter) for meter in meters]),
    st.integers(1, 1000),
    st.lists(notes(), max_size=30),
    st.lists(meters, max_size=3),
)


@pytest.mark.parametrize("rep", ALL, ids=IDS)
@settings(max_examples=60)
@given(score=scores)
def test_any_score(rep: Any, score: Score) -> None:
    """The account holds, no note moves by more than it says, and encoding what was decoded changes nothing."""
    encoded = rep.encode(score)
    decoded = rep.decode(encoded.data)
    check_account(encoded, score, decoded)
    again = rep.encode(decoded)
    assert again.loss["quantised"] == 0
    # (The melody of another meter than it can name has other bar lines; the chorale's voices may be found anew.)
    if rep.name in ("roll", "events") or (rep.name == "melody" and not rep.bars):
        assert np.array_equal(again.data, encoded.data)
    if encoded.loss["kept"] == encoded.loss["notes"] and not encoded.loss["shortened"]:
        for time in (0, 1):  # starts, ends
            before, after = (sorted((sound[2], sound[time]) for sound in sounds(s)) for s in (score, decoded))
            assert [pitch for pitch, _ in before] == [pitch for pitch, _ in after]
            shift = max((abs(t1 - t2) for (_, t1), (_, t2) in zip(before, after)), default=0)
            assert shift <= encoded.loss["max_shift_beats"] + 1e-9


@st.composite
def tunes(draw: st.DrawFn) -> Score:
    """One voice on the grid of 1/24 beat, in changing odd meters."""
    now, line = 0, []
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from((0, 0, 0, 20, 120, 2000)))
        length = draw(st.sampled_from((20, 60, 80, 120, 160, 240, 480, 3840)))
        line.append(Note(now, now + length, draw(st.integers(36, 96))))
        now += length
    return Score(480, line, meters=[Meter(0, *draw(st.sampled_from(((5, 8), (7, 8), (6, 8), (4, 4)))))])


@settings(max_examples=100)
@given(tunes())
def test_a_tune_on_the_grid_comes_back_exactly(score: Score) -> None:
    for rep in (Melody(), Events(), Chorale(step="1/24")):
        encoded = rep.encode(score)
        assert encoded.exact
        decoded = rep.decode(encoded.data)
        assert sounds(decoded) == sounds(score)
        if isinstance(rep, Melody):
            assert decoded.meters == score.meters


@settings(max_examples=100)
@given(st.data())
def test_any_tokens_decode(data: st.DataObject) -> None:
    """A model may emit anything: every sequence of tokens is a piece, and every note of it is closed."""
    rep = data.draw(st.sampled_from((Events(), Melody(), Events(step=4), Melody(step=16))))
    tokens = data.draw(st.lists(st.integers(0, rep.vocabulary_size - 1), max_size=80))
    score = rep.decode(np.array(tokens, dtype=np.int64))
    for note in score.notes:
        assert 0 <= note.start < note.end <= 20_000 * score.ticks_per_beat
        assert rep.low <= note.pitch <= rep.high
    assert np.array_equal(rep.decode(rep.encode(score).data).array(), score.array()) or isinstance(rep, Melody)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(-2, 127), min_size=4, max_size=4), max_size=20))
def test_any_grid_decodes_as_a_chorale(grid: list[list[int]]) -> None:
    score = Chorale().decode(np.array(grid, dtype=np.int64).reshape(-1, 4))
    assert all(note.start < note.end for note in score.notes)
    assert len(score.notes) == sum(value >= 0 for row in grid for value in row)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(-1, 127), min_size=4, max_size=4), max_size=20))
def test_sounding_pitches_come_back_from_either_chorale(grid: list[list[int]]) -> None:
    pitches = np.array(grid, dtype=np.int64).reshape(-1, 4)
    struck, plain = Chorale(), Chorale(strikes=False)
    assert np.array_equal(struck.sounding(struck.of_sounding(pitches)), pitches)
    assert np.array_equal(plain.of_sounding(pitches), pitches)
    assert struck.decode(struck.of_sounding(pitches)).array().tolist() == plain.decode(pitches).array().tolist()


def test_a_chorale_without_strikes_counts_the_notes_that_it_joins() -> None:
    notes = [Note(0, 480, 60), Note(480, 960, 60), Note(960, 1440, 62), Note(1560, 1680, 62), Note(0, 1680, 30)]
    score = Score(480, notes)
    found = Chorale(strikes=False, low=36).encode(score)
    assert (found.loss["merged"], found.loss["out_of_range"], found.loss["kept"]) == (1, 1, 3)
    voice = found.data[:, (found.data >= 0).any(0)][:, 0]
    assert voice.tolist() == [60] * 8 + [62] * 4 + [-1] + [62]
    assert [(n.start, n.end, n.pitch) for n in Chorale(strikes=False).decode(found.data).notes] == [
        (0, 960, 60), (960, 1440, 62), (1560, 1680, 62)]  # fmt: skip
    assert Chorale().sounding(np.array([[-2], [60], [-2], [-1], [-2]])).tolist() == [[-1], [60], [60], [-1], [-1]]
    with pytest.raises(ConfigError, match="need 0 <= low <= high <= 127, got low=70, high=60"):
        Chorale(low=70, high=60)


def test_endless_shifts_stay_within_what_a_file_may_hold() -> None:
    rep = Events(step=1)
    tokens = [3, *[rep.vocabulary_size - 1] * 1000, 4, *[rep.vocabulary_size - 1] * 1000]
    assert rep.decode(np.array(tokens)).beats == 20_000


# --- named cases ------------------------------------------------------------------------------------------------------

ODD = Score(
    480,
    [Note(240 * k, 240 * k + 240, 60 + k % 5) for k in range(24)],
    [Tempo(0, 400_000), Tempo(1200, 600_000)],
    [Meter(0, 5, 8), Meter(1200, 7, 8), Meter(2880, 5, 8)],
    [Key(0, "Dm")],
)


@pytest.mark.parametrize("rep", [Events(), Melody(), Chorale(), PianoRoll()], ids=lambda rep: rep.name)
def test_five_eight_and_seven_eight_with_tempo_changes(rep: Any) -> None:
    """``like`` gives back the maps that the array does not hold, and so the seconds too."""
    encoded = rep.encode(ODD)
    assert encoded.exact
    decoded = rep.decode(encoded.data, like=ODD)
    assert sounds(decoded) == sounds(ODD)
    assert (decoded.tempos, decoded.meters, decoded.keys) == (ODD.tempos, ODD.meters, ODD.keys)
    assert decoded.seconds == ODD.seconds


def test_triplets_need_a_grid_that_holds_them() -> None:
    triplets = Score(480, [Note(160 * k, 160 * k + 160, 60 + k % 3) for k in range(12)])
    for rep in (Events(), Melody(), Chorale(step="1/12"), PianoRoll(step="1/3")):
        assert rep.encode(triplets).exact
        assert sounds(rep.decode(rep.encode(triplets).data)) == sounds(triplets)
    loss = Chorale().encode(triplets).loss
    assert loss["quantised"] == 12  # of three notes each touches a time off the grid of sixteenths
    assert loss["max_shift_beats"] == pytest.approx(1 / 12)


def test_pedal_is_named_as_lost_or_sustained_before() -> None:
    score = Score(480, [Note(0, 240, 60), Note(480, 720, 64)], pedals=[Pedal(0, 960)])
    plain = Events().encode(score)
    assert "pedal" in plain.loss["not_kept"] and sounds(Events().decode(plain.data)) == sounds(score)
    heard = Events().encode(score.apply_pedal())
    assert heard.loss["not_kept"] == []
    assert sounds(Events().decode(heard.data)) == [(0, 2, 60), (1, 2, 64)]


def test_what_is_not_kept_is_named() -> None:
    score = Score(
        480,
        [Note(0, 480, 60, 80), Note(0, 480, 64, 81, track=1)],
        [Tempo(0, 9)],
        [Meter(0, 11, 8)],
        [Key(0, "C")],
        programs={(0, 0): 40},
        track_names={0: "Violin"},
    )
    names = ["velocities", "tracks and channels", "tempos", "meters", "keys", "programs", "track names"]
    assert PianoRoll().encode(score).loss["not_kept"] == names
    names.remove("meters")
    assert Melody().encode(score).loss["not_kept"] == [*names, "meter 11/8"]


def test_roll_columns_and_steps() -> None:
    roll = PianoRoll().encode(Score(480, [Note(0, 240, 21), Note(120, 480, 108)])).data
    assert roll.shape == (4, 88) and roll.dtype == np.bool_
    assert roll[:, 0].tolist() == [True, True, False, False]
    assert roll[:, 87].tolist() == [False, True, True, True]
    assert roll.sum() == 5


def test_roll_joins_repeated_notes_and_says_so() -> None:
    score = Score(480, [Note(0, 480, 60), Note(480, 960, 60), Note(240, 720, 60), Note(1200, 1440, 60)])
    encoded = PianoRoll().encode(score)
    assert encoded.loss["merged"] == 2 and not encoded.exact
    assert sounds(PianoRoll().decode(encoded.data)) == [(0, 2, 60), (Fraction(5, 2), 3, 60)]


def test_roll_of_floats_and_of_another_shape() -> None:
    assert len(PianoRoll().decode(np.eye(88, dtype=np.float32)).notes) == 88
    with pytest.raises(ValueError, match=r"expected a roll of shape \[T, 88\], got \[3, 87\]"):
        PianoRoll().decode(np.zeros((3, 87)))


@pytest.mark.parametrize("rep", ALL, ids=IDS)
def test_empty(rep: Any) -> None:
    encoded = rep.encode(Score())
    assert encoded.loss["notes"] == 0 and encoded.exact
    assert rep.decode(encoded.data).notes == []


def test_a_piece_of_days_has_no_dense_roll_of_days() -> None:
    score = Score(480, [Note(0, 480, 60), Note(480 * 100_000, 480 * 100_001, 60)])
    encoded = PianoRoll().encode(score)
    assert encoded.loss["beyond"] == 1 and encoded.data.shape == (4, 88)
    long = PianoRoll().encode(Score(480, [Note(0, 480 * 10**6, 60)]))
    assert long.data.nbytes < 20_000_000 and long.loss["shortened"] == 1 and not long.exact


def test_events_tokens() -> None:
    rep = Events()
    names = rep.vocabulary()
    assert len(names) == rep.vocabulary_size == 275
    score = Score(480, [Note(0, 480, 60), Note(480, 1200 + 1920, 60), Note(480, 600, 64)])
    assert [names[token] for token in rep.encode(score).data] == [
        "BOS", "ON 60", "SHIFT 24", "OFF 60", "ON 60", "ON 64", "SHIFT 6", "OFF 64", "SHIFT 96", "SHIFT 30", "OFF 60",
        "EOS",
    ]  # fmt: skip


def test_events_of_notes_that_collide() -> None:
    score = Score(480, [Note(0, 960, 60), Note(480, 720, 60), Note(480, 600, 60, channel=1)])
    encoded = Events().encode(score)
    assert (encoded.loss["merged"], encoded.loss["shortened"], encoded.loss["kept"]) == (1, 1, 2)
    assert sounds(Events().decode(encoded.data)) == [(0, 1, 60), (1, Fraction(3, 2), 60)]


def test_melody_tokens_of_a_slip_jig_with_upbeat() -> None:
    rep = Melody()
    names = rep.vocabulary()
    assert len(names) == rep.vocabulary_size
    notes = [Note(1920, 2160, 74), Note(2160, 2640, 79), Note(3360, 4560, 83)]  # a bar is 2160 ticks
    score = Score(480, notes, meters=[Meter(0, 9, 8), Meter(4320, 3, 4)])
    assert [names[token] for token in rep.encode(score).data] == [
        "BOS", "METER 9/8", "BAR", "REST", "LENGTH 96", "PITCH 74", "LENGTH 12", "BAR", "PITCH 79", "LENGTH 24",
        "REST", "LENGTH 36", "PITCH 83", "LENGTH 60", "EOS",
    ]  # fmt: skip
    assert [names[t] for t in rep.encode(Score(480, [Note(2400, 4800, 60)])).data] == [
        "BOS", "METER 4/4", "BAR", "REST", "LENGTH 96", "BAR", "REST", "LENGTH 24", "PITCH 60", "LENGTH 96",
        "LENGTH 24", "EOS",
    ]  # fmt: skip


def test_melody_counts_bars() -> None:
    score = Score(480, [Note(480 * k, 480 * k + 480, 60 + k % 7) for k in range(4 * 9)])
    rep = Melody()
    assert int((rep.encode(score).data == rep.BAR).sum()) == 9


def test_melody_is_the_high_part_that_is_one_voice() -> None:
    tune = [Note(480 * k, 480 * k + 480, 62 + k % 7, track=0) for k in range(8)]
    chords = [Note(960 * k, 960 * k + 960, p, track=1) for k in range(4) for p in (72, 76, 79)]  # higher, not one voice
    bass = [Note(960 * k, 960 * k + 960, 40, track=2) for k in range(4)]
    flute = [Note(0, 480, 90, track=3)]  # higher, but not much of a part
    many = [Note(240 * k, 240 * k + 240, 45 + k % 3, track=4) for k in range(16)]
    encoded = Melody().encode(Score(480, tune + chords + bass + flute + many))
    assert sounds(Melody().decode(encoded.data)) == sounds(Score(480, tune))
    assert encoded.loss["other_voices"] == 12 + 4 + 1 + 16


def test_melody_of_one_part_is_its_upper_line() -> None:
    upper = [Note(0, 480, 72), Note(480, 1440, 76), Note(1440, 1920, 74)]
    lower = [Note(0, 480, 60), Note(480, 960, 64), Note(960, 1440, 62), Note(1440, 1920, 59)]
    encoded = Melody().encode(Score(480, upper + lower))
    assert sounds(Melody().decode(encoded.data)) == sounds(Score(480, upper))
    assert encoded.loss["other_voices"] == 4


def chorale_notes(part: str) -> list[Note]:
    """Two chords and a passing note in the alto; ``part`` says what tells the voices apart."""
    lines = [[(0, 480, 72), (480, 960, 74)], [(0, 240, 67), (240, 480, 65), (480, 960, 67)], [(0, 960, 59)],
             [(0, 480, 48), (480, 960, 43)]]  # fmt: skip
    return [
        Note(s, e, p, 80, voice if part == "channel" else 0, voice if part == "track" else 0)
        for voice, line in enumerate(lines)
        for s, e, p in line
    ]


@pytest.mark.parametrize("part", ["track", "channel", "nothing"])
def test_chorale_grid_and_tracks(part: str) -> None:
    rep = Chorale()
    encoded = rep.encode(Score(480, chorale_notes(part)))
    assert encoded.data.tolist() == [
        [72, 67, 59, 48], [-2, -2, -2, -2], [-2, 65, -2, -2], [-2, -2, -2, -2],
        [74, 67, -2, 43], [-2, -2, -2, -2], [-2, -2, -2, -2], [-2, -2, -2, -2],
    ]  # fmt: skip
    assert encoded.exact
    decoded = rep.decode(encoded.data, program=52)
    assert [note for note in decoded.notes if note.track == 1] == [
        Note(0, 240, 67, 80, 1, 1), Note(240, 480, 65, 80, 1, 1), Note(480, 960, 67, 80, 1, 1)
    ]  # fmt: skip
    assert list(decoded.track_names.values()) == ["Soprano", "Alto", "Tenor", "Bass"]
    assert decoded.programs == {(v, v): 52 for v in range(4)}


def test_chorale_voices_that_cross_keep_to_their_tracks() -> None:
    alto_above = [Note(0, 480, 70, track=0), Note(480, 960, 60, track=0), Note(960, 1440, 70, track=0),
                  Note(0, 1440, 65, track=1), Note(0, 1440, 55, track=2), Note(0, 1440, 45, track=3)]  # fmt: skip
    data = Chorale().encode(Score(480, alto_above)).data
    assert data[4].tolist() == [60, -2, -2, -2]


def test_chorale_leaves_out_a_fifth_note_and_rests_where_nobody_sings() -> None:
    chord = [Note(0, 480, pitch) for pitch in (40, 50, 55, 60, 70)]
    encoded = Chorale().encode(Score(480, [*chord, Note(720, 960, 71)]))
    assert encoded.loss["other_voices"] == 1
    assert encoded.data[0].tolist() == [70, 60, 50, 40]
    assert encoded.data[4:6].tolist() == [[-1] * 4] * 2
    assert encoded.data[6].tolist() == [71, -1, -1, -1]


def test_chorale_gives_a_lone_note_to_the_nearest_voice() -> None:
    chord = [Note(0, 240, pitch) for pitch in (72, 67, 59, 48)]
    data = Chorale().encode(Score(480, [*chord, Note(240, 480, 57), Note(480, 720, 68), Note(480, 720, 47)])).data
    assert data[2].tolist() == [-1, -1, 57, -1]
    assert data[4].tolist() == [-1, 68, -1, 47]


def test_chorale_hold_of_nothing_is_a_rest() -> None:
    assert Chorale().decode(np.array([[-2, -1, 60, -2], [-2, -2, -2, -2]])).notes == [Note(0, 240, 60, 80, 2, 2)]


@pytest.mark.parametrize(
    ("rep", "data", "why"),
    [
        (Events(), np.array([275]), "token 275 lies outside the vocabulary of 275"),
        (Events(), np.array([-1]), "token -1"),
        (Melody(), np.array([[1]]), r"shape \[L\]"),
        (Melody(), np.array([0.5]), "integer tokens"),
        (Chorale(), np.zeros((2, 3), int), r"shape \[T, 4\]"),
        (Chorale(), np.full((2, 4), 128), "whole numbers"),
    ],
)
def test_arrays_that_are_no_piece(rep: Any, data: np.ndarray, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rep.decode(data)


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rep", ALL, ids=IDS)
def test_configuration_there_and_back(rep: Any) -> None:
    config = json.loads(json.dumps(rep.config()))
    again = representation(config)
    assert again.config() == rep.config() and type(again) is type(rep)
    assert type(rep).from_config(config) == again == representation(again)
    score = Score(480, [Note(77, 500, 60), Note(500, 1700, 62)])
    assert np.array_equal(again.encode(score).data, rep.encode(score).data)


def test_names_and_fields() -> None:
    assert {name: type(representation(name)) for name in REPRESENTATIONS} == REPRESENTATIONS
    assert representation("roll", step=0.5, low=30).config() == {"name": "roll", "step": "1/2", "low": 30, "high": 108}
    assert representation(PianoRoll(), step=1).config()["step"] == "1"
    with pytest.raises(ConfigError, match="unknown representation 'rol'; did you mean 'roll'"):
        representation("rol")
    with pytest.raises(ConfigError, match="no field 'steps'; did you mean 'step'"):
        representation("roll", steps=1)
    for step in ("x", 0, -1, 17, "1/0", float("nan"), float("inf"), None, 1e-9):
        with pytest.raises(ConfigError, match="step"):
            representation("roll", step=step)
    with pytest.raises(ConfigError, match="no range within 0..127"):
        representation("events", low=60, high=59)
    with pytest.raises(ConfigError, match="max_shift"):
        representation("events", max_shift=0)
    with pytest.raises(ConfigError, match="max_length"):
        representation("melody", max_length=0)


def test_steps_of_bars() -> None:
    assert bars_to_steps(8) == 128
    assert bars_to_steps(2, (5, 8)) == 20 and bars_to_steps(3, Meter(0, 7, 8), step="1/12") == 126
    assert bars_to_steps(1, (7, 8), step=1) == 4  # rounded up
    assert PianoRoll(step=1 / 3).steps(1, (3, 4)) == 9
