"""What a small operation costs in the engine: every row of the differential table, forward and with its backward.

The table (``tests/differential``) holds each public function with small inputs, a few numbers to a side, so that what
is timed is the engine and not the arithmetic. Both libraries run each row in float32, one thread each; a class is a
group of the table's names. A class's figure is the median over its rows, its ratio the median of their ratios; each
row's own figures are in ``results/overhead_rows.csv``, written anew by each run.
"""

from __future__ import annotations

import csv
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tinydl.benchmarks.harness import MAX_DELAY, RESULTS, Benchmark, BenchmarkError, Job, Row, Worker, figure
from tinydl.benchmarks.programs import library

PARTS = ("forward", "recorded", "with backward")
ROUNDS, CALLS = 5, 30
CLASSES = (  # the groups of names that are operations on tensors
    "ELEMENTWISE", "REDUCING", "SHAPING", "INDEXING", "LINEAR_ALGEBRA", "SPECTRAL", "ACTIVATIONS", "LOSSES",
    "BASIC_LAYERS", "CONVOLUTION", "POOLING", "RESAMPLING", "NORMALIZATION", "ATTENTION",
)  # fmt: skip
SIDES = ("tinydl", "torch eager")


def table() -> dict[str, Any]:
    """The rows by label, those that are functions of tensors."""
    try:
        importlib.import_module("tests.differential.tables")  # enters the rows; by name, or mypy would follow
        rows = importlib.import_module("tests.differential.rows").ROWS
    except ImportError as error:
        raise BenchmarkError(
            f"the table of operations stands in tests/, so run this from a checkout: {error}"
        ) from None
    known = classes()
    return {row.label: row for row in rows if not row.module and row.name in known}


def classes() -> dict[str, str]:
    """The class of each name."""
    names = importlib.import_module("tests.differential.names")
    return {name: group.lower().replace("_", " ") for group in CLASSES for name in getattr(names, group)}


def one(side: str, label: str) -> Job:
    """A row as a job that times its parts; 0 for those it has not."""
    lib = library(side) if side == "tinydl" else library("torch", threads=1)
    row = table()[label]
    call = row.call or _found(lib, row.name)
    keywords = row.keywords
    arrays = row.arrays("float32")
    at = row.differentiable(arrays)

    def made(grad: bool) -> list[Any]:
        out = []
        for i, x in enumerate(arrays):
            tensor = isinstance(x, np.ndarray)
            out.append(lib.from_numpy(x.copy()).requires_grad_(grad and i in at) if tensor else x)
        return [lib, *out] if row.call is not None else out

    plain, live = made(False), made(True)
    leaves = [x for x in live if getattr(x, "requires_grad", False)]

    def outputs() -> list[Any]:
        return [y for y in _flat(call(*live, **keywords)) if getattr(y, "requires_grad", False)]

    seeds = [lib.ones(tuple(y.shape), dtype=y.dtype) for y in outputs()]
    backward = lib.autograd.backward

    def step() -> dict[str, float]:
        start = time.perf_counter()
        for _ in range(CALLS):
            call(*plain, **keywords)
        middle = time.perf_counter()
        if not seeds:
            return {"forward": middle - start}
        for _ in range(CALLS):
            call(*live, **keywords)
        end = time.perf_counter()
        single = len(seeds) == 1
        for _ in range(CALLS):
            ys = call(*live, **keywords)
            if single and hasattr(ys, "backward"):
                ys.backward(seeds[0])
            else:
                backward([y for y in _flat(ys) if getattr(y, "requires_grad", False)], seeds)
        last = time.perf_counter()
        for x in leaves:
            x.grad = None
        return {"forward": middle - start, "recorded": end - middle, "with backward": last - end}

    return Job(step)


def _found(lib: Any, name: str) -> Callable[..., Any]:
    return importlib.import_module("tests.differential.rows").resolve(lib, name)  # type: ignore[no-any-return]


def _flat(result: Any) -> list[Any]:
    return [y for part in result for y in _flat(part)] if isinstance(result, (tuple, list)) else [result]


def run() -> Iterator[Row]:
    """Every row in both libraries, in turns; then a figure per class and part, and over the whole table."""
    workers = {side: Worker("overhead", side) for side in SIDES}
    found: dict[tuple[str, str], dict[str, float]] = {}
    try:
        for label in table():
            try:
                for worker in workers.values():
                    worker.ask(case=label)
            except BenchmarkError as error:  # PyTorch cannot accumulate some gradients of zero
                print(f"overhead: {label} is left out ({error})", file=sys.stderr)
                continue
            taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
            for round_ in range(ROUNDS):
                for side in SIDES if round_ % 2 else SIDES[::-1]:
                    for _ in range(3):  # a neighbour on the core: once more
                        answer = workers[side].ask(count=1)
                        if answer["delay"] <= MAX_DELAY:
                            break
                    taken[side].append(answer["parts"])
            for part in taken[SIDES[0]][0]:
                found[label, part] = {
                    side: statistics.median(sample[part] for sample in samples) / CALLS * 1e6
                    for side, samples in taken.items()
                }
    finally:
        for worker in workers.values():
            worker.close()
    yield from summary(found)


def summary(found: dict[tuple[str, str], dict[str, float]]) -> Iterator[Row]:
    """The figures per class; each row's own go to a file."""
    kinds, rows = classes(), table()
    groups: dict[tuple[str, str], list[str]] = {}
    for label, part in found:
        for kind in ("the whole table", kinds[rows[label].name]):
            groups.setdefault((kind, part), []).append(label)
    with open(RESULTS / "overhead_rows.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "part", *(f"{side} us" for side in SIDES), "ratio"])
        for (label, part), us in found.items():
            writer.writerow([label, part, *(figure(us[side]) for side in SIDES), figure(us[SIDES[1]] / us[SIDES[0]])])
    for (kind, part), labels in sorted(groups.items(), key=lambda item: (item[0][0] != "the whole table", item[0])):
        ours, rival = ([found[label, part][side] for label in labels] for side in SIDES)
        ratios = sorted((b / a, label) for a, b, label in zip(ours, rival, labels))
        low = ", ".join(f"{label} {ratio:.2f}" for ratio, label in ratios[:3])
        quantile = statistics.quantiles(ours, n=5, method="inclusive") if len(ours) > 1 else [ours[0]] * 4
        row = Row("overhead", f"{kind}, {part}", "us", statistics.median(ours), quantile[0], quantile[3])
        row.rival_name, row.rival = SIDES[1], statistics.median(rival)
        row.ratio = statistics.median(ratio for ratio, _ in ratios)
        row.note = f"{len(labels)} rows; least: {low}"
        yield row


BENCHMARK = Benchmark(
    name="overhead",
    title="every operation on a few numbers: forward, recorded, and with its backward, against torch eager",
    sides={side: partial(one, side) for side in SIDES},
    sample_seconds=0.0,
    run=run,
)
