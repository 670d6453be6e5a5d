"""NADE on the CPU, float32: two rungs.

``cpu.dense``   the equations as they stand: a new state for every pitch.
``cpu.notes``   a new state only after an active note. A chord of four voices has 5 states instead of 88, and what is
                left is the product of V with each state, four rows at a time so that a state is loaded once for four.

Frames are independent, so blocks of them run on the pool. Each block has sums of its own for the two weight matrices,
added up in the order of the blocks: the bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.cache import njit
from tinydl.kernels.nade.spec import COLD, check, flops
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER, ONE, SUMS, ZERO, exp, log1p, sigmoid, sum_
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import worthwhile
from tinydl.kernels.workspace import plain

Array = NDArray[Any]

_BLOCKS = 16  # at most: each has two matrices [P, D] of partial sums
_FRAMES = 64  # in a block at least


# --------------------------------------------------------------------------------------------- pieces of both rungs


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _sigmoids(a: Any, h: Any) -> Any:
    """h = sigmoid(a)."""
    for d in range(a.size):
        h[d] = sigmoid(a[d])


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _products(v: Any, h: Any, z: Any, low: Any, high: Any) -> Any:
    """z_i = V_i . h for low <= i < high."""
    i = low
    while i + 4 <= high:
        v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
        s0, s1, s2, s3 = ZERO, ZERO, ZERO, ZERO
        for d in range(h.size):
            s0 += v0[d] * h[d]
            s1 += v1[d] * h[d]
            s2 += v2[d] * h[d]
            s3 += v3[d] * h[d]
        z[i], z[i + 1], z[i + 2], z[i + 3] = s0, s1, s2, s3
        i += 4
    while i < high:
        v0 = v[i]
        s0 = ZERO
        for d in range(h.size):
            s0 += v0[d] * h[d]
        z[i] = s0
        i += 1


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _add(target: Any, source: Any) -> Any:
    for d in range(target.size):
        target[d] += source[d]


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _slopes(x: Any, b: Any, z: Any, slope: Any) -> Any:
    """slope = x - sigmoid(b + z); z becomes log p(x_i | x_<i) = -softplus(-(b + z)) or -softplus(b + z)."""
    for i in range(z.size):
        y = z[i] + b[i]
        y = -y if x[i] else y  # of the value that did not come
        e = exp(-abs(y))
        larger = ONE / (ONE + e)
        p = larger if y >= 0 else e * larger
        slope[i] = p if x[i] else -p
        z[i] = -((y if y > 0 else ZERO) + log1p(e))


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _spread(s: Any, h: Any, v: Any, dv: Any, dh: Any) -> Any:
    """dV_i += s h and dh += s V_i of one pitch."""
    for d in range(h.size):
        dv[d] += s * h[d]
        dh[d] += s * v[d]


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _through_sigmoid(dh: Any, h: Any, da: Any) -> Any:
    """da += dh h (1 - h), and dh starts again from zero."""
    for d in range(h.size):
        da[d] += dh[d] * h[d] * (ONE - h[d])
        dh[d] = ZERO


# ------------------------------------------------------------------------------------------------------------- forward


def _forward_block(
    dense: Any, x: Any, b: Any, c: Any, w: Any, v: Any, log_prob: Any, slope: Any, start: Any, stop: Any
) -> Any:
    pitches, units = v.shape
    a, h = np.empty(units, np.float32), np.empty(units, np.float32)
    z = np.empty(pitches, np.float32)
    for n in range(start, stop):
        a[:] = c[n]
        _sigmoids(a, h)
        low = 0
        for i in range(pitches):
            if dense or x[n, i]:
                _products(v, h, z, low, i + 1)
                low = i + 1
                if x[n, i]:
                    _add(a, w[i])
                if low < pitches:
                    _sigmoids(a, h)
        _products(v, h, z, low, pitches)
        _slopes(x[n], b[n], z, slope[n])
        log_prob[n] = sum_(z)


_forward_block = njit(_forward_block, error_model="numpy")


@shared(error_model="numpy")
def _forward(
    thread: int, threads: int, dense: Any, blocks: Any, x: Any, b: Any, c: Any, w: Any, v: Any, log_prob: Any,
    slope: Any,
) -> None:  # fmt: skip
    frames = x.shape[0]
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        _forward_block(
            dense, x, b, c, w, v, log_prob, slope, block * frames // blocks, (block + 1) * frames // blocks
        )


# ------------------------------------------------------------------------------------------------------------ backward


def _backward_block(
    dense: Any, g: Any, x: Any, c: Any, w: Any, v: Any, slope: Any, dc: Any, dw: Any, dv: Any, start: Any, stop: Any
) -> Any:
    """One block of frames; ``dw`` and ``dv`` are its own sums."""
    pitches, units = v.shape
    h = np.empty((pitches + 1, units), np.float32)  # the states from the bottom up
    first = np.empty(pitches + 2, np.int64)  # the lowest pitch that a state is for
    a, dh = np.empty(units, np.float32), np.zeros(units, np.float32)
    dw[:] = ZERO
    dv[:] = ZERO
    for n in range(start, stop):
        da = dc[n]
        da[:] = ZERO
        if g[n] == ZERO:  # padding
            continue
        a[:] = c[n]
        _sigmoids(a, h[0])
        first[0] = 0
        count = 1
        for i in range(pitches - 1):
            if dense or x[n, i]:
                if x[n, i]:
                    _add(a, w[i])
                _sigmoids(a, h[count])
                first[count] = i + 1
                count += 1
        first[count] = pitches
        for k in range(count - 1, -1, -1):
            for i in range(first[k], first[k + 1]):
                _spread(g[n] * slope[n, i], h[k], v[i], dv[i], dh)
            _through_sigmoid(dh, h[k], da)
            if k > 0 and x[n, first[k] - 1]:
                _add(dw[first[k] - 1], da)


_backward_block = njit(_backward_block, error_model="numpy")


@shared(error_model="numpy")
def _backward(
    thread: int, threads: int, dense: Any, g: Any, x: Any, c: Any, w: Any, v: Any, slope: Any, dc: Any, dw: Any, dv: Any
) -> None:  # fmt: skip
    """``dw`` and ``dv`` are [blocks, P, D], to be added up."""
    frames, blocks = x.shape[0], dw.shape[0]
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        start, stop = block * frames // blocks, (block + 1) * frames // blocks
        _backward_block(dense, g, x, c, w, v, slope, dc, dw[block], dv[block], start, stop)


@njit(error_model="numpy")
def _add_up(sums: Any) -> None:
    """sums[0] += sums[1], sums[2], ... in their order."""
    for block in range(1, sums.shape[0]):
        for i in range(sums.shape[1]):
            _add(sums[0, i], sums[block, i])


# -------------------------------------------------------------------------------------------------------- the variants


def _blocks(frames: int) -> int:
    """Depends on the number of frames alone, never on that of threads."""
    return max(1, min(_BLOCKS, frames // _FRAMES))


def _run_forward(dense: bool, variant: str, *arrays: Array) -> tuple[Array, Array]:
    check("nade_forward", variant, **dict(zip("xbcwv", arrays)))
    x, b, c, w, v = map(plain, arrays)
    log_prob, slope = np.empty(len(x), np.float32), np.empty_like(b)
    _forward(worthwhile(flops(*arrays)), dense, _blocks(len(x)), x, b, c, w, v, log_prob, slope)
    return log_prob, slope


def _run_backward(
    dense: bool, variant: str, g: Array, arrays: tuple[Array, ...], slope: Array, needs: tuple[bool, ...]
) -> tuple[Array | None, ...]:
    check("nade_backward", variant, **dict(zip("xbcwv", arrays)), g=g, slope=slope)
    g, x, _, c, w, v, slope = map(plain, (g, *arrays, slope))
    blocks = _blocks(len(x))
    dc = np.empty_like(c)
    dw, dv = np.empty((blocks, *w.shape), np.float32), np.empty((blocks, *v.shape), np.float32)
    _backward(worthwhile(2 * flops(*arrays)), dense, g, x, c, w, v, slope, dc, dw, dv)
    for sums in (dw, dv):
        if blocks > 1:
            _add_up(sums)
    db = None
    if needs[0]:
        db = slope * g[:, None]
        db[g == 0] = 0
    return (db, *(d if need else None for d, need in zip((dc, dw[0], dv[0]), needs[1:])))


@register(op="nade_forward", name="cpu.notes", dtypes=("float32",), default=True)
def nade_forward(x: Array, b: Array, c: Array, w: Array, v: Array) -> tuple[Array, Array]:
    """Log-likelihood and slope, a state for each note; see the card."""
    return _run_forward(False, "cpu.notes", x, b, c, w, v)


@register(op="nade_backward", name="cpu.notes", dtypes=("float32",), default=True)
def nade_backward(
    g: Array, x: Array, b: Array, c: Array, w: Array, v: Array, slope: Array, needs: tuple[bool, ...]
) -> tuple[Array | None, ...]:
    """The gradients of g . log p, a state for each note; see the card."""
    return _run_backward(False, "cpu.notes", g, (x, b, c, w, v), slope, needs)


@register(op="nade_forward", name="cpu.dense", dtypes=("float32",))
def nade_forward_dense(x: Array, b: Array, c: Array, w: Array, v: Array) -> tuple[Array, Array]:
    """Log-likelihood and slope, a state for each pitch; see the card."""
    return _run_forward(True, "cpu.dense", x, b, c, w, v)


@register(op="nade_backward", name="cpu.dense", dtypes=("float32",))
def nade_backward_dense(
    g: Array, x: Array, b: Array, c: Array, w: Array, v: Array, slope: Array, needs: tuple[bool, ...]
) -> tuple[Array | None, ...]:
    """The gradients of g . log p, a state for each pitch; see the card."""
    return _run_backward(True, "cpu.dense", g, (x, b, c, w, v), slope, needs)


# ------------------------------------------------------------------------------------------------------------- drawing


@njit(error_model="numpy")
def _draw(u: Any, b: Any, c: Any, w: Any, v: Any, temperature: Any, sounding: Any, x: Any) -> Any:
    frames, pitches = x.shape
    a, h = np.empty_like(c[0]), np.empty_like(c[0])
    z, sounds = np.empty(pitches, np.float32), np.empty(pitches, np.float64)
    cold = temperature <= COLD
    for n in range(frames):
        a[:] = c[n]
        _sigmoids(a, h)
        _products(v, h, z, 0, pitches)
        _add(z, b[n])
        waiting = sounding[n] and pitches > 0
        forced = np.int64(-1)  # the pitch that sounds at least
        if waiting:
            log_silent = 0.0
            for i in range(pitches - 1, -1, -1):
                y = np.float64(z[i]) / temperature if not cold else 0.0
                log_silent -= max(y, 0.0) + np.log1p(np.exp(-abs(y)))
                sounds[i] = -np.expm1(log_silent)
            if (cold and not (z > 0).any()) or sounds[0] == 0:
                forced = np.int64(z.argmax())
        for i in range(pitches):
            if cold:
                on = z[i] > 0
            else:
                y = np.float64(z[i]) / temperature
                e = np.exp(-abs(y))
                p = (1.0 if y >= 0 else e) / (1.0 + e)
                last = waiting and forced < 0 and i == pitches - 1  # where rounding left nothing of the probability
                on = u[n, i] * (sounds[i] if waiting else 1.0) < p or last
            on = on or (waiting and i == forced)
            x[n, i] = on
            if on:
                waiting = False
                _add(a, w[i])
                _sigmoids(a, h)
                _products(v, h, z, i + 1, pitches)
                for j in range(i + 1, pitches):
                    z[j] += b[n, j]


@register(op="nade_sample", name="cpu.notes", dtypes=("float32",), default=True)
def nade_sample(
    u: Array, b: Array, c: Array, w: Array, v: Array, temperature: float, sounding: Array
) -> NDArray[np.bool_]:
    """Frames from uniform numbers; see the card. The products are taken anew after each note: P D a note."""
    check("nade_sample", "cpu.notes", b=b, c=c, w=w, v=v, u=u, sounding=sounding)
    x = np.zeros(b.shape, np.bool_)
    if len(x):
        u, b, c, w, v, sounding = map(plain, (u, b, c, w, v, sounding))
        _draw(u, b, c, w, v, float(temperature), sounding, x)
    return x
