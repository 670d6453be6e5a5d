"""NVRTC: options of a source, reports read, errors in one sentence, and what is said when it is not there."""

from __future__ import annotations

import subprocess
import sys

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
