"""The matmul ladder: what each rung computes in a second, what it gains on the rung before, and how near BLAS it is.

float32, square, each rung in a process of its own, in turns. All rungs run on one thread; ``ir`` and BLAS, which know
how to share, on two as well. The textbook's loop is left out where it takes a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tinydl.benchmarks import harness, report
from tinydl.benchmarks.harness import Benchmark, Job, Row

RUNGS = ("loop", "order", "unrolled", "blocked", "packed", "tiled", "ir")
BLAS = "blas"
PAGE = harness.RESULTS.parents[1] / "docs" / "matmul.md"
CASES = (  # size, threads, rungs
    (512, 1, RUNGS), (1024, 1, RUNGS), (2048, 1, RUNGS[1:]), (512, 2, RUNGS[-1:]), (1024, 2, RUNGS[-1:]),
    (2048, 2, RUNGS[-1:]),
)  # fmt: skip


def one(rung: str, case: str) -> Job:
    """``case`` is ``"512 2"``: the size, and the threads."""
    from threadpoolctl import threadpool_limits

    from tinydl.kernels import threads, variants

    size, count = map(int, case.split())
    threadpool_limits(count, "blas")  # holds for the life of the process
    threads.set_num_threads(count)
    matmul = next(v.function for v in variants("matmul") if v.name == rung)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size)).astype(np.float32) for _ in range(2))
    matmul(a[:5, :5], b[:5, :5])  # compiled

    def step() -> None:
        matmul(a, b)

    return Job(step, check=[float(np.abs(matmul(a, b)).mean())])


def run() -> Iterator[Row]:
    """A row per rung and case, BLAS beside it; the gain on the rung before stands in the note."""
    from tinydl.kernels import threads

    for size, count, rungs in CASES:
        if count <= threads.max_threads():
            sides = {side: BENCHMARK.sides[side] for side in (*rungs[::-1], BLAS)}
            measured = harness.compare(replace(BENCHMARK, sides=sides), f"{size} {count}", _say)
            yield from summary(size, count, rungs, measured)
    if PAGE.exists() and harness.history("ladder"):  # there is no page where tinydl is installed
        update()


def summary(size: int, count: int, rungs: Sequence[str], measured: Sequence[Row]) -> Iterator[Row]:
    """From the milliseconds of the last rung beside each other side, GFLOP/s of each rung beside BLAS."""
    last = measured[0]
    times = {rungs[-1]: (last.ours, last.ours_p20, last.ours_p80)}
    clean = {rungs[-1]: last.clean.split()[0]}
    for row in measured:
        assert row.rival is not None and row.rival_p20 is not None and row.rival_p80 is not None
        times[row.rival_name] = row.rival, row.rival_p20, row.rival_p80
        clean[row.rival_name] = row.clean.split()[1]
    speed = {side: tuple(2e-6 * size**3 / ms for ms in found) for side, found in times.items()}
    before = ""
    for rung in rungs:
        case = f"{size}^3, {count} thread{'s' if count > 1 else ''}: {rung}"
        middle, high, low = speed[rung]
        row = Row("ladder", case, "GFLOP/s", middle, low, high, rival_name=BLAS)
        row.rival, row.rival_p80, row.rival_p20 = speed[BLAS]
        row.ratio = middle / row.rival
        row.clean = f"{clean[rung]} {clean[BLAS]}"
        row.note = f"{middle / speed[before][0]:.2f} times {before}" if before else ""
        yield row
        before = rung


def table(folder: Path = harness.RESULTS) -> str:
    """The newest row of each case as Markdown: rungs by sizes on one thread; ``ir`` and BLAS on two; where that was."""
    newest = {row["case"]: row for row in harness.history("ladder", folder)}
    sizes = sorted({size for size, _, _ in CASES})
    lines = [f"| one thread | {' | '.join(f'{n}³' for n in sizes)} |", "|---|" + "---|" * len(sizes)]

    def cell(row: dict[str, str] | None) -> str:
        gain = row["note"].split()[0] if row and row["note"] else ""
        return "" if row is None else row["ours"] + (f" (×{gain})" if gain else "")

    def line(name: str, cells: Iterable[str]) -> str:
        return f"| {name} | {' | '.join(cells)} |"

    def last(size: int, thread: str) -> dict[str, str]:
        return newest[f"{size}^3, {thread}: {RUNGS[-1]}"]

    lines += [line(f"`{rung}`", (cell(newest.get(f"{n}^3, 1 thread: {rung}")) for n in sizes)) for rung in RUNGS]
    for thread in ("1 thread", "2 threads"):
        if thread == "2 threads":
            lines.append(line("**two threads**", [""] * len(sizes)))
            lines.append(line(f"`{RUNGS[-1]}`", (last(n, thread)["ours"] for n in sizes)))
        lines.append(line(f"`{BLAS}`", (last(n, thread)["rival"] for n in sizes)))
        lines.append(line(f"`{RUNGS[-1]}` / `{BLAS}`", (last(n, thread)["ratio"] for n in sizes)))
    where = last(sizes[-1], "1 thread")
    return "\n".join([*lines, "", f"Medians; {where['machine']}; {where['versions']}; {where['date'][:10]}."])


def update(page: Path = PAGE, folder: Path = harness.RESULTS) -> None:
    """Put the table into the page."""
    before, _, after = report.between(page.read_text(encoding="utf-8"), "ladder")
    page.write_text(f"{before}\n\n{table(folder)}\n\n{after}", encoding="utf-8")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


BENCHMARK = Benchmark(
    name="ladder",
    title="the matmul ladder, GFLOP/s rung by rung beside OpenBLAS (bar: ir at 0.95 of it, 512^3 to 2048^3)",
    sides={side: partial(one, side) for side in (*RUNGS, BLAS)},
    repeats=7,
    patience=8.0,
    seconds=90.0,
    sample_seconds=0.05,
    run=run,
)
