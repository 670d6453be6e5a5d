"""Kernels, measured from their cards alone: every variant, and PyTorch's function of the same work.

How samples are taken stands in :mod:`tinydl.benchmarks.harness`. A side is timed warm (again and again, after a step
that is not counted), cold (a single step when no cache holds its data) and at its first call, which compiles or loads.
A row of ``results/kernels.csv`` is one side of one case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.benchmarks import harness
from tinydl.benchmarks.harness import Absent, Benchmark, BenchmarkError, Job
from tinydl.benchmarks.roofs import Roofs

if TYPE_CHECKING:
    from tinydl.kernels import Card, Variant

NAME = "kernels"
RIVAL = "torch"  # how a rival's name begins
AGREE = 1e-3  # how far a rival's results may be from the reference's, relative to the largest
RUNS = 5  # stored runs whose medians say how far runs differ
LEAST = 0.03  # a change below this share is none


# --------------------------------------------------------------------------------------------------- the sides, as jobs


def benchmark(op: str, dtype: str, sides: Sequence[str], file: str | None = None) -> Benchmark:
    """The comparison of some sides of one operation: variants and rivals.

    file: a user's own, which was run; a worker runs it too. The name says all that a worker must know.
    """
    from tinydl.kernels import card

    about = card(op)
    return Benchmark(
        name=f"{NAME} {json.dumps([op, dtype, list(sides), file])}",
        title=about.says,
        sides={side: partial(_job, about, side, dtype) for side in sides},
        cases=tuple(about.cases),
        unit="us",
        repeats=9,
        patience=2.0,
        seconds=10.0,
        sample_seconds=0.04,
        pause=0.05,
        cold=5,
    )


def load(name: str) -> Benchmark:
    """The benchmark of that name, in a worker."""
    op, dtype, sides, file = json.loads(name.removeprefix(f"{NAME} "))
    if file is not None:
        from tinydl.cli.kernels import run_file

        run_file(file)
    return benchmark(op, dtype, sides, file)


def _job(about: Card, side: str, dtype: str, case: str) -> Job:
    if side.startswith(RIVAL):
        return _rival(about, side, dtype, case)
    from tinydl.kernels import threads, variants
    from tinydl.kernels.registry import ready
    from tinydl.lab.verify import own_forward

    variant = next(v for v in variants(about.op) if v.name == side)
    with own_forward(about, variant):
        arguments = about.cases[case](np.dtype(dtype).type)
    if variant.accepts is not None and not variant.accepts(*arguments):
        raise Absent(f"it does not accept {case}")
    kept = compiled_files()
    start = time.perf_counter()
    call = about.prepared(ready(variant.function), arguments)
    call()
    first = time.perf_counter() - start
    facts = {"compiled": compiled_files() > kept, "threads": threads.get_num_threads()}
    return Job(call, first=first, facts={**facts, **costs(about, arguments)})


def costs(about: Card, arguments: tuple[Any, ...]) -> dict[str, int]:
    """Operations and bytes of a call."""
    return {"flops": int(about.flops(*arguments)), "bytes": int(about.bytes(*arguments))}


def compiled_files() -> int:
    """How many files of machine code the cache holds: one more, and something was compiled."""
    from tinydl.kernels import cache

    folder = cache.folder()
    return 0 if folder is None else sum(1 for _ in folder.rglob("*.nbc"))


def _rival(about: Card, side: str, dtype: str, case: str) -> Job:
    import torch

    make = about.rivals[side]
    with numpy_forward(about):
        arguments = about.cases[case](np.dtype(dtype).type)
        smallest = next(iter(about.cases.values()))(np.dtype(dtype).type)
    counted = costs(about, arguments)
    start = time.perf_counter()
    call = make(torch, *_own(arguments))
    call()
    first = time.perf_counter() - start
    wrong = disagreement(about, make(torch, *_own(smallest)), smallest)
    if wrong:
        raise BenchmarkError(f"{about.op}: {wrong}")
    return Job(call, first=first, facts={"compiled": False, "threads": torch.get_num_threads(), **counted})


def numpy_forward(about: Card) -> AbstractContextManager[None]:
    """The arguments of a backward come from the plain forward: no pool of ours in PyTorch's process."""
    from tinydl.kernels import use

    return use(**{about.forward: "numpy"}) if about.forward else nullcontext()


