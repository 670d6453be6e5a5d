"""PTX as Numba-CUDA emits it (0.30.4, from the functions below; only its mangled names are shortened).

    def numba_matmul(A, B, C):  # float32 matrices; tiles of 8 x 8
        a, b = cuda.shared.array((8, 8), float32), cuda.shared.array((8, 8), float32)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        row, col, s = cuda.blockIdx.y * 8 + y, cuda.blockIdx.x * 8 + x, float32(0)
        for k in range(0, A.shape[1], 8):
            a[y, x] = A[row, k + x] if row < A.shape[0] and k + x < A.shape[1] else float32(0)
            b[y, x] = B[k + y, col] if col < B.shape[1] and k + y < A.shape[1] else float32(0)
            cuda.syncthreads()
            for i in range(8):
                s += a[y, i] * b[i, x]
            cuda.syncthreads()
        if row < C.shape[0] and col < C.shape[1]:
            C[row, col] = s

    def numba_sum(A, out):  # the sum of 2 v + sin(v)
        i = cuda.grid(1)
        v = A[i] if i < A.size else float32(0)
        v = v * float32(2) + math.sin(v)
        for o in (16, 8, 4, 2, 1):
            v += cuda.shfl_down_sync(0xFFFFFFFF, v, o)
        if cuda.laneid == 0:
            cuda.atomic.add(out, 0, v)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.meta.tree import ROOT
from tinydl.kernels import simt

FOLDER = ROOT / "tests" / "simt" / "ptx"


def marshalled(array: Any) -> list[Any]:
    """An array as Numba passes it: two pointers of its own, items, bytes of an item, the data, shape, strides."""
    return [0, 0, array.size, array.itemsize, array, *array.shape, *array.strides]


def test_a_tiled_product() -> None:
    ptx = (FOLDER / "numba_matmul.ptx").read_text()
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((13, 9)).astype(np.float32), rng.standard_normal((9, 11)).astype(np.float32)
    c = np.zeros((13, 11), np.float32)
    args = [*marshalled(a), *marshalled(b), *marshalled(c)]
    counters = simt.launch(ptx, "numba_matmul", (2, 2), (8, 8), args)
    np.testing.assert_allclose(c, a.astype(np.float64) @ b, rtol=1e-5, atol=1e-6)
    assert counters.barriers == 4 * 4 and counters.shared == 512
    for dropped in range(2):
        parts = ptx.split("bar.sync")
        mutant = "bar.sync".join(parts[: dropped + 1]) + "//" + "bar.sync".join(parts[dropped + 1 :])
        with pytest.raises(simt.Race):
            simt.launch(mutant, "numba_matmul", (2, 2), (8, 8), args)


def test_a_sum_by_shuffles_and_an_atomic() -> None:
    ptx = (FOLDER / "numba_sum.ptx").read_text()
    values = np.random.default_rng(1).standard_normal(100).astype(np.float32)
    values[7] = 1e6  # takes sin's way through its table of 2 / pi, in local memory
    total = np.zeros(1, np.float32)
    simt.launch(ptx, "numba_sum", 4, 32, [*marshalled(values), *marshalled(total)])
    wide = values.astype(np.float64)
    assert abs(total[0] - (2 * wide + np.sin(wide)).sum()) < 1.0  # of 2e6, in float32
    values[7] = 0.5
    total[:] = 0
    simt.launch(ptx, "numba_sum", 4, 32, [*marshalled(values), *marshalled(total)])
    wide = values.astype(np.float64)
    assert abs(total[0] - (2 * wide + np.sin(wide)).sum()) < 1e-4
