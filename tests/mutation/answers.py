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


for _room in (
    "activations", "elementwise", "extrema", "formulas", "losses", "pool", "rnn", "rounding", "sampling", "scanning",
    "scattering", "sorting",
):  # fmt: skip
    worthless(
        f"tinydl/ops/{_room}.py", "*", "smooth=False -> smooth=True",
        because="read by tests alone: whether a second derivative exists where two arguments are one tensor",
    )  # fmt: skip


equivalent(
    "tinydl/ops/products.py", "column_sums", "len(input.shape) == 1 -> len(input.shape) == 0",
    because="the sums over the one row of a vector are the vector",
)  # fmt: skip
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


def answer_to(mutant: Mutant) -> Answer | None:
    """The first answer that meets a mutant."""
    return next((answer for answer in ANSWERS if answer.meets(mutant)), None)
