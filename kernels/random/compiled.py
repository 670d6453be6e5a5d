"""The Philox loops for Numba; see ``spec.py`` for the layout of counters and words.

The ten rounds unroll, and LLVM turns the loop over blocks into vectors of blocks (a 32 x 32 -> 64 bit product is one
vector instruction): about a quarter of a nanosecond a word with AVX-512, so that no parallel twin pays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.kernels.cache import njit
from tinydl.kernels.random import spec

u32, u64, f32, f64 = np.uint32, np.uint64, np.float32, np.float64

M0, M1 = u64(spec.M0), u64(spec.M1)
W0, W1 = u32(spec.W0), u32(spec.W1)
ROUNDS = spec.ROUNDS
HALF = u64(32)
ULP24, ULP53 = f32(2.0**-24), 2.0**-53


@njit(inline="always")
def block(key: Any, number: Any) -> Any:
    """The four words of block ``number``, uint32 each."""
    c0, c1, c2, c3 = u32(number), u32(number >> HALF), u32(0), u32(0)
    k0, k1 = u32(key), u32(key >> HALF)
    for _ in range(ROUNDS):
        p0, p1 = u64(c0) * M0, u64(c2) * M1
        c0, c1, c2, c3 = u32(u32(p1 >> HALF) ^ c1 ^ k0), u32(p1), u32(u32(p0 >> HALF) ^ c3 ^ k1), u32(p0)
        k0, k1 = u32(k0 + W0), u32(k1 + W1)
    return c0, c1, c2, c3


@njit
def fill_bits(key: Any, counter: Any, out: Any) -> None:
    """Words of the blocks from ``counter`` on: ``random_bits`` of the card."""
    whole = out.size // 4
    for b in range(whole):
        out[4 * b], out[4 * b + 1], out[4 * b + 2], out[4 * b + 3] = block(key, counter + u64(b))
    words = block(key, counter + u64(whole))
    for i in range(4 * whole, out.size):
        out[i] = words[i - 4 * whole]


@njit(inline="always")
def unit24(word: Any) -> Any:
    """The upper 24 bits of a word as a float32 in [0, 1)."""
    return f32(np.int32(word >> u32(8))) * ULP24  # through int32: vector units convert signed integers


@njit
def fill_uniform_float32(key: Any, counter: Any, out: Any) -> None:
    """One uniform per word, 24 bits: ``random_uniform_float32`` of the card."""
    whole = out.size // 4
    for b in range(whole):
        w0, w1, w2, w3 = block(key, counter + u64(b))
        out[4 * b], out[4 * b + 1] = unit24(w0), unit24(w1)
        out[4 * b + 2], out[4 * b + 3] = unit24(w2), unit24(w3)
    words = block(key, counter + u64(whole))
    for i in range(4 * whole, out.size):
        out[i] = unit24(words[i - 4 * whole])


@njit(inline="always")
def _unit64(low: Any, high: Any) -> Any:
    return f64(np.int64((u64(high) << HALF | u64(low)) >> u64(11))) * ULP53


@njit
def fill_uniform_float64(key: Any, counter: Any, out: Any) -> None:
    """One uniform per two words, 53 bits: ``random_uniform_float64`` of the card."""
    whole = out.size // 2
    for b in range(whole):
        w0, w1, w2, w3 = block(key, counter + u64(b))
        out[2 * b], out[2 * b + 1] = _unit64(w0, w1), _unit64(w2, w3)
    if out.size > 2 * whole:
        w0, w1, _, _ = block(key, counter + u64(whole))
        out[2 * whole] = _unit64(w0, w1)
