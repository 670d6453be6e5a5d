"""A page to listen on: one self-contained HTML file with players, piano-rolls, curves and tables."""

from __future__ import annotations

from tinydl.page.page import Curves, Interval, Music, Page, Piece, Settings, Table, Tables, write

__all__ = ["Curves", "Interval", "Music", "Page", "Piece", "Settings", "Table", "Tables", "write"]
