"""A folder of the user's own MIDI files, or a single file, as a corpus; with a table of what became of every file.

Files are found in depth (``.mid``, ``.midi``, ``.kar``, in any case) and taken in the order of their relative paths;
each is read by the salvaging reader and encoded. A file ends in one of four ways: *kept*, *salvaged* (damaged, and
used as far as it could be read), *duplicate* (its encoding equals an earlier file's, so that no music can
stand in two splits), or *rejected*, with the reason.

A corpus that comes down to one piece (one file, or a folder with one usable file) cannot be split by file. It is cut at
bar lines into sections of at most eight bars; sections that repeat an earlier one are duplicates, and the split is by
time: first the training sections, then validation, then test.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.data import midi
from tinydl.data.extract import (
    OUT_OF_MEMORY,
    Extract,
    Row,
    digest,
    encode,
    extract,
    outcome,
    pack,
    rejected,
    unpack,
)
from tinydl.data.midi_read import contents, shown
from tinydl.data.read_cache import ReadCache
from tinydl.data.readers import MOST, Answer, File, Readers, cores
from tinydl.errors import DataError, MidiError

if TYPE_CHECKING:
    from tinydl.data.representations import Representation
    from tinydl.data.score import Score

__all__ = ["SUFFIXES", "ExtractionReport", "Piece", "Row", "digest", "find_midi", "read_corpus", "sections"]

SUFFIXES = (".mid", ".midi", ".kar")
STATUSES = ("kept", "salvaged", "duplicate", "rejected")

SECTION_BARS = 8  # the usual length of a period; shorter when the piece has fewer than ten such sections
_WANTED_SECTIONS = 10

CACHE_FROM = 256 << 10  # bytes of files, read in a tenth of a second: from there on what was read is kept
PARALLEL_FROM = 1 << 20  # bytes of files that are in no cache: what one core reads while two readers start

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Piece:
    """One encoded piece: its name, its array, and the SHA-256 of the array."""

    name: str
    data: np.ndarray
    digest: str


@dataclass
class ExtractionReport:
    """The table of a corpus: one :class:`Row` per file, in reading order, and a remark on how it was split."""

    source: str
    rows: list[Row] = field(default_factory=list)
    remark: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each status."""
        found = Counter(row.status for row in self.rows)
        return {status: found[status] for status in STATUSES}

    def summary(self) -> str:
        """One line: ``50 files: 38 kept, 7 salvaged, 1 duplicate, 4 rejected``."""
        parts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        return f"{_plural(len(self.rows), 'file')}: {parts or 'nothing read'}"

    def off_grid(self, step: Fraction) -> int:
        """How many files have more than half of their notes off the grid of ``step`` beats, by a quarter step or more.

        These are triplets on a grid of sixteenths, or recordings without a beat: not what a grid leaves of a staccato.
        """
        return sum(
            row.loss.get("quantised", 0) > row.loss.get("notes", 0) / 2
            and row.loss.get("max_shift_beats", 0.0) >= step / 4
            for row in self.rows
            if row.status in ("kept", "salvaged")
        )

    def to_json(self) -> dict[str, Any]:
        """``source``, ``counts``, ``remark`` and ``files``, as plain values."""
        return {
            "source": self.source,
            "counts": self.counts,
            "remark": self.remark,
            "files": [row.to_json() for row in self.rows],
        }


def find_midi(folder: Path) -> list[Path]:
    """The MIDI files below a folder, ordered by relative path; :class:`DataError` when there are none."""
    return [path for _, path in _find(folder)]


def _find(folder: Path) -> list[tuple[str, Path]]:
    """(path from the folder on, with slashes; path) of the MIDI files below it, in order of the former."""
    found: list[tuple[str, Path]] = []
    others = 0
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(where).relative_to(folder).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        for name in files:
            if name.startswith("."):  # "._song.mid" is a resource fork, not a song
                continue
            if name.lower().endswith(SUFFIXES):
                found.append((prefix + name, Path(where, name)))
            else:
                others += 1
    if not found:
        what = f"no MIDI file among its {_plural(others, 'file')}" if others else "no files at all"
        raise DataError(f"the folder {folder} holds {what}; put files ending in {', '.join(SUFFIXES)} into it")
    return sorted(found)


