"""The plagiarism meter: how much of a piece stands in the training data already.

**Longest copy.** The texture of a piece is a sequence of *events*: the times at which any note begins, each with the
set of all notes that sound then (a held chord is one event, however many frames it lasts). An n-gram of events agrees
with another one if

- every chord has the same shape: its notes counted in semitones above its lowest;
- the lowest note moves by the same intervals from chord to chord;
- the same times lie between the events, or with ``time_scale=True`` times in the same proportions.

So it is found in any key, and on request at any speed; which notes are tied over is not compared. ``longest_copy`` is
the largest n such that n events in a row agree with n events in a row of one training piece: a number of *chords* in
polyphonic music and of *notes* in a tune. ``longest_melody`` is the same of the upper line alone, where only its steps
and times must agree: chorales on one tune share it without sharing their harmony.

**Near-copies.** A bar is compared with every stretch of the training pieces that has its length and begins on a beat,
by Dice's coefficient (:mod:`tinydl.measures.bars`), with ``transpose=True`` in all twelve keys. It is a near-copy at
:data:`NEAR_COPY` or more. ``near_copy_share`` is the share of those among the bars that have at least
:data:`LEAST_POSITIONS` onsets and :data:`LEAST_NOTES` notes: a last bar of one held chord copies nobody.

Real music repeats itself and others too. All figures are therefore to be read beside those of real pieces that are not
in the training data, of the same lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tinydl.data.score import Score
from tinydl.errors import DataError
from tinydl.measures import bars
from tinydl.measures.bars import SHIFTS, Stretches
from tinydl.measures.texture import GRID, PITCHES, Ints, Texture, texture

__all__ = ["LEAST_NOTES", "LEAST_POSITIONS", "NEAR_COPY", "CopyIndex", "Copying", "Nearest", "Passage"]

# At this likeness about one bar in five of real test pieces has its double in the training data: 19 % of the bars of
# JSB and 22 % of those of Nottingham. At 0.8 it is 44 % and 58 %, and what is found is the style, not a copy; at 1 it
# is 9 %. A bar of twelve notes may differ by one.
NEAR_COPY = 0.9
LEAST_POSITIONS, LEAST_NOTES = 3, 4

Words = npt.NDArray[np.uint64]

_KEPT = 48  # sorted tables of n-grams that an index keeps at a time
_ODD = 0x9E3779B97F4A7C15
_ODD_INVERSE = pow(_ODD, -1, 1 << 64)


@dataclass(frozen=True, slots=True)
class Passage:
    """The longest copy: ``events`` events from beat ``at`` of the piece stand from beat ``source_at`` of ``source``."""

    events: int
    at: float
    source: str
    source_at: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """Bar ``bar`` (from 1) of the piece, and the stretch most like it: from beat ``source_at`` of ``source``."""

    similarity: float
    bar: int
    source: str
    source_at: float


@dataclass(frozen=True, slots=True)
class Copying:
    """What the meter says of a piece.

    Attributes:
        longest_copy: events (chords, or notes of a tune) of the longest copied passage; 0 where not even two in a row
            are shared.
        longest_melody: the same for the upper line, in notes.
        near_copy_share: of the bars that were compared, in [0, 1]; None where there was none to compare.
        events, bars: how many the piece has; bars, those compared.
        passage, melody_passage: where the longest copies are; None for none.
        nearest: the bar that is most like a training bar; of several, the first. None where no bar that was compared
            has a note of any.
    """

    longest_copy: int
    longest_melody: int
    near_copy_share: float | None
    events: int
    bars: int
    passage: Passage | None = None
    melody_passage: Passage | None = None
    nearest: Nearest | None = None


# -- sequences of events, as 64-bit words --------------------------------------------------------------------------


def _mix(x: Words) -> Words:
    """SplitMix64's finalizer (Steele, Lea, Flood 2014): a bijection that leaves no pattern in the bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _combine(*parts: npt.NDArray[np.integer]) -> Words:
    """One word for every tuple of words, different (but for one in 2**64) for different tuples."""
    total = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        total = _mix(total * np.uint64(_ODD) + part.astype(np.uint64) + np.uint64(1))
    return total


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Words of a sequence of events: the step from event i to i + 1 in pitch, uint64 [E - 1], and the events' slots."""

    steps: Words
    times: Ints

    def words(self, time_scale: bool) -> Words:
        """Sequences agree in k + 1 events where k of these words agree; of ``time_scale``, in k + 2."""
        gaps = np.diff(self.times)
        if not time_scale:
            return _combine(self.steps, gaps)
        common = np.gcd(gaps[:-1], gaps[1:])
        return _combine(self.steps[:-1], self.steps[1:], gaps[1:] // common, gaps[:-1] // common)


def _chords(piece: Texture) -> _Sequence:
    events = piece.events
    sounding = piece.sounding[events]
    lowest = sounding.argmax(axis=1)  # the first true value
    event, pitch = np.nonzero(sounding)
    # A set is the sum of its members' words: the order does not matter.
    above = _mix((pitch - lowest[event] + 1).astype(np.uint64) * np.uint64(_ODD))
    first = np.searchsorted(event, np.arange(len(events)))
    shape = np.add.reduceat(above, first) if len(events) else np.zeros(0, np.uint64)
    return _Sequence(_combine(shape[:-1], np.diff(lowest), shape[1:]), piece.times[events])


def _melody(piece: Texture) -> _Sequence:
    line = piece.line()
    return _Sequence(_combine(line.intervals), line.starts)


class _Ngrams:
    """All n-grams of several sequences of words, for any n: a rolling hash, one sorted table for each n asked for.

    With c_i = sum_{j < i} w_j B^j modulo 2^64, B odd, the n-gram at i has the hash (c_(i+n) - c_i) B^-i. The words
    are mixed hashes themselves; two different n-grams agree by chance once in 2^64 pairs.
    """

    def __init__(self, sequences: Sequence[Words]) -> None:
        self.lengths = np.array([len(words) for words in sequences], np.int64)
        self.stops = np.cumsum(self.lengths)
        self.words = np.concatenate([*sequences, np.zeros(0, np.uint64)])
        self.left = np.repeat(self.stops, self.lengths) - np.arange(len(self.words))  # words to the end of the sequence
        self._sums, self._inverses = _prefix(self.words)
        self._tables: dict[int, Words] = {}

    def hashes(self, n: int) -> Words:
        """The hash of the n-gram at every word; those that reach into the next sequence are of no use."""
        count = max(0, len(self.words) - n + 1)
        return (self._sums[n:] - self._sums[: len(self._sums) - n])[:count] * self._inverses[:count]

    def table(self, n: int) -> Words:
        """The hashes of all n-grams, sorted."""
        found = self._tables.get(n)
        if found is None:
            hashes = self.hashes(n)
            found = np.sort(hashes[self.left[: len(hashes)] >= n])  # np.unique would hash them again, more slowly
            if len(self._tables) >= _KEPT:
                self._tables.pop(next(iter(self._tables)))
            self._tables[n] = found
        return found

    def longest(self, words: Words) -> tuple[int, int, int, int]:
        """(n, i, s, j): the longest n words that agree, from word i of ``words`` and word j of sequence s; of several,
        the first. n is 0 where none agree."""
        asked = _Ngrams([words]) if len(words) else None

        def shared(n: int) -> npt.NDArray[np.bool_]:
            if asked is None or n > len(words):
                return np.zeros(0, np.bool_)
            table, hashes = self.table(n), asked.hashes(n)
            at = np.minimum(np.searchsorted(table, hashes), len(table) - 1)
            return table[at] == hashes if len(table) else np.zeros(len(hashes), np.bool_)

        high = 1
        while shared(high).any():  # a shared n-gram holds shared ones of every smaller n: gallop, then bisect
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if shared(middle).any() else (low, middle)
        if asked is None or low == 0:
            return 0, 0, 0, 0
        i = int(np.argmax(shared(low)))
        mine = self.hashes(low)
        word = int(np.flatnonzero((mine == asked.hashes(low)[i]) & (self.left[: len(mine)] >= low))[0])
        s = int(np.searchsorted(self.stops, word, side="right"))
        return low, i, s, word - int(self.stops[s] - self.lengths[s])


def _prefix(words: Words) -> tuple[Words, Words]:
    powers = np.full((2, len(words) + 1), 1, np.uint64)
    powers[0, 1:], powers[1, 1:] = _ODD, _ODD_INVERSE
    powers = np.multiply.accumulate(powers, axis=1)
    sums = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words * powers[0, :-1], out=sums[1:])
    return sums, powers[1, :-1]


