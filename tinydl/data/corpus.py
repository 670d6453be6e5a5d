"""The built-in corpus: rule-based chorales and dance tunes, made on the spot from a seed.

It needs no file and no network, so that the demonstration and the tests have music; the grammars stand in
:mod:`tinydl.data.chorales` and :mod:`tinydl.data.tunes`. Piece ``i`` depends on (seed, kind, i) alone, so that asking
for more pieces leaves the first ones as they are.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinydl.data.dice import Dice
from tinydl.random import Generator

if TYPE_CHECKING:
    from tinydl.data.chorales import Chorale
    from tinydl.data.score import Score
    from tinydl.data.tunes import Tune

__all__ = ["CORPORA", "KINDS", "Builtin", "corpus", "demo_pieces", "demo_scores"]

KINDS = ("chorales", "tunes", "all")

_SEED = 0  # of the named corpora: the same music for everybody, whatever the seed of a split


@dataclass(frozen=True)
class Builtin:
    """One entry of :data:`CORPORA`: which pieces, how many, and what that is."""

    kind: str
    pieces: int
    holds: str


CORPORA = {
    "demo": Builtin("all", 240, "120 four-part chorales and 120 dance tunes, composed by rule"),
    "demo-chorales": Builtin("chorales", 240, "240 four-part chorales in four modes and many keys, composed by rule"),
    "demo-tunes": Builtin("tunes", 240, "240 jigs, reels and waltzes with chords, composed by rule"),
}


def demo_pieces(kind: str = "all", n: int = 24, seed: int = 0) -> list[Chorale | Tune]:
    """``n`` composed pieces with their harmony and form; see :func:`demo_scores`."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if n < 0:
        raise ValueError(f"n must be 0 or more, got {n}")
    return list(_composed(kind, n, seed))


@functools.lru_cache(maxsize=4)  # 240 pieces take some three seconds, and do not change
def _composed(kind: str, n: int, seed: int) -> tuple[Chorale | Tune, ...]:
    from tinydl.data import chorales, tunes

    pieces: list[Chorale | Tune] = []
    stream = Generator(seed).fork("demo corpus")
    for i in range(n):
        chorale = kind == "chorales" or (kind == "all" and i % 2 == 0)
        number = i if kind != "all" else i // 2
        dice = Dice(stream.fork(f"{'chorales' if chorale else 'tunes'} {number}"))
        pieces.append(chorales.compose(dice) if chorale else tunes.compose(dice))
    return tuple(pieces)


def demo_scores(kind: str = "all", n: int = 24, seed: int = 0) -> list[Score]:
    """``n`` pieces of the built-in corpus.

    Args:
        kind: ``"chorales"`` (four tracks S, A, T, B), ``"tunes"`` (melody and chords), or ``"all"``, in turn.
        n: how many.
        seed: of the music; the same seed gives the same notes on every machine.

    Raises ``ValueError`` for another kind or a negative ``n``.
    """
    return [piece.score() for piece in demo_pieces(kind, n, seed)]


def corpus(name: str) -> list[tuple[str, Score]]:
    """The pieces of a named built-in corpus (a key of ``CORPORA``), with their titles."""
    from tinydl.data.chorales import Chorale

    titled = []
    for i, piece in enumerate(demo_pieces(CORPORA[name].kind, CORPORA[name].pieces, _SEED)):
        what = f"chorale in {piece.mode}" if isinstance(piece, Chorale) else f"{piece.dance.name} in {piece.mode}"
        titled.append((f"{name}/{i:03d} {what}", piece.score()))
    return titled
