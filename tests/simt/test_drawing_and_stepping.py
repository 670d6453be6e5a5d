"""The CUDA kernels that draw and that step, beside what tinydl does on the CPU; and how often they touch memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.kernels import gpu, nvrtc, simt
from tinydl.kernels.optim import launches, spec
from tinydl.lab import cuda
from tinydl.nn import functional
from tinydl.random import Generator

pytestmark = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")


def execute(key: str, *arguments: Any) -> tuple[Any, list[simt.Counters]]:
    """A kernel's results on the virtual GPU, without a card between, and the counts of its launches."""
    (kernel,) = cuda.chosen([key])
    ptx = cuda.compiled(kernel.text(), kernel)
    calls, results = kernel.plan(gpu.host_empty, *arguments)
    counted = []
    for c in calls:
        args = [simt.Table(a.numbers, a.addresses) if isinstance(a, gpu.Table) else a for a in c.args]
        counted.append(simt.launch(ptx, c.entry, c.grid, c.block, args, shared=c.shared))
    return results[0], counted


def test_draws_are_the_generators() -> None:
    for name, op in (("random", "uniform"), ("normal", "normal")):
        for dtype in (np.float32, np.float64):
            generator = Generator(77)
            generator.random(5)  # somewhere in the stream
            state = generator.state()
            want = getattr(generator, name)(1001, dtype)
            got, _ = execute(f"random_{op}_{np.dtype(dtype).name}:cuda.philox", state["key"], state["counter"], 1001)
            if op == "uniform":
                np.testing.assert_array_equal(got, want)
            else:
                np.testing.assert_array_max_ulp(got, want, 2)


