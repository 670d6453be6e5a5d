"""Cards see slips: every bound, index, stride and accumulation of kernels, changed by one, is found by its card.

All of them: ``make kernel-mutation``. Here are some of those of two families, and of the NumPy twins'.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.meta.tree import ROOT
from tests.mutation.kernel_answers import ANSWERS
from tests.mutation.kernels import FILES, kernel_mutants, reached, slips
from tests.mutation.mutants import sites

pytest.importorskip("numba")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-W", "ignore", "-m", "tests.mutation.kernels", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize(
    ("arguments", "least"), [(("pool/cpu", "activation/cpu", "--sample", "50"), 40), (("spec", "--sample", "30"), 25)]
)
def test_every_slip_is_seen(arguments: tuple[str, ...], least: int) -> None:
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = re.search(r"(\d+) mutants: (\d+) killed, 0 survived, (\d+) answered", done.stdout)
    assert found is not None and int(found[2]) >= least


def test_a_blunt_card_lets_slips_through() -> None:
    code = """
import dataclasses
from tests.mutation import kernels
kernels.prepare()
from tinydl.kernels.card import _cards
for op in ("max_pool", "window_sum", "window_spread", "take_positions", "put_positions"):
    _cards[op] = dataclasses.replace(_cards[op], samples=lambda dtype, all=_cards[op].samples: list(all(dtype))[:1])
some = kernels.kernel_mutants("kernels/pool/cpu.py")[::2]
lived = kernels.ask(some, kernels.limits_of(some), 2, lambda line: None)
assert 0 < len(lived) < len(some), len(lived)
print(len(lived))
"""
    line = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("for i in range(n): pass", ["range(n - 1)", "range(n + 1)"]),
        ("for i in range(a, n): pass", ["range(a + 1, n)", "range(a, n - 1)", "range(a, n + 1)"]),
        ("for i in range(a, n, 2): pass",
         ["range(a + 1, n, 2)", "range(a, n - 1, 2)", "range(a, n + 1, 2)", "range(a, n, 2 + 1)"]),
        ("total += x", ["total = x"]),
        ("y[i] *= x", ["y[i] = x", "y[i + 1]"]),
        ("z = x[i, 2 * j]", ["x[i + 1, 2 * j]", "x[i, 2 * j + 1]"]),
        ("z = x[a:]", ["x[a + 1:]"]),
        ("z = x[:, a:b]", ["x[:, a + 1:b]", "x[:, a:b + 1]"]),
        ("z = x[i * n + k]", ["x[i * n + k + 1]", "i * (n + 1)"]),
        ("z = x.shape[0]", []),
        ("z = a + b", []),
    ],
)  # fmt: skip
def test_the_slips(text: str, expected: list[str]) -> None:
    tree = ast.parse(text)
    whole, found = ast.unparse(tree), []
    for site in sites(tree, "any", slips):
        undo = site.change()
        found.append(site.show())
        assert ast.unparse(ast.fix_missing_locations(tree)) != whole
        compile(tree, "any", "exec")
        undo()
        assert ast.unparse(tree) == whole
    assert found == expected


def test_what_a_slip_reaches() -> None:
    users = reached("kernels/pool/cpu.py")
    assert "window_sum" in users["_add_row"] and "max_pool" not in users["_add_row"]
    assert "max_pool" in users["_max_plane"]


def test_kernels_are_changed_and_cards_are_not() -> None:
    for file in FILES:
        names = {m.where.partition(".")[0] for m in kernel_mutants(file)}
        assert not names & {"samples", "flops", "bytes", "state", "sample"}, file
        assert not any("case" in name for name in names), file
    assert len(kernel_mutants("kernels/pool/cpu.py")) > 150


def test_answers_are_of_mutants_that_exist() -> None:
    known = [m for file in FILES for m in kernel_mutants(file)]
    stale = [f"{a.file} {a.where}: {a.change}" for a in ANSWERS if not any(a.meets(m) for m in known)]
    assert not stale, "\n".join(stale)
