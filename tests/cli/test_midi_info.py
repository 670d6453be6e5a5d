"""``tinydl midi info``: sound, damaged and foreign files."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.data.midi_fuzz import mutations
from tinydl.data import midi
from tinydl.data.corpus import demo_scores

KEYS = ["file", "status", "type", "ticks_per_beat", "tracks", "notes", "seconds", "dropped"]


def track(*events: bytes) -> bytes:
    body = b"".join(events)
    return b"MTrk" + struct.pack(">I", len(body)) + body


def header(tracks: int = 1, division: int = 480, length: int = 6) -> bytes:
    return b"MThd" + struct.pack(">IHHH", length, 1, tracks, division)


NOTE = b"\x00\x90\x3c\x50" + b"\x83\x60\x80\x3c\x40"  # middle C for 480 ticks
END = b"\x00\xff\x2f\x00"
SOUND = header() + track(NOTE, END)

DAMAGED = {
    "truncated": header() + track(NOTE, NOTE, END)[:-8],
    "long-chunk": header() + b"MTrk" + struct.pack(">I", 2**31) + NOTE + END,
    "bad-key": header() + track(b"\x00\xff\x59\x02\x63\x07", NOTE, END),
    "bad-running-status": header() + track(b"\x00\x3c\x50", NOTE, END),
    "long-delta": header() + track(NOTE, b"\xff\xff\xff\x7f\x90\x3e\x50", b"\x83\x60\x80\x3e\x40", END),
    "many-tracks": header(tracks=16_000) + track(NOTE, END),
    "header-4-gib": header(length=2**32 - 1) + track(NOTE, END),
}
REFUSED = {
    "empty": b"",
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(100),
    "division-0": header(division=0) + track(NOTE, END),
    "text": b"Once upon a time",
}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.mid"
    path.write_bytes(SOUND)
    return path


def test_json_of_a_sound_file(run: Run, sound: Path) -> None:
    outcome = run("midi", "info", sound, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert [list(entry) for entry in outcome.json] == [KEYS]
    assert outcome.json[0] == {
        "file": str(sound),
        "status": "ok",
        "type": 1,
        "ticks_per_beat": 480,
        "tracks": 1,
        "notes": 1,
        "seconds": 0.5,
        "dropped": [],
    }


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_salvaged_and_says_what_was_dropped(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.mid"
    path.write_bytes(DAMAGED[name])
    outcome = run("midi", "info", path, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    (entry,) = outcome.json
    assert list(entry) == KEYS
    assert entry["notes"] >= 1 and entry["seconds"] < 24 * 3600
    assert entry["status"] == "salvaged" and all(drop["reason"] and drop["count"] >= 1 for drop in entry["dropped"])
    assert entry["dropped"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_foreign_file_is_refused_in_one_line(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.mid"
    path.write_bytes(REFUSED[name])
    assert str(path) in run("midi", "info", path).error()
    outcome = run("midi", "info", path, "--json")
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert [entry["status"] for entry in outcome.json] == ["rejected"] and list(outcome.json[0]) == KEYS


def test_a_riff_wrapped_file_is_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "riff.mid"
    data = b"data" + struct.pack("<I", len(SOUND)) + SOUND
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(data)) + b"RMID" + data)
    (entry,) = run("midi", "info", path, "--json").json
    assert entry["status"] in ("ok", "salvaged") and entry["notes"] == 1


def test_one_bad_file_among_good_ones_is_a_row_and_not_an_error(run: Run, sound: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mid"
    bad.write_bytes(REFUSED["jpeg"])
    outcome = run("midi", "info", sound, bad, tmp_path / "missing.mid")
    assert (outcome.code, outcome.err) == (0, "")
    head, *rows = outcome.out.splitlines()
    assert head.split() == ["file", "status", "type", "ticks/beat", "tracks", "notes", "time", "dropped"]
    assert [row.split()[:2] for row in rows] == [
        [str(sound), "ok"],
        [str(bad), "rejected"],
        [str(tmp_path / "missing.mid"), "rejected"],
    ]


def test_when_every_file_is_bad_the_exit_code_says_so(run: Run, tmp_path: Path) -> None:
    for name in ("a.mid", "b.mid"):
        (tmp_path / name).write_bytes(b"")
    outcome = run("midi", "info", tmp_path)
    assert outcome.code == 2 and outcome.err.startswith("tinydl: error: none of the 2 files can be used; the first: ")
    assert len(outcome.err.splitlines()) == 1


def test_a_folder_stands_for_its_files(run: Run, sound: Path) -> None:
    assert [entry["file"] for entry in run("midi", "info", sound.parent, "--json").json] == [str(sound)]


def test_a_name_with_a_newline_or_bytes_that_are_no_text_stays_one_line(run: Run, tmp_path: Path) -> None:
    for name in ("a\nb.mid", "bad\udcff.mid", "\x1b[31m.mid"):
        error = run("midi", "info", tmp_path / name).error()
        assert "\x1b" not in error and "\udcff" not in error


def test_names_that_begin_with_a_dash_or_command_the_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.mid", "red\x1b[31m.mid"):
        midi.write(demo_scores("tunes", 1, 0)[0], tmp_path / name)
    outcome = run("midi", "info", "--", "-dash.mid", "red\x1b[31m.mid")
    assert outcome.code == 0 and "-dash.mid" in outcome.out
    assert "\x1b" not in outcome.out and "red\\x1b[31m.mid" in outcome.out


def test_closed_streams_are_no_internal_error(tmp_path: Path) -> None:
    for stream in ("stdout", "stderr"):
        number = {"stdout": 1, "stderr": 2}[stream]
        done = subprocess.run(
            ["sh", "-c", f'exec "{sys.executable}" -m tinydl data list {number}>&-'], capture_output=True, check=False
        )
        assert done.returncode == 0 and b"error" not in done.stderr


def test_four_hundred_damaged_files(run: Run, tmp_path: Path) -> None:
    """One command line each: a report or one line and exit code 2, within two seconds."""
    statuses = {"ok": 0, "salvaged": 0, "rejected": 0}
    for number, data in enumerate(mutations(77, 400)):
        path = tmp_path / f"{number}.mid"
        path.write_bytes(data)
        begin = time.process_time()
        outcome = run("midi", "info", path, "--json")
        assert time.process_time() - begin < 2
        (entry,) = outcome.json
        statuses[entry["status"]] += 1
        assert outcome.code == (2 if entry["status"] == "rejected" else 0)
        assert len(outcome.err.splitlines()) <= 1 and "Traceback" not in outcome.err
        path.unlink()
    assert statuses["salvaged"] > 200 and statuses["rejected"] > 10
