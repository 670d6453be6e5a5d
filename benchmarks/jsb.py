"""What all of it is for: test nats per frame on JSB chorales after two minutes of training, through the command line.

Three seeds; the weights of a run are those with the best *validation* loss, and the test split is read once per seed.
The details stand in ``results/jsb.json``. Needs the dataset (``tinydl data get jsb``) and eight minutes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinydl.benchmarks import harness

SEEDS = (1, 2, 3)
BAR = 8.54  # nats per frame: the bar of the first slice
MINUTES = 2.0


def tinydl(*arguments: str) -> str:
    """Run the command line; its progress goes to stderr, its result comes back."""
    command = [sys.executable, "-m", "tinydl", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise harness.BenchmarkError(f"`tinydl {' '.join(arguments)}` ended with code {done.returncode}")
    return done.stdout


def run() -> Iterator[harness.Row]:
    """Train, evaluate, write the JSON; one row, the median over the seeds."""
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            out = str(Path(folder) / f"seed-{seed}")
            tinydl("train", "lstm", "jsb", "--out", out, "--minutes", str(MINUTES), "--seed", str(seed))
            results.append(json.loads(tinydl("evaluate", out, "--split", "test", "--json")))
    harness.RESULTS.mkdir(parents=True, exist_ok=True)
    record = {"minutes": MINUTES, "commit": harness.commit(), "machine": harness.machine(), "runs": results}
    (harness.RESULTS / "jsb.json").write_text(json.dumps(record, indent=2) + "\n")
    nats = [float(result["nll_per_frame"]) for result in results]
    row = harness.Row("jsb", f"lstm, {MINUTES:g} min", "nats/frame", statistics.median(nats), min(nats), max(nats))
    row.rival_name, row.rival = "the bar", BAR
    row.note = "median of seeds; in place of percentiles the least and greatest"
    yield row


BENCHMARK = harness.Benchmark(
    name="jsb",
    title=f"JSB chorales, model lstm: test nats per frame after 2 minutes, median of 3 seeds (bar: {BAR})",
    sides={},
    run=run,
)
