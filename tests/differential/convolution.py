"""Rows of convolution."""

from __future__ import annotations

from tests.differential.rows import draw, module, row

row("nn.functional.conv1d", draw(2, 3, 7), draw(4, 3, 3), draw(4))
row("nn.functional.conv1d", draw(3, 7), draw(4, 3, 2), note="unbatched")
row("nn.functional.conv1d", draw(2, 4, 9), draw(6, 2, 3), draw(6), stride=2, padding=2, dilation=2, groups=2)
row("nn.functional.conv1d", draw(2, 3, 7), draw(4, 3, 4), padding="same", note="same, even")
row("nn.functional.conv1d", draw(2, 3, 7), draw(4, 3, 3), padding="valid", note="valid")
row("nn.functional.conv1d", draw(0, 3, 7), draw(4, 3, 3), note="no batch")
row("nn.functional.conv2d", draw(2, 3, 6, 5), draw(4, 3, 3, 2), draw(4))
row("nn.functional.conv2d", draw(3, 6, 5), draw(2, 3, 1, 1), note="unbatched")
row("nn.functional.conv2d", draw(2, 4, 6, 5), draw(4, 1, 3, 3), draw(4), stride=(2, 1), padding=(1, 2), groups=4)
row("nn.functional.conv2d", draw(1, 2, 7, 8), draw(3, 2, 3, 2), dilation=(2, 3), padding=1, note="dilation")
row("nn.functional.conv2d", draw(1, 2, 6, 7), draw(3, 2, 2, 3), padding="same", dilation=(1, 2), note="same")
row("nn.functional.conv3d", draw(1, 2, 4, 5, 3), draw(2, 2, 2, 3, 2), draw(2), stride=(1, 2, 1), padding=1)
row("nn.functional.conv3d", draw(2, 4, 3, 4), draw(2, 2, 2, 2, 2), draw(2), note="unbatched", padding=1)
row("nn.functional.conv3d", draw(1, 4, 3, 3, 4), draw(4, 2, 2, 2, 2), groups=2, dilation=(1, 1, 2), note="groups")
row("nn.functional.conv_transpose1d", draw(2, 3, 5), draw(3, 4, 3), draw(4), stride=2, padding=1, output_padding=1)
row("nn.functional.conv_transpose1d", draw(3, 5), draw(3, 2, 2), note="unbatched")
row("nn.functional.conv_transpose1d", draw(2, 4, 5), draw(4, 3, 3), groups=2, dilation=2, note="groups")
row("nn.functional.conv_transpose2d", draw(2, 3, 4, 3), draw(3, 2, 4, 4), draw(2), stride=2, padding=1)
row("nn.functional.conv_transpose2d", draw(1, 4, 3, 4), draw(4, 2, 2, 3), draw(4), (1, 3), (0, 1), (0, 2), 2, (1, 2))
row("nn.functional.conv_transpose3d", draw(1, 2, 3, 2, 3), draw(2, 3, 2, 2, 2), draw(3), stride=(1, 2, 1), padding=1)

module("Conv1d", 3, 4, 3, inputs=[draw(2, 3, 7)])
module("Conv1d", 4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=False, inputs=[draw(2, 4, 9)])
module("Conv1d", 3, 4, 3, padding="same", inputs=[draw(3, 7)], note="unbatched")
module("Conv2d", 3, 4, 3, padding=1, inputs=[draw(2, 3, 5, 6)])
module("Conv2d", 2, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, inputs=[draw(2, 2, 5, 6)])
for mode in ("reflect", "replicate", "circular"):
    module("Conv1d", 2, 3, 3, padding=2, padding_mode=mode, inputs=[draw(2, 2, 6)], note=mode)
    module("Conv2d", 2, 3, 3, padding=(1, 2), padding_mode=mode, inputs=[draw(2, 2, 5, 4)], note=mode)
module("Conv2d", 2, 3, 4, padding="same", padding_mode="reflect", inputs=[draw(1, 2, 6, 6)], note="same, reflect")
module("Conv3d", 2, 3, 2, padding=1, inputs=[draw(1, 2, 3, 4, 3)])
module("ConvTranspose1d", 3, 4, 3, stride=2, padding=1, output_padding=1, inputs=[draw(2, 3, 5)])
module("ConvTranspose1d", 4, 2, 3, groups=2, dilation=2, bias=False, inputs=[draw(2, 4, 5)])
module("ConvTranspose2d", 3, 4, 4, stride=2, padding=1, inputs=[draw(2, 3, 3, 4)])
module(
    "ConvTranspose2d", 2, 3, 3, stride=2, padding=1, inputs=[draw(2, 2, 3, 4)], note="output size",
    call=lambda layer, x: layer(x, output_size=(6, 8)),
)  # fmt: skip
module("ConvTranspose3d", 2, 3, 2, stride=(1, 2, 1), inputs=[draw(1, 2, 2, 3, 2)])
