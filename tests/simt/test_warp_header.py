"""The headers that kernels of many families share, in both types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinydl.kernels import gpu, nvrtc, simt

pytestmark = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")

THREADS, BLOCKS = 96, 2

#: Every thread brings a number; of each join, all threads of a warp and of a block get the result. Those
#: of one type have a barrier between them.
SOURCE = """
#include "pack.cuh"
#include "warp.cuh"

template <typename T>
__device__ void all(const T *x, T *out, int n)
{
    int at = blockIdx.x * THREADS + threadIdx.x;
    T one = x[at], *to = out + at;
    *to = over_warp(one, Plus()), to += n;
    *to = over_block<THREADS>(one, Plus()), to += n;
    __syncthreads();
    *to = over_block<THREADS>(one, Greater()), to += n;
    __syncthreads();
    *to = over_block<THREADS>(one, Lesser()), to += n;
    Two<T> two = over_block<THREADS>(Two<T>{one, one * one}, Plus());
    *to = two.a, to += n, *to = two.b, to += n;
    Exponentials<T> none = {-__int_as_float(0x7f800000), T(0)};
    Exponentials<T> e = over_block<THREADS>(threadIdx.x % 3 ? Exponentials<T>{one, T(1)} : none, Shift());
    *to = e.top, to += n, *to = e.sum, to += n;
    Moments<T> nothing = {T(0), T(0), T(0)};
    Moments<T> m = over_block<THREADS>(threadIdx.x % 5 ? Moments<T>{T(1), one, T(0)} : nothing, Pool());
    *to = m.count, to += n, *to = m.mean, to += n, *to = m.squares;
}

template <typename T>
__device__ void move(const T *x, T *out, int n)
{
    if (in_packs(x, n)) {
        if (threadIdx.x < n / Pack<T>::COUNT)
            put(out + threadIdx.x * Pack<T>::COUNT, get(x + threadIdx.x * Pack<T>::COUNT));
    } else if (threadIdx.x < n)
        out[threadIdx.x] = x[threadIdx.x] + 1; // so that the way is seen
}
"""
for _type, _name in (("float", "float32"), ("double", "float64")):
    for _function in ("all", "move"):
        SOURCE += (
            f'extern "C" __global__ void {_function}_{_name}(const {_type} *x, {_type} *out, int n)\n'
            f"{{\n    {_function}(x, out, n);\n}}\n"
        )


def compiled() -> str:
    source = SOURCE.replace("THREADS", str(THREADS))
    return nvrtc.compile_cuda(source, include=[gpu.SHARED], assemble=False, options=["-std=c++17"]).ptx


def wanted(x: Any) -> Any:
    """The same by NumPy, in float64."""
    x = x.astype(np.float64)
    lane = np.arange(THREADS)
    thirds, fifths = x[:, lane % 3 != 0], x[:, lane % 5 != 0]
    top = thirds.max(axis=1)
    rows = (
        x.sum(axis=1), x.max(axis=1), x.min(axis=1), x.sum(axis=1), (x * x).sum(axis=1), top,
        np.exp(thirds - top[:, None]).sum(axis=1), np.full(BLOCKS, fifths.shape[1]), fifths.mean(axis=1),
        fifths.var(axis=1) * fifths.shape[1],
    )  # fmt: skip
    warps = x.reshape(BLOCKS, -1, 32).sum(axis=2).repeat(32, axis=1)
    return np.stack([warps, *(np.repeat(row[:, None], THREADS, axis=1) for row in rows)])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-13)])
def test_reductions(dtype: Any, tolerance: float) -> None:
    x = np.random.default_rng(0).standard_normal((BLOCKS, THREADS)).astype(dtype) * 3
    out = np.empty((11, BLOCKS, THREADS), dtype)
    simt.launch(compiled(), f"all_{x.dtype.name}", BLOCKS, THREADS, [x, simt.Fresh(out), x.size])
    right = wanted(x)
    error = np.abs(out - right).max(axis=(1, 2)) / np.maximum(np.abs(right).max(axis=(1, 2)), 1)
    assert (error <= tolerance).all(), error


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_16_bytes_at_once_where_they_may(dtype: Any) -> None:
    four = 16 // np.dtype(dtype).itemsize
    for columns, skip, whole in ((12, 0, True), (12, 1, False), (12, four, True), (9, 0, False)):
        data = np.arange(columns + skip).astype(dtype)
        got = np.empty(columns, dtype)
        given = [data[skip:], simt.Fresh(got), columns]
        counters = simt.launch(compiled(), f"move_{data.dtype.name}", 1, 32, given)
        assert (got == data[skip:] + (0 if whole else 1)).all()
        assert counters.sectors == -(-got.nbytes // 32) * 2 or skip


def test_threads_agree_to_the_bit() -> None:
    x = np.random.default_rng(1).standard_normal((BLOCKS, THREADS)).astype(np.float32)
    out = np.empty((11, BLOCKS, THREADS), np.float32)
    simt.launch(compiled(), "all_float32", BLOCKS, THREADS, [x, out, x.size])
    assert (out[0].reshape(BLOCKS, -1, 32) == out[0].reshape(BLOCKS, -1, 32)[:, :, :1]).all()
    assert (out[1:6] == out[1:6, :, :1]).all()


def test_not_a_number_is_an_extreme() -> None:
    x = np.zeros((BLOCKS, THREADS), np.float32)
    x[1, 40] = np.nan
    out = np.empty((11, BLOCKS, THREADS), np.float32)
    simt.launch(compiled(), "all_float32", BLOCKS, THREADS, [x, out, x.size])
    assert np.isnan(out[2:4, 1]).all() and (out[2:4, 0] == 0).all()
