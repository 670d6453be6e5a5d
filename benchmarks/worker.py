"""One side of a benchmark, in a process of its own: ``python -m tinydl.benchmarks.worker NAME SIDE``."""

from __future__ import annotations

import sys

from tinydl.benchmarks import load
from tinydl.benchmarks.harness import serve

if __name__ == "__main__":
    serve(load(sys.argv[1]), sys.argv[2])
