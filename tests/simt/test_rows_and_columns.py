"""CUDA kernels of softmax, losses, norms and reductions: what they move, and what their cards leave open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinydl.kernels import gpu, nvrtc, simt
from tinydl.lab import cuda

pytestmark = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")


def execute(key: str, *arguments: Any) -> tuple[Any, list[simt.Counters]]:
    """A kernel's results on the virtual GPU, whatever its card says of the arguments, and the launches' counts."""
    (kernel,) = cuda.chosen([key])
    ptx = cuda.compiled(kernel.text(), kernel)
    calls, results = kernel.plan(gpu.host_empty, *arguments)
    return results, [simt.launch(ptx, c.entry, c.grid, c.block, c.args, shared=c.shared) for c in calls]


def moved(counted: list[simt.Counters]) -> int:
    """Bytes, by whole sectors."""
    return 32 * sum(c.sectors for c in counted)


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_the_rungs_of_softmax_move_less() -> None:
    x = numbers(32, 1024)
    naive, warp, online = (moved(execute(f"softmax:cuda.{name}", x, 1)[1]) for name in ("naive", "warp", "online"))
    assert warp == 2 * x.nbytes and online == 3 * x.nbytes and naive == 8 * 4 * x.nbytes


def test_softmax_down_columns_is_read_together() -> None:
    x = numbers(24, 256)
    _, (counted,) = execute("softmax:cuda.naive", x, 0)
    assert counted.coalescing == 1 and moved([counted]) == 4 * x.nbytes


def test_layer_norm_reads_a_row_once() -> None:
    x, weight, bias = numbers(16, 512), *numbers(2, 512)
    _, (counted,) = execute("layer_norm_forward:cuda.warp", x, weight, bias, 1e-5)
    affine = len(x) * (weight.nbytes + bias.nbytes)  # a warp each; from the caches but for the first
    assert moved([counted]) == 2 * x.nbytes + affine + 2 * len(x) * 32
    assert counted.barriers == 0


def test_slices_are_added_in_the_order_of_the_cpu() -> None:
    """To the bit, though many meet in one place."""
    rng = np.random.default_rng(0)
    at, values = rng.integers(0, 5, 700), numbers(700, 40)
    y = np.zeros((9, 40), np.float32)
    execute("add_slices_:cuda.strips", y, at, values, 1, 9, 40, 1)
    want = np.zeros_like(y)
    np.add.at(want, at, values)
    np.testing.assert_array_equal(y, want)
