"""Barriers of blocks and of parts of them, grid-wide barriers, locks; divergence and deadlock."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simt.kernels import at, run
from tinydl.kernels import simt

TILE = """
    .shared .align 4 .b8 tile[512];
    mov.u32 %r1, tile;
    mad.lo.u32 %r1, %r60, 4, %r1;"""


def reverse(barrier: str, threads: int = 128) -> list[int]:
    """Every thread writes its number; each reads that of its opposite."""
    out = np.zeros(threads, np.uint32)
    run(f"""{TILE}
    st.shared.u32 [%r1], %r60;
    {barrier}
    mov.u32 %r2, tile;
    sub.u32 %r3, {threads - 1}, %r60;
    mad.lo.u32 %r2, %r3, 4, %r2;
    ld.shared.u32 %r4, [%r2];
{at(0, 4)}
    st.global.u32 [%rd50], %r4;""", out, threads=threads)
    return out.tolist()


@pytest.mark.parametrize(
    "barrier", ["bar.sync 0;", "barrier.sync.aligned 0;", "bar.sync 3;", "bar.sync 0, 128;", "barrier.cta.sync 1;"]
)
def test_a_barrier_orders_a_block(barrier: str) -> None:
    assert reverse(barrier) == list(range(127, -1, -1))


def test_without_a_barrier_it_is_a_race() -> None:
    with pytest.raises(simt.Race) as caught:
        reverse("")
    assert caught.value.facts["race"] == "read after write"
    assert "st.shared.u32 [%r1], %r60" in str(caught.value) and "ld.shared.u32 %r4, [%r2]" in str(caught.value)


def test_a_barrier_of_some_warps_orders_those() -> None:
    body = f"""{TILE}
    st.shared.u32 [%r1], %r60;
    setp.ge.u32 %p1, %r60, 64;
    @%p1 bra OTHERS;
    bar.sync 1, 64;
    xor.b32 %r3, %r1, 128;
    ld.shared.u32 %r4, [%r3];
    bra END;
OTHERS:
    bar.sync 2, 64;
    xor.b32 %r3, %r1, 128;
    ld.shared.u32 %r4, [%r3];
END:
{at(0, 4)}
    st.global.u32 [%rd50], %r4;"""
    out = np.zeros(128, np.uint32)
    run(body, out, threads=128)
    assert out.tolist() == [n ^ 32 for n in range(128)]
    with pytest.raises(simt.Race):
        run(body.replace("xor.b32 %r3, %r1, 128", "xor.b32 %r3, %r1, 256"), out, threads=128)


def test_arrive_and_sync() -> None:
    """Producers arrive, consumers wait: the producers' writes lie behind the consumers."""
    body = f"""{TILE}
    setp.ge.u32 %p1, %r60, 32;
    @%p1 bra CONSUMER;
    st.shared.u32 [%r1], %r60;
    bar.arrive 1, 64;
    bra END;
CONSUMER:
    bar.sync 1, 64;
    ld.shared.u32 %r4, [%r1+-128];
{at(0, 4)}
    st.global.u32 [%rd50], %r4;
END:"""
    out = np.zeros(64, np.uint32)
    run(body, out, threads=64)
    assert out[32:].tolist() == list(range(32))
    with pytest.raises(simt.Race, match="read after write"):
        run(body.replace("    bar.sync 1, 64;\n", "").replace("    bar.arrive 1, 64;\n", ""), out, threads=64)
    overwritten = body.replace("    bar.arrive 1, 64;", "    bar.arrive 1, 64;\n    st.shared.u32 [%r1], 7;")
    with pytest.raises(simt.Race, match="write"):  # who only arrives knows nothing of the others
        run(overwritten, out, threads=64)


@pytest.mark.parametrize(
    ("operation", "below", "expected"),
    [("popc.u32", 40, 40), ("and.pred", 64, 1), ("and.pred", 63, 0), ("or.pred", 1, 1), ("or.pred", 0, 0)],
)
def test_reductions_at_a_barrier(operation: str, below: int, expected: int) -> None:
    out = np.zeros(64, np.uint32)
    target = "%r1" if operation == "popc.u32" else "%p2"
    run(f"    setp.lt.u32 %p1, %r60, {below};\n    barrier.red.{operation} {target}, 0, %p1;\n"
        + ("" if target == "%r1" else "    selp.u32 %r1, 1, 0, %p2;\n")
        + f"{at(0, 4)}    st.global.u32 [%rd50], %r1;", out, threads=64)  # fmt: skip
    assert set(out.tolist()) == {expected}


