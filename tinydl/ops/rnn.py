"""Recurrent nets over a whole sequence as fused operations: one layer and one direction each.

Every operation has two faces. Its *definition* is the textbook's, one step at a time, in ordinary operations: read it
beside the paper; tests hold the kernels against it, and second derivatives run through it. Its *kernels* do the whole
sequence at once, forward and backward. Definitions also take what the kernels do not know (peepholes, projections,
recurrent dropout, zoneout), so a layer that asks for these runs its definition.

Letters: ``T`` time, ``B`` batch, ``I`` input size, ``H`` hidden size. ``lengths`` int64 [B] or None: sequence b has
``lengths[b]`` steps; beyond them its output is zero and its state stays what it was. ``reverse`` runs from the end: a
sequence of length n starts at its own step n - 1. ``b_ih`` and ``b_hh`` may be None.

``mask`` [B, H] or None multiplies h wherever W_hh meets it, the same at all steps: the variational dropout of Gal and
Ghahramani (arXiv:1512.05287). ``held`` is zoneout (Krueger et al., arXiv:1606.01305): for each state None, a bool array
[T, B, H] that says which units keep their old value at step t, or the probability z of that, for the expectation
z old + (1 - z) new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.devices import beside
from tinydl.kernels import by_dtype, lookup
from tinydl.ops.elementwise import relu, sigmoid, tanh, where
from tinydl.ops.extrema import data_of
from tinydl.ops.indexing import take_slice
from tinydl.ops.products import linear
from tinydl.ops.shaping import split, stack

_RNN_TANH_FORWARD = by_dtype("rnn_tanh_forward")
_RNN_RELU_FORWARD = by_dtype("rnn_relu_forward")
_LSTM_BACKWARD = by_dtype("lstm_backward")
_LSTM_FORWARD = by_dtype("lstm_forward")
_GRU_BACKWARD = by_dtype("gru_backward")
_GRU_FORWARD = by_dtype("gru_forward")

State = tuple[Any, ...]


def _within(input: Any, lengths: Any) -> Any:
    """``input`` with zeros beyond the lengths: what stands there may be NaN, and NaN times no gradient is NaN."""
    if lengths is None:
        return input
    inside = beside(np.arange(input.shape[0])[:, None] < lengths, data_of(input))
    return where(inside[:, :, None], input, np.zeros((), input.dtype))


def _steps(x: Any) -> list[Any]:
    """x[0], x[1], ...: by halves, so that backward fills log T times the memory of ``x`` with zeros, not T times."""
    count = x.shape[0]
    if count < 2:
        return [take_slice(x, index=(t,)) for t in range(count)]
    halves = (slice(0, count // 2), slice(count // 2, count))
    return [step for half in halves for step in _steps(take_slice(x, index=(half,)))]


def _scan(
    step: Callable[..., State], projected: Any, state: State, w_hh: Any, b_hh: Any, lengths: Any, reverse: bool,
    mask: Any = None, held: State | None = None,
) -> tuple[Any, State]:  # fmt: skip
    """Run ``step(W_ih x_t + b_ih, W_hh h + b_hh, *state)`` over time: all outputs [T, B, H], and the last state.

    The state begins with h, the output of the step before.
    """
    xs = _steps(projected)
    outputs: list[Any] = [None] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        h = state[0] if mask is None else state[0] * mask
        new = step(xs[t], linear(h, w_hh, b_hh), *state)
        if held is not None:
            new = tuple(_keep(z, t, before, after) for z, before, after in zip(held, state, new))
        outputs[t] = new[0]
        if lengths is not None:
            inside = beside((t < lengths)[:, None], data_of(new[0]))
            outputs[t] = where(inside, new[0], np.zeros((), new[0].dtype))
            new = tuple(where(inside, after, before) for after, before in zip(new, state))
        state = new
    return stack(outputs), state


def _keep(z: Any, t: int, before: Any, after: Any) -> Any:
    """Zoneout of one state at step t."""
    if z is None:
        return after
    return where(z[t], before, after) if isinstance(z, np.ndarray) else before * z + after * (1 - z)


# ---------------------------------------------------------------------------------------------------- simple recurrence


def _elman(activation: Callable[[Any], Any]) -> Callable[..., Any]:
    def definition(
        input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool,
        mask: Any = None, held: State | None = None,
    ) -> Any:  # fmt: skip
        """h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman, Cognitive Science 14, 1990)."""

        def step(x: Any, m: Any, h: Any) -> State:
            return (activation(x + m),)

        x = linear(_within(input, lengths), w_ih, b_ih)
        output, (h_n,) = _scan(step, x, (h0,), w_hh, b_hh, lengths, reverse, mask, held)
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
    forward = _RNN_TANH_FORWARD[input.dtype]
    output, h_n, *saved = forward(input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, saved


@primitive(
    outputs=("output", "h_n", "saved"),
    aux=("saved",),
    composite=_elman(relu),
    joint=_elman_gradients("rnn_relu_backward"),
)
def rnn_relu(input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool) -> Any:
    """Elman's net with ReLU: shapes as :func:`rnn_tanh`."""
    forward = _RNN_RELU_FORWARD[input.dtype]
    output, h_n, *saved = forward(input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, saved


# --------------------------------------------------------------------------------------------------------------- LSTM


def lstm_definition(
    input: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool,
    peepholes: State | None = None, w_hr: Any = None, mask: Any = None, held: State | None = None,
) -> Any:  # fmt: skip
    """Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997; the forget gate: Gers,
    Schmidhuber and Cummins, Neural Computation 12, 2000)::

        i, f, g, o = split(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, 4)
        c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)
        h_t = sigmoid(o) tanh(c_t)

    With ``peepholes`` w_ci, w_cf, w_co [H] the gates see the cell (Gers and Schmidhuber, IJCNN 2000; Graves,
    arXiv:1308.0850, equations 7 to 11): w_ci c_{t-1} is added to i, w_cf c_{t-1} to f, and w_co c_t, the *new* cell,
    to o (some surveys print c_{t-1} there too). With ``w_hr`` [R, H] the output is projected, h_t = W_hr (sigmoid(o)
    tanh(c_t)), and h0 is [B, R] (Sak, Senior and Beaufays, arXiv:1402.1128).
    """

    def step(x: Any, m: Any, h: Any, c: Any) -> State:
        i, f, g, o = split(x + m, w_hh.shape[0] // 4, 1)
        if peepholes is not None:
            i, f = i + peepholes[0] * c, f + peepholes[1] * c
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        if peepholes is not None:
            o = o + peepholes[2] * c
        h = sigmoid(o) * tanh(c)
        return h if w_hr is None else linear(h, w_hr), c

    x = linear(_within(input, lengths), w_ih, b_ih)
    output, (h_n, c_n) = _scan(step, x, (h0, c0), w_hh, b_hh, lengths, reverse, mask, held)
    return output, h_n, c_n


def _lstm_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any,
    lengths: Any, reverse: Any, output: Any, saved: Any,
) -> Any:  # fmt: skip
    backward = _LSTM_BACKWARD[input.dtype]
    return backward(*g, input, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths, reverse, output, *saved, needs)


@primitive(outputs=("output", "h_n", "c_n", "saved"), aux=("saved",), composite=lstm_definition, joint=_lstm_gradients)
def lstm(
    input: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool
) -> Any:
    """An LSTM layer: input [T, B, I], h0, c0 [B, H], w_ih [4H, I], w_hh [4H, H] -> output [T, B, H], h_n, c_n [B, H].

    The rows of the weights are the gates i, f, g, o, as in PyTorch.
    """
    forward = _LSTM_FORWARD[input.dtype]
    output, h_n, c_n, *saved = forward(input, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, c_n, saved


# ---------------------------------------------------------------------------------------------------------------- GRU


def gru_definition(
    input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool,
    mask: Any = None, held: State | None = None,
) -> Any:  # fmt: skip
    """Gated recurrent unit (Cho et al., EMNLP 2014), with the reset gate behind the matrix as cuDNN and PyTorch have
    it::

        r = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
        z = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
        n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) n + z h_{t-1}
    """
    hidden = w_hh.shape[1]

    def step(x: Any, m: Any, h: Any) -> State:
        x_r, x_z, x_n = split(x, hidden, 1)
        h_r, h_z, h_n = split(m, hidden, 1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = tanh(x_n + r * h_n)
        return ((1 - z) * n + z * h,)

    x = linear(_within(input, lengths), w_ih, b_ih)
    output, (h_n,) = _scan(step, x, (h0,), w_hh, b_hh, lengths, reverse, mask, held)
    return output, h_n


def _gru_gradients(
    needs: tuple[bool, ...], g: Any, input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any,
    lengths: Any, reverse: Any, output: Any, saved: Any,
) -> Any:  # fmt: skip
    backward = _GRU_BACKWARD[input.dtype]
    return backward(*g, input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse, output, *saved, needs)


@primitive(outputs=("output", "h_n", "saved"), aux=("saved",), composite=gru_definition, joint=_gru_gradients)
def gru(input: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, lengths: Any, reverse: bool) -> Any:
    """A GRU layer: input [T, B, I], h0 [B, H], w_ih [3H, I], w_hh [3H, H] -> output [T, B, H], h_n [B, H].

    The rows of the weights are the gates r, z, n, as in PyTorch.
    """
    forward = _GRU_FORWARD[input.dtype]
    output, h_n, *saved = forward(input, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)
    return output, h_n, saved
