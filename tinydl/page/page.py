"""The page as plain data, and the one file that it becomes.

A :class:`Page` is a title, a summary and sections: :class:`Music` (pieces with players), :class:`Curves` (a log),
:class:`Tables` (figures), :class:`Settings` (how to make it again). Who makes the figures is not this room's business.

The file needs nothing beside itself: style, program, music and drawings stand in it, and a content security policy
that names the two by their hashes forbids everything else, the network first. The same page gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.data import midi
from tinydl.data.score import Score
from tinydl.errors import DataError
from tinydl.page.roofline import Roofline, draw
from tinydl.page.svg import Roll, Series, chart, roll, text
from tinydl.render import synth
from tinydl.render.heat import BORDERS
from tinydl.render.layout import PALETTE, bars_of, facts
from tinydl.utils.files import replacing
from tinydl.version import __version__

__all__ = ["Curves", "Interval", "Music", "Page", "Piece", "Rooflines", "Settings", "Table", "Tables", "write"]


@dataclass(frozen=True)
class Piece:
    """A piece to hear and see.

    Attributes:
        title: its name on the page.
        score: the music.
        about: a sentence under the title.
        facts: words beside the bars, length and notes that every piece shows, such as ``"8.1 nats/frame"``.
        note_nll: float [notes], -ln p of every note in nats, in the order of ``score.notes``; colours the notes. None
            for a note that the model does not hear.
        frame_nll: float [frames], -ln p of every frame in nats; drawn under the roll, aligned in time.
        frame_ticks: [frames], where the frames begin, ever later.
        file: the name under which its .mid is saved from the page.
    """

    title: str
    score: Score
    about: str = ""
    facts: Sequence[str] = ()
    note_nll: Sequence[float | None] | None = None
    frame_nll: Sequence[float] | None = None
    frame_ticks: Sequence[float] = ()
    file: str = "piece.mid"


@dataclass(frozen=True)
class Music:
    """A section of pieces."""

    title: str
    pieces: Sequence[Piece]
    intro: str = ""


@dataclass(frozen=True)
class Curves:
    """A section of charts from the rows of a run's log (see :mod:`tinydl.training.log`).

    ``unit`` is what losses are counted in, such as ``"nats/frame"``.
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    unit: str
    intro: str = ""


@dataclass(frozen=True)
class Interval:
    """A figure with its uncertainty; the table's caption says which interval it is."""

    value: float
    low: float
    high: float


Cell = str | int | float | Interval | None


@dataclass(frozen=True)
class Table:
    """A table: the first cell of a row names it; floats are shown with ``digits`` decimals, None as a dash."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    digits: int = 3


@dataclass(frozen=True)
class Tables:
    """A section of tables."""

    title: str
    tables: Sequence[Table]
    intro: str = ""


@dataclass(frozen=True)
class Settings:
    """A section that says how to make the page again: command lines, and named values."""

    title: str
    commands: Sequence[str]
    values: Sequence[tuple[str, str]]
    intro: str = ""


@dataclass(frozen=True)
class Rooflines:
    """A section of roofline pictures (:mod:`tinydl.page.roofline`)."""

    title: str
    pictures: Sequence[Roofline]
    intro: str = ""


Section = Music | Curves | Tables | Settings | Rooflines


@dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    summary: str
    sections: Sequence[Section]

    def html(self) -> str:
        """The file's text, complete.

        Raises:
            MidiError: a piece that no MIDI file can hold.
            ValueError: as many surprises as notes were not given.
        """
        plays = any(isinstance(section, Music) for section in self.sections)
        names = [f"section-{k}" for k in range(1, len(self.sections) + 1)]
        links = "".join(f'<li><a href="#{n}">{text(s.title)}</a></li>' for n, s in zip(names, self.sections))
        ids = iter(range(1, 1 + sum(len(s.pieces) for s in self.sections if isinstance(s, Music))))
        body = []
        for name, section in zip(names, self.sections):
            intro = f'<p class="intro">{text(section.intro)}</p>' if section.intro else ""
            if isinstance(section, Music):
                inner = "".join(_piece(piece, next(ids)) for piece in section.pieces)
            elif isinstance(section, Curves):
                inner = _curves(section)
            elif isinstance(section, Tables):
                inner = f'<div class="tables">{"".join(map(_table, section.tables))}</div>'
            elif isinstance(section, Rooflines):
                inner = f'<div class="curves">{"".join(map(_roofline, section.pictures))}</div>'
            else:
                inner = _settings(section)
            body.append(
                f'<section aria-labelledby="{name}"><h2 id="{name}">{text(section.title)}</h2>{intro}{inner}'
                "</section>\n"
            )
        content = (_SILENT if plays else "") + "".join(body)
        program = part("player.js") if plays else ""
        return framed(self.title, self.summary, links, content, style(), program, _KEYS if plays else "")


def framed(title: str, summary: str, links: str, body: str, style: str, program: str, keys: str = "") -> str:
    """A file around a page's content, which may run its own program (empty: none) and load nothing.

    title, summary: text; links, body, keys: HTML.
    """
    scripts = f"script-src '{_sha256(program)}'; " if program else ""
    policy = (
        f"default-src 'none'; {scripts}style-src '{_sha256(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _FRAME.format(
        policy=policy,
        title=text(title),
        icon=_ICON,
        style=style,
        summary=text(summary),
        links=links,
        body=body,
        version=text(__version__),
        keys=keys,
        program=f"<script>{program}</script>\n" if program else "",
    )


def write(page: Page, path: str | Path) -> None:
    """Write a page as one file, which appears complete or not at all; :class:`DataError` when it cannot be written."""
    write_text(page.html(), path)


def write_text(html: str, path: str | Path) -> None:
    """Write the text of a page; see :func:`write`."""
    content = html.encode()
    try:
        with replacing(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


# The frame of the file

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg fill='%230068b2'%3E"
    "%3Crect x='1' y='9' width='6' height='3' rx='1'/%3E%3Crect x='6' y='5' width='5' height='3' rx='1'/%3E"
    "%3Crect x='10' y='1' width='5' height='3' rx='1'/%3E%3C/g%3E%3C/svg%3E"
)

_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
<h1>{title}</h1>
<p class="summary">{summary}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="main" tabindex="-1">
{body}</main>
<footer><p>Made by tinydl {version}. This page is one file and asks the network for nothing.{keys}</p></footer>
{program}</body>
</html>
"""
# Where there is music.
_SILENT = """<noscript><p class="notice">Playing needs JavaScript, which is off in this browser; all else on this page \
is here, and every piece can be saved as a .mid file.</p></noscript>
<p class="notice" id="silent" role="status" hidden></p>
"""
_KEYS = """ <span class="keys">Keys in a player: <kbd>Space</kbd> play or pause, <kbd>←</kbd> <kbd>→</kbd> one second, \
<kbd>Page Up</kbd> <kbd>Page Down</kbd> one bar, <kbd>Home</kbd> <kbd>End</kbd>.</span>"""