def read_corpus(
    path: Path,
    representation: Representation,
    *,
    progress: Progress | None = None,
    jobs: int | None = None,
    cached: bool = True,
) -> tuple[list[Piece], ExtractionReport, bool]:
    """Read and encode a folder of MIDI files, or one file.

    What is returned depends neither on ``jobs`` nor on what is cached.

    Args:
        path: a folder (searched in depth) or a file.
        representation: how a score becomes an array.
        progress: called as ``progress(done, total, name)`` when ``done`` files have been read and another, by and large
            ``name``, comes next: once for every file.
        jobs: processes that read (default: one per core); 1 reads in this process, as do small folders.
        cached: whether to look into the cache for what earlier runs read, and to keep there what this one reads.
            Small folders are read anew each time.

    Returns:
        The distinct pieces in reading order; the report with a row for every file; and whether the pieces are sections
        of one piece, which are to be split by time.

    Raises:
        DataError: no MIDI file there, or none that can be used, or a single piece too short to cut.
        MidiError: ``path`` is a file and cannot be read.
    """
    report = ExtractionReport(source=str(path))
    pieces: dict[str, Piece] = {}
    names: tuple[str, ...]
    files: tuple[Path, ...]
    if path.is_file():
        names, files = (path.name,), (path,)
        if progress is not None:
            progress(0, 1, path.name)
        score, read = midi.read(path)
        found = [encode(outcome("", score, read), score, representation)]
    else:
        names, files = zip(*_find(path))
        found = _extract_all(files, names, representation, progress, jobs or cores(), cached)
    only = None
    for name, file, extracted in zip(names, files, found):
        row = _enter(replace(extracted, row=replace(extracted.row, file=name)), pieces)
        report.rows.append(row)
        if row.status in ("kept", "salvaged"):
            only = name, file
    if only is None:
        first = report.rows[0]
        which = "it" if len(files) == 1 else f"the first, {first.file},"
        raise DataError(
            f"none of the {_plural(len(files), 'MIDI file')} in {path} can be used: "
            f"{which} was {first.status} ({first.reason})"
        )
    if len(pieces) > 1:
        return list(pieces.values()), report, False
    name, file = only
    return _cut((name, midi.read(file)[0]), path, representation, report), report, True


def admit(row: Row, score: Score, representation: Representation, pieces: dict[str, Piece]) -> Row:
    """Encode a score into ``pieces`` (by digest) unless it is empty or there already; the row, with its outcome."""
    return _enter(encode(row, score, representation), pieces)


def _enter(found: Extract, pieces: dict[str, Piece]) -> Row:
    row = found.row
    if found.data is None:
        return row
    if found.digest in pieces:
        return replace(row, status="duplicate", reason=f"the same music as {pieces[found.digest].name}")
    pieces[found.digest] = Piece(row.file, found.data, found.digest)
    return row


