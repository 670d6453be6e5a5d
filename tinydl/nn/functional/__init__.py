"""Layers and losses as functions: PyTorch's ``torch.nn.functional``.

Inputs and parameters of one call have one floating dtype; a mixture raises. Functions check shapes once, here; the
operations underneath (:mod:`tinydl.ops`) do the work.
"""

from tinydl.nn.functional.activation import log_softmax, logsigmoid, relu, sigmoid, softmax, softplus, tanh
from tinydl.nn.functional.attention import multi_head_attention_forward, scaled_dot_product_attention
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
from tinydl.ops.norms import cosine_similarity, normalize, pairwise_distance
from tinydl.ops.padding import fold_image as fold
from tinydl.ops.padding import pad, pixel_shuffle, pixel_unshuffle
from tinydl.ops.padding import unfold_image as unfold
from tinydl.ops.products import bilinear, linear

__all__ = [
    "REDUCTIONS",
    "bilinear",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "embedding",
    "fold",
    "layer_norm",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mse_loss",
    "multi_head_attention_forward",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
    "unfold",
]
