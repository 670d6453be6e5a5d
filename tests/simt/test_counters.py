"""Counts worked out by hand: sectors, bank conflicts, divergence, barriers, the mix; occupancy by NVIDIA's tables."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simt.kernels import module, run
from tinydl.kernels import simt
from tinydl.kernels.simt.counters import Accesses
from tinydl.kernels.simt.ptx import Instruction


def access(counters: simt.Counters, name: str = "ld") -> Accesses:
    """The one counted access of a name."""
    (found,) = [a for a in counters.accesses.values() if a.instruction.name == name]
    return found


def load(stride: int, offset: int, kind: str = "f32", letter: str = "%f", threads: int = 32) -> Accesses:
    """A load from element ``offset + stride * tid``."""
    width = int(kind[1:]) // 8
    counters = run(f"    mul.wide.u32 %rd1, %r60, {stride * width};\n    add.s64 %rd1, %rd1, %rd40;\n"
                   f"    ld.global.{kind} {letter}1, [%rd1+{offset * width}];", np.zeros(4096, f"f{width}"),
                   threads=threads)  # fmt: skip
    return access(counters)


@pytest.mark.parametrize(
    ("stride", "offset", "taken", "best"),
    [(1, 0, 4, 4), (1, 1, 5, 4), (2, 0, 8, 4), (8, 0, 32, 4), (64, 0, 32, 4), (0, 3, 1, 1)],
    ids=["whole", "shifted", "every-second", "one-per-sector", "far-apart", "all-the-same"],
)
def test_sectors_of_a_warp(stride: int, offset: int, taken: int, best: int) -> None:
    found = load(stride, offset)
    assert (found.requests, found.threads, found.taken, found.best) == (1, 32, taken, best)
    assert found.efficiency == best / taken and found.conflicts == 0


def test_wider_elements_fill_more_sectors() -> None:
    assert load(1, 0, "f64", "%fd").taken == 8
    assert load(1, 0, threads=96).taken == 12 and load(1, 0, threads=96).requests == 3
    assert load(1, 0, threads=40).taken == 5  # the second warp has 8 threads


def test_the_whole_launch() -> None:
    counters = run("    mul.wide.u32 %rd1, %r60, 8;\n    add.s64 %rd1, %rd1, %rd40;\n    ld.global.f32 %f1, [%rd1];\n"
                   "    st.global.f32 [%rd1], %f1;", np.zeros(128, np.float32), threads=64)  # fmt: skip
    assert counters.sectors == 32 and counters.coalescing == 0.5
    assert counters.mix == {"ld": 2 * 2, "mov": 2, "mul": 2, "add": 2, "st": 2, "ret": 2}
    assert (counters.threads, counters.warps, counters.active) == (64 * 7, 2 * 7, 1.0)
    facts = counters.facts()
    assert facts["sectors"] == 32 and facts["block"] == [64, 1, 1] and len(facts["accesses"]) == 2


@pytest.mark.parametrize(
    ("stride", "conflicts"), [(1, 0), (2, 1), (3, 0), (4, 3), (16, 15), (32, 31), (33, 0), (0, 0)]
)
def test_bank_conflicts(stride: int, conflicts: int) -> None:
    text = module(f"""
    mov.u32 %r1, tile;
    mad.lo.u32 %r1, %r60, {4 * stride}, %r1;
    st.shared.u32 [%r1], 1;""", outside=".extern .shared .align 16 .b8 tile[];")  # fmt: skip
    counters = simt.launch(text, "k", 1, 32, [np.zeros(1)], shared=4 * 33 * 32)
    assert counters.bank_conflicts == access(counters, "st").conflicts == conflicts


@pytest.mark.parametrize(
    ("kind", "values", "bytes_", "best", "taken"),
    [("v4.f32", "{%f1, %f2, %f3, %f4}", 16, 4, 4), ("v4.f32", "{%f1, %f2, %f3, %f4}", 32, 4, 8),
     ("f64", "%fd1", 8, 2, 2), ("f64", "%fd1", 16, 2, 4)],
    ids=["16-dense", "16-every-second", "8-dense", "8-every-second"],
)  # fmt: skip
def test_wide_accesses_take_turns_by_parts(kind: str, values: str, bytes_: int, best: int, taken: int) -> None:
    text = module(f"""
    mov.u32 %r1, tile;
    mad.lo.u32 %r1, %r60, {bytes_}, %r1;
    st.shared.{kind} [%r1], {values};""", outside=".extern .shared .align 16 .b8 tile[];")  # fmt: skip
    found = access(simt.launch(text, "k", 1, 32, [np.zeros(1)], shared=2048), "st")
    assert (found.best, found.taken) == (best, taken)


def test_a_warp_that_is_not_whole() -> None:
    text = module("""
    mov.u32 %r1, tile;
    mad.lo.u32 %r1, %r60, 128, %r1;
    st.shared.u32 [%r1], 1;""", outside=".extern .shared .align 16 .b8 tile[];")  # fmt: skip
    assert simt.launch(text, "k", 1, 20, [np.zeros(1)], shared=4096).bank_conflicts == 19


def test_barriers_and_active_threads() -> None:
    counters = run("    setp.lt.u32 %p1, %r60, 8;\n    bar.sync 0;\n    @!%p1 bra END;\n    add.u32 %r1, %r1, 1;\nEND:",
                   np.zeros(1), threads=32, blocks=4)  # fmt: skip
    assert counters.barriers == 4
    assert counters.mix["add"] == 4 and counters.active < 1


def test_without_checks_only_barriers_are_counted() -> None:
    counters = run("    bar.sync 0;\n    ld.global.f32 %f1, [%rd40];", np.zeros(1), blocks=2, checks=False)
    assert counters.barriers == 2 and not counters.accesses and not counters.mix


def test_a_source_line_stands_beside_each_count() -> None:
    text = module("    .loc 1 7 3\n    ld.global.f32 %f1, [%rd40];") + '.file 1 "x.cu"\n'
    found = access(simt.launch(text, "k", 1, 1, [np.zeros(1)]))
    assert isinstance(found.instruction, Instruction) and found.instruction.source == ("x.cu", 7)


# -- occupancy: CUDA C++ Programming Guide 13.0, and the occupancy calculator's examples -------------------------------


@pytest.mark.parametrize(
    ("threads", "registers", "shared", "architecture", "blocks", "limit"),
    [
        (256, 32, 0, "80", 8, "warps"),
        (256, 33, 0, "80", 6, "registers"),  # 33 registers are 40 when given out: 1280 a warp
        (256, 64, 0, "80", 4, "registers"),
        (256, 255, 0, "75", 1, "registers"),
        (32, 16, 0, "80", 32, "blocks"),
        (1024, 32, 0, "75", 1, "warps"),
        (128, 32, 48 << 10, "80", 3, "shared memory"),
        (128, 32, 48 << 10, "75", 1, "shared memory"),
        (128, 32, 100 << 10, "sm_90a", 2, "shared memory"),
        (128, 32, 228 << 10, "90", 0, "shared memory"),
        (1024, 128, 0, "90", 0, "registers"),
    ],
)
def test_occupancy(threads: int, registers: int, shared: int, architecture: str, blocks: int, limit: str) -> None:
    found = simt.occupancy(threads, registers, shared, architecture)
    assert (found.blocks, found.limit) == (blocks, limit)
    assert found.warps == blocks * -(-threads // 32)


def test_occupancy_of_a_launch() -> None:
    counters = run("    bar.sync 0;", np.zeros(1), threads=256)
    assert counters.occupancy(64, "80").share == 0.5


def test_occupancy_of_what_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no limits are known for 'sm_50'"):
        simt.occupancy(32, 32, 0, "sm_50")
    with pytest.raises(ValueError, match="at least one thread"):
        simt.occupancy(0, 32, 0)
