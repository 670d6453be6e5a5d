"""How we time: each side in a process of its own, samples interleaved, medians with their spread.

- **Processes.** In one process the spinning thread pools of two libraries disturb each other by orders of magnitude,
  so each side (ours, and each rival) is a worker, ``python -m tinydl.benchmarks.worker NAME SIDE``.
- **Interleaving.** Sides take turns, in alternating order; a slow minute of the machine meets all of them.
- **Clean samples.** A sample during which the worker's threads waited in the run queue for more than 2 % of the time
  (second number of ``/proc/self/task/*/schedstat``) had a neighbour on its cores and is repeated.
- **Agreement first.** Before anything is timed all sides must report the same numbers (losses of some steps from the
  same weights): what computes something else is not compared.
- **A rival has a name that says its variant** ("torch, fused Adam"): against a slow variant every figure looks good.
- **A control**, plain Python and NumPy with none of our code, is timed in the same run and stands in every row, so
  that a slow machine is not taken for a slow change.

A row of ``results/NAME.csv`` is one figure: date, commit, machine, versions, case, medians with their 20th and 80th
percentiles, and the ratio rival / ours (above 1: we are faster).
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import functools
import importlib
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RESULTS = Path(__file__).resolve().parent / "results"
CPUINFO = Path("/proc/cpuinfo")
MAX_DELAY = 0.02  # share of a sample that its threads may spend waiting for a core
WHOLE = ""  # the part of a step that is all of it


@dataclass(frozen=True)
class Job:
    """One side, set up: what to repeat, and what it computes.

    ``step`` does one unit of work. It may return its own timings, ``{part: seconds}``, or bytes where the benchmark's
    unit is MB; otherwise the call is timed.
    ``check`` holds numbers on which all sides must agree. ``first``: seconds of the first step, where the setup made
    it. ``facts``: what else the harness's side should know, in JSON's types.
    """

    step: Callable[[], Any]
    check: Sequence[float] = ()
    first: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Absent(Exception):
    """A side that cannot take part in a case; the message says why."""


@dataclass(frozen=True)
class Benchmark:
    """What is compared. The first side is ours.

    A setup that needs an absent package raises ImportError, one that cannot take part :class:`Absent`.
    """

    name: str
    title: str
    sides: Mapping[str, Callable[[str], Job]]
    cases: Sequence[str] = ("",)
    unit: str = "ms"
    per: float = 1.0  # units of work in a step; a figure is the time of one
    tolerance: float = 1e-3  # relative, of the numbers in Job.check
    repeats: int = 11  # clean samples wanted
    patience: float = 3.0  # at most this many times as many are taken,
    seconds: float = 20.0  # and none after this time, once each side has three (a noisy machine; the row says so)
    max_delay: float = MAX_DELAY
    sample_seconds: float = 0.1
    pause: float = 0.15  # seconds before each sample, in which the other side's threads stop spinning
    cold: int = 0  # samples of a single step whose data no cache holds
    run: Callable[[], Iterator[Row]] | None = None  # replaces the comparison by a run of its own


@dataclass
class Row:
    """One figure, as it is written down."""

    benchmark: str
    case: str
    unit: str
    ours: float
    ours_p20: float
    ours_p80: float
    rival_name: str = ""
    rival: float | None = None
    rival_p20: float | None = None
    rival_p80: float | None = None
    ratio: float | None = None
    clean: str = ""  # clean samples of all taken, ours and the rival's
    note: str = ""
    control: str = ""
    date: str = ""
    commit: str = ""
    machine: str = ""
    versions: str = ""

    def line(self) -> str:
        """One line for a person."""
        text = f"{self.benchmark:12s} {self.case:26s} {figure(self.ours)} {self.unit}"
        text += f" [{figure(self.ours_p20)}, {figure(self.ours_p80)}]"
        if self.rival is not None:
            text += f"   {self.rival_name}: {figure(self.rival)} {self.unit}"
        if self.ratio is not None:
            text += f"   ratio {self.ratio:.2f}"
        return text + (f"   clean {self.clean}" if self.clean else "") + (f"   {self.note}" if self.note else "")


class BenchmarkError(Exception):
    """A benchmark that cannot be measured: sides disagree, or one failed."""


def figure(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


# ------------------------------------------------------------------------------------------------- the environment


def machine() -> str:
    """Processor, its vectors and its cores, the same text for every run on one machine."""
    model, flags = platform.machine(), set[str]()
    try:
        for line in CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    except OSError:
        pass
    # Processors of one name differ in what they have, or what is lent of them to a virtual machine.
    vectors = next((f", {word}" for flag, word in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}{vectors}, {cores} cores"


def versions() -> str:
    """Python and the packages that take part, those installed."""
    found = [f"python {platform.python_version()}"]
    for name in ("numpy", "numba", "torch"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def commit() -> str:
    """Short hash of the checkout, with ``+`` when it is changed; ``installed`` outside one.

    What measuring itself writes, the results and the README's tables, does not count as a change.
    """
    written = (":(top,exclude)benchmarks/results", ":(top,exclude)README.md")

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", ":/", *written) else "")
    except (OSError, subprocess.CalledProcessError):
        return "installed"


# ----------------------------------------------------------------------------------------------------- the worker


def run_queue_delay() -> float:
    """Seconds that the threads of this process have waited for a core so far (0 where the system does not tell)."""
    total = 0
    try:
        tasks = os.listdir("/proc/self/task")
    except OSError:
        return 0.0
    for task in tasks:
        try:
            with open(f"/proc/self/task/{task}/schedstat") as file:
                total += int(file.read().split()[1])
        except (OSError, IndexError, ValueError):  # a thread that has just ended; a kernel without the figure
            continue
    return total * 1e-9


def timed(step: Callable[[], Any], count: int) -> dict[str, float]:
    """Mean seconds per part over ``count`` steps."""
    own: dict[str, float] = {}
    start = time.perf_counter()
    for _ in range(count):
        parts = step()
        if isinstance(parts, dict):
            for part, seconds in parts.items():
                own[part] = own.get(part, 0.0) + seconds
    whole = time.perf_counter() - start
    return {part: seconds / count for part, seconds in (own or {WHOLE: whole}).items()}


def cache_sizes() -> dict[str, int]:
    """Bytes of the first core's caches, ``{"L1": ..., "L2": ..., "L3": ...}``, those that the system tells of."""
    found = {}
    for entry in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        with contextlib.suppress(OSError, ValueError):
            level, kind, size = ((entry / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction":
                found[f"L{level}"] = int(size.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(size[-1], 0)
    return found


@functools.cache
def _elsewhere() -> Any:
    """An array of twice the largest cache, at least 64 MiB, at most 1 GiB."""
    import numpy as np

    return np.ones(min(max(2 * max(cache_sizes().values(), default=0), 1 << 26), 1 << 30) // 8)


def evict() -> None:
    """Fill the caches with other data."""
    other = _elsewhere()
    other += 1.0


def clean_step(step: Callable[[], Any], count: int) -> dict[str, Any]:
    """Seconds per part of ``count`` steps, and the share of that time that threads waited for a core."""
    before, start = run_queue_delay(), time.perf_counter()
    parts = timed(step, count)
    return {"parts": parts, "delay": (run_queue_delay() - before) / (time.perf_counter() - start)}


def serve(benchmark: Benchmark, side: str) -> None:
    """Answer the harness's requests, one JSON line each, until its end of the pipe closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to stderr
    job: Job | None = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            if "case" in request:
                try:
                    job = benchmark.sides[side](request["case"])
                except (ImportError, Absent) as error:
                    answer = {"missing": str(error)}
                else:
                    start = time.perf_counter()
                    job.step()
                    first = time.perf_counter() - start
                    slow = first > 1.0  # a step of seconds is its own warm-up
                    warm = first
                    if not slow:
                        for _ in range(3):
                            job.step()
                        start = time.perf_counter()
                        job.step()
                        warm = time.perf_counter() - start
                    count = max(1, int(benchmark.sample_seconds / max(warm, 1e-7)))
                    answer = {"check": list(job.check), "first": job.first or first, "count": count}
                    answer["facts"] = dict(job.facts)
            elif "cold" in request:
                assert job is not None
                evict()
                answer = clean_step(job.step, 1)
            else:
                assert job is not None
                if request["count"] > 1:
                    job.step()  # caches and pools as in the middle of a training
                answer = clean_step(job.step, request["count"])
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Worker:
    """The harness's handle on one side's process."""

    def __init__(self, name: str, side: str) -> None:
        self.side = side
        command = [sys.executable, "-m", "tinydl.benchmarks.worker", name, side]
        # From whatever folder: what is measured is the code that asks.
        here = str(Path(importlib.import_module("tinydl").__path__[0]).parent)
        path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": path}
        if side.startswith("torch"):
            environment["TINYDL_KEEP_MEMORY"] = "0"  # PyTorch as it comes, though the harness imports tinydl
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the process of {self.side!r} ended with code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise BenchmarkError(f"{self.side}: {answer['failed']}")
        return answer

    def close(self) -> None:
        """End the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


# --------------------------------------------------------------------------------------------------- the comparison


@dataclass
class Samples:
    """What one side's samples gave, per part; its first step's seconds, and the facts of its job."""

    clean: list[dict[str, float]] = field(default_factory=list)
    noisy: list[dict[str, float]] = field(default_factory=list)
    first: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    cold: Samples | None = None

    def keep(self, answer: Mapping[str, Any], max_delay: float) -> None:
        """Put a sample where it belongs."""
        (self.clean if answer["delay"] <= max_delay else self.noisy).append(answer["parts"])

    def used(self, least: int = 3) -> list[dict[str, float]]:
        """The clean samples; with fewer than ``least``, all of them (the row says so)."""
        return self.clean if len(self.clean) >= least else self.clean + self.noisy

    def quantiles(self, part: str, n: int = 5) -> tuple[float, float, float]:
        """(first, median, last) of a part in seconds, first and last cutting off one n-th: percentiles 20 and 80."""
        values = sorted(sample[part] for sample in self.used())
        if len(values) == 1:
            return values[0], values[0], values[0]
        cuts = statistics.quantiles(values, n=n, method="inclusive")
        return cuts[0], statistics.median(values), cuts[-1]

    def tally(self) -> str:
        """``clean/all``."""
        return f"{len(self.clean)}/{len(self.clean) + len(self.noisy)}"


def agree(checks: Mapping[str, Sequence[float]], tolerance: float) -> None:
    """Raise unless all sides computed the same numbers."""
    (first, expected), *others = checks.items()
    for side, got in others:
        off = [abs(a - b) > tolerance * max(abs(a), abs(b), 1e-30) or a != a or b != b for a, b in zip(expected, got)]
        if len(expected) != len(got) or any(off):
            raise BenchmarkError(f"{first} computes {list(expected)} but {side} {list(got)}: nothing was timed")


def compare(benchmark: Benchmark, case: str, say: Callable[[str], None]) -> list[Row]:
    """Measure one case: a row per rival and part."""
    ours = next(iter(benchmark.sides))
    with at_work(benchmark) as workers:
        samples = take(benchmark, case, workers, say)
    if ours not in samples:
        raise BenchmarkError(f"{ours} cannot be set up")
    first = samples[ours].first
    return rows(benchmark, case, samples, f"first call {first:.2f} s" if first > 0.5 else "")


@contextlib.contextmanager
def at_work(benchmark: Benchmark) -> Iterator[dict[str, Worker]]:
    """A process for each side; all are ended at the end."""
    workers: dict[str, Worker] = {}
    try:
        for side in benchmark.sides:
            workers[side] = Worker(benchmark.name, side)
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def take(
    benchmark: Benchmark, case: str, workers: Mapping[str, Worker], say: Callable[[str], None]
) -> dict[str, Samples]:
    """The samples of one case, taken in turns, by the sides that can take part."""
    samples: dict[str, Samples] = {}
    counts: dict[str, int] = {}
    checks: dict[str, Sequence[float]] = {}
    for side, worker in workers.items():
        answer = worker.ask(case=case)
        if "missing" in answer:
            say(f"{benchmark.name.partition(' ')[0]}: {side} is left out ({answer['missing']})")
            continue
        counts[side], checks[side] = answer["count"], answer["check"]
        samples[side] = Samples(first=answer["first"], facts=answer.get("facts", {}))
    if checks:
        agree(checks, benchmark.tolerance)
    for side in counts if benchmark.cold else ():
        samples[side].cold = cold = Samples()
        for _ in range(int(benchmark.patience * benchmark.cold)):
            if len(cold.clean) < benchmark.cold:
                cold.keep(workers[side].ask(cold=True), benchmark.max_delay)
    end = time.monotonic() + benchmark.seconds
    for round_ in range(int(benchmark.patience * benchmark.repeats)):
        if round_ >= 3 and time.monotonic() > end:
            break
        if all(len(s.clean) >= benchmark.repeats for s in samples.values()):
            break
        for side in list(counts)[:: 1 if round_ % 2 == 0 else -1]:
            time.sleep(benchmark.pause)
            samples[side].keep(workers[side].ask(count=counts[side]), benchmark.max_delay)
    return samples


def rows(benchmark: Benchmark, case: str, samples: Mapping[str, Samples], note: str) -> list[Row]:
    """Medians and ratios from samples; the first side is ours."""
    ours, *rivals = samples
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "MB": 1e-6}[benchmark.unit] / benchmark.per
    tallies = {side: taken.tally() for side, taken in samples.items()}
    found = []
    for part in samples[ours].used()[0]:
        low, middle, high = (scale * q for q in samples[ours].quantiles(part))
        label = " ".join(word for word in (case, part) if word)
        for rival in rivals or [""]:
            row = Row(benchmark.name, label, benchmark.unit, middle, low, high, note=note, clean=tallies[ours])
            if rival:
                row.rival_p20, row.rival, row.rival_p80 = (scale * q for q in samples[rival].quantiles(part))
                row.rival_name, row.ratio = rival, row.rival / row.ours
                row.clean += f" {tallies[rival]}"
            if math.isinf(benchmark.max_delay):
                row.clean = ""  # no sample was refused
            found.append(row)
    return found


def measure(benchmark: Benchmark, say: Callable[[str], None]) -> Iterator[Row]:
    """All rows of a benchmark, as they come."""
    if benchmark.run is not None:
        yield from benchmark.run()
        return
    for case in benchmark.cases:
        yield from compare(benchmark, case, say)


def append(row: Row, folder: Path = RESULTS) -> Path:
    """Write a row down, with the circumstances it was measured in."""
    for name, value in circumstances().items():
        setattr(row, name, value)
    path = folder / f"{row.benchmark}.csv"
    write([row], path)
    return path


def circumstances() -> dict[str, str]:
    """Date, commit, machine and versions, now."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
    return {"date": date, "commit": commit(), "machine": machine(), "versions": versions()}


def write(rows: Sequence[DataclassInstance], path: Path) -> None:
    """Append rows, all of one class; the file's header comes with its first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(rows[0])], lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            values = asdict(row).items()
            writer.writerow({k: figure(v) if isinstance(v, float) else ("" if v is None else v) for k, v in values})


def history(name: str, folder: Path = RESULTS) -> list[dict[str, str]]:
    """The rows written so far."""
    return read(folder / f"{name}.csv")


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none where there is no file."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
