"""A GPU that is missing, too old, too small, or reached by the wrong wheel: one sentence, and what to do."""

from __future__ import annotations

import configparser
import dataclasses
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import tinydl
from tests.meta.tree import ROOT
from tinydl import cuda, elsewhere
from tinydl.cli import main
from tinydl.devices import ELSEWHERE
from tinydl.errors import DeviceError
from tinydl.kernels import launcher, nvrtc, registry
from tinydl.kernels.gpu import cuda_kernels
from tinydl.lab import standin


class CUDARuntimeError(RuntimeError):
    """CuPy's."""


class CompileException(Exception):
    """CuPy's, of a kernel of its own."""


def fake_cupy(
    counted: Any = 1, driver: int = 13000, runtime: int = 13000, capability: str = "90"
) -> Any:  # fmt: skip
    """A module with what is asked of CuPy before it computes."""

    def count() -> int:
        if isinstance(counted, str):
            raise CUDARuntimeError(counted)
        return int(counted)

    cupy = ModuleType("cupy")
    cupy.ndarray = type("ndarray", (), {})  # type: ignore[attr-defined]
    cupy.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError, getDeviceCount=count, driverGetVersion=lambda: driver,
            runtimeGetVersion=lambda: runtime, getDeviceProperties=lambda number: {"name": b"Tesla V100"},
        ),
        Device=lambda: SimpleNamespace(id=0, compute_capability=capability),
        compiler=SimpleNamespace(CompileException=CompileException),
    )  # fmt: skip
    return cupy


ADVICE = """
================================================================
Failed to import CuPy.

Check the Installation Guide for details:
  https://docs.cupy.dev/en/latest/install.html

Original error:
  ImportError: libcudart.so.12: cannot open shared object file: No such file or directory
================================================================
"""


