"""A model's samples beside real pieces: the two reports, as plain dictionaries that are ready for JSON.

**Fair groups.** Sample i, Markov piece i and noise i are each as long as real piece i: a roll has its number of frames
(a prefix of a sample is a sample), a tune ends where its model ends it, or is cut where the real one ends. All pieces,
those of the corpus too, are cut at :data:`LONGEST` beats. With more samples than real pieces, the lengths come round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tinydl.data.score import Score
from tinydl.errors import DataError
from tinydl.measures.baselines import Markov, noise
from tinydl.measures.compare import CORPUS_NEEDS, SET_NEEDS, Reference, needs
from tinydl.measures.copying import LEAST_NOTES, LEAST_POSITIONS, NEAR_COPY, CopyIndex
from tinydl.measures.music import MEASURES, features, mean_polyphony
from tinydl.measures.texture import Texture, texture
from tinydl.random import Generator

if TYPE_CHECKING:
    from tinydl.data.splits import Splits

__all__ = ["copying_report", "draw_samples", "measure_report", "trim"]

LONGEST = 256  # beats of any piece that is compared: 64 bars of 4/4, longer than nearly all chorales and tunes
MOST_SAMPLES = 100  # where none were asked for
MOST_TOKENS = 4096
ORDER = 3  # of the Markov model
ORIGINAL, DOUBTFUL = 0.10, 0.25  # shares of samples beyond what is usual
# What everybody may share, however little the few real pieces of a small corpus do: a cadence, a turn, a bar in ten.
FREE = {"longest_copy": 4, "longest_melody": 5, "near_copy_share": 0.1}

Piece = npt.NDArray[Any]


def trim(score: Score, beats: float) -> Score:
    """The first ``beats`` beats of a score: notes that begin there, cut where it ends."""
    end = round(beats * score.ticks_per_beat)
    if score.end_tick <= end:
        return score
    kept = score.copy()
    kept.notes = [
        note if note.end <= end else type(note)(note.start, end, note.pitch, note.velocity, note.channel, note.track)
        for note in score.notes
        if note.start < end
    ]
    return kept


class _Group:
    """The lengths that the pieces of every group have, after those of real pieces."""

    def __init__(self, splits: Splits, split: str, num: int | None) -> None:
        real = splits[split]
        needs(f"the {split} split", len(real), SET_NEEDS)
        if not splits.train:
            raise DataError("the training split is empty: there is nothing to measure against")
        self.encoding = splits.representation
        self.tokens = real[0].ndim == 1
        self.end: int | None = getattr(self.encoding, "EOS", None) if self.tokens else None
        self.real = [trim(self.encoding.decode(piece), LONGEST) for piece in real]
        self.num = min(len(real), MOST_SAMPLES) if num is None else num
        needs("the set of samples", self.num, SET_NEEDS)
        frames = MOST_TOKENS if self.tokens else int(LONGEST / float(self._beats_per_frame()))
        self._frames = [min(len(real[i % len(real)]), frames) for i in range(self.num)]
        self._beats = [self.real[i % len(real)].beats for i in range(self.num)]

    def _beats_per_frame(self) -> float:
        from tinydl.data.representations.base import as_step

        return float(as_step(self.encoding.step))

    @property
    def length(self) -> int:
        """Frames, or tokens, that the longest piece needs."""
        return max(self._frames)

    def scores(self, pieces: Sequence[Piece]) -> list[Score]:
        """Pieces as scores, piece i as long as real piece i."""
        if self.tokens:
            return [trim(self.encoding.decode(piece), beats) for piece, beats in zip(pieces, self._beats)]
        return [self.encoding.decode(piece[:frames]) for piece, frames in zip(pieces, self._frames)]

    def samples(self, model: Any, seed: int, temperature: float) -> list[Score]:
        """What the model writes."""
        rng = Generator(seed).fork("measures")
        was_training = model.training
        model.eval()
        try:
            return self.scores(model.sample(self.num, self.length, temperature, {}, rng))
        finally:
            model.train(was_training)

    def markov(self, train: Sequence[Piece], seed: int) -> list[Score]:
        """What the order-3 Markov model of the training pieces writes."""
        model, rng = Markov(train, ORDER, self.end), Generator(seed).fork("markov")
        return self.scores([model.sample(self.length, rng.fork(str(i))) for i in range(self.num)])

    def noise(self, train: Sequence[Piece], seed: int) -> list[Score]:
        """Notes, or tokens, drawn alone."""
        rng = Generator(seed).fork("noise")
        return self.scores([noise(train, self.length, rng.fork(str(i)), self.end) for i in range(self.num)])


def draw_samples(
    model: Any, splits: Splits, *, split: str = "test", num: int | None = None, seed: int = 0, temperature: float = 1.0
) -> list[Score]:
    """The samples that both reports are about: ``num`` pieces (default: as many as the split has, at most 100), as
    long as the pieces of the split. The same seed gives the same music, piece i whatever ``num`` is.

    Raises:
        DataError: a split with too few pieces; the sentence says how many it needs.
    """
    return _Group(splits, split, num).samples(model, seed, temperature)


def measure_report(
    model: Any,
    splits: Splits,
    *,
    split: str = "test",
    num: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    resamples: int = 1000,
    samples: Sequence[Score] | None = None,
) -> dict[str, Any]:
    """Every measure of the samples, of real pieces, of the Markov model and of noise, all against the training corpus.

    Args:
        model: a :class:`tinydl.training.GenerativeModel`; None when ``samples`` are given.
        splits: the model's data.
        split: the real pieces: ``test``, or ``valid`` while still choosing.
        num, seed, temperature: of the samples, as in :func:`draw_samples`; ``seed`` also of the baselines and of the
            resampling.
        resamples: of each bootstrap interval.
        samples: those to measure, drawn before by :func:`draw_samples`.

    Returns:
        ``{"split", "seed", "temperature", "pieces": {group: count}, "measures": [...]}``; each measure is ``{"name",
        "title", "unit", "labels", "verdict", "corpus", "samples", "real", "markov", "noise"}``. A group holds
        ``distance``, ``low``, ``high`` (energy distance H to the corpus in [0, 1] and its 95 % interval:
        :mod:`tinydl.measures.compare`) and ``mean``, the mean of the pieces' vectors, in the order of ``labels``;
        ``corpus`` only the mean. The verdict on the samples is ``real`` (no farther than the upper end of the real
        pieces' interval), ``better`` or ``worse`` than the Markov model. Measures of polyphony are left out for music
        in one voice.

    Raises:
        DataError: a split with too few pieces; the sentence says how many it needs.
    """
    needs("the training split", len(splits.train), CORPUS_NEEDS)
    group = _Group(splits, split, None if samples is None else len(samples))
    if samples is None:
        group = _Group(splits, split, num)
        samples = group.samples(model, seed, temperature)
    scores = {
        "samples": list(samples),
        "real": group.real,
        "markov": group.markov(splits.train, seed),
        "noise": group.noise(splits.train, seed),
    }
    corpus = [texture(splits.representation.decode(piece), beats=LONGEST) for piece in splits.train]
    pieces = {name: [texture(score) for score in members] for name, members in scores.items()}
    one_voice = _one_voice(corpus)
    rng = Generator(seed).fork("bootstrap")
    measures = []
    for measure in MEASURES:
        if one_voice and measure.polyphonic:
            continue
        reference = Reference(measure.distance, features(measure, corpus))
        entry: dict[str, Any] = {
            "name": measure.name,
            "title": measure.title,
            "unit": measure.unit,
            "labels": list(measure.labels),
            "corpus": {"mean": reference.vectors.mean(axis=0).tolist()},
        }
        for name, members in pieces.items():
            vectors = features(measure, members)
            found = reference.distance(vectors, rng.fork(f"{measure.name} {name}"), resamples)
            entry[name] = {
                "distance": found.value,
                "low": found.low,
                "high": found.high,
                "mean": vectors.mean(axis=0).tolist(),
            }
        entry["verdict"] = _verdict(entry)
        measures.append(entry)
    return {
        "split": split,
        "seed": seed,
        "temperature": temperature,
        "pieces": {"corpus": len(corpus), **{name: len(members) for name, members in pieces.items()}},
        "measures": measures,
    }


def _one_voice(pieces: Iterable[Texture]) -> bool:
    return mean_polyphony(list(pieces)) < 1.05


def _verdict(entry: dict[str, Any]) -> str:
    distance: float = entry["samples"]["distance"]
    if distance <= entry["real"]["high"]:
        return "real"
    return "better" if distance < entry["markov"]["distance"] else "worse"


def copying_report(
    model: Any,
    splits: Splits,
    *,
    split: str = "test",
    num: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    time_scale: bool = False,
    transpose: bool = False,
    samples: Sequence[Score] | None = None,
) -> dict[str, Any]:
    """What the plagiarism meter says of the samples, and of real pieces and the Markov model beside them.

    Args: as of :func:`measure_report`; ``time_scale`` and ``transpose`` as of :meth:`CopyIndex.meter`.

    Returns:
        ``{"split", "seed", "temperature", "time_scale", "transpose", "unit", "near_copy", "samples", "real",
        "markov", "usual", "beyond", "verdict"}``; ``unit`` says what ``longest_copy`` counts, chords or notes.
        Each group holds, for ``longest_copy``, ``longest_melody`` and ``near_copy_share``, ``{"pieces": [...],
        "median", "p95", "max"}`` (a piece without a bar to compare has None, and does not count), and ``detail``, one
        dictionary for each piece with all fields of :class:`tinydl.measures.Copying`.
        For the same three, ``usual`` is the 95th percentile of the real pieces, or what everybody may share
        (:data:`FREE`) where that is more, and ``beyond`` the share of samples above it: about 0.05 where they copy no
        more than real music does. The verdict is one word, by the larger share of ``longest_copy`` and
        ``near_copy_share``: ``original`` to 0.10, ``doubtful`` to 0.25, else ``copies``.

    Raises:
        DataError: a split with too few pieces; the sentence says how many it needs.
    """
    group = _Group(splits, split, None if samples is None else len(samples))
    if samples is None:
        group = _Group(splits, split, num)
        samples = group.samples(model, seed, temperature)
    index = CopyIndex([splits.representation.decode(piece) for piece in splits.train], splits.names["train"])
    scores = {"samples": samples, "real": group.real, "markov": group.markov(splits.train, seed)}
    report: dict[str, Any] = {
        "split": split,
        "seed": seed,
        "temperature": temperature,
        "time_scale": time_scale,
        "transpose": transpose,
        "unit": "notes" if _one_voice(texture(score) for score in group.real) else "chords",
        "near_copy": {"similarity": NEAR_COPY, "least_onsets": LEAST_POSITIONS, "least_notes": LEAST_NOTES},
    }
    for name, members in scores.items():
        found = [index.meter(score, time_scale=time_scale, transpose=transpose) for score in members]
        report[name] = {key: _summary([getattr(copying, key) for copying in found]) for key in FREE}
        report[name]["detail"] = [asdict(copying) for copying in found]
    usual = {key: max(report["real"][key]["p95"] or 0, free) for key, free in FREE.items()}
    beyond = {key: _beyond(report["samples"][key], bound) for key, bound in usual.items()}
    worst = max(beyond["longest_copy"], beyond["near_copy_share"])
    report["usual"], report["beyond"] = usual, beyond
    report["verdict"] = "original" if worst <= ORIGINAL else "doubtful" if worst <= DOUBTFUL else "copies"
    return report


def _summary(values: Sequence[float | None]) -> dict[str, Any]:
    counted = np.array([value for value in values if value is not None], np.float64)
    if not len(counted):
        return {"pieces": list(values), "median": None, "p95": None, "max": None}
    return {
        "pieces": list(values),
        "median": float(np.median(counted)),
        "p95": float(np.percentile(counted, 95)),
        "max": float(counted.max()),
    }


def _beyond(figures: dict[str, Any], bound: float) -> float:
    counted = [value for value in figures["pieces"] if value is not None]
    return sum(value > bound for value in counted) / len(counted) if counted else 0.0
