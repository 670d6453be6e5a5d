"""From a run's folder to new pieces: the best model, its encoding, and a seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.errors import ConfigError, DataError
from tinydl.generation.harmony import allowed
from tinydl.generation.sampling import check
from tinydl.generation.steering import CHORDS, KEY, PRIMER, require
from tinydl.random import Generator
from tinydl.training.checkpoint import load_model
from tinydl.training.evaluation import NLL

if TYPE_CHECKING:
    from tinydl.data.score import Score

TOKENS = ("melody", "events")
BARS = 16  # where none were asked for
TOKENS_PER_BAR = 64  # more than any bar of a tune holds


def generate(
    run: str | Path,
    num: int = 1,
    bars: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    primer: Score | str | Path | None = None,
    chords: str | None = None,
    key: str | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> list[tuple[Score, dict[str, Any]]]:
    """Sample new pieces; the same seed gives the same music, and piece i does not depend on ``num``.

    Args:
        run: a run's folder, or its ``best.safetensors``, which alone is read.
        num: how many pieces.
        bars: their length in bars, the primer not counted. None: a model that knows where a piece ends decides; others
            write 16. A model without bars takes them as 4/4.
        temperature: below 1 more predictable, above 1 bolder; 0 the most probable. See
            :mod:`tinydl.generation.sampling`, also for ``top_k`` and ``top_p``, which are for models of tokens.
        primer: a score, or a MIDI file, that every piece begins with and goes on from.
        chords, key: what may sound in a new piece, by name, as :func:`tinydl.generation.harmony.allowed` has it; a
            chord lasts a bar. It is kept to, whatever the model would rather write.
        device: where the model computes.

    Returns:
        per piece its score and ``{"notes", "seconds", "nll_per_frame"}``; the last is the piece's own -ln p per
        predicted frame, in nats, at temperature 1, the primer's frames left out. Of a model that knows it not exactly
        it is called ``nll_bound_per_frame`` or ``nll_estimate_per_frame``, and of one without a density it is None.

    Raises:
        ConfigError: a number that means nothing, or something that the model cannot be told.
        CheckpointError: no usable run.
        DataError, MidiError: a primer that cannot be used.
        DeviceError: the device is not there.
    """
    from tinydl.data.representations import representation

    check(temperature, top_k, top_p)
    for name, value in {"num": num, "bars": bars}.items():
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, but is {value}")
    model, card = load_model(run, device)
    encoding = representation(card.representation)
    tokens = encoding.name in TOKENS
    condition: dict[str, Any] = {}
    if top_k is not None or top_p is not None:
        if not tokens:
            raise ConfigError(
                f"the model {card.model!r} draws notes, not tokens: it has no top-k and top-p, use the temperature"
            )
        condition = {"top_k": top_k, "top_p": top_p}
    start = None
    if primer is not None:
        require(model, (PRIMER,), "go on from a primer")
        start = condition["primer"] = _encode(primer, encoding)
    if tokens:
        length = TOKENS_PER_BAR * (bars or 4 * BARS)
        condition["bars"] = bars
    else:
        length = encoding.steps(bars or BARS)
    if chords is not None or key is not None:
        require(model, (CHORDS, KEY), "be told its harmony")
        condition["allowed"] = allowed(
            chords, key, length, encoding.steps(1), encoding.step, 0 if start is None else len(start)
        )
    name = NLL.get(model.density, "nll")
    rng = Generator(seed).fork("generate")
    pieces = model.sample(num, length, temperature, condition, rng)
    made = []
    for piece in pieces:
        whole = piece if start is None else np.concatenate([start, piece])
        score = encoding.decode(whole)
        likelihood = model.log_prob(whole)[-len(piece) :] if model.density != "none" else []
        nll = -float(np.mean(likelihood)) if len(likelihood) else None
        made.append((score, {"notes": len(score.notes), "seconds": score.seconds, f"{name}_per_frame": nll}))
    return made


def primer_beats(primer: Score | str | Path, encoding: Any) -> float:
    """Where, in beats, the notes of a primer end in a piece that begins with it; what is new begins there or later.

    Raises:
        DataError, MidiError: a primer that cannot be used.
    """
    beats: float = encoding.decode(_encode(primer, encoding)).beats
    return beats


def _encode(primer: Score | str | Path, encoding: Any) -> Any:
    if isinstance(primer, (str, Path)):
        from tinydl.data import midi

        name, (score, _) = str(primer), midi.read(primer)
    else:
        name, score = "the primer", primer
    if not score.notes:
        raise DataError(f"{name} holds no notes: a primer needs at least one")
    data = encoding.encode(score).data
    if not len(data) or (data.dtype == np.bool_ and not data.any()):
        raise DataError(f"{name} cannot be a primer: nothing of it is left as {encoding.name}")
    return data[:-1] if encoding.name in TOKENS and data[-1] == encoding.EOS else data
