"""A recorded launch: values, lanes, places and their cost. (Its page: tests/page.)"""

from __future__ import annotations

import numpy as np
import pytest

from tests.simt.kernels import at, module
from tinydl.kernels import simt
from tinydl.kernels.simt.program import link
from tinydl.kernels.simt.trace import MOST, Event, Recorder, Trace

BODY = f"""
    .shared .align 4 .b8 tile[512];
    .loc 1 2 1
    setp.lt.u32 %p1, %r60, 40;
    cvt.rn.f32.u32 %f1, %r60;
    .loc 1 3 1
    mov.u32 %r1, tile;
    mad.lo.u32 %r1, %r60, 8, %r1;
    @%p1 st.shared.f32 [%r1], %f1;
    .loc 1 4 1
    @!%p1 bra END;
    neg.s32 %r2, %r60;
END:
{at(0, 4)}
    .loc 1 5 1
    ld.global.f32 %f2, [%rd50];
"""


def recorded(warps: int = 2, body: str = BODY) -> Trace:
    ptx = module(body) + '.file 1 "x.cu"\n'
    made, events = simt.parse(ptx), list[Event]()
    counted = simt.launch(
        made, "k", 2, 64, [np.arange(64, dtype=np.float32)], watch=lambda wave: Recorder(wave, warps, events)
    )
    return Trace(link(made, "k"), events, counted)


def of(trace: Trace, text: str, warp: int) -> Event:
    program = trace.program.instructions
    (event,) = [e for e in trace.events if program[e.number].text.startswith(text) and e.warp == warp]
    return event


def test_values_of_every_thread() -> None:
    trace = recorded()
    assert of(trace, "cvt", 1).values == [str(n) for n in range(32, 64)] and of(trace, "cvt", 1).name == "%f1"
    assert of(trace, "setp", 1).values == ["true"] * 8 + ["false"] * 24
    assert of(trace, "neg", 0).values == [str(-n) for n in range(32)]
    assert of(trace, "ld.global", 0).values[:3] == ["0", "1", "2"]


def test_lanes_that_came_and_that_take_part() -> None:
    trace = recorded()
    store = of(trace, "st.shared", 1)
    assert (store.came, store.active) == (0xFFFFFFFF, 0xFF) and store.name == "%f1" and len(store.values) == 8
    assert of(trace, "neg", 1).came == 0xFF and of(trace, "ld.global", 1).came == 0xFFFFFFFF


def test_places_and_their_cost() -> None:
    trace = recorded()
    store, load = of(trace, "st.shared", 0), of(trace, "ld.global", 0)
    assert store.places == [8 * n for n in range(32)] and store.cost == "2 turns of shared memory, 1 at best"
    assert np.diff(load.places).tolist() == [4] * 31 and load.cost == "4 sectors of 32 bytes, 4 at best"
    assert not of(trace, "ld.param", 0).places


def test_only_the_first_warps_of_the_first_block_are_kept() -> None:
    trace = recorded(warps=1)
    assert {event.warp for event in trace.events} == {0}
    executed = {e.number for e in recorded().events}
    assert executed == set(range(len(trace.program.instructions))) and trace.counted.mix["neg"] == 4


def test_a_launch_that_is_too_long_is_refused() -> None:
    body = "    mov.u32 %r1, 0;\nA:\n    add.u32 %r1, %r1, 1;\n    setp.lt.u32 %p1, %r1, 9999;\n    @%p1 bra A;"
    with pytest.raises(simt.LaunchProblem, match=f"more than {MOST} steps"):
        recorded(body=body)
