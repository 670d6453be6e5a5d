"""Loads and stores of every width and space, atomics, asynchronous copies; and what must not be accessed."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.simt.kernels import at, module, run
from tinydl.kernels import simt

# -- widths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "register", "dtype"),
    [("u8", "%r1", "u1"), ("s8", "%r1", "i1"), ("b8", "%h1", "u1"), ("u16", "%h1", "u2"), ("s16", "%r1", "i2"),
     ("b16", "%h1", "u2"), ("u32", "%r1", "u4"), ("b32", "%r1", "u4"), ("f32", "%f1", "f4"), ("s32", "%rd1", "i4"),
     ("u64", "%rd1", "u8"), ("b64", "%rd1", "u8"), ("f64", "%fd1", "f8")],
)  # fmt: skip
def test_a_load_and_a_store(kind: str, register: str, dtype: str) -> None:
    source = np.arange(250, 282).astype(dtype)
    target = np.zeros(32, dtype)
    width = source.itemsize
    counters = run(
        f"{at(0, width)}    ld.global.{kind} {register}, [%rd50];\n"
        f"{at(1, width)}    st.global.{kind} [%rd50], {register};",
        source, target, threads=32,
    )  # fmt: skip
    assert target.tolist() == source.tolist()
    assert {a.best for a in counters.accesses.values()} == {width}  # 32 threads: width sectors of 32 bytes


def test_narrow_loads_are_extended_by_sign() -> None:
    out = np.zeros((4, 1), np.uint64)
    run("    ld.global.s8 %r1, [%rd40];\n    cvt.s64.s32 %rd1, %r1;\n    st.global.u64 [%rd41], %rd1;\n"
        "    ld.global.u8 %r1, [%rd40];\n    cvt.s64.s32 %rd1, %r1;\n    st.global.u64 [%rd41+8], %rd1;\n"
        "    ld.global.s16 %rd1, [%rd40];\n    st.global.u64 [%rd41+16], %rd1;\n"
        "    ld.global.nc.u16 %rd1, [%rd40];\n    st.global.u64 [%rd41+24], %rd1;",
        np.array([0xFEFF], np.uint16), out)  # fmt: skip
    assert out.ravel().tolist() == [2**64 - 1, 255, 2**64 - 257, 0xFEFF]


@pytest.mark.parametrize(
    ("vector", "kind", "letter"),
    [(2, "f32", "%f"), (4, "f32", "%f"), (2, "f64", "%fd"), (4, "u32", "%r"), (2, "u64", "%rd"), (4, "u16", "%h")],
)
def test_vectors(vector: int, kind: str, letter: str) -> None:
    dtype = {"f": "f", "u": "u"}[kind[0]] + str(int(kind[1:]) // 8)
    source = np.arange(8 * vector).astype(dtype)
    target = np.zeros(8 * vector, dtype)
    width = source.itemsize * vector
    names = [f"{letter}{n}" for n in range(1, vector + 1)]
    run(f"{at(0, width)}    ld.global.v{vector}.{kind} {{{', '.join(names)}}}, [%rd50];\n{at(1, width)}"
        f"    st.global.v{vector}.{kind} [%rd50], {{{', '.join(reversed(names))}}};",
        source, target, threads=8)  # fmt: skip
    assert target.tolist() == source.reshape(8, vector)[:, ::-1].ravel().tolist()


# -- spaces ------------------------------------------------------------------------------------------------------------

SHARED = ".shared .align 16 .b8 tile[128];"


def test_shared_memory_is_a_blocks_own() -> None:
    out = np.zeros((2, 32), np.uint32)
    run(f"""
    {SHARED}
    mov.u32 %r1, %ctaid.x;
    shl.b32 %r2, %r60, 2;
    mov.u32 %r3, tile;
    add.u32 %r2, %r2, %r3;
    mad.lo.u32 %r4, %r1, 100, %r60;
    st.shared.u32 [%r2], %r4;
    bar.sync 0;
    sub.u32 %r5, 124, %r2;
    ld.shared.u32 %r6, [%r5];
    mad.lo.u32 %r7, %r1, 32, %r60;
    mul.wide.u32 %rd1, %r7, 4;
    add.s64 %rd1, %rd1, %rd40;
    st.global.u32 [%rd1], %r6;""", out, threads=32, blocks=2)
    assert out.tolist() == [list(range(31, -1, -1)), list(range(131, 99, -1))]


def test_dynamic_shared_memory_follows_the_static() -> None:
    text = module(f"""
    {SHARED}
    mov.u32 %r1, dynamic;
    mov.u32 %r2, tile;
    st.shared.u32 [dynamic+12], 5;
    ld.shared.u32 %r3, [%r1+12];
    mov.u32 %r4, %dynamic_smem_size;
    mov.u32 %r5, %total_smem_size;
    st.shared.u32 [tile], 0;
    st.global.v4.u32 [%rd40], {{%r1, %r2, %r3, %r4}};
    st.global.u32 [%rd40+16], %r5;""", outside=".extern .shared .align 16 .b8 dynamic[];")  # fmt: skip
    out = np.zeros(5, np.uint32)
    counters = simt.launch(text, "k", 1, 1, [out], shared=16)
    assert out.tolist() == [128, 0, 5, 16, 144] and counters.shared == 144
    with pytest.raises(simt.OutOfBounds, match=r"at byte 140 of shared memory, of which the block has 140"):
        simt.launch(text, "k", 1, 1, [out], shared=12)


def test_local_memory_is_a_threads_own() -> None:
    out = np.zeros(8, np.uint32)
    run(f"""
    .local .align 8 .b8 depot[32];
    mov.u64 %rd1, depot;
    cvta.local.u64 %rd2, %rd1;
    mul.wide.u32 %rd3, %r60, 4;
    add.s64 %rd4, %rd1, %rd3;
    st.local.u32 [%rd4], %r60;
    add.s64 %rd4, %rd2, %rd3;
    ld.u32 %r1, [%rd4];
{at(0, 4)}
    st.global.u32 [%rd50], %r1;""", out, threads=8)
    assert out.tolist() == list(range(8))


def test_variables_of_the_module() -> None:
    outside = (".const .align 4 .u32 table[4] = {10, 20, 30, 40};\n.global .align 4 .f32 one = 0f3F800000;\n"
               ".global .align 8 .u64 pointer = table+8;\n.global .align 4 .b8 blank[4];")  # fmt: skip
    out = np.zeros(4, np.uint32)
    run("""
    ld.const.u32 %r1, [table+4];
    ld.global.u32 %r2, [one];
    ld.global.u64 %rd1, [pointer];
    ld.u32 %r3, [%rd1];
    ld.global.u32 %r4, [blank];
    st.global.v4.u32 [%rd40], {%r1, %r2, %r3, %r4};""", out, outside=outside)
    assert out.tolist() == [20, 0x3F800000, 30, 0]
    with pytest.raises(simt.OutOfBounds, match="table, which may only be read"):
        run("    mov.u64 %rd1, table;\n    st.global.u32 [%rd1], 1;", out, outside=outside)


def test_parameters_may_be_read_by_address() -> None:
    text = """.version 9.0
