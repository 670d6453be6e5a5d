"""What it is worth to a model of tunes to know some steps ahead: nats per free step, at several shares of given ones.

A share of the steps, drawn at random, is given. All predictors see the true past; what they know of the future differs:

- ``told``      the given steps, also those to come
- ``untold``    nothing: the same model, given no constraints
- ``misled``    what another tune has in the places of the given steps (:func:`tinydl.measures.controls.others`)

A model that makes use of what it is told is better than untold, and misled it is worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinydl.measures.controls import others
from tinydl.random import Generator

__all__ = ["SHARES", "given_report"]

SHARES = (0.1, 0.2, 0.4)


def given_report(
    model: Any, pieces: Sequence[npt.NDArray[np.int64]], *, shares: Sequence[float] = SHARES, seed: int = 0
) -> list[dict[str, float | None]]:
    """Per share: ``share``, ``free`` (how many steps), and nats per free step of each predictor; ``misled`` is None
    where nothing else can be told.

    The steps that are given depend on ``seed``, the place of the piece and the share alone: two models of one
    representation are asked the same.
    """
    from tinydl.training import collate

    rows: list[dict[str, float | None]] = []
    false = others(pieces)
    was_training = model.training
    model.eval()
    try:
        for share in shares:
            nats, count = np.zeros(3), 0
            for i, piece in enumerate(pieces):
                stream = Generator(seed).fork(f"{share} {i}")
                given = (stream.random((len(piece),), np.float64) < share)[None]
                batch, nothing = collate([piece]), np.zeros_like(given)
                other = false[i]
                scores = [model.constrained(batch, given), model.constrained(batch, nothing)]
                scores.append(scores[0] if other is None else model.constrained(batch, given, other[None]))
                nats -= [score.log_prob[~given].sum() for score in scores]
                count += int((~given).sum())
            told, untold, misled = (nats / count).tolist()
            rows.append({"share": share, "free": count, "told": told, "untold": untold,
                         "misled": misled if any(other is not None for other in false) else None})  # fmt: skip
    finally:
        model.train(was_training)
    return rows
