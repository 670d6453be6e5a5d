"""``python -m tests.mutation [--sample N] [--seed S] [--file F ...]``: see the package."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.mutation import running, session
from tests.mutation.answers import answer_to
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.reaching import Reach, digest
from tests.mutation.targets import ROOT, all_tests, files

FOLDER = ROOT / "build" / "mutation"
SECONDS = 30.0  # what the tests that a mutant is shown to may take, unharmed and traced; --thorough shows it to all
LIVED = ("survived", "unreached", "not asked")
TIMEOUTS = (-signal.SIGALRM, -signal.SIGPROF)
COLD, FILES = 2500, 25  # tests for a mutant for which everything is imported anew, and files that they may stand in


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mutation testing of the engine.")
    p.add_argument("--sample", type=int, metavar="N", help="N mutants, chosen by --seed (default: all of them)")
    p.add_argument("--seed", type=int, default=0, help="which sample; a larger one contains a smaller (default 0)")
    p.add_argument("--file", action="append", metavar="F", help="only files whose path contains F")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (default: the cores)")
    p.add_argument("--seconds", type=float, default=SECONDS, help="of tests for a mutant (default %(default)s)")
    p.add_argument("--thorough", action="store_true", help="all tests that reach a mutant")
    p.add_argument("--fresh", action="store_true", help="forget the results and the traces there are")
    return p


def chosen(options: argparse.Namespace) -> list[Mutant]:
    """The mutants that are asked for, in the order of files; a sample changes no more than the files do."""
    wanted = [f for f in files() if not options.file or any(part in f for part in options.file)]
    found = [m for file in wanted for m in mutants(file)]
    if options.sample is not None:
        seen: Counter[str] = Counter()
        lots = []
        for at, mutant in enumerate(found):
            name = f"{mutant.file} {mutant.where}: {mutant.before} -> {mutant.after}"
            seen[name] += 1
            lots.append((hashlib.sha256(f"{options.seed} {name} {seen[name]}".encode()).digest(), at))
        found = [found[at] for at in sorted(at for _, at in sorted(lots)[: options.sample])]
    return found


class Results:
    """What is known of mutants, kept on disk after each; void when the file, or a survivor's tests, changed."""

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        if path.exists() and not fresh:
            self.known = json.loads(path.read_text())
        self.files = {file: digest([ROOT / file]) for file in files()}
        self.tests = digest({path for test in all_tests() for path in (ROOT / test).parent.glob("*.py")})

    def get(self, mutant: Mutant) -> str | None:
        """Its state, if it still holds."""
        found = self.known.get(mutant.key)
        if found is None or found["source"] != self.files[mutant.file]:
            return None
        if found["state"] in ("survived", "unreached") and found["tests"] != self.tests:
            return None
        return str(found["state"])

    def put(self, mutant: Mutant, state: str, by: str, seconds: float) -> None:
        """Remember, at once."""
        self.known[mutant.key] = {
            "state": state, "by": by, "seconds": round(seconds, 2), "mutant": str(mutant),
            "source": self.files[mutant.file], "tests": self.tests,
        }  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.known, indent=0))
        new.replace(self.path)


def note(text: str) -> None:
    """Progress goes to stderr."""
    print(text, file=sys.stderr, flush=True)


def shown(reach: Reach, mutant: Mutant, seconds: float) -> list[tuple[str, float]]:
    """The tests that a mutant is shown to: as many of those that reach it as take ``seconds`` together."""
    chosen, spent = [], 0.0
    for test, cost in reach.of(mutant):
        spent += cost
        if chosen and spent > seconds:
            break
        chosen.append((test, cost))
    return chosen


