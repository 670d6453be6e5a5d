"""Real files (folk tunes, piano performances) from the folder ``$TINYDL_DATA``, against mido's own reading."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydl.data import Score, midi, representation
from tinydl.data.midi_write import as_written
from tinydl.data.representations import REPRESENTATIONS
from tinydl.errors import DataError, MidiError

FOLDER = Path(os.environ.get("TINYDL_DATA", "")) / "midi_public_domain"
FILES = sorted(FOLDER.glob("*/*.mid")) if os.environ.get("TINYDL_DATA") else []
pytestmark = pytest.mark.skipif(not FILES, reason="TINYDL_DATA names no folder with midi_public_domain/*/*.mid")


@pytest.fixture(scope="module")
def scores() -> dict[Path, Score]:
    found = {}
    for path in FILES:
        found[path], report = midi.read(path)
        assert report.status == "ok", report
    return found


def mido_notes(file: Any) -> list[tuple[int, int, int, int, int, int]]:
    """(start, pitch, end, track, channel, velocity) of every note, the first to start the first to end."""
    notes = []
    for index, track in enumerate(file.tracks):
        now, sounding = 0, defaultdict(list)
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append((now, message.velocity))
            elif message.type in ("note_on", "note_off"):
                start, velocity = sounding[message.channel, message.note].pop(0)
                notes.append((start, message.note, now, index, message.channel, velocity))
    return sorted(notes)


def test_as_mido_reads_them(scores: dict[Path, Score]) -> None:
    from mido import MidiFile

    for path in FILES[::5] + FILES[-6:]:
        file = MidiFile(path)
        score = scores[path]
        assert score.ticks_per_beat == file.ticks_per_beat
        ours = [(n.start, n.pitch, n.end, n.track, n.channel, n.velocity) for n in score.notes]
        assert ours == mido_notes(file)
        tempos = {}
        for track in file.tracks:
            now = 0
            for message in track:
                now += message.time
                if message.type == "set_tempo":
                    tempos[now] = message.tempo
        assert {tempo.tick: tempo.us_per_beat for tempo in score.tempos} == tempos
        seconds = last = 0.0
        for message in file:  # in seconds, through the tempo map
            seconds += message.time
            if message.type in ("note_on", "note_off"):
                last = seconds
        assert score.seconds == pytest.approx(last, rel=1e-9)


def test_written_and_read_again(scores: dict[Path, Score], tmp_path: Path) -> None:
    for path, score in list(scores.items())[::4]:
        midi.write(score, tmp_path / "again.mid")
        again, report = midi.read(tmp_path / "again.mid")
        assert report.status == "ok" and again == as_written(score), path.name


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_representation_accounts_for_every_note(name: str, scores: dict[Path, Score]) -> None:
    rep = representation(name)
    exact = encodings = 0
    for path, score in list(scores.items())[::3]:
        try:
            encoded = rep.encode(score)
        except DataError as error:  # bars of another length are refused by a grid of whole bars
            assert name in ("grid", "lead") and "as long as one of 4/4" in str(error), path.name
            continue
        encodings += 1
        loss = encoded.loss
        decoded = rep.decode(encoded.data, like=score)
        lost = sum(loss.get(key, 0) for key in ("drums", "out_of_range", "beyond", "merged", "other_voices"))
        kept = [note for note in decoded.notes if name != "lead" or note.track == 0]  # the chords are not its notes
        assert loss["kept"] == len(kept) == len(score.notes) - lost, path.name
        if encoded.exact:
            exact += 1
            beat = score.ticks_per_beat
            assert sorted((n.start, n.end, n.pitch) for n in decoded.notes) == sorted(
                (n.start, n.end, n.pitch) for n in score.notes
            ), (path.name, beat)
    assert encodings >= 5
    if name == "events":
        assert exact >= 10  # the folk tunes lie on a grid of sixteenths and triplets


def test_folk_tunes_fill_their_bars(scores: dict[Path, Score]) -> None:
    """The melody of a tune is its upper part, on the grid, with as many bars as the piece."""
    rep = representation("melody")
    for path, score in scores.items():
        if "nottingham" not in str(path):
            continue
        encoded = rep.encode(score)
        tracks = defaultdict(list)
        for note in score.notes:
            tracks[note.track].append(note.pitch)
        tune = max(tracks.values(), key=np.mean)
        assert 0.95 * len(tune) <= encoded.loss["kept"] <= len(tune), path.name  # a few tunes have a double stop
        assert encoded.loss["max_shift_beats"] < 0.001, path.name  # 1024 ticks a beat hold no exact triplets
        end = max(note.end for note in rep.decode(encoded.data).rescale(score.ticks_per_beat).notes)
        assert int((encoded.data == 3).sum()) == len(score.bars(end))


def test_the_first_part_of_a_cut_file_is_all_there(scores: dict[Path, Score]) -> None:
    for path in FILES[::3]:
        data = path.read_bytes()
        whole = scores[path]
        cut = data[: 2 * len(data) // 3]
        try:
            score, report = midi.parse(cut, path.name)
        except MidiError as error:
            assert "no note survives" in str(error), path.name
            continue
        assert report.status == "salvaged"
        kept = set(score.notes) & set(whole.notes)
        hanging = sum(drop.count for drop in report.dropped if drop.reason == "note without a note-off")
        assert len(score.notes) - len(kept) <= 3 * hanging + 1, path.name
