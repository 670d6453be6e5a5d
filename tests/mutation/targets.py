"""What is mutated, and by which tests each file is held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Target:
    """Files to mutate (a pattern), the test files that hold them, and, where not all of it, the definitions meant."""

    files: str
    tests: tuple[str, ...]
    only: tuple[str, ...] = ()


CORE = ("tests/core/test_*.py",)
OPS = ("tests/ops/test_*.py", "tests/differential/test_*_torch.py")
OPTIM = ("tests/optim/test_*.py",)
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
    Target("tinydl/autograd/engine.py", (*CORE, *OPS)),
    Target("tinydl/autograd/primitives.py", (*CORE, *OPS)),
    Target("tinydl/autograd/function.py", CORE),
    Target("tinydl/tensor.py", (*CORE, *OPS), VERSIONS),
    Target("tinydl/writing.py", (*CORE, *OPS)),
    Target("tinydl/ops/rnn.py", ("tests/ops/test_*.py", "tests/nn/test_rnn*.py")),
    Target("tinydl/ops/nade.py", ("tests/ops/test_*.py", "tests/models/test_rnn.py")),
    Target("tinydl/ops/losses.py", (*OPS, "tests/nn/test_loss*.py")),
    Target("tinydl/ops/*.py", (*CORE, *OPS, "tests/nn/test_layers*.py")),
    Target("tinydl/optim/*.py", OPTIM),
    Target("kernels/optim/spec.py", (*OPTIM, "tests/kernels/test_optim.py", "tests/nn/test_clip_grad.py"), STEPS),
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


def holders(file: str) -> list[str]:
    """The test files that hold a file."""
    return list(_matching(target_of(file).tests))


def all_tests() -> list[str]:
    """Every test file that holds anything."""
    return list(_matching(pattern for target in TARGETS for pattern in target.tests))


def _matching(patterns: Iterator[str] | tuple[str, ...]) -> dict[str, None]:
    return dict.fromkeys(p.relative_to(ROOT).as_posix() for pattern in patterns for p in sorted(ROOT.glob(pattern)))


def module_of(file: str) -> str:
    """The dotted name that a file is imported by."""
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return name if name.startswith("tinydl") else f"tinydl.{name}"
