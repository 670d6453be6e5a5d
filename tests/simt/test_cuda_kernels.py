"""Every CUDA kernel: compiled within its budget, executed over awkward sizes with all checks, mutated."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydl.cli import main
from tinydl.kernels import card, gpu, nvrtc, simt, use
from tinydl.lab import cuda

compiles = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")

#: The record has all mutants of every kernel; a push, which must stay short, judges one of every fourth again.
FEW, EVERY = 1, 4

#: Operations whose one rung refuses arrays with strides that go backwards; the reference takes those.
FORWARDS = {"linear"}

#: Kernels that are right, but whose mutants were not all judged yet. None may be added.
PENDING = {
    "matmul:cuda.skinny", "softmax_cross_entropy:cuda.warp",
    *(f"{cell}_{way}:cuda.persistent" for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu")
      for way in ("forward", "backward")),
}  # fmt: skip

KERNELS = [kernel.key for kernel in gpu.cuda_kernels()]


def kernel(key: str) -> gpu.CudaKernel:
    (found,) = cuda.chosen([key])
    return found


@compiles
@pytest.mark.parametrize("key", KERNELS)
def test_a_kernel_is_right_and_slips_are_seen(key: str) -> None:
    mutate = key in KERNELS[::EVERY] and key not in PENDING
    row = cuda.check(kernel(key), mutate, FEW)
    assert row.right, json.dumps({k: v for k, v in row.facts().items() if k not in ("compiled", "counters")}, indent=1)
    assert row.mutants == FEW * mutate
    assert row.caught + len(row.answered) == row.mutants
    assert tuple(row.resources) == row.kernel.architectures and all(row.resources.values())


@pytest.mark.parametrize("key", KERNELS)
def test_every_slip_was_seen(key: str) -> None:
    """All mutants of this very source, with these samples, were judged, and none lives unanswered."""
    found = cuda.recorded(kernel(key))
    if key in PENDING:
        assert not found or found["digest"] != cuda.digest(kernel(key)), f"{key} was judged: take it off the list"
        pytest.skip("its mutants were not all judged yet")
    assert found, f"never judged: tinydl kernels check-cuda {key} --record"
    assert found["digest"] == cuda.digest(kernel(key)), f"out of date: tinydl kernels check-cuda {key} --record"
    assert found["caught"] + found.get("elsewhere", 0) >= 10
    assert found["caught"] + found["answered"] == found["mutants"]


@pytest.mark.parametrize("key", KERNELS)
def test_answers_are_of_mutants_that_live(key: str) -> None:
    """An answer for a line that no slip makes is out of date."""
    from tinydl.kernels.simt.mutants import mutants

    whole, _ = kernel(key).whole()
    assert set(cuda.answers(whole)) <= {mutant.result for mutant in mutants(whole)}
    assert all(cuda.answers(whole).values()), "an answer without a reason"


@pytest.mark.parametrize("key", KERNELS)
def test_a_header_says_what_changes(key: str) -> None:
    header = [line for line in kernel(key).text().split("\n\n")[0].split("\n") if line.startswith("//")]
    text = " ".join(header)
    assert "nvrtc:" in text and "hat it should gain" in text or "What to expect" in text
    assert "Unverified on hardware" in text


@pytest.mark.parametrize("op", sorted({k.op for k in gpu.cuda_kernels()}))
def test_some_kernel_takes_what_the_card_asks(op: str) -> None:
    ladder = [k for k in gpu.cuda_kernels() if k.op == op]
    with use(**{card(op).forward: "numpy"}) if card(op).forward else nullcontext():  # saves what kernels of it save
        for dtype in {name for k in ladder for name in k.dtypes}:
            for given in card(op).samples(np.dtype(dtype).type):
                if op in FORWARDS and not gpu.forwards(*(a for a in given if isinstance(a, np.ndarray))):
                    continue
                assert any(dtype in k.dtypes and k.accepts(*given) for k in ladder), [np.shape(a) for a in given]


# -- the ladder teaches what its headers say ---------------------------------------------------------------------------


def counted(name: str) -> simt.Counters:
    """The counts of a product of 128 x 128."""
    k = kernel(f"matmul:cuda.{name}")
    a = np.ones((128, 128), np.float32)
    problem, (counters,) = cuda.run(k, cuda.compiled(k.text(), k), (a, a))
    assert not problem
    return counters


@compiles
def test_each_rung_moves_or_issues_less() -> None:
    rungs = {name: counted(name) for name in ("naive", "coalesced", "tiled", "column", "square", "vectors")}
    assert rungs["naive"].coalescing < 0.2 and all(c.coalescing == 1 for n, c in rungs.items() if n != "naive")
    sectors = [c.sectors for c in rungs.values()]
    assert sectors == sorted(sectors, reverse=True) and sectors[0] > 6 * sectors[1] > 60 * sectors[4]
    loads = {name: c.mix["ld"] for name, c in rungs.items()}
    assert loads["tiled"] > 1.5 * loads["column"] > 3 * loads["square"] > 6 * loads["vectors"]
    assert rungs["square"].bank_conflicts > 0 == rungs["vectors"].bank_conflicts


@compiles
@pytest.mark.parametrize("checks", [False, True])
def test_a_tiled_product_is_right_watched_or_not(checks: bool) -> None:
    k = kernel("matmul:cuda.tiled")
    a, b = np.random.default_rng(0).standard_normal((2, 64, 64)).astype(np.float32)
    c = np.empty_like(a)
    simt.launch(cuda.compiled(k.text(), k), "tiled_float32", 16, (16, 16), [a, b, c, 64, 64, 64], checks)
    np.testing.assert_allclose(c, a @ b, rtol=1e-3, atol=1e-4)


# -- the gate sees what it is for --------------------------------------------------------------------------------------


def changed(tmp_path: Path, before: str, after: str, budget: str | None = None, name: str = "tiled") -> gpu.CudaKernel:
    """A kernel with a change in its source, in a folder of its own."""
    original = kernel(f"matmul:cuda.{name}")
    text = original.text()
    assert before in text
    source = tmp_path / original.source.name
    source.write_text(text.replace(before, after, 1))
    known = (original.source.parent / "budget.json").read_text() if budget is None else budget
    (tmp_path / "budget.json").write_text(known)
    return dataclasses.replace(original, source=source)


@compiles
def test_a_kernel_over_its_budget_is_seen(tmp_path: Path) -> None:
    small = {"tiled_float32": {a: {"registers": 8, "shared": 2047} for a in nvrtc.ARCHITECTURES}}
    row = cuda.check(changed(tmp_path, "x", "x", json.dumps({"3_tiled.cu": small})), mutate=False)
    assert not row.right and any("takes 2048 of shared, and its budget is 2047" in line for line in row.over_budget)
    assert any("of registers, and its budget is 8" in line for line in row.over_budget)
    assert any("tiled_float64 on sm_75 has no budget" in line for line in row.over_budget)


@compiles
def test_spills_are_seen(tmp_path: Path) -> None:
    few = changed(tmp_path, "__launch_bounds__(256)\nsquare_float32", "__maxnreg__(32)\nsquare_float32", name="square")
    row = cuda.check(few, mutate=False)
    assert any("square_float32" in line and "spills" in line for line in row.over_budget), row.facts()


@compiles
@pytest.mark.parametrize(
    ("before", "after", "list_", "words"),
    [
        ("        __syncthreads();\n        for", "        for", "races", "race (read after write)"),
        ("column < N ? B", "column <= N ? B", "wrong", "out of bounds"),
        ("sum += a[y][i]", "sum += a[y][0]", "wrong", "instead of"),
        ("T sum = 0;", "T sum = 1;", "wrong", "instead of"),
        ("T sum = 0;", "T sum = 0", "wrong", "3_tiled.cu:"),
    ],
    ids=["race", "bounds", "value", "start", "syntax"],
)
def test_a_wrong_kernel_is_seen(tmp_path: Path, before: str, after: str, list_: str, words: str) -> None:
    row = cuda.check(changed(tmp_path, before, after), mutate=False)
    assert not row.right and words in getattr(row, list_)[0]


def test_headers_are_part_of_a_source(tmp_path: Path) -> None:
    (tmp_path / "one.cuh").write_text('#include "two.cuh"\nint one;')
    (tmp_path / "two.cuh").write_text("int two;\n#include <cstdint>")
    source = tmp_path / "k.cu"
    source.write_text('// k\n#include "one.cuh"\n#include "two.cuh"\nint k;')
    text, origins = dataclasses.replace(kernel("matmul:cuda.tiled"), source=source).whole()
    assert text == "// k\nint two;\n#include <cstdint>\nint one;\nint k;"
    assert origins == [("k.cu", 1), ("two.cuh", 1), ("two.cuh", 2), ("one.cuh", 2), ("k.cu", 4)]


@compiles
def test_a_slip_in_a_header_is_named_by_its_place(tmp_path: Path) -> None:
    original = kernel("matmul:cuda.tiled")
    (tmp_path / "sum.cuh").write_text("// idle\n__device__ int idle(int n) { return n < 3; }\n")
    changed_ = changed(tmp_path, "\n#define", '\n#include "sum.cuh"\n#define')
    assert cuda.digest(changed_) != cuda.digest(original)
    changed_.source.write_text(changed_.text().replace("T sum = 0;", "T sum = idle(M) * 0;", 1))
    blunt = dataclasses.replace(changed_, samples=lambda dtype: [(np.ones((1, 1), dtype),) * 2])
    assert not any("sum.cuh" in s for s in cuda.check(blunt).survivors)  # times 0: the same PTX, so no mutant
    changed_.source.write_text(changed_.text().replace("idle(M) * 0", "0 * idle(M) + (idle(M) - 1)", 1))
    assert any(s.startswith("sum.cuh:2: n < 3 -> n <= 3 (bound)") for s in cuda.check(blunt).survivors)


@compiles
def test_a_record_is_of_one_source(tmp_path: Path) -> None:
    found = changed(tmp_path, "x", "x")
    assert cuda.recorded(found) == {}
    row = cuda.check(found, few=3)
    cuda.record(row)
    said = cuda.recorded(found)
    assert said["digest"] == cuda.digest(found) == cuda.digest(kernel("matmul:cuda.tiled"))
    assert said["mutants"] == row.mutants == said["caught"] + said["answered"]
    blunt = dataclasses.replace(found, samples=lambda dtype: [(np.ones((1, 1), dtype),) * 2])
    assert cuda.digest(blunt) != said["digest"]


@compiles
def test_a_slip_in_code_of_two_kernels_is_judged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second kernel of a file answers for what the first does not execute: here, a bound of its own."""
    original = kernel("matmul:cuda.tiled")
    source, text = tmp_path / "two.cu", original.text()
    entry = text[text.index('extern "C"') :].partition("\n\n")[0].replace("tiled_float32", "other_float32")
    entry = entry.replace("    multiply", "    if (blockIdx.x < gridDim.x)\n        multiply")
    source.write_text(f"{text}\n{entry}\n")
    given = np.random.default_rng(0).standard_normal((2, 17, 17)).astype(np.float32)
    first = dataclasses.replace(original, source=source, samples=lambda dtype: [tuple(given)])

    def plan(empty: Any, a: Any, b: Any) -> Any:
        calls, results = original.plan(empty, a, b)
        return [dataclasses.replace(c, entry="other_float32") for c in calls], results

    second = dataclasses.replace(first, name="cuda.other", plan=plan)
    monkeypatch.setattr(cuda, "cuda_kernels", lambda: [first, second])
    rows = [cuda.Row(first), cuda.Row(second), cuda.Row(second)]
    cuda._mutate(rows[0], 0)
    cuda._mutate(rows[1], 0)
    cuda._mutate(rows[2], few=3)
    assert rows[0].mutants > 10 and rows[0].elsewhere == 0
    assert rows[1].elsewhere == rows[0].mutants and rows[1].caught == 1
    assert rows[2].mutants == 3 and rows[2].elsewhere == 0  # a few are judged with each

    blunt = dataclasses.replace(first, samples=lambda dtype: [(np.ones((1, 1), dtype),) * 2])
    found = []
    for ladder in ([blunt], [blunt, second]):  # what the first does not see the second may
        monkeypatch.setattr(cuda, "cuda_kernels", lambda ladder=ladder: ladder)
        found.append(cuda.Row(blunt))
        cuda._mutate(found[-1], 0)
    assert len(found[0].survivors) > 3 * len(found[1].survivors) and found[0].mutants == found[1].mutants


