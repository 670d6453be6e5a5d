"""CUDA kernels of recurrent nets and of Gibbs sampling: what the rungs launch and move, and what they refuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tinydl.kernels import gpu, nvrtc, simt
from tinydl.kernels.rbm import spec as rbm
from tinydl.kernels.rnn import launches, spec
from tinydl.lab import cuda

compiles = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")

T, B, I, H = 4, 4, 8, 64
RUNGS = ("pointwise", "step", "persistent")


def kernel(key: str) -> gpu.CudaKernel:
    (found,) = cuda.chosen([key])
    return found


def arguments(op: str, T: int = T, B: int = B, I: int = I, H: int = H, dtype: Any = np.float32) -> tuple[Any, ...]:
    """Of an LSTM's forward, or of the backward that belongs to it."""
    rng = np.random.default_rng(0)
    shapes = (T, B, I), (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,), (4 * H,)
    given = (*(rng.standard_normal(shape).astype(dtype) / 8 for shape in shapes), None, False)
    if op == "lstm_forward":
        return given
    output, hn, cn, gates, cells = spec.lstm_forward(*given)
    return (output, hn, cn, *given, output, gates, cells, (True,) * 7)


def execute(key: str, given: tuple[Any, ...]) -> list[simt.Counters]:
    """The counts of each launch, of results that are right."""
    found = kernel(key)
    problem, counted = cuda.run(found, cuda.compiled(found.text(), found), given)
    assert not problem
    return counted


# -- recurrent nets ----------------------------------------------------------------------------------------------------


@compiles
def test_each_rung_launches_less() -> None:
    for op, more in (("lstm_forward", 2), ("lstm_backward", 5)):
        counts = {name: len(execute(f"{op}:cuda.{name}", arguments(op))) for name in RUNGS}
        step = T if op == "lstm_forward" else T + 1  # the gradient of h0 is a launch of its own
        assert counts == {"pointwise": 2 * T + more, "step": step + more, "persistent": 1 + more}


@compiles
def test_neighbours_of_the_gates_are_read_together() -> None:
    """One thread for each unit, side by side: every sector that is moved is used."""
    for op in ("lstm_forward", "lstm_backward"):
        counted = execute(f"{op}:cuda.pointwise", arguments(op))
        gates = [c for c in counted if c.kernel == f"{op}_float32"]
        assert len(gates) == T and all(c.coalescing == 1 and c.barriers == 0 for c in gates)


@compiles
def test_tiles_of_the_step_ask_different_banks() -> None:
    """Their reads do; the backward's, which are turned on their way into shared memory, meet when they are written."""
    counted = [c for c in execute("lstm_forward:cuda.step", arguments("lstm_forward")) if "lstm" in c.kernel]
    assert len(counted) == T and all(c.bank_conflicts == 0 for c in counted)


@compiles
@pytest.mark.parametrize("op", ["lstm_forward", "lstm_backward"])
def test_the_persistent_rung_reads_the_weights_once(op: str) -> None:
    """A step more reads W_hh once more, and here none of it."""

    def moved(name: str, steps: int) -> int:
        counted = execute(f"{op}:cuda.{name}", arguments(op, steps, B=1))
        return 32 * sum(c.sectors for c in counted if c.kernel.startswith(op))

    more = {name: moved(name, 3) - moved(name, 2) for name in ("step", "persistent")}
    assert more["step"] > 4 * H * H * 4 > 2 * more["persistent"] > 0


def test_only_the_persistent_rung_must_be_resident() -> None:
    for name in RUNGS:
        calls, _ = cuda.planned(kernel(f"lstm_forward:cuda.{name}"), arguments("lstm_forward"))
        assert [c.resident for c in calls if c.entry.startswith("lstm")] == (
            [True] if name == "persistent" else [False] * T
        )


@pytest.mark.parametrize(
    ("H", "dtype", "fits"),
    [(1024, "float32", True), (1025, "float32", False), (641, "float64", False), (640, "float64", True)],
)
def test_the_persistent_rung_refuses_what_does_not_fit(H: int, dtype: str, fits: bool) -> None:
    for op in ("lstm_forward", "lstm_backward"):
        given = arguments(op, 1, 1, 1, H, np.dtype(dtype))
        assert kernel(f"{op}:cuda.persistent").accepts(*given) is fits
        assert kernel(f"{op}:cuda.step").accepts(*given)


@compiles
@pytest.mark.parametrize("op", [f"{cell}_{way}" for cell in spec.GATES for way in ("forward", "backward")])
def test_rows_longer_than_the_registers_of_a_lane(op: str) -> None:
    """The launches that a caller gets, of which some of W_hh is in shared memory; samples are smaller."""
    cell, _, way = op.rpartition("_")
    found = dataclasses.replace(kernel(f"{op}:cuda.persistent"), trial=None)
    sizes = ((2, 1, 1, 260, None, False, ""),)
    make = launches.samples if way == "forward" else launches.backward_samples
    (given,) = make(cell, sizes, np.float64)
    problem, counted = cuda.run(found, cuda.compiled(found.text(), found), given)
    (persistent,) = (c for c in counted if c.kernel == f"{op}_64_float64")
    assert not problem and persistent.shared >= 4 * 8 * spec.GATES[cell] * 8


def test_panels_of_the_cpu_are_refused() -> None:
    given = arguments("lstm_backward")
    panels = tuple(a[None] if n == len(given) - 3 else a for n, a in enumerate(given))
    assert panels[-3].ndim == 5
    assert not any(kernel(f"lstm_backward:cuda.{name}").accepts(*panels) for name in RUNGS)


@compiles
def test_what_is_not_needed_is_not_computed() -> None:
    given = arguments("lstm_backward")
    entries = {c.kernel.rpartition("_")[0] for c in execute("lstm_backward:cuda.step", (*given[:-1], (False,) * 7))}
    assert entries == {"begin", "lstm_backward"}


# -- Gibbs sampling ----------------------------------------------------------------------------------------------------


def machine(N: int, D: int, H: int, steps: int, dtype: Any = np.float32) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    v, weight, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((N, D), (H, D), (N, D), (N, H)))
    return v, weight / 4, b, c, 7, 3, steps


@compiles
def test_a_launch_for_each_layer_or_for_all() -> None:
    given = machine(5, 20, 12, 3)
    assert len(execute("gibbs:cuda.fused", given)) == 6
    (counted,) = execute("gibbs:cuda.chains", given)
    assert counted.shared == 4 * (12 * 21 + 4 * (20 + 12))


@compiles
@pytest.mark.parametrize("name", ["fused", "chains"])
def test_units_are_those_of_the_reference(name: str) -> None:
    """Every bit of a longer chain: 12,000 units, of which none met a probability that was rounded otherwise."""
    found = kernel(f"gibbs:cuda.{name}")
    given = machine(24, 40, 60, 5)
    got: list[Any] = []

    def plan(empty: gpu.Empty, *arguments: Any) -> Any:
        calls, results = found.plan(empty, *arguments)
        got.extend(results)
        return calls, results

    problem, _ = cuda.run(dataclasses.replace(found, plan=plan), cuda.compiled(found.text(), found), given)
    v, _, h = rbm.gibbs(*given)
    assert not problem and (got[0] == v).all() and (got[2] == h).all() and 0 < v.mean() < 1 and 0 < h.mean() < 1


def test_the_chains_rung_refuses_what_does_not_fit() -> None:
    accepts = kernel("gibbs:cuda.chains").accepts
    assert accepts(*machine(1, 88, 150, 1)) and not accepts(*machine(1, 784, 500, 1))
