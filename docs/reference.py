"""Builds the API reference from the docstrings: ``make docs``, or ``python -W error docs/reference.py FOLDER``.

pdoc does the work. What it is told here: which modules are meant for users, that annotations are shown as they are
written, that names imported when first used are there, and how the docstrings of this project are laid out.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

# Commands, the measuring of benchmarks and the making of pages are not imported by users.
MODULES = ("tinydl", "!tinydl.cli", "!tinydl.benchmarks", "!tinydl.page", r"!tinydl\..*\._", r"!tinydl\.__main__")


class AsWritten(str):
    """An annotation that is shown as its text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def build(folder: Path) -> None:
    """Write the HTML pages into ``folder``."""
    import pdoc
    import pdoc.doc
    import pdoc.docstrings
    import pdoc.render

    def as_written(annotation: Any, *_: Any) -> Any:
        return AsWritten(annotation) if isinstance(annotation, str) else annotation

    pdoc.doc.safe_eval_type = as_written
    pdoc.doc.resolve_annotations = lambda annotations, *_: {k: as_written(v) for k, v in annotations.items()}
    rst = pdoc.docstrings.rst
    pdoc.docstrings.rst = lambda text, file: rst(markdown(text), file)
    for name in ("tinydl", "tinydl.nn", "tinydl.utils"):
        make_real(importlib.import_module(name))
    pdoc.render.configure(docformat="google", footer_text="tinydl")
    pdoc.pdoc(*MODULES, output_directory=folder)


def make_real(module: Any) -> None:
    """Import what ``module`` imports when it is first asked for: pdoc looks into its dictionary."""
    for name in getattr(module, "__all__", ()):
        setattr(module, name, getattr(module, name))


def markdown(text: str) -> str:
    """A docstring with literal blocks, tables, examples and definitions as Markdown has them.

    >>> print(markdown("size\\n    How many.\\n    At least one.\\nseed\\n    Any."))
    - **size**: How many.
      At least one.
    - **seed**: Any.
    """
    out: list[str] = []
    defining = False
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines = paragraph.splitlines()
        indented = [line.startswith("    ") for line in lines]
        if re.fullmatch(r" *=+( +=+)+", lines[0] if lines else ""):
            out.append(f"```\n{paragraph}\n```")
        elif lines and lines[0].startswith(">>> "):
            out.append(f"```python\n{paragraph}\n```")
        elif indented[:2] == [False, True] and not lines[0].endswith(":") and not lines[0].startswith((">", "-", " ")):
            defining = True
            out.append("\n".join(item(line, deep) for line, deep in zip(lines, indented)))
        elif defining and all(indented) and out and not out[-1].endswith(":"):
            out.append(re.sub("^    ", "  ", paragraph, flags=re.MULTILINE))
        else:
            defining = defining and all(indented)
            out.append(re.sub("::$", ":", paragraph))
    return "\n\n".join(out).replace("**: \n  ", "**: ").replace(":`~", ":`")


def item(line: str, deep: bool) -> str:
    """One line of a list of definitions: a term, or what it means."""
    return f"  {line[4:]}" if deep else f"- **{line.strip().replace('``', '')}**: "


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    os.chdir(Path(__file__).parent)  # beside a folder of that name pdoc would ask which tinydl is meant
    build(target)
