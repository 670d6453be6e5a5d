"""How far a set of pieces lies from a corpus, by any measure, with its uncertainty.

Averaging the pieces of a set first and comparing the averages would not see a model whose every piece is in all keys at
once, nor one that writes the same piece again and again. So pieces are compared with pieces, as Yang and Lerch (2020)
do within and between sets, and the two are put together as the energy distance (Székely, Rizzo, "Energy statistics: a
class of statistics based on distances", J. Statistical Planning and Inference 143, 2013). With d the distance of two
pieces, X, X' of the set and Y, Y' of the corpus,

    H = (2 E d(X, Y) - E d(X, X') - E d(Y, Y')) / (2 E d(X, Y))        in [0, 1]

H = 0 exactly where both come from the same distribution, H = 1 where two points lie apart: it is the share of the
distance between a piece of the set and a piece of the corpus that is not the ordinary distance between pieces. It has
no unit, so that measures can stand side by side. This needs a d of negative type, which all three of
:func:`pairwise` are.

Means over pairs leave out the pairs of a piece with itself, so that no number of pieces, small or large, favours a set:
the estimate of the numerator is unbiased. Where chance makes it negative, 0 is given. The *length* of pieces does bear
on their histograms; compare sets of equal lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tinydl.errors import DataError
from tinydl.random import Generator

__all__ = ["Distance", "Reference", "needs", "pairwise"]

Floats = npt.NDArray[np.float64]

CORPUS_NEEDS = 10  # pieces: below, the spread of a corpus is not known, and neither is a distance from it
SET_NEEDS = 5  # pieces: below, resampling them says nothing
_AT_ONCE = 1 << 22  # entries of a temporary


def needs(what: str, found: int, least: int) -> None:
    """Raise :class:`DataError` unless ``what`` ("the test split") holds ``least`` pieces."""
    if found < least:
        pieces = "1 piece" if found == 1 else f"{found} pieces"
        raise DataError(f"{what} holds {pieces}, and the measures need at least {least}: add more music")


def pairwise(kind: Literal["js", "w1", "l1"], a: Floats, b: Floats) -> Floats:
    """d(a_i, b_j) of vectors [N, D] and [M, D]: float64 [N, M].

    ``js``: sqrt(JSD(p, q)) of histograms, with JSD(p, q) = S((p + q) / 2) - (S(p) + S(q)) / 2 and the entropy S in
    bits; in [0, 1] (Endres, Schindelin, IEEE Trans. Information Theory 49, 2003). ``w1``: sum_k |P_k - Q_k| of the
    cumulated histograms, that is how many bins the mass must move. ``l1``: the mean of |a_k - b_k|.
    """
    if kind == "w1":
        a, b = a.cumsum(axis=1), b.cumsum(axis=1)
    elif kind == "js":  # a bin that is empty everywhere adds nothing; on a coarse grid most are
        used = a.any(axis=0) | b.any(axis=0)
        a, b = a[:, used], b[:, used]
    out = np.empty((len(a), len(b)))
    step = max(1, _AT_ONCE // max(1, b.size))
    entropy_a, entropy_b = (_entropy(a), _entropy(b)) if kind == "js" else (a, b)
    for start in range(0, len(a), step):
        rows = a[start : start + step, None, :]
        if kind == "js":
            divergence = _entropy((rows + b) / 2) - (entropy_a[start : start + step, None] + entropy_b) / 2
            out[start : start + step] = np.sqrt(np.maximum(divergence, 0.0))
        else:
            difference = np.abs(rows - b)
            out[start : start + step] = difference.sum(-1) if kind == "w1" else difference.mean(-1)
    return out


def _entropy(p: Floats) -> Floats:
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    entropy: Floats = -np.einsum("...k,...k->...", p, logs)
    return entropy


@dataclass(frozen=True)
class Distance:
    """H of a set from the corpus, and the interval that holds it in 95 of 100 sets of its kind."""

    value: float
    low: float
    high: float


class Reference:
    """A corpus by one measure: vectors float64 [N, D], N >= 2; the distances within it are computed once."""

    def __init__(self, kind: Literal["js", "w1", "l1"], vectors: Floats) -> None:
        if len(vectors) < 2:
            needs("the corpus", len(vectors), 2)
        self.kind = kind
        self.vectors = vectors
        n = len(vectors)
        self.within = float(pairwise(kind, vectors, vectors).sum()) / (n * (n - 1))

    def distance(self, vectors: Floats, rng: Generator | None = None, resamples: int = 1000) -> Distance:
        """H of a set, vectors float64 [M, D], M >= 2, from the corpus.

        The interval is the bootstrap's over the pieces of the set (Efron 1979): the 2.5th and 97.5th percentiles of H
        of ``resamples`` draws of M pieces with replacement. A piece and its double are one piece: such pairs
        are left out as those of a piece with itself are. The corpus is taken as it is. ``rng`` defaults to a generator
        of seed 0.
        """
        m = len(vectors)
        if m < 2:
            needs("the set", m, 2)
        to_corpus = pairwise(self.kind, vectors, self.vectors).mean(axis=1)
        among = pairwise(self.kind, vectors, vectors)
        drawn = (rng or Generator(0)).integers(0, m, (resamples, m))
        weights = np.full((resamples + 1, m), 1.0 / m)  # the first row: the set itself
        counts = np.bincount((drawn + np.arange(resamples)[:, None] * m).ravel(), minlength=resamples * m)
        weights[1:] = counts.reshape(resamples, m) / m
        between = weights @ to_corpus
        pairs = 1 - (weights**2).sum(axis=1)  # 0 where one piece was drawn m times
        within = np.where(pairs > 1e-12, ((weights @ among) * weights).sum(axis=1) / np.maximum(pairs, 1e-12), 0.0)
        numerator = np.maximum(2 * between - within - self.within, 0.0)
        h = np.divide(numerator, 2 * between, out=np.zeros_like(between), where=between > 0)
        low, high = np.percentile(h[1:], [2.5, 97.5]) if resamples else (h[0], h[0])
        return Distance(float(h[0]), float(low), float(high))
