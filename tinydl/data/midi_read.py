"""Reading Standard MIDI Files, whole or damaged: notes, maps, and a report of what was dropped and why.

The format (MIDI Manufacturers Association, *Standard MIDI Files 1.0*): a header chunk (type, number of tracks,
division) and track chunks; a track is a list of (delta time, event); a delta time is a *variable-length number*, 7 bits
a byte, high bit set on all but the last; a channel event may leave out its status byte when it repeats the one before
(*running status*).

Why mido reads single events here and not whole files. mido 1.3 gives up the file at the first bad event: about 27 % of
a collection of odd and broken files raise, some with an empty message; it allocates what a damaged length asks for;
and it makes one object per message (225,000 a second), so a sound file of 400,000 notes takes five seconds. So chunks,
delta times, running status and the channel events that carry notes are walked here, on bytes, and mido decodes the meta
events. A bad event then costs that event, at worst the rest of its track, never the file.

What comes of which damage, in short (each is counted in the report):

- chunk lengths and the header's track count are checked against the file before they are believed; where one is wrong,
  the next ``MTrk`` decides; nothing is ever allocated from a length alone;
- an event that cannot be decoded is dropped; where its end is unknown, reading goes on at the next place where several
  well-formed events follow each other;
- a note-off ends the oldest sounding note of its pitch and channel *in its track*. Where note-offs are missing, each
  note of that pitch ends at the next note-off or onset of the pitch, or at the end of the track;
- a note of length zero becomes one tick long, a velocity above 127 becomes 127;
- a delta time of more than :data:`MAX_BEATS` beats counts as zero, and a track ends where it would pass that many;
- of more than :data:`MAX_EVENTS` events, :data:`MAX_NOTES` notes, :data:`MAX_META` map entries, :data:`MAX_TRACKS`
  tracks or :data:`MAX_BYTES` bytes the rest is dropped.

The division may count frames (SMPTE): ticks keep their exact times, see :func:`tinydl.data.score.smpte_time_base`, and
tempo events mean nothing, as the format says. Type 2 files hold independent patterns: they are laid one after another,
each from the next full beat. Not part of a Score, and not counted as dropped: release velocities, pitch bend,
aftertouch, controllers other than the sustain pedal, lyrics and other texts, sysex, and program changes after the first
of a channel in a track.
"""

from __future__ import annotations

import operator
import os
import stat
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinydl.data.score import DEFAULT_TEMPO, Key, Meter, Note, Pedal, Score, Tempo, smpte_time_base
from tinydl.errors import MidiError

__all__ = [
    "MAX_BEATS",
    "MAX_BYTES",
    "MAX_EVENTS",
    "MAX_META",
    "MAX_NOTES",
    "MAX_TRACKS",
    "Drop",
    "Report",
    "contents",
    "examine",
    "parse",
    "read",
]

MAX_BYTES = 64 << 20  # of one file; the largest sound files known (millions of notes) are a few MB
MAX_EVENTS = 1_000_000  # of one file, and so its time and memory
MAX_NOTES = 500_000  # of one file: half the events, and no more of notes that never end
MAX_META = 100_000  # tempo, meter, key and name events of one file: each costs mido a few microseconds
MAX_TRACKS = 65_535  # what the header's 16 bits can name
MAX_BEATS = 20_000  # nearly three hours at 120 beats a minute
_MAX_DENOMINATOR = 64
_RESYNC_WINDOW = 4096  # bytes searched after one damaged event
_RESYNC_BYTES = 1 << 17  # bytes searched in a whole file

Row = tuple[int, int, int, int, int, int]  # start, pitch, end, track, channel, velocity: sorts like a Score's notes
Sounding = list[dict[int, tuple[int, int]]]  # per channel: pitch -> (start, velocity)


@dataclass(slots=True, frozen=True)
class Drop:
    """``count`` things were dropped or repaired for ``reason``."""

    reason: str
    count: int


@dataclass(slots=True)
class Report:
    """What became of one file.

    ``status`` is "ok" (nothing dropped), "salvaged" (``dropped`` says what was dropped or repaired) or "rejected"
    (``dropped`` holds the one reason; ``type`` and ``ticks_per_beat`` are then None).
    """

    file: str
    status: str
    type: int | None
    ticks_per_beat: int | None
    tracks: int
    notes: int
    seconds: float
    dropped: list[Drop] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that ``json.dumps`` takes, with the fields' names as keys."""
        return {
            "file": self.file,
            "status": self.status,
            "type": self.type,
            "ticks_per_beat": self.ticks_per_beat,
            "tracks": self.tracks,
            "notes": self.notes,
            "seconds": self.seconds,
            "dropped": [{"reason": drop.reason, "count": drop.count} for drop in self.dropped],
        }


