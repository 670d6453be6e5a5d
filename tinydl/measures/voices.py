"""How often a model of four voices names the right note, voice by voice, beside predictors that need no net.

A predictor names a symbol for every entry of a piece. It is asked for all steps (``accuracy``), and for those at which
a note of the voice begins (``onsets``): since a voice holds its notes most of the time, the first is high for whoever
knows that, and the second is the harder question.

- ``majority``  the symbol that the voice has most often in the training pieces
- ``nearest``   what the voice does in the k training windows whose soprano agrees with this one's in the most steps,
  any beat and any transposition taken, by majority: the k nearest neighbours of a model that sees the soprano alone
- ``markov``    what most often followed the last three symbols of the voice, the pitch it had and the place in the
  beat, in the training pieces, or the last two, one, none: it sees the true past of the voice, and no other
- ``shuffled``  the model itself, told of another piece (:func:`tinydl.measures.controls.others`): what it knows without
  being told. A model that reads nothing but its own past is told nothing, and has no such row
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.chorale import VOICES
from tinydl.generation.steering import MELODY
from tinydl.measures.controls import others

if TYPE_CHECKING:
    from tinydl.data.representations import Chorale

__all__ = ["Nearest", "VoiceMarkov", "majority", "voice_report"]

Piece = npt.NDArray[np.int64]


def majority(train: Sequence[Piece], pieces: Sequence[Piece]) -> list[Piece]:
    """For every entry the most frequent value of its voice in ``train``."""
    joined = np.concatenate(train)
    usual = np.array([np.unique(column, return_counts=True)[0][np.unique(column, return_counts=True)[1].argmax()]
                      for column in joined.T])  # fmt: skip
    return [np.broadcast_to(usual, piece.shape).copy() for piece in pieces]


class VoiceMarkov:
    """A Markov model per voice that names the most frequent successor, with back-off.

    The context of a step is (its place in the beat, the pitch that sounds, the last ``order`` symbols); one that was
    never seen is asked for without its oldest symbol.
    """

    def __init__(self, train: Sequence[Piece], encoding: Chorale, order: int = 3) -> None:
        self.order, self.encoding = order, encoding
        counts: dict[Hashable, Counter[int]] = defaultdict(Counter)
        for piece in train:
            for contexts, value in zip(self._contexts(piece), piece.reshape(-1).tolist()):
                for context in contexts:
                    counts[context][value] += 1
        self._likely = {context: max(sorted(found), key=found.__getitem__) for context, found in counts.items()}

    def _contexts(self, piece: Piece) -> list[list[Hashable]]:
        """Of every entry, in reading order: its contexts, the longest first."""
        before = np.vstack([np.full((self.order, 4), self.encoding.REST), piece])
        pitch = np.vstack([np.full((1, 4), self.encoding.REST), self.encoding.sounding(piece)])
        beat = self.encoding.beat_steps
        found: list[list[Hashable]] = []
        for t in range(len(piece)):
            for voice in range(4):
                past, at = before[t : t + self.order, voice].tolist(), (voice, t % beat, int(pitch[t, voice]))
                found.append([*((*at, *past[i:]) for i in range(self.order + 1)), (voice, t % beat), voice])
        return found

    def predict(self, piece: Piece) -> Piece:
        """The likely value of every entry, given the true past of its voice."""
        named = [next(self._likely[c] for c in contexts if c in self._likely) for contexts in self._contexts(piece)]
        return np.array(named, np.int64).reshape(piece.shape)


class Nearest:
    """The k nearest neighbours, by soprano.

    The distance of two windows of ``window`` steps is the number of those in which their sopranos differ. Every
    training piece gives a window at each of its beats, of ``beat`` steps, in each transposition by up to ``transpose``
    semitones.
    """

    def __init__(self, train: Sequence[Piece], beat: int, window: int = 64, transpose: int = 6) -> None:
        self.window, self.shifts = window, range(-transpose, transpose + 1)
        self._library = np.concatenate([self._cut(piece, beat) for piece in train]).astype(np.int8)
        self._sopranos = np.ascontiguousarray(self._library[..., 0])

    def _cut(self, piece: Piece, hop: int) -> Piece:
        padded = np.full((len(piece) + self.window, 4), -1, np.int64)
        padded[: len(piece)] = piece
        return np.stack([padded[at : at + self.window] for at in range(0, len(piece), hop)])

    def predict(self, piece: Piece, ks: Sequence[int]) -> list[Piece]:
        """For every k: the value that most of the k nearest windows have in each entry (of equals, the nearest's)."""
        made: list[list[Piece]] = [[] for _ in ks]
        for window in self._cut(piece, self.window):
            agree = np.stack([
                (self._sopranos == np.where(window[:, 0] >= 0, window[:, 0] - shift, -1).astype(np.int8)).sum(1)
                for shift in self.shifts
            ])  # fmt: skip
            best = np.argsort(-agree, axis=None, kind="stable")[: max(ks)]
            shift, index = np.unravel_index(best, agree.shape)
            found = self._library[index].astype(np.int64)
            found = np.where(found >= 0, found + np.array(self.shifts)[shift][:, None, None], found)
            for k, windows in zip(ks, made):
                votes = (found[:k, None] == found[None, :k]).sum(1)  # how many of the k agree with each, by entry
                windows.append(np.take_along_axis(found[:k], votes.argmax(0)[None], 0)[0])
        return [np.concatenate(windows)[: len(piece)] for windows in made]


def voice_report(
    model: Any,
    encoding: Chorale,
    train: Sequence[Piece],
    pieces: Sequence[Piece],
    *,
    neighbours: Sequence[int] = (1, 10),
) -> list[dict[str, Any]]:
    """Per predictor and voice: ``predictor``, ``voice``, ``accuracy``, ``onsets``, shares of 1.

    Neighbours are asked where there are no strikes, as they are compared by the pitches that sound; the Markov model
    where the voices' own past is given to the model as well. A voice that is given to the model has no row.
    """
    from tinydl.training import collate

    def told(data: Piece) -> tuple[Piece, npt.NDArray[np.bool_] | None]:
        score = model.score(collate([data]))
        assert score.prediction is not None  # models of four voices have one
        return score.prediction[0], None if score.given is None else score.given[0]

    was_training = model.training
    model.eval()
    try:
        answers = [told(piece) for piece in pieces]
        given = answers[0][1]
        predicted = {model.model_name: [answer for answer, _ in answers]}
        false = [other for other in others(pieces) if other is not None]
        if len(false) == len(pieces) and (given is not None or MELODY in model.conditions):
            predicted["shuffled"] = [told(other)[0] for other in false]
    finally:
        model.train(was_training)
    predicted["majority"] = majority(train, pieces)
    asked = [v for v in range(4) if given is None or not given[:, v].all()]
    if given is None:
        chain = VoiceMarkov(train, encoding)
        predicted["markov"] = [chain.predict(piece) for piece in pieces]
    if not encoding.strikes:
        nearest = Nearest(train, encoding.beat_steps, window=16 * encoding.beat_steps)
        found = [nearest.predict(piece, neighbours) for piece in pieces]
        for i, k in enumerate(neighbours):
            predicted[f"nearest {k}"] = [answer[i] for answer in found]
    truth = np.concatenate(pieces)
    begins = np.concatenate([encoding.onsets(piece) for piece in pieces])
    rows = []
    for predictor, parts in predicted.items():
        right = np.concatenate(parts) == truth
        for voice in asked:
            struck = right[begins[:, voice], voice]
            rows.append({
                "predictor": predictor,
                "voice": VOICES[voice].lower(),
                "accuracy": float(right[:, voice].mean()),
                "onsets": float(struck.mean()) if len(struck) else None,
            })  # fmt: skip
    return rows
