"""From one piece to another, by the latent vectors of a model that has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinydl.data.representations.base import left_out
from tinydl.errors import ConfigError, DataError
from tinydl.generation.sampling import check
from tinydl.generation.steering import INTERPOLATE, require
from tinydl.random import Generator
from tinydl.training.checkpoint import load_model

if TYPE_CHECKING:
    from tinydl.data.score import Score

PARALLEL = 1e-4  # radians


def slerp(a: NDArray[Any], b: NDArray[Any], t: float) -> NDArray[Any]:
    """Spherical interpolation (Shoemake, SIGGRAPH 1985), row by row: a [..., L] at t = 0, b [..., L] at t = 1.

    With the angle w between a and b::

        sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b

    A normal distribution of many dimensions lies near a sphere: the straight line leaves it, and passes codes that no
    piece has. Where a and b are parallel, opposite, or zero, there is no such arc, and the line is taken.
    """
    norms = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = (a * b).sum(-1, keepdims=True) / np.where(norms > 0, norms, 1.0)
    angle = np.where(norms > 0, np.arccos(np.clip(cosine, -1.0, 1.0)), 0.0)
    straight = (angle < PARALLEL) | (angle > np.pi - PARALLEL)
    sine = np.where(straight, 1.0, np.sin(angle))
    of_a = np.where(straight, 1 - t, np.sin((1 - t) * angle) / sine)
    of_b = np.where(straight, t, np.sin(t * angle) / sine)
    mixed: NDArray[Any] = of_a * a + of_b * b
    return mixed


def interpolate(
    run: str | Path,
    a: Score | str | Path,
    b: Score | str | Path,
    *,
    steps: int = 5,
    temperature: float = 0.0,
    seed: int = 0,
    device: str = "cpu",
    names: tuple[str, str] | None = None,
    remark: Callable[[str], None] | None = None,
) -> list[tuple[Score, dict[str, Any]]]:
    """``steps`` pieces on the way from ``a`` to ``b``: the first is what the model makes of ``a`` itself, the last of
    ``b``, and those between are decoded from points between their codes (:func:`slerp`).

    Pieces longer than the model's phrase go phrase by phrase, as far as the shorter of them reaches.

    Args:
        run: a run's folder, or its ``best.safetensors``.
        a, b: scores, or MIDI files.
        steps: how many pieces, at least 2.
        temperature: of the events; 0 takes the most probable ones, and needs no seed.
        seed: the same seed gives the same music.
        device: where the model computes.
        names: what an error or a remark calls the two; by default the files' names.
        remark: called with a sentence for whatever of the two the model does not hear as it stands there.

    Returns:
        per piece its score and ``{"notes", "seconds", "of_a", "of_b", "from_a", "from_b", "from_first", "from_last"}``:
        the shares of the notes of ``a`` and ``b``, as the model reads them, that stand in it at their place; the shares
        of steps in which it differs from these two, and from the first and the last piece, which are what the model
        makes of them.

    Raises:
        ConfigError: the model has no latent vector, or a number means nothing.
        CheckpointError: no usable run.
        DataError, MidiError: a piece that cannot be used.
        DeviceError: the device is not there.
    """
    from tinydl.data.representations import representation

    check(temperature)
    if steps < 2:
        raise ConfigError(f"steps must be at least 2, the two ends, but is {steps}")
    model, card = load_model(run, device)
    require(model, (INTERPOLATE,), "go from one piece to another")
    encoding = representation(card.representation)
    given = names or tuple(
        str(music) if isinstance(music, (str, Path)) else name
        for music, name in zip((a, b), ("the first piece", "the second piece"))
    )
    ends = [_encode(music, name, encoding, remark) for music, name in zip((a, b), given)]
    length = min(map(len, ends))
    for piece, name in zip(ends, given):
        if remark and len(piece) > length:
            bars, of = (n // encoding.steps(1) for n in (length, len(piece)))
            remark(f"{name} is longer than the other piece: read are the first {bars} of its {of} bars")
    codes = [
        model.encode([piece[i : min(i + model.phrase, length)] for i in range(0, length, model.phrase)])
        for piece in ends
    ]
    rng = Generator(seed).fork("interpolate")
    pieces = []
    for k in range(steps):
        z = slerp(codes[0], codes[1], k / (steps - 1)).astype(np.float32)
        # The same dice for every piece: where two of them differ, it is z that made them.
        pieces.append(model.decode(z, temperature, rng.fork("events")).reshape(-1)[:length])
    marks = {"from_a": ends[0][:length], "from_b": ends[1][:length], "from_first": pieces[0], "from_last": pieces[-1]}
    made = []
    for piece in pieces:
        score = encoding.decode(piece)
        back = {name: _notes_kept(piece, end[:length], encoding) for name, end in zip(("of_a", "of_b"), ends)}
        apart = {name: float((piece != mark).mean()) for name, mark in marks.items()}
        made.append((score, {"notes": len(score.notes), "seconds": score.seconds, **back, **apart}))
    return made


def _notes_kept(piece: NDArray[np.int64], given: NDArray[np.int64], encoding: Any) -> float:
    """The share of the notes of ``given`` that begin in the other piece at the same step; 1 where it has none."""
    struck = ~np.isin(given, (encoding.HOLD, encoding.REST))
    return float((piece == given)[struck].mean()) if struck.any() else 1.0


def _encode(
    music: Score | str | Path, name: str, encoding: Any, remark: Callable[[str], None] | None
) -> NDArray[np.int64]:
    if isinstance(music, (str, Path)):
        from tinydl.data import midi

        music, report = midi.read(music)
        if remark and report.status == "salvaged":
            remark(f"{name} is damaged; used is what could be read (tinydl midi info says more)")
    if not music.notes:
        raise DataError(f"{name} holds no notes: there is nothing to go from, or to")
    try:
        encoded = encoding.encode(music)
    except DataError as error:
        raise DataError(f"{name} does not fit the model: {error}") from None
    data: NDArray[np.int64] = encoded.data
    loss = encoded.loss
    if not len(data):
        raise DataError(f"{name} does not fit the model: nothing of it is left as {encoding.name} ({left_out(loss)})")
    if remark and loss["kept"] < loss["notes"]:
        remark(
            f"{name}: {loss['notes'] - loss['kept']:,} of {loss['notes']:,} notes are left out, since the model does "
            f"not read them: {left_out(loss)}"
        )
    if remark and loss["quantised"]:
        remark(
            f"{name}: {loss['quantised']:,} of {loss['notes']:,} notes begin or end off the model's grid of "
            f"{encoding.config()['step']} beat and were moved to it"
        )
    return data
