"""What all representations share: the grid of steps, the account of what is lost, configuration."""

from __future__ import annotations

import difflib
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from tinydl.data.score import DRUM_CHANNEL, Meter, Note, Score
from tinydl.errors import ConfigError

__all__ = ["Encoded", "Representation", "Step", "bars_to_steps"]

Step = Fraction | float | str
MAX_STEPS = 200_000  # of one piece: its dense roll of 88 pitches then takes 18 MB
MAX_BEATS = 20_000  # of a decoded piece; no MIDI file that is read or written is longer
_TICKS_PER_BEAT = 480


@dataclass(slots=True, frozen=True)
class Encoded:
    """An encoded piece and the exact account of what decoding it would not give back.

    ``loss`` holds counts of notes: ``notes`` in the score, which is the sum of ``kept`` (notes that decoding gives),
    ``drums`` (channel 9, never encoded), ``out_of_range`` (pitch outside the representation's), ``beyond`` (starting
    after the longest piece that is encoded), ``merged`` (one with another note of its pitch) and, in representations
    of voices, ``other_voices``. Of the notes encoded, ``quantised`` had a start or end off the grid, by at most
    ``max_shift_beats`` (float, in quarter notes; a note shorter than half a step, made one step long, counts), and
    ``shortened`` were ended early to make room for another. ``not_kept`` names what else the piece has and the
    representation never keeps.
    """

    data: npt.NDArray[Any]
    loss: dict[str, Any]

    @property
    def exact(self) -> bool:
        """Whether decoding gives every note back: same start, end (in beats) and pitch."""
        loss = self.loss
        return bool(loss["notes"] == loss["kept"] and loss["quantised"] == 0 and loss["shortened"] == 0)


_WHY_LEFT_OUT = {
    "drums": "drums",
    "out_of_range": "out of its range",
    "other_voices": "beside the voices that it reads",
    "merged": "struck again at once",
    "beyond": "after the longest piece that it reads",
}


def left_out(loss: Mapping[str, Any]) -> str:
    """Of the ``loss`` of an :class:`Encoded`: how many notes decoding does not give, by why; nothing where it gives
    all.

    >>> left_out({"notes": 9, "kept": 6, "drums": 1, "out_of_range": 2, "merged": 0})
    '1 drums, 2 out of its range'
    """
    return ", ".join(f"{loss[key]:,} {words}" for key, words in _WHY_LEFT_OUT.items() if loss.get(key))


def as_step(step: Step) -> Fraction:
    """A step in beats as an exact fraction: 0.25, "1/12", Fraction(1, 24); 0.3333 is understood as 1/3.

    Raises ``ConfigError`` when it is no number, or not within 1/960 to 16 beats.
    """
    try:
        return _checked(step)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise ConfigError(f"step {step!r} is no length in beats such as 0.25 or '1/12'") from None


@functools.lru_cache(maxsize=64)  # asked for twice a note when a piece is decoded
def _checked(step: Step) -> Fraction:
    # A decimal such as 0.0833 stands for the simple fraction next to it: no grid is finer than 1/960 beat.
    exact = Fraction(step) if isinstance(step, (str, int, Fraction)) else Fraction(float(step))
    found = exact.limit_denominator(960)
    if not Fraction(1, 960) <= found <= 16:
        raise ConfigError(f"step {step!r} must lie within 1/960 and 16 beats")
    return found


def bars_to_steps(bars: int, meter: Meter | tuple[int, int] = (4, 4), step: Step = 0.25) -> int:
    """The number of steps of ``step`` beats that hold ``bars`` bars of ``meter``, rounded up.

    >>> bars_to_steps(2, (6, 8), step="1/12")
    72
    """
    numerator, denominator = (meter.numerator, meter.denominator) if isinstance(meter, Meter) else meter
    return math.ceil(bars * Fraction(4 * numerator, denominator) / as_step(step))


R = TypeVar("R", bound="Representation")