def _extract_all(
    files: Sequence[Path],
    names: Sequence[str],
    representation: Representation,
    progress: Progress | None,
    jobs: int,
    cached: bool,
) -> list[Extract]:
    """The extracts of files, in their order: from the cache, from readers, or made in this process."""
    found: list[Extract | None] = [None] * len(files)
    done = 0
    cache = ReadCache(representation) if cached and _larger(files, CACHE_FROM) else None
    readers: Readers | None = None
    held: list[File] = []  # until it is known that starting readers is worth it
    held_bytes = 0

    def finish(number: int, extracted: Extract) -> None:
        nonlocal done
        found[number] = extracted
        done += 1
        if progress is not None and done < len(files):
            progress(done, len(files), names[done])

    def keep(file: File, packed: bytes) -> None:
        if cache is not None:
            cache.put(file.key, packed)

    def extract_here(file: File) -> None:
        try:
            extracted = extract(file.data, file.beyond, representation)
        except MemoryError:
            extracted = rejected(OUT_OF_MEMORY)
        else:
            keep(file, pack(extracted) if cache is not None else b"")
        finish(file.number, extracted)

    def take(answer: Answer) -> None:
        if answer.found is not None:
            finish(answer.file.number, answer.found)
        elif not answer.packed:
            extract_here(answer.file)
        else:
            extracted = unpack(answer.packed)
            if extracted.row.reason != OUT_OF_MEMORY:  # that is not the file's, and may be otherwise next time
                keep(answer.file, answer.packed)
            finish(answer.file.number, extracted)

    if progress is not None:
        progress(0, len(files), names[0])
    try:
        for number, path in enumerate(files):
            try:
                data, beyond = contents(path)
            except MidiError as error:
                finish(number, rejected(str(error).removeprefix(f"cannot read {shown(str(path))}: ")))
                continue
            file = File(number, data, beyond, b"" if cache is None else cache.key(data, beyond))
            earlier = None if cache is None else cache.get(file.key)
            if earlier is not None:
                finish(number, earlier)
            elif jobs == 1:
                extract_here(file)
            elif readers is None:
                held.append(file)
                held_bytes += len(data)
                if held_bytes >= PARALLEL_FROM:
                    readers = Readers(min(jobs, MOST), representation)
                    for file in held:
                        readers.submit(file)
                    held.clear()
            else:
                readers.submit(file)
            while readers is not None and (answer := readers.take(wait=readers.full)) is not None:
                take(answer)
        for file in held:
            extract_here(file)
        while readers is not None and not readers.idle:
            if (answer := readers.take(wait=True)) is not None:
                take(answer)
    finally:
        if readers is not None:
            readers.close()
        if cache is not None:
            cache.close()
    return [extracted for extracted in found if extracted is not None]


def _larger(files: Iterable[Path], size: int) -> bool:
    """Whether files are larger than ``size`` bytes together."""
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
        if total > size:
            return True
    return False


def sections(score: Score, bars: int) -> list[Score]:
    """Cut a score at every ``bars``-th bar line into sections that begin at tick 0.

    A note belongs to the section in which it starts and ends with it at the latest. Tempo, meter and key in force at
    the cut are restated at the section's start.
    """
    lines = [tick for tick, _ in score.bars()]
    edges = [*lines[::bars], score.end_tick]
    return [_section(score, start, end) for start, end in zip(edges, edges[1:])]


def _section(score: Score, start: int, end: int) -> Score:
    def cut(events: Iterable[Any]) -> list[Any]:
        """The event in force at the start, and those inside."""
        ordered = sorted(events, key=lambda event: event.tick)
        before = [event for event in ordered if event.tick <= start][-1:]
        inside = [event for event in ordered if start < event.tick < end]
        return [replace(event, tick=max(0, event.tick - start)) for event in before + inside]

    return replace(
        score,
        notes=[
            replace(note, start=note.start - start, end=min(note.end, end) - start)
            for note in score.notes
            if start <= note.start < end
        ],
        tempos=cut(score.tempos),
        meters=cut(score.meters),
        keys=cut(score.keys),
        pedals=[
            replace(pedal, start=max(0, pedal.start - start), end=min(pedal.end, end) - start)
            for pedal in score.pedals
            if pedal.start < end and pedal.end > start
        ],
    )


def _cut(last: tuple[str, Score], path: Path, representation: Representation, report: ExtractionReport) -> list[Piece]:
    name, score = last
    total = len(score.bars())
    bars = max(1, min(SECTION_BARS, total // _WANTED_SECTIONS))
    pieces: dict[str, Piece] = {}
    rejected = 0
    for i, part in enumerate(sections(score, bars)):
        first = i * bars + 1
        row = Row(f"{name} bars {first}-{min(first + bars - 1, total)}", "kept", notes=len(part.notes))
        row = admit(row, part, representation, pieces)
        rejected += row.status != "kept"
    if len(pieces) < 2:
        raise DataError(
            f"{path} comes down to one piece of {_plural(total, 'bar')} ({name}), too short to cut into training and "
            f"validation sections: 2 different ones are needed, so add more MIDI files or a longer one"
        )
    report.remark = (
        f"one piece only: {name} was cut into {len(pieces)} sections of {_plural(bars, 'bar')}, split by time"
        + (f" ({rejected} empty or repeated ones left out)" if rejected else "")
    )
    return list(pieces.values())


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
