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


def _backward_case(make: Callable[[Any], tuple[Any, ...]], dtype: Any) -> tuple[Any, ...]:
    return _backward(make(dtype))


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
        cases={name: functools.partial(_backward_case, make) for name, make in _CASES.items()},
        rivals={"torch": rivals.attention_backward},
        serves="tinydl.ops.attention.attention",
        gradient=_gradient,
    )
)
