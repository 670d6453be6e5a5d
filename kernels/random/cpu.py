"""Philox on the CPU. The loops stand in ``compiled.py``, which imports Numba and is itself imported when it pays.

A program that draws a few numbers and never trains must not wait for Numba: NumPy serves it until a draw is big or
the compiled loops are there anyway. All variants give the same bits, so the choice shows in the time alone.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.random import spec
from tinydl.kernels.registry import register

# Drawing this many words by NumPy (4.4 ns each) takes as long as loading Numba and the cached loops (0.6 s) would,
# within a factor of three; a program that draws so many is a training run, which needs Numba sooner or later.
WORTH_LOADING = 1 << 16
_COMPILED = "tinydl.kernels.random.compiled"


def _pays(key: int, counter: int, count: int) -> bool:
    return count >= WORTH_LOADING or _COMPILED in sys.modules


@register(op="random_bits", name="cpu.fused", dtypes=("uint32",), accepts=_pays, default=True)
def random_bits(key: int, counter: int, count: int) -> NDArray[np.uint32]:
    from tinydl.kernels.random import compiled

    words = np.empty(count, np.uint32)
    compiled.fill_bits(np.uint64(key), np.uint64(counter), words)
    return words


@register(op="random_uniform_float32", name="cpu.fused", dtypes=("float32",), accepts=_pays, default=True)
def random_uniform_float32(key: int, counter: int, count: int) -> NDArray[np.float32]:
    from tinydl.kernels.random import compiled

    uniforms = np.empty(count, np.float32)
    compiled.fill_uniform_float32(np.uint64(key), np.uint64(counter), uniforms)
    return uniforms


@register(op="random_uniform_float64", name="cpu.fused", dtypes=("float64",), accepts=_pays, default=True)
def random_uniform_float64(key: int, counter: int, count: int) -> NDArray[np.float64]:
    from tinydl.kernels.random import compiled

    uniforms: NDArray[Any] = np.empty(count, np.float64)
    compiled.fill_uniform_float64(np.uint64(key), np.uint64(counter), uniforms)
    return uniforms


@register(op="random_normal_float32", name="cpu.fused", dtypes=("float32",), accepts=_pays, default=True)
def random_normal_float32(key: int, counter: int, count: int) -> NDArray[np.float32]:
    return spec.normals_float32(random_bits(key, counter, 2 * -(-count // 2)), count)


@register(op="random_normal_float64", name="cpu.fused", dtypes=("float64",), accepts=_pays, default=True)
def random_normal_float64(key: int, counter: int, count: int) -> NDArray[np.float64]:
    return spec.normals_float64(random_bits(key, counter, 4 * -(-count // 2)), count)
