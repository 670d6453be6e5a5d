"""NVRTC: options of a source, reports read, errors in one sentence, and what is said when it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.tree import ROOT
from tinydl.kernels import nvrtc
from tinydl.kernels.simt import parse

KERNEL = 'extern "C" __global__ void k(float *x) { __shared__ float s[8]; s[threadIdx.x] = *x; *x = s[0]; }'

needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason=f"needs NVRTC: {nvrtc.PIP}")


def test_options_stand_in_the_first_lines() -> None:
    text = "// nvrtc: -std=c++17 --use_fast_math\n// words\n// nvrtc: -DN=3\n\n// nvrtc: -DLATE\n"
    assert nvrtc.options_of(text) == ["-std=c++17", "--use_fast_math", "-DN=3"]
    assert nvrtc.options_of("int x;") == []


REPORT = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'first' for 'sm_90'
ptxas info    : Function properties for first
ptxas         .     16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 16 bytes cumulative stack size, 2048 bytes smem
ptxas info    : Compile time = 22.185 ms
ptxas info    : Compiling entry function 'second' for 'sm_90'
ptxas info    : Function properties for second
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, 336 bytes cmem[0]
"""


def test_the_report_of_the_assembler() -> None:
    found = nvrtc.read_resources(REPORT)
    assert found == {"first": nvrtc.Resources(32, 2048, 16, 12, 8), "second": nvrtc.Resources(8, 0, 0, 0, 0)}
    assert found["first"].spills == 20


@needs_nvrtc
@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_a_kernel_is_compiled(architecture: str) -> None:
    made = nvrtc.compile_cuda(KERNEL, "x.cu", architecture=architecture)
    assert made.cubin[:4] == b"\x7fELF" and f".target sm_{architecture}" in made.ptx
    assert parse(made.ptx).entries == ["k"] and made.resources["k"].shared == 32 and made.resources["k"].registers > 4


@needs_nvrtc
def test_ptx_alone() -> None:
    made = nvrtc.compile_cuda(KERNEL, assemble=False, options=["-DUNUSED"])
    assert not made.cubin and not made.resources and parse(made.ptx).entries == ["k"]
    assert nvrtc.version() == "13.0"


@needs_nvrtc
def test_errors_are_one_sentence() -> None:
    with pytest.raises(nvrtc.CompileError) as caught:
        nvrtc.compile_cuda("__global__ void k()\n{\n    y = 1;\n    z = 2;\n}", "x.cu")
    assert str(caught.value) == 'x.cu:3: identifier "y" is undefined' and '"z" is undefined' in caught.value.log
    with pytest.raises(nvrtc.CompileError, match=r"x\.cu: .*gpu-architecture"):
        nvrtc.compile_cuda(KERNEL, "x.cu", architecture="11")


def test_without_nvrtc_the_line_that_installs_it_is_named() -> None:
    code = (
        "import sys; sys.modules['nvidia'] = None\n"
        "from tinydl.kernels import nvrtc\n"
        "assert not nvrtc.available()\n"
        "try: nvrtc.compile_cuda('')\n"
        "except nvrtc.NvrtcMissing as error: print(error)\n"
        "from tinydl.cli import main\n"
        "print(main(['kernels', 'check-cuda']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    line = "CUDA kernels are compiled by NVRTC, which is not installed: pip install nvidia-cuda-nvrtc==13.0.88"
    assert done.stdout.split("\n")[:2] == [line, "2"] and line in done.stderr


# -- what is kept ------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path / "tinydl" / "cuda"


def never(*given: object) -> nvrtc.Compiled:
    raise AssertionError("it was compiled again")


@needs_nvrtc
def test_what_was_compiled_is_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = nvrtc.compile_cuda(KERNEL, keep=True)
    (file,) = kept.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(nvrtc, "_compile", never)
        assert nvrtc.compile_cuda(KERNEL, keep=True) == first and first.cubin and first.resources["k"].shared == 32
        for other in ({"assemble": False}, {"architecture": "80"}, {"options": ["-DN=1"]}, {"lines": False}):
            with pytest.raises(AssertionError, match="compiled again"):
                nvrtc.compile_cuda(KERNEL, keep=True, **other)  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="compiled again"):
            nvrtc.compile_cuda(KERNEL)  # not asked to look
    whole = file.read_bytes()
    for at in range(0, len(whole), 97):  # a byte that the disk has changed
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert nvrtc._read(file) is None
    file.write_bytes(whole[:-200])
    again = nvrtc.compile_cuda(KERNEL, keep=True)
    assert (again.ptx, again.resources) == (first.ptx, first.resources)
    monkeypatch.setattr(nvrtc, "_compile", never)
    assert nvrtc.compile_cuda(KERNEL, keep=True) == again, "a damaged file is made anew"


@needs_nvrtc
def test_a_header_is_part_of_what_is_kept(kept: Path, tmp_path: Path) -> None:
    text = '#include "n.cuh"\nextern "C" __global__ void k(int *x) { *x = N; }'
    found = []
    for folder, n in (("a", 1), ("b", 2), ("c", 1)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "n.cuh").write_text(f"#define N {n}\n")
        made = nvrtc.compile_cuda(text, include=[tmp_path / folder], assemble=False, keep=True)
        found.append((made, len(list(kept.iterdir()))))
    assert [files for _, files in found] == [1, 2, 2] and found[0][0] == found[2][0] != found[1][0]


@needs_nvrtc
def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert nvrtc.compile_cuda(KERNEL, keep=True).cubin
    with pytest.raises(nvrtc.CompileError):
        nvrtc.compile_cuda("error", keep=True)


@needs_nvrtc
def test_the_oldest_go_first(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "MOST_KEPT", 2)
    for n in range(4):
        nvrtc.compile_cuda(KERNEL, assemble=False, options=[f"-DN={n}"], keep=True)
        newest = max(kept.iterdir(), key=lambda path: path.stat().st_mtime)
        os.utime(newest, (n + 1, n + 1))
        assert len(list(kept.iterdir())) == min(n + 1, 2)
    assert {path.stat().st_mtime for path in kept.iterdir()} == {3, 4}
