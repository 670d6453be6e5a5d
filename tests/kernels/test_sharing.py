"""Work cut among threads: every part is done once, whatever their number, and functions of one code stay apart."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from typing import Any, NamedTuple

import numpy as np
import pytest

from tinydl.kernels import threads
from tinydl.kernels.sharing import Shared, shared
from tinydl.kernels.vector import take


class Sizes(NamedTuple):
    rows: int
    columns: int


@shared(error_model="numpy")
def _mark(thread: int, threads: int, sizes: Any, x: Any, by: Any, seen: Any) -> None:
    for row in range(sizes.rows * thread // threads, sizes.rows * (thread + 1) // threads):
        room = np.empty(sizes.columns, np.float64)  # memory of a part's own
        for column in range(sizes.columns):
            room[column] = x[row, column] * by
        x[row] = room
    seen[thread] += threads


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_part_is_done_once(count: int) -> None:
    x, seen = np.ones((5, 3)), np.zeros(8, np.int64)
    _mark(count, Sizes(5, 3), x, 2.5, seen)
    assert (x == 2.5).all()
    assert seen.tolist() == [count] * count + [0] * (8 - count)  # more parts than threads wait for their turn


def test_alone_is_one_thread() -> None:
    x, seen = np.ones((5, 3)), np.zeros(8, np.int64)
    _mark.alone(Sizes(5, 3), x, 3.0, seen)
    assert (x == 3).all() and seen.tolist() == [1] + [0] * 7


@pytest.mark.skipif(threads.max_threads() < 2, reason="one core")
def test_parts_run_on_several_threads() -> None:
    """Each part waits until the other has begun, which it would for ever on one thread."""
    begun = np.zeros(2, np.int64)
    met = np.zeros(2, np.int64)
    with threads.num_threads(2):
        _meet(2, begun, met)
    assert met.tolist() == [1, 1]


@shared
def _meet(thread: int, threads: int, begun: Any, met: Any) -> None:
    take(begun, thread)
    for polls in range(200_000_000):  # each of which counts in the other's place too
        if take(begun, 1 - thread) > polls:
            met[thread] = 1
            break


_factor = 1.0


def _scale(thread: int, threads: int, x: Any) -> None:
    for i in range(len(x) * thread // threads, len(x) * (thread + 1) // threads):
        x[i] *= _factor


def test_functions_of_one_code_stay_apart() -> None:
    results = []
    for factor in (2.0, 3.0):
        part = types.FunctionType(_scale.__code__, {**globals(), "_factor": factor}, f"scale_{factor:.0f}")
        part.__qualname__ = part.__name__
        x = np.ones(4)
        Shared(part)(2, x)
        results.append(x.tolist())
    assert results == [[2.0] * 4, [3.0] * 4]


def test_what_begins_otherwise_is_refused() -> None:
    with pytest.raises(TypeError, match=r"_wrong begins with \(x, threads\) instead of \(thread, threads\)"):

        @shared
        def _wrong(x: Any, threads: int) -> None: ...


def test_as_the_python_that_it_is() -> None:
    code = (
        "import numpy as np\n"
        "from tinydl.kernels.sharing import shared\n"
        "@shared\n"
        "def mark(thread, threads, x):\n"
        "    x[thread] += threads\n"
        "x = np.zeros(4, int)\n"
        "mark(3, x)\n"
        "mark.alone(x)\n"
        "print(x.tolist())\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[4, 3, 3, 0]\n", done.stderr
