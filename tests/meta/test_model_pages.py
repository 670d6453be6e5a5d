"""docs/models: every model has a plan, every page a model, and a page is made from a run alone."""

from __future__ import annotations

import doctest
import importlib.util
import re
from typing import Any

import numpy as np
import pytest

from tests.meta.tree import ROOT
from tinydl import registry
from tinydl.cli import main
from tinydl.data import midi
from tinydl.generation import generate

FOLDER = ROOT / "docs" / "models"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "README")


@pytest.fixture(scope="module")
def model_pages() -> Any:
    spec = importlib.util.spec_from_file_location("model_pages", ROOT / "docs" / "model_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["model_pages"] = module  # what a dataclass looks its annotations up in
    spec.loader.exec_module(module)
    return module


def test_its_examples_hold(model_pages: Any) -> None:
    found = doctest.testmod(model_pages)
    assert found.attempted and not found.failed


def test_every_model_of_music_has_a_plan(model_pages: Any) -> None:
    shipped = {name: registry.model_class(name) for name in registry.models()}  # and what other tests registered
    shipped = {name: model for name, model in shipped.items() if model.__module__.startswith("tinydl.models.")}
    assert set(model_pages.PLAN) == {n for n, m in shipped.items() if m.data not in ("images", "labelled images")}


def test_signs_of_equations_are_no_markup(model_pages: Any) -> None:
    text = "Of x_t and v~.\n\nLet a*b < c, as in :mod:`tinydl.models.vae` and ``a*b``.\n\nNow\n    y = a_1*b\n"
    made = model_pages.prose(text)
    assert made == (
        "Of x\\_t and v\\~.\n\nLet a\\*b \\< c, as in `tinydl.models.vae` and `a*b`.\n\nNow\n\n```text\ny = a_1*b\n```"
    )


def test_a_page_comes_from_a_run_alone(model_pages: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_pages, "PAGES", tmp_path)
    assert main(["train", "lstm", "demo", "--out", str(tmp_path / "lstm"), "--steps", "4", "-o", "eval_every=2"]) == 0
    model_pages.page("lstm", tmp_path / "lstm")
    model_pages.index()
    text = (tmp_path / "lstm.md").read_text("utf-8")
    assert text.startswith("# lstm\n") and "arXiv" in text
    for name in re.findall(r"\]\((lstm[^)]*)\)", text):
        assert (tmp_path / name).stat().st_size > 100
    assert re.search(r"output +Linear +\[[\d, ]+, 320\] -> \[[\d, ]+, 88\]", text)  # what the batch went through
    assert re.search(r"\| `nll_per_frame` \| \d+\.\d{4} \|", text)
    steps = re.search(r"tinydl train lstm demo --out run --seed 0 --steps (\d) -o eval_every=2", text)
    assert steps is not None and steps[1] in "24"
    again = generate(tmp_path / "lstm", bars=model_pages.BARS, seed=model_pages.SEED)[0][0]
    assert midi.to_bytes(again) == (tmp_path / "lstm.mid").read_bytes()
    assert "[`lstm`](lstm.md)" in (tmp_path / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_that_is_here_is_of_a_model_and_has_its_pictures(path: Any) -> None:
    assert path.stem in registry.models()
    text = path.read_text("utf-8")
    for name in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        assert (FOLDER / name).exists(), name
    score, _ = midi.read(FOLDER / f"{path.stem}.mid")
    assert np.unique([note.pitch for note in score.notes]).size > 3
    assert f"({path.name})" in (FOLDER / "README.md").read_text("utf-8")
