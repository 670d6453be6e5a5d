"""Bars as sets of notes, and how alike two of them are.

The content of a stretch of music is the set of its (position, pitch): every note that begins in it at the slot at which
it begins, and every note that is held into it at slot 0, so that a chord that is struck again and one that is tied over
the bar line are the same to a piano-roll and to a score. Two stretches A and B are alike by the coefficient of Dice
(Ecology 26, 1945):

    sim(A, B) = 2 |A and B| / (|A| + |B|)        in [0, 1]; 1 where every note agrees.

It does not see how long notes are held, and one note moved by one slot is as different as one that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinydl.measures.texture import GRID, PITCHES, Ints, Texture

__all__ = ["Stretches", "bars", "similarity", "windows"]

SHIFTS = range(-6, 6)  # every transposition but for octaves


@dataclass(frozen=True, slots=True)
class Stretches:
    """The content of M stretches of music: note k belongs to stretch ``owner[k]`` and is ``item[k]``.

    ``item`` is slot * 128 + pitch; both int64 [K], sorted by owner, each (owner, item) once. ``starts``, int64 [M], are
    the slots at which the stretches begin, ``lengths`` their lengths.
    """

    owner: Ints
    item: Ints
    starts: Ints
    lengths: Ints

    @property
    def sizes(self) -> Ints:
        """Notes in every stretch, int64 [M]."""
        return np.bincount(self.owner, minlength=len(self.starts))

    @property
    def positions(self) -> Ints:
        """In how many different slots of every stretch a note begins (or is held into it), int64 [M]."""
        slots = np.unique(np.stack([self.owner, self.item // PITCHES], axis=1), axis=0)
        return np.bincount(slots[:, 0], minlength=len(self.starts))


def bars(piece: Texture) -> Stretches:
    """The bars of a piece, from its bar lines."""
    lines, notes = piece.bars, piece.notes
    if len(lines) < 2 or not len(notes):
        nothing = np.zeros(0, np.int64)
        return Stretches(nothing, nothing, lines[:-1], np.diff(lines))
    first = np.searchsorted(lines, notes[:, 0], side="right") - 1
    last = np.searchsorted(lines, notes[:, 1], side="left") - 1  # the bar in which the note ends
    struck = np.stack([first, (notes[:, 0] - lines[first]) * PITCHES + notes[:, 2]], axis=1)
    held = _counted(first + 1, last + 1, notes[:, 2])
    return _stretches([struck, held], lines[:-1], np.diff(lines))


def windows(piece: Texture, length: int) -> Stretches:
    """Every stretch of ``length`` slots that begins on a beat and holds a note: where a copied bar can come from."""
    notes = piece.notes
    parts = []
    for back in range(-(-length // GRID)):
        window = notes[:, 0] // GRID - back
        slot = notes[:, 0] - window * GRID
        inside = (window >= 0) & (slot < length)
        parts.append(np.stack([window, slot * PITCHES + notes[:, 2]], axis=1)[inside])
    parts.append(_counted(notes[:, 0] // GRID + 1, (notes[:, 1] - 1) // GRID + 1, notes[:, 2]))
    count = int(notes[:, 1].max(initial=0) - 1) // GRID + 1 if len(notes) else 0
    starts = np.arange(count, dtype=np.int64) * GRID
    return _stretches(parts, starts, np.full(count, length, np.int64))


def _counted(first: Ints, stop: Ints, item: Ints) -> Ints:
    """Rows (owner, item) for every owner in first[k] ... stop[k] - 1: int64 [sum, 2]."""
    count = np.maximum(stop - first, 0)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.stack([np.repeat(first, count) + offset, np.repeat(item, count)], axis=1)


def _stretches(parts: list[Ints], starts: Ints, lengths: Ints) -> Stretches:
    rows = np.concatenate(parts)
    span = PITCHES * (int(lengths.max(initial=1)) + 1)
    code = np.unique(rows[:, 0] * span + rows[:, 1])  # quicker than rows at a time
    return Stretches(code // span, code % span, starts, lengths)


def similarity(piece: Texture) -> npt.NDArray[np.float64]:
    """sim of every two bars of a piece, float64 [M, M]; bars without a note are like none, not even themselves."""
    found = bars(piece)
    count = len(found.starts)
    _, column = np.unique(found.item, return_inverse=True)
    holds = np.zeros((count, int(column.max(initial=-1)) + 1), np.float32)  # float32: exact, and quick in a product
    holds[found.owner, column] = 1
    shared = (holds @ holds.T).astype(np.float64)
    sizes = found.sizes
    result: npt.NDArray[np.float64] = 2 * shared / np.maximum(sizes[:, None] + sizes, 1)
    return result
