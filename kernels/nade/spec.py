"""The card of NADE: the likelihood of binary frames, each pitch given those before it, its gradient, and drawing.

Papers
    Larochelle, Murray, "The neural autoregressive distribution estimator", AISTATS 2011.
    Boulanger-Lewandowski, Bengio, Vincent, "Modeling temporal dependencies in high-dimensional sequences", ICML 2012,
    arXiv:1206.6392: biases of its own for every frame, as here.

A frame x in {0,1}^P with biases b [P] and c [D], weights W and V, both [P, D] (a row for each pitch). Pitches are
numbered as they follow each other; which of them sounds highest is the caller's business::

    a_i = c + sum over j < i of x_j W_j        h_i = sigmoid(a_i)        z_i = b_i + V_i . h_i
    p(x_i = 1 | x_<i) = sigmoid(z_i)           log p(x) = -sum_i softplus(-z_i if x_i else z_i)

*The state changes only after an active note.* Between two notes all pitches share one h, so a frame costs
(notes + 1) D sigmoids and not P D; the products V_i . h_i remain. A frame of four-part music has 5 states where the
equations have 88.

**Gradient** of sum_n g_n log p(x_n), where e_i = x_i - sigmoid(z_i) is the slope of log p along z_i. Each term of a_i
reaches every later state, so the slopes along a are summed from the last pitch back::

    db_i = g e_i                 dV_i = g e_i h_i          dh_i = g e_i V_i        da_i = dh_i h_i (1 - h_i)
    dc = sum_i da_i              dW_j = x_j sum over i > j of da_i

A frame with g = 0 (padding) adds nothing, whatever it holds.

=============  ==========================================  ===========================================================
operation      arguments                                   result
=============  ==========================================  ===========================================================
nade_forward   x bool [N, P], b [N, P], c [N, D],          log p [N], slope e [N, P]
               w [P, D], v [P, D]
nade_backward  g [N], x, b, c, w, v, slope, needs          db [N, P], dc [N, D], dw [P, D], dv [P, D]; ``needs`` has a
                                                           bool for each, where it is False the result is None
nade_sample    u float64 [N, P] in [0, 1), b, c, w, v,     x bool [N, P]
               temperature, sounding bool [N]
=============  ==========================================  ===========================================================

**Drawing**: x_i = [u_i < sigmoid(z_i / temperature)], one pitch after another; at temperature 0, x_i = [z_i > 0].
Where ``sounding``, the frame is drawn from the same distribution given that it is not silent. No rejection is needed:
as long as nothing sounds, h_1 is the state of all pitches, so with r_i = prod over j >= i of (1 - p_j), the probability
that nothing sounds from i on, the first note falls on i with probability p_i / (1 - r_i). At temperature 0, or where
every p_i is below the least number, the pitch with the largest z under h_1 sounds at least.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.card import Card, describe
from tinydl.kernels.loss.spec import log_bernoulli
from tinydl.kernels.registry import KernelError, register

Array = NDArray[Any]

#: Against the float64 reference, relative to the largest value: sums over up to P pitches and D units.
TOLERANCE = {"float32": 4e-6, "float64": 1e-13}

COLD = 1e-6  # a temperature at or below this draws the more probable value


_SHAPES = {"x": "NP", "b": "NP", "c": "ND", "w": "PD", "v": "PD", "g": "N", "slope": "NP", "u": "NP", "sounding": "N"}
_DTYPES = {"x": np.bool_, "sounding": np.bool_, "u": np.float64}  # of the others: that of b


def check(op: str, variant: str, **arrays: Array) -> None:
    """Raise KernelError unless shapes and dtypes are those of the card; kernels read past arrays that are too short."""
    b, c = arrays["b"], arrays["c"]
    sizes = dict(zip("NPD", (*b.shape[:2], *c.shape[1:2])))
    for name, array in arrays.items():
        wanted = tuple(sizes.get(letter, 0) for letter in _SHAPES[name])
        if array.shape != wanted:
            raise KernelError(
                f"{op} ({variant}): {name} must have shape [{', '.join(_SHAPES[name])}] = {wanted}, got {array.shape}",
                op=op, variant=variant, argument=name,
            )  # fmt: skip
        dtype = np.dtype(_DTYPES.get(name, b.dtype))
        if array.dtype != dtype:
            raise KernelError(
                f"{op} ({variant}): {name} must be {dtype.name}{'' if name in _DTYPES else ' as b is'}, "
                f"got {array.dtype.name}",
                op=op, variant=variant, argument=name,
            )  # fmt: skip


def sigmoid(a: Array) -> Array:
    """1 / (1 + e^-a), without overflow."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1 / (1 + e), e / (1 + e)).astype(a.dtype, copy=False)


