"""Attention on the matrix tile, float32 without a mask (``cpu.tiles``): a block of queries against all their keys.

A head is one thread's. Its keys and values are packed once, as the tile of :func:`tinydl.kernels.vector.multiply` reads
them. Then, for a block of queries whose scores fill a part of the second-level cache:

    forward    scores = q (scale k)^T,  p = exp(scores - max),  output = (p v) / sum p
    backward   p = exp(q (scale k)^T - norm),  da = p (g v^T - g . output) scale
               dq = da k,  dk += da^T q,  dv += p^T g

No probability outlives its block. With ``causal`` a block computes the panels of keys that its last query may see: half
of the work. Gradients of keys and values are summed over the blocks in order, by one thread: bits do not depend on the
number of threads.

Relative attention is the same on a band of the keys, and one product more. With the vectors of distances in the order
of the keys that they belong to, the furthest first, the row of ``r = q (scale e)^T`` of the query at place i begins at
the score of key i - span + 1: it is added from there on, and the slopes of the scores are that row's as they stand:

    forward    scores += r, each row moved to its place
    backward   dr = da, each row moved back,  dq += dr e,  de += dr^T q
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import vector
from tinydl.kernels.cache import njit
from tinydl.kernels.registry import register
from tinydl.kernels.scalar import IN_ORDER, ONE, SUMS, ZERO, exp
from tinydl.kernels.sharing import shared
from tinydl.kernels.threads import num_threads, worthwhile
from tinydl.kernels.vector import copy, multiply, transpose
from tinydl.kernels.workspace import plain, scratch

Array = NDArray[Any]

#: Scores that are held at once: 128 KiB of a second-level cache, beside as many gradients of them.
SCORES = 1 << 15
MOST_QUERIES = 64


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _scaled(target: Any, source: Any, factor: Any) -> Any:
    for c in range(target.size):
        target[c] = source[c] * factor


@njit
def _columns(lanes: int, x: Array, x0: int, count: int, size: int, wide: int, factor: Any, out: Array, at: int) -> None:
    """out[panel][e][j] = factor x[panel * wide + j, e], zero beyond the last row of x [count, size]: a transpose."""
    for first in range(0, count, wide):
        used, begin = min(wide, count - first), at + first * size
        transpose(lanes, out, begin, wide, x, x0 + first * size, size, used, size)
        if used < wide:
            for e in range(size):
                for j in range(used, wide):
                    out[begin + e * wide + j] = ZERO
        if factor != ONE:
            panel = out[begin : begin + size * wide]
            _scaled(panel, panel, factor)


@njit
def _rows(x: Array, x0: int, count: int, size: int, width: int, out: Array, at: int) -> None:
    """out[i, :size] = x[i], zero in the columns up to ``width``."""
    for i in range(count):
        copy(out, at + i * width, x, x0 + i * size, size)
        for j in range(size, width):
            out[at + i * width + j] = ZERO


@njit
def _product(inner: int, wide: int, rows: int, a: Array, a0: int, row_stride: int, k_stride: int, b: Array, b0: int,
             b_stride: int, b_panel: int, c: Array, c0: int, c_stride: int, columns: int, k: int,
             accumulate: int) -> None:  # fmt: skip
    """C[rows, columns, in whole panels] (+)= A[rows, k] B[k, columns]; a panel of B begins ``b_panel`` behind the
    last."""
    for panel in range((columns + wide - 1) // wide):
        multiply(inner, rows, a, a0, row_stride, k_stride, b, b0 + panel * b_panel, b_stride, c, c0 + panel * wide,
                 c_stride, k, accumulate)  # fmt: skip


@njit(fastmath=SUMS | {"nnan"}, error_model="numpy", forceinline=True)
def _largest(row: Any) -> Any:
    top = row[0]
    for c in range(1, row.size):
        top = max(top, row[c])
    return top


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _sum(row: Any) -> Any:
    total = ZERO
    for c in range(row.size):
        total += row[c]
    return total


@njit(fastmath=SUMS, error_model="numpy", forceinline=True)
def _dot(x: Any, y: Any) -> Any:
    total = ZERO
    for c in range(x.size):
        total += x[c] * y[c]
    return total


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _exponentials(row: Any, less: Any) -> Any:
    for c in range(row.size):
        row[c] = exp(row[c] - less)


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _through_softmax(p: Any, dp: Any, inner: Any, scale: Any) -> Any:
    for c in range(p.size):
        dp[c] = p[c] * (dp[c] - inner) * scale


@njit(fastmath=IN_ORDER, error_model="numpy", forceinline=True)
def _added(target: Any, source: Any) -> Any:
    for c in range(target.size):
        target[c] += source[c]


@njit
def _seen(place: int, keys: int, causal: bool) -> int:
    """The keys before this one are those that the query at a place may look at, but for what is too far back."""
    return min(keys, place + 1) if causal else keys


@njit
def _too_far(place: int, span: int) -> int:
    """How many keys are too far back for the query at a place."""
    return max(0, place - span + 1)


@shared(error_model="numpy")
def _forward(thread: int, threads: int, lanes: int, heads: int, cuts: int, L: int, S: int, E: int, V: int,
             causal: bool, before: int, span: int, tables: int, scale: Any, block: int, stride: int, moved_stride: int,
             by_key: int, wide: int, by_value: int, value_wide: int, V_wide: int, q: Array, k: Array, v: Array,
             e: Array, keys: Array, keys_size: int, distances: Array, distances_size: int, values: Array,
             scores: Array, moved: Array, sums: Array, edge: Array, output: Array, norm: Array) -> None:  # fmt: skip
    k_at, v_at, e_at = thread * keys_size, thread * S * V_wide, thread * distances_size
    s_at, m_at, o_at = thread * block * stride, thread * block * moved_stride, thread * block * V_wide
    for item in range(heads * cuts * thread // threads, heads * cuts * (thread + 1) // threads):
        head, cut = item // cuts, item % cuts
        _columns(lanes, k, head * S * E, S, E, wide, scale, keys, k_at)
        _rows(v, head * S * V, S, V, V_wide, values, v_at)
        if tables:
            _columns(lanes, e, head % tables * span * E, span, E, wide, scale, distances, e_at)
        blocks = (L + block - 1) // block
        for number in range(blocks * cut // cuts, blocks * (cut + 1) // cuts):
            first = number * block
            rows, place = min(block, L - first), before + first
            most = _seen(place + rows - 1, S, causal)
            base = _too_far(place, span) // wide * wide  # a panel begins there
            columns = most - base
            _product(by_key, wide, rows, q, (head * L + first) * E, E, 1, keys, k_at + base * E, wide, E * wide, scores,
                     s_at, stride, columns, E, 0)  # fmt: skip
            far = max(0, span - place - rows) // wide * wide  # no query is as far as this from the first key
            if tables:
                _product(by_key, wide, rows, q, (head * L + first) * E, E, 1, distances, e_at + far * E, wide, E * wide,
                         moved, m_at, moved_stride, span - far, E, 0)  # fmt: skip
            for i in range(rows):
                low, seen, at = _too_far(place + i, span), _seen(place + i, S, causal), s_at + i * stride - base
                row = scores[at + low : at + seen]
                if tables:
                    to = m_at + i * moved_stride + span - far
                    _added(row, moved[to - row.size : to])
                top = _largest(row)
                _exponentials(row, top)
                sums[thread * block + i] = total = _sum(row)
                norm[head * L + first + i] = np.log(total) + top
                scores[at + base : at + low] = ZERO
                scores[at + seen : at + most] = ZERO
            _product(by_value, value_wide, rows, scores, s_at, stride, 1, values, v_at + base * V_wide, V_wide,
                     value_wide, edge, o_at, V_wide, V, columns, 0)  # fmt: skip
            for i in range(rows):
                at, to = o_at + i * V_wide, (head * L + first + i) * V
                _scaled(output[to : to + V], edge[at : at + V], ONE / sums[thread * block + i])


@shared(error_model="numpy")
def _backward(thread: int, threads: int, lanes: int, heads: int, L: int, S: int, E: int, V: int, causal: bool,
              before: int, span: int, tables: int, scale: Any, block: int, stride: int, moved_stride: int,
              by_key: int, wide: int, by_query: int, query_wide: int, E_wide: int, by_value: int, value_wide: int,
              V_wide: int, g: Array, q: Array, k: Array, v: Array, e: Array, output: Array, norm: Array,
              packed: Array, packed_size: int, scores: Array, slopes: Array, moved: Array, edge: Array,
              edge_size: int, dq: Array, dk: Array, dv: Array, de: Array) -> None:  # fmt: skip
    panels = (S + wide - 1) // wide
    keys = thread * packed_size  # (scale k)^T, v^T, k, the sums of dk and dv; (scale e)^T, e, the sum of de
    values = keys + panels * wide * E
    plain_keys = values + panels * wide * V
    key_sums = plain_keys + S * E_wide
    value_sums = key_sums + S * E_wide
    distances = value_sums + S * V_wide
    plain_distances = distances + (span + wide - 1) // wide * wide * E
    distance_sums = plain_distances + span * E_wide
    s_at, m_at = thread * block * stride, thread * block * moved_stride
    q_at = thread * edge_size  # queries, gradients of outputs, gradients of queries
    g_at = q_at + block * E_wide
    d_at = g_at + block * V_wide
    for head in range(heads * thread // threads, heads * (thread + 1) // threads):
        _columns(lanes, k, head * S * E, S, E, wide, scale, packed, keys)
        _columns(lanes, v, head * S * V, S, V, wide, ONE, packed, values)
        _rows(k, head * S * E, S, E, E_wide, packed, plain_keys)
        packed[key_sums : value_sums + S * V_wide] = ZERO
        if tables:
            _columns(lanes, e, head % tables * span * E, span, E, wide, scale, packed, distances)
            _rows(e, head % tables * span * E, span, E, E_wide, packed, plain_distances)
            packed[distance_sums : distance_sums + span * E_wide] = ZERO
        for first in range(0, L, block):
            rows, place = min(block, L - first), before + first
            most = _seen(place + rows - 1, S, causal)
            base = _too_far(place, span) // wide * wide
            columns = most - base
            far = max(0, span - place - rows) // wide * wide
            _rows(q, (head * L + first) * E, rows, E, E_wide, edge, q_at)
            _rows(g, (head * L + first) * V, rows, V, V_wide, edge, g_at)
            _product(by_key, wide, rows, edge, q_at, E_wide, 1, packed, keys + base * E, wide, E * wide, scores, s_at,
                     stride, columns, E, 0)  # fmt: skip
            _product(by_key, wide, rows, edge, g_at, V_wide, 1, packed, values + base * V, wide, V * wide, slopes, s_at,
                     stride, columns, V, 0)  # fmt: skip
            if tables:
                _product(by_key, wide, rows, edge, q_at, E_wide, 1, packed, distances + far * E, wide, E * wide, moved,
                         m_at, moved_stride, span - far, E, 0)  # fmt: skip
            for i in range(rows):
                query = head * L + first + i
                low, seen, at = _too_far(place + i, span), _seen(place + i, S, causal), s_at + i * stride - base
                row, slope = scores[at + low : at + seen], slopes[at + low : at + seen]
                to = m_at + i * moved_stride + span - far
                if tables:
                    _added(row, moved[to - row.size : to])
                _exponentials(row, norm[query])
                along = _dot(g[query * V : (query + 1) * V], output[query * V : (query + 1) * V])
                _through_softmax(row, slope, along, scale)
                if tables:
                    moved[to - span + far : to - row.size] = ZERO
                    copy(moved, to - row.size, slopes, at + low, row.size)
                scores[at + base : at + low] = ZERO
                slopes[at + base : at + low] = ZERO
                scores[at + seen : at + most] = ZERO
                slopes[at + seen : at + most] = ZERO
            _product(by_value, value_wide, columns, scores, s_at, 1, stride, edge, g_at, V_wide, value_wide, packed,
                     value_sums + base * V_wide, V_wide, V, rows, 1)  # fmt: skip
            _product(by_query, query_wide, columns, slopes, s_at, 1, stride, edge, q_at, E_wide, query_wide, packed,
                     key_sums + base * E_wide, E_wide, E, rows, 1)  # fmt: skip
            _product(by_query, query_wide, rows, slopes, s_at, stride, 1, packed, plain_keys + base * E_wide, E_wide,
                     query_wide, edge, d_at, E_wide, E, columns, 0)  # fmt: skip
            if tables:
                _product(by_query, query_wide, span - far, moved, m_at, 1, moved_stride, edge, q_at, E_wide, query_wide,
                         packed, distance_sums + far * E_wide, E_wide, E, rows, 1)  # fmt: skip
                _product(by_query, query_wide, rows, moved, m_at, moved_stride, 1, packed,
                         plain_distances + far * E_wide, E_wide, query_wide, edge, d_at, E_wide, E, span - far,
                         1)  # fmt: skip
            for i in range(rows):
                copy(dq, (head * L + first + i) * E, edge, d_at + i * E_wide, E)
        for s in range(S):
            copy(dk, (head * S + s) * E, packed, key_sums + s * E_wide, E)
            copy(dv, (head * S + s) * V, packed, value_sums + s * V_wide, V)
        if tables:
            for d in range(span):
                copy(de, (head * span + d) * E, packed, distance_sums + d * E_wide, E)


def _plainly(query: Array, key: Array, value: Array, mask: Array | None, kept: Array | None, *_: Any) -> bool:
    """No mask, no dropout, and nothing to broadcast."""
    return mask is None and kept is None and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]


def _width(size: int, dtype: Any) -> tuple[int, int, int]:
    """The tile for rows of ``size`` numbers: its address, how wide it is, and ``size`` in whole tiles."""
    lanes = vector.lanes(dtype)
    vectors = max(1, min(4, -(-size // lanes)))
    return vector.panel(dtype, vectors), vectors * lanes, -(-size // (vectors * lanes)) * vectors * lanes


def _flat(x: Array) -> Array:
    return plain(x).reshape(-1)


def _bands(L: int, S: int, span: int, wide: int, lanes: int) -> tuple[int, int]:
    """How many queries make a block, and how far apart rows of its scores begin: in different sets of the cache."""
    most = min(S, span + MOST_QUERIES + wide)  # keys that a block sees, from the beginning of a panel on
    room = -(-most // wide) * wide
    return max(1, min(L, MOST_QUERIES, SCORES // room)), room + lanes


def _attend(
    query: Array, key: Array, value: Array, tables: Array | None, scale: float, causal: bool, before: int
) -> tuple[Array, Array]:
    """Output and norm, where query i stands at the place of key ``before`` + i; ``tables`` [H, span, E] are the vectors
    of the distances from span - 1 down to 0, and no query sees further."""
    batch, dtype = query.shape[:-2], query.dtype
    (L, E), (S, V), heads = query.shape[-2:], value.shape[-2:], math.prod(query.shape[:-2])
    output, norm = np.zeros((*batch, L, V), dtype), np.full((*batch, L), np.inf, dtype)
    if not (output.size and S):
        return output, norm
    span = L + S if tables is None else tables.shape[1]
    e = np.empty(0, dtype) if tables is None else _flat(tables)
    threads = worthwhile(2 * heads * L * min(S, span) * (E + V))
    cuts = 1 if heads >= threads else threads
    lanes = vector.lanes(dtype)
    by_key, wide, S_wide = _width(S, dtype)
    by_value, value_wide, V_wide = _width(V, dtype)
    block, stride = _bands(L, S, span, wide, lanes)
    reach = 0 if tables is None else -(-span // wide) * wide
    with num_threads(threads):
        _forward(threads, lanes, heads, cuts, L, S, E, V, causal, before, span,
                 0 if tables is None else len(tables), dtype.type(scale), block, stride, reach + lanes, by_key, wide,
                 by_value, value_wide, V_wide, _flat(query), _flat(key), _flat(value), e,
                 scratch("attention_keys", threads * S_wide * E, dtype), S_wide * E,
                 scratch("attention_distances", threads * reach * E, dtype), reach * E,
                 scratch("attention_values", threads * S * V_wide, dtype),
                 scratch("attention_scores", threads * block * stride, dtype),
                 scratch("attention_moved", threads * block * (reach + lanes), dtype),
                 scratch("attention_sums", threads * block, dtype),
                 scratch("attention_edge", threads * block * V_wide, dtype), output.reshape(-1),
                 norm.reshape(-1))  # fmt: skip
    return output, norm


def _slopes(
    g: Array, query: Array, key: Array, value: Array, tables: Array | None, output: Array, norm: Array, scale: float,
    causal: bool, before: int,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Gradients of query, key and value, and of the tables, those of each head apart: [heads, span, E]."""
    dtype = query.dtype
    (L, E), (S, V), heads = query.shape[-2:], value.shape[-2:], math.prod(query.shape[:-2])
    dq, dk, dv = np.zeros(query.shape, dtype), np.zeros(key.shape, dtype), np.zeros(value.shape, dtype)
    span = L + S if tables is None else tables.shape[1]
    e = np.empty(0, dtype) if tables is None else _flat(tables)
    de = np.zeros((0 if tables is None else heads, span, E), dtype)
    if not heads * L * S:
        return dq, dk, dv, de
    threads = min(heads, worthwhile(2 * heads * L * min(S, span) * (3 * E + 2 * V)))
    lanes = vector.lanes(dtype)
    by_key, wide, S_wide = _width(S, dtype)
    by_query, query_wide, E_wide = _width(E, dtype)
    by_value, value_wide, V_wide = _width(V, dtype)
    block, stride = _bands(L, S, span, wide, lanes)
    reach = 0 if tables is None else -(-span // wide) * wide
    packed, edge = S_wide * (E + V) + S * (2 * E_wide + V_wide), block * (2 * E_wide + V_wide)
    packed += 0 if tables is None else reach * E + 2 * span * E_wide
    with num_threads(threads):
        _backward(threads, lanes, heads, L, S, E, V, causal, before, span, 0 if tables is None else len(tables),
                  dtype.type(scale), block, stride, reach + lanes, by_key, wide, by_query, query_wide, E_wide,
                  by_value, value_wide, V_wide, _flat(g), _flat(query), _flat(key), _flat(value), e, _flat(output),
                  _flat(norm), scratch("attention_packed", threads * packed, dtype), packed,
                  scratch("attention_scores", threads * block * stride, dtype),
                  scratch("attention_slopes", threads * block * stride, dtype),
                  scratch("attention_moved", threads * block * (reach + lanes), dtype),
                  scratch("attention_edge", threads * edge, dtype), edge, dq.reshape(-1), dk.reshape(-1),
                  dv.reshape(-1), de.reshape(-1))  # fmt: skip
    return dq, dk, dv, de


@register(op="attention_forward", name="cpu.tiles", dtypes=("float32",), default=True, accepts=_plainly)
def attention_forward(
    query: Array, key: Array, value: Array, mask: Array | None, kept: Array | None, scale: float, causal: bool,
    dropout: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Attention; see the head of the file."""
    return _attend(query, key, value, None, scale, causal, 0)


def _backward_plainly(g: Array, *arguments: Any) -> bool:
    return _plainly(*arguments) and not arguments[-1][3]


@register(op="attention_backward", name="cpu.tiles", dtypes=("float32",), default=True, accepts=_backward_plainly)
def attention_backward(
    g: Array, query: Array, key: Array, value: Array, mask: Array | None, kept: Array | None, output: Array,
    norm: Array, scale: float, causal: bool, dropout: float, needs: tuple[bool, bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None, Array | None]:  # fmt: skip
    """Gradients of the sum of ``g * output``; see the head of the file."""
    found = _slopes(g, query, key, value, None, output, norm, scale, causal, 0)[:3]
    return (*(d if need else None for d, need in zip(found, needs)), None)  # type: ignore[return-value]


def _furthest_first(distance: Array, keys: int) -> Array:
    """The vectors of the distances that there are between ``keys`` keys, in the order of these."""
    return distance[:, : max(1, min(distance.shape[1], keys))][:, ::-1]


@register(op="relative_attention_forward", name="cpu.tiles", dtypes=("float32",), default=True)
def relative_attention_forward(
    query: Array, key: Array, value: Array, distance: Array, scale: float
) -> tuple[Array, Array]:
    """Relative attention; see the head of the file."""
    S = key.shape[-2]
    return _attend(query, key, value, _furthest_first(distance, S), scale, True, S - query.shape[-2])


@register(op="relative_attention_backward", name="cpu.tiles", dtypes=("float32",), default=True)
def relative_attention_backward(
    g: Array, query: Array, key: Array, value: Array, distance: Array, output: Array, norm: Array, scale: float,
    needs: tuple[bool, bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None, Array | None]:  # fmt: skip
    """Gradients of the sum of ``g * output``; see the head of the file."""
    S, tables = key.shape[-2], _furthest_first(distance, key.shape[-2])
    dq, dk, dv, each = _slopes(g, query, key, value, tables, output, norm, scale, True, S - query.shape[-2])
    de = np.zeros(distance.shape, distance.dtype)
    if len(each):
        de[:, : tables.shape[1]] = each.reshape(-1, *tables.shape).sum(0)[:, ::-1]
    found = (dq, dk, dv, de)
    return tuple(d if need else None for d, need in zip(found, needs))  # type: ignore[return-value]
