"""The source tree as the meta-tests see it: every file once, by its real path, with its floor and its syntax tree."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("kernels", "tinydl", "models", "benchmarks")  # lowest first


@dataclass(frozen=True)
class Source:
    """One Python file of a floor: ``kernels/matmul/cpu.py`` is the module ``tinydl.kernels.matmul.cpu``."""

    path: Path

    @property
    def relative(self) -> str:
        """Path from the root of the repository, for messages."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def floor(self) -> str:
        """The root folder it stands in."""
        return self.relative.split("/")[0]

    @property
    def module(self) -> str:
        """Dotted name it is imported by."""
        parts = list(self.path.relative_to(ROOT).with_suffix("").parts)
        if parts[0] != "tinydl":
            parts.insert(0, "tinydl")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree, parsed once for all tests."""
        return parse(self.path)


@functools.cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def files(folder: str, pattern: str = "*") -> Iterator[Path]:
    """Files under a root folder that belong to the product, links not followed."""
    for path in sorted((ROOT / folder).rglob(pattern)):
        inside = path.relative_to(ROOT).parts
        linked = inside[:2] in {("tinydl", floor) for floor in FLOORS}
        if path.is_file() and not linked and "__pycache__" not in inside:
            yield path


@functools.cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the four floors."""
    return tuple(Source(path) for floor in FLOORS for path in files(floor, "*.py"))


@functools.cache
def sources_of_tests() -> tuple[Source, ...]:
    """Every Python file of the tests."""
    return tuple(Source(path) for path in files("tests", "*.py"))
