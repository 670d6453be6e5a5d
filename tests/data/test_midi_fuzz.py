"""Damaged files: salvaged, or refused in one sentence; never another exception, a hang, or a memory bomb."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.midi_fuzz import CONDUCTOR, header, healthy, melody, mutations, number, track
from tinydl.data import Note, Score, midi
from tinydl.data.midi_read import MAX_BEATS, MAX_EVENTS
from tinydl.errors import MidiError

SECONDS = 2.0  # per file, on a core of one's own; a busy machine that shares its cores may take three times as long
MEGABYTES = 512


def check(data: bytes, allowed: float = 3 * SECONDS) -> Score | None:
    """Parses, and checks every promise that holds for any bytes whatever."""
    begin = time.process_time()
    try:
        score, report = midi.parse(data, "song.mid")
    except MidiError as error:
        message = str(error)
        assert message.startswith("cannot read song.mid: ")
        assert len(message.splitlines()) == 1 and len(message) < 1000
        assert time.process_time() - begin < allowed
        return None
    assert time.process_time() - begin < allowed
    assert report.status == ("salvaged" if report.dropped else "ok")
    assert all(drop.count > 0 and drop.reason for drop in report.dropped)
    assert report.notes == len(score.notes)
    assert score.notes == Score(notes=score.notes).notes  # sorted as a Score's notes are
    longest = MAX_BEATS * score.ticks_per_beat * (2 if report.type == 2 else 1)
    for note in score.notes:
        assert 0 <= note.start < note.end <= longest + 1
        assert 0 <= note.pitch <= 127 and 1 <= note.velocity <= 127 and 0 <= note.channel <= 15
    assert report.seconds >= 0
    return score


@pytest.mark.parametrize("seed", range(5))
def test_damaged_files(seed: int) -> None:
    salvaged = sum(check(data) is not None for data in mutations(seed, 1000))
    assert salvaged > 850  # most of such damage leaves most of the music


def test_same_seed_same_damage() -> None:
    assert list(mutations(5, 20)) == list(mutations(5, 20)) != list(mutations(6, 20))


def test_healthy_files_are_ok() -> None:
    for data in healthy(random.Random(0)):
        _, report = midi.parse(data)
        assert report.status == "ok", report
        assert report.notes >= 30


@pytest.mark.parametrize("seed", range(2))
def test_noise(seed: int) -> None:
    rng = random.Random(seed)
    for size in (0, 1, 4, 13, 14, 15, 22, 23, 100, 3000):
        check(rng.randbytes(size))
        check(header() + rng.randbytes(size))
        check(header() + track(rng.randbytes(size)))
        check(header() + track(bytes(rng.randrange(128) for _ in range(size))))


def reasons(report: midi.Report) -> dict[str, int]:
    return {drop.reason: drop.count for drop in report.dropped}


def song(notes: int = 8) -> tuple[bytes, list[Note]]:
    """Events of an even line of notes (each with its status byte), and the notes: one beat each, 480 ticks a beat."""
    content = b"".join(
        bytes((0, 0x90, 60 + k, 80)) + number(480) + bytes((0x80, 60 + k, 64)) for k in range(notes)
    )
    return content, [Note(480 * k, 480 * (k + 1), 60 + k) for k in range(notes)]


EVENTS, NOTES = song()


def test_the_song_itself() -> None:
    score, report = midi.parse(header() + track(EVENTS))
    assert score.notes == NOTES
    assert (report.status, report.type, report.tracks, report.ticks_per_beat, report.seconds) == ("ok", 1, 1, 480, 4.0)


@pytest.mark.parametrize("keep", range(14, 14 + 8 + len(EVENTS)))
def test_truncated_anywhere(keep: int) -> None:
    data = (header() + track(EVENTS))[:keep]
    score = check(data)
    whole = max(0, (keep - 22) // 9)  # a note takes 9 bytes; the last may be cut before its note-off
    if score is None:
        assert whole == 0
    else:
        assert score.notes[:whole] == NOTES[:whole]


@pytest.mark.parametrize("length", [0, 1, 5, 7, 200, 0x7FFFFFFF, 0xFFFFFFFF])
def test_wrong_header_length(length: int) -> None:
    score, report = midi.parse(header(length=length) + track(EVENTS))
    assert score.notes == NOTES and reasons(report) == {"wrong header length": 1}


@pytest.mark.parametrize("length", [0, 1, 20, 1000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_wrong_track_length(length: int) -> None:
    second = track(b"\x00\x91\x30\x40\x60\x81\x30\x40")
    score, report = midi.parse(header(tracks=2) + track(EVENTS, length=length) + second)
    assert [note for note in score.notes if note.track == 0] == NOTES
    assert [note for note in score.notes if note.track == 1] == [Note(0, 96, 0x30, 0x40, 1, 1)]
    assert reasons(report) == {"wrong track length": 1}


@pytest.mark.parametrize("named", [0, 1, 16_000, 65_535])
def test_wrong_track_count(named: int) -> None:
    score, report = midi.parse(header(tracks=named) + 2 * track(EVENTS))
    assert len(score.notes) == 16 and report.tracks == 2
    assert reasons(report) == {f"header names {named} tracks, the file holds 2": abs(named - 2)}


def test_sixteen_thousand_tracks() -> None:
    begin = time.process_time()
    score, report = midi.parse(header(tracks=16_000) + 15_999 * track(b"") + track(EVENTS))
    assert time.process_time() - begin < 3 * SECONDS
    assert report.status == "ok" and report.tracks == 16_000
    assert [note.track for note in score.notes] == [15_999] * 8


@pytest.mark.parametrize("division", [0, 0xE700, 0xE800])
def test_division_zero_is_refused(division: int) -> None:
    with pytest.raises(MidiError, match=r"^cannot read song\.mid: its time division is 0"):
        midi.parse(header(division=division) + track(EVENTS), "song.mid")


@pytest.mark.parametrize(
    ("frames", "per_frame", "seconds"),
    [(24, 20, 8.0), (25, 40, 3.84), (30, 80, 1.6), (29, 80, 1.6016), (25, 1, 153.6), (24, 1, 160.0)],
)
def test_smpte_division(frames: int, per_frame: int, seconds: float) -> None:
    """8 notes of 480 ticks = 3840 ticks, at frames * per_frame ticks a second, the tempo event notwithstanding."""
    data = header(division=(256 - frames) << 8 | per_frame) + track(b"\x00\xff\x51\x03\x01\x00\x00" + EVENTS)
    score, report = midi.parse(data)
    assert score.seconds == report.seconds == pytest.approx(seconds, rel=1e-12)
    assert report.status == "ok" and len(score.notes) == 8


def test_unknown_frame_rate_is_a_damaged_sign_bit() -> None:
    score, report = midi.parse(header(division=0x8000 | 480) + track(EVENTS))
    assert score.notes == NOTES and score.ticks_per_beat == 480 and report.status == "salvaged"


def test_riff() -> None:
    inner = header() + track(EVENTS)
    data = b"RIFF" + struct.pack("<I", len(inner) + 12) + b"RMIDdata" + struct.pack("<I", len(inner)) + inner
    for after in (b"", b"LIST\x04\0\0\0INFO", b"LIST\x10\0\0\0INFOICOP\x04\0\0\0nuts"):
        score, report = midi.parse(data + after)
        assert score.notes == NOTES and report.status == "ok"


def test_something_before_the_header() -> None:
    score, report = midi.parse(b"From: a friend\n" + header() + track(EVENTS))
    assert score.notes == NOTES and reasons(report) == {"bytes before the header": 15}


def test_damaged_header_name() -> None:
    score, report = midi.parse(b"MThx" + header()[4:] + track(EVENTS))
    assert score.notes == NOTES and reasons(report) == {"damaged header name": 1}


@pytest.mark.parametrize("damaged", [0, 1, (0, 1)])
def test_damaged_track_name(damaged: int | tuple[int, int]) -> None:
    tracks = [track(EVENTS), track(EVENTS)]
    for k in (damaged,) if isinstance(damaged, int) else damaged:
        tracks[k] = b"MTrj" + tracks[k][4:]
    score, report = midi.parse(header(tracks=2) + b"".join(tracks))
    assert len(score.notes) == 16
    assert reasons(report) == {"damaged track name": 1 if isinstance(damaged, int) else 2}


def test_alien_chunks_are_skipped() -> None:
    score, report = midi.parse(header() + b"XFIH\0\0\0\x03abc" + track(EVENTS) + b"XFKM\0\0\0\0")
    assert score.notes == NOTES and report.status == "ok"


@pytest.mark.parametrize("padding", [1, 4, 6])
def test_overlong_number(padding: int) -> None:
    """Zeros in front change no number, however many bytes it then takes."""
    score, _ = midi.parse(header() + track(b"\x80" * padding + EVENTS))
    assert score.notes == NOTES


def test_delta_of_days() -> None:
    score, report = midi.parse(header() + track(EVENTS[:9] + b"\xff\xff\xff\x7f" + EVENTS[10:]))
    assert score.notes == NOTES and reasons(report) == {"delta time of more than 20000 beats taken as 0": 1}


def test_many_long_deltas_cut_the_track() -> None:
    day = number(15_000 * 480) + bytes((0x90, 50, 80)) + number(10) + bytes((0x80, 50, 0))
    score, report = midi.parse(header() + track(EVENTS + 3 * day))
    assert len(score.notes) == 9 and score.end_tick < MAX_BEATS * 480
    assert reasons(report) == {"track cut at 20000 beats": 1}


def test_data_before_any_status() -> None:
    score, report = midi.parse(header() + track(b"\x00\x40\x41" + EVENTS))
    assert score.notes == NOTES and reasons(report) == {"data byte without a status": 1}


def test_running_status_goes_on_after_meta_and_sysex() -> None:
    data = b"\x00\x90\x3c\x50\x00\xff\x01\x01x\x00\xf0\x01\xf7\x60\x3c\x00"
    score, report = midi.parse(header() + track(data))
    assert score.notes == [Note(0, 96, 60)] and report.status == "ok"


def test_data_byte_above_127() -> None:
    pitch = b"\x00\x90\xbc\x50"
    velocity = b"\x00\x90\x20\xff\x00\x80\x20\x40"
    control = b"\x00\xb0\x07\xff"
    score, report = midi.parse(header() + track(pitch + control + EVENTS))
    assert score.notes == NOTES
    assert reasons(report) == {"note event with a pitch above 127": 1, "data byte above 127": 1}
    score, report = midi.parse(header() + track(velocity + EVENTS))
    assert score.notes == [Note(0, 1, 0x20, 127), *NOTES]
    assert reasons(report) == {"velocity above 127 taken as 127": 1, "note of length zero made one tick long": 1}


@pytest.mark.parametrize("key", [b"\xf8\x00", b"\x08\x00", b"\x00\x02", b"\x7f\x7f", b"\x03"])
def test_nonsense_key_signature(key: bytes) -> None:
    data = b"\x00\xff\x59" + number(len(key)) + key + b"\x00\xff\x59\x02\x03\x01" + EVENTS
    score, report = midi.parse(header() + track(data))
    assert score.notes == NOTES and reasons(report) == {"nonsense key signature": 1}
    assert [key.key for key in score.keys] == ["F#m"]


@pytest.mark.parametrize("kind", [0x51, 0x58, 0x59])
def test_empty_meta_event(kind: int) -> None:
    score, report = midi.parse(header() + track(bytes((0, 0xFF, kind, 0)) + EVENTS))
    assert score.notes == NOTES and reasons(report) == {"empty meta event": 1}


@pytest.mark.parametrize("kind", [0x00, 0x03, 0x20, 0x21, 0x54, 0x7F, 0x01])
def test_empty_meta_events_that_do_no_harm(kind: int) -> None:
    score, report = midi.parse(header() + track(bytes((0, 0xFF, kind, 0)) + EVENTS))
    assert score.notes == NOTES and report.status == "ok"


@pytest.mark.parametrize(
    "event",
    [b"\x51\x03\0\0\0", b"\x51\x02\1\1", b"\x58\x04\0\2\x18\x08", b"\x58\x04\4\xff\x18\x08", b"\x58\x01\4"],
)
def test_impossible_tempo_and_meter(event: bytes) -> None:
    score, report = midi.parse(header() + track(b"\0\xff" + event + EVENTS))
    assert score.notes == NOTES and report.status == "salvaged"
    assert score.tempos == [] and score.meters == []


@pytest.mark.parametrize("event", [b"\xf0", b"\xf7", b"\xff\x51", b"\xff\x01", b"\xff\x7f"])
def test_message_longer_than_its_track(event: bytes) -> None:
    """What follows the impossible length is found again, in a file of one track too."""
    data = track(EVENTS[:9] + b"\0" + event + b"\xff\xff\xff\x7f" + EVENTS[9:])
    score, report = midi.parse(header(0) + data)
    assert score.notes == NOTES and reasons(report) == {"event longer than its track": 1}


def test_message_longer_than_its_track_by_one_byte() -> None:
    """Without an end-of-track event after it, nothing is left to read."""
    text = b"\0\xff\x01\x03ab"
    score, report = midi.parse(header() + track(EVENTS + text, end=False) + b"\0\0\0\0")
    assert score.notes == NOTES
    assert reasons(report) == {"event longer than its track": 1, "bytes lost after a damaged event": 4}


def test_the_last_event_after_damage_is_found_too() -> None:
    """Four well-formed events are the sign of good bytes; fewer are, if the track ends right after them."""
    data = EVENTS[:-5] + b"\0\xf0\xff\xff\x7f" + b"\x60" + EVENTS[-3:]
    score, report = midi.parse(header() + track(data))
    assert score.notes == [*NOTES[:-1], Note(3360, 3360 + 96, 67)]
    assert reasons(report) == {"event longer than its track": 1}


def test_system_events_are_passed_over() -> None:
    score, report = midi.parse(header() + track(b"\0\xf8\0\xfe\0\xf2\x01\x02\0\xf1\x01" + EVENTS))
    assert score.notes == NOTES and reasons(report) == {"system event that has no place in a file": 4}


def test_note_without_note_off() -> None:
    """It ends with the track."""
    score, report = midi.parse(header() + track(b"\0\x91\x20\x40" + EVENTS))
    assert score.notes == [Note(0, 3840, 0x20, 0x40, 1), *NOTES]
    assert reasons(report) == {"note without a note-off": 1}


def test_one_missing_note_off_does_not_shift_the_others() -> None:
    on, off = b"\x90\x3c\x50", b"\x80\x3c\x40"
    data = b"\0" + on + b"\x60" + on + b"\x60" + off + b"\x60" + on + b"\x60" + off
    score, report = midi.parse(header() + track(data))
    assert [(note.start, note.end) for note in score.notes] == [(0, 96), (96, 192), (288, 384)]
    assert report.status == "salvaged"


def test_overlapping_notes_of_one_pitch_end_in_the_order_they_began() -> None:
    on, off = b"\x90\x3c\x50", b"\x80\x3c\x40"
    score, report = midi.parse(header() + track(b"\0" + on + b"\x10" + on + b"\x10" + off + b"\x10" + off))
    assert [(note.start, note.end) for note in score.notes] == [(0, 32), (16, 48)] and report.status == "ok"


def test_stray_note_off_and_all_notes_off() -> None:
    data = b"\0\x80\x3c\x40\0\x90\x3c\x50\0\x90\x3c\x50\x60\xb0\x7b\x00" + b"\x60\x90\x3e\x50\x60\x80\x3e\x40"
    score, report = midi.parse(header() + track(data))
    assert [(n.start, n.end, n.pitch) for n in score.notes] == [(0, 96, 60), (0, 96, 60), (192, 288, 62)]
    assert reasons(report) == {"note-off without a note": 1}


def test_pedal_that_is_never_lifted() -> None:
    score, _ = midi.parse(header() + track(b"\0\xb0\x40\x7f" + EVENTS))
    assert [(pedal.start, pedal.end) for pedal in score.pedals] == [(0, 3840)]


def test_maps_of_all_tracks_are_merged() -> None:
    second = track(b"\x83\x60\xff\x51\x03\x0f\x42\x40" + b"\0\xff\x58\x04\x07\x03\x18\x08")
    score, report = midi.parse(header(tracks=2) + track(CONDUCTOR[:30] + EVENTS) + second)
    assert [(t.tick, t.us_per_beat) for t in score.tempos] == [(0, 500_000), (480, 1_000_000)]
    assert [(m.tick, m.numerator, m.denominator) for m in score.meters] == [(0, 3, 4), (480, 7, 8)]
    assert report.seconds == score.seconds == 0.5 + 7


def test_type_2_patterns_follow_each_other() -> None:
    fast = b"\0\xff\x51\x03\x03\xd0\x90"
    score, report = midi.parse(header(2, 2) + track(fast + EVENTS[:-4]) + track(EVENTS))
    assert report.type == 2 and report.tracks == 2
    assert [note.start for note in score.notes if note.track == 1] == [480 * (8 + k) for k in range(8)]
    assert score.seconds == 8 * 0.25 + 8 * 0.5  # the second pattern does not inherit the tempo of the first


def test_unknown_type_is_read_as_type_1() -> None:
    score, report = midi.parse(header(77) + track(EVENTS))
    assert score.notes == NOTES and report.status == "salvaged"


def test_bytes_after_the_end_of_a_track() -> None:
    score, report = midi.parse(header() + track(EVENTS + b"\0\xff\x2f\0junk"))
    assert score.notes == NOTES and reasons(report) == {"bytes after the end of a track": 8}


def test_files_without_notes() -> None:
    _, report = midi.parse(header() + track(CONDUCTOR))
    assert (report.status, report.notes, report.seconds) == ("ok", 0, 0.0)
    with pytest.raises(MidiError, match="no note survives its damage"):
        midi.parse(header(tracks=3) + track(CONDUCTOR))
    with pytest.raises(MidiError, match="a header but no track"):
        midi.parse(header())
    with pytest.raises(MidiError, match="header is cut short"):
        midi.parse(header()[:11])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500), "JPEG"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "WAV"),
        (b"\x89PNG\r\n", "PNG"),
        (b"hello", "does not begin with MThd"),
    ],
)
def test_what_is_no_midi_file(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(content)
    with pytest.raises(MidiError, match=why) as caught:
        midi.read(path)
    assert str(caught.value).startswith(f"cannot read {path}: ") and "\n" not in str(caught.value)
    score, report = midi.examine(path)
    assert score is None and report.status == "rejected" and report.file == str(path)
    assert why in report.dropped[0].reason
    keys = ["file", "status", "type", "ticks_per_beat", "tracks", "notes", "seconds", "dropped"]
    assert list(report.to_json()) == keys


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MidiError, match="it is a folder"):
        midi.read(tmp_path)
    with pytest.raises(MidiError, match="No such file"):
        midi.read(tmp_path / "nothing.mid")
    with pytest.raises(MidiError, match="not a regular file"):
        midi.read("/dev/zero")
    with pytest.raises(MidiError, match="null"):
        midi.read("a\0b.mid")
    with pytest.raises(MidiError) as caught:
        midi.read(tmp_path / "two\nlines.mid")
    assert len(str(caught.value).splitlines()) == 1


# Each of these was, or could have been, a bomb: a reader that is quadratic, or believes a length, fails here.
BOMBS: dict[str, Callable[[], bytes]] = {
    "4 GiB header": lambda: header(length=0xFFFFFFFF) + track(EVENTS),
    "4 GiB track": lambda: header() + track(EVENTS, length=0xFFFFFFFF),
    "one pitch struck and released": lambda: header() + track(500_000 * b"\0\x90<@" + 600_000 * b"\0\x80<@"),
    "one pitch never released": lambda: header() + track(1_200_000 * b"\0\x90\x3c\x40"),
    "notes beyond the cap": lambda: header() + track(3_000_000 * b"\0\x90\x3c\x40\x01\x80\x3c\x40"),
    "all notes off": lambda: header() + track(1_000 * b"\0\x91\x3c\x40" + 1_500_000 * b"\0\xb0\x7b\x00"),
    "held chord, all notes off": lambda: header() + track(600_000 * b"\0\x90\x3c\x40\0\xb0\x7b\x00"),
    "all notes off at last": lambda: header() + track(990_000 * b"\0\x90\x3c\x40" + b"\0\xb0\x7b\0"),
    "tempo events": lambda: header() + track(2_000_000 * b"\0\xff\x51\x03\x07\xa1\x20" + EVENTS),
    "tempo at every tick": lambda: header() + track(2_000_000 * b"\1\xff\x51\x03\x07\xa1\x20" + EVENTS),
    "names": lambda: header(tracks=100_000 % 65536) + 100_000 * track(b"\0\xff\x03\x04name"),
    "empty tracks": lambda: header(tracks=65_535) + 1_000_000 * b"MTrk\0\0\0\0",
    "tracks of damage": lambda: header(tracks=20_000) + 20_000 * track(b"\0\x20\x20\0\0\0\0\0"),
    "damage without end": lambda: header() + track(b"\0\x3c" * 2_000_000),
    "damaged events": lambda: header() + track(50_000 * (b"\0\xff\x51\xff\xff\xff\x7f" + EVENTS)),
    "sysex": lambda: header() + track(b"\0\xf0" + number(30_000_000) + bytes(30_000_000) + EVENTS),
    "high bits": lambda: header() + track(b"\x80" * 20_000_000),
    "ones": lambda: header() + track(b"\xff" * 20_000_000),
    "zeros": lambda: header() + bytes(60_000_000),
    "status bytes": lambda: header() + track(b"\x00\xf8" * 3_000_000),
    "pedal": lambda: header() + track(b"\x01\xb0\x40\x7f\x01\xb0\x40\x00" * 1_000_000 + EVENTS),
    "type 2 of long patterns": lambda: header(2, 5_000) + 5_000 * track(b"\x8f\xff\x7f\x90<@\x8f\xff\x7f\x80<@"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_time_of_bombs(name: str) -> None:
    check(BOMBS[name]())


def test_the_event_cap_says_what_was_cut() -> None:
    score, report = midi.parse(BOMBS["notes beyond the cap"]())
    assert len(score.notes) == MAX_EVENTS // 2
    assert reasons(report) == {f"bytes beyond the first {MAX_EVENTS} events": 8 * 3_000_000 - 4 * MAX_EVENTS + 4}


@pytest.mark.parametrize("name", ["4 GiB header", "one pitch never released", "notes beyond the cap", "sysex", "zeros"])
def test_memory_of_bombs(name: str, tmp_path: Path) -> None:
    """In a process of its own, whose address space holds the interpreter, NumPy and what one file may take."""
    path = tmp_path / "bomb.mid"
    path.write_bytes(BOMBS[name]())
    code = """
import resource, sys
import numpy, mido
from tinydl.data import midi
import tinydl.data.representations
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
midi.examine(sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert int(run.stdout) < MEGABYTES


def test_large_sound_file() -> None:
    """400,000 notes are read whole."""
    rng = random.Random(1)
    begin = time.process_time()
    score, report = midi.parse(header(1, 4, 9600) + b"".join(track(melody(rng, 100_000, c)) for c in range(4)))
    assert len(score.notes) == 400_000 and report.status == "ok"
    assert time.process_time() - begin < 60  # the benchmark measures it; this only says that it ends
