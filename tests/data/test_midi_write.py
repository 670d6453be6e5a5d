"""Written files: every note-on has its note-off, and reading gives the music back."""

from __future__ import annotations

import os
import stat
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.midi_fuzz import mutations
from tinydl.data import Key, Meter, Note, Pedal, Score, Tempo, midi
from tinydl.data.midi_read import MAX_BEATS
from tinydl.data.midi_write import as_written
from tinydl.data.score import KEY_NAMES
from tinydl.errors import MidiError


def there_and_back(score: Score) -> Score:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mid"
        midi.write(score, path)
        again, report = midi.read(path)
        assert report.status == "ok", report.dropped
        assert os.listdir(folder) == ["song.mid"]
        check_note_offs(path)
    return again


def check_note_offs(path: Path) -> None:
    """Read by mido itself: no note-off without a note, and none missing, on any track and channel at any time."""
    from mido import MidiFile

    for track in MidiFile(path).tracks:
        sounding: Counter[tuple[int, int]] = Counter()
        for message in track:
            if message.type == "note_on":
                assert message.velocity > 0
                sounding[message.channel, message.note] += 1
            elif message.type == "note_off":
                sounding[message.channel, message.note] -= 1
                assert sounding[message.channel, message.note] >= 0
        assert not any(sounding.values())
        assert track[-1].type == "end_of_track"


ticks = st.integers(0, 5_000)
channels = st.integers(0, 15) | st.just(0)
tracks = st.integers(0, 3) | st.just(0)


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(ticks)
    return start, start + draw(st.integers(1, 2_000))


@st.composite
def notes(draw: st.DrawFn) -> Note:
    pitch = st.integers(0, 127) | st.sampled_from((60, 61))  # few pitches too, so that some overlap
    return Note(*draw(spans()), draw(pitch), draw(st.integers(1, 127)), draw(channels), draw(tracks))


def at_different_ticks(events: st.SearchStrategy[tuple[int, ...]]) -> st.SearchStrategy[list[tuple[int, ...]]]:
    return st.lists(events, max_size=5, unique_by=lambda event: event[0])


@st.composite
def scores(draw: st.DrawFn) -> Score:
    denominators = st.sampled_from((1, 2, 4, 8, 16, 32, 64))
    return Score(
        draw(st.integers(1, 0x7FFF)),
        draw(st.lists(notes(), min_size=1, max_size=30)),
        [Tempo(*t) for t in draw(at_different_ticks(st.tuples(ticks, st.integers(1, 0xFFFFFF))))],
        [Meter(*m) for m in draw(at_different_ticks(st.tuples(ticks, st.integers(1, 255), denominators)))],
        [Key(*k) for k in draw(at_different_ticks(st.tuples(ticks, st.sampled_from(sorted(KEY_NAMES)))))],  # type: ignore[arg-type]
        [Pedal(*s, c, t) for s, c, t in draw(st.lists(st.tuples(spans(), channels, tracks), max_size=6))],
        draw(st.dictionaries(st.tuples(tracks, channels), st.integers(0, 127), max_size=4)),
        draw(st.dictionaries(tracks, st.text(st.characters(exclude_categories=["Cs"])), max_size=3)),
    )


@settings(max_examples=100)
@given(scores())
def test_reading_gives_the_music_back(score: Score) -> None:
    short = MAX_BEATS * score.ticks_per_beat >= max(score.end_tick, *(p.end for p in score.pedals), 0)
    again = there_and_back(score if short else score.rescale(480))
    assert again == as_written(score if short else score.rescale(480))


@settings(max_examples=50)
@given(scores())
def test_what_is_written_changes_only_what_midi_cannot_tell(score: Score) -> None:
    written = as_written(score)
    assert as_written(written) == written
    assert Counter(n.start for n in written.notes) == Counter(n.start for n in score.notes)
    assert Counter((n.end, n.pitch) for n in written.notes) == Counter((n.end, n.pitch) for n in score.notes)

    def nested(n: Note) -> bool:
        return any(
            (m.track, m.channel, m.pitch) == (n.track, n.channel, n.pitch) and m.start <= n.start and n.end < m.end
            for m in score.notes
        )

    if not any(nested(n) for n in score.notes):
        assert written.notes == score.notes


def test_a_note_within_a_longer_one_exchanges_its_end() -> None:
    score = Score(notes=[Note(0, 100, 60, 1), Note(20, 50, 60, 2), Note(20, 50, 60, 3, 1), Note(20, 50, 61, 4)])
    expected = [Note(0, 50, 60, 1), Note(20, 100, 60, 2), Note(20, 50, 60, 3, 1), Note(20, 50, 61, 4)]
    assert there_and_back(score) == as_written(score) == Score(notes=expected)


def test_equal_notes_that_touch() -> None:
    score = Score(notes=[Note(0, 10, 60), Note(10, 20, 60), Note(20, 21, 60), Note(21, 40, 60)])
    assert there_and_back(score) == score


