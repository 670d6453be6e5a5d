"""A number for every note and every frame, in nats, as colour over a piano-roll and as a strip below it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tinydl.render.layout import Colour

__all__ = ["BORDERS", "COLOURS", "TERMINAL", "UNKNOWN", "UNKNOWN_TERMINAL", "Heat", "level", "level_names"]

# Borders of the eight colours, in nats: the same for every piece, so that pieces can be compared.
# 0.25 nats is a probability of 78 %, 1 nat of 37 %, 3 nats of 5 %.
BORDERS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
# Ever darker on a light ground, so that their order shows in grey and to colour-blind eyes; 3 : 1 on white at least.
COLOURS: tuple[Colour, ...] = (
    (70, 153, 172), (66, 133, 178), (82, 108, 175), (100, 82, 160),
    (114, 55, 131), (120, 25, 90), (111, 4, 43), (86, 17, 0),
)  # fmt: skip
TERMINAL = (31, 38, 79, 149, 220, 214, 202, 196)  # from cold to hot: a terminal's ground may be light or dark
UNKNOWN: Colour = (198, 193, 184)
UNKNOWN_TERMINAL = 244


@dataclass(frozen=True)
class Heat:
    """What is drawn over a score.

    Attributes:
        notes: one number per note of the score, in its order, in nats; None for a note that has none.
        frames: one number per frame (or token), in nats.
        ticks: where the frames begin, ascending; those that begin together are added up.
        name: what the numbers say, such as ``"surprise"``.
    """

    notes: Sequence[float | None]
    frames: Sequence[float]
    ticks: Sequence[float]
    name: str = "surprise"

    def strip(self, end: float) -> list[tuple[float, float, float]]:
        """(start, stop, nats) in ticks of the frames that begin before ``end``, each up to the next."""
        starts: list[float] = []
        sums: list[float] = []
        for tick, nats in zip(self.ticks, self.frames):
            if tick >= end:
                break
            if starts and starts[-1] == tick:
                sums[-1] += nats
            else:
                starts.append(tick)
                sums.append(nats)
        return list(zip(starts, [*starts[1:], end], sums))


def level(nats: float) -> int:
    """The number of a colour, 0 .. 7: how many of ``BORDERS`` are reached.

    >>> level(0.0), level(0.25), level(40.0)
    (0, 1, 7)
    """
    return bisect_right(BORDERS, nats)


def level_names() -> list[str]:
    """What the eight colours mean.

    >>> level_names()[:2], level_names()[-1]
    (['<0.25', '0.25-0.5'], '5+')
    """
    words = [f"{border:g}" for border in BORDERS]
    return [f"<{words[0]}", *map("-".join, zip(words, words[1:])), f"{words[-1]}+"]
