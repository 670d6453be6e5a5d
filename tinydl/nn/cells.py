"""One step of a recurrent layer: ``RNNCell``, ``LSTMCell`` and ``GRUCell``.

A cell is the operation of its layer (:mod:`tinydl.ops.rnn`, where the equations stand) over a sequence of one step.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tinydl.nn import init
from tinydl.nn.module import Module, new_parameter
from tinydl.nn.parameter import Parameter
from tinydl.ops import rnn as _ops
from tinydl.ops.shaping import reshape_to
from tinydl.tensor import Tensor


class RNNCellBase(Module):
    """Parameters and checks of all cells: G = 1 (RNN), 4 (LSTM) or 3 (GRU) gates of H hidden units over I inputs.

    ``weight_ih`` [G H, I], ``weight_hh`` [G H, H], ``bias_ih`` and ``bias_hh`` [G H] (None with ``bias=False``), all
    drawn from U(-1/sqrt(H), 1/sqrt(H)).
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None
    _gates: ClassVar[int]

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self._gates * hidden_size
        self.weight_ih = new_parameter((rows, input_size), device, dtype)
        self.weight_hh = new_parameter((rows, hidden_size), device, dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, new_parameter((rows,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _op(self) -> Any:
        """The operation of the layer."""
        raise NotImplementedError

    def _step(self, input: Tensor, states: tuple[Tensor, ...] | None, count: int) -> list[Tensor]:
        """The ``count`` new states, [B, H] or [H] as the input is [B, I] or [I]."""
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(
                f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead: its shape is {tuple(input.shape)}"
            )
        batch, size = (1 if input.ndim == 1 else input.shape[0]), self.hidden_size
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}; its shape is "
                f"{tuple(input.shape)}"
            )
        if states is None:
            states = (Tensor._wrap(np.zeros_like(input.array, shape=(batch, size))),) * count
        for number, h in enumerate(states):
            if h.ndim not in (1, 2):
                what = "hidden" if count == 1 else f"hx[{number}]"
                raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {h.ndim}D instead")
            rows = h.shape[0] if h.ndim == 2 else 1
            if h.shape[-1] != size:
                raise RuntimeError(
                    f"hidden{number} has inconsistent hidden_size: got {h.shape[-1]}, expected {size}; its shape is "
                    f"{tuple(h.shape)}"
                )
            if rows != batch:
                raise RuntimeError(f"Input batch size {batch} doesn't match hidden{number} batch size {rows}")
        for x in (input, *states):
            if x.dtype != self.weight_hh.dtype:
                raise RuntimeError(
                    f"mat1 and mat2 must have the same dtype, but got {x.dtype} and {self.weight_hh.dtype}: convert "
                    "one with .to()"
                )
        _, *new = self._op()(
            reshape_to(input, shape=(1, batch, self.input_size)),
            *(reshape_to(h, shape=(batch, size)) for h in states),
            self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, lengths=None, reverse=False,
        )  # fmt: skip
        return [reshape_to(h, shape=(size,)) for h in new] if input.ndim == 1 else new

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias={self.bias}"


class RNNCell(RNNCellBase):
    """h' = f(W_ih x + b_ih + W_hh h + b_hh), f = tanh or relu: input [B, I] or [I], h [B, H] or [H] (zeros) -> h'."""

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def _op(self) -> Any:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}. Select from 'tanh' or 'relu'.")
        return _ops.rnn_tanh if self.nonlinearity == "tanh" else _ops.rnn_relu

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after the step."""
        return self._step(input, None if hx is None else (hx,), 1)[0]

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`: input [B, I] or [I], (h, c) each [B, H] or [H] (zeros) -> (h', c')."""

    _gates = 4

    def _op(self) -> Any:
        return _ops.lstm

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The states after the step."""
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise RuntimeError("LSTMCell: the state must be a pair (h, c)")
        h, c = self._step(input, None if hx is None else tuple(hx), 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`: input [B, I] or [I], h [B, H] or [H] (zeros) -> h'."""

    _gates = 3

    def _op(self) -> Any:
        return _ops.gru

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after the step."""
        return self._step(input, None if hx is None else (hx,), 1)[0]
