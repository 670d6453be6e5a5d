"""Scaled dot-product attention (Vaswani et al., arXiv:1706.03762), softmax(q k^T scale + mask) v, in blocks of queries.

Letters: ``L`` queries, ``S`` keys, ``E`` their size, ``V`` the size of a value; dimensions before the last two are a
batch and broadcast.

``attention_forward(query, key, value, mask, kept, scale, causal, dropout) -> (output, norm)``
    For each query l, over the keys s::

        a_s = scale q_l . k_s + mask_ls       norm_l = log sum_s exp(a_s)       p_s = exp(a_s - norm_l)
        output_l = sum_s d_s p_s v_s          d_s = kept_ls / (1 - dropout), or 1

    ``query`` [..., L, E], ``key`` [..., S, E], ``value`` [..., S, V] -> [..., L, V] and [..., L]. ``mask`` and ``kept``
    broadcast to [..., L, S] or are None: where a bool ``mask`` is False, a_s is -inf; a floating one is added; ``kept``
    (bool) are the probabilities that dropout spares. ``causal``: a_s is -inf for s > l. A query that may see no key has
    norm = inf, and its output is zero.

``attention_backward(g, query, key, value, mask, kept, output, norm, scale, causal, dropout, needs)``
    -> gradients of query, key, value and mask, None where ``needs`` is False, in broadcast shapes. The probabilities
    are computed again from the norm. Since sum_s p_s dp_s = g_l . output_l::

        dp_s = d_s (g_l . v_s)                        da_s = p_s (dp_s - g_l . output_l)
        dq_l = scale sum_s da_s k_s                   dk_s = scale sum_l da_s q_l
        dv_s = sum_l d_s p_s g_l                      dmask_ls = da_s

Neither holds more than a block of the L x S probabilities (Rabe and Staats, arXiv:2112.05682; Dao et al.,
arXiv:2205.14135), unless the mask has a gradient.

``relative_attention_forward(query, key, value, distance, scale) -> (output, norm)``
    Causal attention that learns a vector e_d of every distance d = 0 ... D - 1, and sees no further (Shaw et al.,
    arXiv:1803.02155; Huang et al., arXiv:1809.04281). The queries stand at the last places of the keys, the l-th at
    t = S - L + l, with L <= S, and sees the keys t - D < s <= t::

        a_s = scale q_l . (k_s + e_(t-s))

    ``distance`` [H, D, E]: each head has its own vectors; the last dimension of the batch, which the three others have
    in common, is H.

``relative_attention_backward(g, query, key, value, distance, output, norm, scale, needs)``
    -> gradients of query, key, value and distance, None where ``needs`` is False: as above, and::

        dq_l = scale sum_s da_s (k_s + e_(t-s))       de_d = scale sum_l da_(t-d) q_l
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]

# Against the float64 reference, relative to the largest value.
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}

#: Probabilities that are held at once: four blocks of this many float32 fill half of a usual second-level cache.
BLOCK = 1 << 17


@register(op="attention_forward", name="numpy")
def attention_forward(
    query: Array, key: Array, value: Array, mask: Array | None, kept: Array | None, scale: float, causal: bool,
    dropout: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Attention; see the head of the file."""
    batch = _batch(query, key, value, mask, kept)
    L, S = query.shape[-2], key.shape[-2]
    output = np.zeros((*batch, L, value.shape[-1]), query.dtype)
    norm = np.full((*batch, L), np.inf, query.dtype)
    for rows, columns in _blocks(batch, L, S, causal):
        a = _scores(query, key, mask, scale, causal, rows, columns)
        top = np.maximum.reduce(a, axis=-1, keepdims=True)
        blind = np.isneginf(top) if mask is not None else None
        if blind is not None:
            top[blind] = 0  # -inf - -inf would be NaN
        a -= top
        p = np.exp(a, out=a)
        total = np.add.reduce(p, axis=-1, keepdims=True)
        if blind is not None:
            total[blind] = np.inf  # 1 / inf: no probability for any key, and norm = inf
        p /= total
        norm[..., rows, None] = np.log(total) + top
        np.matmul(_spare(p, kept, dropout, rows, columns), value[..., columns, :], out=output[..., rows, :])
    return output, norm


