"""Piano-rolls: a score as a picture (PNG by a writer of our own, or SVG) and as text for the terminal.

Time runs to the right in bars and beats, pitch upward; every track has a colour, loud notes are stronger. A long piece
is broken into systems, one under the other, as in print; what does not fit is named, never dropped silently.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import escape

import numpy as np

from tinydl.data.score import Note, Score
from tinydl.render.font import HEIGHT, WIDTH, bitmap
from tinydl.render.heat import COLOURS, TERMINAL, UNKNOWN, UNKNOWN_TERMINAL, Heat, level, level_names
from tinydl.render.layout import (
    PALETTE,
    Colour,
    Voices,
    bars_and_beats,
    bars_of,
    beat_ticks,
    facts,
    pitch_name,
    span,
    voices_of,
)
from tinydl.render.png import png
from tinydl.render.wav import atomic

__all__ = ["render_png", "render_svg", "terminal"]

_TERMINAL = (75, 208, 79, 176, 220, 117, 141, 250)  # the same, from the terminal's 256 colours
_PAPER, _PANEL, _BLACK_KEY = (250, 249, 246), (255, 255, 255), (243, 241, 236)
_BAR, _BEAT, _OCTAVE = (172, 166, 154), (230, 226, 218), (214, 209, 199)
_STRIP_INK = (112, 106, 96)
_INK, _FAINT = (46, 44, 40), (122, 116, 106)

_SYSTEM_WIDTH = 1180  # pixels of the grid
_MAX_HEIGHT = 2600  # of the systems together: 16 of usual size
_MIN_BEAT = 5  # pixels; beats closer than this are not ruled
_STRIP, _ABOVE_STRIP = 40.0, 10.0  # pixels: height of the strip of frames, and of the air above it
_NAMED = 12  # so many notes have their nats beside them
# What to draw: a list of shapes, the same for PNG and SVG


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    colour: Colour
    opacity: float = 1.0
    radius: float = 0.0
    title: str = ""  # what a pointer that rests on it is told; SVG alone


@dataclass(frozen=True)
class _Text:
    x: float
    y: float  # top
    text: str
    colour: Colour
    anchor: str = "start"  # start | middle | end
    size: int = 1


@dataclass(frozen=True)
class _Picture:
    width: int
    height: int
    boxes: list[_Box]
    texts: list[_Text]


def _layout(score: Score, title: str, heat: Heat | None = None) -> _Picture:
    bars = bars_of(score)
    low, high = span(score)
    voices = voices_of(score)
    row = max(4.0, min(9.0, 300 / (high - low + 1)))
    per_system = next(
        k for k in (4, 8, 12, 16, 32, 64) if k == 64 or len(bars) / k <= 4 or k >= 16 and len(bars) / k <= 16
    )
    per_system = min(per_system, len(bars))
    systems = [bars[k : k + per_system] for k in range(0, len(bars), per_system)]
    left, top, gap = 48.0, 66.0, 34.0
    panel = row * (high - low + 1)
    strip = heat.strip(score.end_tick) if heat else []
    peak = max((nats for _, _, nats in strip), default=0.0)
    gap += _STRIP + _ABOVE_STRIP if heat else 0.0
    shown = systems[: max(1, int(_MAX_HEIGHT / (panel + gap)))]
    longest = max(system[-1][1] - system[0][0] for system in shown)
    scale = _SYSTEM_WIDTH / longest  # pixels per tick, the same in all systems
    boxes: list[_Box] = []
    texts = [_Text(left, 40, "   ".join(facts(score, len(bars))), _FAINT)]
    if title:
        texts.append(_Text(left, 16, title, _INK, size=2))
    x = left + _SYSTEM_WIDTH
    legend = _legend(voices, heat)
    for name, colour in reversed(legend):  # from the right
        x -= WIDTH * len(name) + 6
        texts.append(_Text(x, 40, name, _INK))
        boxes.append(_Box(x - 13, 39, 9, 9, colour, radius=2))
        x -= 24
    if heat:
        texts.append(_Text(left + _SYSTEM_WIDTH - 6, 24, f"{heat.name} of a note, nats", _FAINT, "end"))
    places = bars_and_beats(score, [note.start for note in score.notes]) if heat else []
    named = _most(heat) if heat else set()
    by_start = [note.start for note in score.notes]
    first_note = 0
    for number, system in enumerate(shown):
        start, end = system[0][0], system[-1][1]
        y0 = top + number * (panel + gap)
        width = (end - start) * scale
        boxes.append(_Box(left, y0, width, panel, _PANEL))
        for pitch in range(low, high + 1):
            y = y0 + (high - pitch) * row
            if pitch % 12 in (1, 3, 6, 8, 10):
                boxes.append(_Box(left, y, width, row, _BLACK_KEY))
            if pitch % 12 == 0:
                boxes.append(_Box(left, y + row - 0.5, width, 1, _OCTAVE))
                texts.append(_Text(left - 6, y + row / 2 - HEIGHT / 2, pitch_name(pitch), _FAINT, "end"))
        for k, (bar, bar_end) in enumerate(system):
            beat = beat_ticks(score, bar)
            for tick in range(bar + beat, bar_end, beat) if beat * scale >= _MIN_BEAT else ():
                boxes.append(_Box(left + (tick - start) * scale - 0.5, y0, 1, panel, _BEAT))
            boxes.append(_Box(left + (bar - start) * scale - 0.5, y0 - 4, 1, panel + 4, _BAR))
            if per_system <= 16 or k % 4 == 0:
                texts.append(_Text(left + (bar - start) * scale + 3, y0 - 10, str(number * per_system + k + 1), _FAINT))
        boxes.append(_Box(left + width - 0.5, y0 - 4, 1, panel + 4, _BAR))
        while first_note < len(by_start) and score.notes[first_note].end <= start and by_start[first_note] < start:
            first_note += 1
        for k, note in enumerate(score.notes):
            if note.start < end and note.end > start:
                box = _note_box(note, voices, start, end, left, y0, high, row, scale)
                if heat:
                    box = _heated(box, note, heat, k, places[k])
                boxes.append(box)
                if k in named and note.start >= start:
                    texts.append(_Text(box.x, box.y - HEIGHT - 1, f"{heat.notes[k]:.1f}", _INK))  # type: ignore[union-attr]
        if heat:
            base = y0 + panel + _ABOVE_STRIP + _STRIP
            boxes.append(_Box(left, base - _STRIP, width, _STRIP, _PANEL))
            for begin, stop, nats in strip:
                if begin < end and stop > start:
                    x0, x1 = (left + (min(max(tick, start), end) - start) * scale for tick in (begin, stop))
                    tall = _STRIP * nats / peak if peak > 0 else 0.0
                    boxes.append(_Box(x0, base - tall, max(0.6, x1 - x0 - 0.3), tall, _STRIP_INK))
            boxes.append(_Box(left, base, width, 1, _BAR))
            texts.append(_Text(left - 6, base - _STRIP, f"{peak:.1f}", _FAINT, "end"))
            texts.append(_Text(left - 6, base - HEIGHT, "0 nats", _FAINT, "end"))
    height = top + len(shown) * (panel + gap)
    if len(systems) > len(shown):
        texts.append(
            _Text(left, height - 14, f"bars {len(shown) * per_system + 1} to {len(bars)} are not shown", _FAINT)
        )
        height += 12
    return _Picture(round(left + _SYSTEM_WIDTH + 24), round(height), boxes, texts)


def _legend(voices: Voices, heat: Heat | None) -> list[tuple[str, Colour]]:
    if heat is None:
        return [(name, PALETTE[k % 8]) for k, name in enumerate(voices.names[:10])]
    entries = list(zip(level_names(), COLOURS))
    return [*entries, ("none", UNKNOWN)] if None in heat.notes else entries


def _most(heat: Heat) -> set[int]:
    """The notes that have most nats, by their places; of few notes, not all."""
    known = [k for k, nats in enumerate(heat.notes) if nats is not None]
    known.sort(key=lambda k: -(heat.notes[k] or 0.0))
    return set(known[: min(_NAMED, -(-len(known) // 4))])


def _heated(box: _Box, note: Note, heat: Heat, k: int, place: tuple[int, float]) -> _Box:
    """The box of note k in the colour of its nats."""
    (bar, beat), nats = place, heat.notes[k]
    words = f"no {heat.name} of its own" if nats is None else f"{nats:.2f} nats"
    colour = UNKNOWN if nats is None else COLOURS[level(nats)]
    title = f"{pitch_name(note.pitch)}, bar {bar}, beat {beat:.4g}: {words}"
    return replace(box, colour=colour, opacity=1.0, title=title)


def _note_box(
    note: Note, voices: Voices, start: int, end: int, left: float, y0: float, high: int, row: float, scale: float
) -> _Box:
    begin, stop = max(note.start, start), min(note.end, end)
    width = max(2.0, (stop - begin) * scale - 1.2)  # a sliver of light between repeated notes
    y = y0 + (high - note.pitch) * row
    colour = PALETTE[voices.number[note.track, note.channel] % 8]
    return _Box(
        left + (begin - start) * scale + 0.4, y + 0.4, width, row - 0.8, colour, 0.55 + 0.45 * note.velocity / 127, 1.8
    )


# PNG


def render_png(score: Score, path: str | Path, *, title: str = "", scale: int = 2, heat: Heat | None = None) -> None:
    """Draw a score as a piano-roll and write it as a PNG file.

    Args:
        score: what to draw.
        path: where to write; the file appears complete or not at all.
        title: the heading, if any.
        scale: pixels per unit of length; 2 suits screens of double density.
        heat: nats of every note and frame: they colour the notes in place of the voices, and make a strip below.

    Raises :class:`DataError` when the score has no notes or the file cannot be written.
    """
    target = Path(path)
    picture = _layout(score, title, heat)
    image = _paint(picture, scale)
    with atomic(target) as part:
        part.write_bytes(png(image))


def _paint(picture: _Picture, scale: int) -> np.ndarray:
    """uint8 [height, width, 3]."""
    image = np.empty((picture.height * scale, picture.width * scale, 3), dtype=np.uint8)
    image[:] = _PAPER
    for box in picture.boxes:
        _fill(image, box, scale)
    for text in picture.texts:
        bits = bitmap(text.text).repeat(text.size * scale, axis=0).repeat(text.size * scale, axis=1)
        shift = {"start": 0, "middle": bits.shape[1] // 2, "end": bits.shape[1]}[text.anchor]
        x, y = max(0, round(text.x * scale) - shift), max(0, round(text.y * scale))
        area = image[y : y + bits.shape[0], x : x + bits.shape[1]]
        area[bits[: area.shape[0], : area.shape[1]]] = text.colour
    return image


def _fill(image: np.ndarray, box: _Box, scale: int) -> None:
    """Blend a box, corners rounded, edges covered in proportion to the part of the pixel that they cover."""
    x0, y0 = box.x * scale, box.y * scale
    x1, y1 = x0 + box.width * scale, y0 + box.height * scale
    left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
    right, bottom = min(image.shape[1], int(np.ceil(x1))), min(image.shape[0], int(np.ceil(y1)))
    if right <= left or bottom <= top:
        return
    xs, ys = np.arange(left, right), np.arange(top, bottom)
    across = np.clip(np.minimum(xs + 1, x1) - np.maximum(xs, x0), 0, 1)
    down = np.clip(np.minimum(ys + 1, y1) - np.maximum(ys, y0), 0, 1)
    cover = down[:, None] * across[None, :] * box.opacity
    radius = min(box.radius * scale, (x1 - x0) / 2, (y1 - y0) / 2)
    if radius > 0:
        dx = np.maximum(np.maximum(x0 + radius - (xs + 0.5), (xs + 0.5) - (x1 - radius)), 0)
        dy = np.maximum(np.maximum(y0 + radius - (ys + 0.5), (ys + 0.5) - (y1 - radius)), 0)
        cover *= np.clip(radius + 0.5 - np.hypot(dy[:, None], dx[None, :]), 0, 1)
    area = image[top:bottom, left:right]
    ground = area.astype(np.float32)
    ground += cover[..., None].astype(np.float32) * (np.array(box.colour, dtype=np.float32) - ground)
    area[:] = np.rint(ground)


# SVG


def render_svg(score: Score, path: str | Path, *, title: str = "", heat: Heat | None = None) -> None:
    """Draw a score as a piano-roll and write it as an SVG file; arguments and errors as :func:`render_png`."""
    target = Path(path)
    picture = _layout(score, title, heat)
    width, height = picture.width, picture.height
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="{_hex(_PAPER)}"/>',
    ]
    for box in picture.boxes:
        extra = f' fill-opacity="{box.opacity:.2f}"' if box.opacity < 1 else ""
        extra += f' rx="{box.radius:g}"' if box.radius else ""
        end = f"><title>{escape(box.title)}</title></rect>" if box.title else "/>"
        out.append(
            f'<rect x="{box.x:.2f}" y="{box.y:.2f}" width="{box.width:.2f}" height="{box.height:.2f}" '
            f'fill="{_hex(box.colour)}"{extra}{end}'
        )
    for text in picture.texts:
        size = 10 if text.size == 1 else 17
        out.append(
            f'<text x="{text.x:.2f}" y="{text.y + HEIGHT * text.size:.2f}" font-family="sans-serif" font-size="{size}" '
            f'text-anchor="{text.anchor}" fill="{_hex(text.colour)}">{escape(_printable(text.text))}</text>'
        )
    out.append("</svg>\n")
    with atomic(target) as part:
        part.write_text("\n".join(out), encoding="utf-8")


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _printable(text: str) -> str:
    """Without the control characters that XML forbids and a terminal obeys; track names come from strangers."""
    return "".join(c if c.isprintable() else "?" for c in text)


# The terminal


def terminal(
    score: Score,
    *,
    width: int | None = None,
    systems: int = 2,
    colour: bool | None = None,
    stream: TextIO | None = None,
    heat: Heat | None = None,
) -> str:
    """A score as a piano-roll of text: two semitones a line by half blocks, bar lines, pitch names, bar numbers.

    Args:
        score: what to draw.
        width: columns of the text; the terminal's when None.
        systems: how many stretches to draw, one under the other; the bars that remain are named.
        colour: colour the voices; by default only where ``stream`` is a terminal and ``NO_COLOR`` is not set.
        stream: where the text will go (for the default of ``colour``); standard output when None.
        heat: nats of every note and frame: they colour the notes in place of the voices, and stand as a strip of blocks
            below every stretch, which needs no colour.

    Raises :class:`DataError` when the score has no notes.
    """
    if colour is None:
        out = stream or sys.stdout
        colour = out.isatty() and "NO_COLOR" not in os.environ
    columns = max(30, width or shutil.get_terminal_size((100, 24)).columns)
    bars = bars_of(score)
    voices = voices_of(score)
    codes: tuple[int, ...]
    if heat is None:
        marks, codes = [voices.number[note.track, note.channel] % 8 for note in score.notes], _TERMINAL
    else:
        marks = [len(TERMINAL) if nats is None else level(nats) for nats in heat.notes]
        codes = (*TERMINAL, UNKNOWN_TERMINAL)
    strip = heat.strip(score.end_tick) if heat else []
    margin = 5
    step = _column_ticks(score, bars[0], columns - margin - 2)
    low, high = span(score)
    low, high = low - low % 2, high + (high + 1) % 2  # whole lines of two semitones
    lines: list[str] = []
    at = 0
    for _ in range(systems):
        if at >= len(bars):
            break
        begin, until = at, at
        used = 0
        while until < len(bars):
            need = -(-(bars[until][1] - bars[until][0]) // step) + 1
            if until > begin and used + need > columns - margin - 1:
                break
            used += need
            until += 1
        lines += _system(
            score, marks, bars[begin:until], begin, step, columns - margin, low, high, codes if colour else (), strip
        )
        at = until
    if at < len(bars):
        lines.append(f"{'':{margin}}bars {at + 1}-{len(bars)} are not shown")
    if heat is not None:
        peak = max((nats for _, _, nats in strip), default=0.0)
        lines.append(f"{'':{margin}}▁ to █ below the notes: {heat.name} of all that happens then, 0 to {peak:.1f} nats")
    names = level_names() + ["none"] * (None in heat.notes) if heat else voices.names[:10]
    if colour and (heat or len(voices.names) > 1):
        legend = (f"\x1b[38;5;{codes[k % len(codes)]}m█\x1b[0m {_printable(name)}" for k, name in enumerate(names))
        lines.append(" " * margin + "  ".join(legend) + (f"  nats ({heat.name} of a note)" if heat else ""))
    return "\n".join(lines)


def _column_ticks(score: Score, bar: tuple[int, int], room: int) -> int:
    """Ticks of a column: a sixteenth where four bars fit in the width, else an eighth, else coarser."""
    quarter = score.ticks_per_beat
    step = max(1, quarter // 4)
    while (4 if step < quarter // 2 else 1) * ((bar[1] - bar[0]) // step + 1) > room:
        step *= 2
    return step


def _system(
    score: Score,
    marks: Sequence[int],
    bars: list[tuple[int, int]],
    first: int,
    step: int,
    room: int,
    low: int,
    high: int,
    codes: Sequence[int],
    strip: Sequence[tuple[float, float, float]],
) -> list[str]:
    """The lines of one stretch of bars; note k has the colour ``codes[marks[k]]``, or none where there are no codes."""
    columns: list[tuple[int, int] | None] = []  # the ticks of each column; None for a bar line
    numbers = ""
    for k, (start, end) in enumerate(bars):
        columns.append(None)
        columns += [(tick, min(tick + step, end)) for tick in range(start, end, step)]
        numbers += str(first + k + 1).ljust(len(columns) - len(numbers))
    columns = columns[: room - 1]
    grid = np.full((high - low + 1, len(columns)), -1)
    onset = [(i, span[0]) for i, span in enumerate(columns) if span is not None]
    ticks = np.array([tick for _, tick in onset])
    places = np.array([i for i, _ in onset])
    for note, mark in zip(score.notes, marks):
        if note.start >= bars[-1][1] or note.end <= bars[0][0]:
            continue
        a = int(np.searchsorted(ticks, note.start, side="right")) - 1
        b = max(a + 1, int(np.searchsorted(ticks, note.end, side="left")))
        cells = places[max(a, 0) : b]
        row = high - note.pitch
        if len(cells):
            before = cells[0] - 1
            if before >= 0 and a > 0 and grid[row, before] >= 0 and (before == 0 or grid[row, before - 1] >= 0):
                grid[row, before] = -1  # a repeated note is struck again: light between the two
            grid[row, cells[0] : cells[-1] + 1] = mark
    lines = [" " * 5 + numbers[: room - 1].rstrip()]
    for row in range(0, high - low + 1, 2):
        pitch = high - row
        c = next((p for p in (pitch, pitch - 1) if p % 12 == 0), None)
        label = (pitch_name(c) if c is not None else "").rjust(4) + " "
        drawn = [_cell(int(grid[row, i]), int(grid[row + 1, i]), span is None, codes) for i, span in enumerate(columns)]
        lines.append((label + "".join(drawn) + "│").rstrip())
    if strip:
        lines.append("nats " + _blocks(columns, strip).rstrip())
    return lines


def _blocks(columns: Sequence[tuple[int, int] | None], strip: Sequence[tuple[float, float, float]]) -> str:
    """One block per column, as high as the most of the frames that last into it; the piece's highest is whole."""
    starts, stops, nats = (np.array(column) for column in zip(*strip))
    peak = nats.max()
    drawn = ""
    for place in columns:
        if place is None:
            drawn += "│"
            continue
        first, last = np.searchsorted(stops, place[0], side="right"), np.searchsorted(starts, place[1], side="left")
        share = nats[first:last].max(initial=0.0) / peak if peak > 0 else 0.0
        drawn += " ▁▂▃▄▅▆▇█"[int(np.ceil(8 * share))] if first < last else " "
    return drawn


def _cell(upper: int, lower: int, bar: bool, codes: Sequence[int]) -> str:
    if upper < 0 and lower < 0:
        return "│" if bar else " "
    block = "█" if upper >= 0 and lower >= 0 else "▀" if upper >= 0 else "▄"
    if not codes:
        return block
    if upper >= 0 and lower >= 0 and upper != lower:
        return f"\x1b[38;5;{codes[upper]};48;5;{codes[lower]}m▀\x1b[0m"
    return f"\x1b[38;5;{codes[max(upper, lower)]}m{block}\x1b[0m"
