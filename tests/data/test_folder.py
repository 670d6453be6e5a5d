"""A folder of the user's MIDI as a corpus: what becomes of each file, how it is split, and what an error says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tinydl.data import load, midi
from tinydl.data.corpus import demo_scores
from tinydl.data.folder import digest, sections
from tinydl.data.score import Meter, Note, Pedal, Score, Tempo
from tinydl.data.splits import deal
from tinydl.errors import DataError, MidiError

ROLL = {"name": "roll", "step": 0.5}


def write(folder: Path, n: int, *, seed: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, score in enumerate(demo_scores("tunes", n, seed=seed)):
        paths.append(folder / f"tune{i:02d}.mid")
        midi.write(score, paths[-1])
    return paths


def members(splits: object) -> dict[str, set[str]]:
    return {part: {digest(piece) for piece in splits[part]} for part in ("train", "valid", "test")}  # type: ignore[index]


def test_every_file_has_a_row_and_a_fate(tmp_path: Path) -> None:
    paths = write(tmp_path / "a", 6)
    (tmp_path / "b" / "c").mkdir(parents=True)
    paths[1].rename(tmp_path / "b" / "c" / "DEEP.MIDI")
    paths[2].rename(tmp_path / "b" / "song.KAR")
    shutil.copy(paths[0], tmp_path / "b" / "again.mid")
    data = paths[3].read_bytes()
    (tmp_path / "cut.mid").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "photo.mid").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    midi.write(Score(480, []), tmp_path / "silent.mid")
    (tmp_path / "notes.txt").write_text("not music")
    (tmp_path / "._tune.mid").write_bytes(b"a resource fork")
    splits = load(tmp_path, ROLL)
    report = splits.report
    assert report is not None
    fate = {row.file: row.status for row in report.rows}
    assert fate == {
        "a/tune00.mid": "kept",
        "a/tune03.mid": "kept",
        "a/tune04.mid": "kept",
        "a/tune05.mid": "kept",
        "b/again.mid": "duplicate",
        "b/c/DEEP.MIDI": "kept",
        "b/song.KAR": "kept",
        "cut.mid": "salvaged",
        "photo.mid": "rejected",
        "silent.mid": "rejected",
    }
    assert report.counts == {"kept": 6, "salvaged": 1, "duplicate": 1, "rejected": 2}
    assert report.summary() == "10 files: 6 kept, 1 salvaged, 1 duplicate, 2 rejected"
    reasons = {row.file: row.reason for row in report.rows}
    assert "a/tune00.mid" in reasons["b/again.mid"]
    assert reasons["cut.mid"] and reasons["photo.mid"] and "no notes" in reasons["silent.mid"]
    assert all(row.split in ("train", "valid", "test") for row in report.rows if row.status in ("kept", "salvaged"))
    assert not any(row.split for row in report.rows if row.status in ("duplicate", "rejected"))
    as_json = report.to_json()
    assert as_json["counts"] == report.counts and [row["file"] for row in as_json["files"]] == list(fate)


@pytest.mark.parametrize("n", [2, 3, 5, 9, 23])
def test_no_split_is_empty_and_no_music_is_in_two(tmp_path: Path, n: int) -> None:
    paths = write(tmp_path, n)
    for path in paths[: n // 2]:
        shutil.copy(path, path.with_name("copy of " + path.name))
    splits = load(tmp_path, ROLL)
    parts = members(splits)
    assert len(splits.train) + len(splits.valid) + len(splits.test) == n
    assert splits.train and splits.valid and bool(splits.test) == (n >= 3)
    assert not (parts["train"] & parts["valid"] or parts["train"] & parts["test"] or parts["valid"] & parts["test"])
    assert [len(splits.names[part]) for part in splits.names] == [len(splits[part]) for part in splits.names]
    assert len(splits.train) >= n - 2 * max(1, round(0.1 * n))


def test_the_split_follows_the_music_and_the_seed_not_the_names(tmp_path: Path) -> None:
    paths = write(tmp_path / "one", 20)
    first, again = load(tmp_path / "one", ROLL, seed=1), load(tmp_path / "one", ROLL, seed=1)
    other = load(tmp_path / "one", ROLL, seed=2)
    assert first.fingerprint == again.fingerprint and len(first.fingerprint) == 64
    assert all(np.array_equal(a, b) for part in first.names for a, b in zip(first[part], again[part]))
    assert first.fingerprint != other.fingerprint and members(first) != members(other)
    assert load(tmp_path / "one", {"name": "roll", "step": 0.25}, seed=1).fingerprint != first.fingerprint
    renamed = tmp_path / "two"
    renamed.mkdir()
    for i, path in enumerate(paths):
        shutil.copy(path, renamed / f"{(7 * i) % 20:02d}.mid")
    assert members(load(renamed, ROLL, seed=1)) == members(first)
    midi.write(demo_scores("chorales", 1)[0], tmp_path / "one" / "new.mid")
    before, after = members(first), members(load(tmp_path / "one", ROLL, seed=1))
    moved = sum(len(before[part] - after[part]) for part in before)
    assert moved <= 2  # one newcomer pushes at most one piece over each border


def test_progress_sees_every_file(tmp_path: Path) -> None:
    write(tmp_path, 3)
    seen: list[tuple[int, int, str]] = []
    load(tmp_path, ROLL, progress=lambda *call: seen.append(call))
    assert seen == [(0, 3, "tune00.mid"), (1, 3, "tune01.mid"), (2, 3, "tune02.mid")]


def test_one_file_is_cut_into_sections_by_time(tmp_path: Path) -> None:
    path = tmp_path / "one.mid"
    notes = [Note(480 * i, 480 * i + 480, 40 + (i + i // 16 * 3) % 60) for i in range(160)]
    midi.write(Score(480, notes, tempos=[Tempo(0, 400_000)]), path)
    for source in (path, tmp_path):  # a folder with one file comes to the same
        splits = load(source, ROLL)
        assert splits.report is not None and "cut into 10 sections of 4 bars" in splits.report.remark
        assert [len(splits[part]) for part in ("train", "valid", "test")] == [8, 1, 1]
        assert splits.names["train"][0] == "one.mid bars 1-4" and splits.names["test"] == ["one.mid bars 37-40"]
        assert sum(len(piece) for part in splits.names for piece in splits[part]) == 320


def test_sections_restate_what_is_in_force_and_keep_every_note() -> None:
    score = Score(
        480,
        [Note(0, 480, 60), Note(3600, 4200, 62), Note(5280, 5760, 64)],
        tempos=[Tempo(0, 500_000), Tempo(1920, 250_000)],
        meters=[Meter(0, 4, 4), Meter(3840, 3, 4)],
        pedals=[Pedal(3700, 4000)],
    )
    parts = sections(score, 1)
    notes = [[(n.start, n.end, n.pitch) for n in part.notes] for part in parts]
    assert notes == [[(0, 480, 60)], [(1680, 1920, 62)], [], [(0, 480, 64)]]
    assert [part.tempos[0].us_per_beat for part in parts][:2] == [500_000, 250_000]
    assert all(part.tempos[0].tick == 0 and part.meters[0].tick == 0 for part in parts)
    assert parts[-1].meters[0].numerator == 3
    assert parts[1].pedals == [Pedal(1780, 1920)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "no files at all"),
        (lambda p: (p / "a.txt").write_text("x"), "no MIDI file among its 1 file"),
        (lambda p: (p / "a.mid").write_bytes(b"not midi"), "none of the 1 MIDI file"),
        (lambda p: midi.write(Score(480, [Note(0, 480, 60)]), p / "a.mid"), "too short"),
    ],
)
def test_unusable_folders_are_answered_in_one_sentence(tmp_path: Path, make: object, says: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(DataError, match=says) as caught:
        load(tmp_path, ROLL)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_what_is_not_there_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'nottingham'"):
        load("notingham", ROLL)
    with pytest.raises(DataError, match="neither a folder or file"):
        load(tmp_path / "nowhere", ROLL)
    (tmp_path / "x.mid").write_bytes(b"GIF89a")
    with pytest.raises(MidiError):
        load(tmp_path / "x.mid", ROLL)
    with pytest.raises(ValueError, match="three shares"):
        load("demo", ROLL, split=(0.5, 0.5))
    with pytest.raises(DataError, match="at least 2"):
        deal([], 0)


@pytest.mark.parametrize("representation", ["roll", "events", "melody"])
def test_demo_loads_in_every_representation(representation: str) -> None:
    splits = load("demo", representation)
    assert [len(splits[part]) for part in ("train", "valid", "test")] == [192, 24, 24]
    assert splits.fingerprint == load("demo", representation).fingerprint
    assert splits.representation.name == representation


def test_demo_chorales_load_as_four_voices() -> None:
    splits = load("demo-chorales", "chorale")
    assert sum(len(splits[part]) for part in splits.names) == 240
    assert all(piece.shape[1] == 4 for piece in splits.train)


def test_named_sets_keep_their_split_and_become_other_representations() -> None:
    from tinydl.data import datasets

    if datasets.local("jsb") is None or datasets.local("nottingham") is None:
        pytest.skip("the canonical data sets are neither in TINYDL_DATA nor cached")
    jsb = load("jsb", "roll")
    assert [len(jsb[part]) for part in jsb.names] == [229, 76, 77] and jsb.report is None
    assert float(jsb.representation.config()["step"]) == 1.0  # the data's own grid, whatever was asked for
    assert all(np.array_equal(a, b) for a, b in zip(jsb.test, datasets.rolls("jsb")["test"]))
    assert jsb.fingerprint == load("jsb", "roll", seed=5).fingerprint
    melody = load("nottingham", "melody")
    assert [len(melody[part]) for part in melody.names] == [694, 173, 170]
    assert melody.report is not None and "repeated notes" in melody.report.remark


def test_four_voices_are_read_as_they_are_and_translated() -> None:
    from tinydl.data import datasets

    if datasets.local("jsb16") is None:
        pytest.skip("jsb16 is neither in TINYDL_DATA nor cached")
    voices = datasets.voices("jsb16")
    plain, struck = load("jsb16", {"name": "chorale", "strikes": False}), load("jsb16", "chorale")
    assert [len(plain[part]) for part in plain.names] == [229, 76, 77] and plain.report is None
    assert all(np.array_equal(a, b) for a, b in zip(plain.test, voices["test"]))
    for array, piece in zip(struck.test, voices["test"]):  # what is read of the notes is what was taken from the file
        again = struck.representation.encode(struck.representation.decode(array)).data
        assert np.array_equal(again, array[: len(again)]) and (piece[len(again) :] == -1).all()
        assert np.array_equal(struck.representation.sounding(array), piece)  # type: ignore[attr-defined]
    narrow = load("jsb16", {"name": "chorale", "low": 40})
    assert narrow.report is not None and sum(row.loss["out_of_range"] for row in narrow.report.rows) > 0
    assert all(piece[piece >= 0].min() >= 40 for piece in narrow.train)
    roll, rolls = load("jsb16", {"name": "roll", "step": "1/4"}), datasets.rolls("jsb16")
    assert roll.report is not None and len(roll.test) == 77
    for piece, whole in zip(roll.test, rolls["test"]):  # a roll ends with its last note
        assert np.array_equal(piece, whole[: len(piece)]) and not whole[len(piece) :].any()
