"""Reading a folder in processes and from the cache: the result of reading it here, whatever happens on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinydl
from tests.data.midi_fuzz import mutations
from tinydl.data import folder, load, midi, read_cache, readers, representation
from tinydl.data.corpus import demo_scores
from tinydl.data.extract import OUT_OF_MEMORY, Extract, extract, pack, rejected, unpack
from tinydl.data.read_cache import ReadCache
from tinydl.errors import DataError

ROLL = {"name": "roll", "step": 0.5}
REPRESENTATIONS = ("roll", "events", "melody", "grid", "lead", "chorale")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with whole, damaged, repeated, empty and foreign files; some of them rejected."""
    where = tmp_path_factory.mktemp("music")
    for i, score in enumerate(demo_scores("all", 8)):
        midi.write(score, where / f"whole{i:02d}.mid")
    (where / "deep").mkdir()
    shutil.copy(where / "whole03.mid", where / "deep" / "again.mid")
    shutil.copy(where / "whole00.mid", where / "a copy.mid")
    for i, data in enumerate(mutations(11, 40)):
        (where / "deep" / f"damaged{i:02d}.mid").write_bytes(data)
    (where / "empty.mid").touch()
    (where / "photo.mid").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    (where / "folder.mid").mkdir()
    (where / "broken link.mid").symlink_to(where / "nowhere")
    return where


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[set[int]]:
    """A cache of one's own, and thresholds that small folders pass; afterwards, no reader may be left."""
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(folder, "CACHE_FROM", 0)
    monkeypatch.setattr(folder, "PARALLEL_FROM", 1)
    before = set(children(os.getpid()))  # other tests' helpers, such as multiprocessing's tracker of resources
    yield before
    assert not set(children(os.getpid())) - before


