"""Kernels and their cards: every registered kernel is right by its card, and every planted mistake is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydl import kernels
from tinydl.cli import main
from tinydl.kernels import Card, KernelError, Variant, card, describe, register
from tinydl.kernels.card import _cards
from tinydl.kernels.matmul import spec as matmul_spec
from tinydl.kernels.registry import unregister
from tinydl.lab.verify import verify

WITH_CARDS = [v for v in kernels.variants() if v.op in {c.op for c in kernels.cards()}]


def test_every_operation_has_a_card() -> None:
    assert {v.op for v in kernels.variants()} == {c.op for c in kernels.cards()}


@pytest.mark.parametrize("variant", WITH_CARDS, ids=lambda v: f"{v.op}-{v.name}")
def test_every_kernel_is_right(variant: Variant) -> None:
    verdict = verify(variant)
    assert verdict.right, "\n".join(verdict.problems)
    assert verdict.gradient != "wrong"


@pytest.mark.parametrize("about", kernels.cards(), ids=lambda c: c.op)
def test_every_card_can_be_measured(about: Card) -> None:
    costs = []
    for make in about.cases.values():
        arguments = make(np.dtype(next(iter(about.tolerance))).type)
        costs.append((about.flops(*arguments), about.bytes(*arguments)))
    assert len(costs) >= 3 and min(map(min, costs)) > 0
    assert costs[0][0] == min(flops for flops, _ in costs), "cases go from small to large"
    assert max(flops for flops, _ in costs) >= 50 * costs[0][0]


# ---------------------------------------------------------------------------------------------------- planted mistakes


@pytest.fixture
def planted() -> Iterator[Callable[[Callable[..., Any]], Variant]]:
    """Registers a function as a matmul of one's own, and forgets it at the end."""

    def plant(function: Callable[..., Any], **options: Any) -> Variant:
        register(op="matmul", name="planted", **{"dtypes": ("float32",), **options})(function)
        return next(v for v in kernels.variants("matmul") if v.name == "planted")

    yield plant
    unregister("matmul", "planted")


def right(a: Any, b: Any) -> Any:
    return np.matmul(a, b)


def leaves_the_last_row(a: Any, b: Any) -> Any:
    c = np.empty((a.shape[0], b.shape[1]), a.dtype)
    c[:-1] = a[:-1] @ b
    return c


def is_off_by_little(a: Any, b: Any) -> Any:
    c = a @ b
    return c * np.float32(1.0001)


def writes_its_input(a: Any, b: Any) -> Any:
    c = a @ b
    if a.size:
        a[0, 0] += 1
    return c


def gives_float64(a: Any, b: Any) -> Any:
    return a.astype(np.float64) @ b


def gives_the_transpose(a: Any, b: Any) -> Any:
    return (a @ b).T


def raises_on_nothing(a: Any, b: Any) -> Any:
    if not a.size:
        raise ZeroDivisionError("division by zero")
    return a @ b


calls = 0


def is_never_twice_the_same(a: Any, b: Any) -> Any:
    global calls
    calls += 1
    return a @ b * np.float32(1 + calls * 2**-23)


def gives_two_results(a: Any, b: Any) -> Any:
    return a @ b, a