def _own(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Contiguous copies: a rival may write, and PyTorch has no negative strides."""
    return tuple(np.array(x, order="C") if isinstance(x, np.ndarray) else x for x in arguments)


def disagreement(about: Card, call: Callable[[], Any], arguments: tuple[Any, ...]) -> str:
    """How a rival's results differ from the reference's, or the empty string."""
    expected = about.prepared(about.reference, _own(arguments))()
    got = call()
    expected, got = (x if isinstance(x, (tuple, list)) else (x,) for x in (expected, got))
    for index, (ours, theirs) in enumerate(zip(expected, got)):
        if ours is None or theirs is None:
            continue
        want, have = np.asarray(ours), theirs.detach().cpu().numpy()
        if have.size != want.size:
            return f"its result {index} has shape {have.shape}, not {want.shape}"
        error = float(np.abs(have.reshape(want.shape).astype(np.float64) - want).max(initial=0.0))
        if not error <= AGREE * float(np.abs(want).max(initial=1e-30)):
            return f"its result {index} is off by {error:.2e}"
    return ""


# ----------------------------------------------------------------------------------------------------------- the rows


@dataclass
class KernelRow:
    """One side of one case, as it is written down; times in microseconds, ``first_ms`` in milliseconds."""

    op: str
    case: str
    dtype: str
    variant: str
    threads: int
    us: float
    us_q1: float
    us_q3: float
    cold_us: float | None
    first_ms: float | None  # of the process's first case: later ones find the kernel loaded
    compiled: bool  # whether the first call compiled, or loaded what was compiled before
    flops: int
    bytes: int
    gflops: float
    roof: float | None = None  # share of what the roofs allow
    torch: float | None = None  # PyTorch's best time / this one's
    clean: str = ""
    control: str = ""
    date: str = ""
    commit: str = ""
    machine: str = ""
    versions: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes rows of different runs comparable."""
        return self.op, self.case, self.dtype, self.variant, str(self.threads), self.machine

    @property
    def gbps(self) -> float:
        """Gigabytes a second."""
        return self.bytes / self.us / 1e3

    @property
    def noisy(self) -> bool:
        """Whether the median had to use samples of a time when the cores were shared."""
        return int(self.clean.partition("/")[0]) < 3


def key_of(stored: Mapping[str, str]) -> tuple[str, ...]:
    """:attr:`KernelRow.key` of a row that was read."""
    return tuple(stored[name] for name in ("op", "case", "dtype", "variant", "threads", "machine"))


def rows(
    about: Card, dtype: str, case: str, taken: Mapping[str, harness.Samples], roofs: Roofs, seen: set[str]
) -> list[KernelRow]:
    """The rows of one case; ``seen``: the sides that have been called before."""
    found = []
    for side, samples in taken.items():
        low, middle, high = (1e6 * q for q in samples.quantiles(harness.WHOLE, 4))
        cold = None if samples.cold is None else 1e6 * samples.cold.quantiles(harness.WHOLE, 4)[1]
        flops, moved = samples.facts["flops"], samples.facts["bytes"]
        rate = flops / middle * 1e6
        found.append(
            KernelRow(
                about.op, case, dtype, side, samples.facts["threads"], middle, low, high, cold,
                None if side in seen else 1e3 * samples.first, samples.facts["compiled"], flops, moved, rate / 1e9,
                rate / roofs.attainable(flops, moved, dtype),
                clean=samples.tally(),
            )
        )  # fmt: skip
    rivals = [row.us for row in found if row.variant.startswith(RIVAL)]
    for row in found:
        row.torch = min(rivals) / row.us if rivals else None
    return found


def measure(
    op: str, dtype: str, sides: Sequence[str], file: str | None, roofs: Roofs, say: Callable[[str], None]
) -> Iterator[list[KernelRow]]:
    """The rows of an operation, case by case."""
    from tinydl.kernels import card

    about, plan = card(op), benchmark(op, dtype, sides, file)
    seen: set[str] = set()
    with harness.at_work(plan) as workers:
        for case in plan.cases:
            say(f"{op} {case}")
            taken = harness.take(plan, case, workers, say)
            if taken:
                yield rows(about, dtype, case, taken, roofs, seen)
                seen |= set(taken)


def dtype_of(about: Card) -> str:
    """What an operation is measured in: float32, or else the first dtype that the card knows."""
    return "float32" if "float32" in about.tolerance else next(iter(about.tolerance))


def wrong(chosen: Sequence[Variant], say: Callable[[str], None]) -> str:
    """The first kernel that is wrong, in a sentence; empty when all are right."""
    from tinydl.lab.verify import verify

    for variant in chosen:
        say(f"verifying {variant.op}:{variant.name}")
        verdict = verify(variant, most=1)
        if not verdict.right:
            return f"{variant.op}:{variant.name} is wrong, so nothing was timed: {verdict.problems[0]}"
    return ""


# ------------------------------------------------------------------------------------------------- change against noise


def change(row: KernelRow, stored: Sequence[Mapping[str, str]]) -> str:
    """How the time differs from the last stored run of the same work on the same machine, if it is no noise.

    Noise is the largest of: the interquartile range now and then, the range of the medians of the last ``RUNS`` stored
    runs, and ``LEAST`` of the stored time.
    """
    before = [old for old in stored if key_of(old) == row.key][-RUNS:]
    if not before:
        return ""
    last = before[-1]
    medians = [float(old["us"]) for old in before]
    then = medians[-1]
    noise = max(
        row.us_q3 - row.us_q1, float(last["us_q3"]) - float(last["us_q1"]), max(medians) - min(medians), LEAST * then
    )
    if abs(row.us - then) <= noise:
        return ""
    word = "slower" if row.us > then else "faster"
    runs = f"{len(before)} stored run{'s' if len(before) > 1 else ''}"
    return (
        f"{row.op}:{row.variant} {row.case} is {word} than on {last['date'][:10]} ({last['commit']}): "
        f"{harness.figure(row.us)} us, was {harness.figure(then)} us; {runs} and their samples differ by "
        f"{harness.figure(noise)} us"
    )


def results(file: str | None, own: bool) -> Path | None:
    """Where rows go: ``file``; in a checkout, for the project's kernels, ``results/kernels.csv``; else nowhere."""
    if file is not None:
        return Path(file)
    checkout = (harness.RESULTS.parents[1] / "setup.cfg").exists()
    return harness.RESULTS / f"{NAME}.csv" if checkout and not own else None
