"""CUDA kernels of softmax, losses, norms and reductions: what they move, and what their cards leave open."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from tinydl.kernels import gpu, nvrtc, simt
from tinydl.lab import cuda

pytestmark = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")


@functools.cache
def module(key: str) -> tuple[gpu.CudaKernel, Any]:
    """A kernel and what its source compiles to."""
    (kernel,) = cuda.chosen([key])
    return kernel, simt.parse(cuda.compiled(kernel.text(), kernel))


def execute(key: str, *arguments: Any) -> tuple[Any, list[simt.Counters]]:
    """A kernel's results on the virtual GPU, whatever its card says of the arguments, and the launches' counts."""
    kernel, ptx = module(key)
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


def test_the_fused_backward_reads_once() -> None:
    x, g, weight = numbers(64, 512), numbers(64, 512), numbers(512)
    given = g, x, weight, x.mean(axis=1), 1 / x.std(axis=1)
    block, fused = (moved(execute(f"layer_norm_backward:cuda.{name}", *given)[1]) for name in ("block", "fused"))
    assert fused < 0.7 * block


def test_a_loss_and_its_gradient_move_the_logits_twice() -> None:
    x, target = numbers(64, 96), np.arange(64)
    _, counted = execute("softmax_cross_entropy:cuda.warp", x, target, None, -100, 0.0, "none")
    assert moved(counted) < 2.3 * x.nbytes


@pytest.mark.parametrize("bad", [-1, 5, 2**40])
@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("kernel", ["softmax_cross_entropy:warp", "softmax_cross_entropy:block", "nll:warp"])
def test_a_target_that_is_no_class_is_seen(kernel: str, reduction: str, bad: int) -> None:
    """The CPU raises; here its row, and every mean, is NaN, and nothing is read outside."""
    x, target, weight = numbers(4, 5), np.array([0, bad, 4, -100]), np.abs(numbers(5))
    smoothing = (0.1,) if "softmax" in kernel else ()
    (loss, gradient), _ = execute(kernel.replace(":", ":cuda."), x, target, weight, -100, *smoothing, reduction)
    if reduction == "mean":
        assert np.isnan(loss) and np.isnan(gradient[:3]).any(axis=1).all()
    else:
        assert np.isnan(loss).tolist() == [False, True, False, False]
        assert np.isnan(gradient).all(axis=1).tolist() == [False, True, False, False]
    assert not gradient[3].any()


def test_slices_are_added_in_the_order_of_the_cpu() -> None:
    """To the bit, though many meet in one place."""
    rng = np.random.default_rng(0)
    at, values = rng.integers(0, 5, 700), numbers(700, 40)
    y = np.zeros((9, 40), np.float32)
    execute("add_slices_:cuda.strips", y, at, values, 1, 9, 40, 1)
    want = np.zeros_like(y)
    np.add.at(want, at, values)
    np.testing.assert_array_equal(y, want)


def test_one_long_line_is_shared_out_to_blocks() -> None:
    x = numbers(1, 50_000) + np.float32(1000)
    (variance, mean), counted = execute("moments:cuda.parts", x, 1, 0.0)
    assert len(counted) == 2 and counted[0].warps > 8 * 20 and moved(counted[:1]) < 1.1 * x.nbytes
    wide = x.astype(np.float64)
    assert abs(variance[0] - wide.var()) < 1e-5 and abs(mean[0] - wide.mean()) < 1e-3
    (norm,), counted = execute("vector_norm:cuda.parts", x, None, 2.0)
    assert norm.shape == () and len(counted) == 2 and abs(norm / np.linalg.norm(wide) - 1) < 1e-6
