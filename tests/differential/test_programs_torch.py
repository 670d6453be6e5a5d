"""Random programs in both libraries: 1,000 of them a run, TINYDL_PROGRAMS=10000 for more. See ``programs.py``."""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import tinydl
from tests.differential.programs import TOLERANCE, Program, judge, run, shrink, twin, unlike

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

from tests.differential.program_writer import write  # noqa: E402 - it needs PyTorch

# PyTorch warns of some of the lines that are refused here by rule.
pytestmark = pytest.mark.filterwarnings("ignore:Use of \\w+ on expanded tensors:UserWarning")

COUNT = int(os.environ.get("TINYDL_PROGRAMS", "1000"))
BATCH = 100


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors of a few elements are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def different(program: Program) -> bool:
    return judge(program, tinydl, torch).kind == "different"


def report(program: Program) -> str:
    """The smallest program that still differs, and how it does."""
    small = shrink(program, different)
    return f"{small}\n# {judge(small, tinydl, torch).why}"


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_programs_give_what_pytorch_gives(first: int) -> None:
    tally: Counter[str] = Counter()
    for seed in range(first, min(first + BATCH, COUNT)):
        program = write(torch, seed)
        verdict = judge(program, tinydl, torch)
        assert verdict.kind != "different", f"program {seed}: {verdict.why}\n\n{report(program)}"
        tally[verdict.kind] += 1
        tally["in place"] += any(line.in_place for line in program.lines)
        tally["graded"] += bool(program.outputs)
        tally["second order"] += program.order == 2
    if first + BATCH <= COUNT:  # what is drawn stays worth drawing
        assert tally["refused"] <= 6 and tally["in place"] >= 40, tally
        assert tally["graded"] >= 95 and tally["second order"] >= 15, tally


def test_most_refusals_are_judged_by_a_twin() -> None:
    verdicts = [judge(write(torch, seed), tinydl, torch) for seed in range(300)]
    assert sum(v.twin for v in verdicts) >= 6, "no program was left in which PyTorch refuses and we compute"
    assert sum(v.kind == "same" and bool(v.why) for v in verdicts) >= 10, "no program in which both raise"


def test_twins_have_pytorchs_gradients() -> None:
    """Where PyTorch computes, the twin's gradients are its own: the twin means what the program means."""
    compared = 0
    for seed in range(300):
        program = write(torch, seed)
        plain = run(program, torch)
        if plain.error is not None or not any(line.in_place for line in program.lines):
            continue
        again = twin(program, torch)
        for a, b in zip(plain.gradients, again.gradients):
            where = f"program {seed}\n{program}"
            assert not list(unlike("gradient", a, b, TOLERANCE[program.single] * 5)), where
            compared += a is not None
    assert compared > 100


def test_a_seed_is_a_program() -> None:
    assert [str(write(torch, seed)) for seed in range(20)] == [str(write(torch, seed)) for seed in range(20)]


@pytest.mark.parametrize("library", ["torch", "tinydl as torch"])
def test_a_program_runs_when_pasted(library: str) -> None:
    for seed in range(30):
        program = write(torch, seed)
        if run(program, torch).error is None and run(program, tinydl).error is None:
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                exec(str(program).replace("import torch  #", f"import {library}  #"), {})
            assert "tensor" in shown.getvalue()


# ------------------------------------------------------------------------------------------- planted faults are found


def first_report(limit: int = 300) -> str:
    """What the first program that differs is shrunk to."""
    for seed in range(limit):
        program = write(torch, seed)
        if different(program):
            return report(program)
    raise AssertionError(f"{limit} programs see nothing")


def lines_of(text: str) -> list[str]:
    return text.partition("# program")[2].partition("\n\n#")[0].splitlines()[1:]


def test_a_wrong_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tinydl.Tensor, "cos", tinydl.Tensor.sin)
    assert ".cos()" in first_report()


def test_a_wrong_gradient_is_found_and_the_program_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    tanh = tinydl.Tensor.tanh

    def wrong(x: Any) -> Any:
        y = tanh(x)
        return y.detach() + (x - x.detach()) * (1 - y.detach())  # the value is right, the slope is not

    monkeypatch.setattr(tinydl.Tensor, "tanh", wrong)
    found = first_report()
    assert ".tanh()" in found and len(lines_of(found)) <= 6, found


def test_a_silently_changed_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without versions, a backward pass would use what was written since."""
    monkeypatch.setattr(tinydl.Tensor, "bump", lambda self: None)
    found = first_report(1000)
    assert "derivative" in found or ".grad" in found or "second time" in found, found


def test_a_forgotten_refusal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaf that a recorded operation changes without a word."""
    real = tinydl.Tensor._in_place

    def lenient(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return real(self, *args, **kwargs)
        except RuntimeError as error:
            if "leaf" not in str(error):
                raise
            return self

    monkeypatch.setattr(tinydl.Tensor, "_in_place", lenient)
    assert "leaf" in first_report(2000)
