"""The papers' tables, retrained: our models beside the published figures on the four polyphonic sets, and on the
binarised digits of MNIST, where a frame is an image.

``python -m tinydl.benchmarks papers`` trains every row of :data:`PLAN` through the command line, as a user would:
``tinydl train MODEL DATA --minutes M --seed S [-o ...]``, then ``tinydl evaluate --split test``. A row is a model, a
data set, a time and options; three seeds of it are trained. Weights are chosen on *validation*, inside the run; the
test split is read once per run, after it. The row's figures are medians over its seeds, its ``spread`` their least and
greatest.

- **Cores.** Each run has one core to itself (it is pinned there, and its thread pools have one thread), so that seeds
  can train side by side: "in two minutes" is two minutes of one core. Kernels are compiled before the clock starts.
- **Resuming.** A finished run is kept in a work folder, under a name that holds a hash of its recipe, the sources, the
  machine and the versions; the same command goes on with what is missing. A run that was cut off starts again: its time
  counts as a whole.
- **Writing.** A row whose seeds are all there goes into ``results/papers.json`` (:mod:`tinydl.benchmarks.report` makes
  the README's table of it); the other rows of the plan stay as they are, rows that are no longer in the plan go.

Published figures and what stands beside what: :mod:`tinydl.benchmarks.published`.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import hashlib
import json
import os
import queue
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tinydl
from tinydl.benchmarks import harness, published, report
from tinydl.cli import _errors
from tinydl.cli._output import clock, note, quoted, say
from tinydl.cli.parser import Command, Parser, integer, nearest
from tinydl.kernels.cache import source_hash
from tinydl.utils.files import replacing, user_cache

TITLE = "our models retrained beside the published figures on the polyphonic sets (hours; alone, with its own -h)"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A row of the plan: a model, a data set, minutes of training, and options of the model (``hidden=256``)."""

    model: str
    data: str
    minutes: float
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.model} on {self.data}, {self.minutes:g} min"

    @property
    def key(self) -> tuple[str, str, float]:
        """What a row of ``papers.json`` is found by."""
        return self.model, self.data, self.minutes


# Chosen on validation, one seed each. JSB takes the models' defaults. The larger sets are learned sooner from more and
# shorter sequences and with less dropout of the recurrent weights; Piano-midi, with 87 pieces to learn from, wants a
# smaller net and more dropout of the rest.
LARGE = ("chunk=128", "hidden=256", "recurrent_dropout=0.5", "output_dropout=0.2", "input_dropout=0.1")
PIANO = ("chunk=128", "hidden=200", "recurrent_dropout=0.5", "output_dropout=0.5")
PLAN = (
    Entry("lstm-nade", "jsb", 2),
    Entry("lstm-nade", "nottingham", 5, LARGE),
    Entry("lstm-nade", "musedata", 10, LARGE),
    Entry("lstm-nade", "piano-midi", 8, (*PIANO, "nade_dropout=0.2")),
    *(
        Entry(model, data, minutes, options)
        for model in ("lstm", "gru", "tanh-rnn")
        for data, minutes, options in (
            ("jsb", 2, ()),
            ("nottingham", 2, LARGE),
            ("musedata", 2, LARGE),
            ("piano-midi", 1.5, PIANO),
        )
    ),
    Entry("hmm", "jsb", 2),
    Entry("hmm", "nottingham", 5),
    Entry("nade", "jsb", 5),
    Entry("rbm", "jsb", 10),
    Entry("rnn-rbm", "jsb", 30),
    Entry("rtrbm", "jsb", 30),
    *(Entry(model, "binarized-mnist", 30) for model in ("nade", "vae", "rbm")),
    # Nothing is published on it in these units: the two stand beside each other.
    Entry("chorale-lstm", "jsb16", 10),
    Entry("music-transformer", "jsb16", 10),
)
SEEDS = (1, 2, 3)
QUICK_SEEDS = (1,)
QUICK_DATA = ("jsb", "piano-midi")
QUICK_MINUTES = 0.5

