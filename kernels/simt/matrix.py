"""The tensor cores: ``mma.sync`` and the loads that feed it (PTX ISA 9.7.14).

D = A B + C of small matrices that the 32 threads of a warp hold together. Which thread holds what is written down once
here, as tables (lane, register, part) -> (row, column). With g = lane // 4 and t = lane % 4:

    A (16 x k): row g or g + 8, columns 2t, 2t + 1 (16-bit) or t (tf32), and the same further right
    B (k x 8):  column g, rows as A's columns
    C, D (16 x 8): rows g and g + 8, columns 2t and 2t + 1

Products are exact and their sum with C is taken in float64 and rounded once; hardware adds in an order, and with a
truncation, that the ISA leaves open, so that results agree to the last places only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.simt import access, floats
from tinydl.kernels.simt.alu import unknown
from tinydl.kernels.simt.errors import WarpMask
from tinydl.kernels.simt.ptx import Instruction, Vector
from tinydl.kernels.simt.wave import Lanes, Step, Wave

Array = NDArray[Any]

_G, _T = np.arange(32) // 4, np.arange(32) % 4


def a_places(k: int, packed: bool) -> tuple[Array, Array]:
    """(rows, columns) of A that each lane holds, (32, registers, parts). ``packed``: two 16-bit numbers a register."""
    parts = 2 if packed else 1
    registers = 16 * k // 32 // parts
    rows, columns = np.zeros((2, 32, registers, parts), np.int64)
    for register in range(registers):
        for part in range(parts):
            rows[:, register, part] = _G + 8 * (register % 2)
            columns[:, register, part] = (_T * parts + part) + 4 * parts * (register // 2)
    return rows, columns


def b_places(k: int, packed: bool) -> tuple[Array, Array]:
    """(rows, columns) of B that each lane holds."""
    parts = 2 if packed else 1
    registers = k * 8 // 32 // parts
    rows, columns = np.zeros((2, 32, registers, parts), np.int64)
    for register in range(registers):
        for part in range(parts):
            rows[:, register, part] = (_T * parts + part) + 4 * parts * register
            columns[:, register, part] = _G
    return rows, columns


def c_places() -> tuple[Array, Array]:
    """(rows, columns) of C and D that each lane holds, (32, 4)."""
    rows = np.stack([_G, _G, _G + 8, _G + 8], axis=1)
    columns = np.stack([2 * _T, 2 * _T + 1, 2 * _T, 2 * _T + 1], axis=1)
    return rows, columns


_SHAPES = {
    ("m16n8k16", "bf16"), ("m16n8k8", "bf16"), ("m16n8k16", "f16"), ("m16n8k8", "f16"), ("m16n8k8", "tf32"),
    ("m16n8k4", "tf32"), ("m8n8k4", "f64"),
}  # fmt: skip


def lower_mma(wave: Wave, i: Instruction, number: int) -> Step:
    """``mma.sync.aligned.shape.row.col.dtype.atype.btype.ctype``."""
    shape = next((part for part in i.parts if part.startswith("m") and "n8k" in part), "")
    result, kind, other, start = i.parts[-4:]
    if (shape, kind) not in _SHAPES or other != kind or not i.has("row") or not i.has("col"):
        raise unknown(i, "shape")
    if kind == "f64":
        return _lower_mma64(wave, i)
    if result not in ("f32", "f16") or start not in ("f32", "f16") or (kind != "f16" and "f16" in (result, start)):
        raise unknown(i, "type")
    k, packed = int(shape.split("k")[1]), kind != "tf32"
    d, a, b, c = (_parts(operand) for operand in i.operands)
    convert = _conversion(kind)
    reads_a, reads_b = ([wave.reader(p, "b32") for p in registers] for registers in (a, b))
    reads_c = [wave.reader(p, "f32" if start == "f32" else "b32") for p in c]
    writes = [wave.writer(p, "f32" if result == "f32" else "b32") for p in d]
    (a_rows, a_columns), (b_rows, b_columns) = a_places(k, packed), b_places(k, packed)
    c_rows, c_columns = c_places()
    if len(a) != a_rows.shape[1] or len(b) != b_rows.shape[1]:
        raise unknown(i, "number of registers")

    def step(lanes: Lanes) -> None:
        warps = whole_warps(wave, i, lanes)
        left, right = np.zeros((warps, 16, k)), np.zeros((warps, k, 8))
        left[:, a_rows, a_columns] = convert(_collect(reads_a, lanes, warps))
        right[:, b_rows, b_columns] = convert(_collect(reads_b, lanes, warps))
        before = _collect(reads_c, lanes, warps)
        added = np.zeros((warps, 16, 8))
        added[:, c_rows, c_columns] = _unpacked(before) if start == "f16" else before
        product = (added + left @ right)[:, c_rows, c_columns]
        if result == "f16":
            halves = floats.to_float16(product).view(np.uint16).astype(np.uint32)
            for place, write in enumerate(writes):
                pair = halves[:, :, 2 * place] | (halves[:, :, 2 * place + 1] << np.uint32(16))
                write(lanes, pair.reshape(-1))
        else:
            single = product.astype(np.float32)
            for place, write in enumerate(writes):
                write(lanes, single[:, :, place].reshape(-1))

    return step


def _lower_mma64(wave: Wave, i: Instruction) -> Step:
    """``m8n8k4`` of float64: one number of A and of B, two of C and D per lane."""
    d, a, b, c = (_parts(operand) for operand in i.operands)
    read_a, read_b = wave.reader(a[0], "f64"), wave.reader(b[0], "f64")
    reads_c, writes = [wave.reader(p, "f64") for p in c], [wave.writer(p, "f64") for p in d]

    def step(lanes: Lanes) -> None:
        warps = whole_warps(wave, i, lanes)
        left = _collect([read_a], lanes, warps).reshape(warps, 8, 4)  # row g, column t
        right = _collect([read_b], lanes, warps).reshape(warps, 8, 4)  # column g, row t
        total = _collect(reads_c, lanes, warps).reshape(warps, 8, 8)
        for k in range(4):  # a chain of fused multiply-adds
            total = floats.fma(left[:, :, None, k], right[:, None, :, k], total)
        values = total.reshape(warps * 32, 2)
        for place, write in enumerate(writes):
            write(lanes, values[:, place])

    return step


def _parts(operand: Any) -> tuple[Any, ...]:
    return operand.parts if isinstance(operand, Vector) else (operand,)


def whole_warps(wave: Wave, i: Instruction, lanes: Lanes) -> int:
    """The number of warps, all of whose 32 threads must be here."""
    who = wave.numbers(lanes)
    lane = wave.lane[who]
    if len(who) % 32 or (lane.reshape(-1, 32) != np.arange(32)).any():
        raise WarpMask(
            f"kernel {wave.program.name}: {i.place} needs all 32 threads of a warp, and not all are there, near "
            f"{wave.who(int(who[0]))}",
            kernel=wave.program.name, instruction=i.text, source=i.source,
        )  # fmt: skip
    return len(who) // 32


def _collect(reads: list[Any], lanes: Lanes, warps: int) -> Array:
    """Registers as (warps, 32, registers)."""
    columns = [np.broadcast_to(read(lanes), (warps * 32,)) for read in reads]
    return np.stack(columns, axis=-1).reshape(warps, 32, len(reads))


def _unpacked(bits: Array) -> Array:
    """Pairs of f16 as numbers: (..., registers) -> (..., 2 registers)."""
    return np.ascontiguousarray(bits).view(np.float16).astype(np.float64)


def _conversion(kind: str) -> Callable[[Array], Array]:
    """Registers (warps, 32, registers) to numbers (warps, 32, registers, parts)."""

    def convert(bits: Array) -> Array:
        if kind == "tf32":
            return floats.cut_tf32(np.ascontiguousarray(bits).view(np.float32)).astype(np.float64)[..., None]
        halves = np.ascontiguousarray(bits).view(np.uint16).reshape(*bits.shape, 2)
        if kind == "bf16":
            return floats.from_bfloat16(halves).astype(np.float64)
        return halves.view(np.float16).astype(np.float64)

    return convert


def lower_ldmatrix(wave: Wave, i: Instruction, number: int) -> Step:
    """``ldmatrix.sync.aligned.m8n8.x{1,2,4}[.trans].shared.b16``: matrices of 8 x 8 numbers of 16 bits.

    Lane 8m + r gives the address of row r of matrix m; lane l gets of each matrix the numbers 2(l % 4) and the next one
    of row l // 4 (with ``.trans``: of column).
    """
    count = next((int(part[1:]) for part in i.parts if part in ("x1", "x2", "x4")), 0)
    if not count or not i.has("m8n8") or i.type != "b16":
        raise unknown(i, "shape")
    where = access.addresses(wave, i.operands[1])
    writes = [wave.writer(part, "b32") for part in _parts(i.operands[0])]
    trans = i.has("trans")

    def step(lanes: Lanes) -> None:
        warps = whole_warps(wave, i, lanes)
        who = wave.numbers(lanes)
        giving = wave.lane[who] < 8 * count
        givers, address = who[giving], where(who)[giving]
        total = np.zeros((len(givers), 8), np.uint16)
        for space, local, chosen in access.each_space(wave, access.space_of(i), address):
            index = space.locate(local, 16, givers[chosen], i, False)
            if wave.launch.checks:
                space.note_read(index, 16, givers[chosen], i, number)
                space.count(local, 16, givers[chosen], i, number)
            total[chosen] = space.view(np.uint16, 8)[index // 16]
        matrices = total.reshape(warps, count, 8, 8)
        if trans:
            matrices = matrices.transpose(0, 1, 3, 2)
        pairs = np.ascontiguousarray(matrices).view(np.uint32).reshape(warps, count, 32)
        for place, write in enumerate(writes):
            write(lanes, pairs[:, place].reshape(-1))

    return step