def read(path: str | os.PathLike[str]) -> tuple[Score, Report]:
    """The music of a MIDI file, and the report of what was dropped to get it.

    At most about 2 s and 512 MB are spent, whatever the file holds. Raises :class:`MidiError`, one sentence naming the
    file and the reason, when it cannot be read, is no MIDI file, or holds no note that survives its damage.
    """
    name = os.fspath(path)
    data, beyond = contents(name)
    return parse(data, name, beyond=beyond)


def examine(path: str | os.PathLike[str]) -> tuple[Score | None, Report]:
    """As :func:`read`, but a file that cannot be read gives no score and a report whose status is "rejected"."""
    try:
        return read(path)
    except MidiError as error:
        return None, Report(os.fspath(path), "rejected", None, None, 0, 0, 0.0, [Drop(str(error), 1)])


def shown(name: str) -> str:
    """A file name that fits into one line."""
    return name if name.isprintable() else repr(name)


def contents(path: str | os.PathLike[str]) -> tuple[bytes, int]:
    """The first :data:`MAX_BYTES` of a regular file, and how many bytes follow them: what :func:`parse` takes.

    Raises :class:`MidiError` when it cannot be read.
    """
    name = os.fspath(path)
    try:
        # Asked first, because opening a pipe would wait for a writer and reading a device may never end.
        status = os.stat(name)
        if stat.S_ISDIR(status.st_mode):
            raise MidiError(f"cannot read {shown(name)}: it is a folder, not a MIDI file")
        if not stat.S_ISREG(status.st_mode):
            raise MidiError(f"cannot read {shown(name)}: it is not a regular file")
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES)
            return data, max(0, status.st_size - len(data))
    except OSError as error:
        raise MidiError(f"cannot read {shown(name)}: {error.strerror or type(error).__name__}") from error
    except ValueError as error:  # a NUL in the name
        raise MidiError(f"cannot read {shown(name)}: {error}") from error


# --- chunks -----------------------------------------------------------------------------------------------------------

_KINDS = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"ID3", "an MP3 file"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC file"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<", "an HTML or XML text"),
)


def _not_midi(data: bytes) -> str:
    """Why these bytes are no MIDI file, in a few words."""
    if not data:
        return "it is empty"
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "it is a WAV file, not a MIDI file"
    for magic, kind in _KINDS:
        if data.startswith(magic):
            return f"it is {kind}, not a MIDI file"
    return "it is not a MIDI file (it does not begin with MThd)"


class _Reader:
    """The state of reading one file: what is left of its limits, and what it has yielded."""

    def __init__(self, ticks_per_beat: int, decode_meta: Callable[..., Any], data: bytes) -> None:
        self.ticks_per_beat = ticks_per_beat
        self.decode_meta = decode_meta
        self.data = data + bytes(8)  # so that no event read at the very end needs a bounds check per byte
        self.dropped: dict[str, int] = {}
        self.events_left = MAX_EVENTS
        self.meta_left = MAX_META
        self.resync_left = _RESYNC_BYTES
        self.rows: list[Row] = []
        self.tempos: list[tuple[int, int]] = []
        self.meters: list[tuple[int, int, int]] = []
        self.keys: list[tuple[int, str]] = []
        self.pedals: list[Pedal] = []
        self.programs: dict[tuple[int, int], int] = {}
        self.track_names: dict[int, str] = {}
        self.sounding: Sounding = [{} for _ in range(16)]  # empty between tracks

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count