@register(op="attention_backward", name="numpy")
def attention_backward(
    g: Array, query: Array, key: Array, value: Array, mask: Array | None, kept: Array | None, output: Array,
    norm: Array, scale: float, causal: bool, dropout: float, needs: tuple[bool, bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None, Array | None]:  # fmt: skip
    """Gradients of the sum of ``g * output``; see the head of the file."""
    batch = norm.shape[:-1]
    (L, E), (S, V) = query.shape[-2:], value.shape[-2:]
    shapes = ((L, E), (S, E), (S, V), (L, S))
    dq, dk, dv, dmask = (np.zeros((*batch, *s), query.dtype) if need else None for s, need in zip(shapes, needs))
    for rows, columns in _blocks(batch, L, S, causal):
        q, k, v, gl = query[..., rows, :], key[..., columns, :], value[..., columns, :], g[..., rows, :]
        a = _scores(query, key, mask, scale, causal, rows, columns)
        a = a - norm[..., rows, None]
        p = np.exp(a, out=a)
        if dv is not None:
            dv[..., columns, :] += np.swapaxes(_spare(p, kept, dropout, rows, columns), -1, -2) @ gl
        da = _spare(gl @ np.swapaxes(v, -1, -2), kept, dropout, rows, columns)
        da -= (gl * output[..., rows, :]).sum(axis=-1, keepdims=True)
        da *= p
        if dmask is not None:
            dmask[..., rows, columns] = da
        da *= query.dtype.type(scale)
        if dq is not None:
            dq[..., rows, :] = da @ k
        if dk is not None:
            dk[..., columns, :] += np.swapaxes(da, -1, -2) @ q
    return dq, dk, dv, dmask


def _batch(query: Array, key: Array, value: Array, mask: Array | None, kept: Array | None) -> tuple[int, ...]:
    found = [a.shape[:-2] for a in (query, key, value, mask, kept) if a is not None]
    return np.broadcast_shapes(*found)


def _blocks(batch: tuple[int, ...], L: int, S: int, causal: bool) -> Iterator[tuple[slice, slice]]:
    """Queries of each block, and the keys that any of them may see."""
    size = max(1, BLOCK // max(1, S * int(np.prod(batch))))
    for start in range(0, L if S else 0, size):
        stop = min(L, start + size)
        yield slice(start, stop), slice(0, min(S, stop) if causal else S)


def _scores(
    query: Array, key: Array, mask: Array | None, scale: float, causal: bool, rows: slice, columns: slice
) -> Array:
    """a[..., l, s] of a block, an array that may be overwritten."""
    a: Array = (query[..., rows, :] * query.dtype.type(scale)) @ np.swapaxes(key[..., columns, :], -1, -2)
    if mask is not None:
        part = _part(mask, rows, columns)
        a = np.where(part, a, a.dtype.type(-np.inf)) if part.dtype == np.bool_ else a + part
    if causal:
        a[..., np.arange(columns.stop) > np.arange(rows.start, rows.stop)[:, None]] = -np.inf
    return a


def _spare(p: Array, kept: Array | None, dropout: float, rows: slice, columns: slice) -> Array:
    """``p`` after dropout."""
    if kept is None:
        return p
    factor = p.dtype.type(1 / (1 - dropout) if dropout < 1 else 0)
    spared: Array = p * (_part(kept, rows, columns) * factor)
    return spared


def _part(x: Array, rows: slice, columns: slice) -> Array:
    """A block of what broadcasts to [..., L, S]."""
    every = slice(None)
    return x[..., rows if x.shape[-2] > 1 else every, columns if x.shape[-1] > 1 else every]


def flops(query: Array, key: Array, value: Array, *_: Any) -> int:
    """Forward two products, backward five; this is the sum."""
    pairs: int = int(np.prod(query.shape[:-1])) * key.shape[-2]
    size: int = 4 * query.shape[-1] + 3 * value.shape[-1]
    return 2 * pairs * size


def bytes(query: Array, key: Array, value: Array, *_: Any) -> int:
    """Forward reads q, k, v and writes the output; backward reads all four and g, and writes three gradients."""
    outputs: int = query[..., :1].nbytes * value.shape[-1]
    return 3 * (query.nbytes + key.nbytes + value.nbytes + outputs)


def samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``attention_forward``: odd sizes, one key, none, masks of both kinds, blind queries, many blocks."""
    rng = np.random.default_rng(3)
    sizes = (((), 1, 1, 1, 1), ((2, 3), 5, 7, 4, 3), ((3,), 0, 4, 2, 2), ((2,), 3, 0, 2, 2), ((4,), 300, 257, 8, 5))
    for batch, L, S, E, V in sizes:
        q, k, v = (rng.standard_normal((*batch, *s)).astype(dtype) for s in ((L, E), (S, E), (S, V)))
        scale = 1 / np.sqrt(E)
        yield q, k, v, None, None, scale, False, 0.0
        yield q, k, v, None, None, -0.3, True, 0.0
        yield q, k, v, rng.random((L, S)) < 0.5, rng.random((*batch, L, S)) < 0.8, scale, False, 0.2
        mask = rng.standard_normal((*batch, 1, S)).astype(dtype)
        mask[..., : S // 2] = -np.inf
        yield q, k, v, mask, None, scale, False, 0.0
        if S:
            yield q, k, v, np.arange(L)[:, None] % 2 == np.zeros(S), None, scale, False, 0.0
            yield q[..., ::-1], k[..., ::-1, :], v, np.zeros((1, S), bool), None, scale, False, 0.0


@register(op="relative_attention_forward", name="numpy")
def relative_attention_forward(
    query: Array, key: Array, value: Array, distance: Array, scale: float
) -> tuple[Array, Array]:
    """Relative attention; see the head of the file."""
    output = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)
    norm = np.zeros(query.shape[:-1], query.dtype)
    for rows, columns, apart in _bands(query, key, distance):
        a = _related(query, key, distance, scale, rows, columns, apart)
        top = np.maximum.reduce(a, axis=-1, keepdims=True)
        p = np.exp(a - top)
        total = np.add.reduce(p, axis=-1, keepdims=True)
        norm[..., rows] = (np.log(total) + top)[..., 0]
        output[..., rows, :] = (p / total) @ value[..., columns, :]
    return output, norm


@register(op="relative_attention_backward", name="numpy")
def relative_attention_backward(
    g: Array, query: Array, key: Array, value: Array, distance: Array, output: Array, norm: Array, scale: float,
    needs: tuple[bool, bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None, Array | None]:  # fmt: skip
    """Gradients of the sum of ``g * output``; see the head of the file."""
    dq, dk, dv, de = (np.zeros(x.shape, x.dtype) for x in (query, key, value, distance))
    for rows, columns, apart in _bands(query, key, distance):
        q, k, v, gl = query[..., rows, :], key[..., columns, :], value[..., columns, :], g[..., rows, :]
        p = np.exp(_related(query, key, distance, scale, rows, columns, apart) - norm[..., rows, None])
        dv[..., columns, :] += np.swapaxes(p, -1, -2) @ gl
        along = (gl * output[..., rows, :]).sum(axis=-1, keepdims=True)
        da = p * (gl @ np.swapaxes(v, -1, -2) - along) * query.dtype.type(scale)
        i, s = np.nonzero((apart >= 0) & (apart < distance.shape[1]))
        dr = np.zeros((*q.shape[:-1], distance.shape[1]), q.dtype)  # of the products of queries and distances
        dr[..., i, apart[i, s]] = da[..., i, s]
        dq[..., rows, :] = da @ k + dr @ distance
        dk[..., columns, :] += np.swapaxes(da, -1, -2) @ q
        de += (np.swapaxes(dr, -1, -2) @ q).reshape(-1, *distance.shape).sum(axis=0)
    return tuple(d if need else None for d, need in zip((dq, dk, dv, de), needs))  # type: ignore[return-value]


def _bands(query: Array, key: Array, distance: Array) -> Iterator[tuple[slice, slice, Array]]:
    """Queries of each block, the keys that any of them may see, and how far each query is behind each key."""
    L, S, span = query.shape[-2], key.shape[-2], distance.shape[1]
    most = max(span, 64)  # queries of a block: with more of them, most of its keys are seen by few
    size = max(1, min(most, BLOCK // max(1, min(S, span + most) * int(np.prod(query.shape[:-2])))))
    for start in range(0, L, size):
        stop = min(L, start + size)
        first, last = S - L + start, S - L + stop
        columns = slice(max(0, first - span + 1), last)
        yield slice(start, stop), columns, np.arange(first, last)[:, None] - np.arange(columns.start, columns.stop)


def _related(
    query: Array, key: Array, distance: Array, scale: float, rows: slice, columns: slice, apart: Array
) -> Array:
    """a[..., l, s] of a block."""
    q, span = query[..., rows, :] * query.dtype.type(scale), distance.shape[1]
    by_distance = q @ np.swapaxes(distance, -1, -2)
    related = by_distance[..., np.arange(len(apart))[:, None], np.clip(apart, 0, span - 1)]
    a: Array = q @ np.swapaxes(key[..., columns, :], -1, -2) + related
    a[..., (apart < 0) | (apart >= span)] = -np.inf
    return a


def relative_flops(query: Array, key: Array, value: Array, distance: Array, *_: Any) -> int:
    """Forward three products of the keys that are seen, backward seven; this is the sum."""
    (L, E), S, span = query.shape[-2:], key.shape[-2], distance.shape[1]
    seen = sum(min(span, S - L + l + 1) for l in range(L))
    products = 7 * E + 3 * value.shape[-1]
    total: int = 2 * int(np.prod(query.shape[:-2])) * seen * products
    return total


def relative_samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``relative_attention_forward``: one place, odd sizes, queries at the end of more keys, distances
    that reach further than the keys or less far, many blocks, views."""
    rng = np.random.default_rng(4)
    sizes = (
        ((1,), 1, 1, 1, 1, 1), ((2, 3), 5, 5, 5, 4, 3), ((3,), 7, 7, 2, 3, 5), ((3,), 6, 6, 11, 2, 2),
        ((2, 2), 1, 9, 4, 8, 8), ((2,), 4, 150, 70, 5, 3), ((0, 2), 3, 3, 2, 2, 2), ((2,), 0, 3, 2, 2, 2),
        ((2, 1), 300, 300, 37, 8, 5), ((1,), 257, 261, 300, 3, 17),
    )  # fmt: skip
    for batch, L, S, span, E, V in sizes:
        q, k, v, e = (
            rng.standard_normal(shape).astype(dtype)
            for shape in ((*batch, L, E), (*batch, S, E), (*batch, S, V), (batch[-1], span, E))
        )
        yield q, k, v, e, 1 / np.sqrt(E)
        yield q[..., ::-1], k[..., ::-1, :], v, e[:, ::-1], -0.3


# -- cards ------------------------------------------------------------------------------------------------------------


def _backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    query, key, value, mask, kept, scale, causal, dropout = arguments
    output, norm = attention_forward(*arguments)
    g = np.random.default_rng(1).standard_normal(output.shape).astype(query.dtype)
    masked = mask is not None and mask.dtype != np.bool_
    needs = (True, True, True, masked)
    return g, query, key, value, mask, kept, output, norm, scale, causal, dropout, needs


def _heads(*shape: int, causal: bool) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        q, k, v = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
        return q, k, v, None, None, 0.125, causal, 0.0

    return case


def _backward_case(
    backward: Callable[[tuple[Any, ...]], tuple[Any, ...]], make: Callable[[Any], tuple[Any, ...]], dtype: Any
) -> tuple[Any, ...]:
    """What the backward of an operation takes after its forward has had what ``make`` gives."""
    return backward(make(dtype))


def _gradient(rng: np.random.Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 3)))
    return (q, k, v, rng.standard_normal((3, 5)), None), {"scale": 0.5, "causal": False, "dropout": 0.0}


