"""The upper rungs of the CUDA matmul ladder: every layout, batches, epilogues, what the counters say of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinydl.kernels import card, gpu, nvrtc, simt
from tinydl.kernels.linear import launches as linear
from tinydl.kernels.matmul import launches as matmul
from tinydl.lab import cuda

pytestmark = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")

GEMMS = (matmul.ASYNC, matmul.TF32, matmul.TF32X3, matmul.BF16)


@functools.cache
def module(key: str) -> simt.Module:
    (kernel,) = cuda.chosen([key])
    return simt.parse(cuda.compiled(kernel.text(), kernel))


def computed(kernel: gpu.CudaKernel, plan: Callable[..., Any], *arguments: Any) -> tuple[Any, list[simt.Counters]]:
    """The result of a plan on the virtual GPU, whatever the kernel's own plan and samples are."""
    calls, (result,) = plan(gpu.host_empty, *arguments)
    ptx = module(kernel.key)
    return result, [simt.launch(ptx, c.entry, c.grid, c.block, c.args, shared=c.shared) for c in calls]


def matrices(*shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def off(found: Any, wanted: Any) -> float:
    """The largest error, against the largest entry."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def allowed(kernel: gpu.CudaKernel, dtype: Any) -> float:
    return {**card("matmul").tolerance, **kernel.tolerance}[np.dtype(dtype).name]


# -- layouts and batches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", matmul.TURNED)
@pytest.mark.parametrize("kernel", GEMMS, ids=lambda k: k.name)
def test_every_layout(kernel: gpu.CudaKernel, layout: str) -> None:
    for dtype in kernel.dtypes:
        a, b = matrices((33, 70), (70, 50), dtype=dtype)
        wanted = a.astype(np.float64) @ b
        a, b = (matmul.laid_out(x, turned) for x, turned in zip((a, b), matmul.TURNED[layout]))
        assert matmul.layout_of(a, b) == layout
        found, (counters,) = computed(kernel, kernel.plan, a, b)
        assert off(found, wanted) <= allowed(kernel, dtype) and layout in counters.kernel


@pytest.mark.parametrize("layout", matmul.TURNED)
def test_whole_tiles_ask_no_bank_twice_and_waste_no_sector(layout: str) -> None:
    for kernel in GEMMS:
        a, b = (matmul.laid_out(x, turned) for x, turned in zip(matrices((128, 32), (32, 128)), matmul.TURNED[layout]))
        _, (counters,) = computed(kernel, kernel.plan, a, b)
        assert counters.bank_conflicts == 0 and counters.coalescing == 1.0
        assert counters.sectors == (2 * 128 * 32 + 128 * 128) * 4 // 32  # every number once


@pytest.mark.parametrize("kernel", GEMMS, ids=lambda k: k.name)
def test_a_batch_is_one_launch(kernel: gpu.CudaKernel) -> None:
    a, b, one, heads = matrices((3, 20, 12), (3, 12, 17), (12, 17), (20, 3, 12))
    shared, cut = np.broadcast_to(one, b.shape), heads.swapaxes(0, 1)  # one matrix for all; as attention cuts heads
    for left, right in ((a, b), (a, shared), (cut, b), (a[:0], b[:0])):
        found, launched = computed(kernel, kernel.plan, left, right)
        wanted = left.astype(np.float64) @ right
        assert found.shape == wanted.shape and len(launched) == (len(left) > 0)
        assert not found.size or off(found, wanted) <= allowed(kernel, np.float32)


def test_memory_of_a_view_holds_it_and_begins_where_it_begins() -> None:
    x = np.arange(60, dtype=np.float32).reshape(5, 12)
    for view in (x, x.T, x[:, ::3], x[1:, 2:7], np.broadcast_to(x[0], (4, 12)), x[:0]):
        flat = gpu.memory(view)
        steps = [s // 4 for s in view.strides]
        assert flat.flags.c_contiguous and gpu.forwards(view)
        for i, j in np.ndindex(view.shape):
            assert flat.reshape(-1)[i * steps[0] + j * steps[1]] == view[i, j]
    assert not gpu.forwards(x, x[::-1])


# -- precision ---------------------------------------------------------------------------------------------------------


def test_what_the_precisions_are() -> None:
    """3xTF32 is as exact as float32, by a factor of hundreds more than TF32, which is more exact than bfloat16."""
    a, b = matrices((64, 256), (256, 64))
    wanted = a.astype(np.float64) @ b
    errors = {kernel.name: off(computed(kernel, kernel.plan, a, b)[0], wanted) for kernel in GEMMS}
    assert max(errors["cuda.async"], errors["cuda.tf32x3"]) < 1e-6
    assert 100e-6 < errors["cuda.tf32"] < 1e-3 < errors["cuda.bf16"] < 8e-3
    rounded = [(x.view(np.uint32) + np.uint32(1 << 12) & np.uint32(0xFFFFE000)).view(np.float32) for x in (a, b)]
    assert off(computed(matmul.TF32, matmul.TF32.plan, a, b)[0], rounded[0].astype(np.float64) @ rounded[1]) < 1e-6


def test_less_exact_kernels_say_so() -> None:
    loose = [kernel for kernel in gpu.cuda_kernels() if kernel.op == "matmul" and kernel.tolerance]
    assert loose == [matmul.TF32, matmul.BF16] and all("who asks for it" in kernel.because for kernel in loose)


# -- a linear layer ----------------------------------------------------------------------------------------------------

ACTIVATION: dict[str, Callable[[Any], Any]] = {
    "": lambda x: x, "relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh,
}  # fmt: skip


@pytest.mark.parametrize("activation", linear.ACTIVATIONS)
def test_an_activation_behind_a_layer(activation: str) -> None:
    x, w, b = matrices((9, 20), (13, 20), (13,))
    x[0, 0] = np.nan
    for bias in (b, None):
        found, (counters,) = computed(linear.LINEAR, linear.planned(activation), x, w, bias)
        wanted = ACTIVATION[activation](x.astype(np.float64) @ w.T + (0 if bias is None else bias))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
        assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()


# -- few rows ----------------------------------------------------------------------------------------------------------


def test_few_rows_read_the_large_matrix_once_and_give_the_same_bits() -> None:
    a, b = matrices((1, 1024), (1024, 512))
    found, (first, second) = computed(matmul.SKINNY, matmul.SKINNY.plan, a, b)
    assert first.grid[1] == 4 and "sum" in second.kernel
    read = sum(x.taken for x in first.accesses.values() if x.space == "global" and x.instruction.name == "ld")
    few = 4 * a.nbytes // 32  # each of 4 blocks across reads all of A
    assert read == b.nbytes // 32 + few and first.bank_conflicts == 0
    assert found.tobytes() == computed(matmul.SKINNY, matmul.SKINNY.plan, a, b)[0].tobytes()


def test_what_is_few() -> None:
    accepts = matmul.SKINNY.accepts
    a, b = matrices((16, 40), (40, 17))
    assert accepts(a, b) and not accepts(np.vstack([a, a]), b) and accepts(np.vstack([a, a]), b[:, :16])
    assert not accepts(a[::-1], b)
