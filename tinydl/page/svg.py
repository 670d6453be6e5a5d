"""Drawings of the page, as SVG text: the piano-roll with its strip of surprise, and charts.

Colours are classes, never values, so that ``page.css`` can give them for a light and for a dark ground. Lengths are in
CSS pixels.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from tinydl.data.score import Score
from tinydl.render.heat import level
from tinydl.render.layout import PALETTE, bars_of, beat_ticks, count, pitch_name, span, voices_of
from tinydl.utils.text import visible

__all__ = ["Roll", "Series", "chart", "roll", "text", "ticks"]

_AXIS = 46  # width of the axis at the left
_HEAD, _ROW, _GAP, _STRIP = 20, 8, 18, 60  # heights: bar numbers, a semitone, air, the strip of surprise
_COLUMN = 900  # width that a piece fills where its beats are then neither crowded nor stretched
_BEAT = (14.0, 44.0)  # pixels of a quarter note, at least and at most


def text(value: object) -> str:
    """Words from outside, safe inside an element or a quoted attribute."""
    return escape(visible(str(value)), quote=True)


def number(x: float) -> str:
    """A coordinate, to a tenth of a pixel.

    >>> number(3.0), number(-0.04), number(10.25)
    ('3', '0', '10.2')
    """
    return f"{round(x, 1) + 0.0:.1f}".removesuffix(".0")  # + 0.0: no negative zero


@dataclass(frozen=True)
class Roll:
    """A drawn roll.

    Attributes:
        axis: the SVG of the names of pitches, which stays where it is while the rest scrolls.
        grid: the SVG of everything else; its notes are the elements ``.notes > rect``, in the order of the score.
        width, height: of ``grid``.
        scale: pixels per tick: tick t stands at x = t * scale.
        voices: names of the voices; voice k has the class ``v<k mod 8>``.
    """

    axis: str
    grid: str
    width: float
    height: float
    scale: float
    voices: list[str]


def roll(
    score: Score,
    note_nll: Sequence[float | None] | None = None,
    frame_nll: Sequence[float] | None = None,
    frame_ticks: Sequence[float] = (),
) -> Roll:
    """Draw a score in one line, to be scrolled: time in ticks to the right, pitch upward.

    Args:
        score: what to draw; it holds at least one note.
        note_nll: float [notes], nats of every note in the order of the score: they become the colours of the notes,
            which are else those of the voices. None is a note that the model does not hear.
        frame_nll: float [frames], nats of every frame: bars under the roll.
        frame_ticks: [frames], where the frames begin, ever later.

    Raises :class:`tinydl.errors.DataError` when the score holds no notes.
    """
    bars, (low, high), voices = bars_of(score), span(score), voices_of(score)
    end = bars[-1][1]
    scale = min(max(_COLUMN * score.ticks_per_beat / end, _BEAT[0]), _BEAT[1]) / score.ticks_per_beat
    width, panel = end * scale, _ROW * (high - low + 1)
    height = _HEAD + panel + (_GAP + _STRIP if frame_nll is not None else 0) + 6
    axis: list[str] = []
    out = [f'<rect class="panel" y="{_HEAD}" width="{number(width)}" height="{panel}"/>', '<g class="black">']
    for pitch in range(low, high + 1):
        y = _HEAD + (high - pitch) * _ROW
        if pitch % 12 in (1, 3, 6, 8, 10):
            out.append(f'<rect y="{y}" width="{number(width)}" height="{_ROW}"/>')
        if pitch % 12 in (0, 7):
            name = "octave" if pitch % 12 == 0 else "fifth"
            axis.append(f'<text class="{name}" x="{_AXIS - 8}" y="{y + _ROW}">{pitch_name(pitch)}</text>')
    out.append("</g>")
    bottom = height - 6
    octaves = [f"M0 {_HEAD + (high - p + 1) * _ROW}H{number(width)}" for p in range(low, high + 1) if p % 12 == 0]
    lines: dict[str, list[str]] = {"octave": octaves, "beat": [], "bar": []}
    every = next(k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k * width / len(bars) >= 26 or k == 128)
    numbers = []
    for k, (start, stop) in enumerate(bars):
        beat = beat_ticks(score, start)
        lines["beat"] += [f"M{number(t * scale)} {_HEAD}V{bottom}" for t in range(start + beat, stop, beat)]
        lines["bar"].append(f"M{number(start * scale)} {_HEAD - 5}V{bottom}")
        if k % every == 0:
            numbers.append(f'<text x="{number(start * scale + 4)}" y="{_HEAD - 7}">{k + 1}</text>')
    lines["bar"].append(f"M{number(width)} {_HEAD - 5}V{bottom}")
    out += [f'<path class="{name}" d="{"".join(path)}"/>' for name, path in lines.items() if path]
    out += ['<g class="numbers">', *numbers, "</g>", '<g class="notes">']
    starts = [start for start, _ in bars]
    for k, note in enumerate(score.notes):
        title = f"{pitch_name(note.pitch)}, bar {bisect_right(starts, note.start)}"
        if note_nll is None:
            # Soft notes are paler, yet never so pale that they are lost on the ground.
            name, extra = f"v{voices.number[note.track, note.channel] % len(PALETTE)}", 0.8 + 0.2 * note.velocity / 127
        else:
            nats, extra = note_nll[k], 1.0
            name = "unheard" if nats is None else f"s{level(nats)}"
            title += ", not heard by the model" if nats is None else f", {nats:.2f} nats"
        if len(voices.names) > 1:
            title += f", {voices.names[voices.number[note.track, note.channel]]}"
        y, wide = _HEAD + (high - note.pitch) * _ROW, max(2.0, (note.end - note.start) * scale - 1.2)
        faint = f' fill-opacity="{extra:.2f}"' if extra < 1 else ""
        out.append(
            f'<rect class="{name}" x="{number(note.start * scale + 0.4)}" y="{number(y + 0.5)}" width="{number(wide)}" '
            f'height="{_ROW - 1}" rx="2"{faint}>'
            f"<title>{text(title)}</title></rect>"
        )
    out.append("</g>")
    if frame_nll is not None:
        _strip(out, axis, frame_nll, frame_ticks, scale, _HEAD + panel + _GAP, width, starts)
    lowest, highest = (pitch_name(extreme(note.pitch for note in score.notes)) for extreme in (min, max))
    label = f"Piano-roll of {count(len(score.notes), 'note')} in {count(len(bars), 'bar')}, {lowest} to {highest}"
    if frame_nll is not None:
        label += f"; below it the surprise of every frame, {min(frame_nll):.1f} to {max(frame_nll):.1f} nats"
    opening = '<svg class="{}" width="{}" height="{}" {}>'
    return Roll(
        opening.format("axis", _AXIS, height, 'aria-hidden="true"') + "".join(axis) + "</svg>",
        opening.format("grid", number(width + 1), height, f'role="img" aria-label="{text(label)}"')
        + "".join(out)
        + "</svg>",
        width,
        height,
        scale,
        voices.names,
    )


def _strip(
    out: list[str],
    axis: list[str],
    nats: Sequence[float],
    begins: Sequence[float],
    scale: float,
    top: float,
    width: float,
    bars: Sequence[int],
) -> None:
    """Bars of nats under the roll, each as wide as its frame, which lasts until the next begins."""
    marks = ticks(0.0, max([*nats, 1e-3]), 3)
    if marks[-1] < max(nats):
        marks.append(marks[-1] + marks[1] - marks[0])
    highest = marks[-1]
    bottom = top + _STRIP
    out.append(f'<rect class="panel" y="{top}" width="{number(width)}" height="{_STRIP}"/>')
    out.append('<g class="frames">')
    for k, (begin, stop, value) in enumerate(zip(begins, [*begins[1:], width / scale], nats)):
        x, tall = begin * scale, _STRIP * value / highest
        wide = min(stop * scale, width) - x
        bar = bisect_right(bars, begin)
        out.append(
            f'<rect x="{number(x + 0.3)}" y="{number(bottom - tall)}" width="{number(max(0.8, wide - 0.6))}" '
            f'height="{number(tall)}"><title>frame {k + 1}, bar {bar}, {value:.2f} nats</title></rect>'
        )
    out.append(f'</g><path class="bar" d="M0 {number(bottom)}H{number(width)}"/>')
    for mark in marks:
        y = bottom - _STRIP * mark / highest
        if mark:
            out.append(f'<path class="octave" d="M0 {number(y)}H{number(width)}"/>')
        axis.append(f'<text class="fifth" x="{_AXIS - 8}" y="{number(y + 4)}">{_tick(mark)}</text>')
    middle = number(top + _STRIP / 2)
    axis.append(f'<text class="unit" x="10" y="{middle}" transform="rotate(-90 10 {middle})">nats</text>')


# Charts


@dataclass(frozen=True)
class Series:
    """Points of a chart: a line, faint or not, or dots; ``colour`` is a class ``v0`` .. ``v7``."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str = "v0"
    style: str = "line"  # line | faint | dots


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within [low, high], about ``count`` of them, at steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0, 636), ticks(7.9, 10.3)
    ([0.0, 200.0, 400.0, 600.0], [8.0, 8.5, 9.0, 9.5, 10.0])
    """
    if not high > low:
        return [float(low)]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(k for k in (1, 2, 5, 10) if k * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """The powers of ten within [low, high], with 2 and 5 times them where there would be fewer than two."""
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        found = [
            f * 10.0**k
            for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for f in factors
            if low <= f * 10.0**k <= high
        ]
        if len(found) >= 2:
            return found
    return found


def _tick(value: float) -> str:
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:,.10g}"


def chart(
    series: Iterable[Series],
    *,
    x_label: str,
    y_label: str,
    label: str,
    height: int = 260,
    width: int = 460,
    log: bool = False,
    y_range: tuple[float, float] | None = None,
) -> str:
    """A chart with axes, round ticks and their units; it scales to the width that the page gives it.

    Args:
        series: what to draw, the last on top; each has at least one point, and no number that is not finite.
        x_label, y_label: what the axes count, with the unit.
        label: a sentence that says what is to be seen, for those who cannot see it.
        log: a logarithmic y; every y is then above 0.
        y_range: what of y is shown (default: all); lines leave the frame beyond it.
    """
    series = list(series)
    xs = np.concatenate([np.asarray(s.x, dtype=np.float64) for s in series])
    ys = np.concatenate([np.asarray(s.y, dtype=np.float64) for s in series])
    x0, x1 = float(xs.min()), float(xs.max())
    y0, y1 = y_range or (float(ys.min()), float(ys.max()))
    x0, x1 = (x0 - 0.01 * (x1 - x0), x1 + 0.01 * (x1 - x0)) if x1 > x0 else (x0 - 1, x1 + 1)  # room for the last dot
    if log:
        y0, y1 = (y0 / 1.1, y1 * 1.1) if y1 / y0 < 1.2 else (y0, y1)
    elif y1 == y0:
        y0, y1 = (y0 - 0.5 * abs(y0), y1 + 0.5 * abs(y1)) if y0 else (-1.0, 1.0)
    elif y_range is None:
        y0, y1 = y0 - 0.04 * (y1 - y0), y1 + 0.04 * (y1 - y0)
    left, right, top, bottom = 58, width - 10, 26, height - 38

    def px(x: float) -> float:
        return left + (x - x0) / (x1 - x0) * (right - left)

    def py(y: float) -> float:
        share = math.log(y / y0) / math.log(y1 / y0) if log else (y - y0) / (y1 - y0)
        return bottom - share * (bottom - top)

    out = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{text(label)}">']
    out.append(f'<text class="title" x="{left}" y="14">{text(y_label)}</text>')
    marks = _decades(y0, y1) if log else ticks(y0, y1, 5 if height > 200 else 3)
    for y in marks:
        out.append(f'<path class="rule" d="M{left} {number(py(y))}H{right}"/>')
        out.append(f'<text class="y" x="{left - 8}" y="{number(py(y) + 4)}">{_tick(y)}</text>')
    for x in ticks(x0, x1):
        out.append(f'<path class="tick" d="M{number(px(x))} {bottom}v5"/>')
        out.append(f'<text class="x" x="{number(px(x))}" y="{bottom + 18}">{_tick(x)}</text>')
    out.append(f'<text class="x" x="{number((left + right) / 2)}" y="{height - 4}">{text(x_label)}</text>')
    out.append(f'<path class="tick" d="M{left} {bottom}H{right}"/>')
    # What leaves the frame is cut at it: an inner SVG clips its content without an identifier.
    out.append(f'<svg x="{left}" y="{top}" width="{right - left}" height="{bottom - top + 1}" class="frame">')
    for s in series:
        points = [(px(x) - left, py(y) - top) for x, y in zip(s.x, s.y)]
        if s.style == "dots":
            out += [f'<circle class="{s.colour}" cx="{number(x)}" cy="{number(y)}" r="3"/>' for x, y in points]
        path = "L".join(f"{number(x)} {number(y)}" for x, y in _thinned(points))
        out.append(f'<path class="{s.style} {s.colour}" d="M{path}"/>')
    out.append("</svg></svg>")
    return "".join(out)


def _thinned(points: list[tuple[float, float]], most: int = 800) -> list[tuple[float, float]]:
    """At most ``most`` points, or a few more: the lowest and the highest of each stretch stay, so no peak is lost."""
    if len(points) <= most:
        return points
    size = -(-2 * len(points) // most)
    kept = [points[0]]
    for k in range(0, len(points), size):
        stretch = points[k : k + size]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return [*kept, points[-1]]
