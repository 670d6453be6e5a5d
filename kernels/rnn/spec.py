"""The card of the recurrent nets: definitions, shapes, the NumPy reference, costs, sample inputs, tolerances.

One layer, one direction, a whole sequence. ``x`` [T, B, I] is the input, ``h0`` (and ``c0``) [B, H] the state before
it, ``w_ih`` [G*H, I] and ``w_hh`` [G*H, H] the weights of all G gates one below the other, ``b_ih`` and ``b_hh`` [G*H]
(or None) the biases: PyTorch's layout and order of gates.

LSTM (G = 4; Hochreiter and Schmidhuber 1997, Gers et al. 2000), with a = W_ih x_t + b_ih + W_hh h + b_hh cut in four::

    i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)
    c' = f c + i g     h' = o tanh(c')

GRU (G = 3; Cho et al. 2014, in the form of PyTorch and cuDNN, where r acts *after* the product)::

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
    m = W_hn h + b_hn    n = tanh(W_in x + b_in + r m)    h' = n + z (h - n)

Plain net (G = 1; Elman 1990)::

    h' = tanh(a)  or  relu(a)

``lengths`` [B] (int64, 0 to T; None: all T): from a sequence's own end on its state stays as it is and its output is
zero, so that h_n (and c_n) is the state at its own end. ``reverse=True`` walks each sequence from its own last element
to its first; an output stands at its own time in either direction. This is what PyTorch does with packed sequences.

Operations and what they return (``saved`` goes to the backward, from which the same sizes come back):

=====================  =============================================  ==================================
operation              arguments                                      result
=====================  =============================================  ==================================
lstm_forward           x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths,    output, h_n, c_n, gates, cells
                       reverse
lstm_backward          g_output, g_hn, g_cn, the nine, output,        gradients of x, h0, c0, w_ih, w_hh,
                       gates, cells, needs                            b_ih, b_hh
gru_forward            the same without c0                            output, h_n, gates
gru_backward           g_output, g_hn, the eight, output, gates,      gradients of x, h0, w_ih, w_hh,
                       needs                                          b_ih, b_hh
rnn_tanh_forward       as gru                                         output, h_n
rnn_tanh_backward      as gru, without gates                          as gru
rnn_relu_forward       as gru                                         output, h_n
rnn_relu_backward      as gru, without gates                          as gru
=====================  =============================================  ==================================

A gradient ``g_*`` that is None is zero. ``needs`` has one bool for each gradient in the result; where it is False the
result is None. The reference saves gates [T, B, 4, H] (LSTM i, f, g, o; GRU n, r, z, m) and cells [T + 1, B, H],
indexed by *step* (the first element read is step 0 in either direction). Other variants may lay them out in another
way, and the backward of the reference understands the panels of ``cpu.fused`` too, so that any two variants can be
mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import KernelError, lookup, register, use

Array = NDArray[Any]

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}

#: Largest |kernel - float64 reference| allowed, as (relative to the largest entry of the reference array, absolute).
TOLERANCE = {"float32": (2e-5, 2e-6), "float64": (1e-12, 1e-13)}


def flops(cell: str, T: int, B: int, I: int, H: int, backward: bool = False, needs_x: bool = True) -> int:
    """Multiplications and additions in the products (the gates' own work is left out)."""
    rows = GATES[cell] * H
    if not backward:
        return 2 * T * B * rows * (I + H)
    return 2 * T * B * rows * (H + (I if needs_x else 0)) + 2 * T * B * rows * (I + H)


def bytes_moved(cell: str, T: int, B: int, I: int, H: int, dtype: Any = np.float32, backward: bool = False) -> int:
    """Least traffic: each array of the call once (weights, input, output, saved gates; twice the weights backward)."""
    size = int(np.dtype(dtype).itemsize)
    weights = GATES[cell] * H * (I + H + 2)
    sequence = T * B * (I + H + (4 * H if cell in ("lstm", "gru") else 0))
    return size * ((2 if backward else 1) * weights + (2 if backward else 1) * sequence)


#: T, B, I, H: multiples of a tile, odd, prime, one; the reference takes zeros.
SIZES = (
    (4, 6, 16, 64), (1, 1, 1, 1), (3, 2, 5, 7), (5, 13, 17, 31), (2, 7, 3, 16), (7, 1, 2, 33), (3, 17, 64, 48), (2, 3,
                                                                                                                 1, 65),
    (0, 2, 3, 4), (2, 0, 3, 4), (2, 3, 0, 4),
)  # fmt: skip


def samples(cell: str, dtype: Any, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Arguments of the forward by name, over ``SIZES``: with and without biases, lengths, reverse, non-contiguous."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape).astype(dtype)

    for number, (T, B, I, H) in enumerate(SIZES):
        rows = GATES[cell] * H
        scale = np.dtype(dtype).type(1 / np.sqrt(H))
        arguments: dict[str, Any] = {"x": normal(T, B, I), "h0": normal(B, H)}
        if cell == "lstm":
            arguments["c0"] = normal(B, H)
        arguments["w_ih"], arguments["w_hh"] = normal(rows, I) * scale, normal(rows, H) * scale
        bias = number % 3 != 1
        arguments["b_ih"] = normal(rows) if bias else None
        arguments["b_hh"] = normal(rows) if bias and number % 2 == 0 else None
        arguments["lengths"] = rng.integers(0, T + 1, B) if number % 2 else None
        arguments["reverse"] = number % 4 >= 2
        if number % 2:  # views: transposed, with gaps, and running backwards
            arguments["x"] = np.repeat(arguments["x"], 2, axis=2)[:, :, ::2]
            arguments["w_hh"] = np.asfortranarray(arguments["w_hh"])
            arguments["h0"] = arguments["h0"][::-1]
        yield arguments


# -- checks ---------------------------------------------------------------------------------------------------------


def check_array(op: str, variant: str, name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Raise KernelError unless ``array`` is an array of this shape and dtype."""
    if not isinstance(array, np.ndarray):
        raise KernelError(
            f"{op} ({variant}): {name} must be an array, got {type(array).__name__}", op=op, variant=variant,
            argument=name
        )
    if array.shape != shape:
        raise KernelError(
            f"{op} ({variant}): {name} must have shape {shape}, got {array.shape}", op=op, variant=variant,
            argument=name
        )
    if array.dtype != dtype:
        raise KernelError(
            f"{op} ({variant}): {name} must be {np.dtype(dtype).name} as x is, got {array.dtype.name}",
            op=op, variant=variant, argument=name,
        )  # fmt: skip


def check(op: str, variant: str, gates: int, x: Array, h0: Array, c0: Array | None, w_ih: Array, w_hh: Array,
          b_ih: Array | None, b_hh: Array | None, lengths: Array | None) -> None:  # fmt: skip
    """Raise KernelError, naming the argument and both shapes, unless all arguments of a forward fit together."""
    for name, matrix, dimensions in (("x", x, 3), ("w_hh", w_hh, 2)):
        if np.ndim(matrix) != dimensions:
            got = f"shape {np.shape(matrix)}"
            raise KernelError(
                f"{op} ({variant}): {name} must be an array of {dimensions} dimensions, got {got}",
                op=op, variant=variant, argument=name,
            )  # fmt: skip
    (T, B, I), H = x.shape, w_hh.shape[1]
    rows = gates * H
    expected: list[tuple[str, Array | None, tuple[int, ...]]] = [
        ("w_hh", w_hh, (rows, H)), ("w_ih", w_ih, (rows, I)), ("h0", h0, (B, H)),
    ]  # fmt: skip
    expected += [("c0", c0, (B, H))] if gates == 4 else []
    expected += [(name, bias, (rows,)) for name, bias in (("b_ih", b_ih), ("b_hh", b_hh)) if bias is not None]
    for name, array, shape in expected:
        check_array(op, variant, name, array, shape, x.dtype)
    if lengths is not None:
        check_array(op, variant, "lengths", lengths, (B,), np.int64)
        if B and not (lengths.min() >= 0 and lengths.max() <= T):
            raise KernelError(
                f"{op} ({variant}): lengths must lie between 0 and T = {T}, got {lengths.min()} to {lengths.max()}",
                op=op, variant=variant, argument="lengths",
            )  # fmt: skip


def check_backward(op: str, variant: str, x: Array, h0: Array, output: Array, **gradients: Array | None) -> None:
    """Raise KernelError unless the output and the gradients have the shapes of what they belong to."""
    shape = (*x.shape[:2], h0.shape[1])
    check_array(op, variant, "output", output, shape, x.dtype)
    for name, gradient in gradients.items():
        if gradient is not None:
            check_array(op, variant, name, gradient, shape if name == "g_output" else shape[1:], x.dtype)


# -- the reference --------------------------------------------------------------------------------------------------


def _sigmoid(x: Array) -> Array:
    half: Array = np.tanh(0.5 * x) * 0.5  # never overflows, as exp(-x) would
    return half + 0.5


class _Walk:
    """Step s of a sequence reads time ``time[s, b]`` while ``active[s, b]``."""

    def __init__(self, T: int, B: int, lengths: Array | None, reverse: bool) -> None:
        length = np.full(B, T) if lengths is None else lengths
        step = np.arange(T)[:, None]
        self.active = step < length
        self.time = np.where(self.active, length - 1 - step if reverse else step, 0)
        self.batch = np.arange(B)

    def read(self, sequence: Array, s: int) -> Array:
        found: Array = sequence[self.time[s], self.batch]
        # Chosen, not multiplied by zero: what stands in the padding may be infinite.
        return np.where(self.active[s].reshape((-1,) + (1,) * (found.ndim - 1)), found, found.dtype.type(0))

    def write(self, sequence: Array, s: int, value: Array) -> None:
        on = self.active[s]
        sequence[self.time[s][on], self.batch[on]] = value[on]

    def before(self, output: Array, h0: Array, s: int) -> Array:
        """The state before step s."""
        return h0 if s == 0 else self.read(output, s - 1)


def _plus(product: Array, bias: Array | None) -> Array:
    return product if bias is None else product + bias


@register(op="lstm_forward", name="numpy")
def lstm_forward(x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                 b_hh: Array | None = None, lengths: Array | None = None, reverse: bool = False,
                 ) -> tuple[Array, ...]:  # fmt: skip
    """(output [T, B, H], h_n [B, H], c_n [B, H], gates [T, B, 4, H], cells [T + 1, B, H])."""
    check("lstm_forward", "numpy", 4, x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths)
    (T, B, _), H = x.shape, h0.shape[1]
    walk = _Walk(T, B, lengths, reverse)
    output, gates, cells = np.zeros((T, B, H), x.dtype), np.empty((T, B, 4, H), x.dtype), np.empty((T + 1, B, H),
                                                                                                   x.dtype)
    h, c = h0.copy(), c0.copy()
    cells[0] = c
    for s in range(T):
        a = _plus(walk.read(x, s) @ w_ih.T, b_ih) + _plus(h @ w_hh.T, b_hh)
        i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        on = walk.active[s][:, None]
        c = np.where(on, f * c + i * g, c)
        h = np.where(on, o * np.tanh(c), h)
        walk.write(output, s, h)
        gates[s] = np.stack([i, f, g, o], axis=1)
        cells[s + 1] = c
    return output, h, c, gates, cells


@register(op="lstm_backward", name="numpy")
def lstm_backward(g_output: Array | None, g_hn: Array | None, g_cn: Array | None, x: Array, h0: Array, c0: Array,
                  w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None, lengths: Array | None,
                  reverse: bool, output: Array, gates: Array, cells: Array,
                  needs: tuple[bool, ...]) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients for (x, h0, c0, w_ih, w_hh, b_ih, b_hh), None where ``needs`` is False."""
    check("lstm_backward", "numpy", 4, x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths)
    check_backward("lstm_backward", "numpy", x, h0, output, g_output=g_output, g_hn=g_hn, g_cn=g_cn)
    if gates.ndim == 5:
        gates, cells = from_panels(gates, lengths, h0.shape[1]), from_panels(cells[..., None, :], lengths,
                                                                             h0.shape[1])[:, :, 0]
    running = {"dc": np.zeros_like(h0) if g_cn is None else g_cn}

    def step(s: int, dh: Array, h: Array, on: Array) -> tuple[Array, Array, Array]:
        i, f, g, o = (gates[s, :, k] for k in range(4))
        tanh_c = np.tanh(cells[s + 1])
        dc = running["dc"] + dh * o * (1 - tanh_c**2)
        da = np.concatenate([
            dc * g * i * (1 - i), dc * cells[s] * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o),
        ], axis=1)  # fmt: skip
        running["dc"] = np.where(on, dc * f, running["dc"])
        return da, da, np.zeros_like(dh)

    g = _walk_back(step, g_output, g_hn, x, h0, w_ih, w_hh, lengths, reverse, output)
    gradients = (g[0], g[1], running["dc"], *g[2:])
    return tuple(gradient if need else None for gradient, need in zip(gradients, needs))


@register(op="gru_forward", name="numpy")
def gru_forward(x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None,
                lengths: Array | None = None, reverse: bool = False) -> tuple[Array, ...]:  # fmt: skip
    """(output [T, B, H], h_n [B, H], gates [T, B, 4, H] = n, r, z, m)."""
    check("gru_forward", "numpy", 3, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
    (T, B, _), H = x.shape, h0.shape[1]
    walk = _Walk(T, B, lengths, reverse)
    output, gates = np.zeros((T, B, H), x.dtype), np.empty((T, B, 4, H), x.dtype)
    h = h0.copy()
    for s in range(T):
        a, m = _plus(walk.read(x, s) @ w_ih.T, b_ih), _plus(h @ w_hh.T, b_hh)
        r, z, m = _sigmoid(a[:, :H] + m[:, :H]), _sigmoid(a[:, H : 2 * H] + m[:, H : 2 * H]), m[:, 2 * H :]
        n = np.tanh(a[:, 2 * H :] + r * m)
        h = np.where(walk.active[s][:, None], n + z * (h - n), h)
        walk.write(output, s, h)
        gates[s] = np.stack([n, r, z, m], axis=1)
    return output, h, gates


@register(op="gru_backward", name="numpy")
def gru_backward(g_output: Array | None, g_hn: Array | None, x: Array, h0: Array, w_ih: Array, w_hh: Array,
                 b_ih: Array | None, b_hh: Array | None, lengths: Array | None, reverse: bool, output: Array,
                 gates: Array, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients for (x, h0, w_ih, w_hh, b_ih, b_hh), None where ``needs`` is False."""
    check("gru_backward", "numpy", 3, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
    check_backward("gru_backward", "numpy", x, h0, output, g_output=g_output, g_hn=g_hn)
    if gates.ndim == 5:
        gates = from_panels(gates, lengths, h0.shape[1])

    def step(s: int, dh: Array, h: Array, on: Array) -> tuple[Array, Array, Array]:
        n, r, z, m = (gates[s, :, k] for k in range(4))
        dn = dh * (1 - z) * (1 - n**2)
        dr, dz = dn * m * r * (1 - r), dh * (h - n) * z * (1 - z)
        return np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1), dh * z

    g = _walk_back(step, g_output, g_hn, x, h0, w_ih, w_hh, lengths, reverse, output)
    return tuple(gradient if need else None for gradient, need in zip(g, needs))


def _walk_back(step: Callable[[int, Array, Array, Array], tuple[Array, Array, Array]], g_output: Array | None,
               g_hn: Array | None, x: Array, h0: Array, w_ih: Array, w_hh: Array, lengths: Array | None, reverse: bool,
               output: Array) -> tuple[Array, ...]:  # fmt: skip
    """Gradients of (x, h0, w_ih, w_hh, b_ih, b_hh) by walking the steps backwards.

    ``step(s, dh, h, active)`` answers, for the gradient dh of the state after step s and the state h before it, with
    the gradients of W_ih x + b_ih and of W_hh h + b_hh, and the part of the gradient of h that does not pass through
    W_hh.
    """
    T, B, _ = x.shape
    walk = _Walk(T, B, lengths, reverse)
    dh = np.zeros_like(h0) if g_hn is None else g_hn
    g_x, g_w_ih, g_w_hh = np.zeros_like(x), np.zeros_like(w_ih), np.zeros_like(w_hh)
    g_b_ih, g_b_hh = np.zeros(len(w_ih), x.dtype), np.zeros(len(w_ih), x.dtype)
    for s in range(T - 1, -1, -1):
        on = walk.active[s][:, None]
        h = walk.before(output, h0, s)
        total = dh if g_output is None else dh + walk.read(g_output, s)
        da, dm, direct = step(s, total, h, on)
        da, dm = np.where(on, da, 0), np.where(on, dm, 0)
        dh = np.where(on, direct + dm @ w_hh, dh)
        walk.write(g_x, s, da @ w_ih)
        g_w_ih += da.T @ walk.read(x, s)
        g_w_hh += dm.T @ h
        g_b_ih += da.sum(axis=0)
        g_b_hh += dm.sum(axis=0)
    return g_x, dh, g_w_ih, g_w_hh, g_b_ih, g_b_hh


def from_panels(panels: Array, lengths: Array | None, H: int) -> Array:
    """[P, S, B, blocks, lanes] in the order of the sorted sequences (``cpu.fused``) as [S, B, blocks,
                                                                                         H] in the batch's."""
    P, S, B, count, lanes = panels.shape
    sorted_order = panels.transpose(1, 2, 3, 0, 4).reshape(S, B, count, P * lanes)[..., :H]
    if lengths is None:
        return sorted_order
    result = np.empty_like(sorted_order)
    result[:, np.argsort(-lengths, kind="stable")] = sorted_order
    return result


def rnn_forward(activation: str, x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
                lengths: Array | None, reverse: bool) -> tuple[Array, Array]:  # fmt: skip
    """(output [T, B, H], h_n [B, H]); ``activation`` is "tanh" or "relu"."""
    check(f"rnn_{activation}_forward", "numpy", 1, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
    T, B, _ = x.shape
    walk = _Walk(T, B, lengths, reverse)
    output, h = np.zeros((T, B, h0.shape[1]), x.dtype), h0.copy()
    for s in range(T):
        a = _plus(walk.read(x, s) @ w_ih.T, b_ih) + _plus(h @ w_hh.T, b_hh)
        h = np.where(walk.active[s][:, None], np.tanh(a) if activation == "tanh" else np.maximum(a, 0), h)
        walk.write(output, s, h)
    return output, h


def rnn_backward(activation: str, g_output: Array | None, g_hn: Array | None, x: Array, h0: Array, w_ih: Array,
                 w_hh: Array, b_ih: Array | None, b_hh: Array | None, lengths: Array | None, reverse: bool,
                 output: Array, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients for (x, h0, w_ih, w_hh, b_ih, b_hh); the slope of either activation follows from its output."""
    op = f"rnn_{activation}_backward"
    check(op, "numpy", 1, x, h0, None, w_ih, w_hh, b_ih, b_hh, lengths)
    check_backward(op, "numpy", x, h0, output, g_output=g_output, g_hn=g_hn)
    walk = _Walk(x.shape[0], x.shape[1], lengths, reverse)

    def step(s: int, dh: Array, h: Array, on: Array) -> tuple[Array, Array, Array]:
        after = walk.read(output, s)
        da = dh * (1 - after**2) if activation == "tanh" else np.where(after > 0, dh, 0)
        return da, da, np.zeros_like(dh)

    g = _walk_back(step, g_output, g_hn, x, h0, w_ih, w_hh, lengths, reverse, output)
    return tuple(gradient if need else None for gradient, need in zip(g, needs))


@register(op="rnn_tanh_forward", name="numpy")
def rnn_tanh_forward(x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                     b_hh: Array | None = None,
                     lengths: Array | None = None, reverse: bool = False) -> tuple[Array, Array]:  # fmt: skip
    """:func:`rnn_forward` with tanh."""
    return rnn_forward("tanh", x, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)


@register(op="rnn_relu_forward", name="numpy")
def rnn_relu_forward(x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                     b_hh: Array | None = None,
                     lengths: Array | None = None, reverse: bool = False) -> tuple[Array, Array]:  # fmt: skip
    """:func:`rnn_forward` with relu."""
    return rnn_forward("relu", x, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)


@register(op="rnn_tanh_backward", name="numpy")
def rnn_tanh_backward(
    g_output: Array | None, g_hn: Array | None, x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None,
    b_hh: Array | None, lengths: Array | None, reverse: bool, output: Array, needs: tuple[bool, ...],
) -> tuple[Array | None, ...]:  # fmt: skip
    """:func:`rnn_backward` with tanh."""
    return rnn_backward(
        "tanh", g_output, g_hn, x, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse, output, needs
    )


@register(op="rnn_relu_backward", name="numpy")
def rnn_relu_backward(
    g_output: Array | None, g_hn: Array | None, x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None,
    b_hh: Array | None, lengths: Array | None, reverse: bool, output: Array, needs: tuple[bool, ...],
) -> tuple[Array | None, ...]:  # fmt: skip
    """:func:`rnn_backward` with relu."""
    return rnn_backward(
        "relu", g_output, g_hn, x, h0, w_ih, w_hh, b_ih, b_hh, lengths, reverse, output, needs
    )


# -- cards ------------------------------------------------------------------------------------------------------------

_EQUATION = {
    "lstm": "i, f, o = sigmoid(a), g = tanh(a); c' = f c + i g; h' = o tanh(c')",
    "gru": "r, z = sigmoid(a), n = tanh(W_in x + b_in + r m); h' = n + z (h - n)",
    "rnn_tanh": "h' = tanh(W_ih x + b_ih + W_hh h + b_hh)",
    "rnn_relu": "h' = relu(W_ih x + b_ih + W_hh h + b_hh)",
}
#: T, B, I, H to measure.
_SIZES = {
    "T16 B4 H32": (16, 4, 32, 32),
    "T100 B32 H128": (100, 32, 128, 128), "T100 B32 H256": (100, 32, 256, 256), "T64 B32 I88 H256": (64, 32, 88, 256)
}  # fmt: skip


def _states(cell: str) -> int:
    return 2 if cell == "lstm" else 1


def _sizes_of(cell: str, arguments: tuple[Any, ...]) -> tuple[int, int, int, int]:
    x, h0 = arguments[0], arguments[1]
    return x.shape[0], x.shape[1], x.shape[2], h0.shape[1]


def _forward_samples(cell: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    return lambda dtype: (tuple(arguments.values()) for arguments in samples(cell, dtype))


def _backward(cell: str, arguments: tuple[Any, ...], seed: int = 3) -> tuple[Any, ...]:
    """The arguments of the backward that belong to those of a forward: of the variant in use, or of the reference."""
    try:
        results = lookup(f"{cell}_forward", "cpu", arguments[0].dtype)(*arguments)
    except KernelError:  # these sizes are refused
        with use(**{f"{cell}_forward": "numpy"}):
            results = lookup(f"{cell}_forward", "cpu", arguments[0].dtype)(*arguments)
    count = 1 + _states(cell)
    rng = np.random.default_rng(seed)
    gradients = [rng.normal(size=r.shape).astype(r.dtype) for r in results[:count]]
    needs = (True,) * (len(arguments) - 2)
    return (*gradients, *arguments, results[0], *results[count:], needs)


def _backward_samples(cell: str) -> Callable[[Any], Iterator[tuple[Any, ...]]]:
    return lambda dtype: (_backward(cell, arguments) for arguments in _forward_samples(cell)(dtype))


def _drawn(cell: str, T: int, B: int, I: int, H: int, dtype: Any) -> tuple[Any, ...]:
    rng, rows = np.random.default_rng(0), GATES[cell] * H
    shapes = [(T, B, I), *[(B, H)] * _states(cell), (rows, I), (rows, H), (rows,), (rows,)]
    return (*((rng.standard_normal(shape) / np.sqrt(H)).astype(dtype) for shape in shapes), None, False)


def _cases(cell: str, backward: bool) -> dict[str, Callable[[Any], tuple[Any, ...]]]:
    def case(sizes: tuple[int, int, int, int]) -> Callable[[Any], tuple[Any, ...]]:
        if backward:
            return lambda dtype: _backward(cell, _drawn(cell, *sizes, dtype))
        return lambda dtype: _drawn(cell, *sizes, dtype)

    return {name: case(sizes) for name, sizes in _SIZES.items()}


def _describe(cell: str) -> None:
    def gradient(rng: np.random.Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
        *arrays, _, _ = _drawn(cell, 4, 3, 5, 6, np.float64)
        return tuple(arrays), {"lengths": np.array([4, 2, 3]), "reverse": True}

    skipped = 1 + _states(cell)  # of the backward's arguments: the gradients of the outputs
    for direction, backward in (("forward", False), ("backward", True)):
        first = skipped if backward else 0
        describe(
            Card(
                op=f"{cell}_{direction}",
                says=("gradients of " if backward else "") + _EQUATION[cell],
                samples=(_backward_samples if backward else _forward_samples)(cell),
                tolerance={name: relative for name, (relative, _) in TOLERANCE.items()},
                floor=0.1,
                flops=lambda *a, b=backward, s=first: flops(cell, *_sizes_of(cell, a[s:]), backward=b),
                bytes=lambda *a, b=backward, s=first: bytes_moved(
                    cell, *_sizes_of(cell, a[s:]), dtype=a[s].dtype, backward=b
                ),
                cases=_cases(cell, backward),
                rivals={"torch": (rivals.rnn_backward if backward else rivals.rnn_forward)(cell)},
                results=None if backward else 1 + _states(cell),
                forward=f"{cell}_forward" if backward else "",
                serves=f"tinydl.ops.rnn.{cell}",
                gradient=gradient,
            )
        )


for _cell in GATES:
    _describe(_cell)
