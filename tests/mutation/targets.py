"""What is mutated, and the tests that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Target:
    """Files to mutate (a pattern), and, where not all of it, the definitions meant."""

    files: str
    only: tuple[str, ...] = ()


#: The test files that hold them; which of their tests run a line is found out (``reaching.py``).
TESTS = (
    "tests/optim/test_*.py", "tests/kernels/test_optim.py", "tests/differential/test_[dekr]*_torch.py",
    "tests/core/test_*.py", "tests/ops/test_*.py", "tests/nn/test_*.py", "tests/models/test_rnn.py",
    "tests/distributions/test_*.py", "tests/fusion/test_*.py", "tests/utils/test_*.py", "tests/soak/test_memory.py",
)  # fmt: skip
# Of Tensor, what is more than a name for an operation: versions, views, hooks.
VERSIONS = (
    "__init__", "_from_array", "_wrap", "_hold", "_from_graph", "_share", "cell", "_refuse_stale", "bump",
    "requires_grad", "data", "detach", "detach_", "retain_grad", "register_hook",
)  # fmt: skip

# Of the steps' card, the steps: the samples and the counting of operations are material of tests and benchmarks.
STEPS = ("array_at", "first_irregular", "_rows", "sgd_", "adam_", "rmsprop_", "squared_norm", "scale_gradients_")

# The first pattern that a file matches counts. Compiled kernels (kernels/*/cpu.py) are not mutated: what would run is
# the machine code of a cache. Numba is off, and what is mutated and runs are their NumPy twins (spec.py).
TARGETS = (
    Target("tinydl/autograd/engine.py"),
    Target("tinydl/autograd/primitives.py"),
    Target("tinydl/autograd/function.py"),
    Target("tinydl/tensor.py", VERSIONS),
    Target("tinydl/writing.py"),
    Target("tinydl/ops/rnn.py"),
    Target("tinydl/ops/nade.py"),
    Target("tinydl/ops/losses.py"),
    Target("tinydl/ops/*.py"),
    Target("tinydl/optim/*.py"),
    Target("kernels/optim/spec.py", STEPS),
)


def files() -> list[str]:
    """Every file that is mutated, in the order of the table."""
    found: dict[str, None] = {}
    for target in TARGETS:
        found.update(dict.fromkeys(p.relative_to(ROOT).as_posix() for p in sorted(ROOT.glob(target.files))))
    return list(found)


def target_of(file: str) -> Target:
    """The entry of a file."""
    return next(t for t in TARGETS if Path(file).match(t.files))


def all_tests() -> list[str]:
    """Every test file that holds anything."""
    return list(dict.fromkeys(p.relative_to(ROOT).as_posix() for pattern in TESTS for p in sorted(ROOT.glob(pattern))))


def module_of(file: str) -> str:
    """The dotted name that a file is imported by."""
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return name if name.startswith("tinydl") else f"tinydl.{name}"