_CASES = {
    f"{B}x{H}x{T}x{E}{', causal' * causal}": _heads(B, H, T, E, causal=causal)
    for B, H, T, E in ((1, 2, 32, 16), (4, 4, 128, 32), (8, 4, 512, 64)) for causal in (False, True)
}  # fmt: skip
describe(
    Card(
        op="attention_forward",
        says="softmax(scale q k^T + mask) v",
        samples=samples,
        tolerance={name: 4 * value for name, value in TOLERANCE.items()},
        results=1,
        flops=lambda *a: flops(*a) * 2 // 7,
        bytes=lambda *a: bytes(*a) // 3,
        cases=_CASES,
        rivals={"torch": rivals.attention_forward},
        serves="tinydl.ops.attention.attention",
        gradient=_gradient,
    )
)
describe(
    Card(
        op="attention_backward",
        says="gradients of softmax(scale q k^T + mask) v",
        samples=lambda dtype: map(_backward, samples(dtype)),
        tolerance={name: 8 * value for name, value in TOLERANCE.items()},
        flops=lambda g, *a: flops(*a) * 5 // 7,
        bytes=lambda g, *a: bytes(*a) * 2 // 3,
        cases={name: functools.partial(_backward_case, _backward, make) for name, make in _CASES.items()},
        rivals={"torch": rivals.attention_backward},
        serves="tinydl.ops.attention.attention",
        gradient=_gradient,
    )
)