def parse(data: bytes, name: str = "the data", *, beyond: int = 0) -> tuple[Score, Report]:
    """As :func:`read`, for the bytes of a file; ``beyond`` bytes after them were left unread."""
    from mido.midifiles.meta import build_meta_message

    def refuse(why: str) -> MidiError:
        return MidiError(f"cannot read {shown(name)}: {why}")

    start = _find_header(data)
    if start is None:
        raise refuse(_not_midi(data))
    tracks = _first_track(data, start)
    header = data[start + 8 : start + 14 if tracks is None else min(tracks, start + 14)]
    if len(header) < 6:
        raise refuse("its header is cut short")
    if tracks is None:
        raise refuse("it holds a header but no track")
    kind = int.from_bytes(header[:2], "big")
    named_tracks = int.from_bytes(header[2:4], "big")
    division = int.from_bytes(header[4:6], "big")

    # A negative high byte counts frames a second, the low byte ticks per frame. With a frame rate that does not exist,
    # a damaged sign bit is the likelier story.
    ticks_per_beat, smpte_tempo = division & 0x7FFF, None
    frames_per_second = 256 - (division >> 8)
    if frames_per_second in (24, 25, 29, 30):
        ticks_per_beat = division & 0xFF
        if ticks_per_beat:
            ticks_per_beat, smpte_tempo = smpte_time_base(frames_per_second, ticks_per_beat)
    if ticks_per_beat == 0:
        raise refuse("its time division is 0, so its notes have no times")

    reader = _Reader(ticks_per_beat, build_meta_message, data)
    if beyond > 0:
        reader.drop(f"bytes beyond the first {MAX_BYTES >> 20} MiB", beyond)
    riff = data[:4] == b"RIFF" and data[8:12] == b"RMID"
    if start and not riff:
        reader.drop("bytes before the header", start)
    if data[start : start + 4] != b"MThd":
        reader.drop("damaged header name")
    if start + 8 + int.from_bytes(data[start + 4 : start + 8], "big") != tracks:
        reader.drop("wrong header length")
    if kind > 2:
        reader.drop(f"unknown file type {kind} read as type 1")
    if division & 0x8000 and smpte_tempo is None:
        reader.drop("unknown SMPTE frame rate read as ticks per beat")

    found = _read_tracks(reader, tracks, len(data), consecutive=kind == 2, quiet_end=riff)
    if found != named_tracks:
        reader.drop(f"header names {named_tracks} tracks, the file holds {found}", abs(found - named_tracks))
    if kind == 0 and found > 1:
        reader.drop("type 0 with more than one track, read as type 1", found - 1)
    if len(reader.rows) > MAX_NOTES:  # "all notes off" can end many at once
        reader.drop(f"notes beyond the first {MAX_NOTES}", len(reader.rows) - MAX_NOTES)
        del reader.rows[MAX_NOTES:]
    if not reader.rows and reader.dropped:
        raise refuse(f"no note survives its damage ({'; '.join(reader.dropped)})")

    score = _score(reader, smpte_tempo)
    dropped = [Drop(reason, count) for reason, count in reader.dropped.items()]
    status = "salvaged" if dropped else "ok"
    report = Report(name, status, kind, ticks_per_beat, found, len(score.notes), score.seconds, dropped)
    return score, report


def _find_header(data: bytes) -> int | None:
    """Where the header chunk begins: at once, inside a RIFF wrapper, or after up to 64 KiB of something else."""
    at = data.find(b"MThd", 0, 1 << 16)
    if at >= 0:
        return at
    # A damaged name does no harm if everything else is where it belongs.
    return 0 if data[14:18] == b"MTrk" else None


def _first_track(data: bytes, header: int) -> int | None:
    """Where the first track begins; the header's own length is believed only if a chunk follows there."""
    end = header + 8 + int.from_bytes(data[header + 4 : header + 8], "big")
    named = data.find(b"MTrk", header + 8)
    if end >= header + 14 and (_is_track(data, end) or (_is_chunk(data, end, len(data)) and named >= end)):
        return end
    if _is_track(data, header + 14):
        return header + 14
    return named if named >= 0 else None


def _is_track(data: bytes, at: int) -> bool:
    """Whether a track begins at ``at``: ``MTrk``, of which one letter may be damaged."""
    return data[at : at + 4] == b"MTrk" or sum(map(operator.eq, data[at : at + 4], b"MTrk")) == 3


def _is_chunk(data: bytes, at: int, size: int) -> bool:
    """Whether a chunk (a track, or four letters or digits and a length that fits into the file) begins at ``at``."""
    if _is_track(data, at):
        return True
    name = data[at : at + 4]
    return len(name) == 4 and name.isalnum() and at + 8 + int.from_bytes(data[at + 4 : at + 8], "big") <= size


