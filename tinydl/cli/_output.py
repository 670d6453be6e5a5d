"""Where words go: results on stdout, progress on stderr, colour and bars on a terminal only (and without NO_COLOR).

Plain output is made of lines that ``grep``, ``cut`` and a log file can live with; rich is imported for terminals only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from tinydl.utils.text import visible


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is looking at ``stream`` (a closed or replaced stream is not one)."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (ValueError, AttributeError):
        return False


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    print(text)


def note(text: str) -> None:
    """A line about progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """``value`` as JSON on stdout; not-a-number and infinity become null, since JSON has neither."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, stream: TextIO | None = None) -> None:
    """A table: rich on a terminal, else aligned columns two spaces apart. Numbers are flushed right."""
    out = sys.stdout if stream is None else stream
    cells = [["" if cell is None else visible(str(cell)) for cell in row] for row in rows]
    right = [bool(cells) and all(_numeric(row[i]) for row in cells) for i in range(len(columns))]
    if is_terminal(out):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for column, flush_right in zip(columns, right):
            table.add_column(column, justify="right" if flush_right else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console(file=out, highlight=False).print(table)
        return
    widths = [max([len(column), *(len(row[i]) for row in cells)]) for i, column in enumerate(columns)]
    for line in [list(columns), *cells]:
        words = (w.rjust(n) if r else w.ljust(n) for w, n, r in zip(line, widths, right))
        print("  ".join(words).rstrip(), file=out)


def _numeric(text: str) -> bool:
    return text in ("", "-") or text.replace(",", "").replace(".", "").replace("%", "").lstrip("-").isdigit()


def say_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """``name  value`` lines, the values aligned."""
    items = [(name, str(value)) for name, value in pairs]
    width = max((len(name) for name, _ in items), default=0)
    for name, value in items:
        print(f"{name.ljust(width)}  {value}".rstrip())


def clock(seconds: float) -> str:
    """A duration as a person says it.

    >>> clock(0.5), clock(75), clock(3700)
    ('0.5 s', '1:15', '1:01:40')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def quoted(path: str) -> str:
    """A path as it must be typed in a shell."""
    import shlex

    return shlex.quote(path)
