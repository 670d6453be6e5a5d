"""Writing Standard MIDI Files of type 1, through mido: what is written reads back the same.

Every note-on has its note-off, whole files appear at once or not at all, and what a file cannot hold, or
:func:`tinydl.data.midi.read` would not read back, is refused in one sentence before anything is written.
"""

from __future__ import annotations

import io
import operator
import os
from collections import defaultdict
from dataclasses import replace
from typing import Any, SupportsIndex

from tinydl.data.midi_read import MAX_BEATS, MAX_EVENTS, MAX_TRACKS, shown
from tinydl.data.score import KEY_NAMES, Note, Pedal, Score
from tinydl.errors import MidiError
from tinydl.utils.files import replacing

__all__ = ["as_written", "to_bytes", "write"]

# Events of one tick in this order: the maps first, and what ends before what begins.
_MAPS, _ENDS, _BEGINS = 0, 1, 2


def as_written(score: Score) -> Score:
    """The score that a re-read of its file gives: notes and pedals in the only form that MIDI can tell.

    A note-off names a pitch and a channel, and not which of two notes of that pitch it ends; the first to start is the
    first to end. So where, in one track and channel, a note lies inside a longer one of the same pitch, the two
    exchange their ends, which sounds the same. Pedal spans of one track and channel that overlap become one. All else
    stays as it is.
    """
    by_key: dict[tuple[int, int, int], list[Note]] = defaultdict(list)
    for note in score.notes:
        by_key[note.track, note.channel, note.pitch].append(note)
    notes: list[Note] = []
    for same in by_key.values():
        ends = sorted(note.end for note in same)
        notes.extend(n if n.end == end else replace(n, end=end) for n, end in zip(same, ends))
    by_channel: dict[tuple[int, int], list[Pedal]] = defaultdict(list)
    for pedal in score.pedals:
        spans = by_channel[pedal.track, pedal.channel]
        if spans and pedal.start < spans[-1].end:
            spans[-1] = replace(spans[-1], end=max(spans[-1].end, pedal.end))
        else:
            spans.append(pedal)
    return replace(score, notes=notes, pedals=[pedal for spans in by_channel.values() for pedal in spans])


def write(score: Score, path: str | os.PathLike[str]) -> None:
    """Writes ``score`` as a MIDI file of type 1, replacing ``path`` only when the whole new file stands beside it.

    Reading it back gives ``as_written(score)``: the same notes, tempos, meters, keys, pedals, programs and track names
    (of several map entries at one tick the last; names as far as UTF-8 can tell them).

    Raises :class:`MidiError`, one sentence, when a value is out of range (a pitch outside 0..127, a note that ends
    before it starts, ...), when the piece is longer than 20,000 beats or 1,000,000 events, or when the file cannot be
    written.
    """
    name = os.fspath(path)
    _replace_file(name, to_bytes(score, name))