class Broken:
    """An importer that finds CuPy, and cannot load it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "cupy":
            raise ImportError(ADVICE)


THIRTEEN = 'pip install "cupy-cuda13x[ctk]>=14.2"'
NO_DEVICE = "cudaErrorNoDevice: no CUDA-capable device is detected"
TOO_OLD = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
CASES = {
    "not installed": (None, (
        f"CuPy, which launches CUDA kernels, is not installed: {THIRTEEN} (driver 580 or newer) or pip install "
        "\"cupy-cuda12x[ctk]>=14.2\" (driver 525 or newer)",
    )),
    "the wrong wheel": (Broken(), ("CuPy is installed and does not load (ImportError: libcudart.so.12: cannot",
                                   "pip uninstall", THIRTEEN)),
    "no driver": (fake_cupy(TOO_OLD, driver=0), ("there is no NVIDIA driver on this machine: install 580 or newer",)),
    "a driver that is too old": (
        fake_cupy(TOO_OLD, driver=12040),
        ("the NVIDIA driver is too old: it knows CUDA 12.4, and this CuPy needs 13.0; install driver 580 or newer, "
         "or a CuPy that fits: pip install \"cupy-cuda12x[ctk]>=14.2\"",),
    ),
    "no GPU": (fake_cupy(NO_DEVICE), ("there is no GPU: the driver finds none", "CUDA_VISIBLE_DEVICES")),
    "none counted": (fake_cupy(0), ("there is no GPU: CuPy counts 0 devices",)),
    "a GPU that is too old": (
        fake_cupy(capability="70"),
        ("Tesla V100 has compute capability 7.0, and CUDA kernels need 7.5 (Turing) or newer",),
    ),
    "another error": (fake_cupy("cudaErrorSystemNotReady: system not yet initialized"),
                      ("the GPU cannot be used (cudaErrorSystemNotReady: system not yet initialized)",)),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    cupy, words = CASES[request.param]
    assert not ELSEWHERE
    if isinstance(cupy, Broken):
        monkeypatch.delitem(sys.modules, "cupy", raising=False)
        monkeypatch.setattr(sys, "meta_path", [cupy, *sys.meta_path])
    else:
        monkeypatch.setitem(sys.modules, "cupy", cupy)
    return words


def test_without_a_gpu_that_can_be_used(case: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for use in (
        lambda: tinydl.ones(2).to("cuda"), lambda: tinydl.zeros(2, device="cuda"),
        lambda: tinydl.nn.Linear(2, 2).cuda(),
        lambda: tinydl.cuda.synchronize(), lambda: tinydl.cuda.get_device_name(),
    ):  # fmt: skip
        with pytest.raises(DeviceError, match="no CUDA backend is available for device 'cuda': ") as caught:
            use()
        said = str(caught.value)
        assert all(word in said for word in case) and "\n" not in said and said.endswith("; or stay on 'cpu'")
    assert not tinydl.cuda.is_available() and tinydl.cuda.device_count() == 0 and not ELSEWHERE
    assert main(["info", "--json"]) == 0
    assert case[0].replace('"', '\\"') in capsys.readouterr().out
    for command in (["train", "lstm", "nowhere", "--out", "x"], ["train", "lstm", "demo", "--dry-run"]):
        assert main([*command, "--device", "cuda"]) == 2
        out, err = capsys.readouterr()
        assert not out and err.startswith("tinydl: error: no CUDA backend is available") and err.count("\n") == 1
    assert not Path("x").exists()


def test_another_device_is_refused_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "lstm", "demo", "--dry-run", "--device", "cude"]) == 2
    assert "did you mean 'cuda'" in capsys.readouterr().err


def test_the_lines_of_pip_are_the_pins_of_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    for version, line in launcher.WHEELS.items():
        assert line.split('"')[1] in extras[f"cuda{version}"].split()
    assert nvrtc.PIP.removeprefix("pip install ") in extras["nvrtc"].split()


def test_without_a_gpu_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert not ELSEWHERE
    assert not cuda.is_available() and cuda.device_count() == 0 and not cuda.is_initialized()
    assert not tinydl.accelerator.is_available() and tinydl.accelerator.current_accelerator() is None
    assert cuda.memory_allocated() == cuda.memory_reserved() == 0
    assert cuda.max_memory_allocated() == cuda.max_memory_reserved() == 0
    cuda.empty_cache()
    cuda.reset_peak_memory_stats()
    tinydl.manual_seed(3)
    before = tinydl.default_generator.state()
    cuda.manual_seed(9)
    assert tinydl.default_generator.state() == before
    for use in (cuda.init, cuda.synchronize, cuda.current_stream, cuda.Stream, cuda.Event, cuda.current_device):
        with pytest.raises(RuntimeError, match="no CUDA backend is available"):
            use()


# -- while it computes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered"),
         "exp: the GPU cannot be used (cudaErrorIllegalAddress: an illegal memory access was encountered)"),
        (CUDARuntimeError("cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device"),
         "exp: this CuPy holds no code for the GPU"),
        (RuntimeError("CuPy failed to load libcublas.so.13: OSError: libcublas.so.13: cannot open shared object file"),
         f"install CuPy with its libraries: {THIRTEEN}"),
        (CompileException("x.cu(3): error: cannot open source file cuda_fp16.h\n1 error detected"),
         "CuPy cannot compile a kernel of its own (x.cu(3): error: cannot open source file cuda_fp16.h)"),
        (nvrtc.CompileError("exp.cu:12: identifier \"y\" is undefined", "log"),
         "exp: a CUDA source does not compile: exp.cu:12: identifier \"y\" is undefined; correct it"),
        (nvrtc.NvrtcMissing("CUDA kernels are compiled by NVRTC, which is not installed: pip install x"),
         "exp: CUDA kernels are compiled by NVRTC, which is not installed: pip install x"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_goes_wrong_on_the_way_to_the_gpu(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    cupy = fake_cupy()

    def fail(*args: Any, **options: Any) -> None:
        raise error

    with standin.connected() as there:
        monkeypatch.setattr(there.kernels, "explained", lambda e: launcher.explained(cupy, e))
        monkeypatch.setattr(there.kernels.np, "exp", fail, raising=False)
        with pytest.raises(DeviceError) as caught:
            tinydl.ones(2, device="cuda").exp()
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_error_of_another_kind_stays_as_it_is() -> None:
    assert launcher.explained(fake_cupy(), ValueError("no")) is None
    with standin.connected(), pytest.raises(RuntimeError, match="cannot be multiplied|incompatible|mat1") as caught:
        tinydl.ones(2, 3, device="cuda") @ tinydl.ones(2, 3, device="cuda")
    assert not isinstance(caught.value, DeviceError)


def test_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise MemoryError("Out of memory allocating 4,000,000,000 bytes (allocated so far: 80,000,000,000 bytes)")

    with standin.connected() as there:
        monkeypatch.setattr(there.kernels.np, "exp", fail, raising=False)
        with pytest.raises(MemoryError, match=r"exp: there is no memory left on cuda:0 \(Out of memory allocating"):
            tinydl.ones(2, device="cuda").exp()


def test_a_kernel_for_newer_gpus_is_not_taken() -> None:
    newer = {kernel.name for kernel in cuda_kernels() if kernel.op == "matmul" and int(kernel.minimum) > 75}
    assert newer
    with standin.connected() as there:
        assert newer <= {variant.name for variant in there.kernels.variants("matmul")}
        there.kernels.capability = "75"
        registry._forget()
        assert not newer & {variant.name for variant in there.kernels.variants("matmul")}


def test_a_source_that_does_not_compile(tmp_path: Path) -> None:
    """From the file to the sentence, with the real compiler."""
    if not nvrtc.available():
        pytest.skip(f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")
    (kernel,) = [k for k in cuda_kernels() if k.key == "dropout:cuda.philox"]
    source = tmp_path / "broken.cu"
    source.write_text('extern "C" __global__ void k() { y = 1; }\n')
    with pytest.raises(nvrtc.CompileError) as caught:
        standin.run(dataclasses.replace(kernel, source=source), kernel.small("float32"))
    assert launcher.explained(fake_cupy(), caught.value) == (
        'a CUDA source does not compile: broken.cu:1: identifier "y" is undefined; correct it, or choose another '
        "variant with tinydl.kernels.use"
    )


def test_two_devices_in_one_step_of_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """The error that a user of the command line would see of a defect in a model is one sentence too."""
    with standin.connected():
        with pytest.raises(DeviceError, match="Expected all tensors to be on the same device") as caught:
            elsewhere.refuse_two("add", "other", "cuda:0")
    assert isinstance(caught.value, RuntimeError)
