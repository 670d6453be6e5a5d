"""The measures: each gives one vector for a piece of music, and says how far two such vectors lie apart.

A piece of which a measure finds nothing to count (no notes; a single chord, where intervals are asked for) gets all the
weight of a histogram in its last bin, "none", and 0 for a number: an empty piece is far from music, and never left out.

Sources
    Yang, Lerch, "On the evaluation of generative models in music", Neural Computing and Applications 32, 2020: measures
    by piece, and distributions of their distances within and between sets.
    Wu, Yang, "The Jazz Transformer on the front line", ISMIR 2020, arXiv:2008.01307: groove, structure.
    Dong, Chen, McAuley, Berg-Kirkpatrick, "MusPy", ISMIR 2020, arXiv:2008.01951: scale consistency, polyphony.
    Mogren, "C-RNN-GAN", 2016, arXiv:1611.09904: scale consistency, polyphony, repetitions of generated music.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tinydl.measures import bars
from tinydl.measures.texture import GRID, PITCHES, Line, Texture

__all__ = ["MEASURES", "Measure", "features"]

Floats = npt.NDArray[np.float64]

MOST_NOTES = 12  # at a time; the last bin holds more
WIDEST = 13  # semitones of a melodic step: the outermost bins hold anything beyond an octave
FINE = 12  # places in a beat at which onsets are told apart: sixteenths and triplets
LONGEST_BAR = 8  # beats; onsets beyond share a bin
LONGEST_RHYTHM = 4  # beats between onsets; longer ones share a bin
LAGS = 8  # bars
NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MAJOR = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], np.float64)
_SCALES = np.stack([np.roll(_MAJOR, tonic) for tonic in range(12)])  # with those of the parallel natural minor keys
_INTERVALS = ("8", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: its key.
        title: what it is, in a few words.
        unit: of the number, or of the bins.
        distance: between two pieces; see :func:`tinydl.measures.compare.pairwise`. ``"js"`` for a histogram, the square
            root of the Jensen-Shannon divergence (base 2); ``"w1"`` for a histogram of ordered bins, Wasserstein-1 in
            bins; ``"l1"`` for numbers, the mean absolute difference.
        vector: of a piece, float64 [len(labels)].
        labels: of the entries.
        polyphonic: says nothing of one-voice music.
    """

    name: str
    title: str
    unit: str
    distance: Literal["js", "w1", "l1"]
    vector: Callable[[Texture], Floats]
    labels: Sequence[str]
    polyphonic: bool = False


def _histogram(bins: npt.NDArray[np.integer], size: int, weights: npt.NDArray[np.generic] | None = None) -> Floats:
    """Shares of ``size`` bins, and a last one that holds all where there is nothing: float64 [size + 1], sum 1."""
    counts = np.zeros(size + 1)
    counts[:size] = np.bincount(bins, weights, minlength=size)
    total = counts.sum()
    if total == 0:
        counts[size] = total = 1.0
    shares: Floats = counts / total
    return shares


def pitch_class(piece: Texture) -> Floats:
    """h_c, the share of the sounding time of all notes that belongs to pitch class c = 0 (C) ... 11 (B): float64 [13].

        h_c = sum_s l_s |{p sounds in segment s: p mod 12 = c}| / (the same over all c),        l_s its length

    Yang and Lerch's pitch-class histogram, by duration. Blind to octaves and order; and since keys are not removed, it
    measures the choice of keys together with what is played in them.
    """
    time = piece.lengths @ piece.sounding
    return _histogram(np.arange(PITCHES) % 12, 12, time)


def scale(piece: Texture) -> Floats:
    """The share of notes in the scale that fits best, of the 12 major (and natural minor) ones: float64 [1], in [0, 1].

        max_k sum_{c in scale k} n_c / sum_c n_c,        n_c notes of pitch class c

    MusPy's scale consistency. 7/12 is the least for evenly spread notes; a modulation lowers it, one held chord has 1.
    """
    if not len(piece.notes):
        return np.zeros(1)
    counts = np.bincount(piece.notes[:, 2] % 12, minlength=12)
    return np.array([(_SCALES @ counts).max() / counts.sum()])


