"""Philox4x32-10, the counter-based generator behind every random number of tinydl.

Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. A block is a bijection of
a 128-bit counter under a 64-bit key, so the b-th block of a stream can be computed by any thread, on any device,
in any order, and is always the same four 32-bit words.

One round takes the counter words ``(c0, c1, c2, c3)`` and the key words ``(k0, k1)`` to::

    c0' = hi(M1 * c2) ^ c1 ^ k0        c1' = lo(M1 * c2)
    c2' = hi(M0 * c0) ^ c3 ^ k1        c3' = lo(M0 * c0)

with the 64-bit products split into high and low halves; between rounds ``k0 += W0`` and ``k1 += W1`` (mod 2**32).

Layout of the counter, the same in every variant::

    c0, c1 = low, high half of the 64-bit block number        c2 = retry (see Generator.integers)        c3 = 0

Ops (``key`` and ``counter`` are integers in [0, 2**64); block numbers wrap at 2**64):

``random_bits(key, counter, count) -> uint32 [count]``
    Word i is word ``i % 4`` of block ``counter + i // 4``.
``random_uniform_float32(key, counter, count) -> float32 [count]``
    ``(word_i >> 8) * 2**-24``, in [0, 1).
``random_uniform_float64(key, counter, count) -> float64 [count]``
    ``(u_i >> 11) * 2**-53``, in [0, 1), where ``u_i = word_{2i} + 2**32 * word_{2i+1}``.
``random_normal_float32(key, counter, count) -> float32 [count]``, ``random_normal_float64``
    Box and Muller (Ann. Math. Stat. 29, 1958): numbers 2i and 2i + 1 are ``sqrt(-2 ln u) cos(2 pi v)`` and
    ``sqrt(-2 ln u) sin(2 pi v)``, in float64, with ``u = (word_{2i} + 1) * 2**-32`` in (0, 1] and
    ``v = word_{2i+1} * 2**-32`` in [0, 1) for float32; for float64 likewise from ``u_{2i} >> 11`` and
    ``u_{2i+1} >> 11`` with ``2**-53``.
``dropout(x, key, counter, p) -> x's dtype``
    ``x / (1 - p)`` where the float32 uniform of x's place, in row-major order, is at least p, else ``0 x``.

Every operation of bits, uniforms and dropout is exact, so all variants agree bit for bit: the tolerance is zero.
Normals pass through the machine's ``log``, ``sin`` and ``cos``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

M0 = 0xD2511F53
M1 = 0xCD9E8D57
W0 = 0x9E3779B9  # the golden ratio
W1 = 0xBB67AE85  # sqrt(3) - 1
ROUNDS = 10

TOLERANCE = {"float32": 0.0, "float64": 0.0}

_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_SLAB = 1 << 14  # blocks in flight at a time: the eight uint64 temporaries of a slab stay in the L2 cache


def philox4x32(counters: NDArray[np.uint64], key: int, retry: int = 0) -> NDArray[np.uint32]:
    """The blocks ``counters`` (uint64 [N]) under ``key``: uint32 [N, 4]. The plain NumPy definition."""
    c0, c1 = counters & _WORD, counters >> _HALF
    c2, c3 = np.full_like(counters, retry), np.zeros_like(counters)
    return _rounds((c0, c1, c2, c3), (key & 0xFFFFFFFF, key >> 32))


def _rounds(counter: tuple[NDArray[np.uint64], ...], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Ten rounds over counter words kept in the low halves of uint64 arrays (the products need the room)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * np.uint64(M0), c2 * np.uint64(M1)
        c0, c1 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), p1 & _WORD
        c2, c3 = (p0 >> _HALF) ^ c3 ^ np.uint64(k1), p0 & _WORD
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    words = np.empty((len(c0), 4), np.uint32)
    words[:, 0], words[:, 1], words[:, 2], words[:, 3] = c0, c1, c2, c3
    return words


@register(op="random_bits", name="numpy", dtypes=("uint32",))
def random_bits(key: int, counter: int, count: int) -> NDArray[np.uint32]:
    """``count`` words from block ``counter`` on; see the head of the file."""
    blocks = -(-count // 4)
    words = np.empty((blocks, 4), np.uint32)
    for start in range(0, blocks, _SLAB):
        stop = min(start + _SLAB, blocks)
        first = np.uint64((counter + start) % 2**64)
        words[start:stop] = philox4x32(first + np.arange(stop - start, dtype=np.uint64), key)
    return words.reshape(-1)[:count]


@register(op="random_uniform_float32", name="numpy", dtypes=("float32",))
def random_uniform_float32(key: int, counter: int, count: int) -> NDArray[np.float32]:
    """``count`` uniforms on the 2**24 multiples of 2**-24 in [0, 1)."""
    return (random_bits(key, counter, count) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


@register(op="random_uniform_float64", name="numpy", dtypes=("float64",))
def random_uniform_float64(key: int, counter: int, count: int) -> NDArray[np.float64]:
    """``count`` uniforms on the 2**53 multiples of 2**-53 in [0, 1)."""
    return (pairs(random_bits(key, counter, 2 * count)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pairs(words: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Consecutive words as 64-bit numbers, low word first on every machine: uint32 [2N] to uint64 [N]."""
    words = words.astype("<u4", copy=False)
    return words.view("<u8").astype(np.uint64, copy=False)