# -- bars -----------------------------------------------------------------------------------------------------------


class _Windows:
    """Every stretch of one length in the training pieces, by the notes it holds."""

    def __init__(self, pieces: Sequence[Texture], length: int) -> None:
        found = [bars.windows(piece, length) for piece in pieces]
        counts = np.array([len(stretches.starts) for stretches in found], np.int64)
        first = np.cumsum(counts) - counts
        owner = np.concatenate([stretches.owner + at for stretches, at in zip(found, first)])
        item = np.concatenate([stretches.item for stretches in found])
        self.starts = np.concatenate([stretches.starts for stretches in found])
        self.piece = np.repeat(np.arange(len(pieces)), counts)
        self.sizes = np.bincount(owner, minlength=len(self.starts))
        # A stretch that comes again (tunes are full of them) is searched once: keep the first of every content.
        first_note = np.searchsorted(owner, np.arange(len(self.starts)))
        content = np.add.reduceat(np.append(_mix(item.astype(np.uint64)), np.uint64(0)), first_note)
        content[self.sizes == 0] = 0  # reduceat gives the next one's note there
        kept = np.zeros(len(self.starts), np.bool_)
        kept[np.unique(content, return_index=True)[1]] = True
        self.starts, self.piece, self.sizes = self.starts[kept], self.piece[kept], self.sizes[kept]
        inside = kept[owner]
        owner, item = (np.cumsum(kept) - 1)[owner[inside]], item[inside]
        order = np.argsort(item, kind="stable")
        self._owner = owner[order]
        self._known: dict[bytes, tuple[float, int]] = {}
        # item -> where its owners stand
        self._first = np.searchsorted(item[order], np.arange(PITCHES * (length + 1) + 1))

    def nearest(self, items: Ints) -> tuple[float, int]:
        """(similarity, window) of the window most like a set of items; of several, the first."""
        key = items.tobytes()  # pieces repeat their bars
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._search(items)
        return found

    def _search(self, items: Ints) -> tuple[float, int]:
        inside = items[(items >= 0) & (items < len(self._first) - 1)].tolist()
        owners = [self._owner[self._first[item] : self._first[item + 1]] for item in inside]
        if not owners or not len(self.sizes):
            return 0.0, 0
        shared = np.bincount(np.concatenate(owners), minlength=len(self.sizes))
        alike = 2 * shared / (self.sizes + len(items))
        best = int(alike.argmax())
        return float(alike[best]), best


