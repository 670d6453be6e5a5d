"""Rows of sums, extrema, scans and sorting."""

from __future__ import annotations

from tests.differential.rows import draw, row

row("sum", draw(3, 4))
row("sum", draw(3, 4), dim=1, keepdim=True)
row("max", draw(3, 4), dim=1)
