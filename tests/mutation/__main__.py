"""``python -m tests.mutation [--sample N] [--seed S] [--file F ...]``: see the package."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.mutation import running
from tests.mutation.answers import answer_to
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.reaching import MOST, SECONDS, Reach, digest, digest_of, reach_of, selection
from tests.mutation.targets import ROOT, files, holders

FOLDER = ROOT / "build" / "mutation"
STATES = ("killed", "timeout", "survived", "unreached")


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mutation testing of the engine.")
    p.add_argument("--sample", type=int, metavar="N", help="N mutants, chosen by --seed (default: all of them)")
    p.add_argument("--seed", type=int, default=0, help="which sample; a larger one contains a smaller (default 0)")
    p.add_argument("--file", action="append", metavar="F", help="only files whose path contains F")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (default: the cores)")
    p.add_argument("--thorough", action="store_true", help="all tests that reach a mutant, not the quick ones")
    p.add_argument("--fresh", action="store_true", help="forget the results there are")
    return p


def chosen(options: argparse.Namespace) -> list[Mutant]:
    """The mutants that are asked for, in the order of files."""
    wanted = [f for f in files() if not options.file or any(part in f for part in options.file)]
    found = [m for file in wanted for m in mutants(file)]
    if options.sample is not None:
        order = list(range(len(found)))
        random.Random(options.seed).shuffle(order)
        found = [found[i] for i in sorted(order[: options.sample])]
    return found


class Results:
    """What is known of mutants, kept on disk after each; void when the file, or a survivor's tests, changed."""

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        if path.exists() and not fresh:
            self.known = json.loads(path.read_text())
        self.files = {file: digest([ROOT / file]) for file in files()}
        self.tests = {file: digest([ROOT / test for test in holders(file)]) for file in files()}

    def get(self, mutant: Mutant) -> str | None:
        """Its state, if it still holds."""
        found = self.known.get(mutant.key)
        if found is None or found["source"] != self.files[mutant.file]:
            return None
        if found["state"] in ("survived", "unreached") and found["tests"] != self.tests[mutant.file]:
            return None
        return str(found["state"])

    def put(self, mutant: Mutant, state: str, by: str, seconds: float) -> None:
        """Remember, at once."""
        self.known[mutant.key] = {
            "state": state, "by": by, "seconds": round(seconds, 2), "mutant": str(mutant),
            "source": self.files[mutant.file], "tests": self.tests[mutant.file],
        }  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.known, indent=0))
        new.replace(self.path)


def note(text: str) -> None:
    """Progress goes to stderr."""
    print(text, file=sys.stderr, flush=True)


def ask(waiting: list[Mutant], reaches: dict[str, Reach], results: Results, options: argparse.Namespace) -> None:
    """Run the tests on every mutant that waits, some at once."""
    at_work: list[tuple[Mutant, list[tuple[str, list[str]]], running.Child]] = []
    total, done = len(waiting), 0
    limits = (sys.maxsize, float("inf")) if options.thorough else (MOST, SECONDS)
    waiting = waiting[::-1]
    while waiting or at_work:
        while waiting and len(at_work) < options.jobs:
            mutant = waiting.pop()
            tests, seconds = selection(mutant, reaches, *limits)
            if not tests:
                results.put(mutant, "unreached", "", 0.0)
                done += 1
                continue
            code = mutant.code()
            work = lambda: running.run_tests(tests, mutant.file, code)  # noqa: B023 - forked at once
            at_work.append((mutant, tests, running.fork(work, 15 + 5 * seconds)))
        for entry in list(at_work):
            mutant, tests, child = entry
            status = child.poll()
            if status is None:
                continue
            at_work.remove(entry)
            state = "survived" if status == 0 else "timeout" if status == -14 else "killed"
            number = status - running.KILLED
            by = tests[number][0] if 0 <= number < len(tests) else f"status {status}"
            results.put(mutant, state, by if state == "killed" else "", time.monotonic() - child.started)
            done += 1
            note(f"[{done}/{total}] {state:8} {mutant}")
        time.sleep(0.01)


def control(wanted: list[str], reaches: dict[str, Reach]) -> None:
    """Show every file unharmed to tests chosen as for a mutant: a test that fails then would kill everything."""
    for file in wanted:
        tests = [
            (name, [reach.tests[i][0] for i in reach.of(Mutant(file, 0, 1, 1, "", "", ""), 20)])
            for name, reach in ((name, reaches[name]) for name in holders(file))
        ]
        tests = [(name, ids) for name, ids in tests if ids]
        code = compile((ROOT / file).read_text(encoding="utf-8"), str(ROOT / file), "exec")
        status = running.fork(lambda: running.run_tests(tests, file, code), 1800).wait()  # noqa: B023 - waited for
        if status:
            raise SystemExit(f"tests fail without a mutant: {file}, {tests[status - running.KILLED][0]} ({status})")


def main() -> None:
    """Ask what is not known, then report."""
    options = parser().parse_args()
    found = chosen(options)
    results = Results(FOLDER / "results.json", options.fresh)
    answered = {m.key: answer for m in found if (answer := answer_to(m)) is not None}
    waiting = [m for m in found if m.key not in answered and results.get(m) is None]
    if waiting:
        wanted = list(dict.fromkeys(m.file for m in waiting))
        running.preload()
        reaches = {}
        for test in dict.fromkeys(test for file in wanted for test in holders(file)):
            note(f"what {test} reaches ({digest_of(test)})")
            reaches[test] = reach_of(test, FOLDER / "reach")
        control(wanted, reaches)
        ask(waiting, reaches, results, options)
    report(found, results, answered)


def report(found: list[Mutant], results: Results, answered: dict[str, Any]) -> None:
    """Survivors, counts by file, and last the score."""
    counts: dict[str, Counter[str]] = {}
    for mutant in found:
        answer = answered.get(mutant.key)
        state = results.get(mutant) if answer is None else "equivalent" if answer.equivalent else "worthless"
        counts.setdefault(mutant.file, Counter())[str(state)] += 1
        if state in ("survived", "unreached"):
            print(f"{mutant}" + (" (no test reaches it)" if state == "unreached" else ""))
    total = sum(counts.values(), Counter())
    for file, count in (*counts.items(), ("all", total)):
        killed, lived = count["killed"] + count["timeout"], count["survived"] + count["unreached"]
        print(
            f"{file:32} {count.total():5} mutants: {killed} killed ({count['timeout']} by time), {lived} survived, "
            f"{count['equivalent']} equivalent, {count['worthless']} not worth a test"
        )
    killed, lived = total["killed"] + total["timeout"], total["survived"] + total["unreached"]
    print(f"with the answered ones counted as survivors: {100 * killed / max(total.total(), 1):.1f} %")
    print(f"mutation score {100 * killed / max(killed + lived, 1):.1f} %")


if __name__ == "__main__":
    main()
