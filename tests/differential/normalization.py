"""Rows of normalisation."""

from __future__ import annotations

from typing import Any

from tests.differential.rows import Draw, draw, module, row


def variances(*shape: int) -> Draw:
    """Positive numbers."""
    return draw(*shape, low=0.3, high=2.0)


def trained(t: Any, name: str, x: Any, mean: Any, var: Any, *affine: Any, **options: Any) -> Any:
    """The result and the running averages after it."""
    mean, var = mean.clone(), var.clone()
    return getattr(t.nn.functional, name)(x, mean, var, *affine, **options), mean, var


for shape in ((5, 3), (4, 3, 2), (2, 3, 4, 3), (2, 3, 2, 2, 2)):
    row(
        "nn.functional.batch_norm", draw(*shape), draw(3), variances(3), draw(3), draw(3), constant=(1, 2),
        call=lambda t, x, *rest: trained(t, "batch_norm", x, *rest, training=True, momentum=0.3), note=f"train {shape}",
    )  # fmt: skip
    row("nn.functional.batch_norm", draw(*shape), draw(3), variances(3), draw(3), draw(3), constant=(1, 2))
row("nn.functional.batch_norm", draw(4, 3, 5), None, None, training=True, note="no averages, no affine part")
# PyTorch's second derivative fails where there is a bias and no weight.
row("nn.functional.batch_norm", draw(4, 3, 5), None, None, None, draw(3), True, 0.1, 1e-2, note="bias alone",
    smooth=False)  # fmt: skip
row("nn.functional.batch_norm", draw(4, 3, 5), draw(3), variances(3), constant=(1, 2), note="no affine part")
row("nn.functional.batch_norm", draw(4, 3, 65, make=lambda x: x + 50), None, None, training=True, eps=1e-3, loose=5,
    note="a large mean, of which float32 keeps five digits")  # fmt: skip
row("nn.functional.instance_norm", draw(2, 3, 4, 3))
row("nn.functional.instance_norm", draw(2, 3, 5), None, None, draw(3), draw(3), eps=0.1, note="affine")
row(
    "nn.functional.instance_norm", draw(2, 3, 5), draw(3), variances(3), draw(3), draw(3), constant=(1, 2),
    call=lambda t, x, *rest: trained(t, "instance_norm", x, *rest, momentum=0.3), note="averages",
)  # fmt: skip
row("nn.functional.instance_norm", draw(2, 3, 2, 3), draw(3), variances(3), draw(3), draw(3), False,
    constant=(1, 2), note="by averages")  # fmt: skip
row("nn.functional.group_norm", draw(2, 4, 3), 2)
row("nn.functional.group_norm", draw(3, 6, 2, 3), 3, draw(6), draw(6), note="affine")
row("nn.functional.group_norm", draw(3, 4), 2, draw(4), None, 0.1, note="vectors")
row("nn.functional.group_norm", draw(2, 4, 9, 9), 1, draw(4), draw(4), note="one group")
row("nn.functional.group_norm", draw(0, 4, 3), 2, draw(4), draw(4), note="no batch")
row("nn.functional.layer_norm", draw(3, 4), (4,), draw(4), draw(4))
row("nn.functional.layer_norm", draw(2, 3, 4), (3, 4), draw(3, 4), eps=0.1, note="two dimensions")
row("nn.functional.layer_norm", draw(0, 4), (4,), note="empty")
row("nn.functional.rms_norm", draw(3, 4), (4,))
row("nn.functional.rms_norm", draw(2, 3, 4), (3, 4), draw(3, 4), 0.1, note="two dimensions")
row("nn.functional.rms_norm", draw(0, 4), (4,), draw(4), note="empty")
row("nn.functional.local_response_norm", draw(2, 5, 3), 2)
row("nn.functional.local_response_norm", draw(2, 5, 3, 2), 3, 0.5, 0.6, 2.0, note="images")
row("nn.functional.local_response_norm", draw(1, 4, 2, 2, 2), 4, alpha=1.0, note="volumes")

module("BatchNorm1d", 3, inputs=[draw(5, 3)])
module("SyncBatchNorm", 3, inputs=[draw(5, 3, 2)], note="in evaluation", call=lambda layer, x: layer.eval()(x))
module("BatchNorm1d", 3, momentum=None, inputs=[draw(4, 3, 2)], note="the mean over all batches",
       call=lambda layer, x: layer(x * 2) + layer(x))  # fmt: skip
module("BatchNorm1d", 3, bias=False, inputs=[draw(4, 3, 2)], note="no bias")
module("BatchNorm2d", 3, inputs=[draw(2, 3, 4, 3)])
module("BatchNorm2d", 3, affine=False, eps=0.1, momentum=0.3, inputs=[draw(2, 3, 4, 3)], note="no affine part")
module("BatchNorm2d", 3, track_running_stats=False, inputs=[draw(2, 3, 4, 3)], note="no averages")
module("BatchNorm3d", 2, inputs=[draw(2, 2, 2, 3, 2)])
module("LayerNorm", 4, inputs=[draw(3, 4)])
module("LayerNorm", (3, 4), bias=False, inputs=[draw(2, 3, 4)], note="no bias")
module("GroupNorm", 2, 4, inputs=[draw(2, 4, 3, 2)])
module("GroupNorm", 2, 4, affine=False, inputs=[draw(2, 4, 3)], note="no affine part")
module("InstanceNorm1d", 3, inputs=[draw(2, 3, 5)])
module("InstanceNorm1d", 3, affine=True, inputs=[draw(3, 5)], note="unbatched")
module("InstanceNorm2d", 3, affine=True, track_running_stats=True, inputs=[draw(2, 3, 4, 3)], note="averages")
module("InstanceNorm3d", 2, inputs=[draw(2, 2, 2, 3, 2)])
module("RMSNorm", 4, inputs=[draw(3, 4)])
module("RMSNorm", (3, 4), eps=0.1, elementwise_affine=False, inputs=[draw(2, 3, 4)], note="no affine part")
module("LocalResponseNorm", 2, inputs=[draw(2, 5, 3, 2)])
