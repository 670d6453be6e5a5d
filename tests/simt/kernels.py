"""Small kernels in PTX text: one instruction between loads and a store, or a whole body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import simt

Array = NDArray[Any]

REGISTERS = """
    .reg .pred %p<32>;
    .reg .b16 %h<32>;
    .reg .b32 %r<64>;
    .reg .f32 %f<64>;
    .reg .b64 %rd<64>;
    .reg .f64 %fd<32>;
"""

#: Of each width and kind: the letters of its registers, and the type it is loaded and stored as.
_MOVED = {
    "b16": ("%h", "u16"), "u16": ("%h", "u16"), "s16": ("%h", "u16"), "f16": ("%h", "u16"), "bf16": ("%h", "u16"),
    "b32": ("%r", "u32"), "u32": ("%r", "u32"), "s32": ("%r", "u32"), "f32": ("%f", "f32"), "b64": ("%rd", "u64"),
    "u64": ("%rd", "u64"), "s64": ("%rd", "u64"), "f64": ("%fd", "f64"),
}  # fmt: skip
DTYPES = {
    "b16": np.uint16, "u16": np.uint16, "s16": np.int16, "f16": np.float16, "bf16": np.uint16, "b32": np.uint32,
    "u32": np.uint32, "s32": np.int32, "f32": np.float32, "b64": np.uint64, "u64": np.uint64, "s64": np.int64,
    "f64": np.float64, "pred": np.uint32,
}  # fmt: skip


def module(body: str, parameters: int = 1, outside: str = "", name: str = "k") -> str:
    """A module with one kernel whose parameters ``p0``, ``p1``, ... of 64 bits stand in %rd40, %rd41, ..."""
    listed = ", ".join(f".param .u64 p{n}" for n in range(parameters))
    loads = "\n".join(f"    ld.param.u64 %rd{40 + n}, [p{n}];" for n in range(parameters))
    return (
        f".version 9.0\n.target sm_90\n.address_size 64\n{outside}\n"
        f".visible .entry {name}({listed})\n{{\n{REGISTERS}\n{loads}\n    mov.u32 %r60, %tid.x;\n{body}\n    ret;\n}}\n"
    )


def at(base: int, width: int, register: int = 50) -> str:
    """The address of this thread's element of parameter ``base``, into ``%rd<register>``."""
    place = f"%rd{register}"
    return f"    mul.wide.u32 {place}, %r60, {width};\n    add.s64 {place}, {place}, %rd{40 + base};\n"


def run(
    body: str, *arrays: Any, threads: int | Sequence[int] = 1, blocks: int | Sequence[int] = 1, outside: str = "",
    checks: bool = True, **options: Any,
) -> simt.Counters:  # fmt: skip
    """Launch a body; the arrays are its parameters."""
    return simt.launch(module(body, len(arrays), outside), "k", blocks, threads, list(arrays), checks, **options)


def evaluate(text: str, result: str, *operands: tuple[str, Sequence[Any]]) -> Array:
    """What ``text`` leaves in %d for each thread, %a, %b, %c, %e being its operands: (type, one value per thread).

    A type ``pred`` is given and returned as 0 or 1.
    """
    count = len(operands[0][1]) if operands else 1
    body, arrays = "", []
    for place, (kind, values) in enumerate(operands):
        letter = "abce"[place]
        array = np.array(values, DTYPES[kind])
        arrays.append(array.view(np.uint16) if kind == "f16" else array)
        if kind == "pred":
            body += at(place, 4) + f"    ld.global.u32 %r{50 + place}, [%rd50];\n"
            body += f"    setp.ne.u32 %p{20 + place}, %r{50 + place}, 0;\n"
            text = text.replace(f"%{letter}", f"%p{20 + place}")
            continue
        register, moved = _MOVED[kind]
        body += at(place, array.itemsize) + f"    ld.global.{moved} {register}{20 + place}, [%rd50];\n"
        text = text.replace(f"%{letter}", f"{register}{20 + place}")
    answer = np.zeros(count, DTYPES[result])
    arrays.append(answer)
    width = answer.itemsize
    if result == "pred":
        body += text.replace("%d", "%p30") + "\n" + at(len(operands), 4)
        body += "    selp.u32 %r55, 1, 0, %p30;\n    st.global.u32 [%rd50], %r55;\n"
    else:
        register, moved = _MOVED[result]
        body += text.replace("%d", f"{register}30") + "\n" + at(len(operands), width)
        body += f"    st.global.{moved} [%rd50], {register}30;\n"
    run(body, *arrays, threads=count)
    return answer
