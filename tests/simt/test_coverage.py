"""Every instruction that the simulator knows is executed by a test of its own."""

from __future__ import annotations

import re

from tests.meta.tree import ROOT
from tests.simt import test_floats, test_integers
from tinydl.kernels.simt import alu, lowering

CONTROL = {"bra", "brx", "ret", "exit", "call", "bar", "barrier"}
CARRIED = {"addc", "subc", "madc"}


BARE = {"trap", "brkpt", "ret", "exit", "call", "bra", "pmevent"}  # they may stand without a dot


def is_executed(name: str, text: str) -> bool:
    """Whether an opcode of this name stands in a text."""
    ending = r"[.\s;]" if name in BARE else r"\.[A-Za-z{]"
    return re.search(rf"(?<![\w.%@]){name}{ending}", text) is not None


def test_every_instruction_is_tested() -> None:
    cases = {case[0].split(".")[0] for case in [*test_integers.CASES, *test_floats.CASES, *test_floats.CONVERSIONS]}
    names = ("flow", "memory", "warp", "matrix", "barriers", "integers")
    text = "".join((ROOT / "tests" / "simt" / f"test_{name}.py").read_text() for name in names)
    known = set(alu.PLANS) | set(lowering.TABLE) | CONTROL | CARRIED
    missing = {name for name in known if name not in cases and not is_executed(name, text)}
    assert not missing, f"no test executes {sorted(missing)}"
    assert "wgmma" not in known and len(known) > 70