# What cannot change a figure: its sources do not count in the name of a kept run. Of the command line those files count
# that seed, build, load and measure.
NOT_COUNTED = ("benchmarks", "generation", "measures", "page", "render", "__pycache__")
OF_CLI = ("train.py", "evaluate.py", "data.py", "_runs.py")
ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: a row's seed, and the folder it is kept in."""

    entry: Entry
    seed: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.entry}, seed {self.seed}"

    @property
    def result(self) -> Path:
        """The file that is there once the run is finished."""
        return self.folder / "result.json"

    def finished(self) -> dict[str, Any] | None:
        """What the run found; None when it has not ended yet."""
        try:
            found: dict[str, Any] = json.loads(self.result.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found


# ------------------------------------------------------------------------------------------------- the plan of a call


def quick_plan(plan: Sequence[Entry]) -> list[Entry]:
    """Every model of a plan on :data:`QUICK_DATA`, for :data:`QUICK_MINUTES` each."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in plan:
        if entry.data in QUICK_DATA:
            found.setdefault((entry.model, entry.data), dataclasses.replace(entry, minutes=QUICK_MINUTES))
    return list(found.values())


def chosen(plan: Sequence[Entry], only: Sequence[str]) -> list[Entry]:
    """The rows of a plan that ``MODEL``, ``MODEL@DATA`` or ``MODEL@DATA@MINUTES`` name (``@DATA``: of every model)."""
    if not only:
        return list(plan)
    wanted: set[Entry] = set()
    for text in only:
        words = [word.strip() for word in text.split("@")]
        matches = [
            entry
            for entry in plan
            if all(word in ("", had) for word, had in zip(words, (entry.model, entry.data, f"{entry.minutes:g}")))
        ]
        if not matches or len(words) > 3 or not any(words):
            names = {entry.model for entry in plan} | {f"{entry.model}@{entry.data}" for entry in plan}
            hint = nearest(text, names) or f"; its models are {', '.join(dict.fromkeys(e.model for e in plan))}"
            raise _errors.UsageError(f"--only: no row of the plan is {text!r}{hint}")
        wanted.update(matches)
    return [entry for entry in plan if entry in wanted]


def sources() -> str:
    """Hash (12 hexadecimal digits) of all sources that a figure depends on: kernels, the library, the models."""
    digest = hashlib.sha256()
    for path in sorted(Path(tinydl.__file__).parent.iterdir()):
        if path.name in NOT_COUNTED:
            continue
        if path.name == "cli":
            digest.update(b"".join((path / name).read_bytes() for name in OF_CLI))
        elif path.is_dir():
            digest.update(f"{path.name} {source_hash(path)}\n".encode())
        elif path.suffix == ".py":
            digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def circumstances() -> dict[str, str]:
    """Where and with what a run takes place: commit, machine, versions, sources."""
    return {
        "commit": harness.commit(),
        "machine": harness.machine(),
        "versions": harness.versions(),
        "sources": sources(),
    }


def runs_of(entry: Entry, seeds: Sequence[int], work: Path, where: Mapping[str, str]) -> list[Run]:
    """The runs of a row, each with its folder: another recipe, source, machine or version is another folder."""
    found = []
    for seed in seeds:
        recipe = {**dataclasses.asdict(entry), "seed": seed}
        facts = {key: where[key] for key in ("machine", "sources")}
        facts["versions"] = ", ".join(v for v in where["versions"].split(", ") if not v.startswith("torch "))
        name = hashlib.sha256(json.dumps([recipe, facts], sort_keys=True).encode()).hexdigest()[:12]
        folder = work / f"{entry.model}-{entry.data}-{entry.minutes:g}min-seed{seed}-{name}"
        found.append(Run(entry, seed, folder))
    return found


# ------------------------------------------------------------------------------------------------------------- one run


class Children:
    """The processes that are running, so that all of them can be ended."""

    def __init__(self) -> None:
        self.processes: set[subprocess.Popen[str]] = set()
        self.stopped = False
        self.lock = threading.Lock()

    def run(self, arguments: Sequence[str], log: Path) -> tuple[str, float]:
        """``tinydl ARGUMENTS`` on one thread: its stdout comes back, and the share of its time that it had a core.

        Its stderr goes to ``log``.

        Raises :class:`harness.BenchmarkError` with the command's own sentence when it fails.
        """
        command = [sys.executable, "-m", "tinydl", *arguments]
        with open(log, "a+", encoding="utf-8", errors="replace") as err:
            begin = err.seek(0, os.SEEK_END)
            with self.lock:
                if self.stopped:
                    raise harness.BenchmarkError("stopped")
                # A session of its own: Ctrl-C reaches this process alone, which then ends its children in order.
                process = subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=err,
                    text=True,
                    env={**os.environ, **ONE_THREAD},
                    start_new_session=True,
                )
                self.processes.add(process)
            started, used = time.monotonic(), 0.0
            try:
                assert process.stdout is not None
                with process.stdout as pipe:
                    out = pipe.read()
                try:
                    _, status, usage = os.wait4(process.pid, 0)
                    process.returncode = os.waitstatus_to_exitcode(status)
                    used = usage.ru_utime + usage.ru_stime
                except ChildProcessError:  # ended, and its status taken, by `stop`
                    process.wait()
            finally:
                self.processes.discard(process)
            if process.returncode == 0:
                return out, used / max(time.monotonic() - started, 1e-9)
            err.seek(begin)
            lines = [line.partition("error: ")[2].strip() for line in err if line.startswith("tinydl: ")]
        said = [line for line in lines if line]
        reason = said[-1] if said else f"it ended with code {process.returncode}; {log} holds what it said"
        raise harness.BenchmarkError(f"`tinydl {' '.join(arguments[:3])}` failed: {reason}")

    def stop(self) -> None:
        """Ask all to end, and start no more."""
        with self.lock:
            self.stopped = True
            for process in list(self.processes):
                process.terminate()


def measure(run: Run, children: Children, where: Mapping[str, str]) -> dict[str, Any]:
    """Train, then evaluate on the test split, once; the result is written when both are done."""
    from tinydl.training import checkpoint
    from tinydl.training.evaluation import NLL

    if run.folder.exists():  # cut off before its end: what is left of its time is not known to the second
        shutil.rmtree(run.folder)
    run.folder.mkdir(parents=True)
    entry, out, log = run.entry, run.folder / "run", run.folder / "stderr.txt"
    options = [word for option in entry.options for word in ("-o", option)]
    limits = ["--minutes", f"{entry.minutes:g}", "--seed", str(run.seed)]
    _, share = children.run(["train", entry.model, entry.data, "--out", str(out), *limits, *options], log)
    said, _ = children.run(["evaluate", str(out), "--split", "test", "--json"], log)
    found: dict[str, Any] = json.loads(said)
    for name in report.AVERAGES:  # what they are of, a likelihood or a bound, says the kind
        found[name] = found.pop(name.replace("nll", NLL[found["kind"]]))
    if sources() != where["sources"]:
        raise harness.BenchmarkError("the sources were changed during the run: give it a checkout of its own")
    best = checkpoint.card(out / checkpoint.BEST)
    (out / checkpoint.LAST).unlink()  # to resume from, several times the size of the weights
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
    found = {**found, "valid": best.valid, "step": best.step, "core_share": round(share, 3), "date": date, **where}
    with replacing(run.result) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def warm_up(entry: Entry, work: Path, children: Children) -> None:
    """A step and a validation on the built-in corpus, so that no run has to compile kernels in its time."""
    options = [word for option in entry.options for word in ("-o", option)]
    with tempfile.TemporaryDirectory(dir=work) as folder:
        out = Path(folder)
        children.run(["train", entry.model, "demo", "--out", str(out / "run"), "--steps", "1", *options], out / "log")


# ------------------------------------------------------------------------------------------------------------ all runs


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def makespan(minutes: Sequence[float], jobs: int) -> float:
    """When the last of several tasks ends, in seconds, when each goes to the core that is free first.

    >>> makespan([2, 1, 1], 2)
    120.0
    """
    ends = [0.0] * jobs
    for length in minutes:
        ends[ends.index(min(ends))] += 60 * length
    return max(ends)


@contextmanager
def pool(jobs: int, children: Children) -> Iterator[ThreadPoolExecutor]:
    """``jobs`` threads, each pinned to a core of its own, and so is every process it starts.

    On the way out by an error (or Ctrl-C, SIGTERM, SIGHUP) the children are ended and nothing else is started.
    """
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in cores()[:jobs]:
        free.put(core)

    def pin() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {free.get()})  # of this thread alone; a child inherits it

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])):
            before[number] = signal.signal(number, interrupt)
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="papers", initializer=pin)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        children.stop()
        raise
    finally:
        executor.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def each(
    executor: ThreadPoolExecutor, function: Callable[..., Any], tasks: Mapping[Any, tuple[Any, ...]]
) -> Iterator[tuple[Any, Any]]:
    """``(name, function(*arguments))`` of every task, as they finish; a :class:`harness.BenchmarkError` is a result."""
    futures: dict[Future[Any], Any] = {executor.submit(function, *args): name for name, args in tasks.items()}
    for future in as_completed(futures):
        try:
            yield futures[future], future.result()
        except harness.BenchmarkError as error:
            yield futures[future], error


def train_all(
    plan: Mapping[Entry, list[Run]],
    work: Path,
    jobs: int,
    where: Mapping[str, str],
    record: Callable[[Entry, list[dict[str, Any]]], None],
) -> list[Entry]:
    """Train what is not finished; ``record`` gets a row as soon as all of its runs are there. Returns rows that failed.

    The first run of a row that fails is reported, in one sentence, and its other seeds are not tried.
    """
    results = {run: run.finished() for runs in plan.values() for run in runs}
    failed: dict[Entry, str] = {}

    def complete(entry: Entry) -> None:
        found = [result for run in plan[entry] if (result := results[run]) is not None]
        if len(found) == len(plan[entry]):
            record(entry, found)

    def fail(entry: Entry, error: Exception) -> None:
        if entry not in failed:
            failed[entry] = str(error)
            note(f"papers: {entry} was not measured: {_errors.one_line(str(error))}")

    for entry in plan:
        complete(entry)
    # The longest first, so that the last ones end together.
    missing = sorted((run for run in results if results[run] is None), key=lambda run: -run.entry.minutes)
    done = len(results) - len(missing)
    total = f"{len(results)} runs (rows: {len(plan)}, seeds of each: {len(results) // len(plan)})"
    if not missing:
        note(f"papers: all of {total} were trained earlier; --again trains them anew ({work})")
        return []
    left = clock(makespan([run.entry.minutes for run in missing], jobs))
    place = f"{jobs} core" if jobs == 1 else f"{jobs} cores, a run on each"
    note(f"papers: {total}, {done} of them finished earlier; the others take at most {left} on {place}")
    note(f"papers: evaluation comes on top; finished runs are kept in {work}")
    children = Children()

    def one(run: Run) -> dict[str, Any]:
        if run.entry in failed:
            raise harness.BenchmarkError(failed[run.entry])
        note(f"papers: {run}: training")
        return measure(run, children, where)

    try:
        with pool(jobs, children) as executor:
            models = {(run.entry.model, run.entry.options): run.entry for run in missing}
            note(f"papers: compiling the kernels of {', '.join(dict.fromkeys(model for model, _ in models))}")
            for (model, options), error in each(executor, warm_up, {k: (e, work, children) for k, e in models.items()}):
                for entry in {run.entry for run in missing} if error else ():
                    if (entry.model, entry.options) == (model, options):
                        fail(entry, error)
            tasks = {run: (run,) for run in missing if run.entry not in failed}
            waiting = list(tasks)
            for run, found in each(executor, one, tasks):
                waiting.remove(run)
                if isinstance(found, Exception):
                    fail(run.entry, found)
                    continue
                results[run] = found
                done += 1
                left = clock(makespan([w.entry.minutes for w in waiting if w.entry not in failed] or [0], jobs))
                valid = "not chosen (too short)" if found["valid"] is None else harness.figure(found["valid"])
                note(
                    f"papers: {run}: validation {valid}, test {harness.figure(found['nll_per_frame'])} nats per frame, "
                    f"trained {clock(found['train_seconds'])} ({done} of {len(results)} runs; at most {left} to go)"
                )
                complete(run.entry)
    except KeyboardInterrupt:
        done = sum(run.finished() is not None for run in results)
        raise _errors.Interrupted(
            f"interrupted; {done} of {len(results)} runs are kept in {quoted(str(work))}, and the same command goes on "
            f"with the others"
        ) from None
    return list(failed)


# ------------------------------------------------------------------------------------------------------------- results


def row_of(entry: Entry, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row of ``papers.json`` from the results of its seeds: medians, and the nearest published figure of its kind."""
    nats = [float(result["nll_per_frame"]) for result in found]
    beside = published.beside(entry.model, entry.data)
    paper = beside[0] if beside else None
    others = [f for f in beside[1:] if paper and (f.paper, f.model) == (paper.paper, paper.model)]
    last = max(found, key=lambda result: str(result["date"]))
    return {
        "model": entry.model,
        "data": entry.data,
        "minutes": entry.minutes,
        "options": list(entry.options),
        "kind": last["kind"],
        **{name: median(result[name] for result in found) for name in (*report.AVERAGES, "accuracy")},
        "spread": [min(nats), max(nats)],
        "seeds": [result["seed"] for result in found],
        "seconds": median(result["train_seconds"] for result in found),
        "cores": 1,
        "core_share": min((result["core_share"] for result in found if "core_share" in result), default=None),
        "params": last["params"],
        "paper": f"{paper.model}, {paper.origin}" if paper else None,
        "paper_value": paper.value if paper else None,
        "paper_tag": paper.words if paper else None,
        "paper_average": paper.average if paper else None,
        "paper_note": "; ".join(f"{f.value} as quoted in {f.quoted_by} ({f.words})" for f in others) or None,
        **{key: last[key] for key in ("date", "commit", "machine", "versions", "sources")},
        "runs": [
            {
                name: result[name]
                for name in ("seed", *report.AVERAGES, "accuracy", "valid", "step", "train_seconds", "date")
            }
            for result in found
        ],
    }


def median(values: Iterator[Any]) -> float | None:
    """The median of numbers; None when one of them is missing."""
    numbers = list(values)
    return None if None in numbers else float(statistics.median(numbers))


def write(row: Mapping[str, Any], folder: Path) -> None:
    """Put a row into ``papers.json``, for the one with its model, data and minutes; keep the others of the plan."""
    planned = {(*entry.key, entry.options) for entry in PLAN}
    rows = {(old["model"], old["data"], old["minutes"]): old for old in report.paper_rows(folder)}
    rows[row["model"], row["data"], row["minutes"]] = dict(row)
    kept = report.in_order(old for key, old in rows.items() if (*key, tuple(old["options"])) in planned)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / report.PAPERS) as temporary:
        temporary.write_text(json.dumps({"rows": kept}, indent=1) + "\n", encoding="utf-8")


