"""A page to listen on: one self-contained HTML file with players, piano-rolls, curves and tables."""

from __future__ import annotations

from tinydl.page.page import Curves, Interval, Music, Page, Piece, Rooflines, Settings, Table, Tables, write
from tinydl.page.roofline import Dot, Roofline

__all__ = [
    "Curves", "Dot", "Interval", "Music", "Page", "Piece", "Roofline", "Rooflines", "Settings", "Table", "Tables",
    "write",
]  # fmt: skip
