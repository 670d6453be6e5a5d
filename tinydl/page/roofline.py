"""The roofline picture of one piece of work: what a machine allows, and what each variant reaches of it.

Both axes are logarithmic: operations a byte to the right, operations a second upward. A roof of memory is a slope
(twice the operations a byte, twice the operations a second), the roof of arithmetic is flat; the work stands at one
place to the right, so its variants stand one above the other. (Williams, Waterman and Patterson, "Roofline: an
insightful visual performance model for multicore architectures", Communications of the ACM 52, 2009.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinydl.page.svg import number, text

__all__ = ["Dot", "Roofline", "draw", "scaled"]

_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, _WIDTH - 10, 26, _HEIGHT - 38
_LINE = 17.0  # between two labels, as large as letters become on a phone


@dataclass(frozen=True)
class Dot:
    """A variant: its name, its operations a second, and its colour, a class ``v0`` .. ``v7``."""

    name: str
    rate: float
    colour: str


@dataclass(frozen=True)
class Roofline:
    """A picture.

    Attributes:
        title: the work.
        intensity: its operations a byte.
        peak: the roof of arithmetic, operations a second.
        bandwidth: the roofs of memory, bytes a second by name, the fastest first.
        level: the roof of memory that counts for this work, a name in ``bandwidth``.
        dots: the variants.
        about: a line below it.
    """

    title: str
    intensity: float
    peak: float
    bandwidth: Mapping[str, float]
    level: str
    dots: Sequence[Dot]
    about: str = ""


def scaled(value: float) -> str:
    """Three digits and a prefix.

    >>> scaled(2.034e11) + "FLOP/s", scaled(4.2e7) + "B", scaled(950.0) + "B"
    ('203 GFLOP/s', '42 MB', '950 B')
    """
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} "


def draw(picture: Roofline) -> str:
    """The SVG of a picture; it scales to the width that the page gives it."""
    x0, x1, y0, y1 = _span(picture)

    def px(x: float) -> float:
        return _LEFT + math.log(x / x0) / math.log(x1 / x0) * (_RIGHT - _LEFT)

    def py(y: float) -> float:
        return _BOTTOM - math.log(y / y0) / math.log(y1 / y0) * (_BOTTOM - _TOP)

    label = text(_words(picture))
    out = [f'<svg class="chart roofline" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">']
    out.append('<text class="title" x="2" y="14">FLOP/s</text>')
    for power in range(math.ceil(math.log10(y0)), math.floor(math.log10(y1)) + 1):
        y = py(10.0**power)
        out.append(f'<path class="rule" d="M{_LEFT} {number(y)}H{_RIGHT}"/>')
        out.append(f'<text class="y" x="{_LEFT - 8}" y="{number(y + 4)}">{scaled(10.0**power).strip()}</text>')
    for power in range(math.ceil(math.log10(x0)), math.floor(math.log10(x1)) + 1):
        out.append(f'<path class="tick" d="M{number(px(10.0**power))} {_BOTTOM}v5"/>')
        out.append(f'<text class="x" x="{number(px(10.0**power))}" y="{_BOTTOM + 18}">{10.0**power:,g}</text>')
    out.append(f'<text class="x" x="{(_LEFT + _RIGHT) // 2}" y="{_HEIGHT - 4}">operations a byte</text>')
    out.append(f'<path class="tick" d="M{_LEFT} {_BOTTOM}H{_RIGHT}"/>')
    slope = math.degrees(math.atan2(py(y0) - py(y0 * 10), px(x0 * 10) - px(x0)))
    for place, (name, bandwidth) in enumerate(picture.bandwidth.items()):
        ridge = picture.peak / bandwidth
        start, kind = max(x0, y0 / bandwidth), "roof" if name == picture.level else "roof other"
        if ridge > start:
            out.append(
                f'<path class="{kind}" d="M{number(px(start))} {number(py(start * bandwidth))}'
                f'L{number(px(ridge))} {number(py(picture.peak))}"/>'
            )
            # The fastest memory's words stand above its line, the others' below theirs: the lines may be close.
            right, down = (14, 7) if place else (4, -9)
            at = f"{number(px(start) + right)} {number(py(start * bandwidth) + down)}"
            turn = f'transform="translate({at}) rotate({-slope:.1f})"'
            out.append(f'<text class="along" {turn}>{text(name)} {scaled(bandwidth)}B/s</text>')
    flat = picture.peak / picture.bandwidth[picture.level]
    out.append(f'<path class="roof" d="M{number(px(max(flat, x0)))} {number(py(picture.peak))}H{_RIGHT}"/>')
    out.append(
        f'<text class="y" x="{_RIGHT - 2}" y="{number(py(picture.peak) - 7)}">{scaled(picture.peak)}FLOP/s</text>'
    )
    work = px(picture.intensity)
    out.append(f'<path class="work" d="M{number(work)} {_BOTTOM}V{_TOP}"/>')
    out += _dots(picture.dots, work, [py(dot.rate) for dot in picture.dots])
    return "".join([*out, "</svg>"])


def _span(picture: Roofline) -> tuple[float, float, float, float]:
    """What the axes show: the work, all ridges, every dot, and at the left room for the words along the slopes."""
    ridges = [picture.peak / bandwidth for bandwidth in picture.bandwidth.values()]
    rates = [dot.rate for dot in picture.dots]
    low, high = min([picture.intensity, *ridges]), max([picture.intensity, *ridges])
    return low / 20, high * 4, min([*rates, picture.peak / 100]) / 2.5, max([*rates, picture.peak]) * 2.2


def _dots(dots: Sequence[Dot], at: float, heights: list[float]) -> list[str]:
    """Dots with their names beside them, moved apart where they would overlap; a line leads to each name."""
    right = at < (_LEFT + _RIGHT) / 2 + 40
    x, near, anchor = (at + 22, at + 18, "start") if right else (at - 22, at - 18, "end")
    places = _apart(heights)
    out = [
        f'<path class="lead" d="M{number(at)} {number(height)}L{number(near)} {number(y)}"/>'
        for height, y in zip(heights, places)
    ]
    for dot, height, y in zip(dots, heights, places):
        out.append(
            f'<circle class="{dot.colour}" cx="{number(at)}" cy="{number(height)}" r="4.5">'
            f"<title>{text(dot.name)}: {scaled(dot.rate)}FLOP/s</title></circle>"
        )
        name = f'<text class="name" text-anchor="{anchor}" x="{number(x)}" y="{number(y + 4)}">'
        out.append(f"{name}{text(dot.name)}</text>")
    return out


def _apart(heights: Sequence[float]) -> list[float]:
    """Where labels stand so that none overlaps another, each as near to its height as those before it let it."""
    places = list(heights)
    order = sorted(range(len(places)), key=lambda k: places[k])
    above = -math.inf
    for k in order:
        places[k] = above = max(places[k], above + _LINE)
    below = _BOTTOM - 6 + _LINE
    for k in reversed(order):  # what left the frame pushes the others up
        places[k] = below = min(places[k], below - _LINE)
    return places


def _words(picture: Roofline) -> str:
    """The picture as a sentence."""
    roof = min(picture.peak, picture.intensity * picture.bandwidth[picture.level])
    dots = ", ".join(f"{dot.name} {scaled(dot.rate)}FLOP/s ({100 * dot.rate / roof:.0f} %)" for dot in picture.dots)
    return f"{picture.title}: at {picture.intensity:.3g} operations a byte {scaled(roof)}FLOP/s are possible; {dots}."