def _arguments(parser: Parser) -> None:
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a look in a few minutes: {len(QUICK_SEEDS)} seed, {QUICK_MINUTES:g} minutes, "
        f"{' and '.join(QUICK_DATA)}; nothing is recorded",
    )
    parser.add_argument(
        "--only",
        metavar="MODEL[@DATA[@MINUTES]]",
        action="append",
        default=[],
        help="these rows of the plan; may be repeated (@DATA: every model on it)",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=integer(1, len(cores())),
        help="runs at a time, one core each (default: the number of cores)",
    )
    parser.add_argument("--out", metavar="FOLDER", help="where runs are kept (default: in the user's cache folder)")
    parser.add_argument("--again", action="store_true", help="train anew what was finished earlier, too")
    parser.add_argument("--show", action="store_true", help="print the tables of what is recorded; train nothing")
    parser.add_argument("--no-record", action="store_true", help="do not write papers.json and the README's table")


def _run(args: argparse.Namespace) -> int:
    from tinydl.data import datasets

    entries = chosen(quick_plan(PLAN) if args.quick else PLAN, args.only)
    folder = harness.RESULTS
    if args.show:
        if args.quick:
            raise _errors.UsageError("--show prints what is recorded, and --quick records nothing: give one of them")
        shown = {entry.key for entry in entries}
        rows = [row for row in report.paper_rows(folder) if (row["model"], row["data"], row["minutes"]) in shown]
        if not rows:
            raise _errors.UsageError("nothing of this is recorded yet; without --show it is trained")
        report.say_papers(rows)
        return _errors.OK
    named = {entry.name for entry in datasets.list_datasets()}
    for data in dict.fromkeys(entry.data for entry in entries):
        if data in named:
            datasets.get(data)  # once, before several runs would fetch it at the same time
    work = Path(args.out).expanduser().resolve() if args.out else user_cache("papers")
    where = circumstances()
    plan = {entry: runs_of(entry, QUICK_SEEDS if args.quick else SEEDS, work, where) for entry in entries}
    measured: list[dict[str, Any]] = []

    def record(entry: Entry, found: list[dict[str, Any]]) -> None:
        measured.append(row_of(entry, found))
        chosen_on_validation = all(result["valid"] is not None for result in found)
        if not chosen_on_validation:
            note(f"papers: {entry}: too short for a validation, so its weights were not chosen; it is not recorded")
        elif not args.quick and not args.no_record:
            write(measured[-1], folder)
            report.update(folder.parents[1] / "README.md", folder)

    with alone(work):
        if args.again:
            for run in (run for runs in plan.values() for run in runs if run.folder.exists()):
                shutil.rmtree(run.folder)
        failed = train_all(plan, work, args.jobs or len(cores()), where, record)
    if measured:
        if args.quick:
            say(f"quick: {QUICK_MINUTES:g} minutes and {len(QUICK_SEEDS)} seed a row, nothing recorded\n")
        report.say_papers(report.in_order(measured))
    return int(bool(failed))