.target sm_90
.address_size 64
.visible .entry k(.param .u64 out, .param .align 4 .b8 pair[8], .param .u16 small, .param .f64 last)
{
    .reg .b64 %rd<9>;
    .reg .b32 %r<9>;
    .reg .b16 %h<3>;
    .reg .f64 %fd<3>;
    ld.param.u64 %rd1, [out];
    ld.param.v2.u32 {%r1, %r2}, [pair];
    mov.b64 %rd2, pair;
    add.s64 %rd2, %rd2, 4;
    ld.param.u32 %r3, [%rd2];
    cvta.param.u64 %rd3, %rd2;
    ld.u32 %r4, [%rd3];
    ld.param.u16 %h1, [small];
    ld.param.f64 %fd1, [last];
    st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4};
    st.global.u16 [%rd1+16], %h1;
    st.global.f64 [%rd1+24], %fd1;
    ret;
}
"""
    out = np.zeros(4, np.float64)
    simt.launch(text, "k", 1, 1, [out, bytes([1, 0, 0, 0, 2, 0, 0, 0]), 0xABCD, 2.5])
    assert out.view(np.uint32)[:4].tolist() == [1, 2, 2, 2]
    assert out.view(np.uint16)[8] == 0xABCD and out[3] == 2.5


def test_generic_addresses_of_several_spaces_at_once() -> None:
    out, source = np.zeros(2, np.uint32), np.array([111], np.uint32)
    run(f"""
    {SHARED}
    st.shared.u32 [tile+4], 222;
    bar.sync 0;
    mov.u64 %rd1, tile;
    cvta.shared.u64 %rd1, %rd1;
    add.s64 %rd1, %rd1, 4;
    setp.eq.u32 %p1, %r60, 0;
    selp.b64 %rd2, %rd41, %rd1, %p1;
    ld.u32 %r1, [%rd2];
    isspacep.shared %p2, %rd2;
    selp.u32 %r2, 1000, 0, %p2;
    add.u32 %r1, %r1, %r2;
    cvta.to.shared.u64 %rd3, %rd1;
{at(0, 4)}
    st.global.u32 [%rd50], %r1;""", out, source, threads=2)
    assert out.tolist() == [111, 1222]


def test_hints_do_nothing() -> None:
    run("    prefetch.global.L2 [%rd40];\n    prefetchu.L1 [%rd40];\n    nanosleep.u32 20;\n    pmevent 1;\n"
        "    discard.global.L2 [%rd40], 128;\n    applypriority.global.L2::evict_normal [%rd40], 128;\n"
        "    setmaxnreg.inc.sync.aligned.u32 64;", np.zeros(1))  # fmt: skip


def test_ldu_is_a_load() -> None:
    out = np.zeros(1, np.uint32)
    run("    ldu.global.u32 %r1, [%rd41];\n    st.global.u32 [%rd40], %r1;", out, np.array([3], np.uint32))
    assert out[0] == 3


# -- atomics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "kind", "start", "operands", "olds", "end"),
    [
        ("add", "u32", 10, [1, 2, 3], [10, 11, 13], 16),
        ("add", "u64", 1 << 40, [1, 2, 3], [1 << 40, (1 << 40) + 1, (1 << 40) + 3], (1 << 40) + 6),
        ("add", "f32", 0.5, [1.0, 2.0, 3.0], [0.5, 1.5, 3.5], 6.5),
        ("add", "f64", 0.5, [1.0, 2.0, 3.0], [0.5, 1.5, 3.5], 6.5),
        ("min", "s32", 0, [5, -2, -1], [0, 0, -2], -2),
        ("max", "u32", 4, [5, 2, 9], [4, 5, 5], 9),
        ("and", "b32", 0xFF, [0x0F, 0x3C, 0xFF], [0xFF, 0x0F, 0x0C], 0x0C),
        ("or", "b32", 0, [1, 2, 4], [0, 1, 3], 7),
        ("xor", "b32", 1, [1, 1, 1], [1, 0, 1], 0),
        ("exch", "b32", 7, [1, 2, 3], [7, 1, 2], 3),
        ("inc", "u32", 1, [2, 2, 2], [1, 2, 0], 1),
        ("dec", "u32", 1, [5, 5, 5], [1, 0, 5], 4),
    ],
)
def test_atomics_go_one_after_the_other(operation, kind, start, operands, olds, end) -> None:  # type: ignore[no-untyped-def]
    dtype = {"u": "u", "b": "u", "s": "i", "f": "f"}[kind[0]] + str(int(kind[1:]) // 8)
    place, given, old = np.array([start], dtype), np.array(operands, dtype), np.zeros(3, dtype)
    letter = {"f32": "%f", "f64": "%fd", "u64": "%rd"}.get(kind, "%r")
    width = given.itemsize
    run(f"{at(1, width)}    ld.global.{kind} {letter}1, [%rd50];\n"
        f"    atom.global.{operation}.{kind} {letter}2, [%rd40], {letter}1;\n"
        f"{at(2, width)}    st.global.{kind} [%rd50], {letter}2;", place, given, old, threads=3)  # fmt: skip
    assert old.tolist() == np.array(olds, dtype).tolist() and place[0] == np.array(end, dtype)


def test_compare_and_swap() -> None:
    place, old = np.array([1], np.uint32), np.zeros(3, np.uint32)
    run(f"    add.u32 %r1, %r60, 1;\n    add.u32 %r2, %r60, 2;\n    atom.global.cas.b32 %r3, [%rd40], %r1, %r2;\n"
        f"{at(1, 4)}    st.global.u32 [%rd50], %r3;", place, old, threads=3)  # fmt: skip
    assert old.tolist() == [1, 2, 3] and place[0] == 4


def test_red_and_halves() -> None:
    out = np.array([0x3C003800, 0x3F800000], np.uint32)
    run("    mov.u32 %r1, 0x3C003C00;\n    red.global.add.noftz.f16x2 [%rd40], %r1;\n    mov.b16 %h1, 0x3F80;\n"
        "    red.global.add.noftz.bf16 [%rd40+6], %h1;", out, threads=2)  # fmt: skip
    assert out.tolist() == [0x42004100, 0x40400000]  # 1 + 1 + 1 and 0.5 + 1 + 1; 1 + 1 + 1 in bfloat16


def test_atomics_on_shared_and_generic_addresses() -> None:
    out = np.zeros(1, np.uint32)
    run(f"""
    {SHARED}
    setp.eq.u32 %p1, %r60, 0;
    @%p1 st.shared.u32 [tile], 100;
    bar.sync 0;
    atom.shared.add.u32 %r1, [tile], 1;
    mov.u64 %rd1, tile;
    cvta.shared.u64 %rd1, %rd1;
    red.add.u32 [%rd1], 1;
    bar.sync 0;
    ld.shared.u32 %r2, [tile];
    @%p1 st.global.u32 [%rd40], %r2;""", out, threads=64)
    assert out[0] == 228


# -- asynchronous copies -----------------------------------------------------------------------------------------------

COPY = f"""
    {SHARED}
    shl.b32 %r1, %r60, 4;
    mov.u32 %r2, tile;
    add.u32 %r1, %r1, %r2;
{at(0, 16)}
    cp.async.cg.shared.global [%r1], [%rd50], 16;
    cp.async.commit_group;
    cp.async.wait_group 0;
    bar.sync 0;
    xor.b32 %r3, %r1, 16;
    ld.shared.v4.u32 {{%r4, %r5, %r6, %r7}}, [%r3];
{at(1, 16)}
    st.global.v4.u32 [%rd50], {{%r4, %r5, %r6, %r7}};"""


def test_a_copy_arrives_when_it_is_waited_for() -> None:
    source, target = np.arange(32, dtype=np.uint32), np.zeros(32, np.uint32)
    run(COPY, source, target, threads=8)
    assert target.tolist() == source.reshape(4, 2, 4)[:, ::-1].ravel().tolist()
    group = "cp.async.commit_group;\n    cp.async.wait_group 0;"
    run(COPY.replace(group, "cp.async.wait_all;"), source, target, threads=8)
    with pytest.raises(simt.Uninitialised, match="byte 16 of tile"):
        run(COPY.replace("cp.async.wait_group 0;", "cp.async.wait_group 1;"), source, target, threads=8)
    with pytest.raises(simt.Uninitialised):
        run(COPY.replace("cp.async.wait_group 0;", ""), source, target, threads=8)
    with pytest.raises(simt.Race, match="write"):
        run(COPY.replace("bar.sync 0;", ""), source, target, threads=8)


def test_a_copy_counts_what_it_reads_and_what_it_writes() -> None:
    source, target = np.arange(32, dtype=np.uint32), np.zeros(32, np.uint32)
    counters = run(COPY, source, target, threads=8)
    read, written = (a for a in counters.accesses.values() if a.instruction.name == "cp")
    assert (read.space, read.taken, read.best) == ("global", 4, 4)  # 8 times 16 bytes side by side
    assert (written.space, written.requests, written.conflicts) == ("shared", 1, 0)
    spaces = [a["space"] for a in counters.facts()["accesses"] if a["instruction"].startswith("cp")]
    assert spaces == ["global", "shared"] and counters.sectors == 8
    scattered = COPY.replace("cp.async.cg.shared.global [%r1], [%rd50], 16;", f"""{at(0, 48)}
    mov.u32 %r2, 0;
    setp.lt.u32 %p1, %r60, 3;
    @%p1 mov.u32 %r2, 4;
    cp.async.cg.shared.global [%r1], [%rd50], 16, %r2;""")
    read = next(a for a in run(scattered, source, target, threads=8).accesses.values() if a.instruction.name == "cp")
    assert (read.taken, read.best, read.threads) == (3, 2, 3)  # of a copy that reads nothing, no sector is moved


def test_groups_are_finished_in_order() -> None:
    out = np.zeros(4, np.uint32)
    body = f"""
    {SHARED}
    cp.async.ca.shared.global [tile], [%rd41], 4;
    cp.async.commit_group;
    cp.async.ca.shared.global [tile+4], [%rd41+4], 4;
    cp.async.commit_group;
    cp.async.wait_group 1;
    ld.shared.u32 %r1, [tile];
    cp.async.wait_group 0;
    ld.shared.u32 %r2, [tile+4];
    st.global.v2.u32 [%rd40], {{%r1, %r2}};"""
    run(body, out, np.array([5, 6], np.uint32))
    assert out.tolist() == [5, 6, 0, 0]
    with pytest.raises(simt.Uninitialised, match="byte 4 of tile"):
        run(body.replace("cp.async.wait_group 0;", "cp.async.wait_group 1;"), out, np.array([5, 6], np.uint32))


def test_a_short_source_is_filled_with_zeros() -> None:
    out = np.full(4, 9, np.uint32)
    run(f"    {SHARED}\n    mov.u32 %r1, 8;\n    cp.async.cg.shared.global [tile], [%rd41], 16, %r1;\n"
        "    cp.async.wait_all;\n"
        "    ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [tile];\n    st.global.v4.u32 [%rd40], {%r4, %r5, %r6, %r7};",
        out, np.array([5, 6], np.uint32))  # fmt: skip
    assert out.tolist() == [5, 6, 0, 0]


# -- what must not be accessed -----------------------------------------------------------------------------------------


def test_out_of_bounds_names_everything() -> None:
    body = f"{at(0, 4)}    ld.global.f32 %f1, [%rd50];\n{at(1, 4)}    st.global.f32 [%rd50], %f1;"
    for checks in (True, False):
        with pytest.raises(simt.OutOfBounds) as caught:
            run(body, np.zeros(7, np.float32), np.zeros(8, np.float32), threads=8, checks=checks)
        assert str(caught.value) == (
            "kernel k: 'ld.global.f32 %f1, [%rd50]' (line 20 of the PTX), thread (7, 0, 0) of block (0, 0, 0): reads 4 "
            "bytes out of bounds, at byte 28 of argument 0, which has 28 bytes"
        )
        assert caught.value.facts["thread"] == "thread (7, 0, 0) of block (0, 0, 0)"
    with pytest.raises(simt.OutOfBounds, match="writes 4 bytes out of bounds, at byte 28 of argument 1"):
        run(body, np.zeros(8, np.float32), np.zeros(7, np.float32), threads=8)


def test_an_access_over_the_end_and_before_the_beginning() -> None:
    with pytest.raises(simt.OutOfBounds, match="reads 8 bytes out of bounds, at byte 8 of argument 0, which has 12"):
        run("    ld.global.u64 %rd1, [%rd40+8];", np.zeros(3, np.float32))
    with pytest.raises(simt.OutOfBounds, match="4 bytes before argument 0"):
        run("    ld.global.u32 %r1, [%rd40+-4];", np.zeros(3, np.float32))
    with pytest.raises(simt.OutOfBounds, match="far from every array"):
        run("    mov.u64 %rd1, 0;\n    ld.global.u32 %r1, [%rd1];", np.zeros(3, np.float32))


def test_arrays_that_may_only_be_read() -> None:
    array = np.zeros(4, np.float32)
    array.flags.writeable = False
    with pytest.raises(simt.OutOfBounds, match="argument 0, which may only be read"):
        run("    st.global.u32 [%rd40], 1;", array)


@pytest.mark.parametrize("space", ["global", "shared", "local"])
def test_misaligned(space: str) -> None:
    body = {
        "global": "    ld.global.u32 %r1, [%rd40+2];",
        "shared": f"    {SHARED}\n    ld.shared.u32 %r1, [tile+2];",
        "local": "    .local .align 8 .b8 depot[32];\n    ld.local.u32 %r1, [depot+2];",
    }[space]
    with pytest.raises(simt.Misaligned, match=f"of {space} memory is no multiple of 4"):
        run(body, np.zeros(4, np.float32))


def test_vectors_must_be_aligned_as_a_whole() -> None:
    with pytest.raises(simt.Misaligned, match="no multiple of 16"):
        run("    ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd40+4];", np.zeros(8, np.float32))


def test_bounds_of_shared_and_local_memory() -> None:
    with pytest.raises(simt.OutOfBounds, match="at byte 128 of shared memory, of which the block has 128"):
        run(f"    {SHARED}\n    st.shared.u32 [tile+128], 1;", np.zeros(1))
    with pytest.raises(simt.OutOfBounds, match="at byte -4 of shared memory"):
        run(f"    {SHARED}\n    mov.u64 %rd1, tile;\n    st.shared.u32 [%rd1+-4], 1;", np.zeros(1))
    with pytest.raises(simt.OutOfBounds, match="at byte 32 of local memory, of which a thread has 32"):
        run("    .local .align 8 .b8 depot[32];\n    ld.local.u32 %r1, [depot+32];", np.zeros(1))
    with pytest.raises(simt.OutOfBounds, match="between its variables"):
        run("    .shared .align 4 .b8 small[4];\n    .shared .align 16 .b8 large[16];\n"
            "    st.shared.u32 [small+4], 1;\n    st.shared.u32 [large], 1;", np.zeros(1))  # fmt: skip


def test_memory_that_nobody_wrote() -> None:
    with pytest.raises(simt.Uninitialised, match=r"reads byte 8 of tile of shared memory, which nothing has written"):
        run(f"    {SHARED}\n    st.shared.u32 [tile+4], 1;\n    ld.shared.u32 %r1, [tile+8];", np.zeros(1))
    with pytest.raises(simt.Uninitialised, match="byte 0 of depot of local memory"):
        run("    .local .align 8 .b8 depot[32];\n    ld.local.u32 %r1, [depot];", np.zeros(1))
    fresh = simt.Fresh(np.zeros(4, np.float32))
    with pytest.raises(simt.Uninitialised, match="byte 12 of argument 0 of global memory"):
        run("    st.global.u32 [%rd40+8], 1;\n    ld.global.u32 %r1, [%rd40+12];", fresh)
    run("    st.global.u32 [%rd40+8], 1;\n    ld.global.u32 %r1, [%rd40+8];", fresh)


def test_unwritten_memory_is_poison() -> None:
    out, fresh = np.zeros(3, np.float32), np.zeros(1, np.float32)
    run(f"    {SHARED}\n    .local .align 8 .b8 depot[32];\n    ld.shared.f32 %f1, [tile];\n"
        "    ld.local.f32 %f2, [depot];\n"
        "    ld.global.f32 %f3, [%rd41];\n    st.global.f32 [%rd40], %f1;\n    st.global.f32 [%rd40+4], %f2;\n"
        "    st.global.f32 [%rd40+8], %f3;", out, simt.Fresh(fresh), checks=False)  # fmt: skip
    assert np.isnan(out).all() and np.isnan(fresh).all()


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_an_array_given_twice_is_one_array() -> None:
    array = np.arange(4, dtype=np.uint32)
    run("    ld.global.u32 %r1, [%rd40+4];\n    st.global.u32 [%rd41], %r1;", array, array)
    assert array.tolist() == [1, 1, 2, 3]


def test_a_table_leads_to_arrays_that_are_no_arguments() -> None:
    # thread i adds 1 to the number that entry i of the table points to
    body = f"{at(0, 8)} ld.global.u64 %rd1, [%rd50];\n ld.global.f32 %f1, [%rd1];\n add.f32 %f1, %f1, 0f3F800000;\n"
    body += "st.global.f32 [%rd1], %f1;"
    x, y, numbers = np.arange(4, dtype=np.float32), np.full((), 7, np.float32), np.array([4, 0, 12])
    run(body, simt.Table(numbers, [(np.array([0, 2]), x), (np.array([1]), y)]), threads=3)
    assert x.tolist() == [0, 2, 2, 4] and y == 8 and numbers.tolist() == [4, 0, 12]
    with pytest.raises(simt.OutOfBounds, match="array 0 of argument 0, which has 16 bytes"):
        run(body, simt.Table(np.array([16]), [(np.array([0]), x)]))
    x.flags.writeable = False
    with pytest.raises(simt.OutOfBounds, match="only be read"):
        run(body, simt.Table(np.array([0]), [(np.array([0]), x)]))
    with pytest.raises(simt.OutOfBounds, match="argument 0.* only be read"):
        run(f"{at(0, 8)} st.global.u64 [%rd50], %rd50;", simt.Table(np.array([0])))


def test_a_launch_that_fails_leaves_the_arrays() -> None:
    out = np.zeros(2, np.uint32)
    with pytest.raises(simt.OutOfBounds):
        run("    st.global.u32 [%rd40], 5;\n    st.global.u32 [%rd40+8], 5;", out)
    assert out.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        ([], {}, "takes 1 arguments, 0 were given"),
        ([np.zeros((4, 4))[:, ::2]], {}, "not contiguous"),
        ([np.zeros(1)], {"block": 2000}, r"\(2000, 1, 1\) is larger than a GPU's, which is at most \(1024, 1024, 64\)"),
        ([np.zeros(1)], {"block": (32, 64)}, "2048 threads; at most 1024"),
        ([np.zeros(1)], {"block": (1, 1, 65)}, "larger than a GPU's"),
        ([np.zeros(1)], {"grid": (1, 65_536)}, "larger than a GPU's"),
        ([np.zeros(1)], {"grid": 1.5}, "the grid 1.5 must be one to three whole numbers"),
        ([np.zeros(1)], {"block": None}, "the block None must be"),
        ([np.zeros(1)], {"shared": -4}, "-4 bytes of shared memory"),
        ([np.zeros(1)], {"shared": 10**6}, "1000000 bytes of shared memory; there are at most 232448"),
        ([None], {}, "argument 0 of k is a NoneType"),
        ([1j], {}, "argument 0 of k is a complex"),
        ([1.5], {}, "argument 0 of k is 1.5, which no u64"),
        ([1 << 64], {}, "which no u64 of 64 bits can be"),
        ([np.zeros(1, ">f4")], {}, "little-endian"),
        ([np.array([None])], {}, "dtype object"),
        ([np.zeros(1)], {"block": 0}, "at least 1"),
        ([np.zeros(1)], {"grid": (1, 2, 3, 4)}, "one to three whole numbers"),
        ([np.zeros(1)], {"name": "other"}, "no kernel 'other'; it has k"),
    ],
)
def test_launches_that_do_not_fit(args, options, words) -> None:  # type: ignore[no-untyped-def]
    settings = {"name": "k", "grid": 1, "block": 1, **options}
    with pytest.raises(simt.LaunchProblem, match=words):
        simt.launch(
            module(""), settings["name"], settings["grid"], settings["block"], args, shared=settings.get("shared", 0)
        )


def test_sizes_may_be_numpys() -> None:
    simt.launch(module(""), "k", np.int64(1), np.array([2, 1]), [np.zeros(1)])


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("ld.param.u64 %rd1, [{}+64];", simt.OutOfBounds, "64 into the parameter .*, which has 8 bytes"),
        ("ld.param.u64 %rd1, [{}+4];", simt.OutOfBounds, "reads 8 bytes 4 into"),
        ("ld.param.u16 %rs1, [{}+3];", simt.Misaligned, "no multiple of 2"),
        ("ld.param.u64 %rd1, [other];", simt.OutOfBounds, "which does not exist"),
    ],
)
def test_parameters_have_bounds(line: str, error: type[Exception], words: str) -> None:
    name = re.search(r"\.param \.u64 (\w+)", module("")).group(1)  # type: ignore[union-attr]
    with pytest.raises(error, match=words):
        run("    .reg .b16 %rs1;\n    " + line.format(name), np.zeros(1))


def test_overlapping_arrays_are_refused() -> None:
    array = np.zeros(8, np.float32)
    with pytest.raises(simt.LaunchProblem, match="argument 1 overlaps argument 0"):
        run("", array[:6], array[2:])


def test_an_empty_grid_does_nothing() -> None:
    out = np.zeros(1, np.uint32)
    assert run("    st.global.u32 [%rd40], 5;", out, blocks=(0, 3)).waves == 0 and out[0] == 0


def test_empty_arrays_may_be_passed() -> None:
    with pytest.raises(simt.OutOfBounds, match="argument 0, which has 0 bytes"):
        run("    ld.global.u32 %r1, [%rd40];", np.zeros(0, np.float32))


def test_bounds_of_the_compiler_are_kept() -> None:
    text = module("").replace(")\n{", ")\n.reqntid 64\n{", 1)
    simt.launch(text, "k", 1, 64, [np.zeros(1)])
    with pytest.raises(simt.LaunchProblem, match="blocks of 64 threads, not 32"):
        simt.launch(text, "k", 1, 32, [np.zeros(1)])


def test_rows_too_far_are_in_no_other_array() -> None:
    """The gap behind an array is as long as itself."""
    first, second = np.zeros(1000, np.uint32), np.zeros(1000, np.uint32)
    for back in (4, 800, 3900):
        with pytest.raises(simt.OutOfBounds):
            run(f"    ld.global.u32 %r1, [%rd41-{back}];", first, second, threads=1)