@compiles
def test_a_kernel_that_refuses_its_own_sample_is_seen() -> None:
    picky = dataclasses.replace(kernel("matmul:cuda.tiled"), accepts=lambda a, b: a.shape[1] > 0)
    row = cuda.check(picky, mutate=False)
    assert len(row.wrong) == 2 and "refuses a sample of its own" in row.wrong[0] and not row.right


@compiles
def test_a_kernel_for_newer_architectures_alone(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    newer = dataclasses.replace(kernel("matmul:cuda.tiled"), minimum="80", needs="cp.async")
    row = cuda.check(newer, mutate=False)
    assert row.right and list(row.resources) == ["80", "90"] and row.facts()["omitted"] == {"75": "cp.async"}
    assert cuda.totals([row])["compiled"] == 1
    row.resources.pop("80")
    assert not row.right
    monkeypatch.setattr(cuda, "chosen", lambda names: [newer])
    assert main(["kernels", "check-cuda", "tiled", "--no-mutants"]) == 0
    assert "not for sm_75, which has no cp.async" in capsys.readouterr().out
    with pytest.raises(ValueError, match="needs=, what older architectures lack"):
        dataclasses.replace(newer, needs="")


@compiles
def test_a_tolerance_of_its_own(capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path) -> None:
    rough = changed(tmp_path, "sum += a[y][i] * b[i][x]", "sum += a[y][i] * b[i][x] * (T)1.001")
    assert not cuda.check(rough, mutate=False).right
    loose = dataclasses.replace(rough, tolerance={"float32": 0.01, "float64": 0.01}, because="a test's")
    row = cuda.check(loose, mutate=False)
    assert row.right and row.facts()["tolerance"] == loose.tolerance and row.facts()["because"] == "a test's"
    monkeypatch.setattr(cuda, "chosen", lambda names: [loose])
    assert main(["kernels", "check-cuda", "tiled", "--no-mutants"]) == 0
    assert "float32 to 0.01 of the largest entry: a test's" in capsys.readouterr().out
    with pytest.raises(ValueError, match="because=, the reason"):
        dataclasses.replace(loose, because="")


@compiles
def test_who_may_write_what(tmp_path: Path) -> None:
    """An argument is written where the launch says so, and only by an operation whose name ends in an underscore."""
    adding = changed(tmp_path, "C[row * N + column] = sum;", "C[row * N + column] = 2 * C[row * N + column];")
    a = np.ones((2, 2), np.float32)

    def doubled(says: bool) -> Any:
        def plan(empty: Any, table: Any, like: Any, factor: float) -> Any:
            call = gpu.Call("tiled_float32", (1,), (16, 16), (a, a, a, 2, 2, 2), writes=(a,) if says else ())
            return [call], (-1,)

        return dataclasses.replace(adding, op="scale_gradients_", plan=plan)

    ptx = cuda.compiled(adding.text(), adding)
    cuda.run(doubled(True), ptx, (np.ones(1, np.float32),))
    assert (a == 2).all()
    with pytest.raises(simt.OutOfBounds, match="only be read"):
        cuda.run(doubled(False), ptx, (np.ones(1, np.float32),))
    with pytest.raises(ValueError, match=r"writes in place, and 'matmul' does not end in '_'"):
        cuda.run(dataclasses.replace(adding, plan=lambda empty, x, y: doubled(True).plan(empty, x, y, 1)), ptx, (a, a))


@compiles
def test_what_one_launch_leaves_to_the_next_is_new(tmp_path: Path) -> None:
    """A place of scratch memory that no launch wrote is not read."""
    reading = changed(tmp_path, "row < M && k + x < K ? A[row * K + k + x] : 0", "A[0]")

    def plan(empty: Any, x: Any, y: Any) -> Any:
        scratch, c = empty((2, 2), np.float32), empty((2, 2), np.float32)
        return [gpu.Call("tiled_float32", (1,), (16, 16), (scratch, y, c, 2, 2, 2))], (c,)

    a = np.ones((2, 2), np.float32)
    with pytest.raises(simt.Uninitialised, match="argument 0"):
        cuda.run(dataclasses.replace(reading, plan=plan), cuda.compiled(reading.text(), reading), (a, a))


@compiles
def test_a_blunt_sample_lets_slips_live(tmp_path: Path) -> None:
    blunt = dataclasses.replace(kernel("matmul:cuda.tiled"), samples=lambda dtype: [(np.ones((1, 1), dtype),) * 2])
    row = cuda.check(blunt)
    assert len(row.survivors) > 10 and not row.right and "which makes the line" in row.survivors[0]


@compiles
def test_the_sums() -> None:
    row = cuda.check(kernel("matmul:cuda.naive"), mutate=False)
    sums = cuda.totals([row])
    assert list(sums) == ["kernels", "compiled", "over_budget", "simulated", "wrong", "races", "mutants", "caught",
                          "answered", "rows"]  # fmt: skip
    assert (sums["kernels"], sums["compiled"], sums["simulated"], sums["wrong"]) == (1, 1, 1, 0)
    assert 0 < sums["rows"][0]["counters"]["float32"]["occupancy"] <= 1


# -- the command -------------------------------------------------------------------------------------------------------


@compiles
def test_check_cuda(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "check-cuda", "cuda.coalesced", "--no-mutants"]) == 0
    assert capsys.readouterr().out.startswith("matmul:cuda.coalesced")
    assert main(["kernels", "check-cuda", "coalesced", "--no-mutants", "--record"]) == 2
    assert "leave out --no-mutants" in capsys.readouterr().err
    assert main(["kernels", "check-cuda", "coalesced", "--no-mutants", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kernels"] == 1 and said["rows"][0]["right"] and Counter(said)["rows"] == said["rows"]


def test_check_cuda_of_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "check-cuda", "matmul:cuda.tild"]) == 2
    assert "did you mean 'matmul:cuda.tiled'?" in capsys.readouterr().err