def children(process: int) -> list[int]:
    """The processes that a process has started and that still are (zombies too)."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == process:
                found.append(int(entry))
    return found


def everything(path: Path, encoding: Any = ROLL, **how: Any) -> tuple[Any, ...]:
    """All that reading a folder gives, comparable with ==, and the calls of progress."""
    calls: list[tuple[int, int, str]] = []
    pieces, report, by_time = folder.read_corpus(
        path, representation(encoding), progress=lambda *call: calls.append(call), **how
    )
    plain = [(p.name, p.digest, p.data.dtype, p.data.shape, p.data.tobytes(), p.data.flags.writeable) for p in pieces]
    return plain, json.dumps(report.to_json()), by_time, calls


def entries(tmp_path: Path) -> int:
    with sqlite3.connect(tmp_path / "cache" / "read.sqlite") as db:
        count = int(db.execute("SELECT count(*) FROM entries").fetchone()[0])
    db.close()
    return count


def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, reading a file is an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was read although it is in the cache")

    monkeypatch.setattr(folder, "extract", refuse)
    monkeypatch.setattr(folder, "Readers", refuse)


# --- the same, however it is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", REPRESENTATIONS)
def test_one_process_several_or_the_cache_give_the_same(
    music: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = everything(music, encoding, jobs=1, cached=False)
    statuses = {row["status"] for row in json.loads(alone[1])["files"]}
    assert statuses == {"kept", "salvaged", "duplicate", "rejected"}
    assert everything(music, encoding, jobs=2) == alone
    unread(monkeypatch)
    assert everything(music, encoding, jobs=2) == alone
    assert everything(music, encoding, jobs=1) == alone


def test_splits_and_fingerprint_are_the_same(music: Path) -> None:
    cold, warm = load(music, ROLL, seed=4), load(music, ROLL, seed=4)
    assert cold.fingerprint == warm.fingerprint and cold.names == warm.names and cold.report == warm.report
    assert all(np.array_equal(a, b) for part in cold.names for a, b in zip(cold[part], warm[part]))
    warm.train[0][:] = False  # the user's own: neither read-only nor shared with the cache
    assert load(music, ROLL, seed=4).train[0].any()


def test_one_usable_file_is_cut_the_same(tmp_path: Path) -> None:
    where = tmp_path / "one"
    where.mkdir()
    midi.write(demo_scores("tunes", 1)[0], where / "b.mid")
    shutil.copy(where / "b.mid", where / "c.mid")
    (where / "a.mid").write_bytes(b"GIF8")
    alone = everything(where, jobs=1, cached=False)
    assert alone[2] and everything(where, jobs=2) == alone == everything(where, jobs=2)


def test_small_folders_are_read_here_and_leave_nothing(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(folder, "Readers", None)
    assert sum(path.stat().st_size for path in music.rglob("*.mid") if path.exists()) < folder.CACHE_FROM
    load(music, ROLL)
    assert not (tmp_path / "cache").exists()


def test_an_extract_comes_back_from_bytes_and_nothing_else_does(music: Path) -> None:
    data = (music / "whole01.mid").read_bytes()
    for encoding in REPRESENTATIONS:
        found = extract(data, 0, representation(encoding))
        again = unpack(pack(found))
        assert again.row == found.row and again.digest == found.digest
        assert again.data is not None and found.data is not None and again.data.dtype == found.data.dtype
        assert np.array_equal(again.data, found.data) and again.data.flags.writeable
    packed = pack(found)
    for bad in (b"", packed[:3], packed[:60], packed[:-1], packed[:-9] + bytes(9), packed.replace(b"<i8", b"|O8")):
        with pytest.raises(ValueError, match="no extract"):
            unpack(bad)


# --- the cache --------------------------------------------------------------------------------------------------------


def test_renamed_and_moved_files_are_found_and_changed_ones_read(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(music, jobs=1)
    moved = tmp_path / "moved"
    (moved / "x").mkdir(parents=True)
    for i, path in enumerate(sorted(music.rglob("*.mid"))):
        if path.is_file():
            shutil.copy(path, moved / ("x" if i % 2 else ".") / f"{i}.KAR")
    alone = everything(moved, jobs=1, cached=False)
    count = entries(tmp_path)
    with monkeypatch.context() as patch:
        unread(patch)
        assert everything(moved, jobs=2) == alone
    midi.write(demo_scores("tunes", 1, seed=9)[0], moved / "0.KAR")
    assert everything(moved, jobs=1) == everything(moved, jobs=1, cached=False) != alone
    assert entries(tmp_path) == count + 1
    everything(moved, {"name": "roll", "step": 0.25}, jobs=1)  # another grid is another key
    assert entries(tmp_path) > count + 30


def test_other_code_reads_anew(tmp_path: Path, music: Path) -> None:
    """In a copy of the package, an edited representation gives its own result, not the kept one."""
    source = Path(tinydl.__file__).parent
    shutil.copytree(source, tmp_path / "tinydl", ignore=shutil.ignore_patterns("__pycache__"), symlinks=False)
    program = (
        "import sys; from tinydl.data import folder, load, representations as r; folder.CACHE_FROM = 0\n"
        "s = load(sys.argv[1], 'roll'); print(r.__file__, len(s.train[0]))"
    )

    def run() -> list[str]:
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", program, str(music)], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    where, length = run()
    assert where.startswith(str(tmp_path)) and run()[1] == length
    roll = tmp_path / "tinydl" / "data" / "representations" / "roll.py"
    text = roll.read_text()
    assert "return Encoded(roll, loss)" in text
    roll.write_text(text.replace("return Encoded(roll, loss)", "return Encoded(roll[1:], loss)"))
    assert int(run()[1]) == int(length) - 1


@pytest.mark.parametrize("damage", ["body", "checksum", "swapped", "page", "no database", "empty", "other table"])
def test_a_damaged_cache_is_read_over_and_mended(
    music: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = everything(music, jobs=1)
    path = tmp_path / "cache" / "read.sqlite"
    if damage == "page":
        content = bytearray(path.read_bytes())
        content[4096:] = os.urandom(len(content) - 4096)
        path.write_bytes(content)
    elif damage == "no database":
        path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        db = sqlite3.connect(path, isolation_level=None)
        if damage == "body":
            db.execute("UPDATE entries SET body = substr(body, 1, length(body) - 1) || 'x'")
        elif damage == "checksum":
            db.execute("UPDATE entries SET checksum = NULL")
        elif damage == "swapped":
            db.execute("UPDATE entries SET body = (SELECT body FROM entries ORDER BY length(body) DESC LIMIT 1)")
        else:
            db.execute("DROP TABLE entries")
        db.close()
    assert everything(music, jobs=1) == alone
    unread(monkeypatch)
    assert everything(music, jobs=1) == alone


def test_a_cache_that_cannot_be_made_costs_one_warning(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "file" / "cache"))
    alone = everything(music, jobs=1, cached=False)
    with pytest.warns(RuntimeWarning, match="cannot be kept in .*set TINYDL_CACHE") as caught:
        assert everything(music, jobs=1) == alone
    assert len(caught) == 1


@pytest.mark.parametrize("missing", ["home", "sqlite3"])
def test_a_machine_without_home_or_sqlite_has_no_cache(
    music: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    alone = everything(music, jobs=1, cached=False)
    if missing == "home":
        monkeypatch.delenv("TINYDL_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: Path("~nobody at all").expanduser())
    else:
        monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.warns(RuntimeWarning, match="cannot be kept") as caught:
        assert everything(music, jobs=1) == alone
    assert len(caught) == 1


def test_a_cache_that_cannot_be_written_is_still_read(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = everything(music, jobs=1)

    def read_only(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    monkeypatch.setattr(read_cache, "_open", read_only)
    with monkeypatch.context() as patch:
        unread(patch)
        later = time.time() + 9 * read_cache.DAY  # when it were to be noted that they were used
        patch.setattr(time, "time", lambda: later)
        assert everything(music, jobs=1) == alone  # and no warning, which would be an error here
    with pytest.warns(RuntimeWarning, match="readonly") as caught:
        everything(music, "events", jobs=1)
    assert len(caught) == 1


def test_a_locked_cache_is_left_alone(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = everything(music, jobs=1)
    monkeypatch.setattr(read_cache, "_PATIENCE", 0.05)
    other = sqlite3.connect(tmp_path / "cache" / "read.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.warns(RuntimeWarning, match="locked") as caught:
        assert everything(music, jobs=1) == alone
    assert len(caught) == 1
    other.close()


def test_the_cache_is_bounded_and_drops_what_was_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_cache, "LIMIT", 200_000)
    data = np.random.default_rng(0).integers(0, 1 << 40, (60, 500))  # 4 KB each, which do not get shorter
    row = extract(b"", 0, representation("roll")).row
    bodies = [pack(Extract(row, item, "")) for item in data]
    clock = iter(range(10**9, 2 * 10**9, 10 * read_cache.DAY))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    keys = []
    for i, body in enumerate(bodies):
        cache = ReadCache(representation("roll"))
        keys.append(cache.key(bytes([i]), 0))
        assert i == 0 or cache.get(keys[0]) is not None, "what is used at every run was dropped"
        cache.put(keys[-1], body)
        cache.close()
        assert (tmp_path / "cache" / "read.sqlite").stat().st_size < 230_000
    cache = ReadCache(representation("roll"))
    kept = [cache.get(key) is not None for key in keys]
    cache.close()
    assert kept[0] and not any(kept[1:20]) and all(kept[-10:])


def test_two_runs_at_once_fill_one_cache(music: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from tinydl.data import folder, load; folder.CACHE_FROM = 0\n"
        "print(load(sys.argv[1], 'roll').fingerprint)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", program, str(music)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = [run.communicate(timeout=60) for run in runs]
    assert set(answers) == {(load(music, "roll").fingerprint.encode() + b"\n", b"")}
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["read.sqlite"]


# --- readers ----------------------------------------------------------------------------------------------------------

DEADLY = b"deadly"  # of these bytes in a file a reader dies, as _deadly_program makes it

PROGRAM = """
import sys; sys.path[:] = sys.argv[1:]
import os, signal
from tinydl.data import readers
honest = readers.extract
def deadly(data, *rest):
    if b"deadly" in data:
        {what}
    return honest(data, *rest)
