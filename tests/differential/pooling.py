"""Rows of pools."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.differential.rows import Draw, draw, module, row


def apart(*shape: int) -> Draw:
    """Numbers of which no two are close: which one is the greatest is no matter of rounding."""
    return draw(*shape, make=lambda x: np.argsort(np.argsort(x.reshape(-1))).reshape(x.shape) / x.size * 4 - 2)


def ties(*shape: int) -> Draw:
    """Whole numbers, many of them equal."""
    return draw(*shape, make=np.round)


def with_nan(*shape: int) -> Draw:
    """A NaN among numbers."""

    def put(x: Any) -> Any:
        x = x.copy()
        x.reshape(-1)[x.size // 2] = np.nan
        return x

    return draw(*shape, make=put)


row("nn.functional.max_pool1d", apart(2, 3, 7), 3)
row("nn.functional.max_pool1d", apart(3, 7), 3, stride=2, padding=1, return_indices=True, note="unbatched")
row("nn.functional.max_pool1d", apart(2, 2, 9), 2, stride=2, dilation=3, ceil_mode=True, note="dilation")
row("nn.functional.max_pool1d", with_nan(1, 2, 6), 2, stride=1, grad=False, return_indices=True, note="nan")
row("nn.functional.max_pool2d", apart(2, 3, 6, 7), 2)
row("nn.functional.max_pool2d", apart(2, 3, 6, 7), 3, 2, 1, return_indices=True, note="indices")
row("nn.functional.max_pool2d", apart(3, 5, 8), (2, 3), (1, 2), (1, 0), ceil_mode=True, note="unbatched ceil")
row("nn.functional.max_pool2d", apart(1, 2, 9, 9), 2, 3, 0, (2, 3), note="dilation")
row("nn.functional.max_pool2d", ties(2, 2, 6, 6), 3, stride=2, return_indices=True, note="ties")
row("nn.functional.max_pool2d", apart(0, 2, 6, 6), 3, note="no batch")
for _n in (1, 2):  # of one element, the window sees only padding
    row("nn.functional.max_pool1d", apart(1, 1, _n), 2, 3, 1, 2, True, grad=False, note=f"{_n} between the taps")
    row("nn.functional.max_pool2d", apart(2, 1, _n, 2), 2, 3, 1, 2, True, grad=False, note=f"{_n} between the taps")
row("nn.functional.max_pool3d", apart(2, 2, 4, 5, 4), 2, return_indices=True)
row("nn.functional.max_pool3d", apart(2, 4, 5, 4), (2, 1, 3), 2, (1, 0, 1), note="unbatched")

row("nn.functional.avg_pool1d", draw(2, 3, 7), 3)
row("nn.functional.avg_pool1d", draw(3, 7), 3, stride=2, padding=1, ceil_mode=True, note="unbatched")
row("nn.functional.avg_pool1d", draw(2, 3, 8), 3, 2, 1, True, False, note="without padding")
row("nn.functional.avg_pool2d", draw(2, 3, 6, 7), 2)
row("nn.functional.avg_pool2d", draw(2, 3, 6, 7), (3, 2), (2, 1), (1, 0), note="padding")
row("nn.functional.avg_pool2d", draw(2, 3, 6, 7), 3, 2, 1, ceil_mode=True, count_include_pad=False, note="ceil")
row("nn.functional.avg_pool2d", draw(3, 6, 7), 3, 2, 1, ceil_mode=True, note="unbatched ceil")
row("nn.functional.avg_pool2d", draw(1, 2, 4, 4), 2, divisor_override=3, note="divisor")
row("nn.functional.avg_pool2d", draw(0, 2, 4, 4), 2, note="no batch")
row("nn.functional.avg_pool3d", draw(2, 2, 4, 5, 4), 2)
row("nn.functional.avg_pool3d", draw(2, 4, 5, 4), (2, 1, 3), 2, (1, 0, 1), True, False, note="unbatched")
row("nn.functional.avg_pool3d", draw(1, 2, 4, 4, 4), 2, divisor_override=5, note="divisor")

row("nn.functional.adaptive_avg_pool1d", draw(2, 3, 7), 3)
row("nn.functional.adaptive_avg_pool1d", draw(3, 4), 6, note="more than there are")
row("nn.functional.adaptive_avg_pool2d", draw(2, 3, 7, 5), (3, 2))
row("nn.functional.adaptive_avg_pool2d", draw(2, 3, 7, 5), 1, note="one")
row("nn.functional.adaptive_avg_pool2d", draw(3, 7, 5), (None, 4), note="unbatched")
row("nn.functional.adaptive_avg_pool3d", draw(2, 2, 4, 5, 3), (2, 3, 1))
row("nn.functional.adaptive_avg_pool3d", draw(2, 4, 5, 3), 2, note="unbatched")
row("nn.functional.adaptive_max_pool1d", apart(2, 3, 7), 3, return_indices=True)
row("nn.functional.adaptive_max_pool1d", apart(3, 7), 2, note="unbatched")
row("nn.functional.adaptive_max_pool2d", apart(2, 3, 7, 5), (3, 2), return_indices=True)
row("nn.functional.adaptive_max_pool2d", ties(3, 7, 5), (2, None), note="unbatched ties")

row("nn.functional.lp_pool1d", draw(2, 3, 7, low=0.2), 3.0, 2)
row("nn.functional.lp_pool1d", draw(3, 7, away=(0.0,)), 2.0, 3, stride=2, ceil_mode=True, note="unbatched")
row("nn.functional.lp_pool2d", draw(2, 3, 6, 7, low=0.2), 3.0, 2)
row("nn.functional.lp_pool2d", draw(2, 6, 7, away=(0.0,)), 2.0, (2, 3), (1, 2), note="unbatched")
row("nn.functional.lp_pool2d", apart(2, 2, 4, 4), float("inf"), 2, note="maximum")


def unpooled(t: Any, x: Any, **options: Any) -> Any:
    """Two maximum pools and back."""
    y, indices = t.nn.functional.max_pool2d(x, 2, return_indices=True)
    return t.nn.functional.max_unpool2d(y * 2, indices, 2, **options)


row("nn.functional.max_unpool2d", apart(2, 3, 4, 6), call=unpooled)
row("nn.functional.max_unpool2d", apart(3, 5, 5), call=lambda t, x: unpooled(t, x, output_size=(5, 5)), note="size")

module("MaxPool1d", 3, inputs=[apart(2, 3, 7)])
module("MaxPool1d", 2, stride=1, padding=1, return_indices=True, inputs=[apart(3, 7)], note="indices")
module("MaxPool2d", 2, inputs=[apart(2, 3, 4, 6)])
module("MaxPool2d", (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), ceil_mode=True, inputs=[apart(2, 3, 6, 7)])
module("MaxPool3d", 2, inputs=[apart(1, 2, 4, 4, 4)])
module("AvgPool1d", 3, stride=2, inputs=[draw(2, 3, 7)])
module("AvgPool2d", 2, inputs=[draw(2, 3, 4, 6)])
module("AvgPool2d", 3, stride=2, padding=1, count_include_pad=False, inputs=[draw(2, 3, 5, 6)], note="padding")
module("AvgPool2d", 2, divisor_override=3, inputs=[draw(2, 3, 4, 4)], note="divisor")
module("AvgPool3d", (1, 2, 2), inputs=[draw(1, 2, 3, 4, 4)])
module("AdaptiveAvgPool1d", 3, inputs=[draw(2, 3, 7)])
module("AdaptiveAvgPool2d", (3, None), inputs=[draw(2, 3, 7, 5)])
module("AdaptiveAvgPool3d", 2, inputs=[draw(1, 2, 4, 5, 3)])
module("AdaptiveMaxPool1d", 3, inputs=[apart(2, 3, 7)])
module("AdaptiveMaxPool2d", (2, 3), return_indices=True, inputs=[apart(2, 3, 7, 5)])
module("LPPool1d", 2, 3, inputs=[draw(2, 3, 7, away=(0.0,))])
module("LPPool2d", 3, (2, 3), stride=2, inputs=[draw(2, 3, 6, 7, low=0.2)])
module(
    "MaxUnpool2d", 2, stride=3, inputs=[draw(1, 2, 2, 3), np.arange(12).reshape(1, 2, 2, 3) * 3],
    call=lambda layer, x, at: layer(x, at),
)  # fmt: skip
