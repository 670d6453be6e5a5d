"""Mutants of kernels that survive and may: each with the reason (see ``kernels.py``)."""

from __future__ import annotations

from tests.mutation.answers import Answer
from tests.mutation.mutants import Mutant

ANSWERS: list[Answer] = []


def equivalent(file: str, where: str, *changes: str, because: str) -> None:
    """Answer changes that no sample could show."""
    ANSWERS.extend(Answer(f"kernels/{file}.py", where, change, because, True) for change in changes)


_WHOLE = "the size is a multiple of the step, which is above 1 here: there are as many steps"
equivalent("reduction/cpu", "_moments", "range(0, mean.size, step) -> range(0, mean.size - 1, step)", because=_WHOLE)
equivalent("reduction/cpu", "_vector_norm", "range(0, y.size, step) -> range(0, y.size - 1, step)", because=_WHOLE)

_NOTHING = "at most one more block, of nothing"
for _where in ("_moments", "_vector_norm"):
    equivalent(
        "reduction/cpu", _where, "range(0, step, _COLUMNS) -> range(0, step + 1, _COLUMNS)", because=_NOTHING
    )
equivalent("optim/spec", "squared_norm", "range(0, numel, CHUNK) -> range(0, numel + 1, CHUNK)", because=_NOTHING)
equivalent("random/spec", "random_bits", "range(0, blocks, _SLAB) -> range(0, blocks + 1, _SLAB)", because=_NOTHING)

equivalent(
    "loss/cpu", "_softmax_blocks",
    "blocks * (thread + 1) -> blocks * (thread + 1 + 1)",
    "range(blocks * thread // threads, blocks * (thread + 1) // threads) -> "
    "range(blocks * thread // threads, blocks * (thread + 1) // threads + 1)",
    because=_NOTHING + ", or one that two threads compute alike",
)
equivalent(
    "nade/spec", "nade_sample", "sounds[:, :1] -> sounds[:, :1 + 1]",
    because="where no later pitch can sound the first one must: it does so by its probability or by force",
)  # fmt: skip

_DIGITS = "a term or step more or less of a series that has converged, below the digits that the card asks for"
equivalent("special/spec", "_erfc_tail", "range(1, 13) -> range(1, 13 ? 1)", because=_DIGITS)
equivalent("special/spec", "erfinv", "range(2) -> range(2 + 1)", because=_DIGITS)
equivalent("special/spec", "_near_two", "range(2, 28) -> range(2, 28 ? 1)", because=_DIGITS)
equivalent(
    "special/spec", "sinc", "range(first, first + 20 + order) -> range(first, first + 20 + order ? 1)",
    because=_DIGITS,
)  # fmt: skip
equivalent("special/spec", "bessel_i", "range(1, 31) -> range(1, 31 ? 1)", because=_DIGITS)
equivalent(
    "special/spec", "bessel_i", "order * order -> order * (order + 1)",
    because="a bound from which on either of two series gives all digits",
)  # fmt: skip

_SPARE = "a longer slice: as many of its elements are read as there are firsts"
equivalent("pool/cpu", "_edges", "table[at + 2 + n:at + 2 + 2 * n] -> *", "2 * n -> 2 * (n + 1)", because=_SPARE)
_TWIN = "only how many threads share the work"
equivalent("pool/cpu", "_plan", "4 * N -> 4 * (N + 1)", because=_TWIN)

_ROW = "a slice of one element more: as many as there are columns are read, and the next bag writes over the rest"
for _where, _arrays in (
    ("_bag_forward", ("y[b * D:(b + 1) * D", "places[b * D:(b + 1) * D", "weight[index[n] * D:(index[n] + 1) * D")),
    ("_bag_backward", ("g[b * D:(b + 1) * D", "dweight[index[n] * D:(index[n] + 1) * D",
                       "weight[index[n] * D:(index[n] + 1) * D")),
):  # fmt: skip
    equivalent("bag/cpu", _where, *(f"{_slice}] -> {_slice} + 1]" for _slice in _arrays), because=_ROW)

_ELSEWHERE = "seen by another test: the cards' samples are all well formed (tests/kernels/test_rnn.py)"
equivalent("rnn/spec", "check", "expected += * -> expected = *", because=_ELSEWHERE)
_COMPILED = "for what the compiled forward saved, which does not run as plain Python (tests/lab/test_verify.py has it)"
equivalent("rnn/spec", "lstm_backward", "from_panels(* -> *", "cells[* -> *", because=_COMPILED)
equivalent("rnn/spec", "from_panels", "panels.* -> *", because=_COMPILED)


def answer_to(mutant: Mutant) -> Answer | None:
    """The first answer that meets a mutant."""
    return next((answer for answer in ANSWERS if answer.meets(mutant)), None)
