"""Order of blocks, branches, reconvergence, calls, exits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simt.kernels import at, module, run
from tinydl.kernels import simt
from tinydl.kernels.simt import flow

# 0 -> 1 (head) -> 2 -> 3 (latch) -> 1, or 2 -> 4 (break) -> 5, 3 -> 5
LOOP = [[1], [2], [3, 4], [1, 5], [5], []]


def test_dominators() -> None:
    assert flow.immediate_dominators(LOOP) == [0, 0, 1, 2, 2, 2]


def test_loops() -> None:
    assert flow.loops(LOOP) == {1: {1, 2, 3}}


def test_a_loop_stands_before_what_follows_it() -> None:
    place = flow.schedule(LOOP)
    assert place[0] < place[1] < place[2] < place[3] < min(place[4], place[5]) and place[4] < place[5]


def test_an_exit_in_the_middle_waits_for_the_other_arm() -> None:
    # 1 -> {2, 3}; 2 -> {4 (outside), 5}; 3 -> 5; 5 -> 1: the exit 4 comes after 3 and 5
    place = flow.schedule([[1], [2, 3], [4, 5], [5], [], [1]])
    assert place[4] > max(place[1], place[2], place[3], place[5])


def test_unreachable_blocks_come_last() -> None:
    assert flow.schedule([[2], [2], []]) == [0, 3, 1]


# -- branches ----------------------------------------------------------------------------------------------------------


def test_both_sides_of_a_branch_meet_again() -> None:
    out = np.zeros(64, np.uint32)
    counters = run(
        f"""
    setp.lt.u32 %p1, %r60, 20;
    @%p1 bra LOW;
    add.u32 %r1, %r60, 1000;
    bra.uni BOTH;
LOW:
    add.u32 %r1, %r60, 5;
BOTH:
    activemask.b32 %r2;
    add.u32 %r1, %r1, %r2;
{at(0, 4)}
    st.global.u32 [%rd50], %r1;""",
        out, threads=64,
    )  # fmt: skip
    thread = np.arange(64, dtype=np.uint32)
    assert out.tolist() == (np.where(thread < 20, thread + 5, thread + 1000) - np.uint32(1)).tolist()
    (branch,) = counters.branches.values()
    assert (branch.warps, branch.diverged) == (2, 1)
    assert counters.divergence == 0.5


def test_loops_of_different_length_meet_behind() -> None:
    out = np.zeros(32, np.uint32)
    run(
        f"""
    mov.u32 %r1, 0;
    mov.u32 %r2, 0;
AGAIN:
    add.u32 %r1, %r1, %r2;
    add.u32 %r2, %r2, 1;
    setp.le.u32 %p1, %r2, %r60;
    @%p1 bra AGAIN;
    activemask.b32 %r3;
    setp.eq.u32 %p2, %r3, 0xffffffff;
    selp.u32 %r4, 1000, 0, %p2;
    add.u32 %r1, %r1, %r4;
{at(0, 4)}
    st.global.u32 [%rd50], %r1;""",
        out, threads=32,
    )  # fmt: skip
    assert out.tolist() == [n * (n + 1) // 2 + 1000 for n in range(32)]


def test_brx_goes_by_a_table() -> None:
    out = np.zeros(6, np.uint32)
    body = f"""
    rem.u32 %r1, %r60, 3;
    brx.idx %r1, TABLE;
TABLE: .branchtargets A, B, C;
A:
    mov.u32 %r2, 10;
    bra END;
B:
    mov.u32 %r2, 20;
    bra END;
C:
    mov.u32 %r2, 30;
END:
{at(0, 4)}
    st.global.u32 [%rd50], %r2;"""
    run(body, out, threads=6)
    assert out.tolist() == [10, 20, 30, 10, 20, 30]
    with pytest.raises(simt.UnknownInstruction, match="beyond the table"):
        run(body.replace("rem.u32 %r1, %r60, 3", "mov.u32 %r1, %r60"), out, threads=6)


def test_threads_leave() -> None:
    out = np.zeros(64, np.uint32)
    run(f"    setp.ge.u32 %p1, %r60, 40;\n    @%p1 exit;\n{at(0, 4)}    st.global.u32 [%rd50], 7;", out, threads=64)
    assert out.tolist() == [7] * 40 + [0] * 24


def test_trap_is_an_error_that_names_its_thread() -> None:
    with pytest.raises(simt.SimtError, match=r"'trap'.*thread \(3, 0, 0\) of block \(1, 0, 0\)"):
        run("    mov.u32 %r1, %ctaid.x;\n    mad.lo.u32 %r1, %r1, 8, %r60;\n    setp.eq.u32 %p1, %r1, 11;\n"
            "    @%p1 trap;", np.zeros(1), threads=8, blocks=2)  # fmt: skip


def test_brkpt_is_an_error() -> None:
    with pytest.raises(simt.SimtError, match="brkpt"):
        run("    brkpt;", np.zeros(1))


def test_an_endless_launch_is_stopped() -> None:
    with pytest.raises(simt.TooLong, match=r"1000 steps, at last .* \(line \d+"):
        run("FOREVER:\n    add.u32 %r1, %r1, 1;\n    bra FOREVER;", np.zeros(1), limit=1000)


# -- calls -------------------------------------------------------------------------------------------------------------

SQUARE = """
.func (.param .b32 result) square(.param .b32 square_0, .param .align 8 .b8 square_1[16])
{
    .reg .b32 %r<5>;
    .reg .b64 %rd<3>;
    .reg .pred %p<2>;
    ld.param.u32 %r1, [square_0];
    ld.param.u64 %rd1, [square_1+8];
    cvt.u32.u64 %r3, %rd1;
    setp.eq.u32 %p1, %r1, 2;
    @%p1 bra TWO;
    mul.lo.u32 %r2, %r1, %r1;
    add.u32 %r2, %r2, %r3;
    st.param.b32 [result+0], %r2;
    ret;
TWO:
    st.param.b32 [result+0], 444;
    ret;
}
"""
CALL = """
    {
    .param .b32 param0;
    .param .align 8 .b8 param1[16];
    .param .b32 retval0;
    st.param.b32 [param0+0], %r1;
    st.param.v2.b64 [param1+0], {1, 7};
    call.uni (retval0), square, (param0, param1);
    ld.param.b32 %r1, [retval0+0];
    }