def shown_then(reach: Reach, mutant: Mutant, seconds: float, first: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """A second helping for a survivor: of the tests that were not shown the shortest, among them those of words."""
    known, chosen, spent = {test for test, _ in first}, [], 0.0
    for test, cost in sorted(reach.of(mutant, wide=True), key=lambda entry: entry[1]):
        spent += cost * (test not in known)
        if spent > seconds:
            break
        if test not in known:
            known.add(test)
            chosen.append((test, cost))
    return chosen


class Asking:
    """Shows mutants to tests and puts what comes out into the results."""

    def __init__(self, waiting: list[Mutant], results: Results, options: argparse.Namespace) -> None:
        self.waiting, self.results, self.jobs = waiting, results, options.jobs
        self.seconds = float("inf") if options.thorough else options.seconds
        self.done, self.total, self.fresh = 0, len(waiting), options.fresh
        self.cold = FOLDER / "cold.json"
        self.broken: set[str] = set()  # tests that failed without a mutant, too

    def verdict(self, mutant: Mutant, state: str, by: str = "", seconds: float = 0.0) -> None:
        """Keep one."""
        self.results.put(mutant, state, by, seconds)
        self.done += 1
        note(f"[{self.done}/{self.total}] {state:9} {seconds:5.1f} s {mutant} {by}")

    def warm(self, collected: session.Collected) -> None:
        """Ask in a process that has collected every test; what cannot be asked there is left in ``cold``."""
        reach = Reach(FOLDER / "reach.json", self.fresh)
        reach.kills.update(entry["by"].partition("[")[0] for entry in self.results.known.values())
        collected.trace(reach, note)
        cold: dict[str, list[tuple[str, float]]] = {}
        waiting, at_work = self.waiting[::-1], []
        helpings: dict[str, list[tuple[str, float]]] = {}  # the second of those that have survived the first
        while waiting or at_work:
            while waiting and len(at_work) < self.jobs:
                mutant = waiting.pop()
                tests = helpings.get(mutant.key) or shown(reach, mutant, self.seconds)
                tests = [t for t in tests if t[0] not in self.broken]
                swaps = session.swaps(mutant, self.imported) if tests else []
                if not tests:
                    self.verdict(mutant, "unreached")
                elif swaps is None:
                    cold[mutant.key] = [*tests, *shown_then(reach, mutant, self.seconds, tests)][:COLD]
                else:
                    at_work.append((mutant, *collected.show(tests, session.setting(swaps))))
            for entry in list(at_work):
                mutant, child, reading = entry
                status = child.poll()
                if status is None:
                    continue
                at_work.remove(entry)
                by = os.read(reading, 4096).decode()
                os.close(reading)
                if by and not collected.holds(by):
                    note(f"fails without a mutant, and is left out: {by}")
                    self.broken.add(by)
                    waiting.append(mutant)
                    continue
                if status == 0 and mutant.key not in helpings:
                    first = shown(reach, mutant, self.seconds)
                    helpings[mutant.key] = shown_then(reach, mutant, self.seconds, first)
                    if helpings[mutant.key]:
                        waiting.append(mutant)
                        continue
                state = "survived" if status == 0 else "timeout" if status in TIMEOUTS else "killed"
                self.verdict(mutant, state, by or f"status {status}" * bool(status), time.monotonic() - child.started)
            time.sleep(0.005)
        self.cold.write_text(json.dumps(cold))

    def ask(self) -> None:
        """All of them."""
        self.cold.parent.mkdir(parents=True, exist_ok=True)
        self.cold.unlink(missing_ok=True)

        def work() -> int:
            os.dup2(2, 1)
            self.imported: set[Any] = set()
            session.collect(self.warm, self.imported)
            return 0

        if (status := running.fork(work, float("inf"), silent=False).wait()) or not self.cold.exists():
            raise SystemExit(f"the tests could not be collected, or not run ({status})")
        self.results.known = json.loads(self.results.path.read_text()) if self.results.path.exists() else {}
        cold = json.loads(self.cold.read_text())
        self.done = self.total - len(cold)
        sound: dict[str, bool] = {}
        for mutant in self.waiting:
            if mutant.key in cold:
                self.anew(mutant, cold[mutant.key], sound)

    def anew(self, mutant: Mutant, tests: list[tuple[str, float]], sound: dict[str, bool]) -> None:
        """Ask in a process that imports everything anew; the files of the first tests first."""
        by_file: dict[str, list[str]] = {}
        for test, _ in tests:
            by_file.setdefault(test.partition("::")[0], []).append(test)
        chosen = sorted(by_file.items(), key=lambda entry: -len(entry[1]))[:FILES]
        limit = 30 * len(chosen) + 10 * sum(seconds for _, seconds in tests)
        code = mutant.code()
        child = running.fork(lambda: running.run_tests(chosen, mutant.file, code), limit)
        status = child.wait()
        state = "survived" if status == 0 else "timeout" if status in TIMEOUTS else "killed"
        number = status - running.KILLED
        by = chosen[number][0] if 0 <= number < len(chosen) else f"status {status}" * bool(status)
        if 0 <= number < len(chosen):
            key = f"{mutant.file} {chosen[number]}"
            if key not in sound:
                sound[key] = self.sound(mutant.file, chosen[number])
            if not sound[key]:
                note(f"tests of {by} fail without a mutant, which is not asked: {mutant}")
                return
        self.verdict(mutant, state, by, time.monotonic() - child.started)

    def sound(self, file: str, tests: tuple[str, list[str]]) -> bool:
        """Whether tests pass with the file unharmed, loaded in the same way."""
        code = compile((ROOT / file).read_text(encoding="utf-8"), str(ROOT / file), "exec")
        return running.fork(lambda: running.run_tests([tests], file, code), 1800).wait() == 0


def main() -> None:
    """Ask what is not known, then report."""
    options = parser().parse_args()
    found = chosen(options)
    results = Results(FOLDER / "results.json", options.fresh)
    answered = {m.key: answer for m in found if (answer := answer_to(m)) is not None}
    waiting = [m for m in found if m.key not in answered and results.get(m) is None]
    if waiting:
        running.preload()
        asking = Asking(waiting, results, options)
        asking.ask()
        results = asking.results
    report(found, results, answered)


def report(found: list[Mutant], results: Results, answered: dict[str, Any]) -> None:
    """Survivors, counts by file, and last the score; a mutant that could not be asked counts as a survivor."""
    counts: dict[str, Counter[str]] = {}
    for mutant in found:
        answer = answered.get(mutant.key)
        known = results.get(mutant) or "not asked"
        state = known if answer is None else "equivalent" if answer.equivalent else "worthless"
        counts.setdefault(mutant.file, Counter())[str(state)] += 1
        if state in LIVED:
            print(f"{mutant}" + {"unreached": " (no test reaches it)", "survived": ""}.get(state, f" ({state})"))
    total = sum(counts.values(), Counter())
    for file, count in (*counts.items(), ("all", total)):
        killed, lived = count["killed"] + count["timeout"], sum(count[state] for state in LIVED)
        print(
            f"{file:32} {count.total():5} mutants: {killed} killed ({count['timeout']} by time), {lived} survived, "
            f"{count['equivalent']} equivalent, {count['worthless']} not worth a test"
        )
    killed, lived = total["killed"] + total["timeout"], sum(total[state] for state in LIVED)
    print(f"with the answered ones counted as survivors: {100 * killed / max(total.total(), 1):.1f} %")
    print(f"mutation score {100 * killed / max(killed + lived, 1):.1f} %")


if __name__ == "__main__":
    main()
