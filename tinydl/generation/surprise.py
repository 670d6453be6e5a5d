"""How surprising given music is to a model: -ln p of every note and of every frame.

For an encoded piece x_1 ... x_T the *surprise* of frame (or token) t is -ln p(x_t | x_<t), in nats, as ``tinydl
evaluate`` counts it; their sum is -ln p of the piece. The surprise of a note is that part of it which the note decides:

- in a piano-roll, -ln p of its first cell: that this pitch begins to sound in this frame. (How long it goes on is not
  its own surprise: the cells after the first are predicted from the first.)
- in a chorale, -ln p of its first cell: that this voice begins this pitch in this frame;
- in a tune on a grid, -ln p of its first step: that this pitch begins there;
- in a tune, -ln p of its PITCH token and of the LENGTH tokens after it.

What does *not* sound is surprising as well, so the notes of a frame add up to less than the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import ConfigError, DataError
from tinydl.training.checkpoint import load_model
from tinydl.training.recipe import ElementDensity

if TYPE_CHECKING:
    from tinydl.data.representations import Chorale, Encoded, Grid, Melody, PianoRoll
    from tinydl.data.score import Score

NEAR = 8  # a note begins on the grid if it does within the eighth part of a step


@dataclass(frozen=True)
class Moment:
    """All that happens at one time: ``tick``, the nats of the frames (or tokens) there, the notes that begin there.

    ``notes`` are places in :attr:`Surprise.heard`, the most surprising first.
    """

    tick: float
    nats: float
    notes: tuple[int, ...]


@dataclass(frozen=True)
class Surprise:
    """A piece, and how surprising each part of it is, in nats.

    The model hears a piece through its representation, which may drop notes (drums, pitches out of range, other voices)
    and join some (struck again while they sound). There are therefore two scores: the one given, some of whose notes
    may have no surprise of their own, and the one heard, all of whose notes have one. They agree where nothing is lost,
    as for a piece that the model itself wrote.

    Attributes:
        model, kind: the model's name, and its ``density``.
        unit: ``frame`` or ``token``.
        valid: mean nats per frame or token on the run's validation music; None where no run says it.
        score, note_nll: the given piece, and one number per note in its order; None for a note that is not heard. Of
            notes that begin together on one pitch, the first has it.
        heard, heard_nll: the piece as the model reads it (decoded, in the time base, tempos and meters of ``score``),
            and one number per note in its order.
        frame_nll: of every predicted frame or token: T numbers.
        ticks, seconds: where these begin, by the score's own time base and tempo map. A tune's LENGTHs stand where
            their note begins.
        loss: what the representation lost: :class:`tinydl.data.Encoded`.
        step: of the model's grid, in beats, as ``"1/4"``.
    """

    model: str
    kind: str
    unit: str
    valid: float | None
    score: Score
    note_nll: list[float | None]
    heard: Score
    heard_nll: list[float]
    frame_nll: list[float]
    ticks: list[float]
    seconds: list[float]
    loss: Mapping[str, Any]
    step: str

    @property
    def total(self) -> float:
        """-ln p of the piece, in nats."""
        return float(np.sum(self.frame_nll))

    @property
    def nll_per_frame(self) -> float:
        """Mean nats per frame (or token), as ``tinydl evaluate`` gives it for a split of this one piece."""
        return self.total / len(self.frame_nll)

    def moments(self) -> list[Moment]:
        """The piece moment by moment, the most surprising first; their nats add up to :attr:`total`."""
        starts, place = np.unique(np.array(self.ticks), return_inverse=True)
        nats = np.bincount(place.reshape(-1), np.array(self.frame_nll))
        notes: list[list[int]] = [[] for _ in starts]
        begins = np.searchsorted(starts, [note.start + 0.5 for note in self.heard.notes], side="right") - 1
        for note, k in enumerate(begins.tolist()):  # half a tick: the score's ticks may be rounded
            notes[max(0, k)].append(note)
        found = [
            Moment(float(tick), float(n), tuple(sorted(members, key=lambda note: -self.heard_nll[note])))
            for tick, n, members in zip(starts, nats, notes)
        ]
        return sorted(found, key=lambda moment: -moment.nats)

    def remarks(self) -> list[str]:
        """Sentences that say, with numbers, what of the given piece the model did not hear as it is written."""
        from tinydl.data.representations.base import left_out

        loss, said = self.loss, []
        missing = loss["notes"] - loss["kept"]
        if missing:
            said.append(
                f"{missing:,} of {loss['notes']:,} notes have no surprise of their own, since the model does not hear "
                f"them, or not as new notes: {left_out(loss)}"
            )
        if loss["quantised"]:
            said.append(
                f"{loss['quantised']:,} of {loss['notes']:,} notes begin or end off the model's grid of {self.step} "
                f"beat and were moved to it, or made a step long, by {loss['max_shift_beats']:.2g} beats at most"
            )
        return said


def surprise(
    run: str | Path | Any,
    music: Score | str | Path,
    *,
    representation: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Surprise:
    """The surprise of every note and frame of a piece under a model.

    Args:
        run: a run's folder, its ``best.safetensors``, or a model.
        music: a score, or a MIDI file.
        representation: of a model that is given itself: the encoding that it was trained on, where not its own usual.
        name: what an error calls the music; by default the file's name.

    Raises:
        ConfigError: the model has no likelihood of single notes.
        CheckpointError: no usable run.
        DataError: the music has no notes, or all of them are out of the model's range, or most are off its grid.
        MidiError: a file that is no MIDI file.
    """
    from tinydl.data import midi
    from tinydl.data import representations as kinds
    from tinydl.data.representations.base import as_step
    from tinydl.data.score import DRUM_CHANNEL

    model: Any
    valid = None
    if isinstance(run, (str, Path)):
        model, card = load_model(run)
        representation, valid = card.representation, card.valid
    else:
        model = run
    has_notes = model.density != "none" and isinstance(model, ElementDensity)
    if not has_notes:
        raise ConfigError(
            f"the model {model.model_name!r} has no likelihood of single notes, so it cannot say what surprises it: "
            f"use a run of a model that has, such as lstm-nade"
        )
    encoding = kinds.representation(representation or model.representation)
    if not isinstance(encoding, (kinds.PianoRoll, kinds.Melody, kinds.Chorale, kinds.Grid)):
        raise ConfigError(
            f"the model {model.model_name!r} reads {encoding.name}, for which no note's surprise is defined"
        )
    if isinstance(music, (str, Path)):
        name, (score, _) = name or str(music), midi.read(music)
    else:
        name, score = name or "the score", music
    encoded = encoding.encode(score)
    _check(name, score, encoding, encoded)
    was_training = model.training
    model.eval()
    try:
        nll = -np.asarray(model.element_log_prob(encoded.data), np.float64)
    finally:
        model.train(was_training)
    nll += 0.0  # no negative zero
    if isinstance(encoding, kinds.PianoRoll):
        frames, steps, begun = _roll(encoding, encoded.data, nll)
    elif isinstance(encoding, kinds.Chorale):
        frames, steps, begun = _voices(encoding, encoded.data, nll)
    elif isinstance(encoding, kinds.Grid):
        struck = {int(t): int(encoded.data[t]) - 2 + encoding.low for t in np.flatnonzero(encoded.data >= 2)}
        begun = {(t, pitch): float(nll[t]) for t, pitch in struck.items()}
        frames, steps = nll, np.arange(len(nll))
    else:
        frames, steps, begun = _tune(encoding, encoded.data, nll)
    heard = encoding.decode(encoded.data, like=score)
    base = score.ticks_per_beat
    at_tick = {(encoding.to_tick(step, base), pitch): nats for (step, pitch), nats in begun.items()}
    waiting = dict(begun)
    given = []
    for note in score.notes:
        found = None
        if note.channel != DRUM_CHANNEL:
            found = waiting.pop((encoding.to_step(note.start, base), note.pitch), None)
        given.append(found)
    ticks = steps * (float(as_step(encoding.step)) * base)
    return Surprise(
        model=model.model_name,
        kind=model.density,
        unit="token" if isinstance(encoding, kinds.Melody) else "frame",
        valid=valid,
        score=score,
        note_nll=given,
        heard=heard,
        heard_nll=[at_tick[note.start, note.pitch] for note in heard.notes],
        frame_nll=frames.tolist(),
        ticks=ticks.tolist(),
        seconds=score.to_seconds(ticks).tolist(),
        loss=encoded.loss,
        step=str(as_step(encoding.step)),
    )


Begun = dict[tuple[int, int], float]  # (step, pitch) of a note's beginning -> its nats


def _roll(
    encoding: PianoRoll, roll: NDArray[np.bool_], nll: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], Begun]:
    """Nats of every frame [T], their steps [T], and of every note, of nats of every cell [T, P]."""
    from tinydl.data.representations.roll import runs

    columns, starts, _ = runs(roll)
    nats = nll[starts, columns].tolist()
    begun = {(t, encoding.low + p): n for t, p, n in zip(starts.tolist(), columns.tolist(), nats)}
    return nll.sum(-1), np.arange(len(roll)), begun


def _voices(
    encoding: Chorale, data: NDArray[np.int64], nll: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], Begun]:
    """Nats of every frame [T], their steps [T], and of every note, of nats of every cell [T, 4]."""
    begun: Begun = {}
    for t, voice in zip(*(place.tolist() for place in np.nonzero(encoding.onsets(data)))):
        begun.setdefault((t, int(data[t, voice])), float(nll[t, voice]))
    return nll.sum(-1), np.arange(len(data)), begun


def _tune(
    encoding: Melody, tokens: NDArray[np.int64], nll: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], Begun]:
    """Nats of every token but BOS [L - 1], their steps, and of every note, of nats of every token [L]."""
    steps, notes = encoding.places(tokens)
    begun = {(start, pitch): float(nll[first:stop].sum()) for start, pitch, first, stop in notes}
    return nll[1:], steps[1:], begun


def _check(name: str, score: Score, encoding: PianoRoll | Melody | Chorale | Grid, encoded: Encoded) -> None:
    """Raise :class:`DataError` for music of which the model would hear nothing, or something else."""
    from tinydl.data.representations.base import as_step
    from tinydl.data.score import DRUM_CHANNEL
    from tinydl.render.layout import pitch_name

    loss = encoded.loss
    if not score.notes:
        raise DataError(f"{name} holds no notes: there is nothing to be surprised by")
    if not loss["kept"]:
        outside, drums = f"{loss['out_of_range']:,} lie outside its range", f"{loss['drums']:,} are drums"
        reasons = [words for key, words in (("out_of_range", outside), ("drums", drums)) if loss[key]]
        raise DataError(
            f"the model hears none of the {loss['notes']:,} notes of {name}: {' and '.join(reasons)}; give it music "
            f"with notes from {pitch_name(encoding.low)} to {pitch_name(encoding.high)}"
        )
    step, base = as_step(encoding.step), score.ticks_per_beat
    span = step.numerator * base  # one step in ticks, times the denominator
    starts = [
        note.start
        for note in score.notes
        if note.channel != DRUM_CHANNEL and encoding.low <= note.pitch <= encoding.high
    ]
    off = [abs(encoding.to_step(start, base) * span - start * step.denominator) for start in starts]
    count = sum(NEAR * distance > span for distance in off)
    if 2 * count > len(starts):
        raise DataError(
            f"{name} is not on the model's grid of {step} beat: {count:,} of {len(starts):,} notes begin beside it, by "
            f"up to {max(off) / (step.denominator * base):.2g} beats; quantise the file, or train a model with another "
            f"grid (-o step=...)"
        )
