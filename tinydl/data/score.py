"""A piece of music as notes in ticks, with its tempo, meter, key, pedal and program maps.

Time is counted in *ticks*; ``ticks_per_beat`` of them make one *beat*, which is always a quarter note, whatever the
meter says. A tempo of u microseconds per beat holds from its tick until the next one, and 500,000 (120 beats a minute)
before the first, so with tempo changes at ticks t_0 = 0 < t_1 < ... the tick t in segment k lies at

    seconds(t) = sum_{j<k} (t_{j+1} - t_j) u_j / (10^6 R)  +  (t - t_k) u_k / (10^6 R),      R = ticks_per_beat.

A file whose time base is SMPTE frames fits the same form exactly: see :func:`smpte_time_base`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from typing import Any, overload

import numpy as np
import numpy.typing as npt

__all__ = [
    "DEFAULT_TEMPO",
    "DRUM_CHANNEL",
    "KEY_NAMES",
    "Key",
    "Meter",
    "Note",
    "Pedal",
    "Score",
    "Tempo",
    "smpte_time_base",
]

DEFAULT_TEMPO = 500_000  # microseconds per beat: what a MIDI file means when it names no tempo
DRUM_CHANNEL = 9  # "channel 10" in General MIDI: its pitches name instruments, not tones

_MAJOR = {"Cb": 11, "Gb": 6, "Db": 1, "Ab": 8, "Eb": 3, "Bb": 10, "F": 5, "C": 0, "G": 7, "D": 2, "A": 9, "E": 4,
          "B": 11, "F#": 6, "C#": 1}  # fmt: skip
_MINOR = {"Abm": 8, "Ebm": 3, "Bbm": 10, "Fm": 5, "Cm": 0, "Gm": 7, "Dm": 2, "Am": 9, "Em": 4, "Bm": 11, "F#m": 6,
          "C#m": 1, "G#m": 8, "D#m": 3, "A#m": 10}  # fmt: skip
KEY_NAMES = frozenset((*_MAJOR, *_MINOR))  # the fifteen major and fifteen minor keys that a key signature can name
# The spelling with the fewest accidentals for each tonic; the tritone is spelt with flats.
_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm")


@dataclass(slots=True, frozen=True)
class Note:
    """One note: sounds from tick ``start`` up to, not including, tick ``end``; ``end > start``."""

    start: int
    end: int
    pitch: int  # MIDI number, 0..127; 60 is middle C, 21..108 the piano
    velocity: int = 80  # 1..127
    channel: int = 0  # 0..15
    track: int = 0


@dataclass(slots=True, frozen=True)
class Tempo:
    """From ``tick`` on, a beat (quarter note) lasts ``us_per_beat`` microseconds."""

    tick: int
    us_per_beat: int

    @property
    def bpm(self) -> float:
        """Beats (quarter notes) per minute."""
        return 6e7 / self.us_per_beat


@dataclass(slots=True, frozen=True)
class Meter:
    """From ``tick`` on, a bar holds ``numerator`` notes of value 1/``denominator`` (a power of two)."""

    tick: int
    numerator: int = 4
    denominator: int = 4

    @property
    def beats(self) -> float:
        """Length of one bar in beats (quarter notes): 4 * numerator / denominator; exact, a multiple of 1/16."""
        return 4 * self.numerator / self.denominator


@dataclass(slots=True, frozen=True)
class Key:
    """From ``tick`` on, the key signature ``key``: "C", "F#", "Bb" for major, "Am", "F#m" for minor."""

    tick: int
    key: str = "C"


@dataclass(slots=True, frozen=True)
class Pedal:
    """The sustain pedal (controller 64) of ``channel`` is down from tick ``start`` to tick ``end``."""

    start: int
    end: int
    channel: int = 0
    track: int = 0


_NOTE_ORDER = attrgetter("start", "pitch", "end", "track", "channel", "velocity")
_NOTE_FIELDS = attrgetter("start", "end", "pitch", "velocity", "channel", "track")
_TICK_ORDER = attrgetter("tick")
_PEDAL_ORDER = attrgetter("start", "end", "track", "channel")


@dataclass(slots=True)
class Score:
    """A piece: notes in ticks, and the maps that give ticks a meaning.

    Notes are kept sorted by start, then pitch (then end, track, channel, velocity, so that equal music compares
    equal); the maps by tick (stable: of two entries at one tick the later listed one holds). ``programs`` maps
    (track, channel) to a General MIDI program 0..127, ``track_names`` a track number to its name.

    Raises ``ValueError`` when ``ticks_per_beat`` is not positive.
    """

    ticks_per_beat: int = 480
    notes: list[Note] = field(default_factory=list)
    tempos: list[Tempo] = field(default_factory=list)
    meters: list[Meter] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    pedals: list[Pedal] = field(default_factory=list)
    programs: dict[tuple[int, int], int] = field(default_factory=dict)
    track_names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ticks_per_beat <= 0:
            raise ValueError(f"ticks_per_beat must be positive, got {self.ticks_per_beat}")
        self.notes = sorted(self.notes, key=_NOTE_ORDER)
        self.tempos = sorted(self.tempos, key=_TICK_ORDER)
        self.meters = sorted(self.meters, key=_TICK_ORDER)
        self.keys = sorted(self.keys, key=_TICK_ORDER)
        self.pedals = sorted(self.pedals, key=_PEDAL_ORDER)

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def end_tick(self) -> int:
        """The tick at which the last note ends; 0 for a piece without notes."""
        return max((note.end for note in self.notes), default=0)

    @property
    def seconds(self) -> float:
        """Length in seconds: where the last note ends."""
        return self.to_seconds(self.end_tick)

    @property
    def beats(self) -> float:
        """Length in beats (quarter notes): where the last note ends."""
        return self.end_tick / self.ticks_per_beat

    def _tempo_segments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Per tempo segment: first tick, seconds at that tick, seconds per tick (float64 [K])."""
        by_tick = {0: DEFAULT_TEMPO}
        for tempo in self.tempos:  # of several at one tick the last holds
            by_tick[max(0, tempo.tick)] = tempo.us_per_beat
        ticks = np.array(sorted(by_tick), dtype=np.float64)
        rates = np.array([by_tick[int(t)] for t in ticks], dtype=np.float64) / (1e6 * self.ticks_per_beat)
        seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * rates[:-1])])
        return ticks, seconds, rates

    @overload
    def to_seconds(self, ticks: int) -> float: ...
    @overload
    def to_seconds(self, ticks: npt.NDArray[Any] | list[int]) -> npt.NDArray[np.float64]: ...
    def to_seconds(self, ticks: Any) -> Any:
        """Seconds at ``ticks``: an int gives a float, an array or list int [N] gives float64 [N].

        Pass many ticks at once: each call reads the tempo map once.
        """
        first, seconds, rates = self._tempo_segments()
        at = np.asarray(ticks, dtype=np.float64)
        k = np.maximum(np.searchsorted(first, at, side="right") - 1, 0)
        out = seconds[k] + (at - first[k]) * rates[k]
        return float(out) if out.ndim == 0 else out

    @overload
    def to_ticks(self, seconds: float) -> int: ...
    @overload
    def to_ticks(self, seconds: npt.NDArray[Any] | list[float]) -> npt.NDArray[np.int64]: ...
    def to_ticks(self, seconds: Any) -> Any:
        """The nearest tick to ``seconds``, the inverse of :meth:`to_seconds`: float to int, [N] to int64 [N]."""
        first, start, rates = self._tempo_segments()
        at = np.asarray(seconds, dtype=np.float64)
        k = np.maximum(np.searchsorted(start, at, side="right") - 1, 0)
        out = np.rint(first[k] + (at - start[k]) / rates[k]).astype(np.int64)
        return int(out) if out.ndim == 0 else out

    def meter_at(self, tick: int) -> Meter:
        """The meter that holds at ``tick``; 4/4 before the first."""
        found = Meter(0)
        for meter in self.meters:
            if meter.tick > tick:
                break
            found = meter
        return found

    def bars(self, end: int | None = None) -> list[tuple[int, Meter]]:
        """The bar lines as (tick, meter), from tick 0 until ``end`` (default: the end of the piece), ``end`` excluded.

        A meter change starts a new bar at its own tick, so the bar before it may be short. Bar lines are floored to
        ticks where a bar is not a whole number of them.
        """
        stop = self.end_tick if end is None else end
        by_tick = {0: Meter(0)}
        for meter in self.meters:
            by_tick[max(0, meter.tick)] = meter
        changes = sorted(by_tick.items())
        lines: list[tuple[int, Meter]] = []
        for (first, meter), following in zip(changes, [*(tick for tick, _ in changes[1:]), stop]):
            length = 4 * meter.numerator * self.ticks_per_beat  # in ticks, times the denominator
            limit = min(following, stop)
            count = -(-(limit - first) * meter.denominator // length)
            ticks = (first + k * length // meter.denominator for k in range(max(0, count)))
            lines.extend((tick, meter) for tick in ticks if tick < limit)
        return lines

    # --- new scores from this one -----------------------------------------------------------------------------------

    def copy(self) -> Score:
        """A score of its own: the entries are immutable, the lists and dictionaries are new."""
        return replace(self, programs=dict(self.programs), track_names=dict(self.track_names))

    def select(
        self, *, tracks: Collection[int] | None = None, channels: Collection[int] | None = None, drums: bool = True
    ) -> Score:
        """Only the notes and pedals of these tracks and channels (``None``: all); ``drums=False`` leaves channel 9 out.

        The maps of time and the names stay whole.
        """

        def wanted(event: Note | Pedal) -> bool:
            return (
                (tracks is None or event.track in tracks)
                and (channels is None or event.channel in channels)
                and (drums or event.channel != DRUM_CHANNEL)
            )

        kept = self.copy()
        kept.notes = [note for note in self.notes if wanted(note)]
        kept.pedals = [pedal for pedal in self.pedals if wanted(pedal)]
        return kept

    def transpose(self, semitones: int) -> Score:
        """Every pitch and key moved by ``semitones``; drums (channel 9) stay as they are.

        Raises ``ValueError`` when a pitch would leave 0..127.
        """
        moved = []
        for note in self.notes:
            if note.channel == DRUM_CHANNEL:
                moved.append(note)
                continue
            pitch = note.pitch + semitones
            if not 0 <= pitch <= 127:
                raise ValueError(
                    f"transposing by {semitones} would move pitch {note.pitch} at tick {note.start} to {pitch}, "
                    "outside 0..127"
                )
            moved.append(Note(note.start, note.end, pitch, note.velocity, note.channel, note.track))
        result = self.copy()
        result.notes = sorted(moved, key=_NOTE_ORDER)
        result.keys = [Key(k.tick, _transpose_key(k.key, semitones)) for k in self.keys]
        return result

    def rescale(self, ticks_per_beat: int) -> Score:
        """The same piece counted in another number of ticks per beat, each time rounded to the nearest (half up).

        Exact when the new number is a multiple of the old one. A note never becomes shorter than one tick.
        """
        if ticks_per_beat <= 0:
            raise ValueError(f"ticks_per_beat must be positive, got {ticks_per_beat}")
        old = self.ticks_per_beat

        def scaled(tick: int) -> int:
            return (2 * tick * ticks_per_beat + old) // (2 * old)

        def span(start: int, end: int) -> tuple[int, int]:
            first = scaled(start)
            return first, max(scaled(end), first + 1)

        return Score(
            ticks_per_beat,
            [Note(*span(n.start, n.end), n.pitch, n.velocity, n.channel, n.track) for n in self.notes],
            [Tempo(scaled(t.tick), t.us_per_beat) for t in self.tempos],
            [Meter(scaled(m.tick), m.numerator, m.denominator) for m in self.meters],
            [Key(scaled(k.tick), k.key) for k in self.keys],
            [Pedal(*span(p.start, p.end), p.channel, p.track) for p in self.pedals],
            dict(self.programs),
            dict(self.track_names),
        )

    def apply_pedal(self) -> Score:
        """The pedal turned into note lengths: what a listener hears, without pedal spans.

        A note that ends while the pedal of its channel is down (in any track: the pedal belongs to the channel) lasts
        until the pedal comes up, or until the same pitch of that channel starts again. Notes never become shorter.
        """
        spans: dict[int, list[tuple[int, int]]] = {}
        for pedal in self.pedals:  # sorted by start; overlapping spans of several tracks join into one
            joined = spans.setdefault(pedal.channel, [])
            if joined and pedal.start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], pedal.end))
            else:
                joined.append((pedal.start, pedal.end))
        bounds = {channel: np.array(joined, dtype=np.int64) for channel, joined in spans.items()}
        following: dict[tuple[int, int], int] = {}  # (channel, pitch) -> start of the next note
        sustained = []
        for note in reversed(self.notes):  # backwards, so that the next note of each pitch is known
            end = note.end
            channel_spans = bounds.get(note.channel)
            if channel_spans is not None:
                k = int(np.searchsorted(channel_spans[:, 0], end, side="right")) - 1
                if k >= 0 and end < channel_spans[k, 1]:
                    released = int(channel_spans[k, 1])
                    end = max(end, min(released, following.get((note.channel, note.pitch), released)))
            following[note.channel, note.pitch] = note.start
            sustained.append(Note(note.start, end, note.pitch, note.velocity, note.channel, note.track))
        result = self.copy()
        result.notes = sorted(sustained, key=_NOTE_ORDER)
        result.pedals = []
        return result

    def array(self) -> npt.NDArray[np.int64]:
        """The notes as int64 [N, 6]: start, end, pitch, velocity, channel, track, in the order of ``notes``."""
        numbers = chain.from_iterable(map(_NOTE_FIELDS, self.notes))
        return np.fromiter(numbers, np.int64, 6 * len(self.notes)).reshape(-1, 6)