def _relative_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    query, key, value, distance, scale = arguments
    output, norm = relative_attention_forward(*arguments)
    g = np.random.default_rng(1).standard_normal(output.shape).astype(query.dtype)
    return g, query, key, value, distance, output, norm, scale, (True,) * 4


def _relative_heads(B: int, H: int, L: int, S: int, span: int, E: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        shapes = ((B, H, L, E), (B, H, S, E), (B, H, S, E), (H, span, E))
        q, k, v, e = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        return q, k, v, e, E**-0.5

    return case


def _relative_gradient(rng: np.random.Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
    shapes = ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3), (2, 2, 4))
    q, k, v, e = (rng.standard_normal(shape) for shape in shapes)
    return (q, k, v, e), {"scale": 0.5}


# what the Music Transformer trains on, a whole piece of a thousand places, and a place of a piece that is written
_RELATIVE = {
    f"{B}x{H}x{L}x{E}, {span} of {S}": _relative_heads(B, H, L, S, span, E)
    for B, H, L, S, span, E in ((4, 4, 1, 256, 256, 32), (16, 4, 256, 256, 256, 32), (4, 4, 1024, 1024, 256, 32))
}
describe(
    Card(
        op="relative_attention_forward",
        says="softmax(scale q (k + e)^T) v, causal, with an e of each distance",
        samples=relative_samples,
        tolerance={name: 4 * value for name, value in TOLERANCE.items()},
        results=1,
        flops=lambda q, k, v, e, *a: relative_flops(q, k, v, e) * (2 * q.shape[-1] + v.shape[-1])
        // (7 * q.shape[-1] + 3 * v.shape[-1]),
        bytes=lambda q, k, v, e, *a: 2 * q.nbytes + k.nbytes + v.nbytes + e.nbytes,
        cases=_RELATIVE,
        rivals={"torch": rivals.relative_attention_forward},
        serves="tinydl.ops.attention.relative_attention",
        gradient=_relative_gradient,
    )
)
describe(
    Card(
        op="relative_attention_backward",
        says="gradients of softmax(scale q (k + e)^T) v, causal, with an e of each distance",
        samples=lambda dtype: map(_relative_backward, relative_samples(dtype)),
        tolerance={name: 8 * value for name, value in TOLERANCE.items()},
        flops=lambda g, q, k, v, e, *a: relative_flops(q, k, v, e) * (5 * q.shape[-1] + 2 * v.shape[-1])
        // (7 * q.shape[-1] + 3 * v.shape[-1]),
        bytes=lambda g, q, k, v, e, *a: 2 * (2 * q.nbytes + k.nbytes + v.nbytes + e.nbytes),
        cases={name: functools.partial(_backward_case, _relative_backward, make) for name, make in _RELATIVE.items()},
        rivals={"torch": rivals.relative_attention_backward},
        serves="tinydl.ops.attention.relative_attention",
        gradient=_relative_gradient,
    )
)
