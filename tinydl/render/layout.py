"""What every piano-roll needs to know of a score: its bars, its range, its voices and their colours, its facts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from tinydl.data.score import DRUM_CHANNEL, Score
from tinydl.errors import DataError

__all__ = [
    "PALETTE",
    "Colour",
    "Voices",
    "bars_and_beats",
    "bars_of",
    "beat_ticks",
    "count",
    "facts",
    "pitch_name",
    "span",
    "voices_of",
]

Colour = tuple[int, int, int]

# Eight colours that stay apart for colour-blind eyes too (after Okabe and Ito, darkened to 3 : 1 on white).
PALETTE: tuple[Colour, ...] = (
    (0, 104, 178), (213, 94, 0), (0, 146, 108), (190, 92, 155),
    (168, 122, 0), (70, 150, 205), (110, 84, 160), (90, 90, 90),
)  # fmt: skip
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pitch_name(pitch: int) -> str:
    """The name of a MIDI pitch; 60 is C4.

    >>> pitch_name(60), pitch_name(21)
    ('C4', 'A0')
    """
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


@dataclass(frozen=True)
class Voices:
    """The voices of a score: (track, channel) → its number, and their names."""

    number: dict[tuple[int, int], int]
    names: list[str]


def voices_of(score: Score) -> Voices:
    """Every (track, channel) that plays a note, in that order; a track without a name is ``voice k``."""
    keys = sorted({(note.track, note.channel) for note in score.notes})
    names = []
    for k, (track, channel) in enumerate(keys):
        name = score.track_names.get(track, "").strip()
        names.append(name or ("drums" if channel == DRUM_CHANNEL else f"voice {k + 1}"))
    return Voices({key: k for k, key in enumerate(keys)}, names)


def bars_of(score: Score) -> list[tuple[int, int]]:
    """(start, end) of every bar in ticks; :class:`DataError` when the score has no notes."""
    if not score.notes:
        raise DataError("there is nothing to draw: the score holds no notes")
    lines = score.bars()
    last, meter = lines[-1]
    whole = last + max(1, 4 * score.ticks_per_beat * meter.numerator // meter.denominator)  # show the last bar whole
    starts = [tick for tick, _ in lines]
    return list(zip(starts, [*starts[1:], max(whole, score.end_tick)]))


def span(score: Score) -> tuple[int, int]:
    """Lowest and highest row: the pitches in use, some air, and at least an octave and a half."""
    low, high = min(n.pitch for n in score.notes) - 2, max(n.pitch for n in score.notes) + 2
    while high - low < 18:
        low, high = low - 1, high + 1
    return max(0, low), min(127, high)


def beat_ticks(score: Score, tick: int) -> int:
    """Ticks of a beat as counted at ``tick``: a dotted quarter in 6/8, 9/8, 12/8, else the meter's unit."""
    meter = score.meter_at(tick)
    unit = 4 * score.ticks_per_beat // meter.denominator
    compound = meter.denominator >= 8 and meter.numerator % 3 == 0 and meter.numerator > 3
    return max(1, 3 * unit if compound else unit)


def facts(score: Score, bars: int) -> list[str]:
    """What stands over a roll: bars, meter, key, tempo, length, notes."""
    meter = score.meter_at(0)
    parts = [count(bars, "bar"), f"{meter.numerator}/{meter.denominator}"]
    if score.keys:
        parts.append(score.keys[0].key)
    if score.tempos:
        parts.append(f"{score.tempos[0].bpm:.0f} quarter notes/min")
    seconds = score.seconds
    return [*parts, f"{int(seconds // 60)}:{seconds % 60:04.1f}", count(len(score.notes), "note")]


def count(n: int, what: str) -> str:
    """``1 bar``, ``2 bars``."""
    return f"{n} {what}{'s' * (n != 1)}"


def bars_and_beats(score: Score, ticks: Iterable[float]) -> list[tuple[int, float]]:
    """Where ticks stand in the music: (bar, beat), both counted from 1, beats as :func:`beat_ticks` counts them.

    >>> from tinydl.data.score import Note
    >>> bars_and_beats(Score(480, [Note(0, 3840, 60)]), [0, 240, 1920])
    [(1, 1.0), (1, 1.5), (2, 1.0)]
    """
    starts = [start for start, _ in bars_of(score)]
    found = []
    for tick in ticks:
        bar = max(0, bisect_right(starts, tick) - 1)
        found.append((bar + 1, 1 + (tick - starts[bar]) / beat_ticks(score, starts[bar])))
    return found