def polyphony(piece: Texture) -> Floats:
    """The share of time in which k = 0, 1, ... notes sound at once: float64 [14], the last bin but one is 12 or more.

    Rests count (k = 0), from the first note to the last. MusPy's polyphony is the mean of this without rests. Blind to
    which notes these are.
    """
    return _histogram(np.minimum(piece.sounding.sum(axis=1), MOST_NOTES), MOST_NOTES + 1, piece.lengths)


def density(piece: Texture) -> Floats:
    """Notes that begin, per beat (quarter note), from the first note to the end of the last: float64 [1].

    Blind to where in the bar and how regularly. A piano-roll joins repeated notes, here as everywhere.
    """
    if not len(piece.notes):
        return np.zeros(1)
    return np.array([len(piece.notes) * GRID / float(piece.times[-1] - piece.times[0])])


def onset(piece: Texture) -> Floats:
    """The share of notes that begin at each place of the bar, in twelfths of a beat from the bar line: float64 [97].

    The onset profile. Bars are those of the score, 4/4 where it names none; so music in another metre, or with an
    upbeat that the grid does not know, is spread over the places. Blind to pitch and to the order of bars.
    """
    starts = piece.notes[:, 0]
    within = starts - piece.bars[np.searchsorted(piece.bars, starts, side="right") - 1]
    place = within * FINE // GRID
    return _histogram(np.minimum(place, FINE * LONGEST_BAR - 1), FINE * LONGEST_BAR)


def rhythm(piece: Texture) -> Floats:
    """The share of times between one onset (of any voice) and the next, in twelfths of a beat: float64 [50].

    Yang and Lerch's inter-onset intervals, as a histogram; bin 0 is below a twelfth, the last but one 4 beats or more.
    Blind to the bar, and to who plays.
    """
    gaps = np.diff(piece.times[piece.events]) * FINE // GRID if len(piece.notes) else np.zeros(0, np.int64)
    return _histogram(np.minimum(gaps, FINE * LONGEST_RHYTHM), FINE * LONGEST_RHYTHM + 1)


def groove(piece: Texture) -> Floats:
    """How much of its rhythm a bar shares with the next: float64 [1], in [0, 1].

        mean_b 2 |O_b and O_(b+1)| / (|O_b| + |O_(b+1)|),        O_b the places in bar b at which any note begins

    Wu and Yang's grooving similarity with Dice's coefficient in place of their Hamming distance, which comes near 1 for
    any music when the grid is fine. Bars without onsets are passed over. Blind to pitch.
    """
    starts = np.unique(piece.notes[:, 0])
    bar = np.searchsorted(piece.bars, starts, side="right") - 1
    place = starts - piece.bars[bar]
    count = int(bar.max(initial=-1)) + 1
    _, column = np.unique(place, return_inverse=True)
    struck = np.zeros((count, int(column.max(initial=-1)) + 1), np.bool_)
    struck[bar, column] = True
    sizes = struck.sum(axis=1)
    both = (sizes[1:] > 0) & (sizes[:-1] > 0)
    if not both.any():
        return np.zeros(1)
    shared = (struck[1:] & struck[:-1]).sum(axis=1)
    return np.array([(2 * shared[both] / (sizes[1:] + sizes[:-1])[both]).mean()])


def _steps(line: Line) -> Floats:
    return _histogram(np.clip(line.intervals, -WIDEST, WIDEST) + WIDEST, 2 * WIDEST + 1)


def interval(piece: Texture) -> Floats:
    """The share of steps of -13 or more, -12, ..., 12, 13 or more semitones in the upper line: float64 [28].

    The line is :meth:`tinydl.measures.texture.Texture.line`: the highest note wherever it is struck. The interval
    histogram. Blind to the order of steps, and to a tune that lies in an inner voice.
    """
    return _steps(piece.line())


