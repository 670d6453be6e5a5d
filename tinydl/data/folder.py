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

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.errors import DataError, MidiError

if TYPE_CHECKING:
    from tinydl.data.representations import Representation
    from tinydl.data.score import Score

__all__ = ["SUFFIXES", "ExtractionReport", "Piece", "Row", "digest", "find_midi", "read_corpus", "sections"]

SUFFIXES = (".mid", ".midi", ".kar")
STATUSES = ("kept", "salvaged", "duplicate", "rejected")

SECTION_BARS = 8  # the usual length of a period; shorter when the piece has fewer than ten such sections
_WANTED_SECTIONS = 10

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Piece:
    """One encoded piece: its name, its array, and the SHA-256 of the array."""

    name: str
    data: np.ndarray
    digest: str


@dataclass(frozen=True)
class Row:
    """What became of one file (or of one section of it).

    ``reason`` says why for every status but *kept*; ``notes`` and ``seconds`` are the file's, ``length`` is the number
    of frames or tokens of its encoding; ``dropped`` maps what the reader left out to how often; ``loss`` is what the
    representation says it does not keep.
    """

    file: str
    status: str
    reason: str = ""
    notes: int = 0
    seconds: float = 0.0
    length: int = 0
    split: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


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

    def to_json(self) -> dict[str, Any]:
        """``source``, ``counts``, ``remark`` and ``files``, as plain values."""
        return {
            "source": self.source,
            "counts": self.counts,
            "remark": self.remark,
            "files": [row.to_json() for row in self.rows],
        }


def digest(data: np.ndarray) -> str:
    """SHA-256 of an array: its dtype, its shape and its values in C order and little-endian bytes."""
    array = np.ascontiguousarray(data)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    header = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def find_midi(folder: Path) -> list[Path]:
    """The MIDI files below a folder, ordered by relative path; :class:`DataError` when there are none."""
    found: list[Path] = []
    others = 0
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith("."):  # "._song.mid" is a resource fork, not a song
                continue
            if name.lower().endswith(SUFFIXES):
                found.append(Path(where, name))
            else:
                others += 1
    if not found:
        what = f"no MIDI file among its {_plural(others, 'file')}" if others else "no files at all"
        raise DataError(f"the folder {folder} holds {what}; put files ending in {', '.join(SUFFIXES)} into it")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def read_corpus(
    path: Path, representation: Representation, *, progress: Progress | None = None
) -> tuple[list[Piece], ExtractionReport, bool]:
    """Read and encode a folder of MIDI files, or one file.

    Args:
        path: a folder (searched in depth) or a file.
        representation: how a score becomes an array.
        progress: called as ``progress(done, total, name)`` before each file.

    Returns:
        The distinct pieces in reading order; the report with a row for every file; and whether the pieces are sections
        of one piece, which are to be split by time.

    Raises:
        DataError: no MIDI file there, or none that can be used, or a single piece too short to cut.
        MidiError: ``path`` is a file and cannot be read.
    """
    from tinydl.data import midi

    report = ExtractionReport(source=str(path))
    whole = path.is_file()
    files = [path] if whole else find_midi(path)
    pieces: dict[str, Piece] = {}
    last: tuple[str, Score] | None = None
    for i, file in enumerate(files):
        name = file.name if whole else file.relative_to(path).as_posix()
        if progress is not None:
            progress(i, len(files), name)
        try:
            score, read = midi.read(file)
        except (MidiError, OSError) as error:
            if whole and isinstance(error, MidiError):
                raise
            report.rows.append(Row(name, "rejected", _reason(error, file)))
            continue
        dropped = dict(Counter({drop.reason: drop.count for drop in read.dropped}))
        row = Row(name, "kept", notes=len(score.notes), seconds=score.seconds, dropped=dropped)
        if read.status == "salvaged":
            row = replace(row, status="salvaged", reason=", ".join(dropped) or "damaged")
        row = admit(row, score, representation, pieces)
        report.rows.append(row)
        if row.status in ("kept", "salvaged"):
            last = (name, score)
    if last is None:
        first = report.rows[0]
        which = "it" if len(files) == 1 else f"the first, {first.file},"
        raise DataError(
            f"none of the {_plural(len(files), 'MIDI file')} in {path} can be used: "
            f"{which} was {first.status} ({first.reason})"
        )
    if len(pieces) > 1:
        return list(pieces.values()), report, False
    return _cut(last, path, representation, report), report, True


def admit(row: Row, score: Score, representation: Representation, pieces: dict[str, Piece]) -> Row:
    """Encode a score into ``pieces`` (by digest) unless it is empty or there already; the row, with its outcome."""
    if not score.notes:
        return replace(row, status="rejected", reason="it holds no notes")
    try:
        encoded = representation.encode(score)
    except (ValueError, DataError, MidiError) as error:
        return replace(row, status="rejected", reason=str(error))
    data = encoded.data
    row = replace(row, length=len(data), loss=dict(encoded.loss))
    if len(data) < 2 or (data.dtype == np.bool_ and not data.any()):
        return replace(row, status="rejected", reason=f"nothing of it is left as {representation.name}")
    key = digest(data)
    if key in pieces:
        return replace(row, status="duplicate", reason=f"the same music as {pieces[key].name}")
    pieces[key] = Piece(row.file, data, key)
    return row


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


def _reason(error: Exception, file: Path) -> str:
    """An error's sentence without the file's path in front: the table has a column for it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    sentence = str(error)
    for prefix in ("cannot read ", str(file), file.name):
        sentence = sentence.removeprefix(prefix)
    return sentence.lstrip(": ")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