def logits(x: Array, b: Array, c: Array, w: Array, v: Array) -> Array:
    """z [N, P], one pitch after another; see the head of the file."""
    z = np.empty(b.shape, b.dtype)
    a = c.copy()
    for i in range(x.shape[1]):
        z[:, i] = b[:, i] + sigmoid(a) @ v[i]
        a += np.where(x[:, i, None], w[i], 0)
    return z


@register(op="nade_forward", name="numpy")
def nade_forward(x: Array, b: Array, c: Array, w: Array, v: Array) -> tuple[Array, Array]:
    """Log-likelihood and slope; see the head of the file."""
    check("nade_forward", "numpy", x=x, b=b, c=c, w=w, v=v)
    z = logits(x, b, c, w, v)
    return log_bernoulli(x, z).sum(1, dtype=b.dtype), np.where(x, sigmoid(-z), -sigmoid(z))


@register(op="nade_backward", name="numpy")
def nade_backward(
    g: Array, x: Array, b: Array, c: Array, w: Array, v: Array, slope: Array, needs: tuple[bool, ...]
) -> tuple[Array | None, ...]:
    """The gradients of g . log p; see the head of the file."""
    check("nade_backward", "numpy", x=x, b=b, c=c, w=w, v=v, g=g, slope=slope)
    db, dc, dw, dv = np.zeros_like(b), np.zeros_like(c), np.zeros_like(w), np.zeros_like(v)
    live = g != 0
    x, c, e = x[live], c[live], slope[live] * g[live, None]
    a, da = c + x.astype(c.dtype) @ w, np.zeros_like(c)  # behind the last pitch
    for i in reversed(range(x.shape[1])):
        dw[i] = np.where(x[:, i, None], da, 0).sum(0)
        a -= np.where(x[:, i, None], w[i], 0)
        h = sigmoid(a)
        dv[i] = e[:, i] @ h
        da += e[:, i, None] * v[i] * h * (1 - h)
    db[live], dc[live] = e, da
    return tuple(d if need else None for d, need in zip((db, dc, dw, dv), needs))


@register(op="nade_sample", name="numpy")
def nade_sample(
    u: Array, b: Array, c: Array, w: Array, v: Array, temperature: float, sounding: Array
) -> NDArray[np.bool_]:
    """Frames from uniform numbers; see the head of the file."""
    check("nade_sample", "numpy", b=b, c=c, w=w, v=v, u=u, sounding=sounding)
    x: Array = np.zeros(b.shape, np.bool_)
    pitches = x.shape[1]
    cold = temperature <= COLD
    first = (b + sigmoid(c) @ v.T).astype(np.float64)
    loudest = first.argmax(1) if first.size else np.zeros(len(first), np.int64)
    if cold:
        sounds = np.ones_like(first)
        forced = ~(first > 0).any(1)
    else:
        sounds = -np.expm1(-np.cumsum(np.logaddexp(0, first / temperature)[:, ::-1], 1)[:, ::-1])  # 1 - r
        forced = (sounds[:, :1] == 0).any(1)
    a, waiting = c.copy(), sounding.copy()  # waiting: must sound, and nothing has yet
    for i in range(pitches):
        z = (b[:, i] + sigmoid(a) @ v[i]).astype(np.float64)
        if cold:
            x[:, i] = z > 0
        else:
            last = waiting & ~forced & (i == pitches - 1)  # where rounding left nothing of the probability
            x[:, i] = (u[:, i] * np.where(waiting, sounds[:, i], 1.0) < sigmoid(z / temperature)) | last
        x[:, i] |= waiting & forced & (loudest == i)
        waiting &= ~x[:, i]
        a += np.where(x[:, i, None], w[i], 0)
    return x


def states(x: Array) -> int:
    """How many hidden states the frames x [N, P] have: one, and one more after each note but the topmost pitch's."""
    return int(x.shape[0] + x[:, :-1].sum())


def flops(x: Array, b: Array, c: Array, w: Array, v: Array) -> int:
    """Of the forward: the products V . h, and about 20 operations for each sigmoid of a state and each logit."""
    frames, pitches = x.shape
    units = c.shape[1]
    return int(2 * frames * pitches * units + 20 * (states(x) * units + frames * pitches))


def bytes(x: Array, b: Array, c: Array, w: Array, v: Array) -> int:
    """Of the forward: every argument read once, log p and slope written once."""
    return int(x.nbytes + 2 * b.nbytes + c.nbytes + w.nbytes + v.nbytes + len(x) * b.itemsize)


