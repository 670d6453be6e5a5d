"""The table of kernels in the documentation, made from their cards; ``python -m tinydl.lab.table docs/kernels.md``
writes it between its markers."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from tinydl.kernels import Card, Variant, cards, variants
from tinydl.kernels.registry import FAMILIES

BEGIN, END = "<!-- kernels: begin -->", "<!-- kernels: end -->"


def table() -> str:
    """A row per operation, the families one after another; of the variants the one that is tried first is bold."""
    lines = ["| operation | computes | variants | measured at | PyTorch |", "|---|---|---|---|---|"]
    known = sorted((about for about in cards() if about.op in FAMILIES), key=lambda about: FAMILIES[about.op])
    for _, family in groupby(known, key=lambda about: FAMILIES[about.op]):
        lines += [_row(about) for about in family]
    return "\n".join(lines)


def _row(about: Card) -> str:
    names = ", ".join(f"**{_words(v)}**" if v.default else _words(v) for v in variants(about.op))
    cases = list(about.cases)
    rivals = ", ".join(name.partition(" ")[2] or "yes" for name in about.rivals) or "-"
    says = about.says.replace("|", "\\|").replace("*", "\\*")
    return f"| `{about.op}` | {says} | {names} | `{cases[0]}` … `{cases[-1]}` | {rivals} |"


def _words(variant: Variant) -> str:
    return f"`{variant.name}`" + (f" ({', '.join(variant.dtypes)})" if variant.dtypes else "")


def update(text: str) -> str:
    """A page with the table of today between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(update(page.read_text(encoding="utf-8")), encoding="utf-8")