MISTAKES = {
    leaves_the_last_row: "was that element written",
    is_off_by_little: "is off by",
    writes_its_input: "changes its argument 0",
    gives_float64: "is float64, not float32",
    gives_the_transpose: "has shape",
    raises_on_nothing: "raises ZeroDivisionError: division by zero",
    is_never_twice_the_same: "other bits in a second call",
    gives_two_results: "gives 2 results",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_a_mistake_is_found(mistake: Callable[..., Any], planted: Any) -> None:
    verdict = verify(planted(mistake))
    assert not verdict.right
    assert any(MISTAKES[mistake] in problem for problem in verdict.problems), verdict.problems
    assert all("sample" in problem and "(" in problem for problem in verdict.problems)


def test_a_right_kernel_is_right(planted: Any) -> None:
    verdict = verify(planted(right, dtypes=()))
    assert verdict.right and verdict.calls >= 24 and verdict.gradient == "right" and 0 < verdict.worst < 1


def test_a_wrong_gradient_is_found(planted: Any) -> None:
    """Right on every sample of the card, and wrong at the size of the gradient check alone."""

    def bends(a: Any, b: Any) -> Any:
        return a @ b * (1 + 0.1 * (a.shape == (70, 66)))

    verdict = verify(planted(bends, dtypes=("float64",)))
    assert verdict.gradient == "wrong" and "gradient of tinydl.ops.products.mm" in verdict.problems[-1]


def test_a_kernel_that_accepts_nothing_is_not_right(planted: Any) -> None:
    verdict = verify(planted(right, accepts=lambda a, b: False))
    assert not verdict.right and "accepts none" in verdict.problems[0]


# ------------------------------------------------------------------------------------------------- at the registration


def test_a_kernel_with_other_arguments_is_refused() -> None:
    with pytest.raises(KernelError, match=r"'mine' takes \(a\), but .* are \(a, b\); .* 'b'") as caught:
        register(op="matmul", name="mine")(lambda a: a)
    assert (caught.value.op, caught.value.variant, caught.value.argument) == ("matmul", "mine", "b")
    with pytest.raises(KernelError, match=r"first that differs is 'c'"):
        register(op="matmul", name="mine")(lambda a, b, c: a)


def test_an_operation_without_a_card_says_so() -> None:
    register(op="doubling", name="numpy")(lambda x: x + x)
    try:
        with pytest.raises(KernelError, match="'doubling' has no card.*describe"):
            card("doubling")
    finally:
        unregister("doubling", "numpy")
    with pytest.raises(KernelError, match="no operation 'matmull'; did you mean 'matmul'"):
        card("matmull")


def test_a_card_needs_a_reference() -> None:
    about = Card(
        op="tripling", says="y = 3 x", samples=lambda dtype: [(np.ones(3, dtype),)], tolerance={"float32": 1e-6},
        flops=lambda x: x.size, bytes=lambda x: 2 * x.nbytes, cases={},
    )  # fmt: skip
    describe(about)
    register(op="tripling", name="mine")(lambda x: 3 * x)
    try:
        with pytest.raises(KernelError, match="has a card but no variant 'numpy'"):
            verify(next(v for v in kernels.variants("tripling")))
        with pytest.raises(KernelError, match="has a card already"):
            describe(Card(**{**about.__dict__, "says": "something else"}))
        register(op="tripling", name="numpy")(lambda x: x + x + x)
        assert all(verify(v).right for v in kernels.variants("tripling"))  # one's own operation, from its card
    finally:
        unregister("tripling", "mine")
        unregister("tripling", "numpy")
        del _cards["tripling"]


# ------------------------------------------------------------------------------------------------- the command line

MINE = """
import numpy as np
import tinydl

@tinydl.kernels.register(op="matmul", name="mine", dtypes=("float32",))
def mine(a, b):
    '''Columns of A times rows of B.'''
    c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(a.shape[1]{cut}):
        c += np.outer(a[:, k], b[k])
    return c
"""


@pytest.fixture
def forgotten() -> Iterator[None]:
    yield
    unregister("matmul", "mine")


@pytest.mark.usefixtures("forgotten")
def test_a_kernel_in_a_users_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(MINE.format(cut=""))
    assert main(["kernels", "verify", "--file", str(tmp_path / "mine.py")]) == 0
    words = capsys.readouterr().out.split()
    assert words[:2] == ["matmul:mine", "right"]


@pytest.mark.usefixtures("forgotten")
def test_a_wrong_kernel_in_a_users_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(MINE.format(cut=" - 1"))
    assert main(["kernels", "verify", "mine", "--file", str(tmp_path / "mine.py")]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out and "((48, 64), (64, 128))" in out and "is off by" in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_the_kind", ":1: ModuleNotFoundError"),
        ("x = 1\ny = x +\n", ":2: SyntaxError"),
        ("x = 1", "registers no kernel"),
        ("import tinydl\n@tinydl.kernels.register(op='matmul', name='mine')\ndef f(x): pass", "takes (x), but"),
    ],
)
def test_a_file_that_cannot_be_used(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(text)
    assert main(["kernels", "verify", "--file", str(tmp_path / "mine.py")]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert main(["kernels", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[0]) == {"op", "name", "device", "dtypes", "default"}
    assert {"op": "matmul", "name": "numpy", "device": "cpu", "dtypes": [], "default": False} in rows
    assert {"op": "matmul", "name": "cuda.tiled", "device": "cuda"}.items() <= next(
        row for row in rows if row["name"] == "cuda.tiled" and row["op"] == "matmul"
    ).items()
    assert main(["kernels", "list"]) == 0
    assert "unrolled" in capsys.readouterr().out
    for op in {row["op"] for row in rows}:
        assert main(["kernels", "show", op]) == 0
        out = capsys.readouterr().out
        assert card(op).says in out and "FLOP/byte" in out
    assert main(["kernels", "show", "matmul", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variants"][0]["name"] == "ir"
    assert main(["kernels", "show", "mamul"]) == 2
    assert "did you mean 'matmul'" in capsys.readouterr().err


def test_the_card_of_matmul_reaches_every_kind_of_layout() -> None:
    flags = {
        (a.flags.c_contiguous, a.flags.f_contiguous, any(s < 0 for s in a.strides))
        for pair in matmul_spec.samples(np.float32) for a in pair if a.size > 1
    }  # fmt: skip
    assert {(True, False, False), (False, True, False), (False, False, False)} <= flags
    assert any(negative for _, _, negative in flags)