def _transpose_key(key: str, semitones: int) -> str:
    if key in _MAJOR:
        return _MAJOR_NAMES[(_MAJOR[key] + semitones) % 12] if semitones % 12 else key
    if key in _MINOR:
        return _MINOR_NAMES[(_MINOR[key] + semitones) % 12] if semitones % 12 else key
    raise ValueError(f"unknown key {key!r}: expected a name such as C, F#, Bb, Am or F#m")


def smpte_time_base(frames_per_second: int, ticks_per_frame: int) -> tuple[int, int]:
    """(ticks_per_beat, us_per_beat) that give every tick of an SMPTE time base its exact time.

    Such a file knows seconds and no beats. A beat is *defined* as half a second (120 a minute, MIDI's default tempo),
    or as a second where half of one is not a whole number of ticks. 29 means the 30 drop frame rate of 30000/1001
    frames per second, whose beats last 1001/1000 of that.

    Raises ``ValueError`` for a frame rate other than 24, 25, 29, 30 or no ticks per frame.

    >>> smpte_time_base(25, 40)
    (500, 500000)
    """
    if frames_per_second not in (24, 25, 29, 30) or ticks_per_frame <= 0:
        raise ValueError(f"no SMPTE time base of {frames_per_second} frames/s with {ticks_per_frame} ticks per frame")
    drop = frames_per_second == 29
    ticks = (30 if drop else frames_per_second) * ticks_per_frame  # per second, nominal
    beats = 1 if ticks % 2 else 2
    return ticks // beats, (1_001_000 if drop else 1_000_000) // beats