# -- the meter ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Ready:
    """What an index has built so far; each part when it is first asked for."""

    ngrams: dict[tuple[str, bool], _Ngrams] = field(default_factory=dict)
    steps: dict[str, _Ngrams] = field(default_factory=dict)
    windows: dict[int, _Windows] = field(default_factory=dict)


class CopyIndex:
    """The training data, ready to be searched.

    Args:
        scores: the training pieces.
        names: theirs, for the report; numbers where there are none.

    Raises:
        DataError: there is no training piece.
    """

    def __init__(self, scores: Sequence[Score], names: Sequence[str] | None = None) -> None:
        if not scores:
            raise DataError("the training split is empty, and the plagiarism meter needs at least 1 piece: add music")
        self.names = list(names) if names is not None else [str(i) for i in range(len(scores))]
        if len(self.names) != len(scores):
            raise ValueError(f"{len(scores)} scores and {len(self.names)} names: give one name for each score")
        self._pieces = [texture(score) for score in scores]
        self._sequences = {kind: [view(piece) for piece in self._pieces] for kind, view in _VIEWS.items()}
        self._ready = _Ready()

    def meter(self, score: Score, *, begin: float = 0.0, time_scale: bool = False, transpose: bool = False) -> Copying:
        """How much of a piece stands in the training data.

        Args:
            score: the piece.
            begin: beats at its start that are not its own (a primer): notes that begin there are left out.
            time_scale: a passage that runs at another speed is a copy too.
            transpose: a bar in another key is a near-copy too (twelve times the work).
        """
        piece = texture(score, begin=begin)
        passages = {kind: self._longest(kind, view(piece), time_scale) for kind, view in _VIEWS.items()}
        compared, share, nearest = self._bars(bars.bars(piece), transpose)
        lengths = {kind: passage.events if passage else 0 for kind, passage in passages.items()}
        return Copying(
            lengths["chords"],
            lengths["melody"],
            share,
            len(piece.events),
            compared,
            passages["chords"],
            passages["melody"],
            nearest,
        )

    def _longest(self, kind: str, sequence: _Sequence, time_scale: bool) -> Passage | None:
        if (kind, time_scale) not in self._ready.ngrams:
            words = [other.words(time_scale) for other in self._sequences[kind]]
            self._ready.ngrams[kind, time_scale] = _Ngrams(words)
        n, i, s, j = self._ready.ngrams[kind, time_scale].longest(sequence.words(time_scale))
        events = n + 1 + time_scale
        if n == 0:
            if not time_scale:
                return None
            # Two events have one time between them, which any speed can be: the step alone decides.
            if kind not in self._ready.steps:
                self._ready.steps[kind] = _Ngrams([other.steps for other in self._sequences[kind]])
            n, i, s, j = self._ready.steps[kind].longest(sequence.steps)
            if n == 0:
                return None
            events = 2
        source_at = float(self._sequences[kind][s].times[j]) / GRID
        return Passage(events, float(sequence.times[i]) / GRID, self.names[s], source_at)

    def _bars(self, found: Stretches, transpose: bool) -> tuple[int, float | None, Nearest | None]:
        compared = np.flatnonzero((found.positions >= LEAST_POSITIONS) & (found.sizes >= LEAST_NOTES))
        first = np.searchsorted(found.owner, np.arange(len(found.starts) + 1))
        best: Nearest | None = None
        copies = 0
        for bar in compared.tolist():
            length = int(found.lengths[bar])
            if length not in self._ready.windows:
                self._ready.windows[length] = _Windows(self._pieces, length)
            windows = self._ready.windows[length]
            items = found.item[first[bar] : first[bar + 1]]
            similarity, window = 0.0, 0
            for shift in SHIFTS if transpose else (0,):
                similarity, window = max((similarity, window), windows.nearest(_moved(items, shift)), key=_similarity)
            copies += similarity >= NEAR_COPY
            if similarity > (best.similarity if best else 0.0):
                source = self.names[int(windows.piece[window])]
                best = Nearest(similarity, bar + 1, source, float(windows.starts[window]) / GRID)
        return len(compared), copies / len(compared) if len(compared) else None, best


_VIEWS = {"chords": _chords, "melody": _melody}


def _similarity(found: tuple[float, int]) -> float:
    return found[0]


def _moved(items: Ints, semitones: int) -> Ints:
    """Items transposed; those that leave the range of pitches become -1, which no piece holds."""
    pitch = items % PITCHES + semitones
    return np.where((pitch >= 0) & (pitch < PITCHES), items + semitones, -1)
