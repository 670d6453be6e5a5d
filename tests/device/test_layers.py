"""Layers and losses on another device: results, gradients and buffers are those of the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.devices import on_host

rng = np.random.default_rng(5)


def real(*shape: int) -> Any:
    return rng.standard_normal(shape)


def whole(high: int, *shape: int) -> Any:
    return rng.integers(0, high, shape)


def chance(*shape: int) -> Any:
    return rng.uniform(0.1, 0.9, shape)


#: name -> how the layer is made, and its inputs
LAYERS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "Linear": (lambda: nn.Linear(4, 3), (real(5, 4),)),
    "Bilinear": (lambda: nn.Bilinear(3, 4, 2), (real(5, 3), real(5, 4))),
    "Conv1d": (lambda: nn.Conv1d(2, 4, 3, padding=1, groups=2), (real(2, 2, 7),)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 3, stride=2, dilation=2, padding=2), (real(2, 2, 9, 8),)),
    "Conv2d reflect": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (real(2, 2, 5, 5),)),
    "Conv3d": (lambda: nn.Conv3d(1, 2, 2), (real(1, 1, 3, 3, 3),)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1), (real(2, 2, 4, 5),)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (real(6, 3),)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (real(2, 3, 4, 4),)),
    "BatchNorm2d eval": (lambda: nn.BatchNorm2d(3).eval(), (real(2, 3, 4, 4),)),
    "LayerNorm": (lambda: nn.LayerNorm(5), (real(3, 5),)),
    "RMSNorm": (lambda: nn.RMSNorm(5), (real(3, 5),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (real(2, 4, 5),)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(3), (real(2, 3, 5),)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), (real(2, 5, 4),)),
    "Embedding": (lambda: nn.Embedding(7, 3, padding_idx=2), (whole(7, 4, 5),)),
    "Embedding max_norm": (lambda: nn.Embedding(7, 3, max_norm=0.5), (whole(7, 4, 5),)),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(7, 3, mode="mean"), (whole(7, 4, 5),)),
    "EmbeddingBag max": (lambda: nn.EmbeddingBag(7, 3, mode="max"), (whole(7, 4, 5),)),
    "RNN": (lambda: nn.RNN(3, 4, num_layers=2, bidirectional=True), (real(5, 2, 3),)),
    "RNN relu": (lambda: nn.RNN(3, 4, nonlinearity="relu"), (real(5, 2, 3),)),
    "LSTM": (lambda: nn.LSTM(3, 4, num_layers=2, batch_first=True), (real(2, 5, 3),)),
    "LSTM projected": (lambda: nn.LSTM(3, 4, proj_size=2), (real(5, 2, 3),)),
    "GRU": (lambda: nn.GRU(3, 4, bidirectional=True), (real(5, 2, 3),)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), (real(2, 3),)),
    "GRUCell": (lambda: nn.GRUCell(3, 4), (real(2, 3),)),
    "RNNCell": (lambda: nn.RNNCell(3, 4), (real(2, 3),)),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), (real(5, 2, 4),) * 3),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), (real(5, 2, 4),)),
    "TransformerDecoderLayer": (
        lambda: nn.TransformerDecoderLayer(4, 2, 8, dropout=0.0), (real(5, 2, 4), real(3, 2, 4))
    ),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2), (real(2, 3, 8),)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2, padding=1), (real(2, 3, 7, 6),)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2, ceil_mode=True), (real(2, 3, 7, 6),)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, 2)), (real(2, 3, 7, 6),)),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), (real(2, 3, 7),)),
    "LPPool1d": (lambda: nn.LPPool1d(2, 2), (real(2, 3, 7),)),
    "ReflectionPad1d": (lambda: nn.ReflectionPad1d((1, 2)), (real(2, 3, 7),)),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d(1), (real(2, 3, 4, 5),)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 0, 2, 1)), (real(2, 3, 4, 5),)),
    "Upsample nearest": (lambda: nn.Upsample(scale_factor=2), (real(2, 3, 4, 5),)),
    "Upsample bilinear": (lambda: nn.Upsample(size=(7, 6), mode="bilinear"), (real(2, 3, 4, 5),)),
    "Upsample bicubic": (lambda: nn.Upsample(size=(7, 6), mode="bicubic"), (real(2, 3, 4, 5),)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (real(1, 8, 3, 3),)),
    "Unfold": (lambda: nn.Unfold(2), (real(2, 3, 4, 5),)),
    "Fold": (lambda: nn.Fold((4, 5), 2), (real(2, 12, 12),)),
    "Dropout": (lambda: nn.Dropout(0.4), (real(20, 5),)),
    "AlphaDropout": (lambda: nn.AlphaDropout(0.4), (real(20, 5),)),
    "PReLU": (lambda: nn.PReLU(3), (real(2, 3, 4),)),
    "RReLU": (lambda: nn.RReLU(), (real(4, 5),)),
    **{name: (getattr(nn, name), (real(4, 5),)) for name in (
        "ReLU", "Sigmoid", "Tanh", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Softplus", "Softsign", "Softshrink",
        "Hardshrink", "Hardtanh", "Hardsigmoid", "Hardswish", "LeakyReLU", "LogSigmoid", "ReLU6", "Tanhshrink",
    )},
    "Softmax": (lambda: nn.Softmax(1), (real(4, 5),)),
    "LogSoftmax": (lambda: nn.LogSoftmax(0), (real(4, 5),)),
    "GLU": (lambda: nn.GLU(), (real(4, 6),)),
    "Softmax2d": (lambda: nn.Softmax2d(), (real(2, 3, 4, 4),)),
    "CrossEntropyLoss": (lambda: nn.CrossEntropyLoss(label_smoothing=0.1), (real(4, 5), whole(5, 4))),
    "CrossEntropyLoss of probabilities": (lambda: nn.CrossEntropyLoss(), (real(4, 5), chance(4, 5))),
    "NLLLoss": (lambda: nn.NLLLoss(ignore_index=1), (real(4, 5), whole(5, 4))),
    "MSELoss": (lambda: nn.MSELoss(), (real(4, 5), real(4, 5))),
    "L1Loss": (lambda: nn.L1Loss(reduction="sum"), (real(4, 5), real(4, 5))),
    "SmoothL1Loss": (lambda: nn.SmoothL1Loss(), (real(4, 5), real(4, 5))),
    "HuberLoss": (lambda: nn.HuberLoss(), (real(4, 5), real(4, 5))),
    "BCELoss": (lambda: nn.BCELoss(), (chance(4, 5), chance(4, 5))),
    "BCEWithLogitsLoss": (lambda: nn.BCEWithLogitsLoss(), (real(4, 5), chance(4, 5))),
    "KLDivLoss": (lambda: nn.KLDivLoss(reduction="batchmean"), (real(4, 5), chance(4, 5))),
    "PoissonNLLLoss": (lambda: nn.PoissonNLLLoss(), (real(4, 5), chance(4, 5))),
    "GaussianNLLLoss": (lambda: nn.GaussianNLLLoss(), (real(4, 5), real(4, 5), chance(4, 5))),
    "HingeEmbeddingLoss": (lambda: nn.HingeEmbeddingLoss(), (real(4, 5), 2.0 * whole(2, 4, 5) - 1)),
    "SoftMarginLoss": (lambda: nn.SoftMarginLoss(), (real(4, 5), 2.0 * whole(2, 4, 5) - 1)),
    "MultiMarginLoss": (lambda: nn.MultiMarginLoss(), (real(4, 5), whole(5, 4))),
    "MarginRankingLoss": (lambda: nn.MarginRankingLoss(), (real(4), real(4), 2.0 * whole(2, 4) - 1)),
    "TripletMarginLoss": (lambda: nn.TripletMarginLoss(), (real(4, 5), real(4, 5), real(4, 5))),
    "CosineEmbeddingLoss": (lambda: nn.CosineEmbeddingLoss(), (real(4, 5), real(4, 5), 2.0 * whole(2, 4) - 1)),
    "CTCLoss": (lambda: nn.CTCLoss(), (real(6, 2, 4) - 2, 1 + whole(3, 2, 2), np.array([6, 5]), np.array([2, 1]))),
}  # fmt: skip


def flat(out: Any) -> list[Any]:
    if isinstance(out, (tuple, list)):
        return [x for part in out for x in flat(part)]
    return [] if out is None else [out]


def outcome(module: Any, inputs: tuple[Any, ...], device: str) -> list[Any]:
    """Results, gradients of inputs and parameters, and buffers, on the host."""
    module = copy.deepcopy(module).double().to(device)
    tinydl.manual_seed(3)
    xs = [tinydl.tensor(x, device=device) for x in inputs]
    for k, x in enumerate(xs):
        if x.is_floating_point() and not (isinstance(module, tuple(LOSSES)) and k == len(xs) - 1):
            x.requires_grad_()
    outs = [o for o in flat(module(*xs)) if o.is_floating_point()]
    sum((o * o).sum() for o in outs if o.requires_grad).backward()
    found = [*outs, *(x.grad for x in xs), *(p.grad for p in module.parameters()), *module.buffers()]
    assert all(x is None or x.device.type == device for x in found)
    return [None if x is None else on_host(x.array) for x in found]


LOSSES = [value for name, value in vars(nn).items() if name.endswith("Loss") and isinstance(value, type)]


@pytest.mark.parametrize("name", list(LAYERS))
def test_a_layer_gives_what_the_cpu_gives(name: str, device: str) -> None:
    make, inputs = LAYERS[name]
    tinydl.manual_seed(0)
    module = make()
    for a, b in zip(outcome(module, inputs, device), outcome(module, inputs, "cpu"), strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
