"""``python -m tinydl.benchmarks [NAME ...]``: list the benchmarks, or run some (``all`` for every one)."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from tinydl.benchmarks import ALONE, NAMES, control, harness, load, report


def say(line: str) -> None:
    """Progress and warnings go to stderr."""
    print(line, file=sys.stderr, flush=True)


def module(name: str) -> Any:
    """The module of a benchmark that has a command line of its own."""
    return importlib.import_module(f"tinydl.benchmarks.{name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks named; exit code 1 when one could not be measured, 2 for an unknown name."""
    words = list(sys.argv[1:] if argv is None else argv)
    for name in ALONE:
        if name in words:
            words.remove(name)
            code: int = module(name).main(words)
            return code
    parser = argparse.ArgumentParser(prog="python -m tinydl.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to run; 'all' for everything; none lists")
    parser.add_argument("--no-record", action="store_true", help="append nothing to benchmarks/results/")
    options = parser.parse_args(words)
    if not options.names:
        alone = [(name, module(name).TITLE) for name in ALONE]
        for name, title in [*((name, load(name).title) for name in NAMES), *alone]:
            print(f"{name:12s} {title}")
        return 0
    wanted = list(NAMES) if options.names == ["all"] else options.names
    for name in wanted:
        if name not in NAMES:
            near = difflib.get_close_matches(name, [*NAMES, *ALONE], n=1)
            hint = f"did you mean {near[0]!r}?" if near else "python -m tinydl.benchmarks lists them"
            say(f"tinydl.benchmarks: error: there is no benchmark {name!r}; {hint}")
            return 2
    failed = False
    control_words, control_rows = control.now(say)
    for name in wanted:
        try:
            for row in control_rows if name == "control" else harness.measure(load(name), say):
                row.control = control_words
                print(row.line(), flush=True)
                if not options.no_record:
                    harness.append(row)
        except harness.BenchmarkError as error:
            failed = True
            say(f"tinydl.benchmarks: {name} was not measured: {error}")
    if not options.no_record:
        report.update(harness.RESULTS.parents[1] / "README.md")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
