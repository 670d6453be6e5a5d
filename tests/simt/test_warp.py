"""What a warp does together: shuffles, votes, matches, reductions, masks, warp barriers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.simt.kernels import at, run
from tinydl.kernels import simt

FULL = "0xffffffff"


def shuffle(text: str, threads: int = 32) -> tuple[list[int], list[int]]:
    """Values (100 + lane goes in) and predicates of a shuffle."""
    out = np.zeros((2, threads), np.uint32)
    run(f"    add.u32 %r1, %r60, 100;\n    {text}\n    selp.u32 %r3, 1, 0, %p1;\n{at(0, 4)}"
        f"    st.global.u32 [%rd50], %r2;\n    st.global.u32 [%rd50+{4 * threads}], %r3;", out,
        threads=threads)  # fmt: skip
    return out[0].tolist(), out[1].tolist()


def test_shuffle_down() -> None:
    values, inside = shuffle(f"shfl.sync.down.b32 %r2|%p1, %r1, 4, 31, {FULL};")
    assert values == [104 + n if n < 28 else 100 + n for n in range(32)]
    assert inside == [1] * 28 + [0] * 4


def test_shuffle_up() -> None:
    values, inside = shuffle(f"shfl.sync.up.b32 %r2|%p1, %r1, 3, 0, {FULL};")
    assert values == [100 + n if n < 3 else 97 + n for n in range(32)] and inside == [0] * 3 + [1] * 29


def test_shuffle_butterfly() -> None:
    values, inside = shuffle(f"shfl.sync.bfly.b32 %r2|%p1, %r1, 16, 31, {FULL};")
    assert values == [100 + (n ^ 16) for n in range(32)] and all(inside)


def test_shuffle_from_an_index() -> None:
    values, _ = shuffle(f"shfl.sync.idx.b32 %r2|%p1, %r1, 5, 31, {FULL};")
    assert values == [105] * 32


def test_shuffles_within_parts_of_the_warp() -> None:
    # width 8: the third operand holds 31 - 7 = 24 in its upper part
    values, inside = shuffle(f"shfl.sync.idx.b32 %r2|%p1, %r1, 2, {(24 << 8) | 31}, {FULL};")
    assert values == [100 + n // 8 * 8 + 2 for n in range(32)] and all(inside)
    values, inside = shuffle(f"shfl.sync.down.b32 %r2|%p1, %r1, 5, {(24 << 8) | 31}, {FULL};")
    assert values == [105 + n if n % 8 < 3 else 100 + n for n in range(32)] and sum(inside) == 12
    values, inside = shuffle(f"shfl.sync.up.b32 %r2|%p1, %r1, 5, {24 << 8}, {FULL};")
    assert values == [95 + n if n % 8 >= 5 else 100 + n for n in range(32)] and sum(inside) == 12


def test_several_warps_do_not_mix() -> None:
    values, _ = shuffle(f"shfl.sync.bfly.b32 %r2|%p1, %r1, 1, 31, {FULL};", 96)
    assert values == [100 + (n ^ 1) for n in range(96)]


def test_a_shuffle_from_a_thread_that_is_not_there_gives_poison() -> None:
    values, _ = shuffle(f"shfl.sync.down.b32 %r2|%p1, %r1, 1, 31, {FULL};", 20)
    assert values == [101 + n for n in range(19)] + [0xFFFFFFFF]  # undefined on hardware


def test_halves_of_a_warp_with_masks_of_their_own() -> None:
    out = np.zeros(32, np.uint32)
    run(f"""
    setp.lt.u32 %p1, %r60, 16;
    @!%p1 bra HIGH;
    shfl.sync.bfly.b32 %r1, %r60, 8, 31, 0x0000ffff;
    bra END;
HIGH:
    add.u32 %r2, %r60, 100;
    shfl.sync.bfly.b32 %r1, %r2, 8, 31, 0xffff0000;
END:
{at(0, 4)}
    st.global.u32 [%rd50], %r1;""", out, threads=32)
    assert out.tolist() == [n ^ 8 if n < 16 else 100 + (n ^ 8) for n in range(32)]


def test_threads_wait_for_those_in_their_mask() -> None:
    """Lanes that come late by another way: the shuffle waits for all, and so takes part in one exchange."""
    out = np.zeros(32, np.uint32)
    run(f"""
    setp.lt.u32 %p1, %r60, 16;
    mov.u32 %r1, %r60;
    @%p1 bra TOGETHER;
    add.u32 %r1, %r1, 1000;
TOGETHER:
    shfl.sync.bfly.b32 %r2, %r1, 16, 31, {FULL};
{at(0, 4)}
    st.global.u32 [%rd50], %r2;""", out, threads=32)
    assert out.tolist() == [1016 + n for n in range(16)] + list(range(16))


def test_a_mask_that_leaves_out_its_own_thread() -> None:
    with pytest.raises(simt.WarpMask, match=r"thread \(16, 0, 0\).*lane 16, which its mask 0x0000ffff leaves out"):
        shuffle("shfl.sync.idx.b32 %r2|%p1, %r1, 0, 31, 0x0000ffff;")


def test_a_mask_whose_threads_never_come_is_a_deadlock() -> None:
    with pytest.raises(simt.Deadlock, match="16 threads wait for their warp at 'shfl.sync.idx.b32"):
        run(f"""
    setp.lt.u32 %p1, %r60, 16;
    @!%p1 bra OTHER;
    shfl.sync.idx.b32 %r1, %r60, 0, 31, {FULL};
    bra END;
OTHER:
    shfl.sync.idx.b32 %r1, %r60, 1, 31, {FULL};
