"""Recurrent layers: ``RNN``, ``LSTM`` and ``GRU``, stacked and bidirectional, over whole sequences.

Each layer and direction is one operation of :mod:`tinydl.ops.rnn`, where the equations stand. What they have that
PyTorch's lack is ``lengths=``: sequences of different length in one padded batch, without packing.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import numpy as np

from tinydl.nn import functional as F
from tinydl.nn import init
from tinydl.nn.module import Module, new_parameter
from tinydl.ops import rnn as _ops
from tinydl.ops.indexing import take_slice
from tinydl.ops.shaping import cat, stack, transpose, unsqueeze
from tinydl.tensor import Tensor


class RNNBase(Module):
    """What the three share: parameters, shapes, stacking.

    ``L`` layers, ``D`` directions (2 when ``bidirectional``), ``H`` hidden units, ``I`` inputs; layer k > 0 has D H
    inputs. Parameters of layer k, PyTorch's names and shapes, with G = 1 (RNN), 4 (LSTM) or 3 (GRU) gates::

        weight_ih_l{k} [G H, I]    weight_hh_l{k} [G H, H]    bias_ih_l{k} [G H]    bias_hh_l{k} [G H]

    and the same with ``_reverse`` for the second direction; all drawn from U(-1/sqrt(H), 1/sqrt(H)).
    """

    _gates: ClassVar[int]
    _states: ClassVar[int] = 1  # tensors in the state: h, or h and c

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for what, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{what} should be of type int, got: {type(value).__name__}")
            if value <= 0 and what != "input_size":
                raise ValueError(f"{what} must be greater than zero")
        if not 0 <= dropout <= 1:
            raise ValueError(
                f"{name}: dropout should be a number in range [0, 1] representing the probability of an element being "
                f"zeroed, but got {dropout}"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=2,
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self._suffixes = [
            f"_l{layer}{direction}"
            for layer in range(num_layers)
            for direction in (("", "_reverse") if bidirectional else ("",))
        ]
        directions = 2 if bidirectional else 1
        rows = self._gates * hidden_size
        for number, suffix in enumerate(self._suffixes):
            columns = input_size if number < directions else directions * hidden_size
            self.register_parameter("weight_ih" + suffix, new_parameter((rows, columns), device, dtype))
            self.register_parameter("weight_hh" + suffix, new_parameter((rows, hidden_size), device, dtype))
            for part in ("bias_ih", "bias_hh") if bias else ():
                self.register_parameter(part + suffix, new_parameter((rows,), device, dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: there is no layout to restore. Here for PyTorch's sake."""

    def _layer(self, input: Tensor, state: tuple[Tensor, ...], *parameters: Any, **how: Any) -> tuple[Tensor, ...]:
        """The fused operation of one layer and direction: (output, *last state)."""
        raise NotImplementedError

    def _run(self, input: Tensor, states: tuple[Tensor, ...] | None, lengths: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All layers: the output of the last, in the input's layout, and the last states [L D, (B,) H]."""
        if input.ndim not in (2, 3):
            raise RuntimeError(
                f"{type(self).__name__}: expected input to be 2-D (unbatched) or 3-D (batched), but got shape "
                f"{tuple(input.shape)}"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}: the "
                f"input has shape {tuple(input.shape)}"
            )
        batched = input.ndim == 3
        if not batched:
            input = unsqueeze(input, 1)
        elif self.batch_first:
            input = transpose(input, 0, 1)
        steps, batch = input.shape[:2]
        if steps == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        weight = self.__dict__["weight_hh_l0"]
        if input.data.dtype != weight.data.dtype:
            raise RuntimeError(
                f"{type(self).__name__}: the input is {input.dtype} and the weights are {weight.dtype}: convert one "
                "with .to()"
            )
        if states is None:
            zero = Tensor(np.zeros((batch, self.hidden_size), input.dtype))
            per_cell = [(zero,) * self._states for _ in self._suffixes]
        else:
            states = tuple(self._checked_state(state, number, batch, batched) for number, state in enumerate(states))
            per_cell = [
                tuple(take_slice(state, index=(cell,)) for state in states) for cell in range(len(self._suffixes))
            ]
        steps_of = _checked_lengths(lengths, batch, steps, batched)

        directions = 2 if self.bidirectional else 1
        last: list[tuple[Tensor, ...]] = []
        fields = self.__dict__
        for layer in range(self.num_layers):
            outputs: list[Tensor] = []
            for direction in range(directions):
                cell = layer * directions + direction
                suffix = self._suffixes[cell]
                output, *final = self._layer(
                    input,
                    per_cell[cell],
                    fields["weight_ih" + suffix],
                    fields["weight_hh" + suffix],
                    fields["bias_ih" + suffix] if self.bias else None,
                    fields["bias_hh" + suffix] if self.bias else None,
                    lengths=steps_of,
                    reverse=direction == 1,
                )
                outputs.append(output)
                last.append(tuple(final))
            input = outputs[0] if directions == 1 else cat(outputs, 2)
            if self.dropout and layer < self.num_layers - 1:
                input = F.dropout(input, self.dropout, self.training)

        if len(last) == 1:
            finals = tuple(unsqueeze(state, 0) for state in last[0])
        else:
            finals = tuple(stack(states) for states in zip(*last, strict=True))
        if not batched:
            return take_slice(input, index=(slice(None), 0)), tuple(
                take_slice(state, index=(slice(None), 0)) for state in finals
            )
        return (transpose(input, 0, 1) if self.batch_first else input), finals

    def _checked_state(self, state: Tensor, number: int, batch: int, batched: bool) -> Tensor:
        """The state as [L D, B, H], after a look at its shape."""
        wanted = (len(self._suffixes), batch, self.hidden_size) if batched else (len(self._suffixes), self.hidden_size)
        if state.shape != wanted:
            what = "hidden" if self._states == 1 else ("hidden[0]", "hidden[1]")[number]
            raise RuntimeError(f"Expected {what} size {wanted}, got {tuple(state.shape)}")
        return state if batched else unsqueeze(state, 1)

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in (("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0)):
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}={value}")
        if self.bidirectional:
            parts.append("bidirectional=True")
        return ", ".join(parts)


class RNN(RNNBase):
    """Elman's net: h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f = tanh or relu (``nonlinearity``).

    ``forward(input, hx=None, lengths=None) -> (output, h_n)``; shapes as in :class:`LSTM`.
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.nonlinearity = nonlinearity

    def _layer(self, input: Tensor, state: tuple[Tensor, ...], *parameters: Any, **how: Any) -> tuple[Tensor, ...]:
        op = _ops.rnn_tanh if self.nonlinearity == "tanh" else _ops.rnn_relu
        return op(input, *state, *parameters, **how)  # type: ignore[no-any-return]

    def forward(self, input: Tensor, hx: Tensor | None = None, lengths: Any = None) -> tuple[Tensor, Tensor]:
        """The outputs of the last layer and the last state of every layer."""
        output, (h_n,) = self._run(input, None if hx is None else (hx,), lengths)
        return output, h_n


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); equations in :func:`tinydl.ops.rnn.lstm_definition`.

    ``forward(input, hx=None, lengths=None) -> (output, (h_n, c_n))``

    - ``input`` [T, B, I], with ``batch_first`` [B, T, I], or unbatched [T, I];
    - ``hx``: (h_0, c_0), each [L D, B, H] (unbatched [L D, H]); zeros by default;
    - ``lengths`` int [B]: the sequences' lengths, 0 to T; beyond them outputs are zero and states are kept, and the
      reverse direction starts at each sequence's own end (what PyTorch does with packed sequences);
    - ``output`` [T, B, D H] in the input's layout; ``h_n``, ``c_n`` as ``hx``.

    ``dropout`` acts on the outputs of every layer but the last, in training only. Raises RuntimeError, naming the
    shapes, for an input or state that does not fit.
    """

    _gates = 4
    _states = 2

    def _layer(self, input: Tensor, state: tuple[Tensor, ...], *parameters: Any, **how: Any) -> tuple[Tensor, ...]:
        return _ops.lstm(input, *state, *parameters, **how)  # type: ignore[no-any-return]

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None, lengths: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The outputs of the last layer and the last states of every layer."""
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise RuntimeError("LSTM: the initial state must be a pair (h_0, c_0)")
        output, (h_n, c_n) = self._run(input, None if hx is None else tuple(hx), lengths)
        return output, (h_n, c_n)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014); equations in :func:`tinydl.ops.rnn.gru_definition`.

    ``forward(input, hx=None, lengths=None) -> (output, h_n)``; shapes as in :class:`LSTM`.
    """

    _gates = 3

    def _layer(self, input: Tensor, state: tuple[Tensor, ...], *parameters: Any, **how: Any) -> tuple[Tensor, ...]:
        return _ops.gru(input, *state, *parameters, **how)  # type: ignore[no-any-return]

    def forward(self, input: Tensor, hx: Tensor | None = None, lengths: Any = None) -> tuple[Tensor, Tensor]:
        """The outputs of the last layer and the last state of every layer."""
        output, (h_n,) = self._run(input, None if hx is None else (hx,), lengths)
        return output, h_n


def _checked_lengths(lengths: Any, batch: int, steps: int, batched: bool) -> np.ndarray[Any, Any] | None:
    """``lengths`` as an int64 array [B], or None where every sequence has all steps.

    A copy: the backward pass reads it, and the caller may refill his own for the next batch before that.
    """
    if lengths is None:
        return None
    array = np.asarray(lengths.data if isinstance(lengths, Tensor) else lengths)
    if array.dtype.kind not in "iu" or array.shape != (batch,) or not batched:
        raise ValueError(
            f"lengths should be one integer for each of the {batch} sequences of a batch, but got shape {array.shape} "
            f"and dtype {array.dtype}"
        )
    if array.size and (array.min() < 0 or array.max() > steps):
        raise ValueError(
            f"lengths should be between 0 and the {steps} steps of the input, but go from {array.min()} to "
            f"{array.max()}"
        )
    return None if (array == steps).all() else array.astype(np.int64)
