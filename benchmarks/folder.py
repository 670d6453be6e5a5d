"""A folder of MIDI files into splits: processes and cache, against reading one file after the other.

The files are 1,000 dance tunes of the built-in corpus, 84 composed by rule and written in twelve keys. *cold* is the
first run on a machine: nothing is in the cache, which is filled. *warm* is every run after it. The rival is what reads
small folders: this process alone, without a cache. All sides must come to the same pieces.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tinydl.benchmarks.harness import Benchmark, Job

FILES = 1000
_KEYS = range(-6, 6)  # semitones up


def write(folder: Path) -> None:
    """The tunes as files, all different."""
    from tinydl.data import midi
    from tinydl.data.corpus import demo_scores

    scores = demo_scores("tunes", -(-FILES // len(_KEYS)))
    for i in range(FILES):
        midi.write(scores[i // len(_KEYS)].transpose(_KEYS[i % len(_KEYS)]), folder / f"{i:04d}.mid")


def reading(case: str, jobs: int | None, cached: bool) -> Job:
    """``read_corpus`` of the folder: *cold* empties the cache before each step, outside what is timed."""
    import time

    from tinydl.data.folder import read_corpus
    from tinydl.data.representations import representation

    temporary = tempfile.TemporaryDirectory(prefix="tinydl-benchmark-")
    music, cache = Path(temporary.name, "music"), Path(temporary.name, "cache")
    music.mkdir()
    write(music)
    os.environ["TINYDL_CACHE"] = str(cache)
    encoding = representation("roll")
    _folders.append(temporary)

    def read() -> list[float]:
        pieces, report, _ = read_corpus(music, encoding, jobs=jobs, cached=cached)
        music_as_number = sum(int(piece.digest[:12], 16) for piece in pieces)
        return [len(pieces), len(report.rows), sum(row.seconds for row in report.rows), music_as_number]

    def step() -> dict[str, float]:
        if case == "cold":
            (cache / "read.sqlite").unlink(missing_ok=True)
        start = time.perf_counter()
        read()
        return {"": time.perf_counter() - start}

    return Job(step, read())


_folders: list[tempfile.TemporaryDirectory[str]] = []  # they live as long as the process

BENCHMARK = Benchmark(
    name="folder",
    title=f"a folder of {FILES} MIDI files into splits, per file: first and later runs",
    sides={
        "tinydl": lambda case: reading(case, None, True),
        "one process, no cache": lambda case: reading(case, 1, False),
    },
    cases=("cold", "warm"),
    unit="us",
    per=FILES,
    repeats=7,
    seconds=60.0,
    max_delay=float("inf"),  # readers are processes of their own, and while they work this one waits for a core as well
)