def test_barriers_in_loops_of_different_length_per_block() -> None:
    out = np.zeros(3, np.uint32)
    counters = run("""
    .shared .align 4 .b8 tile[4];
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, 0;
    setp.eq.u32 %p1, %r60, 0;
    @%p1 st.shared.u32 [tile], 0;
AGAIN:
    bar.sync 0;
    @%p1 atom.shared.add.u32 %r3, [tile], 10;
    bar.sync 0;
    add.u32 %r2, %r2, 1;
    setp.le.u32 %p2, %r2, %r1;
    @%p2 bra AGAIN;
    ld.shared.u32 %r4, [tile];
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd1, %rd1, %rd40;
    @%p1 st.global.u32 [%rd1], %r4;""", out, threads=64, blocks=3)
    assert out.tolist() == [10, 20, 30] and counters.barriers == 2 * (1 + 2 + 3)


# -- divergence --------------------------------------------------------------------------------------------------------


def test_threads_that_left_miss_a_barrier() -> None:
    with pytest.raises(simt.BarrierDivergence, match=r"by thread \(0, 0, 0\).*never by thread \(40, 0, 0\).*left"):
        run("    setp.ge.u32 %p1, %r60, 40;\n    @%p1 exit;\n    bar.sync 0;", np.zeros(1), threads=64)
    run("    setp.ge.u32 %p1, %r60, 40;\n    @%p1 exit;\n    bar.sync 0;", np.zeros(1), threads=64, checks=False)


def test_two_barriers_are_not_one() -> None:
    body = """
    setp.ge.u32 %p1, %r60, 32;
    @%p1 bra OTHER;
    bar.sync 0;
    bra END;
OTHER:
    bar.sync 0;
END:"""
    with pytest.raises(simt.BarrierDivergence, match=r"thread \(0, 0, 0\).*waits at .*thread \(32, 0, 0\).*the same"):
        run(body, np.zeros(1), threads=64)


def test_a_barrier_that_some_never_reach() -> None:
    body = """
    setp.ge.u32 %p1, %r60, 32;
    @%p1 bar.sync 1;
    @!%p1 bar.sync 2;"""
    with pytest.raises(simt.BarrierDivergence, match="cannot go on: 32 threads wait at barrier"):
        run(body, np.zeros(1), threads=64)


def test_a_count_that_is_never_reached_is_a_deadlock() -> None:
    with pytest.raises(simt.Deadlock, match="64 threads wait at barrier 1"):
        run("    bar.sync 1, 96;", np.zeros(1), threads=64)


# -- blocks that wait for each other -----------------------------------------------------------------------------------

#: Each block writes a number, all wait for each other, each reads its neighbour's; twice.
GRID_BARRIER = """
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %nctaid.x;
    setp.eq.u32 %p1, %r60, 0;
    mov.u32 %r10, 0;
ROUND:
    add.u32 %r10, %r10, 1;
    mad.lo.u32 %r3, %r1, 64, %r60;
    mul.wide.u32 %rd1, %r3, 4;
    add.s64 %rd1, %rd1, %rd41;
    mad.lo.u32 %r4, %r10, 1000, %r3;
    st.global.u32 [%rd1], %r4;
    bar.sync 0;
    @!%p1 bra ARRIVED;
    fence.acq_rel.gpu;
    atom.global.add.u32 %r5, [%rd42], 1;
    mul.lo.u32 %r6, %r2, %r10;
    mul.lo.u32 %r6, %r6, 2;
    sub.u32 %r6, %r6, %r2;
SPIN:
    ld.volatile.global.u32 %r7, [%rd42];
    setp.lt.u32 %p2, %r7, %r6;
    @%p2 bra SPIN;
    fence.acq_rel.gpu;
ARRIVED:
    bar.sync 0;
    add.u32 %r8, %r1, 1;
    rem.u32 %r8, %r8, %r2;
    mad.lo.u32 %r8, %r8, 64, %r60;
    xor.b32 %r8, %r8, 33;
    mul.wide.u32 %rd2, %r8, 4;
    add.s64 %rd2, %rd2, %rd41;
    ld.global.u32 %r9, [%rd2];
    mul.wide.u32 %rd3, %r3, 4;
    add.s64 %rd3, %rd3, %rd40;
    st.global.u32 [%rd3], %r9;
    bar.sync 0;
    @!%p1 bra SECOND;
    fence.acq_rel.gpu;
    atom.global.add.u32 %r5, [%rd42], 1;
    add.u32 %r6, %r6, %r2;
SPIN2:
    ld.volatile.global.u32 %r7, [%rd42];
    setp.lt.u32 %p2, %r7, %r6;
    @%p2 bra SPIN2;
    fence.acq_rel.gpu;
SECOND:
    bar.sync 0;
    setp.lt.u32 %p3, %r10, 2;
    @%p3 bra ROUND;"""


def grid(body: str, blocks: int = 5) -> list[int]:
    out, data = np.zeros(64 * blocks, np.uint32), np.zeros(64 * blocks, np.uint32)
    run(body, out, data, np.zeros(1, np.uint32), threads=64, blocks=blocks)
    return out.tolist()


