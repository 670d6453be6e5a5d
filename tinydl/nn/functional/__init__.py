"""Layers and losses as functions: PyTorch's ``torch.nn.functional``.

Inputs and parameters of one call have one floating dtype; a mixture raises. Functions check shapes once, here; the
operations underneath (:mod:`tinydl.ops`) do the work.
"""

from tinydl.nn.functional.activation import log_softmax, logsigmoid, relu, sigmoid, softmax, softplus, tanh
from tinydl.nn.functional.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from tinydl.nn.functional.dropout import dropout
from tinydl.nn.functional.loss import (
    REDUCTIONS,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    nll_loss,
)
from tinydl.nn.functional.normalization import layer_norm
from tinydl.nn.functional.sparse import embedding, one_hot
from tinydl.ops.products import linear

__all__ = [
    "REDUCTIONS",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "embedding",
    "layer_norm",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]
