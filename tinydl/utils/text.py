"""Text that strangers wrote (file names, track names), made fit to be shown."""

from __future__ import annotations


def visible(text: str) -> str:
    """``text`` with control characters and stray bytes of a file's name as escapes: they would command the terminal.

    >>> visible("a\\x1b[31m.mid")
    'a\\\\x1b[31m.mid'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
