"""Mutants of a CUDA source: one slip each, to see whether the checks would notice it.

Generated, not chosen: every barrier and fence is dropped in turn, every comparison's bound is moved by one to either
side, every loop is begun one earlier and one later, every stride (a factor or a step that is a name or a number) is
made one larger and one smaller, every initial value and every value that stands in for what lies outside is removed,
which leaves poison.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A source with one slip: its line, what kind of slip, the words before and after, and the whole text.

    kind: ``barrier``, ``bound``, ``stride`` or ``init``.
    """

    line: int
    kind: str
    before: str
    after: str
    text: str

    @property
    def result(self) -> str:
        """The line that it makes, without comment."""
        return self.text.split("\n")[self.line - 1].split("//")[0].strip()

    @property
    def change(self) -> str:
        """``k < K -> k <= K``."""
        return f"{self.before} -> {self.after or 'nothing'}"


_ENTRY = re.compile(r'^extern "C".*?^}\n', re.MULTILINE | re.DOTALL)


def only(source: str, entries: Iterable[str]) -> str:
    """A source without those kernels (``extern "C"``, closed by a brace at the beginning of a line) not named."""
    named = set(entries)

    def kept(match: re.Match[str]) -> str:
        if named & set(re.findall(r"\w+", match[0].split("{")[0])):
            return match[0]
        return "\n" * match[0].count("\n")  # lines keep their numbers

    return _ENTRY.sub(kept, source)


_OPERAND = r"(?:\(?[A-Za-z_][\w.]*(?:\[[^\]]*\])?|\d+)"
_BARRIER = re.compile(r"\s*(?P<all>(?:__syncthreads|__syncwarp|__threadfence\w*)\([^;]*\);)")
_BOUND = re.compile(rf"(?P<left>{_OPERAND}) (?P<op><=|>=|<|>) (?P<right>{_OPERAND})(?![\w>])")
_STRIDE = re.compile(r"(?<=[\w)\]] )(?P<op>\*|/|%|\+=|-=) (?P<right>[A-Za-z_]\w*|\d+)(?![\w(\[.])")
_INIT = re.compile(
    r"(?P<all>(?<![=<>!])= (?P<value>\{+0\}+|0(?:\.0?f?)?)(?=[;,]))|(?P<other>: (?P<zero>0(?:\.0?f?)?)(?=[;)]))"
)

#: What stands in a value's place when it is removed: a number far outside, or not a number.
POISON, NAN = "(-1 - 0x7ffffff0)", "__int_as_float(0x7fffffff)"


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a source, in the order of its lines."""
    lines = source.split("\n")
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0].rstrip()
        if not code.strip() or code.lstrip().startswith(("#", "template")):
            continue
        for kind, start, stop, after in _changes(code):
            changed = [*lines[: number - 1], line[:start] + after + line[stop:], *lines[number:]]
            yield Mutant(number, kind, code[start:stop].strip(), after.strip(), "\n".join(changed))


def _changes(code: str) -> Iterator[tuple[str, int, int, str]]:
    """(kind, start, stop, replacement) of each slip in a line."""
    match = _BARRIER.match(code)
    if match:
        yield "barrier", match.start("all"), match.end("all"), ""
        return
    for match in _BOUND.finditer(code):
        left, op, right = match["left"], match["op"], match["right"]
        for replaced in _moved(op):
            yield "bound", match.start(), match.end(), f"{left} {replaced} {right}"
    for match in _STRIDE.finditer(code):
        for sign in ("+", "-"):
            if match["right"] == "1" and sign == "-":
                continue  # a step or divisor of zero: an endless loop or no program, not a slip
            yield "stride", match.start(), match.end(), f"{match['op']} ({match['right']} {sign} 1)"
    loop = re.match(r"\s*for \(", code)
    for match in _INIT.finditer(code):
        if match["all"] and loop:  # where a loop begins: a bound
            for start in ("1", "-1"):
                yield "bound", match.start(), match.end(), f"= {start}"
            continue
        poison = POISON if re.match(r"\s*(const )?(int|long|unsigned|size_t|bool)\b", code) else NAN
        if match["all"]:
            yield "init", match.start(), match.end(), f"= {match['value'].replace('0', poison, 1)}"
        else:
            yield "init", match.start(), match.end(), f": {poison}"


def _moved(op: str) -> tuple[str, str]:
    """A comparison whose bound is one further and one nearer."""
    return {"<": ("<=", "< -1 +"), "<=": ("<= 1 +", "<"), ">": (">=", "> 1 +"), ">=": (">= -1 +", ">")}[op]
