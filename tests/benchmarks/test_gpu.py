"""The ledger of CUDA kernels, on a GPU that is virtual: what is verified, timed, written, and gone on with."""

from __future__ import annotations

import csv
import dataclasses
import json
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydl.benchmarks import __main__ as command
from tinydl.benchmarks import gpu as ledger
from tinydl.kernels import launcher, nvrtc, simt
from tinydl.kernels.gpu import Call, CudaKernel, cuda_kernels, host_empty
from tinydl.lab import cuda

compiles = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")


class VirtualGpu:
    """:class:`~tinydl.kernels.launcher.Gpu` on NumPy; its clock is the number of launches."""

    def __init__(self) -> None:
        self.launches = 0

    def facts(self) -> dict[str, str]:
        return {"device": "virtual", "capability": "90", "driver": "13000", "nvrtc": "13.0", "cupy": "-",
                "clock_mhz": "1", "memory_clock_mhz": "1"}  # fmt: skip

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return host_empty(shape, dtype)

    def get(self, array: Any) -> Any:
        return array

    def prepare(self, kernel: CudaKernel, calls: Iterable[Call]) -> tuple[Callable[[], None], Callable[[], None]]:
        own, given = cuda.compiled(kernel.text(), kernel), list(calls)

        def launch() -> None:
            self.launches += 1
            for call in given:
                ptx = own if cuda.own(kernel, call) else cuda.also(call)
                args = [launcher.number(a, k) if not isinstance(a, np.ndarray) and k != "u64" else a
                        for a, k in zip(call.args, launcher.parameters(ptx, call.entry))]  # fmt: skip
                simt.launch(ptx, call.entry, call.grid, call.block, args, False, shared=call.shared)

        return launch, lambda: None

    def seconds(self, action: Callable[[], None], repeats: int, cold: bool = False) -> list[float]:
        return [2e-6 if cold else 1e-6] * repeats

    def copy_bandwidth(self) -> float:
        return 1e12


@pytest.fixture
def tiled(monkeypatch: pytest.MonkeyPatch) -> CudaKernel:
    (kernel,) = cuda.chosen(["matmul:cuda.tiled"])
    few = dataclasses.replace(kernel, dtypes=("float32",), samples=lambda dtype: list(kernel.samples(dtype))[1:4])
    monkeypatch.setattr(ledger, "_rivals", lambda gpu, kernel, arguments: {"other": lambda: None})
    case = {"33 x 5 x 17": ledger._matrices(33, 5, 17)}
    monkeypatch.setattr(ledger, "card", lambda op: dataclasses.replace(cuda.card(op), cases=case))
    monkeypatch.setattr(ledger, "LARGE", {})
    return few


