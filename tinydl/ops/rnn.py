"""Recurrent nets over a whole sequence as fused operations: one layer and one direction each.

Every operation has two faces. Its *definition* is the textbook's, one step at a time, in ordinary operations: read it
beside the paper; tests hold the kernels against it, and second derivatives run through it. Its *kernels* do the whole
sequence at once, forward and backward.

Letters: ``T`` time, ``B`` batch, ``I`` input size, ``H`` hidden size. ``lengths`` int64 [B] or None: sequence b has
``lengths[b]`` steps; beyond them its output is zero and its state stays what it was. ``reverse`` runs from the end: a
sequence of length n starts at its own step n - 1. ``b_ih`` and ``b_hh`` may be None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import lookup
from tinydl.ops.elementwise import relu, sigmoid, tanh, where
from tinydl.ops.indexing import take_slice
from tinydl.ops.products import linear
from tinydl.ops.shaping import split, stack

State = tuple[Any, ...]


def _within(input: Any, lengths: Any) -> Any:
    """``input`` with zeros beyond the lengths: what stands there may be NaN, and NaN times no gradient is NaN."""
    if lengths is None:
        return input
    inside = np.arange(input.shape[0])[:, None] < lengths
    return where(inside[:, :, None], input, np.zeros((), input.dtype))


def _scan(step: Callable[..., State], projected: Any, state: State, lengths: Any, reverse: bool) -> tuple[Any, State]:
    """Run ``step(projected[t], *state)`` over time: all outputs [T, B, H], and the last state."""
    steps = projected.shape[0]
    outputs: list[Any] = [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        new = step(take_slice(projected, index=(t,)), *state)
        outputs[t] = new[0]
        if lengths is not None:
            inside = (t < lengths)[:, None]
            outputs[t] = where(inside, new[0], np.zeros((), new[0].dtype))
            new = tuple(where(inside, after, before) for after, before in zip(new, state))
        state = new
    return stack(outputs), state


# ---------------------------------------------------------------------------------------------------- simple recurrence


def _elman(activation: Callable[[Any], Any]) -> Callable[..., Any]:
    def definition(
        input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool
    ) -> Any:
        """h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman, Cognitive Science 14, 1990)."""

        def step(x: Any, h: Any) -> State:
            return (activation(x + linear(h, w_hh, b_hh)),)

        output, (h_n,) = _scan(step, linear(_within(input, lengths), w_ih, b_ih), (h0,), lengths, reverse)
        return output, h_n

    return definition


def _elman_gradients(op: str) -> Callable[..., Any]:
    def gradients(
        needs: tuple[bool, ...], g: Any, input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any,
        lengths: Any, reverse: Any, output: Any, saved: Any,
    ) -> Any:  # fmt: skip
        backward = lookup(op, "cpu", input.dtype)
        return backward(*g, input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse, output, *saved, needs)

    return gradients


@primitive(
    outputs=("output", "h_n", "saved"),
    aux=("saved",),
    composite=_elman(tanh),
    joint=_elman_gradients("rnn_tanh_backward"),
)
def rnn_tanh(input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool) -> Any:
    """Elman's net with tanh: input [T, B, I], h0 [B, H], w_ih [H, I], w_hh [H, H] -> output [T, B, H], h_n [B, H]."""
    forward = lookup("rnn_tanh_forward", "cpu", input.dtype)
    output, h_n, *saved = forward(input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, saved


@primitive(
    outputs=("output", "h_n", "saved"),
    aux=("saved",),
    smooth=False,
    composite=_elman(relu),
    joint=_elman_gradients("rnn_relu_backward"),
)
def rnn_relu(input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool) -> Any:
    """Elman's net with ReLU: shapes as :func:`rnn_tanh`."""
    forward = lookup("rnn_relu_forward", "cpu", input.dtype)
    output, h_n, *saved = forward(input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, saved


# --------------------------------------------------------------------------------------------------------------- LSTM


def lstm_definition(
    input: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool
) -> Any:
    """Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997; the forget gate: Gers,
    Schmidhuber and Cummins, Neural Computation 12, 2000)::

        i, f, g, o = split(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, 4)
        c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)
        h_t = sigmoid(o) tanh(c_t)
    """
    hidden = w_hh.shape[1]

    def step(x: Any, h: Any, c: Any) -> State:
        i, f, g, o = split(x + linear(h, w_hh, b_hh), hidden, 1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c

    output, (h_n, c_n) = _scan(step, linear(_within(input, lengths), w_ih, b_ih), (h0, c0), lengths, reverse)
    return output, h_n, c_n


def _lstm_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any,
    lengths: Any, reverse: Any, output: Any, saved: Any,
) -> Any:  # fmt: skip
    backward = lookup("lstm_backward", "cpu", input.dtype)
    return backward(*g, input, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths, reverse, output, *saved, needs)


@primitive(outputs=("output", "h_n", "c_n", "saved"), aux=("saved",), composite=lstm_definition, joint=_lstm_gradients)
def lstm(
    input: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool
) -> Any:
    """An LSTM layer: input [T, B, I], h0, c0 [B, H], w_ih [4H, I], w_hh [4H, H] -> output [T, B, H], h_n, c_n [B, H].

    The rows of the weights are the gates i, f, g, o, as in PyTorch.
    """
    forward = lookup("lstm_forward", "cpu", input.dtype)
    output, h_n, c_n, *saved = forward(input, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, c_n, saved


# ---------------------------------------------------------------------------------------------------------------- GRU


def gru_definition(
    input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool
) -> Any:
    """Gated recurrent unit (Cho et al., EMNLP 2014), with the reset gate behind the matrix as cuDNN and PyTorch have
    it::

    r = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
    z = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
    n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))
    h_t = (1 - z) n + z h_{t-1}
    """
    hidden = w_hh.shape[1]

    def step(x: Any, h: Any) -> State:
        x_r, x_z, x_n = split(x, hidden, 1)
        h_r, h_z, h_n = split(linear(h, w_hh, b_hh), hidden, 1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = tanh(x_n + r * h_n)
        return ((1 - z) * n + z * h,)

    output, (h_n,) = _scan(step, linear(_within(input, lengths), w_ih, b_ih), (h0,), lengths, reverse)
    return output, h_n


def _gru_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any,
    lengths: Any, reverse: Any, output: Any, saved: Any,
) -> Any:  # fmt: skip
    backward = lookup("gru_backward", "cpu", input.dtype)
    return backward(*g, input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse, output, *saved, needs)


@primitive(outputs=("output", "h_n", "saved"), aux=("saved",), composite=gru_definition, joint=_gru_gradients)
def gru(input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool) -> Any:
    """A GRU layer: input [T, B, I], h0 [B, H], w_ih [3H, I], w_hh [3H, H] -> output [T, B, H], h_n [B, H].

    The rows of the weights are the gates r, z, n, as in PyTorch.
    """
    forward = lookup("gru_forward", "cpu", input.dtype)
    output, h_n, *saved = forward(input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, saved