"""


def test_calls_have_registers_of_their_own() -> None:
    out = np.zeros(4, np.uint32)
    run(f"    mov.u32 %r1, %r60;\n    mov.u32 %r2, 99;\n{CALL}{CALL}{at(0, 4)}    add.u32 %r1, %r1, %r2;\n"
        "    st.global.u32 [%rd50], %r1;", out, threads=4, outside=SQUARE)  # fmt: skip
    assert out.tolist() == [(0 * 0 + 7) ** 2 + 7 + 99, (1 + 7) ** 2 + 7 + 99, 444**2 + 7 + 99, (9 + 7) ** 2 + 7 + 99]


def test_a_call_that_cannot_be_followed_is_named() -> None:
    with pytest.raises(simt.UnknownInstruction, match="which the PTX does not define"):
        run("    call printf;", np.zeros(1))
    recursive = ".func f()\n{\n    call f;\n    ret;\n}\n"
    with pytest.raises(simt.UnknownInstruction, match="recursive"):
        run("    call f;", np.zeros(1), outside=recursive)
    with pytest.raises(simt.UnknownInstruction, match="indirect"):
        run("    call %rd1;", np.zeros(1))


# -- what is not there -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["wgmma.fence.sync.aligned;", "tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, %rd1;", "add.q32 %r1, %r2, %r3;",
     "cvt.rn.e4m3x2.f32 %h1, %f1, %f2;", "atom.global.mul.u32 %r1, [%rd40], %r2;", "mov.u32 %r1, %unheard_of;",
     "shfl.sync.sideways.b32 %r1, %r2, 1, 31, -1;", "ld.global.f32 %rd1, [%rd40];", "setp.like.s32 %p1, %r1, %r2;",
     "add.s32 %r1, %r2;", "barrier.cluster.arrive;",
     "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 %r1, %r2, %r3, %r4;", "add.foo.u32 %r1, %r2, %r2;",
     "min.relu.s32 %r1, %r2, %r2;", "mad.hi.sat.s32 %r1, %r2, %r2, %r2;", "set.lt.f16x2.f16x2 %r1, %r2, %r2;",
     "add.ftz.f16x2 %r1, %r2, %r2;", "cvt.rn.relu.tf32.f32 %r1, %r2;"],
    ids=lambda text: text.split()[0].rstrip(";"),
)  # fmt: skip
def test_an_unknown_instruction_is_named_with_its_line(text: str) -> None:
    body = f"    mov.u32 %r2, 0;\n    {text}"
    line = 1 + module(body).split("\n").index(f"    {text}")
    with pytest.raises(simt.UnknownInstruction, match=f"line {line} of the PTX") as caught:
        run(body, np.zeros(4))
    assert text.split()[0].rstrip(";") in str(caught.value)


def test_special_registers() -> None:
    names = ["%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ctaid.x", "%ctaid.y", "%nctaid.x", "%nctaid.z", "%laneid",
             "%warpid", "%nwarpid", "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt", "%lanemask_ge",
             "%smid", "%nsmid"]  # fmt: skip
    out = np.zeros((len(names), 2, 80), np.uint32)
    body = """
    mov.u32 %r1, %tid.y;
    mov.u32 %r2, %tid.z;
    mad.lo.u32 %r3, %r2, 2, %r1;
    mad.lo.u32 %r3, %r3, 20, %r60;
    mov.u32 %r4, %ctaid.x;
    mad.lo.u32 %r3, %r4, 80, %r3;
    mul.wide.u32 %rd1, %r3, 4;
    add.s64 %rd1, %rd1, %rd40;
"""
    for n, name in enumerate(names):
        body += f"    mov.u32 %r5, {name};\n    st.global.u32 [%rd1+{n * 640}], %r5;\n"
    run(body, out, threads=(20, 2, 2), blocks=2)
    thread, block = np.arange(80), np.arange(2)[:, None]
    lane = thread % 32
    wanted = [
        thread // 20 % 2, thread // 40, 20, 2, block, 0, 2, 1, lane, thread // 32, 3, 1 << lane, (1 << lane) - 1,
        (2 << lane) - 1, 0xFFFFFFFF ^ ((2 << lane) - 1), 0xFFFFFFFF ^ ((1 << lane) - 1), block, 2,
    ]  # fmt: skip
    for name, got, value in zip(names, out, wanted):
        assert (got == value).all(), name


def test_clocks_advance() -> None:
    out = np.zeros(1, np.uint64)
    run("    mov.u64 %rd1, %clock64;\nA:\n    bra B;\nB:\n    mov.u64 %rd2, %clock64;\n    sub.s64 %rd1, %rd2, %rd1;\n"
        "    st.global.u64 [%rd40], %rd1;", out)  # fmt: skip
    assert out[0] > 0
