"""Benchmarks: every figure the project claims, measured against the best rival at hand.

``python -m tinydl.benchmarks`` lists them, ``python -m tinydl.benchmarks NAME ...`` runs some and appends a row per
figure to ``benchmarks/results/NAME.csv``. How they measure stands in :mod:`tinydl.benchmarks.harness`.
``tinydl bench`` measures kernels (:mod:`tinydl.benchmarks.kernels`).
``python -m tinydl.benchmarks papers`` retrains the papers' tables (:mod:`tinydl.benchmarks.papers`).
``python -m tinydl.benchmarks gpu`` verifies and times CUDA kernels on a GPU (:mod:`tinydl.benchmarks.gpu`).
``python -m tinydl.benchmarks ring`` shows mode collapse, and its cures (:mod:`tinydl.benchmarks.ring`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinydl.benchmarks.harness import Benchmark

# In the order they are run: the control first, the longest last.
NAMES = (
    "control", "roofs", "import_time", "first_step", "folder", "overhead", "chain", "ladder", "fuse", "mlp_step",
    "lstm_step", "nade_step", "simt", "memory", "works",
)  # fmt: skip
GPU = "gpu"  # needs one
PAPERS = "papers"  # trains for hours
RING = "ring"  # trains for minutes, and measures no time
ALONE = (PAPERS, GPU, RING)  # with options of their own: run alone, and not by `all`


def load(name: str) -> Benchmark:
    """The benchmark of that name (its module is imported only now), or ``"kernels ..."``, one operation's kernels."""
    if name.startswith("kernels "):
        kernels: Benchmark = importlib.import_module("tinydl.benchmarks.kernels").load(name)
        return kernels
    benchmark: Benchmark = importlib.import_module(f"tinydl.benchmarks.{name}").BENCHMARK
    return benchmark