def samples(dtype: Any = np.float64, seed: int = 0) -> Iterator[tuple[Array, ...]]:
    """Arguments of ``nade_forward``: sizes off every vector width, none and all notes, one pitch, saturated logits."""
    rng = np.random.default_rng(seed)
    for frames, pitches, units, share in (
        (0, 3, 4, 0.5), (1, 1, 1, 0.5), (3, 5, 7, 0.5), (33, 88, 100, 0.05), (130, 88, 128, 0.04), (7, 17, 65, 0.0),
        (5, 16, 32, 1.0), (2, 1, 33, 1.0), (4, 6, 0, 0.5), (1000, 12, 16, 0.3),
    ):  # fmt: skip
        x = rng.random((frames, pitches)) < share
        b = (2 * rng.standard_normal((frames, pitches))).astype(dtype)
        c = rng.standard_normal((frames, units)).astype(dtype)
        w, v = (rng.standard_normal((2, pitches, units)) / np.sqrt(max(units, 1))).astype(dtype)
        yield x, b, c, w, v
        yield x[::-1], 20 * b, np.asfortranarray(c), np.repeat(w, 2, 1)[:, ::2], v.copy("F")  # saturated; views


# -- cards ------------------------------------------------------------------------------------------------------------


def _backward(x: Array, b: Array, c: Array, w: Array, v: Array) -> tuple[Any, ...]:
    """The arguments of the backward that belong to those of a forward; every third frame is padding."""
    _, slope = nade_forward(x, b, c, w, v)
    g = np.random.default_rng(1).normal(size=len(x)).astype(b.dtype)
    g[::3] = 0
    return g, x, b, c, w, v, slope, (True, True, True, True)


def _sampling_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(5)
    for x, b, c, w, v in samples(dtype):
        u = rng.random(b.shape)
        for temperature in (1.0, 0.7, 0.0):
            yield u, b, c, w, v, temperature, np.zeros(len(x), bool)
            yield u, b, c, w, v, temperature, np.arange(len(x)) % 2 == 0
    low = np.full((4, 6), -1000, dtype)  # no pitch can sound, or the first alone
    low[:2, 0] = 1
    c, w, v = np.zeros((4, 3), dtype), np.zeros((6, 3), dtype), np.zeros((6, 3), dtype)
    yield rng.random((4, 6)), low, c, w, v, 1.0, np.ones(4, bool)


def _chords(frames: int) -> Callable[[Any], tuple[Array, ...]]:
    """Frames of four notes among 88 pitches, 128 units; a training step of chorales has 2048."""

    def case(dtype: Any) -> tuple[Array, ...]:
        rng = np.random.default_rng(0)
        x = np.zeros((frames, 88), bool)
        np.put_along_axis(x, rng.permuted(np.tile(np.arange(88), (frames, 1)), axis=1)[:, :4], True, 1)
        b, c = (rng.standard_normal((frames, n)).astype(dtype) for n in (88, 128))
        w, v = (rng.standard_normal((2, 88, 128)) / 11).astype(dtype)
        return x, b, c, w, v

    return case


_CHORDS = {f"{frames} chords, 88 pitches, 128 units": _chords(frames) for frames in (32, 256, 2048)}


def _drawing(frames: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        u = np.random.default_rng(0).random((frames, 88))
        return u, *_chords(frames)(dtype)[1:], 1.0, np.zeros(frames, bool)

    return case


_SAYS = "log p(x) = sum_i ln y_i^x_i (1 - y_i)^(1 - x_i), y_i = sigmoid(b_i + V_i . sigmoid(c + sum_{j<i} x_j W_j))"


def _backward_case(make: Callable[[Any], tuple[Any, ...]], dtype: Any) -> tuple[Any, ...]:
    return _backward(*make(dtype))


def _gradient(rng: np.random.Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
    x = rng.random((3, 5)) < 0.5
    return (x, *(rng.standard_normal(s) for s in ((3, 5), (3, 4), (5, 4), (5, 4)))), {}


describe(
    Card(
        op="nade_forward",
        says=_SAYS,
        samples=samples,
        tolerance=TOLERANCE,
        floor=1e-3,
        flops=flops,
        bytes=bytes,
        cases=_CHORDS,
        serves="tinydl.ops.nade.nade",
        gradient=_gradient,
    )
)
describe(
    Card(
        op="nade_backward",
        says="gradients of " + _SAYS,
        samples=lambda dtype: (_backward(*arguments) for arguments in samples(dtype)),
        tolerance=TOLERANCE,
        floor=1e-3,
        flops=lambda g, x, b, c, w, v, slope, needs: 3 * flops(x, b, c, w, v),
        bytes=lambda g, x, b, c, w, v, slope, needs: 2 * bytes(x, b, c, w, v),
        cases={name: functools.partial(_backward_case, make) for name, make in _CHORDS.items()},
        serves="tinydl.ops.nade.nade",
        gradient=_gradient,
    )
)
describe(
    Card(
        op="nade_sample",
        says="x_i drawn with probability y_i, one pitch after another",
        samples=_sampling_samples,
        tolerance=TOLERANCE,
        flops=lambda u, b, c, w, v, *_: flops(np.ones(b.shape, bool), b, c, w, v) // 2,
        bytes=lambda u, b, c, w, v, *_: u.nbytes + bytes(u > 0.5, b, c, w, v),
        cases={f"{n} frame{'s' * (n > 1)}, 88 pitches, 128 units": _drawing(n) for n in (1, 16, 256)},
    )
)