def bass(piece: Texture) -> Floats:
    """The same of the lowest line: float64 [28]. Fourths and fifths are the harmony's steps."""
    return _steps(piece.line(upper=False))


def harmony(piece: Texture) -> Floats:
    """The share of sounding time of each interval between two notes that sound together: float64 [13].

        h_k = sum_s l_s |{p < q sound in segment s: (q - p) mod 12 = k}| / (the same over all k),        k = 0 ... 11

    Bin 0 holds octaves, 1 and 11 the harsh seconds and sevenths, 3, 4, 8, 9 thirds and sixths. Blind to how chords
    follow each other, and to inversions but for the fourth.
    """
    pitches = np.flatnonzero(piece.sounding.any(axis=0))
    rows = piece.sounding[:, pitches].astype(np.float64)
    together = (rows * piece.lengths[:, None]).T @ rows  # the time in which two pitches sound together
    low, high = np.triu_indices(len(pitches), 1)
    return _histogram((pitches[high] - pitches[low]) % 12, 12, together[low, high])


def repetition(piece: Texture) -> Floats:
    """How alike bars are that lie 1, 2, ..., 8 bars apart: float64 [8], each in [0, 1].

        r_l = mean_b sim(b, b + l)        (:mod:`tinydl.measures.bars`); 0 where the piece has no two such bars

    The self-similarity of a piece along its diagonals, which the structure measures of Wu and Yang start from. Peaks at
    4 and 8 are phrases that come back. Blind to repetition in another key, and to varied repetition but for the notes
    that stay.
    """
    alike = bars.similarity(piece)
    return np.array([np.diagonal(alike, lag).mean() if lag < len(alike) else 0.0 for lag in range(1, LAGS + 1)])


def _twelfths(size: int) -> list[str]:
    return [f"{place / FINE:.3g}" for place in range(size)]


_STEP_LABELS = [f"{k:+d}" for k in range(-WIDEST, WIDEST + 1)] + ["none"]

MEASURES: tuple[Measure, ...] = (
    Measure("pitch_class", "pitch classes, by duration", "share", "js", pitch_class, [*NOTE_NAMES, "none"]),
    Measure("scale", "notes in the best scale", "share of notes", "l1", scale, ["value"]),
    Measure("interval", "steps of the upper line", "share", "js", interval, _STEP_LABELS),
    Measure("bass", "steps of the lowest line", "share", "js", bass, _STEP_LABELS, polyphonic=True),
    Measure("harmony", "intervals sounding together", "share", "js", harmony, [*_INTERVALS, "none"], polyphonic=True),
    Measure(
        "polyphony", "notes at a time", "share of time", "w1", polyphony,
        [*map(str, range(MOST_NOTES + 1)), "none"], polyphonic=True,
    ),
    Measure("density", "notes per beat", "notes per beat", "l1", density, ["value"]),
    Measure("onset", "onsets by place in the bar", "share", "js", onset, [*_twelfths(FINE * LONGEST_BAR), "none"]),
    Measure("rhythm", "times between onsets", "share", "js", rhythm, [*_twelfths(FINE * LONGEST_RHYTHM + 1), "none"]),
    Measure("groove", "onsets shared with the next bar", "similarity", "l1", groove, ["value"]),
    Measure(
        "repetition", "bars alike, 1 to 8 bars apart", "similarity", "l1", repetition,
        [str(lag) for lag in range(1, LAGS + 1)],
    ),
)  # fmt: skip


def features(measure: Measure, pieces: Sequence[Texture]) -> Floats:
    """The measure's vectors of several pieces, float64 [N, len(labels)]."""
    return np.array([measure.vector(piece) for piece in pieces], np.float64).reshape(len(pieces), len(measure.labels))


def mean_polyphony(pieces: Sequence[Texture]) -> float:
    """Notes sounding at a time, over the time in which any does; 0 for none."""
    notes = sum(int(piece.lengths @ piece.sounding.sum(axis=1)) for piece in pieces)
    time = sum(int(piece.lengths[piece.sounding.any(axis=1)].sum()) for piece in pieces)
    return notes / time if time else 0.0
