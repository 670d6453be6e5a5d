"""The documentation tells the truth: its commands exist, its programs run, its links lead somewhere."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.meta.tree import ROOT, sources
from tinydl import cli
from tinydl.benchmarks import GPU, NAMES, PAPERS, RING, gpu, papers, report, ring
from tinydl.cli.parser import Parser, spread_overrides
from tinydl.version import __version__

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return [body for name, body in FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def commands() -> list[list[str]]:
    """Every command of every shell block, as words, comments gone."""
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    lines = [line.removeprefix("$ ").removeprefix(".venv/bin/") for line in lines]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_readme_shows_the_two_jobs() -> None:
    assert ["make", "demo"] in commands() and ["make", "test"] in commands()
    assert sum(words[0] == "tinydl" for words in commands()) >= 5


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {words[1] for words in commands() if words[0] == "make" and len(words) > 1}
    assert {"demo", "test"} <= asked <= targets


def test_tinydl_commands_parse() -> None:
    for words in commands():
        if words[0] != "tinydl" or words[1].startswith("-"):
            continue
        length = 2 if " ".join(words[1:3]) in cli.COMMANDS else 1
        name, rest = " ".join(words[1 : 1 + length]), words[1 + length :]
        assert name in cli.COMMANDS, f"no command {name!r}, shown as: {' '.join(words)}"
        if {"-h", "--help"} & set(rest):
            continue
        module, _, attribute = cli.COMMANDS[name][0].partition(":")
        Parser(name, getattr(importlib.import_module(module), attribute)).parse(spread_overrides(rest))


def test_benchmarks_named_exist() -> None:
    for words in commands():
        if words[1:3] == ["-m", "tinydl.benchmarks"]:
            if PAPERS in words:
                papers.parser().parse(words[4:])
            elif GPU in words:
                gpu.parser().parse_args(words[4:])
            elif RING in words:
                ring.parser().parse(words[4:])
            else:
                assert set(words[3:]) <= {*NAMES, "all", "--no-record"}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_programs_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinydl.autograd.primitives import registry
    from tinydl.kernels import unregister, variants
    from tinydl.kernels.card import _cards

    monkeypatch.chdir(tmp_path)
    for module in sources():  # a room that a page is the first to load must not lose its primitives below
        if module.module.startswith("tinydl.ops."):
            importlib.import_module(module.module)
    before, kernels = dict(registry()), {(v.op, v.name, v.device) for v in variants()}
    namespace: dict[str, Any] = {"__name__": "page"}
    try:
        for block in blocks(page, "python"):
            exec(compile(block, str(page), "exec"), namespace)
    finally:  # a page's own primitives are no part of the table of operations
        registry().clear()
        registry().update(before)
        for op, name, device in {(v.op, v.name, v.device) for v in variants()} - kernels:
            unregister(op, name, device)
            if op not in {known for known, _, _ in kernels}:
                _cards.pop(op, None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_named_exist(page: Path) -> None:
    for path in re.findall(
        r"`((?:tinydl|kernels|models|tests|benchmarks)/[\w./-]*)`", page.read_text(encoding="utf-8")
    ):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_figures_in_the_readme_are_those_measured() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, made in (("benchmarks", report.table()), ("papers", report.papers_table())):
        assert report.between(page, name)[1] == made, "python -m tinydl.benchmarks NAME rewrites the table"


def test_changelog_knows_this_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
