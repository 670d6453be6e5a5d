"""The race detector: what is a race, what is none, in shared and in global memory."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simt.kernels import at, run
from tinydl.kernels import simt

TILE = """
    .shared .align 4 .b8 tile[512];
    setp.eq.u32 %p1, %r60, 0;
    setp.eq.u32 %p2, %r60, 40;"""


def shared(body: str, threads: int = 64, blocks: int = 1) -> None:
    run(f"{TILE}\n    @%p1 st.shared.u32 [tile], 5;\n    bar.sync 0;\n{body}", np.zeros(64, np.uint32), threads=threads,
        blocks=blocks)  # fmt: skip


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("@%p1 st.shared.u32 [tile], 1;\n@%p2 ld.shared.u32 %r1, [tile];", "read after write"),
        ("@%p1 ld.shared.u32 %r1, [tile];\n@%p2 st.shared.u32 [tile], 1;", "write after read"),
        ("ld.shared.u32 %r1, [tile];\n@%p2 st.shared.u32 [tile], 1;", "write after read"),
        ("ld.shared.u32 %r1, [tile];\n@%p1 st.shared.u32 [tile], 1;", "write after read"),
        ("@%p1 st.shared.u32 [tile], 1;\n@%p2 st.shared.u32 [tile], 2;", "write after write"),
        ("st.shared.u32 [tile], %r60;", "write after write"),
        ("@%p1 st.shared.u16 [tile+2], 1;\n@%p2 ld.shared.u32 %r1, [tile];", "read after write"),
        ("atom.shared.add.u32 %r1, [tile], 1;\n@%p2 ld.shared.u32 %r1, [tile];", "read after write"),
        ("@%p1 ld.shared.u32 %r1, [tile];\n@%p2 atom.shared.add.u32 %r1, [tile], 1;", "write after read"),
        ("ld.shared.u32 %r1, [tile];\nsetp.eq.u32 %p3, %r60, 31;\n@%p3 st.shared.u32 [tile], 1;", "write after read"),
    ],
    ids=["raw", "war", "war-of-many", "war-of-the-first", "waw", "waw-at-once", "part", "atomic-then-read",
         "read-then-atomic", "war-of-the-last"],
)  # fmt: skip
def test_races_of_shared_memory(body: str, kinds: str) -> None:
    with pytest.raises(simt.Race) as caught:
        shared(body)
    assert caught.value.facts["race"] == kinds
    assert "byte" in caught.value.facts["place"] and "tile" in caught.value.facts["place"]


@pytest.mark.parametrize(
    "body",
    [
        "@%p1 st.shared.u32 [tile], 1;\nbar.sync 0;\n@%p2 ld.shared.u32 %r1, [tile];",
        "@%p1 st.shared.u32 [tile], 1;\n@%p1 ld.shared.u32 %r1, [tile];\n@%p1 st.shared.u32 [tile], 2;",
        "ld.shared.u32 %r1, [tile];\nld.shared.u32 %r1, [tile];",
        "st.shared.u32 [tile+4], 9;",
        "@%p1 st.shared.u32 [tile], 5;\n@%p2 st.shared.u32 [tile], 5;",
        "atom.shared.add.u32 %r1, [tile], 1;\nred.shared.add.u32 [tile], 1;",
        "@%p1 st.volatile.shared.u32 [tile], 1;\n@%p2 ld.volatile.shared.u32 %r1, [tile];",
        "@%p1 st.shared.u16 [tile+4], 1;\n@%p2 st.shared.u16 [tile+6], 2;",
    ],
    ids=["barrier", "own", "reads", "same-value-at-once", "value-that-stands-there", "atomics", "volatile", "halves"],
)
def test_what_is_no_race(body: str) -> None:
    shared(body)


def test_blocks_have_shared_memories_of_their_own() -> None:
    shared("mov.u32 %r1, %ctaid.x;\n@%p1 st.shared.u32 [tile], %r1;", blocks=3)


def test_blocks_race_in_global_memory() -> None:
    write = f"    mov.u32 %r1, %ctaid.x;\n{at(0, 4)}    st.global.u32 [%rd50], %r1;"
    with pytest.raises(simt.Race, match="write after write.*argument 0 of global memory") as caught:
        run(write, np.zeros(32, np.uint32), threads=32, blocks=2)
    assert "block (0, 0, 0)" in str(caught.value) and "block (1, 0, 0)" in str(caught.value)
    run(write.replace("%ctaid.x", "%tid.x"), np.arange(32, dtype=np.uint32), threads=32, blocks=2)


def test_blocks_of_different_waves_race_too() -> None:
    body = f"    mov.u32 %r1, %ctaid.x;\n{at(0, 4)}    st.global.u32 [%rd50], %r1;"
    with pytest.raises(simt.Race, match="write after write"):
        run(body, np.zeros(32, np.uint32), threads=32, blocks=3, wave=32)


def test_a_barrier_does_not_order_blocks() -> None:
    body = """
    mov.u32 %r1, %ctaid.x;
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd1, %rd1, %rd40;
    setp.eq.u32 %p1, %r60, 0;
    @%p1 st.global.u32 [%rd1], 7;
    bar.sync 0;
    ld.global.u32 %r2, [%rd40];"""
    run(body, np.zeros(2, np.uint32), threads=64)
    with pytest.raises(simt.Race, match="read after write"):
        run(body, np.zeros(2, np.uint32), threads=64, blocks=2)


def test_atomics_of_blocks_do_not_race() -> None:
    total = np.zeros(1, np.uint32)
    run("    red.global.add.u32 [%rd40], 1;", total, threads=64, blocks=3, wave=64)
    assert total[0] == 192


def test_checks_off_says_nothing() -> None:
    run("    st.global.u32 [%rd40], %r60;", np.zeros(1, np.uint32), threads=64, checks=False)
