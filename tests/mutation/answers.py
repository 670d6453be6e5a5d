"""Mutants that survive and may: each with the reason. They count apart from the score, and the report says how many.

An answer names a file, a definition and the change as the report prints it (``before -> after``; ``*`` stands for any
text). ``EQUIVALENT``: the change cannot be seen. ``WORTHLESS``: it can, but a test of it would say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.mutation.mutants import Mutant


@dataclass(frozen=True)
class Answer:
    """Why a mutant may live."""

    file: str
    where: str
    change: str
    reason: str
    equivalent: bool

    def meets(self, mutant: Mutant) -> bool:
        """Whether this is the answer to a mutant."""
        change = self.change.replace("[", "[[]")  # brackets are meant as they are
        return (
            self.file == mutant.file
            and fnmatchcase(mutant.where, self.where)
            and fnmatchcase(f"{mutant.before} -> {mutant.after}", change)
        )


ANSWERS: list[Answer] = []


def equivalent(file: str, where: str, *changes: str, because: str) -> None:
    """Answer changes that nothing could show."""
    ANSWERS.extend(Answer(file, where, change, because, True) for change in changes)


def worthless(file: str, where: str, *changes: str, because: str) -> None:
    """Answer changes whose test would be worth nothing."""
    ANSWERS.extend(Answer(file, where, change, because, False) for change in changes)


equivalent(
    "tinydl/ops/scattering.py", "_matched", "(*reach[:axis], 1, *reach[axis + 1:]) -> (*reach[:axis], 2, *",
    because="the size along the axis is replaced below, and 2 broadcasts with the 1 of the other",
)  # fmt: skip


worthless(
    "tinydl/ops/products.py", "product", "a.size * b.size <= _LARGE -> a.size * b.size < _LARGE",
    because="which of two kernels makes a product of just that size",
)  # fmt: skip
worthless(
    "tinydl/ops/extrema.py", "_extreme", "input.size < _FEW -> *",
    because="which of two ways finds the same number sooner",
)  # fmt: skip


worthless(
    "tinydl/ops/products.py", "product", "a.size * b.shape[1] -> a.size / b.shape[1]",
    "a.size * b.shape[1] > _LARGE -> a.size * b.shape[1] >= _LARGE",
    because="which of two kernels makes a product of that size",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "_fitting", "-1 -> -0",
    because="whether one operation does it or two; those refuse what does not fit, too",
)  # fmt: skip
worthless(
    "tinydl/autograd/engine.py", "*", "type(r) is _ndarray -> type(r) is not _ndarray",
    because="whether a gradient that nobody else holds is copied",
)  # fmt: skip
equivalent(
    "tinydl/autograd/engine.py", "_leading_to", "t.id if isinstance(t, Node) else -1 -> t.id if isinstance(*",
    because="a node that leads to a leaf has a greater number than 1, but for the first of a process",
)  # fmt: skip
equivalent(
    "tinydl/ops/attention.py", "_gradients", ":4 -> :5",
    because="the compiled kernel alone, which is not mutated, wants four; the one in NumPy leaves the fifth out",
)  # fmt: skip
worthless(
    "tinydl/ops/axes.py", "axis_of", "-ndim <= dim < ndim -> -ndim < dim < ndim",
    "-ndim <= dim < ndim -> ndim <= dim < ndim",
    because="the usual case, sooner than by the general way",
)  # fmt: skip
equivalent(
    "tinydl/ops/ctc.py", "ctc_definition", "plain(loss) > -_FAR / 2 -> plain(loss) >= -_FAR / 2",
    because="no loss is that very number",
)  # fmt: skip
worthless(
    "tinydl/ops/elementwise.py", "_power_slope",
    "type(e) is int or type(e) is float -> type(e) is int and type(e) is float",
    because="numbers sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/indexing.py", "_reached", "axis + 1 -> axis + 0",
    because="whole slices, sooner than by the general way",
)  # fmt: skip
equivalent(
    "tinydl/ops/pool.py", "adaptive_windows", "initial=1 -> initial=0",
    because="it is for no windows at all, which have no width",
)  # fmt: skip


def answer_to(mutant: Mutant) -> Answer | None:
    """The first answer that meets a mutant."""
    return next((answer for answer in ANSWERS if answer.meets(mutant)), None)