readers.extract = deadly
readers.main()
"""


def with_deadly_files(music: Path, tmp_path: Path, at: tuple[str, ...]) -> Path:
    where = tmp_path / "deadly"
    shutil.copytree(music, where, symlinks=True)
    for name in at:
        (where / name).write_bytes(b"MThd" + DEADLY + name.encode())
    return where


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its reader was killed by SIGSEGV, twice"),
        ("raise MemoryError", OUT_OF_MEMORY),
    ],
)
def test_a_file_that_kills_its_reader_is_rejected_and_nothing_else(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, says: str
) -> None:
    deadly = ("deep/damaged30.mid", "zz last.mid")
    where = with_deadly_files(music, tmp_path, deadly)
    alone = json.loads(everything(where, jobs=1, cached=False)[1])
    monkeypatch.setattr(readers, "_PROGRAM", PROGRAM.format(what=what))
    found = json.loads(everything(where, jobs=2)[1])
    for row, honest in zip(found["files"], alone["files"]):
        if row["file"] in deadly:
            assert (row["status"], row["reason"]) == ("rejected", says)
        else:
            assert row == honest
    assert json.loads(everything(where, jobs=1)[1]) == alone  # such a fate is not kept


def test_a_reader_that_dies_by_accident_costs_nothing(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = with_deadly_files(music, tmp_path, ("x.mid", "deep/damaged30.mid"))
    died = f"open('{tmp_path}/died' + data[-8:-4].decode(), 'x')"  # fails where there is such a file: the second time
    once = f"""try:
            {died}.close()
        except FileExistsError:
            return honest(data, *rest)
        os._exit(1)"""
    monkeypatch.setattr(readers, "_PROGRAM", PROGRAM.format(what=once))
    assert everything(where, jobs=2)[:2] == everything(where, jobs=1, cached=False)[:2]
    assert len(list(tmp_path.glob("died*"))) == 2, "no reader died"


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit(1)", "import time; print('not a tag', flush=True); time.sleep(60)"]
)
def test_where_readers_do_not_start_files_are_read_here(
    music: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    alone = everything(music, jobs=1, cached=False)
    monkeypatch.setattr(readers, "_PROGRAM", program)
    assert everything(music, jobs=3) == alone
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert everything(music, jobs=3, cached=False) == alone


def test_a_reader_that_never_says_a_word_is_not_waited_for(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = everything(music, jobs=1, cached=False)
    monkeypatch.setattr(readers, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(readers, "_FIRST_WORD", 0.2)
    assert everything(music, jobs=2, cached=False) == alone


def test_a_defect_in_a_reader_is_met_here_with_its_own_traceback(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_PROGRAM", PROGRAM.format(what="pass").replace('b"deadly" in data', "1 / 0"))
    alone = everything(music, jobs=1, cached=False)
    assert everything(music, jobs=2, cached=False) == alone  # it is the reader's alone

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(folder, "extract", broken)
    with pytest.raises(ZeroDivisionError):
        everything(music, jobs=2, cached=False)


def test_large_files_pass_through_the_pipes(tmp_path: Path) -> None:
    where = tmp_path / "large"
    where.mkdir()
    for i in range(6):
        data = bytearray(1 << 20)  # more than a pipe holds; half of them are no MIDI at all
        if i % 2:
            score = demo_scores("tunes", 1, seed=i)[0]
            midi.write(score, where / "x.mid")
            data[:0] = (where / "x.mid").read_bytes()
        (where / f"{i}.mid").write_bytes(data)
    (where / "x.mid").unlink()
    assert everything(where, jobs=2) == everything(where, jobs=1, cached=False)


def test_an_error_in_progress_ends_the_readers(music: Path, small: set[int]) -> None:
    def stop(done: int, total: int, name: str) -> None:
        if done == 20:
            raise DataError("enough")

    with pytest.raises(DataError, match="enough"):
        folder.read_corpus(music, representation(ROLL), progress=stop, jobs=2)
    assert not set(children(os.getpid())) - small


def test_rejected_has_no_music() -> None:
    assert rejected("why").row.status == "rejected" and rejected("why").data is None


# --- from the outside -------------------------------------------------------------------------------------------------

GUARDLESS = """
import sys
from tinydl.data import folder, load
folder.CACHE_FROM, folder.PARALLEL_FROM, folder.cores = 0, 1, lambda: 2
print("started")
print(load({path!r}, "roll").fingerprint)
print("readers" if "subprocess" in sys.modules else "none")
"""


@pytest.mark.parametrize("how", ["script", "stdin", "interactive"])
def test_a_program_without_a_guard_can_read_in_parallel(music: Path, tmp_path: Path, how: str) -> None:
    text = GUARDLESS.format(path=str(music))
    script = tmp_path / "json.py"  # readers must not import what lies beside the script
    script.write_text(text)
    command = {"script": [str(script)], "stdin": ["-"], "interactive": ["-i", "-q"]}[how]
    if how == "script":
        script = script.rename(tmp_path / "mine.py")
        command = [str(script)]
    done = subprocess.run(
        [sys.executable, *command], input=text, capture_output=True, text=True, timeout=60, cwd=tmp_path.parent
    )
    assert done.stdout.split() == ["started", load(music, "roll").fingerprint, "readers"], done.stderr


INTERRUPTED = """
import sys, time
from tinydl.data import folder, load, readers
folder.CACHE_FROM, folder.PARALLEL_FROM, folder.cores = 0, 1, lambda: 2
asleep = "from tinydl.data import readers as r; import time; r.extract = lambda *_: time.sleep(60); r.main()"
readers._PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; " + asleep
print("reading", flush=True)
try:
    load({path!r}, "roll")
except KeyboardInterrupt:
    print("interrupted", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_kill_leave_no_reader(music: Path, tmp_path: Path, kill: signal.Signals) -> None:
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    program = INTERRUPTED.format(path=str(music))
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=env, start_new_session=True)
    assert run.stdout is not None and run.stdout.readline() == b"reading\n"
    started: list[int] = []
    deadline = time.monotonic() + 30
    while len(started) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        started = children(run.pid)
    assert len(started) == 2
    begin = time.monotonic()
    if kill == signal.SIGINT:
        os.killpg(run.pid, kill)  # as a terminal does
        assert run.stdout.readline() == b"interrupted\n"
        assert time.monotonic() - begin < 10  # the readers would take 60
        assert not children(run.pid)
    run.kill()
    run.wait()
    run.stdout.close()
    if kill == signal.SIGINT:
        assert not any(Path(f"/proc/{pid}").exists() for pid in started)
    assert not list((tmp_path / "tmp").iterdir())
    for pid in started:  # whoever is asleep in a file of a dead run is not waited for here
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