def _read_tracks(reader: _Reader, at: int, size: int, *, consecutive: bool, quiet_end: bool) -> int:
    """Reads the chunks from ``at`` to ``size``; returns how many tracks there were."""
    data = reader.data
    found, begin = 0, 0
    while at + 8 <= size:
        if not _is_chunk(data, at, size):
            following = data.find(b"MTrk", at, size)
            if following < 0:
                break
            reader.drop("bytes between tracks", following - at)
            at = following
            continue
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        end = at + 8 + length
        if not _is_track(data, at):  # the format asks to skip chunks of unknown names
            at = end
            continue
        if data[at : at + 4] != b"MTrk":
            reader.drop("damaged track name")
        # The length is right if another chunk follows, or the end of the file, or something too short to be a chunk.
        last = size - end < 8 or (quiet_end and data.find(b"MTrk", end) < 0)
        if end > size or not (last or _is_chunk(data, end, size)):
            following = data.find(b"MTrk", at + 8, size)
            reader.drop("track longer than the file" if end > size and following < 0 else "wrong track length")
            end = following if following >= 0 else size
        if found == MAX_TRACKS or reader.events_left <= 0 or begin >= MAX_BEATS * reader.ticks_per_beat:
            reader.drop("bytes of tracks beyond the limits", size - at)
            return found
        if begin:
            reader.tempos.append((begin, DEFAULT_TEMPO))
            reader.meters.append((begin, 4, 4))
        stop = _read_track(reader, at + 8, end, found, begin)
        if consecutive:
            begin = -(-stop // reader.ticks_per_beat) * reader.ticks_per_beat
        found += 1
        at = end
    if at < size and not quiet_end and any(data[at:size]):
        reader.drop("bytes after the last track", size - at)
    return found


# --- events -----------------------------------------------------------------------------------------------------------

_LENGTH = (2, 2, 2, 2, 1, 1, 2)  # data bytes of the channel events 0x80, 0x90, ..., 0xE0
_SYSTEM_LENGTH = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # system events, which have no place in a file; the others have no data
_NAME, _END_OF_TRACK, _TEMPO, _METER, _KEY = 0x03, 0x2F, 0x51, 0x58, 0x59


def _number(data: bytes, i: int, value: int = 0, length: int = 0) -> tuple[int, int]:
    """The variable-length number at ``i`` (``length`` bytes of it read already, worth ``value``), and what follows it.

    Four bytes are the format's most. Longer ones are read on for as long as a padded number could be (8 bytes), and
    the caller sees a value that is as large as it says.
    """
    while length < 8:
        byte = data[i]
        i += 1
        length += 1
        value = value << 7 | byte & 127
        if byte < 128:
            break
    return value, i


def _read_track(reader: _Reader, i: int, limit: int, track: int, begin: int) -> int:
    """Reads the events in bytes ``i`` to ``limit`` of the file, from tick ``begin`` on; returns the tick it ends at."""
    data, rows, sounding, drop = reader.data, reader.rows, reader.sounding, reader.drop
    first_row = len(rows)
    waiting: dict[int, deque[tuple[int, int]]] = {}  # further notes of a pitch that sounds already, oldest first
    pedal_down: dict[int, int] = {}
    longest = MAX_BEATS * reader.ticks_per_beat
    last_tick = begin + longest
    tick = begin
    status = 0
    ended = False
    used = 0

    for used in range(1, reader.events_left + 1):  # noqa: B007
        if i >= limit:
            break
        delta = data[i]
        i += 1
        if delta > 127:
            byte = data[i]
            i += 1
            delta = (delta & 127) << 7 | byte & 127
            if byte > 127:
                delta, i = _number(data, i, delta, 2)
                if delta > longest:
                    drop(f"delta time of more than {MAX_BEATS} beats taken as 0")
                    delta = 0
        tick += delta
        if tick > last_tick:
            tick = last_tick
            drop(f"track cut at {MAX_BEATS} beats")
            break

        byte = data[i]
        if byte > 127:
            i += 1
            if byte < 0xF0:
                status = byte
            else:
                if i >= limit:
                    drop("event cut off at the end of its track")
                    break
                # Strictly, these end running status; files that go on with it are understood as they were meant.
                at = i
                if byte == 0xFF:
                    meta = data[i]
                    length, i = _number(data, i + 1)
                elif byte in (0xF0, 0xF7):
                    meta = -1
                    length, i = _number(data, i)
                else:
                    drop("system event that has no place in a file")
                    i += _SYSTEM_LENGTH.get(byte, 0)
                    continue
                if i + length > limit:
                    drop("event longer than its track")
                    i = _resync(reader, at, limit)
                    continue
                if meta == _END_OF_TRACK:
                    ended = True
                    i += length
                    break
                if meta in (_NAME, _TEMPO, _METER, _KEY):
                    _meta(reader, meta, data[i : i + length], tick, track)
                i += length
                continue
        elif not status:
            drop("data byte without a status")
            i = _resync(reader, i, limit)
            continue

        kind = status & 0xF0
        if kind == 0x90 or kind == 0x80:
            pitch, velocity = data[i], data[i + 1]
            i += 2
            if i > limit:
                drop("event cut off at the end of its track")
                break
            if pitch > 127:
                drop("note event with a pitch above 127")
                continue
            channel = status & 15
            notes = sounding[channel]
            if kind == 0x90 and velocity:
                if velocity > 127:
                    drop("velocity above 127 taken as 127")
                    velocity = 127
                if pitch in notes:
                    waiting.setdefault(channel << 7 | pitch, deque()).append((tick, velocity))
                else:
                    notes[pitch] = (tick, velocity)
            elif pitch in notes:
                start, velocity = notes.pop(pitch)
                end = tick
                if end == start:
                    drop("note of length zero made one tick long")
                    end += 1
                rows.append((start, pitch, end, track, channel, velocity))
                if waiting:
                    queue = waiting.get(channel << 7 | pitch)
                    if queue is not None:
                        notes[pitch] = queue.popleft()
                        if not queue:
                            del waiting[channel << 7 | pitch]
            else:
                drop("note-off without a note")
            continue

        value = data[i]
        i += _LENGTH[(kind >> 4) - 8]
        if i > limit:
            drop("event cut off at the end of its track")
            break
        if value > 127 or data[i - 1] > 127:
            drop("data byte above 127")
        elif kind == 0xC0:
            reader.programs.setdefault((track, status & 15), value)
        elif kind == 0xB0:
            channel = status & 15
            if value == 64:
                if data[i - 1] >= 64:
                    pedal_down.setdefault(channel, tick)
                elif channel in pedal_down:
                    _lift(reader, pedal_down, channel, tick, track)
            elif value in (120, 123):  # all sound off, all notes off
                for pitch, (start, velocity) in sounding[channel].items():
                    rows.append((start, pitch, max(tick, start + 1), track, channel, velocity))
                    for start, velocity in waiting.pop(channel << 7 | pitch, ()):
                        rows.append((start, pitch, max(tick, start + 1), track, channel, velocity))
                sounding[channel].clear()
    else:
        if i < limit:
            drop(f"bytes beyond the first {MAX_EVENTS} events", limit - i)
            ended = True
    reader.events_left -= used
    if ended and i < limit and reader.events_left > 0:
        drop("bytes after the end of a track", limit - i)
    for channel in list(pedal_down):
        _lift(reader, pedal_down, channel, tick, track)
    if any(sounding):
        _close_hanging(reader, first_row, waiting, tick, track)
    return tick


def _lift(reader: _Reader, pedal_down: dict[int, int], channel: int, tick: int, track: int) -> None:
    start = pedal_down.pop(channel)
    if tick > start:
        reader.pedals.append(Pedal(start, tick, channel, track))


def _meta(reader: _Reader, kind: int, content: bytes, tick: int, track: int) -> None:
    """Enters a name, tempo, meter or key event, decoded by mido, into the maps."""
    if reader.meta_left <= 0:
        reader.drop(f"map entries beyond the first {MAX_META}")
        return
    reader.meta_left -= 1
    if not content and kind != _NAME:
        reader.drop("empty meta event")
        return
    try:
        message = reader.decode_meta(kind, content)
    except Exception:  # of what mido raises here, KeySignatureError is not even a ValueError
        reader.drop("nonsense key signature" if kind == _KEY else "meta event that cannot be decoded")
        return
    if kind == _NAME:
        try:  # mido decodes Latin-1, which never fails; text that is valid UTF-8 is hardly ever anything else
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = message.name
        reader.track_names.setdefault(track, text)
    elif kind == _TEMPO:
        if message.tempo:
            reader.tempos.append((tick, message.tempo))
        else:
            reader.drop("tempo of 0 microseconds per beat")
    elif kind == _METER:
        if message.numerator and message.denominator <= _MAX_DENOMINATOR:
            reader.meters.append((tick, message.numerator, message.denominator))
        else:
            reader.drop("nonsense time signature")
    else:
        reader.keys.append((tick, message.key))


def _resync(reader: _Reader, i: int, limit: int) -> int:
    """Where reading can go on after a damaged event: the first byte at or after ``i`` from which four well-formed
    events with a status byte first follow each other; ``limit`` when there is none within reach."""
    window = min(_RESYNC_WINDOW, reader.resync_left, limit - i)
    for at in range(i, i + window):
        if _well_formed(reader.data, at, limit):
            reader.resync_left -= at - i + 1
            return at
    reader.resync_left -= max(window, 0)
    if i < limit:
        reader.drop("bytes lost after a damaged event", limit - i)
    return limit


def _well_formed(data: bytes, i: int, limit: int, events: int = 4) -> bool:
    status = 0
    for _ in range(events):
        delta, i = _number(data, i)
        if delta >> 21 or i >= limit:
            return False
        byte = data[i]
        if byte > 127:
            i += 1
        if byte == 0xFF:
            kind = data[i]
            length, i = _number(data, i + 1)
            i += length
            if kind > 127 or i > limit:
                return False
            if kind == _END_OF_TRACK:
                return length == 0 and i == limit
            continue
        if 0x80 <= byte < 0xF0:
            status = byte
        elif byte > 127 or not status:
            return False
        following = i + _LENGTH[(status >> 4) - 8]
        if following > limit or data[i] > 127 or data[following - 1] > 127:
            return False
        i = following
    return True


def _close_hanging(
    reader: _Reader, first_row: int, waiting: dict[int, deque[tuple[int, int]]], end: int, track: int
) -> None:
    """Ends the notes that no note-off ended, and pairs the other notes of their pitches anew.

    First-on-first-off breaks down once a note-off is missing: each later note-off would end the note before its own. So
    for such a pitch each note ends at the first note-off after its onset, or at the next onset, or at the end.
    """
    onsets: dict[int, list[tuple[int, int]]] = {}
    room, hanging = MAX_NOTES - len(reader.rows), 0
    for channel, notes in enumerate(reader.sounding):
        for pitch, note in notes.items():
            key = channel << 7 | pitch
            onsets[key] = [note, *waiting.get(key, ())][: max(0, room - hanging)]
            hanging += 1 + len(waiting.get(key, ()))
        notes.clear()
    reader.drop("note without a note-off", hanging)
    if hanging > room:
        reader.drop(f"notes beyond the first {MAX_NOTES}", hanging - room)
    ends: dict[int, list[int]] = {key: [] for key in onsets}
    balanced = []
    for row in reader.rows[first_row:]:
        key = row[4] << 7 | row[1]
        if key in onsets:
            onsets[key].append((row[0], row[5]))
            ends[key].append(row[2])
        else:
            balanced.append(row)
    reader.rows[first_row:] = balanced
    for key, notes_on in onsets.items():
        notes_on.sort()
        offs = sorted(ends[key])
        for (start, velocity), following in zip(notes_on, [*(start for start, _ in notes_on[1:]), end]):
            k = bisect_right(offs, start)
            stop = min(offs[k], following) if k < len(offs) else following
            reader.rows.append((start, key & 127, max(stop, start + 1), track, key >> 7, velocity))


def _score(reader: _Reader, smpte_tempo: int | None) -> Score:
    """The merged maps of all tracks; of several entries at one tick, the last read holds."""
    if smpte_tempo is not None:
        reader.tempos = [] if smpte_tempo == DEFAULT_TEMPO else [(0, smpte_tempo)]
    score = Score(
        reader.ticks_per_beat,
        tempos=[Tempo(tick, tempo) for tick, tempo in dict(reader.tempos).items()],
        meters=[Meter(tick, *meter) for tick, meter in {m[0]: m[1:] for m in reader.meters}.items()],
        keys=[Key(tick, key) for tick, key in dict(reader.keys).items()],
        pedals=reader.pedals,
        programs=reader.programs,
        track_names=reader.track_names,
    )
    reader.rows.sort()
    score.notes = [
        Note(start, end, pitch, velocity, channel, track) for start, pitch, end, track, channel, velocity in reader.rows
    ]
    return score