@contextmanager
def alone(work: Path) -> Iterator[None]:
    """Holds the work folder: two calls at a time would take each other's cores, and each other's runs."""
    from tinydl.training.log import Log

    work.mkdir(parents=True, exist_ok=True)
    lock = Log(work / "lock")
    try:
        yield
    finally:
        lock.close()


COMMAND = Command(
    description=(
        "Retrain our models on the four polyphonic sets, and on the binarised digits of MNIST,\n"
        "and print the figures beside the published ones.\n"
        f"Median of {len(SEEDS)} seeds, chosen on validation, the test split read once a run; one core a run.\n"
        "Finished runs are kept: the same command goes on where it was stopped.\n"
        "It writes benchmarks/results/papers.json, and the README's table from it."
    ),
    examples=[
        "python -m tinydl.benchmarks papers --quick",
        "python -m tinydl.benchmarks papers --only lstm-nade@jsb --only gru",
        "python -m tinydl.benchmarks papers --show",
    ],
    arguments=_arguments,
    run=_run,
)


def parser() -> Parser:
    """The parser of the command line, whose help and errors speak of ``python -m tinydl.benchmarks papers``."""
    made = Parser("papers", COMMAND)
    made.prog = "python -m tinydl.benchmarks papers"
    return made


def main(argv: Sequence[str]) -> int:
    """Run one command line; exit code 1 when a row could not be measured, else as :mod:`tinydl.cli._errors` has it."""
    return _errors.guard(lambda: COMMAND.run(parser().parse(argv)))