def test_odd_meters_triplets_tempos_and_pedal() -> None:
    """5/8 and 7/8 bars, eighth-note triplets, a ritardando, pedal from bar to bar."""
    bars = [1200, 1680, 1200]  # 5/8, 7/8, 5/8 at 480 ticks a beat
    score = Score(
        480,
        [Note(k * 160, k * 160 + 160, 60 + k % 12, 40 + k) for k in range(25)],
        [Tempo(0, 500_000), *(Tempo(2880 + 120 * k, 500_000 + 50_000 * k) for k in range(1, 10))],
        [Meter(0, 5, 8), Meter(bars[0], 7, 8), Meter(bars[0] + bars[1], 5, 8)],
        [Key(0, "Ebm")],
        [Pedal(0, 1200), Pedal(1200, 2880), Pedal(2880, 4000)],
        {(0, 0): 0},
        {0: "Tänze ♪"},
    )
    again = there_and_back(score)
    assert again == score and again.seconds == score.seconds


def test_a_file_that_was_salvaged_is_written_and_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    for data in mutations(11, 60):
        try:
            score, _ = midi.parse(data)
        except MidiError:
            continue
        if score.end_tick <= MAX_BEATS * score.ticks_per_beat:
            midi.write(score, path)
            again, report = midi.read(path)
            assert report.status == "ok" and again.notes == as_written(score).notes


GOOD = Score(notes=[Note(0, 480, 60)])
BAD = {
    "pitch of the note at tick 0 is 128, outside 0..127": replace(GOOD, notes=[Note(0, 1, 128)]),
    "pitch of the note at tick 0 is -1": replace(GOOD, notes=[Note(0, 1, -1)]),
    "pitch of the note at tick 0 is 60.5, not a whole": replace(GOOD, notes=[Note(0, 1, 60.5)]),  # type: ignore[arg-type]
    "velocity of the note at tick 3 is 0, outside 1..127": replace(GOOD, notes=[Note(3, 4, 60, 0)]),
    "channel of the note at tick 0 is 16": replace(GOOD, notes=[Note(0, 1, 60, 80, 16)]),
    "track at tick 0 is -1": replace(GOOD, notes=[Note(0, 1, 60, 80, 0, -1)]),
    "end of a note that starts at tick 5 is 5": replace(GOOD, notes=[Note(5, 5, 60)]),
    "start of a note is -1": replace(GOOD, notes=[Note(-1, 5, 60)]),
    "end of a note that starts at tick 0 is 9600001": replace(GOOD, notes=[Note(0, 9_600_001, 60)]),
    "tempo at tick 0 in microseconds is 0": replace(GOOD, tempos=[Tempo(0, 0)]),
    "tick of a tempo is -4": replace(GOOD, tempos=[Tempo(-4, 500_000)]),
    "denominator of the meter at tick 0 is 6, not a power of two": replace(GOOD, meters=[Meter(0, 4, 6)]),
    "numerator of the meter at tick 0 is 0": replace(GOOD, meters=[Meter(0, 0, 4)]),
    "'H' is no key signature": replace(GOOD, keys=[Key(0, "H")]),
    "program of channel 0 is 128": replace(GOOD, programs={(0, 0): 128}),
    "ticks_per_beat is 32768": replace(GOOD, ticks_per_beat=0x8000),
    "600000 notes": replace(GOOD, notes=[Note(0, 1, 60)] * 600_000),
}


@pytest.mark.parametrize("why", BAD)
def test_what_no_file_can_hold_is_refused_in_one_sentence(why: str, tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(b"before")
    with pytest.raises(MidiError) as caught:
        midi.write(BAD[why], path)
    assert str(caught.value).startswith(f"cannot write {path}: ") and why in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["song.mid"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MidiError, match="No such file or directory"):
        midi.write(GOOD, tmp_path / "nowhere" / "song.mid")
    (tmp_path / "folder").mkdir()
    with pytest.raises(MidiError, match="Is a directory"):
        midi.write(GOOD, tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "song.mid"
    midi.write(GOOD, path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MidiError, match="No space left on device"):
        midi.write(replace(GOOD, notes=[]), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["song.mid"]


def test_a_written_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    midi.write(GOOD, tmp_path / "song.mid")
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "song.mid").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_the_same_score_gives_the_same_bytes(tmp_path: Path) -> None:
    midi.write(GOOD, tmp_path / "a.mid")
    midi.write(GOOD.copy(), tmp_path / "b.mid")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_a_score_without_notes_is_a_file_too() -> None:
    assert there_and_back(Score()) == Score()


def test_the_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    score = Score(480, [Note(0, 480, 60), Note(480, 960, 64, 100)], meters=[Meter(0, 3, 4)])
    midi.write(score, tmp_path / "a.mid")
    assert midi.to_bytes(score) == (tmp_path / "a.mid").read_bytes()
    with pytest.raises(MidiError, match="^cannot write the piece: "):
        midi.to_bytes(Score(480, [Note(0, 480, 128)]))
