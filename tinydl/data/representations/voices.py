"""Finding voices in notes: the one that carries the tune, and four that sing a chorale."""

from __future__ import annotations

from itertools import combinations, groupby

import numpy as np
import numpy.typing as npt

__all__ = ["Line", "four_voices", "groups", "monophonic", "tune"]

Row = list[int]  # start, end (in steps), pitch, ...
Line = list[list[int]]  # the notes of one voice as [start, end, pitch], one at a time

_MONOPHONIC = 0.9  # share of notes that begin when the one before has ended, from which a part counts as one voice
_CENTRES = (71, 65, 58, 50)  # where soprano, alto, tenor and bass are looked for before they have sung


def groups(rows: npt.NDArray[np.int64]) -> list[list[Row]]:
    """The notes of each part, that is of each (track, channel), every part by start and pitch."""
    parts: dict[tuple[int, int], list[Row]] = {}
    for row in rows.tolist():
        parts.setdefault((row[5], row[4]), []).append(row)
    return [parts[key] for key in sorted(parts)]


def monophonic(part: list[Row]) -> bool:
    """Whether nearly all notes of a part (by start) begin when all before them have ended."""
    free, end = 0, 0
    for row in part:
        free += row[0] >= end
        end = max(end, row[1])
    return free >= _MONOPHONIC * len(part)


def _mean_pitch(part: list[Row]) -> float:
    return sum(row[2] for row in part) / len(part)


def one_at_a_time(part: list[Row], *, upper: bool = True) -> tuple[Line, int, int]:
    """A part as one voice: a new note ends the one before it, of notes that start together the highest (or lowest) is
    taken. Returns the line, the number of notes shortened, and of notes left out."""
    line: Line = []
    shortened = left_out = 0
    for start, chord in groupby(part, key=lambda row: row[0]):
        notes = list(chord)
        left_out += len(notes) - 1
        _, end, pitch = (max if upper else min)(notes, key=lambda row: row[2])[:3]
        if line and line[-1][1] > start:
            line[-1][1] = start
            shortened += 1
        line.append([start, end, pitch])
    return line, shortened, left_out


def _skyline(rows: list[Row]) -> tuple[Line, int, int]:
    """The highest sounding onsets: a note enters the tune if nothing of the tune above it still sounds."""
    line: Line = []
    shortened = left_out = 0
    for start, chord in groupby(rows, key=lambda row: row[0]):
        notes = list(chord)
        _, end, pitch = max(notes, key=lambda row: (row[2], row[1]))[:3]
        left_out += len(notes) - 1
        if line and line[-1][1] > start:
            if line[-1][2] > pitch:
                left_out += 1
                continue
            line[-1][1] = start
            shortened += 1
        line.append([start, end, pitch])
    return line, shortened, left_out


def tune(rows: npt.NDArray[np.int64]) -> tuple[Line, int, int]:
    """The tune of a piece: of the parts that are one voice and not much sparser than the rest (a tenth of the notes of
    the largest), the one that lies highest; where there is none, the skyline of all notes.

    Returns the line, the number of its notes that were shortened, and of the notes left out.
    """
    parts = groups(rows)
    largest = max((len(part) for part in parts), default=0)
    voices = [part for part in parts if 10 * len(part) >= largest and monophonic(part)]
    if not voices:
        return _skyline(rows.tolist())
    part = max(voices, key=_mean_pitch)
    line, shortened, left_out = one_at_a_time(part)
    return line, shortened, left_out + len(rows) - len(part)


def four_voices(rows: npt.NDArray[np.int64]) -> tuple[list[Line], int, int]:
    """Soprano, alto, tenor and bass. Four parts (tracks or channels) that are one voice each are the voices, by falling
    mean pitch. Anything else is assigned note by note: of at most four notes at a time, higher ones to higher voices,
    each to the free voice whose last note lies nearest; what finds no free voice is left out, inner notes first.

    Returns the four lines, the number of notes shortened, and of notes left out.
    """
    parts = groups(rows)
    if len(parts) == 4 and all(map(monophonic, parts)):
        parts.sort(key=_mean_pitch, reverse=True)
        found = [one_at_a_time(part, upper=voice < 3) for voice, part in enumerate(parts)]
        return [line for line, _, _ in found], sum(f[1] for f in found), sum(f[2] for f in found)
    lines: list[Line] = [[], [], [], []]
    left_out = 0
    for start, chord in groupby(rows.tolist(), key=lambda row: row[0]):
        notes = sorted(chord, key=lambda row: -row[2])
        free = [v for v in range(4) if not lines[v] or lines[v][-1][1] <= start]
        held = {v: lines[v][-1][2] for v in range(4) if v not in free}
        while len(notes) > len(free):
            notes.pop(len(notes) // 2)
            left_out += 1
        for voice, (_, end, pitch) in zip(_nearest(notes, free, held, lines), (row[:3] for row in notes)):
            lines[voice].append([start, end, pitch])
    return lines, 0, left_out


def _nearest(notes: list[Row], free: list[int], held: dict[int, int], lines: list[Line]) -> tuple[int, ...]:
    """The free voices, in order, that the notes (by falling pitch) move to with the least motion and crossing."""

    def cost(voices: tuple[int, ...]) -> int:
        total = 0
        for voice, row in zip(voices, notes):
            last = lines[voice][-1][2] if lines[voice] else _CENTRES[voice]
            total += abs(row[2] - last)
            total += sum(12 for v, pitch in held.items() if (v < voice) != (pitch > row[2]) and pitch != row[2])
        return total

    return min(combinations(free, len(notes)), key=cost)
