"""Rows of interpolation and of reading at a grid."""

from __future__ import annotations

from tests.differential.rows import draw, module, row

for mode, rank in (("nearest", 1), ("nearest-exact", 2), ("linear", 1), ("bilinear", 2), ("bicubic", 2),
                   ("trilinear", 3), ("area", 2), ("nearest", 3)):  # fmt: skip
    space = (5, 4, 6)[-rank:]
    row("nn.functional.interpolate", draw(2, 2, *space), (3, 7, 9)[-rank:], mode=mode, note=f"{mode} {rank} sizes")
    row("nn.functional.interpolate", draw(2, 1, *space), scale_factor=1.7, mode=mode, note=f"{mode} {rank} factor")
    row(
        "nn.functional.interpolate", draw(1, 2, *space), scale_factor=(0.6, 1.4, 2.3)[-rank:], mode=mode,
        recompute_scale_factor=True, note=f"{mode} {rank} recomputed",
    )  # fmt: skip
    if mode.endswith(("linear", "cubic")):
        row(
            "nn.functional.interpolate", draw(2, 2, *space), (3, 7, 9)[-rank:], mode=mode, align_corners=True,
            note=f"{mode} {rank} corners",
        )  # fmt: skip
for mode in ("bilinear", "bicubic"):
    row(
        "nn.functional.interpolate", draw(2, 2, 9, 8), (4, 11), mode=mode, antialias=True,
        note=f"{mode} smoothed",
    )  # fmt: skip
row("nn.functional.interpolate", draw(1, 1, 1, 1), (3, 4), mode="bicubic", note="of one element")
row("nn.functional.interpolate", draw(2, 2, 4, 5), (1, 1), mode="bilinear", align_corners=True, note="to one element")
row("nn.functional.interpolate", draw(0, 2, 4, 5), scale_factor=2, mode="bilinear", note="no batch")
row("nn.functional.interpolate", draw(2, 2, 4, 4), scale_factor=2.0, note="nearest is what is not said otherwise")

for corners in (False, True):
    row("nn.functional.affine_grid", draw(2, 2, 3), (2, 1, 3, 4), align_corners=corners)
    row("nn.functional.affine_grid", draw(2, 3, 4), (2, 1, 2, 3, 2), align_corners=corners, note="volume")
    for padding in ("zeros", "border", "reflection"):
        for mode in ("bilinear", "nearest", "bicubic"):
            row(
                "nn.functional.grid_sample", draw(2, 3, 4, 5), draw(2, 3, 2, 2), mode=mode, padding_mode=padding,
                align_corners=corners, note=f"{mode} {padding} {corners}",
            )  # fmt: skip
        row(
            "nn.functional.grid_sample", draw(2, 2, 3, 4, 5), draw(2, 2, 3, 2, 3), padding_mode=padding,
            align_corners=corners, note=f"volume {padding} {corners}",
        )  # fmt: skip
row("nn.functional.grid_sample", draw(1, 2, 1, 1), draw(1, 3, 2, 2), padding_mode="reflection", align_corners=True,
    note="of one element")  # fmt: skip
row("nn.functional.grid_sample", draw(2, 2, 3, 3, 3), draw(2, 2, 2, 2, 3), mode="nearest", align_corners=False,
    note="volume nearest")  # fmt: skip
row("nn.functional.grid_sample", draw(0, 2, 3, 3), draw(0, 2, 2, 2), align_corners=False, note="no batch")

module("Upsample", scale_factor=2, inputs=[draw(2, 3, 4)])
module("Upsample", size=(5, 3), mode="bilinear", inputs=[draw(2, 3, 4, 4)], note="bilinear")
module("Upsample", scale_factor=(1.5, 2.0), mode="bicubic", align_corners=True, inputs=[draw(1, 2, 4, 4)])
module("UpsamplingNearest2d", scale_factor=2, inputs=[draw(2, 3, 4, 3)])
module("UpsamplingBilinear2d", size=(7, 5), inputs=[draw(2, 3, 4, 3)])