@cache
def part(name: str) -> str:
    """The text of a file beside this one: a style or a program."""
    return resources.files("tinydl.page").joinpath(name).read_text("utf-8")


def style() -> str:
    """The style of all pages."""
    colours = "".join(f"--v{k}:#{r:02x}{g:02x}{b:02x};" for k, (r, g, b) in enumerate(PALETTE))
    return f":root{{{colours}}}\n{part('page.css')}"


def _sha256(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


# Pieces


def _piece(piece: Piece, k: int) -> str:
    score, name = piece.score, text(piece.title)
    about = f'<p class="about">{text(piece.about)}</p>' if piece.about else ""
    content = base64.b64encode(midi.to_bytes(score, piece.title)).decode()
    save = (
        f'<a class="save" download="{text(piece.file)}" href="data:audio/midi;base64,{content}" '
        f'aria-label="Save {name} as a .mid file">.mid</a>'
    )
    if not score.notes:
        shown = [*piece.facts]
        return (
            f'<article class="piece" aria-labelledby="piece-{k}"><header><h3 id="piece-{k}">{name}</h3>'
            f'<p class="facts">{text(" · ".join(shown))}</p>{save}</header>{about}'
            '<p class="about">This piece holds no notes: there is nothing to see or to hear.</p></article>'
        )
    _check_surprise(piece)
    drawn = roll(score, piece.note_nll, piece.frame_nll, piece.frame_ticks)
    shown = [*facts(score, len(bars_of(score))), *piece.facts]
    data = json.dumps(_music(piece, drawn), separators=(",", ":"))  # numbers alone: no "<" can end the element
    return f"""<article class="piece" aria-labelledby="piece-{k}">
<header><h3 id="piece-{k}">{name}</h3><p class="facts">{text(" · ".join(shown))}</p>{save}</header>{about}
<div class="controls" role="group" aria-label="Player of {name}" hidden>
<button class="play" type="button" aria-label="Play {name}"><svg viewBox="0 0 24 24" aria-hidden="true">\
<path class="on" d="M7 4.5v15l13-7.5z"/><path class="off" d="M6 5h4.5v14H6zM13.5 5H18v14h-4.5z"/></svg></button>
<input class="seek" type="range" min="0" max="{score.seconds:.3f}" step="any" value="0" \
aria-label="Position in {name}"><span class="time" aria-hidden="true"></span></div>
<div class="roll" tabindex="0" role="region" aria-label="Piano-roll of {name}">{drawn.axis}\
<div class="lane">{drawn.grid}<div class="cursor" hidden></div></div></div>
<p class="now" hidden></p>
{_legend(piece, drawn)}<script type="application/json">{data}</script>
</article>
"""


def _check_surprise(piece: Piece) -> None:
    ticks = list(piece.frame_ticks)
    for what, nats, wanted in (
        ("note", piece.note_nll, len(piece.score.notes)),
        ("frame", piece.frame_nll, len(ticks)),
    ):
        if nats is None:
            continue
        if len(nats) != wanted or not wanted:
            raise ValueError(f"{piece.title!r} has {wanted} {what}s, but {len(nats)} surprises of {what}s")
        if not all(math.isfinite(x) for x in nats if x is not None):
            raise ValueError(f"{piece.title!r}: the surprise of a {what} must be a finite number")
    if any(later <= earlier for earlier, later in zip(ticks, ticks[1:])):
        raise ValueError(f"{piece.title!r}: every frame must begin later than the one before")


def _legend(piece: Piece, drawn: Roll) -> str:
    if piece.note_nll is not None:
        borders = [f"{border:g}" for border in BORDERS]
        labels = [f"below {borders[0]}", *map("–".join, zip(borders, borders[1:])), f"{borders[-1]} and more"]
        items = "".join(f'<li><span class="swatch s{k}"></span>{label}</li>' for k, label in enumerate(labels))
        if None in piece.note_nll:
            items += '<li><span class="swatch unheard"></span>not heard by the model</li>'
        return f'<p class="key">Surprise of a note, nats</p><ul class="legend scale">{items}</ul>\n'
    if len(drawn.voices) < 2:
        return ""
    items = "".join(
        f'<li><span class="swatch v{k % len(PALETTE)}"></span>{text(name)}</li>' for k, name in enumerate(drawn.voices)
    )
    return f'<ul class="legend">{items}</ul>\n'


def _music(piece: Piece, drawn: Roll) -> dict[str, Any]:
    """What the player needs, in seconds and pixels; ``player.js`` says what each entry is."""
    score = piece.score
    sounds = synth.events(score)
    patches: list[synth.Patch] = []
    for event in sounds:
        if event.patch is not None and event.patch not in patches:
            patches.append(event.patch)
    starts = score.to_seconds([note.start for note in score.notes])
    ends = score.to_seconds([note.end for note in score.notes])
    bars = [start for start, _ in bars_of(score)]
    whole = round(drawn.width / drawn.scale)
    bends = sorted({0, whole, *(tempo.tick for tempo in score.tempos if 0 < tempo.tick < whole)})
    # Note k and sound k begin together: both lists are in the order of the starts, and are equally long.
    rows = [
        [
            _ms(start),
            _ms(end),
            note.pitch,
            _ms(event.length / synth.SAMPLE_RATE),
            round(event.gain, 3),
            round(event.pan, 2),
            patches.index(event.patch) if event.patch is not None else -1,
        ]
        for note, start, end, event in zip(score.notes, starts.tolist(), ends.tolist(), sounds)
    ]
    music: dict[str, Any] = {
        "seconds": _ms(score.seconds),
        "notes": rows,
        "bars": [_ms(s) for s in score.to_seconds(bars).tolist()],
        "bends": [[_ms(s), round(t * drawn.scale, 2)] for s, t in zip(score.to_seconds(bends).tolist(), bends)],
        "patches": [_patch(patch) for patch in patches],
    }
    if piece.note_nll is not None:
        music["nats"] = [nats if nats is None else round(float(nats), 2) for nats in piece.note_nll]
    if piece.frame_nll is not None:
        music["frames"] = [_ms(s) for s in score.to_seconds(np.asarray(piece.frame_ticks)).tolist()]
        music["frameNats"] = [round(float(nats), 2) for nats in piece.frame_nll]
    return music


def _ms(seconds: float) -> float:
    return round(float(seconds), 3)


def _patch(patch: synth.Patch) -> dict[str, Any]:
    """An instrument of the built-in synthesizer, so that the page sounds like the .wav files."""
    entries = {key: value for key, value in asdict(patch).items() if key != "name"}
    return {**entries, **{key: [round(float(a), 4) for a in entries[key]] for key in ("dark", "bright")}}


# Curves


def _curves(section: Curves) -> str:
    def column(key: str) -> tuple[list[float], list[float]]:
        pairs = [(row["step"], row[key]) for row in section.rows if isinstance(row.get(key), (int, float))]
        pairs = [(x, y) for x, y in pairs if math.isfinite(y)]
        return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]

    figures = []
    steps, losses = column("loss")
    valid_steps, valid = column("valid")
    series: list[Series] = []
    said: list[str] = []
    legend: list[tuple[str, str]] = []
    note = ""
    if losses:
        window = max(1, len(losses) // 20)
        smooth = _smoothed(losses, window)
        series += [Series("training", steps, losses, "v5", "faint"), Series("smoothed", steps, smooth, "v0")]
        legend += [("v5", "training"), ("v0", f"mean of {2 * window + 1} rows")]
        said.append(f"training loss from {losses[0]:.3f} to {smooth[-1]:.3f} (smoothed)")
    if valid:
        series.append(Series("validation", valid_steps, valid, "v1", "dots"))
        best = int(np.argmin(valid))
        legend.append(("v1", f"validation, best {valid[best]:.3f} at step {valid_steps[best]:,.0f}"))
        said.append(f"validation from {valid[0]:.3f} to {valid[best]:.3f}, its best, at step {valid_steps[best]:.0f}")
    if series:
        values = np.array([*losses, *valid])
        low, high, most = float(values.min()), float(np.quantile(values, 0.97)), float(values.max())
        high = min(most, high + 0.25 * (high - low))  # the first steps would flatten all that follows
        above = int((values > high).sum())
        if above:
            note = f" {above} point{'s' * (above > 1)} above the frame, up to {most:.3f}."
        pad = 0.04 * (high - low)
        drawn = chart(
            series,
            x_label="step",
            y_label=f"loss, {section.unit}",
            label=f"Loss against steps: {'; '.join(said)}.",
            height=352,
            y_range=(low - pad, high + pad) if high > low else None,
        )
        keys = "".join(f'<li><span class="swatch {colour}"></span>{text(name)}</li>' for colour, name in legend)
        more = f'<span class="more">{text(note)}</span>' if note else ""
        figures.append(
            f'<figure class="tall">{drawn}<figcaption><ul class="legend">{keys}</ul>{more}</figcaption></figure>'
        )
    for key, name, unit, log in (
        ("grad_norm", "gradient norm", "before clipping", True),
        ("lr", "learning rate", "", False),
    ):
        x, y = column(key)
        if log:
            x, y = [a for a, b in zip(x, y) if b > 0], [b for b in y if b > 0]
        if y:
            drawn = chart(
                [Series(name, x, y, "v0")],
                x_label="step",
                y_label=f"{name}, {unit}" if unit else name,
                label=f"{name.capitalize()} against steps, between {min(y):.3g} and {max(y):.3g}.",
                height=184,
                log=log,
            )
            figures.append(f"<figure>{drawn}</figure>")
    return f'<div class="curves">{"".join(figures)}</div>'


def _smoothed(values: Sequence[float], window: int) -> list[float]:
    """The mean over up to ``window`` neighbours at either side, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    k = np.arange(len(values))
    first, last = np.maximum(k - window, 0), np.minimum(k + window + 1, len(values))
    return [float(x) for x in (total[last] - total[first]) / (last - first)]


# Rooflines, tables and settings


def _roofline(picture: Roofline) -> str:
    about = f'<span class="more">{text(picture.about)}</span>' if picture.about else ""
    return (
        f"<figure><figcaption><strong>{text(picture.title)}</strong>{about}</figcaption>{draw(picture)}</figure>"
    )


def _cell(value: Cell, digits: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, Interval):
        low, high = f"{value.low:.{digits}f}", f"{value.high:.{digits}f}"
        return f'{value.value:.{digits}f} <span class="interval">{low} to {high}</span>'
    if isinstance(value, float):
        return f"{value:.{digits}f}" if math.isfinite(value) else text(value)
    return f"{value:,}" if isinstance(value, int) else text(value)


def _is_words(value: Cell) -> bool:
    """Text that is no figure written out, as ``"12 %"`` and ``""`` are."""
    return isinstance(value, str) and bool(value) and not value[0].isdigit()


def _table(table: Table) -> str:
    words = [all(_is_words(row[i]) for row in table.rows) for i in range(len(table.columns))]
    kinds = [' class="words"' if w else "" for w in words]
    head = "".join(f'<th scope="col"{kind}>{text(name)}</th>' for name, kind in zip(table.columns, kinds))
    rows = []
    for row in table.rows:
        first, *rest = (_cell(cell, table.digits) for cell in row)
        cells = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(rest, kinds[1:]))
        rows.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    caption = f'<span class="about">{text(table.caption)}</span>' if table.caption else ""
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{text(table.title)}"><table><caption>'
        f"<span>{text(table.title)}</span>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _settings(section: Settings) -> str:
    commands = "\n".join(text(line) for line in section.commands)
    # A long value (a fingerprint, all options) has a line of its own.
    kinds = [' class="wide"' if len(value) > 40 else "" for _, value in section.values]
    values = "".join(
        f"<div{kind}><dt>{text(name)}</dt><dd>{text(value)}</dd></div>"
        for kind, (name, value) in zip(kinds, section.values)
    )
    shown = f'<pre tabindex="0" role="region" aria-label="Commands"><code>{commands}</code></pre>' if commands else ""
    return f'{shown}<dl class="values">{values}</dl>'