def test_a_counter_in_memory_moves_the_draw() -> None:
    """So that a captured launch draws other numbers each time it is replayed."""
    moved = np.array([2**64 - 3], np.uint64)
    got, _ = execute("random_bits:cuda.philox", 9, moved, 41)
    want, _ = execute("random_bits:cuda.philox", 9, 2**64 - 3, 41)
    np.testing.assert_array_equal(got, want)
    x = np.ones(100, np.float32)
    got, _ = execute("dropout:cuda.philox", x, 9, moved, 0.5)
    np.testing.assert_array_equal(got, execute("dropout:cuda.philox", x, 9, 2**64 - 3, 0.5)[0])
    assert not np.array_equal(got, execute("dropout:cuda.philox", x, 9, 0, 0.5)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_is_the_layers(dtype: str, p: float) -> None:
    """For the same state of a generator the same elements stay, with the same bits; and so do their gradients."""
    x = np.random.default_rng(0).standard_normal((37, 29)).astype(dtype)
    generator = Generator(2**63 + 5)
    generator.random(3)
    state = generator.state()
    given = tinydl.tensor(x, requires_grad=True)
    y = functional.dropout(given, p, generator=generator)
    g = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    y.backward(tinydl.tensor(g))
    got, _ = execute("dropout:cuda.philox", x, state["key"], state["counter"], p)
    np.testing.assert_array_equal(got, y.detach().numpy())
    back, _ = execute("dropout:cuda.philox", g, state["key"], state["counter"], p)
    np.testing.assert_array_equal(back, given.grad.numpy())


def test_what_draws_moves_no_more_than_its_results() -> None:
    n = 1 << 13
    _, (counted,) = execute("random_uniform_float32:cuda.philox", 1, 0, n)
    assert counted.sectors == n * 4 // 32 and counted.coalescing == 1
    _, (counted,) = execute("dropout:cuda.philox", np.ones(n, np.float32), 1, 0, 0.5)
    assert counted.sectors == 2 * n * 4 // 32 and counted.coalescing == 1


def step(op: str, scalars: list[float], shapes: list[tuple[int, ...]]) -> list[simt.Counters]:
    params, grads, table, moments, numbers = spec.sample(shapes, op, "float32", np.random.default_rng(0))
    _, counted = execute(f"{op}:cuda.fused", table, moments, numbers, np.array(scalars))
    assert (numbers == 1).all() and len(params) == len(grads)
    return counted


@pytest.mark.parametrize(
    ("op", "scalars", "moved"),
    [
        ("sgd_", [0.1, 0, 0, 0, 0, 1], 12),
        ("sgd_", [0.1, 0.9, 0, 0, 0, 1], 20),
        ("adam_", [1e-3, 0.9, 0.999, 1e-8, 0, 0, 1, 0], 28),
        ("adam_", [1e-3, 0.9, 0.999, 1e-8, 0, 0, 1, 1], 36),
        ("rmsprop_", [1e-2, 0.99, 1e-8, 0, 0, 0, 1], 20),
        ("adagrad_", [1e-2, 0, 1e-10, 0, 1], 20),
    ],
)
def test_a_step_moves_each_number_once(op: str, scalars: list[float], moved: int) -> None:
    """Bytes an element; beside them each warp reads its piece of the table and what all elements share."""
    n = 4 * launches.PIECE
    _, counted = step(op, scalars, [(n,)])
    assert moved * n / 32 <= counted.sectors <= 1.2 * moved * n / 32


def test_a_step_is_two_launches_whatever_the_number_of_parameters() -> None:
    counted = step("adam_", [1e-3, 0.9, 0.999, 1e-8, 0, 0, 1, 0], [(3, 5), (7,), (), (2, 2)] * 20)
    assert [c.kernel for c in counted] == ["adam_prepare_float32", "adam_step_float32"]
    assert counted[1].grid == (80, 1, 1)


def test_parameters_without_a_gradient_stay_and_are_not_counted() -> None:
    rng = np.random.default_rng(0)
    params, grads, table, moments, numbers = spec.sample([(5,), (6,), (7,)], "adam_", "float32", rng)
    before = [p.copy() for p in params]
    table[1, launches.GRAD] = 0
    execute("adam_:cuda.fused", table, moments, numbers, np.array(spec.SCALARS["adam_"][0]))
    assert numbers.tolist() == [[1, 0, 1]] and len(grads) == 3
    assert [np.array_equal(p, b) for p, b in zip(params, before)] == [False, True, False]
    assert (moments[:, 5:11] == 0).all() and (moments[:2, :5] != 0).all()


def test_an_irregular_row_is_named_and_nothing_is_launched() -> None:
    params, _, table, moments, numbers = spec.sample([(4,), (2, 3)], "sgd_", "float32", np.random.default_rng(0))
    turned = params[1].T
    table[1, launches.PARAM] = id(turned)
    row, counted = execute("sgd_:cuda.fused", table, moments, numbers, np.array(spec.SCALARS["sgd_"][0]))
    assert row == 1 and not counted and (numbers == 0).all()


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999, 0.5, 0.95, 1.0, 0.0])
def test_powers_are_the_cpus(beta: float) -> None:
    """Adam's bias corrections, bit for bit, for counts up to a million."""
    (kernel,) = cuda.chosen(["adam_:cuda.fused"])
    ptx = cuda.compiled(
        '#include "steps.cuh"\nextern "C" __global__ void powers(double base, const double *n, double *out)\n'
        "{\n    out[threadIdx.x] = power(base, n[threadIdx.x]);\n}\n", kernel,
    )  # fmt: skip
    n = np.unique(np.geomspace(1, 1e6, 128).astype(int)).astype(float)
    out = np.empty_like(n)
    simt.launch(ptx, "powers", 1, len(n), [beta, n, out])
    want = np.array([beta ** float(t) for t in n])
    off = out != want
    assert off.mean() < 0.02, "more than the C library's own error accounts for"
    np.testing.assert_array_max_ulp(out, want, 1)


def test_a_factor_in_memory() -> None:
    """The product of gradient clipping, whose factor another kernel leaves."""
    g = np.arange(9, dtype=np.float32)
    table, _, _ = spec.state([g], [g], "", "float32")
    execute("scale_gradients_:cuda.pieces", table, np.empty(0, np.float32), np.array([0.25]))
    assert g.tolist() == [x / 4 for x in range(9)]