@register(op="random_normal_float32", name="numpy", dtypes=("float32",))
def random_normal_float32(key: int, counter: int, count: int) -> NDArray[np.float32]:
    """``count`` standard normals of 32 bits each: |z| <= 6.66."""
    return normals_float32(random_bits(key, counter, 2 * -(-count // 2)), count)


@register(op="random_normal_float64", name="numpy", dtypes=("float64",))
def random_normal_float64(key: int, counter: int, count: int) -> NDArray[np.float64]:
    """``count`` standard normals of 53 bits each: |z| <= 8.57."""
    return normals_float64(random_bits(key, counter, 4 * -(-count // 2)), count)


def normals_float32(words: NDArray[np.uint32], count: int) -> NDArray[np.float32]:
    """The normals of an even number of words."""
    return _box_muller(words, 2.0**-32, count, np.float32)


def normals_float64(words: NDArray[np.uint32], count: int) -> NDArray[np.float64]:
    """The normals of a multiple of four words."""
    return _box_muller(pairs(words) >> np.uint64(11), 2.0**-53, count, np.float64)


def _box_muller(bits: NDArray[Any], unit: float, count: int, dtype: Any) -> NDArray[Any]:
    """Normals from an even number of whole ones, each below ``1 / unit``."""
    normals = np.empty((len(bits) // 2, 2), dtype)
    for start in range(0, len(normals), _SLAB):  # a slab at a time, so that temporaries stay in cache
        slab = bits[2 * start : 2 * (start + _SLAB)].astype(np.float64)
        radius = np.sqrt(-2.0 * np.log((slab[0::2] + 1.0) * unit))
        angle = slab[1::2] * (2.0 * math.pi * unit)
        normals[start : start + _SLAB, 0] = radius * np.cos(angle)
        normals[start : start + _SLAB, 1] = radius * np.sin(angle)
    return normals.reshape(-1)[:count]


@register(op="dropout", name="numpy", dtypes=("float32", "float64"))
def dropout(x: NDArray[Any], key: int, counter: int, p: float) -> NDArray[Any]:
    """x, and 0 with probability p, over 1 - p."""
    kept = random_uniform_float32(key, counter, x.size).reshape(x.shape) >= p
    y: NDArray[Any] = x * (kept * x.dtype.type(1 / (1 - p) if p < 1 else 0))
    return y


def flops(key: int, counter: int, count: int) -> int:
    """Integer operations: per block ten rounds of 2 multiplications, 4 xors, 4 splits and 2 key additions."""
    return -(-count // 4) * ROUNDS * 12


def bytes(key: int, counter: int, count: int, itemsize: int = 4) -> int:
    """What is written; nothing is read."""
    return count * itemsize


def samples() -> Iterator[tuple[Any, ...]]:
    """Arguments that reach every edge: nothing, part of a block, a slab and a bit, wrap-around, all key bits."""
    for count in (0, 1, 3, 4, 5, 127, 4 * _SLAB + 6):
        yield 0, 0, count
    yield 0xFFFF_FFFF_FFFF_FFFF, 2**64 - 3, 41
    yield 0x299F_31D0_A409_3822, 2**32 - 5, 100_003


def _dropout_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    """Probabilities from 0 to 1, sizes off every vector width, numbers that are none, any layout."""
    rng = np.random.default_rng(5)
    for p in (0.0, 0.1, 0.5, 1.0):
        yield rng.standard_normal((7, 11)).astype(dtype), 3, 2**64 - 2, p
    for shape in ((0, 3), (), (1,), (4, 257)):
        yield np.asarray(rng.standard_normal(shape), dtype), 2**64 - 1, 12, 0.3
    x = rng.standard_normal((6, 10)).astype(dtype)
    x[0, :3] = np.inf, -np.inf, np.nan
    yield x.T, 1, 0, 0.25
    yield x[:, ::2], 1, 0, 0.25


for _op, _dtype, _says in (
    ("random_bits", "uint32", "Philox4x32-10 of consecutive counters"),
    ("random_uniform_float32", "float32", "the upper 24 of each 32 bits, times 2^-24"),
    ("random_uniform_float64", "float64", "the upper 53 of each 64 bits, times 2^-53"),
    ("random_normal_float32", "float32", "Box and Muller's normals, two from two words"),
    ("random_normal_float64", "float64", "Box and Muller's normals, two from four words"),
):
    describe(
        Card(
            op=_op,
            says=_says,
            samples=lambda dtype: samples(),
            # of normals: 2 units of the last place of those from 2 to 4
            tolerance={_dtype: 4 * 2.0 ** {"float32": -24, "float64": -53}[_dtype] if "normal" in _op else 0.0},
            exact=True,
            flops=flops,
            bytes=functools.partial(bytes, itemsize=8 if _dtype == "float64" else 4),
            cases={
                "10^3": lambda dtype: (1, 0, 1000),
                "10^5": lambda dtype: (1, 0, 100_000),
                "10^6": lambda dtype: (1, 0, 1_000_000),
            },
        )
    )

describe(
    Card(
        op="dropout",
        says="x / (1 - p), and 0 with probability p",
        samples=_dropout_samples,
        tolerance={"float32": 0.0, "float64": 0.0},
        exact=True,
        flops=lambda x, key, counter, p: flops(key, counter, x.size) + 2 * x.size,
        bytes=lambda x, key, counter, p: 2 * x.nbytes,
        cases={
            "10^3": lambda dtype: (np.ones(1000, dtype), 1, 0, 0.5),
            "10^5": lambda dtype: (np.ones(100_000, dtype), 1, 0, 0.5),
            "10^6": lambda dtype: (np.ones(1_000_000, dtype), 1, 0, 0.5),
        },
        rivals={"torch": lambda torch, x, key, counter, p: _torch_dropout(torch, x, p)},
    )
)


def _torch_dropout(torch: Any, x: NDArray[Any], p: float) -> Any:
    """PyTorch's, whose bits are others: the time alone compares."""
    given = torch.from_numpy(x)
    return lambda: None if torch.nn.functional.dropout(given, p) is None else None
