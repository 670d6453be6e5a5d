"""Rows of shapes: views, joins, pieces."""

from __future__ import annotations

from tests.differential.rows import draw, module, row

row("cat", draw(2, 3), draw(4, 3), call=lambda t, a, b: t.cat([a, b]))
row("transpose", draw(2, 3, 4), 0, 2, in_place=False)
module("Linear", 3, 4, inputs=[draw(2, 3)])
module("Dropout", 0.5, inputs=[draw(2, 3)], modes=("eval",))
