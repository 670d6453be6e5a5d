"""Tensor cores: products of small matrices, laid out by the tables of the PTX ISA written out here once more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.simt.kernels import at, run
from tinydl.kernels import simt
from tinydl.kernels.simt import floats

RNG = np.random.default_rng(3)


def small(shape: tuple[int, int]) -> Any:
    """Numbers that every format holds exactly, whose products sum exactly in float32."""
    return RNG.integers(-8, 9, shape).astype(np.float32) / 4


def bits16(matrix: Any, kind: str) -> Any:
    return floats.to_bfloat16(matrix) if kind == "bf16" else matrix.astype(np.float16).view(np.uint16)


def fragment_a(matrix: Any, kind: str) -> Any:
    """(32, registers) as 9.7.14.5 describes A of 16 x k."""
    k, lanes = matrix.shape[1], []
    for lane in range(32):
        g, t, registers = lane // 4, lane % 4, []
        if kind == "tf32":
            for column in range(0, k, 4):
                registers += [matrix[g, column + t].view(np.uint32), matrix[g + 8, column + t].view(np.uint32)]
        else:
            bits = bits16(matrix, kind).astype(np.uint32)
            for column in range(0, k, 8):
                for row in (g, g + 8):
                    registers.append(bits[row, column + 2 * t] | bits[row, column + 2 * t + 1] << 16)
        lanes.append(registers)
    return np.array(lanes, np.uint32)


def fragment_b(matrix: Any, kind: str) -> Any:
    k, lanes = matrix.shape[0], []
    for lane in range(32):
        g, t, registers = lane // 4, lane % 4, []
        if kind == "tf32":
            registers = [matrix[row + t, g].view(np.uint32) for row in range(0, k, 4)]
        else:
            bits = bits16(matrix, kind).astype(np.uint32)
            registers = [bits[row + 2 * t, g] | bits[row + 2 * t + 1, g] << 16 for row in range(0, k, 8)]
        lanes.append(registers)
    return np.array(lanes, np.uint32)


def fragment_c(matrix: Any) -> Any:
    return np.array([[matrix[n // 4, n % 4 * 2], matrix[n // 4, n % 4 * 2 + 1], matrix[n // 4 + 8, n % 4 * 2],
                      matrix[n // 4 + 8, n % 4 * 2 + 1]] for n in range(32)], matrix.dtype)  # fmt: skip


def names(letter: str, first: int, count: int) -> str:
    return "{" + ", ".join(f"{letter}{n}" for n in range(first, first + count)) + "}"


def load(base: int, registers: int, first: int, letter: str = "%r") -> str:
    """Registers from row ``tid`` of a table."""
    text = at(base, 4 * registers)
    for n in range(registers):
        text += f"    ld.global.b32 {letter}{first + n}, [%rd50+{4 * n}];\n"
    return text


@pytest.mark.parametrize(("k", "kind"), [(16, "bf16"), (8, "bf16"), (16, "f16"), (8, "f16"), (8, "tf32"), (4, "tf32")])
def test_mma(k: int, kind: str) -> None:
    a, b, c = small((16, k)), small((k, 8)), small((16, 8))
    fa, fb, fc = fragment_a(a, kind), fragment_b(b, kind), fragment_c(c)
    out = np.zeros((64, 4), np.float32)
    body = load(0, fa.shape[1], 1) + load(1, fb.shape[1], 10) + load(2, 4, 20, "%f")
    body += (f"    mma.sync.aligned.m16n8k{k}.row.col.f32.{kind}.{kind}.f32 {names('%f', 30, 4)}, "
             f"{names('%r', 1, fa.shape[1])}, {names('%r', 10, fb.shape[1])}, {names('%f', 20, 4)};\n")  # fmt: skip
    body += f"{at(3, 16)}    st.global.v4.f32 [%rd50], {names('%f', 30, 4)};"
    run(body, np.tile(fa, (2, 1)), np.tile(fb, (2, 1)), np.tile(fc, (2, 1)), out, threads=64)
    wanted = fragment_c(c + a @ b)
    assert (out[:32] == wanted).all() and (out[32:] == wanted).all()


def test_mma_of_halves_into_halves() -> None:
    a, b, c = small((16, 16)), small((16, 8)), small((16, 8))
    c16 = fragment_c(c).astype(np.float16).view(np.uint32)
    out = np.zeros((32, 2), np.uint32)
    body = load(0, 4, 1) + load(1, 2, 10) + load(2, 2, 20)
    body += (f"    mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {names('%r', 30, 2)}, {names('%r', 1, 4)}, "
             f"{names('%r', 10, 2)}, {names('%r', 20, 2)};\n")  # fmt: skip
    body += f"{at(3, 8)}    st.global.v2.b32 [%rd50], {names('%r', 30, 2)};"
    run(body, fragment_a(a, "f16"), fragment_b(b, "f16"), c16, out, threads=32)
    assert (out.view(np.float16) == fragment_c(c + a @ b).astype(np.float16)).all()


def test_mma_of_float64() -> None:
    a, b, c = (RNG.standard_normal(shape) for shape in ((8, 4), (4, 8), (8, 8)))
    lane = np.arange(32)
    out = np.zeros((32, 2))
    body = f"{at(0, 8)}    ld.global.f64 %fd1, [%rd50];\n{at(1, 8)}    ld.global.f64 %fd2, [%rd50];\n"
    body += f"{at(2, 16)}    ld.global.v2.f64 {{%fd3, %fd4}}, [%rd50];\n"
    body += "    mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%fd5, %fd6}, {%fd1}, {%fd2}, {%fd3, %fd4};\n"
    body += f"{at(3, 16)}    st.global.v2.f64 [%rd50], {{%fd5, %fd6}};"
    run(body, a[lane // 4, lane % 4], b[lane % 4, lane // 4], c.reshape(32, 2), out, threads=32)
    np.testing.assert_allclose(out.reshape(8, 8), c + a @ b, rtol=1e-14)


def test_tf32_ignores_the_lower_bits() -> None:
    a, b = np.full((16, 8), 1 + 2.0**-12, np.float32), np.ones((8, 8), np.float32)
    out = np.zeros((32, 4), np.float32)
    body = load(0, 4, 1) + load(1, 2, 10)
    body += ("    mov.f32 %f20, 0f00000000;\n"
             "    mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f30, %f31, %f32, %f33}, "
             "{%r1, %r2, %r3, %r4}, {%r10, %r11}, {%f20, %f20, %f20, %f20};\n")  # fmt: skip
    run(f"{body}{at(2, 16)}    st.global.v4.f32 [%rd50], {names('%f', 30, 4)};", fragment_a(a, "tf32"),
        fragment_b(b, "tf32"), out, threads=32)  # fmt: skip
    assert (out == 8).all()


def test_mma_needs_the_whole_warp() -> None:
    text = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f30, %f31, %f32, %f33}, {%r1, %r2, %r3, %r4}, {%r10, %r11}, {%f20, %f20, %f20, %f20};"  # noqa: E501
    with pytest.raises(simt.WarpMask, match="needs all 32 threads"):
        run(f"    {text}", np.zeros(1), threads=16)


@pytest.mark.parametrize("trans", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix(count: int, trans: bool) -> None:
    source = np.arange(count * 64, dtype=np.uint16).reshape(count, 8, 8)
    out = np.zeros((32, 4), np.uint32)
    run(f"""
    .shared .align 16 .b8 tile[512];
    mov.u32 %r1, tile;
    setp.ge.u32 %p1, %r60, {8 * count};
    mad.lo.u32 %r1, %r60, 16, %r1;
    @%p1 bra FILLED;
{at(0, 16)}
    ld.global.v4.u32 {{%r2, %r3, %r4, %r5}}, [%rd50];
    st.shared.v4.u32 [%r1], {{%r2, %r3, %r4, %r5}};
FILLED:
    bar.sync 0;
    ldmatrix.sync.aligned.m8n8.x{count}{'.trans' if trans else ''}.shared.b16 {names('%r', 10, count)}, [%r1];
{at(1, 16)}
""" + "".join(f"    st.global.u32 [%rd50+{4 * n}], %r{10 + n};\n" for n in range(count)), source, out, threads=32)
    for lane in range(32):
        for matrix in range(count):
            row, column = lane // 4, lane % 4 * 2
            pair = source[matrix, column : column + 2, row] if trans else source[matrix, row, column : column + 2]
            assert out[lane, matrix] == int(pair[0]) | int(pair[1]) << 16