def to_bytes(score: Score, name: str = "the piece") -> bytes:
    """The content of the file that :func:`write` writes; a :class:`MidiError` calls it ``name``."""
    tracks = _tracks(as_written(_checked(score, name)))

    from mido import MidiFile

    file = MidiFile(type=1, ticks_per_beat=score.ticks_per_beat)
    for events in tracks:
        file.tracks.append(_mido_track(events))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _checked(score: Score, name: str) -> Score:
    """The score with every number a plain int in its range."""

    def refuse(why: str) -> MidiError:
        return MidiError(f"cannot write {shown(name)}: {why}")

    def number(value: SupportsIndex, low: int, high: int, what: str) -> int:
        try:
            result = operator.index(value)
        except TypeError:
            raise refuse(f"{what} is {value!r}, not a whole number") from None
        if not low <= result <= high:
            raise refuse(f"{what} is {result}, outside {low}..{high}")
        return result

    resolution = number(score.ticks_per_beat, 1, 0x7FFF, "ticks_per_beat")
    last = resolution * MAX_BEATS
    if 2 * (len(score.notes) + len(score.pedals)) > MAX_EVENTS - 100_000:
        what = f"{len(score.notes)} notes and {len(score.pedals)} pedal spans"
        raise refuse(f"{what} are more than a file of {MAX_EVENTS} events can hold")

    def span(start: int, end: int, what: str) -> tuple[int, int]:
        first = number(start, 0, last, f"the start of {what}")
        return first, number(end, first + 1, last, f"the end of {what} that starts at tick {first}")

    def tick(value: int, what: str) -> int:
        return number(value, 0, last, f"the tick of {what}")

    notes = []
    for n in score.notes:
        start, end = span(n.start, n.end, "a note")
        at = f"at tick {start}"
        pitch = number(n.pitch, 0, 127, f"the pitch of the note {at}")
        velocity = number(n.velocity, 1, 127, f"the velocity of the note {at}")
        channel = number(n.channel, 0, 15, f"the channel of the note {at}")
        notes.append(Note(start, end, pitch, velocity, channel, number(n.track, 0, MAX_TRACKS - 1, f"the track {at}")))
    pedals = []
    for p in score.pedals:
        start, end = span(p.start, p.end, "a pedal span")
        channel = number(p.channel, 0, 15, "the channel of a pedal span")
        pedals.append(Pedal(start, end, channel, number(p.track, 0, MAX_TRACKS - 1, "the track of a pedal span")))
    for tempo in score.tempos:
        number(tempo.us_per_beat, 1, 0xFFFFFF, f"the tempo at tick {tick(tempo.tick, 'a tempo')} in microseconds")
    for meter in score.meters:
        at = f"of the meter at tick {tick(meter.tick, 'a meter')}"
        number(meter.numerator, 1, 255, f"the numerator {at}")
        if number(meter.denominator, 1, 64, f"the denominator {at}").bit_count() != 1:
            raise refuse(f"the denominator {at} is {meter.denominator}, not a power of two")
    for key in score.keys:
        tick(key.tick, "a key")
        if key.key not in KEY_NAMES:
            raise refuse(f"{key.key!r} is no key signature such as C, F#, Bb, Am or F#m")
    for (track, channel), program in score.programs.items():
        number(track, 0, MAX_TRACKS - 1, "the track of a program")
        number(channel, 0, 15, "the channel of a program")
        number(program, 0, 127, f"the program of channel {channel}")
    for track in score.track_names:
        number(track, 0, MAX_TRACKS - 1, "the track of a track name")
    return replace(score, notes=notes, pedals=pedals)


Event = tuple[int, int, int, str, dict[str, Any]]  # tick, rank within the tick, order given, mido's type and attributes


def _tracks(score: Score) -> list[list[Event]]:
    """The events of each track, in the order in which they are written."""
    used = [0, *(n.track for n in score.notes), *(p.track for p in score.pedals), *score.track_names]
    count = 1 + max(max(used), max((track for track, _ in score.programs), default=0))
    tracks: list[list[Event]] = [[] for _ in range(count)]

    def add(track: int, tick: int, rank: int, kind: str, **attributes: Any) -> None:
        tracks[track].append((tick, rank, len(tracks[track]), kind, attributes))

    for track, text in score.track_names.items():
        add(track, 0, _MAPS, "track_name", name=text)
    for tempo in score.tempos:
        add(0, tempo.tick, _MAPS, "set_tempo", tempo=tempo.us_per_beat)
    for meter in score.meters:
        add(0, meter.tick, _MAPS, "time_signature", numerator=meter.numerator, denominator=meter.denominator)
    for key in score.keys:
        add(0, key.tick, _MAPS, "key_signature", key=key.key)
    for (track, channel), program in score.programs.items():
        add(track, 0, _MAPS, "program_change", channel=channel, program=program)
    for p in score.pedals:
        add(p.track, p.start, _BEGINS, "control_change", channel=p.channel, control=64, value=127)
        add(p.track, p.end, _ENDS, "control_change", channel=p.channel, control=64, value=0)
    for n in score.notes:
        add(n.track, n.start, _BEGINS, "note_on", channel=n.channel, note=n.pitch, velocity=n.velocity)
        add(n.track, n.end, _ENDS, "note_off", channel=n.channel, note=n.pitch, velocity=64)
    for events in tracks:
        events.sort(key=lambda event: event[:3])
    return tracks


def _mido_track(events: list[Event]) -> Any:
    from mido import Message, MetaMessage, MidiTrack, UnknownMetaMessage

    track = MidiTrack()
    now = 0
    for tick, rank, _, kind, attributes in events:
        delta, now = tick - now, tick
        if kind == "track_name":
            # mido's character set is a global, Latin-1 by default: the raw form of the same event (type 3) takes UTF-8.
            text = attributes["name"].encode("utf-8", "replace")
            track.append(UnknownMetaMessage(3, data=text, time=delta))
        elif rank == _MAPS and kind != "program_change":
            track.append(MetaMessage(kind, time=delta, **attributes))
        else:
            track.append(Message(kind, skip_checks=True, time=delta, **attributes))
    return track


def _replace_file(name: str, content: bytes) -> None:
    try:
        with replacing(name) as part:
            part.write_bytes(content)
    except OSError as error:
        raise MidiError(f"cannot write {shown(name)}: {error.strerror or type(error).__name__}") from error
