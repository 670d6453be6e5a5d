"""Layers, losses and their building blocks, with PyTorch's names: ``tinydl.nn``."""

from tinydl.nn import functional, init, utils
from tinydl.nn.activation import LogSigmoid, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh
from tinydl.nn.attention import MultiheadAttention
from tinydl.nn.cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from tinydl.nn.container import ModuleDict, ModuleList, Sequential
from tinydl.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinydl.nn.dropout import Dropout
from tinydl.nn.linear import Flatten, Identity, Linear
from tinydl.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, NLLLoss
from tinydl.nn.module import Module
from tinydl.nn.normalization import LayerNorm
from tinydl.nn.parameter import Parameter
from tinydl.nn.rnn import GRU, LSTM, RNN, RNNBase
from tinydl.nn.sparse import Embedding
from tinydl.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BCEWithLogitsLoss",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "Identity",
    "LSTMCell",
    "LayerNorm",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "functional",
    "init",
    "utils",
]
