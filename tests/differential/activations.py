"""Rows of activations, as functions and as layers. Random ones stand in ``tests/nn/test_random_torch.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.differential.rows import draw, ints, module, row


def _at(*points: float) -> Any:
    """The points themselves, kinks and signed infinities among them."""
    return np.array(points)


def _activation(name: str, layer: str, *points: float, smooth: bool = True, loose: float = 1.0, **options: Any) -> None:
    """A function and its layer, off its kinks to second order and at its kinks to first."""
    f = f"nn.functional.{name}"
    for shape, note in (((3, 4), ""), ((), "0-d"), ((0, 3), "empty")):
        x = draw(*shape, low=-4.0, high=4.0, away=tuple(points))
        row(f, x, note=note, smooth=smooth, loose=loose, **options)
    module(layer, inputs=[draw(3, 4, low=-4.0, high=4.0, away=points)], smooth=smooth, loose=loose, **options)
    if points:
        row(f, _at(*points), note="at the kinks", smooth=False, loose=loose, **options)
        if name != "hardsigmoid":  # whose slope at NaN is 0 in PyTorch
            row(f, _at(np.nan, 1.0), note="NaN", smooth=False, **options)


_activation("relu", "ReLU", 0.0)
_activation("relu6", "ReLU6", 0.0, 6.0)
_activation("leaky_relu", "LeakyReLU", 0.0)
_activation("leaky_relu", "LeakyReLU", 0.0, negative_slope=0.3)
_activation("elu", "ELU", 0.0)
_activation("elu", "ELU", 0.0, alpha=2.0)
_activation("selu", "SELU", 0.0)
_activation("celu", "CELU", 0.0)
_activation("celu", "CELU", 0.0, alpha=0.5)
_activation("gelu", "GELU")
_activation("gelu", "GELU", approximate="tanh")
_activation("silu", "SiLU")
_activation("mish", "Mish")
_activation("softplus", "Softplus")
_activation("softplus", "Softplus", beta=2.0, threshold=3.0)
_activation("softsign", "Softsign", 0.0)
_activation("sigmoid", "Sigmoid")
_activation("logsigmoid", "LogSigmoid")
_activation("tanh", "Tanh")
_activation("tanhshrink", "Tanhshrink")
_activation("hardtanh", "Hardtanh", -1.0, 1.0)
_activation("hardtanh", "Hardtanh", -2.0, 0.5, min_val=-2.0, max_val=0.5)
# PyTorch has no second derivative of hardsigmoid, and its first multiplies by a sixth rounded to float32.
_activation("hardsigmoid", "Hardsigmoid", -3.0, 3.0, smooth=False, loose=20)
_activation("hardswish", "Hardswish", -3.0, 3.0)
_activation("hardshrink", "Hardshrink", -0.5, 0.5)
_activation("hardshrink", "Hardshrink", -1.0, 1.0, lambd=1.0)
_activation("softshrink", "Softshrink", -0.5, 0.5)
_activation("softshrink", "Softshrink", -1.0, 1.0, lambd=1.0)
_activation("threshold", "Threshold", 0.25, threshold=0.25, value=-2.0)

row("nn.functional.rrelu", draw(3, 4, away=(0.0,)))
row("nn.functional.rrelu", draw(3, 4, away=(0.0,)), 0.2, 0.4, note="bounds")
row("nn.functional.rrelu", _at(0.0, -1.0, 1.0), note="at the kink", smooth=False)
module("RReLU", inputs=[draw(3, 4, away=(0.0,))], modes=("eval",))
module("RReLU", 0.3, 0.3, inputs=[draw(3, 4, away=(0.0,))], note="one slope")
row("nn.functional.softplus", _at(-800.0, -30.0, 19.0, 20.0, 21.0, 800.0), note="both ends", smooth=False)
row("nn.functional.logsigmoid", _at(-800.0, -30.0, 30.0, 800.0), note="both ends")
for name in ("gelu", "silu", "mish", "elu", "selu", "hardswish", "tanhshrink", "softsign"):
    row(f"nn.functional.{name}", _at(-90.0, -30.0, -9.0, 9.0, 30.0), note="far", smooth=False)
for name in ("softsign", "tanhshrink", "hardtanh", "relu6", "relu", "tanh", "sigmoid"):
    row(f"nn.functional.{name}", ints(3, 4, low=-9, high=9), note="integers")

row("nn.functional.prelu", draw(2, 3, 4, away=(0.0,)), draw(1), note="one slope")
row("nn.functional.prelu", draw(2, 3, 4, away=(0.0,)), draw(3), note="a slope a channel")
row("nn.functional.prelu", draw(2, 3, away=(0.0,)), draw(3), note="matrix")
row("nn.functional.prelu", draw(4, away=(0.0,)), draw(1), note="vector")
row("nn.functional.prelu", draw(away=(0.0,)), draw(1), note="0-d")
row("nn.functional.prelu", draw(2, 3, away=(0.0,)), draw(), note="0-d slope")
row("nn.functional.prelu", _at(0.0, -1.0, 1.0), draw(1), note="at the kink", smooth=False)
module("PReLU", inputs=[draw(2, 3, 4, away=(0.0,))])
module("PReLU", 3, 0.1, inputs=[draw(2, 3, 4, away=(0.0,))])

for dim in (0, 1, -1):
    row("nn.functional.glu", draw(4, 2, 6), dim=dim)
row("nn.functional.glu", draw(6))
row("nn.functional.glu", draw(2, 0), note="empty")
module("GLU", inputs=[draw(3, 4)])
module("GLU", 0, inputs=[draw(4, 3)])

for name, layer in (("softmax", "Softmax"), ("log_softmax", "LogSoftmax"), ("softmin", "Softmin")):
    for dim in (0, 1, -1):
        row(f"nn.functional.{name}", draw(3, 4, 2), dim=dim)
    row(f"nn.functional.{name}", draw(), dim=0, note="0-d")
    row(f"nn.functional.{name}", draw(0, 3), dim=1, note="empty")
    row(f"nn.functional.{name}", _at(1e4, -1e4, 0.0), dim=0, note="far apart")
    row(
        f"nn.functional.{name}", draw(3, 4), note="dtype",
        call=lambda t, x, name=name: getattr(t.nn.functional, name)(x, dim=1, dtype=t.float64),
    )  # fmt: skip
    module(layer, 1, inputs=[draw(3, 4)])
    module(layer, dim=-1, inputs=[draw(2, 3, 4)])
row(
    "nn.functional.softmax", ints(3, 4), note="integers",
    call=lambda t, x: t.nn.functional.softmax(x, dim=1, dtype=t.float32),
)  # fmt: skip
module("Softmax2d", inputs=[draw(2, 3, 2, 2)])
module("Softmax2d", inputs=[draw(3, 2, 2)], note="unbatched")


def _in_place(name: str, loose: float = 1.0, **options: Any) -> None:
    """``inplace=True`` on what an operation made, recorded; and the tensor itself is what is returned."""

    def call(t: Any, x: Any) -> Any:
        y = x * 2
        z = getattr(t.nn.functional, name)(y, **options, inplace=True)
        assert z is y
        return y * 3

    row(f"nn.functional.{name}", draw(3, 4, away=(0.0,)), call=call, note="in place", smooth=False, loose=loose)


for name in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardtanh", "hardswish"):
    _in_place(name)
for name in ("relu_", "leaky_relu_", "elu_", "selu_", "celu_", "hardtanh_", "rrelu_"):
    row(f"nn.functional.{name}", draw(3, 4, away=(0.0,)), smooth=False,
        call=lambda t, x, name=name: [getattr(t.nn.functional, name)(y := x * 2), y * 3])  # fmt: skip
row("nn.functional.threshold_", draw(3, 4, away=(0.25,)), smooth=False,
    call=lambda t, x: [t.nn.functional.threshold_(y := x * 2, 0.5, 1.0), y * 3])  # fmt: skip
_in_place("hardsigmoid", loose=20)
_in_place("rrelu")
_in_place("threshold", threshold=0.5, value=1.0)
for layer in (
    "ReLU",
    "ReLU6",
    "ELU",
    "SELU",
    "CELU",
    "SiLU",
    "Mish",
    "Hardtanh",
    "Hardsigmoid",
    "Hardswish",
    "LeakyReLU",
):
    module(
        layer, inplace=True, inputs=[draw(3, 4, away=(0.0,))], call=lambda m, x: m(x * 2), smooth=False,
        loose=20 if layer == "Hardsigmoid" else 1, note="in place",
    )  # fmt: skip
module("RReLU", inplace=True, inputs=[draw(3, 4)], call=lambda m, x: m(x * 2), modes=("eval",), smooth=False)
module("Threshold", 0.5, 1.0, inplace=True, inputs=[draw(3, 4, away=(0.25,))], call=lambda m, x: m(x * 2), smooth=False)
