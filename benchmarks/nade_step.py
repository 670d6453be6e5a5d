"""What a state for each note is worth: a training step of RNN-NADE against the same step with 88 states a frame.

Three dense forms, so that the gain is not credited to the wrong cause: the paper's loop in ordinary operations, of
ours and of PyTorch, and our kernel with its one idea taken out (``cpu.dense``). All share the LSTM, which is the floor.
"""

from __future__ import annotations

import contextlib
from functools import partial

from tinydl.benchmarks.harness import Benchmark, Job
from tinydl.benchmarks.programs import dense_nade, library, lstm_nade

_KEPT = contextlib.ExitStack()  # an override ends when nothing refers to it


def ours(variant: str | None = None) -> Job:
    """Our kernels; ``variant`` in place of the default one, for as long as the process lives."""
    from tinydl.kernels import use
    from tinydl.ops.nade import nade

    if variant is not None:
        _KEPT.enter_context(use(nade_forward=variant, nade_backward=variant))
    return lstm_nade(library("tinydl"), nade)


def dense(name: str, **adam: bool) -> Job:
    """The paper's loop over 88 pitches, in the library's own operations."""
    torch = library(name)
    return lstm_nade(torch, partial(dense_nade, torch), **adam)


BENCHMARK = Benchmark(
    name="nade_step",
    title="RNN-NADE T=64 B=32 H=256 D=128, 4 notes a frame: one training step (bar: 3 times the dense 88-step form)",
    sides={
        "tinydl": lambda case: ours(),
        "tinydl, 88 steps as operations": lambda case: dense("tinydl"),
        "tinydl, 88 states in the kernel": lambda case: ours("cpu.dense"),
        "torch eager, 88 steps, fused Adam": lambda case: dense("torch", fused=True),
    },
    repeats=9,
    seconds=60.0,
    sample_seconds=0.3,
)
