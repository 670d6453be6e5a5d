"""Music made around music that is given: a melody harmonised, a gap filled.

What is given is kept exactly: the notes of a melody, and every note that is not wholly inside the bars to be filled,
stand in the new score as they stand in the old one, off the grid or not, at their velocity.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinydl.data.representations.chorale import VOICES
from tinydl.data.score import DRUM_CHANNEL
from tinydl.errors import ConfigError, DataError
from tinydl.generation.sampling import check
from tinydl.generation.steering import MELODY, NOTES, Fixed, require
from tinydl.random import Generator
from tinydl.training.checkpoint import load_model

if TYPE_CHECKING:
    from tinydl.data.representations import Chorale
    from tinydl.data.score import Note, Score

_NOTHING = {"chorale": -1, "grid": 0}  # what an array of each representation has beyond its last note


def harmonise(
    run: str | Path,
    melody: Score | str | Path,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
    name: str | None = None,
) -> Score:
    """Four voices of which the first is the melody, note for note.

    Args:
        run: a run's folder, or its ``best.safetensors``.
        melody: a score, or a MIDI file; of several parts the one that carries the tune.
        temperature: below 1 more predictable, above 1 bolder; 0 the most probable.
        seed: the same seed gives the same notes.
        device: where the model computes.
        name: what an error calls the melody; by default the file's name.

    Returns a score in the time base, tempos, meters and keys of the melody. The melody's notes stand in it unchanged;
    alto, tenor and bass come on three tracks and channels of their own.

    Raises:
        ConfigError: the model harmonises no melodies, or the temperature means nothing.
        CheckpointError: no usable run.
        DataError, MidiError: a melody that cannot be used.
        DeviceError: the device is not there.
    """
    check(temperature)
    model, encoding = _model(run, device)
    require(model, (MELODY,), "harmonise a melody")
    name, score = _read(melody, name or "the melody")
    tune = _tune(name, score, encoding)
    line = encoding.voice(replace(score, notes=tune))
    fixed = Fixed(np.zeros((len(line), 4), np.int64), np.zeros((len(line), 4), np.bool_))
    fixed.values[:, 0], fixed.mask[:, 0] = line, True
    piece = _draw(model, fixed, temperature, seed, "harmonise")
    written = encoding.decode(piece, like=score)
    own = {note.channel for note in tune}
    channels = [channel for channel in range(16) if channel not in own and channel != DRUM_CHANNEL][:3]
    top = max(note.track for note in tune)
    notes = [
        replace(note, track=top + note.track, channel=channels[note.track - 1])
        for note in written.notes
        if note.track > 0
    ]
    names = {top + voice: VOICES[voice] for voice in (1, 2, 3)}
    names[top] = score.track_names.get(top) or VOICES[0]
    programs = {(note.track, note.channel): 0 for note in notes}
    programs.update({key: program for key, program in score.programs.items() if key[0] == top})
    return replace(score, notes=[*tune, *notes], pedals=[], programs=programs, track_names=names)


def infill(
    run: str | Path,
    piece: Score | str | Path,
    bars: tuple[int, int],
    *,
    temperature: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
    name: str | None = None,
) -> Score:
    """A piece with the notes of some bars made anew.

    Args:
        bars: the first and the last bar to fill, counted from 1.
        run, temperature, seed, device, name: as in :func:`harmonise`.
        piece: a score, or a MIDI file, in four voices; of a model of tunes, one with a tune, the other parts of which
            stay as they are.

    Only notes that begin and end inside the bars are replaced. A note that reaches into them, or out of them, stays as
    it is, as does everything outside: same ticks, pitch, velocity, track and channel.

    Raises as :func:`harmonise`, and ConfigError for bars that the piece does not have.
    """
    check(temperature)
    model, encoding = _model(run, device)
    require(model, (NOTES,), "fill a gap")
    name, score = _read(piece, name or "the piece")
    start, end = _ticks(name, score, bars)
    data = encoding.encode(score).data
    _require_voices(name, encoding, data)
    parts = _parts(name, score, encoding, data)
    base = score.ticks_per_beat
    first, last = encoding.to_step(start, base), encoding.to_step(end, base)
    # Beyond the last note nothing happens: a chorale has rests there, and a tune holds its silence.
    values = np.full((max(len(data), last), *data.shape[1:]), _NOTHING[encoding.name], np.int64)
    values[: len(data)] = data
    mask = np.ones(values.shape, np.bool_)
    mask[first:last] = False

    def anew(note: Note) -> bool:
        return start <= note.start and note.end <= end and (note.track, note.channel) in parts

    kept = [note for note in score.notes if not anew(note)]
    for note in kept:  # what reaches into the bars is given there too
        if note.start < end and note.end > start:
            held = slice(encoding.to_step(note.start, base), encoding.to_step(note.end, base))
            for voice in _sung_by(note, score, encoding, data, parts):
                cells: Any = (held, *voice)
                mask[cells] = True
    made = _draw(model, Fixed(values, mask), temperature, seed, "infill")
    # A note that was kept ends where it ended: what the model would hold on from it is struck anew.
    after_given = np.concatenate([np.ones((1, *mask.shape[1:]), np.bool_), mask[:-1]])
    made = np.where((made == encoding.HOLD) & ~mask & after_given, _struck(made, encoding.HOLD), made)
    new = []
    for note in encoding.decode(made, like=score).notes:
        at = encoding.to_step(note.start, base)
        if first <= at < last and not mask[at].reshape(-1)[note.track]:
            track, channel = parts[note.track]
            new.append(replace(note, end=min(note.end, end), track=track, channel=channel))
    return replace(score, notes=[*kept, *new])


def _model(run: str | Path, device: str) -> tuple[Any, Any]:
    from tinydl.data.representations import representation

    model, card = load_model(run, device)
    return model, representation(card.representation)


def _draw(model: Any, fixed: Fixed, temperature: float, seed: int, name: str) -> NDArray[np.int64]:
    rng = Generator(seed).fork(name)
    (piece,) = model.sample(1, len(fixed.mask), temperature, {"fixed": fixed}, rng)
    if not np.array_equal(fixed.within(piece), piece):  # a promise, whatever a model does
        raise AssertionError(f"the model {model.model_name!r} has changed notes that were given")
    return piece  # type: ignore[no-any-return]


def _read(music: Score | str | Path, name: str) -> tuple[str, Score]:
    if isinstance(music, (str, Path)):
        from tinydl.data import midi

        return str(music), midi.read(music)[0]
    return name, music


def _tune(name: str, score: Score, encoding: Chorale) -> list[Note]:
    """The notes of the part that carries the tune; DataError when there is none, or not in the encoding's range."""
    parts: dict[tuple[int, int], list[Note]] = {}
    for note in sorted(score.notes, key=lambda note: (note.start, note.pitch)):
        if note.channel != DRUM_CHANNEL:
            parts.setdefault((note.track, note.channel), []).append(note)
    if not parts:
        raise DataError(f"{name} holds no notes: there is no melody to harmonise")
    largest = max(map(len, parts.values()))
    lone = [
        part
        for part in parts.values()
        if 10 * len(part) >= largest and all(a.end <= b.start for a, b in zip(part, part[1:]))
    ]
    if not lone:
        raise DataError(
            f"{name} has no part that sings one note at a time: give a melody, on a track or channel of its own"
        )
    tune = max(lone, key=lambda part: sum(note.pitch for note in part) / len(part))
    outside = [note for note in tune if not encoding.low <= note.pitch <= encoding.high]
    if outside:
        from tinydl.render.layout import pitch_name

        raise DataError(
            f"{len(outside)} of {len(tune)} notes of the melody in {name} lie outside the model's range, "
            f"{pitch_name(encoding.low)} to {pitch_name(encoding.high)}: transpose it"
        )
    return tune