def without(body: str, text: str, number: int) -> str:
    """A body without the ``number``-th occurrence of a text."""
    parts = body.split(text)
    return text.join(parts[: number + 1]) + text.join(parts[number + 1 :])


def test_a_grid_wide_barrier() -> None:
    thread = np.arange(320)
    wanted = 2000 + ((thread // 64 + 1) % 5 * 64 + (thread % 64 ^ 33))
    assert grid(GRID_BARRIER) == wanted.tolist()


@pytest.mark.parametrize("number", range(4))
def test_a_grid_wide_barrier_needs_its_fences(number: int) -> None:
    with pytest.raises(simt.Race, match="argument 1"):
        grid(without(GRID_BARRIER, "    fence.acq_rel.gpu;\n", number))


@pytest.mark.parametrize("number", range(4))
def test_a_grid_wide_barrier_needs_the_blocks_own(number: int) -> None:
    with pytest.raises((simt.Race, simt.BarrierDivergence), match="argument 1|barrier"):
        grid(without(GRID_BARRIER, "    bar.sync 0;\n", number))


def test_a_block_that_the_others_do_not_wait_for_comes_late() -> None:
    """One that is counted too few: run side by side, all would have arrived when the first looks."""
    with pytest.raises(simt.Race, match="argument 1"):
        grid(GRID_BARRIER.replace("sub.u32 %r6, %r6, %r2;", "sub.u32 %r6, %r6, %r2;\n    sub.u32 %r6, %r6, 1;"))


@pytest.mark.parametrize("membar", ["membar.gl", "fence.sc.sys", "fence.acq_rel.cluster"])
def test_other_fences(membar: str) -> None:
    grid(GRID_BARRIER.replace("fence.acq_rel.gpu", membar))


def test_release_and_acquire_need_no_fence() -> None:
    body = GRID_BARRIER.replace("    fence.acq_rel.gpu;\n", "").replace("atom.global", "atom.release.gpu.global")
    body = body.replace("ld.volatile", "ld.acquire.gpu")
    grid(body)
    with pytest.raises(simt.Race):
        grid(body.replace("ld.acquire", "ld.relaxed"))


def test_a_grid_that_waits_for_too_many_is_a_deadlock() -> None:
    body = GRID_BARRIER.replace("add.u32 %r6, %r6, %r2", "add.u32 %r6, %r6, 100")
    with pytest.raises(simt.Deadlock, match="polls at '.*' .*for what no other thread will write"):
        grid(body)


def test_a_loop_of_atomics_does_not_wait() -> None:
    """Only a loop that ends by what others write gathers the whole grid in one wave."""
    counting = """
    mov.u32 %r1, 0;
AGAIN:
    atom.global.add.u32 %r2, [%rd40], 1;
    add.u32 %r1, %r1, 1;
    setp.lt.u32 %p1, %r1, 3;
    @%p1 bra AGAIN;"""
    total = np.zeros(1, np.uint32)
    assert run(counting, total, threads=32, blocks=4, wave=64).waves == 2 and total[0] == 384
    waiting = counting.replace("setp.lt.u32 %p1, %r1, 3", "setp.lt.u32 %p1, %r2, 200")
    assert run(waiting, np.zeros(1, np.uint32), threads=32, blocks=4, wave=64).waves == 1


LOCK = """
    mov.u32 %r1, 0;
AGAIN:
    atom.acquire.gpu.global.cas.b32 %r2, [%rd40], 0, 1;
    setp.ne.u32 %p1, %r2, 0;
    @%p1 bra AGAIN;
    ld.global.u32 %r3, [%rd41];
    add.u32 %r3, %r3, 1;
    st.global.u32 [%rd41], %r3;
    atom.release.gpu.global.exch.b32 %r4, [%rd40], 0;"""


def test_a_lock_that_each_thread_of_a_warp_takes() -> None:
    total = np.zeros(1, np.uint32)
    run(LOCK, np.zeros(1, np.uint32), total, threads=48, blocks=2)
    assert total[0] == 96


def test_a_lock_that_is_never_given_back() -> None:
    with pytest.raises(simt.Deadlock, match="polls"):
        run(LOCK.replace("    atom.release.gpu.global.exch.b32 %r4, [%rd40], 0;", ""), np.zeros(1, np.uint32),
            np.zeros(1, np.uint32), threads=2)  # fmt: skip


def test_a_lock_without_order_is_a_race() -> None:
    with pytest.raises(simt.Race, match="argument 1"):
        relaxed = LOCK.replace(".acquire.gpu", "").replace(".release.gpu", "")
        run(relaxed, np.zeros(1, np.uint32), np.zeros(1, np.uint32), threads=2, blocks=2)