@dataclass(frozen=True)
class Representation(ABC):
    """One way to turn a :class:`Score` into an array and back. Frozen: its fields are its configuration.

    Every representation measures time in steps of ``step`` beats (quarter notes), whatever the tempo, rounds starts and
    ends to the nearest step (half up) and makes no note shorter than one.
    """

    name: ClassVar[str]

    step: Step = "1/4"

    def __post_init__(self) -> None:
        as_step(self.step)

    @abstractmethod
    def encode(self, score: Score) -> Encoded:
        """The array of a piece, and what is lost."""

    @abstractmethod
    def decode(
        self, data: npt.NDArray[Any], *, like: Score | None = None, velocity: int = 80, program: int = 0
    ) -> Score:
        """The piece of an array. Time base, tempos, meters and keys are those of ``like`` (default: 480 ticks a beat,
        120 beats a minute, 4/4); every note has ``velocity``; every track plays ``program``."""

    def config(self) -> dict[str, Any]:
        """A JSON-ready dictionary from which :func:`representation` builds an equal one."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["step"] = str(as_step(self.step))
        return {"name": self.name, **values}

    @classmethod
    def from_config(cls: type[R], config: dict[str, Any]) -> R:
        """The inverse of :meth:`config`. Raises ``ConfigError`` for an unknown field, naming the nearest."""
        values = {key: value for key, value in config.items() if key != "name"}
        known = [f.name for f in fields(cls)]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0)
                raise ConfigError(f"representation {cls.name!r} has no field {key!r}; did you mean {near[0]!r}?")
        return cls(**values)

    def steps(self, bars: int, meter: Meter | tuple[int, int] = (4, 4)) -> int:
        """How many steps hold ``bars`` bars of ``meter``."""
        return bars_to_steps(bars, meter, self.step)

    def to_step(self, tick: int, ticks_per_beat: int) -> int:
        """The step nearest to a tick, half up."""
        step = as_step(self.step)
        span = step.numerator * ticks_per_beat
        return (2 * tick * step.denominator + span) // (2 * span)

    def to_tick(self, position: int, ticks_per_beat: int) -> int:
        """The tick of a position in steps, rounded half up where the time base cannot hold the grid."""
        step = as_step(self.step)
        return (2 * position * step.numerator * ticks_per_beat + step.denominator) // (2 * step.denominator)

    # --- for the representations themselves -------------------------------------------------------------------------

    def _rows(self, score: Score, low: int, high: int) -> tuple[npt.NDArray[np.int64], dict[str, Any]]:
        """The notes to encode as int64 [N, 6] (start and end in steps, pitch, velocity, channel, track) in the order of
        the score, and the account so far: ``kept`` counts them all."""
        rows = score.array()
        loss: dict[str, Any] = {"notes": len(rows)}
        drums = rows[:, 4] == DRUM_CHANNEL
        outside = ~drums & ((rows[:, 2] < low) | (rows[:, 2] > high))
        loss["drums"], loss["out_of_range"] = int(drums.sum()), int(outside.sum())
        rows = rows[~drums & ~outside]
        step = as_step(self.step)
        num, den = step.numerator, step.denominator
        span = num * score.ticks_per_beat  # one step in ticks, times den
        ticks = rows[:, :2]
        grid = (2 * ticks * den + span) // (2 * span)
        grid[:, 1] = np.maximum(grid[:, 1], grid[:, 0] + 1)
        inside = grid[:, 0] < MAX_STEPS
        loss["beyond"] = int((~inside).sum())
        rows, ticks, grid = rows[inside], ticks[inside], grid[inside]
        moved = np.abs(grid * span - ticks * den)
        loss["shortened"] = int((grid[:, 1] > MAX_STEPS).sum())
        grid[:, 1] = np.minimum(grid[:, 1], MAX_STEPS)
        loss["merged"] = 0
        loss["kept"] = len(rows)
        loss["quantised"] = int(moved.any(axis=1).sum())
        loss["max_shift_beats"] = float(moved.max(initial=0)) / (den * score.ticks_per_beat)
        loss["not_kept"] = _not_kept(score)
        result = rows.copy()
        result[:, :2] = grid
        return result, loss

    def _blank(self, like: Score | None) -> Score:
        """A score without notes, whose ticks can hold the grid, with the maps of ``like``."""
        if like is not None:
            return Score(like.ticks_per_beat, [], list(like.tempos), list(like.meters), list(like.keys))
        exact = math.lcm(_TICKS_PER_BEAT, as_step(self.step).denominator)
        return Score(exact if exact <= 0x7FFF else _TICKS_PER_BEAT)

    def _last_step(self) -> int:
        """The last position, in steps, that decoding gives."""
        return int(MAX_BEATS / as_step(self.step))

    def _add_notes(self, score: Score, notes: list[tuple[int, int, int, int]], velocity: int) -> Score:
        """Enters (start, end, pitch, voice), in steps, into a blank score; the voice is both channel and track."""
        last, resolution = self._last_step(), score.ticks_per_beat
        entered = []
        for start, end, pitch, voice in notes:
            if start < last:
                first = self.to_tick(start, resolution)
                stop = max(self.to_tick(min(end, last), resolution), first + 1)
                entered.append(Note(first, stop, pitch, velocity, voice, voice))
        return Score(resolution, entered, score.tempos, score.meters, score.keys, [], score.programs, score.track_names)


def _not_kept(score: Score) -> list[str]:
    """What a score holds beside starts, ends and pitches."""
    names = []
    if len({note.velocity for note in score.notes}) > 1:
        names.append("velocities")
    if len({(note.track, note.channel) for note in score.notes}) > 1:
        names.append("tracks and channels")
    if score.tempos:
        names.append("tempos")
    if score.meters:
        names.append("meters")
    if score.keys:
        names.append("keys")
    if score.pedals:
        names.append("pedal")
    if any(score.programs.values()):
        names.append("programs")
    if any(score.track_names.values()):
        names.append("track names")
    return names


def one_line_of_each_pitch(rows: npt.NDArray[np.int64], loss: dict[str, Any]) -> list[tuple[int, int, int]]:
    """(start, end, pitch) such that no pitch sounds twice at once, sorted by start and pitch.

    Of notes of one pitch that start together the longest stays (the others count as merged); one that still sounds when
    the next begins ends there (shortened).
    """
    by_pitch: dict[int, list[list[int]]] = {}
    for start, end, pitch in rows[:, :3].tolist():
        line = by_pitch.setdefault(pitch, [])
        if line and line[-1][0] == start:
            line[-1][1] = max(line[-1][1], end)
            loss["merged"] += 1
            continue
        if line and line[-1][1] > start:
            line[-1][1] = start
            loss["shortened"] += 1
        line.append([start, end])
    loss["kept"] -= loss["merged"]
    return sorted((start, end, pitch) for pitch, line in by_pitch.items() for start, end in line)


def check_pitches(low: int, high: int) -> None:
    """Raises ``ConfigError`` unless 0 <= low <= high <= 127."""
    if not 0 <= low <= high <= 127:
        raise ConfigError(f"pitches {low}..{high} are no range within 0..127")


def check_tokens(data: npt.NDArray[Any], size: int) -> list[int]:
    """A one-dimensional array of tokens 0..size-1 as a list. Raises ``ValueError`` for anything else."""
    tokens = np.asarray(data)
    if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
        raise ValueError(f"expected integer tokens of shape [L], got {tokens.dtype} {list(tokens.shape)}")
    if tokens.size and not (0 <= tokens.min() and tokens.max() < size):
        bad = tokens[(tokens < 0) | (tokens >= size)][0]
        raise ValueError(f"token {bad} lies outside the vocabulary of {size} tokens")
    return tokens.tolist()  # type: ignore[no-any-return]
