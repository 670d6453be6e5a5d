"""Kernels in Numba-CUDA: compiled to PTX without a GPU, executed over awkward sizes with all checks, without their
barriers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinydl.kernels import numba_cuda, simt
from tinydl.kernels.gpu import Call
from tinydl.lab import numba_cuda as lab

compiles = pytest.mark.skipif(not numba_cuda.available(), reason=f"compiling Numba-CUDA needs NVVM: {numba_cuda.PIP}")

KERNELS = {kernel.key: kernel for kernel in numba_cuda.numba_kernels()}


def test_what_there_is() -> None:
    assert list(KERNELS) == [
        "matmul:numba.naive", "matmul:numba.coalesced", "matmul:numba.tiled", "matmul:numba.square",
        "conv_forward:numba.conv1d_direct", "conv_forward:numba.conv1d_tiled", "conv_forward:numba.conv2d_direct",
        "conv_forward:numba.conv2d_tiled", "lstm_forward:numba.fused", "gru_forward:numba.fused",
    ]  # fmt: skip


@compiles
@pytest.mark.parametrize("key", KERNELS)
def test_a_kernel_is_right_and_keeps_its_sums_in_registers(key: str) -> None:
    kernel = KERNELS[key]
    assert all(kernel.accepts(*a) for dtype in kernel.dtypes for a in kernel.samples(np.dtype(dtype).type))
    row = lab.check(kernel, few=0)
    assert row.right, row
    assert row.launches >= 2 * len(list(kernel.samples(np.float32))) - 4  # of empty results there are none


@compiles
@pytest.mark.parametrize("key", KERNELS)
def test_every_barrier_is_needed(key: str) -> None:
    kernel = KERNELS[key]
    samples = [s for s in kernel.samples(np.float32) if kernel.accepts(*s)][::-1]
    for entry, make in kernel.functions.items():
        for mutant in (m for m in lab.mutants(entry, make) if m.before.startswith("cuda.sync")):
            assert lab.judge(kernel, mutant, set(), samples, simt.LIMIT).startswith("race"), mutant.words


@pytest.mark.parametrize("key", KERNELS)
def test_answers_are_of_mutants_that_there_are(key: str) -> None:
    for entry, make in KERNELS[key].functions.items():
        made = {f"{m.before} -> {m.after}" for m in lab.mutants(entry, make)}
        assert set(lab.answers(make)) <= made and all(lab.answers(make).values())


# -- the gate sees what it is for --------------------------------------------------------------------------------------


def off_by_one(cuda: Any, real: Any) -> Callable[..., None]:
    def kernel(A, B, C):  # type: ignore[no-untyped-def]
        row, column = cuda.grid(2)
        if row < C.shape[0] and column <= C.shape[1]:
            C[row, column] = real(0)

    return kernel


@compiles
def test_a_wrong_kernel_is_seen() -> None:
    naive = KERNELS["matmul:numba.naive"]
    row = lab.check(dataclasses.replace(naive, functions={"naive": off_by_one}), few=0)
    assert not row.right and "out of bounds" in row.wrong[0]


def test_slips_of_a_function() -> None:
    words = [(m.before, m.after) for m in lab.mutants("off_by_one", off_by_one)]
    assert words == [
        ("row < C.shape[0]", "row < C.shape[0] + 1"), ("row < C.shape[0]", "row < C.shape[0] - 1"),
        ("column <= C.shape[1]", "column <= C.shape[1] + 1"), ("column <= C.shape[1]", "column <= C.shape[1] - 1"),
        ("real(0)", "real(float('nan'))"),
    ]  # fmt: skip


# -- the door ----------------------------------------------------------------------------------------------------------


def test_arguments_are_laid_out_as_numba_passes_them() -> None:
    x = np.zeros((3, 4), np.float32)
    assert numba_cuda.marshalled([x, (1, 2), 5])[:4] == [0, 0, 12, 4]
    assert numba_cuda.marshalled([x, (1, 2), 5])[5:] == [3, 4, 16, 4, 1, 2, 5]
    assert numba_cuda.marshalled([simt.Fresh(x)])[2:4] == [12, 4]


@compiles
def test_sums_of_a_square_stand_in_registers_and_lie_side_by_side() -> None:
    counters = {}
    for name in ("naive", "coalesced", "tiled", "square"):
        a = np.ones((64, 64), np.float32)
        launch = lab.Compiler(KERNELS[f"matmul:numba.{name}"])
        problem, (counters[name],) = lab.execute(launch.kernel, launch, (a, a))
        assert not problem
    assert counters["naive"].coalescing < 0.3 and counters["coalesced"].coalescing == counters["square"].coalescing == 1
    loads = [counters[name].mix["ld"] for name in counters]
    assert loads[1] > 0.9 * loads[2] > 2 * loads[3], loads


def test_a_call_says_what_it_takes() -> None:
    a = np.zeros((2, 3), np.float32)
    calls, (c,) = KERNELS["matmul:numba.tiled"].plan(lambda shape, dtype: np.empty(shape, dtype), a, a.T.copy())
    assert calls == [Call("tiled", (1, 1), (16, 16), calls[0].args)] and c.shape == (2, 2)