END:""", np.zeros(1), threads=32)


def test_threads_that_have_left_are_not_waited_for() -> None:
    out = np.zeros(32, np.uint32)
    run(f"    setp.ge.u32 %p1, %r60, 20;\n    @%p1 exit;\n    vote.sync.ballot.b32 %r1, 1, {FULL};\n{at(0, 4)}"
        "    st.global.u32 [%rd50], %r1;", out, threads=32)  # fmt: skip
    assert out.tolist() == [(1 << 20) - 1] * 20 + [0] * 12


# -- votes and matches -------------------------------------------------------------------------------------------------


def collect(body: str, register: str, threads: int = 32) -> Any:
    """A 32-bit result of every thread."""
    out = np.zeros(threads, np.uint32)
    run(f"{body}\n{at(0, 4)}    st.global.u32 [%rd50], {register};", out, threads=threads)
    return out


@pytest.mark.parametrize(
    ("mode", "below", "expected"),
    [("all", 32, 1), ("all", 31, 0), ("any", 1, 1), ("any", 0, 0), ("uni", 32, 1), ("uni", 0, 1), ("uni", 5, 0)],
)
def test_votes(mode: str, below: int, expected: int) -> None:
    body = f"    setp.lt.u32 %p1, %r60, {below};\n    vote.sync.{mode}.pred %p2, %p1, {FULL};\n"
    body += "    selp.u32 %r1, 1, 0, %p2;"
    assert set(collect(body, "%r1").tolist()) == {expected}


def test_ballot_is_of_each_warp() -> None:
    body = f"    setp.lt.u32 %p1, %r60, 40;\n    vote.sync.ballot.b32 %r1, !%p1, {FULL};"
    assert collect(body, "%r1", 64).tolist() == [0] * 32 + [0xFFFFFF00] * 32


def test_match_any() -> None:
    got = collect(f"    and.b32 %r1, %r60, 3;\n    match.any.sync.b32 %r2, %r1, {FULL};", "%r2")
    assert got.tolist() == [0x11111111 << n % 4 for n in range(32)]


def test_match_all() -> None:
    body = f"    shr.u32 %r1, %r60, 5;\n    cvt.u64.u32 %rd1, %r1;\n    match.all.sync.b64 %r2|%p1, %rd1, {FULL};\n"
    assert set(collect(body + "    selp.u32 %r2, %r2, 7, %p1;", "%r2").tolist()) == {0xFFFFFFFF}
    body = f"    match.all.sync.b32 %r2|%p1, %r60, {FULL};\n    selp.u32 %r3, 1, 0, %p1;\n    add.u32 %r2, %r2, %r3;"
    assert set(collect(body, "%r2").tolist()) == {0}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("add.s32", 496 - 320), ("min.s32", 0xFFFFFFF6), ("max.s32", 21), ("min.u32", 0), ("max.u32", 0xFFFFFFFF),
     ("and.b32", 0), ("or.b32", 0xFFFFFFFF), ("xor.b32", 0)],
)  # fmt: skip
def test_redux(operation: str, expected: int) -> None:
    values = [(n - 10) & 0xFFFFFFFF for n in range(32)]
    if operation == "xor.b32":
        expected = int(np.bitwise_xor.reduce(np.array(values, np.uint32)))
    got = collect(f"    sub.s32 %r1, %r60, 10;\n    redux.sync.{operation} %r2, %r1, {FULL};", "%r2")
    assert set(got.tolist()) == {expected}


def test_elect() -> None:
    body = "    elect.sync %r1|%p1, 0xffffffff;\n    selp.u32 %r2, 100, 0, %p1;\n    add.u32 %r1, %r1, %r2;"
    got = collect(body, "%r1")
    assert got.tolist() == [100] + [0] * 31


def test_activemask_within_a_branch() -> None:
    body = "    mov.u32 %r1, 0;\n    setp.lt.u32 %p1, %r60, 3;\n    @%p1 activemask.b32 %r1;"
    assert collect(body, "%r1").tolist() == [7, 7, 7] + [0] * 29


# -- warp barriers -----------------------------------------------------------------------------------------------------

EXCHANGE = """
    .shared .align 4 .b8 tile[128];
    mov.u32 %r1, tile;
    mad.lo.u32 %r1, %r60, 4, %r1;
    st.shared.u32 [%r1], %r60;
    bar.warp.sync 0xffffffff;
    xor.b32 %r2, %r1, 4;
    ld.shared.u32 %r3, [%r2];"""


def test_a_warp_barrier_orders_shared_memory() -> None:
    assert collect(EXCHANGE, "%r3").tolist() == [n ^ 1 for n in range(32)]
    with pytest.raises(simt.Race, match="read after write"):
        collect(EXCHANGE.replace("    bar.warp.sync 0xffffffff;\n", ""), "%r3")


def test_a_warp_barrier_orders_its_mask_alone() -> None:
    body = EXCHANGE.replace("    bar.warp.sync 0xffffffff;", "    shl.b32 %r5, 3, %r60;\n    and.b32 %r6, %r60, 30;\n"
                            "    shl.b32 %r5, 3, %r6;\n    bar.warp.sync %r5;")  # fmt: skip
    assert collect(body, "%r3").tolist() == [n ^ 1 for n in range(32)]  # pairs wait for each other
    with pytest.raises(simt.Race):
        collect(body.replace("xor.b32 %r2, %r1, 4", "xor.b32 %r2, %r1, 8"), "%r3")


def test_a_warp_barrier_does_not_order_other_warps() -> None:
    body = EXCHANGE.replace("tile[128]", "tile[256]").replace("xor.b32 %r2, %r1, 4", "xor.b32 %r2, %r1, 128")
    with pytest.raises(simt.Race):
        collect(body, "%r3", 64)
    collect(body.replace("bar.warp.sync 0xffffffff", "bar.sync 0"), "%r3", 64)