@compiles
def test_a_kernel_is_verified_and_timed(tiled: CudaKernel, tmp_path: Path) -> None:
    assert ledger.standing(tiled, tmp_path) == "unverified on hardware"
    said: list[str] = []
    gpu = VirtualGpu()
    assert ledger.run(gpu, [tiled], said.append, folder=tmp_path)
    timed, sampled = ledger.entries(tmp_path)
    assert (timed.kernel, timed.case, timed.dtype) == ("matmul:cuda.tiled", "33 x 5 x 17", "float32") and timed.verified
    assert 0 < timed.error < 1 and timed.sha256 == ledger.digest(tiled) and timed.device == "virtual"
    assert (timed.warm_us, timed.cold_us, timed.warm_iqr) == (pytest.approx(1), pytest.approx(2), pytest.approx(0))
    assert timed.gflops == pytest.approx(2 * 33 * 5 * 17 / 1e3)
    assert timed.gbps == pytest.approx(4 * (33 * 5 + 5 * 17 + 33 * 17) / 2e3)
    assert timed.roof == pytest.approx(timed.gbps / 1e3)
    assert (timed.rival, timed.ratio) == ("other", pytest.approx(1))
    assert sampled.case == "3 samples" and sampled.verified and sampled.warm_us is None
    assert len(said) == 2 and "1.0 us warm, 2.0 us cold" in said[0]
    assert ledger.standing(tiled, tmp_path) == "verified on virtual"
    by_digest = json.loads((tmp_path / "ledger.json").read_text())
    assert list(by_digest) == [ledger.digest(tiled)]
    with open(tmp_path / "ledger.csv", newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == ["33 x 5 x 17", "3 samples"]


@compiles
def test_it_goes_on_where_it_stopped(tiled: CudaKernel, tmp_path: Path) -> None:
    gpu, said = VirtualGpu(), []
    ledger.run(gpu, [tiled], lambda line: None, folder=tmp_path)
    launches = gpu.launches
    assert ledger.run(gpu, [tiled], said.append, folder=tmp_path) and gpu.launches == launches
    assert said == ["matmul:cuda.tiled: verified on virtual"]
    assert ledger.run(gpu, [tiled], said.append, folder=tmp_path, again=True) and gpu.launches == 2 * launches
    assert len(ledger.entries(tmp_path)) == 2  # in the place of the older rows
    assert ledger.run(gpu, [tiled], said.append, folder=tmp_path, seconds=-1)
    assert said[-1].endswith("the next run goes on with matmul:cuda.tiled")


@compiles
def test_a_wrong_kernel_is_not_timed(tiled: CudaKernel, tmp_path: Path) -> None:
    source = tmp_path / tiled.source.name
    source.write_text(tiled.text().replace("sum += a[y][i]", "sum += a[y][0]", 1))
    wrong = dataclasses.replace(tiled, source=source)
    assert ledger.digest(wrong) != ledger.digest(tiled)
    assert not ledger.run(VirtualGpu(), [wrong], lambda line: None, folder=tmp_path / "results")
    (row,) = ledger.entries(tmp_path / "results")
    assert not row.verified and row.warm_us is None and "instead of" in row.problem
    assert ledger.standing(wrong, tmp_path / "results") == "WRONG on virtual"
    assert ledger.standing(tiled, tmp_path / "results") == "unverified on hardware"


@compiles
def test_one_that_does_not_compile_is_wrong(tiled: CudaKernel, tmp_path: Path) -> None:
    source = tmp_path / tiled.source.name
    source.write_text(tiled.text().replace("T sum = 0;", "T sum = 0", 1))
    (row,) = ledger.examine(VirtualGpu(), dataclasses.replace(tiled, source=source))
    assert not row.verified and row.problem.startswith("3_tiled.cu:")


def test_a_device_that_lacks_what_it_needs(tiled: CudaKernel, tmp_path: Path) -> None:
    newer = dataclasses.replace(tiled, minimum="100", needs="tcgen05")
    said: list[str] = []
    assert ledger.run(VirtualGpu(), [newer], said.append, folder=tmp_path)
    assert said == ["matmul:cuda.tiled: left out, virtual lacks tcgen05"] and not ledger.entries(tmp_path)


# -- the launcher's parts that need no device --------------------------------------------------------------------------

PTX = """
.visible .entry one(
	.param .u64 .ptr .align 1 one_param_0,
	.param .u32 one_param_1,
	.param .f64 one_param_2
)
{
	ret;
}
.visible .entry none()
{
}
"""


def test_parameters_of_a_kernel() -> None:
    assert launcher.parameters(PTX, "one") == ("u64", "u32", "f64")
    assert launcher.parameters(PTX, "none") == ()
    with pytest.raises(KeyError):
        launcher.parameters(PTX, "on")


@compiles
@pytest.mark.parametrize("kernel", cuda_kernels()[::4], ids=lambda kernel: kernel.key)
def test_parameters_are_as_many_as_a_plan_passes(kernel: CudaKernel) -> None:
    own = cuda.compiled(kernel.text(), kernel)
    for dtype in kernel.dtypes:
        for call in cuda.planned(kernel, kernel.small(np.dtype(dtype).type))[0]:
            ptx = own if cuda.own(kernel, call) else cuda.also(call)
            kinds = launcher.parameters(ptx, call.entry)
            assert len(kinds) == len(call.args)
            for argument, kind in zip(call.args, kinds):
                pointer = isinstance(argument, np.ndarray) or hasattr(argument, "addresses")
                assert kind == "u64" if pointer else launcher.number(argument, kind).dtype.name


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, "u32", np.uint32(3)), (-1, "u32", np.uint32(2**32 - 1)), (-1, "s64", np.int64(-1)),
        (2**64 - 1, "u64", np.uint64(2**64 - 1)), (0.5, "f32", np.float32(0.5)), (2, "f64", np.float64(2)),
        (np.float32(1), "b32", np.uint32(0x3F800000)), (True, "u8", np.uint8(1)),
    ],
)  # fmt: skip
def test_numbers_as_parameters(value: Any, kind: str, expected: Any) -> None:
    found = launcher.number(value, kind)
    assert found == expected and found.dtype == expected.dtype


