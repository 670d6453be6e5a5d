"""Small pieces of music, written down."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tinydl.data.score import Meter, Note, Score

TICKS = 480


def score(*notes: tuple[float, float, int], meter: tuple[int, int] | None = None, ticks: int = TICKS) -> Score:
    """Notes as (beat at which it begins, beat at which it ends, pitch)."""
    entered = [Note(round(start * ticks), round(end * ticks), pitch) for start, end, pitch in notes]
    return Score(ticks, entered, meters=[Meter(0, *meter)] if meter else [])


def tune(pitches: Sequence[int], lengths: Sequence[float] | float = 1.0, begin: float = 0.0) -> Score:
    """One note after the other."""
    beats = [lengths] * len(pitches) if isinstance(lengths, (int, float)) else lengths
    notes, at = [], begin
    for pitch, length in zip(pitches, beats):
        notes.append((at, at + length, pitch))
        at += length
    return score(*notes)


def chorale(chords: Sequence[Sequence[int]], length: float = 1.0, begin: float = 0.0) -> Score:
    """One chord after the other."""
    return score(*((begin + i * length, begin + (i + 1) * length, p) for i, chord in enumerate(chords) for p in chord))


def stretched(piece: Score, factor: int) -> Score:
    """The piece played slower: every time multiplied."""
    notes = [Note(n.start * factor, n.end * factor, n.pitch) for n in piece.notes]
    return Score(piece.ticks_per_beat, notes)


# Any music on a grid of sixths of a beat, in a range that leaves room to transpose.
notes = st.tuples(st.integers(0, 60), st.integers(1, 12), st.integers(40, 88))
scores = st.lists(notes, min_size=1, max_size=24).map(
    lambda found: score(*((start / 6, (start + length) / 6, pitch) for start, length, pitch in found))
)