def _require_voices(name: str, encoding: Any, data: NDArray[np.int64]) -> None:
    if encoding.name != "chorale":
        return
    voices = int((encoding.sounding(data) >= 0).sum(1).max(initial=0))  # at a time
    if not voices:
        raise DataError(f"{name} holds no notes that the model reads: there is nothing to fit new ones to")
    if voices < 4:
        raise DataError(f"{name} has {voices} voice{'s' * (voices != 1)}, and the model fills gaps in music of four")


def _ticks(name: str, score: Score, bars: tuple[int, int]) -> tuple[int, int]:
    """From where to where bars reach, in ticks; ConfigError when the piece does not have them."""
    first, last = bars
    lines = score.bars()
    if not 1 <= first <= last:
        raise ConfigError(f"bars must be given as FIRST-LAST, counted from 1, but are {first}-{last}")
    if last > len(lines):
        raise ConfigError(f"{name} has {len(lines)} bars, so bars {first}-{last} cannot be filled")
    tick, meter = lines[last - 1]
    end = lines[last][0] if last < len(lines) else tick + round(meter.beats * score.ticks_per_beat)
    return lines[first - 1][0], end


def _voices_of(note: Note, score: Score, encoding: Any, data: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """The columns of an array in which a note is struck, as indices: () of the one that a tune has."""
    at = encoding.to_step(note.start, score.ticks_per_beat)
    if note.channel == DRUM_CHANNEL or at >= len(data):
        return []
    if encoding.name == "grid":
        return [()] if data[at] == 2 + note.pitch - encoding.low else []
    return [(int(voice),) for voice in np.flatnonzero(data[at] == note.pitch)]


def _sung_by(
    note: Note, score: Score, encoding: Any, data: NDArray[np.int64], parts: list[tuple[int, int]]
) -> list[tuple[int, ...]]:
    """The columns that hold a note: of its own part alone; of several in unison the one that lets go when it ends."""
    own = [v for v in _voices_of(note, score, encoding, data) if parts[v[0] if v else 0] == (note.track, note.channel)]
    if len(own) < 2:
        return own
    end = encoding.to_step(note.end, score.ticks_per_beat)
    lengths = {v: int((data[encoding.to_step(note.start, score.ticks_per_beat) + 1 :, v[0]] != encoding.HOLD).argmax())
               for v in own}  # fmt: skip
    wanted = end - encoding.to_step(note.start, score.ticks_per_beat) - 1
    return [v for v in own if lengths[v] == wanted][:1] or own


def _parts(name: str, score: Score, encoding: Any, data: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The (track, channel) of each voice: where most of its notes stand."""
    found: list[Counter[tuple[int, int]]] = [Counter() for _ in range(data.shape[1] if data.ndim > 1 else 1)]
    for note in score.notes:
        for voice in _voices_of(note, score, encoding, data):
            found[voice[0] if voice else 0][note.track, note.channel] += 1
    if not all(found):
        raise DataError(f"{name} holds no notes that the model reads: there is nothing to fit new ones to")
    return [counter.most_common(1)[0][0] for counter in found]


def _struck(data: NDArray[np.int64], hold: int) -> NDArray[np.int64]:
    """What was struck last in each step of an array: ``data`` with every HOLD replaced by what it holds."""
    steps = np.arange(len(data)).reshape(-1, *[1] * (data.ndim - 1))
    last = np.maximum.accumulate(np.where(data != hold, steps, 0), axis=0)
    return np.take_along_axis(data, last, axis=0)