def test_structures_as_parameters() -> None:
    found = launcher.number(b"\1\2\3", "b8")
    assert isinstance(found, np.ndarray) and found.tobytes() == b"\1\2\3"


# -- the command -------------------------------------------------------------------------------------------------------


def test_without_a_gpu_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(self: Any) -> None:
        raise launcher.NoGpu("there is no GPU: CuPy counts 0 devices")

    monkeypatch.setattr(launcher.Gpu, "__init__", absent)
    assert command.main(["gpu", "matmul"]) == 2
    assert capsys.readouterr().err == "tinydl.benchmarks: error: there is no GPU: CuPy counts 0 devices\n"


def test_without_cupy_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(launcher.NoGpu, match=r"CuPy, .*, is not installed: pip install .cupy-cuda13x\[ctk\]>=14.2"):
        launcher.Gpu()


def test_of_an_unknown_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["gpu", "matmul:cuda.tild"]) == 2
    said = capsys.readouterr().err
    assert "there is no CUDA kernel 'matmul:cuda.tild'; known: " in said and "matmul:cuda.naive" in said


# -- what fits on a device ---------------------------------------------------------------------------------------------


class Driver:
    """What the launcher asks CuPy's driver for, of a device that holds three blocks on each of two multiprocessors."""

    CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 1, 8

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def funcGetAttribute(self, attribute: int, function: int) -> int:
        return 1024

    def funcSetAttribute(self, function: int, attribute: int, value: int) -> None:
        self.asked.append((attribute, value))

    def occupancyMaxActiveBlocksPerMultiprocessor(self, function: int, threads: int, shared: int) -> int:
        return 3


@pytest.fixture
def small_gpu() -> launcher.Gpu:
    made = object.__new__(launcher.Gpu)
    properties = {"name": b"small"}
    runtime = types.SimpleNamespace(getDeviceProperties=lambda number: properties)
    made.cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(driver=Driver(), runtime=runtime))
    attributes = {"MaxSharedMemoryPerBlockOptin": 65536, "MultiProcessorCount": 2}
    made.device = types.SimpleNamespace(id=0, attributes=attributes)
    return made


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call("k", (7,), (32,), (), resident=True), "has 7 blocks that wait for each other; small holds 6 at once"),
        (Call("k", (1,), (32,), (), shared=64513), "wants 65537 bytes of shared memory for a block; small has 65536"),
    ],
)
def test_a_launch_that_does_not_fit_is_refused(
    tiled: CudaKernel, small_gpu: launcher.Gpu, call: Call, words: str
) -> None:
    with pytest.raises(launcher.NoRoom, match=f"matmul:cuda.tiled {words}"):
        small_gpu._find_room(tiled, types.SimpleNamespace(ptr=0), call)


def test_a_launch_that_fits_gets_its_memory(tiled: CudaKernel, small_gpu: launcher.Gpu) -> None:
    function = types.SimpleNamespace(ptr=0)
    small_gpu._find_room(tiled, function, Call("k", (6,), (32,), (), shared=64512, resident=True))
    small_gpu._find_room(tiled, function, Call("k", (700,), (32,), ()))
    assert small_gpu.cupy.cuda.driver.asked == [(8, 64512)]


@compiles
def test_what_does_not_fit_is_left_out(tiled: CudaKernel) -> None:
    class Full(VirtualGpu):
        def prepare(self, kernel: CudaKernel, calls: Iterable[Call]) -> Any:
            raise launcher.NoRoom("full")

    said: list[str] = []
    assert ledger.examine(Full(), tiled, said.append) == []  # nothing was verified
    assert said[0] == "matmul:cuda.tiled sample 0: left out, full"
