"""What an argument is when it is not given: PyTorch's defaults, as its signatures say them, or its docstrings do."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import pytest

import tinydl
from tests.differential.names import NAMES
from tests.differential.rows import resolve

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

WORDS = {"\\infty": float("inf"), "inf": float("inf")}
# name: (arguments whose defaults differ on purpose, why)
CHOICES = {
    f"autograd.{name}": (("eps", "atol", "rtol"), "refined differences: a thousand times as sharp")
    for name in ("gradcheck", "gradgradcheck")
}


def said(docstring: str | None, name: str) -> dict[str, Any]:
    """The defaults in the first lines of a docstring: ``sort(input, dim=-1, descending=False, *, out=None) -> ...``."""
    found = re.match(rf"\s*(?:[\w.]+\.)?{re.escape(name)}\((.*?)\)\s*->", docstring or "", re.DOTALL)
    if found is None:
        return {}
    out = {}
    for key, text in re.findall(r"(\w+)\s*=\s*(\([^)]*\)|\[[^\]]*\]|[^,()\[\]]+)", found[1]):
        try:
            out[key] = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            if text.strip() in WORDS:
                out[key] = WORDS[text.strip()]
    return out


def defaults(f: Any, name: str) -> dict[str, Any]:
    """What a function's or a class's arguments are by default."""
    try:
        parameters = inspect.signature(f.__init__ if inspect.isclass(f) else f).parameters.values()
    except (ValueError, TypeError):
        return said(f.__doc__, name)
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def plain(x: Any) -> Any:
    """A default without its library: dtypes and the like by their names, lists as tuples."""
    if isinstance(x, (list, tuple)):
        return tuple(map(plain, x))
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    return x.__name__ if inspect.isfunction(x) else str(x).rpartition(".")[2]


def pairs(name: str) -> list[tuple[str, Any, Any]]:
    """(argument, our default, PyTorch's) of the arguments that both have."""
    last = name.rpartition(".")[2]
    try:
        ours, theirs = defaults(resolve(tinydl, name), last), defaults(resolve(torch, name), last)
    except AttributeError:
        return []
    return [(key, plain(ours[key]), plain(theirs[key])) for key in ours if key in theirs]


def same(a: Any, b: Any) -> bool:
    """None stands for a default that is found out later."""
    return a is None or b is None or (a == b and isinstance(a, bool) == isinstance(b, bool))


AVERAGES = [f"optim.swa_utils.get_{name}_fn" for name in ("ema_avg", "ema_multi_avg", "swa_avg")]


@pytest.mark.parametrize("name", [name for name in (*NAMES, *AVERAGES) if pairs(name)])
def test_defaults_are_pytorchs(name: str) -> None:
    differing = [pair for pair in pairs(name) if not same(*pair[1:])]
    assert [argument for argument, _, _ in differing] == list(CHOICES.get(name, ((), ""))[0]), differing


def keyword_only(name: str) -> int | None:
    """How many arguments may stand in order, of a function of ours that has further ones by name alone."""
    try:
        parameters = inspect.signature(resolve(tinydl, name)).parameters
    except (AttributeError, ValueError, TypeError):
        return None
    kinds = [p.kind for p in parameters.values()]
    if "tensors" in parameters:  # which are refused first: one tensor is none of several
        return None
    several = inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.VAR_KEYWORD in kinds
    in_order = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) + kinds.count(inspect.Parameter.POSITIONAL_ONLY)
    return in_order if inspect.Parameter.KEYWORD_ONLY in kinds and not several else None


@pytest.mark.parametrize("name", [name for name in NAMES if keyword_only(name) is not None])
def test_what_is_given_by_name_is_not_given_in_order(name: str) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        resolve(tinydl, name)(*[tinydl.ones(2)] * ((keyword_only(name) or 0) + 1))
