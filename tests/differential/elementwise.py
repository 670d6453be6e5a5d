"""Rows of arithmetic, functions of one number, choice and comparison."""

from __future__ import annotations

from tests.differential.rows import draw, row

row("exp", draw(3, 4))
row("exp", draw(), note="0-d")
row("exp", draw(0, 3), note="empty")
row("add", draw(3, 4), draw(4))
row("mul", draw(3, 1), draw(2, 1, 4))
row("relu", draw(3, 4, away=(0.0,)), smooth=True)
