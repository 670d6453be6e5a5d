"""Rows of layers that add elements at the ends, and that rearrange them."""

from __future__ import annotations

from tests.differential.rows import draw, module

module("ConstantPad1d", 2, 3.5, inputs=[draw(2, 3, 4)])
module("ConstantPad2d", (1, 0, 2, -1), -1.0, inputs=[draw(2, 3, 4, 3)])
module("ConstantPad3d", (1, 2, 0, 1, 1, 0), 0.5, inputs=[draw(1, 2, 2, 3, 2)])
module("ZeroPad1d", (1, 2), inputs=[draw(2, 3, 4)])
module("ZeroPad2d", 1, inputs=[draw(2, 3, 4, 3)])
module("ReflectionPad1d", (2, 1), inputs=[draw(2, 3, 4)])
module("ReflectionPad2d", (1, 2, 0, 1), inputs=[draw(2, 3, 4)])
module("ReplicationPad1d", (2, 5), inputs=[draw(2, 3, 4)])
module("ReplicationPad2d", 2, inputs=[draw(2, 3, 4, 3)])
module("CircularPad1d", (2, 1), inputs=[draw(2, 3, 4)])
module("CircularPad2d", (1, 2, 0, 1), inputs=[draw(2, 3, 4, 3)])
module("PixelShuffle", 2, inputs=[draw(2, 8, 2, 3)])
module("PixelUnshuffle", 2, inputs=[draw(2, 2, 4, 6)])
module("Unfold", (2, 3), dilation=1, padding=1, stride=2, inputs=[draw(2, 3, 5, 6)])
module("Fold", (5, 6), 2, stride=1, inputs=[draw(2, 12, 20)])
